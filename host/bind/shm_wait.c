/* Waiting for a number in shared memory, and waking who waits for one.
 * Knows: bind/shm_box, share/futex, core/task. Never: a syscall. */
#include <limits.h>

#include "bind/arg.h"
#include "bind/shm_box.h"
#include "core/task.h"
#include "share/futex.h"

#define WAITER "mw.futex"

static int waiter_gc(lua_State *L) {
    mw_futex_leave(luaL_checkudata(L, 1, WAITER));
    return 0;
}

static struct mw_futex *waiter_new(lua_State *L) {
    static const luaL_Reg none[] = { { NULL, NULL } }, meta[] = { { "__gc", waiter_gc }, { NULL, NULL } };

    if (luaL_getmetatable(L, WAITER) == LUA_TNIL) mw_type_new(L, WAITER, none, meta);
    lua_pop(L, 1);
    return mw_box_new(L, sizeof(struct mw_futex), WAITER);
}

/* The offset at argument 2, checked; raises EINVAL. */
static size_t word_at(lua_State *L, const mw_memory *m, const char *op) {
    lua_Integer at = mw_param_integer(L, 2, op, "the offset", LUA_MININTEGER, LUA_MAXINTEGER);

    if (mw_memory_holds(m, at, 4) && ((size_t)at & 3) == 0) return (size_t)at;
    mw_raise_inval(L, op, "offset %I is %s; the memory has %I bytes", (LUAI_UACINT)at,
                   mw_memory_holds(m, at, 4) ? "not a multiple of 4" : "out of range for 4 bytes", (LUAI_UACINT)m->size);
    return 0;
}

/* nil, err for what cannot be waited for; 0: it can. */
static int refuse(lua_State *L, const mw_memory *m, const char *op) {
    struct mw_err err;

    if (m->fd < 0) return mw_memory_closed_err(L, m, op);
    if (mw_memory_lost(m)) mw_memory_lost_err(m, op, &err);
    else if (m->careful) mw_err_set(&err, -EOPNOTSUPP, op, mw_memory_subject(m), "another process could cut this memory off, and this program has no handler for that");
    else return 0;
    return mw_push_err(L, &err);
}

/* Stack: memory offset value options waiter */
static int wait_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_futex *w = lua_touserdata(L, 5);
    mw_memory *m = ((struct mw_memory_box *)lua_touserdata(L, 1))->m;
    struct mw_err err;
    int n;

    if (!mw_futex_over(w) && code == 0) return mw_wait_yield_raw(L, &w->woken, (uint64_t)ctx, ctx, wait_k);
    if (!mw_futex_over(w)) {
        mw_futex_leave(w);
        if (code == MW_ECANCELED) return mw_wait_cancelled(L);
        mw_err_set(&err, MW_ETIMEDOUT, "shm wait", mw_memory_subject(m), NULL);
        return mw_push_err(L, &err);
    }
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    n = refuse(L, m, "shm wait");
    if (n > 0) return n;
    lua_pushboolean(L, 1);
    return 1;
}

static int wait_for(lua_State *L, const char *op, int until) {
    static const char *const known[] = { "timeout", NULL };
    mw_memory *m = mw_memory_self(L);
    uint64_t deadline = MW_NEVER;
    struct mw_futex *w;
    struct mw_err err;
    uint32_t value, now;
    size_t at;
    int n;

    lua_settop(L, 4);
    if (m->fd < 0) return mw_memory_closed_err(L, m, op);
    at = word_at(L, m, op);
    value = (uint32_t)mw_param_integer(L, 3, op, "the value", 0, UINT32_MAX);
    mw_opt_open(L, 4, op, known, 0);
    if (!lua_isnil(L, 4)) deadline = mw_opt_deadline(L, 4, op);
    n = refuse(L, m, op);
    if (n > 0) return n;
    now = __atomic_load_n((uint32_t *)(void *)(m->at + at), __ATOMIC_SEQ_CST);
    if ((now == value) == until && !mw_memory_lost(m)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (!mw_wait_possible(L)) return mw_raise_inval(L, op, "this call must wait, and cannot wait here");
    w = waiter_new(L);                                   /* [memory offset value options waiter] */
    if (m->fd < 0) return mw_memory_closed_err(L, m, op);        /* by a finalizer that ran just now */
    if (mw_futex_enter(w, m, at, value, until, &err) < 0) return mw_push_err(L, &err);
    return wait_k(L, 0, (lua_KContext)deadline);
}

/* memory:wait_u32(offset, value, { timeout }) -> true | nil, err: while the number there is `value`        [-0, +1|2, ey] */
static int memory_wait(lua_State *L) {
    return wait_for(L, "shm wait_u32", 0);
}
/* memory:wait_until_u32(offset, value, { timeout }) -> true | nil, err                                      [-0, +1|2, ey] */
static int memory_wait_until(lua_State *L) {
    return wait_for(L, "shm wait_until_u32", 1);
}

/* memory:wake_u32(offset, n) -> how many were woken | nil, err                                              [-0, +1|2, e] */
static int memory_wake(lua_State *L) {
    const char *op = "shm wake_u32";
    mw_memory *m = mw_memory_self(L);
    struct mw_err err;
    int n = INT_MAX, rc;
    size_t at;

    rc = refuse(L, m, op);
    if (rc > 0) return rc;
    at = word_at(L, m, op);
    if (!lua_isnoneornil(L, 3)) n = (int)mw_param_integer(L, 3, op, "how many", 1, INT_MAX);
    rc = mw_futex_wake(m, at, n);
    if (rc < 0) {
        mw_err_set(&err, rc, op, mw_memory_subject(m), NULL);
        return mw_push_err(L, &err);
    }
    lua_pushinteger(L, rc);
    return 1;
}

const luaL_Reg mw_memory_wait_methods[] = {
    { "wait_u32", memory_wait }, { "wait_until_u32", memory_wait_until }, { "wake_u32", memory_wake }, { NULL, NULL },
};
