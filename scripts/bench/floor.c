/* What a message costs that costs nothing: an iterator that pushes a string of the same length again and again. Nothing is given to a
 * script for less. A C module for programs/floor.lua.
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

/* bench_floor(count, size, line) -> iterator */
static int start(lua_State *L) {
    lua_Integer count = luaL_checkinteger(L, 1), len = luaL_checkinteger(L, 2);

    luaL_argcheck(L, count >= 0 && count <= 1000000000, 1, "0 to a milliard expected");
    luaL_argcheck(L, len >= (lua_Integer)sizeof left && len <= (lua_Integer)sizeof bytes, 2, "4 to 65536 expected");
    left = (unsigned)count;
    size = (size_t)len;
    lua_pushcfunction(L, lua_toboolean(L, 3) ? next_line : next_frame);
    return 1;
}

int luaopen_bench_floor(lua_State *L);
int luaopen_bench_floor(lua_State *L) {
    lua_pushcfunction(L, start);
    return 1;
}
