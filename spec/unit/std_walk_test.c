/* What a script can reach, walked as a script would: no function of Lua's own that a guard stands before, by no table, metatable or
 * object. Upvalues are out of reach: debug has neither getupvalue nor the registry, which the walk shows too.
 * Knows: moonwire.h, core/host, Lua's own libraries. Never: trusts the guard: the raw functions come from a state of their own. */
#include "support/check.h"

#include <lauxlib.h>
#include <lualib.h>

#include "core/host.h"
#include "moonwire.h"

static const char script[] =
    "local mw = require 'moonwire'\n"
    "kept = { mw, io.stdin, io.stdout, io.lines, select(2, pcall(error, {})), select(2, pcall(mw.fail, 'E', 'x')), coroutine.running(),\n"
    "  coroutine.wrap(print), package, require, io.open('/dev/null'), io.lines('/dev/null'), string.gmatch('', '') }\n"
    "for _, part in ipairs { 'env', 'frame', 'fs', 'inspect', 'log', 'net', 'on_signal', 'permissions', 'platform', 'process', 'random', 'script',\n"
    "  'sys', 'task', 'time' } do kept[#kept + 1] = mw[part] end\n"
    "kept[#kept + 1] = package.searchers\n"
    "kept[#kept + 1] = require 'uv'\n"
    "kept[#kept + 1] = mw.task.channel(1)\n";

/* Names of what must not be found, in the tables of a state with all of Lua's libraries. */
static const char *const guarded[][2] = {
    {"_G", "load"}, {"_G", "loadfile"}, {"_G", "dofile"}, {"_G", "print"}, {"_G", "require"}, {"_G", "collectgarbage"},
    {"os", "execute"}, {"os", "exit"}, {"os", "getenv"}, {"os", "remove"}, {"os", "rename"}, {"os", "tmpname"}, {"os", "setlocale"},
    {"io", "open"}, {"io", "popen"}, {"io", "lines"}, {"io", "input"}, {"io", "output"}, {"io", "read"}, {"io", "write"}, {"io", "tmpfile"}, {"io", "close"},
    {"package", "loadlib"}, {"package", "searchpath"}, {"string", "dump"},
    {"debug", "debug"}, {"debug", "gethook"}, {"debug", "getinfo"}, {"debug", "getlocal"}, {"debug", "getmetatable"}, {"debug", "getregistry"},
    {"debug", "getupvalue"}, {"debug", "getuservalue"}, {"debug", "sethook"}, {"debug", "setlocal"}, {"debug", "setmetatable"},
    {"debug", "setupvalue"}, {"debug", "setuservalue"}, {"debug", "upvalueid"}, {"debug", "upvaluejoin"}, {"debug", "setcstacklimit"},
};
#define GUARDED (sizeof guarded / sizeof *guarded)

static lua_CFunction raw[GUARDED + 8];
static size_t raws;

static void take_raw(void) {
    lua_State *L = luaL_newstate();
    REQUIRE(L != NULL);
    luaL_openlibs(L);
    raws = 0;
    for (size_t i = 0; i < GUARDED; i++) {
        lua_getglobal(L, guarded[i][0]);
        lua_getfield(L, -1, guarded[i][1]);
        REQUIRE(lua_iscfunction(L, -1));
        raw[raws++] = lua_tocfunction(L, -1);
        lua_settop(L, 0);
    }
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    for (int i = 1; i <= 4; i++) {
        lua_rawgeti(L, 2, i);
        raw[raws++] = lua_tocfunction(L, -1);
    }
    lua_close(L);
}

struct walk {
    lua_State *L;
    int list, seen;              /* stack indices */
    lua_Integer count;
    unsigned functions, found;
    int expected;                /* what is found is no failure */
};

/* The value on top is visited later, once (popped). */
static void later(struct walk *w) {
    lua_State *L = w->L;
    const void *at = lua_topointer(L, -1);

    if (at == NULL) {
        lua_pop(L, 1);
        return;
    }
    if (lua_rawgetp(L, w->seen, at) == LUA_TNIL) {
        lua_pushboolean(L, 1);
        lua_rawsetp(L, w->seen, at);
        lua_pushvalue(L, -2);
        lua_rawseti(L, w->list, ++w->count);
    }
    lua_pop(L, 2);
}

