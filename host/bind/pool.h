/* Pools in Lua: what the files of this door share. A pool is a box that scripts hold, and a set behind it that its workers' keepers
 * (tasks of the root scope, one for each worker) hold too.
 * Knows: pool, core, lua.h. Never: a syscall. */
#ifndef MW_BIND_POOL_H
#define MW_BIND_POOL_H

#include <lauxlib.h>
#include <lua.h>

#include "base/bytes.h"
#include "bind/tap.h"
#include "core/host.h"
#include "core/task.h"
#include "core/timer.h"
#include "core/wait.h"
#include "pool/pool.h"
#include "pool/talk.h"

#define MW_POOL_TYPE        "mw.pool"
#define MW_POOL_HAND_TYPE   "mw.pool.hand" /* the same set for keepers: it does not keep the pool from being collected */
#define MW_POOL_WORKER_TYPE "mw.pool.worker"
#define MW_POOL_TAIL        4096u /* bytes of a worker's standard error that its end tells */

/* How a worker ended; shared by the calls that ended with it. */
struct mw_pool_death {
    unsigned refs;
    int known, exit_code, signal; /* exit_code -1: by the signal */
    int pid;
    int traced;    /* the tail is a traceback, not standard error */
    char code[64]; /* of a thread's error; "": there is none */
    char why[200]; /* "exited with 1", "sent what is no answer" */
    size_t tail_len;
    char tail[];
};
struct mw_pool_death *mw_pool_death_new(const char *why, const char *tail, size_t len); /* NULL: no memory */
void mw_pool_death_drop(struct mw_pool_death *d);                                       /* NULL is fine */

struct mw_cargo;

enum { MW_CALL_REQUEST = 128, MW_CALL_ANSWER = 128 };

/* One call of a script, from its request to its answer. */
struct mw_call {
    struct mw_pool_task task; /* first */
    struct mw_list link;      /* in its set's calls */
    struct mw_wait done;
    int over;
    int code; /* how it ended; 0: answered */
    enum mw_pool_phase phase;
    unsigned kind;       /* of its answer: enum mw_pool_answer_kind */
    unsigned orphan : 1; /* its caller has gone */
    unsigned name_len;
    uint32_t number;     /* of its set's calls, from 1 */
    int pid;             /* of the process that has it, or had it last; 0: none */
    size_t request_len, answer_len; /* the request: its name, then its value */
    char *request, *answer;         /* in the rooms, or from malloc */
    struct mw_cargo *cargo;         /* objects that ride with the request, or, once it is over, with the answer; NULL: none */
    struct mw_pool_death *death;
    char request_room[MW_CALL_REQUEST], answer_room[MW_CALL_ANSWER];
};

struct mw_pool_set;
struct mw_pool_worker;

/* How the workers of a pool are reached. */
struct mw_pool_driver {
    int (*give)(struct mw_pool_worker *w, struct mw_call *c);
    void (*end)(struct mw_pool_worker *w, int politely);
    void (*peek)(struct mw_pool_worker *w);   /* or NULL */
    void (*detach)(struct mw_pool_worker *w); /* it is lost: nothing may come in for it any more; or NULL */
};

struct mw_pool_set {
    struct mw_pool pool; /* first */
    struct mw_handle handle;
    mw_host *host;
    unsigned refs;
    const char *op; /* "process pool"; static */
    unsigned threads; /* 1: its workers are threads */
    const struct mw_pool_driver *driver;
    struct mw_timer timer;
    uint64_t armed;        /* MW_POOL_NEVER: not */
    struct mw_wait manage; /* the manager: members are wanted, or the pool ends */
    struct mw_wait room;   /* callers for whom the queue is full */
    struct mw_wait empty;  /* those who drain */
    struct mw_list calls;
    struct mw_bytes scratch; /* a value on its way out */
    size_t message_max;
    uint64_t task_ns, memory_max, start_ns; /* MW_POOL_NEVER, 0: none */
    int cancel_kills, plain;                /* plain: calls have no name */
    struct mw_pool_death *last;             /* the death that says most about why nothing works */
    unsigned serial;
    uint32_t numbers;       /* of calls, given */
    mw_probe *probes;       /* of the run's trace */
    struct mw_tapped tapped;
    char name[64];          /* for people: op and script */
};

