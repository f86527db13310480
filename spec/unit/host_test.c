/* The face for embedders: hosts are made, stepped, interrupted and ended in any state, several in one process.
 * Knows: moonwire.h, uv.h (for a borrowed loop). Never: what is under moonwire.h. */
#include "support/heard.h"

#include <dirent.h>
#include <pthread.h>
#include <uv.h>

static mw_host *make_on(uv_loop_t *loop, struct heard *s, size_t memory) {
    struct mw_config cfg = heard_config(s, 200);

    memset(s, 0, sizeof *s);
    cfg.memory_limit = memory;
    return heard_host(&cfg, loop);
}
static mw_host *make(struct heard *s) {
    return make_on(NULL, s, 0);
}
static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d) != NULL) n++;
    closedir(d);
    return n;
}

TEST(a_script_runs_to_its_end_and_prints_through_the_hook) {
    struct heard s;
    int status = -1;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    CHECK(heard_load(h, "local mw = require 'moonwire' mw.task.sleep(0.001) print('hello', 1)") == 0);
    CHECK(mw_host_run(h, &status, NULL) == 0);
    CHECK(status == 0);
    CHECK(strcmp(s.print, "hello\t1\n") == 0);
    mw_host_free(h);
}

TEST(a_syntax_error_is_reported_when_loading) {
    struct heard s;
    struct mw_err err;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    CHECK(mw_host_load_string(h, "x =", 3, "=bad", &err) == MW_ELUA);
    CHECK(strstr(err.message, "bad:1:") != NULL);
    CHECK(mw_host_check(h, "return 1", 8, "=good", &err) == 0);
    CHECK(mw_host_load_string(h, "\033Lua", 4, "=binary", &err) == MW_ELUA);
    CHECK(mw_host_load_file(h, "/nowhere/at/all.lua", &err) == MW_ENOENT);
    mw_host_free(h);
}

TEST(a_run_time_error_reaches_the_hook_with_its_traceback_and_the_status) {
    struct heard s;
    int status = -1;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    heard_load(h, "local function deep() error('boom') end deep()");
    mw_host_run(h, &status, NULL);
    CHECK(status == 1);
    CHECK(s.errors == 1);
    CHECK(strstr(s.error, "test:1: boom") != NULL);
    CHECK(strstr(s.trace, "deep") != NULL);
    mw_host_free(h);
}

TEST(a_denied_right_gives_status_77) {
    struct heard s;
    int status = -1;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    heard_load(h, "require('moonwire').sys.hostname()");
    mw_host_run(h, &status, NULL);
    CHECK(status == 77);
    CHECK(s.code == MW_EDENIED);
    CHECK(strstr(s.error, "grant it in the host's policy: sys \"hostname\"") != NULL);
    mw_host_free(h);
}

TEST(an_error_that_crosses_scopes_and_tasks_keeps_its_first_traceback) {
    struct heard s;
    int status;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    heard_load(h, "local t = require('moonwire').task\n"
            "local function culprit() t.sleep(0.001) error('lost?') end\n"
            "t.scope(function(s) s:spawn(function() t.scope(function() culprit() end) end) end)");
    mw_host_run(h, &status, NULL);
    CHECK(strstr(s.trace, "culprit") != NULL);
    mw_host_free(h);
}

TEST(two_hosts_in_one_process_do_not_meet) {
    struct heard a, b;
    struct mw_step sa, sb;
    mw_host *x = make(&a), *y = make(&b);
    REQUIRE(x != NULL && y != NULL);
    heard_load(x, "shared = 'x' local t = require('moonwire').task for i = 1, 3 do t.pass() print(shared, i) end");
    heard_load(y, "local t = require('moonwire').task t.sleep(0.001) print(shared) error('only mine')");
    do {
        mw_host_run_once(x, 1, &sa, NULL);
        mw_host_run_once(y, 1, &sb, NULL);
    } while (sa.alive || sb.alive);
    CHECK(strcmp(a.print, "x\t1\nx\t2\nx\t3\n") == 0);
    CHECK(strcmp(b.print, "nil\n") == 0);
    CHECK(a.errors == 0 && b.errors == 1);
    mw_host_free(x);
    mw_host_free(y);
}

TEST(a_host_can_be_freed_in_any_state_and_leaves_no_descriptor) {
    static const char *const scripts[] = {
        "",
        "local t = require('moonwire').task t.wait()",
        "local t = require('moonwire').task local x <close> = setmetatable({}, {__close = function() t.sleep(100) end}) t.wait()",
        "local t = require('moonwire').task t.scope(function(s) for i = 1, 20 do s:spawn(t.wait) end t.wait() end)",
        "local t = require('moonwire').task local co = coroutine.wrap(function() t.wait() end) co()",
        "local t = require('moonwire').task while true do pcall(t.sleep, 0.001) end",
    };
    int before = open_descriptors();
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        for (int steps = 0; steps < 4; steps++) {
            struct heard s;
            mw_host *h = make(&s);
            REQUIRE(h != NULL);
            CHECK(heard_load(h, scripts[i]) == 0);
            for (int k = 0; k < steps; k++) mw_host_step(h, 1000, NULL, NULL);
            mw_host_free(h);
        }
    }
    mw_host_free(NULL);
    CHECK(open_descriptors() == before);
}

