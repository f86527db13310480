/* Who failed to prove who it is, and how often within a minute: a small table that forgets the longest silent.
 * Knows: io/peers (the key). Never: sockets; grows. */
#ifndef MW_IO_STRIKES_H
#define MW_IO_STRIKES_H

#include <stdint.h>

#include "io/peers.h"

#define MW_STRIKES 256                   /* peers remembered */
#define MW_STRIKES_NS 60000000000u       /* for so long */

struct mw_strike {
    struct mw_peer_key key;
    uint64_t since, last;                /* ns; since 0: free */
    unsigned count;
};
/* Zero-initialised is empty and holds no memory. */
struct mw_strikes {
    struct mw_strike *it;                /* MW_STRIKES of them, from the first failure on */
};

/* One more failure of `key` now: how many there have been within a minute of the first. IPv6 addresses count by their first 64 bits,
 * since one machine has as many others as it likes. Without memory: 1. */
unsigned mw_strikes_add(struct mw_strikes *s, const struct mw_peer_key *key, uint64_t now);
void mw_strikes_free(struct mw_strikes *s);

#endif
