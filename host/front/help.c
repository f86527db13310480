/* The help: what each command is for, by example; every option; what comes back.
 * Knows: front/table.
 * Never: decides where it goes. */
#include "front/help.h"

#include <string.h>

#define COLUMN 34           /* where the explanation of an option begins */

static const char about[] =
    "A script starts with no rights at all: no file, no program, no socket. Each flag gives one.\n"
    "\n"
    "    moonwire hello.lua                                  needs nothing, gets nothing\n"
    "    moonwire run --allow-run=git status.lua             may start git\n"
    "    moonwire run --allow-net=127.0.0.1:8080 client.lua  may talk to one port\n"
    "    moonwire eval '2^10'                                prints 1024.0\n"
    "\n"
    "What a script lacks it is told: the error names the flag that would give it.\n"
    "\n"
    "`moonwire help run` lists the rights; `moonwire help COMMAND` explains a command; `moonwire help confinement` tells what\n"
    "the kernel holds of them.\n";

static const char run_text[] =
    "Runs SCRIPT; `-` reads it from standard input. ARGS are the script's: `arg[1]`, `...`. Options stand before SCRIPT;\n"
    "`--` ends them. The script may do what the rights say and no more; the scripts that it starts at most the same.\n"
    "\n"
    "Examples\n"
    "    moonwire run --allow-read=data --allow-write=out convert.lua data/a.csv\n"
    "    moonwire run --allow-run=sh,echo --timeout=30s build.lua\n"
    "    moonwire run --allow-net=:8080 --deny-net=10.0.0.0/8 server.lua\n"
    "    echo 'print(\"hi\")' | moonwire -\n"
    "In a script's first line\n"
    "    #!/usr/bin/env -S moonwire run --allow-net\n";

static const char eval_text[] =
    "Runs CODE. The values of an expression, or what CODE returns, are printed, a table with what is in it.\n"
    "`mw` is there already; ARGS are `...`.\n"
    "\n"
    "Examples\n"
    "    moonwire eval '(\"x\"):rep(3)'\n"
    "    moonwire eval --allow-run=date 'mw.process.run{\"date\"}.stdout'\n"
    "    moonwire eval 'for i = 1, 3 do print(i) end'\n";

static const char repl_text[] =
    "Each line is a task: what waits, waits, and servers and timers of earlier lines go on while you type; what they print appears\n"
    "above your line. Values print themselves; `_` is the last one; `mw` is there; a top-level `local` lasts. A statement that is not\n"
    "whole yet asks for its next line. `moonwire` alone, on a terminal, is `moonwire repl`.\n"
    "\n"
    "Keys\n"
    "    Tab completes names, fields and methods, and shows signatures   Up, Down the history   Ctrl-R searches it\n"
    "    Ctrl-C clears the line, or cancels the one that runs; a second one ends everything   Ctrl-D leaves\n"
    "    Ctrl-Z puts the line that runs in the background; while you type it stops the program, as elsewhere\n"
    "    Alt-Enter begins a new row in the line   Ctrl-A, Ctrl-E its ends   Ctrl-W, Ctrl-K, Ctrl-U cut, Ctrl-Y pastes   Ctrl-L clears\n"
    "    the screen. A paste of many lines stays one input until you press Enter. libedit reads your ~/.editrc.\n"
    "Commands\n"
    "    .help .tasks .cancel .bg .top .trace .time .doc .perm .more .save .load .clear .exit\n"
    "\n"
    "A missing right is asked for. The history is in $XDG_STATE_HOME/moonwire/history (~/.local/state); a line that begins with a space\n"
    "is not kept. Input that is no terminal is read line by line, without banner and prompt: results go to standard output, errors to\n"
    "standard error, and the exit status is 1 when the last line failed; otherwise that of mw.exit, or 0.\n"
    "\n"
    "Examples\n"
    "    moonwire repl --allow-net=127.0.0.1 --allow-run=git\n"
    "    printf '1 + 1\\n' | moonwire repl\n";

static const char attach_text[] =
    "Opens the prompt of `moonwire repl` inside another moonwire, which has opened a socket for it with mw.repl.listen(url). It never\n"
    "does by itself, and takes only the same user's, and root's. Lines run there, with that script's rights; they have none here.\n"
    "\n"
    "Example\n"
    "    moonwire attach unix:/run/user/1000/app.sock\n";

