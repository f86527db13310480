/* A page that a worker process shares with its parent: which task it has begun, and answers that it has not sent yet.
 *
 * A worker is given more tasks than one when they are short. It may begin one only by claiming it here, and the parent may take
 * back those that it has not claimed: one compare-and-swap decides, so a task is never both begun and given to somebody else.
 * What stands here is a worker's word: it is checked for range and believed only about that worker's own tasks.
 * Knows: base, POSIX. Never: a task, a stream. */
#ifndef MW_POOL_PAGE_H
#define MW_POOL_PAGE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { MW_POOL_PAGE_SIZE = 65536, MW_POOL_PAGE_HELD = MW_POOL_PAGE_SIZE - 64 };

/* All that a worker on a thread shares. Zero-initialised is new. */
struct mw_pool_mark {
    _Atomic uint64_t claim;    /* high half: the epoch, the parent's; low half: the task begun last, the worker's */
    _Atomic uint64_t began_ns; /* when, CLOCK_MONOTONIC */
    _Atomic uint64_t memory;   /* bytes that the worker takes, by its own account; 0: not known */
    _Atomic uint32_t max;      /* bytes that an answer may have: the parent's word */
    _Atomic uint32_t serving;  /* a thread's: 1 once it serves */
};

struct mw_pool_page {
    struct mw_pool_mark mark;
    _Atomic uint32_t held; /* bytes of `answers` that are whole answers, not yet sent */
    _Atomic uint32_t sent; /* how often they were */
    char pad[24];
    char answers[MW_POOL_PAGE_HELD];
};

/* The parent's side: a sealed memory file of that size, mapped. Both given; mw_pool_page_free, close. */
int mw_pool_page_make(int *fd, struct mw_pool_page **out, struct mw_err *err);
/* The worker's: maps what came; fd is taken. MW_EINVAL: no such file. */
int mw_pool_page_map(int fd, struct mw_pool_page **out, struct mw_err *err);
void mw_pool_page_free(struct mw_pool_page *p); /* NULL is fine */

/* The worker begins task `seq`, which it was given in `epoch`: 1; 0: it was taken back. */
static inline int mw_pool_mark_begin(struct mw_pool_mark *p, uint32_t epoch, uint32_t seq, uint64_t now) {
    uint64_t was = atomic_load_explicit(&p->claim, memory_order_acquire);

    if ((uint32_t)(was >> 32) != epoch) return 0;
    atomic_store_explicit(&p->began_ns, now, memory_order_relaxed);
    return atomic_compare_exchange_strong(&p->claim, &was, (uint64_t)epoch << 32 | seq);
}
/* The parent: what the worker has begun. */
static inline uint32_t mw_pool_mark_begun(const struct mw_pool_mark *p) {
    return (uint32_t)atomic_load_explicit(&p->claim, memory_order_acquire);
}
/* Takes back all that is not begun: *epoch is the new one; returns the task begun last. */
uint32_t mw_pool_mark_revoke(struct mw_pool_mark *p, uint32_t *epoch);

/* A copy of the answers that the worker holds, into at[0..MW_POOL_PAGE_HELD): their bytes; 0: none, or they were just being sent. */
size_t mw_pool_page_peek(const struct mw_pool_page *p, char *at);

/* What this process takes of memory, by the system's account. The gauge is a descriptor, or -1: it may not know. */
int mw_pool_gauge_open(void);
uint64_t mw_pool_gauge_read(int gauge); /* bytes resident; 0: not known */
void mw_pool_fd_close(int fd);          /* -1 is fine */

#endif
