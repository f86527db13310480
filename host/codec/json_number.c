/* Decimal to double and back: see json_number.h. Reading: Clinger's fast path, then a product with 128 bits of a power of ten (Eisel,
 * Lemire: "Number parsing at a gigabyte per second", 2021), then, where that cannot tell, long division. Writing: the shortest
 * decimal between the neighbours' midpoints (Giulietti: "The Schubfach way to render doubles", 2021).
 * Knows: C11. Never: allocates, lua.h, the locale. */
#include "codec/json_number.h"

#include <float.h>
#include <string.h>

#define FRACTION_BITS 52
#define HIDDEN (UINT64_C(1) << FRACTION_BITS)
#define INFINITE 0x7ff          /* the exponent that no finite double has */

typedef unsigned __int128 wide;

static double from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* ---- Long division: what is exact whatever it costs ---------------------------------------------------------------------- */

#define DIGITS_MAX 800u         /* no midpoint between doubles has more than 767 digits; one more stands for all that follow */
#define LIMBS 128u              /* 10^(DIGITS_MAX + 1) or 10^309, times 2^64; 10^-1142 inverted, times 2^64 */

struct big {
    unsigned n;                 /* limbs in use, the highest is not 0 */
    uint32_t limb[LIMBS];       /* the lowest first */
};

static void big_times_plus(struct big *b, uint32_t factor, uint32_t plus) {
    uint64_t carry = plus;

    for (unsigned i = 0; i < b->n; i++) {
        carry += (uint64_t)b->limb[i] * factor;
        b->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0) b->limb[b->n++] = (uint32_t)carry;
}

static void big_times_pow10(struct big *b, unsigned e) {
    for (; e >= 9; e -= 9) big_times_plus(b, 1000000000, 0);
    for (; e > 0; e--) big_times_plus(b, 10, 0);
}

static int big_bits(const struct big *b) { return (int)b->n * 32 - __builtin_clz(b->limb[b->n - 1]); }

static void big_shift(struct big *b, unsigned by) {
    unsigned limbs = by / 32, bits = by % 32;

    if (bits != 0) big_times_plus(b, UINT32_C(1) << bits, 0);
    memmove(b->limb + limbs, b->limb, b->n * sizeof *b->limb);
    memset(b->limb, 0, limbs * sizeof *b->limb);
    b->n += limbs;
}

/* a -= b when a >= b; returns whether it was. */
static int big_take(struct big *a, const struct big *b) {
    uint64_t borrow = 0;

    if (a->n < b->n) return 0;
    if (a->n == b->n)
        for (unsigned i = a->n; i-- > 0;) {
            if (a->limb[i] < b->limb[i]) return 0;
            if (a->limb[i] > b->limb[i]) break;
        }
    for (unsigned i = 0; i < a->n; i++) {
        uint64_t d = (uint64_t)a->limb[i] - (i < b->n ? b->limb[i] : 0) - borrow;
        a->limb[i] = (uint32_t)d;
        borrow = d >> 63;
    }
    while (a->n > 0 && a->limb[a->n - 1] == 0) a->n--;
    return 1;
}

/* The bits of q * 2^e, rounded; q >= 2^54, and `more`: the true value is above that by less than 1. */
static uint64_t round_to_bits(uint64_t q, int e, int more) {
    int drop = 64 - __builtin_clzll(q) - (FRACTION_BITS + 1), least = -1074;
    uint64_t half, rest;

    if (e + drop < least) drop = least - e;
    if (drop > 63) return 0;
    half = UINT64_C(1) << (drop - 1);
    rest = q & (2 * half - 1);
    q >>= drop;
    e += drop;
    q += rest > half || (rest == half && (more || (q & 1) != 0));
    if (q < HIDDEN) return q;                                   /* below the normal ones: their exponent is 0 */
    if (q >= 2 * HIDDEN) q >>= 1, e++;
    e += 1075;
    return e >= INFINITE ? (uint64_t)INFINITE << FRACTION_BITS : (uint64_t)e << FRACTION_BITS | (q & (HIDDEN - 1));
}

