/* uv.spawn: luv's name and arguments, our spawner behind it.
 * Knows: bind/uv.h, io/process. Never: starts a program that io/process would not; passes a descriptor that is not the script's.
 *
 * A handle is a type of ours with luv's methods. Whose process has ended is told by a daemon task, which calls the callback.
 * A signal goes to the whole group, and the child ends with the host unless it is detached: that is io/process's way. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bind/uv.h"
#include "core/task.h"
#include "io/process.h"

#define RAW_STDIO_MAX 256
#define PROCESS "mw.uv_process"
#define ENV_COUNT_MAX 16384
#define ARGS_COUNT_MAX 65536

struct child {
    mw_process *p;               /* NULL: never started */
    int closed, told;            /* told: its end was, or there was nobody to tell */
    int unref;                   /* it does not keep uv.run */
};

/* What is read from the arguments before anything is taken; strings are lent by the copied tables on the stack. */
struct request {
    struct mw_process_options o;
    const char **argv;
    struct mw_env *env;
    uv_pipe_t *pipes[3];         /* to be opened on our ends */
    int ours[3], theirs[3];
};

static int child_gc(lua_State *L) {
    struct child *c = lua_touserdata(L, 1);

    mw_process_release(c->p);
    c->p = NULL;
    return 0;
}

/* 1 if argument 1 is a process of luv's own: see start_raw. */
static int is_raw(lua_State *L, const char *op) {
    return lua_type(L, 1) == LUA_TUSERDATA && !mw_uv_is_process(L, 1) && mw_uv_handle(L, 1, op, UV_KIND(PROCESS)) != NULL;
}

static struct child *child_at(lua_State *L, const char *op, int open) {
    struct child *c = luaL_testudata(L, 1, PROCESS);

    if (c == NULL) mw_raise_inval(L, op, "argument 1: what spawn gave expected, got %s", luaL_typename(L, 1));
    else if (open && c->closed) mw_raise_inval(L, op, "the handle is closed");
    return c;
}

/* ---- Reading the options ---------------------------------------------------------------------------------------------------- */

/* Raw field `name` of the table at idx, pushed; its type. */
static int field(lua_State *L, int idx, const char *name) {
    lua_pushstring(L, name);
    return lua_rawget(L, idx);
}

/* The list at idx (a table, or nil): an array of its strings after `first`, in a userdata that is pushed, and a copy of the
 * table that holds them, pushed too. */
static const char **strings_at(lua_State *L, int idx, const char *op, const char *name, const char *first, lua_Integer max, size_t *count) {
    lua_Integer n = lua_isnil(L, idx) ? 0 : (lua_Integer)lua_rawlen(L, idx);
    size_t at = 0;
    const char **out;

    if (n > max) mw_raise_inval(L, op, "%s: at most %d strings", name, (int)max);
    lua_createtable(L, (int)n, 0);                                     /* [copy] */
    out = lua_newuserdatauv(L, ((size_t)n + 2) * sizeof *out, 0);      /* [copy array] */
    if (first != NULL) out[at++] = first;
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, idx, i);
        if (lua_type(L, -1) == LUA_TNUMBER) lua_tostring(L, -1);       /* as luv does; the copy keeps the text */
        out[at++] = mw_param_text(L, -1, op, name, MW_PROCESS_ARGS_MAX, NULL);
        lua_rawseti(L, -3, i);
    }
    out[at] = NULL;
    *count = at;
    return out;
}

/* "NAME=value" strings become names and values: copies, in a userdata that is pushed. */
static void read_env(lua_State *L, int idx, const char *op, struct request *q) {
    size_t count, bytes = 0;
    const char **list = strings_at(L, idx, op, "env", NULL, ENV_COUNT_MAX, &count);
    char *at;

    for (size_t i = 0; i < count; i++) bytes += strlen(list[i]) + 1;
    q->env = lua_newuserdatauv(L, (count + 1) * sizeof *q->env + bytes, 0);
    at = (char *)(q->env + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(list[i]) + 1;
        char *equals;

        memcpy(at, list[i], len);
        equals = strchr(at, '=');
        if (equals == NULL || equals == at) mw_raise_inval(L, op, "env: \"NAME=value\" expected, got \"%s\"", at);
        else *equals = '\0';
        q->env[i].name = at;
        q->env[i].value = equals + 1;
        at += len;
    }
    q->o.env = q->env;
    q->o.env_count = count;
    q->o.clear_env = 1;
}

