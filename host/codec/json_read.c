/* JSON to Lua values: see json.h. What an object or an array holds is gathered on the Lua stack, so that its table is made once, in the
 * size it needs; from CHUNK on it goes straight into the table.
 * Knows: codec/json_scan, codec/keys, lua.h. Never: a byte behind the end; memory that an error would leave behind. */
#include "codec/json.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "codec/json_scan.h"
#include "codec/json_text.h"
#include "codec/keys.h"

#define CHUNK 16u               /* members or elements that wait on the stack */
#define SHORT 40u               /* longer strings may be equal and have two addresses */
#define ROOM (2 * (int)CHUNK + 8)

struct reader {
    lua_State *L;
    const char *start, *end;
    int at;                     /* stack: the place for recent keys, and at last for what was read */
    struct mw_keys keys;
    unsigned depth, depth_max;
    int rc;                     /* with f, when a function below gave NULL */
    struct mw_scan_fault f;
    struct mw_codec_fault *fault;
};

static const char *wrong(struct reader *r, int rc, const char *at, const char *why) {
    r->rc = rc;
    r->f.at = at;
    r->f.why = why;
    return NULL;
}

__attribute__((noinline)) static const char *push_unescaped(lua_State *L, const struct mw_scan_text *text) {
    char few[256];
    luaL_Buffer many;

    if (text->decoded <= sizeof few) {
        mw_scan_unescape(text, few);
        return lua_pushlstring(L, few, text->decoded);
    }
    mw_scan_unescape(text, luaL_buffinitsize(L, &many, text->decoded));
    luaL_pushresultsize(&many, text->decoded);
    return lua_tostring(L, -1);
}

/* *s: Lua's copy, which is on the stack. */
static inline const char *read_string(struct reader *r, const char *at, const char **s, size_t *len) {
    struct mw_scan_text text;

    at = mw_scan_string(at + 1, r->end, &text, &r->f);
    if (at == NULL) return NULL;
    *len = text.decoded;
    *s = text.decoded == text.len ? lua_pushlstring(r->L, text.from, text.len) : push_unescaped(r->L, &text);
    return at;
}

static inline const char *read_number(struct reader *r, const char *at) {
    struct mw_scan_number n;

    at = mw_scan_number(at, r->end, &n, &r->f);
    if (at == NULL) return NULL;
    if (n.whole) lua_pushinteger(r->L, n.integer);
    else lua_pushnumber(r->L, n.real);
    return at;
}

static const char *read_word(struct reader *r, const char *at) {
    const char *to;

    if ((to = MW_SCAN_WORD(at, r->end, "true")) != NULL) lua_pushboolean(r->L, 1);
    else if ((to = MW_SCAN_WORD(at, r->end, "false")) != NULL) lua_pushboolean(r->L, 0);
    else if ((to = MW_SCAN_WORD(at, r->end, "null")) != NULL) mw_codec_push_null(r->L);
    else return wrong(r, MW_EPARSE, at, at == r->start && *at == '\xef' ? "a byte order mark" : "a value is expected");
    return to;
}

static const char too_deep[] = "nested too deeply";

static int enter(struct reader *r, const char *at) {
    if (r->depth >= r->depth_max || !lua_checkstack(r->L, ROOM)) {
        wrong(r, MW_EPARSE, at, too_deep);
        return 0;
    }
    r->depth++;
    if (r->keys.cache == NULL) mw_keys_open(r->L, MW_KEYS_JSON, &r->keys, r->at);
    return 1;
}

static const char *read_value(struct reader *r, const char *at);

/* ---- Arrays -------------------------------------------------------------------------------------------------------------- */

/* The elements 1..n lie on the stack above t, which becomes the table. */
static void make_array(struct reader *r, int t, unsigned n) {
    lua_State *L = r->L;

    lua_createtable(L, (int)n, 0);
    mw_keys_mark_array(L, &r->keys);
    lua_replace(L, t);
    for (; n > 0; n--) lua_rawseti(L, t, (lua_Integer)n);
}

/* `at` is at the bracket. */
static const char *read_array(struct reader *r, const char *at) {
    lua_State *L = r->L;
    int t = lua_gettop(L) + 1;
    lua_Integer n = 0;

    if (!enter(r, at)) return NULL;
    lua_pushnil(L);
    at = mw_scan_space(at + 1, r->end);
    if (at < r->end && *at == ']') {
        make_array(r, t, 0);
        r->depth--;
        return at + 1;
    }
    for (;;) {
        at = read_value(r, at);
        n++;
        if (at == NULL) break;
        if (n > CHUNK) lua_rawseti(L, t, n);
        else if (n == CHUNK) make_array(r, t, CHUNK);
        at = mw_scan_space(at, r->end);
        if (at < r->end && *at == ',') {
            at = mw_scan_space(at + 1, r->end);
            continue;
        }
        if (at == r->end) return wrong(r, MW_EPARSE, at, "it ends in the middle");
        if (*at != ']') return wrong(r, MW_EPARSE, at, "a comma or ] is expected");
        if (n < CHUNK) make_array(r, t, (unsigned)n);
        r->depth--;
        return at + 1;
    }
    mw_codec_path_index(r->fault, n);
    return NULL;
}

