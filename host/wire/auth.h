/* Authentication by a shared secret: challenge and response in both directions, as an engine on bytes.
 * Knows: base; auth.c knows OpenSSL 3 (in moonwire-tls.so, which core/part opens). Never: a socket, a loop, Lua; a secret in an error.
 *
 * The protocol, for whoever speaks it from another language (spec/support/auth_client.py does). Each message:
 *
 *     bytes 0..3   "MWA1"
 *     byte  4      kind
 *     byte  5      0
 *     bytes 6..7   length of the body, big-endian
 *     then the body
 *
 *     kind 1  hello      client   nonce (32 random bytes), then the client's name (0 to 64 bytes of 0x21..0x7e)
 *     kind 2  challenge  server   nonce (32 random bytes)
 *     kind 3  proof      client   mac("mw-auth-1 client") (32 bytes)
 *     kind 4  welcome    server   mac("mw-auth-1 server") (32 bytes); the server's own words may follow at once
 *     kind 5  denied     server   "denied\n"; then it closes; also when it was not spoken to in this protocol, or too late
 *
 *     mac(label) = HMAC-SHA-256(secret, label (16 bytes) | client's nonce | server's nonce |
 *                               one byte: length of the name | name | one byte: length of the binding | binding)
 *
 * The client sends its hello at once, and nothing but its proof before the welcome. binding: on TLS the 32 bytes of the exporter
 * "EXPORTER-Channel-Binding" (RFC 9266), else empty.
 *
 * Why so: both nonces in both macs, so nothing of another connection is of use (replay); the label, so that neither end's answer serves
 * for the other's (reflection); the lengths, so that no two inputs make the same bytes (as in the transcripts of RFC 8446, 4.4.1). The
 * client proves first (as in SCRAM, RFC 5802): one that does not know the secret gets a random number and "denied", nothing to try
 * secrets on at home. A false server does get a proof to try secrets on, hence at least 16 bytes, which should be random ones. The
 * binding ties the proof to the TLS channel: who sits between two channels cannot pass proofs on (RFC 5056). Without TLS he can, and
 * then read and change what follows: this proves who is there at the beginning, TLS keeps it so. */
#ifndef MW_WIRE_AUTH_H
#define MW_WIRE_AUTH_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

typedef struct mw_auth_keys mw_auth_keys;
typedef struct mw_auth mw_auth;

enum {
    MW_AUTH_SECRET_MIN = 16,     /* bytes of a secret */
    MW_AUTH_SECRET_MAX = 1024,
    MW_AUTH_NAME_MAX = 64,       /* of a client's name */
    MW_AUTH_NONCE = 32,
    MW_AUTH_MAC = 32,
    MW_AUTH_BINDING_MAX = 64,
    MW_AUTH_KEYS_MAX = 4096,     /* secrets of one server */
    MW_AUTH_ROTATION_MAX = 8,    /* for one name (or for those without one) */
    MW_AUTH_HEADER = 8,
    MW_AUTH_MESSAGE_MAX = MW_AUTH_HEADER + MW_AUTH_NONCE + MW_AUTH_NAME_MAX
};

/* May it be a name, without its length? */
static inline int mw_auth_name_ok(const char *name, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (name[i] < 0x21 || name[i] > 0x7e) return 0;
    }
    return len <= MW_AUTH_NAME_MAX;
}

/* One secret. name NULL: of clients without a name, and of all when no secret has one. */
struct mw_auth_secret {
    const char *name;
    const char *at;
    size_t len;
};

/* What moonwire-tls.so exports as mw_auth_calls. Any thread, one at a time for each key ring and engine. */
struct mw_auth_calls {
    /* A key ring: the secrets, copied; they are wiped when the last reference goes. A client uses the first one. *out: given, one
     * reference. 0, MW_EINVAL (a length, a name, too many), MW_ENOMEM. */
    int (*keys_new)(const struct mw_auth_secret *secrets, size_t count, mw_auth_keys **out, struct mw_err *err);
    void (*keys_keep)(mw_auth_keys *k);
    void (*keys_drop)(mw_auth_keys *k);          /* NULL is fine */

    /* One connection's. Keeps the key ring. name: of a client, or NULL; copied. binding: copied. A client has something to send then. */
    int (*open)(mw_auth_keys *k, int server, const char *name, struct mw_view binding, mw_auth **out, struct mw_err *err);
    void (*close)(mw_auth *a);                   /* wipes it; NULL is fine */
    /* Consumes what came, no byte more than is its own. 1: the other end has proved that it knows the secret; 0: more must come;
     * MW_EAUTH: it has not, or talks something else (told by the first byte that shows it); MW_ENOMEM. Sticky. */
    int (*feed)(mw_auth *a, struct mw_bytes *in, struct mw_err *err);
    /* What is to be sent now, after open and after each feed; lent until the next call; then it is forgotten. */
    struct mw_view (*send)(mw_auth *a);
    /* The server's denial, of an engine or of none (static). */
    struct mw_view (*denial)(void);
    /* Server, after feed said 1: the client's name when its secret is that name's own, else NULL; lent. */
    const char *(*name)(const mw_auth *a);
};
extern const struct mw_auth_calls mw_auth_calls;

#endif
