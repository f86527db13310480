/* The walk: openat(O_PATH|O_NOFOLLOW) for each name, links read and walked again.
 * Knows: base, Linux's *at calls. Never: opens for more than O_PATH; decides; looks a name up twice. */
#include "policy/walk.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int mw_walk_absolute(const char *path, char *out, size_t size, size_t *cwd_len) {
    size_t at = 0;

    *cwd_len = 0;
    if (size < PATH_MAX) return -ENAMETOOLONG;
    if (path[0] != '/') {
        if (getcwd(out, size) == NULL) return errno == ERANGE ? -ENAMETOOLONG : -errno;
        if (out[0] != '/') return MW_ENOENT; /* the working directory is out of reach */
        at = strlen(out);
        if (at == 1) at = 0;
        *cwd_len = at;
    }
    for (const char *p = path; *p != 0;) {
        size_t n = strcspn(p, "/");
        if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (at + n + 2 > size) return -ENAMETOOLONG;
            out[at++] = '/';
            memcpy(out + at, p, n);
            at += n;
        }
        p += n;
        if (*p == '/') {
            while (*p == '/') p++;
            if (*p == 0 && n > 0 && at > 0 && at + 2 <= size) out[at++] = '/'; /* a final slash means something: keep one */
        }
    }
    if (at == 0) out[at++] = '/';
    out[at] = 0;
    return 0;
}

/* ---- The trail ---------------------------------------------------------------------------------------------------------- */

static void trail_reset(struct mw_trail *t, const struct stat *root) {
    t->count = 1;
    t->len = 0;
    t->text[0] = 0;
    t->step[0] = (struct mw_step){{root->st_dev, root->st_ino}, 0, 1, 0};
}

int mw_trail_push(struct mw_trail *t, const char *name, size_t len) {
    struct mw_step *s = &t->step[t->count];

    if (t->count >= MW_TRAIL_MAX || t->len + len + 2 > sizeof t->text) return -ENAMETOOLONG;
    t->text[t->len++] = '/';
    memcpy(t->text + t->len, name, len);
    t->len += len;
    t->text[t->len] = 0;
    memset(s, 0, sizeof *s);
    s->end = (unsigned)t->len;
    s->special = s[-1].special;
    if (t->count == 1 && (strcmp(t->text, "/proc") == 0 || strcmp(t->text, "/sys") == 0 || strcmp(t->text, "/dev") == 0)) s->special = 1;
    t->count++;
    return 0;
}

static void trail_pop(struct mw_trail *t) {
    if (t->count == 1) return;
    t->count--;
    t->len = t->step[t->count - 1].end;
    t->text[t->len] = 0;
}

/* The rest of a path whose beginning is missing: names alone. Above what exists it never climbs. */
static int trail_push_rest(struct mw_trail *t, const char *rest) {
    unsigned floor = t->count;

    while (*rest != 0) {
        size_t n = strcspn(rest, "/");
        if (n == 2 && rest[0] == '.' && rest[1] == '.') {
            if (t->count > floor) trail_pop(t);
        } else if (n > 0 && !(n == 1 && rest[0] == '.')) {
            int rc = mw_trail_push(t, rest, n);
            if (rc < 0) return rc;
        }
        rest += n;
        while (*rest == '/') rest++;
    }
    return 0;
}

static void trail_know(struct mw_trail *t, int fd, const struct stat *st) {
    struct mw_step *s = &t->step[t->count - 1];
    struct statfs fs;

    s->node.dev = st->st_dev;
    s->node.ino = st->st_ino;
    s->known = 1;
    if (!s->special && st->st_dev != s[-1].node.dev && fstatfs(fd, &fs) == 0 &&
        (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC))
        s->special = 1;
}

/* ---- The walk ------------------------------------------------------------------------------------------------------------ */

struct walker {
    struct mw_walk *w;
    char *rest;                  /* what is left of the path, in `buf` */
    char buf[MW_TRAIL_TEXT];
    int fd;                      /* the directory that the trail stands at */
    unsigned links, known_steps; /* steps below known_steps may be left by "..": the working directory's, a link's own folder */
    const struct mw_walk_hook *hook;
};

static void step_to(struct walker *k, int fd) {
    close(k->fd);
    k->fd = fd;
}

static int to_root(struct walker *k) {
    struct stat st;
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) return -errno;
    if (fstat(fd, &st) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    if (k->fd >= 0) close(k->fd);
    k->fd = fd;
    k->known_steps = 0;
    trail_reset(&k->w->trail, &st);
    return 0;
}

