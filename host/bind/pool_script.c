/* Workers that are script children: what a keeper does for one, from its first word to its end.
 * Knows: bind/pool, bind/process, io/process, io/stream, pool, core. Never: a Lua table for a task; believes a worker. */
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/pool.h"
#include "bind/process.h"

#define LAST_WORDS_NS UINT64_C(1000000000) /* a worker whose line is at its end has so long to end */
#define POLITE_NS     UINT64_C(5000000000) /* one that was asked to leave */
enum { FILLS = 16 };                       /* reads in a row before other tasks have their turn */
enum { KEEP = 64 << 10 };                  /* bytes gathered before they are written within the turn */

static int attend_k(lua_State *L, int code, lua_KContext ctx);
static int dying_k(lua_State *L, int code, lua_KContext ctx);

/* ---- Talking ----------------------------------------------------------------------------------------------------------------------- */

/* What the tasks of a turn were given goes out in one write; if that fails, so does reading, and the keeper sees to it. */
static void write_out(struct mw_pool_worker *w) {
    struct mw_view part = { mw_bytes_at(&w->out), mw_bytes_len(&w->out) };

    if (part.len == 0 || w->line == NULL) return;
    mw_stream_write(w->line, &part, 1, NULL);
    mw_bytes_consume(&w->out, part.len);
    mw_bytes_shrink(&w->out, KEEP);
}

static void on_dusk(struct mw_dusk *d) {
    write_out(MW_LIST_ENTRY(d, struct mw_pool_worker, dusk));
}

static int give(struct mw_pool_worker *w, struct mw_call *c) {
    struct mw_pool_request head = {
        .len = (uint32_t)c->request_len, .seq = c->task.seq, .epoch = w->member.epoch, .name_len = c->name_len,
        .number = c->number
    };
    char *at = mw_bytes_reserve(&w->out, sizeof head + c->request_len, NULL);

    if (at == NULL) return MW_ENOMEM;
    c->pid = w->pid;
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, c->request, c->request_len);
    mw_bytes_commit(&w->out, sizeof head + c->request_len);
    if (mw_bytes_len(&w->out) > KEEP)
        write_out(w);
    else
        mw_host_at_dusk(w->set->host, &w->dusk, on_dusk);
    return 0;
}

static int heard(struct mw_pool_worker *w, const struct mw_pool_answer *a, const char *at, uint64_t now) {
    struct mw_pool_set *s = w->set;

    if (a->kind == MW_POOL_HELLO) {
        mw_pool_ready(&s->pool, &w->member, now);
        return 0;
    }
    if (a->kind == MW_POOL_SKIPPED) return mw_pool_skipped(&s->pool, &w->member, now);
    if ((int32_t)(a->seq - w->member.seq) > 0) return MW_EFRAME; /* it was never asked that */
    mw_pool_worker_answered(w, a->seq, a->kind, a->run_ns, now, at, a->len, NULL);
    return 0;
}

/* Takes what whole answers there are. 0, or MW_EFRAME: it talks nonsense. */
static int hear(struct mw_pool_worker *w) {
    mw_stream *line = w->line;
    struct mw_bytes *in = mw_stream_in(line);
    struct mw_pool_answer a;
    uint64_t now = mw_pool_clock();
    size_t need;
    int rc = 0;

    while (rc == 0 && mw_bytes_len(in) > 0) {
        rc = mw_pool_answer_parse(mw_bytes_at(in), mw_bytes_len(in), w->set->message_max + MW_POOL_ERROR_ROOM, &a,
                                  &need);
        if (rc <= 0) {
            mw_stream_need(line, rc == 0 ? need : 0);
            return rc;
        }
        rc = heard(w, &a, mw_bytes_at(in) + sizeof a, now);
        mw_stream_consume(line, need);
    }
    return rc;
}

/* What it holds in its page, behind all that it has sent. */
static void peek_page(struct mw_pool_worker *w) {
    char *copy = malloc(MW_POOL_PAGE_HELD);
    struct mw_pool_answer a;
    uint64_t now = mw_pool_clock();
    size_t len, at = 0, need;

    if (copy == NULL) return;
    len = mw_pool_page_peek(w->page, copy);
    while (at < len &&
           mw_pool_answer_parse(copy + at, len - at, w->set->message_max + MW_POOL_ERROR_ROOM, &a, &need) == 1) {
        if (a.kind != MW_POOL_SKIPPED && a.kind != MW_POOL_HELLO && heard(w, &a, copy + at + sizeof a, now) < 0) break;
        at += need;
    }
    free(copy);
}

