/* Workers that are functions of ours: a keeper takes one task at a time and answers it, in whatever way it likes (a process for
 * each, a program that is talked to, a thread).
 * Knows: bind/arg, bind/pool, bind/process, codec, pool, core. Never: what a keeper does. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/pool.h"
#include "bind/process.h"
#include "codec/value.h"

static struct mw_pool_worker *check(lua_State *L, int idx) {
    return luaL_checkudata(L, idx, MW_POOL_WORKER_TYPE);
}

static int give(struct mw_pool_worker *w, struct mw_call *c) {
    w->now = c;
    c->pid = w->pid;
    mw_wait_wake(&w->work);
    return 0;
}

static void end(struct mw_pool_worker *w, int politely) {
    w->ending = 1;
    w->polite = politely != 0;
    mw_wait_wake(&w->work);
    if (!politely) mw_task_cancel(w->keeper, "its worker was ended");
}

const struct mw_pool_driver mw_pool_runner_driver = { give, end, NULL, NULL };

/* work(hand, process?) -> worker: the running task is one, and talks to that process                     [-0, +1, e] */
int mw_pool_work(lua_State *L) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    mw_process *p = lua_isnoneornil(L, 2) ? NULL : mw_process_check(L, 2);
    struct mw_pool_worker *w;

    lua_settop(L, 2);
    w = mw_pool_worker_new(L, s);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1); /* it lends the process */
    w->child = p;
    if (p != NULL) w->pid = (int)mw_process_pid(p);
    mw_pool_joined(&s->pool, &w->member, 1, mw_pool_clock());
    mw_pool_settle(s);
    return 1;
}

/* take(worker) -> true, name, value: the next task; nothing when the worker is to end                   [-0, +0|3, ey] */
static int take_k(lua_State *L, int code, lua_KContext ctx) {
    static const struct mw_value_options o = { .root = "argument", .record = MW_ERROR_TYPE };
    struct mw_pool_worker *w = check(L, 1);
    struct mw_call *c = w->now;
    struct mw_err err;
    size_t used;

    (void)code;
    if (w->set == NULL || (w->ending && c == NULL)) return 0;
    if (c == NULL) return mw_wait_yield(L, &w->work, MW_NEVER, ctx, take_k);
    w->now = NULL;
    lua_pushboolean(L, 1);
    lua_pushlstring(L, c->request, c->name_len);
    if (mw_value_read(L, c->request + c->name_len, c->request_len - c->name_len, &used, &o, &err) < 0)
        return mw_raise(L, &err);
    return 3;
}
int mw_pool_take(lua_State *L) {
    lua_settop(L, 1);
    return take_k(L, 0, 0);
}

/* answer(worker, true, values...) | (worker, false, err, traceback) | (worker, nil, err): the caller raises it  [-0, +0, e] */
int mw_pool_answer(lua_State *L) {
    struct mw_pool_worker *w = check(L, 1);
    unsigned kind = lua_toboolean(L, 2) ? MW_POOL_OK : lua_isnil(L, 2) ? MW_POOL_REFUSED : MW_POOL_RAISED;
    struct mw_value_options o = { .root = "result", .record = MW_ERROR_TYPE };
    struct mw_pool_set *s = w->set;
    int n = lua_gettop(L), rc = 0;
    struct mw_err err;

    if (s == NULL) return 0;
    s->scratch.head = s->scratch.tail = 0;
    for (int i = 3; i <= n && rc == 0; i++) rc = mw_value_write(L, i, &s->scratch, &o, &err);
    if (rc < 0) { /* what cannot be sent is the task's error */
        kind = MW_POOL_RAISED;
        s->scratch.head = s->scratch.tail = 0;
        mw_err_push(L, &err);
        lua_pushliteral(L, "");
        rc = mw_value_write(L, -2, &s->scratch, &o, &err);
        if (rc == 0) rc = mw_value_write(L, -1, &s->scratch, &o, &err);
        if (rc < 0) return mw_raise(L, &err);
    }
    mw_pool_worker_answered(w, w->member.seq, kind, UINT64_MAX, mw_pool_clock(), mw_bytes_at(&s->scratch),
                            mw_bytes_len(&s->scratch), NULL);
    mw_bytes_consume(&s->scratch, mw_bytes_len(&s->scratch));
    mw_bytes_shrink(&s->scratch, 64 << 10);
    mw_pool_settle(s);
    return 0;
}

/* lost(worker, { reason =, exit_code =, signal =, stderr =, pid = }, blameless): it has ended, or has to start anew  [-0, +0, e] */
int mw_pool_lose(lua_State *L) {
    struct mw_pool_worker *w = check(L, 1);
    struct mw_pool_death *d;
    const char *why = "ended", *tail = NULL;
    size_t len = 0;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    if (lua_getfield(L, 2, "reason") == LUA_TSTRING) why = lua_tostring(L, -1);
    if (lua_getfield(L, 2, "stderr") == LUA_TSTRING) tail = lua_tolstring(L, -1, &len);
    if (lua_getfield(L, 2, "traceback") == LUA_TSTRING) tail = lua_tolstring(L, -1, &len);
    d = mw_pool_death_new(why, tail, len);
    if (d != NULL) {
        d->traced = lua_type(L, -1) == LUA_TSTRING;
        d->known = 1;
        if (lua_getfield(L, 2, "exit_code") == LUA_TNUMBER) d->exit_code = (int)lua_tointeger(L, -1);
        if (lua_getfield(L, 2, "signal") == LUA_TSTRING) d->signal = mw_process_signal_number(lua_tostring(L, -1));
        if (lua_getfield(L, 2, "pid") == LUA_TNUMBER) d->pid = (int)lua_tointeger(L, -1);
    }
    if (lua_toboolean(L, 3)) w->member.blameless = 1;
    mw_pool_worker_lost(w, w->polite ? MW_POOL_LEFT : MW_POOL_DIED, d);
    mw_wait_wake(&w->work);
    return 0;
}

/* idle(worker) -> boolean: it has no task                                                               [-0, +1, e] */
int mw_pool_idle(lua_State *L) {
    struct mw_pool_worker *w = check(L, 1);

    lua_pushboolean(L, w->set != NULL && w->member.load == 0);
    return 1;
}
