/* Taps: what a script attaches to a channel or a stream so that a trace tells of it; and the trace of the whole run.
 * Knows: observe/trace, io/sink, core, lua.h. Never: changes what it sees. */
#ifndef MW_BIND_TAP_H
#define MW_BIND_TAP_H

#include <lua.h>

#include "core/hook.h"
#include "observe/trace.h"

#define MW_TAP_TYPE "mw.tap"

/* 1 when the value at idx is a tap.                                                                   [-0, +0, -] */
int mw_tap_test(lua_State *L, int idx);
/* Attaches the tap at idx to the object at 1: a probe more in the list, and a reference in its user value `n`, which is a table or will be
 * one. Raises ECLOSED when the tap is closed.                                                          [-0, +0, e] */
void mw_tap_attach(lua_State *L, int idx, int n, mw_probe **list, enum mw_probe_kind kind, const char *name);
/* Puts a probe of the run's trace in the list, if it is traced; without memory it is not.             [-0, +0, -] */
static inline int mw_tap_is_on(lua_State *L) {
    return mw_host_head(L)->trace != NULL;
}
void mw_tap_run(lua_State *L, mw_probe **list, enum mw_probe_kind kind, const char *name);
/* The script's taps of one object are to be another's too, under another kind.                        [-0, +0, -] */
void mw_tap_inherit(lua_State *L, mw_probe *from, mw_probe **list, enum mw_probe_kind kind, const char *name);

/* Tells all of the list. The first trouble of a file is logged.                                       [-0, +0, -] */
void mw_tap_tell(lua_State *L, mw_probe *list, enum mw_probe_dir dir, const void *at, size_t len);
static inline void mw_tap_message(lua_State *L, mw_probe *list, enum mw_probe_dir dir, const void *at, size_t len) {
    if (list != NULL) mw_tap_tell(L, list, dir, at, len);
}
/* The same of a value: strings as they are, others as text. May raise.                                [-0, +0, e] */
void mw_tap_tell_value(lua_State *L, mw_probe *list, enum mw_probe_dir dir, int idx);
static inline void mw_tap_value(lua_State *L, mw_probe *list, enum mw_probe_dir dir, int idx) {
    if (list != NULL) mw_tap_tell_value(L, list, dir, idx);
}
/* Calls and their answers, as JSON (tap_call.c): {"call":7,"name":"greet","value":...} of the value at idx;
 * {"answer":7,"pid":99,"values":[...]} of the n on top of the stack; {"answer":7,"pid":99,"error":"..."}. pid: of the process that
 * answers, 0: it is ours. list: not NULL. May raise.                                                   [-0, +0, e] */
void mw_tap_tell_call(lua_State *L, mw_probe *list, enum mw_probe_dir dir, uint64_t number, const char *name, int idx);
void mw_tap_tell_answer(lua_State *L, mw_probe *list, enum mw_probe_dir dir, uint64_t number, int pid, int n);
void mw_tap_tell_failure(lua_State *L, mw_probe *list, enum mw_probe_dir dir, uint64_t number, int pid, const char *why);
void mw_tap_end(mw_probe **list);        /* safe to repeat */
/* Those of one trace go. */
void mw_tap_leave(mw_probe **list, const mw_trace *over);

/* Part of an object that has probes: a trace that begins, or ends, while the script runs finds it there. */
struct mw_tapped {
    struct mw_list link;
    void (*turn)(lua_State *L, struct mw_tapped *it, const mw_trace *over);     /* over NULL: mw_tap_run; else mw_tap_leave. No Lua memory */
};
/* From now on; and from a trace that runs already.                                                    [-0, +0, -] */
void mw_tapped_add(lua_State *L, struct mw_tapped *it, void (*turn)(lua_State *, struct mw_tapped *, const mw_trace *));
static inline void mw_tapped_remove(struct mw_tapped *it) {
    mw_list_remove(&it->link);
}

#endif
