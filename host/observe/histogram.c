/* A histogram with true quantiles.
 * Knows: C11, the bits of an IEEE double. Never: a clock.
 *
 * The part that a value belongs to is read off its bits: the exponent is the power of two, the first six bits of the fraction are
 * the 64th within it. No logarithm, no search. */
#include "observe/histogram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

_Static_assert(DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024, "doubles are those of IEEE 754");

static void *plain(void *ud, void *ptr, size_t was, size_t now) {
    (void)ud;
    (void)was;
    if (now > 0) return realloc(ptr, now);
    free(ptr);
    return NULL;
}
const struct mw_meter_memory mw_meter_malloc = { plain, NULL };

#define OCTAVE_BYTES (MW_HISTOGRAM_PARTS * sizeof(uint64_t))

/* The octave of a value that is not small, and its part. */
static unsigned place(double value, unsigned *part) {
    uint64_t bits;
    unsigned octave;

    memcpy(&bits, &value, sizeof bits);
    octave = (unsigned)(bits >> 52) - (1023 + MW_HISTOGRAM_LOW);
    *part = (unsigned)(bits >> 46) % MW_HISTOGRAM_PARTS;
    if (octave < MW_HISTOGRAM_OCTAVES) return octave;
    *part = MW_HISTOGRAM_PARTS - 1;
    return MW_HISTOGRAM_OCTAVES - 1;
}

static int make(struct mw_histogram *h, const struct mw_meter_memory *memory, unsigned octave) {
    uint64_t *it = memory->alloc(memory->ud, NULL, 0, OCTAVE_BYTES);

    if (it == NULL) return MW_ENOMEM;
    memset(it, 0, OCTAVE_BYTES);
    h->octave[octave] = it;
    return 0;
}

/* Neumaier's sum: what an addition rounds away is kept. */
static void add(struct mw_histogram *h, double value) {
    double sum = h->sum + value;

    h->lost += h->sum >= value ? (h->sum - sum) + value : (value - sum) + h->sum;
    h->sum = sum;
}

double mw_histogram_sum(const struct mw_histogram *h) {
    return isfinite(h->sum) ? h->sum + h->lost : h->sum;
}

static void span(struct mw_histogram *h, double min, double max) {
    if (h->count == 0 || min < h->min) h->min = min;
    if (h->count == 0 || max > h->max) h->max = max;
}

int mw_histogram_record(struct mw_histogram *h, const struct mw_meter_memory *memory, double value) {
    if (!(value >= 0 && value <= DBL_MAX)) return MW_EINVAL;
    if (value < 0x1p-34) {
        value = value == 0 ? 0 : value; /* no negative zero */
        h->small++;
    } else {
        unsigned part, octave = place(value, &part);
        if (h->octave[octave] == NULL && make(h, memory, octave) < 0) return MW_ENOMEM;
        h->octave[octave][part]++;
    }
    span(h, value, value);
    add(h, value);
    h->count++;
    return 0;
}

int mw_histogram_merge(struct mw_histogram *h, const struct mw_meter_memory *memory, const struct mw_histogram *from) {
    if (from->count == 0) return 0;
    for (unsigned i = 0; i < MW_HISTOGRAM_OCTAVES; i++)
        if (from->octave[i] != NULL && h->octave[i] == NULL && make(h, memory, i) < 0) return MW_ENOMEM;
    for (unsigned i = 0; i < MW_HISTOGRAM_OCTAVES; i++)
        for (unsigned part = 0; from->octave[i] != NULL && part < MW_HISTOGRAM_PARTS; part++)
            h->octave[i][part] += from->octave[i][part];
    span(h, from->min, from->max);
    h->small += from->small;
    h->count += from->count;
    add(h, from->sum);
    h->lost += from->lost;
    return 0;
}

/* The middle of a part. */
static double middle(unsigned octave, unsigned part) {
    return ldexp(1 + (part + 0.5) / MW_HISTOGRAM_PARTS, (int)octave + MW_HISTOGRAM_LOW);
}

double mw_histogram_quantile(const struct mw_histogram *h, double part) {
    double rank = ceil(part * (double)h->count), value;
    uint64_t seen = h->small, want;

    if (h->count == 0) return 0;
    want = !(rank > 1) ? 1 : rank >= (double)h->count ? h->count : (uint64_t)rank;
    if (want == h->count) return h->max;
    if (want == 1 || want <= seen) return h->min;
    for (unsigned i = 0; i < MW_HISTOGRAM_OCTAVES; i++) {
        for (unsigned k = 0; h->octave[i] != NULL && k < MW_HISTOGRAM_PARTS; k++) {
            seen += h->octave[i][k];
            if (seen < want) continue;
            value = middle(i, k);
            return value < h->min ? h->min : value > h->max ? h->max : value;
        }
    }
    return h->max;
}

void mw_histogram_free(struct mw_histogram *h, const struct mw_meter_memory *memory) {
    for (unsigned i = 0; i < MW_HISTOGRAM_OCTAVES; i++)
        if (h->octave[i] != NULL) memory->alloc(memory->ud, h->octave[i], OCTAVE_BYTES, 0);
    *h = (struct mw_histogram){ 0 };
}
