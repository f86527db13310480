/* luv's fs names, over the choke point: see uvfs.h.
 * Knows: base, policy/permit, POSIX *at calls. Never: Lua values; a name twice (permit opens, the rest is *at calls). */
#include "io/uvfs.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#define SELF_NAME 48                 /* "/proc/self/fd/N" and some */
#define TEMP_TRIES 100
#define COPY_STEP (1u << 20)

/* ---- The table ---------------------------------------------------------------------------------------------------------- */

int mw_fds_add(struct mw_fds *t, int fd, int how, struct mw_err *err) {
    if (t->count == MW_FDS_MAX) {
        close(fd);
        return mw_err_setf(err, MW_ELIMIT, "uv", NULL, "%u descriptors are open already", MW_FDS_MAX);
    }
    t->at[t->count].fd = fd;
    t->at[t->count++].how = how;
    return 0;
}

static unsigned find(const struct mw_fds *t, int64_t fd) {
    unsigned i;

    for (i = 0; i < t->count && t->at[i].fd != fd; i++) continue;
    return i;
}

int mw_fds_check(const struct mw_fds *t, int64_t fd, int how, const char *op, struct mw_err *err) {
    unsigned i = find(t, fd);

    if (i < t->count && (t->at[i].how & how) == how) return 0;
    return mw_err_set(err, -EBADF, op, NULL, NULL);
}

void mw_fds_polled(struct mw_fds *t, int fd, int on) {
    unsigned i = find(t, fd);

    if (i < t->count) t->at[i].how = on ? t->at[i].how | MW_FD_POLLED : t->at[i].how & ~MW_FD_POLLED;
}

void mw_fds_forget(struct mw_fds *t, int fd) {
    unsigned i = find(t, fd);

    if (i < t->count) t->at[i] = t->at[--t->count];
}

void mw_fds_close(struct mw_fds *t, int fd) {
    mw_fds_forget(t, fd);
    close(fd);
}

void mw_fds_close_all(struct mw_fds *t) {
    while (t->count > 0) close(t->at[--t->count].fd);
}

/* ---- Objects ------------------------------------------------------------------------------------------------------------ */

static void self_name(char *out, int fd) {
    snprintf(out, SELF_NAME, "/proc/self/fd/%d", fd);
}

/* The object itself, as a descriptor of no rights (O_PATH); -1 and err. */
static int object(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, const char *op, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    int rc = mw_permit_path(p, kinds, path, how, op, &at, err), fd;

    if (rc < 0) return rc;
    if (at.leaf[0] == '\0') return at.fd;
    fd = openat(at.fd, at.leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) fd = mw_err_sys(err, op, path);
    mw_place_close(&at);
    return fd;
}

/* Ends a call that holds `fd`. */
static int done(int fd, int failed, const char *op, const char *path, struct mw_err *err) {
    int rc = failed ? mw_err_sys(err, op, path) : 0;

    close(fd);
    return rc;
}

/* A directory and a name in it; a path that ends in no name ("/", ".") answers `code`. */
static int place(mw_policy *p, unsigned kinds, const char *path, int code, const char *op, struct mw_place *at, struct mw_err *err) {
    int rc;

    at->fd = -1;
    rc = mw_permit_path(p, kinds, path, MW_AT_NAME, op, at, err);
    if (rc < 0 || at->leaf[0] != '\0') return rc;
    mw_place_close(at);
    return mw_err_set(err, code, op, path, NULL);
}

static int place_done(struct mw_place *at, int failed, const char *op, const char *path, struct mw_err *err) {
    int rc = failed ? mw_err_sys(err, op, path) : 0;

    mw_place_close(at);
    return rc;
}

/* ---- Opening ------------------------------------------------------------------------------------------------------------ */

#define KNOWN_FLAGS                                                                                                                \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_SYNC | O_DSYNC | O_NOFOLLOW | O_DIRECTORY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)

int mw_uvfs_open(struct mw_fds *t, mw_policy *p, const char *path, int flags, mode_t mode, struct mw_err *err) {
    int access = flags & O_ACCMODE, fd = -1, rc, how;
    struct stat st;

    if ((flags & ~KNOWN_FLAGS) != 0 || access == O_ACCMODE || (flags & O_TMPFILE) == O_TMPFILE)
        return mw_err_set(err, MW_EINVAL, "fs_open", path, "unknown flags");
    rc = mw_permit_open(p, path, flags | O_NOCTTY | O_NONBLOCK, mode & 07777, 1, "fs_open", &fd, err);
    if (rc < 0) return rc;
    if (fstat(fd, &st) < 0) return done(fd, 1, "fs_open", path, err);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !(S_ISCHR(st.st_mode) && major(st.st_rdev) == 1)) {
        close(fd);
        return mw_err_set(err, -EOPNOTSUPP, "fs_open", path, "neither a regular file nor a harmless device");
    }
    how = access == O_RDONLY ? MW_FD_READ : access == O_WRONLY ? MW_FD_WRITE : MW_FD_READ | MW_FD_WRITE;
    rc = mw_fds_add(t, fd, how, err);
    return rc < 0 ? rc : fd;
}

