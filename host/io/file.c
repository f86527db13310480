/* An open file: see file.h.
 * Knows: base, core/host, core/wait, core/work, policy/permit. Never: Lua values; a name after the file is open. */
#include "io/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "policy/permit.h"

#define STEP_MAX (1u << 20)      /* bytes that one read asks for at most */
#define STREAK 16u               /* reads from the page cache before a job lets the loop go on */
#define KEEP 65536u              /* bytes of buffer that an idle file keeps */

struct mw_file {
    struct mw_handle handle;
    mw_host *host;
    int refs, fd;
    int readable, writable;
    int nowait;                  /* preadv2(RWF_NOWAIT) works here */
    unsigned streak;             /* reads without a thread since the last job: then others get their turn */
    int closed, busy;
    struct mw_bytes in, out;     /* read ahead; held back */
    size_t charged;              /* of both, to the host's account of what is buffered */
    struct mw_wait idle;
    char *subject;
};

struct job {
    struct mw_work work;         /* first: the scheduler frees by it */
    mw_file *file;               /* held */
    enum mw_file_job what;
    int fd;
    struct mw_bytes bytes;       /* read by it; or being written */
    size_t want;
    int rc;                      /* 0, MW_EEOF, -errno */
};

static const char *op_of(enum mw_file_job what) {
    return what == MW_FILE_READ ? "fs read" : "fs write";
}

static void charge(mw_file *f) {
    size_t now = f->in.size + f->out.size;

    if (now == f->charged) return;
    mw_host_charge(f->host, f->charged, now);
    f->charged = now;
}

/* 0, or MW_ELIMIT: it reads no further ahead while others hold as much as the host may. */
static int may_hold_more(mw_file *f, struct mw_err *err) {
    if (mw_bytes_len(&f->in) < KEEP || !mw_host_crowded_beside(f->host, f->charged)) return 0;
    return mw_host_limit_reached(f->host, err, "fs read", f->subject, "buffered", "the host holds as many bytes as it may");
}

/* ---- Opening and closing ------------------------------------------------------------------------------------------------ */

static int flags_of(const char *mode) {
    static const struct { char mode[4]; int flags; } table[] = {
        { "r", O_RDONLY }, { "w", O_WRONLY | O_CREAT | O_TRUNC }, { "a", O_WRONLY | O_CREAT | O_APPEND }, { "r+", O_RDWR },
    };
    size_t len = strlen(mode);

    if (len > 1 && mode[len - 1] == 'b') len--;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].mode) == len && memcmp(table[i].mode, mode, len) == 0) return table[i].flags;
    return -1;
}

/* Regular files, and the devices that never block (null, zero, full, random, urandom: all of major 1). */
static int harmless(int fd, const char *path, struct mw_err *err) {
    struct stat st;

    if (fstat(fd, &st) < 0) return mw_err_sys(err, "fs open", path);
    if (S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && major(st.st_rdev) == 1)) return 0;
    if (S_ISDIR(st.st_mode)) return mw_err_set(err, -EISDIR, "fs open", path, NULL);
    return mw_err_set(err, -EOPNOTSUPP, "fs open", path, "neither a regular file nor a harmless device");
}

static void at_teardown(struct mw_handle *handle) {
    mw_file *f = MW_LIST_ENTRY(handle, mw_file, handle);
    struct mw_err err;

    if (mw_file_close(f, &err) < 0) mw_host_log(f->host, MW_LOG_ERROR, "%s", err.message);
}

