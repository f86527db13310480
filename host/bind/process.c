/* The door of processes: start one, wait for it, look at it, end it. What can be built of that is Lua (moonwire.process).
 * Knows: bind/arg, bind/stream, io/process, core. Never: a syscall. */
#include "bind/process.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/host.h"
#include "bind/look.h"
#include "bind/stream.h"

struct box {
    mw_process *p;            /* NULL: never started, or let go */
};

static struct box *box_at(lua_State *L, int idx) {
    return mw_box_check(L, idx, MW_PROCESS_TYPE);
}

mw_process *mw_process_check(lua_State *L, int idx) {
    struct box *box = box_at(L, idx);
    struct mw_err err;

    if (box->p != NULL) return box->p;
    mw_err_set(&err, MW_ECLOSED, "process", NULL, "this process was never started, or is over");
    mw_raise(L, &err);
    return NULL;
}

/* ---- Starting ----------------------------------------------------------------------------------------------------------------- */

static void field_stream(lua_State *L, int table, const char *name, mw_stream *s) {
    if (s == NULL) return;
    mw_stream_push_owned(L, s);
    lua_setfield(L, table, name);
}

/* The box's own table: what a script sees of it by name. */
static void set_fields(lua_State *L, int box, int args, mw_process *p) {
    int fields;

    lua_newtable(L);
    fields = lua_gettop(L);
    lua_pushvalue(L, args);
    lua_setfield(L, fields, "argv");
    lua_pushinteger(L, mw_process_pid(p));
    lua_setfield(L, fields, "pid");
    field_stream(L, fields, "stdin", mw_process_stream(p, 0));
    field_stream(L, fields, "stdout", mw_process_stream(p, 1));
    field_stream(L, fields, "stderr", mw_process_stream(p, 2));
    if (mw_process_stream(p, 3) != NULL) {
        field_stream(L, fields, "tty", mw_process_stream(p, 3));
        lua_getfield(L, fields, "tty");
        lua_pushvalue(L, -1);
        lua_setfield(L, fields, "stdin");
        lua_setfield(L, fields, "stdout");
    }
    lua_pushvalue(L, fields);
    lua_setiuservalue(L, box, 2);
}

/* A policy between its making and its use: freed whatever happens. */
static int policy_gc(lua_State *L) {
    mw_policy **p = lua_touserdata(L, 1);

    mw_policy_free(*p);
    *p = NULL;
    return 0;
}

/* The child's rights for a script.                                                                   [-0, +n, e] */
static int narrow(lua_State *L, int options, struct mw_process_options *o, struct mw_err *err) {
    static const luaL_Reg none[] = { { NULL, NULL } }, meta[] = { { "__gc", policy_gc }, { NULL, NULL } };
    struct mw_grant_wish *wishes;
    mw_policy **policy;
    int n, rc;

    if (luaL_getmetatable(L, "mw.policy") == LUA_TNIL) mw_type_new(L, "mw.policy", none, meta);
    policy = mw_box_new(L, sizeof *policy, "mw.policy");
    n = mw_process_wishes_read(L, options, o->op, &wishes);
    rc = mw_process_narrow(mw_host_of(L), o->op, wishes, n < 0 ? 0 : (size_t)n, n < 0, policy, err);
    o->policy = *policy;
    o->wishes = wishes;
    o->wish_count = n < 0 ? 0 : (size_t)n;
    o->inherit = n < 0;
    return rc;
}

