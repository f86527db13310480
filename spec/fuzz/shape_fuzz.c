/* Fuzz target: any bytes against a shape, in both formats; the first byte says which. What the shape reads is what the codec reads, and
 * fits the shape again; memory stays in proportion to the bytes.
 * Knows: codec/shape, codec/json, codec/pack, plain Lua. Never: a host; lua/moonwire/schema.lua: it describes its shapes itself. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "codec/pack.h"
#include "support/purse.h"
#include "support/shapes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char shapes[] =
    SHAPES "return any, list(words, true), map(map(number)), record, many, tree, list(record), list(list(told)), list(flag)\n";

enum { SHAPES_MADE = 9 };

static struct purse purse;

static lua_State *open_state(void) {
    lua_State *L = lua_newstate(purse_alloc, &purse);

    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "table", luaopen_table, 1);
    lua_settop(L, 0);
    shapes_open(L);
    if (luaL_dostring(L, shapes) != LUA_OK || lua_gettop(L) != SHAPES_MADE) abort();
    return L;
}

struct input {
    const mw_shape *shape;
    enum mw_codec codec;
    const char *at;
    size_t len;
};

static int attempt(lua_State *L) { /* in a protected call */
    struct input *in = lua_touserdata(L, 1);
    struct mw_codec_options o = {.depth_max = in->len % 2 ? 200 : 0};
    struct mw_codec_fault fault;
    struct mw_err err;
    int rc = mw_shape_read(L, in->shape, in->codec, in->at, in->len, &o, &fault, &err);

    if (lua_gettop(L) != (rc == 0 ? 2 : 1)) abort();
    if (rc < 0) {
        if (rc != MW_EPARSE && rc != MW_ELIMIT && rc != MW_ESCHEMA) abort();
        if (fault.offset > in->len || strlen(fault.path) >= sizeof fault.path || err.message[0] == 0) abort();
        if ((rc == MW_ESCHEMA) != (fault.expected[0] != 0)) abort();
        return 0;
    }
    rc = in->codec == MW_CODEC_JSON ? mw_json_read(L, in->at, in->len, &o, &fault, &err) : mw_pack_read(L, in->at, in->len, NULL, &o, &fault, &err);
    if (rc < 0 || lua_gettop(L) != 3) abort();
    if (mw_shape_check(L, 3, in->shape, &fault, &err) < 0 || lua_gettop(L) != 4) abort();
    if (mw_shape_check(L, 2, in->shape, &fault, &err) < 0 || lua_gettop(L) != 5) abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static lua_State *L;
    struct input in;
    size_t before;

    if (L == NULL) L = open_state();
    if (size == 0) return 0;
    in.shape = lua_touserdata(L, 1 + data[0] / 2 % SHAPES_MADE);
    in.codec = data[0] % 2 ? MW_CODEC_MSGPACK : MW_CODEC_JSON;
    in.at = (const char *)data + 1;
    in.len = size - 1;
    lua_gc(L, LUA_GCCOLLECT);
    before = purse.peak = purse.used;
    lua_pushcfunction(L, attempt);
    lua_pushlightuserdata(L, &in);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) abort();
    if (purse.peak - before > 200000 + 2000 * size) abort(); /* a byte or two are an object with 70 fields at most */
    return 0;
}
