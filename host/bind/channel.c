/* Channels: streams that speak in frames. stream:framed, recv, messages, views; send is in channel_send.c.
 * Knows: bind/frame, bind/stream, io/stream, core, lua.h.
 * Never: copies a byte but into the Lua string; wakes a task for a part of a frame. */
#include "bind/channel.h"
#include "core/hook.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/channel_coat.h"
#include "bind/stream_box.h"
#include "bind/tap.h"

#define LEASE "mw.channel.lease"
#define SECOND_NS UINT64_C(1000000000)

enum { FILLS = 16 };              /* reads in a row before other tasks have their turn */
static const uint64_t FRAME_NS = 30 * SECOND_NS;                /* first to last byte of one frame */
static const uint64_t GRACE_NS = 5 * SECOND_NS;                 /* after that, at least ... */
static const uint64_t BYTE_NS = SECOND_NS / 1024;               /* ... one byte in this time: 1 KiB/s */

/* What a reader wants, at index 2 of its stack: [ch how deadline]. */
enum { RECV, MESSAGES, VIEWS };

static int read_k(lua_State *L, int code, lua_KContext ctx);
static int pass_k(lua_State *L, int code, lua_KContext ctx);
static int read_begin(lua_State *L);

struct mw_channel *mw_channel_check(lua_State *L, int idx) {
    struct mw_channel *ch = mw_box_check(L, idx, MW_CHANNEL_TYPE);

    return mw_channel_live(L, ch), ch;
}

int mw_channel_gone(lua_State *L) {
    return mw_raise_inval(L, "channel", "this channel has been collected");
}

/* ---- The time of one frame -------------------------------------------------------------------------------------------- */

/* When the frame must be whole if no more of it comes. */
static uint64_t clock_limit(const struct mw_channel *ch) {
    uint64_t earned = GRACE_NS + mw_bytes_len(mw_stream_in(ch->stream)) * BYTE_NS;
    return ch->clock->begun + (earned < ch->frame_ns ? earned : ch->frame_ns);
}

static void clock_fire(struct mw_timer *t) {
    struct mw_channel *ch = MW_LIST_ENTRY(t, struct mw_channel_clock, timer)->ch;
    uint64_t limit = clock_limit(ch);

    if (mw_host_now(mw_stream_host(ch->stream)) < limit) {
        ch->slow = mw_timer_start(mw_stream_host(ch->stream), t, limit, clock_fire);
        if (ch->slow == 0) return;
    } else {
        ch->slow = MW_ETIMEDOUT;
    }
    mw_wait_wake(mw_stream_readable(ch->stream));
}

/* A task begins to wait for the rest of a frame. 0 or MW_ENOMEM. */
static int clock_start(struct mw_channel *ch) {
    uint64_t now = mw_host_now(mw_stream_host(ch->stream));

    if (ch->frame_ns == UINT64_MAX || (ch->clock != NULL && ch->clock->begun != 0)) return 0;
    if (ch->clock == NULL && (ch->clock = calloc(1, sizeof *ch->clock)) == NULL) return MW_ENOMEM;
    ch->clock->ch = ch;
    ch->clock->begun = now > ch->spent ? now - ch->spent : 1;
    return mw_timer_start(mw_stream_host(ch->stream), &ch->clock->timer, clock_limit(ch), clock_fire);
}

