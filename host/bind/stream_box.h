/* The inside of a stream's box, shared by bind/stream.c and bind/stream_read.c.
 * Knows: bind/stream. Never: included by anybody else. */
#ifndef MW_BIND_STREAM_BOX_H
#define MW_BIND_STREAM_BOX_H

#include <lauxlib.h>

#include "bind/stream.h"
#include "bind/tap.h"
#include "observe/trace.h"

enum mw_read_kind {
    MW_READ_LINE,                /* "l" */
    MW_READ_LINE_END,            /* "L": with its newline */
    MW_READ_ALL,                 /* "a" */
    MW_READ_NUMBER,              /* "n" */
    MW_READ_COUNT,               /* n bytes, fewer at the end */
    MW_READ_EXACT,               /* n bytes or EEOF */
    MW_READ_SOME,                /* what is there, at most n */
    MW_READ_PEEK,                /* n bytes, fewer at the end; they stay */
    MW_READ_UNTIL                /* up to a delimiter */
};

/* One read: what is wanted, and how far it is. */
struct mw_read {
    enum mw_read_kind kind : 8;
    unsigned raises : 1;         /* errors are raised (iterators) */
    unsigned delim_len;
    size_t n;                    /* how many bytes, or the most that may come */
    size_t seen;                 /* bytes of the queue that hold no end: not looked at again */
    const char *delim;           /* lent: on the stack of the task that reads */
    uint64_t deadline;
    size_t len, use;             /* the result: its length, and what goes from the queue */
    const char *why;             /* of a code */
    lua_Number number;
};

/* What a stream has that has middleware or is traced. */
struct mw_stream_more {
    mw_probe *probes;            /* of taps */
    unsigned run : 1;            /* it is to have one of the run's trace, once it is known what it is */
    unsigned uses : 31;          /* functions */
    struct mw_turn turn;         /* of the reader for whom they are called */
    struct mw_bytes cooked;      /* what they made of what arrived */
};

struct mw_stream_box {
    mw_stream *s;                /* first: mw_stream_box gives its address. NULL: never filled */
    struct mw_tapped tapped;
    unsigned owned : 1;          /* by another object, which closes it and warns for it */
    unsigned streak : 31;        /* reads from the kernel since the task last waited */
    unsigned writes;             /* writes (or KiB) since a task last waited or passed */
    struct mw_stream_more *more; /* NULL: nothing of that */
    struct mw_read *now;         /* of the task that holds the reader's turn and waits; NULL until one does: it may never be read so */
};

struct mw_stream_box *mw_stream_box_at(lua_State *L, int idx);
struct mw_stream_box *mw_stream_box_own(lua_State *L);       /* at 1, for methods alone: with less of a look */

enum { MW_STREAM_MORE = 2 };     /* user value: nil, or a table: functions at 1.., taps as keys */

/* stream_read.c. Is there enough in the queue? 1: yes, in r->len and r->use; 0: not yet; <0: a code, in words in r->why. At the end what is
 * there is all: 1, or a code; MW_EEOF with r->why NULL: the clean end. */
int mw_read_look(const struct mw_bytes *q, struct mw_read *r);
int mw_read_look_at_end(const struct mw_bytes *q, struct mw_read *r);
/* Pushes the result of a read that found enough; a number that is none: as the next.                 [-0, +1|2, e] */
int mw_read_push(lua_State *L, const mw_stream *s, const char *at, const struct mw_read *r);
/* Ends a read with a code of look or of the stream, for which err was filled.                         [-0, +1|2, e] */
int mw_read_fail(lua_State *L, const mw_stream *s, const struct mw_read *r, int code, struct mw_err *err);

/* stream_use.c: the methods use, and what write and read do once there is more than the stream. */
int mw_stream_use(lua_State *L);                                       /* stream:use(fn | tap) -> stream     [-0, +1, e] */
int mw_stream_write_used(lua_State *L, struct mw_stream_box *box);     /* [self ...] -> self | nil, err    [-0, +1|2, y] */
int mw_stream_read_used(lua_State *L, const struct mw_read *r);        /* the box at 1                     [-0, +1|2, y] */
int mw_stream_guard_close(lua_State *L);
mw_probe *mw_stream_probes(lua_State *L, struct mw_stream_box *box);   /* of its taps; NULL: none */
void mw_stream_tell(lua_State *L, struct mw_stream_box *box, int dir, const void *at, size_t len);
int mw_stream_write_raw(lua_State *L);                                 /* stream.c: write past all that    [-0, +1|2, y] */
void mw_stream_more_run(lua_State *L, struct mw_stream_box *box);      /* of a new box                     [-0, +0, -] */
void mw_stream_more_end(struct mw_stream_box *box);

/* The reading methods, for the door. */
extern const luaL_Reg mw_stream_read_methods[];

#endif
