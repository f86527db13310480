/* MessagePack without Lua: a buffer that values are written to, and a place in bytes that they are read from.
 * Knows: base/msgpack_tag, malloc. Never: trusts a length; keeps anything beside what its user holds. */
#include "base/msgpack.h"

#include <stdlib.h>
#include <string.h>

#include "base/msgpack_tag.h"
#include "base/utf8.h"

#define ROOM_FIRST 64u          /* bytes of a buffer that has just begun */
#define HEAD_MAX 9u             /* bytes of the longest head: a tag and eight more */

/* ---- Writing ------------------------------------------------------------------------------------------------------------- */

static int fail(mw_buf *b, int code) {
    b->code = code;
    return code;
}

/* Makes room for n more bytes, or for none: a value is written whole or not at all. */
static char *more(mw_buf *b, size_t n) {
    size_t room = b->room < ROOM_FIRST ? ROOM_FIRST : b->room;
    char *at;

    if (b->code < 0) return NULL;
    if (n > SIZE_MAX / 2 - b->len) return fail(b, MW_ENOMEM), NULL;
    if (b->room - b->len >= n && b->at != NULL) return b->at + b->len;
    while (room - b->len < n) room *= 2;
    at = realloc(b->at, room);
    if (at == NULL) return fail(b, MW_ENOMEM), NULL;
    b->at = at;
    b->room = room;
    return at + b->len;
}

/* A tag and n bytes of v behind it, and room for `behind` more. */
static int put(mw_buf *b, unsigned tag, uint64_t v, unsigned n, size_t behind) {
    char *at = behind <= SIZE_MAX - HEAD_MAX ? more(b, behind + HEAD_MAX) : NULL;

    if (at == NULL) return b->code < 0 ? b->code : fail(b, MW_ENOMEM);
    *at++ = (char)tag;
    for (unsigned i = n; i-- > 0;) *at++ = (char)(v >> (8 * i));
    b->len += 1 + n;
    return 0;
}

int mw_buf_nil(mw_buf *b) {
    return put(b, TAG_NIL, 0, 0, 0);
}
int mw_buf_boolean(mw_buf *b, int value) {
    return put(b, value ? TAG_TRUE : TAG_FALSE, 0, 0, 0);
}
int mw_buf_integer(mw_buf *b, int64_t value) {
    uint64_t v = (uint64_t)value;

    if (value >= -32 && value <= INT8_MAX) return put(b, (unsigned)value & 0xff, 0, 0, 0);
    if (value >= 0 && v <= UINT8_MAX) return put(b, TAG_UINT8, v, 1, 0);
    if (value >= 0 && v <= UINT16_MAX) return put(b, TAG_UINT16, v, 2, 0);
    if (value >= 0 && v <= UINT32_MAX) return put(b, TAG_UINT32, v, 4, 0);
    if (value >= 0) return put(b, TAG_UINT64, v, 8, 0);
    if (value >= INT8_MIN) return put(b, TAG_INT8, v, 1, 0);
    if (value >= INT16_MIN) return put(b, TAG_INT16, v, 2, 0);
    if (value >= INT32_MIN) return put(b, TAG_INT32, v, 4, 0);
    return put(b, TAG_INT64, v, 8, 0);
}
int mw_buf_number(mw_buf *b, double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return put(b, TAG_FLOAT64, bits, 8, 0);
}

int mw_buf_string(mw_buf *b, const char *text, size_t len) {
    int str, rc;

    if (b->code < 0) return b->code;
    if (len > UINT32_MAX) return fail(b, MW_EINVAL);
    str = mw_utf8_is(text, len);
    if (str && len < 32) rc = put(b, FIX_STR | (unsigned)len, 0, 0, len);
    else if (len <= UINT8_MAX) rc = put(b, str ? TAG_STR8 : TAG_BIN8, len, 1, len);
    else if (len <= UINT16_MAX) rc = put(b, str ? TAG_STR16 : TAG_BIN16, len, 2, len);
    else rc = put(b, str ? TAG_STR32 : TAG_BIN32, len, 4, len);
    if (rc < 0) return rc;
    if (len > 0) memcpy(b->at + b->len, text, len);
    b->len += len;
    return 0;
}
int mw_buf_text(mw_buf *b, const char *text) {
    return text != NULL ? mw_buf_string(b, text, strlen(text)) : mw_buf_nil(b);
}

int mw_buf_array(mw_buf *b, uint32_t count) {
    if (count < 16) return put(b, FIX_ARRAY | count, 0, 0, 0);
    return count <= UINT16_MAX ? put(b, TAG_ARRAY16, count, 2, 0) : put(b, TAG_ARRAY32, count, 4, 0);
}
int mw_buf_map(mw_buf *b, uint32_t count) {
    if (count < 16) return put(b, FIX_MAP | count, 0, 0, 0);
    return count <= UINT16_MAX ? put(b, TAG_MAP16, count, 2, 0) : put(b, TAG_MAP32, count, 4, 0);
}

