/* Calls of a pool: a request is encoded once, its caller parks, and decodes the answer itself.
 * Knows: bind/arg, bind/pool, codec, pool, core. Never: makes a Lua table or closure for a call; frees a call that a worker has. */
#include <stdlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/pool.h"
#include "bind/process.h"
#include "bind/worker.h"

struct box {
    struct mw_pool_set *s;
};

/* ---- How a worker ended ----------------------------------------------------------------------------------------------------------- */

struct mw_pool_death *mw_pool_death_new(const char *why, const char *tail, size_t len) {
    struct mw_pool_death *d;

    if (len > MW_POOL_TAIL) {
        tail += len - MW_POOL_TAIL;
        len = MW_POOL_TAIL;
    }
    d = calloc(1, sizeof *d + len);
    if (d == NULL) return NULL;
    d->refs = 1;
    d->exit_code = -1;
    mw_err_escape(d->why, sizeof d->why, why, strlen(why));
    if (len > 0) memcpy(d->tail, tail, len);
    d->tail_len = len;
    return d;
}

void mw_pool_death_drop(struct mw_pool_death *d) {
    if (d != NULL && --d->refs == 0) free(d);
}

/* ---- A call's life ------------------------------------------------------------------------------------------------------------------ */

static struct mw_call *call_new(struct mw_pool_set *s, const char *name, size_t name_len) {
    struct mw_call *c = malloc(sizeof *c);
    size_t len = name_len + mw_bytes_len(&s->scratch);

    if (c == NULL) return NULL;
    memset(c, 0, offsetof(struct mw_call, request_room));
    c->request = len <= sizeof c->request_room ? c->request_room : malloc(len);
    if (c->request == NULL) {
        free(c);
        return NULL;
    }
    memcpy(c->request, name, name_len);
    if (len > name_len) memcpy(c->request + name_len, mw_bytes_at(&s->scratch), len - name_len);
    c->name_len = (unsigned)name_len;
    c->request_len = len;
    c->task.bytes = len + sizeof *c;
    c->number = ++s->numbers;
    mw_wait_init(&c->done);
    mw_list_add(&s->calls, &c->link);
    return c;
}

void mw_call_free(struct mw_call *c) {
    mw_list_remove(&c->link);
    if (c->request != c->request_room) free(c->request);
    if (c->answer != c->answer_room) free(c->answer);
    mw_cargo_free(c->cargo);
    mw_pool_death_drop(c->death);
    free(c);
}

void mw_call_ended(struct mw_call *c, int code, enum mw_pool_phase phase, struct mw_pool_death *death) {
    if (c->orphan) {
        mw_call_free(c);
        return;
    }
    c->over = 1;
    c->code = code;
    c->phase = phase;
    if (death != NULL) death->refs++;
    c->death = death;
    mw_wait_wake(&c->done);
}

/* ---- What a caller gets ---------------------------------------------------------------------------------------------------------------- */

void mw_pool_death_push(lua_State *L, const struct mw_pool_death *d, int table) {
    if (d->known && d->exit_code >= 0) {
        lua_pushinteger(L, d->exit_code);
        lua_setfield(L, table, "exit_code");
    }
    if (d->known && d->signal != 0) {
        const char *name = mw_process_signal_name(d->signal);

        if (name != NULL)
            lua_pushstring(L, name);
        else
            lua_pushinteger(L, d->signal);
        lua_setfield(L, table, "signal");
    }
    if (d->pid != 0) {
        lua_pushinteger(L, d->pid);
        lua_setfield(L, table, "pid");
    }
    if (d->code[0] != '\0') {
        lua_pushstring(L, d->code);
        lua_setfield(L, table, "code");
    }
    lua_pushlstring(L, d->tail, d->tail_len);
    lua_setfield(L, table, d->traced ? "traceback" : "stderr");
    lua_pushstring(L, d->why);
    lua_setfield(L, table, "reason");
}

/* May raise: the call is its set's still. */
static void tell_failure(lua_State *L, const struct mw_pool_set *s, const struct mw_call *c, const char *why) {
    if (s->probes != NULL) mw_tap_tell_failure(L, s->probes, MW_PROBE_RECV, c->number, c->pid, why);
}

static void push_name(lua_State *L, const struct mw_call *c) {
    lua_pushlstring(L, c->request, c->name_len);
}

/* err.data: task, attempts, and what is known of the end.                                               [-0, +1, m] */
static int push_data(lua_State *L, const struct mw_call *c) {
    int at;

    lua_createtable(L, 0, 8);
    at = lua_gettop(L);
    if (c->name_len > 0) {
        push_name(L, c);
        lua_setfield(L, at, "task");
    }
    lua_pushinteger(L, c->task.attempts);
    lua_setfield(L, at, "attempts");
    return at;
}

