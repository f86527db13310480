/* The insides of processes: what process*.c share and no other file sees.
 * Knows: io/process.h. Never: included from elsewhere. */
#ifndef MW_IO_PROCESS_PARTS_H
#define MW_IO_PROCESS_PARTS_H

#include <stdatomic.h>
#include <termios.h>

#include "base/list.h"
#include "core/timer.h"
#include "io/process.h"
#include "io/warden.h"
#include "policy/confine.h"
#include "policy/permit.h"

#define GROUPS 1024           /* that can be alive at once, stragglers without a leader included */

/* Everything that one host has of children. */
struct mw_processes {
    struct mw_handle handle;
    mw_host *host;
    struct mw_list all;       /* of mw_process, while something of them is alive */
    unsigned running;
    int null_fd;              /* /dev/null, read and write */
    int program_fd;           /* of a moonwire program, or -1 */
    char *program, *script_dir;
    uint64_t child_files;
    int use_warden, warned, warden_deaths, warden_home;     /* warden_home: the one that runs knows of the private directory */
    mw_warden *warden;
    _Atomic pid_t groups[GROUPS];     /* 0: free; read by signal handlers */
    unsigned char orphan[GROUPS];     /* its leader was reaped */
    unsigned char held[GROUPS];       /* stopped by mw_process_hold */
    unsigned orphans;
    struct mw_timer sweep;
    pid_t on_terminal;        /* the child that has our terminal, or may ask for it; 0: none */
    int terminal_given;       /* its group is the foreground one */
    struct termios modes;     /* the terminal's when it was given; modes_known: they are */
    int modes_known;
    struct mw_timer terminal; /* looks whether it was stopped */
    int death_signal;         /* of children, when our thread ends; 0: none */
    int may_hurry;           /* 1: it is the program's own thread, whose slice may be changed */
    int hasty;                /* 1: it is a short one just now, and `sched` what it was */
    struct mw_sched sched;
    struct mw_timer haste;
    uint64_t started;         /* ns: when the last child was */
    int abi;                  /* Landlock's; -1: not asked yet */
    struct mw_cages *cages;   /* built ones; NULL: none yet */
    struct mw_list pids;      /* of struct mw_pids: control groups of children, and of those not empty yet */
};

enum stage { STAGE_NONE, STAGE_LINGER, STAGE_ASKED, STAGE_KILLED, STAGE_GIVEN_UP };

/* One output of a child, read until its end. */
struct capture {
    mw_process *p;
    int fd;                   /* -1: not captured, or at its end */
    int which;
    int polling;              /* `poll` is a live handle */
    int wanted;               /* 1: `data` is somebody's */
    uv_poll_t poll;
    struct mw_bytes data;
    struct mw_probe *probe;   /* of the run's trace, or NULL */
    size_t charged;           /* of it, to the host's account of what is buffered */
};

struct mw_process {
    struct mw_child child;
    char name[24];            /* of its program, cut; for people */
    struct mw_list link;      /* in mw_processes.all */
    struct mw_processes *home;    /* NULL once the host is gone */
    mw_host *host;
    int refs, holders;        /* holders: of refs, those that mw_process_release drops */
    int interrupted;          /* by us: INT was sent */
    int closed, detached, timed_out, overflowed, fault, alive;
    int truncate, keep_tail, tee, kill_signal;
    int slot;                 /* of its group in home->groups; -1: none */
    enum stage stage;
    struct mw_timer stage_timer, limit;
    struct mw_wait changed;
    uint64_t started, ended, kill_after_ns;
    size_t max_output;
    struct capture out[2];    /* of its descriptors 1 and 2 */
    mw_stream *streams[4];    /* 0, 1, 2, terminal */
    mw_stream *duplex, *feeding;
    int parent_stdio;         /* a script child whose mw.parent is its stdio */
    int pty_fd;               /* lent by the stream or the capture; -1 */
    struct mw_pids *pids;     /* the control group that counts its processes, or NULL */
    struct mw_notify *notify; /* how it says that it is ready, or NULL */
};

/* What one start holds until it is through. */
struct launch {
    const struct mw_process_options *o;
    struct mw_processes *home;
    mw_process *p;
    struct mw_err *err;
    int fds[MW_SPAWN_FDS];    /* what the child gets */
    int owned[MW_SPAWN_FDS];  /* closed when the start is through */
    int count, owned_count;
    struct mw_place cwd;
    struct mw_program program;
    char **argv, **envp;
    unsigned flags;
    mw_stream *moved[3];      /* sockets that the child has now */
    int confined;             /* 1: it gets a cage */
    const char *private_dir;  /* NULL: none */
    int private_fd;
    char narrow_dir[PATH_MAX];    /* private_dir's, if it is one of a sandbox */
    char script_dir[PATH_MAX];    /* of a script child: where its modules are; "": nowhere */
    mw_cage *cage;            /* NULL: none yet */
    struct mw_spawn_limit limits[6];
    int limit_count;
    int join_fd;              /* of its control group; 0: none */
    int notify_fd;            /* in the child; 0: none */
    struct mw_env extra[2];   /* what we add to its environment, unless the call names it */
    size_t extra_count;
};

