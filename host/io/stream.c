/* A stream's life: opening, deadlines, closing.
 * Knows: io/stream_parts, core, uv.h, POSIX. Never: Lua values, names, policy. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/stream_parts.h"

#define MIB ((size_t)1 << 20)
#define SECOND 1000000000u       /* ns */
#define WHY 64                   /* bytes of the words for what closed a stream */
#define LINGER (30ull * SECOND)  /* how long a retired stream's bytes may stay where they are */
#define TRIM SECOND              /* ns without a call after which empty queues give their memory back */

/* ---- Errors ----------------------------------------------------------------------------------------------------------- */

int mw_stream_fail(const mw_stream *s, int code, const char *verb, const char *what, struct mw_err *err) {
    char op[sizeof err->op];

    if (err == NULL) return code;
    snprintf(op, sizeof op, "%s %s", s->noun, verb);
    if (code == MW_ECLOSED && what == NULL && s->why != NULL) what = s->why;
    if (what == NULL && s->secure != NULL) what = mw_secure_why(s, code);
    return mw_err_set(err, code, op, s->subject, what);
}

void mw_stream_close_because(mw_stream *s, const char *why) {
    if (s->why == NULL) s->why = strdup(why);
    mw_stream_close(s);
}

/* ---- Deadlines -------------------------------------------------------------------------------------------------------- */

static void close_after(mw_stream *s, const char *what, uint64_t ns) {
    char why[WHY];

    snprintf(why, sizeof why, "closed: %s for %g s", what, (double)ns / SECOND);
    mw_stream_close_because(s, why);
}

static void sooner(uint64_t *next, uint64_t at) {
    if (*next == 0 || at < *next) *next = at;
}

/* Are there bytes that the kernel did not take? What is gathered was not offered yet. */
static int may_stall(const mw_stream *s) {
    return s->limits.stall_ns != 0 && !s->gathering && mw_stream_waits(s) > 0;
}

/* One timer a stream, looked at rarely: it is not moved when bytes move, but looks again when it fires. */
static void on_timer(struct mw_timer *t) {
    mw_stream *s = MW_LIST_ENTRY(t, mw_stream, timer);
    uint64_t now = mw_host_now(s->host), next = 0;
    unsigned calls = (unsigned)(s->stats.reads + s->stats.writes);

    if (s->limits.idle_ns != 0) {
        if (now - s->moved >= s->limits.idle_ns) {
            s->idled = 1;
            close_after(s, "nothing moved", s->limits.idle_ns);
            return;
        }
        sooner(&next, s->moved + s->limits.idle_ns);
    }
    if (may_stall(s)) {
        if (now - s->stuck >= s->limits.stall_ns) {
            if (s->retired && !s->leaving && !(s->secure != NULL && mw_secure_lingers(s))) mw_stream_lost(s, "the peer took nothing");
            close_after(s, "the peer took nothing", s->limits.stall_ns);
            return;
        }
        sooner(&next, s->stuck + s->limits.stall_ns);
    }
    if (s->trim && calls == s->calls_seen) {
        s->trim = 0;
        s->chunk = MW_CHUNK_MIN;
        mw_stream_calm(s);
        mw_bytes_shrink(&s->head.in, 0);
        mw_bytes_shrink(&s->head.out, 0);
        if (s->secure != NULL) mw_secure_trim(s);
        mw_stream_charge(s);
    } else if (s->trim) {
        s->calls_seen = calls;
        sooner(&next, now + TRIM);
    }
    if (next != 0) mw_timer_start(s->host, t, next, on_timer); /* without memory: at the next occasion */
}

void mw_stream_mind(mw_stream *s) {
    uint64_t next = 0;

    if (s->limits.idle_ns != 0) sooner(&next, s->moved + s->limits.idle_ns);
    if (may_stall(s)) sooner(&next, s->stuck + s->limits.stall_ns);
    if (s->trim) {
        s->calls_seen = (unsigned)(s->stats.reads + s->stats.writes);
        sooner(&next, mw_host_now(s->host) + TRIM);
    }
    if (next == 0 || (s->timer.slot != 0 && s->timer.at <= next)) return;
    mw_timer_start(s->host, &s->timer, next, on_timer);
}

