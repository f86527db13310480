/* One host: one loop, one Lua state, one list of open handles, one scheduler.
 * Knows: base, observe, uv.h, lua.h. Never: a primitive by name; the policy (it carries the pointer, moonwire.c sets it). */
#ifndef MW_CORE_HOST_H
#define MW_CORE_HOST_H

#include <lua.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/list.h"
#include "observe/measures.h"

typedef struct mw_host mw_host;
struct mw_policy;
struct mw_scope;
struct mw_seed;
struct mw_seed_wish;

/* What the assembly hangs on a host; set once by moonwire.c before a script runs. Any hook may be NULL. */
struct mw_hooks {
    void *ud;                                                     /* first argument of each */
    int (*furnish)(void *ud, struct mw_seed_wish *wish, struct mw_seed **out, struct mw_err *err);      /* what a worker grows from: share/worker.h */
    void (*log)(void *ud, int level, const char *line, size_t len);                 /* MW_LOG_... ; whole (base/text.h), no newline */
    int log_json;                                                 /* 1: lines are JSON objects; 0: for a person to read */
    int signals;                                                  /* 1: scripts may take signals of the process (mw.on_signal) */
    void (*print)(void *ud, const char *text, size_t len);                          /* what scripts print, newline included */
    int print_fd;                 /* the descriptor that print would write to, so that a writer can wait for it; 0: none, call print */
    int command_line;             /* 1: the program has a command line, whose flags hints name */
    int print_errors;             /* 1: what scripts write to standard error goes to print, too */
    int pipe_ends;                /* 1: writing to a standard output that nobody reads ends the run with 128 + SIGPIPE */
    void (*error)(void *ud, const struct mw_err *err, const char *traceback);       /* an error nobody joined */
    void (*message)(void *ud, const char *topic, const void *msgpack, size_t len);  /* mw.host.emit; NULL: nobody listens */
    void (*stuck)(void *ud, int status);    /* Lua had to stop long ago and has not; in a signal handler; may be NULL */
};
enum { MW_LOG_DEBUG, MW_LOG_INFO, MW_LOG_WARN, MW_LOG_ERROR };

/* Makes a host on `loop`, or on a loop of its own when loop is NULL. Creates every descriptor the loop will need, so that
 * running out of them is an error here and not an abort later. alloc may be NULL (realloc). limits: copied; a 0 in it
 * is the default; NULL: all defaults. Returns 0, or a code with nothing left behind. */
int mw_host_create(uv_loop_t *loop, lua_Alloc alloc, void *alloc_ud, const struct mw_limits *limits, mw_host **out, struct mw_err *err);

/* Ends it: cancels the root scope, hard-kills what is left after `grace_ms`, closes handles, drains the loop, closes the
 * Lua state, then the loop (in that order). NULL is fine. */
void mw_host_destroy(mw_host *h, unsigned grace_ms);

/* ---- In somebody else's Lua state (the module for plain Lua only) --------------------------------------------------------- */

/* A host on a loop of its own in the state of L, whose memory, collector, libraries and end stay its owner's. In a C function that
 * Lua called, with 20 free slots. */
int mw_host_create_in(lua_State *L, const struct mw_limits *limits, mw_host **out, struct mw_err *err);
/* The coroutine that is mw_host_state from now on: the main one, or that which turns the loop. */
void mw_host_stand_on(mw_host *h, lua_State *L);
/* Makes it ready for another run, after one has ended: what is open stays open. */
void mw_host_again(mw_host *h);
/* What a run has left when its time was up is ended without waiting. */
void mw_host_clear(mw_host *h);
/* Before the state's other finalizers run: all that mw_host_destroy does but the last, so that they find nothing open. Also inside a
 * turn that will never go on (os.exit). */
