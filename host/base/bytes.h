/* A growable queue of bytes in one piece: written at the tail, read at the head.
 * Knows: malloc.
 * Never: grows beyond what the caller asks for; never allocates on an announced length. */
#ifndef MW_BASE_BYTES_H
#define MW_BASE_BYTES_H

#include <stddef.h>

#include "base/view.h"

/* Zero-initialised is empty and holds no memory. */
struct mw_bytes {
    char *base;
    size_t head, tail, size;      /* base[head..tail) is held; size is what base has room for */
};

static inline size_t mw_bytes_len(const struct mw_bytes *q) {
    return q->tail - q->head;
}
static inline const char *mw_bytes_at(const struct mw_bytes *q) {
    return q->base != NULL ? q->base + q->head : ""; /* never NULL: with no bytes it goes to memchr and its like */
}

/* mw_bytes_reserve when there is too little room. */
char *mw_bytes_make_room(struct mw_bytes *q, size_t n);

/* Makes room for at least `n` more bytes at the tail (moves the held bytes down before it grows; grows by doubling from
 * 4 KiB). Returns the tail, or NULL: out of memory, nothing changed. *room (may be NULL): the bytes free there, >= n. */
static inline char *mw_bytes_reserve(struct mw_bytes *q, size_t n, size_t *room) {
    if ((q->base == NULL || q->size - q->tail < n) && mw_bytes_make_room(q, n) == NULL) return NULL;
    if (room != NULL) *room = q->size - q->tail;
    return q->base + q->tail;
}

/* Says that `n` bytes were written at the tail; n <= room. */
static inline void mw_bytes_commit(struct mw_bytes *q, size_t n) {
    q->tail += n;
}

/* Copies `len` bytes to the tail. 0 or MW_ENOMEM (nothing changed). */
int mw_bytes_add(struct mw_bytes *q, const void *data, size_t len);

/* Drops `n` bytes from the head; n <= len. An empty queue starts over at its base. */
static inline void mw_bytes_consume(struct mw_bytes *q, size_t n) {
    q->head += n;
    if (q->head == q->tail) q->head = q->tail = 0;
}

/* Gives memory back when empty and larger than `keep` bytes. */
void mw_bytes_shrink(struct mw_bytes *q, size_t keep);

/* Ends it: frees everything, leaves it empty. */
void mw_bytes_free(struct mw_bytes *q);

#endif
