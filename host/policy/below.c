/* The short ways to a granted path, where no rule denies anything of the kind: one openat2 with no link on the way, which leads
 * where its text says; else one that stays below a directory held since the rule was made; else, with all rights, a plain one.
 * Knows: grants, openat2. Never: asks, denies (what it does not find is walked to); opens for more than O_PATH. */
#include "policy/below.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NAME_FLAGS (O_PATH | O_NOFOLLOW | O_CLOEXEC)

void mw_subject_copy(char *subject, const char *text) {
    size_t n = strnlen(text, PATH_MAX);
    memcpy(subject, text, n);
    subject[n] = 0;
}

void mw_found_end(struct mw_found *f) {
    if (f->fd >= 0) close(f->fd);
    if (f->dir >= 0) close(f->dir);
    f->fd = f->dir = -1;
}

/* From where, and how far, the kernel may look. */
struct way {
    int base;                    /* a descriptor, or AT_FDCWD */
    uint64_t resolve;            /* openat2's; 0: a plain openat */
    const struct mw_rule *rule;  /* that grants it; NULL: everything is */
};

static int open_way(const struct way *w, const char *path, int flags) {
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = w->resolve};

    if (w->resolve == 0) return openat(w->base, path, flags | O_CLOEXEC);
    return (int)syscall(SYS_openat2, w->base, path, &how, sizeof how);
}

/* ---- What is granted all over --------------------------------------------------------------------------------------------- */

/* Does every layer grant the kind for this very directory by this name, so that (without any denial) all below it is granted? */
static int granted_everywhere(const struct mw_policy *p, enum mw_kind kind, const struct mw_rule *dir) {
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next) {
        int yes = l->all;
        for (const struct mw_rule *r = l->rules[kind]; r != NULL && !yes; r = r->next)
            yes = r->effect == MW_ALLOW && (r->form == MW_FORM_EVERY || (r->spot.known && r->spot.node.dev == dir->spot.node.dev && r->spot.node.ino == dir->spot.node.ino &&
                                                                         strcmp(r->spot.place.text, dir->spot.place.text) == 0));
        if (!yes) return 0;
    }
    return 1;
}

static int below_special(const char *text) {
    static const char *const names[] = {"/proc", "/sys", "/dev"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(text, names[i], n) == 0 && (text[n] == '/' || text[n] == 0)) return 1;
    }
    return 0;
}

static int is_special(int fd) {
    struct statfs fs;
    return fstatfs(fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC;
}

static unsigned clear_kinds(const struct mw_policy *p, struct mw_rule *r) {
    const char *at = r->spot.place.text;

    if (r->clear_at == p->generation) return r->clear;
    r->clear_at = p->generation;
    r->clear = 0;
    if (r->form != MW_FORM_EVERY) {
        if (r->spot.fd < 0 || !r->spot.is_dir || strcmp(at, r->name) != 0 || strcmp(at, "/") == 0) return 0;
        if (below_special(at) || is_special(r->spot.fd)) return 0;
    }
    for (int k = MW_READ; k <= MW_WRITE; k++)
        if (p->denials[k] == 0 && (r->form == MW_FORM_EVERY ? mw_layer_every(p, (enum mw_kind)k) : granted_everywhere(p, (enum mw_kind)k, r))) r->clear |= 1u << k;
    return r->clear;
}

/* Finds a grant that `text` is covered by: a directory above it, or the bare flag. *below: where the rest begins. */
static const struct mw_rule *grant_above(mw_policy *p, unsigned kinds, const char *text, size_t *below) {
    enum mw_kind first = (kinds & 1u << MW_READ) != 0 ? MW_READ : MW_WRITE;

    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next)
        for (struct mw_rule *r = l->rules[first]; r != NULL; r = r->next) {
            size_t n = r->form == MW_FORM_PATH ? r->spot.place.len : 0;
            if (r->effect != MW_ALLOW || (n == 0 && r->form != MW_FORM_EVERY)) continue;
            if (n > 0 && (strncmp(text, r->spot.place.text, n) != 0 || (text[n] != '/' && text[n] != 0))) continue;
            if ((clear_kinds(p, r) & kinds) != kinds) continue;
            *below = n;
            return r;
        }
    return NULL;
}

/* ---- Finding -------------------------------------------------------------------------------------------------------------- */

/* Is what was found one that the walk would have let through as well? */
static int plain(const struct way *w, const struct mw_found *f) {
    if (w->rule == NULL) return 1;
    if (S_ISCHR(f->st.st_mode) || S_ISBLK(f->st.st_mode)) return 0;
    return w->rule->form == MW_FORM_EVERY || f->st.st_dev == w->rule->spot.node.dev;
}

