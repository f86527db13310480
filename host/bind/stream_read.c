/* Reading from a stream in Lua: one engine for read, read_some, read_until, read_exact, peek and lines.
 * Knows: io/stream, core/wait, bind/arg, lua.h. Never: a syscall; loses a byte when it fails or times out.
 *
 * A read looks at the queue (look), asks the kernel once more when that is not enough, and only then waits. While it waits,
 * the stream asks `enough` before it wakes the task, so a partial line costs Lua nothing. Bytes leave the queue only when
 * they have become a Lua value; so a timeout, a cancel or a failed allocation leaves them for the next read. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/stream_box.h"
#include "core/hook.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

enum {
    STREAK = 32,                 /* reads from the kernel in a row; then other descriptors have their turn */
    NUMERAL = 200                /* bytes of the longest numeral, as in Lua's own io */
};

/* ---- Looking at the queue --------------------------------------------------------------------------------------------- */

static int found(struct mw_read *r, size_t len, size_t use) {
    r->len = len;
    r->use = use;
    return 1;
}

static int failed(struct mw_read *r, int code, const char *why) {
    r->why = why;
    return code;
}

static int look_line(struct mw_read *r, const char *at, size_t held) {
    const char *end = held > r->seen ? memchr(at + r->seen, '\n', held - r->seen) : NULL;
    size_t len = end != NULL ? (size_t)(end - at) : held;

    if (len > r->n) return failed(r, MW_EFRAME, "the line is longer than max");
    if (end == NULL) {
        r->seen = held;
        return 0;
    }
    return found(r, r->kind == MW_READ_LINE ? len : len + 1, len + 1);
}

static int look_until(struct mw_read *r, const char *at, size_t held) {
    const char *end = held > r->seen ? memmem(at + r->seen, held - r->seen, r->delim, r->delim_len) : NULL;

    if (end != NULL && (size_t)(end - at) <= r->n) return found(r, (size_t)(end - at), (size_t)(end - at) + r->delim_len);
    if (end != NULL || held >= r->n + r->delim_len) return failed(r, MW_EFRAME, "no delimiter within max");
    if (held >= r->delim_len) r->seen = held - r->delim_len + 1; /* its first bytes may be there already */
    return 0;
}

/* As Lua's own read("n"): the longest prefix that may be a numeral. *more: it goes on where the bytes end. */
static size_t numeral(const char *at, size_t held, int *more) {
    size_t i = 0, digits = 0;
    int hex = 0;
    const char *expo = "eE";

    *more = 0;
    if (i < held && (at[i] == '+' || at[i] == '-')) i++;
    if (i < held && at[i] == '0') {
        i++;
        digits = 1;
        if (i < held && (at[i] == 'x' || at[i] == 'X')) {
            i++;
            hex = 1;
            digits = 0;
            expo = "pP";
        }
    }
    for (; i < held && (hex ? isxdigit((unsigned char)at[i]) : isdigit((unsigned char)at[i])); i++) digits++;
    if (i < held && at[i] == '.') {
        for (i++; i < held && (hex ? isxdigit((unsigned char)at[i]) : isdigit((unsigned char)at[i])); i++) digits++;
    }
    if (digits > 0 && i < held && (at[i] == expo[0] || at[i] == expo[1])) {
        i++;
        if (i < held && (at[i] == '+' || at[i] == '-')) i++;
        while (i < held && isdigit((unsigned char)at[i])) i++;
    }
    *more = i == held;
    return i;
}

static int look_number(struct mw_read *r, const char *at, size_t held, int last) {
    size_t skip = 0, len;
    int more;

    while (skip < held && isspace((unsigned char)at[skip])) skip++;
    if (skip > r->n) return failed(r, MW_EFRAME, "no number within max");
    len = numeral(at + skip, held - skip, &more);
    if (more && !last && len <= NUMERAL) return 0;
    if (len == 0 || len > NUMERAL) return failed(r, MW_EPARSE, "a number expected");
    return found(r, skip, skip + len); /* the text is what lies between */
}

