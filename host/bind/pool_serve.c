/* The other side of a pool of scripts, in the worker process: takes tasks off mw.parent, calls their handlers one after another,
 * and gathers the answers of a turn into one write.
 *
 * Answers wait in the page that is shared with the parent, so that none is lost when a later task ends this process.
 * Knows: bind/stream, codec, pool, core. Never: begins a task that was taken back. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/pool.h"
#include "bind/stream.h"
#include "codec/value.h"
#include "core/hook.h"

#define SERVER "mw.pool.server"
#define LATE_NS UINT64_C(200000)            /* an answer waits no longer for the next task to begin */
#define LONG_NS UINT64_C(100000)            /* before a handler that takes longer, answers are sent */
#define LOOK_NS UINT64_C(10000000)          /* between looks at our memory, and after tasks that are not the shortest */
enum { GATHER = 32 << 10 };                 /* bytes of answers in one write */

/* [handlers parent server] at the base of the task that serves. */
enum { HANDLERS = 1, PARENT, STATE, BASE = STATE };

struct server {
    mw_stream *line;                        /* lent by its box, at PARENT */
    mw_host *host;
    struct mw_pool_page *page;
    struct mw_bytes request;                /* the task under way: its name and value; the queue may be closed while they are read */
    struct mw_bytes scratch;                /* the answer */
    struct mw_dusk dusk;
    struct mw_pool_request now;             /* the task under way */
    uint64_t began, gathered_at, looked_at;
    uint64_t typical;                       /* ns of a task, as the parent reckons it: rises at once, falls slowly */
    int gauge;
    int broken;                             /* a code: the parent cannot be told any more */
};

/* ---- Answers -------------------------------------------------------------------------------------------------------------------------- */

static void flush(struct server *v) {
    uint32_t held = atomic_load_explicit(&v->page->held, memory_order_relaxed);
    struct mw_view part = { v->page->answers, held };
    int rc;

    if (held == 0) return;
    rc = mw_stream_write(v->line, &part, 1, NULL);
    if (rc < 0) v->broken = rc;
    atomic_store_explicit(&v->page->held, 0, memory_order_release);
    atomic_fetch_add_explicit(&v->page->sent, 1, memory_order_release);
}

static void on_dusk(struct mw_dusk *d) {
    flush(MW_LIST_ENTRY(d, struct server, dusk));
}

static void answer(struct server *v, unsigned kind, uint64_t now) {
    struct mw_pool_answer head = { .len = (uint32_t)mw_bytes_len(&v->scratch), .seq = v->now.seq, .run_ns = now - v->began, .kind = kind };
    size_t len = sizeof head + head.len;
    uint32_t held = atomic_load_explicit(&v->page->held, memory_order_relaxed);

    if (len > GATHER || held + len > MW_POOL_PAGE_HELD) {
        flush(v);
        held = 0;
    }
    if (len > GATHER) {
        struct mw_view parts[2] = { { (const char *)&head, sizeof head }, { mw_bytes_at(&v->scratch), head.len } };
        int rc = mw_stream_write(v->line, parts, 2, NULL);

        if (rc < 0) v->broken = rc;
    } else {
        memcpy(v->page->answers + held, &head, sizeof head);
        if (head.len > 0) memcpy(v->page->answers + held + sizeof head, mw_bytes_at(&v->scratch), head.len);
        if (held == 0) {
            v->gathered_at = now;
            mw_host_at_dusk(v->host, &v->dusk, on_dusk);
        }
        atomic_store_explicit(&v->page->held, held + (uint32_t)len, memory_order_release);
        if (held + len > GATHER) flush(v);
    }
    mw_bytes_consume(&v->scratch, mw_bytes_len(&v->scratch));
    mw_bytes_shrink(&v->scratch, 64 << 10);
}

