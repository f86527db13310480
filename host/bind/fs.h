/* The doors of files: what their own files share, and what other doors may ask of a file object.
 * Knows: bind/arg, io/file, lua.h. Never: a syscall. */
#ifndef MW_BIND_FS_H
#define MW_BIND_FS_H

#include <lua.h>
#include <sys/stat.h>

#include "io/file.h"

#define MW_FILE_TYPE "mw.file"

/* The open file at idx, lent; NULL if it is no file object. A closed one answers MW_ECLOSED to whatever is asked of it. */
mw_file *mw_file_test(lua_State *L, int idx);
/* The descriptor of the file object at idx for a child's standard stream: its position where the script's is, nothing held
 * back. Lent. output: the child writes to it. MW_EINVAL: no file object, or not open that way; MW_ECLOSED; -EBUSY; what could not be written. */
int mw_file_fd(lua_State *L, int idx, int output, struct mw_err *err);

/* A new table of a stat.                                                   [-0, +1, m] */
void mw_fs_push_stat(lua_State *L, const struct stat *st);
/* fs.open(path, mode?) -> file | nil, err                                  [-0, +1|2, e] */
int mw_fs_open(lua_State *L);
/* fs.watch(path) -> watch | nil, err                                       [-0, +1|2, e] */
int mw_fs_watch(lua_State *L);
/* fs.tempdir(opts?) -> tempdir | nil, err                                  [-0, +1|2, e] */
int mw_fs_tempdir(lua_State *L);
/* Their metatables. */
void mw_fs_file_type(lua_State *L);
void mw_fs_watch_type(lua_State *L);
void mw_fs_tempdir_type(lua_State *L);

/* No more bytes than the Lua state may hold.                                [-0, +0, -] */
size_t mw_fs_bound(lua_State *L, uint64_t max);
/* Names as arguments: no NUL, below PATH_MAX, not empty. */
const char *mw_fs_path(lua_State *L, int idx, const char *op, const char *name);

/* A job on names, anchored: mw_fs_hold pushes an empty holder before the job is made; mw_fs_yield parks the task; in its k,
 * mw_fs_done gives the finished job (the holder ends it, whatever is raised) or pushes nil, err and sets *pushed. */
struct mw_file_op;
void mw_fs_hold_type(lua_State *L);
void mw_fs_hold(lua_State *L);
int mw_fs_yield(lua_State *L, struct mw_file_op *op, uint64_t deadline, lua_KFunction k);
struct mw_file_op *mw_fs_done(lua_State *L, int status, lua_KContext ctx, int *pushed);

#endif
