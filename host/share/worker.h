/* Workers: a whole host, with its own loop and Lua state, on a thread of its own, and two bounded queues each way.
 * Knows: share/queue, share/hub, core. Never: Lua; what a message says.
 *
 * Both sides hold the worker. Each has an end: ours (the maker's host) and the inner one (the worker's host). All calls on an end come from
 * the thread of its host. */
#ifndef MW_SHARE_WORKER_H
#define MW_SHARE_WORKER_H

#include <stdint.h>

#include "core/wait.h"
#include "share/hub.h"
#include "share/queue.h"

typedef struct mw_worker mw_worker;
struct mw_process_shares;

/* What its thread makes a host of; the assembly's. Taken by mw_worker_start. */
struct mw_seed {
    /* The worker's thread: makes the host and loads its script; on failure nothing is left. */
    int (*begin)(struct mw_seed *, mw_worker *, mw_host **out, struct mw_err *err);
    /* The worker's thread: ends the host. */
    void (*end)(struct mw_seed *, mw_host *);
    void (*free)(struct mw_seed *);
};

/* What the assembly needs in order to make one (the hook `furnish` of core/host.h). */
struct mw_seed_wish {
    const char *path;                       /* of the script */
    char *text;                             /* its content, from malloc; taken when a seed is made */
    size_t len;
    struct mw_policy *policy;               /* taken when a seed is made */
    struct mw_limits limits;
    const char *const *args;                /* argv[0] is the script; NULL-terminated */
    struct mw_process_shares *shares;       /* what it finds in mw.shared, or NULL; taken when a seed is made */
    int modules;                            /* 1: Lua modules beside the script are free for it to read */
};

enum mw_worker_queue { MW_MESSAGES, MW_CALLS, MW_WORKER_QUEUES };     /* calls: also their answers, and what else is not for recv */

struct mw_worker_options {
    const char *name;                       /* of the thread, and in errors; copied, cut */
    size_t stack;                           /* bytes of the thread's; 0: MW_WORKER_STACK */
    uint64_t count_max, bytes_max;          /* of each queue */
    void (*drop)(void *, const struct mw_record *);     /* called for each record that nobody takes, with NULL; may be NULL */
    size_t beside;                          /* bytes that both sides share, zero at first: mw_worker_beside */
};
#define MW_WORKER_STACK ((size_t)1 << 20)   /* of address space: what is not touched takes no memory */
#define MW_WORKER_BYTES ((size_t)64 << 20)
#define MW_WORKER_GRACE 200                 /* ms that a worker which was told to end has for its cleanup */

struct mw_end {
    struct mw_port port;
    mw_worker *worker;
    mw_host *host;                          /* whose end it is; NULL: it has gone */
    struct mw_queue *in[MW_WORKER_QUEUES], *out[MW_WORKER_QUEUES];
    struct mw_end *other;
    struct mw_dusk dusk;                    /* tells the other side what was taken in this turn */
    /* Called when something came: records, room where it was asked for, the end. Runs no Lua. By default it wakes the waits. */
    void (*on_news)(struct mw_end *);
    void *ud;
    struct mw_wait readable[MW_WORKER_QUEUES], writable[MW_WORKER_QUEUES], ended;
};

/* Starts the thread. seed: taken, whatever comes of it. *out: given; end it with mw_worker_leave. MW_ELIMIT: there are too many; the
 * system's code when it has no thread left. */
int mw_worker_start(mw_host *h, const struct mw_worker_options *o, struct mw_seed *seed, mw_worker **out, struct mw_err *err);
struct mw_end *mw_worker_outer(mw_worker *w);
struct mw_end *mw_worker_inner(mw_worker *w);
const char *mw_worker_name(const mw_worker *w);
void *mw_worker_beside(mw_worker *w);                       /* lives as long as the worker; NULL: none was asked for */

/* Ours: nothing more is sent; the worker's end learns of it when it has read the rest. Safe to repeat. */
void mw_worker_finish(mw_worker *w);
int mw_worker_finished(const mw_worker *w);                 /* both sides */
/* The worker's own: it answers calls. Both sides: 1 when it has ever begun to. */
void mw_worker_serve(mw_worker *w);
int mw_worker_serves(const mw_worker *w);
/* Ours: its tasks are cancelled and running Lua code is stopped; the end comes soon. Safe to repeat. */
void mw_worker_stop(mw_worker *w);
/* Ours: 1 when it has ended: all that it sent is in the queues. */
int mw_worker_ended(const mw_worker *w);
/* Ours, when it has ended: why, 0 or an error's code with its story and traceback (lent). */
int mw_worker_why(const mw_worker *w, struct mw_err *err, const char **traceback);
const char *mw_worker_why_code(const mw_worker *w);         /* the error's name, one of the script's own included; "": it is no error's */
/* Ours: stops it if it runs, waits for its thread (some milliseconds; a C function that does not come back is left behind), and lets go
 * of it. NULL is fine. The host's teardown does it for all that are left, and leaves the memory to this. */
void mw_worker_leave(mw_worker *w);

/* Ours, where nobody waits for its end: stops it, and leaves it as soon as it has ended. */
void mw_worker_abandon(mw_worker *w);

/* The worker's own, from mw_seed.begin: this is the host that it is, before a script runs. 0 or a code. */
int mw_worker_enter(mw_worker *w, mw_host *h, struct mw_err *err);
/* The worker's own: the error that ends it, unless there was one before. code: as its script has it, or "". Any thread of it that runs the host. */
void mw_worker_fail(mw_worker *w, const struct mw_err *err, const char *code, const char *traceback);
/* The worker's own: a record of the kinds below, in the queue of calls; waits, with its thread, while that is full. */
enum { MW_KIND_PRINT = 0x8000, MW_KIND_LOG };       /* text for the maker's hooks; id: the level. Other kinds: the user's, below */
void mw_worker_tell(mw_worker *w, unsigned kind, uint64_t id, struct mw_bytes *body);
/* The worker that this host runs in, or NULL. */
mw_worker *mw_worker_of(const mw_host *h);
/* How many run: of the host and of all workers beneath it. */
unsigned mw_worker_count(const mw_host *h);

/* What on_news does by default: wakes the waits that have something to look at. */
void mw_end_wake(struct mw_end *e);
/* The records of an end. Sending: 1 when there is room for `len` bytes; else 0, the end has asked to be told, and `writable` is woken. */
int mw_end_room(struct mw_end *e, enum mw_worker_queue which, size_t len);
/* Puts it (share/queue.h) and lets the other side know. */
int mw_end_put(struct mw_end *e, enum mw_worker_queue which, unsigned kind, uint64_t id, struct mw_bytes *body);
/* Receiving: the next record that is the user's, taken: 1, lent until mw_end_settle or the next of these; or 0. Reading may raise: what
 * is taken does not come again. */
int mw_end_take(struct mw_end *e, enum mw_worker_queue which, struct mw_record *out);
void mw_end_settle(struct mw_end *e, enum mw_worker_queue which);
/* 1 when nothing more will come: ask before looking whether something is there. */
int mw_end_is_over(const struct mw_end *e);

#endif
