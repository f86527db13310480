/* One bounded set for all pools: tasks in, to members, and out.
 * Knows: pool. Never: Lua, a clock, a process, a thread. */
#include "pool/pool.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SPAN_NS   UINT64_C(200000)    /* a member is given as many tasks as take about so long */
#define STALL_NS  UINT64_C(10000000)  /* what waits behind a task that runs for so long goes to others */
#define ASLEEP_NS UINT64_C(200000000) /* and behind a member that begins nothing */

/* ---- Times -------------------------------------------------------------------------------------------------------------------- */

static uint64_t after(uint64_t at, uint64_t ns) {
    return ns > MW_POOL_NEVER - at ? MW_POOL_NEVER : at + ns;
}

static inline uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline void due(struct mw_pool *p, uint64_t at) {
    if (at < p->due) p->due = at;
}

/* ---- Members by load ------------------------------------------------------------------------------------------------------------ */

static void leave_place(struct mw_pool *p, struct mw_pool_member *m) {
    if (m->at == 0) return;
    mw_list_remove(&m->place);
    if (mw_list_empty(&p->places[m->at - 1])) p->places_used &= ~(UINT64_C(1) << (m->at - 1));
    if (m->at == 1) p->idle--;
    m->at = 0;
}

static void take_place(struct mw_pool *p, struct mw_pool_member *m) {
    leave_place(p, m);
    if (m->state != MW_POOL_READY || m->skips > 0 || m->dying) return;
    if (m->load > 0 && (m->mark == NULL || m->load >= MW_POOL_AHEAD)) return;
    m->at = m->load + 1;
    mw_list_add(&p->places[m->load], &m->place);
    p->places_used |= UINT64_C(1) << m->load;
    if (m->load == 0) p->idle++;
}

/* The least busy member that may have one more task of so many bytes, or NULL. */
static struct mw_pool_member *choose(struct mw_pool *p, size_t bytes) {
    struct mw_pool_member *m;
    unsigned load;

    if (p->places_used == 0) return NULL;
    load = (unsigned)__builtin_ctzll(p->places_used);
    if (load >= p->window) return NULL;
    m = MW_LIST_ENTRY(p->places[load].next, struct mw_pool_member, place);
    return load > 0 && m->bytes + bytes > MW_POOL_AHEAD_BYTES ? NULL : m;
}

/* Runs took ns: how many tasks a member may hold. */
static void learn(struct mw_pool *p, uint64_t ns) {
    uint64_t fit;

    if (ns == 0) ns = 1;
    if (ns > p->typical_ns)
        p->typical_ns = ns;
    else
        p->typical_ns -= (p->typical_ns - ns) / 8;
    fit = SPAN_NS / p->typical_ns;
    p->window = fit < 1 ? 1 : fit > MW_POOL_AHEAD ? MW_POOL_AHEAD : (unsigned)fit;
}

/* ---- Tasks ---------------------------------------------------------------------------------------------------------------------- */

static void over(struct mw_pool *p, struct mw_pool_task *t, int code, enum mw_pool_phase phase,
                 struct mw_pool_member *m) {
    t->state = MW_POOL_TASK_OVER;
    t->member = NULL;
    if (code != MW_ECANCELED) p->stats.failed++;
    p->ops->ended(p, t, code, phase, m);
}

static void take_back(struct mw_pool *p, struct mw_pool_task *t) {
    struct mw_pool_member *m = t->member;

    mw_list_remove(&t->link);
    m->load--;
    m->bytes -= t->bytes;
    p->given--;
    if (m->load == 0) p->loaded--;
    t->member = NULL;
}

/* Once more to where its age puts it; ran: it may wait anew. There is room: see mw_pool_add. */
static void requeue(struct mw_pool *p, struct mw_pool_task *t, int ran, uint64_t now) {
    if (t->abandoned || p->state == MW_POOL_CLOSED || p->state == MW_POOL_BROKEN) {
        over(p, t,
             t->abandoned                 ? MW_ECANCELED
             : p->state == MW_POOL_CLOSED ? MW_ECLOSED
                                          : MW_ECRASHED,
             MW_POOL_IN_QUEUE, NULL);
        return;
    }
    t->state = MW_POOL_TASK_QUEUED;
    if (ran) t->queue_until = least(t->until, after(now, p->limits.queue_ns));
    due(p, t->queue_until);
    mw_pool_queue_add(&p->queue, t);
}

