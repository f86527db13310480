/* What one host may use at most: names, defaults, and how a person writes them.
 * Knows: base/err. Never: counts anything. */
#ifndef MW_BASE_LIMITS_H
#define MW_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 0 is the default of each. Reaching one is an error (MW_ELIMIT) in the script that reached it. */
struct mw_limits {
    uint64_t memory;          /* bytes of the Lua state; 256 MiB */
    uint64_t step_ns;         /* processor time of Lua code that does not wait; 1 s, none when everything is allowed; MW_LIMIT_OFF */
    uint64_t children;        /* running children; 256 */
    uint64_t workers;         /* running workers, those of workers included; 1024 */
    uint64_t handles;         /* open files, streams, listeners, watches; 100 000 */
    uint64_t tasks;           /* tasks that have not ended; 100 000 */
    uint64_t buffered;        /* bytes of all queues of its streams; 256 MiB */
    uint64_t shared;          /* bytes of its shared memory; 1 GiB, of which one memory or ring is a quarter at most */
};
#define MW_LIMIT_OFF UINT64_MAX

/* How a script that computes for longer than its step limit without waiting is found. */
enum mw_preempt {
    MW_PREEMPT_DEFAULT,              /* COUNT: an embedder's process and its signals are left alone, and no script can hold it up */
    MW_PREEMPT_NONE,                 /* not at all: a script that never waits is stopped by mw_host_interrupt only, and cut by no budget */
    MW_PREEMPT_COUNT,                /* by counting instructions: tight loops take about twice the time */
    MW_PREEMPT_TIMER                 /* by a timer on the thread's processor time and a handler for SIGVTALRM, which is then ours in
                                      * the whole process: free until the limit is reached */
};

/* One of them, for help and for parsing. */
struct mw_limit_row {
    const char *name;         /* "memory" */
    const char *fallback;     /* the default, as a person writes it: "256MiB" */
    const char *text;         /* what it is, in a few words */
    size_t at;                /* offset in struct mw_limits */
    int unit;                 /* MW_LIMIT_BYTES, ... */
    uint64_t min, max;        /* what is accepted */
    uint64_t value;           /* the default */
};
enum { MW_LIMIT_COUNT, MW_LIMIT_BYTES, MW_LIMIT_TIME };
const struct mw_limit_row *mw_limits_row(size_t i);   /* NULL: there are no more */

/* Reads "memory=64MiB,step=2s,children=16" into *l; what it does not name stays. A name may stand there once.
 * MW_EINVAL: err->what says what is wrong with which of them. *l is then as it was. */
int mw_limits_parse(struct mw_limits *l, const char *text, struct mw_err *err);
/* Wherever `other` has a value below that of `most`, it goes into *l. */
void mw_limits_least(struct mw_limits *l, const struct mw_limits *most, const struct mw_limits *other);
/* Puts the default wherever there is a 0. */
void mw_limits_fill(struct mw_limits *l);
/* The value as a person writes it ("64 MiB", "1.5 s", "off"), into out; returns out. */
const char *mw_limits_show(int unit, uint64_t value, char *out, size_t size);

/* The error of a limit that was reached: "CHILDREN run already..." is `what`; the hint names the flag. Returns MW_ELIMIT. */
int mw_limits_reached(struct mw_err *err, const char *op, const char *subject, const char *name, const char *what);

#ifdef __cplusplus
}
#endif
#endif
