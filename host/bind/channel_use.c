/* Middleware of channels: functions (pass, dir, data, ...) around every message, the first used outermost.
 * Knows: bind/channel, lua.h.
 * Never: the bytes of a frame. */
#include <lauxlib.h>

#include "bind/arg.h"
#include "bind/channel.h"

enum { SEND, RECV };

static int pass_call(lua_State *L);

/* Pushes what calls middleware `i` (from 1) of the channel at idx, or what ends the chain. */
static void push_pass(lua_State *L, int idx, int dir, int i) {
    lua_pushvalue(L, idx);
    lua_pushinteger(L, dir);
    lua_pushinteger(L, i);
    lua_pushcclosure(L, pass_call, 3);
}

static int all_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    return lua_gettop(L) - (int)ctx;
}

/* pass(data, fields...): the rest of the chain. Behind the last one, send writes and recv is done.    [-0, +n, y] */
static int pass_call(lua_State *L) {
    const struct mw_channel *ch = lua_touserdata(L, lua_upvalueindex(1));
    int dir = (int)lua_tointeger(L, lua_upvalueindex(2));
    int i = (int)lua_tointeger(L, lua_upvalueindex(3));
    int args = lua_gettop(L);

    if (i > (int)ch->uses) {
        if (dir == RECV) return args;
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);                                       /* [ch data fields...] */
        return mw_channel_send_raw(L);
    }
    luaL_checkstack(L, 4, "middleware");
    lua_getiuservalue(L, lua_upvalueindex(1), MW_CHANNEL_MORE); /* [args... list] */
    lua_rawgeti(L, -1, i);
    lua_replace(L, -2);
    lua_insert(L, 1);                                           /* [fn args...] */
    push_pass(L, lua_upvalueindex(1), dir, i + 1);
    lua_insert(L, 2);
    lua_pushstring(L, dir == SEND ? "send" : "recv");
    lua_insert(L, 3);                                           /* [fn pass dir args...] */
    lua_callk(L, args + 2, LUA_MULTRET, 0, all_k);
    return lua_gettop(L);
}

/* What send gives: a middleware that answers nil without an error has dropped the message on purpose. */
static int sent_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;                                                  /* [ch results...] */
    if (lua_gettop(L) > 2 && lua_isnil(L, 2) && !lua_isnil(L, 3)) return lua_gettop(L) - 1;
    lua_settop(L, 1);
    return 1;
}

int mw_channel_send_used(lua_State *L) {
    int args = lua_gettop(L) - 1;                               /* [ch data fields...] */

    luaL_checkstack(L, 6, "channel.send");
    push_pass(L, 1, SEND, 1);
    lua_insert(L, 2);                                           /* [ch pass data fields...] */
    lua_callk(L, args, LUA_MULTRET, 0, sent_k);
    return sent_k(L, LUA_OK, 0);
}

/* [ch deadline ...]: asks for a message and hands it on, until one is not dropped. Phases, so that a message which arrives
 * without waiting needs no deeper C stack. */
enum { ASK, GOT, PASSED };

static int recv_used_k(lua_State *L, int status, lua_KContext phase) {
    (void)status;
    for (;;) {
        if (phase == ASK) {
            lua_settop(L, 2);
            lua_pushcfunction(L, mw_channel_recv_raw);
            lua_pushvalue(L, 1);
            lua_pushvalue(L, 2);
            lua_callk(L, 2, LUA_MULTRET, GOT, recv_used_k);     /* [ch deadline data fields...] */
            phase = GOT;
        }
        if (phase == GOT) {
            if (lua_isnil(L, 3)) return lua_gettop(L) - 2;      /* the end, or an error */
            luaL_checkstack(L, 6, "channel.recv");
            push_pass(L, 1, RECV, 1);
            lua_insert(L, 3);
            lua_callk(L, lua_gettop(L) - 3, LUA_MULTRET, PASSED, recv_used_k);
            phase = PASSED;
        }
        if (!lua_isnoneornil(L, 3) || !lua_isnoneornil(L, 4)) return lua_gettop(L) - 2;
        phase = ASK;
    }
}

int mw_channel_recv_used(lua_State *L) {
    return recv_used_k(L, LUA_OK, ASK);
}

/* ch:use(fn) -> ch                                                                             [-0, +1, e] */
int mw_channel_use(lua_State *L) {
    struct mw_channel *ch = mw_channel_check(L, 1);

    if (!lua_isfunction(L, 2)) return mw_raise_inval(L, "channel.use", "a function expected, got %s", luaL_typename(L, 2));
    if (lua_getiuservalue(L, 1, MW_CHANNEL_MORE) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, MW_CHANNEL_MORE);
    }                                                           /* [ch fn ... list] */
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, (lua_Integer)ch->uses + 1);
    ch->uses++;
    lua_settop(L, 1);
    return 1;
}
