/* Weak tables.
 * Knows: lua.h. Never: what is in them. */
#ifndef MW_CORE_WEAK_H
#define MW_CORE_WEAK_H

#include <lua.h>

/* A new table with weak keys ("k") or values ("v").                                   [-0, +1, m] */
static inline void mw_weak_push(lua_State *L, const char *mode) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

/* The one in the registry at `key`, made at first use.                                [-0, +1, m] */
static inline void mw_weak_at(lua_State *L, const void *key, const char *mode) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TNIL) return;
    lua_pop(L, 1);
    mw_weak_push(L, mode);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

#endif
