/* A turn: a lock for tasks, served in order.
 * Knows: core/wait, lua.h.
 * Never: what it guards. */
#include "core/turn.h"

#include <stdlib.h>

#include "core/raise.h"

/* One waiting task. The turn passes from hand to hand: `granted` is set by the giver, so that a task which is cancelled or
 * times out after it was chosen still knows that it must pass the turn on. */
struct waiter {
    struct mw_list link;
    struct mw_wait wait;
    struct mw_turn *turn;
    lua_KFunction k;
    lua_KContext ctx;
    int granted;
};

void mw_turn_init(struct mw_turn *t) {
    t->held = 0;
    mw_list_init(&t->waiting);
}

void mw_turn_end(struct mw_turn *t) {
    while (!mw_list_empty(&t->waiting)) {
        struct waiter *it = MW_LIST_ENTRY(t->waiting.next, struct waiter, link);
        mw_list_remove(&it->link);
        mw_wait_wake(&it->wait);
        free(it);
    }
}

/* The waiter's task runs again.                                              [-0, +?, e] */
static int turn_k(lua_State *L, int code, lua_KContext ctx) {
    struct waiter *it = (struct waiter *)ctx;
    struct waiter was = *it;

    mw_list_remove(&it->link);
    free(it);
    if (code != 0 && was.granted) mw_turn_give(was.turn);
    if (code == 0 && !was.granted) code = MW_ECANCELED; /* woken by nobody of ours */
    return was.k(L, code, was.ctx);
}

int mw_turn_yield(lua_State *L, struct mw_turn *t, uint64_t deadline, lua_KContext ctx, lua_KFunction k) {
    struct waiter *it;

    if (!mw_wait_possible(L)) return mw_raise_inval(L, "wait", "this call must wait for another task, and cannot wait here");
    it = calloc(1, sizeof *it);
    if (it == NULL) return k(L, MW_ENOMEM, ctx);
    it->turn = t;
    it->k = k;
    it->ctx = ctx;
    mw_wait_init(&it->wait);
    mw_list_add(&t->waiting, &it->link);
    return mw_wait_yield_raw(L, &it->wait, deadline, (lua_KContext)it, turn_k);
}

void mw_turn_give(struct mw_turn *t) {
    struct mw_list *l;

    for (l = t->waiting.next; l != &t->waiting; l = l->next) {
        struct waiter *it = MW_LIST_ENTRY(l, struct waiter, link);
        if (it->granted) continue; /* chosen before, and killed before it ran */
        it->granted = 1;
        mw_wait_wake(&it->wait);
        return;
    }
    t->held = 0;
}
