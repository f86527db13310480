/* Streams in Lua: the box, for the doors that make streams (process, net, fs) or add to them (frame).
 * Knows: io/stream, core, lua.h. Never: a syscall. */
#ifndef MW_BIND_STREAM_H
#define MW_BIND_STREAM_H

#include <lua.h>

#include "io/stream.h"

#define MW_STREAM_TYPE "mw.stream"

/* Pushes an empty box; put an owned reference into the slot when the stream has been made. While it is empty, or when it is
 * left so, its methods answer ECLOSED.                                       [-0, +1, m] */
mw_stream **mw_stream_box(lua_State *L);

/* Pushes a new box that holds a reference of its own; yours stays yours.     [-0, +1, m] */
int mw_stream_push(lua_State *L, mw_stream *s);

/* The same for a stream that belongs to another object (a child's pipes): no warning when it is collected unclosed.
 *                                                                            [-0, +1, m] */
int mw_stream_push_owned(lua_State *L, mw_stream *s);

/* The stream at idx (lent: the box keeps it, also after close). Raises EINVAL when it is no stream or the box is empty.
 *                                                                            [-0, +0, e] */
mw_stream *mw_stream_check(lua_State *L, int idx);

/* The stream at idx, or NULL when there is none. Never raises. */
mw_stream *mw_stream_test(lua_State *L, int idx);

#endif
