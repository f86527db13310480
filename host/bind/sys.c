/* The door of the machine and the process: clocks, random bytes, variables, facts by kind.
 * Knows: bind/arg, io/sys, lua.h. Never: a syscall, a decision. */
#include <stdint.h>
#include <stdlib.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "io/sys.h"

#define RANDOM_MAX (1 << 20)     /* bytes of one call */
#define NAME_MAX_BYTES 255       /* of a variable's name */
#define ROOM 4096                /* of a fact */

#if defined(__x86_64__)
#define ARCH "x86_64"
#elif defined(__aarch64__)
#define ARCH "aarch64"
#else
#define ARCH "unknown"
#endif

/* sys.now() -> monotonic seconds                                           [-0, +1, -] */
static int sys_now(lua_State *L) {
    lua_pushnumber(L, (lua_Number)mw_host_now(mw_host_of(L)) / 1e9);
    return 1;
}

/* sys.wall() -> seconds since 1970                                         [-0, +1, -] */
static int sys_wall(lua_State *L) {
    lua_pushnumber(L, mw_sys_wall());
    return 1;
}

/* sys.random(n) -> n bytes                                                 [-0, +1, e] */
static int sys_random(lua_State *L) {
    size_t n = (size_t)mw_param_size(L, 1, "random.bytes", "count", 0, RANDOM_MAX);
    struct mw_err err;
    luaL_Buffer b;
    char *at = luaL_buffinitsize(L, &b, n);

    if (mw_sys_random(at, n, &err) < 0) return mw_push_err(L, &err);
    luaL_pushresultsize(&b, n);
    return 1;
}

/* ---- Variables ---------------------------------------------------------------------------------------------------------- */

/* sys.env(name, quiet) -> value | nil: without its right EDENIED is raised, or nil given when quiet    [-0, +1, e] */
static int sys_env(lua_State *L) {
    const char *name = mw_param_text(L, 1, "env", "name", NAME_MAX_BYTES, NULL), *value;
    int quiet = lua_toboolean(L, 2);
    struct mw_err err;

    if (mw_env_get(mw_host_of(L), name, &value, &err) < 0 && !quiet) return mw_push_err(L, &err);
    lua_pushstring(L, value); /* nil for NULL */
    return 1;
}

static int add_variable(void *ud, const char *name, size_t name_len, const char *value) {
    lua_State *L = ud;

    lua_pushlstring(L, name, name_len);
    lua_pushstring(L, value);
    lua_rawset(L, -3);
    return 0;
}

/* sys.env_all() -> { name = value }: those with a right                    [-0, +1, m] */
static int sys_env_all(lua_State *L) {
    lua_newtable(L);
    mw_env_each(mw_host_of(L), add_variable, L);
    return 1;
}

/* ---- Facts -------------------------------------------------------------------------------------------------------------- */

static int text_fact(lua_State *L, int (*ask)(mw_host *, char *, size_t, struct mw_err *)) {
    char out[ROOM];
    struct mw_err err;

    if (ask(mw_host_of(L), out, sizeof out, &err) < 0) return mw_push_err(L, &err);
    lua_pushstring(L, out);
    return 1;
}

static int integer_fact(lua_State *L, int (*ask)(mw_host *, int64_t *, struct mw_err *)) {
    int64_t out = 0;
    struct mw_err err;

    if (ask(mw_host_of(L), &out, &err) < 0) return mw_push_err(L, &err);
    lua_pushinteger(L, out);
    return 1;
}

/* sys.hostname() -> text, and so on: each raises EDENIED without its sys right                         [-0, +1, e] */
static int sys_hostname(lua_State *L) { return text_fact(L, mw_sys_hostname); }
static int sys_os_release(lua_State *L) { return text_fact(L, mw_sys_os_release); }
static int sys_homedir(lua_State *L) { return text_fact(L, mw_sys_homedir); }
static int sys_cpus(lua_State *L) { return integer_fact(L, mw_sys_cpus); }
static int sys_uid(lua_State *L) { return integer_fact(L, mw_sys_uid); }
static int sys_gid(lua_State *L) { return integer_fact(L, mw_sys_gid); }
static int sys_pid(lua_State *L) { return integer_fact(L, mw_sys_pid); }

