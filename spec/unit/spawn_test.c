/* io/spawn: what a child gets, what is seen of its end, and what an embedder's own habits do to it.
 * Knows: io/spawn, a bare libuv loop. Never: a host. */
#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/spawn.h"

struct run {
    uv_loop_t loop;
    struct mw_child child;
    struct mw_spawn s;
    struct mw_err err;
    int fds[3];
    int out;                  /* read end of its standard output; -1 when none is wanted */
    int ended, closed;
    char text[4096];
    size_t len;
};

static char *no_env[] = { NULL };

static void on_ended(struct mw_child *c) {
    ((struct run *)c->ud)->ended++;
}

static void on_closed(struct mw_child *c) {
    ((struct run *)c->ud)->closed++;
}

static void setup(struct run *r, const char *path, char **argv) {
    int ends[2];

    memset(r, 0, sizeof *r);
    REQUIRE(uv_loop_init(&r->loop) == 0);
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    r->out = ends[0];
    r->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    r->fds[1] = ends[1];
    r->fds[2] = fcntl(2, F_DUPFD_CLOEXEC, 3);
    r->child.ud = r;
    r->s.op = "process run";
    r->s.path = path;
    r->s.exec_fd = open(path, O_PATH | O_CLOEXEC);
    r->s.cwd_fd = r->s.tty_fd = r->s.warden_fd = -1;
    r->s.argv = argv;
    r->s.envp = no_env;
    r->s.fds = r->fds;
    r->s.count = 3;
}

static int start(struct run *r) {
    int rc = mw_child_start(&r->loop, &r->s, &r->child, NULL, on_ended, &r->err), i;

    for (i = 0; i < 3; i++) close(r->fds[i]);
    close(r->s.exec_fd);
    return rc;
}

/* Reads what it says to the end, then waits for its end. */
static void finish(struct run *r) {
    ssize_t n;

    while (r->len + 1 < sizeof r->text && (n = read(r->out, r->text + r->len, sizeof r->text - 1 - r->len)) > 0) r->len += (size_t)n;
    r->text[r->len] = '\0';
    while (r->child.running && uv_run(&r->loop, UV_RUN_ONCE)) { }
}

static void teardown(struct run *r) {
    close(r->out);
    mw_child_close(&r->child, on_closed);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    CHECK_INT(r->closed, 1);
    CHECK_INT(uv_loop_close(&r->loop), 0);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);      /* no zombie, no stray child */
}

static int shell(struct run *r, char *text) {
    static char sh[] = "sh", c[] = "-c";
    static char *argv[4];

    argv[0] = sh;
    argv[1] = c;
    argv[2] = text;
    argv[3] = NULL;
    setup(r, "/bin/sh", argv);
    return 0;
}

TEST(a_child_runs_and_its_output_and_exit_code_arrive) {
    struct run r;
    char text[] = "echo hello; exit 7";

    shell(&r, text);
    REQUIRE(start(&r) == 0);
    finish(&r);
    CHECK_STR(r.text, "hello\n");
    CHECK_INT(r.ended, 1);
    CHECK_INT(r.child.exit.known, 1);
    CHECK_INT(r.child.exit.code, 7);
    CHECK_INT(r.child.exit.signal, 0);
    teardown(&r);
}

TEST(a_signal_that_ends_a_child_is_told) {
    struct run r;
    char text[] = "kill -9 $$";

    shell(&r, text);
    REQUIRE(start(&r) == 0);
    finish(&r);
    CHECK_INT(r.child.exit.code, -1);
    CHECK_INT(r.child.exit.signal, SIGKILL);
    CHECK_INT(mw_child_signal(&r.child, SIGTERM), -ESRCH);
    teardown(&r);
}

TEST(a_file_that_is_no_program_is_an_error_and_leaves_nothing) {
    struct run r;
    char name[] = "passwd", *argv[] = { name, NULL };

    setup(&r, "/etc/passwd", argv);
    CHECK_INT(start(&r), -EACCES);
    CHECK_INT(r.err.code, -EACCES);
    CHECK_STR(r.err.subject, "/etc/passwd");
    CHECK_INT(r.child.running, 0);
    teardown(&r);
    CHECK_INT(r.ended, 0);
}

TEST(a_missing_working_directory_is_named) {
    struct run r;
    char text[] = "true", dir[] = "/tmp/mw-spawn-XXXXXX";

    shell(&r, text);
    REQUIRE(mkdtemp(dir) != NULL);
    r.s.cwd = "/etc/passwd";
    r.s.cwd_fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);        /* no directory */
    CHECK_INT(start(&r), -ENOTDIR);
    close(r.s.cwd_fd);
    rmdir(dir);
    teardown(&r);
}

TEST(the_working_directory_is_the_one_held) {
    struct run r;
    char text[] = "pwd -P";

    shell(&r, text);
    r.s.cwd = "/usr/bin";
    r.s.cwd_fd = open("/usr/bin", O_PATH | O_CLOEXEC);
    REQUIRE(start(&r) == 0);
    close(r.s.cwd_fd);
    finish(&r);
    CHECK_STR(r.text, "/usr/bin\n");
    teardown(&r);
}

