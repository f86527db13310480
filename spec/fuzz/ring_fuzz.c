/* A ring whose memory somebody else writes to at every moment: what is given lies within it, and nothing hangs.
 * Knows: share/ring_parts. Never: a second process.
 * Input: a byte for what is done; writes take two bytes for the place and eight for the value, pushes one for the length. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "share/ring_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

static mw_ring *ring;

static void make(void) {
    mw_host *h = NULL;
    struct mw_err err;

    HOLDS(mw_host_create(NULL, NULL, NULL, NULL, &h, &err) == 0);
    HOLDS(mw_ring_create(h, 4096, &ring, &err) == 0);
    ring->remote = 1;
    ring->dusky = 1; /* no loop turns */
}

static void clean(void) {
    memset(ring->page, 0, MW_RING_PAGE);
    memset(ring->data, 0, (size_t)ring->capacity);
    ring->broken = ring->pushes = ring->pops = ring->finished = ring->gone = 0;
    mw_ring_start(ring);
}

static void pop(void) {
    struct mw_view v = { NULL, 0 };
    struct mw_err err;
    uint64_t mark = 0;
    int rc = mw_ring_peek(ring, &v, &mark, &err);
    unsigned sum = 0;

    HOLDS(rc == 0 || rc == 1 || rc == 2 || rc == MW_EFRAME || rc == -EBUSY || rc == MW_EEOF);
    if (rc != 1) return;
    HOLDS(v.at >= ring->data && v.len <= ring->capacity / 4 && v.at + v.len <= ring->data + 2 * ring->capacity);
    for (size_t i = 0; i < v.len; i++) sum += (unsigned char)v.at[i];
    HOLDS(sum <= 255 * v.len);
    HOLDS(mw_ring_popped(ring, mark) == 1);
    HOLDS(mw_ring_popped(ring, mark) == 0 || ring->take == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char record[1024];
    struct mw_err err;

    if (ring == NULL) make();
    clean();
    while (size > 0) {
        unsigned what = *data++;
        size--;
        if (what % 4 == 0 && size >= 10) {          /* the other side writes */
            size_t at = ((size_t)data[0] | (size_t)data[1] << 8) % (MW_RING_PAGE + 4096 - 7);
            uint64_t value;
            memcpy(&value, data + 2, 8);
            if (what & 64) value %= 8192;           /* something that could almost be */
            memcpy((char *)ring->page + at, &value, 8);
            data += 10;
            size -= 10;
        } else if (what % 4 == 1 && size >= 1) {
            int rc = mw_ring_push(ring, record, (size_t)*data * 4, &err);
            HOLDS(rc == 0 || rc == 1 || rc == MW_EFRAME || rc == -EBUSY || rc == MW_ECLOSED);
            data++;
            size--;
        } else if (what == 255) {
            mw_ring_finish(ring, &err);
        } else {
            pop();
        }
    }
    return 0;
}
