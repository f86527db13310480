/* The door of traces: taps, and the list of probes that an object has.
 * Knows: bind/arg, io/sink, observe/trace, core, lua.h. Never: a format; a syscall. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/scratch.h"
#include "bind/tap.h"
#include "codec/json.h"
#include "core/task.h"
#include "io/sink.h"

#define OP "trace.tap"

struct tap {
    mw_sink *sink;                  /* NULL: closed */
    uint64_t bytes, events, lost;   /* at its end */
};

/* ---- Probes ------------------------------------------------------------------------------------------------------------- */

int mw_tap_test(lua_State *L, int idx) {
    return luaL_testudata(L, idx, MW_TAP_TYPE) != NULL;
}

static int refuse(lua_State *L, const char *name, int code, const char *why) {
    struct mw_err err;

    mw_err_set(&err, code, "use", name, why);
    return mw_raise(L, &err);
}

/* Raises when the object cannot have the tap.                                                          [-0, +0, e] */
static void check_room(lua_State *L, const struct tap *tap, mw_probe *list, const char *name) {
    unsigned n = 0;

    if (tap->sink == NULL) refuse(L, NULL, MW_ECLOSED, "the tap is closed");
    for (; list != NULL; list = *mw_probe_next(list)) n++;
    if (n >= MW_TRACE_TAPPED) refuse(L, name, MW_ELIMIT, "it has 16 taps already");
    if (mw_trace_full(mw_sink_trace(tap->sink))) refuse(L, name, MW_ELIMIT, "the tap is attached to 8192 things already");
}

static void add(mw_probe **list, mw_probe *p) {
    while (*list != NULL) list = mw_probe_next(*list);
    *list = p;
}

void mw_tap_attach(lua_State *L, int idx, int n, mw_probe **list, enum mw_probe_kind kind, const char *name) {
    const struct tap *tap = luaL_checkudata(L, idx, MW_TAP_TYPE);
    mw_probe *p;

    check_room(L, tap, *list, name);
    if (lua_getiuservalue(L, 1, n) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, n);
    }
    lua_pushvalue(L, idx);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);              /* it lives as long as what it is attached to */
    lua_pop(L, 1);
    p = tap->sink != NULL ? mw_probe_new(mw_sink_trace(tap->sink), kind, name) : NULL;       /* a finalizer may have closed it */
    if (p == NULL) refuse(L, name, MW_ENOMEM, NULL);
    add(list, p);
}

void mw_tap_run(lua_State *L, mw_probe **list, enum mw_probe_kind kind, const char *name) {
    mw_probe *p = mw_tap_is_on(L) ? mw_probe_new(mw_host_head(L)->trace, kind, name) : NULL;
    if (p != NULL) add(list, p);
}

void mw_tap_inherit(lua_State *L, mw_probe *from, mw_probe **list, enum mw_probe_kind kind, const char *name) {
    for (; from != NULL; from = *mw_probe_next(from)) {
        mw_probe *p = mw_probe_trace(from) == mw_host_head(L)->trace ? NULL : mw_probe_new(mw_probe_trace(from), kind, name);
        if (p != NULL) add(list, p);
    }
}

void mw_tap_tell(lua_State *L, mw_probe *list, enum mw_probe_dir dir, const void *at, size_t len) {
    mw_host *h = mw_host_of(L);
    const mw_task *task = mw_task_current(h);

    for (; list != NULL; list = *mw_probe_next(list)) {
        int code = mw_probe_message(list, dir, at, len, task != NULL ? mw_task_number(task) : 0) ? mw_trace_trouble(mw_probe_trace(list)) : 0;
        if (code < 0) mw_host_log(h, MW_LOG_WARN, "the trace ends here, its file takes no more: %s", mw_err_words(code));
    }
}

void mw_tap_tell_value(lua_State *L, mw_probe *list, enum mw_probe_dir dir, int idx) {
    int top = lua_gettop(L);
    struct mw_bytes *text;
    struct mw_err err;
    size_t len;
    const char *at;

    luaL_checkstack(L, 8, "tap");
    if (lua_istable(L, idx)) {
        text = mw_scratch_take(L);                                      /* [box] */
        if (mw_json_write(L, idx, text, NULL, NULL, &err) == 0) mw_tap_tell(L, list, dir, mw_bytes_at(text), mw_bytes_len(text));
        else mw_tap_tell(L, list, dir, "(a table)", 9);                 /* one that is no JSON */
        mw_scratch_give(L, lua_gettop(L));
    } else {
        if (lua_type(L, idx) == LUA_TSTRING) lua_pushvalue(L, idx);
        else luaL_tolstring(L, idx, NULL);
        at = lua_tolstring(L, -1, &len);
        mw_tap_tell(L, list, dir, at, len);
    }
    lua_settop(L, top);
}

