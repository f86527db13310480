/* The coat of a channel: what stands between a script's values and the data of its frames, for channels that were asked for it.
 * Outward: value, codec, batch, squeeze, frame; inward the reverse. A channel without these options has none, and pays for none.
 * Knows: bind/channel, wire/batch, wire/squeeze, codec, io/stream, core/timer.
 * Never: an option of frames themselves. */
#ifndef MW_BIND_CHANNEL_COAT_H
#define MW_BIND_CHANNEL_COAT_H

#include "bind/channel.h"
#include "codec/codec.h"
#include "codec/shape.h"
#include "wire/batch.h"
#include "wire/squeeze.h"

enum { MW_COAT_KEEP = 256 * 1024 };      /* bytes of a queue that stay between two frames of a busy channel */

struct mw_coat {
    struct mw_channel *ch;               /* whose it is; it ends with it */
    enum mw_codec codec;
    const mw_shape *shape;               /* lent by the channel's user value; NULL: any value */
    const struct mw_squeeze_calls *calls;         /* NULL: no compression */
    mw_squeeze *squeeze;                 /* one reference */
    size_t squeeze_min;
    size_t body_max;                     /* bytes of the data before they are squeezed */

    /* Outward */
    unsigned batch_count;                /* messages that make a batch; 0: no batches */
    size_t batch_bytes;
    uint64_t batch_ns;                   /* how long the first one waits at most; UINT64_MAX: until it is flushed */
    struct mw_batch batch;
    struct mw_held held;                 /* while the batch is not empty */
    struct mw_timer timer;
    struct mw_bytes packed;              /* the squeezed form of one frame; empty between calls */

    /* Inward: the messages of the frame that came last. It is off the stream's queue. */
    struct mw_bytes got;
    struct mw_batch_cut cut;

    size_t charged;                      /* room of the buffers, as the host knows it */
    uint64_t batches, batches_received;
};

/* What a frame was refused for, when `why` is set; else see err. */
struct mw_coat_no {
    const char *why, *what;
    uint64_t len;
    struct mw_err err;
};

/* The options codec, schema, batch and compress. */
struct mw_coat_wish {
    enum mw_codec codec;
    unsigned batch_count;
    size_t batch_bytes;
    uint64_t batch_ns;
    enum mw_squeeze_how how;             /* MW_SQUEEZE_RAW: no compression */
    int level;
    size_t squeeze_min;
};
/* Reads them from the table at idx; 1: a coat is asked for. A schema is left on the stack.                 [-0, +0|1, e] */
int mw_coat_read(lua_State *L, int idx, const struct mw_frame_format *f, struct mw_coat_wish *wish);
/* Makes one for `ch`, at the top; shape: the index of its schema, 0: none. 0 with ch->coat set, or a code.  [-0, +0, e] */
int mw_coat_make(lua_State *L, struct mw_channel *ch, const struct mw_coat_wish *wish, int shape, struct mw_err *err);
/* Sends what it holds, and ends it; NULL is fine. */
void mw_coat_end(struct mw_coat *c);
/* Nothing is under way: gives the memory of its queues back. */
void mw_coat_rest(struct mw_coat *c);
/* Tells the host how much room the queues take. */
void mw_coat_charge(struct mw_coat *c);

/* channel_coat_send.c: [ch value fields...]: encodes, holds or writes. The number of results.             [-0, +1|2, e] */
int mw_coat_send(lua_State *L, struct mw_channel *ch);
/* channel_coat_recv.c: the next message of what came, and its fields; ch->frame is the whole frame at the head of the queue, unless
 * messages are left of the one before (mw_coat_waiting). nil and an error: EFRAME and the channel is closed; else one message is lost
 * to it, and it goes on.                                                                                  [-0, +n, e] */
int mw_coat_take(lua_State *L, struct mw_channel *ch);
static inline int mw_coat_waiting(const struct mw_channel *ch) {
    return ch->coat->cut.left > 0 && !mw_stream_closed(ch->stream);
}
/* The short way: the next message of what is here already. The number of results (two, nil and an error, when it cannot be decoded); 0:
 * the long way.                                                                                            [-0, +n, e] */
int mw_coat_at_hand(lua_State *L, struct mw_channel *ch);
/* nil and the error of a codec or a schema, with err.data = { offset, path, ... }; raises EINVAL. text: of JSON, or NULL.   [-0, +2, e] */
int mw_coat_push_fault(lua_State *L, const struct mw_channel *ch, const char *op, const struct mw_codec_fault *fault, const char *text,
                       const struct mw_err *err);
/* Sets batches and batches_received in the table at the top.                                               [-0, +0, m] */
void mw_coat_stats(lua_State *L, const struct mw_coat *c);

#endif
