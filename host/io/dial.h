/* Connecting: one address in, one stream out.
 * Knows: io/lookup, io/stream, policy/permit, sockets. Never: Lua; dials an address that was not tested. */
#ifndef MW_IO_DIAL_H
#define MW_IO_DIAL_H

#include "io/endpoint.h"
#include "io/greet.h"
#include "io/stream.h"

typedef struct mw_dial mw_dial;

struct mw_dial_options {
    int nodelay;                        /* 1: TCP_NODELAY */
    struct mw_stream_limits limits;     /* of the stream */
    struct mw_greeting greeting;        /* what it must pass before it is given; the dial keeps its greeters */
};

/* Begins to connect to `to`: the policy is asked, names are looked up on the thread pool, candidates are tried in order,
 * each 250 ms after the one before or as soon as that failed; the first to answer wins.
 * to, opt: copied. out: given; end it with mw_dial_close.
 * Returns 0, or what is wrong at once: MW_EDENIED, MW_ENOMEM, -EMFILE, and for Unix sockets MW_ECONNREFUSED, MW_ENOENT ... */
int mw_dial_open(mw_host *h, const struct mw_endpoint *to, const struct mw_dial_options *opt, mw_dial **out, struct mw_err *err);

/* 1: connected and greeted, *out is given; 0: not yet, wait on mw_dial_done; <0: failed, err filled: MW_EDENIED (no candidate is allowed),
 * MW_ECONNREFUSED, ..., what a step of the greeting said, MW_ECLOSED (taken or closed before). */
int mw_dial_take(mw_dial *d, mw_stream **out, struct mw_err *err);
struct mw_wait *mw_dial_done(mw_dial *d);
const char *mw_dial_subject(const mw_dial *d);      /* the address as text; lent */

/* Ends it: attempts under way are given up. NULL is fine. `d` is no longer yours. */
void mw_dial_close(mw_dial *d);

#endif
