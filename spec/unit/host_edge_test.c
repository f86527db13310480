/* Hosts whose scripts and embedders do what nobody should: exits in odd places, endless cleanup, calls from hooks.
 * Knows: moonwire.h, uv.h (for a borrowed loop). Never: what is under moonwire.h. */
#include "support/heard.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

struct seen {
    struct heard heard;
    int (*in_print)(mw_host *h, struct mw_err *err);
    int rc;
};

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    struct seen *s = ud;
    heard_print(h, text, len, ud);
    if (s->in_print != NULL) s->rc = s->in_print(h, NULL);
}

static mw_host *make_on(uv_loop_t *loop, struct seen *s) {
    struct mw_config cfg = heard_config(s, 50);

    memset(s, 0, sizeof *s);
    cfg.on_print = on_print;
    return heard_host(&cfg, loop);
}
/* Runs `text` to its end in a host of its own; its status. */
static int run(struct seen *s, const char *text) {
    mw_host *h = make_on(NULL, s);
    int status = -1;

    if (h == NULL || heard_load(h, text) != 0) return -1;
    mw_host_run(h, &status, NULL);
    mw_host_free(h);
    return status;
}
#define CLOSER(body) "local x <close> = setmetatable({}, { __close = function() " body " end }) "

TEST(exit_raises_inside_a_shield_too) {
    struct seen s;
    CHECK(run(&s, MW "mw.task.shield(function() print(select('#', pcall(mw.exit, 3))) mw.exit(4) print('no') end) print('no')") == 3);
    CHECK(strcmp(s.heard.print, "2\n") == 0);
    CHECK(s.heard.errors == 0);
}

TEST(exit_raises_where_nothing_can_wait) {
    struct seen s;
    CHECK(run(&s, MW "local ok, err = pcall(table.sort, {2, 1}, function() mw.exit(5) end) print(ok, err.code)") == 5);
    CHECK(strcmp(s.heard.print, "false\tECANCELED\n") == 0);
}

TEST(an_exit_that_is_swallowed_ends_the_run_all_the_same) {
    struct seen s;
    CHECK(run(&s, MW "pcall(mw.exit, 3) while true do end") == 3);
    CHECK(run(&s, MW "while true do pcall(mw.exit, 3) end") == 3);
    CHECK(run(&s, MW "coroutine.wrap(function() pcall(mw.exit, 3) end)() while true do end") == 3);
    CHECK(run(&s, MW "table.sort({2, 1}, function() pcall(mw.exit, 3) while true do pcall(function() while true do end end) end end)") == 3);
}

TEST(cleanup_that_does_not_come_back_is_ended) {
    struct seen s;
    CHECK(run(&s, MW CLOSER("while true do end") "mw.exit(6)") == 6);
    CHECK(run(&s, MW CLOSER("while true do pcall(function() while true do end end) end") "while true do pcall(mw.task.wait, mw.exit(6)) end") == 6);
    CHECK(run(&s, MW CLOSER("while true do end") "mw.task.spawn(mw.exit, 6) mw.task.shield(mw.task.wait)") == 6);
}

TEST(a_shielded_sleeper_does_not_hold_the_end_of_its_host) {
    struct seen s;
    mw_host *h = make_on(NULL, &s);
    REQUIRE(h != NULL);
    CHECK(heard_load(h, MW "mw.task.shield(function() " CLOSER("print('closed')") "mw.task.sleep('1h') end)") == 0);
    CHECK(mw_host_step(h, 0, NULL, NULL) == 0);
    mw_host_free(h);
    CHECK(strcmp(s.heard.print, "closed\n") == 0);
}

TEST(tasks_that_start_tasks_for_ever_end_with_the_host) {
    struct seen s;
    CHECK(run(&s, MW "local function f() while true do pcall(mw.task.spawn, f) pcall(mw.task.sleep, 0.001) end end "
                     "mw.task.spawn(f) mw.task.sleep(0.005) mw.exit(2)") == 2);
}

TEST(an_error_names_the_task_it_was_raised_in) {
    struct seen s;
    CHECK(run(&s, MW "mw.task.spawn_with({ name = 'fetch\\27er' }, function() local t = nil; t.x = 1 end)") == 1);
    CHECK(strncmp(s.heard.trace, "in task \"fetch\\x1ber\"\nstack traceback:\n\ttest:1: in ", 49) == 0);
    CHECK(run(&s, "error()") == 1);
    CHECK(strcmp(s.heard.error, "nil") == 0);
    CHECK(strncmp(s.heard.trace, "stack traceback:", 16) == 0);
}

