/* os: Lua's own clock and calendar; files, variables and the exit in their guarded forms.
 * Knows: bind, io/osfile, core/task, lua.h. Never: a shell, the process's locale. */
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/std.h"
#include "core/task.h"
#include "io/file_op.h"
#include "io/osfile.h"

static mw_policy *policy(lua_State *L) {
    return mw_host_policy(mw_host_of(L));
}

static int done(lua_State *L, int rc, const struct mw_err *err, const char *name) {
    if (rc < 0) return mw_std_fail(L, err, name);
    lua_pushboolean(L, 1);
    return 1;
}

static int os_remove(lua_State *L) { /* remove(name) -> true | nil, message, errno                               [-0, +1|3, e] */
    const char *name = mw_param_text(L, 1, "os.remove", "the file name", 0, NULL);
    struct mw_err err;
    return done(L, mw_os_remove(policy(L), name, &err), &err, name);
}

static int os_rename(lua_State *L) { /* rename(old, new) -> true | nil, message, errno                            [-0, +1|3, e] */
    const char *from = mw_param_text(L, 1, "os.rename", "the old name", 0, NULL);
    const char *to = mw_param_text(L, 2, "os.rename", "the new name", 0, NULL);
    struct mw_err err;
    return done(L, mw_file_rename(mw_host_of(L), from, to, &err), &err, from);
}

static int os_tmpname(lua_State *L) { /* tmpname() -> the name of a new file in TMPDIR                            [-0, +1, e] */
    char name[PATH_MAX];
    struct mw_err err;
    int rc = mw_os_tmpname(policy(L), name, &err);

    if (rc < 0) return mw_raise(L, &err);
    lua_pushstring(L, name);
    return 1;
}

static int os_getenv(lua_State *L) { /* getenv(name) -> value | nil; raises without the right                     [-0, +1, e] */
    const char *name = mw_param_text(L, 1, "os.getenv", "the variable's name", 0, NULL), *value;
    struct mw_err err;
    int rc = mw_os_getenv(policy(L), name, &value, &err);

    if (rc < 0) return mw_push_err(L, &err);
    lua_pushstring(L, value);
    return 1;
}

static int os_execute(lua_State *L) { /* execute() -> false: no shell; execute(command) raises                    [-0, +1, e] */
    struct mw_err err;

    if (lua_isnoneornil(L, 1)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    mw_err_set(&err, -ENOTSUP, "os execute", NULL, "not available");
    mw_err_hint(&err, "use mw.process.run, or mw.process.sh for a shell");
    return mw_raise(L, &err);
}

/* exit([code [, close]]): cancels everything, runs cleanup, then leaves; does not return                         [-0, +0, e] */
static int os_exit(lua_State *L) {
    lua_Integer code = 0;

    if (lua_isboolean(L, 1)) code = !lua_toboolean(L, 1);
    else if (!lua_isnoneornil(L, 1)) code = mw_param_integer(L, 1, "os.exit", "the status", INT_MIN, INT_MAX) & 255;
    return mw_wait_exit(L, (int)code, "exit");
}

/* setlocale([locale [, category]]) -> name | nil: can be asked, or be "C" already. The upvalue is Lua's own.      [-0, +1, e] */
static int os_setlocale(lua_State *L) {
    const char *want = mw_std_text_at(L, 1, "os.setlocale", "the locale", NULL);

    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushnil(L);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);                                          /* [want category now] */
    if (want != NULL && strcmp(want, "C") != 0 && strcmp(want, "POSIX") != 0) lua_pushnil(L);
    else if (want != NULL && (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), "C") != 0)) lua_pushnil(L);
    return 1;
}

static int os_date(lua_State *L) { /* date([format [, time]]): the upvalue is Lua's own                                [-0, +1, e] */
    mw_std_check_format(L, 1, "os.date");
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

int mw_std_open_os(lua_State *L) {
    static const char *const plain[] = {"clock", "difftime", "time"};
    static const luaL_Reg fns[] = {{"remove", os_remove}, {"rename", os_rename}, {"tmpname", os_tmpname}, {"getenv", os_getenv},
                                   {"execute", os_execute}, {"exit", os_exit}, {NULL, NULL}};

    luaL_newlib(L, fns);                                        /* [os] */
    luaopen_os(L);                                              /* [os raw] */
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        lua_getfield(L, -1, plain[i]);
        lua_setfield(L, -3, plain[i]);
    }
    lua_getfield(L, -1, "date");
    lua_pushcclosure(L, os_date, 1);
    lua_setfield(L, -3, "date");
    lua_getfield(L, -1, "setlocale");
    lua_pushcclosure(L, os_setlocale, 1);
    lua_setfield(L, -3, "setlocale");
    lua_pop(L, 1);
    return 1;
}
