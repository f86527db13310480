/* Greeting without Lua: steps on a stream, the listener's lobby, the dialler; with steps that know one word.
 * Knows: io/greet, io/listener, io/dial. Never: waits for more than an event; sleeps, save where a pause is what is shown. */
#include "io/greet.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "io/dial.h"
#include "io/listener.h"
#include "policy/policy.h"
#include "support/check.h"

static mw_host *host;
static mw_policy *policy;
static struct mw_err err;
static int steps_alive, greeters_alive;

static void begin(void) {
    steps_alive = greeters_alive = 0;
    REQUIRE(mw_policy_new(&policy, &err) == 0);
    REQUIRE(mw_policy_add_all(policy, &err) == 0);
    REQUIRE(mw_host_create(NULL, NULL, NULL, 0, &host, &err) == 0);
    mw_host_set_policy(host, policy);
}
static void end(void) {
    mw_host_destroy(host, 0);
    host = NULL;
    mw_policy_free(policy);
    CHECK_INT(steps_alive, 0);
    CHECK_INT(greeters_alive, 0);
}
static void turn(void) {
    uv_run(mw_host_loop(host), UV_RUN_NOWAIT);
}
static void turn_wait(void) {
    uv_run(mw_host_loop(host), UV_RUN_ONCE);
}

/* ---- A step: the peer says "ok\n" and hears "go\n"; anything else is refused with "no\n" ------------------------------------ */

struct word {
    struct mw_greet_step step;
    int server, said;
};
static int say(mw_stream *s, const char *text) {
    struct mw_view v = { text, strlen(text) };
    return mw_stream_write(s, &v, 1, NULL);
}
static int hear(mw_stream *s, const char *text, struct mw_err *why) {
    struct mw_bytes *q = mw_stream_in(s);
    size_t n = mw_bytes_len(q), want = strlen(text);
    if (n > 0 && memcmp(mw_bytes_at(q), text, n < want ? n : want) != 0) return mw_err_set(why, MW_EAUTH, "test", NULL, "another word");
    if (n < want) return 0;
    mw_stream_consume(s, want);
    return 1;
}
static int word_advance(struct mw_greet_step *step, mw_stream *s, struct mw_err *why) {
    struct word *w = (struct word *)step;
    int rc;
    if (!w->server && !w->said) {
        w->said = 1;
        rc = say(s, "ok\n");
        if (rc < 0) return rc;
    }
    rc = hear(s, w->server ? "ok\n" : "go\n", why);
    return rc == 1 && w->server ? (say(s, "go\n") < 0 ? MW_EEOF : 1) : rc;
}
static void word_deny(struct mw_greet_step *step, mw_stream *s) {
    (void)step;
    say(s, "no\n");
}
static void word_end(struct mw_greet_step *step) {
    steps_alive--;
    free(step);
}
static int word_make(struct mw_greeter *g, mw_stream *s, int server, struct mw_greet_step **out, struct mw_err *why) {
    struct word *w = calloc(1, sizeof *w);
    (void)g;
    (void)s;
    (void)why;
    if (w == NULL) return MW_ENOMEM;
    w->step = (struct mw_greet_step){ .advance = word_advance, .deny = word_deny, .end = word_end };
    w->server = server;
    steps_alive++;
    *out = &w->step;
    return 0;
}
static void word_free(struct mw_greeter *g) {
    greeters_alive--;
    free(g);
}
static struct mw_greeter *word_greeter(void) {
    struct mw_greeter *g = calloc(1, sizeof *g);
    REQUIRE(g != NULL);
    *g = (struct mw_greeter){ .refs = 1, .make = word_make, .free = word_free };
    greeters_alive++;
    return g;
}

/* ---- On a stream ------------------------------------------------------------------------------------------------------------ */

static int done_calls, done_code;
static mw_greet *greet;
static mw_stream *stream;
static int peer;

