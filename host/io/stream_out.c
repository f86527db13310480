/* A stream's writing side: to the kernel at once, and what it refused by and by.
 * Knows: io/stream_parts, core/pin, POSIX. Never: what the bytes mean. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/pin.h"
#include "io/stream_parts.h"

enum { PIECES = MW_PINS_MAX + 2 };       /* parts of one writev */

size_t mw_stream_unsent(const mw_stream *s) {
    return mw_stream_waits(s);
}

int mw_stream_crowded(const mw_stream *s) {
    return mw_stream_waits(s) > s->limits.write_soft;
}

int mw_stream_full(const mw_stream *s) {
    return mw_stream_crowded(s) && !s->closed && !s->retired && !s->finishing && s->werr == 0;
}

struct mw_wait *mw_stream_writable(mw_stream *s) {
    return &s->writable;
}

/* ---- To the kernel ---------------------------------------------------------------------------------------------------- */

/* writev(2) on a pipe where the process has not ignored SIGPIPE: a signal that this call causes is taken back before anybody
 * sees it (it is sent to this thread); one that was pending before stays. */
static ssize_t guarded_writev(int fd, const struct iovec *iov, int count) {
    sigset_t pipe_only, before, pending;
    struct timespec none = { 0, 0 };
    ssize_t n;
    int had, e;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    sigpending(&pending);
    had = sigismember(&pending, SIGPIPE);
    n = writev(fd, iov, count);
    e = errno;
    if (n < 0 && e == EPIPE && !had) {
        while (sigtimedwait(&pipe_only, NULL, &none) < 0 && errno == EINTR) continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = e;
    return n;
}

ssize_t mw_stream_give(mw_stream *s, struct iovec *iov, int count) {
    int tries = 0;
    ssize_t n;

    do {
        if (s->wkind != MW_FD_OTHER && count == 1) {
            n = send(s->wfd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else if (s->wkind != MW_FD_OTHER) {
            struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)count };
            n = sendmsg(s->wfd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else if (s->guard) {
            n = guarded_writev(s->wfd, iov, count);
        } else {
            n = writev(s->wfd, iov, count);
        }
    } while (n < 0 && errno == EINTR && ++tries < MW_EINTR_MAX);
    s->stats.writes++;
    if (n > 0) {
        s->stats.bytes_out += (uint64_t)n;
        mw_stream_moved(s);
        return n;
    }
    if (n == 0 || mw_would_block(errno)) return 0;
    return -errno;
}

/* The out queue is another than it was: what may simply be added now? */
static void open_queue(mw_stream *s) {
    size_t most = s->limits.write_soft < s->limits.write_hard ? s->limits.write_soft : s->limits.write_hard;

    s->head.add_max = mw_bytes_len(&s->head.out) == 0 || s->pins != NULL || s->finishing || s->retired ? 0 : most;
    if (s->gathering && s->head.add_max > MW_GATHER_MAX) s->head.add_max = MW_GATHER_MAX;
}

void mw_stream_half_close(mw_stream *s) {
    s->want_write = 0;
    if (s->wfd < 0) return;
    if (s->wfd != s->rfd) mw_stream_drop_wfd(s);
    else if (s->wkind != MW_FD_OTHER) shutdown(s->wfd, SHUT_WR); /* a peer that has gone already is as good */
}

int mw_stream_break(mw_stream *s, int code) {
    s->werr = code;
    s->want_write = 0;
    s->gathering = 0;
    s->head.add_max = 0;
    mw_bytes_free(&s->head.out);
    mw_stream_pins_end(s);
    if (s->secure != NULL) {
        mw_secure_broken(s);
        code = s->werr = mw_secure_verdict(s, code);
    }
    mw_stream_charge(s);
    mw_stream_parcels_end(s);
    if (s->finishing) mw_stream_half_close(s); /* or the peer would wait for ever */
    mw_wait_wake(&s->writable);
    return code;
}

/* The out queue was `was` bytes, and is `left`. */
static void after_push(mw_stream *s, size_t was, size_t left) {
    size_t low = s->limits.write_soft / 2;

    if (left < was && s->limits.stall_ns != 0) s->stuck = mw_host_now(s->host);
    open_queue(s);
    if (left == 0) mw_stream_give_back(s, &s->head.out);
    if (left == 0 && s->finishing && (s->secure == NULL || mw_secure_shaken(s))) mw_stream_half_close(s); /* the handshake ends first */
    if (left == 0 || (left <= low && was > low)) mw_wait_wake(&s->writable);
}

/* The same through TLS: what is encrypted waits in a queue of its own, so that no more is than the descriptor takes soon. */
static int push_secure(mw_stream *s) {
    size_t was = mw_stream_waits(s), held;
    ssize_t sent = 1;
    int rc;

    s->gathering = 0;
    while ((held = mw_bytes_len(&s->head.out)) > 0 && sent > 0) {
        struct iovec iov = { s->head.out.base + s->head.out.head, held };
        sent = mw_secure_give(s, &iov, 1);
        if (sent < 0) return mw_stream_break(s, (int)sent);
        mw_bytes_consume(&s->head.out, (size_t)sent);
        if ((size_t)sent < held) break;
    }
    if (held == 0 && (s->finishing || s->retired || s->parting)) mw_secure_part(s);
    rc = mw_secure_flush(s);
    if (rc < 0) return mw_stream_break(s, rc);
    if (!mw_secure_shaken(s) && mw_secure_unsent(s) == 0) s->want_write = 0; /* what waits, waits for the handshake */
    after_push(s, was, mw_stream_waits(s));
    return 0;
}

/* n bytes of the queue, or of all that waits, were sent. */
static void sent_of_queue(mw_stream *s, size_t n) {
    size_t held = mw_bytes_len(&s->head.out), of_it = n < held ? n : held;

    mw_bytes_consume(&s->head.out, of_it);
    mw_stream_pins_consume(s, n - of_it);
}

int mw_stream_push_out(mw_stream *s) {
    size_t was = mw_stream_queued(s), left = was;

    if (s->secure != NULL) return push_secure(s);
    s->gathering = 0;
    while (left > 0) {
        size_t ahead = s->parcels != NULL ? mw_stream_parcel_ahead(s) : left, n = ahead < left ? ahead : left;
        size_t held = mw_bytes_len(&s->head.out);
        struct iovec iov[PIECES];
        int count = 0;
        ssize_t sent;

        if (held > 0) iov[count++] = (struct iovec){ s->head.out.base + s->head.out.head, n < held ? n : held };
        count += mw_stream_pins_iov(s, iov + count);
        sent = n == 0 ? mw_stream_parcel_send(s) : mw_stream_give(s, iov, count);
        if (sent < 0) return mw_stream_break(s, (int)sent);
        sent_of_queue(s, (size_t)sent);
        left -= (size_t)sent;
        if (sent == 0 || (size_t)sent < n) { /* a short write: it would refuse the next one */
            s->want_write = 1;
            break;
        }
    }
    after_push(s, was, left);
    return 0;
}

void mw_stream_on_writable(mw_stream *s) {
    /* Interest is given up only when there was nothing to do, so that a busy writer does not change it each time. */
    if (mw_stream_waits(s) > 0) {
        mw_stream_push_out(s);
    } else {
        s->want_write = 0;
        if (s->secure != NULL) after_push(s, 0, 0); /* reading, which answers, may have sent the rest: who waits for that is not told there */
    }
    if (mw_stream_waits(s) == 0) s->stirred = 1;
    if (!s->retired || mw_stream_waits(s) > 0) return;
    if (s->werr != 0) mw_stream_lost(s, mw_err_words(s->werr));
    else if ((s->secure != NULL && mw_secure_linger(s)) || mw_stream_leave(s)) return;
    mw_stream_close(s);
}

/* Tries the queue, and watches for the rest. */
static int push_and_watch(mw_stream *s) {
    int rc = mw_stream_push_out(s);

    if (rc < 0 || mw_stream_waits(s) == 0) return rc;
    mw_stream_stuck(s);
    rc = mw_stream_watch(s);
    return rc < 0 ? mw_stream_break(s, rc) : 0;
}

/* An error sticks, and the next writer is told. */
static void on_rest(struct mw_dusk *d) {
    mw_stream *s = MW_LIST_ENTRY(d, mw_stream, dusk);

    if (!s->gathering) return;
    s->rested_in = mw_host_turn(s->host);
    mw_stream_send_gathered(s);
}

void mw_stream_send_gathered(mw_stream *s) {
    if (!s->gathering) return;
    s->bursts = mw_bytes_len(&s->head.out) != s->first_piece;
    push_and_watch(s);
}

/* Gathered bytes go out when the task that wrote them waits: by then it has said what it had to say. Where several tasks write
 * to one stream in a turn, the first one's go then, and the others' together at dusk. */
static void gather(mw_stream *s, size_t len) {
    unsigned turn = mw_host_turn(s->host);

    s->first_piece = s->put_in == turn ? 0 : len;
    s->put_in = turn;
    s->gathering = 1;
    if (s->rested_in == turn) mw_host_at_dusk(s->host, &s->dusk, on_rest);
    else mw_host_at_rest(s->host, &s->dusk, on_rest);
}

void mw_stream_hold_off(mw_stream *s) {
    if (s->gathering) return;
    s->first_piece = 0;
    s->gathering = 1;
    mw_host_at_rest(s->host, &s->dusk, on_rest);
}

/* Is a piece to be written at once, where nothing waits? The first of a turn is, so that a failure is told by the call that it
 * belongs to; unless others followed it the last time, or TLS has something to say: then it goes with them. */
static int is_prompt(mw_stream *s) {
    if (s->bursts || s->gathering || s->put_in == mw_host_turn(s->host)) return 0;
    s->put_in = mw_host_turn(s->host);
    return 1;
}

/* ---- Into the queue --------------------------------------------------------------------------------------------------- */

/* Somebody is told what broke the writing side. */
static int tell(mw_stream *s, struct mw_err *err) {
    s->told = 1;
    return mw_stream_fail(s, s->werr, "write", NULL, err);
}

/* May `total` more bytes be written? */
static int admit(mw_stream *s, size_t total, struct mw_err *err) {
    size_t held = mw_stream_queued(s);

    if (s->closed || s->retired) return mw_stream_fail(s, MW_ECLOSED, "write", NULL, err);
    if (s->finishing) return mw_stream_fail(s, MW_ECLOSED, "write", "finished before", err);
    if (s->wfd < 0) return mw_stream_fail(s, MW_EINVAL, "write", "this stream is for reading only", err);
    if (s->werr != 0) return tell(s, err);
    if (total > s->limits.write_hard || held > s->limits.write_hard - total) {
        return mw_stream_fail(s, MW_ELIMIT, "write", "too many bytes would wait unsent", err);
    }
    return 0;
}

/* Adds the parts, save their first `skip` bytes, to the queue: all or nothing. */
static int queue(mw_stream *s, const struct mw_view *parts, int count, size_t skip, size_t total) {
    char *at;
    int i;

    if (mw_stream_pins_copy(s) < 0) return MW_ENOMEM;
    if (total - skip <= MW_BLOCK) mw_stream_lend(s, &s->head.out);
    at = mw_bytes_reserve(&s->head.out, total - skip, NULL);
    if (at == NULL) return MW_ENOMEM;
    mw_bytes_commit(&s->head.out, total - skip);
    mw_stream_charge(s);
    for (i = 0; i < count; i++) {
        size_t len = parts[i].len;
        if (skip >= len) {
            skip -= len;
            continue;
        }
        memcpy(at, parts[i].at + skip, len - skip);
        at += len - skip;
        skip = 0;
    }
    return 0;
}

static int sum(const struct mw_view *parts, int count, size_t *total) {
    size_t n = 0;
    int i;

    for (i = 0; i < count; i++) {
        if (parts[i].len > (size_t)-1 / 2 - n) return MW_ELIMIT;
        n += parts[i].len;
    }
    *total = n;
    return 0;
}

/* Writes what was gathered and then the parts, past the queue. Bytes of the parts taken, or a code. */
static ssize_t send_parts(mw_stream *s, const struct mw_view *parts, int count) {
    struct iovec iov[PIECES];
    size_t done = 0, ahead = mw_bytes_len(&s->head.out), block;
    int i = 0, rc;

    s->gathering = 0;
    do {
        size_t held = ahead;
        int n = 0;
        ssize_t sent;

        if (held > 0) iov[n++] = (struct iovec){ s->head.out.base + s->head.out.head, held };
        for (block = held; i < count && n < PIECES; i++) {
            if (parts[i].len == 0) continue;
            iov[n].iov_base = (void *)(uintptr_t)parts[i].at; /* only read */
            iov[n++].iov_len = parts[i].len;
            block += parts[i].len;
        }
        if (n == 0) break;
        sent = s->secure != NULL ? mw_secure_give(s, iov, n) : mw_stream_give(s, iov, n);
        if (sent < 0) return sent;
        ahead -= (size_t)sent < held ? (size_t)sent : held;
        mw_bytes_consume(&s->head.out, held - ahead);
        done += (size_t)sent - (held - ahead);
        if ((size_t)sent < block) break;
    } while (i < count);
    if (s->secure != NULL && (rc = mw_secure_flush(s)) < 0) return rc;
    return (ssize_t)done;
}

/* A string that is pinned waits where it lies, if most of it does. */
static int waits_in_place(mw_stream *s, const struct mw_view *part, size_t sent, int *pin) {
    size_t rest = part->len - sent;

    if (*pin == 0 || s->secure != NULL || s->parcels != NULL || rest <= MW_STREAM_SMALL || rest < part->len / 4) return 0;
    if (mw_stream_pins_add(s, part->at + sent, rest, *pin) < 0) return 0;
    *pin = 0;
    return 1;
}

/* Queues what the kernel did not take of the parts. first: nothing waited before. */
static int queue_rest(mw_stream *s, const struct mw_view *parts, int count, size_t sent, size_t total, int first, int *pin,
                      struct mw_err *err) {
    int rc = waits_in_place(s, parts, sent, pin) ? 0 : queue(s, parts, count, sent, total), lost = rc < 0 && sent > 0, watched = 0;

    if (first && mw_stream_waits(s) > 0) {
        if (s->secure == NULL || mw_secure_unsent(s) > 0) s->want_write = 1;
        mw_stream_stuck(s);
        watched = mw_stream_watch(s);
    }
    open_queue(s);
    if (lost || watched < 0) { /* part of it has gone, or nobody would send the rest: nothing good can follow */
        mw_stream_break(s, lost ? rc : watched);
        return tell(s, err);
    }
    return rc < 0 ? mw_stream_fail(s, rc, "write", NULL, err) : mw_stream_crowded(s);
}

/* The end of a call that sent something: rc, or what broke. */
static int sent_or_broken(mw_stream *s, int rc, struct mw_err *err) {
    if (s->werr != 0) return tell(s, err);
    return rc < 0 ? mw_stream_fail(s, rc, "write", NULL, err) : mw_stream_crowded(s);
}

int mw_stream_enqueue(mw_stream *s, const struct mw_view *part, struct mw_err *err) {
    int rc = admit(s, part->len, err), pin = 0;

    return rc < 0 ? rc : queue_rest(s, part, 1, 0, part->len, mw_stream_queued(s) == 0, &pin, err);
}

/* Writes at once, with what was gathered before. *pin, where it is not 0, is of the one part, and 0 when it was taken over. */
static int write_now(mw_stream *s, const struct mw_view *parts, int count, size_t total, int *pin, struct mw_err *err) {
    int rc = admit(s, total, err), first = mw_stream_queued(s) == 0 || s->gathering;
    ssize_t sent = 0;

    if (rc < 0) return rc;
    if (first) {
        sent = send_parts(s, parts, count);
        if (sent < 0) return sent_or_broken(s, mw_stream_break(s, (int)sent), err);
        open_queue(s);
        mw_stream_give_back(s, &s->head.out);
        if ((size_t)sent == total && mw_stream_waits(s) == 0) return 0;
    }
    return queue_rest(s, parts, count, (size_t)sent, total, first, pin, err);
}

int mw_stream_write(mw_stream *s, const struct mw_view *parts, int count, struct mw_err *err) {
    size_t total;
    int rc = sum(parts, count, &total), pin = 0;

    return rc < 0 ? mw_stream_fail(s, rc, "write", NULL, err) : write_now(s, parts, count, total, &pin, err);
}

int mw_stream_write_pinned(mw_stream *s, const struct mw_view *part, int pin, struct mw_err *err) {
    int rc = write_now(s, part, 1, part->len, &pin, err);

    mw_unpin(s->host, pin);
    return rc;
}

int mw_stream_put(mw_stream *s, const struct mw_view *parts, int count, struct mw_err *err) {
    size_t total;
    int rc = sum(parts, count, &total), pin = 0;

    if (rc < 0) return mw_stream_fail(s, rc, "write", NULL, err);
    if (total > MW_STREAM_SMALL) return write_now(s, parts, count, total, &pin, err);
    if (s->gathering && mw_bytes_len(&s->head.out) + total > MW_GATHER_MAX) { /* full: on its way, so that the peer can begin */
        rc = push_and_watch(s);
        if (rc < 0) return sent_or_broken(s, rc, err);
    }
    rc = admit(s, total, err);
    if (rc < 0 || total == 0) return rc;
    if (mw_stream_queued(s) == 0) {
        if (is_prompt(s)) return write_now(s, parts, count, total, &pin, err);
        gather(s, total);
    }
    rc = queue(s, parts, count, 0, total);
    open_queue(s);
    if (rc < 0) return mw_stream_fail(s, rc, "write", NULL, err);
    return mw_stream_crowded(s);
}

char *mw_stream_room_first(mw_stream *s, size_t len) {
    char *at;

    if (mw_stream_queued(s) > 0 || s->closed || s->retired || s->finishing || s->werr != 0 || s->wfd < 0) return NULL;
    if (len == 0 || len > MW_STREAM_SMALL || len > s->limits.write_hard) return NULL;
    if (len <= MW_BLOCK) mw_stream_lend(s, &s->head.out);
    at = mw_bytes_reserve(&s->head.out, len, NULL);
    mw_stream_charge(s);
    return at;
}

int mw_stream_begun(mw_stream *s, size_t len, struct mw_err *err) {
    if (is_prompt(s)) return sent_or_broken(s, push_and_watch(s), err);
    gather(s, len);
    open_queue(s);
    return mw_stream_crowded(s);
}

void mw_stream_hold_back(mw_stream *s, struct mw_held *it) {
    mw_list_add(&s->held, &it->link);
}

/* Each that is held back now is asked once. 0, or the first failure's code. */
static int send_held(mw_stream *s, struct mw_err *err) {
    struct mw_list now;
    int rc = 0;

    mw_list_init(&now);
    mw_list_splice(&now, &s->held);
    while (!mw_list_empty(&now)) {
        struct mw_held *it = MW_LIST_ENTRY(now.next, struct mw_held, link);
        int one;

        mw_list_remove(&it->link);
        mw_list_add(&s->held, &it->link);
        one = it->send(it, rc == 0 ? err : NULL);
        if (rc == 0) rc = one;
    }
    return rc;
}

void mw_stream_settle(mw_stream *s) {
    int told = s->told;

    if (mw_list_empty(&s->held)) return;
    send_held(s, NULL);
    mw_stream_send_gathered(s);  /* whoever asks may be about to sleep */
    s->told = told != 0;
}

int mw_stream_flush(mw_stream *s, struct mw_err *err) {
    int rc = 0;

    if (s->closed || s->retired) return mw_stream_fail(s, MW_ECLOSED, "write", NULL, err);
    if (!mw_list_empty(&s->held)) rc = send_held(s, err);
    if (rc < 0) return rc;
    if (s->werr == 0 && s->gathering) rc = push_and_watch(s);
    if (s->werr != 0) return tell(s, err);
    return rc < 0 ? mw_stream_fail(s, rc, "write", NULL, err) : mw_stream_waits(s) > 0;
}

int mw_stream_finish(mw_stream *s, struct mw_err *err) {
    int rc;

    if (s->closed || s->retired) return mw_stream_fail(s, MW_ECLOSED, "finish", NULL, err);
    if (s->wfd < 0 && !s->finishing) return mw_stream_fail(s, MW_EINVAL, "finish", "this stream is for reading only", err);
    s->parting = 1;
    rc = mw_stream_flush(s, err);
    s->parting = rc >= 0;
    if (rc < 0) return rc;
    if (s->finishing) return rc;
    s->finishing = 1;
    open_queue(s);
    if (s->secure != NULL) { /* its last word first */
        rc = push_and_watch(s);
        if (rc < 0) return tell(s, err);
        return mw_stream_waits(s) > 0;
    }
    if (rc == 0) mw_stream_half_close(s);
    return rc;
}
