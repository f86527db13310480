/* The doors of what watches a directory, and of a directory that goes when it is closed.
 * Knows: bind/arg, bind/fs, io/watch, io/file_op, core/wait, lua.h. Never: a syscall, a decision. */
#include <string.h>

#include "bind/arg.h"
#include "bind/fs.h"
#include "io/file_op.h"
#include "io/watch.h"

#define WATCH "mw.watch"
#define TEMPDIR "mw.tempdir"

/* ---- Watches ------------------------------------------------------------------------------------------------------------ */

struct watch_box { mw_watch *w; };

static mw_watch *watch_self(lua_State *L) {
    struct watch_box *box = mw_box_check(L, 1, WATCH);

    if (box->w == NULL) mw_raise_inval(L, "watch", "this watch was never opened");
    return box->w;
}

/* fs.watch(path) -> watch | nil, err                                       [-0, +1|2, e] */
int mw_fs_watch(lua_State *L) {
    const char *path = mw_fs_path(L, 1, "fs.watch", "path");
    struct watch_box *box = mw_box_new(L, sizeof *box, WATCH);
    struct mw_err err;

    if (mw_watch_open(mw_host_of(L), path, &box->w, &err) < 0) return mw_push_err(L, &err);
    return 1;
}

/* "dir" and "name" are "dir/name"; "" is the watched thing itself. */
static void push_path(lua_State *L, const mw_watch *w, const char *name) {
    const char *path = mw_watch_path(w);
    size_t len = strlen(path);

    if (name[0] == '\0') lua_pushlstring(L, path, len);
    else lua_pushfstring(L, "%s%s%s", path, path[len - 1] == '/' ? "" : "/", name);
}

static int next_k(lua_State *L, int status, lua_KContext ctx);

static int next_step(lua_State *L) {                                    /* [self opts deadline] */
    static const char *const words[] = { "created", "changed", "removed", "renamed", "overflow" };
    mw_watch *w = watch_self(L);
    struct mw_watch_event it;
    struct mw_err err;
    int rc = mw_watch_next(w, &it, &err);

    if (rc == MW_EEOF) {
        lua_pushnil(L);
        return 1;
    }
    if (rc == 0) rc = mw_watch_arm(w, &err);
    if (rc < 0) return mw_push_err(L, &err);
    if (rc == 0) return mw_wait_yield(L, mw_watch_ready(w), (uint64_t)lua_tointeger(L, 3), 0, next_k);
    lua_createtable(L, 0, 3);                                           /* [... event] */
    push_path(L, w, it.name);
    lua_setfield(L, -2, "path");
    lua_pushstring(L, words[it.what]);
    lua_setfield(L, -2, "what");
    if (it.from != NULL) {
        push_path(L, w, it.from);
        lua_setfield(L, -2, "from");
    }
    return 1;
}

static int next_k(lua_State *L, int status, lua_KContext ctx) {
    (void)ctx;
    if (status == MW_ETIMEDOUT) {
        struct mw_err err;

        mw_err_set(&err, MW_ETIMEDOUT, "fs watch", mw_watch_path(watch_self(L)), NULL);
        return mw_push_err(L, &err);
    }
    return next_step(L);
}

/* watch:next({ timeout }?) -> { path, what, from? } | nil (the directory is gone) | nil, err     [-0, +1|2, y] */
static int watch_next(lua_State *L) {
    static const char *const known[] = { "timeout", NULL };

    watch_self(L);
    mw_opt_open(L, 2, "watch:next", known, 0);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)mw_opt_deadline(L, 2, "watch:next"));
    return next_step(L);
}

/* watch:close() -> true                                                    [-0, +1, e] */
static int watch_close(lua_State *L) {
    mw_watch_close(watch_self(L));
    lua_pushboolean(L, 1);
    return 1;
}

static int watch_gc(lua_State *L) {
    struct watch_box *box = lua_touserdata(L, 1);
    mw_watch *w = box->w;

    box->w = NULL;
    if (w != NULL && !mw_watch_closed(w)) mw_box_warn(L, 1, "watch");
    mw_watch_free(w);
    return 0;
}

