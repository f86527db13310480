/* table: insert, remove, move, concat, unpack and sort as Lua has them, save that they stop when their script must: a length may
 * be any number that __len gives, and an element whatever __index does.
 * Knows: core/hook, lua.h. Never: gives another result or error than Lua 5.4's own. */
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>

#include "bind/std.h"
#include "core/hook.h"
#include "core/host.h"

enum { READS = 1, WRITES = 2, MEASURES = 4 };   /* what a call does with what may be no table, but behave as one */

static int has(lua_State *L, const char *name, int at) { /* the metatable is `at` values below the top */
    lua_pushstring(L, name);
    return lua_rawget(L, -at) != LUA_TNIL;
}

static void check_table(lua_State *L, int arg, int does) {
    int n = 1;

    if (lua_istable(L, arg)) return;
    if (lua_getmetatable(L, arg) && (!(does & READS) || has(L, "__index", ++n)) && (!(does & WRITES) || has(L, "__newindex", ++n)) &&
        (!(does & MEASURES) || has(L, "__len", ++n)))
        lua_pop(L, n);
    else
        luaL_checktype(L, arg, LUA_TTABLE);
}

static lua_Integer length(lua_State *L, int does) {
    check_table(L, 1, does | MEASURES);
    return luaL_len(L, 1);
}

/* t[to] = t[from] of the table at 1. */
static inline void shift(lua_State *L, struct mw_budget *b, lua_Integer from, lua_Integer to) {
    lua_geti(L, 1, from);
    lua_seti(L, 1, to);
    mw_budget_spend(b, 1);
}

static int tab_insert(lua_State *L) { /* insert(t, [pos,] value)                                                      [-0, +0, e] */
    struct mw_budget budget = MW_BUDGET_OF(L);
    lua_Integer last = (lua_Integer)((lua_Unsigned)length(L, READS | WRITES) + 1u), pos = last; /* the first that is free */

    switch (lua_gettop(L)) {
    case 2: break;
    case 3:
        pos = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)pos - 1u < (lua_Unsigned)last, 2, "position out of bounds");
        for (lua_Integer i = last; i > pos; i--) shift(L, &budget, i - 1, i);
        break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_seti(L, 1, pos);
    return 0;
}

static int tab_remove(lua_State *L) { /* remove(t [, pos]) -> value                                                   [-0, +1, e] */
    struct mw_budget budget = MW_BUDGET_OF(L);
    lua_Integer size = length(L, READS | WRITES), pos = luaL_optinteger(L, 2, size);

    if (pos != size) luaL_argcheck(L, (lua_Unsigned)pos - 1u <= (lua_Unsigned)size, 1, "position out of bounds");
    lua_geti(L, 1, pos);                                        /* [t ... value] */
    for (; pos < size; pos++) shift(L, &budget, pos + 1, pos);
    lua_pushnil(L);
    lua_seti(L, 1, pos);
    return 1;
}

static int tab_move(lua_State *L) { /* move(a, first, last, to [, b]) -> b or a                                       [-0, +1, e] */
    struct mw_budget budget = MW_BUDGET_OF(L);
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4), n;
    int into = !lua_isnoneornil(L, 5) ? 5 : 1;

    check_table(L, 1, READS);
    check_table(L, into, WRITES);
    lua_pushvalue(L, into);                                     /* [a ... b] */
    if (last < first) return 1;
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    n = last - first + 1;
    luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
    if (to > last || to <= first || (into != 1 && !lua_compare(L, 1, into, LUA_OPEQ))) {
        for (lua_Integer i = 0; i < n; i++) {
            lua_geti(L, 1, first + i);
            lua_seti(L, into, to + i);
            mw_budget_spend(&budget, 1);
        }
    } else { /* they overlap: from behind */
        for (lua_Integer i = n - 1; i >= 0; i--) {
            lua_geti(L, 1, first + i);
            lua_seti(L, into, to + i);
            mw_budget_spend(&budget, 1);
        }
    }
    return 1;
}

static void add_element(lua_State *L, luaL_Buffer *b, lua_Integer i) {
    lua_geti(L, 1, i);
    if (!lua_isstring(L, -1)) luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1), (LUAI_UACINT)i);
    luaL_addvalue(b);
}

static int tab_concat(lua_State *L) { /* concat(t [, separator [, first [, last]]]) -> string                         [-0, +1, e] */
    struct mw_budget budget = MW_BUDGET_OF(L);
    lua_Integer size = length(L, READS), i, last;
    lua_Unsigned count;
    size_t len;
    const char *sep = luaL_optlstring(L, 2, "", &len);
    luaL_Buffer b;

    i = luaL_optinteger(L, 3, 1);
    last = luaL_optinteger(L, 4, size);
    count = last > i ? (lua_Unsigned)last - (lua_Unsigned)i : 0;
    mw_host_make_room(L, count > 0 && count < 1 << 24 ? 24 * (size_t)count : 1 << 20); /* a guess */
    luaL_buffinit(L, &b);
    for (; i < last; i++) {
        add_element(L, &b, i);
        luaL_addlstring(&b, sep, len);
        mw_budget_spend(&budget, 1 + (int)(len >> 8 & 0xffffff));
    }
    if (i == last) add_element(L, &b, i);
    luaL_pushresult(&b);
    return 1;
}

