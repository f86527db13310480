/* Lua values to bytes: one pass over the value, straight into the queue of bytes.
 * Knows: base, codec/value_tag, lua.h. Never: a table in Lua to remember what was seen; memory that an error would leave behind. */
#include "codec/value.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/value_tag.h"

#define SEEN_FIRST 8u           /* tables remembered without a hash */
#define KEYS 32u                /* recent keys, by hash */
#define LONGEST (UINT32_MAX - 16u)
#define HEAD 16u                /* bytes that any value takes at most, but for what a string or a table holds */
#define PATH_MAX_BYTES 200u

struct seen {
    const void *table;
    uint32_t at;                /* offset of its tag */
};

struct writer {
    lua_State *L;
    struct mw_bytes *out;
    const struct mw_value_options *o;
    struct mw_err *err;
    char *start, *at, *end;     /* of this value, in `out` behind what it held */
    size_t max;
    int base;                   /* stack: [hash of tables seen | nil], root; from there table, key, table, key, ... */
    unsigned depth, depth_max;
    unsigned count, room;       /* tables seen; slots of the hash, 0: there is none yet */
    struct seen *hash;
    struct seen first[SEEN_FIRST];
    int keyed;                  /* keys is in use */
    uint32_t keys[KEYS];        /* 1 + offset of a short string's tag */
};

/* ---- Errors -------------------------------------------------------------------------------------------------------------- */

static int is_name(const char *s, size_t len) {
    if (len == 0 || len > 60) return 0;
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_' || (i > 0 && s[i] >= '0' && s[i] <= '9'))) return 0;
    return 1;
}

/* The path to the value at hand: the keys lie on the stack, one below each value. */
static void path(const struct writer *w, unsigned depth, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "%s", w->o->root != NULL ? w->o->root : "message"), len;

    for (unsigned d = 0; d < depth && n < PATH_MAX_BYTES; d++) {
        int key = w->base + 2 + 2 * (int)d;
        const char *s;

        switch (lua_type(w->L, key)) {
        case LUA_TSTRING:
            s = lua_tolstring(w->L, key, &len);
            if (is_name(s, len)) n += (size_t)snprintf(out + n, size - n, ".%s", s);
            else n += (size_t)snprintf(out + n, size - n, "[\"%.*s\"]", len > 60 ? 60 : (int)len, s);
            break;
        case LUA_TNUMBER:
            if (lua_isinteger(w->L, key)) n += (size_t)snprintf(out + n, size - n, "[%lld]", (long long)lua_tointeger(w->L, key));
            else n += (size_t)snprintf(out + n, size - n, "[%.14g]", lua_tonumber(w->L, key));
            break;
        case LUA_TBOOLEAN: n += (size_t)snprintf(out + n, size - n, "[%s]", lua_toboolean(w->L, key) ? "true" : "false"); break;
        case LUA_TNIL: break; /* write_pair's */
        default: n += (size_t)snprintf(out + n, size - n, "[a %s]", luaL_typename(w->L, key)); break;
        }
    }
    if (n >= PATH_MAX_BYTES && n + 4 < size) snprintf(out + n, size - n, "...");
}

static int fail(const struct writer *w, unsigned depth, int code, const char *what) {
    char at[PATH_MAX_BYTES + 100];

    path(w, depth, at, sizeof at);
    return mw_err_set(w->err, code, NULL, at, what);
}

static int too_long(const struct writer *w) {
    char what[96];

    snprintf(what, sizeof what, "longer than %zu bytes", w->max);
    return fail(w, 0, MW_ELIMIT, what);
}

/* A key that cannot be sent is told with its table. */
static int unsendable(const struct writer *w, int as_key, const char *thing) {
    char what[160];

    snprintf(what, sizeof what, "%.100s cannot be sent%s", thing, as_key ? " (it is a key)" : "");
    return fail(w, as_key ? w->depth - 2 : w->depth, MW_EINVAL, what);
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
    if (tail == NULL) return fail(w, 0, MW_ENOMEM, NULL);
    w->start = tail - used;
    w->at = tail;
    w->end = tail + room;
    return 0;
}
static inline int need(struct writer *w, size_t n) {
    return (size_t)(w->end - w->at) >= n ? 0 : more(w, n);
}

static inline void put_fixed(struct writer *w, unsigned tag, const void *value, size_t n) {
    *w->at++ = (char)tag;
    memcpy(w->at, value, n);
    w->at += n;
}

