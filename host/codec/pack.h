/* MessagePack values (https://github.com/msgpack/msgpack/blob/master/spec.md) to Lua values and back, straight from and to bytes.
 * Knows: codec/codec, lua.h. Never: trusts a length: memory is taken for bytes that are there. */
#ifndef MW_CODEC_PACK_H
#define MW_CODEC_PACK_H

#include <stdint.h>

#include "codec/codec.h"

#define MW_PACK_EXT_TYPE "mw.msgpack.ext"       /* the metatable of { type = -128..127, data = bytes } */

/* Pushes the value at the head of at[0..len) and sets *used to its bytes; used NULL: bytes behind it are refused. str and bin arrive as
 * strings, uint64 above the int64 range is refused, float32 as a float, nil as mw.null inside arrays and maps and at the top. ext is a
 * table { type, data } with the metatable MW_PACK_EXT_TYPE, whatever its type. Keys of maps are strings, integers, floats that are
 * numbers, booleans: others are refused, and what is the same key to Lua is refused as a duplicate (1 and 1.0). Arrays are marked, and
 * maps with a key that is no string. Encodings that are not the shortest are taken.
 * MW_EPARSE, MW_ELIMIT as mw_json_read has them; with `used`, MW_EAGAIN: it is not whole, at least fault->offset bytes are needed.
 * o and fault may be NULL. Loop: none; any thread that owns L.                                             [-0, +1|0, m] */
int mw_pack_read(lua_State *L, const char *at, size_t len, size_t *used, const struct mw_codec_options *o, struct mw_codec_fault *fault,
                 struct mw_err *err);

/* Where a value ends, found in pieces and without looking at a byte twice: begin with {1, 0}. Returns how many bytes of this piece
 * belong to the value (what is left of it, less than 5 bytes of a head that is cut, is to come again in front of the next), and *need:
 * 0, it ended here; or the bytes that are missing at least. 0xc1 counts as a value: reading refuses it.      Any thread. */
struct mw_pack_scan {
    uint64_t wanted;                    /* values that are still to begin */
    uint64_t skip;                      /* bytes of the one that began */
};
size_t mw_pack_scan(struct mw_pack_scan *s, const char *at, size_t len, uint64_t *need);

/* What Lua strings become: MW_PACK_AUTO str where they are UTF-8, else bin. Keys are always as MW_PACK_AUTO has them, or str. */
enum mw_pack_strings { MW_PACK_AUTO, MW_PACK_STR, MW_PACK_BIN };

/* Appends the value at idx to out in the shortest form; NaN and infinities are numbers here. A table without a mark is an array when its
 * keys are exactly 1..n, a map when it has no element 1, and refused when it has both elements and other keys or holes. Metatables
 * are not looked at, save __pairs and protected ones, whose tables are refused. Codes as mw_json_write's.        [-0, +0, m] */
int mw_pack_write(lua_State *L, int idx, struct mw_bytes *out, const struct mw_codec_options *o, struct mw_codec_fault *fault, struct mw_err *err);
int mw_pack_write_as(lua_State *L, int idx, struct mw_bytes *out, enum mw_pack_strings strings, const struct mw_codec_options *o,
                     struct mw_codec_fault *fault, struct mw_err *err);

/* Pushes the metatable of ext tables; made at the first call of a state.                                      [-0, +1, m] */
void mw_pack_push_ext(lua_State *L);

/* Puts the key at that stack index before fault's path, whatever a map's key can be.                            [-0, +0, -] */
void mw_pack_path(lua_State *L, int key, struct mw_codec_fault *fault);

#endif
