/* What stands behind luv's fs names: a table of the descriptors that a script opened, and the calls on paths.
 * Knows: base, policy/permit, uv.h, POSIX *at calls. Never: Lua values; a descriptor that is not in the table; a name twice.
 *
 * Every call is done at once, on the loop's thread: a descriptor that a pool thread still uses could have been closed, and its
 * number given to a file of the host, before it runs. Results are 0 (or a count) or a negative code; err is filled. */
#ifndef MW_IO_UVFS_H
#define MW_IO_UVFS_H

#include <uv.h>

#include "policy/permit.h"

#define MW_FDS_MAX 1024u             /* descriptors of one script */
#define MW_UVFS_READ_MAX (16u << 20) /* bytes that one read gives at most: as with read(2), fewer may come */

enum mw_fd_how { MW_FD_READ = 1, MW_FD_WRITE = 2, MW_FD_STREAM = 4, MW_FD_POLLED = 8 };
/* STREAM: a pipe's or socket's end. POLLED: a handle watches it, and it cannot be closed. */

struct mw_fds {
    struct { int fd, how; } at[MW_FDS_MAX];
    unsigned count;
};

/* Takes `fd` (closed on failure). 0 or MW_ELIMIT. */
int mw_fds_add(struct mw_fds *t, int fd, int how, struct mw_err *err);
/* 0, or -EBADF: not in the table, or not open for all of `how` (of enum mw_fd_how). */
int mw_fds_check(const struct mw_fds *t, int64_t fd, int how, const char *op, struct mw_err *err);
void mw_fds_polled(struct mw_fds *t, int fd, int on);
void mw_fds_forget(struct mw_fds *t, int fd);    /* out of the table, not closed */
void mw_fds_close(struct mw_fds *t, int fd);     /* out of the table, and closed */
void mw_fds_close_all(struct mw_fds *t);

/* On paths. flags, mode: open(2)'s; those that nobody knows are MW_EINVAL. Returns the descriptor, which is in the table. */
int mw_uvfs_open(struct mw_fds *t, mw_policy *p, const char *path, int flags, mode_t mode, struct mw_err *err);
int mw_uvfs_stat(mw_policy *p, const char *path, int follow, uv_stat_t *out, struct mw_err *err);
int mw_uvfs_statfs(mw_policy *p, const char *path, uv_statfs_t *out, struct mw_err *err);
int mw_uvfs_access(mw_policy *p, const char *path, int mode, struct mw_err *err);
int mw_uvfs_chmod(mw_policy *p, const char *path, mode_t mode, struct mw_err *err);
int mw_uvfs_utime(mw_policy *p, const char *path, int follow, double atime, double mtime, struct mw_err *err);
int mw_uvfs_unlink(mw_policy *p, const char *path, int directory, struct mw_err *err);
int mw_uvfs_mkdir(mw_policy *p, const char *path, mode_t mode, struct mw_err *err);
int mw_uvfs_link(mw_policy *p, const char *from, const char *to, struct mw_err *err);
/* A link's text is checked by nobody later: only with unrestricted read and write. */
int mw_uvfs_symlink(mw_policy *p, const char *text, const char *path, struct mw_err *err);
/* out: PATH_MAX bytes, terminated. realpath: of the object, all links followed. */
int mw_uvfs_readlink(mw_policy *p, const char *path, char *out, struct mw_err *err);
int mw_uvfs_realpath(mw_policy *p, const char *path, char *out, struct mw_err *err);
/* template ends in six X, which are replaced. mkstemp returns the descriptor, in the table. */
int mw_uvfs_mkdtemp(mw_policy *p, char *template, struct mw_err *err);
int mw_uvfs_mkstemp(struct mw_fds *t, mw_policy *p, char *template, struct mw_err *err);
int mw_uvfs_copy(mw_policy *p, const char *from, const char *to, int exclusive, struct mw_err *err);

/* Two ends of a pipe or of a Unix socket pair, non-blocking, in the table. type: SOCK_STREAM or SOCK_DGRAM. */
int mw_uvfs_pipe(struct mw_fds *t, int fds[2], struct mw_err *err);
int mw_uvfs_socketpair(struct mw_fds *t, int type, int fds[2], struct mw_err *err);

/* The socket at `path`, for connect(2): out is a name that leads to this very object while *held (given) is open. */
int mw_uvfs_socket(mw_policy *p, const char *path, char *out, size_t size, int *held, struct mw_err *err);
/* A place for bind(2): out is its name while at->fd is open (given: mw_place_close). */
int mw_uvfs_bind_place(mw_policy *p, const char *path, char *out, size_t size, struct mw_place *at, struct mw_err *err);

#endif
