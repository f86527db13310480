/* What went wrong in TLS, in words.
 * Knows: wire/tls_parts, OpenSSL. Never: shows what the peer sent. */
#include "wire/tls_parts.h"

#include <stdio.h>
#include <string.h>

#define OP "tls"

/* Each: the reason, and after its ':' what may help. */
static const struct { int code; const char *what; } certs[] = {
    { X509_V_ERR_CERT_HAS_EXPIRED, "expired: the peer's certificate, or one that vouches for it, is past its time" },
    { X509_V_ERR_CERT_NOT_YET_VALID, "not yet valid: the peer's certificate, or one that vouches for it, begins later" },
    { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed: nobody that is trusted here vouches for the peer's certificate" },
    { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "unknown authority: the one that vouches for the peer's certificate is not trusted here" },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "unknown authority: one that is trusted here vouches for the peer, but does not vouch for itself: "
                                            "those above it are wanted too" },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "unknown authority: nobody that is trusted here vouches for the peer's certificate" },
    { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "unknown authority: nobody that is trusted here vouches for the peer's certificate" },
    { X509_V_ERR_CERT_SIGNATURE_FAILURE, "unknown authority: the signature under the peer's certificate is not the authority's" },
    { X509_V_ERR_HOSTNAME_MISMATCH, "wrong name: the certificate is for another server (its subjectAltName counts, not its CN)" },
    { X509_V_ERR_IP_ADDRESS_MISMATCH, "wrong name: the certificate is not for this address" },
    { X509_V_ERR_CERT_REVOKED, "revoked: its authority has taken the peer's certificate back" },
    { X509_V_ERR_INVALID_PURPOSE, "wrong purpose: the peer's certificate is for other uses" },
    { X509_V_ERR_INVALID_CA, "unknown authority: a certificate vouches for the peer that may not" },
    { X509_V_ERR_CERT_CHAIN_TOO_LONG, "chain too long: too many certificates between the peer's and the authority" },
    { X509_V_ERR_EE_KEY_TOO_SMALL, "too weak: the key of the peer's certificate is too short" },
    { X509_V_ERR_CA_KEY_TOO_SMALL, "too weak: the key of an authority is too short" },
    { X509_V_ERR_CA_MD_TOO_WEAK, "too weak: a certificate is signed with a broken hash" },
};

static const struct { int reason, code; const char *what; } alerts[] = {
    { SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, MW_ECERT, "client certificate required: the client sent none" },
    { SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, MW_ECERT, "client certificate required: the server wants one; give cert and key" },
    { SSL_R_TLSV1_ALERT_UNKNOWN_CA, MW_ECERT, "refused by the peer: it knows nobody that vouches for our certificate" },
    { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, MW_ECERT, "refused by the peer: our certificate is bad" },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, MW_ECERT, "refused by the peer: our certificate has expired" },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, MW_ECERT, "refused by the peer: our certificate was revoked" },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, MW_ECERT, "refused by the peer: it does not accept our certificate" },
    { SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, MW_ECERT, "refused by the peer: our certificate is of a kind that it does not know" },
    { SSL_R_CALLBACK_FAILED, MW_ECERT, "unknown name: the client asks for one that server_names has not, or for none" },
    { SSL_R_TLSV1_UNRECOGNIZED_NAME, MW_ECERT, "unknown name: the server has no certificate for the name that it was asked for" },
    { SSL_R_TLSV1_ALERT_ACCESS_DENIED, MW_ECERT, "refused by the peer: access denied" },
    { SSL_R_WRONG_VERSION_NUMBER, MW_ETLS, "no TLS: what came is something else; is this the port for TLS?" },
    { SSL_R_HTTP_REQUEST, MW_ETLS, "plain HTTP: the peer asked without TLS; it needs https://" },
    { SSL_R_HTTPS_PROXY_REQUEST, MW_ETLS, "plain HTTP: the peer takes this for a proxy" },
    { SSL_R_UNSUPPORTED_PROTOCOL, MW_ETLS, "version: the peer speaks an older TLS than min_version" },
    { SSL_R_UNKNOWN_SSL_VERSION, MW_ETLS, "version: the peer speaks a TLS that nobody knows" },
    { SSL_R_VERSION_TOO_LOW, MW_ETLS, "version: the peer speaks an older TLS than min_version" },
    { SSL_R_NO_PROTOCOLS_AVAILABLE, MW_ETLS, "version: no version of TLS is left to both" },
    { SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, MW_ETLS, "version: the peer refuses our versions of TLS" },
    { SSL_R_NO_SHARED_CIPHER, MW_ETLS, "no common cipher: none of the client's is strong enough" },
    { SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, MW_ETLS, "no common cipher: the peer can check no signature of our certificate's kind" },
    { SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY, MW_ETLS, "no common cipher: the peer wants stronger ones" },
    { SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, MW_ETLS, "no common cipher: the peer finds nothing in our offer (or wants a certificate)" },
    { SSL_R_NO_APPLICATION_PROTOCOL, MW_ETLS, "no common protocol: none of the client's alpn is ours" },
    { SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, MW_ETLS, "no common protocol: the peer speaks none of our alpn" },
    { SSL_R_UNEXPECTED_EOF_WHILE_READING, MW_ETLS, "truncated: the connection ended without TLS's closing word; something may be missing" },
    { SSL_R_EXCESSIVE_MESSAGE_SIZE, MW_ETLS, "broken: the peer's handshake is larger than any may be" },
};

