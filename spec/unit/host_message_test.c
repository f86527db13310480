/* Messages between an engine and its script: posted from any thread, kept in order, bounded; emitted to a hook.
 * Knows: moonwire.h, uv.h (for a borrowed loop), threads. Never: what is under moonwire.h. */
#include "support/heard.h"
#include "support/spin.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct seen {
    struct heard heard;
    int messages;
    char topic[64], bytes[256];
    size_t len;
    void (*on_message)(mw_host *);      /* in the hook */
};

static void on_message(mw_host *h, const char *topic, const void *msgpack, size_t len, void *ud) {
    struct seen *s = ud;
    s->messages++;
    snprintf(s->topic, sizeof s->topic, "%s", topic);
    s->len = len < sizeof s->bytes ? len : sizeof s->bytes;
    memcpy(s->bytes, msgpack, s->len);
    if (s->on_message != NULL) s->on_message(h);
}

static struct mw_config config(struct seen *s) {
    struct mw_config cfg = heard_config(s, 200);

    memset(s, 0, sizeof *s);
    cfg.on_message = on_message;
    return cfg;
}
static mw_host *make(struct seen *s) {
    struct mw_config cfg = config(s);
    return heard_host(&cfg, NULL);
}
static struct mw_step step(mw_host *h) {
    struct mw_step st = {0};
    CHECK_INT(mw_host_step(h, 0, &st, NULL), 0);
    return st;
}
static void steps(mw_host *h, int n) {
    while (n-- > 0) step(h);
}
static int post_text(mw_host *h, const char *topic, const char *text) {
    mw_buf b = {0};
    int rc;
    mw_buf_text(&b, text);
    rc = mw_host_post(h, topic, b.at, b.len, NULL);
    mw_buf_free(&b);
    return rc;
}
static int post_integer(mw_host *h, const char *topic, int64_t i) {
    mw_buf b = {0};
    int rc;
    mw_buf_integer(&b, i);
    rc = mw_host_post(h, topic, b.at, b.len, NULL);
    mw_buf_free(&b);
    return rc;
}


/* ---- From the engine --------------------------------------------------------------------------------------------------- */

TEST(a_script_that_only_asks_for_a_topic_goes_on_receiving_it_in_steps) {
    struct seen s;
    struct mw_step st;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print)");
    st = step(h);
    CHECK_INT(st.alive, 0); /* it keeps nothing alive */
    CHECK_INT(post_text(h, "x", "one"), 0);
    step(h);
    CHECK_STR(s.heard.print, "one\n");
    CHECK_INT(post_text(h, "x", "two"), 0);
    CHECK_INT(post_text(h, "y", "nobody asked"), 0);
    CHECK_INT(post_text(h, "x", "three"), 0);
    step(h);
    CHECK_STR(s.heard.print, "one\ntwo\nthree\n");
    mw_host_free(h);
}

TEST(a_message_has_any_number_of_values_and_nil_is_one) {
    struct seen s;
    mw_buf b = {0};
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', function(...) print(select('#', ...), ...) end)"
               " mw.host.on('t', function(t) print(t.at[2], t.none == mw.null, math.type(t.f)) end)");
    mw_host_post(h, "x", NULL, 0, NULL);
    mw_buf_nil(&b), mw_buf_integer(&b, 7), mw_buf_boolean(&b, 1), mw_buf_number(&b, 2.0), mw_buf_nil(&b);
    mw_host_post(h, "x", b.at, b.len, NULL);
    mw_buf_clear(&b);
    mw_buf_map(&b, 3);
    mw_buf_text(&b, "at"), mw_buf_array(&b, 2), mw_buf_integer(&b, 1), mw_buf_integer(&b, 5);
    mw_buf_text(&b, "none"), mw_buf_nil(&b);
    mw_buf_text(&b, "f"), mw_buf_number(&b, 3);
    mw_host_post(h, "t", b.at, b.len, NULL);
    mw_buf_free(&b);
    steps(h, 2);
    CHECK_STR(s.heard.print, "0\n5\tnil\t7\ttrue\t2.0\tnil\n5\ttrue\tfloat\n");
    CHECK_INT(s.heard.errors, 0);
    mw_host_free(h);
}

