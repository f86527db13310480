/* Lua values to bytes and back: what comes out is what went in, what cannot be sent is named, and no bytes do harm.
 * Knows: codec/value, plain Lua. Never: a host. */
#include "support/check.h"
#include "support/purse.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>

#include "codec/codec.h"
#include "codec/value.h"

/* Its memory, and what is written: the host's, so that Lua's memory errors leave it. */
struct state {
    struct purse purse;
    struct mw_bytes bytes;
};

static int put(void *ud, lua_State *L, int idx, uint32_t *slot, struct mw_err *err) {
    (void)ud;
    if (lua_getmetatable(L, idx)) { /* a file */
        lua_pop(L, 1);
        return 1;
    }
    *slot = *(uint32_t *)lua_touserdata(L, idx);
    if (*slot == 0) return mw_err_set(err, -EMFILE, NULL, NULL, NULL);
    return *slot == 1 ? 1 : 0;
}
static int get(void *ud, lua_State *L, uint32_t slot, struct mw_err *err) {
    (void)ud;
    if (slot == 0) return mw_err_set(err, MW_EINVAL, NULL, NULL, NULL);
    *(uint32_t *)lua_newuserdatauv(L, sizeof slot, 0) = slot;
    return 0;
}
static const struct mw_value_options with_objects = {.put = put, .get = get, .record = "record"};

static int refuse(lua_State *L, const struct mw_err *err) {
    lua_pushnil(L);
    lua_pushstring(L, err->message);
    lua_pushstring(L, mw_err_name(err->code));
    return 3;
}

/* write(v) -> bytes | nil, message, code */
static int lua_write(lua_State *L) {
    struct state *p = lua_touserdata(L, lua_upvalueindex(1));
    struct mw_value_options o = with_objects;
    struct mw_err err;
    int rc;

    o.depth_max = (unsigned)luaL_optinteger(L, 2, 0);
    o.bytes_max = (size_t)luaL_optinteger(L, 3, 0);
    mw_bytes_consume(&p->bytes, mw_bytes_len(&p->bytes));
    REQUIRE(mw_bytes_add(&p->bytes, "held", 4) == 0); /* what was there before stays */
    rc = mw_value_write(L, 1, &p->bytes, &o, &err);
    CHECK(memcmp(mw_bytes_at(&p->bytes), "held", 4) == 0);
    if (rc < 0) {
        CHECK(mw_bytes_len(&p->bytes) == 4);
        return refuse(L, &err);
    }
    CHECK(o.bytes_max == 0 || mw_bytes_len(&p->bytes) - 4 <= o.bytes_max);
    lua_pushlstring(L, mw_bytes_at(&p->bytes) + 4, mw_bytes_len(&p->bytes) - 4);
    return 1;
}
/* read(bytes) -> v, used | nil, message, code */
static int lua_read(lua_State *L) {
    struct mw_value_options o = with_objects;
    size_t len, used = 0;
    const char *at = luaL_checklstring(L, 1, &len);
    struct mw_err err;
    int top = lua_gettop(L), rc;

    o.depth_max = (unsigned)luaL_optinteger(L, 2, 0);
    rc = mw_value_read(L, at, len, &used, &o, &err);
    CHECK(lua_gettop(L) == top + (rc == 0));
    if (rc < 0) return refuse(L, &err);
    CHECK(used <= len);
    lua_pushinteger(L, (lua_Integer)used);
    return 2;
}
static int lua_object(lua_State *L) {
    *(uint32_t *)lua_newuserdatauv(L, sizeof(uint32_t), 0) = (uint32_t)luaL_checkinteger(L, 1);
    return 1;
}
static int lua_number_of(lua_State *L) {
    lua_pushinteger(L, *(uint32_t *)lua_touserdata(L, 1));
    return 1;
}

