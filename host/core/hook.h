/* C functions that a script can keep busy: they count their work, and stop when Lua code would have to.
 * Knows: lua.h. Never: included where nothing loops. */
#ifndef MW_CORE_HOOK_H
#define MW_CORE_HOOK_H

#include <lua.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/list.h"

#define MW_KNOWN 128        /* objects that are known by their type at a time */
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

/* The first statement of a primitive that often has its result at hand and does not wait: when the running step has used a tenth
 * of its time or more, others run first, and the primitive, called once more with the arguments it had, begins another step. So a
 * script that works through a long file line by line is none that computes without end.
 *     if (mw_step_is_long(L)) return mw_step_share(L, stream_read);                                             [-0, +?, y] */
struct mw_host_head {            /* what a host begins with, so that these looks cost next to nothing */
    atomic_int long_step;
    const void *lender;          /* the channel that lent a frame last, NULL: none or collected: see bind/channel_view.c */
    struct mw_list channels;     /* all that there are: bind/channel.c */
    struct mw_list tapped;       /* all that a trace of the whole run is about: bind/tap.h */
    struct mw_trace *trace;      /* of the whole run; NULL: it is not traced. mw_host_set_trace */
    struct mw_list sinks;        /* of the script's open taps: io/sink.h */
    struct mw_known {            /* objects that were seen to be of a type, by their address: see bind/arg.h */
        const void *box;
        const char *type;
    } known[MW_KNOWN];
};
#ifdef MW_MODULE                /* the states were there before their host: core/lent_module.c */
struct mw_host_head *mw_host_head(lua_State *L);
#else
static inline struct mw_host_head *mw_host_head(lua_State *L) {
    return (struct mw_host_head *)(*(uintptr_t *)lua_getextraspace(L) & ~(uintptr_t)3); /* as mw_host_of */
}
#endif
int mw_step_may_wait(lua_State *L);
static inline int mw_step_is_long(lua_State *L) {
    return atomic_load_explicit(&mw_host_head(L)->long_step, memory_order_relaxed) && mw_step_may_wait(L);
}
int mw_step_share(lua_State *L, lua_CFunction again);

/* Calls a function with `nargs` arguments (popped) where L has no hooks, as in a finalizer: in a coroutine of its own, where it
 * can be stopped. It cannot wait. Returns 0 with its result pushed, or 1 with the error's value; -1: not called, since too many
 * were stopped, and nothing pushed. */
int mw_call_apart(lua_State *L, int nargs);
/* The same, which fails after so many instructions. */
int mw_call_apart_within(lua_State *L, int nargs, int instructions);

#endif
