/* Ctrl-C and its kin.
 * Knows: moonwire.h, sigaction(2).
 * Never: does more in a handler than the two calls of moonwire.h that allow it. */
#ifndef MW_FRONT_SIGNALS_H
#define MW_FRONT_SIGNALS_H

#include <signal.h>

#include "moonwire.h"

/* From now on the first INT, TERM or HUP cancels the host's run, which ends with 128 + the signal; a second one ends every
 * child's group and then this process. Those that were ignored when we were started stay ignored (nohup). */
void mw_signals_watch(mw_host *h);

/* After `ns` the run is cancelled and ends with `status`, whatever the script is doing: a timer on the loop would never come
 * while Lua runs in a circle. After mw_signals_watch. */
void mw_signals_deadline(uint64_t ns, int status);

/* Between the two the time of mw_signals_deadline stands still: a person is asked. */
void mw_signals_pause(void);
void mw_signals_resume(void);
/* 1 once a signal has asked the run to end. Blocks (on 1) or lets through (on 0) those that do, so that whoever waits for one in
 * ppoll(2) misses none; `was`: the mask before. */
int mw_signals_seen(void);
/* How many Ctrl-C a prompt has taken for the line that runs, or to clear the one that is typed. */
unsigned mw_signals_breaks(void);
void mw_signals_hold(int on, sigset_t *was);

/* A prompt: from now on INT is no end of the run, but noted, and the Lua code that computes is stopped; so are TSTP, WINCH and CONT.
 * Returns a descriptor that can be read when something was noted; lent, never to be read by others; -1: no memory. */
enum { MW_NOTED_CLEAR = 1, MW_NOTED_STOP = 2, MW_NOTED_RESIZED = 4, MW_NOTED_RESUMED = 8 };
int mw_signals_prompt(void);
int mw_signals_any(void);
unsigned mw_signals_noted(void);    /* a sum of these; each is told once */
void mw_signals_prompt_over(void);  /* INT ends the run again */
/* A line runs (1), or none: while one does, a second INT ends the process as it does in a run, and a TSTP that was sent by a program
 * stops us at once. */
void mw_signals_line(int runs);

/* mw_config.on_stuck: the last resort, in a handler. Ends the children's groups and the process, with `status`. */
void mw_signals_stuck(mw_host *h, int status, void *ud);

/* From here on a fault in `h`'s shared memory is an error in its script (mw_config.mends_faults); NULL: it ends the process. */
void mw_signals_faults(mw_host *h);

/* The host is about to go, and cleans up: a first signal changes nothing now, a second one ends the process. */
void mw_signals_forget(void);

/* The program's own manners, once at its start: a closed pipe is an error of write, not a death; as many descriptors as the
 * system lets us have. Sets *files to the soft limit that was there before. */
void mw_signals_settle(uint64_t *files);

#endif