/* The object itself, links followed. */
static int find_object(const struct way *w, const char *path, struct mw_found *f) {
    f->fd = open_way(w, path, O_PATH);
    if (f->fd < 0 || fstat(f->fd, &f->st) < 0) return 0;
    return plain(w, f) && (w->rule == NULL || w->rule->form != MW_FORM_EVERY || !is_special(f->fd));
}

/* The directory, and f->leaf in it. */
static int find_name(const struct way *w, const char *path, enum mw_at how, int look, struct mw_found *f) {
    int every = w->rule != NULL && w->rule->form == MW_FORM_EVERY;
    struct stat dir;

    f->dir = open_way(w, path, O_PATH | O_DIRECTORY);
    if (f->dir < 0 || (every && (is_special(f->dir) || fstat(f->dir, &dir) < 0))) return 0;
    if (look && fstatat(f->dir, f->leaf, &f->st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(f->st.st_mode)) {
        f->seen = 1;
    } else {
        f->fd = openat(f->dir, f->leaf, NAME_FLAGS);
        f->status = f->fd < 0 ? -errno : 0;
        if (f->fd < 0) return f->status == MW_ENOENT && how != MW_AT_OBJECT;
        if (fstat(f->fd, &f->st) < 0 || (S_ISLNK(f->st.st_mode) && how != MW_AT_NAME)) return 0;
    }
    return plain(w, f) && (!every || f->st.st_dev == dir.st_dev);
}

/* One way to text: whole is the text as the way has it, dir its directory (NULL: not this way). */
static int try_way(const struct way *w, const char *whole, const char *dir, enum mw_at how, int look, struct mw_found *f) {
    int found = dir == NULL ? find_object(w, whole, f) : find_name(w, dir, how, look, f);

    if (found) return 1;
    mw_found_end(f);
    f->status = f->seen = 0;
    return 0;
}

static int has_dotdot(const char *path) {
    for (const char *at = strstr(path, ".."); at != NULL; at = strstr(at + 2, ".."))
        if ((at == path || at[-1] == '/') && (at[2] == 0 || at[2] == '/')) return 1;
    return 0;
}

/* Is the held directory where its name says? */
static int in_place(const struct mw_rule *r) {
    struct stat st;
    return stat(r->name, &st) == 0 && st.st_dev == r->spot.node.dev && st.st_ino == r->spot.node.ino;
}

int mw_find_below(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, int look, struct mw_found *f) {
    struct way w = {AT_FDCWD, 0, NULL};
    char text[MW_TRAIL_TEXT], *slash;
    const char *dir = NULL, *rest;
    size_t cwd_len, below = 0;
    int found;

    if ((kinds & ~(1u << MW_READ | 1u << MW_WRITE)) != 0) return 0;
    for (int k = MW_READ; k <= MW_WRITE; k++)
        if ((kinds & 1u << k) != 0 && p->denials[k] != 0) return 0;
    if (strlen(path) >= PATH_MAX || has_dotdot(path) || mw_walk_absolute(path, text, sizeof text, &cwd_len) < 0) return 0;
    if (!mw_policy_is_total(p)) {
        w.rule = grant_above(p, kinds, text, &below);
        w.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        if (w.rule == NULL || below_special(text)) return 0;
    }
    slash = strrchr(text, '/');
    mw_subject_copy(f->subject, text);
    f->leaf[0] = 0;
    if (how != MW_AT_OBJECT || look) {
        if (slash[1] == 0 || strlen(slash + 1) > NAME_MAX) return 0;
        memcpy(f->leaf, slash + 1, strlen(slash + 1) + 1);
        dir = slash == text ? "/" : text;
        if (slash != text) *slash = 0;
    }
    found = try_way(&w, text, dir, how, look, f);
    if (found || below == 0) return found; /* the bare flag, or everything: the walk knows more */
    /* A link on the way: below the held directory, if it is the one that its name says. */
    if ((size_t)(slash - text) < below || !in_place(w.rule)) return 0;
    if (how == MW_AT_OBJECT && dir != NULL) {
        if (slash != text) *slash = '/';
        dir = NULL; /* the last name may be a link, too */
    }
    w.base = w.rule->spot.fd;
    w.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    rest = text + below;
    rest += strspn(rest, "/");
    if (*rest == 0) rest = ".";
    return try_way(&w, rest, dir != NULL ? rest : NULL, how, look, f);
}
