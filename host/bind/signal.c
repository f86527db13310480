/* The door of signals: wait for one that the script asked for.
 * Knows: bind/arg, io/signal, core/wait, lua.h. Never: a syscall, a decision. */
#include "bind/arg.h"
#include "bind/doors.h"
#include "io/signal.h"

#define SIGNAL "mw.signal"
struct box { mw_signal *s; };

static mw_signal *self(lua_State *L) {
    struct box *box = mw_box_check(L, 1, SIGNAL);

    if (box->s == NULL) mw_raise_inval(L, "on_signal", "this signal is not watched");
    return box->s;
}

/* signal.open(name) -> signal | nil, err                                   [-0, +1|2, e] */
static int signal_open(lua_State *L) {
    const char *name = mw_param_text(L, 1, "on_signal", "name", 16, NULL);
    struct box *box = mw_box_new(L, sizeof *box, SIGNAL);               /* [name box] */
    struct mw_err err;

    if (mw_signal_open(mw_host_of(L), name, &box->s, &err) < 0) return mw_push_err(L, &err);
    return 1;
}

static int wait_k(lua_State *L, int status, lua_KContext ctx) {
    mw_signal *s = self(L);
    int rc = mw_signal_take(s);

    (void)status;
    if (rc == 0) return mw_wait_yield(L, mw_signal_ready(s), MW_NEVER, ctx, wait_k);
    if (rc < 0) lua_pushnil(L);
    else lua_pushstring(L, mw_signal_name(s));
    return 1;
}

/* signal:wait() -> its name, when it came | nil, when closed               [-0, +1, y] */
static int signal_wait(lua_State *L) {
    return wait_k(L, 0, 0);
}

/* signal:close()                                                           [-0, +0, e] */
static int signal_close(lua_State *L) {
    mw_signal_close(self(L));
    return 0;
}

/* signal:name() -> name without SIG                                        [-0, +1, e] */
static int signal_name(lua_State *L) {
    lua_pushstring(L, mw_signal_name(self(L)));
    return 1;
}

static int signal_gc(lua_State *L) {
    struct box *box = lua_touserdata(L, 1);
    mw_signal *s = box->s;

    box->s = NULL;
    if (s != NULL && !mw_signal_closed(s)) mw_box_warn(L, 1, "signal handler");
    mw_signal_free(s);
    return 0;
}

/* core.signal                                                              [-0, +1, m] */
int mw_door_signal(lua_State *L) {
    static const luaL_Reg door[] = { { "open", signal_open }, { NULL, NULL } };
    static const luaL_Reg methods[] = { { "wait", signal_wait }, { "close", signal_close }, { "name", signal_name }, { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__gc", signal_gc }, { "__close", signal_close }, { NULL, NULL } };

    mw_type_new(L, SIGNAL, methods, meta);
    luaL_newlib(L, door);
    return 1;
}
