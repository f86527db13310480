/* Rules of uv's fs names: luv's arguments and results, over io/uvfs.
 * Knows: bind/uv.h, io/uvfs, io/file_op. Never: a syscall; calls luv's own fs functions.
 *
 * Without a callback a call answers at once, with one it was done at once too: the callback runs later, by the loop. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/uv.h"
#include "io/file_op.h"

#define PARTS_MAX 65536

int mw_uv_callback_at(lua_State *L, int first, int last, const char *op) {
    for (int i = first; i <= last; i++) {
        if (lua_isfunction(L, i)) return i;
    }
    if (!lua_isnoneornil(L, last)) mw_uv_callback(L, last, op, 1);
    return lua_isnoneornil(L, last) ? 0 : last;
}

static mw_policy *policy(struct uv_door *d) {
    return mw_host_policy(d->host);
}

const char *mw_uv_path_at(lua_State *L, int idx, const char *op) {
    return mw_param_text(L, idx, op, "path", 0, NULL);
}

/* The descriptor at idx, which is the script's and open for `how`; OTHER: a standard stream, which luv itself may take; or -1 and err. */
#define OTHER (-2)
static int fd_at(lua_State *L, struct uv_door *d, int idx, int how, const char *op, struct mw_err *err) {
    int fd, rc = mw_uv_fd(L, d, idx, how, op, &fd, err);

    return rc == 1 ? OTHER : rc < 0 ? -1 : fd;
}

/* A file's mode. One that others run as its owner outlives every policy: it takes all rights to make. */
static mode_t mode_at(lua_State *L, struct uv_door *d, int idx, const char *op) {
    mode_t mode = (mode_t)mw_param_integer(L, idx, op, "mode", 0, 07777);
    struct mw_err err;

    if ((mode & (S_ISUID | S_ISGID)) == 0 || mw_policy_is_total(policy(d))) return mode;
    mw_policy_refuse(policy(d), "write", op, NULL, "denied: a mode with setuid or setgid", &err);
    mw_err_hint(&err, "grant it with -A");
    mw_raise(L, &err);
    return 0;
}

/* true, or what failed. */
static int give_true(lua_State *L, struct uv_door *d, int cb, int rc, const struct mw_err *err) {
    if (rc < 0) return mw_uv_give_err(L, d, cb, err);
    lua_pushboolean(L, 1);
    return mw_uv_give(L, d, cb, 1);
}

/* The same for what has two names: luv tells both. */
static int give_move(lua_State *L, struct uv_door *d, int cb, int rc, const struct mw_err *err) {
    struct mw_err both;
    char names[512];

    if (rc >= 0 || err->code == MW_EDENIED || err->code == MW_ECANCELED) return give_true(L, d, cb, rc, err);
    snprintf(names, sizeof names, "%.240s -> %.240s", lua_tostring(L, 1), lua_tostring(L, 2));
    mw_err_set(&both, err->code, "uv", names, err->what[0] != '\0' ? err->what : NULL);
    return give_true(L, d, cb, rc, &both);
}

static int give_text(lua_State *L, struct uv_door *d, int cb, int rc, const char *text, const struct mw_err *err) {
    if (rc < 0) return mw_uv_give_err(L, d, cb, err);
    lua_pushstring(L, text);
    return mw_uv_give(L, d, cb, 1);
}

/* What a libuv call on a descriptor answered: a number. */
static int give_number(lua_State *L, struct uv_door *d, int cb, ssize_t n, const char *op) {
    struct mw_err err;

    if (n < 0) {
        mw_err_set(&err, (int)n, op, NULL, NULL);
        return mw_uv_give_err(L, d, cb, &err);
    }
    lua_pushinteger(L, n);
    return mw_uv_give(L, d, cb, 1);
}

static int give_done(lua_State *L, struct uv_door *d, int cb, int rc, const char *op) {
    struct mw_err err;

    if (rc < 0) mw_err_set(&err, rc, op, NULL, NULL);
    return give_true(L, d, cb, rc, &err);
}

/* ---- Opening and descriptors -------------------------------------------------------------------------------------------------- */

