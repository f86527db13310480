/* Where a trace goes: see io/sink.h.
 * Knows: observe/trace, policy/permit, POSIX threads. Never: the loop. */
#include "io/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "policy/permit.h"

#define OP "trace"
#define SLICE 100                        /* milliseconds between two looks whether the end has come, while a pipe is full */
#define STACK (256u << 10)               /* bytes */
#define PIECE 4096u                      /* bytes that whoever has room for any has room for (PIPE_BUF) */

struct mw_sink {
    mw_trace *trace;
    struct mw_list link;                 /* among the others of its host */
    unsigned uses;                       /* closes that are to come */
    int file;                            /* dev and ino say which */
    dev_t dev;
    ino_t ino;
    pthread_mutex_t lock;
    pthread_cond_t news, written;        /* news: by the monotonic clock */
    uint64_t asked, done;                /* flushes */
    pthread_t thread;
    int started, tried, stop, urgent, waiting;       /* waiting: something is there to be written */
    int fd, owned;
    uint64_t max;                        /* bytes of the file, which others may write to as well; 0: any number */
    int code;                            /* what ended the writing; of whoever writes */
    uint64_t give_up;                    /* ns: no pipe is waited for any longer; 0: not yet */
    struct mw_bytes batch;               /* of whoever writes */
    char name[];
};

/* ---- Writing ------------------------------------------------------------------------------------------------------------ */

/* 1: the descriptor may take more; 0: it is too late. */
static int wait_for_room(mw_sink *s) {
    for (;;) {
        struct pollfd p = {.fd = s->fd, .events = POLLOUT};
        uint64_t give_up;

        if (poll(&p, 1, SLICE) > 0) return 1;
        pthread_mutex_lock(&s->lock);
        give_up = s->give_up;
        pthread_mutex_unlock(&s->lock);
        if (give_up != 0 && mw_trace_now() > give_up) return 0;
    }
}

