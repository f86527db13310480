/* Hosts that are ended in whatever state: nothing of theirs is left, be it memory, descriptors, children or threads.
 * Knows: moonwire.h, uv.h (for a borrowed loop), /proc. Never: how long something takes. */
#include "support/check.h"

#include <dirent.h>
#include <sys/wait.h>
#include <uv.h>

#include "moonwire.h"

#define MW "local mw = require 'moonwire' local task = mw.task "

static size_t held;             /* bytes of all Lua states */

static void *counted(void *ud, void *ptr, size_t osize, size_t nsize) {
    void *made;

    (void)ud;
    if (nsize == 0) {
        if (ptr != NULL) held -= osize;
        free(ptr);
        return NULL;
    }
    made = realloc(ptr, nsize);
    if (made != NULL) held += nsize - (ptr != NULL ? osize : 0);
    return made;
}
static int entries(const char *path) {
    DIR *d = opendir(path);
    int n = 0;
    while (d != NULL && readdir(d) != NULL) n++;
    if (d != NULL) closedir(d);
    return n;
}
static void quiet_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)h;
    (void)text;
    (void)len;
    (void)ud;
}
static void quiet_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    (void)h;
    (void)traceback;
    if (err->code != MW_ELIMIT && err->code != MW_ECANCELED) printf("# %s\n", err->message);
    ++*(int *)ud;
}
static void quiet_message(mw_host *h, const char *topic, const void *msgpack, size_t len, void *ud) {
    (void)h;
    (void)topic;
    (void)msgpack;
    (void)len;
    (void)ud;
}
static int answer(mw_host *h, mw_call *call, void *ud) {
    (void)h;
    (void)ud;
    return mw_return_integer(call, 42);
}
static void ignore(mw_host *h, int fd, int events, void *ud) {
    (void)h;
    (void)fd;
    (void)events;
    (void)ud;
}
static void ignore_signal(mw_host *h, int signum, void *ud) {
    (void)h;
    (void)signum;
    (void)ud;
}

static const struct state {
    const char *name, *script;
} states[] = {
    { "nothing was loaded", NULL },
    { "a script that is over", "x = 1" },
    { "a script that failed", MW "task.spawn(function() mw.fail('ELIMIT', 'on purpose') end) task.wait()" },
    { "a task that waits", MW "task.wait()" },
    { "a thousand that sleep", MW "for i = 1, 1000 do task.spawn(task.sleep, 100 + i) end" },
    { "one that stands still at the budget", "while true do end" },
    { "one that stands still in a coroutine", "coroutine.wrap(function() local c <close> = setmetatable({}, {__close = function() end}) while true do end end)()" },
    { "a cleanup that waits", MW "local c <close> = setmetatable({}, {__close = function() task.sleep(100) end}) task.wait()" },
    { "a listener with a connection in the middle of a line",
      MW "local s = assert(mw.net.listen('tcp://127.0.0.1:0')) task.spawn_with({daemon = true}, s.serve, s, function(c) c:read('l') end)\n"
         "local c = assert(mw.net.connect(s:address())) c:write('half') task.wait()" },
    { "a child that reads", MW "local c = assert(mw.process.spawn{'cat', stdin = 'pipe', stdout = 'pipe'}) c.stdin:write('x') task.wait()" },
    { "a child on its way", MW "task.spawn(mw.process.run, {'sleep', '100'}) task.wait()" },
    { "a timer that is due", MW "while true do task.sleep(0) end" },
    { "shared memory and a ring", MW "M = mw.shm.create{size = 65536} R = mw.shm.ring{capacity = 65536} task.wait()" },
    { "functions that are asked", MW "assert(mw.host.answer() == 42) F = mw.host.answer mw.host.handle('f', print) task.wait()" },
    { "messages that nobody took", MW "local l = mw.host.on('t', function() task.sleep(100) end) mw.host.emit('out', 1, {2}) task.wait()" },
};
#define STATES (sizeof states / sizeof *states)

