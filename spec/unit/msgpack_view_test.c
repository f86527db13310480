/* MessagePack without Lua: what mw_buf writes mw_view reads, and bytes of any kind are only bytes.
 * Knows: base/msgpack; codec/pack, which writes and reads the same. Never: a host. */
#include "support/check.h"

#include <lauxlib.h>
#include <math.h>

#include "base/msgpack.h"
#include "codec/pack.h"

static mw_view view(const char *at, size_t len) {
    return (mw_view){at, len};
}
#define BYTES(text) view(text, sizeof(text) - 1)

/* What was written is exactly those bytes; it is forgotten. */
#define WROTE(b, text)                                                                                     \
    do {                                                                                                   \
        CHECK((b)->code == 0 && (b)->len == sizeof(text) - 1 && memcmp((b)->at, text, sizeof(text) - 1) == 0); \
        mw_buf_clear(b);                                                                                   \
    } while (0)

/* ---- Writing ----------------------------------------------------------------------------------------------------------- */

TEST(integers_take_their_shortest_form) {
    static const struct { int64_t value; size_t len; const char *bytes; } rows[] = {
        {0, 1, "\x00"}, {127, 1, "\x7f"}, {128, 2, "\xcc\x80"}, {255, 2, "\xcc\xff"}, {256, 3, "\xcd\x01\x00"}, {65535, 3, "\xcd\xff\xff"},
        {65536, 5, "\xce\x00\x01\x00\x00"}, {UINT32_MAX, 5, "\xce\xff\xff\xff\xff"}, {(int64_t)UINT32_MAX + 1, 9, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"},
        {INT64_MAX, 9, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"}, {-1, 1, "\xff"}, {-32, 1, "\xe0"}, {-33, 2, "\xd0\xdf"}, {-128, 2, "\xd0\x80"},
        {-129, 3, "\xd1\xff\x7f"}, {-32768, 3, "\xd1\x80\x00"}, {-32769, 5, "\xd2\xff\xff\x7f\xff"}, {INT32_MIN, 5, "\xd2\x80\x00\x00\x00"},
        {(int64_t)INT32_MIN - 1, 9, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"}, {INT64_MIN, 9, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"},
    };
    mw_buf b = {0};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t got = 0;
        mw_view v;
        CHECK_INT(mw_buf_integer(&b, rows[i].value), 0);
        CHECK(b.len == rows[i].len && memcmp(b.at, rows[i].bytes, b.len) == 0);
        v = view(b.at, b.len);
        CHECK_INT(mw_view_integer(&v, &got), 0);
        CHECK_INT(got, rows[i].value);
        CHECK_INT(v.len, 0);
        mw_buf_clear(&b);
    }
    mw_buf_free(&b);
}

TEST(nil_booleans_numbers_and_heads_are_written_as_the_format_has_them) {
    mw_buf b = {0};

    mw_buf_nil(&b), mw_buf_boolean(&b, 0), mw_buf_boolean(&b, 7);
    WROTE(&b, "\xc0\xc2\xc3");
    mw_buf_number(&b, 1.0);
    WROTE(&b, "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00");
    mw_buf_array(&b, 0), mw_buf_array(&b, 15), mw_buf_array(&b, 16), mw_buf_array(&b, 65536);
    WROTE(&b, "\x90\x9f\xdc\x00\x10\xdd\x00\x01\x00\x00");
    mw_buf_map(&b, 0), mw_buf_map(&b, 15), mw_buf_map(&b, 16), mw_buf_map(&b, 65536);
    WROTE(&b, "\x80\x8f\xde\x00\x10\xdf\x00\x01\x00\x00");
    mw_buf_text(&b, ""), mw_buf_text(&b, "Lua"), mw_buf_raw(&b, "\x01\x02", 2), mw_buf_raw(&b, NULL, 0);
    WROTE(&b, "\xa0\xa3Lua\x01\x02");
    mw_buf_free(&b);
}

TEST(a_string_is_str_when_it_is_utf8_and_bin_otherwise_whatever_its_length) {
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 100000};
    static char text[100000];
    mw_buf b = {0};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int odd = 0; odd < 2; odd++) {
            const char *got;
            size_t len;
            mw_view v;
            if (odd && lengths[i] == 0) continue;
            memset(text, 'a', sizeof text);
            if (odd) text[lengths[i] - 1] = (char)0xff;
            CHECK_INT(mw_buf_string(&b, text, lengths[i]), 0);
            CHECK_INT(((unsigned char)b.at[0] >= 0xc4 && (unsigned char)b.at[0] <= 0xc6), odd);
            v = view(b.at, b.len);
            CHECK_INT(mw_view_type(&v), MW_TYPE_STRING);
            CHECK_INT(mw_view_string(&v, &got, &len), 0);
            CHECK(len == lengths[i] && memcmp(got, text, len) == 0 && v.len == 0);
            mw_buf_clear(&b);
        }
    mw_buf_string(&b, "\xed\xa0\x80", 3); /* a surrogate */
    WROTE(&b, "\xc4\x03\xed\xa0\x80");
    mw_buf_string(&b, "\xc0\x80", 2); /* overlong */
    WROTE(&b, "\xc4\x02\xc0\x80");
    mw_buf_text(&b, "h\xc3\xa9");
    WROTE(&b, "\xa3h\xc3\xa9");
    mw_buf_free(&b);
}

