/* Shapes: scalars against their limits, the fields of objects, and the story of a message that does not fit.
 * Knows: codec/shape_node, lua.h. Never: a byte of any format. */
#include "codec/shape.h"

#include <lauxlib.h>
#include <math.h>

#include "codec/json_text.h"
#include "codec/shape_node.h"

enum { SLOTS = 40, FUEL = 1000000, FUEL_BYTE = 1 };
enum { VALUES = 1 << 24 };      /* of one Lua value: as many as a message of 16 MiB can hold */
enum { STEPS = 20000000, STEPS_STRING = 100000, STEPS_BYTE = 8 }; /* of patterns: about 100 ms a message, a millisecond a string */

const mw_shape *mw_shape_test(lua_State *L, int idx) {
    const mw_shape *s = luaL_testudata(L, idx, MW_SHAPE_TYPE);
    return s != NULL && s->kind != MW_SHAPE_NONE && !s->dead ? s : NULL;
}

/* ---- A run, and its story ---------------------------------------------------------------------------------------- */

int mw_shape_run_open(struct mw_shape_run *r, const struct mw_codec_options *o) {
    r->depth = r->nest = 0;
    r->depth_max = o == NULL || o->depth_max == 0 ? MW_CODEC_DEPTH : o->depth_max;
    if (r->depth_max > MW_CODEC_DEPTH_MAX) r->depth_max = MW_CODEC_DEPTH_MAX;
    r->fuel = FUEL + FUEL_BYTE * (size_t)(r->end - r->base);
    r->crowd = mw_crowd_of((size_t)(r->end - r->base));
    r->values = VALUES;
    r->steps = STEPS;
    r->from_bytes = 0;
    r->trials = 0;
    if (!lua_checkstack(r->L, SLOTS)) return mw_err_set(r->err, MW_ENOMEM, NULL, NULL, NULL);
    mw_shape_push_anchors(r->L);
    r->keys = lua_gettop(r->L);
    return 0;
}

static void restart_story(struct mw_shape_run *r) {
    r->fault->path[0] = r->fault->expected[0] = 0;
    r->fault->offset = (size_t)(r->at - r->base);
}

int mw_shape_wrong(struct mw_shape_run *r, const char *expected, const char *got) {
    restart_story(r);
    r->expected = expected;
    if (got != r->got) mw_err_add(r->got, sizeof r->got, 0, got);
    return MW_ESCHEMA;
}

static const char *words(enum mw_shape_type type) {
    static const char *const names[] = {
        [T_NULL] = "null", [T_BOOLEAN] = "a boolean", [T_INTEGER] = "an integer", [T_FLOAT] = "a float", [T_STRING] = "a string",
        [T_ARRAY] = "an array", [T_OBJECT] = "an object", [T_NOTHING] = "nothing", [T_OTHER] = "a value of another kind",
    };
    return names[type];
}

int mw_shape_wrong_type(struct mw_shape_run *r, const mw_shape *s, enum mw_shape_type got) {
    return mw_shape_wrong(r, s->expected, words(got));
}

int mw_shape_wrong_literal(struct mw_shape_run *r, const mw_shape *s, enum mw_shape_type got) {
    static const char *const other[] = {
        [T_NULL] = "null", [T_BOOLEAN] = "the other boolean", [T_INTEGER] = "another integer", [T_FLOAT] = "another number",
        [T_STRING] = "another string",
    };
    return mw_shape_wrong(r, s->expected, got <= T_STRING && s->mask & 1u << got ? other[got] : words(got));
}

int mw_shape_wrong_tag(struct mw_shape_run *r, const mw_shape *s, enum mw_shape_type got) {
    char expected[160];
    size_t used = 0, from = 0;

    mw_shape_wrong(r, NULL, got == T_STRING ? "another string" : words(got));
    for (unsigned i = 0; i < s->as.one_of.n && used < 100; i++) {
        const mw_shape *v = s->as.one_of.variant[i];
        const struct mw_shape_field *f;
        char tag[40];
        if (!(v->mask & 1u << T_OBJECT)) continue;
        f = mw_shape_field_find(&v->as.object, s->as.one_of.tag, s->as.one_of.tag_len);
        mw_err_escape(tag, sizeof tag, f->shape->as.literal.item[0].text, f->shape->as.literal.item[0].len);
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s\"%s\"", used > 0 ? ", " : "one of ", tag);
        from++;
    }
    if (used >= 100) snprintf(expected + used, sizeof expected - used, ", ...");
    snprintf(r->fault->expected, sizeof r->fault->expected, "%s", from == 1 ? expected + strlen("one of ") : expected);
    r->expected = r->fault->expected;
    mw_codec_path_key(r->fault, s->as.one_of.tag, s->as.one_of.tag_len);
    return MW_ESCHEMA;
}