/* ".." by descriptor, and only to where we came from. */
static int climb(struct walker *k) {
    struct mw_trail *t = &k->w->trail;
    struct stat st;
    int fd;

    if (t->count == 1) return 0;
    if (t->count > k->known_steps && k->hook != NULL && !k->hook->leave(k->hook->ud, t)) return MW_EDENIED;
    fd = openat(k->fd, "..", DIR_FLAGS);
    if (fd < 0) return -errno;
    if (fstat(fd, &st) < 0 || st.st_dev != t->step[t->count - 2].node.dev || st.st_ino != t->step[t->count - 2].node.ino) {
        close(fd);
        return MW_EAGAIN; /* moved meanwhile */
    }
    step_to(k, fd);
    trail_pop(t);
    if (k->known_steps > t->count) k->known_steps = t->count;
    return 0;
}

/* Puts the target of the link `fd` (whose name is leaf, already cut from rest) before the rest. 1: go on; else a status. */
static int follow(struct walker *k, int fd, const char *leaf, int last) {
    struct mw_walk *w = k->w;
    char target[PATH_MAX];
    size_t left = strlen(k->rest);
    ssize_t n = readlinkat(fd, "", target, sizeof target);
    int rc;

    if (n < 0) return -errno;
    if (++k->links > MW_LINKS_MAX) return -ELOOP;
    if (n == 0) return MW_ENOENT;
    if ((size_t)n >= sizeof target || (size_t)n + 1 + left + 1 > sizeof k->buf) return -ENAMETOOLONG;
    if (last && !w->link.known) { /* remember where the name was that the caller used */
        struct mw_step *s = &w->trail.step[w->trail.count - 1];
        if (snprintf(w->link_text, sizeof w->link_text, "%s/%s", w->trail.text, leaf) < (int)sizeof w->link_text)
            w->link = (struct mw_place_id){1, s->node, 1, w->trail.len + 1, w->link_text, strlen(w->link_text)};
    }
    memmove(k->buf + n + 1, k->rest, left + 1);
    memcpy(k->buf, target, (size_t)n);
    k->buf[n] = '/';
    if (left == 0 && !w->want_dir) k->buf[n] = 0; /* "/" at the end would ask for a directory */
    k->rest = k->buf;
    k->known_steps = w->trail.count; /* the link was found here: that this folder exists is no news */
    if (target[0] == '/') {
        rc = to_root(k);
        if (rc < 0) return rc;
    }
    return 1;
}

static int enough(int rc) { /* not the path's fault */
    return rc == -EMFILE || rc == -ENFILE || rc == MW_ENOMEM || rc == MW_EAGAIN || rc == MW_EDENIED;
}

/* The walk ends before its end: the rest is names only. */
static int stop(struct walker *k, const char *leaf, int status) {
    struct mw_trail *t = &k->w->trail;
    int rc = enough(status) ? status : 0;

    if (rc == 0 && leaf != NULL) rc = mw_trail_push(t, leaf, strlen(leaf));
    if (rc == 0) rc = trail_push_rest(t, k->rest);
    if (rc == -ENAMETOOLONG) rc = 0; /* said by status */
    k->w->status = status;
    return rc;
}

/* The last name has been reached: `fd` is it (taken), or -1 and the code why not. */
static int arrive(struct walker *k, const char *leaf, int fd, const struct stat *st, int code) {
    struct mw_walk *w = k->w;
    int rc = mw_trail_push(&w->trail, leaf, strlen(leaf));

    snprintf(w->leaf, sizeof w->leaf, "%s", leaf);
    w->dir = k->fd;
    k->fd = -1;
    w->fd = fd;
    w->status = rc < 0 ? rc : code;
    if (rc == 0 && fd >= 0) {
        w->st = *st;
        trail_know(&w->trail, fd, st);
        if (w->want_dir && !S_ISDIR(st->st_mode)) w->status = -ENOTDIR;
    }
    return 0;
}

/* The path ended at a directory already on the trail ("/", "x/.."): its parent and name are found from the trail. */
static int arrive_at_dir(struct walker *k) {
    struct mw_walk *w = k->w;
    struct mw_trail *t = &w->trail;
    struct stat up;

    w->fd = k->fd;
    k->fd = -1;
    w->status = 0;
    if (fstat(w->fd, &w->st) < 0) return -errno;
    if (t->count == 1) {
        w->dir = fcntl(w->fd, F_DUPFD_CLOEXEC, 3);
        memcpy(w->leaf, ".", 2);
        return w->dir < 0 ? -errno : 0;
    }
    w->dir = openat(w->fd, "..", DIR_FLAGS);
    if (w->dir < 0) return enough(-errno) ? -errno : (w->status = -errno, 0);
    if (fstat(w->dir, &up) < 0 || up.st_dev != t->step[t->count - 2].node.dev || up.st_ino != t->step[t->count - 2].node.ino) return MW_EAGAIN;
    snprintf(w->leaf, sizeof w->leaf, "%s", t->text + t->step[t->count - 2].end + 1);
    return 0;
}

