/* The module for plain Lua: `require "moonwire"` in a state that is not ours, and mw.main, which turns the loop.
 * Knows: the assembly, core, bind/doors, lua.h, sigaction(2).
 * Never: closes the Lua state; keeps a signal's handler beyond a run.
 *
 * Everything is allowed: nobody is there who could grant anything, and the script could do as much by Lua's own means. The host ends with
 * the state, by two finalizers: the one made last (after every run anew) is called before those of what scripts have opened, and
 * closes all that is open; the one made first is called after them, and frees the host. */
#include <dlfcn.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "bind/doors.h"
#include "bind/embed.h"
#include "core/host.h"
#include "core/raise.h"
#include "core/task.h"
#include "moonwire_in.h"

#ifndef MW_PROGRAM
#define MW_PROGRAM "/usr/bin/moonwire"
#endif
#define GRACE_MS 5000u          /* of cleanup, when the state is closed */
#define RUNS_MAX 16             /* threads of one process that take signals in a run; more run without */
#define LEAVES "mw.leaves"
#define FREES "mw.frees"
#define RUN "mw.run"

int luaopen_moonwire(lua_State *L);

static const char leaves_key, exit_key; /* registry: the last finalizer that leaves; Lua's own os.exit */

/* ---- Hosts that a fork must not touch ------------------------------------------------------------------------------------- */

struct guest {
    struct mw_list link;
    mw_host *host;
};
static struct {
    pthread_mutex_t lock;           /* held while the list, or who takes signals, changes */
    pthread_once_t once;
    struct mw_list all;
} guests = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_ONCE_INIT, {&guests.all, &guests.all}};

/* ---- Signals -------------------------------------------------------------------------------------------------------------- */

/* A run that takes signals, and the thread that it is on. A handler has nothing else to find its host by. */
struct run {
    _Atomic(mw_host *) host;
    pthread_t thread;
    atomic_int seen;
};
static struct run runs[RUNS_MAX];
static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
#define SIGNALS (sizeof signals / sizeof *signals)
static struct {
    struct sigaction was[SIGNALS];
    int ours[SIGNALS];
    unsigned users;
} handlers;

/* The first asks, the second ends. */
static void act(struct run *r, int number) {
    mw_host *h = atomic_load(&r->host);

    if (atomic_fetch_add(&r->seen, 1) == 0) {
        mw_host_interrupt_at(h, 128 + number, number == SIGINT ? "interrupted" : number == SIGTERM ? "terminated" : "hung up");
        return;
    }
    mw_host_kill_children(h);
    signal(number, SIG_DFL);
    raise(number); /* held back until this handler returns */
}

/* Each run is asked on its own thread: nobody else may touch its Lua state. */
static void on_signal(int number, siginfo_t *info, void *context) {
    int saved = errno, passed_on = info->si_code == SI_TKILL && info->si_pid == getpid(), here = 0, any = 0;
    pthread_t self = pthread_self();
    (void)context;

    for (size_t i = 0; i < RUNS_MAX; i++) {
        if (atomic_load(&runs[i].host) == NULL) continue;
        any = 1;
        if (pthread_equal(runs[i].thread, self)) {
            here = 1;
            act(&runs[i], number);
        }
    }
    for (size_t i = 0; i < RUNS_MAX && !(passed_on && here); i++)
        if (atomic_load(&runs[i].host) != NULL && !pthread_equal(runs[i].thread, self)) pthread_kill(runs[i].thread, number);
    for (size_t i = 0; i < SIGNALS && !any; i++) { /* put back by somebody who had found it here: it is the turn of what stood before */
        if (signals[i] != number) continue;
        sigaction(number, &handlers.was[i], NULL);
        raise(number);
    }
    errno = saved;
}

