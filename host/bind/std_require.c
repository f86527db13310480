/* require, written so that a module's chunk may wait: another task that wants the module meanwhile waits for it too.
 * Knows: bind, io/osfile, core, lua.h. Never: Lua's own searchers, loadlib; bytecode; a file that was not permitted. */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/std.h"
#include "core/raise.h"
#include "core/task.h"
#include "io/osfile.h"
#include "policy/policy.h"

#define TYPE "mw.loading"
#define NAME_BYTES 1024          /* of a module's name */

static const char loading_key, denied_key; /* registry: names being loaded; what the last search was refused */

/* A module that a task is loading now. */
struct loading {
    struct mw_wait done;
    mw_task *owner;              /* held */
    struct loading *owner_waits; /* the module that the owner waits for, if any */
    int over;
};

/* ---- Who loads what ------------------------------------------------------------------------------------------------------------------ */

static void end_loading(struct loading *it) {
    if (it->over) return;
    it->over = 1;
    mw_wait_wake(&it->done);
    if (it->owner != NULL) mw_task_release(it->owner);
    it->owner = NULL;
}

static int loading_end(lua_State *L) { /* __gc, __close */
    end_loading(lua_touserdata(L, 1));
    return 0;
}

/* Would waiting for `it` wait for ourselves? */
static int is_ring(const struct loading *it, const mw_task *self) {
    for (int hops = 0; it != NULL && !it->over && hops < 1000; it = it->owner_waits, hops++)
        if (it->owner == self) return 1;
    return 0;
}

/* Notes for every module that `self` loads that it waits for `on` (NULL: no more). */
static void note_waits(lua_State *L, const mw_task *self, struct loading *on) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loading_key);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        struct loading *it = lua_touserdata(L, -1);
        if (it->owner == self) it->owner_waits = on;
    }
    lua_pop(L, 1);
}

/* ---- Searching ------------------------------------------------------------------------------------------------------------------------- */

/* Remembers a refusal of the search, the first one or the surest: if nothing is found, it is the answer. */
static void note_denied(lua_State *L, const struct mw_err *err, int sure) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &denied_key) == LUA_TNIL || sure) {
        mw_err_push(L, err);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &denied_key);
    }
    lua_pop(L, 1);
}

/* Pushes the next file name of a path template list, or returns 0. */
static int next_candidate(lua_State *L, const char **path, const char *name) {
    size_t n;

    while (**path == ';') ++*path;
    if (**path == 0) return 0;
    n = strcspn(*path, ";");
    lua_pushlstring(L, *path, n);
    *path += n;
    luaL_gsub(L, lua_tostring(L, -1), "?", name);
    lua_remove(L, -2);
    return 1;
}

static const char *path_field(lua_State *L, const char *field) { /* pushes it; the upvalue is the package table */
    lua_getfield(L, lua_upvalueindex(1), field);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "'package.%s' must be a string", field);
    return lua_tostring(L, -1);
}

/* The searchers: name -> loader, extra | text of what was looked at                                                   [-0, +1|2, e] */
static int search_preload(lua_State *L) {
    const char *name = mw_param_text(L, 1, "require", "the module's name", NAME_BYTES, NULL);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pushfstring(L, "no field package.preload['%s']", name);
        return 1;
    }
    lua_pushliteral(L, ":preload:");
    return 2;
}

static int push_slashed(lua_State *L, const char *name) { /* "a.b" -> "a/b" */
    luaL_gsub(L, name, ".", "/");
    return 1;
}

static int usable(const char *candidate) {
    return strlen(candidate) < 4096 && candidate[0] != 0;
}

static int search_lua(lua_State *L) {
    const char *name = mw_param_text(L, 1, "require", "the module's name", NAME_BYTES, NULL), *path, *file;
    mw_policy *p = mw_host_policy(mw_host_of(L));
    luaL_Buffer b;
    int tried = 0;

    lua_settop(L, 1);
    path = path_field(L, "path");                               /* [name path] */
    push_slashed(L, name);                                      /* [name path slashed] */
    luaL_buffinit(L, &b);
    while (next_candidate(L, &path, lua_tostring(L, 3))) {
        struct mw_err err;
        char **text;
        size_t len = 0;
        int rc;
        file = lua_tostring(L, -1);
        text = mw_std_text(L);                                  /* [.. file box] */
        rc = usable(file) ? mw_os_read_text(p, file, 1, "require", text, &len, &err) : mw_err_set(&err, MW_ENOENT, NULL, NULL, NULL);
        if (rc == 0) {
            if (mw_std_compile(L, text, len, file) != LUA_OK)
                return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file, lua_tostring(L, -1));
            lua_insert(L, -2);                                  /* [.. f file] */
            return 2;
        }
        if (rc == MW_ENOMEM || rc == -EMFILE || rc == -ENFILE || rc == MW_ELIMIT) return mw_raise(L, &err);
        if (rc == MW_EDENIED) note_denied(L, &err, 0);
        lua_pop(L, 1);
        lua_pushfstring(L, rc == MW_EDENIED ? "%sno right to read '%s'" : "%sno file '%s'", tried++ > 0 ? "\n\t" : "", file);
        lua_remove(L, -2);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    return 1;
}

