/* Shapes, from C: what is read in both formats and what is refused, where, and as what; limits; memory that ends at any request.
 * Knows: codec/shape, codec/json, codec/pack, plain Lua. Never: a host; lua/moonwire/schema.lua. */
#include "support/check.h"
#include "support/purse.h"
#include "support/shapes.h"

#include <lualib.h>

#include "codec/json.h"
#include "codec/pack.h"

static const mw_shape *shape_at(lua_State *L, int idx) {
    const mw_shape *s = mw_shape_test(L, idx);
    if (s == NULL) luaL_argerror(L, idx, "no shape");
    return s;
}

/* nil, code, path, expected, offset */
static int push_refusal(lua_State *L, int rc, const struct mw_codec_fault *fault, const struct mw_err *err) {
    CHECK(rc == MW_EPARSE || rc == MW_ELIMIT || rc == MW_ESCHEMA);
    CHECK(rc == err->code && err->message[0] != 0 && (rc == MW_ESCHEMA) == (fault->expected[0] != 0));
    lua_pushnil(L);
    lua_pushstring(L, mw_err_name(rc));
    lua_pushstring(L, fault->path);
    lua_pushstring(L, fault->expected);
    lua_pushinteger(L, (lua_Integer)fault->offset);
    return 5;
}

/* parse(shape, bytes, "json" | "msgpack" [, depth [, bytes_max]]) -> value | nil, code, path, expected, offset */
static int parse(lua_State *L) {
    const mw_shape *s = shape_at(L, 1);
    struct mw_codec_options o = {.depth_max = (unsigned)luaL_optinteger(L, 4, 0), .bytes_max = (size_t)luaL_optinteger(L, 5, 0)};
    struct mw_codec_fault fault;
    struct mw_err err;
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);
    enum mw_codec codec = *luaL_checkstring(L, 3) == 'j' ? MW_CODEC_JSON : MW_CODEC_MSGPACK;
    int top = lua_gettop(L), rc = mw_shape_read(L, s, codec, bytes, len, &o, &fault, &err);

    CHECK_INT(lua_gettop(L), top + (rc == 0));
    return rc == 0 ? 1 : push_refusal(L, rc, &fault, &err);
}

/* check(shape, value) -> value | nil, code, path, expected */
static int check(lua_State *L) {
    const mw_shape *s = shape_at(L, 1);
    struct mw_codec_fault fault;
    struct mw_err err;
    int top = lua_gettop(L), rc = mw_shape_check(L, 2, s, &fault, &err);

    CHECK_INT(lua_gettop(L), top + (rc == 0));
    fault.offset = 0;
    return rc == 0 ? 1 : push_refusal(L, rc, &fault, &err);
}

/* from(json) -> value; json(value), pack(value) -> bytes */
static struct mw_bytes out; /* not on the stack, which a memory error leaves */

static int from(lua_State *L) {
    struct mw_codec_options o = {.depth_max = MW_CODEC_DEPTH_MAX};
    struct mw_err err;
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    return mw_json_read(L, text, len, &o, NULL, &err) == 0 ? 1 : luaL_error(L, "%s: %s", text, err.message);
}
static int write_as(lua_State *L, enum mw_codec codec) {
    struct mw_codec_options o = {.depth_max = MW_CODEC_DEPTH_MAX, .sort = 1};
    struct mw_err err;
    int rc;

    mw_bytes_free(&out);
    rc = codec == MW_CODEC_JSON ? mw_json_write(L, 1, &out, &o, NULL, &err) : mw_pack_write(L, 1, &out, &o, NULL, &err);
    if (rc < 0) return luaL_error(L, "%s", err.message);
    lua_pushlstring(L, mw_bytes_at(&out), mw_bytes_len(&out));
    return 1;
}
static int json(lua_State *L) {
    return write_as(L, MW_CODEC_JSON);
}
static int pack(lua_State *L) {
    return write_as(L, MW_CODEC_MSGPACK);
}

static lua_State *open_state(struct purse *p) {
    lua_State *L = lua_newstate(purse_alloc, p);

    REQUIRE(L != NULL);
    luaL_openlibs(L);
    shapes_open(L);
    lua_register(L, "parse", parse);
    lua_register(L, "check", check);
    lua_register(L, "from", from);
    lua_register(L, "json", json);
    lua_register(L, "pack", pack);
    return L;
}

static void end(lua_State *L, const struct purse *p) {
    lua_close(L);
    CHECK_INT(p->used, 0);
    mw_bytes_free(&out);
}

