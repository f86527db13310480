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

mw_task *mw_task_current(mw_host *h);            /* NULL outside the scheduler */
mw_task *mw_task_hold(mw_task *t);               /* one more reference */
void mw_task_release(mw_task *t);

/* Asks `t` to end: raises ECANCELED with `why` at its yield points until it has ended, save inside shields. */
void mw_task_cancel(mw_task *t, const char *why);
int mw_task_done(const mw_task *t);

/* Calls fn for each live task: its name (or ""), state ("ready", "waiting", "running"), and coroutine. */
void mw_task_each(mw_host *h, void (*fn)(void *ud, mw_task *t, const char *name, const char *state), void *ud);

/* Cancels the root scope; the host's run then ends with `code`. The first call wins. Loop thread only. */
void mw_host_exit(mw_host *h, int code, const char *why);
/* 1 and *code if mw_host_exit was called. */
int mw_host_exit_code(mw_host *h, int *code);
/* How many errors reached the error hook because nobody joined their task. */
unsigned mw_host_failures(mw_host *h);

/* Runs ready tasks for at most budget_ns (0: one drain of the queue as it stands, plus what they make ready, at most
 * MW_TURN_MAX tasks). Called by core/host only. */
int mw_task_drain(mw_host *h, uint64_t budget_ns);

/* The Lua doors of tasks and scopes: pushes a table of functions for bind/task. See core/task_lua.c. */

#endif
