/* Completions for bash, zsh and fish, written from the table.
 * Knows: front/table.
 * Never: decides where it goes. */
#include "front/help.h"

#include <string.h>

/* What a value is, and so what completes it; lists of the first five are separated by commas. */
enum value { NOTHING, PATHS, PROGRAMS, VARIABLES, SYSTEM, LIMITS, PATH, CHOICE };

static enum value value_of(const struct mw_flag_row *row) {
    if (row->takes == MW_VALUE_NONE) return NOTHING;
    if (row->does == MW_FLAG_POLICY || row->does == MW_FLAG_AUDIT || row->does == MW_FLAG_TRACE) return PATH;
    if (row->does == MW_FLAG_LIMIT) return LIMITS;
    if (row->does != MW_FLAG_RIGHT) return strchr(row->value, '|') != NULL ? CHOICE : NOTHING;
    switch (row->kind) {
    case MW_READ: case MW_WRITE: case MW_FFI: return PATHS;
    case MW_RUN: case MW_TRUST: return PROGRAMS;
    case MW_ENV: return VARIABLES;
    case MW_SYS: return SYSTEM;
    default: return NOTHING;
    }
}

/* What --allow-sys knows. */
static const char system_kinds[] =
    "hostname osRelease osUptime loadavg cpus memory networkInterfaces uid gid username userInfo homedir pid ppid processTitle "
    "priority signal tty statfs";

static void print_limit_names(FILE *to, const char *after) {
    const struct mw_limit_row *row;

    for (size_t i = 0; (row = mw_limits_row(i)) != NULL; i++) fprintf(to, "%s%s%s", i > 0 ? " " : "", row->name, after);
}

/* "auto|off|MICROSECONDS": those that are words. */
static void print_choices(FILE *to, const char *value) {
    const char *gap = "";

    for (const char *at = value; *at != '\0'; at += *at == '|') {
        size_t len = strcspn(at, "|");
        if (*at >= 'a' && *at <= 'z') fprintf(to, "%s%.*s", gap, (int)len, at), gap = " ";
        at += len;
    }
}

static int takes(enum mw_command command, const struct mw_flag_row *row) { return (row->commands & 1u << command) != 0; }

static const struct mw_command_row *shown(int command) {
    const struct mw_command_row *row = mw_table_command((enum mw_command)command);
    return row->summary == NULL || row->name == NULL ? NULL : row;
}

static void print_commands(FILE *to) {
    for (int i = 0; i < MW_COMMANDS; i++) {
        if (shown(i) != NULL) fprintf(to, " %s", shown(i)->name);
    }
}

/* ---- bash ------------------------------------------------------------------------------------------------------------------- */

static void print_words(FILE *to, enum mw_command command) {
    for (size_t i = 0; i < mw_table_flags(); i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        if (!takes(command, row)) continue;
        fprintf(to, " %s", row->name);
        if (row->takes != MW_VALUE_NONE) fprintf(to, " %s=", row->name);
    }
}

static const char bash_value[] =
    "# What may follow the last comma of $cur.\n"
    "_moonwire_value() {\n"
    "  local head=$prefix tail=$cur IFS=$'\\n'\n"
    "  [[ $1 != path && $cur == *,* ]] && { head+=${cur%,*},; tail=${cur##*,}; }\n"
    "  case $1 in\n"
    "    path*) COMPREPLY=($(compgen -f -- \"$tail\")) ;;\n"
    "    programs) if [[ $tail == */* ]]; then COMPREPLY=($(compgen -f -- \"$tail\"))\n"
    "              elif [[ -n $tail ]]; then COMPREPLY=($(compgen -c -- \"$tail\" | sort -u)); fi ;;\n"
    "    variables) COMPREPLY=($(compgen -e -- \"$tail\")) ;;\n"
    "    *) IFS=$' \\n'; COMPREPLY=($(compgen -W \"$2\" -- \"$tail\")) ;;\n"
    "  esac\n"
    "  [[ -n $head ]] && COMPREPLY=(\"${COMPREPLY[@]/#/\"$head\"}\")\n"
    "  [[ ${COMPREPLY[0]} == *= || $1 == paths ]] && compopt -o nospace\n"
    "}\n";

static void print_bash_value(FILE *to, const struct mw_flag_row *row) {
    enum value value = value_of(row);

    if (value == NOTHING) return;
    fprintf(to, "      %s) _moonwire_value ", row->name);
    if (value == PATHS) fputs("paths", to);
    if (value == PATH) fputs("path", to);
    if (value == PROGRAMS) fputs("programs", to);
    if (value == VARIABLES) fputs("variables", to);
    if (value == SYSTEM) fprintf(to, "words '%s'", system_kinds);
    if (value == LIMITS) fputs("words '", to), print_limit_names(to, "="), fputs("'", to);
    if (value == CHOICE) fputs("words '", to), print_choices(to, row->value), fputs("'", to);
    fputs(" ;;\n", to);
}

