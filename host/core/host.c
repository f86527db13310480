/* One host: its loop, its Lua state, its open handles; its beginning, and its end in the order that is safe.
 * Knows: core, uv.h, lua.h. Never: a primitive by name; the turn of the loop (core/loop). */
#include "core/host.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "core/inside.h"
#include "core/poll.h"
#include "core/raise.h"

#define LOOP_DESCRIPTORS 10     /* epoll, two eventfds, the signal pipes, and room for what libuv opens later */
#define WATCHED 1000            /* descriptors that the loop's table has room for from the start */
#define DRAIN_NS 5000000000u    /* how long a stuck thread-pool job may hold the end of a host */

#ifndef MW_MODULE
mw_host *mw_host_of(lua_State *L) {
    uintptr_t at = *(uintptr_t *)lua_getextraspace(L); /* states that we made: coroutines copy it from the main one */
    return (mw_host *)(at & ~(uintptr_t)MW_CO_BITS);
}
uintptr_t mw_co_bits(lua_State *co) {
    return *(uintptr_t *)lua_getextraspace(co) & MW_CO_BITS;
}
void mw_co_mark(lua_State *L, lua_State *co, uintptr_t bit, int on) {
    uintptr_t *at = lua_getextraspace(co);
    (void)L;
    *at = on ? *at | bit : *at & ~bit;
}
void mw_host_introduce(lua_State *L, mw_host *h) {
    *(mw_host **)lua_getextraspace(L) = h;
}
#endif

/* ---- Lua outside tasks ------------------------------------------------------------------------------------------------ */

void mw_host_set_unprotected(mw_host *h) {
    h->unprotected = 1;
}
void mw_host_in_callback(mw_host *h, int on) {
    h->callbacks += on ? 1 : -1;
    if (h->running != NULL || h->callbacks != (on ? 1 : 0)) return; /* the task's coroutine, or the outer callback, is watched */
    atomic_store_explicit(&h->co, on ? h->L : NULL, memory_order_relaxed);
    h->callback_strikes = 0;
    if (on) {
        mw_tick_start(h);
        mw_step_begin(h);
    }
    if (!on) mw_hook_watch(h->L);
    else if (atomic_load_explicit(&h->stop_lua, memory_order_relaxed)) mw_hook_arm(h->L);
}

/* ---- Accessors -------------------------------------------------------------------------------------------------------- */

uv_loop_t *mw_host_loop(mw_host *h) {
    return h->loop;
}
lua_State *mw_host_state(mw_host *h) {
    return h->L;
}
struct mw_hooks *mw_host_hooks(mw_host *h) {
    return &h->hooks;
}
struct mw_policy *mw_host_policy(mw_host *h) {
    return h->policy;
}
void mw_host_set_policy(mw_host *h, struct mw_policy *p) {
    h->policy = p;
}
mw_scope *mw_host_root(mw_host *h) {
    return h->root;
}
const char *mw_host_said_code(const mw_host *h) {
    return h->said_code != NULL ? h->said_code : "";
}
int mw_host_closing(mw_host *h) {
    return h->closing;
}
int mw_host_finishing(const mw_host *h) {
    return h->finishing;
}
const struct mw_limits *mw_host_limits(const mw_host *h) {
    return &h->limits;
}
const struct mw_limits *mw_host_limits_given(const mw_host *h) {
    return &h->limits_given;
}
int mw_host_limit_reached(const mw_host *h, struct mw_err *err, const char *op, const char *subject, const char *name, const char *what) {
    mw_limits_reached(err, op, subject, name, what);
    if (!h->hooks.command_line && h->lent) mw_err_hint(err, "%s", "");
    else if (!h->hooks.command_line) mw_err_hint(err, "the program sets it: mw_config.limits.%s", strcmp(name, "step") == 0 ? "step_ns" : name);
    return MW_ELIMIT;
}
int mw_host_room(mw_host *h, const char *op, const char *subject, struct mw_err *err) {
    char what[96];

    if (h->finishing) return mw_err_set(err, MW_ECLOSED, op, subject, "the host is shutting down");
    if (h->handle_count < h->limits.handles) return 0;
    snprintf(what, sizeof what, "%llu handles are open, at most %llu are allowed", (unsigned long long)h->handle_count, (unsigned long long)h->limits.handles);
    return mw_host_limit_reached(h, err, op, subject, "handles", what);
}
void mw_host_set_preempt(mw_host *h, enum mw_preempt how, int unlimited) {
    h->preempt = how == MW_PREEMPT_DEFAULT ? MW_PREEMPT_COUNT : how;
    if (how == MW_PREEMPT_NONE || unlimited) h->limits.step_ns = MW_LIMIT_OFF;
    mw_hook_watch(h->L);
}
uint64_t mw_host_now(mw_host *h) {
    return uv_hrtime() - h->paused;
}
uint64_t mw_host_recently(mw_host *h) {
    struct timespec at;

    if (clock_gettime(CLOCK_MONOTONIC_COARSE, &at) < 0) return mw_host_now(h);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec - h->paused;
}
unsigned mw_host_failures(mw_host *h) {
    return h->failures;
}
size_t mw_host_ready_count(mw_host *h) {
    return h->ready_count;
}

