/* Rules of uv's threads, its work for the thread pool, and its asyncs: for those who have all rights.
 * Knows: bind/uv.h, luv.h. Never: lets what goes wrong in a thread end the process; hands a thread more than luv has room for.
 *
 * A thread has a Lua state of its own with all of Lua's libraries and luv itself, and stands outside the host: no rights, no
 * limits, no tasks. luv reads the thread's object from within the thread, so it is kept until the thread has ended. */
#include <errno.h>
#include <luv/luv.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/thread.h"
#include "bind/uv.h"
#include "core/wait.h"
#include "core/work.h"

#define VALUES_MAX 9             /* that go to another thread; luv's own bound, which it does not look at */
#define STACK_MAX ((lua_Integer)1 << 30)
#define LEAVE_S 5                /* how long the end of a state waits for threads that nobody joined */

static const char threads_key;   /* registry: thread -> true, until it is joined */

/* ---- The state of a thread ---------------------------------------------------------------------------------------------------- */

/* luv's way to call a function in a thread's state: in place of luv's own, which ends the process. [function args...] -> [results...] */
static int call_there(lua_State *L, int nargs, int nresults, int flags) {
    int base = lua_gettop(L) - nargs, rc;

    (void)flags;
    lua_getglobal(L, "debug");
    if (lua_istable(L, -1)) lua_getfield(L, -1, "traceback");
    else lua_pushnil(L);
    lua_remove(L, -2);
    lua_insert(L, base);                                               /* [traceback function args...] */
    rc = lua_pcall(L, nargs, nresults, lua_isfunction(L, base) ? base : 0);
    lua_remove(L, base);
    if (rc == LUA_OK) return lua_gettop(L) - base + 1;
    fprintf(stderr, "Uncaught Error in thread: %s\n", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
    return -rc;
}

static int call_c_there(lua_State *L, lua_CFunction fn, void *ud, int flags) {
    int rc;

    (void)flags;
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, ud);
    rc = lua_pcall(L, 1, 0, 0);
    if (rc == LUA_OK) return 0;
    fprintf(stderr, "Uncaught Error in thread: %s\n", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
    return -rc;
}

static lua_State *acquire(void) {
    lua_State *L = luaL_newstate();

    if (L == NULL) return NULL;
    luaL_openlibs(L);
    luv_set_callback(L, call_there);
    luv_set_thread(L, call_there);
    luv_set_cthread(L, call_c_there);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushcfunction(L, luaopen_luv);
    lua_call(L, 0, 1);                                                 /* [loaded luv] */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "luv");
    lua_setfield(L, -2, "uv");
    lua_pop(L, 1);
    return L;
}

static void release(lua_State *L) {
    lua_close(L);
}

void mw_uv_threads_open(void) {
    luv_set_thread_cb(acquire, release); /* luv keeps them for the process: every state sets the same */
}

/* ---- What goes there ------------------------------------------------------------------------------------------------------------ */

/* The values from `first` to the top are few, and of kinds that can go. */
static void check_values(lua_State *L, int first, const char *op) {
    int top = lua_gettop(L);

    if (top - first + 1 > VALUES_MAX) mw_raise_inval(L, op, "at most %d values go to another thread, got %d", VALUES_MAX, top - first + 1);
    for (int i = first; i <= top; i++) {
        int type = lua_type(L, i);

        if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING) continue;
        if (type == LUA_TUSERDATA && !mw_uv_is_process(L, i)) {
            mw_uv_handle(L, i, op, UV_KIND(ASYNC));
            continue;
        }
        mw_raise_inval(L, op, "argument %d: nil, a boolean, a number, a string or a uv_async_t expected, got %s", i, luaL_typename(L, i));
    }
}

/* The function at idx, or its text. */
static void check_code(lua_State *L, int idx, const char *op) {
    if (lua_type(L, idx) == LUA_TSTRING || (lua_isfunction(L, idx) && !lua_iscfunction(L, idx))) return;
    mw_raise_inval(L, op, "argument %d: a Lua function or its code expected, got %s", idx, lua_iscfunction(L, idx) ? "a C function" : luaL_typename(L, idx));
}

/* ---- Threads -------------------------------------------------------------------------------------------------------------------- */

static void push_threads(lua_State *L) {
    luaL_checkstack(L, 4, "uv");
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &threads_key) != LUA_TNIL) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
}

