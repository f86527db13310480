/* Calls between an engine and its script: registered functions with typed arguments, and functions of the script's.
 * Knows: moonwire.h. Never: what is under moonwire.h. */
#include "support/heard.h"

static mw_host *make_with(struct heard *s, const struct mw_limits *limits, enum mw_preempt preempt) {
    struct mw_config cfg = heard_config(s, 200);

    memset(s, 0, sizeof *s);
    cfg.preempt = preempt;
    if (limits != NULL) cfg.limits = *limits;
    return heard_host(&cfg, NULL);
}
static mw_host *make(struct heard *s) {
    return make_with(s, NULL, MW_PREEMPT_DEFAULT);
}
static void run(mw_host *h, const char *text) {
    heard_load(h, text);
    for (int i = 0; i < 3; i++) CHECK_INT(mw_host_step(h, 0, NULL, NULL), 0);
}

/* ---- The engine's functions -------------------------------------------------------------------------------------------- */

static int raycast(mw_host *h, mw_call *call, void *ud) {
    double x, y;
    int rc;

    (void)h;
    ++*(int *)ud;
    if ((rc = mw_arg_number(call, 1, &x)) < 0 || (rc = mw_arg_number(call, 2, &y)) < 0) return rc;
    if (x < 0) return mw_call_fail(call, MW_ENOENT, "no such player");
    mw_return_boolean(call, 1);
    mw_return_number(call, x + y);
    mw_return_nil(call);
    mw_return_integer(call, 7);
    return mw_return_string(call, "w\0ll", 4);
}

TEST(a_registered_function_takes_arguments_and_gives_results) {
    struct heard s;
    int calls = 0;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    CHECK_INT(mw_host_register(h, "raycast", raycast, &calls, NULL), 0);
    run(h, MW "local a, b, c, d, e = mw.host.raycast(1.5, 2) print(a, b, c, d, #e) print(select('#', mw.host.raycast(1, 2)))");
    CHECK_STR(s.print, "true\t3.5\tnil\t7\t4\n5\n");
    CHECK_INT(calls, 2);
    mw_host_free(h);
}

TEST(a_bad_argument_is_told_as_lua_tells_it_and_a_failure_is_nil_and_an_error) {
    struct heard s;
    int calls = 0;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    mw_host_register(h, "raycast", raycast, &calls, NULL);
    run(h, MW "print(select(2, pcall(mw.host.raycast))) print(select(2, pcall(mw.host.raycast, 1, '2')))"
              " local ok, e = mw.host.raycast(-1, 0) print(ok, e.code, e)"
              " print(select(2, pcall(function() return mw.host.raycats(1) end)))");
    CHECK(strstr(s.print, "bad argument #1 to 'raycast' (number expected, got nil)\n") != NULL);
    CHECK(strstr(s.print, "bad argument #2 to 'raycast' (number expected, got string)\n") != NULL);
    CHECK(strstr(s.print, "nil\tENOENT\thost raycast: no such player\n") != NULL);
    CHECK(strstr(s.print, "test:1: host: unknown function \"raycats\"; did you mean \"raycast\"?") != NULL);
    CHECK_INT(s.errors, 0);
    mw_host_free(h);
}

static int types(mw_host *h, mw_call *call, void *ud) {
    static const char *const names[] = {"nil", "boolean", "integer", "number", "string", "array", "map", "ext"};
    char out[256] = "";

    (void)h;
    (void)ud;
    for (int i = 0; i <= mw_arg_count(call) + 1; i++) {
        int type = mw_arg_type(call, i);
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s ", type < 0 ? mw_err_name(type) : names[type]);
    }
    return mw_return_string(call, out, strlen(out));
}

TEST(the_type_of_an_argument_is_the_one_that_would_be_sent) {
    struct heard s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    mw_host_register(h, "types", types, NULL, NULL);
    run(h, MW "print(mw.host.types(nil, true, 1, 1.5, 'x', { 1 }, { a = 1 }, {}, mw.json.array {}, mw.msgpack.ext(1, 'x'), mw.null, print))");
    CHECK_STR(s.print, "nil nil boolean integer number string array map map array ext nil EINVAL nil \n");
    mw_host_free(h);
}