static void put_integer(struct writer *w, lua_Integer i) {
    if (i >= 0 && i < 64) {
        *w->at++ = (char)i;
    } else if (i >= INT8_MIN && i <= INT8_MAX) {
        int8_t v = (int8_t)i;
        put_fixed(w, TAG_INT1, &v, sizeof v);
    } else if (i >= INT16_MIN && i <= INT16_MAX) {
        int16_t v = (int16_t)i;
        put_fixed(w, TAG_INT2, &v, sizeof v);
    } else if (i >= INT32_MIN && i <= INT32_MAX) {
        int32_t v = (int32_t)i;
        put_fixed(w, TAG_INT4, &v, sizeof v);
    } else {
        int64_t v = i;
        put_fixed(w, TAG_INT8, &v, sizeof v);
    }
}

static int put_string(struct writer *w, const char *s, size_t len) {
    int rc;

    if (len > w->max) return too_long(w);
    rc = need(w, len + HEAD);
    if (rc < 0) return rc;
    if (len < 64) {
        *w->at++ = (char)(TAG_STRING | len);
    } else if (len <= UINT8_MAX) {
        uint8_t n = (uint8_t)len;
        put_fixed(w, TAG_STR1, &n, sizeof n);
    } else if (len <= UINT16_MAX) {
        uint16_t n = (uint16_t)len;
        put_fixed(w, TAG_STR2, &n, sizeof n);
    } else {
        uint32_t n = (uint32_t)len;
        put_fixed(w, TAG_STR4, &n, sizeof n);
    }
    memcpy(w->at, s, len);
    w->at += len;
    return 0;
}

/* A key: records in a row have the same ones. Lua has one copy of each short string, so its address finds where it stood. */
static int put_key(struct writer *w, const char *s, size_t len) {
    uint32_t *slot, here = (uint32_t)(w->at - w->start);

    if (w->count < 2 || len < 3 || len > SHORT_MAX) return put_string(w, s, len);
    if (!w->keyed) memset(w->keys, 0, sizeof w->keys);
    w->keyed = 1;
    slot = &w->keys[((uintptr_t)s >> 4 ^ (uintptr_t)s >> 9) % KEYS];
    if (*slot != 0 && here - (*slot - 1) <= UINT16_MAX) {
        const char *was = w->start + *slot - 1;
        uint32_t back = here - (*slot - 1);
        if (*was == (char)(TAG_STRING | len) && memcmp(was + 1, s, len) == 0) {
            uint16_t two = (uint16_t)back;
            uint8_t one = (uint8_t)back;
            if (back <= UINT8_MAX) put_fixed(w, TAG_AGAIN1, &one, sizeof one);
            else put_fixed(w, TAG_AGAIN2, &two, sizeof two);
            return 0;
        }
    }
    *slot = here + 1;
    return put_string(w, s, len);
}

/* ---- Tables seen --------------------------------------------------------------------------------------------------------- */

static struct seen *slot_of(struct seen *hash, unsigned room, const void *table) {
    size_t i = (size_t)(((uintptr_t)table >> 4) * 0x9e3779b97f4a7c15u >> 32) & (room - 1);

    while (hash[i].table != NULL && hash[i].table != table) i = (i + 1) & (room - 1);
    return &hash[i];
}

/* The hash is Lua's memory: an error on the way takes it along.                                            [-0, +0, m] */
static void grow_hash(struct writer *w) {
    unsigned room = w->room == 0 ? SEEN_FIRST * 8 : w->room * 2, n = w->room == 0 ? SEEN_FIRST : w->room;
    const struct seen *from = w->room == 0 ? w->first : w->hash;
    struct seen *hash = lua_newuserdatauv(w->L, room * sizeof *hash, 0);

    memset(hash, 0, room * sizeof *hash);
    for (unsigned i = 0; i < n; i++)
        if (from[i].table != NULL) *slot_of(hash, room, from[i].table) = from[i];
    lua_replace(w->L, w->base);
    w->hash = hash;
    w->room = room;
}

/* The table's offset when it was written before, and it is marked as one that is referred to; or -1, and it is remembered. */
static int64_t again(struct writer *w, const void *table) {
    struct seen *it = NULL;

    if (w->room == 0) {
        for (unsigned i = 0; i < w->count && it == NULL; i++)
            if (w->first[i].table == table) it = &w->first[i];
        if (it == NULL && w->count < SEEN_FIRST) {
            w->first[w->count++] = (struct seen){table, (uint32_t)(w->at - w->start)};
            return -1;
        }
        if (it == NULL) grow_hash(w);
    } else if (w->count >= w->room / 2) {
        grow_hash(w);
    }
    if (it == NULL) it = slot_of(w->hash, w->room, table);
    if (it->table == NULL) {
        *it = (struct seen){table, (uint32_t)(w->at - w->start)};
        w->count++;
        return -1;
    }
    w->start[it->at] |= TABLE_SHARED;
    return it->at;
}

/* ---- Values: the one at the top of the stack stays there ----------------------------------------------------------------- */

