/* Rings in Lua: records pushed and popped, by tasks that wait for room or for a record.
 * Knows: share/ring, core/task, bind/arg, lua.h. Never: a syscall; reads a record where it lies more than once. */
#include "bind/ring.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "core/hook.h"
#include "core/task.h"

#define CAPACITY ((uint64_t)256 << 10)        /* bytes, unless the options say otherwise */
#define CAPACITY_MAX ((uint64_t)1 << 40)      /* the limits say less */

enum {
    SHORT = 64,                  /* bytes; Lua looks at its own short strings, of 40 at most, twice */
    STREAK = 1024                /* records of a task that never had to wait; then the others have their turn */
};

struct box {
    mw_ring *r;                  /* NULL: never filled */
    unsigned streak;
};

static void open_type(lua_State *L);

mw_ring **mw_ring_box(lua_State *L) {
    open_type(L);
    return &((struct box *)mw_box_new(L, sizeof(struct box), MW_RING_TYPE))->r;
}

mw_ring *mw_ring_test(lua_State *L, int idx) {
    struct box *box = luaL_testudata(L, idx, MW_RING_TYPE);
    return box != NULL ? box->r : NULL;
}

static struct box *self(lua_State *L) {
    struct box *box = mw_box_self(L, MW_RING_TYPE);

    if (box->r == NULL) mw_raise_inval(L, "ring", "this ring was never made");
    return box;
}

/* A peer that breaks the protocol says so in err.data.                               [-0, +2, e] */
static int failed(lua_State *L, const struct mw_err *err) {
    if (err->code != MW_EFRAME) return mw_push_err(L, err);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "protocol");
    lua_setfield(L, -2, "why");
    return mw_push_err_data(L, err);
}

static int again_later(lua_State *L, const char *op, const char *what) {
    struct mw_err err;

    mw_err_set(&err, MW_EAGAIN, op, NULL, what);
    return mw_push_err(L, &err);
}

static int timed_out(lua_State *L, const char *op) {
    struct mw_err err;

    mw_err_set(&err, MW_ETIMEDOUT, op, NULL, NULL);
    return mw_push_err(L, &err);
}

static uint64_t deadline(lua_State *L, int idx, const char *op) {
    static const char *const known[] = { "timeout", NULL };

    if (lua_isnoneornil(L, idx)) return MW_NEVER;
    mw_opt_open(L, idx, op, known, 0);
    return mw_opt_deadline(L, idx, op);
}

/* ---- Pushing ---------------------------------------------------------------------------------------------------------------------- */

static const char *record(lua_State *L, const char *op, size_t *len) {
    if (lua_type(L, 2) == LUA_TSTRING) return lua_tolstring(L, 2, len);
    return mw_arg_bytes(L, 2, op, "the record", len);
}

