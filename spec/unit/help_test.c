/* The help and the completions name everything that the table holds.
 * Knows: front/help, by inclusion. Never: a host. */
#include "support/check.h"

#include "front/completions.c"
#include "front/help.c"
#include "front/table.c"

static char text[65536];

static const char *help(int topic) {
    FILE *to = fmemopen(text, sizeof text, "w");

    if (to == NULL) return "";
    mw_help_print(to, topic);
    fclose(to);
    return text;
}

static const char *completions(const char *shell) {
    FILE *to = fmemopen(text, sizeof text, "w");

    if (to == NULL) return "";
    mw_completions_print(to, shell);
    fclose(to);
    return text;
}

TEST(the_help_of_a_command_names_every_flag_it_takes) {
    for (int command = 0; command < MW_COMMANDS; command++) {
        const char *got = help(command);
        if (command == MW_CMD_HELP || mw_table_command((enum mw_command)command)->summary == NULL) continue;
        for (size_t i = 0; i < mw_table_flags(); i++) {
            const struct mw_flag_row *row = mw_table_flag(i);
            if (!(row->commands & 1u << command)) continue;
            if (strstr(got, row->name) == NULL) check_fail(__FILE__, __LINE__, "command %d: %s is missing", command, row->name);
        }
    }
}

TEST(the_help_names_nothing_that_is_not_for_people) {
    for (int command = -1; command < MW_COMMANDS; command++) CHECK(strstr(help(command), "child-script") == NULL);
}

TEST(the_help_on_confinement_prints_the_whole_loading_table) {
    const char *got = help(MW_TOPIC_CONFINEMENT);

    CHECK(strstr(got, "--confine=strict") != NULL);
    for (const struct mw_loading_row *row = mw_loading_table(); row->path != NULL; row++) {
        CHECK(strstr(got, row->path) != NULL);
        CHECK(strstr(got, row->why) != NULL);
    }
}

TEST(the_general_help_names_every_command_and_every_exit_status) {
    static const char *const statuses[] = { "0 done", "1 the script failed", "2 wrong", "77 ", "124 ", "126 ", "127 ", "128+n" };
    const char *got = help(-1);

    for (int i = 0; i < MW_COMMANDS; i++) {
        const struct mw_command_row *row = mw_table_command((enum mw_command)i);
        if (row->summary != NULL) CHECK(strstr(got, row->usage) != NULL);
    }
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) CHECK(strstr(got, statuses[i]) != NULL);
}

TEST(a_line_of_help_fits_a_wide_terminal) {
    for (int command = -1; command <= MW_TOPIC_CONFINEMENT; command++) {
        const char *line = help(command);
        while (*line != '\0') {
            size_t len = strcspn(line, "\n");
            if (len > 130) check_fail(__FILE__, __LINE__, "%zu columns: %.*s", len, (int)len, line);
            line += len + (line[len] == '\n');
        }
    }
}

TEST(each_shell_completes_every_command_and_every_flag) {
    static const char *const shells[] = { "bash", "zsh", "fish" };

    for (size_t s = 0; s < 3; s++) {
        const char *got = completions(shells[s]);
        for (size_t i = 0; i < mw_table_flags(); i++) {
            const struct mw_flag_row *row = mw_table_flag(i);
            int named = strstr(got, row->name + 2) != NULL;
            if (!named) check_fail(__FILE__, __LINE__, "%s: %s is missing", shells[s], row->name);
        }
        for (int i = 0; i < MW_COMMANDS; i++) {
            const struct mw_command_row *row = mw_table_command((enum mw_command)i);
            if (row->summary != NULL && row->name != NULL) CHECK(strstr(got, row->name) != NULL);
        }
    }
}

TEST(each_shell_completes_the_names_of_limits_and_of_system_information) {
    static const char *const shells[] = { "bash", "zsh", "fish" };
    char kinds[sizeof system_kinds], *rest = kinds;

    for (size_t s = 0; s < 3; s++) {
        const char *got = completions(shells[s]);
        CHECK(strstr(got, system_kinds) != NULL);
        for (size_t i = 0; mw_limits_row(i) != NULL; i++) CHECK(strstr(got, mw_limits_row(i)->name) != NULL);
    }
    strcpy(kinds, system_kinds);
    for (char *kind; (kind = strsep(&rest, " ")) != NULL;) CHECK(mw_policy_check_subject(MW_SYS, kind, NULL) == 0);
}
