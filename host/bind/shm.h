/* Shared memory in Lua: the box, for the doors that hand it over.
 * Knows: share/memory, lua.h. Never: a syscall. */
#ifndef MW_BIND_SHM_H
#define MW_BIND_SHM_H

#include <lua.h>

#include "io/process.h"
#include "share/memory.h"

#define MW_MEMORY_TYPE "mw.memory"

/* Pushes an empty box; put the memory into the slot when it has been made.          [-0, +1, m] */
mw_memory **mw_memory_box(lua_State *L);
/* The memory at idx, or NULL when there is none (another value, never filled). Never raises. */
mw_memory *mw_memory_test(lua_State *L, int idx);

/* What mw.shared gives, for a host that a script child runs in: lent until the state is closed; what is used is taken out of it.
 *                                                                                   [-0, +0, m] */
void mw_shared_set(lua_State *L, struct mw_process_shares *given);

#endif
