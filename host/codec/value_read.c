/* Bytes to Lua values: each length is held against the bytes that are there before anything is made for it.
 * Knows: base, codec/value_tag, lua.h. Never: trusts the bytes; memory that an error would leave behind. */
#include "codec/value.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/value_tag.h"

struct reader {
    lua_State *L;
    const char *start, *at, *end;
    size_t claimed;             /* values that all tables together say they hold: each takes a byte at least */
    int memo;                   /* stack: nil, or the shared tables by offset */
    unsigned depth, depth_max;
    const struct mw_value_options *o;
    struct mw_err *err;
};

static int bad(const struct reader *r, const char *what) {
    return mw_err_setf(r->err, MW_EPARSE, NULL, r->o->root != NULL ? r->o->root : "message", "%s (byte %zu of %zu)", what,
                       (size_t)(r->at - r->start), (size_t)(r->end - r->start));
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

/* A short string that stands `back` bytes before this tag. */
static int read_again(struct reader *r, const char *tag, size_t back) {
    const char *was = tag - back;
    unsigned len;

    if (back == 0 || back > (size_t)(tag - r->start)) return bad(r, "a reference to nothing");
    len = (unsigned char)*was - TAG_STRING;
    if ((unsigned char)*was < TAG_STRING || len > SHORT_MAX || len >= back) return bad(r, "a reference to no string");
    lua_pushlstring(r->L, was + 1, len);
    return 0;
}

static int read_table_again(struct reader *r) {
    uint32_t offset = 0;
    int rc = take(r, &offset, sizeof offset);

    if (rc < 0) return rc;
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

static int read_value(struct reader *r);

static int read_pair(struct reader *r, int t) {
    lua_State *L = r->L;
    int rc = read_value(r), type;

    if (rc < 0) return rc;
    type = lua_type(L, -1);
    if (type == LUA_TNIL || (type == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1))) return bad(r, "no key");
    rc = read_value(r);
    if (rc < 0) return rc;
    lua_rawset(L, t);
    return 0;
}

static int read_content(struct reader *r, size_t n, unsigned pairs) {
    lua_State *L = r->L;
    int t = lua_gettop(L), rc;

    for (size_t i = 1; i <= n; i++) {
        rc = read_value(r);
        if (rc < 0) return rc;
        lua_rawseti(L, t, (lua_Integer)i);
    }
    if (pairs < PAIRS_MANY) {
        for (; pairs > 0; pairs--) {
            rc = read_pair(r, t);
            if (rc < 0) return rc;
        }
        return 0;
    }
    for (;;) {
        if (r->at == r->end) return bad(r, "cut short");
        if ((unsigned char)*r->at == TAG_END) break;
        rc = read_pair(r, t);
        if (rc < 0) return rc;
    }
    r->at++;
    return 0;
}

static int read_table(struct reader *r, unsigned tag, size_t offset) {
    lua_State *L = r->L;
    size_t n = tag & TABLE_COUNT;
    unsigned char pairs = 0, meta = META_RECORD;
    int rc = 0;

    if (tag & TABLE_META) rc = take(r, &meta, 1);
    if (rc == 0 && n == TABLE_COUNT) rc = read_count(r, &n);
    if (rc == 0) rc = take(r, &pairs, 1);
    if (rc < 0) return rc;
    r->claimed += n + 2u * pairs;
    if (n > (size_t)(r->end - r->start) || r->claimed > (size_t)(r->end - r->start)) return bad(r, "more values than bytes");
    if (r->depth >= r->depth_max || !lua_checkstack(L, 8))
        return mw_err_setf(r->err, MW_ELIMIT, NULL, r->o->root != NULL ? r->o->root : "message", "nested deeper than %u levels", r->depth_max);
    if (meta > META_OBJECT || (tag & TABLE_META && meta == META_RECORD && r->o->record == NULL)) return bad(r, "a record");
    lua_createtable(L, n < INT_MAX ? (int)n : INT_MAX, pairs);
    if (meta != META_RECORD) mw_codec_mark(L, meta == META_ARRAY ? MW_CODEC_ARRAY : MW_CODEC_OBJECT);
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
    rc = read_content(r, n, pairs);
    r->depth--;
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
    static const unsigned char sizes[] = {[TAG_FLOAT - TAG_FLOAT] = 8, [TAG_INT1 - TAG_FLOAT] = 1, [TAG_INT2 - TAG_FLOAT] = 2,
                                          [TAG_INT4 - TAG_FLOAT] = 4, [TAG_INT8 - TAG_FLOAT] = 8, [TAG_STR1 - TAG_FLOAT] = 1,
                                          [TAG_STR2 - TAG_FLOAT] = 2, [TAG_STR4 - TAG_FLOAT] = 4, [TAG_AGAIN1 - TAG_FLOAT] = 1,
                                          [TAG_AGAIN2 - TAG_FLOAT] = 2, [TAG_TABLE_AGAIN - TAG_FLOAT] = 0, [TAG_SLOT - TAG_FLOAT] = 4};
    const char *at = r->at - 1;
    int rc = take(r, &v, sizes[tag - TAG_FLOAT]);

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
    case TAG_TABLE_AGAIN: return read_table_again(r);
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
    if (tag >= TAG_END) {
        r->at--;
        return bad(r, "no value");
    }
    return read_fixed(r, tag);
}

int mw_value_read(lua_State *L, const char *at, size_t len, size_t *used, const struct mw_value_options *o, struct mw_err *err) {
    static const struct mw_value_options none = {0};
    struct reader r = {.L = L, .start = at, .at = at, .end = at + len, .o = o != NULL ? o : &none, .err = err};
    int rc;

    r.depth_max = r.o->depth_max == 0 ? MW_VALUE_DEPTH : r.o->depth_max < MW_VALUE_DEPTH_MAX ? r.o->depth_max : MW_VALUE_DEPTH_MAX;
    if (!lua_checkstack(L, 8)) return mw_err_set(err, MW_ENOMEM, NULL, r.o->root, NULL);
    lua_pushnil(L);
    r.memo = lua_gettop(L);
    rc = read_value(&r);
    if (rc < 0) {
        lua_settop(L, r.memo - 1);
        return rc;
    }
    lua_replace(L, r.memo);
    *used = (size_t)(r.at - at);
    return 0;
}
