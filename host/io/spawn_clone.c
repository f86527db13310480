/* Spawning by clone(CLONE_VM|CLONE_VFORK|CLONE_PIDFD) on Linux: no page table is copied, so a parent with gigabytes of heap
 * spawns as fast as an empty one; the end is seen through a pidfd, so nobody's SIGCHLD handler is in the way.
 * Knows: io/spawn.h, Linux system calls, uv_poll. Never: allocates, locks or touches Lua between clone and exec.
 *
 * The child runs in our memory, on a stack of its own, while the calling thread stands still: it makes system calls only,
 * with what the parent prepared, and reports the step that failed through that same memory. errno is the parent's own. */
#include "io/spawn.h"
#include "io/warden.h"

#ifndef MW_SPAWN_UV

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/poll.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* The child is no sanitizer's: its stack is unknown to them, and it must not call into them. */
#define MW_BARE __attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread"), noinline))

/* Its interceptor takes the child for a process of its own, and undoes in our memory twice what it did once before. */
#ifdef __SANITIZE_THREAD__
int __clone(int (*)(void *), void *, int, void *, ...);
#define clone __clone
#endif

#define STACK_SIZE 16384      /* bytes; the child uses a few hundred */
#define SIGNALS 64            /* the kernel's; its sigset is one 64-bit word */
#define SIGSET_BYTES 8

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446    /* the same everywhere */
#endif
#define SET_FILTER 1          /* seccomp(2)'s SECCOMP_SET_MODE_FILTER */

enum step {
    STEP_NONE, STEP_GROUP, STEP_TTY, STEP_WARDEN, STEP_JOIN, STEP_CHDIR, STEP_FDS, STEP_LIMIT, STEP_SIGNALS, STEP_DEATH, STEP_PRIVILEGES,
    STEP_LANDLOCK, STEP_FILTER, STEP_EXEC
};

struct plan {
    const struct mw_spawn *s;
    int fds[MW_SPAWN_FDS];    /* a copy that the child may change */
    int exec_fd, ruleset;
    int parent;               /* our own number */
    uint32_t caps_head[2];    /* capset(2): version, process 0 */
    uint32_t caps[6];         /* effective, permitted, inheritable: low words, then high ones */
    struct rlimit nofile;
    uint64_t no_signals;      /* 0: the mask that the program starts with */
    uint64_t by_default[4];   /* an empty sigaction of the kernel's shape */
    struct mw_warden_word word;
    volatile int step, error; /* the child's report */
    volatile int resource;    /* with STEP_LIMIT: which */
};

/* Group, terminal, warden. 0, or the step that failed. */
MW_BARE static int child_group(struct plan *p) {
    const struct mw_spawn *s = p->s;

    if (s->flags & MW_SPAWN_SESSION) {
        if (syscall(SYS_setsid) < 0) return STEP_GROUP;
    } else if (syscall(SYS_setpgid, 0, 0) < 0) {
        return STEP_GROUP;
    }
    p->word.group = (int32_t)syscall(SYS_getpid);
    if (s->flags & MW_SPAWN_FOREGROUND) {
        if (syscall(SYS_ioctl, s->tty_fd, TIOCSPGRP, &p->word.group) < 0) return STEP_TTY;
    }
    if (s->warden_fd >= 0 && syscall(SYS_write, s->warden_fd, &p->word, sizeof p->word) < 0) return STEP_WARDEN;
    return 0;
}

/* Where close_range(2) cannot mark them (Linux before 5.11, a filter that does not know it): each one that proc(5) names, from `first` on. */
MW_BARE static int mark_each(int first) {
    _Alignas(struct dirent) char page[1024];
    long n, at;
    int error = errno, dir = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    if (dir < 0) {
        errno = error;
        return STEP_FDS;
    }
    while ((n = syscall(SYS_getdents64, dir, page, sizeof page)) > 0) {
        for (at = 0; at < n; at += ((struct dirent *)(page + at))->d_reclen) {
            const char *name = ((struct dirent *)(page + at))->d_name;
            int fd = 0;
            while (*name >= '0' && *name <= '9') fd = fd * 10 + *name++ - '0';
            if (*name == '\0' && fd >= first && syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC) < 0) return STEP_FDS;
        }
    }
    return n < 0 ? STEP_FDS : 0;
}

