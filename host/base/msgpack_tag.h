/* The first bytes of MessagePack, as base/msgpack and codec/pack know them.
 * Knows: nothing. Never: included by others. */
#ifndef MW_BASE_MSGPACK_TAG_H
#define MW_BASE_MSGPACK_TAG_H

#define FIX_MAP 0x80u           /* ..8f */
#define FIX_ARRAY 0x90u         /* ..9f */
#define FIX_STR 0xa0u           /* ..bf */
#define FIX_NEGATIVE 0xe0u      /* ..ff: -32..-1; 00..7f are 0..127 */

enum {
    TAG_NIL = 0xc0, TAG_NEVER, TAG_FALSE, TAG_TRUE,
    TAG_BIN8, TAG_BIN16, TAG_BIN32,
    TAG_EXT8, TAG_EXT16, TAG_EXT32,
    TAG_FLOAT32, TAG_FLOAT64,
    TAG_UINT8, TAG_UINT16, TAG_UINT32, TAG_UINT64,
    TAG_INT8, TAG_INT16, TAG_INT32, TAG_INT64,
    TAG_FIXEXT1, TAG_FIXEXT2, TAG_FIXEXT4, TAG_FIXEXT8, TAG_FIXEXT16,
    TAG_STR8, TAG_STR16, TAG_STR32,
    TAG_ARRAY16, TAG_ARRAY32,
    TAG_MAP16, TAG_MAP32
};

#define BYTES_MAX (16u << 20)   /* of a message, unless the options say otherwise */

#endif
