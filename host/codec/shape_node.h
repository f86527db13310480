/* What a compiled shape is, and a run over bytes or values with one: shared by the files of codec/shape.
 * Knows: codec/shape, codec/crowd, lua.h. Never: included by others, save the door that builds shapes.
 *
 * A shape is one node: a userdata of Lua's with its fields or variants behind it, which points at the nodes it is made of. The box
 * keeps the description (its second user value), and so the boxes and the strings that the node points at. */
#ifndef MW_CODEC_SHAPE_NODE_H
#define MW_CODEC_SHAPE_NODE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "codec/crowd.h"
#include "codec/shape.h"

enum mw_shape_kind {
    MW_SHAPE_NONE,              /* not filled: a memory error came between */
    MW_SHAPE_ANY, MW_SHAPE_STRING, MW_SHAPE_INTEGER, MW_SHAPE_NUMBER, MW_SHAPE_BOOLEAN,
    MW_SHAPE_LITERAL,           /* one of some scalars */
    MW_SHAPE_ARRAY, MW_SHAPE_MAP, MW_SHAPE_OBJECT, MW_SHAPE_ONE_OF,
    MW_SHAPE_REF,               /* another shape, known later: recursion */
    MW_SHAPE_OPTIONAL           /* only around a field of an object, which takes its content over */
};

/* What a value is, as both formats have it. */
enum mw_shape_type { T_NULL, T_BOOLEAN, T_INTEGER, T_FLOAT, T_STRING, T_ARRAY, T_OBJECT, T_COUNT, T_NOTHING = T_COUNT, T_OTHER };
#define T_ALL ((1u << T_COUNT) - 1)

enum mw_shape_extra { MW_EXTRA_REJECT, MW_EXTRA_KEEP, MW_EXTRA_DROP };

/* Does text match the pattern: 1, 0, or -1: it takes more than *steps to find out. *steps: those that are left. May raise what stops
 * the script. */
typedef int (*mw_shape_match)(lua_State *L, const char *text, size_t len, const char *pattern, size_t pattern_len, size_t *steps);

struct mw_shape_bound {         /* of a number */
    enum { BOUND_NONE, BOUND_INTEGER, BOUND_FLOAT } is;
    int exclusive;
    lua_Integer i;
    lua_Number f;
};

struct mw_shape_literal {       /* sorted by type, then length, then content */
    enum mw_shape_type type;    /* a scalar's */
    int ref;                    /* the value itself, in the table of anchors */
    lua_Integer i;              /* also a boolean */
    lua_Number f;
    const char *text;
    size_t len;
};

struct mw_shape_field {
    const mw_shape *shape;
    const char *name;           /* lent by the description */
    unsigned len;
    int key;                    /* the name in the table of anchors: no need to make the string each time */
    int fallback;               /* the default, in the table of anchors; 0: none */
    char optional, table;       /* table: the default is one, and is copied */
    unsigned hash_next;         /* index + 1 of the next field in the same bucket */
    const char *quoted;         /* "name": as JSON mostly has it; NULL: the name needs escapes */
};

struct mw_shape_object {
    struct mw_shape_field *field;
    uint16_t *follow;           /* by field: which came after it last time; a guess, kept across messages. [n]: which came first */
    uint16_t *bucket;           /* index + 1 */
    unsigned n, buckets;        /* buckets: a power of two */
    enum mw_shape_extra extra;
    uint64_t awaited;           /* a bit a field that has to come or has a default, when n <= 64 */
};

struct mw_shape {
    unsigned char kind, filling, dead;  /* kind: once it is whole; dead: its finalizer ran */
    unsigned char mask;         /* a bit a type that it may accept */
    const char *expected;       /* "a string of at most 64 bytes", lent by the description */
    const struct mw_shape *of;  /* array, map: its elements; ref, optional: what it stands for */
    union {
        struct { size_t min, max, pattern_len; const char *pattern; mw_shape_match match; int utf8; } string;
        struct { lua_Integer min, max; } integer;
        struct { struct mw_shape_bound min, max; int finite; } number;
        struct { struct mw_shape_literal *item; unsigned n; } literal;
        struct { size_t min, max; int unique, mark; } array;      /* mark: of arrays, in the table of anchors */
        struct { size_t min, max; const struct mw_shape *key; } map;
        struct mw_shape_object object;
        struct {
            const struct mw_shape **variant;
            unsigned n;
            signed char only[T_COUNT];      /* the one variant for that type; -1: none; -2: several */
            const char *tag;                /* the field that tells objects apart; NULL: none does */
            size_t tag_len;
            int tag_key;
        } one_of;
        struct { int fallback; char table; } optional;
    } as;
};

enum { MW_SHAPE_VARIANTS = 100, MW_SHAPE_FIELDS = 4096, MW_SHAPE_NEST = 3200, MW_SHAPE_UNIQUE_KEY = 9 };