static const char test_text[] =
    "Runs the specs in FILES (or below ./spec: names with _spec) with Busted inside a host: each `it` runs in a task, so it may\n"
    "wait for processes and sockets while the loop runs on. The rights bind the specs, helpers and reports, not what Busted\n"
    "reads. Options that are not ours go to it: --filter=PATTERN, --tags=TAGS, --output=TAP, --lpath=PATH, --repeat=N, ...\n"
    "The last line is `N passed, N failed` (with --output=json or junit on standard error); exit status 1 if any failed.\n"
    "\n"
    "Examples\n"
    "    moonwire test\n"
    "    moonwire test --allow-run=cat --filter='half%-close' spec/pipe_spec.lua\n";

static const char check_text[] =
    "Compiles each SCRIPT (`-`: standard input) and runs none. Reports every one that does not compile, as `FILE:LINE: what`,\n"
    "and ends with 1 if there was any.\n"
    "\n"
    "Example\n"
    "    moonwire check *.lua\n";

static const char completions_text[] =
    "Prints a script that completes commands and options in your shell.\n"
    "\n"
    "    source <(moonwire completions bash)                                          in ~/.bashrc\n"
    "    moonwire completions zsh > ~/.zfunc/_moonwire                                a folder of your $fpath\n"
    "    moonwire completions fish > ~/.config/fish/completions/moonwire.fish\n";

static const char confinement_text[] =
    "confinement: what the kernel holds beside moonwire's own checks (Landlock and seccomp, Linux)\n"
    "\n"
    "Every program started under --allow-run, and all that it starts, is held to the script's rights: files and folders; TCP only\n"
    "at ports that are granted for all hosts (--allow-net=:443, or sandbox = { connect = {443} } below such a right); UDP only\n"
    "under --allow-net for everything; Unix sockets by name only with sandbox = { unix = true }. HOME and TMPDIR are a private\n"
    "folder that is removed at the end. --trust-run=PROGRAM starts a program without all that, with your own rights.\n"
    "The script may not write that program, nor a native module that --allow-ffi names, whatever its rights; what it reads is yours to\n"
    "keep: with a right to write everything, or its settings, it does what the script wants.\n"
    "\n"
    "A script child is held to its permissions: files and TCP ports by the kernel, hosts and socket paths by its own moonwire,\n"
    "and so is which name in a folder a right for a single file or socket means.\n"
    "\n"
    "moonwire itself is held to its script's rights with --confine=strict, and by --confine=auto (the default) where standard\n"
    "input or standard error is no terminal, or with --no-prompt; not with --trust-run or -A. --audit=FILE tells. It then changes\n"
    "what is in a granted folder, but does not remove or rename that folder itself: grant the one above, or --confine=off.\n"
    "\n"
    "The kernel only allows, and below a folder. Where something is denied inside a granted folder, that folder is opened up:\n"
    "everything else that is in it stays allowed to children, but they cannot list it, nor make, nor use what comes later in it.\n"
    "Where the kernel has no Landlock, a child that would be confined is not started. That a file exists is not hidden.\n"
    "Inside there is no /proc (ps fails), and no /dev/shm (Python's multiprocessing.Pool fails).\n"
    "\n"
    "What any confined program may open to load, whatever the rights (a denial of the very path takes it away):\n";

static const char rights_text[] =
    "    Without a list a right is for everything. Lists are separated by commas (`\\,` is a comma); a flag may be repeated.\n"
    "    The more specific rule wins; of two alike, the deny. Each has its opposite:\n";

static const char prompt_text[] =
    "\n    On a terminal `run` and `eval` ask for a right that is missing and that no flag denies: y grants it once, a until exit,\n"
    "    n not at all, and what was refused three times is not asked for again. Nobody is asked otherwise, nor with --no-prompt;\n"
    "    then it is denied.\n"
    "    --policy=FILE is JSON: {\"read\": [\"data\", \"/etc/hosts\"], \"net\": true, \"deny\": {\"read\": [\"data/keys\"]}}. true means\n"
    "    everything; relative paths start at the file. What it does not grant no flag grants, -A included; a kind that flags\n"
    "    allow something of is cut down to both.\n";

