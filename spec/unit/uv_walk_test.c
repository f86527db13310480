/* No function of luv's own is in reach of a script, nor left in the registry.
 * Knows: moonwire.h, core/host, luv.h. Never: trusts the guard: luv's functions are taken from a state of their own. */
#include "support/check.h"

#include <lauxlib.h>
#include <luv/luv.h>
#include <lualib.h>

#include "core/host.h"
#include "moonwire.h"

static const char script[] =
    "local uv = require 'uv'\n"
    "kept = { uv, require 'uv' }\n"
    "local function keep(v) kept[#kept + 1] = assert(v) end\n"
    "for _, name in ipairs { 'timer', 'check', 'idle', 'prepare', 'signal', 'tcp', 'udp', 'pipe' } do keep(uv['new_' .. name]()) end\n"
    "keep(uv.fs_scandir('/')) keep(uv.fs_opendir('/')) keep(uv.fs_stat('/', function() end))\n"
    "keep(uv.random(4, nil, function() end)) keep(uv.getaddrinfo('127.0.0.1', nil, nil, function() end))\n";

/* Adds the C functions of the table at the top, and of its __index, to the set at 1. */
static void take_functions(lua_State *L) {
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_iscfunction(L, -1)) {
            lua_pushboolean(L, 1);
            lua_rawsetp(L, 1, (void *)(uintptr_t)lua_tocfunction(L, -2));
        } else if (lua_istable(L, -1) && lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "__index") == 0) {
            take_functions(L);
        }
    }
}

/* A state whose first stack slot is a table: the address of each function of luv's -> true. */
static lua_State *raw_functions(uv_loop_t *loop) {
    static const char *const types[] = { "uv_req", "uv_fs", "uv_dir", "uv_thread", "luv_work_ctx", "uv_timer", "uv_check", "uv_idle",
        "uv_prepare", "uv_async", "uv_poll", "uv_signal", "uv_process", "uv_tcp", "uv_pipe", "uv_tty", "uv_udp", "uv_fs_event", "uv_fs_poll" };
    lua_State *L = luaL_newstate();

    REQUIRE(L != NULL && uv_loop_init(loop) == 0);
    lua_newtable(L);
    luv_set_loop(L, loop);
    lua_pushcfunction(L, luaopen_luv);
    lua_call(L, 0, 1);
    take_functions(L);
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (luaL_getmetatable(L, types[i]) == LUA_TTABLE) take_functions(L);
        lua_pop(L, 1);
    }
    return L;
}

struct walk {
    lua_State *L, *raw;
    int list, seen;              /* stack indices: values to visit, addresses visited */
    lua_Integer count;
    unsigned visited, functions, found;
};

/* The value at the top is visited later, once (popped). */
static void later(struct walk *w) {
    lua_State *L = w->L;
    const void *at = lua_topointer(L, -1);

    if (at != NULL && lua_rawgetp(L, w->seen, at) == LUA_TNIL) {
        lua_pushboolean(L, 1);
        lua_rawsetp(L, w->seen, at);
        lua_pushvalue(L, -2);
        lua_rawseti(L, w->list, ++w->count);
    }
    lua_settop(L, at != NULL ? -3 : -2);
}

static void visit(struct walk *w) {
    lua_State *L = w->L;
    int top = lua_gettop(L), i;

    w->visited++;
    if (lua_getmetatable(L, top)) later(w);
    switch (lua_type(L, top)) {
    case LUA_TTABLE:
        for (lua_pushnil(L); lua_next(L, top);) {
            later(w);
            lua_pushvalue(L, -1);
            later(w);
        }
        break;
    case LUA_TFUNCTION:
        w->functions++;
        if (lua_iscfunction(L, top) && lua_rawgetp(w->raw, 1, (void *)(uintptr_t)lua_tocfunction(L, top)) != LUA_TNIL) w->found++;
        lua_settop(w->raw, 1);
        for (i = 1; lua_getupvalue(L, top, i) != NULL; i++) later(w);
        break;
    case LUA_TUSERDATA:
        for (i = 1; lua_getiuservalue(L, top, i) != LUA_TNONE; i++) later(w);
        lua_settop(L, top);
        break;
    default:
        break;
    }
}

TEST(no_raw_function_of_luv_is_in_the_state_of_a_script_that_uses_uv) {
    struct mw_config cfg;
    struct mw_err err;
    mw_policy *policy;
    mw_host *h;
    uv_loop_t loop;
    struct walk w = { 0 };
    int status = -1;

    w.raw = raw_functions(&loop);
    mw_config_init(&cfg);
    REQUIRE(mw_policy_new(&policy, &err) == 0);
    REQUIRE(mw_policy_add_all(policy, &err) == 0);
    cfg.policy = policy;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(policy);
    REQUIRE(mw_host_load_string(h, script, sizeof script - 1, "=walk", &err) == 0);
    CHECK_INT(mw_host_run(h, &status, &err), 0);
    CHECK_INT(status, 0);

    w.L = mw_host_state(h);
    REQUIRE(lua_checkstack(w.L, 100));
    lua_newtable(w.L);
    w.list = lua_gettop(w.L);
    lua_newtable(w.L);
    w.seen = lua_gettop(w.L);
    lua_pushvalue(w.L, LUA_REGISTRYINDEX); /* holds the globals, what is loaded, and what only C reaches */
    later(&w);
    while (w.count > 0) {
        lua_rawgeti(w.L, w.list, w.count);
        lua_pushnil(w.L);
        lua_rawseti(w.L, w.list, w.count--);
        visit(&w);
        lua_settop(w.L, w.seen);
    }
    CHECK(w.functions > 300);
    CHECK(w.visited > 500);
    CHECK_INT(w.found, 0);
    lua_settop(w.L, w.list - 1);

    mw_host_free(h);
    lua_close(w.raw);
    CHECK_INT(uv_loop_close(&loop), 0);
}

TEST(the_walk_finds_a_raw_function_that_was_left_behind) {
    struct walk w = { 0 };
    uv_loop_t loop;

    w.raw = raw_functions(&loop);
    w.L = luaL_newstate();
    REQUIRE(w.L != NULL);
    luv_set_loop(w.L, &loop);
    lua_newtable(w.L);
    lua_newtable(w.L);
    w.list = 1;
    w.seen = 2;
    lua_pushcfunction(w.L, luaopen_luv);
    lua_call(w.L, 0, 1);
    lua_getfield(w.L, -1, "sleep");
    visit(&w);
    CHECK_INT(w.found, 1);
    lua_close(w.L);
    lua_close(w.raw);
    CHECK_INT(uv_loop_close(&loop), 0);
}
