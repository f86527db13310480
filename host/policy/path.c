/* Permitted paths: found by a short way where there is one (below.c, recall.c), else walked; then opened by descriptor.
 * Knows: grants, walking. Never: opens a name that was not just checked; opens for more than O_PATH save in mw_permit_open
 * and mw_permit_module. */
#include <fcntl.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "policy/below.h"
#include "policy/deny.h"
#include "policy/permit.h"
#include "policy/recall.h"

#define OPEN_TRIES 8             /* how often a name may change under our hands */

/* ---- The target of a path ------------------------------------------------------------------------------------------------- */

/* Devices that are no secret: null, zero, full, random, urandom, and the terminal that the user sits at. */
static int plain_device(const struct stat *st) {
    struct stat own;

    if (!S_ISCHR(st->st_mode)) return 0;
    if (major(st->st_rdev) == 1 && (minor(st->st_rdev) == 3 || minor(st->st_rdev) == 5 || (minor(st->st_rdev) >= 7 && minor(st->st_rdev) <= 9))) return 1;
    if (st->st_rdev == makedev(5, 0)) return 1;
    for (int fd = 0; fd < 3; fd++)
        if (fstat(fd, &own) == 0 && S_ISCHR(own.st_mode) && own.st_rdev == st->st_rdev && isatty(fd)) return 1;
    return 0;
}

static int needs_everything(const struct mw_walk *w) {
    int device = w->fd >= 0 && (S_ISCHR(w->st.st_mode) || S_ISBLK(w->st.st_mode));

    if (device && plain_device(&w->st)) return 0;
    return device || (w->trail.count > 0 && w->trail.step[w->trail.count - 1].special);
}

struct leaving {
    const struct mw_policy *p;
    unsigned kinds;
};

static int leads_on(const struct mw_rule *r, const void *ud) {
    const struct mw_trail *t = ud;
    const struct mw_place_id *at = &r->spot.place;

    if (r->form == MW_FORM_EVERY) return 1;
    return mw_rule_has_spot(r) && at->text != NULL && at->len > t->len && memcmp(at->text, t->text, t->len) == 0 && at->text[t->len] == '/';
}

/* ".." leaves only what is granted or lies on the way to a grant: otherwise it would tell which directories exist. */
static int may_leave(void *ud, const struct mw_trail *trail) {
    const struct leaving *it = ud;
    struct mw_target t = {.trail = trail, .port = MW_ANY_PORT};
    struct mw_decision d;

    for (int k = 0; k < MW_KINDS; k++) {
        if ((it->kinds & 1u << k) == 0) continue;
        t.kind = (enum mw_kind)k;
        mw_decide(it->p, &t, &d);
        if (d.verdict != MW_YES && (d.verdict == MW_NO || !mw_decide_any(it->p, t.kind, leads_on, trail))) return 0;
    }
    return 1;
}

/* mw_target_path, its parts told apart: look as in mw_recall_walk. */
static int target(const struct mw_policy *p, unsigned kinds, const char *path, enum mw_walk_how how, int look, char *subject, struct mw_walk *w,
                  struct mw_target *t) {
    struct mw_policy *keeper = (struct mw_policy *)(uintptr_t)p; /* what is recalled changes no decision */
    struct leaving it = {p, kinds};
    struct mw_walk_hook hook = {may_leave, &it};
    char text[MW_TRAIL_TEXT];
    size_t cwd_len;
    int rc;

    w->fd = w->dir = -1;
    mw_subject_copy(subject, path);
    if (*path == 0) return MW_ENOENT;
    if (strlen(path) >= PATH_MAX) return -ENAMETOOLONG;
    rc = mw_walk_absolute(path, text, sizeof text, &cwd_len);
    if (rc < 0) return rc;
    mw_subject_copy(subject, text);
    if (!mw_recall_walk(p->recall, text, how, look, w)) {
        rc = mw_walk(text, cwd_len, how, &hook, w);
        if (rc < 0) return rc;
        mw_recall_keep(&keeper->recall, w);
    }
    memset(t, 0, sizeof *t);
    t->trail = &w->trail;
    t->by_name = how == MW_WALK_NAME;
    t->forbidden = needs_everything(w);
    t->port = MW_ANY_PORT;
    return 0;
}

int mw_target_path(const struct mw_policy *p, unsigned kinds, const char *path, enum mw_walk_how how, char *subject, struct mw_walk *w,
                   struct mw_target *t) {
    return target(p, kinds, path, how, 0, subject, w, t);
}

/* ---- Finding --------------------------------------------------------------------------------------------------------------- */

