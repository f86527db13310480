/* The clock of a step: a timer that fires while the host's thread uses the processor, and its signal's handler; and the prod, by which
 * another thread has that handler called there.
 * Knows: core, timer_create(2). Never: a static: the signal brings its host along; anything while the thread sleeps. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/inside.h"

#define TICKS 20u               /* of a step's limit */
#define TICK_MIN 1000000u       /* ns */
#define TICK_MAX 50000000u
#define AGAIN 100000000u        /* ns */
#define ALARM ((uintptr_t)1)    /* in the host's address: the alarm of a step's budget */
#define PROD ((uintptr_t)2)     /* in it: a prod */
#define ALARM_AGAIN 300000      /* ns: more than MW_SLICE_LEAD, so that one alarm is mostly all: a virtual machine takes 40 us for it */
#define STUCK 10000000000u      /* ns that code which had to stop may go on before it is given up */

#if defined(__linux__) && defined(SIGEV_THREAD_ID)
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void on_tick(int number, siginfo_t *info, void *context) {
    uintptr_t at = (uintptr_t)info->si_value.sival_ptr;
    int saved = errno;

    (void)number;
    (void)context;
    if (info->si_code == SI_TIMER && at > (ALARM | PROD)) {
        if (at & ALARM) mw_slice_alarm((mw_host *)(at & ~ALARM));
        else if (at & PROD) mw_hook_prodded((mw_host *)(at & ~PROD));
        else mw_hook_tick((mw_host *)at);
    }
    errno = saved;
}

/* Ours for good: a timer of another host may be on its way. */
static int take_signal(void) {
    struct sigaction act;

    memset(&act, 0, sizeof act);
    act.sa_sigaction = on_tick;
    act.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    return sigaction(SIGVTALRM, &act, NULL);
}

/* A timer that signals the host's thread. 0 or -1. */
static int timer_on(mw_host *h, clockid_t clock, uintptr_t what, timer_t *out) {
    struct sigevent to;

    memset(&to, 0, sizeof to);
    to.sigev_notify = SIGEV_THREAD_ID;
    to.sigev_signo = SIGVTALRM;
    to.sigev_value.sival_ptr = (void *)((uintptr_t)h | what);
    to.sigev_notify_thread_id = h->tid;
    return timer_create(clock, &to, out);
}

static void start_ticking(mw_host *h) {
    struct itimerspec each;
    sigset_t ours;
    uint64_t ns = h->limits.step_ns / TICKS;

    if (ns < TICK_MIN) ns = TICK_MIN;
    if (ns > TICK_MAX) ns = TICK_MAX;
    each.it_interval.tv_sec = each.it_value.tv_sec = 0;
    each.it_interval.tv_nsec = each.it_value.tv_nsec = (long)ns;
    h->step_ticks = h->limits.step_ns == MW_LIMIT_OFF ? UINT_MAX : (unsigned)((h->limits.step_ns + ns - 1) / ns);
    h->stuck_ticks = (unsigned)(STUCK / ns);
    h->again_ticks = (unsigned)(AGAIN / ns) > 3 ? (unsigned)(AGAIN / ns) : 3;
    h->tick_ns = ns;
    if (take_signal() < 0 || timer_on(h, CLOCK_THREAD_CPUTIME_ID, 0, &h->ticker) < 0) {
        h->preempt = MW_PREEMPT_COUNT; /* no timers here: the slower way */
        mw_hook_watch(h->L);
        return;
    }
    sigemptyset(&ours);
    sigaddset(&ours, SIGVTALRM);
    pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
    timer_settime(h->ticker, 0, &each, NULL);
    h->ticking = 1;
}