static int again(const struct mw_pool *p, const struct mw_pool_task *t, int what) {
    return (p->limits.retry & 1u << what) && t->attempts < p->limits.attempts && !t->abandoned &&
           p->state <= MW_POOL_DRAINING;
}

static void give(struct mw_pool *p, struct mw_pool_member *m, struct mw_pool_task *t, uint64_t now) {
    t->state = MW_POOL_TASK_GIVEN;
    t->member = m;
    t->seq = ++m->seq;
    t->given_at = m->changed_at = now;
    mw_list_add(&m->tasks, &t->link);
    if (m->load == 0) p->loaded++;
    m->load++;
    m->bytes += t->bytes;
    p->given++;
    if (m->mark == NULL) t->attempts++; /* it begins there and then */
    due(p, least(t->until, after(now, t->run_ns)));
    if (m->load > 1) due(p, after(now, STALL_NS));
    if (p->ops->give(p, m, t) < 0) m->state = MW_POOL_LEAVING, p->leaving++;
    take_place(p, m);
}

/* Members that should be started. */
static void want(struct mw_pool *p, uint64_t now) {
    unsigned total = p->count - p->leaving + p->asked, coming = p->asked + p->unready;
    unsigned demand = p->queue.count > coming ? p->queue.count - coming : 0;

    if (p->state != MW_POOL_OPEN && (p->state != MW_POOL_DRAINING || p->queue.count == 0)) return;
    if (demand == 0 && coming == 0 && p->given > p->count - p->leaving) demand = 1; /* one of them has two */
    if (p->state == MW_POOL_OPEN && p->limits.min_idle > p->idle + coming + demand)
        demand = p->limits.min_idle - p->idle - coming;
    if (total >= p->limits.size) return;
    if (demand > p->limits.size - total) demand = p->limits.size - total;
    if (demand == 0) return;
    if (now < p->start_at) {
        due(p, p->start_at);
        return;
    }
    p->asked += demand;
    p->wanted += demand;
    for (; demand > 0 && p->missing > 0; demand--, p->missing--) p->stats.restarted++;
    p->ops->want(p);
}

static void idle_leave(struct mw_pool *p);

static void dispatch(struct mw_pool *p, uint64_t now) {
    struct mw_pool_task *t;
    struct mw_pool_member *m;
    int room = 0;

    while ((t = mw_pool_queue_first(&p->queue)) != NULL && (m = choose(p, t->bytes)) != NULL) {
        mw_pool_queue_remove(&p->queue, t);
        give(p, m, t, now);
        room = 1;
    }
    want(p, now);
    if (p->state == MW_POOL_DRAINING && p->queue.count == 0) idle_leave(p);
    if (room) p->ops->changed(p);
}

unsigned mw_pool_waiting(const struct mw_pool *p) {
    return p->queue.count + p->given - p->loaded;
}

int mw_pool_has_room(const struct mw_pool *p, size_t bytes) {
    return mw_pool_waiting(p) < p->limits.max_queue && bytes <= p->limits.max_queue_bytes - p->queue.bytes;
}

int mw_pool_add(struct mw_pool *p, struct mw_pool_task *t, uint64_t queue_until, uint64_t now) {
    struct mw_pool_member *m;

    if (p->state == MW_POOL_BROKEN) return MW_ECRASHED;
    if (p->state != MW_POOL_OPEN) return MW_ECLOSED;
    if (t->bytes > p->limits.max_queue_bytes) return MW_ELIMIT;
    m = p->queue.count == 0 ? choose(p, t->bytes) : NULL;
    if ((m == NULL || m->load > 0) && !mw_pool_has_room(p, t->bytes)) return MW_EAGAIN;
    if (mw_pool_queue_reserve(&p->queue, p->queue.count + p->given + 1) < 0) return MW_ENOMEM;
    mw_list_init(&t->link);
    t->order = ++p->order;
    t->queued_at = now;
    t->queue_until = least(t->until, queue_until != MW_POOL_NEVER ? queue_until : after(now, p->limits.queue_ns));
    if (m != NULL) {
        give(p, m, t, now);
        if (m->load > 1 || p->limits.min_idle > p->idle) want(p, now);
        return 0;
    }
    t->state = MW_POOL_TASK_QUEUED;
    due(p, t->queue_until);
    mw_pool_queue_add(&p->queue, t);
    dispatch(p, now);
    return 0;
}

/* ---- Members -------------------------------------------------------------------------------------------------------------------- */