TEST(what_is_no_whole_value_is_refused_before_it_is_queued) {
    struct seen s;
    struct mw_err err;
    mw_buf b = {0};
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print)");
    CHECK_INT(mw_host_post(h, "x", "\x92\x01", 2, &err), MW_EPARSE);
    CHECK(strstr(err.message, "at byte 0") != NULL);
    CHECK_INT(mw_host_post(h, "x", "\x01\xc1", 2, &err), MW_EPARSE);
    CHECK_INT(mw_host_post(h, "x", "\xa5" "abc", 4, NULL), MW_EPARSE);
    mw_buf_map(&b, 2);
    mw_buf_text(&b, "half"), mw_buf_integer(&b, 1);
    CHECK_INT(mw_host_post(h, "x", b.at, b.len, &err), MW_EPARSE);
    mw_buf_free(&b);
    CHECK_INT(mw_host_post(h, "", "\x01", 1, &err), MW_EINVAL);
    CHECK_INT(mw_host_post(h, NULL, "\x01", 1, &err), MW_EINVAL);
    steps(h, 3);
    CHECK_STR(s.heard.print, "");
    mw_host_free(h);
}

TEST(messages_are_kept_until_somebody_asks_as_long_as_the_main_script_goes_on) {
    struct seen s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    post_text(h, "early", "before the script");
    heard_load(h, MW "mw.task.pass() mw.task.pass() mw.host.on('early', function(v) print('1', v) end) mw.host.on('early', function(v) print('2', v) end)"
               " mw.host.on('go', function(v) print('go', v) end) mw.task.sleep(100)");
    post_text(h, "go", "a");
    step(h);
    post_text(h, "early", "during");
    steps(h, 6);
    CHECK(strstr(s.heard.print, "1\tbefore the script\n") != NULL);
    CHECK(strstr(s.heard.print, "go\ta\n") != NULL);
    CHECK(strstr(s.heard.print, "2\tbefore the script\n") != NULL);
    CHECK(strstr(s.heard.print, "1\tduring\n") != NULL && strstr(s.heard.print, "2\tduring\n") != NULL);
    mw_host_free(h);
}

TEST(as_many_as_the_queue_holds_may_be_posted_before_the_first_step) {
    struct seen s;
    mw_host *h = make(&s);
    int n = 0;

    REQUIRE(h != NULL);
    heard_load(h, MW "local to, n = os.clock() + 0.005, 0 while os.clock() < to do end mw.host.on('x', function(i) assert(i == n) n = n + 1 end)"
               " mw.host.on('n', function() print(n) end)");
    while (post_integer(h, "x", n) == 0) n++;
    CHECK_INT(n, 1024);
    for (int i = 0; i < 400; i++) CHECK_INT(mw_host_step(h, 1000, NULL, NULL), 0); /* the script is cut before it asks */
    mw_host_post(h, "n", NULL, 0, NULL);
    steps(h, 2);
    CHECK_STR(s.heard.print, "1024\n");
    CHECK_INT(s.heard.errors, 0);
    mw_host_free(h);
}

TEST(what_nobody_asks_for_never_stands_in_the_way_of_what_somebody_did) {
    struct seen s;
    struct mw_config cfg = config(&s);
    mw_host *h;

    cfg.queue = 4;
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print) mw.host.on('late', function() mw.host.on('typo', print) end) mw.task.sleep(100)");
    for (int i = 1; i <= 20; i++) {
        CHECK_INT(post_integer(h, "typo", i), 0);
        if (i % 10 == 0) CHECK_INT(post_integer(h, "x", -i), 0);
        step(h);
    }
    CHECK_STR(s.heard.print, "-10\n-20\n");
    mw_host_post(h, "late", NULL, 0, NULL);
    steps(h, 3);
    CHECK_STR(s.heard.print, "-10\n-20\n19\n20\n"); /* half of the queue, the newest */
    mw_host_free(h);
}

