/* Hostile bytes for a TLS session: a server's before and after the handshake, a client's. Nothing may crash, grow without bound or go on
 * for ever; what breaks stays broken.
 * Knows: wire/tls. Never: I/O.
 * Input: a byte (bit 0: to a client; bit 1: after a handshake with a good peer; bit 2: the end after the last byte), one for the size
 * of the pieces, then the peer's bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/tls_cert.h"
#include "wire/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

#define OUT_MAX ((size_t)1 << 20)

struct end {
    struct mw_bytes in, out;
    mw_tls *tls;
};

static const struct mw_tls_calls *calls = &mw_tls_calls;
static mw_tls_context *contexts[2];      /* a server's, a client's */

static void prepare(void) {
    static struct tls_cert cert;
    struct mw_tls_name names[2];
    struct mw_tls_options s = { .server = 1 }, c = { .insecure = 1 };

    if (contexts[0] != NULL) return;
    tls_cert_make(&cert, "here", "DNS:here.example", -86400, 86400);
    s.cert = (struct mw_view){ cert.cert, strlen(cert.cert) };
    s.key = (struct mw_view){ cert.key, strlen(cert.key) };
    names[0] = (struct mw_tls_name){ "there.example", s.cert, s.key, NULL };
    names[1] = (struct mw_tls_name){ "*.example", s.cert, s.key, NULL };
    s.names = names;
    s.name_count = 2;
    HOLDS(calls->context_new(&s, &contexts[0], NULL) == 0);
    HOLDS(calls->context_new(&c, &contexts[1], NULL) == 0);
}

static void swap_all(struct end *a, struct end *b) {
    HOLDS(mw_bytes_len(&a->out) == 0 || mw_bytes_add(&b->in, mw_bytes_at(&a->out), mw_bytes_len(&a->out)) == 0);
    mw_bytes_consume(&a->out, mw_bytes_len(&a->out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct end at[2] = { { .tls = NULL }, { .tls = NULL } };
    struct end *victim;
    char got[4096];
    size_t step, i;
    int how, broken = 0;

    if (size < 2) return 0;
    prepare();
    how = data[0];
    step = data[1] != 0 ? data[1] : 4096;
    for (i = 0; i < 2; i++) HOLDS(calls->open(contexts[i], NULL, 0, &at[i].in, &at[i].out, &at[i].tls, NULL) == 0);
    for (i = 0; i < 4 && (how & 2); i++) {
        HOLDS(calls->shake(at[1].tls, NULL) >= 0);
        swap_all(&at[1], &at[0]);
        HOLDS(calls->shake(at[0].tls, NULL) >= 0);
        swap_all(&at[0], &at[1]);
    }
    victim = &at[how & 1];
    if (!(how & 2)) calls->shake(victim->tls, NULL);
    for (i = 2; i < size; i += step) {
        size_t n = size - i < step ? size - i : step;
        long rc;
        HOLDS(mw_bytes_add(&victim->in, data + i, n) == 0);
        if (i + n == size && (how & 4)) calls->end(victim->tls);
        while ((rc = calls->read(victim->tls, got, sizeof got, NULL)) > 0) continue;
        HOLDS(!broken || rc < 0);
        if (rc < 0 && rc != MW_EEOF) broken = 1;
        HOLDS(!broken || calls->write(victim->tls, "x", 1, NULL) < 0);
        HOLDS(mw_bytes_len(&victim->out) < OUT_MAX);
        calls->holds(victim->tls);
    }
    calls->bye(victim->tls);
    for (i = 0; i < 2; i++) {
        calls->close(at[i].tls);
        mw_bytes_free(&at[i].in);
        mw_bytes_free(&at[i].out);
    }
    return 0;
}
