/* Compressed forms from hostile bytes, for both libraries: never more than the limit or 200 times what came; and what is squeezed comes
 * back.
 * Knows: wire/squeeze. Never: I/O.
 * Input: a byte for the kind, the level and the limit, then the form; also taken as data to be squeezed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/squeeze.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

/* The form in memory that ends where it does, so that a step beyond is seen. */
static void unpack(mw_squeeze *z, const char *at, size_t len, size_t max, struct mw_bytes *out) {
    const struct mw_squeeze_calls *calls = &mw_squeeze_calls;
    struct mw_squeeze_fault fault = { NULL, NULL, 0 };
    struct mw_view got = { NULL, 0 };
    int rc = calls->unpack(z, at, len, max, out, &got, &fault);

    HOLDS(rc == 0 || rc == MW_EFRAME);
    if (rc < 0) {
        HOLDS(fault.why != NULL && fault.what != NULL && out->tail == out->head);
        HOLDS(strcmp(fault.why, "protocol") == 0 || (strcmp(fault.why, "too_large") == 0 && fault.announced > 0));
        return;
    }
    HOLDS(got.len <= max && got.len <= len * MW_SQUEEZE_RATIO);
    HOLDS(out->size <= 2 * (size_t)len * MW_SQUEEZE_RATIO + 8192);
    HOLDS(out->tail - out->head == 0 || (got.len == out->tail - out->head && got.at == out->base + out->head));
    for (size_t i = 0, sum = 0; i < got.len; i++) {    /* each byte is there */
        sum += (unsigned char)got.at[i];
        HOLDS(sum <= i * 255 + 255);
    }
}

static void round_trip(mw_squeeze *z, const char *at, size_t len, size_t min) {
    const struct mw_squeeze_calls *calls = &mw_squeeze_calls;
    struct mw_bytes packed = { NULL, 0, 0, 0 }, out = { NULL, 0, 0, 0 };
    struct mw_squeeze_fault fault;
    struct mw_view got;

    HOLDS(calls->pack(z, at, len, min, &packed) == 0);
    HOLDS(packed.tail <= len + 1);
    HOLDS(calls->unpack(z, packed.base, packed.tail, len, &out, &got, &fault) == 0);
    HOLDS(got.len == len && (len == 0 || memcmp(got.at, at, len) == 0));
    mw_bytes_free(&packed);
    mw_bytes_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t limits[] = { 1, 100, 65536, 1 << 20 };
    struct mw_bytes out = { NULL, 0, 0, 0 };
    enum mw_squeeze_how how;
    mw_squeeze *z;
    char *form;

    if (size == 0) return 0;
    how = data[0] & 1 ? MW_SQUEEZE_ZSTD : MW_SQUEEZE_LZ4;
    z = mw_squeeze_calls.open(how, data[0] & 8 ? 5 : 1);
    form = malloc(size);
    HOLDS(z != NULL && form != NULL);
    memcpy(form, data + 1, size - 1);
    form = realloc(form, size > 1 ? size - 1 : 1);
    HOLDS(form != NULL);
    unpack(z, form, size - 1, limits[data[0] >> 1 & 3], &out);
    out.head = out.tail = 0;
    unpack(z, form, size - 1, limits[data[0] >> 1 & 3], &out);     /* a context that has failed before is as good */
    round_trip(z, form, size - 1, data[0] & 16 ? 0 : 64);
    mw_bytes_free(&out);
    mw_squeeze_calls.close(z);
    free(form);
    return 0;
}
