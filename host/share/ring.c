/* A ring's records: pushed, popped, and told to the other side.
 * Knows: share/ring_parts.h. Never: a system call, save the doorbell's (ring_wait.c); reads what is shared twice.
 *
 *   who pushes                                   who pops
 *   write the record behind tail                 store pop_sleeps = 1      (its loop is about to block)
 *   store tail (release)                         full fence
 *   full fence                                   load tail: still nothing? sleep
 *   pop_sleeps? clear it, ring                   ... rung: store pop_sleeps = 0
 *
 * and the same with head and push_sleeps the other way round. Whichever fence comes first, one of the two sees the other's store.
 *
 * A record is told at once: what we do next (a line on a socket, a number set) must not be seen before it, and a batch would save 5 % of
 * a push. Room is told in batches, at the latest when the turn ends: nobody but a full ring waits for it. */
#include <string.h>

#include "share/ring_parts.h"

static int broken(mw_ring *r, struct mw_err *err) {
    r->broken = 1;
    return mw_err_set(err, MW_EFRAME, "ring", NULL, "the other side wrote what cannot be: the ring is of no use any more");
}

static int closed(struct mw_err *err) {
    return mw_err_set(err, MW_ECLOSED, "ring", NULL, NULL);
}

/* ---- Telling ---------------------------------------------------------------------------------------------------------------------- */

void mw_ring_tell_tail(mw_ring *r) {
    if (r->tail_told == r->tail) return;
    r->tail_told = r->tail;
    atomic_store_explicit(&r->page->tail, r->tail, memory_order_release);
    if (!r->remote) return;
    mw_source_fence();
    if (atomic_load_explicit(&r->page->pop_sleeps, memory_order_relaxed) == 0) return;
    atomic_store_explicit(&r->page->pop_sleeps, 0, memory_order_relaxed);
    mw_ring_ring(r);
}

void mw_ring_tell_head(mw_ring *r, int always) {
    if (r->head_told != r->head) {
        r->head_told = r->head;
        atomic_store_explicit(&r->page->head, r->head, memory_order_release);
    } else if (!always) {
        return;
    }
    if (!r->remote) return;
    mw_source_fence();
    if (atomic_load_explicit(&r->page->push_sleeps, memory_order_relaxed) == 0) return;
    if (!always && r->tail_seen - r->head > r->capacity / 2) return;
    atomic_store_explicit(&r->page->push_sleeps, 0, memory_order_relaxed);
    mw_ring_ring(r);
}

/* The turn ends: what was not told is told now. */
static void on_dusk(struct mw_dusk *d) {
    mw_ring *r = MW_LIST_ENTRY(d, mw_ring, dusk);

    r->dusky = 0;
    if (r->page == NULL) return;
    if (r->pops) mw_ring_tell_head(r, 1);
}

static inline void at_dusk(mw_ring *r) {
    if (r->dusky) return;
    r->dusky = 1;
    mw_host_at_dusk(r->held->host, &r->dusk, on_dusk);
}

/* ---- Who does what ------------------------------------------------------------------------------------------------------------------ */

static int claim(mw_ring *r, atomic_uint *at, unsigned char *ours, const char *what, struct mw_err *err) {
    unsigned seen = MW_RING_NOBODY;

    if (!r->remote || atomic_compare_exchange_strong(at, &seen, r->side) || seen == r->side) {
        *ours = 1;
        return 0;
    }
    if (seen != MW_RING_FIRST + MW_RING_SECOND - r->side) return broken(r, err);
    return mw_err_setf(err, -EBUSY, "ring", NULL, "the other side %s here", what);
}

/* ---- Pushing -------------------------------------------------------------------------------------------------------------------------- */

int mw_ring_room(mw_ring *r, uint64_t size) {
    uint64_t head;

    if (r->capacity - (r->tail - r->head_seen) >= size) return 1;
    head = atomic_load_explicit(&r->page->head, memory_order_acquire);
    if (r->tail - head > r->capacity || r->tail - head > r->tail - r->head_seen) return MW_EFRAME;
    r->head_seen = head;
    return r->capacity - (r->tail - head) >= size;
}

static int may_push(mw_ring *r, struct mw_err *err) {
    if (r->page == NULL) return closed(err);
    if (r->broken) return broken(r, err);
    if (r->finished) return mw_err_set(err, MW_ECLOSED, "ring push", NULL, "finished before");
    if (!r->pushes) return claim(r, &r->page->pusher, &r->pushes, "pushes", err);
    return 0;
}

int mw_ring_push(mw_ring *r, const char *at, size_t len, struct mw_err *err) {
    uint64_t size = mw_ring_size(len);
    char *to;
    int rc;

    if (__builtin_expect(r->page == NULL || r->broken | r->finished | !r->pushes, 0) && (rc = may_push(r, err)) < 0) return rc;
    if (__builtin_expect(len > r->capacity / 4, 0)) {
        return mw_err_setf(err, MW_EINVAL, "ring push", NULL, "a record of %zu bytes: at most a quarter of the ring, %llu bytes, is possible", len,
                           (unsigned long long)r->capacity / 4);
    }
    if (__builtin_expect(r->gone, 0)) return mw_err_set(err, MW_ECLOSED, "ring push", NULL, "the other side has gone");
    rc = mw_ring_room(r, size);
    if (__builtin_expect(rc <= 0, 0)) {
        if (rc < 0) return broken(r, err);
        mw_ring_tell_tail(r);        /* who is to make room must see all of it */
        return 0;
    }
    to = r->data + (r->tail & r->mask);
    *(uint32_t *)(void *)to = (uint32_t)len;
    memcpy(to + MW_RING_HEAD, at, len);
    r->tail += size;
    r->pushed++;
    r->bytes_pushed += len;
    mw_ring_tell_tail(r);
    return 1;
}

