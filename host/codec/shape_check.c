/* Shapes against Lua values: raw tables, no metamethods; a copy where defaults, dropped fields or marks make one different.
 * Knows: codec/shape_node, lua.h. Never: changes what it was given. */
#include "codec/shape.h"

#include <lauxlib.h>

#include "codec/pack.h"
#include "codec/shape_node.h"

enum { LEVEL_SLOTS = 16 };      /* of the stack, for each table */

static enum mw_shape_type type_at(const struct mw_shape_run *r, int idx, const mw_shape *s) {
    lua_State *L = r->L;

    switch (lua_type(L, idx)) {
    case LUA_TNIL: return T_NOTHING;
    case LUA_TBOOLEAN: return T_BOOLEAN;
    case LUA_TNUMBER: return lua_isinteger(L, idx) ? T_INTEGER : T_FLOAT;
    case LUA_TSTRING: return T_STRING;
    case LUA_TLIGHTUSERDATA: return mw_codec_is_null(L, idx) ? T_NULL : T_OTHER;
    case LUA_TTABLE: break;
    default: return T_OTHER;
    }
    if (lua_getmetatable(L, idx)) {
        int is_ext = (mw_pack_push_ext(L), lua_rawequal(L, -1, -2));
        lua_pop(L, 2);
        if (is_ext) return T_OTHER;
        if (mw_codec_marked(L, idx) == MW_CODEC_ARRAY) return T_ARRAY;
        if (mw_codec_marked(L, idx) == MW_CODEC_OBJECT) return T_OBJECT;
    }
    if (r->from_bytes) return T_OBJECT;
    lua_pushnil(L);
    if (lua_next(L, idx) == 0) return s->mask & 1u << T_OBJECT ? T_OBJECT : T_ARRAY; /* {} is what is wanted */
    lua_pop(L, 2);
    return lua_rawlen(L, idx) > 0 ? T_ARRAY : T_OBJECT;
}

/* ---- Copies ------------------------------------------------------------------------------------------------------ */

static void copy(lua_State *L, int idx) {                                                               /* [-0, +1, m] */
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, idx) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    if (mw_codec_marked(L, idx) != MW_CODEC_PLAIN) mw_codec_mark(L, mw_codec_marked(L, idx));
}

/* The key and the value at the top (nil: it goes), popped, into the copy of the table at idx, which is at `place` once there is one. */
static void change(lua_State *L, int idx, int place) {
    if (!lua_istable(L, place)) {
        copy(L, idx);
        lua_replace(L, place);
    }
    lua_rawset(L, place);
}

/* The end of a table's check: 0, or 1 and the copy at the top. */
static int settle(lua_State *L, int place) {
    lua_settop(L, place);
    if (lua_istable(L, place)) return 1;
    lua_pop(L, 1);
    return 0;
}

/* The child at the top, with its key below. 0, both popped; or refused.                                  [-2, +0, e] */
static int check_child(struct mw_shape_run *r, const mw_shape *s, int idx, int place) {
    lua_State *L = r->L;
    int top = lua_gettop(L), rc = mw_shape_check_at(r, s, top);

    if (rc <= 0) {
        if (rc == 0) lua_settop(L, top - 2);
        return rc;
    }
    lua_replace(L, top);                                    /* [key new] */
    change(L, idx, place);
    return 0;
}

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

static size_t count(lua_State *L, int idx) {
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, idx) != 0; lua_pop(L, 1)) n++;
    return n;
}

static int check_array(struct mw_shape_run *r, const mw_shape *s, int idx) {
    lua_State *L = r->L;
    size_t n = lua_rawlen(L, idx);
    int place, rc = 0;

    if (n < s->as.array.min || n > s->as.array.max) return mw_shape_wrong_count(r, s, n);
    if (count(L, idx) != n) return mw_shape_wrong(r, s->expected, "a table with holes or other keys");
    lua_pushnil(L);
    place = lua_gettop(L);
    if (s->as.array.unique) lua_newtable(L);                /* [place seen?] */
    for (size_t i = 1; i <= n; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_rawgeti(L, idx, (lua_Integer)i);
        if (s->as.array.unique && lua_type(L, -1) != LUA_TTABLE && lua_type(L, -1) != LUA_TNIL && mw_shape_seen(L, place + 1)) {
            rc = mw_shape_wrong(r, "another value than those before", "one of them");
        } else {
            rc = check_child(r, s->of, idx, place);
        }
        if (rc < 0) {
            mw_codec_path_index(r->fault, (lua_Integer)i);
            return rc;
        }
    }
    if (n == 0 && mw_codec_marked(L, idx) == MW_CODEC_PLAIN) {
        lua_newtable(L);
        mw_codec_mark(L, MW_CODEC_ARRAY);
        lua_replace(L, place);
    }
    return settle(L, place);
}

