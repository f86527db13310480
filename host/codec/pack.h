/* MessagePack values (https://github.com/msgpack/msgpack/blob/master/spec.md) to Lua values and back, straight from and to bytes.
 * Knows: codec/codec, lua.h. Never: trusts a length: memory is taken for bytes that are there. */
#ifndef MW_CODEC_PACK_H
#define MW_CODEC_PACK_H

#include <stdint.h>

#include "codec/codec.h"

/* Pushes the value at the head of at[0..len) and sets *used to its bytes; used NULL: bytes behind it are refused. str and bin arrive as
 * strings, uint64 above the int64 range is refused, float32 as a float, ext as what api.md and codec/pack.c say, nil as mw.null inside
 * arrays and maps and at the top. MW_EPARSE, MW_ELIMIT as mw_json_read has them; with `used`, MW_EAGAIN: it is not whole, at least
 * fault->offset bytes are needed.                                                                         [-0, +1|0, m] */
int mw_pack_read(lua_State *L, const char *at, size_t len, size_t *used, const struct mw_codec_options *o, struct mw_codec_fault *fault,
                 struct mw_err *err);

/* Appends the value at idx to out in the shortest form; strings that are UTF-8 as str, others as bin. Codes as mw_json_write's. NaN and
 * infinities are numbers here.                                                                            [-0, +0, m] */
int mw_pack_write(lua_State *L, int idx, struct mw_bytes *out, const struct mw_codec_options *o, struct mw_codec_fault *fault, struct mw_err *err);

#endif
