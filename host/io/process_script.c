/* Script children: this program again with another script, and the sealed memfd that tells it what it may.
 * Knows: io/process_parts.h, policy, memfd. Never: widens a right: what a child gets is a copy of ours, narrowed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/spin.h"
#include "io/process_parts.h"
#include "policy/save.h"

enum { BIRTH_STDIO = 1, BIRTH_SOCKET = 2, BIRTH_HOME = 4, BIRTH_AUDIT = 8, BIRTH_MODULES = 16, BIRTH_CAGED = 32, BIRTH_FLAGS = 64,
       BIRTH_TRACE = 128 };
enum { SCRIPT_FD = 4, PARENT_FD = 5, HOME_FD = 6, AUDIT_FD = 7, TRACE_FD = 8, SHARED_FD = 9 };   /* in the child, beside MW_BIRTH_FD */

/* What stands before what is shared and the policy. */
struct header {
    char magic[8];
    uint32_t version, flags;
    int32_t script_fd, parent_fd, home_fd, audit_fd;
    uint32_t share_count, share_bytes;
    int32_t notify_fd, spin_us;
    uint32_t trace_format, trace_colour;
    uint64_t trace_payload, trace_max;
    struct mw_limits limits;         /* the parent's own: a child has no more */
};
static const char magic[8] = { 'm', 'w', 'b', 'i', 'r', 't', 'h', '\n' };
#define VERSION 10u
#define BIRTH_MAX (24 << 20)       /* bytes */

#ifdef F_ADD_SEALS
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#endif

/* ---- Rights ----------------------------------------------------------------------------------------------------------------- */

int mw_process_narrow(mw_host *h, const char *op, const struct mw_grant_wish *wishes, size_t count, int inherit, mw_policy **out,
                      struct mw_err *err) {
    mw_policy *p = NULL;
    size_t i;
    int rc = mw_policy_copy(mw_host_policy(h), &p, err);

    for (i = 0; rc == 0 && !inherit && i < count; i++) {
        if (wishes[i].inherit) continue;
        rc = mw_policy_covers(p, wishes[i].kind, wishes[i].rule, err);
        if (rc == MW_EDENIED) {
            const char *rule = wishes[i].rule != NULL ? wishes[i].rule : "everything";
            char subject[256];
            snprintf(subject, sizeof subject, "%s %s", mw_kind_name(wishes[i].kind), rule);
            mw_policy_refuse(mw_host_policy(h), mw_kind_name(wishes[i].kind), op, subject, "denied: a child gets at most what its parent has", err);
            mw_policy_grant_hint(mw_host_policy(h), wishes[i].kind, wishes[i].rule, "", err);
        }
    }
    if (rc == 0 && !inherit) rc = mw_policy_narrow(p, err);
    for (i = 0; rc == 0 && !inherit && i < count; i++) {
        rc = wishes[i].rule == NULL ? mw_policy_add(p, wishes[i].kind, MW_ALLOW, NULL, err)
                                    : mw_policy_add_one(p, wishes[i].kind, MW_ALLOW, wishes[i].rule, err);
    }
    if (rc < 0) mw_policy_free(p);
    else *out = p;
    return rc;
}

/* ---- The program and the script ------------------------------------------------------------------------------------------- */

/* Its own name, where it has one: /proc/self/exe says nothing of where it is installed. */
static int try_program(struct mw_processes *all, const char *path) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    char self[32], real[PATH_MAX];
    struct stat st, there;
    ssize_t n;

    if (fd < 0) return 0;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    n = readlink(self, real, sizeof real - 1);
    real[n > 0 ? n : 0] = '\0';
    if (fstat(fd, &st) < 0 || stat(real, &there) < 0 || st.st_dev != there.st_dev || st.st_ino != there.st_ino) n = 0;
    free(all->program);
    all->program = strdup(n > 0 ? real : path);
    if (all->program == NULL) close(fd);
    else all->program_fd = fd;
    return all->program != NULL;
}