static int typed(mw_host *h, mw_call *call, void *ud) {
    const char *text;
    int64_t i;
    size_t len;
    int b, rc;

    (void)h;
    (void)ud;
    if ((rc = mw_arg_boolean(call, 1, &b)) < 0) return rc;
    if ((rc = mw_arg_integer(call, 2, &i)) < 0) return rc;
    if ((rc = mw_arg_string(call, 3, &text, &len)) < 0) return rc;
    CHECK(text[len] == 0);
    CHECK_INT(mw_arg_string(call, 3, &text, NULL), 0);
    return mw_return_integer(call, i + b + (int64_t)len);
}

TEST(each_typed_argument_takes_its_own_type_only) {
    struct heard s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    mw_host_register(h, "typed", typed, NULL, NULL);
    run(h, MW "local f = mw.host.typed print(f(true, 5.0, 'a\\0b')) for _, a in ipairs { { 1, 1, '' }, { true, 1.5, '' }, { true, '1', '' }, { true, 1, 2 }, { true, mw.null, '' } } do"
              " print((select(2, pcall(f, table.unpack(a))).message)) end");
    CHECK_STR(s.print, "9\nbad argument #1 to 'typed' (boolean expected, got number)\nbad argument #2 to 'typed' (number has no integer representation)\n"
                       "bad argument #2 to 'typed' (number expected, got string)\nbad argument #3 to 'typed' (string expected, got number)\n"
                       "bad argument #2 to 'typed' (number expected, got null)\n");
    mw_host_free(h);
}

/* Gives back its arguments, taken in the wrong order and some twice, between results. */
static int echo(mw_host *h, mw_call *call, void *ud) {
    mw_view v[8], again;
    int n = mw_arg_count(call), rc;

    (void)h;
    (void)ud;
    if ((rc = mw_return_integer(call, n)) < 0) return rc;
    for (int i = n; i >= 1; i--)
        if ((rc = mw_arg_value(call, i, &v[i])) < 0) return rc;
    for (int i = 1; i <= n; i++) {
        if ((rc = mw_arg_value(call, i, &again)) < 0) return rc;
        CHECK(again.len == v[i].len && memcmp(again.at, v[i].at, again.len) == 0);
        if ((rc = mw_return_value(call, v[i].at, v[i].len)) < 0) return rc;
    }
    return 0;
}

TEST(any_value_comes_as_messagepack_and_goes_back_as_it) {
    struct heard s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    mw_host_register(h, "echo", echo, NULL, NULL);
    run(h, MW "local n, a, b, c, d, e = mw.host.echo({ 1, { x = mw.null } }, nil, 'text', 2.0, -5) print(n, a[2].x == mw.null, b, c, d, e)"
              " local ok, err = pcall(mw.host.echo, { a = { 1, print } }) print(ok, err.message)");
    CHECK_STR(s.print, "5\ttrue\tnil\ttext\t2.0\t-5\nfalse\tbad argument #1 to 'echo' (a[2]: a function cannot be written)\n");
    mw_host_free(h);
}

static int bad_value(mw_host *h, mw_call *call, void *ud) {
    (void)h;
    (void)ud;
    mw_return_integer(call, 1);
    return mw_return_value(call, "\x92\x01", 2);
}
static int code_alone(mw_host *h, mw_call *call, void *ud) {
    (void)h;
    (void)call;
    return *(int *)ud;
}

TEST(a_code_alone_becomes_an_error_and_some_codes_are_raised) {
    struct heard s;
    int codes[] = {MW_ETIMEDOUT, MW_EDENIED, MW_EINVAL, MW_ECANCELED};
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    mw_host_register(h, "late", code_alone, &codes[0], NULL);
    mw_host_register(h, "denied", code_alone, &codes[1], NULL);
    mw_host_register(h, "invalid", code_alone, &codes[2], NULL);
    mw_host_register(h, "cancelled", code_alone, &codes[3], NULL);
    mw_host_register(h, "bad", bad_value, NULL, NULL);
    run(h, MW "for _, n in ipairs { 'late', 'denied', 'invalid', 'cancelled', 'bad' } do local ok, a, b = pcall(mw.host[n]) print(n, ok, (ok and b or a).code) end");
    CHECK_STR(s.print, "late\ttrue\tETIMEDOUT\ndenied\tfalse\tEDENIED\ninvalid\tfalse\tEINVAL\ncancelled\tfalse\tECANCELED\nbad\ttrue\tEPARSE\n");
    mw_host_free(h);
}

