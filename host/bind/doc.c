/* The text of the modules that the library carries, for whoever tells what is in them (moonwire.doc).
 * Knows: bind/embed, lua.h. Never: runs it, reads a file. */
#include <lauxlib.h>

#include "bind/doors.h"
#include "bind/embed.h"

/* doc.texts() -> { { file, text }... }: modules, then the descriptions of what is C                     [-0, +1, m] */
static int doc_texts(lua_State *L) {
    size_t counts[2];
    const struct mw_embedded *tables[2] = {mw_embedded_all(&counts[0]), mw_embedded_meta(&counts[1])};
    lua_Integer n = 0;

    lua_createtable(L, (int)(counts[0] + counts[1]), 0);        /* [list] */
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < counts[t]; i++) {
            lua_createtable(L, 0, 2);                           /* [list it] */
            lua_pushstring(L, tables[t][i].file);
            lua_setfield(L, -2, "file");
            lua_pushlstring(L, tables[t][i].text, tables[t][i].len);
            lua_setfield(L, -2, "text");
            lua_rawseti(L, -2, ++n);
        }
    }
    return 1;
}

int mw_door_doc(lua_State *L) {
    static const luaL_Reg fns[] = {{"texts", doc_texts}, {NULL, NULL}};

    luaL_newlib(L, fns);
    return 1;
}