void mw_tap_end(mw_probe **list) {
    while (*list != NULL) {
        mw_probe *p = *list;
        *list = *mw_probe_next(p);
        mw_probe_free(p);
    }
}

void mw_tap_leave(mw_probe **list, const mw_trace *over) {
    while (*list != NULL) {
        mw_probe *p = *list;
        if (mw_probe_trace(p) != over) {
            list = mw_probe_next(p);
            continue;
        }
        *list = *mw_probe_next(p);
        mw_probe_free(p);
    }
}

void mw_tapped_add(lua_State *L, struct mw_tapped *it, void (*turn)(lua_State *, struct mw_tapped *, const mw_trace *)) {
    it->turn = turn;
    mw_list_add(&mw_host_head(L)->tapped, &it->link);
    if (mw_tap_is_on(L)) turn(L, it, NULL);
}

static void turn_all(lua_State *L, const mw_trace *over) {
    struct mw_list *all = &mw_host_head(L)->tapped;

    for (struct mw_list *at = all->next; at != all; at = at->next) {
        struct mw_tapped *it = MW_LIST_ENTRY(at, struct mw_tapped, link);
        it->turn(L, it, over);
    }
}

/* ---- Taps --------------------------------------------------------------------------------------------------------------- */

/* The names to hide: lent by their list, which the options keep; the array is pushed.                 [-0, +1, e] */
static const char *const *names(lua_State *L, size_t *count) {
    int type = mw_opt_get(L, 1, "redact"), list = lua_gettop(L);
    size_t n = type == LUA_TTABLE ? (size_t)lua_rawlen(L, list) : 0;
    const char **out;

    if (type == LUA_TNIL) {
        for (*count = 0; mw_trace_secrets[*count] != NULL;) ++*count;
        return mw_trace_secrets;
    }
    if (type != LUA_TTABLE) mw_raise_inval(L, OP, "option \"redact\" must be a list of names, got %s", luaL_typename(L, list));
    if (n > MW_TRACE_NAMES) mw_raise_inval(L, OP, "option \"redact\": at most %d names", (int)MW_TRACE_NAMES);
    out = lua_newuserdatauv(L, (n + 1) * sizeof *out, 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        out[i] = mw_param_text(L, -1, OP, "option \"redact\": each", MW_TRACE_NAME, NULL);
        if (*out[i] == '\0') mw_raise_inval(L, OP, "option \"redact\": a name is empty");
        lua_pop(L, 1);
    }
    lua_replace(L, list);
    *count = n;
    return out;
}

/* tap{ to =, payload =, redact =, max =, colour = } -> tap | nil, err                                 [-0, +1|2, e] */
static int trace_tap(lua_State *L) {
    static const char *const known[] = {"to", "payload", "redact", "max", "colour", NULL};
    struct mw_trace_options o = {0};
    struct mw_err err;
    struct tap *tap;
    const char *to;

    lua_settop(L, 1);
    if (!lua_istable(L, 1)) return mw_raise_inval(L, OP, "a table of options expected, got %s", luaL_typename(L, 1));
    mw_opt_open(L, 1, OP, known, 0);
    to = mw_opt_text(L, 1, OP, "to", 4096, NULL);
    if (to == NULL) return mw_raise_inval(L, OP, "option \"to\" is missing: a file, or \"stderr\"");
    if (mw_trace_format_of(to, &o.format) < 0) {
        return mw_raise_inval(L, OP, "option \"to\": \"%s\" has none of the endings .pcapng, .jsonl, .trace.json", to);
    }
    o.payload = (size_t)mw_opt_size(L, 1, OP, "payload", 0, MW_TRACE_PAYLOAD_MAX, MW_TRACE_PAYLOAD);
    o.max = mw_opt_size(L, 1, OP, "max", 64 << 10, (uint64_t)1 << 50, MW_TRACE_MAX);
    o.colour = mw_opt_flag(L, 1, OP, "colour", mw_sink_colours());
    o.redact = names(L, &o.redact_count);
    o.probes = MW_TRACE_PROBES;
    tap = mw_box_new(L, sizeof *tap, MW_TAP_TYPE);
    if (mw_sink_open(mw_host_of(L), to, &o, &mw_host_head(L)->sinks, &tap->sink, &err) < 0) return mw_push_err(L, &err);
    return 1;
}

