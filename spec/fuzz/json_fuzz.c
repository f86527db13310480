/* Fuzz target: any bytes as JSON. What is read can be written, and reads as the same again; what codec/json_text has for JSON and what
 * codec/json has differ in duplicate keys and the size of numbers alone, and both find a fault at the same byte; memory stays in
 * proportion to the bytes.
 * Knows: codec/json, codec/json_text, plain Lua. Never: a host. */
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "codec/json_text.h"
#include "support/purse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct purse purse;

/* 1: it is JSON; 0: not, at *offset. */
static int tokens(const char *at, size_t len, size_t *offset) {
    struct mw_json j;
    enum mw_json_token token;

    mw_json_begin(&j, at, len, MW_CODEC_DEPTH);
    do {
        token = mw_json_next(&j);
        if (token == MW_JSON_STRING || token == MW_JSON_KEY) {
            char *out = malloc(j.decoded + 1);
            mw_json_string(&j, out);
            free(out);
        }
    } while (token > MW_JSON_END);
    *offset = j.from;
    return token == MW_JSON_END;
}

/* What codec/json_text leaves to its users. */
static int is_finer(const char *what) {
    return strstr(what, "there before") != NULL || strstr(what, "beyond") != NULL || strstr(what, "65536") != NULL;
}

static int attempt(lua_State *L) { /* in a protected call: bytes, length, out */
    const char *at = lua_touserdata(L, 1);
    size_t len = (size_t)lua_tointeger(L, 2), offset, first;
    struct mw_bytes *out = lua_touserdata(L, 3);
    struct mw_codec_options o = {.depth_max = MW_CODEC_DEPTH, .bytes_max = (size_t)1 << 30};
    struct mw_codec_fault fault;
    struct mw_err err;
    int json = tokens(at, len, &offset);

    if (mw_json_read(L, at, len, &o, &fault, &err) < 0) {
        if (lua_gettop(L) != 3 || fault.offset > len || strlen(fault.path) >= sizeof fault.path) abort();
        if (json ? !is_finer(err.what) : fault.offset != offset && !is_finer(err.what)) abort();
        return 0;
    }
    if (!json || lua_gettop(L) != 4) abort();
    o.sort = 1;
    if (mw_json_write(L, 4, out, &o, &fault, &err) < 0 || lua_gettop(L) != 4) abort();
    first = mw_bytes_len(out);
    if (mw_json_read(L, mw_bytes_at(out), first, &o, &fault, &err) < 0) abort();
    if (lua_type(L, 4) != lua_type(L, 5)) abort();
    if (mw_json_write(L, 5, out, &o, &fault, &err) < 0 || lua_gettop(L) != 5) abort();
    if (mw_bytes_len(out) != 2 * first || memcmp(mw_bytes_at(out), mw_bytes_at(out) + first, first) != 0) abort();
    o.sort = 0;
    if (mw_json_write(L, 4, out, &o, NULL, &err) < 0 || mw_bytes_len(out) != 3 * first) abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static lua_State *L;
    struct mw_bytes out = {0};
    size_t before;

    if (L == NULL) L = lua_newstate(purse_alloc, &purse);
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);
    before = purse.peak = purse.used;
    lua_pushcfunction(L, attempt);
    lua_pushlightuserdata(L, (void *)(uintptr_t)data);
    lua_pushinteger(L, (lua_Integer)size);
    lua_pushlightuserdata(L, &out);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) abort();
    if (purse.peak - before > 100000 + 200 * size) abort(); /* three bytes are an empty table at most, twice, and its places */
    mw_bytes_free(&out);
    return 0;
}