static int push_failure(lua_State *L, struct mw_pool_set *s, struct mw_call *c) {
    char name[MW_POOL_NAME_MAX + 1];
    struct mw_err err;
    int at, code = c->code;

    memcpy(name, c->request, c->name_len);
    name[c->name_len] = '\0';
    at = push_data(L, c);
    if (code == MW_ETIMEDOUT) {
        int ran = c->phase == MW_POOL_IN_RUN;

        if (!ran && s->pool.idle + s->pool.loaded == 0) /* not busy: none works */
            mw_err_setf(&err, code, s->op, name, "no worker was ready in time%s%s",
                        s->last != NULL ? "; the last one: " : "", s->last != NULL ? s->last->why : "");
        else
            mw_err_set(&err, code, s->op, name,
                       ran ? "it ran longer than it may, and its worker was ended" : "no worker was free in time");
        mw_err_hint(&err, ran ? "task_timeout, or timeout of the call, sets the limit"
                              : "queue_timeout, or timeout of the call, sets the limit");
        lua_pushstring(L, ran ? "run" : "queue");
        lua_setfield(L, at, "phase");
    } else if (code == MW_ECRASHED) {
        const char *why = c->death != NULL ? c->death->why : "it has ended";

        if (c->phase == MW_POOL_IN_RUN)
            mw_err_setf(&err, code, s->op, name, "its worker %s", why);
        else
            mw_err_setf(&err, code, s->op, name, "the pool is broken: its workers do not work; the last one: %s", why);
        if (c->death != NULL) mw_pool_death_push(L, c->death, at);
    } else {
        mw_err_set(&err, code, s->op, name, code == MW_ECLOSED ? "the pool was closed" : NULL);
    }
    tell_failure(L, s, c, err.message);
    mw_call_free(c);
    return mw_push_err_data(L, &err);
}

/* The handler raised: [error traceback] on top.                                                           [-2, +2, m] */
static int push_raised(lua_State *L, struct mw_pool_set *s, struct mw_call *c) {
    int error = lua_gettop(L) - 1, at;
    char name[MW_POOL_NAME_MAX + 1];
    struct mw_err err, said;

    memcpy(name, c->request, c->name_len);
    name[c->name_len] = '\0';
    mw_err_from(L, error, &said);
    mw_err_set(&err, MW_ETASK, s->op, name, said.message);
    at = push_data(L, c);
    lua_pushvalue(L, error);
    lua_setfield(L, at, "error");
    lua_pushvalue(L, error + 1);
    lua_setfield(L, at, "traceback");
    tell_failure(L, s, c, said.message);
    mw_call_free(c);
    return mw_push_err_data(L, &err);
}

/* The answer of a call that is over; the call goes.                                                       [-0, +n, e] */
static int push_answer(lua_State *L, struct mw_pool_set *s, struct mw_call *c) {
    struct mw_value_options o = { .root = "answer", .record = MW_ERROR_TYPE };
    size_t at = 0, used = 0;
    struct mw_err err;
    int n, rc = 0;

    if (c->code != 0) return push_failure(L, s, c);
    if (c->cargo != NULL) {
        o.ud = mw_talk_load(L, c->cargo);
        o.get = mw_talk_hook_get;
    }
    for (n = 0; at < c->answer_len && rc == 0; at += used, n++) {
        luaL_checkstack(L, 8, "answer");
        rc = mw_value_read(L, c->answer + at, c->answer_len - at, &used, &o, &err);
    }
    if (c->cargo != NULL) mw_talk_close(o.ud);
    if (rc < 0 || (c->kind == MW_POOL_RAISED && n != 2) || (c->kind == MW_POOL_REFUSED && n != 1)) {
        c->code = MW_EFRAME;
        return push_failure(L, s, c);
    }
    if (c->kind == MW_POOL_RAISED) return push_raised(L, s, c);
    if (c->kind == MW_POOL_REFUSED) {
        tell_failure(L, s, c, "refused");
        mw_call_free(c);
        return lua_error(L);
    }
    if (s->probes != NULL) mw_tap_tell_answer(L, s->probes, MW_PROBE_RECV, c->number, c->pid, n);
    mw_call_free(c);
    if (n > 0) return n;
    lua_pushnil(L); /* so that select("#", ...) is as of a call with one result */
    return 1;
}

/* ---- Calling ---------------------------------------------------------------------------------------------------------------------------- */

static void abandon(struct mw_pool_set *s, struct mw_call *c) {
    int mine;

    c->orphan = c->task.state == MW_POOL_TASK_GIVEN; /* then it is freed when it ends */
    mine = mw_pool_abandon(&s->pool, &c->task, s->cancel_kills, mw_pool_clock());
    if (mine) mw_call_free(c);
    mw_pool_settle(s);
}

