/* Put before every file of the module for plain Lua: Lua's functions may be missing, so that it can be loaded by another Lua, and say
 * which one it needs.
 * Knows: luaconf.h. Never: included by name. */
#ifndef MW_BIND_WEAK_MODULE_H
#define MW_BIND_WEAK_MODULE_H

#include <luaconf.h>

#undef LUA_API
#define LUA_API extern __attribute__((weak))

#endif
