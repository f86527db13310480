/* Processes in Lua: what the two files of this door share.
 * Knows: io/process, lua.h. Never: a syscall. */
#ifndef MW_BIND_PROCESS_H
#define MW_BIND_PROCESS_H

#include <lua.h>

#include "io/process.h"

#define MW_PROCESS_TYPE "mw.process"
#define MW_PIPE_END_TYPE "mw.pipe_end"

/* How a child is used decides its defaults. */
enum mw_process_use { MW_USE_RUN, MW_USE_SPAWN, MW_USE_LINES, MW_USE_PIPE, MW_USE_POOL };     /* POOL: a script, or a program to talk to;
                                                                                                * the end of its standard error is kept */

/* An end of a pipe between two children; -1 once it was given away. */
struct mw_pipe_end {
    int fd;
};

/* The process in the box at idx (lent by it); raises when there is none. */
mw_process *mw_process_check(lua_State *L, int idx);

/* Pushes a copy of the table at `idx`, and of those in it down to `depth` levels: nobody but us can change it while it is read, and
 * the strings in it live as long as it does.                                                          [-0, +1, e] */
void mw_process_options_copy(lua_State *L, int idx, int depth);
#define MW_PROCESS_OPTIONS_DEPTH 2    /* sandbox.read is a list in a table in the options */

/* Reads the option table at `idx` (raw, once) into *o and pushes what keeps it alive; the first pushed value is the table of
 * arguments. Ends of pipes stay in their boxes until mw_process_ends_given. Raises EINVAL; `o->policy` is not set here.
 *                                                                                                    [-0, +n, e] */
void mw_process_options_read(lua_State *L, int idx, enum mw_process_use use, struct mw_process_options *o);
/* Options `sandbox` and `limits` of the table at `idx`, likewise.                                       [-0, +n, e] */
void mw_process_sandbox_read(lua_State *L, int idx, struct mw_process_options *o);
void mw_process_limits_read(lua_State *L, int idx, struct mw_process_options *o);
/* Option `share`: takes apart what it names into o->shares, and pushes what keeps that alive. 0 or a code: some of it cannot be shared.
 * The last thing before the start.                                                                    [-0, +n, e] */
int mw_process_shares_read(lua_State *L, int idx, struct mw_process_options *o, struct mw_err *err);
/* The child has started, or has not and things become ours again where they can: what lies above `from` on the stack is let go. */
void mw_process_shares_done(lua_State *L, int idx, int from, int started);
/* The boxes of the ends that `o` names are empty from now on. */
void mw_process_ends_given(lua_State *L, int idx);

/* Reads option `permissions` of the table at `idx`: how many wishes (their array is pushed), or -1 for "inherit".
 *                                                                                                    [-0, +1, e] */
int mw_process_wishes_read(lua_State *L, int idx, const char *op, struct mw_grant_wish **out);

/* "TERM" for 15; NULL for a number without a name. / The number of "TERM", "SIGTERM", or 0. */
const char *mw_process_signal_name(int number);
int mw_process_signal_number(const char *name);
/* The signal that the value is a name or a number of; anything else raises, and says which names there are.     [-0, +0, e] */
int mw_process_signal_read(lua_State *L, int idx, const char *op, const char *what);

#endif
