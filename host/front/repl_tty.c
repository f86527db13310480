/* The terminal of the prompt. A handler has nothing else to find it by than what is static here.
 * Knows: termios(3). Never: libedit; sets O_NONBLOCK where others share it. */
#include "front/repl_tty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "front/repl_edit.h"

static struct {
    int in, out;
    struct termios was;
    atomic_int open, pastes;    /* pastes: brackets were asked for */
} terminal;

/* O_NONBLOCK is that of an open file: only one that is our own may have it. */
static int again(int fd, int how) {
    char name[256];
    int own = ttyname_r(fd, name, sizeof name) == 0 ? open(name, how | O_NOCTTY | O_CLOEXEC) : -1;

    return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int mw_repl_tty_open(int *in, int *out, struct termios *was) {
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal.was) < 0) return -1;
    terminal.in = again(STDIN_FILENO, O_RDONLY | O_NONBLOCK); /* Ctrl-C throws away what poll(2) has just told of */
    terminal.out = again(STDOUT_FILENO, O_WRONLY);
    if (terminal.in < 0 || terminal.out < 0) return -1;
    *in = terminal.in;
    *out = terminal.out;
    *was = terminal.was;
    atomic_store(&terminal.open, 1);
    return 0;
}

void mw_repl_tty_edited(void) { atomic_store(&terminal.pastes, 1); }

void mw_repl_tty_restore(void) {
    sigset_t out, was;
    ssize_t n;

    if (!atomic_load(&terminal.open)) return;
    sigemptyset(&out);
    sigaddset(&out, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &out, &was);
    if (tcgetpgrp(terminal.in) == getpgrp()) {
        tcsetattr(terminal.in, TCSANOW, &terminal.was);
        n = atomic_load(&terminal.pastes) ? write(terminal.out, MW_EDIT_PASTE_OFF, sizeof MW_EDIT_PASTE_OFF - 1) : 0;
        (void)n;
    }
    pthread_sigmask(SIG_SETMASK, &was, NULL);
}

void mw_repl_tty_close(void) {
    if (!atomic_exchange(&terminal.open, 0)) return;
    close(terminal.in);
    close(terminal.out);
}