/* One of stdio: nil, a pipe of the script's, or the number of a descriptor of the script's; 0, 1, 2 are the host's own. */
static void read_stdio(lua_State *L, struct uv_door *d, int i, const char *op, struct request *q) {
    struct mw_stdio *io = &q->o.io[i];
    uv_os_fd_t fd;
    struct mw_err err;

    io->kind = MW_STDIO_NULL;
    if (lua_isnil(L, -1)) return;
    if (lua_type(L, -1) == LUA_TNUMBER) {
        lua_Integer number = mw_param_integer(L, lua_gettop(L), op, "stdio", 0, INT32_MAX);

        io->kind = number == i ? MW_STDIO_INHERIT : number == 1 && i == 2 ? MW_STDIO_OUT : MW_STDIO_FILE;
        io->link = (int)number;
        if (io->kind == MW_STDIO_OUT && q->o.io[1].kind != MW_STDIO_INHERIT) io->kind = MW_STDIO_FILE;
        if (io->kind == MW_STDIO_FILE && mw_uv_fd(L, d, lua_gettop(L), i == 0 ? MW_FD_READ : MW_FD_WRITE, op, &fd, &err) < 0)
            mw_raise_inval(L, op, "stdio: %d is no descriptor of the script's", (int)number);
        return;
    }
    q->pipes[i] = (uv_pipe_t *)mw_uv_handle(L, lua_gettop(L), op, UV_KIND(NAMED_PIPE));
    io->kind = MW_STDIO_FILE;
    if (uv_fileno((uv_handle_t *)q->pipes[i], &fd) != 0) return;       /* fresh: a pair is made for it */
    io->link = fd;
    q->pipes[i] = NULL;
}

/* Everything of argument 2, read raw, once. What it pushes stays until the call is through. */
static void read_options(lua_State *L, struct uv_door *d, const char *op, struct request *q) {
    static const char *const known[] = { "args", "stdio", "env", "cwd", "uid", "gid", "verbatim", "detached", "hide", NULL };
    size_t count;

    luaL_checkstack(L, 40, op);
    if (lua_isnoneornil(L, 2)) lua_newtable(L);
    else if (!lua_istable(L, 2)) mw_raise_inval(L, op, "argument 2: a table expected, got %s", luaL_typename(L, 2));
    if (lua_isnoneornil(L, 2)) lua_replace(L, 2);
    mw_opt_open(L, 2, op, known, 0);
    if (field(L, 2, "uid") != LUA_TNIL || field(L, 2, "gid") != LUA_TNIL) mw_raise_inval(L, op, "a child runs as its parent does: no uid, no gid");
    if (field(L, 2, "args") != LUA_TNIL && !lua_istable(L, -1)) mw_raise_inval(L, op, "args: a table expected");
    q->argv = strings_at(L, lua_gettop(L), op, "args", lua_tostring(L, 1), ARGS_COUNT_MAX, &count);
    q->o.argv = q->argv;
    q->o.argc = (int)count;
    if (field(L, 2, "env") == LUA_TTABLE) read_env(L, lua_gettop(L), op, q);
    else if (!lua_isnil(L, -1)) mw_raise_inval(L, op, "env: a table of \"NAME=value\" expected");
    if (field(L, 2, "cwd") != LUA_TNIL) q->o.cwd = mw_param_text(L, lua_gettop(L), op, "cwd", 0, NULL);
    field(L, 2, "detached");
    q->o.detached = lua_toboolean(L, -1);
    lua_createtable(L, 3, 0);                                          /* holds the pipes */
    if (field(L, 2, "stdio") == LUA_TTABLE) {
        int list = lua_gettop(L);

        lua_pushinteger(L, 4);
        if (lua_rawget(L, list) != LUA_TNIL) mw_raise_inval(L, op, "stdio: three at most");
        for (int i = 0; i < 3; i++) {
            lua_rawgeti(L, list, i + 1);
            read_stdio(L, d, i, op, q);
            lua_rawseti(L, list - 1, i + 1);
        }
    } else if (!lua_isnil(L, -1)) {
        mw_raise_inval(L, op, "stdio: a table expected");
    }
}

