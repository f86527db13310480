/* Addresses as text: tcp://host:port, tls://host:port, unix:/path, unix:@abstract, fd:3, stdio:.
 * Knows: base, the shapes of socket addresses. Never: resolves, opens, asks; reads more than the text it was given. */
#ifndef MW_IO_ENDPOINT_H
#define MW_IO_ENDPOINT_H

#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"

enum mw_scheme { MW_SCHEME_TCP, MW_SCHEME_TLS, MW_SCHEME_UNIX, MW_SCHEME_FD, MW_SCHEME_STDIO };
enum mw_purpose { MW_TO_CONNECT, MW_TO_LISTEN };

#define MW_ENDPOINT_TEXT (PATH_MAX + 16)  /* bytes that hold any address as text */

/* An address, parsed. An open record. */
struct mw_endpoint {
    enum mw_scheme scheme;
    int port;                     /* tcp, tls: 0..65535; 0 only to listen */
    int fd;                       /* fd: the number */
    int any;                      /* tcp, tls to listen: "*", every interface, both families */
    socklen_t sa_len;             /* tcp, tls: 0 when host is a name; else sa is the address, port filled in */
    struct sockaddr_storage sa;   /* without its zone: an interface's number is the caller's to find */
    char zone[IF_NAMESIZE];       /* the zone of a link-local address ("eth0", "2"), or "" */
    char host[256];               /* tcp, tls: the name in lower case, or the address in its usual spelling, no brackets */
    char path[PATH_MAX];          /* unix: "/path", "relative/path" or "@name" */
};

/* Reads `text` (len bytes; need not end with a NUL). Strict: no user, path, query or spare characters; numbers only in
 * their usual spelling; names of letters, digits, '-', '_' and '.'.
 * op: for the error. Returns 0, or MW_EINVAL with what is wrong and the character it begins at; *out is then undefined. */
int mw_endpoint_parse(const char *text, size_t len, enum mw_purpose purpose, const char *op, struct mw_endpoint *out,
                      struct mw_err *err);

/* Writes it as text that mw_endpoint_parse reads back to the same; out has MW_ENDPOINT_TEXT bytes. */
void mw_endpoint_text(const struct mw_endpoint *at, char *out);

/* "host:port", IPv6 in brackets; out has `size` bytes, 320 suffice. */
void mw_endpoint_host_port(const char *host, int port, char *out, size_t size);

/* Fills host, port, zone-less sa from a socket address (AF_INET, AF_INET6, AF_UNIX). A wildcard address becomes loopback,
 * so that it can be connected to. Returns 0 or MW_EINVAL. */
int mw_endpoint_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct mw_endpoint *out);

/* The address alone: "127.0.0.1", "fe80::1%2"; an IPv4-mapped one as IPv4. Returns the port; -1 for another family.
 * out has at least INET6_ADDRSTRLEN + 16 bytes. */
int mw_endpoint_sockaddr_host(const struct sockaddr *sa, char *out, size_t size);

#endif
