/* Fuzz target: the C API in any order that its contract allows, several hosts at once, one of them on a borrowed loop; hooks, registered
 * functions and watchers choose from the same bytes, and ask for what they may not do too. Nothing crashes or leaks; codes are those that
 * the header names; what comes out is whole.
 * Knows: moonwire.h, uv.h (for the borrowed loop), threads. Never: what is under moonwire.h. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "moonwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

enum { HOSTS = 3, BORROWED = 2, DEPTH = 3, POSTS = 20 };

#define MW "local mw = require 'moonwire' "
static const char *const scripts[] = {
    MW "mw.host.on('a', print) mw.host.on('b', function(...) mw.host.emit('got', ...) end)",
    MW "mw.host.handle('f', function(...) return ... end) mw.host.handle('g', function() mw.task.sleep(0.001) return 1 end)",
    MW "function h(...) return select('#', ...), mw.host.f(...) end function boom() error({}) end",
    MW "local x <close> = setmetatable({}, { __close = function() pcall(mw.host.f, 1) mw.host.emit('closed') end }) mw.task.sleep(0.002)",
    MW "for i = 1, 5 do mw.task.spawn(function() mw.task.sleep(i / 5000) mw.host.emit('t', i, { i, x = {} }) end) end",
    MW "print(pcall(mw.host.f, 1, 'two', { 3 }, nil, 1.5)) print(pcall(mw.host.g)) print(pcall(function() return mw.host.nothing end))",
    MW "error('boom')",
    MW "mw.exit(3)",
    MW "local a = mw.host.on('a', function() a_closed = true end) mw.host.on('b', function() a:close() mw.host.handle('f', print) end)",
    MW "setmetatable({}, { __gc = function() mw.host.emit('gc') pcall(mw.host.f) mw.host.on('late', print) end }) collectgarbage()",
    MW "coroutine.wrap(function() mw.host.emit('co', coroutine.wrap(function() mw.task.pass() return mw.host.f() end)()) end)()",
    MW "local t = {} for i = 1, 20000 do t[i] = tostring(i) end mw.host.emit('big', t) mw.host.on('a', function(v) t = v end)",
    MW "mw.task.sleep(0.0005) mw.host.on('a', function() mw.host.f() error('late') end) mw.task.sleep(0.001)",
    MW "mw.task.shield(function() mw.task.sleep(0.001) end) mw.host.emit('through')",
    MW "mw.host.on('a', function() mw.task.timeout(0.001, function() mw.task.sleep(1) end) end)",
    MW "pcall(function() mw.host.emit('x', print) end) pcall(mw.host.on, 'x') pcall(mw.host.handle, '', print)",
    "x = = 1",
    "while true do end", /* this and the next: ended by the limit of a step */
    MW "mw.host.on('a', function() while true do pcall(error) end end) mw.host.handle('f', function() while true do end end)",
};
enum { SCRIPTS = sizeof scripts / sizeof *scripts };

static const char *const topics[] = {"a", "b", "late", "nobody", "got"};
static const char *const names[] = {"f", "g", "h", "boom", "print", "nothing", "on", "a.b"};

/* The bytes that choose, and what they have made. */
static const uint8_t *at, *end;
static uv_loop_t loop;
static struct slot {
    mw_host *host;
    int preempt;
    int closing;                /* mw_host_close was asked for, and its callback has not run */
    size_t fail_in;             /* allocations until one is refused; 0: none */
    int posting;                /* a thread is */
    pthread_t poster;
} slots[HOSTS];
static int depth, pipes[2];

static unsigned next(void) {
    return at < end ? *at++ : 0;
}

static void *alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    struct slot *s = ud;

    if (nsize == 0) {
        free(ptr);
        return NULL;
    }
    if ((ptr == NULL || nsize > osize) && s->fail_in > 0 && --s->fail_in == 0) return NULL;
    return realloc(ptr, nsize);
}

/* ---- What may be asked for from anywhere ------------------------------------------------------------------------------- */

