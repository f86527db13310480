/* Pools, counted: what all of a host do together, for metrics.
 * Knows: bind/pool, observe/measures. Never: changes a pool. */
#include "bind/pool.h"

static void add_one(struct mw_handle *it, void *ud) {
    const struct mw_pool_set *s = MW_LIST_ENTRY(it, struct mw_pool_set, handle);
    struct mw_pool_census *c = (struct mw_pool_census *)ud + s->threads;
    const struct mw_pool *p = &s->pool;

    c->pools++;
    c->idle += p->idle;
    c->busy += p->loaded;
    c->starting += p->asked + p->unready;
    c->queued += mw_pool_waiting(p);
    c->completed += p->stats.completed;
    c->failed += p->stats.failed;
    c->crashed += p->stats.crashed;
    c->restarted += p->stats.restarted;
}

void mw_pool_census(mw_host *h, struct mw_pool_census out[2]) {
    const struct mw_measures *m = mw_host_measures(h);

    for (int i = 0; i < 2; i++)
        out[i] = (struct mw_pool_census){ .completed = m->pools[i].completed, .failed = m->pools[i].failed,
                                          .crashed = m->pools[i].crashed, .restarted = m->pools[i].restarted };
    mw_pool_each(h, add_one, out);
}

void mw_pool_census_bury(struct mw_pool_set *s) {
    struct mw_measures *m = mw_host_measures(s->host);

    m->pools[s->threads].completed += s->pool.stats.completed;
    m->pools[s->threads].failed += s->pool.stats.failed;
    m->pools[s->threads].crashed += s->pool.stats.crashed;
    m->pools[s->threads].restarted += s->pool.stats.restarted;
}

void mw_pool_set_measure(const struct mw_pool_set *s, const struct mw_pool_task *t, uint64_t run_ns, uint64_t now) {
    const struct mw_measures *m = mw_host_measures(s->host);
    uint64_t took = now - t->queued_at;

    if (m->times[MW_TIME_CALL_PROCESS] == NULL) return;
    mw_measure(m, s->threads ? MW_TIME_CALL_THREAD : MW_TIME_CALL_PROCESS, took);
    mw_measure(m, s->threads ? MW_TIME_WAIT_THREAD : MW_TIME_WAIT_PROCESS, took > run_ns ? took - run_ns : 0);
}
