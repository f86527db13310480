/* What the doors of the formats share: options, and where a message is wrong.
 * Knows: codec, lua.h. Never: a byte of any format. */
#ifndef MW_BIND_CODEC_H
#define MW_BIND_CODEC_H

#include "codec/codec.h"

/* Reads max_depth and max_bytes of the table at idx, which mw_opt_open has seen (nil/none: both 0).       [-0, +0, e] */
void mw_codec_opt(lua_State *L, int idx, const char *op, struct mw_codec_options *o);

/* limits({ max_depth, max_bytes }, op) -> what those who read many messages by the same give to decode in place of the table, which would be
 * looked through for each; of our own modules                                                             [-0, +1, e] */
int mw_codec_limits(lua_State *L);
/* 1: such a one is at idx, and *o is filled.                                                              [-0, +0, -] */
int mw_codec_limited(lua_State *L, int idx, struct mw_codec_options *o);

/* For a door's return after a failed reading: mw_push_err_data with { offset, path }, expected of MW_ESCHEMA, and, when `text` is not NULL (JSON, which has
 * lines), line and column. `op` becomes err's.                                                            [-0, +2, e] */
int mw_codec_push_fault(lua_State *L, const char *op, const struct mw_codec_fault *fault, const char *text, const struct mw_err *err);

#endif