/* Lays out the descriptors 0..count-1; everything else closes at exec. */
MW_BARE static int child_fds(struct plan *p) {
    int count = p->s->count, i;

    /* First out of the way whatever lies where another has to go. */
    if (p->exec_fd < count) p->exec_fd = (int)syscall(SYS_fcntl, p->exec_fd, F_DUPFD_CLOEXEC, count);
    if (p->exec_fd < 0) return STEP_FDS;
    if (p->ruleset >= 0 && p->ruleset < count) {
        p->ruleset = (int)syscall(SYS_fcntl, p->ruleset, F_DUPFD_CLOEXEC, count);
        if (p->ruleset < 0) return STEP_FDS;
    }
    for (i = 0; i < count; i++) {
        if (p->fds[i] < 0 || p->fds[i] >= count || p->fds[i] == i) continue;
        p->fds[i] = (int)syscall(SYS_fcntl, p->fds[i], F_DUPFD_CLOEXEC, count);
        if (p->fds[i] < 0) return STEP_FDS;
    }
    for (i = 0; i < count; i++) {
        if (p->fds[i] < 0) {
            syscall(SYS_close, i);
        } else if (p->fds[i] == i) {
            if (syscall(SYS_fcntl, i, F_SETFD, 0) < 0) return STEP_FDS;
        } else if (syscall(SYS_dup3, p->fds[i], i, 0) < 0) {
            return STEP_FDS;
        }
    }
    return syscall(SYS_close_range, (unsigned)count, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? mark_each(count) : 0;
}

MW_BARE static int child_limits(struct plan *p) {
    const struct mw_spawn *s = p->s;
    struct rlimit limit;
    int i;

    p->resource = RLIMIT_NOFILE;
    if (s->nofile != 0 && syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &p->nofile, NULL) < 0) return STEP_LIMIT;
    for (i = 0; i < s->limit_count; i++) {
        p->resource = s->limits[i].resource;
        limit.rlim_cur = s->limits[i].soft;
        limit.rlim_max = s->limits[i].hard;
        if (syscall(SYS_prlimit64, 0, p->resource, &limit, NULL) < 0) return STEP_LIMIT;
    }
    return 0;
}

/* Everything ignored or handled becomes the default again, then signals may come. */
MW_BARE static int child_signals(struct plan *p) {
    int i;

    for (i = 1; i <= SIGNALS; i++) {
        if (i != SIGKILL && i != SIGSTOP) syscall(SYS_rt_sigaction, i, p->by_default, NULL, SIGSET_BYTES);
    }
    return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &p->no_signals, NULL, SIGSET_BYTES) < 0 ? STEP_SIGNALS : 0;
}

/* The cage. What comes after the last line is the filter's to allow: execveat, execve, exit_group. */
MW_BARE static int child_confine(const struct plan *p) {
    const struct mw_spawn *s = p->s;

    if (s->death_signal != 0) {
        if (syscall(SYS_prctl, PR_SET_PDEATHSIG, s->death_signal, 0, 0, 0) < 0) return STEP_DEATH;
        if (syscall(SYS_getppid) != p->parent) {         /* it ended before that: nobody is there to send the signal */
            errno = ESRCH;
            return STEP_DEATH;
        }
    }
    if (!s->confine) return 0;
    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return STEP_PRIVILEGES;
    if (p->caps_head[0] != 0 && syscall(SYS_capset, p->caps_head, p->caps) < 0) return STEP_PRIVILEGES;
    if (p->ruleset >= 0 && syscall(SYS_landlock_restrict_self, p->ruleset, 0) < 0) return STEP_LANDLOCK;
    if (s->filter != NULL && syscall(SYS_seccomp, SET_FILTER, 0, s->filter) < 0) return STEP_FILTER;
    return 0;
}

/* By the descriptor; where that fails, through its name: valgrind's execveat asks for the file's own name, and a file in memory
 * has none. Sets errno. */
MW_BARE static void child_exec(const struct plan *p) {
    char name[32] = "/proc/self/fd/", digits[12];
    int n = 0, len = 14, fd = p->exec_fd, error;

    syscall(SYS_execveat, fd, "", p->s->argv, p->s->envp, AT_EMPTY_PATH);
    error = errno;
    if (error != ENOENT && error != ENOSYS) return;
    do digits[n++] = (char)('0' + fd % 10);
    while ((fd /= 10) > 0);
    while (n > 0) name[len++] = digits[--n];
    syscall(SYS_execve, name, p->s->argv, p->s->envp);
    if (errno == ENOENT || p->s->confine) errno = error; /* a cage refuses the second name: that says nothing of the file */
}

