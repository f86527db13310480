/* Frames: where one message ends and the next begins, in bytes that somebody else reads and writes.
 * Knows: base.
 * Never: I/O, a loop, Lua, memory of its own: a format is a plain value, a frame is lent from the bytes it was found in. */
#ifndef MW_WIRE_FRAME_H
#define MW_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MW_FRAME_MAX ((size_t)16 << 20)          /* bytes of data of one frame, unless said otherwise */
#define MW_FRAME_MAX_HARD ((size_t)1 << 30)      /* ... and the most that may be said */
#define MW_FRAME_LINE_MAX ((size_t)1 << 20)      /* the same two for "lines" */
#define MW_FRAME_LINE_MAX_HARD ((size_t)64 << 20)
#define MW_FRAME_HEAD 64                         /* bytes: the longest header that we compose */
#define MW_FRAME_FIELDS 16                       /* fields of a custom header, the length included */
#define MW_FRAME_NATIVE (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)    /* 1: the highest byte comes first in this machine */
#define MW_FRAME_TEXT_HEAD ((size_t)4096)        /* bytes: the longest header block of "content-length" that we read */

enum mw_frame_kind { MW_FRAME_FIXED, MW_FRAME_LINES, MW_FRAME_VARINT, MW_FRAME_NETSTRING, MW_FRAME_CONTENT };
enum mw_frame_type { MW_FRAME_SIGNED, MW_FRAME_UNSIGNED, MW_FRAME_FLOAT, MW_FRAME_DOUBLE };

/* One field of a custom header: `size` bytes at offset `at`. Floats are 4 bytes, doubles 8. */
struct mw_frame_field {
    uint8_t type, at, size, big;  /* big: 1 when the highest byte comes first */
    int64_t min, max;             /* the integers that it can hold; an unsigned one of 8 bytes holds any */
};

/* How frames look. A plain value: copy it freely; never changed once made. */
struct mw_frame_format {
    const char *name;             /* static: "u32le", "custom" */
    enum mw_frame_kind kind;
    size_t max;                   /* bytes of data of one frame, checked on both sides */
    unsigned fields;              /* MW_FRAME_FIXED only, as the next three: how many fields the header has */
    unsigned length;              /* index of the field that holds the length of the data */
    unsigned head;                /* bytes of the header */
    uint8_t quick;                /* 1: nothing but a length, a plain u32; 2: and an unsigned byte: see mw_frame_quick */
    uint8_t length_at, length_big, other_at;      /* then: where the length stands, and in which order; where the byte is */
    int plain;                    /* 1: integers without a gap: see mw_frame_store */
    struct mw_frame_field field[MW_FRAME_FIELDS];
};

/* A header field's value. Unsigned fields of 8 bytes wrap into i, as string.pack's do. */
union mw_frame_value {
    int64_t i;
    double d;
};

/* A format by name: "lines" "u32le" "u32be" "varint" "netstring" "content-length" "typed" (u8 kind, u32 little-endian length).
 * max: bytes, 1..the hard maximum; 0 is the default. Returns 0 or MW_EINVAL with the reason in err. */
int mw_frame_named(struct mw_frame_format *f, const char *name, size_t max, struct mw_err *err);

/* A format with a header of string.pack letters: < > = ! b B h H i[n] I[n] j J l L T x f d n (n: 1..8), spaces ignored.
 * length: which field (from 1) holds the length of the data; 0 when there is but one field. Same results. */
int mw_frame_custom(struct mw_frame_format *f, const char *header, unsigned length, size_t max, struct mw_err *err);

/* What the parser found. Zero it before the first bytes of a stream; pass it again with more of the same bytes, from the
 * same first byte; a whole frame leaves it ready for the next one. */
struct mw_frame {
    const char *head;             /* whole: where its header starts; lent from the bytes given */
    const char *data;
    size_t len;                   /* bytes of data */
    size_t used;                  /* bytes of the frame, header and trailer included: consume these */
    size_t need;                  /* not whole: before so many more bytes nothing can be said, 1.. */
    size_t seen;                  /* bytes already looked at: private to the parser */
    uint64_t announced;           /* refused as too large: the length that the peer announced (0: no number) */
    const char *why;              /* refused: "too_large" or "protocol"; static */
    const char *what;             /* refused: the same in a sentence's words; static */
};

