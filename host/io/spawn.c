/* What both spawn backends share: signals to groups, and a write without SIGPIPE.
 * Knows: io/spawn.h, POSIX. Never: which backend there is. */
#include "io/spawn.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

/* The state and the group in /proc/PID/stat: "PID (NAME) STATE PARENT GROUP ..."; the name may hold anything. */
static int runs_in(int proc, const char *pid, pid_t group) {
    char path[32], text[512], state = 'Z';
    const char *after;
    int fd, theirs = 0;
    ssize_t n;

    snprintf(path, sizeof path, "%.20s/stat", pid);
    fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    after = strrchr(text, ')');
    if (after == NULL || sscanf(after + 1, " %c %*d %d", &state, &theirs) != 2) return 0;
    return theirs == group && state != 'Z' && state != 'X';
}

int mw_group_running(pid_t group) {
    struct dirent *it;
    int running = 0;
    DIR *proc;

    if (!mw_group_alive(group)) return 0;
    proc = opendir("/proc");
    if (proc == NULL) return 2;
    while (!running && (it = readdir(proc)) != NULL)
        if (it->d_name[0] >= '1' && it->d_name[0] <= '9') running = runs_in(dirfd(proc), it->d_name, group);
    closedir(proc);
    return running;
}

ssize_t mw_write_quietly(int fd, const void *data, size_t len) {
    const struct timespec now = { 0, 0 };
    sigset_t pipe_only, before, pending;
    struct sigaction action;
    ssize_t n;

    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN) return write(fd, data, len);
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

int mw_spawn_confines(void) {
#ifdef MW_SPAWN_UV
    return 0;
#else
    return 1;
#endif
}
