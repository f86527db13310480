/* Errors as Lua sees them: one object, code op subject message hint data.
 * Knows: base/err, lua.h. Never: decides what is raised beyond the three kinds. */
#include "core/raise.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/hook.h"
#include "core/inside.h"
#include "core/weak.h"

static const char seen, nothing; /* a registry key; what error(nil) is remembered by */

static const char *field(lua_State *L, int idx, const char *name) { /* raw; lent by the table */
    const char *s;
    idx = lua_absindex(L, idx);
    lua_pushstring(L, name);
    lua_rawget(L, idx);
    s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    lua_pop(L, 1);
    return s;
}

static int is_error(lua_State *L, int idx) {
    int yes;
    if (lua_type(L, idx) != LUA_TTABLE || !lua_getmetatable(L, idx)) return 0;
    luaL_getmetatable(L, MW_ERROR_TYPE);
    yes = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return yes;
}

/* tostring(err) -> "op subject: message (hint)", with the caller's place in front when the caller erred   [-0, +1, m] */
static int error_tostring(lua_State *L) {
    const char *op, *subject, *what, *hint, *where;
    luaL_Buffer b;

    luaL_checktype(L, 1, LUA_TTABLE);
    op = field(L, 1, "op");
    subject = field(L, 1, "subject");
    what = field(L, 1, "message");
    hint = field(L, 1, "hint");
    where = strcmp(field(L, 1, "code"), "EINVAL") == 0 ? field(L, 1, "where") : "";
    luaL_buffinit(L, &b);
    luaL_addstring(&b, where);
    luaL_addstring(&b, op);
    if (*op && *subject) luaL_addchar(&b, ' ');
    luaL_addstring(&b, subject);
    if (*op || *subject) luaL_addstring(&b, ": ");
    luaL_addstring(&b, *what ? what : field(L, 1, "code"));
    if (*hint) {
        luaL_addstring(&b, " (");
        luaL_addstring(&b, hint);
        luaL_addchar(&b, ')');
    }
    luaL_pushresult(&b);
    return 1;
}

