/* Watching a descriptor through libuv such that a kernel that says no is an error.
 * Knows: base/err, uv.h, epoll. Never: what is read or written; anything of a task. */
#include "core/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#ifdef __linux__
#include <sys/epoll.h>

/* libuv adds at the loop's next turn whatever was started, and aborts on any refusal but EEXIST. So the entry is made here, as
 * libuv would, and libuv is told that there is nothing left to do. */
static int enter(uv_loop_t *loop, uv__io_t *w) {
    struct epoll_event e;

    if (w->fd < 0 || w->events != 0) return 0;           /* it has one */
    memset(&e, 0, sizeof e);
    e.events = w->pevents;
    e.data.fd = w->fd;                                   /* by which libuv finds the watcher */
    if (epoll_ctl(uv_backend_fd(loop), EPOLL_CTL_ADD, w->fd, &e) < 0) return errno == EEXIST ? 0 : -errno;
#if UV_VERSION_MAJOR == 1 && UV_VERSION_MINOR <= 44
    {
        void **q = w->watcher_queue, **after = q[0], **before = q[1];

        before[0] = after;
        after[1] = before;
        q[0] = q[1] = q;
        w->events = w->pevents;
    }
#endif                                                   /* later versions find the entry there and change it */
    return 0;
}

int mw_poll_prepare(uv_loop_t *loop) {
    int rc = enter(loop, &loop->async_io_watcher);

    return rc < 0 ? rc : enter(loop, &loop->signal_io_watcher);
}

/* libuv's table of watchers doubles without an error path: see first whether there is memory for it. */
static int room(const uv_loop_t *loop, int fd) {
    void *probe;

    if ((unsigned)fd < loop->nwatchers) return 0;
    probe = malloc(4 * ((size_t)fd + 2) * sizeof(void *));
    if (probe == NULL) return MW_ENOMEM;
    free(probe);
    return 0;
}
#else
static int enter(uv_loop_t *loop, uv__io_t *w) {
    (void)loop;
    (void)w;
    return 0;
}
static int room(const uv_loop_t *loop, int fd) {
    (void)loop;
    (void)fd;
    return 0;
}
int mw_poll_prepare(uv_loop_t *loop) {
    (void)loop;
    return 0;
}
#endif

int mw_poll_start(uv_poll_t *poll, int events, uv_poll_cb cb) {
    uv_os_fd_t fd;
    int rc = uv_fileno((const uv_handle_t *)poll, &fd);

    if (rc == 0) rc = room(poll->loop, fd);
    if (rc == 0) rc = uv_poll_start(poll, events, cb);
    if (rc < 0) return rc;
    rc = enter(poll->loop, &poll->io_watcher);
    if (rc < 0) uv_poll_stop(poll);
    return rc;
}