int mw_shape_wrong_count(struct mw_shape_run *r, const mw_shape *s, size_t n) {
    if (n > (s->kind == MW_SHAPE_ARRAY ? s->as.array.max : s->as.map.max)) return mw_shape_wrong(r, s->expected, "more");
    snprintf(r->got, sizeof r->got, "%zu", n);
    return mw_shape_wrong(r, s->expected, r->got);
}

int mw_shape_failed(struct mw_shape_run *r, int code, const char *what) {
    restart_story(r);
    return mw_err_set(r->err, code, "schema", NULL, what);
}

int mw_shape_run_end(struct mw_shape_run *r, int rc) {
    struct mw_codec_fault *f = r->fault;
    char path[MW_CODEC_PATH_MAX], what[512];
    size_t len, used;

    if (rc >= 0) {
        if (lua_gettop(r->L) == r->keys + 1) lua_replace(r->L, r->keys);
        else lua_remove(r->L, r->keys);
        return 0;
    }
    lua_settop(r->L, r->keys - 1);
    if (rc != MW_ESCHEMA) return rc;
    if (r->expected != f->expected) mw_err_add(f->expected, sizeof f->expected, 0, r->expected);
    memcpy(path, f->path, sizeof path);
    len = strlen(path);
    if (len > 100) { /* so that the rest has room */
        memcpy(path + 40, "...", 3);
        memmove(path + 43, path + len - 57, 58);
    }
    used = mw_err_add(what, sizeof what, 0, path);
    used = mw_err_add(what, sizeof what, used, len != 0 ? ": " : "");
    used = mw_err_add(what, used + 121 < sizeof what ? used + 121 : sizeof what, used, f->expected);
    used = mw_err_add(what, sizeof what, used, " expected, got ");
    mw_err_add(what, sizeof what, used, r->got);
    return mw_err_set(r->err, rc, "schema", NULL, what);
}

/* ---- Scalars ----------------------------------------------------------------------------------------------------- */

int mw_shape_utf8(const char *text, size_t len) {
    const unsigned char *s = (const unsigned char *)text, *end = s + len;

    while (s < end) {
        unsigned c = *s, n, low = 0x80, high = 0xbf;
        if (c < 0x80) {
            s++;
            continue;
        }
        n = c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 0;
        if (n == 0 || (size_t)(end - s) <= n) return 0;
        if (c == 0xe0) low = 0xa0;
        if (c == 0xed) high = 0x9f;
        if (c == 0xf0) low = 0x90;
        if (c == 0xf4) high = 0x8f;
        if (s[1] < low || s[1] > high) return 0;
        for (unsigned i = 2; i <= n; i++)
            if ((s[i] & 0xc0) != 0x80) return 0;
        s += n + 1;
    }
    return 1;
}

/* As mw_shape_match. Each string has steps in proportion to its length, and takes others from those of the whole message. In unions
 * within unions, which may look at it any number of times, it has none of its own. */
static int match(struct mw_shape_run *r, const mw_shape *s, const char *text, size_t len) {
    size_t own = r->trials > 1 ? 0 : STEPS_BYTE * (len + 8), most = own + (r->steps < STEPS_STRING ? r->steps : STEPS_STRING), left = most;
    int fits = s->as.string.match(r->L, text, len, s->as.string.pattern, s->as.string.pattern_len, &left);

    if (most - left > own) r->steps -= most - left - own;
    return fits;
}

static int wrong_string(struct mw_shape_run *r, const mw_shape *s, const char *text, size_t len) {
    int fits;

    if (len < s->as.string.min || len > s->as.string.max) {
        snprintf(r->got, sizeof r->got, "one of %zu byte%s", len, len == 1 ? "" : "s");
        return mw_shape_wrong(r, s->expected, r->got);
    }
    if (s->as.string.utf8 && !mw_shape_utf8(text, len)) return mw_shape_wrong(r, s->expected, "one that is no UTF-8");
    if (s->as.string.pattern == NULL) return 0;
    fits = match(r, s, text, len);
    if (fits > 0) return 0;
    return mw_shape_wrong(r, s->expected, fits == 0 ? "another string" : "one that takes too long to match");
}

int mw_shape_is_string(struct mw_shape_run *r, const mw_shape *s, const char *text, size_t len) {
    if (len >= s->as.string.min && len <= s->as.string.max && !s->as.string.utf8 && s->as.string.pattern == NULL) return 0;
    return wrong_string(r, s, text, len);
}

/* An integer against a float, by their exact values: < 0, 0, > 0. f is no NaN. */
static int compare(lua_Integer i, lua_Number f) {
    lua_Number whole;

    if (f >= 9223372036854775808.0) return -1;
    if (f < -9223372036854775808.0) return 1;
    whole = floor(f);
    if (i != (lua_Integer)whole) return i < (lua_Integer)whole ? -1 : 1;
    return f > whole ? -1 : 0;
}

