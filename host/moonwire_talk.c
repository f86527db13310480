/* The assembly, talking: messages to the script, the engine's functions for it, calls of its functions.
 * Knows: moonwire.h, bind/engine, codec, core, lua.h. Never: lets a Lua error out, or one pass through the engine's own frames. */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "bind/engine_tap.h"
#include "bind/scratch.h"
#include "codec/codec.h"
#include "codec/pack.h"
#include "core/raise.h"
#include "core/task.h"
#include "moonwire_parts.h"

static int whole_values(const char *op, const char *subject, const void *msgpack, size_t len, struct mw_err *err) {
    mw_view at = {msgpack, len};

    if (msgpack == NULL && len > 0) return mw_err_setf(err, MW_EINVAL, op, subject, "%zu bytes are expected, and there are none", len);
    while (at.len > 0)
        if (mw_view_skip(&at) < 0)
            return mw_err_setf(err, MW_EPARSE, op, subject, "at byte %zu: no value of MessagePack, or not a whole one", len - at.len);
    return 0;
}

static int fill(lua_State *L) { /* in a protected call: error err */
    mw_err_from(L, 1, lua_touserdata(L, 2));
    return 0;
}
int mw_take_error(lua_State *L, int status, struct mw_err *err) {
    struct mw_err own, *it = err != NULL ? err : &own;

    it->code = 0;
    lua_pushcfunction(L, fill);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, it);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        mw_err_set(it, MW_ENOMEM, NULL, NULL, NULL);
    }
    if (it->code >= 0) it->code = MW_ELUA;
    if (status == LUA_ERRMEM && it->code == MW_ELUA) mw_err_set(it, MW_ENOMEM, NULL, NULL, NULL); /* not by the script's limit */
    return it->code;
}

/* ---- Messages -------------------------------------------------------------------------------------------------------------- */

int mw_host_post(mw_host *h, const char *topic, const void *msgpack, size_t len, struct mw_err *err) {
    int rc;

    if (topic == NULL || *topic == 0) return mw_err_set(err, MW_EINVAL, "host post", NULL, "a topic is expected");
    rc = whole_values("host post", topic, msgpack, len, err);
    return rc < 0 ? rc : mw_mail_post(mw_engine_mail(mw_assembly_of(h)->engine), topic, msgpack, len, err);
}

/* ---- The engine's functions: while one runs, nothing may be raised, since its own frames lie between ----------------------- */

struct mw_call {
    lua_State *L;
    const char *name;
    int count;                  /* of arguments, from 1 on the stack */
    int lent;                   /* strings behind them: what mw_arg_value lent. Behind those: the results */
    struct mw_err err;          /* what a mw_... of this call has failed with; its code 0: none has */
};

struct function {
    struct mw_engine_function it;   /* first: bind/engine asks whether it is live */
    mw_host_fn *fn;
    void *ud;
    char name[];
};

static int fails(mw_call *call, int code, const char *op, const char *what) {
    return mw_err_set(&call->err, code, op, op != NULL ? call->name : NULL, what);
}

/* name(...): upvalue: struct function                                                                         [-0, +n, e] */
static int call_function(lua_State *L) {
    const struct function *f = lua_touserdata(L, lua_upvalueindex(1));
    mw_host *h = mw_host_of(L);
    mw_call call = {.L = L, .name = f->name, .count = lua_gettop(L)};
    int rc, n;

    call.err.code = 0;
    if (!f->it.live || mw_host_finishing(h)) {
        mw_err_set(&call.err, MW_ECLOSED, "host", f->name,
                   f->it.live ? "the host is shutting down" : "the program has taken this function away");
        return mw_raise(L, &call.err);
    }
    mw_engine_tell_values(L, mw_engine_taps_of(h), MW_PROBE_SEND, f->name, 1, call.count);
    mw_host_hooked(h, 1);
    rc = f->fn(h, &call, f->ud);
    mw_host_hooked(h, 0);
    if (rc >= 0) {
        n = lua_gettop(L) - call.count - call.lent;
        mw_engine_tell_values(L, mw_engine_taps_of(h), MW_PROBE_RECV, f->name, lua_gettop(L) - n + 1, n);
        return n;
    }
    if (call.err.code != rc) mw_err_set(&call.err, rc, "host", f->name, NULL);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    mw_engine_tell_failure(L, mw_engine_taps_of(h), MW_PROBE_RECV, f->name, call.err.message);
    return mw_push_err(L, &call.err);
}

