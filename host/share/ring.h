/* A ring of records in shared memory: one pushes, one pops, each a process or thread of its own; a doorbell for who sleeps.
 * Knows: base, core/host, core/source, share/holdings. Never: Lua; trusts what lies in the memory: the other side may write anything there.
 *
 * The memory: a page that holds the two positions, who sleeps and who does what, each in a cache line of its own; behind it the
 * records, mapped twice in a row, so that none is ever in two pieces. A record is its length (4 bytes), its bytes, and zeros to a
 * multiple of 8. Positions only grow; their low bits are the place. Each side keeps its own position and what it has seen of the
 * other's in private memory, and reads what is shared once: a length or a position that cannot be is MW_EFRAME for ever after.
 *
 * Who sleeps (core/source.h) is rung through a socket pair of which each side holds one end, whose hang-up says that the other side
 * is gone. A record is published at once, the room of those that were popped in batches, at the latest when the turn ends.
 *
 * A ring is made with both sides in one hand: two tasks may use it. Handing it over gives the other side away, whichever that is:
 * who pushes first is the one who pushes. */
#ifndef MW_SHARE_RING_H
#define MW_SHARE_RING_H

#include "base/bytes.h"
#include "core/host.h"
#include "core/wait.h"

typedef struct mw_ring mw_ring;

#define MW_RING_MIN 4096u            /* bytes of capacity; a power of two */

/* capacity: bytes, made a power of two. MW_ELIMIT, -EMFILE, ... *out: given, end it with mw_ring_free. */
int mw_ring_create(mw_host *h, uint64_t capacity, mw_ring **out, struct mw_err *err);
/* Finishes what it pushes, wakes all who wait; the other side sees that we are gone. Idempotent. */
void mw_ring_close(mw_ring *r);
void mw_ring_free(mw_ring *r);       /* NULL is fine */
int mw_ring_closed(const mw_ring *r);

/* ---- Records ---------------------------------------------------------------------------------------------------------------- */

/* 1: pushed; 0: full now; MW_ECLOSED: finished before, closed, or the other side has gone; -EBUSY: the other side pushes;
 * MW_EINVAL: longer than a quarter of the ring; MW_EFRAME. */
int mw_ring_push(mw_ring *r, const char *at, size_t len, struct mw_err *err);
/* 1: *out is the next record, lent, in memory that the other side can change: copy it, once, then mw_ring_popped with its *mark. 0: empty
 * now; 2: the clean end; MW_ECLOSED: closed here; MW_EEOF: the other side has gone without finishing; -EBUSY: it pops; MW_EFRAME. */
int mw_ring_peek(mw_ring *r, struct mw_view *out, uint64_t *mark, struct mw_err *err);
/* 1: it is yours; 0: another got it meanwhile (a finalizer that ran while the copy was made): take another one. */
int mw_ring_popped(mw_ring *r, uint64_t mark);
/* All that there is to push was pushed: the other side comes to a clean end. 0 or MW_ECLOSED, -EBUSY. */
int mw_ring_finish(mw_ring *r, struct mw_err *err);

/* Before a task waits: for a record, or for room for `len` bytes. 1: look again instead. */
int mw_ring_await_record(mw_ring *r);
int mw_ring_await_room(mw_ring *r, size_t len);
struct mw_wait *mw_ring_readable(mw_ring *r);
struct mw_wait *mw_ring_writable(mw_ring *r);

struct mw_ring_stats { uint64_t capacity, used, pushed, popped, bytes_pushed, bytes_popped, rung; int alone, alive; };
void mw_ring_stats(const mw_ring *r, struct mw_ring_stats *out);   /* alone: both sides are ours */

/* ---- Handing over ------------------------------------------------------------------------------------------------------------- */

/* fds: the memory and an end of the doorbell, both given. *side: which (0 or 1). The first time the other side goes, the second time
 * our own, which closes it here. MW_EINVAL: closed, or both sides are used here, or tasks wait. */
int mw_ring_hand(mw_ring *r, int fds[2], unsigned *side, uint64_t *capacity, struct mw_err *err);
/* It could not be sent: ours again. Takes the descriptors. */
void mw_ring_hand_back(mw_ring *r, int fds[2], unsigned side);
/* Makes one of what was handed over: takes the descriptors, also on failure. MW_EINVAL: it is no ring. */
int mw_ring_adopt(mw_host *h, int fds[2], unsigned side, mw_ring **out, struct mw_err *err);

#endif
