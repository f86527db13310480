/* A script's text from standard input, and pieces of code from the command line.
 * Knows: POSIX read.
 * Never: opens a file. */
#ifndef MW_FRONT_SCRIPT_H
#define MW_FRONT_SCRIPT_H

#include "moonwire.h"

#define MW_SCRIPT_MAX (64u << 20)   /* bytes of a script from standard input */

/* Standard input to its end. Given: *text is yours to free(). */
int mw_script_stdin(char **text, size_t *len, struct mw_err *err);

/* What `eval` compiles for `code`, with its line numbers kept: an expression whose values are printed, statements of which what they return
 * is, or what nothing is added to that could mend or hide a mistake. Given. */
enum mw_eval { MW_EVAL_VALUES, MW_EVAL_STATEMENTS, MW_EVAL_SILENT };
int mw_script_eval(const char *code, enum mw_eval as, char **text, size_t *len, struct mw_err *err);

#endif
