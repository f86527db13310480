/* One task in a worker of a pool: begun, its handler called, answered.
 * Knows: bind/pool_serve, codec, pool, core. Never: begins a task that was taken back; how the parent is reached. */
#include "bind/pool_serve.h"

#include "bind/arg.h"
#include "bind/worker.h"

#define LOOK_NS UINT64_C(10000000) /* between looks at our memory, and after tasks that are not the shortest */
enum { ERROR_LEAST = MW_POOL_ERROR_ROOM / 4 }; /* bytes of an error value that are always allowed */

/* What we take: the process, if we may know that; else the Lua state. */
static void tell_memory(struct mw_server *v, uint64_t now) {
    uint64_t bytes;

    if (now - v->looked_at < LOOK_NS && now - v->began < MW_SERVE_LONG_NS) return;
    v->looked_at = now;
    bytes = mw_pool_gauge_read(v->gauge);
    atomic_store(&v->mark->memory, bytes > 0 ? bytes : mw_host_memory(v->host, NULL));
}

/* Encodes the value at idx behind what is in scratch; one that cannot be sent becomes its text. */
static void put_any(lua_State *L, struct mw_server *v, int idx) {
    struct mw_value_options o = { .bytes_max = v->max / 4 > ERROR_LEAST ? v->max / 4 : ERROR_LEAST,
                                  .record = MW_ERROR_TYPE };
    struct mw_err err;

    idx = lua_absindex(L, idx);
    if (mw_value_write(L, idx, &v->scratch, &o, &err) == 0) return;
    mw_err_from(L, idx, &err);
    lua_pushstring(L, err.message);
    mw_value_write(L, -1, &v->scratch, &o, &err);
    lua_pop(L, 1);
}

/* The error on top (popped) is the answer.                                                                [-1, +0, m] */
static void answer_raised(lua_State *L, struct mw_server *v) {
    if (v->probes != NULL) {
        struct mw_err err;
        mw_err_from(L, -1, &err);
        mw_tap_tell_failure(L, v->probes, MW_PROBE_SEND, v->now.number, 0, err.message);
    }
    mw_bytes_consume(&v->scratch, mw_bytes_len(&v->scratch));
    put_any(L, v, -1);
    mw_traceback_of(L, lua_gettop(L));
    put_any(L, v, -1);
    lua_pop(L, 2);
    v->answer(v, MW_POOL_RAISED, mw_pool_clock());
}

static void answer_error(lua_State *L, struct mw_server *v, const struct mw_err *err) {
    mw_err_push(L, err);
    answer_raised(L, v);
}

/* Objects among the results ride behind them. 0 or a code. */
static int load(lua_State *L, struct mw_server *v, struct mw_talk *t, struct mw_err *err) {
    struct mw_cargo *cargo;
    int rc = mw_talk_pack(L, t, &cargo, err);

    if (rc < 0 || cargo == NULL) return rc;
    rc = mw_cargo_add(cargo, &v->scratch);
    v->loaded = rc == 0;
    mw_cargo_free(cargo);
    return rc < 0 ? mw_err_set(err, rc, "serve", NULL, NULL) : 0;
}

/* [.. traceback results...] are what the handler returned.                                                [-0, +0, m] */
static void answer_results(lua_State *L, struct mw_server *v, uint64_t now) {
    struct mw_value_options o = { .bytes_max = v->max, .root = "result", .record = MW_ERROR_TYPE };
    int n = lua_gettop(L), rc = 0;
    struct mw_err err;

    mw_bytes_consume(&v->scratch, mw_bytes_len(&v->scratch));
    if (v->end != NULL) {
        o.ud = mw_talk_begin(L);
        o.put = mw_talk_hook_put;
    }
    for (int i = MW_SERVE_BASE + 2; i <= n && rc == 0; i++) rc = mw_value_write(L, i, &v->scratch, &o, &err);
    if (rc == 0 && mw_bytes_len(&v->scratch) > v->max) {
        rc = mw_err_setf(&err, MW_ELIMIT, "serve", NULL, "the results take %zu bytes, at most %zu are allowed",
                         mw_bytes_len(&v->scratch), v->max);
    }
    if (rc == MW_ELIMIT) mw_err_hint(&err, "option max of the pool sets the limit");
    if (rc == 0 && v->end != NULL) rc = load(L, v, o.ud, &err);
    if (rc == 0 && v->probes != NULL)
        mw_tap_tell_answer(L, v->probes, MW_PROBE_SEND, v->now.number, 0, n - MW_SERVE_BASE - 1);
    if (rc == 0)
        v->answer(v, MW_POOL_OK, now);
    else
        answer_error(L, v, &err);
}

static void learn(struct mw_server *v, uint64_t ns) {
    if (ns > v->typical)
        v->typical = ns;
    else
        v->typical -= (v->typical - ns) / 8;
}

