/* How long things took: a bounded histogram, exact to an eighth.
 * Knows: C11. Never: allocates. */
#ifndef MW_POOL_TALLY_H
#define MW_POOL_TALLY_H

#include <stdint.h>

enum { MW_TALLY_PARTS = 8, MW_TALLY_SIZE = 62 * MW_TALLY_PARTS };

/* Zero-initialised is empty. */
struct mw_tally {
    uint64_t count;
    uint64_t bin[MW_TALLY_SIZE];
};

static inline unsigned mw_tally_bin(uint64_t v) {
    unsigned high;

    if (v < MW_TALLY_PARTS) return (unsigned)v;
    high = 63u - (unsigned)__builtin_clzll(v);
    return (high - 2) * MW_TALLY_PARTS + (unsigned)(v >> (high - 3)) % MW_TALLY_PARTS;
}
static inline void mw_tally_add(struct mw_tally *t, uint64_t v) {
    t->count++;
    t->bin[mw_tally_bin(v)]++;
}
/* The value below which `part` of 1000 lie: the middle of its bin; 0 when there are none. */
uint64_t mw_tally_at(const struct mw_tally *t, unsigned part);

#endif
