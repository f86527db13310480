/* Programs: found in our PATH, pinned, their #! line read.
 * Knows: grants, walking. Never: executes; reads more than the first 256 bytes of a file that may be executed. */
#include "policy/permit.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "policy/deny.h"
#include "policy/grant.h"
#include "policy/index.h"
#include "policy/recall.h"

#define LINE_MAX_BYTES 256       /* of a #! line, as the kernel has it */

/* ---- Finding ------------------------------------------------------------------------------------------------------------- */

/* May the file be executed by us? */
static int executable(const struct mw_walk *w) {
    char self[32];

    if (syscall(SYS_faccessat2, w->fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0) return 1;
    if (errno != EACCES) { /* an old kernel: by the descriptor's name */
        snprintf(self, sizeof self, "/proc/self/fd/%d", w->fd);
        if (faccessat(AT_FDCWD, self, X_OK, AT_EACCESS) == 0) return 1;
    }
    return errno != EACCES && (w->st.st_mode & 0111) != 0;
}

/* Walks to a file that may be executed. */
static int try(const struct mw_policy *p, const char *path, size_t cwd_len, struct mw_walk *w) {
    struct mw_policy *keeper = (struct mw_policy *)(uintptr_t)p; /* what is recalled changes no decision */
    int rc = 0;

    if (!mw_recall_walk(p->recall, path, MW_WALK_FOLLOW, 0, w)) {
        rc = mw_walk(path, cwd_len, MW_WALK_FOLLOW, NULL, w);
        if (rc < 0) return rc;
        mw_recall_keep(&keeper->recall, w);
    }
    rc = w->status;
    if (rc == 0 && !S_ISREG(w->st.st_mode)) rc = S_ISDIR(w->st.st_mode) ? -EISDIR : -EACCES;
    if (rc == 0 && !executable(w)) rc = -EACCES;
    if (rc < 0) mw_walk_end(w);
    return rc;
}

int mw_program_find(const struct mw_policy *p, const char *name, char path[MW_TRAIL_TEXT], struct mw_walk *w) {
    size_t cwd_len, len = strlen(name);
    int found = MW_ENOENT, rc;

    if (len == 0) return MW_ENOENT;
    if (strchr(name, '/') != NULL) {
        rc = mw_walk_absolute(name, path, MW_TRAIL_TEXT, &cwd_len);
        return rc < 0 ? rc : try(p, path, cwd_len, w);
    }
    if (len > NAME_MAX) return -ENAMETOOLONG;
    for (const char *dir = p->path; *dir != 0;) {
        size_t n = strcspn(dir, ":");
        if (n > 0 && dir[0] == '/' && n + len + 2 < MW_TRAIL_TEXT) { /* "" and relative folders would move with us */
            memcpy(path, dir, n);
            path[n] = '/';
            memcpy(path + n + 1, name, len + 1);
            rc = try(p, path, 0, w);
            if (rc == 0 || rc == -EMFILE || rc == -ENFILE || rc == MW_ENOMEM) return rc;
            if (rc == -EACCES && w->status == 0) found = rc; /* a file that may not be executed, not a folder out of reach */
        }
        dir += n;
        if (*dir == ':') dir++;
    }
    return found;
}

struct pin {
    const char *name;
    const struct mw_rule *rule;  /* the first that grants it */
};

static void pin(void *ud, const struct mw_rule *r) {
    struct pin *it = ud;
    if (it->rule == NULL && r->effect == MW_ALLOW && r->form == MW_FORM_PROGRAM && r->spot.fd >= 0 && strcmp(r->text, it->name) == 0) it->rule = r;
}

/* A grant that names `name` itself: what it pinned at the start is what is run, so PATH is searched once. */
static const struct mw_rule *pinned(const mw_policy *p, const char *name) {
    struct pin it = {name, NULL};
    int k;

    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next)
        for (unsigned i = 0; (k = mw_kind_next(MW_RUN, i)) >= 0; i++) {
            if (l->index[k] != NULL) mw_index_written(l->index[k], name, pin, &it);
            else
                for (const struct mw_rule *r = l->rules[k]; r != NULL; r = r->next) pin(&it, r);
            if (it.rule != NULL) return it.rule;
        }
    return NULL;
}

/* ---- Deciding ------------------------------------------------------------------------------------------------------------ */

