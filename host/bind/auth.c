/* The door of authentication: what a script holds, and how listen, serve and connect read it.
 * Knows: io/greet_auth, core/part, bind/arg. Never: OpenSSL; a secret in a text. */
#include "bind/auth.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "core/part.h"
#include "io/greet_auth.h"

#define AUTH "mw.auth"
#define GREETING "mw.greeting"
#define MANY 8                       /* authentications of one connection */

struct auth_box {
    struct mw_greeter *g;            /* NULL until made */
    const char *kind;                /* static */
};
struct greeting_box {
    struct mw_greeting greeting;
};

static int raise_code(lua_State *L, int code, const char *op, const char *what) {
    struct mw_err err;

    mw_err_set(&err, code, op, NULL, what);
    return mw_raise(L, &err);
}

/* ---- Options of others -------------------------------------------------------------------------------------------------- */

struct mw_greeting *mw_auth_box(lua_State *L) {
    struct greeting_box *box = mw_box_new(L, sizeof *box, GREETING);

    box->greeting.auth_ns = MW_GREET_NS;
    return &box->greeting;
}

static int greeting_gc(lua_State *L) {
    struct greeting_box *box = luaL_checkudata(L, 1, GREETING);

    mw_greeting_clear(&box->greeting);
    return 0;
}

