/* Lua values to compact bytes and back, for workers and pools: nil, booleans, integers and floats told apart, strings, mw.null,
 * tables with cycles, shared references and the marks of codec.h; other objects by a hook. Our own two ends speak it, of one build: no format for files.
 * Knows: base, lua.h. Never: trusts the bytes: a child may write what it likes. */
#ifndef MW_CODEC_VALUE_H
#define MW_CODEC_VALUE_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define MW_VALUE_DEPTH 128u             /* levels of tables, unless the options say otherwise */
#define MW_VALUE_DEPTH_MAX 1000u

struct mw_value_options {
    size_t bytes_max;                   /* of one value; 0: no limit but 4 GiB */
    unsigned depth_max;                 /* 0: MW_VALUE_DEPTH */
    const char *root;                   /* what error texts call the value; NULL: "message" */
    const char *record;                 /* a registered metatable (luaL_newmetatable) that its tables keep: error objects'; NULL: none */
    void *ud;
    /* Writing: the userdata at idx is to ride beside: 0 and *slot, a small number of the hook's choosing; 1: not one that can;
     * or a code with err filled. Leaves the stack as it was. NULL: none can. */
    int (*put)(void *ud, lua_State *L, int idx, uint32_t *slot, struct mw_err *err);
    /* Reading: pushes the object of that slot and returns 0, or a code and pushes nothing. NULL: refused. */
    int (*get)(void *ud, lua_State *L, uint32_t slot, struct mw_err *err);
};

/* Appends the value at idx to `out`. Raw fields are sent, metatables are not, save codec.h's marks. What cannot be sent (a function, a coroutine, another
 * userdata, a table whose metatable has __metatable or __pairs, save o->record) gives MW_EINVAL, and err names the path to it:
 * "message.items[3].fn: a function cannot be sent". MW_ELIMIT: too deep or too long. On failure, and when Lua's memory error is
 * raised, `out` holds what it held before: it has an owner that the collector or the host knows. o may be NULL.  [-0, +0, m] */
int mw_value_write(lua_State *L, int idx, struct mw_bytes *out, const struct mw_value_options *o, struct mw_err *err);

/* Pushes the value at the head of at[0..len) and sets *used. MW_EPARSE: not what we write; nothing pushed. MW_ELIMIT: too deep. Takes
 * memory only in proportion to the bytes that are there. o may be NULL.                                     [-0, +1|0, m] */
int mw_value_read(lua_State *L, const char *at, size_t len, size_t *used, const struct mw_value_options *o, struct mw_err *err);

#endif
