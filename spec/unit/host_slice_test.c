/* Steps with a budget: a script that computes stands still at its end, goes on in the next, and sees nothing of it.
 * Knows: moonwire.h. Never: how long something takes. */
#include "support/heard.h"

#define BUDGET_US 500
#define STEPS_MAX 200000
#define BUSY "local function busy(n) local x = 0 for i = 1, n or 3000000 do x = x + i end return x end "

struct seen {
    struct heard heard;
    unsigned steps, cut;                /* steps, and those that left somebody ready */
};

static mw_host *make_of(struct seen *s, struct mw_config *cfg, enum mw_preempt how, const char *text) {
    mw_host *h;

    memset(s, 0, sizeof *s);
    cfg->preempt = how;
    h = heard_host(cfg, NULL);
    if (h != NULL) heard_load(h, text);
    return h;
}
static mw_host *make(struct seen *s, enum mw_preempt how, uint64_t step_ns, const char *text) {
    struct mw_config cfg = heard_config(s, 200);

    cfg.limits.step_ns = step_ns;
    return make_of(s, &cfg, how, text);
}
static mw_host *make_cleaning(struct seen *s, enum mw_preempt how, unsigned cleanup_ms, const char *text) {
    struct mw_config cfg = heard_config(s, 200);

    cfg.limits.step_ns = MW_LIMIT_OFF;
    cfg.cleanup_ms = cleanup_ms;
    return make_of(s, &cfg, how, text);
}
static int step(mw_host *h, struct seen *s) {
    struct mw_step st;

    if (mw_host_step(h, BUDGET_US, &st, NULL) != 0) return 0;
    s->steps++;
    if (st.ready > 0) s->cut++;
    return st.alive;
}
static void steps(mw_host *h, struct seen *s) {
    while (step(h, s) && s->steps < STEPS_MAX) {}
}

#ifdef __SANITIZE_THREAD__ /* which keeps signals back from a loop */
static const enum mw_preempt kinds[] = { MW_PREEMPT_DEFAULT, MW_PREEMPT_COUNT };
#else
static const enum mw_preempt kinds[] = { MW_PREEMPT_DEFAULT, MW_PREEMPT_COUNT, MW_PREEMPT_TIMER };
#endif
#define EACH_KIND(how) for (size_t at_ = 0; at_ < sizeof kinds / sizeof *kinds; at_++) for (enum mw_preempt how = kinds[at_], *once_ = &how; once_ != NULL; once_ = NULL)

/* The script prints `want`, in more than one step, and nothing went wrong. */
static void cut_and_right(enum mw_preempt how, const char *text, const char *want) {
    struct seen s;
    mw_host *h = make(&s, how, MW_LIMIT_OFF, text);

    REQUIRE(h != NULL);
    steps(h, &s);
    CHECK(s.cut > 0);
    CHECK(s.heard.errors == 0);
    if (strcmp(s.heard.print, want) != 0) printf("# kind %d: '%s' %s\n", (int)how, s.heard.print, s.heard.error);
    CHECK(strcmp(s.heard.print, want) == 0);
    mw_host_free(h);
}

TEST(a_loop_that_never_waits_is_cut_at_the_budget_and_counts_right) {
    EACH_KIND(how) cut_and_right(how, BUSY "print(busy(), 'done')", "4500001500000\tdone\n");
}

TEST(a_script_without_a_limit_is_cut_too) {
    EACH_KIND(how) cut_and_right(how, BUSY "for i = 1, 3 do busy(500000) end print(busy(1000000))", "500000500000\n");
}

TEST(coroutines_and_protected_calls_and_iterators_go_on_where_they_stood) {
    static const char text[] = BUSY
        "local co = coroutine.wrap(function(a) for i = 1, 4 do busy(400000) a = a + coroutine.yield(a) end return 'end' end)\n"
        "local inner = coroutine.wrap(function() return coroutine.wrap(function() busy() return 7 end)() + 1 end)\n"
        "local t = setmetatable({}, {__index = function(_, k) return busy(400000) + k end, __close = function() busy() print('closed') end})\n"
        "print(co(1), co(2), co(3), co(4), co(5))\n"
        "print(inner(), t[1], pcall(function() local c <close> = t busy() error('x', 0) end))\n"
        "for k in (function() busy() return 9 end) do print(k) break end\n";
    EACH_KIND(how) cut_and_right(how, text, "1\t3\t6\t10\tend\nclosed\n8\t80000200001\tfalse\tx\n9\n");
}

