/* What an engine pays for a host: a step with nothing to do, a budget that is overrun, a spawn from a large process, memory.
 * Knows: moonwire.h. Never: a pass mark: it prints, and whoever reads it judges (scripts/bench/step builds and runs it). */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "moonwire.h"

#define BUDGET_US 2000
#define FRAMES 600
#define ALONE_US 30                     /* of a step that nobody else ran in: what the clocks differ by, and a page or two */
#define HOSTS 100
#define PARENT ((size_t)2 << 30)        /* bytes */

static struct mw_err err;

static void must(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "step: %s failed: %s\n", what, err.message);
    exit(1);
}
static double now_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}
/* The processor time of this thread: what another program took of a step is not the host's. */
static double used_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}
static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static mw_host *host(enum mw_preempt how, const char *script) {
    struct mw_config cfg;
    mw_host *h = NULL;

    mw_config_init(&cfg);
    cfg.preempt = how;
    cfg.limits.step_ns = MW_LIMIT_OFF;
    cfg.shutdown_ms = 100;
    must(mw_policy_new(&cfg.policy, &err) == 0 && mw_policy_add_all(cfg.policy, &err) == 0, "policy");
    must(mw_host_new(&cfg, &h, &err) == 0, "host");
    mw_policy_free(cfg.policy);
    must(mw_host_load_string(h, script, strlen(script), "=bench", &err) == 0, "script");
    return h;
}

/* ---- A step with nothing to do --------------------------------------------------------------------------------------------- */

static void idle(const char *name, const char *script) {
    mw_host *h = host(MW_PREEMPT_DEFAULT, script);
    double rounds[51];
    struct mw_step st;

    for (int i = 0; i < 200; i++) mw_host_step(h, BUDGET_US, &st, &err);
    for (int r = 0; r < 51; r++) {
        double began = now_us();
        for (int i = 0; i < 1000; i++) mw_host_step(h, BUDGET_US, &st, &err);
        rounds[r] = now_us() - began;
    }
    qsort(rounds, 51, sizeof *rounds, by_size);
    printf("%-44s %8.0f ns  (best %.0f)\n", name, rounds[25], rounds[0]);
    mw_host_free(h);
}

/* ---- Budgets --------------------------------------------------------------------------------------------------------------- */

static void rest(double until) {
    double left;
    while ((left = until - now_us()) > 0) {
        struct timespec ts = { 0, (long)(left * 1000) };
        nanosleep(&ts, NULL);
    }
}

/* What a machine and its clock take of a step that has no host: a loop that ends when a timer's signal comes, or that asks the clock. */
static volatile sig_atomic_t rung;

static void ring(int number) {
    (void)number;
    rung = 1;
}
static void loop_until(enum mw_preempt how, double until) {
    static timer_t timer;
    static int made;
    struct itimerspec when = { { 0, 0 }, { (time_t)(until / 1e6), (long)((until - (double)(time_t)(until / 1e6) * 1e6) * 1e3) } };
    unsigned n = 0;

    if (how != MW_PREEMPT_TIMER) {
        while (++n % 1000 != 0 || now_us() < until) __asm__ volatile("");
        return;
    }
    if (!made) {
        struct sigevent to = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
        signal(SIGUSR1, ring);
        must(timer_create(CLOCK_MONOTONIC, &to, &timer) == 0, "timer");
        made = 1;
    }
    rung = 0;
    timer_settime(timer, TIMER_ABSTIME, &when, NULL);
    while (!rung) n++;
}

/* Frames of 4 ms, a step in each; how much longer than its budget was it? Of its own: in processor time, and of those frames alone in which
 * nobody else had the processor meanwhile: their time is missing in the others. script NULL: the loop without a host. */
static void budget(const char *name, enum mw_preempt how, const char *script) {
    mw_host *h = script != NULL ? host(how, script) : NULL;
    static double over[FRAMES], busy[FRAMES];
    struct mw_step st = { 0 };
    unsigned cut = 0, calm = 0;
    double next = now_us();

    for (int i = -20; i < FRAMES; i++) {
        double began = now_us(), had = used_us(), own, all;
        if (h != NULL) mw_host_step(h, BUDGET_US, &st, &err);
        else loop_until(how, began + BUDGET_US);
        own = used_us() - had;
        all = now_us() - began;
        if (i >= 0) {
            over[i] = all > BUDGET_US ? all - BUDGET_US : 0;
            if (all - own < ALONE_US) busy[calm++] = own > BUDGET_US ? own - BUDGET_US : 0;
            if (st.ready > 0) cut++;
        }
        next += 4000;
        rest(next);
    }
    if (calm == 0) busy[calm++] = 0;
    qsort(over, FRAMES, sizeof *over, by_size);
    qsort(busy, calm, sizeof *busy, by_size);
    printf("%-36s %7s  overrun p50 %5.0f us  p99 %5.0f us  most %5.0f us  of its own, in %3u calm ones, p50 %3.0f us  p99 %4.0f us  most %4.0f us  cut %3u of %d\n",
           name, how == MW_PREEMPT_TIMER ? "TIMER" : how == MW_PREEMPT_COUNT ? "COUNT" : "NONE", over[FRAMES / 2], over[FRAMES * 99 / 100],
           over[FRAMES - 1], calm, busy[calm / 2], busy[calm * 99 / 100], busy[calm - 1], cut, FRAMES);
    mw_host_free(h);
}