/* It waits no more. */
static void clock_stop(struct mw_channel *ch) {
    struct mw_channel_clock *clock = ch->clock;

    if (clock == NULL || clock->begun == 0) return;
    mw_timer_stop(mw_stream_host(ch->stream), &clock->timer);
    ch->spent = mw_host_now(mw_stream_host(ch->stream)) - clock->begun;
    clock->begun = 0;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------------ */

/* Tells the stream how much the frame at the head wants, and starts its clock. 0 or MW_ENOMEM. */
static int want_rest(struct mw_channel *ch, size_t held) {
    ch->wake_at = held + ch->frame.need;
    mw_stream_need(ch->stream, ch->wake_at);
    ch->deep = 1;
    return clock_start(ch);
}

/* The stream asks whether what arrived is worth waking the reader. */
static int enough(mw_stream *s, void *ud) {
    struct mw_channel *ch = ud;
    const struct mw_bytes *in = mw_stream_in(s);
    size_t held = mw_bytes_len(in);

    if (held == 0 || held < ch->wake_at) return 0;
    if (mw_frame_parse(ch->format, mw_bytes_at(in), held, &ch->frame) != 0) {
        ch->frame.seen = 0; /* the reader looks for itself */
        return 1;
    }
    ch->slow = want_rest(ch, held);
    return ch->slow != 0;
}

/* 1: ch->frame is whole, at the head of the queue; 0: wait (with held bytes of a part); MW_EFRAME (see ch->frame); or the
 * stream's code. *busy: 0 was returned not because nothing is there, but because others should run. */
static int look(struct mw_channel *ch, int *busy, struct mw_err *err) {
    ch->frame.seen = 0;
    for (;;) {
        const struct mw_bytes *in = mw_stream_in(ch->stream);
        size_t held = mw_bytes_len(in);
        int rc = held > 0 ? mw_frame_parse(ch->format, mw_bytes_at(in), held, &ch->frame) : 0;

        if (rc != 0) return rc;
        if (ch->fills >= FILLS) {
            *busy = 1;
            return 0;
        }
        rc = mw_stream_fill(ch->stream, 0, err);
        if (rc <= 0) return rc;
        ch->fills++;
    }
}

/* nil and err, with err.data = { had, wanted, why } of the frame that is not whole. */
static int push_partial(lua_State *L, const struct mw_channel *ch, size_t had, const char *why, const struct mw_err *err) {
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)had);
    lua_setfield(L, -2, "had");
    lua_pushinteger(L, (lua_Integer)(had + ch->frame.need));
    lua_setfield(L, -2, "wanted");
    lua_pushstring(L, why);
    lua_setfield(L, -2, "why");
    return mw_push_err_data(L, err);
}

void mw_channel_give_up(lua_State *L) {
    lua_getiuservalue(L, 1, MW_CHANNEL_STREAM);
    lua_getfield(L, -1, "close");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
}

/* nil | nil, err for a code of look; [ch ...] on the stack.                                       [-0, +1|2, e] */
static int push_failure(lua_State *L, struct mw_channel *ch, int code, struct mw_err *err) {
    const char *subject = mw_stream_subject(ch->stream);
    size_t had = mw_bytes_len(mw_stream_in(ch->stream));

    if (code == MW_EEOF && had == 0) return lua_pushnil(L), 1;
    if (code == MW_EEOF) {
        mw_err_setf(err, MW_EEOF, "channel recv", subject, "the end came inside a frame: %zu bytes of at least %zu", had,
                    had + ch->frame.need);
        return push_partial(L, ch, had, "truncated", err);
    }
    if (code == MW_EFRAME) {
        mw_channel_give_up(L);
        return mw_frame_push_refusal(L, ch->format, ch->frame.why, ch->frame.what, ch->frame.announced, "channel recv", subject);
    }
    if (code == MW_ETIMEDOUT && ch->slow != 0) {
        mw_err_setf(err, MW_ETIMEDOUT, "channel recv", subject, "the peer was too slow: %zu bytes of a frame of at least %zu", had,
                    had + ch->frame.need);
        mw_err_hint(err, "frame_timeout sets the limit; 1 KiB/s after 5 s is the least");
        mw_channel_give_up(L);
        return push_partial(L, ch, had, "slow", err);
    }
    return mw_push_err(L, err);
}

void mw_channel_release(struct mw_channel *ch) {
    if (ch->view == NULL) return;
    if (mw_channel_lends(ch)) mw_stream_consume(ch->stream, ch->lent);
    ch->view = NULL;
}

