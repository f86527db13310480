/* Hosts beside one another, one of which would run for ever: it ends by its limit, and the others never notice.
 * Knows: moonwire.h, pthreads. Never: how long something takes. */
#include "support/heard.h"

#include <pthread.h>
#include <signal.h>

#define LOOP "while true do pcall(function() while true do end end) end"

struct seen {
    struct heard heard;
    int status, rc;
    enum mw_preempt preempt;
    uint64_t step_ns;
    const char *text;
};

static mw_host *make(struct seen *s) {
    struct mw_config cfg = heard_config(s, 50);
    mw_host *h;

    cfg.preempt = s->preempt;
    cfg.limits.step_ns = s->step_ns;
    h = heard_host(&cfg, NULL);
    if (h != NULL) heard_load(h, s->text);
    return h;
}
static void *run(void *ud) {
    struct seen *s = ud;
    mw_host *h = make(s);

    s->status = -1;
    s->rc = h != NULL ? mw_host_run(h, &s->status, NULL) : -1;
    mw_host_free(h);
    return NULL;
}

/* The script of `s` ended by its limit. */
static int ended(const struct seen *s) {
    return s->rc == 0 && s->status == 1 && s->heard.errors == 1 && s->heard.code == MW_ELIMIT && strstr(s->heard.error, "mw_config.limits.step_ns") != NULL;
}

#define COUNTS "local mw = require 'moonwire' local n = 0 for i = 1, 50 do mw.task.sleep(0.001) n = n + i end print(n)"

static void beside(enum mw_preempt how) {
    struct seen all[4];
    pthread_t threads[4];

    memset(all, 0, sizeof all);
    for (int i = 0; i < 4; i++) {
        all[i].preempt = how;
        all[i].step_ns = 50000000;
        all[i].text = i < 2 ? LOOP : COUNTS;
    }
    for (int i = 0; i < 4; i++) REQUIRE(pthread_create(&threads[i], NULL, run, &all[i]) == 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) CHECK(ended(&all[i]));
    for (int i = 2; i < 4; i++) {
        CHECK(all[i].status == 0);
        CHECK(strcmp(all[i].heard.print, "1275\n") == 0);
    }
}

TEST(a_loop_in_one_thread_ends_and_hosts_in_others_go_on) {
    beside(MW_PREEMPT_COUNT);
}

TEST(a_loop_ends_by_counting_unless_the_embedder_says_otherwise) {
    struct seen s = {.text = LOOP, .step_ns = 20000000};
    struct sigaction act;

    run(&s);
    CHECK(ended(&s));
    REQUIRE(sigaction(SIGVTALRM, NULL, &act) == 0);
    CHECK(act.sa_handler == SIG_DFL); /* nothing of the process was touched */
}

TEST(many_short_coroutines_are_counted_as_one) {
    struct seen s = {.text = "local function f(n) if n > 0 then for _ = 1, 1e9 do coroutine.wrap(f)(n - 1) end end end f(4)", .step_ns = 20000000};
    run(&s);
    CHECK(ended(&s));
}

TEST(a_pattern_ends_by_counting_too) {
    struct seen s = {.text = "while true do pcall(string.find, ('a'):rep(1e5), ('a*'):rep(20) .. 'b') end", .step_ns = 20000000};
    run(&s);
    CHECK(ended(&s));
}

TEST(hosts_of_one_thread_take_turns_with_one_that_loops) {
    struct seen bad = {.text = LOOP, .step_ns = 20000000}, good = {.text = COUNTS};
    struct mw_step st = {.alive = 1};
    mw_host *b = make(&bad), *g = make(&good);
    int left = 2;

    REQUIRE(b != NULL && g != NULL);
    while (left > 0) {
        left = 0;
        CHECK(mw_host_run_once(b, 0, &st, NULL) == 0);
        left += st.alive;
        CHECK(mw_host_run_once(g, 1, &st, NULL) == 0);
        left += st.alive;
    }
    CHECK(bad.heard.code == MW_ELIMIT);
    CHECK(strcmp(good.heard.print, "1275\n") == 0);
    mw_host_free(b);
    mw_host_free(g);
}

TEST(without_a_limit_the_embedder_interrupts) {
    struct seen s = {.text = LOOP, .preempt = MW_PREEMPT_NONE};
    mw_host *h = make(&s);
    int status = -1;

    REQUIRE(h != NULL);
    mw_host_interrupt(h, 9, "enough");
    CHECK(mw_host_run(h, &status, NULL) == 0);
    CHECK(status == 9);
    mw_host_free(h);
}

TEST(a_script_that_fills_its_memory_leaves_the_next_host_all_of_its_own) {
    for (int i = 0; i < 3; i++) {
        struct seen s = {.text = "print(pcall(function() local t = {} while true do t[#t + 1] = {} end end)) print(#('x'):rep(2e7))"};
        s.step_ns = MW_LIMIT_OFF;
        run(&s);
        CHECK(s.status == 0);
        CHECK(strcmp(s.heard.print, "false\tnot enough memory\n20000000\n") == 0);
    }
}