void mw_host_set_grace(mw_host *h, unsigned grace_ms) {
    h->grace_ns = (uint64_t)grace_ms * 1000000u;
}

void mw_host_set_cleanup(mw_host *h, unsigned cleanup_ms) {
    h->cleanup_ns = (uint64_t)cleanup_ms * 1000000u;
}

void mw_host_charge(mw_host *h, size_t before, size_t now) {
    h->buffered = h->buffered - before + now;
}
int mw_host_crowded(const mw_host *h) {
    return h->buffered > h->buffered_max;
}
int mw_host_crowded_beside(const mw_host *h, size_t own) {
    return h->buffered - own > h->buffered_max;
}
void mw_host_set_buffered_max(mw_host *h, size_t bytes) {
    h->buffered_max = bytes;
}

void *mw_host_block(mw_host *h) {
    void *block = h->blocks;

    if (block == NULL) return malloc(MW_BLOCK);
    h->blocks = *(void **)block;
    h->block_count--;
    return block;
}
void mw_host_block_back(mw_host *h, void *block) {
    if (h->block_count >= MW_BLOCKS_KEPT || h->closing) {
        free(block);
        return;
    }
    *(void **)block = h->blocks;
    h->blocks = block;
    h->block_count++;
}
static void free_blocks(mw_host *h) {
    while (h->block_count > 0) free(mw_host_block(h));
}

void mw_host_adopt(mw_host *h, struct mw_handle *it, void (*close)(struct mw_handle *)) {
    it->close = close;
    it->busy = NULL;
    it->count = &h->handle_count;
    h->handle_count++;
    mw_list_add(&h->handles, &it->link);
}
void mw_host_disown(struct mw_handle *it) {
    if (it->link.next == NULL || mw_list_empty(&it->link)) return;
    mw_list_remove(&it->link);
    --*it->count;
}

void mw_host_each(mw_host *h, void (*close)(struct mw_handle *), void (*fn)(struct mw_handle *it, void *ud), void *ud) {
    for (struct mw_list *at = h->handles.next; at != &h->handles; at = at->next) {
        struct mw_handle *it = MW_LIST_ENTRY(at, struct mw_handle, link);
        if (it->close == close) fn(it, ud);
    }
}

struct mw_measures *mw_host_measures(mw_host *h) {
    return &h->measures;
}
unsigned mw_host_works(const mw_host *h) {
    return h->works - h->works_lent;
}
void mw_host_lend_work(mw_host *h, int begins) {
    h->works += begins ? 1u : -1u;
    h->works_lent += begins ? 1u : -1u;
}
void mw_host_keep_state(mw_host *h) {
    h->keep_state = 1;
}
void mw_host_census(const mw_host *h, struct mw_host_census *out) {
    *out = (struct mw_host_census){h->task_count, h->handle_count, h->timers, h->buffered};
}

void *mw_host_slot(const mw_host *h, const void *key) {
    for (int i = 0; i < MW_SLOTS; i++)
        if (h->slots[i].key == key) return atomic_load(&h->slots[i].value);
    return NULL;
}
int mw_host_slot_set(mw_host *h, const void *key, void *value) {
    int i = 0;
    while (i < MW_SLOTS && h->slots[i].key != key && h->slots[i].key != NULL) i++;
    if (i == MW_SLOTS) return MW_ENOMEM;
    atomic_store(&h->slots[i].value, value);
    h->slots[i].key = key;
    return 0;
}

