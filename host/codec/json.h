/* JSON values (RFC 8259) to Lua values and back, straight from and to bytes.
 * Knows: codec/codec, lua.h. Never: accepts what is not JSON; loses an integer's or a float's value; trusts a length. */
#ifndef MW_CODEC_JSON_H
#define MW_CODEC_JSON_H

#include "codec/codec.h"

/* Pushes the value that at[0..len) says; at[len] need not be readable. Integers in the int64 range arrive as integers (larger ones are
 * refused), numbers with a fraction or an exponent as floats (one that overflows is refused). MW_EPARSE: syntax, depth, UTF-8, lone
 * surrogates, duplicate keys, trailing bytes; MW_ELIMIT: bytes_max, keys. Then nothing is pushed and *fault (may be NULL) says where;
 * err's subject is "line 3 column 7". o may be NULL. Time is linear; memory in proportion to the bytes there are.   [-0, +1|0, m] */
int mw_json_read(lua_State *L, const char *at, size_t len, const struct mw_codec_options *o, struct mw_codec_fault *fault, struct mw_err *err);

/* For readers of their own: pushes the value at *at, before `end`, within `depth` levels more, and moves *at behind it. fault's offset
 * counts from `start`, its path from this value. On failure the stack may hold more than it did.          [-0, +1|?, m] */
int mw_json_read_part(lua_State *L, const char *start, const char **at, const char *end, unsigned depth, struct mw_codec_fault *fault,
                      struct mw_err *err);

/* Appends the value at idx to out: no space, no newline. MW_EINVAL, err and fault->path name what cannot be written (a function, NaN, a
 * table with mixed keys or holes, a string that is no UTF-8, a cycle seen as depth). MW_ELIMIT: depth, bytes_max. On failure, and when
 * Lua's memory error is raised, `out` holds what it held before.                                                  [-0, +0, m] */
int mw_json_write(lua_State *L, int idx, struct mw_bytes *out, const struct mw_codec_options *o, struct mw_codec_fault *fault, struct mw_err *err);

#endif
