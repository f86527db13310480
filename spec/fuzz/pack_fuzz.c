/* Fuzz target: any bytes as MessagePack. What is read is written in the shortest form, which reads as the same value; a value is found
 * alike with bytes behind it and without, and in pieces; memory stays in proportion to the bytes.
 * Knows: codec/pack, plain Lua. Never: a host. */
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/pack.h"
#include "support/purse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

struct input {
    const char *at;
    size_t len;
    struct mw_bytes out;
};

static struct purse purse;

static int same(lua_State *L, int a, int b);

static int same_tables(lua_State *L, int a, int b) {
    int n = 0, ok = mw_codec_marked(L, a) == mw_codec_marked(L, b) && lua_rawlen(L, a) == lua_rawlen(L, b);

    for (lua_pushnil(L); ok && lua_next(L, a); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_rawget(L, b);
        ok = same(L, lua_gettop(L) - 1, lua_gettop(L));
        lua_pop(L, 1);
        n++;
        if (!ok) return 0;
    }
    for (lua_pushnil(L); ok && lua_next(L, b); lua_pop(L, 1)) n--;
    return ok && n == 0;
}

static int same(lua_State *L, int a, int b) {
    double x, y;

    luaL_checkstack(L, 8, NULL);
    if (lua_type(L, a) != lua_type(L, b)) return 0;
    if (lua_istable(L, a)) return same_tables(L, a, b);
    if (lua_type(L, a) != LUA_TNUMBER || lua_isinteger(L, a)) return lua_isinteger(L, a) == lua_isinteger(L, b) && lua_rawequal(L, a, b);
    x = lua_tonumber(L, a);
    y = lua_tonumber(L, b);
    return !lua_isinteger(L, b) && (x != x ? y != y : memcmp(&x, &y, sizeof x) == 0);
}

/* The end that is found in pieces is the one that reading finds. */
static void in_pieces(const char *at, size_t len, size_t n, size_t piece) {
    struct mw_pack_scan s = {1, 0};
    size_t from = 0, have = 0;
    uint64_t need = 1;

    while (need > 0) {
        HOLDS(need <= n - have); /* never more than there is to come */
        have = have + piece < len ? have + piece : len;
        from += mw_pack_scan(&s, at + from, have - from, &need);
        HOLDS(from <= have && (need == 0 || have - from < 5));
    }
    HOLDS(from == n);
}

static int attempt(lua_State *L) { /* in a protected call */
    struct input *in = lua_touserdata(L, 1);
    struct mw_codec_options o = {.depth_max = in->len % 2 ? 200 : 0, .bytes_max = in->len % 3 ? 0 : 64};
    struct mw_codec_fault fault = {0};
    struct mw_err err;
    size_t n = 0, again = 0;
    int whole = mw_pack_read(L, in->at, in->len, NULL, &o, NULL, NULL), rc;

    lua_settop(L, 1);
    rc = mw_pack_read(L, in->at, in->len, &n, &o, &fault, &err);
    HOLDS(lua_gettop(L) == (rc == 0 ? 2 : 1));
    HOLDS((rc == 0 && n == in->len) == (whole == 0) || in->len > 64);
    if (rc == MW_EAGAIN) HOLDS(fault.offset > in->len);
    else if (rc < 0) HOLDS(fault.offset <= in->len && strlen(fault.path) < sizeof fault.path && err.message[0] != 0);
    if (rc < 0) return 0;
    HOLDS(n <= in->len);
    in_pieces(in->at, in->len, n, 1 + in->len % 7);
    if (n > 1) { /* its first half is the first half of something */
        int half = mw_pack_read(L, in->at, n / 2, &again, &o, &fault, NULL);
        HOLDS(half == MW_EAGAIN && fault.offset > n / 2 && fault.offset <= n);
    }
    o.bytes_max = 0; /* a float32 is longer when it is written */
    HOLDS(mw_pack_write(L, 2, &in->out, &o, &fault, &err) == 0 && lua_gettop(L) == 2);
    HOLDS(mw_pack_read(L, mw_bytes_at(&in->out), mw_bytes_len(&in->out), NULL, &o, NULL, &err) == 0);
    HOLDS(same(L, 2, 3));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static lua_State *L;
    struct input in = {.at = (const char *)data, .len = size};
    size_t before;

    if (L == NULL) L = lua_newstate(purse_alloc, &purse);
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);
    before = purse.peak = purse.used;
    lua_pushcfunction(L, attempt);
    lua_pushlightuserdata(L, &in);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) abort();
    HOLDS(purse.peak - before <= 40000 + 600 * size); /* a byte is an empty table at most, four times, and its place in another */
    mw_bytes_free(&in.out);
    return 0;
}
