/* The door of tasks: start, join, cancel; scopes as calls and as closables; a condition for the Lua half to build on.
 * Knows: bind/arg, core. Never: schedules. */
#include <lauxlib.h>
#include <stdlib.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "core/task.h"

#define TASK "mw.task"
#define SCOPE "mw.scope"
#define COND "mw.cond"
#define FOREVER ((uint64_t)INT64_MAX)

struct task_box {
    mw_task *t;
};
struct scope_box {
    mw_scope *s;
    int failed, late; /* the body raised; the deadline had passed when the body ended */
    int waits, own;   /* tasks were left when the body ended; it had been cancelled from inside by then */
};
struct cond_box {
    struct mw_wait wait;
};

/* ---- Tasks ---------------------------------------------------------------------------------------------------------------- */

/* Starts the function at `first` with what follows it.                                              [-n, +1, e] */
static int start(lua_State *L, mw_scope *s, int first, const char *name, int daemon) {
    struct task_box *box;
    struct mw_err err;
    int rc;

    if (s == NULL) {
        mw_err_set(&err, MW_ENOMEM, "task.spawn", NULL, NULL);
        return mw_raise(L, &err);
    }
    if (!lua_isfunction(L, first)) return mw_raise_inval(L, "task.spawn", "a function is expected, got %s", luaL_typename(L, first));
    if (!mw_scope_is_open(s)) return mw_raise_inval(L, "task.spawn", "this scope has ended");
    box = mw_box_plain(L, sizeof *box, TASK);
    lua_insert(L, first); /* [... box f args...] */
    rc = mw_task_start(s, L, lua_gettop(L) - first - 1, name, daemon, &box->t, &err);
    if (rc < 0) return mw_raise(L, &err); /* memory: nobody looks at what spawn gives */
    mw_task_hold(box->t);
    return 1;
}

static mw_scope *here(lua_State *L) {
    mw_host *h = mw_host_of(L);
    if (mw_task_current(h) == NULL) mw_raise_inval(L, "task.spawn", "there is no task here to spawn from");
    return mw_scope_current(h);
}

static int spawn_with(lua_State *L, mw_scope *s, int opts) {
    static const char *const known[] = {"daemon", "name", NULL};
    const char *name;
    int daemon;

    mw_opt_open(L, opts, "task.spawn_with", known, 0);
    name = mw_opt_text(L, opts, "task.spawn_with", "name", 128, NULL);
    daemon = mw_opt_flag(L, opts, "task.spawn_with", "daemon", 0);
    return start(L, s, opts + 1, name, daemon);
}

/* spawn(f, ...) -> task                                                                              [-0, +1, e] */
static int task_spawn(lua_State *L) {
    return start(L, here(L), 1, NULL, 0);
}
/* spawn_with({ daemon =, name = }, f, ...) -> task                                                   [-0, +1, e] */
static int task_spawn_with(lua_State *L) {
    return spawn_with(L, here(L), 1);
}

/* background(name, f, ...) -> task: a daemon of the host itself, for what outlives the scope that began it   [-0, +1, e] */
static int task_background(lua_State *L) {
    return start(L, mw_host_root(mw_host_of(L)), 2, mw_param_text(L, 1, "task.background", "the name", 128, NULL), 1);
}

static mw_task *check_task(lua_State *L) {
    return ((struct task_box *)mw_box_check(L, 1, TASK))->t;
}

