/* The command line's parser: what each word means, and that nothing is guessed or ignored.
 * Knows: front/flags, by inclusion (the program's own files are in no library). Never: a file, a host. */
#include "support/check.h"

#include "front/flags.c"
#include "front/table.c"

#define PARSE(flags, err, ...) parse((const char *const[]){ "moonwire", __VA_ARGS__, NULL }, &(flags), &(err))

static int parse(const char *const *argv, struct mw_flags *out, struct mw_err *err) {
    int argc = 0;

    while (argv[argc] != NULL) argc++;
    memset(err, 0, sizeof *err);
    return mw_flags_parse(argc, argv, out, err);
}

TEST(a_script_alone_is_run_with_its_arguments_untouched) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "a.lua", "--allow-read", "-x") == 0);
    CHECK(f.command == MW_CMD_RUN && f.right_count == 0 && f.bare == 0);
    CHECK(f.arg_count == 3 && f.arg_first == 1);
    CHECK(strcmp(f.args[0], "a.lua") == 0 && strcmp(f.args[1], "--allow-read") == 0 && f.args[3] == NULL);
    mw_flags_free(&f);
}

TEST(rights_keep_their_order_and_their_rules) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "--allow-read=/a,/b", "--deny-read=/a/c", "--allow-net", "--trust-run=git", "-A", "x.lua") == 0);
    CHECK(f.right_count == 4 && f.all == 1);
    CHECK(f.rights[0].kind == MW_READ && f.rights[0].effect == MW_ALLOW && strcmp(f.rights[0].rules, "/a,/b") == 0);
    CHECK(f.rights[1].kind == MW_READ && f.rights[1].effect == MW_DENY && strcmp(f.rights[1].text, "--deny-read=/a/c") == 0);
    CHECK(f.rights[2].kind == MW_NET && f.rights[2].rules == NULL);
    CHECK(f.rights[3].kind == MW_TRUST);
    mw_flags_free(&f);
}

TEST(every_kind_of_right_has_an_allow_and_a_deny) {
    static const char *const kinds[] = { "read", "write", "net", "connect", "listen", "run", "env", "sys", "share", "ffi" };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char allow[32], deny[32];
        struct mw_flags f;
        struct mw_err err;
        snprintf(allow, sizeof allow, "--allow-%s", kinds[i]);
        snprintf(deny, sizeof deny, "--deny-%s=x", kinds[i]);
        CHECK(PARSE(f, err, "eval", allow, deny, "1") == 0);
        CHECK(f.right_count == 2 && f.rights[0].kind == f.rights[1].kind && f.rights[1].effect == MW_DENY);
        mw_flags_free(&f);
    }
}

TEST(an_unknown_option_is_refused_with_the_nearest_one) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "--alow-read=/x", "a.lua") == MW_EINVAL);
    CHECK(strcmp(err.what, "unknown option --alow-read (did you mean --allow-read?)") == 0);
    CHECK(strcmp(err.hint, "moonwire help run") == 0);
    mw_flags_free(&f);

    CHECK(PARSE(f, err, "run", "--frobnicate", "a.lua") == MW_EINVAL);
    CHECK(strcmp(err.what, "unknown option --frobnicate") == 0);
    mw_flags_free(&f);

    CHECK(PARSE(f, err, "run", "--allow-readx", "a.lua") == MW_EINVAL);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "-AA", "a.lua") == MW_EINVAL);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--deny-trust", "a.lua") == MW_EINVAL);
    mw_flags_free(&f);
}

TEST(an_empty_list_is_refused_because_it_reads_like_nothing_and_could_mean_all) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "--allow-read=", "a.lua") == MW_EINVAL);
    CHECK(strstr(err.what, "--allow-read=") != NULL);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--allow-all=x", "a.lua") == MW_EINVAL);
    mw_flags_free(&f);
}

