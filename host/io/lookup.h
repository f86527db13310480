/* From a host name to socket addresses: permitted first, looked up on the thread pool, in the order to be tried.
 * Knows: core/work, policy/permit, getaddrinfo. Never: connects, binds; looks a name up twice. */
#ifndef MW_IO_LOOKUP_H
#define MW_IO_LOOKUP_H

#include "core/work.h"
#include "io/endpoint.h"
#include "policy/permit.h"

#define MW_CANDIDATES_MAX 16     /* addresses of one name that are kept */

/* One address of a TCP endpoint. */
struct mw_address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};

/* The addresses of an endpoint; an open record once found. */
struct mw_lookup {
    struct mw_work work;                              /* for mw_work_yield or mw_work_detach, when `pending` */
    int pending;                                      /* 1: the name is still to be looked up */
    int code;                                         /* after the work: 0, or why there is no address */
    int count;
    struct mw_address found[MW_CANDIDATES_MAX];       /* families alternate, so that one dead family costs little */
    void (*done)(void *owner, struct mw_lookup *it);  /* after detached work, before `it` is freed; owner NULL: not called */
    void *owner;
    int port;
    int ran;
    char host[256];
};

/* Asks the policy for the host, then fills addresses (numbers, "*" and localhost) or leaves pending = 1 for a name.
 * kind: MW_CONNECT or MW_LISTEN. Given: end it with work.free(&it->work), or hand `work` to core/work.
 * Returns 0, MW_EDENIED, MW_ENOMEM, -ENODEV (an unknown zone). */
int mw_lookup_open(mw_host *h, enum mw_kind kind, const struct mw_endpoint *e, const char *op, struct mw_lookup **out,
                   struct mw_err *err);

/* Fills err with why a finished lookup found nothing; returns its code. */
int mw_lookup_failed(const struct mw_lookup *it, const char *op, const char *subject, struct mw_err *err);

#endif
