/* The door of pools: the set behind a pool, its manager, and what a script may look at and end.
 * Knows: bind/arg, bind/pool, pool, core. Never: a syscall; how a worker is reached. */
#include "bind/pool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/process.h"
#include "bind/worker.h"

struct box {
    struct mw_pool_set *s;
};

uint64_t mw_pool_clock(void) {
    return uv_hrtime();
}

struct mw_pool_set *mw_pool_check(lua_State *L, int idx) {
    struct box *box = luaL_testudata(L, idx, MW_POOL_HAND_TYPE);

    if (box == NULL) box = mw_box_check(L, idx, MW_POOL_TYPE);
    if (box->s == NULL) mw_raise_inval(L, "pool", "this pool was never opened");
    return box->s;
}

/* The run's trace begins, or ends. */
static void turn(lua_State *L, struct mw_tapped *it, const mw_trace *over) {
    struct mw_pool_set *s = MW_LIST_ENTRY(it, struct mw_pool_set, tapped);

    if (over != NULL) mw_tap_leave(&s->probes, over);
    else mw_tap_run(L, &s->probes, MW_PROBE_WORKER, s->name);
}

/* What it is called in traces: the option table is at 2.                                                  [-0, +0, m] */
static void name_it(lua_State *L, struct mw_pool_set *s) {
    const char *script, *slash;

    lua_pushliteral(L, "script");
    script = lua_rawget(L, 2) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    slash = strrchr(script, '/');
    snprintf(s->name, sizeof s->name, "%s%s%s", s->op, *script != '\0' ? " " : "", slash != NULL ? slash + 1 : script);
    lua_pop(L, 1);
}

/* ---- The set ------------------------------------------------------------------------------------------------------------------- */

void mw_pool_set_release(struct mw_pool_set *s) {
    if (s == NULL || --s->refs > 0) return;
    if (s->tapped.turn != NULL) mw_tapped_remove(&s->tapped);
    mw_tap_end(&s->probes);
    while (!mw_list_empty(&s->calls)) mw_call_free(MW_LIST_ENTRY(s->calls.next, struct mw_call, link));
    mw_bytes_free(&s->scratch);
    mw_pool_death_drop(s->last);
    mw_pool_free(&s->pool);
    free(s);
}

static void on_timer(struct mw_timer *t) {
    struct mw_pool_set *s = MW_LIST_ENTRY(t, struct mw_pool_set, timer);

    s->armed = MW_POOL_NEVER;
    mw_pool_tick(&s->pool, mw_pool_clock());
    mw_pool_settle(s);
}

/* The host's clock may stand still; ours does not. */
void mw_pool_settle(struct mw_pool_set *s) {
    uint64_t now, at;

    if (s->pool.due >= s->armed || s->pool.state == MW_POOL_CLOSED) return;
    now = mw_pool_clock();
    at = mw_host_now(s->host) + (s->pool.due > now ? s->pool.due - now : 0);
    if (mw_timer_start(s->host, &s->timer, at, on_timer) == 0)
        s->armed = s->pool.due;
    else
        mw_host_log(s->host, MW_LOG_ERROR, "%s: no memory for its deadlines", s->op);
}

static void set_close(struct mw_pool_set *s) {
    if (s->pool.state == MW_POOL_CLOSED) return;
    mw_pool_close(&s->pool, mw_pool_clock());
    mw_pool_census_bury(s);
    mw_timer_stop(s->host, &s->timer);
    s->armed = MW_POOL_NEVER;
    mw_host_disown(&s->handle);
    mw_wait_wake(&s->manage);
    mw_wait_wake(&s->room);
    mw_wait_wake(&s->empty);
}

static void on_shutdown(struct mw_handle *it) {
    set_close(MW_LIST_ENTRY(it, struct mw_pool_set, handle));
}
void mw_pool_each(mw_host *h, void (*fn)(struct mw_handle *it, void *ud), void *ud) {
    mw_host_each(h, on_shutdown, fn, ud);
}

