/* Two ends of the TLS engine, their queues in the test's hands.
 * Knows: wire/tls_parts. Never: a socket. */
#ifndef SPEC_SUPPORT_TLS_ENDS_H
#define SPEC_SUPPORT_TLS_ENDS_H

#include "wire/tls_parts.h"

#include "support/check.h"
#include "support/tls_cert.h"

#define DAY 86400L

static const struct mw_tls_calls *calls = &mw_tls_calls;

struct end {
    mw_tls_context *context;
    mw_tls *tls;
    struct mw_bytes in, out;
    struct mw_err err;
};

static struct tls_cert good;
static struct end server, client;

static inline struct mw_view text(const char *s) {
    return (struct mw_view){ s, s != NULL ? strlen(s) : 0 };
}

static inline void finish(struct end *e) {
    calls->close(e->tls);
    e->tls = NULL;
    mw_bytes_free(&e->in);
    mw_bytes_free(&e->out);
}

static inline void drop(struct end *e) {
    finish(e);
    calls->context_drop(e->context);
    e->context = NULL;
}

/* Both sessions anew, over the contexts that are there. */
static inline void meet(const char *name) {
    finish(&server);
    finish(&client);
    REQUIRE(calls->open(server.context, NULL, 0, &server.in, &server.out, &server.tls, &server.err) == 0);
    REQUIRE(calls->open(client.context, name, 443, &client.in, &client.out, &client.tls, &client.err) == 0);
}

static inline void begin(struct mw_tls_options *s, struct mw_tls_options *c, const char *name) {
    drop(&server);
    drop(&client);
    if (good.cert[0] == '\0') tls_cert_make(&good, "here", "DNS:here.example,IP:127.0.0.1", -DAY, DAY);
    s->server = 1;
    if (s->cert.at == NULL) {
        s->cert = text(good.cert);
        s->key = text(good.key);
    }
    if (c->ca.at == NULL && !c->insecure) c->ca = text(good.cert);
    REQUIRE(calls->context_new(s, &server.context, &server.err) == 0);
    REQUIRE(calls->context_new(c, &client.context, &client.err) == 0);
    meet(name);
}

/* Moves at most n bytes. */
static inline size_t move(struct end *from, struct end *to, size_t n) {
    size_t held = mw_bytes_len(&from->out);

    if (n > held) n = held;
    if (n > 0) REQUIRE(mw_bytes_add(&to->in, mw_bytes_at(&from->out), n) == 0);
    mw_bytes_consume(&from->out, n);
    return n;
}

/* Shakes hands, `step` bytes at a time. 0, or the first code. */
static inline int shake(size_t step) {
    int s = 0, c = 0;

    for (int i = 0; i < 200000; i++) {
        size_t moved;
        if (c == 0) c = calls->shake(client.tls, &client.err);
        moved = move(&client, &server, step);
        if (s == 0) s = calls->shake(server.tls, &server.err);
        moved += move(&server, &client, step);
        if (s < 0 || c < 0) {
            move(&server, &client, (size_t)-1);
            move(&client, &server, (size_t)-1);
            if (c == 0) c = calls->shake(client.tls, &client.err);
            if (s == 0) s = calls->shake(server.tls, &server.err);
            return s < 0 ? s : c;
        }
        if (s == 1 && c == 1 && moved == 0) return 0;
        if (moved == 0 && s + c < 2 && i > 100) return MW_EAGAIN;
    }
    return MW_EAGAIN;
}

static inline long tell(struct end *from, struct end *to, const char *what, char *got, size_t size) {
    CHECK_INT(calls->write(from->tls, what, strlen(what), &from->err), strlen(what));
    move(from, to, (size_t)-1);
    return calls->read(to->tls, got, size, &to->err);
}

static inline int reason_is(const struct mw_err *err, const char *reason) {
    size_t n = strlen(reason);

    if (strncmp(err->what, reason, n) == 0 && (err->what[n] == ':' || err->what[n] == '\0')) return 1;
    printf("# %s: %s\n", mw_err_name(err->code), err->what);
    return 0;
}

#endif
