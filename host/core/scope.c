/* Scopes: each waits for its tasks; the first error cancels the others and goes to the owner.
 * Knows: core, lua.h. Never: resumes a task. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/inside.h"
#include "core/raise.h"

#define LOST (-3) /* in error_ref, beside LUA_NOREF and LUA_REFNIL (the error value is nil): it failed, with no memory to say how */

mw_scope *mw_scope_create(mw_host *h) {
    mw_scope *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->host = h;
    s->refs = 1;
    s->open = 1;
    s->error_ref = s->sink_ref = LUA_NOREF;
    mw_list_init(&s->tasks);
    mw_wait_init(&s->changed);
    return s;
}

/* It may be what holds the scope. */
void mw_scope_drop_sink(mw_scope *s) {
    if (s->sink_ref != LUA_NOREF && !s->host->closing) luaL_unref(s->host->L, LUA_REGISTRYINDEX, s->sink_ref);
    s->sink_ref = LUA_NOREF;
}

void mw_scope_release(mw_scope *s) {
    if (s == NULL || --s->refs > 0) return;
    if (s->error_ref != LUA_NOREF && !s->host->closing) luaL_unref(s->host->L, LUA_REGISTRYINDEX, s->error_ref);
    mw_scope_drop_sink(s);
    free(s->why);
    free(s);
}

static void timed_out(struct mw_timer *t) {
    mw_scope *s = MW_LIST_ENTRY(t, mw_scope, deadline);
    if (!s->cancelled) s->timed_out = 1;
    mw_scope_cancel(s, "timed out");
}

/* Innermost in t's stack, which holds it as well. */
static void enter(mw_scope *s, mw_task *t) {
    s->owner = t;
    s->outer = t->inner;
    t->inner = s;
    s->refs++;
}

int mw_scope_open(mw_host *h, const struct mw_scope_options *options, mw_scope **out, struct mw_err *err) {
    mw_task *t = h->running;
    mw_scope *s;

    if (t == NULL) return mw_err_set(err, MW_EINVAL, "task scope", NULL, "cannot be opened outside a task");
    s = mw_scope_create(h);
    if (s == NULL) return mw_err_set(err, MW_ENOMEM, "task scope", NULL, NULL);
    if (options->deadline != MW_NEVER && mw_timer_start(h, &s->deadline, options->deadline, timed_out) < 0) {
        mw_scope_release(s);
        return mw_err_set(err, MW_ENOMEM, "task scope", NULL, NULL);
    }
    s->shield = options->shield != 0;
    s->frame = mw_cleanup_frame(atomic_load_explicit(&h->co, memory_order_relaxed), options->level, &s->function);
    enter(s, t);
    *out = s;
    return 0;
}

void mw_scope_promise(mw_host *h) {
    h->running->promised = 1;
}

/* The task's own one stands outermost in its stack. */
mw_scope *mw_scope_own(mw_host *h) {
    mw_scope *s = h->running->inner;

    while (s != NULL && !s->own) s = s->outer;
    return s;
}

void mw_scope_drop_own(mw_host *h) {
    mw_scope *s = mw_scope_own(h);

    h->running->promised = 0;
    if (s != NULL) mw_scope_shut(s);
}

/* What was promised: the task's stack alone holds it. */
static mw_scope *keep_promise(mw_host *h, mw_task *t) {
    mw_scope *s = mw_scope_create(h);

    if (s == NULL) return NULL;
    enter(s, t);
    s->own = 1;
    if (t->cancelled) {                     /* as it would be if it had been there */
        s->cancelled = CANCEL_OUTER;
        s->why = t->why != NULL ? strdup(t->why) : NULL;
    }
    s->refs--;
    t->promised = 0;
    return s;
}

void mw_scope_shut(mw_scope *s) {
    mw_task *t = s->owner;

    if (!s->open) return;
    s->open = 0;
    if (s->deadline.slot != 0) mw_timer_stop(s->host, &s->deadline);
    if (t == NULL) return;
    if (s->cleanup) t->cleanups--;
    for (mw_scope **at = &t->inner; *at != NULL; at = &(*at)->outer)
        if (*at == s) {
            *at = s->outer;
            break;
        }
    s->owner = NULL;
    s->outer = NULL;
    while (!mw_list_empty(&s->tasks)) { /* closed by collection: nobody is left to wait for them here */
        mw_task *m = MW_LIST_ENTRY(s->tasks.next, mw_task, member);
        mw_scope *home = t->home != NULL ? t->home : s->host->root;
        mw_list_remove(&m->member);
        mw_list_add(&home->tasks, &m->member);
        m->home = home;
        if (!m->daemon) {
            s->live--;
            home->live++;
        }
        mw_task_cancel(m, "its scope is gone");
    }
    mw_scope_drop_sink(s);
    mw_scope_release(s);
}

