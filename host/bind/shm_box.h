/* The inside of a memory's box, shared by bind/shm.c and bind/shm_number.c.
 * Knows: bind/shm. Never: included by anybody else. */
#ifndef MW_BIND_SHM_BOX_H
#define MW_BIND_SHM_BOX_H

#include <lauxlib.h>

#include "bind/shm.h"

struct mw_memory_box {
    mw_memory *m;                /* NULL: never filled */
};

/* The memory of a method's own box; raises EINVAL. It may be closed. */
mw_memory *mw_memory_self(lua_State *L);
/* nil, ECLOSED.                                                                     [-0, +2, m] */
int mw_memory_closed_err(lua_State *L, const mw_memory *m, const char *op);

/* The methods for numbers, and for waiting for one; for the door. */
extern const luaL_Reg mw_memory_number_methods[], mw_memory_wait_methods[];

#endif
