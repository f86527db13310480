/* Custom headers: string.pack letters to fields, and fields to and from bytes.
 * Knows: wire/frame.
 * Never: looks beyond the header's own bytes. */
#include <stddef.h>
#include <string.h>

#include "wire/frame_header.h"

/* Reading the letters: where we are and what the modifiers said. */
struct reader {
    const char *text, *at;
    unsigned offset, align;       /* bytes laid out so far; the greatest alignment (1: none) */
    int big;
};

static int bad(const struct reader *r, const char *what, struct mw_err *err) {
    return mw_err_setf(err, MW_EINVAL, "frame.new", r->text, "header: %s at column %d", what, (int)(r->at - r->text) + 1);
}

/* The number after a letter; `fallback` when there is none; 0 when it is not 1..8. */
static unsigned number(struct reader *r, unsigned fallback) {
    unsigned n = 0;

    if (r->at[1] < '0' || r->at[1] > '9') return fallback;
    while (r->at[1] >= '0' && r->at[1] <= '9') {
        r->at++;
        n = n * 10 + (unsigned)(*r->at - '0');
        if (n > 8) n = 9;
    }
    return n <= 8 ? n : 0;
}

/* The size and type of the field at r->at; 0 and size 0 for a letter that is no field. */
static enum mw_frame_type field_of(struct reader *r, unsigned *size) {
    switch (*r->at) {
    case 'b': *size = 1; return MW_FRAME_SIGNED;
    case 'B': *size = 1; return MW_FRAME_UNSIGNED;
    case 'h': *size = sizeof(short); return MW_FRAME_SIGNED;
    case 'H': *size = sizeof(short); return MW_FRAME_UNSIGNED;
    case 'i': *size = number(r, sizeof(int)); return MW_FRAME_SIGNED;
    case 'I': *size = number(r, sizeof(int)); return MW_FRAME_UNSIGNED;
    case 'l': *size = sizeof(long); return MW_FRAME_SIGNED;
    case 'L': *size = sizeof(long); return MW_FRAME_UNSIGNED;
    case 'j': *size = 8; return MW_FRAME_SIGNED;
    case 'J': *size = 8; return MW_FRAME_UNSIGNED;
    case 'T': *size = sizeof(size_t); return MW_FRAME_UNSIGNED;
    case 'f': *size = 4; return MW_FRAME_FLOAT;
    case 'd':
    case 'n': *size = 8; return MW_FRAME_DOUBLE;
    default: *size = 0; return MW_FRAME_SIGNED;
    }
}

/* Modifiers: 1 when the letter was one, 0 when it is a field's, or a code. */
static int modifier(struct reader *r, struct mw_err *err) {
    switch (*r->at) {
    case ' ': return 1;
    case '<': r->big = 0; return 1;
    case '>': r->big = 1; return 1;
    case '=': r->big = MW_FRAME_NATIVE; return 1;
    case 'x': r->offset++; return 1;
    case '!':
        r->align = number(r, _Alignof(max_align_t) > 8 ? 8 : _Alignof(max_align_t));
        if (r->align == 0) return bad(r, "an alignment must be 1 to 8", err);
        return 1;
    default: return 0;
    }
}

static void set_range(struct mw_frame_field *field) {
    unsigned bits = field->size * 8u;

    field->min = INT64_MIN;
    field->max = INT64_MAX;
    if (field->size == 8) return;
    field->min = field->type == MW_FRAME_SIGNED ? -((int64_t)1 << (bits - 1)) : 0;
    field->max = ((int64_t)1 << (field->type == MW_FRAME_SIGNED ? bits - 1 : bits)) - 1;
}

/* Adds the field at r->at to the format. */
static int add_field(struct reader *r, struct mw_frame_format *f, struct mw_err *err) {
    unsigned size = 0, align;
    char letter = *r->at;
    enum mw_frame_type type = field_of(r, &size);

    if (size == 0) {
        return bad(r, strchr("iI", letter) != NULL ? "an integer must have 1 to 8 bytes" : "a letter that headers do not know", err);
    }
    if (f->fields == MW_FRAME_FIELDS) return bad(r, "more than 16 fields", err);
    align = size < r->align ? size : r->align;
    if (align > 1) {
        if ((align & (align - 1)) != 0) return bad(r, "the alignment is no power of 2", err);
        r->offset = (r->offset + align - 1) & ~(align - 1);
    }
    if (r->offset + size > MW_FRAME_HEAD) return bad(r, "longer than 64 bytes", err);
    f->field[f->fields] = (struct mw_frame_field){(uint8_t)type, (uint8_t)r->offset, (uint8_t)size, (uint8_t)r->big, 0, 0};
    set_range(&f->field[f->fields++]);
    r->offset += size;
    return 0;
}

/* 1: integers of 1, 2, 4 or 8 bytes, one behind the other. */
static int is_plain(const struct mw_frame_format *f) {
    unsigned sum = 0;

    for (unsigned i = 0; i < f->fields; i++) {
        unsigned size = f->field[i].size;
        if (f->field[i].type >= MW_FRAME_FLOAT || (size & (size - 1)) != 0) return 0;
        sum += size;
    }
    return sum == f->head;
}