int mw_read_look(const struct mw_bytes *q, struct mw_read *r) {
    size_t held = mw_bytes_len(q);

    switch (r->kind) {
    case MW_READ_LINE:
    case MW_READ_LINE_END: return look_line(r, mw_bytes_at(q), held);
    case MW_READ_UNTIL: return look_until(r, mw_bytes_at(q), held);
    case MW_READ_NUMBER: return look_number(r, mw_bytes_at(q), held, 0);
    case MW_READ_ALL: return held > r->n ? failed(r, MW_ELIMIT, "more than max") : 0;
    case MW_READ_SOME: return held > 0 ? found(r, held < r->n ? held : r->n, held < r->n ? held : r->n) : 0;
    case MW_READ_PEEK: return held >= r->n ? found(r, r->n, 0) : 0;
    case MW_READ_COUNT:
        if (r->n == 0) return held > 0 ? found(r, 0, 0) : 0; /* "" as long as there is more to come */
        return held >= r->n ? found(r, r->n, r->n) : 0;
    case MW_READ_EXACT: return held >= r->n ? found(r, r->n, r->n) : 0;
    }
    return 0;
}

int mw_read_look_at_end(const struct mw_bytes *q, struct mw_read *r) {
    size_t held = mw_bytes_len(q);
    const char *at = mw_bytes_at(q);
    size_t i = 0;

    if (r->kind == MW_READ_ALL) return found(r, held, held);
    if (r->kind == MW_READ_EXACT) return failed(r, MW_EEOF, "the end came before all bytes");
    if (r->kind == MW_READ_NUMBER) {
        while (i < held && isspace((unsigned char)at[i])) i++;
        if (i == held) return failed(r, MW_EEOF, NULL);
        return look_number(r, at, held, 1);
    }
    if (held == 0) return failed(r, MW_EEOF, NULL);
    if (r->kind == MW_READ_UNTIL) return failed(r, MW_EEOF, "the end came before the delimiter");
    return found(r, held, r->kind == MW_READ_PEEK ? 0 : held);
}

/* The stream's hook while the task is parked. */
static int enough(mw_stream *s, void *ud) {
    return mw_read_look(mw_stream_in(s), ud) != 0;
}

/* How many bytes must fit into the queue for this read. */
static size_t need(const struct mw_read *r) {
    switch (r->kind) {
    case MW_READ_UNTIL: return r->n + r->delim_len;
    case MW_READ_SOME: return 0;
    default: return r->n + 1;
    }
}

/* ---- Results ------------------------------------------------------------------------------------------------------------ */

static int give_error(lua_State *L, const struct mw_read *r, const struct mw_err *err) {
    return r->raises ? mw_raise(L, err) : mw_push_err(L, err);
}

int mw_read_push(lua_State *L, const mw_stream *s, const char *at, const struct mw_read *r) {
    if (r->kind == MW_READ_NUMBER) {
        char text[NUMERAL + 1];
        size_t len = r->use - r->len;
        memcpy(text, at + r->len, len);
        text[len] = '\0';
        if (lua_stringtonumber(L, text) == 0) {
            struct mw_err err;
            mw_err_set(&err, MW_EPARSE, "stream read", mw_stream_subject(s), "a number expected");
            return give_error(L, r, &err);
        }
    } else {
        lua_pushlstring(L, r->len > 0 ? at : "", r->len);
    }
    return 1;
}

/* Pushes the result; the bytes go when it stands.                            [-0, +1, m] */
static int give_result(lua_State *L, struct mw_stream_box *box, struct mw_read *r) {
    mw_stream *s = box->s;
    uint64_t place = mw_stream_offset(s);
    int n;

    if (box->more != NULL) mw_stream_tell(L, box, MW_PROBE_RECV, mw_bytes_at(mw_stream_in(s)), r->use);
    n = mw_read_push(L, s, mw_bytes_at(mw_stream_in(s)), r);
    if (n != 1) return n;
    /* A finalizer that ran just now may have read or closed this very stream. */
    if (mw_stream_offset(s) == place && mw_bytes_len(mw_stream_in(s)) >= r->use) mw_stream_consume(s, r->use);
    return 1;
}

