/* io: Lua's own interface over files that are permitted first and waited for where they are slow.
 * Knows: bind, io/osfile, io/textfile, core, lua.h. Never: popen; a descriptor by number. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bind/arg.h"
#include "bind/std.h"
#include "bind/std_file.h"
#include "core/hook.h"
#include "core/host.h"
#include "core/task.h"
#include "io/osfile.h"

static const char input_key, output_key, standard_key[3]; /* registry */

static mw_policy *policy(lua_State *L) {
    return mw_host_policy(mw_host_of(L));
}

/* ---- Boxes ------------------------------------------------------------------------------------------------------------------------- */

static struct mw_std_file *box_at(lua_State *L, int idx) {
    return mw_box_check(L, idx, MW_FILE_TYPE);
}

mw_textfile *mw_std_file_check(lua_State *L, int idx) {
    struct mw_std_file *box = box_at(L, idx);

    if (box->file == NULL || mw_textfile_closed(box->file)) mw_raise_inval(L, "io", "attempt to use a closed file");
    return box->file;
}

/* An empty box, pushed; then what goes into it. */
static struct mw_std_file *push_box(lua_State *L) {
    struct mw_std_file *box = lua_newuserdatauv(L, sizeof *box, 1);
    memset(box, 0, sizeof *box);
    luaL_setmetatable(L, MW_FILE_TYPE);
    return box;
}

/* Opens into the box. 0 or a code. */
static int box_open(lua_State *L, struct mw_std_file *box, const char *name, int flags, struct mw_err *err) {
    int fd, rc = mw_permit_open(policy(L), name, flags, 0666, 1, "io open", &fd, err);
    return rc < 0 ? rc : mw_textfile_open(mw_host_of(L), fd, 0, &box->file, err);
}

