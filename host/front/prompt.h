/* The question on the terminal: may the script do this?
 * Knows: moonwire.h, front/flags, the terminal.
 * Never: asks where standard input or standard error is no terminal. */
#ifndef MW_FRONT_PROMPT_H
#define MW_FRONT_PROMPT_H

#include "front/flags.h"

/* Could a person be asked in a run with these flags? Then the host must not lock itself before. */
int mw_prompt_possible(const struct mw_flags *flags);
/* From now on a missing right is asked for. */
void mw_prompt_watch(mw_host *h);
/* Called before a question is shown and after it is answered: for who has a line on the screen. */
void mw_prompt_around(void (*before)(void *ud), void (*after)(void *ud), void *ud);
/* The terminal as it was before a question that is being asked; for a signal handler that ends the process. */
void mw_prompt_restore(void);

#endif
