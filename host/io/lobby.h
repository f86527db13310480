/* A lobby: connections that a listener has accepted and nobody has been given yet, since they have not yet proved who they are.
 * Knows: io/greet, io/stream, io/strikes. Never: Lua; accepts; says more to a stranger than the step that refused him. */
#ifndef MW_IO_LOBBY_H
#define MW_IO_LOBBY_H

#include "io/greet.h"
#include "io/peers.h"
#include "io/strikes.h"

/* Why a newcomer finds room, or must wait. Who has not said a word for MUTE, has said nothing more for SLOW, or is not done after LONG,
 * goes when others wait. A program that makes a thousand connections at once takes a while to say its first word on each, and we take
 * one to hear it: whose word has come and was not heard yet has said it. */
#define MW_LOBBY_MUTE_NS 250000000u
#define MW_LOBBY_SLOW_NS 1000000000u
#define MW_LOBBY_LONG_NS 3000000000u
#define MW_LOBBY_PAUSE_NS 1000000000u    /* before the answer to a peer that fails again and again */
#define MW_LOBBY_PATIENCE 5              /* failures of a peer within a minute; from this one on the answer comes after the pause */

struct mw_lobby_stats {
    uint64_t refused;                    /* failed: denied, talked something else, went away in the middle */
    uint64_t timed_out;                  /* not done in time */
    uint64_t displaced;                  /* gone for newer ones: max_unauthenticated */
};
/* Inside its listener. mw_lobby_init before use. */
struct mw_lobby {
    mw_host *host;
    struct mw_list greeting, passed;     /* of guests, the oldest first */
    unsigned waiting, ready;             /* how many of each */
    struct mw_strikes strikes;
    struct mw_lobby_stats stats;
    uint64_t logged_at, logged;          /* the time of the last line, and the failures that it knew of */
    void (*changed)(struct mw_lobby *l); /* somebody passed or went: from the loop */
};
void mw_lobby_init(struct mw_lobby *l, mw_host *h, void (*changed)(struct mw_lobby *l));
/* Is there room among `max`, or somebody who may be displaced? 1; 0: not yet, *again says when to ask (mw_host_now's clock). */
int mw_lobby_room(struct mw_lobby *l, unsigned max, uint64_t *again);
/* A newcomer, for whom another is displaced if there are `max` others. s: taken, also on failure. key: whose connection it is. listener:
 * the address, for the log; lives as long as the lobby. 0 or a code. */
int mw_lobby_enter(struct mw_lobby *l, mw_stream *s, const struct mw_peer_key *key, const struct mw_greeting *how, unsigned max,
                   const char *listener, struct mw_err *err);
/* The one who passed first; given. NULL: nobody. */
mw_stream *mw_lobby_take(struct mw_lobby *l);
/* Everybody goes. Safe to repeat. */
void mw_lobby_clear(struct mw_lobby *l);
void mw_lobby_free(struct mw_lobby *l);

#endif
