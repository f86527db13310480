/* Listening sockets, made and ended: TCP by address, Unix by permitted place.
 * Knows: policy/permit, sockets, the file system calls that a socket's name needs.
 * Never: the loop, accepting; follows a link in a socket's name. */
#include "io/socket.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define OP "net listen"
#define LOCK_TRIES 20                    /* of 0.5 ms: longer than anybody of us holds a directory */
#define LEAF_MAX ((int)sizeof(((struct sockaddr_un *)0)->sun_path) - (int)sizeof "/proc/self/fd/2147483647/")

static void set(int fd, int level, int name, int value) {
    (void)setsockopt(fd, level, name, &value, sizeof value); /* each of these is a wish */
}

/* All of this is inherited by what is accepted: no call for each connection. */
void mw_socket_tune(const struct mw_socket *s, const struct mw_socket_options *opt) {
    set(s->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(s->fd, IPPROTO_TCP, TCP_NODELAY, opt->nodelay);
    set(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, opt->stall_ms);
}

int mw_socket_try(int family, int type) {
    int fd = socket(family, type | SOCK_CLOEXEC, 0);

    if (fd < 0) return -errno;
    close(fd);
    return 0;
}

/* The listening socket, or a negative code. */
static int listen_at(const struct mw_address *at, int both, const struct mw_socket_options *opt) {
    int rc, fd = socket(at->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) return -errno;
    set(fd, SOL_SOCKET, SO_REUSEADDR, opt->reuse);
    mw_socket_tune(&(struct mw_socket){.fd = fd}, opt);
    if (at->at.any.sa_family == AF_INET6) /* an IPv4 address written as IPv6 is none to a socket for IPv6 only */
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both && !IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)&at->at.any)->sin6_addr));
    if ((!opt->reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) == 0) &&
        bind(fd, &at->at.any, at->len) == 0 && listen(fd, opt->backlog) == 0)
        return fd;
    rc = -errno;
    close(fd);
    return rc;
}

int mw_socket_listen_tcp(mw_policy *p, const struct mw_lookup *found, int any, const struct mw_socket_options *opt, const char *subject,
                         struct mw_socket *out, struct mw_err *err) {
    struct mw_err why;
    int fd = -1, rc = 0, denied = 0;

    why.code = 0;
    for (int i = 0; i < found->count; i++) { /* "any" needs every family's right before it opens one */
        const struct mw_address *at = &found->found[i];
        rc = mw_permit_addr(p, MW_LISTEN, found->host, &at->at.any, at->len, OP, &why);
        if (rc < 0) denied++;
        if (rc < 0 && any) break;
        if (rc < 0 || any) continue;
        fd = listen_at(at, 0, opt);
        if (fd >= 0) break;
        mw_err_set(&why, fd, OP, subject, NULL);
    }
    if (any && denied == 0) {
        for (int i = 0; i < found->count && fd < 0; i++) fd = listen_at(&found->found[i], 1, opt);
        if (fd < 0) mw_err_set(&why, fd, OP, subject, NULL);
    }
    if (fd < 0) {
        if (why.code == 0) mw_err_set(&why, -EADDRNOTAVAIL, OP, subject, NULL);
        if (why.code == -EADDRNOTAVAIL) mw_err_hint(&why, "it is no address of this machine");
        if (err != NULL) *err = why;
        return why.code;
    }
    out->fd = fd;
    out->place.fd = -1;
    return 0;
}

static socklen_t abstract(struct sockaddr_un *un, const char *name) {
    size_t n = strlen(name);

    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + 1, name, n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

static void at_place(struct sockaddr_un *un, const struct mw_place *at) {
    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof un->sun_path, "/proc/self/fd/%d/%.*s", at->fd, LEAF_MAX, at->leaf);
}

/* Between looking whether a name is stale and listening on it, no other host may do the same: the directory is locked. A host
 * that has bound and does not listen yet looks stale, too. -1: not to be had (no right to read the directory, or somebody
 * else's lock). */
static int lock(const struct mw_place *at) {
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/self/fd/%d", at->fd);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        struct timespec half_ms = {.tv_nsec = 500000};
        if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR)) {
            close(fd);
            return -1;
        }
        nanosleep(&half_ms, NULL);
    }
    return fd;
}

/* Removes the name if it is a socket that nobody listens on. 0: the name is free now; -EADDRINUSE: it is not. */
static int remove_stale(const struct mw_place *at) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat was, is;
    int s = -1, rc = -EADDRINUSE, fd = openat(at->fd, at->leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &was) < 0 || !S_ISSOCK(was.st_mode)) goto done;
    s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0) { rc = -errno; goto done; }
    snprintf(un.sun_path, sizeof un.sun_path, "/proc/self/fd/%d", fd);
    if (connect(s, (struct sockaddr *)&un, sizeof un) == 0 || errno != ECONNREFUSED) goto done;
    if (fstatat(at->fd, at->leaf, &is, AT_SYMLINK_NOFOLLOW) < 0) rc = errno == ENOENT ? 0 : -errno;
    else if (is.st_dev == was.st_dev && is.st_ino == was.st_ino) rc = unlinkat(at->fd, at->leaf, 0) < 0 ? -errno : 0;
done:
    if (s >= 0) close(s);
    close(fd);
    return rc;
}