static int joined(lua_State *L, int code, lua_KContext ctx) {
    mw_task *t = check_task(L);
    struct mw_err err;
    int failed, n;
    (void)ctx;

    if (code == MW_ETIMEDOUT && !mw_task_done(t)) {
        mw_err_set(&err, code, "task join", mw_task_name(t), NULL);
        return mw_push_err(L, &err);
    }
    if (!mw_task_done(t)) return luaL_error(L, "task join: woken early");
    n = mw_task_push_results(L, t, &failed);
    if (!failed) return n;
    if (n == 0) lua_pushliteral(L, "not enough memory");
    mw_err_from(L, -1, &err);
    if (err.code != MW_ECANCELED || !mw_task_was_cancelled(t)) return lua_error(L);
    lua_pushnil(L); /* cancelled by somebody: news for the joiner, no error of its own */
    lua_insert(L, -2);
    return 2;
}
/* t:join{ timeout = } -> f's results | nil, err (ETIMEDOUT, ECANCELED); raises what f raised           [-0, +n, y] */
static int task_join(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    mw_task *t = check_task(L);
    uint64_t deadline;

    mw_opt_open(L, 2, "task.join", known, 0);
    deadline = mw_opt_deadline(L, 2, "task.join");
    if (mw_task_done(t)) return joined(L, 0, 0);
    if (t == mw_task_current(mw_host_of(L))) return mw_raise_inval(L, "task.join", "a task cannot join itself");
    return mw_wait_yield(L, mw_task_ended(t), deadline, 0, joined);
}
/* t:cancel(why) -> t: raises ECANCELED at its yield points                                            [-0, +1, e] */
static int task_cancel(lua_State *L) {
    mw_task *t = check_task(L);
    mw_task_cancel(t, lua_isnoneornil(L, 2) ? NULL : mw_param_text(L, 2, "task.cancel", "the reason", 1024, NULL));
    lua_settop(L, 1);
    return 1;
}
/* hurry(t): a cancelled task's __close functions wait for nothing any more                              [-0, +0, e] */
static int task_hurry(lua_State *L) {
    mw_task_hurry(check_task(L));
    return 0;
}
static int task_done(lua_State *L) {
    lua_pushboolean(L, mw_task_done(check_task(L)));
    return 1;
}
static int task_name(lua_State *L) {
    lua_pushstring(L, mw_task_name(check_task(L)));
    return 1;
}
static int task_gc(lua_State *L) {
    struct task_box *box = luaL_checkudata(L, 1, TASK);
    mw_task *t = box->t;
    box->t = NULL;
    mw_task_release(t);
    return 0;
}
static int task_tostring(lua_State *L) {
    mw_task *t = check_task(L);
    const char *name = mw_task_name(t);
    lua_pushfstring(L, "task (%s%s%s)", name != NULL ? name : "", name != NULL ? ", " : "", mw_task_done(t) ? "done" : "running");
    return 1;
}

/* a == b: two handles of one task (task.self() makes a new one)                                       [-0, +1, -] */
static int task_eq(lua_State *L) {
    const struct task_box *a = luaL_testudata(L, 1, TASK), *b = luaL_testudata(L, 2, TASK);
    lua_pushboolean(L, a != NULL && b != NULL && a->t == b->t);
    return 1;
}

/* ---- Scopes as a call: scope(f), timeout(t, f), shield(f, { timeout = }) ----------------------------------------------------- */

static mw_scope *check_scope(lua_State *L) {
    return ((struct scope_box *)mw_box_check(L, 1, SCOPE))->s;
}

static int is_cancel(lua_State *L, int idx) {
    struct mw_err err;
    mw_err_from(L, idx, &err);
    return err.code == MW_ECANCELED;
}

static int push_cut(lua_State *L, mw_scope *s, const char *op) { /* nil, err: the scope was ended from inside */
    struct mw_err err;

    lua_pushnil(L);
    if (mw_scope_timed_out(s)) mw_err_set(&err, MW_ETIMEDOUT, op, NULL, NULL);
    else mw_err_set(&err, MW_ECANCELED, op, NULL, NULL);
    mw_err_push(L, &err);
    return 2;
}

static int call_done(lua_State *L, int code, lua_KContext ctx) { /* [box handler results... | error] */
    struct scope_box *box = lua_touserdata(L, 1);
    mw_scope *s = box->s;
    int cut = mw_scope_timed_out(s) && !box->late, status;
    (void)code;

    mw_scope_shut(s);
    if (box->failed && !is_cancel(L, -1)) return lua_error(L);
    if (mw_scope_push_error(L, s)) return lua_error(L); /* a cancel does not hide what went wrong beside it */
    if (box->failed && (!box->own || mw_host_exit_code(mw_host_of(L), &status))) return lua_error(L);
    if (box->waits && mw_scope_was_cut_off(s)) return mw_wait_cancelled(L); /* what its tasks had to say is not there */
    if (box->failed || cut) return push_cut(L, s, (const char *)ctx);
    return lua_gettop(L) - 2;
}
static int call_body(lua_State *L, int status, lua_KContext ctx) {
    struct scope_box *box = lua_touserdata(L, 1);

    box->failed = status != LUA_OK && status != LUA_YIELD;
    box->late = mw_scope_timed_out(box->s);
    box->own = mw_scope_was_cancelled(box->s);
    if (box->failed) mw_scope_cancel(box->s, "the body of its scope failed");
    box->waits = !mw_scope_is_empty(box->s);
    return mw_scope_wait(L, box->s, ctx, call_done);
}
/* Pushes a new scope. A function of its own: its record of an error is no part of the stack while a nested function runs. */
__attribute__((noinline)) static void push_scope(lua_State *L, const struct mw_scope_options *options) {
    struct scope_box *box = mw_box_new(L, sizeof *box, SCOPE);
    struct mw_err err;

    if (mw_scope_open(mw_host_of(L), options, &box->s, &err) < 0) mw_raise(L, &err);
}