static void set_quick(struct mw_frame_format *f) {
    const struct mw_frame_field *length = &f->field[f->length], *other = &f->field[f->length == 0];

    f->length_at = length->at;
    f->length_big = length->big;
    f->other_at = other->at;
    if (length->type != MW_FRAME_UNSIGNED || length->size != 4 || f->fields > 2) return;
    if (f->fields == 1) f->quick = 1;
    else if (other->type == MW_FRAME_UNSIGNED && other->size == 1) f->quick = 2;
}

int mw_frame_custom(struct mw_frame_format *f, const char *header, unsigned length, size_t max, struct mw_err *err) {
    struct reader r = {header, header, 0, 1, MW_FRAME_NATIVE};
    int rc;

    memset(f, 0, sizeof *f);
    f->name = "custom";
    f->kind = MW_FRAME_FIXED;
    f->max = max == 0 ? MW_FRAME_MAX : max;
    if (f->max > MW_FRAME_MAX_HARD) {
        return mw_err_setf(err, MW_EINVAL, "frame.new", header, "max must be at most %zu bytes", MW_FRAME_MAX_HARD);
    }
    for (; *r.at != '\0'; r.at++) {
        rc = modifier(&r, err);
        if (rc == 0) rc = add_field(&r, f, err);
        if (rc < 0) return rc;
        if (r.offset > MW_FRAME_HEAD) return bad(&r, "longer than 64 bytes", err);
    }
    if (f->fields == 0) return mw_err_set(err, MW_EINVAL, "frame.new", header, "a header needs a field for the length");
    if (length == 0 && f->fields > 1) {
        return mw_err_set(err, MW_EINVAL, "frame.new", header, "length must say which field holds the length of the data");
    }
    if (length > f->fields) {
        return mw_err_setf(err, MW_EINVAL, "frame.new", header, "length is %u, but the header has %u fields", length, f->fields);
    }
    f->length = length == 0 ? 0 : length - 1;
    f->head = r.offset;
    f->plain = is_plain(f);
    set_quick(f);
    if (f->field[f->length].type != MW_FRAME_SIGNED && f->field[f->length].type != MW_FRAME_UNSIGNED) {
        return mw_err_set(err, MW_EINVAL, "frame.new", header, "the length must be an integer field");
    }
    return 0;
}

static inline void store(char *p, unsigned size, int big, uint64_t v) {
    if (size == 1) {
        *p = (char)(v & 0xff);
        return;
    }
    if (size == 4) {
        uint32_t w = (uint32_t)v;
        if (big != MW_FRAME_NATIVE) w = __builtin_bswap32(w);
        memcpy(p, &w, sizeof w);
        return;
    }
    for (unsigned i = 0; i < size; i++, v >>= 8) p[big ? size - 1 - i : i] = (char)(v & 0xff);
}

/* Writes field `i`: 0, or MW_EINVAL when it does not fit. */
static inline int put(const struct mw_frame_format *f, unsigned i, union mw_frame_value v, char *head) {
    const struct mw_frame_field *field = &f->field[i];
    uint64_t bits = 0;

    if (field->type == MW_FRAME_FLOAT) {
        float single = (float)v.d;
        uint32_t low;
        memcpy(&low, &single, sizeof low);
        bits = low;
    } else if (field->type == MW_FRAME_DOUBLE) {
        memcpy(&bits, &v.d, sizeof bits);
    } else {
        if (v.i < field->min || v.i > field->max) return MW_EINVAL;
        bits = (uint64_t)v.i;
    }
    store(head + field->at, field->size, field->big, bits);
    return 0;
}

int mw_frame_fixed_compose(const struct mw_frame_format *f, const union mw_frame_value *values, size_t len,
                           struct mw_frame_wrap *out) {
    memset(out->head, 0, sizeof out->head); /* the gaps of `x` and `!`; a constant size costs less than the right one */
    out->head_len = f->head;
    for (unsigned i = 0; i < f->fields; i++) {
        if (i != f->length) {
            if (put(f, i, *values++, out->head) < 0) return MW_EINVAL;
        } else if (put(f, i, (union mw_frame_value){.i = (int64_t)len}, out->head) < 0) {
            out->why = "too_large";
            out->what = "longer than the header's length field can say";
            return MW_EFRAME;
        }
    }
    return 0;
}

int mw_frame_fixed_parse(const struct mw_frame_format *f, const char *at, size_t len, struct mw_frame *out) {
    const struct mw_frame_field *field = &f->field[f->length];
    uint64_t n;

    if (len < f->head) {
        out->need = f->head - len;
        return 0;
    }
    n = mw_frame_load(at + field->at, field->size, field->big);
    if (field->type == MW_FRAME_SIGNED && (n >> (field->size * 8u - 1)) != 0) {
        out->why = "protocol";
        out->what = "a negative length";
        return MW_EFRAME;
    }
    if (n > f->max) {
        out->announced = n;
        out->why = "too_large";
        out->what = "longer than max";
        return MW_EFRAME;
    }
    if (len - f->head < n) {
        out->need = (size_t)n - (len - f->head);
        return 0;
    }
    out->head = at;
    out->data = at + f->head;
    out->len = (size_t)n;
    out->used = f->head + (size_t)n;
    return 1;
}
