/* Waiting: a place where tasks park, and the yield that parks them.
 * Knows: base, uv.h, lua.h. Never: what is waited for. */
#ifndef MW_CORE_WAIT_H
#define MW_CORE_WAIT_H

#include <lua.h>
#include <stdint.h>

#include "base/list.h"
#include "core/host.h"

/* A place to park, used as a condition variable: the woken task looks again at what it waited for.
 * Lives inside the object that is waited for. Init before use; must be empty (mw_wait_wake) before its memory goes. */
struct mw_wait {
    struct mw_list parked;      /* of tasks */
};

void mw_wait_init(struct mw_wait *w);
static inline int mw_wait_empty(const struct mw_wait *w) { return mw_list_empty(&w->parked); }

/* Makes every parked task ready with code 0 (they run later, from the scheduler, never inside this call). */
void mw_wait_wake(struct mw_wait *w);
/* The same for the task that has waited longest; returns 1 if there was one. */
int mw_wait_wake_one(struct mw_wait *w);

#define MW_NEVER 0u             /* no deadline */

/* Parks the running task on `w` and yields. When woken, k(L, code, ctx) is called with the same stack:
 *   code 0              woken by mw_wait_wake: look again
 *   code MW_ETIMEDOUT   the deadline (absolute, mw_host_now's clock; MW_NEVER: none) passed
 * If the task is cancelled, ECANCELED is raised instead of k (at once, without parking, if it already was).
 * Works inside a script's own coroutines too. Raises EINVAL where a yield is impossible (table.sort's comparator, ...).
 * Use: return mw_wait_yield(L, &s->readable, deadline, ctx, read_k); */
int mw_wait_yield(lua_State *L, struct mw_wait *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k);

/* The same for primitives with something to undo: k gets MW_ECANCELED too, undoes, and ends with
 * return mw_wait_cancelled(L), which raises. */
int mw_wait_yield_raw(lua_State *L, struct mw_wait *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k);
int mw_wait_cancelled(lua_State *L);

/* 1 if the caller may wait here (it runs in a task and may yield). */
int mw_wait_possible(lua_State *L);

/* Ends the host's run with `code` (mw_host_exit) and raises ECANCELED in the caller, wherever it stands. */
int mw_wait_exit(lua_State *L, int code, const char *why);

/* Lets other ready tasks run, then calls k(L, 0, ctx); a cancelled task raises. */
int mw_wait_pass(lua_State *L, lua_KContext ctx, lua_KFunction k);

#endif
