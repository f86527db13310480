/* The coat outward: a message into the batch, the batch into a frame.
 * Knows: bind/channel_coat, io/stream, core/timer, lua.h.
 * Never: loses a message that was taken without telling. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/channel_coat.h"
#include "bind/scratch.h"
#include "codec/json.h"
#include "codec/pack.h"
#include "bind/tap.h"

static int refuse(struct mw_coat_no *no, const char *why, const char *what, uint64_t len) {
    no->why = why;
    no->what = what;
    no->len = len;
    return MW_EFRAME;
}

/* One frame of `body`, squeezed if that was asked for. 0, or a code: nothing was taken. */
static int put_frame(struct mw_coat *c, const union mw_frame_value *values, struct mw_view body, struct mw_coat_no *no) {
    struct mw_channel *ch = c->ch;
    struct mw_frame_wrap wrap;
    struct mw_view parts[3];
    int rc, count = 0;

    no->why = NULL;
    if (body.len > c->body_max) return refuse(no, "too_large", "the message is above the limit", body.len);
    if (c->calls != NULL) {
        rc = c->calls->pack(c->squeeze, body.at, body.len, c->squeeze_min, &c->packed);
        if (rc < 0) return mw_err_set(&no->err, rc, "channel send", mw_stream_subject(ch->stream), NULL);
        body = (struct mw_view){ mw_bytes_at(&c->packed), mw_bytes_len(&c->packed) };
    }
    rc = mw_frame_compose(ch->format, values, body.at, body.len, &wrap);
    if (rc < 0) {
        refuse(no, wrap.why, wrap.what, body.len);
    } else {
        if (wrap.head_len > 0) parts[count++] = (struct mw_view){ wrap.head, wrap.head_len };
        if (body.len > 0) parts[count++] = body;
        if (wrap.tail_len > 0) parts[count++] = (struct mw_view){ wrap.tail, wrap.tail_len };
        rc = mw_stream_put(ch->stream, parts, count, &no->err);
    }
    mw_bytes_consume(&c->packed, mw_bytes_len(&c->packed));
    mw_bytes_shrink(&c->packed, MW_COAT_KEEP);
    if (rc < 0) return rc;
    ch->stats.bytes_wire += wrap.head_len + body.len + wrap.tail_len;
    return 0;
}

/* ---- Batches -------------------------------------------------------------------------------------------------------------- */

/* For want of room or memory: it can be tried again. Else the stream is broken, and what it held is lost. */
static int may_pass(int rc) {
    return rc == MW_ENOMEM || rc == MW_ELIMIT;
}

static int send_batch(struct mw_coat *c, struct mw_coat_no *no) {
    int rc = put_frame(c, NULL, mw_batch_view(&c->batch), no);

    if (may_pass(rc)) return rc;
    if (rc == 0) c->batches++;
    mw_batch_clear(&c->batch);
    mw_bytes_shrink(&c->batch.bytes, MW_COAT_KEEP);
    mw_list_remove(&c->held.link);
    mw_timer_stop(mw_stream_host(c->ch->stream), &c->timer);
    return rc;
}

/* The stream asks for what is held back. */
static int on_settle(struct mw_held *it, struct mw_err *err) {
    struct mw_coat *c = MW_LIST_ENTRY(it, struct mw_coat, held);
    struct mw_coat_no no;
    int rc = send_batch(c, &no);

    if (rc < 0 && err != NULL) {
        if (no.why == NULL) *err = no.err;
        else mw_frame_refuse(c->ch->format, no.why, no.what, no.len, "channel send", mw_stream_subject(c->ch->stream), err);
    }
    if (rc == 0) mw_coat_rest(c);       /* it was not full: there is little to say */
    return rc;
}

static int wait_for_more(struct mw_coat *c);

/* It has waited long enough. What could not be sent is tried again later. */
static void on_delay(struct mw_timer *t) {
    struct mw_coat *c = MW_LIST_ENTRY(t, struct mw_coat, timer);

    mw_stream_settle(c->ch->stream);
    if (c->batch.count > 0 && !mw_list_empty(&c->held.link)) wait_for_more(c);
}

static int wait_for_more(struct mw_coat *c) {
    mw_host *h = mw_stream_host(c->ch->stream);
    uint64_t now = mw_host_now(h), delay = c->batch_ns;

    if (delay > UINT64_MAX - now) return 0;
    return mw_timer_start(h, &c->timer, now + delay, on_delay);
}

