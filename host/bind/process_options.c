/* The option table of a process, read once and raw into what io/process takes.
 * Knows: bind/arg, bind/stream, bind/fs, io/process, lua.h. Never: a syscall, a decision. */
#include "bind/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bind/arg.h"
#include "bind/fs.h"
#include "bind/stream.h"

#define ARG_MAX_BYTES (1u << 20)      /* of one argument: the kernel's own limit comes first, as E2BIG */
#define ARGS_MAX 65536
#define OUTPUT_DEFAULT (8u << 20)
#define TAIL_DEFAULT 4096
#define OUTPUT_MAX ((uint64_t)1 << 40)
#define KILL_AFTER_NS 5000000000u

static const char *const known[] = {
    "script", "cwd", "env", "clear_env", "stdin", "stdout", "stderr", "max_output", "on_overflow", "timeout", "kill_signal",
    "kill_after", "check", "tee", "detached", "pty", "permissions", "sandbox", "limits", "share", "name", NULL,
};

/* ---- Signals ---------------------------------------------------------------------------------------------------------------- */

static const struct { const char *name; int number; } signals[] = {
    { "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT }, { "ILL", SIGILL }, { "TRAP", SIGTRAP }, { "ABRT", SIGABRT },
    { "BUS", SIGBUS }, { "FPE", SIGFPE }, { "KILL", SIGKILL }, { "USR1", SIGUSR1 }, { "SEGV", SIGSEGV }, { "USR2", SIGUSR2 },
    { "PIPE", SIGPIPE }, { "ALRM", SIGALRM }, { "TERM", SIGTERM }, { "CHLD", SIGCHLD }, { "CONT", SIGCONT }, { "STOP", SIGSTOP },
    { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU }, { "URG", SIGURG }, { "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },
    { "VTALRM", SIGVTALRM }, { "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO }, { "SYS", SIGSYS },
#ifdef SIGPWR
    { "PWR", SIGPWR },
#endif
#ifdef SIGSTKFLT
    { "STKFLT", SIGSTKFLT },
#endif
    { "IOT", SIGABRT }, { "POLL", SIGIO }, { "CLD", SIGCHLD }, /* other names, which come in and never out */
};

const char *mw_process_signal_name(int number) {
    size_t i;

    for (i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (signals[i].number == number) return signals[i].name;
    }
    return NULL;
}

int mw_process_signal_number(const char *name) {
    size_t i;

    if (strncmp(name, "SIG", 3) == 0) name += 3;
    for (i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (strcmp(signals[i].name, name) == 0) return signals[i].number;
    }
    return 0;
}

int mw_process_signal_read(lua_State *L, int idx, const char *op, const char *what) {
    const char *name, *plain, *of = strncmp(what, "option", 6) == 0 ? what : "";
    luaL_Buffer b;
    int number;
    size_t i;

    if (lua_type(L, idx) == LUA_TNUMBER) return (int)mw_param_integer(L, idx, op, what, 1, 64);
    name = mw_param_text(L, idx, op, what, 32, NULL);
    number = mw_process_signal_number(name);
    if (number != 0) return number;
    plain = strncasecmp(name, "SIG", 3) == 0 ? name + 3 : name;
    for (i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (strcasecmp(signals[i].name, plain) == 0)
            return mw_raise_inval(L, op, "%s%sthere is no signal \"%s\"; did you mean \"%s\"?", of, *of != '\0' ? ": " : "", name, signals[i].name);
    }
    luaL_buffinit(L, &b);
    for (i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (i > 0) luaL_addstring(&b, " ");
        luaL_addstring(&b, signals[i].name);
    }
    luaL_pushresult(&b);
    return mw_raise_inval(L, op, "%s%sthere is no signal \"%s\"; there are: %s", of, *of != '\0' ? ": " : "", name, lua_tostring(L, -1));
}

/* ---- Arguments -------------------------------------------------------------------------------------------------------------- */

/* A copy of the array part with every item a string; pushed, and behind it the C array that points into it. */
static void read_argv(lua_State *L, int idx, struct mw_process_options *o) {
    const char *script = mw_opt_text(L, idx, o->op, "script", 4096, NULL), **argv;
    lua_Integer n = (lua_Integer)lua_rawlen(L, idx), i, first = script != NULL;
    char name[32];

    if (n + first < 1) mw_raise_inval(L, o->op, "a program is missing: { \"echo\", \"hello\" }");
    for (lua_pushnil(L), i = 0; lua_next(L, idx) != 0; lua_pop(L, 1)) i += lua_isinteger(L, -2);
    if (i != n) mw_raise_inval(L, o->op, "there is a hole in the arguments");
    if (n > ARGS_MAX) mw_raise_inval(L, o->op, "%I arguments, at most %d are allowed", (LUAI_UACINT)n, ARGS_MAX);
    lua_createtable(L, (int)(n + first), 0);                         /* [args] */
    if (script != NULL) {
        lua_pushstring(L, script);
        lua_rawseti(L, -2, 1);
    }
    argv = lua_newuserdatauv(L, (size_t)(n + first + 1) * sizeof *argv, 0);     /* [args argv] */
    argv[0] = script;
    for (i = 1; i <= n; i++) {
        if (lua_rawgeti(L, idx, i) == LUA_TNUMBER) lua_tostring(L, -1);
        snprintf(name, sizeof name, i == 1 && script == NULL ? "the program" : "argument %lld", (long long)(i - 1 + first));
        argv[i - 1 + first] = mw_param_text(L, -1, o->op, name, ARG_MAX_BYTES, NULL);
        lua_rawseti(L, -3, i + first);
    }
    argv[n + first] = NULL;
    if (argv[0][0] == '\0') mw_raise_inval(L, o->op, "the %s name is empty", script != NULL ? "script's" : "program's");
    o->argv = argv;
    o->argc = (int)(n + first);
    o->script = script != NULL;
}

/* ---- Environment -------------------------------------------------------------------------------------------------------------- */

static void read_env_pair(lua_State *L, const char *op, struct mw_env *e) {      /* [... anchor key value] */
    if (lua_type(L, -2) != LUA_TSTRING) mw_raise_inval(L, op, "option \"env\": a name must be a string, got %s", luaL_typename(L, -2));
    e->name = mw_param_text(L, -2, op, "a name in option \"env\"", 255, NULL);
    if (e->name[0] == '\0' || strchr(e->name, '=') != NULL) mw_raise_inval(L, op, "option \"env\": \"%s\" is no name", e->name);
    if (lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        e->value = NULL;
        return;
    }
    lua_pushvalue(L, -1);
    if (lua_type(L, -1) == LUA_TNUMBER) lua_tostring(L, -1);
    if (lua_type(L, -1) != LUA_TSTRING) mw_raise_inval(L, op, "option \"env\": %s must be a string, or false to remove it, got %s", e->name, luaL_typename(L, -1));
    e->value = mw_param_text(L, -1, op, e->name, MW_PROCESS_ENV_MAX, NULL);
    lua_rawseti(L, -4, (lua_Integer)lua_rawlen(L, -4) + 1);           /* numbers became strings: keep them */
}

static void read_env(lua_State *L, int idx, struct mw_process_options *o) {
    struct mw_env *env;
    size_t n = 0;
    int table;

    if (mw_opt_get(L, idx, "env") == LUA_TNIL) return;
    table = lua_gettop(L);
    if (lua_type(L, table) != LUA_TTABLE) mw_raise_inval(L, o->op, "option \"env\" must be a table, got %s", luaL_typename(L, table));
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) n++;
    env = lua_newuserdatauv(L, (n + 1) * sizeof *env, 0);
    lua_newtable(L);                                                  /* [env array anchor] */
    o->env = env;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        if (o->env_count < n) read_env_pair(L, o->op, &env[o->env_count++]);
    }
}

/* ---- Standard streams --------------------------------------------------------------------------------------------------------- */

static const char *const stdio_names[] = { "stdin", "stdout", "stderr" };

static enum mw_stdio_kind piped(int i, enum mw_process_use use) {
    if (i == 0 || use == MW_USE_SPAWN || (use == MW_USE_LINES && i == 1) || (use == MW_USE_POOL && i == 1)) return MW_STDIO_STREAM;
    return MW_STDIO_CAPTURE;
}

static void read_word(lua_State *L, int i, enum mw_process_use use, struct mw_process_options *o) {
    struct mw_stdio *io = &o->io[i];
    const char *word = lua_tolstring(L, -1, &io->len);

    if (strcmp(word, "pipe") == 0) {
        io->kind = piped(i, use);
        if (i == 0 && use != MW_USE_SPAWN && use != MW_USE_POOL) mw_raise_inval(L, o->op, "option \"stdin\": nobody could write to that pipe; give the text itself, or use process.spawn");
    } else if (strcmp(word, "inherit") == 0) {
        io->kind = MW_STDIO_INHERIT;
    } else if (strcmp(word, "null") == 0) {
        io->kind = MW_STDIO_NULL;
    } else if (i == 2 && strcmp(word, "stdout") == 0) {
        io->kind = MW_STDIO_OUT;
    } else if (i == 0) {
        io->kind = MW_STDIO_TEXT;
        io->text = word;
    } else {
        mw_raise_inval(L, o->op, "option \"%s\" must be \"pipe\", \"inherit\", \"null\"%s or a stream, got \"%s\"", stdio_names[i], i == 2 ? ", \"stdout\"" : "", word);
    }
    if (use == MW_USE_LINES && i == 1 && io->kind != MW_STDIO_STREAM) mw_raise_inval(L, o->op, "option \"stdout\": the lines come from there");
}

/* An open file: what it held is written and its position is the script's, before the child has it. */
static void read_file(lua_State *L, int i, struct mw_process_options *o) {
    struct mw_err err;

    o->io[i].link = mw_file_fd(L, -1, i > 0, &err);
    if (o->io[i].link < 0) mw_raise(L, &err);
}

/* The value stays alive in the option table; a stream's box in it too. */
static void read_stdio(lua_State *L, int idx, int i, enum mw_process_use use, struct mw_process_options *o) {
    int type = mw_opt_get(L, idx, stdio_names[i]);
    struct mw_pipe_end *end = luaL_testudata(L, -1, MW_PIPE_END_TYPE);
    mw_stream *given = end == NULL ? mw_stream_test(L, -1) : NULL;

    if (type == LUA_TNIL) {
        o->io[i].kind = i == 0 ? MW_STDIO_NULL : use == MW_USE_RUN || use == MW_USE_PIPE || (use == MW_USE_POOL && i == 2) ? MW_STDIO_CAPTURE :
                        use == MW_USE_LINES && i == 1 ? MW_STDIO_STREAM : MW_STDIO_INHERIT;
    } else if (o->pty) {
        mw_raise_inval(L, o->op, "option \"%s\": with pty all three are the terminal", stdio_names[i]);
    } else if (end != NULL) {
        o->io[i].kind = MW_STDIO_LINK;
        o->io[i].link = end->fd;
    } else if (given != NULL) {
        o->io[i].kind = MW_STDIO_GIVEN;
        o->io[i].given = given;
    } else if (mw_file_test(L, -1) != NULL) {
        o->io[i].kind = MW_STDIO_FILE;
        read_file(L, i, o);
    } else if (type == LUA_TSTRING) {
        read_word(L, i, use, o);
    } else {
        mw_raise_inval(L, o->op, "option \"%s\" must be a string, a stream or a file, got %s", stdio_names[i], luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

void mw_process_ends_given(lua_State *L, int idx) {
    int i;

    for (i = 0; i < 3; i++) {
        struct mw_pipe_end *end;
        mw_opt_get(L, idx, stdio_names[i]);
        end = luaL_testudata(L, -1, MW_PIPE_END_TYPE);
        if (end != NULL) end->fd = -1;
        lua_pop(L, 1);
    }
}

static void read_pty(lua_State *L, int idx, struct mw_process_options *o) {
    static const char *const size[] = { "rows", "cols", NULL };
    int type = mw_opt_get(L, idx, "pty"), at = lua_gettop(L);

    if (type == LUA_TTABLE) {
        mw_opt_open(L, at, o->op, size, 0);
        o->rows = (unsigned short)mw_opt_integer(L, at, o->op, "rows", 1, 65535, 24);
        o->cols = (unsigned short)mw_opt_integer(L, at, o->op, "cols", 1, 65535, 80);
    } else if (type != LUA_TNIL && type != LUA_TBOOLEAN) {
        mw_raise_inval(L, o->op, "option \"pty\" must be true or { rows =, cols = }, got %s", lua_typename(L, type));
    }
    o->pty = lua_toboolean(L, at);
    lua_pop(L, 1);
}

/* ---- All of it ---------------------------------------------------------------------------------------------------------------- */

static int read_signal(lua_State *L, int idx, const char *op) {
    int type = mw_opt_get(L, idx, "kill_signal"), number = SIGTERM;

    if (type != LUA_TNIL) number = mw_process_signal_read(L, lua_gettop(L), op, "option \"kill_signal\"");
    lua_pop(L, 1);
    return number;
}

/* No allocation below runs a finalizer that could reach the copy: what was read stays as it was read. */
void mw_process_options_copy(lua_State *L, int idx, int depth) {
    int from = lua_absindex(L, idx);
    size_t n = lua_rawlen(L, from);

    luaL_checkstack(L, 6, "options");
    lua_createtable(L, n <= ARGS_MAX ? (int)n : 0, 4);                /* [copy]; a border says little of a table with holes */
    for (lua_pushnil(L); lua_next(L, from) != 0;) {                   /* [copy key value] */
        if (depth > 0 && lua_type(L, -1) == LUA_TTABLE) {
            mw_process_options_copy(L, -1, depth - 1);
            lua_replace(L, -2);
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);                                            /* [copy key key value] */
        lua_rawset(L, -4);
    }
}

void mw_process_options_read(lua_State *L, int idx, enum mw_process_use use, struct mw_process_options *o) {
    static const char *const ops[] = { "process run", "process spawn", "process lines", "process pipe", "process pool" };
    static const char *const overflow[] = { "fail", "truncate", NULL };
    int i;

    luaL_checkstack(L, 20, "options");
    memset(o, 0, sizeof *o);
    o->op = ops[use];
    o->silent = use != MW_USE_SPAWN && use != MW_USE_POOL;
    if (lua_type(L, idx) != LUA_TTABLE) mw_raise_inval(L, o->op, "a table is expected: { \"echo\", \"hello\" }, got %s", luaL_typename(L, idx));
    mw_opt_open(L, idx, o->op, known, 1);
    read_argv(L, idx, o);                                             /* [args ...] */
    read_env(L, idx, o);
    read_pty(L, idx, o);
    for (i = 0; i < 3; i++) read_stdio(L, idx, i, use, o);
    o->cwd = mw_opt_text(L, idx, o->op, "cwd", 4096, NULL);
    o->clear_env = mw_opt_flag(L, idx, o->op, "clear_env", 0);
    o->keep_tail = use == MW_USE_POOL;
    o->max_output = (size_t)mw_opt_size(L, idx, o->op, "max_output", 0, OUTPUT_MAX, use == MW_USE_POOL ? TAIL_DEFAULT : OUTPUT_DEFAULT);
    o->truncate = mw_opt_word(L, idx, o->op, "on_overflow", overflow, 0);
    o->timeout_ns = mw_opt_duration(L, idx, o->op, "timeout", UINT64_MAX);
    o->timeout_ns = o->timeout_ns == UINT64_MAX ? 0 : o->timeout_ns == 0 ? 1 : o->timeout_ns;
    o->kill_after_ns = mw_opt_duration(L, idx, o->op, "kill_after", KILL_AFTER_NS);
    o->kill_signal = read_signal(L, idx, o->op);
    if (mw_opt_flag(L, idx, o->op, "check", 0) && use == MW_USE_SPAWN)
        mw_raise_inval(L, o->op, "option \"check\" is for what runs to its end: here, look at what child:wait() gives");
    mw_opt_text(L, idx, o->op, "name", 128, NULL);
    o->tee = mw_opt_flag(L, idx, o->op, "tee", 0);
    if (o->tee && use == MW_USE_SPAWN) mw_raise_inval(L, o->op, "option \"tee\" shows what is captured: here nothing is");
    o->detached = mw_opt_flag(L, idx, o->op, "detached", 0);
    mw_process_sandbox_read(L, idx, o);
    mw_process_limits_read(L, idx, o);
    if (!o->script && mw_opt_get(L, idx, "permissions") != LUA_TNIL) mw_raise_inval(L, o->op, "option \"permissions\" is for script children");
}
