/* Shapes read from MessagePack: validated while it is parsed; what the shape does not keep is not built.
 * Knows: codec/pack, base/msgpack_tag, codec/shape_node, lua.h. Never: trusts a length; a string for a key that the shape knows. */
#include "codec/shape.h"

#include <lauxlib.h>
#include <limits.h>

#include "base/msgpack_tag.h"
#include "codec/pack.h"
#include "codec/shape_node.h"

enum { LEVEL_SLOTS = 12, AHEAD = 4096 };    /* AHEAD: elements or pairs that room is made for before they are seen */

static const char cut[] = "cut short", twice[] = "a key that was there before";

/* ---- Heads ------------------------------------------------------------------------------------------------------- */

/* The first bytes of a value: its type, and its number or length. */
struct head {
    enum mw_shape_type type;            /* T_OTHER: ext */
    const char *body;                   /* behind the head: a string's bytes, a container's first value */
    size_t len;
    lua_Integer i;                      /* also a boolean */
    lua_Number f;
};

static int bad(struct mw_shape_run *r, const char *at, const char *why) {
    r->at = at;
    return mw_shape_failed(r, MW_EPARSE, why);
}

static inline uint64_t number(const char *at, unsigned n) {
    const unsigned char *p = (const unsigned char *)at;
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++) v = v << 8 | p[i];
    return v;
}

static int float_head(struct head *h, const char *at, unsigned n) {
    uint64_t bits = number(at, n);
    uint32_t half = (uint32_t)bits;
    double d;
    float f;

    h->type = T_FLOAT;
    if (n == 4) {
        memcpy(&f, &half, sizeof f);
        d = (double)f;
    } else {
        memcpy(&d, &bits, sizeof d);
    }
    h->f = (lua_Number)d;
    return 0;
}

/* Bytes of the number or length that follows a tag c0..df. */
static unsigned extra_bytes(unsigned tag) {
    static const unsigned char sizes[32] = {
        [TAG_BIN8 - 0xc0] = 1, [TAG_BIN16 - 0xc0] = 2, [TAG_BIN32 - 0xc0] = 4, [TAG_FLOAT32 - 0xc0] = 4, [TAG_FLOAT64 - 0xc0] = 8,
        [TAG_UINT8 - 0xc0] = 1, [TAG_UINT16 - 0xc0] = 2, [TAG_UINT32 - 0xc0] = 4, [TAG_UINT64 - 0xc0] = 8,
        [TAG_INT8 - 0xc0] = 1, [TAG_INT16 - 0xc0] = 2, [TAG_INT32 - 0xc0] = 4, [TAG_INT64 - 0xc0] = 8,
        [TAG_STR8 - 0xc0] = 1, [TAG_STR16 - 0xc0] = 2, [TAG_STR32 - 0xc0] = 4, [TAG_ARRAY16 - 0xc0] = 2, [TAG_ARRAY32 - 0xc0] = 4,
        [TAG_MAP16 - 0xc0] = 2, [TAG_MAP32 - 0xc0] = 4,
    };
    return sizes[tag - 0xc0];
}

/* A container or a string must fit into the bytes that are left: a value takes one, a pair two. */
static int lengthy(struct mw_shape_run *r, struct head *h, enum mw_shape_type type, size_t len) {
    size_t left = (size_t)(r->end - h->body);

    h->type = type;
    h->len = len;
    return len <= (type == T_OBJECT ? left / 2 : left) ? 0 : bad(r, r->at, cut);
}

