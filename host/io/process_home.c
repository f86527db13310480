/* The private directory of a host: HOME and TMPDIR of the programs that it confines.
 * Knows: io/process_parts.h, core/host, POSIX. Never: follows a link or leaves its own tree while it removes; asks the policy: no
 * script chooses its place or its name, and what lies in it is reached by a script only where its rights lead there anyway. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/process_parts.h"
#include "io/warden.h"
#include "policy/grant.h"

#define ENTRIES_MAX 1000000u          /* that one removal takes away */
#define REMOVE_NS 5000000000u         /* and how long it may take */
#define DEPTH_MAX 32                  /* directories open at once; what lies deeper is moved up first */
#define ROUNDS_MAX 64u                /* passes over the whole: each moves what was too deep */

struct home {
    struct mw_handle handle;
    mw_host *host;
    int base;                         /* the directory that it is made in; -1: $TMPDIR or /tmp, when it is needed */
    int fd;                           /* itself (O_PATH); -1: there is none */
    int tried;                        /* it could not be made: not again */
    struct stat st;
    char leaf[32], path[PATH_MAX];
};

static const char slot_key;

/* ---- Removing ----------------------------------------------------------------------------------------------------------- */

struct sweep {
    mw_host *host;
    int top;
    unsigned left, moved;             /* entries that may still go; directories that were moved up */
    uint64_t until;
};

/* The directory `name`, open to be listed: whatever mode its owner gave it. By its descriptor: a link put in its place is not
 * followed, and nothing else is made accessible. */
static int open_dir(int dir, const char *name) {
    int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), list;
    char self[32];
    struct stat st;

    if (fd < 0) return -1;
    if (fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU) {
        snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        chmod(self, S_IRWXU);                             /* where it fails, so does the next line */
    }
    list = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(fd);
    return list;
}

static int out_of_time(struct sweep *s) {
    if (s->left == 0) return 1;
    s->left--;
    if (s->left % 256 == 0 && mw_host_now(s->host) >= s->until) s->left = 0;
    return s->left == 0;
}

static void empty(struct sweep *s, int fd, int depth);

static void remove_dir(struct sweep *s, int dir, const char *name, int depth) {
    char aside[32];
    int fd = open_dir(dir, name);

    if (fd < 0) return;
    if (depth < DEPTH_MAX) {
        empty(s, fd, depth + 1);
    } else {
        close(fd);
        snprintf(aside, sizeof aside, ".aside-%u", s->moved);
        if (renameat(dir, name, s->top, aside) == 0) s->moved++;
    }
    unlinkat(dir, name, AT_REMOVEDIR);
}

/* Takes `fd`. What cannot go stays: rmdir of its directory tells. */
static void empty(struct sweep *s, int fd, int depth) {
    DIR *dir = fdopendir(fd);
    struct dirent *it;

    if (dir == NULL) {
        close(fd);
        return;
    }
    while (!out_of_time(s) && (it = readdir(dir)) != NULL) {
        if (strcmp(it->d_name, ".") == 0 || strcmp(it->d_name, "..") == 0) continue;
        if (it->d_type != DT_DIR && unlinkat(dirfd(dir), it->d_name, 0) == 0) continue;
        remove_dir(s, dirfd(dir), it->d_name, depth);
    }
    closedir(dir);
}

