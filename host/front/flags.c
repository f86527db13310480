/* The command line as a record: one pass, no guessing; whatever is not understood is refused.
 * Knows: moonwire.h, front/table.
 * Never: prints, opens, reads the environment, applies anything. */
#include "front/flags.h"

#include <stdlib.h>
#include <string.h>

#define CENTURY_NS (100ull * 366 * 24 * 3600 * 1000000000ull)
#define CLEANUP_MAX_MS 86400000u

/* A refusal: `what` for the person; the hint names where help is. */
static int refuse(const struct mw_flags *flags, struct mw_err *err, const char *format, const char *word, const char *other) {
    const char *name = flags->command == MW_CMD_HELP ? NULL : mw_table_command(flags->command)->name; /* help of help: the list */
    char shown[96], also[200];

    mw_err_escape(shown, sizeof shown, word, strlen(word));
    mw_err_escape(also, sizeof also, other, strlen(other));
    mw_err_setf(err, MW_EINVAL, "moonwire", NULL, format, shown, also);
    mw_err_hint(err, "moonwire help%s%s", name == NULL ? "" : " ", name == NULL ? "" : name);
    return MW_EINVAL;
}

/* Does `arg` spell this row? Sets *value to what follows the `=`, or NULL. */
static int spells(const struct mw_flag_row *row, const char *arg, const char **value) {
    size_t len = strlen(row->name);

    *value = NULL;
    if (row->letter != NULL && strcmp(arg, row->letter) == 0) return 1;
    if (strncmp(arg, row->name, len) != 0) return 0;
    if (arg[len] == '=') *value = arg + len + 1;
    return arg[len] == '=' || arg[len] == '\0';
}

static const struct mw_flag_row *find(enum mw_command command, const char *arg, const char **value) {
    for (size_t i = 0; i < mw_table_flags(); i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        if ((row->commands & 1u << command) && spells(row, arg, value)) return row;
    }
    return NULL;
}

static int unknown(const struct mw_flags *flags, const char *arg, struct mw_err *err) {
    const char *names[64];
    const char *near;
    char word[32];
    size_t count = 0, len = strcspn(arg, "=");

    for (size_t i = 0; i < mw_table_flags() && count < 64; i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        if (row->commands & 1u << flags->command) names[count++] = row->name;
    }
    if (len >= sizeof word) len = sizeof word - 1;
    memcpy(word, arg, len);
    word[len] = '\0';
    near = mw_table_nearest(word, names, count);
    if (near != NULL) return refuse(flags, err, "unknown option %s (did you mean %s?)", word, near);
    return refuse(flags, err, "unknown option %s", word, "");
}

/* "250ms", "1.5s", "2" (seconds) to nanoseconds; 0 if it is nothing of the kind, or not above zero. */
static uint64_t duration(const char *text) {
    static const struct { const char *unit; uint64_t ns; } units[] = {
        { "", 1000000000ull }, { "s", 1000000000ull }, { "ms", 1000000ull }, { "us", 1000ull }, { "ns", 1 },
        { "m", 60000000000ull }, { "h", 3600000000000ull }, { "d", 86400000000000ull },
    };
    const char *p = text;
    double value = 0, scale = 1;
    int digits = 0;

    for (; *p >= '0' && *p <= '9'; p++, digits++) value = value * 10 + (*p - '0');
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, digits++) value += (*p - '0') * (scale /= 10);
    }
    if (digits == 0 || digits > 30) return 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        double ns = value * (double)units[i].ns;
        if (strcmp(p, units[i].unit) == 0) return ns < (double)CENTURY_NS ? (uint64_t)ns : 0;
    }
    return 0;
}

static int set_timeout(struct mw_flags *flags, const char *text, const char *source, struct mw_err *err) {
    uint64_t ns = duration(text);

    if (ns == 0) {
        return refuse(flags, err, "%s=%s is no duration: write 250ms, 2s, 5m or 1h (above zero, below a century)", source, text);
    }
    flags->timeout_ns = ns;
    flags->timeout_text = text;
    return 0;
}