int mw_ring_finish(mw_ring *r, struct mw_err *err) {
    int rc;

    if (r->page == NULL) return closed(err);
    if (r->finished) return 0;
    rc = may_push(r, err);
    if (rc < 0) return rc;
    r->finished = 1;
    mw_ring_tell_tail(r);
    atomic_store_explicit(&r->page->finished, 1, memory_order_release);
    mw_wait_wake(&r->writable);
    if (!r->remote) return 0;
    mw_source_fence();
    if (atomic_exchange_explicit(&r->page->pop_sleeps, 0, memory_order_relaxed) != 0) mw_ring_ring(r);
    return 0;
}

/* ---- Popping -------------------------------------------------------------------------------------------------------------------------- */

int mw_ring_arrived(mw_ring *r) {
    uint64_t tail;

    if (r->tail_seen != r->head) return 1;
    tail = atomic_load_explicit(&r->page->tail, memory_order_acquire);
    if (tail - r->head > r->capacity || (tail & 7) != 0) return MW_EFRAME;
    r->tail_seen = tail;
    return tail != r->head;
}

/* Nothing is there: 0: it may come; 1: it is there now; 2, or a code: it will not. */
static int at_the_end(mw_ring *r, struct mw_err *err) {
    int rc = 0;

    if (r->gone || atomic_load_explicit(&r->page->finished, memory_order_acquire) != 0) {
        rc = mw_ring_arrived(r);     /* what was pushed before it was said */
        if (rc != 0) return rc < 0 ? broken(r, err) : 1;
        if (atomic_load_explicit(&r->page->finished, memory_order_relaxed) != 0) return 2;
        return mw_err_set(err, MW_EEOF, "ring pop", NULL, "the other side has gone without finish()");
    }
    return 0;
}

static int may_pop(mw_ring *r, struct mw_err *err) {
    if (r->page == NULL) return closed(err);
    if (r->broken) return broken(r, err);
    if (!r->pops) return claim(r, &r->page->popper, &r->pops, "pops", err);
    return 0;
}

int mw_ring_peek(mw_ring *r, struct mw_view *out, uint64_t *mark, struct mw_err *err) {
    const char *from;
    uint32_t len;
    int rc;

    if (__builtin_expect(r->page == NULL || r->broken | !r->pops, 0) && (rc = may_pop(r, err)) < 0) return rc;
    rc = mw_ring_arrived(r);
    if (__builtin_expect(rc <= 0, 0)) {
        if (rc < 0) return broken(r, err);
        rc = at_the_end(r, err);
        if (rc != 1) return rc;
    }
    from = r->data + (r->head & r->mask);
    len = *(const volatile uint32_t *)(const void *)from;
    r->len = len;
    r->take = mw_ring_size(len);
    if (__builtin_expect(len > r->capacity / 4 || r->take > r->tail_seen - r->head, 0)) return broken(r, err);
    *out = (struct mw_view){ from + MW_RING_HEAD, len };
    *mark = r->head;
    return 1;
}

int mw_ring_popped(mw_ring *r, uint64_t mark) {
    if (r->page == NULL) return 1;   /* closed meanwhile */
    if (r->head != mark) return 0;
    r->head += r->take;
    r->popped++;
    r->bytes_popped += r->len;
    if (!r->remote || r->head - r->head_told >= r->capacity / 8) mw_ring_tell_head(r, 0);
    else at_dusk(r);
    return 1;
}

/* ---- Beginning and looking ------------------------------------------------------------------------------------------------------------ */

void mw_ring_start(mw_ring *r) {
    r->tail = r->tail_told = r->tail_seen = atomic_load_explicit(&r->page->tail, memory_order_acquire);
    r->head = r->head_told = r->head_seen = atomic_load_explicit(&r->page->head, memory_order_acquire);
    if (r->tail - r->head > r->capacity || ((r->tail | r->head) & 7) != 0) r->broken = 1;
}

struct mw_wait *mw_ring_readable(mw_ring *r) {
    return &r->readable;
}
struct mw_wait *mw_ring_writable(mw_ring *r) {
    return &r->writable;
}
int mw_ring_closed(const mw_ring *r) {
    return r->page == NULL;
}

void mw_ring_stats(const mw_ring *r, struct mw_ring_stats *out) {
    memset(out, 0, sizeof *out);
    out->capacity = r->capacity;
    out->pushed = r->pushed;
    out->popped = r->popped;
    out->bytes_pushed = r->bytes_pushed;
    out->bytes_popped = r->bytes_popped;
    out->rung = r->rung;
    out->alone = !r->remote;
    out->alive = r->page != NULL && !r->gone && !r->broken;
    if (r->page == NULL) return;
    out->used = (r->pushes ? r->tail : atomic_load(&r->page->tail)) - (r->pops ? r->head : atomic_load(&r->page->head));
    if (out->used > r->capacity) out->used = r->capacity;
}
