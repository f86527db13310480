/* Deadlines, on a loop that sleeps seldom and on one that sleeps often.
 * Knows: core. Never: a time that is asserted, save that nothing fires too soon. */
#include <dirent.h>
#include <unistd.h>
#include <uv.h>

#include "core/host.h"
#include "core/spin.h"
#include "core/task.h"
#include "core/timer.h"
#include "support/check.h"

#define MS 1000000u
#define OFF (-1)

static mw_host *make(uv_loop_t *loop) {
    mw_host *h = NULL;
    struct mw_err err;

    REQUIRE(mw_host_create(loop, NULL, NULL, NULL, &h, &err) == 0);
    return h;
}

static int timerfds(void) {
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    char to[64];
    int n = 0;

    REQUIRE(d != NULL);
    while ((e = readdir(d)) != NULL) {
        ssize_t len = readlinkat(dirfd(d), e->d_name, to, sizeof to - 1);
        if (len > 0 && strncmp(to, "anon_inode:[timerfd]", 20) == 0) n++;
    }
    closedir(d);
    return n;
}

struct note {
    struct mw_timer timer;
    mw_host *host;
    struct note *after;             /* fired before this one; NULL: none */
    unsigned fired, early, wrong;
};
static void fire(struct mw_timer *t) {
    struct note *n = MW_LIST_ENTRY(t, struct note, timer);
    n->fired++;
    if (mw_host_now(n->host) < t->at) n->early++;
    if (n->after != NULL && n->after->fired == 0) n->wrong++;
}
static void start(struct note *n, mw_host *h, uint64_t in_ns, struct note *after) {
    n->host = h;
    n->after = after;
    REQUIRE(mw_timer_start(h, &n->timer, mw_host_now(h) + in_ns, fire) == 0);
}
/* ---- A task that sleeps, `left` times ---------------------------------------------------------------------------------- */

struct sleeper {
    mw_host *host;
    unsigned left, early;
    uint64_t until;
};
static int awake(lua_State *L, int code, lua_KContext ctx) {
    struct sleeper *s = (struct sleeper *)ctx;

    if (code == MW_ETIMEDOUT && mw_host_now(s->host) < s->until) s->early++;
    if (s->left-- == 0) return 0;
    s->until = mw_host_now(s->host) + 100000;
    return mw_wait_yield(L, NULL, s->until, ctx, awake);
}
static int sleeper(lua_State *L) {
    return awake(L, 0, (lua_KContext)lua_touserdata(L, 1));
}
static void sleep_often(mw_host *h, unsigned times) {
    struct sleeper s = { h, times, 0, 0 };
    struct note far;
    struct mw_err err;

    memset(&far, 0, sizeof far);
    start(&far, h, 60000ull * MS, NULL);

    lua_pushcfunction(mw_host_state(h), sleeper);
    lua_pushlightuserdata(mw_host_state(h), &s);
    REQUIRE(mw_task_start(mw_host_root(h), mw_host_state(h), 1, NULL, 0, NULL, &err) == 0);
    CHECK_INT(mw_host_loop_run(h), 0);
    CHECK_INT(s.left, (unsigned)-1);
    CHECK_INT(s.early, 0);
    mw_timer_stop(h, &far.timer);
}

static void on_beside(uv_timer_t *t) {
    (void)t;
}
static void until_fired(mw_host *h, const struct note *n) {
    uv_timer_t beside;              /* one that fires before a turn polls is not waited for in vain */

    uv_timer_init(mw_host_loop(h), &beside);
    uv_timer_start(&beside, on_beside, 100, 100);
    while (n->fired == 0) uv_run(mw_host_loop(h), UV_RUN_ONCE);
    uv_close((uv_handle_t *)&beside, NULL);
    uv_run(mw_host_loop(h), UV_RUN_NOWAIT);
}

