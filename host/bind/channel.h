/* Channels: what bind/channel*.c share.
 * Knows: bind/frame, io/stream, core.
 * Never: a format's bytes: wire/frame has those. */
#ifndef MW_BIND_CHANNEL_H
#define MW_BIND_CHANNEL_H

#include <lua.h>

#include "bind/frame.h"
#include "bind/tap.h"
#include "core/timer.h"
#include "observe/trace.h"
#include "io/stream.h"

#define MW_CHANNEL_TYPE "mw.channel"

/* A full userdata with these user values: */
enum { MW_CHANNEL_STREAM = 1,     /* the stream's box */
       MW_CHANNEL_MORE,           /* nil, or a table: middleware functions at 1.., and it is the metatable of its views */
       MW_CHANNEL_FORMAT,         /* the box of its format */
       MW_CHANNEL_VALUES = MW_CHANNEL_FORMAT,
       /* and, when it has a coat: */
       MW_CHANNEL_SHAPE,          /* the box of its schema */
       MW_CHANNEL_VALUES_COATED = MW_CHANNEL_SHAPE };

struct mw_channel_clock {
    struct mw_timer timer;
    struct mw_channel *ch;
    uint64_t begun;               /* when it began, less what was spent before; 0: not running */
};

struct mw_channel {
    mw_stream *stream;            /* one reference of our own */
    struct mw_list link;          /* in the host's channels */
    struct mw_tapped tapped;
    const struct mw_frame_format *format;   /* of all channels that speak the same */
    struct mw_frame frame;        /* what the parser knows of the frame at the head of the queue */
    size_t wake_at;               /* bytes held before which the parser need not look again */
    unsigned fills;               /* reads in a row that nobody had to wait for */
    unsigned uses : 29;           /* middleware functions */
    unsigned watched : 1;         /* there are probes */
    unsigned coated : 1;          /* 1: see coat */
    unsigned deep : 1;            /* 1 while mw_stream_need is set */
    mw_probe *probes;             /* of taps */
    /* The time of one frame; runs only while a task waits for its rest. */
    uint64_t frame_ns;            /* UINT64_MAX: no limit */
    struct mw_channel_clock *clock;   /* NULL until one was needed: most frames come whole */
    uint64_t spent;               /* in earlier waits */
    int slow;                     /* 0, MW_ETIMEDOUT when the time ran out, MW_ENOMEM when there was no timer to be had */
    unsigned lent;                /* of the frame that is lent, see below: its bytes, */
    unsigned view_at, view_len;   /* where its data begin and how many */
    /* The frame that is lent to a view: still at the head of the queue. */
    const void *view;             /* the view: all others are void; NULL: none. To be compared, never looked into */
    uint64_t lent_at;             /* where in the stream it begins */
    struct mw_coat *coat;         /* codec, batches, compression: channel_coat.h; NULL: none */
    struct { uint64_t sent, received, bytes_sent, bytes_wire, bytes_received; } stats;
};

/* The channel at idx; raises EINVAL. */
struct mw_channel *mw_channel_check(lua_State *L, int idx);
/* Raises EINVAL when it has no stream any more: another object's finalizer may still use a channel whose own has run. [-0, +0, e] */
int mw_channel_gone(lua_State *L);
static inline void mw_channel_live(lua_State *L, const struct mw_channel *ch) {
    if (ch->stream == NULL) mw_channel_gone(L);
}

/* 1: what is sent and received is what the frames carry, and nothing stands between. */
static inline int mw_channel_plain(const struct mw_channel *ch) {
    return ch->uses == 0 && ch->coated == 0 && ch->watched == 0;
}

/* Takes the lent frame off the queue and makes its view void. */
void mw_channel_release(struct mw_channel *ch);
/* 1 while the frame that was found at `place` is still at the head of the queue. Pushing a value may collect garbage, and a
 * script's __gc may read or close anything. */
static inline int mw_channel_holds(const struct mw_channel *ch, uint64_t place, size_t used) {
    return mw_stream_offset(ch->stream) == place && mw_bytes_len(mw_stream_in(ch->stream)) >= used;
}
/* 1 while the frame that is lent to ch->view is there to be read. */
static inline int mw_channel_lends(const struct mw_channel *ch) {
    return mw_channel_holds(ch, ch->lent_at, ch->lent);
}

/* Methods on [ch data fields... opts?] and [ch deadline], without middleware.                      [-0, +n, y] */
int mw_channel_send(lua_State *L);              /* channel_send.c: the method; through the middleware if there is any */
int mw_channel_send_raw(lua_State *L);
int mw_channel_recv_raw(lua_State *L);

/* No frame can follow: closes the stream of the channel at 1; answers that are still queued go out first.  [-0, +0, e] */
void mw_channel_give_up(lua_State *L);

/* channel_use.c: the same through the middleware, and the method that adds one.                    [-0, +n, y] */
int mw_channel_send_used(lua_State *L);
int mw_channel_recv_used(lua_State *L);
int mw_channel_use(lua_State *L);
/* What taps the stream has, and the run's trace, a new channel has too.                            [-0, +0, -] */
struct mw_stream_box;
void mw_channel_watch(lua_State *L, struct mw_channel *ch, struct mw_stream_box *box);

/* channel_view.c: pushes the metatable of the views of the channel at idx; the bytes of the view at idx, or NULL when it is no
 * view (a void one raises). */
void mw_channel_view_metatable(lua_State *L, int idx);
const char *mw_channel_view_bytes(lua_State *L, int idx, size_t *len);
/* Bytes at the head of the queue of `s` that the script has as the last view: they were given, and are not unread.  [-0, +0, -] */
size_t mw_channel_lent(lua_State *L, const mw_stream *s);

/* channel_coat.c: codec(v) -> "json" | "msgpack" | nil: v is a channel that makes bytes of values itself. [-0, +1, -] */
int mw_channel_codec(lua_State *L);
/* channel_coat.c: batched(v) -> boolean: v is a channel that gathers batches. [-0, +1, -] */
int mw_channel_batched(lua_State *L);

/* A method for streams: stream:framed(protocol, options) -> channel. Makes the types at its first call. [-0, +1, e] */
int mw_stream_framed(lua_State *L);

#endif
