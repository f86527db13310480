/* TLS 1.2 and 1.3 on memory: what came from the peer is read from one queue, what is to go to it is added to another.
 * Knows: base; tls*.c know OpenSSL 3 (in moonwire-tls.so, which core/part opens). Never: a socket, a loop, Lua; OpenSSL's settings file.
 *
 * A context holds what many sessions share: certificate, key, authorities, a client's sessions to resume. It may be made on any
 * thread (reading the system's authorities takes 20 ms) and is then one thread's at a time; it is counted.
 * A session is one connection. Its two queues are lent for its life: `in` is consumed as records are whole; `out` grows by what is
 * to be sent (handshake, records, alerts), after any call. The bound of `out` is the owner's business: it writes only what it wants
 * encrypted, and stops reading while `out` does not shrink.
 * Errors: MW_ECERT (a certificate: theirs, or ours at their end) and MW_ETLS (all else); err->what begins with the reason, up to its
 * first ':', and a program may compare that: "expired", "not yet valid", "unknown authority", "self-signed", "wrong name", "revoked",
 * "wrong purpose", "too weak", "chain too long", "client certificate required", "unknown name", "refused by the peer"; "no TLS",
 * "plain HTTP", "version", "no common cipher", "no common protocol", "truncated", "alert", "broken". */
#ifndef MW_WIRE_TLS_H
#define MW_WIRE_TLS_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

typedef struct mw_tls_context mw_tls_context;
typedef struct mw_tls mw_tls;

enum {
    MW_TLS_RECORD = 16 * 1024,   /* bytes of plaintext in one record, at most */
    MW_TLS_NAME_MAX = 255,       /* of a server's name, and of one protocol's */
    MW_TLS_SESSIONS = 256,       /* sessions that a client's context keeps for resumption */
    MW_TLS_BINDING = 32,         /* bytes of what names one session (RFC 9266) */
    MW_TLS_DEPTH = 10,           /* certificates between the peer's and an authority */
    MW_TLS_NAMES = 1024          /* names that a server has certificates for */
};

enum mw_tls_version { MW_TLS_1_2 = 0x0303, MW_TLS_1_3 = 0x0304 };

/* A certificate for who asks for a name. */
struct mw_tls_name {
    const char *name;            /* in lower case, without a dot at its end; "*.example.com": any one label before it, unless one is named */
    struct mw_view cert, key;
    const char *key_password;    /* or NULL */
};

/* All text is PEM, only read during the call; at NULL: not given. */
struct mw_tls_options {
    int server;
    struct mw_view cert;         /* our certificate, then those between it and the authority; a server with names: for who asks for another
                                  * name, or for none; not given: that one is refused */
    struct mw_view key;          /* its private key */
    const char *key_password;    /* of an encrypted key; or NULL */
    struct mw_view ca;           /* authorities that may vouch for the peer, and their lists of revoked certificates; a client without:
                                  * the system's; a server with: clients must have a certificate */
    int insecure;                /* a client that believes anybody */
    int fresh;                   /* a client that resumes nothing */
    int min_version;             /* enum mw_tls_version; 0: 1.2 */
    struct mw_view alpn;         /* protocols as they are sent: a byte of length before each */
    const struct mw_tls_name *names; /* a server's */
    unsigned name_count;
};

struct mw_tls_about {
    const char *version, *cipher;                 /* static text: "TLSv1.3", "TLS_AES_128_GCM_SHA256" */
    char alpn[MW_TLS_NAME_MAX + 1];               /* or "" */
    char server_name[MW_TLS_NAME_MAX + 1];        /* what the client asked for; or "" */
    int resumed;
};

/* Whose certificate the peer has. */
struct mw_tls_peer {
    char fingerprint[65];        /* SHA-256 in hex, "" without a certificate */
    char *subject;               /* "CN=a,O=b"; NULL without; given: free both */
    char *sans;                  /* "DNS:a", "IP:::1", "URI:...", "email:...", each with its NUL, then an empty one */
};

/* What moonwire-tls.so exports as mw_tls_calls. */
struct mw_tls_calls {
    /* *out: given, one reference. 0, MW_EINVAL (what is wrong with which of them), MW_ECERT, MW_ETLS or MW_ENOMEM. Any thread. */
    int (*context_new)(const struct mw_tls_options *opt, mw_tls_context **out, struct mw_err *err);
    void (*context_keep)(mw_tls_context *c);
    void (*context_drop)(mw_tls_context *c);
    void (*thread_rest)(void);                    /* gives back what OpenSSL holds for this thread, which may not call again */

    /* server_name: of a client: what the certificate must say, a name or an address; NULL: none. port: with the name, whose sessions
     * may be resumed. Keeps the context. */
    int (*open)(mw_tls_context *c, const char *server_name, int port, struct mw_bytes *in, struct mw_bytes *out, mw_tls **tls, struct mw_err *err);
    void (*close)(mw_tls *t);                     /* NULL is fine; sends nothing */
    /* No more will come than is in `in`. */
    void (*end)(mw_tls *t);
    /* Goes on with the handshake. 1: done; 0: more must come; <0. */
    int (*shake)(mw_tls *t, struct mw_err *err);
    /* Decrypts into at[0..n). Bytes, 0: none yet; MW_EEOF: the peer has said that it ends; or a code, for good. Goes on with the
     * handshake where there is one. */
    long (*read)(mw_tls *t, char *at, size_t n, struct mw_err *err);
    /* Encrypts all of at[0..n): n, 0 (n is 0, or the handshake is not done), or a code, for good. */
    long (*write)(mw_tls *t, const char *at, size_t n, struct mw_err *err);
    /* Says that we end: nothing can be written after it. Safe to repeat. */
    void (*bye)(mw_tls *t);
    /* 1: read has something without more coming (a guess where a record holds no plaintext). */
    int (*holds)(mw_tls *t);
    /* 1: a client that has not yet been sent anything since its handshake: a session ticket may be on its way. */
    int (*unanswered)(mw_tls *t);
    void (*about)(mw_tls *t, struct mw_tls_about *out);
    int (*peer)(mw_tls *t, struct mw_tls_peer *out);              /* 1: it has one; 0: none; MW_ENOMEM */
    /* What both ends of this session know and no other session has: the exporter "EXPORTER-Channel-Binding" (RFC 9266). 0, or MW_ETLS:
     * the handshake is not done, or is an old one in which two sessions may have the same (TLS 1.2 without RFC 7627). */
    int (*binding)(mw_tls *t, unsigned char out[MW_TLS_BINDING]);
    int (*update_key)(mw_tls *t);                 /* asks the peer for new keys too; for tests. 0 or MW_ETLS */
};
extern const struct mw_tls_calls mw_tls_calls;

#endif
