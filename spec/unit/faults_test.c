/* Mappings that can be lost: the one that was touched is mended, whatever other threads add and remove meanwhile.
 * Knows: share/faults, mmap, threads. Never: a signal. */
#include "share/faults.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "support/check.h"

#define PAGE 4096u
#define FIELD ((size_t)1 << 20)
#ifdef __SANITIZE_THREAD__
#define ROUNDS 300000
#else
#define ROUNDS 3000000
#endif

struct others {
    mw_faults *faults;
    unsigned char *field;
    atomic_int over;
};

/* A short one before ours and a long one elsewhere, in the same place of the list by turns. */
static void *come_and_go(void *ud) {
    struct others *o = ud;

    while (!atomic_load(&o->over)) {
        mw_faults_remove(o->faults, mw_faults_add(o->faults, o->field, PAGE));
        mw_faults_remove(o->faults, mw_faults_add(o->faults, o->field + 4 * FIELD, FIELD));
    }
    return NULL;
}

TEST(what_is_mended_is_the_mapping_that_was_touched_and_no_other) {
    struct others o = { mw_faults_new(), mmap(NULL, 8 * FIELD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0 };
    struct mw_fault *ours;
    pthread_t thread;
    int mended = 0;

    REQUIRE(o.faults != NULL && o.field != MAP_FAILED);
    REQUIRE(pthread_create(&thread, NULL, come_and_go, &o) == 0);
    for (int i = 0; i < ROUNDS; i++) mended += mw_faults_mend(o.faults, o.field + FIELD / 2); /* lies in neither of theirs */
    CHECK_INT(mended, 0);
    ours = mw_faults_add(o.faults, o.field + FIELD / 2, PAGE);
    REQUIRE(ours != NULL);
    CHECK_INT(mw_faults_mend(o.faults, o.field + FIELD / 2 + 5), 1);
    CHECK_INT(atomic_load(&ours->lost), 1);
    atomic_store(&o.over, 1);
    pthread_join(thread, NULL);
    CHECK_INT(mw_faults_mend(o.faults, o.field), 0);
    mw_faults_drop(o.faults);
    munmap(o.field, 8 * FIELD);
}
