/* Addresses as text: tcp://host:port, tls://host:port, unix:/path, unix:@abstract, fd:3, stdio:.
 * Knows: base, the shapes of socket addresses.
 * Never: resolves, opens, asks; reads more than the text it was given. */
#include "io/endpoint.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define LABEL_MAX 63        /* bytes of one part of a host name (RFC 1035) */
#define HOST_MAX 253        /* bytes of a host name */
#define ABSTRACT_MAX ((int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* What is being read, and where the story of a failure goes. */
struct reader {
    const char *text, *op;
    size_t len;
    enum mw_purpose purpose;
    struct mw_endpoint *out;
    struct mw_err *err;
};

__attribute__((format(printf, 3, 4))) static int bad(struct reader *r, size_t at, const char *fmt, ...) {
    char why[160], shown[sizeof r->err->subject];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    mw_err_escape(shown, sizeof shown, r->text, r->len); /* a NUL inside is shown, not obeyed */
    return mw_err_setf(r->err, MW_EINVAL, r->op, shown, "bad address: %s (character %zu)", why, at + 1);
}

static int starts(const struct reader *r, const char *word) {
    size_t n = strlen(word);
    return r->len >= n && memcmp(r->text, word, n) == 0;
}

static int digit(char c) {
    return c >= '0' && c <= '9';
}

/* A decimal number without sign or spare zeros in text[at..end); -1: none such, or above max. */
static int number(const struct reader *r, size_t at, size_t end, int max) {
    int n = 0;

    if (at == end || (r->text[at] == '0' && end - at > 1)) return -1;
    for (; at < end; at++) {
        if (!digit(r->text[at])) return -1;
        n = n * 10 + (r->text[at] - '0');
        if (n > max) return -1;
    }
    return n;
}

/* Four decimal numbers and nothing else; inet_pton alone would take leading zeros in other C libraries. */
static int quad(const struct reader *r, size_t at, size_t end, struct in_addr *out) {
    unsigned char part[4];

    for (int i = 0; i < 4; i++) {
        size_t dot = at;
        int n;
        while (dot < end && r->text[dot] != '.') dot++;
        n = number(r, at, dot, 255);
        if (n < 0 || (i < 3) != (dot < end)) return 0;
        part[i] = (unsigned char)n;
        at = dot + 1;
    }
    memcpy(out, part, sizeof part);
    return 1;
}

static void put_port(struct mw_endpoint *e) {
    if (e->sa.ss_family == AF_INET) ((struct sockaddr_in *)&e->sa)->sin_port = htons((uint16_t)e->port);
    if (e->sa.ss_family == AF_INET6) ((struct sockaddr_in6 *)&e->sa)->sin6_port = htons((uint16_t)e->port);
}

static void put_v4(struct mw_endpoint *e, const struct in_addr *at) {
    struct sockaddr_in *sa = (struct sockaddr_in *)&e->sa;

    sa->sin_family = AF_INET;
    sa->sin_addr = *at;
    e->sa_len = sizeof *sa;
    inet_ntop(AF_INET, at, e->host, sizeof e->host);
}

