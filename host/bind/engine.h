/* What a script and the program around it (an engine, a tool) have for one another: topics, handlers, functions.
 * Knows: share/mail, lua.h. Never: what the program does with it: moonwire_talk.c. */
#ifndef MW_BIND_ENGINE_H
#define MW_BIND_ENGINE_H

#include <lua.h>

#include "share/mail.h"

typedef struct mw_engine mw_engine;
/* queue: letters that may wait. Once a host, before its first turn; mw_engine_end when its end begins, mw_engine_free when it has gone. */
int mw_engine_open(mw_host *h, size_t queue, mw_engine **out, struct mw_err *err);
void mw_engine_end(mw_engine *e);
void mw_engine_free(mw_engine *e);
mw_mail *mw_engine_mail(mw_engine *e);                      /* any thread */
struct mw_engine_taps *mw_engine_taps_of(mw_host *h);       /* not before mw_engine_open, nor in a worker */

/* 1 if `name` is a name for a function of the engine's: letters, digits and _, and not one that mw.host has itself. */
int mw_engine_may_name(const char *name);
/* What stands first in the userdata that is the first upvalue of such a function, which stays when the engine takes it away. */
struct mw_engine_function {
    int live;
};
/* Pushes the table of these functions, by name.                                                            [-0, +1, m] */
void mw_engine_push_functions(lua_State *L);
/* Pushes what mw_host_call is to call: 1; or nothing: 0.                                                   [-0, +0|1, m] */
int mw_engine_push_handler(lua_State *L, const char *name);

/* Pushes the values of MessagePack, nil for what is nil there; returns how many. *err is filled, and a code returned with nothing pushed,
 * for what Lua cannot hold. At most `len` values: the stack may be refused (raised).                        [-0, +n, m] */
int mw_engine_push_values(lua_State *L, const char *at, size_t len, const char *op, const char *subject, struct mw_err *err);
/* Appends the value at idx to `out`, nil too. MW_EINVAL for what cannot be sent: err->what says where.       [-0, +0, m] */
struct mw_bytes;
struct mw_codec_fault;
int mw_engine_write(lua_State *L, int idx, struct mw_bytes *out, struct mw_codec_fault *fault, struct mw_err *err);

#endif