/* Stack: ring record ... ; ctx: the deadline. */
static int push_k(lua_State *L, int code, lua_KContext ctx) {
    struct box *box = lua_touserdata(L, 1);
    struct mw_err err;
    size_t len;
    const char *at = lua_tolstring(L, 2, &len);
    int rc = mw_ring_push(box->r, at, len, &err);

    while (rc == 0) {
        if (code == MW_ETIMEDOUT) return timed_out(L, "ring push");
        if (!mw_ring_await_room(box->r, len)) return mw_wait_yield(L, mw_ring_writable(box->r), (uint64_t)ctx, ctx, push_k);
        rc = mw_ring_push(box->r, at, len, &err);
    }
    if (rc < 0) return failed(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* ring:push(record, { timeout }) -> true | nil, err                                  [-0, +1|2, ey] */
static int ring_push(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, ring_push);
    struct box *box = self(L);
    uint64_t until = MW_NEVER;
    struct mw_err err;
    size_t len;
    const char *at = record(L, "ring push", &len);
    int rc;

    if (lua_gettop(L) > 2) until = deadline(L, 3, "ring push");
    if (box->streak++ < STREAK || !mw_wait_possible(L)) {
        rc = mw_ring_push(box->r, at, len, &err);
        if (rc < 0) return failed(L, &err);
        if (rc > 0) {
            lua_pushboolean(L, 1);
            return 1;
        }
        box->streak = 0;
        return push_k(L, 0, (lua_KContext)until);
    }
    box->streak = 0;
    return mw_wait_pass(L, (lua_KContext)until, push_k);
}

/* ring:try_push(record) -> true | nil, err                                           [-0, +1|2, e] */
static int ring_try_push(lua_State *L) {
    struct box *box = self(L);
    struct mw_err err;
    size_t len;
    const char *at = record(L, "ring try_push", &len);
    int rc = mw_ring_push(box->r, at, len, &err);

    if (rc < 0) return failed(L, &err);
    if (rc == 0) return again_later(L, "ring try_push", "it is full");
    lua_pushboolean(L, 1);
    return 1;
}

/* ring:finish() -> true | nil, err                                                   [-0, +1|2, e] */
static int ring_finish(lua_State *L) {
    struct mw_err err;

    if (mw_ring_finish(self(L)->r, &err) < 0) return failed(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- Popping ---------------------------------------------------------------------------------------------------------------------- */

/* The next record, or nil at the end, pushed: 1; 0: none now; or a code.              [-0, +1|0, m] */
static int take(lua_State *L, mw_ring *r, struct mw_err *err) {
    char few[SHORT];
    struct mw_view v;
    uint64_t mark;

    for (;;) {
        int rc = mw_ring_peek(r, &v, &mark, err);
        if (rc == 2) lua_pushnil(L);
        if (rc != 1) return rc == 2 ? 1 : rc;
        if (v.len <= sizeof few) {
            memcpy(few, v.at, v.len);
            v.at = few;
        } else if (v.len > 4096) {
            mw_host_make_room(L, v.len);
        }
        lua_pushlstring(L, v.at, v.len);
        if (mw_ring_popped(r, mark)) return 1;
        lua_pop(L, 1);
    }
}

struct way {
    const char *op;
    int raises;
    lua_KFunction k;
};

static int pop_step(lua_State *L, struct box *box, int code, uint64_t until, const struct way *w) {
    struct mw_err err;
    int rc = take(L, box->r, &err);

    while (rc == 0) {
        if (code == MW_ETIMEDOUT) rc = mw_err_set(&err, MW_ETIMEDOUT, w->op, NULL, NULL);
        else if (!mw_ring_await_record(box->r)) return mw_wait_yield(L, mw_ring_readable(box->r), until, (lua_KContext)until, w->k);
        else rc = take(L, box->r, &err);
    }
    if (rc > 0) return 1;
    if (w->raises) return mw_raise(L, &err);
    return failed(L, &err);
}

static int pop_k(lua_State *L, int code, lua_KContext ctx);
static const struct way popping = { "ring pop", 0, pop_k };

static int pop_k(lua_State *L, int code, lua_KContext ctx) {
    return pop_step(L, lua_touserdata(L, 1), code, (uint64_t)ctx, &popping);
}

/* ring:pop{ timeout } -> record | nil (the end) | nil, err                           [-0, +1|2, ey] */
static int ring_pop(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, ring_pop);
    struct box *box = self(L);
    uint64_t until = MW_NEVER;

    if (lua_gettop(L) > 1) until = deadline(L, 2, "ring pop");
    if (box->streak++ < STREAK || !mw_wait_possible(L)) return pop_step(L, box, 0, until, &popping);
    box->streak = 0;
    return mw_wait_pass(L, (lua_KContext)until, pop_k);
}

/* ring:try_pop() -> record | nil (the end) | nil, err                                [-0, +1|2, e] */
static int ring_try_pop(lua_State *L) {
    struct mw_err err;
    int rc = take(L, self(L)->r, &err);

    if (rc > 0) return 1;
    return rc < 0 ? failed(L, &err) : again_later(L, "ring try_pop", "it is empty");
}

static int next_k(lua_State *L, int code, lua_KContext ctx);
static const struct way iterating = { "ring records", 1, next_k };

static int next_k(lua_State *L, int code, lua_KContext ctx) {
    return pop_step(L, lua_touserdata(L, lua_upvalueindex(1)), code, (uint64_t)ctx, &iterating);
}

/* The iterator: upvalue 1 is the ring, 2 the options; no argument has to be looked at.                     [-0, +1, ey] */
static int records_next(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, records_next);
    struct box *box = lua_touserdata(L, lua_upvalueindex(1));
    uint64_t until = MW_NEVER;

    if (box->r == NULL) return mw_raise_inval(L, "ring records", "this ring is gone");
    if (!lua_isnil(L, lua_upvalueindex(2))) until = mw_opt_deadline(L, lua_upvalueindex(2), "ring records");
    if (box->streak++ < STREAK || !mw_wait_possible(L)) return pop_step(L, box, 0, until, &iterating);
    box->streak = 0;
    return mw_wait_pass(L, (lua_KContext)until, next_k);
}

/* ring:records{ timeout } -> next                                                    [-0, +1, e] */
static int ring_records(lua_State *L) {
    self(L);
    deadline(L, 2, "ring records");
    lua_settop(L, 2);
    lua_pushcclosure(L, records_next, 2);
    return 1;
}

/* ---- Looking, closing ------------------------------------------------------------------------------------------------------------- */

static void set(lua_State *L, const char *name, uint64_t v) {
    lua_pushinteger(L, (lua_Integer)v);
    lua_setfield(L, -2, name);
}

/* ring:stats() -> table                                                              [-0, +1, m] */
static int ring_stats(lua_State *L) {
    struct mw_ring_stats s;

    mw_ring_stats(self(L)->r, &s);
    lua_createtable(L, 0, 9);
    set(L, "capacity", s.capacity);
    set(L, "used", s.used);
    set(L, "pushed", s.pushed);
    set(L, "popped", s.popped);
    set(L, "bytes_pushed", s.bytes_pushed);
    set(L, "bytes_popped", s.bytes_popped);
    set(L, "rung", s.rung);
    lua_pushboolean(L, s.alone);
    lua_setfield(L, -2, "alone");
    lua_pushboolean(L, s.alive);
    lua_setfield(L, -2, "alive");
    return 1;
}

static int ring_close(lua_State *L) {
    struct box *box = luaL_checkudata(L, 1, MW_RING_TYPE);

    if (box->r != NULL) mw_ring_close(box->r);
    return 0;
}
static int ring_gc(lua_State *L) {
    struct box *box = luaL_checkudata(L, 1, MW_RING_TYPE);
    mw_ring *r = box->r;

    box->r = NULL;
    if (r != NULL && !mw_ring_closed(r)) mw_box_warn(L, 1, "ring");
    mw_ring_free(r);
    return 0;
}
static int ring_tostring(lua_State *L) {
    struct box *box = luaL_checkudata(L, 1, MW_RING_TYPE);
    struct mw_ring_stats s;

    if (box->r == NULL || mw_ring_closed(box->r)) {
        lua_pushliteral(L, "ring (closed)");
        return 1;
    }
    mw_ring_stats(box->r, &s);
    lua_pushfstring(L, "ring (%I of %I bytes used)", (LUAI_UACINT)s.used, (LUAI_UACINT)s.capacity);
    return 1;
}

/* ---- The door --------------------------------------------------------------------------------------------------------------------- */

int mw_ring_make(lua_State *L) {
    static const char *const known[] = { "capacity", NULL };
    uint64_t capacity;
    struct mw_err err;
    mw_ring **slot;

    lua_settop(L, 1);
    mw_opt_open(L, 1, "ring", known, 0);
    capacity = mw_opt_size(L, 1, "ring", "capacity", 1, CAPACITY_MAX, CAPACITY);
    slot = mw_ring_box(L);
    if (mw_ring_create(mw_host_of(L), capacity, slot, &err) < 0) return mw_push_err(L, &err);
    return 1;
}

static void open_type(lua_State *L) {
    static const luaL_Reg methods[] = {
        { "push", ring_push }, { "try_push", ring_try_push }, { "pop", ring_pop }, { "try_pop", ring_try_pop },
        { "records", ring_records }, { "finish", ring_finish }, { "stats", ring_stats }, { "close", ring_close }, { NULL, NULL },
    };
    static const luaL_Reg meta[] = {
        { "__close", ring_close }, { "__gc", ring_gc }, { "__tostring", ring_tostring }, { NULL, NULL },
    };

    if (luaL_getmetatable(L, MW_RING_TYPE) == LUA_TNIL) mw_type_new(L, MW_RING_TYPE, methods, meta);
    lua_pop(L, 1);
}