/* The data of the frame at the head of the queue as a string or as a view.                          [-0, +1, m] */
static inline void push_data(lua_State *L, struct mw_channel *ch, const char *data, size_t len, size_t before, size_t used, int mt) {
    uint64_t place = mw_stream_offset(ch->stream);

    if (mt == 0) {
        lua_pushlstring(L, data, len);                          /* [data] */
        if (mw_channel_holds(ch, place, used)) mw_stream_consume(ch->stream, used);
    } else {
        ch->view = lua_newuserdatauv(L, 0, 0);                  /* [view] */
        ch->lent = (unsigned)used;
        ch->lent_at = place;
        ch->view_at = (unsigned)before;
        ch->view_len = (unsigned)len;
        mw_host_head(L)->lender = ch;
        lua_pushvalue(L, mt);
        lua_setmetatable(L, -2);                                /* [view] */
    }
    ch->stats.received++;
    ch->stats.bytes_received += len;
    ch->spent = 0;
    ch->slow = 0;
}

/* The whole frame as a string or as a view, and its header's fields. A string's frame is off the queue then, a view's stays
 * until mw_channel_release. The metatable of views is at index `mt`; 0 for a string.              [-0, +n, m] */
static int push_frame(lua_State *L, struct mw_channel *ch, int mt) {
    union mw_frame_value fields[MW_FRAME_FIELDS];
    const struct mw_frame_format *f = ch->format;
    const struct mw_frame *frame = &ch->frame;
    int n = f->fields > 1 ? mw_frame_fields(L, f, frame, fields) : 0;

    mw_tap_message(L, ch->probes, MW_PROBE_RECV, frame->data, frame->len);
    push_data(L, ch, frame->data, frame->len, (size_t)(frame->data - frame->head), frame->used, mt);
    for (int i = 0; i < n; i++) mw_frame_push_field(L, f, i, fields[i]);
    return n + 1;
}

/* [ch how deadline], the turn is ours: gives it back, and pushes what came of it. */
static int finish_read(lua_State *L, struct mw_channel *ch, int code, struct mw_err *err) {
    int how = (int)lua_tointeger(L, 2), n;

    if (ch->deep) mw_stream_need(ch->stream, 0);
    ch->deep = 0;
    mw_turn_give(mw_stream_reader(ch->stream));
    if (code == 1 && how == VIEWS) {
        lua_getiuservalue(L, 1, MW_CHANNEL_MORE);              /* [ch how deadline mt] */
        return push_frame(L, ch, 4);
    }
    if (code == 1 && ch->coated) {
        n = mw_coat_take(L, ch);
        return how != RECV && lua_isnil(L, -n) ? lua_error(L) : n;
    }
    if (code == 1) return push_frame(L, ch, 0);
    n = push_failure(L, ch, code, err);
    if (how == RECV || n == 1) return n;
    return lua_error(L);
}

/* [ch how deadline], the turn is ours: a frame, a failure, or one more wait. */
static int read_step(lua_State *L, struct mw_channel *ch) {
    uint64_t deadline = (uint64_t)lua_tointeger(L, 3);
    size_t held;
    struct mw_err err;
    int busy = 0;
    int rc = ch->coated && mw_coat_waiting(ch) ? 1 : look(ch, &busy, &err);

    if (rc == 0 && ch->slow != 0) {
        rc = ch->slow;
        if (rc == MW_ENOMEM) mw_err_set(&err, rc, "channel recv", mw_stream_subject(ch->stream), NULL);
    }
    if (rc != 0) return finish_read(L, ch, rc, &err);
    ch->fills = 0;
    if (!mw_wait_possible(L)) {
        mw_turn_give(mw_stream_reader(ch->stream));
        return mw_raise_inval(L, "channel recv", "nothing whole has arrived, and this call cannot wait here");
    }
    if (busy) { /* a fast peer must not keep the other tasks from running */
        mw_turn_give(mw_stream_reader(ch->stream));
        return mw_wait_pass(L, 0, pass_k);
    }
    held = mw_bytes_len(mw_stream_in(ch->stream));
    if (ch->coated && held == 0) mw_coat_rest(ch->coat);
    ch->wake_at = 0;
    if (held > 0) ch->slow = want_rest(ch, held);
    if (ch->slow != 0) return read_step(L, ch);
    mw_stream_await(ch->stream, enough, ch);
    return mw_wait_yield_raw(L, mw_stream_readable(ch->stream), deadline, 0, read_k);
}

