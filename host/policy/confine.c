/* A cage: made, kept, compared with what the policy says now, put on.
 * Knows: confine_parts.h, Landlock's system calls. Never: decides what is in it (confine_tree.c, confine_net.c, confine_table.c). */
#include "policy/confine.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/confine_mounts.h"
#include "policy/confine_parts.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

static const char op[] = "confine";

int mw_confine_abi(void) {
    long n = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1u);
    return n > 0 ? (int)n : 0;
}

/* ---- What is in it ---------------------------------------------------------------------------------------------------------- */

static int add_rule(struct mw_cage_build *b, int type, const void *rule) {
    if (syscall(SYS_landlock_add_rule, b->cage->ruleset, type, rule, 0u) == 0) {
        b->rules++;
        return 0;
    }
    if (errno == EBADFD) return 0; /* a pipe or the like: not Landlock's */
    return mw_err_setf(b->err, -errno, op, NULL, "the kernel takes no rule for %s", type == LL_RULE_PATH ? "a file" : "a port");
}

int mw_cage_allow(struct mw_cage_build *b, int fd, mode_t mode, uint64_t access) {
    struct ll_path rule = {access & b->handled_fs, fd};

    if (S_ISLNK(mode)) return 0;
    if (!S_ISDIR(mode)) rule.allowed &= LL_OF_FILES;
    if (rule.allowed == 0) return 0;
    if (b->rules >= MW_CAGE_RULES) {
        if (b->rules++ == MW_CAGE_RULES) mw_cage_note(b, "more than %u entries to name to the kernel: the rest stays closed", MW_CAGE_RULES);
        return 0;
    }
    return add_rule(b, LL_RULE_PATH, &rule);
}

/* 1 if the code speaks of the path and not of us. */
static int absent(int code) {
    return code != -EMFILE && code != -ENFILE && code != MW_ENOMEM;
}

int mw_cage_allow_path(struct mw_cage_build *b, const char *path, uint64_t access, int watch) {
    int fd = open(path, O_PATH | O_CLOEXEC), rc = 0;
    struct stat st;

    if (fd < 0) {
        if (!absent(-errno)) return mw_err_sys(b->err, op, path);
        return watch ? mw_cage_watch(b, path, NULL, MW_WATCH_PLACE) : 0;
    }
    if (fstat(fd, &st) < 0) rc = mw_err_sys(b->err, op, path);
    if (rc == 0) rc = mw_cage_allow(b, fd, st.st_mode, access);
    if (rc == 0 && watch) rc = mw_cage_watch(b, path, &st, MW_WATCH_PLACE);
    close(fd);
    return rc;
}

int mw_cage_allow_port(struct mw_cage_build *b, uint64_t access, unsigned port) {
    struct ll_port rule = {access & b->handled_net, port};

    return rule.allowed == 0 || port > 65535 ? 0 : add_rule(b, LL_RULE_PORT, &rule);
}

/* ---- What is noted ------------------------------------------------------------------------------------------------------------ */

static int lately(const struct timespec *t) {
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME_COARSE, &now) < 0) return 1;
    return (now.tv_sec - t->tv_sec) * 1000 + (now.tv_nsec - t->tv_nsec) / 1000000 < 20;
}

int mw_cage_watch(struct mw_cage_build *b, const char *path, const struct stat *st, enum mw_watch_how how) {
    size_t len = strlen(path) + 1;
    struct mw_cage_watch *w = calloc(1, sizeof *w + len);

    if (w == NULL) return mw_err_set(b->err, MW_ENOMEM, op, NULL, NULL);
    memcpy(w->path, path, len);
    if (st != NULL) {
        w->node = (struct mw_node){st->st_dev, st->st_ino};
        w->links = st->st_nlink;
        w->mtime = st->st_mtim;
        w->ctime = st->st_ctim;
    }
    w->how = how;
    if (how == MW_WATCH_ENTRIES && lately(&w->ctime)) w->mtime.tv_nsec = -1; /* what changes in this tick of the clock would not be seen: listed anew next time */
    w->next = b->cage->watches;
    b->cage->watches = w;
    return 0;
}

