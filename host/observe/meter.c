/* Meters, and the series that belong to them.
 * Knows: base, observe/histogram. Never: a clock, a socket, Lua. */
#include "observe/meter.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLACES = 16 };       /* of a table at first; it doubles */

struct mw_meter {
    mw_meters *all;
    struct mw_meter_wish wish;      /* its text is ours, in one block: */
    char *text;
    size_t text_len;
    struct mw_series **series;      /* in the order in which they were made */
    uint32_t *places;               /* 1 + where in `series`, by hash; 0: nobody */
    unsigned count, room, place_count;
    struct mw_series *other;        /* stands for all beyond max_series; NULL: nobody needed it */
    uint64_t overflowed;
};

struct mw_meters {
    struct mw_meter_memory memory;
    uint64_t seed;
    unsigned count;
    mw_meter *it[MW_METERS_MAX];
};

static void *take(const mw_meters *all, size_t size) {
    void *it = all->memory.alloc(all->memory.ud, NULL, 0, size);

    if (it != NULL) memset(it, 0, size);
    return it;
}
static void give(const mw_meters *all, void *it, size_t size) {
    if (it != NULL) all->memory.alloc(all->memory.ud, it, size, 0);
}

/* ---- Words ---------------------------------------------------------------------------------------------------------------- */

static int is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
/* Bytes of the character at s; 0: no UTF-8, or NUL, at which some readers of the text stop. */
static size_t character(const unsigned char *s, size_t len) {
    static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = s[0] == 0 ? 0 : s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : s[0] >= 0xE0 && s[0] < 0xF0 ? 3 : s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : 0;
    unsigned code;

    if (n == 0 || n > len) return 0;
    if (n == 1) return 1;
    code = s[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        code = code << 6 | (s[i] & 0x3F);
    }
    return code < least[n] || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF ? 0 : n;
}

/* What Prometheus refuses makes it refuse all that it was given. */
static int is_help(const char *text) {
    for (size_t n = strlen(text), step; n > 0; n -= step, text += step)
        if ((step = character((const unsigned char *)text, n)) == 0) return 0;
    return 1;
}
/* [a-zA-Z_][a-zA-Z0-9_]*, of a metric with colons. */
static int is_name(const char *s, int colons) {
    size_t n = strlen(s);

    if (n == 0 || n > MW_METER_NAME) return 0;
    for (size_t i = 0; i < n; i++)
        if (!is_letter(s[i]) && !(colons && s[i] == ':') && !(i > 0 && s[i] >= '0' && s[i] <= '9')) return 0;
    return 1;
}

static int refuse(struct mw_err *err, int code, const char *name, const char *what, const char *word) {
    return mw_err_setf(err, code, "metrics", name, what, word);
}

static int check_labels(const struct mw_meter_wish *w, struct mw_err *err) {
    const char *ours = w->kind != MW_HISTOGRAM ? "" : w->bound_count > 0 ? "le" : "quantile";

    if (w->label_count > MW_METER_LABELS) return refuse(err, MW_EINVAL, w->name, "a metric has at most %s labels", "16");
    for (unsigned i = 0; i < w->label_count; i++) {
        const char *label = w->labels[i];
        if (!is_name(label, 0) || strncmp(label, "__", 2) == 0)
            return refuse(err, MW_EINVAL, w->name, "\"%s\" is no name for a label: letters, digits and _, not __ in front", label);
        if (strcmp(label, ours) == 0) return refuse(err, MW_EINVAL, w->name, "the label \"%s\" is the histogram's own", label);
        for (unsigned k = 0; k < i; k++)
            if (strcmp(label, w->labels[k]) == 0) return refuse(err, MW_EINVAL, w->name, "the label \"%s\" is there twice", label);
    }
    return 0;
}

