/* Rules of uv's loop: run, stop, walk and their like, over a loop that is the host's and runs already.
 * Knows: bind/uv.h, core/wait. Never: turns the loop; touches a handle that is not the script's.
 *
 * uv.run waits in its task while the host turns the loop. What keeps it is what would keep libuv's: the script's own handles
 * that are active and referenced, or closing, and its requests. A turn is one round of the loop's phases: it is counted in the
 * check phase, and whoever waited for it goes on when the round is over. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bind/uv.h"
#include "core/wait.h"

enum { RUN_DEFAULT, RUN_ONCE, RUN_NOWAIT };

struct uv_runs {
    struct uv_door *door;
    mw_host *host;
    uv_prepare_t prepare;        /* before the loop blocks: does anything go on? */
    uv_check_t check;
    uv_idle_t idle;              /* while a nowait is on: the loop does not block */
    struct mw_dusk dusk;
    struct mw_wait wait;
    unsigned handles;            /* of the three, until they are closed */
    unsigned count, steps, nowaits;     /* runs that wait: all, those for one turn, those that must not block */
    lua_Integer turns;
    int stopping;                /* uv.stop was called: the next run to look ends */
};

/* ---- Handles of the room's own ---------------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *it) {
    struct uv_runs *r = it->data;

    if (--r->handles == 0) free(r);
}

void mw_uv_runs_shut(struct uv_door *d) {
    struct uv_runs *r = d->runs;

    if (r == NULL) return;
    d->runs = NULL;
    r->door = NULL;
    mw_host_forget_dusk(&r->dusk);
    mw_wait_wake(&r->wait);
    uv_close((uv_handle_t *)&r->prepare, on_closed);
    uv_close((uv_handle_t *)&r->check, on_closed);
    uv_close((uv_handle_t *)&r->idle, on_closed);
}

static void on_prepare(uv_prepare_t *it) {
    struct uv_runs *r = it->data;

    if (r->door == NULL || mw_host_closing(r->host)) return;
    if (r->stopping || !mw_uv_alive(mw_host_state(r->host), r->door)) mw_wait_wake(&r->wait);
}

static void on_dusk(struct mw_dusk *at) {
    struct uv_runs *r = MW_LIST_ENTRY(at, struct uv_runs, dusk);

    if (r->steps > 0 || r->stopping) mw_wait_wake(&r->wait);
}

static void on_check(uv_check_t *it) {
    struct uv_runs *r = it->data;

    if (r->door == NULL) return;
    r->turns++;
    if (r->steps > 0 || r->stopping) mw_host_at_dusk(r->host, &r->dusk, on_dusk);
}

static void on_idle(uv_idle_t *it) {
    (void)it;
}

static struct uv_runs *runs_of(lua_State *L, struct uv_door *d) {
    uv_loop_t *loop = mw_host_loop(d->host);
    struct uv_runs *r = d->runs;

    if (r != NULL) return r;
    r = calloc(1, sizeof *r);
    if (r == NULL) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    r->door = d;
    r->host = d->host;
    r->handles = 3;
    mw_wait_init(&r->wait);
    uv_prepare_init(loop, &r->prepare);
    uv_check_init(loop, &r->check);
    uv_idle_init(loop, &r->idle);
    r->prepare.data = r->check.data = r->idle.data = r;
    uv_unref((uv_handle_t *)&r->prepare);
    uv_unref((uv_handle_t *)&r->check);
    d->runs = r;
    return r;
}

/* ---- run ---------------------------------------------------------------------------------------------------------------------- */

static void enter(lua_State *L, struct uv_runs *r, int mode) {
    if (r->count++ == 0) {
        uv_prepare_start(&r->prepare, on_prepare);
        uv_check_start(&r->check, on_check);
    }
    if (mode != RUN_DEFAULT) r->steps++;
    if (mode == RUN_NOWAIT && r->nowaits++ == 0) uv_idle_start(&r->idle, on_idle);
    mw_uv_set_mode(L, mode);
}

static void leave(lua_State *L, struct uv_runs *r, int mode) {
    if (mode == RUN_NOWAIT && --r->nowaits == 0) uv_idle_stop(&r->idle);
    if (mode != RUN_DEFAULT) r->steps--;
    if (--r->count > 0) return;
    uv_prepare_stop(&r->prepare);
    uv_check_stop(&r->check);
    mw_uv_set_mode(L, -1);
}