/* One message into the batch, which goes when it is full. 0, or a code: the message was not taken. */
static int hold(struct mw_coat *c, struct mw_view m, struct mw_coat_no *no) {
    static const struct mw_batch none;
    mw_stream *s = c->ch->stream;
    int rc;

    no->why = NULL;
    rc = mw_stream_put(s, NULL, 0, &no->err);    /* can it be written to at all? */
    if (rc < 0) return rc;
    if (mw_batch_size_with(&none, m.len) > c->body_max) return refuse(no, "too_large", "the message is above the limit", m.len);
    if (c->batch.count > 0 && mw_batch_size_with(&c->batch, m.len) > c->batch_bytes) {
        rc = send_batch(c, no);
        if (rc < 0) return rc;
    }
    rc = mw_batch_add(&c->batch, m.at, m.len);
    if (rc < 0) return mw_err_set(&no->err, rc, "channel send", mw_stream_subject(s), NULL);
    if (mw_list_empty(&c->held.link)) {
        c->held.send = on_settle;
        mw_stream_hold_back(s, &c->held);
    }
    if (c->batch.count >= c->batch_count || mw_batch_size(&c->batch) >= c->batch_bytes || (c->batch.count == 1 && wait_for_more(c) < 0)) {
        rc = send_batch(c, no);
        if (may_pass(rc)) rc = 0;       /* it is taken, and tried again before the next one is */
    }
    return rc;
}

/* ---- The way in ----------------------------------------------------------------------------------------------------------- */

static int push_no(lua_State *L, struct mw_channel *ch, const struct mw_coat_no *no) {
    if (no->why == NULL) return mw_push_err(L, &no->err);
    return mw_frame_push_refusal(L, ch->format, no->why, no->what, no->len, "channel send", mw_stream_subject(ch->stream));
}

static int send_bytes(lua_State *L, struct mw_channel *ch, const union mw_frame_value *values, struct mw_view m) {
    struct mw_coat *c = ch->coat;
    struct mw_coat_no no;
    int rc = c->batch_count > 0 ? hold(c, m, &no) : put_frame(c, values, m, &no);

    mw_coat_charge(c);
    if (rc < 0) return push_no(L, ch, &no);
    mw_tap_message(L, ch->probes, MW_PROBE_SEND, m.at, m.len);
    ch->stats.sent++;
    ch->stats.bytes_sent += m.len;
    lua_pushvalue(L, 1);
    return 1;
}

/* The value at 2, as the schema wants it, behind what is in `out`. 0 or a code.                   [-0, +0|1, e] */
static int encode(lua_State *L, const struct mw_coat *c, struct mw_bytes *out, struct mw_codec_fault *fault, struct mw_err *err) {
    struct mw_codec_options o = { .bytes_max = c->body_max > 0 ? c->body_max : 1 };
    int idx = 2, rc;

    if (c->shape != NULL) {
        rc = mw_shape_check(L, 2, c->shape, fault, err);
        if (rc < 0) return rc;
        idx = lua_gettop(L);
    }
    if (c->codec == MW_CODEC_JSON) return mw_json_write(L, idx, out, &o, fault, err);
    return mw_pack_write(L, idx, out, &o, fault, err);
}

/* [ch value fields...]                                                                            [-0, +1|2, e] */
static int send_value(lua_State *L, struct mw_channel *ch, const union mw_frame_value *values) {
    struct mw_codec_fault fault = { 0 };
    struct mw_err err;
    struct mw_bytes *out;
    int box, rc, n;

    out = mw_scratch_take(L);                                   /* [... box] */
    box = lua_gettop(L);
    rc = encode(L, ch->coat, out, &fault, &err);
    if (rc == 0 && ch->stream == NULL) return mw_channel_gone(L);
    n = rc < 0 ? mw_coat_push_fault(L, ch, "channel send", &fault, NULL, &err)
               : send_bytes(L, ch, values, (struct mw_view){ mw_bytes_at(out), mw_bytes_len(out) });
    mw_scratch_give(L, box);
    return n;
}

int mw_coat_send(lua_State *L, struct mw_channel *ch) {
    union mw_frame_value values[MW_FRAME_FIELDS];
    struct mw_view m = { NULL, 0 };

    if (lua_isnoneornil(L, 2) && ch->coat->codec != MW_CODEC_NONE) {
        return mw_raise_inval(L, "channel.send", "nil is the end of a channel, and no message: mw.null can be sent");
    }
    mw_frame_values(L, 3, "channel.send", ch->format, values);
    if (ch->coat->codec != MW_CODEC_NONE) return send_value(L, ch, values);
    if (lua_type(L, 2) == LUA_TUSERDATA) m.at = mw_channel_view_bytes(L, 2, &m.len);
    if (m.at == NULL) m.at = mw_param_bytes(L, 2, "channel.send", "data", &m.len); /* raises */
    return send_bytes(L, ch, values, m);
}