static void print_bash(FILE *to) {
    fputs(bash_value, to);
    fputs("_moonwire() {\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} flags flag= prefix=\n"
          "  if [[ $cur == --*=* ]]; then flag=${cur%%=*} prefix=${cur%%=*}= cur=${cur#*=}\n"
          "  elif [[ $cur == = ]]; then flag=${COMP_WORDS[COMP_CWORD-1]} cur=\n"
          "  elif ((COMP_CWORD > 2)) && [[ ${COMP_WORDS[COMP_CWORD-1]} == = ]]; then flag=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
          "  if [[ -n $flag ]]; then\n"
          "    case $flag in\n", to);
    for (size_t i = 0; i < mw_table_flags(); i++) print_bash_value(to, mw_table_flag(i));
    fputs("    esac\n"
          "    return\n"
          "  fi\n"
          "  case $command in\n", to);
    for (int i = 0; i < MW_COMMANDS; i++) {
        if (shown(i) == NULL) continue;
        fprintf(to, "    %s) flags='", shown(i)->name);
        print_words(to, (enum mw_command)i);
        fputs("' ;;\n", to);
    }
    fputs("    *) flags='--version", to);
    print_words(to, MW_CMD_RUN);
    fputs("' ;;\n  esac\n"
          "  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
          "  elif [[ $command == completions ]]; then ((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\"))\n"
          "  elif [[ $command == help ]]; then ((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W '", to);
    print_commands(to);
    fputs(" confinement' -- \"$cur\"))\n"
          "  else\n"
          "    local IFS=$'\\n'\n"
          "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "    ((COMP_CWORD == 1)) && IFS=$' \\n' && COMPREPLY+=($(compgen -W '", to);
    print_commands(to);
    fputs("' -- \"$cur\"))\n"
          "  fi\n"
          "  [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
          "}\n"
          "complete -o filenames -F _moonwire moonwire\n", to);
}

/* ---- zsh -------------------------------------------------------------------------------------------------------------------- */

/* A text inside single quotes in which zsh's _arguments gives brackets and colons a meaning. */
static void print_zsh_text(FILE *to, const char *text) {
    for (; *text != '\0'; text++) {
        if (strchr("[]:\\", *text) != NULL) fputc('\\', to);
        if (*text == '\'') fputs("'\\'", to);
        fputc(*text, to);
    }
}

static void print_zsh_value(FILE *to, const struct mw_flag_row *row) {
    switch (value_of(row)) {
    case PATHS: fputs("_sequence _files", to); break;
    case PATH: fputs("_files", to); break;
    case PROGRAMS: fputs("_sequence _moonwire_programs", to); break;
    case VARIABLES: fputs("_sequence _parameters -g \"*export*\"", to); break;
    case SYSTEM: fputs("_sequence _moonwire_system", to); break;
    case LIMITS: fputs("_sequence _moonwire_limits", to); break;
    case CHOICE: fputs("(", to), print_choices(to, row->value), fputs(")", to); break;
    default: break;
    }
}

static void print_zsh_flags(FILE *to, enum mw_command command) {
    for (size_t i = 0; i < mw_table_flags(); i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        if (!takes(command, row)) continue;
        fprintf(to, "      '*%s%s[", row->name, row->takes == MW_VALUE_NONE ? "" : "=-");
        print_zsh_text(to, row->text == NULL ? "never, not even when allowed" : row->text);
        fputs("]", to);
        if (row->takes == MW_VALUE_LIST) fputs("::", to);
        if (row->takes == MW_VALUE_NEEDED) fputs(":", to);
        if (row->takes != MW_VALUE_NONE) {
            print_zsh_text(to, row->value);
            fputs(":", to);
            print_zsh_value(to, row);
        }
        fputs("' \\\n", to);
        if (row->letter != NULL) fprintf(to, "      '%s[as %s]' \\\n", row->letter, row->name);
    }
}

static void print_zsh(FILE *to) {
    fputs("#compdef moonwire\n"
          "_moonwire_programs() { if [[ $PREFIX == */* ]]; then _files \"$@\"; else _command_names -e \"$@\"; fi }\n", to);
    fprintf(to, "_moonwire_system() { compadd \"$@\" - %s }\n", system_kinds);
    fputs("_moonwire_limits() { compadd \"$@\" -S = - ", to);
    print_limit_names(to, "");
    fputs(" }\n_moonwire() {\n  local -a known=(\n", to);
    for (int i = 0; i < MW_COMMANDS; i++) {
        if (shown(i) != NULL) fprintf(to, "    '%s:%s'\n", shown(i)->name, shown(i)->summary);
    }
    fputs("  )\n  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then _describe command known; _files; return; fi\n"
          "  local command=$words[2]\n"
          "  case $command in\n", to);
    for (int i = 0; i < MW_COMMANDS; i++) {
        if (shown(i) == NULL) continue;
        fprintf(to, "    %s) shift words; ((CURRENT--)); _arguments -S \\\n", shown(i)->name);
        print_zsh_flags(to, (enum mw_command)i);
        if (i == MW_CMD_COMPLETIONS) fputs("      '1:shell:(bash zsh fish)' ;;\n", to);
        else if (i == MW_CMD_HELP) fputs("      '1:command:(", to), print_commands(to), fputs(" confinement)' ;;\n", to);
        else fputs("      '*:file:_files' ;;\n", to);
    }
    fputs("    *) _arguments -S '--version[print the version]' \\\n", to);
    print_zsh_flags(to, MW_CMD_RUN);
    fputs("      '*:file:_files' ;;\n  esac\n}\n"
          "if [[ $funcstack[1] == _moonwire ]]; then _moonwire \"$@\"; else compdef _moonwire moonwire; fi\n", to);
}

/* ---- fish ------------------------------------------------------------------------------------------------------------------- */

static void print_fish_text(FILE *to, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') fputc('\\', to);
        fputc(*text, to);
    }
}

static void print_fish_value(FILE *to, const struct mw_flag_row *row) {
    switch (value_of(row)) {
    case PATHS: fputs(" -a '(__fish_complete_list , __fish_complete_path)'", to); break;
    case PATH: fputs(" -r -F", to); return;
    case PROGRAMS: fputs(" -a '(__fish_complete_list , __moonwire_programs)'", to); break;
    case VARIABLES: fputs(" -a '(__fish_complete_list , \"set -xn\")'", to); break;
    case SYSTEM: fputs(" -a '(__fish_complete_list , __moonwire_system)'", to); break;
    case LIMITS: fputs(" -a '(__fish_complete_list , __moonwire_limits)'", to); break;
    case CHOICE: fputs(" -a '", to), print_choices(to, row->value), fputs("'", to); break;
    default: break;
    }
    fputs(row->takes == MW_VALUE_NEEDED ? " -x" : " -f", to);
}

static void print_fish_command(FILE *to, enum mw_command command, const char *name) {
    for (size_t k = 0; k < mw_table_flags(); k++) {
        const struct mw_flag_row *flag = mw_table_flag(k);
        if (!takes(command, flag)) continue;
        fprintf(to, "complete -c moonwire -n '__fish_seen_subcommand_from %s", name);
        if (command == MW_CMD_RUN) fputs("; or __fish_use_subcommand", to);
        fprintf(to, "' -l %s", flag->name + 2);
        if (flag->letter != NULL) fprintf(to, " -s %s", flag->letter + 1);
        if (flag->takes != MW_VALUE_NONE) print_fish_value(to, flag);
        fputs(" -d '", to);
        print_fish_text(to, flag->text != NULL ? flag->text : "never, not even when allowed");
        fputs("'\n", to);
    }
}

static void print_fish(FILE *to) {
    fputs("function __moonwire_programs\n  set -l files $PATH/*\n  string replace -r '.*/' '' -- $files\nend\n", to);
    fprintf(to, "function __moonwire_system\n  string split ' ' '%s'\nend\n", system_kinds);
    fputs("function __moonwire_limits\n  string split ' ' '", to);
    print_limit_names(to, "=");
    fputs("'\nend\n", to);
    for (int i = 0; i < MW_COMMANDS; i++) {
        if (shown(i) == NULL) continue;
        fprintf(to, "complete -c moonwire -n __fish_use_subcommand -a %s -d '", shown(i)->name);
        print_fish_text(to, shown(i)->summary);
        fputs("'\n", to);
        print_fish_command(to, (enum mw_command)i, shown(i)->name);
    }
    fputs("complete -c moonwire -n '__fish_seen_subcommand_from completions' -f -a 'bash zsh fish'\n"
          "complete -c moonwire -n '__fish_seen_subcommand_from help' -f -a '", to);
    print_commands(to);
    fputs(" confinement'\n"
          "complete -c moonwire -n __fish_use_subcommand -l version -d 'print the version'\n", to);
}

void mw_completions_print(FILE *to, const char *shell) {
    if (strcmp(shell, "bash") == 0) print_bash(to);
    else if (strcmp(shell, "zsh") == 0) print_zsh(to);
    else print_fish(to);
}
