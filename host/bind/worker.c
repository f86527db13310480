/* Workers in Lua: making one, waiting for its end, closing it.
 * Knows: bind, share/worker, io/osfile (its script), io/process (its rights). Never: a message. */
#include "bind/worker.h"

#include <string.h>

#include "bind/doors.h"
#include "bind/process.h"
#include "bind/std.h"
#include "bind/tap.h"
#include "core/task.h"
#include "io/osfile.h"
#include "pool/page.h"

#define OP "worker.spawn"
#define MEMORY_LEAST (256u << 10)   /* bytes: an empty state takes a hundred KiB */
#define STACK_LEAST (1u << 20)  /* what Lua's deepest nesting of C calls takes stays below half of it */
#define STACK_MOST ((uint64_t)1 << 30)
#define CLOSE_NS 250000000u         /* how long close waits for a worker that could end by itself */
#define STOP_NS 5000000000u         /* and one that was told to stop */
#define ARGS_MAX 1000

struct mw_worker_box *mw_worker_self(lua_State *L, const char *type) {
    return mw_box_self(L, type);
}

/* The run's trace begins, or ends. */
static void turn(lua_State *L, struct mw_tapped *it, const mw_trace *over) {
    struct mw_worker_box *box = MW_LIST_ENTRY(it, struct mw_worker_box, tapped);

    if (over != NULL) mw_tap_leave(&box->probes, over);
    else if (box->end != NULL) mw_tap_run(L, &box->probes, MW_PROBE_WORKER, box->worker != NULL ? mw_worker_name(box->worker) : "parent");
}
static void end_taps(struct mw_worker_box *box) {
    if (box->tapped.turn != NULL) mw_tapped_remove(&box->tapped);
    mw_tap_end(&box->probes);
}

/* ---- What a worker is made of --------------------------------------------------------------------------------------------- */

/* Pushes the script's name, from the folder of ours, unless it begins with that already (mw.script.path).     [-0, +1, m] */
static const char *push_path(lua_State *L, const char *path) {
    const char *dir = lua_tostring(L, lua_upvalueindex(1));
    size_t len = dir != NULL ? strlen(dir) : 0;

    if (*path == '/' || dir == NULL || strcmp(dir, ".") == 0 || (strncmp(path, dir, len) == 0 && path[len] == '/')) lua_pushstring(L, path);
    else lua_pushfstring(L, "%s/%s", dir, path);
    return lua_tostring(L, -1);
}

/* Pushes the array of arguments; the strings are lent by the table in the options.                        [-0, +2, e] */
static const char *const *push_args(lua_State *L, const char *path) {
    int type = mw_opt_get(L, 2, "args"), list = lua_gettop(L);
    lua_Integer n = 0;
    const char **args;

    if (type == LUA_TTABLE) n = (lua_Integer)lua_rawlen(L, list);
    else if (type != LUA_TNIL) mw_raise_inval(L, OP, "option \"args\" must be a list of strings, got %s", luaL_typename(L, list));
    if (n > ARGS_MAX) mw_raise_inval(L, OP, "option \"args\": at most %d are allowed", ARGS_MAX);
    args = lua_newuserdatauv(L, ((size_t)n + 2) * sizeof *args, 0);
    args[0] = path;
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        args[i] = mw_param_text(L, -1, OP, "option \"args\": each", 1u << 20, NULL);
        lua_pop(L, 1);
    }
    args[n + 1] = NULL;
    return args;
}

static void name_of(const char *path, struct mw_worker_options *o) {
    const char *slash = strrchr(path, '/');
    if (o->name == NULL) o->name = slash != NULL ? slash + 1 : path;
}

static void read_limits(lua_State *L, struct mw_limits *limits) {
    uint64_t most = mw_host_limits(mw_host_of(L))->memory, asked = mw_opt_size(L, 2, OP, "memory_limit", MEMORY_LEAST, (uint64_t)1 << 40, 0);

    *limits = *mw_host_limits_given(mw_host_of(L));
    if (asked != 0) limits->memory = asked < most ? asked : most; /* a worker has no more than its maker */
    if (limits->step_ns == 0) limits->step_ns = MW_LIMIT_OFF;     /* computing is what it is for: it holds up nobody's loop but its own */
}

/* What worker_spawn has read. */
struct spawn {
    struct mw_worker_options o;
    struct mw_seed_wish wish;
    struct mw_grant_wish *wishes;
    int wish_count;
    struct mw_process_options shared;       /* its `share` */
    char **text;
};

