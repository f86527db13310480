/* Waiting for a ring: the source that looks, the flags that say who sleeps, the doorbell.
 * Knows: share/ring_parts.h, core/source, core/poll, sockets. Never: what a record is. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/poll.h"
#include "share/ring_parts.h"

/* Outlives its ring until the loop has closed it. */
struct mw_ring_watch {
    uv_poll_t poll;
    mw_ring *r;                      /* NULL: it is gone */
};

/* ---- The source ------------------------------------------------------------------------------------------------------------------------ */

static int record_now(mw_ring *r) {
    return r->broken || r->gone || mw_ring_arrived(r) != 0 || atomic_load_explicit(&r->page->finished, memory_order_relaxed) != 0;
}
static int room_now(mw_ring *r) {
    return r->broken || r->gone || r->finished || mw_ring_room(r, r->need) != 0;
}

/* In the memory: somebody here wants to be rung. */
static void tell(mw_ring *r, int asleep) {
    int pop = asleep && !mw_wait_empty(&r->readable), push = asleep && !mw_wait_empty(&r->writable);

    if (!r->remote || r->page == NULL) return;
    if (pop != r->told_pop) atomic_store_explicit(&r->page->pop_sleeps, (unsigned)(r->told_pop = (unsigned char)pop), memory_order_relaxed);
    if (push != r->told_push) atomic_store_explicit(&r->page->push_sleeps, (unsigned)(r->told_push = (unsigned char)push), memory_order_relaxed);
}

static void on_sleeps(struct mw_source *s, int asleep) {
    struct mw_holdings *it = MW_LIST_ENTRY(s, struct mw_holdings, source);

    it->asleep = asleep;
    for (struct mw_list *at = it->waiting.next; at != &it->waiting; at = at->next) tell(MW_LIST_ENTRY(at, mw_ring, waiting), asleep);
}

static int on_look(struct mw_source *s) {
    struct mw_holdings *it = MW_LIST_ENTRY(s, struct mw_holdings, source);
    int found = 0;

    for (struct mw_list *at = it->waiting.next, *next; at != &it->waiting; at = next) {
        mw_ring *r = MW_LIST_ENTRY(at, mw_ring, waiting);
        next = at->next;
        if (!mw_wait_empty(&r->readable) && record_now(r)) {
            mw_wait_wake(&r->readable);
            found = 1;
        }
        if (!mw_wait_empty(&r->writable) && room_now(r)) {
            mw_wait_wake(&r->writable);
            found = 1;
        }
        if (mw_wait_empty(&r->readable) && mw_wait_empty(&r->writable)) {
            tell(r, 0);
            mw_list_remove(at);
        }
    }
    return found;
}

int mw_rings_open(struct mw_holdings *it) {
    if (it->rings++ > 0) return 0;
    it->source.look = on_look;
    it->source.sleeps = on_sleeps;
    mw_host_watch(it->host, &it->source);
    return 0;
}

void mw_rings_close(struct mw_holdings *it) {
    if (--it->rings == 0) mw_host_unwatch(&it->source);
}

/* ---- Parking --------------------------------------------------------------------------------------------------------------------------- */

/* The loop counts as asleep already (a borrowed one): nobody will tell it for us. */
static int tell_now(mw_ring *r, atomic_uint *at, unsigned char *told) {
    if (!r->held->asleep || !r->remote) return 0;
    *told = 1;
    atomic_store_explicit(at, 1, memory_order_relaxed);
    mw_source_fence();
    return 1;
}

static void enlist(mw_ring *r) {
    if (mw_list_empty(&r->waiting)) mw_list_add(&r->held->waiting, &r->waiting);
}

int mw_ring_await_record(mw_ring *r) {
    enlist(r);
    return tell_now(r, &r->page->pop_sleeps, &r->told_pop) && record_now(r);
}

int mw_ring_await_room(mw_ring *r, size_t len) {
    uint64_t size = mw_ring_size(len);

    if (mw_wait_empty(&r->writable) || size < r->need) r->need = size;
    enlist(r);
    return tell_now(r, &r->page->push_sleeps, &r->told_push) && room_now(r);
}

/* ---- The doorbell ---------------------------------------------------------------------------------------------------------------------- */

void mw_ring_ring(mw_ring *r) {
    ssize_t n;

    if (r->bell < 0 || r->gone) return;
    r->rung++;
    do {
        n = send(r->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* full: it rings already */
    } while (n < 0 && errno == EINTR);
}

static void on_bell(uv_poll_t *poll, int status, int events) {
    mw_ring *r = ((struct mw_ring_watch *)poll->data)->r;
    char bytes[256];
    ssize_t n;

    (void)events;
    if (r == NULL) return;
    n = status < 0 ? 0 : recv(r->bell, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))) return;
    r->gone = 1;
    uv_poll_stop(poll);
    mw_wait_wake(&r->readable);
    mw_wait_wake(&r->writable);
}

static void watch_gone(uv_handle_t *it) {
    free(it->data);
}

int mw_ring_watch_bell(mw_ring *r, struct mw_err *err) {
    struct mw_ring_watch *w = malloc(sizeof *w);
    int rc = w == NULL ? MW_ENOMEM : uv_poll_init(mw_host_loop(r->held->host), &w->poll, r->bell);

    if (rc < 0) {
        free(w);
        return mw_err_set(err, rc, "ring", NULL, NULL);
    }
    w->poll.data = w;
    w->r = r;
    r->watch = w;
    rc = mw_poll_start(&w->poll, UV_READABLE, on_bell);
    if (rc == 0) return 0;
    mw_ring_unwatch_bell(r);
    return mw_err_set(err, rc, "ring", NULL, NULL);
}

void mw_ring_unwatch_bell(mw_ring *r) {
    struct mw_ring_watch *w = r->watch;

    if (w == NULL) return;
    r->watch = NULL;
    w->r = NULL;
    uv_close((uv_handle_t *)&w->poll, watch_gone);
}