static int certificate(mw_tls *t, struct mw_err *err) {
    long code = SSL_get_verify_result(t->ssl);

    for (size_t i = 0; i < sizeof certs / sizeof *certs; i++) {
        if (certs[i].code == code) return mw_err_set(err, MW_ECERT, OP, NULL, certs[i].what);
    }
    return mw_err_setf(err, MW_ECERT, OP, NULL, "refused: %s", X509_verify_cert_error_string(code));
}

static int tell(mw_tls *t, unsigned long e, struct mw_err *err) {
    int reason = ERR_GET_REASON(e);
    const char *words = ERR_reason_error_string(e);

    if (ERR_GET_LIB(e) == ERR_LIB_SSL) {
        if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return certificate(t, err);
        for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
            if (reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE && t->shaken) break; /* no offer of ours: it wanted a second handshake */
            if (alerts[i].reason == reason) return mw_err_set(err, alerts[i].code, OP, NULL, alerts[i].what);
        }
        if (reason > SSL_AD_REASON_OFFSET) return mw_err_setf(err, MW_ETLS, OP, NULL, "alert: the peer says: %s", words != NULL ? words : "");
    }
    if (reason == ERR_R_MALLOC_FAILURE) return mw_err_set(err, MW_ENOMEM, OP, NULL, NULL);
    return mw_err_setf(err, MW_ETLS, OP, NULL, "broken: %s", words != NULL ? words : "the peer does not keep to TLS");
}

int mw_tls_fail(mw_tls *t, int ret, struct mw_err *err) {
    static const char early[] = "truncated: the connection ended within TLS's handshake";
    unsigned long e = ERR_peek_error();
    int bye = e == 0 && SSL_get_error(t->ssl, ret) == SSL_ERROR_ZERO_RETURN; /* the closing word, before there was anything to close */
    int cut = ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING;

    if (!t->shaken && ((e == 0 && t->ended) || bye || cut)) t->broken = mw_err_set(&t->why, MW_ETLS, OP, NULL, early);
    else if (e == 0) t->broken = mw_err_set(&t->why, MW_ENOMEM, OP, NULL, NULL); /* the wire takes all, while there is memory */
    else t->broken = tell(t, e, &t->why);
    ERR_clear_error();
    if (err != NULL) *err = t->why;
    return t->broken;
}

int mw_tls_refuse(int code, const char *what, struct mw_err *err) {
    unsigned long e = ERR_peek_last_error();
    const char *words = e != 0 && code == MW_ECERT && what != NULL && strchr(what, ':') == NULL ? ERR_reason_error_string(e) : NULL;

    if (words != NULL) mw_err_setf(err, code, OP, NULL, "bad certificate: %s: %s", what, words);
    else mw_err_set(err, code, OP, NULL, what);
    ERR_clear_error();
    return code;
}
