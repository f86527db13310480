/* The turn of the loop: ready tasks run, what the turn gathered is sent, sources are looked at, then the loop may block.
 * Knows: core, uv.h. Never: a primitive by name. */
#include "core/host.h"

#include "core/inside.h"

#define LOOKS_A_STEP 2
#define LAST_WORDS_NS 30000000000u  /* how long a host that ends by itself waits for those who take what is unsent */

static void at(struct mw_list *when, struct mw_dusk *d, void (*fn)(struct mw_dusk *)) {
    if (d->link.next != NULL && !mw_list_empty(&d->link)) return;
    d->fn = fn;
    mw_list_add(when, &d->link);
}
void mw_host_at_dusk(mw_host *h, struct mw_dusk *d, void (*fn)(struct mw_dusk *)) {
    at(&h->dusk, d, fn);
}
void mw_host_at_rest(mw_host *h, struct mw_dusk *d, void (*fn)(struct mw_dusk *)) {
    at(h->running != NULL ? &h->rest : &h->dusk, d, fn);
}
void mw_host_forget_dusk(struct mw_dusk *d) {
    if (d->link.next != NULL) mw_list_remove(&d->link);
}
static void do_all(struct mw_list *list) {
    struct mw_list now;

    if (mw_list_empty(list)) return;
    mw_list_init(&now);
    mw_list_splice(&now, list);
    while (!mw_list_empty(&now)) {
        struct mw_dusk *d = MW_LIST_ENTRY(now.next, struct mw_dusk, link);
        mw_list_remove(&d->link);
        d->fn(d);
    }
}
unsigned mw_host_turn(const mw_host *h) {
    return h->turn;
}
void mw_loop_rest(mw_host *h) {
    if (!mw_list_empty(&h->graves)) mw_scope_bury_all(h);
    do_all(&h->rest);
}
void mw_loop_dusk(mw_host *h) {
    if (!mw_list_empty(&h->graves)) mw_scope_bury_all(h);
    do_all(&h->rest);
    do_all(&h->dusk);
    if (++h->turn == 0) h->turn = 1;
}

void mw_loop_stay_up(mw_host *h) {
    if (h->idling) return;
    h->idling = 1;
    uv_idle_start(&h->idle, mw_idle);
}

/* How long the loop was kept from its descriptors: what came meanwhile has waited so long. Two looks at the clock, when somebody asks. */
static void drain_timed(mw_host *h) {
    uint64_t began = mw_host_now(h);

    h->stirred += (unsigned)mw_task_drain(h, h->until);
    mw_loop_dusk(h);
    mw_measure(&h->measures, MW_TIME_LAG, mw_host_now(h) - began);
}

void mw_loop_drain(mw_host *h) {
    if (!h->turning && !mw_list_empty(&h->ready)) mw_tick_start(h); /* a borrowed loop is turned by whatever thread has it */
    if (h->until != 0 && !mw_list_empty(&h->ready)) mw_tick_alarm(h, h->until - MW_SLICE_LEAD);
    if (h->measures.times[MW_TIME_LAG] != NULL && !mw_list_empty(&h->ready)) {
        drain_timed(h);
    } else {
        h->stirred += (unsigned)mw_task_drain(h, h->until);
        mw_loop_dusk(h);
    }
    if (!mw_list_empty(&h->ready)) {
        mw_loop_stay_up(h);
    } else if (h->idling && !h->ending) { /* ending: the handle is core/host's */
        uv_idle_stop(&h->idle);
        h->idling = 0;
    }
}

static void take_interrupt(mw_host *h) {
    if (atomic_load(&h->interrupted) != 0 && !h->exiting)
        mw_host_exit(h, atomic_load(&h->interrupted) - 1, atomic_load(&h->interrupt_why));
}

