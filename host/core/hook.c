/* The interrupt: stops Lua code that does not come back by itself.
 * Knows: core, lua.h. Never: runs unless somebody interrupted the host; until then it costs nothing. */
#include "core/inside.h"
#include "core/raise.h"

#define GRACE 3000000       /* instructions a cancelled task may run between two strikes: some 30 ms of cleanup */
#define RESUMES 2000        /* coroutines it may resume meanwhile */
#define STRIKES 5           /* raised so often, then its coroutine is closed */

static void strike(lua_State *L, lua_Debug *ar);

static void take_interrupt(mw_host *h) {
    if (atomic_load(&h->interrupted) != 0 && !h->exiting) mw_host_exit(h, atomic_load(&h->interrupted) - 1, atomic_load(&h->interrupt_why));
}

/* Lua that runs in a callback, outside tasks: it has nothing to clean up, and ends. */
static void strike_callback(mw_host *h, lua_State *L) {
    struct mw_err err;
    const char *why = atomic_load(&h->interrupt_why);

    if (h->callbacks == 0 || !atomic_load(&h->stop_lua)) return;
    take_interrupt(h);
    lua_sethook(L, strike, LUA_MASKCOUNT, ++h->callback_strikes > STRIKES ? 1 : GRACE);
    mw_err_set(&err, MW_ECANCELED, "callback", NULL, why != NULL ? why : "cancelled");
    mw_raise(L, &err);
}

static void strike(lua_State *L, lua_Debug *ar) {
    mw_host *h = mw_host_of(L);
    mw_task *t = h->running;
    (void)ar;

    lua_sethook(L, NULL, 0, 0);
    if (t == NULL) {
        strike_callback(h, L);
        return;
    }
    if (!(atomic_load(&h->stop_lua) || t->killed)) return;
    take_interrupt(h);
    if (++t->strikes > STRIKES && lua_isyieldable(L) && !t->killed) {
        t->killed = 1;
        lua_yield(L, 0); /* to the scheduler, which closes it */
        return;
    }
    lua_sethook(L, strike, LUA_MASKCOUNT, t->strikes > STRIKES ? 1 : GRACE); /* 1: no pcall in a loop outlasts it */
    if (mw_task_cancelling(t) != NULL || t->strikes > 2 || t->killed) {
        struct mw_err err;
        const char *why = atomic_load(&h->interrupt_why);
        mw_err_set(&err, MW_ECANCELED, "task", t->name, why != NULL ? why : "cancelled");
        mw_raise(L, &err);
    }
}

void mw_hook_arm(lua_State *co) {
    mw_host *h = mw_host_of(co);

    if (lua_gethook(co) == strike) return; /* arming again would begin its count anew */
    if (h->running != NULL && h->running->strikes == 0) lua_sethook(co, strike, LUA_MASKCOUNT, GRACE);
    else lua_sethook(co, strike, LUA_MASKCOUNT, 100000);
}

/* The count of a hook is its coroutine's own: code that makes many short ones is counted by them. */
void mw_hook_resumed(lua_State *L) {
    mw_task *t = mw_host_of(L)->running;

    if (t != NULL && ++t->resumes >= RESUMES) {
        t->resumes = 0;
        lua_sethook(L, strike, LUA_MASKCOUNT, 1);
    } else {
        mw_hook_arm(L);
    }
}

/* Async-signal-safe, as lua.c's own use of lua_sethook is. */
void mw_host_interrupt_at(mw_host *h, int status, const char *why) {
    lua_State *co;
    int none = 0;

    atomic_store(&h->interrupt_why, why);
    atomic_compare_exchange_strong(&h->interrupted, &none, 1 + status);
    atomic_store(&h->stop_lua, 1);
    atomic_fetch_add(&h->pins, 1);
    co = atomic_load(&h->co);
    if (co != NULL) lua_sethook(co, strike, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    atomic_fetch_sub(&h->pins, 1);
    uv_async_send(&h->async);
}
