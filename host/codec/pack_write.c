/* Lua values to MessagePack: one pass, straight into the queue of bytes, each value in its shortest form.
 * Knows: base/msgpack_tag, lua.h. Never: allocates in Lua; leaves anything behind in `out` when it fails. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/msgpack_tag.h"
#include "base/utf8.h"
#include "codec/pack.h"

#define HEAD 16u                /* bytes that any value takes at most, but for what a string or a table holds */

struct writer {
    lua_State *L;
    struct mw_bytes *out;
    char *start, *at, *end;     /* of this value, in `out` behind what it held */
    size_t max;
    unsigned depth, depth_max;
    enum mw_pack_strings strings;
    struct mw_codec_fault *fault;   /* never NULL; the path is put together on the way out */
    struct mw_err *err;
};

/* ---- Errors -------------------------------------------------------------------------------------------------------------- */

static int fail(struct writer *w, int code, const char *what) {
    w->fault->offset = (size_t)(w->at - w->start);
    return mw_err_set(w->err, code, NULL, NULL, what);
}

static int too_long(struct writer *w) {
    char what[64];
    int rc;

    snprintf(what, sizeof what, "longer than %zu bytes", w->max);
    rc = fail(w, MW_ELIMIT, what);
    mw_err_hint(w->err, "max_bytes sets the limit");
    return rc;
}

static int unwritable(struct writer *w, int type) {
    char what[96];

    snprintf(what, sizeof what, "a %s cannot be written", type == LUA_TTHREAD ? "coroutine" : lua_typename(w->L, type));
    return fail(w, MW_EINVAL, what);
}

/* ---- Room ---------------------------------------------------------------------------------------------------------------- */

/* Makes room for n more bytes and a head. What is too long by less than a head is seen at the end. */
static int more(struct writer *w, size_t n) {
    size_t used = (size_t)(w->at - w->start), room;
    char *tail;

    if (n > w->max + HEAD - used) return too_long(w);
    w->out->tail += used; /* for as long as the room is made: nothing of it stays if this fails */
    tail = mw_bytes_reserve(w->out, n, &room);
    w->out->tail -= used;
    if (tail == NULL) return fail(w, MW_ENOMEM, NULL);
    w->start = tail - used;
    w->at = tail;
    w->end = tail + room;
    return 0;
}
static inline int need(struct writer *w, size_t n) {
    return (size_t)(w->end - w->at) >= n ? 0 : more(w, n);
}

static inline void put_number(struct writer *w, unsigned tag, uint64_t v, unsigned n) {
    *w->at++ = (char)tag;
    for (unsigned i = n; i-- > 0;) *w->at++ = (char)(v >> (8 * i));
}

static void put_integer(struct writer *w, lua_Integer i) {
    uint64_t v = (uint64_t)i;

    if (i >= -32 && i <= INT8_MAX) *w->at++ = (char)i;
    else if (i >= 0 && v <= UINT8_MAX) put_number(w, TAG_UINT8, v, 1);
    else if (i >= 0 && v <= UINT16_MAX) put_number(w, TAG_UINT16, v, 2);
    else if (i >= 0 && v <= UINT32_MAX) put_number(w, TAG_UINT32, v, 4);
    else if (i >= 0) put_number(w, TAG_UINT64, v, 8);
    else if (i >= INT8_MIN) put_number(w, TAG_INT8, v, 1);
    else if (i >= INT16_MIN) put_number(w, TAG_INT16, v, 2);
    else if (i >= INT32_MIN) put_number(w, TAG_INT32, v, 4);
    else put_number(w, TAG_INT64, v, 8);
}

static void put_float(struct writer *w, lua_Number n) {
    double d = (double)n;
    uint64_t bits;

    memcpy(&bits, &d, sizeof bits);
    put_number(w, TAG_FLOAT64, bits, 8);
}

/* ---- Strings ----------------------------------------------------------------------------------------------------------------- */