/* The bracketed part: text[at..end) is what stands between '[' and ']'. */
static int read_v6(struct reader *r, size_t at, size_t end) {
    struct sockaddr_in6 *sa = (struct sockaddr_in6 *)&r->out->sa;
    char text[INET6_ADDRSTRLEN];
    size_t stop = at, zone;

    while (stop < end && r->text[stop] != '%') stop++;
    if (stop - at >= sizeof text) return bad(r, at, "no IPv6 address");
    memcpy(text, r->text + at, stop - at);
    text[stop - at] = 0;
    if (memchr(text, 0, stop - at) != NULL || inet_pton(AF_INET6, text, &sa->sin6_addr) != 1)
        return bad(r, at, "no IPv6 address between the brackets");
    sa->sin6_family = AF_INET6;
    r->out->sa_len = sizeof *sa;
    inet_ntop(AF_INET6, &sa->sin6_addr, r->out->host, sizeof r->out->host);
    if (stop == end) {
        if (IN6_IS_ADDR_LINKLOCAL(&sa->sin6_addr)) return bad(r, end, "a link-local address needs its zone: [%s%%eth0]", r->out->host);
        return 0;
    }
    zone = stop + 1;
    if (end - zone > 2 && r->text[zone] == '2' && r->text[zone + 1] == '5') zone += 2; /* %25eth0, RFC 6874 */
    if (!IN6_IS_ADDR_LINKLOCAL(&sa->sin6_addr)) return bad(r, stop, "a zone belongs to a link-local address (fe80::)");
    if (zone == end) return bad(r, stop, "the zone is missing after '%%'");
    if (end - zone >= sizeof r->out->zone) return bad(r, zone, "the zone is longer than %d characters", IF_NAMESIZE - 1);
    for (size_t i = zone; i < end; i++)
        if (r->text[i] <= ' ' || r->text[i] == 0x7f || strchr("%/:[]", r->text[i]) != NULL)
            return bad(r, i, "a zone is the name or number of a network interface");
    memcpy(r->out->zone, r->text + zone, end - zone);
    return 0;
}

/* The dot that may end a host name, as rules may have it, is no part of it. After a number it is a slip. */
static size_t without_dot(const struct reader *r, size_t at, size_t end) {
    size_t label = end - 1;

    if (end - at < 2 || r->text[end - 1] != '.') return end;
    while (label > at && r->text[label - 1] != '.') label--;
    return digit(r->text[label]) ? end : end - 1;
}

/* A host name or an IPv4 address in text[at..end). */
static int read_host(struct reader *r, size_t at, size_t end) {
    struct mw_endpoint *e = r->out;
    struct in_addr v4;
    size_t label = at;

    if (quad(r, at, end, &v4)) {
        put_v4(e, &v4);
        return 0;
    }
    end = without_dot(r, at, end);
    if (end - at > HOST_MAX) return bad(r, at, "a host name has at most %d characters", HOST_MAX);
    for (size_t i = at; i <= end; i++) {
        char c = i < end ? r->text[i] : '.';
        if (c == '.') {
            if (i == label) return bad(r, i, "an empty part in the host name");
            if (i - label > LABEL_MAX) return bad(r, label, "a part of a host name has at most %d characters", LABEL_MAX);
            if (r->text[label] == '-' || r->text[i - 1] == '-') return bad(r, label, "a part of a host name begins or ends with '-'");
            if (i < end) label = i + 1;
        } else if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        } else if (!((c >= 'a' && c <= 'z') || digit(c) || c == '-' || c == '_')) {
            if ((unsigned char)c >= 0x80) return bad(r, i, "a host name in letters beyond ASCII: write its xn-- form");
            return bad(r, i, "a host name has letters, digits, '-', '_' and '.'");
        }
        if (i < end) e->host[i - at] = c;
    }
    e->host[end - at] = 0;
    /* What getaddrinfo would read as a number in an odd spelling: 127.1, 0x7f000001, 0177.0.0.1. */
    if (digit(r->text[label])) {
        size_t i = label;
        int hex = end - label > 1 && r->text[label] == '0' && (r->text[label + 1] | 0x20) == 'x';
        while (i < end && digit(r->text[i])) i++;
        if (i == end || hex) return bad(r, at, "no IPv4 address: four numbers from 0 to 255 without leading zeros");
    }
    return 0;
}