static int read_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_channel *ch = lua_touserdata(L, 1);
    struct mw_err err;

    (void)ctx;
    lua_settop(L, 3);
    clock_stop(ch);
    mw_stream_await(ch->stream, NULL, NULL);
    if (code == 0) return read_step(L, ch);
    ch->slow = 0;
    if (code == MW_ETIMEDOUT) {
        mw_err_set(&err, MW_ETIMEDOUT, "channel recv", mw_stream_subject(ch->stream), NULL);
        return finish_read(L, ch, MW_ETIMEDOUT, &err);
    }
    mw_turn_give(mw_stream_reader(ch->stream));
    return mw_wait_cancelled(L);
}

/* The turn came, or will not. */
static int turn_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_channel *ch = lua_touserdata(L, 1);
    struct mw_err err;
    int n;

    (void)ctx;
    lua_settop(L, 3);
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    if (code == 0) {
        mw_channel_release(ch);
        return read_step(L, ch);
    }
    mw_err_set(&err, code, "channel recv", mw_stream_subject(ch->stream), NULL);
    n = mw_push_err(L, &err);
    return lua_tointeger(L, 2) == RECV ? n : lua_error(L);
}

/* Other tasks have run: once more from the start. */
static int pass_k(lua_State *L, int code, lua_KContext ctx) {
    (void)code;
    (void)ctx;
    lua_settop(L, 3);
    return read_begin(L);
}

/* [ch how deadline]: the way in for every reader. */
static int read_begin(lua_State *L) {
    struct mw_channel *ch = lua_touserdata(L, 1);
    struct mw_turn *turn;

    mw_channel_live(L, ch);
    turn = mw_stream_reader(ch->stream);
    if (!mw_turn_try(turn)) return mw_turn_yield(L, turn, (uint64_t)lua_tointeger(L, 3), 0, turn_k);
    mw_channel_release(ch);
    return read_step(L, ch);
}

int mw_channel_recv_raw(lua_State *L) {
    lua_settop(L, 2);
    lua_pushinteger(L, RECV);
    lua_insert(L, 2);                                           /* [ch how deadline] */
    return read_begin(L);
}

/* The short way, for nearly every message of a stream that flows: the frame is whole, and already here. Returns how many values
 * were pushed; 0: the long way. mt: as push_frame has it. */
static inline __attribute__((always_inline)) int at_hand(lua_State *L, struct mw_channel *ch, int mt) {
    const struct mw_frame_format *f = ch->format;
    const char *at;
    size_t held, len;
    lua_Integer field;

    if (!mw_channel_plain(ch) || ch->stream == NULL || mw_stream_reader(ch->stream)->held) return mw_coat_at_hand(L, ch);
    if (ch->view != NULL) mw_channel_release(ch);
    at = mw_bytes_at(mw_stream_in(ch->stream));
    held = mw_bytes_len(mw_stream_in(ch->stream));
    if (mw_frame_quick(f, at, held, &len)) {
        field = f->quick > 1 ? (unsigned char)at[f->other_at] : 0;
        push_data(L, ch, at + f->head, len, f->head, f->head + len, mt);
        if (f->quick == 1) return 1;
        lua_pushinteger(L, field);
        return 2;
    }
    ch->frame.seen = 0;
    if (held == 0 || mw_frame_parse(f, at, held, &ch->frame) != 1) return 0;
    return push_frame(L, ch, mt);
}

