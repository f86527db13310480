/* Messages to and from a worker, from either side.
 * Knows: bind, share/worker. Never: a call. */
#include "bind/tap.h"
#include "bind/use.h"
#include "bind/worker.h"

#define SEND "send"
#define RECV "recv"

/* The box whose methods these are: a worker's, or the parent's. */
static struct mw_worker_box *self(lua_State *L) {
    return mw_box_self(L, MW_WORKER_TYPE);
}

int mw_worker_push_timed_out(lua_State *L, const struct mw_worker_box *box, const char *op) {
    struct mw_err err;
    mw_err_set(&err, MW_ETIMEDOUT, op, box->worker != NULL ? mw_worker_name(box->worker) : NULL, NULL);
    return mw_push_err(L, &err);
}

/* ---- Sending --------------------------------------------------------------------------------------------------------------- */

static int gone(lua_State *L, const struct mw_worker_box *box) {
    struct mw_err err;

    if (box->end == NULL) return mw_worker_push_closed(L, SEND);
    if (box->worker != NULL && mw_worker_ended(box->worker)) {
        if (mw_worker_push_end(L, box, SEND) > 1) return 2;
        lua_pop(L, 1);
        mw_err_set(&err, MW_ECLOSED, SEND, mw_worker_name(box->worker), "the worker has ended");
    } else {
        mw_err_set(&err, MW_ECLOSED, SEND, NULL, "nothing more can be sent");
    }
    return mw_push_err(L, &err);
}

/* [self value]                                                                                               [-0, +1|2, e] */
static int put(lua_State *L, struct mw_worker_box *box) {
    struct mw_talk *t = mw_talk_begin(L);
    struct mw_err err;
    int rc = mw_talk_write(L, t, 2, &err);

    if (rc == 0) rc = mw_talk_put(L, t, box->end, MW_MESSAGES, MW_KIND_MESSAGE, 0, &err);
    if (rc < 0) return mw_push_err(L, &err);
    mw_tap_value(L, box->probes, MW_PROBE_SEND, 2);
    lua_pushboolean(L, 1);
    return 1;
}

static int send_used(lua_State *L);

static int send_k(lua_State *L, int code, lua_KContext deadline) { /* [self value], and true when it is for the functions first */
    struct mw_worker_box *box = lua_touserdata(L, 1);

    if (code == MW_ETIMEDOUT) return mw_worker_push_timed_out(L, box, SEND);
    if (box->end == NULL || (box->worker != NULL ? mw_worker_finished(box->worker) || mw_worker_ended(box->worker) : box->end->host == NULL))
        return gone(L, box);
    if (!mw_end_room(box->end, MW_MESSAGES, 1)) return mw_wait_yield(L, &box->end->writable[MW_MESSAGES], (uint64_t)deadline, deadline, send_k);
    return lua_toboolean(L, 3) ? send_used(L) : put(L, box);
}

/* What the last function passes.                                                                             [-0, +1|2, y] */
static int send_end(lua_State *L) {
    if (lua_isnoneornil(L, 2)) return mw_raise_inval(L, SEND, "nil cannot be sent: it means the end");
    lua_settop(L, 2);
    return send_k(L, 0, (lua_KContext)MW_NEVER);
}
static int send_used_k(lua_State *L, int status, lua_KContext ctx) { /* [self | nil err] */
    (void)status;
    (void)ctx;
    if (lua_isnil(L, 1)) return lua_gettop(L);
    lua_pushboolean(L, 1);
    return 1;
}
static int through(lua_State *L) { /* [self value] */
    lua_getiuservalue(L, 1, MW_WORKER_MORE);
    return mw_use_send(L, send_end);
}
static int send_used(lua_State *L) {
    lua_settop(L, 2);
    lua_pushcfunction(L, through);
    lua_insert(L, 1);
    lua_callk(L, 2, LUA_MULTRET, 0, send_used_k);
    return send_used_k(L, LUA_OK, 0);
}

/* send(value [, opts]) -> true | nil, err                                                                    [-0, +1|2, y] */
int mw_worker_send(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    uint64_t deadline = MW_NEVER;

    const struct mw_worker_box *box = self(L);

    if (lua_isnoneornil(L, 2)) return mw_raise_inval(L, SEND, "nil cannot be sent: it means the end");
    lua_settop(L, 3);
    if (!lua_isnil(L, 3)) {
        mw_opt_open(L, 3, SEND, known, 0);
        deadline = mw_opt_deadline(L, 3, SEND);
    }
    lua_settop(L, 2);
    lua_pushboolean(L, box->uses > 0);
    return send_k(L, 0, (lua_KContext)deadline);
}

