/* The descriptors that a child starts with: inherited, piped, captured, fed, or those of a stream.
 * Knows: io/process_parts.h, io/pty, POSIX. Never: a path, save our own descriptors' in /proc/self/fd. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/process_parts.h"
#include "io/pty.h"
#include "io/secure.h"

/* Bytes, for streams: fewer wakes when much flows. A mebibyte was no faster, and a user may hold 64 MiB of pipe buffers in all
 * before the kernel makes every new pipe small (pipe-user-pages-soft). It may say no. */
#define PIPE_SIZE (1 << 18)

int mw_launch_own(struct launch *l, int fd) {
    l->owned[l->owned_count++] = fd;
    return fd;
}

static const char *subject(const struct launch *l) {
    return l->o->argv[0];
}

/* A pipe; the child's end is owned by the launch, ours is returned in *mine. */
static int make_pipe(struct launch *l, int child_reads, int *mine) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) return mw_err_sys(l->err, l->o->op, subject(l));
    *mine = ends[child_reads ? 1 : 0];
    return mw_launch_own(l, ends[child_reads ? 0 : 1]);
}

static int open_stream(struct launch *l, int rfd, int wfd, mw_stream **out) {
    int rc = mw_stream_open(l->home->host, rfd, wfd, "process", subject(l), NULL, out, l->err);

    if (rc == 0 && !l->o->detached) mw_stream_fleeting(*out);    /* the child ends with us */
    return rc;
}

/* A stream of ours at the other end. */
static int piped(struct launch *l, int i) {
    int mine, theirs = make_pipe(l, i == 0, &mine), rc;

    if (theirs < 0) return theirs;
#ifdef F_SETPIPE_SZ
    fcntl(mine, F_SETPIPE_SZ, PIPE_SIZE);
#endif
    rc = i == 0 ? open_stream(l, -1, mine, &l->p->streams[0]) : open_stream(l, mine, -1, &l->p->streams[i]);
    return rc < 0 ? rc : theirs;
}

static int captured(struct launch *l, int i) {
    struct capture *c = &l->p->out[i - 1];

    c->wanted = 1;
    return make_pipe(l, 0, &c->fd);
}

/* Text: written now as far as the pipe takes it, the rest as the child reads. */
static int fed(struct launch *l, const struct mw_stdio *io) {
    struct mw_view part = { io->text, io->len };
    int mine, theirs = make_pipe(l, 1, &mine), rc;

    if (theirs < 0) return theirs;
    rc = open_stream(l, -1, mine, &l->p->feeding);
    if (rc == 0 && io->len > 0) rc = mw_stream_write(l->p->feeding, &part, 1, l->err);
    if (rc >= 0) rc = mw_stream_finish(l->p->feeding, l->err);
    return rc < 0 ? rc : theirs;
}

/* The descriptor behind a script's stream, as a program expects it: blocking. A pipe's is opened anew, so that ours stays as it
 * is. A socket's two sides share one description: it becomes the child's, and our stream ends when the child runs. */
static int given(struct launch *l, const struct mw_stdio *io, int i) {
    int fd = i == 0 ? mw_stream_rfd(io->given) : mw_stream_wfd(io->given), anew;
    struct stat st;
    char path[32];

    if (fd < 0) return mw_err_setf(l->err, MW_EINVAL, l->o->op, subject(l), "the stream given as std%s is closed, or has no such direction", i == 0 ? "in" : i == 1 ? "out" : "err");
    if (mw_stream_is_secure(io->given)) return mw_err_set(l->err, MW_EINVAL, l->o->op, subject(l), "the stream given speaks TLS, which the child does not: copy between the two");
    if (i == 0 && mw_bytes_len(mw_stream_in(io->given)) > 0) return mw_err_set(l->err, MW_EINVAL, l->o->op, subject(l), "the stream given as stdin holds bytes that were read ahead: the child would miss them");
    if (i > 0 && mw_stream_flush(io->given, NULL) == 1) return mw_err_set(l->err, MW_EINVAL, l->o->op, subject(l), "the stream given as output has unsent bytes: flush it first");
    if (fstat(fd, &st) < 0) return mw_err_sys(l->err, l->o->op, subject(l));
    if (S_ISSOCK(st.st_mode)) {
        anew = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (anew < 0) return mw_err_sys(l->err, l->o->op, subject(l));
        fcntl(anew, F_SETFL, fcntl(anew, F_GETFL) & ~O_NONBLOCK);    /* undone where the start fails */
        l->moved[i] = io->given;
        mw_stream_share(io->given);
        return mw_launch_own(l, anew);
    }
    if (!S_ISFIFO(st.st_mode)) return fd;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    anew = open(path, (i == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
    if (anew < 0) return mw_err_sys(l->err, l->o->op, subject(l));
    return mw_launch_own(l, anew);
}

static int one(struct launch *l, int i) {
    const struct mw_stdio *io = &l->o->io[i];

    switch (io->kind) {
    case MW_STDIO_INHERIT: return fcntl(i, F_GETFD) < 0 ? l->home->null_fd : i;
    case MW_STDIO_STREAM: return piped(l, i);
    case MW_STDIO_CAPTURE: return captured(l, i);
    case MW_STDIO_TEXT: return fed(l, io);
    case MW_STDIO_GIVEN: return given(l, io, i);
    case MW_STDIO_OUT: return l->fds[1];
    case MW_STDIO_LINK:
    case MW_STDIO_FILE: return io->link;
    default: return l->home->null_fd;
    }
}

/* All three on a terminal of its own. */
static int on_terminal(struct launch *l) {
    int ours, theirs, i, rc = mw_pty_open(l->o->op, l->o->rows, l->o->cols, &ours, &theirs, l->err);

    if (rc < 0) return rc;
    mw_launch_own(l, theirs);
    for (i = 0; i < 3; i++) l->fds[i] = theirs;
    l->p->pty_fd = ours;
    l->flags |= MW_SPAWN_SESSION | MW_SPAWN_TTY;
    if (l->o->io[1].kind != MW_STDIO_CAPTURE) return open_stream(l, ours, ours, &l->p->streams[3]);
    l->p->out[0].fd = ours;
    l->p->out[0].wanted = 1;
    return 0;
}

void mw_launch_keep_sockets(struct launch *l) {
    int i;

    for (i = 0; i < 3; i++) {
        int fd = l->moved[i] == NULL ? -1 : i == 0 ? mw_stream_rfd(l->moved[i]) : mw_stream_wfd(l->moved[i]);
        if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
}

int mw_launch_stdio(struct launch *l) {
    int i;

    l->count = 3;
    if (l->o->pty) return on_terminal(l);
    for (i = 0; i < 3; i++) {
        int fd = one(l, i);
        if (fd < 0) return fd;
        l->fds[i] = fd;
    }
    return 0;
}

int mw_process_link(mw_host *h, const char *op, int ends[2], struct mw_err *err) {
    (void)h;
    return pipe2(ends, O_CLOEXEC) < 0 ? mw_err_sys(err, op, "pipe") : 0;
}

void mw_process_unlink(int end) {
    if (end >= 0) close(end);
}