/* The key of a pair, at the top but one: a string, or refused. */
static int check_key(struct mw_shape_run *r, const mw_shape *s, const char **name, size_t *len) {
    if (lua_type(r->L, -2) != LUA_TSTRING) return mw_shape_wrong(r, s->expected, "a table with keys that are no strings");
    *name = lua_tolstring(r->L, -2, len);
    return 0;
}

static int check_map(struct mw_shape_run *r, const mw_shape *s, int idx) {
    lua_State *L = r->L;
    size_t n = count(L, idx), len;
    int place, rc;

    if (n < s->as.map.min || n > s->as.map.max) return mw_shape_wrong_count(r, s, n);
    lua_pushnil(L);
    place = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, idx) != 0;) {          /* [place key value] */
        const char *name = NULL;
        rc = check_key(r, s, &name, &len);
        if (rc < 0) return rc;
        rc = mw_shape_check_at(r, s->as.map.key, lua_gettop(L) - 1);
        if (rc == 0) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);                              /* [place key key value] */
            rc = check_child(r, s->of, idx, place);
        }
        if (rc < 0) {
            mw_codec_path_key(r->fault, name, len);
            return rc;
        }
    }
    return settle(L, place);
}

/* Fields that the shape does not know, of a table that has more than the `known` it does. */
static int check_extra(struct mw_shape_run *r, const mw_shape *s, int idx, int place) {
    lua_State *L = r->L;
    size_t len;

    for (lua_pushnil(L); lua_next(L, idx) != 0; lua_pop(L, 1)) {
        const char *name = NULL;
        int rc = check_key(r, s, &name, &len);
        if (rc < 0) return rc;
        if (mw_shape_field_find(&s->as.object, name, len) != NULL || s->as.object.extra == MW_EXTRA_KEEP) continue;
        if (s->as.object.extra == MW_EXTRA_REJECT) return mw_shape_unknown(r, &s->as.object, name, len);
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        change(L, idx, place);
    }
    return 0;
}

static int check_object(struct mw_shape_run *r, const mw_shape *s, int idx) {
    lua_State *L = r->L;
    int place, rc;

    lua_pushnil(L);
    place = lua_gettop(L);
    for (unsigned i = 0; i < s->as.object.n; i++) {
        const struct mw_shape_field *f = &s->as.object.field[i];
        lua_rawgeti(L, r->keys, f->key);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, idx) != LUA_TNIL) {
            rc = check_child(r, f->shape, idx, place);
            if (rc < 0) mw_codec_path_key(r->fault, f->name, f->len);
        } else if (f->fallback != 0) {
            lua_pop(L, 1);
            mw_shape_push_fallback(r, f->fallback, f->table);
            change(L, idx, place);
            rc = 0;
        } else {
            lua_pop(L, 2);
            rc = mw_shape_missing(r, f, 0);
        }
        if (rc < 0) return rc;
    }
    rc = check_extra(r, s, idx, place);
    return rc < 0 ? rc : settle(L, place);
}

/* ---- Unions ------------------------------------------------------------------------------------------------------ */

/* The variants are tried in order. When none fits, the one that came furthest has the word, if it came further than its own type. */
static int try_variants(struct mw_shape_run *r, const mw_shape *s, int idx, enum mw_shape_type type) {
    struct mw_codec_fault best = {0};
    const char *expected = NULL;
    char got[sizeof r->got];
    unsigned depth = r->depth, nest = r->nest;
    int top = lua_gettop(r->L);

    for (unsigned i = 0; i < s->as.one_of.n; i++) {
        int rc;
        if (!(s->as.one_of.variant[i]->mask & 1u << type)) continue;
        r->trials++;
        rc = mw_shape_check_at(r, s->as.one_of.variant[i], idx);
        r->trials--;
        r->depth = depth; /* a failure does not count back */
        r->nest = nest;
        if (rc != MW_ESCHEMA) return rc;
        lua_settop(r->L, top);
        if (strlen(r->fault->path) <= strlen(best.path)) continue;
        best = *r->fault;
        expected = r->expected;
        memcpy(got, r->got, sizeof got);
    }
    if (expected == NULL) return mw_shape_wrong_type(r, s, type);
    memcpy(r->got, got, sizeof got);
    mw_shape_wrong(r, expected, r->got);
    memcpy(r->fault->path, best.path, sizeof best.path);
    memcpy(r->fault->expected, best.expected, sizeof best.expected); /* it may be what `expected` is */
    return MW_ESCHEMA;
}

static int check_tagged(struct mw_shape_run *r, const mw_shape *s, int idx) {
    lua_State *L = r->L;
    const mw_shape *variant;
    const char *text;
    size_t len;

    lua_rawgeti(L, r->keys, s->as.one_of.tag_key);
    text = lua_rawget(L, idx) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    variant = text != NULL ? mw_shape_tagged(s, text, len) : NULL;
    if (variant == NULL) return mw_shape_wrong_tag(r, s, type_at(r, lua_gettop(L), s));
    lua_pop(L, 1);
    return mw_shape_check_at(r, variant, idx);
}

