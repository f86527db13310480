/* Greeting: what a new connection must pass before anybody is given it (TLS, then authentication), by steps on the loop, without a
 * task: a peer that dawdles costs a stream and a timer.
 * Knows: io/stream, core/timer. Never: Lua; what a step says to the peer. */
#ifndef MW_IO_GREET_H
#define MW_IO_GREET_H

#include "io/stream.h"

/* One step of one connection. */
struct mw_greet_step {
    /* Called at the beginning and whenever bytes came, left, or the end was seen. 1: passed; 0: more must come or leave; <0: failed, err
     * filled. Reads by mw_stream_in and mw_stream_consume, takes no more than is its own; writes by mw_stream_write. When it answers 0,
     * no more can come and nothing is on its way out, the greeting fails by itself (MW_EEOF, or what broke the connection). */
    int (*advance)(struct mw_greet_step *step, mw_stream *s, struct mw_err *err);
    /* After a failure or a deadline, perhaps a while later: says a denial that gives nothing away. NULL: it says nothing, or has done so
     * in advance. Only the step that was under way is asked. */
    void (*deny)(struct mw_greet_step *step, mw_stream *s);
    void (*end)(struct mw_greet_step *step);     /* frees it: exactly once, passed or not */
    struct mw_greet_step *next;
};

/* What makes the steps of connections: counted, shared by a listener's connections; changed between them when certificates are loaded
 * anew. */
struct mw_greeter {
    unsigned refs;
    unsigned unix_only : 1;                      /* needs kernel credentials: on other sockets every make fails */
    /* *out: the step (or several, linked by next), or NULL: none needed. 0 or a code. server: 1 at the end that accepted. */
    int (*make)(struct mw_greeter *g, mw_stream *s, int server, struct mw_greet_step **out, struct mw_err *err);
    void (*free)(struct mw_greeter *g);
};
static inline struct mw_greeter *mw_greeter_keep(struct mw_greeter *g) {
    if (g != NULL) g->refs++;
    return g;
}
static inline void mw_greeter_drop(struct mw_greeter *g) {
    if (g != NULL && --g->refs == 0) g->free(g);
}
/* One greeter of several, in this order: all must pass. Keeps each. NULL: out of memory. Given, with one reference. */
struct mw_greeter *mw_greeter_all(struct mw_greeter *const *some, unsigned count);

/* What either end of a connection asks for. */
struct mw_greeting {
    struct mw_greeter *tls, *auth;               /* in this order; NULL: none */
    uint64_t auth_ns;                            /* for both together */
};
#define MW_GREET_NS 5000000000u                  /* the default of auth_ns */
#define MW_GREET_MAX_NS 60000000000u             /* and its bound */
static inline int mw_greeting_any(const struct mw_greeting *g) {
    return g->tls != NULL || g->auth != NULL;
}
/* Takes over what `from` holds: keeps its greeters, drops those of `to`. */
void mw_greeting_set(struct mw_greeting *to, const struct mw_greeting *from);
void mw_greeting_clear(struct mw_greeting *g);

typedef struct mw_greet mw_greet;

/* Begins. s: read by nobody yet, lent until done or closed. steps: taken, also on failure, run in order. deadline: mw_host_now's clock;
 * then MW_ETIMEDOUT. done: called once, from the loop, never inside this call: 0: passed, what is left in its queue is the first of the
 * peer's own words; <0: failed (a stream that failed is to be closed by the owner; MW_ECLOSED: it has closed by itself, or others closed
 * it). done may close g and release s. *out: given, end it with mw_greet_close. */
int mw_greet_open(mw_stream *s, struct mw_greet_step *steps, uint64_t deadline, void (*done)(void *ud, int code, const struct mw_err *err),
                  void *ud, mw_greet **out, struct mw_err *err);
/* The same with the steps of `g`, server or client, and a deadline auth_ns from now. */
int mw_greet_begin(mw_stream *s, const struct mw_greeting *g, int server, void (*done)(void *ud, int code, const struct mw_err *err), void *ud,
                   mw_greet **out, struct mw_err *err);
/* After done with a failure: the step that was under way says its denial. */
void mw_greet_deny(mw_greet *g);
void mw_greet_close(mw_greet *g);                /* before done: gives up. NULL is fine */

#endif
