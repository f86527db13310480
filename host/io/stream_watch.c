/* What the loop watches of a stream. A socket that says little is parked (io/park); one that is busy, is written to, or is no socket
 * has a watcher of libuv's.
 * Knows: io/stream_parts, io/park, core/poll. Never: reads or writes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/poll.h"
#include "io/park.h"
#include "io/stream_parts.h"

#define WHY 64                   /* bytes of the words for what closed a stream */
#define HITS 4                   /* events of a parked stream; with the next one it is busy */

/* Stand-alone, so that the stream's memory need not wait for the loop: `s` is NULL once the stream has closed. */
struct mw_watch {
    uv_poll_t poll;
    mw_stream *s;
    int events;                  /* what it is started with */
};

/* After anything was read or written in a callback. */
static void watch_on(mw_stream *s) {
    char why[WHY];
    int rc;

    if (s->closed || (rc = mw_stream_watch(s)) == 0) return;
    snprintf(why, sizeof why, "closed: it could not be watched: %s", mw_err_words(rc));
    mw_stream_close_because(s, why);
}

/* The end of a callback of the loop. */
static void tell(mw_stream *s) {
    if (s->drive == NULL) {
        watch_on(s);
        return;
    }
    mw_stream_hold(s);
    watch_on(s);
    if (s->stirred && !s->closed && s->drive != NULL) s->drive(s, s->drive_ud);
    mw_stream_release(s);
}

/* ---- Parked --------------------------------------------------------------------------------------------------------------- */

static void unpark(mw_stream *s) {
    if (s->parked) mw_park_leave(s->host, s->rfd, s);
    s->parked = 0;
}

static void on_parked(void *who, int failed) {
    mw_stream *s = who;

    if (!failed && mw_host_step_is_over(s->host)) return; /* the loop says so again */
    if (failed || ++s->hits > HITS) { /* an error that no read takes away would come again and again */
        unpark(s);
        s->busy = 1;
    }
    s->stirred = 0;
    mw_stream_on_readable(s);
    tell(s);
}

/* 1: it is. */
static int park(mw_stream *s) {
    if (s->busy || s->rkind == MW_FD_OTHER) return 0;
    s->parked = mw_park_enter(s->host, s->rfd, s, on_parked) == 0;
    s->busy = !s->parked;                /* not tried again for a while */
    s->hits = 0;
    return s->parked;
}

/* ---- Watched -------------------------------------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct mw_watch *w = poll->data;
    mw_stream *s = w->s;

    if (s == NULL || (status == 0 && mw_host_step_is_over(s->host))) return; /* the loop says so again */
    if (status < 0) { /* an error condition on the descriptor: libuv has stopped watching; the calls will say what it is */
        events = w->events;
        w->events = 0;
    }
    s->stirred = 0;
    if (events & UV_WRITABLE) mw_stream_on_writable(s);
    if (events & UV_READABLE) mw_stream_on_readable(s);
    tell(s);
}

static int watch_set(mw_stream *s, struct mw_watch **at, int fd, int events) {
    struct mw_watch *w = *at;
    int rc, flags;

    if (w == NULL) {
        if (events == 0) return 0;
        w = malloc(sizeof *w);
        if (w == NULL) return MW_ENOMEM;
        flags = fcntl(fd, F_GETFL);
        rc = uv_poll_init(mw_host_loop(s->host), &w->poll, fd);
        if (rc < 0) {
            free(w);
            return rc;
        }
        /* libuv makes it non-blocking: an inherited socket is others' too, and needs it not */
        if (flags >= 0 && !(flags & O_NONBLOCK)) fcntl(fd, F_SETFL, flags);
        w->poll.data = w;
        w->s = s;
        w->events = 0;
        *at = w;
    }
    if (w->events == events) return 0;
    rc = events == 0 ? uv_poll_stop(&w->poll) : mw_poll_start(&w->poll, events, on_poll);
    if (rc == 0) w->events = events;
    return rc;
}

/* Of the reading descriptor, or of both that are one. It leaves one place when it has the other: a reader that waits is not to be
 * forgotten where there is no memory to watch for writing. */
static int watch_reading(mw_stream *s, int events) {
    int rc;

    if (s->parked && events == UV_READABLE) return 0;
    if (s->watch == NULL && events == UV_READABLE && park(s)) return 0;
    rc = watch_set(s, &s->watch, s->rfd, events);
    if (rc == 0 || !(events & UV_READABLE)) unpark(s);
    return rc;
}

int mw_stream_watch(mw_stream *s) {
    int in = s->want_read ? UV_READABLE : 0, out = s->want_write ? UV_WRITABLE : 0, rc;

    if (s->rfd == s->wfd) return watch_reading(s, in | out);
    rc = s->rfd >= 0 ? watch_reading(s, in) : 0;
    if (rc == 0 && s->wfd >= 0) rc = watch_set(s, &s->wwatch, s->wfd, out);
    return rc;
}

/* ---- The end -------------------------------------------------------------------------------------------------------------- */

static void watch_gone(uv_handle_t *it) {
    free(it->data);
}

static void watch_end(struct mw_watch **at) {
    struct mw_watch *w = *at;

    if (w == NULL) return;
    *at = NULL;
    w->s = NULL;
    uv_close((uv_handle_t *)&w->poll, watch_gone);
}

void mw_stream_drop_wfd(mw_stream *s) {
    watch_end(&s->wwatch);
    close(s->wfd);
    s->wfd = -1;
}

void mw_stream_drop_rfd(mw_stream *s) {
    unpark(s);
    watch_end(&s->watch);
    close(s->rfd);
    s->rfd = -1;
}

/* Before the descriptors go: libuv takes them out of epoll by number. */
void mw_stream_watch_end(mw_stream *s) {
    unpark(s);
    watch_end(&s->watch);
    watch_end(&s->wwatch);
}

void mw_stream_calm(mw_stream *s) {
    s->busy = 0;
    s->hits = 0;
    if (s->watch == NULL || s->closed || !s->want_read || s->want_write || s->rkind == MW_FD_OTHER || s->watch->events != UV_READABLE) return;
    if (park(s)) watch_end(&s->watch);   /* else it stays where it is: somebody may wait for it */
}
