/* The interrupt, and the limit of a step: stop Lua code that does not come back by itself.
 * Knows: core, lua.h. Never: runs unless somebody interrupted the host or the step took too long; until then it costs nothing
 * (COUNT apart, which has to look). */
#include "core/hook.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>

#include "core/inside.h"
#include "core/raise.h"

#define GRACE 3000000       /* instructions that code may run between two strikes: some 30 ms of cleanup */
#define GRACE_LOOK 2000     /* instructions between two looks whether */
#define GRACE_NS 100000000u /* they took more than that: each may be a call that works long, such as an allocation that fails */
#define RESUMES 2000        /* coroutines it may resume meanwhile */
#define STRIKES 5           /* raised so often, then its coroutine is closed */
#define LOOK 10000          /* COUNT: instructions between two looks at the clock */
#define LOOK_SLICE 500      /* instructions between two looks whether a budget is spent */
#define LOOK_RESUMES 200
#define BREAK_NS 10000000u  /* a step that ends within that time after a break is none that computes without end */
#define BREAK_LOOK 1000     /* instructions between two looks whether it is */

static void strike(lua_State *L, lua_Debug *ar);

static void take_interrupt(mw_host *h) {
    if (atomic_load(&h->interrupted) != 0 && !h->exiting) mw_host_exit(h, atomic_load(&h->interrupted) - 1, atomic_load(&h->interrupt_why));
}

static int must_stop(const mw_host *h) {
    return atomic_load_explicit(&h->stop_lua, memory_order_relaxed) || atomic_load_explicit(&h->overdue, memory_order_relaxed) ||
           (h->running != NULL && h->running->killed);
}
int mw_hook_due(const mw_host *h) {
    return must_stop(h) || atomic_load_explicit(&h->breaking, memory_order_relaxed) || (h->running != NULL && h->running->broken);
}

/* A break binds the step that it found. 1: that goes on too long, and is broken; 0: there is none, or it is too early to say. */
static int take_break(mw_host *h) {
    if (!atomic_load(&h->breaking) || uv_hrtime() - atomic_load(&h->break_at) < BREAK_NS) return 0;
    atomic_store(&h->breaking, 0);
    if (h->running == NULL) return 1;
    h->running->broken = 1;
    mw_task_cancel(h->running, "interrupted");
    return 1;
}

/* ---- The step -------------------------------------------------------------------------------------------------------- */

void mw_step_begin(mw_host *h) {
    atomic_store_explicit(&h->step_at, atomic_load_explicit(&h->ticks, memory_order_relaxed), memory_order_relaxed);
    h->step_began = 0;
    h->looks = 0;
    h->due_ticks = 0;
    atomic_store_explicit(&h->head.long_step, 0, memory_order_relaxed);
    if (atomic_load_explicit(&h->overdue, memory_order_relaxed)) atomic_store(&h->overdue, 0);
    if (atomic_load_explicit(&h->breaking, memory_order_relaxed)) atomic_store(&h->breaking, 0);
    if (h->running != NULL) h->running->broken = 0;
    if (atomic_load_explicit(&h->stop_lua, memory_order_relaxed)) return;
    h->apart_strikes = 0;
    if (h->running != NULL) h->running->strikes = 0;
}

void mw_step_error(mw_host *h, struct mw_err *err) {
    char limit[32], what[96];

    mw_limits_show(MW_LIMIT_TIME, h->limits.step_ns, limit, sizeof limit);
    snprintf(what, sizeof what, "%s of processor time without waiting", limit);
    mw_host_limit_reached(h, err, "step", NULL, "step", what);
}

static uint64_t processor_time(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) < 0) return 1;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* COUNT: how long has this step been running? */
static uint64_t used(mw_host *h) {
    uint64_t now = processor_time();
    if (h->step_began == 0) h->step_began = now;
    return now - h->step_began;
}
static void look_at_clock(mw_host *h) {
    uint64_t ns = h->preempt == MW_PREEMPT_COUNT ? used(h) : 0;
    if (ns >= h->limits.step_ns / 10) atomic_store_explicit(&h->head.long_step, 1, memory_order_relaxed);
    if (ns >= h->limits.step_ns) atomic_store(&h->overdue, 1);
}