/* < 0, 0, > 0: the value against the bound. */
static int against(const struct mw_shape_bound *b, int is_float, lua_Integer i, lua_Number f) {
    if (!is_float) return b->is == BOUND_INTEGER ? (i > b->i) - (i < b->i) : compare(i, b->f);
    return b->is == BOUND_INTEGER ? -compare(b->i, f) : (f > b->f) - (f < b->f);
}

static int wrong_number(struct mw_shape_run *r, const mw_shape *s, int is_float, lua_Integer i, lua_Number f) {
    if (is_float) snprintf(r->got, sizeof r->got, "%.17g", f);
    else snprintf(r->got, sizeof r->got, "%lld", (long long)i);
    return mw_shape_wrong(r, s->expected, r->got);
}

static int is_number(struct mw_shape_run *r, const mw_shape *s, int is_float, lua_Integer i, lua_Number f) {
    const struct mw_shape_bound *min = &s->as.number.min, *max = &s->as.number.max;

    if (is_float && !isfinite(f) && (s->as.number.finite || isnan(f))) {
        if (s->as.number.finite || min->is != BOUND_NONE || max->is != BOUND_NONE) return wrong_number(r, s, 1, 0, f);
        return 0;
    }
    if (min->is != BOUND_NONE && against(min, is_float, i, f) < min->exclusive) return wrong_number(r, s, is_float, i, f);
    if (max->is != BOUND_NONE && -against(max, is_float, i, f) < max->exclusive) return wrong_number(r, s, is_float, i, f);
    return 0;
}

int mw_shape_is_integer(struct mw_shape_run *r, const mw_shape *s, lua_Integer v) {
    if (s->kind != MW_SHAPE_INTEGER) return is_number(r, s, 0, v, 0);
    if (v >= s->as.integer.min && v <= s->as.integer.max) return 0;
    return wrong_number(r, s, 0, v, 0);
}

int mw_shape_is_float(struct mw_shape_run *r, const mw_shape *s, lua_Number v) {
    return is_number(r, s, 1, 0, v);
}

const struct mw_shape_literal *mw_shape_literal_string(const mw_shape *s, const char *text, size_t len) {
    const struct mw_shape_literal *item = s->as.literal.item;
    unsigned low = 0, high = s->as.literal.n;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        int way = 1; /* strings are the last */
        if (item[mid].type == T_STRING)
            way = len != item[mid].len ? (len > item[mid].len ? 1 : -1) : memcmp(text, item[mid].text, len);
        if (way == 0) return &item[mid];
        if (way > 0) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

const struct mw_shape_literal *mw_shape_literal_other(const mw_shape *s, enum mw_shape_type type, lua_Integer i, lua_Number f) {
    for (unsigned k = 0; k < s->as.literal.n; k++) { /* strings are the last */
        const struct mw_shape_literal *item = &s->as.literal.item[k];
        if (item->type == T_STRING) break;
        if (item->type == type && (type == T_NULL || (type == T_FLOAT ? item->f == f : item->i == i))) return item;
        if (item->type == T_FLOAT && type == T_INTEGER && compare(i, item->f) == 0) return item;
    }
    return NULL;
}

/* ---- Objects and arrays ------------------------------------------------------------------------------------------ */

unsigned mw_shape_hash(const char *name, size_t len) {
    unsigned h = (unsigned)len;
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)name[i]) * 0x01000193u;
    return h ^ h >> 15;
}

const struct mw_shape_field *mw_shape_field_find(const struct mw_shape_object *o, const char *name, size_t len) {
    unsigned at;

    if (o->n == 0) return NULL;
    for (at = o->bucket[mw_shape_hash(name, len) & (o->buckets - 1)]; at != 0; at = o->field[at - 1].hash_next) {
        const struct mw_shape_field *f = &o->field[at - 1];
        if (f->len == len && memcmp(f->name, name, len) == 0) return f;
    }
    return NULL;
}

const mw_shape *mw_shape_tagged(const mw_shape *s, const char *text, size_t len) {
    for (unsigned i = 0; i < s->as.one_of.n; i++) {
        const mw_shape *v = s->as.one_of.variant[i];
        const struct mw_shape_field *f;
        if (!(v->mask & 1u << T_OBJECT)) continue;
        f = mw_shape_field_find(&v->as.object, s->as.one_of.tag, s->as.one_of.tag_len);
        if (f->shape->as.literal.item[0].len == len && memcmp(f->shape->as.literal.item[0].text, text, len) == 0) return v;
    }
    return NULL;
}

