/* Blocking work on the thread pool, waited for by a task.
 * Knows: core, uv.h. Never: what the work is. */
#include "core/work.h"

#include "core/inside.h"
#include "core/raise.h"

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
    int rc;
    w->host = h;
    w->finished = w->abandoned = 0;
    mw_wait_init(&w->done);
    rc = uv_queue_work(h->loop, &w->req, run, finished);
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
        mw_err_set(&err, rc, "task", NULL, NULL);
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