int mw_uv_new_thread(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int at = lua_istable(L, 1) ? 2 : 1, n;

    (void)d;
    check_code(L, at, r->name);
    check_values(L, at + 1, r->name);
    if (at == 2) {                                                     /* { stack_size }: a copy, read raw */
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "stack_size");
        if (lua_rawget(L, 1) != LUA_TNIL) mw_param_integer(L, -1, r->name, "stack_size", 0, STACK_MAX);
        lua_setfield(L, -2, "stack_size");
        lua_replace(L, 1);
    }
    push_threads(L);
    lua_insert(L, 1);                                                  /* [threads args...]: luv wants them first */
    lua_pushcfunction(L, raw);
    lua_insert(L, 2);
    lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);                       /* [threads results...] */
    n = lua_gettop(L) - 1;
    if (n < 1 || luaL_testudata(L, 2, "uv_thread") == NULL) return n;
    lua_pushvalue(L, 2);
    lua_pushboolean(L, 1);
    lua_rawset(L, 1);
    return n;
}

/* Holds up the loop as luv's does, but not an interrupt. Joined twice, it would wait for whoever has the number now. */
int mw_uv_thread_join(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    const uv_thread_t *it;
    struct timespec until;
    int rc;

    (void)raw;
    lua_settop(L, 1);
    it = luaL_testudata(L, 1, "uv_thread");
    if (it == NULL) return mw_raise_inval(L, r->name, "argument 1: a uv_thread_t expected, got %s", luaL_typename(L, 1));
    push_threads(L);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) == LUA_TNIL) return mw_raise_inval(L, r->name, "the thread was joined before, or is not one that uv.new_thread gave");
    do {
        if (mw_host_ending(d->host)) return mw_wait_cancelled(L);
        mw_thread_until(&until, MW_UV_HELD_MS);
        rc = mw_thread_join(*it, &until);
    } while (rc == ETIMEDOUT);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    lua_rawset(L, 2);
    if (rc != 0) return mw_uv_fail(L, -rc);
    lua_pushboolean(L, 1);
    return 1;
}

static int equal(lua_State *L) {
    const uv_thread_t *a = luaL_testudata(L, 1, "uv_thread"), *b = luaL_testudata(L, 2, "uv_thread");

    return a != NULL && b != NULL && uv_thread_equal(a, b); /* the thread is what luv's object begins with */
}

int mw_uv_threads_equal(lua_State *L) {
    lua_pushboolean(L, equal(L));
    return 1;
}

int mw_uv_thread_equal(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    (void)raw;
    for (int i = 1; i <= 2; i++) {
        if (luaL_testudata(L, i, "uv_thread") == NULL) return mw_raise_inval(L, r->name, "argument %d: a uv_thread_t expected, got %s", i, luaL_typename(L, i));
    }
    return mw_uv_threads_equal(L);
}

void mw_uv_threads_shut(lua_State *L, struct uv_door *d) {
    struct timespec until;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &threads_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        return;
    }
    mw_thread_until(&until, LEAVE_S * 1000);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const uv_thread_t *it = lua_touserdata(L, -2);

        if (mw_thread_join(*it, &until) == 0) continue;
        mw_host_keep_state(d->host); /* luv's object of the thread lies in it */
        mw_host_log(d->host, 3, "uv.new_thread: a thread that nobody joined still runs %d s after the end: it is left behind", LEAVE_S);
    }
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
}

/* ---- Work ----------------------------------------------------------------------------------------------------------------------- */

int mw_uv_new_work(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    check_code(L, 1, r->name);
    mw_uv_callback(L, 2, r->name, 0);
    lua_settop(L, 2);
    mw_uv_push_from_pool(L);                                           /* [code after]; counted when it is queued */
    return raw(L);
}

int mw_uv_queue_work(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int n, rc;

    if (luaL_testudata(L, 1, "luv_work_ctx") == NULL) return mw_raise_inval(L, r->name, "argument 1: what uv.new_work gave expected, got %s", luaL_typename(L, 1));
    check_values(L, 2, r->name);
    rc = mw_work_prepare(d->host);
    if (rc < 0) return mw_uv_fail(L, rc);
    n = raw(L);
    if (n > 0 && !lua_isnil(L, -n)) mw_host_lend_work(d->host, 1);
    return n;
}

/* ---- Asyncs --------------------------------------------------------------------------------------------------------------------- */

int mw_uv_new_async(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    mw_uv_room(L, d, r->name);
    mw_uv_callback(L, 1, r->name, 0);
    lua_settop(L, 1);
    return mw_uv_made(L, d, raw(L));
}

int mw_uv_async_send(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    check_values(L, 2, r->name);
    return raw(L);
}
