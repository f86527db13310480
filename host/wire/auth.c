/* Authentication by a shared secret, as an engine on bytes: the protocol is told in wire/auth.h.
 * Knows: wire/auth.h, base, OpenSSL 3 (HMAC, random bytes, wiping). Never: a socket, a loop, Lua; a secret in an error or a log. */
#include "wire/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define OP "auth"
#define LABEL 16                 /* bytes */

enum kind { HELLO = 1, CHALLENGE, PROOF, WELCOME, DENIED };

static const unsigned char denied[] = { 'M', 'W', 'A', '1', DENIED, 0, 0, 7, 'd', 'e', 'n', 'i', 'e', 'd', '\n' };

struct key {
    char name[MW_AUTH_NAME_MAX + 1];
    unsigned char *at;               /* owned, wiped */
    size_t len;
};
struct mw_auth_keys {
    unsigned refs;
    unsigned widest;                 /* the most secrets of one name */
    int named;                       /* 1: some have a name */
    unsigned char nobody[32];        /* random: the secret of names that nobody has, so that they take as long */
    size_t count;
    struct key it[];
};

struct mw_auth {
    mw_auth_keys *keys;
    unsigned char server, awaits;     /* awaits: the kind of the next message; 0: done */
    unsigned char kind;              /* of the message that is under way; 0: its header is */
    unsigned body;                   /* bytes of its body */
    unsigned held;                   /* bytes of the message so far */
    unsigned char message[MW_AUTH_MESSAGE_MAX];
    unsigned char out[MW_AUTH_MESSAGE_MAX], out_len;
    unsigned char client_nonce[MW_AUTH_NONCE], server_nonce[MW_AUTH_NONCE];
    unsigned char name_len, binding_len;
    char name[MW_AUTH_NAME_MAX + 1];
    unsigned char binding[MW_AUTH_BINDING_MAX];
    int code;                        /* what it failed with */
};

/* ---- Key rings ------------------------------------------------------------------------------------------------------------ */

static void keys_keep(mw_auth_keys *k) {
    k->refs++;
}

static void keys_drop(mw_auth_keys *k) {
    if (k == NULL || --k->refs > 0) return;
    for (size_t i = 0; i < k->count; i++) OPENSSL_clear_free(k->it[i].at, k->it[i].len);
    OPENSSL_clear_free(k, sizeof *k + k->count * sizeof k->it[0]);
}

static int bad(struct mw_err *err, const char *what) {
    return mw_err_set(err, MW_EINVAL, OP, NULL, what);
}

static int check(const struct mw_auth_secret *s, struct mw_err *err) {
    if (s->len < MW_AUTH_SECRET_MIN)
        return mw_err_setf(err, MW_EINVAL, OP, NULL, "a secret has at least %d bytes, got %zu", MW_AUTH_SECRET_MIN, s->len);
    if (s->len > MW_AUTH_SECRET_MAX) return mw_err_setf(err, MW_EINVAL, OP, NULL, "a secret has at most %d bytes", MW_AUTH_SECRET_MAX);
    if (s->name != NULL && (s->name[0] == 0 || !mw_auth_name_ok(s->name, strlen(s->name))))
        return mw_err_setf(err, MW_EINVAL, OP, NULL, "a name has 1 to %d printable ASCII characters without spaces", MW_AUTH_NAME_MAX);
    return 0;
}

/* Counts how many secrets one name has. */
static int measure(mw_auth_keys *k, struct mw_err *err) {
    for (size_t i = 0; i < k->count; i++) {
        unsigned same = 1;
        if (k->it[i].name[0] != 0) k->named = 1;
        for (size_t j = i + 1; j < k->count && strcmp(k->it[i].name, k->it[j].name) == 0; j++) same++;
        if (same > k->widest) k->widest = same;
    }
    if (k->widest > MW_AUTH_ROTATION_MAX)
        return mw_err_setf(err, MW_EINVAL, OP, NULL, "at most %d secrets are valid at a time", MW_AUTH_ROTATION_MAX);
    return 0;
}

