/* The door of an open file: io's methods over io/file.
 * Knows: bind/arg, bind/fs, io/file, core/wait, core/work, lua.h. Never: a syscall, a decision. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/fs.h"
#include "core/hook.h"

#define LINE_MAX_BYTES (1u << 20)    /* a line unless told */
#define UNTIL_MAX (64u << 10)        /* read_until unless told */
#define ALL_MAX (64u << 20)          /* read("a") unless told */
#define SIZE_MOST (1ull << 40)

struct box { mw_file *f; };          /* never NULL once made; closed files stay until collected */

static mw_file *self(lua_State *L) {
    struct box *box = mw_box_check(L, 1, MW_FILE_TYPE);

    if (box->f == NULL) mw_raise_inval(L, "file", "this file was never opened");
    return box->f;
}

mw_file *mw_file_test(lua_State *L, int idx) {
    struct box *box = luaL_testudata(L, idx, MW_FILE_TYPE);

    return box != NULL ? box->f : NULL;
}

int mw_file_fd(lua_State *L, int idx, int output, struct mw_err *err) {
    mw_file *f = mw_file_test(L, idx);

    if (f == NULL) return mw_err_set(err, MW_EINVAL, "file", NULL, "not a file object");
    return mw_file_lend(f, output, err);
}

/* fs.open(path, mode?) -> file | nil, err                                  [-0, +1|2, e] */
int mw_fs_open(lua_State *L) {
    const char *path = mw_fs_path(L, 1, "fs.open", "path"), *mode = "r";
    struct mw_err err;
    struct box *box;

    if (!lua_isnoneornil(L, 2)) mode = mw_param_text(L, 2, "fs.open", "mode", 8, NULL);
    box = mw_box_new(L, sizeof *box, MW_FILE_TYPE);                     /* [path mode box] */
    if (mw_file_open(mw_host_of(L), path, mode, &box->f, &err) < 0) return mw_push_err(L, &err);
    return 1;
}