TEST(a_debug_endpoint_has_an_address_and_belongs_to_a_script) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "--debug=unix:/run/x", "a.lua") == 0);
    CHECK(strcmp(f.debug, "unix:/run/x") == 0);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--debug", "a.lua") == MW_EINVAL);
    CHECK(strstr(err.what, "--debug=unix:") != NULL);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "test", "--debug=unix:/run/x") == MW_EINVAL || f.debug == NULL);
    mw_flags_free(&f);
}

TEST(a_trace_has_a_file) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "--trace=t.jsonl", "a.lua") == 0);
    CHECK(strcmp(f.trace, "t.jsonl") == 0);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--trace", "a.lua") == MW_EINVAL);
    CHECK(strstr(err.what, "--trace=FILE") != NULL);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--trace=a.jsonl", "--trace=b.jsonl", "a.lua") == MW_EINVAL);
    mw_flags_free(&f);
}

TEST(cleanup_is_a_duration_of_a_millisecond_to_a_day) {
    static const struct { const char *arg; unsigned ms; } good[] = { { "--cleanup=1ms", 1 }, { "--cleanup=30", 30000 }, { "--cleanup=1d", 86400000 } };
    static const char *const bad[] = { "--cleanup", "--cleanup=", "--cleanup=0", "--cleanup=999us", "--cleanup=25h", "--cleanup=off" };
    struct mw_flags f;
    struct mw_err err;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK(PARSE(f, err, "run", good[i].arg, "a.lua") == 0 && f.cleanup_ms == good[i].ms);
        mw_flags_free(&f);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(PARSE(f, err, "run", bad[i], "a.lua") == MW_EINVAL);
        mw_flags_free(&f);
    }
}

TEST(a_timeout_is_a_duration_above_zero) {
    static const struct { const char *arg; uint64_t ns; } good[] = {
        { "--timeout=2s", 2000000000ull }, { "--timeout=250ms", 250000000ull }, { "--timeout=1.5", 1500000000ull },
        { "--timeout=5m", 300000000000ull }, { "--timeout=.5h", 1800000000000ull }, { "--timeout=10us", 10000ull },
        { "--timeout=1d", 86400000000000ull }, { "--timeout=7ns", 7 },
    };
    static const char *const bad[] = {
        "--timeout", "--timeout=", "--timeout=0", "--timeout=-1", "--timeout=s", "--timeout=2 s", "--timeout=2sx", "--timeout=1e3",
        "--timeout=.", "--timeout=99999999999999999999", "--timeout=nan", "--timeout=1.2.3",
    };
    struct mw_flags f;
    struct mw_err err;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK(PARSE(f, err, "run", good[i].arg, "a.lua") == 0);
        CHECK(f.timeout_ns == good[i].ns);
        mw_flags_free(&f);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(PARSE(f, err, "run", bad[i], "a.lua") == MW_EINVAL);
        mw_flags_free(&f);
    }
}

TEST(the_command_line_wins_over_the_environment) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "--timeout=2s", "a.lua") == 0);
    CHECK(mw_flags_timeout(&f, "9s", "MOONWIRE_TIMEOUT", &err) == 0 && f.timeout_ns == 2000000000ull);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "a.lua") == 0);
    CHECK(mw_flags_timeout(&f, "soon", "MOONWIRE_TIMEOUT", &err) == MW_EINVAL);
    CHECK(strstr(err.what, "MOONWIRE_TIMEOUT=soon") != NULL);
    CHECK(mw_flags_timeout(&f, "9s", "MOONWIRE_TIMEOUT", &err) == 0 && f.timeout_ns == 9000000000ull);
    mw_flags_free(&f);
}

TEST(two_dashes_end_the_options) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "-A", "--", "-odd.lua", "--", "x") == 0);
    CHECK(f.arg_count == 3 && strcmp(f.args[0], "-odd.lua") == 0 && strcmp(f.args[1], "--") == 0);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "--", "a.lua") == 0 && f.command == MW_CMD_RUN && f.arg_count == 1);
    mw_flags_free(&f);
}

TEST(a_single_dash_is_the_script_from_standard_input) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "-", "x") == 0 && f.command == MW_CMD_RUN && f.arg_count == 2 && f.bare == 0);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--allow-env", "-") == 0 && strcmp(f.args[0], "-") == 0);
    mw_flags_free(&f);
}