MW_BARE static int child_main(void *arg) {
    struct plan *p = arg;
    const struct mw_spawn *s = p->s;
    int step;

    if (s->sched != NULL) syscall(SYS_sched_setattr, 0, s->sched, 0);    /* it was the calling thread's: it cannot be refused */
    step = child_group(p);

    if (step == 0 && s->join_fd > 0 && syscall(SYS_write, s->join_fd, "0", 1) != 1) step = STEP_JOIN;
    if (step == 0 && s->cwd_fd >= 0 && syscall(SYS_fchdir, s->cwd_fd) < 0) step = STEP_CHDIR;
    if (step == 0) step = child_fds(p);
    if (step == 0 && (s->flags & MW_SPAWN_TTY) && syscall(SYS_ioctl, 0, TIOCSCTTY, 0) < 0) step = STEP_TTY;
    if (step == 0) step = child_limits(p);
    if (step == 0) step = child_signals(p);
    if (step == 0) step = child_confine(p);
    if (step == 0) {
        child_exec(p);
        step = STEP_EXEC;
    }
    p->error = errno;
    p->step = step;
    for (;;) syscall(SYS_exit_group, 127);
    return 0;
}

static const char *limit_name(int resource) {
    switch (resource) {
    case RLIMIT_AS: return "memory";
    case RLIMIT_CPU: return "processor time";
    case RLIMIT_NOFILE: return "open files";
    case RLIMIT_NPROC: return "processes";
    case RLIMIT_CORE: return "core files";
    default: return "a resource";
    }
}

static int exec_error(const struct mw_spawn *s, int error, struct mw_err *err) {
    int i, rc = -error;

    switch (error) {
    case ENOENT: return mw_err_set(err, rc, s->op, s->path, "its loader or interpreter is missing");
    case ENOEXEC: return mw_err_set(err, rc, s->op, s->path, "no program: a script needs a first line such as #!/bin/sh");
    case E2BIG: return mw_err_set(err, rc, s->op, s->path, "arguments and environment are too long for the kernel");
    case EACCES:
        if (s->confine) return mw_err_set(err, rc, s->op, s->path, "no program, or its cage does not let it or its loader run");
        break;
    case ENOMEM:
        for (i = 0; i < s->limit_count; i++) {
            if (s->limits[i].resource == RLIMIT_AS) return mw_err_set(err, rc, s->op, s->path, "it does not fit into its limit of memory");
        }
        break;
    default: break;
    }
    return mw_err_set(err, rc, s->op, s->path, NULL);
}

static int clone_error(const struct mw_spawn *s, int rc, struct mw_err *err) {
    if (rc != -EINVAL) return mw_err_set(err, rc, s->op, s->path, NULL);
    return mw_err_set(err, -ENOSYS, s->op, s->path, "this kernel gives no descriptor of a process (CLONE_PIDFD, Linux 5.4)");
}

static const char *step_words(int step, int error) {
    switch (step) {
    case STEP_TTY: return "its terminal";
    case STEP_WARDEN: return "the warden does not listen";
    case STEP_JOIN: return "its limit of processes: it cannot enter its control group";
    case STEP_FDS: return "its descriptors";
    case STEP_GROUP: return "its group";
    case STEP_DEATH: return "the signal that ends it with its parent";
    case STEP_PRIVILEGES: return "its cage: privileges cannot be given up for good";
    case STEP_LANDLOCK: return error == E2BIG ? "its cage: Landlock nests no deeper than 16 layers" : "its cage: Landlock's rules cannot be put on";
    case STEP_FILTER: return "its cage: the filter of system calls cannot be put on";
    default: return "its signals";
    }
}

static int step_error(const struct mw_spawn *s, const struct plan *p, struct mw_err *err) {
    int step = p->step, rc = -p->error;

    switch (step) {
    case STEP_CHDIR: return mw_err_setf(err, rc, s->op, s->cwd, "cannot be the working directory: %s", mw_err_words(rc));
    case STEP_EXEC: return exec_error(s, p->error, err);
    case STEP_LIMIT: return mw_err_setf(err, rc, s->op, s->path, "its limit of %s: %s", limit_name(p->resource), mw_err_words(rc));
    default: return mw_err_setf(err, rc, s->op, s->path, "%s: %s", step_words(step, p->error), mw_err_words(rc));
    }
}

