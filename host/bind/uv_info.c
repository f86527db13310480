/* Rules of uv's smaller things: timers, signals, requests, pipes by name, and what the system tells.
 * Knows: bind/uv.h, policy/permit. Never: tells what no right allows. */
#include <string.h>

#include "bind/uv.h"
#include "core/weak.h"
#include "policy/permit.h"

#define MS_MAX ((lua_Integer)1 << 53)
#define RANDOM_MAX 65536
#define PLACE "mw.uv_place"

static const char places_key; /* registry: bound pipe handle (weak) -> its place */

/* ---- Timers, phases, signals, requests --------------------------------------------------------------------------------------- */

int mw_uv_start(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_uv_callback(L, 2, r->name, 0);
    return raw(L);
}

int mw_uv_timer_start(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 2, r->name, "timeout", 0, MS_MAX);
    mw_param_integer(L, 3, r->name, "repeat", 0, MS_MAX);
    mw_uv_callback(L, 4, r->name, 0);
    return raw(L);
}

int mw_uv_timer_set_repeat(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 2, r->name, "repeat", 0, MS_MAX);
    return raw(L);
}

/* Those that neither end the process nor belong to the host. */
int mw_uv_signal_start(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    static const struct { const char *name; int number; } allowed[] = {
        { "sigusr1", SIGUSR1 }, { "sigusr2", SIGUSR2 }, { "sigwinch", SIGWINCH }, { "sigcont", SIGCONT },
    };
    size_t i, count = sizeof allowed / sizeof *allowed;

    mw_uv_callback(L, 3, r->name, 1);
    if (mw_uv_total(d)) {
        lua_pushinteger(L, mw_uv_signal_number(L, 2, r->name));
        lua_replace(L, 2);
        return raw(L);
    }
    if (lua_type(L, 2) == LUA_TSTRING) {
        const char *name = mw_param_text(L, 2, r->name, "signal", 16, NULL);

        for (i = 0; i < count && strcmp(allowed[i].name, name) != 0; i++) continue;
    } else {
        lua_Integer number = mw_param_integer(L, 2, r->name, "signal", 1, 64);

        for (i = 0; i < count && allowed[i].number != number; i++) continue;
    }
    if (i == count) return mw_raise_inval(L, r->name, "argument 2: one of sigusr1, sigusr2, sigwinch, sigcont expected");
    return raw(L);
}

/* A request that is still under way: luv empties its userdata when it is done. */
int mw_uv_cancel(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_req_t *req = luaL_testudata(L, 1, "uv_req");

    (void)d;
    if (req != NULL) {
        if (req->data == NULL) return mw_raise_inval(L, r->name, "the request is done");
        lua_settop(L, 1);
        return raw(L);
    }
    if (luaL_testudata(L, 1, "mw.uv_request") == NULL && luaL_testudata(L, 1, "mw.uv_scan") == NULL)
        return mw_raise_inval(L, r->name, "argument 1: a request expected, got %s", luaL_typename(L, 1));
    if (strcmp(r->name, "cancel") == 0) return mw_uv_fail(L, -EBUSY); /* what files do is done at once */
    lua_pushliteral(L, "fs");
    lua_pushinteger(L, UV_FS);
    return 2;
}

/* ---- Pipes ------------------------------------------------------------------------------------------------------------------- */

int mw_uv_pipe_open(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int fd, n;
    uv_os_fd_t has;
    struct mw_err err;

    if (mw_uv_fd(L, d, 2, MW_FD_STREAM, r->name, &fd, &err) < 0) return mw_uv_give_err(L, d, 0, &err);
    if (mw_fds_check(&d->fds, fd, MW_FD_POLLED, r->name, &err) == 0) return mw_uv_fail(L, -EBUSY);
    if (uv_fileno((uv_handle_t *)mw_uv_handle(L, 1, r->name, r->kinds), &has) == 0) return mw_uv_fail(L, -EBUSY);
    lua_settop(L, 2);
    n = raw(L);
    if (!lua_isnil(L, -n)) mw_fds_forget(&d->fds, fd); /* the handle has it now */
    return n;
}

