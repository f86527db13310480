/* Bytes to Lua values: each length is held against the bytes that are there before anything is made for it.
 * Knows: base, codec/value_tag, codec/crowd, codec/keys, lua.h. Never: trusts the bytes; memory that an error would leave behind. */
#include "codec/value.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/crowd.h"
#include "codec/keys.h"
#include "codec/value_tag.h"

struct reader {
    lua_State *L;
    const char *start, *at, *end;
    size_t claimed;             /* values that all tables together say they hold: each takes a byte at least */
    int memo;                   /* stack: nil, or the shared tables by offset */
    int counts;                 /* stack: nil, or what `pairs` points to */
    struct mw_keys keys;        /* at `memo` + 2 */
    uint32_t *pairs;            /* of the tables ahead that have many, in the order of their tags */
    size_t count, next, room;   /* of `pairs`: known, the one to come, fit */
    unsigned depth, depth_max;
    struct mw_crowd crowd;
    const struct mw_value_options *o;
    struct mw_err *err;
};

/* The bytes behind the tags of numbers, lengths and references. */
static const unsigned char fixed[] = {[TAG_FLOAT - TAG_FLOAT] = 8, [TAG_INT1 - TAG_FLOAT] = 1, [TAG_INT2 - TAG_FLOAT] = 2,
                                      [TAG_INT4 - TAG_FLOAT] = 4, [TAG_INT8 - TAG_FLOAT] = 8, [TAG_STR1 - TAG_FLOAT] = 1,
                                      [TAG_STR2 - TAG_FLOAT] = 2, [TAG_STR4 - TAG_FLOAT] = 4, [TAG_AGAIN1 - TAG_FLOAT] = 1,
                                      [TAG_AGAIN2 - TAG_FLOAT] = 2, [TAG_TABLE_AGAIN - TAG_FLOAT] = 4, [TAG_SLOT - TAG_FLOAT] = 4};

static int bad(const struct reader *r, const char *what) {
    return mw_err_setf(r->err, MW_EPARSE, NULL, r->o->root != NULL ? r->o->root : "message", "%s (byte %zu of %zu)", what,
                       (size_t)(r->at - r->start), (size_t)(r->end - r->start));
}

static int no_value(struct reader *r) {
    r->at--;
    return bad(r, "no value");
}

static inline int take(struct reader *r, void *out, size_t n) {
    if ((size_t)(r->end - r->at) < n) return bad(r, "cut short");
    memcpy(out, r->at, n);
    r->at += n;
    return 0;
}

static int read_string(struct reader *r, size_t len) {
    if ((size_t)(r->end - r->at) < len) return bad(r, "cut short");
    lua_pushlstring(r->L, r->at, len);
    r->at += len;
    return 0;
}

/* A key, of a table whose cache is open. */
static int read_text_key(struct reader *r, size_t len) {
    size_t left = (size_t)(r->end - r->at);

    if (left < len) return bad(r, "cut short");
    mw_keys_get(r->L, &r->keys, r->at, len, left);
    r->at += len;
    return 0;
}

/* A short string that stands `back` bytes before this tag. */
static int read_again(struct reader *r, const char *tag, size_t back) {
    const char *was = tag - back;
    unsigned len;

    if (back == 0 || back > (size_t)(tag - r->start)) return bad(r, "a reference to nothing");
    len = (unsigned char)*was - TAG_STRING;
    if ((unsigned char)*was < TAG_STRING || len > SHORT_MAX || len >= back) return bad(r, "a reference to no string");
    if (r->keys.cache == NULL) lua_pushlstring(r->L, was + 1, len);
    else mw_keys_get(r->L, &r->keys, was + 1, len, (size_t)(r->end - was) - 1); /* only keys are written so */
    return 0;
}