static int call_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_call *c = (struct mw_call *)ctx;
    struct mw_pool_set *s = ((struct box *)lua_touserdata(L, 1))->s;

    if (code == MW_ECANCELED) {
        if (c->over)
            mw_call_free(c);
        else
            abandon(s, c);
        return mw_wait_cancelled(L);
    }
    if (!c->over) return mw_wait_yield_raw(L, &c->done, MW_NEVER, ctx, call_k);
    return push_answer(L, s, c);
}

/* Why mw_pool_add refused.                                                                                [-0, +2, e] */
static int push_refusal(lua_State *L, struct mw_pool_set *s, struct mw_call *c, int code) {
    struct mw_err err;
    char name[MW_POOL_NAME_MAX + 1];

    memcpy(name, c->request, c->name_len);
    name[c->name_len] = '\0';
    if (code == MW_ECRASHED) {
        c->code = code;
        c->phase = MW_POOL_IN_QUEUE;
        c->death = s->last;
        if (c->death != NULL) c->death->refs++;
        return push_failure(L, s, c);
    }
    if (code == MW_EAGAIN) {
        mw_err_setf(&err, code, s->op, name, "the queue is full: %u tasks wait", mw_pool_waiting(&s->pool));
        mw_err_hint(&err, "max_queue and max_queue_bytes set the limits; call waits instead");
    } else if (code == MW_ELIMIT) {
        mw_err_setf(&err, code, s->op, name, "its request has %zu bytes, more than the whole queue may hold",
                    c->request_len);
        mw_err_hint(&err, "max_queue_bytes sets the limit");
    } else {
        mw_err_set(&err, code, s->op, name,
                   code != MW_ECLOSED                  ? NULL
                   : s->pool.state == MW_POOL_DRAINING ? "the pool is being drained"
                                                       : "the pool is closed");
    }
    mw_call_free(c);
    return mw_push_err(L, &err);
}

/* What a caller that found the queue full waits for: its deadline is the call's queue_until. */
static int room_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_call *c = (struct mw_call *)ctx;
    struct mw_pool_set *s = ((struct box *)lua_touserdata(L, 1))->s;
    int rc;

    if (code != 0 && !mw_wait_empty(&s->room) && mw_pool_has_room(&s->pool, 0))
        mw_wait_wake_one(&s->room); /* in our place */
    if (code == MW_ECANCELED) {
        mw_call_free(c);
        return mw_wait_cancelled(L);
    }
    if (code == MW_ETIMEDOUT) {
        c->code = code;
        c->phase = MW_POOL_IN_QUEUE;
        s->pool.stats.failed++;
        return push_failure(L, s, c);
    }
    rc = mw_pool_add(&s->pool, &c->task, c->task.queue_until, mw_pool_clock());
    mw_pool_settle(s);
    if (rc == MW_EAGAIN) {
        uint64_t now = mw_pool_clock(), left = c->task.queue_until == MW_POOL_NEVER ? 0
                                               : c->task.queue_until > now          ? c->task.queue_until - now
                                                                                    : 1;

        return mw_wait_yield_raw(L, &s->room, left == 0 ? MW_NEVER : mw_host_now(s->host) + left, ctx, room_k);
    }
    if (rc < 0) return push_refusal(L, s, c, rc);
    if (!mw_wait_empty(&s->room) && mw_pool_has_room(&s->pool, 0)) mw_wait_wake_one(&s->room);
    return mw_wait_yield_raw(L, &c->done, MW_NEVER, ctx, call_k);
}

static uint64_t sum(uint64_t a, uint64_t b) {
    return b > MW_POOL_NEVER - a ? MW_POOL_NEVER : a + b;
}

/* { priority =, timeout = } of the table at idx. */
static void read_options(lua_State *L, int idx, struct mw_pool_set *s, int *priority, uint64_t *timeout) {
    static const char *const known[] = { "priority", "timeout", NULL };

    mw_opt_open(L, idx, s->op, known, 0);
    *priority = (int)mw_opt_integer(L, idx, s->op, "priority", -1000000, 1000000, 0);
    *timeout = mw_opt_duration(L, idx, s->op, "timeout", UINT64_MAX);
}

/* Objects in a call go to threads; a process would need them as descriptors beside its tasks. */
static int no_objects(void *ud, lua_State *L, int idx, uint32_t *slot, struct mw_err *err) {
    (void)ud;
    (void)slot;
    if (mw_parcel_test(L, idx) == MW_PARCEL_NONE) return 1;
    mw_err_set(err, MW_EINVAL, "process pool", NULL, "shared memory, rings and streams cannot be sent in a call to a process");
    return mw_err_hint(err, "the pool's option share gives them to its workers; mw.worker.pool takes them in calls");
}