/* The collector runs in the midst of what a task does, and the running task's innermost scope, or its home, may be in somebody's hand there:
 * both may belong to code that nobody will ever go on with. */
void mw_scope_collected(mw_scope *s) {
    mw_list_init(&s->grave);
    mw_list_add(&s->host->graves, &s->grave);
    if (s->host->closing) mw_scope_bury_all(s->host);
}
void mw_scope_bury_all(mw_host *h) {
    while (!mw_list_empty(&h->graves)) {
        mw_scope *s = MW_LIST_ENTRY(h->graves.next, mw_scope, grave);

        mw_list_remove(&s->grave);
        mw_scope_shut(s); /* nobody is in its body any more, so that whatever its task does now is not in it */
        mw_scope_release(s);
    }
}

/* A cancellation that somebody asked for is no failure. */
static int is_failure(const mw_task *t) {
    return t->failed && !(t->cancelled && (t->cancel_error || t->killed));
}

static int report(lua_State *L) { /* error value -> calls the host's error hook */
    mw_host *h = mw_host_of(L);
    struct mw_err err;

    mw_err_from(L, 1, &err);
    mw_traceback_of(L, 1);
    h->said_code = mw_err_said_code(L, 1);
    if (h->hooks.error != NULL) h->hooks.error(h->hooks.ud, &err, lua_tostring(L, -1));
    h->said_code = NULL;
    return 0;
}

void mw_task_report(lua_State *L) {
    mw_host *h = mw_host_of(L);
    struct mw_err err;

    h->failures++;
    if (lua_checkstack(L, 4)) {
        lua_pushcfunction(L, report);
        lua_insert(L, -2);
        if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
    }
    lua_pop(L, 1);
    mw_err_set(&err, MW_ENOMEM, "task", NULL, NULL);
    if (h->hooks.error != NULL) h->hooks.error(h->hooks.ud, &err, "");
}

static void tell(mw_scope *s, mw_task *t) {
    lua_State *L = s->host->L;
    struct mw_err err;

    if (lua_checkstack(L, 8) && t->values > 0 && lua_checkstack(t->co, 2)) {
        lua_pushvalue(t->co, -1);
        lua_xmove(t->co, L, 1);
        mw_task_report(L);
        return;
    }
    s->host->failures++;
    mw_err_set(&err, MW_ENOMEM, "task", t->name, NULL);
    if (s->host->hooks.error != NULL) s->host->hooks.error(s->host->hooks.ud, &err, "");
}

void mw_scope_supervise(mw_scope *s, lua_State *L) {
    s->sink_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    s->supervise = 1;
}

static int hand_over(lua_State *L) { /* scope task error -> */
    mw_scope *s = lua_touserdata(L, 1);
    const mw_task *t = lua_touserdata(L, 2);
    struct mw_err err;

    lua_rawgeti(L, LUA_REGISTRYINDEX, s->sink_ref);
    lua_pushinteger(L, t->number);
    lua_pushstring(L, t->name);
    lua_pushvalue(L, 3);
    mw_traceback_of(L, 3);
    return mw_task_start(s->host->root, L, 4, "report", 1, NULL, &err) < 0 ? luaL_error(L, "%s", err.message) : 0;
}

/* To the function that wants them. 0: it could not be told. */
static int tell_sink(mw_scope *s, mw_task *t) {
    lua_State *L = s->host->L;

    if (s->sink_ref == LUA_NOREF || !lua_checkstack(L, 8) || t->values < 1 || !lua_checkstack(t->co, 2)) return 0;
    lua_pushcfunction(L, hand_over);
    lua_pushlightuserdata(L, s);
    lua_pushlightuserdata(L, t);
    lua_pushvalue(t->co, -1);
    lua_xmove(t->co, L, 1);
    if (lua_pcall(L, 3, 0, 0) == LUA_OK) return 1;
    lua_pop(L, 1);
    return 0;
}

