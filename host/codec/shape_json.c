/* Shapes read from JSON: validated while it is parsed; what the shape does not keep is not built.
 * Knows: codec/json, codec/json_scan, codec/shape_node, lua.h. Never: a byte behind the end; a string for a key that the shape knows.
 *
 * Senders write the fields of a message in the same order each time, so each object remembers which field followed which, and
 * compares the next bytes with that one first, quotes and colon included. */
#include "codec/shape.h"

#include <lauxlib.h>

#include "codec/json.h"
#include "codec/json_scan.h"
#include "codec/json_text.h"
#include "codec/shape_node.h"

#define CHUNK 16                /* elements that wait on the stack until their number is known */
#define ROOM (CHUNK + 12)

static const char ends[] = "it ends in the middle", twice[] = "a key that was there before";

/* rc is a code already: for `return refuse(r, at, mw_shape_wrong(...))`, r->at being where it is. */
static const char *refuse(struct mw_shape_run *r, int rc) {
    r->rc = rc;
    return NULL;
}

static const char *syntax(struct mw_shape_run *r, const char *at, int rc, const char *why) {
    r->at = at;
    return refuse(r, mw_shape_failed(r, rc, why));
}

static const char *scan_failed(struct mw_shape_run *r, const struct mw_scan_fault *f) {
    return syntax(r, f->at, MW_EPARSE, f->why);
}

/* ---- Types ------------------------------------------------------------------------------------------------------- */

/* What begins at `at`; numbers by their grammar. T_OTHER: nothing that could be. */
static enum mw_shape_type type_at(const struct mw_shape_run *r, const char *at) {
    struct mw_scan_fault f;
    int whole = 1;

    switch (*at) {
    case '"': return T_STRING;
    case '{': return T_OBJECT;
    case '[': return T_ARRAY;
    case 't': return MW_SCAN_WORD(at, r->end, "true") != NULL ? T_BOOLEAN : T_OTHER;
    case 'f': return MW_SCAN_WORD(at, r->end, "false") != NULL ? T_BOOLEAN : T_OTHER;
    case 'n': return MW_SCAN_WORD(at, r->end, "null") != NULL ? T_NULL : T_OTHER;
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        return mw_scan_numeral(at, r->end, &whole, &f) == NULL || whole ? T_INTEGER : T_FLOAT;
    default: return T_OTHER;
    }
}

__attribute__((noinline)) static const char *wrong_type(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    enum mw_shape_type type = type_at(r, at);

    if (type == T_OTHER) return syntax(r, at, MW_EPARSE, "a value is expected");
    r->at = at;
    return refuse(r, mw_shape_wrong_type(r, s, type));
}

/* ---- Values without a shape -------------------------------------------------------------------------------------- */

static const char *read_any(struct mw_shape_run *r, const char *at) {
    int rc = mw_json_read_part(r->L, r->base, &at, r->end, r->depth_max - r->depth, r->fault, r->err);
    return rc == 0 ? at : refuse(r, rc);
}

/* Checked as JSON, and left behind. */
static const char *skip(struct mw_shape_run *r, const char *at) {
    struct mw_scan_fault f;
    struct mw_scan_text text;

    if (at < r->end && *at == '"') {
        at = mw_scan_string(at + 1, r->end, &text, &f);
        return at != NULL ? at : scan_failed(r, &f);
    }
    at = read_any(r, at);
    lua_pop(r->L, at != NULL);
    return at;
}

/* ---- Strings and numbers ----------------------------------------------------------------------------------------- */

__attribute__((noinline)) static void push_unescaped(lua_State *L, const struct mw_scan_text *text) {
    char few[256];
    luaL_Buffer many;

    if (text->decoded <= sizeof few) {
        mw_scan_unescape(text, few);
        lua_pushlstring(L, few, text->decoded);
        return;
    }
    mw_scan_unescape(text, luaL_buffinitsize(L, &many, text->decoded));
    luaL_pushresultsize(&many, text->decoded);
}