TEST(a_function_registered_again_is_the_new_one_everywhere_and_one_taken_away_is_gone) {
    struct heard s;
    int late = MW_ETIMEDOUT;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    CHECK_INT(mw_host_register(h, "f", types, NULL, NULL), 0);
    run(h, MW "f = mw.host.f mw.host.on('try', function() print(pcall(f, 1)) print(pcall(function() return mw.host.f end)) end)");
    CHECK_INT(mw_host_register(h, "f", code_alone, &late, NULL), 0);
    mw_host_post(h, "try", NULL, 0, NULL);
    mw_host_step(h, 0, NULL, NULL);
    CHECK(strstr(s.print, "true\tnil\thost f: ") == s.print);
    memset(s.print, 0, sizeof s.print);
    CHECK_INT(mw_host_register(h, "f", NULL, NULL, NULL), 0);
    CHECK_INT(mw_host_register(h, "never", NULL, NULL, NULL), 0);
    mw_host_post(h, "try", NULL, 0, NULL);
    mw_host_step(h, 0, NULL, NULL);
    CHECK(strstr(s.print, "taken this function away") != NULL);
    CHECK(strstr(s.print, "unknown function \"f\"") != NULL);
    mw_host_free(h);
}

TEST(a_name_is_letters_digits_and_underscores_and_none_of_mw_hosts_own) {
    static const char *const bad[] = {"", "a.b", "a b", "on", "emit", "handle", "functions", "\xc3\xa9"};
    struct heard s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_INT(mw_host_register(h, bad[i], types, NULL, NULL), MW_EINVAL);
    CHECK_INT(mw_host_register(h, NULL, types, NULL, NULL), MW_EINVAL);
    CHECK_INT(mw_host_call(h, NULL, NULL, 0, NULL, NULL), MW_EINVAL);
    CHECK_INT(mw_host_register(h, "_1a", types, NULL, NULL), 0);
    run(h, MW "local n = {} for k in pairs(mw.host) do n[#n + 1] = k end table.sort(n) print(table.concat(n, ' '))");
    CHECK_STR(s.print, "_1a emit functions handle on use\n");
    mw_host_free(h);
}

static int busy(mw_host *h, mw_call *call, void *ud) {
    struct mw_step st;

    CHECK_INT(mw_host_post(h, "posted", NULL, 0, NULL), 0);
    CHECK_INT(mw_host_register(h, "another", types, NULL, NULL), 0);
    CHECK_INT(mw_host_register(h, "busy", busy, ud, NULL), 0); /* itself */
    CHECK_INT(mw_host_step(h, 0, &st, NULL), MW_EINVAL);
    CHECK_INT(mw_host_run_once(h, 0, &st, NULL), MW_EINVAL);
    CHECK_INT(mw_host_call(h, "print", NULL, 0, NULL, NULL), MW_EINVAL);
    CHECK_INT(mw_host_load_string(h, "print('loaded')", 15, "=loaded", NULL), 0);
    if (ud != NULL) mw_host_interrupt(h, 5, "enough");
    return mw_return_boolean(call, 1);
}

TEST(a_registered_function_may_use_the_host_but_not_turn_it) {
    struct heard s;
    int status;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    mw_host_register(h, "busy", busy, NULL, NULL);
    run(h, MW "mw.host.on('posted', function() print('posted') end) print(mw.host.busy()) print(mw.host.another())");
    CHECK(strstr(s.print, "true\nnil nil \n") == s.print);
    CHECK(strstr(s.print, "posted\n") != NULL && strstr(s.print, "loaded\n") != NULL);
    mw_host_register(h, "busy", busy, &s, NULL);
    mw_host_load_string(h, MW "mw.host.busy() mw.task.sleep(10) print 'not reached'", strlen(MW "mw.host.busy() mw.task.sleep(10) print 'not reached'"), "=again", NULL);
    CHECK_INT(mw_host_run(h, &status, NULL), 0);
    CHECK_INT(status, 5);
    CHECK(strstr(s.print, "not reached") == NULL);
    mw_host_free(h);
}

