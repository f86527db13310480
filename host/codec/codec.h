/* What the formats have in common: JSON (codec/json), MessagePack (codec/pack), and shapes (codec/shape), which read and check both.
 * Knows: base, lua.h. Never: a byte of any format. */
#ifndef MW_CODEC_CODEC_H
#define MW_CODEC_CODEC_H

#include <lua.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

#define MW_CODEC_BYTES_MAX ((size_t)16 << 20)   /* of one message, as of one frame */
#define MW_CODEC_DEPTH 128u             /* levels of arrays and objects, unless the options say otherwise (threat-model.md) */
#define MW_CODEC_DEPTH_MAX 1000u
#define MW_CODEC_KEYS_MAX 65536u        /* keys of one object, read or written */
#define MW_CODEC_PATH_MAX 256           /* bytes of a path, with its end */

enum mw_codec { MW_CODEC_NONE, MW_CODEC_JSON, MW_CODEC_MSGPACK };

struct mw_crowd;
struct mw_codec_options {
    size_t bytes_max;                   /* of one message; 0: MW_CODEC_BYTES_MAX */
    unsigned depth_max;                 /* 0: MW_CODEC_DEPTH */
    struct mw_crowd *crowd;             /* reading a part of a message: what the whole has to spend (codec/crowd); NULL: it is a whole */
    int sort;                           /* written: keys in the order of their bytes, so that equal values are equal text */
};

/* Where a message is wrong. */
struct mw_codec_fault {
    size_t offset;                      /* bytes before it, when reading */
    char path[MW_CODEC_PATH_MAX];       /* "items[3].name", elements from 1; "" is the message itself; cut in the middle when long */
    char expected[MW_CODEC_PATH_MAX];   /* with MW_ESCHEMA alone: "a string of at most 64 bytes" */
};

/* Puts a key or an element (from 1) before the path that is there: readers and writers call them on the way out of a failure, the
 * innermost first. A key that is no name is written ["so"], with what a terminal would heed escaped. f may be NULL. */
void mw_codec_path_key(struct mw_codec_fault *f, const char *key, size_t len);
void mw_codec_path_index(struct mw_codec_fault *f, lua_Integer i);

/* null, of both formats: one light userdata, the same in every host and worker, so that it can be compared with ==. Lua: mw.null. */
void mw_codec_push_null(lua_State *L);                  /* [-0, +1, -] */
int mw_codec_is_null(lua_State *L, int idx);            /* [-0, +0, -] */

/* Once a state: tostring() says "null" of it.                                                             [-0, +0, m] */
void mw_codec_open(lua_State *L);

/* Marks for tables, which tell an empty array from an empty object: metatables without a field that Lua heeds, made once a state.
 * What is read is marked when it is an array; what is written is an array when it is marked so, or not marked and a sequence that is
 * not empty; an object when it is marked so, or its keys are strings; an empty table without a mark is an object.
 * mw_codec_mark sets the mark of the table at the top.                                                   [-0, +0, m] */
enum mw_codec_mark { MW_CODEC_PLAIN, MW_CODEC_ARRAY, MW_CODEC_OBJECT };
void mw_codec_mark(lua_State *L, enum mw_codec_mark mark);
enum mw_codec_mark mw_codec_marked(lua_State *L, int idx);     /* the mark of the table at idx      [-0, +0, -] */

/* For those who mark or look at many tables: the mark itself, to be set with lua_setmetatable (nil: MW_CODEC_PLAIN); and its address,
 * as lua_topointer gives it, NULL as long as nobody needed it in this state. */
void mw_codec_push_mark(lua_State *L, enum mw_codec_mark mark);                /* [-0, +1, m] */
const void *mw_codec_mark_at(lua_State *L, enum mw_codec_mark mark);           /* [-0, +0, -] */

#endif
