/* A certificate that vouches for itself, and its key, as PEM: made on the spot.
 * Knows: OpenSSL. Never: a file. */
#ifndef SPEC_SUPPORT_TLS_CERT_H
#define SPEC_SUPPORT_TLS_CERT_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct tls_cert {
    char cert[8192], key[2048];
};

static void tls_cert_text(BIO *bio, char *out, size_t size) {
    int n = BIO_read(bio, out, (int)size - 1);
    out[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

/* key: of any kind, taken. from, to: seconds from now. Aborts when OpenSSL will not. */
static void tls_cert_make_of(EVP_PKEY *key, struct tls_cert *c, const char *name, const char *sans, long from, long to) {
    X509 *x = X509_new();
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, sans);
    BIO *cert = BIO_new(BIO_s_mem()), *pem = BIO_new(BIO_s_mem());

    if (key == NULL || x == NULL || ext == NULL || cert == NULL || pem == NULL) abort();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), from);
    X509_gmtime_adj(X509_getm_notAfter(x), to);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    X509_add_ext(x, ext, -1);
    if (X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_sha256()) == 0) abort();
    PEM_write_bio_X509(cert, x);
    PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
    tls_cert_text(cert, c->cert, sizeof c->cert);
    tls_cert_text(pem, c->key, sizeof c->key);
    X509_EXTENSION_free(ext);
    X509_free(x);
    EVP_PKEY_free(key);
}

static inline void tls_cert_make(struct tls_cert *c, const char *name, const char *sans, long from, long to) {
    tls_cert_make_of(EVP_EC_gen("P-256"), c, name, sans, from, to);
}

#endif
