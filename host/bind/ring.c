/* Rings in Lua: records pushed and popped, by tasks that wait for room or for a record.
 * Knows: share/ring, core/task, bind/arg, lua.h. Never: a syscall; reads a record where it lies more than once. */
#include "bind/ring.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/tap.h"
#include "bind/use.h"
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
    unsigned uses;               /* middleware functions */
    mw_probe *probes;            /* of taps */
    struct mw_tapped tapped;
};

enum { RING_MORE = 2 };          /* user value: nil, or a table: functions at 1.., taps as keys */

static void open_type(lua_State *L);

/* The run's trace begins, or ends. */
static void turn(lua_State *L, struct mw_tapped *it, const mw_trace *over) {
    struct box *box = MW_LIST_ENTRY(it, struct box, tapped);

    if (over == NULL) mw_tap_run(L, &box->probes, MW_PROBE_RING, "ring");
    else mw_tap_leave(&box->probes, over);
}

mw_ring **mw_ring_box(lua_State *L) {
    struct box *box;

    open_type(L);
    box = mw_box_new(L, sizeof *box, MW_RING_TYPE);
    mw_tapped_add(L, &box->tapped, turn);
    return &box->r;
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
    return mw_param_bytes(L, 2, op, "the record", len);
}

/* A record went in.                                                                  [-0, +1, -] */
static int pushed(lua_State *L, struct box *box, const char *at, size_t len) {
    mw_tap_message(L, box->probes, MW_PROBE_SEND, at, len);
    lua_pushboolean(L, 1);
    return 1;
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
    return rc < 0 ? failed(L, &err) : pushed(L, box, at, len);
}

/* [ring record]: what the last function passes, or what is there without functions.   [-0, +1|2, ey] */
static int push_end(lua_State *L) {
    size_t len;

    record(L, "ring push", &len);
    lua_settop(L, 2);
    return push_k(L, 0, (lua_KContext)MW_NEVER);
}
static int try_end(lua_State *L) {
    struct box *box = lua_touserdata(L, 1);
    struct mw_err err;
    size_t len;
    const char *at = record(L, "ring try_push", &len);
    int rc = mw_ring_push(box->r, at, len, &err);

    if (rc < 0) return failed(L, &err);
    return rc == 0 ? again_later(L, "ring try_push", "it is full") : pushed(L, box, at, len);
}
/* [ring record]: through the functions -> true | nil, err                             [-0, +1|2, ey] */
static int through_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    if (lua_isnil(L, 1)) return lua_gettop(L);
    lua_pushboolean(L, 1);
    return 1;
}
static int through_push(lua_State *L) {
    lua_getiuservalue(L, 1, RING_MORE);
    return mw_use_send(L, push_end);
}
static int through_try(lua_State *L) {
    lua_getiuservalue(L, 1, RING_MORE);
    return mw_use_send(L, try_end);
}
static int push_used(lua_State *L, lua_CFunction through) {
    lua_settop(L, 2);
    lua_pushcfunction(L, through);
    lua_insert(L, 1);
    lua_callk(L, 2, LUA_MULTRET, 0, through_k);
    return through_k(L, LUA_OK, 0);
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
    if (box->uses > 0) return push_used(L, through_push);
    if (box->streak++ < STREAK || !mw_wait_possible(L)) {
        rc = mw_ring_push(box->r, at, len, &err);
        if (rc < 0) return failed(L, &err);
        if (rc > 0) return pushed(L, box, at, len);
        box->streak = 0;
        return push_k(L, 0, (lua_KContext)until);
    }
    box->streak = 0;
    return mw_wait_pass(L, (lua_KContext)until, push_k);
}

