/* A bounded queue of records between two threads.
 * Knows: C11 atomics, base. Never: a lock, a system call but malloc's.
 *
 * Who stores what the other loads beside a flag of its own ("there is room" beside "I wait for room") does both with sequential
 * consistency: of the two, one sees the other's. */
#include "share/queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define RING_FIRST 4096u        /* bytes */
#define RING_MOST (256u << 10)
#define FAR 16384u              /* bytes of a record that is handed over with its memory */
#define UNIT 16u                /* records begin at multiples */

struct mw_ring {
    size_t size;                                            /* a power of two */
    _Atomic size_t tail __attribute__((aligned(64)));       /* bytes put since its beginning */
    _Atomic(struct mw_ring *) next;                         /* nothing is put here any more */
    _Atomic size_t head __attribute__((aligned(64)));       /* bytes taken */
    char data[] __attribute__((aligned(64)));
};

/* Before the bytes of each. */
struct mark {
    uint32_t len;
    uint16_t kind;
    uint16_t form;
    uint64_t id;
};
enum { NEAR, AWAY, SKIP };      /* its bytes follow; struct away follows; nothing until the ring's end */
struct away {
    void *base;
    size_t head;
};

static size_t room_of(size_t len) {
    return sizeof(struct mark) + ((len + UNIT - 1) & ~(size_t)(UNIT - 1));
}

static struct mw_ring *ring_new(size_t size) {
    struct mw_ring *r = aligned_alloc(64, sizeof *r + size);

    if (r == NULL) return NULL;
    r->size = size;
    atomic_init(&r->tail, 0);
    atomic_init(&r->head, 0);
    atomic_init(&r->next, NULL);
    return r;
}

static struct mark *mark_at(struct mw_ring *r, size_t at) {
    return (struct mark *)(void *)(r->data + (at & (r->size - 1)));
}

void mw_queue_init(struct mw_queue *q, uint64_t count_max, uint64_t bytes_max) {
    memset(q, 0, sizeof *q);
    q->count_max = count_max;
    q->bytes_max = bytes_max;
}

void mw_queue_end(struct mw_queue *q, void (*drop)(void *, const struct mw_record *), void *ud) {
    struct mw_record r;

    while (mw_queue_next(q, &r)) {
        mw_queue_take(q, &r);
        if (drop != NULL) drop(ud, &r);
    }
    free(q->taker.ring);
    q->taker.ring = q->putter.ring = NULL;
    atomic_store(&q->first, NULL);
}

/* ---- The putter ---------------------------------------------------------------------------------------------------------- */

static uint64_t put_count(const struct mw_queue *q) {
    return atomic_load_explicit(&q->putter.count, memory_order_relaxed);
}

static int fits(const struct mw_queue *q, size_t len) {
    uint64_t bytes = q->putter.bytes - q->putter.taken_bytes;
    return put_count(q) - q->putter.taken < q->count_max && (bytes == 0 || bytes + len <= q->bytes_max);
}

int mw_queue_room(struct mw_queue *q, size_t len) {
    if (fits(q, len)) return 1;
    q->putter.taken = atomic_load(&q->taken);
    q->putter.taken_bytes = atomic_load(&q->taken_bytes);
    return fits(q, len);
}

int mw_queue_starve(struct mw_queue *q, size_t len) {
    atomic_store(&q->starving, 1);
    if (!mw_queue_room(q, len)) return 0;
    atomic_store(&q->starving, 0);
    return 1;
}

/* The place for `need` bytes in one piece, or NULL. */
static char *place(struct mw_queue *q, size_t need) {
    struct mw_ring *r = q->putter.ring;
    size_t to_end, skip;

    if (r == NULL) return NULL;
    to_end = r->size - (q->putter.tail & (r->size - 1));
    skip = to_end < need ? to_end : 0;
    if (r->size - (q->putter.tail - q->putter.head) < need + skip) {
        q->putter.head = atomic_load_explicit(&r->head, memory_order_acquire);
        if (r->size - (q->putter.tail - q->putter.head) < need + skip) return NULL;
    }
    if (skip > 0) {
        *mark_at(r, q->putter.tail) = (struct mark){.len = (uint32_t)(skip - sizeof(struct mark)), .form = SKIP};
        q->putter.tail += skip;
    }
    return r->data + (q->putter.tail & (r->size - 1));
}

static char *place_in_new(struct mw_queue *q, size_t need) {
    struct mw_ring *was = q->putter.ring, *r;
    size_t size = was == NULL ? RING_FIRST : was->size < RING_MOST ? was->size * 2 : RING_MOST;

    while (size < need * 4) size *= 2;
    r = ring_new(size);
    if (r == NULL) return NULL;
    if (was == NULL) atomic_store_explicit(&q->first, r, memory_order_release);
    else atomic_store_explicit(&was->next, r, memory_order_release);
    q->putter.ring = r;
    q->putter.tail = q->putter.head = 0;
    return r->data;
}

