/* Whole-file and directory work by name: read, write, list, stat, mkdir, rename, remove, temporary directories.
 * Knows: base, core/host, core/work, policy/permit. Never: Lua values; a name twice (permit opens, the rest is *at calls).
 *
 * A short call is done at once; what may take long is a job for the thread pool, made here, run by mw_work_yield. */
#ifndef MW_IO_FILE_OP_H
#define MW_IO_FILE_OP_H

#include <sys/stat.h>

#include "base/bytes.h"
#include "core/host.h"
#include "core/work.h"
#include "policy/permit.h"

#define MW_LIST_MAX 1000000u         /* entries of one listing */
#define MW_TREE_DEPTH 256            /* levels that one removal goes down */

struct mw_file_entry {
    unsigned name;                   /* where its name starts in op->bytes; ends with NUL */
    unsigned char type;              /* DT_... */
};

/* A job on names. Open: read what you like once it is done; end it with work.free(&op->work). */
struct mw_file_op {
    struct mw_work work;             /* first */
    int rc;                          /* 0 or a code; then err is filled */
    int ready;                       /* done already when it was made: there is nothing to wait for */
    struct mw_err err;
    struct mw_bytes bytes;           /* read: the data. list: the names. write: what to write */
    struct mw_file_entry *entries;   /* list: sorted by name */
    size_t count;
    /* the job's own */
    int (*step)(struct mw_file_op *);
    int fd;                          /* read, list: what is read; or -1 */
    struct mw_place at;              /* write, remove */
    struct mw_file_pinned { dev_t dev; ino_t ino; } *pinned; /* remove: what it never touches */
    size_t pinned_count;
    char *path;                      /* for errors */
    size_t max;
    int mode, sync, tree;
    int slash;                       /* remove: it was named as a directory, "x/" */
    int must, ran;                   /* must: if no thread ran it, its end does */
};

/* Each: 0 and *out (taken by mw_work_yield), or a code and nothing left behind. */
int mw_file_op_read(mw_host *h, const char *path, size_t max, struct mw_file_op **out, struct mw_err *err);
/* Atomic: a new file, renamed over `path`; the mode of an old one is kept. mode: of a new file, -1: 0666 less the umask.
 * sync: 1: on disk before it answers. data is copied. */
int mw_file_op_write(mw_host *h, const char *path, const char *data, size_t len, int mode, int sync, struct mw_file_op **out, struct mw_err *err);
int mw_file_op_list(mw_host *h, const char *path, struct mw_file_op **out, struct mw_err *err);
/* One file or empty directory; tree: 1: all below it too. Follows no link: "link/" is -ENOTDIR, as with rm(1). "." and "..": -EBUSY. */
int mw_file_op_remove(mw_host *h, const char *path, int tree, struct mw_file_op **out, struct mw_err *err);

int mw_file_stat_name(mw_host *h, const char *path, int follow, struct stat *out, struct mw_err *err);
int mw_file_mkdir(mw_host *h, const char *path, mode_t mode, int parents, struct mw_err *err);
int mw_file_rename(mw_host *h, const char *from, const char *to, struct mw_err *err);

/* A directory that goes, with all in it, when it is closed, collected, or its host ends. */
typedef struct mw_tempdir mw_tempdir;
int mw_tempdir_open(mw_host *h, const char *prefix, mw_tempdir **out, struct mw_err *err);
const char *mw_tempdir_path(const mw_tempdir *t);
int mw_tempdir_closed(const mw_tempdir *t);
/* The job that removes it; after this call it counts as closed. *out may be NULL: there was nothing to remove. */
int mw_tempdir_op_remove(mw_tempdir *t, struct mw_file_op **out, struct mw_err *err);
/* That job failed (it is done, not yet freed): the directory is there still, and will be removed another time. */
void mw_tempdir_op_failed(mw_tempdir *t, struct mw_file_op *op);
void mw_tempdir_free(mw_tempdir *t);  /* removes it here and now if it is still there */

/* Removes dir/leaf, in errors `path`, and all below it; levels and pinned objects as above. Any thread. */
int mw_file_remove_tree(int dir, const char *leaf, const char *path, const struct mw_file_pinned *pinned, size_t count, struct mw_err *err);

/* Between file_op.c and file_tree.c: what a removal does; a removal of a place that is held already (*at is taken on 0). */
int mw_file_remove_step(struct mw_file_op *op);
int mw_file_op_remove_at(struct mw_place *at, const char *path, struct mw_file_op **out, struct mw_err *err);

#endif
