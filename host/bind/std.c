/* Lua's own base library where it needs a guard: load, loadfile, dofile, collectgarbage, warn, string.
 * Knows: bind, io/osfile, core, lua.h. Never: loads bytecode. */
#include "bind/std.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "bind/arg.h"
#include "core/hook.h"
#include "core/host.h"
#include "io/osfile.h"

#define PAGE 4096u      /* bytes of a text that the compiler gets at once */

/* ---- Results as Lua has them --------------------------------------------------------------------------------------------------- */

const char *mw_std_words(int code) {
    const char *words = code < 0 && code > -4096 ? strerrordesc_np(-code) : NULL;
    return words != NULL ? words : mw_err_words(code);
}

int mw_std_fail(lua_State *L, const struct mw_err *err, const char *name) {
    const char *what = err->what;

    if (err->code == MW_EDENIED || err->code == MW_ECANCELED || err->code == MW_EINVAL) return mw_push_err(L, err);
    if (err->code > -4096 && strcmp(what, mw_err_words(err->code)) == 0) what = mw_std_words(err->code);
    lua_pushnil(L);
    if (err->code == MW_ELIMIT) lua_pushstring(L, err->message); /* with the flag that sets the limit */
    else if (name != NULL) lua_pushfstring(L, "%s: %s", name, what);
    else lua_pushstring(L, what);
    lua_pushinteger(L, -err->code);
    return 3;
}

const char *mw_std_text_at(lua_State *L, int idx, const char *op, const char *name, const char *fallback) {
    return lua_isnoneornil(L, idx) ? fallback : mw_param_text(L, idx, op, name, 1u << 20, NULL);
}

/* ---- Loading ------------------------------------------------------------------------------------------------------------------- */

/* Text that Lua reads while it may raise hangs on a userdata, so that it is freed whatever happens. */
static int text_gc(lua_State *L) {
    char **held = lua_touserdata(L, 1);
    free(*held);
    *held = NULL;
    return 0;
}

