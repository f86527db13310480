/* How long things took: what a bin stands for.
 * Knows: C11. Never: allocates. */
#include "pool/tally.h"

uint64_t mw_tally_at(const struct mw_tally *t, unsigned part) {
    uint64_t rank, seen = 0;
    unsigned i, shift;

    if (t->count == 0) return 0;
    rank = t->count / 1000 * part + t->count % 1000 * part / 1000;
    if (rank >= t->count) rank = t->count - 1;
    for (i = 0; i < MW_TALLY_SIZE - 1; i++) {
        seen += t->bin[i];
        if (seen > rank) break;
    }
    if (i < 2 * MW_TALLY_PARTS) return i; /* exact */
    shift = i / MW_TALLY_PARTS - 1;
    return ((uint64_t)(MW_TALLY_PARTS + i % MW_TALLY_PARTS) << shift) + ((UINT64_C(1) << shift) / 2);
}
