/* The door of the log: one line to the host's log hook.
 * Knows: bind/arg, base/text, io/sys, lua.h. Never: where the line goes. */
#include <stdio.h>

#include "base/text.h"
#include "bind/arg.h"
#include "bind/doors.h"
#include "io/sys.h"

static const char *const levels[] = { "debug", "info", "warn", "error", NULL };

/* A field's value as text on top of the stack; returns whether it is bare (a number, a boolean).       [-0, +1, m] */
static int push_value(lua_State *L, int idx, int json) {
    switch (lua_type(L, idx)) {
    case LUA_TNUMBER: {
        lua_Number n = lua_tonumber(L, idx);
        char text[64];

        lua_pushvalue(L, idx);
        snprintf(text, sizeof text, "%s", lua_tostring(L, -1));
        if (lua_isinteger(L, idx) || n != n || n - n != 0) return lua_isinteger(L, idx) || !json; /* JSON has no inf and nan */
        mw_text_point(text);
        lua_pop(L, 1);
        lua_pushstring(L, text);
        return 1;
    }
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, idx) ? "true" : "false");
        return 1;
    case LUA_TSTRING:
        lua_pushvalue(L, idx);
        return 0;
    default:
        luaL_tolstring(L, idx, NULL);
        return 0;
    }
}

/* log.write(level 0..3, text, key, value, ...): formats and hands the line on  [-0, +0, e] */
static int log_write(lua_State *L) {
    int level = (int)mw_param_integer(L, 1, "log", "level", 0, 3), n = lua_gettop(L), json;
    struct mw_hooks *hooks = mw_host_hooks(mw_host_of(L));
    struct mw_line line;
    const char *text;
    size_t len;

    text = mw_param_bytes(L, 2, "log", "text", &len);
    json = hooks->log_json;
    mw_line_begin(&line, json, mw_sys_wall(), levels[level], text, len);
    for (int i = 3; i + 1 <= n; i += 2) {
        size_t key_len, value_len;
        const char *key = mw_param_bytes(L, i, "log", "key", &key_len), *value;
        int bare = push_value(L, i + 1, json);                          /* [... value] */

        value = lua_tolstring(L, -1, &value_len);
        mw_line_field(&line, key, key_len, value, value_len, bare);
        lua_pop(L, 1);
    }
    mw_line_end(&line);
    if (hooks->log != NULL) hooks->log(hooks->ud, level, line.at, line.len);
    return 0;
}

/* core.log: write; the level that the environment asks for, or nil; whether lines are JSON.
 *                                                                          [-0, +1, m] */
int mw_door_log(lua_State *L) {
    static const luaL_Reg door[] = { { "write", log_write }, { NULL, NULL } };

    luaL_newlib(L, door);                                               /* [door] */
    lua_pushstring(L, mw_sys_option("LOG"));
    lua_setfield(L, -2, "level");
    lua_pushboolean(L, mw_host_hooks(mw_host_of(L))->log_json);
    lua_setfield(L, -2, "json");
    return 1;
}
