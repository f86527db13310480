/* The inside of the TLS engine, shared by its files.
 * Knows: wire/tls, OpenSSL. Never: included by anybody else. */
#ifndef MW_WIRE_TLS_PARTS_H
#define MW_WIRE_TLS_PARTS_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "wire/tls.h"

/* A session that a client may resume. */
struct mw_tls_kept {
    SSL_SESSION *session;
    char *who;                   /* "name:port" */
    unsigned used;               /* the context's clock when it was last of use */
};

/* A certificate, those above it, and its key. */
struct mw_tls_pair {
    X509 *cert;
    STACK_OF(X509) *chain;       /* or NULL */
    EVP_PKEY *key;
};

struct mw_tls_named {
    char *name;
    struct mw_tls_pair pair;
};

struct mw_tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *wire;
    unsigned refs;
    int server, insecure, fresh;
    size_t alpn_len;
    unsigned char *alpn;         /* as it is sent */
    unsigned clock, kept_count;
    struct mw_tls_kept *kept;    /* a client's; MW_TLS_SESSIONS of room once there is one */
    unsigned name_count;
    int named_only;              /* there is no certificate for other names */
    struct mw_tls_named *names;  /* a server's, by name */
};

struct mw_tls {
    SSL *ssl;
    mw_tls_context *context;
    struct mw_bytes *in, *out;
    unsigned ended : 1;          /* nothing will be added to `in` */
    unsigned shaken : 1;
    unsigned bid : 1;            /* bye was said */
    unsigned heard : 1;          /* something came after the handshake */
    unsigned greeted : 1;        /* a server: it was asked for a name, or for none */
    const struct mw_tls_named *named; /* whose certificate is shown; NULL: the main one */
    int broken;                  /* a code, for good */
    struct mw_err why;
    char *who;                   /* a client's "name:port"; NULL: no name */
};

/* tls_error.c: what went wrong, from OpenSSL's queue of errors (emptied). */
int mw_tls_fail(mw_tls *t, int ret, struct mw_err *err);
/* Of a context: `what` names the option. */
int mw_tls_refuse(int code, const char *what, struct mw_err *err);

/* tls_library.c: where algorithms are looked for. Lent, for good. Any thread, after OpenSSL was started; what is read there by a decoder
 * is a certificate: keys of ours are read in OpenSSL's own. */
OSSL_LIB_CTX *mw_tls_library(void);

/* tls_context.c */
SSL_SESSION *mw_tls_recall(mw_tls_context *c, const char *who);            /* lent; or NULL */
void mw_tls_remember(mw_tls_context *c, const char *who, SSL_SESSION *s);  /* s is taken */
int mw_tls_context_new(const struct mw_tls_options *opt, mw_tls_context **out, struct mw_err *err);
void mw_tls_context_keep(mw_tls_context *c);
void mw_tls_context_drop(mw_tls_context *c);

/* tls_pair.c: of the PEM in cert and key. 0, or a code and nothing is in *out. */
int mw_tls_pair_read(const struct mw_view *cert, const struct mw_view *key, const char *password, struct mw_tls_pair *out, struct mw_err *err);
void mw_tls_pair_free(struct mw_tls_pair *p);
/* Of why OpenSSL does not take a pair. */
int mw_tls_pair_refuse(struct mw_err *err);

/* tls_names.c */
int mw_tls_names_set(mw_tls_context *c, const struct mw_tls_options *opt, struct mw_err *err);
void mw_tls_names_free(mw_tls_context *c);

/* tls_peer.c */
void mw_tls_about_it(mw_tls *t, struct mw_tls_about *out);
int mw_tls_peer_of(mw_tls *t, struct mw_tls_peer *out);

#endif