/* What the pool asks of us. */
static int on_give(struct mw_pool *p, struct mw_pool_member *m, struct mw_pool_task *t) {
    struct mw_pool_set *s = MW_LIST_ENTRY(p, struct mw_pool_set, pool);

    return s->driver->give(MW_LIST_ENTRY(m, struct mw_pool_worker, member), MW_LIST_ENTRY(t, struct mw_call, task));
}
static void on_ended(struct mw_pool *p, struct mw_pool_task *t, int code, enum mw_pool_phase phase,
                     struct mw_pool_member *m) {
    struct mw_pool_set *s = MW_LIST_ENTRY(p, struct mw_pool_set, pool);

    (void)m;
    mw_call_ended(MW_LIST_ENTRY(t, struct mw_call, task), code, phase, code == MW_ECRASHED ? s->last : NULL);
}
static void on_end(struct mw_pool *p, struct mw_pool_member *m, int politely) {
    struct mw_pool_set *s = MW_LIST_ENTRY(p, struct mw_pool_set, pool);

    s->driver->end(MW_LIST_ENTRY(m, struct mw_pool_worker, member), politely);
}
static void on_peek(struct mw_pool *p, struct mw_pool_member *m) {
    struct mw_pool_set *s = MW_LIST_ENTRY(p, struct mw_pool_set, pool);

    if (s->driver->peek != NULL) s->driver->peek(MW_LIST_ENTRY(m, struct mw_pool_worker, member));
}
static void on_want(struct mw_pool *p) {
    mw_wait_wake(&MW_LIST_ENTRY(p, struct mw_pool_set, pool)->manage);
}
static void on_changed(struct mw_pool *p) {
    struct mw_pool_set *s = MW_LIST_ENTRY(p, struct mw_pool_set, pool);

    if (p->state != MW_POOL_OPEN)
        mw_wait_wake(&s->room);
    else if (!mw_wait_empty(&s->room) && mw_pool_has_room(p, 0))
        mw_wait_wake_one(&s->room);
    if (p->state != MW_POOL_OPEN && mw_pool_is_empty(p)) mw_wait_wake(&s->empty);
}
static const struct mw_pool_ops ops = { on_give, on_ended, on_end, on_peek, on_want, on_changed };

/* ---- The manager: starts a keeper for each worker that is wanted ------------------------------------------------------------------ */

/* [hand keeper ...] One more keeper, with `child` (an index, or 0). 0 or a code.                        [-0, +0, e] */
static int start_keeper(lua_State *L, struct mw_pool_set *s, int child, struct mw_err *err) {
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 1);
    if (child != 0)
        lua_pushvalue(L, child);
    else
        lua_pushnil(L);
    return mw_task_start(mw_host_root(s->host), L, 2, s->op, 1, NULL, err);
}

static int manage_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    struct mw_err err;

    (void)ctx;
    if (code == MW_ECANCELED) { /* the host ends: nobody would see to the workers */
        set_close(s);
        return mw_wait_cancelled(L);
    }
    while (s->pool.wanted > 0 && s->pool.state < MW_POOL_BROKEN) {
        s->pool.wanted--;
        if (start_keeper(L, s, 0, &err) < 0) mw_pool_refused(&s->pool, mw_pool_clock());
        mw_pool_settle(s);
    }
    if (s->pool.state == MW_POOL_CLOSED || (s->pool.state != MW_POOL_OPEN && mw_pool_is_empty(&s->pool))) return 0;
    return mw_wait_yield_raw(L, &s->manage, MW_NEVER, 0, manage_k);
}
static int manage(lua_State *L) {
    lua_settop(L, 2);
    return manage_k(L, 0, 0);
}

/* new(op, options, kind, keeper, plain) -> pool, hand: the pool is there; its workers will be started by keeper(hand, child?), a
 * function that ends when the worker has ended. plain: calls have no name                              [-0, +2, e] */
