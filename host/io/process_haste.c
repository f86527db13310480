/* While children are being started: a short slice of the processor for our thread, so that it gets its turn at once when it is woken.
 * Knows: io/process_parts.h, sched_setattr(2). Never: touches a thread that is not the program's own; leaves it so.
 *
 * A start stands still until the child is a program, and then there are others to start and to listen to. But who is woken beside a
 * child that has just begun waits for the end of its slice (milliseconds), while the next children are not even started. Linux 6.12
 * and later let the shorter slice go first. It costs switches where both sides of a conversation share a processor, so it is kept
 * only while starts follow one another. A child begins with the slice that we had before. */
#include "io/process_parts.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHORT_NS 100000u           /* the least that the kernel takes */
#define CALM_NS 20000000u          /* this long after the last start it is given back */
#define ORDINARY 0                 /* SCHED_OTHER */

#if defined(__linux__) && defined(SYS_sched_setattr)
static int set(struct mw_sched *to) {
    return syscall(SYS_sched_setattr, 0, to, 0) < 0 ? -errno : 0;
}

/* 1: ours is an ordinary thread; its slice is 0 where the kernel does not know of them. */
static int can(struct mw_sched *now) {
    memset(now, 0, sizeof *now);
    return syscall(SYS_sched_getattr, 0, now, sizeof *now, 0) == 0 && now->policy == ORDINARY;
}
#else
static int set(struct mw_sched *to) {
    (void)to;
    return -ENOSYS;
}
static int can(struct mw_sched *now) {
    (void)now;
    return 0;
}
#endif

static void calm(struct mw_timer *t) {
    struct mw_processes *all = MW_LIST_ENTRY(t, struct mw_processes, haste);
    uint64_t now = mw_host_now(all->host);

    if (now - all->started < CALM_NS && mw_timer_start(all->host, t, all->started + CALM_NS, calm) == 0) return;
    mw_haste_end(all);
}

const struct mw_sched *mw_haste(struct mw_processes *all) {
    struct mw_sched now;

    if (!all->may_hurry || !can(&now)) return NULL;
    all->started = mw_host_now(all->host);
    if (all->hasty) {
        now.runtime = all->sched.runtime;    /* the others may have been changed since */
        all->sched = now;
        return &all->sched;
    }
    if (now.runtime <= SHORT_NS || mw_timer_start(all->host, &all->haste, all->started + CALM_NS, calm) < 0) return NULL;
    all->sched = now;
    now.runtime = SHORT_NS;
    all->hasty = set(&now) == 0;
    if (all->hasty) return &all->sched;
    mw_timer_stop(all->host, &all->haste);
    all->may_hurry = 0;                     /* it may not: not asked again */
    return NULL;
}

void mw_haste_end(struct mw_processes *all) {
    struct mw_sched now;

    mw_timer_stop(all->host, &all->haste);
    if (all->hasty && can(&now)) {
        now.runtime = all->sched.runtime;
        set(&now);
    }
    all->hasty = 0;
}
