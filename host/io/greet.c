/* Greeting: what a new connection must pass before anybody is given it, by steps on the loop.
 * Knows: io/greet.h, io/stream, core/timer. Never: Lua; what a step says to the peer. */
#include "io/greet.h"

#include <stdlib.h>

#include "core/timer.h"

#define OP "net greeting"

struct mw_greet {
    mw_stream *s;                    /* lent */
    struct mw_greet_step *steps;     /* those to come, the first one under way */
    struct mw_timer timer;
    struct mw_dusk dusk;             /* tells what was known inside mw_greet_open */
    void (*done)(void *ud, int code, const struct mw_err *err);
    void *ud;
    int over, code;
    struct mw_err err;
};

static void end_steps(struct mw_greet_step *step) {
    while (step != NULL) {
        struct mw_greet_step *next = step->next;
        step->end(step);
        step = next;
    }
}

/* The last thing that anybody does with g. Of a failed one the stream stays driven, so that no more than a little is read of it. */
static void finish(mw_greet *g) {
    g->over = 1;
    mw_timer_stop(mw_stream_host(g->s), &g->timer);
    if (g->code == 0) mw_stream_drive(g->s, NULL, NULL);
    g->done(g->ud, g->code, g->code < 0 ? &g->err : NULL);
}

/* Nothing more comes, and a step waits for more: 0 while something is on its way out, else the code. */
static int ended(mw_greet *g, int code) {
    if (code == MW_EEOF && mw_stream_flush(g->s, NULL) == 1) return 0;
    return mw_err_set(&g->err, code, OP, mw_stream_subject(g->s), code == MW_EEOF ? "the peer closed in the middle of it" : NULL);
}

/* 1: all have passed; 0: under way; <0: failed. */
static int advance(mw_greet *g) {
    int rc = 1;

    while (g->steps != NULL && (rc = g->steps->advance(g->steps, g->s, &g->err)) > 0) {
        struct mw_greet_step *step = g->steps;
        g->steps = step->next;
        step->end(step);
    }
    if (rc != 0) return rc;
    rc = mw_stream_listen(g->s);
    return rc < 0 ? ended(g, rc) : 0;
}

static void on_drive(mw_stream *s, void *ud) {
    mw_greet *g = ud;
    int rc;

    if (g->over) return;
    if (mw_stream_closed(s)) {
        rc = mw_err_set(&g->err, MW_ECLOSED, OP, mw_stream_subject(s), NULL);
    } else {
        rc = advance(g);
    }
    if (rc == 0) return;
    g->code = rc < 0 ? rc : 0;
    finish(g);
}

static void on_deadline(struct mw_timer *t) {
    mw_greet *g = MW_LIST_ENTRY(t, mw_greet, timer);

    g->code = mw_err_set(&g->err, MW_ETIMEDOUT, OP, mw_stream_subject(g->s), "the peer took too long to prove who it is");
    finish(g);
}

static void on_dusk(struct mw_dusk *d) {
    finish(MW_LIST_ENTRY(d, mw_greet, dusk));
}

int mw_greet_open(mw_stream *s, struct mw_greet_step *steps, uint64_t deadline, void (*done)(void *ud, int code, const struct mw_err *err),
                  void *ud, mw_greet **out, struct mw_err *err) {
    mw_greet *g = calloc(1, sizeof *g);
    int rc;

    if (g == NULL || mw_timer_start(mw_stream_host(s), &g->timer, deadline, on_deadline) < 0) {
        end_steps(steps);
        free(g);
        return mw_err_set(err, MW_ENOMEM, OP, mw_stream_subject(s), NULL);
    }
    g->s = s;
    g->steps = steps;
    g->done = done;
    g->ud = ud;
    mw_stream_drive(s, on_drive, g);
    *out = g; /* given */
    rc = advance(g);
    if (rc == 0) return 0;
    g->over = 1;
    g->code = rc < 0 ? rc : 0;
    mw_timer_stop(mw_stream_host(s), &g->timer);
    mw_host_at_dusk(mw_stream_host(s), &g->dusk, on_dusk);
    return 0;
}

void mw_greet_deny(mw_greet *g) {
    if (g->steps != NULL && g->steps->deny != NULL && !mw_stream_closed(g->s)) g->steps->deny(g->steps, g->s);
}

void mw_greet_close(mw_greet *g) {
    if (g == NULL) return;
    mw_host_forget_dusk(&g->dusk);
    mw_timer_stop(mw_stream_host(g->s), &g->timer);
    mw_stream_drive(g->s, NULL, NULL);
    end_steps(g->steps);
    free(g);
}

/* ---- What makes the steps ----------------------------------------------------------------------------------------------- */

void mw_greeting_clear(struct mw_greeting *g) {
    mw_greeter_drop(g->tls);
    mw_greeter_drop(g->auth);
    g->tls = g->auth = NULL;
}

void mw_greeting_set(struct mw_greeting *to, const struct mw_greeting *from) {
    struct mw_greeting old = *to;

    *to = *from;
    mw_greeter_keep(to->tls);
    mw_greeter_keep(to->auth);
    mw_greeting_clear(&old);
}

static struct mw_greet_step **tail(struct mw_greet_step **steps) {
    while (*steps != NULL) steps = &(*steps)->next;
    return steps;
}

int mw_greet_begin(mw_stream *s, const struct mw_greeting *g, int server, void (*done)(void *ud, int code, const struct mw_err *err), void *ud,
                   mw_greet **out, struct mw_err *err) {
    struct mw_greet_step *steps = NULL;
    int rc = g->tls != NULL ? g->tls->make(g->tls, s, server, &steps, err) : 0;

    if (rc == 0 && g->auth != NULL) rc = g->auth->make(g->auth, s, server, tail(&steps), err);
    if (rc < 0) {
        end_steps(steps);
        return rc;
    }
    return mw_greet_open(s, steps, mw_host_now(mw_stream_host(s)) + g->auth_ns, done, ud, out, err);
}

struct all {
    struct mw_greeter greeter;
    unsigned count;
    struct mw_greeter *some[];
};

static int all_make(struct mw_greeter *g, mw_stream *s, int server, struct mw_greet_step **out, struct mw_err *err) {
    struct all *a = (struct all *)g;

    *out = NULL;
    for (unsigned i = 0; i < a->count; i++) {
        int rc = a->some[i]->make(a->some[i], s, server, tail(out), err);
        if (rc == 0) continue;
        end_steps(*out);
        *out = NULL;
        return rc;
    }
    return 0;
}

static void all_free(struct mw_greeter *g) {
    struct all *a = (struct all *)g;

    for (unsigned i = 0; i < a->count; i++) mw_greeter_drop(a->some[i]);
    free(a);
}

struct mw_greeter *mw_greeter_all(struct mw_greeter *const *some, unsigned count) {
    struct all *a = calloc(1, sizeof *a + count * sizeof a->some[0]);

    if (a == NULL) return NULL;
    a->greeter = (struct mw_greeter){ .refs = 1, .make = all_make, .free = all_free };
    a->count = count;
    for (unsigned i = 0; i < count; i++) {
        a->some[i] = mw_greeter_keep(some[i]);
        a->greeter.unix_only |= some[i]->unix_only;
    }
    return &a->greeter;
}
