/* Descriptors over Unix sockets, in their place among the bytes; and who is at the other end.
 * Knows: io/stream_parts, io/endpoint, POSIX. Never: keeps a descriptor that nobody can claim. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/endpoint.h"
#include "io/stream_parts.h"

#define NO_TLS "handles do not go through TLS: send them over a plain Unix socket"

/* Room for the descriptors of one message. */
union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int) * MW_STREAM_FDS)];
};

/* Copies of descriptors that wait for their byte to be sent. */
struct mw_parcel {
    struct mw_parcel *next;
    uint64_t at;                 /* of all bytes written */
    int count;
    char kind;                   /* the byte */
    int fds[MW_STREAM_FDS];
};

/* ---- In --------------------------------------------------------------------------------------------------------------- */

static void passed_add(mw_stream *s, uint64_t at, int fd, int code) {
    struct mw_passed_list *p = s->head.passed;

    if (p == NULL) p = s->head.passed = calloc(1, sizeof *p);
    if (p == NULL) {
        if (fd >= 0) close(fd);
        return;
    }
    if (p->count == MW_PASSED_MAX) { /* a reader has gone past so many without taking one: the oldest goes */
        if (p->it[0].fd >= 0) close(p->it[0].fd);
        memmove(p->it, p->it + 1, --p->count * sizeof p->it[0]);
    }
    p->it[p->count++] = (struct mw_passed){ at, fd, code };
}

/* The descriptors of a message belong to the last byte that came with it: the kernel ends a read behind such a message. */
static void sort_in(mw_stream *s, struct msghdr *msg, size_t got) {
    uint64_t at = s->head.came + got - 1;
    struct cmsghdr *c;
    int lost = msg->msg_flags & MSG_CTRUNC ? -EMFILE : 0;

    for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        size_t n, i;
        int fds[MW_STREAM_FDS];
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (n > MW_STREAM_FDS) n = MW_STREAM_FDS; /* cannot be: there was no more room */
        memcpy(fds, CMSG_DATA(c), n * sizeof(int));
        if (lost != 0 && n == MW_STREAM_FDS) lost = MW_ELIMIT;
        for (i = 0; i < n; i++) {
            if (lost != 0 || got == 0) close(fds[i]);
            else passed_add(s, at, fds[i], 0);
        }
    }
    if (lost != 0 && got > 0) passed_add(s, at, -1, lost);
}

