/* The door of frame formats: mw.frame.new, encode and decode on strings.
 * Knows: bind/arg, wire/frame, lua.h.
 * Never: a stream: bind/channel has those. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/frame.h"

enum { FIELDS_FREE = 8 };         /* so many fit in the stack that every C function has, beside what we keep there */

#define NAMED "mw.frame.named"    /* in the registry: a box for each protocol that was named */

static const char *const NEW_OPTIONS[] = {"protocol", "header", "length", "max", NULL};

/* The boxed format at idx, lent. */
static struct mw_frame_format *format_check(lua_State *L, int idx) {
    return mw_box_check(L, idx, MW_FRAME_TYPE);
}

/* The box of a protocol by its name, as it is unless told otherwise: kept in a table of the registry.      [-0, +1, e] */
static const struct mw_frame_format *named(lua_State *L, int idx, const char *op) {
    struct mw_frame_format format, *box;
    struct mw_err err;

    if (mw_frame_named(&format, mw_param_text(L, idx, op, "protocol", 64, NULL), 0, &err) < 0) mw_raise_inval(L, op, "%s", err.message);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, NAMED);               /* [formats] */
    if (lua_getfield(L, -1, format.name) == LUA_TNIL) {
        lua_pop(L, 1);
        box = mw_box_new(L, sizeof *box, MW_FRAME_TYPE);
        *box = format;                                           /* [formats box] */
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, format.name);
    }
    lua_remove(L, -2);
    return lua_touserdata(L, -1);
}

const struct mw_frame_format *mw_frame_arg(lua_State *L, int idx, const char *op, size_t max) {
    const struct mw_frame_format *given;
    struct mw_frame_format *own;

    if (lua_type(L, idx) == LUA_TSTRING) {
        given = named(L, idx, op);                               /* [given] */
    } else if (luaL_testudata(L, idx, MW_FRAME_TYPE) != NULL) {
        given = format_check(L, idx);
        lua_pushvalue(L, idx);
    } else {
        mw_raise_inval(L, op, "the protocol must be a name such as \"lines\" or \"u32le\", or what mw.frame.new{ ... } gave, got %s", luaL_typename(L, idx));
        return NULL;
    }
    if (max == 0 || max == given->max) return given;
    if (max > (given->kind == MW_FRAME_LINES ? MW_FRAME_LINE_MAX_HARD : MW_FRAME_MAX_HARD)) {
        mw_raise_inval(L, op, "max is above what a protocol can have");
    }
    own = mw_box_new(L, sizeof *own, MW_FRAME_TYPE);
    *own = *given;
    own->max = max;
    lua_remove(L, -2);                                           /* [own] */
    return own;
}

/* The commonest argument, an integer that fits, is taken here; mw_param_integer knows the others, and what to say. */
static lua_Integer field_integer(lua_State *L, int idx, const char *op, const struct mw_frame_field *field) {
    if (lua_isinteger(L, idx)) {
        lua_Integer v = lua_tointeger(L, idx);
        if (v >= field->min && v <= field->max) return v;
    }
    return mw_param_integer(L, idx, op, "header field", field->min, field->max);
}

void mw_frame_values(lua_State *L, int first, const char *op, const struct mw_frame_format *f, union mw_frame_value *values) {
    int given = lua_gettop(L) - first + 1;
    int wanted = f->fields > 0 ? (int)f->fields - 1 : 0;

    if (given != wanted) mw_raise_inval(L, op, "%d header field(s) expected after the data, got %d", wanted, given);
    for (unsigned i = 0; i < f->fields; i++) {
        if (i == f->length) continue;
        if (f->field[i].type >= MW_FRAME_FLOAT) {
            if (lua_type(L, first) != LUA_TNUMBER) mw_raise_inval(L, op, "header field %d must be a number", (int)i + 1);
            values++->d = lua_tonumber(L, first++);
        } else {
            values++->i = field_integer(L, first++, op, &f->field[i]);
        }
    }
}

int mw_frame_fields(lua_State *L, const struct mw_frame_format *f, const struct mw_frame *frame, union mw_frame_value *out) {
    int n = 0;

    if (f->fields > FIELDS_FREE) luaL_checkstack(L, MW_FRAME_FIELDS + 2, "frame");
    for (unsigned i = 0; i < f->fields; i++) {
        if (i != f->length) out[n++] = mw_frame_get(f, frame, i);
    }
    return n;
}

void mw_frame_push_field(lua_State *L, const struct mw_frame_format *f, int i, union mw_frame_value value) {
    unsigned at = (unsigned)i + ((unsigned)i >= f->length ? 1 : 0);

    if (f->field[at].type >= MW_FRAME_FLOAT) lua_pushnumber(L, value.d);
    else lua_pushinteger(L, value.i);
}

