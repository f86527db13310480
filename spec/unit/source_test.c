/* Sources: what another thread leaves in memory is found, rings or no rings, however the loop is turned.
 * Knows: core. Never: a primitive. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "core/host.h"
#include "core/poll.h"
#include "core/source.h"
#include "core/task.h"
#include "support/check.h"

#define ITEMS 5000u

/* A queue of numbers, of which only the count is kept, and its doorbell. */
struct queue {
    struct mw_source source;
    struct mw_wait wait;
    mw_host *host;
    uv_poll_t bell;
    int fd;
    atomic_uint put, asleep;
    unsigned taken, looks, told, rung;
    atomic_uint seen;               /* by the consumer: the other thread waits for it */
    sem_t saw;              /* posted after each change of it */
    unsigned told_twice;
    int said;                       /* to the source */
    int once;                       /* the other side rings once a sleep */
};

static int look(struct mw_source *s) {
    struct queue *q = MW_LIST_ENTRY(s, struct queue, source);

    q->looks++;
    if (atomic_load_explicit(&q->put, memory_order_acquire) == q->taken) return 0;
    mw_wait_wake(&q->wait);
    return 1;
}
static void sleeps(struct mw_source *s, int asleep) {
    struct queue *q = MW_LIST_ENTRY(s, struct queue, source);

    q->told++;
    if (q->said == asleep) q->told_twice++;
    q->said = asleep;
    atomic_store_explicit(&q->asleep, (unsigned)asleep, memory_order_relaxed);
}
static void on_bell(uv_poll_t *it, int status, int events) {
    struct queue *q = it->data;
    uint64_t n;

    (void)status;
    (void)events;
    if (read(q->fd, &n, sizeof n) == sizeof n) q->rung++;
}

static void put(struct queue *q) {
    uint64_t one = 1;

    atomic_fetch_add_explicit(&q->put, 1, memory_order_release);
    mw_source_fence();
    if (!atomic_load_explicit(&q->asleep, memory_order_relaxed)) return;
    if (q->once && !atomic_exchange(&q->asleep, 0)) return;
    if (write(q->fd, &one, sizeof one) < 0) abort();
}

static int consume(lua_State *L, int status, lua_KContext ctx) {
    struct queue *q = (struct queue *)ctx;

    (void)status;
    q->taken = atomic_load_explicit(&q->put, memory_order_acquire);
    atomic_store(&q->seen, q->taken);
    sem_post(&q->saw);
    if (q->taken >= ITEMS) return 0;
    return mw_wait_yield(L, &q->wait, MW_NEVER, ctx, consume);
}
static int consumer(lua_State *L) {
    return consume(L, 0, (lua_KContext)lua_touserdata(L, 1));
}

static void open_queue(struct queue *q, uv_loop_t *loop) {
    struct mw_err err;

    memset(q, 0, sizeof *q);
    REQUIRE(mw_host_create(loop, NULL, NULL, NULL, &q->host, &err) == 0);
    REQUIRE(sem_init(&q->saw, 0, 0) == 0);
    mw_wait_init(&q->wait);
    q->source.look = look;
    q->source.sleeps = sleeps;
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    REQUIRE(q->fd >= 0 && uv_poll_init(mw_host_loop(q->host), &q->bell, q->fd) == 0);
    q->bell.data = q;
    REQUIRE(mw_poll_start(&q->bell, UV_READABLE, on_bell) == 0);
    mw_host_watch(q->host, &q->source);
    lua_pushcfunction(mw_host_state(q->host), consumer);
    lua_pushlightuserdata(mw_host_state(q->host), q);
    REQUIRE(mw_task_start(mw_host_root(q->host), mw_host_state(q->host), 1, "consumer", 0, NULL, &err) == 0);
}
static void close_queue(struct queue *q) {
    mw_host_unwatch(&q->source);
    mw_host_unwatch(&q->source); /* safe to repeat */
    uv_close((uv_handle_t *)&q->bell, NULL);
    mw_host_destroy(q->host, 1000);
    close(q->fd);
    sem_destroy(&q->saw);
    CHECK_INT(q->told_twice, 0);
}

static void *produce(void *ud) {
    struct queue *q = ud;

    for (unsigned i = 0; i < ITEMS; i++) {
        put(q);
        if (i % 3 == 0) /* often let it go to sleep, and often not */
            while (atomic_load(&q->seen) <= i) sem_wait(&q->saw);
        if (i % 64 == 0) usleep(50);
    }
    return NULL;
}

TEST(what_another_thread_leaves_is_found_by_a_host_that_runs) {
    struct queue q;
    pthread_t other;

    open_queue(&q, NULL);
    CHECK_INT(atomic_load(&q.asleep), 1); /* it does not run yet */
    REQUIRE(pthread_create(&other, NULL, produce, &q) == 0);
    CHECK_INT(mw_host_loop_run(q.host), 0);
    pthread_join(other, NULL);
    CHECK_INT(q.taken, ITEMS);
    CHECK_INT(atomic_load(&q.asleep), 1);
    CHECK(q.rung <= ITEMS);
    close_queue(&q);
}

TEST(what_another_thread_leaves_is_found_between_steps) {
    struct queue q;
    pthread_t other;

    open_queue(&q, NULL);
    REQUIRE(pthread_create(&other, NULL, produce, &q) == 0);
    while (mw_host_loop_step(q.host, mw_host_now(q.host) + 1000000)) CHECK_INT(atomic_load(&q.asleep), 1);
    pthread_join(other, NULL);
    CHECK_INT(q.taken, ITEMS);
    close_queue(&q);
}