/* One message under way. */
struct mw_shape_run {
    lua_State *L;
    const char *base, *at, *end;        /* reading */
    int keys;                           /* where the anchors are in the stack */
    unsigned depth, depth_max, nest;    /* nest: calls of ourselves; the C stack is finite */
    unsigned trials;                    /* variants of unions that are being tried, one in the other */
    size_t fuel;                        /* visits that may still be made in trials within trials: their number multiplies */
    size_t values;                      /* that may still be looked at: a table that is shared counts each time */
    struct mw_crowd crowd;              /* what keys of values without a shape may still cost */
    size_t steps;                       /* of patterns, beyond those that each string brings along */
    int rc;                             /* reading JSON: why NULL was returned */
    int from_bytes;                     /* checking: the value was read a moment ago: an array has its mark */
    /* The story of a failure: its path grows from its end, as the calls return (mw_codec_path_key). */
    struct mw_codec_fault *fault;       /* never NULL here */
    struct mw_err *err;
    const char *expected;               /* MW_ESCHEMA */
    char got[128];
};

/* shape.c */
int mw_shape_run_open(struct mw_shape_run *r, const struct mw_codec_options *o);    /* L, base, end, fault, err are filled */
int mw_shape_run_end(struct mw_shape_run *r, int rc);           /* tells the story; returns rc */
int mw_shape_wrong(struct mw_shape_run *r, const char *expected, const char *got);      /* MW_ESCHEMA, at r->at */
int mw_shape_wrong_type(struct mw_shape_run *r, const mw_shape *s, enum mw_shape_type got);
int mw_shape_wrong_count(struct mw_shape_run *r, const mw_shape *s, size_t n);  /* of an array or a map */
int mw_shape_wrong_literal(struct mw_shape_run *r, const mw_shape *s, enum mw_shape_type got);
int mw_shape_wrong_tag(struct mw_shape_run *r, const mw_shape *s, enum mw_shape_type got);      /* of a one_of; T_STRING: another one */
int mw_shape_failed(struct mw_shape_run *r, int code, const char *what);        /* MW_EPARSE, MW_ELIMIT, MW_ENOMEM at r->at */
unsigned mw_shape_hash(const char *name, size_t len);
const struct mw_shape_field *mw_shape_field_find(const struct mw_shape_object *o, const char *name, size_t len);
int mw_shape_missing(struct mw_shape_run *r, const struct mw_shape_field *f, int t);    /* default into the table at t, or refused */
int mw_shape_unknown(struct mw_shape_run *r, const struct mw_shape_object *o, const char *name, size_t len);
void mw_shape_copy(lua_State *L, int idx, unsigned depth);      /* pushes a copy of a table, to its depth: nobody may change a default */
void mw_shape_push_fallback(struct mw_shape_run *r, int ref, int table);
const mw_shape *mw_shape_tagged(const mw_shape *s, const char *text, size_t len);      /* the variant that demands that tag, or NULL */
/* Scalars: 0, or refused. The literal is at *which. */
int mw_shape_is_string(struct mw_shape_run *r, const mw_shape *s, const char *text, size_t len);
int mw_shape_is_integer(struct mw_shape_run *r, const mw_shape *s, lua_Integer v);
int mw_shape_is_float(struct mw_shape_run *r, const mw_shape *s, lua_Number v);
const struct mw_shape_literal *mw_shape_literal_string(const mw_shape *s, const char *text, size_t len);
const struct mw_shape_literal *mw_shape_literal_other(const mw_shape *s, enum mw_shape_type type, lua_Integer i, lua_Number f);
int mw_shape_utf8(const char *text, size_t len);
/* Array elements that may not come twice: the value at the top, seen in the table at `seen` before? 1 or 0.     [-0, +0, m] */
int mw_shape_seen(lua_State *L, int seen);

/* shape_check.c: 0, 1: a copy was pushed, or refused with something above `idx`. */
int mw_shape_check_at(struct mw_shape_run *r, const mw_shape *s, int idx);

/* shape_json.c, shape_pack.c: pushes a value. */
int mw_shape_read_json(struct mw_shape_run *r, const mw_shape *s);
int mw_shape_read_pack(struct mw_shape_run *r, const mw_shape *s);

/* shape_make.c, for the door: bytes of the node that the description at idx asks for; then filled, with the box at `box` that has
 * it as its second user value. Raises what is wrong with it. */
size_t mw_shape_size(lua_State *L, int idx);
void mw_shape_fill(lua_State *L, int idx, int box, mw_shape_match match);
void mw_shape_resolve(lua_State *L, mw_shape *ref, const mw_shape *to);         /* raises when it leads to itself */
void mw_shape_end(lua_State *L, mw_shape *s);                                   /* __gc */
void mw_shape_push_anchors(lua_State *L);                                       /* the table of anchors   [-0, +1, m] */

#endif