/* host:port, from `at` to the end. */
static int read_host_port(struct reader *r, size_t at) {
    struct mw_endpoint *e = r->out;
    size_t host = at, end, colon;
    int rc, bracket = at < r->len && r->text[at] == '[';

    for (size_t i = at; i < r->len; i++) {
        if (r->text[i] == '/' || r->text[i] == '?' || r->text[i] == '#') return bad(r, i, "nothing may follow the port");
        if (r->text[i] == '@') return bad(r, i, "an address has no user name");
    }
    end = host;
    if (bracket) {
        while (end < r->len && r->text[end] != ']') end++;
        if (end == r->len) return bad(r, at, "'[' without ']'");
        colon = end + 1;
        host++;
    } else {
        while (end < r->len && r->text[end] != ':') end++;
        colon = end;
        if (colon < r->len && memchr(r->text + colon + 1, ':', r->len - colon - 1) != NULL)
            return bad(r, at, "an IPv6 address stands in brackets: [::1]:80");
    }
    if (host == end && !bracket)
        return bad(r, at, r->purpose == MW_TO_LISTEN ? "the host is missing; * is every interface" : "the host is missing");
    if (!bracket && end - host == 1 && r->text[host] == '*') {
        if (r->purpose != MW_TO_LISTEN) return bad(r, at, "* is an address to listen on only");
        e->any = 1;
        strcpy(e->host, "*");
        rc = 0;
    } else {
        rc = bracket ? read_v6(r, host, end) : read_host(r, host, end);
    }
    if (rc < 0) return rc;
    if (colon >= r->len) return bad(r, r->len, "the port is missing");
    if (r->text[colon] != ':') return bad(r, colon, "':' and the port come after ']'");
    if (colon + 1 == r->len) return bad(r, r->len, "the port is missing");
    e->port = number(r, colon + 1, r->len, 65535);
    if (e->port < 0) return bad(r, colon + 1, "a port is a number from %d to 65535", r->purpose == MW_TO_CONNECT);
    if (e->port == 0 && r->purpose == MW_TO_CONNECT) return bad(r, colon + 1, "port 0 is for listening only");
    put_port(e);
    return 0;
}

static int read_unix(struct reader *r, size_t at) {
    size_t n = r->len - at;

    if (n == 0) return bad(r, at, "the path is missing");
    if (r->text[at] == '@') {
        if (n == 1) return bad(r, at + 1, "the name is missing after '@'");
        if (n - 1 > (size_t)ABSTRACT_MAX) return bad(r, at + 1, "an abstract name has at most %d bytes", ABSTRACT_MAX);
    } else if (n > 2 && memcmp(r->text + at, "//", 2) == 0 && r->text[at + 2] != '/') {
        return bad(r, at, "write unix:/path, with one slash");
    } else if (r->text[r->len - 1] == '/') {
        return bad(r, r->len - 1, "a directory is no socket");
    }
    if (n >= sizeof r->out->path) return bad(r, at, "a path has at most %d bytes", PATH_MAX - 1);
    memcpy(r->out->path, r->text + at, n);
    r->out->path[n] = 0;
    return 0;
}

int mw_endpoint_parse(const char *text, size_t len, enum mw_purpose purpose, const char *op, struct mw_endpoint *out,
                      struct mw_err *err) {
    struct reader r = {text, op, len, purpose, out, err};
    const char *nul = len > 0 ? memchr(text, 0, len) : NULL;

    memset(out, 0, sizeof *out);
    out->fd = -1;
    if (nul != NULL) return bad(&r, (size_t)(nul - text), "a NUL byte");
    if (starts(&r, "tcp://") || starts(&r, "tls://")) {
        out->scheme = text[1] == 'c' ? MW_SCHEME_TCP : MW_SCHEME_TLS;
        return read_host_port(&r, 6);
    }
    if (starts(&r, "unix:")) {
        out->scheme = MW_SCHEME_UNIX;
        return read_unix(&r, 5);
    }
    if (starts(&r, "fd:")) {
        out->scheme = MW_SCHEME_FD;
        out->fd = number(&r, 3, len, 1 << 20);
        return out->fd < 0 ? bad(&r, 3, "a descriptor is a number, as in fd:3") : 0;
    }
    if (starts(&r, "stdio:")) {
        out->scheme = MW_SCHEME_STDIO;
        return len == 6 ? 0 : bad(&r, 6, "nothing may follow stdio:");
    }
    if (starts(&r, "nats://")) return bad(&r, 0, "nats:// is an address of the bus, not of a stream");
    if (starts(&r, "/") || starts(&r, "./") || starts(&r, "@")) return bad(&r, 0, "a Unix socket is written unix:PATH");
    if (starts(&r, "tcp:") || starts(&r, "tls:")) return bad(&r, 4, "\"//\" comes after the scheme");
    return bad(&r, 0, "it begins with tcp://, tls://, unix:, fd: or stdio:");
}