int mw_file_open(mw_host *h, const char *path, const char *mode, mw_file **out, struct mw_err *err) {
    int flags = flags_of(mode), fd = -1, rc;
    mw_file *f = NULL;

    if (flags < 0) return mw_err_set(err, MW_EINVAL, "fs open", path, "the mode is one of \"r\", \"w\", \"a\", \"r+\"");
    /* O_NONBLOCK: of no effect on files, but some of /proc's and /sys's wait for news */
    rc = mw_permit_open(mw_host_policy(h), path, flags | O_NOCTTY | O_NONBLOCK, 0666, 1, "fs open", &fd, err);
    if (rc < 0) return rc;
    rc = harmless(fd, path, err);
    if (rc == 0) rc = mw_host_room(h, "fs open", path, err);
    if (rc < 0) goto done;

    f = calloc(1, sizeof *f);
    if (f != NULL) f->subject = strdup(path);
    if (f == NULL || f->subject == NULL) { rc = mw_err_set(err, MW_ENOMEM, "fs open", path, NULL); goto done; }
    f->host = h;
    f->refs = 1;
    f->fd = fd;
    f->readable = (flags & O_ACCMODE) != O_WRONLY;
    f->writable = (flags & O_ACCMODE) != O_RDONLY;
    f->nowait = 1;
    mw_wait_init(&f->idle);
    mw_list_init(&f->handle.link);
    mw_host_adopt(h, &f->handle, at_teardown);
    *out = f; /* given */
    f = NULL;
    fd = -1;
    rc = 0;
done:
    if (fd >= 0) close(fd);
    free(f);
    return rc;
}

mw_file *mw_file_hold(mw_file *f) {
    f->refs++;
    return f;
}

void mw_file_release(mw_file *f) {
    struct mw_err err;

    if (f == NULL || --f->refs > 0) return;
    if (mw_file_close(f, &err) < 0) mw_host_log(f->host, MW_LOG_ERROR, "%s", err.message);
    mw_bytes_free(&f->in);
    mw_bytes_free(&f->out);
    charge(f);
    free(f->subject);
    free(f);
}

/* Writes all of `q` or as much as goes, consuming it. 0 or -errno. Any thread that owns `q`. */
static int write_all(int fd, struct mw_bytes *q) {
    while (mw_bytes_len(q) > 0) {
        ssize_t n = write(fd, mw_bytes_at(q), mw_bytes_len(q));

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return -EIO; /* write(2) of some bytes never answers 0 on files; not for ever either way */
        mw_bytes_consume(q, (size_t)n);
    }
    return 0;
}

/* The descriptor goes when nobody uses it: at close, or when the job that has it is through. */
static int drop_fd(mw_file *f) {
    int fd = f->fd, rc = 0;

    f->fd = -1;
    mw_host_disown(&f->handle);
    if (mw_bytes_len(&f->out) > 0) rc = write_all(fd, &f->out);
    if (close(fd) < 0 && rc == 0 && errno != EINTR) rc = -errno;
    return rc;
}

int mw_file_close(mw_file *f, struct mw_err *err) {
    int rc;

    if (f->closed) return 0;
    f->closed = 1;
    mw_wait_wake(&f->idle);
    if (f->busy) return 0; /* settle() ends it */
    rc = drop_fd(f);
    return rc < 0 ? mw_err_set(err, rc, "fs close", f->subject, NULL) : 0;
}

int mw_file_closed(const mw_file *f) {
    return f->closed;
}

/* ---- Reading and writing ------------------------------------------------------------------------------------------------ */

static int usable(const mw_file *f, int allowed, const char *op, const char *what, struct mw_err *err) {
    if (f->closed) return mw_err_set(err, MW_ECLOSED, op, f->subject, NULL);
    if (!allowed) return mw_err_set(err, -EBADF, op, f->subject, what);
    return 0;
}

struct mw_bytes *mw_file_in(mw_file *f) {
    return &f->in;
}

static size_t step_of(size_t want) {
    if (want < MW_FILE_STEP) return MW_FILE_STEP;
    return want > STEP_MAX ? STEP_MAX : want;
}

