/* Views: a frame lent to the script where it lies, without a copy.
 * Knows: bind/channel, lua.h.
 * Never: reads bytes of a frame that has gone: every use asks for the lease first. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/channel.h"

#define VIEW "frame view"

/* The metatable of each channel's views holds the channel at this address. */
static const char CHANNEL_KEY = 0;

/* A view is a userdata without content: only which one it is matters. A channel knows its last view by its address, and no other
 * may be used; should that be gone and another thing have its address, that thing shows the frame that is lent anyway. */
static const char *bytes_of(lua_State *L, const void *view, const struct mw_channel *ch, size_t *len) {
    if (view != ch->view || !mw_channel_lends(ch))
        mw_raise_inval(L, VIEW, "used after the loop's next step: tostring(view) keeps the bytes");
    *len = ch->view_len;
    return mw_bytes_at(mw_stream_in(ch->stream)) + ch->view_at;
}

/* The bytes of the view at idx, whichever channel's; NULL when it is no view; raises when it is void.    [-0, +0, e] */
const char *mw_channel_view_bytes(lua_State *L, int idx, size_t *len) {
    const void *view = lua_touserdata(L, idx);
    const struct mw_channel *ch = NULL;

    if (view == NULL || !lua_getmetatable(L, idx)) return NULL;
    if (lua_rawgetp(L, -1, &CHANNEL_KEY) == LUA_TUSERDATA) ch = lua_touserdata(L, -1);
    lua_pop(L, 2);
    return ch == NULL ? NULL : bytes_of(L, view, ch, len);
}

size_t mw_channel_lent(lua_State *L, const mw_stream *s) {
    const struct mw_channel *ch = mw_host_head(L)->lender;

    return ch != NULL && ch->stream == s && ch->view != NULL && mw_channel_lends(ch) ? ch->lent : 0;
}

/* Neither the last view of the last lender nor of the method's own channel: another channel's, a void one, or none.     [-0, +0, e] */
static __attribute__((noinline)) const char *look(lua_State *L, size_t *len) {
    const char *at = mw_channel_view_bytes(L, 1, len);

    if (at == NULL) mw_raise_inval(L, VIEW, "a view expected, got %s", luaL_typename(L, 1));
    return at;
}

/* For the methods, whose first upvalue is their channel: no look-up in a table. */
static inline const char *check(lua_State *L, size_t *len) {
    const struct mw_channel *ch = mw_host_head(L)->lender;     /* mostly ours */
    const void *view = lua_touserdata(L, 1);

    if (ch == NULL || view != ch->view) ch = lua_touserdata(L, lua_upvalueindex(1));
    if (view == NULL || view != ch->view || !mw_channel_lends(ch)) return look(L, len);
    *len = ch->view_len;
    return mw_bytes_at(mw_stream_in(ch->stream)) + ch->view_at;
}

/* The integer argument at idx, or `fallback`. */
static lua_Integer integer(lua_State *L, int idx, const char *name, lua_Integer fallback) {
    return lua_isnoneornil(L, idx) ? fallback : mw_param_integer(L, idx, VIEW, name, LUA_MININTEGER, LUA_MAXINTEGER);
}

/* Positions as string.sub has them, cut to 1..len: from > to is empty. */
static void range(size_t len, lua_Integer *from, lua_Integer *to) {
    lua_Integer n = (lua_Integer)len;

    if (*from < 0) *from = *from < -n ? 1 : n + *from + 1;
    if (*from == 0) *from = 1;
    if (*to < 0) *to = *to < -n ? 0 : n + *to + 1;
    if (*to > n) *to = n;
}

static int view_len(lua_State *L) {
    size_t len;
    check(L, &len);
    lua_pushinteger(L, (lua_Integer)len);
    return 1;
}

static int view_tostring(lua_State *L) {
    size_t len;
    const char *at = check(L, &len);
    lua_pushlstring(L, at, len);
    return 1;
}

/* view:byte(i = 1, j = i) -> integers */
static int view_byte(lua_State *L) {
    if (lua_gettop(L) == 1) {
        size_t n;
        const char *first = check(L, &n);
        if (n > 0) lua_pushinteger(L, (unsigned char)*first);
        return n > 0;
    }
    lua_Integer from = integer(L, 2, "i", 1), to = integer(L, 3, "j", from);
    size_t len;
    const char *at = check(L, &len);

    range(len, &from, &to);
    if (from > to) return 0;
    if (to - from >= 1000000 || !lua_checkstack(L, (int)(to - from + 1))) return mw_raise_inval(L, VIEW, "byte: too many results");
    for (lua_Integer i = from; i <= to; i++) lua_pushinteger(L, (unsigned char)at[i - 1]);
    return (int)(to - from + 1);
}