/* A userdata on its keeper's stack. */
struct mw_pool_worker {
    struct mw_pool_member member; /* first */
    struct mw_pool_set *set;      /* NULL: lost */
    mw_task *keeper;              /* held */
    unsigned id;
    int pid;
    void *child;               /* the driver's: a mw_process, lent by its box on the keeper's stack */
    void *line;                /* the driver's: the stream of it, or a thread's end */
    struct mw_pool_page *page; /* of a process, or NULL */
    struct mw_bytes out;       /* requests of this turn */
    struct mw_dusk dusk;
    struct mw_call *now;            /* a runner's */
    struct mw_wait work;            /* a runner without any */
    uint64_t started_at, looked_at; /* for the start's limit; when its memory was last looked at */
    unsigned ending : 1;            /* it is to end: now, or politely */
    unsigned polite : 1;
    const char *why; /* we ended it; static, or NULL */
};

/* CLOCK_MONOTONIC, as the workers read it. */
uint64_t mw_pool_clock(void);

/* pool.c */
struct mw_pool_set *mw_pool_check(lua_State *L, int idx); /* of the pool or hand at idx; raises */
void mw_pool_settle(struct mw_pool_set *s);               /* after whatever may have changed when it is due */
void mw_pool_set_release(struct mw_pool_set *s);
/* Pushes a new worker of the running task and counts it in; mw_pool_worker_lost, or its collection, ends it.   [-0, +1, m] */
struct mw_pool_worker *mw_pool_worker_new(lua_State *L, struct mw_pool_set *s);
void mw_pool_worker_lost(struct mw_pool_worker *w, enum mw_pool_exit how,
                         struct mw_pool_death *death); /* death: taken */
/* The answer of its task `seq` has come: kind, bytes to be copied, and objects (taken; NULL: none). As mw_pool_answered. */
int mw_pool_worker_answered(struct mw_pool_worker *w, uint32_t seq, unsigned kind, uint64_t run_ns, uint64_t now,
                            const char *at, size_t len, struct mw_cargo *cargo);

/* pool_call.c */
extern const luaL_Reg mw_pool_call_methods[];
void mw_call_free(struct mw_call *c);
void mw_call_ended(struct mw_call *c, int code, enum mw_pool_phase phase, struct mw_pool_death *death);
void mw_pool_death_push(lua_State *L, const struct mw_pool_death *d,
                        int table); /* its fields, into the table [-0, +0, m] */

/* pool_options.c: reads the option table at idx. Raises EINVAL.                                      [-0, +0, e] */
void mw_pool_options_read(lua_State *L, int idx, const char *op, struct mw_pool_set *into,
                          struct mw_pool_limits *limits);

/* pool_script.c, pool_runner.c, pool_serve.c: parts of the door. */
extern const struct mw_pool_driver mw_pool_script_driver, mw_pool_runner_driver, mw_pool_thread_driver;
int mw_pool_attend(lua_State *L);
int mw_pool_work(lua_State *L);
int mw_pool_take(lua_State *L);
int mw_pool_answer(lua_State *L);
int mw_pool_lose(lua_State *L);
int mw_pool_idle(lua_State *L);
int mw_pool_serve(lua_State *L);
int mw_pool_attend_thread(lua_State *L);
int mw_pool_is_thread(lua_State *L); /* 1: this host is a worker on a thread, of a pool */

/* pool_census.c: what all pools of a host do together: of processes, of threads. */
struct mw_pool_census {
    uint64_t pools, idle, busy, starting, queued; /* now */
    uint64_t completed, failed, crashed, restarted; /* since the host began, of pools that have gone too */
};
void mw_pool_census(mw_host *h, struct mw_pool_census out[2]);
void mw_pool_census_bury(struct mw_pool_set *s); /* it is closed: keeps what it counted */
/* A task was answered: how long it waited and took in all. */
void mw_pool_set_measure(const struct mw_pool_set *s, const struct mw_pool_task *t, uint64_t run_ns, uint64_t now);
/* pool.c: calls fn with the handle of each pool that is not closed. */
void mw_pool_each(mw_host *h, void (*fn)(struct mw_handle *it, void *ud), void *ud);

#endif
