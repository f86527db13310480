/* What a message costs that costs nothing: an iterator that pushes a string of the same length again and again, and an object with a
 * method that takes a string and an integer and only copies the bytes. Nothing is given to a script, or taken from it, for less. A C
 * module for programs/floor.lua.
 * Knows: Lua. Never: a stream. */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

static char bytes[65536];
static size_t size;
static unsigned left;

/* -> bytes, which differ from the last ones: equal short strings are one in Lua. */
static int next_line(lua_State *L) {
    if (left-- == 0) return 0;
    memcpy(bytes, &left, sizeof left);
    lua_pushlstring(L, bytes, size);
    return 1;
}

/* -> bytes, 7 */
static int next_frame(lua_State *L) {
    if (left-- == 0) return 0;
    memcpy(bytes, &left, sizeof left);
    lua_pushlstring(L, bytes, size);
    lua_pushinteger(L, 7);
    return 2;
}

/* start(count, size, line) -> iterator */
static int start(lua_State *L) {
    lua_Integer count = luaL_checkinteger(L, 1), len = luaL_checkinteger(L, 2);

    luaL_argcheck(L, count >= 0 && count <= 1000000000, 1, "0 to a milliard expected");
    luaL_argcheck(L, len >= (lua_Integer)sizeof left && len <= (lua_Integer)sizeof bytes, 2, "4 to 65536 expected");
    left = (unsigned)count;
    size = (size_t)len;
    lua_pushcfunction(L, lua_toboolean(L, 3) ? next_line : next_frame);
    return 1;
}

/* sink:send(bytes, kind) -> sink */
static int send(lua_State *L) {
    char *to = lua_touserdata(L, 1);
    const char *from;
    size_t len;

    if (lua_gettop(L) != 3 || lua_type(L, 2) != LUA_TSTRING || !lua_isinteger(L, 3)) return luaL_error(L, "bytes and an integer expected");
    from = lua_tolstring(L, 2, &len);
    to[0] = (char)lua_tointeger(L, 3);
    if (len < sizeof bytes) memcpy(to + 1, from, len);
    lua_settop(L, 1);
    return 1;
}

/* -> sink */
static int sink(lua_State *L) {
    lua_newuserdatauv(L, 1 + sizeof bytes, 0);
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, send);
    lua_setfield(L, -2, "send");
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 1;
}

int luaopen_bench_floor(lua_State *L);
int luaopen_bench_floor(lua_State *L) {
    static const luaL_Reg functions[] = { { "start", start }, { "sink", sink }, { NULL, NULL } };

    luaL_newlib(L, functions);
    return 1;
}