TEST(what_cannot_be_suspended_goes_on_to_its_end) {
    static const char text[] = BUSY
        "local t = {} for i = 1, 200 do t[i] = (i * 37) % 199 end\n"
        "table.sort(t, function(a, b) busy(20000) return a < b end)\n"
        "for i = 2, 200 do assert(t[i - 1] <= t[i]) end\n"
        "print((string.gsub('abc', '.', function(c) busy(300000) return c:upper() end)))\n"
        "print(select('#', string.gsub('a', '.', coroutine.wrap(function() busy() return 'x' end)))) busy() busy()\n";
    EACH_KIND(how) cut_and_right(how, text, "ABC\n2\n");
}

#define MANY "local task = require 'moonwire'.task " BUSY "for i = 1, 64 do task.spawn(function() "

TEST(tasks_are_left_ready_by_a_step_only_if_its_budget_is_over) {
    EACH_KIND(how) {
        struct mw_step st;
        struct seen s;
        mw_host *h = make(&s, how, MW_LIMIT_OFF, MANY "while true do busy(20000) task.pass() end end) end");

        REQUIRE(h != NULL);
        for (int i = 0; i < 3; i++) {
            REQUIRE(mw_host_step(h, 100000, &st, NULL) == 0);
            CHECK(st.ready > 0 && st.used_us > 90000); /* the alarm comes early */
        }
        mw_host_free(h);
    }
}

TEST(in_a_step_without_a_budget_all_that_are_ready_run) {
    EACH_KIND(how) {
        struct seen s;
        mw_host *h = make(&s, how, MW_LIMIT_OFF, MANY "busy(200000) print(i) end) end");

        REQUIRE(h != NULL);
        CHECK(mw_host_step(h, 0, NULL, NULL) == 0);
        CHECK(strstr(s.heard.print, "64\n") != NULL);
        mw_host_free(h);
    }
}

TEST(the_time_of_a_close_that_is_over_cuts_nothing_off) {
    static const char text[] = BUSY
        "local task = require 'moonwire'.task\n"
        "print(task.scope(function()\n"
        "  task.timeout(0, function()\n"
        "    pcall(task.wait)\n"
        "    do local c <close> = setmetatable({}, {__close = function() task.pass() end}) end\n"
        "    busy(20000000)\n"
        "  end)\n"
        "  task.sleep(0)\n"
        "  return 'went on'\n"
        "end))\n";

    EACH_KIND(how) {
        struct seen s;
        mw_host *h = make_cleaning(&s, how, 20, text);

        REQUIRE(h != NULL);
        steps(h, &s);
        CHECK(s.cut > 0);
        CHECK(s.heard.errors == 0);
        CHECK(strstr(s.heard.print, "went on") != NULL);
        CHECK(strstr(s.heard.log, "cut off") == NULL);
        mw_host_free(h);
    }
}

TEST(many_short_coroutines_are_cut_between_them) {
    EACH_KIND(how) cut_and_right(how, "local n = 0 for i = 1, 100000 do n = n + coroutine.wrap(function() return 1 end)() end print(n)", "100000\n");
}

TEST(no_other_task_runs_while_one_stands_still) {
    static const char text[] = BUSY
        "local t = require('moonwire').task local within, seen = false, 0\n"
        "local other = t.spawn(function() while true do assert(not within) seen = seen + 1 t.pass() end end)\n"
        "t.sleep(0.001)\n"
        "for i = 1, 5 do within = true busy() within = false t.pass() end\n"
        "other:cancel() print(seen > 5)\n";
    EACH_KIND(how) cut_and_right(how, text, "true\n");
}

TEST(a_script_that_never_ends_is_cut_until_it_has_used_its_limit) {
    EACH_KIND(how) {
        struct seen s;
        mw_host *h = make(&s, how, 60000000, "while true do end");

        REQUIRE(h != NULL);
        steps(h, &s);
        CHECK(s.cut > 1);
        CHECK(s.heard.errors == 1 && s.heard.code == MW_ELIMIT);
        mw_host_free(h);
    }
}

