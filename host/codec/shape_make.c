/* Shapes compiled: a description, which lua/moonwire/schema.lua has checked, into a node.
 * Knows: codec/shape_node, lua.h. Never: reads a message; trusts a description's sizes beyond what the door gave.
 *
 * Strings and values that messages will need again (names of fields, literals, defaults) are kept in one table of the registry, the
 * anchors, and pushed from there by their number: that is quicker than making them of their bytes. */
#include "codec/shape.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "codec/shape_node.h"

static const char anchors_key;  /* in the registry */

void mw_shape_push_anchors(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors_key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &anchors_key);
}

/* ---- The description --------------------------------------------------------------------------------------------- */

static const char *const kinds[] = {"none", "any", "string", "integer", "number", "boolean", "literal",
                                    "array", "map", "object", "one_of", "ref", "optional", NULL};

static int get(lua_State *L, int idx, const char *name) {   /* [-0, +1, m] */
    lua_pushstring(L, name);
    return lua_rawget(L, idx);
}

static enum mw_shape_kind kind_of(lua_State *L, int idx) {
    int kind = MW_SHAPE_NONE;

    get(L, idx, "kind");
    for (int i = 1; kinds[i] != NULL; i++)
        if (lua_isstring(L, -1) && strcmp(lua_tostring(L, -1), kinds[i]) == 0) kind = i;
    lua_pop(L, 1);
    return kind;
}

static size_t count(lua_State *L, int idx, const char *name) { /* of the list of that name */
    size_t n = get(L, idx, name) == LUA_TTABLE ? lua_rawlen(L, -1) : 0;
    lua_pop(L, 1);
    return n;
}

static lua_Integer integer(lua_State *L, int idx, const char *name) {
    lua_Integer v;
    get(L, idx, name);
    v = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return v;
}

static int flag(lua_State *L, int idx, const char *name) {
    int v;
    get(L, idx, name);
    v = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return v;
}

static const char *text(lua_State *L, int idx, const char *name, size_t *len) { /* lent by the description */
    const char *s = get(L, idx, name) == LUA_TSTRING ? lua_tolstring(L, -1, len) : NULL;
    lua_pop(L, 1);
    return s;
}

static const mw_shape *child(lua_State *L, int idx, const char *name) {
    const mw_shape *s;
    get(L, idx, name);
    s = mw_shape_test(L, -1);
    lua_pop(L, 1);
    if (s == NULL) luaL_error(L, "schema: no schema in %s", name);
    return s;
}

static int anchor(lua_State *L) { /* the value at the top, popped */
    int ref;
    mw_shape_push_anchors(L);
    lua_insert(L, -2);
    ref = luaL_ref(L, -2);
    lua_pop(L, 1);
    return ref;
}

static unsigned buckets_of(size_t n) {
    unsigned b = 4;
    while (b < 2 * n) b *= 2;
    return b;
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

/* "name": when JSON has nothing to escape in it. */
static size_t quoted_size(const char *name, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == '"' || name[i] == '\\') return 0;
    return len + 3;
}

