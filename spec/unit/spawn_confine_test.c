/* io/spawn with a cage: what a confined child cannot call, that everything ordinary works, and that no cage means no child.
 * Knows: io/spawn, policy/confine's filter, a bare libuv loop. Never: Landlock's rules (policy/confine has its own tests). */
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "io/spawn.h"
#include "policy/confine.h"
#include "support/confine_child.h"

/* ---- Starting it ---------------------------------------------------------------------------------------------------------- */

struct run {
    uv_loop_t loop;
    struct mw_child child;
    struct mw_spawn s;
    struct mw_err err;
    struct sock_filter code[MW_FILTER_MAX];
    struct sock_fprog filter;
    char *argv[3];
    int fds[3], out, ended, closed;
    char text[16384];
};

static void on_ended(struct mw_child *c) {
    ((struct run *)c->ud)->ended++;
}
static void on_closed(struct mw_child *c) {
    ((struct run *)c->ud)->closed++;
}

static void setup(struct run *r, const char *path, const char *what) {
    static char *no_env[] = { NULL };
    static char child[] = "child";
    int ends[2];

    memset(r, 0, sizeof *r);
    REQUIRE(uv_loop_init(&r->loop) == 0);
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    r->out = ends[0];
    r->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    r->fds[1] = ends[1];
    r->fds[2] = fcntl(2, F_DUPFD_CLOEXEC, 3);
    r->argv[0] = child;
    r->argv[1] = (char *)(uintptr_t)what;
    r->child.ud = r;
    r->s = (struct mw_spawn){ .op = "process run", .path = path, .cwd_fd = -1, .argv = r->argv, .envp = no_env, .fds = r->fds, .count = 3,
                              .tty_fd = -1, .warden_fd = -1, .ruleset = -1, .exec_fd = open(path, O_PATH | O_CLOEXEC) };
}

static void confine(struct run *r, unsigned flags) {
    int length = mw_filter_write(flags, r->code);

    REQUIRE(length > 0);
    r->filter.len = (unsigned short)length;
    r->filter.filter = r->code;
    r->s.filter = &r->filter;
    r->s.confine = 1;
}

static int start(struct run *r) {
    int rc = mw_child_start(&r->loop, &r->s, &r->child, NULL, on_ended, &r->err), i;
    size_t len = 0;
    ssize_t n;

    for (i = 0; i < 3; i++) close(r->fds[i]);
    close(r->s.exec_fd);
    while (len + 1 < sizeof r->text && (n = read(r->out, r->text + len, sizeof r->text - 1 - len)) > 0) len += (size_t)n;
    while (r->child.running && uv_run(&r->loop, UV_RUN_ONCE)) { }
    close(r->out);
    mw_child_close(&r->child, on_closed);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&r->loop), 0);
    return rc;
}

#ifndef MW_SPAWN_UV

/* What the child was told at one attempt. */
static int told(const struct run *r, const char *name) {
    const char *at = r->text;
    size_t len = strlen(name);

    while (at != NULL && !(strncmp(at, name, len) == 0 && at[len] == ' ')) {
        at = strchr(at, '\n');
        if (at != NULL) at++;
    }
    if (at == NULL) check_fail(__FILE__, __LINE__, "no attempt %s", name);
    return at == NULL ? -1 : atoi(at + len);
}

static void attempt_with(struct run *r, int caged, unsigned flags) {
    setup(r, "/proc/self/exe", "attempts");
    if (caged) confine(r, flags);
    REQUIRE(start(r) == 0);
    REQUIRE(r->child.exit.code == 0);
}

#define TOLD(r, name, error)                                                                              \
    do {                                                                                                  \
        int got_ = told(r, name);                                                                         \
        if (got_ != (error)) check_fail(__FILE__, __LINE__, "%s: %s, expected %s", name, strerror(got_), strerror(error)); \
    } while (0)

static const char *const never[] = {
    "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "ptrace", "process_vm_readv", "kcmp", "bpf", "perf_event_open", "userfaultfd",
    "keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load", "reboot", "swapon", "swapoff",
    "sethostname", "settimeofday", "clock_settime", "adjtimex", "syslog", "acct", "quotactl", "name_to_handle_at", "open_by_handle_at",
    "shmget", "semget", "msgget", "mq_open", "fanotify_init", "statmount", "typing", "typing_high", "pasting", "discipline",
    "readable_is_executable", "new_user", "new_net", "new_mounts", "sibling", "parents_limits", "anothers_priority", "anothers_io_priority",
    "anothers_cores", "other_protocol", NULL
};
static const char *const metadata[] = {
#ifdef SYS_chmod
    "chmod", "chown", "utimes",
#endif
    "fchmod", "fchmodat", "fchown", "fchownat", "utimensat", "setxattr", "fsetxattr", "removexattr", "fchmodat2", "setxattrat", "file_setattr",
    "chattr", NULL
};
static const char *const sockets[] = {
    "inet_stream", "inet6_stream", "inet_datagram", "mptcp", "unix_stream", "unix_datagram", "raw", "netlink", "netlink_audit", "packet", "alg",
    "vsock", "datagram_pair", "listen", "bind", "connect", "inotify_add_watch", NULL
};
static const char *const gone[] = { "io_uring_setup", "io_uring_enter", "clone3", "beyond_the_table", NULL };

