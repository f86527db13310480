/* The spin: when a run of the loop looks on before it sleeps, and when it does not. The other side is played by a source, so that
 * what is counted does not depend on how the machine schedules threads.
 * Knows: core. Never: a time that is asserted. */
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "core/host.h"
#include "core/poll.h"
#include "core/source.h"
#include "core/spin.h"
#include "core/task.h"
#include "support/check.h"

enum { OFF = -1, AUTO = 0 };

/* Answers each time it is waited for: after some looks, or, when the loop sleeps instead, at once; or, gone quiet, after a while. */
struct peer {
    struct mw_source source;
    struct mw_wait wait;
    mw_host *host;
    uv_poll_t bell;
    uv_timer_t late, beside;
    int fd;
    unsigned after;                 /* looks; 0: it does not answer a loop that looks */
    unsigned looks;                 /* in this wait */
    int quiet;                      /* it answers after 20 ms */
    uint64_t busy_ns;               /* for how long a look takes the core away, as another thread would */
    int answered, rings;            /* rings: the loop counts as asleep, and it answers at once */
    unsigned rounds;
    int (*more)(struct peer *);     /* 0: enough */
};

static void answer(struct peer *p) {
    p->answered = 1;
    mw_wait_wake(&p->wait);
}
static int look(struct mw_source *s) {
    struct peer *p = MW_LIST_ENTRY(s, struct peer, source);

    if (p->busy_ns != 0)
        for (uint64_t until = uv_hrtime() + p->busy_ns; uv_hrtime() < until;) {}
    if (p->answered || p->quiet || p->after == 0 || ++p->looks < p->after) return 0;
    answer(p);
    return 1;
}
static void on_late(uv_timer_t *t) {
    answer(t->data);
}
static void ring(struct peer *p) {
    uint64_t one = 1;
    if (write(p->fd, &one, sizeof one) < 0) abort();
}
static void sleeps(struct mw_source *s, int asleep) {
    struct peer *p = MW_LIST_ENTRY(s, struct peer, source);

    if (!asleep || p->answered) return;
    if (p->quiet) uv_timer_start(&p->late, on_late, 20, 0);
    else ring(p);
}
static void on_bell(uv_poll_t *it, int status, int events) {
    struct peer *p = it->data;
    uint64_t n;

    (void)status;
    (void)events;
    if (read(p->fd, &n, sizeof n) == sizeof n) answer(p);
}
static void on_beside(uv_timer_t *t) {
    (void)t;
}

static int ask(lua_State *L, int status, lua_KContext ctx) {
    struct peer *p = (struct peer *)ctx;

    (void)status;
    if (p->answered) p->rounds++;
    p->answered = 0;
    p->looks = 0;
    if (!p->more(p)) return 0;
    if (p->rings) ring(p);
    return mw_wait_yield(L, &p->wait, MW_NEVER, ctx, ask);
}
static int asker(lua_State *L) {
    return ask(L, 0, (lua_KContext)lua_touserdata(L, 1));
}

static void start(struct peer *p, uv_loop_t *loop, int how, unsigned after, int (*more)(struct peer *)) {
    struct mw_err err;

    memset(p, 0, sizeof *p);
    REQUIRE(mw_host_create(loop, NULL, NULL, NULL, &p->host, &err) == 0);
    mw_host_set_spin(p->host, how);
    mw_wait_init(&p->wait);
    p->after = after;
    p->more = more;
    p->source.look = look;
    p->source.sleeps = sleeps;
    p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    REQUIRE(p->fd >= 0 && uv_poll_init(mw_host_loop(p->host), &p->bell, p->fd) == 0);
    uv_timer_init(mw_host_loop(p->host), &p->late);
    uv_timer_init(mw_host_loop(p->host), &p->beside);
    p->bell.data = p->late.data = p;
    REQUIRE(mw_poll_start(&p->bell, UV_READABLE, on_bell) == 0);
    mw_host_watch(p->host, &p->source);
    lua_pushcfunction(mw_host_state(p->host), asker);
    lua_pushlightuserdata(mw_host_state(p->host), p);
    REQUIRE(mw_task_start(mw_host_root(p->host), mw_host_state(p->host), 1, "asker", 0, NULL, &err) == 0);
}
static struct mw_spin_counts finish(struct peer *p) {
    struct mw_spin_counts counts = *mw_host_spin_counts(p->host);

    mw_host_unwatch(&p->source);
    uv_close((uv_handle_t *)&p->bell, NULL);
    uv_close((uv_handle_t *)&p->late, NULL);
    uv_close((uv_handle_t *)&p->beside, NULL);
    mw_host_destroy(p->host, 1000);
    close(p->fd);
    return counts;
}
static struct mw_spin_counts run(int how, unsigned after, int (*more)(struct peer *)) {
    struct peer p;

    start(&p, NULL, how, after, more);
    CHECK_INT(mw_host_loop_run(p.host), 0);
    return finish(&p);
}

static int cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
#define TWO_CORES()                                                                                \
    if (cores() < 2) {                                                                             \
        printf("# one core: not tried\n");                                                         \
        return;                                                                                    \
    }