static size_t object_size(lua_State *L, int idx) {
    size_t n = count(L, idx, "names"), size, len;

    if (n > MW_SHAPE_FIELDS) luaL_error(L, "schema: more than %d fields", MW_SHAPE_FIELDS);
    size = n * sizeof(struct mw_shape_field) + (n + 1 + buckets_of(n)) * sizeof(uint16_t);
    get(L, idx, "names");
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        size += quoted_size(luaL_checklstring(L, -1, &len), lua_rawlen(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return size;
}

size_t mw_shape_size(lua_State *L, int idx) {
    size_t size = sizeof(mw_shape);

    idx = lua_absindex(L, idx);
    switch (kind_of(L, idx)) {
    case MW_SHAPE_LITERAL: return size + count(L, idx, "values") * sizeof(struct mw_shape_literal);
    case MW_SHAPE_ONE_OF: return size + count(L, idx, "variants") * sizeof(mw_shape *);
    case MW_SHAPE_OBJECT: return size + object_size(L, idx);
    default: return size;
    }
}

/* ---- Literals ---------------------------------------------------------------------------------------------------- */

static int order(const void *a, const void *b) {
    const struct mw_shape_literal *x = a, *y = b;

    if (x->type != y->type) return x->type < y->type ? -1 : 1;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    return x->type == T_STRING ? memcmp(x->text, y->text, x->len) : 0;
}

static void fill_literal(lua_State *L, int idx, mw_shape *s) {
    size_t n = count(L, idx, "values");

    s->as.literal.item = (struct mw_shape_literal *)(s + 1);
    get(L, idx, "values");
    for (size_t i = 0; i < n; i++) {
        struct mw_shape_literal *item = &s->as.literal.item[i];
        switch (lua_rawgeti(L, -1, (lua_Integer)i + 1)) {
        case LUA_TSTRING:
            item->type = T_STRING;
            item->text = lua_tolstring(L, -1, &item->len);
            break;
        case LUA_TBOOLEAN:
            item->type = T_BOOLEAN;
            item->i = lua_toboolean(L, -1);
            break;
        case LUA_TNUMBER:
            item->type = lua_isinteger(L, -1) ? T_INTEGER : T_FLOAT;
            item->i = lua_tointeger(L, -1);
            item->f = lua_tonumber(L, -1);
            break;
        default: item->type = T_NULL;
        }
        s->mask |= 1u << item->type | (item->type == T_FLOAT ? 1u << T_INTEGER : 0);
        s->as.literal.n = (unsigned)i + 1;
        item->ref = anchor(L);
    }
    lua_pop(L, 1);
    qsort(s->as.literal.item, n, sizeof *s->as.literal.item, order);
}

/* ---- Objects ----------------------------------------------------------------------------------------------------- */

static void fill_field(lua_State *L, const mw_shape *shape, struct mw_shape_field *f) {
    f->shape = shape;
    if (shape->kind != MW_SHAPE_OPTIONAL) return;
    f->shape = shape->of;
    f->optional = 1;
    f->table = shape->as.optional.table;
    if (shape->as.optional.fallback == 0) return;
    mw_shape_push_anchors(L);
    lua_rawgeti(L, -1, shape->as.optional.fallback);
    f->fallback = anchor(L);
    lua_pop(L, 1);
}

static void fill_object(lua_State *L, int idx, mw_shape *s) {
    struct mw_shape_object *o = &s->as.object;
    size_t n = count(L, idx, "names"), len;
    char *quoted;

    o->field = (struct mw_shape_field *)(s + 1);
    o->follow = (uint16_t *)(o->field + n);
    o->bucket = o->follow + n + 1;
    o->buckets = buckets_of(n);
    quoted = (char *)(o->bucket + o->buckets);
    o->extra = (enum mw_shape_extra)integer(L, idx, "extra");
    get(L, idx, "shapes");
    get(L, idx, "names");                                   /* [... shapes names] */
    for (size_t i = 0; i < n; i++) {
        struct mw_shape_field *f = &o->field[i];
        uint16_t *bucket;
        o->n = (unsigned)i + 1;
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        if (mw_shape_test(L, -1) == NULL) luaL_error(L, "schema: no schema in a field");
        fill_field(L, mw_shape_test(L, -1), f);
        lua_pop(L, 1);
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        f->name = luaL_checklstring(L, -1, &len);
        f->len = (unsigned)len;
        f->key = anchor(L);
        if ((!f->optional || f->fallback != 0) && n <= 64) o->awaited |= (uint64_t)1 << i;
        bucket = &o->bucket[mw_shape_hash(f->name, len) & (o->buckets - 1)];
        f->hash_next = *bucket;
        *bucket = (uint16_t)(i + 1);
        o->follow[i] = (uint16_t)(i + 1 < n ? i + 1 : 0);
        if (quoted_size(f->name, len) == 0) continue;
        f->quoted = quoted;
        quoted[0] = '"';
        memcpy(quoted + 1, f->name, len);
        quoted[len + 1] = '"';
        quoted[len + 2] = ':';
        quoted += len + 3;
    }
    lua_pop(L, 2);
}

/* ---- Unions ------------------------------------------------------------------------------------------------------ */

/* The string that the object demands in that field, or NULL. */
static const struct mw_shape_literal *tag_of(const mw_shape *s, const char *name, size_t len) {
    const struct mw_shape_field *f = s->kind == MW_SHAPE_OBJECT ? mw_shape_field_find(&s->as.object, name, len) : NULL;

    if (f == NULL || f->optional || f->shape->kind != MW_SHAPE_LITERAL || f->shape->as.literal.n != 1) return NULL;
    return f->shape->as.literal.item[0].type == T_STRING ? f->shape->as.literal.item : NULL;
}

/* Do all variants that are objects demand a string in that field, each another one? */
static int tells_apart(const mw_shape *s, const char *name, size_t len) {
    for (unsigned i = 0; i < s->as.one_of.n; i++) {
        const mw_shape *a = s->as.one_of.variant[i];
        const struct mw_shape_literal *x = tag_of(a, name, len);
        if (!(a->mask & 1u << T_OBJECT)) continue;
        if (x == NULL) return 0;
        for (unsigned k = 0; k < i; k++) {
            const struct mw_shape_literal *y = tag_of(s->as.one_of.variant[k], name, len);
            if (y != NULL && y->len == x->len && memcmp(y->text, x->text, x->len) == 0) return 0;
        }
    }
    return 1;
}

static void find_tag(mw_shape *s) {
    const mw_shape *first = NULL;

    for (unsigned i = 0; i < s->as.one_of.n && first == NULL; i++)
        if (s->as.one_of.variant[i]->mask & 1u << T_OBJECT) first = s->as.one_of.variant[i];
    if (first == NULL || first->kind != MW_SHAPE_OBJECT) return;
    for (unsigned i = 0; i < first->as.object.n && s->as.one_of.tag == NULL; i++) {
        const struct mw_shape_field *f = &first->as.object.field[i];
        if (!tells_apart(s, f->name, f->len)) continue;
        s->as.one_of.tag = f->name;
        s->as.one_of.tag_len = f->len;
    }
}

static void fill_one_of(lua_State *L, int idx, mw_shape *s) {
    size_t n = count(L, idx, "variants");

    s->as.one_of.variant = (const mw_shape **)(s + 1);
    if (n == 0 || n > MW_SHAPE_VARIANTS) luaL_error(L, "schema: 1 to %d variants expected", MW_SHAPE_VARIANTS);
    memset(s->as.one_of.only, -1, sizeof s->as.one_of.only);
    get(L, idx, "variants");
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        if (mw_shape_test(L, -1) == NULL) luaL_error(L, "schema: no schema in a variant");
        s->as.one_of.variant[i] = mw_shape_test(L, -1);
        lua_pop(L, 1);
        s->mask |= s->as.one_of.variant[i]->mask;
        for (int type = 0; type < T_COUNT; type++) {
            if (!(s->as.one_of.variant[i]->mask & 1u << type)) continue;
            s->as.one_of.only[type] = (signed char)(s->as.one_of.only[type] == -1 ? (int)i : -2);
        }
    }
    lua_pop(L, 1);
    s->as.one_of.n = (unsigned)n;
    if (s->as.one_of.only[T_OBJECT] != -2) return;
    find_tag(s);
    if (s->as.one_of.tag == NULL) return;
    lua_pushlstring(L, s->as.one_of.tag, s->as.one_of.tag_len);
    s->as.one_of.tag_key = anchor(L);
}

/* ---- The node ---------------------------------------------------------------------------------------------------- */

static void bound(lua_State *L, int idx, const char *name, const char *exclusive, struct mw_shape_bound *b) {
    if (get(L, idx, name) == LUA_TNUMBER) {
        b->is = lua_isinteger(L, -1) ? BOUND_INTEGER : BOUND_FLOAT;
        b->i = lua_tointeger(L, -1);
        b->f = lua_tonumber(L, -1);
    }
    lua_pop(L, 1);
    b->exclusive = flag(L, idx, exclusive);
}

static void fill_optional(lua_State *L, int idx, mw_shape *s) {
    s->of = child(L, idx, "of");
    s->mask = s->of->mask;
    if (get(L, idx, "default") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    if (lua_istable(L, -1)) {
        mw_shape_copy(L, -1, MW_CODEC_DEPTH);
        s->as.optional.table = 1;
    }
    s->as.optional.fallback = anchor(L);
    lua_pop(L, s->as.optional.table);
}

void mw_shape_fill(lua_State *L, int idx, int box, mw_shape_match match) {
    static const unsigned char masks[] = {
        [MW_SHAPE_ANY] = T_ALL, [MW_SHAPE_STRING] = 1 << T_STRING, [MW_SHAPE_INTEGER] = 1 << T_INTEGER,
        [MW_SHAPE_NUMBER] = 1 << T_INTEGER | 1 << T_FLOAT, [MW_SHAPE_BOOLEAN] = 1 << T_BOOLEAN, [MW_SHAPE_ARRAY] = 1 << T_ARRAY,
        [MW_SHAPE_MAP] = 1 << T_OBJECT, [MW_SHAPE_OBJECT] = 1 << T_OBJECT, [MW_SHAPE_REF] = T_ALL, [MW_SHAPE_OPTIONAL] = 0,
    };
    enum mw_shape_kind kind;
    mw_shape *s = lua_touserdata(L, box);

    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 12, "schema");
    kind = kind_of(L, idx);
    s->expected = text(L, idx, "expected", &(size_t){0});
    if (s->expected == NULL || kind == MW_SHAPE_NONE) luaL_error(L, "schema: no description");
    s->mask = masks[kind];
    s->filling = (unsigned char)kind;
    switch (kind) {
    case MW_SHAPE_STRING:
        s->as.string.min = (size_t)integer(L, idx, "min");
        s->as.string.max = (size_t)integer(L, idx, "max");
        s->as.string.utf8 = flag(L, idx, "utf8");
        s->as.string.pattern = text(L, idx, "pattern", &s->as.string.pattern_len);
        s->as.string.match = match;
        break;
    case MW_SHAPE_INTEGER:
        s->as.integer.min = integer(L, idx, "min");
        s->as.integer.max = integer(L, idx, "max");
        break;
    case MW_SHAPE_NUMBER:
        bound(L, idx, "min", "above", &s->as.number.min);
        bound(L, idx, "max", "below", &s->as.number.max);
        s->as.number.finite = flag(L, idx, "finite");
        break;
    case MW_SHAPE_LITERAL: fill_literal(L, idx, s); break;
    case MW_SHAPE_ARRAY:
        s->of = child(L, idx, "of");
        s->as.array.min = (size_t)integer(L, idx, "min");
        s->as.array.max = (size_t)integer(L, idx, "max");
        s->as.array.unique = flag(L, idx, "unique");
        mw_codec_push_mark(L, MW_CODEC_ARRAY);
        s->as.array.mark = anchor(L);
        break;
    case MW_SHAPE_MAP:
        s->as.map.key = child(L, idx, "key");
        s->of = child(L, idx, "of");
        s->as.map.min = (size_t)integer(L, idx, "min");
        s->as.map.max = (size_t)integer(L, idx, "max");
        break;
    case MW_SHAPE_ONE_OF: fill_one_of(L, idx, s); break;
    case MW_SHAPE_OBJECT: fill_object(L, idx, s); break;
    case MW_SHAPE_OPTIONAL: fill_optional(L, idx, s); break;
    default: break;
    }
    s->kind = (unsigned char)kind;
}

/* Does `s` come to `ref` before anything of a message is read? */
static int leads_to(const mw_shape *s, const mw_shape *ref, unsigned depth, unsigned *fuel) {
    if (s == ref) return 1;
    if (depth > 100 || *fuel == 0) return 1;
    --*fuel;
    if (s->kind == MW_SHAPE_REF) return s->of != NULL && leads_to(s->of, ref, depth + 1, fuel);
    for (unsigned i = 0; s->kind == MW_SHAPE_ONE_OF && i < s->as.one_of.n; i++)
        if (leads_to(s->as.one_of.variant[i], ref, depth + 1, fuel)) return 1;
    return 0;
}

void mw_shape_resolve(lua_State *L, mw_shape *ref, const mw_shape *to) {
    unsigned fuel = 10000;

    if (ref->of != NULL || ref->kind != MW_SHAPE_REF) luaL_error(L, "schema: resolved before");
    if (leads_to(to, ref, 0, &fuel)) {
        luaL_error(L, "it stands for itself with nothing between; put it into an array, a map or a field of an object");
    }
    ref->of = to;
}

void mw_shape_end(lua_State *L, mw_shape *s) {
    if (s->dead) return;
    s->dead = 1;
    mw_shape_push_anchors(L);
    switch (s->filling) {
    case MW_SHAPE_LITERAL:
        for (unsigned i = 0; i < s->as.literal.n; i++)
            if (s->as.literal.item[i].ref != 0) luaL_unref(L, -1, s->as.literal.item[i].ref);
        break;
    case MW_SHAPE_OBJECT:
        for (unsigned i = 0; i < s->as.object.n; i++) {
            if (s->as.object.field[i].key != 0) luaL_unref(L, -1, s->as.object.field[i].key);
            if (s->as.object.field[i].fallback != 0) luaL_unref(L, -1, s->as.object.field[i].fallback);
        }
        break;
    case MW_SHAPE_ARRAY:
        if (s->as.array.mark != 0) luaL_unref(L, -1, s->as.array.mark);
        break;
    case MW_SHAPE_ONE_OF:
        if (s->as.one_of.tag_key != 0) luaL_unref(L, -1, s->as.one_of.tag_key);
        break;
    case MW_SHAPE_OPTIONAL:
        if (s->as.optional.fallback != 0) luaL_unref(L, -1, s->as.optional.fallback);
        break;
    default: break;
    }
    lua_pop(L, 1);
}