static int pair(lua_State *L, struct uv_door *d, int rc, const int fds[2], int named, const struct mw_err *err) {
    if (rc < 0) return mw_uv_give_err(L, d, 0, err);
    lua_createtable(L, 2, 2);
    lua_pushinteger(L, fds[0]);
    if (named) lua_setfield(L, -2, "read");
    else lua_rawseti(L, -2, 1);
    lua_pushinteger(L, fds[1]);
    if (named) lua_setfield(L, -2, "write");
    else lua_rawseti(L, -2, 2);
    return 1;
}

/* Both never block the loop, whatever is asked for. */
int mw_uv_pipe(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct mw_err err;
    int fds[2], rc = mw_uvfs_pipe(&d->fds, fds, &err);

    (void)r;
    (void)raw;
    return pair(L, d, rc, fds, 1, &err);
}

int mw_uv_socketpair(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct mw_err err;
    int fds[2], type = SOCK_STREAM, rc;

    (void)raw;
    if (lua_type(L, 1) == LUA_TSTRING) {
        const char *name = lua_tostring(L, 1);

        if (strcmp(name, "dgram") == 0) type = SOCK_DGRAM;
        else if (strcmp(name, "stream") != 0) return mw_raise_inval(L, r->name, "argument 1: \"stream\" or \"dgram\" expected");
    } else if (!lua_isnoneornil(L, 1)) {
        type = (int)mw_param_integer(L, 1, r->name, "type", SOCK_STREAM, SOCK_DGRAM);
    }
    rc = mw_uvfs_socketpair(&d->fds, type, fds, &err);
    return pair(L, d, rc, fds, 0, &err);
}

/* A bound pipe's directory stays open until it is closed: libuv removes the socket by /proc/self/fd/N/leaf. */
static int place_gc(lua_State *L) {
    mw_place_close(luaL_checkudata(L, 1, PLACE));
    return 0;
}

struct mw_place *mw_uv_push_place(lua_State *L) {
    struct mw_place *at = lua_newuserdatauv(L, sizeof *at, 1);         /* [place] */

    memset(at, 0, sizeof *at);
    at->fd = -1;
    if (luaL_newmetatable(L, PLACE)) {
        lua_pushcfunction(L, place_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    return at;
}

int mw_uv_pipe_bind(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_pipe_t *p = (uv_pipe_t *)mw_uv_handle(L, 1, r->name, UV_KIND(NAMED_PIPE));
    const char *path = mw_param_text(L, 2, r->name, "path", 0, NULL);
    struct mw_place *at;
    char name[128];
    struct mw_err err;
    int rc;

    (void)raw;
    mw_weak_at(L, &places_key, "k");                                   /* [places] */
    lua_pushvalue(L, 1);
    at = mw_uv_push_place(L);                                                /* [places handle place] */
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    lua_insert(L, -4);                                                 /* [place places handle place] */
    if (mw_uvfs_bind_place(mw_host_policy(d->host), path, name, sizeof name, at, &err) < 0) return mw_uv_give_err(L, d, 0, &err);
    rc = uv_pipe_bind(p, name);
    if (rc < 0) {
        mw_place_close(at);
        return mw_uv_fail(L, rc);
    }
    lua_rawset(L, -3);
    lua_pushinteger(L, 0);
    return 1;
}

void mw_uv_pipe_closed(lua_State *L, int idx) {
    lua_pushvalue(L, idx);
    mw_weak_at(L, &places_key, "k");                                   /* [handle places] */
    lua_insert(L, -2);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {                               /* [places handle place] */
        mw_place_close(lua_touserdata(L, -1));
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, -5);
    }
    lua_pop(L, 3);
}

int mw_uv_pipe_name(lua_State *L, int idx) {
    lua_pushvalue(L, idx);
    mw_weak_at(L, &places_key, "k");
    lua_insert(L, -2);
    if (lua_rawget(L, -2) != LUA_TUSERDATA) {                          /* [places place] */
        lua_pop(L, 2);
        return 0;
    }
    lua_getiuservalue(L, -1, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
    return 1;
}

int mw_uv_pipe_getsockname(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    (void)r;
    return mw_uv_pipe_name(L, 1) ? 1 : raw(L);
}

int mw_uv_pipe_connect(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    const char *path = mw_param_text(L, 2, r->name, "path", 0, NULL);
    struct mw_place *at;
    char name[64];
    struct mw_err err;
    int n;

    mw_uv_callback(L, 3, r->name, 1);
    lua_settop(L, 3);
    at = mw_uv_push_place(L);                                                /* holds the socket while libuv connects, which is now */
    if (mw_uvfs_socket(mw_host_policy(d->host), path, name, sizeof name, &at->fd, &err) < 0)
        return mw_uv_give_err(L, d, lua_isnil(L, 3) ? 0 : 3, &err);
    lua_pushstring(L, name);
    lua_replace(L, 2);                                                 /* [handle name cb place] */
    n = raw(L);
    mw_place_close(at);
    return n;
}

/* ---- What the system tells ----------------------------------------------------------------------------------------------------- */

static void permit_env(lua_State *L, struct uv_door *d, const char *name, const char *op) {
    struct mw_err err;

    if (mw_permit_text(mw_host_policy(d->host), MW_ENV, name, op, &err) < 0) mw_raise(L, &err);
}

int mw_uv_random(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    mw_param_integer(L, 1, r->name, "size", 0, RANDOM_MAX);
    lua_settop(L, 3);
    if (!lua_isnil(L, 2) && !lua_istable(L, 2)) mw_param_integer(L, 2, r->name, "flags", 0, 0);
    lua_pushnil(L);
    lua_replace(L, 2); /* there are no flags yet */
    mw_uv_callback(L, 3, r->name, 1);
    return mw_uv_pooled(L, d, 3, raw);
}

int mw_uv_os_getenv(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    const char *name = mw_param_text(L, 1, r->name, "name", 0, NULL);

    if (*name == '\0' || strchr(name, '=') != NULL) return mw_raise_inval(L, r->name, "argument 1: no name of a variable");
    permit_env(L, d, name, r->name);
    if (!lua_isnoneornil(L, 2)) mw_param_integer(L, 2, r->name, "size", 1, 65536);
    return raw(L);
}

int mw_uv_os_environ(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int n;

    (void)r;
    lua_settop(L, 0);
    n = raw(L);
    if (!lua_istable(L, -n)) return n;
    lua_newtable(L);                                                   /* [all granted] */
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || mw_policy_query(mw_host_policy(d->host), MW_ENV, lua_tostring(L, -2)) != MW_GRANTED) continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 2);
    }
    return 1;
}

