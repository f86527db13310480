/* How a child says that it is ready: a newline into a descriptor, as s6 and dinit take it, or READY=1 to $NOTIFY_SOCKET, as systemd
 * does.
 * Knows: io/process_parts.h, uv_poll, unix(7). Never: Lua values; trusts a number or a name that a child says.
 *
 * The descriptor works for everybody. It is 3 (what most programs with such an option are told), and NOTIFY_FD says so; a script
 * child has another one, in what its parent decided. The socket is for programs that are not confined: others may make none to
 * send from. Its name is random and abstract, so that nothing stays behind, and listed in /proc: who sends counts only as the
 * child, as one of its group, or with our own user's rights. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/poll.h"
#include "io/process_parts.h"

#define READS 16              /* messages or reads in one callback */

/* One way to say it. */
struct way {
    struct mw_notify *notify;
    int fd;                   /* -1: not there, or through */
    int polling;              /* `poll` is a live handle */
    uv_poll_t poll;
};

struct mw_notify {
    mw_process *p;
    int ready;
    struct way line, socket;
    char fd_text[16], name[48];
};

static void on_closed(uv_handle_t *handle) {
    struct way *w = handle->data;

    mw_process_drop(w->notify->p);
}

static void end_way(struct way *w) {
    if (w->fd < 0) return;
    if (w->polling) uv_close((uv_handle_t *)&w->poll, on_closed);
    w->polling = 0;
    close(w->fd);
    w->fd = -1;
}

static void set_ready(struct mw_notify *n) {
    if (n->ready) return;
    n->ready = 1;
    mw_wait_wake(&n->p->changed);
}

/* ---- The descriptor ----------------------------------------------------------------------------------------------------- */

/* What comes after the newline is read, too: a child that says more is not to be ended by PIPE for it. */
static void on_line(uv_poll_t *poll, int status, int events) {
    struct way *w = poll->data;
    char bytes[512];
    ssize_t n = 0;
    int i;

    (void)status;
    (void)events;
    for (i = 0; i < READS; i++) {
        n = read(w->fd, bytes, sizeof bytes);
        if (n > 0 && memchr(bytes, '\n', (size_t)n) != NULL) set_ready(w->notify);
        if (n <= 0 && !(n < 0 && errno == EINTR)) break;
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) end_way(w);
}

/* ---- The socket ------------------------------------------------------------------------------------------------------------ */

/* May it speak for the child? */
static int may_speak(const mw_process *p, const struct ucred *who) {
    return who->pid == p->child.pid || getpgid(who->pid) == p->child.pid || who->uid == geteuid();
}

static int says_ready(char *text) {
    char *rest = NULL, *line;

    for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strcmp(line, "READY=1") == 0) return 1;
    }
    return 0;
}

/* Descriptors that come along have no room and are closed by the kernel, which is what a barrier waits for. */
static void on_message(uv_poll_t *poll, int status, int events) {
    struct way *w = poll->data;
    union { struct cmsghdr align; char at[CMSG_SPACE(sizeof(struct ucred))]; } control;
    char text[4097];
    struct iovec part = { text, sizeof text - 1 };
    int i;

    (void)status;
    (void)events;
    for (i = 0; i < READS; i++) {
        struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.at, .msg_controllen = sizeof control.at };
        ssize_t n = recvmsg(w->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
        struct ucred who;

        if (n < 0) return;
        if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS) continue;
        memcpy(&who, CMSG_DATA(c), sizeof who);
        text[n] = '\0';
        if (may_speak(w->notify->p, &who) && says_ready(text)) set_ready(w->notify);
    }
}

/* 0 or a code; without it the descriptor is left. */
static int open_socket(struct mw_notify *n) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    unsigned char salt[16];
    char *to = n->name;
    size_t i;
    int on = 1, fd;

    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt) return -EIO;
    to += snprintf(n->name, sizeof n->name, "@moonwire-");
    for (i = 0; i < sizeof salt; i++) to += snprintf(to, 3, "%02x", salt[i]);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    memcpy(at.sun_path + 1, n->name + 1, strlen(n->name) - 1);                   /* the first byte stays zero */
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(n->name))) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    n->socket.fd = fd;
    return 0;
}

/* ---- Of a start -------------------------------------------------------------------------------------------------------------- */

static void tell(struct launch *l, const char *name, const char *value) {
    l->extra[l->extra_count++] = (struct mw_env){ name, value };
}

int mw_launch_notify(struct launch *l) {
    struct mw_notify *n;
    int ends[2];

    if (!l->o->notify) return 0;
    n = l->p->notify = calloc(1, sizeof *n);
    if (n == NULL) return mw_err_set(l->err, MW_ENOMEM, l->o->op, l->o->argv[0], NULL);
    n->p = l->p;
    n->line.notify = n->socket.notify = n;
    n->line.fd = n->socket.fd = -1;
    if (pipe2(ends, O_CLOEXEC) < 0) return mw_err_sys(l->err, l->o->op, l->o->argv[0]);
    n->line.fd = ends[0];
    mw_launch_own(l, ends[1]);
    while (l->count < MW_NOTIFY_FD) l->fds[l->count++] = -1;
    if (l->count == MW_SPAWN_FDS) return mw_err_set(l->err, -EMFILE, l->o->op, l->o->argv[0], "it is given too many descriptors");
    l->notify_fd = l->count;
    l->fds[l->count++] = ends[1];
    if (l->o->script) return 0;
    snprintf(n->fd_text, sizeof n->fd_text, "%d", l->notify_fd);
    tell(l, "NOTIFY_FD", n->fd_text);
    if (!l->confined && open_socket(n) == 0) tell(l, "NOTIFY_SOCKET", n->name);
    return 0;
}

static int start_way(struct way *w, uv_loop_t *loop, uv_poll_cb cb) {
    int rc = w->fd < 0 ? 0 : uv_poll_init(loop, &w->poll, w->fd);

    if (w->fd < 0 || rc < 0) return rc;
    w->poll.data = w;
    w->polling = 1;
    w->notify->p->refs++;
    return mw_poll_start(&w->poll, UV_READABLE, cb);
}

int mw_notify_start(mw_process *p, uv_loop_t *loop) {
    int rc = p->notify == NULL ? 0 : start_way(&p->notify->line, loop, on_line);

    return p->notify == NULL || rc < 0 ? rc : start_way(&p->notify->socket, loop, on_message);
}

void mw_notify_end(mw_process *p) {
    if (p->notify == NULL) return;
    end_way(&p->notify->line);
    end_way(&p->notify->socket);
}

int mw_process_ready(const mw_process *p) {
    return p->notify != NULL && p->notify->ready;
}

/* ---- The child's side ---------------------------------------------------------------------------------------------------------- */

int mw_process_notify(int fd) {
    ssize_t n = fd < 0 ? 0 : mw_write_quietly(fd, "\n", 1);

    if (fd >= 0) close(fd);
    return n == 1;
}
