/* Granted trees for the kernel, which only allows and only what exists: whole where nothing below is refused, else opened up,
 * entry by entry along the way to what is refused.
 * Knows: confine_points.h (what the policy says where). Never: allows a folder with something refused below it, save to the host
 * itself where it could not work otherwise (and says so in a note). */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "policy/confine_mounts.h"
#include "policy/confine_points.h"

static const char op[] = "confine";

struct tree {
    struct mw_cage_build *b;
    struct mw_points ps;
    uint64_t access;
    struct mw_points *reads;     /* of writing: what may be read; NULL: nothing may be, or nobody cares */
    struct mw_given *given;
    char text[MW_TRAIL_TEXT];    /* where we stand; "" is the root */
    size_t len;
};

static const char *name_of(const struct tree *t) {
    return t->len > 0 ? t->text : "/";
}

static int ours(int code) {
    return code == -EMFILE || code == -ENFILE || code == MW_ENOMEM;
}

static int needs_mounts(struct mw_cage_build *b) {
    int rc;

    if (b->mounts != NULL) return 0;
    rc = mw_mounts_read(&b->mounts);
    if (rc < 0) return mw_err_set(b->err, rc, op, "/proc/self/mountinfo", NULL);
    b->cage->mounts_fd = b->mounts->fd;
    b->mounts->fd = -1;
    return 0;
}

/* ---- Opening up ---------------------------------------------------------------------------------------------------------------- */

static int give(struct tree *t, int fd, const struct stat *st);

/* A file system on which only "everything" is granted, when mountinfo could not tell. */
static int is_special(int fd) {
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC || fs.f_type == DEVPTS_SUPER_MAGIC);
}

static int entry(struct tree *t, int dir, const char *name, dev_t dev) {
    const struct mw_point *at = mw_points_at(&t->ps, t->text);
    struct stat st;
    int fd, rc = 0;

    if (at != NULL && !at->yes) return 0;
    fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return ours(-errno) ? mw_err_sys(t->b->err, op, t->text) : 0;
    if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode) || mw_points_is_bad(&t->ps, &st)) goto done;
    if (!t->ps.everything && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) || (st.st_dev != dev && is_special(fd)))) goto done;
    rc = give(t, fd, &st);
done:
    close(fd);
    return rc;
}

static int entries(struct tree *t, DIR *dir, dev_t dev) {
    int rc = 0;

    for (struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        size_t before = t->len, n = strlen(e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || e->d_type == DT_LNK) continue;
        if (t->len + n + 2 > sizeof t->text) continue;
        t->text[t->len] = '/';
        memcpy(t->text + t->len + 1, e->d_name, n + 1);
        t->len += n + 1;
        rc = entry(t, dirfd(dir), e->d_name, dev);
        t->len = before;
        t->text[before] = 0;
    }
    return rc;
}

/* Makes `t` stand at what `fd` is opened up: every entry that is not refused, and not the directory itself. */
static int open_up(struct tree *t, int fd, const struct stat *st) {
    int in = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
    DIR *dir;

    if (in < 0) {
        if (ours(-errno)) return mw_err_sys(t->b->err, op, name_of(t));
        mw_cage_note(t->b, "%s: left out, since something in it is denied and it cannot be listed", name_of(t));
        return 0;
    }
    rc = mw_cage_watch(t->b, name_of(t), st, MW_WATCH_ENTRIES);
    dir = rc == 0 ? fdopendir(in) : NULL;
    if (dir == NULL) {
        close(in);
        return rc < 0 ? rc : mw_err_set(t->b->err, MW_ENOMEM, op, name_of(t), NULL);
    }
    if (t->b->wish->who != MW_CAGE_HOST)
        mw_cage_note(t->b, "%s: opened up for %s, since something in it is denied: children cannot list it, nor use what is made in it later",
                     name_of(t), t->ps.loading ? "loading" : mw_kind_name(t->ps.kind));
    rc = entries(t, dir, st->st_dev);
    closedir(dir);
    return rc;
}

static int holds(const char *dir, const char *text) {
    size_t n = strlen(dir);
    return strncmp(text, dir, n) == 0 && (text[n] == '/' || text[n] == 0);
}

