/* Rules of uv's watches: fs_event, fs_poll, poll.
 * Knows: bind/uv.h, policy/permit. Never: watches what was not permitted, or by a name that could lead elsewhere by now. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bind/uv.h"
#include "core/weak.h"
#include "policy/permit.h"

#define INTERVAL_MAX ((lua_Integer)1 << 31)

static const char names_key;     /* registry: fs_event handle (weak) -> the path that it watches */

/* ---- fs_event ------------------------------------------------------------------------------------------------------------------- */

/* The handle at idx watches what the value at the top names (popped); nil: nothing. */
static void set_name(lua_State *L, int idx) {
    luaL_checkstack(L, 6, "uv");
    mw_weak_at(L, &names_key, "k");                                    /* [name names] */
    lua_pushvalue(L, idx);
    lua_rotate(L, -3, -1);                                             /* [names handle name] */
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* What luv calls: the watched thing goes by its own name, and not by that of our descriptor. err, filename, events, ... ->
 * Upvalues: the callback, the name, whether all that luv names is the thing itself (a file). */
static int on_event(lua_State *L) {
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;

    if (name != NULL && (strcmp(name, ".") == 0 || lua_toboolean(L, lua_upvalueindex(3)))) {
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_replace(L, 2);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

/* fs_event_start(handle, path, flags, callback): by a descriptor, so that what was permitted is what is watched. */
int mw_uv_fs_event_start(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    static const char *const flags[] = { "watch_entry", "stat", "recursive" };
    const char *path = mw_param_text(L, 2, r->name, "path", 0, NULL), *leaf;
    struct mw_place *at;
    struct stat st;
    struct mw_err err;
    int n, directory;

    if (!lua_istable(L, 3) && !lua_isnil(L, 3)) return mw_raise_inval(L, r->name, "argument 3: a table expected, got %s", luaL_typename(L, 3));
    mw_uv_callback(L, 4, r->name, 0);
    lua_settop(L, 4);
    lua_createtable(L, 0, 3);                                          /* [handle path flags callback copy] */
    for (size_t i = 0; i < sizeof flags / sizeof *flags && lua_istable(L, 3); i++) {
        lua_pushstring(L, flags[i]);
        lua_rawget(L, 3);
        lua_pushboolean(L, lua_toboolean(L, -1));
        lua_setfield(L, 5, flags[i]);
        lua_settop(L, 5);
    }
    lua_replace(L, 3);
    at = mw_uv_push_place(L);                                          /* [handle path flags callback place] */
    if (mw_permit_path(mw_host_policy(d->host), 1u << MW_READ, path, MW_AT_OBJECT, r->name, at, &err) < 0) return mw_uv_give_err(L, d, 0, &err);
    directory = fstat(at->fd, &st) == 0 && S_ISDIR(st.st_mode);
    leaf = strrchr(path, '/');
    lua_pushcfunction(L, raw);
    lua_pushvalue(L, 1);
    lua_pushfstring(L, directory ? "/proc/self/fd/%d/." : "/proc/self/fd/%d", at->fd);
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 4);
    lua_pushstring(L, leaf != NULL && leaf[1] != '\0' ? leaf + 1 : path);
    lua_pushboolean(L, !directory);
    lua_pushcclosure(L, on_event, 3);                                  /* [... raw handle name flags event] */
    lua_call(L, 4, LUA_MULTRET);                                       /* [handle path flags callback place results...] */
    mw_place_close(at);
    n = lua_gettop(L) - 5;
    if (n > 0 && !lua_isnil(L, 6)) {
        lua_pushvalue(L, 2);
        set_name(L, 1);
    }
    return n;
}

int mw_uv_fs_event_getpath(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    if (!uv_is_active(mw_uv_handle(L, 1, r->name, UV_KIND(FS_EVENT)))) return raw(L);
    mw_weak_at(L, &names_key, "k");
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    return 1;
}

void mw_uv_watch_closed(lua_State *L, int idx) {
    uv_handle_t **box = lua_touserdata(L, idx);

    if (box == NULL || *box == NULL || (*box)->type != UV_FS_EVENT) return;
    lua_pushnil(L);
    set_name(L, idx);
}

/* ---- fs_poll: looks the name up again and again, which no single check can answer for --------------------------------------------- */

int mw_uv_fs_poll_start(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_text(L, 2, r->name, "path", 0, NULL);
    mw_param_integer(L, 3, r->name, "interval", 1, INTERVAL_MAX);
    mw_uv_callback(L, 4, r->name, 0);
    return raw(L);
}

/* ---- poll ------------------------------------------------------------------------------------------------------------------------- */

static void on_tried(uv_handle_t *it) {
    free(it);
}

/* luv keeps the memory of a handle that cannot watch `fd`: it is asked for those alone that can. 0 or a code. */
static int try_poll(uv_loop_t *loop, int fd) {
    uv_poll_t *it = malloc(sizeof *it);
    int rc = it != NULL ? uv_poll_init(loop, it, fd) : MW_ENOMEM;

    if (rc == 0) uv_close((uv_handle_t *)it, on_tried);
    else free(it);
    return rc;
}

int mw_uv_new_poll(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct mw_err err;
    int fd, rc = mw_uv_any_fd(L, d, 1, r->name, &fd, &err), n;

    if (rc < 0) return mw_uv_give_err(L, d, 0, &err);
    if (mw_fds_check(&d->fds, fd, MW_FD_POLLED, r->name, &err) == 0) return mw_uv_fail(L, -EEXIST);
    rc = try_poll(mw_host_loop(d->host), fd);
    if (rc < 0) return mw_uv_fail(L, rc);
    mw_uv_room(L, d, r->name);
    lua_settop(L, 1);
    n = mw_uv_made(L, d, raw(L));
    if (n > 0 && lua_type(L, -n) == LUA_TUSERDATA) mw_fds_polled(&d->fds, fd, 1);
    return n;
}

void mw_uv_poll_closing(struct uv_door *d, uv_handle_t *it) {
    uv_os_fd_t fd;

    if (it->type == UV_POLL && uv_fileno(it, &fd) == 0) mw_fds_polled(&d->fds, fd, 0);
}

int mw_uv_poll_start(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    if (lua_type(L, 2) == LUA_TNUMBER) mw_param_integer(L, 2, r->name, "events", 0, 15);
    else if (!lua_isfunction(L, 2)) mw_param_text(L, 2, r->name, "events", 8, NULL);
    if (!lua_isfunction(L, 2)) mw_uv_callback(L, 3, r->name, 0);
    return raw(L);
}
