/* The session of the prompt as a front has it: calls in, messages and text out.
 * Knows: moonwire.h. Never: a terminal; how long something takes. */
#include "support/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "moonwire.h"

struct front {
    mw_host *h;
    char print[8192], done_prompt[16];
    int errors, done, exited;
    atomic_int on;              /* a line has said that it runs */
    int64_t code;
    mw_buf args, answer;
};

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    struct front *f = ud;
    (void)h;
    snprintf(f->print + strlen(f->print), sizeof f->print - strlen(f->print), "%.*s", (int)len, text);
    if (strstr(f->print, "on\n") != NULL) atomic_store(&f->on, 1);
}
static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    (void)h;
    (void)traceback;
    printf("# %s\n", err->message);
    ((struct front *)ud)->errors++;
}
static void on_message(mw_host *h, const char *topic, const void *msgpack, size_t len, void *ud) {
    struct front *f = ud;
    mw_view v = { msgpack, len }, field;
    (void)h;

    if (strcmp(topic, "repl.done") == 0) f->done++;
    if (strcmp(topic, "repl.exit") != 0) return;
    f->exited = 1;
    if (mw_view_find(&v, "code", &field) == 0) mw_view_integer(&field, &f->code);
}

static int begin(struct front *f, int terminal) {
    struct mw_config cfg;
    struct mw_err err;

    memset(f, 0, sizeof *f);
    mw_config_init(&cfg);
    cfg.on_print = on_print;
    cfg.on_error = on_error;
    cfg.on_message = on_message;
    cfg.ud = f;
#ifndef __SANITIZE_THREAD__ /* which keeps signals back from a loop */
    cfg.preempt = MW_PREEMPT_TIMER;
    cfg.limits.step_ns = MW_LIMIT_OFF;
#endif
    cfg.limits.memory = 32 << 20;
    if (mw_host_new(&cfg, &f->h, &err) != 0) return printf("# %s\n", err.message), 0;
    mw_buf_map(&f->args, 2);
    mw_buf_text(&f->args, "terminal");
    mw_buf_boolean(&f->args, terminal);
    mw_buf_text(&f->args, "columns");
    mw_buf_integer(&f->args, 60);
    if (mw_host_post(f->h, "repl.options", f->args.at, f->args.len, &err) != 0) return printf("# %s\n", err.message), 0;
    mw_buf_clear(&f->args);
    if (mw_host_start_module(f->h, "moonwire.repl", "main", &err) != 0) return printf("# %s\n", err.message), 0;
    for (int i = 0; i < 3; i++) mw_host_step(f->h, 0, NULL, NULL);
    return 1;
}
static void end(struct front *f) {
    mw_buf_free(&f->args);
    mw_buf_free(&f->answer);
    mw_host_free(f->h);
}

/* The first result as text: a string, or "true" and "false". */
static const char *call(struct front *f, const char *name, const char *text) {
    static char word[64];
    const char *at;
    struct mw_err err;
    size_t len;
    mw_view v;
    int yes;

    mw_buf_clear(&f->answer);
    mw_buf_clear(&f->args);
    if (text != NULL) mw_buf_text(&f->args, text);
    if (mw_host_call(f->h, name, f->args.at, f->args.len, &f->answer, &err) != 0) return printf("# %s\n", err.message), "failed";
    v = (mw_view){ f->answer.at, f->answer.len };
    if (f->answer.len == 0) return "";
    if (mw_view_type(&v) == MW_TYPE_BOOLEAN) return mw_view_boolean(&v, &yes) == 0 && yes ? "true" : "false";
    if (mw_view_string(&v, &at, &len) < 0) return "?";
    snprintf(word, sizeof word, "%.*s", (int)len, at);
    return word;
}
static void until_done(struct front *f) {
    struct mw_step st;
    int was = f->done;
    while (f->done == was && !f->exited) mw_host_run_once(f->h, -1, &st, NULL);
}
static void line(struct front *f, const char *text) {
    int was = f->done;
    f->print[0] = 0;
    CHECK_STR(call(f, "repl.submit", text), "run");
    if (f->done == was) until_done(f);
}

TEST(lines_are_run_and_answered) {
    struct front f;
    int status = -1;

    REQUIRE(begin(&f, 1));
    line(&f, "1 + 1");
    CHECK_STR(f.print, "2\n");
    line(&f, "local a = _ * 21");
    CHECK_STR(f.print, "");
    line(&f, "a");
    CHECK_STR(f.print, "42\n");
    CHECK_STR(call(&f, "repl.submit", "for i = 1, 2 do"), "more");
    CHECK_STR(call(&f, "repl.submit", ""), "empty");
    CHECK_STR(call(&f, "repl.cancel", NULL), "false");
    line(&f, "error 'no'");
    CHECK_STR(f.print, "error: no\n");
    CHECK_STR(call(&f, "repl.leave", NULL), "");
    CHECK(mw_host_run(f.h, &status, NULL) == 0);
    CHECK_INT(f.exited, 1);
    CHECK_INT((int)f.code, 0);
    CHECK_INT(f.errors, 0);
    end(&f);
}