static int put_string(struct writer *w, const char *s, size_t len, enum mw_pack_strings as) {
    int str = as == MW_PACK_STR || (as == MW_PACK_AUTO && mw_utf8_is(s, len)), rc;

    if (len > w->max || len > UINT32_MAX) return too_long(w);
    rc = need(w, len + HEAD);
    if (rc < 0) return rc;
    if (str && len < 32) *w->at++ = (char)(FIX_STR | len);
    else if (len <= UINT8_MAX) put_number(w, str ? TAG_STR8 : TAG_BIN8, len, 1);
    else if (len <= UINT16_MAX) put_number(w, str ? TAG_STR16 : TAG_BIN16, len, 2);
    else put_number(w, str ? TAG_STR32 : TAG_BIN32, len, 4);
    memcpy(w->at, s, len);
    w->at += len;
    return 0;
}

/* The table on top has the metatable of ext. */
static int put_ext(struct writer *w) {
    lua_State *L = w->L;
    lua_Integer type;
    size_t len = 0;
    const char *data = NULL;
    int rc, whole = 0;

    lua_pushliteral(L, "type");                             /* [t "type"] */
    lua_rawget(L, -2);                                      /* [t type] */
    type = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
    lua_pushliteral(L, "data");
    lua_rawget(L, -3);                                      /* [t type data] */
    if (lua_type(L, -1) == LUA_TSTRING) data = lua_tolstring(L, -1, &len);
    if (!whole || type < INT8_MIN || type > INT8_MAX || data == NULL) return fail(w, MW_EINVAL, "an ext without a type in -128..127, or without data");
    if (len > w->max || len > UINT32_MAX) return too_long(w);
    rc = need(w, len + HEAD);
    if (rc < 0) return rc;
    if (len >= 1 && len <= 16 && (len & (len - 1)) == 0) *w->at++ = (char)(TAG_FIXEXT1 + (unsigned)__builtin_ctzl(len));
    else if (len <= UINT8_MAX) put_number(w, TAG_EXT8, len, 1);
    else if (len <= UINT16_MAX) put_number(w, TAG_EXT16, len, 2);
    else put_number(w, TAG_EXT32, len, 4);
    *w->at++ = (char)type;
    memcpy(w->at, data, len);
    w->at += len;
    lua_pop(L, 2);
    return 0;
}

/* ---- Values: the one at the top of the stack stays there ----------------------------------------------------------------- */

static int write_table(struct writer *w);

static int write_top(struct writer *w) {
    lua_State *L = w->L;
    int type = lua_type(L, -1), rc;
    size_t len;
    const char *s;

    if (type == LUA_TSTRING) {
        s = lua_tolstring(L, -1, &len);
        return put_string(w, s, len, w->strings);
    }
    rc = need(w, HEAD);
    if (rc < 0) return rc;
    switch (type) {
    case LUA_TTABLE: return write_table(w);
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1)) put_integer(w, lua_tointeger(L, -1));
        else put_float(w, lua_tonumber(L, -1));
        return 0;
    case LUA_TBOOLEAN: *w->at++ = (char)(lua_toboolean(L, -1) ? TAG_TRUE : TAG_FALSE); return 0;
    case LUA_TNIL: *w->at++ = (char)TAG_NIL; return 0;
    case LUA_TLIGHTUSERDATA:
        if (!mw_codec_is_null(L, -1)) return unwritable(w, type);
        *w->at++ = (char)TAG_NIL;
        return 0;
    default: return unwritable(w, type);
    }
}

static int no_array(struct writer *w) {
    int rc = fail(w, MW_EINVAL, "a table with elements and other keys, or with holes");

    mw_err_hint(w->err, "mw.json.object marks it as a map, mw.null fills a hole");
    return rc;
}

/* The elements 1..n of the table on top, which has no other keys. lua_next gives them first and in order, in most tables; those that
 * it does not are fetched one by one, and the keys are counted. */
