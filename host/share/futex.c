/* Futexes: one helper thread for each 127 waiters, asleep in futex_waitv(2) on all their words and one of its own.
 * Knows: share/memory, POSIX threads, futex(2), uv.h. Never: blocks the loop; spins.
 *
 * A waiter waits for a value, not for a wake: the helper looks at each word when it begins to sleep and when it is woken, so no change
 * that was followed by a wake is missed, and a wake without a change wakes nobody here. A word is looked at under the helper's lock only,
 * and whoever forgets a memory takes that lock: after it the helper knows the address no more. */
#include "share/futex.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449      /* Linux 5.16; the same everywhere */
#endif
#define WORD_32 2u               /* FUTEX2_SIZE_U32 */

enum {
    WORDS = 128,                 /* the kernel's most at once; the first is the helper's own */
    HELPERS = 32,
    STACK = 256 << 10,           /* bytes */
    POLL_NS = 10000000           /* how often a kernel without futex_waitv is made to look, while somebody waits */
};

struct word {                    /* the kernel's struct futex_waitv */
    uint64_t value, at;
    uint32_t flags, zero;
};

struct mw_futex_helper {
    mw_futexes *home;
    struct mw_futex_helper *next;
    pthread_t thread;
    pthread_mutex_t lock;        /* of the lists and what is in them */
    struct mw_list waiting, over;
    unsigned count;              /* of waiting; the loop thread's */
    _Atomic uint32_t bell;       /* changes whenever the list does */
    int stop;
};

struct bell {                    /* closed by the loop, after its futexes */
    uv_async_t async;
    mw_futexes *all;
};
struct mw_futexes {
    struct mw_futex_helper *helpers;
    struct bell *bell;
    struct mw_holdings *held;
};

static long futex(const void *at, int op, uint32_t value, const struct timespec *timeout) {
    return syscall(SYS_futex, at, op, value, timeout, NULL, 0);
}

/* ---- The helper ------------------------------------------------------------------------------------------------------------------ */

static int satisfied(const struct mw_futex *w, uint32_t now) {
    return (w->lost != NULL && atomic_load(w->lost)) || (now == w->value) == (w->until != 0);
}

/* Under the lock: whose word has changed goes to the other list; the others' words. The count of them; *over: somebody went. */
static unsigned look(struct mw_futex_helper *h, struct word words[WORDS], int *over) {
    unsigned n = 1;

    *over = 0;
    for (struct mw_list *at = h->waiting.next, *next; at != &h->waiting; at = next) {
        struct mw_futex *w = MW_LIST_ENTRY(at, struct mw_futex, link);
        uint32_t now = __atomic_load_n(w->at, __ATOMIC_SEQ_CST);
        next = at->next;
        if (satisfied(w, now)) {
            mw_list_remove(at);
            mw_list_add(&h->over, at);
            *over = 1;
        } else if (n < WORDS) {
            words[n++] = (struct word){ now, (uintptr_t)w->at, WORD_32, 0 };
        }
    }
    return n;
}