TEST(an_argument_list_beyond_the_kernels_limit_is_E2BIG) {
    struct run r;
    size_t len = 1u << 18;
    char *big = malloc(len + 1), name[] = "sh";
    char *argv[] = { name, big, NULL };

    REQUIRE(big != NULL);
    memset(big, 'x', len);
    big[len] = '\0';
    setup(&r, "/bin/sh", argv);
    CHECK_INT(start(&r), -E2BIG);
    free(big);
    teardown(&r);
}

/* Nothing but what is passed: not even what an embedder left open without close-on-exec. */
TEST(a_child_sees_its_three_descriptors_and_no_other) {
#ifndef MW_SPAWN_UV
    struct run r;
    char text[] = "for f in /proc/self/fd/*; do test -e $f && echo ${f##*/}; done";
    int leaked = open("/dev/null", O_RDONLY);

    shell(&r, text);
    REQUIRE(start(&r) == 0);
    finish(&r);
    CHECK_STR(r.text, "0\n1\n2\n");
    close(leaked);
    teardown(&r);
#else
    CHECK(strcmp(mw_spawn_backend(), "uv") == 0);                  /* libuv passes what is not close-on-exec */
#endif
}

TEST(descriptors_that_lie_in_each_others_way_are_sorted_out) {
    struct run r;
    char text[] = "cat; echo err >&2";
    int in[2], saved[3], i, rc;

    shell(&r, text);
    REQUIRE(pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(write(in[1], "in", 2) == 2);
    close(in[1]);
    for (i = 0; i < 3; i++) saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 20);
    /* Its output is our 0, its input our 1, its error our 0 as well. */
    dup2(r.fds[1], 0);
    dup2(in[0], 1);
    close(in[0]);
    for (i = 0; i < 3; i++) close(r.fds[i]);
    r.fds[0] = 1;
    r.fds[1] = r.fds[2] = 0;
    rc = mw_child_start(&r.loop, &r.s, &r.child, NULL, on_ended, &r.err);
    for (i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    close(r.s.exec_fd);
    REQUIRE(rc == 0);
    finish(&r);
    CHECK_STR(r.text, "inerr\n");
    teardown(&r);
}

static void ignore_it(int sig) {
    (void)sig;
}

TEST(ignored_and_handled_signals_are_the_default_in_a_child) {
    struct run r;
    char text[] = "exec grep -E 'Sig(Ign|Blk)' /proc/self/status";
    struct sigaction was[3], sa;
    sigset_t block, before;

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &sa, &was[0]);
    sigaction(SIGUSR1, &sa, &was[1]);
    sa.sa_handler = ignore_it;
    sigaction(SIGUSR2, &sa, &was[2]);
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigprocmask(SIG_BLOCK, &block, &before);
    shell(&r, text);
    REQUIRE(start(&r) == 0);
    finish(&r);
    sigprocmask(SIG_SETMASK, &before, NULL);
    sigaction(SIGPIPE, &was[0], NULL);
    sigaction(SIGUSR1, &was[1], NULL);
    sigaction(SIGUSR2, &was[2], NULL);
    CHECK_STR(r.text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    teardown(&r);
}

TEST(a_child_leads_a_group_and_the_group_ends_as_one) {
    struct run r;
    char text[] = "sleep 1000 & echo $!; exec >/dev/null; wait";
    pid_t inner;

    shell(&r, text);
    REQUIRE(start(&r) == 0);
    r.len = (size_t)read(r.out, r.text, sizeof r.text - 1);
    inner = (pid_t)atoi(r.text);
    CHECK(inner > 1);
    CHECK_INT(getpgid(r.child.pid), r.child.pid);
    CHECK_INT(getpgid(inner), r.child.pid);
    CHECK_INT(mw_group_alive(r.child.pid), 1);
    CHECK_INT(mw_group_signal(r.child.pid, SIGKILL), 0);
    finish(&r);                                                     /* reads to the end: the inner one let go too */
    CHECK_INT(r.child.exit.signal, SIGKILL);
    teardown(&r);
}

TEST(the_soft_limit_of_descriptors_is_the_one_asked_for) {
#ifndef MW_SPAWN_UV
    struct run r;
    char text[] = "ulimit -Sn";

    shell(&r, text);
    r.s.nofile = 77;
    REQUIRE(start(&r) == 0);
    finish(&r);
    CHECK_STR(r.text, "77\n");
    teardown(&r);
#else
    CHECK(strcmp(mw_spawn_backend(), "uv") == 0);
#endif
}

#ifndef MW_SPAWN_UV
static void reap_everything(int sig) {
    int saved = errno;

    (void)sig;
    while (waitpid(-1, NULL, WNOHANG) > 0) { }
    errno = saved;
}

/* An engine with a SIGCHLD handler that takes every child: the end still comes, and is never taken for success. */
TEST(an_end_that_somebody_else_reaped_is_seen_and_never_code_0) {
    struct run r;
    char text[] = "exit 9";
    struct sigaction sa, was;

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = reap_everything;
    sa.sa_flags = SA_RESTART;
    sigaction(SIGCHLD, &sa, &was);
    shell(&r, text);
    REQUIRE(start(&r) == 0);
    while (kill(r.child.pid, 0) == 0) { usleep(100); }              /* until the handler has taken it */
    finish(&r);
    sigaction(SIGCHLD, &was, NULL);
    CHECK_INT(r.ended, 1);
    CHECK(r.child.exit.known ? r.child.exit.code == 9 : r.child.exit.code == -1);
    teardown(&r);
}

TEST(children_of_an_engine_that_ignores_SIGCHLD_end_too) {
    struct run r;
    char text[] = "exit 3";
    struct sigaction sa, was;

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = SIG_IGN;
    sigaction(SIGCHLD, &sa, &was);
    shell(&r, text);
    REQUIRE(start(&r) == 0);
    finish(&r);
    sigaction(SIGCHLD, &was, NULL);
    CHECK_INT(r.ended, 1);
    CHECK(r.child.exit.known ? r.child.exit.code == 3 : r.child.exit.code == -1);
    teardown(&r);
}

/* Counts page-table pages: a spawn that copied them would need megabytes for a heap of a gigabyte. */
TEST(a_spawn_copies_nothing_of_a_large_heap) {
    struct run r;
    char text[] = "echo done";
    size_t size = (size_t)1 << 30, i;
    char *heap = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct rusage before, after;

    REQUIRE(heap != MAP_FAILED);
    madvise(heap, size, MADV_NOHUGEPAGE);
    for (i = 0; i < size; i += 1u << 16) heap[i] = 1;
    shell(&r, text);
    REQUIRE(start(&r) == 0);
    finish(&r);
    getrusage(RUSAGE_SELF, &before);
    for (i = 0; i < size; i += 1u << 16) heap[i] = 2;               /* no page was made copy-on-write */
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_minflt - before.ru_minflt < 100);
    munmap(heap, size);
    teardown(&r);
}
#endif

