/* A tool that runs a script in an epoll loop of its own, beside its own timer and its own child.
 *     tool [--allow-KIND[=RULES] | --deny-KIND=RULES | --policy=FILE] [--timeout=SECONDS] [--audit=FILE] [--trace=FILE] [--confine]
 *          [--debug=unix:PATH] [--limit=...] [--program=MOONWIRE] [--check] SCRIPT [ARGS]
 * Knows: moonwire.h, epoll(7), signalfd(2). Never: a thread, or a wait outside of its one epoll_wait.
 *
 * What to look at: run() is the whole of how a host lives in somebody else's loop. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moonwire.h"

#define BEAT_MS 20

struct tool {
    mw_host *host;
    struct mw_config cfg;
    int epoll, timer, signals;
    pid_t child;                    /* its own */
    int child_status;               /* what waitpid said of it; -1: not yet */
    int interrupts;
    unsigned wakes, steps, beats;
    int check, confine, quiet;
    double timeout;
};

/* For the SIGBUS handler: it gets nothing else to find its host by. */
static mw_host *volatile mending;

static int fail(const char *what, const struct mw_err *err) {
    fprintf(stderr, "tool: %s%s%s\n", what, *what ? ": " : "", err->message);
    return 2;
}

/* ---- What it was told ------------------------------------------------------------------------------------------------------ */

static int rule(struct mw_policy *p, enum mw_effect effect, char *word, struct mw_err *err) {
    char *rules = strchr(word, '=');
    int kind;

    if (rules != NULL) *rules++ = '\0';
    kind = strcmp(word, "all") == 0 ? -2 : mw_kind_of(word);
    if (kind == -2) return mw_policy_add_all(p, err);
    if (kind < 0) return mw_err_set(err, MW_EINVAL, "rights", word, "no such kind");
    return mw_policy_add(p, (enum mw_kind)kind, effect, rules, err);
}

/* One option; 0, or a code. */
static int option(struct tool *t, char *word, struct mw_err *err) {
    if (strncmp(word, "--allow-", 8) == 0) return rule(t->cfg.policy, MW_ALLOW, word + 8, err);
    if (strncmp(word, "--deny-", 7) == 0) return rule(t->cfg.policy, MW_DENY, word + 7, err);
    if (strcmp(word, "--trust-run") == 0) return mw_policy_add(t->cfg.policy, MW_TRUST, MW_ALLOW, NULL, err);
    if (strncmp(word, "--trust-run=", 12) == 0) return mw_policy_add(t->cfg.policy, MW_TRUST, MW_ALLOW, word + 12, err);
    if (strncmp(word, "--policy=", 9) == 0) return mw_policy_add_file(t->cfg.policy, word + 9, err);
    if (strncmp(word, "--audit=", 8) == 0) return mw_config_audit(&t->cfg, word + 8, err);
    if (strncmp(word, "--trace=", 8) == 0) return mw_config_trace(&t->cfg, word + 8, err);
    if (strncmp(word, "--debug=", 8) == 0) return mw_config_debug(&t->cfg, word + 8, err);
    if (strncmp(word, "--limit=", 8) == 0) return mw_limits_parse(&t->cfg.limits, word + 8, err);
    if (strncmp(word, "--timeout=", 10) == 0) t->timeout = atof(word + 10);
    else if (strncmp(word, "--program=", 10) == 0) t->cfg.program = word + 10;
    else if (strcmp(word, "--confine") == 0) t->confine = 1;
    else if (strcmp(word, "--check") == 0) t->check = 1;
    else if (strcmp(word, "--quiet") == 0) t->quiet = 1;
    else return mw_err_set(err, MW_EINVAL, "option", word, "no such option");
    return 0;
}

/* ---- Hooks ----------------------------------------------------------------------------------------------------------------- */

static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    (void)h;
    (void)ud;
    fprintf(stderr, "tool: the script failed: %s\n%s\n", err->message, traceback);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h;
    (void)ud;
    if (level >= MW_LEVEL_WARN) fprintf(stderr, "%.*s\n", (int)len, line);
}

/* On a terminal a missing right is asked for; the children that share it stand still meanwhile. */
static int ask(mw_host *h, enum mw_kind kind, const char *subject, const char *where, const char *flag, void *ud) {
    char shown[256], answer[16] = "";

    (void)ud;
    mw_host_hold_children(h, 1);
    mw_err_escape(shown, sizeof shown, subject != NULL ? subject : "everything", subject != NULL ? strlen(subject) : 10);
    fprintf(stderr, "%s wants to %s %s (%s). Allow it? [y]es once, [a]lways, [N]o: ", where, mw_kind_name(kind), shown, flag);
    if (fgets(answer, sizeof answer, stdin) == NULL) answer[0] = 'n';
    mw_host_hold_children(h, 0);
    return answer[0] == 'y' ? 1 : answer[0] == 'a' ? 2 : 0;
}

static void on_bus(int number, siginfo_t *info, void *context) {
    (void)context;
    if (mending != NULL && mw_host_mend_fault(mending, info->si_addr)) return;
    signal(number, SIG_DFL); /* the access is tried again, and ends us */
}

/* ---- Its own affairs: a timer, a child, signals ------------------------------------------------------------------------------- */

