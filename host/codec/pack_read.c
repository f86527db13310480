/* MessagePack to Lua values: one pass, each announced length held against the bytes that are there before anything is made for it.
 * Knows: base/msgpack_tag, codec/crowd, codec/keys, lua.h. Never: trusts a length; memory that an error would leave behind. */
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/msgpack_tag.h"
#include "codec/crowd.h"
#include "codec/keys.h"
#include "codec/pack.h"

#define KEYS_COMPARED 16u       /* maps of so many keys find a key again by comparing; larger ones ask the table */
#define KEY_SHORT 40u           /* bytes of a string that Lua keeps once however often it is made */

struct reader {
    lua_State *L;
    const char *start, *at, *end;       /* end: of the bytes, or of what bytes_max lets us look at */
    const char *tag;                    /* of the value at hand */
    size_t claimed;                     /* values that all arrays and maps together say they hold: each takes a byte at least */
    int open;                           /* more bytes may follow: what is cut short is MW_EAGAIN */
    int limited;                        /* `end` is bytes_max, and there are bytes behind it */
    size_t bytes_max;
    unsigned depth, depth_max;
    int place;                          /* stack: for recent keys, and at last for what was read */
    struct mw_keys keys;
    struct mw_crowd *crowd;
    struct mw_codec_fault *fault;       /* never NULL; the path is put together on the way out */
    struct mw_err *err;
};

/* ---- Errors -------------------------------------------------------------------------------------------------------------- */

static int fail(struct reader *r, int code, const char *what) {
    r->fault->offset = (size_t)(r->tag - r->start);
    return mw_err_set(r->err, code, NULL, NULL, what);
}
static int bad(struct reader *r, const char *what) {
    return fail(r, MW_EPARSE, what);
}

static int too_long(struct reader *r) {
    int rc = mw_err_setf(r->err, MW_ELIMIT, NULL, NULL, "longer than %zu bytes", r->bytes_max);

    mw_err_hint(r->err, "max_bytes sets the limit");
    r->fault->offset = r->limited ? r->bytes_max : (size_t)(r->tag - r->start);
    return rc;
}

/* The value at hand is not whole: so many bytes are needed from the start, at least. */
static int cut(struct reader *r, size_t needed) {
    if (r->limited || needed > r->bytes_max) return too_long(r);
    if (!r->open) return bad(r, "cut short");
    r->fault->offset = needed;
    return mw_err_setf(r->err, MW_EAGAIN, NULL, NULL, "the value is not whole: at least %zu bytes are needed", needed);
}

static inline int have(struct reader *r, size_t n) {
    return (size_t)(r->end - r->at) >= n ? 0 : cut(r, (size_t)(r->at - r->start) + n);
}

/* ---- Numbers, big-endian --------------------------------------------------------------------------------------------------- */

static inline uint64_t number(const char *at, unsigned n) {
    const unsigned char *p = (const unsigned char *)at;
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++) v = v << 8 | p[i];
    return v;
}

/* A length of n bytes.                                                                             0 or a code */
static inline int length(struct reader *r, unsigned n, size_t *out) {
    int rc = have(r, n);

    if (rc < 0) return rc;
    *out = (size_t)number(r->at, n);
    r->at += n;
    return 0;
}

static int read_uint(struct reader *r, unsigned n) {
    uint64_t v;
    int rc = have(r, n);

    if (rc < 0) return rc;
    v = number(r->at, n);
    if (v > INT64_MAX) return bad(r, "an integer above 2^63 - 1");
    r->at += n;
    lua_pushinteger(r->L, (lua_Integer)v);
    return 0;
}

static int read_int(struct reader *r, unsigned n) {
    uint64_t v, sign = (uint64_t)1 << (8 * n - 1);
    int rc = have(r, n);

    if (rc < 0) return rc;
    v = number(r->at, n);
    r->at += n;
    lua_pushinteger(r->L, (lua_Integer)((v ^ sign) - sign));
    return 0;
}

static int read_float(struct reader *r, unsigned n) {
    uint64_t bits;
    uint32_t half;
    double d;
    float f;
    int rc = have(r, n);

    if (rc < 0) return rc;
    bits = number(r->at, n);
    r->at += n;
    if (n == 4) {
        half = (uint32_t)bits;
        memcpy(&f, &half, sizeof f);
        d = (double)f;
    } else {
        memcpy(&d, &bits, sizeof d);
    }
    lua_pushnumber(r->L, (lua_Number)d);
    return 0;
}