/* What getmetatable gives a script, and what indexing finds. */
static void visit_meta(struct walk *w, int at) {
    lua_State *L = w->L;
    int mt = lua_gettop(L) + 1;

    if (!lua_getmetatable(L, at)) return;
    lua_pushliteral(L, "__metatable");
    if (lua_rawget(L, mt) == LUA_TNIL) lua_pushvalue(L, mt);
    later(w);
    lua_settop(L, mt);
    lua_pushliteral(L, "__index");
    lua_rawget(L, mt);
    later(w);
    lua_settop(L, mt - 1);
}

static void visit(struct walk *w) {
    lua_State *L = w->L;
    int at = lua_gettop(L);

    visit_meta(w, at);
    if (lua_type(L, at) == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, at);) {
            later(w);
            lua_pushvalue(L, -1);
            later(w);
        }
    } else if (lua_type(L, at) == LUA_TFUNCTION) {
        w->functions++;
        for (size_t i = 0; i < raws && lua_iscfunction(L, at); i++)
            if (lua_tocfunction(L, at) == raw[i]) {
                w->found++;
                if (!w->expected) printf("# found %s.%s\n", i < GUARDED ? guarded[i][0] : "package", i < GUARDED ? guarded[i][1] : "searchers");
            }
    }
}

static void walk_from(struct walk *w, lua_State *L) { /* the value on top (popped) */
    w->L = L;
    REQUIRE(lua_checkstack(L, 100));
    lua_newtable(L);
    w->list = lua_gettop(L);
    lua_newtable(L);
    w->seen = lua_gettop(L);
    lua_pushvalue(L, w->list - 1);
    later(w);
    lua_pushliteral(L, "");
    visit_meta(w, lua_gettop(L));
    lua_settop(L, w->seen);
    while (w->count > 0) {
        lua_rawgeti(L, w->list, w->count);
        lua_pushnil(L);
        lua_rawseti(L, w->list, w->count--);
        visit(w);
        lua_settop(L, w->seen);
    }
    lua_settop(L, w->list - 2);
}

static mw_host *host_with(mw_policy **policy) {
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;

    mw_config_init(&cfg);
    cfg.policy = *policy;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    return h;
}

TEST(no_unguarded_function_of_luas_own_is_in_reach_of_a_script) {
    struct walk w = {0};
    struct mw_err err;
    mw_policy *policy;
    mw_host *h;
    int status = -1;

    take_raw();
    REQUIRE(mw_policy_new(&policy, &err) == 0 && mw_policy_add_all(policy, &err) == 0);
    h = host_with(&policy);
    REQUIRE(mw_host_load_string(h, script, sizeof script - 1, "=walk", &err) == 0);
    CHECK_INT(mw_host_run(h, &status, &err), 0);
    CHECK_INT(status, 0);
    lua_pushglobaltable(mw_host_state(h));
    walk_from(&w, mw_host_state(h));
    CHECK(w.functions > 250);
    CHECK_INT(w.found, 0);
    mw_host_free(h);
    mw_policy_free(policy);
}

TEST(debug_offers_two_functions) {
    struct mw_err err;
    mw_policy *policy;
    mw_host *h;
    lua_State *L;
    int n = 0;

    REQUIRE(mw_policy_new(&policy, &err) == 0);
    h = host_with(&policy);
    L = mw_host_state(h);
    lua_getglobal(L, "debug");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) n++;
    lua_settop(L, 0);
    CHECK_INT(n, 2);
    mw_host_free(h);
    mw_policy_free(policy);
}

TEST(the_walk_finds_them_in_a_state_without_guards) {
    struct walk w = {.expected = 1};
    lua_State *L = luaL_newstate();

    REQUIRE(L != NULL);
    take_raw();
    luaL_openlibs(L);
    lua_pushglobaltable(L);
    walk_from(&w, L);
    CHECK_INT(w.found, raws);
    lua_close(L);
}
