/* Lua values to JSON: see json.h. One pass over the value, straight into the queue of bytes.
 * Knows: codec/json_scan, codec/json_number, lua.h. Never: a metamethod; memory that an error would leave behind. */
#include "codec/json.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_number.h"
#include "codec/json_scan.h"

#define HEAD 48u                /* bytes that any value takes at most, but for what a string or a table holds */

struct writer {
    lua_State *L;
    struct mw_bytes *out;
    char *start, *at, *end;     /* of this value, in `out` behind what it held */
    size_t max;
    unsigned depth, depth_max;
    int sort;
    const void *array, *object; /* the marks */
    const char *why;            /* when a function below gave a code */
    const char *hint;
    struct mw_codec_fault *fault;
};

static int refuse(struct writer *w, int rc, const char *why, const char *hint) {
    w->why = why;
    w->hint = hint;
    return rc;
}

/* ---- Room ---------------------------------------------------------------------------------------------------------------- */

/* Makes room for n more bytes. What is too long by less than a head is seen at the end. */
static int more(struct writer *w, size_t n) {
    size_t used = (size_t)(w->at - w->start), room;
    char *tail;

    if (used > w->max || n > w->max - used + HEAD) return refuse(w, MW_ELIMIT, "longer than its limit", "max_bytes says how long it may be");
    w->out->tail += used; /* for as long as the room is made: nothing of it stays if this fails */
    tail = mw_bytes_reserve(w->out, n, &room);
    w->out->tail -= used;
    if (tail == NULL) return refuse(w, MW_ENOMEM, NULL, NULL);
    w->start = tail - used;
    w->at = tail;
    w->end = tail + room;
    return 0;
}
static inline int need(struct writer *w, size_t n) { return (size_t)(w->end - w->at) >= n ? 0 : more(w, n); }

static inline void put(struct writer *w, const char *s, size_t n) {
    memcpy(w->at, s, n);
    w->at += n;
}

/* ---- Scalars ------------------------------------------------------------------------------------------------------------- */

/* An ASCII character that does not stand for itself. */
static void put_escape(struct writer *w, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    static const char names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};

    *w->at++ = '\\';
    if (names[c] != 0) {
        *w->at++ = names[c];
        return;
    }
    put(w, "u00", 3);
    *w->at++ = hex[c >> 4];
    *w->at++ = hex[c & 15];
}

static int write_string(struct writer *w, const char *s, size_t len) {
    const char *end = s + len, *at, *from = s;
    size_t n;
    int rc = need(w, len + HEAD);

    if (rc < 0) return rc;
    *w->at++ = '"';
    while ((at = mw_scan_plain(s, end)) < end) {
        if ((unsigned char)*at >= 0x80) {
            do {
                n = mw_scan_utf8(at, end);
                if (n == 0) return refuse(w, MW_EINVAL, "a string that is not UTF-8", "mw.msgpack carries any bytes");
                at += n;
            } while (at < end && (unsigned char)*at >= 0x80);
            s = at;
            continue;                                           /* what is copied grows */
        }
        put(w, from, (size_t)(at - from));
        put_escape(w, (unsigned char)*at);
        from = s = at + 1;
        rc = need(w, (size_t)(end - s) + HEAD);
        if (rc < 0) return rc;
    }
    put(w, from, (size_t)(end - from));
    *w->at++ = '"';
    return 0;
}

static int write_number(struct writer *w) {
    lua_Number n;

    if (lua_isinteger(w->L, -1)) {
        w->at += mw_number_write_integer(w->at, lua_tointeger(w->L, -1));
        return 0;
    }
    n = lua_tonumber(w->L, -1);
    if (!isfinite(n)) return refuse(w, MW_EINVAL, n != n ? "NaN cannot be written as JSON" : "an infinity cannot be written as JSON", NULL);
    w->at += mw_number_write(w->at, n);
    return 0;
}

static int write_table(struct writer *w);

