/* Meters as text, as Prometheus reads it (format 0.0.4).
 * Knows: observe/meter, base/bytes. Never: where the text goes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "observe/meter.h"

/* Text that is being appended; after the first failure nothing more is. */
struct out {
    struct mw_bytes *to;
    int rc;
};

static void add(struct out *o, const char *text, size_t len) {
    if (o->rc == 0) o->rc = mw_bytes_add(o->to, text, len);
}
static void add_text(struct out *o, const char *text) {
    add(o, text, strlen(text));
}

/* A backslash and a line's end, and in labels the quote, are written with a backslash. */
static void add_escaped(struct out *o, const char *text, size_t len, int quotes) {
    size_t from = 0;

    for (size_t i = 0; i < len; i++) {
        const char *as = text[i] == '\\' ? "\\\\" : text[i] == '\n' ? "\\n" : quotes && text[i] == '"' ? "\\\"" : NULL;
        if (as == NULL) continue;
        add(o, text + from, i - from);
        add(o, as, 2);
        from = i + 1;
    }
    add(o, text + from, len - from);
}

/* Most numbers are counts. */
static int whole(char out[32], uint64_t value) {
    char back[24];
    int n = 0;

    do back[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    for (int i = 0; i < n; i++) out[i] = back[n - 1 - i];
    out[n] = 0;
    return n;
}

int mw_meter_number(char out[32], double value) {
    if (isnan(value)) return snprintf(out, 32, "NaN");
    if (isinf(value)) return snprintf(out, 32, value > 0 ? "+Inf" : "-Inf");
    if (value >= 0 && value < 1e15 && value == floor(value)) return whole(out, (uint64_t)value);
    if (value == floor(value) && value > -1e15 && value < 0) return snprintf(out, 32, "%.0f", value);
    for (int digits = 15; digits <= 17; digits++) { /* as few as give it back */
        snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value) break;
    }
    return (int)mw_text_point(out);
}

static void add_number(struct out *o, double value) {
    char text[32];
    add(o, text, (size_t)mw_meter_number(text, value));
}

/* {a="x",le="0.5"}, or nothing when there is neither a label nor one more. */
static void add_labels(struct out *o, const struct mw_series *s, const char *more, const char *bound) {
    const struct mw_meter_wish *w = mw_meter_wish(s->meter);
    const char *at = s->key;

    if (w->label_count == 0 && more == NULL) return;
    for (unsigned i = 0; i < w->label_count; i++) {
        size_t len = (unsigned char)at[0] | (size_t)(unsigned char)at[1] << 8;
        add_text(o, i > 0 ? "," : "{");
        add_text(o, w->labels[i]);
        add_text(o, "=\"");
        add_escaped(o, at + 2, len, 1);
        add_text(o, "\"");
        at += 2 + len;
    }
    if (more != NULL) {
        add_text(o, w->label_count > 0 ? "," : "{");
        add_text(o, more);
        add_text(o, "=\"");
        add_text(o, bound);
        add_text(o, "\"");
    }
    add_text(o, "}");
}

static void add_line(struct out *o, const struct mw_series *s, const char *ending, const char *more, const char *bound, double value) {
    add_text(o, mw_meter_wish(s->meter)->name);
    add_text(o, ending);
    add_labels(o, s, more, bound);
    add_text(o, " ");
    add_number(o, value);
    add_text(o, "\n");
}

/* bounds: as text. */
static void add_histogram(struct out *o, const struct mw_series *s, char bounds[][32]) {
    static const struct mw_histogram nothing;
    static const struct { double part; const char *text; } parts[] = { { 0.5, "0.5" }, { 0.9, "0.9" }, { 0.99, "0.99" } };
    const struct mw_meter_wish *w = mw_meter_wish(s->meter);
    const struct mw_histogram *h = s->histogram != NULL ? s->histogram : &nothing;
    uint64_t seen = 0;

    for (unsigned i = 0; i < w->bound_count; i++) {
        seen += s->below != NULL ? s->below[i] : 0;
        add_line(o, s, "_bucket", "le", bounds[i], (double)seen);
    }
    if (w->bound_count > 0) add_line(o, s, "_bucket", "le", "+Inf", (double)h->count);
    for (unsigned i = 0; w->bound_count == 0 && i < sizeof parts / sizeof *parts; i++)
        add_line(o, s, "", "quantile", parts[i].text, h->count > 0 ? mw_histogram_quantile(h, parts[i].part) : NAN);
    add_line(o, s, "_sum", NULL, NULL, mw_histogram_sum(h));
    add_line(o, s, "_count", NULL, NULL, (double)h->count);
}

static void add_head(struct out *o, const struct mw_meter_wish *w) {
    if (w->help[0] != 0) {
        add_text(o, "# HELP ");
        add_text(o, w->name);
        add_text(o, " ");
        add_escaped(o, w->help, strlen(w->help), 0);
        add_text(o, "\n");
    }
    add_text(o, "# TYPE ");
    add_text(o, w->name);
    add_text(o, w->kind == MW_COUNTER ? " counter\n" : w->kind == MW_GAUGE ? " gauge\n" : w->bound_count > 0 ? " histogram\n" : " summary\n");
}

int mw_meter_text(const mw_meter *m, unsigned from, struct mw_bytes *to) {
    const struct mw_meter_wish *w = mw_meter_wish(m);
    unsigned count = mw_meter_series_count(m), end = from + MW_METER_PIECE < count ? from + MW_METER_PIECE : count;
    char bounds[MW_METER_BOUNDS][32];
    struct out o = { to, 0 };

    if (from >= count) return 0;
    if (from == 0) add_head(&o, w);
    for (unsigned i = 0; i < w->bound_count; i++) mw_meter_number(bounds[i], w->bounds[i]);
    for (unsigned i = from; i < end; i++) {
        const struct mw_series *s = mw_meter_series_at(m, i);
        if (w->kind == MW_HISTOGRAM) add_histogram(&o, s, bounds);
        else add_line(&o, s, "", NULL, NULL, s->value);
    }
    return o.rc;
}
