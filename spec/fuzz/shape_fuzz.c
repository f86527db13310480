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
#include "codec/shape_node.h"
#include "support/purse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each returns one shape; `make` is the only global. */
static const char shapes[] =
    "local function make(d) d.expected = d.expected or d.kind return _G.make(d) end\n"
    "local any = make{ kind = 'any' }\n"
    "local whole = make{ kind = 'integer', min = -9, max = 99 }\n"
    "local number = make{ kind = 'number', min = 0.5, above = true, max = 1e9, finite = true }\n"
    "local name = make{ kind = 'string', min = 1, max = 12, pattern = 'p', utf8 = true }\n"
    "local text = make{ kind = 'string', min = 0, max = 100 }\n"
    "local flag = make{ kind = 'boolean' }\n"
    "local function literal(...) return make{ kind = 'literal', values = { ... } } end\n"
    "local words = literal('a', 'b', 7, 2.5, true)\n"
    "local function list(of, unique) return make{ kind = 'array', of = of, min = 0, max = 40, unique = unique } end\n"
    "local function map(of) return make{ kind = 'map', key = name, of = of, min = 0, max = 9 } end\n"
    "local function optional(of, default) return make{ kind = 'optional', of = of, default = default } end\n"
    "local function object(extra, ...)\n"
    "  local names, fields = {}, {}\n"
    "  for i, v in ipairs{ ... } do if i % 2 == 1 then names[#names + 1] = v else fields[#fields + 1] = v end end\n"
    "  return make{ kind = 'object', names = names, shapes = fields, extra = extra }\n"
    "end\n"
    "local function one_of(...) return make{ kind = 'one_of', variants = { ... } } end\n"
    "local told = one_of(object(0, 'k', literal 'a', 'x', whole), object(1, 'k', literal 'b'), text)\n"
    "local record = object(2, 'a', whole, 'b', optional(text, 'none'), 'c', optional(list(number)), 'd', told)\n"
    "local many = { 0 }\n"
    "for i = 1, 70 do many[2 * i] = 'f' .. i many[2 * i + 1] = optional(i % 2 == 0 and whole or any, i % 18 == 9 and { i } or nil) end\n"
    "local tree = make{ kind = 'ref' }\n"
    "resolve(tree, one_of(list(tree), object(0, 'l', optional(tree), 'r', optional(whole)), object(1, 'l', tree), words, list(name)))\n"
    "return any, list(words, true), map(map(number)), record, object(table.unpack(many)), tree, list(record), list(list(told)), list(flag)\n";

enum { SHAPES = 9 };

static struct purse purse;

static int match(lua_State *L, const char *text, size_t len, const char *pattern, size_t pattern_len, size_t *steps) {
    (void)L;
    if (text[len] != 0 || pattern[pattern_len] != 0) abort();
    if (*steps < len) return -1;
    *steps -= len;
    return len % 5 != 4;
}

static int make(lua_State *L) {
    size_t size = mw_shape_size(L, 1);

    memset(lua_newuserdatauv(L, size, 2), 0, size);
    luaL_setmetatable(L, MW_SHAPE_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 2);
    mw_shape_fill(L, 1, 2, match);
    return 1;
}

static int resolve(lua_State *L) {
    lua_getiuservalue(L, 1, 2);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "of"); /* it keeps it */
    mw_shape_resolve(L, lua_touserdata(L, 1), lua_touserdata(L, 2));
    return 0;
}

static lua_State *open_state(void) {
    lua_State *L = lua_newstate(purse_alloc, &purse);

    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "table", luaopen_table, 1);
    luaL_newmetatable(L, MW_SHAPE_TYPE);
    lua_settop(L, 0);
    lua_register(L, "make", make);
    lua_register(L, "resolve", resolve);
    if (luaL_dostring(L, shapes) != LUA_OK || lua_gettop(L) != SHAPES) abort();
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
    in.shape = lua_touserdata(L, 1 + data[0] / 2 % SHAPES);
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