/* An installed one: our own PATH, as the assembly's choice and not a script's. */
static int search_program(struct mw_processes *all) {
    const char *at = getenv("PATH"), *end;
    char path[4096];

    for (; at != NULL && *at != '\0'; at = *end == ':' ? end + 1 : end) {
        end = strchrnul(at, ':');
        if (*at != '/' || snprintf(path, sizeof path, "%.*s/moonwire", (int)(end - at), at) >= (int)sizeof path) continue;
        if (access(path, X_OK) == 0 && try_program(all, path)) return 1;
    }
    return 0;
}

static int find_program(struct launch *l) {
    struct mw_processes *all = l->home;

    if (all->program_fd < 0 && all->program != NULL) {
        char *given = all->program;
        all->program = NULL;
        if (!try_program(all, given)) all->program = given;
        else free(given);
    }
    if (all->program_fd < 0 && all->program == NULL) search_program(all);
    if (all->program_fd < 0) {
        mw_err_set(l->err, MW_ENOENT, l->o->op, all->program != NULL ? all->program : "moonwire", "there is no moonwire program to run the script");
        return mw_err_hint(l->err, "install it, or set mw_config.program"), MW_ENOENT;
    }
    l->program.fd = fcntl(all->program_fd, F_DUPFD_CLOEXEC, 3);
    if (l->program.fd < 0) return mw_err_sys(l->err, l->o->op, all->program);
    snprintf(l->program.path, sizeof l->program.path, "%s", all->program);
    l->program.trusted = mw_policy_is_total(mw_host_policy(all->host));
    return 0;
}

/* The script's name made absolute: its own folder for modules must hold in another working directory too. */
static int full_name(struct launch *l, char *out, size_t size) {
    const char *path = l->o->argv[0], *dir = l->home->script_dir;
    char here[PATH_MAX] = "";
    int n;

    if (*path == '/') {
        n = snprintf(out, size, "%s", path);
    } else {
        if ((dir == NULL || *dir != '/') && getcwd(here, sizeof here) == NULL) return mw_err_sys(l->err, l->o->op, path);
        if (dir != NULL && strcmp(dir, ".") == 0) dir = NULL;
        n = snprintf(out, size, "%s%s%s/%s", here, dir != NULL && *here != '\0' ? "/" : "", dir != NULL ? dir : "", path);
    }
    return n >= (int)size ? mw_err_set(l->err, -ENAMETOOLONG, l->o->op, path, NULL) : 0;
}

/* Its right to be read, as for a module: what a read right covers, and *.lua below the folder of our own script. */
static int open_script(struct launch *l, const char *name) {
    int fd = -1, rc = mw_permit_module(mw_host_policy(l->home->host), name, l->o->op, &fd, l->err);

    return rc < 0 ? rc : mw_launch_own(l, fd);
}

/* ---- Its birth -------------------------------------------------------------------------------------------------------------- */

#ifdef SEALS
/* All of it, or -1 and errno. */
static int write_all(int fd, const char *at, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) at += n, len -= (size_t)n;
    }
    return 0;
}
#endif

static int write_birth(struct launch *l, const struct header *head, const struct mw_bytes *shares) {
#ifdef SEALS
    int fd = memfd_create("moonwire-birth", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;

    if (fd < 0) return mw_err_sys(l->err, l->o->op, l->o->argv[0]);
    mw_launch_own(l, fd);
    if (write_all(fd, (const char *)head, sizeof *head) < 0 || write_all(fd, mw_bytes_at(shares), mw_bytes_len(shares)) < 0) {
        return mw_err_sys(l->err, l->o->op, l->o->argv[0]);
    }
    rc = mw_policy_save(l->o->policy, fd, l->err);
    if (rc < 0) return rc;
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0 || lseek(fd, 0, SEEK_SET) < 0) return mw_err_sys(l->err, l->o->op, l->o->argv[0]);
    return fd;
#else
    (void)head;
    (void)shares;
    return mw_err_set(l->err, -ENOSYS, l->o->op, l->o->argv[0], "script children need sealed memory files, which this system has not");
#endif
}