static int read_table_again(struct reader *r, uint32_t offset) {
    if (lua_isnil(r->L, r->memo)) return bad(r, "a reference to nothing");
    if (lua_rawgeti(r->L, r->memo, offset) == LUA_TTABLE) return 0;
    lua_pop(r->L, 1);
    return bad(r, "a reference to no table");
}

static int read_count(struct reader *r, size_t *out) {
    size_t n = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        unsigned char c = 0;
        if (take(r, &c, 1) < 0) return MW_EPARSE;
        n |= (size_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *out = n;
            return 0;
        }
    }
    return bad(r, "no count");
}

/* ---- Tables -------------------------------------------------------------------------------------------------------------- */

struct head {
    size_t n;                   /* elements */
    unsigned char pairs, meta;
};

static int read_head(struct reader *r, unsigned tag, struct head *h) {
    int rc = 0;

    *h = (struct head){tag & TABLE_COUNT, 0, META_RECORD};
    if (tag & TABLE_META) rc = take(r, &h->meta, 1);
    if (rc == 0 && h->n == TABLE_COUNT) rc = read_count(r, &h->n);
    if (rc == 0) rc = take(r, &h->pairs, 1);
    return rc;
}

static int too_deep(const struct reader *r) {
    return mw_err_setf(r->err, MW_ELIMIT, NULL, r->o->root != NULL ? r->o->root : "message", "nested deeper than %u levels", r->depth_max);
}

static int is_end(const struct reader *r) {
    return r->at != r->end && (unsigned char)*r->at == TAG_END;
}

/* A table with many pairs says only where they end, but is made for all of them at once: where keys fall is known only of a table that
 * does not grow. So it is passed over first, which counts its pairs, and those of the tables in it: no byte is passed twice. */
static int pass_tagged(struct reader *r, unsigned tag);

static inline int pass(struct reader *r, size_t n) {
    if ((size_t)(r->end - r->at) < n) return bad(r, "cut short");
    r->at += n;
    return 0;
}

static inline int pass_value(struct reader *r) {
    unsigned tag;

    if (r->at == r->end) return bad(r, "cut short");
    tag = (unsigned char)*r->at++;
    if (tag < TAG_STRING) return 0;
    return tag < TAG_TABLE ? pass(r, tag - TAG_STRING) : pass_tagged(r, tag);
}

/* A table more that has many pairs; returns where it will be counted.                                        [-0, +0, m] */
static size_t push_count(struct reader *r) {
    if (r->count == r->room) {
        size_t room = r->room == 0 ? 16 : 2 * r->room;
        uint32_t *pairs = lua_newuserdatauv(r->L, room * sizeof *pairs, 0);
        if (r->count > 0) memcpy(pairs, r->pairs, r->count * sizeof *pairs);
        lua_replace(r->L, r->counts);
        r->pairs = pairs;
        r->room = room;
    }
    r->pairs[r->count] = 0;
    return r->count++;
}

static int pass_content(struct reader *r, const struct head *h) {
    int many = h->pairs == PAIRS_MANY, rc = 0;
    size_t mine = many ? push_count(r) : 0, values = h->n + (many ? 0u : 2u * h->pairs);

    if (r->depth >= r->depth_max) return too_deep(r);
    r->depth++;
    for (; rc == 0 && values > 0; values--) rc = pass_value(r);
    while (many && rc == 0 && !is_end(r)) {
        rc = pass_value(r);
        if (rc == 0) rc = pass_value(r);
        r->pairs[mine]++;
    }
    if (many && rc == 0) r->at++;
    r->depth--;
    return rc;
}

static int pass_tagged(struct reader *r, unsigned tag) {
    struct head h;
    uint32_t len = 0;
    int rc = 0;

    if (tag >= TAG_END) return no_value(r);
    if (tag < TAG_NIL) {
        rc = read_head(r, tag, &h);
        return rc < 0 ? rc : pass_content(r, &h);
    }
    if (tag >= TAG_STR1 && tag <= TAG_STR4) rc = take(r, &len, fixed[tag - TAG_FLOAT]);
    else if (tag >= TAG_FLOAT && tag <= TAG_SLOT) len = fixed[tag - TAG_FLOAT];
    return rc < 0 ? rc : pass(r, len);
}

