/* A file as Lua's io has it: buffered, with a position; a regular file is read and written at once, a pipe or a terminal is
 * waited for.
 * Knows: base, core/host, core/wait, uv.h. Never: Lua values, names (it gets open descriptors), policy; O_NONBLOCK on a
 * descriptor that may be shared: readiness is asked of an epoll of our own. */
#ifndef MW_IO_TEXTFILE_H
#define MW_IO_TEXTFILE_H

#include <sys/types.h>

#include "base/bytes.h"
#include "core/wait.h"

typedef struct mw_textfile mw_textfile;

enum mw_buffering { MW_BUFFER_NONE, MW_BUFFER_LINE, MW_BUFFER_FULL };

/* Takes fd, or with `shared` lends it for good (0, 1, 2). A regular file is written in full buffers, anything else at once.
 * out: counted, one reference is the caller's. */
int mw_textfile_open(mw_host *h, int fd, int shared, mw_textfile **out, struct mw_err *err);
void mw_textfile_release(mw_textfile *f);         /* the last one closes */
/* Writes what is held and closes. 0 or the first error, which is told once. Idempotent. */
int mw_textfile_close(mw_textfile *f);
int mw_textfile_closed(const mw_textfile *f);

/* What has been read and not consumed. scanned: how far a reader has looked for a line's end. */
struct mw_bytes *mw_textfile_in(mw_textfile *f);
size_t *mw_textfile_scanned(mw_textfile *f);
void mw_textfile_consume(mw_textfile *f, size_t n);
/* Reads more behind it. > 0: so many bytes; 0: the end; MW_EAGAIN: wait on mw_textfile_readable; else the system's code.
 * may_wait 0: waits right here instead, for who cannot be suspended. */
ssize_t mw_textfile_fill(mw_textfile *f, size_t want, int may_wait);
/* The place to wait at, armed. NULL and *rc: it cannot be watched. */
struct mw_wait *mw_textfile_readable(mw_textfile *f, int *rc);

/* Adds to what is to be written. 0: say mw_textfile_flush if *due, else it waits for its time. < 0: nothing was added. */
int mw_textfile_add(mw_textfile *f, const char *data, size_t len, int *due);
/* 0: written; MW_EAGAIN: wait on mw_textfile_writable; else the system's code (what was held is dropped). */
int mw_textfile_flush(mw_textfile *f, int may_wait);
struct mw_wait *mw_textfile_writable(mw_textfile *f, int *rc);

/* As lseek, of the position that the reader sees; writes and forgets what is held. */
int64_t mw_textfile_seek(mw_textfile *f, int64_t offset, int whence);
void mw_textfile_buffer(mw_textfile *f, enum mw_buffering how, size_t size);

#endif