static const char *const prelude =
    "function same(a, b, seen)\n"
    "  seen = seen or {}\n"
    "  if math.type(a) ~= math.type(b) or type(a) ~= type(b) then return false end\n"
    "  if type(a) ~= 'table' then return a == b and (a ~= 0 or 1 / a == 1 / b) or (a ~= a and b ~= b) end\n"
    "  if seen[a] then return seen[a] == b end\n"
    "  seen[a] = b\n"
    "  for k, v in next, a do if not same(v, b[k], seen) then return false end end\n"
    "  for k in next, b do if a[k] == nil then return false end end\n"
    "  return true\n"
    "end\n"
    "function trip(v)\n"
    "  local bytes = assert(write(v, 1000))\n"
    "  local back, used = read(bytes, 1000)\n"
    "  assert(used == #bytes, used)\n"
    "  return back\n"
    "end\n"
    "function goes(v) assert(same(v, trip(v))) end\n"
    "function refused(text, v, ...) local got, why = write(v, ...); assert(not got, text); assert(why == text, why) end\n";

/* mark(t, 1: array, 2: object, 0: none) -> t; marked(t) -> the same number */
static int lua_mark(lua_State *L) {
    enum mw_codec_mark mark = (enum mw_codec_mark)luaL_checkinteger(L, 2);

    lua_settop(L, 1);
    mw_codec_mark(L, mark);
    return 1;
}
static int lua_marked(lua_State *L) {
    lua_pushinteger(L, mw_codec_marked(L, 1));
    return 1;
}

static void run_in(struct state *p, const char *code) {
    lua_State *L = lua_newstate(purse_alloc, &p->purse);

    REQUIRE(L != NULL);
    luaL_openlibs(L);
    lua_pushlightuserdata(L, p);
    lua_pushcclosure(L, lua_write, 1);
    lua_setglobal(L, "write");
    lua_register(L, "read", lua_read);
    lua_register(L, "object", lua_object);
    lua_register(L, "number_of", lua_number_of);
    lua_register(L, "mark", lua_mark);
    lua_register(L, "marked", lua_marked);
    mw_codec_push_null(L);
    lua_setglobal(L, "null");
    luaL_newmetatable(L, "record");
    lua_setglobal(L, "record");
    if (luaL_dostring(L, prelude) || luaL_dostring(L, code)) check_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
    lua_close(L);
    mw_bytes_free(&p->bytes);
    CHECK(p->purse.used == 0);
}
static void run(const char *code) {
    struct state p = {0};
    run_in(&p, code);
}

TEST(scalars_come_back_as_they_were) {
    run("goes(nil) goes(true) goes(false) goes('') goes(('x'):rep(63)) goes(('x'):rep(64)) goes('a\\0b')\n"
        "for _, n in ipairs{255, 256, 65535, 65536, 1 << 20} do goes(('y'):rep(n)) end\n"
        "for shift = 0, 63 do for d = -1, 1 do goes((1 << shift) + d) goes(-(1 << shift) + d) end end\n"
        "goes(0) goes(63) goes(64) goes(-1) goes(math.maxinteger) goes(math.mininteger)\n"
        "goes(0.0) goes(-0.0) goes(1.0) goes(0.1) goes(1e308) goes(5e-324) goes(1 / 0) goes(-1 / 0) goes(0 / 0)\n"
        "assert(math.type(trip(1)) == 'integer' and math.type(trip(1.0)) == 'float')");
}