/* The pairs of the table whose content is next: no more are there.                                           [-0, +0, m] */
static int count_pairs(struct reader *r, const struct head *h, size_t *out) {
    const char *at = r->at;
    int rc = 0;

    if (r->next == r->count) {
        r->next = r->count = 0;
        rc = pass_content(r, h);
        if (rc < 0) return rc;
        r->at = at;
    }
    *out = r->pairs[r->next++];
    return 0;
}

static int read_value(struct reader *r);

static int read_key(struct reader *r) {
    unsigned tag = r->at != r->end ? (unsigned char)*r->at : 0;
    int rc, type;

    if (tag >= TAG_STRING && tag < TAG_TABLE) {
        r->at++;
        return read_text_key(r, tag - TAG_STRING);
    }
    rc = read_value(r);
    if (rc < 0) return rc;
    type = lua_type(r->L, -1);
    if (type == LUA_TNIL || (type == LUA_TNUMBER && lua_tonumber(r->L, -1) != lua_tonumber(r->L, -1))) return bad(r, "no key");
    return 0;
}

static int read_content(struct reader *r, size_t n, size_t pairs) {
    lua_State *L = r->L;
    struct mw_crowd_places *places = NULL;
    int t = lua_gettop(L), rc;

    if (pairs > 0 && r->keys.cache == NULL) mw_keys_open(L, MW_KEYS_BINARY, &r->keys, r->memo + 2);
    for (size_t i = 1; i <= n; i++) {
        rc = read_value(r);
        if (rc < 0) return rc;
        lua_rawseti(L, t, (lua_Integer)i);
    }
    for (size_t left = pairs; left > 0; left--) {
        rc = read_key(r);
        if (rc < 0) return rc;
        if (pairs >= MW_CROWD_FROM && lua_type(L, -1) == LUA_TNUMBER) {
            if (places == NULL) {
                places = mw_crowd_push(L, pairs);
                lua_insert(L, t++);
            }
            if (mw_crowd_add(&r->crowd, places, L))
                return mw_err_set(r->err, MW_ELIMIT, NULL, r->o->root != NULL ? r->o->root : "message", MW_CROWD_TEXT);
        }
        rc = read_value(r);
        if (rc < 0) return rc;
        lua_rawset(L, t);
    }
    if (places != NULL) lua_remove(L, t - 1);
    return 0;
}

static int read_table(struct reader *r, unsigned tag, size_t offset) {
    lua_State *L = r->L;
    struct head h;
    size_t pairs;
    int rc = read_head(r, tag, &h);

    if (rc < 0) return rc;
    pairs = h.pairs;
    r->claimed += h.n + 2 * pairs;
    if (h.n > (size_t)(r->end - r->start) || r->claimed > (size_t)(r->end - r->start)) return bad(r, "more values than bytes");
    if (r->depth >= r->depth_max || !lua_checkstack(L, 8)) return too_deep(r);
    if (h.meta > META_OBJECT || (tag & TABLE_META && h.meta == META_RECORD && r->o->record == NULL)) return bad(r, "a record");
    if (h.pairs == PAIRS_MANY) rc = count_pairs(r, &h, &pairs);
    if (rc < 0) return rc;
    lua_createtable(L, h.n < INT_MAX ? (int)h.n : INT_MAX, pairs < INT_MAX ? (int)pairs : INT_MAX);
    if (h.meta != META_RECORD) mw_codec_mark(L, h.meta == META_ARRAY ? MW_CODEC_ARRAY : MW_CODEC_OBJECT);
    else if (tag & TABLE_META) luaL_setmetatable(L, r->o->record);
    if (tag & TABLE_SHARED) {
        if (lua_isnil(L, r->memo)) {
            lua_newtable(L);
            lua_replace(L, r->memo);
        }
        lua_pushvalue(L, -1);
        lua_rawseti(L, r->memo, (lua_Integer)offset);
    }
    r->depth++;
    rc = read_content(r, h.n, pairs);
    r->depth--;
    if (rc == 0 && h.pairs == PAIRS_MANY) r->at++; /* the end: count_pairs saw it */
    return rc;
}