TEST(the_first_failure_of_a_buffer_stays_until_it_is_cleared) {
    mw_buf b = {0};

    CHECK_INT(mw_buf_integer(&b, 1), 0);
    CHECK_INT(mw_buf_string(&b, "x", (size_t)UINT32_MAX + 1), MW_EINVAL); /* refused by its length, before it is looked at */
    CHECK_INT(mw_buf_integer(&b, 2), MW_EINVAL);
    CHECK_INT(mw_buf_raw(&b, "\x01", 1), MW_EINVAL);
    CHECK_INT(mw_buf_text(&b, "x"), MW_EINVAL);
    CHECK_INT(b.len, 1);
    mw_buf_clear(&b);
    CHECK_INT(mw_buf_raw(&b, "x", SIZE_MAX), MW_ENOMEM);
    CHECK_INT(mw_buf_nil(&b), MW_ENOMEM);
    CHECK_INT(b.len, 0);
    mw_buf_clear(&b);
    CHECK_INT(mw_buf_nil(&b), 0);
    WROTE(&b, "\xc0");
    mw_buf_free(&b);
    mw_buf_free(&b);
    CHECK(b.at == NULL && b.len == 0 && b.room == 0 && b.code == 0);
}

TEST(a_cleared_buffer_keeps_its_memory_and_a_freed_one_begins_again) {
    mw_buf b = {0};
    char *at;

    for (int i = 0; i < 1000; i++) mw_buf_integer(&b, 1000000 + i);
    at = b.at;
    mw_buf_clear(&b);
    mw_buf_nil(&b);
    CHECK(b.at == at && b.len == 1);
    mw_buf_free(&b);
    CHECK_INT(mw_buf_text(&b, "again"), 0);
    mw_buf_free(&b);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------------- */

TEST(a_reader_steps_over_what_it_took_and_leaves_what_does_not_fit) {
    mw_view v = BYTES("\x93\x01\xa1x\xc3\xc0");
    const char *text = NULL;
    uint32_t n = 0;
    int64_t i = 0;
    size_t len = 0;
    int b = 0;

    CHECK_INT(mw_view_type(&v), MW_TYPE_ARRAY);
    CHECK_INT(mw_view_integer(&v, &i), MW_EINVAL);
    CHECK_INT(v.len, 6);
    CHECK_INT(mw_view_array(&v, &n), 0);
    CHECK_INT(n, 3);
    CHECK_INT(mw_view_string(&v, &text, &len), MW_EINVAL);
    CHECK_INT(mw_view_nil(&v), MW_EINVAL);
    CHECK_INT(mw_view_boolean(&v, &b), MW_EINVAL);
    CHECK_INT(mw_view_map(&v, &n), MW_EINVAL);
    CHECK_INT(mw_view_integer(&v, &i), 0);
    CHECK_INT(i, 1);
    CHECK_INT(mw_view_string(&v, &text, &len), 0);
    CHECK(len == 1 && *text == 'x');
    CHECK_INT(mw_view_boolean(&v, &b), 0);
    CHECK_INT(b, 1);
    CHECK_INT(mw_view_nil(&v), 0);
    CHECK_INT(mw_view_type(&v), MW_EEOF);
    CHECK_INT(mw_view_nil(&v), MW_EEOF);
    CHECK_INT(mw_view_skip(&v), MW_EEOF);
}

TEST(integers_and_numbers_stand_for_each_other_where_nothing_is_lost) {
    mw_view whole = BYTES("\xcb\x40\x08\x00\x00\x00\x00\x00\x00"), half = BYTES("\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00");
    mw_view narrow = BYTES("\xca\x40\x20\x00\x00"), seven = BYTES("\x07"), minus = BYTES("\xd0\x80");
    mw_view nan_ = BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), inf = BYTES("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00");
    mw_view beyond = BYTES("\xcb\x43\xe0\x00\x00\x00\x00\x00\x00"), lowest = BYTES("\xcb\xc3\xe0\x00\x00\x00\x00\x00\x00");
    mw_view huge = BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    int64_t i = 0;
    double n = 0;

    CHECK(mw_view_integer(&whole, &i) == 0 && i == 3);
    CHECK(mw_view_integer(&half, &i) == MW_EINVAL && half.len == 9);
    CHECK(mw_view_number(&half, &n) == 0 && n == 0.5);
    CHECK(mw_view_number(&narrow, &n) == 0 && n == 2.5);
    CHECK(mw_view_number(&seven, &n) == 0 && n == 7.0);
    CHECK(mw_view_number(&minus, &n) == 0 && n == -128.0);
    CHECK_INT(mw_view_integer(&nan_, &i), MW_EINVAL);
    CHECK(mw_view_number(&nan_, &n) == 0 && isnan(n));
    CHECK_INT(mw_view_integer(&inf, &i), MW_EINVAL);
    CHECK_INT(mw_view_integer(&beyond, &i), MW_EINVAL); /* 2^63 */
    CHECK(mw_view_integer(&lowest, &i) == 0 && i == INT64_MIN);
    CHECK_INT(mw_view_type(&huge), MW_TYPE_INTEGER);
    CHECK_INT(mw_view_integer(&huge, &i), MW_ELIMIT);
    CHECK(mw_view_number(&huge, &n) == 0 && n == 18446744073709551616.0);
}