static int tab_unpack(lua_State *L) { /* unpack(t [, first [, last]]) -> values                                       [-0, +n, e] */
    struct mw_budget budget = MW_BUDGET_OF(L);
    lua_Integer i = luaL_optinteger(L, 2, 1), last = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
    lua_Unsigned n;

    if (i > last) return 0;
    n = (lua_Unsigned)last - (lua_Unsigned)i;
    if (n >= (unsigned)INT_MAX || !lua_checkstack(L, (int)++n)) return luaL_error(L, "too many results to unpack");
    for (; i < last; i++) {
        lua_geti(L, 1, i);
        mw_budget_spend(&budget, 1);
    }
    lua_geti(L, 1, last);
    return (int)n;
}

/* ---- sort: quicksort by the median of three, in the order of comparisons that Lua's own has, since a script sees them ----------- */

#define BIG 100u        /* elements, above which a pivot is chosen elsewhere once a partition went badly */

typedef unsigned int place;

/* Steps that a string costs: to compare it, or to copy it. */
static int bytes_of(lua_State *L, int idx) {
    return lua_type(L, idx) == LUA_TSTRING ? (int)(lua_rawlen(L, idx) >> 8 & 0xffffff) : 0;
}

static int less(lua_State *L, struct mw_budget *b, int x, int y) {
    int yes;

    mw_budget_spend(b, 8 + bytes_of(L, x));
    if (lua_isnil(L, 2)) return lua_compare(L, x, y, LUA_OPLT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, x - 1);
    lua_pushvalue(L, y - 2);
    lua_call(L, 2, 1);
    yes = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return yes;
}

static void put(lua_State *L, place i, place j) { /* t[i] = top, t[j] = the one below; pops both */
    lua_seti(L, 1, i);
    lua_seti(L, 1, j);
}

/* Puts t[i] and t[j] in order.                                                                                      [-0, +0, e] */
static void order(lua_State *L, struct mw_budget *b, place i, place j) {
    lua_geti(L, 1, i);
    lua_geti(L, 1, j);
    if (less(L, b, -1, -2)) put(L, i, j);
    else lua_pop(L, 2);
}

/* Splits lo..up around the pivot P on top of the stack, which stands at up - 1 as well; t[lo] <= P <= t[up].     [P -> ] [-1, +0, e] */
static place split(lua_State *L, struct mw_budget *b, place lo, place up) {
    place i = lo, j = up - 1;

    for (;;) {
        while (lua_geti(L, 1, ++i), less(L, b, -1, -2)) {
            if (i == up - 1) luaL_error(L, "invalid order function for sorting");
            lua_pop(L, 1);
        }
        while (lua_geti(L, 1, --j), less(L, b, -3, -1)) {
            if (j < i) luaL_error(L, "invalid order function for sorting");
            lua_pop(L, 1);
        }                                                       /* [P t[i] t[j]] */
        if (j < i) {
            lua_pop(L, 1);
            put(L, up - 1, i);                                  /* t[up - 1] = t[i], t[i] = P */
            return i;
        }
        put(L, i, j);
    }
}

/* Some place in the middle half of lo..up. */
static place pivot_of(place lo, place up, unsigned salt) {
    place quarter = (up - lo) / 4;
    return salt % (quarter * 2) + lo + quarter;
}

/* The pivot of lo..up, which hold at least four: left on the stack, and in t[up - 1].                             [-0, +1, e] */
static void place_pivot(lua_State *L, place p, place up) {
    lua_geti(L, 1, p);
    lua_pushvalue(L, -1);
    lua_geti(L, 1, up - 1);                                     /* [P P t[up - 1]] */
    put(L, p, up - 1);
}

static void sort(lua_State *L, struct mw_budget *b, place lo, place up, unsigned salt) {
    while (lo < up) {
        place p, n;

        order(L, b, lo, up);
        if (up - lo == 1) return;
        p = up - lo < BIG || salt == 0 ? (lo + up) / 2 : pivot_of(lo, up, salt);
        lua_geti(L, 1, p);
        lua_geti(L, 1, lo);
        if (less(L, b, -2, -1)) {
            put(L, p, lo);
        } else {
            lua_pop(L, 1);
            lua_geti(L, 1, up);
            if (less(L, b, -1, -2)) put(L, p, up);
            else lua_pop(L, 2);
        }
        if (up - lo == 2) return;
        place_pivot(L, p, up);
        p = split(L, b, lo, up);
        if (p - lo < up - p) { /* the smaller part by a call, the larger by going on */
            sort(L, b, lo, p - 1, salt);
            n = p - lo;
            lo = p + 1;
        } else {
            sort(L, b, p + 1, up, salt);
            n = up - p;
            up = p - 1;
        }
        if ((up - lo) / 128 > n) salt = salt * 1664525u + 1013904223u + up; /* far too unequal: look elsewhere */
    }
}

static int tab_sort(lua_State *L) { /* sort(t [, less])                                                               [-0, +0, e] */
    struct mw_budget budget = MW_BUDGET_OF(L);
    lua_Integer n = length(L, READS | WRITES);

    if (n < 2) return 0;
    luaL_argcheck(L, n < INT_MAX, 1, "array too big");
    if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    luaL_checkstack(L, 40, "");
    sort(L, &budget, 1, (place)n, 0);
    return 0;
}

int mw_std_open_table(lua_State *L) {
    static const luaL_Reg fns[] = {{"insert", tab_insert}, {"remove", tab_remove}, {"move", tab_move}, {"concat", tab_concat},
                                   {"unpack", tab_unpack}, {"sort", tab_sort}, {NULL, NULL}};

    luaopen_table(L);                                           /* [table] */
    luaL_setfuncs(L, fns, 0);
    return 1;
}
