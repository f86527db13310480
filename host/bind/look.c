/* Looking at values without touching them: for completion at the prompt, which must not run what a script wrote.
 * Knows: lua.h. Never: calls a metamethod; hands a metatable out. */
#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "bind/doors.h"
#include "bind/look.h"

#define CHAIN_MAX 16            /* tables along __index */
#define KEYS_MAX 100000         /* keys looked at for one answer: some milliseconds */
#define PARAMS_MAX 64           /* names of parameters */

/* The raw __index of the value at `at` to the top; 0: nothing is pushed.                              [-0, +0|1, -] */
static int push_index(lua_State *L, int at) {
    if (!lua_getmetatable(L, at)) return 0;
    lua_pushliteral(L, "__index");
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return 1;
}

/* The tables in which the names of the value at `at` stand, one after the other: calls `each`, with the table at the top, until that
 * answers other than 0 and has pushed one value: these are left. A table counts itself first.                             [-0, +0, m] */
static int walk(lua_State *L, int at, int (*each)(lua_State *, void *), void *ud) {
    int top = lua_gettop(L), said = 0;

    luaL_checkstack(L, 8, NULL);
    lua_pushvalue(L, at);                                            /* [v] */
    for (int depth = 0; depth < CHAIN_MAX && said == 0; depth++) {
        if (lua_istable(L, -1) && (said = each(L, ud)) != 0) break;
        if (lua_type(L, -1) == LUA_TUSERDATA && luaL_getmetafield(L, -1, MW_LOOK_METHODS) != LUA_TNIL) { /* [v methods] */
            if (lua_getiuservalue(L, -2, MW_LOOK_FIELDS) == LUA_TTABLE && (said = each(L, ud)) != 0) break;
            lua_pop(L, 1);
            if (lua_istable(L, -1)) said = each(L, ud);
            break;
        }
        if (!push_index(L, lua_gettop(L))) break;                    /* [v index] */
        if (lua_type(L, -1) != LUA_TTABLE && lua_type(L, -1) != LUA_TUSERDATA) break; /* a function would have to be called */
        lua_replace(L, -2);
    }
    if (said == 0) lua_settop(L, top);
    return said;
}

struct wanted {
    int key;
};
static int found(lua_State *L, void *ud) {
    const struct wanted *w = ud;

    lua_pushvalue(L, w->key);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    return 0;
}

/* look.get(v, key) -> v[key] as far as nothing has to be called for it, else nil                      [-0, +1, e] */
static int look_get(lua_State *L) {
    struct wanted w = { 2 };

    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (lua_isnil(L, 2) || !walk(L, 1, found, &w)) lua_pushnil(L);
    return 1;
}

static int is_name(const char *s, size_t len) {
    if (len == 0 || len > 128 || isdigit((unsigned char)s[0])) return 0;
    for (size_t i = 0; i < len; i++)
        if (s[i] != '_' && (!isalnum((unsigned char)s[i]) || (unsigned char)s[i] > 127)) return 0;
    return 1;
}

struct gathering {
    const char *prefix;
    size_t len, max, taken, left, seen;
    int out;
};
static int gather(lua_State *L, void *ud) {
    struct gathering *g = ud;

    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {      /* [... table key value] */
        size_t len;
        const char *key;
        if (++g->seen > KEYS_MAX) {
            g->left++;
            lua_pop(L, 2);
            return 0;
        }
        if (lua_type(L, -2) != LUA_TSTRING) continue;
        key = lua_tolstring(L, -2, &len);
        if (len < g->len || memcmp(key, g->prefix, g->len) != 0 || !is_name(key, len)) continue;
        lua_pushvalue(L, -2);
        if (lua_rawget(L, g->out) != LUA_TNIL) {                     /* hidden by one that comes before */
            lua_pop(L, 1);
            continue;
        }
        lua_pop(L, 1);
        if (g->taken == g->max) {
            g->left++;
            continue;
        }
        g->taken++;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, g->out);
    }
    return 0;
}

/* look.names(v, prefix, max) -> { name = value }, how many more there are at least: the names that can stand behind v's dot
 *                                                                                                     [-0, +2, e] */
static int look_names(lua_State *L) {
    struct gathering g = { NULL, 0, 0, 0, 0, 0, 4 };
    lua_Integer max = luaL_checkinteger(L, 3);

    g.prefix = luaL_checklstring(L, 2, &g.len);
    g.max = max > 0 ? (size_t)max : 0;
    lua_settop(L, 3);
    lua_newtable(L);
    walk(L, 1, gather, &g);
    lua_pushvalue(L, 4);
    lua_pushinteger(L, (lua_Integer)g.left);
    return 2;
}

/* look.class(v) -> what its metatable calls it ("mw.stream"), or nil                                  [-0, +1, e] */
static int look_class(lua_State *L) {
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    if (luaL_getmetafield(L, 1, "__name") != LUA_TSTRING) lua_pushnil(L);
    return 1;
}

/* look.parameters(f) -> { "a", "b", "..." } of a Lua function, nil of others                          [-0, +1, e] */
static int look_parameters(lua_State *L) {
    lua_Debug ar;

    lua_settop(L, 1);
    if (!lua_isfunction(L, 1) || lua_iscfunction(L, 1)) return 0;
    lua_newtable(L);                                                 /* [f list] */
    lua_pushvalue(L, 1);
    lua_getinfo(L, ">u", &ar);
    for (int i = 1; i <= ar.nparams && i <= PARAMS_MAX; i++) {
        const char *name;
        lua_pushvalue(L, 1);
        name = lua_getlocal(L, NULL, i);                             /* of the function at the top, which stays */
        lua_pop(L, 1);
        lua_pushstring(L, name != NULL ? name : "?");
        lua_rawseti(L, 2, i);
    }
    if (ar.isvararg) {
        lua_pushliteral(L, "...");
        lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
    }
    return 1;
}

int mw_door_look(lua_State *L) {
    static const luaL_Reg fns[] = { { "get", look_get }, { "names", look_names }, { "class", look_class },
                                    { "parameters", look_parameters }, { NULL, NULL } };

    luaL_newlib(L, fns);
    return 1;
}