/* Stack: f args... ; calls f in a new scope, with the scope as first argument if `pass`. */
static int call_in_scope(lua_State *L, const char *op, const struct mw_scope_options *options, int pass) {
    if (!lua_isfunction(L, 1)) return mw_raise_inval(L, op, "a function is expected, got %s", luaL_typename(L, 1));
    if (!mw_wait_possible(L)) return mw_wait_cancelled(L); /* says why it cannot wait here */
    luaL_checkstack(L, 8, op);
    push_scope(L, options);
    lua_insert(L, 1);                           /* [box f args...] */
    if (pass) {
        lua_pushvalue(L, 1);
        lua_insert(L, 3);                       /* [box f box args...] */
    }
    lua_pushcfunction(L, mw_traceback);
    lua_insert(L, 2);                           /* [box handler f ...] */
    return call_body(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, (lua_KContext)op, call_body), (lua_KContext)op);
}

/* timeout(seconds, f, ...) -> f's results | nil, ETIMEDOUT                                            [-0, +n, y] */
static int task_timeout(lua_State *L) {
    uint64_t ns = mw_param_duration(L, 1, "task.timeout", "the timeout"), now = mw_host_now(mw_host_of(L));
    struct mw_scope_options options = {.deadline = ns >= FOREVER - now ? FOREVER : now + ns};
    lua_remove(L, 1);
    return call_in_scope(L, "task timeout", &options, 0);
}
/* shield(f, { timeout = }) -> f's results | nil, ETIMEDOUT: cancels from outside wait until f is through  [-0, +n, y] */
static int task_shield(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    struct mw_scope_options options = {.shield = 1};
    lua_settop(L, 2);
    mw_opt_open(L, 2, "task.shield", known, 0);
    options.deadline = mw_opt_deadline(L, 2, "task.shield");
    lua_settop(L, 1);
    return call_in_scope(L, "task shield", &options, 0);
}
/* scope(f) -> f(scope)'s results, when all its tasks are done | nil, ECANCELED after scope:cancel();
 * scope() -> scope, to be closed                                                                       [-0, +n, y] */
static int task_scope(lua_State *L) {
    struct mw_scope_options options = {0};

    if (!lua_isnoneornil(L, 1)) return call_in_scope(L, "task scope", &options, 1);
    options.level = 1;
    push_scope(L, &options);
    return 1;
}

/* s:spawn(f, ...) -> task;  s:spawn_with(opts, f, ...) -> task                                          [-0, +1, e] */
static int scope_spawn(lua_State *L) {
    return start(L, check_scope(L), 2, NULL, 0);
}
static int scope_spawn_with(lua_State *L) {
    return spawn_with(L, check_scope(L), 2);
}
/* spawn_in(scope, name, f, ...) -> task: of our own modules, for each message                               [-0, +1, e] */
static int task_spawn_in(lua_State *L) {
    mw_scope *s = check_scope(L);
    return start(L, s, 3, luaL_checkstring(L, 2), 0);
}
/* s:cancel(why): ends its tasks and its body                                                            [-0, +0, e] */
static int scope_cancel(lua_State *L) {
    mw_scope *s = check_scope(L);
    const char *why = lua_isnoneornil(L, 2) ? NULL : mw_param_text(L, 2, "scope.cancel", "the reason", 1024, NULL);
    if (mw_scope_is_open(s)) mw_scope_cancel(s, why);
    return 0;
}

static int close_done(lua_State *L, int code, lua_KContext ctx) { /* [box error|nil] */
    struct scope_box *box = lua_touserdata(L, 1);
    mw_scope *s = box->s;
    (void)code;
    (void)ctx;

    mw_scope_shut(s);
    if (!lua_isnil(L, 2) && !is_cancel(L, 2)) return 0; /* the error on its way goes on */
    if (mw_scope_push_error(L, s)) return lua_error(L);
    if (lua_isnil(L, 2) && box->waits && mw_scope_was_cut_off(s)) return mw_wait_cancelled(L);
    return 0;
}
/* s:close(), and as <close>: waits for its tasks; raises the first error of one                           [-0, +0, y] */
static int scope_close(lua_State *L) {
    mw_scope *s = check_scope(L);
    lua_settop(L, 2);
    if (!mw_scope_is_open(s)) return 0;
    if (mw_scope_owner(s) != mw_task_current(mw_host_of(L))) return mw_raise_inval(L, "scope.close", "only the task that opened a scope can close it");
    if (!lua_isnil(L, 2)) mw_scope_cancel(s, "the body of its scope failed");
    ((struct scope_box *)lua_touserdata(L, 1))->waits = !mw_scope_is_empty(s);
    if (!mw_scope_is_empty(s) && !mw_wait_possible(L)) { /* its tasks are cancelled; nobody waits for them */
        mw_scope_shut(s);
        return mw_host_closing(mw_host_of(L)) || !lua_isnil(L, 2) ? 0 : mw_wait_cancelled(L); /* says why it cannot wait here */
    }
    return mw_scope_wait(L, s, 0, close_done);
}
static int scope_gc(lua_State *L) {
    struct scope_box *box = luaL_checkudata(L, 1, SCOPE);
    mw_scope *s = box->s;

    box->s = NULL;
    if (s == NULL) return 0;
    if (mw_scope_is_open(s)) mw_box_warn(L, 1, "scope");
    mw_scope_collected(s);
    return 0;
}

