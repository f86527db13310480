/* Recent keys, as the readers of all formats find them: what comes out is what the bytes say, in whatever order keys come.
 * Knows: codec/json, codec/keys, codec/pack, codec/value, plain Lua. Never: a host. */
#include "support/check.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "codec/json.h"
#include "codec/keys.h"
#include "codec/pack.h"
#include "codec/value.h"

enum { NAMES = 160, MEMBERS = 12, ROUNDS = 6000 };

static uint32_t state;

static unsigned random_below(unsigned n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

struct name {
    char text[48];
    size_t len;
};
static struct name names[NAMES];

/* Of all lengths about the words and the longest that is remembered, many alike but for one byte. */
static void make_names(void) {
    state = 1;
    for (unsigned i = 0; i < NAMES; i++) {
        struct name *n = &names[i];
        n->len = i / 4;
        memset(n->text, 'k', n->len);
        if (n->len > 0) n->text[random_below((unsigned)n->len)] = (char)('a' + i % 4);
    }
}

static int is_same(const struct name *a, const struct name *b) { return a->len == b->len && memcmp(a->text, b->text, a->len) == 0; }

/* Different ones, of few: some come again and again, and some are all that there are. */
static unsigned pick(unsigned *out) {
    unsigned n = 1 + random_below(MEMBERS), from = random_below(2) ? 0 : random_below(NAMES - MEMBERS), count = 0;

    for (unsigned i = 0; i < n; i++) {
        unsigned name = from == 0 ? random_below(NAMES) : from + random_below(MEMBERS), k = 0;
        while (k < count && !is_same(&names[out[k]], &names[name])) k++;
        if (k == count) out[count++] = name;
    }
    return count;
}

/* A copy that ends where its memory does. */
static char *exact(const char *at, size_t len) {
    char *copy = malloc(len > 0 ? len : 1);

    memcpy(copy, at, len);
    return copy;
}

static size_t put_json(char *to, const unsigned *chosen, unsigned n) {
    char *at = to;

    *at++ = '{';
    for (unsigned i = 0; i < n; i++) {
        const struct name *name = &names[chosen[i]];
        at += sprintf(at, "%s\"%.*s\"%s:%u", i > 0 ? "," : "", (int)name->len, name->text, random_below(4) ? "" : " ", chosen[i]);
    }
    *at++ = '}';
    return (size_t)(at - to);
}

static size_t put_pack(char *to, const unsigned *chosen, unsigned n) {
    char *at = to;

    *at++ = (char)(0x80 | n);
    for (unsigned i = 0; i < n; i++) {
        const struct name *name = &names[chosen[i]];
        if (name->len > 31) *at++ = (char)0xd9, *at++ = (char)name->len;
        else *at++ = (char)(0xa0 | name->len);
        memcpy(at, name->text, name->len);
        at += name->len;
        *at++ = (char)0xcc;
        *at++ = (char)chosen[i];
    }
    return (size_t)(at - to);
}

/* The table on top has just these; it goes. */
static void check_table(lua_State *L, const unsigned *chosen, unsigned n) {
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++) {
        lua_pushlstring(L, names[chosen[i]].text, names[chosen[i]].len);
        CHECK(lua_rawget(L, -2) == LUA_TNUMBER && lua_tointeger(L, -1) == (lua_Integer)chosen[i]);
        lua_pop(L, 1);
    }
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) count++;
    CHECK(count == n);
    lua_pop(L, 1);
}

static void round_trip(lua_State *L) {
    struct mw_bytes out = {0};
    unsigned chosen[MEMBERS], n = pick(chosen);
    char text[2048], *copy;
    struct mw_err err;
    size_t len, used;

    len = put_json(text, chosen, n);
    copy = exact(text, len);
    CHECK(mw_json_read(L, copy, len, NULL, NULL, &err) == 0);
    free(copy);
    CHECK(mw_value_write(L, -1, &out, NULL, &err) == 0);
    check_table(L, chosen, n);
    copy = exact(mw_bytes_at(&out), mw_bytes_len(&out));
    CHECK(mw_value_read(L, copy, mw_bytes_len(&out), &used, NULL, &err) == 0 && used == mw_bytes_len(&out));
    free(copy);
    mw_bytes_free(&out);
    check_table(L, chosen, n);
    len = put_pack(text, chosen, n);
    copy = exact(text, len);
    CHECK(mw_pack_read(L, copy, len, NULL, NULL, NULL, &err) == 0);
    free(copy);
    check_table(L, chosen, n);
}

