/* The door of MessagePack: values to bytes and back, and ext.
 * Knows: codec/pack, bind/arg, lua.h. Never: a byte of the format. */
#include "codec/pack.h"

#include <stdio.h>

#include "bind/arg.h"
#include "bind/codec.h"
#include "bind/doors.h"
#include "bind/scratch.h"

static const char *const READ_OPTIONS[] = {"max_depth", "max_bytes", NULL};
static const char *const WRITE_OPTIONS[] = {"max_depth", "max_bytes", "strings", NULL};
static const char *const STRINGS[] = {"auto", "str", "bin", NULL};

static struct mw_codec_options limits(lua_State *L, int idx, const char *op, const char *const *known) {
    struct mw_codec_options o = {0};

    if (lua_isnoneornil(L, idx) || (known == READ_OPTIONS && mw_codec_limited(L, idx, &o))) return o;
    mw_opt_open(L, idx, op, known, 0);
    mw_codec_opt(L, idx, op, &o);
    return o;
}

/* nil, err with err.data = { offset, path }, or { need } where the value is not whole                       [-0, +2, e] */
static int refuse(lua_State *L, const char *op, struct mw_err *err, const struct mw_codec_fault *fault) {
    if (err->code != MW_EAGAIN) return mw_codec_push_fault(L, op, fault, NULL, err);
    snprintf(err->op, sizeof err->op, "%s", op);
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, (lua_Integer)fault->offset);
    lua_setfield(L, -2, "need");
    return mw_push_err_data(L, err);
}

/* ---- Writing --------------------------------------------------------------------------------------------------------------- */

/* encode(v, { max_depth, max_bytes, strings }) -> bytes | nil, err (ELIMIT); raises for what cannot be written  [-0, +1|2, e] */
static int msgpack_encode(lua_State *L) {
    struct mw_codec_options o;
    struct mw_codec_fault fault;
    struct mw_bytes *out;
    struct mw_err err;
    int rc, strings = MW_PACK_AUTO;

    luaL_checkany(L, 1);
    o = limits(L, 2, "msgpack.encode", WRITE_OPTIONS);
    if (lua_istable(L, 2)) strings = mw_opt_word(L, 2, "msgpack.encode", "strings", STRINGS, MW_PACK_AUTO);
    lua_settop(L, 1);
    out = mw_scratch_take(L);                               /* [v out] */
    rc = mw_pack_write_as(L, 1, out, (enum mw_pack_strings)strings, &o, &fault, &err);
    if (rc == 0) lua_pushlstring(L, mw_bytes_at(out), mw_bytes_len(out));
    mw_scratch_give(L, 2);
    return rc < 0 ? refuse(L, "msgpack.encode", &err, &fault) : 1;
}

/* ---- Reading --------------------------------------------------------------------------------------------------------------- */

/* decode(bytes, { max_depth, max_bytes }) -> v | nil, err (EPARSE, ELIMIT)                                    [-0, +1|2, e] */
static int msgpack_decode(lua_State *L) {
    struct mw_codec_options o;
    struct mw_codec_fault fault;
    struct mw_err err;
    size_t len;
    const char *bytes = mw_param_bytes(L, 1, "msgpack.decode", "bytes", &len);

    o = limits(L, 2, "msgpack.decode", READ_OPTIONS);
    if (mw_pack_read(L, bytes, len, NULL, &o, &fault, &err) < 0) return refuse(L, "msgpack.decode", &err, &fault);
    return 1;
}

/* unpack(bytes, from = 1, options) -> v, next | nil, err (EAGAIN with err.data.need, EPARSE, ELIMIT)         [-0, +2, e] */
static int msgpack_unpack(lua_State *L) {
    struct mw_codec_options o;
    struct mw_codec_fault fault;
    struct mw_err err;
    size_t len, skip, used;
    const char *bytes = mw_param_bytes(L, 1, "msgpack.unpack", "bytes", &len);

    skip = lua_isnoneornil(L, 2) ? 0 : (size_t)mw_param_integer(L, 2, "msgpack.unpack", "from", 1, (lua_Integer)len + 1) - 1;
    o = limits(L, 3, "msgpack.unpack", READ_OPTIONS);
    if (mw_pack_read(L, bytes + skip, len - skip, &used, &o, &fault, &err) < 0) {
        fault.offset += err.code == MW_EAGAIN ? (size_t)0 : skip;
        if (err.code == MW_EAGAIN) fault.offset -= len - skip;
        return refuse(L, "msgpack.unpack", &err, &fault);
    }
    lua_pushinteger(L, (lua_Integer)(skip + used + 1));
    return 2;
}

/* scan(bytes, wanted, skip) -> used, wanted, skip, need: for our own modules; mw_pack_scan                     [-0, +4, e] */
static int msgpack_scan(lua_State *L) {
    size_t len, used;
    const char *bytes = luaL_checklstring(L, 1, &len);
    struct mw_pack_scan s = {(uint64_t)luaL_checkinteger(L, 2), (uint64_t)luaL_checkinteger(L, 3)};
    uint64_t need;

    used = mw_pack_scan(&s, bytes, len, &need);
    lua_pushinteger(L, (lua_Integer)used);
    lua_pushinteger(L, (lua_Integer)s.wanted);
    lua_pushinteger(L, (lua_Integer)s.skip);
    lua_pushinteger(L, (lua_Integer)need);
    return 4;
}

/* ext(type, data) -> { type, data } that is written as an ext                                                [-0, +1, e] */
static int msgpack_ext(lua_State *L) {
    mw_param_integer(L, 1, "msgpack.ext", "type", INT8_MIN, INT8_MAX);
    mw_param_bytes(L, 2, "msgpack.ext", "data", NULL);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "type");
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "data");
    mw_pack_push_ext(L);
    lua_setmetatable(L, -2);
    return 1;
}

/* is_ext(v) -> boolean                                                                                       [-0, +1, -] */
static int msgpack_is_ext(lua_State *L) {
    int yes = 0;

    lua_settop(L, 1);
    if (lua_istable(L, 1) && lua_getmetatable(L, 1)) {
        mw_pack_push_ext(L);
        yes = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, yes);
    return 1;
}

int mw_door_msgpack(lua_State *L) {
    static const luaL_Reg door[] = {{"encode", msgpack_encode}, {"decode", msgpack_decode}, {"unpack", msgpack_unpack},
                                    {"ext", msgpack_ext}, {"is_ext", msgpack_is_ext},   {"scan", msgpack_scan},     {"limits", mw_codec_limits},
                                    {NULL, NULL}};

    luaL_newlib(L, door);
    return 1;
}
