/* Completions for bash, zsh and fish, written from the table.
 * Knows: front/table.
 * Never: decides where it goes. */
#include "front/help.h"

#include <string.h>

/* What a value is: a path can be completed, a program too. */
static const char *value_of(const struct mw_flag_row *row) {
    if (row->does == MW_FLAG_POLICY || row->does == MW_FLAG_AUDIT || row->does == MW_FLAG_TRACE) return "path";
    if (row->does != MW_FLAG_RIGHT) return "";
    switch (row->kind) {
    case MW_READ: case MW_WRITE: case MW_FFI: return "path";
    case MW_RUN: case MW_TRUST: return "program";
    default: return "";
    }
}

static void print_words(FILE *to, enum mw_command command) {
    for (size_t i = 0; i < mw_table_flags(); i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        if (!(row->commands & 1u << command)) continue;
        fprintf(to, " %s", row->name);
        if (row->takes != MW_VALUE_NONE) fprintf(to, " %s=", row->name);
    }
}

static void print_commands(FILE *to) {
    for (int i = 0; i < MW_COMMANDS; i++) {
        const struct mw_command_row *row = mw_table_command((enum mw_command)i);
        if (row->summary != NULL && row->name != NULL) fprintf(to, " %s", row->name);
    }
}

static void print_bash(FILE *to) {
    fputs("_moonwire() {\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} flags\n"
          "  [[ ${COMP_WORDS[*]:COMP_CWORD-2:3} == *'--confine ='* ]] && { COMPREPLY=($(compgen -W 'auto strict off' -- \"${cur#=}\")); return; }\n"
          "  [[ ${COMP_WORDS[*]:COMP_CWORD-2:3} == *'--spin ='* ]] && { COMPREPLY=($(compgen -W 'auto off' -- \"${cur#=}\")); return; }\n"
          "  [[ $cur == = || ${COMP_WORDS[COMP_CWORD-1]} == = ]] && { COMPREPLY=($(compgen -f -- \"${cur#=}\")); return; }\n"
          "  case $command in\n", to);
    for (int i = 0; i < MW_COMMANDS; i++) {
        const struct mw_command_row *row = mw_table_command((enum mw_command)i);
        if (row->summary == NULL || row->name == NULL) continue;
        fprintf(to, "    %s) flags='", row->name);
        print_words(to, (enum mw_command)i);
        fputs("' ;;\n", to);
    }
    fputs("    *) flags='--version", to);
    print_words(to, MW_CMD_RUN);
    fputs("' ;;\n  esac\n"
          "  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
          "  elif [[ $command == completions ]] && ((COMP_CWORD == 2)); then COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\"))\n"
          "  elif [[ $command == help ]] && ((COMP_CWORD == 2)); then COMPREPLY=($(compgen -W '", to);
    print_commands(to);
    fputs(" confinement' -- \"$cur\"))\n"
          "  elif ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -f -W '", to);
    print_commands(to);
    fputs("' -- \"$cur\"))\n"
          "  else COMPREPLY=($(compgen -f -- \"$cur\")); fi\n"
          "  [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
          "}\n"
          "complete -o filenames -F _moonwire moonwire\n", to);
}

/* A text inside single quotes in which zsh's _arguments gives brackets and colons a meaning. */
static void print_zsh_text(FILE *to, const char *text) {
    for (; *text != '\0'; text++) {
        if (strchr("[]:\\", *text) != NULL) fputc('\\', to);
        if (*text == '\'') fputs("'\\'", to);
        fputc(*text, to);
    }
}

static void print_zsh_flags(FILE *to, enum mw_command command) {
    for (size_t i = 0; i < mw_table_flags(); i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        const char *value = value_of(row);
        if (!(row->commands & 1u << command)) continue;
        fprintf(to, "      '*%s%s[", row->name, row->takes == MW_VALUE_NONE ? "" : "=-");
        print_zsh_text(to, row->text == NULL ? "never, not even when allowed" : row->text);
        fputs("]", to);
        if (row->takes == MW_VALUE_LIST) fputs("::", to);
        if (row->takes == MW_VALUE_NEEDED) fputs(":", to);
        if (row->takes != MW_VALUE_NONE) {
            print_zsh_text(to, row->value);
            fputs(strcmp(value, "path") == 0 ? ":_files" : strcmp(value, "program") == 0 ? ":_command_names -e" : ":", to);
        }
        fputs("' \\\n", to);
    }
}

static void print_zsh(FILE *to) {
    fputs("#compdef moonwire\n_moonwire() {\n  local -a commands=(\n", to);
    for (int i = 0; i < MW_COMMANDS; i++) {
        const struct mw_command_row *row = mw_table_command((enum mw_command)i);
        if (row->summary != NULL && row->name != NULL) fprintf(to, "    '%s:%s'\n", row->name, row->summary);
    }
    fputs("  )\n  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then _describe command commands; _files; return; fi\n"
          "  local command=$words[2]\n"
          "  case $command in\n", to);
    for (int i = 0; i < MW_COMMANDS; i++) {
        const struct mw_command_row *row = mw_table_command((enum mw_command)i);
        if (row->summary == NULL || row->name == NULL) continue;
        fprintf(to, "    %s) shift words; ((CURRENT--)); _arguments -S \\\n", row->name);
        print_zsh_flags(to, (enum mw_command)i);
        if (i == MW_CMD_COMPLETIONS) fputs("      '1:shell:(bash zsh fish)' ;;\n", to);
        else if (i == MW_CMD_HELP) fputs("      '1:command:(run eval repl attach test check completions confinement)' ;;\n", to);
        else fputs("      '*:file:_files' ;;\n", to);
    }
    fputs("    *) _arguments -S '--version[print the version]' \\\n", to);
    print_zsh_flags(to, MW_CMD_RUN);
    fputs("      '*:file:_files' ;;\n  esac\n}\n"
          "if [[ $funcstack[1] == _moonwire ]]; then _moonwire \"$@\"; else compdef _moonwire moonwire; fi\n", to);
}

static void print_fish(FILE *to) {
    for (int i = 0; i < MW_COMMANDS; i++) {
        const struct mw_command_row *row = mw_table_command((enum mw_command)i);
        if (row->summary == NULL || row->name == NULL) continue;
        fprintf(to, "complete -c moonwire -n __fish_use_subcommand -a %s -d '%s'\n", row->name, row->summary);
        for (size_t k = 0; k < mw_table_flags(); k++) {
            const struct mw_flag_row *flag = mw_table_flag(k);
            if (!(flag->commands & 1u << i)) continue;
            fprintf(to, "complete -c moonwire -n '__fish_seen_subcommand_from %s' -l %s", row->name, flag->name + 2);
            if (flag->letter != NULL) fprintf(to, " -s %s", flag->letter + 1);
            if (flag->takes == MW_VALUE_NEEDED) fputs(strcmp(value_of(flag), "path") == 0 ? " -r" : " -x", to);
            if (flag->text != NULL) fprintf(to, " -d '%s'", flag->text);
            fputs("\n", to);
        }
    }
    fputs("complete -c moonwire -n '__fish_seen_subcommand_from completions' -f -a 'bash zsh fish'\n"
          "complete -c moonwire -n '__fish_seen_subcommand_from help' -f -a 'run eval repl attach test check completions confinement'\n"
          "complete -c moonwire -n __fish_use_subcommand -l version -d 'print the version'\n", to);
}

void mw_completions_print(FILE *to, const char *shell) {
    if (strcmp(shell, "bash") == 0) print_bash(to);
    else if (strcmp(shell, "zsh") == 0) print_zsh(to);
    else print_fish(to);
}