static int check(const struct mw_meter_wish *w, struct mw_err *err) {
    if (!is_name(w->name, 1)) return refuse(err, MW_EINVAL, w->name, "no name for a metric: letters, digits, _ and : up to %s bytes", "128");
    if (w->help != NULL && strlen(w->help) > MW_METER_HELP) return refuse(err, MW_EINVAL, w->name, "help is longer than %s bytes", "1024");
    if (w->help != NULL && !is_help(w->help)) return refuse(err, MW_EINVAL, w->name, "help is no UTF-8%s", "");
    if (w->max_series > MW_METER_SERIES_MAX) return refuse(err, MW_EINVAL, w->name, "at most %s series can be asked for", "10000");
    if (w->bound_count > MW_METER_BOUNDS) return refuse(err, MW_EINVAL, w->name, "a histogram has at most %s buckets", "64");
    for (unsigned i = 0; i < w->bound_count; i++)
        if (!isfinite(w->bounds[i]) || (i > 0 && w->bounds[i] <= w->bounds[i - 1]))
            return refuse(err, MW_EINVAL, w->name, "buckets are finite numbers, each greater than the one before%s", "");
    return check_labels(w, err);
}

static int same_text(const char *a, const char *b) {
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}
static int same(const struct mw_meter_wish *a, const struct mw_meter_wish *b) {
    if (a->kind != b->kind || !same_text(a->help, b->help) || a->label_count != b->label_count || a->bound_count != b->bound_count) return 0;
    for (unsigned i = 0; i < a->label_count; i++)
        if (strcmp(a->labels[i], b->labels[i]) != 0) return 0;
    for (unsigned i = 0; i < a->bound_count; i++)
        if (a->bounds[i] != b->bounds[i]) return 0;
    return a->max_series == (b->max_series != 0 ? b->max_series : MW_METER_SERIES);
}

/* 1 when `name` is a line of the histogram or summary `of`: "x_count" of "x". */
static int is_line_of(const char *name, const struct mw_meter_wish *of) {
    size_t n = strlen(of->name);

    if (of->kind != MW_HISTOGRAM || strncmp(name, of->name, n) != 0) return 0;
    return strcmp(name + n, "_sum") == 0 || strcmp(name + n, "_count") == 0 || strcmp(name + n, "_bucket") == 0;
}

/* ---- Meters --------------------------------------------------------------------------------------------------------------- */

mw_meters *mw_meters_new(const struct mw_meter_memory *memory, uint64_t seed) {
    mw_meters *all = memory->alloc(memory->ud, NULL, 0, sizeof *all);

    if (all == NULL) return NULL;
    all->memory = *memory;
    all->seed = seed;
    all->count = 0;
    return all;
}

static void free_series(mw_meter *m, struct mw_series *s) {
    if (s == NULL) return;
    if (s->histogram != NULL) mw_histogram_free(s->histogram, &m->all->memory);
    give(m->all, s->histogram, sizeof *s->histogram);
    give(m->all, s->below, m->wish.bound_count * sizeof *s->below);
    give(m->all, s, sizeof *s + s->key_len);
}

static void free_meter(mw_meter *m) {
    if (m == NULL) return;
    for (unsigned i = 0; i < m->count; i++) free_series(m, m->series[i]);
    give(m->all, m->series, m->room * sizeof *m->series);
    give(m->all, m->places, m->place_count * sizeof *m->places);
    give(m->all, m->text, m->text_len);
    give(m->all, m, sizeof *m);
}

void mw_meters_free(mw_meters *all) {
    if (all == NULL) return;
    for (unsigned i = 0; i < all->count; i++) free_meter(all->it[i]);
    all->memory.alloc(all->memory.ud, all, sizeof *all, 0);
}

unsigned mw_meters_count(const mw_meters *all) {
    return all->count;
}
mw_meter *mw_meters_at(const mw_meters *all, unsigned i) {
    return i < all->count ? all->it[i] : NULL;
}
mw_meter *mw_meters_find(const mw_meters *all, const char *name) {
    for (unsigned i = 0; i < all->count; i++)
        if (strcmp(all->it[i]->wish.name, name) == 0) return all->it[i];
    return NULL;
}

/* Copies a word to the meter's text. */
static const char *keep(char **at, const char *word) {
    size_t n = strlen(word) + 1;
    char *to = *at;

    memcpy(to, word, n);
    *at += n;
    return to;
}

