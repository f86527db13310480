/* The guarded uv module: luv's names, each behind its rule.
 * Knows: bind/uv.h, core, luv.h. Never: lets a script hold one of luv's own functions; runs luaopen_luv twice in a state.
 *
 * luv is opened when a script first requires uv. Its functions go into a C array; what the script gets in their place are
 * closures whose only upvalue is a number. luv's metatables stay (luv finds them by name), but their methods and metamethods
 * are replaced in the same way, and __metatable hides them. */
#include "bind/uv.h"

#include <luv/luv.h>
#include <stdlib.h>
#include <string.h>

#include "core/task.h"
#include "core/work.h"
#include "policy/permit.h"

#define OP "uv"

static const char door_key, module_key, kinds_key, queue_key, ready_key; /* registry: by address; the door's, and see below */

static const struct uv_rule *const rules = mw_uv_rules;

int mw_door_uv(lua_State *L);

/* ---- The door of a state -------------------------------------------------------------------------------------------------- */

void mw_uv_release(struct uv_door *d) {
    if (--d->refs == 0) free(d);
}

static void on_timer_closed(uv_handle_t *it) {
    mw_uv_release(it->data);
}

/* The host ends, or the state does: everything that luv has open is closed, without callbacks. */
static void shut(struct uv_door *d, lua_State *L) {
    if (d->closed) return;
    d->closed = 1;
    mw_host_disown(&d->link);
    mw_uv_runs_shut(d);
    if (L != NULL && lua_checkstack(L, 12)) {
        mw_uv_handles_shut(L);
        mw_uv_threads_shut(L, d);
    }
    mw_fds_close_all(&d->fds);
    uv_close((uv_handle_t *)&d->later, on_timer_closed);
}

static void on_host_end(struct mw_handle *it) {
    struct uv_door *d = MW_LIST_ENTRY(it, struct uv_door, link);

    shut(d, mw_host_state(d->host));
}

static int door_gc(lua_State *L) {
    struct uv_door **box = lua_touserdata(L, 1);

    if (*box == NULL) return 0;
    shut(*box, NULL);
    mw_uv_release(*box);
    *box = NULL;
    return 0;
}

/* The door of L's state, which is open; raises once it has gone.                                        [-0, +0, e] */
static struct uv_door *door_of(lua_State *L, const char *op) {
    struct uv_door **box, *d;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &door_key);
    box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    d = box != NULL ? *box : NULL;
    if (d == NULL || d->closed) {
        struct mw_err err;

        mw_err_set(&err, MW_ECLOSED, op, NULL, "the host is shutting down");
        mw_raise(L, &err);
    }
    return d;
}

/* ---- Errors ----------------------------------------------------------------------------------------------------------------- */

int mw_uv_fail(lua_State *L, int code) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", mw_err_name(code), mw_err_words(code));
    lua_pushstring(L, mw_err_name(code));
    return 3;
}