/* The value of `n` digits (of which the first is not 0) of text that may have a point among them, times 10^e. */
static uint64_t divide(const char *at, size_t n, int64_t e) {
    struct big over, under;
    unsigned taken = 0;
    uint64_t q = 0;
    int shift, more = 0;

    over.n = 0;
    for (; n > 0; at++) {
        if (*at == '.') continue;
        n--;
        if (taken < DIGITS_MAX) big_times_plus(&over, 10, (uint32_t)(*at - '0')), taken++;
        else e++, more |= *at != '0';
    }
    if (more) big_times_plus(&over, 10, 1), e--;
    under.n = 1;
    under.limb[0] = 1;
    big_times_pow10(e > 0 ? &over : &under, (unsigned)(e > 0 ? e : -e));
    shift = 55 - (big_bits(&over) - big_bits(&under));          /* the quotient is then in 2^54..2^56 */
    if (shift > 0) big_shift(&over, (unsigned)shift);
    else big_shift(&under, (unsigned)-shift);
    big_shift(&under, 55);
    for (int i = 0; i < 56; i++) {
        q = q << 1 | (unsigned)big_take(&over, &under);
        if (over.n > 0) big_shift(&over, 1);
    }
    return round_to_bits(q, -shift, over.n > 0);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------------- */

/* The bits of w * 10^e, or 0: it cannot be told (0 itself is not asked for). */
static uint64_t multiply(uint64_t w, int e) {
    const struct mw_pow10 *p = &mw_pow10[e - MW_POW10_MIN];
    int zeros = __builtin_clzll(w), top;
    uint64_t high, low, m;
    int64_t exponent;
    wide x;

    w <<= zeros;
    x = (wide)w * p->high;
    high = (uint64_t)(x >> 64);
    low = (uint64_t)x;
    if ((high & 0x1ff) == 0x1ff && low + w < w) {               /* what was cut off may matter */
        wide y = (wide)w * p->low;
        uint64_t sum = low + (uint64_t)(y >> 64);
        high += sum < low;
        low = sum;
        if ((high & 0x1ff) == 0x1ff && low + 1 == 0 && (uint64_t)y + w < w) return 0;
    }
    top = (int)(high >> 63);
    m = high >> (top + 9);
    exponent = ((217706 * (int64_t)e) >> 16) + 1087 - zeros - (1 ^ top);
    if (low == 0 && (high & 0x1ff) == 0 && (m & 3) == 1) return 0; /* half-way */
    m = (m + (m & 1)) >> 1;
    if (m >= 2 * HIDDEN) m >>= 1, exponent++;
    if (exponent < 1 || exponent >= INFINITE) return 0;
    return (uint64_t)exponent << FRACTION_BITS | (m & (HIDDEN - 1));
}

struct decimal {
    const char *first;          /* the first digit that is not 0 */
    size_t count;               /* digits from there on */
    uint64_t w;                 /* the first 19 of them */
    int64_t e;                  /* the value is all `count` digits times 10^e */
};

static int64_t read_exponent(const char *at, const char *end) {
    int minus = *at == '-';
    int64_t e = 0;

    if (*at == '-' || *at == '+') at++;
    for (; at < end; at++)
        if (e < INT64_C(1000000000000)) e = e * 10 + (*at - '0');
    return minus ? -e : e;
}

static void read_decimal(const char *at, const char *end, struct decimal *d) {
    int point = 0;

    *d = (struct decimal){0};
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = 1;
            continue;
        }
        d->e -= point;
        if (d->count == 0 && *at == '0') continue;
        if (d->count == 0) d->first = at;
        if (d->count++ < 19) d->w = d->w * 10 + (uint64_t)(*at - '0');
    }
    if (at < end) d->e += read_exponent(at + 1, end);
}

/* Bits of a decimal that is not 0. */
static uint64_t nearest(const struct decimal *d) {
    static const double exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int64_t left = d->count > 19 ? (int64_t)d->count - 19 : 0, e = d->e + left; /* w * 10^e, and less than 10^e more */
    uint64_t bits, above;

    if (FLT_EVAL_METHOD == 0 && left == 0 && d->w <= 2 * HIDDEN && e >= -22 && e <= 22) {
        double v = e < 0 ? (double)d->w / exact[-e] : (double)d->w * exact[e];
        memcpy(&bits, &v, sizeof bits);
        return bits;
    }
    if (e > 310) return (uint64_t)INFINITE << FRACTION_BITS;
    if (e < MW_POW10_MIN + 1) return 0;                         /* less than 10^20 * 10^-348 */
    bits = multiply(d->w, (int)e);
    if (bits != 0 && left > 0) {
        above = multiply(d->w + 1, (int)e);
        if (above != bits) bits = 0;
    }
    return bits != 0 ? bits : divide(d->first, d->count, d->e);
}

