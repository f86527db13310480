/* Waiting: parks the running task, and calls its continuation when it is woken.
 * Knows: core, lua.h. Never: what is waited for. */
#include "core/wait.h"

#include "core/inside.h"
#include "core/raise.h"

#define RAISED_AT_ONCE 16   /* cancels raised in a task before it has to share the loop with others for each */
#define RAISED_MAX 10000    /* cancels swallowed; then the task is closed */

void mw_wait_init(struct mw_wait *w) {
    mw_list_init(&w->parked);
}

void mw_wait_wake(struct mw_wait *w) {
    while (mw_wait_wake_one(w)) {}
}

int mw_wait_wake_one(struct mw_wait *w) {
    if (mw_list_empty(&w->parked)) return 0;
    mw_task_ready(MW_LIST_ENTRY(w->parked.next, mw_task, queue), 0);
    return 1;
}

int mw_wait_possible(lua_State *L) {
    mw_host *h = mw_host_of(L);
#ifdef MW_MODULE /* a coroutine that Lua's own resume runs would take the yield for its own */
    if (h->running != NULL && L != atomic_load_explicit(&h->co, memory_order_relaxed)) return 0;
#endif
    return h->running != NULL && lua_isyieldable(L) && !h->closing;
}

static int cannot(lua_State *L, mw_host *h) {
    if (h->running == NULL && h->lent) return mw_raise_inval(L, "task", "cannot wait here: call it inside mw.main(function() ... end)");
    if (h->running == NULL) return mw_raise_inval(L, "task", "cannot wait outside a task");
    if (h->closing) return mw_raise_inval(L, "task", "cannot wait: the host is shutting down");
    if (lua_isyieldable(L) && L != atomic_load_explicit(&h->co, memory_order_relaxed))
        return mw_raise_inval(L, "task", "cannot wait here: this coroutine was made or resumed by what `coroutine` held before require \"moonwire\"");
    return mw_raise_inval(L, "task",
                          "cannot wait here: a C function that cannot be suspended is on the call stack "
                          "(table.sort, string.gsub, __gc, a metamethod called from C, coroutine.close, or a uv callback)");
}

/* Raises ECANCELED with the reason of whoever cancelled the running task. */
int mw_wait_cancelled(lua_State *L) {
    mw_task *t = mw_host_of(L)->running;
    mw_scope *s = t != NULL ? mw_task_cancelling(t) : NULL;
    const char *why = NULL;
    struct mw_err err;

    if (!mw_wait_possible(L)) return cannot(L, mw_host_of(L));
    if (s != NULL) why = s == t->home ? t->why : s->why;
    mw_err_set(&err, MW_ECANCELED, "task", t != NULL ? t->name : NULL, why != NULL ? why : "cancelled");
    return mw_raise(L, &err);
}

static int resumed(lua_State *L, int status, lua_KContext ctx) {
    mw_task *t = mw_host_of(L)->running;
    (void)status;
    (void)ctx;
    if (t->code == MW_ECANCELED && !t->raw) return mw_wait_cancelled(L);
    if (t->code == MW_EINVAL) return t->raw ? t->k(L, MW_ECANCELED, t->ctx) : cannot(L, t->host); /* see coroutine.c */
    return t->k(L, t->code, t->ctx);
}

static void timed_out(struct mw_timer *timer) {
    mw_task_ready(MW_LIST_ENTRY(timer, mw_task, deadline), MW_ETIMEDOUT);
}

int mw_wait_park(lua_State *L, struct mw_wait *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k, int raw, int uncancellable) {
    mw_host *h = mw_host_of(L);
    mw_task *t = h->running;
    int cancelled;

    if (!mw_wait_possible(L)) return raw ? k(L, MW_ECANCELED, ctx) : cannot(L, h); /* raw: it undoes, then raises the same */
    if (mw_cleanup_due(t)) mw_cleanup_look(t);
    cancelled = !uncancellable && mw_task_cancelling(t) != NULL;
    if (cancelled && ++t->raised <= RAISED_AT_ONCE) return raw ? k(L, MW_ECANCELED, ctx) : mw_wait_cancelled(L);
    if (cancelled && t->raised > RAISED_MAX) { /* it swallows them all: closed for good */
        mw_host_log(h, MW_LOG_WARN, "%s%s went on after it was cancelled %d times; it is closed", t->name != NULL ? "task " : "a task",
                    t->name != NULL ? t->name : "", RAISED_MAX);
        t->killed = 1;
        return lua_yield(L, 0);
    }
    t->k = k;
    t->ctx = ctx;
    t->raw = raw != 0;
    t->uncancellable = uncancellable != 0;
    t->code = 0;
    t->state = TASK_PARKED;
    if (cancelled) { /* by way of the scheduler, so that others run beside a loop that swallows its cancels */
        mw_task_ready(t, MW_ECANCELED);
        h->yielding = 1;
        return lua_yieldk(L, 0, 0, resumed);
    }
    if (w != NULL) mw_list_add(&w->parked, &t->queue);
    if (deadline != MW_NEVER) {
        if (deadline <= mw_host_now(h) || mw_timer_start(h, &t->deadline, deadline, timed_out) < 0) mw_task_ready(t, MW_ETIMEDOUT);
    } else if (w == NULL) {
        mw_task_ready(t, 0);
    }
    h->yielding = 1;
    return lua_yieldk(L, 0, 0, resumed);
}

int mw_wait_yield(lua_State *L, struct mw_wait *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k) {
    return mw_wait_park(L, w, deadline, ctx, k, 0, 0);
}

int mw_wait_yield_raw(lua_State *L, struct mw_wait *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k) {
    return mw_wait_park(L, w, deadline, ctx, k, 1, 0);
}

/* Raised even in a shield or where nothing can wait: who leaves does not go on. */
int mw_wait_exit(lua_State *L, int code, const char *why) {
    mw_host *h = mw_host_of(L);
    struct mw_err err;

    mw_host_quit(h, code, why);
    if (h->running != NULL) mw_cleanup_look(h->running);
    if (mw_wait_possible(L) && mw_task_cancelling(h->running) != NULL) return mw_wait_park(L, NULL, MW_NEVER, 0, NULL, 0, 0);
    mw_err_set(&err, MW_ECANCELED, "task", h->running != NULL ? h->running->name : NULL, why);
    return mw_raise(L, &err);
}

int mw_wait_pass(lua_State *L, lua_KContext ctx, lua_KFunction k) {
    return mw_wait_park(L, NULL, MW_NEVER, ctx, k, 0, 0);
}