static int tagged_head(struct mw_shape_run *r, struct head *h, unsigned tag) {
    unsigned n = extra_bytes(tag);
    uint64_t v, sign;

    if ((size_t)(r->end - h->body) < n) return bad(r, r->at, cut);
    v = number(h->body, n);
    h->body += n;
    switch (tag) {
    case TAG_NIL: h->type = T_NULL; return 0;
    case TAG_FALSE:
    case TAG_TRUE:
        h->type = T_BOOLEAN;
        h->i = tag == TAG_TRUE;
        return 0;
    case TAG_BIN8: case TAG_BIN16: case TAG_BIN32:
    case TAG_STR8: case TAG_STR16: case TAG_STR32: return lengthy(r, h, T_STRING, (size_t)v);
    case TAG_ARRAY16: case TAG_ARRAY32: return lengthy(r, h, T_ARRAY, (size_t)v);
    case TAG_MAP16: case TAG_MAP32: return lengthy(r, h, T_OBJECT, (size_t)v);
    case TAG_FLOAT32: case TAG_FLOAT64: return float_head(h, h->body - n, n);
    case TAG_UINT8: case TAG_UINT16: case TAG_UINT32: case TAG_UINT64:
        if (v > INT64_MAX) return bad(r, r->at, "an integer above 2^63 - 1");
        h->type = T_INTEGER;
        h->i = (lua_Integer)v;
        return 0;
    case TAG_INT8: case TAG_INT16: case TAG_INT32: case TAG_INT64:
        sign = (uint64_t)1 << (8 * n - 1);
        h->type = T_INTEGER;
        h->i = (lua_Integer)((v ^ sign) - sign);
        return 0;
    case TAG_NEVER: return bad(r, r->at, "the byte 0xc1, which begins no value");
    default: h->type = T_OTHER; return 0;
    }
}

/* The head of the value at r->at, which stays there. */
static inline int peek(struct mw_shape_run *r, struct head *h) {
    unsigned tag;

    if (r->at == r->end) return bad(r, r->at, cut);
    tag = (unsigned char)*r->at;
    h->body = r->at + 1;
    if (tag < FIX_MAP || tag >= FIX_NEGATIVE) {
        h->type = T_INTEGER;
        h->i = tag < FIX_MAP ? (lua_Integer)tag : (lua_Integer)tag - 256;
        return 0;
    }
    if (tag < FIX_ARRAY) return lengthy(r, h, T_OBJECT, tag - FIX_MAP);
    if (tag < FIX_STR) return lengthy(r, h, T_ARRAY, tag - FIX_ARRAY);
    if (tag < TAG_NIL) return lengthy(r, h, T_STRING, tag - FIX_STR);
    return tagged_head(r, h, tag);
}

/* ---- Values without a shape -------------------------------------------------------------------------------------- */

static int read_any(struct mw_shape_run *r) {
    unsigned left = r->depth_max - r->depth;
    struct mw_codec_options o = {.depth_max = left > 0 ? left : 1, .bytes_max = (size_t)(r->end - r->at) + 1, .crowd = &r->crowd};
    size_t base = (size_t)(r->at - r->base), used;
    struct head h = {0};
    int rc = peek(r, &h);

    if (rc < 0) return rc;
    if (left == 0 && (h.type == T_ARRAY || h.type == T_OBJECT)) return mw_shape_failed(r, MW_ELIMIT, "nested too deep");
    rc = mw_pack_read(r->L, r->at, (size_t)(r->end - r->at), &used, &o, r->fault, r->err);
    if (rc == MW_EAGAIN) return bad(r, r->at, cut);
    if (rc == 0) r->at += used;
    else r->fault->offset += base;
    return rc;
}

static int skip(struct mw_shape_run *r) {
    struct head h = {0};
    int rc = peek(r, &h);

    if (rc == 0 && h.type < T_ARRAY) {
        r->at = h.type == T_STRING ? h.body + h.len : h.body;
        return 0;
    }
    if (rc == 0) rc = read_any(r);
    if (rc == 0) lua_pop(r->L, 1);
    return rc;
}

/* ---- Scalars ----------------------------------------------------------------------------------------------------- */

static int read_string(struct mw_shape_run *r, const mw_shape *s, const struct head *h) {
    int rc;

    if (s->as.string.pattern == NULL) {
        rc = mw_shape_is_string(r, s, h->body, h->len);
        if (rc == 0) lua_pushlstring(r->L, h->body, h->len);
    } else if (h->len < s->as.string.min || h->len > s->as.string.max) {
        rc = mw_shape_is_string(r, s, h->body, h->len);
    } else { /* a pattern looks at the NUL behind a string */
        lua_pushlstring(r->L, h->body, h->len);
        rc = mw_shape_is_string(r, s, lua_tostring(r->L, -1), h->len);
    }
    if (rc == 0) r->at = h->body + h->len;
    return rc;
}

