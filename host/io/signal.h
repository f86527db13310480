/* A signal that a script asked for: counted, and waited for.
 * Knows: base, core/host, core/wait, uv.h. Never: Lua values; a signal nobody asked for.
 *
 * Watching changes how the whole process takes that signal (uv_signal, signal(7)); what stood there before (the command
 * line's own handler of INT and TERM) is put back when the watch ends. So an embedder must allow it: core/host.h's hooks. */
#ifndef MW_IO_SIGNAL_H
#define MW_IO_SIGNAL_H

#include "core/host.h"
#include "core/wait.h"

typedef struct mw_signal mw_signal;

/* name: "HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "CONT", "TSTP", "TTIN", "TTOU", "WINCH" (with or without "SIG").
 * Given. MW_EINVAL: another name; MW_EDENIED: the embedder keeps signals to itself. */
int mw_signal_open(mw_host *h, const char *name, mw_signal **out, struct mw_err *err);
void mw_signal_close(mw_signal *s);      /* idempotent; wakes all who wait */
void mw_signal_free(mw_signal *s);       /* closes, and drops the caller's reference; NULL is fine */
int mw_signal_closed(const mw_signal *s);
/* Takes one arrival: 1, 0 (none: wait on mw_signal_ready), MW_ECLOSED. What comes twice before it is taken counts once. */
int mw_signal_take(mw_signal *s);
struct mw_wait *mw_signal_ready(mw_signal *s);
/* libuv leaves the default action behind its last watcher of a signal, whatever stood there before: puts that back. */
struct sigaction;
void mw_signal_restore(int number, const struct sigaction *before);
/* Once a watch has begun: what stood there *before is the default action if it was libuv's own handler, for another watch: that one may
 * end first, and a handler of libuv's that nobody watches with would swallow the signal. */
void mw_signal_taken(int number, struct sigaction *before);
const char *mw_signal_name(const mw_signal *s);  /* without SIG; static */

#endif