/* start(use, options, notify) -> process | nil, err                                                           [-0, +1|2, e] */
static int process_start(lua_State *L) {
    static const char *const uses[] = { "run", "spawn", "lines", "pipe", "pool", NULL };
    int use = luaL_checkoption(L, 1, NULL, uses), notify = lua_toboolean(L, 3), rc = 0;
    struct mw_process_options o;
    struct mw_err err;
    struct box *box;

    lua_settop(L, 2);
    if (lua_type(L, 2) == LUA_TTABLE) {
        mw_process_options_copy(L, 2, MW_PROCESS_OPTIONS_DEPTH);
        lua_replace(L, 2);
    }
    box = mw_box_new(L, sizeof *box, MW_PROCESS_TYPE);                /* [use options box] */
    mw_process_options_read(L, 2, (enum mw_process_use)use, &o);      /* [use options box args ...] */
    o.notify = notify;
    if (o.script) rc = narrow(L, 2, &o, &err);
    if (rc < 0) return mw_push_err(L, &err);
    rc = mw_process_shares_read(L, 2, &o, &err);
    if (rc < 0) mw_process_shares_done(L, 2, 4, 0);
    if (rc < 0) return mw_push_err(L, &err);
    mw_process_ends_given(L, 2);                                      /* taken, whatever comes */
    rc = mw_process_start(mw_host_of(L), &o, &box->p, &err);
    mw_process_shares_done(L, 2, 4, rc == 0);
    if (rc < 0) return mw_push_err(L, &err);
    set_fields(L, 3, 4, box->p);
    lua_settop(L, 3);
    return 1;
}

/* link() -> the end to read, the end to write                                                         [-0, +2, e] */
static int process_link(lua_State *L) {
    struct mw_pipe_end *r = mw_box_new(L, sizeof *r, MW_PIPE_END_TYPE), *w;
    struct mw_err err;
    int ends[2], rc;

    r->fd = -1;
    w = mw_box_new(L, sizeof *w, MW_PIPE_END_TYPE);
    w->fd = -1;
    rc = mw_process_link(mw_host_of(L), "process pipe", ends, &err);
    if (rc < 0) return mw_push_err(L, &err);
    r->fd = ends[0];
    w->fd = ends[1];
    return 2;
}

static int end_gc(lua_State *L) {
    struct mw_pipe_end *end = lua_touserdata(L, 1);

    mw_process_unlink(end->fd);
    end->fd = -1;
    return 0;
}

/* ---- Its result ----------------------------------------------------------------------------------------------------------------- */

static void set_number(lua_State *L, const char *name, lua_Number v) {
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static lua_Number seconds(const struct timeval *t) {
    return (lua_Number)t->tv_sec + (lua_Number)t->tv_usec / 1e6;
}

static void push_usage(lua_State *L, const struct rusage *u) {
    lua_createtable(L, 0, 8);
    set_number(L, "user", seconds(&u->ru_utime));
    set_number(L, "system", seconds(&u->ru_stime));
    lua_pushinteger(L, (lua_Integer)u->ru_maxrss * 1024);
    lua_setfield(L, -2, "max_memory");
    lua_pushinteger(L, u->ru_minflt);
    lua_setfield(L, -2, "minor_faults");
    lua_pushinteger(L, u->ru_majflt);
    lua_setfield(L, -2, "major_faults");
    lua_pushinteger(L, u->ru_nvcsw);
    lua_setfield(L, -2, "waits");
    lua_pushinteger(L, u->ru_nivcsw);
    lua_setfield(L, -2, "preemptions");
}

static void push_output(lua_State *L, const char *name, struct mw_bytes *held) {
    if (held == NULL) return;
    if (mw_bytes_len(held) == 0) lua_pushliteral(L, "");
    else lua_pushlstring(L, mw_bytes_at(held), mw_bytes_len(held));
    lua_setfield(L, -2, name);
}

static void push_signal(lua_State *L, int number) {
    const char *name = mw_process_signal_name(number);

    if (name != NULL) lua_pushstring(L, name);
    else lua_pushfstring(L, "%d", number);
}

/* The result of the process in the box at `idx`.                                                      [-0, +1, m] */
static void push_result(lua_State *L, int idx, mw_process *p) {
    const struct mw_exit *e = mw_process_exit(p);

    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 8, "result");
    lua_createtable(L, 0, 12);
    lua_pushboolean(L, e->known && e->code == 0 && !mw_process_timed_out(p));
    lua_setfield(L, -2, "ok");
    if (e->known && e->code >= 0) {
        lua_pushinteger(L, e->code);
        lua_setfield(L, -2, "code");
    }
    if (e->known && e->signal != 0) {
        push_signal(L, e->signal);
        lua_setfield(L, -2, "signal");
    }
    if (!e->known) {                                                  /* somebody else took the status */
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "unknown");
    }
    push_output(L, "stdout", mw_process_captured(p, 1));
    push_output(L, "stderr", mw_process_captured(p, 2));
    lua_pushinteger(L, mw_process_pid(p));
    lua_setfield(L, -2, "pid");
    set_number(L, "duration", (lua_Number)mw_process_duration(p) / 1e9);
    lua_pushboolean(L, mw_process_timed_out(p));
    lua_setfield(L, -2, "timed_out");
    lua_pushboolean(L, mw_process_overflowed(p));
    lua_setfield(L, -2, "truncated");
    if (e->has_usage) {
        push_usage(L, &e->usage);
        lua_setfield(L, -2, "rusage");
    }
    lua_getiuservalue(L, idx, 2);
    lua_getfield(L, -1, "argv");
    lua_setfield(L, -3, "argv");
    lua_pop(L, 1);
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------------------------- */