static int pool_new(lua_State *L) {
    static const char *const kinds[] = { "script", "runner", "thread", NULL };
    static const struct mw_pool_driver *const drivers[] = { &mw_pool_script_driver, &mw_pool_runner_driver,
                                                            &mw_pool_thread_driver };
    const char *op = strcmp(luaL_checkstring(L, 1), "worker pool") == 0 ? "worker pool" : "process pool";
    int kind = luaL_checkoption(L, 3, NULL, kinds), rc;
    struct mw_pool_limits limits;
    struct box *box, *hand;
    struct mw_pool_set *s;
    struct mw_err err;

    lua_settop(L, 5);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    box = mw_box_new(L, sizeof *box, MW_POOL_TYPE);
    hand = mw_box_new(L, sizeof *hand, MW_POOL_HAND_TYPE); /* [.. box hand] */
    rc = mw_host_room(mw_host_of(L), op, NULL, &err);
    if (rc < 0) return mw_push_err(L, &err);
    s = calloc(1, sizeof *s);
    if (s == NULL) return mw_err_set(&err, MW_ENOMEM, op, NULL, NULL), mw_push_err(L, &err);
    box->s = s;
    s->refs = 1;
    s->host = mw_host_of(L);
    s->op = op;
    s->threads = op[0] == 'w';
    s->driver = drivers[kind];
    s->armed = MW_POOL_NEVER;
    mw_wait_init(&s->manage);
    mw_wait_init(&s->room);
    mw_wait_init(&s->empty);
    mw_list_init(&s->calls);
    s->plain = lua_toboolean(L, 5);
    mw_pool_options_read(L, 2, op, s, &limits);
    if (mw_pool_init(&s->pool, &limits, &ops) < 0)
        return mw_err_set(&err, MW_ENOMEM, op, NULL, NULL), mw_push_err(L, &err);
    mw_host_adopt(s->host, &s->handle, on_shutdown);
    name_it(L, s);
    mw_tapped_add(L, &s->tapped, turn);
    hand->s = s;
    s->refs++;
    lua_pushcfunction(L, manage);
    lua_pushvalue(L, 7);
    lua_pushvalue(L, 4);
    rc = mw_task_start(mw_host_root(s->host), L, 2, op, 1, NULL, &err);
    if (rc < 0) {
        set_close(s);
        return mw_push_err(L, &err);
    }
    lua_settop(L, 7);
    return 2;
}

/* begin(pool, hand, keeper, child?): the first worker, whose child is there already; or min_idle of them     [-0, +0, e] */
static int pool_begin(lua_State *L) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    struct mw_err err;

    lua_settop(L, 4);
    lua_remove(L, 1); /* [hand keeper child] */
    if (!lua_isnil(L, 3)) {
        if (start_keeper(L, s, 3, &err) < 0) return mw_push_err(L, &err);
        s->pool.asked++;
    }
    mw_pool_tick(&s->pool, mw_pool_clock());
    mw_pool_settle(s);
    return 0;
}

/* ---- Workers -------------------------------------------------------------------------------------------------------------------- */

struct mw_pool_worker *mw_pool_worker_new(lua_State *L, struct mw_pool_set *s) {
    struct mw_pool_worker *w = lua_newuserdatauv(L, sizeof *w, 1);

    memset(w, 0, sizeof *w);
    luaL_setmetatable(L, MW_POOL_WORKER_TYPE);
    mw_list_init(&w->member.link);
    mw_wait_init(&w->work);
    w->keeper = mw_task_hold(mw_task_current(s->host));
    w->id = ++s->serial;
    w->started_at = mw_pool_clock();
    w->set = s;
    s->refs++;
    return w;
}

