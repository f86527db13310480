/* Keys that messages have again and again. Lua keeps each short string once, so making one again means to hash and to find it; here the
 * recent ones are found by their bytes, the one that followed the last one the time before first of all.
 * Knows: codec/codec, lua.h. Never: a format; takes a string for another; more than MW_KEYS strings. */
#ifndef MW_CODEC_KEYS_H
#define MW_CODEC_KEYS_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codec/codec.h"

#define MW_KEYS 64u             /* keys remembered, two of them in a place */
#define MW_KEY_MAX 24u          /* bytes of one */
#define MW_KEY_WORD 8u          /* bytes that are compared at once, and so many must be readable behind a key's begin */

struct mw_key {
    char text[MW_KEY_MAX];
    uint64_t mask;              /* of the first word: what is the key's */
    const char *lua;            /* Lua's own copy: to be compared, not to be looked into */
    unsigned char len;          /* 0: there is none */
    unsigned char next;         /* the one that came after it */
};

/* A userdata in the registry; a user value for each string, and one for the mark of arrays, which readers want as often. */
struct mw_key_cache {
    struct mw_key key[MW_KEYS];
    uint32_t missed[MW_KEYS / 2];   /* hashes: a key is remembered when it comes for the second time */
    unsigned char first, nobody;    /* what comes first; what comes after a key that is not remembered */
    unsigned char turn;
};

/* What has keys of its own: where any byte may be in one, and where none that JSON writes otherwise is. */
enum mw_keys_kind { MW_KEYS_BINARY, MW_KEYS_JSON };

/* One message being read. */
struct mw_keys {
    struct mw_key_cache *cache; /* NULL: nothing has asked for it yet */
    unsigned char *next;        /* of the last key */
    int at;                     /* stack */
};

/* Puts the cache to the stack's place `at`, which was made for it.                                                [-0, +0, m] */
void mw_keys_open(lua_State *L, enum mw_keys_kind kind, struct mw_keys *k, int at);

/* Marks the table on top as an array.                                                                             [-0, +0, -] */
static inline void mw_keys_mark_array(lua_State *L, const struct mw_keys *k) {
    lua_getiuservalue(L, k->at, (int)MW_KEYS + 1);
    lua_setmetatable(L, -2);
}

/* Is it the key that the bytes begin with? `left` are readable. */
static inline int mw_key_is(const struct mw_key *key, const char *at, size_t left) {
    uint64_t a, b;

    if (left < MW_KEY_WORD || (size_t)key->len - 1 >= left) return 0;
    memcpy(&a, at, sizeof a);
    memcpy(&b, key->text, sizeof b);
    if (((a ^ b) & key->mask) != 0) return 0;
    if (key->len <= MW_KEY_WORD) return 1;
    memcpy(&a, at + key->len - MW_KEY_WORD, sizeof a);
    memcpy(&b, key->text + key->len - MW_KEY_WORD, sizeof b);
    if (a != b || key->len <= 2 * MW_KEY_WORD) return a == b;
    return memcmp(at + MW_KEY_WORD, key->text + MW_KEY_WORD, MW_KEY_WORD) == 0;
}

/* Which one should be next. */
static inline unsigned mw_keys_next(const struct mw_keys *k) { return *k->next; }

/* Pushes the i-th; returns Lua's copy.                                                                            [-0, +1, -] */
static inline const char *mw_keys_push(lua_State *L, struct mw_keys *k, unsigned i) {
    struct mw_key *key = &k->cache->key[i];

    lua_getiuservalue(L, k->at, (int)i + 1);
    *k->next = (unsigned char)i;
    k->next = &key->next;
    return key->lua;
}

/* Pushes a key of len bytes, remembered or not, `left` being readable; returns Lua's copy.                         [-0, +1, m] */
const char *mw_keys_get(lua_State *L, struct mw_keys *k, const char *at, size_t len, size_t left);

#endif
