/* Arguments: what a script passes, checked before anything is taken.
 * Knows: core, lua.h. Never: a syscall. */
#ifndef MW_BIND_ARG_H
#define MW_BIND_ARG_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

#include "core/hook.h"
#include "core/raise.h"

/* All raise EINVAL error objects at the caller's line, naming `op` ("net.connect") and the argument or option. */

/* A string without NUL, at most `max` bytes (0: 4096). Lent by Lua while it stays on the stack. Numbers are no strings. */
const char *mw_param_text(lua_State *L, int idx, const char *op, const char *name, size_t max, size_t *len);
/* Any bytes. */
const char *mw_param_bytes(lua_State *L, int idx, const char *op, const char *name, size_t *len);
lua_Integer mw_param_integer(lua_State *L, int idx, const char *op, const char *name, lua_Integer min, lua_Integer max);
/* Seconds: a number, or "250ms" "2s" "5m" "1h" "1d" ("us", "ns" too). Result in ns, 0..about 292 years; negative and NaN raise.
 * math.huge gives UINT64_MAX. */
uint64_t mw_param_duration(lua_State *L, int idx, const char *op, const char *name);
/* Bytes: an integer, or "64KiB" "1MiB" "2GiB" ("B", "kB", "MB", "GB" too). */
uint64_t mw_param_size(lua_State *L, int idx, const char *op, const char *name, uint64_t min, uint64_t max);

/* An option table. mw_opt_open checks that idx is a table or nil/none, that every string key is one of `known`
 * (NULL-terminated; unknown ones raise with a did-you-mean), and reads raw. With array = 0 integer keys raise too.
 * mw_opt_get pushes the raw value of `key` and returns its type (LUA_TNIL when absent; pops nothing: one value is always pushed).
 * The readers below return their `fallback` when it is absent; the stack is left as it was, save where a string is lent:
 * those strings live as long as the table (raw tables keep them). */
void mw_opt_open(lua_State *L, int idx, const char *op, const char *const *known, int array);
/* The same for a table of other things, by what each is called: "label". */
void mw_opt_open_as(lua_State *L, int idx, const char *op, const char *noun, const char *const *known, int array);
int mw_opt_get(lua_State *L, int idx, const char *key);
int mw_opt_flag(lua_State *L, int idx, const char *op, const char *key, int fallback);
lua_Integer mw_opt_integer(lua_State *L, int idx, const char *op, const char *key, lua_Integer min, lua_Integer max, lua_Integer fallback);
uint64_t mw_opt_duration(lua_State *L, int idx, const char *op, const char *key, uint64_t fallback_ns);
uint64_t mw_opt_size(lua_State *L, int idx, const char *op, const char *key, uint64_t min, uint64_t max, uint64_t fallback);
const char *mw_opt_text(lua_State *L, int idx, const char *op, const char *key, size_t max, const char *fallback);
/* One of a NULL-terminated list of words: its index; or fallback. */
int mw_opt_word(lua_State *L, int idx, const char *op, const char *key, const char *const *words, int fallback);

/* The absolute deadline for option `timeout` of the table at idx (nil/none table: none): MW_NEVER when absent. */
uint64_t mw_opt_deadline(lua_State *L, int idx, const char *op);

/* A full userdata of `size` zeroed bytes with metatable `type` that remembers the script line that made it (user value 1; user
 * value 2 is the type's own); pushed.
 * Push the box first, then make what goes into it. */
void *mw_box_new(lua_State *L, size_t size, const char *type);
/* The same without user values, for what may be collected at any time: nobody asks where it was made, and to find that out takes more
 * than all the rest. */
void *mw_box_plain(lua_State *L, size_t size, const char *type);
/* For __gc of a box whose resource is still open: one warning through the host's log, naming the line that made it. */
void mw_box_warn(lua_State *L, int idx, const char *noun);
/* The box at idx, or an EINVAL error object ("stream expected, got table"). */
void *mw_box_check(lua_State *L, int idx, const char *type);
/* The same of a method's own box, at 1, without a look-up: mw_type_new gives each method its metatable as first upvalue. Only
 * to be called by functions in the list of methods of that very type. */
void *mw_box_self(lua_State *L, const char *type);
/* mw_box_self for methods that are called a million times a second: what was looked at lately is not looked at again. The caller
 * says mw_box_know of a box that is alive (its finalizer has not run), and mw_box_forget in its finalizer. */
static inline struct mw_known *mw_box_place(lua_State *L, const void *box) {
    return &mw_host_head(L)->known[((uintptr_t)box >> 4 ^ (uintptr_t)box >> 11) % MW_KNOWN];
}
static inline void *mw_box_known(lua_State *L, const char *type) {
    void *box = lua_touserdata(L, 1);
    const struct mw_known *known = mw_box_place(L, box);

    return box != NULL && known->box == box && known->type == type ? box : mw_box_self(L, type);
}
static inline void mw_box_know(lua_State *L, const void *box, const char *type) {
    *mw_box_place(L, box) = (struct mw_known){ box, type };
}
static inline void mw_box_forget(lua_State *L, const void *box) {
    struct mw_known *known = mw_box_place(L, box);
    if (known->box == box) known->box = NULL;
}
/* Finalizes the box at 1, which then belongs to no type any more; all else is taken from the stack. For finalizers that were put off. */
void mw_box_end(lua_State *L);
/* Makes a metatable: methods in __index, meta functions, name, __metatable = false, __close and __gc as in `meta`.
 * Leaves nothing. The methods table stays reachable by mw_type_methods (pushes it), so that Lua modules can add methods. */
void mw_type_new(lua_State *L, const char *type, const luaL_Reg *methods, const luaL_Reg *meta);
void mw_type_methods(lua_State *L, const char *type);

#endif
