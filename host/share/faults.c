/* Faults: a list of mappings that a signal handler can walk while other threads change it.
 * Knows: POSIX threads, mmap. Never: frees an entry before the end.
 *
 * The thread that faults is in the middle of an access to its own mapping, whose entry therefore stands still: only the entries of
 * others change under the walk, and one that does is passed over. They are cleared before their memory is unmapped. A place and a
 * length belong together where no change was counted between them (a place alone may have come back meanwhile). */
#include "share/faults.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ROOM 8u

struct room {
    struct mw_fault it[ROOM];
    struct room *_Atomic next;
};
struct mw_faults {
    atomic_uint refs;
    pthread_mutex_t lock;           /* of those who add and remove */
    struct room first;
};

mw_faults *mw_faults_new(void) {
    mw_faults *f = calloc(1, sizeof *f);

    if (f == NULL) return NULL;
    if (pthread_mutex_init(&f->lock, NULL) != 0) {
        free(f);
        return NULL;
    }
    atomic_store(&f->refs, 1);
    return f;
}

mw_faults *mw_faults_hold(mw_faults *f) {
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void mw_faults_drop(mw_faults *f) {
    struct room *next, *at;

    if (f == NULL || atomic_fetch_sub(&f->refs, 1) > 1) return;
    for (at = atomic_load(&f->first.next); at != NULL; at = next) {
        next = atomic_load(&at->next);
        free(at);
    }
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static struct mw_fault *free_entry(mw_faults *f) {
    struct room *at = &f->first, *next;

    for (;; at = next) {
        for (unsigned i = 0; i < ROOM; i++)
            if (atomic_load(&at->it[i].at) == 0) return &at->it[i];
        next = atomic_load(&at->next);
        if (next == NULL) break;
    }
    next = calloc(1, sizeof *next);
    if (next == NULL) return NULL;
    atomic_store(&at->next, next);
    return &next->it[0];
}

/* Under the lock. */
static void change(struct mw_fault *it, uintptr_t at, size_t len) {
    atomic_fetch_add(&it->changes, 1);
    atomic_store(&it->len, len);
    atomic_store(&it->at, at);
    atomic_fetch_add(&it->changes, 1);
}

/* What stands there now; 0: it is changing. */
static int look(const struct mw_fault *it, uintptr_t *begin, size_t *len) {
    uint64_t before = atomic_load(&it->changes);

    *begin = atomic_load(&it->at);
    *len = atomic_load(&it->len);
    return before % 2 == 0 && atomic_load(&it->changes) == before;
}

struct mw_fault *mw_faults_add(mw_faults *f, void *at, size_t len) {
    struct mw_fault *it;

    pthread_mutex_lock(&f->lock);
    it = free_entry(f);
    if (it != NULL) {
        atomic_store(&it->lost, 0);
        change(it, (uintptr_t)at, len);
    }
    pthread_mutex_unlock(&f->lock);
    return it;
}

void mw_faults_remove(mw_faults *f, struct mw_fault *it) {
    pthread_mutex_lock(&f->lock);
    change(it, 0, 0);
    pthread_mutex_unlock(&f->lock);
}

int mw_faults_mend(mw_faults *f, const void *address) {
    uintptr_t wanted = (uintptr_t)address;

    for (struct room *at = &f->first; at != NULL; at = atomic_load(&at->next)) {
        for (unsigned i = 0; i < ROOM; i++) {
            uintptr_t begin;
            size_t len;
            void *there;
            if (!look(&at->it[i], &begin, &len) || begin == 0 || wanted < begin || wanted - begin >= len) continue;
            there = mmap((void *)begin, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (there == MAP_FAILED) return 0;
            atomic_store(&at->it[i].lost, 1);
            return 1;
        }
    }
    return 0;
}
