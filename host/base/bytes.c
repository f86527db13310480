/* A growable queue of bytes in one piece: written at the tail, read at the head.
 * Knows: malloc.
 * Never: grows beyond what the caller asks for; never allocates on an announced length. */
#include "base/bytes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { FIRST = 4096 }; /* bytes of the first allocation */

/* Moves the held bytes down to the base. */
static void settle(struct mw_bytes *q) {
    size_t held = q->tail - q->head;

    if (q->head == 0) return;
    memmove(q->base, q->base + q->head, held);
    q->head = 0;
    q->tail = held;
}

/* Makes `size` at least held + n, by doubling. */
static int grow(struct mw_bytes *q, size_t n) {
    size_t held = q->tail - q->head, size = q->size > FIRST ? q->size : FIRST;
    char *base;

    if (n > SIZE_MAX / 2 - held) return MW_ENOMEM;
    while (size < held + n) size *= 2;
    if (q->head == 0) {
        base = realloc(q->base, size);
        if (base == NULL) return MW_ENOMEM;
    } else { /* only what is held is copied */
        base = malloc(size);
        if (base == NULL) return MW_ENOMEM;
        memcpy(base, q->base + q->head, held);
        free(q->base);
    }
    q->base = base;
    q->head = 0;
    q->tail = held;
    q->size = size;
    return 0;
}

char *mw_bytes_make_room(struct mw_bytes *q, size_t n) {
    size_t held = q->tail - q->head;

    /* Moving down pays only if it frees at least what it moves; so each byte is moved a bounded number of times. */
    if (q->base != NULL && q->head >= held && q->size - held >= n) {
        settle(q);
    } else if (grow(q, n) < 0) {
        if (q->base == NULL || q->size - held < n) return NULL;
        settle(q); /* no memory, but there is room for the price of a move */
    }
    return q->base + q->tail;
}

int mw_bytes_add(struct mw_bytes *q, const void *data, size_t len) {
    char *at;

    if (len == 0) return 0;
    at = mw_bytes_reserve(q, len, NULL);
    if (at == NULL) return MW_ENOMEM;
    memcpy(at, data, len);
    q->tail += len;
    return 0;
}

void mw_bytes_shrink(struct mw_bytes *q, size_t keep) {
    if (q->head == q->tail && q->size > keep) mw_bytes_free(q);
}

void mw_bytes_free(struct mw_bytes *q) {
    free(q->base);
    *q = (struct mw_bytes){ 0 };
}