/* "r", "w+", "ax", ...: open(2)'s flags, or -1. */
static int flags_of(const char *text) {
    int flags = 0, plus = 0;
    char base = *text == 's' ? text[1] : *text; /* "sr" is "rs" */

    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '+') plus = 1;
        else if (*p == 's') flags |= O_SYNC;
        else if (*p == 'x') flags |= O_EXCL;
        else if (*p != base || (p != text && !(p == text + 1 && *text == 's'))) return -1;
    }
    if (base == 'r') return flags & O_EXCL ? -1 : flags | (plus ? O_RDWR : O_RDONLY);
    if (base == 'w') return flags | O_CREAT | O_TRUNC | (plus ? O_RDWR : O_WRONLY);
    if (base == 'a') return flags | O_CREAT | O_APPEND | (plus ? O_RDWR : O_WRONLY);
    return -1;
}

int mw_uv_fs_open(UV_ARGS) {
    const char *path = mw_uv_path_at(L, 1, r->name);
    int cb = mw_uv_callback_at(L, 2, 4, r->name), flags = O_RDONLY, fd;
    mode_t mode = 0666;
    struct mw_err err;

    (void)raw;
    if (lua_type(L, 2) == LUA_TSTRING) {
        flags = flags_of(mw_param_text(L, 2, r->name, "flags", 8, NULL));
        if (flags < 0) return mw_raise_inval(L, r->name, "argument 2: unknown flags '%s'", lua_tostring(L, 2));
    } else if (cb != 2 && !lua_isnoneornil(L, 2)) {
        flags = (int)mw_param_integer(L, 2, r->name, "flags", 0, INT32_MAX);
    }
    if (cb != 2 && cb != 3 && !lua_isnoneornil(L, 3)) mode = mode_at(L, d, 3, r->name);
    fd = mw_uvfs_open(&d->fds, policy(d), path, flags, mode, &err);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    lua_pushinteger(L, fd);
    return mw_uv_give(L, d, cb, 1);
}

int mw_uv_fs_close(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name);
    struct mw_err err;
    int fd = fd_at(L, d, 1, 0, r->name, &err);

    (void)raw;
    if (fd == OTHER) mw_err_set(&err, -EBADF, r->name, NULL, NULL); /* a standard stream is the host's to close */
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    if (mw_fds_check(&d->fds, fd, MW_FD_POLLED, r->name, &err) == 0) return give_done(L, d, cb, -EBUSY, r->name);
    mw_fds_close(&d->fds, fd);
    return give_true(L, d, cb, 0, NULL);
}

static lua_Integer offset_at(lua_State *L, int idx, int cb, const char *op) {
    if (lua_isnoneornil(L, idx) || cb == idx) return -1; /* from where the descriptor stands */
    return mw_param_integer(L, idx, op, "offset", -1, INT64_MAX);
}

int mw_uv_fs_read(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 4, r->name);
    lua_Integer size = mw_param_integer(L, 2, r->name, "size", 0, INT64_MAX), offset = offset_at(L, 3, cb, r->name);
    struct mw_err err;
    int fd = fd_at(L, d, 1, MW_FD_READ, r->name, &err);
    luaL_Buffer b;
    uv_buf_t buf;
    uv_fs_t req;
    ssize_t n;

    if (fd == OTHER) return mw_uv_pooled(L, d, cb, raw);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    if (size > MW_UVFS_READ_MAX) size = MW_UVFS_READ_MAX;
    luaL_checkstack(L, 6, r->name);
    buf = uv_buf_init(luaL_buffinitsize(L, &b, (size_t)size), (unsigned)size);
    n = uv_fs_read(mw_host_loop(d->host), &req, fd, &buf, 1, offset, NULL);
    uv_fs_req_cleanup(&req);
    luaL_pushresultsize(&b, n < 0 ? 0 : (size_t)n);
    if (n < 0) return give_number(L, d, cb, n, r->name);
    return mw_uv_give(L, d, cb, 1);
}

/* The strings at idx, as libuv wants them: lent by Lua; in a userdata that is pushed. A table is replaced by a raw copy, in which
 * numbers are text, as luv has it. */
