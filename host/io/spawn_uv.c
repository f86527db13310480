/* Spawning by uv_spawn: macOS, the BSDs, old kernels; on Linux for comparison (MW_SPAWN=uv).
 * Knows: io/spawn.h, uv.h. Never: does better than libuv: each child is a session, there is no controlling terminal, no
 * status when somebody else reaped it, and what we did not open ourselves is inherited unless close-on-exec. */
#include "io/spawn.h"
#include "io/warden.h"

#ifdef MW_SPAWN_UV

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place { char at[32]; };

/* A name for an open file that holds in the child too; NULL where there is none. */
static const char *by_descriptor(struct place *p, int fd, const char *name) {
#ifdef __linux__
    (void)name;
    snprintf(p->at, sizeof p->at, "/proc/self/fd/%d", fd);
    return p->at;
#else
    (void)p;
    (void)fd;
    return name;
#endif
}

static void on_exit(uv_process_t *process, int64_t status, int signal) {
    struct mw_child *c = process->data;

    c->running = 0;
    c->exit.known = 1;
    c->exit.code = signal != 0 ? -1 : (int)(status & 0xff);
    c->exit.signal = signal;
    if (c->ending != NULL) c->ending(c);
    c->ended(c);
}

static int tell_warden(const struct mw_spawn *s, struct mw_child *c) {
    struct mw_warden_word word = { MW_WARDEN_ADD, c->pid };

    return s->warden_fd < 0 || mw_write_quietly(s->warden_fd, &word, sizeof word) == (ssize_t)sizeof word ? 0 : -errno;
}

/* Before anything is started: 0, or what a write would say. */
static int warden_listens(const struct mw_spawn *s) {
    struct pollfd pipe = { s->warden_fd, POLLOUT, 0 };

    if (s->warden_fd < 0 || poll(&pipe, 1, 0) < 0) return 0;
    return pipe.revents & (POLLERR | POLLHUP) ? -EPIPE : pipe.revents & POLLOUT ? 0 : -EAGAIN;
}

int mw_child_start(uv_loop_t *loop, const struct mw_spawn *s, struct mw_child *c, void (*ending)(struct mw_child *),
                   void (*ended)(struct mw_child *), struct mw_err *err) {
    uv_stdio_container_t stdio[MW_SPAWN_FDS];
    uv_process_options_t o;
    struct place file, cwd;
    int i, rc;

    memset(&o, 0, sizeof o);
    memset(stdio, 0, sizeof stdio);
    memset(&c->exit, 0, sizeof c->exit);
    c->pid = 0;
    c->running = c->watching = 0;
    c->pidfd = -1;
    c->ending = ending;
    c->ended = ended;
    c->closed = NULL;
    if (s->count > MW_SPAWN_FDS) return mw_err_set(err, MW_EINVAL, s->op, s->path, "too many descriptors");
    /* libuv runs nothing of ours between fork and exec: what would bind the child cannot be put on, so it does not run. */
    if (s->confine || s->limit_count > 0 || s->join_fd > 0) {
        return mw_err_set(err, -EOPNOTSUPP, s->op, s->path, s->confine ? "this build cannot confine a child" : "this build cannot limit a child");
    }
    rc = warden_listens(s);
    if (rc < 0) return mw_err_setf(err, rc, s->op, s->path, "the warden does not listen: %s", mw_err_words(rc));

    for (i = 0; i < s->count; i++) {
        stdio[i].flags = s->fds[i] < 0 ? UV_IGNORE : UV_INHERIT_FD;
        stdio[i].data.fd = s->fds[i];
    }
    o.stdio = stdio;
    o.stdio_count = s->count;
    o.exit_cb = on_exit;
    o.file = by_descriptor(&file, s->exec_fd, s->path);
    o.args = (char **)s->argv;
    o.env = (char **)s->envp;
    o.cwd = s->cwd_fd < 0 ? NULL : by_descriptor(&cwd, s->cwd_fd, s->cwd);
    o.flags = UV_PROCESS_DETACHED;

    c->at.process.data = c;
    rc = uv_spawn(loop, &c->at.process, &o);
    c->watching = 1;                                     /* even a failed one has to be closed */
    c->at.process.data = c;
    if (rc < 0) return mw_err_set(err, rc, s->op, s->path, NULL);
    c->pid = c->at.process.pid;
    c->running = 1;
    c->untold = tell_warden(s, c) < 0;                   /* it ended just now */
    return 0;
}

int mw_child_signal(struct mw_child *c, int signal) {
    if (!c->running) return -ESRCH;
    return uv_process_kill(&c->at.process, signal);
}

int mw_child_poll(struct mw_child *c) {
    int status;

    if (!c->running || waitpid(c->pid, &status, WNOHANG) <= 0) return c->running;
    on_exit(&c->at.process, WIFEXITED(status) ? WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return 0;
}

void mw_child_end(struct mw_child *c) {
    if (!c->running) return;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) { }
    c->running = 0;
}

static void on_closed(uv_handle_t *handle) {
    struct mw_child *c = handle->data;

    c->closed(c);
}

void mw_child_close(struct mw_child *c, void (*closed)(struct mw_child *)) {
    c->closed = closed;
    if (!c->watching) {
        closed(c);
        return;
    }
    c->watching = 0;
    uv_close(&c->at.handle, on_closed);
}

#endif