/* process_group.c */
struct mw_processes *mw_processes_of(mw_host *h);
int mw_processes_set(mw_host *h, struct mw_processes *all);
int mw_groups_room(const struct mw_processes *all);               /* 1: one more group fits */
int mw_groups_add(struct mw_processes *all, pid_t group);         /* its slot */
void mw_groups_leaving(struct mw_processes *all, int slot);       /* its leader is about to be reaped */
void mw_groups_left(struct mw_processes *all, int *slot, pid_t group);    /* it was: keep the group only while it has members */
int mw_groups_warden(struct mw_processes *all, const char *op, struct mw_err *err);   /* one runs, if one is wanted */
void mw_groups_warden_lost(struct mw_processes *all);
void mw_groups_end(struct mw_processes *all);
/* process_terminal.c: the terminal on descriptor 0 */
enum mw_terminal { MW_TERMINAL_NONE, MW_TERMINAL_SHARE, MW_TERMINAL_GIVE };     /* SHARE: we are in the background ourselves */
enum mw_terminal mw_terminal_wanted(const struct mw_processes *all, const struct mw_process_options *o);   /* by the next child */
void mw_terminal_child(struct mw_processes *all, pid_t child, enum mw_terminal how);      /* it runs */
void mw_terminal_over(struct mw_processes *all, int killed, int interrupted);    /* it has ended: by a signal; by a Ctrl-C that only it has seen */
void mw_terminal_back(struct mw_processes *all);                     /* nobody else has it from now on */

/* process_haste.c: a short slice of the processor while children are started */
const struct mw_sched *mw_haste(struct mw_processes *all);   /* one is about to be: what it is to begin with (mw_spawn.sched), or NULL */
void mw_haste_end(struct mw_processes *all);

/* process_stdio.c */
int mw_launch_stdio(struct launch *l);
void mw_launch_keep_sockets(struct launch *l);   /* the start failed: they are ours again */
int mw_launch_own(struct launch *l, int fd);     /* closed when the start is through; returns fd */

/* process_env.c */
int mw_launch_env(struct launch *l);

/* process_confine.c */
int mw_launch_confine(struct launch *l);         /* is it to be confined, and may it be as it asks? 0 or a code */
int mw_launch_cage(struct launch *l, struct mw_spawn *s);     /* its cage, a kept one if it is still good */
void mw_cages_free(struct mw_cages *it);         /* NULL is fine */
/* process_limits.c */
int mw_launch_limits(struct launch *l, struct mw_spawn *s);   /* what `limits` becomes; after the cage, once for each try */
void mw_limits_over(mw_process *p);              /* nothing of it is left, or it was never started */
void mw_limits_sweep(struct mw_processes *all);  /* control groups that have become empty go */
void mw_limits_end(struct mw_processes *all);    /* all of them, with whoever is left in them */

/* process_home.c */
struct mw_warden_dir;
void mw_process_home_end(mw_host *h);            /* removed, if there is one */
int mw_process_home_where(mw_host *h, struct mw_warden_dir *out);     /* 1: there is one, and it lies there (lent) */

/* process_script.c */
int mw_launch_script(struct launch *l);
/* process_share.c: what goes to the child as its descriptors `first` and on, and what its birth says of it */
int mw_launch_shares(struct launch *l, int first, struct mw_bytes *out);
int mw_shares_parse(const char *at, size_t len, size_t count, struct mw_process_shares **out, struct mw_err *err);

/* process_notify.c */
#define MW_NOTIFY_FD 3        /* of a program: the first that is free */
int mw_launch_notify(struct launch *l);          /* after what else has descriptors, before the environment */
int mw_notify_start(mw_process *p, uv_loop_t *loop);      /* it runs */
void mw_notify_end(mw_process *p);               /* nobody listens any more; idempotent */

/* process_output.c */
int mw_capture_start(struct capture *c, uv_loop_t *loop);
void mw_capture_end(struct capture *c);          /* closes; the bytes stay */
void mw_capture_free(struct capture *c);                /* what it holds */
static inline int mw_capture_open(const struct capture *c) { return c->fd >= 0; }

/* process.c */
void mw_process_settle(mw_process *p);           /* after any change */
void mw_process_drop(mw_process *p);             /* one reference */

#endif
