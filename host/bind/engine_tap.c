/* What traces have of mw.host: see bind/engine_tap.h.
 * Knows: bind/engine, bind/tap, codec, core, lua.h. Never: changes what it sees. */
#include "bind/engine_tap.h"

#include <string.h>

#include "base/bytes.h"
#include "base/msgpack.h"
#include "bind/arg.h"
#include "bind/codec.h"
#include "bind/engine.h"
#include "bind/scratch.h"

static const char *const names[MW_ENGINE_LINES] = {"mw.host", "mw.host calls"};
static const char anchor_key;           /* registry: what the taps are attached to */

/* A trace of the run may begin and end while the host runs. */
void mw_engine_tell(lua_State *L, struct mw_engine_taps *t, enum mw_engine_line line, enum mw_probe_dir dir, const char *name,
                    const char *at, size_t len) {
    mw_probe **run = &t->lines[line].run;
    mw_buf message = {0};

    if (!mw_engine_tapped(L, t, line)) return;
    if (*run != NULL && mw_probe_trace(*run) != mw_host_head(L)->trace) mw_tap_end(run);
    if (*run == NULL) mw_tap_run(L, run, MW_PROBE_QUEUE, names[line]);
    mw_buf_text(&message, name);
    if (len > 0) mw_buf_raw(&message, at, len);
    if (message.code == 0) {
        at = message.at;
        len = message.len;
    } else {
        at = name;
        len = strlen(name);
    }
    mw_tap_message(L, *run, dir, at, len);
    mw_tap_message(L, t->lines[line].own, dir, at, len);
    mw_buf_free(&message);
}

void mw_engine_tell_values(lua_State *L, struct mw_engine_taps *t, enum mw_probe_dir dir, const char *name, int first, int n) {
    struct mw_codec_fault fault;
    struct mw_bytes *out;
    struct mw_err err;
    int top = lua_gettop(L);

    if (!mw_engine_tapped(L, t, MW_ENGINE_CALLS)) return;
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    out = mw_scratch_take(L);
    for (int i = first; i < first + n; i++) {
        if (mw_engine_write(L, i, out, &fault, &err) == 0) continue;
        lua_pushstring(L, luaL_typename(L, i));         /* what cannot be sent */
        mw_engine_write(L, -1, out, &fault, &err);
        lua_pop(L, 1);
    }
    mw_engine_tell(L, t, MW_ENGINE_CALLS, dir, name, mw_bytes_len(out) > 0 ? mw_bytes_at(out) : "", mw_bytes_len(out));
    mw_scratch_give(L, top + 1);
    lua_settop(L, top);
}

void mw_engine_tell_failure(lua_State *L, struct mw_engine_taps *t, enum mw_probe_dir dir, const char *name, const char *why) {
    mw_buf b = {0};

    if (!mw_engine_tapped(L, t, MW_ENGINE_CALLS)) return;
    mw_buf_map(&b, 1);
    mw_buf_text(&b, "error");
    mw_buf_text(&b, why);
    mw_engine_tell(L, t, MW_ENGINE_CALLS, dir, name, b.code == 0 ? b.at : "", b.code == 0 ? b.len : 0);
    mw_buf_free(&b);
}

void mw_engine_tap(lua_State *L, struct mw_engine_taps *t) {
    if (!mw_tap_test(L, 1)) mw_raise_inval(L, "host.use", "a tap is expected (mw.trace.tap), got %s", luaL_typename(L, 1));
    lua_settop(L, 1);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &anchor_key) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        lua_newuserdatauv(L, 0, 1);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &anchor_key);
    }
    lua_insert(L, 1);                                   /* [anchor tap] */
    for (int i = 0; i < MW_ENGINE_LINES; i++) mw_tap_attach(L, 2, 1, &t->lines[i].own, MW_PROBE_QUEUE, names[i]);
}

void mw_engine_taps_end(struct mw_engine_taps *t) {
    for (int i = 0; i < MW_ENGINE_LINES; i++) {
        mw_tap_end(&t->lines[i].run);
        mw_tap_end(&t->lines[i].own);
    }
}