static int set_cleanup(struct mw_flags *flags, const char *text, struct mw_err *err) {
    uint64_t ms = duration(text) / 1000000;

    if (ms == 0 || ms > CLEANUP_MAX_MS) {
        return refuse(flags, err, "--cleanup=%s is no duration between 1ms and 1d: write 500ms, 30s or 5m", text, "");
    }
    flags->cleanup_ms = (unsigned)ms;
    return 0;
}

int mw_flags_timeout(struct mw_flags *flags, const char *text, const char *source, struct mw_err *err) {
    return flags->timeout_ns != 0 ? 0 : set_timeout(flags, text, source, err);
}

static int set_limits(struct mw_flags *flags, const char *text, const char *source, struct mw_err *err) {
    struct mw_err why;

    if (mw_limits_parse(&flags->limits, text, &why) == 0) return 0;
    return refuse(flags, err, "%s: %s", source, why.what);
}

int mw_flags_limits(struct mw_flags *flags, const char *text, const char *source, struct mw_err *err) {
    struct mw_limits said = flags->limits, least = flags->limits, *now = &flags->limits;
    uint64_t step = now->step_ns;

    memset(now, 0, sizeof *now);
    if (set_limits(flags, text, source, err) < 0) return MW_EINVAL;
    mw_limits_fill(&least);
    if (step == 0 && flags->all) least.step_ns = MW_LIMIT_OFF;
    mw_limits_least(&said, &least, now);
    *now = said;
    return 0;
}

static int set_spin(struct mw_flags *flags, const char *value, struct mw_err *err) {
    char *end = NULL;
    unsigned long us;

    if (strcmp(value, "auto") == 0) return flags->spin_us = 0, 0;
    if (strcmp(value, "off") == 0) return flags->spin_us = MW_SPIN_NEVER, 0;
    us = value[0] >= '0' && value[0] <= '9' ? strtoul(value, &end, 10) : 0;
    if (us == 0 || us > MW_SPIN_MAX_US || *end != '\0') {
        return refuse(flags, err, "--spin=%s: auto, off or microseconds (1 to 10000) are expected", value, "");
    }
    flags->spin_us = (int)us;
    return 0;
}

static int check_value(const struct mw_flags *flags, const struct mw_flag_row *row, const char *value, struct mw_err *err) {
    if (row->takes == MW_VALUE_NONE && value != NULL) return refuse(flags, err, "%s takes no value", row->name, "");
    if (row->takes == MW_VALUE_NEEDED && (value == NULL || *value == '\0')) {
        if (row->does == MW_FLAG_LIMIT) return refuse(flags, err, "%s needs a value: %s=memory=64MiB,step=2s", row->name, row->name);
        if (row->does == MW_FLAG_CONFINE) return refuse(flags, err, "%s needs a value: %s=strict", row->name, row->name);
        if (row->does == MW_FLAG_SPIN) return refuse(flags, err, "%s needs a value: %s=off", row->name, row->name);
        if (row->does == MW_FLAG_DEBUG) return refuse(flags, err, "%s needs a value: %s=unix:/run/user/1000/app.sock", row->name, row->name);
        if (row->does == MW_FLAG_TRACE) return refuse(flags, err, "%s needs a value: %s=FILE.jsonl", row->name, row->name);
        return refuse(flags, err, row->does == MW_FLAG_TIMEOUT || row->does == MW_FLAG_CLEANUP ? "%s needs a value: %s=2s" : "%s needs a value: %s=FILE", row->name, row->name);
    }
    if (row->does == MW_FLAG_RIGHT && value != NULL && *value == '\0') {
        return refuse(flags, err, "%s= names nothing; without the = it means everything", row->name, "");
    }
    return 0;
}

static int set_file(struct mw_flags *flags, const char **slot, const struct mw_flag_row *row, const char *value, struct mw_err *err) {
    if (*slot != NULL) return refuse(flags, err, "%s is given twice", row->name, "");
    if (row->does == MW_FLAG_AUDIT && strcmp(value, "-") == 0) /* who can write to standard error could forge it unnoticed */
        return refuse(flags, err, "%s=- names no file: %s=/dev/stderr is standard error, where the script writes, too", row->name, row->name);
    *slot = value;
    return 0;
}

