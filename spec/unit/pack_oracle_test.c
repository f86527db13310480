/* MessagePack beside msgpack-c: what we write it reads, in the form it would write; what it writes we read; and bytes that are no
 * value to one are none to the other, where the rules agree.
 * Knows: codec/pack, msgpack-c, plain Lua. Never: a host. */
#include "support/check.h"

#include <lauxlib.h>
#include <lualib.h>
#include <msgpack.h>
#include <stdint.h>

#include "codec/pack.h"

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint32_t dice(uint32_t sides) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % sides;
}
/* A number of any length in bits. */
static uint64_t some_bits(void) {
    uint64_t high = (uint64_t)dice(UINT32_MAX) << 32;
    return (high | dice(UINT32_MAX)) >> dice(64);
}
static size_t some_length(void) {
    static const size_t edges[] = {0, 1, 2, 3, 4, 8, 15, 16, 17, 31, 32, 33, 255, 256, 257, 65535, 65536};
    return dice(12) != 0 ? dice(40) : edges[dice(dice(20) == 0 ? 17 : 15)];
}

static double some_float(void) {
    static const double odd[] = {0.0, -0.0, 0.1, 1e308, 5e-324, 1.0 / 3, 1e15, -2.5};
    uint64_t bits = some_bits() << dice(64);
    double d;

    if (dice(3) != 0) return odd[dice(8)];
    memcpy(&d, &bits, sizeof d);
    return d;
}

/* ---- Values that both know ---------------------------------------------------------------------------------------------------- */

static void pack_some_string(msgpack_packer *p, int key) {
    char text[65536];
    size_t len = some_length();
    int kind = key ? 0 : (int)dice(3);

    for (size_t i = 0; i < len; i++) text[i] = (char)(kind == 0 ? 'a' + (char)dice(26) : (char)dice(256));
    if (kind == 2) {
        msgpack_pack_ext(p, len, (int8_t)dice(256));
        msgpack_pack_ext_body(p, text, len);
    } else if (kind == 1) {
        msgpack_pack_bin(p, len);
        msgpack_pack_bin_body(p, text, len);
    } else {
        msgpack_pack_str(p, len);
        msgpack_pack_str_body(p, text, len);
    }
}

static void pack_some_number(msgpack_packer *p, int key) {
    uint64_t bits = some_bits();

    switch (dice(key ? 8 : 14)) {
    case 0: msgpack_pack_fix_uint64(p, bits >> 1); return; /* not the shortest, as a rule */
    case 1: msgpack_pack_fix_int64(p, (int64_t)bits); return;
    case 2: msgpack_pack_fix_int32(p, (int32_t)bits); return;
    case 3: msgpack_pack_fix_uint16(p, (uint16_t)bits); return;
    case 4: msgpack_pack_fix_int8(p, (int8_t)bits); return;
    case 5: msgpack_pack_uint64(p, bits >> 1); return;
    case 6:
    case 7: msgpack_pack_int64(p, (int64_t)bits); return;
    case 8: msgpack_pack_float(p, (float)some_float()); return;
    default: msgpack_pack_double(p, some_float()); return;
    }
}

static void pack_some(msgpack_packer *p, unsigned depth) {
    size_t n = depth > 6 ? 0 : dice(6);

    switch (dice(depth == 0 ? 4 : 9)) {
    case 0:
    case 1: /* keys that are like no other */
        if (n > 0 && dice(20) == 0) n = 20 + dice(300);
        msgpack_pack_map(p, n);
        for (size_t i = 0; i < n; i++) {
            char key[32];
            int len = snprintf(key, sizeof key, "%zu%s", i, dice(2) ? "key" : "");
            if (dice(5) == 0) msgpack_pack_int64(p, (int64_t)i - 2);
            else if (dice(9) == 0) msgpack_pack_double(p, (double)i + 0.5);
            else msgpack_pack_str_with_body(p, key, (size_t)len);
            pack_some(p, depth + 1 + (unsigned)n / 8);
        }
        return;
    case 2:
    case 3:
        if (n > 0 && dice(20) == 0) n = 20 + dice(300);
        msgpack_pack_array(p, n);
        for (size_t i = 0; i < n; i++) pack_some(p, depth + 1 + (unsigned)n / 8);
        return;
    case 4: dice(3) == 0 ? msgpack_pack_nil(p) : dice(2) ? msgpack_pack_true(p) : msgpack_pack_false(p); return;
    case 5: pack_some_string(p, 0); return;
    default: pack_some_number(p, 0); return;
    }
}

