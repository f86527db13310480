/* Workers: threads that run a host each.
 * Knows: share/queue, share/hub, core, pthread. Never: Lua; what a message says.
 *
 * Life: the maker's side holds the worker, its thread does, and so does a hub that has it on its list. The thread ends by itself when its
 * host's run ends; the maker joins it. `lock` guards only the pointer to the worker's host, so that it is stopped by no one when it goes. */
#include "share/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/thread.h"
#include "core/task.h"

#define GIVE_UP_MS 10000            /* that a thread is waited for which was told to end */

/* Of a host and all workers beneath it. */
struct family {
    atomic_int refs;
    atomic_uint workers;
};

struct mw_worker {
    struct mw_end outer, inner;
    struct mw_queue down[MW_WORKER_QUEUES], up[MW_WORKER_QUEUES];
    struct mw_list link;            /* in its maker's list */
    struct family *family;
    struct mw_seed *seed;
    char name[64];
    pthread_t thread;
    int joined, abandoned;          /* the maker's */
    atomic_int refs, finished, ended, stop, serves;
    pthread_mutex_t lock;
    mw_host *running;               /* under lock */
    struct mw_err err;              /* the worker's until it has ended */
    char code[64], *traceback;
    void (*drop)(void *, const struct mw_record *);
    void *beside;
};

/* What a host keeps that has workers, or is one. */
struct home {
    struct mw_handle adopted;
    mw_host *h;
    mw_hub *hub;
    struct family *family;
    mw_worker *self;                /* that this host runs in; NULL: none */
    struct mw_list workers;
};
static const char slot_key;

/* ---- Families and homes -------------------------------------------------------------------------------------------------- */

static struct family *family_hold(struct family *f) {
    atomic_fetch_add(&f->refs, 1);
    return f;
}
static void family_release(struct family *f) {
    if (f != NULL && atomic_fetch_sub(&f->refs, 1) == 1) free(f);
}

static void close_home(struct mw_handle *it);

/* hub, family: taken (NULL: new ones). */
static struct home *home_new(mw_host *h, mw_hub *hub, struct family *family, struct mw_err *err) {
    struct home *home = calloc(1, sizeof *home);
    int rc = MW_ENOMEM;

    if (hub == NULL) hub = mw_hub_new();
    if (family == NULL && (family = calloc(1, sizeof *family)) != NULL) atomic_init(&family->refs, 1);
    if (home == NULL || hub == NULL || family == NULL) goto fail;
    home->h = h;
    home->hub = hub;
    home->family = family;
    mw_list_init(&home->workers);
    rc = mw_host_slot_set(h, &slot_key, home);
    if (rc == 0 && (rc = mw_hub_join(hub, h, err)) < 0) mw_host_slot_set(h, &slot_key, NULL);
    if (rc < 0) goto fail;
    mw_host_adopt(h, &home->adopted, close_home);
    return home;
fail:
    free(home);
    mw_hub_release(hub);
    family_release(family);
    mw_err_set(err, rc, "worker", NULL, NULL);
    return NULL;
}

mw_worker *mw_worker_of(const mw_host *h) {
    const struct home *home = mw_host_slot(h, &slot_key);
    return home != NULL ? home->self : NULL;
}

unsigned mw_worker_count(const mw_host *h) {
    const struct home *home = mw_host_slot(h, &slot_key);
    return home != NULL ? atomic_load(&home->family->workers) : 0;
}

/* ---- Holding ------------------------------------------------------------------------------------------------------------- */