/* ---- Asking about objects ----------------------------------------------------------------------------------------------- */

int mw_uvfs_stat(mw_policy *p, const char *path, int follow, uv_stat_t *out, struct mw_err *err) {
    const char *op = follow ? "fs_stat" : "fs_lstat";
    int fd = object(p, 1u << MW_READ, path, follow ? MW_AT_OBJECT : MW_AT_NAME, op, err), rc;
    uv_fs_t req;

    if (fd < 0) return fd;
    rc = uv_fs_fstat(NULL, &req, fd, NULL);
    if (rc == 0) *out = req.statbuf;
    else mw_err_set(err, rc, op, path, NULL);
    uv_fs_req_cleanup(&req);
    close(fd);
    return rc;
}

int mw_uvfs_statfs(mw_policy *p, const char *path, uv_statfs_t *out, struct mw_err *err) {
    int fd = object(p, 1u << MW_READ, path, MW_AT_OBJECT, "fs_statfs", err), rc;
    char self[SELF_NAME];
    uv_fs_t req;

    if (fd < 0) return fd;
    self_name(self, fd);
    rc = uv_fs_statfs(NULL, &req, self, NULL);
    if (rc == 0) *out = *(uv_statfs_t *)req.ptr;
    else mw_err_set(err, rc, "fs_statfs", path, NULL);
    uv_fs_req_cleanup(&req);
    close(fd);
    return rc;
}

int mw_uvfs_access(mw_policy *p, const char *path, int mode, struct mw_err *err) {
    int fd = object(p, 1u << MW_READ, path, MW_AT_OBJECT, "fs_access", err);
    char self[SELF_NAME];

    if (fd < 0) return fd;
    self_name(self, fd);
    return done(fd, access(self, mode) < 0, "fs_access", path, err);
}

int mw_uvfs_chmod(mw_policy *p, const char *path, mode_t mode, struct mw_err *err) {
    int fd = object(p, 1u << MW_WRITE, path, MW_AT_OBJECT, "fs_chmod", err);
    char self[SELF_NAME];

    if (fd < 0) return fd;
    self_name(self, fd);
    return done(fd, chmod(self, mode & 07777) < 0, "fs_chmod", path, err);
}

static struct timespec from_seconds(double seconds) {
    struct timespec ts;
    double whole = floor(seconds);

    ts.tv_sec = (time_t)whole;
    ts.tv_nsec = (long)((seconds - whole) * 1e9);
    return ts;
}

int mw_uvfs_utime(mw_policy *p, const char *path, int follow, double atime, double mtime, struct mw_err *err) {
    const char *op = follow ? "fs_utime" : "fs_lutime";
    struct timespec ts[2] = { from_seconds(atime), from_seconds(mtime) };
    struct mw_place at;
    char self[SELF_NAME];
    int fd, rc;

    if (!follow) {
        rc = place(p, 1u << MW_WRITE, path, -EISDIR, op, &at, err);
        if (rc < 0) return rc;
        return place_done(&at, utimensat(at.fd, at.leaf, ts, AT_SYMLINK_NOFOLLOW) < 0, op, path, err);
    }
    fd = object(p, 1u << MW_WRITE, path, MW_AT_OBJECT, op, err);
    if (fd < 0) return fd;
    self_name(self, fd);
    return done(fd, utimensat(AT_FDCWD, self, ts, 0) < 0, op, path, err);
}

static int read_link(int dir, const char *leaf, char *out) {
    ssize_t len = readlinkat(dir, leaf, out, PATH_MAX - 1);

    out[len < 0 ? 0 : len] = '\0';
    return len < 0;
}

int mw_uvfs_readlink(mw_policy *p, const char *path, char *out, struct mw_err *err) {
    struct mw_place at;
    int rc = place(p, 1u << MW_READ, path, MW_EINVAL, "fs_readlink", &at, err);

    if (rc < 0) return rc;
    return place_done(&at, read_link(at.fd, at.leaf, out), "fs_readlink", path, err);
}

int mw_uvfs_realpath(mw_policy *p, const char *path, char *out, struct mw_err *err) {
    int fd = object(p, 1u << MW_READ, path, MW_AT_OBJECT, "fs_realpath", err);
    char self[SELF_NAME];

    if (fd < 0) return fd;
    self_name(self, fd);
    return done(fd, read_link(AT_FDCWD, self, out), "fs_realpath", path, err);
}

