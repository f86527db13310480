/* JSON and Lua values, from C: what a failure leaves, memory that ends, and text that ends where its memory does.
 * Knows: codec/json, plain Lua. Never: a host. */
#include "support/check.h"
#include "support/purse.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>

#include "codec/json.h"

/* The text stands at the very end of its memory, and no NUL follows. */
static int read_at_end(lua_State *L, const char *text, const struct mw_codec_options *o, struct mw_codec_fault *fault, struct mw_err *err) {
    size_t len = strlen(text);
    char *at = malloc(len > 0 ? len : 1);
    int rc;

    REQUIRE(at != NULL);
    memcpy(at, text, len);
    rc = mw_json_read(L, at, len, o, fault, err);
    free(at);
    return rc;
}

TEST(a_value_is_read_and_written_again) {
    static const char *const texts[] = {
        "null", "true", "-12", "1.5", "\"a\\u0000b\"", "[]", "{}", "[1,[2,[]],{}]", "{\"a\":[null,false]}", "\"0123456789abcdef0123456789abcdef\"",
    };
    lua_State *L = luaL_newstate();
    struct mw_bytes out = {0};

    REQUIRE(mw_bytes_add(&out, "before", 6) == 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t was = mw_bytes_len(&out);
        CHECK(read_at_end(L, texts[i], NULL, NULL, NULL) == 0 && lua_gettop(L) == 1);
        CHECK(mw_json_write(L, 1, &out, NULL, NULL, NULL) == 0 && lua_gettop(L) == 1);
        CHECK(mw_bytes_len(&out) - was == strlen(texts[i]) && memcmp(mw_bytes_at(&out) + was, texts[i], strlen(texts[i])) == 0);
        lua_settop(L, 0);
    }
    CHECK(memcmp(mw_bytes_at(&out), "before", 6) == 0);
    mw_bytes_free(&out);
    lua_close(L);
}

TEST(every_cut_of_a_text_is_refused_where_it_ends_and_leaves_nothing) {
    static const char text[] = "{\"key\": [1, -2.5e3, \"x\\n\\ud83d\\ude00\xc3\xa9\", true, false, null, {\"a\": {}}], \"\\u0061\": [[]] }";
    lua_State *L = luaL_newstate();

    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct mw_codec_fault fault;
        struct mw_err err;
        char *cut = strndup(text, n);
        CHECK(read_at_end(L, cut, NULL, &fault, &err) == MW_EPARSE && fault.offset <= n && lua_gettop(L) == 0);
        CHECK(strncmp(err.subject, "line 1 column ", 14) == 0 && err.what[0] != 0);
        free(cut);
    }
    CHECK(read_at_end(L, text, NULL, NULL, NULL) == 0);
    lua_close(L);
}

TEST(a_failure_says_where_and_leaves_the_queue_as_it_was) {
    lua_State *L = luaL_newstate();
    struct mw_codec_options o = {.bytes_max = 50};
    struct mw_codec_fault fault;
    struct mw_bytes out = {0};
    struct mw_err err;

    REQUIRE(mw_bytes_add(&out, "before", 6) == 0);
    CHECK(read_at_end(L, "{\"items\":[1,2,{\"name\":nul}]}", NULL, &fault, &err) == MW_EPARSE);
    CHECK(fault.offset == 22);
    CHECK_STR(fault.path, "items[3].name");
    CHECK_STR(err.message, "line 1 column 23: a value is expected");
    lua_settop(L, 0);
    CHECK(luaL_dostring(L, "return {1, 2, {name = function() end}}") == 0);
    CHECK(mw_json_write(L, -1, &out, NULL, &fault, &err) == MW_EINVAL && mw_bytes_len(&out) == 6 && lua_gettop(L) == 1);
    CHECK_STR(fault.path, "[3].name");
    CHECK_STR(err.message, "[3].name: a function cannot be written as JSON");
    for (int n = 0; n < 60; n++) { /* n + 2 bytes are written */
        lua_settop(L, 0);
        lua_pushlstring(L, "0123456789012345678901234567890123456789012345678901234567890123456789", (size_t)n);
        CHECK(mw_json_write(L, 1, &out, &o, &fault, &err) == (n + 2 <= 50 ? 0 : MW_ELIMIT));
        CHECK(mw_bytes_len(&out) == (n + 2 <= 50 ? 6u + (unsigned)n + 2 : 6));
        out.tail = out.head + 6;
    }
    CHECK(memcmp(mw_bytes_at(&out), "before", 6) == 0);
    mw_bytes_free(&out);
    lua_close(L);
}

static int there_and_back(lua_State *L) { /* text, out, options */
    struct mw_bytes *out = lua_touserdata(L, 2);
    size_t len;
    const char *text = lua_tolstring(L, 1, &len);
    struct mw_err err;

    if (mw_json_read(L, text, len, NULL, NULL, &err) < 0 || mw_json_write(L, -1, out, lua_touserdata(L, 3), NULL, &err) < 0) {
        lua_pushstring(L, err.message);
        return lua_error(L);
    }
    return 0;
}

TEST(memory_that_ends_leaves_nothing_behind) {
    struct mw_codec_options o = {.sort = 1};
    char text[4000];
    size_t n = (size_t)snprintf(text, sizeof text, "[\"%0300d\\n\",\"\\u0041\",1.5", 7), failed = 0;

    for (int i = 0; i < 40; i++) n += (size_t)snprintf(text + n, sizeof text - n, ",{\"key%d\":{\"a\":[],\"b\":%d,\"c\":\"\\u00e9\"}}", i, i);
    snprintf(text + n, sizeof text - n, "]");
    for (size_t room = 1;; room += 61) {
        struct purse p = {0};
        struct mw_bytes out = {0};
        lua_State *L = lua_newstate(purse_alloc, &p);
        int rc;

        lua_pushcfunction(L, there_and_back);
        lua_pushstring(L, text);
        lua_pushlightuserdata(L, &out);
        lua_pushlightuserdata(L, &o);
        p.limit = p.used + room;
        rc = lua_pcall(L, 3, 0, 0);
        p.limit = 0;
        CHECK(rc == LUA_OK ? mw_bytes_len(&out) > 1500 : mw_bytes_len(&out) == 0);
        if (rc != LUA_OK) failed++;
        mw_bytes_free(&out);
        lua_close(L);
        CHECK(p.used == 0);
        if (rc == LUA_OK) break;
    }
    CHECK(failed > 100);
}

TEST(nesting_takes_no_more_than_its_limit_however_the_stack_stands) {
    struct mw_codec_options o = {.depth_max = 5000}; /* 1000 are the most */
    lua_State *L = luaL_newstate(), *co = lua_newthread(L);
    struct mw_bytes out = {0};
    static char deep[20001];

    for (int levels = 998; levels <= 1001; levels++) {
        memset(deep, '[', (size_t)levels);
        memset(deep + levels, ']', (size_t)levels);
        deep[2 * levels] = 0;
        CHECK(mw_json_read(co, deep, 2 * (size_t)levels, &o, NULL, NULL) == (levels <= 1000 ? 0 : MW_EPARSE));
        if (levels > 1000) break;
        CHECK(mw_json_write(co, -1, &out, &o, NULL, NULL) == 0);
        CHECK(mw_bytes_len(&out) == 2 * (size_t)levels && memcmp(mw_bytes_at(&out), deep, 2 * (size_t)levels) == 0);
        mw_bytes_consume(&out, mw_bytes_len(&out));
        lua_settop(co, 0);
    }
    mw_bytes_free(&out);
    lua_close(L);
}