/* The value on top of the stack, which stays there. */
static int write_top(struct writer *w) {
    lua_State *L = w->L;
    size_t len;
    const char *s;
    int rc = need(w, HEAD);

    if (rc < 0) return rc;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        s = lua_tolstring(L, -1, &len);
        return write_string(w, s, len);
    case LUA_TTABLE: return write_table(w);
    case LUA_TNUMBER: return write_number(w);
    case LUA_TBOOLEAN:
        if (lua_toboolean(L, -1)) put(w, "true", 4);
        else put(w, "false", 5);
        return 0;
    case LUA_TLIGHTUSERDATA:
        if (mw_codec_is_null(L, -1)) return put(w, "null", 4), 0;
        return refuse(w, MW_EINVAL, "a userdata cannot be written as JSON", NULL);
    case LUA_TNIL: return refuse(w, MW_EINVAL, "nil cannot be written as JSON", "mw.null is written as null");
    case LUA_TFUNCTION: return refuse(w, MW_EINVAL, "a function cannot be written as JSON", NULL);
    case LUA_TTHREAD: return refuse(w, MW_EINVAL, "a coroutine cannot be written as JSON", NULL);
    default: return refuse(w, MW_EINVAL, "a userdata cannot be written as JSON", NULL);
    }
}

/* ---- Arrays: the table is at t, the top of the stack before and after ----------------------------------------------------- */

static int write_element(struct writer *w, lua_Integer i) {
    int rc;

    if (i > 1) *w->at++ = ','; /* a head leaves room for it */
    rc = write_top(w);
    if (rc == 0) rc = need(w, HEAD);
    if (rc < 0) mw_codec_path_index(w->fault, i);
    return rc;
}

/* The elements i..n, when lua_next does not give them in their order; and nothing else may be in the table. */
static int write_rest(struct writer *w, int t, lua_Integer i, lua_Integer n) {
    lua_State *L = w->L;
    lua_Integer count = 0;
    int rc;

    for (; i <= n; i++) {
        if (lua_rawgeti(L, t, i) == LUA_TNIL) {
            mw_codec_path_index(w->fault, i);
            return refuse(w, MW_EINVAL, "a hole in an array", "mw.null stands for nothing");
        }
        rc = write_element(w, i);
        if (rc < 0) return rc;
        lua_pop(L, 1);
    }
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
        count++;
        if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= n) continue;
        if (lua_isinteger(L, -2)) return refuse(w, MW_EINVAL, "a hole in an array", "mw.null stands for nothing");
        return refuse(w, MW_EINVAL, "a table with both elements and keys", "an array has elements 1..n, an object has strings as keys");
    }
    return count == n ? 0 : refuse(w, MW_EINVAL, "a table that changed while it was written", NULL);
}

static int write_array(struct writer *w, int t, lua_Integer n) {
    lua_State *L = w->L;
    lua_Integer i = 1;
    int rc = 0;

    *w->at++ = '[';
    for (lua_pushnil(L); lua_next(L, t); i++) {
        if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != i || i > n) {
            lua_settop(L, t);
            rc = write_rest(w, t, i, n);
            break;
        }
        rc = write_element(w, i);
        if (rc < 0) break;
        lua_pop(L, 1);
    }
    if (rc < 0) return rc;
    *w->at++ = ']';
    return 0;
}

/* ---- Objects ------------------------------------------------------------------------------------------------------------- */

/* The pair on top. */
static int write_pair(struct writer *w, unsigned count) {
    lua_State *L = w->L;
    const char *key;
    size_t len;
    int rc;

    if (lua_type(L, -2) != LUA_TSTRING)
        return refuse(w, MW_EINVAL, lua_type(L, -2) == LUA_TNUMBER ? "a number as a key, or a hole in an array" : "a key that is no string",
                      "an array has elements 1..n, an object has strings as keys");
    if (count > MW_CODEC_KEYS_MAX) return refuse(w, MW_ELIMIT, "an object with more than 65536 keys", NULL);
    if (count > 1) *w->at++ = ',';
    key = lua_tolstring(L, -2, &len);
    rc = write_string(w, key, len);
    if (rc == 0) {
        *w->at++ = ':';
        rc = write_top(w);
    }
    if (rc == 0) rc = need(w, HEAD);
    if (rc < 0) mw_codec_path_key(w->fault, key, len);
    return rc;
}

struct sorted {
    const char *key;
    size_t len;
    unsigned at;                /* in the list of keys */
};

static int by_bytes(const void *a, const void *b) {
    const struct sorted *x = a, *y = b;
    int d = memcmp(x->key, y->key, x->len < y->len ? x->len : y->len);

    return d != 0 ? d : x->len < y->len ? -1 : x->len > y->len;
}