TEST(what_nobody_asked_for_when_the_main_script_is_over_makes_room) {
    struct seen s;
    struct mw_config cfg = config(&s);
    mw_host *h;

    cfg.queue = 3;
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print) mw.task.sleep(0.3)");
    for (int i = 0; i < 3; i++) CHECK_INT(post_integer(h, "nobody", i), 0);
    CHECK_INT(post_integer(h, "x", 1), MW_EAGAIN);
    step(h);
    CHECK_INT(post_integer(h, "nobody", 4), 0);
    CHECK_INT(post_integer(h, "nobody", 5), MW_EAGAIN);
    while (step(h).alive) usleep(200);
    step(h);
    CHECK_INT(post_integer(h, "x", 1), 0);
    CHECK_INT(post_integer(h, "nobody", 1), 0);
    step(h);
    CHECK_STR(s.heard.print, "1\n");
    for (int i = 0; i < 3; i++) CHECK_INT(post_integer(h, "nobody", i), 0);
    mw_host_free(h);
}

TEST(the_queue_has_an_end_and_a_step_makes_room) {
    struct seen s;
    struct mw_config cfg = config(&s);
    struct mw_err err;
    mw_host *h;
    int n = 0;

    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, MW "local n = 0 mw.host.on('x', function() n = n + 1 end) mw.host.on('say', function() print(n) end)");
    while (mw_host_post(h, "x", NULL, 0, &err) == 0) n++;
    CHECK_INT(n, 1024);
    CHECK_INT(err.code, MW_EAGAIN);
    CHECK(strstr(err.message, "1024 messages wait") != NULL);
    step(h);
    CHECK_INT(mw_host_post(h, "say", NULL, 0, &err), 0);
    steps(h, 2);
    CHECK_STR(s.heard.print, "1024\n");
    mw_host_free(h);
}

TEST(messages_together_are_bounded_in_bytes_too) {
    struct seen s;
    struct mw_config cfg = config(&s);
    static char text[40000];
    mw_buf b = {0};
    mw_host *h;

    cfg.limits.buffered = 100000;
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    mw_buf_string(&b, text, sizeof text);
    heard_load(h, MW "mw.host.on('x', function(v) print(#v) end)");
    CHECK_INT(mw_host_post(h, "x", b.at, b.len, NULL), 0);
    CHECK_INT(mw_host_post(h, "x", b.at, b.len, NULL), 0);
    CHECK_INT(mw_host_post(h, "x", b.at, b.len, NULL), MW_EAGAIN);
    step(h);
    CHECK_INT(mw_host_post(h, "x", b.at, b.len, NULL), 0);
    mw_buf_string(&b, text, sizeof text), mw_buf_string(&b, text, sizeof text);
    CHECK_INT(mw_host_post(h, "x", b.at, b.len, NULL), MW_ELIMIT);
    step(h);
    CHECK_STR(s.heard.print, "40000\n40000\n40000\n");
    mw_buf_free(&b);
    mw_host_free(h);
}

TEST(a_slow_script_is_felt_by_whoever_posts) {
    struct seen s;
    struct mw_config cfg = config(&s);
    mw_host *h;
    int sent = 0;

    cfg.queue = 8;
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, MW "local t = mw.task mw.host.on('x', function(i) local to = os.clock() + 0.002 while os.clock() < to do end print(i) end)");
    for (int frame = 0; frame < 50; frame++) {
        while (post_integer(h, "x", sent) == 0) sent++;
        CHECK_INT(mw_host_step(h, 1000, NULL, NULL), 0);
    }
    CHECK(sent < 200); /* a few a frame, and not eight */
    mw_host_free(h);
}