ssize_t mw_stream_recvmsg(mw_stream *s, char *at, size_t n) {
    union control control;
    struct iovec iov = { at, n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    ssize_t got = recvmsg(s->rfd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (got >= 0 && (msg.msg_controllen > 0 || (msg.msg_flags & MSG_CTRUNC))) sort_in(s, &msg, (size_t)got);
    return got;
}

/* Drops the first `n`, which are closed or given. */
static void passed_drop(mw_stream *s, unsigned n) {
    struct mw_passed_list *p = s->head.passed;

    p->count -= n;
    memmove(p->it, p->it + n, p->count * sizeof p->it[0]);
    if (p->count > 0) return;
    free(p);
    s->head.passed = NULL;
}

void mw_stream_passed_skip(mw_stream *s) {
    uint64_t head = mw_stream_offset(s);
    unsigned n = 0;

    for (; n < s->head.passed->count && s->head.passed->it[n].at < head; n++) {
        if (s->head.passed->it[n].fd >= 0) close(s->head.passed->it[n].fd);
    }
    if (n > 0) passed_drop(s, n);
}

int mw_stream_fds_ready(const mw_stream *s) {
    uint64_t head = mw_stream_offset(s);
    unsigned n = 0;

    if (s->head.passed == NULL) return 0;
    while (n < s->head.passed->count && n < MW_STREAM_FDS && s->head.passed->it[n].at == head) n++;
    return (int)n;
}

int mw_stream_fds_kind(const mw_stream *s) {
    return mw_bytes_len(&s->head.in) > 0 ? (unsigned char)*mw_bytes_at(&s->head.in) : 0;
}

int mw_stream_take_fds(mw_stream *s, int fds[MW_STREAM_FDS], struct mw_err *err) {
    uint64_t head = mw_stream_offset(s);
    unsigned n = 0, all = s->head.passed != NULL ? s->head.passed->count : 0;
    int code = 0, given = 0;

    if (s->closed || s->retired) return mw_stream_fail(s, MW_ECLOSED, "recv_handle", NULL, err);
    if (s->secure != NULL) return mw_stream_fail(s, MW_EINVAL, "recv_handle", NO_TLS, err);
    if (mw_bytes_len(&s->head.in) == 0) return 0;
    if (all == 0 || s->head.passed->it[0].at != head) {
        return mw_stream_fail(s, MW_EFRAME, "recv_handle", "ordinary bytes come before it", err);
    }
    for (; n < all && s->head.passed->it[n].at == head; n++) {
        if (s->head.passed->it[n].fd < 0) code = s->head.passed->it[n].code;
        else if (given < MW_STREAM_FDS) fds[given++] = s->head.passed->it[n].fd;
        else close(s->head.passed->it[n].fd);
    }
    passed_drop(s, n);
    mw_bytes_consume(&s->head.in, 1);
    if (code == 0) return given;
    while (given > 0) close(fds[--given]);
    return mw_stream_fail(s, code, "recv_handle", code == MW_ELIMIT ? "more descriptors than are taken at once" : NULL, err);
}

int mw_stream_adopt(mw_host *h, int fd, const char *noun, const char *subject, mw_stream **out, struct mw_err *err) {
    int flags = fcntl(fd, F_GETFL), mode = flags & O_ACCMODE;

    if (flags < 0) {
        int rc = mw_err_sys(err, noun, subject);
        close(fd);
        return rc;
    }
    return mw_stream_open(h, mode == O_WRONLY ? -1 : fd, mode == O_RDONLY ? -1 : fd, noun, subject, NULL, out, err);
}

/* ---- Out -------------------------------------------------------------------------------------------------------------- */

/* Sends the byte with descriptors. 1, or -1 and errno. */
static ssize_t send_with(int fd, char kind, const int *fds, int count) {
    union control control;
    struct iovec iov = { &kind, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
    struct cmsghdr *c;
    int tries = 0;
    ssize_t n;

    memset(&control, 0, sizeof control);
    msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
    c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
    do {
        n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR && ++tries < MW_EINTR_MAX);
    return n;
}

static void parcel_free(struct mw_parcel *p) {
    while (p->count > 0) close(p->fds[--p->count]);
    free(p);
}

/* The one at the head. */
static void parcel_drop(mw_stream *s) {
    struct mw_parcel *p = s->parcels->next;

    if (p == s->parcels) s->parcels = NULL;
    else s->parcels->next = p->next;
    parcel_free(p);
}
static void parcel_add(mw_stream *s, struct mw_parcel *p) {
    struct mw_parcel *last = s->parcels;

    p->next = last != NULL ? last->next : p;
    if (last != NULL) last->next = p;
    s->parcels = p;
}

size_t mw_stream_parcel_ahead(const mw_stream *s) {
    return (size_t)(s->parcels->next->at - s->stats.bytes_out);
}

ssize_t mw_stream_parcel_send(mw_stream *s) {
    struct mw_parcel *p = s->parcels->next;
    ssize_t n = send_with(s->wfd, p->kind, p->fds, p->count);

    s->stats.writes++;
    if (n < 0) return mw_would_block(errno) ? 0 : -errno;
    s->stats.bytes_out++;
    mw_stream_moved(s);
    parcel_drop(s);
    return 1;
}

static int parcel_new(char kind, const int *fds, int count, struct mw_parcel **out) {
    struct mw_parcel *p = calloc(1, sizeof *p);

    if (p == NULL) return MW_ENOMEM;
    p->kind = kind;
    for (; p->count < count; p->count++) {
        int fd = fcntl(fds[p->count], F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            int code = -errno;
            parcel_free(p);
            return code;
        }
        p->fds[p->count] = fd;
    }
    *out = p;
    return 0;
}

int mw_stream_can_carry(mw_stream *s, struct mw_err *err) {
    int rc;

    if (s->secure != NULL) return mw_stream_fail(s, MW_EINVAL, "send_handle", NO_TLS, err);
    if (!s->closed && s->wkind != MW_FD_UNIX) {
        return mw_stream_fail(s, MW_EINVAL, "send_handle", "only a Unix socket can carry handles", err);
    }
    rc = mw_stream_flush(s, err);
    if (rc >= 0 && s->finishing) return mw_stream_fail(s, MW_ECLOSED, "send_handle", "finished before", err);
    return rc < 0 ? rc : 0;
}

int mw_stream_send_fds(mw_stream *s, const int *fds, int count, struct mw_err *err) {
    return mw_stream_send_kind(s, 0, fds, count, err);
}

int mw_stream_send_kind(mw_stream *s, char kind, const int *fds, int count, struct mw_err *err) {
    const struct mw_view carrier = { &kind, 1 };
    struct mw_parcel *p = NULL;
    int rc;

    if (s->secure != NULL) return mw_stream_fail(s, MW_EINVAL, "send_handle", NO_TLS, err);
    if (!s->closed && s->wkind != MW_FD_UNIX) {
        return mw_stream_fail(s, MW_EINVAL, "send_handle", "only a Unix socket can carry handles", err);
    }
    if (count < 1 || count > MW_STREAM_FDS) return mw_stream_fail(s, MW_EINVAL, "send_handle", "1 to 16 at once", err);
    rc = mw_stream_flush(s, err);
    if (rc < 0) return rc;
    if (s->finishing) return mw_stream_fail(s, MW_ECLOSED, "send_handle", "finished before", err);
    if (rc == 0) { /* nothing waits: the kernel may take it now, without a copy */
        ssize_t n = send_with(s->wfd, kind, fds, count);
        s->stats.writes++;
        if (n > 0) {
            s->stats.bytes_out++;
            mw_stream_moved(s);
            return 0;
        }
        if (!mw_would_block(errno)) return mw_stream_fail(s, -errno, "send_handle", NULL, err);
    }
    rc = parcel_new(kind, fds, count, &p);
    if (rc < 0) return mw_stream_fail(s, rc, "send_handle", NULL, err);
    p->at = s->stats.bytes_out + mw_stream_queued(s);
    rc = mw_stream_enqueue(s, &carrier, err);
    if (rc < 0) {
        parcel_free(p);
        return rc;
    }
    parcel_add(s, p);
    return rc;
}

void mw_stream_parcels_end(mw_stream *s) {
    while (s->parcels != NULL) parcel_drop(s);
}

void mw_stream_passed_end(mw_stream *s) {
    while (s->head.passed != NULL) {
        if (s->head.passed->it[0].fd >= 0) close(s->head.passed->it[0].fd);
        passed_drop(s, 1);
    }
}

/* ---- The other end ------------------------------------------------------------------------------------------------------ */

int mw_stream_alive(mw_stream *s) {
    struct pollfd at[2] = { { s->rfd, POLLIN | POLLRDHUP, 0 }, { s->wfd != s->rfd ? s->wfd : -1, 0, 0 } };
    const short gone = POLLRDHUP | POLLHUP | POLLERR | POLLNVAL;
    int n;

    if (s->secure != NULL) mw_secure_look(s);
    if (s->closed || s->retired || s->eof || s->rerr != 0 || s->werr != 0) return 0;
    do {
        n = poll(at, 2, 0);
    } while (n < 0 && errno == EINTR);
    return n >= 0 && ((at[0].revents | at[1].revents) & gone) == 0;
}

void mw_stream_keep(mw_stream *s, int change) {
    s->kept += change;
}
int mw_stream_kept(const mw_stream *s) {
    return s->kept > 0;
}

int mw_stream_quiet(mw_stream *s) {
    struct pollfd at[2] = { { s->rfd, POLLIN | POLLRDHUP, 0 }, { s->wfd != s->rfd ? s->wfd : -1, 0, 0 } };
    int n;

    mw_stream_settle(s);
    mw_stream_send_gathered(s);
    if (s->secure != NULL) mw_secure_look(s);
    if (s->closed || s->retired || s->eof || s->rerr != 0 || s->werr != 0 || s->finishing || s->head.passed != NULL) return 0;
    if (s->head.reader.held || mw_bytes_len(&s->head.in) > 0 || s->kept > 0 || mw_stream_unsent(s) > 0) return 0;
    do {
        n = poll(at, 2, 0);
    } while (n < 0 && errno == EINTR);
    return n == 0;
}

uint64_t mw_stream_said(const mw_stream *s) {
    int n = 0;

    if (s->rfd < 0 || ioctl(s->rfd, FIONREAD, &n) < 0 || n < 0) n = 0;
    return (s->secure != NULL ? s->stats.bytes_in : s->head.came) + (uint64_t)n;
}

int mw_stream_peer(const mw_stream *s, struct mw_peer *out, struct mw_err *err) {
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    int fd = s->rfd >= 0 ? s->rfd : s->wfd, family = AF_UNIX;
    unsigned char kind = s->rfd >= 0 ? s->rkind : s->wkind;

    *out = (struct mw_peer){ .port = -1 };
    if (s->closed || s->retired) return mw_stream_fail(s, MW_ECLOSED, "peer", NULL, err);
    if (kind == MW_FD_UNIX) {
        struct ucred who;
        len = sizeof who;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) return mw_stream_fail(s, -errno, "peer", NULL, err);
        out->uid = who.uid;
        out->gid = who.gid;
        out->pid = who.pid;
    } else if (kind == MW_FD_SOCKET) {
        if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0) return mw_stream_fail(s, -errno, "peer", NULL, err);
        family = sa.ss_family;
        out->port = mw_endpoint_sockaddr_host((struct sockaddr *)&sa, out->host, sizeof out->host);
        if (out->port < 0) return mw_stream_fail(s, -EAFNOSUPPORT, "peer", NULL, err);
    } else {
        return mw_stream_fail(s, -ENOTSOCK, "peer", "this stream is no socket", err);
    }
    out->family = family;
    return 0;
}

/* A listener binds by its folder's descriptor (io/socket), which says nothing outside of its process: what it listens on says more. */
static void unix_url(const mw_stream *s, const struct sockaddr_un *un, socklen_t len, char *out, size_t size) {
    static const char by_descriptor[] = "/proc/self/fd/";
    size_t n = len > offsetof(struct sockaddr_un, sun_path) ? len - offsetof(struct sockaddr_un, sun_path) : 0;

    if (n > 0 && un->sun_path[0] == '\0') snprintf(out, size, "unix:@%.*s", (int)n - 1, un->sun_path + 1);
    else if (n > sizeof by_descriptor && strncmp(un->sun_path, by_descriptor, sizeof by_descriptor - 1) == 0 && strncmp(s->subject, "unix:", 5) == 0)
        snprintf(out, size, "%s", s->subject);
    else snprintf(out, size, "unix:%.*s", (int)n, un->sun_path);
}

int mw_stream_address(const mw_stream *s, char *out, size_t size, struct mw_err *err) {
    union {
        struct sockaddr_storage any;
        struct sockaddr_un un;
    } sa;
    socklen_t len = sizeof sa;
    char host[64], text[320];
    int port;

    if (s->closed || s->retired) return mw_stream_fail(s, MW_ECLOSED, "address", NULL, err);
    if (getsockname(s->rfd >= 0 ? s->rfd : s->wfd, (struct sockaddr *)&sa, &len) < 0) {
        return mw_stream_fail(s, -errno, "address", errno == ENOTSOCK ? "this stream is no socket" : NULL, err);
    }
    if (sa.any.ss_family == AF_UNIX) {
        unix_url(s, &sa.un, len, out, size);
        return 0;
    }
    port = mw_endpoint_sockaddr_host((struct sockaddr *)&sa, host, sizeof host);
    if (port < 0) return mw_stream_fail(s, -EAFNOSUPPORT, "address", NULL, err);
    mw_endpoint_host_port(host, port, text, sizeof text);
    snprintf(out, size, "tcp://%s", text);
    return 0;
}