void mw_host_leave(mw_host *h, unsigned grace_ms);
int mw_host_is_lent(const mw_host *h);
/* The host of L's state, or NULL: there is none, or there is none any more. */
mw_host *mw_host_lookup(lua_State *L);
/* From now on whoever asks for it (mw_host_of) gets an error: it is about to be freed. */
void mw_host_farewell(lua_State *L);
/* In a forked child: nothing of it is touched any more, and whoever asks for it (mw_host_of) gets an error. Async-signal-safe. */
void mw_host_orphan(mw_host *h);
int mw_host_is_orphan(const mw_host *h);
/* Why mw_host_interrupt_at ended the run; NULL: it did not. */
const char *mw_host_interrupt_why(mw_host *h);

uv_loop_t *mw_host_loop(mw_host *h);
lua_State *mw_host_state(mw_host *h);          /* the main state; scripts run in tasks of it */
struct mw_hooks *mw_host_hooks(mw_host *h);
struct mw_policy *mw_host_policy(mw_host *h);  /* lent; set by mw_host_set_policy */
void mw_host_set_policy(mw_host *h, struct mw_policy *p);
struct mw_scope *mw_host_root(mw_host *h);     /* the root scope */
int mw_host_closing(mw_host *h);               /* 1 once teardown has begun: hooks and wakes are dropped */
int mw_host_finishing(const mw_host *h);       /* 1 while its Lua state is closed: what is made now is collected by nobody */

/* The host of a Lua state (any coroutine of it). Never NULL in a state of ours. */
mw_host *mw_host_of(lua_State *L);

/* What it may use at most, defaults filled in. Lent. */
const struct mw_limits *mw_host_limits(const mw_host *h);
const struct mw_limits *mw_host_limits_given(const mw_host *h);    /* as they were given: 0 is the default */
/* The error of a limit that was reached, as mw_limits_reached has it; the hint says where this host's are set. Returns MW_ELIMIT. */
int mw_host_limit_reached(const mw_host *h, struct mw_err *err, const char *op, const char *subject, const char *name, const char *what);
/* Before another handle is made: 0; MW_ELIMIT when there are as many as there may be; MW_ECLOSED when the host is finishing. */
int mw_host_room(mw_host *h, const char *op, const char *subject, struct mw_err *err);

/* Where the running script stands: "quest.lua:12", the innermost function that is neither C nor one of our modules. "" when none
 * runs. Never raises. */
void mw_host_where(mw_host *h, char *out, size_t size);
/* Where it stood when it asked for what the loop does now: the answer of mw_host_where while no Lua runs. Lent; NULL: nowhere. */
void mw_host_stand(mw_host *h, const char *where);

/* The same clock as it was at most some milliseconds ago; costs a third. */
uint64_t mw_host_recently(mw_host *h);
/* Monotonic nanoseconds, without those between mw_host_pause and mw_host_resume. */
uint64_t mw_host_now(mw_host *h);
/* Between the two, which may nest, the host's clock stands still, and so do the timers of a loop of its own: a person is asked. Nothing
 * turns the loop meanwhile. */
void mw_host_pause(mw_host *h);
void mw_host_resume(mw_host *h);
/* 1 once the run is to end, or was interrupted: nobody is asked any more. */
int mw_host_ending(mw_host *h);

/* A resource that must not outlive its host: put the node first in it or find it by MW_LIST_ENTRY.
 * close() is called once at teardown if it is still adopted; it must disown (or be idempotent) and must not free memory that
 * Lua still points at: objects held by Lua are counted, the box holds one reference and the loop another. */
struct mw_handle {
    struct mw_list link;
    void (*close)(struct mw_handle *);
    uint64_t *count;                            /* the host's; set by mw_host_adopt */
    int (*busy)(struct mw_handle *);            /* NULL, or: 1 while a host that ends by itself should let it finish first; asked
                                                 * only then, so it may hurry; the owner sets it after mw_host_adopt */
};
void mw_host_adopt(mw_host *h, struct mw_handle *it, void (*close)(struct mw_handle *));
void mw_host_disown(struct mw_handle *it);      /* safe to repeat */

/* Calls fn for each that was adopted with this very `close`; it may not close or adopt any. */
void mw_host_each(mw_host *h, void (*close)(struct mw_handle *), void (*fn)(struct mw_handle *it, void *ud), void *ud);