/* 0 or a code; what was made for the wish is gone then.                                                 [-0, +0, m] */
static int start(lua_State *L, struct spawn *it, mw_worker **out, struct mw_err *err) {
    mw_host *h = mw_host_of(L);
    struct mw_seed_wish *wish = &it->wish;
    struct mw_seed *seed = NULL;
    int rc = mw_host_room(h, OP, wish->path, err), count = it->wish_count;

    if (rc == 0) rc = mw_os_read_text(mw_host_policy(h), wish->path, 1, OP, it->text, &wish->len, err);
    if (rc == 0 && it->shared.share_count > 0) rc = mw_process_shares_copy(it->shared.shares, it->shared.share_count, &wish->shares, err);
    if (rc == 0) rc = mw_process_narrow(h, OP, it->wishes, count > 0 ? (size_t)count : 0, count < 0, &wish->policy, err);
    if (rc == 0) {
        wish->text = *it->text;
        *it->text = NULL;
        wish->modules = mw_policy_reads_modules(mw_host_policy(h), strrchr(wish->path, '/') != NULL ? wish->path : ".");
        rc = mw_host_hooks(h)->furnish(mw_host_hooks(h)->ud, wish, &seed, err);
        *it->text = wish->text;                                         /* NULL once it was taken */
    }
    if (rc < 0) {
        mw_policy_free(wish->policy);
        mw_process_shares_free(wish->shares);
    }
    return rc == 0 ? mw_worker_start(h, &it->o, seed, out, err) : rc;
}

/* spawn(path [, options [, pooled]]) -> worker | nil, err; pooled: a pool's, with the mark that it shares with it  [-0, +1|2, e] */
static int worker_spawn(lua_State *L) {
    static const char *const known[] = {"args", "memory_limit", "name", "permissions", "queue", "queue_bytes", "share", "stack", NULL};
    const char *path = mw_param_text(L, 1, OP, "the script", 4096, NULL);
    struct spawn it = {.shared = {.op = OP, .script = 1}};
    struct mw_worker_box *box;
    struct mw_err err;
    int from, rc;

    if (lua_toboolean(L, 3)) it.o.beside = sizeof(struct mw_pool_mark);
    lua_settop(L, 2);
    if (lua_istable(L, 2)) {
        mw_process_options_copy(L, 2, MW_PROCESS_OPTIONS_DEPTH);
        lua_replace(L, 2);
    }
    mw_opt_open(L, 2, OP, known, 0);
    box = mw_box_new(L, sizeof *box, MW_WORKER_TYPE);                   /* [path options box] */
    mw_list_init(&box->calls);
    it.wish.path = push_path(L, path);
    it.wish.args = push_args(L, it.wish.path);
    read_limits(L, &it.wish.limits);
    it.o.name = mw_opt_text(L, 2, OP, "name", 64, NULL);
    it.o.stack = (size_t)mw_opt_size(L, 2, OP, "stack", STACK_LEAST, STACK_MOST, 0);
    it.o.count_max = (uint64_t)mw_opt_integer(L, 2, OP, "queue", 1, 1 << 24, 1024);
    it.o.bytes_max = mw_opt_size(L, 2, OP, "queue_bytes", 1, (uint64_t)1 << 40, MW_WORKER_BYTES);
    it.o.drop = mw_talk_drop;
    name_of(it.wish.path, &it.o);
    it.wish_count = mw_process_wishes_read(L, 2, OP, &it.wishes);
    it.text = mw_std_text(L);                                           /* [path options box .. text] */
    from = lua_gettop(L);
    rc = mw_process_shares_read(L, 2, &it.shared, &err);
    if (rc == 0) rc = start(L, &it, &box->worker, &err);
    mw_process_shares_done(L, 2, from, rc == 0);
    if (rc < 0) return mw_push_err(L, &err);
    box->end = mw_worker_outer(box->worker);
    box->end->ud = box;
    box->end->on_news = mw_worker_on_news;
    mw_tapped_add(L, &box->tapped, turn);
    lua_settop(L, 3);
    return 1;
}

/* ---- Its end -------------------------------------------------------------------------------------------------------------- */

