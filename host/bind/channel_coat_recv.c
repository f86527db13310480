/* The coat inward: a frame into its messages, one at a time.
 * Knows: bind/channel_coat, io/stream, lua.h.
 * Never: a length or a count that was not checked against the bytes there are. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/channel_coat.h"
#include "bind/scratch.h"
#include "codec/json.h"
#include "codec/pack.h"
#include "bind/tap.h"

static int refuse(lua_State *L, struct mw_channel *ch, const char *why, const char *what, uint64_t announced) {
    mw_channel_give_up(L);
    return mw_frame_push_refusal(L, ch->format, why, what, announced, "channel recv", mw_stream_subject(ch->stream));
}

static int no_memory(lua_State *L, struct mw_channel *ch) {
    struct mw_err err;

    mw_err_set(&err, MW_ENOMEM, "channel recv", mw_stream_subject(ch->stream), NULL);
    return mw_push_err(L, &err);
}

static void received(struct mw_channel *ch, size_t len) {
    ch->stats.received++;
    ch->stats.bytes_received += len;
    ch->spent = 0;
    ch->slow = 0;
}

/* The frame at the head of the queue into c->got, and off the queue. 0; MW_ENOMEM: it is still there; MW_EFRAME. */
static int open_frame(struct mw_channel *ch, struct mw_squeeze_fault *fault) {
    struct mw_coat *c = ch->coat;
    const struct mw_frame *frame = &ch->frame;
    struct mw_view data = { frame->data, frame->len };
    int rc = 0;

    mw_bytes_consume(&c->got, mw_bytes_len(&c->got));
    if (c->calls != NULL) rc = c->calls->unpack(c->squeeze, frame->data, frame->len, c->body_max, &c->got, &data, fault);
    if (rc == 0 && mw_bytes_len(&c->got) == 0) rc = mw_bytes_add(&c->got, data.at, data.len);
    mw_coat_charge(c);
    if (rc < 0) return rc;
    if (c->batch_count > 0 && mw_batch_open(&c->cut, mw_bytes_at(&c->got), mw_bytes_len(&c->got), &fault->what) < 0) {
        fault->why = "protocol";
        fault->announced = 0;
        return MW_EFRAME;
    }
    if (c->batch_count > 0) {
        c->batches_received++;
        mw_stream_keep(ch->stream, 1);
    }
    mw_stream_consume(ch->stream, frame->used);
    return 0;
}

/* ---- Values ------------------------------------------------------------------------------------------------------------- */

/* The value that `text` says, in the box at the top, which is given back: [box] becomes [value] or [nil err].    [-1, +1|2, e] */
static int push_value(lua_State *L, const struct mw_coat *c, const struct mw_bytes *text) {
    struct mw_codec_options o = { .bytes_max = c->ch->format->max };
    enum mw_codec codec = c->codec;
    const char *at = mw_bytes_at(text);
    size_t len = mw_bytes_len(text);
    struct mw_codec_fault fault = { 0 };
    struct mw_err err;
    int box = lua_gettop(L), rc, n = 1;

    if (c->shape != NULL) rc = mw_shape_read(L, c->shape, codec, at, len, &o, &fault, &err);
    else if (codec == MW_CODEC_JSON) rc = mw_json_read(L, at, len, &o, &fault, &err);
    else rc = mw_pack_read(L, at, len, NULL, &o, &fault, &err);
    if (rc < 0) n = mw_coat_push_fault(L, c->ch, "channel recv", &fault, codec == MW_CODEC_JSON && fault.offset <= len ? at : NULL, &err);
    if (rc == 0 && lua_isnil(L, -1)) {
        lua_pop(L, 1);
        mw_codec_push_null(L);                                  /* nil is the end */
    }
    mw_scratch_give(L, box);
    lua_remove(L, box);
    return n;
}

/* Everything of c->got was taken, unless a finalizer has begun another batch: a great message leaves no great buffer. */
static void emptied(struct mw_coat *c) {
    if (c->cut.left > 0) return;
    mw_bytes_consume(&c->got, mw_bytes_len(&c->got));
    mw_bytes_shrink(&c->got, MW_COAT_KEEP);
    mw_coat_charge(c);
}

/* ---- One message -------------------------------------------------------------------------------------------------------- */

/* The next message of a batch. What Lua allocates may run a script's __gc, which may receive, so the message is taken first and lies
 * elsewhere while it is decoded.                                                                  [-0, +1|2, e] */
