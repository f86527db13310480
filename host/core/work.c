/* Blocking work on the thread pool, waited for by a task.
 * Knows: core, uv.h. Never: what the work is. */
#include "core/work.h"

#include <stdlib.h>

#include "core/inside.h"
#include "core/raise.h"

#define POOL_THREADS 4    /* libuv's own default and bound */
#define POOL_MAX 1024

/* ---- Are there threads? ---------------------------------------------------------------------------------------------------- */

static void pass(void *lock) {
    uv_mutex_lock(lock);
    uv_mutex_unlock(lock);
}

/* How many libuv will make, by its own rule. */
static int pool_size(void) {
    const char *text = getenv("UV_THREADPOOL_SIZE");
    int n = text != NULL ? atoi(text) : POOL_THREADS;

    return n == 0 ? 1 : n < 0 || n > POOL_MAX ? POOL_MAX : n;
}

/* libuv makes its pool at the first job, and aborts when a thread is refused (a limit of processes, a filter of system calls): as many
 * are tried before, all at once. */
int mw_work_prepare(mw_host *h) {
    uv_thread_t threads[POOL_MAX];
    uv_mutex_t lock;
    int n = pool_size(), made = 0, rc;

    if (h->has_pool) return 0;
    rc = uv_mutex_init(&lock);
    if (rc < 0) return rc;
    uv_mutex_lock(&lock);
    while (made < n && (rc = uv_thread_create(&threads[made], pass, &lock)) == 0) made++;
    uv_mutex_unlock(&lock);
    while (made > 0) uv_thread_join(&threads[--made]);
    uv_mutex_destroy(&lock);
    h->has_pool = rc == 0;
    return rc;
}

/* ---- A job ------------------------------------------------------------------------------------------------------------------- */

static void run(uv_work_t *req) {
    struct mw_work *w = MW_LIST_ENTRY(req, struct mw_work, req);
    w->run(w);
}

static void finished(uv_work_t *req, int status) {
    struct mw_work *w = MW_LIST_ENTRY(req, struct mw_work, req);
    (void)status;
    w->host->works--;
    w->finished = 1;
    if (w->abandoned) w->free(w);
    else mw_wait_wake(&w->done);
}

static int start(mw_host *h, struct mw_work *w) {
    int rc = mw_work_prepare(h);

    w->host = h;
    w->finished = w->abandoned = 0;
    mw_wait_init(&w->done);
    if (rc == 0) rc = uv_queue_work(h->loop, &w->req, run, finished);
    if (rc == 0) h->works++;
    return rc;
}

static int back(lua_State *L, int code, lua_KContext ctx) {
    struct mw_work *w = (struct mw_work *)ctx;
    lua_KFunction k = (lua_KFunction)lua_touserdata(L, -2);
    lua_KContext inner = (lua_KContext)lua_touserdata(L, -1);

    if (!w->finished && code == 0) return mw_wait_yield_raw(L, &w->done, MW_NEVER, ctx, back);
    lua_pop(L, 2);
    if (w->finished && code != MW_ECANCELED) return k(L, 0, inner);
    if (w->finished) {
        w->free(w);
    } else {
        w->abandoned = 1;
        uv_cancel((uv_req_t *)&w->req); /* if no thread has taken it yet; finished() runs either way */
    }
    return code == MW_ECANCELED ? mw_wait_cancelled(L) : k(L, code, inner);
}

int mw_work_yield(lua_State *L, struct mw_work *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k) {
    int rc;

    if (!mw_wait_possible(L) || !lua_checkstack(L, 4)) {
        w->free(w);
        return mw_raise_inval(L, "task", "cannot wait here");
    }
    rc = start(mw_host_of(L), w);
    if (rc < 0) {
        struct mw_err err;
        w->free(w);
        mw_err_setf(&err, rc, "task", NULL, "no threads for what may block: %s", mw_err_words(rc));
        return mw_push_err(L, &err);
    }
    lua_pushlightuserdata(L, (void *)k);
    lua_pushlightuserdata(L, (void *)ctx);
    return mw_wait_yield_raw(L, &w->done, deadline, (lua_KContext)w, back);
}

int mw_work_detach(mw_host *h, struct mw_work *w) {
    int rc = start(h, w);
    if (rc < 0) w->free(w);
    else w->abandoned = 1;
    return rc;
}