static int error_concat(lua_State *L) { /* "failed: " .. err                                               [-0, +1, e] */
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

void mw_raise_open(lua_State *L) {
    luaL_newmetatable(L, MW_ERROR_TYPE);
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, error_concat);
    lua_setfield(L, -2, "__concat");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

static void set(lua_State *L, const char *name, const char *value) {
    if (value[0] == 0) return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

/* The first place on the call stack that is the script's own: not C, not one of our embedded modules. 1, or 0: there is none. */
static int find_where(lua_State *L, lua_Debug *ar) {
    for (int level = 0; lua_getstack(L, level, ar); level++) {
        lua_getinfo(L, "Sl", ar);
        if (ar->currentline > 0 && strncmp(ar->source, "=[moonwire", 10) != 0) return 1;
    }
    return 0;
}

static void push_where(lua_State *L) { /* "" when there is none */
    lua_Debug ar;
    if (find_where(L, &ar)) lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    else lua_pushliteral(L, "");
}

void mw_host_where(mw_host *h, char *out, size_t size) {
    lua_State *co = atomic_load_explicit(&h->co, memory_order_relaxed);
    lua_Debug ar;

    if (size > 0) out[0] = 0;
    if (co == NULL) snprintf(out, size, "%s", h->stand != NULL ? h->stand : "");
    else if (find_where(co, &ar)) snprintf(out, size, "%s:%d", ar.short_src, ar.currentline);
}

void mw_host_stand(mw_host *h, const char *where) {
    h->stand = where;
}

void mw_err_push(lua_State *L, const struct mw_err *err) {
    mw_host_of(L)->measures.errors[mw_measures_place(err->code)]++;
    luaL_checkstack(L, 6, "error");
    lua_createtable(L, 0, 6);
    set(L, "code", mw_err_name(err->code));
    set(L, "op", err->op);
    set(L, "subject", err->subject);
    set(L, "message", err->what);
    set(L, "hint", err->hint);
    if (err->code == MW_ECERT || err->code == MW_ETLS) { /* what went wrong with TLS: a word or two, up to the colon */
        lua_createtable(L, 0, 1);
        lua_pushlstring(L, err->what, strcspn(err->what, ":"));
        lua_setfield(L, -2, "reason");
        lua_setfield(L, -2, "data");
    }
    luaL_setmetatable(L, MW_ERROR_TYPE);
}

static int is_raised(int code) {
    return code == MW_EDENIED || code == MW_ECANCELED || code == MW_EINVAL;
}

static int raise_top(lua_State *L) {
    push_where(L);
    lua_setfield(L, -2, "where");
    return lua_error(L);
}

int mw_push_err(lua_State *L, const struct mw_err *err) {
    luaL_checkstack(L, 8, "error");
    lua_pushnil(L);
    mw_err_push(L, err);
    return is_raised(err->code) ? raise_top(L) : 2;
}

int mw_push_err_data(lua_State *L, const struct mw_err *err) {
    luaL_checkstack(L, 8, "error");
    mw_err_push(L, err);      /* [data err] */
    lua_insert(L, -2);        /* [err data] */
    lua_setfield(L, -2, "data");
    if (is_raised(err->code)) return raise_top(L);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

int mw_raise(lua_State *L, const struct mw_err *err) {
    mw_err_push(L, err);
    return raise_top(L);
}

int mw_raise_inval(lua_State *L, const char *op, const char *fmt, ...) {
    struct mw_err err;
    va_list ap;

    va_start(ap, fmt);
    lua_pushvfstring(L, fmt, ap);
    va_end(ap);
    mw_err_set(&err, MW_EINVAL, op, NULL, lua_tostring(L, -1));
    return mw_raise(L, &err);
}

static int code_of(const char *name) {
    static const int codes[] = {MW_EDENIED, MW_EEOF, MW_EFRAME, MW_EPARSE, MW_ESCHEMA, MW_ELIMIT, MW_ECLOSED, MW_ECRASHED, MW_ETASK,
                                MW_EAUTH, MW_ECERT, MW_ETLS, MW_ERPC, MW_ENORESPONDERS, MW_EEXIT};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(mw_err_name(codes[i]), name) == 0) return codes[i];
    for (int e = 1; e < 134; e++)
        if (strcmp(mw_err_name(-e), name) == 0) return -e;
    return MW_ELUA;
}

void mw_err_count(lua_State *L, const char *name) {
    mw_host *h = mw_host_of(L);
    unsigned *place = &h->error_places[((uintptr_t)name >> 4) % MW_ERROR_PLACES]; /* Lua keeps one string of each name */

    if (strcmp(mw_err_name(mw_measures_code(*place)), name) != 0) {
        int code = code_of(name);
        *place = strcmp(mw_err_name(code), name) == 0 ? mw_measures_place(code) : 0;
    }
    h->measures.errors[*place]++;
}

/* An error is told in one line: what came in several, as `require` lists where it looked, is joined. May push a value. */
static const char *one_line(lua_State *L, const char *text) {
    luaL_Buffer b;
    char last = 0;

    if (strchr(text, '\n') == NULL) return text;
    luaL_buffinit(L, &b);
    while (*text != 0) {
        if (*text != '\n') {
            luaL_addchar(&b, last = *text++);
            continue;
        }
        text += strspn(text, "\n\t ");
        if (*text != 0 && last != 0) luaL_addstring(&b, last == ':' ? " " : "; ");
    }
    luaL_pushresult(&b);
    return lua_tostring(L, -1);
}

static int try_text(lua_State *L) {
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* The text of an error value that is no string and no error object; as lua does, no address. Pushes up to two values. */
static const char *told(lua_State *L, int idx) {
    if (lua_type(L, idx) == LUA_TTABLE && luaL_getmetafield(L, idx, "__tostring") == LUA_TNIL) {
        const char *code = field(L, idx, "code"), *message = field(L, idx, "message");
        return lua_pushfstring(L, "%s%s%s%s(error object is a table)", code, *code && *message ? ": " : "", message,
                               *code || *message ? " " : "");
    }
    lua_pushcfunction(L, try_text);
    lua_pushvalue(L, idx);
    if (mw_call_apart(L, 1) == 0) return lua_tostring(L, -1);
    return lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, idx)); /* its own __tostring failed, or went on for ever */
}

void mw_err_from(lua_State *L, int idx, struct mw_err *err) {
    int top = lua_gettop(L);

    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 6, "error");
    if (is_error(L, idx)) {
        mw_err_set(err, code_of(field(L, idx, "code")), field(L, idx, "op"), field(L, idx, "subject"), field(L, idx, "message"));
        if (field(L, idx, "hint")[0]) mw_err_hint(err, "%s", field(L, idx, "hint"));
        if (err->code == MW_EINVAL) { /* the whole line says where */
            char line[sizeof err->message];
            snprintf(line, sizeof line, "%s%s", field(L, idx, "where"), err->message);
            memcpy(err->message, line, sizeof line);
        }
    } else if (mw_host_of(L)->refused && lua_type(L, idx) == LUA_TSTRING && strcmp(lua_tostring(L, idx), "not enough memory") == 0) {
        char limit[32], what[96];
        mw_limits_show(MW_LIMIT_BYTES, mw_host_of(L)->limits.memory, limit, sizeof limit);
        snprintf(what, sizeof what, "not enough memory: the script may have %s", limit);
        mw_host_limit_reached(mw_host_of(L), err, "memory", NULL, "memory", what);
    } else {
        const char *text = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : told(L, idx);
        text = one_line(L, text);
        mw_err_set(err, MW_ELUA, NULL, NULL, text);
        mw_err_escape(err->message, sizeof err->message, text, strlen(text)); /* longer than `what` may be */
    }
    lua_settop(L, top);
}

