/* Connecting: one address in, one stream out. Candidates of a name are tried as RFC 8305 has it, the first to answer wins.
 * Knows: io/lookup, io/stream, io/greet, policy/permit, sockets.
 * Never: Lua; dials an address that was not tested; looks a name up twice. */
#include "io/dial.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/poll.h"
#include "core/timer.h"
#include "io/inherit.h"
#include "io/lookup.h"

#define OP "net connect"
#define STAGGER_NS 250000000u        /* between two candidates */
#define FULL_MIN_NS 1000000u         /* a Unix socket's full backlog says nothing when it empties: look again after 1 ms, */
#define FULL_MAX_NS 50000000u        /* doubling to 50 ms */

/* One connect(2) under way. Its own memory, since libuv holds it until the close callback. */
struct attempt {
    uv_poll_t poll;
    struct mw_list link;             /* in dial->attempts */
    mw_dial *dial;
    const struct mw_address *to;     /* in dial->lookup */
    int fd;
};

enum state { BUSY, GREETING, CONNECTED, FAILED, TAKEN };

struct mw_dial {
    struct mw_handle handle;
    mw_host *host;
    unsigned refs;                   /* the caller, the lookup, each attempt until its close callback */
    enum state state;
    int fd, wfd;                     /* what was reached: the same for a socket; -1 */
    int family;                      /* of that socket; 0: it was inherited */
    mw_stream *s;                    /* the same, when it is greeted; owned */
    mw_greet *greet;
    struct mw_lookup *lookup;        /* addresses; owned once no longer pending */
    int looking;                     /* the thread pool has it */
    int next;                        /* the candidate to try next */
    struct mw_list attempts;
    struct mw_timer timer;           /* the next candidate, or the next look at a full backlog */
    uint64_t full_ns;                /* until that look */
    int unix_fd;                     /* the socket file, O_PATH; -1 for none */
    struct sockaddr_un un;
    socklen_t un_len;
    struct mw_wait done;
    struct mw_dial_options opt;
    struct mw_err err;               /* why it failed */
    char where[96];                  /* the script's line: its addresses are decided later, in the loop's time */
    char subject[];                  /* the address as text */
};

static void try_next(mw_dial *d);