TEST(a_function_is_called_from_coroutines_closers_and_finalizers_until_the_state_is_closed) {
    struct heard s;
    int calls = 0;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    mw_host_register(h, "raycast", raycast, &calls, NULL);
    run(h, MW "coroutine.wrap(function() mw.host.raycast(1, 1) end)() "
              "do local c <close> = setmetatable({}, { __close = function() mw.host.raycast(1, 1) end }) end "
              "setmetatable({}, { __gc = function() mw.host.raycast(1, 1) end }) collectgarbage() "
              "table.sort({ 3, 2, 1 }, function(a, b) mw.host.raycast(1, 1) return a < b end) "
              "late = setmetatable({}, { __gc = function() mw.host.raycast(1, 1) end })");
    CHECK(calls >= 5);
    calls = 0;
    mw_host_free(h);
    CHECK_INT(calls, 0);
}

static int big(mw_host *h, mw_call *call, void *ud) {
    static char text[3 << 20];
    mw_view v;
    int rc;

    (void)h;
    (void)ud;
    for (int i = 0; (rc = mw_arg_value(call, 1, &v)) == 0 && i < 10; i++) {} /* copies of it are too much */
    CHECK_INT(rc, MW_ELIMIT);
    rc = mw_return_string(call, text, sizeof text);
    CHECK_INT(rc, MW_ELIMIT);
    return rc;
}

TEST(no_memory_for_a_result_is_a_code_and_not_the_end) {
    struct heard s;
    struct mw_limits limits = {.memory = 4u << 20};
    mw_host *h = make_with(&s, &limits, MW_PREEMPT_DEFAULT);

    REQUIRE(h != NULL);
    mw_host_register(h, "big", big, NULL, NULL);
    run(h, MW "local t = ('x'):rep(1000000) local ok, e = mw.host.big(t) print(ok, e.code)");
    CHECK_STR(s.print, "nil\tELIMIT\n");
    mw_host_free(h);
}

/* ---- The script's functions ----------------------------------------------------------------------------------------------- */

static int call(mw_host *h, const char *name, const mw_buf *in, mw_buf *out, struct mw_err *err) {
    return mw_host_call(h, name, in != NULL ? in->at : NULL, in != NULL ? in->len : 0, out, err);
}
static int64_t integer_of(const mw_buf *b) {
    mw_view v = {b->at, b->len};
    int64_t i = -1;
    CHECK_INT(mw_view_integer(&v, &i), 0);
    return i;
}

TEST(a_function_of_the_script_is_called_with_values_and_answers_with_values) {
    struct heard s;
    mw_buf in = {0}, out = {0};
    mw_view v;
    const char *text;
    size_t len;
    int64_t i;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    run(h, MW "function add(a, b) return a + b, nil, 'x' end mw.host.handle('a.b', function(...) return select('#', ...) end)");
    mw_buf_integer(&in, 3), mw_buf_integer(&in, 4);
    CHECK_INT(call(h, "add", &in, &out, NULL), 0);
    v = (mw_view){out.at, out.len};
    CHECK(mw_view_integer(&v, &i) == 0 && i == 7 && mw_view_nil(&v) == 0 && mw_view_string(&v, &text, &len) == 0 && v.len == 0);
    mw_buf_clear(&out);
    mw_buf_nil(&in);
    CHECK_INT(call(h, "a.b", &in, &out, NULL), 0);
    CHECK_INT(integer_of(&out), 3);
    CHECK_INT(call(h, "a.b", NULL, NULL, NULL), 0);
    CHECK_INT(mw_host_call(h, "a.b", "\x92", 1, &out, NULL), MW_EPARSE);
    mw_buf_free(&in);
    mw_buf_free(&out);
    mw_host_free(h);
}