TEST(a_traceback_shows_the_scripts_own_lines_only) {
    struct seen s;
    CHECK(run(&s, MW "local function f() mw.fail('EPARSE', 'bad') end\nmw.task.all(function()\nf() end)") == 1);
    CHECK(strcmp(s.heard.error, "bad") == 0);
    CHECK(strstr(s.heard.trace, "moonwire") == NULL);
    CHECK(strstr(s.heard.trace, "[C]") == NULL);
    CHECK(strncmp(s.heard.trace, "stack traceback:\n\ttest:1: in ", 29) == 0);
    CHECK(strstr(s.heard.trace, "\n\ttest:3: in ") != NULL);
    CHECK(s.heard.trace[strlen(s.heard.trace) - 1] != '\n');
    CHECK(run(&s, "error('x')") == 1);
    CHECK(strstr(s.heard.trace, "\t[C]: in function 'error'\n\ttest:1: in ") != NULL);
}

TEST(a_module_without_the_function_is_refused_when_it_is_started) {
    struct seen s;
    mw_host *h = make_on(NULL, &s);
    REQUIRE(h != NULL);
    CHECK(mw_host_start_module(h, "moonwire.task", "nothing", NULL) == MW_ENOENT);
    CHECK(mw_host_start_module(h, "moonwire.nothing", "main", NULL) == MW_ENOENT);
    mw_host_free(h);
}

TEST(a_kind_of_right_that_there_is_not_is_refused) {
    mw_policy *p = NULL;
    REQUIRE(mw_policy_new(&p, NULL) == 0);
    CHECK(mw_policy_add(p, MW_KINDS, MW_ALLOW, NULL, NULL) == MW_EINVAL);
    CHECK(mw_policy_add(p, (enum mw_kind)-1, MW_ALLOW, "/", NULL) == MW_EINVAL);
    CHECK(mw_policy_drop(p, MW_KINDS, NULL, NULL) == MW_EINVAL);
    mw_policy_free(p);
}

static int step_inside(mw_host *h, struct mw_err *err) {
    int status;
    return mw_host_step(h, 0, NULL, err) == MW_EINVAL && mw_host_run_once(h, -1, NULL, err) == MW_EINVAL ? mw_host_run(h, &status, err) : 1;
}
static int free_inside(mw_host *h, struct mw_err *err) {
    (void)err;
    mw_host_free(h);
    return 0;
}
TEST(a_hook_can_neither_turn_its_host_nor_free_it) {
    struct seen s;
    mw_host *h = make_on(NULL, &s);
    int status = -1;

    REQUIRE(h != NULL);
    s.in_print = step_inside;
    CHECK(heard_load(h, "print('first')") == 0);
    CHECK(mw_host_run(h, &status, NULL) == 0);
    CHECK(s.rc == MW_EINVAL);
    s.in_print = free_inside;
    CHECK(heard_load(h, MW "print('second') mw.task.wait()") == 0);
    CHECK(mw_host_run(h, &status, NULL) == 0);
    CHECK(status == 0);
    s.in_print = NULL;
    mw_host_free(h);
}

TEST(a_step_tells_when_to_come_again) {
    struct seen s;
    struct mw_step st;
    mw_host *h = make_on(NULL, &s);

    REQUIRE(h != NULL);
    CHECK(heard_load(h, MW "mw.task.sleep('1ms') mw.task.sleep('1h')") == 0);
    do {
        CHECK(mw_host_step(h, 0, &st, NULL) == 0);
        REQUIRE(st.alive);
        REQUIRE(st.next_timeout_ms >= 0); /* a sleeper there is, always */
    } while (st.next_timeout_ms < 1000);
    mw_host_free(h);
}

TEST(a_script_that_waits_for_ever_names_no_time_to_come_again) {
    struct seen s;
    struct mw_step st;
    mw_host *h = make_on(NULL, &s);

    REQUIRE(h != NULL);
    CHECK(heard_load(h, MW "mw.task.wait()") == 0);
    do CHECK(mw_host_step(h, 0, &st, NULL) == 0);
    while (st.alive && st.next_timeout_ms == 0);
    CHECK_INT(st.alive, 1);
    CHECK_INT(st.next_timeout_ms, -1);
    CHECK_INT(mw_host_timeout_ms(h), -1);
    mw_host_free(h);
}