TEST(a_finalizer_at_the_end_of_a_host_opens_nothing_that_would_stay_open) {
    static const char text[] =
        "local mw = require('moonwire')\n"
        "KEPT = setmetatable({}, {__gc = function()\n"
        "  for i = 1, 3 do\n"
        "    FILES = {pcall(io.open, '/dev/null'), pcall(mw.fs.open, '/dev/null'), pcall(mw.fs.watch, '/tmp'), pcall(io.tmpfile)}\n"
        "    pcall(mw.fs.tempdir) pcall(mw.net.listen, 'tcp://127.0.0.1:0') pcall(mw.task.spawn, print) pcall(mw.task.channel)\n"
        "  end\n"
        "  pcall(require, 'uv')\n"
        "end})\n";
    struct heard s = {0};
    struct mw_config cfg = heard_config(&s, 5000);
    int before = open_descriptors();

    REQUIRE(mw_policy_new(&cfg.policy, NULL) == 0);
    REQUIRE(mw_policy_add_all(cfg.policy, NULL) == 0);
    for (int i = 0; i < 4; i++) {
        mw_host *h = NULL;
        int status = -1;
        REQUIRE(mw_host_new(&cfg, &h, NULL) == 0);
        CHECK(heard_load(h, text) == 0);
        CHECK(mw_host_run(h, &status, NULL) == 0);
        mw_host_free(h);
    }
    mw_policy_free(cfg.policy);
    CHECK(s.errors == 0);
    CHECK_INT(open_descriptors(), before);
}

TEST(cleanup_runs_when_a_host_is_freed) {
    struct heard s;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    heard_load(h, "local t = require('moonwire').task\n"
            "local x <close> = setmetatable({}, {__close = function() t.shield(function() t.sleep(0.001) end) print('closed') end}) t.wait()");
    mw_host_step(h, 0, NULL, NULL);
    mw_host_free(h);
    CHECK(strcmp(s.print, "closed\n") == 0);
}

TEST(a_memory_limit_is_an_error_in_the_script_and_the_host_goes_on) {
    struct heard s;
    int status;
    mw_host *h = make_on(NULL, &s, 8u << 20);
    REQUIRE(h != NULL);
    heard_load(h, "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end");
    heard_load(h, "print('still here')");
    mw_host_run(h, &status, NULL);
    CHECK(s.errors == 1);
    CHECK(strstr(s.error, "not enough memory") != NULL);
    CHECK(strstr(s.print, "still here") != NULL);
    mw_host_free(h);
}

TEST(a_deadline_ends_the_run_with_its_status) {
    struct heard s;
    int status;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    heard_load(h, "require('moonwire').task.wait()");
    CHECK(mw_host_deadline(h, 2000000, 124, "timed out", NULL) == 0);
    mw_host_run(h, &status, NULL);
    CHECK(status == 124);
    CHECK(s.errors == 0);
    mw_host_free(h);
}

static void *interrupt(void *ud) {
    mw_host_interrupt(ud, 130, "interrupted");
    return NULL;
}

TEST(an_interrupt_from_another_thread_ends_a_sleeping_host) {
    struct heard s;
    pthread_t thread;
    int status;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    heard_load(h, "require('moonwire').task.wait()");
    mw_host_step(h, 0, NULL, NULL);
    REQUIRE(pthread_create(&thread, NULL, interrupt, h) == 0);
    mw_host_run(h, &status, NULL);
    pthread_join(thread, NULL);
    CHECK(status == 130);
    mw_host_free(h);
}

TEST(exit_runs_cleanup_first_and_gives_its_status) {
    struct heard s;
    int status;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    heard_load(h, "local mw = require('moonwire') local x <close> = setmetatable({}, {__close = function() print('bye') end}) mw.exit(7) print('never')");
    mw_host_run(h, &status, NULL);
    CHECK(status == 7);
    CHECK(strcmp(s.print, "bye\n") == 0);
    mw_host_free(h);
}

TEST(a_step_stops_at_its_budget_and_says_who_is_left) {
    struct heard s;
    struct mw_step st;
    mw_host *h = make(&s);
    REQUIRE(h != NULL);
    heard_load(h, "local t = require('moonwire').task for i = 1, 3 do t.spawn(function() while true do t.pass() end end) end");
    for (int i = 0; i < 3; i++) mw_host_step(h, 100, &st, NULL);
    CHECK(st.alive == 1);
    CHECK(st.ready > 0);
    mw_host_free(h);
}

static void done(void *ud) {
    *(int *)ud = 1;
}

TEST(a_host_on_a_borrowed_loop_runs_with_it_and_closes_over_its_turns) {
    struct heard s;
    uv_loop_t loop;
    uv_timer_t theirs;
    int closed = 0;
    mw_host *h;

    REQUIRE(uv_loop_init(&loop) == 0);
    uv_timer_init(&loop, &theirs);
    h = make_on(&loop, &s, 0);
    REQUIRE(h != NULL);
    heard_load(h, "local mw = require('moonwire') local x <close> = setmetatable({}, {__close = function() print('closed') end}) print('on') mw.task.wait()");
    for (int i = 0; i < 5; i++) uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(strcmp(s.print, "on\n") == 0);
    CHECK(mw_host_close(h, done, &closed, NULL) == 0);
    for (int i = 0; i < 10000 && !closed; i++) uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(closed == 1);
    CHECK(strcmp(s.print, "on\nclosed\n") == 0);
    CHECK(!uv_is_closing((uv_handle_t *)&theirs)); /* only ours were closed */
    uv_close((uv_handle_t *)&theirs, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
}