static void peek(struct mw_pool_worker *w) {
    struct mw_err err;
    int rc;

    while ((rc = mw_stream_fill(w->line, 0, &err)) == 1) continue;
    if (hear(w) == 0)
        peek_page(w);
    else
        rc = MW_EFRAME;
    if (rc < 0)
        mw_wait_wake(mw_stream_readable(w->line)); /* the loop will not tell the keeper of an end that we have seen */
}

static void end(struct mw_pool_worker *w, int politely) {
    w->ending = 1;
    w->polite = politely != 0;
    if (w->line == NULL) return;
    if (politely)
        mw_stream_finish(w->line, NULL); /* its serve returns */
    else
        mw_process_signal(w->child, SIGKILL);
    mw_wait_wake(mw_stream_readable(w->line)); /* the keeper sees to the rest */
}

const struct mw_pool_driver mw_pool_script_driver = { give, end, peek, NULL };

/* ---- Its end ------------------------------------------------------------------------------------------------------------------------- */

/* What it wrote last says more than a number: the last line before a traceback, or of all. */
static void add_last_line(struct mw_pool_death *d) {
    static const char trace[] = "stack traceback:";
    const char *found = d->tail_len > 0 ? memmem(d->tail, d->tail_len, trace, sizeof trace - 1) : NULL;
    size_t stop = found != NULL ? (size_t)(found - d->tail) : d->tail_len, at, n = strlen(d->why);

    while (stop > 0 && (d->tail[stop - 1] == '\n' || d->tail[stop - 1] == '\r' || d->tail[stop - 1] == ' ')) stop--;
    for (at = stop; at > 0 && d->tail[at - 1] != '\n'; at--) continue;
    if (stop == at || n + 3 >= sizeof d->why) return;
    n += (size_t)snprintf(d->why + n, sizeof d->why - n, ": ");
    mw_err_escape(d->why + n, sizeof d->why - n, d->tail + at, stop - at);
}

static struct mw_pool_death *death_of(struct mw_pool_worker *w) {
    mw_process *p = w->child;
    const struct mw_exit *e = mw_process_exit(p);
    struct mw_bytes *err = mw_process_captured(p, 2);
    struct mw_pool_death *d;
    char why[200];

    if (w->why != NULL)
        snprintf(why, sizeof why, "%s", w->why);
    else if (e->known && e->signal != 0) {
        const char *name = mw_process_signal_name(e->signal);
        snprintf(why, sizeof why, "was ended by signal %s", name != NULL ? name : "?");
    } else if (e->known)
        snprintf(why, sizeof why, "exited with %d%s", e->code,
                 w->member.state == MW_POOL_STARTING ? " before it came to mw.serve" : "");
    else
        snprintf(why, sizeof why, "ended; how is not known");
    d = mw_pool_death_new(why, err != NULL ? mw_bytes_at(err) : NULL, err != NULL ? mw_bytes_len(err) : 0);
    if (d == NULL) return NULL;
    d->known = e->known;
    d->exit_code = e->known ? e->code : -1;
    d->signal = e->signal;
    d->pid = w->pid;
    if (e->known && w->why == NULL) add_last_line(d);
    return d;
}

/* [hand child worker] Its line is at its end; the process will be, or is made to be. */
static int dying_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_pool_worker *w = lua_touserdata(L, 3);
    mw_process *p = w->child;

    if (code == MW_ECANCELED) {
        mw_process_close(p);
        mw_pool_worker_lost(w, MW_POOL_DIED, NULL);
        return mw_wait_cancelled(L);
    }
    if (code == MW_ETIMEDOUT) {
        if (!mw_process_running(p) || ctx > 2)
            code = 0, ctx = 99; /* somebody else holds its output, or nothing ends it */
        else
            mw_process_signal(p, SIGKILL);
    }
    if (mw_process_over(p) || ctx == 99) {
        mw_pool_worker_lost(w, w->polite ? MW_POOL_LEFT : MW_POOL_DIED, death_of(w));
        mw_process_close(p);
        return 0;
    }
    return mw_wait_yield_raw(L, mw_process_changed(p),
                             mw_host_now(w->set->host) + (w->polite && ctx == 0 ? POLITE_NS : LAST_WORDS_NS), ctx + 1,
                             dying_k);
}

