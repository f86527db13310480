/* Shared memory: bytes that several processes have at once.
 * Knows: base, core/host, policy, share/holdings. Never: Lua, what the bytes mean.
 *
 * Three kinds, which differ in who else can name them: an anonymous memory file, sealed, so that nobody can change its size; a POSIX
 * name (right `share`); a file (rights `read` and `write`). Of the last two another process may cut off the end: an access to what is no
 * longer there would end the process (SIGBUS). Where the program has a handler for that (mw_share_catch), the memory is then lost:
 * zeros, and an error from the next call on. Where it has none, such memory is `careful`: bytes go through pread(2) and pwrite(2), and
 * there are no atomics. */
#ifndef MW_SHARE_MEMORY_H
#define MW_SHARE_MEMORY_H

#include "core/host.h"
#include "share/holdings.h"

typedef struct mw_memory mw_memory;

/* Open to be looked at, so that reading a number is no call. The loop thread's own. */
struct mw_memory {
    unsigned char *at;           /* NULL: closed */
    size_t size;                 /* 0 when closed: every range is out of it */
    unsigned char readonly, careful, sealed;
    struct mw_fault *fault;      /* NULL: cannot be lost */
    int fd;
    char *name, *path;           /* what it was made or opened by; or NULL */
    struct mw_holdings *held;
    struct mw_handle handle;
};

struct mw_memory_wish {
    const char *name, *path;     /* at most one; none: anonymous */
    uint64_t size;               /* bytes; to create */
    int exclusive;               /* 1: -EEXIST when there is one; 0: one that is there is taken, made longer when it is shorter */
    int readonly;                /* to open */
};
#define MW_MEMORY_NAME 254u      /* bytes of a name */

/* Makes one. Returns 0 or a code: MW_EDENIED, -EEXIST, MW_ELIMIT, -ENOSPC, ... *out: given, end it with mw_memory_free. */
int mw_memory_create(mw_host *h, const struct mw_memory_wish *w, mw_memory **out, struct mw_err *err);
/* Opens one by name or path, as large as it is. */
int mw_memory_open(mw_host *h, const struct mw_memory_wish *w, mw_memory **out, struct mw_err *err);
/* Makes one of a descriptor (taken, also on failure) that came from elsewhere. MW_EINVAL: it is no memory. `size`: what it is said to
 * hold; 0: it came from a stranger, and must be of the kernel's own memory: any other file's server could make us wait for ever.
 * `readonly`: it is not to be written here. */
int mw_memory_adopt(mw_host *h, int fd, uint64_t size, int readonly, mw_memory **out, struct mw_err *err);
/* 1: a file's, which strangers do not take. */
int mw_memory_of_file(const mw_memory *m);
/* A descriptor for somebody else (given, close-on-exec), or a code. */
int mw_memory_lend(const mw_memory *m, struct mw_err *err);

void mw_memory_close(mw_memory *m);              /* unmaps; idempotent */
void mw_memory_free(mw_memory *m);               /* NULL is fine */

/* Takes the name away; who has the memory keeps it. -ESTALE: something else goes by that name now. */
int mw_memory_unlink(mw_memory *m, mw_host *h, struct mw_err *err);
/* Of a POSIX name. */
int mw_memory_unlink_name(mw_host *h, const char *name, struct mw_err *err);

/* The range lies in it: mw_memory_holds(m, at, len). No overflow whatever comes. */
static inline int mw_memory_holds(const mw_memory *m, int64_t at, uint64_t len) {
    return at >= 0 && len <= m->size && (uint64_t)at <= m->size - len;
}
/* 1 when an access has found that it is no longer there. */
static inline int mw_memory_lost(const mw_memory *m) {
    return m->fault != NULL && atomic_load_explicit(&m->fault->lost, memory_order_relaxed) != 0;
}
/* The error of it. */
int mw_memory_lost_err(const mw_memory *m, const char *op, struct mw_err *err);

/* Bytes in and out of a range that it holds. 0, or -EIO: it is lost, or what was read is not to be used. */
int mw_memory_read(const mw_memory *m, size_t at, void *out, size_t len, struct mw_err *err);
int mw_memory_write(mw_memory *m, size_t at, const void *data, size_t len, struct mw_err *err);
int mw_memory_fill(mw_memory *m, size_t at, size_t len, unsigned char byte, struct mw_err *err);
int mw_memory_copy(mw_memory *m, size_t to, size_t from, size_t len, struct mw_err *err);

/* Its name for errors: the path, the name, or "". Lent. */
const char *mw_memory_subject(const mw_memory *m);

#endif