/* With everything granted what no walk can follow (/dev/stdin) is found too; the audit hears of it here. */
static int tell_total(mw_policy *p, unsigned kinds, const char *op, struct mw_found *f, struct mw_err *err) {
    struct mw_decision yes = {MW_YES, 0, NULL, 0};
    int rc = 0;

    for (int k = 0; p->audit_fd >= 0 && k < MW_KINDS && rc == 0; k++)
        if ((kinds & 1u << k) != 0) rc = mw_settle(err, p, op, (enum mw_kind)k, f->subject, NULL, &yes);
    if (rc < 0) mw_found_end(f);
    return rc;
}

/* by_name: what stands at the name is to be replaced, so that a right to the object alone is not enough. look: a regular file need
 * not be opened. */
static int find_path(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, int by_name, int look, const char *op, struct mw_found *f,
                     struct mw_err *err) {
    struct mw_decision none = {MW_MISS, 0, NULL, 0};
    struct mw_walk w;
    struct mw_target t;
    int rc;

    f->fd = f->dir = -1;
    f->status = f->seen = 0;
    if ((p->audit_fd < 0 || mw_policy_is_total(p)) && mw_find_below(p, kinds, path, how, look, f)) return tell_total(p, kinds, op, f, err);
    rc = target(p, kinds, path, how == MW_AT_NAME ? MW_WALK_NAME : MW_WALK_FOLLOW, look, f->subject, &w, &t);
    if (by_name) t.by_name = 1;
    for (int k = 0; k < MW_KINDS && rc == 0; k++) {
        if ((kinds & 1u << k) == 0) continue;
        t.kind = (enum mw_kind)k;
        rc = (k == MW_FFI && w.fd < 0 ? mw_decide_unasked : mw_decide_or_ask)(err, p, op, t.kind, f->subject, &t);
        if (rc < 0) {
            mw_walk_end(&w);
            return rc;
        }
    }
    if (rc == MW_EDENIED) return mw_deny_decided(err, p, op, (kinds & 1u << MW_READ) != 0 ? MW_READ : (kinds & 1u << MW_WRITE) != 0 ? MW_WRITE : MW_FFI, f->subject, &none);
    if (rc < 0) return mw_err_set(err, rc, op, f->subject, NULL);
    f->fd = w.fd;
    f->dir = w.dir;
    f->st = w.st;
    f->seen = w.seen;
    f->status = w.status;
    memcpy(f->leaf, w.leaf, strlen(w.leaf) + 1);
    return 0;
}

void mw_place_close(struct mw_place *at) {
    if (at->fd >= 0) close(at->fd);
    at->fd = -1;
}

void mw_place_name(const struct mw_place *at, char out[MW_PLACE_NAME]) {
    snprintf(out, MW_PLACE_NAME, at->leaf[0] != 0 ? "/proc/self/fd/%d/%s" : "/proc/self/fd/%d", at->fd, at->leaf);
}

/* Hands the place out of `f`. */
static int give_place(struct mw_found *f, enum mw_at how, const char *op, struct mw_place *out, struct mw_err *err) {
    int missing = f->status == MW_ENOENT && f->dir >= 0;

    if (f->status < 0 && !(missing && how != MW_AT_OBJECT)) return mw_err_set(err, f->status, op, f->subject, NULL);
    if (how == MW_AT_OBJECT) {
        out->fd = f->fd;
        f->fd = -1;
        return 0;
    }
    out->fd = f->dir;
    f->dir = -1;
    memcpy(out->leaf, f->leaf, sizeof out->leaf);
    return 0;
}

int mw_permit_path(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, const char *op, struct mw_place *out, struct mw_err *err) {
    struct mw_found f;
    int rc = find_path(p, kinds, path, how, how != MW_AT_OBJECT, 0, op, &f, err);

    out->fd = -1;
    out->leaf[0] = 0;
    if (rc < 0) return rc;
    rc = give_place(&f, how, op, out, err);
    mw_found_end(&f);
    return rc;
}

/* ---- Opening --------------------------------------------------------------------------------------------------------------- */

static unsigned kinds_of(int flags) {
    unsigned kinds = 0;

    if ((flags & O_ACCMODE) != O_WRONLY) kinds |= 1u << MW_READ;
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC | O_APPEND)) != 0) kinds |= 1u << MW_WRITE;
    return kinds;
}