static int read_literal(struct mw_shape_run *r, const mw_shape *s, const struct head *h) {
    const struct mw_shape_literal *item = h->type == T_STRING ? mw_shape_literal_string(s, h->body, h->len)
                                                              : mw_shape_literal_other(s, h->type, h->i, h->f);

    if (item == NULL) return mw_shape_wrong_literal(r, s, h->type);
    r->at = h->body + (h->type == T_STRING ? h->len : 0);
    if (h->type == T_INTEGER) lua_pushinteger(r->L, h->i);  /* it may be a float that is meant */
    else if (h->type == T_FLOAT) lua_pushnumber(r->L, h->f);
    else lua_rawgeti(r->L, r->keys, item->ref);
    return 0;
}

static int read_number(struct mw_shape_run *r, const mw_shape *s, const struct head *h) {
    int rc = h->type == T_INTEGER ? mw_shape_is_integer(r, s, h->i) : mw_shape_is_float(r, s, h->f);

    if (rc < 0) return rc;
    if (h->type == T_INTEGER) lua_pushinteger(r->L, h->i);
    else lua_pushnumber(r->L, h->f);
    r->at = h->body;
    return 0;
}

/* ---- Arrays and maps --------------------------------------------------------------------------------------------- */

static int read_value(struct mw_shape_run *r, const mw_shape *s);

static int enter(struct mw_shape_run *r, const struct head *h) {
    if (r->depth >= r->depth_max || !lua_checkstack(r->L, LEVEL_SLOTS)) return mw_shape_failed(r, MW_ELIMIT, "nested too deep");
    r->depth++;
    r->at = h->body;
    return 0;
}

static int read_array(struct mw_shape_run *r, const mw_shape *s, const struct head *h) {
    lua_State *L = r->L;
    int rc, t, seen;

    if (h->len < s->as.array.min || h->len > s->as.array.max) return mw_shape_wrong_count(r, s, h->len);
    rc = enter(r, h);
    if (rc < 0) return rc;
    lua_createtable(L, h->len < AHEAD ? (int)h->len : AHEAD, 0);
    lua_rawgeti(L, r->keys, s->as.array.mark);
    lua_setmetatable(L, -2);
    t = lua_gettop(L);
    seen = s->as.array.unique ? t + 1 : 0;
    if (seen != 0) lua_newtable(L);
    for (size_t i = 1; i <= h->len; i++) {
        const char *at = r->at;
        rc = read_value(r, s->of);
        if (rc == 0 && seen != 0 && mw_shape_seen(L, seen)) {
            r->at = at;
            rc = mw_shape_wrong(r, "another value than those before", "one of them");
        }
        if (rc < 0) {
            mw_codec_path_index(r->fault, (lua_Integer)i);
            return rc;
        }
        lua_rawseti(L, t, (lua_Integer)i);
    }
    lua_settop(L, t);
    r->depth--;
    return 0;
}

static int has(lua_State *L, int t) { /* the key at the top */
    int yes;

    lua_pushvalue(L, -1);
    yes = lua_rawget(L, t) != LUA_TNIL;
    lua_pop(L, 1);
    return yes;
}

static int read_key(struct mw_shape_run *r, const char *expected, struct head *h) {
    int rc = peek(r, h);

    if (rc < 0) return rc;
    return h->type == T_STRING ? 0 : mw_shape_wrong(r, expected, "one with a key that is no string");
}

static int read_map(struct mw_shape_run *r, const mw_shape *s, const struct head *h) {
    lua_State *L = r->L;
    int rc, t;

    if (h->len > MW_CODEC_KEYS_MAX) return mw_shape_failed(r, MW_ELIMIT, "more than 65536 keys");
    if (h->len < s->as.map.min || h->len > s->as.map.max) return mw_shape_wrong_count(r, s, h->len);
    rc = enter(r, h);
    if (rc < 0) return rc;
    lua_createtable(L, 0, h->len < AHEAD ? (int)h->len : AHEAD);
    t = lua_gettop(L);
    for (size_t i = 0; i < h->len; i++) {
        struct head key = {0};
        rc = read_key(r, s->expected, &key);
        if (rc < 0) return rc;
        lua_pushlstring(L, key.body, key.len);
        rc = mw_shape_check_at(r, s->as.map.key, t + 1);
        if (rc == 0 && has(L, t)) rc = bad(r, r->at, twice);
        if (rc == 0) {
            r->at = key.body + key.len;
            rc = read_value(r, s->of);
        }
        if (rc < 0) {
            mw_codec_path_key(r->fault, key.body, key.len);
            return rc;
        }
        lua_rawset(L, t);
    }
    r->depth--;
    return 0;
}

