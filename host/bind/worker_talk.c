/* Messages to and from a worker, from either side.
 * Knows: bind, share/worker. Never: a call. */
#include "bind/worker.h"

#define SEND "send"
#define RECV "recv"

/* The box whose methods these are: a worker's, or the parent's. */
static struct mw_worker_box *self(lua_State *L) {
    return mw_box_self(L, MW_WORKER_TYPE);
}

static int timed_out(lua_State *L, const char *op) {
    struct mw_err err;
    mw_err_set(&err, MW_ETIMEDOUT, op, NULL, NULL);
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

static int send_k(lua_State *L, int code, lua_KContext deadline) { /* [self value opts] */
    struct mw_worker_box *box = self(L);
    struct mw_talk *t;
    struct mw_err err;
    int rc;

    if (code == MW_ETIMEDOUT) return timed_out(L, SEND);
    if (box->end == NULL || (box->worker != NULL ? mw_worker_finished(box->worker) || mw_worker_ended(box->worker) : box->end->host == NULL))
        return gone(L, box);
    if (!mw_end_room(box->end, MW_MESSAGES, 1)) return mw_wait_yield(L, &box->end->writable[MW_MESSAGES], (uint64_t)deadline, deadline, send_k);
    t = mw_talk_begin(L);
    rc = mw_talk_write(L, t, 2, &err);
    if (rc == 0) rc = mw_talk_put(L, t, box->end, MW_MESSAGES, MW_KIND_MESSAGE, 0, &err);
    if (rc < 0) return mw_push_err(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* send(value [, opts]) -> true | nil, err                                                                    [-0, +1|2, y] */
int mw_worker_send(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    uint64_t deadline = MW_NEVER;

    self(L);
    if (lua_isnoneornil(L, 2)) return mw_raise_inval(L, SEND, "nil cannot be sent: it means the end");
    lua_settop(L, 3);
    if (!lua_isnil(L, 3)) {
        mw_opt_open(L, 3, SEND, known, 0);
        deadline = mw_opt_deadline(L, 3, SEND);
    }
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
    return rc < 0 ? rc : 1;
}

static int recv_k(lua_State *L, int code, lua_KContext deadline) {
    struct mw_worker_box *box = self(L);
    struct mw_err err;
    int rc = take(L, box, &err);

    if (rc == 1) return 1;
    if (rc == -1) return mw_worker_push_end(L, box, RECV);
    if (rc < 0) return mw_push_err(L, &err);
    if (code == MW_ETIMEDOUT) return timed_out(L, RECV);
    return mw_wait_yield(L, &box->end->readable[MW_MESSAGES], (uint64_t)deadline, deadline, recv_k);
}

/* recv([opts]) -> value | nil (the end) | nil, err                                                          [-0, +1|2, y] */
int mw_worker_recv(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    uint64_t deadline = MW_NEVER;

    self(L);
    if (!lua_isnoneornil(L, 2)) {
        mw_opt_open(L, 2, RECV, known, 0);
        deadline = mw_opt_deadline(L, 2, RECV);
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
static int next_message(lua_State *L) {
    return next_k(L, 0, 0);
}

/* messages() -> an iterator; raises when the worker has crashed                                              [-0, +2, e] */
int mw_worker_messages(lua_State *L) {
    self(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, next_message, 1);
    lua_pushvalue(L, 1);
    return 2;
}
