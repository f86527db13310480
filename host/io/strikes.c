/* Who failed to prove who it is, and how often within a minute.
 * Knows: io/strikes.h, malloc. Never: sockets; grows. */
#include "io/strikes.h"

#include <stdlib.h>
#include <string.h>

/* The first 12 bytes of an IPv4 address that is mapped into IPv6. */
static int is_mapped(const struct mw_peer_key *key) {
    static const unsigned char prefix[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(key->at, prefix, sizeof prefix) == 0;
}

static void fold(struct mw_peer_key *key) {
    if (!is_mapped(key)) memset(key->at + 8, 0, sizeof key->at - 8); /* a uid has nothing there */
}

unsigned mw_strikes_add(struct mw_strikes *s, const struct mw_peer_key *key, uint64_t now) {
    struct mw_peer_key who = *key;
    struct mw_strike *free_one;
    size_t i;

    fold(&who);
    if (now == 0) now = 1;
    if (s->it == NULL && (s->it = calloc(MW_STRIKES, sizeof *s->it)) == NULL) return 1;
    free_one = s->it;
    for (i = 0; i < MW_STRIKES; i++) {
        struct mw_strike *it = &s->it[i];
        if (it->since != 0 && memcmp(&it->key, &who, sizeof who) == 0) break;
        if (it->last < free_one->last) free_one = it;
    }
    if (i < MW_STRIKES) free_one = &s->it[i];
    if (i == MW_STRIKES || now - free_one->since >= MW_STRIKES_NS) *free_one = (struct mw_strike){ .key = who, .since = now };
    free_one->last = now;
    return ++free_one->count;
}

void mw_strikes_free(struct mw_strikes *s) {
    free(s->it);
    s->it = NULL;
}
