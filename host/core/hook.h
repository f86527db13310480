/* C functions that a script can keep busy: they count their work, and stop when Lua code would have to.
 * Knows: lua.h. Never: included where nothing loops. */
#ifndef MW_CORE_HOOK_H
#define MW_CORE_HOOK_H

#include <lua.h>

#define MW_BUDGET 10000     /* steps between two looks: some tens of microseconds */

/* A count of steps: a comparison, an element, a character looked at. */
struct mw_budget {
    lua_State *L;
    int left;
};
#define MW_BUDGET_OF(L) { (L), MW_BUDGET }

/* Looks whether the code must stop; then raises, or suspends its task for good. Hold nothing that Lua does not.     [-0, +0, e] */
void mw_budget_look(struct mw_budget *b);
static inline void mw_budget_spend(struct mw_budget *b, int steps) {
    if ((b->left -= steps) <= 0) mw_budget_look(b);
}

/* 1 when the running step has used a tenth of its time or more and may wait: a primitive that has worked for the script then
 * lets others run (mw_wait_pass), and what follows is another step. */
int mw_step_is_long(lua_State *L);

/* Calls a function with `nargs` arguments (popped) for which L has no hooks, as in a finalizer: in a coroutine of its own, where
 * it can be stopped. It cannot wait. Returns 0, or 1 with the error's value pushed; -1: not called, too many were stopped. */
int mw_call_apart(lua_State *L, int nargs);

#endif
