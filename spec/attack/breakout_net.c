/* What a caged program tries on the network.
 * Knows: breakout.h, sockets. Never: sends to anybody but the address it is given.
 * Every attempt sends a byte or two, so that the canary server would see it. */
#define _GNU_SOURCE
#include "breakout.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
}

static socklen_t unix_name(struct sockaddr_un *to, const char *name) {
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    snprintf(to->sun_path, sizeof to->sun_path, "%s", name);
    if (*name == '@') to->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + (*name != '@'));
}

static int dial(int fd, const void *to, socklen_t len) {
    if (fd < 0) return -errno;
    if (connect(fd, to, len) < 0) return -errno;
    return answer(write(fd, "in", 2));
}

static int stream_to(int argc, char **argv, int protocol) {
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 1));
    return dial(socket(AF_INET, SOCK_STREAM, protocol), &to, sizeof to);
}
static int tcp(int argc, char **argv) { return stream_to(argc, argv, 0); }
static int tcp_named(int argc, char **argv) { return stream_to(argc, argv, IPPROTO_TCP); }
static int mptcp(int argc, char **argv) { return stream_to(argc, argv, 262); }
static int sctp(int argc, char **argv) { return stream_to(argc, argv, IPPROTO_SCTP); }
static int smc(int argc, char **argv) {
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 1));
    return dial(socket(43 /* AF_SMC */, SOCK_STREAM, 0), &to, sizeof to);
}
static int tcp_mapped(int argc, char **argv) {
    struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons((unsigned short)number_at(argc, argv, 0, 1)) };
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
    return dial(socket(AF_INET6, SOCK_STREAM, 0), &to, sizeof to);
}
static int tcp_any(int argc, char **argv) {
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 1));
    to.sin_addr.s_addr = 0;
    return dial(socket(AF_INET, SOCK_STREAM, 0), &to, sizeof to);
}

static int fast_open_by(int argc, char **argv, int how) {
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct iovec part = { (void *)(unsigned long)"in", 2 };
    struct mmsghdr many = { .msg_hdr = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1 } };

    if (fd < 0) return -errno;
    if (how == 0) return answer(sendto(fd, "in", 2, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to));
    if (how == 1) return answer(sendmsg(fd, &many.msg_hdr, MSG_FASTOPEN));
    return answer(sendmmsg(fd, &many, 1, MSG_FASTOPEN));
}
static int fast_open(int argc, char **argv) { return fast_open_by(argc, argv, 0); }
static int fast_open_msg(int argc, char **argv) { return fast_open_by(argc, argv, 1); }
static int fast_open_many(int argc, char **argv) { return fast_open_by(argc, argv, 2); }
/* connect() that waits for the first write. */
static int fast_open_connect(int argc, char **argv) {
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on) < 0) return -errno;
    return dial(fd, &to, sizeof to);
}

