/* Starting a program and seeing it end: one interface, two backends (clone(2) on Linux; uv_spawn, or with MW_SPAWN_UV).
 * Knows: base/err, uv.h, POSIX. Never: a name, the policy, the environment, a host: it takes what is open and ready. */
#ifndef MW_IO_SPAWN_H
#define MW_IO_SPAWN_H

#include <sys/resource.h>
#include <sys/types.h>
#include <uv.h>

#include "base/err.h"

#if !defined(__linux__) && !defined(MW_SPAWN_UV)
#define MW_SPAWN_UV 1
#endif

#define MW_SPAWN_FDS 64       /* descriptors that one child can be given, 0, 1 and 2 included */

enum mw_spawn_flag {
    MW_SPAWN_SESSION = 1,     /* a session of its own (always a group of its own) */
    MW_SPAWN_TTY = 2,         /* with a session: descriptor 0 becomes its controlling terminal */
    MW_SPAWN_FOREGROUND = 4   /* its group becomes the foreground group of the terminal `tty_fd` */
};

/* A resource limit of the child: soft and hard. See setrlimit(2). */
struct mw_spawn_limit {
    int resource;
    rlim_t soft, hard;
};

/* The argument of sched_setattr(2), its first version. */
struct mw_sched {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;   /* ns; of an ordinary thread runtime is its slice, since Linux 6.12; 0 before */
};

/* What to start. Only read during mw_child_start. */
struct mw_spawn {
    const char *op;           /* for errors: "process run" */
    const char *path;         /* the program's name, for errors */
    const char *cwd;          /* the directory's name, for errors; NULL: ours */
    int exec_fd;              /* the file to execute */
    int cwd_fd;               /* the directory to change into; -1: stay */
    char *const *argv;        /* NULL-terminated */
    char *const *envp;        /* NULL-terminated */
    const int *fds;           /* fds[i] becomes its descriptor i, whatever its flags; -1: closed. All others are closed */
    int count;                /* of fds: 0..MW_SPAWN_FDS */
    unsigned flags;           /* of enum mw_spawn_flag */
    int tty_fd;               /* with MW_SPAWN_FOREGROUND */
    rlim_t nofile;            /* its soft limit of descriptors; 0: ours */
    int warden_fd;            /* the child tells its group there before it becomes the program; -1: nobody is told */
    int death_signal;         /* it gets this signal when the calling thread ends (prctl(2), PR_SET_PDEATHSIG); 0: none */
    const struct mw_spawn_limit *limits;      /* put on before the cage */
    int limit_count;
    int confine;              /* 1: no_new_privs, then `ruleset`, then `filter`; a failure means it does not run */
    int ruleset;              /* Landlock's descriptor; -1: none */
    const void *filter;       /* struct sock_fprog of seccomp(2); NULL: none */
    const struct mw_sched *sched; /* what it begins with, where the calling thread has changed its own; NULL: what that has */
    int join_fd;              /* a cgroup.procs (or tasks) file that the child enters by writing "0"; 0: none */
};
/* 1 if `confine`, `limits`, `join_fd` and `death_signal` are held (clone); 0: mw_child_start answers -EOPNOTSUPP to the first
 * three (uv). Static. */
int mw_spawn_confines(void);

/* How it ended. */
struct mw_exit {
    int known;                /* 0: somebody else took the status: neither code nor signal is known */
    int code;                 /* 0..255; -1 when a signal ended it or nothing is known */
    int signal;               /* its number, or 0 */
    int has_usage;            /* 1: `usage` is filled */
    struct rusage usage;
};

/* A running program. Lives inside its user; its memory may go in `closed` only. */
struct mw_child {
    pid_t pid;                /* also its group's number; 0 if it was never started */
    int running;              /* 1 until its end was seen */
    struct mw_exit exit;      /* once it is not running */
    void *ud;                 /* the user's */
    /* Private. */
    int pidfd;                /* -1 with uv_spawn */
    int watching;             /* 1: `at` is a live handle */
    int untold;               /* 1: it runs, but its warden ended before it was told; the caller sees to another */
    void (*ending)(struct mw_child *);
    void (*ended)(struct mw_child *);
    void (*closed)(struct mw_child *);
    union {
        uv_handle_t handle;
        uv_poll_t poll;
        uv_process_t process;
    } at;
};

/* Starts `s` and watches it on `loop`.
 *
 * ending   called just before its number becomes free (it is dead, but not taken yet); may be NULL
 * ended    called once, after that; c->exit is filled
 *
 * Returns 0 when the program runs (the child has passed exec), or a code: -ENOENT, -EACCES, -E2BIG, -ENOEXEC, -EMFILE,
 * -EAGAIN, MW_ENOMEM ...; err->what names the step. -EPIPE or -EAGAIN with warden_fd: the warden does not listen, nothing was started.
 * Whatever it returns, end `c` with mw_child_close. Blocks for the time of one exec. Loop thread only. See clone(2). */
int mw_child_start(uv_loop_t *loop, const struct mw_spawn *s, struct mw_child *c, void (*ending)(struct mw_child *),
                   void (*ended)(struct mw_child *), struct mw_err *err);

/* Sends a signal to the program itself (not its group): 0, -ESRCH once it has ended, -EPERM. */
int mw_child_signal(struct mw_child *c, int signal);

/* 1 while it runs. If its end has come and the loop has not seen it yet, sees it now: `ending` and `ended` are called. */
int mw_child_poll(struct mw_child *c);

/* Kills it (KILL, itself only) and waits until it is reaped, without `ending` and `ended`. For teardown. Nothing if it has ended. */
void mw_child_end(struct mw_child *c);

/* Stops watching; does not end the program. `closed` is called once, perhaps inside this call. */
void mw_child_close(struct mw_child *c, void (*closed)(struct mw_child *));

/* Sends `signal` (and CONT after TERM, HUP, INT: a stopped process must wake to act on them) to the group.
 * 0, -ESRCH when it has no members, -EPERM. Async-signal-safe. */
int mw_group_signal(pid_t group, int signal);
/* 1 while the group has members (unreaped ones count). Async-signal-safe. */
int mw_group_alive(pid_t group);
/* 1 while a member of it is more than a zombie that nobody reaps (init does, where there is one). Reads proc(5); 2: it has members,
 * and what they are cannot be seen (a locked host has no /proc). */
int mw_group_running(pid_t group);

/* write(2) that raises no SIGPIPE, whatever the program has made of it: held back, and taken away if it came. */
ssize_t mw_write_quietly(int fd, const void *data, size_t len);

/* "clone" or "uv". Static. */
const char *mw_spawn_backend(void);

#endif