static void set(lua_State *L, const char *name, const char *value) {
    if (*value == 0) return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

int mw_worker_push_closed(lua_State *L, const char *op) {
    struct mw_err err;
    mw_err_set(&err, MW_ECLOSED, op, NULL, "it is closed");
    return mw_push_err(L, &err);
}

int mw_worker_push_end(lua_State *L, const struct mw_worker_box *box, const char *op) {
    struct mw_err why, err;
    const char *traceback;

    if (box->end == NULL) return mw_worker_push_closed(L, op);
    if (box->worker == NULL || mw_worker_why(box->worker, &why, &traceback) == 0) {
        lua_pushnil(L);
        return 1;
    }
    mw_err_set(&err, MW_ECRASHED, "worker", mw_worker_name(box->worker), why.message);
    lua_createtable(L, 0, 3);
    set(L, "code", mw_worker_why_code(box->worker));
    set(L, "message", why.message);
    set(L, "traceback", traceback);
    return mw_push_err_data(L, &err);
}

static struct mw_worker_box *self(lua_State *L) {
    return mw_box_self(L, MW_WORKER_TYPE);
}

/* join([opts]) -> true | nil, err: when it has ended by itself                                              [-0, +1|2, y] */
static int join_k(lua_State *L, int code, lua_KContext deadline) {
    struct mw_worker_box *box = self(L);

    if (code == MW_ETIMEDOUT) return mw_worker_push_timed_out(L, box, "worker.join");
    if (box->end == NULL) return mw_worker_push_closed(L, "worker.join");
    if (!mw_worker_ended(box->worker)) return mw_wait_yield(L, &box->end->ended, (uint64_t)deadline, deadline, join_k);
    if (box->end->ud == box) mw_worker_on_news(box->end); /* what it printed comes before what its maker does next */
    if (mw_worker_push_end(L, box, "worker.join") > 1) return 2;
    lua_pushboolean(L, 1);
    return 1;
}
static int worker_join(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};

    self(L);
    lua_settop(L, 2);
    mw_opt_open(L, 2, "worker.join", known, 0);
    return join_k(L, 0, (lua_KContext)mw_opt_deadline(L, 2, "worker.join"));
}

/* finish(): nothing more is sent; the worker's messages end                                                 [-0, +0, -] */
static int worker_finish(lua_State *L) {
    struct mw_worker_box *box = self(L);
    if (box->worker != NULL) mw_worker_finish(box->worker);
    return 0;
}

/* Whoever waits for an answer learns that there is none.                                                  [-0, +0, -] */
static mw_worker *empty(struct mw_worker_box *box) {
    mw_worker *w = box->worker;

    if (box->end->ud == box) mw_worker_on_news(box->end); /* else a pool has it */
    mw_worker_lose_calls(box);
    box->worker = NULL;
    box->end = NULL;
    return w;
}

/* Stopped, and waited for; whoever comes after a cancel or too late leaves that to the host.                [-0, +1, y] */
static int stopped_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_worker_box *box = self(L);
    (void)ctx;

    if (box->worker != NULL && !mw_worker_ended(box->worker)) {
        if (code == 0) return mw_wait_yield_raw(L, &box->end->ended, mw_host_now(mw_host_of(L)) + STOP_NS, 0, stopped_k);
        mw_worker_abandon(empty(box));
    } else if (box->worker != NULL) {
        mw_worker_leave(empty(box));
    }
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    lua_pushboolean(L, 1);
    return 1;
}
static int finished_k(lua_State *L, int code, lua_KContext deadline) {
    struct mw_worker_box *box = self(L);

    if (box->worker == NULL || mw_worker_ended(box->worker) || code != 0) {
        if (box->worker != NULL && code != 0) mw_worker_stop(box->worker);
        return stopped_k(L, code == MW_ECANCELED ? code : 0, 0);
    }
    return mw_wait_yield_raw(L, &box->end->ended, (uint64_t)deadline, deadline, finished_k);
}

/* close([opts]) -> true: it may end by itself for `timeout`, then it is stopped                             [-0, +1, y] */
static int worker_close(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    struct mw_worker_box *box = self(L);
    uint64_t ns;

    lua_settop(L, 2);
    mw_opt_open(L, 2, "worker.close", known, 0);
    ns = mw_opt_duration(L, 2, "worker.close", "timeout", CLOSE_NS);
    if (box->worker == NULL) {
        lua_pushboolean(L, 1);
        return 1;
    }
    mw_worker_finish(box->worker);
    if (!mw_wait_possible(L)) {
        mw_worker_abandon(empty(box));
        lua_pushboolean(L, 1);
        return 1;
    }
    if (ns > UINT64_MAX / 4) ns = UINT64_MAX / 4;
    return finished_k(L, 0, (lua_KContext)(mw_host_now(mw_host_of(L)) + ns));
}
static int worker_close_meta(lua_State *L) { /* __close(self, err) */
    lua_settop(L, 1);
    return worker_close(L);
}