/* ---- Waiting -------------------------------------------------------------------------------------------------------------- */

static int woken(lua_State *L, int code, lua_KContext ctx) {
    (void)ctx;
    lua_pushboolean(L, code == 0);
    return 1;
}
static int nothing(lua_State *L, int code, lua_KContext ctx) {
    (void)L;
    (void)code;
    (void)ctx;
    return 0;
}
/* sleep(seconds)                                                                                          [-0, +0, y] */
static int task_sleep(lua_State *L) {
    uint64_t ns = mw_param_duration(L, 1, "task.sleep", "the time"), now = mw_host_now(mw_host_of(L));
    return mw_wait_yield(L, NULL, ns >= FOREVER - now ? FOREVER : now + ns, 0, nothing);
}
/* wait(): until cancelled                                                                                 [-0, +0, y] */
static int task_wait(lua_State *L) {
    return mw_wait_yield(L, NULL, FOREVER, 0, nothing);
}
/* pass(): lets the other ready tasks run                                                                  [-0, +0, y] */
static int task_pass(lua_State *L) {
    return mw_wait_pass(L, 0, nothing);
}
/* self() -> task or nil                                                                                   [-0, +1, m] */
static int task_self(lua_State *L) {
    mw_task *t = mw_task_current(mw_host_of(L));
    struct task_box *box;
    if (t == NULL) return 0;
    box = mw_box_plain(L, sizeof *box, TASK);
    box->t = mw_task_hold(t);
    return 1;
}

/* now() -> monotonic seconds                                                                              [-0, +1, -] */
static int task_now(lua_State *L) {
    lua_pushnumber(L, (lua_Number)mw_host_now(mw_host_of(L)) / 1e9);
    return 1;
}

/* cond() -> a condition: what channels, semaphores and events are made of                                 [-0, +1, m] */
static int cond_new(lua_State *L) {
    struct cond_box *box = mw_box_plain(L, sizeof *box, COND);
    mw_wait_init(&box->wait);
    return 1;
}
static struct mw_wait *check_cond(lua_State *L) {
    return &((struct cond_box *)mw_box_check(L, 1, COND))->wait;
}
/* c:wait(seconds?) -> true when woken, false when the time is up                                          [-0, +1, y] */
static int cond_wait(lua_State *L) {
    struct mw_wait *w = check_cond(L);
    uint64_t deadline = MW_NEVER;
    if (!lua_isnoneornil(L, 2)) {
        uint64_t ns = mw_param_duration(L, 2, "wait", "the timeout"), now = mw_host_now(mw_host_of(L));
        deadline = ns >= FOREVER - now ? FOREVER : now + ns;
    }
    return mw_wait_yield(L, w, deadline, 0, woken);
}
/* c:wake() all; c:wake_one() -> boolean                                                                   [-0, +0|1, -] */
static int cond_wake(lua_State *L) {
    mw_wait_wake(check_cond(L));
    return 0;
}
static int cond_wake_one(lua_State *L) {
    lua_pushboolean(L, mw_wait_wake_one(check_cond(L)));
    return 1;
}
static int cond_gc(lua_State *L) {
    struct cond_box *box = luaL_checkudata(L, 1, COND);
    if (box->wait.parked.next != NULL) mw_wait_wake(&box->wait); /* NULL: there was no memory left to make it */
    return 0;
}

static void add_live(void *ud, mw_task *t, const char *name, const char *state) {
    lua_State *L = ud;
    (void)t;
    lua_createtable(L, 0, 2);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, state);
    lua_setfield(L, -2, "state");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}
/* list() -> { { name =, state = }, ... }: every live task                                                 [-0, +1, m] */
static int task_list(lua_State *L) {
    lua_newtable(L);
    mw_task_each(mw_host_of(L), add_live, L);
    return 1;
}

