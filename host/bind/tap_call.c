/* Calls in a trace: a message each way, JSON with the call's number, so that both ends of one are found together.
 * Knows: bind/tap, bind/scratch, codec/json, lua.h. Never: changes what it sees. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "bind/scratch.h"
#include "bind/tap.h"
#include "codec/json.h"

/* One that is no JSON is named. */
static void put(lua_State *L, struct mw_bytes *out, int idx) {
    struct mw_err err;

    if (mw_json_write(L, idx, out, NULL, NULL, &err) == 0) return;
    lua_pushfstring(L, "(a %s)", luaL_typename(L, idx));
    mw_json_write(L, -1, out, NULL, NULL, &err);
    lua_pop(L, 1);
}

static void put_text(struct mw_bytes *out, const char *text) {
    mw_bytes_add(out, text, strlen(text));
}

static struct mw_bytes *begin(lua_State *L, const char *what, uint64_t number, int pid) {
    struct mw_bytes *out;
    char head[64];

    luaL_checkstack(L, 8, "tap");
    out = mw_scratch_take(L);
    snprintf(head, sizeof head, "{\"%s\":%llu", what, (unsigned long long)number);
    put_text(out, head);
    if (pid != 0) {
        snprintf(head, sizeof head, ",\"pid\":%d", pid);
        put_text(out, head);
    }
    return out;
}

/* Only what is whole is told. */
static void end(lua_State *L, mw_probe *list, enum mw_probe_dir dir, struct mw_bytes *out) {
    if (mw_bytes_add(out, "}", 1) == 0) mw_tap_tell(L, list, dir, mw_bytes_at(out), mw_bytes_len(out));
    mw_scratch_give(L, lua_gettop(L));
    lua_pop(L, 1);
}

void mw_tap_tell_call(lua_State *L, mw_probe *list, enum mw_probe_dir dir, uint64_t number, const char *name, int idx) {
    int at = lua_absindex(L, idx);
    struct mw_bytes *out = begin(L, "call", number, 0);

    if (*name != '\0') {
        put_text(out, ",\"name\":");
        lua_pushstring(L, name);
        put(L, out, -1);
        lua_pop(L, 1);
    }
    if (!lua_isnil(L, at)) {
        put_text(out, ",\"value\":");
        put(L, out, at);
    }
    end(L, list, dir, out);
}

void mw_tap_tell_answer(lua_State *L, mw_probe *list, enum mw_probe_dir dir, uint64_t number, int pid, int n) {
    int first = lua_gettop(L) - n + 1;
    struct mw_bytes *out = begin(L, "answer", number, pid);

    for (int i = 0; i < n; i++) {
        put_text(out, i == 0 ? ",\"values\":[" : ",");
        put(L, out, first + i);
    }
    if (n > 0) put_text(out, "]");
    end(L, list, dir, out);
}

void mw_tap_tell_failure(lua_State *L, mw_probe *list, enum mw_probe_dir dir, uint64_t number, int pid, const char *why) {
    struct mw_bytes *out = begin(L, "answer", number, pid);

    put_text(out, ",\"error\":");
    lua_pushstring(L, why);
    put(L, out, -1);
    lua_pop(L, 1);
    end(L, list, dir, out);
}