/* The handler has returned, or raised: [.. traceback results...] or [.. traceback error]. */
static void finished(lua_State *L, struct mw_server *v, int status) {
    uint64_t now = mw_pool_clock();

    v->now_ns = now;
    learn(v, now - v->began);
    tell_memory(v, now);
    if (status == LUA_OK || status == LUA_YIELD)
        answer_results(L, v, now);
    else
        answer_raised(L, v);
    lua_settop(L, MW_SERVE_BASE);
}

/* The handler ended the whole script, or was cancelled with it: no answer.                                 [-0, +0, m] */
static int exits(lua_State *L, struct mw_server *v, int status) {
    struct mw_err err;
    int code;

    if (status == LUA_OK || status == LUA_YIELD) return 0;
    if (mw_host_exit_code(v->host, &code)) return 1;
    mw_err_from(L, -1, &err);
    if (err.code != MW_ECANCELED) return 0;
    return mw_task_was_cancelled(mw_task_current(v->host)) || mw_scope_was_cancelled(mw_scope_current(v->host)) ||
           mw_scope_was_cut_off(mw_scope_current(v->host));
}

static int finished_k(lua_State *L, int status, lua_KContext ctx) {
    struct mw_server *v = lua_touserdata(L, MW_SERVE_STATE);

    if (exits(L, v, status)) return lua_error(L);
    finished(L, v, status);
    return v->on(L, 0, ctx);
}

void mw_server_run(lua_State *L, struct mw_server *v) {
    struct mw_value_options o = { .root = "argument", .record = MW_ERROR_TYPE };
    uint64_t now = v->now_ns != 0 ? v->now_ns : mw_pool_clock();
    const char *at = mw_bytes_at(&v->request);
    struct mw_err err;
    size_t used;
    int rc;

    v->began = now;
    if (!mw_pool_mark_begin(v->mark, v->now.epoch, v->now.seq, now)) {
        mw_cargo_free(v->cargo);
        v->cargo = NULL;
        v->answer(v, MW_POOL_SKIPPED, now);
        return;
    }
    lua_pushcfunction(L, mw_traceback);
    lua_pushlstring(L, at, v->now.name_len);
    lua_pushvalue(L, -1); /* [.. traceback name name] */
    lua_rawget(L, MW_SERVE_HANDLERS);
    if (v->cargo != NULL) {
        o.ud = mw_talk_load(L, v->cargo);
        o.get = mw_talk_hook_get;
    }
    rc = mw_value_read(L, at + v->now.name_len, v->now.len - v->now.name_len, &used, &o, &err);
    if (v->cargo != NULL) mw_talk_close(o.ud);
    if (rc == 0 && v->probes != NULL)
        mw_tap_tell_call(L, v->probes, MW_PROBE_RECV, v->now.number, lua_tostring(L, -3), -1);
    if (rc == 0 && lua_type(L, -2) != LUA_TFUNCTION)
        rc = mw_err_setf(&err, -ENOSYS, "serve", NULL, "no function \"%s\" is served here", lua_tostring(L, -3));
    if (rc < 0) {
        answer_error(L, v, &err);
        lua_settop(L, MW_SERVE_BASE);
        return;
    }
    lua_remove(L, -3); /* [.. traceback handler value] */
    rc = lua_pcallk(L, 1, LUA_MULTRET, MW_SERVE_BASE + 1, 0, finished_k);
    if (exits(L, v, rc)) lua_error(L);
    finished(L, v, rc);
}

/* The run's trace begins, or ends. */
static void turn(lua_State *L, struct mw_tapped *it, const mw_trace *over) {
    struct mw_server *v = MW_LIST_ENTRY(it, struct mw_server, tapped);

    if (over != NULL) mw_tap_leave(&v->probes, over);
    else mw_tap_run(L, &v->probes, MW_PROBE_WORKER, "parent");
}

static int server_gc(lua_State *L) {
    struct mw_server *v = lua_touserdata(L, 1);

    if (v->host != NULL) mw_host_forget_dusk(&v->dusk);
    if (v->tapped.turn != NULL) mw_tapped_remove(&v->tapped);
    mw_tap_end(&v->probes);
    mw_bytes_free(&v->scratch);
    mw_bytes_free(&v->request);
    mw_cargo_free(v->cargo);
    v->cargo = NULL;
    mw_pool_page_free(v->page);
    v->page = NULL;
    mw_pool_fd_close(v->gauge);
    v->gauge = -1;
    return 0;
}

struct mw_server *mw_server_new(lua_State *L) {
    static const luaL_Reg none[] = { { NULL, NULL } }, meta[] = { { "__gc", server_gc }, { NULL, NULL } };
    struct mw_server *v;
    int known = luaL_getmetatable(L, MW_SERVER_TYPE) != LUA_TNIL;

    lua_pop(L, 1);
    if (!known) mw_type_new(L, MW_SERVER_TYPE, none, meta);
    v = mw_box_new(L, sizeof *v, MW_SERVER_TYPE);
    v->gauge = -1;
    v->host = mw_host_of(L);
    mw_tapped_add(L, &v->tapped, turn);
    return v;
}
