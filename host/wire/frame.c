/* The built-in formats, and the two verbs of all formats: parse and compose.
 * Knows: wire/frame_header, base.
 * Never: I/O, memory of its own. Every format decides from left to right, so cutting the bytes anywhere changes nothing. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "wire/frame_header.h"

#define CONTENT_LENGTH "Content-Length"

static int refuse(struct mw_frame *out, const char *why, const char *what, uint64_t announced) {
    out->why = why;
    out->what = what;
    out->announced = announced;
    return MW_EFRAME;
}

static int more(struct mw_frame *out, size_t need) {
    out->need = need;
    return 0;
}

/* A length of `n` after `head` bytes, then the data, then `tail` bytes: whole, or how much is missing. n was checked. */
static int body(struct mw_frame *out, const char *at, size_t len, size_t head, size_t n, size_t tail) {
    if (len - head < n + tail) return more(out, n + tail - (len - head));
    out->head = at;
    out->data = at + head;
    out->len = n;
    out->used = head + n + tail;
    return 1;
}

static int parse_lines(const struct mw_frame_format *f, const char *at, size_t len, struct mw_frame *out) {
    size_t most = len <= f->max ? len : f->max + 1; /* a newline further on would be too late */
    const char *end = most > out->seen ? memchr(at + out->seen, '\n', most - out->seen) : NULL;

    if (end != NULL) {
        out->seen = 0;
        return body(out, at, len, 0, (size_t)(end - at), 1);
    }
    if (len > f->max) return refuse(out, "too_large", "a line longer than max", 0);
    out->seen = len;
    return more(out, 1);
}

static int parse_varint(const struct mw_frame_format *f, const char *at, size_t len, struct mw_frame *out) {
    uint64_t n = 0;

    for (size_t i = 0; i < len; i++) {
        uint64_t low = (unsigned char)at[i] & 0x7f;
        if (i == 9 && low > 1) return refuse(out, "too_large", "a length of more than 64 bits", 0);
        n |= low << (7 * i);
        if (n > f->max) return refuse(out, "too_large", "longer than max", n);
        if (((unsigned char)at[i] & 0x80) == 0) return body(out, at, len, i + 1, (size_t)n, 0);
        if (i == 9) return refuse(out, "protocol", "a varint of more than 10 bytes", 0);
    }
    return more(out, 1);
}

static int parse_netstring(const struct mw_frame_format *f, const char *at, size_t len, struct mw_frame *out) {
    uint64_t n = 0; /* at most max * 10 + 9 */
    size_t i;

    for (i = 0; i < len && at[i] >= '0' && at[i] <= '9'; i++) {
        if (i == 1 && at[0] == '0') return refuse(out, "protocol", "a netstring's length that starts with 0", 0);
        n = n * 10 + (unsigned)(at[i] - '0');
        if (n > f->max) return refuse(out, "too_large", "longer than max", n);
    }
    if (i == len) return more(out, 1); /* not what a whole frame still lacks: the next byte may be refused */
    if (i == 0 || at[i] != ':') return refuse(out, "protocol", "no netstring: LENGTH:DATA,", 0);
    if (len - i > n + 1 && at[i + 1 + n] != ',') return refuse(out, "protocol", "a netstring that does not end in a comma", 0);
    return body(out, at, len, i + 1, (size_t)n, 1);
}

/* One header line at[0..len), without its CRLF. *length becomes what Content-Length says; it starts as -1. */
static int content_line(const struct mw_frame_format *f, const char *at, size_t len, int64_t *length, struct mw_frame *out) {
    size_t name = 0, i, end = len;
    int64_t n = 0;

    while (name < len && at[name] > ' ' && at[name] < 0x7f && at[name] != ':') name++;
    if (name == 0 || name == len || at[name] != ':') return refuse(out, "protocol", "a header line without a name", 0);
    for (i = name + 1; i < len; i++) {
        if (((unsigned char)at[i] < ' ' && at[i] != '\t') || at[i] == 0x7f) {
            return refuse(out, "protocol", "a control character in a header", 0);
        }
    }
    if (name != strlen(CONTENT_LENGTH) || strncasecmp(at, CONTENT_LENGTH, name) != 0) return 0;
    if (*length >= 0) return refuse(out, "protocol", "more than one Content-Length", 0);
    for (i = name + 1; i < end && (at[i] == ' ' || at[i] == '\t'); i++) {}
    while (end > i && (at[end - 1] == ' ' || at[end - 1] == '\t')) end--;
    if (i == end) return refuse(out, "protocol", "a Content-Length that is no number", 0);
    for (; i < end; i++) {
        if (at[i] < '0' || at[i] > '9') return refuse(out, "protocol", "a Content-Length that is no number", 0);
        n = n * 10 + (at[i] - '0');
        if ((uint64_t)n > f->max) return refuse(out, "too_large", "longer than max", (uint64_t)n);
    }
    *length = n;
    return 0;
}