static int end(struct tap *tap, struct mw_err *err) {
    mw_sink *sink = tap->sink;
    mw_trace *t;
    int rc;

    if (sink == NULL) return 0;
    tap->sink = NULL;
    t = mw_trace_hold(mw_sink_trace(sink));
    rc = mw_sink_close(sink, err);
    mw_trace_counts(t, &tap->bytes, &tap->events, &tap->lost);
    mw_trace_release(t);
    return rc;
}

/* tap:close() -> true | nil, err: why its file is not whole                                           [-0, +1|2, m] */
static int tap_close(lua_State *L) {
    struct tap *tap = luaL_checkudata(L, 1, MW_TAP_TYPE);
    struct mw_err err;

    if (end(tap, &err) < 0) return mw_push_err(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

static int tap_gc(lua_State *L) {
    struct tap *tap = luaL_checkudata(L, 1, MW_TAP_TYPE);
    struct mw_err err;

    if (end(tap, &err) < 0) mw_host_log(mw_host_of(L), MW_LOG_WARN, "%s", err.message);
    return 0;
}

/* tap:note(text) -> tap                                                                               [-0, +1, e] */
static int tap_note(lua_State *L) {
    struct tap *tap = mw_box_self(L, MW_TAP_TYPE);
    const char *text = mw_param_text(L, 2, "tap.note", "the text", 4096, NULL);

    if (tap->sink != NULL) mw_trace_note(mw_sink_trace(tap->sink), text);
    lua_settop(L, 1);
    return 1;
}

/* tap:stats() -> { bytes, events, lost }                                                              [-0, +1, m] */
static int tap_stats(lua_State *L) {
    struct tap *tap = mw_box_self(L, MW_TAP_TYPE);

    if (tap->sink != NULL) mw_trace_counts(mw_sink_trace(tap->sink), &tap->bytes, &tap->events, &tap->lost);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)tap->bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushinteger(L, (lua_Integer)tap->events);
    lua_setfield(L, -2, "events");
    lua_pushinteger(L, (lua_Integer)tap->lost);
    lua_setfield(L, -2, "lost");
    return 1;
}

static int tap_tostring(lua_State *L) {
    const struct tap *tap = luaL_checkudata(L, 1, MW_TAP_TYPE);

    if (tap->sink == NULL) lua_pushliteral(L, "tap (closed)");
    else lua_pushfstring(L, "tap (to %s)", mw_sink_name(tap->sink));
    return 1;
}

/* ---- Spans -------------------------------------------------------------------------------------------------------------- */

/* [name from results...] */
static int span_k(lua_State *L, int status, lua_KContext ctx) {
    const mw_task *task = mw_task_current(mw_host_of(L));
    mw_trace *t = mw_host_head(L)->trace;
    (void)ctx;

    if (t != NULL)
        mw_trace_slice(t, task != NULL ? mw_task_number(task) : 0, MW_SLICE_SPAN, lua_tostring(L, 1), (uint64_t)lua_tointeger(L, 2));
    if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
    return lua_gettop(L) - 2;
}

/* span(name, f, ...) -> what f returns: a slice of the run's trace, if there is one                   [-0, +n, y] */
static int trace_span(lua_State *L) {
    mw_param_text(L, 1, "trace.span", "the name", 256, NULL);
    if (!lua_isfunction(L, 2)) return mw_raise_inval(L, "trace.span", "a function expected, got %s", luaL_typename(L, 2));
    lua_pushinteger(L, (lua_Integer)mw_trace_now());
    lua_insert(L, 2);                                                   /* [name from f args...] */
    return span_k(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, 0, span_k), 0);
}

/* ---- Task channels, which are Lua -------------------------------------------------------------------------------------- */

#define TAPPED "mw.tapped"

/* (pass, dir, value): tells of it, and passes it. Upvalue 1 holds the probes.                         [-0, +n, y] */
static int tapped_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    return lua_gettop(L);
}
static int tapped_call(lua_State *L) {
    mw_probe *const *list = lua_touserdata(L, lua_upvalueindex(1));
    const char *dir = lua_tostring(L, 2);

    mw_tap_value(L, *list, dir != NULL && *dir == 'r' ? MW_PROBE_RECV : MW_PROBE_SEND, 3);
    lua_remove(L, 2);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, tapped_k);
    return lua_gettop(L);
}
static int tapped_gc(lua_State *L) {
    mw_tap_end(lua_touserdata(L, 1));
    return 0;
}