void mw_shape_copy(lua_State *L, int idx, unsigned depth) {
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 6, "schema");
    if (depth == 0) luaL_error(L, "a default that is nested too deep");
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, idx) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);                                  /* [copy key key value] */
        if (lua_istable(L, -1)) {
            mw_shape_copy(L, -1, depth - 1);
            lua_remove(L, -2);
        }
        lua_rawset(L, -4);
    }
    if (mw_codec_marked(L, idx) != MW_CODEC_PLAIN) mw_codec_mark(L, mw_codec_marked(L, idx));
}

void mw_shape_push_fallback(struct mw_shape_run *r, int ref, int table) {
    lua_rawgeti(r->L, r->keys, ref);
    if (!table) return;
    mw_shape_copy(r->L, -1, MW_CODEC_DEPTH);
    lua_remove(r->L, -2);
}

static int in_field(struct mw_shape_run *r, int rc, const char *name, size_t len) {
    mw_codec_path_key(r->fault, name, len);
    return rc;
}

int mw_shape_missing(struct mw_shape_run *r, const struct mw_shape_field *f, int t) {
    if (f->fallback != 0) {
        lua_rawgeti(r->L, r->keys, f->key);
        mw_shape_push_fallback(r, f->fallback, f->table);
        lua_rawset(r->L, t);
        return 0;
    }
    if (f->optional) return 0;
    return in_field(r, mw_shape_wrong_type(r, f->shape, T_NOTHING), f->name, f->len);
}

int mw_shape_unknown(struct mw_shape_run *r, const struct mw_shape_object *o, const char *name, size_t len) {
    size_t used = 0;

    for (unsigned i = 0; i < o->n && used < 48; i++) {
        used = mw_err_add(r->got, sizeof r->got, used, i == 0 ? "one that is not among " : ", ");
        used = mw_err_add(r->got, used + 21, used, o->field[i].name); /* 20 bytes of it; 48 + 22 + 20 fit */
    }
    if (used >= 48) mw_err_add(r->got, sizeof r->got, 48, "...");
    if (o->n == 0) mw_err_add(r->got, sizeof r->got, 0, "a field");
    return in_field(r, mw_shape_wrong(r, "a known field", r->got), name, len);
}

int mw_shape_seen(lua_State *L, int seen) {
    enum { AS_IT_IS = 1, AS_NUMBER = 2 };
    char key[MW_SHAPE_UNIQUE_KEY];
    lua_Integer i, how = AS_IT_IS, was;
    lua_Number f;

    if (lua_type(L, -1) != LUA_TNUMBER) {
        lua_pushvalue(L, -1);
    } else { /* a string: where a number falls in a table is no secret, and could be made the same for all */
        how = AS_NUMBER;
        f = lua_tonumber(L, -1);
        key[0] = lua_isinteger(L, -1) || (f >= -9223372036854775808.0 && f < 9223372036854775808.0 && floor(f) == f);
        i = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : key[0] ? (lua_Integer)f : 0;
        if (key[0]) memcpy(key + 1, &i, sizeof i);
        else memcpy(key + 1, &f, sizeof f);
        lua_pushlstring(L, key, sizeof key);
    }
    lua_pushvalue(L, -1);
    lua_rawget(L, seen);
    was = lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_pushinteger(L, was | how);
    lua_rawset(L, seen);
    return (was & how) != 0;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

int mw_shape_read(lua_State *L, const mw_shape *shape, enum mw_codec codec, const char *at, size_t len, const struct mw_codec_options *o,
                  struct mw_codec_fault *fault, struct mw_err *err) {
    size_t most = o != NULL && o->bytes_max != 0 ? o->bytes_max : MW_CODEC_BYTES_MAX;
    struct mw_codec_fault own;
    struct mw_shape_run r;
    unsigned line, column;
    char where[48];
    int rc;

    r.L = L;
    r.base = r.at = at;
    r.end = at + len;
    r.fault = fault != NULL ? fault : &own;
    r.err = err;
    r.fault->offset = 0;
    r.fault->path[0] = r.fault->expected[0] = 0;
    if (len > most) {
        mw_err_setf(err, MW_ELIMIT, NULL, NULL, "%zu bytes, %zu are the most", len, most);
        mw_err_hint(err, "max_bytes says otherwise");
        return MW_ELIMIT;
    }
    rc = mw_shape_run_open(&r, o);
    if (rc < 0) return rc;
    rc = codec == MW_CODEC_JSON ? mw_shape_read_json(&r, shape) : mw_shape_read_pack(&r, shape);
    if (rc == MW_EPARSE && err != NULL) {
        char what[sizeof err->what];
        memcpy(what, err->what, sizeof what);
        mw_json_position(at, r.fault->offset, &line, &column);
        if (codec == MW_CODEC_JSON) snprintf(where, sizeof where, "line %u column %u", line, column);
        else snprintf(where, sizeof where, "byte %zu", r.fault->offset);
        mw_err_set(err, rc, NULL, where, what);
    }
    return mw_shape_run_end(&r, rc);
}
