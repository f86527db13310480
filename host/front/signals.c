/* Ctrl-C and its kin: the first asks, the second ends. At a prompt it asks the line.
 * Knows: moonwire.h, sigaction(2).
 * Never: does more in a handler than the two calls of moonwire.h that allow it. */
#include "front/signals.h"

#include "front/prompt.h"
#include "front/repl_tty.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
#define SIGNALS (sizeof signals / sizeof signals[0])

/* The one static of the program: a handler has nothing else to find its host by. */
static struct {
    _Atomic(mw_host *) host, mended;
    atomic_int seen, late;      /* late: the status of a run that took too long */
    atomic_int ending;          /* the host is being taken down: what it made is not all gone yet */
    struct itimerval left;      /* of the time that stands still */
    atomic_int bell;            /* 1 + the descriptor that tells a prompt of what was noted; 0: there is no prompt */
    atomic_uint noted;
    atomic_int line, asked;     /* a line runs; INT has asked it to end */
    atomic_uint breaks;         /* INTs that the prompt took */
    atomic_int quiet;           /* the prompt is over */
} watch;

static void on_alarm(int number) {
    int saved = errno;
    mw_host *h = atomic_load(&watch.host);

    (void)number;
    if (h != NULL) mw_host_interrupt(h, atomic_load(&watch.late), "timed out");
    errno = saved;
}

static void note(unsigned what) {
    uint64_t one = 1;
    ssize_t n;

    atomic_fetch_or(&watch.noted, what);
    n = write(atomic_load(&watch.bell) - 1, &one, sizeof one);
    (void)n;
}

/* 1: the prompt takes it. -1: it has asked before. */
static int is_for_prompt(int number, mw_host *h) {
    if (atomic_load(&watch.bell) == 0 || atomic_load(&watch.quiet) || number != SIGINT || h == NULL || atomic_load(&watch.seen) > 0) return 0;
    if (atomic_load(&watch.line) && atomic_exchange(&watch.asked, 1)) return -1;
    mw_host_break(h);
    atomic_fetch_add(&watch.breaks, 1);
    note(MW_NOTED_CLEAR);
    return 1;
}

static void on_signal(int number) {
    int saved = errno, prompt;
    mw_host *h = atomic_load(&watch.host);

    prompt = is_for_prompt(number, h);
    if (prompt > 0) {
        /* noted */
    } else if (prompt == 0 && h != NULL && atomic_fetch_add(&watch.seen, 1) == 0) {
        mw_host_interrupt(h, 128 + number, number == SIGINT ? "interrupted" : number == SIGTERM ? "terminated" : "hung up");
    } else if (h == NULL && atomic_load(&watch.ending) && atomic_fetch_add(&watch.seen, 1) == 0) {
        /* it ends, and cleans up, in any case */
    } else {
        if (h != NULL) mw_host_kill_children(h);
        mw_prompt_restore();
        mw_repl_tty_restore();
        signal(number, SIG_DFL);
        raise(number); /* held back until this handler returns */
    }
    errno = saved;
}

/* An access to memory that is not there; or somebody sent it (si_code <= 0), which ends us as it ends everybody. */
static void on_fault(int number, siginfo_t *info, void *context) {
    int saved = errno;
    mw_host *h = atomic_load(&watch.mended);

    (void)context;
    if (h == NULL || info->si_code <= 0 || !mw_host_mend_fault(h, info->si_addr)) {
        signal(number, SIG_DFL);
        if (info->si_code <= 0) raise(number); /* otherwise the access comes again, and ends us */
    }
    errno = saved;
}

void mw_signals_faults(mw_host *h) {
    struct sigaction act;

    atomic_store(&watch.mended, h);
    if (h == NULL) return;
    memset(&act, 0, sizeof act);
    act.sa_sigaction = on_fault;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGBUS, &act, NULL);
}