/* ---- Life --------------------------------------------------------------------------------------------------------------- */

void mw_stream_limits_init(struct mw_stream_limits *l) {
    *l = (struct mw_stream_limits){ .read_high = MIB, .write_soft = MIB, .write_hard = 1024 * MIB };
}

static void on_teardown(struct mw_handle *it) {
    mw_stream *s = MW_LIST_ENTRY(it, mw_stream, handle);

    mw_stream_settle(s);
    if (mw_stream_waits(s) > 0 && s->werr == 0) mw_stream_push_out(s);
    if (mw_stream_queued(s) > 0 && s->handle.busy != NULL) mw_stream_lost(s, "the host ended");
    mw_stream_close(s);
}

static int on_its_way(struct mw_handle *it) {
    mw_stream *s = MW_LIST_ENTRY(it, mw_stream, handle);

    mw_stream_settle(s);
    return s->werr == 0 && mw_stream_waits(s) > 0;
}

void mw_stream_fleeting(mw_stream *s) {
    s->handle.busy = NULL;
}

/* What the descriptor is; others than sockets are made non-blocking (sockets are asked call by call). */
static int kind_of(int fd, unsigned char *kind) {
    int domain, flags;
    struct stat st;
    socklen_t len = sizeof domain;

    if (fd < 0) return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0) {
        *kind = domain == AF_UNIX ? MW_FD_UNIX : MW_FD_SOCKET;
        return 0;
    }
    if (errno != ENOTSOCK) return -errno;
    *kind = MW_FD_OTHER;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    if (flags & O_NONBLOCK) return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return 0; /* never makes anybody wait, and may be shared */
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int sigpipe_ignored(void) {
    struct sigaction now;

    return sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void close_both(int rfd, int wfd) {
    if (rfd >= 0) close(rfd);
    if (wfd >= 0 && wfd != rfd) close(wfd);
}

/* kind: of a socket, where it is known: nobody is asked. */
static int open_kind(mw_host *h, int rfd, int wfd, enum mw_fd_kind kind, const char *noun, const char *subject,
                     const struct mw_stream_limits *limits, mw_stream **out, struct mw_err *err) {
    size_t len = subject != NULL ? strlen(subject) : 0;
    mw_stream *s = calloc(1, sizeof *s + len + 1);
    int rc;

    if (s == NULL || mw_host_room(h, noun, subject, err) < 0) {
        rc = s == NULL ? mw_err_set(err, MW_ENOMEM, noun, subject, NULL) : MW_ELIMIT;
        free(s);
        close_both(rfd, wfd);
        return rc;
    }
    if (len > 0) memcpy(s->subject, subject, len);
    s->host = h;
    s->noun = noun;
    s->refs = 1;
    s->rfd = rfd;
    s->wfd = wfd;
    s->chunk = MW_CHUNK_MIN;
    if (limits != NULL) s->limits = *limits;
    else mw_stream_limits_init(&s->limits);
    mw_list_init(&s->handle.link);
    mw_list_init(&s->held);
    mw_wait_init(&s->readable);
    mw_wait_init(&s->writable);
    mw_turn_init(&s->head.reader);

    s->rkind = kind;
    rc = kind == MW_FD_NONE ? kind_of(rfd, &s->rkind) : 0;
    if (rfd == wfd) s->wkind = s->rkind;
    else if (rc == 0) rc = kind_of(wfd, &s->wkind);
    if (rc < 0) {
        mw_stream_fail(s, rc, "open", NULL, err);
        mw_stream_release(s);
        return rc;
    }
    s->pty = s->rkind == MW_FD_OTHER && isatty(rfd);
    s->guard = s->wkind == MW_FD_OTHER && !sigpipe_ignored();
    mw_host_adopt(h, &s->handle, on_teardown);
    s->handle.busy = on_its_way;
    if (s->limits.idle_ns != 0) {
        s->moved = mw_host_now(h);
        mw_stream_mind(s);
    }
    mw_host_measures(h)->streams++;
    *out = s; /* given */
    return 0;
}

int mw_stream_open(mw_host *h, int rfd, int wfd, const char *noun, const char *subject, const struct mw_stream_limits *limits,
                   mw_stream **out, struct mw_err *err) {
    return open_kind(h, rfd, wfd, MW_FD_NONE, noun, subject, limits, out, err);
}

int mw_stream_open_socket(mw_host *h, int fd, int family, const char *noun, const char *subject, const struct mw_stream_limits *limits,
                          mw_stream **out, struct mw_err *err) {
    int rc = open_kind(h, fd, fd, family == AF_UNIX ? MW_FD_UNIX : MW_FD_SOCKET, noun, subject, limits, out, err);

    if (rc == 0) (*out)->sole = 1;
    return rc;
}

mw_stream *mw_stream_hold(mw_stream *s) {
    s->refs++;
    return s;
}

void mw_stream_release(mw_stream *s) {
    if (s == NULL || --s->refs > 0) return;
    mw_stream_close(s);
    mw_turn_end(&s->head.reader);
    free(s->secure);
    free(s->why);
    free(s->identity);
    free(s);
}

/* What is unsent will not come: the peer is told by a reset (TCP), for a plain end would say that this was all. 1: there is such. */
static int abandon(const mw_stream *s) {
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    if (s->secure != NULL || s->werr != 0 || mw_stream_queued(s) == 0) return 0;
    setsockopt(s->wfd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);        /* another kind of descriptor refuses it */
    return 1;
}

/* Of TLS too what the descriptor gave, as bytes_out is what it took. */
static uint64_t received(const mw_stream *s) {
    return s->secure != NULL ? s->stats.bytes_in : s->head.came;
}

void mw_stream_close(mw_stream *s) {
    if (s->closed) return;
    mw_stream_settle(s);
    s->parting = 1;
    if (mw_stream_waits(s) > 0 && s->werr == 0) mw_stream_push_out(s);
    if (!mw_list_empty(&s->held)) mw_stream_lost(s, "what was held back could not be sent");
    while (!mw_list_empty(&s->held)) mw_list_remove(s->held.next);
    if (s->secure != NULL) mw_secure_end(s);
    s->closed = 1;
    s->leaving = 0;
    mw_host_measures(s->host)->bytes_in += received(s);
    mw_host_measures(s->host)->bytes_out += s->stats.bytes_out;
    mw_host_disown(&s->handle);
    if (s->timer.slot != 0) mw_timer_stop(s->host, &s->timer);
    mw_host_forget_dusk(&s->dusk);
    mw_stream_watch_end(s);
    if (!abandon(s)) mw_stream_take_away(s);
    close_both(s->rfd, s->wfd);
    s->rfd = s->wfd = -1;
    mw_stream_parcels_end(s);
    mw_stream_passed_end(s);
    mw_bytes_free(&s->head.in);
    mw_bytes_free(&s->head.out);
    mw_stream_pins_end(s);
    s->head.add_max = 0;
    mw_stream_charge(s);
    s->enough = NULL;
    mw_wait_wake(&s->readable);
    mw_wait_wake(&s->writable);
    if (s->on_close != NULL) s->on_close(s->close_ud);
    if (s->drive != NULL) s->drive(s, s->drive_ud); /* which may release it */
}

void mw_stream_drive(mw_stream *s, void (*fn)(mw_stream *s, void *ud), void *ud) {
    s->drive = fn;
    s->drive_ud = ud;
}

int mw_stream_identify(mw_stream *s, const char *identity) {
    char *copy = strdup(identity);

    if (copy == NULL) return MW_ENOMEM;
    free(s->identity);
    s->identity = copy;
    return 0;
}

const char *mw_stream_identity(const mw_stream *s) {
    return s->identity;
}

void mw_stream_on_close(mw_stream *s, void (*fn)(void *ud), void *ud) {
    s->on_close = fn;
    s->close_ud = ud;
}

/* Bytes that were lost after the last call that could have told it. A peer that did not want them is everyday (`head`). */
void mw_stream_lost(mw_stream *s, const char *why) {
    if (s->werr == -EPIPE || s->werr == -ECONNRESET) return;
    mw_host_log(s->host, MW_LOG_WARN, "%s %s: not all was sent before it closed: %s", s->noun, s->subject, why);
}

int mw_stream_retire(mw_stream *s, struct mw_err *err) {
    int rc;

    if (s->closed || s->retired) return !s->closed;
    s->parting = 1;
    rc = s->told ? 0 : mw_stream_flush(s, err); /* a failure that no call has told yet is this one's */
    if (s->secure != NULL && rc >= 0 && s->werr == 0) {
        mw_secure_part(s);
        rc = mw_secure_shaken(s) && (mw_stream_waits(s) > 0 || mw_secure_linger(s));
    }
    if (rc == 0) rc = mw_stream_leave(s);
    if (rc <= 0 || mw_host_closing(s->host)) {
        mw_stream_close(s);
        return rc < 0 ? rc : 0;
    }
    s->retired = 1;
    s->head.add_max = 0;
    s->want_read = mw_stream_retires_reading(s);
    s->limits.idle_ns = 0;
    if (s->limits.stall_ns == 0) s->limits.stall_ns = LINGER;
    mw_stream_stuck(s);
    if (s->rfd != s->wfd && s->rfd >= 0 && !s->want_read) {
        mw_stream_drop_rfd(s);
    } else {
        mw_stream_watch(s);
    }
    mw_stream_passed_end(s);
    mw_bytes_free(&s->head.in);
    mw_stream_charge(s);
    s->enough = NULL;
    mw_wait_wake(&s->readable);
    mw_wait_wake(&s->writable);
    return 1;
}

int mw_stream_closed(const mw_stream *s) {
    return s->closed || s->retired;
}

int mw_stream_idled(const mw_stream *s) {
    return s->idled;
}

/* ---- Looking ------------------------------------------------------------------------------------------------------------ */

int mw_stream_rfd(const mw_stream *s) {
    return s->rfd;
}
int mw_stream_wfd(const mw_stream *s) {
    return s->wfd;
}
const char *mw_stream_noun(const mw_stream *s) {
    return s->noun;
}
const char *mw_stream_subject(const mw_stream *s) {
    return s->subject;
}
mw_host *mw_stream_host(const mw_stream *s) {
    return s->host;
}
void mw_stream_stats(const mw_stream *s, struct mw_stream_stats *out) {
    *out = s->stats;
    out->bytes_in = received(s);
}

struct total {
    struct mw_stream_stats *out;
    unsigned open;
};
static void add_one(struct mw_handle *it, void *ud) {
    const mw_stream *s = MW_LIST_ENTRY(it, mw_stream, handle);
    struct total *t = ud;

    t->out->bytes_in += received(s);
    t->out->bytes_out += s->stats.bytes_out;
    t->open++;
}
unsigned mw_stream_totals(mw_host *h, struct mw_stream_stats *out) {
    struct total t = { out, 0 };

    *out = (struct mw_stream_stats){ .bytes_in = mw_host_measures(h)->bytes_in, .bytes_out = mw_host_measures(h)->bytes_out };
    mw_host_each(h, on_teardown, add_one, &t);
    return t.open;
}

struct each {
    void (*fn)(void *, const mw_stream *);
    void *ud;
};
static void call_one(struct mw_handle *it, void *ud) {
    const struct each *each = ud;
    each->fn(each->ud, MW_LIST_ENTRY(it, mw_stream, handle));
}
void mw_stream_each(mw_host *h, void (*fn)(void *ud, const mw_stream *s), void *ud) {
    mw_host_each(h, on_teardown, call_one, &(struct each){ fn, ud });
}
