/* What a stream could not send of large strings: it waits where the script has it, behind the out queue, and is not copied.
 * Knows: io/stream_parts, core/pin. Never: a string behind which bytes of the queue wait: then it is copied after all. */
#include <stdlib.h>
#include <string.h>

#include "core/pin.h"
#include "io/stream_parts.h"

int mw_stream_pins_add(mw_stream *s, const char *at, size_t len, int pin) {
    struct mw_pins *p = s->pins;

    if (p == NULL) {
        p = calloc(1, sizeof *p);
        if (p == NULL) return MW_ENOMEM;
        s->pins = p;
    } else if (p->first + p->count == MW_PINS_MAX) {
        if (p->count == MW_PINS_MAX) return MW_ELIMIT;
        memmove(p->it, p->it + p->first, p->count * sizeof *p->it);
        p->first = 0;
    }
    p->it[p->first + p->count++] = (struct mw_pinned){ at, len, pin };
    p->left += len;
    mw_stream_charge(s);
    return 0;
}

int mw_stream_pins_iov(const mw_stream *s, struct iovec *iov) {
    const struct mw_pins *p = s->pins;

    if (p == NULL) return 0;
    for (unsigned i = 0; i < p->count; i++) {
        iov[i].iov_base = (void *)(uintptr_t)p->it[p->first + i].at; /* only read */
        iov[i].iov_len = p->it[p->first + i].len;
    }
    return (int)p->count;
}

void mw_stream_pins_end(mw_stream *s) {
    if (s->pins != NULL) mw_stream_pins_consume(s, s->pins->left);
}

void mw_stream_pins_consume(mw_stream *s, size_t n) {
    struct mw_pins *p = s->pins;

    if (p == NULL) return;
    p->left -= n;
    while (p->count > 0 && n >= p->it[p->first].len) {
        n -= p->it[p->first].len;
        mw_unpin(s->host, p->it[p->first].pin);
        p->first++;
        p->count--;
    }
    if (p->count > 0) {
        p->it[p->first].at += n;
        p->it[p->first].len -= n;
    } else {
        free(p);
        s->pins = NULL;
    }
    mw_stream_charge(s);
}

int mw_stream_pins_copy(mw_stream *s) {
    struct mw_pins *p = s->pins;
    char *at;

    if (p == NULL) return 0;
    at = mw_bytes_reserve(&s->head.out, p->left, NULL);
    if (at == NULL) return MW_ENOMEM;
    for (unsigned i = p->first; i < p->first + p->count; i++) {
        memcpy(at, p->it[i].at, p->it[i].len);
        at += p->it[i].len;
    }
    mw_bytes_commit(&s->head.out, p->left);
    mw_stream_pins_end(s);
    return 0;
}
