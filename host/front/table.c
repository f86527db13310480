/* The rows of the command line: commands and flags.
 * Knows: moonwire.h.
 * Never: parses or prints. */
#include "front/table.h"

#include <string.h>

static const struct mw_command_row commands[MW_COMMANDS] = {
    [MW_CMD_RUN] = { "run", "run [rights] [options] SCRIPT [ARGS]", "run a script; `moonwire SCRIPT` is short for it" },
    [MW_CMD_EVAL] = { "eval", "eval [rights] [options] 'CODE' [ARGS]", "run a piece of Lua; print what it gives" },
    [MW_CMD_REPL] = { "repl", "repl [rights] [options]", "a prompt: each line runs at once; servers and timers live meanwhile" },
    [MW_CMD_ATTACH] = { "attach", "attach unix:PATH", "the same prompt inside a running script that has opened one" },
    [MW_CMD_TEST] = { "test", "test [rights] [options] [busted options] [FILES]", "run specs with Busted, inside a host" },
    [MW_CMD_CHECK] = { "check", "check SCRIPT...", "compile scripts without running them" },
    [MW_CMD_COMPLETIONS] = { "completions", "completions bash|zsh|fish", "print completions for a shell" },
    [MW_CMD_HELP] = { "help", "help [COMMAND|confinement]", "explain a command, or what the kernel holds" },
    [MW_CMD_VERSION] = { NULL, "--version", "print the version" },
    [MW_CMD_CHILD] = { "child-script", "child-script SCRIPT [ARGS]", NULL },
};

#define RUNS (1u << MW_CMD_RUN | 1u << MW_CMD_EVAL | 1u << MW_CMD_REPL | 1u << MW_CMD_TEST)
#define TALKS (RUNS | 1u << MW_CMD_ATTACH | 1u << MW_CMD_CHECK | 1u << MW_CMD_COMPLETIONS | 1u << MW_CMD_HELP)
#define RIGHT(word, kind, value, text)                                                              \
    { "--allow-" word, NULL, MW_FLAG_RIGHT, kind, MW_ALLOW, MW_VALUE_LIST, value, text, RUNS },      \
    { "--deny-" word, NULL, MW_FLAG_RIGHT, kind, MW_DENY, MW_VALUE_LIST, value, NULL, RUNS }
