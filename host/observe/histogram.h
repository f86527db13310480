/* A histogram with true quantiles: 64 linear parts to each power of two, so a quantile is within 1/128 (0.8 %) of a value that was
 * recorded. The number of values, their sum, the least and the greatest are exact.
 * Knows: C11. Never: which unit it counts in; grows beyond MW_HISTOGRAM_MOST bytes. */
#ifndef MW_OBSERVE_HISTOGRAM_H
#define MW_OBSERVE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Memory from whoever owns it; the shape of a lua_Alloc. */
struct mw_meter_memory {
    void *(*alloc)(void *ud, void *ptr, size_t was, size_t now);
    void *ud;
};
extern const struct mw_meter_memory mw_meter_malloc;        /* malloc's */

enum {
    MW_HISTOGRAM_LOW = -34,         /* 2^-34, of a second 58 ps: below, a value is as good as 0 */
    MW_HISTOGRAM_HIGH = 64,         /* 2^64: from there on, values fall into the last part */
    MW_HISTOGRAM_OCTAVES = MW_HISTOGRAM_HIGH - MW_HISTOGRAM_LOW,
    MW_HISTOGRAM_PARTS = 64,
    MW_HISTOGRAM_MOST = MW_HISTOGRAM_OCTAVES * (MW_HISTOGRAM_PARTS + 1) * 8 + 64    /* bytes; a power of two that has values: 512 */
};

/* Zero-initialised is empty and holds no memory. An open record to look at. */
struct mw_histogram {
    uint64_t count;
    double sum, lost;               /* the sum is sum + lost: what the additions rounded away is kept beside it */
    double min, max;                /* of nothing: 0 */
    uint64_t small;                 /* values below 2^LOW */
    uint64_t *octave[MW_HISTOGRAM_OCTAVES];     /* PARTS numbers each, or NULL */
};

/* Records a value: finite and not negative. 0; MW_EINVAL: it is neither, or MW_ENOMEM: nothing was recorded. */
int mw_histogram_record(struct mw_histogram *h, const struct mw_meter_memory *memory, double value);
/* Adds what `from` has. 0, or MW_ENOMEM with nothing changed. */
int mw_histogram_merge(struct mw_histogram *h, const struct mw_meter_memory *memory, const struct mw_histogram *from);
/* A value that `part` (0..1) of all values do not exceed: that of rank ceil(part * count). Of nothing: 0. */
double mw_histogram_quantile(const struct mw_histogram *h, double part);
double mw_histogram_sum(const struct mw_histogram *h);
void mw_histogram_free(struct mw_histogram *h, const struct mw_meter_memory *memory);    /* leaves it empty */

#endif