static int add(struct tool *t, int fd) {
    struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
    return epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* SIGCHLD is ours: the host watches its children by their descriptors, and neither takes the signal nor anybody's status. */
static int start_own(struct tool *t) {
    struct itimerspec each = { { 0, BEAT_MS * 1000000 }, { 0, BEAT_MS * 1000000 } };
    struct sigaction bus = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGBUS, &bus, NULL) < 0) return -1;
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    t->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (t->epoll < 0 || t->timer < 0 || t->signals < 0 || timerfd_settime(t->timer, 0, &each, NULL) < 0) return -1;
    t->child_status = -1;
    t->child = fork();
    if (t->child == 0) {
        usleep(3 * BEAT_MS * 1000);
        _exit(7);
    }
    return t->child < 0 || add(t, t->timer) < 0 || add(t, t->signals) < 0 ? -1 : 0;
}

static void own_signal(struct tool *t) {
    struct signalfd_siginfo info;

    while (read(t->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            int status;
            if (t->child_status < 0 && waitpid(t->child, &status, WNOHANG) == t->child)
                t->child_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
        } else if (t->interrupts++ == 0) {
            mw_host_interrupt(t->host, 128 + (int)info.ssi_signo, "interrupted");
        } else {
            mw_host_kill_children(t->host);
            _exit(128 + (int)info.ssi_signo);
        }
    }
}

static void own_timer(struct tool *t) {
    uint64_t times;
    if (read(t->timer, &times, sizeof times) == (ssize_t)sizeof times) t->beats += (unsigned)times;
}

/* ---- The loop ---------------------------------------------------------------------------------------------------------------- */

/* The host is one more descriptor and one more timeout. It is stepped after each wait, whatever ended it: a step with nothing to do
 * costs less than finding out. */
static int run(struct tool *t, struct mw_err *err) {
    struct mw_step st = { .alive = 1 };

    if (add(t, mw_host_backend_fd(t->host)) < 0) return mw_err_sys(err, "epoll_ctl", NULL);
    while (st.alive || t->child_status < 0) {
        struct epoll_event events[8];
        int n = epoll_wait(t->epoll, events, 8, st.alive ? mw_host_timeout_ms(t->host) : -1);

        if (n < 0 && errno != EINTR) return mw_err_sys(err, "epoll_wait", NULL);
        t->wakes++;
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == t->timer) own_timer(t);
            if (events[i].data.fd == t->signals) own_signal(t);
        }
        if (!st.alive) continue;
        t->steps++;
        if (mw_host_step(t->host, 0, &st, err) < 0) return err->code;
    }
    return 0;
}

static int load(struct tool *t, const char *path, struct mw_err *err) {
    const char *also[] = { path, NULL };

    if (t->timeout > 0 && mw_host_deadline(t->host, (uint64_t)(t->timeout * 1e9), 124, "timed out", err) < 0) return err->code;
    if (t->confine && mw_host_confine(t->host, also, err) < 0) return err->code;
    if (!t->confine) mw_host_unconfined(t->host, "not asked for");
    return mw_host_load_file(t->host, path, err);
}

int main(int argc, char **argv) {
    struct tool t = { .epoll = -1, .timer = -1, .signals = -1, .child_status = -1 };
    struct mw_err err;
    mw_policy *policy = NULL;
    int at = 1, status = 0;

    mw_config_init(&t.cfg);
    if (mw_policy_new(&policy, &err) < 0) return fail("", &err);
    t.cfg.policy = policy;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++)
        if (option(&t, argv[at], &err) < 0) return fail("", &err);
    if (at == argc) {
        fprintf(stderr, "usage: tool [OPTIONS] SCRIPT [ARGS]    (%s)\n", mw_version());
        return 2;
    }
    t.cfg.script_path = argv[at];
    t.cfg.command_line = 1;                                       /* rights are given by flags: hints may name them */
    t.cfg.args = (const char *const *)argv;
    t.cfg.args_zero = (size_t)at;
    t.cfg.on_error = on_error;
    t.cfg.on_log = on_log;
    t.cfg.preempt = MW_PREEMPT_COUNT;
    t.cfg.mends_faults = 1;
    t.cfg.ud = &t;
    if (mw_host_new(&t.cfg, &t.host, &err) < 0) return fail("", &err);
    mw_policy_free(policy);
    mending = t.host;
    if (isatty(STDIN_FILENO)) mw_host_on_ask(t.host, ask, &t);

    if (t.check) {
        if (mw_host_check_file(t.host, argv[at], &err) < 0) status = fail("", &err);
    } else if (load(&t, argv[at], &err) < 0) {
        status = fail("", &err);
    } else if (start_own(&t) < 0) {
        perror("tool");
        status = 2;
    } else if (run(&t, &err) < 0) {
        status = fail("", &err);
    } else if (mw_host_run(t.host, &status, &err) < 0) { /* nothing is left to run: what it came to */
        status = fail("", &err);
    }
    mending = NULL;
    mw_host_free(t.host);
    if (t.child > 0 && !t.quiet)
        fprintf(stderr, "tool: %u wakes, %u steps, %u beats; its own child ended with %d; the script with %d\n", t.wakes, t.steps, t.beats,
                t.child_status, status);
    return status;
}
