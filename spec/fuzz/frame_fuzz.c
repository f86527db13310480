/* Frames from hostile bytes: what is found at once must be found in pieces, and what was found must compose again.
 * Knows: wire/frame. Never: I/O.
 * Input: a byte for the format, two for max, one for the size of the pieces, then the peer's bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

static int format(struct mw_frame_format *f, unsigned pick, size_t max) {
    static const char *const names[] = {"lines", "u32le", "u32be", "varint", "netstring", "content-length", "typed"};
    static const struct { const char *header; unsigned length; } custom[] = {
        {"<b i3 d", 2}, {">!4 B J f", 2}, {"<xh", 1}, {">jB", 2}, {"b", 1}, {"<I7 !8 B I8", 3},
    };
    if (pick % 13 < 7) return mw_frame_named(f, names[pick % 13], max, NULL);
    return mw_frame_custom(f, custom[pick % 13 - 7].header, custom[pick % 13 - 7].length, max, NULL);
}

/* A whole frame, composed again from what was read, parses to the same. */
static void again(const struct mw_frame_format *f, const struct mw_frame *it) {
    union mw_frame_value values[MW_FRAME_FIELDS];
    struct mw_frame_wrap w;
    struct mw_frame back = {0};
    unsigned n = 0;
    char *bytes;

    for (unsigned i = 0; i < f->fields; i++) {
        if (i != f->length) values[n++] = mw_frame_get(f, it, i);
    }
    HOLDS(it->len <= f->max);
    HOLDS(mw_frame_compose(f, values, it->data, it->len, &w) == 0);
    bytes = malloc(w.head_len + it->len + w.tail_len);
    HOLDS(bytes != NULL);
    memcpy(bytes, w.head, w.head_len);
    if (it->len > 0) memcpy(bytes + w.head_len, it->data, it->len);
    memcpy(bytes + w.head_len + it->len, w.tail, w.tail_len);
    HOLDS(mw_frame_parse(f, bytes, w.head_len + it->len + w.tail_len, &back) == 1);
    HOLDS(back.len == it->len && memcmp(back.data, it->data, it->len) == 0);
    HOLDS(back.used == w.head_len + it->len + w.tail_len);
    free(bytes);
}

/* What is done in line for the commonest formats gives the same. */
static void quickly(const struct mw_frame_format *f, const char *at, size_t len, int rc, const struct mw_frame *whole) {
    size_t data = 0;
    int found = mw_frame_quick(f, at, len, &data);

    HOLDS(found == (f->quick > 0 && rc == 1));
    if (!found) return;
    HOLDS(data == whole->len && whole->data == at + f->head && whole->used == f->head + data);
    if (f->quick > 1) HOLDS((unsigned char)at[f->other_at] == mw_frame_get(f, whole, f->length == 0).i);
    HOLDS(f->fields == f->quick);
}

/* Parses with at most `piece` new bytes a call, each time in a buffer of exactly the bytes that have arrived; compares with
 * what `whole` found at the same place. Returns its verdict. */
static int pieces(const struct mw_frame_format *f, const char *at, size_t len, size_t piece, int rc, const struct mw_frame *whole) {
    struct mw_frame got = {0};
    size_t have = 0, promised = 0;
    int now = 0;

    for (;;) {
        char *copy = malloc(have > 0 ? have : 1);
        HOLDS(copy != NULL);
        memcpy(copy, at, have);
        now = mw_frame_parse(f, copy, have, &got);
        if (now == 1) HOLDS(memcmp(copy + (got.data - copy), whole->data, got.len) == 0);
        free(copy);
        if (now != 0) HOLDS(have >= promised);
        if (now == 0) HOLDS(got.need >= 1);
        if (now == 0) promised = have + got.need;
        if (now != 0 || have == len) break;
        have = len - have < piece ? len : have + piece;
    }
    HOLDS(now == rc);
    if (rc == 1) HOLDS(got.used == whole->used && got.len == whole->len);
    if (rc == 0) HOLDS(got.need == whole->need);
    if (rc < 0) HOLDS(strcmp(got.why, whole->why) == 0 && got.announced == whole->announced);
    quickly(f, at, len, rc, whole);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mw_frame_format f;
    size_t piece, at = 0;
    const char *bytes = (const char *)data + 4;

    if (size < 4 || format(&f, data[0], (size_t)data[1] << 8 | data[2]) < 0) return 0;
    piece = data[3] == 0 ? 1 : data[3];
    size -= 4;
    for (;;) {
        struct mw_frame whole = {0};
        int rc = mw_frame_parse(&f, bytes + at, size - at, &whole);
        pieces(&f, bytes + at, size - at, piece, rc, &whole);
        if (rc != 1) return 0;
        HOLDS(whole.used >= 1 && whole.used <= size - at);
        HOLDS(whole.data >= bytes + at && whole.data + whole.len <= bytes + size);
        again(&f, &whole);
        at += whole.used;
    }
}