static const char *subject(lua_State *L, int idx) {                  /* lent by the box */
    const char *s;

    lua_getiuservalue(L, idx, 2);
    lua_getfield(L, -1, "argv");
    lua_rawgeti(L, -1, 1);
    s = lua_tostring(L, -1);
    lua_pop(L, 3);
    return s;
}

/* The end of waiting: the result, or why there is none that can be trusted. */
static int told(lua_State *L, mw_process *p, int truncate) {
    const char *what;
    struct mw_err err;
    int fault = mw_process_fault(p, &what);

    push_result(L, 1, p);
    if (fault != 0) {
        if (fault != MW_ELIMIT) mw_err_set(&err, fault, "process run", subject(L, 1), what);
        else mw_host_limit_reached(mw_host_of(L), &err, "process run", subject(L, 1), "buffered", "the host holds as many bytes as it may");
        return mw_push_err_data(L, &err);
    }
    if (!mw_process_overflowed(p) || truncate) return 1;
    mw_err_set(&err, MW_ELIMIT, "process run", subject(L, 1), "it wrote more than max_output");
    mw_err_hint(&err, "raise max_output, or use on_overflow = \"truncate\" or process.lines");
    return mw_push_err_data(L, &err);
}

/* collect(process, truncate): waits until it is over; a cancelled task ends the group.                 [-0, +1|2, ey] */
static int collect_k(lua_State *L, int code, lua_KContext ctx) {
    mw_process *p = mw_process_check(L, 1);
    int n;

    if (code == MW_ECANCELED) {
        mw_process_close(p);
        return mw_wait_cancelled(L);
    }
    if (!mw_process_over(p)) return mw_wait_yield_raw(L, mw_process_changed(p), MW_NEVER, ctx, collect_k);
    n = told(L, p, (int)ctx);
    box_at(L, 1)->p = NULL;                                           /* what it held is in the result: let it go now */
    mw_process_release(p);
    return n;
}
static int process_collect(lua_State *L) {
    int truncate = lua_toboolean(L, 2);

    lua_settop(L, 1);
    return collect_k(L, 0, truncate);
}

/* run(truncate, options) -> result | nil, err: both in one, so that nothing can come between the start and the wait */
static int process_run(lua_State *L) {
    int truncate = lua_toboolean(L, 1), n;

    lua_settop(L, 2);
    lua_pushliteral(L, "run");
    lua_replace(L, 1);
    n = process_start(L);
    if (n != 1) return n;
    lua_replace(L, 1);
    lua_settop(L, 1);
    return collect_k(L, 0, truncate);
}

/* child:wait{ timeout = } -> result | nil, err (ETIMEDOUT)                                             [-0, +1|2, ey] */
static int wait_k(lua_State *L, int code, lua_KContext ctx) {
    mw_process *p = mw_process_check(L, 1);
    uint64_t deadline = (uint64_t)ctx;
    struct mw_err err;

    if (!mw_process_over(p)) {
        if (code != MW_ETIMEDOUT) return mw_wait_yield(L, mw_process_changed(p), deadline, ctx, wait_k);
        mw_err_set(&err, code, "process wait", subject(L, 1), NULL);
        return mw_push_err(L, &err);
    }
    push_result(L, 1, p);
    return 1;
}
static int process_wait(lua_State *L) {
    static const char *const known[] = { "timeout", NULL };
    uint64_t deadline;

    mw_process_check(L, 1);
    mw_opt_open(L, 2, "process.wait", known, 0);
    deadline = mw_opt_deadline(L, 2, "process.wait");
    lua_settop(L, 1);
    return wait_k(L, 0, (lua_KContext)deadline);
}