TEST(an_error_of_a_handler_reaches_the_hook_and_the_next_message_comes) {
    struct seen s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', function(v) if v == 'bad' then error('boom') end print(v) end)");
    post_text(h, "x", "bad");
    post_text(h, "x", "good");
    steps(h, 2);
    CHECK_INT(s.heard.errors, 1);
    CHECK(strstr(s.heard.error, "boom") != NULL);
    CHECK_STR(s.heard.print, "good\n");
    mw_host_free(h);
}

TEST(a_handler_may_wait_and_others_go_on) {
    struct seen s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', function(v) if v == 1 then mw.task.sleep(0.005) end print(v) end)");
    post_integer(h, "x", 1);
    post_integer(h, "x", 2);
    while (step(h).alive) usleep(500);
    CHECK_STR(s.heard.print, "2\n1\n");
    mw_host_free(h);
}

TEST(a_message_beyond_the_memory_of_the_script_is_an_error_and_the_host_goes_on) {
    struct seen s;
    struct mw_config cfg = config(&s);
    size_t len = 6u << 20;
    char *text = calloc(1, len);
    mw_buf b = {0};
    mw_host *h;

    cfg.memory_limit = 4u << 20;
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL && text != NULL);
    heard_load(h, MW "mw.host.on('x', function(v) print(#v) end)");
    step(h);
    mw_buf_string(&b, text, len);
    CHECK_INT(mw_host_post(h, "x", b.at, b.len, NULL), 0);
    steps(h, 2);
    CHECK_INT(s.heard.errors, 1);
    CHECK_INT(s.heard.code, MW_ELIMIT);
    CHECK_STR(s.heard.print, "");
    post_text(h, "x", "small");
    step(h);
    CHECK_STR(s.heard.print, "5\n");
    mw_buf_free(&b);
    free(text);
    mw_host_free(h);
}

TEST(what_lua_cannot_hold_is_an_error_of_the_handlers_task) {
    struct seen s;
    char deep[300];
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print)");
    memset(deep, 0x91, sizeof deep);
    deep[sizeof deep - 1] = 1;
    CHECK_INT(mw_host_post(h, "x", deep, sizeof deep, NULL), 0); /* whole, but deeper than a script reads */
    CHECK_INT(mw_host_post(h, "x", "\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 10, NULL), 0);
    step(h);
    CHECK_INT(s.heard.errors, 2);
    CHECK_INT(s.heard.code, MW_EPARSE);
    CHECK(strstr(s.heard.error, "host.on x: value 2") != NULL);
    mw_host_free(h);
}

TEST(a_closed_handler_gets_no_more_and_the_others_do) {
    struct seen s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "local a = mw.host.on('x', function(v) print('a', v) end)"
               "mw.host.on('x', function(v) print('b', v) end)"
               "local c <close> = mw.host.on('x', function(v) print('c', v) end)"
               "mw.host.on('end', function() a:close() a:close() print(a) end)");
    step(h);
    post_integer(h, "x", 1);
    step(h);
    mw_host_post(h, "end", NULL, 0, NULL);
    step(h);
    post_integer(h, "x", 2);
    step(h);
    CHECK_STR(s.heard.print, "a\t1\nb\t1\nhandler (closed)\nb\t2\n");
    mw_host_free(h);
}

TEST(a_run_takes_what_was_posted_before_it_and_then_ends) {
    struct seen s;
    int status = -1;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print)");
    post_text(h, "x", "before");
    CHECK_INT(mw_host_run(h, &status, NULL), 0);
    CHECK_INT(status, 0);
    CHECK_STR(s.heard.print, "before\n");
    mw_host_free(h);
}

TEST(messages_of_an_interrupted_host_are_dropped) {
    struct seen s;
    int status = -1;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print) mw.task.sleep(10)");
    step(h);
    mw_host_interrupt(h, 3, "stop");
    post_text(h, "x", "too late");
    mw_host_run(h, &status, NULL);
    CHECK_INT(status, 3);
    CHECK_STR(s.heard.print, "");
    mw_host_free(h);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 8, EACH = 400 };

