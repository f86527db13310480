/* Children that stand still while a person is asked: none of them may write over the question.
 * Knows: io/process_parts.h. Never: lets go on who was stopped by somebody else; reaches a detached one, or who left its group.
 * See waitid(2), signal(7). */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "io/process_parts.h"

#ifndef __WALL
#define __WALL 0
#endif

/* Is its leader stopped already? The news of it stays where it is, for whoever waits for it. */
static int stands_still(pid_t leader) {
    siginfo_t info;

    memset(&info, 0, sizeof info);
    return waitid(P_PID, (id_t)leader, &info, WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid == leader;
}

void mw_process_hold(mw_host *h, int on) {
    struct mw_processes *all = mw_processes_of(h);

    for (int i = 0; all != NULL && i < GROUPS; i++) {
        pid_t group = atomic_load(&all->groups[i]);
        if (group <= 1) continue;
        if (on && !stands_still(group) && kill(-group, SIGSTOP) == 0) all->held[i] = 1;
        else if (!on && all->held[i]) kill(-group, SIGCONT);
        if (!on) all->held[i] = 0;
    }
}