TEST(ext_is_told_and_skipped_but_read_by_none) {
    mw_view v = BYTES("\xd4\x05x\xc7\x02\x05xy\x01");
    const char *text;
    size_t len;

    CHECK_INT(mw_view_type(&v), MW_TYPE_EXT);
    CHECK_INT(mw_view_string(&v, &text, &len), MW_EINVAL);
    CHECK_INT(mw_view_skip(&v), 0);
    CHECK_INT(mw_view_type(&v), MW_TYPE_EXT);
    CHECK_INT(mw_view_skip(&v), 0);
    CHECK_INT(mw_view_type(&v), MW_TYPE_INTEGER);
}

TEST(what_is_cut_off_or_announces_more_than_there_is_is_refused_and_left) {
    static const mw_view rows[] = {
        {"\xc1", 1}, {"\xcc", 1}, {"\xcd\x01", 2}, {"\xcb\x00\x00\x00", 4}, {"\xa2x", 2}, {"\xd9\x02x", 3}, {"\xdb\xff\xff\xff\xff", 5}, {"\xd9", 1},
        {"\xc6\xff\xff\xff\xff", 5}, {"\xc9\xff\xff\xff\xff\x01", 6}, {"\xdd\xff\xff\xff\xff", 5}, {"\xdf\xff\xff\xff\xff", 5}, {"\x93\x01\x02", 3},
        {"\x82\x01\x02\x03", 4}, {"\xdc\x00", 2}, {"\xd8\x01xxx", 5}, {"\x91\xc1", 2}, {"\x92\x91\x01", 3}, {"\x81\xa1x\x91", 4}, {"\xd4\x01", 2},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mw_view v = rows[i], at;
        uint32_t n;
        CHECK_INT(mw_view_skip(&v), MW_EPARSE);
        CHECK(v.at == rows[i].at && v.len == rows[i].len);
        if (mw_view_map(&v, &n) == 0) v = rows[i];
        CHECK(mw_view_find(&rows[i], "x", &at) < 0);
    }
}

