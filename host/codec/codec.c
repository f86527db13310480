/* What the formats have in common: null, the marks of tables, the path to a fault. See codec.h.
 * Knows: base, lua.h. Never: a byte of any format. */
#include "codec/codec.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static const char null_key;                     /* its address is null */
static const char mark_keys[MW_CODEC_OBJECT];   /* their addresses: the marks in the registry */

/* ---- null ---------------------------------------------------------------------------------------------------------------- */

void mw_codec_push_null(lua_State *L) { lua_pushlightuserdata(L, (void *)(uintptr_t)&null_key); }

int mw_codec_is_null(lua_State *L, int idx) { return lua_type(L, idx) == LUA_TLIGHTUSERDATA && lua_touserdata(L, idx) == &null_key; }

static int light_tostring(lua_State *L) {
    if (mw_codec_is_null(L, 1)) lua_pushliteral(L, "null");
    else lua_pushfstring(L, "userdata: %p", lua_topointer(L, 1)); /* as Lua would */
    return 1;
}

void mw_codec_open(lua_State *L) {
    mw_codec_push_null(L);                      /* all light userdata have one metatable */
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, light_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* ---- Marks --------------------------------------------------------------------------------------------------------------- */

void mw_codec_push_mark(lua_State *L, enum mw_codec_mark mark) {
    if (mark == MW_CODEC_PLAIN) {
        lua_pushnil(L);
        return;
    }
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_keys[mark - 1]) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &mark_keys[mark - 1]);
}

const void *mw_codec_mark_at(lua_State *L, enum mw_codec_mark mark) {
    const void *at;

    if (mark == MW_CODEC_PLAIN) return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_keys[mark - 1]);
    at = lua_topointer(L, -1);
    lua_pop(L, 1);
    return at;
}

void mw_codec_mark(lua_State *L, enum mw_codec_mark mark) {
    mw_codec_push_mark(L, mark);
    lua_setmetatable(L, -2);
}

enum mw_codec_mark mw_codec_marked(lua_State *L, int idx) {
    const void *at;

    if (lua_type(L, idx) != LUA_TTABLE || !lua_getmetatable(L, idx)) return MW_CODEC_PLAIN;
    at = lua_topointer(L, -1);
    lua_pop(L, 1);
    if (at == mw_codec_mark_at(L, MW_CODEC_ARRAY)) return MW_CODEC_ARRAY;
    return at == mw_codec_mark_at(L, MW_CODEC_OBJECT) ? MW_CODEC_OBJECT : MW_CODEC_PLAIN;
}

/* ---- Paths --------------------------------------------------------------------------------------------------------------- */

#define TAIL 96u                /* bytes of a long path's end that stay */
#define STEP_MAX 128u           /* bytes of one step */

/* Both ends of the cut stay whole characters. */
static size_t cut_before(const char *s, size_t at) {
    while (at > 0 && ((unsigned char)s[at] & 0xc0) == 0x80) at--;
    return at;
}

static void before(struct mw_codec_fault *f, const char *step, size_t n, int dot) {
    char whole[STEP_MAX + MW_CODEC_PATH_MAX + 2];
    size_t was = strlen(f->path), len = n, head, tail;

    memcpy(whole, step, n);
    if (dot && was > 0 && f->path[0] != '[') whole[len++] = '.';
    memcpy(whole + len, f->path, was + 1);
    len += was;
    if (len < MW_CODEC_PATH_MAX) {
        memcpy(f->path, whole, len + 1);
        return;
    }
    tail = len - TAIL;
    while (((unsigned char)whole[tail] & 0xc0) == 0x80) tail++;
    head = cut_before(whole, MW_CODEC_PATH_MAX - 1 - 3 - (len - tail));
    memcpy(f->path, whole, head);
    memcpy(f->path + head, "...", 3);
    memcpy(f->path + head + 3, whole + tail, len - tail + 1);
}

static int is_name(const char *s, size_t len) {
    if (len == 0 || len > 64) return 0;
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_' || (i > 0 && s[i] >= '0' && s[i] <= '9'))) return 0;
    return 1;
}

void mw_codec_path_key(struct mw_codec_fault *f, const char *key, size_t len) {
    char step[STEP_MAX];
    size_t n;

    if (f == NULL) return;
    if (is_name(key, len)) {
        before(f, key, len, 1);
        return;
    }
    memcpy(step, "[\"", 2);
    n = 2 + mw_err_escape(step + 2, sizeof step - 4, key, len);
    memcpy(step + n, "\"]", 2);
    before(f, step, n + 2, 1);
}

void mw_codec_path_index(struct mw_codec_fault *f, lua_Integer i) {
    char step[32];

    if (f != NULL) before(f, step, (size_t)snprintf(step, sizeof step, "[%lld]", (long long)i), 1);
}
