/* Lua's patterns: one match at one place of a subject.
 * Knows: core/hook, lua.h. Never: holds memory: a match lives on its caller's stack. */
#ifndef MW_BIND_PATTERN_H
#define MW_BIND_PATTERN_H

#include <lua.h>
#include <stddef.h>

#include "core/hook.h"

#define MW_CAPTURES 32          /* of a pattern */
enum { MW_CAPTURE_OPEN = -1, MW_CAPTURE_PLACE = -2 };   /* a capture's len: not closed yet; its place only */

struct mw_match {
    const char *text, *text_end;        /* the subject; readable at its end, as Lua's strings are */
    const char *pattern_end;
    lua_State *L;
    struct mw_budget budget;
    int looks;                          /* 0, or the match raises after MW_BUDGET steps for each */
    int depth;                          /* calls of itself that are left */
    int captures;
    struct { const char *at; ptrdiff_t len; } capture[MW_CAPTURES];
};

/* Once for a subject and a pattern. */
void mw_match_init(struct mw_match *m, lua_State *L, const char *text, size_t len, const char *pattern, size_t pattern_len);
/* The end of the match of `pattern` that begins at `at`, or NULL; the captures are those of this call. Raises what is wrong with
 * the pattern, and what stops the script.                                                                    [-0, +0, e] */
const char *mw_match_at(struct mw_match *m, const char *at, const char *pattern);
/* Pushes capture i (from 0); the whole match when there are none and i is 0.                                 [-0, +1, e] */
void mw_match_push(struct mw_match *m, int i, const char *from, const char *to);
/* Pushes all; the whole match when there are none and `from` is not NULL. Returns how many.                  [-0, +n, e] */
int mw_match_push_all(struct mw_match *m, const char *from, const char *to);

#endif
