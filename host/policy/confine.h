/* The kernel's half of a policy: Landlock for files, TCP ports, abstract sockets and signals; seccomp for what Landlock does not
 * cover. Prepared here by whoever starts a child (or locks itself); put on by the child between clone and exec.
 * Knows: grants, Landlock, seccomp (linux/landlock.h and linux/seccomp.h are included below this room's confine*.c alone).
 * Never: gives a child more than the policy; starts anything.
 * Where a rule cannot be told to the kernel, the child gets less. See permissions.md 3, landlock(7), seccomp(2). */
#ifndef MW_POLICY_CONFINE_H
#define MW_POLICY_CONFINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/policy.h"

/* Landlock's version: 1 and up; 0: this kernel has none (or it is switched off). Asks the kernel each time: a microsecond. */
int mw_confine_abi(void);

/* ---- What a cage is made from ------------------------------------------------------------------------------------------- */

enum mw_cage_for {
    MW_CAGE_PROGRAM,             /* any program: files and ports of the policy, what a program needs to load, `home` */
    MW_CAGE_SCRIPT,              /* a child that is a script of ours: the same; ports of all its net rules (hosts are its own C
                                  * half's), Unix sockets if it has a unix rule, its module directories; the folder of a single
                                  * name is open to it, whose own C half holds the name */
    MW_CAGE_HOST                 /* this very process: as MW_CAGE_SCRIPT, and what its children need; no seccomp */
};

struct mw_cage_wish {
    enum mw_cage_for who;
    const mw_policy *policy;     /* the child's rights: ours, or ours narrowed by `sandbox` or `permissions` */
    int abi;                     /* Landlock's, as mw_confine_abi has it; a test may say less */
    int unix_sockets, metadata;  /* sandbox.unix (total net right needed: the caller sees to it), sandbox.metadata */
    const uint16_t *connect, *listen;    /* sandbox.connect, sandbox.listen: ports, each covered (mw_confine_covers_port) */
    size_t connect_count, listen_count;
    int one_process;             /* 1: it may start no other (limits.processes = 1); threads are free */
    int program_fd;              /* O_PATH of what is executed; -1: none */
    const char *program;         /* its path, for the loading table's P/bin; NULL: none */
    const char *script;          /* the #! file that the interpreter will read, or NULL */
    dev_t script_dev;            /* which file that is: another one that stands there by now is not given */
    ino_t script_ino;
    const char *home;            /* private writable directory, or NULL */
    int home_fd;                 /* O_PATH of it, when there is one: allow this, since its name may have been taken by another */
    const char *tty;             /* the pty's slave, or NULL */
    const char *groups;          /* MW_CAGE_HOST: a control group's folder, in which it makes others and which it removes; or NULL */
    const char *const *also_read;    /* more that may be read (and executed, if it is a program): NULL-terminated, or NULL */
};

/* ---- The cage ----------------------------------------------------------------------------------------------------------- */

struct sock_fprog;
typedef struct mw_cage mw_cage;

/* Builds it. *out: one reference, end it with mw_cage_drop. -EOPNOTSUPP: abi is 0. -EMFILE, MW_ENOMEM, -E2BIG, ...
 * err->what says which part the kernel refused. Costs 0.1 to 0.3 ms with a plain policy (the loading table alone is 30 rows), so
 * keep it; opens and lists directories where a denial lies below a grant. */
int mw_cage_new(const struct mw_cage_wish *wish, mw_cage **out, struct mw_err *err);
mw_cage *mw_cage_keep(mw_cage *c);
void mw_cage_drop(mw_cage *c);                   /* NULL is fine */

/* 1 while it still says what mw_cage_new would say for policy `p` now: the policy has not changed, every granted object is where
 * it was, opened-up directories have no new entries, nothing that was missing has come. A few stats. */
int mw_cage_fresh(const mw_cage *c, const mw_policy *p);

int mw_cage_ruleset(const mw_cage *c);           /* lent; for landlock_restrict_self(2) */
const struct sock_fprog *mw_cage_filter(const mw_cage *c);   /* lent; NULL: none (MW_CAGE_HOST) */

/* Puts a MW_CAGE_HOST on the calling thread, for good: before any other thread starts. -E2BIG: 16 layers already. */
int mw_cage_lock_self(const mw_cage *c, struct mw_err *err);

/* Trees that had to be opened up (a denial lies inside), one line each, for audits; and what was left out. */
void mw_cage_each_note(const mw_cage *c, void (*fn)(void *ud, const char *note), void *ud);

/* 1 if every host at this TCP port is granted for kind (MW_CONNECT, MW_LISTEN) and no denial of a host or address could apply:
 * what the kernel can hold. port -1: every port, UDP and all. */
int mw_confine_covers_port(const mw_policy *p, enum mw_kind kind, int port);

/* ---- The filter (confine_filter.c) ------------------------------------------------------------------------------------------ */

/* What a filter lets through beyond the ordinary. */
enum mw_filter_flag {
    MW_FILTER_TCP = 1,           /* TCP sockets (their ports are Landlock's) */
    MW_FILTER_LISTEN = 2,        /* listen(2) */
    MW_FILTER_UDP = 4,           /* UDP sockets; listening and connecting anywhere */
    MW_FILTER_UNIX = 8,          /* Unix sockets by name; pairs of streams are always free */
    MW_FILTER_METADATA = 16,     /* chmod, chown, utime, xattr */
    MW_FILTER_NETLINK = 32,      /* route netlink: the list of network interfaces */
    MW_FILTER_ONE_PROCESS = 64,  /* no other process, threads only: the one flag that takes away */
    MW_FILTER_OLD_TRUNCATE = 128,/* Landlock before version 3: truncating by name is refused here */
    MW_FILTER_OLD_SIGNALS = 256, /* Landlock before version 6: signals to others are refused here */
    MW_FILTER_WATCH = 512        /* inotify, which Landlock does not hold: only where everything may be read */
};
#define MW_FILTER_MAX 512        /* instructions */
struct sock_filter;
/* Writes the filter of this machine's architecture, a balanced tree over one table of system calls; returns its length, or
 * -EOPNOTSUPP where there is no table. out: MW_FILTER_MAX instructions. See seccomp(2). */
int mw_filter_write(unsigned flags, struct sock_filter *out);

#endif
