/* The door of JSON and of what all formats have in common: null, and the marks of arrays and objects.
 * Knows: codec, bind/arg, lua.h. Never: a byte of the format. */
#include "codec/json.h"

#include "bind/arg.h"
#include "bind/doors.h"

/* mark(t, which: "array" | "object" | nil) -> t                                                            [-0, +1, e] */
static int json_mark(lua_State *L) {
    static const char *const words[] = {"plain", "array", "object", NULL};

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    mw_codec_mark(L, (enum mw_codec_mark)luaL_checkoption(L, 2, "plain", words));
    return 1;
}

/* marked(t) -> "array" | "object" | nil                                                                    [-0, +1, -] */
static int json_marked(lua_State *L) {
    switch (mw_codec_marked(L, 1)) {
    case MW_CODEC_ARRAY: lua_pushliteral(L, "array"); break;
    case MW_CODEC_OBJECT: lua_pushliteral(L, "object"); break;
    default: lua_pushnil(L); break;
    }
    return 1;
}

int mw_door_json(lua_State *L) {
    static const luaL_Reg door[] = {{"mark", json_mark}, {"marked", json_marked}, {NULL, NULL}};

    luaL_newlib(L, door);
    mw_codec_push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