/* ---- Objects ------------------------------------------------------------------------------------------------------------- */

/* n pairs lie on the stack above t, which becomes the table. */
static void make_object(lua_State *L, int t, unsigned n) {
    lua_createtable(L, 0, (int)n);
    lua_replace(L, t);
    for (; n > 0; n--) lua_rawset(L, t);
}

struct members {
    int t;                      /* stack: nil, or the table from the CHUNK-th member on */
    unsigned n;
    const char *key;            /* of the member at hand: Lua's own copy */
    size_t len;
    const char *keys[CHUNK];    /* those of the first ones; Lua keeps short strings once, so an address tells them apart */
};

/* The key on top: was it there before? Nothing is left. */
static int is_double(lua_State *L, struct members *m) {
    if (m->n >= CHUNK) {
        lua_pushvalue(L, -1);
        if (lua_rawget(L, m->t) != LUA_TNIL) return 1;
        lua_pop(L, 1);
        return 0;
    }
    for (unsigned i = 0; i < m->n; i++) {
        if (m->keys[i] == m->key) return 1;
        if (m->len > SHORT && lua_rawlen(L, m->t + 1 + 2 * (int)i) == m->len && memcmp(m->keys[i], m->key, m->len) == 0) return 1;
    }
    m->keys[m->n] = m->key;
    return 0;
}

/* The key at stack index idx is where the fault is. */
static void path_key(const struct reader *r, int idx) {
    size_t len;
    const char *key = lua_tolstring(r->L, idx, &len);

    mw_codec_path_key(r->fault, key, len);
}

/* `at` is at the quote. Mostly it is the key that came next the last time: no look for its end, no look for Lua's copy of it. */
static inline const char *push_key(struct reader *r, struct members *m, const char *at) {
    unsigned i = mw_keys_next(&r->keys);
    const struct mw_key *key = &r->keys.cache->key[i];
    size_t left = (size_t)(r->end - ++at);
    struct mw_scan_text text;

    if (mw_key_is(key, at, left) && left > key->len && at[key->len] == '"') {
        m->len = key->len;
        m->key = mw_keys_push(r->L, &r->keys, i);
        return at + m->len + 1;
    }
    at = mw_scan_string(at, r->end, &text, &r->f);
    if (at == NULL) return NULL;
    m->len = text.decoded;
    if (text.decoded == text.len) m->key = mw_keys_get(r->L, &r->keys, text.from, text.len, (size_t)(r->end - text.from));
    else m->key = push_unescaped(r->L, &text);
    return at;
}

/* A key and its colon: returns what is behind. */
static inline const char *read_key(struct reader *r, struct members *m, const char *at) {
    const char *from = at;

    if (at == r->end) return wrong(r, MW_EPARSE, at, "it ends in the middle");
    if (*at != '"') return wrong(r, MW_EPARSE, at, "a key in quotes is expected");
    at = push_key(r, m, at);
    if (at == NULL) return NULL;
    if (m->n >= MW_CODEC_KEYS_MAX) return wrong(r, MW_ELIMIT, from, "an object with more than 65536 keys");
    if (is_double(r->L, m)) {
        path_key(r, m->n < CHUNK ? m->t + 1 + 2 * (int)m->n : m->t + 1);
        return wrong(r, MW_EPARSE, from, "a key that was there before");
    }
    at = mw_scan_space(at, r->end);
    if (at == r->end) return wrong(r, MW_EPARSE, at, "it ends in the middle");
    if (*at != ':') return wrong(r, MW_EPARSE, at, "a colon is expected");
    return mw_scan_space(at + 1, r->end);
}