static int udp(int argc, char **argv) {
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 1));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return fd < 0 ? -errno : answer(sendto(fd, "in", 2, 0, (struct sockaddr *)&to, sizeof to));
}
static int udp6(int argc, char **argv) {
    struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons((unsigned short)number_at(argc, argv, 0, 1)) };
    int fd = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
    return fd < 0 ? -errno : answer(sendto(fd, "in", 2, 0, (struct sockaddr *)&to, sizeof to));
}
static int udp_lite(int argc, char **argv) {
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 1));
    int fd = socket(AF_INET, SOCK_DGRAM, 136);
    return fd < 0 ? -errno : answer(sendto(fd, "in", 2, 0, (struct sockaddr *)&to, sizeof to));
}
static int socket_of(int family, int type, int protocol) { return answer(socket(family, type, protocol)); }
static int ping(int argc, char **argv) { return (void)argc, (void)argv, socket_of(AF_INET, SOCK_DGRAM, IPPROTO_ICMP); }
static int raw(int argc, char **argv) { return (void)argc, (void)argv, socket_of(AF_INET, SOCK_RAW, IPPROTO_UDP); }
static int packet(int argc, char **argv) { return (void)argc, (void)argv, socket_of(AF_PACKET, SOCK_RAW, 0x300); }
static int netlink_audit(int argc, char **argv) { return (void)argc, (void)argv, socket_of(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT); }
static int netlink_route(int argc, char **argv) { return (void)argc, (void)argv, socket_of(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); }
static int netlink_uevent(int argc, char **argv) {
    return (void)argc, (void)argv, socket_of(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
}
static int vsock(int argc, char **argv) { return (void)argc, (void)argv, socket_of(AF_VSOCK, SOCK_STREAM, 0); }
static int crypto(int argc, char **argv) { return (void)argc, (void)argv, socket_of(38 /* AF_ALG */, SOCK_SEQPACKET, 0); }
static int any_family(int argc, char **argv) { return socket_of(number_at(argc, argv, 0, 1), number_at(argc, argv, 1, 2), 0); }

static int unix_stream(int argc, char **argv) {
    struct sockaddr_un to;
    socklen_t len = unix_name(&to, word_at(argc, argv, 0, ""));
    return dial(socket(AF_UNIX, SOCK_STREAM, 0), &to, len);
}
static int unix_datagram(int argc, char **argv) {
    struct sockaddr_un to;
    socklen_t len = unix_name(&to, word_at(argc, argv, 0, ""));
    return dial(socket(AF_UNIX, SOCK_DGRAM, 0), &to, len);
}
/* A pair needs no name; one of its ends can be given one, or talk to one. */
static int pair_of(int argc, char **argv, int type) {
    struct sockaddr_un to;
    socklen_t len = unix_name(&to, word_at(argc, argv, 0, ""));
    int ends[2];

    if (socketpair(AF_UNIX, type, 0, ends) < 0) return -errno;
    if (dial(ends[0], &to, len) == 0) return 0;
    if ((type & 0xf) != SOCK_DGRAM) return -errno;       /* these take no notice of a name */
    return answer(sendto(ends[0], "in", 2, 0, (struct sockaddr *)&to, len));
}
static int pair_datagram(int argc, char **argv) { return pair_of(argc, argv, SOCK_DGRAM); }
static int pair_stream(int argc, char **argv) { return pair_of(argc, argv, SOCK_STREAM); }
static int pair_packets(int argc, char **argv) { return pair_of(argc, argv, SOCK_SEQPACKET); }
static int pair_odd(int argc, char **argv) { return pair_of(argc, argv, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK); }
/* Standard input may be a socket of the parent's. */
static int stdin_connect(int argc, char **argv) {
    struct sockaddr_un to;
    socklen_t len = unix_name(&to, word_at(argc, argv, 0, ""));
    return dial(0, &to, len);
}
static int unix_bind(int argc, char **argv) {
    struct sockaddr_un to;
    socklen_t len = unix_name(&to, word_at(argc, argv, 0, ""));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd < 0 ? -errno : answer(bind(fd, (struct sockaddr *)&to, len));
}

static int bind_port(int argc, char **argv) {
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 0));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0) return -errno;
    return answer(listen(fd, 1));
}
static int listen_unbound(int argc, char **argv) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)argc, (void)argv;
    return fd < 0 ? -errno : answer(listen(fd, 1));
}
/* A connected socket is dissolved and connected again. */
static int unspecified(int argc, char **argv) {
    struct sockaddr none = { .sa_family = AF_UNSPEC };
    struct sockaddr_in to = loopback(number_at(argc, argv, 0, 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return -errno;
    connect(fd, &none, sizeof none);
    return dial(fd, &to, sizeof to);
}

static int ring_setup(int argc, char **argv) {
    struct io_uring_params params = { 0 };
    (void)argc, (void)argv;
    return answer(syscall(SYS_io_uring_setup, 4, &params));
}

const struct attempt net_attempts[] = {
    { "tcp", tcp }, { "tcp-named", tcp_named }, { "mptcp", mptcp }, { "sctp", sctp }, { "smc", smc }, { "tcp-mapped", tcp_mapped },
    { "tcp-any", tcp_any }, { "fastopen", fast_open }, { "fastopen-msg", fast_open_msg }, { "fastopen-many", fast_open_many },
    { "fastopen-connect", fast_open_connect }, { "udp", udp }, { "udp6", udp6 }, { "udplite", udp_lite }, { "ping", ping },
    { "raw", raw }, { "packet", packet }, { "netlink-audit", netlink_audit }, { "netlink-route", netlink_route },
    { "netlink-uevent", netlink_uevent }, { "vsock", vsock }, { "alg", crypto }, { "family", any_family }, { "unix", unix_stream },
    { "unix-dgram", unix_datagram }, { "pair-dgram", pair_datagram }, { "pair-stream", pair_stream }, { "pair-seq", pair_packets },
    { "pair-odd", pair_odd }, { "stdin-connect", stdin_connect }, { "unix-bind", unix_bind }, { "bind", bind_port },
    { "listen-unbound", listen_unbound }, { "unspec", unspecified }, { "io-uring", ring_setup }, { NULL, NULL }
};
