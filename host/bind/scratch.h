/* A buffer of bytes for what a C function composes or takes apart while Lua may run: one a state, kept between calls.
 * Knows: base/bytes, lua.h. Never: lost to an error: whoever raises leaves it to the collector, and the next call has a new one. */
#ifndef MW_BIND_SCRATCH_H
#define MW_BIND_SCRATCH_H

#include <lua.h>

#include "base/bytes.h"

/* Pushes the box of an empty buffer that is the caller's alone until mw_scratch_give, even when a finalizer that runs meanwhile asks for
 * one too. Its bytes stay as long as the box.                                                              [-0, +1, m] */
struct mw_bytes *mw_scratch_take(lua_State *L);
/* Gives back the box at idx, emptied.                                                                      [-0, +0, -] */
void mw_scratch_give(lua_State *L, int idx);

#endif
