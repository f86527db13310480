/* The keys of recent messages: see keys.h.
 * Knows: codec/keys, lua.h. Never: a look at a byte behind those that are readable. */
#include "codec/keys.h"

static const char cache_keys[2];    /* their addresses: the caches in the registry */

void mw_keys_open(lua_State *L, enum mw_keys_kind kind, struct mw_keys *k, int at) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &cache_keys[kind]) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        memset(lua_newuserdatauv(L, sizeof *k->cache, (int)MW_KEYS + 1), 0, sizeof *k->cache);
        mw_codec_push_mark(L, MW_CODEC_ARRAY);
        lua_setiuservalue(L, -2, (int)MW_KEYS + 1);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &cache_keys[kind]);
    }
    k->cache = lua_touserdata(L, -1);
    k->next = &k->cache->first;
    k->at = at;
    lua_replace(L, at);
}

/* The bytes of a word that a key of len bytes has in it. */
static inline uint64_t mask_of(size_t len) {
    static const unsigned char bytes[2 * MW_KEY_WORD] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint64_t mask;

    memcpy(&mask, bytes + (len < MW_KEY_WORD ? MW_KEY_WORD - len : 0), sizeof mask);
    return mask;
}

static inline uint32_t hash_of(const char *at, size_t len) {
    uint64_t first, last = 0;

    memcpy(&first, at, sizeof first);
    if (len > MW_KEY_WORD) memcpy(&last, at + len - MW_KEY_WORD, sizeof last);
    return (uint32_t)((((first & mask_of(len)) ^ last * 31 ^ len) * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* The key on top takes the place of the one that has been there for longer. */
static void remember(lua_State *L, struct mw_keys *k, unsigned place, const char *lua, size_t len) {
    unsigned i = 2 * place + (k->cache->turn++ & 1);
    struct mw_key *key = &k->cache->key[i];

    lua_pushvalue(L, -1);
    lua_setiuservalue(L, k->at, (int)i + 1);
    memcpy(key->text, lua, len);
    key->mask = mask_of(len);
    key->lua = lua;
    key->len = (unsigned char)len;
    *k->next = (unsigned char)i;
    k->next = &key->next;
}

const char *mw_keys_get(lua_State *L, struct mw_keys *k, const char *at, size_t len, size_t left) {
    const struct mw_key *key = k->cache->key;
    unsigned i = mw_keys_next(k), place;
    const char *lua;
    uint32_t hash;

    if (key[i].len == len && mw_key_is(&key[i], at, left)) return mw_keys_push(L, k, i);
    if (len == 0 || len > MW_KEY_MAX || left < MW_KEY_WORD || left < len) {
        k->next = &k->cache->nobody;
        return lua_pushlstring(L, at, len);
    }
    hash = hash_of(at, len);
    place = hash % (MW_KEYS / 2);
    for (i = 2 * place; i < 2 * place + 2; i++)
        if (key[i].len == len && mw_key_is(&key[i], at, left)) return mw_keys_push(L, k, i);
    lua = lua_pushlstring(L, at, len);
    if (k->cache->missed[place] == hash) {
        remember(L, k, place, lua, len);
    } else {
        k->cache->missed[place] = hash;
        k->next = &k->cache->nobody;
    }
    return lua;
}
