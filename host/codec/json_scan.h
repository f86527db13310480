/* What every reader of JSON text does, a token at a time: space, strings, numbers, words. Positions go in and come out as pointers,
 * so that they stay in registers; nothing is written, nothing is read at or behind `end`.
 * Knows: C11. Never: allocates, lua.h; accepts what is not JSON (RFC 8259): no control character in a string, no byte that is not
 * UTF-8, no half of a surrogate pair, no number outside of int64 (whole) or double (with a fraction or an exponent). */
#ifndef MW_CODEC_JSON_SCAN_H
#define MW_CODEC_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Why a scan gave NULL. */
struct mw_scan_fault {
    const char *at;                     /* the byte that is wrong; may be `end` */
    const char *why;                    /* static */
};

/* ---- Space --------------------------------------------------------------------------------------------------------------- */

static inline int mw_scan_is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static inline const char *mw_scan_space(const char *at, const char *end) {
    while (at < end && mw_scan_is_space(*at)) at++;
    return at;
}

/* ---- Strings ------------------------------------------------------------------------------------------------------------- */

/* What stands between the quotes. */
struct mw_scan_text {
    const char *from;
    size_t len;                         /* bytes as they stand */
    size_t decoded;                     /* bytes that they mean: less than len when there are escapes, else the same */
};

/* The first byte that is a quote, a backslash, a control character or no ASCII; or end. */
static inline const char *mw_scan_plain(const char *at, const char *end) {
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);

    for (; end - at >= 16; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i odd = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                   _mm_cmplt_epi8(v, space)); /* signed: 0x80..0xff are less, too */
        unsigned mask = (unsigned)_mm_movemask_epi8(odd);
        if (mask != 0) return at + __builtin_ctz(mask);
    }
#else
    for (; end - at >= 8; at += 8) {
        const uint64_t ones = UINT64_C(0x0101010101010101);
        uint64_t v, odd;
        memcpy(&v, at, sizeof v);
        odd = v | (v - ones * 0x20) | ((v ^ ones * '"') - ones) | ((v ^ ones * '\\') - ones);
        if ((odd & ones << 7) != 0) break; /* in here: the first of them, byte by byte */
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80) at++;
    return at;
}

/* Bytes of the character at `at` (at < end): 1..4, or 0: no UTF-8. */
static inline size_t mw_scan_utf8(const char *at, const char *end) {
    const unsigned char *s = (const unsigned char *)at;
    size_t left = (size_t)(end - at);

    if (s[0] < 0x80) return 1;
    if (left < 2 || s[0] < 0xc2 || (s[1] & 0xc0) != 0x80) return 0;
    if (s[0] < 0xe0) return 2;
    if (left < 3 || (s[2] & 0xc0) != 0x80) return 0;
    if (s[0] < 0xf0) return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ? 0 : 3;
    if (left < 4 || s[0] > 0xf4 || (s[3] & 0xc0) != 0x80) return 0;
    return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : 4;
}

/* What a character of n bytes is, and a character written: 1..4 bytes. */
unsigned mw_scan_utf8_code(const char *at, size_t n);
size_t mw_scan_utf8_put(char *out, unsigned code);

/* The rest of a string that begins at `from` and is plain up to `at`. */
const char *mw_scan_string_rest(const char *from, const char *at, const char *end, struct mw_scan_text *out, struct mw_scan_fault *f);

/* A string, `at` being behind its first quote. Returns what is behind its last one, or NULL. */
static inline const char *mw_scan_string(const char *at, const char *end, struct mw_scan_text *out, struct mw_scan_fault *f) {
    const char *stop = mw_scan_plain(at, end);

    if (stop == end || *stop != '"') return mw_scan_string_rest(at, stop, end, out, f);
    out->from = at;
    out->len = out->decoded = (size_t)(stop - at);
    return stop + 1;
}

/* What a scanned string with escapes means: text->decoded bytes into out, no NUL behind them (and any inside). */
void mw_scan_unescape(const struct mw_scan_text *text, char *out);

/* ---- Numbers ------------------------------------------------------------------------------------------------------------- */

struct mw_scan_number {
    int whole;                          /* neither fraction nor exponent: integer has it; else real */
    int64_t integer;
    double real;
};

/* Its grammar alone, any size: returns what is behind it, or NULL. `at` is at a digit or a minus. */
const char *mw_scan_numeral(const char *at, const char *end, int *whole, struct mw_scan_fault *f);
const char *mw_scan_number_rest(const char *at, const char *end, struct mw_scan_number *out, struct mw_scan_fault *f);

/* A number with its value. `at` is at a digit or a minus. -0 is the integer 0; -0.0 keeps its sign. */
static inline const char *mw_scan_number(const char *at, const char *end, struct mw_scan_number *out, struct mw_scan_fault *f) {
    int minus = *at == '-';
    const char *from = at + minus, *p = from;
    uint64_t v = 0;

    for (; p < end && (unsigned)(*p - '0') < 10; p++) v = v * 10 + (unsigned)(*p - '0');
    if (p == from || p - from > 18 || (*from == '0' && p - from > 1) || (p < end && (*p == '.' || *p == 'e' || *p == 'E')))
        return mw_scan_number_rest(at, end, out, f);
    out->whole = 1;
    out->integer = minus ? -(int64_t)v : (int64_t)v;
    return p;
}

/* ---- Words --------------------------------------------------------------------------------------------------------------- */

/* true, false and null: returns what is behind the word, or NULL: it is another. No fault is set. */
static inline const char *mw_scan_word(const char *at, const char *end, const char *word, size_t len) {
    return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 ? at + len : NULL;
}
#define MW_SCAN_WORD(at, end, literal) mw_scan_word(at, end, "" literal, sizeof literal - 1)

#endif
