/* Ctrl-C and its kin: the first asks, the second ends.
 * Knows: moonwire.h, sigaction(2).
 * Never: does more in a handler than the two calls of moonwire.h that allow it. */
#include "front/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
#define SIGNALS (sizeof signals / sizeof signals[0])

/* The one static of the program: a handler has nothing else to find its host by. */
static struct {
    _Atomic(mw_host *) host;
    atomic_int seen;
} watch;

static void on_signal(int number) {
    int saved = errno;
    mw_host *h = atomic_load(&watch.host);

    if (h != NULL && atomic_fetch_add(&watch.seen, 1) == 0) {
        mw_host_interrupt(h, 128 + number, number == SIGINT ? "interrupted" : number == SIGTERM ? "terminated" : "hung up");
    } else {
        if (h != NULL) mw_host_kill_children(h);
        signal(number, SIG_DFL);
        raise(number); /* held back until this handler returns */
    }
    errno = saved;
}

void mw_signals_watch(mw_host *h) {
    struct sigaction act, was;

    atomic_store(&watch.host, h);
    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    act.sa_flags = SA_RESTART;
    for (size_t i = 0; i < SIGNALS; i++) sigaddset(&act.sa_mask, signals[i]);
    for (size_t i = 0; i < SIGNALS; i++) {
        if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler == SIG_IGN) continue;
        sigaction(signals[i], &act, NULL);
    }
}

void mw_signals_forget(void) { atomic_store(&watch.host, NULL); }

void mw_signals_settle(uint64_t *files) {
    struct rlimit limit;

    signal(SIGPIPE, SIG_IGN);
    *files = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    *files = limit.rlim_cur;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
