/* The bounded set of all pools, with members that are nothing but records. Knows: pool. Never: a process, a clock. */
#include "pool/pool.h"

#include <fcntl.h>

#include "support/check.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)
enum { TASKS = 400, MEMBERS = 16 };

/* A pool whose driver writes down what it is told. */
struct rig {
    struct mw_pool pool;
    struct mw_pool_task task[TASKS];
    int code[TASKS], phase[TASKS], ends[TASKS];
    struct mw_pool_member member[MEMBERS];
    struct mw_pool_mark *mark;
    int ended[MEMBERS], polite[MEMBERS], refuse;
    unsigned wants, changes;
};

static struct rig *rig_of(struct mw_pool *p) {
    return MW_LIST_ENTRY(p, struct rig, pool);
}
static int on_give(struct mw_pool *p, struct mw_pool_member *m, struct mw_pool_task *t) {
    (void)m;
    (void)t;
    return rig_of(p)->refuse ? -EPIPE : 0;
}
static void on_ended(struct mw_pool *p, struct mw_pool_task *t, int code, enum mw_pool_phase phase,
                     struct mw_pool_member *m) {
    struct rig *r = rig_of(p);
    long i = t - r->task;

    (void)m;
    r->code[i] = code;
    r->phase[i] = (int)phase;
    r->ends[i]++;
}
static void on_end(struct mw_pool *p, struct mw_pool_member *m, int politely) {
    rig_of(p)->ended[m - rig_of(p)->member]++;
    rig_of(p)->polite[m - rig_of(p)->member] = politely;
}
static void on_want(struct mw_pool *p) {
    rig_of(p)->wants += p->wanted;
    p->wanted = 0;
}
static void on_changed(struct mw_pool *p) {
    rig_of(p)->changes++;
}
static const struct mw_pool_ops ops = { on_give, on_ended, on_end, NULL, on_want, on_changed };

static const struct mw_pool_limits standard = {
    .size = 2,
    .max_queue = 1000,
    .max_queue_bytes = 1 << 20,
    .queue_ns = 10 * S,
    .restart_max = 5,
    .restart_within_ns = 10 * S,
    .backoff_ns = 100 * MS,
    .backoff_max_ns = 5 * S,
    .attempts = 1,
};

static struct rig *rig_new(const struct mw_pool_limits *limits) {
    struct rig *r = calloc(1, sizeof *r);

    if (r == NULL || mw_pool_init(&r->pool, limits, &ops) < 0) abort();
    return r;
}
static void rig_free(struct rig *r) {
    free(r->mark);
    mw_pool_free(&r->pool);
    free(r);
}
static int add(struct rig *r, int i, int priority, uint64_t now) {
    r->task[i].until = MW_POOL_NEVER;
    r->task[i].run_ns = 60 * S;
    r->task[i].bytes = 100;
    r->task[i].priority = priority;
    return mw_pool_add(&r->pool, &r->task[i], MW_POOL_NEVER, now);
}
static int answer(struct rig *r, int m, int i, uint64_t run, uint64_t now) {
    struct mw_pool_task *t = NULL;
    int rc = mw_pool_answered(&r->pool, &r->member[m], r->task[i].seq, MW_POOL_DONE, run, now, &t);

    if (rc == 1) r->ends[t - r->task]++;
    return rc;
}
/* A member with a mark. */
static void join_marked(struct rig *r, int m, uint64_t now) {
    if (r->mark == NULL) r->mark = calloc(MEMBERS, sizeof *r->mark);
    r->member[m].mark = &r->mark[m];
    mw_pool_joined(&r->pool, &r->member[m], 1, now);
}

