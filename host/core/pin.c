/* Pinned strings: see pin.h.
 * Knows: core/host, lua.h. Never: the loop. */
#include "core/pin.h"

#include <lauxlib.h>

#include "core/inside.h"

int mw_pin(lua_State *L, int idx) {
    mw_host *h = mw_host_of(L);

    if (!h->lent && h->used > h->limit / 2) return 0; /* a script that has written something has a right to forget it */
    lua_pushvalue(L, idx);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void mw_unpin(mw_host *h, int pin) {
    if (pin != 0) luaL_unref(h->L, LUA_REGISTRYINDEX, pin);
}
