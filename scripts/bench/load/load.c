/* What every program is measured with: it starts them, asks them, holds connections to them, and checks what they answer.
 * Knows: Linux, sockets. Never: libuv, Lua; more memory than it needs (a child's peak begins with its parent's).
 *
 *   load start RUNS PROGRAM ARGS...              time and peak memory of a program that ends by itself
 *   load on CORE PROGRAM ARGS...                 becomes PROGRAM, on that core only
 *   load files PROGRAM ARGS...                   becomes PROGRAM, with as many descriptors as the system gives
 *   load lines SOCKET COUNT echo|count           lines of 32 bytes; each comes back, or their number does at the end
 *   load requests PORT CONNS DEPTH MILLIS SIZE   frames over TCP, DEPTH unanswered on each connection
 *   load hold PORT COUNT PID                     memory of process PID for each of COUNT connections that say nothing
 *
 * A frame is a kind (u8), a length (u32, little-endian) and the data. A frame of kind 255 is answered with the server's own
 * account: two u64, how many frames it echoed and the sum of their kinds and first bytes. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void load_fail(const char *format, ...) {
    int code = errno;
    va_list args;

    fputs("load: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, code != 0 ? " (%s)\n" : "\n", strerror(code));
    exit(1);
}

uint64_t load_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void load_open_files(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) load_fail("getrlimit");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) load_fail("setrlimit");
}

int load_dial(int port) {
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) load_fail("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) load_fail("connect to port %d", port);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) load_fail("nodelay");
    return fd;
}

void load_say(int fd, const void *data, size_t len) {
    for (const char *at = data; len > 0;) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) load_fail("send");
        at += n;
        len -= (size_t)n;
    }
}

void load_hear(int fd, void *data, size_t len) {
    for (char *at = data; len > 0;) {
        ssize_t n = recv(fd, at, len, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) load_fail("recv");
        errno = 0;
        if (n == 0) load_fail("the server closed a connection that it should answer");
        at += n;
        len -= (size_t)n;
    }
}

/* Every connection made before has been accepted when this one is answered. */
struct account load_account(int port) {
    static const unsigned char question[5] = { 255 };
    unsigned char answer[5 + 16];
    struct account a;
    int fd = load_dial(port);

    load_say(fd, question, sizeof question);
    load_hear(fd, answer, sizeof answer);
    if (answer[0] != 255 || answer[1] != 16) load_fail("the server's account is no frame of kind 255 and 16 bytes");
    memcpy(&a.frames, answer + 5, 8);
    memcpy(&a.sum, answer + 13, 8);
    close(fd);
    return a;
}

/* ---- Starting programs --------------------------------------------------------------------------------------------------- */

static void become(char **argv) {
    execvp(argv[0], argv);
    load_fail("%s", argv[0]);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs it once; gives its peak of memory in KiB. */
static long run_once(char **argv) {
    struct rusage usage;
    int status;
    pid_t pid = vfork();

    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) load_fail("starting %s", argv[0]);
    errno = 0;
    if (status != 0) load_fail("%s ended with status %#x", argv[0], (unsigned)status);
    return usage.ru_maxrss;
}

static int start(int runs, char **argv) {
    double *took = calloc((size_t)runs, sizeof *took);
    long peak = 0;

    if (took == NULL) load_fail("memory");
    for (int i = 0; i < runs; i++) {
        uint64_t since = load_now();
        long kib = run_once(argv);
        took[i] = (double)(load_now() - since) / 1e9;
        if (kib > peak) peak = kib;
    }
    qsort(took, (size_t)runs, sizeof *took, by_size);
    printf("result count=%d median=%.9f memory=%ld\n", runs, took[runs / 2], peak * 1024);
    free(took);
    return 0;
}

static int on_core(int core, char **argv) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) load_fail("core %d", core);
    become(argv);
    return 1;
}

/* ---- Holding connections ----------------------------------------------------------------------------------------------------- */

static double resident(int pid) { /* bytes; exact, unlike the counters in status */
    char path[64], line[128];
    double kib = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    f = fopen(path, "r");
    if (f == NULL) load_fail("%s", path);
    while (kib < 0 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "Rss:", 4) == 0) kib = atof(line + 4);
    fclose(f);
    errno = 0;
    if (kib < 0) load_fail("%s names no Rss", path);
    return kib * 1024;
}

static int hold(int port, int count, int pid) {
    int *fds = calloc((size_t)count, sizeof *fds);
    double before, after;

    if (fds == NULL) load_fail("memory");
    load_open_files();
    for (int i = 0; i < 3; i++) load_account(port); /* what the first connections need once */
    before = resident(pid);
    for (int i = 0; i < count; i++) fds[i] = load_dial(port);
    for (int i = 0; i < 3; i++) load_account(port);
    after = resident(pid);
    for (int i = 0; i < count; i++) close(fds[i]);
    printf("result count=%d each=%.1f before=%.0f after=%.0f\n", count, (after - before) / count, before, after);
    free(fds);
    return 0;
}

static int usage(void) {
    fputs("load: start, on, files, lines, requests or hold; see load.c\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "start") == 0 && argc > 3) return start(atoi(argv[2]), argv + 3);
    if (strcmp(what, "on") == 0 && argc > 3) return on_core(atoi(argv[2]), argv + 3);
    if (strcmp(what, "lines") == 0 && argc == 5) return load_lines(argv[2], atol(argv[3]), strcmp(argv[4], "echo") == 0);
    if (strcmp(what, "hold") == 0 && argc == 5) return hold(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
    if (strcmp(what, "requests") == 0 && argc == 7)
        return load_requests(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atoi(argv[5]), atoi(argv[6]));
    if (strcmp(what, "files") == 0 && argc > 2) {
        load_open_files();
        become(argv + 2);
    }
    return usage();
}
