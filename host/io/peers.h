/* How many connections each peer holds: a small table from uid or address to a count.
 * Knows: malloc. Never: sockets. */
#ifndef MW_IO_PEERS_H
#define MW_IO_PEERS_H

#include <stddef.h>

/* Who: a uid in the first bytes, or an IPv6 address (IPv4 as mapped); the rest is zero. */
struct mw_peer_key {
    unsigned char at[16];
};
struct mw_peer_count {
    struct mw_peer_count *next;
    struct mw_peers *table;      /* that it stands in */
    struct mw_peer_key key;
    unsigned held;
};
/* Zero-initialised is empty and holds no memory. Does not move while it counts. */
struct mw_peers {
    struct mw_peer_count **slots;
    size_t size, used;           /* size: a power of two, or 0 */
};

/* One more for `key`: its count, lent until given back; NULL: out of memory, nothing changed. */
struct mw_peer_count *mw_peers_take(struct mw_peers *p, const struct mw_peer_key *key);
/* One less; the entry goes with its last. */
void mw_peers_give(struct mw_peer_count *c);
void mw_peers_free(struct mw_peers *p);

#endif
