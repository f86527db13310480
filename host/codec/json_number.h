/* Floats and decimal text, exactly: the nearest double of a numeral, and the shortest numeral of a double. No locale is heeded.
 * Knows: C11. Never: allocates, lua.h. */
#ifndef MW_CODEC_JSON_NUMBER_H
#define MW_CODEC_JSON_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define MW_NUMBER_MAX 32u       /* bytes that a number takes, written */

/* The double nearest to a JSON numeral (half to even), which has been checked: ASCII digits, sign, point and exponent as RFC 8259 has
 * them, at least one digit. 1, or 0: it is beyond the largest double. What is nearer to 0 than to any other is 0 with its sign. */
int mw_number_read(const char *at, size_t len, double *out);

/* Writes a finite double so that reading gives the same bits, with as few digits as that takes, and always with a point or an
 * exponent; returns the bytes. No NUL. */
size_t mw_number_write(char out[MW_NUMBER_MAX], double v);

/* The same for an integer. */
size_t mw_number_write_integer(char out[MW_NUMBER_MAX], int64_t v);

/* 10^e = m * 2^x, 2^127 <= m < 2^128, cut off after 128 bits (exact for 0 <= e <= 55): m. */
#define MW_POW10_MIN (-348)
#define MW_POW10_MAX 347
struct mw_pow10 {
    uint64_t high, low;
};
extern const struct mw_pow10 mw_pow10[MW_POW10_MAX - MW_POW10_MIN + 1];

#endif