static int write_elements(struct writer *w, lua_Unsigned n) {
    lua_State *L = w->L;
    int t = lua_gettop(L), left, rc = 0;
    lua_Unsigned i = 1, keys = 0;

    lua_pushnil(L);
    for (left = lua_next(L, t); left && i <= n && lua_isinteger(L, -2) && lua_tointeger(L, -2) == (lua_Integer)i; left = lua_next(L, t)) {
        rc = write_top(w);
        if (rc < 0) break;
        lua_pop(L, 1);
        i++;
    }
    if (rc == 0) lua_settop(L, t);
    if (rc == 0 && i > n) return left ? no_array(w) : 0;
    for (; rc == 0 && i <= n; i++) {
        if (lua_rawgeti(L, t, (lua_Integer)i) == LUA_TNIL) return no_array(w);
        rc = write_top(w);
        if (rc < 0) break;
        lua_pop(L, 1);
    }
    if (rc < 0) {
        mw_codec_path_index(w->fault, (lua_Integer)i);
        return rc;
    }
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) keys++;
    return keys == n ? 0 : no_array(w);
}

static int write_array(struct writer *w, lua_Unsigned n) {
    if (n > UINT32_MAX) return too_long(w);
    if (n < 16) *w->at++ = (char)(FIX_ARRAY | n);
    else if (n <= UINT16_MAX) put_number(w, TAG_ARRAY16, n, 2);
    else put_number(w, TAG_ARRAY32, n, 4);
    return write_elements(w, n);
}

/* The key below the value on top. */
static int write_key(struct writer *w, int key) {
    lua_State *L = w->L;
    size_t len;
    const char *s;
    char what[64];
    int type = lua_type(L, key), rc;

    if (type == LUA_TSTRING) {
        s = lua_tolstring(L, key, &len);
        return put_string(w, s, len, w->strings == MW_PACK_STR ? MW_PACK_STR : MW_PACK_AUTO);
    }
    rc = need(w, HEAD);
    if (rc < 0) return rc;
    if (type == LUA_TBOOLEAN) {
        *w->at++ = (char)(lua_toboolean(L, key) ? TAG_TRUE : TAG_FALSE);
    } else if (type == LUA_TNUMBER) {
        if (lua_isinteger(L, key)) put_integer(w, lua_tointeger(L, key));
        else put_float(w, lua_tonumber(L, key));
    } else {
        snprintf(what, sizeof what, "a %s cannot be written as a key", lua_typename(L, type));
        return fail(w, MW_EINVAL, what);
    }
    return 0;
}

/* The map's length is known when its pairs are written; where it takes more bytes, they are moved. */
static int close_map(struct writer *w, size_t head, size_t n) {
    size_t wide = n <= UINT16_MAX ? 2 : 4, len = (size_t)(w->at - w->start) - head - 1;
    char *end;
    int rc;

    if (n < 16) {
        w->start[head] = (char)(FIX_MAP | n);
        return 0;
    }
    rc = need(w, wide);
    if (rc < 0) return rc;
    end = w->at + wide;
    w->at = w->start + head;
    memmove(w->at + 1 + wide, w->at + 1, len);
    put_number(w, n <= UINT16_MAX ? TAG_MAP16 : TAG_MAP32, n, (unsigned)wide);
    w->at = end;
    return 0;
}

static int write_map(struct writer *w) {
    lua_State *L = w->L;
    size_t head = (size_t)(w->at++ - w->start), n = 0;
    int t = lua_gettop(L), rc;

    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
        if (++n > MW_CODEC_KEYS_MAX) return fail(w, MW_ELIMIT, "more than 65536 keys");
        rc = write_key(w, t + 1);
        if (rc < 0) return rc;
        rc = write_top(w);
        if (rc < 0) {
            mw_pack_path(L, t + 1, w->fault);
            return rc;
        }
    }
    return close_map(w, head, n);
}

