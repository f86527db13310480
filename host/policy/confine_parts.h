/* A cage while it is built, for confine*.c alone: what is handled, how a right is added, what is watched.
 * Knows: confine.h, grants, Landlock's numbers (kept here: they outgrow the system's headers). Never: used outside confine*.c. */
#ifndef MW_POLICY_CONFINE_PARTS_H
#define MW_POLICY_CONFINE_PARTS_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "policy/confine.h"
#include "policy/grant.h"

/* ---- Landlock's numbers, landlock(7) and linux/landlock.h ----------------------------------------------------------------- */

#define LL_EXECUTE (1ull << 0)
#define LL_WRITE_FILE (1ull << 1)
#define LL_READ_FILE (1ull << 2)
#define LL_READ_DIR (1ull << 3)
#define LL_REMOVE_DIR (1ull << 4)
#define LL_REMOVE_FILE (1ull << 5)
#define LL_MAKE_CHAR (1ull << 6)
#define LL_MAKE_DIR (1ull << 7)
#define LL_MAKE_REG (1ull << 8)
#define LL_MAKE_SOCK (1ull << 9)
#define LL_MAKE_FIFO (1ull << 10)
#define LL_MAKE_BLOCK (1ull << 11)
#define LL_MAKE_SYM (1ull << 12)
#define LL_REFER (1ull << 13)        /* version 2 */
#define LL_TRUNCATE (1ull << 14)     /* 3 */
#define LL_IOCTL_DEV (1ull << 15)    /* 5 */
#define LL_RESOLVE_UNIX (1ull << 16) /* 9 */
#define LL_NET_BIND (1ull << 0)      /* 4 */
#define LL_NET_CONNECT (1ull << 1)
#define LL_SCOPE_ABSTRACT (1ull << 0) /* 6 */
#define LL_SCOPE_SIGNAL (1ull << 1)

#define LL_READ (LL_READ_FILE | LL_READ_DIR)
#define LL_WRITE (LL_WRITE_FILE | LL_TRUNCATE | LL_MAKE_REG | LL_MAKE_DIR | LL_MAKE_SYM | LL_MAKE_FIFO | LL_REMOVE_FILE | LL_REMOVE_DIR | LL_REFER)
#define LL_OF_FILES (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV | LL_RESOLVE_UNIX)

struct ll_ruleset {
    uint64_t handled_fs, handled_net, scoped;
};
struct ll_path {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));
struct ll_port {
    uint64_t allowed, port;
};
#define LL_RULE_PATH 1
#define LL_RULE_PORT 2

/* ---- The cage ---------------------------------------------------------------------------------------------------------------- */

/* Something whose change makes the cage stale. */
enum mw_watch_how {
    MW_WATCH_PLACE,              /* that it stands there */
    MW_WATCH_ENTRIES,            /* and, of an opened-up directory, its entries */
    MW_WATCH_LINKS               /* and how many names it has */
};
struct mw_cage_watch {
    struct mw_cage_watch *next;
    struct mw_node node;         /* what stood there; ino 0: nothing did */
    enum mw_watch_how how;
    nlink_t links;
    struct timespec mtime, ctime;
    char path[];                 /* without links */
};
struct mw_cage_remark {
    struct mw_cage_remark *next;
    char text[];
};

struct mw_cage {
    unsigned refs;
    int ruleset;
    int mounts_fd;               /* /proc/self/mountinfo, which polls when it changes; -1: not readable */
    int hold_fd;                 /* keeps what would otherwise be forgotten (MW_CAGE_HOST: /proc/self); -1 */
    const mw_policy *policy;     /* compared only */
    unsigned generation;         /* of the policy */
    struct mw_cage_watch *watches;
    struct mw_cage_remark *notes, **last_note;
    struct sock_fprog *filter;   /* with its instructions behind it; NULL: none */
};

/* ---- While it is built --------------------------------------------------------------------------------------------------------- */

/* What was given with all that is below it, by identity. */
struct mw_given {
    struct mw_node *at;
    size_t count, room;
};

struct mw_mounts;
struct mw_cage_build {
    const struct mw_cage_wish *wish;
    const mw_policy *policy;
    mw_cage *cage;
    struct mw_err *err;
    struct mw_mounts *mounts;    /* read at first need (confine_mounts.c) */
    struct mw_points *loading;   /* denials by path that bind the loading table, found at first need (confine_tree.c) */
    struct mw_given loaded;      /* of that table */
    uint64_t handled_fs, handled_net, scoped;
    int unix_sockets;            /* Unix sockets by name may be used: MAKE_SOCK in writable trees */
    unsigned rules;              /* added so far */
};
#define MW_CAGE_RULES 20000u     /* rules of one cage; what is beyond stays closed */
#define MW_CAGE_NOTES 200u
#define MW_CAGE_TRIES 16         /* when others move files while it is built */

/* Allows `access` (what of it fits and is handled) on what `fd` is; below it too if it is a directory. 0 or a code. */
int mw_cage_allow(struct mw_cage_build *b, int fd, mode_t mode, uint64_t access);
/* The same by name, links followed; what is not there is skipped. `watch`: the cage is stale once it is replaced, or comes. */
int mw_cage_allow_path(struct mw_cage_build *b, const char *path, uint64_t access, int watch);
int mw_cage_allow_port(struct mw_cage_build *b, uint64_t access, unsigned port);
/* Watches `path`: what stood there is `st` (NULL: nothing). 0 or MW_ENOMEM. */
int mw_cage_watch(struct mw_cage_build *b, const char *path, const struct stat *st, enum mw_watch_how how);
/* A line for mw_cage_each_note. Never fails: what finds no room is left out. */
void mw_cage_note(struct mw_cage_build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The script's own trees for a kind (MW_READ, MW_WRITE), denials left out (confine_tree.c). MW_EAGAIN: others moved files meanwhile, so
 * that what is denied lies in what was given: all is to be begun anew. */
int mw_cage_trees(struct mw_cage_build *b, enum mw_kind kind, uint64_t access);
/* One tree of the loading table, without what a denial by path names in it. */
int mw_cage_loading_tree(struct mw_cage_build *b, const char *path, uint64_t access, int watch);
/* 0, or MW_EAGAIN: what is denied was moved into it while it was given. */
int mw_cage_loading_settled(struct mw_cage_build *b);
void mw_cage_loading_end(struct mw_cage_build *b);
/* What a program needs to load, its own file, the programs of run rules (confine_table.c). */
int mw_cage_loading(struct mw_cage_build *b);
/* 1: somebody's home directory, by its name. */
int mw_cage_is_home(const char *dir);
/* What the host itself and its children need beyond the rights; 1: a folder with something denied below must be given whole, or
 * the host could not work there (confine_host.c). */
int mw_cage_host(struct mw_cage_build *b);
int mw_cage_host_whole(struct mw_cage_build *b, enum mw_kind kind, const char *path, int fd);
/* Scripts, the host's own and a child's, whose own C code holds names: the folder of a single file that is granted; where sockets,
 * named memory, files for a while and terminals of children are made, if a rule of theirs lets them. */
int mw_cage_name(struct mw_cage_build *b, enum mw_kind kind, const char *path, int missing);
int mw_cage_script(struct mw_cage_build *b);

/* Ports and sockets (confine_net.c): before the ruleset is made, what is handled and scoped; after it, the ports. */
void mw_cage_net_handled(struct mw_cage_build *b);
int mw_cage_net_ports(struct mw_cage_build *b);
unsigned mw_cage_filter_flags(struct mw_cage_build *b);

#endif
