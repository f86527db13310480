/* Who is it? Two greeters: a shared secret (wire/auth), and what the kernel says of the process at the other end of a Unix socket.
 * Knows: io/greet, io/stream, wire/auth. Never: Lua; tells a stranger why he was refused. */
#ifndef MW_IO_GREET_AUTH_H
#define MW_IO_GREET_AUTH_H

#include "io/greet.h"
#include "wire/auth.h"

/* keys: kept. identity: of a client, or NULL; copied. *out: given, one reference. 0 or MW_ENOMEM. */
int mw_greet_secret_new(const struct mw_auth_calls *calls, mw_auth_keys *keys, const char *identity, struct mw_greeter **out);

enum { MW_WHO_MAX = 64 };                /* of each */
/* Whom to accept: of each list that is not empty, one must be it. */
struct mw_who {
    unsigned uids, gids, pids;
    uid_t uid[MW_WHO_MAX];
    gid_t gid[MW_WHO_MAX];
    pid_t pid[MW_WHO_MAX];
};
/* who: copied. *out: given, one reference. 0 or MW_ENOMEM. Unix sockets only. */
int mw_greet_who_new(const struct mw_who *who, struct mw_greeter **out);
/* The same of our own user and root. */
int mw_greet_own_new(struct mw_greeter **out);
int mw_greet_is_root(void);

#endif
