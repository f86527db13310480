/* What the doors of the formats share: see codec.h.
 * Knows: codec, bind/arg, lua.h. Never: a byte of any format. */
#include "bind/codec.h"

#include <stdio.h>

#include "bind/arg.h"
#include "codec/json_text.h"

#define LIMITS "mw.limits"

void mw_codec_opt(lua_State *L, int idx, const char *op, struct mw_codec_options *o) {
    o->depth_max = (unsigned)mw_opt_integer(L, idx, op, "max_depth", 1, MW_CODEC_DEPTH_MAX, 0);
    o->bytes_max = (size_t)mw_opt_size(L, idx, op, "max_bytes", 1, (uint64_t)1 << 30, 0);
}

int mw_codec_limits(lua_State *L) {
    static const char *const known[] = {"max_depth", "max_bytes", NULL};
    const char *op = luaL_checkstring(L, 2);
    struct mw_codec_options *o;

    mw_opt_open(L, 1, op, known, 0);
    o = lua_newuserdatauv(L, sizeof *o, 0);
    *o = (struct mw_codec_options){0};
    mw_codec_opt(L, 1, op, o);
    if (luaL_newmetatable(L, LIMITS)) {
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    return 1;
}

int mw_codec_limited(lua_State *L, int idx, struct mw_codec_options *o) {
    const struct mw_codec_options *limits = lua_isuserdata(L, idx) ? luaL_testudata(L, idx, LIMITS) : NULL;

    if (limits != NULL) *o = *limits;
    return limits != NULL;
}

int mw_codec_push_fault(lua_State *L, const char *op, const struct mw_codec_fault *fault, const char *text, const struct mw_err *err) {
    struct mw_err whole;
    unsigned line, column;

    mw_err_set(&whole, err->code, op, err->subject, err->what);
    if (err->hint[0] != 0) mw_err_hint(&whole, "%s", err->hint);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)fault->offset);
    lua_setfield(L, -2, "offset");
    lua_pushstring(L, fault->path);
    lua_setfield(L, -2, "path");
    if (err->code == MW_ESCHEMA) {
        lua_pushstring(L, fault->expected);
        lua_setfield(L, -2, "expected");
    }
    if (text != NULL) {
        mw_json_position(text, fault->offset, &line, &column);
        lua_pushinteger(L, line);
        lua_setfield(L, -2, "line");
        lua_pushinteger(L, column);
        lua_setfield(L, -2, "column");
    }
    return mw_push_err_data(L, &whole);
}