TEST(the_newest_handler_of_a_name_is_called_and_a_closed_one_not) {
    struct heard s;
    struct mw_err err;
    mw_buf out = {0};
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    run(h, MW "function f() return 0 end a = mw.host.handle('f', function() return 1 end) b = mw.host.handle('f', function() return 2 end)");
    CHECK(call(h, "f", NULL, &out, NULL) == 0 && integer_of(&out) == 2);
    mw_buf_clear(&out);
    run(h, "a:close()");
    CHECK(call(h, "f", NULL, &out, NULL) == 0 && integer_of(&out) == 2);
    mw_buf_clear(&out);
    run(h, "b:close()");
    CHECK(call(h, "f", NULL, &out, NULL) == 0 && integer_of(&out) == 0); /* the global */
    run(h, "f = 7");
    CHECK_INT(call(h, "f", NULL, &out, &err), MW_ENOENT);
    CHECK_INT(call(h, "nothing", NULL, &out, &err), MW_ENOENT);
    CHECK_INT(call(h, "", NULL, &out, &err), MW_ENOENT);
    mw_buf_free(&out);
    mw_host_free(h);
}

TEST(an_error_of_the_function_is_the_callers_and_not_the_hooks) {
    struct heard s;
    struct mw_err err;
    mw_buf out = {0};
    int status;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    run(h, MW "function boom() error('boom') end function coded() mw.fail('ENOENT', 'no such thing') end function odd() error({}) end function fn() return 1, { print } end"
              " function gone() mw.exit(3) end");
    CHECK_INT(call(h, "boom", NULL, &out, &err), MW_ELUA);
    CHECK(strstr(err.message, "test:1: boom") != NULL);
    CHECK_INT(call(h, "coded", NULL, &out, &err), MW_ENOENT);
    CHECK(strstr(err.message, "no such thing") != NULL);
    CHECK_INT(call(h, "odd", NULL, &out, NULL), MW_ELUA);
    CHECK_INT(call(h, "fn", NULL, &out, &err), MW_EINVAL);
    CHECK(strstr(err.message, "result 2: [1]: a function cannot be written") != NULL);
    CHECK_INT(out.len, 0);
    CHECK_INT(s.errors, 0);
    CHECK_INT(call(h, "gone", NULL, &out, &err), MW_ECANCELED);
    CHECK_INT(mw_host_run(h, &status, NULL), 0);
    CHECK_INT(status, 3);
    mw_buf_free(&out);
    mw_host_free(h);
}

TEST(what_waits_is_refused_and_cleans_up_in_the_next_step) {
    struct heard s;
    struct mw_err err;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    run(h, MW "function waits() local c <close> = setmetatable({}, { __close = function() print('closed') end }) mw.task.sleep(1) print('never') end"
              " function passes() mw.task.pass() print('never') mw.task.pass() print('never') end");
    CHECK_INT(call(h, "waits", NULL, NULL, &err), MW_EAGAIN);
    CHECK(strstr(err.message, "mw_host_post") != NULL);
    CHECK_STR(s.print, "");
    mw_host_step(h, 0, NULL, NULL);
    CHECK_STR(s.print, "closed\n");
    CHECK_INT(call(h, "passes", NULL, NULL, &err), MW_EAGAIN);
    mw_host_step(h, 0, NULL, NULL);
    CHECK_INT(s.errors, 0);
    mw_host_free(h);
}

TEST(a_called_function_may_start_tasks_that_go_on) {
    struct heard s;
    mw_buf out = {0};
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    run(h, MW "function start() mw.task.spawn(function() mw.task.pass() print('spawned') end) return 1 end");
    CHECK_INT(call(h, "start", NULL, &out, NULL), 0);
    CHECK_STR(s.print, "");
    CHECK_INT(mw_host_timeout_ms(h), 0); /* somebody is ready */
    for (int i = 0; i < 3; i++) mw_host_step(h, 0, NULL, NULL);
    CHECK_STR(s.print, "spawned\n");
    mw_buf_free(&out);
    mw_host_free(h);
}

