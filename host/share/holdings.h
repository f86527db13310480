/* What one host holds of shared memory: how much, whose faults are mended, and what its memories and rings have in common.
 * Knows: core/host, share/faults. Never: a memory by name. */
#ifndef MW_SHARE_HOLDINGS_H
#define MW_SHARE_HOLDINGS_H

#include "core/host.h"
#include "core/source.h"
#include "share/faults.h"

/* Counted: each memory and ring holds it, so that it outlives a host whose Lua state is being closed. Loop thread only. */
struct mw_holdings {
    struct mw_handle handle;
    mw_host *host;               /* NULL once it is gone */
    unsigned refs;
    uint64_t bytes;              /* mapped */
    mw_faults *faults;           /* NULL: SIGBUS is nobody's */
    struct mw_futexes *futexes;  /* NULL: nobody has waited for a number yet */
    struct mw_source source;     /* of all rings, while there are any */
    struct mw_list waiting;      /* rings that tasks wait for */
    unsigned rings;
    int asleep;                  /* as the source was told */
    int last;                    /* the host closes, and this goes last of all */
};

/* The host's, made now if there is none: one reference. NULL: MW_ENOMEM, in err. */
struct mw_holdings *mw_holdings_of(mw_host *h, const char *op, struct mw_err *err);
void mw_holdings_drop(struct mw_holdings *it);

/* The process has a handler for SIGBUS that calls mw_share_mend with this host, in whatever thread (faults NULL), or with the host whose
 * faults these are. Before the first memory. */
int mw_share_catch(mw_host *h, mw_faults *faults, struct mw_err *err);
/* A reference for a host of another thread, whose faults the handler brings here too; NULL: it has none. */
mw_faults *mw_share_faults(mw_host *h);
/* See mw_faults_mend. Async-signal-safe. */
int mw_share_mend(const mw_host *h, const void *at);

/* `bytes` more, if the limits let it: 0 or MW_ELIMIT. One may take a quarter of what all may. */
int mw_holdings_take(struct mw_holdings *it, uint64_t bytes, const char *op, const char *subject, struct mw_err *err);
void mw_holdings_give(struct mw_holdings *it, uint64_t bytes);

#endif
