/* What a cage costs a child: the same program started and waited for, bare, with each part of the cage, and with all of it, in turns.
 * Knows: io/spawn, policy/confine. Never: a pass mark: it prints, and whoever reads it judges (scripts/bench/cage builds and runs it).
 *
 * A child is mostly the kernel's work on two processors, so this is time on the wall: the tenth and the fiftieth of a hundred. */
#include <fcntl.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/spawn.h"
#include "policy/confine.h"

#define COUNT 1000

static const struct mw_spawn_limit no_core = { RLIMIT_CORE, 0, 0 };
static struct sock_filter nothing[] = { { BPF_RET | BPF_K, 0, 0, 0x7fff0000 } };      /* SECCOMP_RET_ALLOW */
static const struct sock_fprog empty = { 1, nothing };

static struct mw_err err;
static uv_loop_t loop;
static mw_cage *cage;

static void must(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "cage: %s failed: %s\n", what, err.message);
    exit(1);
}

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* ---- The ways ------------------------------------------------------------------------------------------------------------- */

static void bare(struct mw_spawn *s) {
    (void)s;
}
static void privileges(struct mw_spawn *s) {
    s->confine = 1;
    s->limits = &no_core;
    s->limit_count = 1;
}
static void landlock(struct mw_spawn *s) {
    privileges(s);
    s->ruleset = mw_cage_ruleset(cage);
}
static void empty_filter(struct mw_spawn *s) {
    privileges(s);
    s->filter = &empty;
}
static void filter(struct mw_spawn *s) {
    privileges(s);
    s->filter = mw_cage_filter(cage);
}
static void whole(struct mw_spawn *s) {
    landlock(s);
    s->filter = mw_cage_filter(cage);
}
static const struct {
    const char *name;
    void (*with)(struct mw_spawn *);
} ways[] = {
    { "bare: its group, its descriptors, a limit of them", bare }, { "and privileges given up, no core file", privileges },
    { "and Landlock", landlock }, { "and an empty filter instead", empty_filter }, { "and our filter instead", filter }, { "the whole cage", whole }
};
#define WAYS (sizeof ways / sizeof ways[0])

/* ---- One child -------------------------------------------------------------------------------------------------------------- */

static void on_ended(struct mw_child *c) {
    (void)c;
}

static double one(const struct mw_spawn *plain, void (*with)(struct mw_spawn *)) {
    struct mw_spawn s = *plain;
    struct mw_child c;
    double began = now(), took;

    memset(&c, 0, sizeof c);
    with(&s);
    must(mw_child_start(&loop, &s, &c, NULL, on_ended, &err) == 0, "a start");
    while (c.running) uv_run(&loop, UV_RUN_ONCE);
    took = now() - began;
    must(c.exit.code == 0, "the program");
    mw_child_close(&c, on_ended);
    uv_run(&loop, UV_RUN_DEFAULT);
    return took;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : COUNT, i, way;
    const char *path = argc > 2 ? argv[2] : "/bin/true";
    struct mw_cage_wish wish = { .who = MW_CAGE_PROGRAM, .abi = mw_confine_abi(), .program = path, .home_fd = -1 };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), fds[3] = { null, null, 2 };
    char *args[] = { (char *)(uintptr_t)path, NULL }, *none[] = { NULL };
    struct mw_spawn plain = { .op = "cage", .path = path, .exec_fd = open(path, O_PATH | O_CLOEXEC), .cwd_fd = -1, .argv = args, .envp = none,
                              .fds = fds, .count = 3, .tty_fd = -1, .nofile = 1024, .warden_fd = -1, .ruleset = -1 };
    double *took[WAYS], tenth, middle, first[2] = { 1, 1 };
    mw_policy *policy = NULL;

    must(mw_policy_new(&policy, &err) == 0 && mw_policy_add(policy, MW_READ, MW_ALLOW, "/usr/share", &err) == 0, "the policy");
    wish.policy = policy;
    wish.program_fd = plain.exec_fd;
    must(mw_cage_new(&wish, &cage, &err) == 0, "the cage");
    must(uv_loop_init(&loop) == 0 && count > 0, "the loop");
    for (way = 0; way < WAYS; way++) must((took[way] = calloc(count, sizeof **took)) != NULL, "memory");
    for (i = 0; i < count; i++) {
        for (way = 0; way < WAYS; way++) took[way][i] = one(&plain, ways[way].with);
    }
    printf("%-52s %8s %8s\n", path, "10 %", "50 %");
    for (way = 0; way < WAYS; way++) {
        qsort(took[way], count, sizeof **took, by_size);
        tenth = took[way][count / 10];
        middle = took[way][count / 2];
        if (way == 0) first[0] = tenth, first[1] = middle;
        printf("%-52s %5.0f us %5.0f us   %.2f  %.2f\n", ways[way].name, tenth, middle, tenth / first[0], middle / first[1]);
        free(took[way]);
    }
    mw_cage_drop(cage);
    mw_policy_free(policy);
    return uv_loop_close(&loop) != 0;
}
