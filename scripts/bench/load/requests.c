/* Requests for a TCP server that echoes frames: on each connection so many unanswered, all of them compared.
 * Knows: sockets, epoll. Never: waits for more than ten seconds. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERIALS = 256, EVENTS = 64, PATIENCE_MS = 10000, HEAD = 5, FINE = 6, SCALE = (65 - FINE) << FINE };

struct conn {
    int fd;
    uint64_t sent, heard; /* bytes, always from the first frame on */
    uint64_t *at;         /* when the frame was sent: one for each place of `depth` */
};

struct run {
    size_t frame; /* bytes */
    int depth;
    unsigned char *frames; /* every serial, then the first `depth` again: any `depth` in a row are contiguous */
    unsigned char *in;
    uint64_t begin, end; /* what is counted */
    uint64_t counted, total, sum, open;
    uint32_t scale[SCALE]; /* how many took so long */
};

/* Times by their size, 64 steps to each power of two. */
static unsigned step_of(uint64_t ns) {
    unsigned power = 63u - (unsigned)__builtin_clzll(ns | 1u << FINE);
    return ((power - FINE) << FINE) + (unsigned)(ns >> (power - FINE));
}

static double time_at(const struct run *r, double part) {
    uint64_t rank = (uint64_t)((double)r->counted * part), seen = 0;
    for (unsigned i = 0; i < SCALE; i++) {
        seen += r->scale[i];
        if (seen > rank) {
            unsigned power = i >> FINE, rest = i & ((1u << FINE) - 1);
            return power == 0 ? rest : (double)((uint64_t)(rest + (1u << FINE)) << (power - 1));
        }
    }
    return 0;
}

static void prepare(struct run *r, int size) {
    r->frame = HEAD + (size_t)size;
    r->frames = calloc((size_t)(SERIALS + r->depth), r->frame);
    r->in = malloc(r->frame * (size_t)r->depth);
    if (r->frames == NULL || r->in == NULL) load_fail("memory");
    for (int i = 0; i < SERIALS + r->depth; i++) {
        unsigned char *f = r->frames + (size_t)i * r->frame;
        uint32_t len = (uint32_t)size;
        f[0] = (unsigned char)(1 + i % SERIALS / 4);
        memcpy(f + 1, &len, 4);
        memset(f + HEAD, i % SERIALS, (size_t)size);
    }
}

static void ask(struct run *r, struct conn *c, int count) {
    uint64_t first = c->sent / r->frame, now = load_now();
    const unsigned char *from = r->frames + first % SERIALS * r->frame;

    for (int i = 0; i < count; i++) {
        const unsigned char *f = from + (size_t)i * r->frame;
        r->sum += f[0] + (uint64_t)f[HEAD];
        c->at[(first + (uint64_t)i) % (uint64_t)r->depth] = now;
    }
    r->total += (uint64_t)count;
    r->open += (uint64_t)count;
    c->sent += (uint64_t)count * r->frame;
    load_say(c->fd, from, (size_t)count * r->frame);
}

/* Takes what has arrived; gives how many answers became whole. */
static int answers(struct run *r, struct conn *c, uint64_t *now) {
    ssize_t n = recv(c->fd, r->in, r->frame * (size_t)r->depth, MSG_DONTWAIT);
    uint64_t first = c->heard / r->frame;
    size_t place = (size_t)(c->heard % (SERIALS * r->frame));
    int whole;

    if (n < 0 && errno == EAGAIN) return 0;
    if (n < 0) load_fail("recv");
    errno = 0;
    if (n == 0) load_fail("the server closed a connection");
    *now = load_now();
    c->heard += (uint64_t)n;
    if (c->heard > c->sent) load_fail("more came back than was sent");
    if (memcmp(r->in, r->frames + place, (size_t)n) != 0) load_fail("another frame came back than was sent");
    whole = (int)(c->heard / r->frame - first);
    r->open -= (uint64_t)whole;
    for (int i = 0; *now >= r->begin && *now < r->end && i < whole; i++) {
        r->scale[step_of(*now - c->at[(first + (uint64_t)i) % (uint64_t)r->depth])]++;
        r->counted++;
    }
    return whole;
}

static void serve_events(struct run *r, int poll) {
    struct epoll_event ready[EVENTS];
    int n = epoll_wait(poll, ready, EVENTS, PATIENCE_MS);

    if (n < 0 && errno != EINTR) load_fail("epoll_wait");
    errno = 0;
    if (n == 0) load_fail("the server does nothing");
    for (int i = 0; i < n; i++) {
        uint64_t now = 0;
        int whole = answers(r, ready[i].data.ptr, &now);
        if (whole > 0 && now < r->end) ask(r, ready[i].data.ptr, whole);
    }
}

int load_requests(int port, int conns, int depth, int millis, int size) {
    struct run *r = calloc(1, sizeof *r);
    struct conn *all = calloc((size_t)conns, sizeof *all);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct account before = load_account(port), after;

    if (r == NULL || all == NULL || poll < 0) load_fail("memory, or epoll");
    r->depth = depth;
    prepare(r, size);
    for (int i = 0; i < conns; i++) {
        struct epoll_event it = { .events = EPOLLIN, .data.ptr = &all[i] };
        all[i].fd = load_dial(port);
        all[i].at = calloc((size_t)depth, sizeof *all[i].at);
        if (all[i].at == NULL || epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &it) != 0) load_fail("epoll_ctl");
    }
    r->begin = load_now() + (uint64_t)millis * 250000u; /* a quarter on top, to warm up */
    r->end = r->begin + (uint64_t)millis * 1000000u;
    for (int i = 0; i < conns; i++) ask(r, &all[i], depth);
    while (r->open > 0) serve_events(r, poll);
    after = load_account(port);
    errno = 0;
    if (after.frames - before.frames != r->total || after.sum - before.sum != r->sum) load_fail("the server's account differs");
    if (r->counted == 0) load_fail("nothing was answered in time");
    printf("result count=%llu seconds=%.6f p50=%.9f p99=%.9f all=%llu\n", (unsigned long long)r->counted, millis / 1e3,
           time_at(r, 0.5) / 1e9, time_at(r, 0.99) / 1e9, (unsigned long long)r->total);
    for (int i = 0; i < conns; i++) close(all[i].fd), free(all[i].at);
    close(poll);
    free(r->frames), free(r->in), free(r), free(all);
    return 0;
}