static int refuse_type(const struct stat *st, int flags, const char *op, const char *subject, struct mw_err *err) {
    if (S_ISFIFO(st->st_mode)) return mw_err_set(err, -EOPNOTSUPP, op, subject, "is a FIFO, not a file");
    if (S_ISSOCK(st->st_mode)) return mw_err_set(err, -EOPNOTSUPP, op, subject, "is a socket, not a file");
    if (S_ISDIR(st->st_mode) && (kinds_of(flags) & 1u << MW_WRITE) != 0) return mw_err_set(err, -EISDIR, op, subject, NULL);
    return 0;
}

/* Opens the name and looks whether it is what was found: a regular file, so that opening alone does nothing to it (a file is cut
 * afterwards). O_NONBLOCK, lest it be a FIFO meanwhile, stays: to a regular file it says nothing. MW_EAGAIN: it is another one now. */
static int open_same(const struct mw_found *f, int flags) {
    int rc = 0, fd = openat(f->dir, f->leaf, (flags & ~O_TRUNC) | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0) return errno == ENOENT || errno == ELOOP || errno == ENXIO ? MW_EAGAIN : -errno;
    if (fstat(fd, &st) < 0) rc = -errno;
    else if (st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino || !S_ISREG(st.st_mode)) rc = MW_EAGAIN;
    else if ((flags & O_TRUNC) != 0 && ftruncate(fd, 0) < 0) rc = -errno;
    if (rc == 0) return fd;
    close(fd);
    return rc;
}

/* Opens the very object that was found, for real. */
static int reopen(const struct mw_found *f, int flags) {
    char self[32];
    int fd;

    if (f->seen) return open_same(f, flags);
    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    fd = open(self, flags | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 || errno != ENOENT || f->dir < 0 || !S_ISREG(f->st.st_mode)) return fd >= 0 ? fd : -errno;
    return open_same(f, flags); /* no /proc */
}

/* It names a directory, which open(2) does not make. */
static int ends_in_slash(const char *path) {
    size_t len = strlen(path);
    return len > 0 && path[len - 1] == '/';
}

/* One try. A descriptor, or a code; MW_EAGAIN: the name changed meanwhile. */
static int open_found(struct mw_found *f, int flags, mode_t mode, int regular, const char *op, struct mw_err *err) {
    int fd;

    if (f->status == MW_ENOENT && f->dir >= 0 && (flags & O_CREAT) != 0) {
        fd = openat(f->dir, f->leaf, flags | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
        if (fd >= 0) return fd;
        if (errno == EEXIST && (flags & O_EXCL) == 0) return MW_EAGAIN;
        return mw_err_sys(err, op, f->subject);
    }
    if (f->status < 0) return mw_err_set(err, f->status, op, f->subject, NULL);
    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return mw_err_set(err, -EEXIST, op, f->subject, NULL);
    if (S_ISLNK(f->st.st_mode)) return mw_err_set(err, -ELOOP, op, f->subject, NULL);
    fd = regular ? refuse_type(&f->st, flags, op, f->subject, err) : 0;
    if (fd < 0) return fd;
    fd = reopen(f, flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW));
    return fd >= 0 || fd == MW_EAGAIN ? fd : mw_err_set(err, fd, op, f->subject, NULL);
}

int mw_permit_open(mw_policy *p, const char *path, int flags, mode_t mode, int regular, const char *op, int *fd, struct mw_err *err) {
    unsigned kinds = kinds_of(flags);
    enum mw_at how = MW_AT_OBJECT;
    struct mw_found f;
    int rc = MW_EAGAIN, cut_unread = (flags & O_ACCMODE) == O_RDONLY && (flags & O_TRUNC) != 0; /* only open(2) itself cuts that */

    *fd = -1;
    if ((flags & O_PATH) != 0 || (flags & O_TMPFILE) == O_TMPFILE) return mw_err_set(err, MW_EINVAL, op, path, "such flags are not for opening");
    if ((flags & O_NOFOLLOW) != 0 || ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)) how = MW_AT_NAME;
    else if ((flags & O_CREAT) != 0) how = MW_AT_CREATE;
    for (int tries = 0; tries < OPEN_TRIES && rc == MW_EAGAIN; tries++) {
        rc = find_path(p, kinds, path, how, 0, tries == 0 && !cut_unread, op, &f, err);
        if (rc < 0) return rc;
        if (f.status == MW_ENOENT && f.dir >= 0 && (flags & O_CREAT) != 0 && ends_in_slash(path)) rc = mw_err_set(err, -EISDIR, op, path, NULL);
        else rc = open_found(&f, flags, mode, regular, op, err);
        if (rc == MW_EAGAIN) mw_err_set(err, rc, op, f.subject, "changed again and again while it was opened");
        mw_found_end(&f);
    }
    if (rc < 0) return rc;
    *fd = rc;
    return 0;
}

