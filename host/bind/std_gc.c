/* setmetatable, and finalizers of scripts (__gc): called where they can be stopped.
 * Knows: core/hook, lua.h. Never: lets Lua call a script's finalizer by itself: it does so with hooks off, and what then never
 * comes back can be stopped by nobody.
 *
 * A table whose metatable has a __gc gets a guard instead of Lua's mark: a userdata of ours that refers to the table, and that
 * the table keeps alive as its key in a weak table. Both become garbage together; the guard's own finalizer, in C, then has
 * the table in its hands, as Lua's would have had it, and calls its __gc as ordinary code. */
#include <lauxlib.h>
#include <lualib.h>

#include "bind/std.h"
#include "core/host.h"
#include "core/hook.h"
#include "core/weak.h"

static const char guards_key, meta_key, told_key;  /* registry: table -> guard; their metatable; some were left out, and it was said */

static void tell_once(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &told_key) == LUA_TNIL) {
        lua_pushboolean(L, 1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &told_key);
        mw_host_log(mw_host_of(L), MW_LOG_WARN, "finalizers (__gc) ran too long and were stopped; others are left out");
    }
    lua_pop(L, 1);
}

static int on_garbage(lua_State *L) { /* guard                                                                     [-0, +0, e] */
    luaL_checkstack(L, 8, "__gc");
    lua_settop(L, 1);
    if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) return 0;     /* [guard t] */
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &guards_key);
    lua_pushvalue(L, 2);
    lua_pushnil(L);
    lua_rawset(L, -3);                                          /* [guard t guards]: it may get another */
    if (!lua_getmetatable(L, 2)) return 0;
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, -2) == LUA_TNIL) return 0;                /* [guard t guards mt f] */
    lua_pushvalue(L, 2);
    switch (mw_call_apart(L, 1)) {
    case 0: break;
    case 1: return lua_error(L);                                /* a warning, as Lua has it */
    default: tell_once(L);
    }
    return 0;
}

/* The table at 1 gets its guard, unless it has one. */
static void guard(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &guards_key);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_newuserdatauv(L, 0, 1);                             /* [.. guards nil t guard] */
        lua_pushvalue(L, 1);
        lua_setiuservalue(L, -2, 1);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &meta_key);
        lua_setmetatable(L, -2);
        lua_rawset(L, -4);                                      /* [.. guards nil] */
    }
    lua_pop(L, 2);
}

/* setmetatable(t, mt) -> t. The upvalue is the name "__gc".                                                       [-0, +1, e] */
static int std_setmetatable(lua_State *L) {
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (type == LUA_TNIL) {
        lua_setmetatable(L, 1);
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    if (lua_rawget(L, 2) == LUA_TNIL) {
        lua_settop(L, 2);
        lua_setmetatable(L, 1);
        return 1;
    }                                                           /* [t mt f] */
    guard(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 3);                                           /* [t mt name f] */
    lua_pushvalue(L, 3);
    lua_pushnil(L);
    lua_rawset(L, 2);                                           /* nothing below allocates: nobody sees it without */
    lua_pushvalue(L, 2);
    lua_setmetatable(L, 1);
    lua_rawset(L, 2);                                           /* [t mt] */
    lua_settop(L, 1);
    return 1;
}

void mw_std_open_gc(lua_State *L) {
    mw_weak_push(L, "k");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &guards_key);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, on_garbage);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &meta_key);
    lua_pushliteral(L, "__gc");
    lua_pushcclosure(L, std_setmetatable, 1);
    lua_setglobal(L, "setmetatable");
}