/* root: the module is looked for in the library of its first word, as Lua's last searcher does. */
static int search_library(lua_State *L, int root) {
    const char *name = mw_param_text(L, 1, "require", "the module's name", NAME_BYTES, NULL), *path, *file, *mark;
    mw_policy *p = mw_host_policy(mw_host_of(L));
    luaL_Buffer b;
    int tried = 0;

    if (root && strchr(name, '.') == NULL) return 0;
    lua_settop(L, 1);
    path = path_field(L, "cpath");
    if (root) lua_pushlstring(L, name, strcspn(name, "."));
    else push_slashed(L, name);
    mark = strchr(name, '-');                                   /* "v2-mod" is found as such, and opened as mod */
    luaL_gsub(L, mark != NULL ? mark + 1 : name, ".", "_");
    lua_pushfstring(L, "luaopen_%s", lua_tostring(L, -1));
    lua_remove(L, -2);                                          /* [name path slashed symbol] */
    luaL_buffinit(L, &b);
    while (next_candidate(L, &path, lua_tostring(L, 3))) {
        struct mw_err err;
        void *fn = NULL;
        int rc;
        file = lua_tostring(L, -1);
        rc = usable(file) ? mw_os_load_native(p, file, lua_tostring(L, 4), &fn, &err) : mw_err_set(&err, MW_ENOENT, NULL, NULL, NULL);
        if (rc == 0 && fn != NULL) {
            lua_CFunction open;
            memcpy(&open, &fn, sizeof open);
            lua_pushcfunction(L, open);
            lua_insert(L, -2);
            return 2;
        }
        if (rc == 0 && root) {
            lua_pushfstring(L, "no module '%s' in file '%s'", name, file);
            return 1;
        }
        if (rc == 0) return luaL_error(L, "error loading module '%s' from file '%s':\n\tit has no function %s", name, file, lua_tostring(L, 4));
        if (rc == -ENOEXEC || rc == MW_ENOMEM) return mw_raise(L, &err);
        if (rc == MW_EDENIED && mw_os_native_exists(file)) note_denied(L, &err, 1);
        lua_pushfstring(L, rc == MW_EDENIED ? "%sno right to load '%s'" : "%sno file '%s'", tried++ > 0 ? "\n\t" : "", file);
        lua_remove(L, -2);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    return 1;
}

static int search_native(lua_State *L) {
    return search_library(L, 0);
}
static int search_root(lua_State *L) {
    return search_library(L, 1);
}

/* searchpath(name, path [, sep [, rep]]) -> file name | nil, what was looked at                                        [-0, +1|2, e] */
static int pkg_searchpath(lua_State *L) {
    const char *name = mw_param_text(L, 1, "package.searchpath", "the module's name", NAME_BYTES, NULL);
    const char *path = mw_param_text(L, 2, "package.searchpath", "the path", 1u << 20, NULL);
    const char *sep = mw_std_text_at(L, 3, "package.searchpath", "the separator", ".");
    const char *rep = mw_std_text_at(L, 4, "package.searchpath", "the replacement", "/");
    mw_policy *p = mw_host_policy(mw_host_of(L));
    luaL_Buffer b;
    int tried = 0;

    lua_settop(L, 4);
    if (*sep != 0) luaL_gsub(L, name, sep, rep);
    else lua_pushvalue(L, 1);                                   /* [.. slashed] */
    luaL_buffinit(L, &b);
    while (next_candidate(L, &path, lua_tostring(L, 5))) {
        struct mw_err err;
        const char *file = lua_tostring(L, -1);
        char **text = mw_std_text(L);
        size_t len;
        int rc = usable(file) ? mw_os_read_text(p, file, 1, "require", text, &len, &err) : MW_ENOENT;
        lua_pop(L, 1);
        if (rc == 0) return 1;
        lua_pushfstring(L, rc == MW_EDENIED ? "%sno right to read '%s'" : "%sno file '%s'", tried++ > 0 ? "\n\t" : "", file);
        lua_remove(L, -2);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* Asks package.searchers in turn; pushes loader and extra, or raises. The upvalue is the package table.                  [-0, +2, e] */
static void find_loader(lua_State *L, const char *name) {
    int searchers, looked;

    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &denied_key);
    if (lua_getfield(L, lua_upvalueindex(1), "searchers") != LUA_TTABLE) luaL_error(L, "'package.searchers' must be a table");
    searchers = lua_gettop(L);
    lua_pushfstring(L, "module '%s' not found:", name);
    looked = lua_gettop(L);
    for (int i = 1; lua_rawgeti(L, searchers, i) != LUA_TNIL; i++) {
        lua_pushstring(L, name);
        lua_call(L, 1, 2);
        if (lua_isfunction(L, -2)) return;
        lua_pop(L, 1);
        if (lua_isstring(L, -1)) {
            lua_pushfstring(L, "%s\n\t%s", lua_tostring(L, looked), lua_tostring(L, -1));
            lua_replace(L, looked);
        }
        lua_pop(L, 1);
    }
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &denied_key) != LUA_TNIL) lua_error(L);
    luaL_error(L, "%s", lua_tostring(L, looked));
}

