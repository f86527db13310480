/* Sources: what other threads and processes change in memory, looked at before the loop sleeps and while it spins.
 * Knows: core/host. Never: what is looked at. */
#ifndef MW_CORE_SOURCE_H
#define MW_CORE_SOURCE_H

#include <stdatomic.h>

#include "base/list.h"
#include "core/host.h"

/* Lives inside its user; zero-initialised is not registered. The protocol that loses no wake and rings rarely:
 *   here                                    the other side
 *   sleeps(s, 1): store asleep = 1          publish the item
 *   full fence (the host's)                 mw_source_fence()
 *   look(s) once more                       asleep? ring the descriptor that this loop polls
 * A loop that is awake or spins (core/spin.h) is not rung at all: look finds what came. Of a doorbell that rang, its callback has
 * nothing to do but to take the ring away: the turn that it caused looks. */
struct mw_source {
    struct mw_list link;
    mw_host *host;              /* set by mw_host_watch */
    /* Wakes the tasks (mw_wait_wake) that what has come concerns, and returns 1; 0: nothing new. Some nanoseconds, no system call:
     * it is called over and over while the loop spins. Runs no script; it may start tasks, in a protected call. */
    int (*look)(struct mw_source *);
    /* 1: the loop is about to block; 0: it is up again. Never called twice with the same. May be NULL. */
    void (*sleeps)(struct mw_source *, int asleep);
};

/* Registers it: the host looks once a turn of its loop. A source begins as one whose loop is up. Between steps the loop counts as asleep;
 * a borrowed one always does, save while a turn looks and runs tasks: sleeps(s, 1) is then called here at once, and a turn that looks
 * comes soon. Few: one for all workers of a host, not one each. */
void mw_host_watch(mw_host *h, struct mw_source *s);
/* Safe to repeat; also from inside its own look. The last call before its memory goes. */
void mw_host_unwatch(struct mw_source *s);

/* The full fence between publishing and asking whether to ring. */
static inline void mw_source_fence(void) {
#ifdef __SANITIZE_THREAD__ /* knows no fences; this is one on the machines that it runs on */
    atomic_int at = 0;
    atomic_fetch_add(&at, 1);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif
