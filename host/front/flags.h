/* The command line as a record.
 * Knows: moonwire.h, front/table.
 * Never: prints, opens, reads the environment, applies anything. */
#ifndef MW_FRONT_FLAGS_H
#define MW_FRONT_FLAGS_H

#include "front/table.h"

struct mw_right {
    enum mw_kind kind;
    enum mw_effect effect;
    const char *rules;              /* lent by argv; NULL: everything of the kind */
    const char *text;               /* the whole argument, for messages */
};

enum mw_confine { MW_CONFINE_AUTO, MW_CONFINE_STRICT, MW_CONFINE_OFF };

struct mw_flags {
    enum mw_command command;
    int topic;                      /* MW_CMD_HELP: on which command; -1: all of them */
    int bare;                       /* 1: a first word that is neither a command nor looks like a file */
    struct mw_right *rights;        /* in the order given */
    size_t right_count;
    int all;                        /* -A */
    int no_prompt;
    uint64_t timeout_ns;            /* 0: none */
    unsigned cleanup_ms;            /* 0: the default */
    const char *timeout_text;       /* as it was written; NULL: none */
    struct mw_limits limits;        /* what --limit says; 0: nothing */
    const char **words;             /* args with the command's name before them */
    const char **args;              /* NULL-terminated: SCRIPT ARGS, CODE ARGS, what goes to Busted, SCRIPTs, the shell */
    const char *policy, *audit, *trace;     /* files; NULL: none */
    const char *debug;              /* unix:PATH; NULL: none */
    enum mw_confine confine;
    int spin_us;                    /* as struct mw_config has it */
    size_t arg_count;
    size_t arg_first;               /* where args begins in argv (run, eval, child-script) */
};

/* Reads argv into *out; lends its strings. Given, also after a failure: end it with mw_flags_free().
 * Returns 0, MW_ENOMEM, or MW_EINVAL with err->what for the person and err->hint naming the command to ask for help. */
int mw_flags_parse(int argc, const char *const *argv, struct mw_flags *out, struct mw_err *err);
void mw_flags_free(struct mw_flags *flags);

/* The option `--limit` from another place ("MOONWIRE_LIMIT"): the lower of the two counts, and of it and the default. */
int mw_flags_limits(struct mw_flags *flags, const char *text, const char *source, struct mw_err *err);

/* The option `--timeout` from another place (`source`: "MOONWIRE_TIMEOUT"); what the command line says wins. */
int mw_flags_timeout(struct mw_flags *flags, const char *text, const char *source, struct mw_err *err);

#endif