static int keep(lua_State *L) { /* scope error -> */
    mw_scope *s = lua_touserdata(L, 1);
    s->error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

void mw_scope_drop_task(mw_scope *s, mw_task *t) {
    int failure = is_failure(t) && !t->answers && mw_wait_empty(&t->ended); /* a waiting joiner takes the error */

    mw_list_remove(&t->member);
    if (!t->daemon) s->live--;
    if (failure && s->supervise) {
        if (!tell_sink(s, t)) tell(s, t);
    } else if (failure) {
        if (s->error_ref == LUA_NOREF) {
            lua_State *L = s->host->L;
            if (lua_checkstack(L, 4) && t->values > 0 && lua_checkstack(t->co, 2)) {
                lua_pushcfunction(L, keep);
                lua_pushlightuserdata(L, s);
                lua_pushvalue(t->co, -1);
                lua_xmove(t->co, L, 1);
                if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
            }
            if (s->error_ref == LUA_NOREF) s->error_ref = LOST;
        }
        mw_scope_cancel(s, "another task of its scope failed");
    }
    mw_wait_wake(&s->changed);
}

void mw_scope_cancel_daemons(mw_scope *s) {
    for (struct mw_list *l = s->tasks.next; l != &s->tasks; l = l->next)
        mw_task_cancel(MW_LIST_ENTRY(l, mw_task, member), "its scope has ended");
}

static int wait_k(lua_State *L, int status, lua_KContext ctx) {
    lua_KFunction k = (lua_KFunction)lua_touserdata(L, -2);
    mw_scope *s = lua_touserdata(L, -3);
    lua_KContext inner = (lua_KContext)lua_touserdata(L, -1);
    (void)status;

    if (s->live == 0 && !mw_list_empty(&s->tasks)) mw_scope_cancel_daemons(s);
    if (!mw_list_empty(&s->tasks)) return mw_wait_park(L, &s->changed, MW_NEVER, ctx, wait_k, 0, 1);
    lua_pop(L, 3);
    return k(L, 0, inner);
}

int mw_scope_wait(lua_State *L, mw_scope *s, lua_KContext ctx, lua_KFunction k) {
    if (mw_list_empty(&s->tasks)) return k(L, 0, ctx);
    luaL_checkstack(L, 6, NULL);
    lua_pushlightuserdata(L, s);
    lua_pushlightuserdata(L, (void *)k);
    lua_pushlightuserdata(L, (void *)ctx);
    return wait_k(L, 0, 0);
}

int mw_scope_push_error(lua_State *L, mw_scope *s) {
    struct mw_err err;

    if (s->error_ref == LUA_NOREF) return 0;
    if (s->error_ref == LOST) {
        mw_err_set(&err, MW_ENOMEM, "task", NULL, NULL);
        mw_err_push(L, &err);
    } else if (s->error_ref == LUA_REFNIL) {
        lua_pushnil(L);
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, s->error_ref);
    }
    return 1;
}

int mw_scope_is_empty(const mw_scope *s) {
    return mw_list_empty(&s->tasks);
}
int mw_scope_is_open(const mw_scope *s) {
    return s->open;
}
int mw_scope_timed_out(const mw_scope *s) {
    return s->timed_out;
}
int mw_scope_was_cancelled(const mw_scope *s) {
    return s->cancelled == CANCEL_OWN;
}
int mw_scope_was_cut_off(const mw_scope *s) {
    return s->cancelled == CANCEL_OUTER;
}
mw_scope *mw_scope_current(mw_host *h) {
    mw_task *t = h->running;

    if (t == NULL) return h->root;
    mw_cleanup_look(t);
    if (t->inner != NULL) return t->inner;
    return t->promised ? keep_promise(h, t) : t->home;
}
void mw_scope_unasked(mw_scope *s) {
    s->unasked = 1;
}
int mw_host_unasked(const mw_host *h) {
    const mw_task *t = h->running;
    const mw_scope *s = t == NULL ? NULL : t->inner != NULL ? t->inner : t->home;

    for (; s != NULL; s = s->outer != NULL ? s->outer : s->owner != NULL ? s->owner->home : NULL)
        if (s->unasked) return 1;
    return 0;
}
mw_task *mw_scope_owner(const mw_scope *s) {
    return s->owner;
}
struct mw_wait *mw_task_ended(mw_task *t) {
    return &t->ended;
}
const char *mw_task_name(const mw_task *t) {
    return t->name;
}
int mw_task_was_cancelled(const mw_task *t) {
    return t->cancelled;
}

int mw_task_push_results(lua_State *L, mw_task *t, int *failed) {
    *failed = t->failed;
    luaL_checkstack(L, t->values + 1, "results");
    if (!lua_checkstack(t->co, t->values)) return luaL_error(L, "not enough memory");
    for (int i = 0; i < t->values; i++) lua_pushvalue(t->co, -t->values);
    lua_xmove(t->co, L, t->values);
    return t->values;
}
