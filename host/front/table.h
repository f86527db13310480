/* Every command and every flag of the command line, once: the parser, the help and the completions read the same rows.
 * Knows: moonwire.h.
 * Never: parses or prints. */
#ifndef MW_FRONT_TABLE_H
#define MW_FRONT_TABLE_H

#include "moonwire.h"

enum mw_command {
    MW_CMD_RUN, MW_CMD_EVAL, MW_CMD_REPL, MW_CMD_ATTACH, MW_CMD_TEST, MW_CMD_CHECK, MW_CMD_COMPLETIONS, MW_CMD_HELP, MW_CMD_VERSION,
    MW_CMD_CHILD,                   /* child-script: what a script child is started as; not for people */
    MW_COMMANDS
};

enum { MW_TOPIC_CONFINEMENT = MW_COMMANDS };    /* `help confinement`: a topic that is no command */

struct mw_command_row {
    const char *name;               /* NULL: has no word of its own (--version) */
    const char *usage;              /* what follows `moonwire ` */
    const char *summary;            /* one line; NULL: hidden */
};

enum mw_flag_does {
    MW_FLAG_RIGHT,                  /* kind and effect say which */
    MW_FLAG_ALL,
    MW_FLAG_NO_PROMPT,
    MW_FLAG_TIMEOUT,
    MW_FLAG_CLEANUP,
    MW_FLAG_LIMIT,
    MW_FLAG_POLICY,
    MW_FLAG_AUDIT,
    MW_FLAG_TRACE,
    MW_FLAG_DEBUG,
    MW_FLAG_CONFINE,
    MW_FLAG_SPIN,
    MW_FLAG_HELP
};

enum mw_flag_value { MW_VALUE_NONE, MW_VALUE_LIST, MW_VALUE_NEEDED };

struct mw_flag_row {
    const char *name;               /* with its dashes */
    const char *letter;             /* "-A", or NULL */
    enum mw_flag_does does;
    enum mw_kind kind;              /* MW_FLAG_RIGHT only, as the next */
    enum mw_effect effect;
    enum mw_flag_value takes;
    const char *value;              /* what stands for the value in the help: "PATH,..." */
    const char *text;               /* one line for the help */
    unsigned commands;              /* 1u << MW_CMD_...: where it is good */
};

const struct mw_command_row *mw_table_command(enum mw_command command);
int mw_table_command_of(const char *name);              /* or -1 */

size_t mw_table_flags(void);
const struct mw_flag_row *mw_table_flag(size_t i);

/* The word of a NULL-terminated list that `word` was probably meant to be, or NULL. */
const char *mw_table_nearest(const char *word, const char *const *list, size_t count);
const char *mw_table_nearest_command(const char *word);

#endif