/* Cuts the next name from the rest into `name`. 1: a name; 0: the end; else -ENAMETOOLONG. *last: nothing but slashes follow. */
static int next_name(struct walker *k, char name[NAME_MAX + 1], int *last) {
    size_t n;

    while (*k->rest == '/') k->rest++;
    n = strcspn(k->rest, "/");
    if (n == 0) return 0;
    if (n > NAME_MAX) return -ENAMETOOLONG;
    memcpy(name, k->rest, n);
    name[n] = 0;
    k->rest += n;
    *last = k->rest[strspn(k->rest, "/")] == 0;
    if (*last && *k->rest == '/') k->w->want_dir = 1;
    return 1;
}

/* One name. 0: go on; 1: arrived or stopped; else a code. */
static int step(struct walker *k, enum mw_walk_how how) {
    char name[NAME_MAX + 1];
    struct mw_walk *w = k->w;
    struct stat st;
    int fd, last = 0, rc = next_name(k, name, &last);

    if (rc < 0) return (rc = stop(k, NULL, rc)) < 0 ? rc : 1;
    if (rc == 0) return (rc = arrive_at_dir(k)) < 0 ? rc : 1;
    if (strcmp(name, ".") == 0) return 0;
    if (strcmp(name, "..") == 0) {
        rc = climb(k);
        if (rc == 0 || enough(rc)) return rc;
        return (rc = stop(k, NULL, rc)) < 0 ? rc : 1;
    }
    fd = openat(k->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        rc = -errno;
        if (rc == MW_ENOENT && last) return (rc = arrive(k, name, -1, NULL, MW_ENOENT)) < 0 ? rc : 1;
        return (rc = stop(k, name, rc)) < 0 ? rc : 1;
    }
    if (fstat(fd, &st) < 0) {
        rc = -errno;
    } else if (S_ISLNK(st.st_mode) && (!last || how == MW_WALK_FOLLOW || w->want_dir)) {
        rc = follow(k, fd, name, last);
        if (rc == 1) {
            close(fd);
            return 0;
        }
    } else if (last) {
        return (rc = arrive(k, name, fd, &st, 0)) < 0 ? rc : 1;
    } else {
        rc = S_ISDIR(st.st_mode) ? mw_trail_push(&w->trail, name, strlen(name)) : -ENOTDIR;
        if (rc == 0) {
            trail_know(&w->trail, fd, &st);
            step_to(k, fd);
            return 0;
        }
    }
    close(fd);
    return (rc = stop(k, name, rc)) < 0 ? rc : 1;
}

void mw_walk_blank(struct mw_walk *w) {
    w->fd = w->dir = -1;
    w->leaf[0] = 0;
    w->status = w->want_dir = w->seen = 0;
    memset(&w->link, 0, sizeof w->link);
    w->trail.count = 0;
    w->trail.len = 0;
    w->trail.text[0] = 0;
}

int mw_walk(const char *path, size_t cwd_len, enum mw_walk_how how, const struct mw_walk_hook *hook, struct mw_walk *w) {
    struct walker k;
    size_t len = strlen(path);
    int rc = MW_EAGAIN;

    if (len >= sizeof k.buf) return -ENAMETOOLONG;
    for (int tries = 0; tries < 4 && rc == MW_EAGAIN; tries++) {
        mw_walk_blank(w);
        memcpy(k.buf, path, len + 1);
        k.w = w;
        k.rest = k.buf;
        k.fd = -1;
        k.links = k.known_steps = 0;
        k.hook = hook;
        rc = to_root(&k);
        while (rc == 0) {
            rc = step(&k, how);
            if (k.links == 0 && (size_t)(k.rest - k.buf) <= cwd_len) k.known_steps = w->trail.count;
        }
        if (k.fd >= 0) close(k.fd);
        if (rc < 0) mw_walk_end(w);
    }
    return rc == 1 ? 0 : rc;
}

void mw_walk_end(struct mw_walk *w) {
    if (w->fd >= 0) close(w->fd);
    if (w->dir >= 0) close(w->dir);
    w->fd = w->dir = -1;
}