static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d) != NULL) n++;
    closedir(d);
    return n;
}

TEST(three_hundred_spawns_leave_no_descriptor_and_no_zombie) {
    int before = open_descriptors(), i;

    for (i = 0; i < 300; i++) {
        struct run r;
        char name[] = "true", *argv[] = { name, NULL };

        setup(&r, "/bin/true", argv);
        if (i % 3 == 0) {
            close(r.s.exec_fd);
            r.s.exec_fd = open("/etc/passwd", O_PATH | O_CLOEXEC);
            CHECK(start(&r) < 0);
        } else {
            REQUIRE(start(&r) == 0);
            finish(&r);
            CHECK_INT(r.child.exit.code, 0);
        }
        teardown(&r);
    }
    CHECK_INT(open_descriptors(), before);
}

TEST(a_child_that_is_ended_now_is_reaped_now) {
    struct run r;
    char text[] = "exec sleep 1000";

    shell(&r, text);
    REQUIRE(start(&r) == 0);
    mw_child_end(&r.child);
    CHECK_INT(r.child.running, 0);
    CHECK(kill(r.child.pid, 0) < 0 && errno == ESRCH);
    CHECK_INT(r.ended, 0);
    teardown(&r);
}

TEST(eight_children_at_once_each_end_once) {
    uv_loop_t loop;
    struct run r[8];
    char text[] = "read line; exit 5";
    int gate[2], i, left = 8;

    REQUIRE(uv_loop_init(&loop) == 0);
    REQUIRE(pipe2(gate, O_CLOEXEC) == 0);
    for (i = 0; i < 8; i++) {
        shell(&r[i], text);
        dup3(gate[0], r[i].fds[0], O_CLOEXEC);
        REQUIRE(mw_child_start(&loop, &r[i].s, &r[i].child, NULL, on_ended, &r[i].err) == 0);
        close(r[i].fds[0]);
        close(r[i].fds[1]);
        close(r[i].fds[2]);
        close(r[i].s.exec_fd);
    }
    close(gate[0]);
    close(gate[1]);
    while (left > 0 && uv_run(&loop, UV_RUN_ONCE)) {
        for (left = 8, i = 0; i < 8; i++) left -= r[i].ended;
    }
    for (i = 0; i < 8; i++) {
        CHECK_INT(r[i].ended, 1);
        CHECK_INT(r[i].child.exit.code, 5);
        mw_child_close(&r[i].child, on_closed);
        close(r[i].out);
        uv_loop_close(&r[i].loop);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
}

TEST(a_group_of_zombies_is_there_but_does_not_run) {
    int ready[2];
    pid_t pid;
    char c;

    REQUIRE(pipe(ready) == 0);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (write(ready[1], "x", 1) == 1) for (;;) pause();
        _exit(1);
    }
    REQUIRE(read(ready[0], &c, 1) == 1);
    CHECK(mw_group_running(pid));
    kill(pid, SIGKILL);
    REQUIRE(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0);
    CHECK(mw_group_alive(pid));
    CHECK(!mw_group_running(pid));
    waitpid(pid, NULL, 0);
    CHECK(!mw_group_alive(pid));
    close(ready[0]);
    close(ready[1]);
}
