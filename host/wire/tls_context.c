/* A TLS context: its settings, authorities, and the sessions that a client may resume.
 * Knows: wire/tls_parts, OpenSSL. Never: a file, save the system's authorities. */
#include "wire/tls_parts.h"

#include <limits.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

/* Fast where the processor knows AES; the others of TLS 1.3 are offered all the same. */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/* Of TLS 1.2 those that keep what was said secret also when the key becomes known later, and that notice each changed byte at once. */
#define SUITES_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define LEVEL 2                  /* of security: keys as strong as RSA of 2048 bits */
#define CERTS_MAX 4096           /* blocks of one text of authorities */

/* ---- The wire: a BIO over the session's queues ---------------------------------------------------------------------------- */

static int wire_read(BIO *b, char *at, int n) {
    mw_tls *t = BIO_get_data(b);
    size_t held = mw_bytes_len(t->in), some = n < 0 ? 0 : (size_t)n < held ? (size_t)n : held;

    BIO_clear_retry_flags(b);
    if (some > 0) {
        memcpy(at, mw_bytes_at(t->in), some);
        mw_bytes_consume(t->in, some);
        return (int)some;
    }
    if (t->ended) return 0;
    BIO_set_retry_read(b);
    return -1;
}

static int wire_write(BIO *b, const char *at, int n) {
    mw_tls *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    return n > 0 && mw_bytes_add(t->out, at, (size_t)n) == 0 ? n : -1;
}

static long wire_ctrl(BIO *b, int cmd, long num, void *ptr) {
    mw_tls *t = BIO_get_data(b);

    (void)num;
    (void)ptr;
    if (cmd == BIO_CTRL_EOF) return t->ended && mw_bytes_len(t->in) == 0;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static BIO_METHOD *wire_new(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "moonwire");

    if (m == NULL) return NULL;
    BIO_meth_set_read(m, wire_read);
    BIO_meth_set_write(m, wire_write);
    BIO_meth_set_ctrl(m, wire_ctrl);
    return m;
}

/* ---- Sessions to resume --------------------------------------------------------------------------------------------------- */

static void forget(struct mw_tls_kept *k) {
    SSL_SESSION_free(k->session);
    free(k->who);
    *k = (struct mw_tls_kept){ 0 };
}

static struct mw_tls_kept *find_kept(mw_tls_context *c, const char *who) {
    for (unsigned i = 0; i < c->kept_count; i++) {
        if (strcmp(c->kept[i].who, who) == 0) return &c->kept[i];
    }
    return NULL;
}

SSL_SESSION *mw_tls_recall(mw_tls_context *c, const char *who) {
    struct mw_tls_kept *k = find_kept(c, who);

    if (k == NULL) return NULL;
    k->used = ++c->clock;
    return SSL_SESSION_is_resumable(k->session) ? k->session : NULL;
}

/* A place for one more: a fresh one, or that which was of no use for longest. NULL: no memory. */
static struct mw_tls_kept *place(mw_tls_context *c) {
    unsigned oldest = 0;

    if (c->kept == NULL) c->kept = calloc(MW_TLS_SESSIONS, sizeof *c->kept);
    if (c->kept == NULL) return NULL;
    if (c->kept_count < MW_TLS_SESSIONS) return &c->kept[c->kept_count++];
    for (unsigned i = 1; i < c->kept_count; i++) {
        if (c->clock - c->kept[i].used > c->clock - c->kept[oldest].used) oldest = i;
    }
    forget(&c->kept[oldest]);
    return &c->kept[oldest];
}

void mw_tls_remember(mw_tls_context *c, const char *who, SSL_SESSION *s) {
    struct mw_tls_kept *k = find_kept(c, who);
    char *copy;

    if (k != NULL) {
        SSL_SESSION_free(k->session);
    } else {
        copy = strdup(who);
        k = copy != NULL ? place(c) : NULL;
        if (k == NULL) {
            free(copy);
            SSL_SESSION_free(s);
            return;
        }
        k->who = copy;
    }
    k->session = s;
    k->used = ++c->clock;
}

