/* Directories that were walked to before, so that the next walk to a name in one of them takes one step and not all.
 * Knows: walking, openat2, statx. Never: decides; holds a descriptor; trusts a name.
 *
 * Kept is what a walk saw: each directory on the way by identity. It is used again when the same name leads, with no link on the
 * way, to the same directory (by device, inode and birth), which is opened by that name and then used by descriptor. Whoever moves
 * a directory away from its name, or another one there, is back at the whole walk. */
#ifndef MW_POLICY_RECALL_H
#define MW_POLICY_RECALL_H

#include "policy/walk.h"

struct mw_recall;

/* Walks to `path` (absolute, as mw_walk_absolute has it). 1: w is as mw_walk would have left it; 0: walk.
 * look: a regular file is only looked at: w->seen is set and w->fd stays -1. */
int mw_recall_walk(struct mw_recall *c, const char *path, enum mw_walk_how how, int look, struct mw_walk *w);
/* Keeps the directory that the last name of a finished walk stands in. *c may be NULL: made when needed; without memory nothing is kept. */
void mw_recall_keep(struct mw_recall **c, const struct mw_walk *w);
/* Forgets everything: something was moved. */
void mw_recall_forget(struct mw_recall *c);
void mw_recall_free(struct mw_recall *c);

#endif