/* [mode turns-when-it-began door]: a default goes on while something does, the others for one turn. */
static int run_k(lua_State *L, int status, lua_KContext ctx) {
    struct uv_door *d = lua_touserdata(L, 3);
    struct uv_runs *r = d->runs;
    int mode = (int)lua_tointeger(L, 1), alive;

    if (r == NULL) return mw_wait_cancelled(L); /* the host has ended */
    if (status == MW_ECANCELED) {
        leave(L, r, mode);
        return mw_wait_cancelled(L);
    }
    alive = mw_uv_alive(L, d);
    if (!r->stopping && (mode == RUN_DEFAULT ? alive : r->turns == lua_tointeger(L, 2)))
        return mw_wait_yield_raw(L, &r->wait, MW_NEVER, ctx, run_k);
    r->stopping = 0;
    leave(L, r, mode);
    lua_pushboolean(L, alive);
    return 1;
}

int mw_uv_run(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    static const char *const modes[] = { "default", "once", "nowait" };
    const char *name = lua_isnoneornil(L, 1) ? modes[0] : mw_param_text(L, 1, r->name, "mode", 16, NULL);
    int mode = 0;
    struct uv_runs *runs;

    (void)raw;
    while (mode < 3 && strcmp(modes[mode], name) != 0) mode++;
    if (mode == 3) return mw_raise_inval(L, r->name, "argument 1: one of default, once, nowait expected");
    if (!mw_wait_possible(L)) return mw_raise_inval(L, r->name, "the loop runs already: uv.run waits in a task, and so not in a callback of uv's");
    runs = runs_of(L, d);
    if (runs->stopping || !mw_uv_alive(L, d)) {
        runs->stopping = 0;
        lua_pushboolean(L, mw_uv_alive(L, d));
        return 1;
    }
    lua_settop(L, 0);
    lua_pushinteger(L, mode);
    lua_pushinteger(L, runs->turns);
    lua_pushlightuserdata(L, d);
    enter(L, runs, mode);
    return mw_wait_yield_raw(L, &runs->wait, MW_NEVER, 0, run_k);
}

int mw_uv_stop(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct uv_runs *runs = runs_of(L, d);

    (void)r;
    (void)raw;
    runs->stopping = 1;
    if (runs->count > 0) mw_host_at_dusk(d->host, &runs->dusk, on_dusk);
    return 0;
}

/* ---- What is open --------------------------------------------------------------------------------------------------------------- */

/* walk(callback): each open handle of the script's, in the order of making; what the callback raises is the caller's. */
int mw_uv_walk(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    size_t count;
    const lua_Integer *numbers;

    (void)d;
    (void)raw;
    mw_uv_callback(L, 1, r->name, 0);
    lua_settop(L, 1);
    count = mw_uv_push_open(L, &numbers);                              /* [callback found numbers] */
    for (size_t i = 0; i < count; i++) {
        lua_pushvalue(L, 1);
        lua_rawgeti(L, 2, numbers[i]);
        if (mw_uv_is_open(L, -1)) lua_call(L, 1, 0);
        lua_settop(L, 3);
    }
    return 0;
}

int mw_uv_loop_alive(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)r;
    (void)raw;
    lua_pushboolean(L, mw_uv_alive(L, d));
    return 1;
}

/* The loop is the host's and goes on: nothing but the answer is luv's. */
int mw_uv_loop_close(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    const lua_Integer *numbers;

    (void)r;
    (void)raw;
    if (mw_uv_push_open(L, &numbers) > 0 || mw_uv_alive(L, d)) return mw_uv_fail(L, -EBUSY);
    lua_pushinteger(L, 0);
    return 1;
}

/* Holds up the loop as luv's does, but not an interrupt. */
int mw_uv_sleep(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uint64_t until = uv_hrtime() + (uint64_t)mw_param_integer(L, 1, r->name, "milliseconds", 0, INT_MAX) * 1000000, now;

    (void)raw;
    while ((now = uv_hrtime()) < until) {
        uint64_t left = (until - now + 999999) / 1000000;

        if (mw_host_ending(d->host)) return mw_wait_cancelled(L);
        uv_sleep(left < MW_UV_HELD_MS ? (unsigned)left : MW_UV_HELD_MS);
    }
    return 0;
}
