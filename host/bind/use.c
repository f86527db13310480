/* Middleware: see bind/use.h.
 * Knows: bind/arg, lua.h. Never: what the object is. */
#include "bind/use.h"

#include <lauxlib.h>

#include "bind/arg.h"
#include "core/raise.h"

static int pass_call(lua_State *L);

void mw_use_push(lua_State *L, int object, int list, enum mw_use_dir dir, lua_Integer i, lua_CFunction end) {
    object = lua_absindex(L, object);
    list = lua_absindex(L, list);
    luaL_checkstack(L, 6, "middleware");
    lua_pushvalue(L, object);
    lua_pushvalue(L, list);
    lua_pushboolean(L, dir == MW_USE_RECV);
    lua_pushinteger(L, i);
    if (end != NULL) lua_pushcfunction(L, end);
    else lua_pushnil(L);
    lua_pushcclosure(L, pass_call, 5);
}

static int all_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    return lua_gettop(L);
}

/* pass(data, ...): the rest of the functions.                                                         [-0, +n, y] */
static int pass_call(lua_State *L) {
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(4));
    int args = lua_gettop(L);
    lua_CFunction end;

    luaL_checkstack(L, 8, "middleware");
    if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL) {           /* behind the last one */
        lua_pop(L, 1);
        end = lua_tocfunction(L, lua_upvalueindex(5));
        if (end == NULL) return args;
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);                                               /* [object args...] */
        return end(L);
    }
    lua_insert(L, 1);                                                   /* [fn args...] */
    mw_use_push(L, lua_upvalueindex(1), lua_upvalueindex(2), lua_toboolean(L, lua_upvalueindex(3)), i + 1,
                lua_tocfunction(L, lua_upvalueindex(5)));
    lua_insert(L, 2);
    lua_pushstring(L, lua_toboolean(L, lua_upvalueindex(3)) ? "recv" : "send");
    lua_insert(L, 3);                                                   /* [fn pass dir args...] */
    lua_callk(L, args + 2, LUA_MULTRET, 0, all_k);
    return lua_gettop(L);
}

static int sent_k(lua_State *L, int status, lua_KContext ctx) {         /* [object results...] */
    (void)status;
    (void)ctx;
    if (lua_gettop(L) > 2 && lua_isnil(L, 2) && !lua_isnil(L, 3)) return lua_gettop(L) - 1;
    lua_settop(L, 1);
    return 1;
}

int mw_use_send(lua_State *L, lua_CFunction end) {
    int args = lua_gettop(L) - 2;

    mw_use_push(L, 1, -1, MW_USE_SEND, 1, end);                         /* [object data... list pass] */
    lua_replace(L, -2);
    lua_insert(L, 2);                                                   /* [object pass data...] */
    lua_callk(L, args, LUA_MULTRET, 0, sent_k);
    return sent_k(L, LUA_OK, 0);
}

/* Phases, so that a message which arrives without waiting needs no deeper C stack. */
enum { ASK, GOT, PASSED, KEPT = 4 };

static int recv_k(lua_State *L, int status, lua_KContext phase) {       /* [object argument list raw results...] */
    (void)status;
    for (;;) {
        if (phase == ASK) {
            lua_settop(L, KEPT);
            luaL_checkstack(L, 8, "middleware");
            lua_pushvalue(L, 4);
            lua_pushvalue(L, 1);
            lua_pushvalue(L, 2);
            lua_callk(L, 2, LUA_MULTRET, GOT, recv_k);
            phase = GOT;
        }
        if (phase == GOT) {
            if (lua_isnoneornil(L, KEPT + 1)) return lua_gettop(L) - KEPT;     /* the end, or an error */
            mw_use_push(L, 1, 3, MW_USE_RECV, 1, NULL);
            lua_insert(L, KEPT + 1);
            lua_callk(L, lua_gettop(L) - KEPT - 1, LUA_MULTRET, PASSED, recv_k);
            phase = PASSED;
        }
        if (!lua_isnoneornil(L, KEPT + 1) || !lua_isnoneornil(L, KEPT + 2)) return lua_gettop(L) - KEPT;
        phase = ASK;
    }
}

int mw_use_recv(lua_State *L, lua_CFunction raw) {
    lua_pushcfunction(L, raw);
    return recv_k(L, LUA_OK, ASK);
}

void mw_use_arguments(lua_State *L) {
    if (lua_isnil(L, 2) && lua_istable(L, 3) && lua_getmetatable(L, 3)) {
        luaL_getmetatable(L, MW_ERROR_TYPE);
        if (lua_rawequal(L, -1, -2)) {
            lua_settop(L, 3);
            lua_error(L);
        }
    }
    lua_settop(L, 2);
}

lua_Integer mw_use_add(lua_State *L, int idx, int n, const char *op) {
    lua_Integer count;

    if (!lua_isfunction(L, idx)) mw_raise_inval(L, op, "a function or a tap expected, got %s", luaL_typename(L, idx));
    if (lua_getiuservalue(L, 1, n) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, n);
    }                                                                   /* [.. list] */
    count = (lua_Integer)lua_rawlen(L, -1) + 1;
    lua_pushvalue(L, idx);
    lua_rawseti(L, -2, count);
    lua_pop(L, 1);
    return count;
}