static void all_told(const struct run *r, const char *const *names, int error) {
    for (; *names != NULL; names++) TOLD(r, *names, error);
}

TEST(a_confined_child_is_refused_every_call_that_leads_out) {
    struct run r;

    attempt_with(&r, 1, 0);
    all_told(&r, never, EPERM);
    all_told(&r, metadata, EPERM);
    all_told(&r, sockets, EACCES);
    all_told(&r, gone, ENOSYS);
    TOLD(&r, "getxattr", EOPNOTSUPP);
    TOLD(&r, "listxattr", EOPNOTSUPP);
    TOLD(&r, "interfaces", EPERM);
    TOLD(&r, "fast_open", EOPNOTSUPP);
    TOLD(&r, "fast_message", EOPNOTSUPP);
    TOLD(&r, "fast_messages", EOPNOTSUPP);
}

TEST(what_is_harmless_reaches_the_kernel_in_a_confined_child) {
    struct run r;

    attempt_with(&r, 1, 0);
    TOLD(&r, "stream_pair", 0);
    TOLD(&r, "packet_pair", 0);
    TOLD(&r, "plain_fork", 0);
    TOLD(&r, "own_limits", 0);
    TOLD(&r, "own_priority", 0);
    TOLD(&r, "which_personality", 0);
    TOLD(&r, "slow_send", EBADF);
    TOLD(&r, "window_size", EBADF);
    TOLD(&r, "no_delay", EBADF);
    CHECK(told(&r, "openat2") != ENOSYS);
    CHECK(told(&r, "truncate") != EPERM);
    TOLD(&r, "truncate_reading", EFAULT);
    TOLD(&r, "parent_signal", 0);                          /* Landlock's, from version 6 on */
}

/* So that the attempts show something: without a cage the kernel sees them. Some systems refuse one or the other themselves. */
TEST(an_unconfined_child_is_told_something_else) {
    struct run r;
    int same = 0, i, n = 0;

    attempt_with(&r, 0, 0);
    for (i = 0; never[i] != NULL; i++, n++) same += told(&r, never[i]) == EPERM;
    CHECK(same < (geteuid() == 0 ? n / 4 : n));
    for (same = i = 0; metadata[i] != NULL; i++) same += told(&r, metadata[i]) == EPERM;
    CHECK_INT(same, 0);
    TOLD(&r, "unix_stream", 0);
    TOLD(&r, "datagram_pair", 0);
    TOLD(&r, "typing", EBADF);
    TOLD(&r, "readable_is_executable", 0);
}

TEST(each_flag_lets_through_what_it_says) {
    struct run r;

    attempt_with(&r, 1, MW_FILTER_TCP);
    TOLD(&r, "inet_stream", 0);
    CHECK(told(&r, "inet6_stream") != EACCES);             /* a system may have none */
    TOLD(&r, "inet_datagram", EACCES);
    TOLD(&r, "mptcp", EACCES);
    TOLD(&r, "listen", EACCES);
    TOLD(&r, "unix_stream", EACCES);
    attempt_with(&r, 1, MW_FILTER_UDP | MW_FILTER_LISTEN);
    TOLD(&r, "inet_datagram", 0);
    TOLD(&r, "inet_stream", EACCES);
    TOLD(&r, "raw", EACCES);
    TOLD(&r, "listen", EBADF);
    attempt_with(&r, 1, MW_FILTER_UNIX | MW_FILTER_NETLINK);
    TOLD(&r, "unix_stream", 0);
    TOLD(&r, "unix_datagram", 0);
    TOLD(&r, "datagram_pair", 0);
    TOLD(&r, "netlink", 0);
    TOLD(&r, "netlink_audit", EACCES);
    TOLD(&r, "interfaces", EBADF);
    TOLD(&r, "inet_stream", EACCES);
    attempt_with(&r, 1, MW_FILTER_METADATA | MW_FILTER_WATCH);
    TOLD(&r, "fchmod", EBADF);
    TOLD(&r, "chattr", EBADF);
    TOLD(&r, "setxattr", EFAULT);
    TOLD(&r, "getxattr", EFAULT);
    CHECK(told(&r, "inotify_add_watch") != EACCES);
}