TEST(a_call_that_computes_for_too_long_is_ended_by_the_limit_of_a_step) {
    static const enum mw_preempt how[] = {
        MW_PREEMPT_COUNT,
#ifndef __SANITIZE_THREAD__ /* which keeps signals back from a loop */
        MW_PREEMPT_TIMER,
#endif
    };

    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        struct heard s;
        struct mw_limits limits = {.step_ns = 50000000};
        struct mw_err err;
        mw_buf out = {0};
        mw_host *h = make_with(&s, &limits, how[i]);
        REQUIRE(h != NULL);
        run(h, "function forever() while true do end end function long() local to = os.clock() + 0.02 while os.clock() < to do end return 5 end");
        CHECK_INT(call(h, "forever", NULL, NULL, &err), MW_ELIMIT);
        CHECK(call(h, "long", NULL, &out, &err) == 0 && integer_of(&out) == 5);
        mw_buf_free(&out);
        mw_host_free(h);
    }
}

TEST(a_call_that_fails_while_its_results_are_taken_adds_none_of_them) {
    struct mw_limits limits = {.step_ns = 3000000};
    struct heard s;
    mw_host *h = make_with(&s, &limits, MW_PREEMPT_TIMER);
    mw_buf out = {0};
    mw_view all;

    REQUIRE(h != NULL);
    run(h, MW "local long = {} mw.host.handle('fill', function() for _ = 1, 3000 do long[#long + 1] = #long end end)"
              " mw.host.handle('long', function() return long end)");
    for (int i = 0; i < 100; i++) mw_host_call(h, "fill", NULL, 0, NULL, NULL);
    for (int i = 0; i < 120; i++) {
        size_t before;
        int rc;

        mw_buf_clear(&out);
        mw_buf_text(&out, "kept");
        before = out.len;
        rc = mw_host_call(h, "long", NULL, 0, &out, NULL);
        CHECK_INT(rc == 0, out.len > before);
        all = (mw_view){out.at, out.len};
        while (all.len > 0) REQUIRE(mw_view_skip(&all) == 0);
    }
    mw_buf_free(&out);
    mw_host_free(h);
}

TEST(no_call_comes_between_the_two_halves_of_what_a_budget_cut_off) {
    struct heard s;
    struct mw_err err;
    struct mw_step st;
    const char *script = "function f() n = -1 end n = 0 local to = os.clock() + 0.02 while os.clock() < to do n = n + 1 assert(n > 0) end done = true";
    int refused = 0;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    CHECK_INT(mw_host_load_string(h, script, strlen(script), "=test", NULL), 0);
    do {
        CHECK_INT(mw_host_step(h, 1000, &st, NULL), 0);
        if (st.alive && call(h, "f", NULL, NULL, &err) == MW_EAGAIN) refused++;
    } while (st.alive);
    CHECK(refused > 0);
    CHECK_INT(s.errors, 0);
    CHECK_INT(call(h, "f", NULL, NULL, &err), 0);
    mw_host_free(h);
}

TEST(a_call_before_the_script_or_after_its_end_does_what_it_can) {
    struct heard s;
    struct mw_err err;
    int status;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    CHECK_INT(call(h, "f", NULL, NULL, &err), MW_ENOENT);
    run(h, "function f() print('f') end");
    CHECK_INT(mw_host_run(h, &status, NULL), 0);
    CHECK_INT(call(h, "f", NULL, NULL, &err), 0);
    mw_host_interrupt(h, 1, "stop");
    mw_host_step(h, 0, NULL, NULL);
    CHECK_INT(call(h, "f", NULL, NULL, &err), MW_ECANCELED);
    CHECK_STR(s.print, "f\n");
    mw_host_free(h);
}

TEST(calls_go_both_ways_a_thousand_times_and_nothing_is_left) {
    struct heard s;
    int calls = 0;
    mw_buf in = {0}, out = {0};
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    mw_host_register(h, "raycast", raycast, &calls, NULL);
    run(h, MW "function both(x) local ok, d = mw.host.raycast(x, 1) return d end");
    for (int i = 0; i < 1000; i++) {
        mw_view v;
        double d = 0;
        mw_buf_clear(&in), mw_buf_clear(&out);
        mw_buf_integer(&in, i);
        CHECK_INT(call(h, "both", &in, &out, NULL), 0);
        v = (mw_view){out.at, out.len};
        CHECK(mw_view_number(&v, &d) == 0 && d == i + 1.0);
    }
    CHECK_INT(calls, 1000);
    mw_buf_free(&in);
    mw_buf_free(&out);
    mw_host_free(h);
}
