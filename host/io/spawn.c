/* What both spawn backends share: signals to groups, and a write without SIGPIPE.
 * Knows: io/spawn.h, POSIX. Never: which backend there is. */
#include "io/spawn.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

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

ssize_t mw_write_quietly(int fd, const void *data, size_t len) {
    const struct timespec now = { 0, 0 };
    sigset_t pipe_only, before, pending;
    ssize_t n;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    n = write(fd, data, len);
    if (n < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE)) {
        while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR) { }
        errno = EPIPE;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

const char *mw_spawn_backend(void) {
#ifdef MW_SPAWN_UV
    return "uv";
#else
    return "clone";
#endif
}
