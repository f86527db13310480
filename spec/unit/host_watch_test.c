/* An engine's descriptors and signals on a host's loop.
 * Knows: moonwire.h, uv.h (for a borrowed loop). Never: what is under moonwire.h. */
#include "support/check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <uv.h>

#include "moonwire.h"

struct seen {
    int calls, fd, events, limit;
    char bytes[64];
    mw_host *other;
};

static mw_host *make_on(uv_loop_t *loop) {
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;

    mw_config_init(&cfg);
    cfg.shutdown_ms = 200;
    if ((loop != NULL ? mw_host_new_on(loop, &cfg, &h, &err) : mw_host_new(&cfg, &h, &err)) != 0) printf("# %s\n", err.message);
    return h;
}
static void load(mw_host *h, const char *text) {
    CHECK_INT(mw_host_load_string(h, text, strlen(text), "=test", NULL), 0);
}
static void step(mw_host *h) {
    CHECK_INT(mw_host_step(h, 0, NULL, NULL), 0);
}

static void count(mw_host *h, int fd, int events, void *ud) {
    struct seen *s = ud;
    (void)h;
    s->calls++;
    s->fd = fd;
    s->events |= events;
}
static void drain(mw_host *h, int fd, int events, void *ud) {
    struct seen *s = ud;
    ssize_t n = read(fd, s->bytes, sizeof s->bytes - 1);
    count(h, fd, events, ud);
    s->bytes[n > 0 ? n : 0] = 0;
}

TEST(a_watched_descriptor_calls_inside_a_step_though_no_script_runs) {
    struct seen s = {0};
    int p[2];
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && pipe(p) == 0);
    CHECK_INT(mw_host_watch_fd(h, p[0], MW_WATCH_READ, drain, &s, NULL), 0);
    step(h);
    CHECK_INT(s.calls, 0);
    CHECK(write(p[1], "hello", 5) == 5);
    step(h);
    CHECK_INT(s.calls, 1);
    CHECK_INT(s.fd, p[0]);
    CHECK_INT(s.events, MW_WATCH_READ);
    CHECK_STR(s.bytes, "hello");
    step(h);
    CHECK_INT(s.calls, 1);
    mw_host_free(h);
    close(p[0]);
    close(p[1]);
}

TEST(a_step_with_a_budget_looks_too) {
    struct seen s = {0};
    int p[2];
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && pipe(p) == 0);
    load(h, "while true do end");
    CHECK_INT(mw_host_watch_fd(h, p[0], MW_WATCH_READ, drain, &s, NULL), 0);
    CHECK(write(p[1], "hello", 5) == 5);
    for (int i = 0; i < 5; i++) CHECK_INT(mw_host_step(h, 1000, NULL, NULL), 0);
    CHECK_INT(s.calls, 1);
    mw_host_free(h);
    close(p[0]);
    close(p[1]);
}

static void *write_later(void *arg) {
    usleep(2000); /* the other side sleeps by then, or not: both are right */
    CHECK(write(*(int *)arg, "x", 1) == 1);
    return NULL;
}

TEST(a_host_without_tasks_sleeps_until_its_descriptor_is_ready) {
    struct seen s = {0};
    pthread_t t;
    int p[2];
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && pipe(p) == 0);
    mw_host_watch_fd(h, p[0], MW_WATCH_READ, drain, &s, NULL);
    pthread_create(&t, NULL, write_later, &p[1]);
    while (s.calls == 0) CHECK_INT(mw_host_run_once(h, -1, NULL, NULL), 0);
    pthread_join(t, NULL);
    CHECK_STR(s.bytes, "x");
    mw_host_free(h);
    close(p[0]);
    close(p[1]);
}

TEST(a_watch_keeps_no_run_alive) {
    struct seen s = {0};
    int p[2], status = -1;
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && pipe(p) == 0);
    mw_host_watch_fd(h, p[0], MW_WATCH_READ, count, &s, NULL);
    load(h, "local x = 1");
    CHECK_INT(mw_host_run(h, &status, NULL), 0);
    CHECK_INT(status, 0);
    mw_host_free(h);
    close(p[0]);
    close(p[1]);
}