TEST(members_are_asked_for_when_tasks_wait_and_no_more_than_size) {
    struct rig *r = rig_new(&standard);

    CHECK_INT(r->wants, 0);
    CHECK_INT(add(r, 0, 0, 1), 0);
    CHECK_INT(r->wants, 1);
    CHECK_INT(add(r, 1, 0, 1), 0);
    CHECK_INT(add(r, 2, 0, 1), 0);
    CHECK_INT(r->wants, 2);
    mw_pool_joined(&r->pool, &r->member[0], 0, 2);
    CHECK_INT(r->task[0].state, MW_POOL_TASK_QUEUED);
    mw_pool_ready(&r->pool, &r->member[0], 3);
    CHECK_INT(r->task[0].state, MW_POOL_TASK_GIVEN);
    CHECK_INT(r->task[1].state, MW_POOL_TASK_QUEUED);
    CHECK_INT(answer(r, 0, 0, MS, 4 * MS), 1);
    CHECK(r->task[1].member == &r->member[0]);
    CHECK_INT(answer(r, 0, 0, MS, 4 * MS), 0);
    mw_pool_close(&r->pool, 5 * MS);
    CHECK_INT(r->code[1], MW_ECLOSED);
    CHECK_INT(r->code[2], MW_ECLOSED);
    rig_free(r);
}

TEST(the_higher_priority_goes_first_and_equals_in_their_order) {
    struct rig *r = rig_new(&standard);
    static const int wish[] = { 0, 5, 0, 5, -1, 9 }, order[] = { 5, 1, 3, 0, 2, 4 };

    r->pool.limits.size = 1;
    for (int i = 0; i < 6; i++) CHECK_INT(add(r, i, wish[i], 1), 0);
    mw_pool_joined(&r->pool, &r->member[0], 1, 2);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(r->task[order[i]].state, MW_POOL_TASK_GIVEN);
        CHECK_INT(answer(r, 0, order[i], 500 * MS, S), 1);
    }
    CHECK_INT(r->pool.stats.completed, 6);
    rig_free(r);
}

TEST(a_full_queue_says_so_by_count_and_by_bytes) {
    struct mw_pool_limits few = standard;
    struct rig *r;

    few.max_queue = 2;
    r = rig_new(&few);
    CHECK_INT(add(r, 0, 0, 1), 0);
    CHECK_INT(add(r, 1, 0, 1), 0);
    CHECK_INT(add(r, 2, 0, 1), MW_EAGAIN);
    CHECK(!mw_pool_has_room(&r->pool, 1));
    CHECK_INT(mw_pool_abandon(&r->pool, &r->task[0], 0, 2), 1);
    CHECK_INT(add(r, 2, 0, 3), 0);
    r->pool.limits.max_queue = 100;
    r->pool.limits.max_queue_bytes = 250;
    CHECK_INT(add(r, 3, 0, 3), MW_EAGAIN);
    r->pool.limits.max_queue_bytes = 99;
    CHECK_INT(add(r, 3, 0, 3), MW_ELIMIT);
    rig_free(r);
}

TEST(a_task_waits_no_longer_than_it_may) {
    struct rig *r = rig_new(&standard);

    CHECK_INT(add(r, 0, 0, 1), 0);
    r->task[1].until = 2 * S;
    r->task[1].run_ns = S;
    CHECK_INT(mw_pool_add(&r->pool, &r->task[1], MW_POOL_NEVER, 1), 0);
    CHECK(r->pool.due <= 2 * S);
    mw_pool_tick(&r->pool, 2 * S);
    CHECK_INT(r->code[1], MW_ETIMEDOUT);
    CHECK_INT(r->phase[1], MW_POOL_IN_QUEUE);
    CHECK_INT(r->ends[0], 0);
    CHECK_INT(r->pool.due, 10 * S + 1);
    mw_pool_tick(&r->pool, 10 * S + 1);
    CHECK_INT(r->code[0], MW_ETIMEDOUT);
    rig_free(r);
}

TEST(a_run_that_takes_too_long_ends_its_member_and_is_told_once) {
    struct rig *r = rig_new(&standard);

    mw_pool_joined(&r->pool, &r->member[0], 1, 1);
    CHECK_INT(add(r, 0, 0, 1), 0);
    mw_pool_tick(&r->pool, 59 * S);
    CHECK_INT(r->ends[0], 0);
    mw_pool_tick(&r->pool, 61 * S);
    CHECK_INT(r->code[0], MW_ETIMEDOUT);
    CHECK_INT(r->phase[0], MW_POOL_IN_RUN);
    CHECK_INT(r->ended[0], 1);
    CHECK_INT(answer(r, 0, 0, S, 61 * S), 0);
    mw_pool_lost(&r->pool, &r->member[0], MW_POOL_DIED, 62 * S);
    CHECK_INT(r->ends[0], 1);
    CHECK_INT(r->pool.stats.crashed, 0);
    rig_free(r);
}

