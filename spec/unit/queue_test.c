/* A bounded queue of records between two threads.
 * Knows: share/queue, pthread. Never: a host. */
#include "support/check.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/err.h"
#include "share/queue.h"

static int put(struct mw_queue *q, uint64_t id, size_t len) {
    struct mw_bytes body = {0};
    int rc;

    for (size_t i = 0; i < len; i++) {
        char c = (char)(id + i);
        if (mw_bytes_add(&body, &c, 1) < 0) return MW_ENOMEM;
    }
    rc = mw_queue_put(q, (unsigned)(id % 7), id, &body);
    mw_bytes_free(&body);
    return rc;
}

static int right(const struct mw_record *r) {
    if (r->kind != r->id % 7) return 0;
    for (size_t i = 0; i < r->len; i++)
        if (r->at[i] != (char)(r->id + i)) return 0;
    return 1;
}

TEST(records_come_out_as_they_went_in_whatever_their_length) {
    static const size_t lens[] = {0, 1, 15, 16, 17, 100, 1000, 4000, 5000, 16383, 16384, 16385, 100000, 3};
    struct mw_queue q;
    struct mw_record r;
    uint64_t id = 0, next = 0;

    mw_queue_init(&q, 1000, 1u << 30);
    CHECK(!mw_queue_next(&q, &r));
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) REQUIRE(put(&q, id++, lens[i]) == 0);
        for (int i = 0; i < (round % 3 == 2 ? 28 : 7); i++) {
            if (!mw_queue_next(&q, &r)) break;
            CHECK(r.id == next && right(&r) && r.len == lens[next % 14]);
            next++;
            mw_queue_take(&q, &r);
            if (i % 2) mw_queue_settle(&q);
        }
    }
    CHECK(mw_queue_waiting(&q) == id - next);
    for (; mw_queue_next(&q, &r); next++) {
        CHECK(r.id == next && right(&r));
        mw_queue_take(&q, &r);
    }
    CHECK(next == id);
    mw_queue_settle(&q);
    CHECK(mw_queue_length(&q) == 0);
    mw_queue_end(&q, NULL, NULL);
}

static void count_drops(void *ud, const struct mw_record *r) {
    if (right(r)) ++*(int *)ud;
}

TEST(what_is_never_taken_is_told_of_and_freed) {
    struct mw_queue q;
    int drops = 0;

    mw_queue_init(&q, 10, 1u << 30);
    mw_queue_end(&q, count_drops, &drops);
    CHECK(drops == 0);
    mw_queue_init(&q, 10, 1u << 30);
    for (uint64_t i = 0; i < 9; i++) REQUIRE(put(&q, i, i * 5000) == 0);
    mw_queue_end(&q, count_drops, &drops);
    CHECK(drops == 9);
}

TEST(there_is_room_for_so_many_and_so_many_bytes) {
    struct mw_queue q;
    struct mw_record r;

    mw_queue_init(&q, 3, 100);
    CHECK(mw_queue_room(&q, 1000)); /* one may always be put */
    REQUIRE(put(&q, 0, 60) == 0);
    CHECK(mw_queue_room(&q, 40) && !mw_queue_room(&q, 41));
    REQUIRE(put(&q, 1, 0) == 0 && put(&q, 2, 0) == 0);
    CHECK(!mw_queue_room(&q, 0));
    CHECK(!mw_queue_starve(&q, 0));
    REQUIRE(mw_queue_next(&q, &r));
    mw_queue_take(&q, &r);
    CHECK(!mw_queue_room(&q, 0)); /* it is still being read */
    CHECK(mw_queue_settle(&q) == 1);
    CHECK(mw_queue_settle(&q) == 0); /* the putter is told once */
    CHECK(mw_queue_room(&q, 100));
    mw_queue_end(&q, NULL, NULL);
}

TEST(a_putter_that_waits_for_room_sees_what_came_before_it_asked) {
    struct mw_queue q;
    struct mw_record r;

    mw_queue_init(&q, 1, 100);
    REQUIRE(put(&q, 0, 1) == 0);
    REQUIRE(mw_queue_next(&q, &r));
    mw_queue_take(&q, &r);
    CHECK(mw_queue_settle(&q) == 0);
    CHECK(mw_queue_starve(&q, 1) == 1);
    mw_queue_end(&q, NULL, NULL);
}

/* Both sides sleep when they have nothing to do, as those of a worker do: who only yields gets nowhere on a machine that is busy. */
struct pass {
    struct mw_queue q;
    sem_t room, record;
    atomic_int asleep;      /* the taker waits for a record */
    uint64_t count;
};

static void *putter(void *ud) {
    struct pass *it = ud;

    for (uint64_t i = 0; i < it->count; i++) {
        size_t len = i % 1000 == 0 ? 20000 : i % 200;
        while (!mw_queue_room(&it->q, len) && !mw_queue_starve(&it->q, len)) sem_wait(&it->room);
        if (put(&it->q, i, len) < 0) return ud;
        if (atomic_exchange(&it->asleep, 0)) sem_post(&it->record);
    }
    return NULL;
}

static void await_record(struct pass *it, struct mw_record *r) {
    while (!mw_queue_next(&it->q, r)) {
        atomic_store(&it->asleep, 1);
        if (mw_queue_next(&it->q, r)) {
            atomic_store(&it->asleep, 0);
            return;
        }
        sem_wait(&it->record);
    }
}

/* Each hand-over of a queue that is soon full costs both sides a sleep: fewer records go through it. */
static void between_threads(uint64_t count, uint64_t count_max, uint64_t bytes_max) {
    struct pass *it = aligned_alloc(64, sizeof *it);
    struct mw_record r;
    pthread_t other;
    void *failed = NULL;
    uint64_t wrong = 0;

    REQUIRE(it != NULL);
    mw_queue_init(&it->q, count_max, bytes_max);
    atomic_init(&it->asleep, 0);
    it->count = count;
    REQUIRE(sem_init(&it->room, 0, 0) == 0 && sem_init(&it->record, 0, 0) == 0);
    REQUIRE(pthread_create(&other, NULL, putter, it) == 0);
    for (uint64_t next = 0; next < count; next++) {
        await_record(it, &r);
        mw_queue_take(&it->q, &r);
        wrong += r.id != next || !right(&r);
        if (mw_queue_settle(&it->q)) sem_post(&it->room);
    }
    pthread_join(other, &failed);
    CHECK(failed == NULL && wrong == 0);
    mw_queue_end(&it->q, NULL, NULL);
    sem_destroy(&it->room);
    sem_destroy(&it->record);
    free(it);
}

TEST(two_threads_pass_on_every_record_in_order) {
    between_threads(100000, 1024, 1u << 26);
}
TEST(a_queue_of_one_passes_on_every_record) {
    between_threads(10000, 1, 1u << 26);
}
TEST(a_queue_of_few_bytes_passes_on_every_record) {
    between_threads(10000, 1u << 20, 300);
}