static int on_session(SSL *ssl, SSL_SESSION *s) {
    mw_tls *t = SSL_get_app_data(ssl);

    t->heard = 1;
    if (t->who == NULL || t->context->fresh) return 0;
    mw_tls_remember(t->context, t->who, s);
    return 1;                                    /* it is ours now */
}

/* ---- Protocols ------------------------------------------------------------------------------------------------------------ */

/* The first of ours that the client offers. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg) {
    const mw_tls_context *c = arg;
    unsigned char *picked;

    (void)ssl;
    if (SSL_select_next_proto(&picked, out_len, c->alpn, (unsigned)c->alpn_len, in, in_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = picked;
    return SSL_TLSEXT_ERR_OK;
}

static int set_alpn(mw_tls_context *c, const struct mw_view *alpn, struct mw_err *err) {
    size_t i = 0;

    if (alpn->len == 0) return 0;
    while (i < alpn->len && alpn->at[i] != 0) i += 1 + (unsigned char)alpn->at[i];
    if (i != alpn->len || alpn->len > 65535) return mw_tls_refuse(MW_EINVAL, "alpn: names of 1 to 255 bytes", err);
    c->alpn = malloc(alpn->len);
    if (c->alpn == NULL) return mw_tls_refuse(MW_ENOMEM, NULL, err);
    memcpy(c->alpn, alpn->at, alpn->len);
    c->alpn_len = alpn->len;
    if (c->server) SSL_CTX_set_alpn_select_cb(c->ssl, on_alpn, c);
    else if (SSL_CTX_set_alpn_protos(c->ssl, c->alpn, (unsigned)c->alpn_len) != 0) return mw_tls_refuse(MW_ENOMEM, NULL, err);
    return 0;
}

/* ---- Certificates --------------------------------------------------------------------------------------------------------- */

static int set_pair(mw_tls_context *c, const struct mw_tls_options *opt, struct mw_err *err) {
    struct mw_tls_pair pair;
    int rc = mw_tls_pair_read(&opt->cert, &opt->key, opt->key_password, &pair, err);

    if (rc < 0) return rc;
    if (SSL_CTX_use_cert_and_key(c->ssl, pair.cert, pair.key, pair.chain, 1) != 1) rc = mw_tls_pair_refuse(err);
    mw_tls_pair_free(&pair);
    return rc;
}

/* A text of authorities has no password. */
static int no_password(char *buf, int size, int writing, void *ud) {
    (void)buf;
    (void)size;
    (void)writing;
    (void)ud;
    return -1;
}

/* One block of the authorities' text. */
static int add_block(mw_tls_context *c, X509_STORE *store, const X509_INFO *block, int *certs) {
    if (block->x509 != NULL) {
        ++*certs;
        if (X509_STORE_add_cert(store, block->x509) != 1) return 0;
        if (c->server && SSL_CTX_add_client_CA(c->ssl, block->x509) != 1) return 0;
    }
    if (block->crl == NULL) return 1;
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return X509_STORE_add_crl(store, block->crl) == 1;
}

static int set_authorities(mw_tls_context *c, const struct mw_view *pem, struct mw_err *err) {
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
    BIO *in = pem->len > INT_MAX ? NULL : BIO_new_mem_buf(pem->at, (int)pem->len);
    STACK_OF(X509_INFO) *all = in != NULL ? PEM_X509_INFO_read_bio_ex(in, NULL, no_password, NULL, mw_tls_library(), NULL) : NULL;
    int certs = 0, n = sk_X509_INFO_num(all), ok = n <= CERTS_MAX;
    const char *none = c->server ? "no certificate: client_ca holds none in PEM" : "no certificate: ca holds none in PEM";
    const char *what = !ok ? "too many certificates: 4096 are the most" : c->server ? "client_ca" : "ca";
    int rc = 0;

    for (int i = 0; ok && i < n; i++) ok = add_block(c, store, sk_X509_INFO_value(all, i), &certs);
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    BIO_free(in);
    if (all == NULL || !ok) rc = mw_tls_refuse(MW_ECERT, what, err);
    else if (certs == 0) rc = mw_tls_refuse(MW_ECERT, none, err);
    ERR_clear_error();
    return rc;
}