/* ---- Objects ----------------------------------------------------------------------------------------------------- */

struct members {
    const struct mw_shape_object *o;
    int t;                      /* stack: the table, and behind it, when fields are dropped, the keys of those, or nil */
    unsigned prev;              /* the field before */
    uint64_t seen;              /* a bit a field, when there are no more than 64 */
};

static int is_again(struct mw_shape_run *r, const struct members *m, unsigned i) {
    int yes;

    if (m->o->n <= 64) return (m->seen >> i & 1) != 0;
    lua_rawgeti(r->L, r->keys, m->o->field[i].key);
    yes = has(r->L, m->t);
    lua_pop(r->L, 1);
    return yes;
}

/* A field that the shape does not know. */
static int read_other(struct mw_shape_run *r, struct members *m, const struct head *key) {
    lua_State *L = r->L;
    int keeps = m->o->extra == MW_EXTRA_KEEP, t = keeps ? m->t : m->t + 1, rc;

    if (m->o->extra == MW_EXTRA_REJECT) return mw_shape_unknown(r, m->o, key->body, key->len);
    if (lua_isnil(L, t)) {
        lua_newtable(L);
        lua_replace(L, t);
    }
    lua_pushlstring(L, key->body, key->len);
    if (has(L, t)) {
        rc = bad(r, r->at, twice);
    } else {
        r->at = key->body + key->len;
        rc = keeps ? read_any(r) : skip(r);
        if (rc == 0 && !keeps) lua_pushboolean(L, 1);
    }
    if (rc < 0) mw_codec_path_key(r->fault, key->body, key->len);
    else lua_rawset(L, t);
    return rc;
}

static int read_member(struct mw_shape_run *r, const mw_shape *s, struct members *m) {
    const struct mw_shape_object *o = m->o;
    const struct mw_shape_field *f = NULL;
    struct head key = {0};
    unsigned i = o->follow[m->prev];
    int rc = read_key(r, s->expected, &key);

    if (rc < 0) return rc;
    if (o->n != 0) {
        f = &o->field[i];
        if (f->len != key.len || memcmp(f->name, key.body, key.len) != 0) f = mw_shape_field_find(o, key.body, key.len);
    }
    if (f == NULL) return read_other(r, m, &key);
    i = (unsigned)(f - o->field);
    if (is_again(r, m, i)) {
        rc = bad(r, r->at, twice);
    } else {
        m->seen |= (uint64_t)1 << (i & 63);
        if (o->follow[m->prev] != i) o->follow[m->prev] = (uint16_t)i;
        m->prev = i;
        r->at = key.body + key.len;
        lua_rawgeti(r->L, r->keys, f->key);
        rc = read_value(r, f->shape);
    }
    if (rc < 0) mw_codec_path_key(r->fault, f->name, f->len);
    else lua_rawset(r->L, m->t);
    return rc;
}

static int read_object(struct mw_shape_run *r, const mw_shape *s, const struct head *h) {
    const struct mw_shape_object *o = &s->as.object;
    struct members m = {.o = o, .prev = o->n};
    const char *from = r->at, *to;
    int rc;

    if (h->len > MW_CODEC_KEYS_MAX) return mw_shape_failed(r, MW_ELIMIT, "more than 65536 keys");
    rc = enter(r, h);
    if (rc < 0) return rc;
    lua_createtable(r->L, 0, (int)o->n);
    m.t = lua_gettop(r->L);
    if (o->extra == MW_EXTRA_DROP) lua_pushnil(r->L);
    for (size_t i = 0; i < h->len && rc == 0; i++) rc = read_member(r, s, &m);
    if (rc < 0) return rc;
    to = r->at;
    r->at = from;
    if (o->n <= 64) {
        for (uint64_t left = o->awaited & ~m.seen; left != 0 && rc == 0; left &= left - 1)
            rc = mw_shape_missing(r, &o->field[__builtin_ctzll(left)], m.t);
    } else {
        for (unsigned i = 0; i < o->n && rc == 0; i++)
            if (!is_again(r, &m, i)) rc = mw_shape_missing(r, &o->field[i], m.t);
    }
    if (rc < 0) return rc;
    r->at = to;
    if (o->extra == MW_EXTRA_DROP) lua_settop(r->L, m.t);
    r->depth--;
    return 0;
}