/* view:sub(i, j = -1) -> string */
static int view_sub(lua_State *L) {
    lua_Integer from = integer(L, 2, "i", 1), to = integer(L, 3, "j", -1);
    size_t len;
    const char *at = check(L, &len);

    range(len, &from, &to);
    if (from > to) lua_pushliteral(L, "");
    else lua_pushlstring(L, at + from - 1, (size_t)(to - from + 1));
    return 1;
}

/* view:find(text, from = 1) -> first, last | nil; text is plain, no pattern */
static int view_find(lua_State *L) {
    size_t len, wanted;
    const char *text = mw_param_bytes(L, 2, VIEW, "text", &wanted), *hit, *at;
    lua_Integer from = integer(L, 3, "from", 1), to = -1;

    at = check(L, &len);
    range(len, &from, &to);
    if (from > (lua_Integer)len + 1) return lua_pushnil(L), 1;
    hit = wanted == 0 ? at + from - 1 : memmem(at + from - 1, len - (size_t)from + 1, text, wanted);
    if (hit == NULL) return lua_pushnil(L), 1;
    lua_pushinteger(L, hit - at + 1);
    lua_pushinteger(L, hit - at + (lua_Integer)wanted);
    return 2;
}

/* Lua's string.unpack, by the strings' metatable: a global may be anything. */
static void push_string_unpack(lua_State *L) {
    lua_pushliteral(L, "");
    if (luaL_getmetafield(L, -1, "__index") == LUA_TNIL) lua_newtable(L); /* a script has taken it away */
    lua_getfield(L, -1, "unpack");                              /* ["" string unpack] */
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* view:unpack(fmt, from = 1) -> values..., next: Lua's string.unpack on no more bytes than fmt can want. */
static int view_unpack(lua_State *L) {
    size_t len, letters, take, skip;
    const char *fmt = mw_param_text(L, 2, VIEW, "fmt", 256, &letters), *at;
    lua_Integer from = integer(L, 3, "from", 1), to = -1;

    at = check(L, &len);
    range(len, &from, &to);
    if (from > (lua_Integer)len + 1) return mw_raise_inval(L, VIEW, "unpack: starts behind the end");
    skip = strchr(fmt, '!') == NULL ? (size_t)from - 1 : 0;     /* alignment counts from the first byte */
    take = len - skip;
    if (skip > 0 || from == 1) {
        if (strpbrk(fmt, "csz!") == NULL && take > letters * 16) take = letters * 16;   /* 16 bytes a letter at most */
    }
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 2);
    lua_pushlstring(L, at + skip, take);
    lua_pushinteger(L, from - (lua_Integer)skip);               /* [view fmt unpack fmt bytes from] */
    if (lua_pcall(L, 3, LUA_MULTRET, 0) != LUA_OK) return mw_raise_inval(L, VIEW, "unpack: %s", luaL_tolstring(L, -1, NULL));
    lua_pushinteger(L, lua_tointeger(L, -1) + (lua_Integer)skip);
    lua_replace(L, -2);
    return lua_gettop(L) - 2;
}

/* Made at the channel's first views(): each channel has its own, so that its methods need not look for the channel. */
void mw_channel_view_metatable(lua_State *L, int idx) {
    static const luaL_Reg methods[] = {
        {"byte", view_byte}, {"sub", view_sub}, {"find", view_find}, {"unpack", view_unpack}, {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__len", view_len}, {"__tostring", view_tostring}, {NULL, NULL}};

    if (lua_getiuservalue(L, idx, MW_CHANNEL_MORE) == LUA_TTABLE) {     /* [mt] */
        int made = lua_rawgetp(L, -1, &CHANNEL_KEY) != LUA_TNIL;
        lua_pop(L, 1);
        if (made) return;
    } else {
        lua_pop(L, 1);
        lua_createtable(L, 0, 8);                               /* [mt] */
    }
    lua_pushvalue(L, idx);
    lua_rawsetp(L, -2, &CHANNEL_KEY);
    lua_pushliteral(L, VIEW);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, idx);                                      /* [mt ch] */
    luaL_setfuncs(L, meta, 1);                                  /* [mt] */
    luaL_newlibtable(L, methods);                               /* [mt methods] */
    lua_pushvalue(L, idx);
    push_string_unpack(L);                                      /* [mt methods ch unpack] */
    luaL_setfuncs(L, methods, 2);
    lua_setfield(L, -2, "__index");                             /* [mt] */
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, idx, MW_CHANNEL_MORE);
}