static int timed_out(lua_State *L, const mw_file *f, const char *op) {
    struct mw_err err;

    mw_err_set(&err, MW_ETIMEDOUT, op, mw_file_subject(f), NULL);
    return mw_push_err(L, &err);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------------ */

/* What is wished for: 'l', 'L', 'a', 'n' bytes, 's' some bytes, 'x' exactly so many, 'u' until a delimiter.
 * Stack while reading: [self format opts deadline max delimiter]. */
struct wish {
    char kind;
    size_t max;                      /* of a line, of all, or the number of bytes */
    uint64_t deadline;
};

static struct wish wish_of(lua_State *L) {
    struct wish w = { 'n', (size_t)lua_tointeger(L, 5), (uint64_t)lua_tointeger(L, 4) };
    const char *word = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;

    if (word != NULL) w.kind = word[0];
    return w;
}

static int push_bytes(lua_State *L, mw_file *f, size_t len, size_t drop) {
    struct mw_bytes *in = mw_file_in(f);

    if (len == 0) lua_pushliteral(L, "");
    else lua_pushlstring(L, mw_bytes_at(in), len);
    mw_bytes_consume(in, len + drop);
    return 1;
}

static int too_large(lua_State *L, const mw_file *f, const struct wish *w) {
    struct mw_err err;

    mw_err_setf(&err, w->kind == 'u' ? MW_EFRAME : MW_ELIMIT, "fs read", mw_file_subject(f), "%s than %zu bytes",
                w->kind == 'a' ? "larger" : w->kind == 'u' ? "no delimiter in more" : "a line longer", w->max);
    mw_err_hint(&err, "raise it with { max = ... }");
    return mw_push_err(L, &err);
}

/* Is the wish fulfilled by what is held? 1 and pushed; 0: *need more bytes; or pushes nil, err and returns 2. */
static int take(lua_State *L, mw_file *f, const struct wish *w, size_t *need) {
    struct mw_bytes *in = mw_file_in(f);
    size_t held = mw_bytes_len(in);
    const char *at = held > 0 ? mw_bytes_at(in) : "", *nl;

    *need = MW_FILE_STEP;
    switch (w->kind) {
    case 's':
        return held > 0 ? push_bytes(L, f, held < w->max ? held : w->max, 0) : 0;
    case 'x':
        *need = w->max > held ? w->max - held : 1;
        return held >= w->max ? push_bytes(L, f, w->max, 0) : 0;
    case 'u': {
        size_t len;
        const char *delimiter = lua_tolstring(L, 6, &len);

        nl = memmem(at, held, delimiter, len);
        if (nl == NULL ? held > w->max + len : (size_t)(nl - at) > w->max) return too_large(L, f, w);
        return nl == NULL ? 0 : push_bytes(L, f, (size_t)(nl - at), len);
    }
    case 'n': /* 0 bytes: "" while there are any */
        *need = w->max > held ? w->max - held : 1;
        return held >= w->max && held > 0 ? push_bytes(L, f, w->max, 0) : 0;
    case 'a':
        *need = held; /* doubling */
        return held > w->max ? too_large(L, f, w) : 0;
    default:
        nl = memchr(at, '\n', held);
        if (nl == NULL) return held > w->max ? too_large(L, f, w) : 0;
        if ((size_t)(nl - at) > w->max) return too_large(L, f, w);
        return w->kind == 'l' ? push_bytes(L, f, (size_t)(nl - at), 1) : push_bytes(L, f, (size_t)(nl - at) + 1, 0);
    }
}

/* The end: what there is, or nil. */
static int at_end(lua_State *L, mw_file *f, const struct wish *w) {
    size_t held = mw_bytes_len(mw_file_in(f));

    if (w->kind == 'a') return push_bytes(L, f, held, 0);
    if (w->kind == 'x' || (w->kind == 'u' && held > 0)) {
        struct mw_err err;

        mw_err_set(&err, MW_EEOF, "fs read", mw_file_subject(f), NULL);
        return mw_push_err(L, &err);
    }
    if (held == 0) {
        lua_pushnil(L);
        return 1;
    }
    return push_bytes(L, f, (w->kind == 'n' || w->kind == 's') && held > w->max ? w->max : held, 0);
}

static int read_k(lua_State *L, int status, lua_KContext ctx);

static int read_step(lua_State *L) {
    mw_file *f = self(L);
    struct wish w = wish_of(L);
    struct mw_work *job;
    struct mw_err err;
    size_t need = 0;
    int rc;

    for (;;) {
        if (!mw_file_closed(f) && (rc = take(L, f, &w, &need)) != 0) return rc;
        if (mw_file_busy(f) && !mw_file_closed(f)) return mw_wait_yield(L, mw_file_idle(f), w.deadline, 0, read_k);
        rc = mw_file_fill(f, need, &err);
        if (rc == MW_EEOF) return at_end(L, f, &w);
        if (rc < 0) return mw_push_err(L, &err);
        if (rc == 0) break;
    }
    rc = mw_file_start(f, mw_file_held(f) > 0 ? MW_FILE_FLUSH : MW_FILE_READ, need, &job, &err);
    if (rc < 0) return mw_push_err(L, &err);
    return mw_work_yield(L, job, w.deadline, (lua_KContext)job, read_k);
}

static int read_k(lua_State *L, int status, lua_KContext ctx) {
    mw_file *f = self(L);
    struct wish w = wish_of(L);
    struct mw_err err;
    int rc;

    if (status == MW_ETIMEDOUT) return timed_out(L, f, "fs read");
    if (ctx == 0) return read_step(L);
    rc = mw_file_done((struct mw_work *)ctx, &err);
    if (rc == MW_EEOF) return at_end(L, f, &w);
    return rc < 0 ? mw_push_err(L, &err) : read_step(L);
}

/* The common case, a line that is there whole: pushed, or 0 and nothing. */
static int line_at_hand(lua_State *L, mw_file *f) {
    struct mw_bytes *in = mw_file_in(f);
    size_t held = mw_file_closed(f) ? 0 : mw_bytes_len(in);
    const char *nl = held > 0 ? memchr(mw_bytes_at(in), '\n', held) : NULL;

    if (nl == NULL || nl - mw_bytes_at(in) > (ptrdiff_t)LINE_MAX_BYTES) return 0;
    return push_bytes(L, f, (size_t)(nl - mw_bytes_at(in)), 1);
}

/* file:read(format?, { max, timeout }?) -> bytes | nil | nil, err           [-0, +1|2, y]
 * format: "l" (default), "L", "a", or a number of bytes; a leading "*" as in older Luas is taken too. */
static int file_read(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, file_read);
    static const char *const known[] = { "max", "timeout", NULL };
    static const char *const formats[] = { "l", "L", "a", NULL };
    uint64_t fallback = LINE_MAX_BYTES, max;
    mw_file *f = self(L);
    int found = -1;

    if (lua_gettop(L) == 1 && line_at_hand(L, f)) return 1;
    lua_settop(L, 3);
    if (lua_istable(L, 2) && lua_isnil(L, 3)) { /* read{ timeout = 1 } */
        lua_insert(L, 2);
        lua_settop(L, 3);
    }
    if (lua_isnil(L, 2)) {
        lua_pushliteral(L, "l");
        lua_replace(L, 2);
    }
    mw_opt_open(L, 3, "file:read", known, 0);
    if (lua_type(L, 2) == LUA_TNUMBER) {
        max = (uint64_t)mw_param_integer(L, 2, "file:read", "count", 0, INT32_MAX);
    } else {
        const char *word = mw_param_text(L, 2, "file:read", "format", 8, NULL);

        for (int i = 0; formats[i] != NULL; i++)
            if (strcmp(word[0] == '*' ? word + 1 : word, formats[i]) == 0) found = i;
        if (found < 0) return mw_raise_inval(L, "file:read", "the format is one of \"l\", \"L\", \"a\", or a number of bytes, not \"%s\"", word);
        lua_pushstring(L, formats[found]);
        lua_replace(L, 2);
        if (found == 2) fallback = ALL_MAX;
        max = mw_fs_bound(L, mw_opt_size(L, 3, "file:read", "max", 0, SIZE_MOST, fallback));
    }
    lua_pushinteger(L, (lua_Integer)mw_opt_deadline(L, 3, "file:read"));
    lua_pushinteger(L, (lua_Integer)max);                               /* [self format opts deadline max] */
    return read_step(L);
}

