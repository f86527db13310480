/* The other side of a pool, in a worker: what its two kinds share, a process (pool_serve.c) and a thread (pool_thread.c).
 * Knows: bind/pool, lua.h. Never: included by anybody else. */
#ifndef MW_BIND_POOL_SERVE_H
#define MW_BIND_POOL_SERVE_H

#include "bind/pool.h"
#include "io/stream.h"

#define MW_SERVER_TYPE "mw.pool.server"

/* [handlers parent server] at the base of the task that serves; parent: nil in a thread. */
enum { MW_SERVE_HANDLERS = 1, MW_SERVE_PARENT, MW_SERVE_STATE, MW_SERVE_BASE = MW_SERVE_STATE };

#define MW_SERVE_LATE_NS UINT64_C(200000) /* an answer waits no longer for the next task to begin */
#define MW_SERVE_LONG_NS UINT64_C(100000) /* before a task that may take longer, answers are sent */

struct mw_end;
struct mw_cargo;

struct mw_server {
    mw_host *host;
    struct mw_pool_mark *mark;
    struct mw_bytes request;    /* the task under way: its name and value */
    struct mw_bytes scratch;    /* its answer */
    struct mw_pool_request now; /* its header */
    uint64_t began, looked_at;
    uint64_t now_ns; /* when the last task was through, if nothing was waited for since; else 0 */
    int gauge;
    size_t max;                                                       /* bytes of an answer */
    mw_probe *probes;       /* of the run's trace */
    struct mw_tapped tapped;
    int broken;                                                       /* a code: the parent cannot be told any more */
    void (*answer)(struct mw_server *v, unsigned kind, uint64_t now); /* sends what is in scratch, and empties it */
    lua_KFunction on;     /* goes on after a task whose handler has waited */
    uint64_t typical;     /* ns of a task, as the parent reckons it: rises at once, falls slowly */
    struct mw_dusk dusk;  /* what was answered in a turn is sent, or told of, at its end */
    uint64_t gathered_at; /* since when there is such; a thread's: 0: there is none */
    /* A process's. */
    mw_stream *line; /* lent by its box, at MW_SERVE_PARENT */
    struct mw_pool_page *page;
    /* A thread's. */
    struct mw_end *end;
    struct mw_cargo *cargo; /* objects that came with the task under way, until they were read */
    int loaded;             /* 1: the answer in scratch ends with objects */
};

/* Begins and runs the task whose header is in `now` and whose name and value are in `request`, and answers it; or passes over it if it
 * was taken back. When its handler waits, v->on goes on later.                                               [-0, +0, ey] */
void mw_server_run(lua_State *L, struct mw_server *v);
/* Pushes a new server.                                                                                       [-0, +1, m] */
struct mw_server *mw_server_new(lua_State *L);

/* pool_thread.c: the same in a thread of ours.                                                               [-0, +0, ey] */
int mw_pool_serve_thread(lua_State *L, struct mw_server *v);

#endif
