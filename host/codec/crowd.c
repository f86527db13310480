/* What keys cost: each is counted at the place where it falls in a table of this size, and in one of the next, which it is when a script
 * adds a key.
 * Knows: how Lua 5.4 hashes numbers. Never: strings, which it hashes with a seed. */
#include "codec/crowd.h"

#include <limits.h>
#include <math.h>
#include <string.h>

struct mw_crowd_places {
    size_t size;                        /* of the table: a power of two */
    uint32_t keys[];                    /* at each place: 2^n of them, then 2^(n+1) */
};

/* What Lua takes the remainder of. */
static lua_Unsigned hash_of(lua_State *L, int key) {
    int whole, exponent = 0;
    lua_Integer i = lua_tointegerx(L, key, &whole);
    double part;
    unsigned u;

    if (whole) return (lua_Unsigned)i;
    part = frexp(lua_tonumber(L, key), &exponent) * -(double)INT_MIN;
    if (!isfinite(part)) return 0;
    u = (unsigned)exponent + (unsigned)(lua_Integer)part;
    return u <= INT_MAX ? u : ~u;
}

struct mw_crowd_places *mw_crowd_push(lua_State *L, size_t n) {
    size_t size = 2;
    struct mw_crowd_places *p;

    while (size < n) size *= 2;
    p = lua_newuserdatauv(L, sizeof *p + 3 * size * sizeof *p->keys, 0);
    memset(p, 0, sizeof *p + 3 * size * sizeof *p->keys);
    p->size = size;
    return p;
}

int mw_crowd_add(struct mw_crowd *c, struct mw_crowd_places *p, lua_State *L) {
    lua_Unsigned hash = hash_of(L, -1);
    uint64_t steps = (uint64_t)p->keys[hash % (p->size - 1)]++ + p->keys[p->size + hash % (2 * p->size - 1)]++;

    if (steps > c->steps) return 1;
    c->steps -= steps;
    return 0;
}
