/* A page that a worker process shares with its parent: its making, taking tasks back, looking at answers.
 * Knows: base, POSIX. Never: a task, a stream. */
#include "pool/page.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef MFD_ALLOW_SEALING
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) /* nobody can cut it short under us */
#endif

_Static_assert(sizeof(struct mw_pool_page) == MW_POOL_PAGE_SIZE, "the page is as large as it says");

static int map(int fd, struct mw_pool_page **out, struct mw_err *err) {
    void *at = mmap(NULL, MW_POOL_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED) return mw_err_sys(err, "pool", "the page of a worker");
    *out = at;
    return 0;
}

int mw_pool_page_make(int *fd, struct mw_pool_page **out, struct mw_err *err) {
#ifdef SEALS
    int rc = 0;

    *fd = memfd_create("moonwire-pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0) return mw_err_sys(err, "pool", "the page of a worker");
    if (ftruncate(*fd, MW_POOL_PAGE_SIZE) < 0 || fcntl(*fd, F_ADD_SEALS, SEALS) < 0)
        rc = mw_err_sys(err, "pool", "the page of a worker");
    if (rc == 0) rc = map(*fd, out, err);
    if (rc == 0) return 0;
    close(*fd);
    *fd = -1;
    return rc;
#else
    *fd = -1;
    (void)out;
    return mw_err_set(err, -ENOSYS, "pool", NULL,
                      "pools of scripts need sealed memory files, which this system has not");
#endif
}

int mw_pool_page_map(int fd, struct mw_pool_page **out, struct mw_err *err) {
    struct stat st;
    int rc;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != MW_POOL_PAGE_SIZE)
        rc = mw_err_set(err, MW_EINVAL, "serve", "parent", "what the parent sent is no page of a pool");
    else
        rc = map(fd, out, err);
    close(fd);
    return rc;
}

void mw_pool_page_free(struct mw_pool_page *p) {
    if (p != NULL) munmap(p, MW_POOL_PAGE_SIZE);
}

uint32_t mw_pool_mark_revoke(struct mw_pool_mark *p, uint32_t *epoch) {
    uint64_t was = atomic_fetch_add(&p->claim, UINT64_C(1) << 32); /* no loop: the other side may write what it likes */

    *epoch = (uint32_t)(was >> 32) + 1;
    return (uint32_t)was;
}

size_t mw_pool_page_peek(const struct mw_pool_page *p, char *at) {
    uint64_t claim = atomic_load(&p->mark.claim);
    uint32_t sent = atomic_load(&p->sent), held = atomic_load(&p->held);

    if (held == 0 || held > MW_POOL_PAGE_HELD) return 0;
    memcpy(at, p->answers, held);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&p->mark.claim) != claim || atomic_load(&p->sent) != sent || atomic_load(&p->held) < held) return 0;
    return held;
}

int mw_pool_gauge_open(void) {
    return open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

uint64_t mw_pool_gauge_read(int gauge) {
    long pages, resident;
    char text[128];
    ssize_t n = gauge >= 0 ? pread(gauge, text, sizeof text - 1, 0) : -1;

    if (n <= 0) return 0;
    text[n] = '\0';
    return sscanf(text, "%ld %ld", &pages, &resident) == 2 && resident > 0
               ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE)
               : 0;
}

void mw_pool_fd_close(int fd) {
    if (fd >= 0) close(fd);
}