static const struct mw_flag_row flags[] = {
    RIGHT("read", MW_READ, "PATH,...", "read these files; a folder means all below it"),
    RIGHT("write", MW_WRITE, "PATH,...", "write, make and remove files, likewise"),
    RIGHT("net", MW_NET, "HOST,...", "connect and listen: host, host:port, [v6]:port, :port, *.domain, 10.0.0.0/8, unix:/path"),
    RIGHT("connect", MW_CONNECT, "HOST,...", "the same rules, for connecting only"),
    RIGHT("listen", MW_LISTEN, "HOST,...", "the same rules, for listening only"),
    RIGHT("run", MW_RUN, "PROGRAM,...", "start these programs, by name or path; the kernel holds them to this script's rights"),
    { "--trust-run", NULL, MW_FLAG_RIGHT, MW_TRUST, MW_ALLOW, MW_VALUE_LIST, "PROGRAM,...",
      "the same, not confined: with all rights of the user", RUNS },
    RIGHT("env", MW_ENV, "NAME,...", "see these environment variables; PREFIX_* matches many"),
    RIGHT("sys", MW_SYS, "KIND,...", "ask about the machine: hostname, cpus, uid, pid, ..."),
    RIGHT("share", MW_SHARE, "NAME,...", "named shared memory; PREFIX* matches many"),
    RIGHT("ffi", MW_FFI, "PATH,...", "load these native modules; native code voids every promise"),
    { "--allow-all", "-A", MW_FLAG_ALL, MW_READ, MW_ALLOW, MW_VALUE_NONE, NULL, "everything", RUNS },
    { "--no-prompt", NULL, MW_FLAG_NO_PROMPT, MW_READ, MW_ALLOW, MW_VALUE_NONE, NULL,
      "never ask for a missing right; otherwise run, eval and repl do, on a terminal", RUNS },
    { "--timeout", NULL, MW_FLAG_TIMEOUT, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "DURATION",
      "end the run after 250ms, 2s, 5m, 1h; exit status 124", RUNS },
    { "--cleanup", NULL, MW_FLAG_CLEANUP, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "DURATION",
      "what runs as __close after a cancel, or at the end, may wait so long (5s)", RUNS },
    { "--limit", NULL, MW_FLAG_LIMIT, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "NAME=VALUE,...",
      "what the script may use at most; the names are below", RUNS },
    { "--policy", NULL, MW_FLAG_POLICY, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "FILE",
      "rights from a JSON file; the other flags only narrow them", RUNS },
    { "--audit", NULL, MW_FLAG_AUDIT, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "FILE",
      "append a line of JSON for every decision about a right", RUNS },
    { "--trace", NULL, MW_FLAG_TRACE, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "FILE",
      "write down every message: .pcapng, .jsonl, .trace.json, or - (below)", RUNS },
    { "--debug", NULL, MW_FLAG_DEBUG, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "unix:PATH",
      "let `moonwire attach unix:PATH` look into the script (below)", 1u << MW_CMD_RUN | 1u << MW_CMD_EVAL },
    { "--confine", NULL, MW_FLAG_CONFINE, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "auto|strict|off",
      "the kernel holds moonwire itself to the rights: auto: where nobody can be asked", RUNS },
    { "--spin", NULL, MW_FLAG_SPIN, MW_READ, MW_ALLOW, MW_VALUE_NEEDED, "auto|off|MICROSECONDS",
      "how long to look for the next message before sleeping (below)", RUNS },
    { "--help", "-h", MW_FLAG_HELP, MW_READ, MW_ALLOW, MW_VALUE_NONE, NULL, "explain this command", TALKS },
};

const struct mw_command_row *mw_table_command(enum mw_command command) { return &commands[command]; }

int mw_table_command_of(const char *name) {
    for (int i = 0; i < MW_COMMANDS; i++) {
        if (commands[i].name != NULL && strcmp(commands[i].name, name) == 0) return i;
    }
    return -1;
}

size_t mw_table_flags(void) { return sizeof flags / sizeof flags[0]; }
const struct mw_flag_row *mw_table_flag(size_t i) { return &flags[i]; }

/* How many letters must be put in, left out, changed or swapped with their neighbour to make b of a. Words up to 31 letters. */
static unsigned distance(const char *a, const char *b) {
    enum { WORD = 32 };
    unsigned char row[3][WORD + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > WORD - 1 || lb > WORD - 1) return WORD;
    for (size_t j = 0; j <= lb; j++) row[0][j] = (unsigned char)j;

    for (size_t i = 1; i <= la; i++) {
        unsigned char *now = row[i % 3], *above = row[(i - 1) % 3], *twice = row[(i + 1) % 3];
        now[0] = (unsigned char)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1u < best) best = above[j] + 1u;
            if (now[j - 1] + 1u < best) best = now[j - 1] + 1u;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && twice[j - 2] + 1u < best) {
                best = twice[j - 2] + 1u;
            }
            now[j] = (unsigned char)best;
        }
    }
    return row[la % 3][lb];
}

const char *mw_table_nearest(const char *word, const char *const *list, size_t count) {
    const char *found = NULL;
    unsigned limit = strlen(word) < 4 ? 1 : strlen(word) < 8 ? 2 : 3;

    for (size_t i = 0; i < count; i++) {
        unsigned d = list[i] == NULL ? limit + 1 : distance(word, list[i]);
        if (d <= limit && (found == NULL || d < limit)) {
            found = list[i];
            limit = d;
        }
    }
    return found;
}

const char *mw_table_nearest_command(const char *word) {
    const char *names[MW_COMMANDS];

    for (int i = 0; i < MW_COMMANDS; i++) names[i] = commands[i].summary == NULL ? NULL : commands[i].name;
    return mw_table_nearest(word, names, MW_COMMANDS);
}
