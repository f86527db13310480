/* The insides of core: what its own files share and no other room sees.
 * Knows: core's headers. Never: included from another room. */
#ifndef MW_CORE_INSIDE_H
#define MW_CORE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "core/hook.h"
#include "core/host.h"
#include "core/source.h"
#include "core/spin.h"
#include "core/task.h"
#include "core/timer.h"
#include "core/wait.h"
#include "core/work.h"

#define MW_BLOCKS_KEPT 64           /* blocks that a host keeps for the next who needs one */
#define MW_ERROR_PLACES 16
#define MW_SLICE_LEAD 100000u       /* ns: alarms come late by some tens of microseconds, so this one comes early and the rest is counted */
#define MW_TURN_MAX 1024            /* tasks resumed in one drain before the loop looks at its descriptors again, */
#define MW_TURN_NS 2000000u         /* or fewer, when they take longer than this */

/* The low bits of the host's pointer in a coroutine's extra space: a task's base; a script's coroutine in which a primitive waits. */
enum { MW_CO_BASE = 1, MW_CO_WAITS = 2, MW_CO_BITS = 3 };
uintptr_t mw_co_bits(lua_State *co);
void mw_co_mark(lua_State *L, lua_State *co, uintptr_t bit, int on);                                       /* [-0, +0, m] */
lua_State *mw_co_inner(lua_State *co);      /* the script's coroutine that co resumes, or waits in; NULL: none */
void mw_host_introduce(lua_State *L, mw_host *h);   /* from now on mw_host_of finds it                           [-0, +0, m] */

enum mw_task_state { TASK_READY, TASK_RUNNING, TASK_PARKED, TASK_DONE };

struct mw_task {
    struct mw_list queue;           /* in host.ready or in a wait's parked list; alone otherwise */
    struct mw_list all;             /* in host.tasks */
    struct mw_list member;          /* in its home's tasks */
    struct mw_list doomed;          /* in the list of a cancel that is on its way to it */
    mw_host *host;
    mw_scope *home;                 /* waits for us; NULL once done */
    mw_scope *inner;                /* the innermost scope opened here, linked outward; NULL: none */
    lua_State *co;
    int ref;                        /* registry reference of co */
    int refs;
    int code;                       /* what woke it */
    int values;                     /* at first the arguments of the first resume; when done the results on co's stack, or 1 error value */
    lua_KFunction k;
    lua_KContext ctx;
    struct mw_timer deadline;
    struct mw_wait ended;           /* joiners */
    int strikes;
    unsigned resumes;               /* of its own coroutines, once it must stop */
    unsigned raised;                /* cancels raised at its waits */
    unsigned number;                /* of all that the host has made */
    unsigned cleanups;              /* shields in its scopes that core/cleanup.c has put there */
    uint64_t cleanup_at;            /* when cleaning up after its cancel is over; 0: it has not begun */
    uint64_t since;                 /* uv_now when it ran last; 0: it has not */
    struct mw_task_picture *picture;        /* core/picture.c; NULL: not drawn */
    enum mw_task_state state : 8;
    unsigned raw : 1, uncancellable : 1;    /* of the wait it is parked in */
    unsigned daemon : 1, cancelled : 1, failed : 1, killed : 1;
    unsigned promised : 1;          /* a scope of its own is made when one is needed (mw_scope_promise) */
    unsigned cancel_error : 1;      /* it failed with ECANCELED */
    unsigned sliced : 1;            /* it stands still where the step's budget ended, and has waited for nothing */
    uint64_t held;                  /* sliced: ns of its limit that it has used */
    unsigned broken : 1;            /* mw_host_break found it running, in this step */
    unsigned answers : 1;           /* whoever made it asks how it ended: nobody else is told */
    char *name, *why;               /* may be NULL */
};

enum mw_cancel { CANCEL_NONE, CANCEL_OWN, CANCEL_OUTER };

struct mw_scope {
    mw_host *host;
    mw_task *owner;                 /* NULL: the root, or its owner has gone */
    mw_scope *outer;                /* the next scope outward in the owner's stack */
    struct mw_list tasks;           /* members */
    struct mw_wait changed;         /* the owner waits here for its members */
    struct mw_timer deadline;
    unsigned live;                  /* members that are no daemons */
    int refs;
    int error_ref;                  /* the first member's error (registry), or LUA_NOREF */
    int sink_ref;                   /* who is told of errors (mw_scope_supervise), or LUA_NOREF: the host's hook */
    enum mw_cancel cancelled : 8;
    unsigned shield : 1, timed_out : 1, supervise : 1, open : 1;
    unsigned own : 1;               /* the one that its owner was promised */
    unsigned unasked : 1;           /* mw_scope_unasked */
    unsigned cleanup : 1;           /* core/cleanup.c has put it around a `__close` */
    uint64_t cleanup_at;            /* when cleaning up after its cancel is over; 0: it has not begun */
    const void *frame, *function;   /* the call that opened it, as Lua knows it, and what is called there (NULL: whatever is) */
    struct mw_list grave;           /* mw_scope_collected */
    char *why;
};

