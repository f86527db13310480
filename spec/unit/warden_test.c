/* io/warden: ends what it was told of when its host is gone, and only then.
 * Knows: io/warden, io/spawn, a bare libuv loop. Never: a host: a forked copy of the test stands for it. */
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "io/warden.h"

#ifdef __linux__

static void on_ended(struct mw_child *c) {
    (void)c;
}

static void on_closed(struct mw_child *c) {
    (void)c;
}

static void on_timer(uv_timer_t *t) {
    (void)t;
}

static int spawn_shell(uv_loop_t *loop, struct mw_child *c, mw_warden *w, const char *text, int out) {
    char sh[] = "sh", opt[] = "-c", *script = strdup(text);
    char *argv[] = { sh, opt, script, NULL }, *envp[] = { NULL };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), fds[3] = { null, out < 0 ? null : out, null }, rc;
    struct mw_spawn s;

    memset(&s, 0, sizeof s);
    s.op = "process run";
    s.path = "/bin/sh";
    s.exec_fd = open("/bin/sh", O_PATH | O_CLOEXEC);
    s.cwd_fd = s.tty_fd = -1;
    s.argv = argv;
    s.envp = envp;
    s.fds = fds;
    s.count = 3;
    s.warden_fd = mw_warden_fd(w);
    rc = mw_child_start(loop, &s, c, NULL, on_ended, NULL);
    close(null);
    close(s.exec_fd);
    free(script);
    return rc;
}

/* Takes every orphan as it ends; all have, when this returns. */
static void reap_all(void) {
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) { }
}

static int gone(pid_t pid) {
    return kill(pid, 0) < 0 && errno == ESRCH;
}

/* A forked copy of us: starts a warden and children as `texts` say, tells their numbers, then waits for the knife. */
static void be_a_host(const char *const *texts, const struct mw_warden_dir *dir, int tell, int out) {
    uv_loop_t loop;
    struct mw_child child[4];
    mw_warden *w = NULL;
    pid_t pids[5] = { 0 };
    int i;

    if (uv_loop_init(&loop) != 0 || mw_warden_open(&loop, dir, "process run", NULL, NULL, &w, NULL) != 0) _exit(1);
    pids[0] = mw_warden_pid(w);
    for (i = 0; texts[i] != NULL; i++) {
        if (spawn_shell(&loop, &child[i], w, texts[i], out) != 0) _exit(2);
        pids[i + 1] = child[i].pid;
    }
    if (write(tell, pids, sizeof pids) != (ssize_t)sizeof pids) _exit(3);
    for (;;) pause();
}

static pid_t fork_host_in(const char *const *texts, const struct mw_warden_dir *dir, pid_t pids[5], int out) {
    int tell[2];
    pid_t host;

    prctl(PR_SET_CHILD_SUBREAPER, 1);                 /* orphans come to us, so that their end can be seen */
    REQUIRE(pipe2(tell, O_CLOEXEC) == 0);
    host = fork();
    if (host == 0) be_a_host(texts, dir, tell[1], out);
    close(tell[1]);
    REQUIRE(read(tell[0], pids, 5 * sizeof *pids) == (ssize_t)(5 * sizeof *pids));
    close(tell[0]);
    return host;
}
static pid_t fork_host(const char *const *texts, pid_t pids[5], int out) {
    return fork_host_in(texts, NULL, pids, out);
}

TEST(a_host_killed_by_9_leaves_no_child_and_no_warden) {
    const char *texts[] = { "exec sleep 1000", "sleep 1000 & wait", NULL };
    pid_t pids[5], host = fork_host(texts, pids, -1);

    CHECK_INT(kill(pids[1], 0), 0);
    CHECK_INT(getsid(pids[0]), pids[0]);
    kill(host, SIGKILL);
    reap_all();
    CHECK(gone(pids[1]));
    CHECK(gone(pids[2]));
    CHECK(gone(pids[0]));
    CHECK(kill(-pids[2], 0) < 0 && errno == ESRCH);
}