TEST(it_is_called_as_long_as_it_is_ready_and_not_after_it_was_told_otherwise) {
    struct seen s = {0}, t = {0};
    int p[2];
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    mw_host_watch_fd(h, p[0], MW_WATCH_READ | MW_WATCH_WRITE, count, &s, NULL);
    step(h), step(h);
    CHECK_INT(s.calls, 2);
    CHECK_INT(s.events, MW_WATCH_WRITE);
    mw_host_watch_fd(h, p[0], MW_WATCH_READ, count, &t, NULL); /* replaces */
    step(h);
    CHECK_INT(s.calls, 2);
    CHECK_INT(t.calls, 0);
    CHECK(write(p[1], "x", 1) == 1);
    step(h);
    CHECK_INT(t.calls, 1);
    CHECK_INT(mw_host_watch_fd(h, p[0], 0, NULL, NULL, NULL), 0);
    CHECK_INT(mw_host_watch_fd(h, p[0], 0, NULL, NULL, NULL), 0);
    step(h);
    CHECK_INT(t.calls, 1);
    mw_host_free(h);
    close(p[0]);
    close(p[1]);
}

TEST(one_that_was_hung_up_or_failed_is_told_and_the_host_goes_on) {
    struct seen s = {0}, w = {0};
    int p[2], q[2];
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && pipe(p) == 0 && pipe(q) == 0);
    signal(SIGPIPE, SIG_IGN);
    mw_host_watch_fd(h, p[0], MW_WATCH_READ, count, &s, NULL);
    mw_host_watch_fd(h, q[1], MW_WATCH_WRITE, count, &w, NULL);
    close(p[1]);
    close(q[0]); /* nobody reads: an error, as long as it is watched */
    step(h), step(h), step(h);
    CHECK(s.calls >= 3 && w.calls >= 2);
    CHECK_INT(w.events, MW_WATCH_WRITE);
    mw_host_watch_fd(h, p[0], 0, NULL, NULL, NULL);
    mw_host_watch_fd(h, q[1], 0, NULL, NULL, NULL);
    close(p[0]);
    close(q[1]);
    step(h);
    mw_host_free(h);
}

TEST(a_descriptor_keeps_its_blocking_mode) {
    struct seen s = {0};
    int p[2];
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && pipe(p) == 0);
    mw_host_watch_fd(h, p[0], MW_WATCH_READ, count, &s, NULL);
    CHECK_INT(fcntl(p[0], F_GETFL) & O_NONBLOCK, 0);
    step(h);
    CHECK_INT(fcntl(p[0], F_GETFL) & O_NONBLOCK, 0);
    mw_host_free(h);
    CHECK_INT(fcntl(p[0], F_GETFL) & O_NONBLOCK, 0);
    close(p[0]);
    close(p[1]);
}

TEST(what_cannot_be_watched_is_refused) {
    struct mw_err err;
    int file = open("/proc/self/exe", O_RDONLY), p[2];
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && file >= 0 && pipe(p) == 0);
    CHECK_INT(mw_host_watch_fd(h, file, MW_WATCH_READ, count, NULL, &err), MW_EINVAL);
    CHECK(strstr(err.message, "a file") != NULL);
    CHECK_INT(mw_host_watch_fd(h, -1, MW_WATCH_READ, count, NULL, &err), MW_EINVAL);
    CHECK_INT(mw_host_watch_fd(h, 100000, MW_WATCH_READ, count, NULL, &err), MW_EINVAL);
    CHECK_INT(mw_host_watch_fd(h, p[0], 8, count, NULL, &err), MW_EINVAL);
    CHECK_INT(mw_host_watch_fd(h, p[0], MW_WATCH_READ, NULL, NULL, &err), MW_EINVAL);
    mw_host_free(h);
    close(file);
    close(p[0]);
    close(p[1]);
}

