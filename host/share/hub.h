/* Wakes between the hosts of several threads: who has news for a host puts a port on its list, and rings only if its loop sleeps.
 * Knows: core, uv.h. Never: what the news is. */
#ifndef MW_SHARE_HUB_H
#define MW_SHARE_HUB_H

#include <stdatomic.h>

#include "core/host.h"

typedef struct mw_hub mw_hub;

/* One end of something between two hosts. Lives in memory that both sides hold (hold, release: any thread). */
struct mw_port {
    struct mw_port *next;                   /* in the hub's list of news */
    atomic_int news;                        /* 1: it is in the list */
    mw_hub *hub;                            /* that is told */
    void (*look)(struct mw_port *);         /* on the thread of the hub's host; runs no Lua */
    void (*hold)(struct mw_port *);
    void (*release)(struct mw_port *);
};

/* Given: a hub that no host looks at yet: what comes is kept. NULL: no memory. */
mw_hub *mw_hub_new(void);
mw_hub *mw_hub_hold(mw_hub *hub);
void mw_hub_release(mw_hub *hub);           /* NULL is fine */

/* From now on the host looks, until it ends or mw_hub_leave. The host holds it. 0 or a code. */
int mw_hub_join(mw_hub *hub, mw_host *h, struct mw_err *err);
/* Nothing is put on its list any more, and what is there is let go. Safe to repeat; by the host's teardown too. */
void mw_hub_leave(mw_hub *hub);

/* Any thread that holds the port's memory: its `look` is called soon. Few instructions while it has news already. */
void mw_port_poke_slowly(struct mw_port *port);
static inline void mw_port_poke(struct mw_port *port) {
    if (!atomic_load(&port->news)) mw_port_poke_slowly(port);
}

#endif