static const char modules_text[] =
    "\nModules\n"
    "    `require` looks beside SCRIPT, then where Lua's own modules are installed. With -A it also takes LUA_PATH_5_4 or LUA_PATH and\n"
    "    LUA_CPATH_5_4 or LUA_CPATH, as lua5.4 does, and looks in the working directory, last of all; not once a right is denied.\n";

static const char trace_text[] =
    "\nTraces\n"
    "    --trace=FILE writes down what goes over streams and channels, to and from workers, pools, rings and task channels, which\n"
    "    processes start and end, what they are given and what they say. Script children write into the same file, but not into a\n"
    "    pipe: a call is seen at both ends, by its number. The ending says how: .pcapng for Wireshark; .jsonl, an object a line;\n"
    "    .trace.json for ui.perfetto.dev, where tasks, what they wait for and who ends their waits are drawn; - or stderr for the\n"
    "    terminal. The first 4 KiB of each message are kept. Values of password, secret, token, authorization, cookie, api_key and\n"
    "    their like are stars. The file is yours, not the script's: it needs no right. At most 1 GiB. In .jsonl what a script child\n"
    "    says has \"process\", its number; order by \"mono\": each process writes when it comes to it.\n";

static const char debug_text[] =
    "\nLooking into a running script (--debug)\n"
    "    With --debug=unix:PATH, `moonwire attach unix:PATH` is a prompt inside the script: its values, its tasks, its errors. Who\n"
    "    attaches can do what the script can, and is asked for nothing; only you and root are let in. PATH's folder must be one\n"
    "    that nobody else can write to ($XDG_RUNTIME_DIR is). The script's own rights stay what they are. A script opens the same\n"
    "    by itself with mw.repl.listen(\"unix:PATH\").\n";

static const char status_text[] =
    "\nExit status\n"
    "    0 done   1 the script failed   2 wrong usage   77 a right was denied   124 timed out\n"
    "    126 the script cannot be read   127 there is no such script   128+n ended by signal n: 130 Ctrl-C, 143 TERM\n"
    "    Ctrl-C, TERM and HUP cancel the script, which cleans up; a second one ends it at once.\n";

static const char environment_text[] =
    "\nEnvironment\n"
    "    MOONWIRE_TIMEOUT=DURATION    as --timeout. Rights are never taken from the environment.\n"
    "    MOONWIRE_LIMIT=NAME=VALUE,...  as --limit; it can only lower one\n"
    "    MOONWIRE_LOG=LEVEL           what mw.log shows: debug, info (the default), warn, error or off\n"
    "    NO_COLOR, FORCE_COLOR        never, always colour errors; otherwise on a terminal only, where repl colours values too\n";

static void print_option(FILE *to, const struct mw_flag_row *row) {
    char left[96];
    const char *open = row->takes == MW_VALUE_LIST ? "[=" : "=";
    const char *shut = row->takes == MW_VALUE_LIST ? "]" : "";
    int none = row->takes == MW_VALUE_NONE;

    snprintf(left, sizeof left, "%s%s%s%s%s%s", row->letter == NULL ? "" : row->letter, row->letter == NULL ? "" : ", ",
             row->name, none ? "" : open, none ? "" : row->value, none ? "" : shut);
    fprintf(to, "    %-*s %s\n", COLUMN, left, row->text);
}

/* The rights first, with their opposites on a line of their own, then what else the command takes. */
static void print_options(FILE *to, enum mw_command command) {
    const char *gap = "   ";
    int rights = 0;

    for (size_t i = 0; i < mw_table_flags(); i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        if (!(row->commands & 1u << command) || row->text == NULL) continue;
        if (row->does != MW_FLAG_RIGHT && row->does != MW_FLAG_ALL) continue;
        if (!rights++) fputs("\nRights\n", to);
        print_option(to, row);
    }
    if (rights) fputs(rights_text, to);
    for (size_t i = 0; rights && i < mw_table_flags(); i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        if (!(row->commands & 1u << command) || row->effect != MW_DENY) continue;
        fprintf(to, "%s %s", gap, row->name);
        gap = "";
    }
    if (rights) fputs("\n", to);
    fputs("\nOptions\n", to);
    for (size_t i = 0; i < mw_table_flags(); i++) {
        const struct mw_flag_row *row = mw_table_flag(i);
        if (!(row->commands & 1u << command) || row->text == NULL) continue;
        if (row->does != MW_FLAG_RIGHT && row->does != MW_FLAG_ALL) print_option(to, row);
    }
}