static void done(void *ud) {
    ++*(int *)ud;
}
TEST(a_host_is_closed_once_and_only_on_a_borrowed_loop) {
    struct seen s;
    uv_loop_t loop;
    int ended = 0;
    mw_host *h = make_on(NULL, &s);

    REQUIRE(h != NULL);
    CHECK(mw_host_close(h, done, &ended, NULL) == MW_EINVAL);
    mw_host_free(h);
    CHECK(uv_loop_init(&loop) == 0);
    h = make_on(&loop, &s);
    REQUIRE(h != NULL);
    CHECK(heard_load(h, MW CLOSER("print('closed')") "mw.task.wait()") == 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(mw_host_close(h, done, &ended, NULL) == 0);
    CHECK(mw_host_close(h, done, &ended, NULL) == MW_EINVAL);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(ended == 1);
    CHECK(strcmp(s.heard.print, "closed\n") == 0);
    CHECK(uv_loop_close(&loop) == 0);
}

/* An allocator that refuses its calls from `from` to `to`. */
struct scarce {
    unsigned long count, from, to;
};
static void *scarce_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    struct scarce *m = ud;

    if (nsize == 0) {
        free(ptr);
        return NULL;
    }
    if (ptr == NULL || nsize > osize) {
        m->count++;
        if (m->count >= m->from && m->count <= m->to) return NULL;
    }
    return realloc(ptr, nsize);
}
static int run_scarce(struct scarce *m) {
    static const char text[] = MW "local task = mw.task local c = task.channel(1) task.spawn(c.send, c, 1) c:recv() local e = task.event() "
                                  "task.spawn_with({ name = 'x' }, e.set, e) e:wait() task.timeout(0, task.wait) "
                                  "local g = coroutine.wrap(function() task.pass() coroutine.yield(1) end) g() task.shield(task.pass)";
    struct mw_config cfg;
    struct seen s;
    mw_host *h = NULL;
    int status = -1;

    memset(&s, 0, sizeof s);
    mw_config_init(&cfg);
    cfg.alloc = scarce_alloc;
    cfg.alloc_ud = m;
    cfg.on_error = heard_error;
    cfg.on_log = heard_log;
    cfg.ud = &s;
    m->count = 0;
    if (mw_host_new(&cfg, &h, NULL) < 0) return -1;
    if (mw_host_load_string(h, text, sizeof text - 1, "=test", NULL) == 0) mw_host_run(h, &status, NULL);
    mw_host_free(h);
    return status;
}
TEST(lua_memory_that_ends_at_any_place_is_an_error_and_no_crash) {
    struct scarce m = {0, 0, 0};
    unsigned long all, i;
    int failed = 0;

    CHECK(run_scarce(&m) == 0);
    all = m.count;
    for (i = 1; i < all; i += 3) {
        m.from = i;
        m.to = i + 1; /* Lua tries again */
        failed += run_scarce(&m) != 0;
    }
    CHECK(failed > 100);
}

static int nothing(mw_host *h, mw_call *call, void *ud) {
    (void)h;
    (void)call;
    (void)ud;
    return 0;
}
TEST(a_registration_or_a_call_that_no_memory_is_left_for_says_so_and_leaves_the_host_of_use) {
    struct scarce m = {0, 0, 0};
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;

    mw_config_init(&cfg);
    cfg.alloc = scarce_alloc;
    cfg.alloc_ud = &m;
    REQUIRE(mw_host_new(&cfg, &h, NULL) == 0);
    m = (struct scarce){0, 1, 1000};
    CHECK_INT(mw_host_register(h, "f", nothing, NULL, &err), MW_ENOMEM);
    CHECK_INT(mw_host_call(h, "print", "\x01", 1, NULL, &err), MW_ENOMEM);
    CHECK(err.message[0] != 0);
    m.to = 0;
    CHECK_INT(mw_host_register(h, "f", nothing, NULL, &err), 0);
    CHECK_INT(mw_host_call(h, "type", "\x01", 1, NULL, &err), 0);
    mw_host_free(h);
}

static void *interrupt_often(void *ud) {
    for (int i = 0; i < 200; i++) mw_host_interrupt(ud, 9, "enough");
    return NULL;
}
TEST(interrupts_from_a_thread_end_lua_code_that_makes_and_drops_coroutines) {
    for (int i = 0; i < 5; i++) {
        struct seen s;
        mw_host *h = make_on(NULL, &s);
        pthread_t thread;
        int status = -1;

        REQUIRE(h != NULL);
        CHECK(heard_load(h, "while true do coroutine.wrap(function() for i = 1, 100 do local x = {} end end)() end") == 0);
        REQUIRE(pthread_create(&thread, NULL, interrupt_often, h) == 0);
        CHECK(mw_host_run(h, &status, NULL) == 0);
        pthread_join(thread, NULL);
        CHECK(status == 9);
        mw_host_free(h);
    }
}

