/* What a message costs that costs nothing: an iterator that pushes a string of the same length again and again, and an object with a
 * method that takes a string and an integer and only copies the bytes, and one that makes the tables of a message (programs/json.lua)
 * without a look at its text. Nothing is given to a script, or taken from it, for less. A C module for programs/floor.lua.
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

enum { TYPE = 1, PAYLOAD, ID, NAME, VALUES, NOTE, KIND, MARK };       /* what sink:parse finds among its upvalues */

/* Sets the field that the upvalue names in the table below, to the value at the top. */
static void set(lua_State *L, int name) {
    lua_pushvalue(L, lua_upvalueindex(name));
    lua_insert(L, -2);
    lua_rawset(L, -3);
}

/* sink:parse(text) -> { type =, payload = { id =, name =, values = { 1, 2.5, 3, id }, note = } } as json.lua
 * reads them; nil each 16th time */
static int parse(lua_State *L) {
    char *note = lua_touserdata(L, 1);

    if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "text expected");
    if ((++left & 15) == 0) return 0;
    note[0] = (char)(left & 63);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, lua_upvalueindex(KIND));
    set(L, TYPE);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, left & 63);
    set(L, ID);
    lua_pushlstring(L, note, 9);
    set(L, NAME);
    lua_createtable(L, 4, 0);
    lua_pushvalue(L, lua_upvalueindex(MARK));
    lua_setmetatable(L, -2);
    for (int i = 1; i <= 4; i++) {
        if (i == 2) lua_pushnumber(L, 2.5);
        else lua_pushinteger(L, i);
        lua_rawseti(L, -2, i);
    }
    set(L, VALUES);
    lua_pushlstring(L, note, 114);
    set(L, NOTE);
    set(L, PAYLOAD);
    return 1;
}

/* -> sink */
static int sink(lua_State *L) {
    static const char *const names[] = { "type", "payload", "id", "name", "values", "note", "greet", NULL };

    memset(lua_newuserdatauv(L, 1 + sizeof bytes, 0), 'n', 1 + sizeof bytes);
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 2);
    for (int i = 0; names[i] != NULL; i++) lua_pushstring(L, names[i]);
    lua_newtable(L);
    lua_pushcclosure(L, parse, MARK);
    lua_setfield(L, -2, "parse");
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