/* Stands for a callback that comes from the thread pool; on_callback knows it.                        values... -> ; upvalue: the callback */
static int from_pool(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

void mw_uv_push_from_pool(lua_State *L) {
    lua_pushcclosure(L, from_pool, 1);
}

int mw_uv_pooled(lua_State *L, struct uv_door *d, int cb, lua_CFunction raw) {
    int n, rc;

    if (cb == 0 || lua_isnoneornil(L, cb)) return raw(L);
    rc = mw_work_prepare(d->host);
    if (rc < 0) return mw_uv_fail(L, rc);
    lua_pushvalue(L, cb);
    mw_uv_push_from_pool(L);
    lua_replace(L, cb);
    n = raw(L);
    if (n > 0 && !lua_isnil(L, -n)) mw_host_lend_work(d->host, 1);
    return n;
}

/* luv's way to call a callback. [function args...] -> [] or [results...]. No task runs here: what would wait raises. */
static int on_callback(lua_State *L, int nargs, int nresults, int flags) {
    mw_host *h = mw_host_of(L);
    int base = lua_gettop(L) - nargs, rc;
    struct mw_err err;

    (void)flags;
    if (lua_tocfunction(L, base) == from_pool) mw_host_lend_work(h, 0);
    if (mw_host_closing(h) || !lua_checkstack(L, 4)) {
        lua_settop(L, base - 1);
        return 0;
    }
    lua_pushcfunction(L, mw_traceback);
    lua_insert(L, base);                                               /* [mw_traceback function args...] */
    mw_host_in_callback(h, 1);
    rc = lua_pcall(L, nargs, nresults, base);
    mw_host_in_callback(h, 0);
    lua_remove(L, base);
    if (rc == LUA_OK) return lua_gettop(L) - base + 1;
    mw_err_from(L, -1, &err);
    if (err.code == MW_ECANCELED) lua_pop(L, 1); /* interrupted: the host knows why */
    else mw_task_report(L);
    return -rc;
}

void mw_uv_call(lua_State *L, int nargs) {
    on_callback(L, nargs, 0, 0);
}

void mw_uv_need_processes(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &ready_key) == LUA_TFUNCTION) {
        lua_call(L, 0, 0);
        lua_pushboolean(L, 1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &ready_key);
        return;
    }
    lua_pop(L, 1);
}

/* ---- Callbacks of what was done at once ----------------------------------------------------------------------------------- */

/* ud -> ; runs what is queued. A record: { callback, n, values... }. */
static int run_later(lua_State *L) {
    lua_Integer i, n, k, count;

    lua_newtable(L);                                                   /* [ud fresh] */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &queue_key);                     /* [ud fresh queue] */
    lua_insert(L, 2);                                                  /* [ud queue fresh] */
    lua_rawsetp(L, LUA_REGISTRYINDEX, &queue_key);                     /* [ud queue] */
    n = (lua_Integer)lua_rawlen(L, 2);
    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, 2, i);                                          /* [ud queue record] */
        lua_rawgeti(L, 3, 2);
        count = lua_tointeger(L, -1);
        lua_settop(L, 3);
        luaL_checkstack(L, (int)count + 4, OP);
        for (k = 0; k <= count; k++) lua_rawgeti(L, 3, k == 0 ? 1 : 2 + k); /* [... callback values...] */
        on_callback(L, (int)count, 0, 0);
        lua_settop(L, 2);
    }
    return 0;
}

static void on_later(uv_timer_t *it) {
    struct uv_door *d = it->data;
    lua_State *L = mw_host_state(d->host);
    int rc;

    if (d->closed || mw_host_closing(d->host) || !lua_checkstack(L, 4)) return;
    lua_pushcfunction(L, run_later);
    lua_pushnil(L);
    mw_host_in_callback(d->host, 1);
    rc = lua_pcall(L, 1, 0, 0);
    mw_host_in_callback(d->host, 0);
    if (rc != LUA_OK) mw_task_report(L);
}

/* Calls `cb` (an index) later with the top n values (popped).                                            [-n, +0, m] */
static void call_later(lua_State *L, struct uv_door *d, int cb, int n) {
    int base = lua_gettop(L) - n;

    luaL_checkstack(L, 5, OP);
    lua_createtable(L, 2 + n, 0);                                      /* [values... record] */
    lua_pushvalue(L, cb);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, n);
    lua_rawseti(L, -2, 2);
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, base + i);
        lua_rawseti(L, -2, 2 + i);
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &queue_key);                     /* [values... record queue] */
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_settop(L, base);
    uv_timer_start(&d->later, on_later, 0, 0);
}

lua_Integer mw_uv_queued(lua_State *L) {
    lua_Integer n;

    if (!lua_checkstack(L, 1)) return 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &queue_key);
    n = (lua_Integer)lua_rawlen(L, -1);
    lua_pop(L, 1);
    return n;
}

