/* A host in a Lua state that is somebody else's.
 * Knows: moonwire.h, lua.h. Never: included outside the assembly. */
#ifndef MW_MOONWIRE_IN_H
#define MW_MOONWIRE_IN_H

#include <lua.h>

#include "moonwire.h"

/* On a loop of its own, in the state of L: in a C function that Lua called, with 20 free slots. Lua's own libraries and `arg` stay what
 * they are; cfg->alloc and the limit of memory do not bind. Given: mw_host_leave (core/host.h), then mw_host_free, before the state is
 * closed. Only in the module for plain Lua. */
int mw_host_new_in(lua_State *L, const struct mw_config *cfg, mw_host **out, struct mw_err *err);

#endif