/* A descriptor that is lent may block: it is asked first, and gets no more than it says it has room for. */
static int write_all(mw_sink *s, const char *at, size_t len) {
    while (len > 0) {
        ssize_t n;

        if (!s->owned && !wait_for_room(s)) return MW_ETIMEDOUT;
        n = write(s->fd, at, s->owned || len < PIECE ? len : PIECE);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (!wait_for_room(s)) return MW_ETIMEDOUT;
            continue;
        }
        if (n <= 0) return n < 0 ? -errno : -EIO;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Script children write into the same file, so what it holds is more than what we have written. 1: it is as long as it may be. */
static int is_full(const mw_sink *s, size_t len) {
    struct stat st;
    return s->max > 0 && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size + len > s->max;
}

/* Writes what waits in the trace. Without a file that takes it, it is dropped. */
static void drain(mw_sink *s) {
    mw_trace_take(s->trace, &s->batch);
    if (s->code == 0 && is_full(s, mw_bytes_len(&s->batch))) {
        s->batch.head = s->batch.tail = 0;
        mw_trace_end(s->trace, "the trace has reached its size limit (option max)");
        mw_trace_take(s->trace, &s->batch);
        s->max = 0;
    }
    if (s->code == 0) {
        s->code = write_all(s, mw_bytes_at(&s->batch), mw_bytes_len(&s->batch));
        if (s->code < 0) mw_trace_break(s->trace, s->code);
    }
    s->batch.head = s->batch.tail = 0;
    mw_bytes_shrink(&s->batch, 4 * MW_TRACE_WAKE);
}

static void later(struct timespec *at, unsigned ms) {
    clock_gettime(CLOCK_MONOTONIC, at);
    at->tv_nsec += (long)ms * 1000000;
    if (at->tv_nsec >= 1000000000) {
        at->tv_sec++;
        at->tv_nsec -= 1000000000;
    }
}

static void *run(void *ud) {
    mw_sink *s = ud;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct timespec until;
        uint64_t asked;
        while (!s->waiting && !s->stop) pthread_cond_wait(&s->news, &s->lock);
        later(&until, MW_SINK_DELAY);
        while (!s->urgent && !s->stop && pthread_cond_timedwait(&s->news, &s->lock, &until) == 0) continue;
        if (s->stop) break;
        s->waiting = s->urgent = 0;
        asked = s->asked;
        pthread_mutex_unlock(&s->lock);
        drain(s);
        pthread_mutex_lock(&s->lock);
        s->done = asked;
        pthread_cond_broadcast(&s->written);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* No signal but those of its own faults comes to it. */
static int start(mw_sink *s) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    pthread_attr_t attr;
    sigset_t none, was;
    int rc;

    if (pthread_attr_init(&attr) != 0) return 0;
    pthread_attr_setstacksize(&attr, STACK); /* whatever ulimit -s says */
    sigfillset(&none);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&none, own[i]);
    pthread_sigmask(SIG_SETMASK, &none, &was);
    rc = pthread_create(&s->thread, &attr, run, s);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

/* The trace holds something: by whoever traces, in the trace's lock. Without a thread it is written at the end. */
static void on_news(void *ud, int urgent) {
    mw_sink *s = ud;

    pthread_mutex_lock(&s->lock);
    if (!s->tried) s->started = start(s);
    s->tried = 1;
    s->waiting = 1;
    s->urgent |= urgent;
    pthread_cond_signal(&s->news);
    pthread_mutex_unlock(&s->lock);
}

/* ---- Opening and closing ------------------------------------------------------------------------------------------------ */

static int make(mw_sink *s, const struct mw_trace_options *o, struct mw_err *err) {
    pthread_condattr_t attr;
    int rc = mw_trace_new(o, &s->trace);

    if (rc == MW_ELIMIT) {
        return mw_err_setf(err, MW_EINVAL, OP, NULL, "redact: at most %u names, of 1 to %u bytes each", MW_TRACE_NAMES, MW_TRACE_NAME);
    }
    if (rc < 0) return mw_err_set(err, rc, OP, s->name, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->news, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&s->written, NULL);
    mw_trace_on_news(s->trace, on_news, s);
    mw_trace_goes_to(s->trace, s->fd);
    return 0;
}

int mw_sink_of(int fd, int owned, const char *name, const struct mw_trace_options *o, mw_sink **out, struct mw_err *err) {
    size_t len = strlen(name);
    mw_sink *s = calloc(1, sizeof *s + len + 1);
    int rc = s != NULL ? 0 : mw_err_set(err, MW_ENOMEM, OP, name, NULL);

    if (rc == 0) {
        memcpy(s->name, name, len + 1);
        s->fd = fd;
        s->owned = owned;
        if (owned) s->max = o->max != 0 ? o->max : MW_TRACE_MAX;
        s->uses = 1;
        mw_list_init(&s->link);
        rc = make(s, o, err);
    }
    if (rc < 0) {
        if (owned) close(fd);
        free(s);
        return rc;
    }
    if (owned) drain(s); /* the beginning stands before anything that a script child says */
    *out = s;
    return 0;
}

/* Writes what waits, while others go on. */
static void flush(mw_sink *s) {
    uint64_t mine;

    pthread_mutex_lock(&s->lock);
    mine = ++s->asked;
    s->waiting = s->urgent = 1;
    pthread_cond_signal(&s->news);
    while (s->started && s->done < mine) pthread_cond_wait(&s->written, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* The one of `others` that writes this file; NULL: none. */
static mw_sink *writer_of(struct mw_list *others, const struct stat *st) {
    for (struct mw_list *at = others->next; at != others; at = at->next) {
        mw_sink *s = MW_LIST_ENTRY(at, mw_sink, link);
        if (s->file && s->dev == st->st_dev && s->ino == st->st_ino) return s;
    }
    return NULL;
}

static int room(const struct mw_list *others, const char *path, struct mw_err *err) {
    unsigned n = 0;

    for (const struct mw_list *at = others->next; at != others; at = at->next) n++;
    if (n < MW_TRACE_TAPS) return 0;
    mw_err_setf(err, MW_ELIMIT, OP, path, "%u taps are open already", MW_TRACE_TAPS);
    return mw_err_hint(err, "close() those that have done their work; one tap may be given to many things");
}

/* fd: taken. */
static int open_file(int fd, const char *path, struct mw_trace_options *o, struct mw_list *others, mw_sink **out, struct mw_err *err) {
    struct stat st;
    mw_sink *found;
    int file, rc = fstat(fd, &st) < 0 ? mw_err_sys(err, OP, path) : 0;

    file = rc == 0 && S_ISREG(st.st_mode);
    found = file && others != NULL ? writer_of(others, &st) : NULL;
    if (found != NULL) {
        close(fd);
        if (mw_trace_made_with(found->trace, o)) {
            found->uses++;
            *out = found;
            return 0;
        }
        mw_err_set(err, -EBUSY, OP, path, "another tap writes there, with other options, or to its end");
        return mw_err_hint(err, "close it first, or give one tap to all");
    }
    if (rc == 0 && others != NULL) rc = room(others, path, err);
    if (rc == 0 && file && ftruncate(fd, 0) < 0) rc = mw_err_sys(err, OP, path);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    rc = mw_sink_of(fd, 1, path, o, out, err);
    if (rc < 0) return rc;
    (*out)->file = file;
    (*out)->dev = st.st_dev;
    (*out)->ino = st.st_ino;
    if (others != NULL) mw_list_add(others, &(*out)->link);
    return 0;
}

int mw_sink_open(mw_host *h, const char *path, struct mw_trace_options *o, struct mw_list *others, mw_sink **out, struct mw_err *err) {
    struct mw_place at = {.fd = -1};
    int fd, rc;

    if (mw_trace_format_of(path, &o->format) < 0) {
        mw_err_set(err, MW_EINVAL, OP, path, "its ending says no format");
        return mw_err_hint(err, "one of .pcapng, .jsonl, .trace.json; or \"stderr\"");
    }
    if (o->format == MW_TRACE_DUMP) {
        rc = others != NULL ? room(others, path, err) : 0;
        if (rc == 0) rc = mw_sink_of(STDERR_FILENO, 0, "stderr", o, out, err);
        if (rc == 0 && others != NULL) mw_list_add(others, &(*out)->link);
        return rc;
    }
    rc = mw_permit_path(mw_host_policy(h), 1u << MW_WRITE, path, MW_AT_CREATE, OP, &at, err);
    if (rc < 0) return rc;
    if (at.leaf[0] == '\0') {
        mw_place_close(&at);
        return mw_err_set(err, -EISDIR, OP, path, NULL);
    }
    fd = openat(at.fd, at.leaf, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    rc = fd < 0 ? mw_err_sys(err, OP, path) : 0;
    mw_place_close(&at);
    return rc < 0 ? rc : open_file(fd, path, o, others, out, err);
}

int mw_sink_colours(void) {
    const char *no = getenv("NO_COLOR");
    return (no == NULL || *no == '\0') && isatty(STDERR_FILENO);
}

mw_trace *mw_sink_trace(mw_sink *s) { return s->trace; }
const char *mw_sink_name(const mw_sink *s) { return s->name; }

int mw_sink_close(mw_sink *s, struct mw_err *err) {
    int code;

    if (s == NULL) return 0;
    if (--s->uses > 0) {
        flush(s);
        code = mw_trace_trouble(s->trace);
        return code < 0 ? mw_err_set(err, code, OP, s->name, NULL) : 0;
    }
    mw_list_remove(&s->link);
    mw_trace_end(s->trace, NULL);
    mw_trace_on_news(s->trace, NULL, NULL);
    mw_trace_goes_to(s->trace, -1);
    pthread_mutex_lock(&s->lock);
    s->stop = 1;
    s->give_up = mw_trace_now() + MW_SINK_LINGER * UINT64_C(1000000);
    pthread_cond_signal(&s->news);
    pthread_mutex_unlock(&s->lock);
    if (s->started) pthread_join(s->thread, NULL);
    drain(s);
    code = mw_trace_trouble(s->trace);
    if (code < 0) mw_err_set(err, code, OP, s->name, NULL);
    if (s->owned) close(s->fd);
    pthread_cond_destroy(&s->news);
    pthread_cond_destroy(&s->written);
    pthread_mutex_destroy(&s->lock);
    mw_bytes_free(&s->batch);
    mw_trace_release(s->trace);
    free(s);
    return code;
}
