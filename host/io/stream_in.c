/* A stream's reading side: kernel to queue, and whom it wakes.
 * Knows: io/stream_parts, POSIX. Never: what the bytes mean. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/stream_parts.h"

enum { READS = 4 };              /* full reads of one stream in one turn; then the others have theirs */

struct mw_wait *mw_stream_readable(mw_stream *s) {
    return &s->readable;
}

int mw_stream_at_eof(const mw_stream *s) {
    return s->eof;
}

void mw_stream_await(mw_stream *s, mw_stream_enough *fn, void *ud) {
    s->enough = fn;
    s->enough_ud = ud;
}

void mw_stream_need(mw_stream *s, size_t n) {
    s->need = n;
}

int mw_stream_unread(mw_stream *s, const char *at, size_t len, struct mw_err *err) {
    if (mw_bytes_add(&s->head.in, at, len) < 0) return mw_stream_fail(s, MW_ENOMEM, "read", NULL, err);
    s->head.came += len;
    mw_stream_charge(s);
    return 0;
}

ssize_t mw_stream_take(mw_stream *s, char *at, size_t n) {
    int tries = 0;
    ssize_t got;

    do {
        if (s->rkind == MW_FD_UNIX && s->secure == NULL) got = mw_stream_recvmsg(s, at, n);
        else if (s->rkind != MW_FD_OTHER) got = recv(s->rfd, at, n, MSG_DONTWAIT);
        else got = read(s->rfd, at, n);
    } while (got < 0 && errno == EINTR && ++tries < MW_EINTR_MAX);
    if (got < 0 && errno == EIO && s->pty) got = 0; /* the last one at the other side of the terminal has gone */
    return got;
}

char *mw_stream_reserve(mw_stream *s, size_t want, size_t *room) {
    size_t ask = want != 0 && want < s->chunk ? want : s->chunk;
    char *at;

    if (ask <= MW_BLOCK) mw_stream_lend(s, &s->head.in);
    at = mw_bytes_reserve(&s->head.in, ask, room);
    if (at == NULL && ask > MW_CHUNK_MIN) { /* less memory, smaller bites */
        s->chunk = ask = MW_CHUNK_MIN;
        at = mw_bytes_reserve(&s->head.in, ask, room);
    }
    if (at == NULL) return NULL;
    mw_stream_charge(s);
    if (*room > ask) *room = ask;
    return at;
}

/* One read of at most `want` bytes (0: what fits). 1: bytes came (*full: as many as there was room for); 0: none now;
 * MW_EEOF; or a code: MW_ENOMEM, or one that sticks. */
static int read_once(mw_stream *s, size_t want, int *full) {
    size_t room;
    char *at;
    ssize_t got;

    *full = 0;
    if (s->secure != NULL) return mw_secure_read(s, want, full);
    at = mw_stream_reserve(s, want, &room);
    if (at == NULL) return MW_ENOMEM;
    got = mw_stream_take(s, at, room);
    s->stats.reads++;
    if (got > 0) {
        mw_bytes_commit(&s->head.in, (size_t)got);
        s->head.came += (uint64_t)got;
        mw_stream_moved(s);
        if ((size_t)got == room) {
            *full = 1;
            if (room >= s->chunk && s->chunk < (s->rkind == MW_FD_OTHER ? MW_CHUNK_PIPE : MW_CHUNK_MAX)) s->chunk *= 2;
        }
        return 1;
    }
    if (got == 0) {
        s->eof = 1;
        s->want_read = 0;
        return MW_EEOF;
    }
    if (mw_would_block(errno)) return 0;
    s->rerr = -errno;
    s->want_read = 0;
    return s->rerr;
}

/* What cannot be read any more: a code; 0: go on. */
static int refuse(const mw_stream *s, struct mw_err *err) {
    if (s->closed || s->retired) return mw_stream_fail(s, MW_ECLOSED, "read", NULL, err);
    if (s->rfd < 0) return mw_stream_fail(s, MW_EINVAL, "read", "this stream is for writing only", err);
    if (s->rerr != 0) return mw_stream_fail(s, s->rerr, "read", NULL, err);
    if (s->eof) return mw_stream_fail(s, MW_EEOF, "read", "the end", err);
    return 0;
}