void mw_cage_note(struct mw_cage_build *b, const char *fmt, ...) {
    char text[512];
    struct mw_cage_remark *n;
    unsigned count = 0;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (n = b->cage->notes; n != NULL; n = n->next, count++)
        if (strcmp(n->text, text) == 0) return;
    if (count >= MW_CAGE_NOTES) return;
    n = calloc(1, sizeof *n + strlen(text) + 1);
    if (n == NULL) return;
    memcpy(n->text, text, strlen(text) + 1);
    *b->cage->last_note = n;
    b->cage->last_note = &n->next;
}

void mw_cage_each_note(const mw_cage *c, void (*fn)(void *ud, const char *note), void *ud) {
    for (const struct mw_cage_remark *n = c->notes; n != NULL; n = n->next) fn(ud, n->text);
}

/* ---- Making it ---------------------------------------------------------------------------------------------------------------- */

static uint64_t handled_by(int abi) {
    uint64_t fs = LL_REFER - 1;

    if (abi >= 2) fs |= LL_REFER;
    if (abi >= 3) fs |= LL_TRUNCATE;
    if (abi >= 5) fs |= LL_IOCTL_DEV;
    if (abi >= 9) fs |= LL_RESOLVE_UNIX;
    return fs;
}

static int make_ruleset(struct mw_cage_build *b) {
    struct ll_ruleset attr = {b->handled_fs, b->handled_net, b->scoped};
    size_t size = b->wish->abi >= 6 ? 24 : b->wish->abi >= 4 ? 16 : 8;
    long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0u);

    if (fd < 0) return mw_err_setf(b->err, -errno, op, NULL, "Landlock (version %d) makes no ruleset", b->wish->abi);
    b->cage->ruleset = (int)fd; /* close-on-exec from birth */
    return 0;
}

static int make_filter(struct mw_cage_build *b) {
    struct sock_fprog *prog;
    struct sock_filter *code;
    int n;

    if (b->wish->who == MW_CAGE_HOST) return 0;
    prog = calloc(1, sizeof *prog + MW_FILTER_MAX * sizeof *code);
    if (prog == NULL) return mw_err_set(b->err, MW_ENOMEM, op, NULL, NULL);
    code = (struct sock_filter *)(void *)(prog + 1);
    n = mw_filter_write(mw_cage_filter_flags(b), code);
    if (n < 0) {
        free(prog);
        return mw_err_set(b->err, n, op, NULL, "there is no seccomp filter for this machine");
    }
    prog->len = (unsigned short)n;
    prog->filter = code;
    b->cage->filter = prog;
    return 0;
}

static int fill(struct mw_cage_build *b) {
    uint64_t write = LL_WRITE | (b->unix_sockets ? LL_MAKE_SOCK : 0);
    int rc = make_ruleset(b);

    if (rc == 0) rc = mw_cage_trees(b, MW_READ, LL_READ);
    if (rc == 0) rc = mw_cage_trees(b, MW_WRITE, b->wish->who != MW_CAGE_PROGRAM ? write | LL_READ_DIR : write); /* to remove a folder, it is listed */
    if (rc == 0) rc = mw_cage_loading(b);
    if (rc == 0) rc = mw_cage_net_ports(b);
    if (rc == 0 && b->unix_sockets) rc = mw_cage_allow_path(b, "/", LL_RESOLVE_UNIX, 0);
    if (rc == 0 && b->wish->home != NULL) rc = mw_cage_allow(b, b->wish->home_fd, S_IFDIR, LL_READ | write);
    if (rc == 0 && b->wish->who != MW_CAGE_PROGRAM) rc = mw_cage_script(b);
    if (rc == 0 && b->wish->who == MW_CAGE_HOST) rc = mw_cage_host(b);
    if (rc == 0) rc = mw_cage_loading_settled(b);
    if (rc == 0) rc = make_filter(b);
    return rc;
}

static int begin(struct mw_cage_build *b) {
    mw_cage *c = calloc(1, sizeof *c);

    if (c == NULL) return mw_err_set(b->err, MW_ENOMEM, op, NULL, NULL);
    c->refs = 1;
    c->ruleset = c->mounts_fd = c->hold_fd = -1;
    c->last_note = &c->notes;
    c->policy = b->policy;
    c->generation = b->policy->generation;
    b->cage = c;
    b->rules = 0;
    return 0;
}

