/* The limit of a step held by the timer. Its signals come while Lua's own code runs, which no sanitizer for threads was built into:
 * such a one would keep them back for ever, so this stays out of its run.
 * Knows: moonwire.h, pthreads. Never: how long something takes. */
#include "support/check.h"

#include <pthread.h>
#include <time.h>

#include "moonwire.h"

#define LOOP "while true do pcall(function() while true do end end) end"

struct seen {
    int errors, code, status;
    const char *text;
};

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)h;
    (void)text;
    (void)len;
    (void)ud;
}
static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    struct seen *s = ud;
    (void)h;
    (void)traceback;
    s->errors++;
    s->code = err->code;
}

static mw_host *make(struct seen *s) {
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;

    mw_config_init(&cfg);
    cfg.on_print = on_print;
    cfg.on_error = on_error;
    cfg.ud = s;
    cfg.preempt = MW_PREEMPT_TIMER;
    cfg.limits.step_ns = 50000000;
    if (mw_host_new(&cfg, &h, &err) != 0) printf("# %s\n", err.message);
    if (h != NULL && mw_host_load_string(h, s->text, strlen(s->text), "=test", &err) != 0) printf("# %s\n", err.message);
    return h;
}
static void *run(void *ud) {
    struct seen *s = ud;
    mw_host *h = make(s);

    s->status = -1;
    if (h != NULL) mw_host_run(h, &s->status, NULL);
    mw_host_free(h);
    return NULL;
}

TEST(each_thread_has_a_clock_of_its_own) {
    struct seen all[6];
    pthread_t threads[6];

    memset(all, 0, sizeof all);
    for (int i = 0; i < 6; i++) all[i].text = i < 3 ? LOOP : "local mw = require 'moonwire' for _ = 1, 30 do mw.task.sleep(0.005) end";
    for (int i = 0; i < 6; i++) REQUIRE(pthread_create(&threads[i], NULL, run, &all[i]) == 0);
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) CHECK(all[i].status == 1 && all[i].code == MW_ELIMIT);
    for (int i = 3; i < 6; i++) CHECK(all[i].status == 0 && all[i].errors == 0);
}

TEST(one_after_the_other_on_one_thread_leaves_nothing_behind) {
    for (int i = 0; i < 20; i++) {
        struct seen s = {.text = i % 4 == 0 ? LOOP : "local x = 0 for i = 1, 1e5 do x = x + i end"};
        run(&s);
        CHECK(s.status == (i % 4 == 0));
    }
}

static void *turn(void *ud) {
    struct mw_step st = {.alive = 1};
    while (st.alive && mw_host_run_once(ud, 1, &st, NULL) == 0) {}
    return NULL;
}

TEST(a_host_that_moved_to_another_thread_is_watched_there) {
    struct seen s = {.text = LOOP};
    mw_host *h = make(&s);
    pthread_t thread;

    REQUIRE(h != NULL);
    REQUIRE(pthread_create(&thread, NULL, turn, h) == 0);
    pthread_join(thread, NULL);
    CHECK(s.code == MW_ELIMIT);
    mw_host_free(h);
}

/* Time that others use on the thread is none of the script's. */
TEST(an_embedder_that_computes_between_turns_uses_up_no_step) {
    struct seen s = {.text = "local mw = require 'moonwire' for _ = 1, 5 do mw.task.sleep(0) end"};
    mw_host *h = make(&s);
    struct mw_step st = {.alive = 1};

    REQUIRE(h != NULL);
    while (st.alive) {
        struct timespec from, now;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < 120000000L);
        REQUIRE(mw_host_run_once(h, 1, &st, NULL) == 0);
    }
    CHECK(s.errors == 0);
    mw_host_free(h);
}