static void on_done(void *ud, int code, const struct mw_err *why) {
    (void)ud;
    done_calls++;
    done_code = code;
    CHECK((code == 0) == (why == NULL));
}
static struct mw_greet_step *word_step(int server) {
    struct mw_greet_step *step = NULL;
    REQUIRE(word_make(NULL, NULL, server, &step, NULL) == 0);
    return step;
}
static void begin_stream(struct mw_greet_step *steps, uint64_t ns) {
    int fd[2];
    begin();
    done_calls = 0;
    done_code = 1;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    peer = fd[1];
    REQUIRE(mw_stream_open(host, fd[0], fd[0], "test", "pair", NULL, &stream, &err) == 0);
    steps_alive = 0;
    for (struct mw_greet_step *step = steps; step != NULL; step = step->next) steps_alive++;
    REQUIRE(mw_greet_open(stream, steps, mw_host_now(host) + ns, on_done, NULL, &greet, &err) == 0);
}
static void end_stream(void) {
    mw_greet_close(greet);
    mw_stream_release(stream);
    close(peer);
    end();
}
static void peer_says(const char *text) {
    CHECK(send(peer, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}
static int hears(int fd, const char *text) {
    char got[64];
    ssize_t n = recv(fd, got, sizeof got, MSG_DONTWAIT);
    return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}
static void until_done(void) {
    for (int i = 0; i < 100 && done_calls == 0; i++) turn_wait();
    CHECK_INT(done_calls, 1);
}
#define LONG 10000000000u

TEST(a_peer_that_says_the_word_passes_and_its_next_bytes_stay) {
    begin_stream(word_step(1), LONG);
    peer_says("ok\nmine");
    CHECK_INT(done_calls, 0);
    until_done();
    CHECK_INT(done_code, 0);
    CHECK_INT(mw_bytes_len(mw_stream_in(stream)), 4);
    CHECK(hears(peer, "go\n"));
    end_stream();
}
TEST(a_word_may_come_byte_by_byte) {
    begin_stream(word_step(1), LONG);
    peer_says("o");
    turn_wait();
    CHECK_INT(done_calls, 0);
    CHECK_INT(mw_stream_said(stream), 1);
    peer_says("k");
    turn_wait();
    CHECK_INT(done_calls, 0);
    peer_says("\n");
    until_done();
    CHECK_INT(done_code, 0);
    end_stream();
}
TEST(two_steps_pass_on_bytes_that_came_together) {
    struct mw_greet_step *first = word_step(1);
    first->next = word_step(1);
    begin_stream(first, LONG);
    peer_says("ok\nok\nrest");
    until_done();
    CHECK_INT(done_code, 0);
    CHECK_INT(mw_bytes_len(mw_stream_in(stream)), 4);
    CHECK(hears(peer, "go\ngo\n"));
    end_stream();
}
TEST(no_step_at_all_passes_from_the_loop) {
    begin_stream(NULL, LONG);
    CHECK_INT(done_calls, 0);
    until_done();
    CHECK_INT(done_code, 0);
    end_stream();
}
TEST(a_wrong_word_fails_at_its_first_byte_and_is_denied_when_the_owner_says_so) {
    begin_stream(word_step(1), LONG);
    peer_says("x");
    until_done();
    CHECK_INT(done_code, MW_EAUTH);
    CHECK(!hears(peer, "no\n"));
    mw_greet_deny(greet);
    CHECK(hears(peer, "no\n"));
    end_stream();
}
TEST(the_end_in_the_middle_is_a_failure) {
    begin_stream(word_step(1), LONG);
    peer_says("o");
    shutdown(peer, SHUT_WR);
    until_done();
    CHECK_INT(done_code, MW_EEOF);
    end_stream();
}
TEST(the_end_behind_the_word_is_none) {
    begin_stream(word_step(1), LONG);
    peer_says("ok\n");
    shutdown(peer, SHUT_WR);
    until_done();
    CHECK_INT(done_code, 0);
    end_stream();
}
TEST(a_deadline_ends_it) {
    begin_stream(word_step(1), 1000000);
    until_done();
    CHECK_INT(done_code, MW_ETIMEDOUT);
    end_stream();
}
TEST(a_stream_that_closes_meanwhile_ends_it) {
    begin_stream(word_step(1), LONG);
    mw_stream_close(stream);
    CHECK_INT(done_calls, 1);
    CHECK_INT(done_code, MW_ECLOSED);
    end_stream();
}
TEST(an_owner_that_gives_up_hears_nothing) {
    begin_stream(word_step(1), LONG);
    peer_says("ok\n");
    mw_greet_close(greet);
    greet = NULL;
    turn();
    turn();
    CHECK_INT(done_calls, 0);
    end_stream();
}
TEST(no_more_than_a_little_is_read_of_a_peer_that_floods) {
    static char flood[1 << 20];
    struct mw_greet_step *step = word_step(1);
    int high = 0;
    memset(flood, 'x', sizeof flood);
    begin_stream(step, LONG);
    fcntl(peer, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 50; i++) {
        (void)!send(peer, flood, sizeof flood, MSG_NOSIGNAL);
        turn();
        if ((int)mw_bytes_len(mw_stream_in(stream)) > high) high = (int)mw_bytes_len(mw_stream_in(stream));
    }
    CHECK_INT(done_code, MW_EAUTH);
    CHECK(high < 512 * 1024);
    end_stream();
}
static void on_done_release(void *ud, int code, const struct mw_err *why) {
    (void)ud;
    (void)why;
    done_calls++;
    done_code = code;
    mw_greet_close(greet);
    mw_stream_close(stream);
    mw_stream_release(stream);
    greet = NULL;
    stream = NULL;
}
TEST(done_may_end_both_the_greeting_and_the_stream) {
    begin_stream(word_step(1), LONG);
    mw_greet_close(greet);
    steps_alive = 0;
    REQUIRE(mw_greet_open(stream, word_step(1), mw_host_now(host) + LONG, on_done_release, NULL, &greet, &err) == 0);
    peer_says("nonsense");
    until_done();
    CHECK_INT(done_code, MW_EAUTH);
    end_stream();
}
TEST(a_host_that_ends_meanwhile_leaves_nothing) {
    begin_stream(word_step(1), LONG);
    mw_greet_close(greet); /* its owner, which stands on the host's list too, does so */
    mw_stream_release(stream);
    close(peer);
    end();
}

/* ---- A listener ----------------------------------------------------------------------------------------------------------- */

static mw_listener *listener;

static void begin_listener(unsigned max, uint64_t auth_ns) {
    struct mw_listener_options opt;
    struct mw_endpoint at;
    static const char name[] = "unix:@mw-greet-test";
    char text[64];

    begin();
    mw_listener_options_init(&opt);
    opt.max_unauthenticated = max;
    opt.greeting.auth = word_greeter();
    opt.greeting.auth_ns = auth_ns;
    snprintf(text, sizeof text, "%s-%d", name, (int)getpid());
    REQUIRE(mw_endpoint_parse(text, strlen(text), MW_TO_LISTEN, "test", &at, &err) == 0);
    REQUIRE(mw_listener_open(host, &at, NULL, &opt, &listener, &err) == 0);
    mw_greeter_drop(opt.greeting.auth);
}
static void end_listener(void) {
    mw_listener_close(listener);
    mw_listener_release(listener);
    turn();
    end();
}
static int knock(void) {
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int n = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "mw-greet-test-%d", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(connect(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0);
    return fd;
}
static mw_stream *accept_within(int turns) {
    mw_stream *s = NULL;
    for (int i = 0; i < turns; i++) {
        int rc = mw_listener_accept(listener, &s, &err);
        if (rc != 0) {
            CHECK_INT(rc, 1);
            return s;
        }
        turn();
    }
    return NULL;
}
static struct mw_listener_stats stats(void) {
    struct mw_listener_stats st;
    mw_listener_stats(listener, &st);
    return st;
}
static int ends(int fd, int ms) {            /* the other side has closed, within ms */
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char c[64];
    while (ms > 0) {
        turn();
        if (poll(&p, 1, 1) == 1 && recv(fd, c, sizeof c, MSG_DONTWAIT) <= 0) return 1;
        ms--;
    }
    return 0;
}

TEST(a_listener_gives_only_those_who_have_passed) {
    int silent, good;
    mw_stream *s;
    begin_listener(64, LONG);
    silent = knock();
    good = knock();
    CHECK(accept_within(5) == NULL);
    CHECK(send(good, "ok\nhi", 5, 0) == 5);
    s = accept_within(20);
    REQUIRE(s != NULL);
    CHECK_INT(mw_bytes_len(mw_stream_in(s)), 2);
    CHECK_INT(stats().accepted, 1);
    CHECK_INT(stats().open, 2);
    CHECK_INT(stats().unauthenticated, 1);
    CHECK(accept_within(3) == NULL);
    mw_stream_close(s);
    mw_stream_release(s);
    close(silent);
    close(good);
    end_listener();
}
TEST(nobody_is_accepted_while_nobody_asks) {
    int fd;
    begin_listener(64, LONG);
    fd = knock();
    for (int i = 0; i < 5; i++) turn();
    CHECK_INT(stats().open, 0);
    close(fd);
    end_listener();
}
TEST(who_talks_something_else_hears_one_denial) {
    int fd;
    begin_listener(64, LONG);
    fd = knock();
    CHECK(send(fd, "GET / HTTP/1.1\r\n", 16, 0) == 16);
    CHECK(accept_within(10) == NULL);
    CHECK(hears(fd, "no\n"));
    CHECK(ends(fd, 100));
    CHECK_INT(stats().lobby.refused, 1);
    CHECK_INT(stats().open, 0);
    close(fd);
    end_listener();
}
TEST(who_dawdles_hears_it_too) {
    int fd;
    begin_listener(64, 20000000);
    fd = knock();
    CHECK(accept_within(2) == NULL);
    CHECK(ends(fd, 5000));
    CHECK_INT(stats().lobby.timed_out, 1);
    close(fd);
    end_listener();
}
TEST(silent_ones_are_displaced_by_newer_ones_and_a_good_one_passes) {
    enum { SILENT = 20 };
    int fd[SILENT], good, gone = 0;
    mw_stream *s = NULL;
    begin_listener(4, LONG);
    for (int i = 0; i < SILENT; i++) fd[i] = knock();
    good = knock();
    CHECK(send(good, "ok\n", 3, 0) == 3);
    for (int i = 0; i < 200 && s == NULL; i++) {
        s = accept_within(4);
        if (s == NULL) turn_wait(); /* for the pause that gives each its chance */
    }
    REQUIRE(s != NULL);
    for (int i = 0; i < SILENT; i++) gone += ends(fd[i], 2);
    CHECK_INT(gone, SILENT - 3);
    CHECK_INT(stats().lobby.displaced, SILENT - 3);
    CHECK(!ends(fd[SILENT - 1], 2));
    mw_stream_release(s);
    for (int i = 0; i < SILENT; i++) close(fd[i]);
    close(good);
    end_listener();
}
TEST(from_the_fifth_failure_of_a_peer_the_answer_comes_after_a_pause) {
    int fd;
    uint64_t before;
    begin_listener(64, LONG);
    for (int i = 0; i < 4; i++) {
        fd = knock();
        CHECK(send(fd, "x", 1, 0) == 1);
        CHECK(accept_within(5) == NULL);
        CHECK(hears(fd, "no\n"));
        close(fd);
    }
    fd = knock();
    CHECK(send(fd, "x", 1, 0) == 1);
    before = mw_host_now(host);
    CHECK(accept_within(5) == NULL);
    CHECK(!hears(fd, "no\n"));
    CHECK_INT(stats().lobby.refused, 5);
    CHECK(ends(fd, 5000));
    CHECK(mw_host_now(host) - before >= MW_LOBBY_PAUSE_NS);
    close(fd);
    end_listener();
}
TEST(a_listener_that_closes_ends_those_in_its_lobby) {
    int silent, passed;
    begin_listener(64, LONG);
    silent = knock();
    passed = knock();
    CHECK(send(passed, "ok\n", 3, 0) == 3);
    CHECK_INT(mw_listener_accept(listener, &stream, &err), 0);
    for (int i = 0; i < 5; i++) turn();
    mw_listener_close(listener);
    CHECK(ends(silent, 100));
    CHECK(ends(passed, 100));
    CHECK_INT(stats().open, 0);
    close(silent);
    close(passed);
    end_listener();
}
TEST(a_host_that_ends_ends_those_in_the_lobby) {
    int silent;
    mw_listener *l;
    begin_listener(64, LONG);
    l = listener;
    silent = knock();
    CHECK_INT(mw_listener_accept(listener, &stream, &err), 0);
    mw_host_destroy(host, 0);
    mw_listener_release(l);
    mw_policy_free(policy);
    CHECK_INT(steps_alive, 0);
    CHECK_INT(greeters_alive, 0);
    close(silent);
}
TEST(greeters_may_be_changed_between_connections) {
    struct mw_listener_options opt;
    int fd;
    mw_stream *s;
    begin_listener(64, LONG);
    opt = *mw_listener_get_options(listener);
    opt.greeting.auth = NULL;
    mw_listener_set_options(listener, &opt);
    CHECK_INT(greeters_alive, 0);
    fd = knock();
    s = accept_within(5);
    REQUIRE(s != NULL);
    mw_stream_release(s);
    close(fd);
    end_listener();
}

/* ---- A dialler, and both ends ----------------------------------------------------------------------------------------------- */

static int take(mw_dial *d, mw_stream **out) {
    mw_stream *other = NULL;
    for (int i = 0; i < 200; i++) {
        int rc = mw_dial_take(d, out, &err);
        if (rc != 0) {
            mw_stream_release(other);
            return rc;
        }
        if (listener != NULL && other == NULL) mw_listener_accept(listener, &other, NULL);
        turn();
    }
    mw_stream_release(other);
    return 0;
}
static mw_dial *dial_it(uint64_t ns) {
    struct mw_dial_options opt = { .nodelay = 1 };
    struct mw_endpoint to;
    mw_dial *d = NULL;
    const char *at = mw_listener_address(listener);

    mw_stream_limits_init(&opt.limits);
    opt.greeting.auth = word_greeter();
    opt.greeting.auth_ns = ns;
    REQUIRE(mw_endpoint_parse(at, strlen(at), MW_TO_CONNECT, "test", &to, &err) == 0);
    CHECK_INT(mw_dial_open(host, &to, &opt, &d, &err), 0);
    mw_greeter_drop(opt.greeting.auth);
    return d;
}
TEST(both_ends_greet_each_other) {
    mw_dial *d;
    mw_stream *s = NULL;
    begin_listener(64, LONG);
    d = dial_it(LONG);
    CHECK_INT(mw_dial_take(d, &s, &err), 0);
    CHECK_INT(take(d, &s), 1);
    mw_dial_close(d);
    mw_stream_release(s);
    end_listener();
}
TEST(a_dial_gives_up_at_its_deadline_when_the_server_says_nothing) {
    mw_dial *d;
    mw_stream *s = NULL;
    begin_listener(64, LONG);
    d = dial_it(1000000);
    for (int i = 0; i < 200 && mw_dial_take(d, &s, &err) == 0; i++) turn_wait();
    CHECK_INT(mw_dial_take(d, &s, &err), MW_ETIMEDOUT);
    CHECK(strstr(err.message, "unix:@mw-greet-test") != NULL);
    mw_dial_close(d);
    end_listener();
}
TEST(a_dial_closed_in_the_middle_leaves_nothing) {
    mw_dial *d;
    begin_listener(64, LONG);
    d = dial_it(LONG);
    turn();
    mw_dial_close(d);
    end_listener();
}

/* ---- Strikes ---------------------------------------------------------------------------------------------------------------- */

TEST(failures_count_by_peer_within_a_minute_in_a_table_that_does_not_grow) {
    struct mw_strikes t = { 0 };
    struct mw_peer_key a = { { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 } }, b = a, v6 = { { 0x20, 1, 0xd, 0xb8 } }, w6 = v6;
    b.at[15] = 2;
    w6.at[15] = 9;
    CHECK_INT(mw_strikes_add(&t, &a, 1), 1);
    CHECK_INT(mw_strikes_add(&t, &a, 2), 2);
    CHECK_INT(mw_strikes_add(&t, &b, 3), 1);
    CHECK_INT(mw_strikes_add(&t, &a, 1 + MW_STRIKES_NS), 1);
    CHECK_INT(mw_strikes_add(&t, &v6, 4), 1);
    CHECK_INT(mw_strikes_add(&t, &w6, 5), 2); /* the same network */
    for (unsigned i = 0; i < 10 * MW_STRIKES; i++) {
        struct mw_peer_key k = { { [10] = 0xff, [11] = 0xff, [12] = 11, [13] = (unsigned char)(i >> 8), [14] = (unsigned char)i } };
        CHECK_INT(mw_strikes_add(&t, &k, 2 * MW_STRIKES_NS + i), 1);
    }
    mw_strikes_free(&t);
}

