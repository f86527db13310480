/* Where a MessagePack value ends, found piece by piece: each byte is looked at once, and nothing is kept but two numbers.
 * Knows: base/msgpack_tag. Never: Lua. */
#include "base/msgpack_tag.h"
#include "codec/pack.h"

/* What follows a first byte: `counted` bytes of a big-endian number, which is how many bytes (and `bytes` more), or, where `values` is
 * not 0, how many times so many values. Without them: so many bytes, so many values. */
struct head {
    unsigned counted;
    uint64_t bytes, values;
};

static struct head head_of(unsigned tag) {
    struct head h = {0};

    if (tag < FIX_MAP || tag >= FIX_NEGATIVE) return h;
    if (tag < FIX_ARRAY) h.values = 2u * (tag - FIX_MAP);
    else if (tag < FIX_STR) h.values = tag - FIX_ARRAY;
    else if (tag < TAG_NIL) h.bytes = tag - FIX_STR;
    else if (tag >= TAG_BIN8 && tag <= TAG_BIN32) h.counted = 1u << (tag - TAG_BIN8);
    else if (tag >= TAG_EXT8 && tag <= TAG_EXT32) h.counted = 1u << (tag - TAG_EXT8), h.bytes = 1;
    else if (tag == TAG_FLOAT32 || tag == TAG_FLOAT64) h.bytes = tag == TAG_FLOAT32 ? 4 : 8;
    else if (tag >= TAG_UINT8 && tag <= TAG_UINT64) h.bytes = 1u << (tag - TAG_UINT8);
    else if (tag >= TAG_INT8 && tag <= TAG_INT64) h.bytes = 1u << (tag - TAG_INT8);
    else if (tag >= TAG_FIXEXT1 && tag <= TAG_FIXEXT16) h.bytes = 1u + (1u << (tag - TAG_FIXEXT1));
    else if (tag >= TAG_STR8 && tag <= TAG_STR32) h.counted = 1u << (tag - TAG_STR8);
    else if (tag >= TAG_ARRAY16) h.counted = (tag - TAG_ARRAY16) % 2 ? 4 : 2, h.values = tag >= TAG_MAP16 ? 2 : 1;
    return h;
}

size_t mw_pack_scan(struct mw_pack_scan *s, const char *at, size_t len, uint64_t *need) {
    const unsigned char *p = (const unsigned char *)at;
    struct head h;
    size_t i = 0;
    uint64_t n;

    *need = 0;
    for (;;) {
        if (s->skip > len - i) {
            s->skip -= len - i;
            *need = s->skip + s->wanted;
            return len;
        }
        i += (size_t)s->skip;
        s->skip = 0;
        if (s->wanted == 0) return i;
        if (i == len) break;
        h = head_of(p[i]);
        if (h.counted > len - i - 1) {
            *need = h.counted - (len - i - 1) + s->wanted - 1;
            return i;
        }
        n = 0;
        for (unsigned k = 1; k <= h.counted; k++) n = n << 8 | p[i + k];
        if (h.counted > 0 && h.values > 0) h.values *= n;
        else h.bytes += n;
        i += 1 + h.counted;
        s->skip = h.bytes;
        s->wanted += h.values - 1;
        if (s->wanted > UINT64_MAX / 4) s->wanted = UINT64_MAX / 4; /* longer than anything */
    }
    *need = s->wanted;
    return i;
}
