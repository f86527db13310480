/* Watching a descriptor through libuv such that a kernel that says no is an error.
 * Knows: base/err, uv.h, epoll. Never: what is read or written; anything of a task. */
#include "core/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#ifdef __linux__
#include <sys/epoll.h>

/* libuv adds at the loop's next turn whatever was started, aborts on any refusal but EEXIST, and then changes the entry, which
 * takes no memory. So the entry is made here, empty. */
static int enter(uv_loop_t *loop, int fd) {
    struct epoll_event none;

    if (fd < 0) return 0;
    memset(&none, 0, sizeof none);
    none.data.fd = fd;                                   /* libuv finds its watcher by it */
    return epoll_ctl(uv_backend_fd(loop), EPOLL_CTL_ADD, fd, &none) < 0 && errno != EEXIST ? -errno : 0;
}

int mw_poll_prepare(uv_loop_t *loop) {
    int rc = enter(loop, loop->async_io_watcher.fd);

    return rc < 0 ? rc : enter(loop, loop->signal_pipefd[0]);
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
static int enter(uv_loop_t *loop, int fd) {
    (void)loop;
    (void)fd;
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
    rc = enter(poll->loop, fd);
    if (rc < 0) uv_poll_stop(poll);
    return rc;
}
