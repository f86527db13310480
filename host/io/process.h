/* Child processes of a host: started with what they may have, watched, and ended with their whole group.
 * Knows: io/spawn, io/stream, io/warden, io/pty, policy, core. Never: Lua values. */
#ifndef MW_IO_PROCESS_H
#define MW_IO_PROCESS_H

#include "base/bytes.h"
#include "core/host.h"
#include "core/wait.h"
#include "io/spawn.h"
#include "io/stream.h"
#include "observe/trace.h"
#include "policy/policy.h"

typedef struct mw_process mw_process;

#define MW_PROCESS_ENV_MAX (128u << 10)   /* bytes of a child's environment */
#define MW_PROCESS_ARGS_MAX (1u << 20)    /* bytes of its arguments */

/* What the assembly knows. */
struct mw_process_setup {
    const char *program;      /* a moonwire program, for script children; NULL: look for an installed one */
    const char *script_dir;   /* where a relative script is looked for; NULL: the working directory */
    int warden;               /* 1: groups end with the host whatever happens to it */
    uint64_t child_files;     /* soft RLIMIT_NOFILE of children; 0: ours */
};
/* Once for a host, before the first start. Copies what it is given. */
int mw_process_setup(mw_host *h, const struct mw_process_setup *s, struct mw_err *err);
/* KILL to every group of the host's children. Async-signal-safe. */
void mw_process_kill_all(mw_host *h);
/* Stops every child's group (on), or lets those go on that it stopped. */
void mw_process_hold(mw_host *h, int on);

enum mw_stdio_kind {
    MW_STDIO_NULL,
    MW_STDIO_INHERIT,         /* ours */
    MW_STDIO_STREAM,          /* a pipe whose other end is a stream of ours */
    MW_STDIO_CAPTURE,         /* output: kept, see mw_process_captured */
    MW_STDIO_TEXT,            /* input: these bytes, then the end */
    MW_STDIO_GIVEN,           /* the descriptor of a stream that a script holds */
    MW_STDIO_FILE,            /* the descriptor of an open file that a script holds; lent for the start */
    MW_STDIO_OUT,             /* error: where its output goes */
    MW_STDIO_LINK             /* an end of a pipe between two children; taken */
};
struct mw_stdio {
    enum mw_stdio_kind kind;
    mw_stream *given;
    const char *text;
    size_t len;
    int link;                 /* the descriptor of a link or a file */
};

struct mw_env {
    const char *name, *value; /* value NULL: not in the child's */
};

/* What a child asks for: what it gets, or everything of the kind (rule NULL). */
struct mw_grant_wish {
    enum mw_kind kind;
    const char *rule;
    int inherit;              /* rule NULL: all that we have of the kind, however much that is */
};
/* sandbox = { ... }: narrows what the kernel lets a program do. Lists are borrowed; rules in the grammar of the flags. */
struct mw_sandbox {
    int given;                /* 1: there is one */
    const struct mw_grant_wish *files;    /* read and write rules */
    size_t file_count;
    int files_given;          /* 1: read or write was mentioned: what is not listed is not given; 0: the script's own rights */
    const uint16_t *connect, *listen;     /* ports; NULL: the script's own rights */
    size_t connect_count, listen_count;
    const char *const *env;   /* names and PREFIX_* that it inherits of ours; NULL: as the rights say */
    size_t env_count;
    int unix_sockets, metadata;
};
/* limits = { ... }: 0 is none. See setrlimit(2). */
struct mw_process_limits {
    uint64_t memory;          /* bytes of address space of each process */
    uint64_t cpu_s;           /* seconds of processor time of each process */
    uint64_t files;           /* descriptors of each process */
    uint64_t processes;       /* it and its descendants together */
};

/* Something that a script child finds in its mw.shared: descriptors, and the facts that make them an object again (bind/parcel.h). */
#define MW_SHARE_NAME 64u     /* bytes of a name, its zero included */
#define MW_SHARE_FDS 4u       /* descriptors of one */
#define MW_SHARES 12u         /* objects of one child */
struct mw_process_share {
    char name[MW_SHARE_NAME];
    uint32_t kind, flags;
    uint64_t facts[2];
    int fds[MW_SHARE_FDS];
    unsigned fd_count;
    const char *bytes;        /* what had arrived on a stream and was not read */
    size_t len;
};
/* A script child's: the descriptors are its own, the bytes lie behind the last of them. */
struct mw_process_shares {
    size_t count;
    struct mw_process_share at[];
};
/* The same with descriptors of its own, for a worker. *out: given. -EMFILE, MW_ENOMEM. */
int mw_process_shares_copy(const struct mw_process_share *from, size_t count, struct mw_process_shares **out, struct mw_err *err);
void mw_process_shares_free(struct mw_process_shares *it);        /* closes what is left in it; NULL is fine */