/* Is what stands at its name still what we made? A script with a write right there may have moved it. */
static int in_its_place(const struct home *it) {
    struct stat st;

    return fstatat(it->base, it->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == it->st.st_dev && st.st_ino == it->st.st_ino;
}

static void remove_all(struct home *it) {
    struct sweep s = { it->host, it->fd, ENTRIES_MAX, 0, mw_host_now(it->host) + REMOVE_NS };
    unsigned rounds = 0, moved;

    do {
        int fd = open_dir(it->fd, ".");
        moved = s.moved;
        if (fd >= 0) empty(&s, fd, 0);
        if (!in_its_place(it) || unlinkat(it->base, it->leaf, AT_REMOVEDIR) == 0) return;
    } while (s.left > 0 && ++rounds < ROUNDS_MAX && (s.moved > moved || rounds < 3));
    mw_host_log(it->host, MW_LOG_WARN, "the private directory %s could not be removed with all in it", it->path);
}

/* ---- Making --------------------------------------------------------------------------------------------------------------- */

static int open_base(struct home *it, struct mw_err *err) {
    const char *base = getenv("TMPDIR");

    if (it->base >= 0) return 0;
    if (base == NULL || base[0] != '/') base = "/tmp";
    it->base = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return it->base < 0 ? mw_err_sys(err, "private directory", base) : 0;
}

/* Its whole name, without links. */
static int name_it(struct home *it, struct mw_err *err) {
    char self[32];
    ssize_t n;

    snprintf(self, sizeof self, "/proc/self/fd/%d", it->fd);
    n = readlink(self, it->path, sizeof it->path - 1);
    if (n < 0) return mw_err_sys(err, "private directory", it->leaf);
    it->path[n] = '\0';
    return it->path[0] == '/' ? 0 : mw_err_set(err, -ENAMETOOLONG, "private directory", it->leaf, NULL);
}

static int make(struct home *it, struct mw_err *err) {
    unsigned char salt[8];
    size_t n = 0, i;
    int rc = open_base(it, err);

    if (rc < 0) return rc;
    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt) return mw_err_sys(err, "private directory", NULL);
    n = (size_t)snprintf(it->leaf, sizeof it->leaf, "moonwire-");
    for (i = 0; i < sizeof salt; i++) n += (size_t)snprintf(it->leaf + n, sizeof it->leaf - n, "%02x", salt[i]);
    if (mkdirat(it->base, it->leaf, S_IRWXU) < 0) return mw_err_sys(err, "private directory", it->leaf);
    it->fd = openat(it->base, it->leaf, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (it->fd < 0 || fstat(it->fd, &it->st) < 0) rc = mw_err_sys(err, "private directory", it->leaf);
    else if (it->st.st_uid != geteuid() || (it->st.st_mode & 07077) != 0) rc = mw_err_set(err, -EPERM, "private directory", it->leaf, "replaced while it was made");
    else rc = name_it(it, err);
    if (rc == 0) return 0;
    unlinkat(it->base, it->leaf, AT_REMOVEDIR);
    if (it->fd >= 0) close(it->fd);
    it->fd = -1;
    return rc;
}

static int any_rule(const struct mw_rule *r, const void *ud) {
    (void)r;
    (void)ud;
    return 1;
}

int mw_process_may_run(const mw_policy *p) {
    return mw_decide_any(p, MW_RUN, any_rule, NULL);
}

/* ---- The face --------------------------------------------------------------------------------------------------------------- */

static struct home *home_of(mw_host *h) {
    return mw_host_slot(h, &slot_key);
}

void mw_process_home_end(mw_host *h) {
    struct home *it = home_of(h);

    if (it == NULL) return;
    mw_host_slot_set(h, &slot_key, NULL);
    mw_host_disown(&it->handle);
    if (it->fd >= 0) {
        remove_all(it);
        close(it->fd);
    }
    if (it->base >= 0) close(it->base);
    free(it);
}

/* Children may use it until they have ended: where there are any, the end of their table is its end. */
static void at_teardown(struct mw_handle *handle) {
    struct home *it = MW_LIST_ENTRY(handle, struct home, handle);

    mw_list_init(&handle->link);
    if (mw_processes_of(it->host) == NULL) mw_process_home_end(it->host);
}

static struct home *home_new(mw_host *h) {
    struct home *it = home_of(h);

    if (it != NULL || mw_host_closing(h)) return it;
    it = calloc(1, sizeof *it);
    if (it == NULL) return NULL;
    it->host = h;
    it->base = it->fd = -1;
    if (mw_host_slot_set(h, &slot_key, it) < 0) {
        free(it);
        return NULL;
    }
    mw_host_adopt(h, &it->handle, at_teardown);
    return it;
}

int mw_process_home_where(mw_host *h, struct mw_warden_dir *out) {
    const struct home *it = home_of(h);

    if (it == NULL || it->fd < 0) return 0;
    out->base = it->base;
    out->self = it->fd;
    out->leaf = it->leaf;
    return 1;
}

int mw_process_home_in(mw_host *h, int dir, struct mw_err *err) {
    struct home *it = home_new(h);

    if (it == NULL || it->base >= 0) {
        close(dir);
        return it == NULL ? mw_err_set(err, MW_ENOMEM, "private directory", NULL, NULL) : 0;
    }
    it->base = dir;
    return 0;
}

const char *mw_process_home(mw_host *h, int *fd) {
    struct home *it = home_new(h);
    struct mw_err err;

    *fd = -1;
    if (it == NULL) return NULL;
    if (it->fd < 0 && !it->tried) {
        it->tried = 1;
        if (make(it, &err) < 0) mw_host_log(h, MW_LOG_WARN, "confined programs have no HOME and no TMPDIR of their own: %s", err.message);
    }
    if (it->fd < 0) return NULL;
    *fd = it->fd;
    return it->path;
}

const char *mw_process_home_below(int home, const char *path, uint64_t which, char out[PATH_MAX], int *fd) {
    char leaf[32];

    *fd = -1;
    snprintf(leaf, sizeof leaf, "sandbox-%016llx", (unsigned long long)which);
    if (snprintf(out, PATH_MAX, "%s/%s", path, leaf) >= PATH_MAX) return NULL;
    if (mkdirat(home, leaf, S_IRWXU) < 0 && errno != EEXIST) return NULL;
    *fd = openat(home, leaf, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);      /* a link of somebody's is not followed */
    return *fd < 0 ? NULL : out;
}
