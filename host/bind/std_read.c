/* io's read: the formats n, l, L, a and a count, over what has been buffered; nothing is consumed before it is whole.
 * Knows: io/textfile, core/wait, lua.h. Never: a descriptor. */
#include <ctype.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/std.h"
#include "bind/std_file.h"
#include "core/host.h"

#define NUMBER_MAX 200           /* characters of a numeral, as Lua has it */
#define PIECE (64u << 10)        /* asked for at once where much is wanted */

enum { DONE = 1, END = 0, WAIT = -1 }; /* else a code, below -1 */

/* Gets more. DONE: there is more; END; WAIT; or a code. */
static int more(lua_State *L, mw_textfile *f, size_t want) {
    ssize_t n;
    size_t limit;

    (void)mw_host_memory(mw_host_of(L), &limit);
    if (mw_bytes_len(mw_textfile_in(f)) > limit) return MW_ENOMEM; /* Lua could not hold it as a string */
    n = mw_textfile_fill(f, want, mw_wait_possible(L));
    if (n > 0) return DONE;
    return n == 0 ? END : n == MW_EAGAIN ? WAIT : (int)n;
}

static int read_line(lua_State *L, mw_textfile *f, int keep) {
    struct mw_bytes *in = mw_textfile_in(f);
    size_t *scanned = mw_textfile_scanned(f);

    for (;;) {
        const char *at = mw_bytes_at(in), *nl;
        size_t len = mw_bytes_len(in);
        int rc;
        nl = len > *scanned ? memchr(at + *scanned, '\n', len - *scanned) : NULL;
        if (nl != NULL) {
            size_t n = (size_t)(nl - at);
            lua_pushlstring(L, at, keep ? n + 1 : n);
            mw_textfile_consume(f, n + 1);
            return DONE;
        }
        *scanned = len;
        rc = more(L, f, 0);
        if (rc == DONE) continue;
        if (rc != END || len == 0) return rc;
        lua_pushlstring(L, mw_bytes_at(in), len);
        mw_textfile_consume(f, len);
        return DONE;
    }
}

static int read_chars(lua_State *L, mw_textfile *f, size_t n) {
    struct mw_bytes *in = mw_textfile_in(f);
    size_t len;
    int rc = DONE;

    while ((len = mw_bytes_len(in)) < (n == 0 ? 1 : n)) {
        rc = more(L, f, n - len < PIECE ? n - len : PIECE);
        if (rc != DONE) break;
    }
    if (rc < END) return rc;
    len = mw_bytes_len(in);
    if (len == 0) return END;
    lua_pushlstring(L, mw_bytes_at(in), len < n ? len : n);
    mw_textfile_consume(f, len < n ? len : n);
    return DONE;
}

static int read_all(lua_State *L, mw_textfile *f) {
    struct mw_bytes *in = mw_textfile_in(f);
    int rc;

    do rc = more(L, f, PIECE);
    while (rc == DONE);
    if (rc != END) return rc;
    lua_pushlstring(L, mw_bytes_len(in) > 0 ? mw_bytes_at(in) : "", mw_bytes_len(in));
    mw_textfile_consume(f, mw_bytes_len(in));
    return DONE;
}

/* ---- Numerals: the longest prefix of the input that looks like one is consumed, as lauxlib's own does ------------------------------- */

struct numeral {
    lua_State *L;
    mw_textfile *f;
    size_t at;                   /* in the input */
    int c;                       /* the character there; -1: the end */
    int rc;                      /* WAIT or a code: start again later, or fail */
    size_t len;
    char text[NUMBER_MAX + 1];
};

static void look(struct numeral *n) {
    struct mw_bytes *in = mw_textfile_in(n->f);

    n->c = -1;
    if (n->rc != DONE) return;
    if (n->at >= mw_bytes_len(in)) {
        int rc = more(n->L, n->f, 0);
        if (rc != DONE && rc != END) n->rc = rc;
        if (rc != DONE) return;
    }
    n->c = (unsigned char)mw_bytes_at(in)[n->at];
}

static int take(struct numeral *n) {
    if (n->len >= NUMBER_MAX) {
        n->text[0] = 0; /* too long: no numeral at all */
        return 0;
    }
    n->text[n->len++] = (char)n->c;
    n->at++;
    look(n);
    return 1;
}

static int take_one_of(struct numeral *n, const char *set) {
    return n->c > 0 && strchr(set, n->c) != NULL ? take(n) : 0;
}

static int take_digits(struct numeral *n, int hex) {
    int count = 0;
    while (n->c >= 0 && (hex ? isxdigit(n->c) : isdigit(n->c)) && take(n)) count++;
    return count;
}

