/* Lines for a server on a Unix socket: written as fast as it reads, and what comes back is compared byte for byte.
 * Knows: sockets. Never: waits for more than ten seconds. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* So many different lines that no state of Lua, which keeps equal strings once, still holds one when it comes again. */
enum { LINE = 32, LINES = 65536, BLOCK = LINE * LINES, PATIENCE_MS = 10000 };

struct talk {
    int fd, echo, closed;
    uint64_t total, sent, heard; /* bytes; heard: of lines that came back */
    size_t said;                 /* of `answer` */
    char answer[128];            /* without echo */
};

static char block[2 * BLOCK]; /* the lines, numbered, over and over: any place in the stream is contiguous here */

static void fill(void) {
    char line[LINE + 1];
    for (int i = 0; i < 2 * LINES; i++) {
        snprintf(line, sizeof line, "%05d: a line of 31 characters!\n", i % LINES);
        memcpy(block + (size_t)i * LINE, line, LINE);
    }
}

static int dial(const char *path) {
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    socklen_t len = sizeof to;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) load_fail("socket");
    if (strlen(path) >= sizeof to.sun_path) load_fail("too long for a socket: %s", path);
    strcpy(to.sun_path, path);
    if (path[0] == '@') { /* a name without a path: all of its bytes count */
        to.sun_path[0] = '\0';
        len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    }
    if (connect(fd, (struct sockaddr *)&to, len) != 0) load_fail("connect to %s", path);
    return fd;
}

static void write_some(struct talk *t) {
    uint64_t left = t->total - t->sent;
    ssize_t n = send(t->fd, block + t->sent % BLOCK, left < BLOCK ? (size_t)left : BLOCK, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN) load_fail("send");
    if (n > 0) t->sent += (uint64_t)n;
    if (t->sent == t->total && shutdown(t->fd, SHUT_WR) != 0) load_fail("shutdown");
}

static void read_some(struct talk *t) {
    static char in[BLOCK];
    ssize_t n = recv(t->fd, in, sizeof in, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) load_fail("recv");
    errno = 0;
    t->closed = n == 0;
    if (t->echo) {
        if (t->heard + (uint64_t)n > t->sent) load_fail("more came back than was sent");
        if (memcmp(in, block + t->heard % BLOCK, (size_t)n) != 0) load_fail("another line came back than was sent");
        t->heard += (uint64_t)n;
    } else {
        if (t->said + (size_t)n >= sizeof t->answer) load_fail("a longer answer than a count");
        memcpy(t->answer + t->said, in, (size_t)n);
        t->said += (size_t)n;
    }
}

static void check(const struct talk *t, long count) {
    char want[128];
    errno = 0;
    if (t->sent != t->total) load_fail("the server closed before it had read everything");
    if (t->echo && t->heard != t->total) load_fail("lines are missing");
    snprintf(want, sizeof want, "%ld lines, %ld bytes\n", count, count * (LINE - 1));
    if (!t->echo && strcmp(t->answer, want) != 0) load_fail("the server said %s, and should have said %s", t->answer, want);
}

int load_lines(const char *path, long count, int echo) {
    struct talk t = { .echo = echo, .total = (uint64_t)count * LINE };
    uint64_t since;

    fill();
    t.fd = dial(path);
    since = load_now();
    while (!t.closed) {
        struct pollfd it = { .fd = t.fd, .events = POLLIN | (t.sent < t.total ? POLLOUT : 0) };
        int n = poll(&it, 1, PATIENCE_MS);
        if (n < 0 && errno != EINTR) load_fail("poll");
        errno = 0;
        if (n == 0) load_fail("the server does nothing");
        if (it.revents & POLLOUT) write_some(&t);
        if (it.revents & (POLLIN | POLLHUP | POLLERR)) read_some(&t);
    }
    check(&t, count);
    printf("result count=%ld seconds=%.6f\n", count, (double)(load_now() - since) / 1e9);
    close(t.fd);
    return 0;
}
