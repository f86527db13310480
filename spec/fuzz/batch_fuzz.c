/* Batches from hostile bytes: what is accepted says every byte of itself, and gathers to the same again.
 * Knows: wire/batch. Never: I/O.
 * Input: the bytes of a batch. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *at = (const char *)data, *what = NULL, *end;
    struct mw_batch_cut cut = { 0, 0 };
    struct mw_batch again = { 0 };
    struct mw_view all;
    unsigned count;
    int rc = mw_batch_open(&cut, at, size, &what);

    HOLDS(rc == 0 || rc == MW_EFRAME);
    HOLDS((rc == 0) == (what == NULL) && (rc == 0) == (cut.left > 0));
    if (rc < 0) return 0;
    count = cut.left;
    HOLDS(count <= MW_BATCH_MESSAGES && count < size);
    end = at + cut.at;
    while (cut.left > 0) {
        struct mw_view m = mw_batch_next(&cut, at, size);
        size_t with = mw_batch_size_with(&again, m.len);

        HOLDS(m.at > end && m.len <= size && m.at + m.len <= at + size);
        end = m.at + m.len;
        HOLDS(mw_batch_add(&again, m.at, m.len) == 0);
        HOLDS(mw_batch_size(&again) == with);
    }
    HOLDS(end == at + size && again.count == count);
    all = mw_batch_view(&again);
    HOLDS(all.len == size && memcmp(all.at, at, size) == 0);
    HOLDS(mw_batch_size(&again) == size);
    mw_bytes_free(&again.bytes);
    return 0;
}
