/* Formats of frames as Lua values, and what bind/frame.c and bind/channel*.c share.
 * Knows: bind/arg, wire/frame.
 * Never: I/O. */
#ifndef MW_BIND_FRAME_H
#define MW_BIND_FRAME_H

#include <lua.h>

#include "wire/frame.h"

#define MW_FRAME_TYPE "mw.frame"

/* The format at idx: a protocol's name, or what frame.new made. max: 0, or bytes that replace its own. Lent: the box that is
 * pushed keeps it, one for all who say the same without a max of their own. Raises EINVAL.                  [-0, +1, e] */
const struct mw_frame_format *mw_frame_arg(lua_State *L, int idx, const char *op, size_t max);

/* The header fields of a frame to send, from the arguments at first..top: exactly one for each field but the length.
 * values: room for MW_FRAME_FIELDS. Raises EINVAL for a missing, surplus, mistyped or too great one.      [-0, +0, e] */
void mw_frame_values(lua_State *L, int first, const char *op, const struct mw_frame_format *f, union mw_frame_value *values);

/* The fields of a whole frame but the length, read before anything is pushed: pushing may run a script's __gc. Returns how
 * many; the stack has room for them and for one more value. Then push each.                                [-0, +0, m] */
int mw_frame_fields(lua_State *L, const struct mw_frame_format *f, const struct mw_frame *frame, union mw_frame_value *out);
void mw_frame_push_field(lua_State *L, const struct mw_frame_format *f, int i, union mw_frame_value value);

/* nil and an EFRAME object with err.data = { why, max, announced }.                                         [-0, +2, m] */
int mw_frame_push_refusal(lua_State *L, const struct mw_frame_format *f, const char *why, const char *what, uint64_t announced,
                          const char *op, const char *subject);

#endif