static void run(const char *code) {
    struct purse p = {0};
    lua_State *L = open_state(&p);

    if (luaL_dostring(L, code)) check_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
    end(L, &p);
}

/* fits(shape, json [, kept]): in both formats, and as a value; what is kept is that text. refused(shape, json, path, expected). */
#define CASES SHAPES                                                                                                                    \
    "local function fits(shape, text, kept)\n"                                                                                           \
    "  local function is(v, code, path, expected) local got = v ~= nil and json(v)\n"                                                    \
    "    if got ~= (kept or text) then error(text .. ': ' .. (got or code .. ' ' .. path .. ' ' .. expected), 3) end end\n"              \
    "  is(parse(shape, text, 'json', 1000)) is(parse(shape, pack(from(text)), 'msgpack', 1000)) is(check(shape, from(text)))\n"          \
    "end\n"                                                                                                                              \
    "local function refused(shape, text, path, expected)\n"                                                                              \
    "  local function is(v, code, p, e) if v ~= nil or code ~= 'ESCHEMA' or p ~= path or (expected and e ~= expected) then\n"            \
    "    error(text .. ': ' .. (v ~= nil and json(v) or table.concat({ code, p, e }, ' | ')), 3) end end\n"                              \
    "  is(parse(shape, text, 'json')) is(parse(shape, pack(from(text)), 'msgpack')) is(check(shape, from(text)))\n"                      \
    "end\n"

TEST(each_kind_reads_what_fits_it_in_both_formats_and_checks_it_as_a_value) {
    run(CASES "for _, text in ipairs{'null', 'true', '7', '2.5', '\"x\"', '[]', '[1,[2]]', '{}', '{\"a\":{\"b\":null}}'} do fits(any, text) end\n"
              "fits(flag, 'true') fits(whole, '-9') fits(whole, '99') fits(number, '0.75') fits(number, '1') fits(name, '\"\\xc3\\xa4\"') fits(text, '\"\"')\n"
              "for _, text in ipairs{'\"a\"', '\"b\"', '7', '2.5', 'true'} do fits(words, text) end\n"
              "fits(list(whole), '[]') fits(list(whole, true), '[1,2,3]') fits(list(list(words)), '[[\"a\",7],[]]')\n"
              "fits(map(map(number)), '{\"w\":{},\"x\":{\"y\":1,\"z\":2.5}}')\n"
              "fits(told, '\"x\"') fits(told, '{\"k\":\"a\",\"x\":1}') fits(told, '{\"k\":\"b\",\"more\":[1]}')\n"
              "fits(tree, '[]') fits(tree, '[[],7,\"b\",[[2.5]]]') fits(tree, '{\"l\":{\"l\":[],\"r\":1},\"r\":2}') fits(tree, '{\"l\":[],\"s\":1}')");
}

TEST(an_object_drops_keeps_and_fills_in_what_its_shape_says) {
    run(CASES "fits(record, '{\"a\":1,\"d\":\"t\"}', '{\"a\":1,\"b\":\"none\",\"d\":\"t\"}')\n"
              "fits(record, '{\"d\":{\"k\":\"b\",\"n\":1},\"gone\":{\"a\":[1]},\"c\":[1,2.5],\"b\":\"x\",\"a\":1}', '{\"a\":1,\"b\":\"x\",\"c\":[1,2.5],\"d\":{\"k\":\"b\",\"n\":1}}')\n"
              "fits(object(1, 'a', whole), '{\"a\":1,\"z\":{\"y\":null}}') fits(object(0), '{}') fits(object(2), '{\"a\":1}', '{}')\n"
              "fits(many, '{\"f1\":null,\"f2\":2}', '{\"f1\":null,\"f2\":2,\"f27\":[27],\"f45\":[45],\"f63\":[63],\"f9\":[9]}')\n"
              "local one, two = parse(many, '{}', 'json'), parse(many, '{}', 'json')\n"
              "assert(one.f9 ~= two.f9) one.f9[1] = 0 assert(two.f9[1] == 9 and parse(many, '{}', 'json').f9[1] == 9)"); /* a copy each */
}