/* 1 if a layer, whichever, lets somebody read there, or above, or below; text NULL: anywhere. */
static int some_may_read(const struct mw_policy *p, const char *text) {
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next) {
        if (l->all) return 1;
        for (const struct mw_rule *r = l->rules[MW_READ]; r != NULL; r = r->next) {
            const char *at = r->form == MW_FORM_PATH ? r->spot.place.text : NULL;
            if (r->effect == MW_ALLOW && (text == NULL || at == NULL || holds(at, text) || holds(text, at))) return 1;
        }
    }
    return 0;
}

/* Landlock refuses to move a file to where more is allowed, but by the rules of this child alone, and others may have more: so only
 * what it may read throughout, or nobody anywhere, moves to another folder. */
static uint64_t access_of(const struct tree *t) {
    if (t->reads == NULL || (mw_points_says(t->reads, t->text) && !mw_points_refuse_below(t->reads, t->text))) return t->access;
    return some_may_read(t->b->policy, t->text) ? t->access & ~LL_REFER : t->access;
}

/* What `fd` is, and all below it, as far as it is granted. */
static int give(struct tree *t, int fd, const struct stat *st) {
    int whole = !mw_points_refuse_below(&t->ps, t->text), rc = 0;

    if (whole) rc = mw_given_add(t->b, t->given, st);
    if (rc < 0) return rc;
    if (!whole && S_ISDIR(st->st_mode) && t->b->wish->who != MW_CAGE_PROGRAM) {
        whole = t->b->wish->who == MW_CAGE_HOST && !t->ps.loading && mw_cage_host_whole(t->b, t->ps.kind, name_of(t), fd);
        if (!whole) rc = mw_cage_allow(t->b, fd, st->st_mode, t->access & LL_READ_DIR); /* to open it up for children of its own */
        if (rc < 0) return rc;
    }
    if (whole || !S_ISDIR(st->st_mode)) return mw_cage_allow(t->b, fd, st->st_mode, access_of(t));
    return open_up(t, fd, st);
}

/* ---- Roots ---------------------------------------------------------------------------------------------------------------------- */

static int give_root(struct tree *t, const struct mw_point *at) {
    int fd, rc, missing;
    struct stat st;

    t->len = strlen(at->text);
    if (t->len >= sizeof t->text) return 0;
    memcpy(t->text, at->text, t->len + 1);
    fd = open(name_of(t), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && ours(-errno)) return mw_err_sys(t->b->err, op, name_of(t));
    missing = fd < 0 || fstat(fd, &st) < 0 || st.st_dev != at->node.dev || st.st_ino != at->node.ino;
    rc = mw_cage_watch(t->b, name_of(t), missing ? NULL : &st, MW_WATCH_PLACE);
    if (rc == 0 && !missing) rc = give(t, fd, &st);
    if (rc == 0 && t->b->wish->who != MW_CAGE_PROGRAM && !t->ps.loading && (missing || !S_ISDIR(st.st_mode)))
        rc = mw_cage_name(t->b, t->ps.kind, name_of(t), missing);
    if (fd >= 0) close(fd);
    return rc;
}

static int any_rule(const struct mw_rule *r, const void *ud) {
    (void)r;
    (void)ud;
    return 1;
}

/* Looks about: where what stands, and what is said of it. reads: as in struct tree, filled if it counts. */
static int look_about(struct mw_cage_build *b, struct mw_points *ps, struct mw_points *reads) {
    int both = ps->kind == MW_WRITE && b->wish->who != MW_CAGE_HOST && some_may_read(b->policy, NULL), rc = mw_points_find(ps);

    if (rc == 0 && both) rc = mw_points_find(reads);
    if (rc == 0 && both) rc = mw_points_fix(ps, reads);
    if (rc == 0) rc = mw_points_seek(ps);
    return rc < 0 ? rc : both;
}

/* The second look, when all is given. 0; MW_EAGAIN: somebody moved things meanwhile, so that the cage may hold what is refused. */
static int look_again(struct mw_cage_build *b, const struct mw_points *first, struct mw_given *given) {
    struct mw_points now = {.b = b, .kind = first->kind, .loading = first->loading, .given = given};
    struct mw_points reads = {.b = b, .kind = MW_READ, .given = given};
    int rc;

    if (given->count == 0 || !mw_points_any_refused(first)) return 0;
    mw_given_sort(given);
    rc = look_about(b, &now, &reads);
    if (rc >= 0) rc = mw_points_settled(&now, 0);
    if (rc == 0) rc = mw_points_settled(&reads, 1);
    mw_points_end(&now);
    mw_points_end(&reads);
    return rc;
}