static void release(mw_worker *w) {
    if (atomic_fetch_sub(&w->refs, 1) > 1) return;
    for (int i = 0; i < MW_WORKER_QUEUES; i++) {
        mw_queue_end(&w->down[i], w->drop, NULL);
        mw_queue_end(&w->up[i], w->drop, NULL);
    }
    mw_hub_release(w->outer.port.hub);
    mw_hub_release(w->inner.port.hub);
    family_release(w->family);
    if (w->seed != NULL) w->seed->free(w->seed);
    pthread_mutex_destroy(&w->lock);
    free(w->traceback);
    free(w->beside);
    free(w);
}
static mw_worker *of_port(struct mw_port *p) {
    return MW_LIST_ENTRY(p, struct mw_end, port)->worker;
}
static void port_hold(struct mw_port *p) {
    atomic_fetch_add(&of_port(p)->refs, 1);
}
static void port_release(struct mw_port *p) {
    release(of_port(p));
}

/* ---- Ends ---------------------------------------------------------------------------------------------------------------- */

static void wake_some(struct mw_wait *w, uint64_t count) {
    while (count-- > 0 && mw_wait_wake_one(w)) {}
}

void mw_end_wake(struct mw_end *e) {
    int over = mw_end_is_over(e);

    for (int i = 0; i < MW_WORKER_QUEUES; i++) {
        if (over) mw_wait_wake(&e->readable[i]);
        else if (!mw_wait_empty(&e->readable[i])) wake_some(&e->readable[i], mw_queue_waiting(e->in[i]));
        mw_wait_wake(&e->writable[i]); /* they look whether there is room for what they have */
    }
    if (over) mw_wait_wake(&e->ended);
}

static void port_look(struct mw_port *p) {
    struct mw_end *e = MW_LIST_ENTRY(p, struct mw_end, port);
    if (e->host != NULL) e->on_news(e);
}

static void end_init(struct mw_end *e, mw_worker *w, mw_hub *hub, struct mw_queue *in, struct mw_queue *out, struct mw_end *other) {
    e->worker = w;
    e->port.hub = mw_hub_hold(hub);
    e->port.look = port_look;
    e->port.hold = port_hold;
    e->port.release = port_release;
    e->on_news = mw_end_wake;
    e->other = other;
    mw_wait_init(&e->ended);
    for (int i = 0; i < MW_WORKER_QUEUES; i++) {
        e->in[i] = &in[i];
        e->out[i] = &out[i];
        mw_wait_init(&e->readable[i]);
        mw_wait_init(&e->writable[i]);
    }
}

/* Its host goes: whoever waits looks again, and finds it gone. */
static void end_close(struct mw_end *e) {
    e->host = NULL;
    mw_host_forget_dusk(&e->dusk);
    for (int i = 0; i < MW_WORKER_QUEUES; i++) {
        mw_wait_wake(&e->readable[i]);
        mw_wait_wake(&e->writable[i]);
    }
    mw_wait_wake(&e->ended);
}

int mw_end_room(struct mw_end *e, enum mw_worker_queue which, size_t len) {
    return mw_queue_room(e->out[which], len) || mw_queue_starve(e->out[which], len);
}
int mw_end_put(struct mw_end *e, enum mw_worker_queue which, unsigned kind, uint64_t id, struct mw_bytes *body) {
    int rc = mw_queue_put(e->out[which], kind, id, body);

    if (rc == 0) mw_port_poke(&e->other->port);
    return rc;
}
int mw_end_take(struct mw_end *e, enum mw_worker_queue which, struct mw_record *out) {
    while (mw_queue_next(e->in[which], out)) {
        struct mw_hooks *hooks = e->host != NULL ? mw_host_hooks(e->host) : NULL;
        mw_queue_take(e->in[which], out);
        if (out->kind < MW_KIND_PRINT) return 1;
        if (hooks != NULL && out->kind == MW_KIND_PRINT && hooks->print != NULL) hooks->print(hooks->ud, out->at, out->len);
        if (hooks != NULL && out->kind == MW_KIND_LOG && hooks->log != NULL) hooks->log(hooks->ud, (int)out->id, out->at, out->len);
        mw_end_settle(e, which);
    }
    return 0;
}
static void tell(struct mw_dusk *d) {
    struct mw_end *e = MW_LIST_ENTRY(d, struct mw_end, dusk);
    int waits = 0;

    for (int i = 0; i < MW_WORKER_QUEUES; i++) waits |= mw_queue_tell(e->in[i]);
    if (waits) mw_port_poke(&e->other->port);
}
void mw_end_settle(struct mw_end *e, enum mw_worker_queue which) {
    if (mw_queue_settle(e->in[which])) mw_port_poke(&e->other->port);
    else if (e->host != NULL && mw_queue_untold(e->in[which])) mw_host_at_dusk(e->host, &e->dusk, tell);
}
int mw_end_is_over(const struct mw_end *e) {
    const mw_worker *w = e->worker;
    return e->host == NULL || (e == &w->outer ? atomic_load(&w->ended) : atomic_load(&w->finished));
}