static inline void push_text(lua_State *L, const struct mw_scan_text *text) {
    if (text->decoded == text->len) lua_pushlstring(L, text->from, text->len);
    else push_unescaped(L, text);
}

static const char *read_string(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    struct mw_scan_text text;
    struct mw_scan_fault f;
    const char *to;
    int rc;

    if (*at != '"') return wrong_type(r, s, at);
    to = mw_scan_string(at + 1, r->end, &text, &f);
    if (to == NULL) return scan_failed(r, &f);
    if (text.decoded < s->as.string.min || text.decoded > s->as.string.max) {
        r->at = at;
        return refuse(r, mw_shape_is_string(r, s, text.from, text.decoded));
    }
    push_text(r->L, &text);
    if (s->as.string.pattern == NULL) return to; /* JSON's strings are UTF-8 */
    r->at = at;
    rc = mw_shape_is_string(r, s, lua_tostring(r->L, -1), text.decoded);
    return rc == 0 ? to : refuse(r, rc);
}

static const char *read_number(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    struct mw_scan_number n;
    struct mw_scan_fault f;
    const char *to;
    int rc;

    if (*at != '-' && (unsigned)(*at - '0') > 9) return wrong_type(r, s, at);
    to = mw_scan_number(at, r->end, &n, &f);
    if (to == NULL) return scan_failed(r, &f);
    if (n.whole) {
        lua_pushinteger(r->L, n.integer);
        if (s->kind == MW_SHAPE_INTEGER ? n.integer >= s->as.integer.min && n.integer <= s->as.integer.max
                                        : s->as.number.min.is == BOUND_NONE && s->as.number.max.is == BOUND_NONE) return to;
        r->at = at;
        rc = mw_shape_is_integer(r, s, n.integer);
    } else {
        if (s->kind == MW_SHAPE_INTEGER) return wrong_type(r, s, at);
        lua_pushnumber(r->L, n.real);
        if (s->as.number.min.is == BOUND_NONE && s->as.number.max.is == BOUND_NONE) return to; /* JSON's are finite */
        r->at = at;
        rc = mw_shape_is_float(r, s, n.real);
    }
    return rc == 0 ? to : refuse(r, rc);
}

static const char *read_boolean(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    const char *to = MW_SCAN_WORD(at, r->end, "true");
    int v = to != NULL;

    if (to == NULL) to = MW_SCAN_WORD(at, r->end, "false");
    if (to == NULL) return wrong_type(r, s, at);
    lua_pushboolean(r->L, v);
    return to;
}

/* One of the shape's own values: found by its bytes, and pushed as it was made once. */
static const char *read_literal(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    const struct mw_shape_literal *item;
    enum mw_shape_type type = T_STRING;
    struct mw_scan_text text;
    struct mw_scan_fault f;
    const char *to;

    if (*at != '"') { /* null, booleans and numbers are made, and looked for */
        int top = lua_gettop(r->L), rc;
        type = type_at(r, at);
        if (type >= T_ARRAY) return wrong_type(r, s, at);
        to = read_any(r, at);
        if (to == NULL) return NULL;
        r->at = at;
        rc = mw_shape_check_at(r, s, top + 1);
        return rc == 0 ? to : refuse(r, rc);
    }
    to = mw_scan_string(at + 1, r->end, &text, &f);
    if (to == NULL) return scan_failed(r, &f);
    if (text.decoded == text.len) {
        item = mw_shape_literal_string(s, text.from, text.len);
    } else {
        push_unescaped(r->L, &text);
        item = mw_shape_literal_string(s, lua_tostring(r->L, -1), text.decoded);
        lua_pop(r->L, 1);
    }
    if (item == NULL) {
        r->at = at;
        return refuse(r, mw_shape_wrong_literal(r, s, T_STRING));
    }
    lua_rawgeti(r->L, r->keys, item->ref);
    return to;
}

/* ---- Arrays and maps --------------------------------------------------------------------------------------------- */

static const char *read_value(struct mw_shape_run *r, const mw_shape *s, const char *at);