static int is_denial_of(const struct mw_policy *p, const struct mw_target *t) {
    struct mw_decision d;

    mw_decide(p, t, &d);
    return d.verdict == MW_NO && d.rule != NULL && d.rule->form == MW_FORM_PROGRAM;
}

/* A found file: what the policy says, and what runs if it says yes. */
struct candidate {
    int fd;                      /* O_PATH, ours */
    struct mw_node node;
    char path[PATH_MAX];         /* as found */
    char real[PATH_MAX];         /* without links */
    int own;                     /* 1: the path is the asking script's words, not a rule's or PATH's */
};

static int candidate_of_walk(const char *path, struct mw_walk *w, struct candidate *c) {
    if (strlen(path) >= sizeof c->path || w->trail.len >= sizeof c->real) return -ENAMETOOLONG;
    memcpy(c->path, path, strlen(path) + 1);
    memcpy(c->real, w->trail.text, w->trail.len + 1);
    c->node = w->trail.step[w->trail.count - 1].node;
    c->fd = w->fd;
    w->fd = -1;
    return 0;
}

static int candidate_of_rule(const struct mw_rule *r, struct candidate *c) {
    if (r->spot.place.len >= sizeof c->real || strlen(r->name) >= sizeof c->path) return -ENAMETOOLONG;
    memcpy(c->path, r->name, strlen(r->name) + 1);
    memcpy(c->real, r->spot.place.text, r->spot.place.len + 1);
    c->node = r->spot.node;
    c->fd = fcntl(r->spot.fd, F_DUPFD_CLOEXEC, 3);
    return c->fd < 0 ? -errno : 0;
}

static int find(const struct mw_policy *p, const char *name, int dirfd, struct candidate *c) {
    const struct mw_rule *r = name[0] == '/' || strchr(name, '/') == NULL ? pinned(p, name) : NULL;
    char path[MW_TRAIL_TEXT], self[32];
    struct mw_walk w;
    struct stat st;
    int rc;

    c->own = 0;
    /* By its path, as it was granted: while that still leads to what was pinned. */
    if (r != NULL && name[0] == '/' && (stat(name, &st) < 0 || st.st_dev != r->spot.node.dev || st.st_ino != r->spot.node.ino)) r = NULL;
    if (r != NULL) return candidate_of_rule(r, c);
    if (strchr(name, '/') == NULL || name[0] == '/' || dirfd == AT_FDCWD) {
        rc = mw_program_find(p, name, path, &w);
    } else {
        ssize_t n;
        snprintf(self, sizeof self, "/proc/self/fd/%d", dirfd);
        n = readlink(self, path, PATH_MAX - 1);
        if (n < 0) return -errno;
        path[n] = 0;
        if (path[0] != '/' || (size_t)n + strlen(name) + 2 > sizeof path) return -ENAMETOOLONG;
        path[n] = '/';
        memcpy(path + n + 1, name, strlen(name) + 1);
        rc = try(p, path, (size_t)n, &w);
    }
    if (rc < 0) return rc;
    rc = candidate_of_walk(path, &w, c);
    c->own = strchr(name, '/') != NULL;
    mw_walk_end(&w);
    return rc;
}

/* Is a name that leads nowhere one that a grant could have meant? Then its absence is no secret. */
static int names_rule(const struct mw_rule *r, const void *ud) {
    const char *name = ud;
    return r->form == MW_FORM_EVERY || (r->text != NULL && strcmp(r->text, name) == 0) || (r->name != NULL && strcmp(r->name, name) == 0);
}

int mw_program_told(int code) {
    return code < 0 && code != MW_ENOMEM && code != -EMFILE && code != -ENFILE && code != MW_EAGAIN;
}

int mw_program_named(const struct mw_policy *p, const char *name) {
    return mw_decide_any(p, MW_RUN, names_rule, name);
}

/* ---- The #! line --------------------------------------------------------------------------------------------------------- */

