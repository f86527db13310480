/* Descriptors that somebody else opened: standard input and output, and what the user gave the program at its start.
 * Knows: policy, POSIX.
 * Never: changes a flag of what was inherited; takes a descriptor of our own by its number. */
#include "io/inherit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor for one direction (O_RDONLY, O_WRONLY) or both; or a negative code. */
static int private_of(int fd, int how) {
    char path[32];
    struct stat st;
    int got;

    if (fstat(fd, &st) < 0) return -errno;
    if (S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode)) { /* asked call by call, or never waits: needs no O_NONBLOCK */
        got = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    } else {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        got = open(path, how | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    return got < 0 ? -errno : got;
}

static int same_file(int a, int b) {
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && S_ISSOCK(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int take_stdio(int *rfd, int *wfd) {
    *rfd = private_of(0, O_RDONLY);
    if (*rfd < 0) return *rfd;
    *wfd = same_file(0, 1) ? *rfd : private_of(1, O_WRONLY);
    if (*wfd >= 0) return 0;
    close(*rfd);
    return *wfd;
}

/* What comes over execve has no close-on-exec flag, and everything that we open has it. */
static int take_number(int fd, int *rfd, int *wfd) {
    int got, how = fcntl(fd, F_GETFL), flags = fcntl(fd, F_GETFD);

    if (how < 0 || flags < 0 || (flags & FD_CLOEXEC) || (how & O_PATH)) return -EBADF;
    how &= O_ACCMODE;
    got = private_of(fd, how);
    if (got < 0) return got;
    *rfd = how == O_WRONLY ? -1 : got;
    *wfd = how == O_RDONLY ? -1 : got;
    return 0;
}

int mw_inherit(mw_policy *p, int fd, const char *op, const char *subject, int *rfd, int *wfd, struct mw_err *err) {
    int rc;

    if (fd >= 0 && !mw_policy_is_total(p)) {
        mw_policy_refuse(p, NULL, op, subject, NULL, err);
        return mw_err_hint(err, "grant it with -A"), MW_EDENIED;
    }
    *rfd = *wfd = -1;
    rc = fd < 0 ? take_stdio(rfd, wfd) : take_number(fd, rfd, wfd);
    if (rc == 0) return 0;
    *rfd = *wfd = -1;
    if (rc == -EBADF) return mw_err_set(err, rc, op, subject, "no descriptor that this program was given");
    return mw_err_set(err, rc, op, subject, NULL);
}
