/* The inside of a trace, shared by trace.c and the files that know a format each.
 * Knows: observe/trace. Never: included by anybody else. */
#ifndef MW_OBSERVE_TRACE_PARTS_H
#define MW_OBSERVE_TRACE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "observe/redact.h"
#include "observe/trace.h"

enum mw_event_kind { MW_EVENT_BEGIN, MW_EVENT_OPEN, MW_EVENT_CLOSE, MW_EVENT_MESSAGE, MW_EVENT_PROCESS, MW_EVENT_SLICE, MW_EVENT_TASK,
                     MW_EVENT_WAKE, MW_EVENT_NOTE, MW_EVENT_END };

struct mw_event {
    enum mw_event_kind kind;
    uint64_t at;                     /* ns, monotonic */
    mw_probe *probe;                 /* OPEN, CLOSE, MESSAGE */
    enum mw_probe_dir dir;           /* MESSAGE */
    const char *data;                /* what is kept of it */
    size_t len, full;                /* how much; and how much it was */
    const char *text;                /* program, name, note; may be NULL */
    const char *what;                /* PROCESS */
    uint64_t task, whom, from;       /* MESSAGE, SLICE, TASK, WAKE; a process's number */
    enum mw_slice slice;
};

struct mw_probe {
    mw_trace *trace;
    mw_probe *next;                  /* its owner's */
    enum mw_probe_kind kind;
    unsigned id;                     /* from 1 */
    uint32_t sequence[2];            /* pcapng: TCP's, by direction */
    struct mw_redact secrets[2];
    char name[];
};

typedef void mw_trace_writer(mw_trace *t, const struct mw_event *e);

struct mw_trace {
    pthread_mutex_t lock;
    atomic_uint refs;
    struct mw_trace_options o;       /* its names are in `names` */
    struct mw_redact_names names;
    mw_trace_writer *write;
    struct mw_bytes out;
    char *kept;                      /* o.payload bytes for a redacted message; NULL until one was */
    size_t kept_size;
    uint64_t wall0, mono0;           /* the same moment by both clocks, ns */
    uint64_t bytes, events, lost, lost_told;
    unsigned probes, flows, hosts;   /* numbers given */
    unsigned live;                   /* probes that there are */
    unsigned interfaces;             /* pcapng: bits of the kinds that were described */
    int fd;                          /* where its bytes go; -1 */
    int ended, failed;               /* failed: a writer was refused memory */
    int said;                        /* 1: that something waits; 2: that much does; since it was taken */
    int telling;                     /* an END or a note about losses is being written */
    int trouble, told;               /* a code: nobody takes the bytes any more; it was asked for */
    void (*news)(void *ud, int urgent);
    void *news_ud;
};

/* To the end of what waits. Without memory t->failed is set, and the whole event is taken back. */
void mw_trace_add(mw_trace *t, const void *at, size_t len);
void mw_trace_text(mw_trace *t, const char *text);
void mw_trace_fmt(mw_trace *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A string of JSON. Bytes that are no UTF-8 become U+FFFD. */
void mw_trace_quote(mw_trace *t, const char *at, size_t len);
/* 1: it is UTF-8; a character that is cut off at the end (with `cut`) is left out: *len. */
int mw_trace_is_text(const char *at, size_t *len, int cut);
uint64_t mw_trace_wall(const mw_trace *t, uint64_t at);         /* ns since 1970 */
/* "2026-11-22T20:00:00.123456Z"; size >= 32. short_: the time of day alone, local. */
void mw_trace_time(const mw_trace *t, uint64_t at, int short_, char *out, size_t size);
const char *mw_probe_kind_name(enum mw_probe_kind kind);

mw_trace_writer mw_trace_lines, mw_trace_dump, mw_trace_chrome, mw_trace_pcapng;

#endif