int mw_buf_raw(mw_buf *b, const void *msgpack, size_t len) {
    char *at = more(b, len);

    if (at == NULL) return b->code;
    if (len > 0) memcpy(at, msgpack, len);
    b->len += len;
    return 0;
}

void mw_buf_clear(mw_buf *b) {
    b->len = 0;
    b->code = 0;
}
void mw_buf_free(mw_buf *b) {
    if (b == NULL) return;
    free(b->at);
    *b = (mw_buf){0};
}

/* ---- Reading ------------------------------------------------------------------------------------------------------------- */

/* The value at a head: its type, the bytes of the head, what the head says, and how many bytes or values belong to it. */
struct head {
    enum mw_type type;
    unsigned tag;
    size_t len;                     /* of the head; a scalar's number lies in it */
    uint64_t number;                /* the bits of a scalar; elements; pairs */
    uint64_t bytes;                 /* behind the head: of a string or an ext */
};

/* What a tag says without its number: the type, and how many bytes of number follow it. 0, or MW_EPARSE. */
static int type_of(unsigned tag, enum mw_type *type, unsigned *counted) {
    *counted = 0;
    if (tag < FIX_MAP || tag >= FIX_NEGATIVE) return *type = MW_TYPE_INTEGER, 0;
    if (tag < FIX_ARRAY) return *type = MW_TYPE_MAP, 0;
    if (tag < FIX_STR) return *type = MW_TYPE_ARRAY, 0;
    if (tag < TAG_NIL) return *type = MW_TYPE_STRING, 0;
    if (tag == TAG_NEVER) return MW_EPARSE;
    if (tag == TAG_NIL) return *type = MW_TYPE_NIL, 0;
    if (tag <= TAG_TRUE) return *type = MW_TYPE_BOOLEAN, 0;
    if (tag <= TAG_BIN32) return *type = MW_TYPE_STRING, *counted = 1u << (tag - TAG_BIN8), 0;
    if (tag <= TAG_EXT32) return *type = MW_TYPE_EXT, *counted = 1u << (tag - TAG_EXT8), 0;
    if (tag <= TAG_FLOAT64) return *type = MW_TYPE_NUMBER, *counted = tag == TAG_FLOAT32 ? 4 : 8, 0;
    if (tag <= TAG_UINT64) return *type = MW_TYPE_INTEGER, *counted = 1u << (tag - TAG_UINT8), 0;
    if (tag <= TAG_INT64) return *type = MW_TYPE_INTEGER, *counted = 1u << (tag - TAG_INT8), 0;
    if (tag <= TAG_FIXEXT16) return *type = MW_TYPE_EXT, 0;
    if (tag <= TAG_STR32) return *type = MW_TYPE_STRING, *counted = 1u << (tag - TAG_STR8), 0;
    if (tag <= TAG_ARRAY32) return *type = MW_TYPE_ARRAY, *counted = tag == TAG_ARRAY16 ? 2 : 4, 0;
    return *type = MW_TYPE_MAP, *counted = tag == TAG_MAP16 ? 2 : 4, 0;
}

/* A number of n bytes as 64 bits, its sign with it. */
static uint64_t widened(uint64_t v, unsigned n) {
    uint64_t sign = (uint64_t)1 << (8 * n - 1);
    return (v ^ sign) - sign;
}

/* Reads the head at *v, which it leaves. What it promises is there: as many bytes, at least a byte for each value. */
static int head(const mw_view *v, struct head *h) {
    const unsigned char *p = (const unsigned char *)v->at;
    unsigned counted;
    size_t left;

    if (v->len == 0) return MW_EEOF;
    h->tag = p[0];
    if (type_of(p[0], &h->type, &counted) < 0 || v->len - 1 < counted) return MW_EPARSE;
    h->len = 1 + (size_t)counted;
    h->number = h->bytes = 0;
    for (unsigned i = 1; i <= counted; i++) h->number = h->number << 8 | p[i];
    left = v->len - h->len;
    switch (h->type) {
    case MW_TYPE_INTEGER:
        if (counted == 0) h->number = h->tag < FIX_MAP ? h->tag : widened(h->tag, 1);
        else if (h->tag >= TAG_INT8) h->number = widened(h->number, counted);
        return 0;
    case MW_TYPE_STRING:
        h->bytes = counted == 0 ? h->tag - FIX_STR : h->number;
        break;
    case MW_TYPE_EXT: /* and a byte for what it is */
        h->bytes = 1 + (counted == 0 ? (uint64_t)1 << (h->tag - TAG_FIXEXT1) : h->number);
        break;
    case MW_TYPE_ARRAY:
        if (counted == 0) h->number = h->tag - FIX_ARRAY;
        return h->number > left ? MW_EPARSE : 0;
    case MW_TYPE_MAP:
        if (counted == 0) h->number = h->tag - FIX_MAP;
        return h->number > left / 2 ? MW_EPARSE : 0;
    default: return 0;
    }
    return h->bytes > left ? MW_EPARSE : 0;
}

