/* Batches: many messages in the data of one frame.
 * Knows: base. Never: I/O, a clock, Lua; takes memory for what a length says.
 *
 * The data of the frame: how many messages there are, then for each its length and its bytes; nothing behind the last. The numbers are
 * those of wire/number.h: "ab" and "" are 02 02 61 62 00. A batch has at least one message, and at most MW_BATCH_MESSAGES. */
#ifndef MW_WIRE_BATCH_H
#define MW_WIRE_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "wire/number.h"

#define MW_BATCH_MESSAGES 65536u                 /* of one batch, sent or received */
#define MW_BATCH_BYTES ((size_t)1 << 20)         /* when it is sent, unless said otherwise */
#define MW_BATCH_WAIT_NS UINT64_C(100000000)
#define MW_BATCH_COUNT 512u

/* ---- Gathering ---------------------------------------------------------------------------------------------------------- */

/* Zero-initialised is empty and holds no memory; mw_bytes_free(&b->bytes) ends it. */
struct mw_batch {
    struct mw_bytes bytes;        /* room for the count, then what was added: private */
    unsigned count;               /* messages */
    size_t raw;                   /* their bytes */
};

/* Bytes of the batch as it is; 0 when it is empty. */
size_t mw_batch_size(const struct mw_batch *b);
/* Bytes that it would have with one more message of `len` bytes (at most one more than that). */
size_t mw_batch_size_with(const struct mw_batch *b, size_t len);
/* Adds a message. 0; MW_ENOMEM or MW_ELIMIT (as many as there may be): nothing changed. */
int mw_batch_add(struct mw_batch *b, const char *at, size_t len);
/* The whole batch, which is not empty; lent until the next call. More may be added afterwards. */
struct mw_view mw_batch_view(struct mw_batch *b);
/* Without messages again; its memory stays. */
void mw_batch_clear(struct mw_batch *b);

/* ---- Taking apart --------------------------------------------------------------------------------------------------------- */

/* Where the next message is in the bytes of a batch. Zero-initialised: none left. */
struct mw_batch_cut {
    size_t at;                    /* offset of its length */
    unsigned left;                /* messages not yet given */
};

/* Looks through the whole batch at[0..len): what it says holds for all its bytes, or MW_EFRAME with *what (static text). Takes no
 * memory; time is linear in the number of messages. */
int mw_batch_open(struct mw_batch_cut *c, const char *at, size_t len, const char **what);
/* The next message of the same bytes; c->left > 0. */
struct mw_view mw_batch_next(struct mw_batch_cut *c, const char *at, size_t len);

#endif
