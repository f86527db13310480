/* A listener: a socket that others connect to, and the count of those who did.
 * With something to greet by (TLS, authentication) it gives only connections that have passed: they are accepted and greeted by the loop
 * while somebody waits in accept, and wait in its lobby meanwhile. Without, what nobody accepts waits in the kernel.
 * Knows: io/socket, io/lookup, io/stream, io/greet, core/wait. Never: Lua; reads or writes a connection; spins when descriptors run out. */
#ifndef MW_IO_LISTENER_H
#define MW_IO_LISTENER_H

#include "io/endpoint.h"
#include "io/greet.h"
#include "io/lobby.h"
#include "io/lookup.h"
#include "io/socket.h"
#include "io/stream.h"

typedef struct mw_listener mw_listener;

struct mw_listener_options {
    struct mw_socket_options socket;
    struct mw_socket *made;              /* taken in place of one that would be made; NULL */
    unsigned max_conns;                  /* open at once; above: the rest waits in the kernel's backlog; 10,000 */
    unsigned max_conns_per_peer;         /* of one uid or address; above: closed at once and counted; 1,024 */
    struct mw_stream_limits limits;      /* of each connection */
    struct mw_greeting greeting;         /* what each must pass; the listener keeps its greeters, the caller's references stay his */
    unsigned max_unauthenticated;        /* connections in the lobby at once; a newcomer displaces one; 0: 64 with `auth`, 1024 without */
};
#define MW_UNAUTHENTICATED_MAX 4096      /* its bound */
void mw_listener_options_init(struct mw_listener_options *opt);      /* the defaults */

/* Listens at `at`. found: of mw_lookup_open with MW_LISTEN, not pending any more; NULL for a Unix socket; only read.
 * *out: given, one reference; end it with mw_listener_close and mw_listener_release.
 * Returns 0 or what mw_socket_listen_* and mw_lookup say; -ENOTSUP for fd: and stdio:. */
int mw_listener_open(mw_host *h, const struct mw_endpoint *at, const struct mw_lookup *found, const struct mw_listener_options *opt,
                     mw_listener **out, struct mw_err *err);
/* Limits and greeters of connections to come (of `socket`: nodelay and stall_ms). */
void mw_listener_set_options(mw_listener *l, const struct mw_listener_options *opt);
const struct mw_listener_options *mw_listener_get_options(const mw_listener *l);

/* 1: *out is given; 0: nobody now, wait on mw_listener_ready; <0: MW_ECLOSED, MW_ENOMEM, or the system's code. */
int mw_listener_accept(mw_listener *l, mw_stream **out, struct mw_err *err);
struct mw_wait *mw_listener_ready(mw_listener *l);

/* Takes no more connections; those that are open stay. Waiting accepts end with MW_ECLOSED. Safe to repeat. */
void mw_listener_close(mw_listener *l);
/* The same; those that serve it are to let open connections end by themselves, until mw_listener_close says otherwise. */
void mw_listener_drain(mw_listener *l);
int mw_listener_draining(const mw_listener *l);
int mw_listener_closed(const mw_listener *l);
void mw_listener_release(mw_listener *l);            /* drops a reference; close it first; NULL is fine */
/* Woken when a connection has ended, and by close. */
struct mw_wait *mw_listener_changed(mw_listener *l);

/* A URL that can be connected to; lent. */
const char *mw_listener_address(const mw_listener *l);

struct mw_listener_stats {
    uint64_t accepted;                   /* given to the script */
    uint64_t limited;                    /* closed at once: max_conns_per_peer */
    uint64_t dropped;                    /* closed at once: no descriptor or memory was left */
    uint64_t idle;                       /* ended because nothing moved: mw_listener_idled */
    uint64_t failed;                     /* handlers that raised: mw_listener_failed */
    struct mw_lobby_stats lobby;
    unsigned open;                       /* connections that have not ended, those in the lobby among them */
    unsigned unauthenticated;            /* in the lobby, not passed */
};
/* Counts a connection that was closed because nothing moved. */
void mw_listener_idled(mw_listener *l);
/* Counts and logs a handler's error; `peer` and `why` are shown. */
void mw_listener_failed(mw_listener *l, const char *peer, const char *why);
void mw_listener_stats(const mw_listener *l, struct mw_listener_stats *out);

#endif