int mw_number_read(const char *at, size_t len, double *out) {
    int minus = *at == '-';
    struct decimal d;
    uint64_t bits;

    read_decimal(at + minus, at + len, &d);
    bits = d.count > 0 ? nearest(&d) : 0;
    *out = from_bits(bits | (uint64_t)minus << 63);
    return bits >> FRACTION_BITS != INFINITE;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------------- */

/* The top of g * c / 2^64, its last bit set when anything was cut off. */
static uint64_t round_to_odd(struct mw_pow10 g, uint64_t c) {
    wide low = (wide)g.low * c, high = (wide)g.high * c;
    wide sum = high + (uint64_t)(low >> 64);
    return (uint64_t)(sum >> 64) | ((uint64_t)sum > 1);
}

/* The shortest decimal, *digits * 10^(the result), that lies nearer to c * 2^q than to its neighbours; of two, the nearer. */
static int shortest(uint64_t c, int q, int narrow, uint64_t *digits) {
    int odd = (int)(c & 1), k = (q * 1262611 - (narrow ? 524031 : 0)) >> 22, h = q + ((-k * 1741647) >> 19) + 1, low_in, high_in;
    struct mw_pow10 g = mw_pow10[-k - MW_POW10_MIN];
    uint64_t lower, v, upper, s, tens;

    if (-k < 0 || -k > 55) {
        g.low++;                                                /* rounded up, not down, unless it is exact */
        g.high += g.low == 0;
    }
    lower = round_to_odd(g, (4 * c - 2 + (unsigned)narrow) << h) + (unsigned)odd;
    v = round_to_odd(g, (4 * c) << h);
    upper = round_to_odd(g, (4 * c + 2) << h) - (unsigned)odd;
    s = v / 4;
    if (s >= 10) {
        tens = s / 10;
        low_in = lower <= 40 * tens;
        high_in = 40 * tens + 40 <= upper;
        if (low_in != high_in) {
            *digits = tens + (unsigned)high_in;
            return k + 1;
        }
    }
    low_in = lower <= 4 * s;
    high_in = 4 * s + 4 <= upper;
    if (low_in != high_in) *digits = s + (unsigned)high_in;
    else *digits = s + (v > 4 * s + 2 || (v == 4 * s + 2 && (s & 1) != 0));
    return k;
}

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051"
                            "5253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
                            "99";

/* Decimal digits of v; returns how many. */
static size_t put_digits(char *out, uint64_t v) {
    char buffer[20], *p = buffer + sizeof buffer;
    size_t n;

    for (; v >= 100; v /= 100) memcpy(p -= 2, pairs + v % 100 * 2, 2);
    if (v >= 10) memcpy(p -= 2, pairs + v * 2, 2);
    else *--p = (char)('0' + v);
    n = (size_t)(buffer + sizeof buffer - p);
    memcpy(out, p, n);
    return n;
}

size_t mw_number_write_integer(char out[MW_NUMBER_MAX], int64_t v) {
    if (v >= 0) return put_digits(out, (uint64_t)v);
    out[0] = '-';
    return 1 + put_digits(out + 1, 0 - (uint64_t)v);
}

/* n digits at p, times 10^e: with a point where a person would put it, or with an exponent. */
static size_t lay_out(char *p, size_t n, int e) {
    int point = (int)n + e;                                     /* where the point stands, counted from the first digit */

    if (point > 0 && point <= 17) {
        if (e >= 0) {
            memset(p + n, '0', (size_t)e);
            memcpy(p + point, ".0", 2);
            return (size_t)point + 2;
        }
        memmove(p + point + 1, p + point, (size_t)-e);
        p[point] = '.';
        return n + 1;
    }
    if (point <= 0 && point > -5) {
        memmove(p + 2 - point, p, n);
        memset(p, '0', (size_t)(2 - point));
        p[1] = '.';
        return n + 2 + (size_t)-point;
    }
    if (n > 1) {
        memmove(p + 2, p + 1, n - 1);
        p[1] = '.';
        n++;
    }
    p[n++] = 'e';
    return n + mw_number_write_integer(p + n, point - 1);
}

size_t mw_number_write(char out[MW_NUMBER_MAX], double v) {
    uint64_t bits, digits;
    size_t sign, n;
    int exponent, e;

    memcpy(&bits, &v, sizeof bits);
    sign = bits >> 63;
    if (sign) *out++ = '-';
    bits &= ~(UINT64_C(1) << 63);
    if (bits == 0) return memcpy(out, "0.0", 3), sign + 3;
    exponent = (int)(bits >> FRACTION_BITS);
    bits &= HIDDEN - 1;
    if (exponent == 0) e = shortest(bits, -1074, 0, &digits);
    else e = shortest(bits | HIDDEN, exponent - 1075, bits == 0 && exponent > 1, &digits);
    for (; digits % 10 == 0; digits /= 10) e++;
    n = put_digits(out, digits);
    return sign + lay_out(out, n, e);
}
