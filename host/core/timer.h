/* Deadlines: a heap of them over one uv_timer.
 * Knows: core/host. Never: Lua. */
#ifndef MW_CORE_TIMER_H
#define MW_CORE_TIMER_H

#include <stdint.h>

#include "core/host.h"

/* Lives inside its user; zero-initialised is unarmed. */
struct mw_timer {
    uint64_t at;                        /* absolute ns, mw_host_now's clock */
    void (*fire)(struct mw_timer *);    /* loop thread; may start or stop any timer, may free itself */
    unsigned slot;                      /* 1 + place in the heap; 0: not armed */
};

/* Arms (or moves) `t`. 0 or MW_ENOMEM. Never fires inside this call. */
int mw_timer_start(mw_host *h, struct mw_timer *t, uint64_t at, void (*fire)(struct mw_timer *));
void mw_timer_stop(mw_host *h, struct mw_timer *t);     /* safe to repeat */

#endif
