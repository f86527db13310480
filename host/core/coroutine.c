/* The coroutine library that scripts see: Lua's own, save that a primitive which waits inside a script's coroutine suspends
 * the whole task, and not the coroutine.
 * Knows: core, lua.h. Never: resumes a task's base. */
#include <lauxlib.h>
#include <lualib.h>

#include "core/inside.h"
#include "core/raise.h"

/* In a state that is not ours a script gets what Lua gives it: a string. */
static int wrong(lua_State *L, const char *fmt, const char *what) {
    if (mw_host_of(L)->lent) return luaL_error(L, fmt, what);
    return mw_raise_inval(L, "coroutine", fmt, what);
}

static lua_State *get_co(lua_State *L) {
    lua_State *co = lua_tothread(L, 1);
    if (co == NULL) wrong(L, "coroutine expected, got %s", luaL_typename(L, 1));
    return co;
}

static const char *status_of(lua_State *L, lua_State *co) {
    lua_Debug ar;
    if (L == co) return "running";
    if (mw_co_bits(co) != 0) return "normal"; /* a task, or somebody waits in it: only the scheduler resumes it */
    switch (lua_status(co)) {
    case LUA_YIELD: return "suspended";
    case LUA_OK:
        if (lua_getstack(co, 0, &ar)) return "normal";
        return lua_gettop(co) == 0 ? "dead" : "suspended";
    default: return "dead";
    }
}

/* Closes its variables (their __close run on it), watched like any coroutine. LUA_OK, or its error is on top of co. */
static int shut(lua_State *L, lua_State *co) {
    mw_host *h = mw_host_of(L);
    lua_State *was = atomic_load_explicit(&h->co, memory_order_relaxed);
    int status;

    mw_hook_run(h, co);
    status = lua_resetthread(co);
    atomic_store_explicit(&h->co, was, memory_order_relaxed);
    if (mw_hook_due(h)) mw_hook_resumed(L);
    return status;
}

/* After a resume: its results are on L, or its error (returns -1), or a wait is passed on (*passed). */
static int go(lua_State *L, lua_State *co, int nargs, int *passed) {
    mw_host *h = mw_host_of(L);
    int nres = 0, status;

    *passed = 0;
    for (;;) {
        mw_hook_run(h, co);
        status = lua_resume(co, L, nargs, &nres);
        atomic_store_explicit(&h->co, L, memory_order_relaxed);
        if (h->preempt == MW_PREEMPT_COUNT) mw_hook_came_back(L);
        if (mw_hook_due(h)) mw_hook_resumed(L);
        if (status != LUA_YIELD || h->running == NULL || !(h->yielding || h->running->killed)) break;
        if (lua_isyieldable(L)) {
            *passed = 1;
            return 0;
        }
        h->yielding = 0; /* nobody can be suspended here: tell the primitive, which raises */
        if (h->running->sliced) { /* it was none: go on */
            h->running->sliced = 0;
            nargs = 0;
            continue;
        }
        if (h->running->state == TASK_PARKED) mw_task_ready(h->running, MW_EINVAL);
        mw_list_remove(&h->running->queue);
        h->running->state = TASK_RUNNING;
        h->running->code = MW_EINVAL;
        nargs = 0;
    }
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, nres + 1)) {
            lua_pop(co, nres);
            lua_pushliteral(L, "too many results to resume");
            return -1;
        }
        lua_xmove(co, L, nres);
        return nres;
    }
    if (lua_checkstack(co, 1)) lua_pushvalue(co, -1); /* coroutine.close wants it again */
    lua_xmove(co, L, 1);
    return -1;
}