static mw_meter *make(mw_meters *all, const struct mw_meter_wish *w) {
    mw_meter *m = take(all, sizeof *m);
    char *at;

    if (m == NULL) return NULL;
    m->all = all;
    m->wish = *w;
    m->text_len = strlen(w->name) + 1 + (w->help != NULL ? strlen(w->help) : 0) + 1;
    for (unsigned i = 0; i < w->label_count; i++) m->text_len += strlen(w->labels[i]) + 1;
    m->text = at = take(all, m->text_len);
    if (at == NULL) {
        free_meter(m);
        return NULL;
    }
    m->wish.name = keep(&at, w->name);
    m->wish.help = keep(&at, w->help != NULL ? w->help : "");
    for (unsigned i = 0; i < w->label_count; i++) m->wish.labels[i] = keep(&at, w->labels[i]);
    if (w->max_series == 0) m->wish.max_series = MW_METER_SERIES;
    return m;
}

int mw_meters_add(mw_meters *all, const struct mw_meter_wish *wish, mw_meter **out, struct mw_err *err) {
    int rc = check(wish, err);

    if (rc < 0) return rc;
    *out = mw_meters_find(all, wish->name);
    if (*out != NULL) return same(&(*out)->wish, wish) ? 0 : refuse(err, MW_EINVAL, wish->name, "this metric was made with other options before%s", "");
    for (unsigned i = 0; i < all->count; i++) {
        const struct mw_meter_wish *it = &all->it[i]->wish;
        if (is_line_of(wish->name, it) || is_line_of(it->name, wish))
            return refuse(err, MW_EINVAL, wish->name, "its lines and those of \"%s\" would have the same name", it->name);
    }
    if (all->count == MW_METERS_MAX) return refuse(err, MW_ELIMIT, wish->name, "there are %s metrics already; what varies belongs into a label", "1000");
    *out = make(all, wish);
    if (*out == NULL) return mw_err_set(err, MW_ENOMEM, "metrics", wish->name, NULL);
    all->it[all->count++] = *out;
    return 0;
}

const struct mw_meter_wish *mw_meter_wish(const mw_meter *m) {
    return &m->wish;
}
unsigned mw_meter_series_count(const mw_meter *m) {
    return m->count;
}
struct mw_series *mw_meter_series_at(const mw_meter *m, unsigned i) {
    return i < m->count ? m->series[i] : NULL;
}
uint64_t mw_meter_overflowed(const mw_meter *m) {
    return m->overflowed;
}
const struct mw_meter_memory *mw_meter_memory(const mw_meter *m) {
    return &m->all->memory;
}

/* ---- Series --------------------------------------------------------------------------------------------------------------- */

struct key {
    size_t len;
    char at[MW_METER_LABELS * (2 + MW_METER_VALUE)];
};

/* A value to the end of the key: whole characters of it, at most MW_METER_VALUE bytes. */
static void lay(struct key *key, const struct mw_view *value) {
    char *size = key->at + key->len, *to = size + 2;
    size_t n = 0;

    for (size_t i = 0; i < value->len;) {
        size_t step = character((const unsigned char *)value->at + i, value->len - i), wide = step > 0 ? step : 3;
        if (n + wide > MW_METER_VALUE) break;
        memcpy(to + n, step > 0 ? value->at + i : "\xEF\xBF\xBD", wide);
        n += wide;
        i += step > 0 ? step : 1;
    }
    size[0] = (char)(n & 0xFF);
    size[1] = (char)(n >> 8);
    key->len += 2 + n;
}

static uint64_t hash(const mw_meter *m, const struct key *key) {
    uint64_t h = m->all->seed;

    for (size_t i = 0; i < key->len; i++) h = (h ^ (unsigned char)key->at[i]) * 0x100000001B3u;
    return h ^ h >> 29;
}

static struct mw_series *find(const mw_meter *m, const struct key *key, uint64_t h) {
    if (m->place_count == 0) return NULL;
    for (unsigned at = (unsigned)h & (m->place_count - 1); m->places[at] != 0; at = (at + 1) & (m->place_count - 1)) {
        struct mw_series *s = m->series[m->places[at] - 1];
        if (s->hash == h && s->key_len == key->len && memcmp(s->key, key->at, key->len) == 0) return s;
    }
    return NULL;
}

static void enter(uint32_t *places, unsigned count, uint64_t h, unsigned nth) {
    unsigned at = (unsigned)h & (count - 1);

    while (places[at] != 0) at = (at + 1) & (count - 1);
    places[at] = nth + 1;
}