/* Looks for one frame at the start of at[0..len). 1: whole; 0: not yet (see need); MW_EFRAME: it breaks the format (see why),
 * decided on the first byte that shows it. Takes no memory; time is linear in the bytes not seen before. */
int mw_frame_parse(const struct mw_frame_format *f, const char *at, size_t len, struct mw_frame *out);

/* The same for the commonest formats, in line: 1 when a frame is whole, and *data bytes of data follow the header; 0: see what
 * mw_frame_parse says. */
static inline int mw_frame_quick(const struct mw_frame_format *f, const char *at, size_t len, size_t *data) {
    uint32_t n;

    if (f->quick == 0 || len < f->head) return 0;
    __builtin_memcpy(&n, at + f->length_at, sizeof n);
    if (f->length_big != MW_FRAME_NATIVE) n = __builtin_bswap32(n);
    *data = n;
    return n <= f->max && len - f->head >= n;
}

/* `size` bytes, 1 to 8, as an unsigned number. The usual sizes are one load each. */
static inline uint64_t mw_frame_load(const char *p, unsigned size, int big) {
    const unsigned char *b = (const unsigned char *)p;
    uint64_t v = 0;

    if (size == 1) return b[0];
    if (size == 4) {
        uint32_t w;
        __builtin_memcpy(&w, p, sizeof w);
        return big == MW_FRAME_NATIVE ? w : __builtin_bswap32(w);
    }
    if (size == 8) {
        __builtin_memcpy(&v, p, sizeof v);
        return big == MW_FRAME_NATIVE ? v : __builtin_bswap64(v);
    }
    for (unsigned i = 0; i < size; i++) v = v << 8 | b[big ? i : size - 1 - i];
    return v;
}

/* Field `i` (from 0) of a whole frame of a custom format. */
static inline union mw_frame_value mw_frame_get(const struct mw_frame_format *f, const struct mw_frame *frame, unsigned i) {
    const struct mw_frame_field *field = &f->field[i];
    uint64_t bits = mw_frame_load(frame->head + field->at, field->size, field->big);
    union mw_frame_value v;

    if (field->type == MW_FRAME_FLOAT) {
        uint32_t low = (uint32_t)bits;
        float single;
        __builtin_memcpy(&single, &low, sizeof single);
        v.d = (double)single;
        return v;
    }
    if (field->type == MW_FRAME_SIGNED && field->size < 8) {
        uint64_t sign = (uint64_t)1 << (field->size * 8 - 1);
        bits = (bits ^ sign) - sign;
    }
    __builtin_memcpy(&v, &bits, sizeof v);      /* a double is its bits */
    return v;
}

/* What goes before and after the data on the wire. */
struct mw_frame_wrap {
    char head[MW_FRAME_HEAD];
    char tail[1];
    unsigned head_len, tail_len;
    const char *why, *what;       /* as in struct mw_frame, when refused */
};

/* Composes what surrounds data[0..len).
 *
 * values   the fields other than the length, in order (f->fields - 1 of them); NULL when there are none
 * data     looked at by "lines" only
 *
 * Returns 0; MW_EFRAME (above max or the length field's range; a newline in a line); MW_EINVAL (a value out of its field's
 * range). Nothing is written but *out. */
int mw_frame_compose(const struct mw_frame_format *f, const union mw_frame_value *values, const char *data, size_t len,
                     struct mw_frame_wrap *out);

/* Writes one field of a plain format to its place in the header at `head`; v is in its range. */
static inline void mw_frame_store(const struct mw_frame_field *field, int64_t v, char *head) {
    uint64_t bits = (uint64_t)v;

    if (field->size == 1) {
        head[field->at] = (char)(bits & 0xff);
        return;
    }
    if (field->big != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)) bits = __builtin_bswap64(bits) >> (64 - 8 * field->size);
    if (field->size == 4) __builtin_memcpy(head + field->at, &(uint32_t){ (uint32_t)bits }, 4);
    else if (field->size == 2) __builtin_memcpy(head + field->at, &(uint16_t){ (uint16_t)bits }, 2);
    else __builtin_memcpy(head + field->at, &bits, 8);
}

/* Fills err for a refused frame: MW_EFRAME, also returned. announced: as in struct mw_frame, or the length of what was to
 * be sent. */
int mw_frame_refuse(const struct mw_frame_format *f, const char *why, const char *what, uint64_t announced, const char *op,
                    const char *subject, struct mw_err *err);

#endif
