/* Listening sockets, made and ended: TCP by address, Unix by permitted place.
 * Knows: policy/permit, sockets, the file system calls that a socket's name needs. Never: the loop, accepting. */
#ifndef MW_IO_SOCKET_H
#define MW_IO_SOCKET_H

#include "io/endpoint.h"
#include "io/lookup.h"
#include "policy/permit.h"

struct mw_socket_options {
    int backlog;                 /* connections that the kernel holds for us; it caps the number itself */
    int reuse;                   /* TCP: 1: a port whose old connections linger may be taken again */
    int reuse_port;              /* TCP: 1: listeners of this user that say so share a port; the kernel deals out what comes: socket(7) */
    int nodelay;                 /* TCP: 1: accepted connections have TCP_NODELAY */
    int stall_ms;                /* TCP: TCP_USER_TIMEOUT of accepted connections; 0: the system's */
    int unlink;                  /* Unix: 1: a stale socket of that name (nobody listens) is removed first */
    int mode;                    /* Unix: permission bits of the name, in force before it can be connected to; -1: the umask's */
    int private;                 /* Unix: 1: a path only, in a folder of ours (or root's) that nobody else can write to */
};

/* A listening socket; an open record. */
struct mw_socket {
    int fd;                      /* non-blocking, close-on-exec; -1 when ended */
    struct mw_place place;       /* Unix with a path: where the name is; place.fd is -1 otherwise */
    dev_t dev;                   /* and which file it is */
    ino_t ino;
};

/* Listens on the first address of `found` that the policy allows and the system takes; "any" is one socket for both
 * families. subject: for errors. *out: given. 0, MW_EDENIED, -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -EMFILE ... */
int mw_socket_listen_tcp(mw_policy *p, const struct mw_lookup *found, int any, const struct mw_socket_options *opt, const char *subject,
                         struct mw_socket *out, struct mw_err *err);

/* The same for "/path" or "@name". -EADDRINUSE also for a name that is no socket or that somebody listens on. -EPERM: not private. */
int mw_socket_listen_unix(mw_policy *p, const char *path, const struct mw_socket_options *opt, const char *subject, struct mw_socket *out,
                          struct mw_err *err);

/* Would the system give us a socket of this family (AF_INET, AF_INET6) and type now? It is closed again. 0, -EMFILE, -EAFNOSUPPORT ... */
int mw_socket_try(int family, int type);

/* Sets nodelay and stall_ms for connections to come. */
void mw_socket_tune(const struct mw_socket *s, const struct mw_socket_options *opt);

/* Closes it, and removes its name if that is still the file that we made. Safe to repeat. */
void mw_socket_end(struct mw_socket *s);

#endif
