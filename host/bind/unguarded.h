/* Lua's own functions without their guards, for tools that the program loads beside a script (moonwire test: Busted).
 * Knows: lua.h.
 * Never: given to a script; made unless mw_host_preload asks. */
#ifndef MW_BIND_UNGUARDED_H
#define MW_BIND_UNGUARDED_H

#include <lua.h>

/* Pushes { debug =, open =, loadfile =, loadlib =, searchpath =, path =, cpath =, config = }.                  [-0, +1, e] */
void mw_unguarded_push(lua_State *L);

#endif