/* What we take: the process, if we may know that; else the Lua state. */
static void tell_memory(struct server *v, uint64_t now) {
    uint64_t bytes;

    if (now - v->looked_at < LOOK_NS && now - v->began < LONG_NS) return;
    v->looked_at = now;
    bytes = mw_pool_gauge_read(v->gauge);
    atomic_store(&v->page->memory, bytes > 0 ? bytes : mw_host_memory(v->host, NULL));
}

static void learn(struct server *v, uint64_t ns) {
    if (ns > v->typical) v->typical = ns;
    else v->typical -= (v->typical - ns) / 8;
}

/* ---- One task --------------------------------------------------------------------------------------------------------------------------- */

/* Encodes the value at idx behind what is in scratch; one that cannot be sent becomes its text. */
static void put_any(lua_State *L, struct server *v, int idx) {
    static const struct mw_value_options o = { .bytes_max = MW_POOL_MESSAGE_MAX / 2, .record = MW_ERROR_TYPE };
    struct mw_err err;

    idx = lua_absindex(L, idx);
    if (mw_value_write(L, idx, &v->scratch, &o, &err) == 0) return;
    mw_err_from(L, idx, &err);
    lua_pushstring(L, err.message);
    mw_value_write(L, -1, &v->scratch, &o, &err);
    lua_pop(L, 1);
}

/* The error on top (popped) is the answer.                                                                [-1, +0, m] */
static void answer_raised(lua_State *L, struct server *v) {
    mw_bytes_consume(&v->scratch, mw_bytes_len(&v->scratch));
    put_any(L, v, -1);
    mw_traceback_of(L, lua_gettop(L));
    put_any(L, v, -1);
    lua_pop(L, 2);
    answer(v, MW_POOL_RAISED, mw_pool_clock());
}

static void answer_error(lua_State *L, struct server *v, const struct mw_err *err) {
    mw_err_push(L, err);
    answer_raised(L, v);
}

/* [.. traceback results...] are what the handler returned.                                                [-0, +0, m] */
static void answer_results(lua_State *L, struct server *v, uint64_t now) {
    static const struct mw_value_options o = { .bytes_max = MW_POOL_MESSAGE_MOST - 64, .root = "result", .record = MW_ERROR_TYPE };
    int n = lua_gettop(L), rc = 0;
    struct mw_err err;

    mw_bytes_consume(&v->scratch, mw_bytes_len(&v->scratch));
    for (int i = BASE + 2; i <= n && rc == 0; i++) rc = mw_value_write(L, i, &v->scratch, &o, &err);
    if (rc == 0 && mw_bytes_len(&v->scratch) > MW_POOL_MESSAGE_MOST - 64) rc = mw_err_set(&err, MW_ELIMIT, "serve", NULL, "the results are too long together");
    if (rc == 0) answer(v, MW_POOL_OK, now);
    else answer_error(L, v, &err);
}

static int serve_k(lua_State *L, int code, lua_KContext ctx);

/* The handler has returned, or raised: [.. traceback results...] or [.. traceback error]. */
static void finished(lua_State *L, struct server *v, int status) {
    uint64_t now = mw_pool_clock();

    learn(v, now - v->began);
    tell_memory(v, now);
    if (status == LUA_OK || status == LUA_YIELD) answer_results(L, v, now);
    else answer_raised(L, v);
    lua_settop(L, BASE);
}

/* The handler ended the whole script: no answer. */
static int exits(struct server *v, int status) {
    int code;

    return status != LUA_OK && status != LUA_YIELD && mw_host_exit_code(v->host, &code);
}

static int finished_k(lua_State *L, int status, lua_KContext ctx) {
    struct server *v = lua_touserdata(L, STATE);

    if (exits(v, status)) return lua_error(L);
    finished(L, v, status);
    return serve_k(L, 0, ctx);
}