/* ---- Strings and ext --------------------------------------------------------------------------------------------------------- */

static inline int read_string(struct reader *r, size_t len) {
    int rc = have(r, len);

    if (rc < 0) return rc;
    lua_pushlstring(r->L, r->at, len);
    r->at += len;
    return 0;
}
static int read_long_string(struct reader *r, unsigned n) {
    size_t len;
    int rc = length(r, n, &len);

    return rc < 0 ? rc : read_string(r, len);
}

static int read_ext(struct reader *r, size_t len) {
    lua_State *L = r->L;
    int rc = have(r, len + 1);

    if (rc < 0) return rc;
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, (signed char)*r->at);
    lua_setfield(L, -2, "type");
    lua_pushlstring(L, r->at + 1, len);
    lua_setfield(L, -2, "data");
    mw_pack_push_ext(L);
    lua_setmetatable(L, -2);
    r->at += len + 1;
    return 0;
}
static int read_long_ext(struct reader *r, unsigned n) {
    size_t len;
    int rc = length(r, n, &len);

    return rc < 0 ? rc : read_ext(r, len);
}

/* ---- Arrays and maps --------------------------------------------------------------------------------------------------------- */

static int read_value(struct reader *r);

/* A container that says it holds n values more, at the depth below. */
static int enter(struct reader *r, size_t n) {
    size_t len = (size_t)(r->end - r->start);

    if (n >= len || r->claimed + n >= len) return cut(r, r->claimed + n + 1); /* each value has a byte of its own, the outermost too */
    r->claimed += n;
    if (r->depth >= r->depth_max || !lua_checkstack(r->L, 8)) {
        int rc = fail(r, MW_ELIMIT, "nested too deep");
        mw_err_hint(r->err, "max_depth, %u, sets the limit", r->depth_max);
        return rc;
    }
    r->depth++;
    if (r->keys.cache == NULL) mw_keys_open(r->L, MW_KEYS_BINARY, &r->keys, r->place);
    return 0;
}

static int read_array(struct reader *r, size_t n) {
    lua_State *L = r->L;
    int rc = enter(r, n), t;

    if (rc < 0) return rc;
    lua_createtable(L, n < INT_MAX ? (int)n : INT_MAX, 0);
    mw_keys_mark_array(L, &r->keys);
    t = lua_gettop(L);
    for (size_t i = 1; i <= n; i++) {
        rc = read_value(r);
        if (rc < 0) {
            mw_codec_path_index(r->fault, (lua_Integer)i);
            return rc;
        }
        lua_rawseti(L, t, (lua_Integer)i);
    }
    r->depth--;
    return 0;
}

/* *text: Lua's copy of a short string; else it is left alone.                                        [-0, +1, m] */
static int read_key(struct reader *r, const char **text) {
    unsigned tag;
    int rc = have(r, 1);

    if (rc < 0) return rc;
    r->tag = r->at;
    tag = (unsigned char)*r->at;
    if (tag >= FIX_STR && tag < TAG_NIL) {
        size_t len = tag - FIX_STR;
        r->at++;
        rc = have(r, len);
        if (rc < 0) return rc;
        *text = mw_keys_get(r->L, &r->keys, r->at, len, (size_t)(r->end - r->at));
        r->at += len;
        return 0;
    }
    rc = 0;
    if (tag == TAG_NIL) return bad(r, "nil as a key");
    if ((tag >= FIX_MAP && tag < FIX_STR) || (tag >= TAG_ARRAY16 && tag <= TAG_MAP32)) return bad(r, "an array or a map as a key");
    if ((tag >= TAG_EXT8 && tag <= TAG_EXT32) || (tag >= TAG_FIXEXT1 && tag <= TAG_FIXEXT16)) return bad(r, "an ext as a key");
    rc = read_value(r);
    if (rc == 0 && lua_type(r->L, -1) == LUA_TNUMBER && lua_tonumber(r->L, -1) != lua_tonumber(r->L, -1)) return bad(r, "NaN as a key");
    return rc;
}

/* ---- Keys ------------------------------------------------------------------------------------------------------------------- */

/* What the keys of one map had in common so far. */
struct keys {
    struct mw_crowd_places *places;     /* NULL: no key of a large map was a number */
    unsigned count;                     /* in `texts` */
    int odd;                            /* one is no string: the map is marked */
    const char *texts[KEYS_COMPARED];   /* of short strings: Lua has each once */
};

