/* Fuzz target: any bytes, as JSON and as MessagePack, against a set of schemas. Reading with the shape accepts exactly what plain
 * reading and then checking accepts, and gives the same value; what it gives fits again; memory stays in proportion to the bytes.
 * Knows: codec/shape_node, plain Lua. Never: a host. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "codec/pack.h"
#include "codec/shape_node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The descriptions are those that lua/moonwire/schema.lua makes. */
static const char schemas[] =
    "local function m(d) d.expected = d.kind return make(d) end\n"
    "local function str(min, max, pattern) return m{ kind = 'string', min = min or 0, max = max or math.maxinteger, pattern = pattern } end\n"
    "local function int(min, max) return m{ kind = 'integer', min = min or math.mininteger, max = max or math.maxinteger } end\n"
    "local function num(min, max, above, below, wild)\n"
    "  return m{ kind = 'number', min = min, max = max, above = above, below = below, finite = not wild } end\n"
    "local function lit(...) return m{ kind = 'literal', values = { ... } } end\n"
    "local function arr(of, min, max, unique)\n"
    "  return m{ kind = 'array', of = of, min = min or 0, max = max or math.maxinteger, unique = unique } end\n"
    "local function map(key, of, min, max) return m{ kind = 'map', key = key, of = of, min = min or 0, max = max or math.maxinteger } end\n"
    "local function obj(fields, extra)\n"
    "  local names, shapes = {}, {}\n"
    "  for k in pairs(fields) do names[#names + 1] = k end table.sort(names)\n"
    "  for i, k in ipairs(names) do shapes[i] = fields[k] end\n"
    "  return m{ kind = 'object', names = names, shapes = shapes, extra = extra or 0 } end\n"
    "local function one(...) return m{ kind = 'one_of', variants = { ... } } end\n"
    "local function opt(of, default) return m{ kind = 'optional', of = of, default = default } end\n"
    "local function rec(f) local r = m{ kind = 'ref' } local s = f(r) resolve(r, s) return s end\n"
    "local any, bool = m{ kind = 'any' }, m{ kind = 'boolean' }\n"
    "local wide = {} for i = 1, 70 do wide[string.char(32 + i)] = opt(int(), i % 3 == 0 and i or nil) end\n"
    "return any,\n"
    "  obj({ type = lit('greet', 'task'), payload = obj({ id = int(0), name = str(0, 8), values = arr(num()) }, 2) }, 2),\n"
    "  obj({ a = str(1, 3), b = opt(int(-2, 200)), c = opt(bool, false), ['k\"'] = opt(any) }),\n"
    "  obj({ a = opt(arr(str(0, 4, 'x')), array{}), b = opt(any) }, 1),\n"
    "  rec(function(t) return obj{ v = opt(one(int(), lit(null), num(0))), k = opt(arr(t, 0, 3)) } end),\n"
    "  one(obj{ t = lit'c', r = num(0, nil, true) }, obj{ t = lit'r', w = num(), h = opt(num(), 1) }, str(), arr(int(), 1)),\n"
    "  one(obj{ a = int() }, obj({ a = str(), b = opt(int(), 1) }, 2), obj({}, 1), int(0, 5), int(7, 9), lit('a', 1.5, 3)),\n"
    "  arr(one(int(), num(), str(), bool), 0, 6, true),\n"
    "  map(str(1, 2), one(lit('a', 'b', 1, 2.0, true, null), map(lit('x', 'y'), any, 1)), 0, 3),\n"
    "  rec(function(t) return one(arr(t), map(str(), t), int(), lit(null), bool) end),\n"
    "  obj(wide),\n"
    "  rec(function(t) return one(obj({ x = t }, 2), obj{ x = opt(t), y = str() }, obj{ x = opt(t), y = opt(int()) }) end),\n"
    "  num(nil, nil, nil, nil, true), num(-1.5, 2^53, true, true)\n";

enum { SCHEMAS = 14 };

static size_t used, peak;

static void *alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    size_t was = ptr != NULL ? osize : 0;

    (void)ud;
    used = used - was + nsize;
    if (used > peak) peak = used;
    if (nsize != 0) return realloc(ptr, nsize);
    free(ptr);
    return NULL;
}

static int contains(lua_State *L, const char *text, size_t len, const char *pattern, size_t pattern_len) {
    (void)L;
    return memmem(text, len, pattern, pattern_len) != NULL;
}

static int make(lua_State *L) {
    size_t size = mw_shape_size(L, 1);

    memset(lua_newuserdatauv(L, size, 2), 0, size);
    luaL_setmetatable(L, MW_SHAPE_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 2);
    mw_shape_fill(L, 1, 2, contains);
    return 1;
}
static int resolve(lua_State *L) {
    lua_getiuservalue(L, 1, 2);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "of");
    mw_shape_resolve(L, lua_touserdata(L, 1), lua_touserdata(L, 2));
    return 0;
}
static int array(lua_State *L) {
    mw_codec_mark(L, MW_CODEC_ARRAY);
    return 1;
}
static int collect(lua_State *L) {
    mw_shape_end(L, lua_touserdata(L, 1));
    return 0;
}