/* ---- Starting ----------------------------------------------------------------------------------------------------------------- */

static void close_ends(int ends[3]) {
    for (int i = 0; i < 3; i++) {
        if (ends[i] >= 0) close(ends[i]);
        ends[i] = -1;
    }
}

/* Both ends for each fresh pipe; ours does not block, the child's does. */
static int make_pairs(struct request *q, struct mw_err *err) {
    for (int i = 0; i < 3; i++) {
        uv_os_sock_t pair[2];
        int rc;

        if (q->pipes[i] == NULL) continue;
        for (int k = 0; k < i; k++) {
            if (q->pipes[k] == q->pipes[i]) return mw_err_set(err, MW_EINVAL, "spawn", NULL, "one pipe stands for two streams");
        }
        rc = uv_socketpair(SOCK_STREAM, 0, pair, UV_NONBLOCK_PIPE, 0);
        if (rc < 0) return mw_err_set(err, rc, "spawn", NULL, NULL);
        q->ours[i] = pair[0];
        q->theirs[i] = pair[1];
        q->o.io[i].link = pair[1];
    }
    return 0;
}

static int start(struct uv_door *d, struct request *q, struct child *c, struct mw_err *err) {
    int rc = make_pairs(q, err);

    if (rc == 0) rc = mw_process_start(d->host, &q->o, &c->p, err);
    close_ends(q->theirs);
    for (int i = 0; i < 3 && rc == 0; i++) {
        if (q->pipes[i] != NULL && uv_pipe_open(q->pipes[i], q->ours[i]) == 0) q->ours[i] = -1;
    }
    close_ends(q->ours);
    return rc;
}

/* The daemon task of a child: [handle callback]. */
static int watch_k(lua_State *L, int status, lua_KContext ctx) {
    struct child *c = lua_touserdata(L, 1);
    const struct mw_exit *e;

    (void)status;
    if (c->p == NULL) return 0;
    if (mw_process_running(c->p)) return mw_wait_yield(L, mw_process_changed(c->p), MW_NEVER, ctx, watch_k);
    c->told = lua_isnil(L, 2);
    if (c->closed || c->told) return 0;
    e = mw_process_exit(c->p);
    lua_settop(L, 2);
    lua_pushinteger(L, e->known && e->signal != 0 ? 0 : e->code);
    lua_pushinteger(L, e->signal);
    mw_uv_call(L, 2);
    c->told = 1;
    return 0;
}
static int watch(lua_State *L) {
    return watch_k(L, 0, 0);
}

/* 1 if the options ask for what only luv's own spawn has: another user, a fourth stream, streams that are no pipes. */
static int is_beyond(lua_State *L) {
    int top = lua_gettop(L), is = 0;

    if (!lua_istable(L, 2)) return 0;
    luaL_checkstack(L, 6, "uv.spawn");
    is = field(L, 2, "uid") != LUA_TNIL || field(L, 2, "gid") != LUA_TNIL;
    if (field(L, 2, "stdio") == LUA_TTABLE) {
        if (lua_rawlen(L, -1) > 3) is = 1;
        for (int i = 1; i <= 3 && !is; i++) {
            uv_handle_t **box = lua_rawgeti(L, top + 3, i) == LUA_TUSERDATA ? lua_touserdata(L, -1) : NULL;

            is = box != NULL && !mw_uv_is_process(L, -1) && *box != NULL && mw_uv_handle(L, lua_gettop(L), "spawn", UV_KIND_ANY)->type != UV_NAMED_PIPE;
            lua_pop(L, 1);
        }
    }
    lua_settop(L, top);
    return is;
}

