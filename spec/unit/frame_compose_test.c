/* Making frames: custom headers, their fields and limits, and what is refused before it is sent.
 * Knows: wire/frame. Never: I/O. */
#include "support/check.h"

#include <math.h>

#include "wire/frame.h"

static struct mw_frame_format custom(const char *header, unsigned length) {
    struct mw_frame_format f;
    struct mw_err err;
    if (mw_frame_custom(&f, header, length, 0, &err) != 0) printf("# %s\n", err.message);
    REQUIRE(mw_frame_custom(&f, header, length, 0, &err) == 0);
    return f;
}

static void check_bad(const char *header, unsigned length, const char *says) {
    struct mw_frame_format f;
    struct mw_err err = {0};
    CHECK_INT(mw_frame_custom(&f, header, length, 0, &err), MW_EINVAL);
    if (strstr(err.message, says) == NULL) check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.message, says);
}

/* Composes a header of `values` for `len` bytes, compares it, parses it back. */
static void check_head(const char *header, unsigned length, const union mw_frame_value *values, size_t len, const char *want,
                       size_t want_len) {
    struct mw_frame_format f = custom(header, length);
    struct mw_frame_wrap w;
    struct mw_frame got = {0};
    char bytes[MW_FRAME_HEAD + 64] = {0};

    REQUIRE(len <= 64);
    CHECK_INT(mw_frame_compose(&f, values, bytes, len, &w), 0);
    CHECK_INT(w.head_len, want_len);
    CHECK_INT(w.tail_len, 0);
    CHECK(memcmp(w.head, want, want_len) == 0);
    memcpy(bytes, w.head, w.head_len);
    REQUIRE(mw_frame_parse(&f, bytes, w.head_len + len, &got) == 1);
    CHECK_INT(got.len, len);
    for (unsigned i = 0; i < f.fields; i++) {
        union mw_frame_value v = mw_frame_get(&f, &got, i);
        if (i == f.length) { CHECK_INT(v.i, len); continue; }
        if (f.field[i].type >= MW_FRAME_FLOAT) CHECK(v.d == values->d);
        else CHECK_INT(v.i, values->i);
        values++;
    }
}

TEST(a_header_is_laid_out_as_string_pack_does) {
    union mw_frame_value v[4] = {{.i = -2}, {.i = 0x1234}, {.i = -1}, {.i = 5}};

    check_head("<B I4", 2, (union mw_frame_value[]){{.i = 7}}, 3, "\7\3\0\0\0", 5);
    check_head(">bHI2i3B", 3, v, 9, "\xfe\x12\x34\x00\x09\xff\xff\xff\x05", 9);
    check_head("<I3", 1, NULL, 5, "\5\0\0", 3);
    check_head(">i7", 0, NULL, 5, "\0\0\0\0\0\0\5", 7);
    check_head("<xBxxI2x", 2, (union mw_frame_value[]){{.i = 9}}, 1, "\0\x09\0\0\1\0\0", 7);
    check_head("<jJI1", 3, (union mw_frame_value[]){{.i = INT64_MIN}, {.i = -1}}, 2, "\0\0\0\0\0\0\0\x80\xff\xff\xff\xff\xff\xff\xff\xff\2", 17);
    check_head(">H<H", 1, (union mw_frame_value[]){{.i = 258}}, 1, "\0\1\2\1", 4);
}

TEST(floats_travel_in_headers) {
    check_head("<d I4", 2, (union mw_frame_value[]){{.d = 1.5}}, 1, "\0\0\0\0\0\0\xf8\x3f\1\0\0\0", 12);
    check_head(">f B n", 2, (union mw_frame_value[]){{.d = -2.0}, {.d = INFINITY}}, 1, "\xc0\0\0\0\1\x7f\xf0\0\0\0\0\0\0", 13);
}

