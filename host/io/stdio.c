/* Our own output on a standard descriptor that others share.
 * Knows: base/err, POSIX. Never: changes the descriptor; leaves a part of the text unwritten without saying so. */
#include "io/stdio.h"

#include <errno.h>
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
