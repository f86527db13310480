/* Fuzz target: any bytes as a value, and few bytes as the pairs of a large table. What can be read can be written again, and what is
 * written can be read; memory stays in proportion to the bytes.
 * Knows: codec/value, plain Lua. Never: a host. */
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/value.h"
#include "support/purse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct purse purse;

static int put(void *ud, lua_State *L, int idx, uint32_t *slot, struct mw_err *err) {
    (void)ud;
    (void)err;
    *slot = *(uint32_t *)lua_touserdata(L, idx);
    return 0;
}
static int get(void *ud, lua_State *L, uint32_t slot, struct mw_err *err) {
    (void)ud;
    if (slot % 7 == 0) return mw_err_set(err, MW_EINVAL, NULL, NULL, NULL);
    *(uint32_t *)lua_newuserdatauv(L, sizeof slot, 0) = slot;
    return 0;
}

static int attempt(lua_State *L) { /* in a protected call: bytes, length */
    const char *at = lua_touserdata(L, 1);
    size_t len = (size_t)lua_tointeger(L, 2), n;
    struct mw_bytes *out = lua_touserdata(L, 3);
    struct mw_value_options o = {.put = put, .get = get, .record = "record", .depth_max = len % 2 ? 200 : 0};
    struct mw_err err;

    if (mw_value_read(L, at, len, &n, &o, &err) < 0) {
        if (lua_gettop(L) != 3) abort();
        return 0;
    }
    if (n > len || lua_gettop(L) != 4) abort();
    if (mw_value_write(L, 4, out, &o, &err) < 0 || lua_gettop(L) != 4) abort();
    if (mw_value_read(L, mw_bytes_at(out), mw_bytes_len(out), &n, &o, &err) < 0 || n != mw_bytes_len(out)) abort();
    if (lua_type(L, 4) != lua_type(L, 5)) abort();
    return 0;
}

static void try(lua_State *L, const void *data, size_t size) {
    struct mw_bytes out = {0};
    size_t before;

    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);
    before = purse.peak = purse.used;
    lua_pushcfunction(L, attempt);
    lua_pushlightuserdata(L, (void *)(uintptr_t)data);
    lua_pushinteger(L, (lua_Integer)size);
    lua_pushlightuserdata(L, &out);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) abort();
    if (purse.peak - before > 40000 + 400 * size) abort(); /* a byte is an empty table at most, twice, and its place in another */
    mw_bytes_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { FEW = 24, TIMES = 300 };
    static lua_State *L;
    static char table[3 + FEW * TIMES];

    if (L == NULL) {
        L = lua_newstate(purse_alloc, &purse);
        luaL_newmetatable(L, "record");
    }
    try(L, data, size);
    if (size == 0 || size > FEW) return 0;
    memcpy(table, "\x80\xff", 2);
    for (size_t i = 0; i < TIMES; i++) memcpy(table + 2 + i * size, data, size);
    for (size_t i = 1; i < size * TIMES; i += size) table[2 + i] = (char)(table[2 + i] + (char)i); /* not all the same */
    table[2 + size * TIMES] = (char)0xd0; /* the end */
    try(L, table, 3 + size * TIMES);
    return 0;
}
