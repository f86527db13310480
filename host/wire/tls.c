/* A TLS session between two queues of bytes.
 * Knows: wire/tls_parts, OpenSSL. Never: a socket; grows `out` by more than it was asked for, save for what the protocol must say. */
#include "wire/tls_parts.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Handshake ------------------------------------------------------------------------------------------------------------ */

/* The record layer has what it needs, or says what it lacks. 1: go on; 0: more must come; <0. */
static int verdict(mw_tls *t, int ret, struct mw_err *err) {
    if (SSL_get_error(t->ssl, ret) == SSL_ERROR_WANT_READ && !t->ended) return 0;
    return mw_tls_fail(t, ret, err);
}

static int again(const mw_tls *t, struct mw_err *err) {
    if (err != NULL) *err = t->why;
    return t->broken;
}

static int shake(mw_tls *t, struct mw_err *err) {
    int ret;

    if (t->shaken) return 1;
    if (t->broken != 0) return again(t, err);
    ERR_clear_error();
    ret = SSL_do_handshake(t->ssl);
    if (ret != 1) return verdict(t, ret, err);
    t->shaken = 1;
    return 1;
}

/* ---- Reading and writing -------------------------------------------------------------------------------------------------- */

/* A ticket or new keys had OpenSSL make a buffer to write, 16 KiB that it kept until it was used. In the middle of a record it would
 * give away what it goes on to use, before 3.0.14 (CVE-2024-4741). */
static void give_back(mw_tls *t) {
    if (strcmp(SSL_rstate_string(t->ssl), "RH") == 0) SSL_free_buffers(t->ssl);
}

static long take(mw_tls *t, char *at, size_t n, struct mw_err *err) {
    size_t got = 0, done = 0;
    int ret, rc;

    if (t->broken != 0) return again(t, err);
    rc = shake(t, err);
    if (rc <= 0) return rc;
    ERR_clear_error();
    while (done < n && (ret = SSL_read_ex(t->ssl, at + done, n - done, &got)) == 1) done += got;
    if (done > 0) t->heard = 1;
    if (done == n) return (long)done;
    rc = SSL_get_error(t->ssl, ret);
    if (rc == SSL_ERROR_ZERO_RETURN) return done > 0 ? (long)done : MW_EEOF;
    rc = verdict(t, ret, done > 0 ? NULL : err); /* told now or never: OpenSSL has forgotten it by the next call */
    if (rc == 0) give_back(t);
    return done > 0 ? (long)done : rc;
}

static long give(mw_tls *t, const char *at, size_t n, struct mw_err *err) {
    size_t sent = 0;
    int ret;

    if (t->broken != 0) return again(t, err);
    if (!t->shaken || n == 0) return 0;
    if (t->bid) return mw_err_set(err, MW_ECLOSED, "tls write", NULL, NULL);
    ERR_clear_error();
    ret = SSL_write_ex(t->ssl, at, n, &sent);
    if (ret != 1) return mw_tls_fail(t, ret, err);
    return (long)sent;
}

static void bye(mw_tls *t) {
    if (t->bid || t->broken != 0 || !t->shaken) return;
    t->bid = 1;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    ERR_clear_error();
}

static void end(mw_tls *t) {
    t->ended = 1;
}

static int holds(mw_tls *t) {
    const unsigned char *at = (const unsigned char *)mw_bytes_at(t->in);
    size_t held = mw_bytes_len(t->in);

    if (t->broken != 0) return 0;
    if (SSL_pending(t->ssl) > 0) return 1;
    if (held == 0) return 0;
    if (SSL_has_pending(t->ssl)) return 1;       /* the head of a record is inside already */
    return held >= 5 && held - 5 >= (size_t)(at[3] << 8 | at[4]);
}

static int unanswered(mw_tls *t) {
    return !t->context->server && t->shaken && !t->heard && SSL_version(t->ssl) >= TLS1_3_VERSION;
}