static void take_signals(void) {
    struct sigaction mine;

    memset(&mine, 0, sizeof mine);
    mine.sa_sigaction = on_signal;
    mine.sa_flags = SA_RESTART | SA_SIGINFO;
    for (size_t i = 0; i < SIGNALS; i++) sigaddset(&mine.sa_mask, signals[i]);
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction *was = &handlers.was[i];
        handlers.ours[i] = sigaction(signals[i], NULL, was) == 0 && was->sa_handler != SIG_IGN &&
                           (signals[i] == SIGINT || was->sa_handler == SIG_DFL); /* lua's own for Ctrl-C stops no task */
        if (handlers.ours[i]) sigaction(signals[i], &mine, NULL);
    }
}
static void give_signals_back(void) {
    struct sigaction now;

    for (size_t i = 0; i < SIGNALS; i++)
        if (handlers.ours[i] && sigaction(signals[i], NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_signal)
            sigaction(signals[i], &handlers.was[i], NULL);
}

static void before_fork(void) {
    pthread_mutex_lock(&guests.lock);
}
static void after_fork(void) {
    pthread_mutex_unlock(&guests.lock);
}
static void in_fork(void) {
    for (struct mw_list *at = guests.all.next; at != &guests.all; at = at->next)
        mw_host_orphan(MW_LIST_ENTRY(at, struct guest, link)->host);
    for (size_t i = 0; i < RUNS_MAX; i++) atomic_store(&runs[i].host, NULL);
    if (handlers.users > 0) give_signals_back(); /* a signal to it must not end the children of the other */
    handlers.users = 0;
    pthread_mutex_unlock(&guests.lock);
}
static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, in_fork);
}

static struct run *enter(mw_host *h) {
    struct run *r = NULL;

    pthread_mutex_lock(&guests.lock);
    for (size_t i = 0; i < RUNS_MAX && r == NULL; i++)
        if (atomic_load(&runs[i].host) == NULL) r = &runs[i];
    if (r != NULL) {
        r->thread = pthread_self();
        atomic_store(&r->seen, 0);
        atomic_store(&r->host, h);
        if (handlers.users++ == 0) take_signals();
    }
    pthread_mutex_unlock(&guests.lock);
    return r;
}
static void leave(struct run *r) {
    if (r == NULL) return;
    pthread_mutex_lock(&guests.lock);
    if (handlers.users > 0 && --handlers.users == 0) give_signals_back(); /* 0: in a fork */
    atomic_store(&r->host, NULL);
    pthread_mutex_unlock(&guests.lock);
}

/* ---- The end -------------------------------------------------------------------------------------------------------------- */

static int leaves_gc(lua_State *L) { /* when the state is closed, if it is the last of its kind */
    mw_host *h = mw_host_lookup(L);

    if (h == NULL || mw_host_is_orphan(h)) return 0;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &leaves_key);
    if (!lua_rawequal(L, 1, -1)) return 0;
    for (size_t i = 0; i < RUNS_MAX; i++) /* os.exit inside a run */
        if (atomic_load(&runs[i].host) == h) leave(&runs[i]);
    mw_host_stand_on(h, L);
    mw_host_leave(h, GRACE_MS);
    return 0;
}
static void make_leaves(lua_State *L) {
    lua_newuserdatauv(L, 0, 0);
    luaL_setmetatable(L, LEAVES);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &leaves_key);
}

static int frees_gc(lua_State *L) {
    struct guest *it = lua_touserdata(L, 1);
    mw_host *h = it->host;

    if (h == NULL || mw_host_is_orphan(h)) return 0;
    it->host = NULL;
    pthread_mutex_lock(&guests.lock);
    mw_list_remove(&it->link);
    pthread_mutex_unlock(&guests.lock);
    mw_host_stand_on(h, L);
    mw_host_leave(h, GRACE_MS);
    mw_host_farewell(L);
    mw_host_free(h);
    return 0;
}

/* ---- mw.main -------------------------------------------------------------------------------------------------------------- */

struct run_box {
    mw_task *task;
};
static int run_gc(lua_State *L) {
    struct run_box *box = lua_touserdata(L, 1);

    if (mw_host_lookup(L) != NULL && !mw_host_is_orphan(mw_host_lookup(L))) mw_task_release(box->task);
    box->task = NULL;
    return 0;
}

/* Does something catch what is raised here? Then it gets the error as it is; otherwise the last who hears of it is a handler that
 * sees this coroutine's stack only, and not the task's. */