int mw_std_file_close(lua_State *L, int idx) {
    struct mw_std_file *box = box_at(L, idx);
    struct mw_err err;
    int rc;

    if (box->standard) {
        lua_pushnil(L);
        lua_pushliteral(L, "cannot close standard file");
        return 2;
    }
    rc = mw_textfile_close(box->file);
    mw_textfile_release(box->file);
    box->file = NULL;
    if (rc < 0) {
        mw_err_set(&err, rc, "io close", NULL, NULL);
        return mw_std_fail(L, &err, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int f_gc(lua_State *L) { /* __gc, __close */
    struct mw_std_file *box = box_at(L, 1);

    if (box->file == NULL) return 0;
    if (!box->standard) (void)mw_textfile_close(box->file);
    else if (lua_gettop(L) > 1) return 0; /* __close of a standard file does nothing */
    mw_textfile_release(box->file);
    box->file = NULL;
    return 0;
}

static int f_tostring(lua_State *L) {
    struct mw_std_file *box = box_at(L, 1);

    if (box->file == NULL) lua_pushliteral(L, "file (closed)");
    else lua_pushfstring(L, "file (%p)", (void *)box);
    return 1;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------------------------ */

static void push_default(lua_State *L, const char *key) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
}

static int f_read(lua_State *L) { /* file:read(...) -> values | nil | nil, message, errno                            [-0, +n, y] */
    if (mw_step_is_long(L)) return mw_step_share(L, f_read);
    mw_std_file_check(L, 1);
    return mw_std_file_read(L, lua_gettop(L), MW_READ_PLAIN);
}
static int io_read(lua_State *L) { /* read(...): of the default input                                                [-0, +n, y] */
    if (mw_step_is_long(L)) return mw_step_share(L, io_read);
    push_default(L, &input_key);
    lua_insert(L, 1);
    return f_read(L);
}

/* The step of lines(): upvalues file, close, n, formats...                                                          [-0, +n, y] */
static int next_line(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, next_line);
    int n = (int)lua_tointeger(L, lua_upvalueindex(3)), close = lua_toboolean(L, lua_upvalueindex(2));
    struct mw_std_file *box;

    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    box = box_at(L, 1);
    if (box->file == NULL) return mw_raise_inval(L, "io.lines", "file is already closed");
    luaL_checkstack(L, n + 8, "too many formats");
    for (int i = 1; i <= n; i++) lua_pushvalue(L, lua_upvalueindex(3 + i));
    return mw_std_file_read(L, n + 1, close ? MW_READ_LINES_CLOSE : MW_READ_LINES);
}

/* Makes the iterator of the file at 1 with the formats behind it.                                                   [-n, +1, e] */
static void push_lines(lua_State *L, int close) {
    int n = lua_gettop(L) - 1;

    if (n > 250) mw_raise_inval(L, "io.lines", "too many formats");
    lua_pushvalue(L, 1);
    lua_insert(L, 2);
    lua_pushboolean(L, close);
    lua_insert(L, 3);
    lua_pushinteger(L, n);
    lua_insert(L, 4);
    lua_pushcclosure(L, next_line, 3 + n);
}

static int f_lines(lua_State *L) { /* file:lines(...) -> iterator                                                    [-0, +1, e] */
    mw_std_file_check(L, 1);
    push_lines(L, 0);
    return 1;
}

static int io_lines(lua_State *L) { /* lines([name, ...]) -> iterator, nil, nil, file: closes a named file at its end [-0, +4, e] */
    if (lua_isnone(L, 1)) lua_pushnil(L);
    if (lua_isnil(L, 1)) {
        push_default(L, &input_key);
        lua_replace(L, 1);
        mw_std_file_check(L, 1);
        push_lines(L, 0);
        return 1;
    }
    const char *name = mw_param_text(L, 1, "io.lines", "the file name", 0, NULL);
    struct mw_std_file *box = push_box(L);
    struct mw_err err;
    int rc = box_open(L, box, name, O_RDONLY, &err);
    if (rc < 0) {
        mw_std_fail(L, &err, name);
        return luaL_error(L, "%s", lua_tostring(L, -2));
    }
    lua_replace(L, 1);
    push_lines(L, 1);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, 1);
    return 4;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------------------------ */

enum write_for { FOR_FILE, FOR_PRINT }; /* file:write gives the file or nil, message, errno; print gives nothing or raises */

/* Nobody reads what the program says: it ends as others do by SIGPIPE, cleanup included, and no loop of writes goes on. */
static int nobody_reads(lua_State *L) {
    mw_host *h = mw_host_of(L);
    struct mw_err err;

    mw_host_exit(h, 128 + SIGPIPE, "standard output is closed");
    mw_err_set(&err, MW_ECANCELED, "io write", NULL, "standard output is closed");
    return mw_raise(L, &err);
}

static int written(lua_State *L, int rc, enum write_for what) { /* the file at 1 */
    struct mw_err err;

    if (rc == -EPIPE && box_at(L, 1)->standard == 1 + STDOUT_FILENO && mw_host_hooks(mw_host_of(L))->pipe_ends) return nobody_reads(L);
    if (rc == MW_ECLOSED) return mw_raise_inval(L, "io.write", "attempt to use a closed file");
    if (rc < 0) {
        mw_err_set(&err, rc, what == FOR_PRINT ? "print" : "io write", NULL, NULL);
        return what == FOR_PRINT ? mw_raise(L, &err) : mw_std_fail(L, &err, NULL);
    }
    if (what == FOR_PRINT) return 0;
    lua_pushvalue(L, 1);
    return 1;
}

static int flush_k(lua_State *L, int status, lua_KContext what) { /* the file at 1 */
    struct mw_std_file *box = box_at(L, 1);
    int rc = box->file != NULL ? mw_textfile_flush(box->file, mw_wait_possible(L)) : MW_ECLOSED;
    (void)status;

    if (rc == MW_EAGAIN) {
        struct mw_wait *w = mw_textfile_writable(box->file, &rc);
        if (w != NULL) return mw_wait_yield(L, w, MW_NEVER, what, flush_k);
    }
    return written(L, rc, (enum write_for)what);
}

/* Standard output of a host that prints by a hook of its embedder, and standard error where that is the same screen. */
static int is_hooked(lua_State *L, const struct mw_std_file *box) {
    const struct mw_hooks *hooks = mw_host_hooks(mw_host_of(L));
    return (box->standard == 1 + STDOUT_FILENO && hooks->print_fd == 0) || (box->standard == 1 + STDERR_FILENO && hooks->print_errors);
}

/* Writes the strings at 2.. to the file at 1. */
static int write_all(lua_State *L, enum write_for what) {
    struct mw_std_file *box = box_at(L, 1);
    mw_textfile *f = mw_std_file_check(L, 1);
    int top = lua_gettop(L), any = 0, due, rc;

    for (int i = 2; i <= top; i++)
        if (lua_type(L, i) != LUA_TSTRING && lua_type(L, i) != LUA_TNUMBER)
            return mw_raise_inval(L, "io.write", "argument %d must be a string or a number, got %s", i - 1, luaL_typename(L, i));
    for (int i = 2; i <= top; i++) {
        char number[64];
        size_t len;
        const char *s;
        if (lua_type(L, i) == LUA_TNUMBER && !lua_isinteger(L, i)) { /* as Lua has it: 1.0 is written 1 */
            len = (size_t)lua_number2str(number, sizeof number, lua_tonumber(L, i));
            s = number;
        } else {
            s = lua_tolstring(L, i, &len);
        }
        if (is_hooked(L, box)) {
            struct mw_hooks *hooks = mw_host_hooks(mw_host_of(L));
            if (hooks->print != NULL) hooks->print(hooks->ud, s, len);
            continue;
        }
        rc = mw_textfile_add(f, s, len, &due);
        if (rc < 0) return written(L, rc, what);
        any |= due;
    }
    return any ? flush_k(L, LUA_OK, what) : written(L, 0, what);
}

static int f_write(lua_State *L) { /* file:write(...) -> file | nil, message, errno                                  [-0, +1|3, y] */
    if (mw_step_is_long(L)) return mw_step_share(L, f_write);
    mw_std_file_check(L, 1);
    return write_all(L, FOR_FILE);
}
static int io_write(lua_State *L) { /* write(...): to the default output                                             [-0, +1|3, y] */
    if (mw_step_is_long(L)) return mw_step_share(L, io_write);
    push_default(L, &output_key);
    lua_insert(L, 1);
    return f_write(L);
}

int mw_std_print(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, mw_std_print);
    int n = lua_gettop(L);
    luaL_Buffer b;

    luaL_checkstack(L, 6, "print");
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1) luaL_addchar(&b, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_addchar(&b, '\n');
    luaL_pushresult(&b);
    lua_insert(L, 1);
    lua_settop(L, 1);
    push_default(L, &standard_key[STDOUT_FILENO]);
    lua_insert(L, 1);                                           /* [stdout text] */
    return write_all(L, FOR_PRINT);
}

static int f_flush(lua_State *L) { /* file:flush() -> file | nil, message, errno                                     [-0, +1|3, y] */
    mw_std_file_check(L, 1);
    lua_settop(L, 1);
    return flush_k(L, LUA_OK, FOR_FILE);
}
static int io_flush(lua_State *L) {
    lua_settop(L, 0);
    push_default(L, &output_key);
    return f_flush(L);
}

/* ---- The rest ------------------------------------------------------------------------------------------------------------------------ */

static int f_seek(lua_State *L) { /* file:seek([whence [, offset]]) -> position | nil, message, errno                [-0, +1|3, e] */
    static const char *const names[] = {"set", "cur", "end", NULL};
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    const char *word = mw_std_text_at(L, 2, "file:seek", "whence", "cur");
    lua_Integer offset = lua_isnoneornil(L, 3) ? 0 : mw_param_integer(L, 3, "file:seek", "the offset", LUA_MININTEGER, LUA_MAXINTEGER);
    mw_textfile *f = mw_std_file_check(L, 1);
    int64_t at;
    int i = 0;

    while (names[i] != NULL && strcmp(names[i], word) != 0) i++;
    if (names[i] == NULL) return mw_raise_inval(L, "file:seek", "invalid whence '%s' (set, cur or end)", word);
    at = mw_textfile_seek(f, offset, whences[i]);
    if (at < 0) {
        lua_pushnil(L);
        lua_pushstring(L, mw_std_words((int)at));
        lua_pushinteger(L, -at);
        return 3;
    }
    lua_pushinteger(L, at);
    return 1;
}

static int f_setvbuf(lua_State *L) { /* file:setvbuf(mode [, size]) -> true                                          [-0, +1, e] */
    static const char *const names[] = {"no", "line", "full", NULL};
    const char *word = mw_std_text_at(L, 2, "file:setvbuf", "the mode", "");
    lua_Integer size = lua_isnoneornil(L, 3) ? 0 : mw_param_integer(L, 3, "file:setvbuf", "the size", 0, 64 << 20);
    mw_textfile *f = mw_std_file_check(L, 1);
    int i = 0;

    while (names[i] != NULL && strcmp(names[i], word) != 0) i++;
    if (names[i] == NULL) return mw_raise_inval(L, "file:setvbuf", "invalid mode '%s' (no, line or full)", word);
    mw_textfile_buffer(f, (enum mw_buffering)i, (size_t)size);
    lua_pushboolean(L, 1);
    return 1;
}

static int f_close(lua_State *L) { /* file:close() -> true | nil, message, errno                                     [-0, +1|3, e] */
    mw_std_file_check(L, 1);
    return mw_std_file_close(L, 1);
}
static int io_close(lua_State *L) { /* close([file]): the default output                                             [-0, +1|3, e] */
    if (lua_isnone(L, 1)) push_default(L, &output_key);
    return f_close(L);
}

/* The flags of an fopen mode; -1: none. */
static int flags_of(const char *mode) {
    int flags;

    switch (*mode++) {
    case 'r': flags = O_RDONLY; break;
    case 'w': flags = O_WRONLY | O_CREAT | O_TRUNC; break;
    case 'a': flags = O_WRONLY | O_CREAT | O_APPEND; break;
    default: return -1;
    }
    if (*mode == '+') flags = (flags & ~O_ACCMODE) | O_RDWR, mode++;
    if (*mode == 'b') mode++;
    return *mode == 0 ? flags : -1;
}

static int io_open(lua_State *L) { /* open(name [, mode]) -> file | nil, message, errno                              [-0, +1|3, e] */
    const char *name = mw_param_text(L, 1, "io.open", "the file name", 0, NULL);
    const char *mode = mw_std_text_at(L, 2, "io.open", "the mode", "r");
    int flags = flags_of(mode), rc;
    struct mw_std_file *box;
    struct mw_err err;

    if (flags < 0) return mw_raise_inval(L, "io.open", "invalid mode '%s'", mode);
    box = push_box(L);
    rc = box_open(L, box, name, flags, &err);
    return rc < 0 ? mw_std_fail(L, &err, name) : 1;
}

static int io_tmpfile(lua_State *L) { /* tmpfile() -> file | nil, message, errno                                     [-0, +1|3, e] */
    struct mw_std_file *box = push_box(L);
    struct mw_err err;
    int fd, rc = mw_os_tmpfile(policy(L), &fd, &err);

    if (rc == 0) rc = mw_textfile_open(mw_host_of(L), fd, 0, &box->file, &err);
    return rc < 0 ? mw_std_fail(L, &err, NULL) : 1;
}

static int io_popen(lua_State *L) { /* raises: processes have a module of their own                                  [-0, +0, e] */
    struct mw_err err;
    mw_err_set(&err, -ENOTSUP, "io popen", NULL, "not available");
    mw_err_hint(&err, "use mw.process.spawn or mw.process.lines, or mw.process.sh for a shell");
    return mw_raise(L, &err);
}

static int io_type(lua_State *L) { /* type(v) -> "file" | "closed file" | nil                                        [-0, +1, -] */
    struct mw_std_file *box;

    if (lua_isnone(L, 1)) return mw_raise_inval(L, "io.type", "a value is expected");
    box = luaL_testudata(L, 1, MW_FILE_TYPE);
    if (box == NULL) lua_pushnil(L);
    else lua_pushstring(L, box->file != NULL ? "file" : "closed file");
    return 1;
}

/* input([file | name]) and output: sets and gives the default                                                       [-0, +1, e] */
static int io_default(lua_State *L, const char *key, int flags) {
    if (!lua_isnoneornil(L, 1)) {
        if (lua_type(L, 1) == LUA_TSTRING) {
            const char *name = mw_param_text(L, 1, "io.open", "the file name", 0, NULL);
            struct mw_std_file *box = push_box(L);
            struct mw_err err;
            if (box_open(L, box, name, flags, &err) < 0) {
                mw_std_fail(L, &err, name);
                return luaL_error(L, "cannot open file '%s' (%s)", name, mw_std_words(err.code));
            }
        } else {
            mw_std_file_check(L, 1);
            lua_pushvalue(L, 1);
        }
        lua_rawsetp(L, LUA_REGISTRYINDEX, key);
    }
    push_default(L, key);
    return 1;
}
static int io_input(lua_State *L) {
    return io_default(L, &input_key, O_RDONLY);
}
static int io_output(lua_State *L) {
    return io_default(L, &output_key, O_WRONLY | O_CREAT | O_TRUNC);
}

/* ---- Opening ---------------------------------------------------------------------------------------------------------------------------- */

static void put_standard(lua_State *L, int fd, const char *name) { /* [.. io] */
    struct mw_std_file *box = push_box(L);
    struct mw_err err;

    box->standard = 1 + fd;
    if (mw_textfile_open(mw_host_of(L), fd, 1, &box->file, &err) < 0) luaL_error(L, "not enough memory");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &standard_key[fd]);
    if (fd < 2) {
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, fd == 0 ? &input_key : &output_key);
    }
    lua_setfield(L, -2, name);
}

int mw_std_open_io(lua_State *L) {
    static const luaL_Reg fns[] = {{"close", io_close}, {"flush", io_flush}, {"input", io_input}, {"lines", io_lines}, {"open", io_open},
                                   {"output", io_output}, {"popen", io_popen}, {"read", io_read}, {"tmpfile", io_tmpfile},
                                   {"type", io_type}, {"write", io_write}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", f_close}, {"flush", f_flush}, {"lines", f_lines}, {"read", f_read}, {"seek", f_seek},
                                       {"setvbuf", f_setvbuf}, {"write", f_write}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", f_gc}, {"__close", f_gc}, {"__tostring", f_tostring}, {NULL, NULL}};

    mw_type_new(L, MW_FILE_TYPE, methods, meta);
    luaL_getmetatable(L, MW_FILE_TYPE);
    lua_pushliteral(L, LUA_FILEHANDLE);
    lua_setfield(L, -2, "__name");
    lua_pop(L, 1);
    luaL_newlib(L, fns);
    put_standard(L, 0, "stdin");
    put_standard(L, 1, "stdout");
    put_standard(L, 2, "stderr");
    return 1;
}