/* tapped(tap | nil, name) -> a function for use(); nil: of the run's trace                            [-0, +1, e] */
static int trace_tapped(lua_State *L) {
    const char *name = mw_param_text(L, 2, "use", "the name", 256, NULL);
    mw_probe **list;

    if (!lua_isnil(L, 1) && !mw_tap_test(L, 1)) return mw_raise_inval(L, "use", "a function or a tap expected, got %s", luaL_typename(L, 1));
    lua_settop(L, 2);
    list = lua_newuserdatauv(L, sizeof *list, 1);                       /* [tap name box] */
    *list = NULL;
    if (luaL_newmetatable(L, TAPPED)) {
        lua_pushcfunction(L, tapped_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_rotate(L, 1, 1);                                                /* [box tap name] */
    if (lua_isnil(L, 2)) mw_tap_run(L, list, MW_PROBE_QUEUE, name);
    else mw_tap_attach(L, 2, 1, list, MW_PROBE_QUEUE, name);
    lua_settop(L, 1);
    lua_pushcclosure(L, tapped_call, 1);
    return 1;
}

/* ---- The whole run ------------------------------------------------------------------------------------------------------ */

#define RUN "mw.trace.run"

static int end_run(lua_State *L, mw_sink **at, struct mw_err *err) {
    mw_sink *sink = *at;

    if (sink == NULL) return 0;
    *at = NULL;
    turn_all(L, mw_sink_trace(sink));
    mw_host_set_trace(mw_host_of(L), NULL);
    return mw_sink_close(sink, err);
}
static int run_gc(lua_State *L) {
    struct mw_err err;

    if (end_run(L, lua_touserdata(L, 1), &err) < 0) mw_host_log(mw_host_of(L), MW_LOG_WARN, "%s", err.message);
    return 0;
}

/* Begins: the box on top of the stack is empty.                                                       [-0, +1|2, e] */
static int begin_run(lua_State *L, mw_sink **at, const char *path) {
    const char *const *secret = mw_trace_secrets;
    struct mw_trace_options o = {0};
    struct mw_err err;
    int rc;

    if (mw_tap_is_on(L)) rc = mw_err_set(&err, MW_EINVAL, "trace", path, "the run is traced already");
    else if (mw_trace_format_of(path, &o.format) < 0) rc = mw_err_set(&err, MW_EINVAL, "trace", path, "none of the endings .pcapng, .jsonl, .trace.json");
    else {
        o.payload = MW_TRACE_PAYLOAD;
        o.max = MW_TRACE_MAX;
        o.colour = mw_sink_colours();
        o.redact = secret;
        while (secret[o.redact_count] != NULL) o.redact_count++;
        o.probes = MW_TRACE_PROBES;
        rc = mw_sink_open(mw_host_of(L), path, &o, NULL, at, &err);
    }
    if (rc < 0) return mw_push_err(L, &err);
    mw_host_set_trace(mw_host_of(L), mw_sink_trace(*at));
    turn_all(L, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* run(path) -> true | nil, err: what there is is traced from now on; run(nil) -> whether it was | nil, err     [-0, +1|2, e] */
static int trace_run(lua_State *L) { /* upvalues: the door, the box of the sink */
    mw_sink **at = lua_touserdata(L, lua_upvalueindex(2));
    struct mw_err err;
    int n, was = *at != NULL;

    if (!lua_isnil(L, 1)) {
        n = begin_run(L, at, mw_param_text(L, 1, "trace", "the file", 4096, NULL));
    } else if (end_run(L, at, &err) < 0) {
        n = mw_push_err(L, &err);
    } else {
        lua_pushboolean(L, was);
        n = 1;
    }
    lua_pushboolean(L, mw_tap_is_on(L));
    lua_setfield(L, lua_upvalueindex(1), "on");
    return n;
}

static void put_run(lua_State *L) { /* [door] */
    mw_sink **at;

    lua_pushvalue(L, -1);
    at = lua_newuserdatauv(L, sizeof *at, 0);
    *at = NULL;
    if (luaL_newmetatable(L, RUN)) {
        lua_pushcfunction(L, run_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_pushcclosure(L, trace_run, 2);
    lua_setfield(L, -2, "run");
}

int mw_door_trace(lua_State *L) {
    static const luaL_Reg door[] = {{"tap", trace_tap}, {"span", trace_span}, {"tapped", trace_tapped}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", tap_close}, {"note", tap_note}, {"stats", tap_stats}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", tap_gc}, {"__close", tap_close}, {"__tostring", tap_tostring}, {NULL, NULL}};

    mw_type_new(L, MW_TAP_TYPE, methods, meta);
    luaL_newlib(L, door);
    lua_pushboolean(L, mw_tap_is_on(L));
    lua_setfield(L, -2, "on");
    put_run(L);
    return 1;
}
