/* A file as Lua's io has it.
 * Knows: base, core, uv.h, read(2), write(2), epoll. Never: O_NONBLOCK on what may be shared; Lua. */
#include "io/textfile.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#include "core/poll.h"

#define HELD 4096u               /* bytes of a full buffer */
#define CROWDED (64u << 10)  /* bytes that a file may hold while others hold as many as the host may */
#define END_MS 5000              /* how long the end of a host waits for a reader of our last words */

/* Readiness of one direction: an epoll of our own, watched by the loop, so that the descriptor's flags stay as they are. */
struct watch {
    int epfd;                    /* -1: not made */
    int loop;                    /* the uv handle is there */
    uv_poll_t poll;
    struct mw_wait wait;
};

struct mw_textfile {
    struct mw_handle handle;
    mw_host *host;
    int refs;                    /* boxes, and one for each open uv handle */
    int fd;                      /* -1: closed */
    int shared;
    int at_once;                 /* regular files and the like: always ready */
    int read_only;               /* what is written is refused at once, not when it leaves the buffer */
    struct mw_bytes in, out;
    size_t charged;              /* of both, to the host's account of what is buffered */
    size_t scanned;
    enum mw_buffering how;
    size_t full;                 /* bytes after which a full buffer is written */
    struct watch to_read, to_write;
};

static void charge(mw_textfile *f) {
    size_t now = f->in.size + f->out.size;

    if (now == f->charged) return;
    mw_host_charge(f->host, f->charged, now);
    f->charged = now;
}

static void watch_init(struct watch *w) {
    w->epfd = -1;
    w->loop = 0;
    mw_wait_init(&w->wait);
}

static void close_handle(struct mw_handle *it) {
    (void)mw_textfile_close(MW_LIST_ENTRY(it, mw_textfile, handle));
}

int mw_textfile_open(mw_host *h, int fd, int shared, mw_textfile **out, struct mw_err *err) {
    mw_textfile *f = calloc(1, sizeof *f);
    struct stat st;
    int flags;

    if (f == NULL || mw_host_room(h, "io open", NULL, err) < 0) {
        int rc = f == NULL ? mw_err_set(err, MW_ENOMEM, "io open", NULL, NULL) : MW_ELIMIT;
        free(f);
        if (!shared) close(fd);
        return rc;
    }
    f->host = h;
    f->refs = 1;
    f->fd = fd;
    f->shared = shared;
    f->full = HELD;
    f->how = MW_BUFFER_NONE;
    f->at_once = 1;
    watch_init(&f->to_read);
    watch_init(&f->to_write);
    if (fstat(fd, &st) == 0) {
        f->at_once = !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd)));
        if (!shared && f->at_once) f->how = MW_BUFFER_FULL;
    }
    flags = fcntl(fd, F_GETFL);
    f->read_only = flags >= 0 && (flags & O_ACCMODE) == O_RDONLY;
    if (flags >= 0 && (flags & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND) && !shared && f->at_once)
        (void)lseek(fd, 0, SEEK_END); /* file:seek() tells where the first write goes, as with the C library's "a" */
    mw_host_adopt(h, &f->handle, close_handle);
    *out = f;
    return 0;
}

/* ---- The end ---------------------------------------------------------------------------------------------------------------- */

static void unref(mw_textfile *f) {
    if (--f->refs > 0) return;
    mw_bytes_free(&f->in);
    mw_bytes_free(&f->out);
    free(f);
}

static void read_closed(uv_handle_t *it) {
    unref(MW_LIST_ENTRY(it, mw_textfile, to_read.poll));
}
static void write_closed(uv_handle_t *it) {
    unref(MW_LIST_ENTRY(it, mw_textfile, to_write.poll));
}

static void watch_end(struct watch *w, uv_close_cb cb) {
    if (w->loop) {
        uv_poll_stop(&w->poll);
        uv_close((uv_handle_t *)&w->poll, cb);
        w->loop = 0;
    }
    if (w->epfd >= 0) close(w->epfd);
    w->epfd = -1;
    mw_wait_wake(&w->wait);
}

