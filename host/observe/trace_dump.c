/* Traces for a person at a terminal: a line for each message, and its bytes beneath, sixteen a row.
 * Knows: observe/trace_parts. Never: a control character of what is traced. */
#include <stdio.h>
#include <string.h>

#include "observe/trace_parts.h"

#define ROW 16u

static const char *colour(const mw_trace *t, const char *code) { return t->o.colour ? code : ""; }

/* Names come from outside: what a terminal would obey is shown, not sent. */
static void name(mw_trace *t, const char *text) {
    char shown[512];
    mw_err_escape(shown, sizeof shown, text, strlen(text));
    mw_trace_text(t, shown);
}

static void row(mw_trace *t, const char *at, size_t offset, size_t len) {
    static const char digits[] = "0123456789abcdef";
    char line[ROW * 3 + 1], text[ROW + 1];
    size_t n = 0;

    for (size_t i = 0; i < ROW; i++) {
        unsigned char c = i < len ? (unsigned char)at[offset + i] : 0;
        if (i == ROW / 2) line[n++] = ' ';
        line[n++] = i < len ? digits[c >> 4] : ' ';
        line[n++] = i < len ? digits[c & 15] : ' ';
        if (i + 1 < ROW) line[n++] = ' ';
        if (i < len) text[i] = c >= 0x20 && c < 0x7f ? (char)c : '.';
    }
    text[len] = 0;
    mw_trace_fmt(t, "  %s%06zx%s  %.*s  %s|%s|%s\n", colour(t, "\033[2m"), offset, colour(t, "\033[0m"), (int)n, line,
                 colour(t, "\033[36m"), text, colour(t, "\033[0m"));
}

static void head(mw_trace *t, const struct mw_event *e, const char *mark, const char *code) {
    char time[40];

    mw_trace_time(t, e->at, 1, time, sizeof time);
    mw_trace_fmt(t, "%s%s%s %s%s%s ", colour(t, "\033[2m"), time, colour(t, "\033[0m"), colour(t, code), mark, colour(t, "\033[0m"));
    if (t->o.child) mw_trace_fmt(t, "[%ld] ", t->o.child);
}

static void message(mw_trace *t, const struct mw_event *e) {
    int send = e->dir == MW_PROBE_SEND;

    head(t, e, send ? "send ->" : "recv <-", send ? "\033[33m" : "\033[32m");
    mw_trace_fmt(t, "%s #%u ", mw_probe_kind_name(e->probe->kind), e->probe->id);
    name(t, e->probe->name);
    mw_trace_fmt(t, ", %llu byte%s\n", (unsigned long long)e->full, e->full == 1 ? "" : "s");
    for (size_t at = 0; at < e->len; at += ROW) row(t, e->data, at, e->len - at < ROW ? e->len - at : ROW);
    if (e->len < e->full) mw_trace_fmt(t, "  ... %llu more\n", (unsigned long long)(e->full - e->len));
}

void mw_trace_dump(mw_trace *t, const struct mw_event *e) {
    switch (e->kind) {
    case MW_EVENT_OPEN:
    case MW_EVENT_CLOSE:
        head(t, e, e->kind == MW_EVENT_OPEN ? "open   " : "close  ", "\033[2m");
        mw_trace_fmt(t, "%s #%u ", mw_probe_kind_name(e->probe->kind), e->probe->id);
        name(t, e->probe->name);
        mw_trace_text(t, "\n");
        return;
    case MW_EVENT_MESSAGE: message(t, e); return;
    case MW_EVENT_PROCESS:
        head(t, e, "process", "\033[35m");
        mw_trace_fmt(t, "%llu ", (unsigned long long)e->task);
        name(t, e->text);
        mw_trace_fmt(t, ": %s\n", e->what);
        return;
    case MW_EVENT_SLICE:
        if (e->slice != MW_SLICE_SPAN) return;
        head(t, e, "span   ", "\033[34m");
        name(t, e->text);
        mw_trace_fmt(t, ", %.6f s\n", (double)(e->at - e->from) / 1e9);
        return;
    case MW_EVENT_END:
        if (e->text == NULL) return;
        /* fall through */
    case MW_EVENT_NOTE:
        head(t, e, "note   ", "\033[31m");
        name(t, e->text);
        mw_trace_text(t, "\n");
        return;
    case MW_EVENT_BEGIN:
    case MW_EVENT_TASK:
    case MW_EVENT_WAKE: return;
    }
}
