/* What stands behind Lua's os and io: named things, permitted first.
 * Knows: policy, POSIX. Never: Lua values; a name that was not permitted. */
#include "io/osfile.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX (64u << 20)     /* bytes of a module's or a chunk's text */
#define NATIVE_NAME 320          /* bytes of the name that the loader gets: two for each bit of an identity, and the rest */

int mw_os_remove(mw_policy *p, const char *path, struct mw_err *err) {
    struct mw_place at;
    int rc = mw_permit_path(p, 1u << MW_WRITE, path, MW_AT_NAME, "os remove", &at, err);

    if (rc < 0) return rc;
    if (unlinkat(at.fd, at.leaf, 0) < 0) {
        rc = -errno;
        if ((rc == -EISDIR || rc == -EPERM) && unlinkat(at.fd, at.leaf, AT_REMOVEDIR) == 0) rc = 0;
        else if (rc == -EISDIR) rc = -errno;
        if (rc < 0) mw_err_set(err, rc, "os remove", path, NULL);
    }
    mw_place_close(&at);
    return rc;
}

/* ---- Temporary files --------------------------------------------------------------------------------------------------------- */

static int random_name(char out[16]) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    unsigned char raw[8];

    if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw) return -EIO;
    memcpy(out, "lua_", 4);
    for (size_t i = 0; i < sizeof raw; i++) out[4 + i] = letters[raw[i] & 31];
    out[12] = 0;
    return 0;
}

/* Makes a file in the folder for temporary files. *at is its place; name is its path. */
static int make_temporary(mw_policy *p, const char *op, struct mw_place *at, char *name, int *fd, struct mw_err *err) {
    const char *dir = getenv("TMPDIR");
    char leaf[16];
    int rc = -EEXIST;

    if (dir == NULL || dir[0] != '/') dir = "/tmp";
    for (int tries = 0; tries < 100 && rc == -EEXIST; tries++) {
        rc = random_name(leaf);
        if (rc == 0 && snprintf(name, PATH_MAX, "%s/%s", dir, leaf) >= PATH_MAX) rc = -ENAMETOOLONG;
        if (rc < 0) return mw_err_set(err, rc, op, dir, NULL);
        rc = mw_permit_path(p, 1u << MW_WRITE, name, MW_AT_NAME, op, at, err);
        if (rc < 0) {
            if (rc == MW_EDENIED && err != NULL) { /* the right that would do is the folder's, whatever name came up */
                mw_err_set(err, rc, op, dir, NULL);
                mw_policy_grant_hint(p, MW_WRITE, dir, "", err);
            }
            return rc;
        }
        *fd = openat(at->fd, at->leaf, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (*fd >= 0) return 0;
        rc = -errno;
        mw_place_close(at);
    }
    return mw_err_set(err, rc, op, dir, NULL);
}

int mw_os_tmpname(mw_policy *p, char *out, struct mw_err *err) {
    struct mw_place at;
    int fd = -1, rc = make_temporary(p, "os tmpname", &at, out, &fd, err);

    if (rc < 0) return rc;
    close(fd);
    mw_place_close(&at);
    return 0;
}

int mw_os_tmpfile(mw_policy *p, int *fd, struct mw_err *err) {
    char name[PATH_MAX];
    struct mw_place at;
    int rc = make_temporary(p, "io tmpfile", &at, name, fd, err);

    if (rc < 0) return rc;
    if (unlinkat(at.fd, at.leaf, 0) < 0) {
        rc = mw_err_sys(err, "io tmpfile", name);
        close(*fd);
    }
    mw_place_close(&at);
    return rc;
}

/* ---- The rest ---------------------------------------------------------------------------------------------------------------- */

int mw_os_getenv(mw_policy *p, const char *name, const char **value, struct mw_err *err) {
    int rc = mw_permit_text(p, MW_ENV, name, "os getenv", err);

    *value = rc < 0 ? NULL : getenv(name);
    return rc;
}

const char *mw_os_search_path(const mw_policy *p, const char *name) {
    return mw_policy_is_total(p) ? getenv(name) : NULL;
}

static int read_all(int fd, const char *op, const char *path, char **text, size_t *len, struct mw_err *err) {
    char *buf = NULL;
    size_t size = 0, held = 0;
    ssize_t n = 1;
    int rc = 0;

    while (rc == 0 && n != 0) {
        if (size - held < 4096) {
            char *more = realloc(buf, size = size == 0 ? 16384 : 2 * size);
            if (more == NULL) {
                rc = mw_err_set(err, MW_ENOMEM, op, path, NULL);
                break;
            }
            buf = more;
        }
        n = read(fd, buf + held, size - held);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = mw_err_sys(err, op, path);
        else held += (size_t)n;
        if (held > TEXT_MAX) rc = mw_err_setf(err, MW_ELIMIT, op, path, "more than %u bytes", TEXT_MAX);
    }
    if (rc < 0) {
        free(buf);
        return rc;
    }
    *text = buf;
    *len = held;
    return 0;
}

int mw_os_read_text(mw_policy *p, const char *path, int module, const char *op, char **text, size_t *len, struct mw_err *err) {
    int fd, rc;

    if (module) rc = mw_permit_module(p, path, op, &fd, err);
    else rc = mw_permit_open(p, path, O_RDONLY, 0, 1, op, &fd, err);
    if (rc < 0) return rc;
    rc = read_all(fd, op, path, text, len, err);
    close(fd);
    return rc;
}

/* The loader takes a name that it has seen for the file that it has, and numbers of descriptors come again: so the file's identity
 * stands in the name too, a bit at a time as "./" or "/", which the kernel passes over. */
static void native_name(int fd, const struct stat *st, char out[NATIVE_NAME]) {
    const uint64_t id[] = {(uint64_t)st->st_dev, (uint64_t)st->st_ino};
    size_t n = (size_t)snprintf(out, NATIVE_NAME, "/proc/self/fd/");

    for (size_t i = 0; i < sizeof id / sizeof *id; i++)
        for (int bit = 63; bit >= 0; bit--) {
            if (id[i] >> bit & 1) out[n++] = '.';
            out[n++] = '/';
        }
    snprintf(out + n, NATIVE_NAME - n, "%d", fd);
}

/* What the loader says of the file, without its name for it. */
static const char *without(const char *text, const char *name) {
    size_t len = strlen(name);

    if (text == NULL) return NULL;
    return strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0 ? text + len + 2 : text;
}

int mw_os_load_native(mw_policy *p, const char *path, const char *symbol, void **fn, struct mw_err *err) {
    struct mw_place at;
    struct stat st;
    char name[NATIVE_NAME];
    void *lib;
    int rc = mw_permit_path(p, 1u << MW_FFI, path, MW_AT_OBJECT, "require", &at, err);

    *fn = NULL;
    if (rc < 0) return rc;
    if (fstat(at.fd, &st) < 0) {
        rc = mw_err_set(err, -errno, "require", path, NULL);
        mw_place_close(&at);
        return rc;
    }
    native_name(at.fd, &st, name);
    lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL) rc = mw_err_set(err, -ENOEXEC, "require", path, without(dlerror(), name));
    else *fn = dlsym(lib, symbol);
    mw_place_close(&at);
    return rc;
}

int mw_os_native_exists(const char *path) {
    static const char *const own[] = {"/usr/local/lib/lua/", "/usr/lib/lua/", "/usr/lib/x86_64-linux-gnu/lua/", "/usr/lib/aarch64-linux-gnu/lua/"};

    if (strstr(path, "/../") != NULL) return 0;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strncmp(path, own[i], strlen(own[i])) == 0) return access(path, F_OK) == 0;
    return 0;
}