/* ch:recv{ timeout = } -> data, fields... | nil (the end) | nil, err                               [-0, +n, y] */
static int channel_recv(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, channel_recv);
    static const char *const known[] = {"timeout", NULL};
    struct mw_channel *ch = mw_box_known(L, MW_CHANNEL_TYPE);
    uint64_t deadline = MW_NEVER;
    int n;

    mw_channel_live(L, ch);
    mw_box_know(L, ch, MW_CHANNEL_TYPE);
    n = lua_gettop(L) == 1 ? at_hand(L, ch, 0) : 0;
    if (n > 0) return n;
    if (!lua_isnoneornil(L, 2)) {
        mw_opt_open(L, 2, "channel.recv", known, 0);
        deadline = mw_opt_deadline(L, 2, "channel.recv");
    }
    lua_settop(L, 1);
    lua_pushinteger(L, (lua_Integer)deadline);                  /* [ch deadline] */
    return ch->uses > 0 ? mw_channel_recv_used(L) : mw_channel_recv_raw(L);
}

/* ---- Iterators: closures of the channel, the time for each message, and for views their metatable ----------------------- */

static uint64_t step_deadline(lua_State *L) {
    uint64_t timeout = (uint64_t)lua_tointeger(L, lua_upvalueindex(2));
    return timeout == 0 ? MW_NEVER : mw_host_now(mw_host_of(L)) + timeout;
}

/* The long way: it may wait. */
static int step_begin(lua_State *L, int how) {
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushinteger(L, how);
    lua_pushinteger(L, (lua_Integer)step_deadline(L));
    return read_begin(L);                                       /* [ch how deadline] */
}

/* After the middleware: [data fields... | nil | nil err] */
static int step_used_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    if (lua_isnil(L, 1) && !lua_isnoneornil(L, 2)) {
        lua_settop(L, 2);
        return lua_error(L);
    }
    return lua_gettop(L);
}

static int step_messages(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, step_messages);
    struct mw_channel *ch = lua_touserdata(L, lua_upvalueindex(1));
    int n = at_hand(L, ch, 0);

    if (n > 0) return ch->coated && lua_isnil(L, -n) ? lua_error(L) : n;
    if (ch->uses == 0) return step_begin(L, MESSAGES);
    lua_settop(L, 0);
    lua_pushcfunction(L, mw_channel_recv_used);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushinteger(L, (lua_Integer)step_deadline(L));
    lua_callk(L, 2, LUA_MULTRET, 0, step_used_k);               /* [fn ch deadline] */
    return step_used_k(L, LUA_OK, 0);
}

static int no_views(lua_State *L) {
    return mw_raise_inval(L, "channel.views", "a channel with middleware gives messages() only");
}

static int step_views(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, step_views);
    struct mw_channel *ch = lua_touserdata(L, lua_upvalueindex(1));
    int n = at_hand(L, ch, lua_upvalueindex(3));

    if (n > 0) return n;
    return ch->uses > 0 ? no_views(L) : step_begin(L, VIEWS);   /* use() may have been called since views() was */
}

/* [ch opts?] becomes [ch timeout]: ns, 0 for none. */
static struct mw_channel *step_options(lua_State *L, const char *op) {
    static const char *const known[] = {"timeout", NULL};
    struct mw_channel *ch = mw_channel_check(L, 1);
    uint64_t timeout;

    mw_opt_open(L, 2, op, known, 0);
    timeout = mw_opt_duration(L, 2, op, "timeout", 0);
    lua_settop(L, 1);
    lua_pushinteger(L, timeout >= INT64_MAX / 2 ? 0 : (lua_Integer)timeout);
    return ch;
}

/* ch:messages{ timeout = } -> iterator over data, fields...; raises on errors                      [-0, +1, e] */
static int channel_messages(lua_State *L) {
    step_options(L, "channel.messages");
    lua_pushvalue(L, 1);
    lua_insert(L, 2);                                           /* [ch ch timeout] */
    if (lua_tointeger(L, 3) == 0) lua_settop(L, 2);             /* an upvalue that is not there is none: 16 bytes of each that waits */
    lua_pushcclosure(L, step_messages, lua_gettop(L) - 1);
    return 1;
}