static int set_trust(mw_tls_context *c, const struct mw_tls_options *opt, struct mw_err *err) {
    int rc = 0;

    SSL_CTX_set_verify_depth(c->ssl, MW_TLS_DEPTH);
    if (opt->ca.at != NULL) rc = set_authorities(c, &opt->ca, err);
    else if (!c->server && !c->insecure && SSL_CTX_set_default_verify_paths(c->ssl) != 1) rc = mw_tls_refuse(MW_ECERT, "the system's authorities", err);
    if (rc < 0) return rc;
    if (c->server && opt->ca.at != NULL) SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    else SSL_CTX_set_verify(c->ssl, c->server || c->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return 0;
}

/* ---- Life ----------------------------------------------------------------------------------------------------------------- */

static int set_basics(mw_tls_context *c, const struct mw_tls_options *opt, struct mw_err *err) {
    int min = opt->min_version != 0 ? opt->min_version : MW_TLS_1_2;

    SSL_CTX_set_security_level(c->ssl, LEVEL);
    if (SSL_CTX_set_min_proto_version(c->ssl, min) != 1 || SSL_CTX_set_ciphersuites(c->ssl, SUITES) != 1 ||
        SSL_CTX_set_cipher_list(c->ssl, SUITES_1_2) != 1) {
        return mw_tls_refuse(MW_ETLS, "version", err);
    }
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (c->server) { /* a client keeps its own session, in a ticket */
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(c->ssl, 1);
    } else {
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ssl, on_session);
    }
    return 0;
}

static int fill(mw_tls_context *c, const struct mw_tls_options *opt, struct mw_err *err) {
    int rc = set_basics(c, opt, err);

    if (rc == 0 && opt->cert.at == NULL && ((c->server && opt->name_count == 0) || opt->key.at != NULL)) {
        rc = mw_tls_refuse(MW_EINVAL, "cert is needed", err);
    }
    if (rc == 0 && opt->cert.at != NULL && opt->key.at == NULL) rc = mw_tls_refuse(MW_EINVAL, "cert goes with its key", err);
    if (rc == 0 && opt->cert.at != NULL) rc = set_pair(c, opt, err);
    if (rc == 0 && c->server) rc = mw_tls_names_set(c, opt, err);
    if (rc == 0) rc = set_trust(c, opt, err);
    if (rc == 0) rc = set_alpn(c, &opt->alpn, err);
    return rc;
}

int mw_tls_context_new(const struct mw_tls_options *opt, mw_tls_context **out, struct mw_err *err) {
    mw_tls_context *c;
    int rc;

    /* Never the settings file: the environment could name one, and it could name code to load. */
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1) return mw_tls_refuse(MW_ETLS, "OpenSSL did not start", err);
    ERR_clear_error();
    c = calloc(1, sizeof *c);
    if (c == NULL) return mw_tls_refuse(MW_ENOMEM, NULL, err);
    c->refs = 1;
    c->server = opt->server;
    c->insecure = opt->insecure;
    c->fresh = opt->fresh;
    c->wire = wire_new();
    c->ssl = SSL_CTX_new_ex(mw_tls_library(), NULL, opt->server ? TLS_server_method() : TLS_client_method());
    rc = c->wire == NULL || c->ssl == NULL ? mw_tls_refuse(MW_ENOMEM, NULL, err) : fill(c, opt, err);
    ERR_clear_error();
    if (rc < 0) mw_tls_context_drop(c);
    else *out = c;
    return rc;
}

void mw_tls_context_keep(mw_tls_context *c) {
    c->refs++;
}

void mw_tls_context_drop(mw_tls_context *c) {
    if (c == NULL || --c->refs > 0) return;
    for (unsigned i = 0; i < c->kept_count; i++) forget(&c->kept[i]);
    free(c->kept);
    mw_tls_names_free(c);
    SSL_CTX_free(c->ssl);
    BIO_meth_free(c->wire);
    free(c->alpn);
    free(c);
}
