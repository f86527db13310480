/* Which certificate a server shows: by the name that the client asks for.
 * Knows: wire/tls_parts, OpenSSL. Never: takes what a client sent for text: it is held against names of ours. */
#include "wire/tls_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- What is asked for ---------------------------------------------------------------------------------------------------- */

/* The name in a client's first message, in lower case and without a dot at its end: its length, 0: none. What OpenSSL will refuse for its
 * form is none. */
static size_t asked_for(SSL *ssl, char out[MW_TLS_NAME_MAX + 1]) {
    const unsigned char *at;
    size_t len, n;

    out[0] = '\0';
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &at, &len) != 1) return 0;
    if (len < 5 || at[2] != TLSEXT_NAMETYPE_host_name) return 0; /* a list of one: its length, the kind, the name's length */
    n = (size_t)at[3] << 8 | at[4];
    if (n > len - 5 || n > MW_TLS_NAME_MAX || memchr(at + 5, 0, n) != NULL) return 0;
    if (n > 0 && at[5 + n - 1] == '.') n--;
    for (size_t i = 0; i < n; i++) out[i] = (char)(at[5 + i] >= 'A' && at[5 + i] <= 'Z' ? at[5 + i] + 'a' - 'A' : at[5 + i]);
    out[n] = '\0';
    return n;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct mw_tls_named *)a)->name, ((const struct mw_tls_named *)b)->name);
}

static const struct mw_tls_named *find(const mw_tls_context *c, const char *name) {
    struct mw_tls_named key = { (char *)(size_t)name, { NULL, NULL, NULL } };

    return bsearch(&key, c->names, c->name_count, sizeof *c->names, by_name);
}

/* The name itself, else the one that has "*" for its first label: RFC 9525, 6.3. */
static const struct mw_tls_named *pick(const mw_tls_context *c, const char *name) {
    char wild[MW_TLS_NAME_MAX + 2] = "*";
    const char *rest = strchr(name, '.');
    const struct mw_tls_named *found;

    if (c->name_count == 0 || *name == '\0' || *name == '*') return NULL;
    found = find(c, name);
    if (found != NULL || rest == NULL || rest == name) return found;
    strcpy(wild + 1, rest);
    return find(c, wild);
}

/* ---- Showing it ----------------------------------------------------------------------------------------------------------- */

/* A ticket is taken only with the name that it was given for: whoever answers to one may not be let in as the guest of another. */
static int bind_sessions(SSL *ssl, const char *name, size_t len) {
    unsigned char id[1 + EVP_MAX_MD_SIZE] = "n";

    if (len < SSL_MAX_SID_CTX_LENGTH) { /* most: a hash would have to be looked up, for each handshake */
        memcpy(id + 1, name, len);
        return SSL_set_session_id_context(ssl, id, 1 + (unsigned)len);
    }
    id[0] = 'h';
    return EVP_Digest(name, len, id + 1, NULL, EVP_sha256(), NULL) == 1 && SSL_set_session_id_context(ssl, id, SSL_MAX_SID_CTX_LENGTH);
}

/* Before sessions are looked for. A second time where the client was asked to try again: with the same name. */
static int on_hello(SSL *ssl, int *alert, void *arg) {
    const mw_tls_context *c = arg;
    mw_tls *t = SSL_get_app_data(ssl);
    char name[MW_TLS_NAME_MAX + 1];
    size_t len = asked_for(ssl, name);
    const struct mw_tls_named *n = pick(c, name);

    *alert = SSL_AD_INTERNAL_ERROR;
    if (!bind_sessions(ssl, name, len)) return SSL_CLIENT_HELLO_ERROR;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    if (n == NULL && c->named_only) return SSL_CLIENT_HELLO_ERROR;
    *alert = SSL_AD_ILLEGAL_PARAMETER;
    if (t->greeted && n != t->named) return SSL_CLIENT_HELLO_ERROR;
    if (n != NULL && !t->greeted) {
        *alert = SSL_AD_INTERNAL_ERROR;
        SSL_certs_clear(ssl);    /* the main one may be of another kind, and would be shown to who prefers that */
        if (SSL_use_cert_and_key(ssl, n->pair.cert, n->pair.key, n->pair.chain, 1) != 1) return SSL_CLIENT_HELLO_ERROR;
    }
    t->greeted = 1;
    t->named = n;
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* We know the name: it stays with the session, and the client is told. */
static int on_name(SSL *ssl, int *alert, void *arg) {
    (void)ssl;
    (void)alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- Life ----------------------------------------------------------------------------------------------------------------- */

static int add(mw_tls_context *c, SSL *trial, const struct mw_tls_name *n, struct mw_err *err) {
    struct mw_tls_named *one = &c->names[c->name_count];
    int rc = mw_tls_pair_read(&n->cert, &n->key, n->key_password, &one->pair, err);

    if (rc < 0) return rc;
    c->name_count++;
    one->name = strdup(n->name);
    if (one->name == NULL) return mw_tls_refuse(MW_ENOMEM, NULL, err);
    SSL_certs_clear(trial);
    return SSL_use_cert_and_key(trial, one->pair.cert, one->pair.key, one->pair.chain, 1) == 1 ? 0 : mw_tls_pair_refuse(err);
}

static int add_all(mw_tls_context *c, const struct mw_tls_options *opt, struct mw_err *err) {
    struct mw_err why = { 0 };
    SSL *trial = SSL_new(c->ssl);
    int rc = 0;

    c->names = calloc(opt->name_count, sizeof *c->names);
    if (c->names == NULL || trial == NULL) rc = mw_tls_refuse(MW_ENOMEM, NULL, err);
    for (unsigned i = 0; rc == 0 && i < opt->name_count; i++) {
        const struct mw_tls_name *n = &opt->names[i];
        rc = n->cert.at == NULL || n->key.at == NULL ? mw_tls_refuse(MW_EINVAL, "cert goes with its key", &why) : add(c, trial, n, &why);
        if (rc < 0) mw_err_setf(err, rc, "tls", NULL, "%s (of server_names: \"%s\")", why.what, n->name);
    }
    SSL_free(trial);
    if (rc == 0) qsort(c->names, c->name_count, sizeof *c->names, by_name);
    return rc;
}

int mw_tls_names_set(mw_tls_context *c, const struct mw_tls_options *opt, struct mw_err *err) {
    SSL_CTX_set_client_hello_cb(c->ssl, on_hello, c);
    SSL_CTX_set_tlsext_servername_callback(c->ssl, on_name);
    c->named_only = opt->cert.at == NULL;
    if (opt->name_count > MW_TLS_NAMES) return mw_tls_refuse(MW_EINVAL, "server_names: at most 1024", err);
    return opt->name_count > 0 ? add_all(c, opt, err) : 0;
}

void mw_tls_names_free(mw_tls_context *c) {
    for (unsigned i = 0; i < c->name_count; i++) {
        mw_tls_pair_free(&c->names[i].pair);
        free(c->names[i].name);
    }
    free(c->names);
}