static int enter(struct mw_shape_run *r, const char *at) {
    if (r->depth < r->depth_max && lua_checkstack(r->L, ROOM)) {
        r->depth++;
        return 1;
    }
    syntax(r, at, MW_EPARSE, "nested too deeply");
    return 0;
}

/* n elements at the top become the table at t; what lies between goes. */
static void make_array(struct mw_shape_run *r, const mw_shape *s, int t, int n) {
    lua_State *L = r->L;

    lua_createtable(L, n, 0);
    lua_rawgeti(L, r->keys, s->as.array.mark);
    lua_setmetatable(L, -2);
    lua_replace(L, t);
    for (; n > 0; n--) lua_rawseti(L, t, n);
}

static const char *wrong_count(struct mw_shape_run *r, const mw_shape *s, const char *at, size_t n) {
    r->at = at;
    return refuse(r, mw_shape_wrong_count(r, s, n));
}

/* After a value: behind the comma, or NULL; *closed is set at the closing bracket, and what is returned is behind it. */
static inline const char *go_on(struct mw_shape_run *r, const char *at, char close, int *closed) {
    at = mw_scan_space(at, r->end);
    if (at == r->end) return syntax(r, at, MW_EPARSE, ends);
    if (*at == ',') return mw_scan_space(at + 1, r->end);
    if (*at != close) return syntax(r, at, MW_EPARSE, close == '}' ? "a comma or } is expected" : "a comma or ] is expected");
    *closed = 1;
    return at + 1;
}

static const char *read_array(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    lua_State *L = r->L;
    const char *from = at, *element;
    size_t n = 0;
    int t = lua_gettop(L) + 1, seen = 0, closed = 0;

    if (*at != '[') return wrong_type(r, s, at);
    if (!enter(r, at)) return NULL;
    lua_pushnil(L);
    if (s->as.array.unique) {
        lua_newtable(L);
        seen = t + 1;
    }
    at = mw_scan_space(at + 1, r->end);
    if (at < r->end && *at == ']') closed = 1, at++;
    while (!closed) {
        if (n == s->as.array.max) return wrong_count(r, s, from, n + 1);
        element = at;
        at = read_value(r, s->of, at);
        n++;
        if (at != NULL && seen != 0 && mw_shape_seen(L, seen)) {
            r->at = element;
            at = refuse(r, mw_shape_wrong(r, "another value than those before", "one of them"));
        }
        if (at == NULL) {
            mw_codec_path_index(r->fault, (lua_Integer)n);
            return NULL;
        }
        if (n > CHUNK) lua_rawseti(L, t, (lua_Integer)n);
        else if (n == CHUNK) make_array(r, s, t, CHUNK);
        at = go_on(r, at, ']', &closed);
        if (at == NULL) return NULL;
    }
    if (n < s->as.array.min) return wrong_count(r, s, from, n);
    if (n < CHUNK) make_array(r, s, t, (int)n);
    lua_settop(L, t);
    r->depth--;
    return at;
}

/* Behind the colon that follows a key. */
static inline const char *colon(struct mw_shape_run *r, const char *at) {
    at = mw_scan_space(at, r->end);
    if (at == r->end) return syntax(r, at, MW_EPARSE, ends);
    if (*at != ':') return syntax(r, at, MW_EPARSE, "a colon is expected");
    return mw_scan_space(at + 1, r->end);
}

/* A key's text: returns what is behind its quotes. */
static inline const char *scan_key(struct mw_shape_run *r, const char *at, struct mw_scan_text *text) {
    struct mw_scan_fault f;

    if (at == r->end) return syntax(r, at, MW_EPARSE, ends);
    if (*at != '"') return syntax(r, at, MW_EPARSE, "a key in quotes is expected");
    at = mw_scan_string(at + 1, r->end, text, &f);
    return at != NULL ? at : scan_failed(r, &f);
}

/* Is the key at the top in the table at t? */
static int has(lua_State *L, int t) {
    int yes;

    lua_pushvalue(L, -1);
    yes = lua_rawget(L, t) != LUA_TNIL;
    lua_pop(L, 1);
    return yes;
}