/* await_ready(process, seconds?) -> boolean: it has said so; false: the time is up, or it has ended    [-0, +1, ey] */
static int ready_k(lua_State *L, int code, lua_KContext ctx) {
    mw_process *p = mw_process_check(L, 1);

    if (!mw_process_ready(p) && mw_process_running(p) && code != MW_ETIMEDOUT) {
        return mw_wait_yield(L, mw_process_changed(p), (uint64_t)ctx, ctx, ready_k);
    }
    lua_pushboolean(L, mw_process_ready(p));
    return 1;
}
static int process_await_ready(lua_State *L) {
    uint64_t now = mw_host_now(mw_host_of(L)), ns = UINT64_MAX;

    mw_process_check(L, 1);
    if (!lua_isnoneornil(L, 2)) ns = mw_param_duration(L, 2, "process.await_ready", "the time");
    lua_settop(L, 1);
    return ready_k(L, 0, (lua_KContext)(ns >= (uint64_t)INT64_MAX - now ? MW_NEVER : now + ns));
}

/* ---- Methods ------------------------------------------------------------------------------------------------------------------------ */

/* child:kill(signal) -> true | nil, err (ESRCH): the whole group; "TERM" if none is named              [-0, +1|2, e] */
static int process_kill(lua_State *L) {
    mw_process *p = mw_process_check(L, 1);
    struct mw_err err;
    int number = mw_process_signal_number("TERM"), rc;

    if (!lua_isnoneornil(L, 2)) number = mw_process_signal_read(L, 2, "process.kill", "the signal");
    rc = mw_process_signal(p, number);
    if (rc < 0) {
        mw_err_set(&err, rc, "process kill", subject(L, 1), rc == -ESRCH ? "it has ended" : NULL);
        return mw_push_err(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* child:stop() -> child: TERM to the group, KILL after kill_after                                      [-0, +1, e] */
static int process_stop(lua_State *L) {
    mw_process_stop(mw_process_check(L, 1));
    lua_settop(L, 1);
    return 1;
}

/* child:resize(rows, cols) -> true | nil, err                                                          [-0, +1|2, e] */
static int process_resize(lua_State *L) {
    mw_process *p = mw_process_check(L, 1);
    struct mw_err err;
    int rows = (int)mw_param_integer(L, 2, "process.resize", "rows", 1, 65535);
    int cols = (int)mw_param_integer(L, 3, "process.resize", "cols", 1, 65535);

    if (mw_process_resize(p, (unsigned short)rows, (unsigned short)cols, &err) < 0) return mw_push_err(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* child:stream() -> its stdin and stdout as one stream                                                 [-0, +1|2, e] */
static int process_stream(lua_State *L) {
    mw_process *p = mw_process_check(L, 1);
    mw_stream *s = NULL;
    struct mw_err err;

    lua_getiuservalue(L, 1, 2);                                       /* [child ... fields] */
    if (lua_getfield(L, -1, "duplex") != LUA_TNIL) return 1;
    if (lua_getfield(L, -2, "tty") != LUA_TNIL) return 1;
    if (mw_process_duplex(p, &s, &err) < 0) return mw_push_err(L, &err);
    mw_stream_push_owned(L, s);
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, "duplex");
    return 1;
}

/* child:running() -> boolean                                                                           [-0, +1, e] */
static int process_running(lua_State *L) {
    struct box *box = box_at(L, 1);

    lua_pushboolean(L, box->p != NULL && mw_process_running(box->p));
    return 1;
}

static int process_close(lua_State *L) {
    struct box *box = box_at(L, 1);

    if (box->p != NULL) mw_process_close(box->p);
    return 0;
}

static int process_gc(lua_State *L) {
    struct box *box = lua_touserdata(L, 1);
    mw_process *p = box->p;

    box->p = NULL;
    if (p == NULL) return 0;
    if (mw_process_running(p) && !mw_process_closed(p)) mw_box_warn(L, 1, "process");
    mw_process_release(p);
    return 0;
}

static int process_tostring(lua_State *L) {
    struct box *box = box_at(L, 1);

    if (box->p == NULL) lua_pushliteral(L, "process (over)");
    else lua_pushfstring(L, "process %d (%s)", (int)mw_process_pid(box->p), mw_process_running(box->p) ? "running" : "ended");
    return 1;
}

/* Its own table first, then the methods (upvalue 1). */
static int process_index(lua_State *L) {
    lua_getiuservalue(L, 1, 2);
    if (lua_istable(L, -1) && lua_type(L, 2) == LUA_TSTRING) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL) return 1;
    }
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

/* ---- The door ------------------------------------------------------------------------------------------------------------------------- */

/* parent() -> a script child's line to its parent | nil                                                [-0, +1|2, e] */
static int process_parent(lua_State *L) {
    mw_stream **slot;
    struct mw_err err;
    int *fd = mw_host_door_fd(L, 0), stdio, rc;

    mw_door_host(L);
    lua_getfield(L, -1, "parent_stdio");
    stdio = lua_toboolean(L, -1);
    if (*fd < 0 && !stdio) {
        lua_pushnil(L);
        return 1;
    }
    slot = mw_stream_box(L);
    rc = mw_process_parent(mw_host_of(L), *fd, stdio, slot, &err);
    *fd = -1; /* taken either way */
    return rc < 0 ? mw_push_err(L, &err) : 1;
}

/* notify() -> whether there was somebody to tell that this process is ready                             [-0, +1, e] */
static int process_notify(lua_State *L) {
    int *at = mw_host_door_fd(L, 1), fd = *at;

    *at = -1;
    lua_pushboolean(L, mw_process_notify(fd));
    return 1;
}

static void open_types(lua_State *L) {
    static const luaL_Reg methods[] = { { "wait", process_wait }, { "kill", process_kill }, { "stop", process_stop }, { "resize", process_resize },
                                        { "stream", process_stream }, { "running", process_running }, { "close", process_close }, { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__gc", process_gc }, { "__close", process_close }, { "__tostring", process_tostring }, { NULL, NULL } };
    static const luaL_Reg none[] = { { NULL, NULL } }, end_meta[] = { { "__gc", end_gc }, { "__close", end_gc }, { NULL, NULL } };

    mw_type_new(L, MW_PROCESS_TYPE, methods, meta);
    mw_type_new(L, MW_PIPE_END_TYPE, none, end_meta);
    luaL_getmetatable(L, MW_PROCESS_TYPE);
    lua_getfield(L, -1, "__index");                                   /* [mt methods] */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, MW_LOOK_METHODS);
    lua_pushcclosure(L, process_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int mw_door_process(lua_State *L) {
    static const luaL_Reg fns[] = { { "start", process_start }, { "collect", process_collect }, { "run", process_run }, { "link", process_link }, { "parent", process_parent },
                                    { "await_ready", process_await_ready }, { "notify", process_notify }, { NULL, NULL } };
    struct mw_process_setup setup = { NULL, NULL, 1, 0 };
    struct mw_err err;

    open_types(L);
    mw_door_host(L);                                                  /* [host] */
    lua_getfield(L, -1, "program");
    setup.program = lua_tostring(L, -1);
    lua_getfield(L, -2, "script_dir");
    setup.script_dir = lua_tostring(L, -1);
    lua_getfield(L, -3, "warden");
    setup.warden = lua_toboolean(L, -1);
    lua_getfield(L, -4, "child_files");
    setup.child_files = (uint64_t)lua_tointeger(L, -1);
    if (mw_process_setup(mw_host_of(L), &setup, &err) < 0) return mw_raise(L, &err);
    lua_pop(L, 5);
    luaL_newlib(L, fns);
    return 1;
}