/* Reads the first line of a #! file. 1: it is one, interpreter and arg (either may be lent from line); 0: it is none, or may not be read. */
static int read_line(int fd, char line[LINE_MAX_BYTES + 1], char **interpreter, char **arg) {
    char self[32], *p, *end;
    ssize_t n = 0, more;
    int in, error;

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    in = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (in < 0) return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0; /* not readable: the kernel looks */
    do {
        more = pread(in, line + n, (size_t)(LINE_MAX_BYTES - n), n);
        if (more > 0) n += more;
    } while ((more > 0 && n < LINE_MAX_BYTES) || (more < 0 && errno == EINTR));
    error = errno;
    close(in);
    if (more < 0) return -error; /* its interpreter is not known, nor whether that is denied */
    if (n < 2 || line[0] != '#' || line[1] != '!') return 0;
    line[n] = 0;
    end = memchr(line, '\n', (size_t)n);
    if (end == NULL && n == LINE_MAX_BYTES) return -ENOEXEC; /* a cut name would be another one */
    if (end == NULL) end = line + n;
    *end = 0;
    if (strlen(line) != (size_t)(end - line)) return -ENOEXEC;
    while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) *--end = 0;
    p = line + 2;
    p += strspn(p, " \t");
    if (*p == 0) return -ENOEXEC;
    *interpreter = p;
    p += strcspn(p, " \t");
    if (*p != 0) *p++ = 0;
    *arg = p + strspn(p, " \t");
    return 1;
}

/* What changed less than this ago may change again without another ctime. */
#define SETTLED_S 3

/* read_line of a program that `rule` (or NULL) names: what was no script stays none until the file changes. */
static int first_line(int fd, const struct mw_rule *rule, char line[LINE_MAX_BYTES + 1], char **interpreter, char **arg) {
    struct mw_rule *keeper = (struct mw_rule *)(uintptr_t)rule; /* what is kept changes no decision */
    struct timespec now;
    struct stat st;
    int rc, known = keeper != NULL && keeper->spot.known && fstat(fd, &st) == 0 && st.st_ino == keeper->spot.node.ino && st.st_dev == keeper->spot.node.dev;

    if (known && keeper->binary.sec == st.st_ctim.tv_sec && keeper->binary.nsec == st.st_ctim.tv_nsec && keeper->binary.size == st.st_size) return 0;
    rc = read_line(fd, line, interpreter, arg);
    if (!known || rc != 0 || clock_gettime(CLOCK_REALTIME, &now) < 0 || now.tv_sec < st.st_ctim.tv_sec + SETTLED_S) return rc;
    keeper->binary.sec = st.st_ctim.tv_sec;
    keeper->binary.nsec = st.st_ctim.tv_nsec;
    keeper->binary.size = st.st_size;
    return 0;
}

static int is_env(const char *path) {
    return strcmp(path, "/usr/bin/env") == 0 || strcmp(path, "/bin/env") == 0;
}

/* Puts the interpreter of the script `c` in its place. */
static int interpret(mw_policy *p, struct candidate *c, char line[LINE_MAX_BYTES + 1], char *interpreter, const char *arg, const char *op,
                     struct mw_program *out, struct mw_err *err) {
    struct candidate i;
    struct mw_target t = {.kind = MW_RUN, .port = MW_ANY_PORT};
    struct stat st;
    char *unused;
    int rc, plain_env = is_env(interpreter) && arg[0] != 0 && arg[0] != '-' && strpbrk(arg, " \t=/") == NULL;

    if (is_env(interpreter) && !plain_env && p->denials[MW_RUN] > 0) return mw_err_set(err, -ENOEXEC, op, c->path, "its #! line hides the interpreter that a denial could name");
    if (interpreter[0] != '/') return mw_err_set(err, -ENOEXEC, op, c->path, "its #! line names no absolute path");
    i.fd = -1;
    rc = find(p, plain_env ? arg : interpreter, AT_FDCWD, &i);
    if (rc == MW_ENOENT) return mw_err_setf(err, rc, op, c->path, "its interpreter %s does not exist", plain_env ? arg : interpreter);
    if (rc < 0) return mw_err_set(err, rc, op, c->path, NULL);
    t.node = &i.node;
    t.program = i.real;
    if (is_denial_of(p, &t)) {
        close(i.fd);
        return mw_decide_or_ask(err, p, op, MW_RUN, i.path, &t);
    }
    if (stat(c->path, &st) < 0 || st.st_dev != c->node.dev || st.st_ino != c->node.ino) {
        close(i.fd);
        return mw_err_set(err, -ESTALE, op, c->path, "replaced while it was looked at");
    }
    /* No cage bounds what a trusted interpreter finds when it looks the name up once more: not by a name that a script made up, which
     * may be a link in a folder that it can write in. */
    snprintf(out->script, sizeof out->script, "%s", out->trusted_by_rule && c->own ? c->real : c->path);
    out->script_dev = c->node.dev;
    out->script_ino = c->node.ino;
    snprintf(out->arg, sizeof out->arg, "%s", plain_env ? "" : arg);
    close(c->fd);
    *c = i;
    rc = read_line(c->fd, line, &unused, &unused);
    return rc == 1 ? mw_err_set(err, -ENOEXEC, op, out->script, "its interpreter is a #! file itself") : 0;
}