/* The task whose request is the first `need` bytes of the queue.                                           [-0, +0, ey] */
static void run(lua_State *L, struct server *v, size_t need) {
    static const struct mw_value_options o = { .root = "argument", .record = MW_ERROR_TYPE };
    uint64_t now = mw_pool_clock();
    struct mw_err err;
    const char *at;
    size_t used;
    int rc;

    v->began = now;
    if (!mw_pool_page_begin(v->page, v->now.epoch, v->now.seq, now)) {
        mw_stream_consume(v->line, need);
        answer(v, MW_POOL_SKIPPED, now);
        return;
    }
    if (atomic_load_explicit(&v->page->held, memory_order_relaxed) > 0 && (v->typical > LONG_NS || now - v->gathered_at > LATE_NS)) flush(v);
    mw_bytes_consume(&v->request, mw_bytes_len(&v->request));
    rc = mw_bytes_add(&v->request, mw_bytes_at(mw_stream_in(v->line)) + sizeof v->now, v->now.len);
    if (rc < 0) mw_err_set(&err, rc, "serve", NULL, NULL);
    mw_stream_consume(v->line, need);
    at = mw_bytes_at(&v->request);
    lua_pushcfunction(L, mw_traceback);
    if (rc == 0) {
        lua_pushlstring(L, at, v->now.name_len);
        lua_pushvalue(L, -1);                                           /* [.. traceback name name] */
        lua_rawget(L, HANDLERS);
        rc = mw_value_read(L, at + v->now.name_len, v->now.len - v->now.name_len, &used, &o, &err);
    }
    if (rc == 0 && lua_type(L, -2) != LUA_TFUNCTION) rc = mw_err_setf(&err, -ENOSYS, "serve", NULL, "no function \"%s\" is served here", lua_tostring(L, -3));
    if (rc < 0) {
        answer_error(L, v, &err);
        lua_settop(L, BASE);
        return;
    }
    lua_remove(L, -3);                                                  /* [.. traceback handler value] */
    rc = lua_pcallk(L, 1, LUA_MULTRET, BASE + 1, 0, finished_k);
    if (exits(v, rc)) lua_error(L);
    finished(L, v, rc);
}

/* ---- Serving ------------------------------------------------------------------------------------------------------------------------------ */

static int whole(mw_stream *s, void *ud) {
    struct mw_pool_request r;
    size_t need;
    struct mw_bytes *in = mw_stream_in(s);

    (void)ud;
    if (mw_pool_request_parse(mw_bytes_at(in), mw_bytes_len(in), MW_POOL_MESSAGE_MOST, &r, &need) != 0) return 1;
    mw_stream_need(s, need);
    return 0;
}

/* The parent has gone, or what it says is no task. */
static int over(lua_State *L, struct server *v, int code, struct mw_err *err) {
    flush(v);
    mw_stream_need(v->line, 0);
    mw_turn_give(mw_stream_reader(v->line));
    if (code == MW_EEOF) return 0;
    return mw_push_err(L, err);
}

static int serve_k(lua_State *L, int code, lua_KContext ctx) {
    struct server *v = lua_touserdata(L, STATE);
    struct mw_bytes *in = mw_stream_in(v->line);
    struct mw_err err;
    size_t need;
    int rc;

    (void)ctx;
    mw_stream_await(v->line, NULL, NULL);
    if (code == MW_ECANCELED) {
        over(L, v, MW_EEOF, &err);
        return mw_wait_cancelled(L);
    }
    for (;;) {
        rc = v->broken;
        if (rc < 0) return over(L, v, rc == -EPIPE ? MW_EEOF : (mw_err_set(&err, rc, "serve", "parent", NULL), rc), &err);
        rc = mw_bytes_len(in) > 0 ? mw_pool_request_parse(mw_bytes_at(in), mw_bytes_len(in), MW_POOL_MESSAGE_MOST, &v->now, &need) : 0;
        if (rc < 0) return over(L, v, mw_err_set(&err, rc, "serve", "parent", "what the parent sent is no task of a pool"), &err);
        if (rc > 0) {
            if (mw_step_is_long(L)) return mw_wait_pass(L, 0, serve_k);      /* one computation after another is no hang */
            run(L, v, need);
            continue;
        }
        rc = mw_stream_fill(v->line, 0, &err);
        if (rc < 0) return over(L, v, rc, &err);
        if (rc > 0) continue;
        if (mw_stream_crowded(v->line)) return mw_wait_yield_raw(L, mw_stream_writable(v->line), MW_NEVER, 0, serve_k);
        mw_stream_await(v->line, whole, NULL);
        return mw_wait_yield_raw(L, mw_stream_readable(v->line), MW_NEVER, 0, serve_k);
    }
}

