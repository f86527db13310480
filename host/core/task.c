/* Tasks: their life from start to end, and the ready queue that is drained in one place.
 * Knows: core, lua.h. Never: a primitive by name. */
#include "core/task.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/inside.h"

mw_task *mw_task_current(mw_host *h) {
    return h->running;
}
mw_task *mw_task_hold(mw_task *t) {
    t->refs++;
    return t;
}
unsigned mw_task_number(const mw_task *t) {
    return t->number;
}
void mw_task_answers(mw_task *t) {
    t->answers = 1;
}
int mw_task_done(const mw_task *t) {
    return t->state == TASK_DONE;
}

void mw_task_release(mw_task *t) {
    if (t == NULL || --t->refs > 0) return;
    if (t->host != NULL && t->ref != LUA_NOREF) luaL_unref(t->host->L, LUA_REGISTRYINDEX, t->ref);
    free(t->name);
    free(t->why);
    free(t->picture);
    free(t);
}

/* ---- A task's own side: the function at the base of its coroutine --------------------------------------------------- */

static int base_k(lua_State *L, int status, lua_KContext ctx) {
    mw_task *t = (mw_task *)ctx;
    struct mw_err err;

    t->failed = status != LUA_OK && status != LUA_YIELD;
    if (!t->failed) return lua_gettop(L) - 1;
    mw_err_from(L, -1, &err); /* here, where running out of memory can be raised */
    t->cancel_error = err.code == MW_ECANCELED;
    return 1;
}
static int base(lua_State *L) { /* task f args... */
    mw_task *t = lua_touserdata(L, 1);
    lua_pushcfunction(L, mw_traceback);
    lua_replace(L, 1); /* traceback f args... */
    return base_k(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, (lua_KContext)t, base_k), (lua_KContext)t);
}

static int too_many(mw_host *h, const char *name, struct mw_err *err) {
    char what[96];
    snprintf(what, sizeof what, "%llu tasks have not ended, at most %llu are allowed", (unsigned long long)h->task_count, (unsigned long long)h->limits.tasks);
    return mw_host_limit_reached(h, err, "task", name, "tasks", what);
}

/* bare: the function is the base itself. */
static int start(mw_scope *scope, lua_State *L, int nargs, const char *name, int daemon, int bare, mw_task **out, struct mw_err *err) {
    mw_host *h = scope->host;
    lua_State *co;
    mw_task *t;
    int ref;

    if (h->task_count >= h->limits.tasks) return too_many(h, name, err);
    if (h->closing || (h->exiting && scope->cancelled)) return mw_err_set(err, MW_ECANCELED, "task", name, "the host is shutting down");
    luaL_checkstack(L, nargs + 8, "task");
    co = lua_newthread(L);                  /* [f args... co] */
    mw_co_mark(L, co, MW_CO_BASE, 1);
    if (!lua_checkstack(co, nargs + 8)) return mw_err_set(err, MW_ENOMEM, "task", name, NULL);
    ref = luaL_ref(L, LUA_REGISTRYINDEX);   /* [f args...] */
    t = calloc(1, sizeof *t);
    if (t != NULL && name != NULL && (t->name = strdup(name)) == NULL) {
        free(t);
        t = NULL;
    }
    if (t == NULL) {
        luaL_unref(L, LUA_REGISTRYINDEX, ref);
        lua_pop(L, nargs + 1);
        return mw_err_set(err, MW_ENOMEM, "task", name, NULL);
    }
    if (h->picture != NULL) mw_picture_named(h, h->task_number + 1, name, L, -nargs - 1);
    if (!bare) {
        lua_pushcfunction(co, base);
        lua_pushlightuserdata(co, t);
    }
    lua_xmove(L, co, nargs + 1);            /* [] */
    t->host = h;
    t->number = ++h->task_number;
    t->home = scope;
    t->co = co;
    t->ref = ref;
    t->refs = 1;
    t->values = bare ? nargs : nargs + 2;
    t->daemon = daemon != 0;
    mw_list_init(&t->queue);
    mw_wait_init(&t->ended);
    mw_list_add(&h->tasks, &t->all);
    h->task_count++;
    mw_list_add(&scope->tasks, &t->member);
    if (!daemon) scope->live++;
    if (scope->cancelled) mw_task_cancel(t, scope->why);
    t->state = TASK_PARKED;
    mw_task_ready(t, 0);
    if (out != NULL) *out = t;
    return 0;
}

