/* One bounded set for all pools: members that take tasks, a queue in front of them, deadlines, retries, restarts, and the count of
 * it all. What a member is (a process, a thread, a function that runs one process after another) its driver knows.
 *
 * A task is queued, then given to the least busy member, begins there, and is answered. It ends exactly once: answered, or `ended`
 * with a code. A member that shares a mark (pool/page.h) may be given several short tasks ahead of time, which can be taken back;
 * any other has one at a time, which begins when it is given.
 * Knows: base, pool/page, pool/queue, pool/tally. Never: Lua, a clock, a process, a thread. */
#ifndef MW_POOL_POOL_H
#define MW_POOL_POOL_H

#include "base/err.h"
#include "base/list.h"
#include "pool/page.h"
#include "pool/queue.h"
#include "pool/tally.h"

#define MW_POOL_NEVER UINT64_MAX
enum { MW_POOL_AHEAD = 64 };                    /* tasks that one member may hold */
#define MW_POOL_AHEAD_BYTES ((size_t)256 << 10) /* of their requests, if it is more than one */

/* All times are absolute or relative nanoseconds of CLOCK_MONOTONIC; `now` is the caller's. */
struct mw_pool_limits {
    unsigned size;              /* members at most */
    unsigned min_idle;          /* as many are kept idle, if size allows */
    unsigned max_queue;         /* tasks that wait */
    size_t max_queue_bytes;     /* and their requests */
    uint64_t queue_ns;          /* how long a task may wait; MW_POOL_NEVER */
    uint64_t recycle_tasks;     /* a member leaves after so many; 0: never */
    uint64_t recycle_age_ns;    /* and after so long; 0: never */
    unsigned restart_max;       /* of deaths that say that nothing works ... */
    uint64_t restart_within_ns; /* ... within this time; one more, and the pool is broken */
    uint64_t backoff_ns, backoff_max_ns;
    unsigned attempts; /* runs of one task in all */
    unsigned retry;    /* 1 << MW_POOL_CRASH | ...: what another attempt follows */
};
enum { MW_POOL_CRASH, MW_POOL_TIMEOUT, MW_POOL_ERROR };

enum mw_pool_task_state { MW_POOL_TASK_NEW, MW_POOL_TASK_QUEUED, MW_POOL_TASK_GIVEN, MW_POOL_TASK_OVER };
enum mw_pool_phase { MW_POOL_IN_QUEUE, MW_POOL_IN_RUN };

/* The first member of what the driver knows of a task. */
struct mw_pool_task {
    struct mw_list link;           /* in its member's tasks */
    struct mw_pool_member *member; /* while it is given */
    uint64_t order;                /* its age; kept when it goes back */
    uint64_t queued_at, queue_until;
    uint64_t given_at;
    uint64_t until;  /* of all of it; MW_POOL_NEVER */
    uint64_t run_ns; /* how long it may run; MW_POOL_NEVER */
    size_t bytes;
    unsigned slot[2];  /* the queue's */
    int priority;      /* the greater goes first */
    unsigned attempts; /* runs that began */
    uint32_t seq;      /* of its member's */
    enum mw_pool_task_state state : 8;
    unsigned abandoned : 1; /* nobody waits for it: it is not tried again */
};

enum mw_pool_member_state {
    MW_POOL_STARTING, /* takes nothing yet */
    MW_POOL_READY,
    MW_POOL_LEAVING, /* takes nothing more; ends when it has nothing left */
    MW_POOL_KILLED   /* its driver ends it */
};
/* What the driver says of a member that is gone. */
enum mw_pool_exit { MW_POOL_DIED, MW_POOL_LEFT };

/* The first member of what the driver knows of a member. */
struct mw_pool_member {
    struct mw_list link;            /* in the pool's members */
    struct mw_list place;           /* among those that are as busy */
    struct mw_list tasks;           /* given and not answered, in order */
    struct mw_pool_mark *mark;      /* lent; NULL: one task at a time */
    uint64_t joined_at, changed_at; /* when anything was last given or answered */
    uint64_t done;                  /* tasks answered */
    size_t bytes;                   /* of its tasks */
    unsigned load;                  /* its tasks */
    unsigned at;                    /* 1 + which of the pool's places; 0: none */
    unsigned skips;                 /* tasks taken back that it has not yet passed over */
    uint32_t seq, epoch;            /* of the last task given; of its mark */
    enum mw_pool_member_state state : 8;
    unsigned blameless : 1; /* its end is no sign that nothing works */
    unsigned dying : 1;     /* it ends by itself: nothing of it is late any more */
};

enum mw_pool_state { MW_POOL_OPEN, MW_POOL_DRAINING, MW_POOL_BROKEN, MW_POOL_CLOSED };

struct mw_pool;
/* None of them calls the pool, save peek. */
struct mw_pool_ops {
    /* Hands the task over. A code: the member will be lost; the task stays with it until then. */
    int (*give)(struct mw_pool *p, struct mw_pool_member *m, struct mw_pool_task *t);
    /* The task is over without an answer: MW_ETIMEDOUT (phase), MW_ECRASHED (m, the one that was lost, or NULL: the pool is
     * broken), MW_ECLOSED, MW_ECANCELED (it was abandoned). It is the driver's again. */
    void (*ended)(struct mw_pool *p, struct mw_pool_task *t, int code, enum mw_pool_phase phase,
                  struct mw_pool_member *m);
    /* Ends the member: at once; or, when it is idle and has to leave, politely. mw_pool_lost follows, later. */
    void (*end)(struct mw_pool *p, struct mw_pool_member *m, int politely);
    /* Takes what answers a member holds and has not sent (mw_pool_answered for each). NULL: there are none. */
    void (*peek)(struct mw_pool *p, struct mw_pool_member *m);
    /* p->wanted members are to be started (the driver sets it to 0): mw_pool_joined or mw_pool_refused for each, later. */
    void (*want)(struct mw_pool *p);
    /* Something changed that somebody may wait for: room in the queue, the state, the end of a drain. */
    void (*changed)(struct mw_pool *p);
};

