/* The assembly, loading: scripts, modules and policies from text and files.
 * Knows: every room. Never: runs a script: it becomes a task. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/doors.h"
#include "bind/host.h"
#include "bind/std.h"
#include "bind/unguarded.h"
#include "core/task.h"
#include "moonwire_parts.h"

#define SCRIPT_MAX (64u << 20)      /* bytes of a script's text */
#define POLICY_MAX (1u << 20)       /* bytes of a policy file */

struct chunk {
    const char *text, *name;
    size_t len;
    int only_check;
    struct mw_err *err;
    int rc;
};

/* The function on top as a task of the root, with the host's args. */
static int start_top(lua_State *L, const char *name, struct mw_err *err) {
    int n;
    if (mw_module_push(L, "moonwire.script") == 0) return luaL_error(L, "no module 'moonwire.script'");
    lua_insert(L, -2);              /* [run f] */
    n = mw_host_door_push_args(L);
    return mw_task_start(mw_host_root(mw_host_of(L)), L, n + 1, name, 0, NULL, err);
}

/* The debug endpoint as a daemon of the root, once there is a script to look into. */
static int start_debug(lua_State *L, struct mw_err *err) {
    mw_module_push(L, "moonwire.repl_server");
    lua_getfield(L, -1, "main");
    return mw_task_start(mw_host_root(mw_host_of(L)), L, 0, "debug endpoint", 1, NULL, err);
}

static int load(lua_State *L) { /* in a protected call: chunk */
    struct chunk *c = lua_touserdata(L, 1);
    const char *text = c->text;
    size_t len = c->len;
    int status;

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, len -= 3;
    if (len >= 1 && text[0] == '#') /* a first line for the system; its newline stays, so that lines keep their numbers */
        while (len > 0 && text[0] != '\n') text++, len--;
    status = mw_std_load_text(L, text, len, c->name);
    if (status == LUA_ERRMEM) return lua_error(L);
    if (status != LUA_OK) {
        c->rc = mw_err_set(c->err, MW_ELUA, NULL, NULL, luaL_tolstring(L, -1, NULL));
        return 0;
    }
    if (c->only_check) return 0;
    c->rc = start_top(L, "main", c->err);
    if (c->rc == 0 && mw_assembly_of(mw_host_of(L))->cfg.debug != NULL) c->rc = start_debug(L, c->err);
    return 0;
}

static int load_text(mw_host *h, struct chunk *c) {
    lua_State *L = mw_host_state(h);
    int status;

    if (c->text == NULL && c->len > 0) return mw_err_set(c->err, MW_EINVAL, "load", c->name, "a text is expected");
    if (c->len > SCRIPT_MAX) return mw_err_setf(c->err, MW_ELIMIT, "load", c->name, "the script is %zu bytes long, at most %u are allowed", c->len, SCRIPT_MAX);
    lua_pushcfunction(L, load);
    lua_pushlightuserdata(L, c);
    mw_host_in_callback(h, 1); /* the compiler is under the limits of a step */
    status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) c->rc = mw_take_error(L, status, c->err);
    mw_host_in_callback(h, 0);
    return c->rc;
}

int mw_host_load_string(mw_host *h, const char *text, size_t len, const char *name, struct mw_err *err) {
    struct chunk c = {text, name != NULL ? name : "=?", len, 0, err, 0};
    return load_text(h, &c);
}
int mw_host_check(mw_host *h, const char *text, size_t len, const char *name, struct mw_err *err) {
    struct chunk c = {text, name != NULL ? name : "=?", len, 1, err, 0};
    return load_text(h, &c);
}

int mw_read_all(int fd, const char *op, const char *path, size_t max, char **text, size_t *len, struct mw_err *err) {
    char *buf = NULL;
    size_t size = 0, held = 0;
    int rc = 0;

    for (;;) {
        ssize_t n;
        if (size - held < 4096) {
            char *more = realloc(buf, size = size != 0 ? 2 * size : 16384);
            if (more == NULL) rc = mw_err_set(err, MW_ENOMEM, op, path, NULL);
            if (more == NULL) break;
            buf = more;
        }
        n = read(fd, buf + held, size - held);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = mw_err_sys(err, op, path);
        if (n <= 0) break;
        held += (size_t)n;
        if (held > max) rc = mw_err_setf(err, MW_ELIMIT, op, path, "more than %zu bytes", max);
        if (rc < 0) break;
    }
    if (rc < 0) free(buf);
    else *text = buf, *len = held;
    return rc;
}