/* The page comes first. */
static int page_k(lua_State *L, int code, lua_KContext ctx) {
    struct server *v = lua_touserdata(L, STATE);
    int fds[MW_STREAM_FDS], n, rc;
    struct mw_err err;

    (void)ctx;
    if (code == MW_ECANCELED) {
        mw_turn_give(mw_stream_reader(v->line));
        return mw_wait_cancelled(L);
    }
    n = mw_stream_take_fds(v->line, fds, &err);
    if (n == 0) {
        rc = mw_stream_fill(v->line, 0, &err);
        if (rc == 0) return mw_wait_yield_raw(L, mw_stream_readable(v->line), MW_NEVER, 0, page_k);
        if (rc > 0) return page_k(L, 0, 0);
        mw_turn_give(mw_stream_reader(v->line));
        return rc == MW_EEOF ? 0 : mw_push_err(L, &err);
    }
    for (int i = 1; i < n; i++) mw_pool_fd_close(fds[i]);
    rc = n > 0 ? mw_pool_page_map(fds[0], &v->page, &err) : n;
    if (n == MW_EFRAME) mw_err_set(&err, MW_EINVAL, "serve", "parent", "this script's parent is no pool");
    if (rc < 0) {
        mw_turn_give(mw_stream_reader(v->line));
        return mw_push_err(L, &err);
    }
    v->gauge = mw_pool_gauge_open();
    {
        struct mw_pool_answer hello = { .seq = MW_POOL_VERSION, .kind = MW_POOL_HELLO };
        struct mw_view part = { (const char *)&hello, sizeof hello };
        rc = mw_stream_write(v->line, &part, 1, &err);
    }
    if (rc < 0) return over(L, v, rc == -EPIPE ? MW_EEOF : rc, &err);
    return serve_k(L, 0, 0);
}

static int server_gc(lua_State *L) {
    struct server *v = lua_touserdata(L, 1);

    if (v->host != NULL) mw_host_forget_dusk(&v->dusk);
    mw_bytes_free(&v->scratch);
    mw_bytes_free(&v->request);
    mw_pool_page_free(v->page);
    v->page = NULL;
    mw_pool_fd_close(v->gauge);
    v->gauge = -1;
    return 0;
}

/* serve(handlers): in a pool's worker, until the parent has no more tasks. nil, err: the parent is no pool    [-0, +0|2, ey] */
int mw_pool_serve(lua_State *L) {
    static const luaL_Reg none[] = { { NULL, NULL } }, meta[] = { { "__gc", server_gc }, { NULL, NULL } };
    struct server *v;

    lua_settop(L, 1);
    if (lua_type(L, 1) != LUA_TTABLE) return mw_raise_inval(L, "serve", "a table of handlers is expected, got %s", luaL_typename(L, 1));
    if (!mw_module_push(L, "moonwire") || lua_getfield(L, -1, "parent") == LUA_TNIL) return mw_raise_inval(L, "serve", "this script has no parent to serve");
    lua_replace(L, 2);
    lua_settop(L, 2);
    if (luaL_getmetatable(L, SERVER) == LUA_TNIL) mw_type_new(L, SERVER, none, meta);
    lua_settop(L, 2);
    v = mw_box_new(L, sizeof *v, SERVER);                                   /* [handlers parent server] */
    v->gauge = -1;
    v->line = mw_stream_check(L, PARENT);
    v->host = mw_host_of(L);
    if (!mw_turn_try(mw_stream_reader(v->line))) return mw_raise_inval(L, "serve", "another task reads from mw.parent");
    return page_k(L, 0, 0);
}