static mw_host *make(uv_loop_t *loop, const struct state *s, int pipe_fd, int *errors) {
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;

    mw_config_init(&cfg);
    cfg.alloc = counted;
    cfg.on_print = quiet_print;
    cfg.on_error = quiet_error;
    cfg.on_message = quiet_message;
    cfg.ud = errors;
    cfg.shutdown_ms = 50;
    cfg.limits.step_ns = 50000000;
    CHECK((mw_policy_new(&cfg.policy, &err)) == 0);
    CHECK((mw_policy_add_all(cfg.policy, &err)) == 0);
    CHECK((loop != NULL ? mw_host_new_on(loop, &cfg, &h, &err) : mw_host_new(&cfg, &h, &err)) == 0);
    mw_policy_free(cfg.policy);
    CHECK(mw_host_register(h, "answer", answer, NULL, NULL) == 0);
    CHECK(mw_host_watch_fd(h, pipe_fd, MW_WATCH_READ, ignore, NULL, NULL) == 0);
    CHECK(mw_host_on_signal(h, SIGUSR2, ignore_signal, NULL, NULL) == 0);
    if (s->script != NULL && mw_host_load_string(h, s->script, strlen(s->script), "=state", &err) != 0) check_fail(__FILE__, __LINE__, "%s", err.message);
    return h;
}
static void go_on(mw_host *h, int steps) {
    for (int i = 0; i < steps; i++) {
        mw_buf b = { 0 };
        mw_buf_integer(&b, i);
        (void)mw_host_post(h, "t", b.at, b.len, NULL);
        (void)mw_host_post(h, "nobody", b.at, b.len, NULL);
        CHECK(mw_host_step(h, 500, NULL, NULL) == 0);
        mw_buf_free(&b);
    }
}
static void gone(void *ud) {
    ++*(int *)ud;
}

TEST(a_host_that_is_freed_in_any_state_leaves_nothing) {
    int ends[2], warm = 0;

    REQUIRE(pipe(ends) == 0);
    mw_host_free(make(NULL, &states[0], ends[0], &warm)); /* libuv keeps a pipe for the signals of the process */
    for (size_t i = 0; i < STATES; i++)
        for (int steps = 0; steps < 12; steps = steps * 2 + 1) {
            int fds = entries("/proc/self/fd"), errors = 0;
            mw_host *h = make(NULL, &states[i], ends[0], &errors);
            go_on(h, steps);
            mw_host_free(h);
            if (held != 0 || entries("/proc/self/fd") != fds)
                check_fail(__FILE__, __LINE__, "%s, after %d steps: %zu bytes, %d descriptors", states[i].name, steps, held, entries("/proc/self/fd") - fds);
            held = 0;
        }
    CHECK(waitpid(-1, NULL, WNOHANG) < 0); /* no child, not even a dead one */
    close(ends[0]);
    close(ends[1]);
}

TEST(a_host_that_is_closed_on_a_borrowed_loop_leaves_the_loop_as_it_was) {
    int ends[2];

    REQUIRE(pipe(ends) == 0);
    for (size_t i = 0; i < STATES; i++) {
        int fds = entries("/proc/self/fd"), errors = 0, closed = 0;
        uv_loop_t loop;
        mw_host *h;

        REQUIRE(uv_loop_init(&loop) == 0);
        h = make(&loop, &states[i], ends[0], &errors);
        for (int k = 0; k < 20; k++) uv_run(&loop, UV_RUN_NOWAIT);
        CHECK(mw_host_close(h, gone, &closed, NULL) == 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        CHECK(closed == 1);
        CHECK(uv_loop_close(&loop) == 0);
        if (held != 0 || entries("/proc/self/fd") != fds)
            check_fail(__FILE__, __LINE__, "%s: %zu bytes, %d descriptors", states[i].name, held, entries("/proc/self/fd") - fds);
        held = 0;
    }
    close(ends[0]);
    close(ends[1]);
}

TEST(a_hundred_hosts_step_side_by_side_and_end_in_any_order) {
    static mw_host *all[100];
    int ends[2], errors = 0, fds = entries("/proc/self/fd");

    REQUIRE(pipe(ends) == 0);
    for (int i = 0; i < 100; i++) {
        const struct state *s = &states[(size_t)i % 9]; /* those without children */
        all[i] = make(NULL, s, ends[0], &errors);
    }
    for (int k = 0; k < 5; k++)
        for (int i = 0; i < 100; i++) CHECK(mw_host_step(all[i], 200, NULL, NULL) == 0);
    for (int i = 0; i < 100; i++) mw_host_free(all[i * 37 % 100]);
    CHECK(held == 0);
    close(ends[0]);
    close(ends[1]);
    CHECK(entries("/proc/self/fd") == fds);
}