static int finish(lua_State *L, lua_State *co, int n, int wrapped) {
    if (n >= 0) {
        if (wrapped) return n;
        lua_pushboolean(L, 1);
        lua_insert(L, -(n + 1));
        return n + 1;
    }
    if (!wrapped) {
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) { /* error in the coroutine: run its __close */
        if (shut(L, co) != LUA_OK) lua_xmove(co, L, 1);
    }
    if (lua_type(L, -1) == LUA_TSTRING) { /* as lauxlib's auxwrap: add position information */
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int pass_on(lua_State *L, lua_State *co, int wrapped);

static int resume_k(lua_State *L, int status, lua_KContext ctx) { /* [... co] */
    lua_State *co = lua_tothread(L, -1);
    int passed, n;
    (void)status;
    lua_pop(L, 1);
    mw_co_mark(L, co, MW_CO_WAITS, 0);
    n = go(L, co, 0, &passed); /* co is held by the stack of whoever called us: argument 1 or the upvalue */
    return passed ? pass_on(L, co, (int)ctx) : finish(L, co, n, (int)ctx);
}
static int pass_on(lua_State *L, lua_State *co, int wrapped) {
    mw_co_mark(L, co, MW_CO_WAITS, 1);
    if (wrapped) lua_pushvalue(L, lua_upvalueindex(1));
    else lua_pushvalue(L, 1);
    return lua_yieldk(L, 0, wrapped, resume_k);
}

static int start(lua_State *L, lua_State *co, int nargs, int wrapped) {
    int passed, n;
    const char *status = status_of(L, co);

    if (status[0] != 's') { /* not "suspended" */
        lua_pushfstring(L, status[0] == 'd' ? "cannot resume dead coroutine" : "cannot resume non-suspended coroutine");
        return finish(L, co, -1, wrapped);
    }
    if (!lua_checkstack(co, nargs)) {
        lua_pushliteral(L, "too many arguments to resume");
        return finish(L, co, -1, wrapped);
    }
    lua_xmove(L, co, nargs);
    n = go(L, co, nargs, &passed);
    return passed ? pass_on(L, co, wrapped) : finish(L, co, n, wrapped);
}

static int co_resume(lua_State *L) { /* resume(co, ...) -> true, ... | false, err                          [-0, +n, y] */
    return start(L, get_co(L), lua_gettop(L) - 1, 0);
}
static int wrapped_call(lua_State *L) {
    return start(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L), 1);
}
static int co_create(lua_State *L) {
    lua_State *co;
    if (lua_type(L, 1) != LUA_TFUNCTION) return wrong(L, "function expected, got %s", luaL_typename(L, 1));
    co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}
static int co_wrap(lua_State *L) {
    co_create(L);
    lua_pushcclosure(L, wrapped_call, 1);
    return 1;
}
static int is_main(lua_State *L) {
    int yes = lua_pushthread(L);
    lua_pop(L, 1);
    return yes;
}
static int at_base(lua_State *L) {
    const mw_host *h = mw_host_of(L);
    return L == h->L || (mw_co_bits(L) & MW_CO_BASE) != 0 || (h->lent && is_main(L));
}
static int co_yield(lua_State *L) {
    if (at_base(L)) return wrong(L, "attempt to yield from outside a coroutine", NULL);
    return lua_yield(L, lua_gettop(L));
}
static int co_status(lua_State *L) {
    lua_pushstring(L, status_of(L, get_co(L)));
    return 1;
}
static int co_isyieldable(lua_State *L) {
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_pushboolean(L, !at_base(co) && lua_isyieldable(co));
    return 1;
}
static int co_running(lua_State *L) { /* a task's base looks like a main coroutine */
    lua_pushthread(L);
    lua_pushboolean(L, at_base(L));
    return 2;
}
static int co_close(lua_State *L) { /* close(co) -> true | false, err                                       [-0, +1|2, e] */
    lua_State *co = get_co(L);
    const char *status = status_of(L, co);

    if (status[0] != 's' && status[0] != 'd') return wrong(L, "cannot close a %s coroutine", status);
    if (shut(L, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

static const luaL_Reg fns[] = {{"create", co_create}, {"resume", co_resume}, {"wrap", co_wrap}, {"yield", co_yield},
                               {"status", co_status}, {"isyieldable", co_isyieldable}, {"running", co_running}, {"close", co_close},
                               {NULL, NULL}};

int mw_coroutine_open(lua_State *L) {
    luaL_newlib(L, fns);
    return 1;
}

lua_State *mw_co_inner(lua_State *co) {
    lua_State *inner = NULL;
    lua_Debug ar;

    if (!lua_checkstack(co, 2) || !lua_getstack(co, 0, &ar)) return NULL;
    lua_getinfo(co, "f", &ar);                                  /* [... f] */
    if (lua_tocfunction(co, -1) == co_resume && lua_getlocal(co, &ar, 1) != NULL) inner = lua_tothread(co, -1);
    else if (lua_tocfunction(co, -1) == wrapped_call && lua_getupvalue(co, -1, 1) != NULL) inner = lua_tothread(co, -1);
    else lua_pushnil(co);
    lua_pop(co, 2);
    return inner == co ? NULL : inner;
}

/* What somebody has put in the place of Lua's own stays. */
void mw_coroutine_amend(lua_State *L, lua_CFunction luas) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, LUA_COLIBNAME) == LUA_TTABLE) {     /* [loaded lib] */
        lua_pushcfunction(L, luas);
        lua_call(L, 0, 1);                                      /* [loaded lib own] */
        for (const luaL_Reg *it = fns; it->name != NULL; it++) {
            lua_getfield(L, -2, it->name);
            lua_getfield(L, -2, it->name);
            if (lua_tocfunction(L, -1) != NULL && lua_tocfunction(L, -1) == lua_tocfunction(L, -2)) {
                lua_pushcfunction(L, it->func);
                lua_setfield(L, -5, it->name);
            }
            lua_pop(L, 2);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}