static int line_over(lua_State *L, struct mw_pool_worker *w, int code) {
    if (code == MW_EFRAME) {
        w->why = "sent what is no answer (EFRAME)";
        w->polite = 0;
    }
    mw_stream_need(w->line, 0);
    peek_page(w);
    mw_pool_dying(&w->set->pool, &w->member, mw_pool_clock());
    mw_pool_settle(w->set);
    if (code == MW_EFRAME || code == MW_ETIMEDOUT) mw_process_signal(w->child, SIGKILL);
    return dying_k(L, 0, 0);
}

/* ---- Its life -------------------------------------------------------------------------------------------------------------------------- */

static int any(mw_stream *s, void *ud) {
    struct mw_pool_worker *w = ud;
    struct mw_pool_answer a;
    size_t need;
    struct mw_bytes *in = mw_stream_in(s);
    int rc =
        mw_pool_answer_parse(mw_bytes_at(in), mw_bytes_len(in), w->set->message_max + MW_POOL_ERROR_ROOM, &a, &need);

    if (rc == 0) mw_stream_need(s, need);
    return rc != 0;
}

/* Takes more memory than it may: another one takes its place. */
static void look_at_memory(struct mw_pool_worker *w) {
    uint64_t takes;

    if (w->set->memory_max == 0 || w->member.state != MW_POOL_READY) return;
    takes = atomic_load_explicit(&w->page->mark.memory, memory_order_relaxed);
    if (takes > w->set->memory_max) mw_pool_retire(&w->set->pool, &w->member, mw_pool_clock());
}

static int attend_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_pool_worker *w = lua_touserdata(L, 3);
    uint64_t deadline = MW_NEVER;
    struct mw_err err;
    int rc = 0, fills = 0;

    (void)ctx;
    mw_stream_await(w->line, NULL, NULL);
    if (code == MW_ECANCELED) return dying_k(L, code, 0);
    if (code == MW_ETIMEDOUT && w->member.state == MW_POOL_STARTING) {
        w->why = "did not come to mw.serve in time";
        return line_over(L, w, MW_ETIMEDOUT);
    }
    for (;;) {
        rc = hear(w);
        if (rc < 0) return line_over(L, w, rc);
        if (fills++ >= FILLS) break;
        rc = mw_stream_fill(w->line, 0, &err);
        if (rc < 0) return line_over(L, w, rc);
        if (rc == 0) break;
    }
    look_at_memory(w);
    mw_pool_settle(w->set);
    if (w->ending && (!w->polite || !mw_process_running(w->child))) return line_over(L, w, MW_EEOF);
    if (rc > 0) return mw_wait_pass(L, 0, attend_k);
    if (w->member.state == MW_POOL_STARTING && w->set->start_ns != UINT64_MAX) {
        uint64_t took = mw_pool_clock() - w->started_at;
        deadline = mw_host_now(w->set->host) + (took < w->set->start_ns ? w->set->start_ns - took : 1);
    } else if (w->ending) {
        deadline = mw_host_now(w->set->host) + POLITE_NS;
    }
    if (code == MW_ETIMEDOUT && w->ending) return line_over(L, w, MW_ETIMEDOUT); /* it did not go */
    mw_stream_await(w->line, any, w);
    return mw_wait_yield_raw(L, mw_stream_readable(w->line), deadline, 0, attend_k);
}

/* attend(hand, child): sees to a worker until it has ended                                                 [-0, +0, ey] */
int mw_pool_attend(lua_State *L) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    mw_process *p = mw_process_check(L, 2);
    struct mw_pool_worker *w;
    mw_stream *line = NULL;
    struct mw_err err;
    int fd = -1, rc;

    lua_settop(L, 2);
    w = mw_pool_worker_new(L, s); /* [hand child worker] */
    w->child = p;
    w->pid = (int)mw_process_pid(p);
    rc = mw_process_duplex(p, &line, &err);
    if (rc == 0) rc = mw_pool_page_make(&fd, &w->page, &err);
    if (rc == 0) atomic_store(&w->page->mark.max, (uint32_t)s->message_max);
    if (rc == 0) rc = mw_stream_send_fds(line, &fd, 1, &err);
    mw_pool_fd_close(fd);
    if (rc < 0 && rc != -EPIPE) { /* it cannot be told anything: as good as not started */
        mw_pool_death_drop(s->last);
        s->last = mw_pool_death_new(err.message, NULL, 0);
        mw_pool_refused(&s->pool, mw_pool_clock());
        mw_pool_worker_lost(w, MW_POOL_DIED, NULL);
        mw_process_close(p);
        return 0;
    }
    w->line = line;
    w->member.mark = &w->page->mark;
    mw_pool_joined(&s->pool, &w->member, 0, mw_pool_clock());
    mw_pool_settle(s);
    return attend_k(L, 0, 0);
}