#define TASK "local mw = require 'moonwire' local task = mw.task "
static const char long_loop[] = "local n = 0 while true do n = n + 1 end";
static const char in_coroutine[] = "local co = coroutine.wrap(function() local n = 0 while true do n = n + 1 coroutine.yield(n) end end) while true do co() end";
static const char many_tasks[] = TASK "for i = 1, 5000 do task.spawn(function() local n = 0 while true do for k = 1, 50 do n = n + k end task.pass() end end) end";
static const char strings[] = "local t = {} while true do for i = 1, 1000 do t[i] = ('x'):rep(i) .. i end end";
static const char io[] = TASK
    "local server = assert(mw.net.listen('unix:@mw-bench-step-' .. tostring(mw.time.now()):gsub('%D', '')))\n"
    "task.spawn_with({ daemon = true }, server.serve, server, function(c) for line in c:lines() do c:write(line, '\\n') end end)\n"
    "for i = 1, 64 do task.spawn(function() local c <close> = assert(mw.net.connect(server:address()))\n"
    "  local text = ('y'):rep(200) .. '\\n' while true do c:write(text) c:read('l') end end) end";
static const char bulk[] = TASK
    "local server = assert(mw.net.listen('unix:@mw-bench-bulk-' .. tostring(mw.time.now()):gsub('%D', '')))\n"
    "task.spawn_with({ daemon = true }, server.serve, server, function(c) while c:read(65536) do end end)\n"
    "for i = 1, 8 do task.spawn(function() local c <close> = assert(mw.net.connect(server:address()))\n"
    "  local text = ('z'):rep(65536) while true do c:write(text) end end) end";

/* ---- A large process that starts children ------------------------------------------------------------------------------------ */

static void spawns(void) {
    char *memory = mmap(NULL, PARENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mw_host *h = host(MW_PREEMPT_TIMER, TASK "while true do mw.process.run { '/bin/true' } end");
    static double took[FRAMES];
    unsigned over = 0;

    if (memory == MAP_FAILED) {
        printf("no %zu bytes to be a large process with\n", PARENT);
        mw_host_free(h);
        return;
    }
    for (size_t i = 0; i < PARENT; i += 4096) memory[i] = 1;
    for (int i = 0; i < FRAMES; i++) {
        double began = now_us();
        mw_host_step(h, BUDGET_US, NULL, &err);
        took[i] = now_us() - began;
        if (took[i] > BUDGET_US) over++;
        rest(began + 4000);
    }
    qsort(took, FRAMES, sizeof *took, by_size);
    printf("%-44s step p50 %5.0f us  p99 %5.0f us  most %5.0f us  above the budget %u of %d\n", "children of a process with 2 GiB",
           took[FRAMES / 2], took[FRAMES * 99 / 100], took[FRAMES - 1], over, FRAMES);
    mw_host_free(h);
    munmap(memory, PARENT);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------------------ */

static size_t resident(void) {
    unsigned long all = 0, here = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%lu %lu", &all, &here) != 2) here = 0;
    if (f != NULL) fclose(f);
    return here * (size_t)sysconf(_SC_PAGESIZE);
}
static size_t allocated(void) {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void memory(const char *name, const char *script) {
    mw_host *all[HOSTS];
    struct mw_step st;
    size_t before, used;

    mw_host_free(host(MW_PREEMPT_DEFAULT, script)); /* what the first one leaves behind is not the others' */
    malloc_trim(0);
    before = resident();
    used = allocated();
    for (int i = 0; i < HOSTS; i++) all[i] = host(MW_PREEMPT_DEFAULT, script);
    for (int k = 0; k < 10; k++)
        for (int i = 0; i < HOSTS; i++) must(mw_host_step(all[i], BUDGET_US, &st, &err) == 0, "step");
    printf("%-44s %8.1f KiB resident, %.1f KiB allocated\n", name, (double)(resident() - before) / HOSTS / 1024,
           (double)(allocated() - used) / HOSTS / 1024);
    for (int i = 0; i < HOSTS; i++) mw_host_free(all[i]);
}

int main(int argc, char **argv) {
    const char *only = argc > 1 ? argv[1] : "";

    if (strstr("memory", only) != NULL) { /* first, in a heap without holes */
        memory("a host without a script", "");
        memory("a host whose script waits", TASK "task.wait()");
        memory("a host with processes and sockets", TASK "local here, there = mw.process.run, mw.net.connect task.wait()");
    }
    if (strstr("idle", only) != NULL) {
        idle("a step, no task", "");
        idle("a step, a task that waits", TASK "task.wait()");
        idle("a step, 1,000 tasks asleep", TASK "for i = 1, 1000 do task.spawn(function() task.sleep(1000 + i) end) end");
        idle("a step, a listener and a child", TASK "local s <close> = mw.net.listen('tcp://127.0.0.1:0') local c <close> = mw.process.spawn { 'cat' } task.wait()");
    }
    if (strstr("budget", only) != NULL) {
        const enum mw_preempt kinds[] = { MW_PREEMPT_TIMER, MW_PREEMPT_COUNT };
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            budget("no host: a loop in C", kinds[i], NULL);
            budget("one long loop", kinds[i], long_loop);
            budget("coroutines in a loop", kinds[i], in_coroutine);
            budget("5,000 tasks that pass", kinds[i], many_tasks);
            budget("strings, and the collector", kinds[i], strings);
            budget("64 connections, lines both ways", kinds[i], io);
            budget("8 connections, 64 KiB at a time", kinds[i], bulk);
        }
    }
    if (strstr("spawn", only) != NULL) spawns();
    return 0;
}