struct registering {
    const char *name;
    mw_host_fn *fn;
    void *ud;
};
static int register_function(lua_State *L) { /* in a protected call: registering */
    const struct registering *r = lua_touserdata(L, 1);
    size_t room = strlen(r->name) + 1;
    struct function *f;

    mw_engine_push_functions(L);
    lua_pushstring(L, r->name);                         /* [r functions name] */
    lua_pushvalue(L, 3);
    if (lua_rawget(L, 2) != LUA_TFUNCTION) {
        if (r->fn == NULL) return 0;
        f = lua_newuserdatauv(L, sizeof *f + room, 0);
        memcpy(f->name, r->name, room);
        lua_pushcclosure(L, call_function, 1);          /* [r functions name nil function] */
        lua_pushvalue(L, 3);
        lua_pushvalue(L, 5);
        lua_rawset(L, 2);
    }
    lua_getupvalue(L, -1, 1);                           /* one for ever: a script that holds it has the new one, or none */
    f = lua_touserdata(L, -1);
    f->it.live = r->fn != NULL;
    f->fn = r->fn;
    f->ud = r->ud;
    return 0;
}

int mw_host_register(mw_host *h, const char *name, mw_host_fn *fn, void *ud, struct mw_err *err) {
    struct registering r = {name, fn, ud};
    lua_State *L = mw_host_state(h);
    int status;

    if (name == NULL || !mw_engine_may_name(name))
        return mw_err_set(err, MW_EINVAL, "host register", name, "a name is letters, digits and _, and not one that mw.host has itself");
    if (mw_host_finishing(h)) return mw_err_set(err, MW_ECLOSED, "host register", name, NULL);
    if (!lua_checkstack(L, 4)) return mw_err_set(err, MW_ENOMEM, "host register", name, NULL);
    lua_pushcfunction(L, register_function);
    lua_pushlightuserdata(L, &r);
    status = lua_pcall(L, 1, 0, 0);
    return status == LUA_OK ? 0 : mw_take_error(L, status, err);
}

/* ---- Its arguments ----------------------------------------------------------------------------------------------------------- */

int mw_arg_count(const mw_call *call) {
    return call->count;
}

static int is_ext(lua_State *L) { /* in a protected call: table -> boolean */
    lua_getmetatable(L, 1);
    mw_pack_push_ext(L);
    lua_pushboolean(L, lua_rawequal(L, -1, -2));
    return 1;
}
static int type_of_table(lua_State *L, int i) {
    enum mw_codec_mark mark = mw_codec_marked(L, i);
    int ext;

    if (mark != MW_CODEC_PLAIN) return mark == MW_CODEC_ARRAY ? MW_TYPE_ARRAY : MW_TYPE_MAP;
    if (lua_checkstack(L, 4) && lua_getmetatable(L, i)) {
        lua_pop(L, 1);
        lua_pushcfunction(L, is_ext);
        lua_pushvalue(L, i);
        ext = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_toboolean(L, -1);
        lua_pop(L, 1);
        if (ext) return MW_TYPE_EXT;
    }
    return lua_rawlen(L, i) > 0 ? MW_TYPE_ARRAY : MW_TYPE_MAP;
}