/* Lives inside the driver's. An open record to look at; only pool.c changes it. */
struct mw_pool {
    const struct mw_pool_ops *ops;
    struct mw_pool_limits limits;
    enum mw_pool_state state;
    struct mw_pool_queue queue;
    struct mw_list members;
    struct mw_list places[MW_POOL_AHEAD]; /* those that are ready, by load */
    uint64_t places_used;                 /* bits */
    unsigned count, leaving;              /* members; of them leaving or killed */
    unsigned asked, unready;              /* asked for and not here; here and not ready */
    unsigned wanted;                      /* of those asked for, the driver has not begun to start so many */
    unsigned missing;                     /* that died and were not replaced */
    unsigned idle;                        /* members ready without a task */
    unsigned given, loaded;               /* tasks given; members with any */
    unsigned window;                      /* tasks that a member with a mark may hold now */
    uint64_t typical_ns;                  /* of a run: falls slowly, rises at once */
    uint64_t due;                         /* when mw_pool_tick has something to do, at the latest; MW_POOL_NEVER */
    uint64_t order;
    uint64_t start_at; /* no member is started before */
    unsigned row;      /* bad deaths since anything was answered */
    uint64_t *deaths;  /* times of the last restart_max bad ones, a ring */
    unsigned deaths_at;
    struct {
        uint64_t completed, failed, crashed, restarted, recycled;
    } stats;
    struct mw_tally wait, run; /* ns */
};

/* How many processors this process may use: 1..1024. */
unsigned mw_pool_cores(void);
/* limits: copied. 0 or MW_ENOMEM. */
int mw_pool_init(struct mw_pool *p, const struct mw_pool_limits *limits, const struct mw_pool_ops *ops);
/* No members and no tasks are left. */
void mw_pool_free(struct mw_pool *p);

/* A new task: `bytes`, `priority`, `until` and `run_ns` are set, the rest zero. 0: taken; MW_EAGAIN: the queue is full; MW_ELIMIT: it
 * would not fit into an empty one; MW_ECLOSED: draining or closed; MW_ECRASHED: broken; MW_ENOMEM.
 * `queue_until`: until when it may wait, at most (MW_POOL_NEVER: as the limits say). */
int mw_pool_add(struct mw_pool *p, struct mw_pool_task *t, uint64_t queue_until, uint64_t now);
/* Tasks that have not begun, as far as we know: those in the queue, and those given ahead. */
unsigned mw_pool_waiting(const struct mw_pool *p);
/* 1 if mw_pool_add would not say MW_EAGAIN to a task of so many bytes. */
int mw_pool_has_room(const struct mw_pool *p, size_t bytes);
/* Nobody waits for it any more; hard: whoever runs it is ended. 1: it is the driver's again; 0: it was with a member: `ended` or
 * mw_pool_answered gives it back, or has done so. */
int mw_pool_abandon(struct mw_pool *p, struct mw_pool_task *t, int hard, uint64_t now);

/* A member that was asked for is there; `m` is zero save mark. */
void mw_pool_joined(struct mw_pool *p, struct mw_pool_member *m, int ready, uint64_t now);
void mw_pool_ready(struct mw_pool *p, struct mw_pool_member *m, uint64_t now);
/* One that was asked for could not be started. */
void mw_pool_refused(struct mw_pool *p, uint64_t now);
/* It answered its task `seq`. 1: *out, which is the driver's again; 2: it failed, and was queued once more; 0: it has no such task
 * (it was looked at before, or is a lie). */
enum mw_pool_how { MW_POOL_DONE, MW_POOL_FAILED };
int mw_pool_answered(struct mw_pool *p, struct mw_pool_member *m, uint32_t seq, enum mw_pool_how how, uint64_t run_ns,
                     uint64_t now, struct mw_pool_task **out);
/* It passed over a task that was taken back. MW_EFRAME: there was none. */
int mw_pool_skipped(struct mw_pool *p, struct mw_pool_member *m, uint64_t now);
/* It is to go once it has nothing left; another may take its place. */
void mw_pool_retire(struct mw_pool *p, struct mw_pool_member *m, uint64_t now);
/* It is to go now. blameless: somebody wished it. */
void mw_pool_kill(struct mw_pool *p, struct mw_pool_member *m, int blameless, uint64_t now);
/* It is about to end by itself, and all that it sent has been read: its tasks wait for mw_pool_lost, however long that takes. */
void mw_pool_dying(struct mw_pool *p, struct mw_pool_member *m, uint64_t now);
/* It has ended; what it sent has been read. The last call for it. */
void mw_pool_lost(struct mw_pool *p, struct mw_pool_member *m, enum mw_pool_exit how, uint64_t now);

/* Looks at all that has a time; at p->due or later. */
void mw_pool_tick(struct mw_pool *p, uint64_t now);
/* Takes no more tasks; members leave when nothing is left. */
void mw_pool_drain(struct mw_pool *p, uint64_t now);
/* 1 when no task and no member is left, nor one on its way. */
static inline int mw_pool_is_empty(const struct mw_pool *p) {
    return p->queue.count == 0 && p->given == 0 && p->count == 0 && p->asked == 0;
}
/* Ends everything: each task MW_ECLOSED, each member at once. */
void mw_pool_close(struct mw_pool *p, uint64_t now);

#endif