void mw_host_log(mw_host *h, int level, const char *fmt, ...) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char text[2048];
    struct mw_line line;
    struct timespec now;
    va_list ap;
    int n;

    if (h->hooks.log == NULL) return;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) return;
    clock_gettime(CLOCK_REALTIME, &now);
    mw_line_begin(&line, h->hooks.log_json, (double)now.tv_sec + (double)now.tv_nsec / 1e9, names[level & 3], text,
                  (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    mw_line_end(&line);
    h->hooks.log(h->hooks.ud, level, line.at, line.len);
}

/* ---- The beginning ------------------------------------------------------------------------------------------------------ */

/* libuv 1.44.2 aborts when some descriptors of its own, a pipe among them, cannot be made: see first that they can. */
static int room_for_loop(struct mw_err *err) {
    int fds[LOOP_DESCRIPTORS], n, rc = 0;

    if (pipe2(fds, O_CLOEXEC) < 0) return mw_err_sys(err, "host", "loop");
    for (n = 2; n < LOOP_DESCRIPTORS; n++)
        if ((fds[n] = eventfd(0, EFD_CLOEXEC)) < 0) {
            rc = mw_err_sys(err, "host", "loop");
            break;
        }
    while (n > 0) close(fds[--n]);
    return rc;
}

static int open_state(lua_State *L) { /* in a protected call: host */
    mw_host *h = lua_touserdata(L, 1);

    mw_host_introduce(L, h);
    mw_raise_open(L);
    mw_state_open(L);
    return 0;
}

void mw_host_handle_closed(uv_handle_t *it) {
    mw_host *h = it->data;
    h->open_handles--;
}

static void never(uv_poll_t *it, int status, int events) {
    (void)it;
    (void)status;
    (void)events;
}

/* libuv 1.44.2 aborts when its table of watched descriptors cannot be doubled: have it grown now, when memory was just seen
 * to be there, to the size that most programs stay below. */
static int grow_watchers(mw_host *h, struct mw_err *err) {
    void *room = malloc(4 * WATCHED * sizeof(void *));
    int any, fd;

    if (room == NULL) return mw_err_set(err, MW_ENOMEM, "host", "loop", NULL);
    free(room);
    any = eventfd(0, EFD_CLOEXEC);
    if (any < 0) return mw_err_sys(err, "host", "loop");
    fd = fcntl(any, F_DUPFD_CLOEXEC, WATCHED);
    if (fd >= 0 && uv_poll_init(h->loop, &h->grow, fd) == 0) {
        h->grow.data = h;
        h->open_handles++;
        uv_poll_start(&h->grow, UV_READABLE, never);
        uv_poll_stop(&h->grow);
        uv_close((uv_handle_t *)&h->grow, mw_host_handle_closed);
    }
    if (fd >= 0) close(fd); /* without a descriptor that high (RLIMIT_NOFILE) the table stays small */
    close(any);
    return 0;
}

static int open_loop(mw_host *h, uv_loop_t *loop, struct mw_err *err) {
    int rc = room_for_loop(err);

    if (rc < 0) return rc;
    h->owns_loop = loop == NULL;
    if (loop == NULL && (rc = uv_loop_init(&h->own)) < 0) return mw_err_set(err, rc, "host", "loop", NULL);
    h->loop = loop != NULL ? loop : &h->own;
    rc = mw_poll_prepare(h->loop);
    if (rc == 0) rc = mw_loop_open(h);
    if (rc < 0) {
        if (h->owns_loop) uv_loop_close(h->loop);
        return mw_err_set(err, rc, "host", "loop", NULL);
    }
    mw_timers_init(h);
    h->open_handles++;
    return grow_watchers(h, err);
}

static void close_loop_handles(mw_host *h) {
    uv_handle_t *all[] = {(uv_handle_t *)&h->async, (uv_handle_t *)&h->check,   (uv_handle_t *)&h->idle,
                          (uv_handle_t *)&h->bound, (uv_handle_t *)&h->prepare, (uv_handle_t *)&h->timer};

    mw_timers_close(h);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!uv_is_closing(all[i])) uv_close(all[i], mw_host_handle_closed);
}