/* Room for one more; the table is at most half full. */
static int grow(mw_meter *m) {
    unsigned room = m->room > 0 ? 2 * m->room : PLACES / 2, count = 2 * room;
    struct mw_series **series;
    uint32_t *places;

    if (m->count < m->room) return 0;
    series = take(m->all, room * sizeof *series);
    places = take(m->all, count * sizeof *places);
    if (series == NULL || places == NULL) {
        give(m->all, series, room * sizeof *series);
        give(m->all, places, count * sizeof *places);
        return MW_ENOMEM;
    }
    if (m->count > 0) memcpy(series, m->series, m->count * sizeof *series);
    for (unsigned i = 0; i < m->count; i++) enter(places, count, series[i]->hash, i);
    give(m->all, m->series, m->room * sizeof *m->series);
    give(m->all, m->places, m->place_count * sizeof *m->places);
    m->series = series;
    m->places = places;
    m->room = room;
    m->place_count = count;
    return 0;
}

static struct mw_series *make_series(mw_meter *m, const struct key *key, uint64_t h) {
    struct mw_series *s;

    if (grow(m) < 0) return NULL;
    s = take(m->all, sizeof *s + key->len);
    if (s == NULL) return NULL;
    s->meter = m;
    s->hash = h;
    s->key_len = (unsigned)key->len;
    memcpy(s->key, key->at, key->len);
    enter(m->places, m->place_count, h, m->count);
    m->series[m->count++] = s;
    return s;
}

static struct mw_series *the_other(mw_meter *m) {
    struct mw_view value = { MW_METER_OTHER, sizeof MW_METER_OTHER - 1 };
    struct key key = { .len = 0 };
    uint64_t h;

    m->overflowed++;
    if (m->other != NULL) return m->other;
    for (unsigned i = 0; i < m->wish.label_count; i++) lay(&key, &value);
    h = hash(m, &key);
    m->other = find(m, &key, h); /* a script may use the word itself */
    if (m->other == NULL) m->other = make_series(m, &key, h);
    return m->other;
}

static struct mw_series *series(mw_meter *m, const struct mw_view *values, int make_it) {
    struct mw_series *s;
    struct key key;
    uint64_t h;

    if (m->wish.label_count == 0 && m->count > 0) return m->series[0];
    key.len = 0;
    for (unsigned i = 0; i < m->wish.label_count; i++) lay(&key, &values[i]);
    h = hash(m, &key);
    s = find(m, &key, h);
    if (s != NULL || !make_it) return s;
    return m->count - (m->other != NULL) < m->wish.max_series ? make_series(m, &key, h) : the_other(m);
}
struct mw_series *mw_meter_series(mw_meter *m, const struct mw_view *values) {
    return series(m, values, 1);
}
struct mw_series *mw_meter_peek(mw_meter *m, const struct mw_view *values) {
    return series(m, values, 0);
}

int mw_series_add(struct mw_series *s, double value) {
    if (s->meter->wish.kind == MW_COUNTER && !(value >= 0 && value <= DBL_MAX)) return MW_EINVAL;
    s->value += value;
    return 0;
}
int mw_series_set(struct mw_series *s, double value) {
    s->value = value;
    return 0;
}

int mw_series_observe(struct mw_series *s, double value) {
    const struct mw_meter_wish *w = &s->meter->wish;
    const mw_meters *all = s->meter->all;
    unsigned low = 0, high = w->bound_count;
    int rc;

    if (s->histogram == NULL && (s->histogram = take(all, sizeof *s->histogram)) == NULL) return MW_ENOMEM;
    if (high > 0 && s->below == NULL && (s->below = take(all, high * sizeof *s->below)) == NULL) return MW_ENOMEM;
    rc = mw_histogram_record(s->histogram, &all->memory, value);
    if (rc < 0) return rc;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (value <= w->bounds[mid]) high = mid;
        else low = mid + 1;
    }
    if (low < w->bound_count) s->below[low]++;
    return 0;
}

int mw_meter_merged(const mw_meter *m, struct mw_histogram *out) {
    int rc = 0;

    for (unsigned i = 0; i < m->count && rc == 0; i++)
        if (m->series[i]->histogram != NULL) rc = mw_histogram_merge(out, &m->all->memory, m->series[i]->histogram);
    return rc;
}
