/* Middleware and taps of channels.
 * Knows: bind/channel, bind/use, bind/tap, lua.h.
 * Never: the bytes of a frame. */
#include <lauxlib.h>

#include "bind/arg.h"
#include "bind/channel.h"
#include "bind/stream_box.h"
#include "bind/tap.h"
#include "bind/use.h"

/* [ch data fields...]                                                                              [-0, +1|2, y] */
int mw_channel_send_used(lua_State *L) {
    luaL_checkstack(L, 4, "channel.send");
    lua_getiuservalue(L, 1, MW_CHANNEL_MORE);
    return mw_use_send(L, mw_channel_send_raw);
}

/* [ch deadline]                                                                                    [-0, +n, y] */
int mw_channel_recv_used(lua_State *L) {
    lua_settop(L, 2);
    lua_getiuservalue(L, 1, MW_CHANNEL_MORE);
    return mw_use_recv(L, mw_channel_recv_raw);
}

/* ch:use(fn | tap) -> ch                                                                           [-0, +1, e] */
int mw_channel_use(lua_State *L) {
    struct mw_channel *ch = mw_channel_check(L, 1);

    mw_use_arguments(L);
    if (mw_tap_test(L, 2)) mw_tap_attach(L, 2, MW_CHANNEL_MORE, &ch->probes, MW_PROBE_CHANNEL, mw_stream_subject(ch->stream));
    else ch->uses = (unsigned)mw_use_add(L, 2, MW_CHANNEL_MORE, "channel.use") & 0x1fffffff;
    ch->watched = ch->probes != NULL;
    lua_settop(L, 1);
    return 1;
}

/* The run's trace begins, or ends. */
static void turn(lua_State *L, struct mw_tapped *it, const mw_trace *over) {
    struct mw_channel *ch = MW_LIST_ENTRY(it, struct mw_channel, tapped);

    if (over == NULL) mw_tap_run(L, &ch->probes, MW_PROBE_CHANNEL, mw_stream_subject(ch->stream));
    else mw_tap_leave(&ch->probes, over);
    ch->watched = ch->probes != NULL;
}

void mw_channel_watch(lua_State *L, struct mw_channel *ch, struct mw_stream_box *box) {
    const char *name = mw_stream_subject(ch->stream);

    if (box->more != NULL) mw_tap_inherit(L, box->more->probes, &ch->probes, MW_PROBE_CHANNEL, name);
    ch->watched = ch->probes != NULL;
    mw_tapped_add(L, &ch->tapped, turn);
}
