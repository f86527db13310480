/* Faults: memory that another process may cut off, and what becomes of an access to what is no longer there (SIGBUS).
 * Knows: POSIX threads, mmap. Never: a signal handler of its own: it answers the one that the program has. */
#ifndef MW_SHARE_FAULTS_H
#define MW_SHARE_FAULTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mw_faults mw_faults;

/* One mapping. `lost` becomes 1 when an access to it faulted: from then on zeros lie there, and nobody else's memory. */
struct mw_fault {
    _Atomic uint64_t changes;       /* odd while the next two change */
    _Atomic uintptr_t at;           /* 0: free */
    _Atomic size_t len;
    atomic_int lost;
};

/* Counted: a host and its workers, whose threads take each other's signals, share one. NULL: no memory. */
mw_faults *mw_faults_new(void);
mw_faults *mw_faults_hold(mw_faults *f);
void mw_faults_drop(mw_faults *f);               /* NULL is fine */

/* Any thread. NULL: no memory. Remove before the mapping goes. */
struct mw_fault *mw_faults_add(mw_faults *f, void *at, size_t len);
void mw_faults_remove(mw_faults *f, struct mw_fault *it);

/* From the handler of SIGBUS, in the thread whose access faulted: 1: `at` lies in a mapping of these; there are zeros now, return
 * from the handler and the access goes on. 0: it does not. Async-signal-safe. */
int mw_faults_mend(mw_faults *f, const void *at);

#endif
