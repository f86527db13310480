/* Sources: what other threads and processes change in memory, looked at before the loop sleeps and while it spins.
 * Knows: core/host. Never: what is looked at. */
#ifndef MW_CORE_SOURCE_H
#define MW_CORE_SOURCE_H

#include "base/list.h"
#include "core/host.h"

/* Lives inside its user; zero-initialised is not registered. The protocol that loses no wake and rings rarely:
 *   here                                    the other side
 *   sleeps(s, 1): store asleep = 1          publish the item
 *   full fence                              full fence
 *   look(s) once more                       asleep? ring the descriptor that this loop polls
 * A loop that is awake or spins is not rung at all: look finds what came. */
struct mw_source {
    struct mw_list link;
    /* Wakes the tasks (mw_wait_wake) that what has come concerns, and returns 1; 0: nothing new. Some nanoseconds, no system call:
     * it is called over and over while the loop spins. Runs no Lua. */
    int (*look)(struct mw_source *);
    /* 1: the loop is about to block; 0: it is up again. Never called twice with the same. May be NULL. */
    void (*sleeps)(struct mw_source *, int asleep);
};

/* Registers it: on a loop of its own the host looks once a turn. On a borrowed loop, and between steps, it counts as asleep. Few: one
 * for all workers of a host, not one each. */
void mw_host_watch(mw_host *h, struct mw_source *s);
/* Safe to repeat; also from inside its own look. The last call before its memory goes. */
void mw_host_unwatch(struct mw_source *s);

#endif
