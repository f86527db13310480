/* Calls: a function of a worker by its name, and its answer. The asking side, and the one that answers.
 * Knows: bind, share/worker. Never: runs a handler: lua/moonwire/serve.lua does. */
#include <stdlib.h>
#include <string.h>

#include "bind/worker.h"

#define OP "call"
#define CALL "mw.worker_call"
#define SMALL 232u              /* bytes of an answer that need no memory of their own */

enum state { WAITS, ANSWERED, LOST };

/* One that waits for its answer; on the stack of the task. */
struct call {
    struct mw_list link;        /* in its box's list */
    struct mw_wait answered;
    uint64_t id, asked_at;       /* ns */
    enum state state;
    unsigned kind;
    size_t len;
    char *at;                   /* small, or from malloc */
    char small[SMALL];
};

/* ---- Asking ---------------------------------------------------------------------------------------------------------------- */

/* Its answer, read or not. */
static void drop(struct call *c) {
    struct mw_record r = {.at = c->at, .len = c->len, .kind = c->kind};

    if (c->state == ANSWERED) mw_talk_drop(NULL, &r);
    if (c->at != c->small) free(c->at);
    c->at = c->small;
    c->len = 0;
    c->kind = 0;
}
static void call_end(struct call *c) {
    mw_list_remove(&c->link);
    mw_wait_wake(&c->answered);
    drop(c);
}
static int call_gc(lua_State *L) {
    call_end(lua_touserdata(L, 1));
    return 0;
}
void mw_worker_call_type(lua_State *L) {
    luaL_newmetatable(L, CALL);
    lua_pushcfunction(L, call_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

static void answer(struct mw_worker_box *box, const struct mw_record *r) {
    struct mw_list *at = box->calls.next;
    struct call *c;

    while (at != &box->calls && MW_LIST_ENTRY(at, struct call, link)->id != r->id) at = at->next;
    if (at == &box->calls) { /* nobody waits any more */
        mw_talk_drop(NULL, r);
        return;
    }
    c = MW_LIST_ENTRY(at, struct call, link);
    mw_list_remove(&c->link);
    if (r->len > SMALL && (c->at = malloc(r->len)) == NULL) {
        c->at = c->small;
        c->state = LOST;
        mw_talk_drop(NULL, r);
    } else {
        memcpy(c->at, r->at, r->len);
        c->len = r->len;
        c->kind = r->kind;
        c->state = ANSWERED;
    }
    mw_wait_wake(&c->answered);
}

void mw_worker_lose_calls(struct mw_worker_box *box) {
    while (!mw_list_empty(&box->calls)) {
        struct call *c = MW_LIST_ENTRY(box->calls.next, struct call, link);
        mw_list_remove(&c->link);
        c->state = LOST;
        mw_wait_wake(&c->answered);
    }
}

void mw_worker_on_news(struct mw_end *e) {
    struct mw_worker_box *box = e->ud;
    int over = mw_end_is_over(e);
    struct mw_record r;

    while (mw_end_take(e, MW_CALLS, &r)) {
        answer(box, &r);
        mw_end_settle(e, MW_CALLS);
    }
    if (over) mw_worker_lose_calls(box);
    mw_end_wake(e);
}

/* What came back: the handler's values; or nil and its error as data of an ETASK.                            [-0, +n, e] */
static int push_answer(lua_State *L, const struct mw_worker_box *box, struct call *c, const char *name) {
    const char *at = c->at;
    size_t len = c->len;
    unsigned kind = c->kind;
    struct mw_talk *t = mw_talk_open(L, kind, &at, &len);
    struct mw_err err;
    int n = 0, rc = 0;

    c->kind = 0; /* its objects are the talk's */
    for (; len > 0 && rc == 0; n++) {
        luaL_checkstack(L, 8, OP);
        rc = mw_talk_read(L, t, &at, &len, &err);
    }
    mw_talk_close(t);
    if (rc < 0) return mw_push_err(L, &err);
    if ((kind & 0xff) != MW_KIND_FAILED || n != 3) {
        if (box->probes != NULL) mw_tap_tell_answer(L, box->probes, MW_PROBE_RECV, c->id, 0, n);
        return n;
    }
    if (box->probes != NULL) mw_tap_tell_failure(L, box->probes, MW_PROBE_RECV, c->id, 0, lua_tostring(L, -3));
    /* [text error traceback] */
    mw_err_set(&err, MW_ETASK, OP, name, lua_tostring(L, -3));
    lua_createtable(L, 0, 2);
    lua_insert(L, -3);                                                  /* [text data error traceback] */
    lua_setfield(L, -3, "traceback");
    lua_setfield(L, -2, "error");
    return mw_push_err_data(L, &err);
}

static int lost(lua_State *L, const struct mw_worker_box *box, const char *name) {
    struct mw_err err;

    if (box->end == NULL) return mw_worker_push_closed(L, OP);
    if (mw_worker_ended(box->worker)) {
        if (mw_worker_push_end(L, box, OP) > 1) return 2;
        mw_err_setf(&err, MW_ECRASHED, OP, name, "the worker %s ended before it answered", mw_worker_name(box->worker));
    } else {
        mw_err_set(&err, MW_ENOMEM, OP, name, NULL);
    }
    return mw_push_err(L, &err);
}

/* [self name value opts call] */
static int answered_k(lua_State *L, int code, lua_KContext deadline) {
    struct mw_worker_box *box = mw_box_self(L, MW_WORKER_TYPE);
    struct call *c = lua_touserdata(L, 5);
    const char *name = lua_tostring(L, 2);
    struct mw_err err;

    if (c->state == ANSWERED) {
        if (c->asked_at != 0) mw_measure(mw_host_measures(mw_host_of(L)), MW_TIME_CALL_WORKER, mw_host_now(mw_host_of(L)) - c->asked_at);
        return push_answer(L, box, c, name);
    }
    if (box->end == NULL || c->state == LOST) return lost(L, box, name);
    if (code == 0) return mw_wait_yield_raw(L, &c->answered, (uint64_t)deadline, deadline, answered_k);
    call_end(c); /* an answer that comes now is dropped */
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    mw_err_set(&err, MW_ETIMEDOUT, OP, name, NULL);
    if (box->worker != NULL && !mw_worker_serves(box->worker)) mw_err_hint(&err, "worker %s has not come to mw.serve", mw_worker_name(box->worker));
    return mw_push_err(L, &err);
}

static int room_k(lua_State *L, int code, lua_KContext deadline) { /* [self name value opts] */
    struct mw_worker_box *box = mw_box_self(L, MW_WORKER_TYPE);
    struct mw_talk *t;
    struct mw_err err;
    struct call *c;
    int rc;

    if (code == MW_ETIMEDOUT) {
        mw_err_set(&err, MW_ETIMEDOUT, OP, lua_tostring(L, 2), NULL);
        return mw_push_err(L, &err);
    }
    if (box->end == NULL || mw_worker_ended(box->worker)) return lost(L, box, lua_tostring(L, 2));
    if (mw_worker_finished(box->worker)) return mw_worker_push_closed(L, OP);
    if (!mw_end_room(box->end, MW_CALLS, 1)) return mw_wait_yield(L, &box->end->writable[MW_CALLS], (uint64_t)deadline, deadline, room_k);
    c = lua_newuserdatauv(L, sizeof *c, 0);
    mw_list_init(&c->link);
    mw_wait_init(&c->answered);
    c->at = c->small;
    c->state = WAITS;
    c->id = ++box->last_id;
    c->asked_at = mw_host_measures(mw_host_of(L))->times[MW_TIME_CALL_WORKER] != NULL ? mw_host_now(mw_host_of(L)) : 0;
    luaL_setmetatable(L, CALL);
    t = mw_talk_begin(L);
    rc = mw_talk_write(L, t, 2, &err);
    if (rc == 0) rc = mw_talk_write(L, t, 3, &err);
    if (rc == 0) rc = mw_talk_put(L, t, box->end, MW_CALLS, MW_KIND_CALL, c->id, &err);
    if (rc == 0) mw_list_add(&box->calls, &c->link); /* no answer is looked at before */
    if (rc < 0) return mw_push_err(L, &err);
    if (box->probes != NULL) mw_tap_tell_call(L, box->probes, MW_PROBE_SEND, c->id, lua_tostring(L, 2), 3);
    return answered_k(L, 0, deadline);
}

/* call(name [, value [, opts]]) -> what the handler returns | nil, err                                        [-0, +n|2, y] */
int mw_worker_call(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    uint64_t deadline = MW_NEVER;

    mw_box_self(L, MW_WORKER_TYPE);
    mw_param_text(L, 2, OP, "the function's name", 1024, NULL);
    lua_settop(L, 4);
    if (!lua_isnil(L, 4)) {
        mw_opt_open(L, 4, OP, known, 0);
        deadline = mw_opt_deadline(L, 4, OP);
    }
    return room_k(L, 0, (lua_KContext)deadline);
}

/* ---- Answering ------------------------------------------------------------------------------------------------------------- */

/* The box of mw.parent, at 1. */
static struct mw_worker_box *parent(lua_State *L) {
    return luaL_checkudata(L, 1, MW_PARENT_TYPE);
}

static int take_k(lua_State *L, int code, lua_KContext ctx) { /* [parent] */
    struct mw_worker_box *box = parent(L);
    struct mw_end *e = box->end;
    int over = mw_end_is_over(e), rc;
    struct mw_record r;
    struct mw_talk *t;
    struct mw_err err;
    uint64_t id;
    (void)code;

    if (!mw_end_take(e, MW_CALLS, &r)) return over ? 0 : mw_wait_yield(L, &e->readable[MW_CALLS], MW_NEVER, ctx, take_k);
    id = r.id;
    lua_pushinteger(L, (lua_Integer)id);
    t = mw_talk_open(L, r.kind, &r.at, &r.len);
    rc = mw_talk_read(L, t, &r.at, &r.len, &err);
    if (rc == 0) rc = mw_talk_read(L, t, &r.at, &r.len, &err);
    mw_talk_close(t);
    mw_end_settle(e, MW_CALLS);
    if (rc < 0) return mw_raise(L, &err);
    if (box->probes != NULL) mw_tap_tell_call(L, box->probes, MW_PROBE_RECV, id, lua_tostring(L, -2), -1);
    return 3;
}

/* take(parent) -> id, name, value | nothing: no more will come                                               [-0, +3|0, y] */
int mw_worker_take(lua_State *L) {
    parent(L);
    mw_worker_serve(mw_worker_of(mw_host_of(L)));
    lua_settop(L, 1);
    return take_k(L, 0, 0);
}

static int reply_k(lua_State *L, int code, lua_KContext kind) { /* [parent id values...] */
    struct mw_worker_box *box = parent(L);
    uint64_t id = (uint64_t)lua_tointeger(L, 2);
    int n = lua_gettop(L), rc = 0;
    struct mw_talk *t;
    struct mw_err err;
    (void)code;

    if (!mw_end_room(box->end, MW_CALLS, 1)) return mw_wait_yield(L, &box->end->writable[MW_CALLS], MW_NEVER, kind, reply_k);
    t = mw_talk_begin(L);
    for (int i = 3; i <= n && rc == 0; i++) rc = mw_talk_write(L, t, i, &err);
    if (rc == 0) rc = mw_talk_put(L, t, box->end, MW_CALLS, (unsigned)kind, id, &err);
    if (rc < 0) return mw_raise(L, &err);
    if (box->probes == NULL) return 0;
    if (kind == MW_KIND_FAILED) mw_tap_tell_failure(L, box->probes, MW_PROBE_SEND, id, 0, lua_tostring(L, 3));
    else mw_tap_tell_answer(L, box->probes, MW_PROBE_SEND, id, 0, n - 2);
    return 0;
}

/* reply(parent, id, ...)                                                                                    [-0, +0, y] */
int mw_worker_reply(lua_State *L) {
    return reply_k(L, 0, MW_KIND_REPLY);
}
/* fail(parent, id, text, error, traceback)                                                                  [-0, +0, y] */
int mw_worker_fail_call(lua_State *L) {
    parent(L);
    luaL_checkstring(L, 3);
    lua_settop(L, 5);
    return reply_k(L, 0, MW_KIND_FAILED);
}