TEST(rights_may_stand_before_a_script_without_the_word_run) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "--allow-net", "a.lua", "b") == 0);
    CHECK(f.command == MW_CMD_RUN && f.right_count == 1 && f.arg_first == 2 && f.arg_count == 2);
    mw_flags_free(&f);
}

TEST(a_bare_word_is_marked_so_that_a_mistyped_command_is_told_from_a_script) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "rnu") == 0 && f.bare == 1);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "./rnu") == 0 && f.bare == 0);
    mw_flags_free(&f);
}

TEST(help_is_found_in_each_of_its_forms) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "--help") == 0 && f.command == MW_CMD_HELP && f.topic == -1);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "help", "test") == 0 && f.command == MW_CMD_HELP && f.topic == MW_CMD_TEST);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "-A", "--help", "--nonsense") == 0 && f.topic == MW_CMD_RUN);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "test", "-h") == 0 && f.topic == MW_CMD_TEST);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "a.lua", "--help") == 0 && f.command == MW_CMD_RUN);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "help", "nothing") == MW_EINVAL);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "help", "child-script") == MW_EINVAL);
    mw_flags_free(&f);
}

TEST(busted_gets_what_is_not_ours) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "test", "--filter", "frames", "-A", "spec/lua", "--output=TAP", "--timeout=5m") == 0);
    CHECK(f.all == 1 && f.timeout_ns == 300000000000ull && f.arg_count == 4);
    CHECK(strcmp(f.args[0], "--filter") == 0 && strcmp(f.args[2], "spec/lua") == 0 && strcmp(f.args[3], "--output=TAP") == 0);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "test", "--allow-raed") == MW_EINVAL);
    mw_flags_free(&f);
}

TEST(a_command_without_what_it_needs_says_so) {
    static const char *const needy[] = { "run", "eval", "check", "completions", "child-script" };
    struct mw_flags f;
    struct mw_err err;

    for (size_t i = 0; i < sizeof needy / sizeof needy[0]; i++) {
        CHECK(PARSE(f, err, needy[i]) == MW_EINVAL);
        mw_flags_free(&f);
    }
    CHECK(PARSE(f, err, "completions", "tcsh") == MW_EINVAL);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "completions", "zsh") == 0);
    mw_flags_free(&f);
    CHECK(mw_flags_parse(1, (const char *const[]){ "moonwire", NULL }, &f, &err) == MW_EINVAL);
    mw_flags_free(&f);
    CHECK(mw_flags_parse(0, (const char *const[]){ NULL }, &f, &err) == MW_EINVAL);
    mw_flags_free(&f);
}

TEST(a_spin_is_adaptive_off_or_so_many_microseconds) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "a.lua") == 0 && f.spin_us == 0);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--spin=off", "a.lua") == 0 && f.spin_us == MW_SPIN_NEVER);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "test", "--spin=off", "--spin=auto") == 0 && f.spin_us == 0);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "eval", "--spin=10000", "1") == 0 && f.spin_us == 10000);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--spin=0", "a.lua") == MW_EINVAL);
    mw_flags_free(&f);
    CHECK(PARSE(f, err, "run", "--spin=-1", "a.lua") == MW_EINVAL);
    mw_flags_free(&f);
}

TEST(a_script_child_gets_its_words_as_they_are) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "child-script", "c.lua", "-A", "--", "--help") == 0);
    CHECK(f.command == MW_CMD_CHILD && f.arg_count == 4 && f.all == 0 && strcmp(f.args[3], "--help") == 0);
    mw_flags_free(&f);
}

TEST(control_characters_in_an_option_are_shown_not_sent) {
    struct mw_flags f;
    struct mw_err err;

    CHECK(PARSE(f, err, "run", "--x\033[2Jy", "a.lua") == MW_EINVAL);
    CHECK(strchr(err.what, '\033') == NULL);
    mw_flags_free(&f);
}