int mw_read_fail(lua_State *L, const mw_stream *s, const struct mw_read *r, int code, struct mw_err *err) {
    if (code == MW_EEOF && r->why == NULL) {
        lua_pushnil(L);
        return 1;
    }
    if (r->why != NULL) mw_err_set(err, code, "stream read", mw_stream_subject(s), r->why);
    return give_error(L, r, err);
}

/* ---- The engine --------------------------------------------------------------------------------------------------------- */

/* Looks and reads until there is enough. 1: enough; 0: wait; <0: a code (err filled unless r->why says it). */
static int attempt(lua_State *L, struct mw_stream_box *box, struct mw_read *r, struct mw_err *err) {
    mw_stream *s = box->s;
    int rc;

    r->why = NULL;
    for (;;) {
        if (mw_stream_closed(s)) return mw_stream_fill(s, 0, err);
        rc = mw_read_look(mw_stream_in(s), r);
        if (rc != 0) return rc;
        if (box->streak++ >= STREAK) {
            box->streak = 0;
            if (mw_wait_possible(L) && !mw_stream_holds(s) && mw_stream_listen(s) == 0) return 0;
        }
        rc = mw_stream_fill(s, 0, err);
        if (rc == MW_EEOF) return mw_read_look_at_end(mw_stream_in(s), r);
        if (rc <= 0) return rc;
    }
}

static int park(lua_State *L, struct mw_stream_box *box);

/* Gives the turn back, then the result.                                      [-0, +1|2, e] */
static int end_turn(lua_State *L, struct mw_stream_box *box, int rc, struct mw_err *err) {
    struct mw_read r = *box->now;

    mw_stream_need(box->s, 0);
    mw_turn_give(mw_stream_reader(box->s));
    return rc > 0 ? give_result(L, box, &r) : mw_read_fail(L, box->s, &r, rc, err);
}

/* The box is at index 1 in all that follows.                                 [-0, +1|2, e] */
static int step(lua_State *L, struct mw_stream_box *box) {
    struct mw_err err;
    int rc = attempt(L, box, box->now, &err);

    return rc == 0 ? park(L, box) : end_turn(L, box, rc, &err);
}

static int read_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_stream_box *box = lua_touserdata(L, 1);
    struct mw_err err;
    (void)ctx;

    box->streak = 0;
    if (code == 0) return step(L, box);
    if (code == MW_ETIMEDOUT) {
        int rc = attempt(L, box, box->now, &err); /* it may have come in the same moment */
        if (rc == 0) {
            mw_err_set(&err, rc = MW_ETIMEDOUT, "stream read", mw_stream_subject(box->s), NULL);
            box->now->why = NULL;
        }
        return end_turn(L, box, rc, &err);
    }
    mw_stream_need(box->s, 0);
    mw_turn_give(mw_stream_reader(box->s));
    return mw_wait_cancelled(L);
}

/* 0 or MW_ENOMEM. Its memory stays: who has waited once will again. */
static int remember(struct mw_stream_box *box, const struct mw_read *r) {
    if (box->now == NULL) box->now = malloc(sizeof *box->now);
    if (box->now == NULL) return MW_ENOMEM;
    *box->now = *r;
    return 0;
}

static int park(lua_State *L, struct mw_stream_box *box) {
    mw_stream_need(box->s, need(box->now));
    mw_stream_await(box->s, box->now->kind == MW_READ_SOME ? NULL : enough, box->now);
    return mw_wait_yield_raw(L, mw_stream_readable(box->s), box->now->deadline, 0, read_k);
}

/* The turn came, or did not; ctx is the place of the copy of the read. */
static int turn_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_stream_box *box = lua_touserdata(L, 1);
    struct mw_read *r = lua_touserdata(L, (int)ctx);
    struct mw_err err;

    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    if (code == 0) {
        code = remember(box, r);
        if (code == 0) return step(L, box);
        mw_turn_give(mw_stream_reader(box->s));
    }
    mw_err_set(&err, code, "stream read", mw_stream_subject(box->s), code == MW_ETIMEDOUT ? "another task was reading" : NULL);
    return give_error(L, r, &err);
}

