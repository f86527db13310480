/* The commands that make a host: rights in, a script, an exit status out.
 * Knows: moonwire.h, front/.
 * Never: exits; opens a file. */
#include "front/run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "front/lock.h"
#include "front/prompt.h"
#include "front/repl.h"
#include "front/report.h"
#include "front/script.h"
#include "front/signals.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_DENIED = 77, STATUS_TIMED_OUT = 124, STATUS_UNREADABLE = 126, STATUS_MISSING = 127 };
enum { PARENT_FD = 3 };     /* where a script child finds what its parent decided */

/* What a refused load means to the shell. */
static int load_status(const struct mw_err *err) {
    switch (err->code) {
    case MW_ENOENT:
    case -ENOTDIR: return STATUS_MISSING;
    case MW_ELUA:
    case MW_ENOMEM: return STATUS_FAILED;
    default: return STATUS_UNREADABLE;
    }
}

static int failed(const struct mw_err *err, int status) {
    mw_report_failure(err);
    return status;
}

/* attach: that one socket, and nothing else. A comma would begin another rule. */
static int allow_socket(mw_policy *p, const char *url, struct mw_err *err) {
    char rule[2 * PATH_MAX];
    size_t n = 0;
    int rc;

    for (; *url != '\0' && n < sizeof rule - 2; url++) {
        if (*url == ',') rule[n++] = '\\';
        rule[n++] = *url;
    }
    rule[n] = '\0';
    rc = strncmp(rule, "unix:", 5) != 0 ? mw_err_set(err, MW_EINVAL, "attach", rule, "only unix:PATH can be attached to")
                                         : mw_policy_add(p, MW_CONNECT, MW_ALLOW, rule, err);
    if (rc < 0) mw_report_failure(err);
    return rc;
}