/* Raises unless each element of the list `name` of the options at 2, if it is there, is text. */
static void check_texts(lua_State *L, const char *op, const char *name) {
    if (field(L, 2, name) != LUA_TNIL && !lua_istable(L, -1)) mw_raise_inval(L, op, "%s: a table expected", name);
    for (lua_Integer i = 1, n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        mw_param_text(L, -1, op, name, MW_PROCESS_ARGS_MAX, NULL);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* For who has all rights: luv's own, which knows neither our warden nor our limits. */
static int start_raw(lua_State *L, struct uv_door *d, const char *op, lua_CFunction raw) {
    lua_settop(L, 3);
    mw_param_text(L, 1, op, "file", 0, NULL);
    mw_uv_callback(L, 3, op, 1);
    mw_uv_room(L, d, op);
    check_texts(L, op, "args");
    check_texts(L, op, "env");
    if (field(L, 2, "stdio") == LUA_TTABLE && lua_rawlen(L, -1) > RAW_STDIO_MAX) mw_raise_inval(L, op, "stdio: at most %d", RAW_STDIO_MAX);
    lua_settop(L, 3);
    return mw_uv_made(L, d, raw(L));
}

int mw_uv_spawn(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    struct request q;
    struct child *c;
    struct mw_err err;

    if (mw_uv_total(d) && is_beyond(L)) return start_raw(L, d, r->name, raw);
    memset(&q, 0, sizeof q);
    for (int i = 0; i < 3; i++) q.ours[i] = q.theirs[i] = -1;
    q.o.op = r->name;
    q.o.kill_signal = SIGTERM;
    q.o.kill_after_ns = 5000000000u;
    lua_settop(L, 3);
    mw_param_text(L, 1, r->name, "file", 0, NULL);
    mw_uv_callback(L, 3, r->name, 1);
    read_options(L, d, r->name, &q);
    mw_uv_need_processes(L);
    c = lua_newuserdatauv(L, sizeof *c, 0);                            /* [... handle] */
    memset(c, 0, sizeof *c);
    luaL_setmetatable(L, PROCESS);
    lua_pushcfunction(L, watch);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, 3);                                               /* [... handle watch handle callback] */
    if (start(d, &q, c, &err) < 0) return mw_uv_give_err(L, d, 0, &err);
    if (mw_task_start(mw_host_root(d->host), L, 2, "uv.spawn", 1, NULL, &err) < 0) {
        mw_process_close(c->p);
        return mw_uv_give_err(L, d, 0, &err);
    }
    mw_uv_remember(L, d, -1);
    lua_pushinteger(L, mw_process_pid(c->p));
    return 2;
}

/* ---- Handles ------------------------------------------------------------------------------------------------------------------ */

int mw_uv_process_get_pid(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    if (is_raw(L, r->name)) return raw(L);
    lua_pushinteger(L, mw_process_pid(child_at(L, r->name, 1)->p));
    return 1;
}

int mw_uv_signal_number(lua_State *L, int idx, const char *op) {
    static const struct { const char *name; int number; } names[] = {
        { "sigterm", SIGTERM }, { "sigkill", SIGKILL }, { "sigint", SIGINT },   { "sighup", SIGHUP },   { "sigquit", SIGQUIT },
        { "sigusr1", SIGUSR1 }, { "sigusr2", SIGUSR2 }, { "sigstop", SIGSTOP }, { "sigtstp", SIGTSTP }, { "sigcont", SIGCONT },
        { "sigwinch", SIGWINCH }, { "sigalrm", SIGALRM }, { "sigpipe", SIGPIPE }, { "sigabrt", SIGABRT }, { "sigchld", SIGCHLD },
        { "sigill", SIGILL },   { "sigtrap", SIGTRAP }, { "sigbus", SIGBUS },   { "sigfpe", SIGFPE },   { "sigsegv", SIGSEGV },
        { "sigttin", SIGTTIN }, { "sigttou", SIGTTOU }, { "sigurg", SIGURG },   { "sigxcpu", SIGXCPU }, { "sigxfsz", SIGXFSZ },
        { "sigvtalrm", SIGVTALRM }, { "sigprof", SIGPROF }, { "sigio", SIGIO }, { "sigsys", SIGSYS },
    };
    const char *name;

    if (lua_type(L, idx) != LUA_TSTRING) return (int)mw_param_integer(L, idx, op, "signal", 1, 64);
    name = lua_tostring(L, idx);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, name) == 0) return names[i].number;
    }
    return mw_raise_inval(L, op, "argument %d: no signal of that name", idx);
}