int mw_task_start(mw_scope *scope, lua_State *L, int nargs, const char *name, int daemon, mw_task **out, struct mw_err *err) {
    return start(scope, L, nargs, name, daemon, 0, out, err);
}
int mw_task_start_bare(mw_scope *scope, lua_State *L, int nargs, struct mw_err *err) {
    return start(scope, L, nargs, NULL, 0, 1, NULL, err);
}

/* ---- Cancelling ------------------------------------------------------------------------------------------------------ */

mw_scope *mw_task_cancelling(mw_task *t) {
    for (mw_scope *s = t->inner; s != NULL; s = s->outer) {
        if (s->cancelled) return s;
        if (s->shield) return NULL;
    }
    return t->cancelled ? t->home : NULL;
}

static void poke(mw_task *t) {
    if (t->state == TASK_PARKED && !t->uncancellable && mw_task_cancelling(t) != NULL) mw_task_ready(t, MW_ECANCELED);
}

static void set_why(char **at, const char *why) {
    if (*at == NULL && why != NULL) *at = strdup(why); /* without memory the reason is lost, the cancel is not */
}

static void doom(mw_task *t, struct mw_list *todo) {
    if (t->state == TASK_DONE || t->cancelled) return;
    t->cancelled = 1;
    mw_list_add(todo, &t->doomed);
}
static void cancel_members(mw_scope *s, struct mw_list *todo) {
    for (struct mw_list *l = s->tasks.next; l != &s->tasks; l = l->next) doom(MW_LIST_ENTRY(l, mw_task, member), todo);
}

/* Marks the scopes of t's stack from `from` (exclusive, NULL: all) inward as cancelled from outside, up to a shield. */
static void cancel_inner(mw_task *t, mw_scope *from, const char *why, struct mw_list *todo) {
    mw_scope *barrier = NULL, *s;

    for (s = t->inner; s != NULL && s != from; s = s->outer)
        if (s->shield) barrier = s;
    s = t->inner;
    if (barrier != NULL) s = barrier->outer;
    for (; s != NULL && s != from; s = s->outer) {
        if (s->cancelled) continue;
        s->cancelled = CANCEL_OUTER;
        set_why(&s->why, why);
        cancel_members(s, todo);
        mw_wait_wake(&s->changed);
    }
}

/* One after the other: tasks may be nested deeper than the C stack is. */
static void cancel_all(struct mw_list *todo, const char *why) {
    while (!mw_list_empty(todo)) {
        mw_task *t = MW_LIST_ENTRY(todo->next, mw_task, doomed);
        mw_list_remove(&t->doomed);
        set_why(&t->why, why);
        mw_cleanup_look(t);
        cancel_inner(t, NULL, why, todo);
        poke(t);
    }
}

void mw_task_cancel(mw_task *t, const char *why) {
    struct mw_list todo;

    mw_list_init(&todo);
    doom(t, &todo);
    cancel_all(&todo, why);
}

void mw_scope_cancel(mw_scope *s, const char *why) {
    mw_task *t = s->owner;
    struct mw_list todo;

    if (s->cancelled) return; /* one that came from outside is not swallowed here */
    s->refs++;
    mw_list_init(&todo);
    s->cancelled = CANCEL_OWN;
    set_why(&s->why, why);
    cancel_members(s, &todo);
    if (t != NULL) mw_cleanup_look(t);
    if (s->owner != NULL) { /* else it was a shield whose call is over */
        cancel_inner(t, s, why, &todo);
        poke(t);
    }
    cancel_all(&todo, why);
    mw_wait_wake(&s->changed);
    mw_scope_release(s);
}

/* ---- The scheduler --------------------------------------------------------------------------------------------------- */

void mw_idle(uv_idle_t *it) {
    (void)it;
}

