/* The options of a pool, read once and raw.
 * Knows: bind/arg, pool, lua.h. Never: a worker. */
#include <string.h>

#include "bind/arg.h"
#include "bind/pool.h"

#define SECOND_NS  UINT64_C(1000000000)
#define SIZE_MOST  1024
#define QUEUE_MOST 10000000

/* The table of option `key`, checked against what it may have; 0: there is none (nil is on the stack).    [-0, +1, e] */
static int table_at(lua_State *L, int idx, const char *op, const char *key, const char *const *known) {
    int type = mw_opt_get(L, idx, key);

    if (type == LUA_TNIL) return 0;
    if (type != LUA_TTABLE) mw_raise_inval(L, op, "option \"%s\" must be a table, got %s", key, luaL_typename(L, -1));
    mw_opt_open(L, -1, op, known, 0);
    return lua_gettop(L);
}

static void read_recycle(lua_State *L, int idx, const char *op, struct mw_pool_set *s, struct mw_pool_limits *l) {
    static const char *const known[] = { "tasks", "memory", "age", NULL };
    int at = table_at(L, idx, op, "recycle", known);
    uint64_t age;

    if (at != 0) {
        l->recycle_tasks = (uint64_t)mw_opt_integer(L, at, op, "tasks", 1, INT64_MAX, 0);
        s->memory_max = mw_opt_size(L, at, op, "memory", 1, INT64_MAX, 0);
        age = mw_opt_duration(L, at, op, "age", UINT64_MAX);
        l->recycle_age_ns = age == UINT64_MAX ? 0 : age;
    }
    lua_pop(L, 1);
}

/* restart.backoff = { first, most } */
static void read_backoff(lua_State *L, int at, const char *op, struct mw_pool_limits *l) {
    int type = mw_opt_get(L, at, "backoff"), t = lua_gettop(L);

    if (type != LUA_TNIL) {
        if (type != LUA_TTABLE || lua_rawlen(L, t) != 2)
            mw_raise_inval(L, op, "option \"backoff\" must be two durations, the first and the longest: { 0.1, 5 }");
        lua_rawgeti(L, t, 1);
        l->backoff_ns = mw_param_duration(L, -1, op, "option \"backoff\"");
        lua_rawgeti(L, t, 2);
        l->backoff_max_ns = mw_param_duration(L, -1, op, "option \"backoff\"");
        if (l->backoff_max_ns < l->backoff_ns)
            mw_raise_inval(L, op, "option \"backoff\": the longest is shorter than the first");
    }
    lua_settop(L, t - 1);
}

static void read_restart(lua_State *L, int idx, const char *op, struct mw_pool_limits *l) {
    static const char *const known[] = { "max", "within", "backoff", NULL };
    int at = table_at(L, idx, op, "restart", known);

    l->restart_max = 5;
    l->restart_within_ns = 10 * SECOND_NS;
    l->backoff_ns = SECOND_NS / 10;
    l->backoff_max_ns = 5 * SECOND_NS;
    if (at != 0) {
        l->restart_max = (unsigned)mw_opt_integer(L, at, op, "max", 0, 1000000, 5);
        l->restart_within_ns = mw_opt_duration(L, at, op, "within", 10 * SECOND_NS);
        read_backoff(L, at, op, l);
    }
    lua_pop(L, 1);
}

static unsigned read_on(lua_State *L, int at, const char *op) {
    static const char *const words[] = { "crash", "timeout", "error", NULL };
    int type = mw_opt_get(L, at, "on"), t = lua_gettop(L);
    lua_Integer n = 0;
    unsigned bits = 0;

    if (type != LUA_TNIL && type != LUA_TTABLE)
        mw_raise_inval(L, op, "option \"on\" must be a list of \"crash\", \"timeout\" and \"error\", got %s",
                       luaL_typename(L, t));
    if (type == LUA_TTABLE) n = (lua_Integer)lua_rawlen(L, t);
    for (lua_Integer i = 1; i <= n; i++) {
        int k = 0;

        lua_rawgeti(L, t, i);
        while (words[k] != NULL && (lua_type(L, -1) != LUA_TSTRING || strcmp(words[k], lua_tostring(L, -1)) != 0)) k++;
        if (words[k] == NULL)
            mw_raise_inval(L, op,
                           "option \"on\" is a list of \"crash\", \"timeout\" and \"error\"; item %d is none of them",
                           (int)i);
        bits |= 1u << k;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return type == LUA_TNIL ? 1u << MW_POOL_CRASH : bits;
}

static void read_retry(lua_State *L, int idx, const char *op, struct mw_pool_limits *l) {
    static const char *const known[] = { "on", "attempts", NULL };
    int at = table_at(L, idx, op, "retry", known);

    l->attempts = 1;
    if (at != 0) {
        l->retry = read_on(L, at, op);
        l->attempts = 1 + (unsigned)mw_opt_integer(L, at, op, "attempts", 0, 1000000, 2);
    }
    lua_pop(L, 1);
}

void mw_pool_options_read(lua_State *L, int idx, const char *op, struct mw_pool_set *s, struct mw_pool_limits *l) {
    static const char *const cancels[] = { "keep", "kill", NULL };

    memset(l, 0, sizeof *l);
    l->size = (unsigned)mw_opt_integer(L, idx, op, "size", 1, SIZE_MOST, mw_pool_cores());
    l->min_idle = (unsigned)mw_opt_integer(L, idx, op, "min_idle", 0, SIZE_MOST, 0);
    if (l->min_idle > l->size)
        mw_raise_inval(L, op, "option \"min_idle\" is %d: more than the %d of \"size\"", (int)l->min_idle,
                       (int)l->size);
    l->max_queue = (unsigned)mw_opt_integer(L, idx, op, "max_queue", 1, QUEUE_MOST, 1000);
    l->max_queue_bytes = (size_t)mw_opt_size(L, idx, op, "max_queue_bytes", 1, INT64_MAX / 2, 64u << 20);
    l->queue_ns = mw_opt_duration(L, idx, op, "queue_timeout", 10 * SECOND_NS);
    s->task_ns = mw_opt_duration(L, idx, op, "task_timeout", 60 * SECOND_NS);
    s->start_ns = mw_opt_duration(L, idx, op, "start_timeout", 30 * SECOND_NS);
    s->message_max = (size_t)mw_opt_size(L, idx, op, "max", 1, MW_POOL_MESSAGE_MOST, MW_POOL_MESSAGE_MAX);
    s->cancel_kills = mw_opt_word(L, idx, op, "on_cancel", cancels, 0);
    read_recycle(L, idx, op, s, l);
    read_restart(L, idx, op, l);
    read_retry(L, idx, op, l);
}
