/* string: find, match, gmatch, gsub, rep, format, pack and unpack as Lua has them, save that they stop when their script must;
 * and byte, save that it is quick.
 * Knows: bind/pattern, core/hook, lua.h. Never: gives another result or error than Lua 5.4's own. */
#include <ctype.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/pattern.h"
#include "bind/std.h"
#include "core/host.h"
#include "core/raise.h"

#define WINDOW (1u << 20)       /* bytes that a plain search looks at in one go */
#define FORMAT (1u << 20)       /* bytes of a format of pack, unpack, os.date */
#define LONG (1u << 16)         /* bytes of a string that %q is looked after for */
#define ROOM ((size_t)INT_MAX)  /* bytes of a result of rep, as Lua has it */

/* Where a call begins in a subject of len bytes, from 0; len + 1 or more: behind its end. */
static size_t begin_at(lua_Integer pos, size_t len) {
    if (pos > 0) return (size_t)pos - 1;
    if (pos == 0 || pos < -(lua_Integer)len) return 0;
    return len + (size_t)(pos + 1) - 1;
}

/* ---- find, match --------------------------------------------------------------------------------------------------------- */

static int is_plain(const char *p, size_t len) {
    for (size_t at = 0; at <= len; at += strlen(p + at) + 1)
        if (strpbrk(p + at, "^$*+?.([%-") != NULL) return 0;
    return 1;
}

/* The first place of `what` in text..end, or NULL: in time that grows with their lengths, not their product. Most are found, or
 * seen to be absent, by looking for the first byte; where that leads astray too often, memmem is the better way. */
static const char *search(lua_State *L, const char *text, const char *end, const char *what, size_t len) {
    struct mw_budget budget = MW_BUDGET_OF(L);
    size_t window = len < WINDOW / 4 ? WINDOW : 4 * len, tries = WINDOW / (len + 1) + 1;

    if (len == 0) return text;
    while ((size_t)(end - text) >= len && tries-- > 0) {
        text = memchr(text, *what, (size_t)(end - text) - len + 1);
        if (text == NULL || memcmp(text + 1, what + 1, len - 1) == 0) return text;
        text++;
    }
    while ((size_t)(end - text) >= len) {
        size_t part = (size_t)(end - text) < window ? (size_t)(end - text) : window;
        const char *found = memmem(text, part, what, len);
        if (found != NULL) return found;
        text += part - len + 1;
        mw_budget_spend(&budget, (int)(part / 256));
    }
    return NULL;
}

static int find(lua_State *L, int places) {
    size_t len, pattern_len, from;
    const char *text = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &pattern_len), *to;
    struct mw_match m;
    int anchored;

    from = begin_at(luaL_optinteger(L, 3, 1), len);
    if (from > len) {
        luaL_pushfail(L);
        return 1;
    }
    if (places && (lua_toboolean(L, 4) || is_plain(p, pattern_len))) {
        const char *at = search(L, text + from, text + len, p, pattern_len);
        if (at == NULL) {
            luaL_pushfail(L);
            return 1;
        }
        lua_pushinteger(L, at - text + 1);
        lua_pushinteger(L, at - text + (lua_Integer)pattern_len);
        return 2;
    }
    mw_match_init(&m, L, text, len, p, pattern_len);
    anchored = *p == '^';
    p += anchored;
    for (const char *at = text + from; at <= m.text_end; at++) {
        to = mw_match_at(&m, at, p);
        if (to != NULL && !places) return mw_match_push_all(&m, at, to);
        if (to != NULL) {
            lua_pushinteger(L, at - text + 1);
            lua_pushinteger(L, to - text);
            return mw_match_push_all(&m, NULL, NULL) + 2;
        }
        if (anchored) break;
    }
    luaL_pushfail(L);
    return 1;
}