int mw_file_fill(mw_file *f, size_t want, struct mw_err *err) {
    struct iovec part;
    ssize_t n;
    int rc = usable(f, f->readable, "fs read", "not open for reading", err);

    if (rc < 0) return rc;
    if (f->busy || mw_bytes_len(&f->out) > 0 || !f->nowait || f->streak >= STREAK) return 0;
    rc = may_hold_more(f, err);
    if (rc < 0) return rc;
    f->streak++;
    part.iov_len = step_of(want);
    part.iov_base = mw_bytes_reserve(&f->in, part.iov_len, NULL);
    if (part.iov_base == NULL) return mw_err_set(err, MW_ENOMEM, "fs read", f->subject, NULL);
    charge(f);
    n = preadv2(f->fd, &part, 1, -1, RWF_NOWAIT);
    if (n > 0) {
        mw_bytes_commit(&f->in, (size_t)n);
        return 1;
    }
    mw_bytes_shrink(&f->in, KEEP);
    charge(f);
    if (n == 0) return mw_err_set(err, MW_EEOF, "fs read", f->subject, NULL);
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) f->nowait = 0;
    return 0; /* also after a real error: the job meets it again and tells it */
}

/* Reading ahead moved the kernel's position: take it back to where the script is. */
static int unread(mw_file *f, const char *op, struct mw_err *err) {
    size_t ahead = mw_bytes_len(&f->in);

    if (ahead == 0) return 0;
    if (lseek(f->fd, -(off_t)ahead, SEEK_CUR) < 0 && errno != ESPIPE) return mw_err_sys(err, op, f->subject);
    mw_bytes_consume(&f->in, ahead);
    mw_bytes_shrink(&f->in, 0);
    charge(f);
    return 0;
}

int mw_file_write(mw_file *f, const char *data, size_t len, struct mw_err *err) {
    int rc = usable(f, f->writable, "fs write", "not open for writing", err);

    if (rc < 0) return rc;
    if (f->busy) return mw_err_set(err, -EBUSY, "fs write", f->subject, NULL);
    rc = unread(f, "fs write", err);
    if (rc < 0) return rc;
    if (mw_bytes_add(&f->out, data, len) < 0) return mw_err_set(err, MW_ENOMEM, "fs write", f->subject, NULL);
    charge(f);
    return mw_bytes_len(&f->out) >= MW_FILE_HELD;
}

size_t mw_file_held(const mw_file *f) {
    return mw_bytes_len(&f->out);
}

/* ---- Jobs --------------------------------------------------------------------------------------------------------------- */

/* On a thread of the pool: touches the job alone. */
static void job_run(struct mw_work *work) {
    struct job *j = (struct job *)work;

    if (j->what == MW_FILE_READ) {
        char *at = mw_bytes_reserve(&j->bytes, j->want, NULL);
        ssize_t n = -1;

        if (at == NULL) { j->rc = MW_ENOMEM; return; }
        do n = read(j->fd, at, j->want); while (n < 0 && errno == EINTR);
        if (n > 0) mw_bytes_commit(&j->bytes, (size_t)n);
        j->rc = n < 0 ? -errno : n == 0 ? MW_EEOF : 0;
        return;
    }
    j->rc = write_all(j->fd, &j->bytes);
    if (j->rc == 0 && j->what == MW_FILE_SYNC && fsync(j->fd) < 0) j->rc = -errno;
}

static void take_back(struct mw_bytes *to, struct mw_bytes *from) {
    mw_bytes_free(to);
    *to = *from;
    memset(from, 0, sizeof *from);
}

/* On the loop's thread, once: the bytes go home, whether or not a task still waits for them. */
static void job_free(struct mw_work *work) {
    struct job *j = (struct job *)work;
    mw_file *f = j->file;

    f->busy = 0;
    if (j->what == MW_FILE_READ) {
        if (mw_bytes_len(&f->in) == 0) take_back(&f->in, &j->bytes);
        else if (mw_bytes_add(&f->in, mw_bytes_at(&j->bytes), mw_bytes_len(&j->bytes)) < 0 && j->rc == 0) j->rc = MW_ENOMEM;
    } else {
        take_back(&f->out, &j->bytes); /* nobody wrote meanwhile: what is left is all there is */
    }
    charge(f);
    if (f->closed) {
        int rc = drop_fd(f);

        if (rc < 0) mw_host_log(f->host, MW_LOG_ERROR, "fs close %s: %s", f->subject, mw_err_words(rc));
    }
    mw_wait_wake(&f->idle);
    mw_bytes_free(&j->bytes);
    free(j);
    mw_file_release(f);
}

