/* Many hosts on several threads: stepped, cut by their budget, posted to, broken and interrupted from elsewhere, ended in the middle.
 * Knows: moonwire.h, threads. Never: what is under moonwire.h. */
#include "support/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "moonwire.h"

enum { THREADS = 8, HOSTS = 6, STEPS = 60 };

static const char script[] =
    "local mw = require 'moonwire'\n"
    "local heard = 0\n"
    "mw.host.on('n', function(n) heard = heard + n end)\n"
    "function heard_so_far() return heard end\n"
    "mw.task.spawn_with({ daemon = true }, function() while true do mw.task.sleep(0.001) end end)\n"
    "local ch = mw.task.channel(2)\n"
    "mw.task.spawn_with({ daemon = true }, function() for i in ch:messages() do local t = {} for k = 1, 20 do t[k] = tostring(i) end end end)\n"
    "mw.task.spawn_with({ daemon = true }, function() for i = 1, math.huge do ch:send(i) end end)\n"
    "mw.task.spawn_with({ daemon = true }, function() pcall(function() while true do end end) mw.task.wait() end)\n"
    "mw.task.scope(function(s) for i = 1, 50 do s:spawn(mw.task.sleep, i / 10000) end end)\n"
    "mw.task.wait()\n";

/* One thread's hosts; others reach them while `open`. */
struct lane {
    pthread_t thread;
    pthread_mutex_t lock;
    mw_host *hosts[HOSTS];
    int open, bad;
};
static struct lane lanes[THREADS];

static void quiet(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) { (void)h, (void)err, (void)traceback, (void)ud; }

static int begin(struct lane *l) {
    struct mw_config cfg;
    struct mw_err err;

    mw_config_init(&cfg);
    cfg.on_error = quiet;
    cfg.preempt = MW_PREEMPT_COUNT;
    cfg.shutdown_ms = 100;
    for (int i = 0; i < HOSTS; i++) {
        if (mw_host_new(&cfg, &l->hosts[i], &err) < 0 || mw_host_load_string(l->hosts[i], script, sizeof script - 1, "=hosts", &err) < 0) {
            printf("# %s\n", err.message);
            return -1;
        }
    }
    return 0;
}

/* Says something to a host of another lane, if that is there. */
static void disturb(struct lane *l, int turn, const char *one) {
    pthread_mutex_lock(&l->lock);
    if (l->open) {
        mw_host *h = l->hosts[turn % HOSTS];
        if (turn % 3 == 0) (void)mw_host_break(h);
        else (void)mw_host_post(h, "n", one, 1, NULL);
        if (turn == STEPS - 1) mw_host_interrupt(h, 1, "another thread");
    }
    pthread_mutex_unlock(&l->lock);
}

static void *work(void *ud) {
    struct lane *l = ud;
    const size_t own = (size_t)(l - lanes);
    static const char one[1] = {1};

    l->bad = begin(l) < 0;
    pthread_mutex_lock(&l->lock);
    l->open = !l->bad;
    pthread_mutex_unlock(&l->lock);
    for (int turn = 0; turn < STEPS && !l->bad; turn++) {
        for (int i = 0; i < HOSTS; i++) {
            struct mw_step st;
            mw_buf out = {0};
            if (mw_host_step(l->hosts[i], 300, &st, NULL) < 0) l->bad = 1;
            (void)mw_host_post(l->hosts[i], "n", one, 1, NULL);
            (void)mw_host_call(l->hosts[i], "heard_so_far", NULL, 0, &out, NULL); /* MW_EAGAIN while a script stands still */
            mw_buf_free(&out);
        }
        disturb(&lanes[(own + 1 + (size_t)turn) % THREADS], turn, one);
    }
    pthread_mutex_lock(&l->lock);
    l->open = 0;
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < HOSTS; i++) mw_host_free(l->hosts[i]);
    return NULL;
}

TEST(hosts_on_many_threads_do_not_meet) {
    for (int i = 0; i < THREADS; i++) pthread_mutex_init(&lanes[i].lock, NULL);
    for (int i = 0; i < THREADS; i++) REQUIRE(pthread_create(&lanes[i].thread, NULL, work, &lanes[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(lanes[i].thread, NULL);
        CHECK_INT(lanes[i].bad, 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_mutex_destroy(&lanes[i].lock);
}
