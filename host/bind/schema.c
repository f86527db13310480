/* The door of shapes: mw.schema's boxes, and their methods parse, check and encode.
 * Knows: bind/arg, bind/pattern, codec, lua.h. Never: what a type means: lua/moonwire/schema.lua describes, codec/shape reads. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/codec.h"
#include "bind/doors.h"
#include "bind/pattern.h"
#include "codec/json.h"
#include "codec/pack.h"
#include "codec/shape.h"
#include "codec/shape_node.h"
#include "core/raise.h"

#define BYTES "mw.schema.bytes"         /* room for what is being written */

static const char *const CODECS[] = {"json", "msgpack", NULL};

/* ---- Patterns ---------------------------------------------------------------------------------------------------- */

struct match {
    const char *text, *pattern;
    size_t len, pattern_len, *steps;
    int result;
};

/* In a protected call: the matcher raises when a text is too much for it.                    light userdata: struct match */
static int match(lua_State *L) {
    struct match *it = lua_touserdata(L, 1);
    int anchored = it->pattern_len > 0 && *it->pattern == '^';
    size_t steps = *it->steps, all;
    struct mw_match m;

    mw_match_init(&m, L, it->text, it->len, it->pattern, it->pattern_len);
    m.looks = steps > MW_BUDGET ? (int)(steps / MW_BUDGET) : 1;
    if (steps < MW_BUDGET) m.budget.left = (int)steps;
    all = (size_t)(m.looks - 1) * MW_BUDGET + (size_t)m.budget.left;
    *it->steps = 0; /* if it raises */
    for (const char *at = it->text; at <= it->text + it->len && it->result == 0; at++) {
        if (mw_match_at(&m, at, it->pattern + anchored) != NULL) it->result = 1;
        else if (anchored) break;
    }
    *it->steps = steps - (all - ((size_t)(m.looks - 1) * MW_BUDGET + (size_t)m.budget.left));
    return 0;
}

static int matches(lua_State *L, const char *text, size_t len, const char *pattern, size_t pattern_len, size_t *steps) {
    struct match it = {text, pattern, len, pattern_len, steps, 0};
    int rc;

    if (*steps == 0) return -1;
    luaL_checkstack(L, 4, "schema");
    lua_pushcfunction(L, match);
    lua_pushlightuserdata(L, &it);
    rc = lua_pcall(L, 1, 0, 0);
    if (rc == LUA_OK) return it.result;
    if (rc == LUA_ERRMEM || lua_type(L, -1) != LUA_TSTRING) lua_error(L); /* what stops the script */
    lua_pop(L, 1);
    return -1;
}

/* ---- Methods ----------------------------------------------------------------------------------------------------- */

static const mw_shape *self(lua_State *L) {
    mw_shape *s = mw_box_known(L, MW_SHAPE_TYPE);

    if (s->kind == MW_SHAPE_NONE || s->dead) mw_raise_inval(L, "schema", "it was collected");
    mw_box_know(L, s, MW_SHAPE_TYPE);
    return s;
}

/* nil and the error, whose data says where, and what was expected there. `bytes`: they were read, and the offset counts. */
static int push_refusal(lua_State *L, const char *op, const struct mw_codec_fault *fault, int bytes, struct mw_err *err) {
    snprintf(err->op, sizeof err->op, "%s", op);
    lua_createtable(L, 0, 3);
    lua_pushstring(L, fault->path);
    lua_setfield(L, -2, "path");
    if (bytes) {
        lua_pushinteger(L, (lua_Integer)fault->offset);
        lua_setfield(L, -2, "offset");
    }
    if (err->code == MW_ESCHEMA) {
        lua_pushstring(L, fault->expected);
        lua_setfield(L, -2, "expected");
    }
    return mw_push_err_data(L, err);
}

static enum mw_codec options(lua_State *L, const char *op, struct mw_codec_options *o) {
    static const char *const known[] = {"codec", "max_depth", "max_bytes", NULL};

    if (lua_isnoneornil(L, 3)) return MW_CODEC_JSON;
    mw_opt_open(L, 3, op, known, 0);
    mw_codec_opt(L, 3, op, o);
    return mw_opt_word(L, 3, op, "codec", CODECS, 0) == 0 ? MW_CODEC_JSON : MW_CODEC_MSGPACK;
}

/* schema:parse(bytes, { codec =, max_bytes =, max_depth = }) -> value | nil, err                       [-0, +1|2, e] */
static int schema_parse(lua_State *L) {
    const mw_shape *shape = self(L);
    struct mw_codec_options o = {0};
    struct mw_codec_fault fault;
    struct mw_err err;
    enum mw_codec codec;
    const char *bytes;
    size_t len;

    bytes = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &len) : mw_param_bytes(L, 2, "schema.parse", "the message", &len);
    codec = options(L, "schema.parse", &o);
    if (mw_shape_read(L, shape, codec, bytes, len, &o, &fault, &err) == 0) return 1;
    return push_refusal(L, "schema.parse", &fault, 1, &err);
}

