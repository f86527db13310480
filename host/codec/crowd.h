/* Where a number falls in a Lua table is no secret, as it is with strings, and what falls to one place is searched one by one: a map from
 * outside whose keys were made to would take minutes. So readers count what such keys cost, and have so much to spend for a message.
 * Knows: lua.h. Never: a format. */
#ifndef MW_CODEC_CROWD_H
#define MW_CODEC_CROWD_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#define MW_CROWD_FROM 64u               /* keys of a table: fewer cost little, wherever they fall */

struct mw_crowd {
    uint64_t steps;                     /* of searches, that keys from one message may still cost: it grows with the bytes */
};
static inline struct mw_crowd mw_crowd_of(size_t bytes) {
    return (struct mw_crowd){((uint64_t)1 << 18) + 8 * (uint64_t)bytes};
}

/* The places of one table: a userdata under the table, which must not grow: it was made for n keys by lua_createtable, and gets no more.
 * Pushes them.                                                                                                [-0, +1, m] */
struct mw_crowd_places;
struct mw_crowd_places *mw_crowd_push(lua_State *L, size_t n);

/* One more key, the number on top. 0, or all steps are spent: the message is to be refused, with the text.      [-0, +0, -] */
#define MW_CROWD_TEXT "keys that were made to fall to one place of a table"
int mw_crowd_add(struct mw_crowd *c, struct mw_crowd_places *p, lua_State *L);

#endif
