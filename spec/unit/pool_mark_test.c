/* A worker begins tasks while its parent takes them back: on two threads, each task is one side's. Knows: pool/page. Never: a process. */
#include "pool/page.h"

#include <pthread.h>

#include "support/check.h"
#include "support/spin.h"

enum { TASKS = 50000, AHEAD = 8 };

/* What is given, and in which epoch: written by the parent before `given` is. */
struct line {
    struct mw_pool_mark mark;
    _Atomic uint32_t given; /* the last task given */
    _Atomic uint32_t seen;  /* the last one that the worker has looked at */
    uint32_t epoch[TASKS + 1];
    unsigned char begun[TASKS + 1], taken[TASKS + 1];
};

static void *worker(void *ud) {
    struct line *l = ud;

    for (uint32_t seq = 1; seq <= TASKS; seq++) {
        while (atomic_load(&l->given) < seq) spin_once();
        if (mw_pool_mark_begin(&l->mark, l->epoch[seq], seq, seq)) l->begun[seq] = 1;
        atomic_store(&l->seen, seq);
    }
    return NULL;
}

TEST(each_task_is_begun_or_taken_back_and_never_both) {
    struct line *l = calloc(1, sizeof *l);
    uint32_t epoch = 0, seq = 0, rnd = 1;
    unsigned both = 0, none = 0, begun = 0;
    pthread_t thread;

    REQUIRE(l != NULL && pthread_create(&thread, NULL, worker, l) == 0);
    while (seq < TASKS) {
        uint32_t n = (rnd = rnd * 1103515245u + 12345u) >> 16, last;

        for (n = 1 + n % AHEAD; n > 0 && seq < TASKS; n--) {
            l->epoch[++seq] = epoch;
            atomic_store(&l->given, seq);
        }
        while (seq > atomic_load(&l->seen) + AHEAD) spin_once(); /* neither runs away */
        if (rnd & 0x300000) continue;
        last = mw_pool_mark_revoke(&l->mark, &epoch);
        for (uint32_t i = seq; i > last && !l->taken[i]; i--) l->taken[i] = 1;
    }
    pthread_join(thread, NULL);
    for (uint32_t i = 1; i <= TASKS; i++) {
        both += l->begun[i] && l->taken[i];
        none += !l->begun[i] && !l->taken[i];
        begun += l->begun[i];
    }
    CHECK_INT(both, 0);
    CHECK_INT(none, 0);
    CHECK(begun > 0);
    free(l);
}