void mw_endpoint_host_port(const char *host, int port, char *out, size_t size) {
    snprintf(out, size, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port);
}

void mw_endpoint_text(const struct mw_endpoint *at, char *out) {
    char host[sizeof at->host + IF_NAMESIZE + 1];

    switch (at->scheme) {
    case MW_SCHEME_TCP:
    case MW_SCHEME_TLS:
        snprintf(host, sizeof host, "%s%s%s", at->host, at->zone[0] ? "%" : "", at->zone);
        memcpy(out, at->scheme == MW_SCHEME_TCP ? "tcp://" : "tls://", 6);
        mw_endpoint_host_port(host, at->port, out + 6, MW_ENDPOINT_TEXT - 6);
        break;
    case MW_SCHEME_UNIX: snprintf(out, MW_ENDPOINT_TEXT, "unix:%s", at->path); break;
    case MW_SCHEME_FD: snprintf(out, MW_ENDPOINT_TEXT, "fd:%d", at->fd); break;
    case MW_SCHEME_STDIO: snprintf(out, MW_ENDPOINT_TEXT, "stdio:"); break;
    }
}

static int from_unix(const struct sockaddr_un *un, socklen_t len, struct mw_endpoint *out) {
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t n = len > head ? len - head : 0;

    out->scheme = MW_SCHEME_UNIX;
    if (n > 0 && un->sun_path[0] == 0) { /* abstract: the rest of the length is the name */
        if (memchr(un->sun_path + 1, 0, n - 1) != NULL) return MW_EINVAL;
        out->path[0] = '@';
        memcpy(out->path + 1, un->sun_path + 1, n - 1);
        out->path[n] = 0;
        return 0;
    }
    memcpy(out->path, un->sun_path, n);
    out->path[n] = 0;
    return 0;
}

int mw_endpoint_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct mw_endpoint *out) {
    memset(out, 0, sizeof *out);
    out->fd = -1;
    if (len > sizeof out->sa) return MW_EINVAL;
    if (sa->sa_family == AF_UNIX) return from_unix((const struct sockaddr_un *)sa, len, out);
    if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6) return MW_EINVAL;
    out->scheme = MW_SCHEME_TCP;
    memcpy(&out->sa, sa, len);
    out->sa_len = len;
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&out->sa;
        if (v4->sin_addr.s_addr == htonl(INADDR_ANY)) v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->sa;
        if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) v6->sin6_addr = in6addr_loopback;
        if (v6->sin6_scope_id != 0) snprintf(out->zone, sizeof out->zone, "%u", (unsigned)v6->sin6_scope_id);
        v6->sin6_scope_id = 0;
    }
    out->port = mw_endpoint_sockaddr_host((struct sockaddr *)&out->sa, out->host, sizeof out->host);
    return 0;
}

int mw_endpoint_sockaddr_host(const struct sockaddr *sa, char *out, size_t size) {
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
        inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)size);
        return ntohs(v4->sin_port);
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, out, (socklen_t)size);
        } else {
            inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)size);
            if (v6->sin6_scope_id != 0) {
                size_t n = strlen(out);
                snprintf(out + n, size - n, "%%%u", (unsigned)v6->sin6_scope_id);
            }
        }
        return ntohs(v6->sin6_port);
    }
    if (size > 0) out[0] = 0;
    return -1;
}
