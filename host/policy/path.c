/* Permitted paths: found below a held directory when nothing there is denied, else walked; then opened by descriptor.
 * Knows: grants, walking, openat2. Never: opens a name that was not just checked; opens for more than O_PATH save in mw_permit_open
 * and mw_permit_module. */
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "policy/deny.h"
#include "policy/permit.h"

#define NAME_FLAGS (O_PATH | O_NOFOLLOW | O_CLOEXEC)
#define OPEN_TRIES 8             /* how often a name may change under our hands */

/* What was found, by whichever way. */
struct found {
    int fd;                      /* the object, or -1 */
    int dir;                     /* where its name is, or -1 */
    char leaf[NAME_MAX + 1];
    struct stat st;              /* when fd >= 0 */
    int status;                  /* as mw_walk's */
    char subject[PATH_MAX + 8];  /* the path for messages */
};

static void found_end(struct found *f) {
    if (f->fd >= 0) close(f->fd);
    if (f->dir >= 0) close(f->dir);
    f->fd = f->dir = -1;
}

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

int mw_target_path(const struct mw_policy *p, unsigned kinds, const char *path, enum mw_walk_how how, char *subject, struct mw_walk *w,
                   struct mw_target *t) {
    struct leaving it = {p, kinds};
    struct mw_walk_hook hook = {may_leave, &it};
    char text[MW_TRAIL_TEXT];
    size_t cwd_len;
    int rc;

    w->fd = w->dir = -1;
    snprintf(subject, PATH_MAX + 2, "%s", path);
    if (*path == 0) return MW_ENOENT;
    if (strlen(path) >= PATH_MAX) return -ENAMETOOLONG;
    rc = mw_walk_absolute(path, text, sizeof text, &cwd_len);
    if (rc < 0) return rc;
    snprintf(subject, PATH_MAX + 2, "%.*s", PATH_MAX, text);
    rc = mw_walk(text, cwd_len, how, &hook, w);
    if (rc < 0) return rc;
    memset(t, 0, sizeof *t);
    t->trail = &w->trail;
    t->by_name = how == MW_WALK_NAME;
    t->forbidden = needs_everything(w);
    t->port = MW_ANY_PORT;
    return 0;
}

/* ---- Below a held directory ------------------------------------------------------------------------------------------------ */

static int open_below(int dirfd, const char *rest, int flags, int everywhere) {
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC)};

    if (everywhere) return openat(dirfd, rest, flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return (int)syscall(SYS_openat2, dirfd, rest, &how, sizeof how);
}

/* Does every layer grant the kind for this very directory, so that (without any denial) all below it is granted? */
static int granted_everywhere(const struct mw_policy *p, enum mw_kind kind, const struct mw_rule *dir) {
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next) {
        int yes = l->all;
        for (const struct mw_rule *r = l->rules[kind]; r != NULL && !yes; r = r->next)
            yes = r->effect == MW_ALLOW && (r->form == MW_FORM_EVERY || (r->spot.known && r->spot.node.dev == dir->spot.node.dev && r->spot.node.ino == dir->spot.node.ino));
        if (!yes) return 0;
    }
    return 1;
}

static unsigned clear_kinds(const struct mw_policy *p, struct mw_rule *r) {
    struct statfs fs;
    const char *at = r->spot.place.text;

    if (r->clear_at == p->generation) return r->clear;
    r->clear_at = p->generation;
    r->clear = 0;
    if (r->spot.fd < 0 || !r->spot.is_dir || strcmp(at, r->name) != 0 || strcmp(at, "/") == 0) return 0;
    if (strncmp(at, "/proc", 5) == 0 || strncmp(at, "/sys", 4) == 0 || strncmp(at, "/dev", 4) == 0) return 0;
    if (fstatfs(r->spot.fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC) return 0;
    for (int k = MW_READ; k <= MW_WRITE; k++)
        if (p->denials[k] == 0 && granted_everywhere(p, (enum mw_kind)k, r)) r->clear |= 1u << k;
    return r->clear;
}

static int has_dotdot(const char *path) {
    for (const char *at = strstr(path, ".."); at != NULL; at = strstr(at + 2, ".."))
        if ((at == path || at[-1] == '/') && (at[2] == 0 || at[2] == '/')) return 1;
    return 0;
}

/* Finds a granted directory that `text` lies below, still where its name says. *rest: what is below it. */
static const struct mw_rule *held_above(mw_policy *p, unsigned kinds, const char *text, const char **rest) {
    enum mw_kind first = (kinds & 1u << MW_READ) != 0 ? MW_READ : MW_WRITE;
    struct stat st;

    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next)
        for (struct mw_rule *r = l->rules[first]; r != NULL; r = r->next) {
            size_t n = r->form == MW_FORM_PATH ? strlen(r->name) : 0;
            if (n == 0 || strncmp(text, r->name, n) != 0 || (text[n] != '/' && text[n] != 0)) continue;
            if ((clear_kinds(p, r) & kinds) != kinds) continue;
            if (stat(r->name, &st) < 0 || st.st_dev != r->spot.node.dev || st.st_ino != r->spot.node.ino) continue;
            *rest = text + n + strspn(text + n, "/");
            return r;
        }
    return NULL;
}

