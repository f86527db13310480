/* The terminal of the prompt: its modes as they were, for whoever ends the program.
 * Knows: termios(3). Never: libedit; sets O_NONBLOCK where others share it. */
#ifndef MW_FRONT_REPL_TTY_H
#define MW_FRONT_REPL_TTY_H

#include <termios.h>

/* Takes note of the modes of standard input's terminal; its descriptors for the prompt's own use: opened anew if they can be, so that
 * nobody else's flags are ours; *in does not block then. 0; -1: there is no terminal on standard input and output. *out may be *in. */
int mw_repl_tty_open(int *in, int *out, struct termios *was);
void mw_repl_tty_close(void);
/* An editor uses it, which asks for bracketed paste: a dumb one is sent no escape sequence. */
void mw_repl_tty_edited(void);
/* As they were, and no bracketed paste. Async-signal-safe; does nothing when none was opened. */
void mw_repl_tty_restore(void);

#endif