static const char spin_text[] =
    "\nWaiting for the next message (--spin)\n"
    "    To wake a sleeping program takes some 20 to 40 microseconds, a quick answer less. auto looks on for up to 50 where answers\n"
    "    have been coming that fast, and sleeps at once after a few looks in vain: an idle script uses no processor time. On one\n"
    "    core, or while other programs want this one, it sleeps at once, whatever is said here.\n";

/* What --limit knows. */
static void print_limits(FILE *to) {
    const struct mw_limit_row *row;
    char left[64];

    fputs("\nLimits (--limit=NAME=VALUE,...): reaching one is an error in the script\n", to);
    for (size_t i = 0; (row = mw_limits_row(i)) != NULL; i++) {
        snprintf(left, sizeof left, "%s=%s", row->name, row->fallback);
        fprintf(to, "    %-*s %s\n", COLUMN, left, row->text);
    }
}

static void print_confinement(FILE *to) {
    char rights[32];

    fputs(confinement_text, to);
    for (const struct mw_loading_row *row = mw_loading_table(); row->path != NULL; row++) {
        snprintf(rights, sizeof rights, "read%s%s", row->execute ? ", execute" : "", row->write ? ", write" : "");
        fprintf(to, "    %-26s %-15s %s\n", row->path, rights, row->why);
    }
    fputs("\nand: the program itself; the programs of --allow-run, and P for those in P/bin, P/sbin, P/shims, unless P is /, a home\n"
          "folder or the one for temporary files; the script of a #! program; its terminal, with pty = true.\n", to);
}

static void print_program(FILE *to) {
    fputs("moonwire: Lua scripts that run processes and talk over pipes and sockets, with the rights you give them\n\n", to);
    for (int i = 0; i < MW_COMMANDS; i++) {
        const struct mw_command_row *row = mw_table_command((enum mw_command)i);
        if (row->summary != NULL) fprintf(to, "    moonwire %-48s %s\n", row->usage, row->summary);
    }
    fputs("\n", to);
    fputs(about, to);
    fputs(trace_text, to);
    fputs(status_text, to);
    fputs(environment_text, to);
}

void mw_help_print(FILE *to, int topic) {
    static const char *const texts[MW_COMMANDS] = {
        [MW_CMD_RUN] = run_text, [MW_CMD_EVAL] = eval_text, [MW_CMD_REPL] = repl_text,
        [MW_CMD_ATTACH] = attach_text, [MW_CMD_TEST] = test_text, [MW_CMD_CHECK] = check_text,
        [MW_CMD_COMPLETIONS] = completions_text,
    };
    const struct mw_command_row *row;

    if (topic == MW_TOPIC_CONFINEMENT) {
        print_confinement(to);
        return;
    }
    if (topic < 0 || topic >= MW_COMMANDS || texts[topic] == NULL) {
        print_program(to);
        return;
    }
    row = mw_table_command((enum mw_command)topic);
    fprintf(to, "moonwire %s: %s\n\n    moonwire %s\n", row->name, row->summary, row->usage);
    if (topic == MW_CMD_RUN) fputs("    moonwire [rights] [options] SCRIPT [ARGS]\n", to);
    fputs("\n", to);
    fputs(texts[topic], to);
    print_options(to, (enum mw_command)topic);
    if (topic == MW_CMD_COMPLETIONS) return;
    if (topic == MW_CMD_RUN || topic == MW_CMD_REPL) fputs(prompt_text, to);
    if (topic == MW_CMD_RUN) fputs(modules_text, to);
    if (topic != MW_CMD_CHECK && topic != MW_CMD_ATTACH) {
        print_limits(to);
        fputs(spin_text, to);
    }
    fputs(trace_text, to);
    if (topic == MW_CMD_RUN) fputs(debug_text, to);
    fputs(status_text, to);
    fputs(environment_text, to);
}