TEST(what_is_missing_is_named_and_no_fault) {
    struct seen s;
    struct mw_config cfg = heard_config(&s, 50);
    struct mw_err err;
    mw_host *h = NULL;
    mw_policy *p = NULL;
    mw_buf b = {0};
    int step;

    CHECK(mw_host_new(NULL, &h, &err) == MW_EINVAL && h == NULL);
    CHECK(mw_host_new(&cfg, NULL, &err) == MW_EINVAL);
    cfg.size = SIZE_MAX / 2; /* whatever lay on the stack, without mw_config_init */
    CHECK(mw_host_new(&cfg, &h, &err) == MW_EINVAL && strstr(err.message, "mw_config_init") != NULL);
    cfg = heard_config(&s, 50);
    cfg.preempt = (enum mw_preempt)77;
    CHECK(mw_host_new(&cfg, &h, &err) == MW_EINVAL && strstr(err.message, "77") != NULL);
    cfg = heard_config(&s, 50);
    CHECK(mw_config_trace(&cfg, NULL, &err) == MW_EINVAL && mw_config_audit(&cfg, NULL, &err) == MW_EINVAL);
    CHECK(mw_config_debug(&cfg, NULL, &err) == MW_EINVAL);
    CHECK(mw_policy_new(&p, &err) == 0 && mw_policy_add_file(p, NULL, &err) == MW_EINVAL && mw_kind_of(NULL) == -1);
    mw_policy_free(p);
    h = make_on(NULL, &s);
    if (h == NULL) return;
    CHECK(mw_host_load_string(h, NULL, 5, "=x", &err) == MW_EINVAL);
    CHECK(mw_host_start_module(h, NULL, "main", &err) == MW_EINVAL && mw_host_preload(h, NULL, &err) == 0);
    CHECK(mw_host_post(h, "t", NULL, 5, &err) == MW_EINVAL && mw_host_call(h, "print", NULL, 5, NULL, &err) == MW_EINVAL);
    CHECK(mw_host_load_string(h, "print(1)", 8, NULL, NULL) == 0);
    for (step = 0; step < 3; step++) CHECK(mw_host_run(h, NULL, NULL) == 0);
    CHECK(strcmp(s.heard.print, "1\n") == 0);
    mw_host_free(h);
    CHECK(mw_buf_text(&b, NULL) == 0 && b.len == 1);
    mw_buf_free(&b);
    mw_buf_free(NULL);
}

/* In a process of its own: what is closed there is closed for good. */
TEST(a_host_in_a_process_without_standard_streams_works) {
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        struct seen s;
        struct stat null, was[3];
        mw_policy *p = NULL;
        struct mw_config cfg = heard_config(&s, 50);
        mw_host *h;
        char audit[] = "/tmp/mw-edge-XXXXXX";
        int bad;

        memset(&s, 0, sizeof s);
        close(mkstemp(audit));
        for (int i = 0; i < 3; i++) close(i);
        bad = mw_config_audit(&cfg, audit, NULL) != 0; /* comes before the host, and takes no number of theirs either */
        unlink(audit);
        bad = bad || mw_policy_new(&p, NULL) != 0 || mw_policy_add_all(p, NULL) != 0;
        cfg.policy = p;
        h = bad ? NULL : heard_host(&cfg, NULL);
        bad = bad || h == NULL ||
              heard_load(h, MW "local l <close> = assert(mw.net.listen 'tcp://127.0.0.1:0') assert(mw.net.connect(l:address())):close()"
                               "print(mw.process.run { 'sh', '-c', 'cat; echo lost >&2; echo kept', stdin = 'inherit', stderr = 'inherit' }.stdout,"
                               "  (io.read()))") != 0 ||
              mw_host_run(h, NULL, NULL) != 0 || strcmp(s.heard.print, "kept\n\tnil\n") != 0 || s.heard.errors != 0;
        mw_host_free(h);
        mw_policy_free(p);
        bad = bad || stat("/dev/null", &null) != 0;
        for (int i = 0; i < 3; i++) bad = bad || fstat(i, &was[i]) != 0 || was[i].st_rdev != null.st_rdev;
        _exit(bad);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}