int mw_textfile_close(mw_textfile *f) {
    int rc = 0;

    if (f->fd < 0) return 0;
    f->refs++;
    if (mw_bytes_len(&f->out) > 0) rc = mw_textfile_flush(f, 0);
    mw_host_disown(&f->handle);
    watch_end(&f->to_read, read_closed);
    watch_end(&f->to_write, write_closed);
    if (!f->shared && close(f->fd) < 0 && rc == 0 && errno != EINTR) rc = -errno;
    f->fd = -1;
    mw_bytes_free(&f->in);
    mw_bytes_free(&f->out);
    charge(f);
    unref(f);
    return rc;
}

int mw_textfile_closed(const mw_textfile *f) {
    return f->fd < 0;
}

void mw_textfile_release(mw_textfile *f) {
    if (f == NULL) return;
    if (f->refs - f->to_read.loop - f->to_write.loop == 1) (void)mw_textfile_close(f);
    unref(f);
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------------------- */

static void ready(uv_poll_t *it, int status, int events) {
    struct watch *w = MW_LIST_ENTRY(it, struct watch, poll);
    (void)status;
    (void)events;
    uv_poll_stop(it);
    mw_wait_wake(&w->wait);
}

static struct mw_wait *arm(mw_textfile *f, struct watch *w, uint32_t events, int *rc) {
    struct epoll_event ev = {.events = events};

    *rc = 0;
    if (f->fd < 0) return *rc = MW_ECLOSED, NULL;
    if (w->epfd < 0) {
        w->epfd = epoll_create1(EPOLL_CLOEXEC);
        if (w->epfd < 0) return *rc = -errno, NULL;
        if (epoll_ctl(w->epfd, EPOLL_CTL_ADD, f->fd, &ev) < 0) {
            *rc = -errno;
            close(w->epfd);
            w->epfd = -1;
            return NULL;
        }
    }
    if (!w->loop) {
        *rc = uv_poll_init(mw_host_loop(f->host), &w->poll, w->epfd);
        if (*rc < 0) return NULL;
        w->loop = 1;
        f->refs++;
    }
    *rc = mw_poll_start(&w->poll, UV_READABLE, ready);
    return *rc < 0 ? NULL : &w->wait;
}

struct mw_wait *mw_textfile_readable(mw_textfile *f, int *rc) {
    return arm(f, &f->to_read, EPOLLIN | EPOLLHUP | EPOLLERR, rc);
}
struct mw_wait *mw_textfile_writable(mw_textfile *f, int *rc) {
    return arm(f, &f->to_write, EPOLLOUT | EPOLLHUP | EPOLLERR, rc);
}

/* 1: ready; 0: not within timeout_ms. */
static int is_ready(const mw_textfile *f, short events, int timeout_ms) {
    struct pollfd p = {f->fd, events, 0};
    int n;

    if (f->at_once) return 1;
    do n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n != 0;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------------------- */

struct mw_bytes *mw_textfile_in(mw_textfile *f) {
    return &f->in;
}
size_t *mw_textfile_scanned(mw_textfile *f) {
    return &f->scanned;
}
void mw_textfile_consume(mw_textfile *f, size_t n) {
    mw_bytes_consume(&f->in, n);
    f->scanned = 0;
    mw_bytes_shrink(&f->in, 1u << 16);
    charge(f);
}

ssize_t mw_textfile_fill(mw_textfile *f, size_t want, int may_wait) {
    size_t room;
    ssize_t n;
    char *tail;

    if (f->fd < 0) return MW_ECLOSED;
    if (f->at_once && mw_bytes_len(&f->out) > 0) { /* what was written must be there to be read */
        int rc = mw_textfile_flush(f, may_wait);
        if (rc < 0) return rc;
    }
    if (mw_bytes_len(&f->in) >= CROWDED && mw_host_crowded_beside(f->host, f->charged)) return MW_ELIMIT;
    tail = mw_bytes_reserve(&f->in, want < HELD ? HELD : want, &room);
    if (tail == NULL) return MW_ENOMEM;
    charge(f);
    if (!is_ready(f, POLLIN, may_wait ? 0 : -1)) return MW_EAGAIN;
    do n = read(f->fd, tail, room);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EIO && !f->at_once && isatty(f->fd)) n = 0; /* a terminal that hung up has ended */
    if (n < 0) return errno == EWOULDBLOCK ? MW_EAGAIN : -errno;
    mw_bytes_commit(&f->in, (size_t)n);
    return n;
}

/* ---- Writing ---------------------------------------------------------------------------------------------------------------- */

/* Before a write the position is where the reader is, not where reading ahead went. */
static int forget_ahead(mw_textfile *f) {
    size_t ahead = mw_bytes_len(&f->in);

    if (ahead == 0 || !f->at_once) return 0;
    if (lseek(f->fd, -(off_t)ahead, SEEK_CUR) < 0) return errno == ESPIPE ? 0 : -errno;
    mw_textfile_consume(f, ahead);
    return 0;
}

int mw_textfile_add(mw_textfile *f, const char *data, size_t len, int *due) {
    int rc;

    *due = 0;
    if (f->fd < 0) return MW_ECLOSED;
    if (f->read_only && len > 0) return -EBADF;
    rc = forget_ahead(f);
    if (rc == 0) rc = mw_bytes_add(&f->out, data, len);
    if (rc < 0) return rc;
    charge(f);
    *due = mw_host_crowded(f->host) || f->how == MW_BUFFER_NONE || mw_bytes_len(&f->out) >= f->full || (f->how == MW_BUFFER_LINE && memchr(data, '\n', len) != NULL);
    return 0;
}

int mw_textfile_flush(mw_textfile *f, int may_wait) {
    int waited_ms = 0;

    if (f->fd < 0) return MW_ECLOSED;
    while (mw_bytes_len(&f->out) > 0) {
        size_t len = mw_bytes_len(&f->out);
        ssize_t n;
        if (!f->at_once && len > PIPE_BUF) len = PIPE_BUF; /* so much a ready pipe takes without blocking */
        if (!is_ready(f, POLLOUT, 0)) {
            if (may_wait) return MW_EAGAIN;
            if (mw_host_closing(f->host) && waited_ms >= END_MS) goto drop;
            waited_ms += 100;
            (void)is_ready(f, POLLOUT, 100);
            continue;
        }
        n = write(f->fd, mw_bytes_at(&f->out), len);
        if (n > 0) {
            mw_bytes_consume(&f->out, (size_t)n);
        } else if (n < 0 && errno != EINTR && errno != EWOULDBLOCK) {
            int rc = -errno;
            mw_bytes_consume(&f->out, mw_bytes_len(&f->out));
            return rc;
        }
    }
    mw_bytes_shrink(&f->out, 1u << 16);
    charge(f);
    return 0;
drop:
    mw_bytes_consume(&f->out, mw_bytes_len(&f->out));
    return MW_ETIMEDOUT;
}

int64_t mw_textfile_seek(mw_textfile *f, int64_t offset, int whence) {
    off_t at;
    int rc;

    if (f->fd < 0) return MW_ECLOSED;
    rc = f->at_once ? mw_textfile_flush(f, 0) : 0;
    if (rc < 0) return rc;
    if (!f->at_once) return -ESPIPE;
    if (whence == SEEK_CUR && __builtin_sub_overflow(offset, (int64_t)mw_bytes_len(&f->in), &offset)) return MW_EINVAL;
    at = lseek(f->fd, (off_t)offset, whence);
    if (at < 0) return -errno;
    mw_textfile_consume(f, mw_bytes_len(&f->in));
    return at;
}

void mw_textfile_buffer(mw_textfile *f, enum mw_buffering how, size_t size) {
    f->how = how;
    f->full = size == 0 ? HELD : size;
}
