/* What a script may ask about its own rights, and give up.
 * Knows: bind/arg, policy, core. Never: widens a right, save through the person who is asked. */
#include "policy/policy.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "core/host.h"
#include "core/task.h"
#include "policy/permit.h"

#define SUBJECT_MAX 4096

static mw_policy *policy(lua_State *L) {
    return mw_host_policy(mw_host_of(L));
}

static enum mw_kind kind_at(lua_State *L, int idx, const char *op) {
    const char *name = mw_param_text(L, idx, op, "the kind", 64, NULL);
    int kind = mw_kind_of(name);

    if (kind < 0) mw_raise_inval(L, op, "unknown kind '%s' (read write net connect listen run trust env sys share ffi)", name);
    return (enum mw_kind)kind;
}

/* The subject at idx, in the flags' grammar; NULL: the whole kind. */
static const char *subject_at(lua_State *L, int idx, enum mw_kind kind, const char *op) {
    const char *subject;
    struct mw_err err;

    if (lua_isnoneornil(L, idx)) return NULL;
    subject = mw_param_text(L, idx, op, "the subject", SUBJECT_MAX, NULL);
    if (mw_policy_check_subject(kind, subject, &err) < 0) mw_raise_inval(L, op, "'%s': %s", subject, err.what);
    return subject;
}

static int push_answer(lua_State *L, enum mw_answer answer) {
    static const char *const words[] = {"granted", "denied", "prompt"};
    lua_pushstring(L, words[answer]);
    return 1;
}

/* query(kind [, subject]) -> "granted" | "denied" | "prompt"                                        [-0, +1, e] */
static int policy_query(lua_State *L) {
    enum mw_kind kind = kind_at(L, 1, "permissions.query");
    return push_answer(L, mw_policy_query(policy(L), kind, subject_at(L, 2, kind, "permissions.query")));
}

/* request(kind [, subject]) -> "granted" | "denied": may ask the person at the terminal              [-0, +1, e] */
static int policy_request(lua_State *L) {
    enum mw_kind kind = kind_at(L, 1, "permissions.request");
    return push_answer(L, mw_policy_request(policy(L), kind, subject_at(L, 2, kind, "permissions.request")));
}

/* drop(kind [, subject]) -> true | nil, err: for good                                                [-0, +1|2, e] */
static int policy_drop(lua_State *L) {
    enum mw_kind kind = kind_at(L, 1, "permissions.drop");
    const char *subject = subject_at(L, 2, kind, "permissions.drop");
    struct mw_err err;

    if (mw_policy_drop(policy(L), kind, subject, &err) < 0) return mw_push_err(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

struct listing {
    lua_State *L;
    int n;
};

static void add_rule(void *ud, int layer, enum mw_kind kind, enum mw_effect effect, const char *rule) {
    struct listing *it = ud;
    lua_State *L = it->L;

    lua_createtable(L, 0, 4);
    lua_pushstring(L, mw_kind_name(kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, effect == MW_ALLOW ? "allow" : "deny");
    lua_setfield(L, -2, "effect");
    lua_pushinteger(L, layer + 1);
    lua_setfield(L, -2, "layer");
    if (rule != NULL) {
        lua_pushstring(L, rule);
        lua_setfield(L, -2, "rule");
    }
    lua_rawseti(L, -2, ++it->n);
}

/* list() -> { { kind, effect, layer, rule = nil: everything }, ... }, lowest layer first             [-0, +1, m] */
static int policy_list(lua_State *L) {
    struct listing it = {L, 0};

    luaL_checkstack(L, 8, "permissions.list");
    lua_newtable(L);
    mw_policy_each(policy(L), add_rule, &it); /* a memory error leaves nothing behind: the policy only lends */
    return 1;
}

/* grant(kind, subject) -> the hint that says what grants it, cut when very long                           [-0, +1, e] */
static int policy_grant(lua_State *L) {
    char text[SUBJECT_MAX];

    mw_policy_grant(policy(L), kind_at(L, 1, "permissions.grant"), luaL_checkstring(L, 2), text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

/* unasked(): nobody is asked for what the innermost scope's tasks lack from here on                    [-0, +0, e] */
static int policy_unasked(lua_State *L) {
    mw_scope *s = mw_scope_current(mw_host_of(L));

    if (s == NULL) return luaL_error(L, "not enough memory");
    mw_scope_unasked(s);
    return 0;
}

int mw_door_policy(lua_State *L) {
    static const luaL_Reg fns[] = {
        {"query", policy_query}, {"request", policy_request}, {"drop", policy_drop}, {"list", policy_list}, {"grant", policy_grant},
        {"unasked", policy_unasked}, {NULL, NULL},
    };
    luaL_newlib(L, fns);
    return 1;
}
