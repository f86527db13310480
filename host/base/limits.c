/* What one host may use at most: one table, read by the parser, the help and the error texts.
 * Knows: base/err. Never: allocates. */
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

#define KIB 1024ull
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define SECOND 1000000000ull

static const struct mw_limit_row rows[] = {
    {"memory", "256MiB", "bytes of the script's Lua state", offsetof(struct mw_limits, memory), MW_LIMIT_BYTES, MIB, 1024 * GIB, 256 * MIB},
    {"step", "1s", "processor time without waiting; off with -A", offsetof(struct mw_limits, step_ns), MW_LIMIT_TIME, SECOND / 100, 86400 * SECOND, SECOND},
    {"children", "256", "running child processes", offsetof(struct mw_limits, children), MW_LIMIT_COUNT, 1, 1u << 20, 256},
    {"workers", "1024", "running workers, theirs included", offsetof(struct mw_limits, workers), MW_LIMIT_COUNT, 1, 1u << 16, 1024},
    {"handles", "100000", "open files, streams, listeners, watches", offsetof(struct mw_limits, handles), MW_LIMIT_COUNT, 8, 1u << 30, 100000},
    {"tasks", "100000", "tasks that have not ended", offsetof(struct mw_limits, tasks), MW_LIMIT_COUNT, 2, 1u << 30, 100000},
    {"buffered", "256MiB", "bytes that all its streams hold", offsetof(struct mw_limits, buffered), MW_LIMIT_BYTES, 64 * KIB, 1024 * GIB, 256 * MIB},
    {"shared", "1GiB", "bytes of shared memory; one is a quarter at most", offsetof(struct mw_limits, shared), MW_LIMIT_BYTES, 16 * KIB, 1024 * GIB, GIB},
};
#define ROWS (sizeof rows / sizeof *rows)

static const struct unit {
    const char *name;
    int unit;
    uint64_t of;
} units[] = {
    {"", MW_LIMIT_COUNT, 1}, {"", MW_LIMIT_BYTES, 1}, {"B", MW_LIMIT_BYTES, 1}, {"KiB", MW_LIMIT_BYTES, KIB}, {"MiB", MW_LIMIT_BYTES, MIB},
    {"GiB", MW_LIMIT_BYTES, GIB}, {"kB", MW_LIMIT_BYTES, 1000}, {"MB", MW_LIMIT_BYTES, 1000000}, {"GB", MW_LIMIT_BYTES, 1000000000},
    {"", MW_LIMIT_TIME, SECOND}, {"s", MW_LIMIT_TIME, SECOND}, {"ms", MW_LIMIT_TIME, SECOND / 1000}, {"m", MW_LIMIT_TIME, 60 * SECOND},
    {"h", MW_LIMIT_TIME, 3600 * SECOND},
};

const struct mw_limit_row *mw_limits_row(size_t i) {
    return i < ROWS ? &rows[i] : NULL;
}

static uint64_t *field(struct mw_limits *l, const struct mw_limit_row *row) {
    return (uint64_t *)(void *)((char *)l + row->at);
}

void mw_limits_fill(struct mw_limits *l) {
    for (size_t i = 0; i < ROWS; i++)
        if (*field(l, &rows[i]) == 0) *field(l, &rows[i]) = rows[i].value;
}

void mw_limits_least(struct mw_limits *l, const struct mw_limits *most, const struct mw_limits *other) {
    struct mw_limits top = *most, asked = *other;

    for (size_t i = 0; i < ROWS; i++)
        if (*field(&asked, &rows[i]) != 0 && *field(&asked, &rows[i]) < *field(&top, &rows[i])) *field(l, &rows[i]) = *field(&asked, &rows[i]);
}

