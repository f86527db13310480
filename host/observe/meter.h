/* Meters: counters, gauges and histograms by name, each a bounded set of series that differ by the values of their labels.
 * Names, labels and text are those of Prometheus, text format 0.0.4.
 * Knows: base, observe/histogram. Never: a clock, a socket, Lua; forgets a meter or a series before the whole is freed. */
#ifndef MW_OBSERVE_METER_H
#define MW_OBSERVE_METER_H

#include "base/bytes.h"
#include "base/err.h"
#include "observe/histogram.h"

typedef struct mw_meters mw_meters;     /* all of a host */
typedef struct mw_meter mw_meter;       /* one name */

#define MW_METERS_MAX 1000u         /* names of a host */
#define MW_METER_NAME 128u          /* bytes of a name or of a label's */
#define MW_METER_HELP 1024u         /* bytes */
#define MW_METER_LABELS 16u         /* labels of a meter */
#define MW_METER_VALUE 256u         /* bytes of a label's value; what is longer is cut */
#define MW_METER_BOUNDS 64u         /* `le` bounds of a histogram */
#define MW_METER_SERIES 1000u       /* series of a meter, unless it is asked for more: */
#define MW_METER_SERIES_MAX 10000u
#define MW_METER_OTHER "(other)"    /* every label of the one series that stands for all beyond them */

enum mw_meter_kind { MW_COUNTER, MW_GAUGE, MW_HISTOGRAM };

/* What a meter is to be. All of it is copied. */
struct mw_meter_wish {
    enum mw_meter_kind kind;
    const char *name, *help;        /* help may be NULL */
    const char *labels[MW_METER_LABELS];
    unsigned label_count;
    double bounds[MW_METER_BOUNDS]; /* of a histogram, ascending and finite; without any its text is a summary with quantiles */
    unsigned bound_count;
    unsigned max_series;            /* 0: MW_METER_SERIES */
};

/* One series. An open record to look at; change it by the functions below. */
struct mw_series {
    mw_meter *meter;
    double value;                   /* of a counter or gauge */
    struct mw_histogram *histogram; /* NULL until something was recorded */
    uint64_t *below;                /* of a histogram with bounds: values up to each bound and above the one before */
    uint64_t hash;
    unsigned key_len;
    char key[];                     /* the labels' values, each with its length in two bytes before it */
};

/* memory: copied; what it gives is given back by mw_meters_free. seed: anything that a stranger cannot guess. NULL: no memory. */
mw_meters *mw_meters_new(const struct mw_meter_memory *memory, uint64_t seed);
void mw_meters_free(mw_meters *all);
unsigned mw_meters_count(const mw_meters *all);
mw_meter *mw_meters_at(const mw_meters *all, unsigned i);       /* in the order in which they were made */
mw_meter *mw_meters_find(const mw_meters *all, const char *name);

/* The meter of that name: a new one, or the one that was made with the same wish before. 0; MW_EINVAL (err->what says which word
 * breaks which rule, or that it was made otherwise before), MW_ELIMIT, MW_ENOMEM. */
int mw_meters_add(mw_meters *all, const struct mw_meter_wish *wish, mw_meter **out, struct mw_err *err);

const struct mw_meter_wish *mw_meter_wish(const mw_meter *m);   /* lent */
unsigned mw_meter_series_count(const mw_meter *m);
struct mw_series *mw_meter_series_at(const mw_meter *m, unsigned i);
uint64_t mw_meter_overflowed(const mw_meter *m);    /* how often the one for all others was given */

/* The series with these values (as many as there are labels), made if need be; it stays where it is. Bytes that are no UTF-8
 * become U+FFFD. Beyond max_series the one for all others. NULL: no memory. */
struct mw_series *mw_meter_series(mw_meter *m, const struct mw_view *values);
/* The same, NULL when there is none yet. */
struct mw_series *mw_meter_peek(mw_meter *m, const struct mw_view *values);

/* counter: add what is finite and not negative; gauge: add or set anything; histogram: as mw_histogram_record. 0, MW_EINVAL, MW_ENOMEM. */
int mw_series_add(struct mw_series *s, double value);
int mw_series_set(struct mw_series *s, double value);
int mw_series_observe(struct mw_series *s, double value);
/* All series of a histogram in one. *out is zero, or has memory of the same source: mw_histogram_free(out, mw_meter_memory(m)). */
int mw_meter_merged(const mw_meter *m, struct mw_histogram *out);
const struct mw_meter_memory *mw_meter_memory(const mw_meter *m);

/* meter_text.c: appends HELP, TYPE (from 0) and the lines of the MW_METER_PIECE series from the `from`th on, so that nobody is kept
 * for long. 0 or MW_ENOMEM (some of it may have been written). A meter without series has no text. */
#define MW_METER_PIECE 250u
int mw_meter_text(const mw_meter *m, unsigned from, struct mw_bytes *out);
/* A number as the format has it, whatever the locale: "17", "0.25", "1e+20", "NaN", "+Inf". Returns its length, at most 31. */
int mw_meter_number(char out[32], double value);

#endif
