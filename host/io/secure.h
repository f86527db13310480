/* TLS on a stream: between its descriptor and its queues, which then hold plaintext; all else of a stream stays as it is.
 * Knows: io/stream, io/greet, wire/tls. Never: Lua, files, names. */
#ifndef MW_IO_SECURE_H
#define MW_IO_SECURE_H

#include "io/greet.h"
#include "io/stream.h"
#include "wire/tls.h"

/* The engine, opened at first use (core/part). Lent, for good; NULL: err says where it was looked for. */
const struct mw_tls_calls *mw_secure_calls(mw_host *h, const char *op, struct mw_err *err);

/* From here on `s` speaks TLS. c: kept. server_name, port: as for mw_tls_calls.open. The handshake begins; wait for mw_stream_secured.
 * server: what c is for; of a server, a handshake that the client has begun already is taken up.
 * Returns 0, or: MW_ETLS (bytes were received before: whoever sent them in the clear might have been anybody; or it has TLS already),
 * -EBUSY (bytes of ours wait unsent: flush first), MW_ECLOSED, MW_EINVAL (the name; one direction only), MW_ENOMEM. */
int mw_stream_secure(mw_stream *s, mw_tls_context *c, const char *server_name, int port, int server, struct mw_err *err);
/* 1: the handshake is done, or there is no TLS; 0: under way, wait on mw_stream_readable (with mw_stream_await(s, NULL, NULL));
 * MW_ECERT, MW_ETLS, or what broke the connection. */
int mw_stream_secured(mw_stream *s, struct mw_err *err);
int mw_stream_is_secure(const mw_stream *s);     /* 1: it speaks TLS, or begins to */

/* 1: *out is filled (of a closed stream too); 0: no TLS, or not yet. */
int mw_secure_about(const mw_stream *s, struct mw_tls_about *out);
/* 1: *out is given; 0: no TLS, or no certificate; MW_ENOMEM. */
int mw_secure_peer(const mw_stream *s, struct mw_tls_peer *out);

/* What names this session and no other, known to both its ends: 1: *out is filled; 0: no TLS; MW_ETLS: TLS that has none, err filled. */
int mw_secure_binding(const mw_stream *s, unsigned char out[MW_TLS_BINDING], struct mw_err *err);

/* Makes the steps that begin TLS on new connections. c: kept. server_name: copied; NULL: none. *out: given, one reference. */
int mw_secure_greeter(mw_host *h, mw_tls_context *c, const char *server_name, int port, struct mw_greeter **out, struct mw_err *err);
/* Another context for connections to come. c: kept. */
void mw_secure_greeter_change(struct mw_greeter *g, mw_tls_context *c);

#endif