/* One try. MW_EAGAIN: what is denied was moved into what is granted while it was looked at. */
static int make(struct mw_cage_build *b) {
    int rc = begin(b);

    if (rc < 0) return rc;
    rc = fill(b);
    mw_cage_loading_end(b);
    mw_mounts_free(b->mounts);
    b->mounts = NULL;
    if (rc < 0) mw_cage_drop(b->cage);
    return rc;
}

static int trusts_any(const mw_policy *p) {
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next)
        for (const struct mw_rule *r = l->rules[MW_TRUST]; r != NULL; r = r->next)
            if (r->effect == MW_ALLOW) return 1;
    return 0;
}

int mw_cage_new(const struct mw_cage_wish *wish, mw_cage **out, struct mw_err *err) {
    struct mw_cage_build b = {.wish = wish, .policy = wish->policy, .err = err};
    int rc = MW_EAGAIN;

    *out = NULL;
    if (wish->who == MW_CAGE_HOST && trusts_any(wish->policy))
        return mw_err_set(err, MW_EINVAL, op, NULL, wish->policy->no_flags ? "a rule of trust starts programs with all rights of the user, which a locked host cannot give"
                                                                   : "--trust-run starts programs with all rights of the user, which a locked host cannot give");
    if (wish->abi < 1) return mw_err_set(err, -EOPNOTSUPP, op, NULL, "this kernel has no Landlock");
    b.handled_fs = handled_by(wish->abi);
    mw_cage_net_handled(&b);
    for (int i = 0; i < MW_CAGE_TRIES && rc == MW_EAGAIN; i++) rc = make(&b);
    if (rc == MW_EAGAIN)
        return mw_err_setf(err, -ESTALE, op, NULL, "while it was looked where what is denied lies, others moved it, or a folder around it, "
                           "into what is granted, %d times in a row", MW_CAGE_TRIES);
    if (rc < 0) return rc;
    *out = b.cage; /* given */
    return 0;
}

mw_cage *mw_cage_keep(mw_cage *c) {
    c->refs++;
    return c;
}

void mw_cage_drop(mw_cage *c) {
    if (c == NULL || --c->refs > 0) return;
    if (c->ruleset >= 0) close(c->ruleset);
    if (c->mounts_fd >= 0) close(c->mounts_fd);
    if (c->hold_fd >= 0) close(c->hold_fd);
    while (c->watches != NULL) {
        struct mw_cage_watch *w = c->watches;
        c->watches = w->next;
        free(w);
    }
    while (c->notes != NULL) {
        struct mw_cage_remark *n = c->notes;
        c->notes = n->next;
        free(n);
    }
    free(c->filter);
    free(c);
}

int mw_cage_ruleset(const mw_cage *c) {
    return c->ruleset;
}

const struct sock_fprog *mw_cage_filter(const mw_cage *c) {
    return c->filter;
}

/* ---- Using it ----------------------------------------------------------------------------------------------------------------- */

static int same_time(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int unchanged(const struct mw_cage_watch *w) {
    struct stat st;

    if (stat(w->path, &st) < 0) return w->node.ino == 0;
    if (st.st_ino != w->node.ino || st.st_dev != w->node.dev) return 0;
    if (w->how == MW_WATCH_LINKS) return st.st_nlink == w->links;
    return w->how != MW_WATCH_ENTRIES || (same_time(&st.st_mtim, &w->mtime) && same_time(&st.st_ctim, &w->ctime));
}

int mw_cage_fresh(const mw_cage *c, const mw_policy *p) {
    struct pollfd mounts = {.fd = c->mounts_fd, .events = POLLPRI};

    if (c->policy != p || c->generation != p->generation) return 0;
    if (c->mounts_fd >= 0 && (poll(&mounts, 1, 0) != 0)) return 0;
    for (const struct mw_cage_watch *w = c->watches; w != NULL; w = w->next)
        if (!unchanged(w)) return 0;
    return 1;
}

int mw_cage_lock_self(const mw_cage *c, struct mw_err *err) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return mw_err_sys(err, op, "no new privileges");
    if (syscall(SYS_landlock_restrict_self, c->ruleset, 0u) == 0) return 0;
    return mw_err_setf(err, -errno, op, NULL, errno == E2BIG ? "16 locks of this kind nest at most" : "the kernel does not put the lock on");
}