TEST(many_cuts_do_not_add_up_for_a_script_that_waits_between) {
    static const char text[] = BUSY "local t = require('moonwire').task for i = 1, 40 do busy(400000) t.pass() end print('all')";
    EACH_KIND(how) {
        struct seen s;
        mw_host *h = make(&s, how, 10000000000u, text);

        REQUIRE(h != NULL);
        steps(h, &s);
        CHECK(s.cut > 0 && s.heard.errors == 0);
        CHECK(strcmp(s.heard.print, "all\n") == 0);
        mw_host_free(h);
    }
}

TEST(one_that_stands_still_can_be_interrupted_cancelled_and_freed) {
    static const char loop[] = "local c <close> = setmetatable({}, {__close = function() print('closed') end}) while true do end";
    static const char late[] = BUSY "local t = require('moonwire').task print(pcall(t.timeout, 0.001, function() busy(3000000) t.sleep(10) end))";
    EACH_KIND(how) {
        struct seen s;
        mw_host *h = make(&s, how, MW_LIMIT_OFF, loop);

        REQUIRE(h != NULL);
        for (int i = 0; i < 3; i++) CHECK(step(h, &s) == 1);
        CHECK(s.cut > 0);
        mw_host_interrupt(h, 3, "enough");
        steps(h, &s);
        CHECK(strcmp(s.heard.print, "closed\n") == 0);
        mw_host_free(h);

        h = make(&s, how, MW_LIMIT_OFF, loop);
        REQUIRE(h != NULL);
        for (int i = 0; i < 3; i++) CHECK(step(h, &s) == 1);
        mw_host_free(h);
        CHECK(strcmp(s.heard.print, "closed\n") == 0);

        h = make(&s, how, MW_LIMIT_OFF, late);
        REQUIRE(h != NULL);
        steps(h, &s);
        CHECK(s.cut > 0);
        CHECK(strstr(s.heard.print, "ETIMEDOUT") != NULL || strstr(s.heard.print, "timed out") != NULL);
        mw_host_free(h);
    }
}

TEST(a_break_finds_the_one_that_stands_still) {
    static const char text[] = BUSY "local t = require('moonwire').task\n"
        "local w = t.spawn(function() local c <close> = setmetatable({}, {__close = function() print('closed') end}) while true do end end)\n"
        "print(pcall(w.join, w)) print('on it goes')";
    EACH_KIND(how) {
        struct seen s;
        mw_host *h = make(&s, how, MW_LIMIT_OFF, text);

        REQUIRE(h != NULL);
        while (s.cut < 3 && step(h, &s)) {}
        CHECK(mw_host_break(h) == 1);
        steps(h, &s);
        CHECK(strncmp(s.heard.print, "closed\n", 7) == 0);
        CHECK(strstr(s.heard.print, "on it goes\n") != NULL);
        CHECK(mw_host_break(h) == 0);
        mw_host_free(h);
    }
}

TEST(without_a_budget_or_in_a_run_it_goes_on_to_its_wait) {
    EACH_KIND(how) {
        struct seen s;
        struct mw_step st;
        int status = -1;
        mw_host *h = make(&s, how, MW_LIMIT_OFF, BUSY "busy() print('one') require('moonwire').task.sleep(0.3) busy() print('two')");

        REQUIRE(h != NULL);
        CHECK(step(h, &s) == 1);
        CHECK(mw_host_step(h, 0, &st, NULL) == 0);
        CHECK(strcmp(s.heard.print, "one\n") == 0);
        CHECK(mw_host_run(h, &status, NULL) == 0);
        CHECK(strcmp(s.heard.print, "one\ntwo\n") == 0);
        CHECK(status == 0);
        mw_host_free(h);
    }
}

TEST(without_preemption_the_budget_binds_between_tasks) {
    struct seen s;
    struct mw_step st;
    mw_host *h = make(&s, MW_PREEMPT_NONE, 0, BUSY "for i = 1, 8 do require('moonwire').task.spawn(function() busy() print(i) end) end");

    REQUIRE(h != NULL);
    for (int i = 0; i < STEPS_MAX && s.heard.print[0] == 0; i++) CHECK(mw_host_step(h, 1, &st, NULL) == 0);
    CHECK(strcmp(s.heard.print, "1\n") == 0);
    CHECK(st.ready == 8); /* the others, and main, which looks whether it was the last */
    mw_host_free(h);
}

