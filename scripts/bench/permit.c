/* What a permission check costs, beside a plain openat and close of the same file in the same run.
 * Knows: the policy's face. Never: a pass mark: it prints, and whoever reads it judges (scripts/bench/permit builds and runs it).
 *
 * Each row is the best of several rounds, in nanoseconds a call, and as a multiple of the plain openat and close. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/permit.h"

#define ROUNDS 15
#define ROUND_NS 4000000.0

static char root[64], file[160], made[160];
static mw_policy *p;
static struct mw_err err;

static void must(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "permit: %s failed: %s\n", what, err.message);
    exit(1);
}

static int open_plain(void) {
    int fd = openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : close(fd);
}

/* The thread's own time: what else runs on the machine counts little. */
static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double once(int (*call)(void), unsigned n) {
    double from = now();
    for (unsigned i = 0; i < n; i++)
        if (call() != 0) must(0, "a call");
    return (now() - from) / n;
}

/* Nanoseconds of one call and of one plain openat, in turns; the best of each counts. */
static void cost(int (*call)(void), double *ns, double *plain_ns) {
    unsigned n = 16;

    while (once(call, n) * n < ROUND_NS) n *= 2;
    *ns = *plain_ns = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double plain = once(open_plain, 2000), it = once(call, n);
        if (plain < *plain_ns) *plain_ns = plain;
        if (it < *ns) *ns = it;
    }
}

/* ---- The calls ------------------------------------------------------------------------------------------------------------ */

static int open_permitted(void) {
    int fd, rc = mw_permit_open(p, file, O_RDONLY, 0, 1, "fs read", &fd, &err);
    if (rc == 0) close(fd);
    return rc;
}
static int find_object(void) {
    struct mw_place at;
    int rc = mw_permit_path(p, 1u << MW_READ, file, MW_AT_OBJECT, "fs stat", &at, &err);
    mw_place_close(&at);
    return rc;
}
static int find_name(void) {
    struct mw_place at;
    int rc = mw_permit_path(p, 1u << MW_READ, made, MW_AT_NAME, "fs lstat", &at, &err);
    mw_place_close(&at);
    return rc;
}
static int peer(void) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr.s_addr = htonl(0x0a010203)};
    return mw_permit_addr(p, MW_CONNECT, "10.1.2.3", (struct sockaddr *)&sa, sizeof sa, "net connect", &err);
}
static int named_peer(void) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(443), .sin_addr.s_addr = htonl(0x0a010203)};
    return mw_permit_addr(p, MW_CONNECT, "api.example.com", (struct sockaddr *)&sa, sizeof sa, "net connect", &err);
}
static int host(void) {
    return mw_permit_host(p, MW_CONNECT, "api.example.com", 443, "net connect", &err);
}
static int variable(void) {
    return mw_permit_text(p, MW_ENV, "LC_MESSAGES", "env get", &err);
}
static int asked_variable(void) {
    return mw_policy_query(p, MW_ENV, "LC_MESSAGES") == MW_GRANTED ? 0 : MW_EDENIED;
}
static int fact(void) {
    return mw_permit_text(p, MW_SYS, "hostname", "sys", &err);
}
static int exec_name(const char *name) {
    struct mw_program it;
    int rc = mw_permit_exec(p, name, AT_FDCWD, "process spawn", &it, &err);
    mw_program_close(&it);
    return rc;
}
static int run_name(void) {
    return exec_name("cat");
}
static int run_path(void) {
    return exec_name("/bin/ls");
}
static int run_other_path(void) {
    return exec_name("/bin/cat");
}

/* ---- The rules ------------------------------------------------------------------------------------------------------------ */

static void rule(enum mw_kind kind, enum mw_effect effect, const char *text) {
    must(mw_policy_add_one(p, kind, effect, text, &err) == 0, "a rule");
}

