/* The inside of a ring, shared by ring*.c; the fuzz target and the model in spec/ look at it too.
 * Knows: share/ring.h. Never: included by another room. */
#ifndef MW_SHARE_RING_PARTS_H
#define MW_SHARE_RING_PARTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/source.h"
#include "share/holdings.h"
#include "share/ring.h"

#define MW_RING_LINE 64              /* bytes of a cache line */
#define MW_RING_PAGE 4096u           /* bytes before the records */
#define MW_RING_HEAD 4u              /* bytes of a record's length */

enum { MW_RING_NOBODY, MW_RING_FIRST, MW_RING_SECOND };     /* sides, as the memory has them */

/* What stands at the memory's beginning. */
struct mw_ring_page {
    char magic[8];
    uint64_t capacity;
    _Alignas(MW_RING_LINE) _Atomic uint64_t tail;            /* published by who pushes */
    _Alignas(MW_RING_LINE) _Atomic uint64_t head;            /* published by who pops */
    _Alignas(MW_RING_LINE) atomic_uint pop_sleeps;           /* 1: ring when there is a record */
    _Alignas(MW_RING_LINE) atomic_uint push_sleeps;          /* 1: ring when there is room */
    _Alignas(MW_RING_LINE) atomic_uint finished;             /* 1: tail will not move any more */
    atomic_uint pusher, popper;                              /* which side; set once */
};

struct mw_ring_watch;

struct mw_ring {
    struct mw_ring_page *page;       /* NULL: closed */
    char *data;                      /* capacity bytes, twice */
    uint64_t capacity, mask;
    /* ours when we push */
    uint64_t tail, tail_told, head_seen;
    /* ours when we pop */
    uint64_t head, head_told, tail_seen;
    uint64_t take;                   /* bytes that the record takes which was peeked at */
    uint32_t len;                    /* and that it has */
    unsigned side;                   /* MW_RING_FIRST or MW_RING_SECOND */
    unsigned char pushes, pops;      /* we do: it is claimed */
    unsigned char remote;            /* the other side is somebody else's */
    unsigned char gone, finished, broken, dusky;
    unsigned char told_pop, told_push;       /* in the memory it says that we sleep */
    uint64_t need;                   /* bytes of room that a parked task waits for */
    struct mw_wait readable, writable;
    struct mw_list waiting;          /* in holdings.waiting while a task may be parked */
    struct mw_dusk dusk;
    struct mw_holdings *held;
    struct mw_handle handle;
    int memory_fd, bell, their_bell; /* -1: not there */
    struct mw_ring_watch *watch;
    uint64_t pushed, popped, bytes_pushed, bytes_popped, rung;
};

/* A record's bytes with its length and padding. */
static inline uint64_t mw_ring_size(uint64_t len) {
    return (MW_RING_HEAD + len + 7u) & ~(uint64_t)7;
}

/* ring.c */
void mw_ring_tell_tail(mw_ring *r);              /* publishes, and rings who sleeps */
void mw_ring_tell_head(mw_ring *r, int always);  /* the same; not always: only when there is room worth waking for */
void mw_ring_start(mw_ring *r);                  /* takes its positions from the memory: 0 or broken */
int mw_ring_room(mw_ring *r, uint64_t size);     /* 1: there is; 0; MW_EFRAME */
int mw_ring_arrived(mw_ring *r);                 /* 1: a record is there; 0; MW_EFRAME */
/* ring_wait.c */
int mw_ring_watch_bell(mw_ring *r, struct mw_err *err);
void mw_ring_unwatch_bell(mw_ring *r);
void mw_ring_ring(mw_ring *r);
int mw_rings_open(struct mw_holdings *it);       /* one more ring: there is a source */
void mw_rings_close(struct mw_holdings *it);

#endif