/* Leaving the loop by any way gives the last view back. */
static int lease_close(lua_State *L) {
    const struct mw_channel *const *ch = lua_touserdata(L, 1);
    mw_channel_release((struct mw_channel *)*ch);
    return 0;
}

/* ch:views{ timeout = } -> iterator over view, fields...                                           [-0, +4, e] */
static int channel_views(lua_State *L) {
    struct mw_channel *ch = step_options(L, "channel.views"), **lease;

    if (ch->uses > 0) return no_views(L);
    if (ch->coated) return mw_raise_inval(L, "channel.views", "a channel with codec, batch or compress gives messages() only: what it gives is not what lies in its frames");
    lua_pushvalue(L, 1);
    lua_insert(L, 2);
    mw_channel_view_metatable(L, 1);                            /* [ch ch timeout mt] */
    lua_pushcclosure(L, step_views, 3);
    lua_pushnil(L);
    lua_pushnil(L);                                             /* [ch step nil nil] */
    lease = lua_newuserdatauv(L, sizeof *lease, 1);
    *lease = ch;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, LEASE);                                /* [ch step nil nil lease] */
    return 4;
}

/* ---- What the stream does for us ---------------------------------------------------------------------------------------- */

/* [ch results...]: the stream's results, with the channel in place of the stream. */
static int delegate_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    if (lua_gettop(L) == 1 || mw_stream_test(L, 2) == NULL) return lua_gettop(L) - 1;
    lua_settop(L, 1);
    return 1;
}

/* Calls the stream's own method with our arguments. */
static int delegate(lua_State *L, const char *method) {
    int args = lua_gettop(L);

    mw_channel_check(L, 1);
    luaL_checkstack(L, 4, method);
    lua_getiuservalue(L, 1, MW_CHANNEL_STREAM);                 /* [ch args... stream] */
    lua_getfield(L, -1, method);
    lua_insert(L, 2);
    lua_insert(L, 3);                                           /* [ch fn stream args...] */
    lua_callk(L, args, LUA_MULTRET, 0, delegate_k);
    return delegate_k(L, LUA_OK, 0);
}

static int channel_flush(lua_State *L) {
    return delegate(L, "flush");
}

static int channel_finish(lua_State *L) {
    return delegate(L, "finish");
}

static int channel_close(lua_State *L) {
    lua_settop(L, 1);                                           /* __close passes an error too */
    return delegate(L, "close");
}

static int channel_stream(lua_State *L) {
    mw_channel_check(L, 1);
    lua_getiuservalue(L, 1, MW_CHANNEL_STREAM);
    return 1;
}

