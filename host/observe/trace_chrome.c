/* Traces as Chrome's trace events, for ui.perfetto.dev: tasks as threads, what they ran and waited for as slices, arrows from whoever
 * ended a wait, messages as marks. An array of objects, which readers take also where it is cut off.
 * Knows: observe/trace_parts. Never: a payload beyond what is kept. */
#include <string.h>
#include <unistd.h>

#include "observe/trace_parts.h"

/* What every event has; microseconds. */
static void head(mw_trace *t, const char *phase, uint64_t at, uint64_t task) {
    mw_trace_fmt(t, ",\n{\"ph\":\"%s\",\"pid\":%ld,\"tid\":%llu,\"ts\":%llu.%03u", phase, (long)getpid(), (unsigned long long)task,
                 (unsigned long long)(at / 1000), (unsigned)(at % 1000));
}

static void named(mw_trace *t, const char *key, const char *text) {
    mw_trace_fmt(t, ",\"%s\":", key);
    mw_trace_quote(t, text, strlen(text));
}

static void thread_name(mw_trace *t, uint64_t task, const char *name) {
    mw_trace_fmt(t, ",\n{\"ph\":\"M\",\"pid\":%ld,\"tid\":%llu,\"name\":\"thread_name\",\"args\":{\"name\":", (long)getpid(), (unsigned long long)task);
    mw_trace_quote(t, name, strlen(name));
    mw_trace_text(t, "}}");
}

static void message(mw_trace *t, const struct mw_event *e) {
    size_t len = e->len;

    head(t, "i", e->at, e->task);
    mw_trace_fmt(t, ",\"s\":\"t\",\"cat\":\"%s\",\"name\":\"%s\",\"args\":{\"id\":%u,\"bytes\":%llu", mw_probe_kind_name(e->probe->kind),
                 e->dir == MW_PROBE_SEND ? "send" : "recv", e->probe->id, (unsigned long long)e->full);
    named(t, "to", e->probe->name);
    if (len > 0 && mw_trace_is_text(e->data, &len, e->len < e->full)) {
        mw_trace_text(t, ",\"data\":");
        mw_trace_quote(t, e->data, len);
    }
    mw_trace_text(t, "}}");
}

static void slice(mw_trace *t, const struct mw_event *e) {
    static const char *const kinds[] = {"run", "wait", "span"};
    uint64_t ns = e->at - e->from;

    head(t, "X", e->from, e->task);
    mw_trace_fmt(t, ",\"dur\":%llu.%03u,\"cat\":\"%s\"", (unsigned long long)(ns / 1000), (unsigned)(ns % 1000), kinds[e->slice]);
    named(t, "name", e->text != NULL ? e->text : kinds[e->slice]);
    mw_trace_text(t, "}");
}

/* An arrow, in two halves that find one another by their number. */
static void arrow(mw_trace *t, const struct mw_event *e) {
    unsigned id = ++t->flows;

    head(t, "s", e->at, e->task);
    mw_trace_fmt(t, ",\"id\":%u,\"cat\":\"wake\",\"name\":\"wakes\"}", id);
    head(t, "f", e->at, e->whom);
    mw_trace_fmt(t, ",\"id\":%u,\"bp\":\"e\",\"cat\":\"wake\",\"name\":\"wakes\"}", id);
}

static void mark(mw_trace *t, const struct mw_event *e, const char *name, const char *key, const char *text) {
    head(t, "i", e->at, 0);
    mw_trace_text(t, ",\"s\":\"p\"");
    named(t, "name", name);
    mw_trace_text(t, ",\"args\":{");
    mw_trace_fmt(t, "\"%s\":", key);
    mw_trace_quote(t, text, strlen(text));
    mw_trace_text(t, "}}");
}

void mw_trace_chrome(mw_trace *t, const struct mw_event *e) {
    switch (e->kind) {
    case MW_EVENT_BEGIN:
        mw_trace_fmt(t, "%s\n{\"ph\":\"M\",\"pid\":%ld,\"tid\":0,\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}}", t->o.child ? "," : "[",
                     (long)getpid(), t->o.child ? "moonwire child" : "moonwire");
        thread_name(t, 0, "loop");
        return;
    case MW_EVENT_OPEN: mark(t, e, "open", "name", e->probe->name); return;
    case MW_EVENT_CLOSE: mark(t, e, "close", "name", e->probe->name); return;
    case MW_EVENT_MESSAGE: message(t, e); return;
    case MW_EVENT_PROCESS: mark(t, e, e->text, "what", e->what); return;
    case MW_EVENT_SLICE: slice(t, e); return;
    case MW_EVENT_TASK: thread_name(t, e->task, e->text); return;
    case MW_EVENT_WAKE: arrow(t, e); return;
    case MW_EVENT_NOTE: mark(t, e, "note", "text", e->text); return;
    case MW_EVENT_END:
        if (e->text != NULL) mark(t, e, "end", "text", e->text);
        if (!t->o.child) mw_trace_text(t, "\n]\n");
        return;
    }
}