/* Are the values at a and b the same, marks included? */
static int same(lua_State *L, int a, int b) {
    int n = 0;

    luaL_checkstack(L, 8, NULL);
    if (lua_type(L, a) != lua_type(L, b)) return 0;
    if (lua_type(L, a) == LUA_TNUMBER) {
        lua_Number x = lua_tonumber(L, a), y = lua_tonumber(L, b);
        return lua_isinteger(L, a) == lua_isinteger(L, b) && (lua_rawequal(L, a, b) || memcmp(&x, &y, sizeof x) == 0);
    }
    if (lua_type(L, a) != LUA_TTABLE) return lua_rawequal(L, a, b);
    if (mw_codec_marked(L, a) != mw_codec_marked(L, b)) return 0;
    for (lua_pushnil(L); lua_next(L, a) != 0; n++) {
        lua_pushvalue(L, -2);
        lua_rawget(L, b);
        if (!same(L, lua_gettop(L) - 1, lua_gettop(L))) return 0;
        lua_pop(L, 2);
    }
    for (lua_pushnil(L); lua_next(L, b) != 0; lua_pop(L, 1)) n--;
    return n == 0;
}

/* Plain reading, then checking, as the shape's own reading does where it must. */
static int read_then_check(lua_State *L, const mw_shape *s, enum mw_codec codec, const char *at, size_t len) {
    struct mw_codec_fault fault = {0};
    struct mw_err err;
    struct mw_shape_run r = {.L = L, .fault = &fault, .err = &err};
    int rc, idx;

    rc = codec == MW_CODEC_JSON ? mw_json_read(L, at, len, NULL, &fault, &err) : mw_pack_read(L, at, len, NULL, NULL, &fault, &err);
    if (rc < 0) return rc;
    idx = lua_gettop(L);
    if (mw_shape_run_open(&r, NULL) < 0) abort();
    r.from_bytes = 1;
    rc = mw_shape_check_at(&r, s, idx);
    if (rc == 0) lua_pushvalue(L, idx);
    rc = mw_shape_run_end(&r, rc);
    if (rc == 0) lua_remove(L, idx);
    else lua_settop(L, idx - 1);
    return rc;
}

static int attempt(lua_State *L) { /* shape, bytes, length, codec */
    const mw_shape *s = mw_shape_test(L, 1);
    const char *at = lua_touserdata(L, 2);
    size_t len = (size_t)lua_tointeger(L, 3);
    enum mw_codec codec = (enum mw_codec)lua_tointeger(L, 4);
    struct mw_codec_fault fault;
    struct mw_err err;
    int got, wanted;

    got = mw_shape_read(L, s, codec, at, len, NULL, &fault, &err);
    if (lua_gettop(L) != (got == 0 ? 5 : 4)) abort();
    if (got < 0 && (fault.offset > len || err.code != got || err.what[0] == 0)) abort();
    if (got < 0 && got != MW_ESCHEMA && got != MW_EPARSE && got != MW_ELIMIT) abort();
    wanted = read_then_check(L, s, codec, at, len);
    if ((got == 0) != (wanted == 0)) abort();
    if (got < 0) return 0;
    if (lua_gettop(L) != 6 || !same(L, 5, 6)) abort();
    if (mw_shape_check(L, 5, s, &fault, &err) < 0 || !same(L, 5, lua_gettop(L))) abort();
    return 0;
}

static lua_State *open_state(void) {
    lua_State *L = lua_newstate(alloc, NULL);

    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "string", luaopen_string, 1);
    luaL_requiref(L, "table", luaopen_table, 1);
    luaL_requiref(L, "math", luaopen_math, 1);
    mw_codec_push_null(L);
    lua_setglobal(L, "null");
    luaL_newmetatable(L, MW_SHAPE_TYPE);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_register(L, "make", make);
    lua_register(L, "resolve", resolve);
    lua_register(L, "array", array);
    lua_settop(L, 0);
    if (luaL_dostring(L, schemas) || lua_gettop(L) != SCHEMAS) abort();
    return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static lua_State *L;
    size_t before;

    if (L == NULL) L = open_state();
    if (size == 0) return 0;
    for (int i = 0; i < 2; i++) {
        lua_settop(L, SCHEMAS);
        lua_gc(L, LUA_GCCOLLECT);
        before = peak = used;
        lua_pushcfunction(L, attempt);
        lua_pushvalue(L, 1 + *data % SCHEMAS);
        lua_pushlightuserdata(L, (void *)(uintptr_t)(data + 1));
        lua_pushinteger(L, (lua_Integer)size - 1);
        lua_pushinteger(L, i == 0 ? MW_CODEC_JSON : MW_CODEC_MSGPACK);
        if (lua_pcall(L, 4, 0, 0) != LUA_OK) abort();
        if (peak - before > 100000 + 1000 * size) abort();
    }
    return 0;
}
