/* Traces: what goes over channels and streams, as events, in one of four formats, held until somebody takes the bytes away.
 * One trace has many probes, one for each thing that is traced; they may belong to several threads.
 * Knows: base, threads' locks, the clocks. Never: a file; waits for one. */
#ifndef MW_OBSERVE_TRACE_H
#define MW_OBSERVE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

typedef struct mw_trace mw_trace;
typedef struct mw_probe mw_probe;

enum mw_trace_format { MW_TRACE_PCAPNG, MW_TRACE_LINES, MW_TRACE_CHROME, MW_TRACE_DUMP };

#define MW_TRACE_PAYLOAD 4096u               /* bytes of a message that are kept, unless the options say otherwise */
#define MW_TRACE_PAYLOAD_MAX (16u << 20)
#define MW_TRACE_MAX (UINT64_C(1) << 30)     /* bytes of a whole trace, the same */
#define MW_TRACE_HELD ((size_t)16 << 20)     /* bytes that wait to be taken; what comes while there are so many is counted, and lost */
#define MW_TRACE_NAMES 64u                   /* names whose values are hidden, and bytes of one */
#define MW_TRACE_NAME 64u
#define MW_TRACE_TAPS 32u                    /* open taps of one host, each of which has a thread of its own */
#define MW_TRACE_TAPPED 16u                  /* taps of one thing */
#define MW_TRACE_PROBES 8192u                /* things that one tap is attached to at a time */
#define MW_TRACE_WAKE ((size_t)64 << 10)     /* bytes that are worth taking at once */

struct mw_trace_options {
    enum mw_trace_format format;
    size_t payload;                  /* bytes */
    uint64_t max;                    /* bytes; 0: MW_TRACE_MAX */
    int colour;                      /* of MW_TRACE_DUMP */
    long child;                      /* 0, or our pid: what we tell goes where another process has begun the trace, and will end it */
    unsigned probes;                 /* that there may be at a time; 0: any number */
    const char *const *redact;       /* names (observe/redact.h), copied */
    size_t redact_count;
};

/* The format that a file's name asks for by its ending: 0, or MW_EINVAL. "-" and "stderr" are MW_TRACE_DUMP. */
int mw_trace_format_of(const char *path, enum mw_trace_format *out);
/* What is hidden when nobody says what: NULL-terminated. */
extern const char *const mw_trace_secrets[];

/* *out: given, one reference. MW_ENOMEM; MW_ELIMIT: a name of `redact` is too long, or there are too many. */
int mw_trace_new(const struct mw_trace_options *o, mw_trace **out);
int mw_trace_made_with(mw_trace *t, const struct mw_trace_options *o);   /* 1: with the same options, and it has not ended */
mw_trace *mw_trace_hold(mw_trace *t);                /* any thread */
void mw_trace_release(mw_trace *t);                  /* any thread; NULL is fine */

/* fn(ud, urgent) is called, on any thread and with the trace's lock held, when bytes wait where none did; with urgent set when there
 * are MW_TRACE_WAKE of them, or a person looks on. NULL: nobody is told. */
void mw_trace_on_news(mw_trace *t, void (*fn)(void *ud, int urgent), void *ud);
/* Swaps what waits for the empty `into`. Any thread. */
void mw_trace_take(mw_trace *t, struct mw_bytes *into);
/* Writes what the format ends with; what comes later is dropped. why NULL: it just ends. Any thread; may be repeated. */
void mw_trace_end(mw_trace *t, const char *why);
int mw_trace_ended(mw_trace *t);
/* Whoever takes the bytes can take no more of them: it ends. mw_trace_trouble tells the code, once; 0: there is none. Any thread. */
void mw_trace_break(mw_trace *t, int code);
int mw_trace_trouble(mw_trace *t);
/* Where its bytes go, so that script children can write there too: lent until it is -1. Any thread. */
void mw_trace_goes_to(mw_trace *t, int fd);
/* For such a child: a copy of the descriptor (given, close-on-exec), or -1: there is none, or it is a pipe, where
 * events would not stay whole. *o: format, payload, max and colour. Any thread. */
int mw_trace_heir(mw_trace *t, struct mw_trace_options *o);
/* Bytes written since the start; events that were lost since then. */
void mw_trace_counts(mw_trace *t, uint64_t *bytes, uint64_t *events, uint64_t *lost);

/* ---- What is traced --------------------------------------------------------------------------------------------------- */

enum mw_probe_kind { MW_PROBE_STREAM, MW_PROBE_CHANNEL, MW_PROBE_WORKER, MW_PROBE_RING, MW_PROBE_QUEUE, MW_PROBE_KINDS };
enum mw_probe_dir { MW_PROBE_SEND, MW_PROBE_RECV };

/* Something that messages go through. name: what it is called ("tcp://127.0.0.1:80"), copied. NULL: no memory, or as many as
 * the options allow: what goes through it counts as one event that was lost. The probe holds the trace. One thread; next: for its owner. */
mw_probe *mw_probe_new(mw_trace *t, enum mw_probe_kind kind, const char *name);
int mw_trace_full(mw_trace *t);                      /* 1: no probe more */
void mw_probe_free(mw_probe *p);                     /* says that it is closed; NULL is fine */
/* A message, or for MW_PROBE_STREAM a piece of a stream. task: who, 0: nobody. 1: ask mw_trace_trouble. */
int mw_probe_message(mw_probe *p, enum mw_probe_dir dir, const void *at, size_t len, uint64_t task);
mw_probe **mw_probe_next(mw_probe *p);               /* a place for a pointer, for lists */
mw_trace *mw_probe_trace(mw_probe *p);               /* lent */

/* A process was started, or has ended: `what` says how ("exit 0"). */
void mw_trace_process(mw_trace *t, const char *program, long pid, const char *what);
/* What a task did from `from` to now (mw_trace_now): ran, waited (name: for what), or a span of the script's own. */
enum mw_slice { MW_SLICE_RUN, MW_SLICE_WAIT, MW_SLICE_SPAN };
uint64_t mw_trace_now(void);                         /* ns, monotonic */
/* A host more whose tasks are in it: their numbers are above what it gives. Any thread. */
unsigned mw_trace_join(mw_trace *t);
int mw_trace_wants_tasks(const mw_trace *t);         /* 0: its format has no tasks; the next ones do nothing */
void mw_trace_slice(mw_trace *t, uint64_t task, enum mw_slice what, const char *name, uint64_t from);
void mw_trace_task(mw_trace *t, uint64_t task, const char *name);
/* Task `by` ends the wait of task `whom`. */
void mw_trace_wake(mw_trace *t, uint64_t by, uint64_t whom);
void mw_trace_note(mw_trace *t, const char *text);

#endif