static void step_over(mw_view *v, size_t n) {
    v->at += n;
    v->len -= n;
}

/* The head at *v if it is of that type. */
static int head_of(const mw_view *v, enum mw_type type, struct head *h) {
    int rc = head(v, h);

    if (rc < 0) return rc;
    return h->type == type ? 0 : MW_EINVAL;
}

int mw_view_type(const mw_view *v) {
    struct head h;
    int rc = head(v, &h);

    return rc < 0 ? rc : (int)h.type;
}

int mw_view_nil(mw_view *v) {
    struct head h;
    int rc = head_of(v, MW_TYPE_NIL, &h);

    if (rc == 0) step_over(v, h.len);
    return rc;
}
int mw_view_boolean(mw_view *v, int *out) {
    struct head h;
    int rc = head_of(v, MW_TYPE_BOOLEAN, &h);

    if (rc < 0) return rc;
    *out = h.tag == TAG_TRUE;
    step_over(v, h.len);
    return 0;
}

static double number_of(const struct head *h) {
    uint32_t low = (uint32_t)h->number;
    double wide;
    float narrow;

    if (h->tag == TAG_FLOAT32) {
        memcpy(&narrow, &low, sizeof narrow);
        return (double)narrow;
    }
    memcpy(&wide, &h->number, sizeof wide);
    return wide;
}

int mw_view_integer(mw_view *v, int64_t *out) {
    struct head h;
    int rc = head(v, &h);
    double n;

    if (rc < 0) return rc;
    if (h.type == MW_TYPE_NUMBER) {
        n = number_of(&h);
        if (!(n >= -0x1p63 && n < 0x1p63) || (double)(int64_t)n != n) return MW_EINVAL;
        *out = (int64_t)n;
    } else if (h.type != MW_TYPE_INTEGER) {
        return MW_EINVAL;
    } else if (h.tag == TAG_UINT64 && h.number > INT64_MAX) {
        return MW_ELIMIT;
    } else {
        *out = (int64_t)h.number;
    }
    step_over(v, h.len);
    return 0;
}
int mw_view_number(mw_view *v, double *out) {
    struct head h;
    int rc = head(v, &h);

    if (rc < 0) return rc;
    if (h.type == MW_TYPE_NUMBER) *out = number_of(&h);
    else if (h.type != MW_TYPE_INTEGER) return MW_EINVAL;
    else *out = h.tag == TAG_UINT64 ? (double)h.number : (double)(int64_t)h.number;
    step_over(v, h.len);
    return 0;
}

int mw_view_string(mw_view *v, const char **text, size_t *len) {
    struct head h;
    int rc = head_of(v, MW_TYPE_STRING, &h);

    if (rc < 0) return rc;
    *text = v->at + h.len;
    *len = (size_t)h.bytes;
    step_over(v, h.len + (size_t)h.bytes);
    return 0;
}

static int step_inside(mw_view *v, enum mw_type type, uint32_t *count) {
    struct head h;
    int rc = head_of(v, type, &h);

    if (rc < 0) return rc;
    *count = (uint32_t)h.number;
    step_over(v, h.len);
    return 0;
}
int mw_view_array(mw_view *v, uint32_t *count) {
    return step_inside(v, MW_TYPE_ARRAY, count);
}
int mw_view_map(mw_view *v, uint32_t *count) {
    return step_inside(v, MW_TYPE_MAP, count);
}

/* Each value that is still to begin needs a byte at least: so there are never more of them than bytes, and the sum has room. */
int mw_view_skip(mw_view *v) {
    mw_view at = *v;
    uint64_t wanted = 1;

    while (wanted > 0) {
        struct head h;
        int rc = head(&at, &h);

        if (rc < 0) return rc == MW_EEOF && at.at != v->at ? MW_EPARSE : rc;
        step_over(&at, h.len + (size_t)h.bytes);
        wanted += h.type == MW_TYPE_ARRAY ? h.number : h.type == MW_TYPE_MAP ? 2 * h.number : 0;
        if (--wanted > at.len) return MW_EPARSE;
    }
    *v = at;
    return 0;
}

int mw_view_find(const mw_view *map, const char *key, mw_view *out) {
    mw_view at = *map, from;
    size_t want = strlen(key), len;
    const char *text;
    uint32_t pairs;
    int rc = mw_view_map(&at, &pairs);

    for (; rc == 0 && pairs > 0; pairs--) {
        int found = mw_view_string(&at, &text, &len);
        if (found < 0 && found != MW_EINVAL) return MW_EPARSE;
        if (found < 0) rc = mw_view_skip(&at);
        from = at;
        if (rc == 0) rc = mw_view_skip(&at);
        if (rc == MW_EEOF) rc = MW_EPARSE;
        if (rc == 0 && found == 0 && len == want && memcmp(text, key, len) == 0) {
            *out = (mw_view){from.at, (size_t)(at.at - from.at)};
            return 0;
        }
    }
    return rc < 0 ? rc : MW_ENOENT;
}
