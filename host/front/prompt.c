/* The question on the terminal. What was typed before it was there is thrown away, and it comes only after a moment without
 * keys, so that nobody answers a question they have not seen; everything of the script's choosing is shown by its bytes where
 * a terminal would obey it, hide it or draw nothing.
 * Knows: moonwire.h, termios(3).
 * Never: takes anything but a whole line for an answer; leaves the terminal otherwise than it was. */
#include "front/prompt.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "front/signals.h"

#define QUIET_MS 100            /* without a key before a question */
#define SIGNAL_MS 250           /* a signal that another thread took is seen after so long */
#define RESTLESS_MS 5000        /* keys keep coming for so long: no question, and no */
#define TRIES 10                /* answers that are none, then it is no */
#define SHOWN_MAX (8 * 1024)    /* bytes of a line that is shown */

enum { NO, ONCE, ALWAYS, REFUSED, AGAIN, RESUMED, ENDED };

/* The terminal by descriptors of our own: what a script makes of 0 and 2 answers no question. A signal that ends the process
 * finds its modes here. */
static struct {
    int in, out;
    struct termios was;
    atomic_int changed, resumed;    /* resumed: somebody has had us stopped, and lets us go on */
    unsigned breaks;            /* how many times a line was interrupted before the question */
    void (*before)(void *), (*after)(void *);
    void *ud;
} terminal;

/* ---- The terminal --------------------------------------------------------------------------------------------------------- */

int mw_prompt_possible(const struct mw_flags *flags) {
    int talks = flags->command == MW_CMD_RUN || flags->command == MW_CMD_EVAL || flags->command == MW_CMD_REPL;

    return talks && !flags->no_prompt && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* In the background, or while a child has the terminal, changing its modes would stop us: then nobody is asked. */
static int in_foreground(void) {
    pid_t group = tcgetpgrp(terminal.in);

    return group < 0 ? errno == ENOTTY : group == getpgrp(); /* ENOTTY: a terminal that is nobody's */
}

static int set_modes(const struct termios *modes, int how) {
    sigset_t out, was;
    int rc;

    sigemptyset(&out); /* whoever fell into the background meanwhile is not stopped by it */
    sigaddset(&out, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &out, &was);
    do rc = tcsetattr(terminal.in, how, modes);
    while (rc < 0 && errno == EINTR);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return rc;
}

void mw_prompt_restore(void) {
    if (atomic_load(&terminal.changed)) set_modes(&terminal.was, TCSANOW);
}

/* Keys one by one and unseen (while waiting for quiet), or whole lines as a shell's user knows them, whatever a script left. */
static struct termios modes_for(int lines) {
    struct termios t = terminal.was;

    t.c_iflag = (t.c_iflag | ICRNL) & ~(tcflag_t)(IGNCR | INLCR | ISTRIP);
    t.c_oflag |= OPOST | ONLCR;
    t.c_lflag = (t.c_lflag | ISIG) & ~(tcflag_t)(NOFLSH | ICANON | ECHO | ECHONL);
    if (lines) t.c_lflag |= ICANON | ECHO | ECHOE | ECHOK | ECHOCTL;
    t.c_cc[VEOF] = 4;
    t.c_cc[VINTR] = 3;
    t.c_cc[VEOL] = t.c_cc[VEOL2] = _POSIX_VDISABLE;
    if (!lines) t.c_cc[VMIN] = 0, t.c_cc[VTIME] = 0;
    return t;
}

/* ---- What is shown -------------------------------------------------------------------------------------------------------- */

/* Characters of other scripts that draw nothing or sit on their neighbour; mw_err_escape has shown the rest. */
static int blank(unsigned c) {
    return c == 0xa0 || (c >= 0x300 && c <= 0x36f) || c == 0x115f || c == 0x1160 || c == 0x1680 || (c >= 0x1ab0 && c <= 0x1aff) ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || (c >= 0x20d0 && c <= 0x20ff) || c == 0x2800 ||
           c == 0x3000 || c == 0x3164 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xffa0 || c >= 0xe0000;
}

/* Copies `text` (valid UTF-8), blanks and all but the first of several spaces by their bytes: nothing else begins a new line. */
static void show(char *out, size_t size, const char *text) {
    size_t used = 0;

    for (const unsigned char *at = (const unsigned char *)text; *at != 0;) {
        size_t n = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
        unsigned c = n == 1 ? *at : *at & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) c = c << 6 | (at[i] & 0x3fu);
        if (used + 4 * n + 1 > size) break;
        if (blank(c) || (c == ' ' && used > 0 && out[used - 1] == ' ')) {
            for (size_t i = 0; i < n; i++) used += (size_t)snprintf(out + used, 5, "\\x%02x", at[i]);
        } else {
            memcpy(out + used, at, n);
            used += n;
        }
        at += n;
    }
    out[used] = 0;
}

