/* JSON text, read a token at a time: what is JSON, what is not, and where.
 * Knows: codec/json_text. Never: a file. */
#include "support/check.h"

#include "codec/json_text.h"

/* The tokens of `text` as letters: n f t d(igits) s k [ ] { } and . for the end; "!" and the offset where it is no JSON. */
static const char *tokens(const char *text, size_t len, unsigned depth, char out[256]) {
    static const char letters[] = ".nftdsk[]{}";
    struct mw_json j;
    size_t n = 0;

    mw_json_begin(&j, text, len, depth);
    for (;;) {
        enum mw_json_token token = mw_json_next(&j);
        if (token == MW_JSON_BAD) {
            CHECK(j.why != NULL);
            CHECK(mw_json_next(&j) == MW_JSON_BAD);
            snprintf(out + n, 256 - n, "!%zu", j.from);
            return out;
        }
        out[n++] = letters[token];
        out[n] = 0;
        if (token == MW_JSON_END || n > 200) return out;
    }
}

#define READS(text, as) do { char got[256]; tokens(text, sizeof text - 1, 8, got); if (strcmp(got, as) != 0) printf("%s: %s, not %s\n", text, got, as); CHECK(strcmp(got, as) == 0); } while (0)

TEST(every_kind_of_value_is_one_token_and_what_is_nested_two) {
    READS("null", "n.");
    READS(" true\n", "t.");
    READS("false", "f.");
    READS("0", "d.");
    READS("-1.5e+10", "d.");
    READS("\"x\"", "s.");
    READS("[]", "[].");
    READS("{}", "{}.");
    READS("[1,[2],{\"a\":[null],\"b\":\"\"}]", "[d[d]{k[n]ks}].");
    READS("[ 1 , 2 ]", "[dd].");
}

TEST(what_is_not_json_is_refused_at_its_place) {
    READS("", "!0");
    READS("  ", "!2");
    READS("nul", "!0");
    READS("nulll", "n!4");
    READS("1 2", "d!2");
    READS("[1,]", "[d!3");
    READS("[,1]", "[!1");
    READS("[1 2]", "[d!3");
    READS("[1}", "[d!2");
    READS("{\"a\"}", "{!4");
    READS("{\"a\":}", "{k!5");
    READS("{\"a\":1,}", "{kd!7");
    READS("{a:1}", "{!1");
    READS("{1:1}", "{!1");
    READS("[", "[!1");
    READS("[1,", "[d!3");
    READS("]", "!0");
    READS("\xef\xbb\xbf[]", "!0");
    READS("// x\n[]", "!0");
    READS("'x'", "!0");
    READS("NaN", "!0");
    READS("-Infinity", "!1");
}

TEST(numbers_are_spelled_one_way) {
    READS("01", "!0");
    READS("-", "!1");
    READS("+1", "!0");
    READS("1.", "!2");
    READS(".5", "!0");
    READS("1e", "!2");
    READS("1e+", "!3");
    READS("0x10", "d!1");
    READS("-0", "d.");
    READS("1E400", "d.");
}

TEST(strings_hold_utf8_and_whole_surrogate_pairs) {
    READS("\"", "!0");
    READS("\"\\", "!1");
    READS("\"\\x\"", "!1");
    READS("\"\\u12\"", "!1");
    READS("\"\\ud800\"", "!1");
    READS("\"\\ud800\\u0041\"", "!1");
    READS("\"\\udc00\"", "!1");
    READS("\"\\ud83d\\ude00\"", "s.");
    READS("\"a\nb\"", "!2");
    READS("\"\xff\"", "!1");
    READS("\"\xc0\x80\"", "!1");
    READS("\"\xed\xa0\x80\"", "!1");
    READS("\"\xf4\x90\x80\x80\"", "!1");
    READS("\"\xe2\x82\"", "!1");
    READS("\"\xe2\x82\xac\"", "s.");
    CHECK(strcmp(tokens("\"a\0b\"", 5, 8, (char[256]){0}), "!2") == 0);
}

TEST(depth_is_bounded) {
    char got[256];
    CHECK(strcmp(tokens("[[[]]]", 6, 2, got), "[[!2") == 0);
    CHECK(strcmp(tokens("[[]]", 4, 2, got), "[[]].") == 0);
    CHECK(strcmp(tokens("[]", 2, 0, got), "!0") == 0);
}

TEST(a_string_says_what_its_escapes_mean) {
    static const char text[] = "{\"k\\u0000\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u20ac\\ud83d\\ude00\xc3\xa9\"}";
    struct mw_json j;
    char out[64];

    mw_json_begin(&j, text, sizeof text - 1, 1);
    CHECK(mw_json_next(&j) == MW_JSON_OBJECT);
    CHECK(mw_json_next(&j) == MW_JSON_KEY && j.decoded == 2);
    mw_json_string(&j, out);
    CHECK(memcmp(out, "k\0", 2) == 0);
    CHECK(mw_json_next(&j) == MW_JSON_STRING);
    mw_json_string(&j, out);
    CHECK(j.decoded == 17 && memcmp(out, "\"\\/\b\f\n\r\t\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9", 17) == 0);
}

TEST(whole_numbers_are_told_from_others) {
    struct mw_json j;
    mw_json_begin(&j, "[12,1.0,1e2]", 12, 1);
    CHECK(mw_json_next(&j) == MW_JSON_ARRAY);
    CHECK(mw_json_next(&j) == MW_JSON_NUMBER && j.whole && j.from == 1 && j.to == 3);
    CHECK(mw_json_next(&j) == MW_JSON_NUMBER && !j.whole);
    CHECK(mw_json_next(&j) == MW_JSON_NUMBER && !j.whole);
}

TEST(a_place_is_a_line_and_a_character) {
    unsigned line, column;
    mw_json_position("a\n\xc3\xa9x", 4, &line, &column);
    CHECK(line == 2 && column == 2);
    mw_json_position("a", 0, &line, &column);
    CHECK(line == 1 && column == 1);
}

TEST(what_is_written_is_json_whatever_the_bytes) {
    char all[256], out[6 * 256 + 2], got[256], back[1024];
    struct mw_json j;
    int invalid;
    size_t n;

    for (int i = 0; i < 256; i++) all[i] = (char)i;
    n = mw_json_quote(out, sizeof out, all, sizeof all, &invalid);
    CHECK(n > 0 && invalid == 1);
    CHECK(strcmp(tokens(out, n, 0, got), "s.") == 0);
    n = mw_json_quote(out, sizeof out, "a\"\\\n\x01\xe2\x80\xae\xc3\xa9", 10, &invalid);
    CHECK(invalid == 0);
    CHECK(n == 23 && memcmp(out, "\"a\\\"\\\\\\n\\u0001\\u202e\xc3\xa9\"", n) == 0);
    mw_json_begin(&j, out, n, 0);
    CHECK(mw_json_next(&j) == MW_JSON_STRING && j.decoded == 10);
    mw_json_string(&j, back);
    CHECK(memcmp(back, "a\"\\\n\x01\xe2\x80\xae\xc3\xa9", 10) == 0);
    CHECK(mw_json_quote(out, 4, "abc", 3, NULL) == 0);
    CHECK(mw_json_quote(out, 5, "abc", 3, NULL) == 5);
}