/* ---- Receiving ------------------------------------------------------------------------------------------------------------- */

/* 1: a value was pushed; 0: nothing is there, and more may come; -1: nothing more will come; or a code with err filled. */
static int take(lua_State *L, struct mw_worker_box *box, struct mw_err *err) {
    int over = box->end == NULL || mw_end_is_over(box->end), rc;
    struct mw_record r;
    struct mw_talk *t;

    if (box->end == NULL || !mw_end_take(box->end, MW_MESSAGES, &r)) return over ? -1 : 0;
    t = mw_talk_open(L, r.kind, &r.at, &r.len);
    rc = mw_talk_read(L, t, &r.at, &r.len, err);
    mw_talk_close(t);
    mw_end_settle(box->end, MW_MESSAGES);
    if (rc == 0) mw_tap_value(L, box->probes, MW_PROBE_RECV, lua_gettop(L));
    return rc < 0 ? rc : 1;
}

static int recv_k(lua_State *L, int code, lua_KContext deadline) {
    struct mw_worker_box *box = lua_touserdata(L, 1);
    struct mw_err err;
    int rc = take(L, box, &err);

    if (rc == 1) return 1;
    if (rc == -1) return mw_worker_push_end(L, box, RECV);
    if (rc < 0) return mw_push_err(L, &err);
    if (code == MW_ETIMEDOUT) return mw_worker_push_timed_out(L, box, RECV);
    return mw_wait_yield(L, &box->end->readable[MW_MESSAGES], (uint64_t)deadline, deadline, recv_k);
}

static int recv_raw(lua_State *L) { /* [self deadline] */
    return recv_k(L, 0, (lua_KContext)lua_tointeger(L, 2));
}
/* [self deadline]: through the functions                                                                    [-0, +1|2, y] */
static int recv_used(lua_State *L) {
    lua_getiuservalue(L, 1, MW_WORKER_MORE);
    return mw_use_recv(L, recv_raw);
}

/* recv([opts]) -> value | nil (the end) | nil, err                                                          [-0, +1|2, y] */
int mw_worker_recv(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    uint64_t deadline = MW_NEVER;

    const struct mw_worker_box *box = self(L);

    if (!lua_isnoneornil(L, 2)) {
        mw_opt_open(L, 2, RECV, known, 0);
        deadline = mw_opt_deadline(L, 2, RECV);
    }
    if (box->uses > 0) {
        lua_settop(L, 1);
        lua_pushinteger(L, (lua_Integer)deadline);
        return recv_used(L);
    }
    return recv_k(L, 0, (lua_KContext)deadline);
}

static int next_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_worker_box *box = self(L);
    struct mw_err err;
    int rc = take(L, box, &err);
    (void)code;

    if (rc == 1) return 1;
    if (rc == -1) return box->end != NULL && mw_worker_push_end(L, box, RECV) > 1 ? lua_error(L) : (lua_pushnil(L), 1);
    if (rc < 0) return mw_raise(L, &err);
    return mw_wait_yield(L, &box->end->readable[MW_MESSAGES], MW_NEVER, ctx, next_k);
}
/* After the functions: [value | nil | nil err] */
static int next_used_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    if (lua_isnil(L, 1) && !lua_isnoneornil(L, 2)) {
        lua_settop(L, 2);
        return lua_error(L);
    }
    return lua_gettop(L);
}
static int next_message(lua_State *L) {
    if (self(L)->uses == 0) return next_k(L, 0, 0);
    lua_settop(L, 1);
    lua_pushcfunction(L, recv_used);
    lua_insert(L, 1);
    lua_pushinteger(L, (lua_Integer)MW_NEVER);
    lua_callk(L, 2, LUA_MULTRET, 0, next_used_k);
    return next_used_k(L, LUA_OK, 0);
}

/* messages() -> an iterator; raises when the worker has crashed                                              [-0, +2, e] */
int mw_worker_messages(lua_State *L) {
    self(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, next_message, 1);
    lua_pushvalue(L, 1);
    return 2;
}

/* use(fn | tap) -> self: functions around messages, not around calls                                            [-0, +1, e] */
int mw_worker_use(lua_State *L) {
    struct mw_worker_box *box = self(L);
    const char *name = box->worker != NULL ? mw_worker_name(box->worker) : "parent";

    mw_use_arguments(L);
    if (mw_tap_test(L, 2)) mw_tap_attach(L, 2, MW_WORKER_MORE, &box->probes, MW_PROBE_WORKER, name);
    else box->uses = (unsigned)mw_use_add(L, 2, MW_WORKER_MORE, "worker.use");
    lua_settop(L, 1);
    return 1;
}
