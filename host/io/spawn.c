/* What both spawn backends share: signals to groups.
 * Knows: io/spawn.h, POSIX. Never: which backend there is. */
#include "io/spawn.h"

#include <signal.h>

int mw_group_signal(pid_t group, int signal) {
    int rc;

    if (group <= 1) return -ESRCH;
    rc = kill(-group, signal) < 0 ? -errno : 0;
    if (rc == 0 && (signal == SIGTERM || signal == SIGHUP || signal == SIGINT)) kill(-group, SIGCONT);
    return rc;
}

int mw_group_alive(pid_t group) {
    return group > 1 && (kill(-group, 0) == 0 || errno == EPERM);
}

const char *mw_spawn_backend(void) {
#ifdef MW_SPAWN_UV
    return "uv";
#else
    return "clone";
#endif
}