int mw_arg_type(const mw_call *call, int i) {
    if (i < 1 || i > call->count) return MW_TYPE_NIL;
    switch (lua_type(call->L, i)) {
    case LUA_TNIL: return MW_TYPE_NIL;
    case LUA_TBOOLEAN: return MW_TYPE_BOOLEAN;
    case LUA_TNUMBER: return lua_isinteger(call->L, i) ? MW_TYPE_INTEGER : MW_TYPE_NUMBER;
    case LUA_TSTRING: return MW_TYPE_STRING;
    case LUA_TTABLE: return type_of_table(call->L, i);
    default: return mw_codec_is_null(call->L, i) ? MW_TYPE_NIL : MW_EINVAL;
    }
}

static int bad_argument(mw_call *call, int i, const char *why) {
    return mw_err_setf(&call->err, MW_EINVAL, NULL, NULL, "bad argument #%d to '%s' (%s)", i, call->name, why);
}
/* 0 if it has that type of Lua's. */
static int expect(mw_call *call, int i, int type) {
    int got = i >= 1 && i <= call->count ? lua_type(call->L, i) : LUA_TNIL;
    char why[64];

    if (got == type) return 0;
    snprintf(why, sizeof why, "%s expected, got %s", lua_typename(call->L, type),
             got == LUA_TLIGHTUSERDATA ? "null" : lua_typename(call->L, got));
    return bad_argument(call, i, why);
}

int mw_arg_boolean(mw_call *call, int i, int *out) {
    int rc = expect(call, i, LUA_TBOOLEAN);

    if (rc == 0) *out = lua_toboolean(call->L, i);
    return rc;
}
int mw_arg_integer(mw_call *call, int i, int64_t *out) {
    int rc = expect(call, i, LUA_TNUMBER), whole;
    lua_Integer n;

    if (rc < 0) return rc;
    n = lua_tointegerx(call->L, i, &whole);
    if (!whole) return bad_argument(call, i, "number has no integer representation");
    *out = n;
    return 0;
}
int mw_arg_number(mw_call *call, int i, double *out) {
    int rc = expect(call, i, LUA_TNUMBER);

    if (rc == 0) *out = lua_tonumber(call->L, i);
    return rc;
}
int mw_arg_string(mw_call *call, int i, const char **out, size_t *len) {
    int rc = expect(call, i, LUA_TSTRING);

    if (rc == 0) *out = lua_tolstring(call->L, i, len);
    return rc;
}

struct writing {
    struct mw_err err;          /* its code 0: written */
    struct mw_codec_fault fault;
};
static int write_value(lua_State *L) { /* in a protected call: value writing -> bytes */
    struct writing *w = lua_touserdata(L, 2);
    struct mw_bytes *out = mw_scratch_take(L);

    if (mw_engine_write(L, 1, out, &w->fault, &w->err) < 0) return 0;
    w->err.code = 0;
    lua_pushlstring(L, mw_bytes_at(out), mw_bytes_len(out));
    mw_scratch_give(L, 3);
    return 1;
}
/* What cannot be sent: where it is, and why. */
#define WHY_MAX (MW_CODEC_PATH_MAX + sizeof ((struct mw_err *)0)->what + 2)
static void tell(const struct writing *w, char *out, size_t size) {
    snprintf(out, size, "%s%s%s", w->fault.path, w->fault.path[0] ? ": " : "", w->err.what);
}

int mw_arg_value(mw_call *call, int i, mw_view *out) {
    lua_State *L = call->L;
    struct writing w;
    char why[WHY_MAX];
    int status;

    if (!lua_checkstack(L, 4)) return fails(call, MW_ENOMEM, "host", NULL);
    w.err.code = MW_ENOMEM;
    w.err.what[0] = w.fault.path[0] = 0;
    lua_pushcfunction(L, write_value);
    if (i >= 1 && i <= call->count) lua_pushvalue(L, i);
    else lua_pushnil(L);
    lua_pushlightuserdata(L, &w);
    status = lua_pcall(L, 2, 1, 0);
    if (status != LUA_OK) return mw_take_error(L, status, &call->err);
    if (w.err.code < 0) {
        lua_pop(L, 1);
        tell(&w, why, sizeof why);
        return w.err.code == MW_EINVAL ? bad_argument(call, i, why) : fails(call, w.err.code, "host", why);
    }
    out->at = lua_tolstring(L, -1, &out->len);
    lua_insert(L, call->count + ++call->lent);
    return 0;
}

