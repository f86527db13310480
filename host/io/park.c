/* A second set of descriptors: one epoll inside the loop's own. The loop watches it from the first one on and for good, and lives on its
 * account while somebody is in it: a connection that comes alone and goes again costs the loop's own set nothing.
 * Knows: io/park.h, core/poll. Never: keeps a loop from ending that has nobody here. */
#include "io/park.h"

#include <errno.h>

#ifdef __linux__
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/poll.h"

#define AT_ONCE 64                /* events taken in one call; the rest comes with the loop's next turn */

struct park {
    struct mw_handle handle;
    mw_host *host;
    int fd;
    unsigned count;               /* who is in it */
    void (*on_event)(void *who, int failed);
    struct epoll_event *events;   /* those being told of just now, or NULL */
    int left;
    uv_poll_t poll;
};

static const char slot_key;

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct park *p = poll->data;
    struct epoll_event got[AT_ONCE];
    int n = epoll_wait(p->fd, got, AT_ONCE, 0);
    (void)status;
    (void)events;

    if (n <= 0) return;
    p->left = n;
    for (p->events = got; p->left > 0; p->events++) {
        void *who = p->events->data.ptr;
        p->left--;
        if (who != NULL) p->on_event(who, (p->events->events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP)) == 0);
    }
    p->events = NULL;
}

static void on_closed(uv_handle_t *it) {
    free(it->data);
}

/* The host ends: whoever is left in it hears no more. */
static void on_teardown(struct mw_handle *it) {
    struct park *p = MW_LIST_ENTRY(it, struct park, handle);

    mw_host_slot_set(p->host, &slot_key, NULL);
    p->left = 0;
    uv_close((uv_handle_t *)&p->poll, on_closed);
    close(p->fd);
}

static struct park *open_park(mw_host *h, int *rc) {
    struct park *p = calloc(1, sizeof *p);

    *rc = MW_ENOMEM;
    if (p == NULL) return NULL;
    p->host = h;
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->fd < 0) *rc = -errno;
    else *rc = mw_host_slot_set(h, &slot_key, p);
    if (*rc == 0) *rc = uv_poll_init(mw_host_loop(h), &p->poll, p->fd);
    if (*rc < 0) {
        mw_host_slot_set(h, &slot_key, NULL);
        if (p->fd >= 0) close(p->fd);
        free(p);
        return NULL;
    }
    p->poll.data = p;
    mw_list_init(&p->handle.link);
    mw_host_adopt(h, &p->handle, on_teardown);
    return p;
}

int mw_park_enter(mw_host *h, int fd, void *who, void (*on_event)(void *who, int failed)) {
    struct park *p = mw_host_slot(h, &slot_key);
    struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP, .data = { .ptr = who } };
    int rc = 0;

    if (mw_host_closing(h)) return -ENOSYS;
    if (p == NULL && (p = open_park(h, &rc)) == NULL) return rc;
    p->on_event = on_event;
    if (epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &e) < 0) return -errno;
    if (!uv_is_active((const uv_handle_t *)&p->poll)) rc = mw_poll_start(&p->poll, UV_READABLE, on_poll);
    if (rc < 0) epoll_ctl(p->fd, EPOLL_CTL_DEL, fd, &e);
    else if (p->count++ == 0) uv_ref((uv_handle_t *)&p->poll);
    return rc;
}

void mw_park_leave(mw_host *h, int fd, void *who) {
    struct park *p = mw_host_slot(h, &slot_key);
    struct epoll_event none = { 0 };

    if (p == NULL) return;
    epoll_ctl(p->fd, EPOLL_CTL_DEL, fd, &none);
    for (int i = 1; p->events != NULL && i <= p->left; i++) {
        if (p->events[i].data.ptr == who) p->events[i].data.ptr = NULL;
    }
    if (--p->count == 0) uv_unref((uv_handle_t *)&p->poll);
}

#else

int mw_park_enter(mw_host *h, int fd, void *who, void (*on_event)(void *who, int failed)) {
    (void)h;
    (void)fd;
    (void)who;
    (void)on_event;
    return -ENOSYS;
}
void mw_park_leave(mw_host *h, int fd, void *who) {
    (void)h;
    (void)fd;
    (void)who;
}

#endif
