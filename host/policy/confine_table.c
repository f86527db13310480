/* The loading table: what any confined program may open, whatever the rights; and the programs that it may start.
 * Knows: confine_parts.h, run rules. Never: adds what a denial by path names (confine_tree.c leaves it out). */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/confine_parts.h"

static const struct mw_loading_row table[] = {
    {"/usr", 0, 1, "programs and their libraries"},
    {"/bin", 0, 1, "programs"},
    {"/sbin", 0, 1, "programs"},
    {"/lib", 0, 1, "libraries, the loader"},
    {"/lib32", 0, 1, "libraries, the loader"},
    {"/lib64", 0, 1, "libraries, the loader"},
    {"/libx32", 0, 1, "libraries, the loader"},
    {"/libo32", 0, 1, "libraries, the loader"},
    {"/etc/ld.so.cache", 0, 0, "where libraries are"},
    {"/etc/nsswitch.conf", 0, 0, "who knows names"},
    {"/etc/passwd", 0, 0, "names of users"},
    {"/etc/group", 0, 0, "names of groups"},
    {"/etc/hosts", 0, 0, "names of hosts"},
    {"/etc/host.conf", 0, 0, "how host names are looked up"},
    {"/etc/gai.conf", 0, 0, "which address comes first"},
    {"/etc/resolv.conf", 0, 0, "name servers; and the file that it leads to"},
    {"/etc/localtime", 0, 0, "the time zone"},
    {"/etc/services", 0, 0, "names of ports"},
    {"/etc/protocols", 0, 0, "names of protocols"},
    {"/etc/ssl", 0, 0, "certificates and settings of TLS"},
    {"/etc/gitconfig", 0, 0, "git refuses to start without"},
    {"/etc/alternatives", 0, 0, "links from names to programs"},
    {"/proc/cpuinfo", 0, 0, "the processors"},
    {"/proc/meminfo", 0, 0, "the memory"},
    {"/sys/devices/system/cpu", 0, 0, "how many processors"},
    {"/dev/null", 1, 0, "takes everything"},
    {"/dev/zero", 1, 0, "gives zeros"},
    {"/dev/full", 1, 0, "is full"},
    {"/dev/random", 0, 0, "random bytes"},
    {"/dev/urandom", 0, 0, "random bytes"},
    {NULL, 0, 0, NULL},
};

const struct mw_loading_row *mw_loading_table(void) {
    return table;
}

static int is_watched(const char *path) {
    return strcmp(path, "/etc/resolv.conf") == 0; /* the one that is replaced while programs run */
}

static int load_rows(struct mw_cage_build *b) {
    int rc = 0;

    for (const struct mw_loading_row *r = table; r->path != NULL && rc == 0; r++) {
        uint64_t access = LL_READ | (r->execute ? LL_EXECUTE : 0) | (r->write ? LL_WRITE_FILE | LL_TRUNCATE : 0);
        rc = mw_cage_loading_tree(b, r->path, access, is_watched(r->path));
    }
    return rc;
}

/* ---- Programs elsewhere -------------------------------------------------------------------------------------------------------- */

static int same_dir(const char *a, const char *b) {
    size_t n = strlen(b);

    while (n > 1 && b[n - 1] == '/') n--;
    return strlen(a) == n && memcmp(a, b, n) == 0;
}

int mw_cage_is_home(const char *dir) {
    const char *home = getenv("HOME"), *rest = strncmp(dir, "/home", 5) == 0 ? dir + 5 : NULL;

    if (home != NULL && same_dir(dir, home)) return 1;
    if (strcmp(dir, "/root") == 0) return 1;
    return rest != NULL && (*rest == 0 || (*rest == '/' && strchr(rest + 1, '/') == NULL));
}

/* 1 if what `st` is may be meant by `path` as well. */
static int is_at(const struct stat *st, const char *path) {
    struct stat there;

    return path != NULL && stat(path, &there) == 0 && there.st_dev == st->st_dev && there.st_ino == st->st_ino;
}

/* By name and by object: a link to a home directory is one. */
static int too_much(const char *dir, const struct stat *st) {
    return *dir == 0 || strcmp(dir, "/") == 0 || mw_cage_is_home(dir) || is_at(st, getenv("HOME")) || is_at(st, getenv("TMPDIR")) ||
           is_at(st, "/") || is_at(st, "/tmp") || is_at(st, "/var/tmp") || is_at(st, "/root") || is_at(st, "/home");
}