static uv_buf_t *buffers_at(lua_State *L, int idx, const char *op, unsigned *count) {
    int is_list = lua_istable(L, idx);
    lua_Integer n = is_list ? (lua_Integer)lua_rawlen(L, idx) : 1;
    uv_buf_t *bufs;
    size_t len;

    if (n < 1 || n > PARTS_MAX) mw_raise_inval(L, op, "argument %d: 1 to %d strings expected", idx, PARTS_MAX);
    bufs = lua_newuserdatauv(L, (size_t)n * sizeof *bufs, 0);          /* [bufs] */
    if (is_list) lua_createtable(L, (int)n, 0);                        /* [bufs copy] */
    for (lua_Integer i = 0; i < n; i++) {
        if (is_list) lua_rawgeti(L, idx, i + 1);
        else lua_pushvalue(L, idx);
        if (is_list && lua_type(L, -1) == LUA_TNUMBER) lua_tostring(L, -1);
        bufs[i].base = (char *)(uintptr_t)mw_param_bytes(L, -1, op, "data", &len);
        bufs[i].len = len;
        if (is_list) lua_rawseti(L, -2, i + 1);
        else lua_pop(L, 1);
    }
    if (is_list) lua_replace(L, idx);
    *count = (unsigned)n;
    return bufs;
}

int mw_uv_fs_write(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 4, r->name), top = lua_gettop(L);
    lua_Integer offset = offset_at(L, 3, cb, r->name);
    struct mw_err err;
    int fd = fd_at(L, d, 1, MW_FD_WRITE, r->name, &err);
    unsigned count;
    uv_buf_t *bufs = buffers_at(L, 2, r->name, &count);
    uv_fs_t req;
    ssize_t n;

    if (fd == OTHER) return lua_settop(L, top), mw_uv_pooled(L, d, cb, raw);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    n = uv_fs_write(mw_host_loop(d->host), &req, fd, bufs, count, offset, NULL);
    uv_fs_req_cleanup(&req);
    return give_number(L, d, cb, n, r->name);
}

int mw_uv_fs_fsync(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name), rc;
    struct mw_err err;
    int fd = fd_at(L, d, 1, 0, r->name, &err);
    uv_fs_t req;

    if (fd == OTHER) return mw_uv_pooled(L, d, cb, raw);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    if (strcmp(r->name, "fs_fsync") == 0) rc = uv_fs_fsync(mw_host_loop(d->host), &req, fd, NULL);
    else rc = uv_fs_fdatasync(mw_host_loop(d->host), &req, fd, NULL);
    uv_fs_req_cleanup(&req);
    return give_done(L, d, cb, rc, r->name);
}

int mw_uv_fs_fdatasync(UV_ARGS) {
    return mw_uv_fs_fsync(L, d, r, raw);
}

int mw_uv_fs_ftruncate(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 3, r->name), rc;
    lua_Integer size = mw_param_integer(L, 2, r->name, "size", 0, INT64_MAX);
    struct mw_err err;
    int fd = fd_at(L, d, 1, MW_FD_WRITE, r->name, &err);
    uv_fs_t req;

    if (fd == OTHER) return mw_uv_pooled(L, d, cb, raw);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    rc = uv_fs_ftruncate(mw_host_loop(d->host), &req, fd, size, NULL);
    uv_fs_req_cleanup(&req);
    return give_done(L, d, cb, rc, r->name);
}

int mw_uv_fs_fchmod(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 3, r->name), rc;
    mode_t mode = mode_at(L, d, 2, r->name);
    struct mw_err err;
    int fd = fd_at(L, d, 1, MW_FD_WRITE, r->name, &err);
    uv_fs_t req;

    if (fd == OTHER) return mw_uv_pooled(L, d, cb, raw);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    rc = uv_fs_fchmod(mw_host_loop(d->host), &req, fd, (int)mode, NULL);
    uv_fs_req_cleanup(&req);
    return give_done(L, d, cb, rc, r->name);
}

