/* Descriptors that somebody else opened: standard input and output, and what the user gave the program at its start.
 * Knows: policy, POSIX. Never: changes a flag of what was inherited; takes a descriptor of our own by its number. */
#ifndef MW_IO_INHERIT_H
#define MW_IO_INHERIT_H

#include "base/err.h"
#include "policy/policy.h"

/* Private descriptors for stdio: (fd < 0), free for everyone, or for fd:N, which needs every right. Sockets and files are
 * shared, pipes and terminals opened anew, so that no flag of theirs changes for others.
 * *rfd, *wfd: given; the same one for a socket; -1 for a direction that is not open.
 * Returns 0, MW_EDENIED, -EBADF (not open, or opened by us), -EACCES (somebody else's terminal). */
int mw_inherit(mw_policy *p, int fd, const char *op, const char *subject, int *rfd, int *wfd, struct mw_err *err);

#endif
