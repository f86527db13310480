/* The terminal that a child shares with us: given to its group, taken back, as it was where the child was killed, and Ctrl-Z and Ctrl-C, which the kernel sends to
 * its group alone, passed on to ourselves, as a shell's user expects of one job.
 * Knows: io/process_parts.h, termios. Never: installs a handler; stops or interrupts a host that is not a program's. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "io/process_parts.h"

#define LOOK_NS 100000000u    /* how often a child on the terminal is asked whether it was stopped: no descriptor tells */

#ifndef __WALL
#define __WALL 0
#endif

enum mw_terminal mw_terminal_wanted(const struct mw_processes *all, const struct mw_process_options *o) {
    if (o->pty || o->detached || o->io[0].kind != MW_STDIO_INHERIT || all->on_terminal != 0 || !isatty(STDIN_FILENO)) return MW_TERMINAL_NONE;
    return tcgetpgrp(STDIN_FILENO) == getpgrp() ? MW_TERMINAL_GIVE : MW_TERMINAL_SHARE;
}

/* A background group that takes the terminal is stopped by TTOU unless it is blocked. */
static void make_foreground(pid_t group) {
    sigset_t block, before;

    sigemptyset(&block);
    sigaddset(&block, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    tcsetpgrp(STDIN_FILENO, group);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Only what was given: the terminal may be the shell's again, or another job's. */
static void take(struct mw_processes *all) {
    if (all->terminal_given) make_foreground(getpgrp());
    all->terminal_given = 0;
}

/* The child was stopped by its terminal: so are we, and when the shell lets us go on, so does it. */
static void stop_too(struct mw_processes *all, int signal) {
    take(all);
    kill(0, signal);                                     /* returns when we were continued, or are nobody's job */
    if (tcgetpgrp(STDIN_FILENO) == getpgrp()) {
        make_foreground(all->on_terminal);
        all->terminal_given = 1;
    }
    mw_group_signal(all->on_terminal, SIGCONT);
}

static void look(struct mw_timer *t) {
    struct mw_processes *all = MW_LIST_ENTRY(t, struct mw_processes, terminal);
    siginfo_t info;

    memset(&info, 0, sizeof info);
    if (waitid(P_PID, (id_t)all->on_terminal, &info, WSTOPPED | WNOHANG | __WALL) == 0 && info.si_pid == all->on_terminal &&
        (info.si_status == SIGTSTP || info.si_status == SIGTTIN || info.si_status == SIGTTOU)) {
        stop_too(all, info.si_status);
    }
    mw_timer_start(all->host, t, mw_host_now(all->host) + LOOK_NS, look);     /* without memory: it stays as it is */
}

void mw_terminal_child(struct mw_processes *all, pid_t child, enum mw_terminal how) {
    all->on_terminal = child;
    all->terminal_given = how == MW_TERMINAL_GIVE;
    all->modes_known = how == MW_TERMINAL_GIVE && tcgetattr(STDIN_FILENO, &all->modes) == 0;
    if (mw_host_hooks(all->host)->signals) mw_timer_start(all->host, &all->terminal, mw_host_now(all->host) + LOOK_NS, look);
}

/* A child that was killed had no time to leave the terminal as it was. */
static void mend(struct mw_processes *all) {
    if (all->modes_known) tcsetattr(STDIN_FILENO, TCSANOW, &all->modes);
}

void mw_terminal_back(struct mw_processes *all) {
    int ours = all->terminal_given;

    take(all);
    if (ours && all->on_terminal != 0) mend(all);        /* the host ends before it */
    all->on_terminal = 0;
    mw_timer_stop(all->host, &all->terminal);
}

void mw_terminal_over(struct mw_processes *all, int killed, int interrupted) {
    int ours = all->terminal_given;

    all->on_terminal = 0;
    mw_terminal_back(all);
    if (ours && killed) mend(all);
    if (ours && interrupted && mw_host_hooks(all->host)->signals) raise(SIGINT);
}