static int same_number(lua_State *L, int idx, const msgpack_object *o) {
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER) return lua_isinteger(L, idx) && (uint64_t)lua_tointeger(L, idx) == o->via.u64;
    if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) return lua_isinteger(L, idx) && lua_tointeger(L, idx) == o->via.i64;
    if (lua_type(L, idx) != LUA_TNUMBER || lua_isinteger(L, idx)) return 0;
    return o->via.f64 != o->via.f64 ? lua_tonumber(L, idx) != lua_tonumber(L, idx)
                                    : o->via.f64 == lua_tonumber(L, idx) && (1 / o->via.f64 == 1 / lua_tonumber(L, idx));
}

static int same_bytes(lua_State *L, int idx, const char *at, size_t len) {
    size_t n;
    const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &n) : NULL;

    return s != NULL && n == len && (len == 0 || memcmp(s, at, len) == 0);
}

static int same_ext(lua_State *L, int idx, const msgpack_object *o) {
    int ok = lua_istable(L, idx) && luaL_getmetafield(L, idx, "__name") == LUA_TSTRING && strcmp(lua_tostring(L, -1), MW_PACK_EXT_TYPE) == 0;

    if (!ok) return 0;
    lua_getfield(L, idx, "type");
    lua_getfield(L, idx, "data");
    ok = lua_isinteger(L, -2) && lua_tointeger(L, -2) == o->via.ext.type && same_bytes(L, -1, o->via.ext.ptr, o->via.ext.size);
    lua_pop(L, 3);
    return ok;
}

static void push_key(lua_State *L, const msgpack_object *o) {
    switch (o->type) {
    case MSGPACK_OBJECT_STR: lua_pushlstring(L, o->via.str.ptr, o->via.str.size); break;
    case MSGPACK_OBJECT_BIN: lua_pushlstring(L, o->via.bin.ptr, o->via.bin.size); break;
    case MSGPACK_OBJECT_BOOLEAN: lua_pushboolean(L, o->via.boolean); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: lua_pushinteger(L, (lua_Integer)o->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: lua_pushinteger(L, o->via.i64); break;
    default: lua_pushnumber(L, o->via.f64); break;
    }
}

/* The Lua value at idx is what msgpack-c says. */
static int same(lua_State *L, int idx, const msgpack_object *o) {
    size_t keys = 0;
    int ok = 1;

    luaL_checkstack(L, 8, "same");
    idx = lua_absindex(L, idx);
    switch (o->type) {
    case MSGPACK_OBJECT_NIL: return mw_codec_is_null(L, idx);
    case MSGPACK_OBJECT_BOOLEAN: return lua_isboolean(L, idx) && lua_toboolean(L, idx) == o->via.boolean;
    case MSGPACK_OBJECT_STR: return same_bytes(L, idx, o->via.str.ptr, o->via.str.size);
    case MSGPACK_OBJECT_BIN: return same_bytes(L, idx, o->via.bin.ptr, o->via.bin.size);
    case MSGPACK_OBJECT_EXT: return same_ext(L, idx, o);
    case MSGPACK_OBJECT_ARRAY:
        if (mw_codec_marked(L, idx) != MW_CODEC_ARRAY || lua_rawlen(L, idx) != o->via.array.size) return 0;
        for (uint32_t i = 0; ok && i < o->via.array.size; i++) {
            lua_rawgeti(L, idx, (lua_Integer)i + 1);
            ok = same(L, -1, &o->via.array.ptr[i]);
            lua_pop(L, 1);
        }
        return ok;
    case MSGPACK_OBJECT_MAP:
        if (!lua_istable(L, idx)) return 0;
        for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) keys++;
        for (uint32_t i = 0; ok && i < o->via.map.size; i++) {
            push_key(L, &o->via.map.ptr[i].key);
            lua_rawget(L, idx);
            ok = same(L, -1, &o->via.map.ptr[i].val);
            lua_pop(L, 1);
        }
        return ok && keys == o->via.map.size;
    default: return same_number(L, idx, o);
    }
}

/* ---- Both ways ------------------------------------------------------------------------------------------------------------------ */

/* What msgpack-c would write for the bytes is the bytes: each value is in its shortest form, and in this order. */
static int is_shortest(const char *at, size_t len, lua_State *L) {
    msgpack_sbuffer again;
    msgpack_packer p;
    msgpack_unpacked u;
    size_t off = 0;
    int ok;

    msgpack_sbuffer_init(&again);
    msgpack_packer_init(&p, &again, msgpack_sbuffer_write);
    msgpack_unpacked_init(&u);
    ok = msgpack_unpack_next(&u, at, len, &off) == MSGPACK_UNPACK_SUCCESS && off == len && same(L, -1, &u.data);
    if (ok) msgpack_pack_object(&p, u.data);
    ok = ok && again.size == len && memcmp(again.data, at, len) == 0;
    msgpack_unpacked_destroy(&u);
    msgpack_sbuffer_destroy(&again);
    return ok;
}

