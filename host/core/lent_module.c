/* A host in a Lua state that was there before it, and is somebody else's: how it is found, run again and again, and left.
 * Knows: core, lua.h; only in the module for plain Lua (MW_MODULE). Never: the extra space of a coroutine (its owner's, and what
 * stands in it is unknown); the state's memory, collector or end.
 *
 * Coroutines made before the host came are as good as any: so it is found by the registry alone, and what core must know of a
 * coroutine stands in a weak table there. */
#include <lauxlib.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "core/inside.h"
#include "core/weak.h"

static const char host_key, bits_key; /* registry: the host; coroutine -> its bits */

/* ---- Finding the host ----------------------------------------------------------------------------------------------------- */

mw_host *mw_host_of(lua_State *L) {
    mw_host *h;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &host_key);
    h = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (h == NULL) luaL_error(L, "moonwire: the Lua state is being closed");
    if (h->orphan) luaL_error(L, "moonwire: this process is a fork of the one that it works in");
    return h;
}
struct mw_host_head *mw_host_head(lua_State *L) {
    return &mw_host_of(L)->head;
}

mw_host *mw_host_lookup(lua_State *L) {
    mw_host *h;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &host_key);
    h = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return h;
}

void mw_host_introduce(lua_State *L, mw_host *h) {
    mw_weak_push(L, "k");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &bits_key);
    lua_pushlightuserdata(L, h);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &host_key);
}

void mw_host_farewell(lua_State *L) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &host_key);
}

/* ---- Coroutines ----------------------------------------------------------------------------------------------------------- */

/* Two slots of its stack beyond what it uses, which Lua always has in reserve. */
uintptr_t mw_co_bits(lua_State *co) {
    uintptr_t bits;

    lua_rawgetp(co, LUA_REGISTRYINDEX, &bits_key);
    lua_pushthread(co);
    lua_rawget(co, -2);
    bits = (uintptr_t)lua_tointeger(co, -1);
    lua_pop(co, 2);
    return bits;
}

void mw_co_mark(lua_State *L, lua_State *co, uintptr_t bit, int on) {
    uintptr_t bits = mw_co_bits(co);

    luaL_checkstack(L, 3, "coroutine");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &bits_key);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    lua_pushinteger(L, (lua_Integer)(on ? bits | bit : bits & ~bit));
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* ---- Running -------------------------------------------------------------------------------------------------------------- */

void mw_host_stand_on(mw_host *h, lua_State *L) {
    h->L = L;
}

void mw_host_again(mw_host *h) {
    mw_scope *root = h->root;

    free(root->why);
    root->why = NULL;
    root->cancelled = CANCEL_NONE;
    h->exiting = h->exit_code = h->leaves = 0;
    h->grace_at = 0;
    h->failures = 0;
    h->apart_strikes = h->callback_strikes = 0;
    atomic_store(&h->interrupt_why, NULL);
    atomic_store(&h->interrupted, 0);
    atomic_store(&h->stop_lua, 0);
    atomic_store(&h->overdue, 0);
    atomic_store(&h->breaking, 0);
}

const char *mw_host_interrupt_why(mw_host *h) {
    return atomic_load(&h->interrupted) != 0 ? atomic_load(&h->interrupt_why) : NULL;
}

void mw_host_clear(mw_host *h) {
    if (mw_list_empty(&h->tasks)) return;
    h->closing = 1; /* from here nothing can wait */
    while (!mw_list_empty(&h->tasks)) mw_task_kill(MW_LIST_ENTRY(h->tasks.next, mw_task, all));
    h->closing = 0;
}

/* ---- A fork --------------------------------------------------------------------------------------------------------------- */

void mw_host_orphan(mw_host *h) {
#ifdef __linux__
    int mine = epoll_create1(EPOLL_CLOEXEC);

    if (mine >= 0) { /* the parent's is shared: what is closed here must not be taken from it */
        dup3(mine, uv_backend_fd(h->loop), O_CLOEXEC);
        close(mine);
    }
#endif
    h->orphan = 1;
}
int mw_host_is_orphan(const mw_host *h) {
    return h->orphan;
}