/* sys.loadavg() -> 1, 5 and 15 minutes                                     [-0, +3, e] */
static int sys_loadavg(lua_State *L) {
    struct mw_err err;
    double out[3];

    if (mw_sys_loadavg(mw_host_of(L), out, &err) < 0) return mw_push_err(L, &err);
    for (int i = 0; i < 3; i++) lua_pushnumber(L, out[i]);
    return 3;
}

/* sys.memory() -> { total, free, available } in bytes                      [-0, +1, e] */
static int sys_memory(lua_State *L) {
    struct mw_sys_memory it;
    struct mw_err err;

    if (mw_sys_memory(mw_host_of(L), &it, &err) < 0) return mw_push_err(L, &err);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)it.total);
    lua_setfield(L, -2, "total");
    lua_pushinteger(L, (lua_Integer)it.free);
    lua_setfield(L, -2, "free");
    lua_pushinteger(L, (lua_Integer)it.available);
    lua_setfield(L, -2, "available");
    return 1;
}

#define INTERFACES "mw.sys.interfaces"
struct interfaces { struct mw_sys_interface *list; };

static int interfaces_gc(lua_State *L) {
    struct interfaces *it = lua_touserdata(L, 1);

    free(it->list);
    it->list = NULL;
    return 0;
}

static void push_interface(lua_State *L, const struct mw_sys_interface *it) {
    lua_createtable(L, 0, 5);                                           /* [... entry] */
    lua_pushstring(L, it->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, it->v6 ? "ipv6" : "ipv4");
    lua_setfield(L, -2, "family");
    lua_pushstring(L, it->address);
    lua_setfield(L, -2, "address");
    lua_pushstring(L, it->netmask);
    lua_setfield(L, -2, "netmask");
    lua_pushboolean(L, it->internal);
    lua_setfield(L, -2, "internal");
}

/* sys.network_interfaces() -> array of { name, family, address, netmask, internal }                    [-0, +1, e] */
static int sys_network_interfaces(lua_State *L) {
    struct interfaces *it = lua_newuserdatauv(L, sizeof *it, 0);        /* [box] */
    struct mw_err err;
    size_t count;

    it->list = NULL;
    luaL_setmetatable(L, INTERFACES);
    if (mw_sys_interfaces(mw_host_of(L), &it->list, &count, &err) < 0) return mw_push_err(L, &err);
    lua_createtable(L, (int)count, 0);                                  /* [box list] */
    for (size_t i = 0; i < count; i++) {
        push_interface(L, &it->list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* core.sys                                                                 [-0, +1, m] */
int mw_door_sys(lua_State *L) {
    static const luaL_Reg door[] = {
        { "now", sys_now },           { "wall", sys_wall },       { "random", sys_random }, { "env", sys_env },
        { "env_all", sys_env_all },   { "hostname", sys_hostname }, { "os_release", sys_os_release }, { "loadavg", sys_loadavg },
        { "cpus", sys_cpus },         { "memory", sys_memory },   { "network_interfaces", sys_network_interfaces },
        { "uid", sys_uid },           { "gid", sys_gid },         { "homedir", sys_homedir }, { "pid", sys_pid },
        { NULL, NULL },
    };
    static const luaL_Reg none[] = { { NULL, NULL } }, meta[] = { { "__gc", interfaces_gc }, { NULL, NULL } };

    mw_type_new(L, INTERFACES, none, meta);
    luaL_newlib(L, door);                                               /* [door] */
    lua_pushliteral(L, "linux");
    lua_setfield(L, -2, "os");
    lua_pushliteral(L, ARCH);
    lua_setfield(L, -2, "arch");
    return 1;
}
