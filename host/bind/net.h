/* What the assembly hands to the door of sockets.
 * Knows: io/debug. Never: Lua's side of it. */
#ifndef MW_BIND_NET_H
#define MW_BIND_NET_H

#include <lua.h>

#include "io/debug.h"

/* core.net.given{...} makes a listener of it, once. Lent: outlives the state. */
void mw_net_give(lua_State *L, struct mw_debug *d);

#endif
