/* Workers that are threads of ours: requests and answers are records of a worker's queue of calls. Both sides.
 * Knows: bind/pool_serve, bind/worker, share/worker, pool, core. Never: begins a task that was taken back; makes a Lua table for one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/pool_serve.h"
#include "bind/process.h"
#include "bind/worker.h"
#include "core/hook.h"

#define END_NS    UINT64_C(2000000000) /* a thread that was told to end is waited for so long; then others see to it */
#define POLITE_NS UINT64_C(5000000000)

/* Kinds of records: tasks, and answers as in pool/talk.h behind that. */
enum { TASK = 16, ANSWER = 32 };

/* ---- The pool's side: talking ------------------------------------------------------------------------------------------------------- */

/* The thread is told of the tasks of a turn at its end, once. */
static void on_dusk(struct mw_dusk *d) {
    struct mw_pool_worker *w = MW_LIST_ENTRY(d, struct mw_pool_worker, dusk);

    if (w->line != NULL) mw_port_poke(&((struct mw_end *)w->line)->other->port);
}

/* What stands before a task's name and its value. */
struct task_head {
    uint32_t name_len, number;
};

static int give(struct mw_pool_worker *w, struct mw_call *c) {
    struct mw_end *e = w->line;
    struct task_head head = { .name_len = c->name_len, .number = c->number };
    char *at = mw_bytes_reserve(&w->out, sizeof head + c->request_len, NULL);
    struct mw_record r = { .kind = c->cargo != NULL ? TASK | MW_KIND_CARGO : TASK };
    int rc = 0;

    if (at == NULL) return MW_ENOMEM;
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, c->request, c->request_len);
    mw_bytes_commit(&w->out, sizeof head + c->request_len);
    if (c->cargo != NULL) rc = mw_cargo_add(c->cargo, &w->out);
    if (rc == 0) {
        rc = mw_queue_put(e->out[MW_CALLS], r.kind, (uint64_t)w->member.epoch << 32 | c->task.seq, &w->out);
        r.at = mw_bytes_at(&w->out);
        r.len = mw_bytes_len(&w->out);
        if (rc < 0) mw_talk_drop(NULL, &r);
    }
    mw_bytes_consume(&w->out, mw_bytes_len(&w->out));
    if (rc == 0) mw_host_at_dusk(w->set->host, &w->dusk, on_dusk);
    return rc;
}

/* Body: how long it ran, then the values. */
static void hear(struct mw_pool_worker *w) {
    struct mw_end *e = w->line;
    struct mw_pool_set *s = w->set;
    uint64_t ran, now = mw_pool_clock();
    struct mw_record r;

    while (mw_end_take(e, MW_CALLS, &r)) {
        unsigned kind = (r.kind & ~(unsigned)MW_KIND_CARGO) - ANSWER;
        struct mw_cargo *cargo = r.kind & MW_KIND_CARGO ? mw_cargo_of(r.at, &r.len) : NULL;

        if (kind == MW_POOL_HELLO)
            mw_pool_ready(&s->pool, &w->member, now);
        else if (kind == MW_POOL_SKIPPED)
            mw_pool_skipped(&s->pool, &w->member, now);
        else if (r.len >= sizeof ran) {
            memcpy(&ran, r.at, sizeof ran);
            mw_pool_worker_answered(w, (uint32_t)r.id, kind, ran, now, r.at + sizeof ran, r.len - sizeof ran, cargo);
        }
        mw_end_settle(e, MW_CALLS);
    }
}

static void on_news(struct mw_end *e) {
    struct mw_pool_worker *w = e->ud;
    int over = mw_end_is_over(e);

    if (w->set == NULL) return;
    hear(w);
    mw_pool_settle(w->set);
    if (over) mw_wait_wake(&w->work);
}

static void peek(struct mw_pool_worker *w) {
    hear(w);
}

static void end(struct mw_pool_worker *w, int politely) {
    struct mw_end *e = w->line;

    w->ending = 1;
    w->polite = politely != 0;
    if (politely)
        mw_worker_finish(e->worker);
    else
        mw_worker_stop(e->worker);
    mw_wait_wake(&w->work);
}

static void detach(struct mw_pool_worker *w) {
    ((struct mw_end *)w->line)->on_news = mw_end_wake;
}

const struct mw_pool_driver mw_pool_thread_driver = { give, end, peek, detach };