/* file:read_some(max?, { timeout }?) -> bytes | nil | nil, err              [-0, +1|2, y] */
static int file_read_some(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, file_read_some);
    static const char *const known[] = { "timeout", NULL };
    uint64_t max = MW_FILE_STEP;

    self(L);
    lua_settop(L, 3);
    if (!lua_isnil(L, 2)) max = mw_param_size(L, 2, "file:read_some", "max", 1, SIZE_MOST);
    mw_opt_open(L, 3, "file:read_some", known, 0);
    lua_pushliteral(L, "s");
    lua_replace(L, 2);
    lua_pushinteger(L, (lua_Integer)mw_opt_deadline(L, 3, "file:read_some"));
    lua_pushinteger(L, (lua_Integer)max);
    return read_step(L);
}

/* file:read_exact(n, { timeout }?) -> n bytes | nil, err (EEOF: there are fewer; they stay)      [-0, +1|2, y] */
static int file_read_exact(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, file_read_exact);
    static const char *const known[] = { "timeout", NULL };
    lua_Integer n;

    self(L);
    lua_settop(L, 3);
    n = mw_param_integer(L, 2, "file:read_exact", "count", 0, INT32_MAX);
    mw_opt_open(L, 3, "file:read_exact", known, 0);
    lua_pushliteral(L, "x");
    lua_replace(L, 2);
    lua_pushinteger(L, (lua_Integer)mw_opt_deadline(L, 3, "file:read_exact"));
    lua_pushinteger(L, n);
    return read_step(L);
}

/* file:read_until(delimiter, { max, timeout }?) -> bytes without it | nil (the end) | nil, err (EEOF, EFRAME above max)  [-0, +1|2, y] */
static int file_read_until(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, file_read_until);
    static const char *const known[] = { "max", "timeout", NULL };
    size_t len;

    self(L);
    lua_settop(L, 3);
    mw_param_bytes(L, 2, "file:read_until", "delimiter", &len);
    if (len == 0 || len > 4096) return mw_raise_inval(L, "file:read_until", "the delimiter must have 1 to 4096 bytes");
    mw_opt_open(L, 3, "file:read_until", known, 0);
    lua_pushinteger(L, (lua_Integer)mw_opt_deadline(L, 3, "file:read_until"));
    lua_pushinteger(L, (lua_Integer)mw_fs_bound(L, mw_opt_size(L, 3, "file:read_until", "max", 0, SIZE_MOST, UNTIL_MAX)));
    lua_pushvalue(L, 2);                                                /* [self delimiter opts deadline max delimiter] */
    lua_pushliteral(L, "u");
    lua_replace(L, 2);
    return read_step(L);
}

/* ---- Writing ------------------------------------------------------------------------------------------------------------ */

static int answer_self(lua_State *L) {
    lua_pushvalue(L, 1);
    return 1;
}