/* Those of its tasks that it has not begun go back. */
static void take_unbegun(struct mw_pool *p, struct mw_pool_member *m, uint64_t now) {
    struct mw_list *at, *next;
    uint32_t begun;

    if (m->mark == NULL) return;
    begun = mw_pool_mark_revoke(m->mark, &m->epoch);
    for (at = m->tasks.next; at != &m->tasks; at = next) {
        struct mw_pool_task *t = MW_LIST_ENTRY(at, struct mw_pool_task, link);

        next = at->next;
        if ((int32_t)(t->seq - begun) <= 0) continue;
        take_back(p, t);
        m->skips++;
        requeue(p, t, 0, now);
    }
    take_place(p, m);
}

static void leave(struct mw_pool *p, struct mw_pool_member *m, enum mw_pool_member_state state) {
    if (m->state == MW_POOL_STARTING) p->unready--;
    if (m->state < MW_POOL_LEAVING) p->leaving++;
    m->state = state;
    leave_place(p, m);
}

static void kill_member(struct mw_pool *p, struct mw_pool_member *m, int blameless, uint64_t now) {
    if (m->state == MW_POOL_KILLED) return;
    if (blameless) m->blameless = 1;
    if (p->state <= MW_POOL_DRAINING) p->missing++;
    leave(p, m, MW_POOL_KILLED);
    take_unbegun(p, m, now);
    p->ops->end(p, m, 0);
}

void mw_pool_kill(struct mw_pool *p, struct mw_pool_member *m, int blameless, uint64_t now) {
    kill_member(p, m, blameless, now);
    dispatch(p, now);
}

/* It goes when it is idle. */
static void maybe_leave(struct mw_pool *p, struct mw_pool_member *m) {
    if (m->state == MW_POOL_LEAVING && m->load == 0) {
        m->state = MW_POOL_KILLED;
        m->blameless = 1;
        p->ops->end(p, m, 1);
    }
}

void mw_pool_retire(struct mw_pool *p, struct mw_pool_member *m, uint64_t now) {
    if (m->state >= MW_POOL_LEAVING) return;
    p->stats.recycled++;
    leave(p, m, MW_POOL_LEAVING);
    maybe_leave(p, m);
    dispatch(p, now);
}

/* The worker has not begun it: then it has gone back, and is over. */
static int withdrawn(struct mw_pool *p, struct mw_pool_task *t, uint64_t now) {
    struct mw_pool_member *m = t->member;
    struct mw_list *at;

    if (m->mark == NULL || (int32_t)(t->seq - mw_pool_mark_begun(m->mark)) <= 0) return 0;
    take_unbegun(p, m, now); /* unless it begins this very moment; t may be gone */
    for (at = m->tasks.next; at != &m->tasks && at != &t->link; at = at->next) continue;
    return at == &m->tasks;
}

int mw_pool_abandon(struct mw_pool *p, struct mw_pool_task *t, int hard, uint64_t now) {
    t->abandoned = 1;
    if (t->state == MW_POOL_TASK_GIVEN) {
        if (!withdrawn(p, t, now) && hard) kill_member(p, t->member, 1, now);
        dispatch(p, now);
        p->ops->changed(p);
        return 0;
    }
    if (t->state != MW_POOL_TASK_QUEUED) return 1;
    mw_pool_queue_remove(&p->queue, t);
    t->state = MW_POOL_TASK_OVER;
    dispatch(p, now); /* a smaller one may fit now */
    p->ops->changed(p);
    return 1;
}

void mw_pool_joined(struct mw_pool *p, struct mw_pool_member *m, int ready, uint64_t now) {
    mw_list_init(&m->tasks);
    mw_list_init(&m->place);
    mw_list_add(&p->members, &m->link);
    m->joined_at = m->changed_at = now;
    m->state = MW_POOL_STARTING;
    p->count++;
    p->unready++;
    if (p->asked > 0) p->asked--;
    if (p->limits.recycle_age_ns != 0) due(p, after(now, p->limits.recycle_age_ns));
    if (p->state == MW_POOL_CLOSED || p->state == MW_POOL_BROKEN)
        kill_member(p, m, 1, now);
    else if (ready)
        mw_pool_ready(p, m, now);
}

void mw_pool_ready(struct mw_pool *p, struct mw_pool_member *m, uint64_t now) {
    if (m->state != MW_POOL_STARTING) return;
    m->state = MW_POOL_READY;
    p->unready--;
    take_place(p, m);
    dispatch(p, now);
}