TEST(what_another_thread_leaves_is_found_by_one_turn_after_the_other_that_blocks) {
    struct queue q;
    pthread_t other;

    open_queue(&q, NULL);
    REQUIRE(pthread_create(&other, NULL, produce, &q) == 0);
    while (mw_host_loop_turn(q.host, -1)) CHECK_INT(atomic_load(&q.asleep), 1);
    pthread_join(other, NULL);
    CHECK_INT(q.taken, ITEMS);
    close_queue(&q);
}

static void borrowed(int once, int from_outside) {
    struct queue q;
    uv_loop_t loop;
    pthread_t other;
    struct pollfd fd;

    REQUIRE(uv_loop_init(&loop) == 0);
    open_queue(&q, &loop);
    q.once = once;
    fd = (struct pollfd){ uv_backend_fd(&loop), POLLIN, 0 };
    REQUIRE(pthread_create(&other, NULL, produce, &q) == 0);
    while (q.taken < ITEMS) {
        if (from_outside) poll(&fd, 1, uv_backend_timeout(&loop));
        uv_run(&loop, from_outside ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    }
    pthread_join(other, NULL);
    close_queue(&q);
    CHECK_INT(uv_loop_close(&loop), 0);
}
TEST(what_another_thread_leaves_is_found_on_a_borrowed_loop) {
    borrowed(0, 0);
    borrowed(1, 0);
}
TEST(what_another_thread_leaves_is_found_by_an_engine_that_polls_the_loops_descriptor) {
    borrowed(0, 1);
    borrowed(1, 1);
}
TEST(one_ring_is_enough_for_each_sleep) {
    struct queue q;
    pthread_t other;

    open_queue(&q, NULL);
    q.once = 1;
    REQUIRE(pthread_create(&other, NULL, produce, &q) == 0);
    CHECK_INT(mw_host_loop_run(q.host), 0);
    pthread_join(other, NULL);
    CHECK_INT(q.taken, ITEMS);
    close_queue(&q);
}

TEST(what_was_there_before_a_source_is_watched_is_found) {
    struct queue q;
    uv_loop_t loop;

    REQUIRE(uv_loop_init(&loop) == 0);
    open_queue(&q, &loop);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    mw_host_unwatch(&q.source);
    atomic_store(&q.asleep, 0);
    q.said = 0;
    for (unsigned i = 0; i < ITEMS; i++) put(&q); /* the loop counts as up: no ring */
    mw_host_watch(q.host, &q.source);
    while (q.taken < ITEMS) uv_run(&loop, UV_RUN_ONCE);
    CHECK_INT(q.rung, 0);
    close_queue(&q);
    CHECK_INT(uv_loop_close(&loop), 0);
}

/* ---- Leaving ---------------------------------------------------------------------------------------------------------- */

struct three {
    struct mw_source source;
    struct mw_source *drop;         /* unwatched in the look; NULL: none */
    unsigned looks;
};
static int look_and_drop(struct mw_source *s) {
    struct three *it = MW_LIST_ENTRY(s, struct three, source);

    it->looks++;
    if (it->drop != NULL) mw_host_unwatch(it->drop);
    return 0;
}

#define EACH 4u    /* two turns, with a look before and after their tasks */
static void drop(unsigned from, unsigned which, unsigned first, unsigned second, unsigned third) {
    struct three all[3];
    mw_host *h = NULL;
    struct mw_err err;

    memset(all, 0, sizeof all);
    REQUIRE(mw_host_create(NULL, NULL, NULL, NULL, &h, &err) == 0);
    all[from].drop = &all[which].source;
    for (int i = 0; i < 3; i++) {
        all[i].source.look = look_and_drop;
        mw_host_watch(h, &all[i].source);
    }
    uv_run(mw_host_loop(h), UV_RUN_NOWAIT);
    uv_run(mw_host_loop(h), UV_RUN_NOWAIT);
    CHECK_INT(all[0].looks, first);
    CHECK_INT(all[1].looks, second);
    CHECK_INT(all[2].looks, third);
    for (int i = 0; i < 3; i++) mw_host_unwatch(&all[i].source);
    mw_host_destroy(h, 0);
}

TEST(a_source_may_leave_in_its_own_look) {
    drop(0, 0, 1, EACH, EACH);
    drop(1, 1, EACH, 1, EACH);
    drop(2, 2, EACH, EACH, 1);
}
TEST(a_source_may_take_another_away_in_its_look) {
    drop(0, 1, EACH, 0, EACH);
    drop(0, 2, EACH, EACH, 0);
    drop(1, 0, 1, EACH, EACH);
    drop(1, 2, EACH, EACH, 0);
}

TEST(nobody_looks_at_a_source_that_has_left) {
    struct queue q;
    unsigned looks, told;

    open_queue(&q, NULL);
    CHECK_INT(mw_host_loop_turn(q.host, 0), 1);
    mw_host_unwatch(&q.source);
    looks = q.looks;
    told = q.told;
    CHECK(looks > 0);
    CHECK_INT(mw_host_loop_turn(q.host, 0), 1);
    CHECK_INT(mw_host_loop_turn(q.host, 1), 1);
    CHECK_INT(q.looks, looks);
    CHECK_INT(q.told, told);
    close_queue(&q);
}