/* ---- Unions ------------------------------------------------------------------------------------------------------ */

/* Several variants could be meant: the value is made, and checked against each. */
static int read_and_check(struct mw_shape_run *r, const mw_shape *s) {
    int top = lua_gettop(r->L), rc;
    const char *from = r->at, *to;

    rc = read_any(r);
    if (rc < 0) return rc;
    to = r->at;
    r->at = from;
    r->from_bytes++;
    rc = mw_shape_check_at(r, s, top + 1);
    r->from_bytes--;
    if (rc < 0) return rc;
    r->at = to;
    if (rc > 0) lua_replace(r->L, top + 1);
    lua_settop(r->L, top + 1);
    return 0;
}

/* The variant that the first member names, when that is the tag. */
static const mw_shape *tagged(struct mw_shape_run *r, const mw_shape *s, const struct head *h) {
    const char *from = r->at;
    const mw_shape *variant = NULL;
    struct head it = {0};

    r->at = h->body;
    if (h->len > 0 && peek(r, &it) == 0 && it.type == T_STRING && it.len == s->as.one_of.tag_len &&
        memcmp(it.body, s->as.one_of.tag, it.len) == 0) {
        r->at = it.body + it.len;
        if (peek(r, &it) == 0 && it.type == T_STRING) variant = mw_shape_tagged(s, it.body, it.len);
    }
    r->at = from;
    return variant;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static int read_value(struct mw_shape_run *r, const mw_shape *s) {
    struct head h = {0};
    int rc = peek(r, &h);

    if (rc < 0) return rc;
    while (s->kind == MW_SHAPE_ONE_OF || s->kind == MW_SHAPE_REF) {
        const mw_shape *variant;
        int only = h.type < T_COUNT && s->kind == MW_SHAPE_ONE_OF ? s->as.one_of.only[h.type] : -1;
        if (s->kind == MW_SHAPE_REF) {
            if (s->of == NULL || s->of->dead) return mw_shape_wrong(r, "a schema that is whole", "one that is being made");
            s = s->of;
        } else if (only == -1) {
            return mw_shape_wrong_type(r, s, h.type);
        } else if (only >= 0) {
            s = s->as.one_of.variant[only];
        } else {
            variant = h.type == T_OBJECT && s->as.one_of.tag != NULL ? tagged(r, s, &h) : NULL;
            if (variant == NULL) return read_and_check(r, s);
            s = variant;
        }
    }
    if (s->kind == MW_SHAPE_ANY) return read_any(r);
    if (h.type >= T_COUNT || !(s->mask & 1u << h.type)) return mw_shape_wrong_type(r, s, h.type);
    switch ((enum mw_shape_kind)s->kind) {
    case MW_SHAPE_STRING: return read_string(r, s, &h);
    case MW_SHAPE_INTEGER:
    case MW_SHAPE_NUMBER: return read_number(r, s, &h);
    case MW_SHAPE_BOOLEAN:
        lua_pushboolean(r->L, (int)h.i);
        r->at = h.body;
        return 0;
    case MW_SHAPE_LITERAL: return read_literal(r, s, &h);
    case MW_SHAPE_ARRAY: return read_array(r, s, &h);
    case MW_SHAPE_MAP: return read_map(r, s, &h);
    default: return read_object(r, s, &h);
    }
}

int mw_shape_read_pack(struct mw_shape_run *r, const mw_shape *s) {
    int rc = read_value(r, s);

    return rc == 0 && r->at != r->end ? bad(r, r->at, "bytes behind the value") : rc;
}