/* ---- Answers -------------------------------------------------------------------------------------------------------------------- */

static struct mw_pool_task *find(struct mw_pool_member *m, uint32_t seq) {
    struct mw_list *at = m->tasks.next;
    struct mw_pool_task *t;

    if (at == &m->tasks) return NULL;
    t = MW_LIST_ENTRY(at, struct mw_pool_task, link); /* answers come in order */
    return t->seq == seq ? t : NULL;
}

/* A member that has done enough goes. */
static void after_task(struct mw_pool *p, struct mw_pool_member *m) {
    if (m->state == MW_POOL_READY && p->limits.recycle_tasks != 0 && m->done >= p->limits.recycle_tasks) {
        p->stats.recycled++;
        leave(p, m, MW_POOL_LEAVING);
    }
    maybe_leave(p, m);
}

int mw_pool_answered(struct mw_pool *p, struct mw_pool_member *m, uint32_t seq, enum mw_pool_how how, uint64_t run_ns,
                     uint64_t now, struct mw_pool_task **out) {
    struct mw_pool_task *t = find(m, seq);
    uint64_t took;

    if (t == NULL) return 0;
    if (m->mark != NULL) t->attempts++;
    took = now - t->queued_at;
    if (run_ns > now - t->given_at) run_ns = now - t->given_at;
    mw_tally_add(&p->run, run_ns);
    mw_tally_add(&p->wait, took > run_ns ? took - run_ns : 0);
    learn(p, run_ns);
    p->row = 0;
    m->done++;
    m->changed_at = now;
    take_back(p, t);
    take_place(p, m);
    if (how == MW_POOL_FAILED && again(p, t, MW_POOL_ERROR)) {
        requeue(p, t, 1, now);
        *out = NULL;
    } else {
        if (how == MW_POOL_DONE)
            p->stats.completed++;
        else
            p->stats.failed++;
        t->state = MW_POOL_TASK_OVER;
        *out = t;
    }
    after_task(p, m);
    if (p->queue.count > 0 || p->state != MW_POOL_OPEN) dispatch(p, now);
    p->ops->changed(p);
    return *out != NULL ? 1 : 2;
}

int mw_pool_skipped(struct mw_pool *p, struct mw_pool_member *m, uint64_t now) {
    if (m->skips == 0) return MW_EFRAME;
    m->skips--;
    m->changed_at = now;
    if (m->skips > 0) return 0;
    take_place(p, m);
    dispatch(p, now);
    return 0;
}

/* ---- Ends ----------------------------------------------------------------------------------------------------------------------- */

static void fail_queue(struct mw_pool *p, int code) {
    struct mw_pool_task *t;

    while ((t = mw_pool_queue_first(&p->queue)) != NULL) {
        mw_pool_queue_remove(&p->queue, t);
        over(p, t, code, MW_POOL_IN_QUEUE, NULL);
    }
}

static void idle_leave(struct mw_pool *p) {
    struct mw_list *at, *next;

    for (at = p->members.next; at != &p->members; at = next) {
        struct mw_pool_member *m = MW_LIST_ENTRY(at, struct mw_pool_member, link);

        next = at->next;
        if (m->load > 0 || m->state >= MW_POOL_LEAVING) continue;
        leave(p, m, MW_POOL_LEAVING);
        maybe_leave(p, m);
    }
}

static void all_leave(struct mw_pool *p) {
    struct mw_list *at, *next;

    for (at = p->members.next; at != &p->members; at = next) {
        struct mw_pool_member *m = MW_LIST_ENTRY(at, struct mw_pool_member, link);

        next = at->next;
        if (m->state < MW_POOL_LEAVING) leave(p, m, MW_POOL_LEAVING);
        maybe_leave(p, m);
    }
}

/* A start, or a member that never did anything, went wrong. */
static void bad_death(struct mw_pool *p, uint64_t now) {
    unsigned size = p->limits.restart_max + 1;
    uint64_t wait = p->limits.backoff_ns, oldest; /* of size deaths ago; 0: there were not so many */

    for (unsigned i = 0; i < p->row && wait < p->limits.backoff_max_ns; i++) wait *= 2;
    p->row++;
    p->start_at = after(now, least(wait, p->limits.backoff_max_ns));
    due(p, p->start_at);
    p->deaths[p->deaths_at] = now;
    p->deaths_at = (p->deaths_at + 1) % size;
    oldest = p->deaths[p->deaths_at];
    if (oldest == 0 || now - oldest > p->limits.restart_within_ns || p->state > MW_POOL_DRAINING) return;
    if (p->count - p->leaving > p->unready) return; /* somebody does work */
    p->state = MW_POOL_BROKEN;
    fail_queue(p, MW_ECRASHED);
    all_leave(p);
}