/* ---- The face ------------------------------------------------------------------------------------------------------------ */

/* Finds the program and decides about running it. 0, or why it is not found. */
static int decide(const struct mw_policy *p, const char *name, int dirfd, struct candidate *c, struct mw_target *t, struct mw_decision *d) {
    int missing = find(p, name, dirfd, c);

    if (missing == 0) {
        t->node = &c->node;
        t->program = c->real;
    }
    mw_decide(p, t, d);
    if (missing < 0 && d->verdict != MW_NO && mw_program_named(p, name)) d->verdict = MW_YES;
    return missing;
}

int mw_program_decide(const struct mw_policy *p, const char *name, enum mw_kind kind, struct mw_decision *d) {
    struct mw_target t = {.kind = MW_RUN, .port = MW_ANY_PORT};
    struct candidate c;
    int rc;

    c.fd = -1;
    rc = strlen(name) >= PATH_MAX ? -ENAMETOOLONG : decide(p, name, AT_FDCWD, &c, &t, d);
    if (rc == 0 && kind == MW_TRUST && d->verdict == MW_YES) {
        t.kind = MW_TRUST;
        mw_decide(p, &t, d);
    }
    if (c.fd >= 0) close(c.fd);
    return rc;
}

/* Does a rule say so, beside a layer that grants everything? */
static int is_trusted_by_rule(const struct mw_policy *p, const struct mw_target *t) {
    struct mw_fit fit;

    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next)
        for (const struct mw_rule *r = l->rules[MW_TRUST]; r != NULL; r = r->next) {
            mw_match(r, t, &fit);
            if (r->effect == MW_ALLOW && fit.plain > 0) return 1;
        }
    return 0;
}

int mw_permit_exec(mw_policy *p, const char *name, int dirfd, const char *op, struct mw_program *out, struct mw_err *err) {
    struct candidate c;
    struct mw_target t = {.kind = MW_RUN, .port = MW_ANY_PORT};
    struct mw_decision d;
    const struct mw_rule *rule;
    char line[LINE_MAX_BYTES + 1], *interpreter = NULL, *arg = NULL;
    int missing, rc;

    c.fd = out->fd = -1;
    out->path[0] = out->script[0] = out->arg[0] = 0; /* not all of it: it is large */
    out->script_dev = 0;
    out->script_ino = 0;
    out->trusted = out->trusted_by_rule = 0;
    if (name[0] == 0) return mw_err_set(err, MW_EINVAL, op, name, "the program's name is empty");
    if (strlen(name) >= PATH_MAX) return mw_err_set(err, -ENAMETOOLONG, op, name, NULL);
    missing = decide(p, name, dirfd, &c, &t, &d);
    rc = d.verdict == MW_YES && p->audit_fd < 0 ? 0 : mw_settle(err, p, op, MW_RUN, name, &t, &d);
    if (rc < 0) goto done;
    if (missing < 0) return mw_err_set(err, missing, op, name, missing == MW_ENOENT ? "no such program" : NULL);
    memcpy(out->path, c.path, strlen(c.path) + 1);
    rule = d.rule;
    t.kind = MW_TRUST;
    mw_decide(p, &t, &d);
    out->trusted = d.verdict == MW_YES;
    out->trusted_by_rule = out->trusted && is_trusted_by_rule(p, &t);
    rc = first_line(c.fd, rule, line, &interpreter, &arg);
    if (rc < 0) rc = mw_err_set(err, rc, op, c.path, "its #! line cannot be used");
    if (rc == 1) {
        rc = interpret(p, &c, line, interpreter, arg, op, out, err);
        snprintf(out->path, sizeof out->path, "%s", c.path);
    }
    if (rc == 0) {
        out->fd = c.fd; /* given */
        c.fd = -1;
    }
done:
    if (c.fd >= 0) close(c.fd);
    return rc;
}

void mw_program_close(struct mw_program *it) {
    if (it->fd >= 0) close(it->fd);
    it->fd = -1;
}
