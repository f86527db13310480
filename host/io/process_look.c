/* A look at the children that run, for people.
 * Knows: io/process_parts, clock_getcpuclockid(3). Never: opens a file. */
#include <time.h>

#include "io/process_parts.h"

void mw_process_each(mw_host *h, void (*fn)(void *ud, const struct mw_process_look *look), void *ud) {
    struct mw_processes *all = mw_processes_of(h);
    uint64_t now = mw_host_now(h);

    if (all == NULL) return;
    for (struct mw_list *l = all->all.next; l != &all->all; l = l->next) {
        const mw_process *p = MW_LIST_ENTRY(l, mw_process, link);
        struct mw_process_look look = { p->child.pid, p->name, now > p->started ? now - p->started : 0, 0 };
        struct timespec used;
        clockid_t clock;
        if (!p->child.running) continue;
        if (clock_getcpuclockid(p->child.pid, &clock) == 0 && clock_gettime(clock, &used) == 0)
            look.cpu_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
        fn(ud, &look);
    }
}
