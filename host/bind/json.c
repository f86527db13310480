/* The door of JSON and of what all formats have in common: null, and the marks of arrays and objects.
 * Knows: codec, bind/arg, lua.h. Never: a byte of the format. */
#include "codec/json.h"

#include "bind/arg.h"
#include "bind/codec.h"
#include "bind/doors.h"

#define KEEP 65536u             /* bytes of room that stay between two calls */

/* mark(t, which: "array" | "object" | nil) -> t                                                            [-0, +1, e] */
static int json_mark(lua_State *L) {
    static const char *const words[] = {"plain", "array", "object", NULL};
    int which = luaL_checkoption(L, 2, "plain", words);

    if (lua_type(L, 1) != LUA_TTABLE) return mw_raise_inval(L, "json", "a table is expected, got %s", luaL_typename(L, 1));
    lua_settop(L, 1);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return mw_raise_inval(L, "json", "the table's metatable is protected");
    mw_codec_mark(L, (enum mw_codec_mark)which);
    return 1;
}

/* marked(t) -> "array" | "object" | nil                                                                    [-0, +1, -] */
static int json_marked(lua_State *L) {
    switch (mw_codec_marked(L, 1)) {
    case MW_CODEC_ARRAY: lua_pushliteral(L, "array"); break;
    case MW_CODEC_OBJECT: lua_pushliteral(L, "object"); break;
    default: lua_pushnil(L); break;
    }
    return 1;
}

/* ---- Room for what is written: one for all calls, unless a finalizer calls amid one ----------------------------------------- */

struct page {
    struct mw_bytes bytes;
    int taken;
};

static int page_gc(lua_State *L) {
    struct page *page = lua_touserdata(L, 1);
    mw_bytes_free(&page->bytes);
    return 0;
}

static void push_page(lua_State *L) {
    struct page *page = lua_newuserdatauv(L, sizeof *page, 0);

    *page = (struct page){{0}, 0};
    if (luaL_newmetatable(L, "mw.json page")) {
        lua_pushcfunction(L, page_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
}

/* encode(v, opts?) -> text; raises                                                                         [-0, +1, e] */
static int json_encode(lua_State *L) {
    static const char *const known[] = {"max_depth", "max_bytes", "sort", NULL};
    struct mw_codec_options o = {0};
    struct page *page = lua_touserdata(L, lua_upvalueindex(1));
    struct mw_codec_fault fault;
    struct mw_err err;
    int rc;

    luaL_checkany(L, 1);
    if (!lua_isnoneornil(L, 2)) {
        mw_opt_open(L, 2, "json.encode", known, 0);
        mw_codec_opt(L, 2, "json.encode", &o);
        o.sort = mw_opt_flag(L, 2, "json.encode", "sort", 0);
    }
    lua_settop(L, 1);
    if (page->taken) {          /* by a call that runs, or that a memory error ended */
        push_page(L);
        page = lua_touserdata(L, 2);
        lua_copy(L, 2, lua_upvalueindex(1));
    } else {
        lua_pushvalue(L, lua_upvalueindex(1)); /* kept, whoever takes its place */
    }
    page->taken = 1;
    rc = mw_json_write(L, 1, &page->bytes, &o, &fault, &err);
    if (rc < 0) {
        mw_bytes_shrink(&page->bytes, KEEP);
        page->taken = 0;
        mw_codec_push_fault(L, "json.encode", &fault, NULL, &err);  /* EINVAL it raises itself */
        return lua_error(L);
    }
    lua_pushlstring(L, mw_bytes_at(&page->bytes), mw_bytes_len(&page->bytes));
    mw_bytes_consume(&page->bytes, mw_bytes_len(&page->bytes));
    mw_bytes_shrink(&page->bytes, KEEP);
    page->taken = 0;
    return 1;
}

/* decode(text, opts?) -> v | nil, err                                                                      [-0, +1|2, e] */
static int json_decode(lua_State *L) {
    static const char *const known[] = {"max_depth", "max_bytes", NULL};
    struct mw_codec_options o = {0};
    struct mw_codec_fault fault;
    struct mw_err err;
    size_t len;
    const char *text = mw_param_bytes(L, 1, "json.decode", "text", &len);

    if (!lua_isnoneornil(L, 2) && !mw_codec_limited(L, 2, &o)) {
        mw_opt_open(L, 2, "json.decode", known, 0);
        mw_codec_opt(L, 2, "json.decode", &o);
    }
    if (mw_json_read(L, text, len, &o, &fault, &err) < 0) return mw_codec_push_fault(L, "json.decode", &fault, text, &err);
    return 1;
}

int mw_door_json(lua_State *L) {
    static const luaL_Reg door[] = {{"decode", json_decode}, {"mark", json_mark}, {"marked", json_marked}, {NULL, NULL}};

    luaL_newlib(L, door);
    push_page(L);
    lua_pushcclosure(L, json_encode, 1);
    lua_setfield(L, -2, "encode");
    mw_codec_push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
