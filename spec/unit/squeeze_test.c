/* Compression: what was squeezed comes back, no size is believed before it was checked.
 * Knows: wire/squeeze, zstd and lz4 to make what our side never would. Never: I/O. */
#include "support/check.h"

#include <lz4.h>
#include <zstd.h>

#include "wire/number.h"
#include "wire/squeeze.h"

static const enum mw_squeeze_how both[] = { MW_SQUEEZE_ZSTD, MW_SQUEEZE_LZ4 };
static const size_t MAX = 16 << 20;

static mw_squeeze *fresh(enum mw_squeeze_how how) {
    mw_squeeze *z = mw_squeeze_calls.open(how, 1);
    REQUIRE(z != NULL);
    return z;
}

/* There and back; returns the bytes in between. */
static size_t round_trip(mw_squeeze *z, const char *at, size_t len, size_t min) {
    struct mw_bytes packed = { 0 }, out = { 0 };
    struct mw_squeeze_fault fault = { 0 };
    struct mw_view data;
    size_t n;

    REQUIRE(mw_squeeze_calls.pack(z, at, len, min, &packed) == 0);
    n = mw_bytes_len(&packed);
    CHECK(n <= len + 1);
    CHECK(len <= (uint64_t)n * MW_SQUEEZE_RATIO);
    if (mw_squeeze_calls.unpack(z, mw_bytes_at(&packed), n, len > 0 ? len : 1, &out, &data, &fault) != 0) {
        check_fail(__FILE__, __LINE__, "%zu bytes are refused: %s", len, fault.what);
    } else {
        CHECK_INT(data.len, len);
        CHECK(len == 0 || memcmp(data.at, at, len) == 0);
    }
    if (len > 1) {
        mw_bytes_consume(&out, mw_bytes_len(&out));
        CHECK_INT(mw_squeeze_calls.unpack(z, mw_bytes_at(&packed), n, len - 1, &out, &data, &fault), MW_EFRAME);
        CHECK_STR(fault.why, "too_large");
        CHECK_INT(mw_bytes_len(&out), 0);
    }
    mw_bytes_free(&packed);
    mw_bytes_free(&out);
    return n;
}

static void refused_with(enum mw_squeeze_how how, const char *bytes, size_t len, size_t max, const char *why, const char *says) {
    mw_squeeze *z = fresh(how);
    struct mw_bytes out = { 0 };
    struct mw_squeeze_fault fault = { 0 };
    struct mw_view data;
    char *own = malloc(len + 1);

    REQUIRE(own != NULL);
    memcpy(own + 1, bytes, len);
    CHECK_INT(mw_squeeze_calls.unpack(z, own + 1, len, max, &out, &data, &fault), MW_EFRAME);
    CHECK_STR(fault.why, why);
    if (fault.what == NULL || strstr(fault.what, says) == NULL) {
        check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", fault.what ? fault.what : "(null)", says);
    }
    CHECK_INT(mw_bytes_len(&out), 0);
    free(own);
    mw_bytes_free(&out);
    mw_squeeze_calls.close(z);
}

/* how, raw, packed, the bytes, `pad` zeros: into `to`, which has room. */
static size_t form(int how, uint64_t raw, const char *at, size_t len, size_t pad, char *to) {
    size_t n = 1;

    to[0] = (char)how;
    n += mw_number_put(raw, to + n);
    n += mw_number_put(len, to + n);
    memcpy(to + n, at, len);
    memset(to + n + len, 0, pad);
    return n + len + pad;
}

TEST(what_was_squeezed_comes_back) {
    char *text = malloc(3 << 20);

    REQUIRE(text != NULL);
    for (size_t i = 0; i < 3 << 20; i++) text[i] = "moonwire, a wire to the moon. "[(i * i / 977 + i) % 30];
    for (int k = 0; k < 2; k++) {
        mw_squeeze *z = fresh(both[k]);
        static const size_t lengths[] = { 0, 1, 10, 11, 12, 13, 100, 512, 4096, 65536, 1 << 20, 3 << 20 };
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) round_trip(z, text, lengths[i], 0);
        CHECK(round_trip(z, text, 65536, 512) < 20000);
        CHECK_INT(round_trip(z, text, 511, 512), 512);            /* too short to be worth it */
        mw_squeeze_calls.close(z);
    }
    free(text);
}

