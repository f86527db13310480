/* --confine=auto|strict|off: the host's own lock, put on before the script is loaded.
 * Knows: moonwire.h, front/.
 * Never: exits; decides what the lock holds. */
#include "front/lock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front/prompt.h"
#include "front/report.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* A person sits there: what they may be asked for, the lock could not give. */
static int on_terminal(const struct mw_flags *flags) {
    return !flags->no_prompt && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* What is read without a right: the script; of specs and their settings, which Busted reads by itself while it runs, what the command
 * line names, and the working directory. */
static const char **free_files(const struct mw_flags *flags, struct mw_err *err) {
    const char **list = calloc(flags->arg_count + 2, sizeof *list);
    size_t n = 0;

    if (list == NULL) {
        mw_err_set(err, MW_ENOMEM, "confine", NULL, NULL);
        return NULL;
    }
    if (flags->command == MW_CMD_RUN) list[n++] = flags->args[0];
    if (flags->command == MW_CMD_TEST) list[n++] = ".";
    for (size_t i = 0; flags->command == MW_CMD_TEST && i < flags->arg_count; i++) {
        const char *word = flags->args[i], *value = strchr(word, '=');
        list[n++] = word[0] == '-' && value != NULL ? value + 1 : word;
    }
    return list;
}

static int confine(mw_host *h, const struct mw_flags *flags, struct mw_err *err) {
    const char **files = free_files(flags, err);
    int rc;

    if (files == NULL) return err->code;
    rc = mw_host_confine(h, files, err);
    free((void *)files);
    return rc;
}

static int refused(const char *why) {
    mw_report_line("--confine=strict: %s; nothing was run", why);
    return STATUS_USAGE;
}

static int unlocked(mw_host *h, const char *why) {
    mw_host_unconfined(h, why);
    return 0;
}

int mw_lock(mw_host *h, const struct mw_flags *flags, const mw_policy *policy) {
    struct mw_err err;
    int rc;

    if (flags->command == MW_CMD_CHILD) return 0; /* its parent's spawn locked it */
    if (flags->confine == MW_CONFINE_OFF) return unlocked(h, "--confine=off");
    if (flags->confine == MW_CONFINE_STRICT) {
        if (mw_prompt_possible(flags)) return refused("on a terminal a person may be asked for rights, which the lock could not give any more: add --no-prompt");
        rc = confine(h, flags, &err);
        return rc < 0 ? refused(err.what) : 0;
    }
    if (on_terminal(flags)) return unlocked(h, "a person may be asked for rights");
    if (mw_policy_is_total(policy)) return unlocked(h, "everything is allowed");
    rc = confine(h, flags, &err);
    if (rc == MW_EINVAL || rc == -EOPNOTSUPP || rc == -E2BIG) return unlocked(h, err.what);
    if (rc < 0) mw_report_failure(&err);
    return rc < 0 ? STATUS_FAILED : 0;
}
