/* What a prompt needs and no script has: local variables that outlive their chunk, and calls that are bounded.
 * Knows: core/hook, lua.h. Never: reachable from a script. */
#include <lauxlib.h>

#include "bind/doors.h"
#include "core/hook.h"
#include "core/host.h"

/* upvalues(f) -> the names of its upvalues                                                                [-0, +1, e] */
static int repl_upvalues(lua_State *L) {
    const char *name;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_newtable(L);
    for (int i = 1; (name = lua_getupvalue(L, 1, i)) != NULL; i++) {
        lua_pop(L, 1);
        lua_pushstring(L, name);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

static int is_upvalue(lua_State *L, int f, lua_Integer i) {
    if (!lua_isfunction(L, f) || lua_iscfunction(L, f) || i < 1 || i > 255 || lua_getupvalue(L, f, (int)i) == NULL) return 0;
    lua_pop(L, 1);
    return 1;
}

/* join(f, i, g, j): f's i-th upvalue is g's j-th from now on                                               [-0, +0, e] */
static int repl_join(lua_State *L) {
    lua_Integer i = luaL_checkinteger(L, 2), j = luaL_checkinteger(L, 4);

    luaL_argcheck(L, is_upvalue(L, 1, i), 2, "no such upvalue");
    luaL_argcheck(L, is_upvalue(L, 3, j), 4, "no such upvalue");
    lua_upvaluejoin(L, 1, (int)i, 3, (int)j);
    return 0;
}

/* get(f, i) -> the value of f's i-th upvalue                                                               [-0, +1, e] */
static int repl_get(lua_State *L) {
    lua_Integer i = luaL_checkinteger(L, 2);

    luaL_argcheck(L, is_upvalue(L, 1, i), 2, "no such upvalue");
    lua_getupvalue(L, 1, (int)i);
    return 1;
}

/* set(f, i, value)                                                                                         [-0, +0, e] */
static int repl_set(lua_State *L) {
    lua_Integer i = luaL_checkinteger(L, 2);

    luaL_argcheck(L, is_upvalue(L, 1, i), 2, "no such upvalue");
    lua_settop(L, 3);
    lua_setupvalue(L, 1, (int)i);
    return 0;
}

/* closable(v) -> boolean: a <close> variable may hold it                                                   [-0, +1, e] */
static int repl_closable(lua_State *L) {
    lua_pushboolean(L, luaL_getmetafield(L, 1, "__close") != LUA_TNIL);
    return 1;
}

static int closed(lua_State *L, int status, lua_KContext ctx) {
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}
/* close(v): as the end of its block would                                                                  [-0, +0, y] */
static int repl_close(lua_State *L) {
    lua_settop(L, 1);
    if (luaL_getmetafield(L, 1, "__close") == LUA_TNIL) return 0;
    lua_insert(L, 1);
    lua_pushnil(L);
    lua_callk(L, 2, 0, 0, closed);
    return 0;
}

/* within(instructions, f, ...) -> ok, result or error: f may not wait, nor take longer                      [-0, +2, e] */
static int repl_within(lua_State *L) {
    lua_Integer n = luaL_checkinteger(L, 1);
    int failed;

    luaL_argcheck(L, n > 0 && n <= 1000000000, 1, "out of range");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    failed = mw_call_apart_within(L, lua_gettop(L) - 2, (int)n);
    if (failed < 0) lua_pushliteral(L, "too many were stopped");
    lua_pushboolean(L, failed == 0);
    lua_insert(L, -2);
    return 2;
}

/* collector(on) -> bytes in use: stops or starts the garbage collector, to see what code allocates           [-0, +1, e] */
static int repl_collector(lua_State *L) {
    lua_gc(L, lua_toboolean(L, 1) ? LUA_GCRESTART : LUA_GCSTOP);
    lua_pushinteger(L, (lua_Integer)mw_host_memory(mw_host_of(L), NULL));
    return 1;
}

int mw_door_repl(lua_State *L) {
    static const luaL_Reg fns[] = {{"upvalues", repl_upvalues}, {"join", repl_join}, {"get", repl_get}, {"set", repl_set},
                                   {"closable", repl_closable},
                                   {"close", repl_close}, {"within", repl_within}, {"collector", repl_collector}, {NULL, NULL}};
    luaL_newlib(L, fns);
    return 1;
}
