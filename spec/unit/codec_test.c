/* What the formats have in common: null, marks, and the path to a fault.
 * Knows: codec/codec, plain Lua. Never: a host. */
#include "support/check.h"

#include <lauxlib.h>
#include <lualib.h>

#include "codec/codec.h"

TEST(null_is_one_value_and_says_so) {
    lua_State *L = luaL_newstate(), *other = luaL_newstate();
    int unlike;

    luaL_openlibs(L);
    mw_codec_open(L);
    mw_codec_push_null(L);
    mw_codec_push_null(other);
    CHECK(mw_codec_is_null(L, -1) && mw_codec_is_null(other, -1) && lua_touserdata(L, -1) == lua_touserdata(other, -1));
    lua_pushlightuserdata(L, &unlike);
    CHECK(!mw_codec_is_null(L, -1));
    lua_pushnil(L);
    CHECK(!mw_codec_is_null(L, -1) && !mw_codec_is_null(L, 10));
    CHECK_STR(luaL_tolstring(L, 1, NULL), "null");
    CHECK(strncmp(luaL_tolstring(L, 2, NULL), "userdata: 0x", 12) == 0);
    lua_close(L);
    lua_close(other);
}

TEST(a_mark_is_set_seen_and_taken_away) {
    lua_State *L = luaL_newstate();

    CHECK(mw_codec_mark_at(L, MW_CODEC_ARRAY) == NULL);
    lua_newtable(L);
    CHECK(mw_codec_marked(L, 1) == MW_CODEC_PLAIN);
    mw_codec_mark(L, MW_CODEC_ARRAY);
    CHECK(mw_codec_marked(L, 1) == MW_CODEC_ARRAY && mw_codec_marked(L, -1) == MW_CODEC_ARRAY);
    mw_codec_mark(L, MW_CODEC_OBJECT);
    CHECK(mw_codec_marked(L, 1) == MW_CODEC_OBJECT);
    lua_getmetatable(L, 1);
    CHECK(lua_topointer(L, -1) == mw_codec_mark_at(L, MW_CODEC_OBJECT));
    lua_pushnil(L);
    CHECK(lua_next(L, -2) == 0); /* nothing that Lua heeds */
    lua_settop(L, 1);
    mw_codec_mark(L, MW_CODEC_PLAIN);
    CHECK(mw_codec_marked(L, 1) == MW_CODEC_PLAIN && !lua_getmetatable(L, 1));
    lua_newtable(L);
    lua_setmetatable(L, 1);
    CHECK(mw_codec_marked(L, 1) == MW_CODEC_PLAIN && lua_gettop(L) == 1);
    lua_pushinteger(L, 1);
    CHECK(mw_codec_marked(L, -1) == MW_CODEC_PLAIN);
    lua_close(L);
}

TEST(a_path_grows_from_its_end_and_is_cut_in_the_middle) {
    struct mw_codec_fault f = {0};
    char key[300];

    mw_codec_path_key(NULL, "x", 1);
    mw_codec_path_index(NULL, 1);
    mw_codec_path_key(&f, "name", 4);
    mw_codec_path_index(&f, 3);
    mw_codec_path_key(&f, "items", 5);
    CHECK_STR(f.path, "items[3].name");
    mw_codec_path_key(&f, "two words\n", 10);
    mw_codec_path_key(&f, "", 0);
    mw_codec_path_key(&f, "a", 1);
    CHECK_STR(f.path, "a[\"\"][\"two words\\x0a\"].items[3].name");
    memset(key, 'k', sizeof key);
    for (int i = 0; i < 100; i++) mw_codec_path_key(&f, key, sizeof key);
    for (int i = 0; i < 1000; i++) mw_codec_path_index(&f, INT64_MIN);
    mw_codec_path_key(&f, "root", 4);
    CHECK(strlen(f.path) == MW_CODEC_PATH_MAX - 1);
    CHECK(strncmp(f.path, "root[-9223372036854775808][-9", 29) == 0);
    CHECK(strstr(f.path, "...") != NULL);
    CHECK_STR(f.path + strlen(f.path) - 13, "items[3].name");
}