/* ---- require ------------------------------------------------------------------------------------------------------------------------------ */

/* What is on the stack while a module loads. */
enum { AT_NAME = 1, AT_LOADED, AT_LOADING, AT_RECORD, AT_EXTRA };

/* The chunk has ended with its value on top.                                                             -> module, extra */
static int finish(lua_State *L) {
    const char *name = lua_tostring(L, AT_NAME);

    if (!lua_isnil(L, -1)) lua_setfield(L, AT_LOADED, name);
    else lua_pop(L, 1);
    if (lua_getfield(L, AT_LOADED, name) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
        lua_pushvalue(L, -1);
        lua_setfield(L, AT_LOADED, name);
    }
    lua_pushvalue(L, AT_EXTRA);
    return 2;
}

static int after(lua_State *L, int status, lua_KContext ctx) { /* [name loaded loading record extra msgh result|error] */
    (void)ctx;
    lua_pushnil(L);
    lua_setfield(L, AT_LOADING, lua_tostring(L, AT_NAME));
    end_loading(lua_touserdata(L, AT_RECORD));
    if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
    return finish(L);
}

static int handler(lua_State *L) {
    return mw_traceback(L);
}

/* Nobody has it and nobody loads it: [name loaded loading]. */
static int load_it(lua_State *L) {
    const char *name = lua_tostring(L, AT_NAME);
    struct loading *it;

    lua_settop(L, AT_LOADING);
    it = lua_newuserdatauv(L, sizeof *it, 0);
    memset(it, 0, sizeof *it);
    mw_wait_init(&it->done);
    luaL_setmetatable(L, TYPE);
    find_loader(L, name);                                       /* [.. loader extra] */
    lua_insert(L, AT_EXTRA);                                    /* [name loaded loading record extra .. loader] */
    lua_insert(L, AT_EXTRA + 1);
    lua_settop(L, AT_EXTRA + 1);
    it->owner = mw_task_current(mw_host_of(L));
    if (it->owner != NULL) mw_task_hold(it->owner);
    lua_pushvalue(L, AT_RECORD);
    lua_setfield(L, AT_LOADING, name);
    lua_toclose(L, AT_RECORD);                                  /* a task that is killed leaves nobody waiting */
    lua_pushcfunction(L, handler);
    lua_insert(L, AT_EXTRA + 1);                                /* [.. extra msgh loader] */
    lua_pushvalue(L, AT_NAME);
    lua_pushvalue(L, AT_EXTRA);
    return after(L, lua_pcallk(L, 2, 1, AT_EXTRA + 1, 0, after), 0);
}

static int look(lua_State *L);

static int looked(lua_State *L, int code, lua_KContext ctx) { /* the other task is through, one way or the other */
    (void)ctx;
    note_waits(L, mw_task_current(mw_host_of(L)), NULL);
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    return look(L);
}

static int look(lua_State *L) { /* [name ...] */
    const char *name = lua_tostring(L, AT_NAME);
    struct loading *it;

    lua_settop(L, AT_NAME);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, AT_LOADED, name), lua_toboolean(L, -1)) return 1;
    lua_pop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loading_key);
    if (lua_getfield(L, AT_LOADING, name) == LUA_TNIL) return load_it(L);
    it = lua_touserdata(L, -1);
    if (it->over) return load_it(L);
    if (is_ring(it, mw_task_current(mw_host_of(L)))) return luaL_error(L, "module '%s' requires itself while it is being loaded", name);
    note_waits(L, mw_task_current(mw_host_of(L)), it);
    return mw_wait_yield_raw(L, &it->done, MW_NEVER, 0, looked);  /* the record stays on our stack */
}