static int parse_content(const struct mw_frame_format *f, const char *at, size_t len, struct mw_frame *out) {
    size_t most = len < MW_FRAME_TEXT_HEAD ? len : MW_FRAME_TEXT_HEAD;
    size_t line = 0; /* where the line that we look at starts */
    int64_t n = -1;

    for (;;) {
        const char *end = line < most ? memchr(at + line, '\n', most - line) : NULL;
        size_t stop;

        if (end == NULL && len >= MW_FRAME_TEXT_HEAD) return refuse(out, "too_large", "headers of more than 4096 bytes", 0);
        if (end == NULL) return more(out, 1);
        stop = (size_t)(end - at);
        if (stop == line || at[stop - 1] != '\r') return refuse(out, "protocol", "a header line that does not end in CRLF", 0);
        if (stop - line == 1) {
            if (n < 0) return refuse(out, "protocol", "headers without Content-Length", 0);
            return body(out, at, len, stop + 1, (size_t)n, 0);
        }
        if (content_line(f, at + line, stop - 1 - line, &n, out) < 0) return MW_EFRAME;
        line = stop + 1;
    }
}

int mw_frame_parse(const struct mw_frame_format *f, const char *at, size_t len, struct mw_frame *out) {
    switch (f->kind) {
    case MW_FRAME_FIXED: return mw_frame_fixed_parse(f, at, len, out);
    case MW_FRAME_LINES: return parse_lines(f, at, len, out);
    case MW_FRAME_VARINT: return parse_varint(f, at, len, out);
    case MW_FRAME_NETSTRING: return parse_netstring(f, at, len, out);
    case MW_FRAME_CONTENT: return parse_content(f, at, len, out);
    }
    return refuse(out, "protocol", "no format", 0);
}

static void compose_varint(size_t len, struct mw_frame_wrap *out) {
    do {
        out->head[out->head_len++] = (char)((len & 0x7f) | (len > 0x7f ? 0x80 : 0));
        len >>= 7;
    } while (len > 0);
}

int mw_frame_compose(const struct mw_frame_format *f, const union mw_frame_value *values, const char *data, size_t len,
                     struct mw_frame_wrap *out) {
    out->head_len = out->tail_len = 0;
    out->why = out->what = NULL;
    if (len > f->max) {
        out->why = "too_large";
        out->what = f->kind == MW_FRAME_LINES ? "a line longer than max" : "longer than max";
        return MW_EFRAME;
    }
    switch (f->kind) {
    case MW_FRAME_FIXED: return mw_frame_fixed_compose(f, values, len, out);
    case MW_FRAME_LINES:
        if (len > 0 && memchr(data, '\n', len) != NULL) {
            out->why = "protocol";
            out->what = "a newline inside a line";
            return MW_EFRAME;
        }
        out->tail[out->tail_len++] = '\n';
        return 0;
    case MW_FRAME_VARINT: compose_varint(len, out); return 0;
    case MW_FRAME_NETSTRING:
        out->head_len = (unsigned)snprintf(out->head, sizeof out->head, "%zu:", len);
        out->tail[out->tail_len++] = ',';
        return 0;
    case MW_FRAME_CONTENT:
        out->head_len = (unsigned)snprintf(out->head, sizeof out->head, CONTENT_LENGTH ": %zu\r\n\r\n", len);
        return 0;
    }
    return MW_EINVAL;
}

int mw_frame_named(struct mw_frame_format *f, const char *name, size_t max, struct mw_err *err) {
    static const struct { const char *name, *header; enum mw_frame_kind kind; unsigned length; } known[] = {
        {"lines", NULL, MW_FRAME_LINES, 0},
        {"u32le", "<I4", MW_FRAME_FIXED, 1},
        {"u32be", ">I4", MW_FRAME_FIXED, 1},
        {"varint", NULL, MW_FRAME_VARINT, 0},
        {"netstring", NULL, MW_FRAME_NETSTRING, 0},
        {"content-length", NULL, MW_FRAME_CONTENT, 0},
        {"typed", "<B I4", MW_FRAME_FIXED, 2},
    };
    const size_t count = sizeof known / sizeof known[0];
    size_t i = 0, hard;

    while (i < count && strcmp(known[i].name, name) != 0) i++;
    if (i == count) {
        mw_err_set(err, MW_EINVAL, "frame", name, "no such protocol");
        return mw_err_hint(err, "lines, u32le, u32be, varint, netstring, content-length or typed"), MW_EINVAL;
    }
    hard = known[i].kind == MW_FRAME_LINES ? MW_FRAME_LINE_MAX_HARD : MW_FRAME_MAX_HARD;
    if (max > hard) return mw_err_setf(err, MW_EINVAL, "frame", name, "max must be at most %zu bytes", hard);
    if (known[i].header != NULL) {
        int rc = mw_frame_custom(f, known[i].header, known[i].length, max, err);
        f->name = known[i].name;
        return rc;
    }
    memset(f, 0, sizeof *f);
    f->name = known[i].name;
    f->kind = known[i].kind;
    f->max = max != 0 ? max : known[i].kind == MW_FRAME_LINES ? MW_FRAME_LINE_MAX : MW_FRAME_MAX;
    return 0;
}

int mw_frame_refuse(const struct mw_frame_format *f, const char *why, const char *what, uint64_t announced, const char *op,
                    const char *subject, struct mw_err *err) {
    if (strcmp(why, "too_large") != 0) return mw_err_setf(err, MW_EFRAME, op, subject, "bad frame (%s): %s", f->name, what);
    if (announced == 0) {
        mw_err_setf(err, MW_EFRAME, op, subject, "frame too large (%s): %s", f->name, what);
    } else {
        mw_err_setf(err, MW_EFRAME, op, subject, "frame too large (%s): %llu bytes, %s", f->name, (unsigned long long)announced,
                    what);
    }
    return mw_err_hint(err, "max is %zu bytes", f->max), MW_EFRAME;
}
