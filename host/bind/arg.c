/* Arguments: what a script passes, checked before anything is taken.
 * Knows: core, lua.h. Never: a syscall. */
#include "bind/arg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bind/std.h"
#include "core/host.h"

const char *mw_param_bytes(lua_State *L, int idx, const char *op, const char *name, size_t *len) {
    if (lua_type(L, idx) != LUA_TSTRING) mw_raise_inval(L, op, "%s must be a string, got %s", name, luaL_typename(L, idx));
    return lua_tolstring(L, idx, len);
}

static const char *check_text(lua_State *L, const char *s, size_t n, const char *op, const char *name, size_t max) {
    if (max == 0) max = 4096;
    if (n > max) mw_raise_inval(L, op, "%s is %d bytes long, at most %d are allowed", name, (int)n, (int)max);
    if (memchr(s, 0, n) != NULL) mw_raise_inval(L, op, "%s must not contain a NUL byte", name);
    return s;
}

const char *mw_param_text(lua_State *L, int idx, const char *op, const char *name, size_t max, size_t *len) {
    size_t n;
    const char *s = mw_param_bytes(L, idx, op, name, &n);
    if (len != NULL) *len = n;
    return check_text(L, s, n, op, name, max);
}

/* A wrong value, for the error: never by the script's own __tostring.                          [-0, +0|1, m] */
static const char *shown(lua_State *L, int idx) {
    if (lua_type(L, idx) == LUA_TNUMBER) return luaL_tolstring(L, idx, NULL);
    if (lua_type(L, idx) == LUA_TSTRING) return lua_pushfstring(L, "\"%s\"", lua_tostring(L, idx));
    return luaL_typename(L, idx);
}

lua_Integer mw_param_integer(lua_State *L, int idx, const char *op, const char *name, lua_Integer min, lua_Integer max) {
    int ok = 0;
    lua_Integer v = lua_type(L, idx) == LUA_TNUMBER ? lua_tointegerx(L, idx, &ok) : 0;

    if (!ok) mw_raise_inval(L, op, "%s must be an integer, got %s", name, shown(L, idx));
    if (v < min || v > max) {
        if (max == INT64_MAX) mw_raise_inval(L, op, "%s must be at least %I, got %I", name, (LUAI_UACINT)min, (LUAI_UACINT)v);
        mw_raise_inval(L, op, "%s must be from %I to %I, got %I", name, (LUAI_UACINT)min, (LUAI_UACINT)max, (LUAI_UACINT)v);
    }
    return v;
}

struct unit {
    const char *name;
    double factor;
};

/* "12.5unit" -> number of base units. 0 or -1. The C locale's digits are read by hand: strtod follows the locale. */
static int read_quantity(const char *s, const struct unit *units, double *out) {
    double v = 0, scale = 1;
    int digits = 0;

    for (; *s >= '0' && *s <= '9'; s++, digits++) v = v * 10 + (*s - '0');
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++, digits++) v += (*s - '0') * (scale /= 10);
    while (*s == ' ') s++;
    if (digits == 0 || digits > 18) return -1;
    for (; units->name != NULL; units++)
        if (strcmp(s, units->name) == 0) {
            *out = v * units->factor;
            return 0;
        }
    return -1;
}

/* The value at idx as nanoseconds; raises. Leaves the stack as it was. */
static uint64_t duration_at(lua_State *L, int idx, const char *op, const char *name) {
    static const struct unit units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}, {"d", 86400e9}, {NULL, 0}};
    double ns = -1;

    if (lua_isnone(L, idx)) mw_raise_inval(L, op, "%s must be seconds or a duration such as \"250ms\", \"2s\", \"5m\", and is missing", name);
    if (lua_type(L, idx) == LUA_TNUMBER) ns = lua_tonumber(L, idx) * 1e9;
    else if (lua_type(L, idx) != LUA_TSTRING || read_quantity(lua_tostring(L, idx), units, &ns) < 0)
        mw_raise_inval(L, op, "%s must be seconds or a duration such as \"250ms\", \"2s\", \"5m\", got %s", name, shown(L, idx));
    if (!(ns >= 0)) mw_raise_inval(L, op, "%s must not be negative, got %s", name, shown(L, idx));
    return ns >= 9.2e18 ? UINT64_MAX : (uint64_t)ns;
}

uint64_t mw_param_duration(lua_State *L, int idx, const char *op, const char *name) {
    return duration_at(L, idx, op, name);
}