/* ---- Its results --------------------------------------------------------------------------------------------------------------- */

static int no_room(mw_call *call) {
    return lua_checkstack(call->L, 4) ? 0 : fails(call, MW_ENOMEM, "host", "too many results");
}

int mw_return_nil(mw_call *call) {
    int rc = no_room(call);

    if (rc == 0) lua_pushnil(call->L);
    return rc;
}
int mw_return_boolean(mw_call *call, int value) {
    int rc = no_room(call);

    if (rc == 0) lua_pushboolean(call->L, value);
    return rc;
}
int mw_return_integer(mw_call *call, int64_t value) {
    int rc = no_room(call);

    if (rc == 0) lua_pushinteger(call->L, value);
    return rc;
}
int mw_return_number(mw_call *call, double value) {
    int rc = no_room(call);

    if (rc == 0) lua_pushnumber(call->L, value);
    return rc;
}

static int push_string(lua_State *L) { /* in a protected call: view -> string */
    const mw_view *v = lua_touserdata(L, 1);
    lua_pushlstring(L, v->at, v->len);
    return 1;
}
int mw_return_string(mw_call *call, const char *text, size_t len) {
    mw_view v = {text, len};
    int rc = no_room(call);

    if (rc < 0) return rc;
    lua_pushcfunction(call->L, push_string);
    lua_pushlightuserdata(call->L, &v);
    rc = lua_pcall(call->L, 1, 1, 0);
    return rc == LUA_OK ? 0 : mw_take_error(call->L, rc, &call->err);
}

struct reading {
    const char *at, *op, *subject;
    size_t len;
    struct mw_err *err;
    int rc;
};
static int push_values(lua_State *L) { /* in a protected call: reading -> values */
    struct reading *r = lua_touserdata(L, 1);

    r->rc = mw_engine_push_values(L, r->at, r->len, r->op, r->subject, r->err);
    return r->rc < 0 ? 0 : r->rc;
}
int mw_return_value(mw_call *call, const void *msgpack, size_t len) {
    struct reading r = {msgpack, "host", call->name, len, &call->err, 0};
    int rc = no_room(call);

    if (rc < 0) return rc;
    lua_pushcfunction(call->L, push_values);
    lua_pushlightuserdata(call->L, &r);
    rc = lua_pcall(call->L, 1, LUA_MULTRET, 0);
    if (rc != LUA_OK) return mw_take_error(call->L, rc, &call->err);
    return r.rc < 0 ? r.rc : 0;
}

int mw_call_fail(mw_call *call, int code, const char *message) {
    return fails(call, code < 0 ? code : MW_EINVAL, "host", message);
}

/* ---- The script's functions ----------------------------------------------------------------------------------------------------- */

enum { PERSON_MEMORY = 256 << 10 }; /* bytes: a prompt takes the line that empties a full session */

struct calling {
    mw_host *host;
    const char *name;
    struct reading args;
    mw_task *task;              /* NULL: it was not started */
    mw_buf *out;
    struct mw_err *err;
    int rc;
};

static int start_call(lua_State *L) { /* in a protected call: calling */
    struct calling *c = lua_touserdata(L, 1);
    int n;

    if (!mw_engine_push_handler(L, c->name)) {
        c->rc = mw_err_set(c->err, MW_ENOENT, "host call", c->name, "the script has no such function, and none for mw.host.handle");
        return 0;
    }
    n = mw_engine_push_values(L, c->args.at, c->args.len, "host call", c->name, c->err);
    c->rc = n < 0 ? n : mw_task_start(mw_host_root(c->host), L, n, c->name, 0, &c->task, c->err);
    if (c->rc < 0) return 0;
    mw_task_hold(c->task);
    mw_engine_tell(L, mw_engine_taps_of(c->host), MW_ENGINE_CALLS, MW_PROBE_RECV, c->name, c->args.at, c->args.len);
    return 0;
}