static void on_check(uv_check_t *it) {
    mw_host *h = it->data;

    mw_sources_up(h);
    mw_sources_look(h);
    take_interrupt(h); /* what came in this turn's callbacks is not overtaken by its tasks */
    if (h->until == 0 || mw_host_now(h) < h->until) {
        mw_loop_drain(h);
    } else {
        mw_loop_dusk(h); /* the tasks of this turn have had their time before, or have it first in the next */
        h->tasks_first = 1;
    }
    if (!h->turning && mw_sources_down(h)) mw_loop_stay_up(h); /* whoever turns it may leave it at any time */
}
/* The last that runs before the loop blocks, save that libuv then asks how long it may: not at all beside an idle handle. */
static void on_prepare(uv_prepare_t *it) {
    mw_host *h = it->data;

    mw_timers_arm(h);
    if ((h->may_sleep && mw_sources_down(h)) || h->look_again || !mw_list_empty(&h->dusk)) mw_loop_stay_up(h); /* a timer may ask for dusk */
    h->look_again = 0;
}
static void arm(mw_host *h) {
    uv_update_time(h->loop);
    mw_timers_arm(h);
    if (h->look_again) mw_loop_stay_up(h);
}
int mw_host_loop_timeout(mw_host *h) {
    int own, foreign;

    arm(h);
    own = mw_timers_due(h);
    foreign = uv_backend_timeout(h->loop);
    return own < 0 || (foreign >= 0 && foreign < own) ? foreign : own;
}
static void on_async(uv_async_t *it) {
    mw_host *h = it->data;

    atomic_store(&h->rung, 0);
    take_interrupt(h);
}
void mw_host_wake(mw_host *h) {
    atomic_store(&h->rung, 1);
    uv_async_send(&h->async);
}

int mw_loop_open(mw_host *h) {
    int rc = uv_async_init(h->loop, &h->async, on_async);

    if (rc < 0) return rc;
    uv_check_init(h->loop, &h->check);
    uv_idle_init(h->loop, &h->idle);
    uv_prepare_init(h->loop, &h->prepare);
    uv_timer_init(h->loop, &h->bound);
    h->check.data = h->idle.data = h->prepare.data = h->async.data = h->bound.data = h;
    uv_check_start(&h->check, on_check);
    uv_prepare_start(&h->prepare, on_prepare);
    uv_unref((uv_handle_t *)&h->check);
    uv_unref((uv_handle_t *)&h->prepare);
    h->open_handles += 5;
    return 0;
}

void mw_host_exit(mw_host *h, int code, const char *why) {
    h->leaves = 0;
    if (h->exiting) return;
    h->exiting = 1;
    h->exit_code = code;
    atomic_store(&h->stop_lua, 1); /* a loop that swallows its cancel is stopped by the hook */
    if (atomic_load(&h->co) != NULL) mw_hook_arm(atomic_load(&h->co));
    mw_scope_cancel(h->root, why != NULL ? why : "exit");
}
int mw_host_exit_code(mw_host *h, int *code) {
    if (h->exiting) *code = h->exit_code;
    return h->exiting;
}

int mw_host_ending(mw_host *h) {
    return h->exiting || h->closing || atomic_load(&h->interrupted) != 0;
}

int mw_loop_alive(mw_host *h) {
    if (h->root->live == 0 && !mw_list_empty(&h->root->tasks)) mw_scope_cancel_daemons(h->root);
    return !mw_list_empty(&h->root->tasks);
}

int mw_host_in_turn(const mw_host *h) {
    return h->turning || h->draining || h->hooked;
}
void mw_host_hooked(mw_host *h, int on) {
    h->hooked += on ? 1 : -1;
}
void mw_host_told(mw_host *h) {
    h->told = 1;
}
void mw_host_listen(mw_host *h, int by) {
    h->listeners += by;
}

static void on_bound(uv_timer_t *t) {
    (void)t;
}
void mw_loop_bound(mw_host *h, uint64_t ms) {
    uv_update_time(h->loop);
    uv_timer_start(&h->bound, on_bound, ms, 0);
}

static void block(mw_host *h) {
    uint64_t stirred = h->stirred;

    h->may_sleep = 1;
    uv_run(h->loop, UV_RUN_ONCE);
    h->may_sleep = 0;
    if (uv_is_active((uv_handle_t *)&h->bound)) uv_timer_stop(&h->bound);
    mw_timers_slept(h);
    mw_spin_slept(h, stirred);
}

/* No task is left. A step looks at the sources and, if somebody outside may give it work, at the descriptors; it may wait for them when
 * nothing ran before (else its caller is told first that there are no tasks). 0: there is nothing to do. */
static int goes_on(mw_host *h, int fresh, int *timeout_ms) {
    if (mw_sources_look(h) && mw_loop_alive(h)) return 1;
    if (h->listeners == 0 || !fresh || h->exiting) *timeout_ms = 0;
    return h->listeners > 0 || atomic_load_explicit(&h->rung, memory_order_relaxed);
}