/* P of P/bin/program, as it is written. 1: `dir` is it. */
static int installed_in(const char *program, char dir[PATH_MAX]) {
    const char *leaf = strrchr(program, '/'), *folder;
    size_t n;

    if (program[0] != '/' || strlen(program) >= PATH_MAX) return 0;
    for (folder = leaf; folder > program && folder[-1] != '/';) folder--;
    n = (size_t)(leaf - folder);
    if (!((n == 3 && memcmp(folder, "bin", 3) == 0) || (n == 4 && memcmp(folder, "sbin", 4) == 0) || (n == 5 && memcmp(folder, "shims", 5) == 0))) return 0;
    n = (size_t)(folder - program) - 1;
    memcpy(dir, program, n);
    dir[n] = 0;
    return n > 0 && strcmp(dir, "/usr") != 0; /* which is in the table */
}

/* What one layer says of a path by itself. */
static int layer_grants(const struct mw_policy *p, const struct mw_layer *l, struct mw_target *t, enum mw_kind kind) {
    struct mw_layer one = *l;
    struct mw_policy alone = *p;
    struct mw_decision d;

    one.next = NULL;
    alone.layers = &one;
    alone.drops.count = 0; /* what was made before a drop is still there */
    t->kind = kind;
    mw_decide(&alone, t, &d);
    return d.verdict == MW_YES;
}

/* Could a script with these rights, or one that started it, have made `entry`, a name on the way from P to the program, without being
 * able to read P? Then that it looks like an installed program says nothing: P would be opened by whoever may merely write there. */
static int is_planted(struct mw_cage_build *b, const char *dir, const char *entry) {
    char subject[2][PATH_MAX + 2];
    struct mw_walk w[2];
    struct mw_target t[2];
    int writes = 1, reads = 1, planted = 0;

    if (mw_target_path(b->policy, 1u << MW_READ, dir, MW_WALK_FOLLOW, subject[0], &w[0], &t[0]) < 0) return 1;
    if (mw_target_path(b->policy, 1u << MW_WRITE, entry, MW_WALK_NAME, subject[1], &w[1], &t[1]) < 0) {
        mw_walk_end(&w[0]);
        return 1;
    }
    for (const struct mw_layer *l = b->policy->layers; l != NULL && !planted; l = l->next) {
        writes = writes && layer_grants(b->policy, l, &t[1], MW_WRITE);
        reads = reads && layer_grants(b->policy, l, &t[0], MW_READ);
        planted = writes && !reads;
    }
    mw_walk_end(&w[0]);
    mw_walk_end(&w[1]);
    return planted;
}

/* The name that a descriptor's object has now, without links and "..". 1, or 0: none. */
static int name_of(int fd, char out[PATH_MAX]) {
    char self[32];
    ssize_t n;

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    n = readlink(self, out, PATH_MAX - 1);
    out[n > 0 ? n : 0] = 0;
    return out[0] == '/';
}

/* P, by its real name; 1: it holds no more than programs and what belongs to them. */
static int folder_of(struct mw_cage_build *b, int fd, const char *dir, const char *program, char real[PATH_MAX]) {
    const char *leaf = strrchr(program, '/'), *bin = program + strlen(dir);
    char entry[PATH_MAX + 2 * NAME_MAX];
    struct stat st;

    if (fstat(fd, &st) < 0 || !name_of(fd, real) || too_much(dir, &st) || too_much(real, &st)) return 0;
    snprintf(entry, sizeof entry, "%s%.*s", real, (int)(leaf - bin), bin);
    if (lstat(entry, &st) < 0 || !S_ISDIR(st.st_mode)) return 0; /* a link says where programs are, not what belongs to them */
    if (!is_planted(b, real, entry)) {
        snprintf(entry, sizeof entry, "%s%s", real, bin);
        if (!is_planted(b, real, entry)) return 1;
    }
    mw_cage_note(b, "%s: not for loading %s, which may have been put there by who cannot read it", real, program);
    return 0;
}

/* P, for a program that is installed in P/bin. */
static int load_folder(struct mw_cage_build *b, const char *program) {
    char dir[PATH_MAX], real[PATH_MAX];
    int fd, given;

    if (!installed_in(program, dir)) return 0;
    fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == EMFILE || errno == ENFILE ? mw_err_sys(b->err, "confine", dir) : 0;
    given = folder_of(b, fd, dir, program, real);
    close(fd);
    return given ? mw_cage_loading_tree(b, real, LL_READ | LL_EXECUTE, 0) : 0;
}