/* A read that must wait: for its turn, then for bytes.                       [-0, +1|2, e] */
static int wait_for(lua_State *L, struct mw_stream_box *box, const struct mw_read *r) {
    struct mw_read *kept;

    if (!mw_wait_possible(L)) {
        return mw_raise_inval(L, "stream.read",
                              "nothing is there yet, and one cannot wait here (outside a task, or in a C callback)");
    }
    if (mw_turn_try(mw_stream_reader(box->s))) {
        struct mw_err err;
        int rc = remember(box, r);
        if (rc == 0) return park(L, box);
        mw_turn_give(mw_stream_reader(box->s));
        mw_err_set(&err, rc, "stream read", mw_stream_subject(box->s), NULL);
        return give_error(L, r, &err);
    }
    luaL_checkstack(L, 1, "stream.read");
    kept = lua_newuserdatauv(L, sizeof *kept, 0);
    *kept = *r;
    return mw_turn_yield(L, mw_stream_reader(box->s), r->deadline, (lua_KContext)lua_gettop(L), turn_k);
}

/* Reads at once, or waits.                                                   [-0, +1|2, e] */
static int run(lua_State *L, struct mw_stream_box *box, struct mw_read *r) {
    struct mw_err err;
    int rc;

    if (box->more != NULL && box->more->uses > 0) return mw_stream_read_used(L, r);
    rc = mw_stream_reader(box->s)->held ? 0 : attempt(L, box, r, &err);
    if (rc > 0) return give_result(L, box, r);
    return rc == 0 ? wait_for(L, box, r) : mw_read_fail(L, box->s, r, rc, &err);
}

/* The way that nearly all lines take: one is there, whole. 1: it was pushed; 0: not so, and there is none in the first *seen bytes.
 *                                                                             [-0, +1, m] */
static inline int line_at_hand(lua_State *L, const struct mw_stream_box *box, size_t max, size_t *seen) {
    mw_stream *s = box->s;
    const char *at = mw_bytes_at(mw_stream_in(s)), *end;
    size_t held = mw_bytes_len(mw_stream_in(s)), len;
    uint64_t place = mw_stream_offset(s);

    if (held == 0 || mw_stream_reader(s)->held || box->more != NULL) return 0;
    end = memchr(at, '\n', held);
    if (end == NULL) *seen = held;
    len = (size_t)(end - at);
    if (end == NULL || len > max) return 0;
    lua_pushlstring(L, at, len);
    if (mw_stream_offset(s) == place && mw_bytes_len(mw_stream_in(s)) > len) mw_stream_consume(s, len + 1); /* see give_result */
    return 1;
}

/* The next line of an iterator, which may have to wait.                       [-0, +1, ey] */
static __attribute__((noinline)) int read_line(lua_State *L, struct mw_stream_box *box, size_t max, uint64_t timeout, size_t seen) {
    struct mw_read r = { .kind = MW_READ_LINE, .raises = 1, .n = max, .seen = seen };

    if (timeout != 0) r.deadline = mw_host_now(mw_stream_host(box->s)) + timeout;
    return run(L, box, &r);
}

/* ---- The methods -------------------------------------------------------------------------------------------------------- */

static const char *const timeout_only[] = { "timeout", NULL };
static const char *const timeout_max[] = { "timeout", "max", NULL };

static uint64_t options(lua_State *L, int idx, const char *op, const char *const *known) {
    if (lua_isnoneornil(L, idx)) return MW_NEVER;
    mw_opt_open(L, idx, op, known, 0);
    return mw_opt_deadline(L, idx, op);
}

static size_t max_of(lua_State *L, int idx, const char *op, uint64_t most, uint64_t fallback) {
    return lua_isnoneornil(L, idx) ? (size_t)fallback : (size_t)mw_opt_size(L, idx, op, "max", 0, most, fallback);
}