static int check_one_of(struct mw_shape_run *r, const mw_shape *s, int idx) {
    enum mw_shape_type type = type_at(r, idx, s);
    int only = type < T_COUNT ? s->as.one_of.only[type] : -1;

    if (only == -1) return mw_shape_wrong_type(r, s, type);
    if (only >= 0) return mw_shape_check_at(r, s->as.one_of.variant[only], idx);
    if (type == T_OBJECT && s->as.one_of.tag != NULL) return check_tagged(r, s, idx);
    return try_variants(r, s, idx, type);
}

/* ---- Any value --------------------------------------------------------------------------------------------------- */

static int check_scalar(struct mw_shape_run *r, const mw_shape *s, int idx, enum mw_shape_type type) {
    lua_State *L = r->L;
    const struct mw_shape_literal *item;
    const char *text;
    size_t len;

    switch (s->kind) {
    case MW_SHAPE_STRING:
        text = lua_tolstring(L, idx, &len);
        return mw_shape_is_string(r, s, text, len);
    case MW_SHAPE_INTEGER: return mw_shape_is_integer(r, s, lua_tointeger(L, idx));
    case MW_SHAPE_NUMBER:
        if (type == T_INTEGER) return mw_shape_is_integer(r, s, lua_tointeger(L, idx));
        return mw_shape_is_float(r, s, lua_tonumber(L, idx));
    case MW_SHAPE_LITERAL:
        if (type == T_STRING) {
            text = lua_tolstring(L, idx, &len);
            item = mw_shape_literal_string(s, text, len);
        } else {
            lua_Integer i = type == T_BOOLEAN ? lua_toboolean(L, idx) : lua_tointeger(L, idx);
            item = mw_shape_literal_other(s, type, i, lua_tonumber(L, idx));
        }
        return item != NULL ? 0 : mw_shape_wrong_literal(r, s, type);
    default: return 0;
    }
}

static int spend(struct mw_shape_run *r, size_t visits) {
    int enough = visits <= r->fuel;

    r->fuel = enough ? r->fuel - visits : 0;
    return enough;
}

static int too_many(struct mw_shape_run *r) {
    return mw_shape_failed(r, MW_ELIMIT, "unions within unions, with too many ways to try");
}

static int check(struct mw_shape_run *r, const mw_shape *s, int idx) {
    enum mw_shape_type type;
    int rc;

    if (s->kind == MW_SHAPE_ONE_OF) return check_one_of(r, s, idx);
    if (s->kind == MW_SHAPE_REF) {
        if (s->of == NULL || s->of->dead) return mw_shape_wrong(r, "a schema that is whole", "one that is being made");
        return mw_shape_check_at(r, s->of, idx);
    }
    if (s->kind == MW_SHAPE_ANY && lua_istable(r->L, idx)) return 0;
    type = type_at(r, idx, s);
    if (type >= T_COUNT || !(s->mask & 1u << type)) return mw_shape_wrong_type(r, s, type);
    if (type < T_ARRAY) return check_scalar(r, s, idx, type);
    if (r->trials > 1 && !spend(r, type == T_ARRAY ? lua_rawlen(r->L, idx) : count(r->L, idx))) return too_many(r);
    if (++r->depth > r->depth_max) return mw_shape_failed(r, MW_ELIMIT, "nested too deep");
    if (s->kind == MW_SHAPE_ARRAY) rc = check_array(r, s, idx);
    else rc = s->kind == MW_SHAPE_MAP ? check_map(r, s, idx) : check_object(r, s, idx);
    r->depth--;
    return rc;
}

int mw_shape_check_at(struct mw_shape_run *r, const mw_shape *s, int idx) {
    int rc;

    if (r->nest >= MW_SHAPE_NEST) return mw_shape_failed(r, MW_ELIMIT, "nested too deep");
    if (r->trials > 1 && !spend(r, 1)) return too_many(r);
    if (r->values-- == 0) return mw_shape_failed(r, MW_ELIMIT, "too many values; tables that are shared count each time");
    if (!lua_checkstack(r->L, LEVEL_SLOTS)) return mw_shape_failed(r, MW_ENOMEM, NULL);
    r->nest++;
    rc = check(r, s, idx);
    r->nest--;
    return rc;
}

int mw_shape_check(lua_State *L, int idx, const mw_shape *shape, struct mw_codec_fault *fault, struct mw_err *err) {
    static const struct mw_codec_options deep = {.depth_max = MW_CODEC_DEPTH_MAX};
    struct mw_codec_fault own;
    struct mw_shape_run r = {.L = L, .fault = fault != NULL ? fault : &own, .err = err};
    int rc;

    idx = lua_absindex(L, idx);
    r.fault->path[0] = r.fault->expected[0] = 0;
    r.fault->offset = 0;
    rc = mw_shape_run_open(&r, &deep);
    if (rc < 0) return rc;
    rc = mw_shape_check_at(&r, shape, idx);
    if (rc == 0) lua_pushvalue(L, idx);
    return mw_shape_run_end(&r, rc);
}