TEST(short_tasks_are_given_ahead_and_long_ones_are_not) {
    struct rig *r = rig_new(&standard);
    int i;

    r->pool.limits.size = 1;
    join_marked(r, 0, 1);
    for (i = 0; i < 2 * MW_POOL_AHEAD; i++) CHECK_INT(add(r, i, 0, 1), 0);
    CHECK_INT(r->member[0].load, 1);
    CHECK_INT(answer(r, 0, 0, 2000, 10000), 1);
    CHECK_INT(r->member[0].load, MW_POOL_AHEAD);
    for (i = 1; i <= 10; i++) CHECK_INT(answer(r, 0, i, 50 * MS, (uint64_t)i * S), 1);
    CHECK_INT(r->pool.window, 1);
    CHECK_INT(r->member[0].load, MW_POOL_AHEAD - 10);
    mw_pool_close(&r->pool, 20 * S);
    rig_free(r);
}

TEST(what_waits_behind_a_long_task_goes_to_others) {
    struct rig *r = rig_new(&standard);
    int i, moved = 0;

    join_marked(r, 0, 1);
    for (i = 0; i < 2; i++) CHECK_INT(add(r, i, 0, 1), 0);
    CHECK_INT(answer(r, 0, 0, 1000, 2000), 1);
    for (i = 2; i < 10; i++) CHECK_INT(add(r, i, 0, 2000), 0);
    CHECK_INT(r->member[0].load, 9);
    CHECK_INT(mw_pool_mark_begin(&r->mark[0], 0, r->task[1].seq, 3000), 1);
    join_marked(r, 1, 4000);
    mw_pool_tick(&r->pool, 30 * MS);
    CHECK_INT(r->member[0].load, 1);
    CHECK_INT(r->member[0].skips, 8);
    for (i = 2; i < 10; i++) moved += r->task[i].state == MW_POOL_TASK_QUEUED || r->task[i].member == &r->member[1];
    CHECK_INT(moved, 8);
    CHECK_INT(mw_pool_mark_begin(&r->mark[0], 0, r->task[1].seq + 1, 4000), 0); /* it may not begin them any more */
    CHECK_INT(answer(r, 0, 1, S, 2 * S), 1);
    CHECK_INT(r->member[0].load, 0);
    for (i = 0; i < 8; i++) CHECK_INT(mw_pool_skipped(&r->pool, &r->member[0], 2 * S), 0);
    CHECK_INT(mw_pool_skipped(&r->pool, &r->member[0], 2 * S), MW_EFRAME);
    CHECK_INT(r->member[0].load, 1);
    mw_pool_close(&r->pool, 3 * S);
    for (i = 0; i < 10; i++) CHECK_INT(r->ends[i], 1);
    rig_free(r);
}

TEST(after_a_death_what_had_begun_has_crashed_and_the_rest_goes_back) {
    struct rig *r = rig_new(&standard);
    int i;

    r->pool.limits.size = 1;
    join_marked(r, 0, 1);
    for (i = 0; i < 2; i++) CHECK_INT(add(r, i, 0, 1), 0);
    CHECK_INT(answer(r, 0, 0, 1000, 2000), 1);
    for (i = 2; i < 6; i++) CHECK_INT(add(r, i, 0, 2000), 0);
    mw_pool_mark_begin(&r->mark[0], 0, r->task[2].seq, 3000);
    mw_pool_lost(&r->pool, &r->member[0], MW_POOL_DIED, 5000);
    CHECK_INT(r->code[1], MW_ECRASHED);
    CHECK_INT(r->code[2], MW_ECRASHED);
    CHECK_INT(r->task[2].attempts, 1);
    for (i = 3; i < 6; i++) {
        CHECK_INT(r->task[i].state, MW_POOL_TASK_QUEUED);
        CHECK_INT(r->task[i].attempts, 0);
    }
    CHECK_INT(r->pool.asked, 1); /* it had worked: replaced at once */
    CHECK_INT(r->pool.stats.restarted, 1);
    CHECK_INT(r->pool.stats.crashed, 1);
    mw_pool_refused(&r->pool, 6000);
    rig_free(r);
}

