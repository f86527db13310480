/* Streams in Lua: the box, writing, closing, handles, looking. (Reading: bind/stream_read.c.)
 * Knows: io/stream, core/pin, core/task, bind/arg, lua.h. Never: a syscall, a decision about the bytes. */
#include "bind/stream.h"
#include "core/hook.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bind/arg.h"
#include "bind/channel.h"
#include "bind/doors.h"
#include "bind/parcel.h"
#include "bind/shm.h"
#include "bind/stream_box.h"
#include "bind/tap.h"
#include "bind/tls.h"
#include "core/pin.h"
#include "core/task.h"

enum {
    PARTS = 8,                   /* arguments of one write that need no memory */
    STREAK = 256                 /* writes (or KiB) of a task that never had to wait; then the others have their turn */
};

/* ---- The box ------------------------------------------------------------------------------------------------------------ */

static void open_type(lua_State *L);

mw_stream **mw_stream_box(lua_State *L) {
    struct mw_stream_box *box;

    open_type(L);
    box = mw_box_new(L, sizeof *box, MW_STREAM_TYPE);
    mw_stream_more_run(L, box);
    return &box->s;
}

int mw_stream_push(lua_State *L, mw_stream *s) {
    *mw_stream_box(L) = mw_stream_hold(s);
    return 1;
}

int mw_stream_push_owned(lua_State *L, mw_stream *s) {
    struct mw_stream_box *box;

    mw_stream_push(L, s);
    box = lua_touserdata(L, -1);
    box->owned = 1;
    return 1;
}

static struct mw_stream_box *opened(lua_State *L, struct mw_stream_box *box) {
    if (box->s == NULL) mw_raise_inval(L, "stream", "this stream was never opened");
    return box;
}

struct mw_stream_box *mw_stream_box_at(lua_State *L, int idx) {
    return opened(L, mw_box_check(L, idx, MW_STREAM_TYPE));
}

struct mw_stream_box *mw_stream_box_own(lua_State *L) {
    struct mw_stream_box *box = opened(L, mw_box_known(L, MW_STREAM_TYPE));

    return mw_box_know(L, box, MW_STREAM_TYPE), box;
}

mw_stream *mw_stream_check(lua_State *L, int idx) {
    return mw_stream_box_at(L, idx)->s;
}

mw_stream *mw_stream_test(lua_State *L, int idx) {
    struct mw_stream_box *box = luaL_testudata(L, idx, MW_STREAM_TYPE);

    return box != NULL ? box->s : NULL;
}

/* ---- Writing -------------------------------------------------------------------------------------------------------------- */

/* Woken: below the soft mark?                                                [self -> self | nil err] */
static int write_k(lua_State *L, int code, lua_KContext ctx) {
    mw_stream *s = mw_stream_check(L, 1);
    struct mw_err err;
    int rc = mw_stream_flush(s, &err);
    (void)code;

    if (rc < 0) return mw_push_err(L, &err);
    if (mw_stream_crowded(s)) return mw_wait_yield(L, mw_stream_writable(s), MW_NEVER, ctx, write_k);
    lua_settop(L, 1);
    return 1;
}

static int pass_k(lua_State *L, int code, lua_KContext ctx) {
    (void)code;
    (void)ctx;
    lua_settop(L, 1);
    return 1;
}

/* All was taken; waits while too much is queued.                             [self ... -> self | nil err] */
static int written(lua_State *L, mw_stream *s, int crowded) {
    lua_settop(L, 1);
    if (crowded && mw_wait_possible(L)) return mw_wait_yield(L, mw_stream_writable(s), MW_NEVER, 0, write_k);
    return 1;
}

/* To the end of what is gathered, where nearly every small piece goes. */
static inline int add_parts(mw_stream *s, const struct mw_view *parts, int n, size_t total) {
    char *at = mw_stream_room(s, total);

    if (at == NULL) return 0;
    mw_stream_added(s, total);
    for (int i = 0; i < n; i++) {
        memcpy(at, parts[i].at, parts[i].len);
        at += parts[i].len;
    }
    return 1;
}

static int write_parts(lua_State *L, struct mw_stream_box *box);