/* A private directory as children leave it: deep, of every mode, with links that lead out. Returns the directory that it lies in. */
static int fill_private(const char *base) {
    char text[1024];

    snprintf(text, sizeof text,
             "set -e; mkdir -p '%s/private' '%s/outside'; cd '%s'; echo kept >outside/file; cd private; ln -s ../outside out; ln -s ../outside/file one; "
             "mkdir -p shut/in .hidden; echo x >shut/in/f; chmod 0 shut/in shut; i=0; while [ $i -lt 300 ]; do echo >f$i; i=$((i+1)); done; mkfifo fifo; "
             "i=0; while [ $i -lt 80 ]; do mkdir d; cd -P d; echo >f; i=$((i+1)); done", base, base, base);
    REQUIRE(system(text) == 0);
    return open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

TEST(a_host_killed_by_9_leaves_no_private_directory_and_nothing_outside_it_is_touched) {
    const char *texts[] = { "exec sleep 1000", NULL };
    char base[] = "/tmp/mw-warden-XXXXXX", text[64] = "";
    struct mw_warden_dir dir = { -1, -1, "private" };
    pid_t pids[5], host;
    int fd;

    REQUIRE(mkdtemp(base) != NULL);
    dir.base = fill_private(base);
    REQUIRE(dir.base >= 0);
    dir.self = openat(dir.base, "private", O_PATH | O_CLOEXEC);
    host = fork_host_in(texts, &dir, pids, -1);
    CHECK_INT(faccessat(dir.base, "private/f1", F_OK, 0), 0);
    kill(host, SIGKILL);
    reap_all();
    CHECK(gone(pids[0]));
    CHECK(faccessat(dir.base, "private", F_OK, 0) < 0 && errno == ENOENT);
    fd = openat(dir.base, "outside/file", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) == 5);
    CHECK_STR(text, "kept\n");
    close(fd);
    CHECK_INT(unlinkat(dir.base, "outside/file", 0), 0);
    CHECK_INT(unlinkat(dir.base, "outside", AT_REMOVEDIR), 0);
    close(dir.base);
    close(dir.self);
    CHECK_INT(rmdir(base), 0);
}

TEST(what_somebody_has_put_in_the_place_of_the_private_directory_is_not_emptied) {
    const char *texts[] = { "exec sleep 1000", NULL };
    char base[] = "/tmp/mw-warden-XXXXXX";
    struct mw_warden_dir dir = { -1, -1, "private" };
    pid_t pids[5], host;

    REQUIRE(mkdtemp(base) != NULL);
    dir.base = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(dir.base >= 0 && mkdirat(dir.base, "private", 0700) == 0);
    dir.self = openat(dir.base, "private", O_PATH | O_CLOEXEC);
    host = fork_host_in(texts, &dir, pids, -1);
    REQUIRE(renameat(dir.base, "private", dir.base, "moved") == 0 && mkdirat(dir.base, "private", 0700) == 0);
    REQUIRE(mkdirat(dir.base, "private/theirs", 0700) == 0);
    kill(host, SIGKILL);
    reap_all();
    CHECK(gone(pids[0]));
    CHECK_INT(unlinkat(dir.base, "private/theirs", AT_REMOVEDIR), 0);
    CHECK_INT(unlinkat(dir.base, "private", AT_REMOVEDIR), 0);
    CHECK_INT(unlinkat(dir.base, "moved", AT_REMOVEDIR), 0);
    close(dir.base);
    close(dir.self);
    CHECK_INT(rmdir(base), 0);
}

TEST(a_child_that_ignores_TERM_is_killed_after_the_grace) {
    const char *texts[] = { "trap '' TERM; echo ready; while :; do sleep 1000; done", NULL };
    int out[2];
    pid_t pids[5], host;
    char c;

    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    host = fork_host(texts, pids, out[1]);
    REQUIRE(read(out[0], &c, 1) == 1);                /* the trap is set */
    kill(host, SIGKILL);
    reap_all();
    CHECK(gone(pids[1]));
    CHECK(gone(pids[0]));
    close(out[0]);
    close(out[1]);
}

