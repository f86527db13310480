/* A bounded queue of records between two threads: one puts, one takes, neither takes a lock.
 * Knows: C11 atomics, base/bytes. Never: waits, wakes: it says when the other side wants to know.
 *
 * Records lie in a ring of bytes; one that is full before the queue is gets a larger one behind it, and the taker frees the old one when
 * it has read it. A long record is one of its own, handed over without a copy. */
#ifndef MW_SHARE_QUEUE_H
#define MW_SHARE_QUEUE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define MW_RECORD_MAX ((size_t)1 << 30)

/* What the taker sees; lent until mw_queue_settle. */
struct mw_record {
    const char *at;
    size_t len;
    unsigned kind;              /* the user's: 0..65535 */
    uint64_t id;                /* the user's */
};

struct mw_ring;

/* mw_queue_init before use. Each side touches its own part and the shared one. */
struct mw_queue {
    uint64_t count_max, bytes_max;
    struct {
        struct mw_ring *ring;
        _Atomic uint64_t count;         /* put so far; others may look */
        uint64_t bytes;
        uint64_t taken, taken_bytes;    /* as last seen */
        size_t tail, head;              /* head: as last seen */
    } putter __attribute__((aligned(64)));
    struct {
        struct mw_ring *ring;
        uint64_t count, bytes;          /* taken so far */
        uint64_t said, said_bytes;      /* of them, what the other side was told */
        size_t head, tail, said_head;   /* tail: as last seen */
        void *far;                      /* the memory of the record that is lent */
    } taker __attribute__((aligned(64)));
    _Atomic uint64_t taken __attribute__((aligned(64)));
    _Atomic uint64_t taken_bytes;
    atomic_int starving;                /* the putter waits for room */
    _Atomic(struct mw_ring *) first;    /* until the taker has it */
};

void mw_queue_init(struct mw_queue *q, uint64_t count_max, uint64_t bytes_max);
/* Frees all; neither side may be at work. drop (may be NULL) is called for each record that was not taken. */
void mw_queue_end(struct mw_queue *q, void (*drop)(void *ud, const struct mw_record *), void *ud);

/* Putter: 1 when a record of `len` bytes may be put: fewer than count_max are there, and at most bytes_max bytes with it (or none). */
int mw_queue_room(struct mw_queue *q, size_t len);
/* Putter, when there was no room: asks to be told. 1: there is room by now; 0: wait; mw_queue_settle of the other side says 1. */
int mw_queue_starve(struct mw_queue *q, size_t len);
/* Putter: the record is seen by the other side at once, whether there was room or not. The bytes are taken out of `body`, with their
 * memory if they are many. 0; MW_ENOMEM, MW_ELIMIT (nothing changed). */
int mw_queue_put(struct mw_queue *q, unsigned kind, uint64_t id, struct mw_bytes *body);

/* Taker: the next record, 1; or 0: there is none. mw_queue_take takes what was seen; mw_queue_settle, when it was read, gives back its
 * memory, and returns 1 when the putter waits for that: wake it. What was taken and not settled is settled by the next of them.
 * The putter is told of a quarter at a time, and of all when the queue is empty; mw_queue_tell tells it now: before the taker does
 * something else than to take. Likewise 1: wake it. */
int mw_queue_next(struct mw_queue *q, struct mw_record *out);
void mw_queue_take(struct mw_queue *q, const struct mw_record *r);
int mw_queue_settle(struct mw_queue *q);
int mw_queue_tell(struct mw_queue *q);
static inline int mw_queue_untold(const struct mw_queue *q) {
    return q->taker.said != q->taker.count;
}

/* Records that are there: as the taker counts them, and as the putter was told. */
uint64_t mw_queue_waiting(const struct mw_queue *q);
uint64_t mw_queue_length(const struct mw_queue *q);

#endif