TEST(a_limit_of_few_slices_binds_whatever_the_clocks_tick_is) {
    EACH_KIND(how) {
        struct seen s;
        mw_host *h = make(&s, how, 20000000, "coroutine.wrap(function() while true do end end)()");

        REQUIRE(h != NULL);
        while (step(h, &s) && s.steps < STEPS_MAX) usleep(1000); /* the engine's own work, between ticks */
        CHECK(s.heard.errors == 1 && s.heard.code == MW_ELIMIT);
        mw_host_free(h);
    }
}

/* Steps so short that looking at what came takes all of them, in each of a row of connections. */
TEST(every_connection_is_heard_however_short_the_budget_is) {
    static const char text[] =
        "local mw = require 'moonwire' local name, left = ('unix:@mw-slice-%d-%d-%d-%d'):format(mw.random.bytes(4):byte(1, -1)), 20 * 4\n"
        "local server = assert(mw.net.listen(name, { backlog = 64 }))\n"
        "mw.task.spawn_with({ daemon = true }, server.serve, server, function(c)\n"
        "  for _ = 1, 4 do assert(#assert(c:read(65536)) == 65536) left = left - 1 end c:write('done\\n') c:read('l') end)\n"
        "for i = 1, 20 do mw.task.spawn(function() local c <close> = assert(mw.net.connect(name))\n"
        "  for _ = 1, 4 do c:write(('x'):rep(65536)) end assert(c:read('l') == 'done') end) end\n"
        "mw.task.spawn(function() while left > 0 do mw.task.sleep(0.001) end print 'all' end)";
    EACH_KIND(how) {
        struct heard s = { .errors = 0 };
        struct mw_config cfg = heard_config(&s, 200);
        struct mw_step st = { .alive = 1 };
        mw_host *h = NULL;

        cfg.preempt = how;
        REQUIRE(mw_policy_new(&cfg.policy, NULL) == 0 && mw_policy_add_all(cfg.policy, NULL) == 0);
        REQUIRE(mw_host_new(&cfg, &h, NULL) == 0);
        mw_policy_free(cfg.policy);
        REQUIRE(mw_host_load_string(h, text, sizeof text - 1, "=test", NULL) == 0);
        for (int i = 0; i < STEPS_MAX * 10 && st.alive; i++) CHECK(mw_host_step(h, 1, &st, NULL) == 0);
        CHECK(!st.alive && s.errors == 0);
        if (s.errors > 0) printf("# %s\n", s.error);
        CHECK(strcmp(s.print, "all\n") == 0);
        mw_host_free(h);
    }
}

/* Frees between two allocations: what one step of the collector takes away. */
struct burst {
    unsigned now, most, all;
};
static void *bursts(void *ud, void *ptr, size_t osize, size_t nsize) {
    struct burst *b = ud;
    (void)osize;
    if (nsize == 0) {
        if (ptr != NULL && ++b->now > b->most) b->most = b->now;
        b->all += ptr != NULL;
        free(ptr);
        return NULL;
    }
    b->now = 0;
    return ptr == NULL ? malloc(nsize) : realloc(ptr, nsize);
}
TEST(the_collector_of_a_host_with_budgets_takes_small_steps) {
    static const char text[] = "local t = {} for round = 1, 40 do for i = 1, 5000 do t[i] = 'a string of some length, number ' .. i .. round end end";
    struct mw_config cfg;
    struct mw_step st = { .alive = 1 };
    struct burst b = { 0, 0, 0 };
    mw_host *h = NULL;

    mw_config_init(&cfg);
    cfg.alloc = bursts;
    cfg.limits.step_ns = 60000000000u;                  /* of processor time: a sanitizer takes its share */
    cfg.alloc_ud = &b;
    cfg.preempt = MW_PREEMPT_COUNT;
    REQUIRE(mw_host_new(&cfg, &h, NULL) == 0);
    REQUIRE(mw_host_load_string(h, text, sizeof text - 1, "=test", NULL) == 0);
    for (int i = 0; i < STEPS_MAX && st.alive; i++) REQUIRE(mw_host_step(h, BUDGET_US, &st, NULL) == 0);
    CHECK(!st.alive && b.all > 100000);
    CHECK(b.most <= 1000);
    mw_host_free(h);
}