static int keys_new(const struct mw_auth_secret *secrets, size_t count, mw_auth_keys **out, struct mw_err *err) {
    mw_auth_keys *k;
    int rc = 0;

    if (count == 0) return bad(err, "a secret is needed");
    if (count > MW_AUTH_KEYS_MAX) return mw_err_setf(err, MW_EINVAL, OP, NULL, "at most %d secrets", MW_AUTH_KEYS_MAX);
    k = OPENSSL_zalloc(sizeof *k + count * sizeof k->it[0]);
    if (k == NULL) return mw_err_set(err, MW_ENOMEM, OP, NULL, NULL);
    k->refs = 1;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct key *key = &k->it[i];
        rc = check(&secrets[i], err);
        if (rc < 0) break;
        if (secrets[i].name != NULL) strcpy(key->name, secrets[i].name);
        key->at = OPENSSL_malloc(secrets[i].len);
        if (key->at == NULL) rc = mw_err_set(err, MW_ENOMEM, OP, NULL, NULL);
        else memcpy(key->at, secrets[i].at, secrets[i].len);
        key->len = secrets[i].len;
        k->count++;
    }
    if (rc == 0) rc = measure(k, err);
    if (rc == 0 && RAND_bytes(k->nobody, sizeof k->nobody) != 1) rc = mw_err_set(err, MW_ENOMEM, OP, NULL, "no random numbers");
    if (rc < 0) {
        keys_drop(k);
        return rc;
    }
    *out = k; /* given */
    return 0;
}

/* ---- Proofs --------------------------------------------------------------------------------------------------------------- */

/* 0 or MW_ENOMEM. role: "client" or "server". */
static int mac(const mw_auth *a, const unsigned char *secret, size_t len, const char *role, unsigned char out[MW_AUTH_MAC]) {
    unsigned char text[LABEL + 2 * MW_AUTH_NONCE + 2 + MW_AUTH_NAME_MAX + MW_AUTH_BINDING_MAX], *at = text;
    unsigned n = MW_AUTH_MAC;
    int ok;

    memcpy(at, "mw-auth-1 ", 10);
    memcpy(at + 10, role, 6);
    at += LABEL;
    memcpy(at, a->client_nonce, MW_AUTH_NONCE);
    memcpy(at + MW_AUTH_NONCE, a->server_nonce, MW_AUTH_NONCE);
    at += 2 * MW_AUTH_NONCE;
    *at++ = a->name_len;
    memcpy(at, a->name, a->name_len);
    at += a->name_len;
    *at++ = a->binding_len;
    memcpy(at, a->binding, a->binding_len);
    at += a->binding_len;
    ok = HMAC(EVP_sha256(), secret, (int)len, text, (size_t)(at - text), out, &n) != NULL && n == MW_AUTH_MAC;
    return ok ? 0 : MW_ENOMEM;
}

static void compose(mw_auth *a, enum kind kind, const void *body, size_t len) {
    const unsigned char header[MW_AUTH_HEADER] = { 'M', 'W', 'A', '1', (unsigned char)kind, 0, 0, (unsigned char)len };

    memcpy(a->out, header, sizeof header);
    memcpy(a->out + sizeof header, body, len);
    a->out_len = (unsigned char)(sizeof header + len);
}

static int fail(mw_auth *a, int code, struct mw_err *err, const char *what, const char *hint) {
    a->code = code;
    a->awaits = 0;
    mw_err_set(err, code, OP, NULL, what);
    if (hint != NULL) mw_err_hint(err, "%s", hint);
    return code;
}

/* The secret of the client's proof: each that may be its is tried, always as many, so that the time tells nothing. NULL: none, or no
 * memory (*rc). */