static int create(uv_loop_t *loop, lua_State *lent, lua_Alloc alloc, void *alloc_ud, const struct mw_limits *limits, mw_host **out, struct mw_err *err) {
    mw_host *h = calloc(1, sizeof *h);
    int rc;

    if (h == NULL) return mw_err_set(err, MW_ENOMEM, "host", NULL, NULL);
    h->lent = lent != NULL;
    if (limits != NULL) h->limits = h->limits_given = *limits;
    mw_limits_fill(&h->limits);
    if (mw_state_prepare(h, alloc, alloc_ud) < 0) {
        free(h);
        return mw_err_set(err, MW_ENOMEM, "host", NULL, NULL);
    }
    h->grace_ns = h->cleanup_ns = 5000000000u;
    h->buffered_max = (size_t)h->limits.buffered;
    h->preempt = MW_PREEMPT_NONE; /* until somebody says how */
    mw_list_init(&h->handles);
    mw_list_init(&h->head.channels);
    mw_list_init(&h->head.tapped);
    mw_list_init(&h->head.sinks);
    mw_list_init(&h->ready);
    mw_list_init(&h->tasks);
    mw_list_init(&h->dusk);
    mw_list_init(&h->rest);
    mw_list_init(&h->graves);
    h->turn = 1;
    mw_list_init(&h->sources);
    mw_host_set_spin(h, 0);
    rc = open_loop(h, loop, err);
    if (rc < 0 && h->open_handles == 0) {
        mw_state_end(h);
        free(h);
        return rc;
    }
    if (rc < 0) goto fail;
    rc = MW_ENOMEM;
    h->root = mw_scope_create(h);
    if (h->root == NULL) goto fail;
    h->root->supervise = 1;
    h->L = lent != NULL ? lent : mw_state_new(h);
    if (h->L == NULL) goto fail;
    lua_pushcfunction(h->L, open_state);
    lua_pushlightuserdata(h->L, h);
    if (lua_pcall(h->L, 1, 0, 0) != LUA_OK) {
        lua_pop(h->L, 1);
        goto fail;
    }
    *out = h;
    return 0;
fail:
    mw_host_destroy(h, 0);
    return mw_err_set(err, rc, "host", NULL, NULL);
}

int mw_host_create(uv_loop_t *loop, lua_Alloc alloc, void *alloc_ud, const struct mw_limits *limits, mw_host **out, struct mw_err *err) {
    return create(loop, NULL, alloc, alloc_ud, limits, out, err);
}
int mw_host_is_lent(const mw_host *h) {
    return h->lent;
}
int mw_host_create_in(lua_State *L, const struct mw_limits *limits, mw_host **out, struct mw_err *err) {
    return create(NULL, L, NULL, NULL, limits, out, err);
}

/* ---- The end ------------------------------------------------------------------------------------------------------------ */

static void close_any(uv_handle_t *it, void *ud) {
    (void)ud;
    if (!uv_is_closing(it)) uv_close(it, NULL);
}
static void close_adopted(mw_host *h) {
    while (!mw_list_empty(&h->handles)) {
        struct mw_handle *it = MW_LIST_ENTRY(h->handles.next, struct mw_handle, link);
        mw_host_disown(it);
        it->close(it);
    }
}
static void kill_tasks(mw_host *h) {
    h->closing = 1; /* from here nothing can wait */
    while (!mw_list_empty(&h->tasks)) mw_task_kill(MW_LIST_ENTRY(h->tasks.next, mw_task, all));
}
static void free_host(mw_host *h) {
    mw_scope *root = h->root;

    mw_step_begin(h);
    h->finishing = 1;
    if (root != NULL) mw_scope_bury_all(h);
    if (h->works_lent > 0) h->keep_state = 1; /* stuck */
    if (h->L != NULL && !h->lent && !h->keep_state) lua_close(h->L);
    if (!h->keep_state) {
        h->L = NULL;
        mw_state_end(h);
    }
    mw_tick_stop(h);
    close_adopted(h); /* what a finalizer opened */
    mw_timers_free(h);
    free_blocks(h);
    if (root != NULL) {
        free(root->why);
        free(root);
    }
}

