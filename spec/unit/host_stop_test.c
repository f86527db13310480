/* Hosts that another thread stops, or takes over from one that has ended.
 * Knows: moonwire.h, uv.h (for a borrowed loop), threads. Never: how long something takes. */
#include "support/heard.h"
#include "support/kinds.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <uv.h>

#define EACH_KIND(i) for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)

struct seen {
    struct heard heard;
    mw_host *h;
    atomic_int runs, over;
    int rc, status;
};

/* The script says that it is in the middle of it. */
static int on_runs(mw_host *h, mw_call *call, void *ud) {
    (void)h;
    (void)call;
    atomic_store(&((struct seen *)ud)->runs, 1);
    return 0;
}

static void make(struct seen *s, uv_loop_t *loop, enum mw_preempt how, uint64_t step_ns, const char *text) {
    struct mw_config cfg;

    memset(s, 0, sizeof *s);
    cfg = heard_config(s, 50);
    cfg.preempt = how;
    cfg.limits.step_ns = step_ns;
    if ((loop != NULL ? mw_host_new_on(loop, &cfg, &s->h, NULL) : mw_host_new(&cfg, &s->h, NULL)) < 0) return;
    if (mw_host_register(s->h, "runs", on_runs, s, NULL) < 0 || heard_load(s->h, text) < 0) printf("# not loaded\n");
}

static void *stop_it(void *ud) {
    struct seen *s = ud;

    while (!atomic_load(&s->runs)) sched_yield();
    mw_host_interrupt(s->h, 7, "enough");
    atomic_store(&s->over, 1);
    return NULL;
}

#define LOOP "require('moonwire').host.runs() while true do pcall(function() while true do end end) end"

static void stopped(const char *text) {
    EACH_KIND(i) {
        struct seen s;
        pthread_t thread;
        int status = -1;

        make(&s, NULL, kinds[i], STEP_NS, text);
        REQUIRE(s.h != NULL);
        REQUIRE(pthread_create(&thread, NULL, stop_it, &s) == 0);
        CHECK_INT(mw_host_run(s.h, &status, NULL), 0);
        CHECK_INT(status, 7);
        pthread_join(thread, NULL);
        mw_host_free(s.h);
    }
}

TEST(another_thread_stops_a_loop_whatever_holds_its_limit) {
    stopped(LOOP);
}

TEST(another_thread_stops_a_loop_on_a_loop_of_the_engines) {
    EACH_KIND(i) {
        struct seen s;
        pthread_t thread;
        uv_loop_t loop;

        REQUIRE(uv_loop_init(&loop) == 0);
        make(&s, &loop, kinds[i], STEP_NS, LOOP);
        REQUIRE(s.h != NULL);
        REQUIRE(pthread_create(&thread, NULL, stop_it, &s) == 0);
        while (!atomic_load(&s.over)) uv_run(&loop, UV_RUN_NOWAIT); /* comes back, or the test hangs */
        pthread_join(thread, NULL);
        mw_host_free(s.h);
        CHECK_INT(uv_loop_close(&loop), 0);
    }
}

TEST(another_thread_stops_a_loop_in_a_coroutine_of_the_script) {
    stopped("local runs = require('moonwire').host.runs while true do coroutine.wrap(function() runs() for i = 1, 50 do local t = {} end end)() end");
}

static void theirs(int number) { (void)number; }

TEST(the_handler_that_an_engine_has_for_the_same_signal_stays) {
    struct sigaction act, was, now;
    struct seen s;
    pthread_t thread;
    int status = -1;

    memset(&act, 0, sizeof act);
    act.sa_handler = theirs;
    REQUIRE(sigaction(SIGVTALRM, &act, &was) == 0);
    make(&s, NULL, MW_PREEMPT_NONE, 0, "local mw = require 'moonwire' mw.host.runs() while true do for i = 1, 1000 do end mw.task.pass() end");
    REQUIRE(s.h != NULL);
    REQUIRE(pthread_create(&thread, NULL, stop_it, &s) == 0);
    CHECK_INT(mw_host_run(s.h, &status, NULL), 0);
    CHECK_INT(status, 7); /* where it lets others go first */
    pthread_join(thread, NULL);
    REQUIRE(sigaction(SIGVTALRM, NULL, &now) == 0);
    CHECK(now.sa_handler == theirs);
    mw_host_free(s.h);
    sigaction(SIGVTALRM, &was, NULL);
}

/* As near to its end as may be: what is sent finds no host that has gone. */
TEST(a_host_may_be_freed_as_soon_as_the_call_that_stopped_it_has_come_back) {
    EACH_KIND(i) {
        for (int n = 0; n < 100; n++) {
            struct seen s;
            struct mw_step st;
            pthread_t thread;

            make(&s, NULL, kinds[i], STEP_NS, "require('moonwire').host.runs() for i = 1, 2000 do end");
            REQUIRE(s.h != NULL);
            REQUIRE(pthread_create(&thread, NULL, stop_it, &s) == 0);
            while (!atomic_load(&s.runs)) mw_host_step(s.h, 100, &st, NULL);
            pthread_join(thread, NULL);
            mw_host_free(s.h);
        }
    }
}

static void *step_once(void *ud) {
    struct seen *s = ud;
    struct mw_step st;

    s->rc = mw_host_step(s->h, 1000, &st, NULL);
    return NULL;
}
static void *run_it(void *ud) {
    struct seen *s = ud;

    s->status = -1;
    s->rc = mw_host_run(s->h, &s->status, NULL);
    return NULL;
}

/* The second thread often has the very address of the first. */
TEST(a_host_keeps_its_limit_on_a_thread_that_began_when_its_last_one_had_ended) {
    EACH_KIND(i) {
        struct seen s;
        pthread_t thread;

        if (kinds[i] == MW_PREEMPT_NONE) continue;
        make(&s, NULL, kinds[i], 50000000, "require('moonwire').task.sleep(0.001) while true do end");
        REQUIRE(s.h != NULL);
        REQUIRE(pthread_create(&thread, NULL, step_once, &s) == 0);
        pthread_join(thread, NULL);
        CHECK_INT(s.rc, 0);
        REQUIRE(pthread_create(&thread, NULL, run_it, &s) == 0);
        pthread_join(thread, NULL);
        CHECK_INT(s.rc, 0);
        CHECK_INT(s.status, 1);
        CHECK_INT(s.heard.code, MW_ELIMIT);
        mw_host_free(s.h);
    }
}
