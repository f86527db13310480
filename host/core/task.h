/* Tasks: coroutines run by the host, each a member of a scope; and scopes, which wait for their tasks.
 * Knows: core/wait, lua.h. Never: resumes inside an I/O callback; resumes from anywhere but the scheduler. */
#ifndef MW_CORE_TASK_H
#define MW_CORE_TASK_H

#include "core/host.h"
#include "core/raise.h"
#include "core/timer.h"
#include "core/wait.h"

typedef struct mw_task mw_task;
typedef struct mw_scope mw_scope;

/* Makes a task of the function and `nargs` arguments on top of L's stack (popped) and makes it ready.
 * scope       its home: the scope that waits for it
 * name        copied; NULL: none
 * daemon      1: the scope does not wait for it, but cancels it when nothing else is left
 * Returns 0 (*out, may be NULL, lent: valid while the task is held, mw_task_hold), or MW_ENOMEM, MW_ELIMIT, MW_ECANCELED. */
int mw_task_start(mw_scope *scope, lua_State *L, int nargs, const char *name, int daemon, mw_task **out, struct mw_err *err);

/* The same of a C function that is the base of the task's coroutine itself, a call less for each of thousands that wait: nobody above
 * it catches an error for its <close> variables, or remembers a traceback. */
int mw_task_start_bare(mw_scope *scope, lua_State *L, int nargs, struct mw_err *err);

/* How it ends is asked for by whoever made it and holds it (mw_task_push_results): no error of it is told to anybody else. */
void mw_task_answers(mw_task *t);

/* Runs `t`, just started, before all others and outside a turn, until it waits or has ended: 1 then. Its error is told to nobody: see
 * mw_task_push_results. Not from a task or a hook. */
int mw_task_run_now(mw_task *t);
/* 1 while a task stands still where the budget of a step ended: to it nothing may have happened when it goes on. */
int mw_task_cut_off(const mw_host *h);
/* How far the first of all tasks is: the main script, unless something else was started before. RESTED: it has waited for something. */
enum { MW_FIRST_BEGINS, MW_FIRST_RESTED, MW_FIRST_OVER };
int mw_task_first(const mw_host *h);

mw_task *mw_task_current(mw_host *h);            /* NULL outside the scheduler */
unsigned mw_task_number(const mw_task *t);       /* from 1 in the order in which they were made */
mw_task *mw_task_hold(mw_task *t);               /* one more reference */
void mw_task_release(mw_task *t);

/* Asks `t` to end: raises ECANCELED with `why` at its yield points until it has ended, save inside shields
 * and, for as long as mw_host_set_cleanup says, inside a script's `__close`. */
void mw_task_cancel(mw_task *t, const char *why);
/* The time of what cleans up there after a cancel is over now. */
void mw_task_hurry(mw_task *t);
int mw_task_done(const mw_task *t);

/* ---- Scopes: each waits for its tasks. A task's open scopes form a stack; `task.spawn` goes into the innermost. ---- */

struct mw_scope_options {
    int shield;                     /* cancels from outside do not reach in */
    uint64_t deadline;              /* absolute ns; MW_NEVER: none. Reached: the scope is cancelled, mw_scope_timed_out */
    int level;                      /* of the call on the stack that it ends with: 0, the door's; 1, its caller's */
};
/* Opens a scope in the running task. Counted: starts with one reference for the task's stack and one for the caller. */
int mw_scope_open(mw_host *h, const struct mw_scope_options *options, mw_scope **out, struct mw_err *err);
void mw_scope_release(mw_scope *s);
/* The running task, which has opened none, is to have one of its own: made when something is spawned there, for most tasks of a
 * server never. mw_scope_own: that one, or NULL; only while none is open within it. mw_scope_drop_own: shuts it, or gives it up. */