static const char *read_pair(struct mw_shape_run *r, const mw_shape *s, const char *at, int t) {
    lua_State *L = r->L;
    struct mw_scan_text text;
    const char *name;
    size_t len;
    int rc;

    r->at = at;
    at = scan_key(r, at, &text);
    if (at == NULL) return NULL;
    push_text(L, &text);
    name = lua_tolstring(L, -1, &len);
    rc = mw_shape_check_at(r, s->as.map.key, lua_gettop(L));
    if (rc < 0) at = refuse(r, rc);
    else if (has(L, t)) at = syntax(r, r->at, MW_EPARSE, twice);
    else if ((at = colon(r, at)) == NULL) return NULL;
    else at = read_value(r, s->of, at);
    if (at == NULL) mw_codec_path_key(r->fault, name, len);
    else lua_rawset(L, t);
    return at;
}

static const char *read_map(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    const char *from = at;
    size_t n = 0;
    int t, closed = 0;

    if (*at != '{') return wrong_type(r, s, at);
    if (!enter(r, at)) return NULL;
    lua_newtable(r->L);
    t = lua_gettop(r->L);
    at = mw_scan_space(at + 1, r->end);
    if (at < r->end && *at == '}') closed = 1, at++;
    for (; !closed; n++) {
        if (n == s->as.map.max) return wrong_count(r, s, from, n + 1);
        if (n == MW_CODEC_KEYS_MAX) return syntax(r, at, MW_ELIMIT, "an object with more than 65536 keys");
        at = read_pair(r, s, at, t);
        if (at != NULL) at = go_on(r, at, '}', &closed);
        if (at == NULL) return NULL;
    }
    if (n < s->as.map.min) return wrong_count(r, s, from, n);
    r->depth--;
    return at;
}

/* ---- Objects ----------------------------------------------------------------------------------------------------- */

struct members {
    const struct mw_shape_object *o;
    int t;                      /* stack: the table, and behind it, when fields are dropped, the keys of those, or nil */
    unsigned prev, others;      /* prev: the field before; others: how many the shape does not know */
    uint64_t seen;              /* a bit a field, when there are no more than 64 */
};

static inline int is_again(struct mw_shape_run *r, struct members *m, unsigned i) {
    if (m->o->n <= 64) return (m->seen >> i & 1) != 0;
    lua_rawgeti(r->L, r->keys, m->o->field[i].key);
    i = (unsigned)has(r->L, m->t);
    lua_pop(r->L, 1);
    return (int)i;
}

/* A field that the shape does not know; its key is at the top.                                           [-1, +0, e] */
static const char *read_other(struct mw_shape_run *r, struct members *m, const char *at, const char *value) {
    lua_State *L = r->L;
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    int keeps = m->o->extra == MW_EXTRA_KEEP, t = keeps ? m->t : m->t + 1;

    r->at = at;
    if (m->o->extra == MW_EXTRA_REJECT) return refuse(r, mw_shape_unknown(r, m->o, name, len));
    if (++m->others > MW_CODEC_KEYS_MAX) return syntax(r, at, MW_ELIMIT, "an object with more than 65536 keys");
    if (lua_isnil(L, t)) {
        lua_newtable(L);
        lua_replace(L, t);
    }
    if (has(L, t)) {
        syntax(r, at, MW_EPARSE, twice);
        at = NULL;
    } else if (keeps) {
        at = read_any(r, value);
    } else {
        at = skip(r, value);
        lua_pushboolean(L, 1);
    }
    if (at == NULL) mw_codec_path_key(r->fault, name, len);
    else lua_rawset(L, t);
    return at;
}

