/* Workers in Lua: what the files of this door share.
 * Knows: share/worker, bind/arg, lua.h. Never: a syscall. */
#ifndef MW_BIND_WORKER_H
#define MW_BIND_WORKER_H

#include <lua.h>

#include "bind/arg.h"
#include "bind/parcel.h"
#include "bind/tap.h"
#include "codec/value.h"
#include "observe/trace.h"
#include "share/worker.h"

#define MW_WORKER_TYPE "mw.worker"
#define MW_PARENT_TYPE "mw.parent"

/* Kinds of records. */
enum { MW_KIND_MESSAGE, MW_KIND_CALL, MW_KIND_REPLY, MW_KIND_FAILED, MW_KIND_CARGO = 0x100 /* beside: objects come along */ };

/* The box of a worker, and in a worker that of its parent. */
struct mw_worker_box {
    mw_worker *worker;              /* NULL once closed; of the parent's box: NULL, always */
    struct mw_end *end;             /* NULL once closed */
    struct mw_list calls;           /* that wait for their answer */
    uint64_t last_id;
    mw_probe *probes;               /* of taps */
    struct mw_tapped tapped;        /* once it is there */
    unsigned uses;                  /* middleware functions */
};

/* The box at 1, of a method of either type. */
struct mw_worker_box *mw_worker_self(lua_State *L, const char *type);

/* Where messages are written and read, the host's: the bytes, and the objects that ride beside (bind/parcel.h). What an error left in
 * it is gone when it is taken the next time. */
#define MW_CARGO_MAX 16u            /* objects of one message */
struct mw_talk {
    struct mw_bytes bytes;
    struct mw_parcel cargo[MW_CARGO_MAX];
    const void *objects[MW_CARGO_MAX];  /* whose they are: one that comes twice goes once */
    unsigned count, packed;
};
/* Raises on memory. Empty.                                                                              [-0, +0, m] */
struct mw_talk *mw_talk_begin(lua_State *L);
/* Appends the value at idx.                                                                             [-0, +0, m] */
int mw_talk_write(lua_State *L, struct mw_talk *t, int idx, struct mw_err *err);
/* After the last value: puts all on the queue. On failure objects are what they were, save that a stream is closed.   [-0, +0, m] */
int mw_talk_put(lua_State *L, struct mw_talk *t, struct mw_end *e, enum mw_worker_queue which, unsigned kind, uint64_t id, struct mw_err *err);

/* Reads a record: its objects are the talk's now, what is not read of them is closed by the next mw_talk_begin. Each mw_talk_read pushes
 * a value; *len 0: there is none any more.                                                              [-0, +0, m] */
struct mw_talk *mw_talk_open(lua_State *L, unsigned kind, const char **at, size_t *len);
int mw_talk_read(lua_State *L, struct mw_talk *t, const char **at, size_t *len, struct mw_err *err);
void mw_talk_close(struct mw_talk *t);
/* The same for values that are written and read elsewhere (pools): hooks of mw_value_options, whose ud is a talk. */
int mw_talk_hook_put(void *talk, lua_State *L, int idx, uint32_t *slot, struct mw_err *err);
int mw_talk_hook_get(void *talk, lua_State *L, uint32_t slot, struct mw_err *err);
/* Objects apart from their record, in memory of their own. */
struct mw_cargo {
    uint32_t count;
    struct mw_parcel at[];
};
void mw_cargo_free(struct mw_cargo *c);         /* closes what is left; NULL is fine */
/* Takes apart the objects that the hook met since mw_talk_begin. *out: given; NULL: there were none. On failure they are what they were,
 * save that a stream is closed.                                                                         [-0, +0, m] */
int mw_talk_pack(lua_State *L, struct mw_talk *t, struct mw_cargo **out, struct mw_err *err);
/* Appends them to a record (which then is of a kind with MW_KIND_CARGO): copies, so that it can be sent again. 0; -EMFILE, MW_ENOMEM:
 * nothing was added. */
int mw_cargo_add(const struct mw_cargo *c, struct mw_bytes *record);
/* Those of a record, of such a kind; *len is without them then. NULL: no memory, they are closed. */
struct mw_cargo *mw_cargo_of(const char *at, size_t *len);
/* The talk that mw_talk_hook_get is to read them with; `c` stays the caller's, empty.                     [-0, +0, m] */
struct mw_talk *mw_talk_load(lua_State *L, struct mw_cargo *c);

/* For records that are never read. Any thread. */
void mw_talk_drop(void *ud, const struct mw_record *r);

/* Returns of methods: nil and the error of a worker that has ended, or nil alone when it ended well; or of one that is closed.
 *                                                                                                     [-0, +1|2, e] */
int mw_worker_push_end(lua_State *L, const struct mw_worker_box *box, const char *op);
int mw_worker_push_closed(lua_State *L, const char *op);
int mw_worker_push_timed_out(lua_State *L, const struct mw_worker_box *box, const char *op);

enum { MW_WORKER_MORE = 2 };        /* user value: nil, or a table: functions at 1.., taps as keys */

/* Methods; both types have all but call.                                                                  [-0, +?, y] */
int mw_worker_send(lua_State *L);
int mw_worker_recv(lua_State *L);
int mw_worker_messages(lua_State *L);
int mw_worker_use(lua_State *L);
int mw_worker_call(lua_State *L);
/* Functions of core.worker: take() -> id, name, value | nothing; reply(id, ...), fail(id, error, traceback).   [-0, +?, y] */
int mw_worker_take(lua_State *L);
int mw_worker_reply(lua_State *L);
int mw_worker_fail_call(lua_State *L);
void mw_worker_call_type(lua_State *L);

/* on_news of a worker's end whose ud is its box: answers go to their calls. */
void mw_worker_on_news(struct mw_end *e);
/* Calls of a box that is closed: they have no answer. */
void mw_worker_lose_calls(struct mw_worker_box *box);

#endif