/* `count` rules of each kind, the one that counts last. */
static void rules(int count, int denials) {
    char text[160];

    mw_policy_free(p);
    must(mw_policy_new(&p, &err) == 0, "a policy");
    for (int i = 0; i + 1 < count; i++) {
        snprintf(text, sizeof text, "%s/other%d", root, i);
        rule(MW_READ, MW_ALLOW, text);
        snprintf(text, sizeof text, "192.168.%d.0/24:80", i);
        rule(MW_CONNECT, MW_ALLOW, text);
        snprintf(text, sizeof text, "h%d.example.org", i);
        rule(MW_CONNECT, MW_ALLOW, text);
        snprintf(text, sizeof text, "VARIABLE_%d", i);
        rule(MW_ENV, MW_ALLOW, text);
        snprintf(text, sizeof text, "%s/bin/p%d", root, i);
        rule(MW_RUN, MW_ALLOW, text);
    }
    rule(MW_READ, MW_ALLOW, root);
    rule(MW_CONNECT, MW_ALLOW, "10.0.0.0/8");
    rule(MW_CONNECT, MW_ALLOW, "*.example.com:443");
    rule(MW_ENV, MW_ALLOW, "LC_*");
    rule(MW_SYS, MW_ALLOW, "hostname");
    rule(MW_RUN, MW_ALLOW, "cat");
    rule(MW_RUN, MW_ALLOW, "/bin/ls");
    for (int i = 0; i < denials; i++) {
        snprintf(text, sizeof text, "%s/sub/deep/secret%d", root, i);
        rule(MW_READ, MW_DENY, text);
        snprintf(text, sizeof text, "10.99.%d.0/24", i);
        rule(MW_CONNECT, MW_DENY, text);
        snprintf(text, sizeof text, "no%d.example.com", i);
        rule(MW_CONNECT, MW_DENY, text);
        snprintf(text, sizeof text, "LC_NOT_%d", i);
        rule(MW_ENV, MW_DENY, text);
        snprintf(text, sizeof text, "%s/bin/q%d", root, i);
        rule(MW_RUN, MW_DENY, text);
    }
}

static void row(const char *what, int (*call)(void)) {
    double ns, plain;
    cost(call, &ns, &plain);
    printf("  %-40s %8.0f ns %7.2f\n", what, ns, ns / plain);
    fflush(stdout);
}

static void rows(int count, int denials) {
    rules(count, denials);
    printf("%d rule%s of a kind, %d denial%s\n", count, count == 1 ? "" : "s", denials, denials == 1 ? "" : "s");
    row("plain openat and close", open_plain);
    row("open for reading, and close", open_permitted);
    row("find an object (stat), and close", find_object);
    row("find a name (lstat, unlink), and close", find_name);
    row("an address", peer);
    row("a host's address", named_peer);
    row("a host, before it is looked up", host);
    row("a variable", variable);
    row("a variable, by query", asked_variable);
    row("a fact of the system", fact);
    row("a program by its name", run_name);
    row("a program by the path that is granted", run_path);
    row("a program by another path, with a link", run_other_path);
}

static void put(const char *name, mode_t mode) {
    char path[300];
    int fd;
    snprintf(path, sizeof path, "%s/%s", root, name);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);
    must(fd >= 0, path);
    close(fd);
}

int main(void) {
    static const char *const dirs[] = {"sub", "sub/deep", "bin"};
    static const int counts[][2] = {{1, 0}, {10, 0}, {100, 0}, {1, 1}, {10, 10}, {100, 100}};
    char text[200];

    snprintf(root, sizeof root, "/tmp/mw-permit-XXXXXX");
    must(mkdtemp(root) != NULL, "mkdtemp");
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        snprintf(text, sizeof text, "%s/%s", root, dirs[i]);
        must(mkdir(text, 0755) == 0, "mkdir");
    }
    put("sub/deep/file", 0644);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "bin/p%d", i);
        put(text, 0755);
        snprintf(text, sizeof text, "bin/q%d", i);
        put(text, 0755);
    }
    snprintf(file, sizeof file, "%s/sub/deep/file", root);
    snprintf(made, sizeof made, "%s/sub/deep/file", root);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) rows(counts[i][0], counts[i][1]);

    mw_policy_free(p);
    p = NULL;
    must(mw_policy_new(&p, &err) == 0 && mw_policy_add(p, MW_READ, MW_ALLOW, NULL, &err) == 0, "a policy");
    printf("the bare flag\n");
    row("open for reading, and close", open_permitted);
    row("find an object (stat), and close", find_object);
    mw_policy_free(p);

    snprintf(text, sizeof text, "rm -rf %s", root);
    return system(text) == 0 ? 0 : 1;
}
