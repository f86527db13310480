/* A library to be loaded before libc (LD_PRELOAD): calls that read and write move a part of what they could, or are interrupted, now
 * and then, as kernels may. Only in the program under test, whose file is called `moonwire`.
 * Knows: libc, raw system calls. Never: loses or makes up a byte; touches the messages of libuv's signal pipe, which are one piece. */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SIGNAL_MESSAGE 16 /* bytes */

static atomic_uint calls;
static int active;

/* Each process has its own row of numbers. */
__attribute__((constructor)) static void begin(void) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path); /* children of ours have another argv[0] */

    active = n > 9 && memcmp(path + n - 9, "/moonwire", 9) == 0;
    calls = (unsigned)getpid() << 10;
}

static unsigned draw(void) {
    unsigned n = atomic_fetch_add(&calls, 1) * 2654435761u;
    n = (n ^ n >> 15) * 2246822519u;
    return n >> 16;
}

static int interrupted(void) {
    if (!active || draw() % 5 != 0) return 0;
    errno = EINTR;
    return 1;
}

/* What a call may move: all, one byte, or something between. */
static size_t part(size_t n) {
    unsigned r = draw();
    if (!active || n <= 1 || r % 4 == 0) return n;
    return r % 4 == 1 ? 1 : 1 + r % n;
}

/* Files, pipes and sockets; an eventfd or a timer is read whole or not at all. */
static int divisible(int fd, size_t n) {
    struct stat st;
    if (fstat(fd, &st) < 0) return 0;
    if (S_ISFIFO(st.st_mode)) return n > SIGNAL_MESSAGE;
    return S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode);
}

ssize_t read(int fd, void *at, size_t n) {
    if (!divisible(fd, n)) return syscall(SYS_read, fd, at, n);
    return interrupted() ? -1 : syscall(SYS_read, fd, at, part(n));
}
ssize_t write(int fd, const void *at, size_t n) {
    if (!divisible(fd, n)) return syscall(SYS_write, fd, at, n);
    return interrupted() ? -1 : syscall(SYS_write, fd, at, part(n));
}
ssize_t pread(int fd, void *at, size_t n, off_t from) { return interrupted() ? -1 : syscall(SYS_pread64, fd, at, part(n), from); }

/* The first bytes of a list, as many as part() says. The list's length; *out is what is left of it. */
static int cut(const struct iovec *iov, size_t count, struct iovec *out, size_t room) {
    size_t total = 0, take, i;

    for (i = 0; i < count; i++) total += iov[i].iov_len;
    take = part(total);
    for (i = 0; i < count && i < room && take > 0; i++) {
        out[i] = iov[i];
        if (out[i].iov_len > take) out[i].iov_len = take;
        take -= out[i].iov_len;
    }
    return (int)i;
}

#define ROOM 64

ssize_t readv(int fd, const struct iovec *iov, int count) {
    struct iovec some[ROOM];
    return interrupted() ? -1 : syscall(SYS_readv, fd, some, cut(iov, (size_t)count, some, ROOM));
}
ssize_t writev(int fd, const struct iovec *iov, int count) {
    struct iovec some[ROOM];
    return interrupted() ? -1 : syscall(SYS_writev, fd, some, cut(iov, (size_t)count, some, ROOM));
}

static int is_stream(int fd) {
    int type;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

ssize_t recv(int fd, void *at, size_t n, int flags) {
    return interrupted() ? -1 : syscall(SYS_recvfrom, fd, at, is_stream(fd) ? part(n) : n, flags, NULL, NULL);
}
ssize_t send(int fd, const void *at, size_t n, int flags) {
    return interrupted() ? -1 : syscall(SYS_sendto, fd, at, is_stream(fd) ? part(n) : n, flags, NULL, 0);
}

static ssize_t message(long number, int fd, struct msghdr *m, int flags) {
    struct msghdr copy = *m;
    struct iovec some[ROOM];
    ssize_t n;

    if (interrupted()) return -1;
    if (!is_stream(fd) || m->msg_iovlen == 0) return syscall(number, fd, m, flags);
    copy.msg_iovlen = (size_t)cut(m->msg_iov, m->msg_iovlen, some, ROOM);
    copy.msg_iov = some;
    n = syscall(number, fd, &copy, flags);
    m->msg_controllen = copy.msg_controllen;
    m->msg_namelen = copy.msg_namelen;
    m->msg_flags = copy.msg_flags;
    return n;
}
ssize_t recvmsg(int fd, struct msghdr *m, int flags) { return message(SYS_recvmsg, fd, m, flags); }
ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
    struct msghdr copy = *m; /* what libc's takes is constant */
    return message(SYS_sendmsg, fd, &copy, flags);
}

int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags) {
    return interrupted() ? -1 : (int)syscall(SYS_accept4, fd, from, len, flags);
}
int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask) {
    return interrupted() ? -1 : (int)syscall(SYS_epoll_pwait, fd, events, count, timeout_ms, mask, 8);
}
int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms) {
    return epoll_pwait(fd, events, count, timeout_ms, NULL);
}