int mw_queue_put(struct mw_queue *q, unsigned kind, uint64_t id, struct mw_bytes *body) {
    size_t len = mw_bytes_len(body), need = room_of(len > FAR ? sizeof(struct away) : len);
    char *at;

    if (len > MW_RECORD_MAX) return MW_ELIMIT;
    at = place(q, need);
    if (at == NULL) at = place_in_new(q, need);
    if (at == NULL) return MW_ENOMEM;
    *(struct mark *)(void *)at = (struct mark){.len = (uint32_t)len, .kind = (uint16_t)kind, .form = len > FAR ? AWAY : NEAR, .id = id};
    at += sizeof(struct mark);
    if (len > FAR) {
        *(struct away *)(void *)at = (struct away){body->base, body->head};
        *body = (struct mw_bytes){0};
    } else if (len > 0) {
        memcpy(at, mw_bytes_at(body), len);
        mw_bytes_consume(body, len);
    }
    q->putter.tail += need;
    q->putter.bytes += len;
    atomic_store_explicit(&q->putter.count, put_count(q) + 1, memory_order_relaxed);
    atomic_store(&q->putter.ring->tail, q->putter.tail);
    return 0;
}

uint64_t mw_queue_length(const struct mw_queue *q) {
    return put_count(q) - atomic_load(&q->taken);
}

/* ---- The taker ----------------------------------------------------------------------------------------------------------- */

/* The ring that has something, or NULL. One that was read to its end and will get no more is freed. */
static struct mw_ring *filled(struct mw_queue *q) {
    struct mw_ring *r = q->taker.ring, *next;

    if (r == NULL) {
        r = q->taker.ring = atomic_load_explicit(&q->first, memory_order_acquire);
        if (r == NULL) return NULL;
    }
    while (q->taker.head == q->taker.tail) {
        q->taker.tail = atomic_load(&r->tail);
        if (q->taker.head != q->taker.tail) break;
        next = atomic_load_explicit(&r->next, memory_order_acquire);
        if (next == NULL) return NULL;
        q->taker.tail = atomic_load(&r->tail); /* what was put before the next one was */
        if (q->taker.head != q->taker.tail) break;
        free(r);
        r = q->taker.ring = next;
        q->taker.head = q->taker.tail = q->taker.said_head = 0;
    }
    return r;
}

static void free_far(struct mw_queue *q) {
    if (q->taker.far == NULL) return;
    free(q->taker.far);
    q->taker.far = NULL;
}

int mw_queue_next(struct mw_queue *q, struct mw_record *out) {
    const struct mark *m;
    struct mw_ring *r;

    free_far(q);
    for (;;) {
        r = filled(q);
        if (r == NULL) return 0;
        m = mark_at(r, q->taker.head);
        if (m->form != SKIP) break;
        q->taker.head += m->len + sizeof *m;
    }
    out->kind = m->kind;
    out->id = m->id;
    out->len = m->len;
    out->at = (const char *)(m + 1);
    if (m->form == AWAY) {
        const struct away *a = (const struct away *)(const void *)(m + 1);
        out->at = (const char *)a->base + a->head;
    }
    return 1;
}

void mw_queue_take(struct mw_queue *q, const struct mw_record *r) {
    const struct mark *m = mark_at(q->taker.ring, q->taker.head);

    if (m->form == AWAY) q->taker.far = ((const struct away *)(const void *)(m + 1))->base;
    q->taker.head += room_of(m->form == AWAY ? sizeof(struct away) : r->len);
    q->taker.count++;
    q->taker.bytes += r->len;
}

int mw_queue_tell(struct mw_queue *q) {
    if (!mw_queue_untold(q)) return 0;
    atomic_store_explicit(&q->taker.ring->head, q->taker.head, memory_order_release);
    atomic_store(&q->taken_bytes, q->taker.bytes);
    atomic_store(&q->taken, q->taker.count);
    q->taker.said = q->taker.count;
    q->taker.said_bytes = q->taker.bytes;
    q->taker.said_head = q->taker.head;
    return atomic_load(&q->starving) && atomic_exchange(&q->starving, 0);
}

/* A quarter at a time: so the other side's memory is not touched for each. */
int mw_queue_settle(struct mw_queue *q) {
    const struct mw_ring *r;

    free_far(q);
    if (q->taker.ring == NULL) return 0;
    r = filled(q);
    if (r != NULL && (q->taker.count - q->taker.said) * 4 < q->count_max && (q->taker.bytes - q->taker.said_bytes) * 4 < q->bytes_max &&
        (q->taker.head - q->taker.said_head) * 4 < r->size)
        return 0;
    return mw_queue_tell(q);
}

uint64_t mw_queue_waiting(const struct mw_queue *q) {
    return put_count(q) - q->taker.count;
}
