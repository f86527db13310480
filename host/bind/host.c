/* What a script knows of its host, and how it leaves.
 * Knows: bind/arg, core. Never: opens anything. */
#include "bind/host.h"

#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "core/task.h"

static const char host_key; /* registry: the table that becomes core.host */

#define PARENT "parent_fd"
#define NOTIFY "notify_fd"
#define FD "mw.host.fd"         /* int, -1: none, or taken */

static int fd_gc(lua_State *L) {
    int *fd = lua_touserdata(L, 1);

    if (*fd >= 0) close(*fd);
    *fd = -1;
    return 0;
}
static int *push_fd(lua_State *L) {
    int *fd = lua_newuserdatauv(L, sizeof *fd, 0);

    *fd = -1;
    if (luaL_newmetatable(L, FD)) {
        lua_pushcfunction(L, fd_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    return fd;
}

void mw_host_door_set(lua_State *L, const struct mw_host_door *given) {
    const char *path = given->script_path;
    int *parent, *notify;

    lua_createtable(L, 0, 10);                      /* [host] */
    if (path != NULL) {
        const char *slash = strrchr(path, '/');
        lua_pushstring(L, path);
        lua_setfield(L, -2, "script_path");
        if (slash == NULL) lua_pushliteral(L, ".");
        else lua_pushlstring(L, path, slash == path ? 1 : (size_t)(slash - path));
        lua_setfield(L, -2, "script_dir");
    }
    if (given->program != NULL) {
        lua_pushstring(L, given->program);
        lua_setfield(L, -2, "program");
    }
    parent = push_fd(L);
    lua_setfield(L, -2, PARENT);
    notify = push_fd(L);
    lua_setfield(L, -2, NOTIFY);
    lua_pushboolean(L, given->parent_stdio);
    lua_setfield(L, -2, "parent_stdio");
    lua_pushboolean(L, given->warden);
    lua_setfield(L, -2, "warden");
    lua_pushinteger(L, (lua_Integer)given->child_files);
    lua_setfield(L, -2, "child_files");
    lua_newtable(L);                                /* [host arg] */
    for (size_t i = 0; given->args != NULL && given->args[i] != NULL; i++) {
        lua_pushstring(L, given->args[i]);
        lua_rawseti(L, -2, (lua_Integer)i - (lua_Integer)given->args_zero);
    }
    if (!given->keeps_arg) {
        lua_pushvalue(L, -1);
        lua_setglobal(L, "arg");
    }
    lua_setfield(L, -2, "args");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &host_key);
    *parent = given->parent_fd; /* last: what fails before leaves them to the caller */
    *notify = given->notify_fd;
}

int *mw_host_door_fd(lua_State *L, int notify) {
    int *fd;

    mw_door_host(L);
    lua_getfield(L, -1, notify ? NOTIFY : PARENT);
    fd = lua_touserdata(L, -1); /* kept by the table */
    lua_pop(L, 2);
    return fd;
}

int mw_host_door_push_args(lua_State *L) {
    int n;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &host_key);
    lua_getfield(L, -1, "args");
    lua_replace(L, -2);                             /* [args] */
    n = (int)lua_rawlen(L, -1);
    luaL_checkstack(L, n + 8, "too many arguments");
    for (int i = 1; i <= n; i++) lua_rawgeti(L, -i, i);
    lua_remove(L, -n - 1);
    return n;
}

/* exit(code): cancels everything, runs cleanup, then leaves; does not return                       [-0, +0, e] */
static int host_exit(lua_State *L) {
    lua_Integer code = 0;
    if (lua_isboolean(L, 1)) code = !lua_toboolean(L, 1);
    else if (!lua_isnoneornil(L, 1)) code = mw_param_integer(L, 1, "exit", "the status", 0, 255);
    return mw_wait_exit(L, (int)code, "exit");
}

/* memory() -> bytes used, limit                                                                     [-0, +2, -] */
static int host_memory(lua_State *L) {
    size_t limit;
    lua_pushinteger(L, (lua_Integer)mw_host_memory(mw_host_of(L), &limit));
    lua_pushinteger(L, (lua_Integer)limit);
    return 2;
}

/* host.call_began() -> when, or nil while nobody asks how long calls take (mw.metrics)                [-0, +1, -] */
static int host_call_began(lua_State *L) {
    mw_host *h = mw_host_of(L);

    if (mw_host_measures(h)->times[MW_TIME_CALL_RPC] == NULL) return 0;
    lua_pushinteger(L, (lua_Integer)mw_host_now(h));
    return 1;
}
/* host.call_ended(when): a remote call was answered                                                  [-0, +0, e] */
static int host_call_ended(lua_State *L) {
    uint64_t began = (uint64_t)luaL_checkinteger(L, 1), now = mw_host_now(mw_host_of(L));

    mw_measure(mw_host_measures(mw_host_of(L)), MW_TIME_CALL_RPC, now > began ? now - began : 0);
    return 0;
}

int mw_door_host(lua_State *L) {
    static const luaL_Reg fns[] = {{"exit", host_exit}, {"memory", host_memory}, {"call_began", host_call_began},
                                   {"call_ended", host_call_ended}, {NULL, NULL}};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &host_key);
    luaL_setfuncs(L, fns, 0);
    return 1;
}
