/* What is mounted where, read once for a cage.
 * Knows: mountinfo's format, proc_pid_mountinfo(5). Never: decides. */
#ifndef MW_POLICY_CONFINE_MOUNTS_H
#define MW_POLICY_CONFINE_MOUNTS_H

#include <sys/types.h>

struct mw_mount {
    struct mw_mount *next;
    unsigned major, minor;
    int special;                 /* proc, sysfs, devtmpfs, devpts */
    char *root;                  /* the folder of its file system that it shows: "/" mostly; behind `at` */
    char at[];                   /* where: "/home"; "" for the root */
};
struct mw_mounts {
    struct mw_mount *first;
    int fd;                      /* polls (POLLPRI) once something is mounted or unmounted; -1: there is no mountinfo to read */
};

/* *out: given. 0, MW_ENOMEM, -EMFILE; a mountinfo that cannot be read is none. */
int mw_mounts_read(struct mw_mounts **out);
void mw_mounts_free(struct mw_mounts *m);        /* NULL is fine */

/* Other names of what stands at `path`, by mounts of the same file system: fn for each, until it answers other than 0. */
int mw_mounts_aliases(const struct mw_mounts *m, const char *path, int (*fn)(void *ud, const char *alias), void *ud);

#endif
