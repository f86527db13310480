/* Traces as JSON lines: an object a line, each whole.
 * Those of a script child say whose they are: "process".
 * Knows: observe/trace_parts. Never: tasks: they have a picture (trace_chrome.c). */
#include <string.h>
#include <unistd.h>

#include "observe/trace_parts.h"

static void head(mw_trace *t, const struct mw_event *e, const char *kind) {
    char time[40];

    mw_trace_time(t, e->at, 0, time, sizeof time);
    mw_trace_fmt(t, "{\"time\":\"%s\",\"mono\":%llu.%09llu,\"event\":\"%s\"", time, (unsigned long long)(e->at / 1000000000u),
                 (unsigned long long)(e->at % 1000000000u), kind);
    if (t->o.child) mw_trace_fmt(t, ",\"process\":%ld", t->o.child);
}

static void field(mw_trace *t, const char *name, const char *text) {
    if (text == NULL) return;
    mw_trace_fmt(t, ",\"%s\":", name);
    mw_trace_quote(t, text, strlen(text));
}

static void probe(mw_trace *t, const mw_probe *p) {
    mw_trace_fmt(t, ",\"id\":%u,\"kind\":\"%s\"", p->id, mw_probe_kind_name(p->kind));
    field(t, "name", p->name);
}

static void message(mw_trace *t, const struct mw_event *e) {
    int cut = e->len < e->full;
    size_t len = e->len;

    mw_trace_fmt(t, ",\"dir\":\"%s\",\"bytes\":%llu", e->dir == MW_PROBE_SEND ? "send" : "recv", (unsigned long long)e->full);
    if (e->task != 0) mw_trace_fmt(t, ",\"task\":%llu", (unsigned long long)e->task);
    if (e->len == 0 && e->full > 0) {
        mw_trace_text(t, ",\"cut\":true");
        return;
    }
    if (mw_trace_is_text(e->data, &len, cut)) {
        mw_trace_text(t, ",\"data\":");
        mw_trace_quote(t, e->data, len);
    } else {
        mw_trace_text(t, ",\"hex\":\"");
        for (size_t i = 0; i < e->len; i++) {
            static const char digits[] = "0123456789abcdef";
            char two[2] = {digits[(unsigned char)e->data[i] >> 4], digits[(unsigned char)e->data[i] & 15]};
            mw_trace_add(t, two, 2);
        }
        mw_trace_text(t, "\"");
    }
    if (cut) mw_trace_text(t, ",\"cut\":true");
}

void mw_trace_lines(mw_trace *t, const struct mw_event *e) {
    switch (e->kind) {
    case MW_EVENT_BEGIN:
        head(t, e, "begin");
        mw_trace_fmt(t, ",\"format\":1,\"payload\":%zu", t->o.payload);
        if (!t->o.child) mw_trace_fmt(t, ",\"process\":%ld", (long)getpid());
        break;
    case MW_EVENT_OPEN:
    case MW_EVENT_CLOSE:
        head(t, e, e->kind == MW_EVENT_OPEN ? "open" : "close");
        probe(t, e->probe);
        break;
    case MW_EVENT_MESSAGE:
        head(t, e, "message");
        probe(t, e->probe);
        message(t, e);
        break;
    case MW_EVENT_PROCESS:
        head(t, e, "process");
        mw_trace_fmt(t, ",\"pid\":%llu", (unsigned long long)e->task);
        field(t, "program", e->text);
        field(t, "what", e->what);
        break;
    case MW_EVENT_SLICE:
        if (e->slice != MW_SLICE_SPAN) return;
        head(t, e, "span");
        field(t, "name", e->text);
        mw_trace_fmt(t, ",\"seconds\":%llu.%09llu", (unsigned long long)((e->at - e->from) / 1000000000u),
                     (unsigned long long)((e->at - e->from) % 1000000000u));
        break;
    case MW_EVENT_NOTE:
    case MW_EVENT_END:
        head(t, e, e->kind == MW_EVENT_NOTE ? "note" : "end");
        field(t, "text", e->text);
        break;
    case MW_EVENT_TASK:
    case MW_EVENT_WAKE: return;
    }
    mw_trace_text(t, "}\n");
}