/* A member whose key was not the one that was expected. */
__attribute__((noinline)) static const char *read_member(struct mw_shape_run *r, struct members *m, const char *at,
                                                         const struct mw_shape_field **out) {
    const struct mw_shape_field *f;
    struct mw_scan_text text;
    const char *from = at;

    at = scan_key(r, at, &text);
    if (at == NULL) return NULL;
    if (text.decoded == text.len) {
        f = mw_shape_field_find(m->o, text.from, text.len);
    } else {
        push_unescaped(r->L, &text);
        f = mw_shape_field_find(m->o, lua_tostring(r->L, -1), text.decoded);
        lua_pop(r->L, 1);
    }
    *out = f;
    if (f != NULL && is_again(r, m, (unsigned)(f - m->o->field))) {
        syntax(r, from, MW_EPARSE, twice);
        mw_codec_path_key(r->fault, f->name, f->len);
        return NULL;
    }
    at = colon(r, at);
    if (at == NULL || f != NULL) return at;
    push_text(r->L, &text);
    return read_other(r, m, from, at);
}

/* Fields that did not come. */
static const char *finish(struct mw_shape_run *r, struct members *m, const char *from, const char *at) {
    const struct mw_shape_object *o = m->o;
    int rc = 0;

    r->at = from;
    if (o->n <= 64) {
        for (uint64_t left = o->awaited & ~m->seen; left != 0 && rc == 0; left &= left - 1)
            rc = mw_shape_missing(r, &o->field[__builtin_ctzll(left)], m->t);
    } else {
        for (unsigned i = 0; i < o->n && rc == 0; i++)
            if (!is_again(r, m, i)) rc = mw_shape_missing(r, &o->field[i], m->t);
    }
    if (rc < 0) return refuse(r, rc);
    if (o->extra == MW_EXTRA_DROP) lua_settop(r->L, m->t);
    r->depth--;
    return at;
}

/* The first eight bytes are compared as one number: no call for most. */
static inline int is_next(const struct mw_shape_field *f, const char *at, const char *end) {
    size_t len = f->len + 3;
    uint64_t a, b;

    if (f->quoted == NULL || (size_t)(end - at) <= len) return 0;
    if (len < 8) return memcmp(at, f->quoted, len) == 0;
    memcpy(&a, at, 8);
    memcpy(&b, f->quoted, 8);
    if (a != b) return 0;
    memcpy(&a, at + len - 8, 8);
    memcpy(&b, f->quoted + len - 8, 8);
    return a == b && (len <= 16 || memcmp(at, f->quoted, len) == 0);
}

static const char *read_object(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    const struct mw_shape_object *o = &s->as.object;
    struct members m = {.o = o, .prev = o->n};
    const char *from = at;
    int closed = 0;

    if (*at != '{') return wrong_type(r, s, at);
    if (!enter(r, at)) return NULL;
    lua_createtable(r->L, 0, (int)o->n);
    m.t = lua_gettop(r->L);
    if (o->extra == MW_EXTRA_DROP) lua_pushnil(r->L);
    at = mw_scan_space(at + 1, r->end);
    if (at < r->end && *at == '}') closed = 1, at++;
    while (!closed) {
        unsigned i = o->follow[m.prev];
        const struct mw_shape_field *f = &o->field[i];
        if (o->n != 0 && is_next(f, at, r->end) && !is_again(r, &m, i)) {
            at = mw_scan_space(at + f->len + 3, r->end);
        } else {
            at = read_member(r, &m, at, &f);
            if (at == NULL) return NULL;
        }
        if (f != NULL) {
            i = (unsigned)(f - o->field);
            m.seen |= (uint64_t)1 << (i & 63);
            if (o->follow[m.prev] != i) o->follow[m.prev] = (uint16_t)i;
            m.prev = i;
            lua_rawgeti(r->L, r->keys, f->key);
            at = read_value(r, f->shape, at);
            if (at == NULL) {
                mw_codec_path_key(r->fault, f->name, f->len);
                return NULL;
            }
            lua_rawset(r->L, m.t);
        }
        at = go_on(r, at, '}', &closed);
        if (at == NULL) return NULL;
    }
    return finish(r, &m, from, at);
}

/* ---- Unions ------------------------------------------------------------------------------------------------------ */

