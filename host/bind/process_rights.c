/* What a child may: option tables `permissions` (scripts), `sandbox` and `limits` (programs), read once and raw.
 * Knows: bind/arg, io/process, lua.h. Never: a syscall, a decision: io/process says whether the script itself may. */
#include <stdio.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/process.h"

#define RULES_MAX 1000                /* of one child: each may hold a descriptor, and is compared with ours */
#define PORTS_MAX 1000
#define TEXT_MAX 4096                 /* bytes of one rule */

/* ---- Lists ------------------------------------------------------------------------------------------------------------------ */

/* How many items the value on top has: of a list as many as it is long, of one string or `true` one, of false and nil none.
 * A hole or a name in a list raises. */
static lua_Integer items(lua_State *L, const char *op, const char *what, int every) {
    int type = lua_type(L, -1), at = lua_gettop(L);
    lua_Integer n, i = 0;

    if (type == LUA_TNIL || (type == LUA_TBOOLEAN && !lua_toboolean(L, -1))) return 0;
    if (type == LUA_TSTRING || (every && type == LUA_TBOOLEAN)) return 1;
    if (type != LUA_TTABLE) mw_raise_inval(L, op, "%s must be a list of rules%s, got %s", what, every ? ", or true for all" : "", type == LUA_TBOOLEAN ? "true" : lua_typename(L, type));
    n = (lua_Integer)lua_rawlen(L, at);
    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
        if (!lua_isinteger(L, -2)) mw_raise_inval(L, op, "%s is a list: a key of type %s is none", what, luaL_typename(L, -2));
        i++;
    }
    if (i != n) mw_raise_inval(L, op, "%s has a hole in it", what);
    return n;
}

/* The array grows in a userdata on top of the stack (old NULL: there is none yet). */
static struct mw_grant_wish *grow(lua_State *L, struct mw_grant_wish *old, size_t count, size_t *room) {
    struct mw_grant_wish *more;

    if (count < *room) return old;
    *room = 2 * *room + 16;
    more = lua_newuserdatauv(L, *room * sizeof *more, 0);
    if (old != NULL) {
        memcpy(more, old, count * sizeof *more);
        lua_remove(L, -2);
    }
    return more;
}

/* Fields `kinds` of the table at `table` as rules; the array is pushed, if there is one. Strings are lent by the table.
 * *given: whether any was mentioned.                                                                  [-0, +0|1, e] */
static size_t read_rules(lua_State *L, int table, const char *op, const char *option, const char *const *kinds, struct mw_grant_wish **out,
                         int *given) {
    struct mw_grant_wish *wishes = NULL;
    size_t room = 0, count = 0;
    char what[64];
    int i, heirs = strcmp(option, "permissions") == 0;                /* "inherit" is a word there */

    *given = 0;
    for (i = 0; kinds[i] != NULL; i++) {
        int type = mw_opt_get(L, table, kinds[i]), value = lua_gettop(L);        /* [wishes? value] */
        lua_Integer n, k;
        int inherit;
        snprintf(what, sizeof what, "option \"%s\": %s", option, kinds[i]);
        n = items(L, op, what, 1);
        inherit = heirs && type == LUA_TSTRING && strcmp(lua_tostring(L, value), "inherit") == 0;
        if (type != LUA_TNIL) *given = 1;
        if (n > RULES_MAX - (lua_Integer)count) mw_raise_inval(L, op, "option \"%s\": at most %d rules are allowed", option, RULES_MAX);
        if (wishes != NULL) {
            lua_insert(L, -2);                                        /* [value wishes] */
            value--;
        }
        for (k = 1; k <= n; k++) {
            wishes = grow(L, wishes, count, &room);
            wishes[count].kind = (enum mw_kind)mw_kind_of(kinds[i]);
            wishes[count].rule = NULL;
            wishes[count].inherit = inherit;
            if (type == LUA_TTABLE) lua_rawgeti(L, value, k);
            else lua_pushvalue(L, value);
            if (type != LUA_TBOOLEAN && !inherit) wishes[count].rule = mw_param_text(L, -1, op, what, TEXT_MAX, NULL);
            lua_pop(L, 1);
            count++;
        }
        lua_remove(L, value);                                         /* [wishes?] */
    }
    *out = wishes;
    return count;
}

int mw_process_wishes_read(lua_State *L, int idx, const char *op, struct mw_grant_wish **out) {
    static const char *const kinds[] = { "read", "write", "net", "connect", "listen", "run", "env", "sys", "share", NULL };
    int type = mw_opt_get(L, idx, "permissions"), table = lua_gettop(L), given;

    *out = NULL;
    if (type == LUA_TSTRING && strcmp(lua_tostring(L, table), "inherit") == 0) return -1;
    if (type == LUA_TNIL || (type == LUA_TSTRING && strcmp(lua_tostring(L, table), "none") == 0)) return 0;
    if (type != LUA_TTABLE) mw_raise_inval(L, op, "option \"permissions\" must be a table, \"none\" or \"inherit\"");
    mw_opt_open(L, table, op, kinds, 0);
    return (int)read_rules(L, table, op, "permissions", kinds, out, &given);
}

/* ---- Sandbox ------------------------------------------------------------------------------------------------------------------ */