static int parent_socket(struct launch *l) {
    int ends[2], rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return mw_err_sys(l->err, l->o->op, l->o->argv[0]);
    mw_launch_own(l, ends[1]);
    if (l->o->silent) {
        close(ends[0]);
        return ends[1];
    }
    rc = mw_stream_open(l->home->host, ends[0], ends[0], "process", l->o->argv[0], NULL, &l->p->duplex, l->err);
    if (rc == 0 && !l->o->detached) mw_stream_fleeting(l->p->duplex);
    return rc < 0 ? rc : ends[1];
}

static int make_argv(struct launch *l, const char *name) {
    static const char program[] = "moonwire", command[] = "child-script";
    int argc = l->o->argc, i;
    char *text;

    l->argv = malloc(((size_t)argc + 3) * sizeof *l->argv + strlen(name) + 1);
    if (l->argv == NULL) return mw_err_set(l->err, MW_ENOMEM, l->o->op, l->o->argv[0], NULL);
    text = (char *)(l->argv + argc + 3);
    memcpy(text, name, strlen(name) + 1);
    l->argv[0] = (char *)(uintptr_t)program;
    l->argv[1] = (char *)(uintptr_t)command;
    l->argv[2] = text;
    for (i = 1; i < argc; i++) l->argv[i + 2] = (char *)(uintptr_t)l->o->argv[i];
    l->argv[argc + 2] = NULL;
    return 0;
}

/* What it says goes where our own trace goes, so that both ends are seen. One that may outlive us says nothing. */
static void pass_trace(struct launch *l, struct header *head) {
    struct mw_trace *t = l->o->detached ? NULL : mw_host_trace(l->home->host);
    struct mw_trace_options o;
    int fd = t != NULL ? mw_trace_heir(t, &o) : -1;

    if (fd < 0) return;
    while (l->count < TRACE_FD) l->fds[l->count++] = -1;
    l->fds[TRACE_FD] = mw_launch_own(l, fd);
    l->count = TRACE_FD + 1;
    head->flags |= BIRTH_TRACE;
    head->trace_format = (uint32_t)o.format;
    head->trace_colour = (uint32_t)o.colour;
    head->trace_payload = o.payload;
    head->trace_max = o.max;
}

