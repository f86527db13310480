/* debug, reduced to what tells and cannot change: traceback, and getinfo without the host's own functions.
 * Knows: bind/arg, lua.h. Never: hooks, upvalues, locals, the registry, metatables. */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/std.h"

static int is_ours(const lua_Debug *ar) {
    return strncmp(ar->source, "=[moonwire", 10) == 0;
}

static void put_text(lua_State *L, const char *key, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}
static void put_integer(lua_State *L, const char *key, int value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* The fields that `what` asks for, of a filled ar; func and the lines are on top of `from` when asked (popped). */
static void fill(lua_State *L, const char *what, const lua_Debug *ar) {
    lua_createtable(L, 0, 12);
    if (strchr(what, 'S') != NULL) {
        lua_pushlstring(L, ar->source, ar->srclen);
        lua_setfield(L, -2, "source");
        put_text(L, "short_src", ar->short_src);
        put_integer(L, "linedefined", ar->linedefined);
        put_integer(L, "lastlinedefined", ar->lastlinedefined);
        put_text(L, "what", ar->what);
    }
    if (strchr(what, 'l') != NULL) put_integer(L, "currentline", ar->currentline);
    if (strchr(what, 'u') != NULL) {
        put_integer(L, "nups", ar->nups);
        put_integer(L, "nparams", ar->nparams);
        lua_pushboolean(L, ar->isvararg);
        lua_setfield(L, -2, "isvararg");
    }
    if (strchr(what, 'n') != NULL) {
        put_text(L, "name", ar->name);
        put_text(L, "namewhat", ar->namewhat);
    }
    if (strchr(what, 't') != NULL) {
        lua_pushboolean(L, ar->istailcall);
        lua_setfield(L, -2, "istailcall");
    }
}

/* getinfo([thread,] function or level [, what]) -> table | nil                                                 [-0, +1, e] */
static int std_getinfo(lua_State *L) {
    int arg = lua_isthread(L, 1) ? 1 : 0;
    lua_State *of = arg ? lua_tothread(L, 1) : L;
    const char *what = mw_std_text_at(L, arg + 2, "debug.getinfo", "what", "flnSrtu");
    char ask[8] = "Sflnut";
    lua_Debug ar;
    int func;

    for (const char *c = what; *c != 0; c++)
        if (strchr("SfLlnrtu", *c) == NULL) return mw_raise_inval(L, "debug.getinfo", "invalid option '%c'", *c);
    luaL_checkstack(L, 8, "debug.getinfo");
    if (!lua_checkstack(of, 4)) return mw_raise_inval(L, "debug.getinfo", "the thread's stack is full");
    memset(&ar, 0, sizeof ar);
    if (lua_isfunction(L, arg + 1)) {
        lua_pushvalue(L, arg + 1);
        if (of != L) lua_xmove(L, of, 1);
        lua_getinfo(of, ">Sflnut", &ar);
    } else {
        lua_Integer level = mw_param_integer(L, arg + 1, "debug.getinfo", "a function or level", 0, INT32_MAX);
        if (!lua_getstack(of, (int)level, &ar)) {
            lua_pushnil(L);
            return 1;
        }
        lua_getinfo(of, ask, &ar);
    }
    if (of != L) lua_xmove(of, L, 1);
    func = lua_gettop(L);                                       /* [.. func] */
    fill(L, what, &ar);
    if (ar.what != NULL && strcmp(ar.what, "C") != 0 && !is_ours(&ar)) {
        if (strchr(what, 'f') != NULL) {
            lua_pushvalue(L, func);
            lua_setfield(L, -2, "func");
        }
        if (strchr(what, 'L') != NULL) {
            lua_pushvalue(L, func);
            lua_getinfo(L, ">L", &ar);                          /* [.. func t lines] */
            lua_setfield(L, -2, "activelines");
        }
    }
    return 1;
}

int mw_std_open_debug(lua_State *L) {
    lua_createtable(L, 0, 2);
    luaopen_debug(L);
    lua_getfield(L, -1, "traceback");
    lua_setfield(L, -3, "traceback");
    lua_pop(L, 1);
    lua_pushcfunction(L, std_getinfo);
    lua_setfield(L, -2, "getinfo");
    return 1;
}