static void values(mw_buf *b) {
    static const char deep[] = "\x91\x91\x91\x91\x91\x91\x81\xa1x\x91\xc0";
    unsigned n = next() % 4;

    for (unsigned i = 0; i < n; i++) switch (next() % 12) {
        case 0: mw_buf_nil(b); break;
        case 1: mw_buf_boolean(b, 1); break;
        case 2: mw_buf_integer(b, (int64_t)next() * 1000003 - 90000); break;
        case 3: mw_buf_number(b, (double)next() / 8); break;
        case 4: mw_buf_text(b, "text"); break;
        case 5: mw_buf_string(b, "\xff\x00", 2); break;
        case 6: mw_buf_array(b, 2), mw_buf_integer(b, 1), mw_buf_text(b, "two"); break;
        case 7: mw_buf_map(b, 1), mw_buf_text(b, "x"), mw_buf_nil(b); break;
        case 8: mw_buf_raw(b, deep, sizeof deep - 1); break;
        case 9: mw_buf_raw(b, at, at + 3 < end ? 3 : (size_t)(end - at)); break;    /* anything */
        case 10: mw_buf_map(b, next() % 4); break;                                  /* not whole perhaps */
        default: for (int k = 0; k < 3000; k++) mw_buf_integer(b, k);
        }
}

static int whole(const void *msgpack, size_t len) {
    mw_view v = {msgpack, len};

    while (v.len > 0)
        if (mw_view_skip(&v) < 0) return 0;
    return 1;
}

static void post(mw_host *h) {
    const char *topic = topics[next() % (sizeof topics / sizeof *topics)];
    mw_buf b = {0};
    int rc;

    values(&b);
    rc = mw_host_post(h, topic, b.at, b.len, NULL);
    HOLDS(rc == 0 || rc == MW_EAGAIN || rc == MW_EPARSE || rc == MW_ELIMIT || rc == MW_ECLOSED);
    HOLDS((rc == MW_EPARSE) == !whole(b.at, b.len));
    mw_buf_free(&b);
}

static void within(mw_host *h);

static int function(mw_host *h, mw_call *call, void *ud) {
    const char *text;
    mw_view v;
    int64_t i;
    size_t len;
    double d;
    int rc = 0, b;

    (void)ud;
    for (int n = next() % 8; n > 0 && rc == 0; n--) {
        int k = (int)(next() % 6);
        switch (next() % 14) {
        case 0: rc = mw_arg_boolean(call, k, &b); break;
        case 1: rc = mw_arg_integer(call, k, &i); break;
        case 2: rc = mw_arg_number(call, k, &d); break;
        case 3:
            rc = mw_arg_string(call, k, &text, &len);
            if (rc == 0) HOLDS(text[len] == 0);
            break;
        case 4:
            rc = mw_arg_value(call, k, &v);
            if (rc == 0) HOLDS(v.len > 0 && mw_view_skip(&v) == 0 && v.len == 0);
            if (rc == 0 && mw_arg_value(call, k, &v) == 0) rc = mw_return_value(call, v.at, v.len);
            break;
        case 5: HOLDS(mw_arg_type(call, k) <= MW_TYPE_EXT && mw_arg_count(call) >= 0); break;
        case 6: rc = mw_return_nil(call); break;
        case 7: rc = mw_return_boolean(call, k); break;
        case 8: rc = mw_return_integer(call, k); break;
        case 9: rc = mw_return_number(call, k / 2.0); break;
        case 10: rc = mw_return_string(call, "result", (size_t)k); break;
        case 11: rc = mw_return_value(call, "\x92\x01\xc0\x93", (size_t)k % 5); break;
        case 12: within(h); break;
        default: rc = mw_call_fail(call, k == 0 ? MW_EDENIED : k == 1 ? MW_EINVAL : k == 2 ? 7 : MW_ENOENT, k == 3 ? NULL : "no");
        }
        if (next() % 2) rc = 0; /* a failure that is not handed on */
    }
    return rc;
}