static void put(const char *text) {
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t n = write(terminal.out, text, len);
        struct pollfd full = { terminal.out, POLLOUT, 0 };
        if (n > 0) text += n, len -= (size_t)n;
        else if (n < 0 && errno == EAGAIN) poll(&full, 1, 1000);
        else if (n < 0 && errno != EINTR) return;
    }
}

static void put_shown(const char *text) {
    char escaped[SHOWN_MAX], shown[SHOWN_MAX];

    mw_err_escape(escaped, sizeof escaped, text, strlen(text));
    show(shown, sizeof shown, escaped);
    put(shown);
}

/* Whatever the script has written before: no colour of its own, no other alphabet, no margins, and nothing below or beside. */
static const char *fresh_page(void) {
    const char *term = getenv("TERM");

    if (term == NULL || *term == '\0' || strcmp(term, "dumb") == 0) return "";
    return "\033[!p\033[0m\033(B\017\033[?7h\033]104\033\\\033]110\033\\\033]111\033\\\r\n\033[J";
}

static void put_question(enum mw_kind kind, const char *subject, const char *where, const char *flag) {
    put(fresh_page());
    put("moonwire: ");
    put_shown(where[0] != '\0' ? where : "the script");
    put(" asks: ");
    put(mw_kind_name(kind));
    put(" ");
    put_shown(subject != NULL ? subject : "(everything)");
    put("\n          ");
    put_shown(flag);
    put(" would grant it\n          y once, a always until exit, n no: ");
}

/* ---- What is answered ----------------------------------------------------------------------------------------------------- */

static int interrupted(void) { return mw_signals_seen() || mw_signals_breaks() != terminal.breaks; }

static void on_resumed(int number) {
    (void)number;
    atomic_store(&terminal.resumed, 1);
}

/* Ctrl-Z at a question stops us, as it stops any program, also where a prompt has another use for it. */
static void take_job_signals(struct sigaction was[2]) {
    struct sigaction act = { .sa_handler = on_resumed };

    atomic_store(&terminal.resumed, 0);
    sigaction(SIGCONT, &act, &was[0]);
    act.sa_handler = SIG_DFL;
    if (sigaction(SIGTSTP, NULL, &was[1]) == 0 && was[1].sa_handler != SIG_IGN) sigaction(SIGTSTP, &act, NULL);
}
static void give_job_signals(const struct sigaction was[2]) {
    sigaction(SIGCONT, &was[0], NULL);
    sigaction(SIGTSTP, &was[1], NULL);
}

/* Waits for a key. 1: there is one; 0: time is up; -1: a signal wants the run or the line to end, or the terminal is gone; -2: we were
 * stopped, and it may show anything by now. */
