/* What a TLS session came to, and who the peer is.
 * Knows: wire/tls_parts, OpenSSL. Never: trusts a name in a certificate to be text without NUL. */
#include "wire/tls_parts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SANS_MAX (64 * 1024)     /* bytes of all of them that are told */

void mw_tls_about_it(mw_tls *t, struct mw_tls_about *out) {
    const unsigned char *alpn = NULL;
    const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    unsigned len = 0;

    memset(out, 0, sizeof *out);
    out->version = SSL_get_version(t->ssl);
    out->cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(t->ssl));
    out->resumed = SSL_session_reused(t->ssl);
    SSL_get0_alpn_selected(t->ssl, &alpn, &len);
    if (len > 0 && len <= MW_TLS_NAME_MAX) memcpy(out->alpn, alpn, len);
    if (name != NULL) snprintf(out->server_name, sizeof out->server_name, "%s", name);
}

static int san_text(const GENERAL_NAME *g, struct mw_bytes *out) {
    const char *kind = g->type == GEN_DNS ? "DNS:" : g->type == GEN_EMAIL ? "email:" : "URI:";
    char ip[INET6_ADDRSTRLEN + 4] = "IP:";
    int len;

    if (g->type == GEN_IPADD) {
        len = ASN1_STRING_length(g->d.iPAddress);
        if (len != 4 && len != 16) return 0;
        inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(g->d.iPAddress), ip + 3, sizeof ip - 3);
        return mw_bytes_add(out, ip, strlen(ip) + 1);
    }
    if (g->type != GEN_DNS && g->type != GEN_EMAIL && g->type != GEN_URI) return 0;
    len = ASN1_STRING_length(g->d.ia5);
    if (len <= 0 || memchr(ASN1_STRING_get0_data(g->d.ia5), 0, (size_t)len) != NULL) return 0;
    if (mw_bytes_len(out) + (size_t)len > SANS_MAX) return 0;
    if (mw_bytes_add(out, kind, strlen(kind)) < 0 || mw_bytes_add(out, ASN1_STRING_get0_data(g->d.ia5), (size_t)len) < 0) return MW_ENOMEM;
    return mw_bytes_add(out, "", 1);
}

static int sans_of(X509 *cert, char **out) {
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    struct mw_bytes text = { 0 };
    int rc = 0;

    for (int i = 0; rc == 0 && i < sk_GENERAL_NAME_num(all); i++) rc = san_text(sk_GENERAL_NAME_value(all, i), &text);
    if (rc == 0) rc = mw_bytes_add(&text, "", 1);
    GENERAL_NAMES_free(all);
    if (rc < 0) {
        mw_bytes_free(&text);
        return rc;
    }
    *out = text.base;            /* it begins there: nothing was consumed */
    return 0;
}

static int subject_of(X509 *cert, char **out) {
    BIO *text = BIO_new(BIO_s_mem());
    char *at;
    long len;

    if (text == NULL) return MW_ENOMEM;
    X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    len = BIO_get_mem_data(text, &at);
    *out = strndup(at != NULL ? at : "", len > 0 ? (size_t)len : 0);
    BIO_free(text);
    return *out != NULL ? 0 : MW_ENOMEM;
}

int mw_tls_peer_of(mw_tls *t, struct mw_tls_peer *out) {
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int rc;

    memset(out, 0, sizeof *out);
    ERR_clear_error();
    if (cert == NULL) return 0;
    if (X509_digest(cert, EVP_sha256(), digest, &n) != 1) n = 0;
    for (unsigned i = 0; i < n && i < 32; i++) snprintf(out->fingerprint + 2 * i, 3, "%02x", digest[i]);
    rc = subject_of(cert, &out->subject);
    if (rc == 0) rc = sans_of(cert, &out->sans);
    if (rc < 0) {
        free(out->subject);
        out->subject = NULL;
    }
    ERR_clear_error();
    return rc < 0 ? rc : 1;
}