static void reg(mw_host *h) {
    const char *name = names[next() % (sizeof names / sizeof *names)];
    int rc = mw_host_register(h, name, next() % 4 ? function : NULL, NULL, NULL);

    HOLDS(rc == 0 || rc < 0);
    if (strcmp(name, "on") == 0 || strchr(name, '.') != NULL) HOLDS(rc == MW_EINVAL);
}

static void watcher(mw_host *h, int fd, int events, void *ud) {
    char byte;

    (void)ud;
    HOLDS(events != 0 && (events & ~3) == 0);
    if (next() % 2 && read(fd, &byte, 1) < 0) {}
    within(h);
}
static void watch(mw_host *h) {
    int rc = mw_host_watch_fd(h, pipes[next() % 2], (int)(next() % 4), watcher, NULL, NULL);
    HOLDS(rc == 0 || rc == -EEXIST || rc == MW_ECLOSED); /* the other host of the loop watches it */
}

static void on_signal(mw_host *h, int signum, void *ud) {
    (void)ud;
    HOLDS(signum == SIGUSR1);
    within(h);
}

/* Inside a hook or a function: what may be done, and what is refused. */
static void within(mw_host *h) {
    struct mw_step st;

    if (depth >= DEPTH) return;
    depth++;
    switch (next() % 12) {
    case 0: post(h); break;
    case 1: reg(h); break;
    case 2: watch(h); break;
    case 3: mw_host_interrupt(h, 4, "fuzz"); break;
    case 4: mw_host_load_string(h, scripts[0], strlen(scripts[0]), "=within", NULL); break;
    case 5: HOLDS(mw_host_step(h, 1, &st, NULL) == MW_EINVAL); break;
    case 6: HOLDS(mw_host_call(h, "f", NULL, 0, NULL, NULL) == MW_EINVAL); break;
    case 7: mw_host_on_signal(h, SIGUSR1, next() % 2 ? on_signal : NULL, NULL, NULL); break;
    case 8: mw_host_free(h); break; /* refused: asks the run to end */
    case 9: HOLDS(mw_host_run_once(h, 1, &st, NULL) == MW_EINVAL); break;
    case 10: mw_host_break(h); break;
    default: break;
    }
    depth--;
}

/* ---- Hooks ------------------------------------------------------------------------------------------------------------------ */

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)ud;
    HOLDS(text != NULL && len > 0);
    within(h);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h, (void)level, (void)ud;
    HOLDS(line != NULL && len > 0);
}
static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    (void)ud;
    HOLDS(err->code < 0 && err->message[0] != 0 && traceback != NULL);
    within(h);
}
static void on_message(mw_host *h, const char *topic, const void *msgpack, size_t len, void *ud) {
    (void)ud;
    HOLDS(topic[0] != 0 && whole(msgpack, len));
    within(h);
}

/* ---- The engine --------------------------------------------------------------------------------------------------------------- */

static void join(struct slot *s) {
    if (s->posting) pthread_join(s->poster, NULL);
    s->posting = 0;
}
static void *post_from_thread(void *arg) {
    for (int i = 0; i < POSTS; i++) {
        int rc = mw_host_post(arg, "a", "\x01\xa1x", 3, NULL);
        HOLDS(rc == 0 || rc == MW_EAGAIN);
    }
    return NULL;
}

static void make(struct slot *s, int borrowed) {
    struct mw_config cfg;
    struct mw_err err;
    unsigned how = next();
    int rc;

    mw_config_init(&cfg);
    cfg.alloc = alloc;
    cfg.alloc_ud = s;
    cfg.ud = s;
    cfg.on_print = on_print;
    cfg.on_log = on_log;
    cfg.on_error = on_error;
    cfg.on_message = how & 1 ? on_message : NULL;
    cfg.queue = how & 2 ? 4 : 0;
    cfg.memory_limit = how & 4 ? 1u << 20 : 0;
    cfg.limits.step_ns = 3000000;
    cfg.limits.buffered = how & 8 ? 4096 : 0;
    cfg.preempt = s->preempt = how & 16 ? MW_PREEMPT_TIMER : MW_PREEMPT_COUNT;
    cfg.shutdown_ms = 3;
    s->fail_in = how & 32 ? 1 + (size_t)next() * 40 : 0;
    s->closing = 0;
    rc = borrowed ? mw_host_new_on(&loop, &cfg, &s->host, &err) : mw_host_new(&cfg, &s->host, &err);
    if (rc < 0) {
        HOLDS(err.code == rc && err.message[0] != 0 && s->fail_in == 0);
        s->host = NULL;
    }
}

