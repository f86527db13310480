/* A buffer of bytes that calls have in turn: see scratch.h.
 * Knows: base/bytes, lua.h. Never: what is in it. */
#include "bind/scratch.h"

#include <lauxlib.h>
#include <string.h>

#define SCRATCH "mw.scratch"

enum { KEEP = 64 * 1024 };              /* bytes that stay between two calls */
static const char key = 0;              /* registry: the box that nobody uses at the moment */

static int scratch_gc(lua_State *L) {
    mw_bytes_free(lua_touserdata(L, 1));
    return 0;
}

struct mw_bytes *mw_scratch_take(lua_State *L) {
    struct mw_bytes *out;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TUSERDATA) {
        lua_pushboolean(L, 0);          /* and not nil: the place stays, so that giving back takes no memory */
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
        return lua_touserdata(L, -1);
    }
    lua_pop(L, 1);
    out = lua_newuserdatauv(L, sizeof *out, 0);
    memset(out, 0, sizeof *out);
    if (luaL_newmetatable(L, SCRATCH)) {
        lua_pushcfunction(L, scratch_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, 0);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    }
    lua_setmetatable(L, -2);
    return out;
}

void mw_scratch_give(lua_State *L, int idx) {
    struct mw_bytes *it = lua_touserdata(L, idx);

    mw_bytes_consume(it, mw_bytes_len(it));
    mw_bytes_shrink(it, KEEP);
    lua_pushvalue(L, idx);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}