/* ---- Its end ------------------------------------------------------------------------------------------------------------ */

/* What the kernel keeps of an end that somebody else took (Linux 6.15 and later); our headers may be older. */
struct pidfd_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
    uint32_t coredump_mask, spare;
};
#define INFO_EXIT (1ull << 3)
#define INFO_GET _IOWR(0xFF, 11, struct pidfd_info)

static void exit_from_status(struct mw_exit *e, int status) {
    e->known = 1;
    e->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    e->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Takes the end. 1: it has ended and c->exit is filled; 0: it still runs. Never blocks unless `block`. */
static int take(struct mw_child *c, int block) {
    siginfo_t info;
    struct pidfd_info kept;
    long rc;

    memset(&info, 0, sizeof info);
    do {
        rc = syscall(SYS_waitid, P_PIDFD, c->pidfd, &info, WEXITED | __WALL | (block ? 0 : WNOHANG), &c->exit.usage);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno == EAGAIN) return 0;             /* uv_poll made the pidfd non-blocking */
    if (rc == 0 && info.si_pid == 0) return 0;

    c->running = 0;
    c->exit.code = -1;
    if (rc == 0) {
        c->exit.known = c->exit.has_usage = 1;
        if (info.si_code == CLD_EXITED) c->exit.code = info.si_status & 0xff;
        else c->exit.signal = info.si_status;
        return 1;
    }
    memset(&kept, 0, sizeof kept);                       /* ECHILD: somebody else reaped it */
    kept.mask = INFO_EXIT;
    if (ioctl(c->pidfd, INFO_GET, &kept) == 0 && (kept.mask & INFO_EXIT)) exit_from_status(&c->exit, kept.exit_code);
    return 1;
}

/* 1: it is dead, or taken by somebody else; its number is its own until `take`. Where waitid does not know descriptors, or is refused,
 * the descriptor itself tells. */
static int dead(struct mw_child *c) {
    struct pollfd end = { .fd = c->pidfd, .events = POLLIN };
    siginfo_t info;

    memset(&info, 0, sizeof info);
    if (waitid((idtype_t)P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0) return info.si_pid != 0;
    return errno == ECHILD || (errno != EINTR && poll(&end, 1, 0) > 0);
}

int mw_child_poll(struct mw_child *c) {
    int watched = c->watching;

    if (!c->running || !dead(c)) return c->running;
    if (c->ending != NULL) c->ending(c);
    if (!take(c, 0)) return 1;
    c->ended(c);
    if (watched && c->watching) uv_poll_stop(&c->at.poll);   /* not closed by then; a watched one is there until the loop turns */
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    mw_child_poll(poll->data);
}

/* ---- The parent --------------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static int clone_it(struct plan *p, struct mw_child *c) {
    char stack[STACK_SIZE] __attribute__((aligned(16)));
    uint64_t all = ~0ull, mask;
    int pid, error;

    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, SIGSET_BYTES);
    /* No exit signal until it is the program (exec brings SIGCHLD): a failed attempt disturbs no handler. */
    pid = clone(child_main, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD, p, &c->pidfd);
    error = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, SIGSET_BYTES);
    return pid < 0 ? -error : pid;
}

/* What a confined child keeps of a superuser's powers: those over files, which the cage bounds, over its own identity and its own
 * children, and low ports. Without the others it cannot raise its limits (CAP_SYS_RESOURCE) or set up the network through an
 * ordinary socket (CAP_NET_ADMIN). no_new_privs keeps exec from giving them back. Nothing to do for an ordinary user. */
#define CAP_CHOWN 0
#define CAP_DAC_OVERRIDE 1
#define CAP_DAC_READ_SEARCH 2
#define CAP_FOWNER 3
#define CAP_FSETID 4
#define CAP_KILL 5
#define CAP_SETGID 6
#define CAP_SETUID 7
#define CAP_NET_BIND_SERVICE 10
#define CAPS_KEPT (1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER | 1u << CAP_FSETID | \
                   1u << CAP_KILL | 1u << CAP_SETGID | 1u << CAP_SETUID | 1u << CAP_NET_BIND_SERVICE)
#define CAPS_VERSION 0x20080522u          /* _LINUX_CAPABILITY_VERSION_3 */

