/* The other side of a pool of scripts, in the worker process: takes tasks off mw.parent, calls their handlers one after another,
 * and gathers the answers of a turn into one write.
 *
 * Answers wait in the page that is shared with the parent, so that none is lost when a later task ends this process.
 * Knows: bind/stream, codec, pool, core. Never: begins a task that was taken back. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/pool_serve.h"
#include "bind/stream.h"
#include "core/hook.h"

enum { GATHER = 32 << 10 }; /* bytes of answers in one write */

/* ---- Answers -------------------------------------------------------------------------------------------------------------------------- */

static void flush(struct mw_server *v) {
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
    flush(MW_LIST_ENTRY(d, struct mw_server, dusk));
}

static void answer(struct mw_server *v, unsigned kind, uint64_t now) {
    struct mw_pool_answer head = {
        .len = (uint32_t)mw_bytes_len(&v->scratch), .seq = v->now.seq, .run_ns = now - v->began, .kind = kind
    };
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
static int over(lua_State *L, struct mw_server *v, int code, struct mw_err *err) {
    flush(v);
    mw_stream_need(v->line, 0);
    mw_turn_give(mw_stream_reader(v->line));
    if (code == MW_EEOF) return 0;
    return mw_push_err(L, err);
}

/* The request that is the first `need` bytes of the queue: a finalizer may close the line while it is read. 0 or MW_ENOMEM. */
static int take(struct mw_server *v, size_t need) {
    int rc;

    if (atomic_load_explicit(&v->page->held, memory_order_relaxed) > 0 &&
        (v->typical > MW_SERVE_LONG_NS || v->now_ns - v->gathered_at > MW_SERVE_LATE_NS))
        flush(v);
    mw_bytes_consume(&v->request, mw_bytes_len(&v->request));
    rc = mw_bytes_add(&v->request, mw_bytes_at(mw_stream_in(v->line)) + sizeof v->now, v->now.len);
    mw_stream_consume(v->line, need);
    return rc;
}

static int serve_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_server *v = lua_touserdata(L, MW_SERVE_STATE);
    struct mw_bytes *in = mw_stream_in(v->line);
    struct mw_err err;
    size_t need;
    int rc;

    (void)ctx;
    v->now_ns = 0;
    mw_stream_await(v->line, NULL, NULL);
    if (code == MW_ECANCELED) {
        over(L, v, MW_EEOF, &err);
        return mw_wait_cancelled(L);
    }
    for (;;) {
        rc = v->broken;
        if (rc < 0)
            return over(L, v, rc == -EPIPE ? MW_EEOF : (mw_err_set(&err, rc, "serve", "parent", NULL), rc), &err);
        rc = mw_bytes_len(in) > 0
                 ? mw_pool_request_parse(mw_bytes_at(in), mw_bytes_len(in), MW_POOL_MESSAGE_MOST, &v->now, &need)
                 : 0;
        if (rc < 0)
            return over(L, v, mw_err_set(&err, rc, "serve", "parent", "what the parent sent is no task of a pool"),
                        &err);
        if (rc > 0) {
            if (mw_stream_crowded(v->line)) break;
            if (mw_step_is_long(L)) return mw_wait_pass(L, 0, serve_k); /* one computation after another is no hang */
            rc = take(v, need);
            if (rc < 0) return over(L, v, mw_err_set(&err, rc, "serve", "parent", NULL), &err);
            mw_server_run(L, v);
            continue;
        }
        rc = mw_stream_fill(v->line, 0, &err);
        if (rc < 0) return over(L, v, rc, &err);
        if (rc > 0) continue;
        if (mw_stream_crowded(v->line)) break;
        mw_stream_await(v->line, whole, NULL);
        return mw_wait_yield_raw(L, mw_stream_readable(v->line), MW_NEVER, 0, serve_k);
    }
    return mw_wait_yield_raw(L, mw_stream_writable(v->line), MW_NEVER, 0,
                             serve_k); /* the parent takes no more answers */
}

/* The page comes first. */
static int page_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_server *v = lua_touserdata(L, MW_SERVE_STATE);
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
    v->mark = &v->page->mark;
    v->max = atomic_load(&v->mark->max);
    v->gauge = mw_pool_gauge_open();
    {
        struct mw_pool_answer hello = { .seq = MW_POOL_VERSION, .kind = MW_POOL_HELLO };
        struct mw_view part = { (const char *)&hello, sizeof hello };
        rc = mw_stream_write(v->line, &part, 1, &err);
    }
    if (rc < 0) return over(L, v, rc == -EPIPE ? MW_EEOF : rc, &err);
    return serve_k(L, 0, 0);
}

/* serve(handlers): in a pool's worker, until the parent has no more tasks. nil, err: the parent is no pool    [-0, +0|2, ey] */
int mw_pool_serve(lua_State *L) {
    struct mw_server *v;

    lua_settop(L, 1);
    if (lua_type(L, 1) != LUA_TTABLE)
        return mw_raise_inval(L, "serve", "a table of handlers is expected, got %s", luaL_typename(L, 1));
    if (mw_pool_is_thread(L)) {
        lua_pushnil(L);
        v = mw_server_new(L); /* [handlers nil server] */
        return mw_pool_serve_thread(L, v);
    }
    if (!mw_module_push(L, "moonwire") || lua_getfield(L, -1, "parent") == LUA_TNIL)
        return mw_raise_inval(L, "serve", "this script has no parent to serve");
    lua_replace(L, 2);
    lua_settop(L, 2);
    v = mw_server_new(L); /* [handlers parent server] */
    v->line = mw_stream_check(L, MW_SERVE_PARENT);
    v->answer = answer;
    v->on = serve_k;
    if (!mw_turn_try(mw_stream_reader(v->line))) return mw_raise_inval(L, "serve", "another task reads from mw.parent");
    return page_k(L, 0, 0);
}