void mw_pool_refused(struct mw_pool *p, uint64_t now) {
    if (p->asked > 0) p->asked--;
    p->missing++;
    bad_death(p, now);
    want(p, now);
    p->ops->changed(p);
}

void mw_pool_dying(struct mw_pool *p, struct mw_pool_member *m, uint64_t now) {
    if (m->state == MW_POOL_KILLED) return;
    m->dying = 1;
    leave_place(p, m);
    take_unbegun(p, m, now);
    leave_place(p, m);
    dispatch(p, now);
}

void mw_pool_lost(struct mw_pool *p, struct mw_pool_member *m, enum mw_pool_exit how, uint64_t now) {
    int died = how == MW_POOL_DIED && m->state != MW_POOL_KILLED;

    leave(p, m, MW_POOL_KILLED);
    take_unbegun(p, m, now);
    if (died) p->stats.crashed++;
    if (died && p->state <= MW_POOL_DRAINING) p->missing++;
    while (!mw_list_empty(&m->tasks)) {
        struct mw_pool_task *t = MW_LIST_ENTRY(m->tasks.next, struct mw_pool_task, link);

        take_back(p, t);
        if (m->mark != NULL) t->attempts++;
        if (again(p, t, MW_POOL_CRASH))
            requeue(p, t, 1, now);
        else
            over(p, t,
                 t->abandoned                 ? MW_ECANCELED
                 : p->state == MW_POOL_CLOSED ? MW_ECLOSED
                                              : MW_ECRASHED,
                 MW_POOL_IN_RUN, m);
    }
    mw_list_remove(&m->link);
    p->count--;
    p->leaving--;
    if (how == MW_POOL_DIED && !m->blameless && m->done == 0 && now - m->joined_at <= p->limits.restart_within_ns)
        bad_death(p, now);
    dispatch(p, now);
    p->ops->changed(p);
}

void mw_pool_drain(struct mw_pool *p, uint64_t now) {
    if (p->state != MW_POOL_OPEN) return;
    p->state = MW_POOL_DRAINING;
    dispatch(p, now);
    p->ops->changed(p);
}

void mw_pool_close(struct mw_pool *p, uint64_t now) {
    struct mw_list *at, *next;

    if (p->state == MW_POOL_CLOSED) return;
    p->state = MW_POOL_CLOSED;
    fail_queue(p, MW_ECLOSED);
    for (at = p->members.next; at != &p->members; at = next) {
        struct mw_pool_member *m = MW_LIST_ENTRY(at, struct mw_pool_member, link);

        next = at->next;
        while (!mw_list_empty(&m->tasks)) {
            struct mw_pool_task *t = MW_LIST_ENTRY(m->tasks.next, struct mw_pool_task, link);

            take_back(p, t);
            over(p, t, t->abandoned ? MW_ECANCELED : MW_ECLOSED, MW_POOL_IN_RUN, NULL);
        }
        kill_member(p, m, 1, now);
    }
    p->ops->changed(p);
}

/* ---- Time ----------------------------------------------------------------------------------------------------------------------- */

/* When the task that runs now began: the worker's word, as far as it can be true. */
static uint64_t began(const struct mw_pool_member *m, const struct mw_pool_task *t, uint64_t now) {
    uint64_t at = m->mark != NULL ? atomic_load_explicit(&m->mark->began_ns, memory_order_relaxed) : t->given_at;

    return at < t->given_at ? t->given_at : at > now ? now : at;
}

static int is_begun(const struct mw_pool_member *m, const struct mw_pool_task *t) {
    return m->mark == NULL || (int32_t)(t->seq - mw_pool_mark_begun(m->mark)) <= 0;
}

/* The task has run too long: it ends, or is tried again, and its member goes. */
static void too_long(struct mw_pool *p, struct mw_pool_member *m, struct mw_pool_task *t, uint64_t now) {
    take_back(p, t);
    if (m->mark != NULL) t->attempts++;
    m->done++; /* it did begin: that is not a worker that cannot start */
    if (t->abandoned)
        over(p, t, MW_ECANCELED, MW_POOL_IN_RUN, m);
    else if (again(p, t, MW_POOL_TIMEOUT) && now < t->until)
        requeue(p, t, 1, now);
    else
        over(p, t, MW_ETIMEDOUT, MW_POOL_IN_RUN, m);
    kill_member(p, m, 1, now);
}

