/* Deadlines: a binary heap over one uv_timer, which is set once a turn, before the loop sleeps.
 * Knows: core. Never: Lua. */
#include "core/timer.h"

#include <stdlib.h>

#include "core/inside.h"

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

static void on_timer(uv_timer_t *timer) {
    mw_host *h = timer->data;
    uint64_t now = mw_host_now(h);

    h->armed = 0;
    while (h->timers > 0 && h->heap[1]->at <= now) {
        struct mw_timer *t = h->heap[1];
        mw_timer_stop(h, t);
        t->fire(t);
    }
}

void mw_timers_arm(mw_host *h) {
    uint64_t now, at;

    if (h->timers == 0) {
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
    return rc;
}

void mw_timers_free(mw_host *h) {
    for (unsigned i = 1; i <= h->timers; i++) h->heap[i]->slot = 0;
    free(h->heap);
    h->heap = NULL;
    h->timers = h->heap_size = 0;
}
