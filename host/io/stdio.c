/* Our own output on a standard descriptor that others share; what stands in for one that is closed.
 * Knows: base/err, POSIX. Never: changes an open descriptor; leaves a part of the text unwritten without saying so. */
#include "io/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

int mw_stdio_write(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd room = { .fd = fd, .events = POLLOUT };
            poll(&room, 1, -1);                          /* an error of the descriptor shows at the next write */
        } else if (n == 0 || errno != EINTR) {
            return n == 0 ? -EIO : -errno;
        }
    }
    return 0;
}

int mw_stdio_hold(struct mw_err *err) {
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int i = 0; i < 3; i++) {
        int fd = fcntl(i, F_GETFD) >= 0 || errno != EBADF ? i : open("/dev/null", modes[i]);

        if (fd == i) continue;
        if (fd < 0) return mw_err_sys(err, "host", "/dev/null in place of a closed standard stream");
        close(fd); /* another thread has just opened something there */
    }
    return 0;
}