static int is_ours(lua_State *L, const char *name) {
    return mw_module_public(name) || (!mw_module_inner(name) && mw_policy_is_total(mw_host_policy(mw_host_of(L))));
}

/* require(name) -> module, where it was found                                                                            [-0, +1|2, y] */
static int std_require(lua_State *L) {
    const char *name = mw_param_text(L, 1, "require", "the module's name", NAME_BYTES, NULL);

    lua_settop(L, 1);
    if (is_ours(L, name) && mw_module_push(L, name)) { /* ours: always the same object */
        lua_pushliteral(L, ":moonwire:");
        return 2;
    }
    return look(L);
}

/* ---- Opening ------------------------------------------------------------------------------------------------------------------------------ */

/* Lua's default path without the folder that the program happens to stand in. */
#define OWN_PATH "/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/init.lua;/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua"
#if defined(__aarch64__)
#define ARCH "aarch64-linux-gnu"
#else
#define ARCH "x86_64-linux-gnu"
#endif
#define OWN_CPATH "/usr/local/lib/lua/5.4/?.so;/usr/lib/" ARCH "/lua/5.4/?.so;/usr/lib/lua/5.4/?.so"
#define HERE ";./?.lua;./?/init.lua"

/* Pushes the user's own path, its first ";;" replaced by `usual` as Lua does it, or `usual` where there is none.          [-0, +1, e] */
static void push_chosen(lua_State *L, const char *versioned, const char *plain, const char *usual) {
    mw_policy *p = mw_host_policy(mw_host_of(L));
    const char *value = mw_os_search_path(p, versioned), *gap;
    size_t before;

    if (value == NULL) value = mw_os_search_path(p, plain);
    if (value == NULL || (gap = strstr(value, ";;")) == NULL) {
        lua_pushstring(L, value != NULL ? value : usual);
        return;
    }
    before = (size_t)(gap - value);
    lua_pushlstring(L, value, before);
    lua_pushfstring(L, "%s%s%s%s%s", lua_tostring(L, -1), before > 0 ? ";" : "", usual, gap[2] != 0 ? ";" : "", gap + 2);
    lua_remove(L, -2);
}

/* What stands in the working folder is nobody's choice: it is looked at last, and under a script that may do everything anyway. */
void mw_std_set_script_dir(lua_State *L, const char *dir) {
    int total = mw_policy_is_total(mw_host_policy(mw_host_of(L)));
    int beside = dir != NULL && *dir != 0 && strpbrk(dir, ";?") == NULL; /* such a name cannot be said in a path */
    int here = dir == NULL || *dir == 0 || (total && strcmp(dir, ".") != 0);

    if (lua_getglobal(L, LUA_LOADLIBNAME) == LUA_TTABLE) {
        push_chosen(L, "LUA_PATH_5_4", "LUA_PATH", here ? OWN_PATH HERE : OWN_PATH);
        if (beside) lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", dir, dir, lua_tostring(L, -1));
        lua_setfield(L, beside ? -3 : -2, "path");
        if (beside) lua_pop(L, 1);
        push_chosen(L, "LUA_CPATH_5_4", "LUA_CPATH", total ? OWN_CPATH ";./?.so" : OWN_CPATH);
        lua_setfield(L, -2, "cpath");
    }
    lua_pop(L, 1);
}

int mw_std_open_package(lua_State *L) {
    static const lua_CFunction searchers[] = {search_preload, search_lua, search_native, search_root};

    luaL_newmetatable(L, TYPE);
    lua_pushcfunction(L, loading_end);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, loading_end);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loading_key);
    lua_createtable(L, 0, 8);                                   /* [package] */
    lua_createtable(L, 4, 0);
    for (int i = 0; i < 4; i++) {
        lua_pushvalue(L, -2);
        lua_pushcclosure(L, searchers[i], 1);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "searchers");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_setfield(L, -2, "loaded");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_setfield(L, -2, "preload");
    lua_pushliteral(L, OWN_PATH);
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, OWN_CPATH);
    lua_setfield(L, -2, "cpath");
    lua_pushliteral(L, "/\n;\n?\n!\n-\n");
    lua_setfield(L, -2, "config");
    lua_pushcfunction(L, pkg_searchpath);
    lua_setfield(L, -2, "searchpath");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, std_require, 1);
    lua_setglobal(L, "require");
    return 1;
}