int mw_cage_trees(struct mw_cage_build *b, enum mw_kind kind, uint64_t access) {
    struct mw_points reads = {.b = b, .kind = MW_READ};
    struct mw_given given = {0};
    struct tree t = {.b = b, .access = access, .given = &given, .ps = {.b = b, .kind = kind}};
    int rc;

    if (!mw_decide_any(b->policy, kind, any_rule, NULL)) return 0; /* nothing to look at: that is what most children have */
    rc = needs_mounts(b);
    if (rc == 0) rc = look_about(b, &t.ps, &reads);
    if (rc > 0) t.reads = &reads;
    if (rc > 0) rc = 0;
    if (t.ps.everything) t.access |= LL_IOCTL_DEV;
    for (size_t i = 0; i < t.ps.count && rc == 0; i++)
        if (mw_points_is_root(&t.ps, i)) rc = give_root(&t, &t.ps.at[i]);
    if (rc == 0) rc = look_again(b, &t.ps, &given);
    mw_points_end(&t.ps);
    mw_points_end(&reads);
    free(given.at);
    return rc;
}

/* Where `path` leads, links followed. 1, or 0: nowhere. */
static int real_path(const char *path, char *out, size_t size) {
    struct mw_walk w;
    int found;

    if (mw_walk(path, 0, MW_WALK_FOLLOW, NULL, &w) < 0) return 0;
    found = w.status == 0 && w.trail.len < size;
    if (found) memcpy(out, w.trail.text, w.trail.len + 1);
    mw_walk_end(&w);
    return found;
}

static int needs_loading(struct mw_cage_build *b) {
    int rc = needs_mounts(b);

    if (rc < 0 || b->loading != NULL) return rc;
    b->loading = calloc(1, sizeof *b->loading);
    if (b->loading == NULL) return mw_err_set(b->err, MW_ENOMEM, op, NULL, NULL);
    *b->loading = (struct mw_points){.b = b, .kind = MW_READ, .loading = 1};
    return mw_points_find(b->loading);
}

int mw_cage_loading_settled(struct mw_cage_build *b) {
    return b->loading != NULL ? look_again(b, b->loading, &b->loaded) : 0;
}

void mw_cage_loading_end(struct mw_cage_build *b) {
    if (b->loading != NULL) mw_points_end(b->loading);
    free(b->loading);
    free(b->loaded.at);
    b->loading = NULL;
    b->loaded = (struct mw_given){0};
}

/* A tree of the table, asked about and given. */
static int load_real(struct mw_cage_build *b, const char *real, uint64_t access) {
    struct tree t = {.b = b, .access = access, .given = &b->loaded, .ps = *b->loading};
    struct mw_point at = {0};
    struct stat st;
    int fd, rc = mw_points_ask(&t.ps, real, 0, &at, NULL);

    free(at.text);
    if (rc == 0) mw_cage_note(b, "%s: denied, so that not even programs may load it", real);
    if (rc <= 0) return rc;
    t.len = strlen(real);
    memcpy(t.text, real, t.len + 1);
    fd = open(name_of(&t), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return ours(-errno) ? mw_err_sys(b->err, op, real) : 0;
    rc = fstat(fd, &st) < 0 ? 0 : give(&t, fd, &st);
    close(fd);
    return rc;
}

int mw_cage_loading_tree(struct mw_cage_build *b, const char *path, uint64_t access, int watch) {
    char real[MW_TRAIL_TEXT];
    struct stat st;
    int rc;

    if (b->policy->denials[MW_READ] == 0) return mw_cage_allow_path(b, path, access, watch);
    rc = needs_loading(b);
    if (rc == 0 && real_path(path, real, sizeof real)) rc = load_real(b, real, access);
    if (rc == 0 && watch) rc = mw_cage_watch(b, path, stat(path, &st) == 0 ? &st : NULL, MW_WATCH_PLACE);
    return rc;
}