/* What was taken is being written. */
static int written_k(lua_State *L, int status, lua_KContext ctx) {
    struct mw_err err;

    if (status == MW_ETIMEDOUT) return timed_out(L, self(L), "fs write");
    if (mw_file_done((struct mw_work *)ctx, &err) < 0) return mw_push_err(L, &err);
    return answer_self(L);
}

static int write_k(lua_State *L, int status, lua_KContext ctx);

static int write_step(lua_State *L, mw_file *f) {                       /* [self strings...] */
    struct mw_work *job;
    struct mw_err err;
    int rc = 0, n = lua_gettop(L);

    if (mw_file_busy(f) && !mw_file_closed(f)) return mw_wait_yield(L, mw_file_idle(f), MW_NEVER, 0, write_k);
    if (mw_file_held(f) >= MW_FILE_HELD && !mw_file_closed(f)) { /* a flush failed before: nothing is taken until one succeeds */
        rc = mw_file_start(f, MW_FILE_FLUSH, 0, &job, &err);
        return rc < 0 ? mw_push_err(L, &err) : mw_work_yield(L, job, MW_NEVER, (lua_KContext)job, write_k);
    }
    for (int i = 2; i <= n && rc >= 0; i++) {
        char digits[24];
        const char *at = digits;
        size_t len;

        if (lua_isinteger(L, i)) len = (size_t)snprintf(digits, sizeof digits, LUA_INTEGER_FMT, lua_tointeger(L, i)); /* no string is made */
        else at = lua_tolstring(L, i, &len);
        rc = mw_file_write(f, at, len, &err);
    }
    if (rc < 0) return mw_push_err(L, &err);
    if (mw_file_held(f) < MW_FILE_HELD) return answer_self(L);
    rc = mw_file_start(f, MW_FILE_FLUSH, 0, &job, &err);
    return rc < 0 ? mw_push_err(L, &err) : mw_work_yield(L, job, MW_NEVER, (lua_KContext)job, written_k);
}

static int write_k(lua_State *L, int status, lua_KContext ctx) {
    struct mw_err err;

    (void)status;
    if (ctx != 0 && mw_file_done((struct mw_work *)ctx, &err) < 0) return mw_push_err(L, &err);
    return write_step(L, self(L));
}

/* file:write(...) -> file | nil, err                                       [-0, +1|2, y] */
static int file_write(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, file_write);
    int n = lua_gettop(L);
    mw_file *f = self(L);

    for (int i = 2; i <= n; i++)
        if (lua_type(L, i) != LUA_TSTRING && lua_type(L, i) != LUA_TNUMBER)
            return mw_raise_inval(L, "file:write", "argument %d must be a string or a number, not %s", i - 1, luaL_typename(L, i));
    return write_step(L, f);
}

/* ---- Flush, then something ---------------------------------------------------------------------------------------------- */

/* Waits until nobody uses the file and nothing is held; then calls `then`. Stack: [self ...]; ctx: the job, or 0. */
static int settle(lua_State *L, int status, lua_KContext ctx, enum mw_file_job what, int (*then)(lua_State *), lua_KFunction k) {
    mw_file *f = self(L);
    struct mw_work *job;
    struct mw_err err;

    if (status == MW_ETIMEDOUT) return timed_out(L, f, "fs write");
    if (ctx != 0) {
        if (mw_file_done((struct mw_work *)ctx, &err) < 0) return mw_push_err(L, &err);
        return then(L);
    }
    if (mw_file_closed(f)) return then(L); /* which says so */
    if (mw_file_busy(f)) return mw_wait_yield(L, mw_file_idle(f), MW_NEVER, 0, k);
    if (mw_file_held(f) == 0 && what != MW_FILE_SYNC) return then(L);
    if (mw_file_start(f, what, 0, &job, &err) < 0) return mw_push_err(L, &err);
    return mw_work_yield(L, job, MW_NEVER, (lua_KContext)job, k);
}

