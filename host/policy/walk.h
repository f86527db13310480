/* Walking a path ourselves, a component at a time, so that what was checked is what is used.
 * Knows: base, openat, fstat, readlinkat. Never: opens for more than O_PATH; decides. */
#ifndef MW_POLICY_WALK_H
#define MW_POLICY_WALK_H

#include <limits.h>
#include <sys/stat.h>

#include "policy/rule.h"

#define MW_TRAIL_MAX 512         /* components */
#define MW_TRAIL_TEXT (2 * PATH_MAX)
#define MW_LINKS_MAX 40

/* Where a path led: each directory on the way from the root by identity, and the whole name without links. */
struct mw_trail {
    unsigned count;              /* steps; step 0 is the root */
    size_t len;                  /* bytes of text */
    struct mw_step {
        struct mw_node node;
        unsigned end;            /* of its name in text */
        unsigned char known;     /* 0: it does not exist (or could not be reached) */
        unsigned char special;   /* below /proc, /sys or /dev, or on such a file system */
    } step[MW_TRAIL_MAX];
    char text[MW_TRAIL_TEXT];    /* "" for the root, else "/data/x" */
};

enum mw_walk_how {
    MW_WALK_FOLLOW,              /* the last name's links too */
    MW_WALK_NAME                 /* the last name as it is */
};

struct mw_walk {
    struct mw_trail trail;
    int fd;                      /* the object, or -1: it is not there */
    int dir;                     /* the directory that holds it, or -1: not reached */
    char leaf[NAME_MAX + 1];     /* its name there; "." when it has none (the root) */
    int seen;                    /* recall.c: a regular file that was looked at and not opened */
    struct stat st;              /* of the object, when fd >= 0, or seen */
    int status;                  /* 0: it is there. -ENOENT with dir >= 0: only the last name is missing. Else what stopped the walk. */
    int want_dir;                /* the path ended with a slash */
    struct mw_place_id link;     /* where the first link was that the last name led through; text is lent from `link_text` */
    char link_text[MW_TRAIL_TEXT];
};

/* May ".." leave the directory that the trail stands at? NULL hook: always. */
struct mw_walk_hook {
    int (*leave)(void *ud, const struct mw_trail *trail);
    void *ud;
};

/* Walks `path` (absolute). The first cwd_len bytes of it are the working directory's name, which ".." may always leave.
 * Returns 0 (see status), MW_EDENIED when the hook said no, or the code of what has nothing to do with the path: no descriptors,
 * no memory, a directory that moved under our feet again and again (MW_EAGAIN). On 0 end with mw_walk_end. */
int mw_walk(const char *path, size_t cwd_len, enum mw_walk_how how, const struct mw_walk_hook *hook, struct mw_walk *w);
void mw_walk_end(struct mw_walk *w);

/* For who fills a walk otherwise: an empty one; one more step of a trail, not known yet (0, -ENAMETOOLONG). */
void mw_walk_blank(struct mw_walk *w);
int mw_trail_push(struct mw_trail *t, const char *name, size_t len);

/* Makes `path` absolute against the working directory, drops "." and doubled slashes, keeps "..". out has `size` bytes.
 * *cwd_len: how much of it is the working directory's. 0, -ENAMETOOLONG, or getcwd's code. */
int mw_walk_absolute(const char *path, char *out, size_t size, size_t *cwd_len);

#endif