static int str_find(lua_State *L) { /* find(s, pattern [, init [, plain]]) -> first, last, captures... | nil         [-0, +n, e] */
    return find(L, 1);
}
static int str_match(lua_State *L) { /* match(s, pattern [, init]) -> captures... | nil                            [-0, +n, e] */
    return find(L, 0);
}

/* ---- gmatch ---------------------------------------------------------------------------------------------------------------- */

struct walk {
    const char *at, *pattern, *last;    /* last: where the match before ended */
    struct mw_match m;
};

static int next_match(lua_State *L) { /* upvalues: the subject, the pattern, the walk                              [-0, +n, e] */
    struct walk *w = lua_touserdata(L, lua_upvalueindex(3));

    w->m.L = w->m.budget.L = L;
    for (const char *at = w->at; at <= w->m.text_end; at++) {
        const char *to = mw_match_at(&w->m, at, w->pattern);
        if (to == NULL || to == w->last) continue;
        w->at = w->last = to;
        return mw_match_push_all(&w->m, at, to);
    }
    return 0;
}

static int str_gmatch(lua_State *L) { /* gmatch(s, pattern [, init]) -> iterator                                    [-0, +1, e] */
    size_t len, pattern_len, from;
    const char *text = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &pattern_len);
    struct walk *w;

    from = begin_at(luaL_optinteger(L, 3, 1), len);
    lua_settop(L, 2);
    w = lua_newuserdatauv(L, sizeof *w, 0);
    mw_match_init(&w->m, L, text, len, p, pattern_len);
    w->at = text + (from > len ? len + 1 : from);
    w->pattern = p;
    w->last = NULL;
    lua_pushcclosure(L, next_match, 3);
    return 1;
}

/* ---- gsub ------------------------------------------------------------------------------------------------------------------ */

/* The replacement string at 3, with %0..%9 and %% put in. */
static void add_text(struct mw_match *m, luaL_Buffer *b, const char *from, const char *to) {
    size_t len;
    const char *at = lua_tolstring(m->L, 3, &len), *end = at + len, *esc;

    while ((esc = memchr(at, '%', (size_t)(end - at))) != NULL) {
        luaL_addlstring(b, at, (size_t)(esc - at));
        at = esc + 2;
        if (esc[1] == '%') {
            luaL_addchar(b, '%');
        } else if (esc[1] == '0') {
            luaL_addlstring(b, from, (size_t)(to - from));
        } else if (esc[1] >= '1' && esc[1] <= '9') {
            int i = esc[1] - '1';
            if (i < m->captures && m->capture[i].len >= 0) luaL_addlstring(b, m->capture[i].at, (size_t)m->capture[i].len);
            else if (i == 0 && m->captures == 0) luaL_addlstring(b, from, (size_t)(to - from));
            else {
                mw_match_push(m, i, from, to); /* a place, or an error */
                luaL_addvalue(b);
            }
        } else {
            luaL_error(m->L, "invalid use of '%%' in replacement string");
        }
    }
    luaL_addlstring(b, at, (size_t)(end - at));
}

/* Adds what stands for the match. 1: it is something else. */
static int add_value(struct mw_match *m, luaL_Buffer *b, const char *from, const char *to, int type) {
    lua_State *L = m->L;

    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, mw_match_push_all(m, from, to), 1);
    } else if (type == LUA_TTABLE) {
        mw_match_push(m, 0, from, to);
        lua_gettable(L, 3);
    } else {
        add_text(m, b, from, to);
        return 1;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(b, from, (size_t)(to - from));
        return 0;
    }
    if (!lua_isstring(L, -1)) return luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(b);
    return 1;
}