uint64_t mw_param_size(lua_State *L, int idx, const char *op, const char *name, uint64_t min, uint64_t max) {
    static const struct unit units[] = {{"", 1}, {"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"k", 1024}, {"K", 1024}, {"M", 1048576}, {"G", 1073741824.0}, {NULL, 0}};
    double v = -1;
    int ok = 1;

    if (lua_type(L, idx) == LUA_TNUMBER) {
        lua_Integer i = lua_tointegerx(L, idx, &ok);
        v = ok ? (double)i : lua_tonumber(L, idx);
        ok = ok || v == HUGE_VAL; /* math.huge: as much as is allowed */
        if (v == HUGE_VAL) return max;
    } else {
        ok = lua_type(L, idx) == LUA_TSTRING && read_quantity(lua_tostring(L, idx), units, &v) == 0 && v == floor(v);
    }
    if (!ok) mw_raise_inval(L, op, "%s must be bytes or a size such as \"64KiB\", \"1MiB\", got %s", name, shown(L, idx));
    if (v < (double)min || v > (double)max)
        mw_raise_inval(L, op, "%s must be from %I to %I bytes, got %s", name, (LUAI_UACINT)min, (LUAI_UACINT)max, shown(L, idx));
    return (uint64_t)v;
}

/* ---- Option tables ---------------------------------------------------------------------------------------------------- */

static size_t distance(const char *a, const char *b) { /* edits between two words, up to 31 bytes of each */
    size_t row[32], n = strlen(b) < 31 ? strlen(b) : 31;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; a[i] != 0 && i < 31; i++) {
        size_t diag = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t up = row[j + 1], best = diag + (a[i] != b[j]);
            if (up + 1 < best) best = up + 1;
            if (row[j] + 1 < best) best = row[j] + 1;
            diag = up;
            row[j + 1] = best;
        }
    }
    return row[n];
}

/* A name that begins with _ is no user's: neither listed nor meant. */
static int unknown_key(lua_State *L, const char *op, const char *noun, const char *key, const char *const *known) {
    const char *best = NULL;
    size_t least = 99;
    luaL_Buffer b;

    for (size_t i = 0; known[i] != NULL; i++) {
        size_t d = distance(key, known[i]);
        if (*known[i] == '_') continue;
        if (strncmp(key, known[i], strlen(known[i])) == 0 && d > 2) d = 2; /* timeout_ms */
        if (strlen(key) >= 3 && strncmp(key, known[i], strlen(key)) == 0 && d > 1) d = 1; /* mem, of memory_limit */
        if (d < least) {
            least = d;
            best = known[i];
        }
    }
    if (best != NULL && least <= 2 + strlen(best) / 4 && least * 2 <= strlen(key)) return mw_raise_inval(L, op, "unknown %s \"%s\"; did you mean \"%s\"?", noun, key, best);
    luaL_buffinit(L, &b);
    for (size_t i = 0; known[i] != NULL; i++) {
        if (*known[i] == '_') continue;
        if (i > 0) luaL_addstring(&b, ", ");
        luaL_addstring(&b, known[i]);
    }
    luaL_pushresult(&b);
    return mw_raise_inval(L, op, "unknown %s \"%s\"; there are: %s", noun, key, lua_tostring(L, -1));
}

void mw_opt_open(lua_State *L, int idx, const char *op, const char *const *known, int array) {
    mw_opt_open_as(L, idx, op, "option", known, array);
}

void mw_opt_open_as(lua_State *L, int idx, const char *op, const char *noun, const char *const *known, int array) {
    if (lua_isnoneornil(L, idx)) return;
    idx = lua_absindex(L, idx);
    if (lua_type(L, idx) != LUA_TTABLE) mw_raise_inval(L, op, "%ss must be a table, got %s", noun, luaL_typename(L, idx));
    luaL_checkstack(L, 6, op);
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            const char *key = lua_tostring(L, -1);
            size_t i = 0;
            while (known[i] != NULL && strcmp(known[i], key) != 0) i++;
            if (known[i] == NULL) unknown_key(L, op, noun, key, known);
        } else if (!array || !lua_isinteger(L, -1)) {
            mw_raise_inval(L, op, "%ss are named: a key of type %s is none", noun, luaL_typename(L, -1));
        }
    }
}

int mw_opt_get(lua_State *L, int idx, const char *key) {
    luaL_checkstack(L, 4, key);
    if (lua_isnoneornil(L, idx)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    idx = lua_absindex(L, idx);
    lua_pushstring(L, key);
    return lua_rawget(L, idx);
}

int mw_opt_flag(lua_State *L, int idx, const char *op, const char *key, int fallback) {
    int type = mw_opt_get(L, idx, key), v = lua_toboolean(L, -1);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN) mw_raise_inval(L, op, "option \"%s\" must be true or false, got %s", key, lua_typename(L, type));
    lua_pop(L, 1);
    return type == LUA_TNIL ? fallback : v;
}