TEST(every_level_comes_back) {
    static char text[100000];

    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i / 100 * (i % 7));
    for (int level = 1; level <= MW_SQUEEZE_LEVEL_MAX; level++) {
        mw_squeeze *z = mw_squeeze_calls.open(MW_SQUEEZE_ZSTD, level);
        REQUIRE(z != NULL);
        round_trip(z, text, sizeof text, 0);
        mw_squeeze_calls.close(z);
    }
}

TEST(what_cannot_be_squeezed_costs_one_byte) {
    static char noise[70000];
    uint64_t x = 88172645463325252u;

    for (size_t i = 0; i < sizeof noise; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        noise[i] = (char)x;
    }
    for (int k = 0; k < 2; k++) {
        mw_squeeze *z = fresh(both[k]);
        CHECK_INT(round_trip(z, noise, sizeof noise, 0), sizeof noise + 1);
        mw_squeeze_calls.close(z);
    }
}

TEST(equal_bytes_are_carried_within_the_ratio) {
    char *same = calloc(1, 1 << 20);

    REQUIRE(same != NULL);
    for (int k = 0; k < 2; k++) {
        mw_squeeze *z = fresh(both[k]);
        size_t n = round_trip(z, same, 1 << 20, 0);
        CHECK_INT(n, ((1 << 20) + 199) / 200);
        mw_squeeze_calls.close(z);
    }
    free(same);
}

TEST(a_bomb_is_refused_before_it_is_inflated) {
    size_t big = 64 << 20, room = 1 << 20, n, total;
    char *zeros = calloc(1, big), *packed = malloc(room), *bytes = malloc(room + 64);

    REQUIRE(zeros != NULL && packed != NULL && bytes != NULL);
    n = ZSTD_compress(packed, room, zeros, big, 19);
    total = form(MW_SQUEEZE_ZSTD, big, packed, n, 0, bytes);
    refused_with(MW_SQUEEZE_ZSTD, bytes, total, MAX, "too_large", "above the limit");
    refused_with(MW_SQUEEZE_ZSTD, bytes, total, big, "too_large", "200 times");
    total = form(MW_SQUEEZE_ZSTD, n, packed, n, 0, bytes);                /* it says little, and is much */
    refused_with(MW_SQUEEZE_ZSTD, bytes, total, MAX, "protocol", "another size");
    n = (size_t)LZ4_compress_default(zeros, packed, 1 << 20, (int)room);
    total = form(MW_SQUEEZE_LZ4, 1 << 20, packed, n, 0, bytes);
    refused_with(MW_SQUEEZE_LZ4, bytes, total, MAX, "too_large", "200 times");
    total = form(MW_SQUEEZE_LZ4, n, packed, n, 0, bytes);
    refused_with(MW_SQUEEZE_LZ4, bytes, total, MAX, "protocol", "broken lz4");
    free(zeros);
    free(packed);
    free(bytes);
}

TEST(numbers_beyond_what_there_is_are_refused) {
    static const char huge[] = "\1\377\377\377\377\377\1abc";
    refused_with(MW_SQUEEZE_ZSTD, "", 0, MAX, "protocol", "does not say how");
    refused_with(MW_SQUEEZE_ZSTD, "\1", 1, MAX, "protocol", "without its sizes");
    refused_with(MW_SQUEEZE_ZSTD, "\1\5", 2, MAX, "protocol", "without its sizes");
    refused_with(MW_SQUEEZE_ZSTD, huge, sizeof huge - 1, MAX, "too_large", "above the limit");
    refused_with(MW_SQUEEZE_LZ4, "\2\5\100abc", 6, MAX, "protocol", "cut off");
    refused_with(MW_SQUEEZE_LZ4, "\2\0\1\0", 4, MAX, "protocol", "impossible");
    refused_with(MW_SQUEEZE_LZ4, "\2\377\377\377\177\1\0", 7, MAX, "too_large", "above the limit");
    refused_with(MW_SQUEEZE_LZ4, "\0abcd", 5, 3, "too_large", "above the limit");
}

