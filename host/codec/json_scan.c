/* The rarer halves of json_scan.h: strings with escapes or beyond ASCII, numbers that are long or no integers.
 * Knows: codec/json_number, C11. Never: allocates, lua.h. */
#include "codec/json_scan.h"

#include "codec/json_number.h"

static const char *wrong(struct mw_scan_fault *f, const char *at, const char *why) {
    f->at = at;
    f->why = why;
    return NULL;
}

/* ---- Strings ------------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits; -1: there are none. */
static int hex4(const char *s, const char *end) {
    int v = 0;

    if (end - s < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(s[i]);
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

/* One escape at s (which is at the backslash): its length, and the character. 0: *why says what is wrong. */
static size_t escape(const char *s, const char *end, unsigned *code, const char **why) {
    int high, low;

    *why = "an unknown escape";
    if (end - s < 2) return 0;
    switch (s[1]) {
    case '"': case '\\': case '/': *code = (unsigned char)s[1]; return 2;
    case 'b': *code = '\b'; return 2;
    case 'f': *code = '\f'; return 2;
    case 'n': *code = '\n'; return 2;
    case 'r': *code = '\r'; return 2;
    case 't': *code = '\t'; return 2;
    case 'u': break;
    default: return 0;
    }
    *why = "\\u needs four hexadecimal digits";
    high = hex4(s + 2, end);
    if (high < 0) return 0;
    *code = (unsigned)high;
    if (high < 0xd800 || high > 0xdfff) return 6;
    *why = "half of a surrogate pair";
    if (high > 0xdbff || end - s < 8 || s[6] != '\\' || s[7] != 'u') return 0;
    low = hex4(s + 8, end);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    *code = 0x10000 + (((unsigned)high & 0x3ff) << 10 | ((unsigned)low & 0x3ff));
    return 12;
}

static size_t utf8_size(unsigned c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

size_t mw_scan_utf8_put(char *out, unsigned c) {
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = utf8_size(c);

    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

unsigned mw_scan_utf8_code(const char *at, size_t n) {
    unsigned c = n == 1 ? (unsigned char)*at : (unsigned char)*at & (0x7fu >> n);

    for (size_t i = 1; i < n; i++) c = c << 6 | ((unsigned char)at[i] & 0x3fu);
    return c;
}

const char *mw_scan_string_rest(const char *from, const char *at, const char *end, struct mw_scan_text *out, struct mw_scan_fault *f) {
    size_t shorter = 0, n;
    const char *why;
    unsigned code;

    for (; at < end && *at != '"'; at = mw_scan_plain(at + n, end)) {
        if ((unsigned char)*at >= 0x80) {
            for (n = 0; at < end && (unsigned char)*at >= 0x80; at += n) {
                n = mw_scan_utf8(at, end);
                if (n == 0) return wrong(f, at, "not UTF-8");
            }
            n = 0;
        } else if (*at == '\\') {
            n = escape(at, end, &code, &why);
            if (n == 0) return wrong(f, at, why);
            shorter += n - utf8_size(code);
        } else {
            return wrong(f, at, "a control character in a string");
        }
    }
    if (at == end) return wrong(f, from - 1, "a string without an end");
    out->from = from;
    out->len = (size_t)(at - from);
    out->decoded = out->len - shorter;
    return at + 1;
}

void mw_scan_unescape(const struct mw_scan_text *text, char *out) {
    const char *at = text->from, *end = at + text->len, *why;
    unsigned code = 0;

    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t n = (size_t)((slash != NULL ? slash : end) - at);
        memcpy(out, at, n);
        out += n;
        if (slash == NULL) return;
        at = slash + escape(slash, end, &code, &why);
        out += mw_scan_utf8_put(out, code);
    }
}

/* ---- Numbers ------------------------------------------------------------------------------------------------------------- */

static const char *digits(const char *at, const char *end) {
    while (at < end && (unsigned)(*at - '0') < 10) at++;
    return at;
}

const char *mw_scan_numeral(const char *at, const char *end, int *whole, struct mw_scan_fault *f) {
    const char *from = at, *p;

    *whole = 1;
    if (at < end && *at == '-') at++;
    p = digits(at, end);
    if (p == at) return wrong(f, at, "a digit is expected");
    if (*at == '0' && p - at > 1) return wrong(f, from, "a number with a leading zero");
    at = p;
    if (at < end && *at == '.') {
        *whole = 0;
        p = digits(++at, end);
        if (p == at) return wrong(f, at, "a digit is expected");
        at = p;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        *whole = 0;
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        p = digits(at, end);
        if (p == at) return wrong(f, at, "a digit is expected");
        at = p;
    }
    return at;
}

/* A whole number of any length. */
static const char *whole_number(const char *at, const char *end, struct mw_scan_number *out, struct mw_scan_fault *f) {
    int minus = *at == '-';
    uint64_t most = (uint64_t)INT64_MAX + (unsigned)minus, v = 0;

    for (const char *p = at + minus; p < end; p++) {
        unsigned d = (unsigned)(*p - '0');
        if (v > (most - d) / 10) return wrong(f, at, "a whole number beyond 64 bits");
        v = v * 10 + d;
    }
    out->whole = 1;
    out->integer = minus ? (int64_t)(0 - v) : (int64_t)v;
    return end;
}

/* "2.5" and its like: of at most 15 digits and without exponent, so that the digits and the power of ten are doubles, and their
 * quotient is the nearest one. NULL: it is another, or none. */
static const char *short_decimal(const char *at, const char *end, struct mw_scan_number *out) {
    static const double tens[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14 };
    const char *from = at + (*at == '-'), *point, *p = from;
    uint64_t v = 0;

    for (; p < end && p - from < 15 && (unsigned)(*p - '0') < 10; p++) v = v * 10 + (unsigned)(*p - '0');
    if (p == from || p == end || *p != '.' || (*from == '0' && p - from > 1)) return NULL;
    for (point = p++; p < end && p - from < 16 && (unsigned)(*p - '0') < 10; p++) v = v * 10 + (unsigned)(*p - '0');
    if (p == point + 1 || (p < end && ((unsigned)(*p - '0') < 10 || *p == 'e' || *p == 'E'))) return NULL;
    out->whole = 0;
    out->real = (double)v / tens[p - point - 1];
    if (*at == '-') out->real = -out->real;
    return p;
}

const char *mw_scan_number_rest(const char *at, const char *end, struct mw_scan_number *out, struct mw_scan_fault *f) {
    int whole;
    const char *p = short_decimal(at, end, out);

    if (p != NULL) return p;
    p = mw_scan_numeral(at, end, &whole, f);

    if (p == NULL) return NULL;
    if (whole) return whole_number(at, p, out, f);
    out->whole = 0;
    return mw_number_read(at, (size_t)(p - at), &out->real) ? p : wrong(f, at, "a number beyond what a float holds");
}
