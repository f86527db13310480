/* What traces have of mw.host: messages and calls, each a topic or a name and then its values, all MessagePack.
 * Knows: bind/tap, core, lua.h. Never: included outside bind and moonwire_talk.c. */
#ifndef MW_BIND_ENGINE_TAP_H
#define MW_BIND_ENGINE_TAP_H

#include "bind/tap.h"

enum mw_engine_line { MW_ENGINE_MESSAGES, MW_ENGINE_CALLS, MW_ENGINE_LINES };

struct mw_engine_taps {
    struct {
        mw_probe *run, *own;                /* one of the run's trace, once something was said while there is one; the script's taps */
    } lines[MW_ENGINE_LINES];
};

static inline int mw_engine_tapped(lua_State *L, const struct mw_engine_taps *t, enum mw_engine_line line) {
    return t->lines[line].run != NULL || t->lines[line].own != NULL || mw_tap_is_on(L);
}
/* Tells of it, if anybody wants to know.                                                                   [-0, +0, -] */
void mw_engine_tell(lua_State *L, struct mw_engine_taps *t, enum mw_engine_line line, enum mw_probe_dir dir, const char *name,
                    const char *at, size_t len);
/* The same of a call with the n values that L has from index `first`; its failure: `why` in their place.   [-0, +0, m] */
void mw_engine_tell_values(lua_State *L, struct mw_engine_taps *t, enum mw_probe_dir dir, const char *name, int first, int n);
void mw_engine_tell_failure(lua_State *L, struct mw_engine_taps *t, enum mw_probe_dir dir, const char *name, const char *why);

/* use(tap): the tap at 1.                                                                                  [-0, +0, e] */
void mw_engine_tap(lua_State *L, struct mw_engine_taps *t);
void mw_engine_taps_end(struct mw_engine_taps *t);          /* safe to repeat */

#endif