struct poster {
    mw_host *h;
    int id;
    atomic_int *left;
};
static void *post_many(void *arg) {
    struct poster *p = arg;
    mw_buf b = {0};

    for (int i = 1; i <= EACH; i++) {
        mw_buf_clear(&b);
        mw_buf_integer(&b, p->id), mw_buf_integer(&b, i);
        while (mw_host_post(p->h, "x", b.at, b.len, NULL) == MW_EAGAIN) spin_once();
    }
    mw_buf_free(&b);
    atomic_fetch_sub(p->left, 1);
    return NULL;
}

static const char COUNTS[] = MW "local last, n = {}, 0 "
                                "mw.host.on('x', function(who, i) assert(i == (last[who] or 0) + 1, 'order') last[who] = i n = n + 1 end) "
                                "mw.host.handle('n', function() return n end)";

static int64_t counted(mw_host *h) {
    mw_buf out = {0};
    mw_view v;
    int64_t n = -1;

    CHECK_INT(mw_host_call(h, "n", NULL, 0, &out, NULL), 0);
    v = (mw_view){out.at, out.len};
    CHECK_INT(mw_view_integer(&v, &n), 0);
    mw_buf_free(&out);
    return n;
}

TEST(what_a_handler_has_not_begun_with_when_the_host_ends_is_dropped_as_well) {
    struct seen s;
    struct mw_step st;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    CHECK(heard_load(h, MW "mw.host.on('t', function(v) print(v) end) mw.task.wait()") == 0);
    step(h);
    CHECK(heard_load(h, "while true do end") == 0);
    CHECK_INT(post_text(h, "t", "late"), 0);
    CHECK_INT(mw_host_step(h, 1000, &st, NULL), 0);
    CHECK_INT(st.ready, 2); /* the one that was cut, and the message's */
    mw_host_free(h);
    CHECK_STR(s.heard.print, "");
}

TEST(eight_threads_post_during_steps_while_other_hosts_come_and_go) {
    struct seen s, other;
    struct poster p[THREADS];
    pthread_t t[THREADS];
    atomic_int left = THREADS;
    struct mw_config cfg = config(&s);
    mw_host *h;

    cfg.queue = 64;
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, COUNTS);
    for (int i = 0; i < THREADS; i++) {
        p[i] = (struct poster){h, i + 1, &left};
        pthread_create(&t[i], NULL, post_many, &p[i]);
    }
    while (atomic_load(&left) > 0) {
        mw_host *guest = make(&other);
        post_text(guest, "never read", "x");
        mw_host_step(h, 200, NULL, NULL);
        mw_host_free(guest);
        steps(h, 10);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    steps(h, 3);
    CHECK_INT(counted(h), THREADS * EACH);
    CHECK_INT(s.heard.errors, 0);
    mw_host_free(h);
}

TEST(a_host_that_sleeps_is_woken_by_each_post) {
    struct seen s;
    struct poster p[2];
    pthread_t t[2];
    atomic_int left = 2;
    struct mw_config cfg = config(&s);
    mw_host *h;

    cfg.queue = 4;
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, COUNTS);
    step(h);
    for (int i = 0; i < 2; i++) {
        p[i] = (struct poster){h, i + 1, &left};
        pthread_create(&t[i], NULL, post_many, &p[i]);
    }
    while (counted(h) < 2 * EACH) CHECK_INT(mw_host_run_once(h, -1, NULL, NULL), 0); /* hangs if one is lost */
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    CHECK_INT(s.heard.errors, 0);
    mw_host_free(h);
}

static void *post_last(void *arg) {
    post_text(arg, "x", "go");
    return NULL;
}

