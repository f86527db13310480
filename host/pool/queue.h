/* Tasks that wait for a member: taken by priority, then by age; and found by the time until which they may wait.
 * Knows: malloc. Never: a member, a clock. */
#ifndef MW_POOL_QUEUE_H
#define MW_POOL_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct mw_pool_task;

/* Two heaps over the same tasks. Zero-initialised is empty. */
struct mw_pool_queue {
    struct mw_pool_task **first; /* [1..count]: the next to be taken at the top */
    struct mw_pool_task **soon;  /* [1..timed]: the one whose time is up first at the top */
    unsigned count, timed, room;
    size_t bytes; /* of all that wait */
};

/* Makes sure that `total` tasks fit, so that adding cannot fail. 0 or MW_ENOMEM. */
int mw_pool_queue_reserve(struct mw_pool_queue *q, unsigned total);
void mw_pool_queue_add(struct mw_pool_queue *q, struct mw_pool_task *t);
void mw_pool_queue_remove(struct mw_pool_queue *q, struct mw_pool_task *t);
static inline struct mw_pool_task *mw_pool_queue_first(const struct mw_pool_queue *q) {
    return q->count > 0 ? q->first[1] : NULL;
}
/* The one whose time is up first; NULL: none has a time. */
static inline struct mw_pool_task *mw_pool_queue_soon(const struct mw_pool_queue *q) {
    return q->timed > 0 ? q->soon[1] : NULL;
}
void mw_pool_queue_free(struct mw_pool_queue *q);

#endif