int mw_stream_listen(mw_stream *s) {
    int rc = refuse(s, NULL);

    if (rc < 0 || s->want_read) return rc;
    s->want_read = 1;
    rc = mw_stream_watch(s);
    if (rc < 0) s->want_read = 0;
    return rc;
}

int mw_stream_holds(const mw_stream *s) {
    return s->secure != NULL && mw_secure_holds(s);
}

/* The reader is about to wait: has the descriptor watched, and empty queues looked after. */
static int nothing_now(mw_stream *s, struct mw_err *err) {
    int rc = mw_stream_listen(s);

    mw_stream_give_back(s, &s->head.in);
    if (!s->trim && (s->head.in.size > 0 || s->head.out.size > 0 || s->watch != NULL)) {
        s->trim = 1;
        mw_stream_mind(s);
    }
    return rc < 0 ? mw_stream_fail(s, rc, "read", NULL, err) : 0;
}

int mw_stream_fill(mw_stream *s, size_t want, struct mw_err *err) {
    int full, rc = refuse(s, err);

    if (rc < 0) return rc;
    mw_stream_send_gathered(s); /* what asks for it */
    if (s->drained_in == mw_host_turn(s->host) && s->want_read) return nothing_now(s, err);
    if (mw_bytes_len(&s->head.in) >= MW_CROWDED_MAX && mw_host_crowded(s->host)) {
        return mw_stream_fail(s, MW_ELIMIT, "read", "all streams together hold too many bytes", err);
    }
    rc = read_once(s, want, &full);
    if (rc == 1) return 1;
    if (rc == 0) return nothing_now(s, err);
    if (s->watch != NULL || s->parked) mw_stream_watch(s); /* the end and errors are always ready: watch no more */
    return mw_stream_fail(s, rc, "read", rc == MW_EEOF ? "the end" : NULL, err);
}

/* Must this stream hold no more? Nothing is read ahead while the host is crowded; a reader that waits may have a little. */
static int crowded_out(const mw_stream *s) {
    size_t held = mw_bytes_len(&s->head.in);

    if (held == 0 || !mw_host_crowded(s->host)) return 0;
    return mw_wait_empty(&s->readable) || held >= MW_CROWDED_MAX;
}

void mw_stream_on_readable(mw_stream *s) {
    size_t high = s->need > s->limits.read_high ? s->need : s->limits.read_high;
    int i, full = 1, rc = 1, came = 0;

    if (s->drive != NULL && high > MW_STREAM_DRIVEN) high = MW_STREAM_DRIVEN;
    if (s->retired && !s->closed) {
        mw_stream_on_retired(s);
        return;
    }
    if (s->closed || s->eof || s->rerr != 0) s->want_read = 0;
    for (i = 0; s->want_read && full && rc == 1; i++) {
        if (i >= READS && (s->secure == NULL || !mw_secure_holds(s))) break;   /* what TLS holds, nobody else tells of */
        if (mw_bytes_len(&s->head.in) >= high || crowded_out(s) || (s->head.passed != NULL && s->head.passed->count >= MW_STREAM_FDS)) {
            s->want_read = 0; /* a later fill watches again */
            break;
        }
        rc = read_once(s, 0, &full);
        if (rc == 1) came = 1;
    }
    if (s->secure != NULL && mw_secure_news(s)) came = 1;
    if (!came) mw_stream_give_back(s, &s->head.in);
    if (came && !full && rc >= 0) s->drained_in = mw_host_turn(s->host); /* the task that is woken now need not ask again */
    if (came || rc < 0) s->stirred = 1;
    if (rc == MW_ENOMEM) s->want_read = 0; /* the reader tries again and reports it */
    if (mw_wait_empty(&s->readable)) return;
    if (rc >= 0) {
        /* a reader that can be given no more must not sleep: it looks for itself */
        if (s->want_read && (!came || (s->enough != NULL && !s->enough(s, s->enough_ud)))) return;
    }
    s->enough = NULL;
    mw_wait_wake(&s->readable);
}