/* Until nothing is open any more; the state and the loop are still there. */
static void wind_up(mw_host *h, unsigned grace_ms) {
    uint64_t until;

    if (h->root != NULL) {
        h->leaves = 0;
        if (!h->exiting) {
            mw_host_exit(h, 0, "the host is shutting down");
            h->grace_at = 0;
        }
        if (h->grace_at == 0) h->grace_at = mw_host_now(h) + (uint64_t)grace_ms * 1000000u + 1;
        if (h->owns_loop) mw_host_loop_run(h);
        kill_tasks(h);
    }
    h->closing = 1;
    close_adopted(h);
    until = mw_host_now(h) + DRAIN_NS;
    while (h->works > 0 && (h->owns_loop || h->works_lent > 0) && mw_host_now(h) < until) {
        mw_loop_bound(h, 50);
        uv_run(h->loop, UV_RUN_ONCE);
    }
    close_loop_handles(h);
    if (h->owns_loop) uv_walk(h->loop, close_any, NULL);
    if (h->works == 0 && h->owns_loop) uv_run(h->loop, UV_RUN_DEFAULT);
    else
        while (h->open_handles > 0) uv_run(h->loop, UV_RUN_NOWAIT);
    h->wound_up = 1;
}

void mw_host_leave(mw_host *h, unsigned grace_ms) {
    if (h->wound_up) return;
    if (h->running != NULL) mw_task_forsake(h->running); /* the code beneath us never goes on */
    h->running = NULL;
    h->turning = h->draining = h->yielding = 0;
    atomic_store(&h->co, NULL);
    wind_up(h, grace_ms);
    h->finishing = 1;
}

void mw_host_destroy(mw_host *h, unsigned grace_ms) {
    if (h == NULL) return;
    if (!h->wound_up) wind_up(h, grace_ms);
    free_host(h);
    if (h->owns_loop) {
        uv_walk(h->loop, close_any, NULL);
        if (h->works == 0) uv_run(h->loop, UV_RUN_DEFAULT);
        uv_loop_close(h->loop);
    }
    if (h->works == 0) free(h); /* else a stuck job of the thread pool still points here: leaked on purpose */
}

int mw_host_can_destroy_later(const mw_host *h) {
    return !h->owns_loop && !h->ending;
}

int mw_host_destroys_later(const mw_host *h) {
    return h->ending;
}

/* ---- The end on a borrowed loop: the same, over later turns of it ------------------------------------------------------- */

static void closed_last(uv_handle_t *it) {
    mw_host *h = it->data;
    void (*cb)(void *) = h->close_cb;
    void *ud = h->close_ud;

    if (--h->open_handles > 0) return;
    free_host(h);
    free(h);
    if (cb != NULL) cb(ud);
}

static void close_stage(uv_idle_t *it) {
    mw_host *h = it->data;

    if (h->turning) return; /* a step in which a hook asked for the end: nothing goes from beneath it */
    if (h->close_stage == 0) { /* tasks may still clean up */
        mw_tick_start(h);
        mw_task_drain(h, 0);
        mw_loop_dusk(h);
        if (mw_loop_alive(h) && mw_host_now(h) < h->grace_at) return; /* again on the next turn */
        kill_tasks(h);
        close_adopted(h);
    }
    if (++h->close_stage < 3 || h->works > 0) return; /* close callbacks of the rooms come first */
    uv_close((uv_handle_t *)&h->async, closed_last);
    uv_close((uv_handle_t *)&h->check, closed_last);
    uv_close((uv_handle_t *)&h->idle, closed_last);
    uv_close((uv_handle_t *)&h->bound, closed_last);
    uv_close((uv_handle_t *)&h->prepare, closed_last);
    uv_close((uv_handle_t *)&h->timer, closed_last);
}

void mw_host_destroy_later(mw_host *h, unsigned grace_ms, void (*cb)(void *), void *ud) {
    h->close_cb = cb;
    h->close_ud = ud;
    h->ending = 1;
    mw_host_exit(h, 0, "the host is shutting down");
    h->grace_at = mw_host_now(h) + (uint64_t)grace_ms * 1000000u + 1;
    uv_check_stop(&h->check);
    uv_idle_stop(&h->idle);
    h->idling = 1; /* the stage owns the idle handle from here */
    uv_idle_start(&h->idle, close_stage);
}
