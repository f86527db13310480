/* Numbers in shared memory: one by one, whole, and changed in one step.
 * Knows: bind/shm_box, C11's atomics. Never: reads half a number: each is aligned and taken at once.
 *
 * A number that was set is seen by others together with all that was written before it: set is a release, get an acquire. */
#include <math.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/shm_box.h"

#define NOWHERE SIZE_MAX

/* Where the number of `width` bytes at argument 2 lies; NOWHERE: closed; raises EINVAL. */
static size_t place(lua_State *L, const mw_memory *m, size_t width, const char *op) {
    lua_Integer at;

    if (lua_isinteger(L, 2)) at = lua_tointeger(L, 2);
    else at = mw_param_integer(L, 2, op, "the offset", LUA_MININTEGER, LUA_MAXINTEGER);
    if (mw_memory_holds(m, at, width) && ((size_t)at & (width - 1)) == 0) return (size_t)at;
    if (m->fd < 0) return NOWHERE;
    if (mw_memory_holds(m, at, width)) {
        mw_raise_inval(L, op, "offset %I is not a multiple of %d; the memory has %I bytes", (LUAI_UACINT)at, (int)width, (LUAI_UACINT)m->size);
    }
    mw_raise_inval(L, op, "offset %I is out of range for %d bytes; the memory has %I bytes", (LUAI_UACINT)at, (int)width, (LUAI_UACINT)m->size);
    return NOWHERE;
}

/* What cannot be done with this memory; 0: it can. Pushes nil, err. */
static int refuse(lua_State *L, const mw_memory *m, size_t at, int writes, int atomic, const char *op) {
    struct mw_err err;

    if (at == NOWHERE) return mw_memory_closed_err(L, m, op);
    if (writes && m->readonly) return mw_raise_inval(L, op, "this memory is open for reading only (mode = \"rw\" opens it for both)");
    if (!atomic || !m->careful) return 0;
    mw_err_set(&err, -EOPNOTSUPP, op, mw_memory_subject(m), "another process could cut this memory off in the middle of it, and this program has no handler for that");
    mw_err_hint(&err, "an embedder sets mw_config.mends_faults; anonymous memory needs none");
    return mw_push_err(L, &err);
}

static int lost(lua_State *L, const mw_memory *m, const char *op) {
    struct mw_err err;

    mw_memory_lost_err(m, op, &err);
    return mw_push_err(L, &err);
}

#define LIKELY(x) __builtin_expect(!!(x), 1)

/* memory:TYPE(offset) -> number | nil, err                                                             [-0, +1|2, e] */
#define GET(name, type, word, push)                                                                        \
    static int get_##name(lua_State *L) {                                                                  \
        mw_memory *m = mw_memory_self(L);                                                                  \
        size_t at = place(L, m, sizeof(type), "shm " #name);                                               \
        struct mw_err err;                                                                                 \
        word bits;                                                                                         \
        type v;                                                                                            \
        if (at == NOWHERE) return mw_memory_closed_err(L, m, "shm " #name);                                \
        if (LIKELY(!m->careful)) bits = __atomic_load_n((word *)(void *)(m->at + at), __ATOMIC_ACQUIRE);   \
        else if (mw_memory_read(m, at, &bits, sizeof bits, &err) < 0) return mw_push_err(L, &err);         \
        if (!LIKELY(!mw_memory_lost(m))) return lost(L, m, "shm " #name);                                  \
        memcpy(&v, &bits, sizeof v);                                                                       \
        push;                                                                                              \
        return 1;                                                                                          \
    }
GET(u8, uint8_t, uint8_t, lua_pushinteger(L, v))
GET(i8, int8_t, uint8_t, lua_pushinteger(L, v))
GET(u16, uint16_t, uint16_t, lua_pushinteger(L, v))
GET(i16, int16_t, uint16_t, lua_pushinteger(L, v))
GET(u32, uint32_t, uint32_t, lua_pushinteger(L, v))
GET(i32, int32_t, uint32_t, lua_pushinteger(L, v))
GET(u64, uint64_t, uint64_t, lua_pushinteger(L, (lua_Integer)v))
GET(i64, int64_t, uint64_t, lua_pushinteger(L, v))
GET(f32, float, uint32_t, lua_pushnumber(L, (lua_Number)v))
GET(f64, double, uint64_t, lua_pushnumber(L, v))

static lua_Integer integer_in(lua_State *L, int idx, const char *op, lua_Integer min, lua_Integer max) {
    if (lua_isinteger(L, idx)) {
        lua_Integer v = lua_tointeger(L, idx);
        if (v >= min && v <= max) return v;
    }
    return mw_param_integer(L, idx, op, "the value", min, max);
}
static lua_Number number_in(lua_State *L, int idx, const char *op) {
    if (lua_type(L, idx) != LUA_TNUMBER) mw_raise_inval(L, op, "the value must be a number, got %s", luaL_typename(L, idx));
    return lua_tonumber(L, idx);
}

/* memory:set_TYPE(offset, value) -> true | nil, err                                                    [-0, +1|2, e] */
#define SET(name, type, word, value)                                                                       \
    static int set_##name(lua_State *L) {                                                                  \
        static const char op[] = "shm set_" #name;                                                         \
        mw_memory *m = mw_memory_self(L);                                                                  \
        size_t at = place(L, m, sizeof(type), op);                                                         \
        struct mw_err err;                                                                                 \
        word bits;                                                                                         \
        type v = (type)(value);                                                                            \
        int n = refuse(L, m, at, 1, 0, op);                                                                \
        if (n > 0) return n;                                                                               \
        memcpy(&bits, &v, sizeof bits);                                                                    \
        if (LIKELY(!m->careful)) __atomic_store_n((word *)(void *)(m->at + at), bits, __ATOMIC_RELEASE);   \
        else if (mw_memory_write(m, at, &bits, sizeof bits, &err) < 0) return mw_push_err(L, &err);        \
        if (!LIKELY(!mw_memory_lost(m))) return lost(L, m, op);                                            \
        lua_pushboolean(L, 1);                                                                             \
        return 1;                                                                                          \
    }
SET(u8, uint8_t, uint8_t, integer_in(L, 3, op, 0, UINT8_MAX))
SET(i8, int8_t, uint8_t, integer_in(L, 3, op, INT8_MIN, INT8_MAX))
SET(u16, uint16_t, uint16_t, integer_in(L, 3, op, 0, UINT16_MAX))
SET(i16, int16_t, uint16_t, integer_in(L, 3, op, INT16_MIN, INT16_MAX))
SET(u32, uint32_t, uint32_t, integer_in(L, 3, op, 0, UINT32_MAX))
SET(i32, int32_t, uint32_t, integer_in(L, 3, op, INT32_MIN, INT32_MAX))
SET(u64, uint64_t, uint64_t, integer_in(L, 3, op, LUA_MININTEGER, LUA_MAXINTEGER))
SET(i64, int64_t, uint64_t, integer_in(L, 3, op, LUA_MININTEGER, LUA_MAXINTEGER))
SET(f32, float, uint32_t, number_in(L, 3, op))
SET(f64, double, uint64_t, number_in(L, 3, op))

/* memory:OP_TYPE(offset, value) -> number | nil, err: the new value; xchg the old one                   [-0, +1|2, e] */
#define CHANGE(how, name, type, word, min, max, step)                                                      \
    static int how##_##name(lua_State *L) {                                                                \
        static const char op[] = "shm " #how "_" #name;                                                    \
        mw_memory *m = mw_memory_self(L);                                                                  \
        size_t at = place(L, m, sizeof(type), op);                                                         \
        word v = (word)integer_in(L, 3, op, min, max), *p;                                                 \
        int n = refuse(L, m, at, 1, 1, op);                                                                \
        if (n > 0) return n;                                                                               \
        p = (word *)(void *)(m->at + at);                                                                  \
        v = step(p, v, __ATOMIC_SEQ_CST);                                                                  \
        if (!LIKELY(!mw_memory_lost(m))) return lost(L, m, op);                                            \
        lua_pushinteger(L, (lua_Integer)(type)v);                                                          \
        return 1;                                                                                          \
    }