static const char *option_name(lua_State *L, const char *key) {
    return lua_pushfstring(L, "option \"%s\"", key);
}

lua_Integer mw_opt_integer(lua_State *L, int idx, const char *op, const char *key, lua_Integer min, lua_Integer max, lua_Integer fallback) {
    lua_Integer v = fallback;
    if (mw_opt_get(L, idx, key) != LUA_TNIL) {
        const char *name = option_name(L, key);
        v = mw_param_integer(L, -2, op, name, min, max);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return v;
}

uint64_t mw_opt_duration(lua_State *L, int idx, const char *op, const char *key, uint64_t fallback_ns) {
    uint64_t v = fallback_ns;
    if (mw_opt_get(L, idx, key) != LUA_TNIL) {
        const char *name = option_name(L, key);
        v = duration_at(L, -2, op, name);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return v;
}

uint64_t mw_opt_size(lua_State *L, int idx, const char *op, const char *key, uint64_t min, uint64_t max, uint64_t fallback) {
    uint64_t v = fallback;
    if (mw_opt_get(L, idx, key) != LUA_TNIL) {
        const char *name = option_name(L, key);
        v = mw_param_size(L, -2, op, name, min, max);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return v;
}

const char *mw_opt_text(lua_State *L, int idx, const char *op, const char *key, size_t max, const char *fallback) {
    const char *s = fallback;
    if (mw_opt_get(L, idx, key) != LUA_TNIL) {
        const char *name = option_name(L, key);
        s = mw_param_text(L, -2, op, name, max, NULL); /* lent by the table */
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return s;
}

int mw_opt_word(lua_State *L, int idx, const char *op, const char *key, const char *const *words, int fallback) {
    const char *s = mw_opt_text(L, idx, op, key, 64, NULL);
    luaL_Buffer b;

    if (s == NULL) return fallback;
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], s) == 0) return i;
    luaL_buffinit(L, &b);
    for (int i = 0; words[i] != NULL; i++) {
        luaL_addstring(&b, i > 0 ? ", \"" : "\"");
        luaL_addstring(&b, words[i]);
        luaL_addchar(&b, '"');
    }
    luaL_pushresult(&b);
    return mw_raise_inval(L, op, "option \"%s\" must be one of %s, got \"%s\"", key, lua_tostring(L, -1), s);
}

uint64_t mw_opt_deadline(lua_State *L, int idx, const char *op) {
    uint64_t ns = mw_opt_duration(L, idx, op, "timeout", UINT64_MAX), now;
    if (ns == UINT64_MAX) return 0;
    now = mw_host_now(mw_host_of(L));
    return ns > UINT64_MAX - now ? 0 : now + ns;
}

/* ---- Boxes -------------------------------------------------------------------------------------------------------------- */

static void *new_box(lua_State *L, size_t size, int values, const char *type) {
    void *box;

    if (mw_host_finishing(mw_host_of(L))) { /* a finalizer at the very end: Lua would not collect the box */
        struct mw_err err;
        mw_err_set(&err, MW_ECLOSED, "host", NULL, "the host is shutting down");
        mw_raise(L, &err);
    }
    luaL_checkstack(L, 6, type);
    box = lua_newuserdatauv(L, size, values);
    memset(box, 0, size);
    luaL_setmetatable(L, type);
    return box;
}

void *mw_box_plain(lua_State *L, size_t size, const char *type) {
    return new_box(L, size, 0, type);
}

void *mw_box_new(lua_State *L, size_t size, const char *type) {
    void *box = new_box(L, size, 2, type);              /* 1: where it was made; 2: its type's own */
    lua_Debug ar;

    for (int level = 0; lua_getstack(L, level, &ar); level++) { /* the script's line that made it */
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline <= 0 || strncmp(ar.source, "=[moonwire", 10) == 0) continue;
        lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
        lua_setiuservalue(L, -2, 1);
        break;
    }
    return box;
}

void mw_box_warn(lua_State *L, int idx, const char *noun) {
    const char *where;
    lua_Debug ar;

    if (mw_host_closing(mw_host_of(L)) || (mw_host_is_lent(mw_host_of(L)) && !lua_getstack(L, 1, &ar)))
        return; /* at the end of everything, collection is the rule: nothing but the finalizer is on the stack of a state that is closed */
    lua_getiuservalue(L, idx, 1);
    where = lua_tostring(L, -1);
    mw_host_log(mw_host_of(L), MW_LOG_WARN, "%s made at %s was never closed; it was collected (use local x <close> = ...)", noun, where != NULL ? where : "?");
    lua_pop(L, 1);
}