void mw_scope_promise(mw_host *h);
mw_scope *mw_scope_own(mw_host *h);
void mw_scope_drop_own(mw_host *h);
/* Takes it off its task's stack (idempotent). All members must have ended, or they are cancelled and go to the task's home. */
void mw_scope_shut(mw_scope *s);
/* Its holder in Lua was: it is shut and released, once the task that runs waits or has ended. */
void mw_scope_collected(mw_scope *s);
void mw_scope_cancel(mw_scope *s, const char *why);
int mw_scope_is_empty(const mw_scope *s);           /* no members at all */
int mw_scope_is_open(const mw_scope *s);
int mw_scope_timed_out(const mw_scope *s);
/* 1 if the scope itself was cancelled (deadline, a member's failure, mw_scope_cancel), and not only from outside. */
int mw_scope_was_cancelled(const mw_scope *s);
/* 1 if it was cancelled from outside. */
int mw_scope_was_cut_off(const mw_scope *s);
/* Pushes the first member's error and returns 1, or 0 and pushes nothing. */
int mw_scope_push_error(lua_State *L, mw_scope *s);
/* Waits until no member is left (daemons are cancelled when only they are): then k(L, 0, ctx). Cancels do not interrupt
 * it: they go to the members. Only the owner may wait. */
int mw_scope_wait(lua_State *L, mw_scope *s, lua_KContext ctx, lua_KFunction k);
/* The innermost scope of the running task (its home if it opened none); NULL: no memory to make the one that it was promised. */
mw_scope *mw_scope_current(mw_host *h);
mw_task *mw_scope_owner(const mw_scope *s);
/* From now on nobody is asked for a right that what runs in it lacks, however deep: who works there is not who sits at the terminal. */
void mw_scope_unasked(mw_scope *s);
/* 1 if the running task stands in such a scope. */
int mw_host_unasked(const mw_host *h);

/* Joining: pushes a done task's results and returns their number; *failed 1: it is one error value. */
struct mw_wait *mw_task_ended(mw_task *t);
int mw_task_push_results(lua_State *L, mw_task *t, int *failed);
const char *mw_task_name(const mw_task *t);
/* 1 if it was cancelled by name (mw_task_cancel) or with its scope. */
int mw_task_was_cancelled(const mw_task *t);

/* The guarded coroutine library: a primitive's wait inside a script's coroutine suspends the whole task. Pushes a table. */
int mw_coroutine_open(lua_State *L);
/* Puts its functions in the place of Lua's own, in the table that is there. luas: luaopen_coroutine.             [-0, +0, e] */
void mw_coroutine_amend(lua_State *L, lua_CFunction luas);

/* lua_pcallk's message handler: remembers the traceback of what is raised, so that an error which crosses scopes and tasks
 * keeps its first one. mw_traceback_of pushes it (or ""). */
int mw_traceback(lua_State *L);
void mw_traceback_of(lua_State *L, int idx);

/* Tells the host's error hook of the error value on top of L (popped), as of a task that nobody joined, and counts it.
 * Raises nothing.                                                                                      [-1, +0, -] */
void mw_task_report(lua_State *L);

/* Calls fn for each live task: its name (or ""), state ("ready", "waiting", "running"), and coroutine. */
void mw_task_each(mw_host *h, void (*fn)(void *ud, mw_task *t, const char *name, const char *state), void *ud);

/* What a task is about. `what`: the function that it waits in, as the script called it ("" while it does not wait); where: the
 * script's line that did; base: the function that it began with. Any of the three may be "". */
struct mw_task_look {
    unsigned number;
    const char *name, *state;        /* lent; name may be NULL */
    int daemon, cancelled;
    uint64_t ms;                     /* since it ran last, as the loop's clock has it */
    char what[40], where[64], base[64];
};
void mw_task_look(const mw_task *t, struct mw_task_look *out);
mw_task *mw_task_find(mw_host *h, unsigned number);         /* NULL: it has ended, or never was. Lent */

/* Has errors of the scope's tasks that nobody joins handed to the function on top of L (popped), which runs as a task of its own:
 * f(number, name, err, traceback). They cancel nobody then, and do not reach the scope's owner.         [-1, +0, m] */
void mw_scope_supervise(mw_scope *s, lua_State *L);

/* Cancels the root scope; the host's run then ends with `code`. The first call wins. Loop thread only. */
void mw_host_exit(mw_host *h, int code, const char *why);
/* The same, asked for by the script itself: what it has written still goes out, as far as the time for cleanup allows. */
void mw_host_quit(mw_host *h, int code, const char *why);
/* 1 and *code if mw_host_exit was called. */
int mw_host_exit_code(mw_host *h, int *code);
/* How many errors reached the error hook because nobody joined their task. */
unsigned mw_host_failures(mw_host *h);

/* Runs ready tasks: at least one, and others until `until` (absolute ns; 0: no bound), until MW_TURN_MAX have run, or for MW_TURN_NS.
 * Called by core/host only. */
int mw_task_drain(mw_host *h, uint64_t until);

#endif
