/* The slice of a step: a task that still runs when the step's budget is spent stands still, and the next step goes on with it before
 * any other task runs. To the script that is no wait: nothing of its own happens meanwhile, it is slow.
 * Knows: core, lua.h. Never: a budget outside mw_host_loop_step; code that cannot be suspended (it goes on, and is looked at again). */
#include "core/inside.h"

#define AGAIN 100               /* instructions between two looks then: some make a string of a thousand bytes each, and collect as much */
#define NEAR (2 * MW_SLICE_LEAD)    /* COUNT: ns before the end from which on it is looked so often */

/* Whether the budget will be spent within so many ns. */
static int is_over(mw_host *h, uint64_t within) {
    uint64_t at = atomic_load_explicit(&h->slice_at, memory_order_relaxed);
    return at != 0 && mw_host_now(h) + within >= at;
}

int mw_slice_over(lua_State *L) {
    mw_host *h = mw_host_of(L);
    mw_task *t = h->running;

    if (!is_over(h, 0) || t == NULL || !h->draining || h->apart > 0 || t->state != TASK_RUNNING || t->killed || !lua_isyieldable(L)) return 0;
    if (mw_step_spent(L)) return 1;
    t->sliced = 1;
    h->yielding = 1;
    lua_yield(L, 0); /* from a hook: it returns, and the machine stops before its next instruction */
    return 1;
}

static void hook(lua_State *L, lua_Debug *ar) {
    (void)ar;
    if (mw_slice_over(L)) return; /* the hook stays: the first one after it has yielded is passed over */
    if (is_over(mw_host_of(L), MW_SLICE_LEAD)) lua_sethook(L, hook, LUA_MASKCOUNT, AGAIN);
    else mw_hook_watch(L);
}

int mw_slice_count(mw_host *h, int count) {
    return is_over(h, NEAR) ? AGAIN : count;
}

void mw_slice_look(lua_State *L) {
    if (is_over(mw_host_of(L), 0) && !mw_hook_due(mw_host_of(L))) lua_sethook(L, hook, LUA_MASKCOUNT, 1);
}

/* As mw_hook_tick: one that got lost is set again by the next alarm. */
void mw_slice_alarm(mw_host *h) {
    lua_State *co = atomic_load_explicit(&h->co, memory_order_relaxed);

    if (co == NULL || atomic_load_explicit(&h->slice_at, memory_order_relaxed) == 0 || mw_hook_due(h)) return;
    lua_sethook(co, hook, LUA_MASKCOUNT, 1);
}

static void watch(void *ud, mw_task *t, const char *name, const char *state) {
    (void)ud;
    (void)name;
    (void)state;
    if (lua_gethook(t->co) == NULL) mw_hook_watch(t->co);
}

void mw_slice_open(mw_host *h, uint64_t at) {
    if (!h->slices) { /* counting looks as often as budgets need from now on */
        h->slices = 1;
        mw_state_slice(h);
        mw_hook_watch(h->L);
        mw_task_each(h, watch, NULL);
    }
    atomic_store_explicit(&h->slice_at, at, memory_order_relaxed);
}

void mw_slice_shut(mw_host *h) {
    atomic_store_explicit(&h->slice_at, 0, memory_order_relaxed);
    mw_tick_alarm(h, 0);
}