/* ---- Changing names ----------------------------------------------------------------------------------------------------- */

int mw_uvfs_unlink(mw_policy *p, const char *path, int directory, struct mw_err *err) {
    const char *op = directory ? "fs_rmdir" : "fs_unlink";
    struct mw_place at;
    int rc = place(p, 1u << MW_WRITE, path, directory ? -EBUSY : -EISDIR, op, &at, err);

    if (rc < 0) return rc;
    return place_done(&at, unlinkat(at.fd, at.leaf, directory ? AT_REMOVEDIR : 0) < 0, op, path, err);
}

int mw_uvfs_mkdir(mw_policy *p, const char *path, mode_t mode, struct mw_err *err) {
    struct mw_place at;
    int rc = place(p, 1u << MW_WRITE, path, -EEXIST, "fs_mkdir", &at, err);

    if (rc < 0) return rc;
    return place_done(&at, mkdirat(at.fd, at.leaf, mode & 07777) < 0, "fs_mkdir", path, err);
}

int mw_uvfs_link(mw_policy *p, const char *from, const char *to, struct mw_err *err) {
    struct mw_place a, b;
    int rc = mw_permit_link(p, from, to, "fs_link", &a, &b, err);

    if (rc < 0) return rc;
    rc = place_done(&b, linkat(a.fd, a.leaf, b.fd, b.leaf, 0) < 0, "fs_link", from, err);
    mw_place_close(&a);
    return rc;
}

int mw_uvfs_symlink(mw_policy *p, const char *text, const char *path, struct mw_err *err) {
    struct mw_place at;
    int rc;

    if (mw_policy_query(p, MW_READ, NULL) != MW_GRANTED || mw_policy_query(p, MW_WRITE, NULL) != MW_GRANTED) {
        mw_policy_refuse(p, "write", "fs_symlink", path, "denied: a link may lead anywhere", err);
        return mw_err_hint(err, mw_policy_names_flags(p) ? "grant it with --allow-read --allow-write" : "grant it in the host's policy: all of read and of write");
    }
    rc = place(p, 1u << MW_WRITE, path, -EEXIST, "fs_symlink", &at, err);
    if (rc < 0) return rc;
    return place_done(&at, symlinkat(text, at.fd, at.leaf) < 0, "fs_symlink", path, err);
}

/* ---- Fresh names ---------------------------------------------------------------------------------------------------------- */

static int fill_template(char *template) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char salt[6];
    size_t len = strlen(template);

    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt) return -1;
    for (size_t i = 0; i < sizeof salt; i++) template[len - sizeof salt + i] = letters[salt[i] % (sizeof letters - 1)];
    return 0;
}

/* Tries names until `make` has made one: it returns what it made (0 or more), or -1 with errno. */
static int fresh(mw_policy *p, char *template, const char *op, int (*make)(const struct mw_place *), struct mw_err *err) {
    size_t len = strlen(template);
    struct mw_place at;
    int rc, made, code;

    if (len < 6 || strcmp(template + len - 6, "XXXXXX") != 0)
        return mw_err_set(err, MW_EINVAL, op, template, "a template ends in six X");
    for (int tries = 0; tries < TEMP_TRIES; tries++) {
        if (fill_template(template) < 0) return mw_err_sys(err, op, template);
        rc = place(p, 1u << MW_WRITE, template, -EEXIST, op, &at, err);
        if (rc < 0) return rc;
        made = make(&at);
        code = errno;
        mw_place_close(&at);
        if (made >= 0) return made;
        if (code != EEXIST) return mw_err_set(err, -code, op, template, NULL);
    }
    return mw_err_set(err, -EEXIST, op, template, NULL);
}