/* ring:try_push(record) -> true | nil, err                                           [-0, +1|2, e] */
static int ring_try_push(lua_State *L) {
    return self(L)->uses > 0 ? push_used(L, through_try) : try_end(L);
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
static int take(lua_State *L, const struct box *box, struct mw_err *err) {
    mw_ring *r = box->r;
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
        if (mw_ring_popped(r, mark)) {
            if (box->probes != NULL) mw_tap_tell(L, box->probes, MW_PROBE_RECV, lua_tostring(L, -1), v.len);
            return 1;
        }
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
    int rc = take(L, box, &err);

    while (rc == 0) {
        if (code == MW_ETIMEDOUT) rc = mw_err_set(&err, MW_ETIMEDOUT, w->op, NULL, NULL);
        else if (!mw_ring_await_record(box->r)) return mw_wait_yield(L, mw_ring_readable(box->r), until, (lua_KContext)until, w->k);
        else rc = take(L, box, &err);
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

static int pop_raw(lua_State *L) { /* [ring deadline] */
    return pop_step(L, lua_touserdata(L, 1), 0, (uint64_t)lua_tointeger(L, 2), &popping);
}
/* Through the functions, until a record is not dropped.                              [-0, +1|2, ey] */
static int through_pop(lua_State *L) { /* [ring deadline] */
    lua_getiuservalue(L, 1, RING_MORE);
    return mw_use_recv(L, pop_raw);
}
static int pop_used(lua_State *L, uint64_t until) { /* [ring ...] */
    lua_settop(L, 1);
    lua_pushinteger(L, (lua_Integer)until);
    return through_pop(L);
}

/* ring:pop{ timeout } -> record | nil (the end) | nil, err                           [-0, +1|2, ey] */
static int ring_pop(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, ring_pop);
    struct box *box = self(L);
    uint64_t until = MW_NEVER;

    if (lua_gettop(L) > 1) until = deadline(L, 2, "ring pop");
    if (box->uses > 0) return pop_used(L, until);
    if (box->streak++ < STREAK || !mw_wait_possible(L)) return pop_step(L, box, 0, until, &popping);
    box->streak = 0;
    return mw_wait_pass(L, (lua_KContext)until, pop_k);
}

static int try_pop_raw(lua_State *L) {
    struct mw_err err;
    int rc = take(L, lua_touserdata(L, 1), &err);

    if (rc > 0) return 1;
    return rc < 0 ? failed(L, &err) : again_later(L, "ring try_pop", "it is empty");
}

/* ring:try_pop() -> record | nil (the end) | nil, err                                [-0, +1|2, e] */
static int ring_try_pop(lua_State *L) {
    self(L);
    lua_settop(L, 1);
    if (self(L)->uses == 0) return try_pop_raw(L);
    lua_pushnil(L);
    lua_getiuservalue(L, 1, RING_MORE);                                 /* [ring nil list] */
    return mw_use_recv(L, try_pop_raw);
}

static int next_k(lua_State *L, int code, lua_KContext ctx);
static const struct way iterating = { "ring records", 1, next_k };

static int next_k(lua_State *L, int code, lua_KContext ctx) {
    return pop_step(L, lua_touserdata(L, lua_upvalueindex(1)), code, (uint64_t)ctx, &iterating);
}

/* After the functions: [record | nil | nil err] */
static int next_used_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    if (!lua_isnil(L, 1) || lua_isnoneornil(L, 2)) return lua_gettop(L);
    lua_settop(L, 2);
    return lua_error(L);
}

/* The iterator: upvalue 1 is the ring, 2 the options; no argument has to be looked at.                     [-0, +1, ey] */
static int records_next(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, records_next);
    struct box *box = lua_touserdata(L, lua_upvalueindex(1));
    uint64_t until = MW_NEVER;

    if (box->r == NULL) return mw_raise_inval(L, "ring records", "this ring is gone");
    if (!lua_isnil(L, lua_upvalueindex(2))) until = mw_opt_deadline(L, lua_upvalueindex(2), "ring records");
    if (box->uses > 0) {
        lua_settop(L, 0);
        lua_pushcfunction(L, through_pop);
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushinteger(L, (lua_Integer)until);
        lua_callk(L, 2, LUA_MULTRET, 0, next_used_k);
        return next_used_k(L, LUA_OK, 0);
    }
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

/* ring:use(fn | tap) -> ring: of this end of it                                      [-0, +1, e] */
static int ring_use(lua_State *L) {
    struct box *box = self(L);

    mw_use_arguments(L);
    if (mw_tap_test(L, 2)) mw_tap_attach(L, 2, RING_MORE, &box->probes, MW_PROBE_RING, "ring");
    else box->uses = (unsigned)mw_use_add(L, 2, RING_MORE, "ring.use");
    lua_settop(L, 1);
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
    if (box->tapped.turn != NULL) mw_tapped_remove(&box->tapped);
    mw_tap_end(&box->probes);
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
        { "records", ring_records }, { "finish", ring_finish }, { "stats", ring_stats }, { "use", ring_use }, { "close", ring_close }, { NULL, NULL },
    };
    static const luaL_Reg meta[] = {
        { "__close", ring_close }, { "__gc", ring_gc }, { "__tostring", ring_tostring }, { NULL, NULL },
    };

    if (luaL_getmetatable(L, MW_RING_TYPE) == LUA_TNIL) mw_type_new(L, MW_RING_TYPE, methods, meta);
    lua_pop(L, 1);
}