/* By the kernel's number: a thread that begins often has the address of one that has ended, whose timers fire no more. */
void mw_tick_start(mw_host *h) {
    int tid, counts = atomic_load_explicit(&h->counts, memory_order_relaxed);

    if (counts && pthread_equal(atomic_load_explicit(&h->thread, memory_order_relaxed), pthread_self())) return;
    tid = (int)syscall(SYS_gettid);
    if (tid == h->tid) return;
    mw_tick_stop(h);
    atomic_store(&h->thread, pthread_self());
    h->tid = tid;
    if (h->preempt == MW_PREEMPT_TIMER) start_ticking(h);
    if (!atomic_load(&h->counts) && timer_on(h, CLOCK_MONOTONIC, PROD, &h->prod) == 0) atomic_store(&h->prod_made, 1);
}

/* 1: the signal is ours. It is taken when it is needed, and only from nobody. */
static int have_signal(void) {
    struct sigaction now;

    if (sigaction(SIGVTALRM, NULL, &now) < 0) return 0;
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_tick) return 1;
    return !(now.sa_flags & SA_SIGINFO) && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN) && take_signal() == 0;
}

/* A timer that is due at once: of what is sent otherwise, the kernel keeps one a thread, and this thread may have several hosts.
 * Async-signal-safe. */
void mw_tick_prod(mw_host *h) {
    static const struct itimerspec now = {{0, 0}, {0, 1}};
    int saved = errno;

    atomic_fetch_add(&h->prodding, 1);
    if (atomic_load(&h->prod_made) && have_signal()) timer_settime(h->prod, 0, &now, NULL);
    atomic_fetch_sub(&h->prodding, 1);
    errno = saved;
}

/* A clock of the day, and not of the processor: that one is looked at no finer than the kernel's tick. */
void mw_tick_alarm(mw_host *h, uint64_t at) {
    struct itimerspec when = {{0, 0}, {0, 0}};

    if (!h->ticking || (at == 0 && !h->alarm_set)) return;
    if (!h->alarm_made) {
        if (timer_on(h, CLOCK_MONOTONIC, ALARM, &h->alarm) < 0) return; /* the limit of a step still binds */
        h->alarm_made = 1;
    }
    if (at != 0) {
        at += h->paused;
        when.it_interval.tv_nsec = ALARM_AGAIN;
        when.it_value.tv_sec = (time_t)(at / 1000000000u);
        when.it_value.tv_nsec = (long)(at % 1000000000u);
    }
    timer_settime(h->alarm, TIMER_ABSTIME, &when, NULL);
    h->alarm_set = at != 0;
}

/* A signal of these timers that is still on its way would find its host gone. */
void mw_tick_stop(mw_host *h) {
    static const struct timespec now = {0, 0};
    siginfo_t info;
    sigset_t ours, was;

    if (!h->ticking && !atomic_load(&h->prod_made)) return;
    sigemptyset(&ours);
    sigaddset(&ours, SIGVTALRM);
    pthread_sigmask(SIG_BLOCK, &ours, &was);
    if (h->ticking) timer_delete(h->ticker);
    if (h->alarm_made) timer_delete(h->alarm);
    h->ticking = h->alarm_made = h->alarm_set = 0;
    if (atomic_exchange(&h->prod_made, 0)) {
        while (atomic_load(&h->prodding) > 0) sched_yield(); /* some instructions of theirs */
        timer_delete(h->prod);
    }
    while (sigtimedwait(&ours, &info, &now) > 0)
        if (((uintptr_t)info.si_value.sival_ptr & ~(ALARM | PROD)) != (uintptr_t)h) on_tick(SIGVTALRM, &info, NULL); /* another host's */
    pthread_sigmask(SIG_SETMASK, &was, NULL);
}
#else
void mw_tick_prod(mw_host *h) {
    (void)h;
}
void mw_tick_start(mw_host *h) {
    atomic_store(&h->thread, pthread_self());
    if (h->preempt != MW_PREEMPT_TIMER) return;
    h->preempt = MW_PREEMPT_COUNT;
    mw_hook_watch(h->L);
}
void mw_tick_stop(mw_host *h) {
    (void)h;
}
void mw_tick_alarm(mw_host *h, uint64_t at) {
    (void)h;
    (void)at;
}
#endif