TEST(an_end_with_other_options_is_told_so) {
    refused_with(MW_SQUEEZE_ZSTD, "\2\1\2\020a", 5, MAX, "protocol", "zstd was expected");
    refused_with(MW_SQUEEZE_LZ4, "\1\1\2\020a", 5, MAX, "protocol", "lz4 was expected");
    refused_with(MW_SQUEEZE_LZ4, "{\"id\":1}", 8, MAX, "protocol", "both ends name the same options");
}

TEST(zstd_frames_that_we_never_make_are_refused) {
    static char text[5000];
    static char packed[20000], bytes[20100];
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t n, more, total;

    for (size_t i = 0; i < sizeof text; i++) text[i] = "abcdefgh"[(i * i / 97 + i) % 8];
    n = ZSTD_compress(packed, sizeof packed, text, sizeof text, 1);
    total = form(MW_SQUEEZE_ZSTD, sizeof text, packed, n, 1, bytes);     /* a zero behind */
    refused_with(MW_SQUEEZE_ZSTD, bytes, total, MAX, "protocol", "behind a compressed message");
    more = ZSTD_compress(packed + n, sizeof packed - n, text, 0, 1);      /* a second frame, empty */
    total = form(MW_SQUEEZE_ZSTD, sizeof text, packed, n + more, 0, bytes);
    refused_with(MW_SQUEEZE_ZSTD, bytes, total, MAX, "protocol", "behind a zstd frame");
    memcpy(packed, "\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);                 /* a frame to be skipped */
    total = form(MW_SQUEEZE_ZSTD, 4, packed, 12, 0, bytes);
    refused_with(MW_SQUEEZE_ZSTD, bytes, total, MAX, "protocol", "not a zstd frame");
    REQUIRE(c != NULL);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    n = ZSTD_compress2(c, packed, sizeof packed, text, sizeof text);
    total = form(MW_SQUEEZE_ZSTD, sizeof text, packed, n, 0, bytes);
    refused_with(MW_SQUEEZE_ZSTD, bytes, total, MAX, "protocol", "another size");
    ZSTD_freeCCtx(c);
    n = ZSTD_compress(packed, sizeof packed, text, sizeof text, 1);
    total = form(MW_SQUEEZE_ZSTD, sizeof text, packed, n - 1, 0, bytes);
    refused_with(MW_SQUEEZE_ZSTD, bytes, total, MAX, "protocol", "a part of it is missing");
    n = (size_t)LZ4_compress_default(text, packed, sizeof text, sizeof packed);
    total = form(MW_SQUEEZE_LZ4, sizeof text - 1, packed, n, 0, bytes);
    refused_with(MW_SQUEEZE_LZ4, bytes, total, MAX, "protocol", "broken lz4");
    total = form(MW_SQUEEZE_LZ4, sizeof text + 1, packed, n, 0, bytes);
    refused_with(MW_SQUEEZE_LZ4, bytes, total, MAX, "protocol", "broken lz4");
}

TEST(a_frame_that_wants_a_dictionary_or_a_huge_window_is_refused) {
    /* magic; one segment, a dictionary id of one byte, 5 bytes of content; an empty last block */
    static const char with_id[] = "\x28\xb5\x2f\xfd\x21\x07\x05\x29\0\0hello";
    /* magic; a window descriptor of 2^41; content size 4 bytes */
    static const char window[] = "\x28\xb5\x2f\xfd\x80\xf8\x05\0\0\0\x29\0\0hello";
    char bytes[64];
    size_t n;

    n = form(MW_SQUEEZE_ZSTD, 5, with_id, sizeof with_id - 1, 0, bytes);
    refused_with(MW_SQUEEZE_ZSTD, bytes, n, MAX, "protocol", "dictionary");
    n = form(MW_SQUEEZE_ZSTD, 5, window, sizeof window - 1, 0, bytes);
    refused_with(MW_SQUEEZE_ZSTD, bytes, n, MAX, "protocol", "window");
}