static void field(lua_State *L, const char *name, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

/* ch:stats() -> { messages, bytes_raw, bytes_wire, ratio (sent); received, bytes_received; batches, batches_received } */
static int channel_stats(lua_State *L) {
    const struct mw_channel *ch = mw_channel_check(L, 1);
    size_t held = ch->coated ? ch->coat->batch.raw : 0;

    lua_createtable(L, 0, 8);
    if (ch->coated) mw_coat_stats(L, ch->coat);
    field(L, "messages", ch->stats.sent);
    field(L, "bytes_raw", ch->stats.bytes_sent);
    field(L, "bytes_wire", ch->stats.bytes_wire);
    field(L, "received", ch->stats.received);
    field(L, "bytes_received", ch->stats.bytes_received);
    lua_pushnumber(L, ch->stats.bytes_wire == 0 ? 1.0 : (double)(ch->stats.bytes_sent - held) / (double)ch->stats.bytes_wire);
    lua_setfield(L, -2, "ratio");
    return 1;
}

/* ---- Making one --------------------------------------------------------------------------------------------------------- */

static int channel_gc(lua_State *L) {
    struct mw_channel *ch = lua_touserdata(L, 1);
    mw_stream *s = ch->stream;

    if (s == NULL) return 0;
    mw_box_forget(L, ch);
    if (mw_host_head(L)->lender == ch) mw_host_head(L)->lender = NULL;
    if (ch->clock != NULL) mw_timer_stop(mw_stream_host(ch->stream), &ch->clock->timer);
    free(ch->clock);
    ch->clock = NULL;
    mw_tapped_remove(&ch->tapped);
    mw_tap_end(&ch->probes);
    mw_channel_release(ch);
    mw_coat_end(ch->coat);
    ch->stream = NULL;
    mw_list_remove(&ch->link);
    mw_host_measures(mw_stream_host(s))->frames_in += ch->stats.received;
    mw_host_measures(mw_stream_host(s))->frames_out += ch->stats.sent;
    mw_stream_release(s);
    return 0;
}

static int channel_tostring(lua_State *L) {
    const struct mw_channel *ch = mw_channel_check(L, 1);
    lua_pushfstring(L, "channel (%s): %s", ch->format->name, mw_stream_subject(ch->stream));
    return 1;
}

static void make_types(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"send", mw_channel_send},     {"recv", channel_recv},     {"messages", channel_messages}, {"views", channel_views},
        {"flush", channel_flush},   {"finish", channel_finish}, {"close", channel_close},       {"stream", channel_stream},
        {"stats", channel_stats},   {"use", mw_channel_use},    {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", channel_gc}, {"__close", channel_close}, {"__tostring", channel_tostring}, {NULL, NULL},
    };
    static const luaL_Reg lease[] = {{"__close", lease_close}, {NULL, NULL}};

    mw_type_new(L, MW_CHANNEL_TYPE, methods, meta);
    mw_type_new(L, LEASE, lease + 1, lease);
}

/* stream:framed(protocol, { codec =, schema =, batch =, compress =, max =, frame_timeout = }) -> ch | nil, err  [-0, +1|2, e] */
int mw_stream_framed(lua_State *L) {
    static const char *const known[] = {"codec", "schema", "batch", "compress", "max", "frame_timeout", NULL};
    struct mw_stream_box *box = mw_stream_box_at(L, 1);
    mw_stream *s = box->s;
    const struct mw_frame_format *format;
    struct mw_channel *ch;
    struct mw_coat_wish wish;
    struct mw_err err;
    uint64_t frame_ns;
    int coated, shape;

    if (box->more != NULL && box->more->uses > 0) {
        return mw_raise_inval(L, "framed", "a channel passes its stream's functions by: give them to the channel, framed(...):use(f)");
    }
    lua_settop(L, 3);
    mw_opt_open(L, 3, "framed", known, 0);
    format = mw_frame_arg(L, 2, "framed", (size_t)mw_opt_size(L, 3, "framed", "max", 1, MW_FRAME_MAX_HARD, 0));
    frame_ns = mw_opt_duration(L, 3, "framed", "frame_timeout", FRAME_NS);
    if (frame_ns == 0) return mw_raise_inval(L, "framed", "frame_timeout must be above 0; math.huge is no limit");

    if (luaL_getmetatable(L, MW_CHANNEL_TYPE) == LUA_TNIL) make_types(L);
    lua_settop(L, 4);
    coated = mw_coat_read(L, 3, format, &wish);
    shape = lua_gettop(L) == 5 ? 5 : 0;
    ch = lua_newuserdatauv(L, sizeof *ch, coated ? MW_CHANNEL_VALUES_COATED : MW_CHANNEL_VALUES); /* [stream protocol opts format (schema) ch] */
    memset(ch, 0, sizeof *ch);
    ch->format = format;
    ch->frame_ns = frame_ns;
    ch->stream = mw_stream_hold(s);
    mw_list_add(&mw_host_head(L)->channels, &ch->link);
    luaL_setmetatable(L, MW_CHANNEL_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, MW_CHANNEL_STREAM);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, MW_CHANNEL_FORMAT);
    mw_channel_watch(L, ch, box);
    if (!coated) return 1;
    if (mw_coat_make(L, ch, &wish, shape, &err) < 0) return mw_push_err(L, &err);
    return 1;
}
