/* The assembly, watching: the engine's descriptors and signals on the host's loop.
 * Knows: moonwire.h, core, io/signal, uv.h. Never: reads or writes a descriptor; takes a signal that nobody asked for. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "core/poll.h"
#include "io/signal.h"
#include "moonwire_parts.h"

_Static_assert((int)MW_WATCH_READ == (int)UV_READABLE && (int)MW_WATCH_WRITE == (int)UV_WRITABLE, "libuv's numbers are ours");

/* One that is being closed is in no list; it is freed when the loop has let it go. */
struct watch {
    struct mw_list link;
    mw_host *host;
    int fd, events;
    mw_host_watcher *fn;
    void *ud;
    uv_poll_t poll;
};
struct taken {
    struct mw_list link;
    mw_host *host;
    int number;
    mw_host_signal *fn;
    void *ud;
    struct sigaction before;    /* what took this signal until now */
    uv_signal_t watcher;
};

static void free_data(uv_handle_t *it) {
    free(it->data);
}

/* ---- Descriptors --------------------------------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct watch *w = poll->data;
    mw_host *h = w->host;

    if (status < 0) { /* failed: libuv has let go of it; whoever watches sees to it, and as long as they do not they are told */
        events = w->events;
        (void)mw_poll_start(poll, events, on_poll);
    }
    mw_host_hooked(h, 1);
    w->fn(h, w->fd, events & w->events, w->ud); /* after this it may be gone */
    mw_host_hooked(h, 0);
}

static struct watch *find_watch(struct assembly *a, int fd) {
    for (struct mw_list *at = a->watches.next; at != &a->watches; at = at->next) {
        struct watch *w = MW_LIST_ENTRY(at, struct watch, link);
        if (w->fd == fd) return w;
    }
    return NULL;
}
static void end_watch(struct watch *w) {
    mw_list_remove(&w->link);
    mw_host_listen(w->host, -1);
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, free_data);
}

static int refuse(struct mw_err *err, int code, int fd) {
    char subject[24];

    snprintf(subject, sizeof subject, "%d", fd);
    if (code == -EPERM) return mw_err_set(err, MW_EINVAL, "host watch", subject, "it cannot be watched: a file");
    if (code == -EBADF) return mw_err_set(err, MW_EINVAL, "host watch", subject, "no descriptor");
    return mw_err_set(err, code, "host watch", subject, code == -EEXIST ? "the loop watches it already" : NULL);
}

/* libuv sets O_NONBLOCK, which whoever reads and writes would notice. */
static int init_poll(mw_host *h, struct watch *w) {
    int flags = fcntl(w->fd, F_GETFL), rc;

    if (flags < 0) return -errno;
    rc = uv_poll_init(mw_host_loop(h), &w->poll, w->fd);
    if ((flags & O_NONBLOCK) == 0) (void)fcntl(w->fd, F_SETFL, flags);
    return rc;
}

static int new_watch(mw_host *h, int fd, struct watch **out) {
    struct watch *w = calloc(1, sizeof *w);
    int rc;

    if (w == NULL) return MW_ENOMEM;
    w->host = h;
    w->fd = fd;
    rc = init_poll(h, w);
    if (rc < 0) {
        free(w);
        return rc;
    }
    w->poll.data = w;
    uv_unref((uv_handle_t *)&w->poll);
    mw_list_add(&mw_assembly_of(h)->watches, &w->link);
    mw_host_listen(h, 1);
    *out = w;
    return 0;
}