TEST(tables_keep_their_elements_their_pairs_and_their_holes) {
    run("goes{} goes{1, 2, 3} goes{n = 1} goes{1, 2, x = 3, [4.5] = 4, [-1] = 5, [true] = 6, [false] = 7}\n"
        "goes{nil, 2} goes{1, nil, 3} goes{1, 2, nil, 4, nil, nil, 7} goes{[1] = 1, [2] = 2, [3] = 3} goes{[0] = 0, 1}\n"
        "goes{[math.maxinteger] = 1, [math.mininteger] = 2}\n"
        "local odd = {} for i = 20, 1, -1 do odd[i] = i end odd.x = 1 goes(odd)\n"
        "local t = {1, 2, 3} t[4] = 4 t[5] = 5 t.a = 'b' t[3.5] = {} goes(t)\n"
        "for _, n in ipairs{6, 7, 8, 14, 15, 16, 127, 128, 254, 255, 256, 300, 20000} do\n"
        "  local a, h, b = {}, {}, {}\n"
        "  for i = 1, n do a[i] = i; h['k' .. i] = i; b[i] = i; b[-i] = i end\n"
        "  goes(a) goes(h) goes(b)\n"
        "end");
}

TEST(cycles_and_shared_references_are_kept) {
    run("local t = {} t.self = t t[1] = t local b = trip(t) assert(b.self == b and b[1] == b and b ~= t)\n"
        "local s = {1} b = trip{s, s, {s}, k = s} assert(b[1] == b[2] and b[3][1] == b[1] and b.k == b[1] and b[1][1] == 1)\n"
        "local k = {} b = trip{[k] = k} local key, value = next(b) assert(key == value)\n"
        "local all, list = {}, {} for i = 1, 3000 do all[i] = {i} end\n"
        "for i = 1, 3000 do list[i] = all[i]; list[6001 - i] = all[i] end\n"
        "b = trip(list) for i = 1, 3000 do assert(b[i] == b[6001 - i] and b[i][1] == i) end\n"
        "local deep = {} local at = deep for i = 1, 900 do at[1] = {up = at} at = at[1] end\n"
        "b = trip(deep) for i = 1, 900 do assert(b[1].up == b) b = b[1] end");
}

TEST(null_and_the_marks_of_tables_are_kept_at_no_cost_for_those_without) {
    run("goes(null) assert(trip(null) == null and #write(null) == 1) goes{null, 2, null, k = null, [null] = 1}\n"
        "assert(marked(trip(mark({}, 1))) == 1 and marked(trip(mark({}, 2))) == 2 and marked(trip{}) == 0)\n"
        "local s = mark({1, {}, mark({x = 1}, 2)}, 1) local b = trip{s, s, [s] = s}\n"
        "assert(b[1] == b[2] and b[b[1]] == b[1] and marked(b) == 0 and marked(b[1]) == 1 and marked(b[1][2]) == 0 and marked(b[1][3]) == 2)\n"
        "local many = mark({}, 1) for i = 1, 1000 do many[i] = i end b = trip(many) assert(#b == 1000 and marked(b) == 1)\n"
        "assert(#write{1, 2} == 4 and #write(mark({1, 2}, 1)) == 5 and marked(mark(mark({}, 1), 0)) == 0)");
}

TEST(records_with_the_same_keys_are_smaller_than_their_keys) {
    run("local list = {} for i = 1, 1000 do list[i] = {identifier = i, description = 'x', quantity = 1.5} end\n"
        "goes(list) assert(#write(list) < 32000, #write(list))\n"
        "local far = {{some_key = 1}, {some_key = ('x'):rep(70000)}, {some_key = 2}, {some_key = 3}} goes(far)\n"
        "local many = {{}, {}} for i = 1, 500 do many[i] = {['key' .. i % 70] = i, ['key' .. i % 7 + 100] = 1} end goes(many)");
}

TEST(a_small_message_has_little_beside_its_content) {
    run("assert(#write(1) == 1) assert(#write'greet' == 6) assert(#write{} == 2) assert(#write(0.5) == 9) assert(#write(-5) == 2)\n"
        "assert(#write{type = 'greet', id = 1, payload = ('x'):rep(64)} == 2 + 5 + 6 + 3 + 1 + 8 + 66)");
}

