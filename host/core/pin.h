/* Strings of a script that C still looks into after the call that it had them from.
 * Knows: core/host, lua.h. Never: a string that is not Lua's. */
#ifndef MW_CORE_PIN_H
#define MW_CORE_PIN_H

#include <lua.h>

#include "core/host.h"

/* The string at idx stays where it is until it is unpinned. 0: it does not, for much of the state's memory is taken.  [-0, +0, m] */
int mw_pin(lua_State *L, int idx);
void mw_unpin(mw_host *h, int pin);      /* 0 is fine */

#endif