TEST(a_run_that_sleeps_is_woken_by_a_post) {
    struct seen s;
    pthread_t t;
    int status = -1;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "local e = mw.task.event() mw.host.on('x', function(v) print(v) e:set() end) e:wait()");
    pthread_create(&t, NULL, post_last, h);
    CHECK_INT(mw_host_run(h, &status, NULL), 0);
    CHECK_INT(status, 0);
    CHECK_STR(s.heard.print, "go\n");
    pthread_join(t, NULL);
    mw_host_free(h);
}

TEST(the_descriptor_of_the_loop_is_readable_after_a_post_until_a_step_has_been) {
    struct seen s;
    struct pollfd p;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print)");
    steps(h, 2);
    p = (struct pollfd){mw_host_backend_fd(h), POLLIN, 0};
    CHECK_INT(poll(&p, 1, 0), 0);
    post_text(h, "x", "a");
    CHECK_INT(poll(&p, 1, 0), 1);
    step(h);
    CHECK_INT(poll(&p, 1, 0), 0);
    post_text(h, "unasked", "a");
    CHECK_INT(poll(&p, 1, 0), 1);
    steps(h, 2);
    CHECK_INT(poll(&p, 1, 0), 0);
    CHECK_STR(s.heard.print, "a\n");
    mw_host_free(h);
}

/* ---- A borrowed loop ------------------------------------------------------------------------------------------------------- */

TEST(a_borrowed_loop_is_woken_too_and_closing_drops_what_is_queued) {
    struct seen s;
    struct mw_config cfg = config(&s);
    uv_loop_t loop;
    pthread_t t;
    mw_host *h;

    uv_loop_init(&loop);
    h = heard_host(&cfg, &loop);
    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print)");
    uv_run(&loop, UV_RUN_NOWAIT);
    pthread_create(&t, NULL, post_last, h);
    while (s.heard.print[0] == 0) uv_run(&loop, UV_RUN_ONCE);
    pthread_join(t, NULL);
    CHECK_STR(s.heard.print, "go\n");
    post_text(h, "x", "never");
    CHECK_INT(mw_host_close(h, NULL, NULL, NULL), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_STR(s.heard.print, "go\n");
    CHECK_INT(uv_loop_close(&loop), 0);
}

/* ---- To the engine ----------------------------------------------------------------------------------------------------------- */

TEST(a_script_emits_values_and_the_hook_reads_them) {
    struct seen s;
    mw_view v;
    double x = 0;
    const char *text;
    size_t len;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "print(mw.host.emit('moved', { x = 1.5 }, nil, 'Lua'))");
    step(h);
    CHECK_STR(s.heard.print, "true\n");
    CHECK_STR(s.topic, "moved");
    v = (mw_view){s.bytes, s.len};
    CHECK(mw_view_find(&v, "x", &v) == 0 && mw_view_number(&v, &x) == 0 && x == 1.5);
    v = (mw_view){s.bytes, s.len};
    CHECK(mw_view_skip(&v) == 0 && mw_view_nil(&v) == 0 && mw_view_string(&v, &text, &len) == 0 && len == 3 && v.len == 0);
    mw_host_free(h);
}

TEST(what_cannot_be_sent_is_an_error_that_says_where) {
    struct seen s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "local function bad(...) local ok, e = pcall(mw.host.emit, ...) print(ok, e) end "
               "bad('t', 1, { a = { print } }) bad('t', setmetatable({}, { __pairs = pairs })) bad('') bad() bad(7)");
    step(h);
    CHECK(strstr(s.heard.print, "false\ttest:1: host.emit") != NULL);
    CHECK(strstr(s.heard.print, "a function cannot be written") != NULL);
    CHECK_INT(s.messages, 0);
    mw_host_free(h);
}

TEST(without_a_hook_emit_says_that_nobody_listens) {
    struct seen s;
    struct mw_config cfg = config(&s);
    mw_host *h;

    cfg.on_message = NULL;
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, MW "local ok, e = mw.host.emit('t', 1) print(ok, e.code)");
    step(h);
    CHECK_STR(s.heard.print, "nil\tENORESPONDERS\n");
    mw_host_free(h);
}