/* 1: `n` bytes are there, and were pushed; 0: see for yourself.                [-0, +1, m] */
static int bytes_at_hand(lua_State *L, const struct mw_stream_box *box, lua_Integer n) {
    mw_stream *s = box->s;
    uint64_t place = mw_stream_offset(s);

    if (n <= 0 || (uint64_t)n > mw_bytes_len(mw_stream_in(s)) || mw_stream_reader(s)->held || box->more != NULL) return 0;
    lua_pushlstring(L, mw_bytes_at(mw_stream_in(s)), (size_t)n);
    if (mw_stream_offset(s) == place && mw_bytes_len(mw_stream_in(s)) >= (size_t)n) mw_stream_consume(s, (size_t)n); /* see give_result */
    return 1;
}

/* stream:read(), read("l"), read(n) when it is there. 1: it was pushed.         [-0, +1, m] */
static int read_at_hand(lua_State *L, const struct mw_stream_box *box, size_t *seen) {
    int given = lua_gettop(L), type = given == 2 ? lua_type(L, 2) : LUA_TNIL;
    const char *fmt;
    size_t len;

    if (given > 2) return 0;
    if (type == LUA_TNUMBER) return lua_isinteger(L, 2) && bytes_at_hand(L, box, lua_tointeger(L, 2));
    fmt = type == LUA_TSTRING ? lua_tolstring(L, 2, &len) : NULL;
    return (type == LUA_TNIL || (fmt != NULL && len == 1 && *fmt == 'l')) && line_at_hand(L, box, MIB, seen);
}

/* stream:read(fmt, opts) -> string | number | nil (the end) | nil, err        [-0, +1|2, ey]
 * fmt: "l" (default) a line, "L" with its end, "a" all, "n" a number, or how many bytes. opts: timeout, max. */
static int stream_read(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, stream_read);
    struct mw_stream_box *box = mw_stream_box_own(L);
    size_t seen = 0;
    if (read_at_hand(L, box, &seen)) return 1;

    struct mw_read r = { .kind = MW_READ_LINE, .n = MIB };
    const char *fmt;

    if (!lua_isnoneornil(L, 3)) r.deadline = options(L, 3, "stream.read", timeout_max);
    if (lua_type(L, 2) == LUA_TNUMBER) {
        r.kind = MW_READ_COUNT;
        r.n = (size_t)mw_param_integer(L, 2, "stream.read", "count", 0, (lua_Integer)(1024 * MIB));
        return run(L, box, &r);
    }
    fmt = lua_isnoneornil(L, 2) ? "l" : mw_param_text(L, 2, "stream.read", "format", 8, NULL);
    if (fmt[0] == '*') fmt++; /* as in older Lua */
    if (fmt[0] == '\0' || fmt[1] != '\0' || strchr("lLan", fmt[0]) == NULL) {
        return mw_raise_inval(L, "stream.read", "format must be \"l\", \"L\", \"a\", \"n\" or a number of bytes, got \"%s\"",
                              fmt);
    }
    if (fmt[0] == 'a') {
        r.kind = MW_READ_ALL;
        r.n = max_of(L, 3, "stream.read", 1024 * MIB, 8 * MIB);
    } else {
        r.seen = fmt[0] == 'l' ? seen : 0;
        r.kind = fmt[0] == 'l' ? MW_READ_LINE : fmt[0] == 'L' ? MW_READ_LINE_END : MW_READ_NUMBER;
        if (!lua_isnoneornil(L, 3)) r.n = max_of(L, 3, "stream.read", 64 * MIB, MIB);
    }
    return run(L, box, &r);
}

/* stream:read_some(max, opts) -> string | nil (the end) | nil, err            [-0, +1|2, ey] */
static int stream_read_some(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, stream_read_some);
    struct mw_stream_box *box = mw_stream_box_own(L);
    struct mw_read r = { .kind = MW_READ_SOME, .n = MIB };

    if (!lua_isnoneornil(L, 2)) r.n = (size_t)mw_param_size(L, 2, "stream.read_some", "max", 1, 1024 * MIB);
    r.deadline = options(L, 3, "stream.read_some", timeout_only);
    return run(L, box, &r);
}