void mw_task_ready(mw_task *t, int code) {
    mw_host *h = t->host;

    if (t->state != TASK_PARKED) return;
    mw_list_remove(&t->queue);
    if (t->deadline.slot != 0) mw_timer_stop(h, &t->deadline);
    t->code = code;
    t->state = TASK_READY;
    h->ready_count++;
    if (h->picture != NULL) mw_picture_woken(t);
    mw_list_add(&h->ready, &t->queue);
    if (!h->idling && !h->draining && !h->closing) {
        h->idling = 1;
        uv_idle_start(&h->idle, mw_idle); /* the loop must not sleep while somebody is ready */
    }
}

/* Scopes left open by a task that ended: their members go to the home scope, cancelled. */
static void abandon_scopes(mw_task *t) {
    while (t->inner != NULL) {
        mw_scope *s = t->inner;
        t->inner = s->outer;
        s->owner = NULL;
        s->outer = NULL;
        if (s->cleanup) t->cleanups--;
        mw_scope_cancel(s, "its task has ended");
        if (s->deadline.slot != 0) mw_timer_stop(t->host, &s->deadline);
        while (!mw_list_empty(&s->tasks)) {
            mw_task *m = MW_LIST_ENTRY(s->tasks.next, mw_task, member);
            mw_list_remove(&m->member);
            mw_list_add(&t->home->tasks, &m->member);
            m->home = t->home;
            if (!m->daemon) {
                s->live--;
                t->home->live++;
            }
        }
        s->open = 0;
        mw_scope_drop_sink(s);
        mw_scope_release(s);
    }
}

static void end(mw_task *t, int nresults) {
    mw_scope *home = t->home;

    t->values = nresults;
    if (t->state == TASK_READY) t->host->ready_count--;
    if (t->sliced) atomic_store(&t->host->standing, 0);
    t->state = TASK_DONE;
    if (t->number == 1) t->host->first = MW_FIRST_OVER;
    mw_list_remove(&t->queue);
    mw_list_remove(&t->all);
    t->host->task_count--;
    if (t->deadline.slot != 0) mw_timer_stop(t->host, &t->deadline);
    abandon_scopes(t);
    mw_scope_drop_task(home, t);
    t->home = NULL;
    mw_wait_wake(&t->ended);
    mw_task_release(t);
}

void mw_task_forsake(mw_task *t) {
    end(t, 0);
}

/* The error of a task that was closed.                                                                     [-0, +1, m] */
static int killed(lua_State *L) {
    mw_host *h = mw_host_of(L);
    struct mw_err err;

    if (atomic_load(&h->overdue) && !atomic_load(&h->stop_lua)) {
        mw_step_error(h, &err);
        mw_err_push(L, &err);
    } else {
        lua_pushliteral(L, "killed: it went on running after it was cancelled");
    }
    return 1;
}

/* The count hook has yielded out of a loop that swallows its cancellation: close the coroutine for good. */
void mw_task_kill(mw_task *t) {
    mw_host *h = t->host;
    mw_task *was = h->running;
    lua_State *co = atomic_load_explicit(&h->co, memory_order_relaxed);

    h->running = t;
    atomic_store_explicit(&h->co, t->co, memory_order_relaxed);
    t->killed = 1;
    t->strikes = 0;
    mw_hook_arm(t->co);     /* a __close that does not come back is ended too */
    lua_resetthread(t->co); /* runs pending __close; they cannot wait */
    lua_sethook(t->co, NULL, 0, 0);
    atomic_store_explicit(&h->co, co, memory_order_relaxed);
    h->running = was;
    t->failed = 1;
    lua_settop(t->co, 0);
    lua_pushcfunction(h->L, killed);
    lua_pcall(h->L, 0, 1, 0);
    lua_xmove(h->L, t->co, 1);
    end(t, 1);
}

static int look_at_error(lua_State *L) { /* error task */
    mw_task *t = lua_touserdata(L, 2);
    struct mw_err err;

    mw_err_from(L, 1, &err);
    t->cancel_error = err.code == MW_ECANCELED;
    return 0;
}

/* An error left its coroutine: a bare task's, or there was no memory for the message handler of another. Its results are the error. */
static int failed(mw_host *h, mw_task *t) {
    t->failed = 1;
    if (lua_gettop(t->co) == 0) return 0;
    if (!lua_checkstack(h->L, 4) || !lua_checkstack(t->co, 1)) return 1;
    lua_pushcfunction(h->L, look_at_error);
    lua_pushvalue(t->co, -1);
    lua_xmove(t->co, h->L, 1);
    lua_pushlightuserdata(h->L, t);
    if (lua_pcall(h->L, 2, 0, 0) != LUA_OK) lua_pop(h->L, 1);
    return 1;
}