static int set_confine(struct mw_flags *flags, const char *value, struct mw_err *err) {
    static const char *const words[] = { "auto", "strict", "off" };     /* as enum mw_confine */

    for (int i = 0; i < 3; i++) {
        if (strcmp(value, words[i]) == 0) return flags->confine = (enum mw_confine)i, 0;
    }
    return refuse(flags, err, "--confine=%s: auto, strict or off is expected", value, "");
}

static int apply(struct mw_flags *flags, const struct mw_flag_row *row, const char *arg, const char *value, struct mw_err *err) {
    int rc = check_value(flags, row, value, err);

    if (rc < 0) return rc;
    switch (row->does) {
    case MW_FLAG_RIGHT:
        flags->rights[flags->right_count++] = (struct mw_right){ row->kind, row->effect, value, arg };
        return 0;
    case MW_FLAG_ALL: flags->all = 1; return 0;
    case MW_FLAG_NO_PROMPT: flags->no_prompt = 1; return 0;
    case MW_FLAG_TIMEOUT: return set_timeout(flags, value, "--timeout", err);
    case MW_FLAG_CLEANUP: return set_cleanup(flags, value, err);
    case MW_FLAG_LIMIT: return set_limits(flags, value, row->name, err);
    case MW_FLAG_POLICY: return set_file(flags, &flags->policy, row, value, err);
    case MW_FLAG_CONFINE: return set_confine(flags, value, err);
    case MW_FLAG_SPIN: return set_spin(flags, value, err);
    case MW_FLAG_TRACE: return set_file(flags, &flags->trace, row, value, err);
    case MW_FLAG_DEBUG: return set_file(flags, &flags->debug, row, value, err);
    case MW_FLAG_AUDIT: return set_file(flags, &flags->audit, row, value, err);
    case MW_FLAG_HELP:
        flags->topic = (int)flags->command;
        flags->command = MW_CMD_HELP;
        return 0;
    }
    return 0;
}

/* What is left once every option is read must fit the command. */
static int check_operands(const struct mw_flags *flags, struct mw_err *err) {
    static const char *const shells[] = { "bash", "zsh", "fish" };

    switch (flags->command) {
    case MW_CMD_RUN:
    case MW_CMD_CHILD:
        if (flags->arg_count == 0) return refuse(flags, err, "no script given", "", "");
        return 0;
    case MW_CMD_CHECK:
        if (flags->arg_count == 0) return refuse(flags, err, "no script given", "", "");
        return 0;
    case MW_CMD_EVAL:
        if (flags->arg_count == 0) return refuse(flags, err, "no code given", "", "");
        return 0;
    case MW_CMD_REPL:
        if (flags->arg_count != 0) return refuse(flags, err, "repl takes no script: %s is one for `moonwire run`, or for .load", flags->args[0], "");
        return 0;
    case MW_CMD_ATTACH:
        if (flags->arg_count != 1) return refuse(flags, err, "name one socket: unix:PATH", "", "");
        return 0;
    case MW_CMD_COMPLETIONS:
        if (flags->arg_count != 1) return refuse(flags, err, "name one shell: bash, zsh or fish", "", "");
        for (size_t i = 0; i < 3; i++) {
            if (strcmp(flags->args[0], shells[i]) == 0) return 0;
        }
        return refuse(flags, err, "no completions for %s: bash, zsh or fish", flags->args[0], "");
    default: return 0;
    }
}

/* `help [COMMAND]`: the operand becomes the topic. */
static int help_topic(struct mw_flags *flags, struct mw_err *err) {
    const char *near;
    int topic;

    if (flags->topic >= 0 || flags->arg_count == 0) return 0;
    if (strcmp(flags->args[0], "confinement") == 0) return flags->topic = MW_TOPIC_CONFINEMENT, 0;
    topic = mw_table_command_of(flags->args[0]);
    if (topic < 0 || mw_table_command((enum mw_command)topic)->summary == NULL) {
        near = mw_table_nearest_command(flags->args[0]);
        if (near != NULL) return refuse(flags, err, "no command is called %s (did you mean %s?)", flags->args[0], near);
        return refuse(flags, err, "no command is called %s", flags->args[0], "");
    }
    flags->topic = topic;
    return 0;
}