/* TIMER: its ticks are as coarse as the kernel's, and slices shorter; from the second on they are measured. */
static uint64_t used_in_slices(mw_host *h) {
    unsigned ticks = atomic_load_explicit(&h->ticks, memory_order_relaxed) - atomic_load_explicit(&h->step_at, memory_order_relaxed);
    return h->step_began != 0 || h->preempt == MW_PREEMPT_COUNT ? used(h) : ticks * h->tick_ns;
}
void mw_step_hold(mw_host *h, mw_task *t) {
    t->held = used_in_slices(h);
    atomic_store(&h->standing, 1);
}
void mw_step_go_on(mw_host *h, mw_task *t) {
    unsigned ticks = h->ticking ? (unsigned)(t->held / h->tick_ns) : 0;

    t->sliced = 0;
    atomic_store(&h->standing, 0);
    if (mw_hook_due(h)) mw_hook_arm(t->co);
    h->step_began = processor_time() - t->held;
    atomic_store_explicit(&h->step_at, atomic_load_explicit(&h->ticks, memory_order_relaxed) - ticks, memory_order_relaxed);
}
int mw_step_spent(lua_State *L) {
    mw_host *h = mw_host_of(L);

    if (!h->ticking || h->limits.step_ns == MW_LIMIT_OFF || used_in_slices(h) < h->limits.step_ns) return 0;
    atomic_store(&h->overdue, 1);
    strike(L, NULL);
    return 1;
}

/* TIMER: on the host's own thread, between any two of its instructions. A hook that was set while the code took over another
 * coroutine or entered a function may have got lost: it is set again as long as it has not been seen. */