/* stream:read_exact(n, opts) -> string | nil, err                             [-0, +1|2, ey] */
static int stream_read_exact(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, stream_read_exact);
    struct mw_stream_box *box = mw_stream_box_own(L);
    if (lua_gettop(L) == 2 && lua_isinteger(L, 2) && bytes_at_hand(L, box, lua_tointeger(L, 2))) return 1;

    struct mw_read r = { .kind = MW_READ_EXACT };
    r.n = (size_t)mw_param_size(L, 2, "stream.read_exact", "count", 0, 1024 * MIB);
    r.deadline = options(L, 3, "stream.read_exact", timeout_only);
    return run(L, box, &r);
}

/* stream:peek(n, opts) -> string (shorter only before the end) | nil | nil, err  [-0, +1|2, ey] */
static int stream_peek(lua_State *L) {
    struct mw_stream_box *box = mw_stream_box_own(L);
    struct mw_read r = { .kind = MW_READ_PEEK };

    r.n = (size_t)mw_param_size(L, 2, "stream.peek", "count", 1, 64 * MIB);
    r.deadline = options(L, 3, "stream.peek", timeout_only);
    return run(L, box, &r);
}

/* stream:read_until(delim, opts) -> string | nil (the end) | nil, err         [-0, +1|2, ey] */
static int stream_read_until(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, stream_read_until);
    struct mw_stream_box *box = mw_stream_box_own(L);
    struct mw_read r = { .kind = MW_READ_UNTIL };
    size_t len;

    r.delim = mw_param_bytes(L, 2, "stream.read_until", "delimiter", &len);
    if (len == 0 || len > 4 * KIB) return mw_raise_inval(L, "stream.read_until", "delimiter must have 1 to 4096 bytes, got %d", (int)len);
    r.delim_len = (unsigned)len;
    r.deadline = options(L, 3, "stream.read_until", timeout_max);
    r.n = max_of(L, 3, "stream.read_until", 64 * MIB, 64 * KIB);
    return run(L, box, &r);
}

/* What an iterator of lines goes by: its first upvalue; the box is its second. */
struct lines {
    struct mw_stream_box *box;
    size_t max;
    uint64_t timeout;            /* ns for each line; 0: none */
};

/* The iterator of lines.                                                      [-0, +1, ey] */
static int next_line(lua_State *L) {
    if (mw_step_is_long(L)) return mw_step_share(L, next_line);
    const struct lines *how = lua_touserdata(L, lua_upvalueindex(1));
    size_t seen = 0;

    if (how->box->s == NULL) return mw_raise_inval(L, "stream.lines", "this stream has been collected");
    if (line_at_hand(L, how->box, how->max, &seen)) return 1;
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(2));
    return read_line(L, how->box, how->max, how->timeout, seen);
}

/* stream:lines(opts) -> iterator; it raises on errors. opts: max, timeout (of each line)   [-0, +1, e] */
static int stream_lines(lua_State *L) {
    uint64_t max = MIB, timeout = UINT64_MAX;
    struct mw_stream_box *box = mw_stream_box_own(L);
    struct lines *how;

    if (!lua_isnoneornil(L, 2)) {
        mw_opt_open(L, 2, "stream.lines", timeout_max, 0);
        max = mw_opt_size(L, 2, "stream.lines", "max", 0, 64 * MIB, MIB);
        timeout = mw_opt_duration(L, 2, "stream.lines", "timeout", UINT64_MAX);
    }
    if (timeout > INT64_MAX / 2) timeout = 0;
    else if (timeout == 0) timeout = 1;
    lua_settop(L, 1);
    how = lua_newuserdatauv(L, sizeof *how, 0);
    *how = (struct lines){ box, (size_t)max, timeout };
    lua_insert(L, 1);                                           /* [how box] */
    lua_pushcclosure(L, next_line, 2);
    return 1;
}

const luaL_Reg mw_stream_read_methods[] = {
    { "read", stream_read },
    { "read_some", stream_read_some },
    { "read_exact", stream_read_exact },
    { "read_until", stream_read_until },
    { "peek", stream_peek },
    { "lines", stream_lines },
    { NULL, NULL },
};
