/* The spin: a loop that has nothing to do looks on for some microseconds before it sleeps, where that pays.
 * Knows: core/host. Never: spins on one core, on a loaded machine, on a borrowed loop or between steps; burns an idle machine.
 *
 * Why. To sleep in epoll_wait(2) is cheap; to be woken is not: the kernel brings an idle core back, 20 to 40 us on a virtual
 * machine, once for each hop of a conversation. Two sides that answer within a few microseconds spend nearly all their time so.
 * A side that still looks when the answer comes takes it at once, and the other side's write wakes nobody.
 *
 * When (0, which is `--spin=auto`). After SPIN_ROW waits one after the other that ended within SPIN_SHORT_NS, each wait begins with a spin of at
 * most SPIN_BOUND_NS. What a spin costs is kept in an account of time: one that finds nothing is taken from it, one that finds
 * something pays in what a wake would have cost, and time itself pays in 1/SPIN_SHARE. Without credit there is no spin, so:
 *   - an idle machine: one spin in vain after the last message, then none, for the row is broken;
 *   - waits a little too long for it: 1/SPIN_SHARE of one core at most, once the account is empty;
 *   - two of three waits must be short for it to go on.
 * Never when a timer is due within a millisecond: it would be what the loop waits for.
 *
 * Never where another thread wants this core: then the other side may well be the one that waits for it. Three signs, for which no
 * call is made in a conversation that runs smoothly:
 *   - one core in the thread's affinity mask (asked when a row begins);
 *   - the spin lets others go first (sched_yield, at most once in SPIN_YIELD_NS): if somebody ran for long, the clock makes a leap;
 *   - the kernel took the core away from this thread more than some times a second (ru_nivcsw, asked once in SPIN_WINDOW_NS; a yield
 *     that let somebody run for a short time counts there too): what shows where each spin ends too early for the second sign.
 * Each shuts the spin off for a time: some times as long as was lost to one that ran for a moment, as the kernel's threads do; else a
 * millisecond at first (the machine below a virtual one looks the same), and a sign that comes again soon doubles it. The machine's load average says nothing about this core and this moment, and a loop's own CPU time says nothing
 * that the leap of the clock does not say sooner.
 */
#ifndef MW_CORE_SPIN_H
#define MW_CORE_SPIN_H

#include "core/host.h"

#define SPIN_ROW 4u                 /* waits */
#define SPIN_SHORT_NS 200000u       /* a hop there and back with a sleep at each end takes less */
#define SPIN_BOUND_NS 50000u
#define SPIN_SHARE 50               /* of the time that passes */
#define SPIN_CREDIT_NS 1000000      /* the account holds no more: so much is burnt at once at most */
#define SPIN_EARNS_NS 25000         /* what a wake costs */
#define SPIN_YIELD_NS 8000u         /* into a spin, and again after as much */
#define SPIN_LEAP_NS 50000u         /* another thread runs for longer, once it runs; interrupts, mostly, do not */
#define SPIN_WINDOW_NS 10000000u
#define SPIN_TAKEN 100u             /* times a second that the kernel may take the core away */
#define SPIN_SLICE_NS 1000000u      /* who runs for longer has work to do */
#define SPIN_LOST 8u                /* times as long as was lost to one who has not */
#define SPIN_OFF_MS 1u              /* the first time it is shut off */
#define SPIN_OFF_MAX_MS 64u         /* so often it is tried again, for some spins at most */
#define SPIN_ONE_CORE_MS 1000u      /* so often the mask is asked */
#define SPIN_CALM 16u               /* times as long without a sign, and it begins anew */

/* For how long a run of the host spins: 0: as above (the default); below 0: never; else so many microseconds (at most SPIN_MAX_US), at
 * the beginning of every wait, on two cores and more and while nobody else wants this one. On the loop's thread. */
#define SPIN_MAX_US 10000
void mw_host_set_spin(mw_host *h, int us);
int mw_host_spin(const mw_host *h);         /* what was set */

/* For what comes in without waking a task: else a spin counts as one that found nothing. */
void mw_host_stirred(mw_host *h);

/* What there has been since the beginning of the host. */
struct mw_spin_counts {
    uint64_t waits;                 /* the loop had nothing to do */
    uint64_t slept;                 /* it did block */
    uint64_t spins, hits;           /* hits: something came meanwhile */
    uint64_t crowded;               /* times that another thread wanted the core */
    uint64_t vain_ns;               /* time of the spins that found nothing */
};
const struct mw_spin_counts *mw_host_spin_counts(const mw_host *h);

#endif