const char *mw_err_said_code(lua_State *L, int idx) {
    return is_error(L, idx) ? field(L, idx, "code") : "";
}

/* What an error value is remembered by.                                                                  [-0, +1, -] */
static void push_identity(lua_State *L, int idx) {
    if (lua_isnil(L, idx)) lua_pushlightuserdata(L, (void *)(uintptr_t)&nothing);
    else lua_pushvalue(L, idx);
}

/* "in task "fetcher"" before the traceback, or NULL. */
static const char *push_task(lua_State *L) {
    const mw_task *t = mw_host_of(L)->running;
    char name[256];

    if (t == NULL || t->name == NULL || strcmp(t->name, "main") == 0 || strncmp(t->name, "moonwire.", 9) == 0) return NULL; /* ours */
    mw_err_escape(name, sizeof name, t->name, strlen(t->name));
    return lua_pushfstring(L, "in task \"%s\"", name);
}

static const char *next_line(const char *at) { /* "" at the end */
    const char *nl = strchr(at, '\n');
    return nl != NULL ? nl + 1 : "";
}
static int is_ours(const char *line) {
    return strncmp(line, "\t[moonwire", 10) == 0;
}
static int is_c(const char *line) {
    return strncmp(line, "\t[C]:", 5) == 0;
}

/* A traceback without the frames of our own modules, nor the C functions next to them or at its end: what is left is the
 * script's. One with nothing else stays whole.                                            [text -> text] [-1, +1, m] */
static void trim_frames(lua_State *L) {
    const char *text = lua_tostring(L, -1);
    int dropped = 0, kept = 0;
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    for (const char *at = text, *next; *at != 0; at = next) {
        const char *after = at;
        next = next_line(at);
        while (is_c(after)) after = next_line(after);
        dropped = is_ours(at) || (is_c(at) && (dropped || *after == 0 || is_ours(after)));
        if (dropped) continue;
        kept += *at == '\t';
        luaL_addlstring(&b, at, *next != 0 ? (size_t)(next - at) : strlen(at));
    }
    if (luaL_bufflen(&b) > 0 && luaL_buffaddr(&b)[luaL_bufflen(&b) - 1] == '\n') luaL_buffsub(&b, 1);
    luaL_pushresult(&b);
    lua_remove(L, kept > 0 ? -2 : -1);
}

/* The errors on their way, with their tracebacks: while one waits for the tasks of its scope to end, these may fail as well. A weak
 * table: the errors at 1, 3, ..., what was told of each behind it; at 0, how many there have been.      [-0, +1, m] */
enum { ON_THE_WAY = 8 };
static void push_seen(lua_State *L) {
    mw_weak_at(L, &seen, "v");
}

/* Where the identity at -2 is in the table at -1; 0: nowhere. */
static int place_in_seen(lua_State *L) {
    for (int i = 1; i < 2 * ON_THE_WAY; i += 2) {
        int same;
        lua_rawgeti(L, -1, i);
        same = lua_rawequal(L, -1, -3);
        lua_pop(L, 1);
        if (same) return i;
    }
    return 0;
}

int mw_traceback(lua_State *L) { /* value -> value                                                          [-0, +1, m] */
    lua_settop(L, 1);
    if (is_error(L, 1) && strcmp(field(L, 1, "code"), "ECANCELED") == 0) return 1;
    push_identity(L, 1);
    push_seen(L);                                           /* [value identity seen] */
    if (place_in_seen(L) == 0) {
        lua_Integer count = (lua_rawgeti(L, 3, 0), lua_tointeger(L, -1)), at = count % ON_THE_WAY * 2 + 1;
        luaL_traceback(L, L, push_task(L), 1);
        trim_frames(L);
        lua_rawseti(L, 3, at + 1);
        lua_pushvalue(L, 2);
        lua_rawseti(L, 3, at);
        lua_pushinteger(L, count + 1);
        lua_rawseti(L, 3, 0);
    }
    lua_settop(L, 1);
    return 1;
}

void mw_traceback_of(lua_State *L, int idx) {
    int at;

    push_identity(L, idx);
    push_seen(L);
    at = place_in_seen(L);
    if (at != 0) {
        lua_rawgeti(L, -1, at + 1);
        lua_pushnil(L); /* told once; the same text raised again is another error */
        lua_rawseti(L, -3, at);
    } else {
        lua_pushliteral(L, "");
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}