int mw_host_watch_fd(mw_host *h, int fd, int events, mw_host_watcher *fn, void *ud, struct mw_err *err) {
    struct watch *w = find_watch(mw_assembly_of(h), fd);
    int rc;

    if (events == 0) {
        if (w != NULL) end_watch(w);
        return 0;
    }
    if ((events & ~(MW_WATCH_READ | MW_WATCH_WRITE)) != 0 || fn == NULL)
        return mw_err_set(err, MW_EINVAL, "host watch", NULL,
                          fn == NULL ? "a function is expected" : "events are MW_WATCH_READ, MW_WATCH_WRITE or both");
    if (mw_assembly_of(h)->ended) return refuse(err, MW_ECLOSED, fd);
    if (w == NULL && (rc = new_watch(h, fd, &w)) < 0) return refuse(err, rc, fd);
    w->events = events;
    w->fn = fn;
    w->ud = ud;
    uv_poll_stop(&w->poll); /* another descriptor may have the number by now */
    rc = mw_poll_start(&w->poll, events, on_poll);
    if (rc == 0) return 0;
    end_watch(w);
    return refuse(err, rc, fd);
}

/* ---- Signals --------------------------------------------------------------------------------------------------------------- */

static void on_taken(uv_signal_t *it, int number) {
    const struct taken *t = it->data;
    mw_host *h = t->host;

    mw_host_hooked(h, 1);
    t->fn(h, number, t->ud); /* after this it may be gone */
    mw_host_hooked(h, 0);
}

static struct taken *find_taken(struct assembly *a, int number) {
    for (struct mw_list *at = a->signals.next; at != &a->signals; at = at->next) {
        struct taken *t = MW_LIST_ENTRY(at, struct taken, link);
        if (t->number == number) return t;
    }
    return NULL;
}
static void end_taken(struct taken *t) {
    mw_list_remove(&t->link);
    mw_host_listen(t->host, -1);
    uv_signal_stop(&t->watcher);
    mw_signal_restore(t->number, &t->before);
    uv_close((uv_handle_t *)&t->watcher, free_data);
}

/* Whether a handler for it makes sense: what a fault raises comes again and again; the timer's is core/tick's. */
static int may_take(const struct assembly *a, int number) {
    static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (never[i] == number) return 0;
    return number > 0 && number < NSIG && !(number == SIGVTALRM && a->cfg.preempt == MW_PREEMPT_TIMER);
}

static int take(mw_host *h, struct taken *t, struct mw_err *err) {
    int rc = sigaction(t->number, NULL, &t->before) < 0 ? -errno : uv_signal_init(mw_host_loop(h), &t->watcher);

    if (rc < 0) {
        free(t);
        return mw_err_set(err, rc, "host signal", NULL, NULL);
    }
    t->watcher.data = t;
    rc = uv_signal_start(&t->watcher, on_taken, t->number);
    if (rc < 0) {
        uv_close((uv_handle_t *)&t->watcher, free_data);
        return mw_err_set(err, rc, "host signal", NULL, NULL);
    }
    mw_signal_taken(t->number, &t->before);
    uv_unref((uv_handle_t *)&t->watcher);
    mw_list_add(&mw_assembly_of(h)->signals, &t->link);
    mw_host_listen(h, 1);
    return 0;
}

int mw_host_on_signal(mw_host *h, int signum, mw_host_signal *fn, void *ud, struct mw_err *err) {
    struct assembly *a = mw_assembly_of(h);
    struct taken *t = find_taken(a, signum);

    if (fn == NULL) {
        if (t != NULL) end_taken(t);
        return 0;
    }
    if (!may_take(a, signum)) return mw_err_set(err, MW_EINVAL, "host signal", NULL, "not a signal that can be taken");
    if (a->ended) return mw_err_set(err, MW_ECLOSED, "host signal", NULL, NULL);
    if (t != NULL) {
        t->fn = fn;
        t->ud = ud;
        return 0;
    }
    t = calloc(1, sizeof *t);
    if (t == NULL) return mw_err_set(err, MW_ENOMEM, "host signal", NULL, NULL);
    *t = (struct taken){.host = h, .number = signum, .fn = fn, .ud = ud};
    return take(h, t, err);
}

void mw_watches_end(mw_host *h) {
    struct assembly *a = mw_assembly_of(h);

    a->ended = 1;
    while (!mw_list_empty(&a->watches)) end_watch(MW_LIST_ENTRY(a->watches.next, struct watch, link));
    while (!mw_list_empty(&a->signals)) end_taken(MW_LIST_ENTRY(a->signals.next, struct taken, link));
}
