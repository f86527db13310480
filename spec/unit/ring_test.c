/* Rings and futexes with threads: two sides of one memory, two hosts on two threads, hundreds of waiters.
 * Knows: share, core, moonwire.h. Never: Lua of its own, save what the hosts run. */
#include "support/check.h"
#include "support/spin.h"

#include <poll.h>
#include <pthread.h>
#include <uv.h>

#include "io/process.h"
#include "moonwire.h"
#include "share/memory.h"
#include "share/ring_parts.h"

enum { MANY = 200000 };

static mw_host *host;

static mw_ring *ring_of(uint64_t capacity) {
    struct mw_err err;
    mw_ring *r = NULL;

    REQUIRE(mw_host_create(NULL, NULL, NULL, NULL, &host, &err) == 0);
    REQUIRE(mw_ring_create(host, capacity, &r, &err) == 0);
    return r;
}
static void end(mw_ring *r) {
    mw_ring_free(r);
    mw_host_destroy(host, 0);
}

/* ---- Both sides over one mapping, so that ThreadSanitizer sees what they share ------------------------------------------------------- */

static void *popping(void *ud) {
    mw_ring *r = ud;
    uint64_t wanted = 0, mark, wrong = 0;
    struct mw_view v;
    struct mw_err err;
    int rc;

    while ((rc = mw_ring_peek(r, &v, &mark, &err)) != 2) {
        uint64_t got = 0;
        if (rc == 0) {
            mw_ring_tell_head(r, 1);
            spin_once();
            continue;
        }
        if (rc < 0) return (void *)-1;
        memcpy(&got, v.at, sizeof got);
        wrong += got != wanted || v.len != 8 + got % 100;
        wanted++;
        mw_ring_popped(r, mark);
    }
    return (void *)(wrong + (wanted != MANY));
}

TEST(two_threads_hand_over_every_record_once_in_order_and_whole) {
    mw_ring *r = ring_of(4096);
    static _Alignas(64) mw_ring other;
    char record[128] = { 0 };
    struct mw_err err;
    pthread_t thread;
    void *wrong;

    other = *r;
    r->dusky = other.dusky = 1;                     /* no loop turns: both tell by themselves */
    r->remote = other.remote = 1;
    r->side = MW_RING_FIRST;
    other.side = MW_RING_SECOND;
    r->bell = -1;
    other.bell = -1;
    REQUIRE(pthread_create(&thread, NULL, popping, &other) == 0);
    for (uint64_t i = 0; i < MANY;) {
        int rc;
        memcpy(record, &i, sizeof i);
        rc = mw_ring_push(r, record, 8 + i % 100, &err);
        REQUIRE(rc >= 0);
        if (rc == 0) spin_once();
        else i++;
    }
    CHECK(mw_ring_finish(r, &err) == 0);
    pthread_join(thread, &wrong);
    CHECK(wrong == NULL);
    r->remote = 0;
    end(r);
}

TEST(a_ring_whose_memory_is_scribbled_over_is_broken_and_nothing_is_read_beyond_it) {
    mw_ring *r = ring_of(4096);
    struct mw_view v;
    struct mw_err err;
    uint64_t mark, seed = 88172645463325252u;

    for (int i = 0; i < 20000; i++) {
        uint64_t *words = (uint64_t *)(void *)r->data;
        r->broken = r->pops = r->pushes = 0;
        r->remote = 1;
        r->dusky = 1;
        mw_ring_start(r);
        for (int k = 0; k < 8; k++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            if (k == 0) atomic_store(&r->page->tail, seed % 3 == 0 ? seed : r->head + (seed >> 8) % 4160 / 8 * 8);
            else if (k == 1) atomic_store(&r->page->head, seed % 3 == 0 ? seed : r->tail - (seed >> 8) % 4160 / 8 * 8);
            else words[seed % 512] = seed % 2 ? (seed >> 20) % 1100 : seed;
        }
        atomic_store(&r->page->popper, MW_RING_FIRST);
        atomic_store(&r->page->pusher, MW_RING_FIRST);
        for (int k = 0; k < 100 && mw_ring_peek(r, &v, &mark, &err) == 1; k++) {
            CHECK(v.at >= r->data && v.at + v.len <= r->data + 2 * r->capacity && v.len <= r->capacity / 4);
            mw_ring_popped(r, mark);
        }
        mw_ring_push(r, "0123456789", 10, &err);
    }
    r->remote = 0;
    r->broken = 1;
    end(r);
}