/* Several variants could be meant: the value is made, and checked against each. */
static const char *read_and_check(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    int top = lua_gettop(r->L), rc;
    const char *to = read_any(r, at);

    if (to == NULL) return NULL;
    r->at = at;
    r->from_bytes++;
    rc = mw_shape_check_at(r, s, top + 1);
    r->from_bytes--;
    if (rc < 0) return refuse(r, rc);
    if (rc > 0) lua_replace(r->L, top + 1);
    lua_settop(r->L, top + 1);
    return to;
}

/* The variant that the first member names, when that is the tag; *none is set when there is no such variant. */
static const mw_shape *tagged(struct mw_shape_run *r, const mw_shape *s, const char *at, const char **none) {
    struct mw_scan_text text;
    struct mw_scan_fault f;
    const mw_shape *variant;
    const char *value;

    at = mw_scan_space(at + 1, r->end);
    if (at == r->end || *at != '"') return NULL;
    at = mw_scan_string(at + 1, r->end, &text, &f);
    if (at == NULL || text.len != s->as.one_of.tag_len || memcmp(text.from, s->as.one_of.tag, text.len) != 0) return NULL;
    at = mw_scan_space(at, r->end);
    if (at == r->end || *at != ':') return NULL;
    value = at = mw_scan_space(at + 1, r->end);
    if (at == r->end || *at != '"') return NULL;
    at = mw_scan_string(at + 1, r->end, &text, &f);
    if (at == NULL || text.decoded != text.len) return NULL;
    variant = mw_shape_tagged(s, text.from, text.len);
    if (variant == NULL) *none = value;
    return variant;
}

static const char *read_one_of(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    enum mw_shape_type type = type_at(r, at);
    const mw_shape *variant;
    const char *none = NULL;
    int only;

    if (type == T_OTHER) return wrong_type(r, s, at);
    only = s->as.one_of.only[type];
    if (only == -1) return wrong_type(r, s, at);
    if (only >= 0) return read_value(r, s->as.one_of.variant[only], at);
    if (type != T_OBJECT || s->as.one_of.tag == NULL) return read_and_check(r, s, at);
    variant = tagged(r, s, at, &none);
    if (variant != NULL) return read_value(r, variant, at);
    if (none == NULL) return read_and_check(r, s, at);
    r->at = none;
    return refuse(r, mw_shape_wrong_tag(r, s, T_STRING));
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

/* Pushes the value at `at`, where no space is; returns what is behind it, or NULL: r->rc says why, and the stack may hold anything
 * above what it held. */
static const char *read_value(struct mw_shape_run *r, const mw_shape *s, const char *at) {
    if (at == r->end) return syntax(r, at, MW_EPARSE, r->depth > 0 ? ends : "a value is expected");
    switch ((enum mw_shape_kind)s->kind) {
    case MW_SHAPE_STRING: return read_string(r, s, at);
    case MW_SHAPE_INTEGER:
    case MW_SHAPE_NUMBER: return read_number(r, s, at);
    case MW_SHAPE_BOOLEAN: return read_boolean(r, s, at);
    case MW_SHAPE_LITERAL: return read_literal(r, s, at);
    case MW_SHAPE_ARRAY: return read_array(r, s, at);
    case MW_SHAPE_MAP: return read_map(r, s, at);
    case MW_SHAPE_OBJECT: return read_object(r, s, at);
    case MW_SHAPE_ONE_OF: return read_one_of(r, s, at);
    case MW_SHAPE_REF:
        if (s->of != NULL && !s->of->dead) return read_value(r, s->of, at);
        r->at = at;
        return refuse(r, mw_shape_wrong(r, "a schema that is whole", "one that is being made"));
    default: return read_any(r, at);
    }
}

int mw_shape_read_json(struct mw_shape_run *r, const mw_shape *s) {
    const char *at = read_value(r, s, mw_scan_space(r->base, r->end));

    if (at != NULL) {
        at = mw_scan_space(at, r->end);
        if (at != r->end) at = syntax(r, at, MW_EPARSE, "something follows the value");
    }
    return at != NULL ? 0 : r->rc;
}