int mw_uv_process_kill(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int number = lua_isnoneornil(L, 2) ? SIGTERM : mw_uv_signal_number(L, 2, r->name), rc;
    struct child *c;

    (void)d;
    if (is_raw(L, r->name)) {
        if (!uv_is_active(mw_uv_handle(L, 1, r->name, UV_KIND(PROCESS)))) return mw_uv_fail(L, -ESRCH);
        lua_settop(L, 1);
        lua_pushinteger(L, number);
        return raw(L);
    }
    c = child_at(L, r->name, 1);
    rc = mw_process_running(c->p) ? mw_process_signal(c->p, number) : -ESRCH;
    if (rc < 0) return mw_uv_fail(L, rc);
    lua_pushinteger(L, 0);
    return 1;
}

int mw_uv_is_process(lua_State *L, int idx) {
    return luaL_testudata(L, idx, PROCESS) != NULL;
}

int mw_uv_process_alive(lua_State *L, int idx) {
    const struct child *c = lua_touserdata(L, idx);

    return !c->unref && !c->closed && !c->told && c->p != NULL;
}

int mw_uv_process_open(lua_State *L, int idx) {
    const struct child *c = lua_touserdata(L, idx);

    return !c->closed && c->p != NULL;
}

/* The names that every handle has, for one of ours. A process goes on when its handle is closed, as libuv has it. */
int mw_uv_process_handle(lua_State *L, struct uv_door *d, const struct uv_rule *r) {
    struct child *c = child_at(L, r->name, !(r->kinds & UV_KIND_CLOSED));

    if (strcmp(r->name, "close") == 0) {
        mw_uv_callback(L, 2, r->name, 1);
        c->closed = 1;
        mw_uv_forget(L, 1);
        if (!lua_isnoneornil(L, 2)) {
            mw_uv_give(L, d, 2, 0);
            lua_settop(L, 2);
        }
        return 0;
    }
    if (strcmp(r->name, "handle_get_type") == 0) {
        lua_pushliteral(L, "process");
        lua_pushinteger(L, UV_PROCESS);
        return 2;
    }
    if (strcmp(r->name, "is_active") == 0) lua_pushboolean(L, !c->closed && mw_process_running(c->p));
    else if (strcmp(r->name, "is_closing") == 0) lua_pushboolean(L, c->closed);
    else if (strcmp(r->name, "has_ref") == 0) lua_pushboolean(L, !c->unref);
    else if (strcmp(r->name, "ref") == 0 || strcmp(r->name, "unref") == 0) return c->unref = r->name[0] == 'u', 0;
    else return mw_raise_inval(L, r->name, "argument 1: a process has nothing of the kind");
    return 1;
}

void mw_uv_process_type(lua_State *L) {
    static const luaL_Reg meta[] = { { "__gc", child_gc }, { NULL, NULL } };
    static const char *const methods[][2] = {
        { "kill", "process_kill" }, { "get_pid", "process_get_pid" }, { "close", "close" }, { "is_active", "is_active" },
        { "is_closing", "is_closing" }, { "get_type", "handle_get_type" }, { "has_ref", "has_ref" }, { "ref", "ref" },
        { "unref", "unref" }, { NULL, NULL },
    };

    mw_uv_make_type(L, PROCESS, meta, methods);
}