static void put(lua_State *L, const char *key, const char *text) {
    if (text == NULL || *text == 0) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}
static void add_look(void *ud, mw_task *t, const char *name, const char *state) {
    lua_State *L = ud;
    struct mw_task_look look;
    (void)name;
    (void)state;

    mw_task_look(t, &look);
    lua_createtable(L, 0, 9);
    lua_pushinteger(L, look.number);
    lua_setfield(L, -2, "number");
    put(L, "name", look.name);
    put(L, "state", look.state);
    put(L, "what", look.what);
    put(L, "where", look.where);
    put(L, "base", look.base);
    lua_pushboolean(L, look.daemon);
    lua_setfield(L, -2, "daemon");
    lua_pushboolean(L, look.cancelled);
    lua_setfield(L, -2, "cancelled");
    lua_pushnumber(L, (lua_Number)look.ms / 1e3);
    lua_setfield(L, -2, "seconds");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}
/* census() -> what every live task is about                                                               [-0, +1, m] */
static int task_census(lua_State *L) {
    lua_newtable(L);
    mw_task_each(mw_host_of(L), add_look, L);
    return 1;
}
/* cancel_number(n, why) -> boolean                                                                        [-0, +1, e] */
static int task_cancel_number(lua_State *L) {
    unsigned number = (unsigned)mw_param_integer(L, 1, "task.cancel_number", "the number", 0, UINT32_MAX);
    const char *why = mw_param_text(L, 2, "task.cancel_number", "the reason", 1024, NULL);
    mw_task *t = mw_task_find(mw_host_of(L), number);

    if (t != NULL) mw_task_cancel(t, why);
    lua_pushboolean(L, t != NULL);
    return 1;
}
/* number() -> that of the task which runs                                                                 [-0, +1, -] */
static int task_number(lua_State *L) {
    const mw_task *t = mw_task_current(mw_host_of(L));

    lua_pushinteger(L, t != NULL ? (lua_Integer)mw_task_number(t) : 0);
    return 1;
}
/* supervised(f) -> scope, to be closed, whose tasks' errors go to f(number, name, err, traceback)          [-0, +1, e] */
static int task_supervised(lua_State *L) {
    struct mw_scope_options options = {.level = 1};
    struct scope_box *box;
    struct mw_err err;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    box = mw_box_new(L, sizeof *box, SCOPE);
    if (mw_scope_open(mw_host_of(L), &options, &box->s, &err) < 0) return mw_raise(L, &err);
    lua_pushvalue(L, 1);
    mw_scope_supervise(box->s, L);
    return 1;
}

int mw_door_task(lua_State *L) {
    static const luaL_Reg task_methods[] = {{"join", task_join}, {"cancel", task_cancel}, {"done", task_done}, {"name", task_name}, {NULL, NULL}};
    static const luaL_Reg task_meta[] = {{"__gc", task_gc}, {"__eq", task_eq}, {"__tostring", task_tostring}, {NULL, NULL}};
    static const luaL_Reg scope_methods[] = {{"spawn", scope_spawn}, {"spawn_with", scope_spawn_with}, {"cancel", scope_cancel}, {"close", scope_close}, {NULL, NULL}};
    static const luaL_Reg scope_meta[] = {{"__gc", scope_gc}, {"__close", scope_close}, {NULL, NULL}};
    static const luaL_Reg cond_methods[] = {{"wait", cond_wait}, {"wake", cond_wake}, {"wake_one", cond_wake_one}, {NULL, NULL}};
    static const luaL_Reg cond_meta[] = {{"__gc", cond_gc}, {NULL, NULL}};
    static const luaL_Reg fns[] = {{"spawn", task_spawn}, {"spawn_with", task_spawn_with}, {"spawn_in", task_spawn_in}, {"background", task_background}, {"timeout", task_timeout}, {"shield", task_shield}, {"scope", task_scope},
                                   {"sleep", task_sleep}, {"wait", task_wait}, {"pass", task_pass}, {"self", task_self}, {"now", task_now}, {"cond", cond_new}, {"list", task_list},
                                   {"census", task_census}, {"cancel_number", task_cancel_number}, {"number", task_number}, {"supervised", task_supervised}, {"hurry", task_hurry}, {NULL, NULL}};
    mw_type_new(L, TASK, task_methods, task_meta);
    mw_type_new(L, SCOPE, scope_methods, scope_meta);
    mw_type_new(L, COND, cond_methods, cond_meta);
    luaL_newlib(L, fns);
    return 1;
}