static void *helper_main(void *ud) {
    struct mw_futex_helper *h = ud;
    struct timespec poll = { 0, POLL_NS };
    struct word words[WORDS];
    int over, why, without = 0;

    pthread_setname_np(pthread_self(), "mw-futex");
    pthread_mutex_lock(&h->lock);
    while (!h->stop) {
        uint32_t bell = atomic_load(&h->bell);
        unsigned n = look(h, words, &over);
        pthread_mutex_unlock(&h->lock);
        if (over) uv_async_send(&h->home->bell->async);
        words[0] = (struct word){ bell, (uintptr_t)&h->bell, WORD_32 | FUTEX_PRIVATE_FLAG, 0 };
        why = without || syscall(SYS_futex_waitv, words, n, 0, NULL, 0) >= 0 ? 0 : errno;
        if (why == ENOSYS || why == EPERM) without = 1;
        if (without || (why != 0 && why != EAGAIN && why != EINTR)) futex(&h->bell, FUTEX_WAIT_PRIVATE, bell, n > 1 ? &poll : NULL);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* Under the lock: it is to look again. */
static void ring(struct mw_futex_helper *h) {
    atomic_fetch_add(&h->bell, 1);
    futex(&h->bell, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static int start(struct mw_futex_helper *h) {
    pthread_attr_t attr;
    sigset_t most, was;
    int rc = pthread_attr_init(&attr);

    if (rc != 0) return -rc;
    sigfillset(&most);           /* signals are the loop thread's; a fault is of who has it */
    sigdelset(&most, SIGBUS);
    sigdelset(&most, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &most, &was);
    pthread_attr_setstacksize(&attr, STACK);
    rc = pthread_create(&h->thread, &attr, helper_main, h);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

static int helper_new(mw_futexes *all, struct mw_futex_helper **out) {
    struct mw_futex_helper *h = calloc(1, sizeof *h);
    int rc;

    if (h == NULL) return MW_ENOMEM;
    h->home = all;
    mw_list_init(&h->waiting);
    mw_list_init(&h->over);
    rc = -pthread_mutex_init(&h->lock, NULL);
    if (rc < 0) {
        free(h);
        return rc;
    }
    rc = start(h);
    if (rc < 0) {
        pthread_mutex_destroy(&h->lock);
        free(h);
        return rc;
    }
    h->next = all->helpers;
    all->helpers = h;
    *out = h;
    return 0;
}

/* ---- The loop's side --------------------------------------------------------------------------------------------------------------- */

/* Under the lock. */
static void out_of(struct mw_futex_helper *h, struct mw_futex *w) {
    mw_list_remove(&w->link);
    w->helper = NULL;
    w->done = 1;
    h->count--;
}

static void on_bell(uv_async_t *async) {
    mw_futexes *all = ((struct bell *)async->data)->all;

    for (struct mw_futex_helper *h = all != NULL ? all->helpers : NULL; h != NULL; h = h->next) {
        pthread_mutex_lock(&h->lock);
        while (!mw_list_empty(&h->over)) {
            struct mw_futex *w = MW_LIST_ENTRY(h->over.next, struct mw_futex, link);
            out_of(h, w);
            mw_wait_wake(&w->woken);
        }
        pthread_mutex_unlock(&h->lock);
    }
}

static void bell_gone(uv_handle_t *it) {
    free(it->data);
}

static mw_futexes *futexes_of(struct mw_holdings *held) {
    mw_futexes *all = held->futexes;

    if (all != NULL) return all;
    all = calloc(1, sizeof *all);
    if (all == NULL) return NULL;
    all->bell = calloc(1, sizeof *all->bell);
    if (all->bell == NULL || uv_async_init(mw_host_loop(held->host), &all->bell->async, on_bell) < 0) {
        free(all->bell);
        free(all);
        return NULL;
    }
    all->bell->async.data = all->bell;
    all->bell->all = all;
    all->held = held;
    held->futexes = all;
    return all;
}

int mw_futex_over(const struct mw_futex *w) {
    return w->done;
}

int mw_futex_enter(struct mw_futex *w, mw_memory *m, size_t at, uint32_t value, int until, struct mw_err *err) {
    mw_futexes *all = futexes_of(m->held);
    struct mw_futex_helper *h = all != NULL ? all->helpers : NULL;
    unsigned helpers = 0;
    int rc = all == NULL ? MW_ENOMEM : 0;

    for (; h != NULL && h->count >= WORDS - 1; h = h->next) helpers++;
    if (rc == 0 && h == NULL && helpers == HELPERS) {
        return mw_err_setf(err, MW_ELIMIT, "shm wait", mw_memory_subject(m), "%d wait already, more cannot", HELPERS * (WORDS - 1));
    }
    if (rc == 0 && h == NULL) rc = helper_new(all, &h);
    if (rc < 0) return mw_err_set(err, rc, "shm wait", mw_memory_subject(m), NULL);
    mw_wait_init(&w->woken);
    w->helper = h;
    w->at = (uint32_t *)(void *)(m->at + at);
    w->value = value;
    w->until = until;
    w->lost = m->fault != NULL ? &m->fault->lost : NULL;
    w->done = 0;
    pthread_mutex_lock(&h->lock);
    mw_list_add(&h->waiting, &w->link);
    h->count++;
    ring(h);
    pthread_mutex_unlock(&h->lock);
    return 0;
}

void mw_futex_leave(struct mw_futex *w) {
    struct mw_futex_helper *h = w->helper;

    if (h == NULL) return;
    pthread_mutex_lock(&h->lock);
    out_of(h, w);
    ring(h);                     /* it shall not take a wake that is somebody else's */
    pthread_mutex_unlock(&h->lock);
    mw_wait_wake(&w->woken);
}

int mw_futex_wake(mw_memory *m, size_t at, int n) {
    long woken = futex(m->at + at, FUTEX_WAKE, (uint32_t)n, NULL);
    return woken < 0 ? -errno : (int)woken;
}

void mw_futexes_forget(mw_futexes *all, const void *at, size_t len) {
    uintptr_t begin = (uintptr_t)at;

    for (struct mw_futex_helper *h = all->helpers; h != NULL; h = h->next) {
        struct mw_list *lists[] = { &h->waiting, &h->over };
        pthread_mutex_lock(&h->lock);
        for (int i = 0; i < 2; i++) {
            for (struct mw_list *it = lists[i]->next, *next; it != lists[i]; it = next) {
                struct mw_futex *w = MW_LIST_ENTRY(it, struct mw_futex, link);
                next = it->next;
                if ((uintptr_t)w->at < begin || (uintptr_t)w->at - begin >= len) continue;
                out_of(h, w);
                mw_wait_wake(&w->woken);
            }
        }
        ring(h);
        pthread_mutex_unlock(&h->lock);
    }
}

void mw_futexes_end(mw_futexes *all) {
    struct mw_futex_helper *h, *next;

    if (all == NULL) return;
    mw_futexes_forget(all, NULL, SIZE_MAX);
    for (h = all->helpers; h != NULL; h = next) {
        next = h->next;
        pthread_mutex_lock(&h->lock);
        h->stop = 1;
        ring(h);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->thread, NULL);
        pthread_mutex_destroy(&h->lock);
        free(h);
    }
    all->bell->all = NULL;
    uv_close((uv_handle_t *)&all->bell->async, bell_gone);
    free(all);
}
