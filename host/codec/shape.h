/* Shapes: what a message must look like (mw.schema), compiled, and read against bytes or Lua values.
 * Knows: codec/codec, codec/json, codec/pack, lua.h. Never: builds what the shape does not keep; copies a shape's text. */
#ifndef MW_CODEC_SHAPE_H
#define MW_CODEC_SHAPE_H

#include "codec/codec.h"

#define MW_SHAPE_TYPE "mw.schema"       /* the box: a full userdata that owns a mw_shape */
typedef struct mw_shape mw_shape;

/* The shape of the box at idx, lent as long as the box lives; NULL: it is none. Raises nothing.          [-0, +0, -] */
const mw_shape *mw_shape_test(lua_State *L, int idx);

/* Reads one message (MW_CODEC_JSON or MW_CODEC_MSGPACK) and checks it on the way: pushes what the shape keeps. MW_EPARSE and MW_ELIMIT
 * as the codec's own reading; MW_ESCHEMA: fault (may be NULL) has the path, the offset and what was expected, err->what the sentence:
 * "items[3].name: a string of at most 64 bytes expected, got an integer". Raises what stops the script.   [-0, +1|0, e] */
int mw_shape_read(lua_State *L, const mw_shape *shape, enum mw_codec codec, const char *at, size_t len, const struct mw_codec_options *o,
                  struct mw_codec_fault *fault, struct mw_err *err);

/* Checks the Lua value at idx, raw. 0 or MW_ESCHEMA, MW_ELIMIT (nested deeper than MW_CODEC_DEPTH_MAX).
 * Pushes, on 0, the value as it is to be sent: itself, or a copy without the fields that
 * the shape drops, with its defaults, and with a mark on an empty table that stands for an array.      [-0, +1|0, e] */
int mw_shape_check(lua_State *L, int idx, const mw_shape *shape, struct mw_codec_fault *fault, struct mw_err *err);

#endif