char **mw_std_text(lua_State *L) {
    char **held = lua_newuserdatauv(L, sizeof *held, 0);
    *held = NULL;
    if (luaL_newmetatable(L, "mw.text")) {
        lua_pushcfunction(L, text_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return held;
}

/* Text for the compiler a page at a time: some texts take it long (gotos and labels by the thousand), so it looks between two. */
struct pages {
    struct mw_budget budget;
    const char *at;
    size_t left;
};

static const char *read_page(lua_State *L, void *ud, size_t *size) {
    struct pages *p = ud;
    const char *at = p->at;
    (void)L;

    mw_budget_spend(&p->budget, MW_BUDGET);
    *size = p->left < PAGE ? p->left : PAGE;
    p->at += *size;
    p->left -= *size;
    return at;
}

int mw_std_load_text(lua_State *L, const char *text, size_t len, const char *name) {
    struct pages p = {MW_BUDGET_OF(L), text, len};
    int status = lua_load(L, read_page, &p, name, "t");

    if (status == LUA_ERRSYNTAX && *name == '@' && len > 0 && *text == LUA_SIGNATURE[0]) { /* the one message of Lua's without the name */
        lua_pushfstring(L, "%s: %s", name + 1, lua_tostring(L, -1));
        lua_remove(L, -2);
    }
    return status;
}

int mw_std_compile(lua_State *L, char **held, size_t len, const char *name) {
    const char *at = *held;
    int status;

    if (len >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3, len -= 3;
    if (len >= 1 && *at == '#') /* its newline stays, so that lines keep their numbers */
        while (len > 0 && *at != '\n') at++, len--;
    lua_pushfstring(L, "@%s", name);                            /* [box chunkname] */
    status = mw_std_load_text(L, at, len, lua_tostring(L, -1));  /* [box chunkname f|message] */
    free(*held);
    *held = NULL;
    lua_replace(L, -3);
    lua_pop(L, 1);
    return status;
}

/* A chunk in pieces from a function; the piece is kept at stack slot 5 so that it is not collected. */
static const char *read_piece(lua_State *L, void *ud, size_t *size) {
    mw_budget_spend(ud, 2000);
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        *size = 0;
        return NULL;
    }
    if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
    lua_replace(L, 5);
    return lua_tolstring(L, 5, size);
}

/* After compiling: [.. f|message], env at `env` when given.                                                load's results */
static int loaded(lua_State *L, int status, int env) {
    if (status == LUA_OK) {
        if (env != 0) {
            lua_pushvalue(L, env);
            if (lua_setupvalue(L, -2, 1) == NULL) lua_pop(L, 1);
        }
        return 1;
    }
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static int no_text(lua_State *L, const char *mode) {
    if (strchr(mode, 't') != NULL) return 0;
    lua_pushnil(L);
    lua_pushfstring(L, "attempt to load a text chunk (mode is '%s')", mode);
    return 2;
}

/* load(chunk [, name [, mode [, env]]]) -> function | nil, message: text only                                [-0, +1|2, e] */
static int std_load(lua_State *L) {
    const char *mode = mw_std_text_at(L, 3, "load", "the mode", "bt");
    int env = !lua_isnone(L, 4) ? 4 : 0, status;

    if (no_text(L, mode)) return 2;
    if (lua_type(L, 1) == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(L, 1, &len);
        status = mw_std_load_text(L, text, len, mw_std_text_at(L, 2, "load", "the name", text));
    } else {
        const char *name = mw_std_text_at(L, 2, "load", "the name", "=(load)");
        struct mw_budget budget = MW_BUDGET_OF(L);
        if (lua_type(L, 1) != LUA_TFUNCTION) return mw_raise_inval(L, "load", "a chunk is a string or a function, got %s", luaL_typename(L, 1));
        lua_settop(L, 5);
        status = lua_load(L, read_piece, &budget, name, "t");
    }
    return loaded(L, status, env);
}

/* Reads and compiles a file under its read right. Pushes the function, or nil and the message; 1: function. */
static int compile_file(lua_State *L, const char *op) {
    const char *name = mw_param_text(L, 1, op, "the file name", 0, NULL);
    struct mw_err err;
    char **text;
    size_t len = 0;
    int rc;

    luaL_checkstack(L, 8, op);
    text = mw_std_text(L);
    rc = mw_os_read_text(mw_host_policy(mw_host_of(L)), name, 0, op, text, &len, &err);
    if (rc == 0 && mw_std_compile(L, text, len, name) == LUA_OK) return 1;
    lua_pushnil(L);
    if (rc == 0) {
        lua_insert(L, -2);                                      /* [nil message] */
        return 0;
    }
    if (rc == MW_EDENIED || rc == MW_EINVAL) mw_push_err(L, &err);
    lua_pushfstring(L, "cannot open %s: %s", name, mw_std_words(rc));
    return 0;
}

static int std_loadfile(lua_State *L) { /* loadfile(name [, mode [, env]]) -> function | nil, message          [-0, +1|2, e] */
    int env = !lua_isnone(L, 3) ? 3 : 0;

    if (no_text(L, mw_std_text_at(L, 2, "loadfile", "the mode", "bt"))) return 2;
    return compile_file(L, "loadfile") ? loaded(L, LUA_OK, env) : 2;
}

static int dofile_k(lua_State *L, int status, lua_KContext base) {
    (void)status;
    return lua_gettop(L) - (int)base;
}
static int std_dofile(lua_State *L) { /* dofile(name) -> what the chunk returns                                [-0, +n, y] */
    lua_settop(L, 1);
    if (!compile_file(L, "dofile")) return lua_error(L);
    lua_callk(L, 0, LUA_MULTRET, 1, dofile_k);
    return dofile_k(L, LUA_OK, 1);
}

/* ---- xpcall ---------------------------------------------------------------------------------------------------------------------- */

/* Am I called from a hook? Then hooks are off, and a script's handler that does not come back could not be stopped. */
static int in_hook(lua_State *L) {
    lua_Debug ar;
    return lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) && strcmp(ar.namewhat, "hook") == 0;
}

/* The script's handler, the upvalue, for the error at 1: of an error that stopped the script it sees no traceback.   [-1, +1, e] */
static int handle(lua_State *L) {
    luaL_checkstack(L, 4, "error handler");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    if (!in_hook(L)) lua_call(L, 1, 1);
    else if (mw_call_apart(L, 1) != 0) lua_settop(L, 1);
    return 1;
}

static int xpcall_k(lua_State *L, int status, lua_KContext ctx) { /* [f handler true results...] or [.. error] */
    if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)ctx;
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
}
static int std_xpcall(lua_State *L) { /* xpcall(f, handler, ...) -> true, results... | false, handled               [-0, +n, y] */
    int n = lua_gettop(L);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (!lua_iscfunction(L, 2)) {
        lua_pushvalue(L, 2);
        lua_pushcclosure(L, handle, 1);
        lua_replace(L, 2);
    }
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);                                        /* [f handler true f args...] */
    return xpcall_k(L, lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, xpcall_k), 2);
}