/* memory:cas_TYPE(offset, expected, value) -> boolean | nil, err: whether it was changed                [-0, +1|2, e] */
#define CAS(name, type, word, min, max)                                                                    \
    static int cas_##name(lua_State *L) {                                                                  \
        static const char op[] = "shm cas_" #name;                                                         \
        mw_memory *m = mw_memory_self(L);                                                                  \
        size_t at = place(L, m, sizeof(type), op);                                                         \
        word seen = (word)integer_in(L, 3, op, min, max), v = (word)integer_in(L, 4, op, min, max), *p;    \
        int n = refuse(L, m, at, 1, 1, op), done;                                                          \
        if (n > 0) return n;                                                                               \
        p = (word *)(void *)(m->at + at);                                                                  \
        done = __atomic_compare_exchange_n(p, &seen, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);            \
        if (!LIKELY(!mw_memory_lost(m))) return lost(L, m, op);                                            \
        lua_pushboolean(L, done);                                                                          \
        return 1;                                                                                          \
    }

/* add and sub take a step of either sign; the others take a value of the type. */
#define ATOMICS(name, type, word, step_min, min, max)                        \
    CHANGE(add, name, type, word, step_min, max, __atomic_add_fetch)         \
    CHANGE(sub, name, type, word, step_min, max, __atomic_sub_fetch)         \
    CHANGE(and, name, type, word, min, max, __atomic_and_fetch)              \
    CHANGE(or, name, type, word, min, max, __atomic_or_fetch)                \
    CHANGE(xor, name, type, word, min, max, __atomic_xor_fetch)              \
    CHANGE(xchg, name, type, word, min, max, __atomic_exchange_n)            \
    CAS(name, type, word, min, max)
ATOMICS(u32, uint32_t, uint32_t, -(lua_Integer)UINT32_MAX, 0, UINT32_MAX)
ATOMICS(i32, int32_t, uint32_t, INT32_MIN, INT32_MIN, INT32_MAX)
ATOMICS(u64, uint64_t, uint64_t, LUA_MININTEGER, LUA_MININTEGER, LUA_MAXINTEGER)
ATOMICS(i64, int64_t, uint64_t, LUA_MININTEGER, LUA_MININTEGER, LUA_MAXINTEGER)

#define BOTH(name) { #name, get_##name }, { "set_" #name, set_##name }
#define STEPS(name)                                                                                                    \
    { "add_" #name, add_##name }, { "sub_" #name, sub_##name }, { "and_" #name, and_##name }, { "or_" #name, or_##name }, \
        { "xor_" #name, xor_##name }, { "xchg_" #name, xchg_##name }, { "cas_" #name, cas_##name }
const luaL_Reg mw_memory_number_methods[] = {
    BOTH(u8), BOTH(i8), BOTH(u16), BOTH(i16), BOTH(u32), BOTH(i32), BOTH(u64), BOTH(i64), BOTH(f32), BOTH(f64),
    STEPS(u32), STEPS(i32), STEPS(u64), STEPS(i64),
    { NULL, NULL },
};
