/* Finding frames in bytes: every format, every cut, every way to be refused.
 * Knows: wire/frame. Never: I/O. */
#include "support/check.h"

#include <stdlib.h>

#include "wire/frame.h"

static struct mw_frame_format named(const char *name, size_t max) {
    struct mw_frame_format f;
    REQUIRE(mw_frame_named(&f, name, max, NULL) == 0);
    return f;
}

/* Parses a private copy of exactly `len` bytes, so that a read beyond them is seen by the sanitizers. */
static int parse(const struct mw_frame_format *f, const char *bytes, size_t len, struct mw_frame *out) {
    char *copy = malloc(len > 0 ? len : 1);
    int rc;
    REQUIRE(copy != NULL);
    if (len > 0) memcpy(copy, bytes, len);
    rc = mw_frame_parse(f, copy, len, out);
    if (rc == 1) {                      /* lent from the copy: point into the caller's bytes instead */
        out->data = bytes + (out->data - copy);
        out->head = bytes + (out->head - copy);
    }
    free(copy);
    return rc;
}

/* One frame of `data`, composed. Returns the length; the values are those of the fields other than the length. */
static size_t wrap(const struct mw_frame_format *f, const union mw_frame_value *values, const char *data, size_t len, char *out) {
    struct mw_frame_wrap w;
    REQUIRE(mw_frame_compose(f, values, data, len, &w) == 0);
    memcpy(out, w.head, w.head_len);
    memcpy(out + w.head_len, data, len);
    memcpy(out + w.head_len + len, w.tail, w.tail_len);
    return w.head_len + len + w.tail_len;
}

/* Feeds a frame one byte more at a time: incomplete with a true `need` until the last byte, then whole. */
static void check_every_cut(const struct mw_frame_format *f, const union mw_frame_value *values, const char *data, size_t len) {
    char bytes[512];
    size_t total = wrap(f, values, data, len, bytes);
    struct mw_frame kept = {0};

    memcpy(bytes + total, "tail of the next one", 20);
    for (size_t cut = 0; cut < total; cut++) {
        struct mw_frame fresh = {0};
        CHECK_INT(parse(f, bytes, cut, &fresh), 0);
        CHECK_INT(parse(f, bytes, cut, &kept), 0);
        CHECK(fresh.need >= 1 && cut + fresh.need <= total);
        CHECK_INT(kept.need, fresh.need);
    }
    for (size_t extra = 0; extra <= 20; extra += 20) {
        struct mw_frame whole = {0};
        CHECK_INT(parse(f, bytes, total + extra, &whole), 1);
        CHECK_INT(whole.used, total);
        CHECK_INT(whole.len, len);
        CHECK(whole.len == len && memcmp(whole.data, data, len) == 0);
    }
    CHECK_INT(parse(f, bytes, total, &kept), 1);
    CHECK_INT(kept.used, total);
    CHECK_INT(kept.seen, 0);
}

static void check_refused(const struct mw_frame_format *f, const char *bytes, size_t len, const char *why) {
    struct mw_frame got = {0};
    int rc = 0;
    size_t cut = 0;

    while (cut <= len && rc == 0) rc = parse(f, bytes, cut++, &got);        /* in pieces ... */
    CHECK_INT(rc, MW_EFRAME);
    CHECK_STR(got.why, why);
    memset(&got, 0, sizeof got);
    CHECK_INT(parse(f, bytes, len, &got), MW_EFRAME);                       /* ... and at once */
    CHECK_STR(got.why, why);
}

static const char *const NAMES[] = {"lines", "u32le", "u32be", "varint", "netstring", "content-length"};

TEST(every_built_in_frame_survives_every_cut) {
    static char data[300];
    memset(data, 'x', sizeof data);
    data[7] = '\r';
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct mw_frame_format f = named(NAMES[i], 0);
        check_every_cut(&f, NULL, data, 0);
        check_every_cut(&f, NULL, data, 1);
        check_every_cut(&f, NULL, data, 127);
        check_every_cut(&f, NULL, data, 128);
        check_every_cut(&f, NULL, data, 300);
    }
}

