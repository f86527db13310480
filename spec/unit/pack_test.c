/* MessagePack: lengths that are only announced cost nothing, and no lack of memory leaves anything behind.
 * Knows: codec/pack, plain Lua. Never: a host. */
#include "support/check.h"
#include "support/purse.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>

#include "codec/pack.h"

TEST(a_length_that_is_only_announced_takes_no_memory) {
    static const struct { const char *bytes; size_t len; } inputs[] = {
        {"\xdd\xff\xff\xff\xff", 5}, {"\xdf\xff\xff\xff\xff", 5}, {"\xdb\xff\xff\xff\xff", 5}, {"\xc6\xff\xff\xff\xff", 5},
        {"\xc9\xff\xff\xff\xff", 5}, {"\xdc\xff\xff", 3}, {"\xde\xff\xff", 3}, {"\xdd\x00\x00\x00\x02\xdd\x00\xff\xff\xff", 10},
        {"\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f", 16},
    };
    struct purse p = {0};
    lua_State *L = lua_newstate(purse_alloc, &p);
    struct mw_codec_fault fault;
    size_t used, before;

    mw_pack_push_ext(L);
    CHECK(mw_pack_read(L, "\x91\x80", 2, NULL, NULL, NULL, NULL) == 0); /* what readers keep is there */
    lua_settop(L, 0);
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        lua_gc(L, LUA_GCCOLLECT);
        before = p.peak = p.used;
        CHECK(mw_pack_read(L, inputs[i].bytes, inputs[i].len, NULL, NULL, &fault, NULL) < 0);
        CHECK(mw_pack_read(L, inputs[i].bytes, inputs[i].len, &used, NULL, &fault, NULL) < 0);
        CHECK(lua_gettop(L) == 0);
        CHECK(p.peak - before <= 1024);
    }
    lua_close(L);
}

struct trip {
    struct mw_bytes out;
    const char *bytes;
    size_t len;
};

static int both_ways(lua_State *L) {
    struct trip *p = lua_touserdata(L, 1);
    struct mw_err err;

    if (mw_pack_read(L, p->bytes, p->len, NULL, NULL, NULL, &err) < 0) return luaL_error(L, "%s", err.message);
    if (mw_pack_write(L, -1, &p->out, NULL, NULL, &err) < 0) return luaL_error(L, "%s", err.message);
    return 0;
}

TEST(no_memory_at_any_point_leaves_all_as_it_was) {
    static const char bytes[] = "\x95\x83\xa1" "a\x01\xa1" "b\x92\xc0\xc3\x05\xcb\x3f\xf8\0\0\0\0\0\0\xd6\xff" "abcd\x80\xd9\x30"
                                "a string that is longer than the short ones be  \xc4\x02\xff\xfe";
    struct purse purse = {0};
    struct trip p = {.bytes = bytes, .len = sizeof bytes - 1};
    int failed = 0, rc = LUA_ERRMEM;

    for (size_t more = 0; rc != LUA_OK && more < 65536; more += 8) {
        lua_State *L = lua_newstate(purse_alloc, &purse);
        REQUIRE(L != NULL && mw_bytes_add(&p.out, "held", 4) == 0);
        lua_pushcfunction(L, both_ways);
        lua_pushlightuserdata(L, &p);
        purse.limit = purse.used + more;
        rc = lua_pcall(L, 1, 0, 0);
        purse.limit = 0;
        if (rc != LUA_OK) {
            failed++;
            CHECK(mw_bytes_len(&p.out) == 4);
            CHECK_STR(lua_tostring(L, -1), "not enough memory");
        } else {
            CHECK(mw_bytes_len(&p.out) == 4 + p.len); /* its keys in any order */
        }
        lua_close(L);
        CHECK(purse.used == 0);
        mw_bytes_free(&p.out);
    }
    CHECK(rc == LUA_OK && failed > 5);
}

TEST(the_deepest_that_is_allowed_is_read_and_written) {
    static char bytes[MW_CODEC_DEPTH_MAX + 2];
    struct mw_codec_options o = {.depth_max = MW_CODEC_DEPTH_MAX + 1};
    struct mw_bytes out = {0};
    struct mw_err err;
    lua_State *L = luaL_newstate();

    memset(bytes, 0x91, sizeof bytes);
    bytes[MW_CODEC_DEPTH_MAX] = 1;
    CHECK(mw_pack_read(L, bytes, MW_CODEC_DEPTH_MAX + 1, NULL, NULL, NULL, &err) == MW_ELIMIT && lua_gettop(L) == 0);
    CHECK(mw_pack_read(L, bytes, MW_CODEC_DEPTH_MAX + 1, NULL, &o, NULL, &err) == 0);
    CHECK(mw_pack_write(L, 1, &out, NULL, NULL, &err) == MW_ELIMIT && mw_bytes_len(&out) == 0);
    CHECK(mw_pack_write(L, 1, &out, &o, NULL, &err) == 0 && mw_bytes_len(&out) == MW_CODEC_DEPTH_MAX + 1);
    lua_createtable(L, 1, 0);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
    CHECK(mw_pack_write(L, 1, &out, &o, NULL, &err) == MW_ELIMIT);
    bytes[MW_CODEC_DEPTH_MAX] = (char)0x91;
    bytes[MW_CODEC_DEPTH_MAX + 1] = 1;
    CHECK(mw_pack_read(L, bytes, MW_CODEC_DEPTH_MAX + 2, NULL, &o, NULL, &err) == MW_ELIMIT && lua_gettop(L) == 1);
    mw_bytes_free(&out);
    lua_close(L);
}