static int load_fd(struct mw_cage_build *b, int fd) {
    struct stat st;

    if (fstat(fd, &st) < 0) return mw_err_sys(b->err, "confine", b->wish->program);
    return mw_cage_allow(b, fd, st.st_mode, LL_READ_FILE | LL_EXECUTE);
}

/* The #! file: its interpreter will look its name up once more, and must not find another file there that it may read. */
static int load_script(struct mw_cage_build *b) {
    const struct mw_cage_wish *w = b->wish;
    struct stat st;
    int fd, rc;

    if (w->script == NULL) return 0;
    fd = open(w->script, O_PATH | O_CLOEXEC);
    if (fd < 0) return errno == EMFILE || errno == ENFILE ? mw_err_sys(b->err, "confine", w->script) : 0;
    rc = fstat(fd, &st) < 0 || st.st_dev != w->script_dev || st.st_ino != w->script_ino
             ? mw_err_set(b->err, -ESTALE, "confine", w->script, "replaced while it was looked at")
             : mw_cage_allow(b, fd, st.st_mode, LL_READ_FILE | LL_EXECUTE);
    close(fd);
    return rc < 0 ? rc : load_folder(b, w->script);
}

/* The program of a run rule, if it may be started. */
static int load_rule(struct mw_cage_build *b, const struct mw_rule *r) {
    struct mw_target t = {.kind = MW_RUN, .port = MW_ANY_PORT, .node = &r->spot.node, .program = r->spot.place.text};
    struct mw_decision d;
    int rc;

    if (r->effect != MW_ALLOW || r->form != MW_FORM_PROGRAM || r->spot.fd < 0 || r->spot.place.text == NULL) return 0;
    mw_decide(b->policy, &t, &d);
    if (d.verdict != MW_YES) return 0;
    rc = load_fd(b, r->spot.fd);
    if (rc == 0) rc = load_folder(b, r->spot.place.text);
    if (rc == 0 && r->name != NULL && strcmp(r->name, r->spot.place.text) != 0) rc = load_folder(b, r->name);
    return rc;
}

static int load_programs(struct mw_cage_build *b) {
    int rc = 0, k;

    for (const struct mw_layer *l = b->policy->layers; l != NULL; l = l->next)
        for (unsigned i = 0; (k = mw_kind_next(MW_RUN, i)) >= 0; i++)
            for (const struct mw_rule *r = l->rules[k]; r != NULL && rc == 0; r = r->next) rc = load_rule(b, r);
    return rc;
}

/* ---- All of it ------------------------------------------------------------------------------------------------------------------ */

static int load_terminal(struct mw_cage_build *b) {
    uint64_t access = LL_READ_FILE | LL_WRITE_FILE | LL_IOCTL_DEV;
    int rc;

    if (b->wish->tty == NULL) return 0;
    rc = mw_cage_allow_path(b, b->wish->tty, access, 0);
    return rc < 0 ? rc : mw_cage_allow_path(b, "/dev/tty", access, 0); /* which is the same one, in its session */
}

static int load_also(struct mw_cage_build *b, const char *path) {
    struct stat st;
    int rc = stat(path, &st);

    if (rc < 0) return 0;
    return mw_cage_loading_tree(b, path, LL_READ | (S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0 ? LL_EXECUTE : 0), 1);
}

int mw_cage_loading(struct mw_cage_build *b) {
    const struct mw_cage_wish *w = b->wish;
    int rc = load_rows(b);

    if (rc == 0) rc = load_programs(b);
    if (rc == 0 && w->program_fd >= 0) rc = load_fd(b, w->program_fd);
    if (rc == 0 && w->program != NULL) rc = load_folder(b, w->program);
    if (rc == 0) rc = load_script(b);
    if (rc == 0) rc = load_terminal(b);
    for (size_t i = 0; rc == 0 && w->also_read != NULL && w->also_read[i] != NULL; i++) rc = load_also(b, w->also_read[i]);
    if (rc == 0 && w->who != MW_CAGE_PROGRAM)
        for (const struct mw_rule *r = b->policy->modules; r != NULL && rc == 0; r = r->next) rc = mw_cage_loading_tree(b, r->spot.place.text, LL_READ, 1);
    return rc;
}