static int wait_key(int ms, const sigset_t *mask) {
    const struct timespec time = { 0, (ms >= 0 ? ms : SIGNAL_MS) * 1000000l };
    struct pollfd key = { terminal.in, POLLIN, 0 };

    for (;;) {
        int n = interrupted() ? -1 : ppoll(&key, 1, &time, mask);
        if (atomic_load(&terminal.resumed) && !interrupted()) return -2;
        if ((n < 0 && errno == EINTR && !interrupted()) || (n == 0 && ms < 0)) continue;
        if (n <= 0 || (key.revents & POLLIN) == 0) return n == 0 ? 0 : -1;
        return 1;
    }
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Throws away what was typed, until nothing comes for a moment: AGAIN. Or what it is instead of an answer. */
static int wait_quiet(const sigset_t *mask) {
    struct termios keys = modes_for(0);
    uint64_t until = now_ms() + RESTLESS_MS;
    char unread[256];
    int n;

    if (set_modes(&keys, TCSAFLUSH) < 0) return ENDED;
    while ((n = wait_key(QUIET_MS, mask)) == 1) {
        if (read(terminal.in, unread, sizeof unread) == 0) return ENDED;
        if (now_ms() > until) return put("moonwire: keys kept coming, so nobody was asked\n"), NO;
        tcflush(terminal.in, TCIFLUSH);
    }
    return n == 0 ? AGAIN : n == -2 ? RESUMED : ENDED;
}

static int read_answer(const sigset_t *mask) {
    char line[256];
    ssize_t n;

    do {
        int key = wait_key(-1, mask);
        if (key < 0) return key == -2 ? RESUMED : ENDED;
        n = read(terminal.in, line, sizeof line);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n <= 0) return ENDED;
    if (n != 2 || line[1] != '\n' || wait_key(0, mask) != 0) return AGAIN; /* more in the same breath: no answer to this */
    switch (line[0]) {
    case 'y': return ONCE;
    case 'a': return ALWAYS;
    case 'n': return REFUSED;
    default: return AGAIN;
    }
}

static int ask_once(enum mw_kind kind, const char *subject, const char *where, const char *flag, const sigset_t *mask) {
    struct termios lines = modes_for(1);
    int answer;

    atomic_store(&terminal.resumed, 0);
    answer = wait_quiet(mask);
    if (answer != AGAIN) return answer;
    if (set_modes(&lines, TCSAFLUSH) < 0) return ENDED;
    put_question(kind, subject, where, flag); /* from here nothing is thrown away: whoever waits for it answers at once */
    answer = read_answer(mask);
    if (answer == ENDED) put("\n");
    return answer;
}

static int ask(mw_host *h, enum mw_kind kind, const char *subject, const char *where, const char *flag, void *ud) {
    int answer = AGAIN;
    struct sigaction jobs[2];
    sigset_t mask;

    (void)ud;
    if (!in_foreground() || tcgetattr(terminal.in, &terminal.was) < 0) return NO;
    terminal.breaks = mw_signals_breaks();
    mw_signals_pause();
    mw_host_hold_children(h, 1);
    if (terminal.before != NULL) terminal.before(terminal.ud);
    mw_signals_hold(1, &mask);
    atomic_store(&terminal.changed, 1);
    take_job_signals(jobs);
    for (int i = 0; i < TRIES && (answer == AGAIN || answer == RESUMED); i++) {
        if (answer == RESUMED && !in_foreground()) raise(SIGTTIN); /* until it is ours again: it is somebody else's to read and to set */
        if (answer == RESUMED && !in_foreground()) continue;
        if (i > 0 && answer == AGAIN) put("          y, a or n, and Enter\n");
        answer = ask_once(kind, subject, where, flag, &mask);
    }
    give_job_signals(jobs);
    if (answer != RESUMED) set_modes(&terminal.was, TCSADRAIN);
    atomic_store(&terminal.changed, 0);
    if (terminal.after != NULL) terminal.after(terminal.ud);
    mw_host_hold_children(h, 0);
    mw_signals_hold(0, &mask);
    mw_signals_resume();
    if (answer == REFUSED) return terminal.before != NULL ? NO : REFUSED; /* at a prompt it is the person who tries again */
    return answer == ONCE || answer == ALWAYS ? answer : NO;
}

void mw_prompt_around(void (*before)(void *ud), void (*after)(void *ud), void *ud) {
    terminal.before = before;
    terminal.after = after;
    terminal.ud = ud;
}

void mw_prompt_watch(mw_host *h) {
    terminal.in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    terminal.out = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (terminal.in >= 0 && terminal.out >= 0) mw_host_on_ask(h, ask, NULL); /* else nobody can be asked */
}