/* "64MiB", "1.5s", "16", "off" to a number of the row's unit. 0: it is none. */
static int read_value(const struct mw_limit_row *row, const char *text, size_t len, uint64_t *out) {
    char word[8] = "";
    double value = 0, scale = 1;
    size_t i = 0, digits = 0;

    if (row->unit == MW_LIMIT_TIME && len == 3 && memcmp(text, "off", 3) == 0) {
        *out = MW_LIMIT_OFF;
        return 1;
    }
    for (; i < len && text[i] >= '0' && text[i] <= '9'; i++, digits++) value = value * 10 + (text[i] - '0');
    if (i < len && text[i] == '.' && row->unit != MW_LIMIT_COUNT)
        for (i++; i < len && text[i] >= '0' && text[i] <= '9'; i++, digits++) value += (text[i] - '0') * (scale /= 10);
    if (digits == 0 || digits > 20 || len - i >= sizeof word) return 0;
    memcpy(word, text + i, len - i);
    for (i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].unit != row->unit || strcmp(units[i].name, word) != 0) continue;
        value *= (double)units[i].of;
        *out = value < 1e19 ? (uint64_t)value : MW_LIMIT_OFF - 1;
        return 1;
    }
    return 0;
}

static const char *example(const struct mw_limit_row *row) {
    return row->unit == MW_LIMIT_BYTES ? "64MiB" : row->unit == MW_LIMIT_TIME ? "2s, 500ms or off" : "16";
}

static int bad(struct mw_err *err, const char *text, size_t len, const char *what) {
    char shown[64];

    mw_err_escape(shown, sizeof shown, text, len);
    return mw_err_setf(err, MW_EINVAL, "limit", NULL, "%s: %s", shown, what);
}

static int read_one(struct mw_limits *l, const char *text, size_t len, unsigned *seen, struct mw_err *err) {
    const char *eq = memchr(text, '=', len);
    size_t name = eq != NULL ? (size_t)(eq - text) : len, i = 0;
    char what[160], low[32], high[32];
    uint64_t value;

    while (i < ROWS && (strlen(rows[i].name) != name || memcmp(rows[i].name, text, name) != 0)) i++;
    if (i == ROWS) return bad(err, text, len, "no limit has this name (memory, step, children, workers, handles, tasks, buffered, shared)");
    if (*seen & 1u << i) return bad(err, text, len, "named twice");
    *seen |= 1u << i;
    if (eq == NULL || !read_value(&rows[i], eq + 1, len - name - 1, &value)) {
        snprintf(what, sizeof what, "write %s=%s", rows[i].name, example(&rows[i]));
        return bad(err, text, len, what);
    }
    if (!(rows[i].unit == MW_LIMIT_TIME && value == MW_LIMIT_OFF) && (value < rows[i].min || value > rows[i].max)) {
        snprintf(what, sizeof what, "it must be between %s and %s%s", mw_limits_show(rows[i].unit, rows[i].min, low, sizeof low),
                 mw_limits_show(rows[i].unit, rows[i].max, high, sizeof high), rows[i].unit == MW_LIMIT_TIME ? ", or off" : "");
        return bad(err, text, len, what);
    }
    *field(l, &rows[i]) = value;
    return 0;
}

int mw_limits_parse(struct mw_limits *l, const char *text, struct mw_err *err) {
    struct mw_limits read = *l;
    unsigned seen = 0;
    int rc = 0;

    if (*text == 0) return bad(err, text, 0, "names no limit");
    while (rc == 0) {
        size_t len = strcspn(text, ",");
        rc = read_one(&read, text, len, &seen, err);
        if (text[len] == 0) break;
        text += len + 1;
    }
    if (rc == 0) *l = read;
    return rc;
}

const char *mw_limits_show(int unit, uint64_t value, char *out, size_t size) {
    if (value == MW_LIMIT_OFF) snprintf(out, size, "off");
    else if (unit == MW_LIMIT_TIME) snprintf(out, size, "%g s", (double)value / 1e9);
    else if (unit == MW_LIMIT_BYTES && value >= GIB && value % GIB == 0) snprintf(out, size, "%llu GiB", (unsigned long long)(value / GIB));
    else if (unit == MW_LIMIT_BYTES && value >= MIB) snprintf(out, size, "%g MiB", (double)value / (double)MIB);
    else if (unit == MW_LIMIT_BYTES && value >= KIB) snprintf(out, size, "%g KiB", (double)value / (double)KIB);
    else snprintf(out, size, "%llu%s", (unsigned long long)value, unit == MW_LIMIT_BYTES ? " bytes" : "");
    return out;
}

int mw_limits_reached(struct mw_err *err, const char *op, const char *subject, const char *name, const char *what) {
    mw_err_set(err, MW_ELIMIT, op, subject, what);
    mw_err_hint(err, "the limit is set with --limit=%s=...", name);
    return MW_ELIMIT;
}