/* ---- Two hosts ------------------------------------------------------------------------------------------------------------------------- */

enum turning { BY_ITSELF, BY_STEPS, BORROWED };

struct run {
    struct mw_process_shares *shares;
    const char *script;
    enum turning how;
    int status, errors, printed;
    char error[1024];
};

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)h;
    (void)text;
    (void)len;
    ((struct run *)ud)->printed = 1;
}

static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    struct run *run = ud;
    (void)h;
    (void)traceback;
    run->errors++;
    snprintf(run->error, sizeof run->error, "%s", err->message);
}

static void closed(void *ud) {
    *(int *)ud = 1;
}

/* Somebody else's loop, which blocks as it likes: the host's asleep flags must stand all the time. */
static void turn_borrowed(struct run *run, mw_host *h, uv_loop_t *loop, struct mw_err *err) {
    int done = 0;

    while (!run->printed && run->errors == 0) uv_run(loop, UV_RUN_ONCE);
    if (mw_host_close(h, closed, &done, err) < 0) abort();
    while (!done) uv_run(loop, UV_RUN_ONCE);
    if (uv_loop_close(loop) < 0) run->status = -3;
}

/* Steps, and between them a wait for the descriptor. */
static void turn_by_steps(struct run *run, mw_host *h, struct mw_err *err) {
    struct mw_step st;

    do {
        struct pollfd at = { mw_host_backend_fd(h), POLLIN, 0 };
        if (mw_host_step(h, 2000, &st, err) < 0) run->status = -4;
        if (st.alive && st.ready == 0) poll(&at, 1, mw_host_timeout_ms(h));
    } while (st.alive && run->status == 0 && run->errors == 0);
    mw_host_free(h);
}

static void *run_host(void *ud) {
    struct run *run = ud;
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;
    uv_loop_t loop;
    int rc;

    mw_config_init(&cfg);
    cfg.shares = run->shares;
    cfg.on_error = on_error;
    cfg.on_print = on_print;
    cfg.ud = run;
    cfg.warden = 0;
    if (run->how == BORROWED && uv_loop_init(&loop) < 0) abort();
    rc = run->how == BORROWED ? mw_host_new_on(&loop, &cfg, &h, &err) : mw_host_new(&cfg, &h, &err);
    if (rc == 0) rc = mw_host_load_string(h, run->script, strlen(run->script), "=test", &err);
    if (rc < 0) {
        snprintf(run->error, sizeof run->error, "%s", err.message);
        run->status = -1;
    } else if (run->how == BORROWED) {
        turn_borrowed(run, h, &loop, &err);
        return NULL;
    } else if (run->how == BY_STEPS) {
        turn_by_steps(run, h, &err);
        return NULL;
    } else if (mw_host_run(h, &run->status, &err) < 0) {
        run->status = -2;
    }
    mw_host_free(h);
    return NULL;
}

static struct mw_process_shares *share(uint32_t kind, unsigned flags, uint64_t fact, const int *fds, unsigned count) {
    struct mw_process_shares *s = calloc(1, sizeof *s + sizeof s->at[0]);

    if (s == NULL) abort();
    s->count = 1;
    strcpy(s->at[0].name, "it");
    s->at[0].kind = kind;
    s->at[0].flags = flags;
    s->at[0].facts[0] = fact;
    s->at[0].fd_count = count;
    memcpy(s->at[0].fds, fds, count * sizeof *fds);
    return s;
}

static void run_both(struct run *a, struct run *b) {
    pthread_t thread;

    REQUIRE(pthread_create(&thread, NULL, run_host, b) == 0);
    run_host(a);
    pthread_join(thread, NULL);
    CHECK(a->status == 0 && b->status == 0);
    CHECK(a->errors == 0 && b->errors == 0);
    if (*a->error || *b->error) printf("# %s | %s\n", a->error, b->error);
}