TEST(what_cannot_be_sent_is_named_with_the_path_to_it) {
    run("refused('message: a function cannot be sent', print)\n"
        "refused('message.items[3].fn: a function cannot be sent', {items = {1, 2, {fn = print}}})\n"
        "refused('message.co: a coroutine cannot be sent', {co = coroutine.create(print)})\n"
        "refused('message[\"two words\"][1.5][true]: a userdata (FILE*) cannot be sent', {['two words'] = {[1.5] = {[true] = io.stdout}}})\n"
        "refused('message.x: a userdata cannot be sent', {x = object(1)})\n"
        "refused('message.x: too many open files in this process', {x = object(0)})\n"
        "refused('message.a: a function cannot be sent (it is a key)', {a = {[print] = 1}})\n"
        "refused('message[a table].b: a function cannot be sent', {[{b = print}] = 1})\n"
        "refused('message[2]: a function cannot be sent', {1, print, nil, 4})\n"
        "refused('message[4]: a function cannot be sent', {1, nil, 3, print})\n"
        "refused('message.x: a table with a protected metatable cannot be sent', {x = setmetatable({}, {__metatable = false})})\n"
        "refused('message: a table with __pairs cannot be sent', setmetatable({}, {__pairs = print}))\n"
        "local t = {} for i = 1, 200 do t = {t} end\n"
        "local _, why, code = write(t) assert(code == 'ELIMIT' and why:find('nested deeper than 128 levels', 1, true), why)\n"
        "local s = ('k'):rep(300) _, why = write{[s] = {[s] = {[s] = {[s] = {[s] = {print}}}}}} assert(why:find'function' or #why < 900)");
}

TEST(metatables_stay_behind_save_the_one_that_is_kept) {
    run("local b = trip{setmetatable({1, x = 2}, {__index = {y = 3}})} assert(getmetatable(b[1]) == nil and b[1].x == 2 and b[1].y == nil)\n"
        "b = trip{setmetatable({code = 'E'}, record), {}} assert(getmetatable(b[1]) == record and b[1].code == 'E' and not getmetatable(b[2]))\n"
        "record.__metatable = false b = trip(setmetatable({}, record)) assert(getmetatable(b) == false)");
}

TEST(objects_ride_beside_by_their_number) {
    run("local b = trip{object(7), x = object(300000)} assert(number_of(b[1]) == 7 and number_of(b.x) == 300000)");
}

TEST(a_value_may_have_a_limit_of_bytes_and_of_depth) {
    run("for n = 1, 200 do local s = ('x'):rep(n) local all = #write(s)\n"
        "  assert(write(s, 0, all)) local _, why, code = write(s, 0, all - 1) assert(code == 'ELIMIT' or all == 1, why) end\n"
        "local t = {} for i = 1, 1000 do t[i] = i * 1000 end\n"
        "local all = #write(t) assert(write(t, 0, all)) assert(not write(t, 0, all - 1)) refused('message: longer than 100 bytes', t, 0, 100)\n"
        "assert(write({{1}}, 2)) assert(not write({{{1}}}, 2)) assert(read(write{{1}}, 2)) assert(select(3, read(write{{{1}}}, 2)) == 'ELIMIT')");
}

#define SAMPLE                                                                                                                  \
    "local shared = {9, 8}\n"                                                                                                   \
    "local sample = {1, -1, 300, 70000, 1 << 40, 0.5, true, false, 'abc', ('x'):rep(70), ('y'):rep(300), shared, shared,\n"      \
    "  {some_key = 1}, {some_key = 2}, object(5), setmetatable({}, record), [2.5] = {}, k = {}, nil, 5}\n"                      \
    "sample.big = {} for i = 1, 300 do sample.big['k' .. i] = i % 100 == 0 and {i} or i end sample.big[7.5] = 1\n"

TEST(bytes_that_are_cut_are_refused_wherever_the_cut_is) {
    run(SAMPLE "local bytes = write(sample)\n"
               "for i = 0, #bytes - 1 do local v, why, code = read(bytes:sub(1, i)) assert(v == nil and code == 'EPARSE', i) end");
}