static int room_k(lua_State *L, int code, lua_KContext ctx) {
    (void)code;
    (void)ctx;
    return write_parts(L, mw_stream_box_at(L, 1));
}

/* [self parts...]: one piece, past what there is more than the stream. While too much is queued it is not added: however many tasks
 * write, the queue holds the soft mark and one piece.                         [-0, +1|2, ey] */
static int write_parts(lua_State *L, struct mw_stream_box *box) {
    mw_stream *s = box->s;
    size_t total = 0;
    int n = lua_gettop(L) - 1, i, rc;
    struct mw_view few[PARTS], *parts = few;
    struct mw_err err;

    if (n > PARTS) {
        luaL_checkstack(L, 1, "stream.write");
        parts = lua_newuserdatauv(L, sizeof *parts * (size_t)n, 0);
    }
    for (i = 0; i < n; i++) {
        parts[i].at = lua_tolstring(L, i + 2, &parts[i].len); /* a number becomes its text in its place */
        if (parts[i].at == NULL) {
            return mw_raise_inval(L, "stream.write", "argument %d: string or number expected, got %s", i + 1,
                                  luaL_typename(L, i + 2));
        }
        total += parts[i].len;
    }
    if (add_parts(s, parts, n, total)) {
        rc = 0;
    } else if (mw_stream_full(s) && mw_wait_possible(L)) {
        lua_settop(L, n + 1);
        return mw_wait_yield(L, mw_stream_writable(s), MW_NEVER, 0, room_k);
    } else if (n == 1 && total > MW_STREAM_SMALL) {
        rc = mw_stream_write_pinned(s, parts, mw_pin(L, 2), &err);
    } else {
        rc = mw_stream_put(s, parts, n, &err);
    }
    if (rc < 0) return mw_push_err(L, &err);
    if (box->more != NULL) mw_stream_tell(L, box, MW_PROBE_SEND, n > 0 ? parts[0].at : "", total); /* joined before */
    lua_settop(L, 1);
    box->writes += 1 + (total >> 10);
    if (rc == 1) return written(L, s, 1);
    if (box->writes < STREAK) return 1;
    box->writes = 0;
    return mw_wait_possible(L) ? mw_wait_pass(L, 0, pass_k) : 1;
}

int mw_stream_write_raw(lua_State *L) {
    return write_parts(L, opened(L, lua_touserdata(L, 1)));
}

/* stream:write(...) -> stream | nil, err                                      [-0, +1|2, ey]
 * Strings and numbers; one call is one piece, whoever else writes. */
static int stream_write(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, stream_write);
    struct mw_stream_box *box = mw_stream_box_own(L);

    return box->more != NULL ? mw_stream_write_used(L, box) : write_parts(L, box);
}

static int flush_k(lua_State *L, int code, lua_KContext ctx) {
    mw_stream *s = mw_stream_check(L, 1);
    struct mw_err err;
    int rc = mw_stream_flush(s, &err);

    if (rc == 1 && code == MW_ETIMEDOUT) rc = mw_err_set(&err, MW_ETIMEDOUT, "stream flush", mw_stream_subject(s), NULL);
    if (rc < 0) return mw_push_err(L, &err);
    if (rc == 1) return mw_wait_yield(L, mw_stream_writable(s), (uint64_t)ctx, ctx, flush_k);
    lua_settop(L, 1);
    return 1;
}

/* stream:flush(opts) -> stream | nil, err: until all is with the kernel       [-0, +1|2, ey] */
static int stream_flush(lua_State *L) {
    static const char *const known[] = { "timeout", NULL };
    uint64_t deadline = MW_NEVER;

    mw_stream_check(L, 1);
    if (!lua_isnoneornil(L, 2)) {
        mw_opt_open(L, 2, "stream.flush", known, 0);
        deadline = mw_opt_deadline(L, 2, "stream.flush");
    }
    lua_settop(L, 1);
    return flush_k(L, 0, (lua_KContext)deadline);
}

/* stream:finish() -> stream | nil, err: no more will be written               [-0, +1|2, e]
 * What is queued goes out first, in its own time: waiting here could be waiting for a peer that waits for us. */
