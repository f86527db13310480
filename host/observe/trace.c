/* Traces: events in, bytes of a format out, within bounds.
 * Knows: observe/trace_parts. Never: a format's bytes; a file. */
#include "observe/trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "observe/trace_parts.h"

#define END_ROOM 4096u               /* bytes kept back from the bound, for what ends a trace */

const char *const mw_trace_secrets[] = {
    "password", "passwd", "passphrase", "secret", "client_secret", "token", "access_token", "refresh_token", "authorization",
    "proxy-authorization", "cookie", "set-cookie", "api_key", "apikey", "api-key", "x-api-key", "private_key", NULL,
};

int mw_trace_format_of(const char *path, enum mw_trace_format *out) {
    static const struct { const char *ending; enum mw_trace_format format; } endings[] = {
        {".pcapng", MW_TRACE_PCAPNG}, {".jsonl", MW_TRACE_LINES}, {".trace.json", MW_TRACE_CHROME},
    };
    size_t len = strlen(path);

    *out = MW_TRACE_DUMP;
    if (strcmp(path, "-") == 0 || strcmp(path, "stderr") == 0) return 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i].ending);
        if (len <= n || strcmp(path + len - n, endings[i].ending) != 0) continue;
        *out = endings[i].format;
        return 0;
    }
    return MW_EINVAL;
}

const char *mw_probe_kind_name(enum mw_probe_kind kind) {
    static const char *const names[MW_PROBE_KINDS] = {"stream", "channel", "worker", "ring", "queue"};
    return names[kind];
}