TEST(a_number_that_another_descriptor_has_by_now_can_be_watched_again) {
    struct seen s = {0};
    int p[2], q[2];
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL && pipe(p) == 0 && pipe(q) == 0);
    mw_host_watch_fd(h, p[0], MW_WATCH_READ, count, &s, NULL);
    step(h);
    CHECK(dup2(q[0], p[0]) == p[0]); /* closed and opened, and the host not told */
    CHECK_INT(mw_host_watch_fd(h, p[0], MW_WATCH_READ, drain, &s, NULL), 0);
    CHECK(write(q[1], "q", 1) == 1);
    step(h);
    CHECK_STR(s.bytes, "q");
    mw_host_free(h);
    close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

/* Ends its own watch, posts, begins another, and may not turn the host. */
static void meddle(mw_host *h, int fd, int events, void *ud) {
    struct seen *s = ud;
    CHECK_INT(mw_host_step(h, 0, NULL, NULL), MW_EINVAL);
    CHECK_INT(mw_host_call(h, "print", NULL, 0, NULL, NULL), MW_EINVAL);
    mw_host_free(h); /* refused, and the host asked to end */
    CHECK_INT(mw_host_post(h, "x", NULL, 0, NULL), 0);
    CHECK_INT(mw_host_watch_fd(h, fd, 0, NULL, NULL, NULL), 0);
    if (s->calls < s->limit) CHECK_INT(mw_host_watch_fd(h, fd, MW_WATCH_READ, meddle, ud, NULL), 0);
    count(h, fd, events, ud);
}

TEST(a_watcher_may_end_itself_and_begin_again_but_not_turn_the_host) {
    struct seen s = {.limit = 2};
    uv_loop_t loop;
    int p[2];

    REQUIRE(pipe(p) == 0);
    uv_loop_init(&loop);
    for (int borrowed = 0; borrowed < 2; borrowed++) {
        mw_host *h = make_on(borrowed ? &loop : NULL);
        REQUIRE(h != NULL);
        s.calls = 0;
        mw_host_watch_fd(h, p[0], MW_WATCH_READ, meddle, &s, NULL);
        if (!borrowed) CHECK(write(p[1], "x", 1) == 1);
        for (int i = 0; i < 5; i++) {
            if (borrowed) uv_run(&loop, UV_RUN_NOWAIT); /* not our turn: still a hook */
            else step(h);
        }
        CHECK_INT(s.calls, 3);
        mw_host_free(h);
    }
    CHECK_INT(uv_loop_close(&loop), 0);
    close(p[0]);
    close(p[1]);
}

/* ---- Signals ----------------------------------------------------------------------------------------------------------------- */

static void on_signal(mw_host *h, int signum, void *ud) {
    struct seen *s = ud;
    (void)h;
    s->calls++;
    s->events = signum;
    if (s->limit == 1) CHECK_INT(mw_host_on_signal(h, signum, NULL, NULL, NULL), 0);
}
static volatile sig_atomic_t own_calls; /* raise() is a leaf to the compiler: it may not call back */
static void own(int signum) {
    (void)signum;
    own_calls++;
}

TEST(a_signal_calls_inside_a_step_and_what_stood_before_comes_back) {
    struct seen s = {0}, t = {0};
    mw_host *h = make_on(NULL), *g = make_on(NULL);

    REQUIRE(h != NULL && g != NULL);
    signal(SIGUSR1, own);
    own_calls = 0;
    CHECK_INT(mw_host_on_signal(h, SIGUSR1, on_signal, &s, NULL), 0);
    CHECK_INT(mw_host_on_signal(g, SIGUSR1, on_signal, &t, NULL), 0); /* both hosts get it */
    raise(SIGUSR1);
    CHECK_INT(s.calls, 0);
    step(h), step(g);
    CHECK_INT(s.calls, 1);
    CHECK_INT(t.calls, 1);
    CHECK_INT(s.events, SIGUSR1);
    mw_host_free(g);
    raise(SIGUSR1);
    step(h);
    CHECK_INT(s.calls, 2);
    CHECK_INT(mw_host_on_signal(h, SIGUSR1, NULL, NULL, NULL), 0);
    CHECK_INT(mw_host_on_signal(h, SIGUSR1, NULL, NULL, NULL), 0);
    CHECK_INT((int)own_calls, 0);
    raise(SIGUSR1);
    CHECK_INT((int)own_calls, 1);
    mw_host_free(h);
}

