/* Shapes without mw.schema: a Lua state in which descriptions are compiled, and words for the kinds there are.
 * Knows: codec/shape_node, plain Lua. Never: lua/moonwire/schema.lua: it describes its shapes itself. */
#ifndef SPEC_SUPPORT_SHAPES_H
#define SPEC_SUPPORT_SHAPES_H

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "codec/shape_node.h"

#define SHAPES                                                                                                       \
    "local function make(d) d.expected = d.expected or d.kind return _G.make(d) end\n"                               \
    "local any, flag = make{ kind = 'any' }, make{ kind = 'boolean' }\n"                                             \
    "local whole = make{ kind = 'integer', min = -9, max = 99 }\n"                                                   \
    "local number = make{ kind = 'number', min = 0.5, above = true, max = 1e9, finite = true }\n"                    \
    "local name = make{ kind = 'string', min = 1, max = 12, pattern = 'p', utf8 = true }\n"                          \
    "local text = make{ kind = 'string', min = 0, max = 100 }\n"                                                     \
    "local function literal(...) return make{ kind = 'literal', values = { ... } } end\n"                            \
    "local words = literal('a', 'b', 7, 2.5, true)\n"                                                                \
    "local function list(of, unique) return make{ kind = 'array', of = of, min = 0, max = 40, unique = unique } end\n" \
    "local function map(of) return make{ kind = 'map', key = name, of = of, min = 0, max = 9 } end\n"                \
    "local function optional(of, default) return make{ kind = 'optional', of = of, default = default } end\n"        \
    "local function object(extra, ...)\n" /* 0: refuses what it does not know, 1: keeps it, 2: drops it */           \
    "  local names, fields = {}, {}\n"                                                                               \
    "  for i, v in ipairs{ ... } do if i % 2 == 1 then names[#names + 1] = v else fields[#fields + 1] = v end end\n" \
    "  return make{ kind = 'object', names = names, shapes = fields, extra = extra }\n"                              \
    "end\n"                                                                                                          \
    "local function one_of(...) return make{ kind = 'one_of', variants = { ... } } end\n"                            \
    "local told = one_of(object(0, 'k', literal 'a', 'x', whole), object(1, 'k', literal 'b'), text)\n"              \
    "local record = object(2, 'a', whole, 'b', optional(text, 'none'), 'c', optional(list(number)), 'd', told)\n"    \
    "local many = { 0 }\n"                                                                                           \
    "for i = 1, 70 do\n"                                                                                             \
    "  many[2 * i] = 'f' .. i many[2 * i + 1] = optional(i % 2 == 0 and whole or any, i % 18 == 9 and { i } or nil)\n" \
    "end\n"                                                                                                          \
    "many = object(table.unpack(many))\n"                                                                            \
    "local tree = make{ kind = 'ref' }\n"                                                                            \
    "resolve(tree, one_of(list(tree), object(0, 'l', optional(tree), 'r', optional(whole)), object(1, 'l', tree), words, list(name)))\n"

/* The pattern does not count: a text matches by its length. */
static int shapes_match(lua_State *L, const char *text, size_t len, const char *pattern, size_t pattern_len, size_t *steps) {
    (void)L;
    if (text[len] != 0 || pattern[pattern_len] != 0) abort();
    if (*steps < len) return -1;
    *steps -= len;
    return len % 5 != 4;
}

static int shapes_make(lua_State *L) {
    size_t size = mw_shape_size(L, 1);

    memset(lua_newuserdatauv(L, size, 2), 0, size);
    luaL_setmetatable(L, MW_SHAPE_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 2);
    mw_shape_fill(L, 1, 2, shapes_match);
    return 1;
}

static int shapes_resolve(lua_State *L) {
    lua_getiuservalue(L, 1, 2);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "of"); /* it keeps it */
    mw_shape_resolve(L, lua_touserdata(L, 1), lua_touserdata(L, 2));
    return 0;
}

static int shapes_end(lua_State *L) {
    mw_shape_end(L, luaL_checkudata(L, 1, MW_SHAPE_TYPE));
    return 0;
}

/* make(description) and resolve(ref, shape), which SHAPES needs.                                              [-0, +0, m] */
static void shapes_open(lua_State *L) {
    luaL_newmetatable(L, MW_SHAPE_TYPE);
    lua_pushcfunction(L, shapes_end);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_register(L, "make", shapes_make);
    lua_register(L, "resolve", shapes_resolve);
}

#endif
