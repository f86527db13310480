/* The writing side of channels: small frames go to the end of what their stream gathers, large ones are lent beside their header.
 * Knows: bind/channel, io/stream, core, lua.h.
 * Never: sends a part of a frame that is refused. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/channel.h"
#include "bind/channel_coat.h"
#include "bind/tap.h"
#include "core/hook.h"

static int sent(struct mw_channel *ch, size_t len, size_t total) {
    ch->stats.sent++;
    ch->stats.bytes_sent += len;
    ch->stats.bytes_wire += total;
    return 1;
}

/* [ch data fields...]: composes and writes.                                                        [-0, +1|2, e] */
static int write_frame(lua_State *L, struct mw_channel *ch) {
    union mw_frame_value values[MW_FRAME_FIELDS];
    struct mw_frame_wrap wrap;
    struct mw_view parts[3];
    struct mw_err err;
    size_t len, total;
    int count = 0, rc, type = lua_type(L, 2);
    const char *data = NULL;

    if (type == LUA_TSTRING) data = lua_tolstring(L, 2, &len);
    else if (type == LUA_TUSERDATA) data = mw_channel_view_bytes(L, 2, &len);
    if (data == NULL) data = mw_param_bytes(L, 2, "channel.send", "data", &len); /* raises */
    mw_frame_values(L, 3, "channel.send", ch->format, values);
    if (mw_frame_compose(ch->format, values, data, len, &wrap) < 0) {
        return mw_frame_push_refusal(L, ch->format, wrap.why, wrap.what, len, "channel send", mw_stream_subject(ch->stream));
    }
    if (wrap.head_len > 0) parts[count++] = (struct mw_view){wrap.head, wrap.head_len};
    if (len > 0) parts[count++] = (struct mw_view){data, len};
    if (wrap.tail_len > 0) parts[count++] = (struct mw_view){wrap.tail, wrap.tail_len};
    total = wrap.head_len + len + wrap.tail_len;
    rc = mw_stream_put(ch->stream, parts, count, &err);
    if (rc < 0) return mw_push_err(L, &err);
    mw_tap_message(L, ch->probes, MW_PROBE_SEND, data, len);
    lua_pushvalue(L, 1);
    return sent(ch, len, total);
}

/* The frame's header and data to at[0..], which has room for them. 0: a field is of an unexpected type or out of range.  [-0, +0, -] */
static inline __attribute__((always_inline)) int lay_frame(lua_State *L, const struct mw_frame_format *f, const char *data, size_t len,
                                                           char *at) {
    unsigned fields = f->fields;

    for (unsigned i = 0, arg = 3; i < fields; i++) {
        const struct mw_frame_field *field = &f->field[i];
        int64_t v = (int64_t)len;
        if (i != f->length) {
            if (!lua_isinteger(L, (int)arg)) return 0;
            v = lua_tointeger(L, (int)arg++);
        }
        if (v < field->min || v > field->max) return 0;
        mw_frame_store(field, v, at);
    }
    memcpy(at + f->head, data, len);
    return 1;
}

/* The first piece of a turn, where nothing is gathered.                                           [-0, +0|1|2, e] */
static __attribute__((noinline)) int begin_frame(lua_State *L, struct mw_channel *ch, const char *data, size_t len) {
    size_t total = ch->format->head + len;
    char *at = mw_stream_room_first(ch->stream, total);
    struct mw_err err;

    if (at == NULL || !lay_frame(L, ch->format, data, len, at)) return 0;
    mw_stream_added(ch->stream, total);
    if (mw_stream_begun(ch->stream, total, &err) < 0) return mw_push_err(L, &err);
    lua_settop(L, 1);
    return sent(ch, len, total);
}

/* [ch data fields...]: the short way of nearly every frame, to the end of what is gathered, in place. The number of results; 0:
 * nothing was done, and write_frame does it or tells what is wrong with it.                            [-0, +0|1|2, e] */
static inline int add_frame(lua_State *L, struct mw_channel *ch) {
    const struct mw_frame_format *f = ch->format;
    const char *data;
    size_t len;
    char *at;

    if (!f->plain || lua_gettop(L) != 1 + (int)f->fields || lua_type(L, 2) != LUA_TSTRING) return 0;
    data = lua_tolstring(L, 2, &len);
    if (len > f->max) return 0;
    at = mw_stream_room(ch->stream, f->head + len);
    if (at == NULL) return begin_frame(L, ch, data, len);
    if (!lay_frame(L, f, data, len, at)) return 0;
    mw_stream_added(ch->stream, f->head + len);
    lua_settop(L, 1);
    return sent(ch, len, f->head + len);
}

/* [ch data fields...] past the middleware.                                                        [-0, +1|2, e] */
static int send_one(lua_State *L, struct mw_channel *ch) {
    return ch->coated ? mw_coat_send(L, ch) : write_frame(L, ch);
}

/* [ch data fields... deadline]: below the soft mark, or the time is over. ctx: 1 goes past the middleware. */
static int send_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_channel *ch = lua_touserdata(L, 1);
    struct mw_err err;

    if (code < 0) {
        mw_err_set(&err, code, "channel send", mw_stream_subject(ch->stream), NULL);
        return mw_push_err(L, &err);
    }
    if (mw_stream_crowded(ch->stream)) {
        uint64_t deadline = (uint64_t)lua_tointeger(L, -1);
        return mw_wait_yield(L, mw_stream_writable(ch->stream), deadline, ctx, send_k);
    }
    lua_pop(L, 1);                                              /* [ch data fields...] */
    if (ctx == 0 && ch->uses > 0) return mw_channel_send_used(L);
    return send_one(L, ch);
}

int mw_channel_send_raw(lua_State *L) {
    struct mw_channel *ch = lua_touserdata(L, 1);

    mw_channel_live(L, ch);
    if (!mw_stream_crowded(ch->stream)) return send_one(L, ch);
    lua_pushinteger(L, (lua_Integer)MW_NEVER);
    return send_k(L, 0, 1);
}

/* ch:send(data, fields..., { timeout = }) -> ch | nil, err                                         [-0, +1|2, y]
 * The time is for waiting until the peer has taken enough of what was sent before: after ETIMEDOUT nothing was sent. */
int mw_channel_send(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, mw_channel_send);
    static const char *const known[] = {"timeout", NULL};
    struct mw_channel *ch = mw_box_known(L, MW_CHANNEL_TYPE);
    uint64_t deadline = MW_NEVER;
    int n;

    mw_channel_live(L, ch);
    mw_box_know(L, ch, MW_CHANNEL_TYPE);
    if (mw_channel_plain(ch) && (n = add_frame(L, ch)) > 0) return n;
    if (lua_gettop(L) > 2 && lua_istable(L, -1)) {
        mw_opt_open(L, lua_gettop(L), "channel.send", known, 0);
        deadline = mw_opt_deadline(L, lua_gettop(L), "channel.send");
        lua_pop(L, 1);
    }
    if (!mw_stream_crowded(ch->stream)) return ch->uses > 0 ? mw_channel_send_used(L) : send_one(L, ch);
    lua_pushinteger(L, (lua_Integer)deadline);
    return send_k(L, 0, 0);
}