static const struct key *proved(mw_auth *a, const unsigned char *proof, int *rc) {
    const mw_auth_keys *k = a->keys;
    const struct key *match = NULL;
    const char *name = k->named ? a->name : "";
    unsigned tried = 0;
    unsigned char want[MW_AUTH_MAC];

    for (size_t i = 0; i < k->count && *rc == 0; i++) {
        if (strcmp(k->it[i].name, name) != 0) continue;
        *rc = mac(a, k->it[i].at, k->it[i].len, "client", want);
        tried++;
        if (*rc == 0 && CRYPTO_memcmp(want, proof, sizeof want) == 0) match = &k->it[i];
    }
    for (; tried < k->widest && *rc == 0; tried++) *rc = mac(a, k->nobody, sizeof k->nobody, "client", want);
    OPENSSL_cleanse(want, sizeof want);
    return *rc == 0 ? match : NULL;
}

static int take_hello(mw_auth *a, const unsigned char *body, struct mw_err *err) {
    memcpy(a->client_nonce, body, MW_AUTH_NONCE);
    a->name_len = (unsigned char)(a->body - MW_AUTH_NONCE);
    memcpy(a->name, body + MW_AUTH_NONCE, a->name_len);
    if (RAND_bytes(a->server_nonce, MW_AUTH_NONCE) != 1) return fail(a, MW_ENOMEM, err, "no random numbers", NULL);
    compose(a, CHALLENGE, a->server_nonce, MW_AUTH_NONCE);
    a->awaits = PROOF;
    return 0;
}

static int take_challenge(mw_auth *a, const unsigned char *body, struct mw_err *err) {
    unsigned char proof[MW_AUTH_MAC];

    memcpy(a->server_nonce, body, MW_AUTH_NONCE);
    if (mac(a, a->keys->it[0].at, a->keys->it[0].len, "client", proof) < 0) return fail(a, MW_ENOMEM, err, NULL, NULL);
    compose(a, PROOF, proof, sizeof proof);
    a->awaits = WELCOME;
    return 0;
}

static int take_proof(mw_auth *a, const unsigned char *body, struct mw_err *err) {
    unsigned char welcome[MW_AUTH_MAC];
    int rc = 0;
    const struct key *key = proved(a, body, &rc);

    if (rc == 0 && key == NULL) return fail(a, MW_EAUTH, err, "it does not know the secret", NULL);
    if (rc == 0) rc = mac(a, key->at, key->len, "server", welcome);
    if (rc < 0) return fail(a, rc, err, NULL, NULL);
    compose(a, WELCOME, welcome, sizeof welcome);
    if (key->name[0] == 0) a->name[0] = 0; /* a name that no secret vouches for */
    a->awaits = 0;
    return 1;
}

static int take_welcome(mw_auth *a, const unsigned char *body, struct mw_err *err) {
    unsigned char want[MW_AUTH_MAC];
    int same;

    if (mac(a, a->keys->it[0].at, a->keys->it[0].len, "server", want) < 0) return fail(a, MW_ENOMEM, err, NULL, NULL);
    same = CRYPTO_memcmp(want, body, sizeof want) == 0;
    OPENSSL_cleanse(want, sizeof want);
    if (!same) return fail(a, MW_EAUTH, err, "the server did not prove that it knows the secret", NULL);
    a->awaits = 0;
    return 1;
}

/* ---- Messages ------------------------------------------------------------------------------------------------------------- */

static unsigned body_of(int kind) {
    return kind == DENIED ? 7 : MW_AUTH_NONCE;   /* a mac has as many; a hello may have more */
}

/* Is the byte at `i` of the message one that may stand there? */
static int may_stand(mw_auth *a, unsigned i, unsigned char c) {
    switch (i) {
    case 0: case 1: case 2: case 3: return c == denied[i];
    case 4: a->kind = c; return c == a->awaits || (!a->server && c == DENIED);
    case 5: case 6: return c == 0;
    case 7: a->body = c; return a->kind == HELLO ? c >= MW_AUTH_NONCE && c <= MW_AUTH_NONCE + MW_AUTH_NAME_MAX : c == body_of(a->kind);
    default: break;
    }
    if (a->kind == DENIED) return c == denied[i];
    return i < MW_AUTH_HEADER + MW_AUTH_NONCE || mw_auth_name_ok((const char *)&c, 1);
}