TEST(what_a_dying_member_had_begun_waits_for_its_end) {
    struct rig *r = rig_new(&standard);
    int i;

    r->pool.limits.size = 2;
    join_marked(r, 0, 1);
    CHECK_INT(add(r, 0, 0, 1), 0);
    CHECK_INT(answer(r, 0, 0, 1000, 2000), 1);
    for (i = 1; i < 4; i++) CHECK_INT(add(r, i, 0, 2000), 0);
    mw_pool_mark_begin(&r->mark[0], 0, r->task[1].seq, 3000);
    mw_pool_dying(&r->pool, &r->member[0], 4000);
    join_marked(r, 1, 5000);
    CHECK(r->task[2].member == &r->member[1]);
    CHECK(r->task[3].member == &r->member[1] || r->task[3].state == MW_POOL_TASK_QUEUED);
    mw_pool_tick(&r->pool, 59 * S);
    mw_pool_tick(&r->pool, 61 * S);
    CHECK_INT(r->ends[1], 0);
    mw_pool_lost(&r->pool, &r->member[0], MW_POOL_DIED, 62 * S);
    CHECK_INT(r->code[1], MW_ECRASHED);
    CHECK_INT(r->pool.stats.crashed, 1);
    mw_pool_close(&r->pool, 63 * S);
    rig_free(r);
}

TEST(a_crashed_task_is_tried_again_as_often_as_asked) {
    struct mw_pool_limits twice = standard;
    struct rig *r;

    twice.attempts = 2;
    twice.retry = 1u << MW_POOL_CRASH;
    twice.size = 1;
    r = rig_new(&twice);
    join_marked(r, 0, 1);
    CHECK_INT(add(r, 0, 0, 1), 0);
    mw_pool_mark_begin(&r->mark[0], 0, r->task[0].seq, 2);
    mw_pool_lost(&r->pool, &r->member[0], MW_POOL_DIED, 3);
    CHECK_INT(r->ends[0], 0);
    CHECK_INT(r->task[0].state, MW_POOL_TASK_QUEUED);
    join_marked(r, 1, 4);
    CHECK_INT(r->task[0].state, MW_POOL_TASK_GIVEN);
    mw_pool_mark_begin(&r->mark[1], 0, r->task[0].seq, 5);
    mw_pool_lost(&r->pool, &r->member[1], MW_POOL_DIED, 6);
    CHECK_INT(r->code[0], MW_ECRASHED);
    CHECK_INT(r->task[0].attempts, 2);
    CHECK_INT(r->ends[0], 1);
    rig_free(r);
}

TEST(members_that_never_work_are_restarted_more_and_more_slowly_and_then_no_more) {
    struct rig *r = rig_new(&standard);
    uint64_t now = S, waits[6];
    int i;

    r->pool.limits.size = 1;
    CHECK_INT(add(r, 0, 0, now), 0);
    for (i = 0; i < 6 && r->pool.state == MW_POOL_OPEN; i++) {
        mw_pool_joined(&r->pool, &r->member[i], 1, now);
        mw_pool_lost(&r->pool, &r->member[i], MW_POOL_DIED, now);
        if (i == 0) { /* begun when it was given: crashed */
            CHECK_INT(r->code[0], MW_ECRASHED);
        }
        if (r->pool.state != MW_POOL_OPEN) break;
        CHECK_INT(add(r, i + 1, 0, now), 0);
        waits[i] = r->pool.start_at - now;
        now = r->pool.start_at;
        mw_pool_tick(&r->pool, now);
        CHECK_INT(r->pool.asked, 1);
    }
    CHECK_INT(i, 5);
    CHECK_INT(waits[0], 100 * MS);
    CHECK_INT(waits[1], 200 * MS);
    CHECK_INT(waits[4], 1600 * MS);
    CHECK_INT(r->pool.state, MW_POOL_BROKEN);
    CHECK_INT(r->code[5], MW_ECRASHED);
    CHECK_INT(add(r, 10, 0, now), MW_ECRASHED);
    rig_free(r);
}

TEST(starts_that_fail_break_no_pool_that_works) {
    struct rig *r = rig_new(&standard);

    mw_pool_joined(&r->pool, &r->member[0], 1, S);
    for (int i = 0; i < 10; i++) {
        r->pool.asked++;
        mw_pool_refused(&r->pool, S + (uint64_t)i);
    }
    CHECK_INT(r->pool.state, MW_POOL_OPEN);
    CHECK_INT(add(r, 0, 0, 2 * S), 0);
    CHECK_INT(r->task[0].state, MW_POOL_TASK_GIVEN);
    mw_pool_close(&r->pool, 3 * S);
    rig_free(r);
}