/* The short way. 1: found; 0: go the long way. */
static int find_below(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, struct found *f) {
    char text[MW_TRAIL_TEXT];
    const char *rest = text;
    char *slash;
    int total = mw_policy_is_total(p), base = AT_FDCWD;
    dev_t dev = 0;
    size_t cwd_len, n;

    if (strlen(path) >= PATH_MAX || has_dotdot(path) || mw_walk_absolute(path, text, sizeof text, &cwd_len) < 0) return 0;
    if (!total) {
        const struct mw_rule *r = held_above(p, kinds, text, &rest);
        if (r == NULL) return 0;
        base = r->spot.fd;
        dev = r->spot.node.dev;
    }
    snprintf(f->subject, sizeof f->subject, "%.*s", PATH_MAX, text);
    f->leaf[0] = 0;
    if (how == MW_AT_OBJECT) {
        f->fd = open_below(base, *rest != 0 ? rest : ".", O_PATH, total);
    } else {
        n = strlen(rest);
        if (n == 0 || rest[n - 1] == '/') return 0;
        slash = strrchr(text, '/');
        if (strlen(slash + 1) > NAME_MAX) return 0;
        memcpy(f->leaf, slash + 1, strlen(slash + 1) + 1);
        if (slash == text) slash++; /* in the root */
        *slash = 0;
        f->dir = open_below(base, slash >= rest && *rest != 0 ? rest : ".", O_PATH | O_DIRECTORY, total);
        if (f->dir < 0) return 0;
        f->fd = openat(f->dir, f->leaf, NAME_FLAGS);
        f->status = f->fd < 0 ? -errno : 0;
        if (f->fd < 0 && f->status != MW_ENOENT) goto no;
    }
    if (f->fd < 0 && how == MW_AT_OBJECT) goto no;
    if (f->fd >= 0) {
        if (fstat(f->fd, &f->st) < 0) goto no;
        if (!total && (f->st.st_dev != dev || S_ISCHR(f->st.st_mode) || S_ISBLK(f->st.st_mode))) goto no;
        if (S_ISLNK(f->st.st_mode) && how != MW_AT_NAME) goto no;
    }
    return 1;
no:
    found_end(f);
    f->status = 0;
    return 0;
}

/* ---- Finding --------------------------------------------------------------------------------------------------------------- */