/* schema:check(value) -> value | nil, err                                                              [-0, +1|2, e] */
static int schema_check(lua_State *L) {
    const mw_shape *shape = self(L);
    struct mw_codec_fault fault;
    struct mw_err err;

    lua_settop(L, 2);
    if (mw_shape_check(L, 2, shape, &fault, &err) == 0) return 1;
    return push_refusal(L, "schema.check", &fault, 0, &err);
}

/* schema:encode(value, { codec =, max_bytes =, max_depth = }) -> bytes | nil, err                      [-0, +1|2, e] */
static int schema_encode(lua_State *L) {
    const mw_shape *shape = self(L);
    struct mw_codec_options o = {0};
    struct mw_codec_fault fault;
    struct mw_bytes *out;
    struct mw_err err;
    enum mw_codec codec = options(L, "schema.encode", &o);
    int rc;

    lua_settop(L, 2);
    out = lua_newuserdatauv(L, sizeof *out, 0);                 /* [self value out] */
    *out = (struct mw_bytes){0};
    luaL_setmetatable(L, BYTES);
    if (mw_shape_check(L, 2, shape, &fault, &err) < 0) return push_refusal(L, "schema.encode", &fault, 0, &err);
    rc = codec == MW_CODEC_JSON ? mw_json_write(L, 4, out, &o, &fault, &err) : mw_pack_write(L, 4, out, &o, &fault, &err);
    if (rc < 0) {
        mw_bytes_free(out);
        return push_refusal(L, "schema.encode", &fault, 0, &err);
    }
    lua_pushlstring(L, mw_bytes_at(out), mw_bytes_len(out));
    mw_bytes_free(out);
    return 1;
}

static int bytes_gc(lua_State *L) {
    mw_bytes_free(luaL_checkudata(L, 1, BYTES));
    return 0;
}

static int schema_tostring(lua_State *L) {
    luaL_checkudata(L, 1, MW_SHAPE_TYPE);
    if (lua_getiuservalue(L, 1, 2) == LUA_TTABLE) lua_getfield(L, -1, "text");
    if (lua_type(L, -1) != LUA_TSTRING) lua_pushliteral(L, "schema");
    return 1;
}

static int schema_gc(lua_State *L) {
    mw_shape *s = luaL_checkudata(L, 1, MW_SHAPE_TYPE);

    mw_box_forget(L, s);
    mw_shape_end(L, s);
    return 0;
}

/* ---- Making them ------------------------------------------------------------------------------------------------- */

/* schema.make(description) -> schema: the description is its own from here on                            [-0, +1, e] */
static int schema_make(lua_State *L) {
    size_t size;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size = mw_shape_size(L, 1);
    mw_box_new(L, size, MW_SHAPE_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 2);
    mw_shape_fill(L, 1, 2, matches);
    return 1;
}

/* schema.resolve(ref, schema): what a reference stands for                                               [-0, +0, e] */
static int schema_resolve(lua_State *L) {
    mw_shape *ref = luaL_checkudata(L, 1, MW_SHAPE_TYPE);
    const mw_shape *to = luaL_checkudata(L, 2, MW_SHAPE_TYPE);

    lua_getiuservalue(L, 1, 2);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "of");                          /* before the pointer: it keeps it */
    mw_shape_resolve(L, ref, to);
    return 0;
}

/* schema.describe(v) -> description | nil: it is no schema                                               [-0, +1, -] */
static int schema_describe(lua_State *L) {
    if (mw_shape_test(L, 1) == NULL) lua_pushnil(L);
    else lua_getiuservalue(L, 1, 2);
    return 1;
}

/* schema.accepts(schema, only: "string" | "scalar" | "null") -> boolean: nothing but that; "null": that too    [-0, +1, e] */
static int schema_accepts(lua_State *L) {
    static const char *const words[] = {"string", "scalar", "null", NULL};
    const mw_shape *s = luaL_checkudata(L, 1, MW_SHAPE_TYPE);
    int tables = 1 << T_ARRAY | 1 << T_OBJECT;

    switch (luaL_checkoption(L, 2, NULL, words)) {
    case 0: lua_pushboolean(L, s->mask == 1 << T_STRING); break;
    case 1: lua_pushboolean(L, (s->mask & tables) == 0); break;
    default: lua_pushboolean(L, s->mask & 1 << T_NULL); break;
    }
    return 1;
}

int mw_door_schema(lua_State *L) {
    static const luaL_Reg methods[] = {{"parse", schema_parse}, {"check", schema_check}, {"encode", schema_encode}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", schema_gc}, {"__tostring", schema_tostring}, {NULL, NULL}};
    static const luaL_Reg door[] = {{"make", schema_make}, {"resolve", schema_resolve}, {"describe", schema_describe},
                                    {"accepts", schema_accepts}, {NULL, NULL}};

    luaL_newmetatable(L, BYTES);
    lua_pushcfunction(L, bytes_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    mw_type_new(L, MW_SHAPE_TYPE, methods, meta);
    luaL_newlib(L, door);
    return 1;
}