TEST(no_byte_that_is_changed_does_harm) {
    run(SAMPLE "local bytes = write(sample)\n"
               "for i = 1, #bytes do for _, to in ipairs{0, 1, 63, 64, 127, 128, 0x8f, 0xaf, 0xbf, 0xc0, 0xc3, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xff} do\n"
               "  local v, why = read(bytes:sub(1, i - 1) .. string.char(to) .. bytes:sub(i + 1))\n"
               "  assert(v ~= nil or why == nil or type(why) == 'string' or type(why) == 'number')\n"
               "end end");
}

TEST(bytes_of_chance_do_no_harm) {
    run("math.randomseed(4) for i = 1, 20000 do local n = math.random(1, 40) local t = {}\n"
        "  for j = 1, n do t[j] = string.char(math.random(0, 3) == 0 and math.random(0, 255) or math.random(0x80, 0xd0)) end read(table.concat(t)) end");
}

TEST(what_is_not_written_by_us_is_refused) {
    run("local function not_ours(bytes, text) local v, why, code = read(bytes) assert(code == 'EPARSE' and why:find(text, 1, true), why) end\n"
        "not_ours('', 'cut short') not_ours('\\xff', 'no value') not_ours('\\xd1', 'no value')\n"
        "not_ours('\\x8f\\xff\\xff\\xff\\xff\\x0f\\0', 'more values than bytes') not_ours('\\x8f\\xff\\xff\\xff\\xff\\xff\\xff', 'no count')\n"
        "not_ours('\\x90\\3\\0', 'a record') not_ours('\\x90', 'cut short') not_ours('\\x9f', 'cut short')\n"
        "not_ours('\\x80\\xfe', 'more values than bytes') not_ours('\\xca\\xff\\xff\\xff\\xffx', 'cut short')\n"
        "not_ours('\\x80\\1\\xc0\\1\\0\\0', 'no key') not_ours('\\x80\\1\\xc3\\0\\0\\0\\0\\0\\0\\xf8\\x7f\\1', 'no key')\n"
        "not_ours('\\xcd\\0\\0\\0\\0', 'a reference to nothing') not_ours('\\xa1\\0\\xcd\\1\\0\\0\\0', 'a reference to no table')\n"
        "not_ours('\\xcb\\0', 'a reference to nothing') not_ours('\\xcb\\1', 'a reference to nothing') not_ours('\\x81\\0\\xcb\\1', 'no string')\n"
        "not_ours('\\x82\\0\\x43abc\\xcb\\3', 'no string') assert(read('\\x82\\0\\x43abc\\xcb\\4')[2] == 'abc')");
}

/* bytes of a table of many pairs: of(count, key) -> text */
#define MANY                                                                                                                            \
    "local function of(n, key, value) local t = {'\\x80\\xff'}\n"                                                                     \
    "  for i = 1, n do local k = key(i)\n"                                                                                              \
    "    t[#t + 1] = (math.type(k) == 'integer' and string.pack('<Bi8', 0xc7, k) or string.pack('<Bd', 0xc3, k)) .. (value or '\\1') end\n" \
    "  return table.concat(t) .. '\\xd0' end\n"

TEST(a_table_of_many_pairs_comes_back_whatever_is_in_it_and_around_it) {
    run("local t = {} for i = 1, 1000 do t[i * 3.5] = i t['k' .. i] = {i} t[-i] = i t[{}] = 1 end assert(#trip(t) == 0)\n"
        "local function of(n, v) local t = {} for i = 1, n do t['x' .. i] = v and v(i) or i end return t end\n"
        "for _, n in ipairs{253, 254, 255, 256, 257, 511, 512, 513, 3000} do goes(of(n)) goes{of(n), of(n), a = of(n)} end\n"
        "goes(of(300, function(i) return i % 50 == 0 and {of(255), [i] = of(256), of(3)} or {of(i % 7)} end))\n"
        "local a = of(300) for i = 1, 300 do a[i] = a a[i / 2 + 1000] = {a} end goes(a)\n"
        "local s = of(20) for i = 1, 25 do s = of(256, function(i) return i == 1 and s or 0 end) end goes(s)\n"
        "goes(setmetatable(of(700), record))");
}