int mw_uv_give(lua_State *L, struct uv_door *d, int cb, int n) {
    if (cb == 0) return n;
    luaL_checkstack(L, 2, OP);
    lua_pushnil(L);
    lua_insert(L, -1 - n);                                             /* [nil results...] */
    call_later(L, d, cb, n + 1);
    mw_uv_push_request(L);
    return 1;
}

int mw_uv_give_err(lua_State *L, struct uv_door *d, int cb, const struct mw_err *err) {
    const char *name = mw_err_name(err->code);

    if (err->code == MW_EDENIED || err->code == MW_ECANCELED) return mw_raise(L, err);
    if (cb == 0) lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", name, err->what[0] != '\0' ? err->what : mw_err_words(err->code));
    if (err->subject[0] != '\0') {
        lua_pushfstring(L, ": %s", err->subject);
        lua_concat(L, 2);
    }
    if (cb != 0) {
        call_later(L, d, cb, 1);
        mw_uv_push_request(L);
        return 1;
    }
    lua_pushstring(L, name);
    return 3;
}

/* ---- The guard -------------------------------------------------------------------------------------------------------------- */

uv_handle_t *mw_uv_handle_at(lua_State *L, int idx) {
    uv_handle_t **box = lua_touserdata(L, idx);
    int known;

    if (box == NULL || lua_islightuserdata(L, idx) || !lua_getmetatable(L, idx)) return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &kinds_key);                     /* [mt kinds] */
    lua_insert(L, -2);
    known = lua_rawget(L, -2) == LUA_TBOOLEAN;
    lua_pop(L, 2);
    return known ? *box : NULL;
}

uv_handle_t *mw_uv_handle(lua_State *L, int idx, const char *op, unsigned kinds) {
    uv_handle_t *it = mw_uv_handle_at(L, idx);

    if (it == NULL || it->data == NULL || (kinds & 1u << it->type) == 0)
        mw_raise_inval(L, op, "argument %d: a %s expected, got %s", idx, kinds == UV_KIND(TCP) ? "uv_tcp_t" : "uv handle of the right kind",
                       it != NULL ? uv_handle_type_name(it->type) : luaL_typename(L, idx));
    if (!(kinds & UV_KIND_CLOSED) && uv_is_closing(it)) mw_raise_inval(L, op, "the handle is closed");
    return it;
}

void mw_uv_callback(lua_State *L, int idx, const char *op, int optional) {
    if (lua_isfunction(L, idx) || (optional && lua_isnoneornil(L, idx))) return;
    if (!lua_isnoneornil(L, idx) && luaL_getmetafield(L, idx, "__call") != LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    mw_raise_inval(L, op, "argument %d: a function expected, got %s", idx, luaL_typename(L, idx));
}

int mw_uv_total(struct uv_door *d) {
    return mw_policy_is_total(mw_host_policy(d->host));
}

void mw_uv_need_all(lua_State *L, struct uv_door *d, const char *op, const char *subject, const char *what) {
    struct mw_err err;

    if (mw_uv_total(d)) return;
    mw_policy_refuse(mw_host_policy(d->host), NULL, op, subject, what, &err);
    mw_policy_grant_all_hint(mw_host_policy(d->host), &err);
    mw_raise(L, &err);
}

int mw_uv_fd(lua_State *L, struct uv_door *d, int idx, int how, const char *op, int *fd, struct mw_err *err) {
    lua_Integer n = mw_param_integer(L, idx, op, "fd", 0, INT32_MAX);
    int rc = mw_fds_check(&d->fds, n, how, op, err);

    *fd = (int)n;
    return rc < 0 && n <= 2 && mw_uv_total(d) ? 1 : rc;
}

int mw_uv_any_fd(lua_State *L, struct uv_door *d, int idx, const char *op, int *fd, struct mw_err *err) {
    int rc = mw_uv_fd(L, d, idx, 0, op, fd, err);

    return rc < 0 && *fd != uv_backend_fd(mw_host_loop(d->host)) && mw_uv_total(d) ? 1 : rc;
}

/* What a script calls for rule number (upvalue 1).                                                                     */
static int guard(lua_State *L) {
    int i = (int)lua_tointeger(L, lua_upvalueindex(1));
    const struct uv_rule *r = &rules[i];
    struct uv_door *d = door_of(L, r->name);
    struct mw_err err;

    luaL_checkstack(L, LUA_MINSTACK, OP);
    if (r->kinds & UV_KIND_ALL) mw_uv_need_all(L, d, r->name, NULL, "denied: it takes all rights");
    if (r->sys != NULL && mw_permit_text(mw_host_policy(d->host), MW_SYS, r->sys, r->name, &err) < 0) return mw_raise(L, &err);
    if ((r->kinds | UV_KIND_CLOSED) == (UV_KIND_ANY | UV_KIND_CLOSED) && mw_uv_is_process(L, 1)) return mw_uv_process_handle(L, d, r);
    if ((r->kinds & ~UV_KIND_ALL) != 0) mw_uv_handle(L, 1, r->name, r->kinds);
    return r->run != NULL ? r->run(L, d, r, d->raw[i]) : d->raw[i](L);
}

/* luv's own metamethods (__gc, __tostring), by number. They also run while the state ends. */
static int guard_meta(lua_State *L) {
    struct uv_door **box;
    lua_CFunction raw;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &door_key);
    box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (box == NULL || *box == NULL) return 0;
    raw = (*box)->meta[lua_tointeger(L, lua_upvalueindex(1))];
    return raw(L);
}