static void ring_between(enum turning pushing, enum turning popping_) {
    static const char pusher[] = "local mw = require 'moonwire' local ring = mw.shared.it "
                                 "for i = 1, 20000 do ring:push('r' .. i) if i % 997 == 0 then mw.task.sleep(0.0001) end end ring:finish() print 'pushed'";
    static const char popper[] = "local mw = require 'moonwire' local n = 0 "
                                 "for rec in mw.shared.it:records { timeout = 60 } do n = n + 1 assert(rec == 'r' .. n) end assert(n == 20000) print(n)";
    mw_ring *r = ring_of(8192);
    struct run a = { .script = pusher, .how = pushing }, b = { .script = popper, .how = popping_ };
    unsigned side;
    uint64_t capacity;
    struct mw_err err;
    int fds[2];

    REQUIRE(mw_ring_hand(r, fds, &side, &capacity, &err) == 0);
    a.shares = share(2, side, capacity, fds, 2);
    REQUIRE(mw_ring_hand(r, fds, &side, &capacity, &err) == 0);
    b.shares = share(2, side, capacity, fds, 2);
    end(r);
    run_both(&a, &b);
}

TEST(two_hosts_on_two_threads_push_and_pop_and_sleep_and_wake) {
    ring_between(BY_ITSELF, BY_ITSELF);
}
TEST(a_host_on_a_borrowed_loop_is_woken_by_the_doorbell) {
    ring_between(BY_ITSELF, BORROWED);
    ring_between(BORROWED, BY_ITSELF);
}
TEST(a_host_that_is_stepped_is_woken_by_the_doorbell) {
    ring_between(BY_ITSELF, BY_STEPS);
    ring_between(BY_STEPS, BORROWED);
}

TEST(two_hosts_wait_for_each_others_numbers_with_hundreds_of_waiters) {
    static const char script[] =
        "local mw = require 'moonwire' local m = mw.shared.it local me = m:add_u32(0, 1) "
        "mw.task.scope(function(s) for i = 1, 300 do s:spawn(function() "
        "  if i % 2 == me % 2 then m:set_u32(i * 4, 1) m:wake_u32(i * 4) else assert(m:wait_until_u32(i * 4, 1, { timeout = 60 })) end "
        "  mw.task.timeout(0.001, function() m:wait_u32(4000, 0) end) "
        "  if i % 3 == 0 then local _, e = m:wait_u32(4000, 0, { timeout = 0 }) assert(e.code == 'ETIMEDOUT') end "
        "end) end end)";
    struct run a = { .script = script }, b = { .script = script };
    mw_ring *r = ring_of(4096);
    struct mw_memory_wish w = { .size = 4096 };
    mw_memory *m = NULL;
    struct mw_err err;
    int fd;

    REQUIRE(mw_memory_create(host, &w, &m, &err) == 0);
    fd = mw_memory_lend(m, &err);
    a.shares = share(1, 0, 4096, &fd, 1);
    fd = mw_memory_lend(m, &err);
    b.shares = share(1, 0, 4096, &fd, 1);
    mw_memory_free(m);
    end(r);
    run_both(&a, &b);
}

/* ---- Memory of those who have no handler for faults --------------------------------------------------------------------------------------- */

TEST(without_a_handler_for_faults_memory_with_a_name_is_used_carefully) {
    static const char script[] =
        "local mw = require 'moonwire' local m = mw.shared.it "
        "m:write(4, 'careful') assert(m:read(4, 7) == 'careful') m:set_u32(16, 7) assert(m:u32(16) == 7 and m:fill(20, 5000, 9) and m:u8(5019) == 9) "
        "m:copy(4096, 0, 100) m:copy(1, 0, 20) assert(m:read(5, 7) == 'careful') "
        "local none, e = m:add_u32(0, 1) assert(none == nil and e.code == 'EOPNOTSUPP') "
        "none, e = m:wait_u32(0, 0) assert(none == nil and e.code == 'EOPNOTSUPP')";
    struct run a = { .script = script };
    char name[] = "/tmp/moonwire-ring-test-XXXXXX";
    int fd = mkstemp(name);

    REQUIRE(fd >= 0);
    unlink(name);
    REQUIRE(ftruncate(fd, 8192) == 0);
    a.shares = share(1, 0, 8192, &fd, 1);
    run_host(&a);
    CHECK(a.status == 0 && a.errors == 0);
    if (*a.error) printf("# %s\n", a.error);
}
