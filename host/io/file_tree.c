/* Directories: making them, removing them with all below, and temporary ones: see file_op.h.
 * Knows: base, core/host, core/work, policy/permit. Never: Lua values; follows a link while removing. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "io/file_op.h"

/* ---- Removing ----------------------------------------------------------------------------------------------------------- */

struct removal {
    const struct mw_file_pinned *pinned;
    size_t count;
    char path[PATH_MAX];             /* where we are, for errors; cut when longer */
    struct mw_err *err;
};

static int fail(const struct removal *r, const char *name, int code, const char *what) {
    char subject[PATH_MAX + NAME_MAX + 2];

    snprintf(subject, sizeof subject, "%s%s%s", r->path, r->path[0] != '\0' && strcmp(r->path, "/") != 0 ? "/" : "", name);
    return mw_err_set(r->err, code, "fs remove", subject, what);
}

static int is_pinned(const struct removal *r, const struct stat *st) {
    for (size_t i = 0; i < r->count; i++)
        if (r->pinned[i].dev == st->st_dev && r->pinned[i].ino == st->st_ino) return 1;
    return 0;
}

static int remove_at(struct removal *r, int dir, const char *name, int depth);

/* Takes `fd`. Removes what is in that directory. A name that vanishes meanwhile is no error. */
static int empty_dir(struct removal *r, int fd, const char *name, int depth) {
    size_t len = strlen(r->path);
    DIR *dir = fdopendir(fd);
    int rc = 0;

    if (dir == NULL) {
        rc = fail(r, name, -errno, NULL);
        close(fd);
        return rc;
    }
    snprintf(r->path + len, sizeof r->path - len, "%s%s", len ? "/" : "", name);
    while (rc == 0) {
        struct dirent *it;

        errno = 0;
        it = readdir(dir);
        if (it == NULL && errno != 0) rc = fail(r, "", -errno, NULL);
        if (it == NULL) break;
        if (strcmp(it->d_name, ".") == 0 || strcmp(it->d_name, "..") == 0) continue;
        rc = remove_at(r, dirfd(dir), it->d_name, depth + 1);
        if (rc == MW_ENOENT) rc = 0;
    }
    closedir(dir);
    r->path[len] = '\0';
    return rc;
}

/* By descriptors and names of one component: whoever swaps a directory for a link meanwhile wins nothing. */
static int remove_at(struct removal *r, int dir, const char *name, int depth) {
    struct stat st;
    int fd, rc;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return fail(r, name, -errno, NULL);
    if (is_pinned(r, &st)) return fail(r, name, MW_EDENIED, NULL);
    if (!S_ISDIR(st.st_mode)) return unlinkat(dir, name, 0) < 0 ? fail(r, name, -errno, NULL) : 0;
    if (depth > MW_TREE_DEPTH) return fail(r, name, MW_ELIMIT, "the tree is too deep");
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return fail(r, name, -errno, NULL);
    if (fstat(fd, &st) < 0 || is_pinned(r, &st)) { /* swapped since we looked */
        close(fd);
        return fail(r, name, MW_EDENIED, NULL);
    }
    rc = empty_dir(r, fd, name, depth);
    if (rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0) rc = fail(r, name, -errno, NULL);
    return rc;
}

