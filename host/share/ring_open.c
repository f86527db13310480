/* A ring's life: made, mapped, handed over, taken in, closed.
 * Knows: share/ring_parts.h, memfd, mmap, sockets. Never: trusts a memory that is not sealed: it could be cut off. */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "share/ring_parts.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static const char magic[8] = { 'm', 'w', 'r', 'i', 'n', 'g', '1', '\n' };

/* ---- Life -------------------------------------------------------------------------------------------------------------------------------- */

static void on_teardown(struct mw_handle *it) {
    mw_ring_close(MW_LIST_ENTRY(it, mw_ring, handle));
}

static void unmap(mw_ring *r) {
    if (r->page != NULL) munmap(r->page, MW_RING_PAGE + 2 * (size_t)r->capacity);
    r->page = NULL;
    r->data = NULL;
}

/* Everything but the struct. */
static void let_go(mw_ring *r) {
    mw_host_disown(&r->handle);
    mw_host_forget_dusk(&r->dusk);
    mw_ring_unwatch_bell(r);
    if (r->memory_fd >= 0) close(r->memory_fd);
    if (r->bell >= 0) close(r->bell);
    if (r->their_bell >= 0) close(r->their_bell);
    r->memory_fd = r->bell = r->their_bell = -1;
    mw_list_remove(&r->waiting);
    unmap(r);
    mw_wait_wake(&r->readable);
    mw_wait_wake(&r->writable);
    if (r->held == NULL) return;
    mw_holdings_give(r->held, MW_RING_PAGE + r->capacity);
    mw_rings_close(r->held);
    mw_holdings_drop(r->held);
    r->held = NULL;
}

void mw_ring_close(mw_ring *r) {
    if (r->page == NULL) return;
    if (!r->broken && !r->pops && !r->finished) mw_ring_finish(r, NULL);
    if (r->page != NULL && r->pops) mw_ring_tell_head(r, 1);
    let_go(r);
}

void mw_ring_free(mw_ring *r) {
    if (r == NULL) return;
    if (r->page != NULL) mw_ring_close(r);
    free(r);
}

/* An empty one whose bytes are counted. */
static int begin(mw_host *h, uint64_t capacity, mw_ring **out, struct mw_err *err) {
    int rc = mw_host_room(h, "ring", NULL, err);
    mw_ring *r = NULL;

    if (rc < 0) return rc;
    if (posix_memalign((void **)&r, MW_RING_LINE, sizeof *r) != 0) return mw_err_set(err, MW_ENOMEM, "ring", NULL, NULL);
    memset(r, 0, sizeof *r);
    r->memory_fd = r->bell = r->their_bell = -1;
    r->capacity = capacity;
    r->mask = capacity - 1;
    mw_wait_init(&r->readable);
    mw_wait_init(&r->writable);
    mw_list_init(&r->waiting);
    r->held = mw_holdings_of(h, "ring", err);
    if (r->held == NULL) {
        free(r);
        return MW_ENOMEM;
    }
    rc = mw_holdings_take(r->held, MW_RING_PAGE + capacity, "ring", NULL, err);
    if (rc < 0) {
        mw_holdings_drop(r->held);
        free(r);
        return rc;
    }
    mw_rings_open(r->held);
    mw_host_adopt(h, &r->handle, on_teardown);
    *out = r;
    return 0;
}

/* The page, and behind it the records twice. */
static int map(mw_ring *r, struct mw_err *err) {
    size_t cap = (size_t)r->capacity, all = MW_RING_PAGE + 2 * cap;
    char *at = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const int both = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_FIXED;

    if (at == MAP_FAILED) return mw_err_sys(err, "ring", NULL);
    if (mmap(at, MW_RING_PAGE + cap, both, how, r->memory_fd, 0) == MAP_FAILED ||
        mmap(at + MW_RING_PAGE + cap, cap, both, how, r->memory_fd, MW_RING_PAGE) == MAP_FAILED) {
        int rc = mw_err_sys(err, "ring", NULL);
        munmap(at, all);
        return rc;
    }
    r->page = (struct mw_ring_page *)(void *)at;
    r->data = at + MW_RING_PAGE;
    return 0;
}

static int make_memory(mw_ring *r, struct mw_err *err) {
    int bells[2];

    r->memory_fd = memfd_create("moonwire-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (r->memory_fd < 0 && errno == EINVAL) r->memory_fd = memfd_create("moonwire-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (r->memory_fd < 0) return mw_err_sys(err, "ring", NULL);
    if (ftruncate(r->memory_fd, (off_t)(MW_RING_PAGE + r->capacity)) < 0 || fcntl(r->memory_fd, F_ADD_SEALS, SEALS) < 0) return mw_err_sys(err, "ring", NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, bells) < 0) return mw_err_sys(err, "ring", NULL);
    r->bell = bells[0];
    r->their_bell = bells[1];
    return 0;
}

