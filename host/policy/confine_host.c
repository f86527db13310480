/* The host's own lock: what it and its children need beyond its rights; and what scripts need, ours or a child's, whose own check
 * holds a name that the kernel can only be told a folder of.
 * Knows: confine_parts.h, rules. Never: gives a name where the kernel can be told the object, unless the host makes or replaces it. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/confine_parts.h"

/* ---- Names ------------------------------------------------------------------------------------------------------------------------ */

static int may(struct mw_cage_build *b, enum mw_kind kind, const char *path) {
    char subject[PATH_MAX + 2];
    struct mw_decision d;
    struct mw_target t;
    struct mw_walk w;

    if (mw_target_path(b->policy, 1u << kind, path, MW_WALK_FOLLOW, subject, &w, &t) < 0) return 0;
    t.kind = kind;
    mw_decide(b->policy, &t, &d);
    mw_walk_end(&w);
    return d.verdict == MW_YES;
}

static int parent_of(const char *path, char dir[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);

    if (slash == NULL || n >= PATH_MAX) return 0;
    memcpy(dir, path, n);
    dir[n] = 0;
    if (n == 0) memcpy(dir, "/", 2);
    return 1;
}

/* What a folder gets that something is made in, replaced in, or will come to be in. Our own check keeps that to the name. What can be read
 * in it can be listed, too. */
int mw_cage_name(struct mw_cage_build *b, enum mw_kind kind, const char *path, int missing) {
    uint64_t replace = LL_WRITE_FILE | LL_TRUNCATE | LL_MAKE_REG | LL_REMOVE_FILE | LL_READ_DIR, access;
    char dir[PATH_MAX];

    if (!parent_of(path, dir)) return 0;
    if (kind == MW_WRITE) {
        access = missing ? LL_WRITE | LL_READ_DIR : replace;
    } else {
        access = may(b, MW_WRITE, path) || (missing && strcmp(dir, "/") != 0 && !mw_cage_is_home(dir)) ? LL_READ : 0;
    }
    if (access == 0) return 0;
    mw_cage_note(b, "%s: to %s %s, the folder is open to the %s own kernel half; its own check holds the name", dir,
                 kind == MW_WRITE ? "write" : "read", path, b->wish->who == MW_CAGE_HOST ? "host's" : "script's");
    return mw_cage_allow_path(b, dir, access, b->wish->who == MW_CAGE_SCRIPT);
}

/* A folder with something denied below it: where the script may make entries in it, those must be usable, so that it is open as
 * a whole to the kernel half, and our own check alone holds what is denied. */
int mw_cage_host_whole(struct mw_cage_build *b, enum mw_kind kind, const char *path, int fd) {
    char self[32];

    if (strcmp(path, "/") == 0) return 0;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (access(self, W_OK) < 0 || !may(b, MW_WRITE, path)) return 0;
    mw_cage_note(b, "%s: the script may make entries here, so that what is denied below it for %s is held by our own check alone", path,
                 mw_kind_name(kind));
    return 1;
}

/* ---- Sockets ------------------------------------------------------------------------------------------------------------------------ */

static int socket_rule(struct mw_cage_build *b, const struct mw_rule *r) {
    int watch = b->wish->who == MW_CAGE_SCRIPT;
    uint64_t access = LL_MAKE_SOCK | LL_REMOVE_FILE;
    char dir[PATH_MAX];

    if (r->effect != MW_ALLOW) return 0;
    if (r->form == MW_FORM_EVERY) return mw_cage_allow_path(b, "/", access, 0);
    if (r->spot.place.text == NULL) return 0;
    if (r->form == MW_FORM_SOCKETS) return mw_cage_allow_path(b, r->spot.place.text, access, watch);
    if (r->form != MW_FORM_SOCKET || !parent_of(r->spot.place.text, dir)) return 0;
    return mw_cage_allow_path(b, dir, access, watch);
}

static int socket_places(struct mw_cage_build *b) {
    int rc = 0, k;

    for (const struct mw_layer *l = b->policy->layers; l != NULL; l = l->next)
        for (unsigned i = 0; (k = mw_kind_next(MW_LISTEN, i)) >= 0; i++)
            for (const struct mw_rule *r = l->rules[k]; r != NULL && rc == 0; r = r->next) rc = socket_rule(b, r);
    return rc;
}

/* ---- Programs ------------------------------------------------------------------------------------------------------------------------ */

static int any_program(const struct mw_rule *r, const void *ud) {
    (void)ud;
    return r->form == MW_FORM_EVERY;
}
static int any_rule(const struct mw_rule *r, const void *ud) {
    (void)r;
    (void)ud;
    return 1;
}

