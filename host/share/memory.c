/* Shared memory: made, opened, mapped, handed on and closed.
 * Knows: share/holdings, policy/permit, memfd, shm_open, mmap. Never: trusts a size that it has not looked up itself.
 * (Bytes in and out: memory_bytes.c.) */
#include "share/memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "policy/permit.h"
#include "share/futex.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u       /* Linux 6.3: it is no program either */
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define MODE 0600

const char *mw_memory_subject(const mw_memory *m) {
    return m->path != NULL ? m->path : m->name != NULL ? m->name : "";
}

static void on_teardown(struct mw_handle *it) {
    mw_memory_close(MW_LIST_ENTRY(it, mw_memory, handle));
}

void mw_memory_close(mw_memory *m) {
    size_t size = m->size;

    mw_host_disown(&m->handle);
    if (m->fd < 0) return;
    if (m->held->futexes != NULL && m->at != NULL) mw_futexes_forget(m->held->futexes, m->at, size);
    if (m->fault != NULL) mw_faults_remove(m->held->faults, m->fault); /* when no helper looks at it any more */
    m->fault = NULL;
    m->size = 0;
    if (m->at != NULL) munmap(m->at, size);
    m->at = NULL;
    close(m->fd);
    m->fd = -1;
    mw_holdings_give(m->held, size);
    mw_holdings_drop(m->held);
    m->held = NULL;
}

void mw_memory_free(mw_memory *m) {
    if (m == NULL) return;
    mw_memory_close(m);
    free(m->name);
    free(m->path);
    free(m);
}

/* ---- Mapping ---------------------------------------------------------------------------------------------------------------- */

/* An empty one that counts `size` bytes and owns `fd`. */
static int begin(mw_host *h, int fd, const struct mw_memory_wish *w, uint64_t size, const char *op, const char *subject, mw_memory **out,
                 struct mw_err *err) {
    mw_memory *m = calloc(1, sizeof *m);
    int rc = m != NULL ? mw_host_room(h, op, subject, err) : mw_err_set(err, MW_ENOMEM, op, subject, NULL);

    if (rc == 0 && w->name != NULL && (m->name = strdup(w->name)) == NULL) rc = mw_err_set(err, MW_ENOMEM, op, subject, NULL);
    if (rc == 0 && w->path != NULL && (m->path = strdup(w->path)) == NULL) rc = mw_err_set(err, MW_ENOMEM, op, subject, NULL);
    if (rc == 0 && (m->held = mw_holdings_of(h, op, err)) == NULL) rc = err != NULL ? err->code : MW_ENOMEM;
    if (rc == 0 && (rc = mw_holdings_take(m->held, size, op, subject, err)) < 0) mw_holdings_drop(m->held);
    if (rc < 0) {
        if (m != NULL) free(m->name), free(m->path);
        free(m);
        close(fd);
        return rc;
    }
    m->fd = fd;
    m->size = (size_t)size;
    m->readonly = (unsigned char)w->readonly;
    mw_host_adopt(h, &m->handle, on_teardown);
    *out = m;
    return 0;
}