static int take_results(lua_State *L) { /* in a protected call: calling */
    struct calling *c = lua_touserdata(L, 1);
    int failed, n = mw_task_push_results(L, c->task, &failed);
    struct mw_bytes *out;
    struct writing w;

    if (failed && n == 0) c->rc = mw_err_set(c->err, MW_ENOMEM, "host call", c->name, NULL);
    if (failed) return n == 0 ? 0 : lua_error(L); /* to the caller's mw_take_error */
    out = mw_scratch_take(L);
    for (int i = 2; i <= n + 1 && c->out != NULL; i++)
        if (mw_engine_write(L, i, out, &w.fault, &w.err) < 0) {
            char why[WHY_MAX];
            tell(&w, why, sizeof why);
            c->rc = mw_err_setf(c->err, w.err.code, "host call", c->name, "result %d: %.200s", i - 1, why);
            return 0;
        }
    mw_engine_tell_values(L, mw_engine_taps_of(c->host), MW_PROBE_SEND, c->name, 2, n);
    if (mw_bytes_len(out) > 0 && mw_buf_raw(c->out, mw_bytes_at(out), mw_bytes_len(out)) < 0)
        c->rc = mw_err_set(c->err, c->out->code, "host call", c->name, NULL);
    mw_scratch_give(L, n + 2);
    return 0;
}

/* One part of the call, under the limits of a step. */
static void part(struct calling *c, lua_CFunction fn) {
    lua_State *L = mw_host_state(c->host);
    int status;

    mw_host_in_callback(c->host, 1);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, c);
    status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) c->rc = mw_take_error(L, status, c->err);
    mw_host_in_callback(c->host, 0);
}

int mw_host_call(mw_host *h, const char *name, const void *msgpack, size_t len, mw_buf *out, struct mw_err *err) {
    struct calling c = {.host = h, .name = name, .args = {.at = msgpack, .len = len}, .out = out, .err = err};
    size_t before = out != NULL ? out->len : 0, more = mw_assembly_of(h)->cfg.person ? PERSON_MEMORY : 0;

    if (name == NULL) return mw_err_set(err, MW_EINVAL, "host call", NULL, "a name is expected");
    if (mw_host_in_turn(h)) return mw_err_set(err, MW_EINVAL, "host call", name, "called from a hook of the same host");
    if (mw_task_cut_off(h)) return mw_err_set(err, MW_EAGAIN, "host call", name, "a script still computes: the last step's budget ended");
    c.rc = mw_stack_check(&mw_assembly_of(h)->stack, 1, "host call", err);
    if (c.rc == 0) c.rc = whole_values("host call", name, msgpack, len, err);
    if (c.rc < 0) return c.rc;
    if (out != NULL && out->code < 0) return mw_err_set(err, out->code, "host call", name, "the buffer for its results has failed before");
    if (!lua_checkstack(mw_host_state(h), 6)) return mw_err_set(err, MW_ENOMEM, "host call", name, NULL);
    mw_host_lend_memory(h, more);
    part(&c, start_call);
    if (c.task == NULL) return mw_host_take_memory(h, more), c.rc;
    if (mw_task_run_now(c.task)) {
        part(&c, take_results);
        if (c.rc < 0 && out != NULL) out->len = before; /* the limit of a step may end it when all was written */
    } else {
        mw_task_cancel(c.task, "what mw_host_call calls may not wait");
        c.rc = mw_err_set(err, MW_EAGAIN, "host call", name, "it waits, and is cancelled");
        mw_err_hint(err, "mw_host_post starts what may wait");
    }
    if (c.rc < 0) mw_engine_tell_failure(mw_host_state(h), mw_engine_taps_of(h), MW_PROBE_SEND, name, err != NULL ? err->message : mw_err_words(c.rc));
    mw_task_release(c.task);
    mw_host_take_memory(h, more);
    return c.rc;
}