static int update_key(mw_tls *t) {
    ERR_clear_error();
    return SSL_key_update(t->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(t->ssl) == 1 ? 0 : MW_ETLS;
}

static int binding(mw_tls *t, unsigned char out[MW_TLS_BINDING]) {
    static const char label[] = "EXPORTER-Channel-Binding";

    if (SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get_extms_support(t->ssl) != 1) return MW_ETLS;
    ERR_clear_error();
    return SSL_export_keying_material(t->ssl, out, MW_TLS_BINDING, label, sizeof label - 1, NULL, 0, 0) == 1 ? 0 : MW_ETLS;
}

/* ---- Life ----------------------------------------------------------------------------------------------------------------- */

static void session_close(mw_tls *t) {
    if (t == NULL) return;
    if (t->ssl != NULL) {
        /* Else the session would count as one that broke, and could not be resumed. */
        if (t->broken == 0) SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(t->ssl);
    }
    ERR_clear_error();
    mw_tls_context_drop(t->context);
    free(t->who);
    free(t);
}

static int is_address(const char *name) {
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);

    ASN1_OCTET_STRING_free(ip);
    return ip != NULL;
}

/* Whom a client means to reach: the certificate must say so, and a session with it may be resumed. */
static int aim(mw_tls *t, const char *server_name, int port, struct mw_err *err) {
    X509_VERIFY_PARAM *want = SSL_get0_param(t->ssl);
    size_t len = strlen(server_name), size = len + 16;
    char name[MW_TLS_NAME_MAX + 1];
    int address, ok;
    SSL_SESSION *before;

    if (len > MW_TLS_NAME_MAX || len == 0) return mw_tls_refuse(MW_EINVAL, "server_name: 1 to 255 bytes", err);
    if (*server_name == '.') return mw_tls_refuse(MW_EINVAL, "server_name: no name of a server", err); /* to OpenSSL: whatever ends so */
    memcpy(name, server_name, len + 1);
    if (name[len - 1] == '.') name[len - 1] = '\0'; /* neither asked for so nor certified (RFC 6066, 3) */
    address = is_address(name);
    if (!address && SSL_set_tlsext_host_name(t->ssl, name) != 1) return mw_tls_refuse(MW_ENOMEM, NULL, err);
    if (!t->context->insecure) {
        X509_VERIFY_PARAM_set_hostflags(want, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        ok = address ? X509_VERIFY_PARAM_set1_ip_asc(want, name) : X509_VERIFY_PARAM_set1_host(want, name, 0);
        if (ok != 1) return mw_tls_refuse(MW_EINVAL, "server_name: no name of a server", err);
    }
    t->who = malloc(size);
    if (t->who == NULL) return mw_tls_refuse(MW_ENOMEM, NULL, err);
    snprintf(t->who, size, "%s:%d", name, port);
    before = mw_tls_recall(t->context, t->who);
    if (before != NULL) SSL_set_session(t->ssl, before);
    return 0;
}

static int session_open(mw_tls_context *c, const char *server_name, int port, struct mw_bytes *in, struct mw_bytes *out, mw_tls **tls,
                        struct mw_err *err) {
    mw_tls *t = calloc(1, sizeof *t);
    BIO *wire;
    int rc;

    ERR_clear_error();
    if (t == NULL) return mw_tls_refuse(MW_ENOMEM, NULL, err);
    mw_tls_context_keep(c);
    t->context = c;
    t->in = in;
    t->out = out;
    t->ssl = SSL_new(c->ssl);
    wire = t->ssl != NULL ? BIO_new(c->wire) : NULL;
    if (wire == NULL) {
        rc = mw_tls_refuse(MW_ENOMEM, NULL, err);
        goto failed;
    }
    BIO_set_data(wire, t);
    BIO_set_init(wire, 1);
    SSL_set_bio(t->ssl, wire, wire);             /* takes it */
    SSL_set_app_data(t->ssl, t);
    if (c->server) SSL_set_accept_state(t->ssl);
    else SSL_set_connect_state(t->ssl);
    rc = server_name != NULL && !c->server ? aim(t, server_name, port, err) : 0;
    if (rc < 0) goto failed;
    *tls = t;
    return 0;
failed:
    session_close(t);
    return rc;
}

__attribute__((visibility("default"))) const struct mw_tls_calls mw_tls_calls = {
    .context_new = mw_tls_context_new,
    .context_keep = mw_tls_context_keep,
    .context_drop = mw_tls_context_drop,
    .thread_rest = OPENSSL_thread_stop,
    .open = session_open,
    .close = session_close,
    .end = end,
    .shake = shake,
    .read = take,
    .write = give,
    .bye = bye,
    .holds = holds,
    .unanswered = unanswered,
    .about = mw_tls_about_it,
    .peer = mw_tls_peer_of,
    .update_key = update_key, .binding = binding,
};
