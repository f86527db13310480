/* Blocking work on the thread pool, waited for by a task.
 * Knows: core/wait, uv.h. Never: what the work is. */
#ifndef MW_CORE_WORK_H
#define MW_CORE_WORK_H

#include "core/wait.h"

/* Allocate with malloc (put it first in your own struct), fill run and free, then mw_work_yield.
 * run: on a pool thread; touches only this struct. free: on the loop thread, exactly once, releases everything. */
struct mw_work {
    void (*run)(struct mw_work *);
    void (*free)(struct mw_work *);
    /* core's */
    uv_work_t req;
    mw_host *host;
    struct mw_wait done;
    int finished, abandoned;
};

/* Takes `w`. Queues it and parks the task until it is done; then k(L, 0, ctx) runs: read the results from w, then call
 * w->free(w). On MW_ETIMEDOUT k runs with that code and `w` is no longer yours (it frees itself when the thread is through);
 * on cancel the same and ECANCELED is raised. ctx is usually (lua_KContext)w. */
int mw_work_yield(lua_State *L, struct mw_work *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k);

/* Whatever else puts a job on the thread pool of libuv (luv's functions do) asks first. 0, or a code: no threads can be made. */
int mw_work_prepare(mw_host *h);

/* The same without a task to wait: free() is called when done. 0 or a code (then `w` has been freed). */
int mw_work_detach(mw_host *h, struct mw_work *w);

#endif
