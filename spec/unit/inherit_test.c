/* Descriptors that somebody else opened: what is shared keeps its flags, what is ours is never taken by its number.
 * Knows: io/inherit, io/stream. Never: leaves standard input or output changed. */
#include "io/inherit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/stream.h"
#include "support/check.h"

static struct mw_err err;
static int rfd, wfd;

/* Runs mw_inherit with `in` and `out` as standard input and output. */
static int inherit_stdio(int in, int out) {
    int rc, old_in = dup(0), old_out = dup(1);

    fflush(stdout);
    dup2(in, 0);
    dup2(out, 1);
    rc = mw_inherit(NULL, -1, "net connect", "stdio:", &rfd, &wfd, &err);
    dup2(old_in, 0);
    dup2(old_out, 1);
    close(old_in);
    close(old_out);
    return rc;
}
static int blocking(int fd) {
    return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}
static int cloexec(int fd) {
    return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

TEST(a_socket_is_one_stream_both_ways_and_stays_blocking_for_others) {
    mw_host *host = NULL;
    mw_stream *s = NULL;
    int pair[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    REQUIRE(mw_host_create(NULL, NULL, NULL, 0, &host, &err) == 0);
    CHECK_INT(inherit_stdio(pair[0], pair[0]), 0);
    CHECK_INT(rfd, wfd);
    CHECK(cloexec(rfd));
    REQUIRE(mw_stream_open(host, rfd, wfd, "net", "stdio:", NULL, &s, &err) == 0);
    CHECK_INT(mw_stream_fill(s, 0, &err), 0); /* nothing yet: now it is watched */
    CHECK(blocking(pair[0]));
    CHECK_INT(write(pair[1], "hello", 5), 5);
    CHECK_INT(mw_stream_fill(s, 0, &err), 1);
    CHECK_INT(mw_bytes_len(mw_stream_in(s)), 5);
    mw_stream_release(s);
    mw_host_destroy(host, 0);
    close(pair[0]);
    close(pair[1]);
}

TEST(a_pipe_is_opened_anew_so_that_ours_does_not_block_and_theirs_does) {
    int in[2], out[2];
    char c;

    REQUIRE(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    CHECK_INT(inherit_stdio(in[0], out[1]), 0);
    CHECK(!blocking(rfd) && !blocking(wfd));
    CHECK(blocking(in[0]) && blocking(out[1]));
    CHECK_INT(write(in[1], "x", 1), 1);
    CHECK_INT(read(rfd, &c, 1), 1);
    CHECK_INT(write(wfd, "y", 1), 1);
    CHECK_INT(read(out[0], &c, 1), 1);
    for (int i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
    close(rfd);
    close(wfd);
}

TEST(a_file_is_read_on_from_where_it_stands) {
    char c = 0;
    int fd = memfd_create("spec", MFD_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    REQUIRE(fd >= 0 && null >= 0);
    CHECK_INT(write(fd, "abc", 3), 3);
    lseek(fd, 1, SEEK_SET);
    CHECK_INT(inherit_stdio(fd, null), 0);
    CHECK_INT(read(rfd, &c, 1), 1);
    CHECK_INT(c, 'b');
    CHECK_INT(lseek(fd, 0, SEEK_CUR), 2);
    CHECK(blocking(fd));
    close(rfd);
    close(wfd);
    close(fd);
    close(null);
}

TEST(a_number_is_taken_only_if_it_came_over_execve_and_every_right_is_there) {
    mw_policy *p = NULL;
    int pair[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0); /* without close-on-exec, as what is inherited */
    REQUIRE(mw_policy_new(&p, &err) == 0);
    REQUIRE(mw_policy_add(p, MW_NET, MW_ALLOW, NULL, &err) == 0);
    CHECK_INT(mw_inherit(p, pair[0], "net connect", "fd:3", &rfd, &wfd, &err), MW_EDENIED);
    CHECK_STR(err.message, "net connect fd:3: denied (grant it with -A)");
    mw_policy_free(p);

    REQUIRE(mw_policy_new(&p, &err) == 0);
    REQUIRE(mw_policy_add_all(p, &err) == 0);
    CHECK_INT(mw_inherit(p, pair[0], "net connect", "fd:3", &rfd, &wfd, &err), 0);
    CHECK(rfd == wfd && rfd != pair[0] && cloexec(rfd));
    CHECK_INT(mw_inherit(p, rfd, "net connect", "fd:4", &rfd, &wfd, &err), -EBADF);
    CHECK_INT(mw_inherit(p, 1000000, "net connect", "fd:4", &rfd, &wfd, &err), -EBADF);
    mw_policy_free(p);
    close(pair[0]);
    close(pair[1]);
}
