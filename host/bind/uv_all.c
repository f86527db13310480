/* Rules of what takes all rights: the process's own settings, terminals, other people's descriptors and signals.
 * Knows: bind/uv.h. Never: more than to look at the arguments that luv does not look at.
 *
 * And two small rules of pipes and datagrams that take a right only, or none. */
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "bind/uv.h"

#define ID_MAX ((lua_Integer)UINT32_MAX)

/* ---- Descriptors and terminals ---------------------------------------------------------------------------------------------------- */

int mw_uv_new_tty(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct mw_err err;
    uv_handle_type type;
    int fd, rc = mw_uv_any_fd(L, d, 1, r->name, &fd, &err);

    if (rc < 0) return mw_uv_give_err(L, d, 0, &err);
    type = uv_guess_handle(fd);
    if (type == UV_FILE || type == UV_UNKNOWN_HANDLE) return mw_uv_fail(L, -EINVAL); /* libuv's own answer: luv would lose its handle */
    mw_uv_room(L, d, r->name);
    lua_settop(L, 2);
    lua_pushboolean(L, lua_toboolean(L, 2));
    lua_replace(L, 2);
    return mw_uv_made(L, d, raw(L));
}

int mw_uv_tty_set_mode(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 2, r->name, "mode", 0, 2);
    return raw(L);
}

/* tcp_open, udp_open: a socket of the handle's kind, or luv tells addresses that are none. */
int mw_uv_socket_open(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_handle_t *it = mw_uv_handle(L, 1, r->name, UV_KIND(TCP) | UV_KIND(UDP));
    int fd, n, type = 0, domain = 0, wanted = it->type == UV_TCP ? SOCK_STREAM : SOCK_DGRAM;
    socklen_t len = sizeof type, size = sizeof domain;
    uv_os_fd_t has;
    struct mw_err err;

    if (mw_uv_any_fd(L, d, 2, r->name, &fd, &err) < 0) return mw_uv_give_err(L, d, 0, &err);
    if (uv_fileno(it, &has) == 0) return mw_uv_fail(L, -EBUSY);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0) return mw_uv_fail(L, -ENOTSOCK);
    if (type != wanted || (domain != AF_INET && domain != AF_INET6)) return mw_uv_fail(L, -EINVAL);
    lua_settop(L, 2);
    n = raw(L);
    if (n > 0 && !lua_isnil(L, -n)) mw_fds_forget(&d->fds, fd); /* the handle has it now */
    return n;
}

/* ---- Processes ---------------------------------------------------------------------------------------------------------------------- */

/* kill(pid, signal): luv takes a name that it does not know for 0, and says that all went well. */
int mw_uv_kill(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 1, r->name, "pid", INT_MIN, INT_MAX);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) lua_pushinteger(L, SIGTERM);
    else if (lua_isinteger(L, 2) && lua_tointeger(L, 2) == 0) lua_pushinteger(L, 0);
    else lua_pushinteger(L, mw_uv_signal_number(L, 2, r->name));
    lua_replace(L, 2);
    return raw(L);
}

int mw_uv_setpriority(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 1, r->name, "pid", 0, INT_MAX);
    mw_param_integer(L, 2, r->name, "priority", -20, 19);
    return raw(L);
}

/* setuid, setgid */
int mw_uv_id(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 1, r->name, "id", 0, ID_MAX);
    return raw(L);
}

static const char *variable_at(lua_State *L, const char *op) {
    const char *name = mw_param_text(L, 1, op, "name", 0, NULL);

    if (*name == '\0' || strchr(name, '=') != NULL) mw_raise_inval(L, op, "argument 1: no name of a variable");
    return name;
}

int mw_uv_setenv(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    variable_at(L, r->name);
    mw_param_text(L, 2, r->name, "value", 65536, NULL);
    return raw(L);
}

int mw_uv_unsetenv(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    variable_at(L, r->name);
    return raw(L);
}

/* chdir, set_process_title: a text. */
int mw_uv_path(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_text(L, 1, r->name, "path", 0, NULL);
    return raw(L);
}

/* ---- Owners of files ------------------------------------------------------------------------------------------------------------------ */

static int chown_at(lua_State *L, struct uv_door *d, const char *op, lua_CFunction raw) {
    mw_param_integer(L, 2, op, "uid", -1, ID_MAX);
    mw_param_integer(L, 3, op, "gid", -1, ID_MAX);
    lua_settop(L, 4);
    mw_uv_callback(L, 4, op, 1);
    if (lua_isnil(L, 4)) lua_settop(L, 3);
    return mw_uv_pooled(L, d, 4, raw);
}

int mw_uv_chown(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    mw_param_text(L, 1, r->name, "path", 0, NULL);
    return chown_at(L, d, r->name, raw);
}

int mw_uv_fchown(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct mw_err err;
    int fd;

    if (mw_uv_any_fd(L, d, 1, r->name, &fd, &err) < 0) return mw_uv_give_err(L, d, lua_isfunction(L, 4) ? 4 : 0, &err);
    return chown_at(L, d, r->name, raw);
}

/* ---- Pipes and datagrams ---------------------------------------------------------------------------------------------------------------- */

/* pipe_chmod(pipe, "r" | "w" | "rw"): on the name that was bound, as the rights stand now. */
int mw_uv_pipe_chmod(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    const char *how = mw_param_text(L, 2, r->name, "flags", 2, NULL);
    mode_t mode = (strchr(how, 'r') != NULL ? S_IRUSR | S_IRGRP | S_IROTH : 0) | (strchr(how, 'w') != NULL ? S_IWUSR | S_IWGRP | S_IWOTH : 0);
    uv_stat_t st;
    struct mw_err err;

    (void)raw;
    if (strcmp(how, "r") != 0 && strcmp(how, "w") != 0 && strcmp(how, "rw") != 0 && strcmp(how, "wr") != 0)
        return mw_raise_inval(L, r->name, "argument 2: \"r\", \"w\" or \"rw\" expected");
    if (!mw_uv_pipe_name(L, 1)) return mw_uv_fail(L, -EBADF);
    if (mw_uvfs_stat(mw_host_policy(d->host), lua_tostring(L, -1), 0, &st, &err) < 0 ||
        mw_uvfs_chmod(mw_host_policy(d->host), lua_tostring(L, -1), (mode_t)(st.st_mode & 07777) | mode, &err) < 0)
        return mw_uv_give_err(L, d, 0, &err);
    lua_pushinteger(L, 0);
    return 1;
}

int mw_uv_pending_instances(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 2, r->name, "count", 0, INT_MAX);
    return raw(L);
}

int mw_uv_multicast_interface(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) mw_param_text(L, 2, r->name, "interface", 64, NULL);
    return raw(L);
}
