/* Batches: many messages in the data of one frame.
 * Knows: base. Never: I/O, a clock, Lua; takes memory for what a length says. */
#include "wire/batch.h"

#include <string.h>

enum { COUNT_MAX = 3 };           /* bytes of the largest count: they are kept free before the first message */

static size_t number_size(uint64_t n) {
    size_t used = 1;

    for (; n >= 0x80; n >>= 7) used++;
    return used;
}

/* ---- Gathering ---------------------------------------------------------------------------------------------------------- */

size_t mw_batch_size(const struct mw_batch *b) {
    return b->count == 0 ? 0 : mw_bytes_len(&b->bytes) - COUNT_MAX + number_size(b->count);
}

size_t mw_batch_size_with(const struct mw_batch *b, size_t len) {
    size_t held = b->count == 0 ? 0 : mw_bytes_len(&b->bytes) - COUNT_MAX;

    return number_size((uint64_t)b->count + 1) + held + number_size(len) + len;
}

int mw_batch_add(struct mw_batch *b, const char *at, size_t len) {
    size_t skip = b->count == 0 ? COUNT_MAX : 0, used;
    char *to;

    if (b->count >= MW_BATCH_MESSAGES) return MW_ELIMIT;
    if (len > SIZE_MAX / 4) return MW_ENOMEM;
    to = mw_bytes_reserve(&b->bytes, skip + MW_NUMBER_MAX + len, NULL);
    if (to == NULL) return MW_ENOMEM;
    used = skip + mw_number_put(len, to + skip);
    if (len > 0) memcpy(to + used, at, len);
    mw_bytes_commit(&b->bytes, used + len);
    b->count++;
    b->raw += len;
    return 0;
}

struct mw_view mw_batch_view(struct mw_batch *b) {
    char number[MW_NUMBER_MAX];
    unsigned n = mw_number_put(b->count, number);
    char *first = b->bytes.base + b->bytes.head + COUNT_MAX - n;

    memcpy(first, number, n);
    return (struct mw_view){ first, mw_bytes_len(&b->bytes) - COUNT_MAX + n };
}

void mw_batch_clear(struct mw_batch *b) {
    mw_bytes_consume(&b->bytes, mw_bytes_len(&b->bytes));
    b->count = 0;
    b->raw = 0;
}

/* ---- Taking apart --------------------------------------------------------------------------------------------------------- */

int mw_batch_open(struct mw_batch_cut *c, const char *at, size_t len, const char **what) {
    uint64_t count = 0, n;
    size_t first = mw_number_get(at, len, &count), pos = first;

    *what = NULL;
    if (first == 0) *what = "no batch: it does not begin with a number of messages";
    else if (count == 0) *what = "a batch without a message";
    else if (count > MW_BATCH_MESSAGES) *what = "a batch of more than 65536 messages";
    for (uint64_t i = 0; *what == NULL && i < count; i++) {
        unsigned used = mw_number_get(at + pos, len - pos, &n);

        if (used == 0 || n > len - pos - used) *what = "a message that goes beyond its batch";
        else pos += used + (size_t)n;
    }
    if (*what == NULL && pos != len) *what = "bytes behind the last message of a batch";
    if (*what != NULL) return MW_EFRAME;
    *c = (struct mw_batch_cut){ first, (unsigned)count };
    return 0;
}

struct mw_view mw_batch_next(struct mw_batch_cut *c, const char *at, size_t len) {
    uint64_t n = 0;
    unsigned used = mw_number_get(at + c->at, len - c->at, &n);
    struct mw_view it = { at + c->at + used, (size_t)n };

    c->at += used + (size_t)n;
    c->left--;
    return it;
}
