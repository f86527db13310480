/* What hooks may not do to the host that calls them, wherever they are called from; a host that is closing and is stepped.
 * Knows: moonwire.h, uv.h (for a borrowed loop). Never: what is under moonwire.h. */
#include "support/check.h"

#include <uv.h>

#include "moonwire.h"

struct seen {
    int calls, closes, gone, rc_step, rc_call;
};

static void gone(void *ud) {
    ((struct seen *)ud)->gone++;
}
static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    struct seen *s = ud;

    (void)text;
    (void)len;
    if (s->closes) {
        CHECK_INT(mw_host_close(h, gone, s, NULL), 0);
        s->closes = 0;
    }
    if (s->calls++ > 0) return;
    s->rc_step = mw_host_step(h, 0, NULL, NULL);
    s->rc_call = mw_host_call(h, "f", NULL, 0, NULL, NULL);
    if (!s->gone) mw_host_free(h);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h;
    (void)level;
    (void)line;
    (void)len;
    (void)ud;
}
static mw_host *make(uv_loop_t *loop, struct seen *s, const char *text) {
    struct mw_config cfg;
    mw_host *h = NULL;

    memset(s, 0, sizeof *s);
    mw_config_init(&cfg);
    cfg.on_print = on_print;
    cfg.on_log = on_log;
    cfg.ud = s;
    cfg.shutdown_ms = 200;
    REQUIRE((loop != NULL ? mw_host_new_on(loop, &cfg, &h, NULL) : mw_host_new(&cfg, &h, NULL)) == 0);
    CHECK_INT(mw_host_load_string(h, text, strlen(text), "=test", NULL), 0);
    return h;
}

static int nothing(mw_host *h, mw_call *call, void *ud) {
    (void)h;
    (void)call;
    (void)ud;
    return 0;
}
static void by_registering(mw_host *h, int i) {
    char name[32];
    snprintf(name, sizeof name, "f%d", i);
    CHECK_INT(mw_host_register(h, name, nothing, NULL, NULL), 0);
}
static void by_checking(mw_host *h, int i) {
    (void)i;
    CHECK_INT(mw_host_check(h, "x = 1", 5, "=check", NULL), 0);
}

TEST(a_finalizer_of_what_became_garbage_between_steps_prints_in_the_next_and_is_in_a_hook_as_well) {
    static void (*const ways[])(mw_host *, int) = {by_registering, by_checking};

    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        struct seen s;
        mw_host *h = make(NULL, &s, "function f() end kept = setmetatable({}, {__gc = function() print() end }) function drop() kept = nil end");

        CHECK_INT(mw_host_step(h, 0, NULL, NULL), 0);
        CHECK_INT(mw_host_call(h, "drop", NULL, 0, NULL, NULL), 0);
        for (int i = 0; i < 100000 && s.calls == 0; i++) {
            ways[way](h, i);
            CHECK_INT(s.calls, 0);
            if (i % 100 == 99) CHECK_INT(mw_host_step(h, 0, NULL, NULL), 0);
        }
        CHECK(s.calls > 0);
        CHECK_INT(s.rc_step, MW_EINVAL);
        CHECK_INT(s.rc_call, MW_EINVAL);
        mw_host_free(h);
    }
}

#define CLEANS "local mw = require 'moonwire' local c <close> = setmetatable({}, { __close = function() mw.task.sleep(0.01) end }) "

TEST(a_host_that_is_closing_is_not_stepped_any_more_and_ends) {
    struct seen s;
    uv_loop_t loop;
    int status;
    mw_host *h;

    REQUIRE(uv_loop_init(&loop) == 0);
    h = make(&loop, &s, CLEANS "mw.task.wait()");
    CHECK_INT(mw_host_step(h, 0, NULL, NULL), 0);
    CHECK_INT(mw_host_close(h, gone, &s, NULL), 0);
    CHECK_INT(mw_host_step(h, 0, NULL, NULL), MW_ECLOSED);
    CHECK_INT(mw_host_step(h, 1000, NULL, NULL), MW_ECLOSED);
    CHECK_INT(mw_host_run_once(h, 0, NULL, NULL), MW_ECLOSED);
    CHECK_INT(mw_host_run(h, &status, NULL), MW_ECLOSED);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(s.gone, 1);
    CHECK(uv_loop_close(&loop) == 0);
}

TEST(a_hook_may_close_its_host_inside_a_step_or_a_run) {
    for (int way = 0; way < 4; way++) {
        struct seen s;
        uv_loop_t loop;
        int status;
        mw_host *h;

        REQUIRE(uv_loop_init(&loop) == 0);
        h = make(&loop, &s, CLEANS "print() mw.task.wait()");
        s.closes = s.calls = 1;
        if (way == 0) CHECK_INT(mw_host_run(h, &status, NULL), 0);
        else if (way == 1) CHECK_INT(mw_host_step(h, 0, NULL, NULL), 0);
        else if (way == 2) CHECK_INT(mw_host_step(h, 1000, NULL, NULL), 0);
        else CHECK_INT(mw_host_run_once(h, 100, NULL, NULL), 0);
        CHECK_INT(s.gone, 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        CHECK_INT(s.gone, 1);
        CHECK(uv_loop_close(&loop) == 0);
    }
}
