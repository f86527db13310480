/* Streams without Lua: what goes through pipes and sockets, what waits, what fails, and what the loop is asked to watch.
 * Knows: io/stream and its inside. Never: waits for time, only for events. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "io/stream_parts.h"
#include "support/check.h"

static mw_host *host;
static struct mw_err err;

static void begin(void) {
    REQUIRE(mw_host_create(NULL, NULL, NULL, 0, &host, &err) == 0);
}
static void end(void) {
    mw_host_destroy(host, 0);
    host = NULL;
}
/* One turn of the loop that does not sleep / that may. */
static void turn(void) {
    uv_run(mw_host_loop(host), UV_RUN_NOWAIT);
}
static void turn_wait(void) {
    uv_run(mw_host_loop(host), UV_RUN_ONCE);
}

static mw_stream *stream_of(int rfd, int wfd, const struct mw_stream_limits *limits) {
    mw_stream *s = NULL;
    REQUIRE(mw_stream_open(host, rfd, wfd, "test", "pair", limits, &s, &err) == 0);
    return s;
}
/* A stream, and the plain descriptor at its other end. */
static mw_stream *pair(int *peer, const struct mw_stream_limits *limits) {
    int fd[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    *peer = fd[1];
    return stream_of(fd[0], fd[0], limits);
}

static int put(mw_stream *s, const void *at, size_t len) {
    struct mw_view v = { at, len };
    return mw_stream_write(s, &v, 1, &err);
}
static int held(mw_stream *s, const char *text) {
    struct mw_bytes *q = mw_stream_in(s);
    return mw_bytes_len(q) == strlen(text) && memcmp(mw_bytes_at(q), text, strlen(text)) == 0;
}
static int peer_reads(int fd, const char *text) {
    char got[4096];
    ssize_t n = recv(fd, got, sizeof got, MSG_DONTWAIT);
    return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}
/* Takes all that comes until the stream's end; how many bytes. */
static size_t taken_to_the_end(int fd) {
    static char in[65536];
    size_t got = 0;
    ssize_t n;

    while ((n = recv(fd, in, sizeof in, MSG_DONTWAIT)) != 0) {
        if (n > 0) got += (size_t)n;
        else turn_wait();
    }
    return got;
}
static int peer_has_nothing(int fd) {
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}
static unsigned char pattern(size_t i) {
    return (unsigned char)(i * 131 + (i >> 8) * 7);
}
/* It keeps limits of its own, which the kernel knows nothing of. */
static int under_valgrind(void) {
    const char *preload = getenv("LD_PRELOAD");
    if (preload == NULL || strstr(preload, "vgpreload") == NULL) return 0;
    puts("# left out: no descriptor limit under valgrind");
    return 1;
}
/* The set of parked streams, which stays open. */
static void open_set(void) {
    int peer;
    mw_stream *s = pair(&peer, NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    mw_stream_release(s);
    close(peer);
}
static int open_fds(void) {
    int n = 0, fd;
    for (fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

TEST(what_arrives_can_be_read_and_consumed) {
    int peer;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK(write(peer, "hello", 5) == 5);
    CHECK_INT(mw_stream_fill(s, 0, &err), 1);
    CHECK(held(s, "hello"));
    mw_stream_consume(s, 2);
    CHECK(held(s, "llo"));
    CHECK(mw_stream_offset(s) == 2);
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(calls_that_succeed_at_once_never_touch_epoll) {
    int peer, i;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    for (i = 0; i < 10; i++) {
        CHECK_INT(put(s, "ping", 4), 0);
        CHECK(peer_reads(peer, "ping"));
        CHECK(write(peer, "pong", 4) == 4);
        CHECK_INT(mw_stream_fill(s, 0, &err), 1);
        mw_stream_consume(s, 4);
    }
    CHECK(s->watch == NULL);
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_reader_that_waited_once_is_served_by_the_loop_from_then_on) {
    int peer;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    CHECK(s->parked && s->watch == NULL);
    CHECK(write(peer, "one", 3) == 3);
    turn_wait();
    CHECK(held(s, "one"));
    CHECK(write(peer, "two", 3) == 3);
    turn_wait();
    CHECK(held(s, "onetwo"));
    CHECK(s->want_read && s->parked);
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_socket_that_says_little_is_parked_and_one_that_says_much_is_not) {
    int peer, i;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    for (i = 0; s->parked && i < 20; i++) {
        CHECK(write(peer, "x", 1) == 1);
        turn_wait();
    }
    CHECK(i > 1 && i < 20);
    CHECK(s->watch != NULL);
    CHECK(write(peer, "y", 1) == 1);
    turn_wait();
    CHECK_INT(mw_bytes_len(mw_stream_in(s)), (size_t)i + 1);
    mw_stream_calm(s);
    CHECK(s->parked && s->watch == NULL);
    CHECK(write(peer, "z", 1) == 1);
    turn_wait();
    CHECK_INT(mw_bytes_len(mw_stream_in(s)), (size_t)i + 2);
    close(peer);
    turn_wait();
    CHECK(mw_stream_at_eof(s) && !s->parked);
    mw_stream_release(s);
    end();
}

TEST(a_parked_stream_that_must_write_is_watched_for_both) {
    static char much[1 << 20];
    int peer;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    CHECK(s->parked);
    CHECK(put(s, much, sizeof much) >= 0);
    CHECK(mw_stream_unsent(s) > 0 && !s->parked && s->watch != NULL);
    CHECK(write(peer, "in", 2) == 2);
    turn_wait();
    CHECK(held(s, "in"));
    close(peer);
    mw_stream_release(s);
    end();
}

static void never(uv_poll_t *it, int status, int events) {
    (void)it;
    (void)status;
    (void)events;
}

TEST(a_reader_stays_parked_when_there_is_no_watching_for_its_writer) {
    static char much[1 << 20];
    uv_poll_t other;
    int peer;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    CHECK(s->parked);
    REQUIRE(uv_poll_init(mw_host_loop(host), &other, mw_stream_rfd(s)) == 0);
    REQUIRE(uv_poll_start(&other, UV_PRIORITIZED, never) == 0);     /* libuv takes no second watcher */
    CHECK_INT(put(s, much, sizeof much), -EEXIST);
    CHECK(s->parked && s->want_read);
    CHECK_INT(put(s, "x", 1), -EEXIST);
    uv_close((uv_handle_t *)&other, NULL);
    CHECK(write(peer, "in", 2) == 2);
    turn_wait();
    CHECK(held(s, "in"));
    close(peer);
    mw_stream_release(s);
    turn();
    end();
}

TEST(each_of_many_parked_streams_is_told_of) {
    enum { MANY = 80 };          /* more than one call takes */
    int peer[MANY], i, told;
    mw_stream *s[MANY];
    begin();
    for (i = 0; i < MANY; i++) {
        s[i] = pair(&peer[i], NULL);
        CHECK_INT(mw_stream_fill(s[i], 0, &err), 0);
        CHECK(write(peer[i], "x", 1) == 1);
    }
    mw_stream_close(s[7]);
    do {
        turn_wait();
        for (i = told = 0; i < MANY; i++) told += i != 7 && mw_bytes_len(mw_stream_in(s[i])) == 1;
    } while (told < MANY - 1);
    for (i = 0; i < MANY; i++) {
        close(peer[i]);
        mw_stream_release(s[i]);
    }
    end();
}

TEST(want_bounds_what_one_fill_takes) {
    int peer;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK(write(peer, "abcdef", 6) == 6);
    CHECK_INT(mw_stream_fill(s, 2, &err), 1);
    CHECK(held(s, "ab"));
    CHECK_INT(mw_stream_fill(s, 3, &err), 1);
    CHECK(held(s, "abcde"));
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(the_end_comes_after_the_last_byte_and_stays) {
    int peer;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK(write(peer, "x", 1) == 1);
    close(peer);
    CHECK_INT(mw_stream_fill(s, 0, &err), 1);
    CHECK(!mw_stream_at_eof(s));
    CHECK_INT(mw_stream_fill(s, 0, &err), MW_EEOF);
    CHECK_INT(mw_stream_fill(s, 0, &err), MW_EEOF);
    CHECK(mw_stream_at_eof(s));
    CHECK(held(s, "x"));
    mw_stream_release(s);
    end();
}

TEST(reading_ahead_stops_at_the_high_mark_and_goes_on_when_the_reader_asks) {
    int peer;
    size_t sent = 0, got = 0, i, wrong = 0;
    static char block[4096];
    struct mw_stream_limits l;
    mw_stream *s;
    begin();
    mw_stream_limits_init(&l);
    l.read_high = 16384;
    s = pair(&peer, &l);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    for (;;) {
        ssize_t n;
        for (i = 0; i < sizeof block; i++) block[i] = (char)pattern(sent + i);
        n = send(peer, block, sizeof block, MSG_DONTWAIT);
        if (n < 0) break;
        sent += (size_t)n;
        turn();
    }
    for (i = 0; i < 20; i++) turn();
    CHECK(!s->want_read);
    CHECK(mw_bytes_len(mw_stream_in(s)) >= l.read_high);
    CHECK(mw_bytes_len(mw_stream_in(s)) <= l.read_high + 4 * l.read_high);
    shutdown(peer, SHUT_WR);
    for (;;) {
        struct mw_bytes *q = mw_stream_in(s);
        size_t n = mw_bytes_len(q);
        int rc;
        for (i = 0; i < n; i++) wrong += (unsigned char)mw_bytes_at(q)[i] != pattern(got + i);
        mw_stream_consume(s, n);
        got += n;
        rc = mw_stream_fill(s, 0, &err);
        if (rc == MW_EEOF) break;
        REQUIRE(rc >= 0);
        if (rc == 0) turn_wait();
    }
    CHECK_INT(got, sent);
    CHECK_INT(wrong, 0);
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_crowded_host_reads_nothing_ahead_and_lets_nobody_hold_much) {
    int peer;
    static char block[4096];
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    CHECK(write(peer, "some", 4) == 4);
    turn_wait();
    CHECK(!mw_host_crowded(host));
    mw_host_set_buffered_max(host, 100);
    CHECK(mw_host_crowded(host));
    CHECK(write(peer, "more", 4) == 4);
    turn_wait();
    CHECK(held(s, "some"));
    CHECK_INT(mw_stream_fill(s, 0, &err), 1);
    CHECK(held(s, "somemore"));
    while (mw_bytes_len(mw_stream_in(s)) < MW_CROWDED_MAX) {
        REQUIRE(write(peer, block, sizeof block) == (ssize_t)sizeof block);
        REQUIRE(mw_stream_fill(s, 0, &err) == 1);
    }
    CHECK(write(peer, "x", 1) == 1);
    CHECK_INT(mw_stream_fill(s, 0, &err), MW_ELIMIT);
    mw_host_set_buffered_max(host, MW_BUFFERED_MAX);
    CHECK_INT(mw_stream_fill(s, 0, &err), 1);
    mw_stream_close(s);
    mw_host_set_buffered_max(host, 0);
    CHECK(!mw_host_crowded(host));
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(what_the_kernel_refuses_is_queued_and_arrives_in_order) {
    int peer, rc = 0, i;
    size_t total = 0, got = 0, wrong = 0, k;
    static char block[50000];
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    for (i = 0; i < 40; i++) {
        for (k = 0; k < sizeof block; k++) block[k] = (char)pattern(total + k);
        rc = put(s, block, sizeof block);
        REQUIRE(rc >= 0);
        total += sizeof block;
    }
    CHECK_INT(rc, 1);
    CHECK(mw_stream_crowded(s));
    CHECK(mw_stream_unsent(s) > 0);
    while (got < total) {
        static char in[65536];
        ssize_t n = recv(peer, in, sizeof in, MSG_DONTWAIT);
        if (n < 0) {
            turn_wait();
            continue;
        }
        for (k = 0; k < (size_t)n; k++) wrong += (unsigned char)in[k] != pattern(got + k);
        got += (size_t)n;
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(mw_stream_unsent(s), 0);
    turn();
    turn();
    CHECK(!s->want_write);
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(the_parts_of_one_write_are_one_piece) {
    struct mw_view parts[100];
    char want[401] = "";
    int peer, i;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    for (i = 0; i < 100; i++) {
        parts[i] = (struct mw_view){ i % 3 ? "abcd" : "", i % 3 ? 4 : 0 };
        if (i % 3) strcat(want, "abcd");
    }
    CHECK_INT(mw_stream_write(s, parts, 100, &err), 0);
    CHECK(peer_reads(peer, want));
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_write_beyond_the_hard_limit_takes_nothing) {
    struct mw_stream_limits l;
    int peer;
    mw_stream *s;
    begin();
    mw_stream_limits_init(&l);
    l.write_hard = 1000;
    s = pair(&peer, &l);
    static char big[1001];
    CHECK_INT(put(s, big, sizeof big), MW_ELIMIT);
    CHECK(peer_has_nothing(peer));
    CHECK_INT(put(s, "ok", 2), 0);
    CHECK(peer_reads(peer, "ok"));
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_peer_that_has_gone_is_an_error_and_no_signal) {
    int peer, fd[2];
    mw_stream *s, *p;
    begin();
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    s = pair(&peer, NULL);
    REQUIRE(pipe2(fd, O_CLOEXEC) == 0);
    p = stream_of(-1, fd[1], NULL);
    close(peer);
    close(fd[0]);
    CHECK_INT(put(s, "x", 1), -EPIPE);
    CHECK_INT(put(s, "x", 1), -EPIPE);
    CHECK_INT(put(p, "x", 1), -EPIPE);
    CHECK_INT(put(p, "x", 1), -EPIPE);
    CHECK_STR(err.op, "test write");
    mw_stream_release(s);
    mw_stream_release(p);
    end();
}

TEST(a_pipe_whose_reader_goes_away_while_bytes_wait_tells_the_next_writer) {
    int fd[2];
    static char big[1 << 20];
    mw_stream *p;
    begin();
    REQUIRE(pipe2(fd, O_CLOEXEC) == 0);
    p = stream_of(-1, fd[1], NULL);
    CHECK_INT(put(p, big, sizeof big), 0);
    close(fd[0]);
    while (p->werr == 0) turn_wait();
    CHECK_INT(mw_stream_unsent(p), 0);
    CHECK_INT(put(p, "x", 1), -EPIPE);
    CHECK_INT(mw_stream_flush(p, &err), -EPIPE);
    mw_stream_release(p);
    end();
}

TEST(finish_ends_the_stream_behind_what_is_queued) {
    int peer;
    static char big[900000];
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK_INT(put(s, big, sizeof big), 0);
    CHECK_INT(mw_stream_finish(s, &err), 1);
    CHECK_INT(put(s, "x", 1), MW_ECLOSED);
    CHECK_INT(taken_to_the_end(peer), sizeof big);
    CHECK_INT(mw_stream_finish(s, &err), 0);
    CHECK(write(peer, "still", 5) == 5);
    CHECK_INT(mw_stream_fill(s, 0, &err), 1);
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_stream_of_two_pipes_reads_from_one_and_writes_to_the_other) {
    int in[2], out[2];
    char c;
    mw_stream *s;
    begin();
    REQUIRE(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    s = stream_of(in[0], out[1], NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    CHECK_INT(put(s, "q", 1), 0);
    CHECK(read(out[0], &c, 1) == 1 && c == 'q');
    CHECK(write(in[1], "a", 1) == 1);
    turn_wait();
    CHECK(held(s, "a"));
    CHECK_INT(mw_stream_finish(s, &err), 0);
    CHECK(read(out[0], &c, 1) == 0);
    CHECK(mw_stream_wfd(s) == -1);
    CHECK_INT(mw_stream_peer(s, &(struct mw_peer){ 0 }, &err), -ENOTSOCK);
    close(in[1]);
    turn_wait();
    CHECK_INT(mw_stream_fill(s, 0, &err), MW_EEOF);
    close(out[0]);
    mw_stream_release(s);
    end();
}

TEST(a_retired_stream_is_closed_for_its_users_but_sends_the_rest) {
    int peer;
    static char big[900000];
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK_INT(put(s, big, sizeof big), 0);
    CHECK_INT(mw_stream_retire(s, &err), 1);
    CHECK(mw_stream_closed(s));
    CHECK_INT(put(s, "x", 1), MW_ECLOSED);
    CHECK_INT(mw_stream_fill(s, 0, &err), MW_ECLOSED);
    CHECK_INT(taken_to_the_end(peer), sizeof big);
    CHECK(s->closed && mw_stream_rfd(s) == -1);
    close(peer);
    mw_stream_release(s);
    end();
}

/* Room that is taken. */
static char *added(mw_stream *s, size_t len) {
    char *at = mw_stream_room(s, len);
    if (at != NULL) mw_stream_added(s, len);
    return at;
}
/* One that bursts: what is put first is gathered too. */
static mw_stream *bursting_pair(int *peer, const struct mw_stream_limits *limits) {
    mw_stream *s = pair(peer, limits);
    s->bursts = 1;
    return s;
}

TEST(the_first_small_write_of_a_turn_is_prompt_unless_others_followed_the_last_time) {
    int peer, i;
    struct mw_view v = { "x", 1 };
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    for (i = 0; i < 3; i++) {
        CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
        CHECK(peer_reads(peer, "x"));
        turn();
    }
    for (i = 0; i < 100; i++) CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK(peer_reads(peer, "x"));
    turn();
    CHECK_INT(s->stats.writes, 5);
    CHECK_INT(s->stats.bytes_out, 103);
    while (!peer_has_nothing(peer)) CHECK_INT(recv(peer, &i, 1, 0), 1);
    for (i = 0; i < 100; i++) CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK(peer_has_nothing(peer));
    turn();
    CHECK_INT(s->stats.writes, 6);
    while (!peer_has_nothing(peer)) CHECK_INT(recv(peer, &i, 1, 0), 1);
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK(peer_has_nothing(peer));
    turn();
    CHECK(peer_reads(peer, "x"));
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);    /* one alone the last time: prompt again */
    CHECK(peer_reads(peer, "x"));
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(small_pieces_go_out_once_at_the_end_of_the_turn) {
    int peer, i;
    struct mw_view v = { "ab", 2 };
    mw_stream *s;
    begin();
    s = bursting_pair(&peer, NULL);
    for (i = 0; i < 3; i++) CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK(peer_has_nothing(peer));
    turn();
    CHECK(peer_reads(peer, "ababab"));
    CHECK_INT(s->stats.writes, 1);
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK_INT(put(s, "c", 1), 0);
    CHECK(peer_reads(peer, "abc"));
    CHECK_INT(s->stats.writes, 2);
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK_INT(mw_stream_flush(s, &err), 0);
    CHECK(peer_reads(peer, "ab"));
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    mw_stream_close(s);
    CHECK(peer_reads(peer, "ab"));
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(what_is_put_before_a_read_of_the_same_stream_goes_out_first) {
    struct mw_view v = { "?", 1 };
    mw_stream *s;
    int peer;
    begin();
    s = bursting_pair(&peer, NULL);
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    CHECK(peer_reads(peer, "?"));
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_piece_is_added_in_place_only_behind_others_and_only_while_more_may_be_held) {
    static char big[4096];
    struct mw_stream_limits l;
    struct mw_view v = { "a", 1 }, fill = { big, sizeof big };
    char *at, got[8192];
    mw_stream *s;
    int peer;
    begin();
    mw_stream_limits_init(&l);
    l.write_soft = 6000;
    l.write_hard = 8000;
    s = bursting_pair(&peer, &l);
    CHECK(added(s, 1) == NULL); /* nothing is gathered: nobody would send it */
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    at = added(s, 2);
    REQUIRE(at != NULL);
    memcpy(at, "bc", 2);
    CHECK_INT(mw_stream_put(s, &fill, 1, &err), 0);
    CHECK(added(s, 6000) == NULL);
    CHECK_INT(mw_stream_put(s, &fill, 1, &err), MW_ELIMIT);
    CHECK_INT(mw_stream_flush(s, &err), 0);
    CHECK_INT(recv(peer, got, sizeof got, MSG_DONTWAIT), 3 + (int)sizeof big);
    CHECK(memcmp(got, "abc", 3) == 0);
    CHECK(added(s, 1) == NULL);
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK_INT(mw_stream_finish(s, &err), 0);
    CHECK(added(s, 1) == NULL);
    CHECK_INT(mw_stream_put(s, &v, 1, &err), MW_ECLOSED);
    mw_stream_close(s);
    CHECK(added(s, 1) == NULL);
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(what_waits_for_a_full_pipe_is_added_to_and_arrives_in_order) {
    static char big[400 * 1024];
    struct mw_view v = { "end", 3 }, large = { big, sizeof big };
    char last[3] = "", *at, chunk[65536];
    size_t got = 0;
    ssize_t n;
    int peer;
    mw_stream *s;
    begin();
    s = bursting_pair(&peer, NULL);
    CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    CHECK_INT(mw_stream_put(s, &large, 1, &err), 0);    /* with what was gathered, in one call */
    CHECK_INT(s->stats.writes, 1);
    CHECK(mw_stream_unsent(s) > 0);
    CHECK_INT(mw_stream_put(s, &large, 1, &err), 0);
    while ((at = added(s, 3)) == NULL) CHECK_INT(mw_stream_put(s, &v, 1, &err), 0);
    memcpy(at, "END", 3);
    while (mw_stream_unsent(s) > 0 || !peer_has_nothing(peer)) {
        n = recv(peer, chunk, sizeof chunk, MSG_DONTWAIT);
        if (n <= 0) {
            turn_wait();
            continue;
        }
        if (got == 0) CHECK(memcmp(chunk, "end", 3) == 0);
        got += (size_t)n;
        if (n >= 3) memcpy(last, chunk + n - 3, 3);
    }
    CHECK(got >= 2 * sizeof big + 6);
    CHECK(memcmp(last, "END", 3) == 0);
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_stream_on_which_nothing_moves_is_closed_and_says_why) {
    struct mw_stream_limits l;
    int peer;
    mw_stream *s;
    begin();
    mw_stream_limits_init(&l);
    l.idle_ns = 1000000;
    s = pair(&peer, &l);
    while (!mw_stream_closed(s)) turn_wait();
    CHECK_INT(mw_stream_fill(s, 0, &err), MW_ECLOSED);
    CHECK_STR(err.what, "closed: nothing moved for 0.001 s");
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_peer_that_takes_nothing_is_given_up) {
    struct mw_stream_limits l;
    static char big[900000];
    int peer;
    mw_stream *s;
    begin();
    mw_stream_limits_init(&l);
    l.stall_ns = 1000000;
    s = pair(&peer, &l);
    CHECK_INT(put(s, big, sizeof big), 0);
    while (!mw_stream_closed(s)) turn_wait();
    CHECK_INT(put(s, "x", 1), MW_ECLOSED);
    CHECK_STR(err.what, "closed: the peer took nothing for 0.001 s");
    close(peer);
    mw_stream_release(s);
    end();
}

TEST(a_peer_that_resets_is_an_error_that_stays) {
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct linger hard = { 1, 0 };
    socklen_t len = sizeof at;
    struct mw_peer who;
    char url[64], want[64];
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), a;
    mw_stream *s;
    begin();
    REQUIRE(bind(l, (struct sockaddr *)&at, len) == 0 && listen(l, 1) == 0);
    REQUIRE(getsockname(l, (struct sockaddr *)&at, &len) == 0 && connect(c, (struct sockaddr *)&at, len) == 0);
    a = accept(l, NULL, NULL);
    s = stream_of(a, a, NULL);
    CHECK_INT(mw_stream_peer(s, &who, &err), 0);
    CHECK_STR(who.host, "127.0.0.1");
    CHECK(who.family == AF_INET && who.port > 0);
    CHECK_INT(mw_stream_address(s, url, sizeof url, &err), 0);
    snprintf(want, sizeof want, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
    CHECK_STR(url, want);
    CHECK(mw_stream_alive(s));
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(c);
    while (s->rerr == 0) turn_wait();
    CHECK_INT(mw_stream_fill(s, 0, &err), -ECONNRESET);
    CHECK(!mw_stream_alive(s));
    close(l);
    mw_stream_release(s);
    end();
}

TEST(alive_sees_the_peers_end_behind_unread_bytes_and_takes_none) {
    int peer;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK(mw_stream_alive(s));
    CHECK(write(peer, "x", 1) == 1);
    CHECK(mw_stream_alive(s));
    close(peer);
    CHECK(!mw_stream_alive(s));
    CHECK_INT(mw_stream_fill(s, 0, &err), 1);
    CHECK(held(s, "x"));
    mw_stream_release(s);
    end();
}

TEST(after_close_every_call_says_so_and_close_may_be_repeated) {
    int peer, fds[MW_STREAM_FDS], before;
    char url[64];
    struct mw_peer who;
    mw_stream *s;
    begin();
    open_set();
    before = open_fds();
    s = pair(&peer, NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    mw_stream_close(s);
    mw_stream_close(s);
    close(peer);
    CHECK_INT(open_fds(), before);
    CHECK_INT(mw_stream_fill(s, 0, &err), MW_ECLOSED);
    CHECK_INT(put(s, "x", 1), MW_ECLOSED);
    CHECK_INT(mw_stream_flush(s, &err), MW_ECLOSED);
    CHECK_INT(mw_stream_finish(s, &err), MW_ECLOSED);
    CHECK_INT(mw_stream_take_fds(s, fds, &err), MW_ECLOSED);
    CHECK_INT(mw_stream_send_fds(s, &peer, 1, &err), MW_ECLOSED);
    CHECK_INT(mw_stream_peer(s, &who, &err), MW_ECLOSED);
    CHECK_INT(mw_stream_address(s, url, sizeof url, &err), MW_ECLOSED);
    CHECK(!mw_stream_alive(s));
    mw_stream_release(s);
    end();
}

TEST(the_host_closes_what_was_left_open) {
    int peer;
    char c;
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0);
    end();
    CHECK(read(peer, &c, 1) == 0);
    CHECK(mw_stream_closed(s));
    mw_stream_release(s);
    close(peer);
}

/* ---- Descriptors ---------------------------------------------------------------------------------------------------------- */

static mw_stream *both(mw_stream **other) {
    int fd[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    *other = stream_of(fd[1], fd[1], NULL);
    return stream_of(fd[0], fd[0], NULL);
}

TEST(a_descriptor_keeps_its_place_among_the_bytes) {
    int fds[MW_STREAM_FDS], p[2];
    char c = 0;
    mw_stream *a, *b;
    begin();
    a = both(&b);
    REQUIRE(pipe2(p, O_CLOEXEC) == 0);
    CHECK_INT(put(a, "before\n", 7), 0);
    CHECK_INT(mw_stream_send_fds(a, &p[1], 1, &err), 0);
    CHECK_INT(put(a, "after\n", 6), 0);
    close(p[1]);
    while (mw_bytes_len(mw_stream_in(b)) < 14) REQUIRE(mw_stream_fill(b, 0, &err) == 1);
    CHECK_INT(mw_stream_take_fds(b, fds, &err), MW_EFRAME);
    mw_stream_consume(b, 7);
    CHECK_INT(mw_stream_fds_ready(b), 1);
    CHECK_INT(mw_stream_take_fds(b, fds, &err), 1);
    CHECK(held(b, "after\n"));
    CHECK(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    CHECK(write(fds[0], "!", 1) == 1);
    CHECK(read(p[0], &c, 1) == 1 && c == '!');
    close(fds[0]);
    close(p[0]);
    mw_stream_release(a);
    mw_stream_release(b);
    end();
}

TEST(a_descriptor_waits_behind_queued_bytes) {
    int fds[MW_STREAM_FDS], p[2], n = 0;
    static char big[900000];
    size_t got = 0;
    mw_stream *a, *b;
    begin();
    a = both(&b);
    REQUIRE(pipe2(p, O_CLOEXEC) == 0);
    CHECK_INT(put(a, big, sizeof big), 0);
    CHECK_INT(mw_stream_send_fds(a, p, 2, &err), 0);
    CHECK_INT(put(a, "z", 1), 0);
    close(p[0]);
    close(p[1]);
    while (got < sizeof big) {
        size_t have = mw_bytes_len(mw_stream_in(b));
        if (have > sizeof big - got) have = sizeof big - got;
        mw_stream_consume(b, have);
        got += have;
        if (got < sizeof big && mw_stream_fill(b, 0, &err) == 0) turn_wait();
    }
    while ((n = mw_stream_take_fds(b, fds, &err)) == 0) {
        if (mw_stream_fill(b, 0, &err) == 0) turn_wait();
    }
    REQUIRE(n == 2);
    CHECK(write(fds[1], "!", 1) == 1);
    close(fds[0]);
    close(fds[1]);
    while (!held(b, "z")) {
        if (mw_stream_fill(b, 0, &err) == 0) turn_wait();
    }
    mw_stream_release(a);
    mw_stream_release(b);
    end();
}

TEST(descriptors_that_nobody_claims_are_closed) {
    int before, i, none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    mw_stream *a, *b;
    begin();
    a = both(&b);
    before = open_fds();
    for (i = 0; i < 3; i++) CHECK_INT(mw_stream_send_fds(a, &none, 1, &err), 0);
    for (i = 0; i < 3; i++) CHECK_INT(mw_stream_fill(b, 0, &err), 1);
    CHECK_INT(open_fds(), before + 3);
    mw_stream_consume(b, 2);
    CHECK_INT(open_fds(), before + 1);
    mw_stream_close(b);
    CHECK_INT(open_fds(), before - 1);
    mw_stream_release(a);
    mw_stream_release(b);
    close(none);
    end();
}

TEST(a_peer_that_floods_with_descriptors_does_not_fill_our_table) {
    int before, i, none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    mw_stream *a, *b;
    begin();
    open_set();
    a = both(&b);
    before = open_fds();
    CHECK_INT(mw_stream_fill(b, 0, &err), 0);
    for (i = 0; i < 100; i++) {
        REQUIRE(mw_stream_send_fds(a, &none, 1, &err) >= 0);
        turn();
    }
    CHECK(open_fds() <= before + MW_STREAM_FDS);
    while (mw_bytes_len(mw_stream_in(b)) < 100) REQUIRE(mw_stream_fill(b, 0, &err) == 1);
    CHECK(open_fds() <= before + MW_PASSED_MAX);
    mw_stream_consume(b, 100);
    CHECK_INT(open_fds(), before);
    mw_stream_release(a);
    mw_stream_release(b);
    close(none);
    end();
}

TEST(a_message_with_more_descriptors_than_are_taken_is_refused_whole) {
    int many[MW_STREAM_FDS + 4], fds[MW_STREAM_FDS], peer, i, before, none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof many)];
    } control;
    char zero = 0;
    struct iovec iov = { &zero, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    mw_stream *s;
    begin();
    s = pair(&peer, NULL);
    before = open_fds();
    for (i = 0; i < MW_STREAM_FDS + 4; i++) many[i] = none;
    memset(&control, 0, sizeof control);
    control.align = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof many), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.align), many, sizeof many);
    CHECK(sendmsg(peer, &msg, 0) == 1);
    CHECK(write(peer, "x", 1) == 1);
    while (mw_bytes_len(mw_stream_in(s)) < 2) REQUIRE(mw_stream_fill(s, 0, &err) == 1);
    CHECK_INT(open_fds(), before);
    CHECK_INT(mw_stream_take_fds(s, fds, &err), MW_ELIMIT);
    CHECK(held(s, "x"));
    close(peer);
    close(none);
    mw_stream_release(s);
    end();
}

TEST(a_descriptor_that_finds_no_place_in_our_table_is_an_error_and_the_stream_goes_on) {
    int fds[MW_STREAM_FDS], hole;
    struct rlimit was, low;
    mw_stream *a, *b;
    if (under_valgrind()) return;
    begin();
    a = both(&b);
    CHECK_INT(mw_stream_send_fds(a, &(int){ 0 }, 1, &err), 0);
    CHECK_INT(put(a, "x", 1), 0);
    getrlimit(RLIMIT_NOFILE, &was);
    hole = dup(0);
    close(hole);
    low = was;
    low.rlim_cur = (rlim_t)hole;
    setrlimit(RLIMIT_NOFILE, &low);
    while (mw_bytes_len(mw_stream_in(b)) < 2) REQUIRE(mw_stream_fill(b, 0, &err) == 1);
    setrlimit(RLIMIT_NOFILE, &was);
    CHECK_INT(mw_stream_take_fds(b, fds, &err), -EMFILE);
    CHECK(held(b, "x"));
    mw_stream_release(a);
    mw_stream_release(b);
    end();
}

TEST(a_socket_that_is_no_unix_socket_carries_no_descriptors) {
    int fd[2];
    mw_stream *s;
    begin();
    REQUIRE(pipe2(fd, O_CLOEXEC) == 0);
    s = stream_of(-1, fd[1], NULL);
    CHECK_INT(mw_stream_send_fds(s, fd, 1, &err), MW_EINVAL);
    close(fd[0]);
    mw_stream_release(s);
    end();
}

/* ---- Other descriptors ------------------------------------------------------------------------------------------------------ */

TEST(a_regular_file_is_read_and_written_without_the_loop) {
    char name[] = "/tmp/stream_test_XXXXXX";
    int fd = mkstemp(name), rc;
    mw_stream *s;
    begin();
    s = stream_of(-1, dup(fd), NULL);
    CHECK_INT(put(s, "line\n", 5), 0);
    CHECK_INT(mw_stream_finish(s, &err), 0);
    mw_stream_release(s);
    lseek(fd, 0, SEEK_SET);
    s = stream_of(fd, -1, NULL);
    CHECK_INT(put(s, "x", 1), MW_EINVAL);
    while ((rc = mw_stream_fill(s, 0, &err)) == 1) continue;
    CHECK_INT(rc, MW_EEOF);
    CHECK(held(s, "line\n"));
    CHECK(s->watch == NULL);
    mw_stream_release(s);
    unlink(name);
    end();
}

TEST(a_terminal_whose_other_side_is_gone_is_at_its_end) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, rc;
    mw_stream *s;
    begin();
    REQUIRE(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    s = stream_of(master, master, NULL);
    CHECK(write(slave, "bye", 3) == 3);
    close(slave);
    while ((rc = mw_stream_fill(s, 0, &err)) == 1) continue;
    CHECK_INT(rc, MW_EEOF);
    CHECK(held(s, "bye"));
    mw_stream_release(s);
    end();
}
