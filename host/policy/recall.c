/* Directories that were walked to before: see recall.h.
 * Knows: walking, openat2, statx. Never: decides; holds a descriptor; trusts a name. */
#include "policy/recall.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SLOTS 16u                /* directories kept; two of one slot take turns */
#define TEXT_MAX 240u            /* bytes of a directory's name */
#define STEPS_MAX 24u

struct known {
    unsigned count;              /* steps; 0: empty */
    unsigned len;
    struct statx_timestamp birth;
    struct mw_step step[STEPS_MAX];
    char text[TEXT_MAX];
};

struct mw_recall {
    struct known slot[SLOTS];
};

static struct known *slot_of(struct mw_recall *c, const char *dir, size_t len) {
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)dir[i]) * 1099511628211u;
    return &c->slot[(h ^ h >> 29) % SLOTS];
}

/* Who is it? 0: this file system does not say when things were made. */
static int look_at(int fd, struct mw_node *node, struct statx_timestamp *birth) {
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_BTIME, &st) < 0) return 0;
    if ((st.stx_mask & (STATX_INO | STATX_BTIME)) != (STATX_INO | STATX_BTIME)) return 0;
    node->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
    node->ino = st.stx_ino;
    *birth = st.stx_btime;
    return 1;
}

/* Names that the walk would read otherwise: a step up, a slash at the end, "." is cut already. */
static const char *plain_leaf(const char *path) {
    const char *leaf = strrchr(path, '/');

    if (leaf == NULL || leaf == path || leaf[1] == 0 || strlen(leaf + 1) > NAME_MAX || strcmp(leaf + 1, "..") == 0) return NULL;
    return leaf + 1;
}

/* Opens the directory by its name, and looks whether it is still the one. -1: it is not. */
static int open_known(const struct known *k) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    const struct mw_node *was = &k->step[k->count - 1].node;
    struct statx_timestamp birth;
    struct mw_node node;
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, k->text, &how, sizeof how);

    if (fd < 0) return -1;
    if (look_at(fd, &node, &birth) && node.dev == was->dev && node.ino == was->ino && birth.tv_sec == k->birth.tv_sec && birth.tv_nsec == k->birth.tv_nsec)
        return fd;
    close(fd);
    return -1;
}

/* The last name, in the directory w->dir. 1, or 0: it is one for the whole walk. */
static int last_name(struct mw_walk *w, const char *leaf, enum mw_walk_how how, int look) {
    struct mw_step *up = &w->trail.step[w->trail.count - 1], *s = up + 1;
    int rc = 0;

    memcpy(w->leaf, leaf, strlen(leaf) + 1);
    if (mw_trail_push(&w->trail, leaf, strlen(leaf)) < 0) return 0;
    if (look && fstatat(w->dir, leaf, &w->st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(w->st.st_mode)) {
        w->seen = 1;
    } else {
        w->fd = openat(w->dir, leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        rc = w->fd < 0 ? -errno : fstat(w->fd, &w->st) < 0 ? -errno : 0;
    }
    w->status = rc;
    if (rc < 0) return rc == MW_ENOENT;
    if (w->st.st_dev != up->node.dev || (S_ISLNK(w->st.st_mode) && how == MW_WALK_FOLLOW)) return 0;
    s->node.dev = w->st.st_dev;
    s->node.ino = w->st.st_ino;
    s->known = 1;
    return 1;
}

int mw_recall_walk(struct mw_recall *c, const char *path, enum mw_walk_how how, int look, struct mw_walk *w) {
    const char *leaf = c != NULL ? plain_leaf(path) : NULL;
    size_t len = leaf != NULL ? (size_t)(leaf - 1 - path) : 0;
    const struct known *k;

    if (leaf == NULL || len >= TEXT_MAX) return 0;
    k = slot_of(c, path, len);
    if (k->count == 0 || k->len != len || memcmp(k->text, path, len) != 0) return 0;
    mw_walk_blank(w);
    w->dir = open_known(k);
    if (w->dir < 0) return 0;
    memcpy(w->trail.step, k->step, k->count * sizeof k->step[0]);
    memcpy(w->trail.text, k->text, len + 1);
    w->trail.count = k->count;
    w->trail.len = len;
    if (last_name(w, leaf, how, look)) return 1;
    mw_walk_end(w);
    return 0;
}

void mw_recall_keep(struct mw_recall **c, const struct mw_walk *w) {
    const struct mw_trail *t = &w->trail;
    struct mw_node node;
    struct known *k;
    size_t len;

    if (w->dir < 0 || (w->status < 0 && w->status != MW_ENOENT) || t->count < 3 || t->count - 1 > STEPS_MAX) return;
    len = t->step[t->count - 2].end;
    if (len >= TEXT_MAX || !t->step[t->count - 2].known) return;
    if (*c == NULL) *c = calloc(1, sizeof **c);
    if (*c == NULL) return;
    k = slot_of(*c, t->text, len);
    k->count = 0;
    if (!look_at(w->dir, &node, &k->birth) || node.dev != t->step[t->count - 2].node.dev || node.ino != t->step[t->count - 2].node.ino) return;
    k->count = t->count - 1;
    k->len = (unsigned)len;
    memcpy(k->step, t->step, k->count * sizeof k->step[0]);
    memcpy(k->text, t->text, len);
    k->text[len] = 0;
}

void mw_recall_forget(struct mw_recall *c) {
    for (unsigned i = 0; c != NULL && i < SLOTS; i++) c->slot[i].count = 0;
}

void mw_recall_free(struct mw_recall *c) {
    free(c);
}