/* ---- The thread ---------------------------------------------------------------------------------------------------------- */

void mw_worker_fail(mw_worker *w, const struct mw_err *err, const char *code, const char *traceback) {
    if (w->err.code != 0) return;
    w->err = *err;
    snprintf(w->code, sizeof w->code, "%s", code);
    w->traceback = strdup(traceback != NULL ? traceback : ""); /* without memory it is lost, the error is not */
}

void mw_worker_tell(mw_worker *w, unsigned kind, uint64_t id, struct mw_bytes *body) {
    static const struct timespec pause = {0, 1000000};

    while (!mw_queue_room(w->inner.out[MW_CALLS], mw_bytes_len(body)) && !atomic_load(&w->stop)) nanosleep(&pause, NULL);
    (void)mw_end_put(&w->inner, MW_CALLS, kind, id, body);
}

/* Its host as one that others may stop. */
static void set_running(mw_worker *w, mw_host *h) {
    pthread_mutex_lock(&w->lock);
    w->running = h;
    if (h != NULL && atomic_load(&w->stop)) mw_host_interrupt_at(h, 0, "the worker is closed");
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *ud) {
    mw_worker *w = ud;
    mw_host *h = NULL;
    struct mw_err err = {0};
    char name[16];              /* the system's limit */
    int code = 0;

    snprintf(name, sizeof name, "%.15s", w->name[0] != 0 ? w->name : "moonwire");
    pthread_setname_np(pthread_self(), name);
    if (w->seed->begin(w->seed, w, &h, &err) < 0) {
        mw_worker_fail(w, &err, "", NULL);
    } else {
        set_running(w, h);
        mw_host_loop_run(h);
        if (mw_host_exit_code(h, &code) && code != 0 && !atomic_load(&w->stop)) {
            mw_err_setf(&err, MW_ECRASHED, NULL, NULL, "it exited with status %d", code);
            mw_worker_fail(w, &err, "", NULL);
        }
        set_running(w, NULL);
        w->seed->end(w->seed, h);
    }
    mw_hub_leave(w->inner.port.hub); /* one that no host came to holds what was put on its list */
    w->seed->free(w->seed);
    w->seed = NULL;
    atomic_fetch_sub(&w->family->workers, 1);
    atomic_store(&w->ended, 1);
    mw_port_poke(&w->outer.port);
    release(w);
    return NULL;
}

/* No signal of the process is handled here; what concerns the thread itself is. */
static int start_thread(mw_worker *w, size_t stack) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    pthread_attr_t attr;
    sigset_t none, was;
    int rc = pthread_attr_init(&attr);

    if (rc != 0) return -rc;
    pthread_attr_setstacksize(&attr, MW_THREAD_STACK_GONE + (stack != 0 ? stack : MW_WORKER_STACK));
    sigfillset(&none);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&none, own[i]);
    pthread_sigmask(SIG_SETMASK, &none, &was);
    rc = pthread_create(&w->thread, &attr, run, w);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

/* ---- Making -------------------------------------------------------------------------------------------------------------- */

