/* Numbers in as few bytes as they need: seven bits a byte, the lowest first, the high bit set in all but the last byte.
 * Knows: C11. Never: accepts a number in more bytes than it needs. */
#ifndef MW_WIRE_NUMBER_H
#define MW_WIRE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

enum { MW_NUMBER_MAX = 10 };                     /* bytes of the longest number */

/* Writes `n` to at[0..10). Returns its bytes. */
static inline unsigned mw_number_put(uint64_t n, char *at) {
    unsigned used = 0;

    while (n >= 0x80) {
        at[used++] = (char)((n & 0x7f) | 0x80);
        n >>= 7;
    }
    at[used++] = (char)n;
    return used;
}

/* Reads the number at at[0..len). Returns its bytes; 0: there is none (cut off, longer than it must be, above 64 bits). */
static inline unsigned mw_number_get(const char *at, size_t len, uint64_t *n) {
    uint64_t v = 0;

    for (unsigned i = 0; i < len && i < MW_NUMBER_MAX; i++) {
        unsigned char b = (unsigned char)at[i];

        if (i == MW_NUMBER_MAX - 1 && b > 1) return 0;
        v |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b & 0x80) continue;
        if (b == 0 && i > 0) return 0;
        *n = v;
        return i + 1;
    }
    return 0;
}

#endif
