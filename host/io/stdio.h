/* Our own output on a standard descriptor that others share.
 * Knows: base/err, POSIX. Never: changes the descriptor; leaves a part of the text unwritten without saying so. */
#ifndef MW_IO_STDIO_H
#define MW_IO_STDIO_H

#include <stddef.h>

/* Writes all of it, however long the reader takes: whether or not somebody made the descriptor non-blocking. 0 or a code. */
int mw_stdio_write(int fd, const char *text, size_t len);

#endif
