/* The break: a task that computes without end is stopped, and the host goes on.
 * Knows: moonwire.h, pthreads. Never: how long something takes. */
#include "support/check.h"
#include "support/kinds.h"

#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>

#include "moonwire.h"

#define SLEEPER "local mw = require 'moonwire' local task = mw.task\n" \
                "local done = task.event() task.spawn(function() done:wait() print('the other went on ') end)\n"
#define TAIL "\nlocal v, err = t:join() print(err and err.code or 'ended') done:set()"

struct seen {
    char print[4096];
    int errors, wrong;      /* wrong: of errors, those that are no cancellation */
};

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    struct seen *s = ud;
    (void)h;
    snprintf(s->print + strlen(s->print), sizeof s->print - strlen(s->print), "%.*s", (int)len - 1, text);
}
static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    (void)h;
    (void)traceback;
    printf("# %s\n", err->message);
    ((struct seen *)ud)->errors++;
    if (err->code != MW_ECANCELED) ((struct seen *)ud)->wrong++;
}

static mw_host *make(struct seen *s, enum mw_preempt preempt, uint64_t step_ns, const char *text) {
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;

    memset(s, 0, sizeof *s);
    mw_config_init(&cfg);
    cfg.on_print = on_print;
    cfg.on_error = on_error;
    cfg.ud = s;
    cfg.preempt = preempt;
    cfg.limits.step_ns = step_ns;
    if (mw_host_new(&cfg, &h, &err) != 0) printf("# %s\n", err.message);
    if (h != NULL && mw_host_load_string(h, text, strlen(text), "=test", &err) != 0) printf("# %s\n", err.message);
    return h;
}

/* Says it until the host has stopped: a single one may find the steps before the loop. */
struct breaker {
    mw_host *h;
    atomic_int over;
};
static void *break_often(void *ud) {
    struct breaker *it = ud;
    const struct timespec some = {0, 1000000};

    while (!atomic_load(&it->over)) {
        mw_host_break(it->h);
        nanosleep(&some, NULL);
    }
    return NULL;
}

static void broken(const char *text, const char *expected) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct seen s;
        struct breaker it = {make(&s, kinds[i], STEP_NS, text), 0};
        pthread_t thread;
        int status = -1;
        REQUIRE(it.h != NULL);
        REQUIRE(pthread_create(&thread, NULL, break_often, &it) == 0);
        CHECK(mw_host_run(it.h, &status, NULL) == 0);
        atomic_store(&it.over, 1);
        pthread_join(thread, NULL);
        CHECK(status == 0);
        CHECK(s.errors == 0);
        if (strcmp(s.print, expected) != 0) printf("# %d: %s\n", (int)kinds[i], s.print);
        CHECK(strcmp(s.print, expected) == 0);
        mw_host_free(it.h);
    }
}

TEST(a_break_ends_the_task_that_computes_and_nothing_else) {
    broken(SLEEPER "local t = task.spawn(function() while true do end end)" TAIL, "ECANCELEDthe other went on ");
}
TEST(a_task_that_swallows_the_break_is_ended_all_the_same) {
    broken(SLEEPER "local t = task.spawn(function() while true do pcall(function() while true do end end) end end)\n"
                   "local _, why = pcall(t.join, t) print(why:match('^%w+')) done:set()", "killedthe other went on ");
}
TEST(a_break_finds_the_loop_in_the_coroutines_of_a_script) {
    broken(SLEEPER "local t = task.spawn(function() while true do coroutine.wrap(function() for i = 1, 100 do end end)() end end)" TAIL,
           "ECANCELEDthe other went on ");
}
TEST(a_break_ends_a_pattern_that_backtracks_without_end) {
    broken(SLEEPER "local t = task.spawn(function() return (('a'):rep(40)):find(('a?'):rep(40) .. ('.-'):rep(20) .. 'b') end)" TAIL,
           "ECANCELEDthe other went on ");
}
TEST(what_is_closed_on_the_way_out_may_clean_up) {
    broken(SLEEPER "local t = task.spawn(function() local c <close> = setmetatable({}, { __close = function() print('closed ') end })\n"
                   "while true do end end)" TAIL, "closed ECANCELEDthe other went on ");
}

TEST(a_break_that_finds_nobody_running_changes_nothing) {
    struct seen s;
    struct mw_step st;
    mw_host *h = make(&s, MW_PREEMPT_NONE, MW_LIMIT_OFF, "local t = require('moonwire').task t.sleep(0.01) for i = 1, 1e5 do end print('whole')");
    int status = -1;

    REQUIRE(h != NULL);
    CHECK(mw_host_break(h) == 0);
    mw_host_step(h, 0, &st, NULL);
    CHECK(mw_host_break(h) == 0);
    CHECK(mw_host_run(h, &status, NULL) == 0);
    CHECK(status == 0);
    CHECK(strcmp(s.print, "whole") == 0);
    mw_host_free(h);
}

static void *break_without_rest(void *ud) {
    struct breaker *it = ud;

    while (!atomic_load(&it->over)) mw_host_break(it->h);
    return NULL;
}

/* Functions and calls of C take turns in one place of the stack; an error shows whether what belongs to one was written into the other.
 * On a machine that is busy it may be broken, as one that did not wait in time. */
TEST(breaks_from_another_thread_leave_the_calls_that_run_as_they_are) {
    static const char text[] = "local task = require 'moonwire'.task local function same(i) return i end local function fails() error('x', 0) end\n"
                               "for n = 1, 400 do for i = 1, 50 do same(i) pcall(same, i) select('#', same(i)) end\n"
                               "local _, why = pcall(fails) assert(why == 'x') _, _, why = pcall(pcall, fails) assert(why == 'x') task.pass() end";

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct seen s;
        struct breaker it = {make(&s, kinds[i], STEP_NS, text), 0};
        pthread_t thread;
        int status = -1;
        REQUIRE(it.h != NULL);
        REQUIRE(pthread_create(&thread, NULL, break_without_rest, &it) == 0);
        CHECK(mw_host_run(it.h, &status, NULL) == 0);
        atomic_store(&it.over, 1);
        pthread_join(thread, NULL);
        CHECK_INT(s.wrong, 0);
        mw_host_free(it.h);
    }
}
