/* Doors for the Lua half: making errors, and reading options.
 * Knows: bind/arg, core. Never: a resource. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "core/task.h"

/* err.fail(code, op, subject, what, hint, data) -> error object                                     [-0, +1, e] */
static int err_fail(lua_State *L) {
    static const char *const names[] = {"code", "op", "subject", "message", "hint", "data"};
    lua_settop(L, 6);
    lua_createtable(L, 0, 6);
    for (int i = 0; i < 6; i++) {
        if (lua_isnil(L, i + 1)) continue;
        lua_pushvalue(L, i + 1);
        lua_setfield(L, -2, names[i]);
    }
    luaL_setmetatable(L, MW_ERROR_TYPE);
    if (lua_type(L, 1) == LUA_TSTRING) mw_err_count(L, lua_tostring(L, 1));
    return 1;
}

/* Pushes the innermost line that is not ours ("script.lua:12") and returns 1, or 0 and nothing.          [-0, +0|1, m] */
static int push_where(lua_State *L) {
    lua_Debug ar;

    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline <= 0 || strncmp(ar.source, "=[moonwire", 10) == 0) continue;
        lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
        return 1;
    }
    return 0;
}

/* err.where() -> the script's own line | nil, for warnings about what it never closed                [-0, +1, m] */
static int err_where(lua_State *L) {
    return push_where(L);
}

/* err.raise(object): raises it; an EINVAL gets the place of the script's own line                   [-0, +0, e] */
static int err_raise(lua_State *L) {
    lua_settop(L, 1);
    if (lua_istable(L, 1) && push_where(L)) {
        lua_pushliteral(L, ": ");
        lua_concat(L, 2);
        lua_setfield(L, 1, "where");
    }
    lua_settop(L, 1);
    return lua_error(L);
}

/* err.is(v) -> boolean: one of our error objects                                                    [-0, +1, -] */
static int err_is(lua_State *L) {
    int yes = 0;
    if (lua_type(L, 1) == LUA_TTABLE && lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, MW_ERROR_TYPE);
        yes = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, yes);
    return 1;
}

/* err.traceback: the message handler that keeps an error's first traceback; for xpcall in our own modules. */
static int err_traceback(lua_State *L) {
    return mw_traceback(L);
}
/* err.traceback_of(v) -> text kept for that error value, or ""                                       [-0, +1, m] */
static int err_traceback_of(lua_State *L) {
    luaL_checkany(L, 1);
    mw_traceback_of(L, 1);
    return 1;
}

int mw_door_err(lua_State *L) {
    static const luaL_Reg fns[] = {{"fail", err_fail}, {"raise", err_raise}, {"is", err_is}, {"where", err_where}, {"traceback", err_traceback}, {"traceback_of", err_traceback_of}, {NULL, NULL}};
    luaL_newlib(L, fns);
    return 1;
}

/* ---- Options ---------------------------------------------------------------------------------------------------------- */

/* arg.duration(v, op, name) -> seconds;  arg.size(v, op, name) -> bytes                              [-0, +1, e] */
static int arg_duration(lua_State *L) {
    uint64_t ns = mw_param_duration(L, 1, luaL_checkstring(L, 2), luaL_checkstring(L, 3));
    lua_pushnumber(L, ns == UINT64_MAX ? (lua_Number)HUGE_VAL : (lua_Number)ns / 1e9);
    return 1;
}
static int arg_size(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)mw_param_size(L, 1, luaL_checkstring(L, 2), luaL_checkstring(L, 3), 0, INT64_MAX / 2));
    return 1;
}

/* The option on top of the stack (key below it) as `type` says; replaces it by the converted value. */
static void convert(lua_State *L, const char *op, const char *key, const char *type) {
    const char *name = lua_pushfstring(L, "option \"%s\"", key);
    int v = lua_gettop(L) - 1;

    if (strcmp(type, "duration") == 0) {
        uint64_t ns = mw_param_duration(L, v, op, name);
        lua_pushnumber(L, ns == UINT64_MAX ? (lua_Number)HUGE_VAL : (lua_Number)ns / 1e9);
        lua_replace(L, v);
    } else if (strcmp(type, "size") == 0) {
        lua_pushinteger(L, (lua_Integer)mw_param_size(L, v, op, name, 0, INT64_MAX / 2));
        lua_replace(L, v);
    } else if (strcmp(type, "integer") == 0) {
        lua_pushinteger(L, mw_param_integer(L, v, op, name, INT64_MIN, INT64_MAX));
        lua_replace(L, v);
    } else if (strcmp(type, "text") == 0) {
        mw_param_text(L, v, op, name, 65536, NULL);
    } else if (strcmp(type, "flag") == 0) {
        if (lua_type(L, v) != LUA_TBOOLEAN) mw_raise_inval(L, op, "%s must be true or false, got %s", name, luaL_typename(L, v));
    } else if (strcmp(type, "any") != 0 && strcmp(luaL_typename(L, v), type) != 0) {
        mw_raise_inval(L, op, "%s must be a %s, got %s", name, type, luaL_typename(L, v));
    }
    lua_pop(L, 1);
}

/* arg.options(t, { key = type, ... }, op, array) -> a fresh table with the named keys, converted; `array` keeps 1..n too.
 * type: "duration" "size" "integer" "text" "flag" "any", or a Lua type's name. Unknown keys raise.     [-0, +1, e] */
static int arg_options(lua_State *L) {
    const char *op = luaL_checkstring(L, 3);
    const char *known[64];
    int array = lua_toboolean(L, 4), n = 0;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1))
        if (n < 63) known[n++] = lua_tostring(L, -2); /* held by the table */
    known[n] = NULL;
    mw_opt_open(L, 1, op, known, array);
    lua_newtable(L);                                        /* t spec op out */
    if (lua_isnil(L, 1)) return 1;
    for (lua_pushnil(L); lua_next(L, 1) != 0;) {            /* ... key value */
        if (lua_type(L, -2) == LUA_TSTRING) {
            lua_pushvalue(L, -2);
            lua_rawget(L, 2);                               /* ... key value type */
            lua_insert(L, -2);                              /* ... key type value */
            convert(L, op, lua_tostring(L, -3), lua_tostring(L, -2));
            lua_remove(L, -2);                              /* ... key value */
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);                                  /* ... key key value */
        lua_rawset(L, 4);                                   /* ... key */
    }
    return 1;
}

int mw_door_arg(lua_State *L) {
    static const luaL_Reg fns[] = {{"duration", arg_duration}, {"size", arg_size}, {"options", arg_options}, {NULL, NULL}};
    luaL_newlib(L, fns);
    return 1;
}
