/* Deadlines: a binary heap over one uv_timer, which is set once a turn, before the loop sleeps.
 *
 * A loop that sleeps often, and not for as long as its timers have to go, gets a timerfd instead: a timeout of epoll_wait is set and
 * taken back by the kernel each time, half a microsecond or more on a virtual machine; a timerfd is set once and stays. It is set
 * again only for a deadline that is sooner; one that went later, as that of each wait of a conversation does, costs a turn for
 * nothing when the old one comes.
 * Knows: core, timerfd_create(2). Never: Lua. */
#include "core/timer.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/inside.h"
#include "core/poll.h"

#ifdef __linux__
#include <sys/timerfd.h>
#endif

#define OFTEN 64        /* sleeps beside a timer until the loop gets a timerfd: short scripts do without */

static void put(mw_host *h, unsigned i, struct mw_timer *t) {
    h->heap[i] = t;
    t->slot = i;
}
static void up(mw_host *h, unsigned i, struct mw_timer *t) {
    while (i > 1 && h->heap[i / 2]->at > t->at) {
        put(h, i, h->heap[i / 2]);
        i /= 2;
    }
    put(h, i, t);
}
static void down(mw_host *h, unsigned i, struct mw_timer *t) {
    for (;;) {
        unsigned c = 2 * i;
        if (c > h->timers) break;
        if (c < h->timers && h->heap[c + 1]->at < h->heap[c]->at) c++;
        if (h->heap[c]->at >= t->at) break;
        put(h, i, h->heap[c]);
        i = c;
    }
    put(h, i, t);
}

int mw_timer_start(mw_host *h, struct mw_timer *t, uint64_t at, void (*fire)(struct mw_timer *)) {
    t->fire = fire;
    if (t->slot != 0) {
        uint64_t was = t->at;
        t->at = at;
        if (at < was) up(h, t->slot, t);
        else down(h, t->slot, t);
        return 0;
    }
    if (h->timers + 1 >= h->heap_size) {
        unsigned size = h->heap_size != 0 ? 2 * h->heap_size : 64;
        struct mw_timer **heap = realloc(h->heap, size * sizeof *heap);
        if (heap == NULL) return MW_ENOMEM;
        h->heap = heap;
        h->heap_size = size;
    }
    t->at = at;
    h->timers++;
    up(h, h->timers, t);
    return 0;
}

void mw_timer_stop(mw_host *h, struct mw_timer *t) {
    unsigned i = t->slot;
    struct mw_timer *last;

    if (i == 0) return;
    t->slot = 0;
    last = h->heap[h->timers--];
    if (last == t) return;
    if (i > 1 && h->heap[i / 2]->at > last->at) up(h, i, last);
    else down(h, i, last);
}

static void fire_due(mw_host *h) {
    uint64_t now = mw_host_now(h);

    h->armed = 0;
    while (h->timers > 0 && h->heap[1]->at <= now) {
        struct mw_timer *t = h->heap[1];
        mw_timer_stop(h, t);
        t->fire(t);
    }
}

static void on_timer(uv_timer_t *timer) {
    fire_due(timer->data);
}

/* ---- The timerfd ---------------------------------------------------------------------------------------------------------- */