void mw_signals_stuck(mw_host *h, int status, void *ud) {
    static const char text[] = "moonwire: the script does not come back from a function that cannot be interrupted; it is ended without cleanup\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);

    (void)ud;
    (void)n;
    mw_host_kill_children(h);
    mw_repl_tty_restore();
    _exit(status);
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

/* Those of a terminal. A TSTP of the kernel's is Ctrl-Z; one that a program sent, such as our own for a child that was stopped, wants us
 * to stop here and now. */
static void on_terminal_signal(int number, siginfo_t *info, void *context) {
    int saved = errno;

    (void)context;
    if (number == SIGTSTP && info->si_code <= 0 && atomic_load(&watch.line)) raise(SIGSTOP);
    else note(number == SIGTSTP ? MW_NOTED_STOP : number == SIGWINCH ? MW_NOTED_RESIZED : MW_NOTED_RESUMED);
    errno = saved;
}

/* What ends us without asking: the terminal is not left as a line editor wants it. */
static void on_crash(int number) {
    mw_repl_tty_restore();
    signal(number, SIG_DFL);
    raise(number);
}

int mw_signals_prompt(void) {
    static const int terminal[] = { SIGTSTP, SIGWINCH, SIGCONT }, crashes[] = { SIGABRT, SIGSEGV, SIGILL, SIGFPE, SIGQUIT };
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction act, was;

    if (bell < 0) return -1;
    atomic_store(&watch.bell, 1 + bell);
    memset(&act, 0, sizeof act);
    act.sa_sigaction = on_terminal_signal;
    act.sa_flags = SA_RESTART | SA_SIGINFO;
    for (size_t i = 0; i < sizeof terminal / sizeof *terminal; i++) {
        if (sigaction(terminal[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN) sigaction(terminal[i], &act, NULL);
    }
    memset(&act, 0, sizeof act);
    act.sa_handler = on_crash;
    act.sa_flags = SA_ONSTACK;
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) {
        if (sigaction(crashes[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL) sigaction(crashes[i], &act, NULL);
    }
    return bell;
}

int mw_signals_any(void) { return atomic_load(&watch.noted) != 0; }

unsigned mw_signals_noted(void) {
    uint64_t count;
    ssize_t n = read(atomic_load(&watch.bell) - 1, &count, sizeof count);

    (void)n;
    return atomic_exchange(&watch.noted, 0);
}

void mw_signals_prompt_over(void) { atomic_store(&watch.quiet, 1); }

void mw_signals_line(int runs) {
    atomic_store(&watch.asked, 0);
    atomic_store(&watch.line, runs);
}

void mw_signals_deadline(uint64_t ns, int status) {
    uint64_t us = (ns + 999) / 1000;
    struct itimerval when = { .it_value = { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) } };
    struct sigaction act;

    atomic_store(&watch.late, status);
    memset(&act, 0, sizeof act);
    act.sa_handler = on_alarm;
    act.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &when, NULL);
}

void mw_signals_pause(void) {
    static const struct itimerval off;
    setitimer(ITIMER_REAL, &off, &watch.left);
}
void mw_signals_resume(void) { setitimer(ITIMER_REAL, &watch.left, NULL); }

int mw_signals_seen(void) { return atomic_load(&watch.seen) > 0; }
unsigned mw_signals_breaks(void) { return atomic_load(&watch.breaks); }

void mw_signals_hold(int on, sigset_t *was) {
    sigset_t ours;

    sigemptyset(&ours);
    for (size_t i = 0; i < SIGNALS; i++) sigaddset(&ours, signals[i]);
    if (on) pthread_sigmask(SIG_BLOCK, &ours, was);
    else pthread_sigmask(SIG_SETMASK, was, NULL);
}

void mw_signals_forget(void) {
    atomic_store(&watch.ending, 1);
    atomic_store(&watch.host, NULL);
}

/* The tick of a step may come while the stack is deep: it stands on one of its own (valgrind, for one, cannot extend ours then). */
static void stand_apart(void) {
    static char stack[32768];
    stack_t ours = { .ss_sp = stack, .ss_size = sizeof stack };

    sigaltstack(&ours, NULL);
}

void mw_signals_settle(uint64_t *files) {
    struct rlimit limit;

    stand_apart();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file above the limit of sizes is EFBIG */
    *files = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    *files = limit.rlim_cur;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
