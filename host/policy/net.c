/* Addresses and host names of rules and targets, in one canonical form each.
 * Knows: base, the shapes of socket addresses. Never: resolves a name, opens a socket. */
#include <arpa/inet.h>
#include <string.h>

#include "policy/rule.h"

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* ASCII only, whatever the process's locale says. */
static int digit(char c) {
    return c >= '0' && c <= '9';
}
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* ::ffff:a.b.c.d is a.b.c.d, prefixes of at least 96 bits too. */
static void fold(struct mw_net_addr *a) {
    if (!a->v6 || a->bits < 96 || memcmp(a->bytes, mapped, sizeof mapped) != 0) return;
    memmove(a->bytes, a->bytes + 12, 4);
    memset(a->bytes + 4, 0, 12);
    a->v6 = 0;
    a->bits -= 96;
}

int mw_net_read(const char *text, size_t len, struct mw_net_addr *out) {
    char buf[INET6_ADDRSTRLEN];

    memset(out, 0, sizeof *out);
    if (len == 0 || len >= sizeof buf || memchr(text, 0, len) != NULL) return 0;
    memcpy(buf, text, len);
    buf[len] = 0;
    if (inet_pton(AF_INET, buf, out->bytes) == 1) { /* glibc's and musl's: four decimal numbers, no leading zeros */
        out->bits = 32;
        return 1;
    }
    if (inet_pton(AF_INET6, buf, out->bytes) != 1) return 0;
    out->v6 = 1;
    out->bits = 128;
    fold(out);
    return 1;
}

int mw_net_numeric(const char *text, size_t len) {
    size_t at;

    if (len > 0 && text[len - 1] == '.') len--;
    at = len;
    while (at > 0 && text[at - 1] != '.') at--;
    if (at == len) return 0;
    if (len - at > 2 && text[at] == '0' && (text[at + 1] == 'x' || text[at + 1] == 'X')) return 1;
    for (size_t i = at; i < len; i++)
        if (!digit(text[i])) return 0;
    return 1;
}

int mw_net_from(const struct sockaddr *sa, socklen_t len, int to, struct mw_net_addr *out) {
    int port;

    memset(out, 0, sizeof *out);
    if (len < (socklen_t)(sizeof sa->sa_family + offsetof(struct sockaddr, sa_family))) return -1;
    if (sa->sa_family == AF_INET && len >= (socklen_t)sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        memcpy(out->bytes, &in.sin_addr, 4);
        out->bits = 32;
        port = ntohs(in.sin_port);
    } else if (sa->sa_family == AF_INET6 && len >= (socklen_t)sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        memcpy(&in, sa, sizeof in);
        memcpy(out->bytes, &in.sin6_addr, 16);
        out->v6 = 1;
        out->bits = 128;
        port = ntohs(in.sin6_port);
        fold(out);
    } else {
        return -1;
    }
    if (to && mw_net_wild(out)) {
        if (out->v6) out->bytes[15] = 1;
        else memcpy(out->bytes, "\x7f\0\0\1", 4);
    }
    return port;
}

int mw_net_within(const struct mw_net_addr *outer, const struct mw_net_addr *inner) {
    unsigned whole = outer->bits / 8, left = outer->bits % 8;

    if (outer->v6 != inner->v6 || outer->bits > inner->bits) return 0;
    if (memcmp(outer->bytes, inner->bytes, whole) != 0) return 0;
    return left == 0 || ((outer->bytes[whole] ^ inner->bytes[whole]) >> (8 - left)) == 0;
}

int mw_net_wild(const struct mw_net_addr *a) {
    static const unsigned char zero[16];
    return a->bits == (a->v6 ? 128u : 32u) && memcmp(a->bytes, zero, a->v6 ? 16 : 4) == 0;
}

unsigned mw_net_inner(const struct mw_net_addr *a, struct mw_net_addr *out) {
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b}, local64[6] = {0, 0x64, 0xff, 0x9b, 0, 1}, zero[12];
    unsigned at = 12;

    memset(out, 0, sizeof *out);
    if (!a->v6 || a->bits != 128) return 0;
    if (a->bytes[0] == 0x20 && a->bytes[1] == 0x02) at = 2;
    else if (memcmp(a->bytes, zero, sizeof zero) == 0 && a->bytes[12] == 0) return 0; /* ::, ::1 */
    else if (memcmp(a->bytes, nat64, sizeof nat64) != 0 && memcmp(a->bytes, local64, sizeof local64) != 0 && memcmp(a->bytes, zero, sizeof zero) != 0) return 0;
    memcpy(out->bytes, a->bytes + at, 4);
    out->bits = 32;
    return 8 * at;
}

int mw_net_loopback(const struct mw_net_addr *a) {
    static const unsigned char one[16] = {[15] = 1};
    return a->v6 ? a->bits == 128 && memcmp(a->bytes, one, sizeof one) == 0 : a->bits >= 8 && a->bytes[0] == 127;
}

int mw_net_localhost(const char *name) {
    size_t n = strlen(name);
    return n >= 9 && strcmp(name + n - 9, "localhost") == 0 && (n == 9 || name[n - 10] == '.');
}

int mw_net_host(const char *text, size_t len, char *out, size_t *bad) {
    size_t label = 0;

    *bad = 0;
    if (len > 0 && text[len - 1] == '.') len--;
    if (len == 0 || len > 253) return 0;
    for (size_t i = 0; i <= len; i++) {
        char c = i < len ? lower(text[i]) : '.';
        *bad = i;
        if (c == '.') {
            if (i == label || i - label > 63) return 0;
            label = i + 1;
            if (i < len) out[i] = '.';
        } else if (digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_') {
            out[i] = c;
        } else {
            return 0;
        }
    }
    out[len] = 0;
    *bad = 0;
    return !mw_net_numeric(out, len);
}