static int worker_gc(lua_State *L) {
    struct mw_worker_box *box = lua_touserdata(L, 1);

    end_taps(box);
    if (box->worker == NULL) return 0;
    if (!mw_worker_ended(box->worker)) mw_box_warn(L, 1, "worker");
    mw_worker_abandon(empty(box));
    return 0;
}

static int worker_tostring(lua_State *L) {
    const struct mw_worker_box *box = luaL_checkudata(L, 1, MW_WORKER_TYPE);

    if (box->worker == NULL) lua_pushliteral(L, "worker (closed)");
    else lua_pushfstring(L, "worker %s (%s)", mw_worker_name(box->worker), mw_worker_ended(box->worker) ? "ended" : "running");
    return 1;
}

/* stats() -> { name, state, queued, unread, calls }                                                          [-0, +1, m] */
static int worker_stats(lua_State *L) {
    const struct mw_worker_box *box = self(L);
    lua_Integer calls = 0;

    for (const struct mw_list *at = box->calls.next; at != &box->calls; at = at->next) calls++;
    lua_createtable(L, 0, 5);
    set(L, "name", box->worker != NULL ? mw_worker_name(box->worker) : "");
    set(L, "state", box->worker == NULL ? "closed" : mw_worker_ended(box->worker) ? "ended" : "running");
    lua_pushinteger(L, box->end != NULL ? (lua_Integer)mw_queue_length(box->end->out[MW_MESSAGES]) : 0);
    lua_setfield(L, -2, "queued");
    lua_pushinteger(L, box->end != NULL ? (lua_Integer)mw_queue_waiting(box->end->in[MW_MESSAGES]) : 0);
    lua_setfield(L, -2, "unread");
    lua_pushinteger(L, calls);
    lua_setfield(L, -2, "calls");
    return 1;
}

/* ---- The door -------------------------------------------------------------------------------------------------------------- */

/* inside() -> whether this is a worker                                                                     [-0, +1, -] */
static int worker_inside(lua_State *L) {
    lua_pushboolean(L, mw_worker_of(mw_host_of(L)) != NULL);
    return 1;
}

/* parent() -> the other side of a worker, or nothing where there is none                                   [-0, +1, m] */
static int worker_parent(lua_State *L) {
    mw_worker *w = mw_worker_of(mw_host_of(L));
    struct mw_worker_box *box;

    if (w == NULL) return 0;
    box = mw_box_new(L, sizeof *box, MW_PARENT_TYPE);
    mw_list_init(&box->calls);
    box->end = mw_worker_inner(w);
    mw_tapped_add(L, &box->tapped, turn);
    return 1;
}
static int parent_gc(lua_State *L) {
    end_taps(lua_touserdata(L, 1));
    return 0;
}
static int parent_tostring(lua_State *L) {
    lua_pushliteral(L, "parent (of a worker)");
    return 1;
}

int mw_door_worker(lua_State *L) {
    static const luaL_Reg fns[] = {
        {"inside", worker_inside}, {"parent", worker_parent}, {"take", mw_worker_take}, {"reply", mw_worker_reply}, {"fail", mw_worker_fail_call}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"send", mw_worker_send}, {"recv", mw_worker_recv}, {"messages", mw_worker_messages}, {"call", mw_worker_call}, {"use", mw_worker_use}, {"join", worker_join},
        {"finish", worker_finish}, {"close", worker_close}, {"stats", worker_stats}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", worker_gc}, {"__close", worker_close_meta}, {"__tostring", worker_tostring}, {NULL, NULL}};
    static const luaL_Reg parent_methods[] = {{"send", mw_worker_send}, {"recv", mw_worker_recv}, {"messages", mw_worker_messages}, {"use", mw_worker_use}, {NULL, NULL}};
    static const luaL_Reg parent_meta[] = {{"__gc", parent_gc}, {"__tostring", parent_tostring}, {NULL, NULL}};

    mw_type_new(L, MW_WORKER_TYPE, methods, meta);
    mw_type_new(L, MW_PARENT_TYPE, parent_methods, parent_meta);
    mw_worker_call_type(L);
    luaL_newlib(L, fns);                                                /* [door] */
    mw_door_host(L);
    lua_getfield(L, -1, "script_dir");
    lua_pushcclosure(L, worker_spawn, 1);
    lua_setfield(L, -3, "spawn");
    lua_pop(L, 1);
    return 1;
}
