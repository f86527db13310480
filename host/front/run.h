/* The commands that make a host.
 * Knows: moonwire.h, front/.
 * Never: exits. */
#ifndef MW_FRONT_RUN_H
#define MW_FRONT_RUN_H

#include "front/flags.h"

/* Runs `run`, `eval`, `repl`, `attach`, `test`, `check` or `child-script` and returns the exit status of the program.
 * files: the soft descriptor limit that children are to have again; 0: as it is. */
int mw_run(const struct mw_flags *flags, const char *const *argv, uint64_t files);

#endif