#ifdef __linux__
static void set_clock(mw_host *h, uint64_t at) {
    uint64_t real = at + h->paused;
    struct itimerspec when = { { 0, 0 }, { (time_t)(real / 1000000000u), (long)(real % 1000000000u) } };

    if (timerfd_settime(h->clock_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0) h->armed = at;
}

static void on_clock(uv_poll_t *poll, int status, int events) {
    mw_host *h = poll->data;
    uint64_t times;

    (void)status;
    (void)events;
    fire_due(h);
    if (h->timers > 0) set_clock(h, h->heap[1]->at); /* which takes the old one's ring away */
    else if (read(h->clock_fd, &times, sizeof times) < 0) h->armed = 0; /* nothing to read: it was moved meanwhile */
}

static void open_clock(mw_host *h) {
    h->clock_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (h->clock_fd < 0) return;
    if (uv_poll_init(h->loop, &h->clock, h->clock_fd) < 0) {
        close(h->clock_fd);
        h->clock_fd = -1;
        return;
    }
    h->clock.data = h;
    h->open_handles++;
    if (mw_poll_start(&h->clock, UV_READABLE, on_clock) < 0) { /* without memory: the way it was */
        mw_timers_close(h);
        return;
    }
    uv_timer_stop(&h->timer);
    h->armed = 0;
}

void mw_timers_slept(mw_host *h) {
    if (h->timers > 0 && h->owns_loop && h->clock_fd < 0 && h->slept_beside < OFTEN && ++h->slept_beside == OFTEN) open_clock(h);
}
void mw_timers_close(mw_host *h) {
    if (h->clock_fd < 0) return;
    uv_close((uv_handle_t *)&h->clock, mw_host_handle_closed);
    close(h->clock_fd);
    h->clock_fd = -1;
}
#else
static void set_clock(mw_host *h, uint64_t at) {
    (void)h;
    (void)at;
}
void mw_timers_slept(mw_host *h) {
    (void)h;
}
void mw_timers_close(mw_host *h) {
    (void)h;
}
#endif

/* Whether some timer will ring: those of tasks that wait for ever never do, and come last. */
static int some_rings(const mw_host *h) {
    return h->timers > 0 && h->heap[1]->at < INT64_MAX;
}

/* How long until the earliest, in milliseconds, rounded up; -1: there is none that rings. */
int mw_timers_due(mw_host *h) {
    uint64_t now, ms;

    if (!some_rings(h)) return -1;
    now = mw_host_now(h);
    ms = h->heap[1]->at <= now ? 0 : (h->heap[1]->at - now + 999999) / 1000000;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

void mw_timers_arm(mw_host *h) {
    uint64_t now, at;

    if (h->clock_fd >= 0) {
        if (h->timers > 0 && (h->armed == 0 || h->heap[1]->at < h->armed)) set_clock(h, h->heap[1]->at);
        return;
    }
    if (!some_rings(h)) {
        if (h->armed != 0) uv_timer_stop(&h->timer);
        h->armed = 0;
        return;
    }
    at = h->heap[1]->at;
    if (at == h->armed) return;
    h->armed = at;
    now = mw_host_now(h);
    uv_update_time(h->loop);
    uv_timer_start(&h->timer, on_timer, at <= now ? 0 : (at - now + 999999) / 1000000, 0);
}

/* ---- A clock that stands still -------------------------------------------------------------------------------------------- */

/* A timer of the loop's user ran on meanwhile: it has as long to go as before. */
static void put_off(uv_handle_t *it, void *ud) {
    const uint64_t *ms = ud;
    uv_timer_t *t = (uv_timer_t *)it;

    uint64_t at, now = uv_now(it->loop);

    if (it->type != UV_TIMER || !uv_is_active(it) || uv_is_closing(it)) return;
    at = t->timeout + *ms;
    uv_timer_start(t, t->timer_cb, at > now ? at - now : 0, t->repeat);
}

void mw_host_pause(mw_host *h) {
    if (h->pausing++ > 0) return;
    uv_update_time(h->loop);
    h->paused_at = uv_hrtime();
}

void mw_host_resume(mw_host *h) {
    uint64_t before = uv_now(h->loop), ms;

    if (--h->pausing > 0) return;
    h->paused += uv_hrtime() - h->paused_at;
    uv_update_time(h->loop);
    ms = uv_now(h->loop) - before;
    if (h->owns_loop && ms > 0) uv_walk(h->loop, put_off, &ms);
    h->armed = 0;
}

int mw_timers_init(mw_host *h) {
    int rc = uv_timer_init(h->loop, &h->timer);
    h->timer.data = h;
    h->clock_fd = -1;
    return rc;
}

void mw_timers_free(mw_host *h) {
    for (unsigned i = 1; i <= h->timers; i++) h->heap[i]->slot = 0;
    free(h->heap);
    h->heap = NULL;
    h->timers = h->heap_size = 0;
}