TEST(what_does_not_fit_is_told_with_its_place_and_what_was_expected) {
    run(CASES "refused(flag, '1', '', 'boolean') refused(whole, '-10', '', 'integer') refused(whole, '100', '') refused(whole, '2.5', '')\n"
              "refused(number, '0.5', '') refused(number, '2e9', '') refused(name, '\"\"', '') refused(name, '\"1234\"', '') refused(name, '\"1234567890123\"', '')\n"
              "refused(words, '8', '', 'literal') refused(words, '\"c\"', '') refused(words, 'false', '') refused(words, 'null', '')\n"
              "refused(list(whole), '{\"a\":1}', '', 'array') refused(list(whole), '[1,2,\"3\"]', '[3]', 'integer') refused(list(whole, true), '[1,2,1]', '[3]')\n"
              "refused(list(list(flag)), '[[true],[true,0]]', '[2][2]') refused(map(whole), '{\"a\":1,\"b\":[]}', 'b')\n"
              "refused(map(whole), '{\"1234\":1}', '[\"1234\"]', 'string') refused(record, '{\"a\":1}', 'd') refused(record, '{\"a\":1,\"d\":{\"k\":\"a\"}}', 'd.x')\n"
              "refused(record, '{\"a\":1,\"d\":\"\",\"c\":[1,-1]}', 'c[2]', 'number') refused(object(0, 'a', whole), '{\"a\":1,\"z\":2}', 'z')\n"
              "refused(told, '{\"k\":\"c\"}', 'k') refused(told, '7', '', 'one_of') refused(many, '{\"f70\":\"x\"}', 'f70') refused(many, '{\"f71\":1}', 'f71')\n"
              "local _, code, path, _, offset = parse(list(whole), '[1, 2, x]', 'json') assert(code == 'EPARSE' and path == '[3]' and offset == 7, offset)\n"
              "_, code, path, _, offset = parse(list(whole), '[1, 2, \"x\"]', 'json') assert(code == 'ESCHEMA' and path == '[3]' and offset == 7)\n"
              "for _, text in ipairs{'', '[', '[1', '[1,', '[1,]', '[1]]', ' '} do assert(select(2, parse(list(whole), text, 'json')) == 'EPARSE', text) end\n"
              "for _, bytes in ipairs{'', '\\x91', '\\x91\\xc1', '\\xdd\\xff\\xff\\xff', '\\x91\\1\\1'} do\n"
              "  assert(select(2, parse(list(whole), bytes, 'msgpack')) == 'EPARSE', bytes) end");
}

TEST(limits_of_depth_bytes_and_numbers_hold_wherever_a_shape_reads) {
    run(CASES "local function deep(n) return ('['):rep(n) .. (']'):rep(n) end\n"
              "for _, shape in ipairs{any, tree, one_of(list(tree), flag)} do for _, codec in ipairs{'json', 'msgpack'} do\n"
              "  local function at(n, ...) return select(2, parse(shape, codec == 'json' and deep(n) or pack(from(deep(n))), codec, ...)) end\n"
              "  assert(at(128) == nil and at(129) ~= nil, codec) assert(at(5, 5) == nil and at(6, 5) ~= nil) assert(at(1000, 1000) == nil)\n"
              "  assert(parse(shape, codec == 'json' and '[]' or '\\x90', codec, 0, 3) and at(9, 0, 5) == 'ELIMIT')\n"
              "end end\n"
              "local v = {} for i = 1, 999 do v = {v} end assert(check(tree, v) and check(any, v))\n"
              "for i = 1, 2 do v = {v} end assert(select(2, check(tree, v)) == 'ELIMIT')\n"
              "local ring = {} ring[1] = ring assert(select(2, check(tree, ring)) == 'ELIMIT')\n"
              "local forty = {} for i = 1, 40 do forty[i] = i end assert(check(list(whole), forty)) forty[41] = 1 assert(select(2, check(list(whole), forty)) == 'ESCHEMA')\n"
              "local keys = {} for i = 1, 65537 do keys[i] = '\"' .. i .. '\":1' end\n"
              "assert(select(2, parse(object(2), '{' .. table.concat(keys, ',') .. '}', 'json')) == 'ELIMIT')\n"
              "keys[65537] = nil assert(parse(object(2), '{' .. table.concat(keys, ',') .. '}', 'json'))\n"
              "assert(select(2, parse(any, '{' .. table.concat(keys, ',') .. '}', 'json', 0, 100)) == 'ELIMIT')\n"
              "local fields = {} for i = 1, 4097 do fields[2 * i - 1] = 'f' .. i fields[2 * i] = flag end\n"
              "assert(not pcall(object, 0, table.unpack(fields))) assert(object(0, table.unpack(fields, 1, 8192)))");
}