static int next_of_batch(lua_State *L, struct mw_channel *ch) {
    struct mw_bytes *text = ch->coat->codec != MW_CODEC_NONE ? mw_scratch_take(L) : NULL;
    struct mw_coat *c = ch->coat;
    struct mw_batch_cut cut = c->cut;
    struct mw_view m;

    if (cut.left == 0) return mw_raise_inval(L, "channel.recv", "a finalizer received meanwhile");
    m = mw_batch_next(&cut, mw_bytes_at(&c->got), mw_bytes_len(&c->got));
    if (text != NULL && mw_bytes_add(text, m.at, m.len) < 0) return no_memory(L, ch);
    c->cut = cut;
    if (cut.left == 0) mw_stream_keep(ch->stream, -1);
    received(ch, m.len);
    mw_tap_message(L, ch->probes, MW_PROBE_RECV, m.at, m.len);
    if (text == NULL) lua_pushlstring(L, m.at, m.len);          /* copied before anything else can run */
    emptied(c);
    return text != NULL ? push_value(L, c, text) : 1;
}

/* The only message of a frame, all of c->got.                                                     [-0, +1|2, e] */
static int only_one(lua_State *L, struct mw_channel *ch, struct mw_bytes *text) {
    struct mw_coat *c = ch->coat;
    struct mw_bytes got = c->got;

    received(ch, mw_bytes_len(&got));
    mw_tap_message(L, ch->probes, MW_PROBE_RECV, mw_bytes_at(&got), mw_bytes_len(&got));
    if (text == NULL) {
        lua_pushlstring(L, mw_bytes_at(&got), mw_bytes_len(&got));
        emptied(c);
        return 1;
    }
    c->got = *text;
    *text = got;
    mw_coat_charge(c);
    return push_value(L, c, text);
}

/* ch->frame into its first message and the fields; -1: *rc says why not, and the frame is still there.   [-0, +n, e] */
static int take_frame(lua_State *L, struct mw_channel *ch, struct mw_squeeze_fault *fault, int *rc) {
    union mw_frame_value fields[MW_FRAME_FIELDS];
    struct mw_coat *c = ch->coat;
    uint64_t place = mw_stream_offset(ch->stream);
    struct mw_bytes *text = c->codec != MW_CODEC_NONE && c->batch_count == 0 ? mw_scratch_take(L) : NULL;
    int n, results;

    if (!mw_channel_holds(ch, place, ch->frame.used)) return mw_raise_inval(L, "channel.recv", "a finalizer received meanwhile");
    n = mw_frame_fields(L, ch->format, &ch->frame, fields);
    *rc = open_frame(ch, fault);
    if (*rc < 0) {
        if (text != NULL) mw_scratch_give(L, lua_gettop(L));
        if (text != NULL) lua_pop(L, 1);
        return -1;
    }
    if (c->batch_count > 0) return next_of_batch(L, ch);
    results = only_one(L, ch, text);
    if (results > 1) return results;
    for (int i = 0; i < n; i++) mw_frame_push_field(L, ch->format, i, fields[i]);
    return n + 1;
}

int mw_coat_take(lua_State *L, struct mw_channel *ch) {
    struct mw_squeeze_fault fault = { NULL, NULL, 0 };
    int rc, n;

    if (ch->coat->cut.left > 0) return next_of_batch(L, ch);
    n = take_frame(L, ch, &fault, &rc);
    if (n >= 0) return n;
    return rc == MW_ENOMEM ? no_memory(L, ch) : refuse(L, ch, fault.why, fault.what, fault.announced);
}

int mw_coat_at_hand(lua_State *L, struct mw_channel *ch) {
    struct mw_squeeze_fault fault;
    const struct mw_bytes *in;
    int rc, n;

    if (ch->stream == NULL || ch->uses > 0 || !ch->coated || mw_stream_reader(ch->stream)->held) return 0;
    if (mw_coat_waiting(ch)) return next_of_batch(L, ch);
    in = mw_stream_in(ch->stream);
    ch->frame.seen = 0;
    if (mw_bytes_len(in) == 0 || mw_frame_parse(ch->format, mw_bytes_at(in), mw_bytes_len(in), &ch->frame) != 1) return 0;
    n = take_frame(L, ch, &fault, &rc);
    return n > 0 ? n : 0;
}