/* All borrowed for the call, save the links. */
struct mw_process_options {
    const char *op;           /* "process run"; static */
    const char *const *argv;  /* argv[0]: a program's name or path; or the script's path */
    int argc;
    int script;               /* 1: this program again, with argv[0] as its script */
    mw_policy *policy;        /* of a script child */
    const struct mw_grant_wish *wishes;   /* and what it was narrowed by: the rules of its `permissions` */
    size_t wish_count;
    int inherit;              /* 1: by nothing */
    const struct mw_process_share *shares;        /* what it finds in mw.shared: at most MW_SHARES */
    size_t share_count;
    int silent;               /* 1: nobody here will talk to a script child: its mw.parent is at its end from the first */
    const char *cwd;          /* NULL: ours */
    const struct mw_env *env;
    size_t env_count;
    int clear_env;            /* 1: nothing of ours */
    struct mw_stdio io[3];
    size_t max_output;        /* of each captured stream */
    int truncate;             /* 1: what is beyond is dropped; 0: it ends the child */
    int keep_tail;            /* 1: of what is captured the last max_output bytes are kept, and nothing is too much */
    int tee;                  /* 1: what is captured is shown as well */
    uint64_t timeout_ns;      /* 0: none; then as mw_process_stop */
    uint64_t kill_after_ns;   /* between the first signal and KILL */
    int kill_signal;          /* the first signal */
    int detached;             /* a session of its own, not ended with the host */
    int pty;                  /* a terminal of its own instead of io[] */
    unsigned short rows, cols;
    struct mw_sandbox sandbox;
    struct mw_process_limits limits;
    int notify;               /* 1: it is told how to say that it is ready: mw_process_ready */
};

/* Starts it. *out: given, end it with mw_process_release.
 * Returns 0 or a code: MW_EDENIED, MW_ENOENT, -EACCES, -E2BIG, -EMFILE, MW_ELIMIT, MW_ECLOSED ... with nothing left behind. */
int mw_process_start(mw_host *h, const struct mw_process_options *o, mw_process **out, struct mw_err *err);
void mw_process_release(mw_process *p);          /* the last one closes; NULL is fine */
/* Ends the group as mw_process_stop does and closes the streams; idempotent. */
void mw_process_close(mw_process *p);
int mw_process_closed(const mw_process *p);

/* The first signal to the whole group now, KILL after kill_after_ns if it has not gone by then. Goes on without you. */
void mw_process_stop(mw_process *p);
/* A signal to the group (or, once only the leader counts, to it): 0, -ESRCH. */
int mw_process_signal(mw_process *p, int signal);

/* Woken when it has ended, and when everything about it is over. */
struct mw_wait *mw_process_changed(mw_process *p);
int mw_process_running(const mw_process *p);
int mw_process_ready(const mw_process *p);       /* it was asked for with `notify`, and has said so; wakes `changed` */
/* 1 when it has ended and what it wrote has arrived (or will not be waited for any longer). */
int mw_process_over(const mw_process *p);

/* Looking. All lent. */
pid_t mw_process_pid(const mw_process *p);
/* Calls fn for each child that runs: its program's name, how long it has run, and the processor time that it took (without that of its
 * own children). Opens nothing. */
struct mw_process_look {
    pid_t pid;
    const char *name;
    uint64_t ran_ns, cpu_ns;
};
void mw_process_each(mw_host *h, void (*fn)(void *ud, const struct mw_process_look *look), void *ud);
const struct mw_exit *mw_process_exit(const mw_process *p);
uint64_t mw_process_duration(mw_process *p);     /* ns, until now or its end */
struct mw_bytes *mw_process_captured(mw_process *p, int which);   /* 1 or 2; NULL: not captured */
int mw_process_timed_out(const mw_process *p);
int mw_process_overflowed(const mw_process *p);  /* more than max_output arrived */
/* What reading its output or writing the text for it ended with, MW_ENOMEM among them; 0. A child that does not want its input
 * is no fault. *what: which of the two; static. */