int mw_ring_create(mw_host *h, uint64_t capacity, mw_ring **out, struct mw_err *err) {
    uint64_t cap = MW_RING_MIN;
    mw_ring *r;
    int rc;

    while (cap < capacity && cap < UINT64_MAX / 4) cap *= 2;
    rc = begin(h, cap, &r, err);
    if (rc < 0) return rc;
    rc = make_memory(r, err);
    if (rc == 0) rc = map(r, err);
    if (rc < 0) {
        let_go(r);
        free(r);
        return rc;
    }
    memcpy(r->page->magic, magic, sizeof magic);
    r->page->capacity = cap;
    r->side = MW_RING_FIRST;
    mw_ring_start(r);
    *out = r;
    return 0;
}

/* ---- Handing over ------------------------------------------------------------------------------------------------------------------------ */

static int refuse(struct mw_err *err, const char *why) {
    return mw_err_set(err, MW_EINVAL, "ring", NULL, why);
}

/* The other side goes: who does what is settled as far as it is. */
static void settle(mw_ring *r) {
    if (r->pushes) {
        atomic_store(&r->page->pusher, r->side);
        atomic_store(&r->page->popper, MW_RING_FIRST + MW_RING_SECOND - r->side);
    } else if (r->pops) {
        atomic_store(&r->page->popper, r->side);
        atomic_store(&r->page->pusher, MW_RING_FIRST + MW_RING_SECOND - r->side);
    }
    mw_ring_tell_tail(r);
    mw_ring_tell_head(r, 0);
    r->remote = 1;
}

int mw_ring_hand(mw_ring *r, int fds[2], unsigned *side, uint64_t *capacity, struct mw_err *err) {
    int rc = 0;

    if (r->page == NULL) return refuse(err, "it is closed");
    if (r->broken) return refuse(err, "it is broken");
    if (!r->remote && r->pushes && r->pops) return refuse(err, "both of its sides are used here");
    if (r->remote && (!mw_wait_empty(&r->readable) || !mw_wait_empty(&r->writable))) return refuse(err, "a task waits for it");
    fds[0] = fcntl(r->memory_fd, F_DUPFD_CLOEXEC, 3);
    if (fds[0] < 0) return mw_err_sys(err, "ring", NULL);
    *capacity = r->capacity;
    if (!r->remote) {
        rc = mw_ring_watch_bell(r, err);
        if (rc < 0) {
            close(fds[0]);
            return rc;
        }
        settle(r);
        fds[1] = r->their_bell;
        r->their_bell = -1;
        *side = MW_RING_FIRST + MW_RING_SECOND - r->side;
        return 0;
    }
    *side = r->side;
    if (r->pushes) mw_ring_tell_tail(r);
    if (r->pops) mw_ring_tell_head(r, 1);
    mw_ring_unwatch_bell(r);
    fds[1] = r->bell;
    r->bell = -1;
    let_go(r);
    return 0;
}

void mw_ring_hand_back(mw_ring *r, int fds[2], unsigned side) {
    close(fds[0]);
    if (r->page == NULL || side == r->side) {       /* our own side went: it is gone, and the other side sees that */
        close(fds[1]);
        return;
    }
    mw_ring_unwatch_bell(r);
    r->their_bell = fds[1];
    r->remote = 0;
}

static int check_memory(int fd, uint64_t *capacity) {
    int seals = fcntl(fd, F_GET_SEALS), flags = fcntl(fd, F_GETFL);
    struct statfs fs;
    struct stat st;
    uint64_t cap;

    if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_WRITE)) != F_SEAL_SHRINK || (flags & O_ACCMODE) != O_RDWR) return 0;
    if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC) return 0;         /* huge pages can run out: SIGBUS */
    if (fstat(fd, &st) < 0 || st.st_size < (off_t)(MW_RING_PAGE + MW_RING_MIN)) return 0;
    cap = (uint64_t)st.st_size - MW_RING_PAGE;
    *capacity = cap;
    return (cap & (cap - 1)) == 0;
}

static int check_bell(int fd) {
    int domain = 0, type = 0;
    socklen_t len = sizeof domain, size = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

int mw_ring_adopt(mw_host *h, int fds[2], unsigned side, mw_ring **out, struct mw_err *err) {
    uint64_t capacity = 0;
    mw_ring *r = NULL;
    int rc = 0;

    if ((side != MW_RING_FIRST && side != MW_RING_SECOND) || !check_memory(fds[0], &capacity) || !check_bell(fds[1])) rc = refuse(err, "it is no ring");
    if (rc == 0) rc = begin(h, capacity, &r, err);
    if (rc < 0) {
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    r->memory_fd = fds[0];
    r->bell = fds[1];
    r->side = side;
    r->remote = 1;
    rc = map(r, err);
    if (rc == 0 && (memcmp(r->page->magic, magic, sizeof magic) != 0 || r->page->capacity != capacity)) rc = refuse(err, "it is no ring");
    if (rc == 0) rc = mw_ring_watch_bell(r, err);
    if (rc < 0) {
        let_go(r);
        free(r);
        return rc;
    }
    mw_ring_start(r);
    *out = r;
    return 0;
}