/* by_name: what stands at the name is to be replaced, so that a right to the object alone is not enough. */
static int find_path(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, int by_name, const char *op, struct found *f, struct mw_err *err) {
    struct mw_decision none = {MW_MISS, 0, NULL, 0};
    struct mw_walk w;
    struct mw_target t;
    int rc;

    f->fd = f->dir = -1;
    f->status = 0;
    if ((kinds & ~(1u << MW_READ | 1u << MW_WRITE)) == 0 && p->audit_fd < 0 && find_below(p, kinds, path, how, f)) return 0;
    rc = mw_target_path(p, kinds, path, how == MW_AT_NAME ? MW_WALK_NAME : MW_WALK_FOLLOW, f->subject, &w, &t);
    if (by_name) t.by_name = 1;
    for (int k = 0; k < MW_KINDS && rc == 0; k++) {
        if ((kinds & 1u << k) == 0) continue;
        t.kind = (enum mw_kind)k;
        rc = mw_decide_or_ask(err, p, op, t.kind, f->subject, &t);
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
    f->status = w.status;
    memcpy(f->leaf, w.leaf, sizeof f->leaf);
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
static int give_place(struct found *f, enum mw_at how, const char *op, struct mw_place *out, struct mw_err *err) {
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
    struct found f;
    int rc = find_path(p, kinds, path, how, how != MW_AT_OBJECT, op, &f, err);

    out->fd = -1;
    out->leaf[0] = 0;
    if (rc < 0) return rc;
    rc = give_place(&f, how, op, out, err);
    found_end(&f);
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

/* Opens the very object that was found, for real. */
static int reopen(const struct found *f, int flags) {
    char self[32];
    struct stat st;
    int fd;

    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    fd = open(self, flags | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 || errno != ENOENT || f->dir < 0) return fd >= 0 ? fd : -errno;
    /* no /proc: by name, and then look whether it is still the same */
    fd = openat(f->dir, f->leaf, (flags & ~O_TRUNC) | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return -errno;
    if (fstat(fd, &st) < 0 || st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino) {
        close(fd);
        return -ESTALE;
    }
    if ((flags & O_TRUNC) != 0 && ftruncate(fd, 0) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    if ((flags & O_NONBLOCK) == 0) (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    return fd;
}

/* One try. A descriptor, or a code; MW_EAGAIN: the name changed meanwhile. */
static int open_found(struct found *f, int flags, mode_t mode, int regular, const char *op, struct mw_err *err) {
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
    return fd >= 0 ? fd : mw_err_set(err, fd, op, f->subject, NULL);
}

int mw_permit_open(mw_policy *p, const char *path, int flags, mode_t mode, int regular, const char *op, int *fd, struct mw_err *err) {
    unsigned kinds = kinds_of(flags);
    enum mw_at how = MW_AT_OBJECT;
    struct found f;
    int rc = MW_EAGAIN;

    *fd = -1;
    if ((flags & O_PATH) != 0 || (flags & O_TMPFILE) == O_TMPFILE) return mw_err_set(err, MW_EINVAL, op, path, "such flags are not for opening");
    if ((flags & O_NOFOLLOW) != 0 || ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)) how = MW_AT_NAME;
    else if ((flags & O_CREAT) != 0) how = MW_AT_CREATE;
    for (int tries = 0; tries < OPEN_TRIES && rc == MW_EAGAIN; tries++) {
        rc = find_path(p, kinds, path, how, 0, op, &f, err);
        if (rc < 0) return rc;
        rc = open_found(&f, flags, mode, regular, op, err);
        if (rc == MW_EAGAIN) mw_err_set(err, rc, op, f.subject, "changed again and again while it was opened");
        found_end(&f);
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

static int is_lua(const struct mw_trail *t) {
    return t->len > 4 && memcmp(t->text + t->len - 4, ".lua", 4) == 0;
}

int mw_permit_module(mw_policy *p, const char *path, const char *op, int *fd, struct mw_err *err) {
    struct mw_decision none = {MW_MISS, 0, NULL, 0};
    struct found f;
    struct mw_walk w;
    struct mw_target t;
    int rc;

    *fd = -1;
    rc = mw_target_path(p, 1u << MW_READ, path, MW_WALK_FOLLOW, f.subject, &w, &t);
    if (rc == MW_EDENIED) return mw_deny_decided(err, p, op, MW_READ, f.subject, &none);
    if (rc < 0) return mw_err_set(err, rc, op, f.subject, NULL);
    t.kind = MW_READ;
    t.module = is_lua(&w.trail);
    rc = mw_decide_or_ask(err, p, op, MW_READ, f.subject, &t);
    f.fd = w.fd;
    f.dir = w.dir;
    f.st = w.st;
    f.status = w.status;
    memcpy(f.leaf, w.leaf, sizeof f.leaf);
    if (rc == 0 && f.status == 0 && !S_ISREG(f.st.st_mode)) f.status = MW_ENOENT; /* a directory called x.lua is no module */
    if (rc == 0) rc = open_found(&f, O_RDONLY, 0, 1, op, err);
    found_end(&f);
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
    struct found f;
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
    found_end(&f);
    return rc;
}
