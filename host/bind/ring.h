/* Rings in Lua: the box, for the doors that hand one over.
 * Knows: share/ring, lua.h. Never: a syscall. */
#ifndef MW_BIND_RING_H
#define MW_BIND_RING_H

#include <lua.h>

#include "share/ring.h"

#define MW_RING_TYPE "mw.ring"

/* Pushes an empty box; put the ring into the slot when it has been made.             [-0, +1, m] */
mw_ring **mw_ring_box(lua_State *L);
/* The ring at idx, or NULL when there is none (another value, never filled). Never raises. */
mw_ring *mw_ring_test(lua_State *L, int idx);

/* ring{ capacity } -> ring | nil, err: for the door of shared memory.                [-0, +1|2, e] */
int mw_ring_make(lua_State *L);

#endif
