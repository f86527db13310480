/* The coat inward: a frame into its messages, one at a time.
 * Knows: bind/channel_coat, io/stream, lua.h.
 * Never: a length or a count that was not checked against the bytes there are. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/channel_coat.h"

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

/* The next message of a batch.                                                                    [-0, +1, m] */
static int next_of_batch(lua_State *L, struct mw_channel *ch) {
    struct mw_coat *c = ch->coat;
    struct mw_batch_cut cut = c->cut;
    struct mw_view m = mw_batch_next(&cut, mw_bytes_at(&c->got), mw_bytes_len(&c->got));

    c->cut = cut;
    if (cut.left == 0) mw_stream_keep(ch->stream, -1);
    received(ch, m.len);
    lua_pushlstring(L, m.at, m.len);            /* copied before anything else can run */
    return 1;
}

int mw_coat_at_hand(lua_State *L, struct mw_channel *ch) {
    if (ch->stream == NULL || ch->uses > 0 || !ch->coated || mw_stream_reader(ch->stream)->held || !mw_coat_waiting(ch)) return 0;
    return next_of_batch(L, ch);
}

int mw_coat_take(lua_State *L, struct mw_channel *ch) {
    union mw_frame_value fields[MW_FRAME_FIELDS];
    struct mw_squeeze_fault fault = { NULL, NULL, 0 };
    struct mw_coat *c = ch->coat;
    int n, rc;

    if (c->cut.left > 0) return next_of_batch(L, ch);
    n = mw_frame_fields(L, ch->format, &ch->frame, fields);
    rc = open_frame(ch, &fault);
    if (rc == MW_ENOMEM) return no_memory(L, ch);
    if (rc < 0) return refuse(L, ch, fault.why, fault.what, fault.announced);
    if (c->batch_count > 0) return next_of_batch(L, ch);
    received(ch, mw_bytes_len(&c->got));
    lua_pushlstring(L, mw_bytes_at(&c->got), mw_bytes_len(&c->got));
    for (int i = 0; i < n; i++) mw_frame_push_field(L, ch->format, i, fields[i]);
    return n + 1;
}
