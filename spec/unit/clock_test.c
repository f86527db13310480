/* A wall clock that is set while a host runs: nothing that waits may look at it.
 * Knows: moonwire.h, base/thread; clock_gettime is its own here. Never: touches the machine's clock. */
#include "moonwire.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/thread.h"
#include "support/check.h"

#define DAY 86400

static struct mw_err err;
static atomic_int jumps; /* how often somebody has read the wall clock; it goes forth and back by days */
static int ahead;        /* ... or stays a day ahead */

int clock_gettime(clockid_t id, struct timespec *at) {
    int rc = (int)syscall(SYS_clock_gettime, id, at), n;

    if (rc != 0 || id != CLOCK_REALTIME) return rc;
    n = atomic_fetch_add(&jumps, 1);
    at->tv_sec += ahead ? DAY : DAY * (n % 2 == 0 ? n % 5 : -(n % 7));
    return 0;
}

static void on_error(mw_host *h, const struct mw_err *e, const char *traceback, void *ud) {
    (void)h;
    (void)ud;
    check_fail("script", 0, "%s\n%s", e->message, traceback);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h;
    (void)ud;
    (void)level;
    (void)line;
    (void)len;
}

static void run(const char *script) {
    struct mw_config cfg;
    mw_policy *p = NULL;
    mw_host *h = NULL;
    int status = -1;

    mw_config_init(&cfg);
    cfg.on_error = on_error;
    cfg.on_log = on_log;
    cfg.warden = 0;
    REQUIRE(mw_policy_new(&p, &err) == 0 && mw_policy_add_all(p, &err) == 0);
    cfg.policy = p;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(p);
    REQUIRE(mw_host_load_string(h, script, strlen(script), "=script", &err) == 0);
    CHECK_INT(mw_host_run(h, &status, &err), 0);
    CHECK_INT(status, 0);
    mw_host_free(h);
}

TEST(what_waits_waits_as_long_as_it_was_told_to) {
    run("local mw = require 'moonwire' local task = mw.task\n"
        "local function code(v, e) assert(v == nil and e, tostring(v)) return e.code end\n"
        "mw.log.info 'the clock is read'\n"
        "assert(mw.time.wall() ~= mw.time.wall())\n"
        "local began = mw.time.now() task.sleep(0.02) assert(mw.time.now() > began)\n"
        "assert(code(task.timeout(0.02, function() task.wait() end)) == 'ETIMEDOUT')\n"
        "local r = assert(mw.process.run{ 'sleep', '1000', timeout = 0.05, kill_after = 0.05 }) assert(r.timed_out)\n"
        "local srv <close> = assert(mw.net.listen('tcp://127.0.0.1:0'))\n"
        "assert(code(srv:accept{ timeout = 0.02 }) == 'ETIMEDOUT')\n"
        "local c <close> = assert(mw.net.connect(srv:address(), { timeout = 20 }))\n"
        "assert(code(c:read('l', { timeout = 0.02 })) == 'ETIMEDOUT')\n"
        "local m <close> = assert(mw.shm.create{ size = 64 })\n"
        "assert(code(m:wait_u32(0, 0, { timeout = 0.02 })) == 'ETIMEDOUT')\n"
        "local ring <close> = assert(mw.shm.ring{ capacity = 4096 })\n"
        "assert(code(ring:pop{ timeout = 0.02 }) == 'ETIMEDOUT')\n"
        "local n = 0 assert(task.retry(function() n = n + 1 return n == 3 or nil, 'no' end, { attempts = 3, backoff = { 0.01, 0.02 } }))\n"
        "local sup <close> = assert(mw.supervisor{ backoff = { 0.01, 0.02 }, { id = 'job', run = { 'true' }, ready = { exit = 0 } } })\n"
        "assert(sup:wait_ready{ timeout = 20 })\n");
    CHECK(atomic_load(&jumps) > 0);
}

#ifndef __SANITIZE_THREAD__ /* it knows of no join by another clock: base/thread.c */
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *stay(void *ud) {
    (void)ud;
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    return NULL;
}

TEST(a_thread_that_does_not_end_is_not_waited_for_until_the_clock_is_right_again) {
    struct timespec until;
    pthread_t thread;

    ahead = 1;
    pthread_mutex_lock(&held);
    REQUIRE(pthread_create(&thread, NULL, stay, NULL) == 0);
    mw_thread_until(&until, 20);
    CHECK_INT(mw_thread_join(thread, &until), ETIMEDOUT);
    pthread_mutex_unlock(&held);
    mw_thread_until(&until, 60000);
    CHECK_INT(mw_thread_join(thread, &until), 0);
    ahead = 0;
}
#endif