/* ---- Modules --------------------------------------------------------------------------------------------------------------- */

int mw_policy_free_module_dir(mw_policy *p, const char *dir, struct mw_err *err) {
    struct mw_rule *r = NULL;
    int rc = mw_rule_parse(MW_READ, MW_ALLOW, dir, strlen(dir), &r, err);

    if (rc == 0) rc = mw_spot_find(p, r, err);
    if (rc < 0) {
        mw_rule_free(r);
        return rc;
    }
    for (const struct mw_rule *m = p->modules; m != NULL; m = m->next)
        if (strcmp(m->name, r->name) == 0 && m->spot.known == r->spot.known && m->spot.node.ino == r->spot.node.ino && m->spot.node.dev == r->spot.node.dev) {
            mw_rule_free(r);
            return 0;
        }
    r->next = p->modules;
    p->modules = r;
    p->generation++;
    return 0;
}

int mw_policy_reads_modules(const mw_policy *p, const char *dir) {
    struct mw_decision said = {MW_MISS, 0, NULL, 0};
    char subject[PATH_MAX + 2];
    struct mw_target t;
    struct mw_walk w;
    int rc = mw_target_path(p, 1u << MW_READ, dir, MW_WALK_FOLLOW, subject, &w, &t);

    if (rc < 0) return 0;
    t.kind = MW_READ;
    t.module = 1;
    mw_decide(p, &t, &said);
    mw_walk_end(&w);
    return said.verdict == MW_YES;
}

static int is_lua(const struct mw_trail *t) {
    return t->len > 4 && memcmp(t->text + t->len - 4, ".lua", 4) == 0;
}

int mw_permit_module(mw_policy *p, const char *path, const char *op, int *fd, struct mw_err *err) {
    struct mw_decision none = {MW_MISS, 0, NULL, 0};
    struct mw_found f;
    struct mw_walk w;
    struct mw_target t;
    int rc;

    *fd = -1;
    rc = mw_target_path(p, 1u << MW_READ, path, MW_WALK_FOLLOW, f.subject, &w, &t);
    if (rc == MW_EDENIED) return mw_deny_decided(err, p, op, MW_READ, f.subject, &none);
    if (rc < 0) return mw_err_set(err, rc, op, f.subject, NULL);
    t.kind = MW_READ;
    t.module = is_lua(&w.trail);
    rc = (w.fd >= 0 ? mw_decide_or_ask : mw_decide_unasked)(err, p, op, MW_READ, f.subject, &t);
    f.fd = w.fd;
    f.dir = w.dir;
    f.st = w.st;
    f.seen = 0;
    f.status = w.status;
    memcpy(f.leaf, w.leaf, sizeof f.leaf);
    if (rc == 0 && f.status == 0 && !S_ISREG(f.st.st_mode)) f.status = S_ISDIR(f.st.st_mode) ? -EISDIR : -EOPNOTSUPP; /* whatever its name, no module */
    if (rc == 0) rc = open_found(&f, O_RDONLY, 0, 1, op, err);
    mw_found_end(&f);
    if (rc < 0) return rc;
    *fd = rc;
    return 0;
}

/* ---- Unix sockets by path ---------------------------------------------------------------------------------------------------- */

int mw_permit_unix_path(mw_policy *p, enum mw_kind kind, const char *path, const char *op, struct mw_place *out, struct mw_err *err) {
    struct mw_decision none = {MW_MISS, 0, NULL, 0};
    enum mw_at how = kind == MW_LISTEN ? MW_AT_NAME : MW_AT_CREATE;
    char subject[PATH_MAX + 16] = "unix:";
    struct mw_walk w;
    struct mw_target t;
    struct mw_found f;
    int rc = mw_target_path(p, 1u << kind, path, how == MW_AT_NAME ? MW_WALK_NAME : MW_WALK_FOLLOW, subject + 5, &w, &t);

    snprintf(f.subject, sizeof f.subject, "%.*s", (int)sizeof f.subject - 1, subject);
    if (rc == MW_EDENIED) return mw_deny_decided(err, p, op, kind, subject, &none);
    if (rc < 0) return mw_err_set(err, rc, op, subject, NULL);
    t.kind = kind;
    t.forbidden = 0; /* a socket is named by its rule; /dev/log is one */
    rc = mw_decide_or_ask(err, p, op, kind, subject, &t);
    f.fd = w.fd;
    f.dir = w.dir;
    f.status = w.status;
    memcpy(f.leaf, w.leaf, sizeof f.leaf);
    if (rc == 0) rc = give_place(&f, how, op, out, err);
    mw_found_end(&f);
    return rc;
}