void mw_hook_tick(mw_host *h) {
    unsigned now = atomic_load_explicit(&h->ticks, memory_order_relaxed) + 1;
    unsigned ticks = now - atomic_load_explicit(&h->step_at, memory_order_relaxed);
    lua_State *co = atomic_load_explicit(&h->co, memory_order_relaxed);

    atomic_store_explicit(&h->ticks, now, memory_order_relaxed);
    if (co == NULL) return;
    if (ticks >= 2 && ticks >= h->step_ticks / 10) atomic_store_explicit(&h->head.long_step, 1, memory_order_relaxed);
    if (ticks > h->step_ticks && !atomic_exchange(&h->overdue, 1))
        atomic_store_explicit(&h->struck_at, now - h->again_ticks, memory_order_relaxed);
    h->due_ticks = mw_hook_due(h) ? h->due_ticks + 1 : 0;
    if (!must_stop(h)) h->due_ticks = h->due_ticks > 0; /* a break alone is no reason to end the process */
    if (h->due_ticks > h->stuck_ticks && h->hooks.stuck != NULL)
        h->hooks.stuck(h->hooks.ud, atomic_load(&h->interrupted) != 0 ? atomic_load(&h->interrupted) - 1 : 1);
    if (h->due_ticks == 0 || now - atomic_load_explicit(&h->struck_at, memory_order_relaxed) < h->again_ticks) return;
    if (!atomic_load(&h->overdue) && lua_gethook(co) == strike) return; /* it is cleaning up, and counted */
    atomic_store_explicit(&h->struck_at, now, memory_order_relaxed);
    lua_sethook(co, strike, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static void look(lua_State *L, lua_Debug *ar) {
    mw_host *h = mw_host_of(L);

    if (!h->slices || ++h->looks >= LOOK / LOOK_SLICE) {
        h->looks = 0;
        look_at_clock(h);
    }
    if (mw_hook_due(h)) {
        strike(L, ar);
    } else if (h->slices && !mw_slice_over(L)) {
        int count = mw_slice_count(h, LOOK_SLICE);
        if (count != lua_gethookcount(L)) lua_sethook(L, look, LUA_MASKCOUNT, count);
    }
}

void mw_hook_watch(lua_State *L) {
    mw_host *h = mw_host_of(L);
    int counts = h->preempt == MW_PREEMPT_COUNT && (h->limits.step_ns != MW_LIMIT_OFF || h->watchful || h->slices);

    if (counts != atomic_load_explicit(&h->counts, memory_order_relaxed)) atomic_store(&h->counts, counts);
    if (counts)
        lua_sethook(L, look, LUA_MASKCOUNT, h->slices ? LOOK_SLICE : LOOK);
    else if (!h->lent || lua_gethook(L) == strike || lua_gethook(L) == look) lua_sethook(L, NULL, 0, 0); /* another is somebody else's */
}

/* The count of a hook is its coroutine's own: code that makes many short ones is counted by them. */
void mw_hook_came_back(lua_State *L) {
    mw_host *h = mw_host_of(L);

    if (++h->looks < (h->slices ? LOOK_RESUMES / 10 : LOOK_RESUMES)) return;
    h->looks = 0;
    look_at_clock(h);
    mw_slice_look(L);
}

int mw_step_may_wait(lua_State *L) {
    mw_host *h = mw_host_of(L);
    return mw_wait_possible(L) && !h->at_once && mw_task_cancelling(h->running) == NULL;
}

static int again(lua_State *L, int code, lua_KContext ctx) {
    (void)code;
    return ((lua_CFunction)ctx)(L);
}
int mw_step_share(lua_State *L, lua_CFunction fn) {
    return mw_wait_pass(L, (lua_KContext)fn, again);
}

/* ---- Striking -------------------------------------------------------------------------------------------------------- */

static int raise_cancel(lua_State *L, mw_host *h, const char *op, const char *subject) {
    struct mw_err err;
    const char *why = atomic_load(&h->interrupt_why);

    if (why == NULL && h->running != NULL) why = h->running->why;
    mw_err_set(&err, MW_ECANCELED, op, subject, why != NULL ? why : "cancelled");
    return mw_raise(L, &err);
}
static int raise_step(lua_State *L, mw_host *h) {
    struct mw_err err;
    mw_step_error(h, &err);
    return mw_raise(L, &err);
}

static void rest_begin(mw_host *h, lua_State *L, uint64_t now) {
    h->rest_of = L;
    h->rest_left = GRACE;
    h->rest_until = now + GRACE_NS;
}
/* Who was struck may still clean up. One that takes turns with others begins anew; its resumes are counted. */
static int rests(mw_host *h, lua_State *L) {
    uint64_t now = processor_time();

    if (h->rest_of != L) rest_begin(h, L, now);
    h->rest_left -= GRACE_LOOK;
    return h->rest_left > 0 && now < h->rest_until;
}
static void strike_again(mw_host *h, lua_State *L, int strikes) { /* 1: no pcall in a loop outlasts it */
    if (strikes <= STRIKES) rest_begin(h, L, processor_time());
    lua_sethook(L, strike, LUA_MASKCOUNT, strikes > STRIKES ? 1 : GRACE_LOOK);
}

/* A finalizer, whichever task was running: it ends. */
static void strike_apart(mw_host *h, lua_State *L) {
    if (!mw_hook_due(h)) return;
    take_interrupt(h);
    strike_again(h, L, ++h->apart_strikes);
    if (atomic_load(&h->overdue)) raise_step(L, h);
    else raise_cancel(L, h, "finalizer", NULL);
}

/* Lua that runs in a callback, outside tasks: it has nothing to clean up, and ends. */
static void strike_callback(mw_host *h, lua_State *L, int broken) {
    if (h->callbacks == 0 || !(broken || mw_hook_due(h))) return;
    take_interrupt(h);
    strike_again(h, L, ++h->callback_strikes);
    if (broken || atomic_load(&h->stop_lua)) raise_cancel(L, h, "callback", NULL);
    else raise_step(L, h);
}

static void strike_task(mw_host *h, lua_State *L, mw_task *t, int may_yield) {
    int cancel;

    if (!mw_hook_due(h)) return;
    take_interrupt(h);
    if (++t->strikes > STRIKES && may_yield && lua_isyieldable(L) && !t->killed) {
        t->killed = 1;
        lua_yield(L, 0); /* to the scheduler, which closes it */
        return;
    }
    strike_again(h, L, t->strikes);
    cancel = atomic_load(&h->stop_lua) || t->killed || t->broken;
    if (cancel && (mw_task_cancelling(t) != NULL || t->strikes > 2 || t->killed)) raise_cancel(L, h, "task", t->name);
    if (atomic_load(&h->overdue)) raise_step(L, h);
}

static void strike(lua_State *L, lua_Debug *ar) {
    mw_host *h = mw_host_of(L);
    int broken;

    if (ar != NULL && ar->event == LUA_HOOKCOUNT && lua_gethookcount(L) == GRACE_LOOK && rests(h, L)) return;
    atomic_store_explicit(&h->struck_at, atomic_load_explicit(&h->ticks, memory_order_relaxed), memory_order_relaxed);
    h->spent = 0;
    h->last_strike = atomic_load_explicit(&h->ticks, memory_order_relaxed);
    mw_hook_watch(L);
    broken = take_break(h);
    if (!broken && !must_stop(h) && atomic_load(&h->breaking)) {
        if (!h->watchful) lua_sethook(L, strike, LUA_MASKCOUNT, BREAK_LOOK);
        return;
    }
    if (h->apart > 0) strike_apart(h, L);
    else if (h->running == NULL) strike_callback(h, L, broken);
    else strike_task(h, L, h->running, ar == NULL || ar->event == LUA_HOOKCOUNT); /* call hooks cannot yield */
}

void mw_hook_arm(lua_State *co) {
    mw_host *h = mw_host_of(co);

    if (lua_gethook(co) == strike && lua_gethookmask(co) != 0) return; /* arming again would begin its count anew */
    if (atomic_load_explicit(&h->breaking, memory_order_relaxed)) lua_sethook(co, strike, LUA_MASKCOUNT, BREAK_LOOK);
    else if (h->apart > 0) strike_again(h, co, h->apart_strikes);
    else if (h->running != NULL && h->running->strikes == 0) lua_sethook(co, strike, LUA_MASKCOUNT, GRACE);
    else lua_sethook(co, strike, LUA_MASKCOUNT, 100000);
}

/* In this order: a handler that comes before it finds the one that runs no more, but its word is found; one that comes after finds `co`. */
void mw_hook_run(mw_host *h, lua_State *co) {
    atomic_store_explicit(&h->co, co, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (mw_hook_due(h)) mw_hook_arm(co);
}

void mw_hook_resumed(lua_State *L) {
    mw_task *t = mw_host_of(L)->running;

    if (t != NULL && ++t->resumes >= RESUMES) {
        t->resumes = 0;
        lua_sethook(L, strike, LUA_MASKCOUNT, 1);
    } else {
        mw_hook_arm(L);
    }
}

void mw_budget_look(struct mw_budget *b) {
    mw_host *h = mw_host_of(b->L);
    int strikes;

    h->spent += (unsigned)(MW_BUDGET - b->left);
    b->left = MW_BUDGET;
    if (h->limits.step_ns != MW_LIMIT_OFF) look_at_clock(h);
    if (!mw_hook_due(h)) {
        h->spent = 0; /* what was done before it had to stop does not shorten its cleanup */
        return;
    }
    strikes = h->apart > 0 ? h->apart_strikes : h->running != NULL ? h->running->strikes : h->callback_strikes;
    if ((strikes == 0 && atomic_load(&h->overdue)) || strikes > STRIKES || h->spent >= GRACE ||
        (strikes > 0 && h->ticking && atomic_load_explicit(&h->ticks, memory_order_relaxed) - h->last_strike >= h->again_ticks))
        strike(b->L, NULL);
}

void mw_host_set_watchful(mw_host *h) {
    if (h->preempt == MW_PREEMPT_NONE) h->preempt = MW_PREEMPT_COUNT;
    h->watchful = 1;
    mw_hook_watch(h->L);
}

/* On the host's own thread, between any two of its instructions. */
static void stop_here(mw_host *h) {
    lua_State *co = atomic_load(&h->co);

    if (co == NULL) return; /* whoever begins to run Lua code looks */
    if (atomic_load(&h->stop_lua)) lua_sethook(co, strike, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    else if (atomic_load(&h->breaking) && !h->watchful) lua_sethook(co, strike, LUA_MASKCOUNT, BREAK_LOOK);
}

void mw_hook_prodded(mw_host *h) {
    if (pthread_equal(atomic_load(&h->thread), pthread_self())) stop_here(h);
}

/* lua_sethook is for the thread that runs the state, and for a handler that interrupts it there, as lua.c's own does: from elsewhere it
 * would write into a call that has become another one meanwhile. */
static void stop(mw_host *h) {
    if (pthread_equal(atomic_load(&h->thread), pthread_self())) stop_here(h);
    else if (!atomic_load(&h->counts)) mw_tick_prod(h);
}

/* Async-signal-safe. */
void mw_host_interrupt_at(mw_host *h, int status, const char *why) {
    int none = 0;

    atomic_store(&h->interrupt_why, why);
    atomic_compare_exchange_strong(&h->interrupted, &none, 1 + status);
    atomic_store(&h->stop_lua, 1);
    stop(h);
    mw_host_wake(h);
}

/* Async-signal-safe. */
int mw_host_break_at(mw_host *h) {
    int runs = atomic_load(&h->co) != NULL || atomic_load(&h->standing);

    if (runs) {
        if (!atomic_load(&h->breaking)) atomic_store(&h->break_at, uv_hrtime());
        atomic_store(&h->breaking, 1);
        stop(h);
    }
    mw_host_wake(h);
    return runs;
}

/* ---- Apart ----------------------------------------------------------------------------------------------------------- */

static int apart(lua_State *L) { /* f args... -> ok, result or error: a frame that cannot yield */
    lua_pushboolean(L, lua_pcall(L, lua_gettop(L) - 1, 1, 0) == LUA_OK);
    lua_insert(L, 1);
    return 2;
}

static void too_long(lua_State *L, lua_Debug *ar) {
    (void)ar;
    lua_sethook(L, too_long, LUA_MASKCOUNT, 1); /* no pcall in a loop outlasts it */
    luaL_error(L, "it takes too long");
}

int mw_call_apart(lua_State *L, int nargs) {
    return mw_call_apart_within(L, nargs, 0);
}

int mw_call_apart_within(lua_State *L, int nargs, int instructions) {
    mw_host *h = mw_host_of(L);
    lua_State *was = atomic_load_explicit(&h->co, memory_order_relaxed), *co;
    int n = 0, status, failed;

    if (h->apart_strikes > STRIKES && mw_hook_due(h)) {
        lua_pop(L, nargs + 1);
        return -1;
    }
    co = lua_newthread(L);                              /* [f args... co] */
    if (!lua_checkstack(co, nargs + 8)) return luaL_error(L, "stack overflow");
    lua_insert(L, -(nargs + 2));                        /* [co f args...] */
    mw_hook_watch(co);
    if (instructions > 0) lua_sethook(co, too_long, LUA_MASKCOUNT, instructions);
    lua_pushcfunction(co, apart);
    lua_xmove(L, co, nargs + 1);
    h->apart++;
    mw_hook_run(h, co);
    status = lua_resume(co, L, nargs + 1, &n);
    atomic_store_explicit(&h->co, was, memory_order_relaxed);
    h->apart--;
    if (was != NULL && atomic_load(&h->overdue) && h->running != NULL && h->running->strikes == 0) lua_sethook(was, strike, LUA_MASKCOUNT, 1);
    else if (was != NULL && mw_hook_due(h)) mw_hook_resumed(was);
    failed = status != LUA_OK || !lua_toboolean(co, -n);
    lua_xmove(co, L, 1);                                /* [co value] */
    lua_remove(L, -2);
    return failed;
}
