/* Lua's own libraries in their guarded forms.
 * Knows: lua.h. Never: a right by itself (io/ and policy/ ask). */
#ifndef MW_BIND_STD_H
#define MW_BIND_STD_H

#include <lua.h>

#include "base/err.h"
#include "policy/policy.h"

/* Opens them as globals and in package.loaded: load loadfile dofile print collectgarbage warn require; package io os debug; string
 * without dump, its metatable hidden. After the plain libraries, in a protected call.                          [-0, +0, e] */
void mw_std_open(lua_State *L);
/* package.path and cpath. `require` looks first in the main script's folder ("" or NULL: there is none); with all rights also where
 * LUA_PATH and LUA_CPATH say, and last in the working folder. Called once.                                      [-0, +0, e] */
void mw_std_set_script_dir(lua_State *L, const char *dir);

/* luaL_loadbufferx for text only, which stops when its script must. LUA_OK and the function, or a status and the message.
 *                                                                                                          [-0, +1, -] */
int mw_std_load_text(lua_State *L, const char *text, size_t len, const char *name);
/* Raises ELIMIT when the format at idx is longer than any that somebody wrote: it would keep Lua's own function busy. */
void mw_std_check_format(lua_State *L, int idx, const char *op);
/* Replaces the global setmetatable.                                                                     [-0, +0, e] */
void mw_std_open_gc(lua_State *L);
/* Runs the finalizers of scripts that were put off: for C functions that a script calls, before they begin or when they are done.
 *                                                                                                                [-0, +0, e] */
void mw_std_finalize(lua_State *L);
/* The box at 1 has become garbage: 1, and it waits for its turn, if finalizers of scripts that may use it were put off; else 0. */
int mw_std_puts_off(lua_State *L);
/* The parts, for mw_std_open: each pushes its table. */
int mw_std_open_io(lua_State *L);
int mw_std_open_string(lua_State *L);      /* these two are opened before it, as plain libraries are */
int mw_std_open_table(lua_State *L);
int mw_std_open_os(lua_State *L);
int mw_std_open_debug(lua_State *L);
int mw_std_open_package(lua_State *L);     /* and sets the global require */

/* Pushes nil, "name: No such file or directory", errno, as Lua's own functions do; raises for EDENIED, ECANCELED and EINVAL. */
int mw_std_fail(lua_State *L, const struct mw_err *err, const char *name);
/* The words of a code, as strerror has them. */
const char *mw_std_words(int code);

/* A text argument that may be left out. Raises EINVAL.                                                          [-0, +0, e] */
const char *mw_std_text_at(lua_State *L, int idx, const char *op, const char *name, const char *fallback);

/* Pushes a box for a malloc'd text, which it frees; fill *box.                                                   [-0, +1, m] */
char **mw_std_text(lua_State *L);
/* Compiles the text (never bytecode) in the box on top, which was read from `name`; a first line with '#' is skipped. Replaces the
 * box by the function, or the message. Returns lua_load's status.                                               [-1, +1, m] */
int mw_std_compile(lua_State *L, char **held, size_t len, const char *name);

/* print: writes to standard output through the same object as io.stdout.                                        [-n, +0, y] */
int mw_std_print(lua_State *L);

#endif
