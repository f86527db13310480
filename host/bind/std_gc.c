/* setmetatable, and finalizers of scripts (__gc): called where they can be stopped, and where nobody is in the middle of something.
 * Knows: core/hook, core/host, lua.h. Never: lets Lua call a script's finalizer by itself: it does so with hooks off, and what then
 * never comes back can be stopped by nobody; lets one run inside a C function, or a module of ours, that made Lua collect.
 *
 * A table whose metatable has a __gc gets a guard instead of Lua's mark: a userdata of ours that refers to the table, and that
 * the table keeps alive as its key in a weak table. Both become garbage together; the guard's own finalizer, in C, then has
 * the table in its hands, as Lua's would have had it, and calls its __gc as ordinary code.
 *
 * Lua collects wherever something is allocated: when a file's line is pushed, a finalizer could close the file before the line is
 * taken from its buffer. So it runs at once only between two instructions of the script's own; else it is put off until the script
 * goes on, its task rests, or the script makes another such table; and so are boxes of ours that become garbage after it, since it may
 * still use them. */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/std.h"
#include "core/host.h"
#include "core/hook.h"
#include "core/weak.h"

static const char guards_key, meta_key, late_key, told_key;  /* registry: table -> guard; their metatable; struct late; some were left out, and it was said */

/* Tables and boxes whose finalizers were put off: first..last of its user value. */
struct late {
    mw_host *host;
    struct mw_dusk dusk;
    lua_Integer first, last;
    int running;
};

static struct late *late_of(lua_State *L) {
    struct late *l;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &late_key);
    l = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return l;
}

static void tell_once(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &told_key) == LUA_TNIL) {
        lua_pushboolean(L, 1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &told_key);
        mw_host_log(mw_host_of(L), MW_LOG_WARN, "finalizers (__gc) ran too long and were stopped; others are left out");
    }
    lua_pop(L, 1);
}

/* ---- Calling them ---------------------------------------------------------------------------------------------------------------- */

static int finalize(lua_State *L) { /* t                                                                               [-0, +0, e] */
    luaL_checkstack(L, 8, "__gc");
    if (!lua_getmetatable(L, 1)) return 0;
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, -2) == LUA_TNIL) return 0;                /* [t mt f] */
    lua_pushvalue(L, 1);
    switch (mw_call_apart(L, 1)) {
    case 0: break;
    case 1: return lua_error(L);
    default: tell_once(L);
    }
    return 0;
}

/* Finalizes the table on top; its error is a warning, as Lua has it.                                                [-1, +0, -] */
static void finalize_top(lua_State *L) {
    lua_pushcfunction(L, finalize);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
    lua_warning(L, "error in __gc (", 1);
    lua_warning(L, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error object is not a string", 1);
    lua_warning(L, ")", 0);
    lua_pop(L, 1);
}

static int end_box(lua_State *L) { /* box                                                                             [-0, +0, e] */
    mw_box_end(L);
    return 0;
}

/* Ends the box on top.                                                                                              [-1, +0, -] */
static void end_box_top(lua_State *L) {
    lua_pushcfunction(L, end_box);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* The table at idx has no guard any more: it may get another. */
static void unguard(lua_State *L, int idx) {
    idx = lua_absindex(L, idx);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &guards_key);
    lua_pushvalue(L, idx);
    if (lua_rawget(L, -2) == LUA_TUSERDATA) {                   /* [guards guard] */
        lua_pushnil(L);
        lua_setiuservalue(L, -2, 1);
        lua_pushvalue(L, idx);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
    lua_pop(L, 2);
}

/* Runs those that are put off by now; at the end of the state their guards do. */
static void run_late(lua_State *L, struct late *l) {
    lua_Integer until = l->last;

    if (l->first > until || l->running || mw_host_finishing(l->host)) return;
    luaL_checkstack(L, 12, "__gc");
    l->running = 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &late_key);
    lua_getiuservalue(L, -1, 1);                                /* [late queue] */
    while (l->first <= until) {
        lua_rawgeti(L, -1, l->first);
        lua_pushnil(L);
        lua_rawseti(L, -3, l->first++);
        if (lua_type(L, -1) == LUA_TUSERDATA) {
            end_box_top(L);
        } else {
            unguard(L, -1);
            finalize_top(L);
        }
    }
    if (l->first > l->last) l->first = 1, l->last = 0;
    l->running = 0;
    lua_pop(L, 2);
}

void mw_std_finalize(lua_State *L) {
    run_late(L, late_of(L));
}

static int run_rested(lua_State *L) {
    run_late(L, late_of(L));
    return 0;
}

static void on_rest(struct mw_dusk *at) {
    struct late *l = MW_LIST_ENTRY(at, struct late, dusk);
    lua_State *L = mw_host_state(l->host);

    if (mw_host_closing(l->host) || !lua_checkstack(L, 4)) return;
    mw_host_in_callback(l->host, 1);
    lua_pushcfunction(L, run_rested);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
    mw_host_in_callback(l->host, 0);
    if (l->first <= l->last) mw_host_at_dusk(l->host, at, on_rest); /* theirs have left others */
}

/* ---- Garbage --------------------------------------------------------------------------------------------------------------------- */

/* The table at idx gets its guard, unless it has one. */
static void guard(lua_State *L, int idx) {
    idx = lua_absindex(L, idx);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &guards_key);
    lua_pushvalue(L, idx);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pushvalue(L, idx);
        lua_newuserdatauv(L, 0, 1);                             /* [.. guards nil t guard] */
        lua_pushvalue(L, idx);
        lua_setiuservalue(L, -2, 1);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &meta_key);
        lua_setmetatable(L, -2);
        lua_rawset(L, -4);                                      /* [.. guards nil] */
    }
    lua_pop(L, 2);
}