/* Seconds since 1970, within what a file system can hold. */
static double seconds_at(lua_State *L, int idx, const char *op) {
    double t = lua_type(L, idx) == LUA_TNUMBER ? lua_tonumber(L, idx) : -1e300;

    if (!(t >= -1e11 && t <= 1e11)) mw_raise_inval(L, op, "argument %d: seconds since 1970 expected", idx);
    return t;
}

int mw_uv_fs_futime(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 4, 4, r->name), rc;
    double atime = seconds_at(L, 2, r->name), mtime = seconds_at(L, 3, r->name);
    struct mw_err err;
    int fd = fd_at(L, d, 1, MW_FD_WRITE, r->name, &err);
    uv_fs_t req;

    if (fd == OTHER) return mw_uv_pooled(L, d, cb, raw);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    rc = uv_fs_futime(mw_host_loop(d->host), &req, fd, atime, mtime, NULL);
    uv_fs_req_cleanup(&req);
    return give_done(L, d, cb, rc, r->name);
}

int mw_uv_fs_sendfile(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 5, 5, r->name);
    lua_Integer offset = mw_param_integer(L, 3, r->name, "offset", 0, INT64_MAX);
    lua_Integer size = mw_param_integer(L, 4, r->name, "size", 0, INT64_MAX);
    struct mw_err err;
    int out = fd_at(L, d, 1, MW_FD_WRITE, r->name, &err), in = fd_at(L, d, 2, MW_FD_READ, r->name, &err);
    uv_fs_t req;
    ssize_t n;

    if (out == OTHER || in == OTHER) return mw_uv_pooled(L, d, cb, raw);
    if (out < 0 || in < 0) return mw_uv_give_err(L, d, cb, &err);
    if (size > MW_UVFS_READ_MAX) size = MW_UVFS_READ_MAX;
    n = uv_fs_sendfile(mw_host_loop(d->host), &req, out, in, offset, (size_t)size, NULL);
    uv_fs_req_cleanup(&req);
    return give_number(L, d, cb, n, r->name);
}

/* ---- What a file is ----------------------------------------------------------------------------------------------------------- */

const char *mw_uv_type_of(uint64_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "directory";
    case S_IFLNK: return "link";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFCHR: return "char";
    case S_IFBLK: return "block";
    default: return "unknown";
    }
}

static void set_integer(lua_State *L, const char *name, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, const uv_timespec_t *t) {
    lua_createtable(L, 0, 2);
    set_integer(L, "sec", (uint64_t)t->tv_sec);
    set_integer(L, "nsec", (uint64_t)t->tv_nsec);
    lua_setfield(L, -2, name);
}

static void push_stat(lua_State *L, const uv_stat_t *st) {
    luaL_checkstack(L, 4, "uv");
    lua_createtable(L, 0, 18);
    set_integer(L, "dev", st->st_dev);
    set_integer(L, "mode", st->st_mode);
    set_integer(L, "nlink", st->st_nlink);
    set_integer(L, "uid", st->st_uid);
    set_integer(L, "gid", st->st_gid);
    set_integer(L, "rdev", st->st_rdev);
    set_integer(L, "ino", st->st_ino);
    set_integer(L, "size", st->st_size);
    set_integer(L, "blksize", st->st_blksize);
    set_integer(L, "blocks", st->st_blocks);
    set_integer(L, "flags", st->st_flags);
    set_integer(L, "gen", st->st_gen);
    set_time(L, "atime", &st->st_atim);
    set_time(L, "mtime", &st->st_mtim);
    set_time(L, "ctime", &st->st_ctim);
    set_time(L, "birthtime", &st->st_birthtim);
    lua_pushstring(L, mw_uv_type_of(st->st_mode));
    lua_setfield(L, -2, "type");
}

static int stat_by_name(lua_State *L, struct uv_door *d, int follow, const char *op) {
    int cb = mw_uv_callback_at(L, 2, 2, op);
    struct mw_err err;
    uv_stat_t st;

    if (mw_uvfs_stat(policy(d), mw_uv_path_at(L, 1, op), follow, &st, &err) < 0) return mw_uv_give_err(L, d, cb, &err);
    push_stat(L, &st);
    return mw_uv_give(L, d, cb, 1);
}

