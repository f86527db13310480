/* Whole files and listings by name: see file_op.h. What removes and makes directories is in file_tree.c.
 * Knows: base, core/host, core/work, policy/permit. Never: Lua values; a name twice. */
#include "io/file_op.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define STEP 65536u                  /* bytes that one read asks for at least */
#define STEP_MAX (1u << 20)

/* ---- The job ------------------------------------------------------------------------------------------------------------ */

static void op_run(struct mw_work *work) {
    struct mw_file_op *op = (struct mw_file_op *)work;

    op->ran = 1;
    op->rc = op->step(op);
}

static void op_free(struct mw_work *work) {
    struct mw_file_op *op = (struct mw_file_op *)work;

    if (op->must && !op->ran) op_run(work);
    if (op->fd >= 0) close(op->fd);
    mw_place_close(&op->at);
    mw_bytes_free(&op->bytes);
    free(op->entries);
    free(op->pinned);
    free(op->path);
    free(op);
}

static struct mw_file_op *op_new(const char *path, int (*step)(struct mw_file_op *), const char *name, struct mw_err *err) {
    struct mw_file_op *op = calloc(1, sizeof *op);

    if (op != NULL) {
        op->fd = op->at.fd = -1;
        op->work.run = op_run;
        op->work.free = op_free;
        op->step = step;
        op->path = strdup(path);
        if (op->path != NULL) return op;
    }
    free(op);
    mw_err_set(err, MW_ENOMEM, name, path, NULL);
    return NULL;
}

/* Gives `op` when rc is 0, else ends it. */
static int op_give(struct mw_file_op *op, int rc, struct mw_file_op **out) {
    if (rc < 0) op_free(&op->work);
    else *out = op;
    return rc;
}

/* ---- Reading a whole file ----------------------------------------------------------------------------------------------- */

static int read_step(struct mw_file_op *op) {
    size_t want = STEP;

    for (;;) {
        size_t held = mw_bytes_len(&op->bytes), room = op->max - held + 1; /* one more byte tells "too large" */
        char *at;
        ssize_t n;

        if (held > op->max) {
            mw_err_setf(&op->err, MW_ELIMIT, "fs read", op->path, "larger than %zu bytes", op->max);
            return mw_err_hint(&op->err, "raise it with { max = ... }");
        }
        if (want > room) want = room;
        at = mw_bytes_reserve(&op->bytes, want, NULL);
        if (at == NULL) return mw_err_set(&op->err, MW_ENOMEM, "fs read", op->path, NULL);
        n = read(op->fd, at, want);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mw_err_sys(&op->err, "fs read", op->path);
        if (n == 0) return 0;
        mw_bytes_commit(&op->bytes, (size_t)n);
        if (want < STEP_MAX) want *= 2;
    }
}

/* A small file that the page cache holds is read at once. */
static void read_cached(struct mw_file_op *op, size_t size) {
    struct iovec part;
    ssize_t n;

    if (size == 0 || size > STEP || size > op->max) return;
    part.iov_len = size + 1; /* one more would say that it grew */
    part.iov_base = mw_bytes_reserve(&op->bytes, part.iov_len, NULL);
    if (part.iov_base == NULL) return;
    n = preadv2(op->fd, &part, 1, 0, RWF_NOWAIT);
    if (n != (ssize_t)size) return; /* the job reads it all again */
    mw_bytes_commit(&op->bytes, size);
    op->ready = 1;
}

int mw_file_op_read(mw_host *h, const char *path, size_t max, struct mw_file_op **out, struct mw_err *err) {
    struct mw_file_op *op;
    struct stat st;
    int fd = -1, rc = mw_permit_open(mw_host_policy(h), path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, 1, "fs read", &fd, err);

    if (rc < 0) return rc;
    op = op_new(path, read_step, "fs read", err);
    if (op == NULL) { close(fd); return MW_ENOMEM; }
    op->fd = fd;
    op->max = max;
    if (fstat(fd, &st) < 0) rc = mw_err_sys(err, "fs read", path);
    else if (S_ISDIR(st.st_mode)) rc = mw_err_set(err, -EISDIR, "fs read", path, NULL);
    else if (!S_ISREG(st.st_mode) && !(S_ISCHR(st.st_mode) && major(st.st_rdev) == 1))
        rc = mw_err_set(err, -EOPNOTSUPP, "fs read", path, "neither a regular file nor a harmless device");
    else if (S_ISREG(st.st_mode))
        read_cached(op, (size_t)st.st_size);
    return op_give(op, rc, out);
}

/* ---- Writing a whole file ----------------------------------------------------------------------------------------------- */

#define TEMP_NAME 32

