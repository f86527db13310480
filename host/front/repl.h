/* `moonwire repl` and `moonwire attach`: lines in, a session of the host that answers them.
 * Knows: moonwire.h, front/. Never: libedit; evaluates anything: the session (moonwire.repl, moonwire.attach) does. */
#ifndef MW_FRONT_REPL_H
#define MW_FRONT_REPL_H

#include "front/flags.h"

struct mw_repl;

/* Before the host: opens the terminal, the editor and the history, while the process may still open anything, and sets the hooks of
 * *cfg, cfg->ud included. Given. */
int mw_repl_new(const struct mw_flags *flags, struct mw_config *cfg, struct mw_repl **out, struct mw_err *err);
void mw_repl_free(struct mw_repl *r);

/* Runs the session to its end, and the host with it. *status: for the shell. */
int mw_repl_run(struct mw_repl *r, mw_host *h, int *status, struct mw_err *err);

#endif