TEST(what_one_writes_the_other_reads) {
    lua_State *L = luaL_newstate();
    struct mw_bytes out = {0};
    struct mw_err err;

    for (int round = 0; round < 4000 && check_failures == 0; round++) {
        msgpack_sbuffer theirs;
        msgpack_packer p;
        msgpack_unpacked u;
        size_t off = 0, used = 0;

        msgpack_sbuffer_init(&theirs);
        msgpack_packer_init(&p, &theirs, msgpack_sbuffer_write);
        pack_some(&p, 0);
        msgpack_unpacked_init(&u);
        CHECK(msgpack_unpack_next(&u, theirs.data, theirs.size, &off) == MSGPACK_UNPACK_SUCCESS);
        if (mw_pack_read(L, theirs.data, theirs.size, &used, NULL, NULL, &err) == 0) {
            CHECK(used == theirs.size && lua_gettop(L) == 1);
            CHECK(same(L, 1, &u.data));
            CHECK(mw_pack_write(L, 1, &out, NULL, NULL, &err) == 0);
            CHECK(is_shortest(mw_bytes_at(&out), mw_bytes_len(&out), L));
            mw_bytes_consume(&out, mw_bytes_len(&out));
        } else {
            check_fail(__FILE__, __LINE__, "round %d: %s", round, err.message);
        }
        lua_settop(L, 0);
        msgpack_unpacked_destroy(&u);
        msgpack_sbuffer_destroy(&theirs);
    }
    mw_bytes_free(&out);
    lua_close(L);
}

/* ---- Bytes that somebody changed ------------------------------------------------------------------------------------------------- */

/* What we refuse and msgpack-c takes. */
static int is_our_rule(const struct mw_err *err) {
    static const char *const rules[] = {"an integer above", "as a key", "a key that was there before", "nested too deep"};

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strstr(err->what, rules[i]) != NULL) return 1;
    return 0;
}

static void compare(lua_State *L, const char *at, size_t len) {
    msgpack_unpacked u;
    struct mw_codec_fault fault = {0};
    struct mw_err err;
    size_t off = 0, used = 0;
    int rc = mw_pack_read(L, at, len, &used, NULL, &fault, &err), theirs;

    /* msgpack-c takes the memory that is announced: no need to see it fail. */
    if (rc < 0 && (memchr(at, 0xdd, len) != NULL || memchr(at, 0xdf, len) != NULL)) return;
    msgpack_unpacked_init(&u);
    theirs = msgpack_unpack_next(&u, at, len, &off);
    if (rc == 0) {
        CHECK(theirs == MSGPACK_UNPACK_SUCCESS);
        if (theirs == MSGPACK_UNPACK_SUCCESS) CHECK(off == used && same(L, -1, &u.data));
    } else if (theirs == MSGPACK_UNPACK_SUCCESS) {
        CHECK(is_our_rule(&err));
    } else if (rc == MW_EAGAIN) {
        CHECK(fault.offset > len);
    }
    if (check_failures > 0) printf("# %s, %d\n", rc < 0 ? err.message : "read", theirs);
    msgpack_unpacked_destroy(&u);
    lua_settop(L, 0);
}

TEST(bytes_that_are_no_value_to_one_are_none_to_the_other) {
    lua_State *L = luaL_newstate();
    char bytes[256];

    for (int round = 0; round < 60000 && check_failures == 0; round++) {
        msgpack_sbuffer theirs;
        msgpack_packer p;
        size_t len, changes = dice(4);

        msgpack_sbuffer_init(&theirs);
        msgpack_packer_init(&p, &theirs, msgpack_sbuffer_write);
        pack_some(&p, dice(6));
        len = theirs.size < sizeof bytes ? theirs.size : sizeof bytes;
        memcpy(bytes, theirs.data, len);
        while (changes-- > 0) bytes[dice((uint32_t)len)] = (char)(dice(2) ? dice(256) : 0xc0 + dice(32));
        compare(L, bytes, dice(3) == 0 ? dice((uint32_t)len + 1) : len);
        msgpack_sbuffer_destroy(&theirs);
    }
    lua_close(L);
}

TEST(every_first_byte_is_taken_alike) {
    lua_State *L = luaL_newstate();
    char bytes[24] = {0};

    for (int tag = 0; tag < 256; tag++) {
        for (size_t len = 1; len <= sizeof bytes; len++) {
            memset(bytes, 1, sizeof bytes);
            bytes[0] = (char)tag;
            compare(L, bytes, len);
        }
    }
    lua_close(L);
}
