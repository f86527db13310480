/* The socket of a debug endpoint.
 * Knows: io/socket, policy. Never: asks the script's policy: the person at the command line has said where. */
#include "io/debug.h"

#include <stdlib.h>
#include <string.h>

#define OP "debug"

int mw_debug_open(const char *url, struct mw_debug **out, struct mw_err *err) {
    static const struct mw_socket_options options = {.backlog = 64, .stall_ms = 30000, .unlink = 1, .mode = 0600, .private = 1};
    static const char unix_only[] = "unix:/path is expected: the kernel must tell who connects";
    struct mw_policy *everything = NULL;
    struct mw_debug *d = malloc(sizeof *d);
    int rc;

    if (d == NULL) return mw_err_set(err, MW_ENOMEM, OP, url, NULL);
    d->socket.fd = d->socket.place.fd = -1;
    if (strncmp(url, "unix:", 5) != 0) {
        free(d);
        return mw_err_set(err, MW_EINVAL, OP, url, unix_only);
    }
    rc = mw_endpoint_parse(url, strlen(url), MW_TO_LISTEN, OP, &d->at, err);
    if (rc == 0) rc = mw_policy_new(&everything, err);
    if (rc == 0) rc = mw_policy_add_all(everything, err);
    if (rc == 0) rc = mw_socket_listen_unix(everything, d->at.path, &options, url, &d->socket, err);
    mw_policy_free(everything);
    if (rc < 0) {
        free(d);
        return rc;
    }
    *out = d;
    return 0;
}

void mw_debug_close(struct mw_debug *d) {
    if (d == NULL) return;
    if (d->socket.fd >= 0) mw_socket_end(&d->socket);
    free(d);
}
