/* Tasks that wait for a member: two heaps whose places the tasks know, so that any of them can be taken out.
 * Knows: pool/pool.h. Never: a member, a clock. */
#include "pool/queue.h"

#include <stdlib.h>

#include "base/err.h"
#include "pool/pool.h"

enum { FIRST, SOON }; /* which of the two: index of mw_pool_task.slot */

static int before(int which, const struct mw_pool_task *a, const struct mw_pool_task *b) {
    if (which == SOON) return a->queue_until < b->queue_until;
    if (a->priority != b->priority) return a->priority > b->priority;
    return a->order < b->order;
}

static inline void put(struct mw_pool_task **heap, int which, unsigned at, struct mw_pool_task *t) {
    heap[at] = t;
    t->slot[which] = at;
}

static void rise(struct mw_pool_task **heap, int which, unsigned at, struct mw_pool_task *t) {
    for (; at > 1 && before(which, t, heap[at / 2]); at /= 2) put(heap, which, at, heap[at / 2]);
    put(heap, which, at, t);
}

static void sink(struct mw_pool_task **heap, int which, unsigned count, unsigned at, struct mw_pool_task *t) {
    for (;;) {
        unsigned child = at * 2;

        if (child > count) break;
        if (child < count && before(which, heap[child + 1], heap[child])) child++;
        if (!before(which, heap[child], t)) break;
        put(heap, which, at, heap[child]);
        at = child;
    }
    put(heap, which, at, t);
}

static void take_out(struct mw_pool_task **heap, int which, unsigned *count, struct mw_pool_task *t) {
    unsigned at = t->slot[which];
    struct mw_pool_task *last;

    if (at == 0) return;
    t->slot[which] = 0;
    last = heap[(*count)--];
    if (last == t) return;
    if (at > 1 && before(which, last, heap[at / 2]))
        rise(heap, which, at, last);
    else
        sink(heap, which, *count, at, last);
}

int mw_pool_queue_reserve(struct mw_pool_queue *q, unsigned total) {
    unsigned room = q->room > 0 ? q->room : 64;
    struct mw_pool_task **first, **soon;

    if (total < q->room) return 0;
    while (room <= total) room *= 2;
    first = realloc(q->first, room * sizeof(struct mw_pool_task *));
    if (first == NULL) return MW_ENOMEM;
    q->first = first;
    soon = realloc(q->soon, room * sizeof(struct mw_pool_task *));
    if (soon == NULL) return MW_ENOMEM;
    q->soon = soon;
    q->room = room;
    return 0;
}

void mw_pool_queue_add(struct mw_pool_queue *q, struct mw_pool_task *t) {
    q->count++;
    rise(q->first, FIRST, q->count, t);
    t->slot[SOON] = 0;
    if (t->queue_until != MW_POOL_NEVER) {
        q->timed++;
        rise(q->soon, SOON, q->timed, t);
    }
    q->bytes += t->bytes;
}

void mw_pool_queue_remove(struct mw_pool_queue *q, struct mw_pool_task *t) {
    if (t->slot[FIRST] == 0) return;
    take_out(q->first, FIRST, &q->count, t);
    take_out(q->soon, SOON, &q->timed, t);
    q->bytes -= t->bytes;
}

void mw_pool_queue_free(struct mw_pool_queue *q) {
    free(q->first);
    free(q->soon);
    *q = (struct mw_pool_queue){ 0 };
}