static int read_number(lua_State *L, mw_textfile *f) {
    struct numeral n = {.L = L, .f = f, .rc = DONE};
    int hex = 0, count = 0;

    look(&n);
    while (n.c >= 0 && isspace(n.c)) {
        n.at++;
        look(&n);
    }
    take_one_of(&n, "+-");
    if (take_one_of(&n, "0")) {
        if (take_one_of(&n, "xX")) hex = 1;
        else count = 1;
    }
    count += take_digits(&n, hex);
    if (take_one_of(&n, ".")) count += take_digits(&n, hex);
    if (count > 0 && take_one_of(&n, hex ? "pP" : "eE")) {
        take_one_of(&n, "+-");
        take_digits(&n, 0);
    }
    if (n.rc != DONE) return n.rc;
    mw_textfile_consume(f, n.at);
    n.text[n.text[0] == 0 ? 0 : n.len] = 0;
    if (lua_stringtonumber(L, n.text) != 0) return DONE;
    return END;
}

/* ---- The whole of a call ------------------------------------------------------------------------------------------------------------ */

/* One format; idx 0 is "a line". */
static int read_format(lua_State *L, mw_textfile *f, int idx) {
    const char *p;

    if (idx == 0) return read_line(L, f, 0);
    if (lua_type(L, idx) == LUA_TNUMBER) return read_chars(L, f, (size_t)mw_param_integer(L, idx, "io.read", "the count", 0, LUA_MAXINTEGER));
    p = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";
    if (*p == '*') p++; /* as Lua 5.3 and before had it */
    switch (*p) {
    case 'n': return read_number(L, f);
    case 'l': return read_line(L, f, 0);
    case 'L': return read_line(L, f, 1);
    case 'a': return read_all(L, f);
    default: return mw_raise_inval(L, "io.read", "invalid format '%s' (n, l, L, a or a count is expected)", luaL_tolstring(L, idx, NULL));
    }
}

static int go(lua_State *L, int nargs, int at, enum mw_read_for what);

/* What the call was, in a continuation's word: the file and the formats stay on the stack. */
static lua_KContext pack(int nargs, int at, enum mw_read_for what) {
    return ((lua_KContext)nargs << 32) | ((lua_KContext)at << 4) | (lua_KContext)what;
}
static int go_on(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    return go(L, (int)(ctx >> 32), (int)((ctx >> 4) & 0xfffffff), (enum mw_read_for)(ctx & 15));
}

static int failed(lua_State *L, int code, enum mw_read_for what) {
    struct mw_err err;

    if (code == MW_ECLOSED) return mw_raise_inval(L, "io.read", "attempt to use a closed file");
    if (code == MW_ELIMIT) mw_host_limit_reached(mw_host_of(L), &err, "io read", NULL, "buffered", "the host holds as many bytes as it may");
    if (code == MW_ELIMIT && what != MW_READ_PLAIN) return luaL_error(L, "%s", err.message);
    if (code == MW_ELIMIT) return mw_std_fail(L, &err, NULL);
    if (what != MW_READ_PLAIN) {
        mw_err_set(&err, code, "io read", NULL, NULL);
        return luaL_error(L, "%s", mw_std_words(code));
    }
    mw_err_set(&err, code, "io read", NULL, NULL);
    return mw_std_fail(L, &err, NULL);
}

static int go(lua_State *L, int nargs, int at, enum mw_read_for what) {
    int first, rc = DONE;

    for (; at <= nargs || (nargs == 1 && at == 2); at++) {
        mw_textfile *f = mw_std_file_check(L, 1);
        luaL_checkstack(L, 4, "too many results");
        rc = read_format(L, f, nargs == 1 ? 0 : at);
        if (rc == WAIT) {
            struct mw_wait *w = mw_textfile_readable(f, &rc);
            if (w != NULL) return mw_wait_yield(L, w, MW_NEVER, pack(nargs, at, what), go_on);
        }
        if (rc != DONE) break;
    }
    if (rc < 0) return failed(L, rc, what);
    if (rc == END) lua_pushnil(L);
    first = nargs + 1;
    if (what == MW_READ_LINES_CLOSE && !lua_toboolean(L, first)) (void)mw_std_file_close(L, 1), lua_settop(L, first - 1), lua_pushnil(L);
    return lua_gettop(L) - nargs;
}

int mw_std_file_read(lua_State *L, int nargs, enum mw_read_for what) {
    return go(L, nargs, 2, what);
}