/* ---- Opening ---------------------------------------------------------------------------------------------------------------- */

static void push_guard(lua_State *L, int i) {
    lua_pushinteger(L, i);
    lua_pushcclosure(L, guard, 1);
}

/* methods of luv's at the top -> ours at the top */
static void replace_methods(lua_State *L, struct uv_door *d) {
    lua_newtable(L);                                                   /* [old new] */
    for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) {             /* [old new key function] */
        lua_CFunction raw = lua_tocfunction(L, -1);

        for (int i = 0; raw != NULL && rules[i].name != NULL; i++) {
            if (d->raw[i] != raw) continue;
            lua_pushvalue(L, -2);
            push_guard(L, i);                                          /* [old new key function key guard] */
            lua_rawset(L, -5);
            break;
        }
    }
    lua_remove(L, -2);
}

/* The metatable of luv's at the top: methods and metamethods of ours, and hidden. */
static void replace_metatable(lua_State *L, struct uv_door *d) {
    static const char *const names[] = { "__gc", "__tostring", "__len", "__close", "__call" };

    lua_pushliteral(L, "__index");
    if (lua_rawget(L, -2) == LUA_TTABLE) {
        replace_methods(L, d);
        lua_pushliteral(L, "__index");
        lua_insert(L, -2);
        lua_rawset(L, -3);
    } else {
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_pushstring(L, names[i]);
        lua_rawget(L, -2);
        if (lua_iscfunction(L, -1) && d->metas < sizeof d->meta / sizeof *d->meta) {
            d->meta[d->metas] = lua_tocfunction(L, -1);
            lua_pushstring(L, names[i]);
            lua_pushinteger(L, d->metas++);
            lua_pushcclosure(L, guard_meta, 1);
            lua_rawset(L, -4);
        }
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "__eq"); /* uv_thread's: raises for what is no thread */
    if (lua_rawget(L, -2) == LUA_TFUNCTION) {
        lua_pushliteral(L, "__eq");
        lua_pushcfunction(L, mw_uv_threads_equal);
        lua_rawset(L, -4);
    }
    lua_pop(L, 1);
    lua_pushliteral(L, "__metatable");
    lua_pushboolean(L, 0);
    lua_rawset(L, -3);
}