int mw_frame_push_refusal(lua_State *L, const struct mw_frame_format *f, const char *why, const char *what, uint64_t announced,
                          const char *op, const char *subject) {
    struct mw_err err;

    mw_frame_refuse(f, why, what, announced, op, subject, &err);
    lua_createtable(L, 0, 3);                                   /* [data] */
    lua_pushstring(L, why);
    lua_setfield(L, -2, "why");
    lua_pushinteger(L, (lua_Integer)f->max);
    lua_setfield(L, -2, "max");
    if (announced > 0) {
        lua_pushinteger(L, (lua_Integer)announced);
        lua_setfield(L, -2, "announced");
    }
    return mw_push_err_data(L, &err);                           /* [nil err] */
}

/* frame.new{ header =, length =, max = } or { protocol =, max = } -> format                   [-0, +1, e] */
static int frame_new(lua_State *L) {
    struct mw_frame_format *f;
    struct mw_err err;
    const char *header, *name;
    size_t max;
    lua_Integer length;
    int rc;

    mw_opt_open(L, 1, "frame.new", NEW_OPTIONS, 0);
    header = mw_opt_text(L, 1, "frame.new", "header", 256, NULL);
    name = mw_opt_text(L, 1, "frame.new", "protocol", 64, NULL);
    length = mw_opt_integer(L, 1, "frame.new", "length", 1, MW_FRAME_FIELDS, 0);
    max = (size_t)mw_opt_size(L, 1, "frame.new", "max", 1, MW_FRAME_MAX_HARD, 0);
    if ((header == NULL) == (name == NULL)) return mw_raise_inval(L, "frame.new", "either header or protocol is needed");
    if (name != NULL && length != 0) return mw_raise_inval(L, "frame.new", "length belongs to a header, not to a protocol's name");
    f = mw_box_new(L, sizeof *f, MW_FRAME_TYPE);                /* [opts f] */
    rc = name != NULL ? mw_frame_named(f, name, max, &err) : mw_frame_custom(f, header, (unsigned)length, max, &err);
    return rc < 0 ? mw_raise(L, &err) : 1;
}

/* format:encode(data, fields...) -> bytes | nil, err                                           [-0, +1|2, e] */
static int format_encode(lua_State *L) {
    const struct mw_frame_format *f = format_check(L, 1);
    union mw_frame_value values[MW_FRAME_FIELDS];
    struct mw_frame_wrap wrap;
    luaL_Buffer b;
    size_t len;
    const char *data = mw_param_bytes(L, 2, "frame.encode", "data", &len);

    mw_frame_values(L, 3, "frame.encode", f, values);
    if (mw_frame_compose(f, values, data, len, &wrap) < 0) {
        return mw_frame_push_refusal(L, f, wrap.why, wrap.what, len, "frame.encode", NULL);
    }
    luaL_buffinitsize(L, &b, wrap.head_len + len + wrap.tail_len);
    luaL_addlstring(&b, wrap.head, wrap.head_len);
    luaL_addlstring(&b, data, len);
    luaL_addlstring(&b, wrap.tail, wrap.tail_len);
    luaL_pushresult(&b);
    return 1;
}

/* format:decode(bytes, from = 1) -> data, fields..., used | nil, err (EAGAIN with err.data.need; EFRAME)   [-0, +n, e] */
static int format_decode(lua_State *L) {
    const struct mw_frame_format *f = format_check(L, 1);
    union mw_frame_value fields[MW_FRAME_FIELDS];
    struct mw_frame got = {0};
    struct mw_err err;
    size_t len, skip;
    const char *bytes = mw_param_bytes(L, 2, "frame.decode", "bytes", &len);
    int rc, n;

    skip = lua_isnoneornil(L, 3) ? 0 : (size_t)mw_param_integer(L, 3, "frame.decode", "from", 1, (lua_Integer)len + 1) - 1;
    rc = mw_frame_parse(f, bytes + skip, len - skip, &got);
    if (rc < 0) return mw_frame_push_refusal(L, f, got.why, got.what, got.announced, "frame.decode", NULL);
    if (rc == 0) {
        mw_err_setf(&err, MW_EAGAIN, "frame.decode", NULL, "the frame is not whole: %zu more bytes are needed", got.need);
        lua_createtable(L, 0, 1);                               /* [... data] */
        lua_pushinteger(L, (lua_Integer)got.need);
        lua_setfield(L, -2, "need");
        return mw_push_err_data(L, &err);
    }
    n = mw_frame_fields(L, f, &got, fields);
    lua_pushlstring(L, got.data, got.len);
    for (int i = 0; i < n; i++) mw_frame_push_field(L, f, i, fields[i]);
    lua_pushinteger(L, (lua_Integer)got.used);
    return n + 2;
}

static int format_tostring(lua_State *L) {
    const struct mw_frame_format *f = format_check(L, 1);
    lua_pushfstring(L, "frame: %s, max %I", f->name, (LUAI_UACINT)f->max);
    return 1;
}

int mw_door_frame(lua_State *L) {
    static const luaL_Reg methods[] = {{"encode", format_encode}, {"decode", format_decode}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__tostring", format_tostring}, {NULL, NULL}};

    mw_type_new(L, MW_FRAME_TYPE, methods, meta);
    lua_createtable(L, 0, 1);                                   /* [door] */
    lua_pushcfunction(L, frame_new);
    lua_setfield(L, -2, "new");
    return 1;
}