static int until_1000(struct peer *p) {
    return p->rounds < 1000;
}
static int until_100_hits(struct peer *p) {
    return mw_host_spin_counts(p->host)->hits < 100;
}

TEST(a_loop_whose_other_side_answers_quickly_looks_on_and_does_not_sleep) {
    struct mw_spin_counts n;

    TWO_CORES()
    n = run(AUTO, 3, until_100_hits);
    CHECK(n.hits >= 100);
    CHECK(n.spins >= n.hits);
    CHECK(n.waits >= n.slept + n.hits);
    CHECK(n.slept >= SPIN_ROW); /* it began when several waits had been short */
}

TEST(a_fixed_spin_needs_no_row_of_short_waits) {
    struct mw_spin_counts n;

    TWO_CORES()
    n = run(1000, 3, until_100_hits);
    CHECK(n.hits >= 100);
}

TEST(off_means_off) {
    struct mw_spin_counts n = run(OFF, 3, until_1000);

    CHECK_INT(n.waits, 1000);
    CHECK_INT(n.slept, 1000);
    CHECK_INT(n.spins, 0);
}

TEST(on_one_core_there_is_no_spin) {
    cpu_set_t was, one;
    struct mw_spin_counts n, fixed;

    REQUIRE(sched_getaffinity(0, sizeof was, &was) == 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &was)) CPU_SET(i, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    n = run(AUTO, 3, until_1000);
    fixed = run(1000, 3, until_1000);
    REQUIRE(sched_setaffinity(0, sizeof was, &was) == 0);
    CHECK_INT(n.spins, 0);
    CHECK_INT(n.slept, 1000);
    CHECK_INT(fixed.spins, 0);
    CHECK_INT(fixed.slept, 1000);
}

/* ---- An idle machine is not burnt ----------------------------------------------------------------------------------------- */

static int ten_late(struct peer *p) {
    p->quiet = 1;
    return p->rounds < 10;
}
TEST(a_loop_that_waits_for_long_does_not_spin) {
    struct mw_spin_counts n = run(AUTO, 3, ten_late);

    CHECK_INT(n.spins, 0);
    CHECK_INT(n.vain_ns, 0);
}

static uint64_t spins_before;
static unsigned quiet_from;
static int busy_then_quiet(struct peer *p) {
    if (p->quiet) return p->rounds < quiet_from + 10;
    if (mw_host_spin_counts(p->host)->hits < 50) return 1;
    p->quiet = 1;
    quiet_from = p->rounds;
    spins_before = mw_host_spin_counts(p->host)->spins;
    return 1;
}
TEST(when_the_other_side_goes_quiet_there_is_one_more_spin_at_most) {
    struct mw_spin_counts n;

    TWO_CORES()
    n = run(AUTO, 3, busy_then_quiet);
    CHECK(n.hits >= 50);
    CHECK(n.spins <= spins_before + 1);
}

TEST(spins_in_vain_come_to_an_end_though_the_waits_are_short) {
    struct mw_spin_counts n = run(AUTO, 0, until_1000);

    CHECK_INT(n.hits, 0);
    CHECK(n.spins < 500); /* what the account holds, and the share of the time that has passed */
    CHECK(n.slept == n.waits);
}

static int beside_a_timer(struct peer *p) {
    uv_timer_start(&p->beside, on_beside, 1, 1);
    return p->rounds < 1000;
}
TEST(there_is_no_spin_when_a_timer_is_due) {
    struct mw_spin_counts n = run(AUTO, 3, beside_a_timer);

    CHECK_INT(n.spins, 0);
}

/* ---- A loaded machine ------------------------------------------------------------------------------------------------------ */

static int long_looks(struct peer *p) {
    p->busy_ns = 2 * SPIN_LEAP_NS;
    return p->rounds < 100;
}
TEST(a_leap_of_the_clock_shuts_the_spin_off) {
    struct mw_spin_counts n;

    TWO_CORES()
    n = run(SPIN_BOUND_NS / 1000, 0, long_looks);
    CHECK(n.crowded > 0);
    CHECK(n.crowded >= n.spins); /* each is the last for some time */
    CHECK(n.spins < 50);
    CHECK_INT(n.hits, 0);
}

/* ---- Loops that are not run by us ------------------------------------------------------------------------------------------- */

TEST(there_is_no_spin_between_steps_nor_on_a_borrowed_loop) {
    struct peer p;
    uv_loop_t loop;
    struct mw_spin_counts n;

    start(&p, NULL, AUTO, 3, until_1000);
    while (mw_host_loop_turn(p.host, -1)) {}
    n = finish(&p);
    CHECK_INT(n.waits, 0);
    CHECK_INT(n.spins, 0);
    REQUIRE(uv_loop_init(&loop) == 0);
    start(&p, &loop, 1000, 3, until_1000);
    p.rings = 1;
    while (p.rounds < 1000) uv_run(&loop, UV_RUN_ONCE);
    n = finish(&p);
    CHECK_INT(n.waits, 0);
    CHECK_INT(n.spins, 0);
    CHECK_INT(uv_loop_close(&loop), 0);
}