TEST(a_value_is_skipped_however_deep_it_is) {
    size_t depth = 1000000;
    char *deep = malloc(depth + 1);
    mw_view v;

    REQUIRE(deep != NULL);
    memset(deep, 0x91, depth);
    deep[depth] = 0x01;
    v = view(deep, depth + 1);
    CHECK_INT(mw_view_skip(&v), 0);
    CHECK_INT(v.len, 0);
    v = view(deep, depth);
    CHECK_INT(mw_view_skip(&v), MW_EPARSE);
    free(deep);
}

TEST(a_key_is_found_whatever_stands_before_it_and_its_value_is_all_that_the_view_holds) {
    mw_view map = BYTES("\x85\x01\x02\xa1y\x92\x03\x81\xa1x\x04\xc4\x01z\xc0\xa1x\x93\x05\x06\x07\xa1x\x08"), at;
    uint32_t n = 0;

    CHECK_INT(mw_view_find(&map, "x", &at), 0);
    CHECK_INT(at.len, 4);
    CHECK(mw_view_array(&at, &n) == 0 && n == 3);
    CHECK_INT(mw_view_find(&map, "z", &at), 0); /* a key that is bin */
    CHECK(mw_view_nil(&at) == 0 && at.len == 0);
    CHECK_INT(mw_view_find(&map, "q", &at), MW_ENOENT);
    CHECK_INT(mw_view_find(&map, "", &at), MW_ENOENT);
    map = BYTES("\x93\x01\x02\x03");
    CHECK_INT(mw_view_find(&map, "x", &at), MW_EINVAL);
    map = BYTES("");
    CHECK_INT(mw_view_find(&map, "x", &at), MW_EEOF);
    map = BYTES("\x82\xa1y\x01\xa1x"); /* the value is not there */
    CHECK_INT(mw_view_find(&map, "x", &at), MW_EPARSE);
    map = BYTES("\x81\xa1x");
    CHECK_INT(mw_view_find(&map, "x", &at), MW_EPARSE);
}

TEST(lua_reads_what_is_written_here_and_is_read_here) {
    lua_State *L = luaL_newstate();
    struct mw_bytes out = {0};
    mw_buf b = {0};
    const char *text;
    size_t len;
    mw_view v, x;
    double n;

    mw_buf_map(&b, 3);
    mw_buf_text(&b, "x"), mw_buf_number(&b, 1.5);
    mw_buf_text(&b, "name"), mw_buf_text(&b, "Lua");
    mw_buf_text(&b, "list"), mw_buf_array(&b, 2), mw_buf_integer(&b, -5), mw_buf_nil(&b);
    REQUIRE(mw_pack_read(L, b.at, b.len, NULL, NULL, NULL, NULL) == 0);
    lua_getfield(L, 1, "x");
    CHECK(lua_tonumber(L, -1) == 1.5);
    lua_getfield(L, 1, "name");
    CHECK_STR(lua_tostring(L, -1), "Lua");
    lua_settop(L, 1);
    REQUIRE(mw_pack_write(L, 1, &out, NULL, NULL, NULL) == 0);
    v = view(mw_bytes_at(&out), mw_bytes_len(&out));
    CHECK(mw_view_find(&v, "x", &x) == 0 && mw_view_number(&x, &n) == 0 && n == 1.5);
    CHECK(mw_view_find(&v, "name", &x) == 0 && mw_view_string(&x, &text, &len) == 0 && len == 3 && memcmp(text, "Lua", 3) == 0);
    CHECK(mw_view_skip(&v) == 0 && v.len == 0);
    mw_bytes_free(&out);
    mw_buf_free(&b);
    lua_close(L);
}
