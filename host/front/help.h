/* What `help`, `--help` and `completions` print.
 * Knows: front/table.
 * Never: decides where it goes. */
#ifndef MW_FRONT_HELP_H
#define MW_FRONT_HELP_H

#include <stdio.h>

#include "front/table.h"

/* Explains a command, or with topic -1 the program. */
void mw_help_print(FILE *to, int topic);

/* The completion script of "bash", "zsh" or "fish". */
void mw_completions_print(FILE *to, const char *shell);

#endif