static int str_gsub(lua_State *L) { /* gsub(s, pattern, replacement [, n]) -> string, count                         [-0, +2, e] */
    size_t len, pattern_len;
    const char *at = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &pattern_len), *last = NULL;
    int type = lua_type(L, 3), changed = 0, anchored = *p == '^';
    lua_Integer max = luaL_optinteger(L, 4, (lua_Integer)len + 1), n = 0;
    struct mw_match m;
    luaL_Buffer b;

    luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3, "string/function/table");
    mw_match_init(&m, L, at, len, p, pattern_len);
    p += anchored;
    mw_host_make_room(L, 3 * len);
    luaL_buffinit(L, &b);
    while (n < max) {
        const char *to = mw_match_at(&m, at, p);
        if (to != NULL && to != last) {
            n++;
            changed |= add_value(&m, &b, at, to, type);
            at = last = to;
        } else if (at < m.text_end) {
            luaL_addchar(&b, *at++);
        } else {
            break;
        }
        if (anchored) break;
    }
    if (changed) {
        luaL_addlstring(&b, at, (size_t)(m.text_end - at));
        luaL_pushresult(&b);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, n);
    return 2;
}

/* ---- rep ------------------------------------------------------------------------------------------------------------------- */

/* Writes `len` bytes as often as `total` has room for: each copy doubles what is there. */
static void fill(char *out, size_t total, const char *unit, size_t len) {
    size_t done = len < total ? len : total;

    memcpy(out, unit, done);
    while (done < total) {
        size_t more = done < total - done ? done : total - done;
        memcpy(out + done, out, more);
        done += more;
    }
}

static int str_rep(lua_State *L) { /* rep(s, n [, separator]) -> string                                              [-0, +1, e] */
    size_t len, sep_len, total;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer n = luaL_checkinteger(L, 2);
    const char *sep = luaL_optlstring(L, 3, "", &sep_len);
    luaL_Buffer b;
    char *out;

    if (n <= 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (len + sep_len < len || len + sep_len > ROOM / (lua_Unsigned)n) return luaL_error(L, "resulting string too large");
    total = (size_t)n * len + (size_t)(n - 1) * sep_len;
    if (total == 0 || n == 1) {
        lua_pushlstring(L, s, total);
        return 1;
    }
    mw_host_make_room(L, 2 * total);
    out = luaL_buffinitsize(L, &b, total);
    memcpy(out, s, len);
    if (len < total) memcpy(out + len, sep, sep_len);
    if (len + sep_len < total) fill(out + len + sep_len, total - len - sep_len, out, len + sep_len);
    luaL_pushresultsize(&b, total);
    return 1;
}

/* ---- What goes by a format: Lua's own, the upvalue, with what would keep it busy taken out ----------------------------------- */

void mw_std_check_format(lua_State *L, int idx, const char *op) {
    size_t len;
    const char *format = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &len) : NULL;
    struct mw_err err;

    if (format == NULL || len <= FORMAT) return;
    mw_err_setf(&err, MW_ELIMIT, op, NULL, "a format of %zu bytes: at most %u are allowed", len, FORMAT);
    mw_raise(L, &err);
}

static int theirs(lua_State *L) {
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}
static int str_pack(lua_State *L) { /* pack(format, ...) -> string                                                   [-0, +1, e] */
    mw_std_check_format(L, 1, "string.pack");
    return theirs(L);
}
static int str_packsize(lua_State *L) { /* packsize(format) -> bytes                                                  [-0, +1, e] */
    mw_std_check_format(L, 1, "string.packsize");
    return theirs(L);
}
static int str_unpack(lua_State *L) { /* unpack(format, s [, pos]) -> values..., next                                 [-0, +n, e] */
    mw_std_check_format(L, 1, "string.unpack");
    return theirs(L);
}