struct mw_spin {
    int us;                         /* as it was set */
    uint64_t bound_ns;              /* 0: never */
    int adapts;
    unsigned row;                   /* short waits, one after the other */
    int64_t credit_ns;
    uint64_t began;                 /* the wait; 0: not looked at */
    uint64_t paid_at, fit_at, polled_at, window_at;
    uint64_t off_until;             /* the loop's milliseconds */
    unsigned off_ms;
    long window_taken;
    struct mw_spin_counts counts;
};

struct mw_host {
    struct mw_host_head head;       /* first: see core/hook.h */
    uv_loop_t *loop, own;
    int owns_loop;
    lua_State *L;
    int lent;                       /* the state was there before, and is somebody else's */
    int wound_up;                   /* see mw_host_leave */
    int orphan;                     /* see mw_host_orphan */
    struct mw_hooks hooks;
    struct mw_policy *policy;
    const char *stand;              /* see mw_host_stand */
    lua_Alloc alloc;
    void *alloc_ud;
    struct mw_heap *memory;         /* NULL: the memory is somebody else's, or malloc's */
    struct mw_limits limits, limits_given;
    size_t used, limit;             /* bytes of the Lua state */
    size_t mark;                    /* beyond it an allocation is looked at: the limit; 0: the next one tunes the collector */
    size_t in_use;                  /* bytes that the last cycle of the collector left */
    int pause;                      /* what the collector was told */
    int script_collects;            /* 1: the script has told it something else */
    size_t asked;                   /* bytes for buffers beyond the limit since the last collection for one */
    int refused;                    /* an allocation was, because of the limit */
    size_t buffered, buffered_max;  /* bytes of all queues */
    void *blocks;                   /* that came back, each the next one's address; see mw_host_block */
    unsigned block_count;
    unsigned turn;                  /* see mw_host_turn; 0 is none */
    size_t ready_count;
    struct mw_list handles, ready, tasks, dusk, rest, sources, graves;
    struct mw_list *source_next;    /* after the one that is being called; NULL: none is */
    int up;                         /* what the sources were told: 0, the loop sleeps, or is not turned by us */
    int may_sleep;                  /* the loop is turned by us, and not only to look */
    int look_again;                 /* a source was added while the loop counted as asleep */
    uint64_t stirred;               /* how much came in: tasks resumed, and what woke none (mw_host_stirred) */
    struct mw_spin spin;
    uint64_t handle_count, task_count;
    struct mw_measures measures;
    const char *said_code;                       /* of the error that the hook is told of just now, see mw_host_said_code */
    unsigned error_places[MW_ERROR_PLACES];      /* of codes that were counted by name lately; see mw_err_count */
    /* the step: what Lua runs without waiting (hook.c, tick.c) */
    enum mw_preempt preempt;
    int watchful;                   /* see mw_host_set_watchful */
    int ticking;                    /* the timer is there */
    timer_t ticker;
    _Atomic pthread_t thread;       /* that runs the host, or did last */
    pid_t tid;                      /* the kernel's number of it, which no other takes over as long as it lives */
    atomic_int counts;              /* 1: Lua code sees for itself that it must stop: it counts */
    atomic_uint ticks;              /* that it has counted */
    unsigned step_ticks;            /* as many are a step at most */
    unsigned again_ticks;           /* after so many without a strike the hook is set again */
    atomic_uint step_at, struck_at; /* the tick at which the step began, the hook last ran */
    unsigned last_strike;           /* the tick of it */
    unsigned due_ticks, stuck_ticks;    /* since Lua had to stop; as many are too many */
    uint64_t step_began;            /* COUNT: processor time when the step was first looked at; 0: not yet. TIMER: only of one cut before */
    uint64_t tick_ns;
    unsigned looks;                 /* COUNT: resumes since the last look */
    atomic_uint_least64_t slice_at; /* when the task that runs is to stand still; 0: never (slice.c) */
    int slices;                     /* 1: steps have budgets */
    atomic_int standing;            /* 1: a task stands still between two steps: it counts as running */
    int alarm_made, alarm_set;      /* TIMER: the clock of the budget */
    timer_t alarm;
    atomic_int overdue;             /* the step has taken too long: cleared when the next one begins */
    unsigned spent;                 /* by C functions since the last strike (mw_budget) */
    lua_State *rest_of;             /* it was struck, and has so many instructions, */
    int rest_left;
    uint64_t rest_until;            /* at most until that processor time, before it is again */
    int apart, apart_strikes;       /* finalizers: one is running; strikes they took */
    struct { const void *key; void *_Atomic value; } slots[MW_SLOTS];
    mw_task *running;
    _Atomic(lua_State *) co;        /* the coroutine that runs now (for the interrupt's hook) */
    int unprotected, callbacks;     /* see mw_host_set_unprotected */
    int callback_strikes;
    int yielding;                   /* a primitive's yield is on its way to the scheduler */
    int draining, turning, hooked, closing, finishing, exiting, exit_code,
        leaves;                     /* it exits because the script itself said so */
    int listeners;                  /* who may give it work though no task is left */
    int told;                       /* whoever turns it was told something in this turn, and wants to come back for it */
    int at_once;                    /* mw_task_run_now: nothing waits, not even to let others go first */
    int first;                      /* MW_FIRST_BEGINS, ... */
    unsigned failures, works, open_handles, task_number;
    unsigned works_lent;            /* of `works`: those that come back to the Lua state */
    int has_pool;                   /* the thread pool is there, or can be: see mw_work_prepare */
    int keep_state;
    struct mw_trace *picture;       /* of its tasks; NULL: they are not drawn */
    mw_scope *root;
    uint64_t until;                 /* when this turn's time for tasks is spent; 0: no bound */
    int tasks_first;                /* the last step's time went before they ran */
    int looks_taken;                /* at the descriptors, whole ones, in this step */
    int each;                       /* this step has no budget: who is ready runs until it waits, however long that takes */
    uint64_t grace_ns, grace_at;    /* how long cleanup may take once the host exits */
    uint64_t cleanup_ns;            /* the `__close` functions of a cancelled task */
    /* timers: a binary heap, heap[1..timers] */
    struct mw_timer **heap;
    unsigned timers, heap_size;
    uint64_t armed;                 /* what the uv_timer, or the timerfd, is set to; 0: stopped */
    int clock_fd;                   /* the timerfd; -1: none */
    uv_poll_t clock;
    unsigned slept_beside;          /* sleeps beside a timer */
    uint64_t paused, paused_at;     /* ns that the clock stood still; since when it does */
    int pausing;
    uv_check_t check;
    uv_idle_t idle;
    uv_prepare_t prepare;
    uv_timer_t timer, bound;        /* bound: how long one turn may block */
    uv_async_t async;
    uv_poll_t grow;                 /* closed at once: see grow_watchers */
    int idling;
    /* set from any thread or signal handler */
    atomic_int interrupted;         /* 0, 1 + status */
    _Atomic(const char *) interrupt_why;
    atomic_int stop_lua;            /* Lua code must stop: cancel raised by the hook */
    atomic_int breaking;            /* the task that runs now must, if it goes on much longer (mw_host_break_at) */
    atomic_uint_least64_t break_at; /* ns of uv_hrtime: when that was said */
    atomic_int rung;                /* the async was, and its callback has not run */
    atomic_int prod_made, prodding; /* the timer is there; threads that are about to set it */
    timer_t prod;
    /* a borrowed loop's asynchronous end */
    void (*close_cb)(void *);
    void *close_ud;
    int close_stage, ending;
};

