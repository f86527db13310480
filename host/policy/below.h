/* What was found at a path, and the short ways to it where nothing of a kind is denied (below.c).
 * Knows: grants. Never: opens for more than O_PATH. */
#ifndef MW_POLICY_BELOW_H
#define MW_POLICY_BELOW_H

#include <limits.h>
#include <sys/stat.h>

#include "policy/grant.h"
#include "policy/permit.h"

/* What was found, by whichever way. */
struct mw_found {
    int fd;                      /* the object, or -1 */
    int dir;                     /* where its name is, or -1 */
    char leaf[NAME_MAX + 1];
    struct stat st;              /* when fd >= 0, or seen */
    int seen;                    /* a regular file, looked at below `dir` and not opened */
    int status;                  /* as mw_walk's */
    char subject[PATH_MAX + 8];  /* the path for messages */
};

/* As much of `text` as a subject holds: PATH_MAX + 1 bytes of it. */
void mw_subject_copy(char *subject, const char *text);
void mw_found_end(struct mw_found *f);

/* Finds `path` if it is granted and nothing of its kinds (read, write) is denied anywhere. 1: found; 0: the walk decides.
 * look: a regular file need not be opened. f comes empty. */
int mw_find_below(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, int look, struct mw_found *f);

#endif