/* 1: it is an ext; 0: it is not; or a code: its metatable says that its raw fields are not what it means.      [-0, +0, m] */
static int look_at_metatable(struct writer *w) {
    lua_State *L = w->L;
    int top = lua_gettop(L), ext;
    const char *why = NULL;

    if (!lua_getmetatable(L, top)) return 0;                /* [t mt] */
    luaL_getmetatable(L, MW_PACK_EXT_TYPE);
    ext = lua_rawequal(L, -1, -2);
    lua_settop(L, top + 1);
    if (!ext) {
        lua_pushliteral(L, "__metatable");
        if (lua_rawget(L, -2) != LUA_TNIL) why = "a table with a protected metatable cannot be written";
        lua_settop(L, top + 1);
        lua_pushliteral(L, "__pairs");
        if (lua_rawget(L, -2) != LUA_TNIL) why = "a table with __pairs cannot be written";
    }
    lua_settop(L, top);
    return why != NULL ? fail(w, MW_EINVAL, why) : ext;
}

static int write_table(struct writer *w) {
    lua_State *L = w->L;
    enum mw_codec_mark mark = mw_codec_marked(L, -1);
    lua_Unsigned n;
    int rc = 0, deep = !lua_checkstack(L, 8);

    if (!deep && mark == MW_CODEC_PLAIN) rc = look_at_metatable(w);
    if (rc < 0) return rc;
    if (rc == 1) return put_ext(w); /* holds nothing: at any depth, as it is read */
    if (deep || w->depth >= w->depth_max) {
        rc = fail(w, MW_ELIMIT, "nested too deep, or in itself");
        mw_err_hint(w->err, "max_depth, %u, sets the limit", w->depth_max);
        return rc;
    }
    n = mark == MW_CODEC_OBJECT ? 0 : lua_rawlen(L, -1);
    if (mark == MW_CODEC_PLAIN && n > 0) {
        if (lua_rawgeti(L, -1, 1) == LUA_TNIL) n = 0;
        lua_pop(L, 1);
    }
    w->depth++;
    rc = n > 0 || mark == MW_CODEC_ARRAY ? write_array(w, n) : write_map(w);
    w->depth--;
    return rc;
}

/* The error's whole story: which value.                                                                             [-0, +0, -] */
static int tell(const struct writer *w, int rc) {
    char what[sizeof w->err->what], hint[sizeof w->err->hint];

    if (w->err == NULL || w->fault->path[0] == 0) return rc;
    memcpy(what, w->err->what, sizeof what);
    memcpy(hint, w->err->hint, sizeof hint);
    mw_err_set(w->err, rc, NULL, w->fault->path, what);
    if (hint[0] != 0) mw_err_hint(w->err, "%s", hint);
    return rc;
}

int mw_pack_write_as(lua_State *L, int idx, struct mw_bytes *out, enum mw_pack_strings strings, const struct mw_codec_options *o,
                     struct mw_codec_fault *fault, struct mw_err *err) {
    static const struct mw_codec_options none = {0};
    struct mw_codec_fault own;
    struct writer w = {.L = L, .out = out, .strings = strings, .fault = fault != NULL ? fault : &own, .err = err};
    int rc, top = lua_gettop(L);

    if (o == NULL) o = &none;
    w.fault->path[0] = 0;
    w.fault->offset = 0;
    w.max = o->bytes_max == 0 ? BYTES_MAX : o->bytes_max < UINT32_MAX ? o->bytes_max : UINT32_MAX;
    w.depth_max = o->depth_max == 0 ? MW_CODEC_DEPTH : o->depth_max < MW_CODEC_DEPTH_MAX ? o->depth_max : MW_CODEC_DEPTH_MAX;
    if (!lua_checkstack(L, 8)) return mw_err_set(err, MW_ENOMEM, NULL, NULL, NULL);
    lua_pushvalue(L, idx);
    rc = write_top(&w);
    if (rc == 0 && (size_t)(w.at - w.start) > w.max) rc = too_long(&w);
    lua_settop(L, top);
    if (rc < 0) return tell(&w, rc);
    mw_bytes_commit(out, (size_t)(w.at - w.start));
    return 0;
}

int mw_pack_write(lua_State *L, int idx, struct mw_bytes *out, const struct mw_codec_options *o, struct mw_codec_fault *fault, struct mw_err *err) {
    return mw_pack_write_as(L, idx, out, MW_PACK_AUTO, o, fault, err);
}