static mw_worker *worker_new(struct home *home, const struct mw_worker_options *o, struct mw_seed *seed) {
    mw_worker *w = aligned_alloc(64, (sizeof *w + 63) & ~(size_t)63);
    mw_hub *hub = w != NULL ? mw_hub_new() : NULL;
    void *beside = hub != NULL && o->beside > 0 ? calloc(1, o->beside) : NULL;

    if (hub == NULL || (beside == NULL && o->beside > 0)) {
        mw_hub_release(hub);
        free(w);
        seed->free(seed);
        return NULL;
    }
    memset(w, 0, sizeof *w);
    w->beside = beside;
    atomic_init(&w->refs, 1);
    pthread_mutex_init(&w->lock, NULL);
    mw_list_init(&w->link);
    w->family = family_hold(home->family);
    w->seed = seed;
    w->drop = o->drop;
    snprintf(w->name, sizeof w->name, "%s", o->name != NULL ? o->name : "");
    for (int i = 0; i < MW_WORKER_QUEUES; i++) {
        mw_queue_init(&w->down[i], o->count_max, o->bytes_max);
        mw_queue_init(&w->up[i], o->count_max, o->bytes_max);
    }
    end_init(&w->outer, w, home->hub, w->up, w->down, &w->inner);
    end_init(&w->inner, w, hub, w->down, w->up, &w->outer);
    mw_hub_release(hub); /* its end holds it */
    w->outer.host = home->h;
    return w;
}

int mw_worker_start(mw_host *h, const struct mw_worker_options *o, struct mw_seed *seed, mw_worker **out, struct mw_err *err) {
    struct home *home = mw_host_slot(h, &slot_key);
    uint64_t most = mw_host_limits(h)->workers;
    mw_worker *w;
    int rc;

    if (home == NULL) home = home_new(h, NULL, NULL, err);
    w = home != NULL ? worker_new(home, o, seed) : NULL;
    if (home == NULL) seed->free(seed);
    if (w == NULL) return mw_err_set(err, MW_ENOMEM, "worker spawn", o->name, NULL);
    if (atomic_fetch_add(&w->family->workers, 1) >= most) {
        char what[80];
        snprintf(what, sizeof what, "%llu workers run, at most %llu are allowed", (unsigned long long)most, (unsigned long long)most);
        rc = mw_host_limit_reached(h, err, "worker spawn", o->name, "workers", what);
    } else {
        atomic_fetch_add(&w->refs, 1); /* the thread's */
        rc = start_thread(w, o->stack);
        if (rc < 0) {
            atomic_fetch_sub(&w->refs, 1);
            mw_err_set(err, rc, "worker spawn", o->name, rc == MW_EAGAIN ? "the system has no thread left" : NULL);
        }
    }
    if (rc < 0) {
        atomic_fetch_sub(&w->family->workers, 1);
        release(w);
        return rc;
    }
    mw_list_add(&home->workers, &w->link);
    mw_host_measures(h)->workers++;
    *out = w;
    return 0;
}

struct mw_end *mw_worker_outer(mw_worker *w) {
    return &w->outer;
}
struct mw_end *mw_worker_inner(mw_worker *w) {
    return &w->inner;
}
void *mw_worker_beside(mw_worker *w) {
    return w->beside;
}
const char *mw_worker_name(const mw_worker *w) {
    return w->name;
}

/* ---- The worker's side --------------------------------------------------------------------------------------------------- */

int mw_worker_enter(mw_worker *w, mw_host *h, struct mw_err *err) {
    struct home *home = home_new(h, mw_hub_hold(w->inner.port.hub), family_hold(w->family), err);

    if (home == NULL) return err != NULL ? err->code : MW_ENOMEM;
    home->self = w;
    w->inner.host = h;
    return 0;
}

/* ---- Ending -------------------------------------------------------------------------------------------------------------- */

