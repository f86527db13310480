/* Rules of uv's listings of directories, and the types of what the fs names give.
 * Knows: bind/uv.h, io/file_op. Never: a syscall; leaves a directory open: it is read as a whole, at once. */
#include <dirent.h>
#include <string.h>

#include "bind/uv.h"
#include "io/file_op.h"

#define SCAN "mw.uv_scan"
#define DIRECTORY "mw.uv_dir"
#define REQUEST "mw.uv_request"
#define ENTRIES_MAX 1000

/* ---- Listings ----------------------------------------------------------------------------------------------------------------- */

struct listing {
    struct mw_file_op *op;           /* NULL once closed */
    size_t next;
    size_t step;                     /* entries that one fs_readdir gives */
};

static int listing_gc(lua_State *L) {
    struct listing *it = lua_touserdata(L, 1);

    if (it->op != NULL) it->op->work.free(&it->op->work);
    it->op = NULL;
    return 0;
}

/* Pushes the listing of `path`, read here and now.  0, or a code with err filled and an empty listing pushed. */
static int push_listing(lua_State *L, struct uv_door *d, const char *path, const char *type, size_t step, struct mw_err *err) {
    struct listing *it = lua_newuserdatauv(L, sizeof *it, 0);
    int rc;

    memset(it, 0, sizeof *it);
    it->step = step;
    luaL_setmetatable(L, type);
    rc = mw_file_op_list(d->host, path, &it->op, err);
    if (rc < 0) {
        it->op = NULL;
        return rc;
    }
    it->op->work.run(&it->op->work);
    if (it->op->rc < 0) *err = it->op->err;
    return it->op->rc;
}

static const char *entry(const struct listing *it, size_t i, const char **type) {
    const struct mw_file_entry *e = &it->op->entries[i];

    *type = mw_uv_type_of(DTTOIF(e->type));
    return mw_bytes_at(&it->op->bytes) + e->name;
}

int mw_uv_fs_scandir(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name);
    struct mw_err err;

    (void)raw;
    if (push_listing(L, d, mw_uv_path_at(L, 1, r->name), SCAN, 0, &err) < 0) return mw_uv_give_err(L, d, cb, &err);
    if (cb == 0) return 1;
    lua_pushvalue(L, -1);
    mw_uv_give(L, d, cb, 1);
    lua_pop(L, 1); /* luv answers with the scan itself, also with a callback */
    return 1;
}

int mw_uv_fs_scandir_next(UV_ARGS) {
    struct listing *it = luaL_testudata(L, 1, SCAN);
    const char *name, *type;

    (void)d;
    (void)raw;
    if (it == NULL) return mw_raise_inval(L, r->name, "argument 1: what fs_scandir gave expected, got %s", luaL_typename(L, 1));
    if (it->op == NULL || it->next == it->op->count) return 0;
    name = entry(it, it->next++, &type);
    lua_pushstring(L, name);
    lua_pushstring(L, type);
    return 2;
}

int mw_uv_fs_opendir(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name);
    struct mw_err err;
    lua_Integer step = 1;

    (void)raw;
    if (!lua_isnoneornil(L, 3)) step = mw_param_integer(L, 3, r->name, "entries", 1, ENTRIES_MAX);
    if (push_listing(L, d, mw_uv_path_at(L, 1, r->name), DIRECTORY, (size_t)step, &err) < 0) return mw_uv_give_err(L, d, cb, &err);
    return mw_uv_give(L, d, cb, 1);
}

static struct listing *directory_at(lua_State *L, const char *op) {
    struct listing *it = luaL_testudata(L, 1, DIRECTORY);

    if (it == NULL) mw_raise_inval(L, op, "argument 1: what fs_opendir gave expected, got %s", luaL_typename(L, 1));
    else if (it->op == NULL) mw_raise_inval(L, op, "the directory is closed");
    return it;
}

int mw_uv_fs_readdir(UV_ARGS) {
    struct listing *it = directory_at(L, r->name);
    int cb = mw_uv_callback_at(L, 2, 2, r->name);

    (void)raw;
    if (it->next == it->op->count) {
        lua_pushnil(L);
        return mw_uv_give(L, d, cb, 1);
    }
    lua_newtable(L);
    for (lua_Integer i = 1; i <= (lua_Integer)it->step && it->next < it->op->count; i++) {
        const char *type, *name = entry(it, it->next++, &type);

        lua_createtable(L, 0, 2);
        lua_pushstring(L, name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, type);
        lua_setfield(L, -2, "type");
        lua_rawseti(L, -2, i);
    }
    return mw_uv_give(L, d, cb, 1);
}

int mw_uv_fs_closedir(UV_ARGS) {
    int cb = mw_uv_callback_at(L, 2, 2, r->name);

    (void)raw;
    directory_at(L, r->name);
    listing_gc(L);
    lua_pushboolean(L, 1);
    return mw_uv_give(L, d, cb, 1);
}

/* ---- Types of ours ------------------------------------------------------------------------------------------------------------ */

void mw_uv_push_request(lua_State *L) {
    lua_newuserdatauv(L, 1, 0);
    luaL_setmetatable(L, REQUEST);
}

void mw_uv_make_type(lua_State *L, const char *type, const luaL_Reg *meta, const char *const (*methods)[2]) {
    luaL_newmetatable(L, type);                                        /* [uv mt] */
    if (meta != NULL) luaL_setfuncs(L, meta, 0);
    lua_newtable(L);                                                   /* [uv mt methods] */
    for (; (*methods)[0] != NULL; methods++) {
        lua_getfield(L, -3, (*methods)[1]);
        lua_setfield(L, -2, (*methods)[0]);
    }
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* "uv_dir_t: 0x..." */
static int directory_text(lua_State *L) {
    lua_pushfstring(L, "uv_dir_t: %p", lua_touserdata(L, 1));
    return 1;
}
static int request_text(lua_State *L) {
    lua_pushfstring(L, "uv_fs_t: %p", lua_touserdata(L, 1));
    return 1;
}

void mw_uv_fs_types(lua_State *L) {
    static const luaL_Reg plain[] = { { "__tostring", request_text }, { NULL, NULL } };
    static const luaL_Reg scan[] = { { "__gc", listing_gc }, { "__tostring", request_text }, { NULL, NULL } };
    static const luaL_Reg dir[] = { { "__gc", listing_gc }, { "__tostring", directory_text }, { NULL, NULL } };
    static const char *const request[][2] = { { "cancel", "cancel" }, { "get_type", "req_get_type" }, { NULL, NULL } };
    static const char *const directory[][2] = { { "readdir", "fs_readdir" }, { "closedir", "fs_closedir" }, { NULL, NULL } };

    mw_uv_make_type(L, REQUEST, plain, request);
    mw_uv_make_type(L, SCAN, scan, request);
    mw_uv_make_type(L, DIRECTORY, dir, directory);
}