/* The rest of a number or a length, by its tag. */
static int read_fixed(struct reader *r, unsigned tag) {
    lua_State *L = r->L;
    union {
        lua_Number f;
        int8_t i1;
        int16_t i2;
        int32_t i4;
        int64_t i8;
        uint8_t u1;
        uint16_t u2;
        uint32_t u4;
    } v = {0};
    const char *at = r->at - 1;
    int rc = take(r, &v, fixed[tag - TAG_FLOAT]);

    if (rc < 0) return rc;
    switch (tag) {
    case TAG_FLOAT: lua_pushnumber(L, v.f); return 0;
    case TAG_INT1: lua_pushinteger(L, v.i1); return 0;
    case TAG_INT2: lua_pushinteger(L, v.i2); return 0;
    case TAG_INT4: lua_pushinteger(L, v.i4); return 0;
    case TAG_INT8: lua_pushinteger(L, v.i8); return 0;
    case TAG_STR1: return read_string(r, v.u1);
    case TAG_STR2: return read_string(r, v.u2);
    case TAG_STR4: return read_string(r, v.u4);
    case TAG_AGAIN1: return read_again(r, at, v.u1);
    case TAG_AGAIN2: return read_again(r, at, v.u2);
    case TAG_TABLE_AGAIN: return read_table_again(r, v.u4);
    default:
        if (r->o->get == NULL) return bad(r, "an object");
        return r->o->get(r->o->ud, L, v.u4, r->err);
    }
}

static int read_value(struct reader *r) {
    unsigned tag;

    if (r->at == r->end) return bad(r, "cut short");
    tag = (unsigned char)*r->at++;
    if (tag < TAG_STRING) {
        lua_pushinteger(r->L, tag);
        return 0;
    }
    if (tag < TAG_TABLE) return read_string(r, tag - TAG_STRING);
    if (tag < TAG_NIL) return read_table(r, tag, (size_t)(r->at - 1 - r->start));
    switch (tag) {
    case TAG_NIL: lua_pushnil(r->L); return 0;
    case TAG_FALSE:
    case TAG_TRUE: lua_pushboolean(r->L, tag == TAG_TRUE); return 0;
    case TAG_NULL: mw_codec_push_null(r->L); return 0;
    default: break;
    }
    return tag >= TAG_END ? no_value(r) : read_fixed(r, tag);
}

int mw_value_read(lua_State *L, const char *at, size_t len, size_t *used, const struct mw_value_options *o, struct mw_err *err) {
    static const struct mw_value_options none = {0};
    struct reader r = {.L = L, .start = at, .at = at, .end = at + len, .o = o != NULL ? o : &none, .err = err};
    int rc;

    r.crowd = mw_crowd_of(len);
    r.depth_max = r.o->depth_max == 0 ? MW_VALUE_DEPTH : r.o->depth_max < MW_VALUE_DEPTH_MAX ? r.o->depth_max : MW_VALUE_DEPTH_MAX;
    if (!lua_checkstack(L, 8)) return mw_err_set(err, MW_ENOMEM, NULL, r.o->root, NULL);
    r.memo = lua_gettop(L) + 1;
    r.counts = r.memo + 1;
    lua_settop(L, r.memo + 2);                              /* three of nil */
    rc = read_value(&r);
    if (rc < 0) {
        lua_settop(L, r.memo - 1);
        return rc;
    }
    lua_replace(L, r.memo);
    lua_settop(L, r.memo);
    *used = (size_t)(r.at - at);
    return 0;
}