static int temp_name(char *out) {
    unsigned char salt[8];

    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt) return -EIO;
    snprintf(out, TEMP_NAME, ".mw-%02x%02x%02x%02x%02x%02x%02x%02x", salt[0], salt[1], salt[2], salt[3], salt[4], salt[5],
             salt[6], salt[7]);
    return 0;
}

static int put_all(int fd, const char *at, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? -errno : -EIO;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Fills a fresh file: its mode and owner as the old one's, the bytes, the disk. */
static int fill(const struct mw_file_op *op, int fd, const struct stat *old) {
    int rc;

    if (old != NULL) {
        if (fchown(fd, old->st_uid, old->st_gid) < 0 && errno != EPERM) return -errno; /* only root may give files away */
        if (fchmod(fd, old->st_mode & 0777) < 0) return -errno;
    } else if (op->mode >= 0 && fchmod(fd, (mode_t)op->mode) < 0) {
        return -errno;
    }
    rc = mw_bytes_len(&op->bytes) == 0 ? 0 : put_all(fd, mw_bytes_at(&op->bytes), mw_bytes_len(&op->bytes));
    if (rc == 0 && op->sync && fsync(fd) < 0) rc = -errno;
    return rc;
}

/* A file without a name until it is whole: killed half-way, it leaves nothing. Gives the name `temp` to it.
 * -EOPNOTSUPP: this file system, or this place, has no such thing. */
static int fresh_unnamed(const struct mw_file_op *op, const struct stat *old, const char *temp) {
    char self[48];
    int fd = openat(op->at.fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666), rc;

    if (fd < 0) return errno == EMFILE || errno == ENFILE || errno == ENOSPC || errno == EACCES ? -errno : -EOPNOTSUPP;
    rc = fill(op, fd, old);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (rc == 0 && linkat(AT_FDCWD, self, op->at.fd, temp, AT_SYMLINK_FOLLOW) < 0) rc = errno == ENOSPC ? -ENOSPC : -EOPNOTSUPP;
    if (close(fd) < 0 && rc == 0 && errno != EINTR) {
        rc = -errno;
        unlinkat(op->at.fd, temp, 0);
    }
    return rc;
}

static int fresh_named(const struct mw_file_op *op, const struct stat *old, const char *temp) {
    int fd = openat(op->at.fd, temp, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0666), rc;

    if (fd < 0) return -errno;
    rc = fill(op, fd, old);
    if (close(fd) < 0 && rc == 0 && errno != EINTR) rc = -errno;
    if (rc < 0) unlinkat(op->at.fd, temp, 0);
    return rc;
}

static int sync_dir(int dir) {
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (fd < 0) return -errno;
    if (fsync(fd) < 0 && errno != EINVAL) rc = -errno;
    close(fd);
    return rc;
}

static int write_step(struct mw_file_op *op) {
    struct stat st, *old = NULL;
    char temp[TEMP_NAME];
    int rc;

    if (fstatat(op->at.fd, op->at.leaf, &st, AT_SYMLINK_NOFOLLOW) == 0) old = &st;
    else if (errno != ENOENT) return mw_err_sys(&op->err, "fs write", op->path);
    if (old != NULL && S_ISDIR(st.st_mode)) return mw_err_set(&op->err, -EISDIR, "fs write", op->path, NULL);
    if (old != NULL && !S_ISREG(st.st_mode)) {
        mw_err_set(&op->err, -EOPNOTSUPP, "fs write", op->path, "not a regular file");
        return mw_err_hint(&op->err, "write replaces a file whole; use mw.fs.open");
    }
    rc = temp_name(temp);
    if (rc == 0) rc = fresh_unnamed(op, old, temp);
    if (rc == -EOPNOTSUPP) rc = fresh_named(op, old, temp);
    if (rc == 0 && renameat(op->at.fd, temp, op->at.fd, op->at.leaf) < 0) {
        rc = -errno;
        unlinkat(op->at.fd, temp, 0);
    }
    if (rc == 0 && op->sync) rc = sync_dir(op->at.fd);
    return rc < 0 ? mw_err_set(&op->err, rc, "fs write", op->path, NULL) : 0;
}

int mw_file_op_write(mw_host *h, const char *path, const char *data, size_t len, int mode, int sync, struct mw_file_op **out, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    int rc = mw_permit_path(mw_host_policy(h), 1u << MW_WRITE, path, MW_AT_CREATE, "fs write", &at, err);
    struct mw_file_op *op;

    if (rc < 0) return rc;
    if (at.leaf[0] == '\0' || path[strlen(path) - 1] == '/') { /* what is there and no directory was refused before */
        mw_place_close(&at);
        return mw_err_set(err, -EISDIR, "fs write", path, NULL);
    }
    op = op_new(path, write_step, "fs write", err);
    if (op == NULL) { mw_place_close(&at); return MW_ENOMEM; }
    op->at = at;
    op->mode = mode;
    op->sync = sync;
    if (mw_bytes_add(&op->bytes, data, len) < 0) rc = mw_err_set(err, MW_ENOMEM, "fs write", path, NULL);
    return op_give(op, rc, out);
}

/* ---- Listing ------------------------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b, void *names) {
    const struct mw_file_entry *x = a, *y = b;

    return strcmp((const char *)names + x->name, (const char *)names + y->name);
}

static int add_entry(struct mw_file_op *op, size_t *room, const struct dirent *it) {
    if (op->count == *room) {
        size_t more = *room ? *room * 2 : 64;
        struct mw_file_entry *grown = realloc(op->entries, more * sizeof *grown);

        if (grown == NULL) return mw_err_set(&op->err, MW_ENOMEM, "fs list", op->path, NULL);
        op->entries = grown;
        *room = more;
    }
    op->entries[op->count].name = (unsigned)mw_bytes_len(&op->bytes);
    op->entries[op->count].type = it->d_type;
    if (mw_bytes_add(&op->bytes, it->d_name, strlen(it->d_name) + 1) < 0)
        return mw_err_set(&op->err, MW_ENOMEM, "fs list", op->path, NULL);
    op->count++;
    return 0;
}

/* File systems that do not tell types in readdir(3) are asked for each. */
static void fill_types(struct mw_file_op *op, int dir) {
    struct stat st;

    for (size_t i = 0; i < op->count; i++) {
        if (op->entries[i].type != DT_UNKNOWN) continue;
        if (fstatat(dir, mw_bytes_at(&op->bytes) + op->entries[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            op->entries[i].type = (unsigned char)IFTODT(st.st_mode);
    }
}

static int list_step(struct mw_file_op *op) {
    DIR *dir = fdopendir(op->fd);
    size_t room = 0;
    int rc = 0;

    if (dir == NULL) return mw_err_sys(&op->err, "fs list", op->path);
    op->fd = -1; /* dir has it */
    while (rc == 0) {
        struct dirent *it;

        errno = 0;
        it = readdir(dir);
        if (it == NULL && errno != 0) rc = mw_err_sys(&op->err, "fs list", op->path);
        if (it == NULL) break;
        if (strcmp(it->d_name, ".") == 0 || strcmp(it->d_name, "..") == 0) continue;
        if (op->count == MW_LIST_MAX) rc = mw_err_setf(&op->err, MW_ELIMIT, "fs list", op->path, "more than %u entries", MW_LIST_MAX);
        else rc = add_entry(op, &room, it);
    }
    if (rc == 0) fill_types(op, dirfd(dir));
    closedir(dir);
    if (rc == 0 && op->count > 1) qsort_r(op->entries, op->count, sizeof *op->entries, by_name, (void *)mw_bytes_at(&op->bytes));
    return rc;
}

int mw_file_op_list(mw_host *h, const char *path, struct mw_file_op **out, struct mw_err *err) {
    struct mw_file_op *op;
    int fd = -1;
    int rc = mw_permit_open(mw_host_policy(h), path, O_RDONLY | O_DIRECTORY, 0, 0, "fs list", &fd, err);

    if (rc < 0) return rc;
    op = op_new(path, list_step, "fs list", err);
    if (op == NULL) { close(fd); return MW_ENOMEM; }
    op->fd = fd;
    return op_give(op, 0, out);
}

/* ---- Removing ----------------------------------------------------------------------------------------------------------- */

/* What the rules deny somewhere may lie below a tree that they allow: those objects are never touched, whatever their name. */
struct denied {
    const char *tree;                /* its own path, links resolved */
    struct mw_file_pinned *list;
    size_t count;
    int rc, below;                   /* below: one of them is in the tree now */
};

static void add_denied(void *ud, int layer, enum mw_kind kind, enum mw_effect effect, const char *rule) {
    struct denied *d = ud;
    struct mw_file_pinned *grown;
    size_t len = strlen(d->tree);
    char own[PATH_MAX];
    struct stat st;

    (void)layer;
    if (kind != MW_WRITE || effect != MW_DENY || rule == NULL || d->rc < 0) return;
    if (stat(rule, &st) < 0) return; /* not there: nothing of it to remove */
    if (realpath(rule, own) != NULL && strncmp(own, d->tree, len) == 0 && (own[len] == '/' || own[len] == '\0')) d->below = 1;
    grown = realloc(d->list, (d->count + 1) * sizeof *grown);
    if (grown == NULL) { d->rc = MW_ENOMEM; return; }
    d->list = grown;
    grown[d->count].dev = st.st_dev;
    grown[d->count++].ino = st.st_ino;
}

/* A directory with something denied in it is refused whole, before anything is moved or gone. d->list is given, also on failure. */
static int check_below(mw_host *h, const struct mw_place *at, const char *path, const char *op, struct denied *d, struct mw_err *err) {
    char self[48], dir[PATH_MAX], *tree = NULL;
    ssize_t len;

    snprintf(self, sizeof self, "/proc/self/fd/%d", at->fd);
    len = readlink(self, dir, sizeof dir - 1);
    if (len < 0) return mw_err_sys(err, op, path);
    dir[len] = '\0';
    if (asprintf(&tree, "%s/%s", len == 1 ? "" : dir, at->leaf) < 0) return mw_err_set(err, MW_ENOMEM, op, path, NULL);
    d->tree = tree;
    mw_policy_each(mw_host_policy(h), add_denied, d);
    free(tree);
    if (d->rc < 0) return mw_err_set(err, d->rc, op, path, NULL);
    if (!d->below) return 0;
    mw_policy_refuse(mw_host_policy(h), "write", op, path, "denied: something below it must not be written", err);
    return mw_policy_grant_hint(mw_host_policy(h), MW_WRITE, path,
                                mw_policy_names_flags(mw_host_policy(h)) ? " and no --deny-write below it" : " and no denial below it", err);
}

int mw_file_op_remove_at(struct mw_place *at, const char *path, struct mw_file_op **out, struct mw_err *err) {
    struct mw_file_op *op = op_new(path, mw_file_remove_step, "fs remove", err);

    if (op == NULL) return MW_ENOMEM;
    op->at = *at;
    at->fd = -1;
    op->tree = 1;
    *out = op;
    return 0;
}

/* What is removed or renamed is a name in a directory: neither "." nor "..", nor what a link with a slash behind it leads to. out: the path
 * without slashes at its end; *slash: it had some, so the name must be a directory's. */
static int plain_name(const char *path, const char *op, char out[PATH_MAX], int *slash, struct mw_err *err) {
    size_t len = strlen(path);
    const char *last;

    while (len > 1 && path[len - 1] == '/') len--;
    if (len >= PATH_MAX) return mw_err_set(err, -ENAMETOOLONG, op, path, NULL);
    *slash = path[len] == '/';
    memcpy(out, path, len);
    out[len] = '\0';
    last = strrchr(out, '/') != NULL ? strrchr(out, '/') + 1 : out;
    if (strcmp(last, ".") != 0 && strcmp(last, "..") != 0) return 0;
    return mw_err_setf(err, -EBUSY, op, path, "%s names no directory's entry: give its own name", last);
}

int mw_file_op_remove(mw_host *h, const char *path, int tree, struct mw_file_op **out, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    struct mw_file_op *op;
    char name[PATH_MAX];
    int slash, rc = plain_name(path, "fs remove", name, &slash, err);

    if (rc < 0) return rc;
    rc = mw_permit_path(mw_host_policy(h), 1u << MW_WRITE, name, MW_AT_NAME, "fs remove", &at, err);
    if (rc < 0) return rc;
    rc = mw_file_op_remove_at(&at, path, &op, err);
    if (rc < 0) { mw_place_close(&at); return rc; }
    op->tree = tree;
    op->slash = slash;
    if (tree) {
        struct denied d = { NULL, NULL, 0, 0, 0 };

        rc = check_below(h, &op->at, path, "fs remove", &d, err);
        op->pinned = d.list;
        op->pinned_count = d.count;
    }
    return op_give(op, rc, out);
}

/* ---- Short calls -------------------------------------------------------------------------------------------------------- */

int mw_file_stat_name(mw_host *h, const char *path, int follow, struct stat *out, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    int rc = mw_permit_path(mw_host_policy(h), 1u << MW_READ, path, follow ? MW_AT_OBJECT : MW_AT_NAME, "fs stat", &at, err);

    if (rc < 0) return rc;
    if (fstatat(at.fd, at.leaf, out, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0) rc = mw_err_sys(err, "fs stat", path);
    mw_place_close(&at);
    return rc;
}

int mw_file_rename(mw_host *h, const char *from, const char *to, struct mw_err *err) {
    struct mw_place a = { .fd = -1 }, b = { .fd = -1 };
    char old[PATH_MAX], new[PATH_MAX];
    int was = 0, will = 0, rc = plain_name(from, "fs rename", old, &was, err);
    struct stat st;

    if (rc == 0) rc = plain_name(to, "fs rename", new, &will, err);
    if (rc == 0) rc = mw_permit_move(mw_host_policy(h), old, new, "fs rename", &a, &b, err);
    if (rc == 0 && (was || will) && fstatat(a.fd, a.leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
        rc = mw_err_set(err, -ENOTDIR, "fs rename", was ? from : to, NULL);
    if (rc == 0 && renameat(a.fd, a.leaf, b.fd, b.leaf) < 0) rc = mw_err_sys(err, "fs rename", errno == ENOENT ? from : to);
    mw_place_close(&a);
    mw_place_close(&b);
    return rc;
}
