/* Log lines: bounded, escaped, whole JSON however much is cut.
 * Knows: base/text.h. Never: a clock, a stream. */
#include "support/check.h"

#include "base/text.h"

static struct mw_line line;

static const char *one(int json, const char *text) {
    mw_line_begin(&line, json, 1.5, "info", text, strlen(text));
    return mw_line_end(&line);
}

static void field(const char *key, const char *value, int bare) {
    mw_line_field(&line, key, strlen(key), value, strlen(value), bare);
}

TEST(a_json_line_is_one_object_with_its_time_level_and_text) {
    CHECK_STR(one(1, "hello"), "{\"time\":\"1970-01-01T00:00:01.500Z\",\"level\":\"info\",\"text\":\"hello\"}");
}

TEST(a_line_for_people_is_words) {
    CHECK_STR(one(0, "hello"), "1970-01-01T00:00:01.500Z info  hello");
}

TEST(fields_are_key_and_value_quoted_only_where_needed) {
    mw_line_begin(&line, 0, 1.5, "warn", "x", 1);
    field("a", "1", 1);
    field("b", "two words", 0);
    field("c", "plain", 0);
    field("d", "", 0);
    field("e", "q\"q", 0);
    CHECK_STR(mw_line_end(&line), "1970-01-01T00:00:01.500Z warn  x a=1 b=\"two words\" c=plain d=\"\" e=\"q\\\"q\"");
}

TEST(json_fields_quote_strings_and_leave_numbers_bare) {
    mw_line_begin(&line, 1, 0, "error", "x", 1);
    field("n", "12", 1);
    field("s", "12", 0);
    CHECK(strstr(mw_line_end(&line), "\"text\":\"x\",\"n\":12,\"s\":\"12\"}") != NULL);
}

TEST(control_and_bidirectional_characters_never_reach_a_terminal) {
    CHECK(strstr(one(0, "a\x1b[31m\nb\xe2\x80\xae" "c\x9b"), "a\\x1b[31m\\nb\\xe2\\x80\\xaec\\x9b") != NULL);
    CHECK(strstr(one(1, "a\x1b\xe2\x80\xae\xff"), "a\\u001b\\u202e\\ufffd\"") != NULL);
}

TEST(quotes_and_backslashes_are_escaped_in_json) {
    CHECK(strstr(one(1, "a\"b\\c\n"), "a\\\"b\\\\c\\n\"") != NULL);
}

TEST(a_long_text_is_cut_and_the_line_stays_whole_json) {
    static char big[9000];

    memset(big, '"', sizeof big - 1);
    one(1, big);
    CHECK(line.len < MW_LINE_MAX);
    CHECK(line.len > MW_LINE_MAX - 64);
    CHECK_STR(line.at + line.len - strlen("\\\"\",\"cut\":true}"), "\\\"\",\"cut\":true}");
    one(0, big);
    CHECK(line.len < MW_LINE_MAX);
    CHECK_STR(line.at + line.len - 5, "\" ...");
}

TEST(a_cut_never_halves_a_character) {
    static char big[9000];

    for (size_t shift = 0; shift < 4; shift++) {
        size_t i = 0;

        for (; i < shift; i++) big[i] = 'a';
        for (; i + 3 < sizeof big; i += 3) memcpy(big + i, "\xe2\x82\xac", 3);
        big[i] = '\0';
        one(0, big);
        CHECK(memcmp(line.at + line.len - 7, "\xe2\x82\xac ...", 7) == 0);
    }
}

TEST(fields_that_do_not_fit_are_left_out_whole_or_cut_within_their_value) {
    static char big[5000];

    memset(big, 'v', sizeof big - 1);
    mw_line_begin(&line, 1, 0, "info", "x", 1);
    field("long", big, 0);
    field("next", "123456", 1);
    mw_line_end(&line);
    CHECK(line.len < MW_LINE_MAX);
    CHECK(strstr(line.at, "next") == NULL);
    CHECK_STR(line.at + line.len - 15, "vv\",\"cut\":true}");
}

TEST(any_number_of_fields_of_any_length_stays_within_the_line) {
    static char key[300], value[600];

    memset(key, 0x01, sizeof key - 1);
    memset(value, 0xff, sizeof value - 1);
    for (int json = 0; json < 2; json++) {
        for (size_t len = 0; len < sizeof value; len += 7) {
            mw_line_begin(&line, json, 0, "debug", value, len);
            for (int i = 0; i < 200; i++) mw_line_field(&line, key, len % sizeof key, value, len, i % 3 == 0 && len < 30);
            mw_line_end(&line);
            CHECK(line.len < MW_LINE_MAX);
            CHECK_INT(strlen(line.at), line.len);
        }
    }
}

TEST(a_locales_decimal_comma_becomes_a_point) {
    static const char *const pairs[][2] = {
        {"1,5", "1.5"}, {"-1,5e-07", "-1.5e-07"}, {"1.5", "1.5"}, {"12", "12"}, {"", ""}, {"1\xd9\xab" "5", "1.5"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s", pairs[i][0]);
        CHECK(mw_text_point(text) == strlen(pairs[i][1]) && strcmp(text, pairs[i][1]) == 0);
    }
}
