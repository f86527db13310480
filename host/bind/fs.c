/* The door of mw.fs: names in, whole files, listings and facts out.
 * Knows: bind/arg, bind/fs, io/file_op, core/work, lua.h. Never: a syscall, a decision. */
#include "bind/fs.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "io/file_op.h"

#define READ_MAX (64u << 20)         /* bytes that mw.fs.read takes unless told */
#define SIZE_MOST (1ull << 40)

const char *mw_fs_path(lua_State *L, int idx, const char *op, const char *name) {
    size_t len;
    const char *path = mw_param_text(L, idx, op, name, PATH_MAX - 1, &len);

    if (len == 0) mw_raise_inval(L, op, "%s must not be empty", name);
    return path;
}

size_t mw_fs_bound(lua_State *L, uint64_t max) {
    size_t limit;

    mw_host_memory(mw_host_of(L), &limit);
    return max < limit ? (size_t)max : limit;
}

/* ---- Jobs --------------------------------------------------------------------------------------------------------------- */

#define HOLDER "mw.fs.job"
struct holder { struct mw_file_op *op; };   /* NULL: nothing to end */

static int holder_gc(lua_State *L) {
    struct holder *it = lua_touserdata(L, 1);
    struct mw_file_op *op = it->op;

    it->op = NULL;
    if (op != NULL) op->work.free(&op->work);
    return 0;
}

void mw_fs_hold_type(lua_State *L) {
    static const luaL_Reg none[] = { { NULL, NULL } }, meta[] = { { "__gc", holder_gc }, { NULL, NULL } };

    mw_type_new(L, HOLDER, none, meta);
}

void mw_fs_hold(lua_State *L) {
    struct holder *it = lua_newuserdatauv(L, sizeof *it, 0);

    it->op = NULL;
    luaL_setmetatable(L, HOLDER);
}

int mw_fs_yield(lua_State *L, struct mw_file_op *op, uint64_t deadline, lua_KFunction k) {
    if (op->ready) return k(L, 0, (lua_KContext)op);
    return mw_work_yield(L, &op->work, deadline, (lua_KContext)op, k);
}

struct mw_file_op *mw_fs_done(lua_State *L, int status, lua_KContext ctx, int *pushed) {
    struct mw_file_op *op = (struct mw_file_op *)ctx;
    struct holder *it = lua_touserdata(L, -1);
    struct mw_err err;

    if (status < 0) { /* the job ends itself */
        mw_err_set(&err, status, "fs", NULL, NULL);
        *pushed = mw_push_err(L, &err);
        return NULL;
    }
    it->op = op; /* ours again */
    if (op->rc == 0) return op;
    err = op->err;
    lua_pushcfunction(L, holder_gc);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
    *pushed = mw_push_err(L, &err);
    return NULL;
}

