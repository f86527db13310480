/* Cleanup: a script's `__close` that runs in a cancelled task stands in a shield of its own, so that what waits there may wait, for as
 * long as the host gives it (mw_host_set_cleanup): all of one cancel together.
 *
 * Lua tells nobody when it calls a `__close`. So a task that is cancelled has its stack looked at, where it waits and where it opens a
 * scope, and when a cancel reaches it: around each `__close` that is found a shield is put into the task's scopes, between those that
 * were opened outside and inside of it. It goes when the next look does not find its call any more. Tasks that nobody cancels pay nothing.
 * Knows: core, lua.h. Never: runs Lua; raises. */
#include <string.h>

#include "core/inside.h"

#define LEVELS_MAX 500      /* calls that are looked at: beyond, nothing is found, and nothing given up */
#define SCOPES_MAX 64       /* scopes passed over for the one that a call opened */
#define COROUTINES_MAX 200  /* as many as Lua nests */

static const char CLOSE; /* its address is the registry's key of "__close": a string made here could raise */

void mw_cleanup_open(lua_State *L) {
    lua_pushliteral(L, "__close");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CLOSE);
}

/* ---- Is a call one of a `__close`? ----------------------------------------------------------------------------------------------- */

static int is_there(lua_State *co, lua_Debug *ar, int n) {
    if (lua_getlocal(co, ar, n) == NULL) return 0;
    lua_pop(co, 1);
    return 1;
}
/* How many values the C function has on its stack beneath what it has called. */
static int values_of(lua_State *co, lua_Debug *ar) {
    int low = 0, high = 1;

    while (is_there(co, ar, high)) {
        low = high;
        high *= 2;
    }
    while (low + 1 < high) {
        int mid = low + (high - low) / 2;
        if (is_there(co, ar, mid)) low = mid;
        else high = mid;
    }
    return low;
}

/* 1 if the value on top of co (popped) has the function beneath it as its `__close`, or something that Lua calls by its `__call`;
 * any: or any function of Lua's.                                                                               [-1, +0, -] */
static int closes(lua_State *co, int any) {
    int yes = 0;

    if (lua_getmetatable(co, -1)) {                                 /* [f v mt] */
        lua_rawgetp(co, LUA_REGISTRYINDEX, &CLOSE);
        lua_rawget(co, -2);                                         /* [f v mt close] */
        if (!lua_isfunction(co, -1)) yes = !lua_isnil(co, -1);
        else yes = any ? !lua_iscfunction(co, -1) : lua_rawequal(co, -1, -4);
        lua_pop(co, 2);
    }
    lua_pop(co, 1);
    return yes;
}

/* An error unwinds to the C function that caught it, which calls each `__close` with [... value error] on its stack. One that was known
 * already may have given its value another metatable. */
static int unwinds(lua_State *co, const lua_Debug *ar, int level, int known) {
    lua_Debug below;
    int n, tail = ar->istailcall;

    if (!lua_getstack(co, level + 1, &below) || !lua_getinfo(co, "S", &below) || *below.what != 'C') return 0;
    n = values_of(co, &below);
    if (n < 2 || known) return n >= 2;
    if (tail) { /* the `__close` itself has gone: something that has one, and an error */
        if (lua_getlocal(co, &below, n) == NULL) return 0;
        tail = !lua_isnil(co, -1);
        lua_pop(co, 1);
        if (!tail) return 0;
    }
    return lua_getlocal(co, &below, n - 1) != NULL && closes(co, tail);
}

/* Its function is on top of co. Those in C know themselves what a cancel means to them. */
static int is_cleanup(lua_State *co, lua_Debug *ar, int level, int known) {
    if (lua_iscfunction(co, -1) || !lua_getinfo(co, "nt", ar)) return 0;
    if (ar->name != NULL && strcmp(ar->namewhat, "metamethod") == 0) return strcmp(ar->name, "close") == 0;
    return unwinds(co, ar, level, known);
}

/* ---- The task's scopes beside its calls -------------------------------------------------------------------------------------------- */

static int cancelled_around(const mw_task *t, const mw_scope *s) {
    for (; s != NULL; s = s->outer) {
        if (s->cancelled) return 1;
        if (s->shield) return 0;
    }
    return t->cancelled;
}

/* Until when what the cancels around `s` have begun may clean up: one time for all of them. */
static uint64_t until(mw_task *t, mw_scope *s) {
    uint64_t at = mw_host_now(t->host) + t->host->cleanup_ns;
    mw_scope *it;

    for (it = s; it != NULL; it = it->outer) {
        if (it->cancelled && it->cleanup_at != 0 && it->cleanup_at < at) at = it->cleanup_at;
        if (it->shield) break;
    }
    if (it == NULL && t->cancelled && t->cleanup_at != 0 && t->cleanup_at < at) at = t->cleanup_at;
    for (it = s; it != NULL; it = it->outer) {
        if (it->cancelled) it->cleanup_at = at;
        if (it->shield) break;
    }
    if (it == NULL && t->cancelled) t->cleanup_at = at;
    return at;
}