int mw_uv_fs_stat(UV_ARGS) {
    (void)raw;
    return stat_by_name(L, d, 1, r->name);
}
int mw_uv_fs_lstat(UV_ARGS) {
    (void)raw;
    return stat_by_name(L, d, 0, r->name);
}

int mw_uv_fs_fstat(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name), rc;
    struct mw_err err;
    int fd = fd_at(L, d, 1, 0, r->name, &err);
    uv_stat_t st;
    uv_fs_t req;

    if (fd == OTHER) return mw_uv_pooled(L, d, cb, raw);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    rc = uv_fs_fstat(mw_host_loop(d->host), &req, fd, NULL);
    st = req.statbuf;
    uv_fs_req_cleanup(&req);
    if (rc < 0) return give_number(L, d, cb, rc, r->name);
    push_stat(L, &st);
    return mw_uv_give(L, d, cb, 1);
}

int mw_uv_fs_statfs(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name);
    struct mw_err err;
    uv_statfs_t st;

    (void)raw;
    if (mw_uvfs_statfs(policy(d), mw_uv_path_at(L, 1, r->name), &st, &err) < 0) return mw_uv_give_err(L, d, cb, &err);
    lua_createtable(L, 0, 7);
    set_integer(L, "type", st.f_type);
    set_integer(L, "bsize", st.f_bsize);
    set_integer(L, "blocks", st.f_blocks);
    set_integer(L, "bfree", st.f_bfree);
    set_integer(L, "bavail", st.f_bavail);
    set_integer(L, "files", st.f_files);
    set_integer(L, "ffree", st.f_ffree);
    return mw_uv_give(L, d, cb, 1);
}

int mw_uv_fs_access(UV_ARGS) {
    static const int bits[] = { R_OK, W_OK, X_OK };
    int cb = mw_uv_callback_at(L, 3, 3, r->name), mode = 0, rc;
    struct mw_err err;

    (void)raw;
    if (lua_type(L, 2) == LUA_TSTRING) { /* some of "RWX" */
        for (const char *p = mw_param_text(L, 2, r->name, "mode", 3, NULL); *p != '\0'; p++) {
            const char *at = strchr("RWXrwx", *p);

            if (at == NULL) return mw_raise_inval(L, r->name, "argument 2: some of 'RWX' expected");
            mode |= bits[(at - "RWXrwx") % 3];
        }
    } else {
        mode = (int)mw_param_integer(L, 2, r->name, "mode", 0, R_OK | W_OK | X_OK);
    }
    rc = mw_uvfs_access(policy(d), mw_uv_path_at(L, 1, r->name), mode, &err);
    if (rc < 0 && rc != -EACCES && rc != -EROFS) return mw_uv_give_err(L, d, cb, &err);
    lua_pushboolean(L, rc == 0);
    return mw_uv_give(L, d, cb, 1);
}

/* ---- Changing names ----------------------------------------------------------------------------------------------------------- */

int mw_uv_fs_unlink(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name);
    struct mw_err err;

    (void)raw;
    return give_true(L, d, cb, mw_uvfs_unlink(policy(d), mw_uv_path_at(L, 1, r->name), 0, &err), &err);
}
int mw_uv_fs_rmdir(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name);
    struct mw_err err;

    (void)raw;
    return give_true(L, d, cb, mw_uvfs_unlink(policy(d), mw_uv_path_at(L, 1, r->name), 1, &err), &err);
}

int mw_uv_fs_mkdir(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 3, r->name);
    struct mw_err err;

    (void)raw;
    return give_true(L, d, cb, mw_uvfs_mkdir(policy(d), mw_uv_path_at(L, 1, r->name), mode_at(L, d, 2, r->name), &err), &err);
}
int mw_uv_fs_chmod(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 3, r->name);
    struct mw_err err;

    (void)raw;
    return give_true(L, d, cb, mw_uvfs_chmod(policy(d), mw_uv_path_at(L, 1, r->name), mode_at(L, d, 2, r->name), &err), &err);
}