/* As %q has it: a string that Lua reads as this one.                                                                 [-0, +1, e] */
static void push_quoted(lua_State *L, const char *s, size_t len) {
    struct mw_budget budget = MW_BUDGET_OF(L);
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    luaL_addchar(&b, '"');
    for (const char *end = s + len; s < end; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\' || c == '\n') {
            luaL_addchar(&b, '\\');
            luaL_addchar(&b, (char)c);
        } else if (iscntrl(c)) {
            char code[8];
            snprintf(code, sizeof code, isdigit((unsigned char)s[1]) ? "\\%03d" : "\\%d", c);
            luaL_addstring(&b, code);
            mw_budget_spend(&budget, 4);
        } else {
            luaL_addchar(&b, (char)c);
        }
        mw_budget_spend(&budget, 1);
    }
    luaL_addchar(&b, '"');
    luaL_pushresult(&b);
}

/* The long strings that a %q is for are quoted here, and their %q becomes %s. */
static void quote_long(lua_State *L) {
    size_t len, n;
    const char *format = lua_tolstring(L, 1, &len), *end = format + len;
    char *copy = NULL;
    int arg = 1, top = lua_gettop(L);

    for (const char *at = format; at < end; at++) {
        if (*at != '%') continue;
        at++;
        if (at < end && *at == '%') continue;
        at += strspn(at, "-+ #0123456789.");
        if (at >= end || ++arg > top) break;
        if (*at != 'q' || at[-1] != '%' || lua_type(L, arg) != LUA_TSTRING || lua_rawlen(L, arg) < LONG) continue;
        if (copy == NULL) {
            copy = lua_newuserdatauv(L, len + 1, 0);
            memcpy(copy, format, len + 1);
        }
        copy[at - format] = 's';
        lua_tolstring(L, arg, &n);
        push_quoted(L, lua_tostring(L, arg), n);
        lua_replace(L, arg);
    }
    if (copy != NULL) {
        lua_pushlstring(L, copy, len);
        lua_replace(L, 1);
    }
    lua_settop(L, top);
}

static int str_format(lua_State *L) { /* format(format, ...) -> string                                                [-0, +1, e] */
    size_t len, total = 0;
    const char *format = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &len) : NULL;

    for (int i = 2; i <= lua_gettop(L); i++)
        if (lua_type(L, i) == LUA_TSTRING) total += lua_rawlen(L, i);
    mw_host_make_room(L, 3 * total);
    if (format != NULL && lua_gettop(L) > 1 && memchr(format, 'q', len) != NULL) {
        luaL_checkstack(L, 8, "string.format");
        quote_long(L);
    }
    return theirs(L);
}

/* One byte of a string, as protocols ask for it at each message: without what Lua's own does for many. */
static int str_byte(lua_State *L) { /* byte(s, i = 1, j = i) -> integers                                             [-0, +n, e] */
    int given = lua_gettop(L), integer = 1;
    lua_Integer i = given == 2 ? lua_tointegerx(L, 2, &integer) : 1;
    size_t len;
    const char *s = given <= 2 && integer ? lua_tolstring(L, 1, &len) : NULL;

    if (s == NULL || i < 1 || (size_t)i > len) return theirs(L);
    lua_pushinteger(L, (unsigned char)s[i - 1]);
    return 1;
}

/* Puts fns into the table on top; each gets Lua's own function of that name as its upvalue.                          [-0, +0, m] */
static void wrap(lua_State *L, const luaL_Reg *fns) {
    for (; fns->name != NULL; fns++) {
        lua_getfield(L, -1, fns->name);
        lua_pushcclosure(L, fns->func, 1);
        lua_setfield(L, -2, fns->name);
    }
}

int mw_std_open_string(lua_State *L) {
    static const luaL_Reg wrapped[] = {{"byte", str_byte}, {"format", str_format}, {"pack", str_pack}, {"packsize", str_packsize}, {"unpack", str_unpack}, {NULL, NULL}};
    static const luaL_Reg fns[] = {{"find", str_find}, {"match", str_match}, {"gmatch", str_gmatch}, {"gsub", str_gsub}, {"rep", str_rep}, {NULL, NULL}};

    luaopen_string(L);                                          /* [string] */
    luaL_setfuncs(L, fns, 0);
    wrap(L, wrapped);
    return 1;
}