static void drop_ref(mw_dial *d) {
    if (--d->refs > 0) return;
    mw_greeting_clear(&d->opt.greeting);
    free(d);
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void on_attempt_closed(uv_handle_t *handle) {
    struct attempt *a = handle->data;
    drop_ref(a->dial);
    free(a);
}

/* Gives the attempt up (its descriptor too, unless it was taken out before). */
static void attempt_end(struct attempt *a) {
    mw_list_remove(&a->link);
    uv_poll_stop(&a->poll);
    uv_close((uv_handle_t *)&a->poll, on_attempt_closed);
    close_fd(&a->fd);
}

/* Everything under way ends; what was reached stays. */
static void settle(mw_dial *d, enum state state) {
    d->state = state;
    while (!mw_list_empty(&d->attempts)) attempt_end(MW_LIST_ENTRY(d->attempts.next, struct attempt, link));
    mw_timer_stop(d->host, &d->timer);
    close_fd(&d->unix_fd);
    mw_wait_wake(&d->done);
    if (d->lookup == NULL) return;
    if (d->looking) {
        d->lookup->owner = NULL; /* it ends by itself */
        drop_ref(d);
    } else {
        d->lookup->work.free(&d->lookup->work);
    }
    d->lookup = NULL;
}

static void drop_stream(mw_dial *d) {
    mw_stream *s = d->s;

    mw_greet_close(d->greet);
    d->greet = NULL;
    d->s = NULL;
    if (s == NULL) return;
    mw_stream_close(s);
    mw_stream_release(s);
}

static int open_stream(mw_dial *d, mw_stream **out, struct mw_err *err) {
    int fd = d->fd, wfd = d->wfd;

    d->fd = d->wfd = -1;
    if (d->family == 0) return mw_stream_open(d->host, fd, wfd, "net", d->subject, &d->opt.limits, out, err);
    return mw_stream_open_socket(d->host, fd, d->family, "net", d->subject, &d->opt.limits, out, err);
}

static void on_greeted(void *ud, int code, const struct mw_err *err) {
    mw_dial *d = ud;

    if (code < 0) {
        d->err = *err;
        mw_err_set(&d->err, code, OP, d->subject, err->what);
        if (code < 0 && err->hint[0] != 0) mw_err_hint(&d->err, "%s", err->hint);
        else if (code == MW_ETIMEDOUT || code == MW_EEOF) mw_err_hint(&d->err, "does the server listen with the same kind of authentication?");
        drop_stream(d);
    } else {
        mw_greet_close(d->greet);
        d->greet = NULL;
    }
    d->state = code < 0 ? FAILED : CONNECTED;
    mw_wait_wake(&d->done);
}

/* What was reached is d->fd and d->wfd: given at once, or greeted first. */
static void reached(mw_dial *d) {
    int rc;

    if (!mw_greeting_any(&d->opt.greeting)) {
        settle(d, CONNECTED);
        return;
    }
    settle(d, GREETING);
    rc = open_stream(d, &d->s, &d->err);
    if (rc == 0) rc = mw_greet_begin(d->s, &d->opt.greeting, 0, on_greeted, d, &d->greet, &d->err);
    if (rc == 0) return;
    drop_stream(d);
    d->state = FAILED;
}

static void connected(mw_dial *d, int fd, int family) {
    d->fd = d->wfd = fd;
    d->family = family;
    reached(d);
}

/* "Unreachable" of one family says less than what another candidate answered. */
static int telling(int code) {
    switch (code) {
    case 0: return 0;
    case MW_EDENIED: return 1;
    case -ENETUNREACH:
    case -EADDRNOTAVAIL:
    case -EAFNOSUPPORT:
    case -EHOSTUNREACH: return 2;
    default: return 3;
    }
}

static void note(mw_dial *d, int code) {
    if (telling(code) > telling(d->err.code)) mw_err_set(&d->err, code, OP, d->subject, NULL);
}

static in_port_t port_of(const struct mw_address *a) {
    return a->at.any.sa_family == AF_INET6 ? a->at.v6.sin6_port : a->at.v4.sin_port;
}

/* A port of our own that we reached by meeting ourselves (simultaneous open) is nobody listening. */
static int met_itself(int fd, const struct mw_address *to) {
    struct mw_address a, b;
    socklen_t al = sizeof a.at, bl = sizeof b.at;

    if (getsockname(fd, &a.at.any, &al) < 0 || port_of(&a) != port_of(to)) return 0;
    return getpeername(fd, &b.at.any, &bl) == 0 && al == bl && memcmp(&a.at, &b.at, al) == 0;
}

/* Asks for a connection, or, of a socket that was asked before, what became of it. 0: it is there; -EINPROGRESS; or why not. */
static int ask(int fd, const struct mw_address *to) {
    int rc;

    do rc = connect(fd, &to->at.any, to->len) < 0 ? -errno : 0;
    while (rc == -EINTR);
    if (rc == -EALREADY) rc = -EINPROGRESS;
    if (rc == -EISCONN) rc = 0;
    return rc == 0 && met_itself(fd, to) ? MW_ECONNREFUSED : rc;
}

static void on_answer(uv_poll_t *poll, int status, int events) {
    struct attempt *a = poll->data;
    mw_dial *d = a->dial;
    int fd, family = a->to->at.any.sa_family, code = ask(a->fd, a->to);

    (void)events;
    if (code == -EINPROGRESS && status == 0) return;
    if (code == 0 || code == -EINPROGRESS) code = status; /* libuv calls every error of the descriptor EBADF: what the socket says comes first */
    fd = a->fd;
    if (code == 0) a->fd = -1;
    attempt_end(a);
    if (code == 0) {
        connected(d, fd, family);
        return;
    }
    note(d, code);
    mw_timer_stop(d->host, &d->timer);
    try_next(d);
}

/* Lets the loop watch a connect(2) under way. 0, or a code (fd stays the caller's). */
static int watch(mw_dial *d, int fd, const struct mw_address *to) {
    struct attempt *a = calloc(1, sizeof *a);
    int rc;

    if (a == NULL) return MW_ENOMEM;
    rc = uv_poll_init(mw_host_loop(d->host), &a->poll, fd);
    if (rc < 0) {
        free(a);
        return rc;
    }
    a->poll.data = a;
    a->dial = d;
    a->to = to;
    a->fd = fd;
    mw_list_init(&a->link);
    mw_list_add(&d->attempts, &a->link);
    d->refs++;
    rc = mw_poll_start(&a->poll, UV_WRITABLE, on_answer);
    if (rc < 0) {
        a->fd = -1;
        attempt_end(a);
    }
    return rc;
}

static void tune(const mw_dial *d, int fd) {
    int on = 1, ms = (int)(d->opt.limits.stall_ns / 1000000u);

    if (d->opt.nodelay) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (ms > 0) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

/* 1: connected; 0: under way; <0: failed. */
static int try_one(mw_dial *d, const struct mw_address *to) {
    struct mw_err err;
    int rc, fd;

    mw_host_stand(d->host, d->where);
    rc = mw_permit_addr(mw_host_policy(d->host), MW_CONNECT, d->lookup->host, &to->at.any, to->len, OP, &err);
    mw_host_stand(d->host, NULL);
    if (rc < 0) {
        if (telling(rc) > telling(d->err.code)) d->err = err;
        return rc;
    }
    fd = socket(to->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    tune(d, fd);
    rc = ask(fd, to);
    if (rc == -EINPROGRESS) rc = ask(fd, to); /* on this machine the answer is there already: once before taking a turn of the loop */
    if (rc == -EINPROGRESS && (rc = watch(d, fd, to)) == 0) return 0;
    if (rc < 0) {
        close(fd);
        return rc;
    }
    connected(d, fd, to->at.any.sa_family);
    return 1;
}

static void on_stagger(struct mw_timer *t) {
    try_next(MW_LIST_ENTRY(t, mw_dial, timer));
}

static void try_next(mw_dial *d) {
    while (d->next < d->lookup->count) {
        int rc = try_one(d, &d->lookup->found[d->next++]);
        if (rc > 0) return;
        if (rc < 0) {
            note(d, rc);
            continue;
        }
        if (d->next < d->lookup->count &&
            mw_timer_start(d->host, &d->timer, mw_host_now(d->host) + STAGGER_NS, on_stagger) == 0) return;
        if (d->next == d->lookup->count) return;
        /* no timer for want of memory: the next one at once */
    }
    if (mw_list_empty(&d->attempts)) settle(d, FAILED);
}

static void on_found(void *owner, struct mw_lookup *it) {
    mw_dial *d = owner;
    struct mw_lookup *kept;

    d->looking = 0;
    d->lookup = NULL;
    if (it->code < 0) {
        mw_lookup_failed(it, OP, d->subject, &d->err);
        settle(d, FAILED);
    } else {
        kept = malloc(sizeof *kept); /* the work's own memory goes when this returns */
        if (kept == NULL) {
            note(d, MW_ENOMEM);
            settle(d, FAILED);
        } else {
            *kept = *it;
            kept->owner = NULL;
            d->lookup = kept;
            try_next(d);
        }
    }
    drop_ref(d);
}

static int open_tcp(mw_dial *d, const struct mw_endpoint *to, struct mw_err *err) {
    int rc = mw_lookup_open(d->host, MW_CONNECT, to, OP, &d->lookup, err);

    if (rc < 0) return rc;
    mw_host_where(d->host, d->where, sizeof d->where);
    if (!d->lookup->pending) {
        try_next(d);
        return 0;
    }
    rc = mw_work_detach(d->host, &d->lookup->work);
    if (rc < 0) {
        d->lookup = NULL; /* freed by core/work */
        return mw_err_set(err, rc, OP, d->subject, NULL);
    }
    d->lookup->done = on_found;
    d->lookup->owner = d;
    d->looking = 1;
    d->refs++;
    return 0;
}

/* 1: connected; 0: the backlog is full, look again later; <0: failed. */
static int try_unix(mw_dial *d) {
    int rc, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) return -errno;
    do rc = connect(fd, (struct sockaddr *)&d->un, d->un_len) < 0 ? -errno : 0;
    while (rc == -EINTR);
    if (rc < 0) {
        close(fd);
        return rc == -EAGAIN ? 0 : rc;
    }
    connected(d, fd, AF_UNIX);
    return 1;
}

static void on_full(struct mw_timer *t) {
    mw_dial *d = MW_LIST_ENTRY(t, mw_dial, timer);
    int rc = try_unix(d);

    if (rc > 0) return;
    if (d->full_ns < FULL_MAX_NS) d->full_ns *= 2;
    if (rc == 0) rc = mw_timer_start(d->host, &d->timer, mw_host_now(d->host) + d->full_ns, on_full);
    if (rc < 0) {
        note(d, rc);
        settle(d, FAILED);
    }
}

/* Pins the socket file, so that what is connected to is what was permitted, however long its name. */
static int pin_unix(mw_dial *d, const char *path, struct mw_err *err) {
    struct mw_place at = {.fd = -1};
    struct stat st;
    int rc = mw_permit_unix(mw_host_policy(d->host), MW_CONNECT, path, OP, &at, err);

    if (rc < 0) return rc;
    d->un.sun_family = AF_UNIX;
    if (path[0] == '@') {
        size_t n = strlen(path + 1);
        memcpy(d->un.sun_path + 1, path + 1, n);
        d->un_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
        return 0;
    }
    d->unix_fd = openat(at.fd, at.leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (d->unix_fd < 0 || fstat(d->unix_fd, &st) < 0)
        rc = mw_err_sys(err, OP, d->subject);
    else if (!S_ISSOCK(st.st_mode))
        rc = mw_err_set(err, -ENOTSOCK, OP, d->subject, "no socket");
    mw_place_close(&at);
    d->un_len = (socklen_t)sizeof d->un;
    snprintf(d->un.sun_path, sizeof d->un.sun_path, "/proc/self/fd/%d", d->unix_fd);
    return rc;
}

static int open_unix(mw_dial *d, const char *path, struct mw_err *err) {
    int rc = pin_unix(d, path, err);

    if (rc < 0) return rc;
    rc = try_unix(d);
    if (rc > 0) return 0;
    d->full_ns = FULL_MIN_NS;
    if (rc == 0) rc = mw_timer_start(d->host, &d->timer, mw_host_now(d->host) + d->full_ns, on_full);
    return rc < 0 ? mw_err_set(err, rc, OP, d->subject, NULL) : 0;
}

static int open_inherited(mw_dial *d, int fd, struct mw_err *err) {
    int rc = mw_inherit(mw_host_policy(d->host), fd, OP, d->subject, &d->fd, &d->wfd, err);

    if (rc == 0) reached(d);
    return rc;
}

static int begin(mw_dial *d, const struct mw_endpoint *to, struct mw_err *err) {
    switch (to->scheme) {
    case MW_SCHEME_TCP:
    case MW_SCHEME_TLS: return open_tcp(d, to, err);
    case MW_SCHEME_UNIX: return open_unix(d, to->path, err);
    case MW_SCHEME_FD:
    case MW_SCHEME_STDIO: return open_inherited(d, to->fd, err);
    }
    return mw_err_set(err, MW_EINVAL, OP, d->subject, NULL);
}

static void on_host_close(struct mw_handle *handle) {
    mw_dial *d = MW_LIST_ENTRY(handle, mw_dial, handle);

    mw_host_disown(&d->handle);
    if (d->wfd == d->fd) d->wfd = -1;
    close_fd(&d->fd);
    close_fd(&d->wfd);
    drop_stream(d);
    if (d->state == BUSY) settle(d, TAKEN);
    d->state = TAKEN;
}

int mw_dial_open(mw_host *h, const struct mw_endpoint *to, const struct mw_dial_options *opt, mw_dial **out, struct mw_err *err) {
    char text[MW_ENDPOINT_TEXT];
    mw_dial *d;
    int rc;

    mw_endpoint_text(to, text);
    rc = mw_host_room(h, OP, text, err);
    if (rc < 0) return rc;
    d = calloc(1, sizeof *d + strlen(text) + 1);
    if (d == NULL) return mw_err_set(err, MW_ENOMEM, OP, text, NULL);
    strcpy(d->subject, text);
    d->host = h;
    d->refs = 1;
    d->fd = d->wfd = d->unix_fd = -1;
    d->opt = *opt;
    d->opt.greeting = (struct mw_greeting){ 0 };
    mw_greeting_set(&d->opt.greeting, &opt->greeting);
    mw_list_init(&d->attempts);
    mw_wait_init(&d->done);
    mw_host_adopt(h, &d->handle, on_host_close);
    rc = begin(d, to, err);
    if (rc < 0) {
        mw_dial_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

int mw_dial_take(mw_dial *d, mw_stream **out, struct mw_err *err) {
    int rc;

    if (d->state == BUSY || d->state == GREETING) return 0;
    if (d->state == TAKEN) return mw_err_set(err, MW_ECLOSED, OP, d->subject, NULL);
    if (d->state == FAILED) {
        if (err != NULL) *err = d->err;
        return d->err.code;
    }
    d->state = TAKEN;
    *out = d->s;
    d->s = NULL;
    if (*out != NULL) return 1;
    rc = open_stream(d, out, err);
    return rc < 0 ? rc : 1;
}

struct mw_wait *mw_dial_done(mw_dial *d) {
    return &d->done;
}

const char *mw_dial_subject(const mw_dial *d) {
    return d->subject;
}

void mw_dial_close(mw_dial *d) {
    if (d == NULL) return;
    on_host_close(&d->handle);
    drop_ref(d);
}