static int is_caught(lua_State *L) {
    lua_Debug ar;
    int caught = !lua_pushthread(L);

    lua_pop(L, 1);
    for (int level = 0; !caught && lua_getstack(L, level, &ar); level++) {
        lua_CFunction f;
        lua_getinfo(L, "f", &ar);
        f = lua_tocfunction(L, -1);
        lua_pop(L, 1);
        if (f == NULL) continue;
        lua_getglobal(L, "pcall");
        lua_getglobal(L, "xpcall");
        caught = f == lua_tocfunction(L, -1) || f == lua_tocfunction(L, -2);
        lua_pop(L, 2);
    }
    return caught;
}

static int raise_of(lua_State *L) { /* error value */
    mw_traceback_of(L, -1);                                     /* [value text] */
    if (lua_type(L, -2) == LUA_TSTRING && *lua_tostring(L, -1) != 0 && !is_caught(L)) {
        lua_pushfstring(L, "%s\n%s", lua_tostring(L, -2), lua_tostring(L, -1));
        return lua_error(L);
    }
    lua_pop(L, 1);
    return lua_error(L);
}

static int exit_with(lua_State *L, int code) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &exit_key);
    lua_pushinteger(L, code);
    lua_pushboolean(L, 1);
    lua_call(L, 2, 0);
    return luaL_error(L, "mw.exit: os.exit came back"); /* somebody has put another in its place */
}

/* The run is over: what it means to whoever called mw.main. */
static int outcome(lua_State *L, mw_host *h, mw_task *t) {
    const char *why = mw_host_interrupt_why(h);
    int code, failed, n;

    if (why != NULL) {
        struct mw_err err;
        mw_err_set(&err, MW_ECANCELED, "main", NULL, why);
        return mw_raise(L, &err);
    }
    if (mw_host_exit_code(h, &code)) return exit_with(L, code);
    n = mw_task_push_results(L, t, &failed);
    if (!failed) return n;
    if (n == 0) return luaL_error(L, "not enough memory");
    return raise_of(L);
}

/* main(fn, ...) -> what fn returns; raises what it raises                                                      [-0, +n, e] */
static int module_main(lua_State *L) {
    mw_host *h = mw_host_of(L);
    lua_State *stood = mw_host_state(h);
    struct run_box *box;
    struct mw_err err;
    struct run *r;

    if (!lua_isfunction(L, 1)) return mw_raise_inval(L, "main", "a function is expected, got %s", luaL_typename(L, 1));
    if (mw_host_in_turn(h) || mw_task_current(h) != NULL)
        return mw_raise_inval(L, "main", "it is running already, and not to be called inside itself: mw.task.spawn starts another task");
    luaL_checkstack(L, 40, "main");
    box = lua_newuserdatauv(L, sizeof *box, 0);
    box->task = NULL;
    luaL_setmetatable(L, RUN);
    lua_insert(L, 1);                                           /* [box fn args...] */
    mw_host_again(h);
    mw_module_push(L, "moonwire.main");
    lua_insert(L, 2);                                           /* [box main fn args...] */
    if (mw_task_start(mw_host_root(h), L, lua_gettop(L) - 2, "main", 0, &box->task, &err) < 0) return mw_raise(L, &err);
    mw_task_hold(box->task);
    mw_task_answers(box->task);
    mw_host_stand_on(h, L);
    r = enter(h);
    mw_host_loop_run(h);
    mw_host_clear(h);
    leave(r);
    mw_host_stand_on(h, stood);
    make_leaves(L);
    return outcome(L, h, box->task);
}

/* ---- Opening -------------------------------------------------------------------------------------------------------------- */

/* The program that runs script children: beside us in a build tree, below our prefix, or where it was to be installed. */
static void find_program(char out[PATH_MAX]) {
    static const char *const near[] = {"../moonwire", "../../../bin/moonwire", "../../../../bin/moonwire"};
    Dl_info self;
    struct stat st;
    const char *slash = NULL;

    if (dladdr(&leaves_key, &self) != 0 && self.dli_fname != NULL) slash = strrchr(self.dli_fname, '/');
    for (size_t i = 0; slash != NULL && i < sizeof near / sizeof *near; i++) {
        int n = snprintf(out, PATH_MAX, "%.*s/%s", (int)(slash - self.dli_fname), self.dli_fname, near[i]);
        if (n < PATH_MAX && stat(out, &st) == 0 && S_ISREG(st.st_mode) && access(out, X_OK) == 0) return;
    }
    snprintf(out, PATH_MAX, "%s", MW_PROGRAM);
}