void mw_worker_finish(mw_worker *w) {
    if (atomic_exchange(&w->finished, 1)) return;
    mw_port_poke(&w->inner.port);
}
int mw_worker_finished(const mw_worker *w) {
    return atomic_load(&w->finished);
}

void mw_worker_serve(mw_worker *w) {
    atomic_store(&w->serves, 1);
}
int mw_worker_serves(const mw_worker *w) {
    return atomic_load(&w->serves);
}

void mw_worker_stop(mw_worker *w) {
    mw_worker_finish(w);
    if (atomic_exchange(&w->stop, 1)) return;
    pthread_mutex_lock(&w->lock);
    if (w->running != NULL) mw_host_interrupt_at(w->running, 0, "the worker is closed");
    pthread_mutex_unlock(&w->lock);
}

int mw_worker_ended(const mw_worker *w) {
    return atomic_load(&w->ended);
}
int mw_worker_why(const mw_worker *w, struct mw_err *err, const char **traceback) {
    if (!mw_worker_ended(w)) return 0;
    *err = w->err;
    *traceback = w->traceback != NULL ? w->traceback : "";
    return w->err.code;
}

const char *mw_worker_why_code(const mw_worker *w) {
    if (w->err.code != MW_ELUA) return w->err.code == 0 || w->err.code == MW_ECRASHED ? "" : mw_err_name(w->err.code);
    return w->code[0] != '\0' ? w->code : mw_err_name(MW_ELUA);
}

/* The thread's last instructions, once it has ended; else at most so long. */
static void join(mw_worker *w, const struct timespec *until) {
    if (w->joined) return;
    w->joined = 1;
    if (mw_thread_join(w->thread, until) != 0) pthread_detach(w->thread); /* it holds what it needs */
}

/* What it printed last is printed; answers have nobody left. */
static void drain(mw_worker *w) {
    struct mw_record r;

    while (mw_end_take(&w->outer, MW_CALLS, &r)) {
        if (w->drop != NULL) w->drop(NULL, &r);
        mw_end_settle(&w->outer, MW_CALLS);
    }
}

void mw_worker_leave(mw_worker *w) {
    struct timespec until;

    if (w == NULL) return;
    mw_thread_until(&until, GIVE_UP_MS);
    mw_worker_stop(w);
    join(w, &until);
    mw_list_remove(&w->link);
    drain(w);
    end_close(&w->outer);
    release(w);
}

static void reap(struct mw_end *e) {
    if (mw_worker_ended(e->worker)) mw_worker_leave(e->worker);
}
void mw_worker_abandon(mw_worker *w) {
    if (w->outer.host == NULL || mw_worker_ended(w)) {
        mw_worker_leave(w);
        return;
    }
    mw_worker_stop(w);
    w->abandoned = 1;
    w->outer.on_news = reap;
    mw_port_poke(&w->outer.port); /* it may have ended meanwhile */
}

/* The host goes, with all its workers: first all are told, then waited for. */
static void close_home(struct mw_handle *it) {
    struct home *home = MW_LIST_ENTRY(it, struct home, adopted);
    struct timespec until;

    mw_thread_until(&until, GIVE_UP_MS);
    mw_host_disown(&home->adopted);
    for (struct mw_list *at = home->workers.next; at != &home->workers; at = at->next) mw_worker_stop(MW_LIST_ENTRY(at, mw_worker, link));
    while (!mw_list_empty(&home->workers)) {
        mw_worker *w = MW_LIST_ENTRY(home->workers.next, mw_worker, link);
        join(w, &until);
        if (w->abandoned) {
            mw_worker_leave(w);
            continue;
        }
        mw_list_remove(&w->link);
        drain(w);
        end_close(&w->outer);
    }
    if (home->self != NULL) end_close(&home->self->inner);
    mw_host_slot_set(home->h, &slot_key, NULL);
    mw_hub_leave(home->hub);
    mw_hub_release(home->hub);
    family_release(home->family);
    free(home);
}
