/* What authenticates, as scripts hold it: mw.auth.hmac{...}, mw.auth.peer{...}.
 * Knows: io/greet_auth, bind/arg. Never: a secret in a text. */
#ifndef MW_BIND_AUTH_H
#define MW_BIND_AUTH_H

#include <lua.h>

#include "io/greet.h"

void mw_auth_open(lua_State *L);         /* once, before any box */
/* A box that holds a greeting until it is collected; pushed. auth_ns is the default. */
struct mw_greeting *mw_auth_box(lua_State *L);
/* Reads the options `auth` (one, or an array of them, all of which must pass) and `auth_timeout` of the table at idx into g, which lies
 * in a box; what is not there stays. unix: 0: of a socket of which the kernel knows no peer. Raises EINVAL. */
void mw_auth_read(lua_State *L, int idx, const char *op, int is_unix, struct mw_greeting *g);

#endif