/* Whether the key on top is in the table t already. text: Lua's copy of it, if that is known.                [-0, +0, -] */
static int again(struct reader *r, int t, size_t n, struct keys *k, const char *text) {
    lua_State *L = r->L;
    int had;

    if (text == NULL && lua_type(L, -1) != LUA_TSTRING) {
        k->odd = 1;
    } else if (n <= KEYS_COMPARED) {
        size_t len = 0;
        if (text == NULL) text = lua_tolstring(L, -1, &len);
        if (len <= KEY_SHORT) {
            for (unsigned i = 0; i < k->count; i++)
                if (k->texts[i] == text) return 1;
            k->texts[k->count++] = text;
            return 0;
        }
    }
    lua_pushvalue(L, -1);
    had = lua_rawget(L, t) != LUA_TNIL;
    lua_pop(L, 1);
    return had;
}

static int read_map(struct reader *r, size_t n) {
    lua_State *L = r->L;
    struct keys keys;
    int rc, t;

    keys.places = NULL;
    keys.count = 0;
    keys.odd = 0;
    if (n > MW_CODEC_KEYS_MAX && n <= (size_t)(r->end - r->at) / 2) return fail(r, MW_ELIMIT, "more than 65536 keys");
    rc = enter(r, 2 * n);
    if (rc < 0) return rc;
    lua_createtable(L, 0, (int)n);
    t = lua_gettop(L);
    for (size_t i = 0; i < n; i++) {
        const char *text = NULL;
        rc = read_key(r, &text);
        if (rc < 0) return rc;
        if (n >= MW_CROWD_FROM && text == NULL && lua_type(L, -1) == LUA_TNUMBER) {
            if (keys.places == NULL) {
                keys.places = mw_crowd_push(L, n);
                lua_insert(L, t++);
            }
            if (mw_crowd_add(r->crowd, keys.places, L)) return fail(r, MW_ELIMIT, MW_CROWD_TEXT);
        }
        rc = again(r, t, n, &keys, text) ? bad(r, "a key that was there before") : read_value(r);
        if (rc < 0) {
            mw_pack_path(L, t + 1, r->fault);
            return rc;
        }
        lua_rawset(L, t);
    }
    r->depth--;
    if (keys.places != NULL) lua_remove(L, t - 1);
    if (keys.odd) mw_codec_mark(L, MW_CODEC_OBJECT);
    return 0;
}

static int read_container(struct reader *r, unsigned tag) {
    size_t n = 0;
    int rc = length(r, tag == TAG_ARRAY16 || tag == TAG_MAP16 ? 2 : 4, &n);

    if (rc < 0) return rc;
    return tag <= TAG_ARRAY32 ? read_array(r, n) : read_map(r, n);
}

/* ---- Values ------------------------------------------------------------------------------------------------------------------- */

/* c0..df */
static int read_tagged(struct reader *r, unsigned tag) {
    switch (tag) {
    case TAG_NIL: mw_codec_push_null(r->L); return 0;
    case TAG_FALSE:
    case TAG_TRUE: lua_pushboolean(r->L, tag == TAG_TRUE); return 0;
    case TAG_BIN8:
    case TAG_STR8: return read_long_string(r, 1);
    case TAG_BIN16:
    case TAG_STR16: return read_long_string(r, 2);
    case TAG_BIN32:
    case TAG_STR32: return read_long_string(r, 4);
    case TAG_EXT8: return read_long_ext(r, 1);
    case TAG_EXT16: return read_long_ext(r, 2);
    case TAG_EXT32: return read_long_ext(r, 4);
    case TAG_FIXEXT1:
    case TAG_FIXEXT2:
    case TAG_FIXEXT4:
    case TAG_FIXEXT8:
    case TAG_FIXEXT16: return read_ext(r, (size_t)1 << (tag - TAG_FIXEXT1));
    case TAG_FLOAT32: return read_float(r, 4);
    case TAG_FLOAT64: return read_float(r, 8);
    case TAG_UINT8:
    case TAG_UINT16:
    case TAG_UINT32:
    case TAG_UINT64: return read_uint(r, 1u << (tag - TAG_UINT8));
    case TAG_INT8:
    case TAG_INT16:
    case TAG_INT32:
    case TAG_INT64: return read_int(r, 1u << (tag - TAG_INT8));
    case TAG_ARRAY16:
    case TAG_ARRAY32:
    case TAG_MAP16:
    case TAG_MAP32: return read_container(r, tag);
    default: return bad(r, "the byte 0xc1, which begins no value");
    }
}

