/* What a prompt needs and no script has: local variables that outlive their chunk, calls that are bounded, a look at what is open.
 * Knows: core/hook, io/stream, io/process, lua.h. Never: reachable from a script. */
#include <lauxlib.h>

#include "bind/doors.h"
#include "core/hook.h"
#include "core/host.h"
#include "io/process.h"
#include "io/stream.h"

/* upvalues(f) -> the names of its upvalues                                                                [-0, +1, e] */
static int repl_upvalues(lua_State *L) {
    const char *name;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_newtable(L);
    for (int i = 1; (name = lua_getupvalue(L, 1, i)) != NULL; i++) {
        lua_pop(L, 1);
        lua_pushstring(L, name);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

static int is_upvalue(lua_State *L, int f, lua_Integer i) {
    if (!lua_isfunction(L, f) || lua_iscfunction(L, f) || i < 1 || i > 255 || lua_getupvalue(L, f, (int)i) == NULL) return 0;
    lua_pop(L, 1);
    return 1;
}

/* join(f, i, g, j): f's i-th upvalue is g's j-th from now on                                               [-0, +0, e] */
static int repl_join(lua_State *L) {
    lua_Integer i = luaL_checkinteger(L, 2), j = luaL_checkinteger(L, 4);

    luaL_argcheck(L, is_upvalue(L, 1, i), 2, "no such upvalue");
    luaL_argcheck(L, is_upvalue(L, 3, j), 4, "no such upvalue");
    lua_upvaluejoin(L, 1, (int)i, 3, (int)j);
    return 0;
}

/* get(f, i) -> the value of f's i-th upvalue                                                               [-0, +1, e] */
static int repl_get(lua_State *L) {
    lua_Integer i = luaL_checkinteger(L, 2);

    luaL_argcheck(L, is_upvalue(L, 1, i), 2, "no such upvalue");
    lua_getupvalue(L, 1, (int)i);
    return 1;
}

/* set(f, i, value)                                                                                         [-0, +0, e] */
static int repl_set(lua_State *L) {
    lua_Integer i = luaL_checkinteger(L, 2);

    luaL_argcheck(L, is_upvalue(L, 1, i), 2, "no such upvalue");
    lua_settop(L, 3);
    lua_setupvalue(L, 1, (int)i);
    return 0;
}

/* closable(v) -> boolean: a <close> variable may hold it                                                   [-0, +1, e] */
static int repl_closable(lua_State *L) {
    lua_pushboolean(L, luaL_getmetafield(L, 1, "__close") != LUA_TNIL);
    return 1;
}

static int closed(lua_State *L, int status, lua_KContext ctx) {
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}
/* close(v): as the end of its block would                                                                  [-0, +0, y] */
static int repl_close(lua_State *L) {
    lua_settop(L, 1);
    if (luaL_getmetafield(L, 1, "__close") == LUA_TNIL) return 0;
    lua_insert(L, 1);
    lua_pushnil(L);
    lua_callk(L, 2, 0, 0, closed);
    return 0;
}

/* within(instructions, f, ...) -> ok, result or error: f may not wait, nor take longer                      [-0, +2, e] */
static int repl_within(lua_State *L) {
    lua_Integer n = luaL_checkinteger(L, 1);
    int failed;

    luaL_argcheck(L, n > 0 && n <= 1000000000, 1, "out of range");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    failed = mw_call_apart_within(L, lua_gettop(L) - 2, (int)n);
    if (failed < 0) lua_pushliteral(L, "too many were stopped");
    lua_pushboolean(L, failed == 0);
    lua_insert(L, -2);
    return 2;
}

/* collector(on) -> bytes in use: stops or starts the garbage collector, to see what code allocates           [-0, +1, e] */
static int repl_collector(lua_State *L) {
    lua_gc(L, lua_toboolean(L, 1) ? LUA_GCRESTART : LUA_GCSTOP);
    lua_pushinteger(L, (lua_Integer)mw_host_memory(mw_host_of(L), NULL));
    return 1;
}

static void put(lua_State *L, const char *key, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}
static void append(lua_State *L) { /* [list it] */
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static void add_stream(void *ud, const mw_stream *s) {
    lua_State *L = ud;
    struct mw_stream_stats stats;
    const char *subject = mw_stream_subject(s);

    mw_stream_stats(s, &stats);
    lua_createtable(L, 0, 5);
    lua_pushlightuserdata(L, (void *)(uintptr_t)s);
    lua_setfield(L, -2, "key");
    lua_pushfstring(L, "%s%s%s", mw_stream_noun(s), subject != NULL && *subject != 0 ? " " : "", subject != NULL ? subject : "");
    lua_setfield(L, -2, "name");
    put(L, "bytes_in", stats.bytes_in);
    put(L, "bytes_out", stats.bytes_out);
    append(L);
}
/* streams() -> { { key, name, bytes_in, bytes_out }, ... }: those that are open                             [-0, +1, m] */
static int repl_streams(lua_State *L) {
    lua_newtable(L);
    mw_stream_each(mw_host_of(L), add_stream, L);
    return 1;
}

static void add_child(void *ud, const struct mw_process_look *look) {
    lua_State *L = ud;

    lua_createtable(L, 0, 4);
    put(L, "pid", (uint64_t)look->pid);
    lua_pushstring(L, look->name);
    lua_setfield(L, -2, "name");
    lua_pushnumber(L, (lua_Number)look->ran_ns * 1e-9);
    lua_setfield(L, -2, "ran");
    lua_pushnumber(L, (lua_Number)look->cpu_ns * 1e-9);
    lua_setfield(L, -2, "cpu");
    append(L);
}
/* children() -> { { pid, name, ran, cpu }, ... }: those that run, times in seconds                          [-0, +1, m] */
static int repl_children(lua_State *L) {
    lua_newtable(L);
    mw_process_each(mw_host_of(L), add_child, L);
    return 1;
}

int mw_door_repl(lua_State *L) {
    static const luaL_Reg fns[] = {{"upvalues", repl_upvalues}, {"join", repl_join}, {"get", repl_get}, {"set", repl_set},
                                   {"closable", repl_closable},
                                   {"close", repl_close}, {"within", repl_within}, {"collector", repl_collector},
                                   {"streams", repl_streams}, {"children", repl_children}, {NULL, NULL}};
    luaL_newlib(L, fns);
    return 1;
}
