/* The library context that TLS works in: OpenSSL's default provider, but of its decoders only those that read a certificate's key, of
 * its kinds of keys only those that TLS has, and of its ciphers only those of modes that TLS has. OpenSSL 3.0 reads each certificate that
 * a peer shows with all decoders it knows, some forty, put in a chain anew each time with all kinds of keys, and goes through all it has
 * fetched, more than a hundred ciphers among it: that was a quarter of a client's handshake. The algorithms are the default provider's
 * own, called as it would call them.
 * Knows: wire/tls_parts, OpenSSL. Never: a provider from a file, OpenSSL's settings.
 *
 * There is one for the process, made once and never freed, as OpenSSL's own is: threads keep what they draw random numbers from by
 * its address, and give it back when they end. Nothing in it is anybody's: hosts share algorithms, and each has contexts, sessions and
 * authorities of its own. One for each host would be 260 KB and 1.2 ms for every worker. */
#include "wire/tls_parts.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <string.h>

enum { DECODERS = 8, KEYS = 16, CIPHERS = 64 };

static struct {
    CRYPTO_ONCE once;
    OSSL_PROVIDER *whole;                        /* the default provider, in a context of its own: the process's may hold others */
    OSSL_ALGORITHM decoders[DECODERS + 1], keys[KEYS + 1], ciphers[CIPHERS + 1];
    OSSL_LIB_CTX *context;                       /* NULL, which means OpenSSL's own: it could not be made */
} library = { .once = CRYPTO_ONCE_STATIC_INIT };

/* ---- The provider --------------------------------------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *on_query(void *provider, int operation, int *no_cache) {
    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_DECODER) return library.decoders;
    if (operation == OSSL_OP_KEYMGMT) return library.keys;
    if (operation == OSSL_OP_CIPHER) return library.ciphers;
    return OSSL_PROVIDER_query_operation(library.whole, operation, no_cache);
}

static int on_capabilities(void *provider, const char *what, OSSL_CALLBACK *each, void *arg) {
    (void)provider;
    return OSSL_PROVIDER_get_capabilities(library.whole, what, each, arg);
}

static int on_open(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider) {
    static const OSSL_DISPATCH calls[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))on_query },
        { OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))on_capabilities },
        { 0, NULL },
    };

    (void)handle;
    (void)in;
    *out = calls;
    *provider = OSSL_PROVIDER_get0_provider_ctx(library.whole);  /* what its algorithms are given */
    return 1;
}

/* ---- Making it ------------------------------------------------------------------------------------------------------------ */

static int reads_keys(const OSSL_ALGORITHM *a) {
    static const char *const keys[] = { "RSA", "RSA-PSS", "EC", "ED25519", "ED448" };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(a->algorithm_names, keys[i]) == 0) return strstr(a->property_definition, "structure=SubjectPublicKeyInfo") != NULL;
    }
    return 0;
}

/* Its names stand one after another, with colons between them. */
static int is_key_of_tls(const OSSL_ALGORITHM *a) {
    static const char *const kinds[] = { "RSA", "RSA-PSS", "EC", "ED25519", "ED448", "X25519", "X448", "DH", "HMAC" };
    size_t len = strcspn(a->algorithm_names, ":");

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i]) == len && memcmp(kinds[i], a->algorithm_names, len) == 0) return 1;
    }
    return 0;
}

static int is_of_tls(const OSSL_ALGORITHM *a) {
    static const char *const modes[] = { "GCM", "CCM", "CBC", "Poly1305" };

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strstr(a->algorithm_names, modes[i]) != NULL) return 1;
    }
    return 0;
}

/* Those that `want` wants; 0: none, or more than `most`. */
static int pick(int operation, int (*want)(const OSSL_ALGORITHM *a), OSSL_ALGORITHM *out, int most) {
    const OSSL_ALGORITHM *all;
    int no_cache, n = 0;

    all = OSSL_PROVIDER_query_operation(library.whole, operation, &no_cache);
    for (; all != NULL && all->algorithm_names != NULL; all++) {
        if (!want(all)) continue;
        if (n == most) return 0;
        out[n++] = *all;
    }
    return n > 0;
}

static void make(void) {
    OSSL_LIB_CTX *its = OSSL_LIB_CTX_new(), *made = NULL;
    int ok;

    library.whole = its != NULL ? OSSL_PROVIDER_load(its, "default") : NULL;
    ok = library.whole != NULL && pick(OSSL_OP_DECODER, reads_keys, library.decoders, DECODERS) &&
         pick(OSSL_OP_KEYMGMT, is_key_of_tls, library.keys, KEYS) && pick(OSSL_OP_CIPHER, is_of_tls, library.ciphers, CIPHERS);
    if (ok) made = OSSL_LIB_CTX_new();
    if (made != NULL && OSSL_PROVIDER_add_builtin(made, "moonwire", on_open) == 1 && OSSL_PROVIDER_load(made, "moonwire") != NULL) {
        library.context = made;
    } else {
        OSSL_LIB_CTX_free(made);
        OSSL_LIB_CTX_free(its);
    }
    ERR_clear_error();
}

OSSL_LIB_CTX *mw_tls_library(void) {
    return CRYPTO_THREAD_run_once(&library.once, make) == 1 ? library.context : NULL;
}
