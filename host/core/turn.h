/* A turn: a lock for tasks, served in order (one reader of a stream at a time).
 * Knows: core/wait, lua.h.
 * Never: what it guards. */
#ifndef MW_CORE_TURN_H
#define MW_CORE_TURN_H

#include "core/wait.h"

/* Lives inside what it guards. A holder that ends without giving it back blocks the others for ever: hold it only over a wait
 * with mw_wait_yield_raw, and give it before anything that can raise. */
struct mw_turn {
    int held;
    struct mw_list waiting;
};

void mw_turn_init(struct mw_turn *t);
/* Frees what is left of waiters that were killed; the last call before its memory goes. */
void mw_turn_end(struct mw_turn *t);

/* 1: it is ours; 0: another task holds it. Never waits. */
static inline int mw_turn_try(struct mw_turn *t) {
    if (t->held) return 0;
    t->held = 1;
    return 1;
}

/* Waits for it, then k(L, code, ctx): 0: it is ours. MW_ETIMEDOUT or MW_ECANCELED: it is not (end the latter with
 * mw_wait_cancelled). MW_ENOMEM: it is not (called at once). */
int mw_turn_yield(lua_State *L, struct mw_turn *t, uint64_t deadline, lua_KContext ctx, lua_KFunction k);

/* Gives it back; it passes to the task that has waited longest. */
void mw_turn_give(struct mw_turn *t);

#endif