/* Notes which file bind(2) made, and gives it the bits that the umask took away. */
static int claim(struct mw_socket *s, int mode) {
    char path[64];
    struct stat st;
    int rc = 0, fd = openat(s->place.fd, s->place.leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) return -errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) < 0) {
        rc = -errno;
    } else if (!S_ISSOCK(st.st_mode)) {
        rc = -EADDRINUSE; /* somebody has put another file there meanwhile */
    } else {
        s->dev = st.st_dev;
        s->ino = st.st_ino;
        if (mode >= 0 && (int)(st.st_mode & 07777) != mode && chmod(path, (mode_t)mode) < 0) rc = -errno;
    }
    close(fd);
    return rc;
}

/* Whose folder it is, and who else can take names away from it. NULL: nobody. */
static const char *open_to_others(const struct stat *st, int above) {
    if (st->st_uid != geteuid() && st->st_uid != 0) return above ? "a folder above it is somebody else's" : "the folder is somebody else's";
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) == 0 || (above && (st->st_mode & S_ISVTX))) return NULL;
    return above ? "others can write to a folder above it" : "others can write to the folder";
}

/* Whoever may write to the folder may put a socket of his own in the place of ours; whoever may write to one above it, a whole folder,
 * unless its names are their owners' alone (the sticky bit, as /tmp has it). */
static int check_private(const char *path, const struct mw_place *at, const char *subject, struct mw_err *err) {
    const char *why = NULL;
    struct stat st, below;
    int fd = at->fd, up, rc = 0;

    if (path[0] == '@') return mw_err_set(err, -EPERM, OP, subject, "everybody can connect to a name without a file; give it a path");
    memset(&below, 0, sizeof below);
    for (int above = 0;; above = 1) {
        if (fstat(fd, &st) < 0) rc = mw_err_sys(err, OP, subject);
        if (rc < 0 || (above && st.st_dev == below.st_dev && st.st_ino == below.st_ino)) break; /* the root's is itself */
        why = open_to_others(&st, above);
        if (why != NULL) break;
        below = st;
        up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (up < 0) rc = mw_err_sys(err, OP, subject);
        if (fd != at->fd) close(fd);
        fd = up;
        if (rc < 0) return rc;
    }
    if (fd != at->fd) close(fd);
    if (why == NULL) return rc;
    mw_err_set(err, -EPERM, OP, subject, why);
    return mw_err_hint(err, "use one of your own: mkdir -m 700, or $XDG_RUNTIME_DIR");
}

static int bind_place(struct mw_socket *s, const struct mw_socket_options *opt) {
    struct sockaddr_un un;
    int rc = 0, locked = lock(&s->place);

    if (opt->unlink) rc = remove_stale(&s->place);
    /* Linux takes the mode of the new name from the socket itself: too wide a name is never seen. */
    if (rc == 0 && opt->mode >= 0 && fchmod(s->fd, (mode_t)opt->mode) < 0) rc = -errno;
    at_place(&un, &s->place);
    if (rc == 0) rc = bind(s->fd, (struct sockaddr *)&un, sizeof un) < 0 ? -errno : 0;
    if (rc == 0) rc = claim(s, opt->mode);
    if (rc == 0) rc = listen(s->fd, opt->backlog) < 0 ? -errno : 0;
    if (locked >= 0) close(locked);
    return rc;
}

int mw_socket_listen_unix(mw_policy *p, const char *path, const struct mw_socket_options *opt, const char *subject, struct mw_socket *out,
                          struct mw_err *err) {
    struct mw_socket s = {.fd = -1, .place = {.fd = -1}};
    int rc = mw_permit_unix(p, MW_LISTEN, path, OP, &s.place, err);

    if (rc < 0) return rc;
    if (opt->private && (rc = check_private(path, &s.place, subject, err)) < 0) {
        mw_socket_end(&s);
        return rc;
    }
    s.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s.fd < 0) {
        rc = mw_err_sys(err, OP, subject);
    } else if (path[0] == '@') {
        struct sockaddr_un un;
        socklen_t len = abstract(&un, path + 1);
        if (bind(s.fd, (struct sockaddr *)&un, len) < 0 || listen(s.fd, opt->backlog) < 0) rc = mw_err_sys(err, OP, subject);
    } else if ((int)strlen(s.place.leaf) > LEAF_MAX) {
        rc = mw_err_setf(err, -ENAMETOOLONG, OP, subject, "the last part of a socket's path has at most %d bytes", LEAF_MAX);
    } else {
        rc = bind_place(&s, opt);
        if (rc < 0) mw_err_set(err, rc, OP, subject, NULL);
        if (rc == -EADDRINUSE && !opt->unlink) mw_err_hint(err, "unlink = true removes a socket that nobody listens on");
        if (rc == -EADDRINUSE && opt->unlink) mw_err_hint(err, "somebody listens there, or it is no socket");
    }
    if (rc < 0) {
        mw_socket_end(&s);
        return rc;
    }
    *out = s;
    return 0;
}

void mw_socket_end(struct mw_socket *s) {
    struct stat st;

    if (s->place.fd >= 0 && s->ino != 0 && fstatat(s->place.fd, s->place.leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_dev == s->dev && st.st_ino == s->ino)
        unlinkat(s->place.fd, s->place.leaf, 0);
    mw_place_close(&s->place);
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    s->ino = 0;
}