/* Its budget has ended: the next step begins with it. */
static void stand_still(mw_host *h, mw_task *t) {
    h->yielding = 0;
    mw_step_hold(h, t);
    t->state = TASK_READY;
    h->ready_count++;
    mw_list_add(h->ready.next, &t->queue);
}

static void step(mw_host *h, mw_task *t) {
    int nres = 0, nargs = t->values, status;

    t->values = 0;
    mw_list_remove(&t->queue);
    h->ready_count--;
    t->state = TASK_RUNNING;
    h->running = t;
    atomic_store_explicit(&h->co, t->co, memory_order_relaxed);
    if (t->sliced) mw_step_go_on(h, t);
    else mw_step_begin(h);
    if (atomic_load_explicit(&h->stop_lua, memory_order_relaxed)) mw_hook_arm(t->co);
    if (h->picture != NULL) mw_picture_resumed(t);
    status = lua_resume(t->co, h->L, nargs, &nres);
    atomic_store_explicit(&h->co, NULL, memory_order_relaxed);
    h->running = NULL;
    if (h->picture != NULL) mw_picture_rests(t, status != LUA_YIELD);
    if (status == LUA_YIELD && t->sliced) {
        stand_still(h, t);
        return;
    }
    if (h->first == MW_FIRST_BEGINS && t->number == 1) h->first = MW_FIRST_RESTED;
    if (status == LUA_YIELD) {
        int long_step = atomic_load_explicit(&h->head.long_step, memory_order_relaxed);
        int rests = h->yielding && (t->state != TASK_READY || long_step); /* one that only lets others go first goes on at once */
        t->since = uv_now(h->loop);
        if (!h->yielding) mw_task_kill(t);
        h->yielding = 0;
        if (rests) mw_loop_rest(h);
        return;
    }
    if (status != LUA_OK) nres = failed(h, t);
    end(t, nres);
    mw_loop_rest(h);
}

int mw_task_drain(mw_host *h, uint64_t until) {
    uint64_t began = mw_host_now(h);
    int count = 0;

    if (h->grace_at != 0 && (until == 0 || until > h->grace_at)) until = h->grace_at;
    if (h->draining) return 0;
    h->draining = 1;
    while (!mw_list_empty(&h->ready) && count < MW_TURN_MAX) {
        step(h, MW_LIST_ENTRY(h->ready.next, mw_task, queue));
        count++;
        if (until != 0 && mw_host_now(h) >= until) break;
        if (!h->each && count % 4 == 0 && mw_host_now(h) - began >= MW_TURN_NS) break; /* tasks that go on and on keep nobody from a descriptor */
    }
    h->draining = 0;
    return count;
}

int mw_task_run_now(mw_task *t) {
    mw_host *h = t->host;

    mw_tick_start(h);
    t->answers = 1;
    h->draining = h->at_once = 1;
    if (t->state == TASK_READY) step(h, t);
    h->draining = h->at_once = 0;
    t->answers = t->state == TASK_DONE;
    mw_loop_dusk(h);
    if (!mw_list_empty(&h->ready)) mw_loop_stay_up(h);
    return t->state == TASK_DONE;
}
int mw_task_cut_off(const mw_host *h) {
    return !mw_list_empty(&h->ready) && MW_LIST_ENTRY(h->ready.next, mw_task, queue)->sliced; /* the next that runs */
}
int mw_task_first(const mw_host *h) {
    return h->first;
}

void mw_task_each(mw_host *h, void (*fn)(void *, mw_task *, const char *, const char *), void *ud) {
    static const char *const names[] = {"ready", "running", "waiting", "done"};
    for (struct mw_list *l = h->tasks.next; l != &h->tasks; l = l->next) {
        mw_task *t = MW_LIST_ENTRY(l, mw_task, all);
        fn(ud, t, t->name != NULL ? t->name : "", names[t->state]);
    }
}
