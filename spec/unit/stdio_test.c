/* Our own output on descriptors that others share.
 * Knows: io/stdio, POSIX. Never: the descriptors of this program. */
#include "io/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "support/check.h"

enum { MUCH = 1000000 };         /* bytes; more than any pipe holds */

TEST(what_a_non_blocking_pipe_does_not_take_at_once_is_not_lost) {
    char *text = calloc(1, MUCH), some[4096];
    int fd[2], status = -1;
    pid_t reader;

    REQUIRE(text != NULL && pipe(fd) == 0);
    reader = fork();
    if (reader == 0) {
        ssize_t n, all = 0;
        close(fd[1]);
        while ((n = read(fd[0], some, sizeof some)) > 0) all += n;
        _exit(all == MUCH ? 0 : 1);
    }
    close(fd[0]);
    fcntl(fd[1], F_SETFL, fcntl(fd[1], F_GETFL) | O_NONBLOCK);
    CHECK(mw_stdio_write(fd[1], text, MUCH) == 0);
    close(fd[1]);
    CHECK(waitpid(reader, &status, 0) == reader && status == 0);
    free(text);
}

TEST(what_cannot_be_written_is_said) {
    int fd = open("/dev/full", O_WRONLY);

    REQUIRE(fd >= 0);
    CHECK(mw_stdio_write(fd, "x", 1) == -ENOSPC);
    CHECK(mw_stdio_write(fd, "", 0) == 0);
    close(fd);
    CHECK(mw_stdio_write(fd, "x", 1) == -EBADF);
}