static uint64_t clock_ns(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
uint64_t mw_trace_now(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t mw_trace_wall(const mw_trace *t, uint64_t at) { return t->wall0 + (at - t->mono0); }

/* ---- Writing an event --------------------------------------------------------------------------------------------------- */

/* One more event, in the trace's lock: whole or not at all. Returns 1 when it stands. */
static int put(mw_trace *t, const struct mw_event *e) {
    size_t before = mw_bytes_len(&t->out), size;

    t->failed = 0;
    t->write(t, e);
    size = mw_bytes_len(&t->out) - before;
    if (!t->failed && (t->telling || t->bytes + size + END_ROOM <= t->o.max)) {
        t->bytes += size;
        return 1;
    }
    t->out.tail -= size;
    return 0;
}

static void tell(mw_trace *t, enum mw_event_kind kind, const char *text) {
    struct mw_event e = {.kind = kind, .at = mw_trace_now(), .text = text};
    t->telling = 1;
    put(t, &e);
    t->telling = 0;
}

static void end(mw_trace *t, const char *why) {
    if (t->ended) return;
    tell(t, MW_EVENT_END, why);
    t->ended = 1;
}

/* Says what is missing, once there is room again. */
static void tell_lost(mw_trace *t) {
    char text[80];

    if (t->lost == t->lost_told) return;
    snprintf(text, sizeof text, "%llu events are missing here", (unsigned long long)(t->lost - t->lost_told));
    t->lost_told = t->lost;
    tell(t, MW_EVENT_NOTE, text);
}

static void emit(mw_trace *t, const struct mw_event *e) {
    int urgent;

    if (t->ended) return;
    t->events++;
    if (mw_bytes_len(&t->out) >= MW_TRACE_HELD) {
        t->lost++;
        return;
    }
    tell_lost(t);
    if (!put(t, e)) {
        t->lost++;
        if (!t->failed) end(t, "the trace has reached its size limit (option max)");
    }
    urgent = mw_bytes_len(&t->out) >= MW_TRACE_WAKE || t->o.format == MW_TRACE_DUMP || t->o.child; /* a child may be killed once it answered */
    if (t->news == NULL || mw_bytes_len(&t->out) == 0 || t->said > urgent) return;
    t->said = 1 + urgent;
    t->news(t->news_ud, urgent);
}

static void emit_alone(mw_trace *t, struct mw_event *e) {
    pthread_mutex_lock(&t->lock);
    e->at = mw_trace_now();
    emit(t, e);
    pthread_mutex_unlock(&t->lock);
}

/* ---- A trace ------------------------------------------------------------------------------------------------------------ */

int mw_trace_new(const struct mw_trace_options *o, mw_trace **out) {
    static mw_trace_writer *const writers[] = {mw_trace_pcapng, mw_trace_lines, mw_trace_chrome, mw_trace_dump};
    mw_trace *t = calloc(1, sizeof *t);

    if (t == NULL) return MW_ENOMEM;
    for (size_t i = 0; i < o->redact_count; i++) {
        if (mw_redact_add(&t->names, o->redact[i], strlen(o->redact[i])) == 0) continue;
        free(t);
        return MW_ELIMIT;
    }
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        return MW_ENOMEM;
    }
    t->refs = 1;
    t->o = *o;
    t->o.redact = NULL;
    if (t->o.max == 0) t->o.max = MW_TRACE_MAX;
    t->write = writers[o->format];
    t->fd = -1;
    t->wall0 = clock_ns(CLOCK_REALTIME);
    t->mono0 = mw_trace_now();
    tell(t, MW_EVENT_BEGIN, NULL);
    *out = t;
    return 0;
}

int mw_trace_made_with(mw_trace *t, const struct mw_trace_options *o) {
    struct mw_redact_names names = {0};

    for (size_t i = 0; i < o->redact_count; i++) {
        if (mw_redact_add(&names, o->redact[i], strlen(o->redact[i])) < 0) return 0;
    }
    return t->o.format == o->format && t->o.payload == o->payload && t->o.max == (o->max != 0 ? o->max : MW_TRACE_MAX) &&
        memcmp(&t->names, &names, sizeof names) == 0 && !mw_trace_ended(t);
}

mw_trace *mw_trace_hold(mw_trace *t) {
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void mw_trace_release(mw_trace *t) {
    if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1) return;
    pthread_mutex_destroy(&t->lock);
    mw_bytes_free(&t->out);
    free(t->kept);
    free(t);
}

void mw_trace_on_news(mw_trace *t, void (*fn)(void *ud, int urgent), void *ud) {
    pthread_mutex_lock(&t->lock);
    t->news = fn;
    t->news_ud = ud;
    pthread_mutex_unlock(&t->lock);
}

void mw_trace_take(mw_trace *t, struct mw_bytes *into) {
    struct mw_bytes empty = *into;

    pthread_mutex_lock(&t->lock);
    *into = t->out;
    t->out = empty;
    t->said = 0;
    pthread_mutex_unlock(&t->lock);
}

void mw_trace_end(mw_trace *t, const char *why) {
    pthread_mutex_lock(&t->lock);
    if (!t->ended) tell_lost(t);
    end(t, why);
    pthread_mutex_unlock(&t->lock);
}

void mw_trace_break(mw_trace *t, int code) {
    pthread_mutex_lock(&t->lock);
    t->ended = 1;
    if (t->trouble == 0) t->trouble = code;
    pthread_mutex_unlock(&t->lock);
}

int mw_trace_trouble(mw_trace *t) {
    int code;

    pthread_mutex_lock(&t->lock);
    code = t->told ? 0 : t->trouble;
    t->told |= t->trouble != 0;
    pthread_mutex_unlock(&t->lock);
    return code;
}

void mw_trace_goes_to(mw_trace *t, int fd) {
    pthread_mutex_lock(&t->lock);
    t->fd = fd;
    pthread_mutex_unlock(&t->lock);
}

/* A file takes what is appended whole; in a pipe an event above PIPE_BUF would have others' in its middle. What is for a person stays. */
static int has_room_for_others(const mw_trace *t) {
    struct stat st;
    return t->fd >= 0 && !t->ended && (t->o.format == MW_TRACE_DUMP || (fstat(t->fd, &st) == 0 && S_ISREG(st.st_mode)));
}

int mw_trace_heir(mw_trace *t, struct mw_trace_options *o) {
    int fd;

    pthread_mutex_lock(&t->lock);
    fd = has_room_for_others(t) ? fcntl(t->fd, F_DUPFD_CLOEXEC, 3) : -1;
    *o = (struct mw_trace_options){.format = t->o.format, .payload = t->o.payload, .max = t->o.max, .colour = t->o.colour};
    pthread_mutex_unlock(&t->lock);
    return fd;
}

int mw_trace_ended(mw_trace *t) {
    int ended;
    pthread_mutex_lock(&t->lock);
    ended = t->ended;
    pthread_mutex_unlock(&t->lock);
    return ended;
}

void mw_trace_counts(mw_trace *t, uint64_t *bytes, uint64_t *events, uint64_t *lost) {
    pthread_mutex_lock(&t->lock);
    *bytes = t->bytes;
    *events = t->events;
    *lost = t->lost;
    pthread_mutex_unlock(&t->lock);
}

/* ---- Probes ------------------------------------------------------------------------------------------------------------- */

int mw_trace_full(mw_trace *t) {
    int full;

    pthread_mutex_lock(&t->lock);
    full = t->o.probes > 0 && t->live >= t->o.probes;
    pthread_mutex_unlock(&t->lock);
    return full;
}

/* One that is not there is one event that is missing. */
static mw_probe *no_probe(mw_trace *t) {
    pthread_mutex_lock(&t->lock);
    if (!t->ended) t->lost++;
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

mw_probe *mw_probe_new(mw_trace *t, enum mw_probe_kind kind, const char *name) {
    size_t len = strlen(name);
    mw_probe *p = mw_trace_full(t) ? NULL : calloc(1, sizeof *p + len + 1);
    struct mw_event e = {.kind = MW_EVENT_OPEN, .probe = p};
    struct mw_redact secrets = {0};

    if (p == NULL) return no_probe(t);
    mw_redact(&t->names, &secrets, name, len, p->name, len);
    p->trace = mw_trace_hold(t);
    p->kind = kind;
    pthread_mutex_lock(&t->lock);
    p->id = ++t->probes;
    t->live++;
    e.at = mw_trace_now();
    emit(t, &e);
    pthread_mutex_unlock(&t->lock);
    return p;
}

void mw_probe_free(mw_probe *p) {
    struct mw_event e = {.kind = MW_EVENT_CLOSE, .probe = p};

    if (p == NULL) return;
    pthread_mutex_lock(&p->trace->lock);
    p->trace->live--;
    e.at = mw_trace_now();
    emit(p->trace, &e);
    pthread_mutex_unlock(&p->trace->lock);
    mw_trace_release(p->trace);
    free(p);
}

mw_probe **mw_probe_next(mw_probe *p) { return &p->next; }
mw_trace *mw_probe_trace(mw_probe *p) { return p->trace; }

/* What is kept of a message: its beginning, without secrets. NULL: no memory, so nothing is. */
static const char *keep(mw_probe *p, enum mw_probe_dir dir, const char *at, size_t len, size_t kept) {
    mw_trace *t = p->trace;
    struct mw_redact *r = &p->secrets[dir];

    if (t->names.count == 0) return at;
    if (p->kind != MW_PROBE_STREAM) memset(r, 0, sizeof *r);    /* a message begins anew, and what is cut off need not be looked at */
    if (t->kept_size < kept) {
        free(t->kept);
        t->kept_size = 0;
        t->kept = malloc(kept);
        if (t->kept == NULL) return NULL;
        t->kept_size = kept;
    }
    mw_redact(&t->names, r, at, p->kind == MW_PROBE_STREAM ? len : kept, t->kept, kept);
    return t->kept;
}

int mw_probe_message(mw_probe *p, enum mw_probe_dir dir, const void *at, size_t len, uint64_t task) {
    mw_trace *t = p->trace;
    int trouble;

    struct mw_event e = {.kind = MW_EVENT_MESSAGE, .probe = p, .dir = dir, .full = len, .task = task};

    pthread_mutex_lock(&t->lock);
    e.at = mw_trace_now();
    if (!t->ended) {
        e.len = len < t->o.payload ? len : t->o.payload;
        e.data = len == 0 ? "" : keep(p, dir, at, len, e.len);
        if (e.data == NULL) e.len = 0, e.data = "";
        emit(t, &e);
    }
    trouble = t->trouble != 0 && !t->told;
    pthread_mutex_unlock(&t->lock);
    return trouble;
}

/* ---- Other events ------------------------------------------------------------------------------------------------------- */

void mw_trace_process(mw_trace *t, const char *program, long pid, const char *what) {
    struct mw_event e = {.kind = MW_EVENT_PROCESS, .text = program, .what = what, .task = (uint64_t)pid};
    emit_alone(t, &e);
}

unsigned mw_trace_join(mw_trace *t) {
    unsigned n;

    pthread_mutex_lock(&t->lock);
    n = t->hosts++;
    pthread_mutex_unlock(&t->lock);
    return n % 4000 * 1000000;
}

int mw_trace_wants_tasks(const mw_trace *t) { return t->o.format == MW_TRACE_CHROME; }

void mw_trace_slice(mw_trace *t, uint64_t task, enum mw_slice what, const char *name, uint64_t from) {
    struct mw_event e = {.kind = MW_EVENT_SLICE, .text = name, .task = task, .from = from, .slice = what};
    emit_alone(t, &e);
}

void mw_trace_task(mw_trace *t, uint64_t task, const char *name) {
    struct mw_event e = {.kind = MW_EVENT_TASK, .text = name, .task = task};
    emit_alone(t, &e);
}

void mw_trace_wake(mw_trace *t, uint64_t by, uint64_t whom) {
    struct mw_event e = {.kind = MW_EVENT_WAKE, .task = by, .whom = whom};
    emit_alone(t, &e);
}

void mw_trace_note(mw_trace *t, const char *text) {
    struct mw_event e = {.kind = MW_EVENT_NOTE, .text = text};
    emit_alone(t, &e);
}