static int write_table(struct writer *w, int as_key);

static int write_userdata(struct writer *w, int as_key) {
    char thing[100];
    uint32_t slot = 0;
    int rc = 1, top = lua_gettop(w->L);

    if (w->o->put != NULL) rc = w->o->put(w->o->ud, w->L, top, &slot, w->err);
    if (rc == 0) {
        put_fixed(w, TAG_SLOT, &slot, sizeof slot);
        return 0;
    }
    if (rc < 0) {
        char what[sizeof w->err->what];
        if (w->err == NULL) return rc;
        memcpy(what, w->err->what, sizeof what);
        return fail(w, as_key ? w->depth - 2 : w->depth, rc, what);
    }
    if (luaL_getmetafield(w->L, top, "__name") == LUA_TSTRING) snprintf(thing, sizeof thing, "a userdata (%.60s)", lua_tostring(w->L, -1));
    else snprintf(thing, sizeof thing, "a userdata");
    lua_settop(w->L, top);
    return unsendable(w, as_key, thing);
}

static void put_number(struct writer *w) {
    int whole;
    lua_Integer i = lua_isinteger(w->L, -1) ? lua_tointegerx(w->L, -1, &whole) : (whole = 0);
    lua_Number n;

    if (whole) {
        put_integer(w, i);
        return;
    }
    n = lua_tonumber(w->L, -1);
    put_fixed(w, TAG_FLOAT, &n, sizeof n);
}

static int write_top(struct writer *w, int as_key) {
    lua_State *L = w->L;
    int rc, type = lua_type(L, -1);
    size_t len;
    const char *s;

    if (type == LUA_TSTRING) {
        s = lua_tolstring(L, -1, &len);
        return put_string(w, s, len);
    }
    rc = need(w, HEAD);
    if (rc < 0) return rc;
    switch (type) {
    case LUA_TTABLE: return write_table(w, as_key);
    case LUA_TNUMBER: put_number(w); return 0;
    case LUA_TBOOLEAN: *w->at++ = (char)(lua_toboolean(L, -1) ? TAG_TRUE : TAG_FALSE); return 0;
    case LUA_TNIL: *w->at++ = (char)TAG_NIL; return 0;
    case LUA_TUSERDATA: return write_userdata(w, as_key);
    case LUA_TFUNCTION: return unsendable(w, as_key, "a function");
    case LUA_TTHREAD: return unsendable(w, as_key, "a coroutine");
    default:
        if (!mw_codec_is_null(L, -1)) return unsendable(w, as_key, "a light userdata");
        *w->at++ = (char)TAG_NULL;
        return 0;
    }
}

/* 1: it has a metatable that is sent, *meta; 0: it is sent without; or a code.                               [-0, +0, -] */
static int look_at_metatable(struct writer *w, int as_key, char *meta) {
    lua_State *L = w->L;
    int top = lua_gettop(L), record = 0;
    enum mw_codec_mark mark;
    const char *why = NULL;

    if (!lua_getmetatable(L, -1)) return 0;                 /* [t mt] */
    mark = mw_codec_marked(L, top);
    *meta = mark == MW_CODEC_ARRAY ? META_ARRAY : mark == MW_CODEC_OBJECT ? META_OBJECT : META_RECORD;
    if (mark != MW_CODEC_PLAIN) {
        lua_settop(L, top);
        return 1;
    }
    if (w->o->record != NULL) {
        luaL_getmetatable(L, w->o->record);
        record = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
    }
    if (!record) {
        lua_pushliteral(L, "__metatable");
        if (lua_rawget(L, -2) != LUA_TNIL) why = "a table with a protected metatable";
        lua_pop(L, 1);
        lua_pushliteral(L, "__pairs");
        if (lua_rawget(L, -2) != LUA_TNIL) why = "a table with __pairs";
    }
    lua_settop(L, top);
    return why != NULL ? unsendable(w, as_key, why) : record;
}

/* The pair on top; the key is written before its value.                                                    [-0, +0, m] */
static int write_pair(struct writer *w) {
    lua_State *L = w->L;
    size_t len;
    int rc;

    if (lua_type(L, -2) == LUA_TSTRING) {
        const char *s = lua_tolstring(L, -2, &len);
        rc = put_key(w, s, len);
    } else {
        lua_pushnil(L);                                     /* [key value nil]: as if a level below, for the path */
        lua_pushvalue(L, -3);
        w->depth++;
        rc = write_top(w, 1);
        w->depth--;
        if (rc == 0) lua_pop(L, 2);
    }
    return rc < 0 ? rc : write_top(w, 0);
}