TEST(keys_that_are_numbers_cost_little_wherever_they_fall) {
    run(MANY "local function read_it(...) return (assert(read(of(...)))) end\n"
             "for _, step in ipairs{1, 2, 1000, 3600, 65536, 1 << 40, 255, 511, 65535 * 65537} do\n"
             "  for _, n in ipairs{255, 256, 700, 20000} do\n"
             "    if n < 600 or step % 255 ~= 0 then assert(read_it(n, function(i) return i * step end)[7 * step] == 1) end end end\n"
             "assert(read_it(20000, function(i) return i + 0.5 end)[7.5] == 1)\n"
             "assert(read_it(300, function(i) return i * 511 end)[511] == 1)\n" /* ours may be so, when they are few */
             "goes(read_it(300, function(i) return i * 511 end))");
}

TEST(keys_that_were_made_to_fall_to_one_place_are_refused) {
    run(MANY "local function refused(...) local v, why, code = read(of(...)) assert(v == nil and code == 'ELIMIT' and why:find('one place', 1, true), why) end\n"
             "for _, bits in ipairs{12, 16} do for times = 1, 2 do\n"
             "  refused(1 << bits, function(i) return i * times * ((1 << bits) - 1) end)\n"
             "  refused(1 << bits, function(i) return i * times * ((2 << bits) - 1) end) end end\n"
             "refused(1 << 14, function(i) return i % 4000 * ((1 << 14) - 1) end)\n"         /* again and again the same */
             "refused(1 << 14, function(i) return i % 4000 * ((1 << 14) - 1) end, '\\xc0')\n"  /* that never come in */
             "refused(70000, function(i) return i <= 60000 and i or i * ((1 << 17) - 1) end)\n"
             "local t = of(300, function(i) return i * 511 end)\n"                           /* little by little */
             "local v, why, code = read('\\x8f' .. string.pack('BBB', 0xd0, 0x0f, 0) .. t:rep(2000)) assert(code == 'ELIMIT', why)");
}

TEST(tables_that_claim_more_than_there_is_take_no_memory_for_it) {
    struct state p = {.purse.limit = 3u << 20};
    run_in(&p, "local s = ('\\x8f\\x80\\x80\\x08\\0'):rep(128) .. ('\\0'):rep(131072 - 640)\n" /* each says 131072 elements */
               "local v, why, code = read(s) assert(code == 'EPARSE', why)");
}

TEST(running_out_of_memory_leaves_nothing_behind) {
    struct state p = {0};
    run_in(&p, "local all = {} for i = 1, 2000 do all[i] = {i, tostring(i)} end\n"
               "local bytes = write(all) assert(same(all, (read(bytes))))");
    for (size_t limit = 60000; limit < 900000; limit += 9973) {
        struct state q = {.purse.limit = limit};
        lua_State *L = lua_newstate(purse_alloc, &q.purse);
        REQUIRE(L != NULL);
        lua_register(L, "read", lua_read);
        lua_pushlightuserdata(L, &q);
        lua_pushcclosure(L, lua_write, 1);
        lua_setglobal(L, "write");
        if (luaL_dostring(L, "local all = {} for i = 1, 2000 do all[i] = {i, '' .. i} end return read((write(all)))")) {
            CHECK(strstr(lua_tostring(L, -1), "memory") != NULL);
            CHECK(q.bytes.base == NULL || mw_bytes_len(&q.bytes) == 4 || mw_bytes_len(&q.bytes) > 2000);
        }
        lua_close(L);
        mw_bytes_free(&q.bytes);
        CHECK(q.purse.used == 0);
    }
}
