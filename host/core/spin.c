/* The spin, as its header tells.
 * Knows: core, uv.h, sched_yield(2), getrusage(2). Never: what comes; sources that count as asleep. */
#include "core/spin.h"

#include <sched.h>
#include <sys/resource.h>

#include "core/inside.h"

#define LOOKS 16                /* looks at the sources between two at the descriptors: less than a microsecond */
#define SPIN_DUE_NS 1000000u    /* as near a timer may be */
#define POLL_NS 20000u          /* after so long the descriptors are looked at, however much the sources bring */

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("isb")
#else
#define RELAX() ((void)0)
#endif

void mw_host_set_spin(mw_host *h, int us) {
    h->spin.us = us < SPIN_MAX_US ? us : SPIN_MAX_US;
    h->spin.adapts = us == 0;
    h->spin.bound_ns = us == 0 ? SPIN_BOUND_NS : us < 0 ? 0 : (uint64_t)h->spin.us * 1000u;
}
int mw_host_spin(const mw_host *h) {
    return h->spin.us;
}
void mw_host_stirred(mw_host *h) {
    h->stirred++;
}
const struct mw_spin_counts *mw_host_spin_counts(const mw_host *h) {
    return &h->spin.counts;
}

static int one_core(void) {
#ifdef __linux__
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) == 1;
#else
    return 0;
#endif
}

/* How often the kernel took the core away from this thread, and how often it would have had to. */
static long taken_away(void) {
#ifdef RUSAGE_THREAD
    struct rusage used;
    if (getrusage(RUSAGE_THREAD, &used) == 0) return used.ru_nivcsw;
#endif
    return 0;
}

static void open_window(struct mw_spin *s, uint64_t now) {
    s->window_at = now;
    s->window_taken = taken_away();
}

/* By the loop's own clock, which costs nothing to ask: while it is off a wait takes no longer than without all this. */
static void shut_off(mw_host *h, unsigned ms) {
    h->spin.off_until = uv_now(h->loop) + ms + 1;
    h->spin.row = 0;
    h->spin.fit_at = 0;
}

/* lost_ns: how long somebody else ran here, where that is known. What runs for a moment (a thread of the kernel) comes again and
 * again on any machine: for that the spin is off for some times as long, and no longer the next time. */
static void crowded(mw_host *h, uint64_t lost_ns) {
    struct mw_spin *s = &h->spin;

    s->counts.crowded++;
    if (lost_ns > 0 && lost_ns < SPIN_SLICE_NS) {
        shut_off(h, (unsigned)(lost_ns * SPIN_LOST / 1000000u));
        return;
    }
    if (s->off_ms == 0 || uv_now(h->loop) >= s->off_until + SPIN_CALM * s->off_ms) s->off_ms = SPIN_OFF_MS;
    else if (s->off_ms < SPIN_OFF_MAX_MS) s->off_ms *= 2;
    shut_off(h, s->off_ms);
}

/* A row of short waits begins: does it make sense at all, here and now? */
static int fit(mw_host *h, uint64_t now) {
    if (one_core()) {
        shut_off(h, SPIN_ONE_CORE_MS);
        return 0;
    }
    h->spin.fit_at = now;
    open_window(&h->spin, now);
    return 1;
}

/* The window is over: was this thread left in peace? */
static int in_peace(mw_host *h, uint64_t now) {
    struct mw_spin *s = &h->spin;
    uint64_t allowed = 2 + (now - s->window_at) * SPIN_TAKEN / 1000000000u;
    uint64_t taken = (uint64_t)(taken_away() - s->window_taken);

    open_window(s, now);
    if (taken <= allowed) return 1;
    crowded(h, 0);
    return 0;
}

static void pay(struct mw_spin *s, int64_t ns) {
    s->credit_ns += ns;
    if (s->credit_ns > SPIN_CREDIT_NS) s->credit_ns = SPIN_CREDIT_NS;
}

static int pays(mw_host *h, struct mw_spin *s, uint64_t now) {
    int due;

    if (s->adapts && s->row < SPIN_ROW) return 0;
    if (s->fit_at == 0 && !fit(h, now)) return 0;
    if (now - s->window_at >= SPIN_WINDOW_NS && !in_peace(h, now)) return 0;
    if (s->adapts) {
        pay(s, (int64_t)((now - s->paid_at < SPIN_WINDOW_NS * SPIN_SHARE ? now - s->paid_at : SPIN_WINDOW_NS * SPIN_SHARE) / SPIN_SHARE));
        s->paid_at = now;
        if (s->credit_ns < (int64_t)s->bound_ns) return 0;
    }
    if (h->timers > 0 && h->heap[1]->at < now - h->paused + SPIN_DUE_NS) return 0;
    due = uv_backend_timeout(h->loop); /* of libuv's own timers; 0 too when the loop has something to do */
    return due < 0 || due > 1;
}

/* 1: somebody else ran here. */
static int others_first(uint64_t *now) {
    uint64_t before = *now;

    sched_yield();
    *now = uv_hrtime();
    return *now - before > SPIN_LEAP_NS;
}

static int look(mw_host *h) {
    for (int i = 0; i < LOOKS; i++) {
        if (mw_sources_look(h)) return 1;
        RELAX();
    }
    return 0;
}

/* Spins from `began` on. 1: something came, and the tasks that it woke have run. */
static int spin(mw_host *h, struct mw_spin *s, uint64_t began) {
    uint64_t now = began, last, stirred = h->stirred, yield_at = began + SPIN_YIELD_NS;
    int sources = !mw_list_empty(&h->sources);

    do {
        last = now;
        if (sources && look(h) && now - s->polled_at < POLL_NS) mw_loop_drain(h);
        else {
            s->polled_at = now;
            uv_run(h->loop, UV_RUN_NOWAIT);
        }
        if (h->stirred != stirred || mw_host_ending(h)) return 1;
        now = uv_hrtime();
        if (now - last > SPIN_LEAP_NS || (now >= yield_at && others_first(&now))) {
            crowded(h, now - last);
            break;
        }
        if (now >= yield_at) yield_at = now + SPIN_YIELD_NS;
    } while (now - began < s->bound_ns);
    if (now - began > s->bound_ns) now = began + s->bound_ns; /* the rest was somebody else's */
    s->counts.vain_ns += now - began;
    if (s->adapts) s->credit_ns -= (int64_t)(now - began);
    return 0;
}

int mw_spin_wait(mw_host *h) {
    struct mw_spin *s = &h->spin;
    uint64_t now;

    s->counts.waits++;
    s->began = 0;
    if (s->bound_ns == 0 || uv_now(h->loop) < s->off_until) return 0;
    s->began = now = uv_hrtime();
    if (!pays(h, s, now)) return 0;
    s->counts.spins++;
    if (!spin(h, s, now)) return 0;
    s->counts.hits++;
    if (s->adapts) pay(s, SPIN_EARNS_NS);
    return 1;
}

void mw_spin_slept(mw_host *h, uint64_t stirred) {
    struct mw_spin *s = &h->spin;

    s->counts.slept++;
    if (s->began == 0) return;
    if (h->stirred != stirred && uv_hrtime() - s->began < SPIN_SHORT_NS) {
        if (s->row < SPIN_ROW) s->row++;
    } else {
        s->row = 0;
        s->fit_at = 0;
    }
    s->began = 0;
}