/* The pairs that are none of the elements 1..n, from the one on top if there is one; the stack is then [t] again. */
static int write_pairs(struct writer *w, lua_Unsigned n, size_t head, int left) {
    lua_State *L = w->L;
    int t = lua_gettop(L) - (left ? 2 : 0), rc;
    unsigned pairs = 0;

    for (; left; left = lua_next(L, t)) {
        if (n == 0 || !lua_isinteger(L, -2) || (lua_Unsigned)lua_tointeger(L, -2) - 1 >= n) {
            rc = write_pair(w);
            if (rc < 0) return rc;
            if (pairs < PAIRS_MANY) pairs++;
        }
        lua_pop(L, 1);
    }
    w->start[head] = (char)pairs;
    if (pairs == PAIRS_MANY) {
        rc = need(w, 1);
        if (rc < 0) return rc;
        *w->at++ = (char)TAG_END;
    }
    return 0;
}

/* One walk: lua_next gives the elements first and in order, in most tables. Those that it does not are fetched one by one, and the
 * walk begins again. */
static int write_content(struct writer *w, lua_Unsigned n, size_t head) {
    lua_State *L = w->L;
    int t = lua_gettop(L), left, rc;
    lua_Unsigned i = 1;

    lua_pushnil(L);
    for (left = lua_next(L, t); left && i <= n && lua_isinteger(L, -2) && lua_tointeger(L, -2) == (lua_Integer)i; left = lua_next(L, t)) {
        rc = write_top(w, 0);
        if (rc < 0) return rc;
        lua_pop(L, 1);
        i++;
    }
    if (i <= n) {
        for (lua_settop(L, t); i <= n; i++) {
            lua_pushinteger(L, (lua_Integer)i);
            lua_rawgeti(L, t, (lua_Integer)i);
            rc = write_top(w, 0);
            if (rc < 0) return rc;
            lua_pop(L, 2);
        }
        lua_pushnil(L);
        left = lua_next(L, t);
    }
    return write_pairs(w, n, head, left);
}

static int write_table(struct writer *w, int as_key) {
    lua_State *L = w->L;
    lua_Unsigned n;
    int64_t was;
    size_t head;
    char *tag, meta = META_RECORD;
    int rc;

    was = again(w, lua_topointer(L, -1));
    if (was >= 0) {
        uint32_t offset = (uint32_t)was;
        put_fixed(w, TAG_TABLE_AGAIN, &offset, sizeof offset);
        return 0;
    }
    if (w->depth >= w->depth_max || !lua_checkstack(L, 8)) {
        char what[64];
        snprintf(what, sizeof what, "nested deeper than %u levels", w->depth_max);
        return fail(w, w->depth, MW_ELIMIT, what);
    }
    rc = look_at_metatable(w, as_key, &meta);
    if (rc < 0) return rc;
    n = lua_rawlen(L, -1);
    tag = w->at++;
    *tag = (char)(TAG_TABLE | (rc ? TABLE_META : 0) | (n < TABLE_COUNT ? (unsigned)n : TABLE_COUNT));
    if (rc) *w->at++ = meta;
    if (n >= TABLE_COUNT) {
        lua_Unsigned rest = n;
        for (; rest >= 0x80; rest >>= 7) *w->at++ = (char)(rest | 0x80);
        *w->at++ = (char)rest;
    }
    head = (size_t)(w->at++ - w->start);
    w->depth++;
    rc = write_content(w, n, head);
    w->depth--;
    return rc;
}

int mw_value_write(lua_State *L, int idx, struct mw_bytes *out, const struct mw_value_options *o, struct mw_err *err) {
    static const struct mw_value_options none = {0};
    struct writer w;
    int rc;

    w.L = L;
    w.out = out;
    w.o = o != NULL ? o : &none;
    w.err = err;
    w.start = w.at = w.end = NULL;
    w.max = w.o->bytes_max != 0 && w.o->bytes_max < LONGEST ? w.o->bytes_max : LONGEST;
    w.depth = w.count = w.room = 0;
    w.keyed = 0;
    w.depth_max = w.o->depth_max == 0 ? MW_VALUE_DEPTH : w.o->depth_max < MW_VALUE_DEPTH_MAX ? w.o->depth_max : MW_VALUE_DEPTH_MAX;
    w.hash = NULL;
    idx = lua_absindex(L, idx);
    w.base = lua_gettop(L) + 1;
    if (!lua_checkstack(L, 8)) return fail(&w, 0, MW_ENOMEM, NULL);
    lua_pushnil(L);
    lua_pushvalue(L, idx);
    rc = write_top(&w, 0);
    if (rc == 0 && (size_t)(w.at - w.start) > w.max) rc = too_long(&w);
    lua_settop(L, w.base - 1);
    if (rc == 0) mw_bytes_commit(out, (size_t)(w.at - w.start));
    return rc;
}