int mw_launch_script(struct launch *l) {
    const struct mw_process_options *o = l->o;
    struct header head = { .version = VERSION, .script_fd = SCRIPT_FD, .parent_fd = -1, .home_fd = -1, .audit_fd = -1, .notify_fd = -1 };
    struct mw_bytes shares = { 0 };
    char name[PATH_MAX];
    int fd, rc = full_name(l, name, sizeof name);

    if (rc < 0) return rc;
    memcpy(l->script_dir, name, strlen(name) + 1);
    *(strrchr(l->script_dir, '/') + 1) = '\0';                       /* absolute: there is one */
    fd = open_script(l, name);
    if (fd < 0) return fd;
    l->fds[SCRIPT_FD] = fd;
    rc = find_program(l);
    if (rc < 0) return rc;
    memcpy(head.magic, magic, sizeof magic);
    head.limits = *mw_host_limits_given(l->home->host);
    head.spin_us = mw_host_spin(l->home->host);
    l->count = SCRIPT_FD + 1;
    if (!o->pty && o->io[0].kind == MW_STDIO_STREAM && o->io[1].kind == MW_STDIO_STREAM) {
        head.flags = BIRTH_STDIO;
        l->p->parent_stdio = 1;
    } else {
        fd = parent_socket(l);
        if (fd < 0) return fd;
        head.flags = BIRTH_SOCKET;
        head.parent_fd = PARENT_FD;
        l->fds[PARENT_FD] = fd;
        l->count = PARENT_FD + 1;
    }
    if (l->private_fd >= 0) {                                        /* its own private directory lies in ours */
        while (l->count < HOME_FD) l->fds[l->count++] = -1;
        l->fds[HOME_FD] = l->private_fd;
        l->count = HOME_FD + 1;
        head.flags |= BIRTH_HOME;
        head.home_fd = HOME_FD;
    }
    if (mw_policy_audit_fd(mw_host_policy(l->home->host)) >= 0) {      /* into the same file */
        while (l->count < AUDIT_FD) l->fds[l->count++] = -1;
        l->fds[AUDIT_FD] = mw_policy_audit_fd(mw_host_policy(l->home->host));
        l->count = AUDIT_FD + 1;
        head.flags |= BIRTH_AUDIT;
        head.audit_fd = AUDIT_FD;
    }
    pass_trace(l, &head);
    /* Modules beside it are free for it if they are ours to read: a right to one file of a folder is none to its neighbours. */
    if (mw_policy_reads_modules(mw_host_policy(l->home->host), l->script_dir)) head.flags |= BIRTH_MODULES;
    else l->script_dir[0] = '\0';
    if (mw_host_hooks(l->home->host)->command_line) head.flags |= BIRTH_FLAGS;
    if (l->confined) head.flags |= BIRTH_CAGED;
    rc = mw_launch_shares(l, SHARED_FD, &shares);
    head.share_count = (uint32_t)o->share_count;
    head.share_bytes = (uint32_t)mw_bytes_len(&shares);
    if (rc == 0) rc = mw_launch_notify(l);
    if (l->notify_fd > 0) head.notify_fd = l->notify_fd;
    fd = rc < 0 ? rc : write_birth(l, &head, &shares);
    mw_bytes_free(&shares);
    if (fd < 0) return fd;
    l->fds[MW_BIRTH_FD] = fd;
    return make_argv(l, name);
}

/* ---- The child's side --------------------------------------------------------------------------------------------------------- */

static int odd(struct mw_err *err, const char *what) {
    return mw_err_set(err, MW_EINVAL, "child-script", NULL, what);
}

/* 1: all `len` bytes from `from` on. */
static int read_whole(int fd, void *at, size_t len, size_t from) {
    size_t had = 0;

    while (had < len) {
        ssize_t n = pread(fd, (char *)at + had, len - had, (off_t)(from + had));
        if (n == 0 || (n < 0 && errno != EINTR)) return 0;
        if (n > 0) had += (size_t)n;
    }
    return 1;
}

/* The rest of the file: what is shared, and the policy. */
static int read_rest(int fd, const struct header *head, struct mw_process_shares **shares, mw_policy **policy, struct mw_err *err) {
    struct mw_bytes in = { 0 };
    struct stat st;
    char *at;
    int rc = 0;

    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct header) || st.st_size > BIRTH_MAX) return odd(err, "what the parent decided has no size that could be right");
    at = mw_bytes_reserve(&in, (size_t)st.st_size, NULL);
    if (at == NULL) return mw_err_set(err, MW_ENOMEM, "child-script", NULL, NULL);
    mw_bytes_commit(&in, (size_t)st.st_size - sizeof(struct header));
    if (!read_whole(fd, at, mw_bytes_len(&in), sizeof(struct header))) rc = odd(err, "what the parent decided cannot be read");
    if (rc == 0 && head->share_bytes > mw_bytes_len(&in)) rc = odd(err, "what is shared is longer than all of it");
    if (rc == 0) rc = mw_shares_parse(mw_bytes_at(&in), head->share_bytes, head->share_count, shares, err);
    if (rc == 0) rc = mw_policy_parse(mw_bytes_at(&in) + head->share_bytes, mw_bytes_len(&in) - head->share_bytes, policy, err);
    mw_bytes_free(&in);
    if (rc < 0) {
        mw_process_shares_free(*shares);
        *shares = NULL;
    }
    return rc;
}