/* The script that lua runs, as it says itself. Pushes it; NULL: none. */
static const char *push_script(lua_State *L) {
    if (lua_getglobal(L, "arg") == LUA_TTABLE) {
        lua_pushinteger(L, 0);
        lua_rawget(L, -2);
        if (lua_type(L, -1) == LUA_TSTRING) return lua_tostring(L, -1);
    }
    lua_pushnil(L);
    return NULL;
}

static int make_host(lua_State *L, mw_host **out, struct mw_err *err) {
    char program[PATH_MAX];
    struct mw_config cfg;
    int rc;

    mw_config_init(&cfg);
    cfg.signals = 1;
    cfg.preempt = MW_PREEMPT_NONE;
    cfg.no_script_modules = 1;
    cfg.script_path = push_script(L);
    find_program(program);
    cfg.program = program;
    rc = mw_policy_new(&cfg.policy, err);
    if (rc == 0) rc = mw_policy_add_all(cfg.policy, err);
    if (rc == 0) rc = mw_host_new_in(L, &cfg, out, err);
    mw_policy_free(cfg.policy);
    return rc;
}

static void type(lua_State *L, const char *name, lua_CFunction gc) {
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

static int load_part(lua_State *L) { /* require "moonwire.json" */
    mw_module_push(L, lua_tostring(L, lua_upvalueindex(1)));
    return 1;
}
static void preload_parts(lua_State *L) {
    size_t count;
    const struct mw_embedded *all = mw_embedded_all(&count);

    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (size_t i = 0; i < count; i++) {
        if (!mw_module_public(all[i].name)) continue;
        lua_pushstring(L, all[i].name);
        lua_pushcclosure(L, load_part, 1);
        lua_setfield(L, -2, all[i].name);
    }
    lua_pop(L, 1);
}

static void keep_exit(lua_State *L) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, LUA_OSLIBNAME) == LUA_TTABLE) lua_getfield(L, -1, "exit");
    else lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &exit_key);
    lua_pop(L, 2);
}

static int open_host(lua_State *L) {
    struct guest *it;
    struct mw_err err;

    type(L, LEAVES, leaves_gc);
    type(L, FREES, frees_gc);
    type(L, RUN, run_gc);
    it = lua_newuserdatauv(L, sizeof *it, 0);                   /* the first of all that is ours */
    it->host = NULL;
    luaL_setmetatable(L, FREES);
    luaL_ref(L, LUA_REGISTRYINDEX);
    if (make_host(L, &it->host, &err) < 0) {
        mw_host_farewell(L);
        return luaL_error(L, "%s", err.message);
    }
    pthread_once(&guests.once, watch_forks);
    pthread_mutex_lock(&guests.lock);
    mw_list_add(&guests.all, &it->link);
    pthread_mutex_unlock(&guests.lock);
    mw_coroutine_amend(L, luaopen_coroutine);
    keep_exit(L);
    preload_parts(L);
    make_leaves(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    mw_host_stand_on(it->host, lua_tothread(L, -1));
    mw_module_push(L, "moonwire");
    lua_pushliteral(L, "main");
    lua_pushcfunction(L, module_main);
    lua_rawset(L, -3);
    return 1;
}

int luaopen_moonwire(lua_State *L) {
    if (luaL_checkversion_ == NULL) return luaL_error(L, "moonwire needs Lua 5.4: this is another one"); /* older, or LuaJIT */
    luaL_checkversion(L);
    luaL_checkstack(L, 40, "moonwire");
    if (mw_host_lookup(L) == NULL) return open_host(L);
    mw_host_of(L); /* says what it is, in a fork */
    mw_module_push(L, "moonwire");
    return 1;
}