static void in_order(mw_host *h) {
    struct note far, third, second, first;

    memset(&far, 0, sizeof far);
    third = second = first = far;
    start(&far, h, 300 * MS, NULL);
    start(&third, h, 30 * MS, &second);
    uv_run(mw_host_loop(h), UV_RUN_NOWAIT);
    start(&second, h, 20 * MS, &first);
    uv_run(mw_host_loop(h), UV_RUN_NOWAIT);
    start(&first, h, 5 * MS, NULL);
    until_fired(h, &third);
    CHECK_INT(first.fired + second.fired + third.fired, 3);
    CHECK_INT(first.early + second.early + third.early, 0);
    CHECK_INT(second.wrong + third.wrong, 0);
    mw_timer_stop(h, &far.timer);
}

static void moved_and_stopped(mw_host *h) {
    struct note later, sooner, stopped, last;

    memset(&later, 0, sizeof later);
    sooner = stopped = last = later;
    start(&later, h, 2 * MS, NULL);
    start(&sooner, h, 60000ull * MS, NULL);
    start(&stopped, h, 1 * MS, NULL);
    uv_run(mw_host_loop(h), UV_RUN_NOWAIT);
    if (later.fired == 0) start(&later, h, 15 * MS, &sooner);
    start(&sooner, h, 3 * MS, NULL);
    if (stopped.fired == 0) mw_timer_stop(h, &stopped.timer);
    start(&last, h, 40 * MS, &later);
    until_fired(h, &last);
    CHECK_INT(later.fired, 1);
    CHECK_INT(sooner.fired, 1);
    CHECK_INT(later.early + sooner.early + last.early + last.wrong, 0);
}

static void told(mw_host *h) {
    struct note far, near;
    int ms;

    memset(&far, 0, sizeof far);
    near = far;
    start(&far, h, 60000ull * MS, NULL);
    ms = mw_host_loop_timeout(h);
    CHECK(ms > 1000 && ms <= 60000);
    start(&near, h, 0, NULL);
    CHECK_INT(mw_host_loop_timeout(h), 0);
    uv_run(mw_host_loop(h), UV_RUN_NOWAIT);
    CHECK_INT(near.fired, 1);
    mw_timer_stop(h, &far.timer);
}

TEST(timers_fire_in_order_and_never_too_soon) {
    mw_host *h = make(NULL);

    in_order(h);
    moved_and_stopped(h);
    told(h);
    CHECK_INT(mw_host_loop_timeout(h), -1);
    CHECK_INT(timerfds(), 0);
    mw_host_destroy(h, 0);
}

TEST(a_loop_that_sleeps_often_beside_a_timer_gets_a_timerfd_and_keeps_its_timers) {
    mw_host *h = make(NULL);

    mw_host_set_spin(h, OFF);
    sleep_often(h, 200);
    CHECK_INT(timerfds(), 1);
    in_order(h);
    moved_and_stopped(h);
    told(h);
    sleep_often(h, 50);
    in_order(h);
    mw_host_destroy(h, 0);
    CHECK_INT(timerfds(), 0);
}

TEST(a_clock_that_stood_still_fires_later) {
    mw_host *h = make(NULL);
    struct note n;
    uint64_t real;

    mw_host_set_spin(h, OFF);
    sleep_often(h, 100);
    memset(&n, 0, sizeof n);
    start(&n, h, 5 * MS, NULL);
    uv_run(mw_host_loop(h), UV_RUN_NOWAIT);
    mw_host_pause(h);
    for (real = uv_hrtime() + 10 * MS; uv_hrtime() < real;) {}
    mw_host_resume(h);
    until_fired(h, &n);
    CHECK_INT(n.early, 0);
    CHECK_INT(n.fired, 1);
    mw_host_destroy(h, 0);
}

TEST(a_borrowed_loop_keeps_to_its_own_timer) {
    uv_loop_t loop;
    mw_host *h;

    REQUIRE(uv_loop_init(&loop) == 0);
    h = make(&loop);
    for (int i = 0; i < 10; i++) in_order(h);
    moved_and_stopped(h);
    CHECK_INT(timerfds(), 0);
    mw_host_destroy(h, 0);
    CHECK_INT(uv_loop_close(&loop), 0);
}
