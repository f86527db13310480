/* Wakes between the hosts of several threads.
 * Knows: core/source, core/poll, eventfd(2). Never: a ring that finds its loop gone; uv_async, whose receiver spins for a thousand
 * turns when it is up before the sender has come back from its write.
 *
 * Three pairs of a store and a load, each with sequential consistency, so that of two sides one sees the other:
 *   what came, then port.news     beside     port.news = 0, then what came         (the item is seen, or the port is listed again)
 *   the list, then hub.asleep     beside     hub.asleep = 1, then the list         (the port is seen, or the bell is rung)
 *   hub.inside, then hub.gone     beside     hub.gone = 1, then hub.inside         (nobody is inside once it has left) */
#include "share/hub.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "core/poll.h"
#include "core/source.h"

struct mw_hub {
    struct mw_source source;
    struct mw_handle adopted;
    uv_poll_t poll;
    int bell;                               /* an eventfd; -1 */
    mw_host *h;                             /* NULL: no host looks */
    _Atomic(struct mw_port *) news __attribute__((aligned(64)));
    atomic_int asleep, gone, inside;
    atomic_int refs;
};

mw_hub *mw_hub_new(void) {
    mw_hub *hub = aligned_alloc(64, (sizeof *hub + 63) & ~(size_t)63);

    if (hub == NULL) return NULL;
    *hub = (mw_hub){.bell = -1};
    atomic_init(&hub->refs, 1);
    return hub;
}
mw_hub *mw_hub_hold(mw_hub *hub) {
    atomic_fetch_add(&hub->refs, 1);
    return hub;
}
void mw_hub_release(mw_hub *hub) {
    if (hub == NULL || atomic_fetch_sub(&hub->refs, 1) > 1) return;
    mw_hub_leave(hub);
    free(hub);
}

/* ---- Others' side --------------------------------------------------------------------------------------------------------- */

void mw_port_poke_slowly(struct mw_port *port) {
    mw_hub *hub = port->hub;
    struct mw_port *head;

    if (atomic_exchange(&port->news, 1)) return;
    atomic_fetch_add(&hub->inside, 1);
    if (!atomic_load(&hub->gone)) {
        port->hold(port);
        head = atomic_load(&hub->news);
        do port->next = head;
        while (!atomic_compare_exchange_weak(&hub->news, &head, port));
        if (atomic_load(&hub->asleep) && atomic_exchange(&hub->asleep, 0)) eventfd_write(hub->bell, 1);
    }
    atomic_fetch_sub(&hub->inside, 1);
}

/* ---- The host's side ------------------------------------------------------------------------------------------------------- */

/* The list in the order in which it grew. */
static struct mw_port *take_all(mw_hub *hub) {
    struct mw_port *it = atomic_exchange(&hub->news, NULL), *first = NULL;

    while (it != NULL) {
        struct mw_port *next = it->next;
        it->next = first;
        first = it;
        it = next;
    }
    return first;
}

static int look(struct mw_source *s) {
    mw_hub *hub = MW_LIST_ENTRY(s, mw_hub, source);
    struct mw_port *it;

    if (atomic_load(&hub->news) == NULL) return 0;
    for (it = take_all(hub); it != NULL;) {
        struct mw_port *next = it->next;
        atomic_store(&it->news, 0); /* before it is looked at: what comes later lists it again */
        it->look(it);
        it->release(it);
        it = next;
    }
    return 1;
}

static void sleeps(struct mw_source *s, int asleep) {
    atomic_store(&MW_LIST_ENTRY(s, mw_hub, source)->asleep, asleep);
}

static void on_bell(uv_poll_t *poll, int status, int events) { /* the loop is up, and looks */
    mw_hub *hub = poll->data;
    eventfd_t rung;
    (void)status;
    (void)events;
    eventfd_read(hub->bell, &rung);
}

static void closed(uv_handle_t *poll) {
    mw_hub *hub = poll->data;
    close(hub->bell);
    hub->bell = -1;
    mw_hub_release(hub);
}
static void close_adopted(struct mw_handle *it) {
    mw_hub_leave(MW_LIST_ENTRY(it, mw_hub, adopted));
}

int mw_hub_join(mw_hub *hub, mw_host *h, struct mw_err *err) {
    int rc;

    hub->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (hub->bell < 0) return mw_err_sys(err, "worker", NULL);
    rc = uv_poll_init(mw_host_loop(h), &hub->poll, hub->bell);
    if (rc < 0) {
        close(hub->bell);
        hub->bell = -1;
        return mw_err_set(err, rc, "worker", NULL, NULL);
    }
    hub->poll.data = mw_hub_hold(hub);
    rc = mw_poll_start(&hub->poll, UV_READABLE, on_bell);
    if (rc < 0) {
        uv_close((uv_handle_t *)&hub->poll, closed);
        return mw_err_set(err, rc, "worker", NULL, NULL);
    }
    uv_unref((uv_handle_t *)&hub->poll);
    hub->h = h;
    hub->source.look = look;
    hub->source.sleeps = sleeps;
    mw_host_adopt(h, &hub->adopted, close_adopted);
    mw_host_watch(h, &hub->source);
    return 0;
}

void mw_hub_leave(mw_hub *hub) {
    struct mw_port *it;
    int joined = hub->h != NULL;

    atomic_store(&hub->gone, 1);
    while (atomic_load(&hub->inside) > 0) sched_yield(); /* some instructions of theirs */
    for (it = take_all(hub); it != NULL;) {
        struct mw_port *next = it->next;
        it->release(it);
        it = next;
    }
    if (!joined) return;
    hub->h = NULL;
    mw_host_unwatch(&hub->source);
    mw_host_disown(&hub->adopted);
    uv_close((uv_handle_t *)&hub->poll, closed);
}