TEST(a_child_has_time_to_clean_up_after_TERM) {
    const char *texts[] = { "trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.01; done", NULL };
    int out[2];
    pid_t pids[5], host;
    char text[64] = "";
    ssize_t n;
    size_t len = 0;

    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    host = fork_host(texts, pids, out[1]);
    close(out[1]);
    REQUIRE(read(out[0], text, 6) == 6);
    kill(host, SIGKILL);
    while (len < sizeof text - 1 && (n = read(out[0], text + len, sizeof text - 1 - len)) > 0) len += (size_t)n;
    text[len] = '\0';
    CHECK_STR(text, "bye\n");
    close(out[0]);
    reap_all();
    CHECK(gone(pids[0]));
}

TEST(a_warden_that_is_closed_is_reaped_and_ends_nobody) {
    uv_loop_t loop;
    struct mw_child child;
    mw_warden *w = NULL;
    pid_t warden;

    REQUIRE(uv_loop_init(&loop) == 0);
    REQUIRE(mw_warden_open(&loop, NULL, "process run", NULL, NULL, &w, NULL) == 0);
    warden = mw_warden_pid(w);
    REQUIRE(spawn_shell(&loop, &child, w, "exec sleep 1000", -1) == 0);
    CHECK_INT(mw_warden_running(w), 1);
    mw_warden_close(w);
    CHECK(kill(warden, 0) < 0 && errno == ESRCH);
    CHECK_INT(kill(child.pid, 0), 0);
    mw_child_end(&child);
    mw_child_close(&child, on_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST(a_dead_warden_stops_the_next_spawn_before_it_runs) {
    uv_loop_t loop;
    struct mw_child child;
    uv_timer_t hold;                                  /* keeps the loop turning: a warden does not */
    mw_warden *w = NULL;

    REQUIRE(uv_loop_init(&loop) == 0);
    REQUIRE(mw_warden_open(&loop, NULL, "process run", NULL, NULL, &w, NULL) == 0);
    kill(mw_warden_pid(w), SIGKILL);
    uv_timer_init(&loop, &hold);
    uv_timer_start(&hold, on_timer, 10, 10);
    while (mw_warden_running(w)) uv_run(&loop, UV_RUN_ONCE);
    CHECK_INT(mw_warden_tell(w, MW_WARDEN_LEFT, 12345), -EPIPE);
    CHECK_INT(spawn_shell(&loop, &child, w, "exit 0", -1), -EPIPE);
    CHECK_INT(child.running, 0);
    uv_close((uv_handle_t *)&hold, NULL);
    mw_child_close(&child, on_closed);
    mw_warden_close(w);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST(a_warden_does_not_listen_to_TERM) {
    uv_loop_t loop;
    mw_warden *w = NULL;
    int i;

    REQUIRE(uv_loop_init(&loop) == 0);
    REQUIRE(mw_warden_open(&loop, NULL, "process run", NULL, NULL, &w, NULL) == 0);
    for (i = 0; i < 3; i++) CHECK_INT(mw_warden_tell(w, MW_WARDEN_LEFT, 1), 0);   /* it has begun: it reads */
    kill(mw_warden_pid(w), SIGTERM);
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK_INT(mw_warden_running(w), 1);
    mw_warden_close(w);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
}

#else

TEST(there_is_no_warden_here) {
    uv_loop_t loop;
    mw_warden *w = NULL;

    REQUIRE(uv_loop_init(&loop) == 0);
    CHECK_INT(mw_warden_open(&loop, NULL, "process run", NULL, NULL, &w, NULL), -ENOSYS);
    uv_loop_close(&loop);
}

#endif