static int job_answer(lua_State *L, int status, lua_KContext ctx) {     /* [... holder] */
    int pushed = 0;

    if (mw_fs_done(L, status, ctx, &pushed) == NULL) return pushed;
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- Whole files -------------------------------------------------------------------------------------------------------- */

static int read_k(lua_State *L, int status, lua_KContext ctx) {         /* [path opts holder] */
    int pushed = 0;
    struct mw_file_op *op = mw_fs_done(L, status, ctx, &pushed);

    if (op == NULL) return pushed;
    if (mw_bytes_len(&op->bytes) == 0) lua_pushliteral(L, "");
    else lua_pushlstring(L, mw_bytes_at(&op->bytes), mw_bytes_len(&op->bytes));
    lua_pushcfunction(L, holder_gc);     /* a large copy need not wait for the collector */
    lua_pushvalue(L, -3);
    lua_call(L, 1, 0);
    return 1;
}

/* fs.read(path, { max, timeout }?) -> bytes | nil, err                     [-0, +1|2, y] */
static int fs_read(lua_State *L) {
    static const char *const known[] = { "max", "timeout", NULL };
    const char *path = mw_fs_path(L, 1, "fs.read", "path");
    struct mw_file_op *op;
    struct mw_err err;
    uint64_t deadline, max;

    mw_opt_open(L, 2, "fs.read", known, 0);
    max = mw_opt_size(L, 2, "fs.read", "max", 0, SIZE_MOST, READ_MAX);
    deadline = mw_opt_deadline(L, 2, "fs.read");
    lua_settop(L, 2);
    mw_fs_hold(L);                                                      /* [path opts holder] */
    if (mw_file_op_read(mw_host_of(L), path, mw_fs_bound(L, max), &op, &err) < 0) return mw_push_err(L, &err);
    return mw_fs_yield(L, op, deadline, read_k);
}

/* "0640", or an integer; -1 when absent. */
static int mode_of(lua_State *L, int idx, const char *op) {
    int type = mw_opt_get(L, idx, "mode"), mode = -1;

    if (type == LUA_TSTRING) {
        const char *at = lua_tostring(L, -1);
        size_t len = strlen(at);

        mode = 0;
        if (len == 0 || len > 5) mode = -2;
        for (; mode >= 0 && *at != '\0'; at++) mode = *at >= '0' && *at <= '7' ? mode * 8 + (*at - '0') : -2;
    } else if (type == LUA_TNUMBER && lua_isinteger(L, -1)) {
        lua_Integer n = lua_tointeger(L, -1);

        mode = n >= 0 && n <= 0777 ? (int)n : -2;
    } else if (type != LUA_TNIL) {
        mode = -2;
    }
    if (mode == -2 || mode > 0777) mw_raise_inval(L, op, "option \"mode\" must be octal digits like \"0644\"");
    lua_pop(L, 1);
    return mode;
}

/* fs.write(path, bytes, { mode, sync, timeout }?) -> true | nil, err       [-0, +1|2, y] */
static int fs_write(lua_State *L) {
    static const char *const known[] = { "mode", "sync", "timeout", NULL };
    const char *path = mw_fs_path(L, 1, "fs.write", "path"), *data;
    struct mw_file_op *op;
    struct mw_err err;
    uint64_t deadline;
    int mode, sync;
    size_t len;

    data = mw_param_bytes(L, 2, "fs.write", "data", &len);
    mw_opt_open(L, 3, "fs.write", known, 0);
    mode = mode_of(L, 3, "fs.write");
    sync = mw_opt_flag(L, 3, "fs.write", "sync", 0);
    deadline = mw_opt_deadline(L, 3, "fs.write");
    lua_settop(L, 3);
    mw_fs_hold(L);                                                      /* [path data opts holder] */
    if (mw_file_op_write(mw_host_of(L), path, data, len, mode, sync, &op, &err) < 0) return mw_push_err(L, &err);
    return mw_fs_yield(L, op, deadline, job_answer);
}

/* ---- Directories -------------------------------------------------------------------------------------------------------- */

static const char *type_word(unsigned type) {
    switch (type) {
    case DT_REG: return "file";
    case DT_DIR: return "directory";
    case DT_LNK: return "link";
    case DT_FIFO: return "fifo";
    case DT_SOCK: return "socket";
    case DT_CHR: return "char";
    case DT_BLK: return "block";
    default: return "unknown";
    }
}

static int list_k(lua_State *L, int status, lua_KContext ctx) {         /* [path opts holder] */
    int pushed = 0, types;
    struct mw_file_op *op = mw_fs_done(L, status, ctx, &pushed);

    if (op == NULL) return pushed;
    types = mw_opt_flag(L, 2, "fs.list", "types", 0);
    lua_createtable(L, (int)op->count, 0);                              /* [... list] */
    for (size_t i = 0; i < op->count; i++) {
        const char *name = mw_bytes_at(&op->bytes) + op->entries[i].name;

        if (types) {
            lua_createtable(L, 0, 2);                                   /* [... list entry] */
            lua_pushstring(L, name);
            lua_setfield(L, -2, "name");
            lua_pushstring(L, type_word(op->entries[i].type));
            lua_setfield(L, -2, "type");
        } else {
            lua_pushstring(L, name);                                    /* [... list name] */
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* fs.list(path, { types, timeout }?) -> names | nil, err                   [-0, +1|2, y] */
static int fs_list(lua_State *L) {
    static const char *const known[] = { "types", "timeout", NULL };
    const char *path = mw_fs_path(L, 1, "fs.list", "path");
    struct mw_file_op *op;
    struct mw_err err;
    uint64_t deadline;

    mw_opt_open(L, 2, "fs.list", known, 0);
    mw_opt_flag(L, 2, "fs.list", "types", 0);
    deadline = mw_opt_deadline(L, 2, "fs.list");
    lua_settop(L, 2);
    mw_fs_hold(L);                                                      /* [path opts holder] */
    if (mw_file_op_list(mw_host_of(L), path, &op, &err) < 0) return mw_push_err(L, &err);
    return mw_fs_yield(L, op, deadline, list_k);
}

static void seconds(lua_State *L, const struct timespec *at, const char *key) {
    lua_pushnumber(L, (lua_Number)at->tv_sec + (lua_Number)at->tv_nsec / 1e9);
    lua_setfield(L, -2, key);
}

void mw_fs_push_stat(lua_State *L, const struct stat *st) {
    const struct { const char *key; lua_Integer value; } facts[] = {
        { "size", st->st_size },        { "mode", st->st_mode & 07777 },      { "uid", st->st_uid },
        { "gid", st->st_gid },          { "nlink", (lua_Integer)st->st_nlink }, { "ino", (lua_Integer)st->st_ino },
        { "dev", (lua_Integer)st->st_dev },
    };

    lua_createtable(L, 0, 11);                                          /* [... stat] */
    lua_pushstring(L, type_word(IFTODT(st->st_mode)));
    lua_setfield(L, -2, "type");
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        lua_pushinteger(L, facts[i].value);
        lua_setfield(L, -2, facts[i].key);
    }
    seconds(L, &st->st_mtim, "mtime");
    seconds(L, &st->st_atim, "atime");
    seconds(L, &st->st_ctim, "ctime");
}

/* fs.stat(path, { follow }?) -> stat | nil, err                            [-0, +1|2, e] */
static int fs_stat(lua_State *L) {
    static const char *const known[] = { "follow", NULL };
    const char *path = mw_fs_path(L, 1, "fs.stat", "path");
    struct mw_err err;
    struct stat st;
    int follow;

    mw_opt_open(L, 2, "fs.stat", known, 0);
    follow = mw_opt_flag(L, 2, "fs.stat", "follow", 1);
    if (mw_file_stat_name(mw_host_of(L), path, follow, &st, &err) < 0) return mw_push_err(L, &err);
    mw_fs_push_stat(L, &st);
    return 1;
}

/* fs.mkdir(path, { parents, mode }?) -> true | nil, err                    [-0, +1|2, e] */
static int fs_mkdir(lua_State *L) {
    static const char *const known[] = { "parents", "mode", NULL };
    const char *path = mw_fs_path(L, 1, "fs.mkdir", "path");
    struct mw_err err;
    int mode, parents;

    mw_opt_open(L, 2, "fs.mkdir", known, 0);
    parents = mw_opt_flag(L, 2, "fs.mkdir", "parents", 0);
    mode = mode_of(L, 2, "fs.mkdir");
    if (mw_file_mkdir(mw_host_of(L), path, mode < 0 ? 0777 : (mode_t)mode, parents, &err) < 0) return mw_push_err(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* fs.remove(path, { tree, timeout }?) -> true | nil, err                   [-0, +1|2, y] */
static int fs_remove(lua_State *L) {
    static const char *const known[] = { "tree", "timeout", NULL };
    const char *path = mw_fs_path(L, 1, "fs.remove", "path");
    struct mw_file_op *op;
    struct mw_err err;
    uint64_t deadline;
    int tree;

    mw_opt_open(L, 2, "fs.remove", known, 0);
    tree = mw_opt_flag(L, 2, "fs.remove", "tree", 0);
    deadline = mw_opt_deadline(L, 2, "fs.remove");
    lua_settop(L, 2);
    mw_fs_hold(L);                                                      /* [path opts holder] */
    if (mw_file_op_remove(mw_host_of(L), path, tree, &op, &err) < 0) return mw_push_err(L, &err);
    return mw_fs_yield(L, op, deadline, job_answer);
}

/* fs.rename(from, to) -> true | nil, err                                   [-0, +1|2, e] */
static int fs_rename(lua_State *L) {
    const char *from = mw_fs_path(L, 1, "fs.rename", "from"), *to = mw_fs_path(L, 2, "fs.rename", "to");
    struct mw_err err;

    if (mw_file_rename(mw_host_of(L), from, to, &err) < 0) return mw_push_err(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* core.fs                                                                  [-0, +1, m] */
int mw_door_fs(lua_State *L) {
    static const luaL_Reg door[] = {
        { "read", fs_read },     { "write", fs_write },   { "list", fs_list },     { "stat", fs_stat },   { "mkdir", fs_mkdir },
        { "remove", fs_remove }, { "rename", fs_rename }, { "open", mw_fs_open },  { "watch", mw_fs_watch }, { "tempdir", mw_fs_tempdir },
        { NULL, NULL },
    };

    mw_fs_hold_type(L);
    mw_fs_file_type(L);
    mw_fs_watch_type(L);
    mw_fs_tempdir_type(L);
    luaL_newlib(L, door);                                               /* [door] */
    mw_type_methods(L, MW_FILE_TYPE);                                   /* [door methods] */
    lua_setfield(L, -2, "methods");                                     /* [door] */
    return 1;
}
