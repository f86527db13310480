/* The host's side of the warden: starts it from the bytes that the library carries, and talks to it.
 * Knows: io/spawn.h, memfd. Never: waits for it: a warden that does not read is an error of the spawn that needed it. */
#include "io/warden.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct mw_warden {
    struct mw_child child;
    int fd;                   /* the pipe's write end */
    void (*died)(void *);
    void *ud;
};

int mw_warden_running(const mw_warden *w) {
    return w != NULL && w->child.running;
}

int mw_warden_fd(const mw_warden *w) {
    return w == NULL ? -1 : w->fd;
}

pid_t mw_warden_pid(const mw_warden *w) {
    return w == NULL ? 0 : w->child.pid;
}

int mw_warden_tell(mw_warden *w, enum mw_warden_op op, pid_t group) {
    struct mw_warden_word word = { op, group };

    if (!mw_warden_running(w)) return -EPIPE;
    return mw_write_quietly(w->fd, &word, sizeof word) == (ssize_t)sizeof word ? 0 : -errno;
}

static void on_closed(struct mw_child *c) {
    free(c->ud);
}

void mw_warden_close(mw_warden *w) {
    if (w == NULL) return;
    mw_warden_tell(w, MW_WARDEN_LEAVE, 0);
    close(w->fd);
    mw_child_end(&w->child);
    mw_child_close(&w->child, on_closed);
}

#ifdef __linux__

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

extern const unsigned char mw_warden_blob[], mw_warden_blob_end[];

/* A descriptor of the program, or -errno. */
static int program(void) {
    const unsigned char *at = mw_warden_blob;
    int fd = memfd_create("moonwire-warden", MFD_CLOEXEC | MFD_EXEC), error;

    if (fd < 0 && errno == EINVAL) fd = memfd_create("moonwire-warden", MFD_CLOEXEC);
    if (fd < 0) return -errno;
    while (at < mw_warden_blob_end) {
        ssize_t n = write(fd, at, (size_t)(mw_warden_blob_end - at));
        if (n > 0) at += n;
        if (n > 0 || (n < 0 && errno == EINTR)) continue;
        error = n < 0 ? -errno : -ENOSPC;
        close(fd);
        return error;
    }
    return fd;
}

static void on_end(struct mw_child *c) {
    mw_warden *w = c->ud;

    if (w->died != NULL) w->died(w->ud);
}

/* Runs `exec_fd` with the pipe as its descriptor 0, the directory that holds the private one as 1, that one as 2 and its name as
 * argument, and nothing else. */
static int run(uv_loop_t *loop, mw_warden *w, int exec_fd, int pipe_end, const struct mw_warden_dir *dir, const char *op, struct mw_err *err) {
    char name[] = "moonwire-warden", leaf[NAME_MAX + 1];
    char *argv[] = { name, dir != NULL ? leaf : NULL, NULL }, *envp[] = { NULL };
    int fds[3] = { pipe_end, dir != NULL ? dir->base : -1, dir != NULL ? dir->self : -1 };
    struct mw_spawn s = { .op = op, .path = name, .cwd_fd = -1, .warden_fd = -1 };

    if (dir != NULL) snprintf(leaf, sizeof leaf, "%s", dir->leaf);
    s.exec_fd = exec_fd;
    s.argv = argv;
    s.envp = envp;
    s.fds = fds;
    s.count = dir != NULL ? 3 : 1;
    s.flags = MW_SPAWN_SESSION;
    return mw_child_start(loop, &s, &w->child, NULL, on_end, err);
}

int mw_warden_open(uv_loop_t *loop, const struct mw_warden_dir *dir, const char *op, void (*died)(void *ud), void *ud, mw_warden **out,
                   struct mw_err *err) {
    int ends[2] = { -1, -1 }, fd = -1, rc;
    mw_warden *w = calloc(1, sizeof *w);

    if (w == NULL) return mw_err_set(err, MW_ENOMEM, op, "moonwire-warden", NULL);
    w->child.ud = w;
    w->died = died;
    w->ud = ud;
    fd = program();
    if (fd < 0) {
        rc = mw_err_set(err, fd, op, "moonwire-warden", NULL);
        free(w);
        return rc;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        rc = mw_err_sys(err, op, "moonwire-warden");
        close(fd);
        free(w);
        return rc;
    }
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    w->fd = ends[1];
    rc = run(loop, w, fd, ends[0], dir, op, err);
    close(fd);
    close(ends[0]);
    if (rc < 0) {
        close(w->fd);
        mw_child_close(&w->child, on_closed);
        return rc;
    }
    uv_unref(&w->child.at.handle);                   /* it is no reason to go on */
    *out = w;
    return 0;
}

#else

int mw_warden_open(uv_loop_t *loop, const struct mw_warden_dir *dir, const char *op, void (*died)(void *ud), void *ud, mw_warden **out,
                   struct mw_err *err) {
    (void)loop;
    (void)dir;
    (void)died;
    (void)ud;
    *out = NULL;
    return mw_err_set(err, -ENOSYS, op, "moonwire-warden", "there is no warden on this system");
}

#endif