/* Nobody can cut it off, and no page of it can be missing: huge pages can run out, whatever the seals. */
static int is_whole(int fd, int seals) {
    struct statfs fs;

    return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* Takes `fd`, of which `size` bytes are there. */
static int map(mw_host *h, int fd, const struct mw_memory_wish *w, uint64_t size, const char *op, const char *subject, mw_memory **out,
               struct mw_err *err) {
    mw_memory *m = NULL;
    int rc = begin(h, fd, w, size, op, subject, &m, err), seals;

    if (rc < 0) return rc;
    seals = fcntl(fd, F_GET_SEALS);
    m->sealed = (unsigned char)is_whole(fd, seals);
    m->careful = !m->sealed && m->held->faults == NULL;
    if (seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0) m->readonly = 1;
    m->at = mmap(NULL, m->size, m->readonly ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m->at == MAP_FAILED) {
        m->at = NULL;
        rc = mw_err_sys(err, op, subject);
    } else if (!m->sealed && !m->careful && (m->fault = mw_faults_add(m->held->faults, m->at, m->size)) == NULL) {
        rc = mw_err_set(err, MW_ENOMEM, op, subject, NULL);
    }
    if (rc < 0) mw_memory_free(m);
    else *out = m;
    return rc;
}

/* What `fd` is, and its size, if it can be a memory at all. */
static int measure(int fd, const char *op, const char *subject, struct stat *st, uint64_t *size, struct mw_err *err) {
    if (fstat(fd, st) < 0) return mw_err_sys(err, op, subject);
    if (!S_ISREG(st->st_mode)) return mw_err_set(err, -ENXIO, op, subject, "neither a file nor a memory");
    *size = (uint64_t)st->st_size;
    return 0;
}

/* Room for all of it now: a full disk is an error here, and no fault at some later access. */
static int reserve(int fd, uint64_t size, const char *op, const char *subject, struct mw_err *err) {
    int rc;

    do {
        rc = fallocate(fd, 0, 0, (off_t)size);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno != EOPNOTSUPP && errno != ENOSYS) return mw_err_sys(err, op, subject);
    if (rc < 0 && ftruncate(fd, (off_t)size) < 0) return mw_err_sys(err, op, subject);
    return 0;
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------------- */

static int anonymous(const struct mw_memory_wish *w, int *fd, struct mw_err *err) {
    int it = memfd_create("moonwire-shm", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL), rc = 0;

    if (it < 0 && errno == EINVAL) it = memfd_create("moonwire-shm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (it < 0) return mw_err_sys(err, "shm create", NULL);
    if (ftruncate(it, (off_t)w->size) < 0 || fcntl(it, F_ADD_SEALS, SEALS) < 0) rc = mw_err_sys(err, "shm create", NULL);
    if (rc < 0) close(it);
    else *fd = it;
    return rc;
}

/* Never waits (somebody may have put a FIFO there), and follows no link (glibc's shm_open neither). */
static int by_name(mw_host *h, const char *name, int flags, const char *op, int *fd, struct mw_err *err) {
    char full[MW_MEMORY_NAME + 2] = "/";
    int rc = mw_permit_text(mw_host_policy(h), MW_SHARE, name, op, err);

    if (rc < 0) return rc;
    strncat(full, name[0] == '/' ? name + 1 : name, MW_MEMORY_NAME);
    *fd = shm_open(full, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, MODE);
    return *fd < 0 ? mw_err_sys(err, op, name) : 0;
}

/* ---- Names ---------------------------------------------------------------------------------------------------------------------- */

static int same(const struct stat *ours, const struct stat *there) {
    return ours->st_dev == there->st_dev && ours->st_ino == there->st_ino;
}

static int unlink_path(mw_host *h, const char *path, const struct stat *ours, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    struct stat st;
    int rc = mw_permit_path(mw_host_policy(h), 1u << MW_WRITE, path, MW_AT_NAME, "shm unlink", &at, err);

    if (rc == 0 && fstatat(at.fd, at.leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) rc = mw_err_sys(err, "shm unlink", path);
    if (rc == 0 && !same(ours, &st)) rc = mw_err_set(err, -ESTALE, "shm unlink", path, "another file goes by that name now");
    if (rc == 0 && unlinkat(at.fd, at.leaf, 0) < 0) rc = mw_err_sys(err, "shm unlink", path);
    mw_place_close(&at);
    return rc;
}

int mw_memory_unlink_name(mw_host *h, const char *name, struct mw_err *err) {
    char full[MW_MEMORY_NAME + 2] = "/";
    int rc = mw_permit_text(mw_host_policy(h), MW_SHARE, name, "shm unlink", err);

    if (rc < 0) return rc;
    strncat(full, name[0] == '/' ? name + 1 : name, MW_MEMORY_NAME);
    return shm_unlink(full) < 0 ? mw_err_sys(err, "shm unlink", name) : 0;
}

static int unlink_named(mw_host *h, const char *name, const struct stat *ours, struct mw_err *err) {
    struct stat st;
    int fd = -1, rc = by_name(h, name, O_RDONLY, "shm unlink", &fd, err);

    if (rc < 0) return rc;
    rc = fstat(fd, &st) < 0 ? mw_err_sys(err, "shm unlink", name) : 0;
    if (rc == 0 && !same(ours, &st)) rc = mw_err_set(err, -ESTALE, "shm unlink", name, "another memory goes by that name now");
    close(fd);
    return rc < 0 ? rc : mw_memory_unlink_name(h, name, err);
}

int mw_memory_unlink(mw_memory *m, mw_host *h, struct mw_err *err) {
    struct stat ours;

    if (m->fd < 0) return mw_err_set(err, MW_ECLOSED, "shm unlink", mw_memory_subject(m), NULL);
    if (m->path == NULL && m->name == NULL) return mw_err_set(err, MW_EINVAL, "shm unlink", NULL, "this memory has no name");
    if (fstat(m->fd, &ours) < 0) return mw_err_sys(err, "shm unlink", mw_memory_subject(m));
    return m->path != NULL ? unlink_path(h, m->path, &ours, err) : unlink_named(h, m->name, &ours, err);
}

/* ---- Making and opening ------------------------------------------------------------------------------------------------------- */

static int exists(struct mw_err *err, const struct mw_memory_wish *w) {
    const char *how = w->name != NULL ? "name" : "path";
    return mw_err_hint(err, "open it with mw.shm.open{ %s = ... }, or say exclusive = false", how);
}

/* What could not be made whole goes again: another try would find it there. Nobody is asked again for the right to. */
static void take_back(mw_host *h, const struct mw_memory_wish *w, const struct stat *ours) {
    const mw_policy *p = mw_host_policy(h);

    if (!w->exclusive || ours->st_ino == 0) return;
    if (w->path != NULL && mw_policy_query(p, MW_WRITE, w->path) == MW_GRANTED) unlink_path(h, w->path, ours, NULL);
    if (w->path == NULL && mw_policy_query(p, MW_SHARE, w->name) == MW_GRANTED) unlink_named(h, w->name, ours, NULL);
}

int mw_memory_create(mw_host *h, const struct mw_memory_wish *w, mw_memory **out, struct mw_err *err) {
    const char *op = "shm create", *subject = w->path != NULL ? w->path : w->name;
    int flags = O_RDWR | O_CREAT | (w->exclusive ? O_EXCL : 0), fd = -1, rc;
    struct stat made = { .st_ino = 0 };
    uint64_t there = 0;

    if (w->path != NULL) rc = mw_permit_open(mw_host_policy(h), w->path, flags, MODE, 1, op, &fd, err);
    else if (w->name != NULL) rc = by_name(h, w->name, flags, op, &fd, err);
    else rc = w->size > mw_host_limits(h)->shared ? 0 : anonymous(w, &fd, err);
    if (rc == -EEXIST) return exists(err, w);
    if (rc == 0 && subject != NULL) rc = measure(fd, op, subject, &made, &there, err);
    if (rc == 0 && subject != NULL && there < w->size && w->size <= mw_host_limits(h)->shared / 4) rc = reserve(fd, w->size, op, subject, err);
    if (rc < 0 && fd >= 0) close(fd);
    if (rc == 0) rc = map(h, fd, w, w->size, op, subject, out, err);
    if (rc < 0 && subject != NULL) take_back(h, w, &made);
    return rc;
}

int mw_memory_open(mw_host *h, const struct mw_memory_wish *w, mw_memory **out, struct mw_err *err) {
    const char *op = "shm open", *subject = w->path != NULL ? w->path : w->name;
    int flags = w->readonly ? O_RDONLY : O_RDWR, fd = -1, rc;
    struct stat st;
    uint64_t size = 0;

    rc = w->path != NULL ? mw_permit_open(mw_host_policy(h), w->path, flags, 0, 1, op, &fd, err) : by_name(h, w->name, flags, op, &fd, err);
    if (rc == 0) rc = measure(fd, op, subject, &st, &size, err);
    if (rc == 0 && size == 0) rc = mw_err_set(err, -ENODATA, op, subject, "it is empty");
    if (rc < 0) {
        if (fd >= 0) close(fd);
        return rc;
    }
    return map(h, fd, w, size, op, subject, out, err);
}

int mw_memory_adopt(mw_host *h, int fd, uint64_t size, int readonly, mw_memory **out, struct mw_err *err) {
    struct mw_memory_wish w = { 0 };
    int flags = fcntl(fd, F_GETFL), rc;
    struct stat st;
    uint64_t there = 0;

    rc = flags < 0 ? mw_err_sys(err, "shm", "handle") : 0;
    if (rc == 0 && size == 0 && fcntl(fd, F_GET_SEALS) < 0) rc = mw_err_set(err, MW_EINVAL, "shm", "handle", "it is not of the kernel's memory");
    if (rc == 0) rc = measure(fd, "shm", "handle", &st, &there, err);
    if (rc == -ENXIO) rc = mw_err_set(err, MW_EINVAL, "shm", "handle", "it is no memory");
    if (rc == 0 && ((flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) != 0)) rc = mw_err_set(err, MW_EINVAL, "shm", "handle", "it cannot be read");
    if (rc == 0 && (there == 0 || there < size)) rc = mw_err_set(err, MW_EINVAL, "shm", "handle", "it is shorter than it should be");
    if (rc < 0) {
        close(fd);
        return rc;
    }
    w.readonly = readonly || (flags & O_ACCMODE) == O_RDONLY;
    return map(h, fd, &w, size != 0 ? size : there, "shm", "handle", out, err);
}

int mw_memory_of_file(const mw_memory *m) {
    return m->fd >= 0 && fcntl(m->fd, F_GET_SEALS) < 0;
}

int mw_memory_lend(const mw_memory *m, struct mw_err *err) {
    int fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? mw_err_sys(err, "shm", mw_memory_subject(m)) : fd;
}