static int flush_then(lua_State *L) {
    struct mw_err err;
    mw_file *f = self(L);

    if (mw_file_closed(f)) {
        mw_err_set(&err, MW_ECLOSED, "fs write", mw_file_subject(f), NULL);
        return mw_push_err(L, &err);
    }
    return answer_self(L);
}
static int flush_k(lua_State *L, int status, lua_KContext ctx) {          /* [self sync] */
    return settle(L, status, ctx, lua_toboolean(L, 2) ? MW_FILE_SYNC : MW_FILE_FLUSH, flush_then, flush_k);
}
/* file:flush({ sync }?) -> file | nil, err                                 [-0, +1|2, y] */
static int file_flush(lua_State *L) {
    static const char *const known[] = { "sync", NULL };

    self(L);
    lua_settop(L, 2);
    mw_opt_open(L, 2, "file:flush", known, 0);
    lua_pushboolean(L, mw_opt_flag(L, 2, "file:flush", "sync", 0));
    lua_replace(L, 2);
    return flush_k(L, 0, 0);
}

static int seek_then(lua_State *L) {                                    /* [self whence offset] */
    static const int places[] = { SEEK_SET, SEEK_CUR, SEEK_END };
    const char *word = lua_tostring(L, 2);
    struct mw_err err;
    int64_t pos;

    if (mw_file_seek(self(L), lua_tointeger(L, 3), places[word[0] == 's' ? 0 : word[0] == 'c' ? 1 : 2], &pos, &err) < 0) return mw_push_err(L, &err);
    lua_pushinteger(L, pos);
    return 1;
}
static int seek_k(lua_State *L, int status, lua_KContext ctx) {
    return settle(L, status, ctx, MW_FILE_FLUSH, seek_then, seek_k);
}
/* file:seek(whence?, offset?) -> position | nil, err                       [-0, +1|2, y] */
static int file_seek(lua_State *L) {
    const char *word;

    self(L);
    lua_settop(L, 3);
    if (lua_isnil(L, 2)) { lua_pushliteral(L, "cur"); lua_replace(L, 2); }
    if (lua_isnil(L, 3)) { lua_pushinteger(L, 0); lua_replace(L, 3); }
    word = mw_param_text(L, 2, "file:seek", "whence", 8, NULL);
    if (strcmp(word, "set") != 0 && strcmp(word, "cur") != 0 && strcmp(word, "end") != 0)
        return mw_raise_inval(L, "file:seek", "whence is one of \"set\", \"cur\", \"end\", not \"%s\"", word);
    mw_param_integer(L, 3, "file:seek", "offset", INT64_MIN, INT64_MAX);
    return seek_k(L, 0, 0);
}

static int stat_then(lua_State *L) {
    struct mw_err err;
    struct stat st;

    if (mw_file_stat(self(L), &st, &err) < 0) return mw_push_err(L, &err);
    mw_fs_push_stat(L, &st);
    return 1;
}
static int stat_k(lua_State *L, int status, lua_KContext ctx) {
    return settle(L, status, ctx, MW_FILE_FLUSH, stat_then, stat_k);
}
/* file:stat() -> stat | nil, err                                           [-0, +1|2, y] */
static int file_stat(lua_State *L) {
    self(L);
    lua_settop(L, 1);
    return stat_k(L, 0, 0);
}

/* ---- The end ------------------------------------------------------------------------------------------------------------ */

/* file:close() -> true | nil, err: what was held (64 KiB at most) is written here and now, so that it works in every
 * cleanup, also of a cancelled task.                                       [-0, +1|2, e] */
static int file_close(lua_State *L) {
    struct mw_err err;

    if (mw_file_close(self(L), &err) < 0) return mw_push_err(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

static int file_gc(lua_State *L) {
    struct box *box = lua_touserdata(L, 1);
    mw_file *f = box->f;

    box->f = NULL;
    if (f == NULL) return 0;
    if (!mw_file_closed(f)) mw_box_warn(L, 1, "file");
    mw_file_release(f);
    return 0;
}

static int file_tostring(lua_State *L) {
    mw_file *f = self(L);

    lua_pushfstring(L, "file (%s%s)", mw_file_closed(f) ? "closed: " : "", mw_file_subject(f));
    return 1;
}

void mw_fs_file_type(lua_State *L) {
    static const luaL_Reg methods[] = {
        { "read", file_read },   { "read_some", file_read_some }, { "write", file_write }, { "flush", file_flush },
        { "read_exact", file_read_exact }, { "read_until", file_read_until },
        { "seek", file_seek },   { "stat", file_stat },           { "close", file_close }, { NULL, NULL },
    };
    static const luaL_Reg meta[] = { { "__gc", file_gc }, { "__close", file_close }, { "__tostring", file_tostring }, { NULL, NULL } };

    mw_type_new(L, MW_FILE_TYPE, methods, meta);
}