static void answer(mw_host *h) {
    struct mw_err err;
    CHECK_INT(post_text(h, "pong", "from the hook"), 0);
    CHECK_INT(mw_host_step(h, 0, NULL, &err), MW_EINVAL);
    CHECK_INT(mw_host_call(h, "print", NULL, 0, NULL, &err), MW_EINVAL);
}

TEST(the_hook_may_post_but_not_step_or_call) {
    struct seen s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    s.on_message = answer;
    heard_load(h, MW "mw.host.on('pong', print) mw.host.emit('ping')");
    steps(h, 2);
    CHECK_STR(s.heard.print, "from the hook\n");
    mw_host_free(h);
}

TEST(what_is_emitted_while_the_host_ends_still_comes) {
    struct seen s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "setmetatable({}, { __gc = function() mw.host.emit('gc') end }) "
               "local c <close> = setmetatable({}, { __close = function() print(pcall(mw.host.emit, 'closing', 1)) end }) mw.task.sleep(100)");
    step(h);
    mw_host_free(h);
    CHECK_INT(s.messages >= 1, 1);
    CHECK_STR(s.topic, "closing");
    CHECK_STR(s.heard.print, "true\ttrue\n");
}

/* ---- Who else ------------------------------------------------------------------------------------------------------------------ */

TEST(an_unknown_name_of_mw_host_says_what_was_perhaps_meant) {
    struct seen s;
    mw_host *h = make(&s);

    REQUIRE(h != NULL);
    heard_load(h, MW "print(pcall(function() return mw.host.emitt end)) print(pcall(function() return mw.host[1] end))"
               " print(select(2, pcall(mw.host.on, 'x'))) print(select(2, pcall(mw.host.on, '', print)))");
    step(h);
    CHECK(strstr(s.heard.print, "unknown function \"emitt\"; did you mean \"emit\"?") != NULL);
    CHECK(strstr(s.heard.print, "functions are named") != NULL);
    CHECK(strstr(s.heard.print, "a function is expected, got nil") != NULL || strstr(s.heard.print, "a function is expected, got no value") != NULL);
    CHECK(strstr(s.heard.print, "must not be empty") != NULL);
    mw_host_free(h);
}

TEST(an_older_shorter_config_is_taken_for_what_it_has) {
    struct seen s;
    struct mw_config cfg = config(&s), *old;
    mw_host *h;

    cfg.size = offsetof(struct mw_config, on_message);
    old = malloc(cfg.size);
    REQUIRE(old != NULL);
    memcpy(old, &cfg, cfg.size); /* what is read beyond it is seen by the sanitizer */
    h = heard_host(old, NULL);
    free(old);
    REQUIRE(h != NULL);
    heard_load(h, MW "mw.host.on('x', print) print(mw.host.emit('t'))");
    post_text(h, "x", "as ever");
    steps(h, 2);
    CHECK(strstr(s.heard.print, "as ever") != NULL && strstr(s.heard.print, "nil\t") == s.heard.print);
    mw_host_free(h);
}

TEST(a_host_is_freed_with_messages_in_every_place) {
    struct seen s;

    for (int i = 0; i < 4; i++) {
        mw_host *h = make(&s);
        REQUIRE(h != NULL);
        post_text(h, "kept", "x");
        post_text(h, "x", "y");
        heard_load(h, MW "mw.host.on('x', function() mw.task.sleep(100) end) mw.task.sleep(100)");
        if (i > 0) step(h);
        post_text(h, "x", "z");
        if (i > 1) mw_host_step(h, 1, NULL, NULL);
        post_text(h, "kept", "z");
        if (i > 2) mw_host_interrupt(h, 1, "stop");
        mw_host_free(h);
    }
}