/* The flags as a policy. A rule that cannot be read is the person's mistake: the error shows where in it. */
static int make_policy(const struct mw_flags *flags, mw_policy **out, struct mw_err *err) {
    mw_policy *p = NULL;
    int rc = mw_policy_new(&p, err);

    if (rc == 0 && flags->policy != NULL) rc = mw_policy_add_file(p, flags->policy, err);
    if (rc == 0 && flags->all) rc = mw_policy_add_all(p, err);
    if (rc < 0) mw_report_failure(err);
    for (size_t i = 0; rc == 0 && i < flags->right_count; i++) {
        const struct mw_right *right = &flags->rights[i];
        rc = mw_policy_add(p, right->kind, right->effect, right->rules, err);
        if (rc < 0) mw_report_rule(right->text, err);
    }
    if (rc == 0 && flags->command == MW_CMD_ATTACH) rc = allow_socket(p, flags->args[0], err);
    if (rc < 0) {
        mw_policy_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

/* Whether it compiles. */
static int reads_as(mw_host *h, const char *code, enum mw_eval as) {
    char *text = NULL;
    size_t len = 0;
    int well = mw_script_eval(code, as, &text, &len, NULL) == 0 && mw_host_check(h, text, len, "=eval", NULL) == 0;

    free(text);
    return well;
}
/* Compiles and starts what eval got: as an expression if it is one, else as statements; what is neither is refused as it was written. */
static int load_code(mw_host *h, const char *code, struct mw_err *err) {
    enum mw_eval as = reads_as(h, code, MW_EVAL_VALUES)   ? MW_EVAL_VALUES
                      : reads_as(h, code, MW_EVAL_SILENT) ? MW_EVAL_STATEMENTS
                                                          : MW_EVAL_SILENT;
    char *text = NULL;
    size_t len = 0;
    int rc = mw_script_eval(code, as, &text, &len, err);

    if (rc == 0) rc = mw_host_load_string(h, text, len, "=eval", err);
    free(text);
    return rc;
}

static int load_stdin(mw_host *h, struct mw_err *err) {
    char *text = NULL;
    size_t len = 0;
    int rc = mw_script_stdin(&text, &len, err);

    if (rc == 0) rc = mw_host_load_string(h, text, len, "=stdin", err);
    free(text);
    return rc;
}

static int load(mw_host *h, const struct mw_flags *flags, struct mw_err *err) {
    if (flags->command == MW_CMD_TEST) return mw_host_start_module(h, "moonwire.test", "main", err);
    if (flags->command == MW_CMD_EVAL) return load_code(h, flags->args[0], err);
    if (flags->command == MW_CMD_RUN && strcmp(flags->args[0], "-") == 0) return load_stdin(h, err);
    return mw_host_load_file(h, flags->args[0], err);
}

/* `moonwire x.lua --allow-read`: what stands behind the script is the script's. */
static void show_misplaced(const struct mw_flags *flags) {
    for (size_t i = 1; i < flags->arg_count; i++) {
        const char *arg = flags->args[i];
        if (strcmp(arg, "--") == 0) return;
        if (strncmp(arg, "--allow-", 8) != 0 && strncmp(arg, "--trust-run", 11) != 0 && strcmp(arg, "-A") != 0) continue;
        mw_report_line("%.200s stands behind %.200s and is its argument: rights come before it", arg, flags->command == MW_CMD_RUN ? flags->args[0] : "the code");
        return;
    }
}

/* `moonwire --allow-read data x.lua`: the list was taken for the script. */
static void show_split(const struct mw_flags *flags) {
    const struct mw_right *last = flags->right_count > 0 ? &flags->rights[flags->right_count - 1] : NULL;

    if (flags->command != MW_CMD_RUN || last == NULL || last->rules != NULL || flags->arg_count < 2 || access(flags->args[1], F_OK) < 0) return;
    mw_report_line("%.200s is for everything; for %.200s alone write %.200s=%.200s", last->text, flags->args[0], last->text, flags->args[0]);
}

/* The signals are ours before anything is made that must be taken away, the clock before the script's first line. */
static int run_host(mw_host *h, const struct mw_flags *flags, const mw_policy *policy, struct mw_repl *repl) {
    struct timespec began, ended;
    struct mw_err err;
    uint64_t took_ns;
    int status = 0, rc;

    mw_signals_watch(h);
    status = mw_lock(h, flags, policy); /* before a task is there that could run */
    if (status != 0) return status;
    rc = repl != NULL ? 0 : load(h, flags, &err);
    if (rc < 0 && !mw_signals_seen()) {
        status = failed(&err, load_status(&err));
        if (status != STATUS_FAILED) show_split(flags);
        return status;
    }
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (mw_prompt_possible(flags)) mw_prompt_watch(h);
    if (flags->timeout_ns > 0) mw_signals_deadline(flags->timeout_ns, STATUS_TIMED_OUT);
    rc = repl != NULL ? mw_repl_run(repl, h, &status, &err) : mw_host_run(h, &status, &err);
    if (rc < 0) return failed(&err, STATUS_FAILED);

    clock_gettime(CLOCK_MONOTONIC, &ended);
    took_ns = (uint64_t)(ended.tv_sec - began.tv_sec) * 1000000000u + (uint64_t)ended.tv_nsec - (uint64_t)began.tv_nsec;
    if (status == STATUS_TIMED_OUT && flags->timeout_ns > 0 && took_ns >= flags->timeout_ns) {
        mw_report_line("%s: timed out after %s", flags->args[0] != NULL ? flags->args[0] : mw_table_command(flags->command)->name, flags->timeout_text);
    }
    if (status == STATUS_DENIED) show_misplaced(flags);
    return status;
}

static int check_scripts(mw_host *h, const struct mw_flags *flags) {
    int status = 0;

    for (size_t i = 0; i < flags->arg_count; i++) {
        struct mw_err err;
        char *text = NULL;
        size_t len = 0;
        int rc;
        if (strcmp(flags->args[i], "-") == 0) {
            rc = mw_script_stdin(&text, &len, &err);
            if (rc == 0) rc = mw_host_check(h, text, len, "=stdin", &err);
            free(text);
        } else {
            rc = mw_host_check_file(h, flags->args[i], &err);
        }
        if (rc == 0) continue;
        mw_report_failure(&err);
        status = STATUS_FAILED;
    }
    return status;
}

static int no_busted(const struct mw_err *err) {
    if (strstr(err->what, "not found:") == NULL) return failed(err, STATUS_FAILED);
    mw_report_line("Busted is not installed: on Debian the package is lua-busted, elsewhere `luarocks install busted`");
    return STATUS_FAILED;
}

/* `arg`: the script at 0, what follows above, the program and its options below, as lua does. */
static void set_args(struct mw_config *cfg, const struct mw_flags *flags, const char *const *argv) {
    int script = flags->command == MW_CMD_RUN || flags->command == MW_CMD_EVAL;

    cfg->args = script ? argv : flags->command == MW_CMD_CHILD || flags->command == MW_CMD_CHECK ? flags->args : flags->words;
    cfg->args_zero = script ? flags->arg_first : 0;
}

/* The script's own file; NULL when there is none. A folder that is named by way of ".." gets its plain name: what lies beside the
 * script is the script's to read, but not to find out what lies on a way there. */
static const char *script_path(const struct mw_flags *flags, char plain[PATH_MAX]) {
    int file = flags->command == MW_CMD_CHILD || (flags->command == MW_CMD_RUN && strcmp(flags->args[0], "-") != 0);
    const char *path = file ? flags->args[0] : NULL, *leaf = file ? strrchr(path, '/') : NULL;
    char folder[PATH_MAX];
    size_t len = leaf != NULL ? (size_t)(leaf - path) : 0;

    if (leaf == NULL || len >= sizeof folder || (strncmp(path, "../", 3) != 0 && strstr(path, "/../") == NULL)) return path;
    memcpy(folder, path, len);
    folder[len] = '\0';
    if (realpath(folder, plain) == NULL || strlen(plain) + strlen(leaf) >= PATH_MAX) return path;
    if (plain[1] == '\0') plain[0] = '\0';
    return strcat(plain, leaf);
}

int mw_run(const struct mw_flags *flags, const char *const *argv, uint64_t files) {
    static const char *const busted[] = { "busted", NULL };
    struct mw_config cfg;
    struct mw_err err;
    mw_policy *policy = NULL;
    mw_host *h = NULL;
    struct mw_repl *repl = NULL;
    char plain[PATH_MAX];
    int status;

    mw_config_init(&cfg);
    cfg.on_error = mw_report_uncaught;
    cfg.child_files = files;
    cfg.program = "/proc/self/exe";
    cfg.script_path = script_path(flags, plain);
    cfg.signals = 1;
    cfg.command_line = 1;
    cfg.pipe_ends = 1;
    cfg.mends_faults = 1;
    cfg.preempt = MW_PREEMPT_TIMER;
    cfg.on_stuck = mw_signals_stuck;
    cfg.limits = flags->limits;
    cfg.spin_us = flags->spin_us;
    if (flags->cleanup_ms != 0) cfg.cleanup_ms = cfg.shutdown_ms = flags->cleanup_ms;
    set_args(&cfg, flags, argv);
    if (flags->command == MW_CMD_CHILD) {
        if (mw_config_from_parent(PARENT_FD, &cfg, &policy, &err) < 0) return failed(&err, STATUS_USAGE);
    } else if (make_policy(flags, &policy, &err) < 0) {
        return err.code == MW_ENOMEM ? STATUS_FAILED : STATUS_USAGE;
    }
    cfg.policy = policy;
    if (flags->audit != NULL && mw_config_audit(&cfg, flags->audit, &err) < 0) {
        mw_policy_free(policy);
        return failed(&err, STATUS_USAGE);
    }
    if (flags->trace != NULL && mw_config_trace(&cfg, flags->trace, &err) < 0) {
        mw_policy_free(policy);
        return failed(&err, STATUS_USAGE);
    }
    if (flags->debug != NULL && mw_config_debug(&cfg, flags->debug, &err) < 0) {
        mw_policy_free(policy);
        return failed(&err, STATUS_USAGE);
    }

    if (flags->command == MW_CMD_REPL || flags->command == MW_CMD_ATTACH) {
        if (mw_repl_new(flags, &cfg, &repl, &err) < 0) {
            mw_policy_free(policy);
            return failed(&err, STATUS_FAILED);
        }
    }
    if (mw_host_new(&cfg, &h, &err) == 0) mw_signals_faults(h);
    if (h == NULL) status = failed(&err, STATUS_FAILED);
    else if (flags->command == MW_CMD_CHECK) status = check_scripts(h, flags);
    else if (flags->command == MW_CMD_TEST && mw_host_preload(h, busted, &err) < 0) status = no_busted(&err);
    else status = run_host(h, flags, policy, repl);

    mw_signals_forget();
    mw_host_free(h);
    mw_repl_free(repl);
    mw_signals_faults(NULL);
    mw_policy_free(policy);
    return status;
}