/* ---- The collector, warnings, strings ------------------------------------------------------------------------------------------- */

/* collectgarbage: what cannot turn collection off for good. The upvalue is Lua's own.                          [-0, +1, e] */
static int std_collectgarbage(lua_State *L) {
    static const char *const known[] = {"collect", "count", "step", "isrunning", "incremental", "generational", NULL};
    const char *what = mw_std_text_at(L, 1, "collectgarbage", "what to do", "collect");

    for (int i = 0; known[i] != NULL; i++) {
        if (strcmp(known[i], what) != 0) continue;
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, lua_gettop(L) - 1, 1);
        mw_std_finalize(L);
        return 1;
    }
    return mw_raise_inval(L, "collectgarbage", "'%s' is not for scripts (collect, count, step, isrunning, incremental and generational are)", what);
}

/* Warnings go to the host's log. As Lua has it, they are off until warn("@on"). */
struct warnings {
    mw_host *host;
    int on;
    size_t len;
    char text[1024];
};

static void on_warning(void *ud, const char *text, int more) {
    struct warnings *w = ud;
    size_t n = strlen(text);

    if (w->len == 0 && !more && text[0] == '@') {
        if (strcmp(text, "@on") == 0) w->on = 1;
        if (strcmp(text, "@off") == 0) w->on = 0;
        return;
    }
    if (n > sizeof w->text - 1 - w->len) n = sizeof w->text - 1 - w->len;
    memcpy(w->text + w->len, text, n);
    w->len += n;
    if (more) return;
    w->text[w->len] = 0;
    w->len = 0;
    if (w->on) mw_host_log(w->host, MW_LOG_WARN, "%s", w->text);
}

static void open_warnings(lua_State *L) {
    struct warnings *w = lua_newuserdatauv(L, sizeof *w, 0);
    memset(w, 0, sizeof *w);
    w->host = mw_host_of(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, (void *)w); /* anchored */
    lua_setwarnf(L, on_warning, w);
}

/* Methods of strings come from a table that scripts cannot change, so that our own modules may trust s:find(); what a script adds
 * to `string` is found after them. */
static void guard_strings(lua_State *L) {
    lua_getglobal(L, LUA_STRLIBNAME);                           /* [string] */
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_newtable(L);                                            /* [string own] */
    for (lua_pushnil(L); lua_next(L, -3) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);                                    /* [string own "" mt] */
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 4);
}

/* ---- Opening --------------------------------------------------------------------------------------------------------------------- */

static void open_table(lua_State *L, const char *name, lua_CFunction open) {
    luaL_requiref(L, name, open, 1);
    lua_pop(L, 1);
}

void mw_std_open(lua_State *L) {
    static const luaL_Reg base[] = {{"load", std_load}, {"loadfile", std_loadfile}, {"dofile", std_dofile}, {"print", mw_std_print},
                                    {"xpcall", std_xpcall}, {NULL, NULL}};

    lua_pushglobaltable(L);
    luaL_setfuncs(L, base, 0);
    lua_getfield(L, -1, "collectgarbage");
    lua_pushcclosure(L, std_collectgarbage, 1);
    lua_setfield(L, -2, "collectgarbage");
    lua_pop(L, 1);
    mw_std_open_gc(L);
    open_warnings(L);
    guard_strings(L);
    open_table(L, LUA_LOADLIBNAME, mw_std_open_package);
    open_table(L, LUA_IOLIBNAME, mw_std_open_io);
    open_table(L, LUA_OSLIBNAME, mw_std_open_os);
    open_table(L, LUA_DBLIBNAME, mw_std_open_debug);
}