/* Field `name`: a list of ports. NULL: not mentioned. The array is pushed, if there is one. */
static const uint16_t *read_ports(lua_State *L, int table, const char *op, const char *name, lua_Integer least, size_t *count) {
    char what[64];
    uint16_t *ports;
    int value;
    lua_Integer n, i;

    snprintf(what, sizeof what, "option \"sandbox\": %s", name);
    *count = 0;
    if (mw_opt_get(L, table, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    value = lua_gettop(L);
    if (lua_type(L, value) != LUA_TTABLE && (lua_type(L, value) != LUA_TBOOLEAN || lua_toboolean(L, value))) mw_raise_inval(L, op, "%s must be a list of ports, got %s", what, luaL_typename(L, value));
    n = items(L, op, what, 0);
    if (n > PORTS_MAX) mw_raise_inval(L, op, "%s: at most %d ports are allowed", what, PORTS_MAX);
    ports = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *ports, 0);  /* [value ports] */
    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, value, i);
        ports[i - 1] = (uint16_t)mw_param_integer(L, -1, op, what, least, 65535);
        lua_pop(L, 1);
    }
    lua_remove(L, value);
    *count = (size_t)n;
    return ports;
}

/* Field `env`: names and PREFIX_*. NULL: not mentioned. */
static const char *const *read_names(lua_State *L, int table, const char *op, size_t *count) {
    static const char what[] = "option \"sandbox\": env";
    const char **names;
    int type = mw_opt_get(L, table, "env"), value = lua_gettop(L);
    lua_Integer n, i;

    *count = 0;
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    n = items(L, op, what, 0);
    if (n > RULES_MAX) mw_raise_inval(L, op, "%s: at most %d names are allowed", what, RULES_MAX);
    names = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *names, 0); /* [value names] */
    for (i = 1; i <= n; i++) {
        if (type == LUA_TTABLE) lua_rawgeti(L, value, i);
        else lua_pushvalue(L, value);
        names[i - 1] = mw_param_text(L, -1, op, what, 255, NULL);       /* lent by the table */
        if (names[i - 1][0] == '\0') mw_raise_inval(L, op, "%s: a name is empty", what);
        lua_pop(L, 1);
    }
    lua_remove(L, value);
    *count = (size_t)n;
    return names;
}

void mw_process_sandbox_read(lua_State *L, int idx, struct mw_process_options *o) {
    static const char *const known[] = { "read", "write", "connect", "listen", "env", "unix", "metadata", NULL };
    static const char *const files[] = { "read", "write", NULL };
    struct mw_sandbox *s = &o->sandbox;
    struct mw_grant_wish *wishes;
    int type = mw_opt_get(L, idx, "sandbox"), table = lua_gettop(L);

    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    if (o->script) mw_raise_inval(L, o->op, "option \"sandbox\" is for other programs: a script child takes `permissions`");
    if (type != LUA_TTABLE) mw_raise_inval(L, o->op, "option \"sandbox\" must be a table: { read = { \"/data\" } }, got %s", lua_typename(L, type));
    mw_opt_open(L, table, o->op, known, 0);
    s->given = 1;
    s->file_count = read_rules(L, table, o->op, "sandbox", files, &wishes, &s->files_given);
    s->files = wishes;
    s->connect = read_ports(L, table, o->op, "connect", 1, &s->connect_count);
    s->listen = read_ports(L, table, o->op, "listen", 0, &s->listen_count);
    s->env = read_names(L, table, o->op, &s->env_count);
    s->unix_sockets = mw_opt_flag(L, table, o->op, "unix", 0);
    s->metadata = mw_opt_flag(L, table, o->op, "metadata", 0);
}

/* ---- Limits ------------------------------------------------------------------------------------------------------------------- */

void mw_process_limits_read(lua_State *L, int idx, struct mw_process_options *o) {
    static const char *const known[] = { "memory", "cpu", "files", "processes", NULL };
    struct mw_process_limits *m = &o->limits;
    int type = mw_opt_get(L, idx, "limits"), table = lua_gettop(L);
    uint64_t cpu_ns;

    if (type != LUA_TNIL && type != LUA_TTABLE) mw_raise_inval(L, o->op, "option \"limits\" must be a table: { memory = \"512MiB\", cpu = 10 }, got %s", lua_typename(L, type));
    if (type == LUA_TTABLE) {
        mw_opt_open(L, table, o->op, known, 0);
        m->memory = mw_opt_size(L, table, o->op, "memory", 1, (uint64_t)1 << 60, 0);
        cpu_ns = mw_opt_duration(L, table, o->op, "cpu", UINT64_MAX);
        if (cpu_ns == 0) mw_raise_inval(L, o->op, "option \"cpu\" must be more than no time at all");
        if (cpu_ns != UINT64_MAX) m->cpu_s = (cpu_ns - 1) / 1000000000u + 1;     /* the kernel counts whole seconds */
        m->files = (uint64_t)mw_opt_integer(L, table, o->op, "files", 1, 1 << 30, 0);
        m->processes = (uint64_t)mw_opt_integer(L, table, o->op, "processes", 1, 1 << 22, 0);
    }
    lua_pop(L, 1);
}