int mw_file_remove_tree(int dir, const char *leaf, const char *path, const struct mw_file_pinned *pinned, size_t count, struct mw_err *err) {
    struct removal *r = calloc(1, sizeof *r); /* a thread's stack may be small */
    const char *slash = strrchr(path, '/');
    int rc;

    if (r == NULL) return mw_err_set(err, MW_ENOMEM, "fs remove", path, NULL);
    if (slash != NULL) snprintf(r->path, sizeof r->path, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    r->pinned = pinned;
    r->count = count;
    r->err = err;
    rc = remove_at(r, dir, leaf, 0);
    free(r);
    return rc;
}

int mw_file_remove_step(struct mw_file_op *op) {
    struct stat st;

    if (op->at.leaf[0] == '\0' || strcmp(op->at.leaf, ".") == 0) return mw_err_set(&op->err, -EBUSY, "fs remove", op->path, NULL); /* the root */
    if (fstatat(op->at.fd, op->at.leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) return mw_err_sys(&op->err, "fs remove", op->path);
    if (op->slash && S_ISLNK(st.st_mode)) {
        mw_err_set(&op->err, -ENOTDIR, "fs remove", op->path, "a link, and no directory");
        return mw_err_hint(&op->err, "without the slash the link itself is removed");
    }
    if (op->slash && !S_ISDIR(st.st_mode)) return mw_err_set(&op->err, -ENOTDIR, "fs remove", op->path, NULL);
    if (op->tree) return mw_file_remove_tree(op->at.fd, op->at.leaf, op->path, op->pinned, op->pinned_count, &op->err);
    if (unlinkat(op->at.fd, op->at.leaf, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) == 0) return 0;
    mw_err_sys(&op->err, "fs remove", op->path);
    if (op->err.code == -ENOTEMPTY || op->err.code == -EEXIST) mw_err_hint(&op->err, "{ tree = true } removes what is in it too");
    return op->err.code;
}

/* ---- Making ------------------------------------------------------------------------------------------------------------- */

static int make_one(mw_host *h, const char *path, mode_t mode, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    int rc = mw_permit_path(mw_host_policy(h), 1u << MW_WRITE, path, MW_AT_NAME, "fs mkdir", &at, err);

    if (rc < 0) return rc;
    if (at.leaf[0] == '\0') rc = mw_err_set(err, -EEXIST, "fs mkdir", path, NULL);
    else if (mkdirat(at.fd, at.leaf, mode) < 0) rc = mw_err_sys(err, "fs mkdir", path);
    mw_place_close(&at);
    return rc;
}

/* After EEXIST: is it a directory (or a link to one)? 0, or -EEXIST as make_one filled it. */
static int is_dir(mw_host *h, const char *path, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    struct mw_err other;
    struct stat st;
    int rc = mw_permit_path(mw_host_policy(h), 1u << MW_WRITE, path, MW_AT_OBJECT, "fs mkdir", &at, &other);

    if (rc == 0 && fstat(at.fd, &st) == 0 && S_ISDIR(st.st_mode)) err->code = 0;
    mw_place_close(&at);
    return err->code;
}

/* Goes up until a name can be made (only what is missing needs a right), then down again. */
int mw_file_mkdir(mw_host *h, const char *path, mode_t mode, int parents, struct mw_err *err) {
    size_t len = strlen(path), end;
    struct mw_err mine;
    char *part;
    int rc;

    if (err == NULL) err = &mine;
    while (len > 1 && path[len - 1] == '/') len--;
    part = strndup(path, len);
    if (part == NULL) return mw_err_set(err, MW_ENOMEM, "fs mkdir", path, NULL);
    if (!parents) {
        rc = make_one(h, part, mode, err);
        free(part);
        return rc;
    }
    end = len;
    for (;;) { /* up */
        rc = make_one(h, part, 0777, err);
        if (rc != MW_ENOENT) break;
        while (end > 0 && part[end - 1] != '/') end--;
        while (end > 0 && part[end - 1] == '/') end--;
        if (end == 0) break;
        part[end] = '\0';
    }
    if (rc == -EEXIST) rc = is_dir(h, part, err);
    while (rc == 0 && end < len) { /* down */
        memcpy(part, path, len);
        while (end < len && part[end] == '/') end++;
        while (end < len && part[end] != '/') end++;
        part[end] = '\0';
        rc = make_one(h, part, end == len ? mode : 0777, err);
        if (rc == -EEXIST) rc = is_dir(h, part, err);
    }
    free(part);
    return rc;
}

/* ---- Temporary directories ---------------------------------------------------------------------------------------------- */

struct mw_tempdir {
    struct mw_handle handle;
    mw_host *host;
    struct mw_place at;              /* its parent and name */
    dev_t dev;
    ino_t ino;
    char *path;
    int closed;
};

/* Is what stands there still what we made? A script may have moved it and put something else in its place. */
static int still_ours(const struct mw_tempdir *t) {
    struct stat st;

    return fstatat(t->at.fd, t->at.leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == t->dev && st.st_ino == t->ino;
}

static void remove_now(mw_tempdir *t) {
    struct mw_err err;

    if (t->closed) return;
    t->closed = 1;
    mw_host_disown(&t->handle);
    if (still_ours(t) && mw_file_remove_tree(t->at.fd, t->at.leaf, t->path, NULL, 0, &err) < 0)
        mw_host_log(t->host, MW_LOG_ERROR, "%s", err.message);
    mw_place_close(&t->at);
}

static void at_teardown(struct mw_handle *handle) {
    remove_now(MW_LIST_ENTRY(handle, mw_tempdir, handle));
}

void mw_tempdir_free(mw_tempdir *t) {
    if (t == NULL) return;
    remove_now(t);
    free(t->path);
    free(t);
}

const char *mw_tempdir_path(const mw_tempdir *t) {
    return t->path;
}

int mw_tempdir_closed(const mw_tempdir *t) {
    return t->closed;
}

/* The host's own setting, as PATH is for programs; what a script may touch there is still the policy's to say. NULL: errno says why. */
static char *temp_path(const char *prefix) {
    const char *base = getenv("TMPDIR");
    unsigned char salt[8];
    char *out = NULL;

    if (base == NULL || base[0] != '/') base = "/tmp";
    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt) return NULL;
    if (asprintf(&out, "%s/%s%02x%02x%02x%02x%02x%02x%02x%02x", base, prefix, salt[0], salt[1], salt[2], salt[3], salt[4],
                 salt[5], salt[6], salt[7]) < 0) return NULL;
    return out;
}

/* Fills `t`: its place, the directory itself, and who it is. */
static int make_temp(mw_host *h, mw_tempdir *t, struct mw_err *err) {
    struct stat st;
    int rc = mw_permit_path(mw_host_policy(h), 1u << MW_WRITE, t->path, MW_AT_NAME, "fs tempdir", &t->at, err);

    if (rc < 0) return rc;
    if (mkdirat(t->at.fd, t->at.leaf, 0700) < 0) return mw_err_sys(err, "fs tempdir", t->path);
    if (fstatat(t->at.fd, t->at.leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        rc = mw_err_sys(err, "fs tempdir", t->path);
        unlinkat(t->at.fd, t->at.leaf, AT_REMOVEDIR);
        return rc;
    }
    t->dev = st.st_dev;
    t->ino = st.st_ino;
    return 0;
}

/* The name is random: a right for it alone would be of no use. Name the directory instead. */
static void hint_of(const mw_policy *p, mw_tempdir *t, struct mw_err *err) {
    char *slash = strrchr(t->path, '/');

    if (slash == NULL || err == NULL) return;
    *slash = '\0';
    mw_err_set(err, MW_EDENIED, "fs tempdir", t->path, NULL);
    mw_policy_grant_hint(p, MW_WRITE, t->path, " or set TMPDIR to a directory with a write right", err);
    *slash = '/';
}

int mw_tempdir_open(mw_host *h, const char *prefix, mw_tempdir **out, struct mw_err *err) {
    mw_tempdir *t = calloc(1, sizeof *t);
    int rc, code;

    if (t == NULL) return mw_err_set(err, MW_ENOMEM, "fs tempdir", NULL, NULL);
    t->host = h;
    t->at.fd = -1;
    t->path = temp_path(prefix);
    code = -errno;
    if (mw_host_room(h, "fs tempdir", NULL, err) < 0) rc = MW_ELIMIT;
    else if (t->path == NULL) rc = mw_err_setf(err, code, "fs tempdir", NULL, "no name for it: %s", mw_err_words(code));
    else rc = make_temp(h, t, err);
    if (rc < 0) {
        if (rc == MW_EDENIED && t->path != NULL) hint_of(mw_host_policy(h), t, err);
        mw_place_close(&t->at);
        free(t->path);
        free(t);
        return rc;
    }
    mw_list_init(&t->handle.link);
    mw_host_adopt(h, &t->handle, at_teardown);
    *out = t; /* given */
    return 0;
}

int mw_tempdir_op_remove(mw_tempdir *t, struct mw_file_op **out, struct mw_err *err) {
    int rc;

    if (!still_ours(t)) { /* moved or removed by the script: nothing to do, and nothing of somebody else's to touch */
        remove_now(t);
        *out = NULL;
        return 0;
    }
    rc = mw_file_op_remove_at(&t->at, t->path, out, err);
    if (rc < 0) return rc;
    (*out)->must = 1;
    t->closed = 1;
    mw_host_disown(&t->handle);
    return 0;
}

void mw_tempdir_op_failed(mw_tempdir *t, struct mw_file_op *op) {
    if (!t->closed || op->at.fd < 0) return;
    t->at = op->at;
    op->at.fd = -1;
    t->closed = 0;
    mw_host_adopt(t->host, &t->handle, at_teardown);
}