int mw_uv_fs_rename(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 3, r->name);
    struct mw_err err;

    (void)raw;
    return give_move(L, d, cb, mw_file_rename(d->host, mw_uv_path_at(L, 1, r->name), mw_uv_path_at(L, 2, r->name), &err), &err);
}
int mw_uv_fs_link(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 3, r->name);
    struct mw_err err;

    (void)raw;
    return give_move(L, d, cb, mw_uvfs_link(policy(d), mw_uv_path_at(L, 1, r->name), mw_uv_path_at(L, 2, r->name), &err), &err);
}
int mw_uv_fs_symlink(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 4, r->name);
    struct mw_err err;

    (void)raw;
    return give_move(L, d, cb, mw_uvfs_symlink(policy(d), mw_uv_path_at(L, 1, r->name), mw_uv_path_at(L, 2, r->name), &err), &err);
}

int mw_uv_fs_copyfile(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 3, 4, r->name), exclusive = 0;
    struct mw_err err;

    (void)raw;
    if (lua_istable(L, 3)) {
        lua_pushliteral(L, "excl");
        lua_rawget(L, 3);
        exclusive = lua_toboolean(L, -1);
    } else if (cb != 3 && !lua_isnoneornil(L, 3)) {
        exclusive = (int)mw_param_integer(L, 3, r->name, "flags", 0, UV_FS_COPYFILE_EXCL | UV_FS_COPYFILE_FICLONE) & UV_FS_COPYFILE_EXCL;
    }
    return give_move(L, d, cb, mw_uvfs_copy(policy(d), mw_uv_path_at(L, 1, r->name), mw_uv_path_at(L, 2, r->name), exclusive, &err), &err);
}

static int utime_by_name(lua_State *L, struct uv_door *d, int follow, const char *op) {
    int cb = mw_uv_callback_at(L, 4, 4, op);
    double atime = seconds_at(L, 2, op), mtime = seconds_at(L, 3, op);
    struct mw_err err;

    return give_true(L, d, cb, mw_uvfs_utime(policy(d), mw_uv_path_at(L, 1, op), follow, atime, mtime, &err), &err);
}
int mw_uv_fs_utime(UV_ARGS) {
    (void)raw;
    return utime_by_name(L, d, 1, r->name);
}
int mw_uv_fs_lutime(UV_ARGS) {
    (void)raw;
    return utime_by_name(L, d, 0, r->name);
}

int mw_uv_fs_readlink(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name), rc;
    char text[PATH_MAX];
    struct mw_err err;

    (void)raw;
    rc = mw_uvfs_readlink(policy(d), mw_uv_path_at(L, 1, r->name), text, &err);
    return give_text(L, d, cb, rc, text, &err);
}
int mw_uv_fs_realpath(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name), rc;
    char text[PATH_MAX];
    struct mw_err err;

    (void)raw;
    rc = mw_uvfs_realpath(policy(d), mw_uv_path_at(L, 1, r->name), text, &err);
    return give_text(L, d, cb, rc, text, &err);
}

static void template_at(lua_State *L, int idx, const char *op, char *out) {
    size_t len;
    const char *text = mw_param_text(L, idx, op, "template", PATH_MAX - 1, &len);

    memcpy(out, text, len + 1);
}

int mw_uv_fs_mkdtemp(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name), rc;
    char path[PATH_MAX];
    struct mw_err err;

    (void)raw;
    template_at(L, 1, r->name, path);
    rc = mw_uvfs_mkdtemp(policy(d), path, &err);
    return give_text(L, d, cb, rc, path, &err);
}

int mw_uv_fs_mkstemp(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name), fd;
    char path[PATH_MAX];
    struct mw_err err;

    (void)raw;
    template_at(L, 1, r->name, path);
    fd = mw_uvfs_mkstemp(&d->fds, policy(d), path, &err);
    if (fd < 0) return mw_uv_give_err(L, d, cb, &err);
    lua_pushinteger(L, fd);
    lua_pushstring(L, path);
    return mw_uv_give(L, d, cb, 2);
}