TEST(a_key_is_what_its_bytes_say_whatever_came_before) {
    lua_State *L = luaL_newstate();

    make_names();
    for (unsigned i = 0; i < ROUNDS; i++) round_trip(L);
    CHECK(lua_gettop(L) == 0);
    lua_close(L);
}

/* Reads other messages while the one that made the garbage is being read. */
static int on_garbage(lua_State *L) {
    struct mw_err err;

    for (unsigned i = 0; i < 4; i++) {
        static const char text[] = "{\"kkkb\":1,\"kkakkk\":{\"ckkkk\":[]}}";
        CHECK(mw_json_read(L, text, sizeof text - 1, NULL, NULL, &err) == 0);
        CHECK(mw_pack_read(L, "\x81\xa4kkkb\x01", 7, NULL, NULL, NULL, &err) == 0);
        lua_settop(L, 1);
    }
    lua_newtable(L);
    lua_getmetatable(L, 1);
    lua_setmetatable(L, -2); /* garbage again */
    return 0;
}

TEST(a_finalizer_may_read_messages_while_one_is_read) {
    lua_State *L = luaL_newstate();

    make_names();
    lua_gc(L, LUA_GCINC, 50, 1000, 6); /* all the time */
    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, on_garbage);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    for (unsigned i = 0; i < ROUNDS / 4; i++) round_trip(L);
    lua_gc(L, LUA_GCSTOP);
    lua_close(L);
}

static int reads(lua_State *L, const char *text, size_t len, struct mw_codec_fault *fault) {
    char *copy = exact(text, len);
    struct mw_err err;
    int rc = mw_json_read(L, copy, len, NULL, fault, &err);

    free(copy);
    lua_settop(L, 0);
    return rc;
}

TEST(a_remembered_key_is_held_to_the_grammar_as_any_other) {
    static const char *const wrong[] = { "{\"name\"x:1}", "{\"name", "{\"name\"", "{\"name\"}", "{\"name\\\":1}", "{\"name1:1}",
                                         "{\"name\":1,\"name\":2}", "{\"first_of_all_names\":1,\"first_of_all_names\":2}" };
    lua_State *L = luaL_newstate();
    struct mw_codec_fault fault;
    size_t first[80];
    char text[80];

    for (unsigned i = 0; i < 4; i++) {
        int n = sprintf(text, "{\"name\":%u,\"first_of_all_names\":2}", i);
        CHECK(reads(L, text, (size_t)n, NULL) == 0);
        for (int cut = 0; cut < n; cut++) { /* faults where they were when no key was known */
            CHECK(reads(L, text, (size_t)cut, &fault) == MW_EPARSE);
            if (i == 0) first[cut] = fault.offset;
            CHECK(fault.offset == first[cut]);
        }
        for (unsigned k = 0; k < sizeof wrong / sizeof *wrong; k++) CHECK(reads(L, wrong[k], strlen(wrong[k]), NULL) == MW_EPARSE);
        CHECK(reads(L, "{\"name\":{\"name\":[1,x]}}", 23, &fault) == MW_EPARSE);
        CHECK_STR(fault.path, "name.name[2]");
        CHECK(reads(L, "{\"name\":1,\"n\\u0061me\":2}", 24, &fault) == MW_EPARSE);
        CHECK_STR(fault.path, "name");
    }
    lua_close(L);
}

TEST(what_is_no_key_of_json_is_none_because_another_format_had_it) {
    static const char pack[] = "\x81\xa8name\"\0:1\x01", json[] = "{\"name\"\0:1\":1}";
    lua_State *L = luaL_newstate();
    struct mw_err err;

    for (unsigned i = 0; i < 4; i++) {
        CHECK(mw_pack_read(L, pack, sizeof pack - 1, NULL, NULL, NULL, &err) == 0);
        lua_settop(L, 0);
        CHECK(reads(L, json, sizeof json - 1, NULL) == MW_EPARSE);
    }
    lua_close(L);
}
