/* Workers in Lua: what the files of this door share.
 * Knows: share/worker, bind/arg, lua.h. Never: a syscall. */
#ifndef MW_BIND_WORKER_H
#define MW_BIND_WORKER_H

#include <lua.h>

#include "bind/arg.h"
#include "codec/value.h"
#include "share/worker.h"

#define MW_WORKER_TYPE "mw.worker"
#define MW_PARENT_TYPE "mw.parent"

/* Kinds of records. */
enum { MW_KIND_MESSAGE, MW_KIND_CALL, MW_KIND_REPLY, MW_KIND_FAILED };

/* The box of a worker, and in a worker that of its parent. */
struct mw_worker_box {
    mw_worker *worker;              /* NULL once closed; of the parent's box: NULL, always */
    struct mw_end *end;             /* NULL once closed */
    struct mw_list calls;           /* that wait for their answer */
    uint64_t last_id;
};

/* The box at 1, of a method of either type. */
struct mw_worker_box *mw_worker_self(lua_State *L, const char *type);

/* What a message may hold. */
extern const struct mw_value_options mw_worker_values;
/* Where messages are written before they are sent; the host's. Raises on memory.                          [-0, +0, m] */
struct mw_bytes *mw_worker_scratch(lua_State *L);

/* Returns of methods: nil and the error of a worker that has ended, or nil alone when it ended well; or of one that is closed.
 *                                                                                                     [-0, +1|2, e] */
int mw_worker_push_end(lua_State *L, const struct mw_worker_box *box, const char *op);
int mw_worker_push_closed(lua_State *L, const char *op);

/* Methods; both types have the first four.                                                                  [-0, +?, y] */
int mw_worker_send(lua_State *L);
int mw_worker_recv(lua_State *L);
int mw_worker_messages(lua_State *L);
int mw_worker_call(lua_State *L);
/* Functions of core.worker: take() -> id, name, value | nothing; reply(id, ...), fail(id, error, traceback).   [-0, +?, y] */
int mw_worker_take(lua_State *L);
int mw_worker_reply(lua_State *L);
int mw_worker_fail_call(lua_State *L);
void mw_worker_call_type(lua_State *L);

/* on_news of a worker's end whose ud is its box: answers go to their calls. */
void mw_worker_on_news(struct mw_end *e);

#endif