TEST(a_member_that_has_done_enough_leaves_politely_and_another_comes) {
    struct mw_pool_limits l = standard;
    struct rig *r;

    l.size = 1;
    l.recycle_tasks = 2;
    l.min_idle = 1;
    r = rig_new(&l);
    mw_pool_joined(&r->pool, &r->member[0], 1, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(add(r, i, 0, 1), 0);
        CHECK_INT(answer(r, 0, i, 1, 2), 1);
    }
    CHECK_INT(r->ended[0], 1);
    CHECK_INT(r->polite[0], 1);
    CHECK_INT(add(r, 2, 0, 3), 0);
    CHECK_INT(r->pool.asked, 1);
    mw_pool_lost(&r->pool, &r->member[0], MW_POOL_LEFT, 4);
    CHECK_INT(r->pool.stats.recycled, 1);
    CHECK_INT(r->pool.stats.crashed, 0);
    mw_pool_close(&r->pool, 5);
    rig_free(r);
}

TEST(a_drained_pool_finishes_what_it_has_and_takes_no_more) {
    struct rig *r = rig_new(&standard);

    mw_pool_joined(&r->pool, &r->member[0], 1, 1);
    mw_pool_joined(&r->pool, &r->member[1], 1, 1);
    CHECK_INT(add(r, 0, 0, 1), 0);
    mw_pool_drain(&r->pool, 2);
    CHECK_INT(add(r, 1, 0, 3), MW_ECLOSED);
    CHECK_INT(r->polite[0] + r->polite[1], 1);
    CHECK_INT(answer(r, r->task[0].member == &r->member[0] ? 0 : 1, 0, 1, 4), 1);
    CHECK_INT(r->polite[0] + r->polite[1], 2);
    CHECK(!mw_pool_is_empty(&r->pool));
    mw_pool_lost(&r->pool, &r->member[0], MW_POOL_LEFT, 5);
    mw_pool_lost(&r->pool, &r->member[1], MW_POOL_LEFT, 5);
    CHECK(mw_pool_is_empty(&r->pool));
    rig_free(r);
}

TEST(an_abandoned_task_that_runs_is_not_tried_again) {
    struct mw_pool_limits l = standard;
    struct rig *r;

    l.attempts = 3;
    l.retry = 1u << MW_POOL_CRASH;
    r = rig_new(&l);
    mw_pool_joined(&r->pool, &r->member[0], 1, 1);
    CHECK_INT(add(r, 0, 0, 1), 0);
    CHECK_INT(mw_pool_abandon(&r->pool, &r->task[0], 0, 2), 0);
    mw_pool_lost(&r->pool, &r->member[0], MW_POOL_DIED, 3);
    CHECK_INT(r->code[0], MW_ECANCELED);
    CHECK_INT(r->ends[0], 1);
    rig_free(r);
}