/* ---- A thread's life ------------------------------------------------------------------------------------------------------------------ */

static struct mw_pool_death *death_of(struct mw_pool_worker *w) {
    mw_worker *thread = ((struct mw_end *)w->line)->worker;
    const char *traceback = "";
    struct mw_pool_death *d;
    struct mw_err err;
    char why[220];

    if (w->why != NULL)
        snprintf(why, sizeof why, "%s", w->why);
    else if (mw_worker_why(thread, &err, &traceback) != 0)
        snprintf(why, sizeof why, "ended: %.200s", err.message);
    else if (w->ending)
        snprintf(why, sizeof why, "was ended");
    else
        snprintf(why, sizeof why, "ended%s", w->member.state == MW_POOL_STARTING ? " before it came to mw.serve" : "");
    d = mw_pool_death_new(why, traceback, strlen(traceback));
    if (d != NULL && w->why == NULL) snprintf(d->code, sizeof d->code, "%s", mw_worker_ended(thread) ? mw_worker_why_code(thread) : "");
    if (d != NULL) d->traced = 1;
    return d;
}

/* It is lost; its box, on the keeper's stack, ends the thread if that has not ended. */
static int part(struct mw_pool_worker *w, struct mw_pool_death *death) {
    hear(w);
    mw_pool_worker_lost(w, w->polite ? MW_POOL_LEFT : MW_POOL_DIED, death);
    return 0;
}

/* [hand thread worker] */
static int attend_k(lua_State *L, int code, lua_KContext since) {
    struct mw_pool_worker *w = lua_touserdata(L, 3);
    struct mw_end *e = w->line;
    uint64_t deadline = MW_NEVER, now = mw_pool_clock(), patience = w->polite ? POLITE_NS : END_NS;

    if (code == MW_ECANCELED) {
        part(w, NULL);
        return mw_wait_cancelled(L);
    }
    if (mw_worker_ended(e->worker)) return part(w, death_of(w));
    if (w->member.state == MW_POOL_STARTING && w->set->start_ns != UINT64_MAX) {
        if (now - w->started_at >= w->set->start_ns) {
            w->why = "did not come to mw.serve in time";
            return part(w, death_of(w));
        }
        deadline = mw_host_now(w->set->host) + (w->set->start_ns - (now - w->started_at));
    }
    if (w->ending) {
        if (since == 0) since = (lua_KContext)now;
        if (now - (uint64_t)since >= patience) return part(w, death_of(w));
        deadline = mw_host_now(w->set->host) + (patience - (now - (uint64_t)since));
    }
    return mw_wait_yield_raw(L, &w->work, deadline, since, attend_k);
}

/* attend_thread(hand, thread): sees to a worker on a thread until it has ended                             [-0, +0, ey] */
int mw_pool_attend_thread(lua_State *L) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    struct mw_worker_box *box = luaL_checkudata(L, 2, MW_WORKER_TYPE);
    struct mw_pool_worker *w;

    lua_settop(L, 2);
    if (box->end == NULL || mw_worker_beside(box->worker) == NULL)
        return mw_raise_inval(L, s->op, "that is no worker of a pool");
    w = mw_pool_worker_new(L, s); /* [hand thread worker] */
    w->line = box->end;
    w->member.mark = mw_worker_beside(box->worker);
    atomic_store(&w->member.mark->max, (uint32_t)s->message_max);
    mw_pool_joined(&s->pool, &w->member, 0, mw_pool_clock());
    box->end->ud = w;
    box->end->on_news = on_news;
    hear(w); /* what came before */
    mw_pool_settle(s);
    return attend_k(L, 0, 0);
}

/* ---- The thread's side ---------------------------------------------------------------------------------------------------------------- */

int mw_pool_is_thread(lua_State *L) {
    mw_worker *w = mw_worker_of(mw_host_of(L));

    return w != NULL && mw_worker_beside(w) != NULL;
}

static void tell(struct mw_server *v) {
    if (v->gathered_at == 0) return;
    v->gathered_at = 0;
    mw_port_poke(&v->end->other->port);
}

static void at_dusk(struct mw_dusk *d) {
    tell(MW_LIST_ENTRY(d, struct mw_server, dusk));
}