static void call(mw_host *h) {
    const char *name = names[next() % (sizeof names / sizeof *names)];
    mw_buf in = {0}, out = {0};
    struct mw_err err;
    int rc;

    values(&in);
    rc = mw_host_call(h, name, in.at, in.len, next() % 2 ? &out : NULL, &err);
    HOLDS(rc <= 0 && (rc == 0 || (err.code == rc && err.message[0] != 0)));
    HOLDS((rc == 0 || out.len == 0) && whole(out.at, out.len));
    mw_buf_free(&in);
    mw_buf_free(&out);
}

static void closed(void *ud) {
    ((struct slot *)ud)->closing = 0;
}
static void finish(struct slot *s, int later) {
    join(s);
    if (s->host == NULL) return;
    if (later && mw_host_close(s->host, closed, s, NULL) == 0) {
        s->closing = 1;
        while (s->closing) uv_run(&loop, UV_RUN_NOWAIT);
    } else {
        mw_host_free(s->host);
    }
    s->host = NULL;
}

static void run(mw_host *h) {
    int status;

    mw_host_deadline(h, 2000000, 9, "deadline", NULL);
    HOLDS(mw_host_run(h, &status, NULL) == 0);
}

static void act(struct slot *s, int borrowed) {
    struct mw_step st = {0};
    const char *text;

    if (s->host == NULL) {
        make(s, borrowed);
        return;
    }
    switch (next() % 18) {
    case 0: case 1: case 2:
        text = scripts[next() % SCRIPTS];
        mw_host_load_string(s->host, text, strlen(text), "=fuzz", NULL);
        break;
    case 3: case 4: HOLDS(mw_host_step(s->host, next() * 8, &st, NULL) == 0); break;
    case 5: HOLDS(mw_host_run_once(s->host, (int)(next() % 3), &st, NULL) == 0); break;
    case 6: case 7: post(s->host); break;
    case 8: call(s->host); break;
    case 9: reg(s->host); break;
    case 10: watch(s->host); break;
    case 11: mw_host_interrupt(s->host, 2, "fuzz"); break;
    case 12:
        join(s);
        s->posting = pthread_create(&s->poster, NULL, post_from_thread, s->host) == 0;
        break;
    case 13: finish(s, (int)(next() % 2) && borrowed); break;
    case 14:
        if (write(pipes[1], "x", 1) < 0) {}
        break;
    case 15:
        if (mw_host_on_signal(s->host, SIGUSR1, on_signal, NULL, NULL) == 0) raise(SIGUSR1);
        break;
    case 16:
        if (!borrowed) run(s->host);
        else uv_run(&loop, UV_RUN_NOWAIT);
        break;
    default: HOLDS(mw_host_timeout_ms(s->host) >= -1 && mw_host_backend_fd(s->host) >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at = data;
    end = data + (size < 400 ? size : 400);
    signal(SIGUSR1, SIG_IGN);
    HOLDS(uv_loop_init(&loop) == 0 && pipe2(pipes, O_NONBLOCK | O_CLOEXEC) == 0);
    while (at < end) {
        unsigned who = next() % HOSTS;
        act(&slots[who], who == BORROWED);
    }
    for (int i = 0; i < HOSTS; i++) finish(&slots[i], (int)(size % 2) && i == BORROWED);
    uv_run(&loop, UV_RUN_NOWAIT);
    HOLDS(uv_loop_close(&loop) == 0);
    close(pipes[0]);
    close(pipes[1]);
    return 0;
}
