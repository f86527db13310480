/* A stream: bytes in and out over one or two descriptors (pipe, Unix or TCP socket, pty), watched by the loop.
 * Knows: base, core/host, core/wait, uv.h. Never: Lua values, names (it gets open descriptors), policy.
 *
 * Reading: the queue is filled straight from read(2) at its tail; parse in place, consume what was used.
 * Writing: writev(2) at once; only what the kernel refused is queued, and sent when the descriptor takes it again.
 * Counted: the Lua box holds one reference, the loop one until the close callback. Close is idempotent; after it every call
 * answers MW_ECLOSED and every waiting task is woken. */
#ifndef MW_IO_STREAM_H
#define MW_IO_STREAM_H

#include "base/bytes.h"
#include "core/host.h"
#include "core/wait.h"

typedef struct mw_stream mw_stream;

struct mw_stream_limits {
    size_t read_high;            /* reading stops when this much is held unread; 1 MiB (grows to what one read needs) */
    size_t write_soft;           /* above: writers wait; 1 MiB */
    size_t write_hard;           /* one write may not take the queue above this: MW_ELIMIT; 1 GiB */
    uint64_t idle_ns;            /* closed when nothing moved for so long; 0: off */
    uint64_t stall_ns;           /* closed when unsent bytes did not move for so long; 0: off */
};

/* Takes both descriptors (rfd == wfd for a socket; -1 for a direction that is not there), sets them non-blocking (they must
 * be ours alone, never inherited), adopts the stream. noun: for errors ("net", "process"). subject: copied. */
int mw_stream_open(mw_host *h, int rfd, int wfd, const char *noun, const char *subject, const struct mw_stream_limits *limits,
                   mw_stream **out, struct mw_err *err);
mw_stream *mw_stream_hold(mw_stream *s);
void mw_stream_release(mw_stream *s);            /* drops a reference; the last one closes */
void mw_stream_close(mw_stream *s);              /* now; unsent bytes are dropped */
int mw_stream_closed(const mw_stream *s);

/* Reading. */
struct mw_bytes *mw_stream_in(mw_stream *s);     /* what has arrived; parse and mw_stream_consume */
void mw_stream_consume(mw_stream *s, size_t n);
/* Tries to read more, at most `want` bytes beyond what is held (0: whatever fits). 1: bytes arrived; 0: nothing now (watching:
 * wait on mw_stream_readable); MW_EEOF at the clean end; MW_ECLOSED; MW_ELIMIT; or the system's code. */
int mw_stream_fill(mw_stream *s, size_t want, struct mw_err *err);
struct mw_wait *mw_stream_readable(mw_stream *s);
int mw_stream_at_eof(const mw_stream *s);

/* Writing. parts are only read during the call. 0: all taken (sent or queued); 1: taken, but above the soft mark: wait on
 * mw_stream_writable before writing more; <0: MW_ECLOSED, MW_ELIMIT (nothing taken), -EPIPE ... */
int mw_stream_write(mw_stream *s, const struct mw_view *parts, int count, struct mw_err *err);
struct mw_wait *mw_stream_writable(mw_stream *s);        /* woken when below the soft mark, when empty, and on errors */
size_t mw_stream_unsent(const mw_stream *s);
/* Half-close after all queued bytes are gone. 0: done; 1: still sending (wait on writable); <0. */
int mw_stream_finish(mw_stream *s, struct mw_err *err);

/* Small frames gathered in one turn: what is added is written once at the end of the turn (or when 64 KiB are held).
 * Same results as mw_stream_write. */
int mw_stream_gather(mw_stream *s, const struct mw_view *parts, int count, struct mw_err *err);
int mw_stream_flush(mw_stream *s, struct mw_err *err);

int mw_stream_rfd(const mw_stream *s);           /* lent; -1 when closed or not there */
int mw_stream_wfd(const mw_stream *s);
const char *mw_stream_subject(const mw_stream *s);
mw_host *mw_stream_host(const mw_stream *s);

struct mw_stream_stats { uint64_t bytes_in, bytes_out, reads, writes; };
void mw_stream_stats(const mw_stream *s, struct mw_stream_stats *out);

#endif