static int read_birth(int fd, struct mw_birth *out, mw_policy **policy, struct mw_err *err) {
    struct header head;

#ifdef SEALS
    int seals = fcntl(fd, F_GET_SEALS);                  /* -1: no memory file at all */

    if (seals < 0 || (seals & SEALS) != SEALS) return odd(err, "what the parent decided is not sealed: this command is for moonwire's own children");
#endif
    if (!read_whole(fd, &head, sizeof head, 0)) return odd(err, "what the parent decided cannot be read");
    if (memcmp(head.magic, magic, sizeof magic) != 0 || head.version != VERSION) return odd(err, "parent and child are of different versions");
    out->script_fd = head.script_fd;
    out->limits = head.limits;
    out->spin_us = head.spin_us;
    out->parent_fd = head.flags & BIRTH_SOCKET ? head.parent_fd : -1;
    out->parent_stdio = (head.flags & BIRTH_STDIO) != 0;
    out->home_fd = head.flags & BIRTH_HOME ? head.home_fd : -1;
    out->notify_fd = head.notify_fd;
    out->audit_fd = head.flags & BIRTH_AUDIT ? head.audit_fd : -1;
    out->trace_fd = head.flags & BIRTH_TRACE ? TRACE_FD : -1;
    out->trace = (struct mw_trace_options){ .format = (enum mw_trace_format)(head.trace_format & 3), .colour = head.trace_colour != 0,
                                            .payload = (size_t)head.trace_payload, .max = head.trace_max };
    out->modules = (head.flags & BIRTH_MODULES) != 0;
    out->caged = (head.flags & BIRTH_CAGED) != 0;
    out->command_line = (head.flags & BIRTH_FLAGS) != 0;
    if (out->audit_fd >= 0 && (out->audit_fd <= 2 || fcntl(out->audit_fd, F_SETFD, FD_CLOEXEC) < 0)) return odd(err, "the audit did not arrive");
    if (out->trace_fd >= 0 && fcntl(out->trace_fd, F_SETFD, FD_CLOEXEC) < 0) return odd(err, "the trace did not arrive");
    if (out->notify_fd >= 0 && (out->notify_fd <= 2 || fcntl(out->notify_fd, F_SETFD, FD_CLOEXEC) < 0)) return odd(err, "the way to say that it is ready did not arrive");
    if (out->script_fd >= 0 && (out->script_fd <= 2 || fcntl(out->script_fd, F_SETFD, FD_CLOEXEC) < 0)) return odd(err, "the script did not arrive");
    if (out->parent_fd >= 0 && (out->parent_fd <= 2 || fcntl(out->parent_fd, F_SETFD, FD_CLOEXEC) < 0)) return odd(err, "the line to the parent did not arrive");
    if (out->home_fd >= 0 && (out->home_fd <= 2 || fcntl(out->home_fd, F_SETFD, FD_CLOEXEC) < 0)) return odd(err, "the private directory did not arrive");
    out->shares = NULL;
    return read_rest(fd, &head, &out->shares, policy, err);
}

int mw_birth_read(int fd, struct mw_birth *out, mw_policy **policy, struct mw_err *err) {
    int rc = read_birth(fd, out, policy, err);

    close(fd);
    return rc;
}

int mw_process_parent(mw_host *h, int parent_fd, int parent_stdio, mw_stream **out, struct mw_err *err) {
    int in, to, null;

    if (!parent_stdio) return mw_stream_open(h, parent_fd, parent_fd, "process", "parent", NULL, out, err);
    in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    to = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0 || to < 0 || null < 0) {
        int rc = mw_err_sys(err, "process parent", "stdio");
        if (in >= 0) close(in);
        if (to >= 0) close(to);
        if (null >= 0) close(null);
        return rc;
    }
    dup2(null, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    close(null);
    return mw_stream_open(h, in, to, "process", "parent", NULL, out, err);
}