/* The pool is told at the end of the turn, or before a task that may take long; what it looks for it finds at once. */
static void answer(struct mw_server *v, unsigned kind, uint64_t now) {
    struct mw_record r = { .kind = (ANSWER + kind) | (v->loaded ? MW_KIND_CARGO : 0) };
    int rc = mw_queue_put(v->end->out[MW_CALLS], r.kind, v->now.seq, &v->scratch);

    if (rc < 0) {
        v->broken = rc;
        r.at = mw_bytes_at(&v->scratch);
        r.len = mw_bytes_len(&v->scratch);
        mw_talk_drop(NULL, &r);
    }
    v->loaded = 0;
    mw_bytes_consume(&v->scratch, mw_bytes_len(&v->scratch));
    if (v->gathered_at != 0) return;
    v->gathered_at = now;
    mw_host_at_dusk(v->host, &v->dusk, at_dusk);
}

/* What mw_server_run has put into scratch, behind the time that it took. */
static void answer_timed(struct mw_server *v, unsigned kind, uint64_t now) {
    uint64_t ran = now - v->began;
    size_t len = mw_bytes_len(&v->scratch);

    if (kind == MW_POOL_OK || kind == MW_POOL_RAISED) {
        if (mw_bytes_reserve(&v->scratch, sizeof ran, NULL) == NULL) {
            v->broken = MW_ENOMEM;
            return;
        }
        memmove(v->scratch.base + v->scratch.head + sizeof ran, v->scratch.base + v->scratch.head, len);
        memcpy(v->scratch.base + v->scratch.head, &ran, sizeof ran);
        mw_bytes_commit(&v->scratch, sizeof ran);
    }
    answer(v, kind, now);
}

static int serve_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_server *v = lua_touserdata(L, MW_SERVE_STATE);
    struct task_head head;
    struct mw_record r;
    struct mw_err err;
    int over, rc;

    v->now_ns = 0;
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    for (;;) {
        if (v->broken < 0) return mw_err_set(&err, v->broken, "serve", "parent", NULL), mw_push_err(L, &err);
        if (mw_step_is_long(L)) return mw_wait_pass(L, ctx, serve_k); /* one computation after another is no hang */
        over = mw_end_is_over(v->end);
        if (!mw_end_take(v->end, MW_CALLS, &r)) {
            if (over) return 0;
            return mw_wait_yield_raw(L, &v->end->readable[MW_CALLS], MW_NEVER, ctx, serve_k);
        }
        mw_bytes_consume(&v->request, mw_bytes_len(&v->request));
        mw_cargo_free(v->cargo);
        v->cargo = NULL;
        if (r.kind & MW_KIND_CARGO) v->cargo = mw_cargo_of(r.at, &r.len);
        rc = (r.kind & ~(unsigned)MW_KIND_CARGO) == TASK && r.len >= sizeof head
                 ? mw_bytes_add(&v->request, r.at + sizeof head, r.len - sizeof head)
                 : MW_EFRAME;
        if (rc == 0) {
            memcpy(&head, r.at, sizeof head);
            v->now.name_len = head.name_len;
            v->now.number = head.number;
        }
        if (rc == 0 && (r.kind & MW_KIND_CARGO) && v->cargo == NULL) rc = MW_ENOMEM;
        v->now.len = (uint32_t)mw_bytes_len(&v->request);
        v->now.seq = (uint32_t)r.id;
        v->now.epoch = (uint32_t)(r.id >> 32);
        mw_end_settle(v->end, MW_CALLS);
        v->max = atomic_load_explicit(&v->mark->max, memory_order_relaxed);
        if (rc == 0 && v->now.name_len > v->now.len) rc = MW_EFRAME;
        if (rc < 0) return mw_err_set(&err, rc, "serve", "parent", NULL), mw_push_err(L, &err);
        if (v->gathered_at != 0 && (v->typical > MW_SERVE_LONG_NS || v->now_ns - v->gathered_at > MW_SERVE_LATE_NS))
            tell(v);
        mw_server_run(L, v);
    }
}

int mw_pool_serve_thread(lua_State *L, struct mw_server *v) {
    mw_worker *w = mw_worker_of(v->host);

    v->end = mw_worker_inner(w);
    v->mark = mw_worker_beside(w);
    if (atomic_exchange(&v->mark->serving, 1)) return mw_raise_inval(L, "serve", "another task serves already");
    v->answer = answer_timed;
    v->on = serve_k;
    v->began = mw_pool_clock();
    answer(v, MW_POOL_HELLO, v->began);
    return serve_k(L, 0, 0);
}
