/* Waiting for a number in shared memory to change, without holding up the loop: helper threads sleep in the kernel for all waiters.
 * Knows: core/host, core/wait, POSIX threads, futex(2). Never: Lua; a helper touches a memory that was forgotten. */
#ifndef MW_SHARE_FUTEX_H
#define MW_SHARE_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/wait.h"
#include "share/memory.h"

typedef struct mw_futexes mw_futexes;

/* One that waits. Zero-initialised is none. Lives as long as it waits; mw_futex_leave is the last call before its memory goes. */
struct mw_futex {
    struct mw_list link;             /* in its helper's; alone when it waits no more */
    struct mw_futex_helper *helper;  /* NULL: it does not wait */
    struct mw_wait woken;
    uint32_t *at;
    uint32_t value;
    int until;                       /* 1: until it is `value`; 0: while it is */
    const atomic_int *lost;          /* of its memory; may be NULL */
    int done;
};

/* 1 when there is nothing to wait for (any more): look at the memory, which may be closed or lost. */
int mw_futex_over(const struct mw_futex *w);
/* Begins to wait for the number at offset `at` of `m`. 0, or MW_ELIMIT, -EAGAIN (no more threads), MW_ENOMEM. Park at w->woken, and
 * look at mw_futex_over. */
int mw_futex_enter(struct mw_futex *w, mw_memory *m, size_t at, uint32_t value, int until, struct mw_err *err);
void mw_futex_leave(struct mw_futex *w);         /* safe to repeat */
/* Wakes at most n of those who wait there, in whatever process; what it gives is how many, or a negative code. */
int mw_futex_wake(mw_memory *m, size_t at, int n);

/* For share/memory: the range is about to be unmapped. / For share/holdings: joins the threads; NULL is fine. */
void mw_futexes_forget(mw_futexes *all, const void *at, size_t len);
void mw_futexes_end(mw_futexes *all);

#endif
