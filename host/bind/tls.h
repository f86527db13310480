/* TLS in Lua: what the doors of streams and sockets share of it.
 * Knows: io/secure, lua.h. Never: OpenSSL, a file. */
#ifndef MW_BIND_TLS_H
#define MW_BIND_TLS_H

#include <lua.h>

#include "io/endpoint.h"
#include "io/secure.h"

/* stream:tls() -> { version, cipher, alpn, resumed, server_name } | nil                     [-0, +1, e] */
int mw_stream_tls(lua_State *L);
/* stream:starttls(options) -> stream | nil, err: moonwire.tls does it                       [-0, +1|2, ey] */
int mw_stream_starttls(lua_State *L);
/* Adds subject, sans and fingerprint to the table at the top, where the peer has a certificate.        [-0, +0, m] */
void mw_tls_push_peer(lua_State *L, mw_stream *s);
/* What moonwire.tls hands to the door of sockets, among the options. */
#define MW_TLS_CONTEXT "_tls_context"
#define MW_TLS_NAME "_tls_name"
/* Reads them from the table at idx into g, which lies in a box: TLS for a connection to `to`, or for those of a listener. Raises
 * MW_EINVAL, MW_ENOMEM. */
void mw_tls_read(lua_State *L, int idx, const char *op, const struct mw_endpoint *to, int server, struct mw_greeting *g);
/* The context at idx, lent; NULL: there is none. */
mw_tls_context *mw_tls_context_test(lua_State *L, int idx);

#endif