static int watch_tostring(lua_State *L) {
    mw_watch *w = watch_self(L);

    lua_pushfstring(L, "watch (%s%s)", mw_watch_closed(w) ? "closed: " : "", mw_watch_path(w));
    return 1;
}

void mw_fs_watch_type(lua_State *L) {
    static const luaL_Reg methods[] = { { "next", watch_next }, { "close", watch_close }, { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__gc", watch_gc }, { "__close", watch_close }, { "__tostring", watch_tostring }, { NULL, NULL } };

    mw_type_new(L, WATCH, methods, meta);
}

/* ---- Temporary directories ---------------------------------------------------------------------------------------------- */

struct tempdir_box { mw_tempdir *t; };

static mw_tempdir *tempdir_self(lua_State *L) {
    struct tempdir_box *box = mw_box_check(L, 1, TEMPDIR);

    if (box->t == NULL) mw_raise_inval(L, "tempdir", "this directory was never made");
    return box->t;
}

/* fs.tempdir({ prefix }?) -> tempdir | nil, err                            [-0, +1|2, e] */
int mw_fs_tempdir(lua_State *L) {
    static const char *const known[] = { "prefix", NULL };
    struct tempdir_box *box;
    const char *prefix;
    struct mw_err err;

    mw_opt_open(L, 1, "fs.tempdir", known, 0);
    prefix = mw_opt_text(L, 1, "fs.tempdir", "prefix", 64, "moonwire-");
    if (strchr(prefix, '/') != NULL || prefix[0] == '.') return mw_raise_inval(L, "fs.tempdir", "option \"prefix\" must be the beginning of a plain name");
    box = mw_box_new(L, sizeof *box, TEMPDIR);
    if (mw_tempdir_open(mw_host_of(L), prefix, &box->t, &err) < 0) return mw_push_err(L, &err);
    return 1;
}

static int tempdir_path(lua_State *L) {
    lua_pushstring(L, mw_tempdir_path(tempdir_self(L)));
    return 1;
}

static int removed_k(lua_State *L, int status, lua_KContext ctx) {
    struct mw_file_op *op = (struct mw_file_op *)ctx;
    int pushed = 0;

    if (status == 0 && op->rc < 0) mw_tempdir_op_failed(tempdir_self(L), op);
    if (mw_fs_done(L, status, ctx, &pushed) == NULL) return pushed;
    lua_pushboolean(L, 1);
    return 1;
}

/* tempdir:close() -> true | nil, err: gone with all that is in it. Waits where it can, else does it at once.  [-0, +1|2, y] */
static int tempdir_close(lua_State *L) {
    mw_tempdir *t = tempdir_self(L);
    struct mw_file_op *op = NULL;
    struct mw_err err;

    if (!mw_tempdir_closed(t)) {
        mw_fs_hold(L);                                                  /* [self ... holder] */
        if (mw_tempdir_op_remove(t, &op, &err) < 0) return mw_push_err(L, &err);
        if (op != NULL && !mw_wait_possible(L)) {
            op->work.run(&op->work);
            op->ready = 1;
        }
        if (op != NULL) return mw_fs_yield(L, op, MW_NEVER, removed_k);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int tempdir_gc(lua_State *L) {
    struct tempdir_box *box = lua_touserdata(L, 1);
    mw_tempdir *t = box->t;

    box->t = NULL;
    if (t != NULL && !mw_tempdir_closed(t)) mw_box_warn(L, 1, "temporary directory");
    mw_tempdir_free(t);
    return 0;
}

void mw_fs_tempdir_type(lua_State *L) {
    static const luaL_Reg methods[] = { { "path", tempdir_path }, { "close", tempdir_close }, { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__gc", tempdir_gc }, { "__close", tempdir_close }, { "__tostring", tempdir_path }, { NULL, NULL } };

    mw_type_new(L, TEMPDIR, methods, meta);
}