TEST(a_typed_frame_survives_every_cut_with_its_kind) {
    struct mw_frame_format f = named("typed", 0);
    union mw_frame_value kind = {.i = 200};
    struct mw_frame got = {0};
    char bytes[32];
    size_t n = wrap(&f, &kind, "payload", 7, bytes);

    check_every_cut(&f, &kind, "payload", 7);
    CHECK_INT(n, 12);
    CHECK(memcmp(bytes, "\xc8\x07\0\0\0payload", 12) == 0);
    CHECK_INT(parse(&f, bytes, n, &got), 1);
    CHECK_INT(mw_frame_get(&f, &got, 0).i, 200);
    CHECK_INT(mw_frame_get(&f, &got, 1).i, 7);
}

TEST(the_built_ins_write_what_their_protocols_say) {
    static const struct { const char *name, *bytes; size_t len; } want[] = {
        {"lines", "hello\n", 6},
        {"u32le", "\5\0\0\0hello", 9},
        {"u32be", "\0\0\0\5hello", 9},
        {"varint", "\5hello", 6},
        {"netstring", "5:hello,", 8},
        {"content-length", "Content-Length: 5\r\n\r\nhello", 26},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct mw_frame_format f = named(want[i].name, 0);
        char bytes[64];
        CHECK_INT(wrap(&f, NULL, "hello", 5, bytes), want[i].len);
        CHECK(memcmp(bytes, want[i].bytes, want[i].len) == 0);
    }
}

TEST(a_varint_of_300_takes_two_bytes) {
    struct mw_frame_format f = named("varint", 0);
    struct mw_frame_wrap w;
    CHECK_INT(mw_frame_compose(&f, NULL, NULL, 300, &w), 0);
    CHECK_INT(w.head_len, 2);
    CHECK(memcmp(w.head, "\xac\x02", 2) == 0);
}

TEST(good_frames_before_a_bad_one_come_first) {
    struct mw_frame_format f = named("typed", 100);
    static const char bytes[] = "\1\2\0\0\0ab\2\0\0\0\0\3\xff\xff\xff\xff";
    size_t at = 0, len = sizeof bytes - 1;
    struct mw_frame got = {0};

    CHECK_INT(parse(&f, bytes + at, len - at, &got), 1);
    CHECK_INT(got.len, 2);
    at += got.used;
    CHECK_INT(parse(&f, bytes + at, len - at, &got), 1);
    CHECK_INT(got.len, 0);
    at += got.used;
    CHECK_INT(parse(&f, bytes + at, len - at, &got), MW_EFRAME);
    CHECK_STR(got.why, "too_large");
    CHECK_INT(got.announced, 4294967295);
}