/* The sources are up. may_spin: the next turn follows at once, until there are no tasks. */
static int turn(mw_host *h, int timeout_ms, int may_spin) {
    int fresh = mw_list_empty(&h->root->tasks);

    h->turning = 1;
    h->told = 0;
    take_interrupt(h);
    mw_loop_drain(h);
    if (h->told && !may_spin) timeout_ms = 0;
    if (!mw_loop_alive(h) && (may_spin ? !(mw_sources_look(h) && mw_loop_alive(h)) : !goes_on(h, fresh, &timeout_ms))) {
        h->turning = 0;
        return 0;
    }
    if (timeout_ms == 0 || !mw_list_empty(&h->ready)) {
        uv_run(h->loop, UV_RUN_NOWAIT);
    } else if (!may_spin || !mw_spin_wait(h)) {
        if (timeout_ms > 0) mw_loop_bound(h, (uint64_t)timeout_ms);
        block(h);
    }
    h->turning = 0;
    return mw_loop_alive(h);
}

int mw_host_loop_turn(mw_host *h, int timeout_ms) {
    int alive;

    if (h->owns_loop) mw_sources_up(h);
    mw_tick_start(h);
    alive = turn(h, timeout_ms, 0);
    if (h->owns_loop && mw_sources_down(h)) alive = mw_loop_alive(h); /* what it finds makes tasks ready, and the caller is told */
    return alive;
}

int mw_host_step_is_over(mw_host *h) {
    return h->until != 0 && h->looks_taken > 0 && mw_host_now(h) >= h->until;
}

/* What came is looked at first and tasks have what time is left, so that neither comes on top of the other; where looking took
 * all of it, they are first the next time. When tasks have run, what they asked for may have come already: another look. And who is
 * ready runs as long as there is time. */
int mw_host_loop_step(mw_host *h, uint64_t until) {
    uint64_t stirred;
    int first = h->tasks_first;

    if (until == 0) {
        int alive;

        h->each = 1;
        alive = mw_host_loop_turn(h, 0);
        h->each = 0;
        return alive;
    }
    if (h->owns_loop) mw_sources_up(h);
    h->turning = 1;
    h->until = until;
    mw_tick_start(h);
    mw_slice_open(h, until);
    take_interrupt(h);
    h->looks_taken = 0;
    h->tasks_first = 0;
    if (first) mw_loop_drain(h);
    while (h->looks_taken < LOOKS_A_STEP || !mw_list_empty(&h->ready)) {
        if (first && mw_host_now(h) >= until) break;
        stirred = h->stirred;
        uv_run(h->loop, UV_RUN_NOWAIT);
        h->looks_taken++;
        if (h->stirred == stirred || mw_host_now(h) >= until) break;
    }
    mw_slice_shut(h);
    h->until = 0;
    h->turning = 0;
    if (h->owns_loop) mw_sources_down(h);
    return mw_loop_alive(h);
}

/* Each is asked, and begins with what it has to do. */
static int any_busy(mw_host *h) {
    int busy = 0;

    for (struct mw_list *at = h->handles.next; at != &h->handles; at = at->next) {
        struct mw_handle *it = MW_LIST_ENTRY(at, struct mw_handle, link);
        if (it->busy != NULL && it->busy(it)) busy = 1;
    }
    return busy;
}

void mw_host_quit(mw_host *h, int code, const char *why) {
    int leaves = h->leaves || !h->exiting;

    mw_host_exit(h, code, why);
    h->leaves = leaves;
}

static int may_finish(mw_host *h) {
    return !h->exiting || (h->leaves && atomic_load(&h->interrupted) == 0);
}

/* The tasks have ended; what they handed over may still be on its way. One that the script itself has ended has the time that there
 * is for cleanup. An interrupt ends the wait. */
static void finish_handles(mw_host *h) {
    uint64_t now = mw_host_now(h), until = !h->exiting ? now + LAST_WORDS_NS : h->grace_at != 0 ? h->grace_at : now + h->grace_ns;

    h->turning = 1;
    while (may_finish(h) && any_busy(h) && (now = mw_host_now(h)) < until) {
        mw_loop_bound(h, (until - now) / 1000000 + 1);
        block(h);
    }
    h->turning = 0;
}

int mw_host_loop_run(mw_host *h) {
    int timeout_ms = -1;

    mw_sources_up(h);
    mw_tick_start(h);
    do {
        uint64_t now;
        if (!h->exiting) continue;
        now = mw_host_now(h);
        if (h->grace_at == 0) h->grace_at = now + h->grace_ns;
        if (timeout_ms >= 0 && now >= h->grace_at) break; /* cleanup has had its time, and one turn at least */
        timeout_ms = now >= h->grace_at ? 0 : h->grace_at - now > 60000000000u ? 60000 : (int)((h->grace_at - now) / 1000000) + 1;
    } while (turn(h, timeout_ms, 1));
    finish_handles(h);
    mw_sources_down(h);
    return 0;
}