static int make_directory(const struct mw_place *at) {
    return mkdirat(at->fd, at->leaf, 0700);
}
static int make_file(const struct mw_place *at) {
    return openat(at->fd, at->leaf, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int mw_uvfs_mkdtemp(mw_policy *p, char *template, struct mw_err *err) {
    return fresh(p, template, "fs_mkdtemp", make_directory, err);
}

int mw_uvfs_mkstemp(struct mw_fds *t, mw_policy *p, char *template, struct mw_err *err) {
    int fd = fresh(p, template, "fs_mkstemp", make_file, err), rc;

    if (fd < 0) return fd;
    rc = mw_fds_add(t, fd, MW_FD_READ | MW_FD_WRITE, err);
    return rc < 0 ? rc : fd;
}

/* ---- Copying -------------------------------------------------------------------------------------------------------------- */

int mw_uvfs_copy(mw_policy *p, const char *from, const char *to, int exclusive, struct mw_err *err) {
    struct stat st, was;
    int in = -1, out = -1, rc = mw_permit_open(p, from, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, 1, "fs_copyfile", &in, err);
    ssize_t n = 0;

    if (rc < 0) return rc;
    if (fstat(in, &st) < 0) { rc = mw_err_sys(err, "fs_copyfile", from); goto done; }
    if (!S_ISREG(st.st_mode)) { rc = mw_err_set(err, -EOPNOTSUPP, "fs_copyfile", from, "not a regular file"); goto done; }
    rc = mw_permit_open(p, to, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | (exclusive ? O_EXCL : 0), st.st_mode & 0777, 1, "fs_copyfile", &out, err);
    if (rc < 0) goto done;
    if (fstat(out, &was) < 0) { rc = mw_err_sys(err, "fs_copyfile", to); goto done; }
    if (was.st_dev == st.st_dev && was.st_ino == st.st_ino) goto done; /* the same file: nothing to do, as libuv has it */
    if (ftruncate(out, 0) < 0 || fchmod(out, st.st_mode & 0777) < 0) { rc = mw_err_sys(err, "fs_copyfile", to); goto done; }
    do {
        n = sendfile(out, in, NULL, COPY_STEP);
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0) rc = mw_err_sys(err, "fs_copyfile", to);
done:
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    return rc;
}

/* ---- Ends of pipes ---------------------------------------------------------------------------------------------------------- */

static int add_pair(struct mw_fds *t, int fds[2], int how0, int how1, struct mw_err *err) {
    int rc = mw_fds_add(t, fds[0], how0 | MW_FD_STREAM, err);

    if (rc < 0) {
        close(fds[1]);
        return rc;
    }
    rc = mw_fds_add(t, fds[1], how1 | MW_FD_STREAM, err);
    if (rc < 0) mw_fds_close(t, fds[0]);
    return rc;
}

int mw_uvfs_pipe(struct mw_fds *t, int fds[2], struct mw_err *err) {
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) return mw_err_sys(err, "pipe", NULL);
    return add_pair(t, fds, MW_FD_READ, MW_FD_WRITE, err);
}

int mw_uvfs_socketpair(struct mw_fds *t, int type, int fds[2], struct mw_err *err) {
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) return mw_err_sys(err, "socketpair", NULL);
    return add_pair(t, fds, MW_FD_READ | MW_FD_WRITE, MW_FD_READ | MW_FD_WRITE, err);
}

/* ---- Unix sockets by name ---------------------------------------------------------------------------------------------------- */

#define SUN_MAX (sizeof((struct sockaddr_un *)0)->sun_path - 1)

/* luv's names are paths, also those that begin with "@". */
static const char *as_path(const char *path, char *buf, size_t size) {
    if (path[0] != '@') return path;
    snprintf(buf, size, "./%s", path);
    return buf;
}

static int name_fits(const char *path, const char *op, struct mw_err *err) {
    if (path[0] == '\0') return mw_err_set(err, MW_EINVAL, op, path, "an empty name");
    if (strlen(path) > SUN_MAX) return mw_err_setf(err, -ENAMETOOLONG, op, path, "longer than %zu bytes", SUN_MAX);
    return 0;
}

int mw_uvfs_socket(mw_policy *p, const char *path, char *out, size_t size, int *held, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    char buf[SUN_MAX + 8];
    int fd, rc = name_fits(path, "pipe_connect", err);

    if (rc == 0) rc = mw_permit_unix(p, MW_CONNECT, as_path(path, buf, sizeof buf), "pipe_connect", &at, err);
    if (rc < 0) return rc;
    fd = openat(at.fd, at.leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return place_done(&at, 1, "pipe_connect", path, err);
    mw_place_close(&at);
    snprintf(out, size, "/proc/self/fd/%d", fd);
    *held = fd;
    return 0;
}

int mw_uvfs_bind_place(mw_policy *p, const char *path, char *out, size_t size, struct mw_place *at, struct mw_err *err) {
    char buf[SUN_MAX + 8];
    int rc = name_fits(path, "pipe_bind", err), len;

    at->fd = -1;
    if (rc == 0) rc = mw_permit_unix(p, MW_LISTEN, as_path(path, buf, sizeof buf), "pipe_bind", at, err);
    if (rc < 0) return rc;
    len = snprintf(out, size, "/proc/self/fd/%d/%s", at->fd, at->leaf);
    if (len > 0 && (size_t)len <= SUN_MAX && (size_t)len < size) return 0;
    mw_place_close(at);
    return mw_err_set(err, -ENAMETOOLONG, "pipe_bind", path, "its last part is too long");
}