/* The first word: a command, --help, --version, or the short form of run. Sets *at to where the rest begins. */
static int first_word(int argc, const char *const *argv, struct mw_flags *flags, int *at, struct mw_err *err) {
    const char *word = argc > 1 ? argv[1] : NULL;
    int command;

    *at = 2;
    flags->command = MW_CMD_HELP;
    if (word == NULL) return refuse(flags, err, "no command and no script given", "", "");
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return 0;
    if (strcmp(word, "--version") == 0 || strcmp(word, "-v") == 0 || strcmp(word, "-V") == 0) {
        flags->command = MW_CMD_VERSION;
        return 0;
    }
    command = mw_table_command_of(word);
    if (command >= 0) {
        flags->command = (enum mw_command)command;
        return 0;
    }
    *at = 1;
    flags->command = MW_CMD_RUN;
    flags->bare = word[0] != '-' && strpbrk(word, "/.") == NULL;
    return 0;
}

static int refuse_common(const struct mw_flags *flags, const char *arg, struct mw_err *err) {
    if (flags->command != MW_CMD_TEST) return unknown(flags, arg, err);
    if (strncmp(arg, "--allow", 7) == 0 || strncmp(arg, "--deny", 6) == 0 || strncmp(arg, "--trust", 7) == 0) {
        return unknown(flags, arg, err); /* not Busted's: a slip */
    }
    return 0;
}

static int read_rest(int argc, const char *const *argv, int at, struct mw_flags *flags, struct mw_err *err) {
    int one_operand = flags->command == MW_CMD_RUN || flags->command == MW_CMD_EVAL; /* the rest is the script's */
    int literal = flags->command == MW_CMD_CHILD;
    int rc;

    for (; at < argc; at++) {
        const char *arg = argv[at], *value = NULL;
        int option = !literal && arg[0] == '-' && arg[1] != '\0';
        const struct mw_flag_row *row = option ? find(flags->command, arg, &value) : NULL;

        if (option && strcmp(arg, "--") == 0) {
            literal = 1;
            continue;
        }
        if (row != NULL) {
            rc = apply(flags, row, arg, value, err);
            if (rc < 0) return rc;
            if (row->does == MW_FLAG_HELP) return 0;
            continue;
        }
        if (option) {
            rc = refuse_common(flags, arg, err);
            if (rc < 0) return rc;
        }
        if (flags->arg_count == 0) flags->arg_first = (size_t)at;
        flags->args[flags->arg_count++] = arg;
        literal |= one_operand;
    }
    return 0;
}

int mw_flags_parse(int argc, const char *const *argv, struct mw_flags *out, struct mw_err *err) {
    size_t room = (size_t)(argc > 0 ? argc : 0) + 2;
    int at, rc;

    memset(out, 0, sizeof *out);
    out->topic = -1;
    out->words = calloc(room, sizeof *out->words);
    out->rights = calloc(room, sizeof *out->rights);
    if (out->words == NULL || out->rights == NULL) return mw_err_set(err, MW_ENOMEM, "moonwire", NULL, NULL);

    out->args = out->words + 1;
    rc = first_word(argc, argv, out, &at, err);
    out->words[0] = mw_table_command(out->command)->name;
    if (rc == 0) rc = read_rest(argc, argv, at, out, err);
    if (rc == 0 && out->command == MW_CMD_HELP) rc = help_topic(out, err);
    if (rc == 0) rc = check_operands(out, err);
    return rc;
}

void mw_flags_free(struct mw_flags *flags) {
    free(flags->words);
    free(flags->rights);
    flags->words = flags->args = NULL;
    flags->rights = NULL;
}