static int read_value(struct reader *r) {
    unsigned tag;

    r->tag = r->at;
    if (r->at == r->end) return cut(r, (size_t)(r->at - r->start) + 1);
    tag = (unsigned char)*r->at++;
    if (tag < FIX_MAP) {
        lua_pushinteger(r->L, tag);
        return 0;
    }
    if (tag < FIX_ARRAY) return read_map(r, tag - FIX_MAP);
    if (tag < FIX_STR) return read_array(r, tag - FIX_ARRAY);
    if (tag < TAG_NIL) return read_string(r, tag - FIX_STR);
    if (tag < FIX_NEGATIVE) return read_tagged(r, tag);
    lua_pushinteger(r->L, (lua_Integer)tag - 256);
    return 0;
}

/* The error's whole story: where, by path and by byte.                                                             [-0, +0, -] */
static int tell(const struct reader *r, int rc) {
    char what[sizeof r->err->what], hint[sizeof r->err->hint];

    if (r->err == NULL || rc == MW_EAGAIN || (rc == MW_ELIMIT && r->fault->path[0] == 0)) return rc;
    memcpy(what, r->err->what, sizeof what);
    memcpy(hint, r->err->hint, sizeof hint);
    if (rc == MW_EPARSE) mw_err_setf(r->err, rc, NULL, r->fault->path, "%.200s (byte %zu)", what, r->fault->offset);
    else mw_err_set(r->err, rc, NULL, r->fault->path, what);
    if (hint[0] != 0) mw_err_hint(r->err, "%s", hint);
    return rc;
}

int mw_pack_read(lua_State *L, const char *at, size_t len, size_t *used, const struct mw_codec_options *o, struct mw_codec_fault *fault,
                 struct mw_err *err) {
    static const struct mw_codec_options none = {0};
    struct mw_codec_fault own;
    struct mw_crowd crowd;
    struct reader r = {.L = L, .start = at, .at = at, .tag = at, .open = used != NULL, .fault = fault != NULL ? fault : &own, .err = err};
    int rc, top = lua_gettop(L);

    if (o == NULL) o = &none;
    r.fault->path[0] = 0;
    r.fault->offset = 0;
    r.bytes_max = o->bytes_max == 0 ? BYTES_MAX : o->bytes_max;
    r.depth_max = o->depth_max == 0 ? MW_CODEC_DEPTH : o->depth_max < MW_CODEC_DEPTH_MAX ? o->depth_max : MW_CODEC_DEPTH_MAX;
    r.limited = len > r.bytes_max;
    if (r.limited && used == NULL) return too_long(&r);
    r.end = at + (r.limited ? r.bytes_max : len);
    crowd = mw_crowd_of((size_t)(r.end - at));
    r.crowd = o->crowd != NULL ? o->crowd : &crowd;
    if (!lua_checkstack(L, 8)) return mw_err_set(err, MW_ENOMEM, NULL, NULL, NULL);
    lua_pushnil(L);
    r.place = top + 1;
    rc = read_value(&r);
    if (rc == 0 && used == NULL && r.at != r.end) {
        r.tag = r.at;
        rc = bad(&r, "bytes behind the value");
    }
    if (rc < 0) {
        lua_settop(L, top);
        return tell(&r, rc);
    }
    lua_replace(L, r.place);
    if (used != NULL) *used = (size_t)(r.at - at);
    return 0;
}

void mw_pack_push_ext(lua_State *L) {
    luaL_newmetatable(L, MW_PACK_EXT_TYPE);
}

void mw_pack_path(lua_State *L, int key, struct mw_codec_fault *fault) {
    char text[40];
    size_t len;
    const char *s;

    int type = lua_type(L, key), whole = 0;
    lua_Integer i = type == LUA_TNUMBER ? lua_tointegerx(L, key, &whole) : 0;

    if (whole) { /* 1.0 is the key 1 */
        mw_codec_path_index(fault, i);
        return;
    }
    switch (type) {
    case LUA_TSTRING: s = lua_tolstring(L, key, &len); break;
    case LUA_TNUMBER: len = (size_t)snprintf(text, sizeof text, "%.14g", lua_tonumber(L, key)), s = text; break;
    default: s = lua_toboolean(L, key) ? "true" : "false", len = strlen(s); break;
    }
    mw_codec_path_key(fault, s, len);
}