/* Whatever happens in whatever order, each task ends once. */
TEST(each_task_ends_exactly_once_whatever_happens) {
    for (unsigned seed = 1; seed <= 300; seed++) {
        struct mw_pool_limits l = standard;
        struct rig *r;
        uint64_t now = S;
        unsigned rnd = seed, next = 0, alive = 0;
        char live[MEMBERS] = { 0 };

        l.size = 4;
        l.restart_max = 1000000;
        l.attempts = 1 + seed % 3;
        l.retry = seed % 7;
        r = rig_new(&l);
        for (int step = 0; step < 1200; step++) {
            unsigned dice = (rnd = rnd * 1103515245u + 12345u) >> 16, m = dice / 16 % MEMBERS;
            now += dice % 5 == 0 ? MS * (dice % 97) : dice % 1000;
            switch (dice % 10) {
            case 0:
            case 1:
            case 2:
                if (next < TASKS) next += add(r, (int)next, (int)(dice % 3), now) == 0;
                break;
            case 3:
                if (r->pool.asked > 0 && !live[m]) {
                    memset(&r->member[m], 0, sizeof r->member[m]);
                    if (r->mark != NULL) memset(&r->mark[m], 0, sizeof r->mark[m]);
                    join_marked(r, (int)m, now);
                    live[m] = 1;
                    alive++;
                }
                break;
            case 4:
                if (live[m] && (r->member[m].state == MW_POOL_KILLED || dice % 64 < 8)) {
                    mw_pool_lost(&r->pool, &r->member[m], MW_POOL_DIED, now);
                    live[m] = 0;
                }
                break;
            case 5: mw_pool_tick(&r->pool, now); break;
            case 6:
                if (next > 0) {
                    struct mw_pool_task *t = &r->task[dice % next];
                    if (!t->abandoned && r->ends[dice % next] == 0 &&
                        mw_pool_abandon(&r->pool, t, dice % 128 < 16, now))
                        r->ends[dice % next]++;
                }
                break;
            default:
                if (live[m] && r->member[m].load > 0) {
                    struct mw_pool_task *t = MW_LIST_ENTRY(r->member[m].tasks.next, struct mw_pool_task, link), *out;
                    if ((int32_t)(t->seq - mw_pool_mark_begun(&r->mark[m])) > 0)
                        mw_pool_mark_begin(&r->mark[m], r->member[m].epoch, t->seq, now);
                    if (dice % 3 != 0 &&
                        mw_pool_answered(&r->pool, &r->member[m], t->seq, dice % 2 ? MW_POOL_DONE : MW_POOL_FAILED,
                                         dice % 4 * MS, now, &out) == 1)
                        r->ends[out - r->task]++;
                }
                if (live[m] && r->member[m].skips > 0) mw_pool_skipped(&r->pool, &r->member[m], now);
            }
        }
        mw_pool_close(&r->pool, now);
        for (unsigned i = 0; i < next; i++) {
            if (r->ends[i] != 1) check_fail(__FILE__, __LINE__, "seed %u: task %u ended %d times", seed, i, r->ends[i]);
        }
        CHECK_INT(r->pool.given, 0);
        CHECK_INT(r->pool.queue.count, 0);
        rig_free(r);
    }
}

TEST(percentiles_are_right_to_an_eighth) {
    static struct mw_tally t;

    CHECK_INT(mw_tally_at(&t, 500), 0);
    for (uint64_t i = 1; i <= 1000; i++) mw_tally_add(&t, i * 1000);
    CHECK(mw_tally_at(&t, 500) > 440000 && mw_tally_at(&t, 500) < 560000);
    CHECK(mw_tally_at(&t, 990) > 870000 && mw_tally_at(&t, 990) < 1100000);
    mw_tally_add(&t, UINT64_MAX);
    for (unsigned i = 0; i < 16; i++) CHECK(mw_tally_bin(i) == i);
}

TEST(a_page_decides_who_has_a_task) {
    struct mw_pool_page *page, *other;
    struct mw_err err;
    uint32_t epoch = 0;
    char *copy = malloc(MW_POOL_PAGE_HELD);
    int fd;

    REQUIRE(copy != NULL && mw_pool_page_make(&fd, &page, &err) == 0);
    REQUIRE(mw_pool_page_map(fd, &other, &err) == 0);
    CHECK_INT(mw_pool_mark_begin(&other->mark, 0, 1, 5), 1);
    CHECK_INT(mw_pool_mark_begun(&page->mark), 1);
    CHECK_INT(mw_pool_mark_revoke(&page->mark, &epoch), 1);
    CHECK_INT(mw_pool_mark_begin(&other->mark, 0, 2, 6), 0);
    CHECK_INT(mw_pool_mark_begin(&other->mark, epoch, 3, 7), 1);
    memcpy(other->answers, "abc", 3);
    CHECK_INT(mw_pool_page_peek(page, copy), 0);
    atomic_store(&other->held, 3u);
    CHECK_INT(mw_pool_page_peek(page, copy), 3);
    CHECK(memcmp(copy, "abc", 3) == 0);
    atomic_store(&other->held, UINT32_MAX);
    CHECK_INT(mw_pool_page_peek(page, copy), 0);
    mw_pool_page_free(page);
    mw_pool_page_free(other);
    CHECK_INT(mw_pool_page_map(open("/dev/null", O_RDWR), &other, &err), MW_EINVAL);
    free(copy);
}