/* What a member is late with. */
static void check(struct mw_pool *p, struct mw_pool_member *m, uint64_t now) {
    struct mw_pool_task *first, *t;
    struct mw_list *at;
    uint64_t since, patience;

    if (m->load > 0 && p->ops->peek != NULL && now - m->changed_at >= STALL_NS) p->ops->peek(p, m);
    if (m->load == 0 || m->state == MW_POOL_KILLED || m->dying) return;
    first = MW_LIST_ENTRY(m->tasks.next, struct mw_pool_task, link);
    since = is_begun(m, first) ? began(m, first, now) : first->given_at;
    if (is_begun(m, first)) {
        uint64_t end = least(first->until, after(since, first->run_ns));

        if (now >= end) {
            too_long(p, m, first, now);
            return;
        }
        due(p, end);
        patience = STALL_NS;
    } else {
        patience = ASLEEP_NS;
    }
    for (at = m->tasks.next; at != &m->tasks; at = at->next) {
        t = MW_LIST_ENTRY(at, struct mw_pool_task, link);
        if (is_begun(m, t)) continue;
        if (now >= after(since, patience) || now >= t->until) {
            if (patience == STALL_NS) learn(p, now - since);
            take_unbegun(p, m, now);
            return;
        }
        due(p, least(t->until, after(since, patience)));
    }
}

/* It took tasks and shows no life, not even passing over what was taken back. */
static void check_asleep(struct mw_pool *p, struct mw_pool_member *m, uint64_t now) {
    uint64_t end = after(m->changed_at, p->limits.queue_ns < 60000000000u ? 60000000000u : p->limits.queue_ns);

    if (m->skips == 0 || m->load > 0 || m->state == MW_POOL_KILLED || m->dying) return;
    if (now >= end)
        kill_member(p, m, 0, now);
    else
        due(p, end);
}

void mw_pool_tick(struct mw_pool *p, uint64_t now) {
    struct mw_list *at, *next;
    struct mw_pool_task *t;
    int room = 0;

    p->due = MW_POOL_NEVER;
    for (at = p->members.next; at != &p->members; at = next) {
        struct mw_pool_member *m = MW_LIST_ENTRY(at, struct mw_pool_member, link);

        next = at->next;
        check(p, m, now);
        check_asleep(p, m, now);
        if (p->limits.recycle_age_ns == 0 || m->state >= MW_POOL_LEAVING) continue;
        if (now >= after(m->joined_at, p->limits.recycle_age_ns)) {
            p->stats.recycled++;
            leave(p, m, MW_POOL_LEAVING);
            maybe_leave(p, m);
        } else {
            due(p, after(m->joined_at, p->limits.recycle_age_ns));
        }
    }
    while ((t = mw_pool_queue_soon(&p->queue)) != NULL && t->queue_until <= now) {
        mw_pool_queue_remove(&p->queue, t);
        over(p, t, MW_ETIMEDOUT, MW_POOL_IN_QUEUE, NULL);
        room = 1;
    }
    if (t != NULL) due(p, t->queue_until);
    dispatch(p, now);
    if (room) p->ops->changed(p);
}

/* ---- Life ----------------------------------------------------------------------------------------------------------------------- */

unsigned mw_pool_cores(void) {
    unsigned n = uv_available_parallelism();

    return n < 1 ? 1 : n > 1024 ? 1024 : n;
}

int mw_pool_init(struct mw_pool *p, const struct mw_pool_limits *limits, const struct mw_pool_ops *ops) {
    memset(p, 0, sizeof *p);
    p->deaths = calloc((size_t)limits->restart_max + 1, sizeof *p->deaths);
    if (p->deaths == NULL) return MW_ENOMEM;
    p->limits = *limits;
    p->ops = ops;
    p->due = MW_POOL_NEVER;
    p->window = 1;
    mw_list_init(&p->members);
    for (int i = 0; i < MW_POOL_AHEAD; i++) mw_list_init(&p->places[i]);
    return 0;
}

void mw_pool_free(struct mw_pool *p) {
    mw_pool_queue_free(&p->queue);
    free(p->deaths);
    p->deaths = NULL;
}
