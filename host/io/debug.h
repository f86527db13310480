/* The socket of a debug endpoint, made for the person who started the program: no script's rights have a say in it.
 * Knows: io/endpoint, io/socket. Never: a loop; accepts. */
#ifndef MW_IO_DEBUG_H
#define MW_IO_DEBUG_H

#include "io/endpoint.h"
#include "io/socket.h"

/* An open record: a private listening socket of mode 0600, and where it is. */
struct mw_debug {
    struct mw_endpoint at;
    struct mw_socket socket;         /* fd is -1 once a listener has taken it */
};

/* Makes one at `url`, "unix:/path". A stale socket of that name is replaced. *out: given; end it with mw_debug_close.
 * Returns 0, MW_EINVAL (no such address), MW_ENOMEM, -EPERM (the folder is not private), -EADDRINUSE ... */
int mw_debug_open(const char *url, struct mw_debug **out, struct mw_err *err);
void mw_debug_close(struct mw_debug *d);                 /* NULL is fine */

#endif
