/* A certificate and its key, read from text.
 * Knows: wire/tls_parts, OpenSSL. Never: a file; asks a person for a password. */
#include "wire/tls_parts.h"

#include <limits.h>
#include <openssl/pem.h>
#include <string.h>

static BIO *text_of(const struct mw_view *pem) {
    return pem->len > INT_MAX ? NULL : BIO_new_mem_buf(pem->at, (int)pem->len);
}

/* Asked for the password of an encrypted key; without one it is not asked for at the terminal. */
static int on_password(char *buf, int size, int writing, void *ud) {
    size_t n = ud != NULL ? strlen(ud) : 0;

    (void)writing;
    if (n == 0 || n > (size_t)size) return -1;
    memcpy(buf, ud, n);
    return (int)n;
}

static int is_encrypted(const struct mw_view *key) {
    return memmem(key->at, key->len, "ENCRYPTED", 9) != NULL;
}

/* There was no such block at all; else one that is broken. */
static int is_absent(void) {
    return ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static int read_chain(BIO *in, struct mw_tls_pair *out, struct mw_err *err) {
    X509 *one;

    while ((one = PEM_read_bio_X509(in, NULL, on_password, NULL)) != NULL) {
        if (out->chain == NULL) out->chain = sk_X509_new_null();
        if (out->chain != NULL && sk_X509_push(out->chain, one) > 0) continue;
        X509_free(one);
        return mw_tls_refuse(MW_ENOMEM, NULL, err);
    }
    return ERR_peek_last_error() != 0 && !is_absent() ? mw_tls_refuse(MW_ECERT, "cert, one of the chain", err) : 0;
}

static int read_cert(const struct mw_view *cert, struct mw_tls_pair *out, struct mw_err *err) {
    BIO *in = text_of(cert);
    int rc;

    out->cert = in != NULL ? PEM_read_bio_X509_AUX(in, NULL, on_password, NULL) : NULL;
    if (out->cert == NULL && !is_absent()) rc = mw_tls_refuse(MW_ECERT, "cert", err);
    else if (out->cert == NULL) rc = mw_tls_refuse(MW_ECERT, "no certificate: cert holds none in PEM (\"-----BEGIN CERTIFICATE-----\")", err);
    else rc = read_chain(in, out, err);
    BIO_free(in);
    return rc;
}

static int read_key(const struct mw_view *key, const char *password, struct mw_tls_pair *out, struct mw_err *err) {
    BIO *in = text_of(key);

    out->key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, on_password, (void *)(size_t)password) : NULL;
    BIO_free(in);
    if (out->key != NULL) return 0;
    if (!is_encrypted(key) && memmem(key->at, key->len, "PRIVATE KEY-----", 16) != NULL) {
        return mw_tls_refuse(MW_ECERT, "bad key: the private key is cut short, or of a kind that is not known", err);
    }
    if (!is_encrypted(key)) return mw_tls_refuse(MW_ECERT, "no key: key holds no private key in PEM (\"-----BEGIN PRIVATE KEY-----\")", err);
    return mw_tls_refuse(MW_ECERT, password != NULL ? "wrong password: key_password does not open the private key"
                                                    : "encrypted key: give its password as key_password", err);
}

int mw_tls_pair_read(const struct mw_view *cert, const struct mw_view *key, const char *password, struct mw_tls_pair *out, struct mw_err *err) {
    int rc;

    *out = (struct mw_tls_pair){ NULL, NULL, NULL };
    ERR_clear_error();
    rc = read_cert(cert, out, err);
    if (rc == 0) rc = read_key(key, password, out, err);
    ERR_clear_error();
    if (rc < 0) mw_tls_pair_free(out);
    return rc;
}

void mw_tls_pair_free(struct mw_tls_pair *p) {
    X509_free(p->cert);
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
    *p = (struct mw_tls_pair){ NULL, NULL, NULL };
}

int mw_tls_pair_refuse(struct mw_err *err) {
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_PRIVATE_KEY_MISMATCH) {
        return mw_tls_refuse(MW_ECERT, "wrong key: the private key is not that of the certificate, the first in cert", err);
    }
    return mw_tls_refuse(MW_ECERT, "cert", err);
}