void mw_pool_worker_lost(struct mw_pool_worker *w, enum mw_pool_exit how, struct mw_pool_death *death) {
    struct mw_pool_set *s = w->set;

    if (s == NULL) {
        mw_pool_death_drop(death);
        return;
    }
    if (s->driver->detach != NULL && w->line != NULL) s->driver->detach(w);
    w->set = NULL;
    w->line = NULL;
    if (death != NULL && (how == MW_POOL_DIED || s->last == NULL)) {
        mw_pool_death_drop(s->last);
        s->last = death;
        death = NULL;
    }
    mw_pool_death_drop(death);
    if (!mw_list_empty(&w->member.link)) mw_pool_lost(&s->pool, &w->member, how, mw_pool_clock());
    mw_pool_page_free(w->page);
    w->page = NULL;
    w->member.mark = NULL;
    mw_host_forget_dusk(&w->dusk);
    mw_bytes_free(&w->out);
    mw_pool_settle(s);
    mw_wait_wake(&s->manage);
    mw_task_release(w->keeper);
    mw_pool_set_release(s);
}

static int worker_gc(lua_State *L) {
    mw_pool_worker_lost(lua_touserdata(L, 1), MW_POOL_DIED, NULL);
    return 0;
}

int mw_pool_worker_answered(struct mw_pool_worker *w, uint32_t seq, unsigned kind, uint64_t run_ns, uint64_t now,
                            const char *at, size_t len, struct mw_cargo *cargo) {
    struct mw_pool_task *t;
    struct mw_call *c;
    int rc = mw_pool_answered(&w->set->pool, &w->member, seq, kind == MW_POOL_OK ? MW_POOL_DONE : MW_POOL_FAILED, run_ns, now, &t);

    if (rc == 1) mw_pool_set_measure(w->set, t, run_ns, now);
    if (rc != 1) {
        mw_cargo_free(cargo);
        return rc;
    }
    c = MW_LIST_ENTRY(t, struct mw_call, task);
    mw_cargo_free(c->cargo);
    c->cargo = cargo;
    if (c->orphan) {
        mw_call_free(c);
        return 1;
    }
    c->kind = kind;
    c->answer = len <= sizeof c->answer_room ? c->answer_room : malloc(len);
    if (c->answer == NULL) {
        mw_call_ended(c, MW_ENOMEM, MW_POOL_IN_RUN, NULL);
        return 1;
    }
    if (len > 0) memcpy(c->answer, at, len);
    c->answer_len = len;
    mw_call_ended(c, 0, MW_POOL_IN_RUN, NULL);
    return 1;
}

/* refused(hand, err): a worker that was wanted could not be started                                    [-0, +0, e] */
static int pool_refused(lua_State *L) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    struct mw_err err;

    mw_err_from(L, 2, &err);
    mw_pool_death_drop(s->last);
    s->last = mw_pool_death_new(err.message, NULL, 0);
    mw_pool_refused(&s->pool, mw_pool_clock());
    mw_pool_settle(s);
    return 0;
}

/* ---- Looking and ending ------------------------------------------------------------------------------------------------------------ */

static void set_integer(lua_State *L, const char *name, uint64_t v) {
    lua_pushinteger(L, (lua_Integer)v);
    lua_setfield(L, -2, name);
}

static void set_tally(lua_State *L, const char *name, const struct mw_tally *t) {
    lua_createtable(L, 0, 2);
    lua_pushnumber(L, (lua_Number)mw_tally_at(t, 500) / 1e9);
    lua_setfield(L, -2, "p50");
    lua_pushnumber(L, (lua_Number)mw_tally_at(t, 990) / 1e9);
    lua_setfield(L, -2, "p99");
    lua_setfield(L, -2, name);
}