void *mw_box_check(lua_State *L, int idx, const char *type) {
    void *box = lua_touserdata(L, idx);
    int known = 0;

    if (box != NULL && lua_getmetatable(L, idx)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, type);
        known = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    if (known) return box;
    box = luaL_testudata(L, idx, type);     /* the same name may stand at several places of the program */
    if (box == NULL) {
        const char *noun = strncmp(type, "mw.", 3) == 0 ? type + 3 : type, *got = luaL_typename(L, idx);
        if (lua_type(L, idx) == LUA_TUSERDATA && luaL_getmetafield(L, idx, "__name") == LUA_TSTRING) {
            got = lua_tostring(L, -1);
            if (strncmp(got, "mw.", 3) == 0) got += 3;
        }
        mw_raise_inval(L, noun, "%s expected, got %s%s", noun, got, idx == 1 ? " (call methods with a colon)" : "");
    }
    return box;
}

void *mw_box_self(lua_State *L, const char *type) {
    void *box = lua_touserdata(L, 1);
    int known = 0;

    if (box != NULL && lua_getmetatable(L, 1)) {
        known = lua_rawequal(L, -1, lua_upvalueindex(1));
        lua_pop(L, 1);
    }
    return known ? box : mw_box_check(L, 1, type);
}

/* What a box is once its finalizer has run: Lua runs those of one cycle, and of a state that ends, in the reverse order of their making,
 * so that a script's may still have the box in its hands. Whatever type it was, there is nothing to be done with it any more. */
static const char ended_key; /* registry */

static int ended_close(lua_State *L) {
    lua_pushboolean(L, 1);
    return 1;
}
static int ended_use(lua_State *L) {
    return mw_raise_inval(L, "object", "it was collected already, and can only be closed");
}
static int ended_index(lua_State *L) {
    int closes = lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "close") == 0;

    lua_pushcfunction(L, closes ? ended_close : ended_use);
    return 1;
}
static int ended_tostring(lua_State *L) {
    lua_pushliteral(L, "object (collected)");
    return 1;
}
static void ended_open(lua_State *L) {
    static const luaL_Reg meta[] = {{"__index", ended_index}, {"__close", ended_close}, {"__tostring", ended_tostring}, {NULL, NULL}};

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &ended_key) == LUA_TNIL) {
        lua_createtable(L, 0, 4);
        luaL_setfuncs(L, meta, 0);
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_rawsetp(L, LUA_REGISTRYINDEX, &ended_key);
    }
    lua_pop(L, 1);
}

/* The __gc of every box: its type's own, the upvalue, when those that became garbage before it have had theirs.   [box]  [-0, +0, e] */
static int box_gc(lua_State *L) {
    if (!mw_std_puts_off(L)) mw_box_end(L);
    return 0;
}
void mw_box_end(lua_State *L) {
    lua_CFunction own;

    lua_settop(L, 1);
    luaL_checkstack(L, 6, "__gc");
    if (!lua_getmetatable(L, 1) || lua_getfield(L, -1, "__gc") != LUA_TFUNCTION || lua_getupvalue(L, -1, 1) == NULL) return;
    own = lua_tocfunction(L, -1);
    lua_settop(L, 1);
    if (own != NULL) own(L);                /* in this frame: mw_box_warn looks at those beneath it */
    lua_settop(L, 1);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &ended_key) == LUA_TTABLE) lua_setmetatable(L, 1);
}

void mw_type_new(lua_State *L, const char *type, const luaL_Reg *methods, const luaL_Reg *meta) {
    luaL_newmetatable(L, type);             /* [mt] */
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, type);    /* found by the address of its name, which costs less than by the name */
    luaL_setfuncs(L, meta, 0);
    if (lua_getfield(L, -1, "__gc") != LUA_TNIL) {
        ended_open(L);
        lua_pushcclosure(L, box_gc, 1);
        lua_setfield(L, -2, "__gc");
    } else {
        lua_pop(L, 1);
    }
    lua_newtable(L);                        /* [mt methods] */
    lua_pushvalue(L, -2);
    luaL_setfuncs(L, methods, 1);
    lua_setfield(L, -2, "__index");         /* [mt] */
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");     /* scripts may not swap __gc */
    lua_pop(L, 1);
}

void mw_type_methods(lua_State *L, const char *type) {
    luaL_getmetatable(L, type);
    lua_getfield(L, -1, "__index");
    lua_remove(L, -2);
}