/* The bare run right: programs may be anywhere, and what they load lies beside them, in folders that they list. */
static int programs_anywhere(struct mw_cage_build *b) {
    DIR *dir;
    int rc = 0;

    if (!mw_decide_any(b->policy, MW_RUN, any_program, NULL)) return 0;
    dir = opendir("/");
    if (dir == NULL) return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? mw_err_sys(b->err, "confine", "/") : 0;
    mw_cage_note(b, "any program may be started, from anywhere: the host's own lock does not keep it from reading files");
    for (struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        char path[NAME_MAX + 2];
        if (e->d_name[0] == '.' && (e->d_name[1] == 0 || (e->d_name[1] == '.' && e->d_name[2] == 0))) continue;
        if (strcmp(e->d_name, "proc") == 0 || strcmp(e->d_name, "sys") == 0 || strcmp(e->d_name, "dev") == 0) continue;
        snprintf(path, sizeof path, "/%s", e->d_name);
        rc = mw_cage_loading_tree(b, path, LL_READ | LL_EXECUTE, 0);
    }
    closedir(dir);
    return rc;
}

/* ---- All of it ------------------------------------------------------------------------------------------------------------------------ */

/* Ourselves in proc(5): what the C library and libuv look up about us. Held, so that the kernel does not forget which it was. */
static int own_process(struct mw_cage_build *b) {
    struct stat st;

    b->cage->hold_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (b->cage->hold_fd < 0) return errno == EMFILE || errno == ENFILE ? mw_err_sys(b->err, "confine", "/proc/self") : 0;
#ifdef __SANITIZE_ADDRESS__
    if (mw_cage_allow_path(b, "/proc", LL_READ, 0) < 0) return MW_ENOMEM;     /* where children of ours look for their own stacks */
#endif
    return fstat(b->cage->hold_fd, &st) < 0 ? 0 : mw_cage_allow(b, b->cage->hold_fd, st.st_mode, LL_READ);
}

/* Where files for a while are made: io.tmpfile reads what it wrote; the host removes the private directory of its children. */
static int temporary(struct mw_cage_build *b) {
    const char *dir = getenv("TMPDIR");
    uint64_t access = b->wish->who == MW_CAGE_HOST && b->wish->home != NULL ? LL_REMOVE_DIR : 0;

    if (dir == NULL || dir[0] != '/') dir = "/tmp";
    if (may(b, MW_WRITE, dir)) access |= LL_READ;
    return access != 0 ? mw_cage_allow_path(b, dir, access, 0) : 0;
}

/* A control group for the host's children. */
static int control_group(struct mw_cage_build *b) {
    char above[PATH_MAX];
    const char *folder = b->wish->groups, *last = folder != NULL ? strrchr(folder, '/') : NULL;
    int rc;

    if (last == NULL || last == folder || last - folder >= (ptrdiff_t)sizeof above) return 0;
    memcpy(above, folder, (size_t)(last - folder));
    above[last - folder] = '\0';
    rc = mw_cage_allow_path(b, folder, LL_READ | LL_WRITE_FILE | LL_MAKE_DIR | LL_REMOVE_DIR, 0);
    return rc < 0 ? rc : mw_cage_allow_path(b, above, LL_REMOVE_DIR, 0);
}

static int shared(struct mw_cage_build *b) {
    if (!mw_decide_any(b->policy, MW_SHARE, any_rule, NULL)) return 0;
    return mw_cage_allow_path(b, "/dev/shm", LL_READ | LL_WRITE, 0);
}

static int terminals(struct mw_cage_build *b) {
    static const char *const names[] = {"/dev/ptmx", "/dev/pts", "/dev/tty"};
    size_t count = b->wish->who == MW_CAGE_HOST ? 3 : mw_decide_any(b->policy, MW_RUN, any_rule, NULL) ? 2 : 0; /* of children */
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) rc = mw_cage_allow_path(b, names[i], LL_READ | LL_WRITE_FILE | LL_IOCTL_DEV, 0);
    return rc;
}

int mw_cage_script(struct mw_cage_build *b) {
    int rc = shared(b);

    if (rc == 0) rc = socket_places(b);
    if (rc == 0) rc = temporary(b);
    return rc < 0 ? rc : terminals(b);
}

int mw_cage_host(struct mw_cage_build *b) {
    static const char *const facts[] = {"/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/version", "/sys/fs/cgroup"};
    int rc = own_process(b);

    for (size_t i = 0; i < sizeof facts / sizeof *facts && rc == 0; i++) rc = mw_cage_allow_path(b, facts[i], LL_READ, 0);
    if (rc == 0) rc = mw_cage_trees(b, MW_FFI, LL_READ);
    if (rc == 0) rc = programs_anywhere(b);
    if (rc == 0) rc = mw_cage_allow_path(b, "/proc/self/exe", LL_READ_FILE | LL_EXECUTE, 0);
    if (rc == 0) rc = control_group(b);
    return rc;
}