static int take(mw_auth *a, struct mw_err *err) {
    const unsigned char *body = a->message + MW_AUTH_HEADER;

    a->held = 0;
    switch (a->kind) {
    case HELLO: return take_hello(a, body, err);
    case CHALLENGE: return take_challenge(a, body, err);
    case PROOF: return take_proof(a, body, err);
    case WELCOME: return take_welcome(a, body, err);
    default: break;
    }
    return fail(a, MW_EAUTH, err, "the server did not accept this client", "is it the same secret, and the same name, at both ends?");
}

static int feed(mw_auth *a, struct mw_bytes *in, struct mw_err *err) {
    int rc = 0;

    if (a->code < 0) return fail(a, a->code, err, "it failed before", NULL);
    if (a->awaits == 0) return 1;
    a->out_len = 0;
    while (rc == 0 && mw_bytes_len(in) > 0) {
        unsigned char c = (unsigned char)*mw_bytes_at(in);
        if (!may_stand(a, a->held, c)) {
            return a->server ? fail(a, MW_EAUTH, err, "it does not speak this authentication", NULL)
                             : fail(a, MW_EAUTH, err, "the server does not speak this authentication", "does it listen with auth = mw.auth.hmac{...}?");
        }
        mw_bytes_consume(in, 1);
        a->message[a->held++] = c;
        if (a->held >= MW_AUTH_HEADER && a->held == MW_AUTH_HEADER + a->body) rc = take(a, err);
        if (a->out_len > 0 && rc == 0) break; /* to be sent before more is taken */
    }
    return rc;
}

/* ---- Engines -------------------------------------------------------------------------------------------------------------- */

static void engine_close(mw_auth *a) {
    if (a == NULL) return;
    keys_drop(a->keys);
    OPENSSL_clear_free(a, sizeof *a);
}

static int engine_open(mw_auth_keys *k, int server, const char *name, struct mw_view binding, mw_auth **out, struct mw_err *err) {
    size_t name_len = name != NULL ? strlen(name) : 0;
    unsigned char hello[MW_AUTH_NONCE + MW_AUTH_NAME_MAX];
    mw_auth *a;

    if (!mw_auth_name_ok(name != NULL ? name : "", name_len) || binding.len > MW_AUTH_BINDING_MAX) return bad(err, "a name or binding that is too long");
    a = OPENSSL_zalloc(sizeof *a);
    if (a == NULL) return mw_err_set(err, MW_ENOMEM, OP, NULL, NULL);
    keys_keep(k);
    a->keys = k;
    a->server = (unsigned char)(server != 0);
    a->awaits = server ? HELLO : CHALLENGE;
    a->binding_len = (unsigned char)binding.len;
    if (binding.len > 0) memcpy(a->binding, binding.at, binding.len);
    if (!server) {
        a->name_len = (unsigned char)name_len;
        if (name_len > 0) memcpy(a->name, name, name_len);
        if (RAND_bytes(a->client_nonce, MW_AUTH_NONCE) != 1) {
            engine_close(a);
            return mw_err_set(err, MW_ENOMEM, OP, NULL, "no random numbers");
        }
        memcpy(hello, a->client_nonce, MW_AUTH_NONCE);
        memcpy(hello + MW_AUTH_NONCE, a->name, name_len);
        compose(a, HELLO, hello, MW_AUTH_NONCE + name_len);
    }
    *out = a; /* given */
    return 0;
}

static struct mw_view engine_send(mw_auth *a) {
    struct mw_view v = { (const char *)a->out, a->out_len };

    a->out_len = 0;
    return v;
}

static struct mw_view denial(void) {
    return (struct mw_view){ (const char *)denied, sizeof denied };
}

static const char *engine_name(const mw_auth *a) {
    return a->awaits == 0 && a->code == 0 && a->name[0] != 0 ? a->name : NULL;
}

const struct mw_auth_calls mw_auth_calls = {
    .keys_new = keys_new, .keys_keep = keys_keep, .keys_drop = keys_drop,
    .open = engine_open, .close = engine_close, .feed = feed, .send = engine_send, .denial = denial, .name = engine_name,
};