/* The pairs in the order of their keys. What it takes is Lua's: a list that keeps the keys, and their order. */
static int write_sorted(struct writer *w, int t) {
    lua_State *L = w->L;
    unsigned n = 0, count = 0;
    struct sorted *order;
    int rc;

    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || ++n > MW_CODEC_KEYS_MAX) return write_pair(w, n);
    }
    lua_createtable(L, (int)n, 0);
    order = lua_newuserdatauv(L, n * sizeof *order + 1, 0);         /* [t keys order] */
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
        if (count == n || lua_type(L, -2) != LUA_TSTRING) break;    /* a finalizer was at it */
        order[count].key = lua_tolstring(L, -2, &order[count].len);
        order[count].at = count + 1;
        count++;
        lua_pushvalue(L, -2);
        lua_rawseti(L, t + 1, (lua_Integer)count);
    }
    lua_settop(L, t + 2);
    qsort(order, count, sizeof *order, by_bytes);
    for (unsigned i = 0; i < count; i++) {
        lua_rawgeti(L, t + 1, (lua_Integer)order[i].at);
        lua_pushvalue(L, -1);
        lua_rawget(L, t);                                           /* [t keys order key value] */
        rc = write_pair(w, i + 1);
        if (rc < 0) return rc;
        lua_pop(L, 2);
    }
    lua_settop(L, t);
    return 0;
}

static int write_object(struct writer *w, int t) {
    lua_State *L = w->L;
    unsigned count = 0;
    int rc = 0;

    *w->at++ = '{';
    if (w->sort) {
        rc = write_sorted(w, t);
    } else {
        for (lua_pushnil(L); rc == 0 && lua_next(L, t);) {
            rc = write_pair(w, ++count);
            if (rc == 0) lua_pop(L, 1);
        }
    }
    if (rc < 0) return rc;
    *w->at++ = '}';
    return 0;
}

static int write_table(struct writer *w) {
    lua_State *L = w->L;
    int t = lua_gettop(L), rc;
    lua_Unsigned n = lua_rawlen(L, t);
    const void *meta = NULL;

    if (w->depth >= w->depth_max) return refuse(w, MW_ELIMIT, "nested too deeply, or in a cycle", "max_depth says how deep it may be");
    if (!lua_checkstack(L, 8)) return refuse(w, MW_ENOMEM, NULL, NULL);
    if (lua_getmetatable(L, t)) {
        meta = lua_topointer(L, -1);
        lua_pop(L, 1);
    }
    w->depth++;
    if (meta != NULL && meta == w->array) rc = write_array(w, t, (lua_Integer)n);
    else if (n > 0 && (meta == NULL || meta != w->object)) rc = write_array(w, t, (lua_Integer)n);
    else rc = write_object(w, t);
    w->depth--;
    return rc;
}

/* ---- The whole ----------------------------------------------------------------------------------------------------------- */

int mw_json_write(lua_State *L, int idx, struct mw_bytes *out, const struct mw_codec_options *o, struct mw_codec_fault *fault, struct mw_err *err) {
    struct mw_codec_fault own;
    struct writer w = {.L = L, .out = out, .fault = fault != NULL ? fault : &own, .depth_max = MW_CODEC_DEPTH};
    int top = lua_gettop(L), rc;

    w.fault->offset = 0;
    w.fault->path[0] = 0;
    w.max = o != NULL && o->bytes_max != 0 ? o->bytes_max : MW_CODEC_BYTES_MAX;
    if (o != NULL && o->depth_max != 0) w.depth_max = o->depth_max < MW_CODEC_DEPTH_MAX ? o->depth_max : MW_CODEC_DEPTH_MAX;
    w.sort = o != NULL && o->sort;
    w.array = mw_codec_mark_at(L, MW_CODEC_ARRAY);
    w.object = mw_codec_mark_at(L, MW_CODEC_OBJECT);
    idx = lua_absindex(L, idx);
    if (!lua_checkstack(L, 8)) return mw_err_set(err, MW_ENOMEM, NULL, NULL, NULL);
    lua_pushvalue(L, idx);
    rc = write_top(&w);
    if (rc == 0 && (size_t)(w.at - w.start) > w.max) rc = more(&w, w.max);
    lua_settop(L, top);
    if (rc == 0) {
        mw_bytes_commit(out, (size_t)(w.at - w.start));
        return 0;
    }
    mw_err_set(err, rc, NULL, w.fault->path[0] != 0 ? w.fault->path : NULL, w.why);
    if (w.hint != NULL) mw_err_hint(err, "%s", w.hint);
    return rc;
}