TEST(a_length_above_max_is_refused_as_soon_as_it_is_known) {
    struct { const char *name, *bytes; size_t len; } bad[] = {
        {"u32le", "\x0b\0\0\0", 4},
        {"u32be", "\xff\xff\xff\xff", 4},
        {"typed", "\1\xff\xff\xff\xff", 5},
        {"varint", "\x0b", 1},
        {"varint", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
        {"varint", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
        {"netstring", "11", 2},
        {"netstring", "99999999999999999999999999", 26},
        {"content-length", "Content-Length: 11\r\n", 20},
        {"content-length", "Content-Length: 18446744073709551617\r\n", 38},
        {"lines", "12345678901", 11},
        {"lines", "12345678901\n", 12},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mw_frame_format f = named(bad[i].name, 10);
        check_refused(&f, bad[i].bytes, bad[i].len, "too_large");
    }
}

TEST(a_length_of_exactly_max_is_taken) {
    static const struct { const char *name, *bytes; size_t len; } good[] = {
        {"u32le", "\3\0\0\0abc", 7}, {"typed", "\1\3\0\0\0abc", 8}, {"varint", "\3abc", 4}, {"netstring", "3:abc,", 6},
        {"content-length", "Content-Length: 3\r\n\r\nabc", 24}, {"lines", "abc\n", 4},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct mw_frame_format f = named(good[i].name, 3);
        struct mw_frame got = {0};
        CHECK_INT(parse(&f, good[i].bytes, good[i].len, &got), 1);
        CHECK_INT(got.len, 3);
    }
}

TEST(bytes_that_break_a_protocol_are_refused) {
    struct { const char *name, *bytes; } bad[] = {
        {"netstring", "a"}, {"netstring", ":"}, {"netstring", "3;abc,"}, {"netstring", "03:abc,"}, {"netstring", "3:abcd"},
        {"netstring", "-1:a,"}, {"netstring", " 1:a,"},
        {"content-length", "\r\n"}, {"content-length", "\n"}, {"content-length", "Content-Length: 3\n\nabc"},
        {"content-length", "Content-Length 3\r\n"}, {"content-length", ": 3\r\n"}, {"content-length", "Content-Length: \r\n"},
        {"content-length", "Content-Length: -1\r\n"}, {"content-length", "Content-Length: 3x\r\n"},
        {"content-length", "Content-Length: 1 2\r\n"}, {"content-length", "Content-Length: 0x3\r\n"},
        {"content-length", "Content-Length: 3\r\nContent-Length: 3\r\n"}, {"content-length", "Content-Length : 3\r\n"},
        {"content-length", "Content-Type: x\r\n\r\n"}, {"content-length", "X: a\rb\r\n"}, {"content-length", "X: \x01\r\n"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mw_frame_format f = named(bad[i].name, 0);
        check_refused(&f, bad[i].bytes, strlen(bad[i].bytes), "protocol");
    }
}

TEST(a_varint_may_be_padded_as_protobuf_allows) {
    struct mw_frame_format f = named("varint", 0);
    struct mw_frame got = {0};
    CHECK_INT(parse(&f, "\x81\x80\x80\0x", 5, &got), 1);
    CHECK_INT(got.len, 1);
    CHECK_INT(got.used, 5);
    check_refused(&f, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 10, "protocol");
}

TEST(content_length_ignores_case_and_other_headers) {
    struct mw_frame_format f = named("content-length", 0);
    static const char bytes[] = "Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncONTENT-length:\t 2 \r\nX-Empty:\r\n\r\nok";
    struct mw_frame got = {0};
    CHECK_INT(parse(&f, bytes, sizeof bytes - 1, &got), 1);
    CHECK_INT(got.len, 2);
    CHECK(memcmp(got.data, "ok", 2) == 0);
    CHECK_INT(got.used, sizeof bytes - 1);
}

TEST(header_bytes_of_content_length_are_bounded) {
    struct mw_frame_format f = named("content-length", 0);
    static char bytes[MW_FRAME_TEXT_HEAD + 10];
    struct mw_frame got = {0};

    memset(bytes, 'x', sizeof bytes);
    bytes[1] = ':';
    CHECK_INT(parse(&f, bytes, MW_FRAME_TEXT_HEAD - 1, &got), 0);
    CHECK_INT(parse(&f, bytes, MW_FRAME_TEXT_HEAD, &got), MW_EFRAME);
    CHECK_STR(got.why, "too_large");
    CHECK_INT(parse(&f, bytes, sizeof bytes, &got), MW_EFRAME);
}

TEST(a_long_line_is_looked_at_once) {
    struct mw_frame_format f = named("lines", 1000);
    char bytes[600];
    struct mw_frame got = {0};

    memset(bytes, 'a', sizeof bytes);
    CHECK_INT(mw_frame_parse(&f, bytes, 500, &got), 0);
    CHECK_INT(got.seen, 500);
    bytes[100] = '\n';                  /* behind what was looked at: not seen again */
    bytes[550] = '\n';
    CHECK_INT(mw_frame_parse(&f, bytes, 600, &got), 1);
    CHECK_INT(got.len, 550);
}

TEST(the_error_names_the_length_and_the_limit) {
    struct mw_frame_format f = named("u32le", 16);
    struct mw_frame got = {0};
    struct mw_err err;

    REQUIRE(parse(&f, "\xff\xff\xff\xff", 4, &got) == MW_EFRAME);
    CHECK_INT(mw_frame_refuse(&f, got.why, got.what, got.announced, "recv", "unix:/x", &err), MW_EFRAME);
    CHECK(strstr(err.message, "4294967295") != NULL);
    CHECK(strstr(err.message, "16") != NULL);
    CHECK(strstr(err.message, "unix:/x") != NULL);
}