/* The call of [pool name value ...], encoded; `named`: there is a name at 2. Raises before anything is taken. */
static struct mw_call *make(lua_State *L, struct mw_pool_set *s, int named, int options, uint64_t now) {
    struct mw_value_options o = { .bytes_max = s->message_max, .root = "argument", .record = MW_ERROR_TYPE };
    int priority = 0, threads = s->driver == &mw_pool_thread_driver;
    uint64_t timeout = MW_POOL_NEVER;
    const char *name = "";
    size_t name_len = 0;
    struct mw_err err;
    struct mw_call *c;

    if (named) {
        if (lua_type(L, 2) != LUA_TSTRING)
            mw_raise_inval(L, s->op, "the name of the task must be a string, got %s", luaL_typename(L, 2));
        name = lua_tolstring(L, 2, &name_len);
        if (name_len > MW_POOL_NAME_MAX || memchr(name, '\0', name_len) != NULL)
            mw_raise_inval(L, s->op, "that is no name of a task: too long, or with a NUL byte in it");
    }
    if (!lua_isnoneornil(L, options)) read_options(L, options, s, &priority, &timeout);
    s->scratch.head = s->scratch.tail = 0;
    o.put = threads ? mw_talk_hook_put : no_objects;
    if (threads) o.ud = mw_talk_begin(L);
    if (mw_value_write(L, named ? 3 : 2, &s->scratch, &o, &err) < 0) {
        if (err.code == MW_ELIMIT) mw_err_hint(&err, "option max of the pool sets the limit");
        mw_raise(L, &err);
    }
    c = call_new(s, name, name_len);
    mw_bytes_consume(&s->scratch, mw_bytes_len(&s->scratch));
    mw_bytes_shrink(&s->scratch, 64 << 10);
    if (c == NULL) {
        mw_err_set(&err, MW_ENOMEM, s->op, name, NULL);
        mw_raise(L, &err);
    }
    if (threads && mw_talk_pack(L, o.ud, &c->cargo, &err) < 0) {
        mw_call_free(c);
        mw_raise(L, &err);
    }
    c->task.priority = priority;
    c->task.until = timeout == MW_POOL_NEVER ? MW_POOL_NEVER : sum(now, timeout);
    c->task.run_ns = s->task_ns;
    if (s->probes != NULL) mw_tap_tell_call(L, s->probes, MW_PROBE_SEND, c->number, name, named ? 3 : 2);
    return c;
}

static int begin(lua_State *L, int wait) {
    struct box *box = mw_box_self(L, MW_POOL_TYPE);
    uint64_t now = mw_pool_clock();
    struct mw_pool_set *s = box->s;
    struct mw_call *c;
    int rc, named;

    if (s == NULL) return mw_raise_inval(L, "pool", "this pool was never opened");
    if (!mw_wait_possible(L)) return mw_wait_cancelled(L);
    named = !s->plain;
    lua_settop(L, named ? 4 : 3);
    c = make(L, s, named, named ? 4 : 3, now);
    rc = wait && !mw_wait_empty(&s->room)
             ? MW_EAGAIN
             : mw_pool_add(&s->pool, &c->task, MW_POOL_NEVER, now); /* others were here first */
    mw_pool_settle(s);
    if (rc == 0) return mw_wait_yield_raw(L, &c->done, MW_NEVER, (lua_KContext)c, call_k);
    if (rc != MW_EAGAIN || !wait) return push_refusal(L, s, c, rc);
    c->task.queue_until = sum(now, s->pool.limits.queue_ns);
    if (c->task.until < c->task.queue_until) c->task.queue_until = c->task.until;
    return mw_wait_yield_raw(L, &s->room,
                             c->task.queue_until == MW_POOL_NEVER ? MW_NEVER
                                                                  : mw_host_now(s->host) + (c->task.queue_until - now),
                             (lua_KContext)c, room_k);
}

/* pool:call(name, value, { priority, timeout }) -> values | nil, err; of workers that know one thing only without the name
 *                                                                                                          [-0, +1|2, ey] */
static int pool_call(lua_State *L) {
    return begin(L, 1);
}
/* pool:try_call(...): nil, EAGAIN instead of waiting for room in the queue                                  [-0, +1|2, ey] */
static int pool_try_call(lua_State *L) {
    return begin(L, 0);
}
const luaL_Reg mw_pool_call_methods[] = { { "call", pool_call }, { "try_call", pool_try_call }, { NULL, NULL } };