static int plan_caps(struct plan *p) {
    int i;

    p->caps_head[0] = CAPS_VERSION;
    if (syscall(SYS_capget, p->caps_head, p->caps) < 0) return -errno;
    if ((p->caps[1] & ~CAPS_KEPT) == 0 && p->caps[4] == 0 && (p->caps[2] | p->caps[5]) == 0) {
        p->caps_head[0] = 0;                             /* there is nothing to give up */
        return 0;
    }
    for (i = 0; i < 6; i++) p->caps[i] &= i < 2 ? CAPS_KEPT : 0;
    return 0;
}

static int watch(uv_loop_t *loop, struct mw_child *c) {
    int rc = uv_poll_init(loop, &c->at.poll, c->pidfd);

    if (rc < 0) return rc;
    c->watching = 1;
    c->at.poll.data = c;
    return mw_poll_start(&c->at.poll, UV_READABLE, on_poll);
}

int mw_child_start(uv_loop_t *loop, const struct mw_spawn *s, struct mw_child *c, void (*ending)(struct mw_child *),
                   void (*ended)(struct mw_child *), struct mw_err *err) {
    struct plan plan;
    int i, rc;

    memset(&plan, 0, sizeof plan);
    memset(&c->exit, 0, sizeof c->exit);
    c->pid = 0;
    c->running = c->watching = 0;
    c->pidfd = -1;
    c->ending = ending;
    c->ended = ended;
    c->closed = NULL;
    if (s->count > MW_SPAWN_FDS) return mw_err_set(err, MW_EINVAL, s->op, s->path, "too many descriptors");

    plan.s = s;
    plan.word.op = MW_WARDEN_ADD;
    plan.exec_fd = s->exec_fd;
    plan.ruleset = s->confine ? s->ruleset : -1;
    plan.parent = getpid();
    for (i = 0; i < s->count; i++) plan.fds[i] = s->fds[i];
    rc = s->confine ? plan_caps(&plan) : 0;
    if (rc < 0) return mw_err_setf(err, rc, s->op, s->path, "its cage: privileges cannot be told: %s", mw_err_words(rc));
    if (s->nofile != 0) {
        getrlimit(RLIMIT_NOFILE, &plan.nofile);
        plan.nofile.rlim_cur = s->nofile < plan.nofile.rlim_max ? s->nofile : plan.nofile.rlim_max;
    }

    rc = clone_it(&plan, c);
    if (rc < 0) return clone_error(s, rc, err);
    c->pid = rc;
    if (c->pidfd < 0) {                                  /* the kernel took the flag for one that means nothing */
        mw_group_signal(c->pid, SIGKILL);
        waitpid(c->pid, NULL, __WALL);
        return clone_error(s, -EINVAL, err);
    }
    c->running = 1;
    c->untold = 0;
    if (plan.step != STEP_NONE) {
        take(c, 1);                                      /* it has ended already: this does not wait */
        return step_error(s, &plan, err);
    }
    rc = watch(loop, c);
    if (rc < 0) {                                        /* a program that nobody watches must not run */
        mw_group_signal(c->pid, SIGKILL);
        mw_child_end(c);
        return mw_err_set(err, rc, s->op, s->path, NULL);
    }
    return 0;
}

int mw_child_signal(struct mw_child *c, int signal) {
    if (!c->running) return -ESRCH;
    if (syscall(SYS_pidfd_send_signal, c->pidfd, signal, NULL, 0) == 0) return 0;
    if (errno == ENOSYS) return kill(c->pid, signal) < 0 ? -errno : 0;   /* not reaped yet: the number is still its own */
    return -errno;
}

void mw_child_end(struct mw_child *c) {
    if (!c->running) return;
    mw_child_signal(c, SIGKILL);
    fcntl(c->pidfd, F_SETFL, 0);                         /* uv_poll made it non-blocking */
    take(c, 1);
}

static void on_closed(uv_handle_t *handle) {
    struct mw_child *c = handle->data;

    c->closed(c);
}

void mw_child_close(struct mw_child *c, void (*closed)(struct mw_child *)) {
    int fd = c->pidfd;

    c->closed = closed;
    c->pidfd = -1;
    if (!c->watching) {
        if (fd >= 0) close(fd);
        closed(c);
        return;
    }
    c->watching = 0;
    uv_close(&c->at.handle, on_closed);                  /* leaves epoll here, so the descriptor may go now */
    close(fd);
}

#endif