TEST(an_older_Landlocks_gaps_are_closed_by_the_filter) {
    struct run r;

    attempt_with(&r, 1, MW_FILTER_OLD_TRUNCATE | MW_FILTER_OLD_SIGNALS);
    TOLD(&r, "truncate", EPERM);
    TOLD(&r, "truncate_reading", EPERM);
    TOLD(&r, "truncate_writing", EFAULT);
    TOLD(&r, "openat2", ENOSYS);
    TOLD(&r, "parent_signal", EPERM);
    TOLD(&r, "parent_thread", EPERM);
}

TEST(ordinary_work_goes_on_in_a_cage) {
    struct run r;

    setup(&r, "/proc/self/exe", "ordinary");
    confine(&r, 0);
    REQUIRE(start(&r) == 0);
    CHECK_STR(r.text, "done\n");
}

TEST(one_process_has_threads_and_no_child) {
    struct run r;

    attempt_with(&r, 1, MW_FILTER_ONE_PROCESS);
    TOLD(&r, "plain_fork", EPERM);
    setup(&r, "/proc/self/exe", "ordinary alone");
    confine(&r, MW_FILTER_ONE_PROCESS);
    REQUIRE(start(&r) == 0);
    CHECK_STR(r.text, "done\n");
}

TEST(calls_of_another_architecture_end_a_confined_child) {
#ifdef __x86_64__
    static const char *const which[] = { "i386", "x32" };
    struct run r;
    int i;

    for (i = 0; i < 2; i++) {
        setup(&r, "/proc/self/exe", which[i]);
        confine(&r, 0);
        REQUIRE(start(&r) == 0);
        CHECK_STR(r.text, "");
        CHECK_INT(r.child.exit.signal, SIGSYS);
    }
#else
    struct sock_filter code[MW_FILTER_MAX];
    CHECK(mw_filter_write(0, code) > 0);
#endif
}

/* ---- The cage itself ------------------------------------------------------------------------------------------------------ */

TEST(a_confined_child_has_no_privileges_to_come_and_few_to_keep) {
    struct run r;
    const char *line;

    setup(&r, "/bin/cat", "/proc/self/status");
    confine(&r, 0);
    REQUIRE(start(&r) == 0);
    CHECK(strstr(r.text, "NoNewPrivs:\t1") != NULL);
    CHECK(strstr(r.text, "Seccomp:\t2") != NULL);
    line = strstr(r.text, "CapEff:");
    REQUIRE(line != NULL);
    CHECK((strtoull(line + 7, NULL, 16) & ~0x4ffull) == 0);          /* files, identity, its own children, low ports */
}

/* Each step's failure has its name, and the program does not run. */
static void fails(struct run *r, int error, const char *says) {
    CHECK_INT(start(r), -error);
    CHECK_INT(r->err.code, -error);
    if (strstr(r->err.message, says) == NULL) check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", r->err.message, says);
    CHECK_STR(r->text, "");
    CHECK_INT(r->ended, 0);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST(a_child_whose_cage_cannot_be_put_on_does_not_run) {
    struct mw_spawn_limit bad = { 99, 1, 1 };
    struct run r;

    setup(&r, "/bin/echo", "ran");
    confine(&r, 0);
    r.filter.len = 0;
    fails(&r, EINVAL, "filter of system calls");

    setup(&r, "/bin/echo", "ran");
    confine(&r, 0);
    r.s.ruleset = r.fds[1];                                          /* no ruleset */
    CHECK(start(&r) < 0);
    CHECK_STR(r.text, "");
    CHECK(strstr(r.err.message, "Landlock") != NULL);

    setup(&r, "/bin/echo", "ran");
    r.s.limits = &bad;
    r.s.limit_count = 1;
    fails(&r, EINVAL, "its limit of");

    setup(&r, "/bin/echo", "ran");
    r.s.join_fd = r.fds[0];                                          /* open for reading only */
    fails(&r, EBADF, "control group");

    setup(&r, "/bin/echo", "ran");
    r.s.death_signal = 99;
    fails(&r, EINVAL, "with its parent");
}

TEST(limits_are_the_childs_and_not_ours) {
    struct mw_spawn_limit limits[] = { { RLIMIT_NOFILE, 33, 44 }, { RLIMIT_CPU, 5, 6 }, { RLIMIT_CORE, 0, 0 }, { RLIMIT_AS, 1 << 30, 1 << 30 } };
    struct rlimit before, after;
    struct run r;

    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    setup(&r, "/bin/cat", "/proc/self/limits");
    r.s.nofile = 55;                                                 /* the later one counts */
    r.s.limits = limits;
    r.s.limit_count = 4;
    REQUIRE(start(&r) == 0);
    CHECK(strstr(r.text, "Max open files            33                   44 ") != NULL);
    CHECK(strstr(r.text, "Max cpu time              5                    6 ") != NULL);
    CHECK(strstr(r.text, "Max core file size        0                    0 ") != NULL);
    CHECK(strstr(r.text, "Max address space         1073741824           1073741824 ") != NULL);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &after) == 0);
    CHECK(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max);
}