/* pool:stats() -> { size, busy, idle, queued, ... }                                                    [-0, +1, e] */
static int pool_stats(lua_State *L) {
    static const char *const states[] = { "open", "draining", "broken", "closed" };
    struct mw_pool_set *s = mw_pool_check(L, 1);
    struct mw_pool *p = &s->pool;

    lua_createtable(L, 0, 16);
    set_integer(L, "size", p->count);
    set_integer(L, "max", p->limits.size);
    set_integer(L, "busy", p->loaded);
    set_integer(L, "idle", p->idle);
    set_integer(L, "starting", p->asked + p->unready);
    set_integer(L, "queued", mw_pool_waiting(p));
    set_integer(L, "completed", p->stats.completed);
    set_integer(L, "failed", p->stats.failed);
    set_integer(L, "crashed", p->stats.crashed);
    set_integer(L, "restarted", p->stats.restarted);
    set_integer(L, "recycled", p->stats.recycled);
    set_tally(L, "wait", &p->wait);
    set_tally(L, "run", &p->run);
    lua_pushstring(L, states[p->state]);
    lua_setfield(L, -2, "state");
    if (s->last != NULL) {
        lua_pushstring(L, s->last->why);
        lua_setfield(L, -2, "reason");
    }
    return 1;
}

static const char *state_of(const struct mw_pool_member *m) {
    if (m->state == MW_POOL_STARTING) return "starting";
    if (m->state == MW_POOL_LEAVING) return "leaving";
    if (m->state == MW_POOL_KILLED) return "ending";
    return m->load > 0 ? "busy" : m->skips > 0 ? "stuck" : "idle";
}

/* members(pool) -> { { id, pid, state, tasks }, ... }                                                   [-0, +1, e] */
static int pool_members(lua_State *L) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    lua_Integer n = 0;

    lua_createtable(L, (int)s->pool.count, 0);
    for (struct mw_list *at = s->pool.members.next; at != &s->pool.members; at = at->next) {
        struct mw_pool_worker *w =
            MW_LIST_ENTRY(MW_LIST_ENTRY(at, struct mw_pool_member, link), struct mw_pool_worker, member);

        lua_createtable(L, 0, 5);
        set_integer(L, "id", w->id);
        if (w->pid != 0) set_integer(L, "pid", (uint64_t)w->pid);
        set_integer(L, "tasks", w->member.done);
        set_integer(L, "given", w->member.load);
        lua_pushstring(L, state_of(&w->member));
        lua_setfield(L, -2, "state");
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* signal(pool, id, name) -> true | nil, err (ESRCH): to that worker. What it has crashes, and nobody counts it as a sign that nothing
 * works.                                                                                               [-0, +1|2, e] */
static int pool_signal(lua_State *L) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    lua_Integer id = luaL_checkinteger(L, 2);
    int number = mw_process_signal_read(L, 3, "pool worker kill", "the signal"), rc = -ESRCH;
    struct mw_err err;

    for (struct mw_list *at = s->pool.members.next; at != &s->pool.members; at = at->next) {
        struct mw_pool_worker *w =
            MW_LIST_ENTRY(MW_LIST_ENTRY(at, struct mw_pool_member, link), struct mw_pool_worker, member);

        if (w->id != (unsigned)id) continue;
        if (w->child == NULL) { /* it has no process of its own, or has another each time */
            mw_task_cancel(w->keeper, "its worker was killed");
            rc = 0;
        } else {
            rc = mw_process_signal(w->child, number);
        }
        if (rc == 0) w->member.blameless = 1;
        break;
    }
    if (rc == 0) return lua_pushboolean(L, 1), 1;
    mw_err_set(&err, rc, "pool worker kill", NULL, rc == -ESRCH ? "it has ended" : NULL);
    return mw_push_err(L, &err);
}

/* pool:drain{ timeout = } -> true | nil, err (ETIMEDOUT): takes no more, waits until all is done and every worker has gone */
static int drain_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_pool_set *s = mw_pool_check(L, 1);
    struct mw_err err;

    if (mw_pool_is_empty(&s->pool) || s->pool.state == MW_POOL_CLOSED) return lua_pushboolean(L, 1), 1;
    if (code == MW_ETIMEDOUT) {
        mw_err_setf(&err, code, s->op, "drain", "%u tasks wait, %u run, %u workers have not ended",
                    mw_pool_waiting(&s->pool), s->pool.loaded, s->pool.count);
        return mw_push_err(L, &err);
    }
    return mw_wait_yield(L, &s->empty, (uint64_t)ctx, ctx, drain_k);
}
static int pool_drain(lua_State *L) {
    static const char *const known[] = { "timeout", NULL };
    struct mw_pool_set *s = mw_pool_check(L, 1);
    uint64_t deadline;

    mw_opt_open(L, 2, "pool.drain", known, 0);
    deadline = mw_opt_deadline(L, 2, "pool.drain");
    lua_settop(L, 1);
    mw_pool_drain(&s->pool, mw_pool_clock());
    mw_pool_settle(s);
    return drain_k(L, 0, (lua_KContext)deadline);
}