int mw_process_fault(const mw_process *p, const char **what);
mw_stream *mw_process_stream(mw_process *p, int which);           /* 0, 1, 2 with MW_STDIO_STREAM; 3: the terminal; NULL */

/* Its standard input and output as one stream (of a script child: the other end of its mw.parent). The two single ones are
 * closed. Lent. MW_EINVAL when it has no such pipes. */
int mw_process_duplex(mw_process *p, mw_stream **out, struct mw_err *err);
/* The size of its terminal. */
int mw_process_resize(mw_process *p, unsigned short rows, unsigned short cols, struct mw_err *err);

/* A kernel pipe between two children: ends[0] to read, ends[1] to write; both given. */
int mw_process_link(mw_host *h, const char *op, int ends[2], struct mw_err *err);
void mw_process_unlink(int end);

/* ---- What confines it -------------------------------------------------------------------------------------------------- */

/* 1 if a grant could start a program: 0 means that no child of it ever needs a private directory. */
int mw_process_may_run(const mw_policy *p);
/* The private directory, HOME and TMPDIR of confined programs: made now if it was not yet, removed with all in it when the host
 * ends (which takes REMOVE_DIR on the directory above). NULL: it cannot be made, which is logged once. *fd: O_PATH of it. Both
 * lent until the host ends. A host that locks itself asks before it does. */
const char *mw_process_home(mw_host *h, int *fd);
/* One below it (its descriptor and name: `home`, `path`) for the programs that the sandbox `which` narrows. Its name, in `out`, or
 * NULL; *fd: given. */
const char *mw_process_home_below(int home, const char *path, uint64_t which, char out[PATH_MAX], int *fd);
/* It is to be made in the directory `dir` (O_PATH; taken) instead of $TMPDIR or /tmp: a script child's, in its parent's. */
int mw_process_home_in(mw_host *h, int dir, struct mw_err *err);
/* What limits.processes takes, and a host that has locked itself cannot reach any more: the list of tasks, opened; for a superuser
 * whose scripts may start programs, a control group of its own (*folder, lent until the host ends: in it others are made, and the
 * host's end removes it; NULL: none). Limits that then cannot hold refuse their start. */
void mw_process_before_lock(mw_host *h, const char **folder);

/* ---- Script children ---------------------------------------------------------------------------------------------------- */

/* The host's policy narrowed to `wishes`; inherit: all of it. MW_EDENIED: more than the host itself may. *out: given. */
int mw_process_narrow(mw_host *h, const char *op, const struct mw_grant_wish *wishes, size_t count, int inherit, mw_policy **out,
                      struct mw_err *err);

#define MW_BIRTH_FD 3         /* where a script child finds what its parent decided */

/* The child's side: what the memfd `fd` (taken) holds. *policy: given. MW_EINVAL: anything odd. */
struct mw_birth {
    int parent_fd;            /* of mw.parent, or -1 */
    int parent_stdio;         /* mw.parent is its standard input and output */
    int script_fd;            /* its script, open for reading, or -1 */
    int home_fd;              /* its parent's private directory, for its own one, or -1 */
    int audit_fd;             /* its parent's audit, or -1 */
    int trace_fd;             /* where its parent's trace goes, or -1 */
    struct mw_trace_options trace;            /* how: format, payload, max, colour */
    int notify_fd;            /* where it says that it is ready, or -1 */
    int modules;              /* 1: Lua modules beside its script are free to read */
    int command_line;         /* 1: its hints name flags, as its parent's */
    int caged;                /* 1: it wears a cage made from its policy */
    struct mw_limits limits;  /* the parent's */
    int spin_us;              /* the parent's (mw_host_spin) */
    struct mw_process_shares *shares;         /* NULL, or what it is given; given */
};
int mw_birth_read(int fd, struct mw_birth *out, mw_policy **policy, struct mw_err *err);

/* A script child's mw.parent from what mw_birth_read said; call it once. With stdio its descriptors 0 and 1 are taken over: what
 * is printed goes to standard error from then on. *out: given. */
int mw_process_parent(mw_host *h, int parent_fd, int parent_stdio, mw_stream **out, struct mw_err *err);
/* Says on `fd` (taken; -1: nowhere) that this process is ready. 1: it could. */
int mw_process_notify(int fd);

#endif