/* What it counts of itself. Lent. */
struct mw_measures *mw_host_measures(mw_host *h);
/* What there is now, of its own. */
struct mw_host_census { uint64_t tasks, handles, timers, buffered; };
void mw_host_census(const mw_host *h, struct mw_host_census *out);

/* Something to be done at the end of a turn: when the ready tasks have run, before the loop looks at its descriptors or
 * sleeps. Lives inside its user; zero-initialised is unset. Asking twice is asking once; fn may ask again (for the next). */
struct mw_dusk {
    struct mw_list link;
    void (*fn)(struct mw_dusk *);
};
void mw_host_at_dusk(mw_host *h, struct mw_dusk *d, void (*fn)(struct mw_dusk *));
/* The same, sooner: when the task that runs waits for something or has ended, or another does before. Outside tasks: at dusk. */
void mw_host_at_rest(mw_host *h, struct mw_dusk *d, void (*fn)(struct mw_dusk *));
unsigned mw_host_turn(const mw_host *h);        /* a number for the time up to the next dusk; never 0 */
void mw_host_forget_dusk(struct mw_dusk *d);    /* safe to repeat */

/* Some C code pushes values onto the main state from loop callbacks, outside any protected call, where a refused allocation
 * would end the process. After mw_host_set_unprotected the memory limit binds only where Lua code runs: in tasks, and between
 * mw_host_in_callback(h, 1) and (h, 0), around a protected call that is no task's. What is pushed elsewhere is bounded by what
 * one read gives. */
void mw_host_set_unprotected(mw_host *h);
void mw_host_in_callback(mw_host *h, int on);

/* One pointer that a room hangs on a host, found by the address of a static const of its own. NULL until it was set; reading is
 * async-signal-safe. At most MW_SLOTS rooms: MW_ENOMEM beyond. The room takes it away again (NULL) when it frees it. */
#define MW_SLOTS 12
void *mw_host_slot(const mw_host *h, const void *key);
int mw_host_slot_set(mw_host *h, const void *key, void *value);

/* Blocks of MW_BLOCK bytes for queues that are empty most of the time: a few that came back are kept, so that a queue can be
 * without memory whenever it is empty. From malloc: they may as well be freed or grown. NULL: no memory. */
#define MW_BLOCK 4096
void *mw_host_block(mw_host *h);
void mw_host_block_back(mw_host *h, void *block);

/* The bytes that all queues of a host hold room for. A queue tells when its room changes, and while the host is crowded it
 * reads no further ahead, takes no new peer, and refuses to let one reader hold much more. */
#define MW_BUFFERED_MAX ((size_t)256 << 20)     /* bytes, unless the limits say otherwise */
void mw_host_charge(mw_host *h, size_t before, size_t now);
int mw_host_crowded(const mw_host *h);
/* 1 when it would be without the `own` bytes that the asker has charged: so one may hold much, and not many of them. */
int mw_host_crowded_beside(const mw_host *h, size_t own);
void mw_host_set_buffered_max(mw_host *h, size_t bytes);

/* Has the whole run traced: what scripts make from now on. t: held by the caller until the host has gone; NULL: no more. */
struct mw_trace;
void mw_host_set_trace(mw_host *h, struct mw_trace *t);
struct mw_trace *mw_host_trace(const mw_host *h);
/* While the hook `error` runs: the code of the script's error object, one of its own included; "" when it is none. Lent. */
const char *mw_host_said_code(const mw_host *h);