TEST(a_shape_that_is_not_whole_refuses_and_one_that_leads_to_itself_is_not_made) {
    run(CASES "local open = make{ kind = 'ref' }\n"
              "refused(list(open), '[1]', '[1]', 'a schema that is whole') fits(list(open), '[]')\n"
              "assert(not pcall(resolve, open, open)) local other = make{ kind = 'ref' } resolve(other, open) assert(not pcall(resolve, open, other))\n"
              "resolve(open, list(open)) fits(list(open), '[[[]]]')\n"
              "assert(not pcall(_G.make, {kind = 'array'})) assert(not pcall(_G.make, {kind = 'map', of = any})) assert(not pcall(_G.make, {kind = 'nothing'}))");
}

/* ---- No memory --------------------------------------------------------------------------------------------------- */

static const char made[] = SHAPES "function use()\n"
    "  local t = {}\n"
    "  for i, it in ipairs{ {any, '[1,{\"a\":\"' .. ('x'):rep(50) .. '\"}]'}, {record, '{\"a\":1,\"z\":[1],\"d\":{\"k\":\"b\",\"o\":{}},\"c\":[2]}'}, {many, '{\"f3\":[]}'},\n"
    "      {map(map(number)), '{\"x\":{\"y\":1}}'}, {list(words, true), '[7,\"a\",\"b\",2.5]'}, {tree, '{\"l\":{\"l\":[[]]},\"r\":2}'}, {told, '{\"x\":\"y\",\"k\":\"b\"}'},\n"
    "      {list(whole), '[1,2,100]'}, {record, '{\"a\":1,\"d\":{\"k\":\"no\"}}'}, {list(name), '[\"\\\\u00e4\"]'} } do\n"
    "    t[#t + 1] = json(parse(it[1], it[2], 'json') or 0) t[#t + 1] = json(parse(it[1], it[3] or pack(from(it[2])), 'msgpack') or 0)\n"
    "    t[#t + 1] = json(check(it[1], from(it[2])) or 0)\n"
    "  end\n"
    "  return table.concat(t, ' ')\n"
    "end\n";

/* Runs the function on the stack with memory that ends at each request in turn; the state goes on afterwards.    how often it failed */
static int at_each_request(struct purse *p, lua_State *L, const char *name) {
    int failed = 0, rc = LUA_ERRMEM;

    for (unsigned long n = 1; rc != LUA_OK && n < 100000; n++) {
        lua_getglobal(L, name);
        p->refused = p->requests + n;
        rc = lua_pcall(L, 0, 1, 0);
        p->refused = 0;
        if (rc == LUA_OK) break;
        failed++;
        if (rc != LUA_ERRMEM) {
            check_fail(__FILE__, __LINE__, "request %lu: %s", n, lua_tostring(L, -1));
            break;
        }
        lua_pop(L, 1);
    }
    CHECK_INT(rc, LUA_OK);
    return failed;
}

static int use_one(lua_State *L) { /* what is read is the same as ever: the upvalue */
    lua_getglobal(L, "use");
    lua_call(L, 0, 1);
    CHECK(lua_rawequal(L, -1, lua_upvalueindex(1)) || strcmp(lua_tostring(L, -1), lua_tostring(L, lua_upvalueindex(1))) == 0);
    return 1;
}

TEST(memory_that_ends_at_any_request_leaves_shapes_as_they_were) {
    struct purse p = {0};
    lua_State *L = open_state(&p);

    REQUIRE(luaL_dostring(L, made) == LUA_OK);
    lua_getglobal(L, "use");
    REQUIRE(lua_pcall(L, 0, 1, 0) == LUA_OK);
    CHECK(strlen(lua_tostring(L, -1)) > 300);
    lua_pushcclosure(L, use_one, 1);
    lua_setglobal(L, "again");
    lua_gc(L, LUA_GCSTOP); /* so that each run asks for the same */
    CHECK(at_each_request(&p, L, "again") > 100);
    end(L, &p);
}

TEST(memory_that_ends_at_any_request_leaves_no_half_made_shape) {
    int failed = 0, rc = LUA_ERRMEM;

    for (unsigned long n = 1; rc != LUA_OK && n < 100000; n++) {
        struct purse p = {0};
        lua_State *L = open_state(&p);

        REQUIRE(luaL_loadstring(L, made) == LUA_OK);
        p.refused = p.requests + n;
        rc = lua_pcall(L, 0, 0, 0);
        p.refused = 0;
        if (rc != LUA_OK) failed++;
        lua_gc(L, LUA_GCCOLLECT); /* finalizers of what was half made */
        if (n % 16 == 0) CHECK(luaL_dostring(L, made) == LUA_OK && luaL_dostring(L, "return #use() > 300") == LUA_OK && lua_toboolean(L, -1));
        end(L, &p);
    }
    CHECK(rc == LUA_OK && failed > 100);
}