TEST(alignment_pads_as_string_pack_does) {
    check_head("<!4 B I4", 2, (union mw_frame_value[]){{.i = 1}}, 2, "\1\0\0\0\2\0\0\0", 8);
    check_head("<!2 B I8", 2, (union mw_frame_value[]){{.i = 1}}, 2, "\1\0\2\0\0\0\0\0\0\0", 10);
    check_head("<! B d I2", 3, (union mw_frame_value[]){{.i = 1}, {.d = 0}}, 2, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0", 18);
}

TEST(headers_that_make_no_sense_are_refused_with_their_column) {
    check_bad("", 1, "needs a field");
    check_bad("<", 1, "needs a field");
    check_bad("xx", 0, "needs a field");
    check_bad("<B z I4", 2, "column 4");
    check_bad("c4", 1, "column 1");
    check_bad("s", 1, "column 1");
    check_bad("<I9", 1, "1 to 8");
    check_bad("<I0", 1, "1 to 8");
    check_bad("<i99999999999999999999", 1, "1 to 8");
    check_bad("<!9 I4", 1, "alignment");
    check_bad("<!8 B I3 I4", 1, "power of 2");
    check_bad("<B I4", 3, "2 fields");
    check_bad("<B I4", 0, "length must say");
    check_bad("<d I4", 1, "integer field");
    check_bad("BBBBBBBBBBBBBBBBB", 1, "16 fields");
    check_bad("jjjjjjjjj", 1, "64 bytes");
    check_bad("Bxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1, "64 bytes");
}

TEST(a_negative_length_is_refused) {
    struct mw_frame_format f = custom("<i4", 1), tiny = custom("b", 1);
    struct mw_frame got = {0};
    CHECK_INT(mw_frame_parse(&f, "\xff\xff\xff\xff", 4, &got), MW_EFRAME);
    CHECK_STR(got.why, "protocol");
    CHECK_INT(mw_frame_parse(&tiny, "\xff", 1, &got), MW_EFRAME);
    CHECK_STR(got.why, "protocol");
}

TEST(the_greatest_lengths_do_not_overflow) {
    struct mw_frame_format f = custom("<J", 1), signed8 = custom(">j", 1);
    struct mw_frame got = {0};
    CHECK_INT(mw_frame_parse(&f, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, &got), MW_EFRAME);
    CHECK_STR(got.why, "too_large");
    CHECK(got.announced == UINT64_MAX);
    CHECK_INT(mw_frame_parse(&signed8, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, &got), MW_EFRAME);
    CHECK_STR(got.why, "too_large");
}

TEST(data_longer_than_the_length_field_can_say_is_not_sent) {
    struct mw_frame_format f = custom("B", 1), half = custom("b", 1);
    struct mw_frame_wrap w;
    CHECK_INT(mw_frame_compose(&f, NULL, NULL, 255, &w), 0);
    CHECK_INT(mw_frame_compose(&f, NULL, NULL, 256, &w), MW_EFRAME);
    CHECK_STR(w.why, "too_large");
    CHECK_INT(mw_frame_compose(&half, NULL, NULL, 127, &w), 0);
    CHECK_INT(mw_frame_compose(&half, NULL, NULL, 128, &w), MW_EFRAME);
}

TEST(data_above_max_is_not_sent_in_any_format) {
    static const char *const names[] = {"lines", "u32le", "u32be", "varint", "netstring", "content-length", "typed"};
    union mw_frame_value kind = {.i = 0};
    static const char data[11] = "0123456789";

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct mw_frame_format f;
        struct mw_frame_wrap w;
        REQUIRE(mw_frame_named(&f, names[i], 10, NULL) == 0);
        CHECK_INT(mw_frame_compose(&f, &kind, data, 10, &w), 0);
        CHECK_INT(mw_frame_compose(&f, &kind, data, 11, &w), MW_EFRAME);
        CHECK_STR(w.why, "too_large");
    }
}

TEST(a_line_with_a_newline_is_not_sent) {
    struct mw_frame_format f;
    struct mw_frame_wrap w;
    REQUIRE(mw_frame_named(&f, "lines", 0, NULL) == 0);
    CHECK_INT(mw_frame_compose(&f, NULL, "a\nb", 3, &w), MW_EFRAME);
    CHECK_STR(w.why, "protocol");
}

TEST(a_field_takes_only_what_fits) {
    static const struct { const char *header; int64_t value; int fits; } tries[] = {
        {"<B I4", 0, 1}, {"<B I4", 255, 1}, {"<B I4", 256, 0}, {"<B I4", -1, 0}, {"<b I4", -128, 1}, {"<b I4", 128, 0},
        {"<I7 I4", (int64_t)1 << 55, 1}, {"<I7 I4", (int64_t)1 << 56, 0}, {"<i7 I4", -((int64_t)1 << 55), 1},
        {"<J I4", -1, 1}, {"<j I4", INT64_MIN, 1},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct mw_frame_format f = custom(tries[i].header, 2);
        union mw_frame_value v = {.i = tries[i].value};
        struct mw_frame_wrap w;
        CHECK_INT(mw_frame_compose(&f, &v, NULL, 0, &w), tries[i].fits ? 0 : MW_EINVAL);
    }
}

TEST(names_and_limits_are_checked) {
    struct mw_frame_format f;
    struct mw_err err;
    CHECK_INT(mw_frame_named(&f, "u32", 0, &err), MW_EINVAL);
    CHECK(strstr(err.message, "u32le") != NULL);
    CHECK_INT(mw_frame_named(&f, "u32le", MW_FRAME_MAX_HARD, &err), 0);
    CHECK_INT(mw_frame_named(&f, "u32le", MW_FRAME_MAX_HARD + 1, &err), MW_EINVAL);
    CHECK_INT(mw_frame_named(&f, "varint", MW_FRAME_MAX_HARD + 1, &err), MW_EINVAL);
    CHECK_INT(mw_frame_named(&f, "lines", MW_FRAME_LINE_MAX_HARD + 1, &err), MW_EINVAL);
    CHECK_INT(mw_frame_custom(&f, "<I4", 1, MW_FRAME_MAX_HARD + 1, &err), MW_EINVAL);
    CHECK_INT(mw_frame_named(&f, "lines", 0, &err), 0);
    CHECK_INT(f.max, MW_FRAME_LINE_MAX);
    CHECK_INT(mw_frame_named(&f, "typed", 0, &err), 0);
    CHECK_INT(f.max, MW_FRAME_MAX);
}
