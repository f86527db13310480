/* Whether bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates).
 * Knows: C11. Never: what the text says. */
#ifndef MW_BASE_UTF8_H
#define MW_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the sequence at s that is longer than one, or 0: none begins there. left > 0. */
static inline size_t mw_utf8_sequence(const unsigned char *s, size_t left) {
    unsigned c = s[0];

    if (c < 0xc2 || c > 0xf4) return 0;
    if (left < 2 || (s[1] & 0xc0) != 0x80) return 0;
    if (c < 0xe0) return 2;
    if (left < 3 || (s[2] & 0xc0) != 0x80) return 0;
    if (c < 0xf0) return (c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ? 0 : 3; /* overlong; a surrogate */
    if (left < 4 || (s[3] & 0xc0) != 0x80) return 0;
    return (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f) ? 0 : 4;
}

static inline int mw_utf8_is(const char *text, size_t len) {
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0, n;
    uint64_t eight;

    while (i < len) {
        if (len - i >= 8) {
            memcpy(&eight, s + i, 8);
            if ((eight & 0x8080808080808080u) == 0) {
                i += 8;
                continue;
            }
        }
        n = s[i] < 0x80 ? 1 : mw_utf8_sequence(s + i, len - i);
        if (n == 0) return 0;
        i += n;
    }
    return 1;
}

#endif