int mw_file_start(mw_file *f, enum mw_file_job what, size_t want, struct mw_work **out, struct mw_err *err) {
    int rc = what == MW_FILE_READ ? usable(f, f->readable, "fs read", "not open for reading", err)
                                  : usable(f, f->writable, "fs write", "not open for writing", err);
    struct job *j;

    if (rc < 0) return rc;
    if (f->busy) return mw_err_set(err, -EBUSY, op_of(what), f->subject, NULL);
    rc = what == MW_FILE_READ ? may_hold_more(f, err) : 0;
    if (rc < 0) return rc;
    j = calloc(1, sizeof *j);
    if (j == NULL) return mw_err_set(err, MW_ENOMEM, op_of(what), f->subject, NULL);
    f->streak = 0;
    j->work.run = job_run;
    j->work.free = job_free;
    j->file = mw_file_hold(f);
    j->what = what;
    j->fd = f->fd;
    j->want = step_of(want);
    if (what != MW_FILE_READ) take_back(&j->bytes, &f->out);
    f->busy = 1;
    *out = &j->work;
    return 0;
}

int mw_file_done(struct mw_work *work, struct mw_err *err) {
    struct job *j = (struct job *)work;
    int rc = j->rc;

    if (rc < 0) mw_err_set(err, rc, op_of(j->what), j->file->subject, NULL);
    work->free(work);
    return rc;
}

int mw_file_busy(const mw_file *f) {
    return f->busy;
}

struct mw_wait *mw_file_idle(mw_file *f) {
    return &f->idle;
}

/* ---- The rest ----------------------------------------------------------------------------------------------------------- */

int mw_file_seek(mw_file *f, int64_t offset, int whence, int64_t *pos, struct mw_err *err) {
    int rc = usable(f, 1, "fs seek", NULL, err);
    off_t at;

    if (rc == 0 && (f->busy || mw_bytes_len(&f->out) > 0)) rc = mw_err_set(err, -EBUSY, "fs seek", f->subject, NULL);
    if (rc == 0) rc = unread(f, "fs seek", err);
    if (rc < 0) return rc;
    at = lseek(f->fd, (off_t)offset, whence);
    if (at < 0 && errno == EINVAL) return mw_err_set(err, -ERANGE, "fs seek", f->subject, "before the start of the file");
    if (at < 0) return mw_err_sys(err, "fs seek", f->subject);
    *pos = at;
    return 0;
}

int mw_file_stat(mw_file *f, struct stat *out, struct mw_err *err) {
    int rc = usable(f, 1, "fs stat", NULL, err);

    if (rc < 0) return rc;
    return fstat(f->fd, out) < 0 ? mw_err_sys(err, "fs stat", f->subject) : 0;
}

int mw_file_lend(mw_file *f, int output, struct mw_err *err) {
    int rc = usable(f, 1, "process spawn", NULL, err);

    if (rc < 0) return rc;
    if (output ? !f->writable : !f->readable)
        return mw_err_set(err, MW_EINVAL, "process spawn", f->subject, output ? "the file is not open for writing" : "the file is not open for reading");
    if (f->busy) return mw_err_set(err, -EBUSY, "process spawn", f->subject, "another task is reading or writing the file");
    rc = unread(f, "process spawn", err);
    if (rc < 0) return rc;
    rc = write_all(f->fd, &f->out);
    if (rc < 0) return mw_err_set(err, rc, "fs write", f->subject, NULL);
    fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_NONBLOCK); /* as programs expect it */
    return f->fd;
}

const char *mw_file_subject(const mw_file *f) {
    return f->subject;
}