/* Is the script itself between two of its instructions, and no C function or module of ours at work? */
static int is_at_peace(lua_State *L) {
    lua_Debug ar;

    if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar)) return 0;
    return *ar.what != 'C' && strncmp(ar.source, "=[moonwire", 10) != 0;
}

/* The value on top waits; if the state ends before, Lua calls its finalizer, or its guard's, once more.              [-1, +0, m] */
static void put_off(lua_State *L, struct late *l) {
    if (lua_istable(L, -1)) guard(L, -1);
    else if (lua_getmetatable(L, -1)) lua_setmetatable(L, -2);  /* marked again */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &late_key);
    lua_getiuservalue(L, -1, 1);                                /* [t late queue] */
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, l->last + 1);
    l->last++;
    lua_pop(L, 3);
    mw_host_at_rest(l->host, &l->dusk, on_rest);
}

static int on_garbage(lua_State *L) { /* guard                                                                     [-0, +0, e] */
    struct late *l;

    luaL_checkstack(L, 12, "__gc");
    lua_settop(L, 1);
    if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) return 0;     /* [guard t] */
    unguard(L, 2);
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 1);
    l = late_of(L);
    if (l == NULL || mw_host_finishing(l->host)) {
        finalize_top(L);
    } else if (l->running || !is_at_peace(L)) {
        put_off(L, l);
    } else {
        run_late(L, l);
        finalize_top(L);
    }
    return 0;
}

int mw_std_puts_off(lua_State *L) {
    struct late *l = late_of(L);

    if (l == NULL || (!l->running && l->first > l->last) || mw_host_finishing(l->host)) return 0;
    luaL_checkstack(L, 12, "__gc");
    lua_settop(L, 1);
    put_off(L, l);
    return 1;
}

static int on_late_end(lua_State *L) {
    struct late *l = lua_touserdata(L, 1);

    mw_host_forget_dusk(&l->dusk);
    return 0;
}

/* setmetatable(t, mt) -> t. The upvalue is the name "__gc".                                                       [-0, +1, e] */
static int std_setmetatable(lua_State *L) {
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (type == LUA_TNIL) {
        lua_setmetatable(L, 1);
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    if (lua_rawget(L, 2) == LUA_TNIL) {
        lua_settop(L, 2);
        lua_setmetatable(L, 1);
        return 1;
    }                                                           /* [t mt f] */
    mw_std_finalize(L);                                         /* whoever makes them by the thousand waits for those before */
    guard(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 3);                                           /* [t mt name f] */
    lua_pushvalue(L, 3);
    lua_pushnil(L);
    lua_rawset(L, 2);                                           /* nothing below allocates: nobody sees it without */
    lua_pushvalue(L, 2);
    lua_setmetatable(L, 1);
    lua_rawset(L, 2);                                           /* [t mt] */
    lua_settop(L, 1);
    return 1;
}

void mw_std_open_gc(lua_State *L) {
    struct late *l = lua_newuserdatauv(L, sizeof *l, 1);

    memset(l, 0, sizeof *l);
    l->host = mw_host_of(L);
    l->first = 1;
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, on_late_end);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &late_key);
    mw_weak_push(L, "k");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &guards_key);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, on_garbage);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &meta_key);
    lua_pushliteral(L, "__gc");
    lua_pushcclosure(L, std_setmetatable, 1);
    lua_setglobal(L, "setmetatable");
}
