/* The inside of a stream's box, shared by bind/stream.c and bind/stream_read.c.
 * Knows: bind/stream. Never: included by anybody else. */
#ifndef MW_BIND_STREAM_BOX_H
#define MW_BIND_STREAM_BOX_H

#include <lauxlib.h>

#include "bind/stream.h"

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

struct mw_stream_box {
    mw_stream *s;                /* first: mw_stream_box gives its address. NULL: never filled */
    unsigned owned : 1;          /* by another object, which closes it and warns for it */
    unsigned streak : 31;        /* reads from the kernel since the task last waited */
    unsigned writes;             /* writes (or KiB) since a task last waited or passed */
    struct mw_read *now;         /* of the task that holds the reader's turn and waits; NULL until one does: it may never be read so */
};

struct mw_stream_box *mw_stream_box_at(lua_State *L, int idx);
struct mw_stream_box *mw_stream_box_own(lua_State *L);       /* at 1, for methods alone: with less of a look */

/* The reading methods, for the door. */
extern const luaL_Reg mw_stream_read_methods[];

#endif