/* The pipe ends when nobody holds it any more: the child does not outlive the thread that started it. */
TEST(a_death_signal_ends_a_child_with_its_parent) {
    char *argv[] = { (char[]){ "sleep" }, (char[]){ "1000" }, NULL };
    int ends[2];
    pid_t middle;
    char c;

    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    middle = fork();
    if (middle == 0) {
        struct run r;
        setup(&r, "/bin/sleep", NULL);
        confine(&r, 0);
        r.s.argv = argv;
        r.fds[1] = ends[1];
        r.s.death_signal = SIGKILL;
        _exit(mw_child_start(&r.loop, &r.s, &r.child, NULL, on_ended, &r.err) == 0 ? 0 : 1);
    }
    close(ends[1]);
    CHECK_INT(read(ends[0], &c, 1), 0);
    close(ends[0]);
    {
        int status = -1;
        REQUIRE(waitpid(middle, &status, 0) == middle);
        CHECK_INT(status, 0);
    }
}

/* ---- With Landlock -------------------------------------------------------------------------------------------------------- */

extern const unsigned char mw_warden_blob[], mw_warden_blob_end[];   /* a static program: it ends with its standard input */

static int nothing_executes(void) {
    struct { uint64_t fs, net, scoped; } handled = { 1, 0, 0 };      /* LANDLOCK_ACCESS_FS_EXECUTE */
    return (int)syscall(444, &handled, sizeof handled.fs, 0);
}

TEST(a_static_program_in_memory_runs_where_no_file_may) {
    struct run r;
    int ruleset = nothing_executes(), fd = memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t size = (size_t)(mw_warden_blob_end - mw_warden_blob);

    if (ruleset < 0) {
        printf("# no Landlock here\n");
        CHECK(errno == ENOSYS || errno == EOPNOTSUPP);
        close(fd);
        return;
    }
    REQUIRE(fd >= 0 && write(fd, mw_warden_blob, size) == (ssize_t)size);
    setup(&r, "/bin/echo", "ran");
    confine(&r, 0);
    r.s.ruleset = ruleset;
    fails(&r, EACCES, "its cage does not let it");

    setup(&r, "/bin/echo", "ran");
    confine(&r, 0);
    r.s.ruleset = ruleset;
    close(r.s.exec_fd);
    r.s.exec_fd = fd;
    CHECK_INT(start(&r), 0);
    CHECK_INT(r.child.exit.signal, 0);
    close(ruleset);
}

/* In a process of its own: its layers are for good. Its exit code: 0 when the 17th was refused in words. */
static int seventeenth(int ruleset) {
    struct run r;
    int i;

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (i = 0; i < 16; i++) if (syscall(446, ruleset, 0) < 0) return 2;
    setup(&r, "/bin/echo", "ran");
    confine(&r, 0);
    r.s.ruleset = ruleset;
    if (start(&r) != -E2BIG || r.text[0] != '\0') return 3;
    return strstr(r.err.message, "no deeper than 16") != NULL ? 0 : 4;
}

TEST(a_cage_inside_sixteen_others_is_refused_in_words) {
    struct { uint64_t fs, net, scoped; } handled = { 1 << 6, 0, 0 };  /* LANDLOCK_ACCESS_FS_MAKE_CHAR: nobody misses it */
    int ruleset = (int)syscall(444, &handled, sizeof handled.fs, 0), status = -1;
    pid_t pid;

    if (ruleset < 0) {
        printf("# no Landlock here\n");
        CHECK(errno == ENOSYS || errno == EOPNOTSUPP);
        return;
    }
    pid = fork();
    if (pid == 0) _exit(seventeenth(ruleset));
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    close(ruleset);
}

#else

TEST(a_build_that_cannot_confine_says_so_and_starts_nothing) {
    struct mw_spawn_limit limit = { RLIMIT_CORE, 0, 0 };
    struct run r;

    CHECK_INT(mw_spawn_confines(), 0);
    setup(&r, "/bin/echo", "ran");
    confine(&r, 0);
    CHECK_INT(start(&r), -EOPNOTSUPP);
    CHECK_STR(r.text, "");
    setup(&r, "/bin/echo", "ran");
    r.s.limits = &limit;
    r.s.limit_count = 1;
    CHECK_INT(start(&r), -EOPNOTSUPP);
    CHECK_STR(r.text, "");
}

#endif