static void overdue(struct mw_timer *timer) {
    mw_scope *s = MW_LIST_ENTRY(timer, mw_scope, deadline);
    mw_host *h = s->host;
    const char *name = s->owner != NULL ? s->owner->name : NULL;

    s->refs++;
    if (s->owner != NULL) mw_cleanup_look(s->owner);
    if (s->owner != NULL) { /* else its call is over, and the task has computed since */
        mw_host_log(h, MW_LOG_WARN, "%s%s: what its __close functions wait for is cut off after %g s%s",
                    name != NULL ? "task " : "a cancelled task", name != NULL ? name : "", (double)h->cleanup_ns / 1e9,
                    h->hooks.command_line ? " (--cleanup=DURATION sets how long they may take)"
                    : h->lent ? "" : " (mw_config.cleanup_ms says how long they may take)");
        mw_scope_cancel(s, "its cleanup took too long");
    }
    mw_scope_release(s);
}

/* A shield around the call, at *at in the task's scopes. */
static void put(mw_task *t, mw_scope **at, const lua_Debug *ar, const void *function) {
    uint64_t end = until(t, *at);
    mw_scope *s;

    if (end <= mw_host_now(t->host) || (s = mw_scope_create(t->host)) == NULL) return;
    if (mw_timer_start(t->host, &s->deadline, end, overdue) < 0) {
        mw_scope_release(s);
        return;
    }
    s->shield = s->cleanup = 1;
    s->cleanup_at = end;
    s->frame = ar->i_ci;
    s->function = function;
    s->owner = t;
    s->outer = *at;
    *at = s;
    t->cleanups++;
}

static void drop_between(mw_scope **at, mw_scope *end) {
    while (*at != NULL && *at != end) {
        mw_scope *s = *at;
        if (s->cleanup) mw_scope_shut(s);
        else at = &s->outer;
    }
}

/* The scopes that the call has opened, or that stand for it, are passed. 1: there is a shield for it. A call of the same function may
 * have come in the place of the one that a shield is for, and be none. */
static int pass(mw_scope ***at, lua_State *co, lua_Debug *ar, int level, const void *function) {
    int shielded = 0, n = 0;

    for (mw_scope *s = **at; s != NULL && n < SCOPES_MAX; s = s->outer, n++) {
        if (s->frame != ar->i_ci || (s->function != NULL && s->function != function)) continue;
        if (s->cleanup && !is_cleanup(co, ar, level, 1)) continue;
        shielded |= s->cleanup;
        drop_between(*at, s);
        *at = &s->outer;
        n = 0;
    }
    return shielded;
}

/* One coroutine's calls, from the innermost; found: shields are put around what is found. Returns how many more may be looked at. */
static int look(mw_task *t, lua_State *co, mw_scope ***at, int found, int levels) {
    lua_Debug ar;

    if (!lua_checkstack(co, 8)) return 0;
    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        const void *function;

        if (levels-- == 0) return 0;
        lua_getinfo(co, "f", &ar);                                  /* [... f] */
        function = lua_topointer(co, -1);
        if (!pass(at, co, &ar, level, function) && found && cancelled_around(t, **at) && is_cleanup(co, &ar, level, 0)) {
            put(t, *at, &ar, function);
            if (**at != NULL && (**at)->cleanup && (**at)->frame == ar.i_ci) *at = &(**at)->outer;
        }
        lua_pop(co, 1);
    }
    return levels + 1;
}

int mw_cleanup_due(const mw_task *t) {
    if (t->cleanups != 0 || t->cancelled) return 1;
    for (const mw_scope *s = t->inner; s != NULL; s = s->outer)
        if (s->cancelled) return 1;
    return 0;
}

void mw_cleanup_look(mw_task *t) {
    lua_State *chain[COROUTINES_MAX];
    int n = 0;

    if (t->state == TASK_DONE || t->host->closing || !mw_cleanup_due(t)) return;
    for (lua_State *co = t->co; co != NULL && n < COROUTINES_MAX; co = mw_co_inner(co)) chain[n++] = co;
    for (int found = t->cleanups == 0; found < 2; found++) { /* first those whose call is over go: they would stand in the way */
        mw_scope **at = &t->inner;
        int levels = LEVELS_MAX;
        for (int i = n; i > 0 && levels > 0; i--) levels = look(t, chain[i - 1], &at, found, levels);
        if (levels > 0) drop_between(at, NULL);
    }
}

/* Called again after each: what a cancel wakes may take shields away. */
static int hurry_one(mw_task *t) {
    for (mw_scope *s = t->inner; s != NULL; s = s->outer) {
        if (s->cancelled && s->cleanup_at != 1) s->cleanup_at = 1;
        if (!s->cleanup || s->cancelled) continue;
        mw_scope_cancel(s, t->why);
        return 1;
    }
    return 0;
}
void mw_task_hurry(mw_task *t) {
    if (t->cancelled) t->cleanup_at = 1;
    while (hurry_one(t)) {}
}

const void *mw_cleanup_frame(lua_State *co, int level, const void **function) {
    lua_Debug ar;

    *function = NULL;
    if (!lua_getstack(co, level, &ar)) return NULL;
    if (level > 0 && lua_checkstack(co, 1)) {
        lua_getinfo(co, "f", &ar);
        *function = lua_topointer(co, -1);
        lua_pop(co, 1);
    }
    return ar.i_ci;
}
