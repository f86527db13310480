/* Pseudo-terminals: a pair of ends and their size.
 * Knows: base/err, POSIX. Never: a process. */
#ifndef MW_IO_PTY_H
#define MW_IO_PTY_H

#include "base/err.h"

/* Opens a pair, close-on-exec. 0 rows or columns: 24 by 80. Both given. */
int mw_pty_open(const char *op, unsigned short rows, unsigned short cols, int *ours, int *theirs, struct mw_err *err);
int mw_pty_resize(int ours, unsigned short rows, unsigned short cols);

#endif