static void replace_metatables(lua_State *L, struct uv_door *d) {
    static const char *const others[] = { "uv_req", "uv_fs", "uv_dir", "uv_thread", "luv_work_ctx" };

    lua_newtable(L);                                                   /* [kinds] */
    luaL_getmetatable(L, "uv_handle");                                 /* [kinds set]: the keys are the metatables */
    for (lua_pushnil(L); lua_next(L, -2);) {                           /* [kinds set mt true] */
        lua_pop(L, 1);
        if (!lua_istable(L, -1)) continue;
        lua_pushvalue(L, -1);
        lua_pushboolean(L, 1);
        lua_rawset(L, -5);                                             /* [kinds set mt] */
        replace_metatable(L, d);
    }
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (luaL_getmetatable(L, others[i]) == LUA_TTABLE) replace_metatable(L, d);
        lua_pop(L, 1);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kinds_key);                     /* [] */
}

/* Makes the door and puts it into the registry: from here luv may be opened.                              [-0, +0, m] */
static struct uv_door *make_door(lua_State *L) {
    mw_host *h = mw_host_of(L);
    struct uv_door **box = lua_newuserdatauv(L, sizeof *box, 0), *d;   /* [box] */

    *box = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, door_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &queue_key);
    mw_uv_handles_open(L);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kinds_key); /* replaced once luv's metatables are there */
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &door_key);
    d = calloc(1, sizeof *d);
    if (d == NULL) luaL_error(L, "not enough memory");
    d->host = h;
    d->refs = 2;
    uv_timer_init(mw_host_loop(h), &d->later); /* cannot fail */
    d->later.data = d;
    mw_host_adopt(h, &d->link, on_host_end);
    *box = d;
    lua_pop(L, 1);
    return d;
}

static void open_luv(lua_State *L) {                                   /* [] -> [luv's own module] */
    mw_host *h = mw_host_of(L);
    luv_ctx_t *ctx;

    mw_host_set_unprotected(h);
    luv_set_loop(L, mw_host_loop(h));
    luv_set_callback(L, on_callback);
    mw_uv_threads_open();
    ctx = luv_context(L);
    ctx->L = mw_host_state(h); /* callbacks run in the main state, whichever coroutine asks first */
    lua_pushcfunction(L, luaopen_luv);
    lua_call(L, 0, 1);
}

/* core.uv.open(processes) -> the guarded module, always the same table. processes: called before the first spawn. [-0, +1, e] */
static int uv_open(lua_State *L) {
    struct uv_door *d;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) == LUA_TTABLE) return 1;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &door_key) != LUA_TNIL) {
        struct mw_err err;

        mw_err_set(&err, MW_ENOMEM, OP, NULL, "it could not be opened before");
        return mw_raise(L, &err);
    }
    if (mw_host_finishing(mw_host_of(L))) {
        struct mw_err err;

        mw_err_set(&err, MW_ECLOSED, OP, NULL, "the host is shutting down");
        return mw_raise(L, &err);
    }
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ready_key);
    d = make_door(L);
    open_luv(L);                                                       /* [luv] */
    lua_newtable(L);                                                   /* [luv uv] */
    for (int i = 0; rules[i].name != NULL; i++) {
        lua_getfield(L, -2, rules[i].name);
        d->raw[i] = lua_tocfunction(L, -1);
        lua_pop(L, 1);
        if (rules[i].kinds & UV_KIND_ALL && !mw_uv_total(d)) d->raw[i] = NULL;
        if (d->raw[i] == NULL) continue; /* that, or this luv is older */
        push_guard(L, i);
        lua_setfield(L, -2, rules[i].name);
    }
    lua_newtable(L);                                                   /* [luv uv constants] */
    lua_getfield(L, -3, "constants");
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
    lua_setfield(L, -2, "constants");
    replace_metatables(L, d);
    mw_uv_fs_types(L);
    mw_uv_process_type(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
    return 1;
}

void mw_uv_set_mode(lua_State *L, int mode) {
    luv_context(L)->mode = mode;
}

/* ---- The door ---------------------------------------------------------------------------------------------------------------------- */

int mw_door_uv(lua_State *L) {
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, uv_open);
    lua_setfield(L, -2, "open");
    return 1;
}