void mw_auth_open(lua_State *L) {
    static const luaL_Reg none[] = { { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__gc", greeting_gc }, { NULL, NULL } };

    mw_type_new(L, GREETING, none, meta);
}

static struct mw_greeter *greeter_at(lua_State *L, int idx) {
    struct auth_box *box = luaL_testudata(L, idx, AUTH);
    return box != NULL ? box->g : NULL;
}

static int no_auth(lua_State *L, const char *op, int idx) {
    return mw_raise_inval(L, op, "option \"auth\" must be mw.auth.hmac{...}, mw.auth.peer{...} or an array of them, got %s",
                          luaL_typename(L, idx));
}

/* The greeter of the option at the top: one, or several of an array. Given. */
static struct mw_greeter *read_auth(lua_State *L, const char *op) {
    struct mw_greeter *some[MANY], *all = greeter_at(L, -1);
    unsigned n = 0;

    if (all != NULL) return mw_greeter_keep(all);
    if (!lua_istable(L, -1)) no_auth(L, op, -1);
    for (;; n++, lua_pop(L, 1)) {
        if (lua_rawgeti(L, -1, (lua_Integer)n + 1) == LUA_TNIL) break;
        if (n == MANY) mw_raise_inval(L, op, "option \"auth\" holds at most %d", MANY);
        some[n] = greeter_at(L, -1);                     /* kept by the table: nothing of Lua runs until they are counted */
        if (some[n] == NULL) no_auth(L, op, -1);
    }
    lua_pop(L, 1);
    if (n == 0) mw_raise_inval(L, op, "option \"auth\" is an empty table");
    all = mw_greeter_all(some, n);
    if (all == NULL) raise_code(L, MW_ENOMEM, op, NULL);
    return all;
}

void mw_auth_read(lua_State *L, int idx, const char *op, int is_unix, struct mw_greeting *g) {
    uint64_t ns = mw_opt_duration(L, idx, op, "auth_timeout", g->auth_ns);

    if (ns == 0 || ns > MW_GREET_MAX_NS) mw_raise_inval(L, op, "option \"auth_timeout\" is more than 0 and at most 60 seconds");
    g->auth_ns = ns;
    if (mw_opt_get(L, idx, "auth") != LUA_TNIL) {
        struct mw_greeter *auth = read_auth(L, op), *old = g->auth;
        g->auth = auth;
        mw_greeter_drop(old);
    }
    lua_pop(L, 1);
    if (g->auth != NULL && g->auth->unix_only && !is_unix)
        mw_raise_inval(L, op, "mw.auth.peer asks the kernel, which knows the peers of Unix sockets only: use mw.auth.hmac here");
}

/* ---- A shared secret ---------------------------------------------------------------------------------------------------- */

enum { FLAT = 2 };                   /* stack: a table of our own, name (or false) and secret in turns, which nobody can change */

/* Adds the string at idx, or those of the array there, under the name at `name` (0: none). n: how many there are; the new count. */
static lua_Integer add(lua_State *L, int idx, const char *op, int name, lua_Integer n) {
    idx = lua_absindex(L, idx);
    if (lua_type(L, idx) == LUA_TSTRING) {
        if (n == MW_AUTH_KEYS_MAX) mw_raise_inval(L, op, "at most %d secrets", MW_AUTH_KEYS_MAX);
        if (name == 0) lua_pushboolean(L, 0);
        else lua_pushvalue(L, name);
        lua_rawseti(L, FLAT, 2 * n + 1);
        lua_pushvalue(L, idx);
        lua_rawseti(L, FLAT, 2 * n + 2);
        return n + 1;
    }
    if (!lua_istable(L, idx)) mw_raise_inval(L, op, "a secret must be a string, or an array of strings, got %s", luaL_typename(L, idx));
    for (lua_Integer i = 1;; i++, lua_pop(L, 1)) {
        int type = lua_rawgeti(L, idx, i);
        if (type == LUA_TNIL && i > 1) break;
        if (type == LUA_TNIL) mw_raise_inval(L, op, "an array of secrets must not be empty");
        if (type != LUA_TSTRING) mw_raise_inval(L, op, "a secret must be a string, got %s", luaL_typename(L, -1));
        n = add(L, -1, op, name, n);
    }
    lua_pop(L, 1);
    return n;
}

/* All secrets of the options at 1 into the table at FLAT; how many. */
static lua_Integer add_all(lua_State *L, const char *op) {
    lua_Integer n = 0;

    if (mw_opt_get(L, 1, "secret") != LUA_TNIL) n = add(L, -1, op, 0, n);
    lua_pop(L, 1);
    if (mw_opt_get(L, 1, "secrets") != LUA_TNIL) {
        if (!lua_istable(L, -1)) mw_raise_inval(L, op, "option \"secrets\" must be a table from name to secret, got %s", luaL_typename(L, -1));
        lua_pushnil(L);
        while (lua_next(L, -2) != 0) {
            if (lua_type(L, -2) != LUA_TSTRING) mw_raise_inval(L, op, "option \"secrets\" must be a table from name to secret, got a key that is no name");
            n = add(L, -1, op, lua_absindex(L, -2), n);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    return n;
}

/* hmac{ secret, secrets, identity } -> auth                                                               [-0, +1, e] */
static int auth_hmac(lua_State *L) {
    static const char *const known[] = { "secret", "secrets", "identity", NULL };
    const char *op = "auth hmac", *identity;
    const struct mw_auth_calls *calls;
    struct mw_auth_secret *secrets;
    struct auth_box *box;
    struct mw_err err;
    mw_auth_keys *keys;
    lua_Integer n;
    int rc;

    lua_settop(L, 1);
    luaL_checkstack(L, 12, NULL);
    mw_opt_open(L, 1, op, known, 0);
    lua_newtable(L);                                     /* [options flat] */
    n = lua_istable(L, 1) ? add_all(L, op) : 0;
    if (n == 0) mw_raise_inval(L, op, "a secret is needed: mw.auth.hmac{ secret = \"at least 16 bytes\" }");
    calls = mw_part_open(mw_host_of(L), MW_PART_TLS, "mw_auth_calls", op, &err);
    if (calls == NULL) return mw_raise(L, &err);         /* nil would be taken for no authentication */
    mw_opt_get(L, 1, "identity");                        /* [options flat identity] */
    box = mw_box_new(L, sizeof *box, AUTH);              /* [options flat identity auth] */
    box->kind = "hmac";
    secrets = lua_newuserdatauv(L, (size_t)n * sizeof *secrets, 0);
    identity = lua_isnil(L, 3) ? NULL : mw_param_text(L, 3, op, "option \"identity\"", MW_AUTH_NAME_MAX, NULL);
    if (identity != NULL && (*identity == 0 || !mw_auth_name_ok(identity, strlen(identity))))
        mw_raise_inval(L, op, "option \"identity\" has 1 to %d printable ASCII characters without spaces", MW_AUTH_NAME_MAX);
    for (lua_Integer i = 0; i < n; i++) {
        lua_rawgeti(L, FLAT, 2 * i + 1);
        lua_rawgeti(L, FLAT, 2 * i + 2);
        secrets[i].name = lua_tostring(L, -2);
        secrets[i].at = lua_tolstring(L, -1, &secrets[i].len);
        lua_pop(L, 2);
    }
    rc = calls->keys_new(secrets, (size_t)n, &keys, &err);
    if (rc < 0) return raise_code(L, rc, op, err.what);
    rc = mw_greet_secret_new(calls, keys, identity, &box->g);
    calls->keys_drop(keys);
    if (rc < 0) return raise_code(L, rc, op, NULL);
    lua_settop(L, 4);
    return 1;
}

/* ---- What the kernel says ------------------------------------------------------------------------------------------------- */

/* The numbers of an option: one, or an array; how many. */
static unsigned numbers(lua_State *L, const char *op, const char *key, unsigned out[MW_WHO_MAX]) {
    unsigned n = 0;
    int type = mw_opt_get(L, 1, key);

    if (type == LUA_TNUMBER) {
        out[n++] = (unsigned)mw_param_integer(L, -1, op, key, 0, UINT32_MAX - 1);
    } else if (type == LUA_TTABLE) {
        for (;; n++, lua_pop(L, 1)) {
            if (lua_rawgeti(L, -1, (lua_Integer)n + 1) == LUA_TNIL) break;
            if (n == MW_WHO_MAX) mw_raise_inval(L, op, "option \"%s\" holds at most %d", key, MW_WHO_MAX);
            out[n] = (unsigned)mw_param_integer(L, -1, op, key, 0, UINT32_MAX - 1);
        }
        lua_pop(L, 1);
        if (n == 0) mw_raise_inval(L, op, "option \"%s\" is an empty array: nobody would pass", key);
    } else if (type != LUA_TNIL) {
        mw_raise_inval(L, op, "option \"%s\" must be a number or an array of them, got %s", key, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return n;
}

/* peer{ uid, gid, pid } -> auth                                                                           [-0, +1, e] */
static int auth_peer(lua_State *L) {
    static const char *const known[] = { "uid", "gid", "pid", NULL };
    const char *op = "auth peer";
    struct auth_box *box;
    struct mw_who who = { 0 };
    unsigned pid[MW_WHO_MAX];

    lua_settop(L, 1);
    luaL_checkstack(L, 6, NULL);
    mw_opt_open(L, 1, op, known, 0);
    who.uids = lua_istable(L, 1) ? numbers(L, op, "uid", who.uid) : 0;
    who.gids = lua_istable(L, 1) ? numbers(L, op, "gid", who.gid) : 0;
    who.pids = lua_istable(L, 1) ? numbers(L, op, "pid", pid) : 0;
    for (unsigned i = 0; i < who.pids; i++) who.pid[i] = (pid_t)pid[i];
    if (who.uids + who.gids + who.pids == 0) mw_raise_inval(L, op, "whom? mw.auth.peer{ uid = { 1000 } }");
    box = mw_box_new(L, sizeof *box, AUTH);
    box->kind = "peer";
    if (mw_greet_who_new(&who, &box->g) < 0) return raise_code(L, MW_ENOMEM, op, NULL);
    return 1;
}

/* own() -> auth: our own user and root, without the sys right to know the number. own(true) -> nil where we are root, who may talk to
 * anybody                                                                                             [-0, +1, e] */
static int auth_own(lua_State *L) {
    struct auth_box *box;

    if (lua_toboolean(L, 1) && mw_greet_is_root()) return 0;
    box = mw_box_new(L, sizeof *box, AUTH);
    box->kind = "peer";
    return mw_greet_own_new(&box->g) < 0 ? raise_code(L, MW_ENOMEM, "auth.own", NULL) : 1;
}

static int auth_gc(lua_State *L) {
    struct auth_box *box = luaL_checkudata(L, 1, AUTH);
    struct mw_greeter *g = box->g;

    box->g = NULL;
    mw_greeter_drop(g);
    return 0;
}

static int auth_tostring(lua_State *L) {
    struct auth_box *box = luaL_checkudata(L, 1, AUTH);

    lua_pushfstring(L, "auth (%s)", box->kind != NULL ? box->kind : "none");
    return 1;
}

int mw_door_auth(lua_State *L) {
    static const luaL_Reg none[] = { { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__gc", auth_gc }, { "__tostring", auth_tostring }, { NULL, NULL } };
    static const luaL_Reg fns[] = { { "hmac", auth_hmac }, { "peer", auth_peer }, { "own", auth_own }, { NULL, NULL } };

    mw_type_new(L, AUTH, none, meta);
    luaL_newlib(L, fns);                                 /* [door] */
    return 1;
}