int mw_uv_os_home(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    permit_env(L, d, "HOME", r->name);
    return raw(L);
}

int mw_uv_os_tmpdir(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    static const char *const names[] = { "TMPDIR", "TMP", "TEMP", "TEMPDIR" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) permit_env(L, d, names[i], r->name);
    return raw(L);
}

int mw_uv_exepath(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct mw_place at = { .fd = -1 };
    struct mw_err err;
    int n;

    lua_settop(L, 0);
    n = raw(L);
    if (lua_type(L, 1) != LUA_TSTRING) return n;
    if (mw_permit_path(mw_host_policy(d->host), 1u << MW_READ, lua_tostring(L, 1), MW_AT_NAME, r->name, &at, &err) < 0) return mw_raise(L, &err);
    mw_place_close(&at);
    return n;
}

/* luv does not look whether the system answered. */
int mw_uv_interfaces(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_interface_address_t *list = NULL;
    int count = 0, rc = uv_interface_addresses(&list, &count);

    (void)d;
    (void)r;
    if (rc < 0) return mw_uv_fail(L, rc);
    uv_free_interface_addresses(list, count);
    return raw(L);
}

int mw_uv_interface_index(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 1, r->name, "index", 1, INT32_MAX);
    return raw(L);
}

int mw_uv_guess_handle(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct mw_err err;
    int fd, rc = mw_uv_fd(L, d, 1, 0, r->name, &fd, &err);

    if (fd > 2 && rc < 0) return mw_uv_give_err(L, d, 0, &err);
    return raw(L);
}

/* luv_error keeps the memory of a name that is none. */
int mw_uv_sys_error(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int code = uv_translate_sys_error((int)mw_param_integer(L, 1, r->name, "errno", 1, 133));
    char name[64], words[128];

    (void)d;
    (void)raw;
    lua_pushnil(L);
    uv_err_name_r(code, name, sizeof name);
    lua_pushfstring(L, "%s: %s", name, uv_strerror_r(code, words, sizeof words));
    lua_pushstring(L, name);
    return 3;
}

int mw_uv_getpriority(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 1, r->name, "pid", 0, INT32_MAX);
    return raw(L);
}