TEST(a_signal_that_two_hosts_took_is_swallowed_by_nobody_whoever_ends_first) {
    struct sigaction now;

    for (int way = 0; way < 2; way++) {
        struct seen s = {0}, t = {0};
        mw_host *h = make_on(NULL), *g = make_on(NULL);

        REQUIRE(h != NULL && g != NULL);
        signal(SIGUSR2, SIG_DFL);
        CHECK_INT(mw_host_on_signal(h, SIGUSR2, on_signal, &s, NULL), 0);
        CHECK_INT(mw_host_on_signal(g, SIGUSR2, on_signal, &t, NULL), 0);
        mw_host_free(way == 0 ? h : g);
        mw_host_free(way == 0 ? g : h);
        REQUIRE(sigaction(SIGUSR2, NULL, &now) == 0);
        CHECK(now.sa_handler == SIG_DFL);
    }
}

TEST(the_handler_that_stood_before_comes_back_when_the_host_that_watched_first_ends_last) {
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct sigaction now;

    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct seen seen[3] = {{0}, {0}, {0}};
        mw_host *hosts[3];

        signal(SIGUSR2, own);
        own_calls = 0;
        for (int k = 0; k < 3; k++) {
            hosts[k] = make_on(NULL);
            REQUIRE(hosts[k] != NULL);
            CHECK_INT(mw_host_on_signal(hosts[k], SIGUSR2, on_signal, &seen[k], NULL), 0);
        }
        for (int k = 0; k < 3; k++) { /* as long as one watches, it is that one's */
            int which = orders[i][k];
            raise(SIGUSR2);
            step(hosts[which]);
            CHECK(seen[which].calls > 0);
            mw_host_free(hosts[which]);
        }
        CHECK_INT((int)own_calls, 0);
        REQUIRE(sigaction(SIGUSR2, NULL, &now) == 0);
        CHECK(now.sa_handler == (orders[i][2] == 0 ? own : SIG_DFL));
    }
    signal(SIGUSR2, SIG_DFL);
}

TEST(a_signal_may_end_its_own_watch) {
    struct seen s = {.limit = 1};
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL);
    signal(SIGUSR2, own);
    own_calls = 0;
    mw_host_on_signal(h, SIGUSR2, on_signal, &s, NULL);
    raise(SIGUSR2);
    step(h);
    CHECK_INT(s.calls, 1);
    raise(SIGUSR2);
    CHECK_INT((int)own_calls, 1);
    step(h);
    CHECK_INT(s.calls, 1);
    mw_host_free(h);
}

TEST(what_no_program_can_take_or_a_fault_raises_is_refused) {
    static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0, -1, 1000};
    struct mw_err err;
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) CHECK_INT(mw_host_on_signal(h, never[i], on_signal, NULL, &err), MW_EINVAL);
    mw_host_free(h);
}

TEST(a_host_installs_no_handler_unless_asked) {
    struct sigaction now;
    mw_host *h = make_on(NULL);

    REQUIRE(h != NULL);
    load(h, "local x = 1");
    step(h);
    for (int i = 1; i < 32; i++)
        if (i != SIGALRM && i != SIGPIPE && i != SIGUSR1 && i != SIGUSR2 && sigaction(i, NULL, &now) == 0) {
            if (now.sa_handler != SIG_DFL) printf("# signal %d\n", i);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
            CHECK(now.sa_handler == SIG_DFL);
#endif
        }
    mw_host_free(h);
}
