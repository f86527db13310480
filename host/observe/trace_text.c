/* What the formats of traces that are text have in common: bytes, JSON strings, times.
 * Knows: observe/trace_parts. Never: an event. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "observe/trace_parts.h"

void mw_trace_add(mw_trace *t, const void *at, size_t len) {
    if (len == 0 || t->failed) return;
    if (mw_bytes_add(&t->out, at, len) < 0) t->failed = 1;
}

void mw_trace_text(mw_trace *t, const char *text) { mw_trace_add(t, text, strlen(text)); }

void mw_trace_fmt(mw_trace *t, const char *fmt, ...) {
    char text[512];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text) t->failed = 1;
    else mw_trace_add(t, text, (size_t)n);
}

/* Bytes of the UTF-8 character at `at`: 0: none is; -1: it may be, but goes on beyond `len`. */
static int character(const unsigned char *at, size_t len) {
    unsigned low = 0x80, high = 0xbf;
    int n;

    if (at[0] < 0x80) return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4) return 0;
    n = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] == 0xe0) low = 0xa0;
    if (at[0] == 0xed) high = 0x9f;
    if (at[0] == 0xf0) low = 0x90;
    if (at[0] == 0xf4) high = 0x8f;
    for (int i = 1; i < n; i++) {
        if ((size_t)i == len) return -1;
        if (at[i] < (i == 1 ? low : 0x80) || at[i] > (i == 1 ? high : 0xbf)) return 0;
    }
    return n;
}

int mw_trace_is_text(const char *at, size_t *len, int cut) {
    const unsigned char *p = (const unsigned char *)at;
    size_t i = 0;

    while (i < *len) {
        int n = character(p + i, *len - i);
        if (n < 0 && cut) {
            *len = i;
            return 1;
        }
        if (n <= 0) return 0;
        i += (size_t)n;
    }
    return 1;
}

void mw_trace_quote(mw_trace *t, const char *at, size_t len) {
    const unsigned char *p = (const unsigned char *)at;
    size_t i = 0, plain = 0;

    mw_trace_add(t, "\"", 1);
    while (i < len) {
        int n = character(p + i, len - i);
        int c = p[i];
        if (n > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += (size_t)n;
            continue;
        }
        mw_trace_add(t, at + plain, i - plain);
        if (n <= 0) mw_trace_text(t, "\\ufffd");
        else if (c == '"' || c == '\\') mw_trace_fmt(t, "\\%c", c);
        else if (c == '\n') mw_trace_text(t, "\\n");
        else if (c == '\r') mw_trace_text(t, "\\r");
        else if (c == '\t') mw_trace_text(t, "\\t");
        else mw_trace_fmt(t, "\\u%04x", (unsigned)c);
        plain = ++i;
    }
    mw_trace_add(t, at + plain, i - plain);
    mw_trace_add(t, "\"", 1);
}

void mw_trace_time(const mw_trace *t, uint64_t at, int short_, char *out, size_t size) {
    uint64_t wall = mw_trace_wall(t, at);
    time_t seconds = (time_t)(wall / 1000000000u);
    unsigned micros = (unsigned)(wall % 1000000000u / 1000);
    struct tm tm;
    char day[24] = "";

    if (short_ ? localtime_r(&seconds, &tm) != NULL : gmtime_r(&seconds, &tm) != NULL)
        strftime(day, sizeof day, short_ ? "%H:%M:%S" : "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, size, "%s.%06u%s", day, micros, short_ ? "" : "Z");
}