/* task.c */
void mw_task_ready(mw_task *t, int code);           /* out of its wait, into the ready queue */
mw_scope *mw_task_cancelling(mw_task *t);           /* the scope that cancels t now, or t->home if it is t itself; NULL: none */
void mw_task_kill(mw_task *t);                      /* hard: closes its coroutine without yields */
void mw_task_forsake(mw_task *t);                   /* the one that runs has ended, for all others: nobody goes back to it */
void mw_idle(uv_idle_t *it);                        /* does nothing: keeps the loop from sleeping */
/* loop.c */
int mw_loop_open(mw_host *h);                       /* the loop's hooks; 0 or a code with nothing opened */
void mw_loop_bound(mw_host *h, uint64_t ms);        /* the loop sleeps at most so long */
void mw_loop_dusk(mw_host *h);                       /* what was to be done at rest and at dusk; the turn is over */
void mw_loop_stay_up(mw_host *h);                    /* the loop does not sleep in its next turn */
void mw_loop_rest(mw_host *h);                       /* what was to be done at rest */
int mw_loop_alive(mw_host *h);                      /* 0: nothing but daemons was left in the root scope, and they have ended too */
void mw_loop_drain(mw_host *h);                     /* runs ready tasks, then dusk */
/* picture.c: only while h->picture is set */
void mw_picture_named(mw_host *h, unsigned number, const char *name, lua_State *L, int function);
void mw_picture_resumed(mw_task *t);                /* after its wait */
void mw_picture_rests(mw_task *t, int ended);       /* it has run */
void mw_picture_woken(mw_task *t);                  /* its wait is over: by whoever runs */
/* spin.c */
int mw_spin_wait(mw_host *h);                       /* 1: something came, and tasks have run; 0: the loop is to block */
void mw_spin_slept(mw_host *h, uint64_t stirred);   /* it did, from so many stirs on */
/* source.c */
int mw_sources_look(mw_host *h);                    /* 1: something came */
void mw_sources_up(mw_host *h);                     /* tells them that the loop is up; safe to repeat */
int mw_sources_down(mw_host *h);                    /* tells them that it sleeps, and looks once more: 1: something came */
/* wait.c */
int mw_wait_park(lua_State *L, struct mw_wait *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k, int raw, int uncancellable);
/* host.c */
void mw_host_handle_closed(uv_handle_t *it);        /* of the host's own handles: its data is the host */
/* timer.c */
int mw_timers_init(mw_host *h);
void mw_timers_free(mw_host *h);
void mw_timers_arm(mw_host *h);                     /* sets the uv_timer, or the timerfd, to the earliest */
int mw_timers_due(mw_host *h);                      /* milliseconds until the earliest; -1: there is none */
void mw_timers_slept(mw_host *h);                   /* the loop has slept */
void mw_timers_close(mw_host *h);                   /* before the loop's end; safe to repeat */
/* cleanup.c */
void mw_cleanup_open(lua_State *L);                 /*                                                       [-0, +0, m] */
int mw_cleanup_due(const mw_task *t);               /* 1: it is to be looked at */
void mw_cleanup_look(mw_task *t);                   /* puts shields around its `__close` functions, and takes away those that are over */
const void *mw_cleanup_frame(lua_State *co, int level, const void **function);  /* what a scope that is opened there remembers */
/* scope.c */
mw_scope *mw_scope_create(mw_host *h);
void mw_scope_bury_all(mw_host *h);                 /* that were collected */
void mw_scope_cancel_daemons(mw_scope *s);
void mw_scope_drop_sink(mw_scope *s);                /* nobody is told of errors any more */
void mw_scope_drop_task(mw_scope *s, mw_task *t);   /* a member ended */
/* hook.c */
int mw_hook_due(const mw_host *h);                  /* 1: Lua code must stop */
void mw_hook_arm(lua_State *co);
void mw_hook_run(mw_host *h, lua_State *co);        /* co is what runs now */
void mw_hook_resumed(lua_State *L);                 /* its coroutine came back; both when Lua code must stop */
void mw_hook_watch(lua_State *L);                   /* COUNT: looks at the clock now and then; a coroutine takes it over from its maker */
void mw_hook_came_back(lua_State *L);               /* COUNT: a script's coroutine did */
void mw_hook_tick(mw_host *h);                      /* TIMER: from the signal's handler */
void mw_hook_prodded(mw_host *h);                   /* on its thread: somebody says that Lua code must stop */
void mw_step_begin(mw_host *h);
void mw_step_error(mw_host *h, struct mw_err *err);
void mw_step_hold(mw_host *h, mw_task *t);          /* what it has used of its limit is remembered */
int mw_step_spent(lua_State *L);                    /* TIMER, in a count hook: 1, or raises: its slices were as much as the limit */
void mw_step_go_on(mw_host *h, mw_task *t);         /* in place of mw_step_begin: with what it had used */
/* slice.c */
int mw_slice_over(lua_State *L);                    /* in a count hook; 1: the budget is spent, the task stands still: return at once */
int mw_slice_count(mw_host *h, int count);          /* COUNT: instructions until the next look, `count` while the end is not near */
void mw_slice_look(lua_State *L);                   /* outside a hook: L is stopped at its next instruction if the budget is spent */
void mw_slice_alarm(mw_host *h);                    /* TIMER: from the signal's handler */
void mw_slice_open(mw_host *h, uint64_t at);
void mw_slice_shut(mw_host *h);
/* tick.c */
void mw_tick_alarm(mw_host *h, uint64_t at);        /* TIMER: mw_slice_alarm is called then, and again and again; 0: no more */
void mw_tick_start(mw_host *h);                     /* on the thread that runs the host; again after it moved to another */
void mw_tick_stop(mw_host *h);                      /* no signal of its timers or of a prod comes any more */
void mw_tick_prod(mw_host *h);                      /* from any thread: mw_hook_prodded is called soon, on the one that runs it */
/* state.c */
int mw_state_prepare(mw_host *h, lua_Alloc alloc, void *ud);    /* 0 or MW_ENOMEM; h->limits are known */
lua_State *mw_state_new(mw_host *h);                /* or NULL */
void mw_state_open(lua_State *L);                   /* counts the collector's cycles, and sets it unless it is another's   [-0, +0, m] */
void mw_state_slice(mw_host *h);                    /* steps have budgets: the collector's steps are small ones from now on */
void mw_state_end(mw_host *h);                      /* after lua_close; safe to repeat */
/* raise.c */
void mw_raise_open(lua_State *L);                   /* the error type, in the registry */

#endif