/* `at` is at the brace. */
static const char *read_object(struct reader *r, const char *at) {
    lua_State *L = r->L;
    struct members m;

    if (!enter(r, at)) return NULL;
    m.t = lua_gettop(L) + 1;
    m.n = 0;
    lua_pushnil(L);
    at = mw_scan_space(at + 1, r->end);
    if (at < r->end && *at == '}') {
        make_object(L, m.t, 0);
        r->depth--;
        return at + 1;
    }
    for (;;) {
        at = read_key(r, &m, at);
        if (at == NULL) return NULL;
        at = read_value(r, at);
        if (at == NULL) break;
        m.n++;
        if (m.n > CHUNK) lua_rawset(L, m.t);
        else if (m.n == CHUNK) make_object(L, m.t, CHUNK);
        at = mw_scan_space(at, r->end);
        if (at < r->end && *at == ',') {
            at = mw_scan_space(at + 1, r->end);
            continue;
        }
        if (at == r->end) return wrong(r, MW_EPARSE, at, "it ends in the middle");
        if (*at != '}') return wrong(r, MW_EPARSE, at, "a comma or } is expected");
        if (m.n < CHUNK) make_object(L, m.t, m.n);
        r->depth--;
        return at + 1;
    }
    path_key(r, m.n < CHUNK ? m.t + 1 + 2 * (int)m.n : m.t + 1);
    return NULL;
}

/* ---- The whole ----------------------------------------------------------------------------------------------------------- */

/* Pushes the value at `at`, where no space is; returns what is behind it, or NULL: r->f and r->rc say why, and the stack may hold
 * anything above what it held. */
static const char *read_value(struct reader *r, const char *at) {
    const char *s;
    size_t len;

    if (at == r->end) return wrong(r, MW_EPARSE, at, r->depth > 0 ? "it ends in the middle" : "a value is expected");
    switch (*at) {
    case '"': return read_string(r, at, &s, &len);
    case '{': return read_object(r, at);
    case '[': return read_array(r, at);
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9': return read_number(r, at);
    default: return read_word(r, at);
    }
}

/* Fills what the caller gets of a failure. */
static int report(const struct reader *r, struct mw_err *err) {
    unsigned line, column;
    char subject[64];

    if (r->fault != NULL) r->fault->offset = (size_t)(r->f.at - r->start);
    if (err == NULL) return r->rc;
    mw_json_position(r->start, (size_t)(r->f.at - r->start), &line, &column);
    snprintf(subject, sizeof subject, "line %u column %u", line, column);
    mw_err_set(err, r->rc, NULL, subject, r->f.why);
    if (r->f.why == too_deep && r->depth_max < MW_CODEC_DEPTH_MAX)
        mw_err_hint(err, "max_depth is %u, and may be up to %u", r->depth_max, MW_CODEC_DEPTH_MAX);
    return r->rc;
}

int mw_json_read(lua_State *L, const char *at, size_t len, const struct mw_codec_options *o, struct mw_codec_fault *fault, struct mw_err *err) {
    struct reader r = {.L = L, .start = at, .end = at + len, .rc = MW_EPARSE, .fault = fault, .depth_max = MW_CODEC_DEPTH};
    size_t most = o != NULL && o->bytes_max != 0 ? o->bytes_max : MW_CODEC_BYTES_MAX;
    int top = lua_gettop(L);

    if (fault != NULL) fault->offset = 0, fault->path[0] = 0;
    if (len > most) {
        mw_err_setf(err, MW_ELIMIT, NULL, NULL, "longer than %zu bytes", most);
        mw_err_hint(err, "max_bytes says otherwise");
        return MW_ELIMIT;
    }
    if (o != NULL && o->depth_max != 0) r.depth_max = o->depth_max < MW_CODEC_DEPTH_MAX ? o->depth_max : MW_CODEC_DEPTH_MAX;
    if (!lua_checkstack(L, ROOM)) return mw_err_set(err, MW_ENOMEM, NULL, NULL, NULL);
    lua_pushnil(L);
    r.at = top + 1;
    at = read_value(&r, mw_scan_space(at, r.end));
    if (at != NULL) {
        at = mw_scan_space(at, r.end);
        if (at != r.end) at = wrong(&r, MW_EPARSE, at, "something follows the value");
    }
    if (at == NULL) {
        lua_settop(L, top);
        return report(&r, err);
    }
    lua_replace(L, r.at);
    return 0;
}

int mw_json_read_part(lua_State *L, const char *start, const char **at, const char *end, unsigned depth, struct mw_codec_fault *fault,
                      struct mw_err *err) {
    struct reader r = {.L = L, .start = start, .end = end, .rc = MW_EPARSE, .fault = fault, .depth_max = depth};
    const char *to;

    fault->path[0] = 0;
    if (!lua_checkstack(L, ROOM)) return mw_err_set(err, MW_ENOMEM, NULL, NULL, NULL);
    lua_pushnil(L);
    r.at = lua_gettop(L);
    to = read_value(&r, *at);
    if (to == NULL) return report(&r, err);
    lua_replace(L, r.at);
    *at = to;
    return 0;
}