TEST(a_line_that_waits_is_cancelled_or_goes_behind) {
    struct front f;

    REQUIRE(begin(&f, 1));
    f.print[0] = 0;
    CHECK_STR(call(&f, "repl.submit", "mw.task.wait()"), "run");
    mw_host_step(f.h, 0, NULL, NULL);
    CHECK_STR(call(&f, "repl.cancel", NULL), "true");
    until_done(&f);
    CHECK_STR(f.print, "interrupted\n");
    CHECK_STR(call(&f, "repl.submit", "mw.task.wait()"), "run");
    mw_host_step(f.h, 0, NULL, NULL);
    CHECK_STR(call(&f, "repl.background", NULL), "true");
    CHECK_INT(f.done, 2);
    line(&f, "'here'");
    CHECK_STR(f.print, "\"here\"\n");
    end(&f);
}

/* Breaks the line once it runs, and says so no more: what comes after it may need its time. */
struct breaker {
    mw_host *h;
    atomic_int *on;
};
static void *break_once(void *ud) {
    struct breaker *it = ud;
    const struct timespec some = { 0, 1000000 };

    while (!atomic_load(it->on) || !mw_host_break(it->h)) nanosleep(&some, NULL);
    return NULL;
}

static void broken(struct front *f, const char *text) {
    struct breaker it = { f->h, &f->on };
    pthread_t thread;
    char all[512];

    snprintf(all, sizeof all, "print 'on' %s", text);
    atomic_store(&f->on, 0);
    REQUIRE(pthread_create(&thread, NULL, break_once, &it) == 0);
    line(f, all);
    pthread_join(thread, NULL);
    CHECK_STR(f->print, "on\ninterrupted\n");
}

TEST(a_line_that_computes_without_end_is_broken_and_the_session_lives) {
    struct front f;

    REQUIRE(begin(&f, 1));
    line(&f, "mw.task.spawn(function() while true do mw.task.sleep(0.001) ticks = (ticks or 0) + 1 end end)");
    broken(&f, "while true do end");
    broken(&f, "while true do pcall(function() while true do end end) end");
    broken(&f, "; ('a'):rep(40):find(('a?'):rep(40) .. ('.-'):rep(20) .. 'b')");
    broken(&f, "setmetatable({}, { __index = function(t, k) return t[k .. 'x'] end }).a = 1 repeat local x = #('x'):rep(100) until false");
    line(&f, "local was = ticks repeat mw.task.sleep(0.001) until ticks > was return true");
    CHECK_STR(f.print, "true\n");
    CHECK_INT(f.errors, 0);
    end(&f);
}

TEST(a_line_that_fills_the_memory_ends_and_the_session_lives) {
    struct front f;

    REQUIRE(begin(&f, 1));
    for (int i = 0; i < 3; i++) {
        line(&f, "local t = {} while true do t[#t + 1] = { #t } end");
        CHECK(strstr(f.print, "not enough memory") != NULL);
        line(&f, "local s = 'x' while true do s = s .. s end");
        CHECK(strstr(f.print, "not enough memory") != NULL);
        line(&f, "1 + 1");
        CHECK_STR(f.print, "2\n");
    }
    CHECK_INT(f.errors, 0);
    end(&f);
}

TEST(an_exit_has_its_code_and_cleans_up) {
    struct front f;
    int status = -1;

    REQUIRE(begin(&f, 1));
    line(&f, "local c <close> = setmetatable({}, { __close = function() print 'closed' end })");
    f.print[0] = 0;
    call(&f, "repl.submit", ".exit 7");
    CHECK(mw_host_run(f.h, &status, NULL) == 0);
    CHECK_INT(f.exited, 1);
    CHECK_INT((int)f.code, 7);
    CHECK_STR(f.print, "closed\n");
    end(&f);
}

TEST(what_exits_the_host_closes_the_session_first) {
    struct front f;
    int status = -1;

    REQUIRE(begin(&f, 1));
    line(&f, "local c <close> = setmetatable({}, { __close = function() print 'closed' end })");
    f.print[0] = 0;
    call(&f, "repl.submit", "mw.exit(9)");
    CHECK(mw_host_run(f.h, &status, NULL) == 0);
    CHECK_INT(status, 9);
    CHECK_STR(f.print, "closed\n");
    end(&f);
}

TEST(a_host_that_is_freed_under_a_session_leaks_nothing) {
    struct front f;

    REQUIRE(begin(&f, 0));
    CHECK_STR(call(&f, "repl.submit", "mw.task.wait()"), "run");
    mw_host_step(f.h, 0, NULL, NULL);
    end(&f);
    REQUIRE(begin(&f, 0));
    CHECK_STR(call(&f, "repl.submit", "while true do mw.task.pass() end"), "run");
    mw_host_step(f.h, 0, NULL, NULL);
    end(&f);
}
