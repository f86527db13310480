/* Middleware: functions (pass, dir, data, ...) around what an object sends and receives, the first used outermost.
 * Knows: lua.h. Never: what the object is. */
#ifndef MW_BIND_USE_H
#define MW_BIND_USE_H

#include <lua.h>

enum mw_use_dir { MW_USE_SEND, MW_USE_RECV };

/* Pushes what calls function `i` (from 1) of the list and then the others for the object; behind the last one, what was passed is the
 * result (end NULL), or end() is called with [object data...].                                        [-0, +1, m] */
void mw_use_push(lua_State *L, int object, int list, enum mw_use_dir dir, lua_Integer i, lua_CFunction end);

/* [object data... list]: the message goes through the functions, and then to end(). A function that answers nil without an error has
 * dropped it on purpose. -> object | nil, err                                                        [-n, +1|2, y] */
int mw_use_send(lua_State *L, lua_CFunction end);

/* [object argument list]: asks raw() for a message, called with [object argument], until one is not dropped.
 * -> what came of it | nil (the end) | nil, err                                                      [-3, +n, y] */
int mw_use_recv(lua_State *L, lua_CFunction raw);

/* The arguments of an object's `use`: [object, function or tap]. `use(mw.trace.tap{ ... })` gives nil and why there is no tap: that is
 * raised.                                                                                             [-0, +0, e] */
void mw_use_arguments(lua_State *L);
/* Appends the function at idx to the list in user value `n` of the object at 1, which it makes: the number of functions.    [-0, +0, e] */
lua_Integer mw_use_add(lua_State *L, int idx, int n, const char *op);

#endif