/* Writes one log line through the hook; level MW_LOG_... */
void mw_host_log(mw_host *h, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Runs until the root scope is empty; after mw_host_exit at most the grace longer. Own loop only. */
int mw_host_loop_run(mw_host *h);
/* Jobs of its own that are in libuv's thread pool: as many of the loop's requests are nobody else's. */
unsigned mw_host_works(const mw_host *h);
/* A job of somebody else's in that pool, which comes back to the Lua state: the host's end waits for it as for its own. 1: it began; 0: it
 * is back. */
void mw_host_lend_work(mw_host *h, int begins);
/* Something that does not come back still uses the memory of the Lua state: the end of the host leaves it as it is. */
void mw_host_keep_state(mw_host *h);
/* 1 while a turn of it is under way: the caller is one of its hooks, and may neither turn nor end it. */
int mw_host_in_turn(const mw_host *h);
/* Around a call of the embedder's that is made outside a turn too (a borrowed loop's callback, teardown): 1, then 0. They nest. */
void mw_host_hooked(mw_host *h, int on);
/* Whoever turns the loop was told something: this turn does not wait. */
void mw_host_told(mw_host *h);
/* From any thread: a loop that sleeps turns once, and looks at its sources. */
void mw_host_wake(mw_host *h);
/* Somebody outside may give it work though no task is left (by: 1), or no longer (-1): then a turn for a while waits, and looks at its
 * descriptors. */
void mw_host_listen(mw_host *h, int by);
/* One turn: blocks at most timeout_ms (-1: until something happens; 0: not at all). Returns 1 while the root scope holds
 * tasks. No bound but MW_TURN_MAX tasks and MW_TURN_NS. */
int mw_host_loop_turn(mw_host *h, int timeout_ms);
/* The same without blocking, for tasks until `until` (mw_host_now's clock): one that still runs then stands still (core/slice.c).
 * 0: each that is ready runs until it waits; no bound but MW_TURN_MAX tasks. */
int mw_host_loop_step(mw_host *h, uint64_t until);
/* 1: the time of this step is over, and each descriptor had its turn in it: what else came is left to the next. */
int mw_host_step_is_over(mw_host *h);
size_t mw_host_ready_count(mw_host *h);
/* For an outside loop that asks how long it may sleep, in milliseconds; -1: as long as nothing happens. Sets the loop's timer. */
int mw_host_loop_timeout(mw_host *h);
/* How long cleanup may take after an exit; default 5 s. */
void mw_host_set_grace(mw_host *h, unsigned grace_ms);
/* How long the `__close` functions of a cancelled task may wait, all together; default 5 s; 0: not at all. */
void mw_host_set_cleanup(mw_host *h, unsigned cleanup_ms);
/* How the limit of a step is held (core/hook.h); before the first turn. */
void mw_host_set_preempt(mw_host *h, enum mw_preempt how, int unlimited);     /* unlimited: a step has no limit */
/* Before the first turn: Lua code sees whether it must stop, by the timer or by counting, with or without a limit of a step: for a
 * thread that takes no signals. */
void mw_host_set_watchful(mw_host *h);
/* From any thread and from signal handlers: the run ends with `status`; running Lua code is stopped too. why: static. */
void mw_host_interrupt_at(mw_host *h, int status, const char *why);
/* Likewise: cancels the task that runs now, if it goes on for some milliseconds more without waiting, and nothing else. 1: one
 * runs; 0: none does. Wakes the loop. */
int mw_host_break_at(mw_host *h);
/* 1 if it may be: the loop is borrowed, and the end has not been asked for before. */
int mw_host_can_destroy_later(const mw_host *h);
int mw_host_destroys_later(const mw_host *h);   /* 1 once it was asked for */
/* For a borrowed loop: mw_host_destroy over later turns of it, then cb. */
void mw_host_destroy_later(mw_host *h, unsigned grace_ms, void (*cb)(void *), void *ud);
/* Bytes of the Lua state, and its limit. */
size_t mw_host_memory(mw_host *h, size_t *limit);
/* So many bytes more than the limit, until the same are taken back: for what shall still be heard when a script has filled its memory. */
void mw_host_lend_memory(mw_host *h, size_t bytes);
void mw_host_take_memory(mw_host *h, size_t bytes);
/* Before a luaL_Buffer that will take about so many bytes: it asks the allocator itself, and Lua does not collect garbage for it
 * when that refuses, as it does for everything else. Collects when there may be room to gain.                   [-0, +0, -] */
void mw_host_make_room(lua_State *L, size_t bytes);

#endif
