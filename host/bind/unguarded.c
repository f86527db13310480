/* Lua's own functions without their guards, for tools that the program loads beside a script (moonwire test: Busted).
 * Knows: lua.h.
 * Never: given to a script; made unless mw_host_preload asks. */
#include "bind/unguarded.h"

#include <lauxlib.h>
#include <lualib.h>

/* loadfile(path, mode, env) -> function | nil, text                                                    [-0, +1|2, m] */
static int load_file(lua_State *L) {
    if (luaL_loadfilex(L, luaL_checkstring(L, 1), luaL_optstring(L, 2, "t")) != LUA_OK) {
        luaL_pushfail(L);
        lua_insert(L, -2);
        return 2;
    }
    if (lua_isnoneornil(L, 3)) return 1;
    lua_pushvalue(L, 3);                                    /* [... f env] */
    if (lua_setupvalue(L, -2, 1) == NULL) lua_pop(L, 1);    /* a chunk without globals */
    return 1;
}

void mw_unguarded_push(lua_State *L) {
    static const char *const names[] = { "loadlib", "searchpath", "path", "cpath", "config" };

    luaL_checkstack(L, 8, NULL);
    lua_createtable(L, 0, 8);                               /* [raw] */
    lua_pushcfunction(L, luaopen_debug);
    lua_call(L, 0, 1);
    lua_setfield(L, -2, "debug");
    lua_pushcfunction(L, luaopen_io);
    lua_call(L, 0, 1);
    lua_getfield(L, -1, "open");
    lua_setfield(L, -3, "open");
    lua_pop(L, 1);
    lua_pushcfunction(L, load_file);
    lua_setfield(L, -2, "loadfile");

    lua_getglobal(L, "require");                            /* [raw require]: luaopen_package puts its own there */
    lua_pushcfunction(L, luaopen_package);
    lua_call(L, 0, 1);                                      /* [raw require package] */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_getfield(L, -1, names[i]);
        lua_setfield(L, -4, names[i]);
    }
    lua_pop(L, 1);
    lua_setglobal(L, "require");                            /* [raw] */
}
