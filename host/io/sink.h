/* Where a trace goes: a file, written by a thread of its own, so that nobody waits for a disk.
 * Knows: observe/trace, policy/permit, POSIX threads. Never: what the bytes mean; a message lost without a word.
 *
 * The thread starts with the first event, so behind the lock that a process puts on itself. What has waited for MW_SINK_DELAY is written,
 * more at once; a process that is killed loses no more than that. A file that takes no more ends its trace: mw_trace_trouble tells it. */
#ifndef MW_IO_SINK_H
#define MW_IO_SINK_H

#include "base/list.h"
#include "core/host.h"
#include "observe/trace.h"

typedef struct mw_sink mw_sink;

#define MW_SINK_DELAY 50u                /* milliseconds */
#define MW_SINK_LINGER 2000u             /* milliseconds that a pipe which nobody empties is waited for at the end */

/* Opens `path` for writing, which takes that right (and is emptied), or takes descriptor 2 for "stderr". others: those of this host, which
 * it joins; one of them that writes this file already is given again when it was opened in the same way, for one close more: two would
 * write over each other. NULL: nobody is to share it.
 * o: the format is set from the path's ending. *out: given; end it with mw_sink_close. MW_EINVAL: the ending; MW_EDENIED; MW_ELIMIT: the
 * names to hide, or MW_TRACE_TAPS are open; -EBUSY: one writes there in another way, or has ended; -ENOENT ... */
int mw_sink_open(mw_host *h, const char *path, struct mw_trace_options *o, struct mw_list *others, mw_sink **out, struct mw_err *err);
/* One of an open descriptor: taken (owned), or lent. Nobody else gets it. */
int mw_sink_of(int fd, int owned, const char *name, const struct mw_trace_options *o, mw_sink **out, struct mw_err *err);
int mw_sink_colours(void);               /* 1: standard error is a terminal, and NO_COLOR is not set */
mw_trace *mw_sink_trace(mw_sink *s);     /* lent */
const char *mw_sink_name(const mw_sink *s);
/* Writes what waits, as far as MW_SINK_LINGER allows where it is no file. The last one for whom it was opened writes the trace's end and frees
 * it. Others may hold the trace still: what they say is dropped. 0, or what went wrong and was not told yet. NULL is fine. */
int mw_sink_close(mw_sink *s, struct mw_err *err);

#endif