static int stream_finish(lua_State *L) {
    mw_stream *s = mw_stream_check(L, 1);
    struct mw_err err;
    int rc = mw_stream_finish(s, &err);

    if (rc < 0) return mw_push_err(L, &err);
    lua_settop(L, 1);
    return 1;
}

/* ---- Closing -------------------------------------------------------------------------------------------------------------- */

/* A task of the root scope: keeps the host running until a closed stream has sent what was queued. */
static int linger_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_stream_box *box = lua_touserdata(L, 1);

    if (code == MW_ECANCELED) {
        mw_stream_close(box->s);
        return mw_wait_cancelled(L);
    }
    if (mw_stream_unsent(box->s) == 0) {
        mw_stream_close(box->s);
        return 0;
    }
    return mw_wait_yield_raw(L, mw_stream_writable(box->s), MW_NEVER, ctx, linger_k);
}

static int linger(lua_State *L) {
    return linger_k(L, 0, 0);
}

/* stream:close() -> true | nil, err: bytes were lost; also __close            [-0, +1|2, m]
 * Does not wait; what is queued is sent all the same, before the host ends. */
static int stream_close(lua_State *L) {
    struct mw_stream_box *box = mw_box_check(L, 1, MW_STREAM_TYPE);
    struct mw_err err;
    int rc = box->s != NULL ? mw_stream_retire(box->s, &err) : 0;

    if (rc < 0) return mw_push_err(L, &err);
    if (rc == 1) {
        mw_scope *root = mw_host_root(mw_stream_host(box->s));
        lua_pushcfunction(L, linger);
        lua_pushvalue(L, 1);
        if (mw_task_start(root, L, 1, "stream close", 0, NULL, NULL) < 0) mw_stream_close(box->s);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int stream_gc(lua_State *L) {
    struct mw_stream_box *box = lua_touserdata(L, 1);
    mw_stream *s = box->s;

    mw_tapped_remove(&box->tapped);
    mw_stream_more_end(box);
    if (s == NULL) return 0;
    box->s = NULL;
    if (box->now != NULL) mw_stream_await(s, NULL, NULL);
    free(box->now);
    box->now = NULL;
    mw_box_forget(L, box);
    if (!mw_stream_closed(s) && !box->owned) mw_box_warn(L, 1, "stream");
    mw_stream_release(s);
    return 0;
}

/* ---- Handles -------------------------------------------------------------------------------------------------------------- */

/* The one descriptor of the stream at idx, or an error: EINVAL raised, or -EBUSY returned. */
static int passable(lua_State *L, int idx, struct mw_err *err) {
    mw_stream *s = mw_stream_check(L, idx);
    int rfd = mw_stream_rfd(s), wfd = mw_stream_wfd(s);

    if (mw_stream_closed(s)) return mw_err_set(err, MW_ECLOSED, "stream send_handle", mw_stream_subject(s), NULL);
    if (rfd >= 0 && wfd >= 0 && rfd != wfd) {
        return mw_raise_inval(L, "stream.send_handle", "argument %d: a stream of two descriptors cannot be sent as one", idx - 1);
    }
    if (mw_stream_is_secure(s)) {
        return mw_raise_inval(L, "stream.send_handle", "argument %d: a stream of TLS cannot be sent: its keys stay here", idx - 1);
    }
    if (mw_bytes_len(mw_stream_in(s)) > 0) {
        return mw_err_set(err, -EBUSY, "stream send_handle", mw_stream_subject(s),
                          "it holds unread bytes, which would be lost: read them first");
    }
    if (mw_stream_flush(s, err) < 0) return err->code;
    mw_stream_share(s);
    return rfd >= 0 ? rfd : wfd;
}

/* Memory or a ring: not taken apart before it is sure that it can go.          [self object -> self | nil err] */
static int send_parcel(lua_State *L, mw_stream *s) {
    struct mw_parcel p;
    struct mw_err err;
    int rc;

    mw_memory *m = mw_memory_test(L, 2);

    if (lua_gettop(L) != 2) return mw_raise_inval(L, "stream.send_handle", "memory and rings are sent one at a time");
    if (m != NULL && mw_memory_of_file(m)) return mw_raise_inval(L, "stream.send_handle", "a mapped file is not taken from a stranger: send its path, and open it there");
    rc = mw_stream_can_carry(s, &err);
    if (rc == 0) rc = mw_parcel_pack(L, 2, &p, &err);
    if (rc < 0) return mw_push_err(L, &err);
    rc = mw_stream_send_kind(s, mw_parcel_byte(&p), p.fds, (int)p.fd_count, &err);
    if (rc < 0) mw_parcel_return(L, 2, &p);
    else mw_parcel_drop(&p);
    return rc < 0 ? mw_push_err(L, &err) : written(L, s, rc);
}

/* stream:send_handle(stream, ... | memory | ring) -> self | nil, err          [-0, +1|2, ey] */
static int stream_send_handle(lua_State *L) {
    mw_stream *s = mw_stream_check(L, 1);
    int n = lua_gettop(L) - 1, fds[MW_STREAM_FDS], i, rc;
    struct mw_err err;

    if (n < 1 || n > MW_STREAM_FDS) {
        return mw_raise_inval(L, "stream.send_handle", "1 to %d streams expected, got %d", MW_STREAM_FDS, n);
    }
    for (i = 0; i < n; i++) {
        enum mw_parcel_kind kind = mw_parcel_test(L, i + 2);
        if (kind == MW_PARCEL_MEMORY || kind == MW_PARCEL_RING) return send_parcel(L, s);
    }
    for (i = 0; i < n; i++) {
        fds[i] = passable(L, i + 2, &err);
        if (fds[i] < 0) return mw_push_err(L, &err);
    }
    rc = mw_stream_send_fds(s, fds, n, &err);
    return rc < 0 ? mw_push_err(L, &err) : written(L, s, rc);
}

/* Memory or a ring. What the other side says of it may be a lie, which is no fault of the caller's.    [-0, +1, m] */
static int take_parcel(lua_State *L, mw_stream *s, int byte, struct mw_err *err) {
    struct mw_parcel p;
    int fds[MW_STREAM_FDS], n = mw_stream_take_fds(s, fds, err), rc;

    if (n <= 0) return n;
    rc = mw_parcel_from_byte(&p, byte, fds, n);
    if (rc == 0) rc = mw_parcel_unpack(L, &p, err);
    if (rc == MW_EINVAL) rc = mw_err_set(err, MW_EFRAME, "stream recv_handle", mw_stream_subject(s), "what came is not what it says");
    return rc < 0 ? rc : 1;
}

/* Takes what is at the head of the queue into fresh streams: n, or a code. 0: an empty queue.   [-0, +n, m] */
static int take_handles(lua_State *L, mw_stream *s, struct mw_err *err) {
    mw_stream **slots[MW_STREAM_FDS];
    int fds[MW_STREAM_FDS], ready = mw_stream_fds_ready(s), base = lua_gettop(L), i, n, rc = 0;

    if (ready > 0 && mw_stream_fds_kind(s) != 0) return take_parcel(L, s, mw_stream_fds_kind(s), err);
    luaL_checkstack(L, ready + 1, "stream.recv_handle");
    for (i = 0; i < ready; i++) slots[i] = mw_stream_box(L); /* the boxes first: what can raise has been done */
    n = mw_stream_take_fds(s, fds, err);
    for (i = 0; i < n; i++) {
        mw_stream *spare = NULL; /* a finalizer that read this stream while the boxes were made has brought others up */
        int one = mw_stream_adopt(mw_stream_host(s), fds[i], "handle", mw_stream_subject(s), i < ready ? slots[i] : &spare, err);
        if (spare != NULL) one = mw_err_set(err, MW_ELIMIT, "stream recv_handle", mw_stream_subject(s), NULL);
        mw_stream_release(spare);
        if (rc == 0) rc = one;
    }
    if (n > 0 && rc == 0) return n;
    for (i = 0; i < n && i < ready; i++) {
        if (*slots[i] != NULL) mw_stream_close(*slots[i]);
    }
    lua_settop(L, base);
    return n > 0 ? rc : n;
}

/* Ends without handles: gives the turn back.                                  [-0, +1|2, e] */
static int handle_none(lua_State *L, mw_stream *s, int code, struct mw_err *err) {
    mw_turn_give(mw_stream_reader(s));
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    if (code != MW_EEOF) return mw_push_err(L, err);
    lua_pushnil(L);
    return 1;
}

/* We have the reader's turn; code is what woke us; ctx the deadline. */
static int handle_k(lua_State *L, int code, lua_KContext ctx) {
    mw_stream *s = ((struct mw_stream_box *)lua_touserdata(L, 1))->s;
    struct mw_err err;
    int n = 1;

    if (code == MW_ECANCELED) return handle_none(L, s, code, NULL);
    while (mw_bytes_len(mw_stream_in(s)) == 0) {
        n = mw_stream_fill(s, 0, &err);
        if (n == 0 && code == MW_ETIMEDOUT) n = mw_err_set(&err, code, "stream recv_handle", mw_stream_subject(s), NULL);
        if (n < 0) return handle_none(L, s, n, &err);
        if (n > 0) break;
        mw_stream_await(s, NULL, NULL);
        return mw_wait_yield_raw(L, mw_stream_readable(s), (uint64_t)ctx, ctx, handle_k);
    }
    mw_turn_give(mw_stream_reader(s)); /* before anything that can raise */
    n = take_handles(L, s, &err);
    return n < 0 ? mw_push_err(L, &err) : n;
}

static int handle_turn_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_err err;

    if (code == 0) return handle_k(L, 0, ctx);
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    mw_err_set(&err, code, "stream recv_handle", mw_stream_subject(mw_stream_check(L, 1)), NULL);
    return mw_push_err(L, &err);
}

/* stream:recv_handle(opts) -> stream... | memory | ring | nil (the end) | nil, err            [-0, +1|2|n, ey] */
static int stream_recv_handle(lua_State *L) {
    static const char *const known[] = { "timeout", NULL };
    mw_stream *s = mw_stream_check(L, 1);
    uint64_t deadline = MW_NEVER;

    if (!lua_isnoneornil(L, 2)) {
        mw_opt_open(L, 2, "stream.recv_handle", known, 0);
        deadline = mw_opt_deadline(L, 2, "stream.recv_handle");
    }
    if (mw_stream_box_at(L, 1)->more != NULL && mw_stream_box_at(L, 1)->more->uses > 0) {
        return mw_raise_inval(L, "stream.recv_handle", "functions of use() cannot see handles: take them before use()");
    }
    lua_settop(L, 1);
    if (mw_turn_try(mw_stream_reader(s))) return handle_k(L, 0, (lua_KContext)deadline);
    return mw_turn_yield(L, mw_stream_reader(s), deadline, (lua_KContext)deadline, handle_turn_k);
}

/* ---- Looking -------------------------------------------------------------------------------------------------------------- */

static void set_integer(lua_State *L, const char *key, lua_Integer v) {
    lua_pushinteger(L, v);
    lua_setfield(L, -2, key);
}

/* stream:stats() -> { bytes_in, bytes_out, reads, writes, unread, unsent }    [-0, +1, m] */
static int stream_stats(lua_State *L) {
    mw_stream *s = mw_stream_check(L, 1);
    struct mw_stream_stats st;

    mw_stream_stats(s, &st);
    lua_createtable(L, 0, 6);
    set_integer(L, "bytes_in", (lua_Integer)st.bytes_in);
    set_integer(L, "bytes_out", (lua_Integer)st.bytes_out);
    set_integer(L, "reads", (lua_Integer)st.reads);
    set_integer(L, "writes", (lua_Integer)st.writes);
    set_integer(L, "unread", (lua_Integer)mw_bytes_len(mw_stream_in(s)));
    set_integer(L, "unsent", (lua_Integer)mw_stream_unsent(s));
    return 1;
}

/* stream:alive() -> boolean                                                   [-0, +1, -] */
static int stream_alive(lua_State *L) {
    struct mw_stream_box *box = mw_box_check(L, 1, MW_STREAM_TYPE);

    lua_pushboolean(L, box->s != NULL && mw_stream_alive(box->s));
    return 1;
}

/* stream:peer() -> { uid, gid, pid } | { host, port }, with identity | nil, err              [-0, +1|2, m] */
static int stream_peer(lua_State *L) {
    struct mw_peer peer;
    struct mw_err err;
    int rc = mw_stream_peer(mw_stream_check(L, 1), &peer, &err);

    if (rc < 0) return mw_push_err(L, &err);
    lua_createtable(L, 0, 3);
    if (peer.family == AF_UNIX) {
        set_integer(L, "uid", (lua_Integer)peer.uid);
        set_integer(L, "gid", (lua_Integer)peer.gid);
        set_integer(L, "pid", (lua_Integer)peer.pid);
    } else {
        lua_pushstring(L, peer.host);
        lua_setfield(L, -2, "host");
        set_integer(L, "port", peer.port);
    }
    mw_tls_push_peer(L, mw_stream_check(L, 1));
    if (mw_stream_identity(mw_stream_check(L, 1)) != NULL) {
        lua_pushstring(L, mw_stream_identity(mw_stream_check(L, 1)));
        lua_setfield(L, -2, "identity");
    }
    return 1;
}

/* stream:address() -> URL of our own end | nil, err                           [-0, +1|2, m] */
static int stream_address(lua_State *L) {
    char url[512];
    struct mw_err err;
    int rc = mw_stream_address(mw_stream_check(L, 1), url, sizeof url, &err);

    if (rc < 0) return mw_push_err(L, &err);
    lua_pushstring(L, url);
    return 1;
}

static int stream_tostring(lua_State *L) {
    struct mw_stream_box *box = mw_box_check(L, 1, MW_STREAM_TYPE);

    if (box->s == NULL || mw_stream_closed(box->s)) lua_pushliteral(L, "stream (closed)");
    else lua_pushfstring(L, "stream (%s %s)", mw_stream_noun(box->s), mw_stream_subject(box->s));
    return 1;
}

/* ---- The door ------------------------------------------------------------------------------------------------------------- */

static const luaL_Reg methods[] = {
    { "write", stream_write },
    { "flush", stream_flush },
    { "finish", stream_finish },
    { "close", stream_close },
    { "send_handle", stream_send_handle },
    { "recv_handle", stream_recv_handle },
    { "stats", stream_stats },
    { "alive", stream_alive },
    { "peer", stream_peer },
    { "address", stream_address },
    { "framed", mw_stream_framed },
    { "use", mw_stream_use },
    { "starttls", mw_stream_starttls },
    { "tls", mw_stream_tls },
    { NULL, NULL },
};
static const luaL_Reg meta[] = {
    { "__gc", stream_gc },
    { "__close", stream_close },
    { "__tostring", stream_tostring },
    { NULL, NULL },
};

/* Makes the type if it is not there yet: other doors push streams before anybody looks at this one. */
static void open_type(lua_State *L) {
    if (luaL_getmetatable(L, MW_STREAM_TYPE) == LUA_TNIL) {
        mw_type_new(L, MW_STREAM_TYPE, methods, meta);
        mw_type_methods(L, MW_STREAM_TYPE);
        luaL_getmetatable(L, MW_STREAM_TYPE);
        luaL_setfuncs(L, mw_stream_read_methods, 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* quiet(stream) -> boolean: another user may have it, nothing of this one is left in it                  [-0, +1, e] */
static int stream_quiet(lua_State *L) {
    struct mw_stream_box *box = mw_box_check(L, 1, MW_STREAM_TYPE);

    lua_pushboolean(L, box->s != NULL && mw_stream_quiet(box->s));
    return 1;
}

/* core.stream = { methods, quiet, codec, batched }                                            [-0, +1, m] */
int mw_door_stream(lua_State *L) {
    open_type(L);
    lua_createtable(L, 0, 4);
    mw_type_methods(L, MW_STREAM_TYPE);
    lua_setfield(L, -2, "methods");
    lua_pushcfunction(L, stream_quiet);
    lua_setfield(L, -2, "quiet");
    lua_pushcfunction(L, mw_channel_codec);
    lua_setfield(L, -2, "codec");
    lua_pushcfunction(L, mw_channel_batched);
    lua_setfield(L, -2, "batched");
    return 1;
}
