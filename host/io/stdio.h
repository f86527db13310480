/* Our own output on a standard descriptor that others share; what stands in for one that is closed.
 * Knows: base/err, POSIX. Never: changes an open descriptor; leaves a part of the text unwritten without saying so. */
#ifndef MW_IO_STDIO_H
#define MW_IO_STDIO_H

#include <stddef.h>

#include "base/err.h"

/* Writes all of it, however long the reader takes: whether or not somebody made the descriptor non-blocking. 0 or a code. */
int mw_stdio_write(int fd, const char *text, size_t len);

/* Puts /dev/null, the wrong way round, so that it fails as before, where a standard descriptor is closed: one of ours would take its
 * number, children would inherit that, and libuv aborts when it is to close it. 0 or a code. */
int mw_stdio_hold(struct mw_err *err);

#endif