static int load_file(mw_host *h, const char *path, int only_check, struct mw_err *err) {
    char name[4200], *text = NULL;
    size_t len = 0;
    int fd = mw_assembly_of(h)->cfg.script_fd, rc;

    if (fd < 0) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    mw_assembly_of(h)->cfg.script_fd = -1;

    if (fd < 0) return mw_err_sys(err, "load", path);
    rc = mw_read_all(fd, "load", path, SCRIPT_MAX, &text, &len, err);
    close(fd);
    if (rc < 0) return rc;
    snprintf(name, sizeof name, "@%s", path);
    rc = load_text(h, &(struct chunk){text, name, len, only_check, err, 0});
    free(text);
    return rc;
}
int mw_host_load_file(mw_host *h, const char *path, struct mw_err *err) {
    return load_file(h, path, 0, err);
}
int mw_host_check_file(mw_host *h, const char *path, struct mw_err *err) {
    return load_file(h, path, 1, err);
}

int mw_policy_add_file(mw_policy *p, const char *path, struct mw_err *err) {
    const char *slash;
    struct mw_err why;
    char *text = NULL, *dir = NULL;
    size_t len = 0;
    int fd, rc;

    if (path == NULL) return mw_err_set(err, MW_EINVAL, "policy", NULL, "a path is expected");
    slash = strrchr(path, '/');
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return mw_err_sys(err, "policy", path);
    rc = mw_read_all(fd, "policy", path, POLICY_MAX, &text, &len, err);
    close(fd);
    if (rc < 0) return rc;
    dir = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    rc = dir != NULL ? mw_policy_add_json(p, text, len, dir, &why) : mw_err_set(&why, MW_ENOMEM, NULL, NULL, NULL);
    if (rc < 0) mw_err_setf(err, rc, "policy", NULL, rc == MW_ENOMEM ? "%s: %s" : "%s:%s", path, why.what);
    free(text);
    free(dir);
    return rc;
}

struct start_module {
    const char *module, *fn;
    struct mw_err *err;
    int rc;
};
static int start_module(lua_State *L) {
    struct start_module *it = lua_touserdata(L, 1);
    if (!mw_module_push(L, it->module)) {
        it->rc = mw_err_set(it->err, MW_ENOENT, "load", it->module, NULL);
        return 0;
    }
    if (lua_getfield(L, -1, it->fn) != LUA_TFUNCTION) {
        it->rc = mw_err_set(it->err, MW_ENOENT, "load", it->module, it->fn);
        return 0;
    }
    it->rc = start_top(L, it->module, it->err);
    return 0;
}
int mw_host_start_module(mw_host *h, const char *module, const char *fn, struct mw_err *err) {
    struct start_module it = {module, fn, err, 0};
    lua_State *L = mw_host_state(h);
    int status;

    if (module == NULL || fn == NULL) return mw_err_set(err, MW_EINVAL, "load", module, "a module and its function are expected");
    lua_pushcfunction(L, start_module);
    lua_pushlightuserdata(L, &it);
    status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) it.rc = mw_take_error(L, status, err);
    return it.rc;
}

/* In a protected call: modules. They see Lua's own `debug` and find their files and native parts themselves; the script's
 * globals stay the guarded ones. */
static int preload(lua_State *L) {
    const char *const *modules = lua_touserdata(L, 1);

    mw_module_push(L, "moonwire.preload");
    lua_getfield(L, -1, "load");
    mw_unguarded_push(L);                                   /* [... load raw] */
    lua_pushboolean(L, isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL);
    lua_setfield(L, -2, "terminal");
    lua_newtable(L);
    for (int i = 0; modules[i] != NULL; i++) {
        lua_pushstring(L, modules[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_call(L, 2, 0);
    return 0;
}
int mw_host_preload(mw_host *h, const char *const *modules, struct mw_err *err) {
    lua_State *L = mw_host_state(h);
    int rc = 0;

    if (modules == NULL) return 0;
    lua_pushcfunction(L, preload);
    lua_pushlightuserdata(L, (void *)(uintptr_t)modules);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        rc = mw_err_set(err, MW_ELUA, "load", NULL, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    return rc;
}