static int pool_close(lua_State *L) {
    struct box *box = mw_box_check(L, 1, MW_POOL_TYPE);

    if (box->s != NULL) set_close(box->s);
    return 0;
}

static int pool_gc(lua_State *L) {
    struct box *box = lua_touserdata(L, 1);
    struct mw_pool_set *s = box->s;

    box->s = NULL;
    if (s == NULL) return 0;
    if (s->pool.state != MW_POOL_CLOSED && !(s->pool.state != MW_POOL_OPEN && mw_pool_is_empty(&s->pool)) &&
        s->pool.ops != NULL)
        mw_box_warn(L, 1, s->op);
    if (s->pool.ops != NULL) set_close(s);
    mw_pool_set_release(s);
    return 0;
}

static int hand_gc(lua_State *L) {
    struct box *box = lua_touserdata(L, 1);
    struct mw_pool_set *s = box->s;

    box->s = NULL;
    mw_pool_set_release(s);
    return 0;
}

static int pool_tostring(lua_State *L) {
    struct mw_pool_set *s = mw_pool_check(L, 1);

    lua_pushfstring(L, "%s (%d workers, %d tasks)", s->op, (int)s->pool.count,
                    (int)(s->pool.queue.count + s->pool.given));
    return 1;
}

/* is_thread() -> boolean: mw.serve is for a pool's thread                                                  [-0, +1, -] */
static int pool_is_thread(lua_State *L) {
    lua_pushboolean(L, mw_pool_is_thread(L));
    return 1;
}

int mw_door_pool(lua_State *L) {
    static const luaL_Reg methods[] = {
        { "stats", pool_stats }, { "drain", pool_drain }, { "close", pool_close }, { NULL, NULL }
    };
    static const luaL_Reg meta[] = {
        { "__gc", pool_gc }, { "__close", pool_close }, { "__tostring", pool_tostring }, { NULL, NULL }
    };
    static const luaL_Reg none[] = { { NULL, NULL } }, hand_meta[] = { { "__gc", hand_gc }, { NULL, NULL } };
    static const luaL_Reg worker_meta[] = { { "__gc", worker_gc }, { "__close", worker_gc }, { NULL, NULL } };
    static const luaL_Reg fns[] = { { "new", pool_new },
                                    { "begin", pool_begin },
                                    { "refused", pool_refused },
                                    { "members", pool_members },
                                    { "signal", pool_signal },
                                    { "attend", mw_pool_attend },
                                    { "attend_thread", mw_pool_attend_thread },
                                    { "is_thread", pool_is_thread },
                                    { "work", mw_pool_work },
                                    { "take", mw_pool_take },
                                    { "answer", mw_pool_answer },
                                    { "lost", mw_pool_lose },
                                    { "idle", mw_pool_idle },
                                    { "serve", mw_pool_serve },
                                    { NULL, NULL } };

    mw_type_new(L, MW_POOL_TYPE, methods, meta);
    mw_type_new(L, MW_POOL_HAND_TYPE, none, hand_meta);
    mw_type_new(L, MW_POOL_WORKER_TYPE, none, worker_meta);
    mw_type_methods(L, MW_POOL_TYPE); /* [methods] */
    luaL_getmetatable(L, MW_POOL_TYPE);
    luaL_setfuncs(L, mw_pool_call_methods, 1);
    luaL_newlib(L, fns); /* [methods fns] */
    lua_insert(L, -2);
    lua_setfield(L, -2, "methods");
    return 1;
}
