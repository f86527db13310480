/* Pseudo-terminals: a pair of ends and their size.
 * Knows: base/err, POSIX. Never: a process; a name: the other end is opened through our own. */
#include "io/pty.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int mw_pty_resize(int ours, unsigned short rows, unsigned short cols) {
    struct winsize size = { .ws_row = rows, .ws_col = cols };

    return ioctl(ours, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

static int open_other(int ours) {
#ifdef TIOCGPTPEER
    return ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
#else
    char name[128];

    if (ptsname_r(ours, name, sizeof name) != 0) return -1;
    return open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
#endif
}

int mw_pty_open(const char *op, unsigned short rows, unsigned short cols, int *ours, int *theirs, struct mw_err *err) {
    int rc = 0;

    *theirs = -1;
    *ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*ours < 0 || grantpt(*ours) < 0 || unlockpt(*ours) < 0) rc = mw_err_sys(err, op, "pseudo-terminal");
    else if ((*theirs = open_other(*ours)) < 0) rc = mw_err_sys(err, op, "pseudo-terminal");
    else if ((rc = mw_pty_resize(*ours, rows != 0 ? rows : 24, cols != 0 ? cols : 80)) < 0) mw_err_set(err, rc, op, "pseudo-terminal", NULL);
    if (rc == 0) return 0;
    if (*ours >= 0) close(*ours);
    if (*theirs >= 0) close(*theirs);
    *ours = *theirs = -1;
    return rc;
}
