/* Authentication against hostile bytes, in both roles: what is taken in pieces is taken as at once, no byte too many is taken, and
 * nobody passes who does not know the secret.
 * Knows: wire/auth. Never: I/O.
 * Input: a byte (bit 0: the server's end; bit 1: a name; bit 2: named secrets), a byte for the size of the pieces, then what the other
 * end says. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

/* How far it came: rc, and how many bytes it took. */
struct end {
    int rc;
    size_t took, sent;
};

static struct end run(mw_auth_keys *k, uint8_t how, const uint8_t *data, size_t size, size_t piece) {
    const struct mw_auth_calls *calls = &mw_auth_calls;
    struct mw_view none = {"", 0};
    struct mw_bytes in = {0};
    struct end e = {0};
    struct mw_err err;
    mw_auth *a = NULL;

    HOLDS(calls->open(k, how & 1, (how & 2) != 0 ? "alice" : NULL, none, &a, &err) == 0);
    e.sent = calls->send(a).len;
    HOLDS((e.sent > 0) == ((how & 1) == 0));
    while (e.rc == 0 && size > 0) {
        size_t n = piece < size ? piece : size, before;
        HOLDS(mw_bytes_add(&in, data, n) == 0);
        data += n;
        size -= n;
        do {
            size_t sent;
            before = mw_bytes_len(&in);
            e.rc = calls->feed(a, &in, &err);
            sent = calls->send(a).len;
            HOLDS(sent <= MW_AUTH_MESSAGE_MAX && (e.rc >= 0 || sent == 0));
            e.took += before - mw_bytes_len(&in);
            e.sent += sent;
        } while (e.rc == 0 && mw_bytes_len(&in) > 0 && mw_bytes_len(&in) < before);
        HOLDS(e.rc != 0 || mw_bytes_len(&in) == 0);
    }
    HOLDS(e.rc == 0 || e.rc == MW_EAUTH);                /* nobody guesses 32 bytes */
    HOLDS(e.took <= 2 * MW_AUTH_MESSAGE_MAX && calls->name(a) == NULL);
    mw_bytes_free(&in);
    calls->close(a);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mw_auth_secret secrets[] = {{NULL, "sixteen bytes...", 16}, {"alice", "another sixteen.", 16}};
    mw_auth_keys *k = NULL;
    struct end whole, pieces;

    if (size < 2) return 0;
    HOLDS(mw_auth_calls.keys_new(secrets, (data[0] & 4) != 0 ? 2 : 1, &k, NULL) == 0);
    whole = run(k, data[0], data + 2, size - 2, size);
    pieces = run(k, data[0], data + 2, size - 2, 1 + data[1] % 40);
    HOLDS(whole.rc == pieces.rc && whole.took == pieces.took && whole.sent == pieces.sent);
    mw_auth_calls.keys_drop(k);
    return 0;
}
