/* The doors: one table of { name, opener }, and the way to the embedded modules.
 * Knows: bind, core, lua.h. Never: what is behind a door. */
#include "bind/doors.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "bind/embed.h"
#include "bind/std.h"
#include "codec/codec.h"
#include "core/raise.h"
#include "core/task.h"

static const luaL_Reg doors[] = {
    {"arg", mw_door_arg},
    {"auth", mw_door_auth},
    {"doc", mw_door_doc},
    {"engine", mw_door_engine},
    {"err", mw_door_err},
    {"frame", mw_door_frame},
    {"fs", mw_door_fs},
    {"host", mw_door_host},
    {"json", mw_door_json},
    {"metrics", mw_door_metrics},
    {"net", mw_door_net},
    {"policy", mw_door_policy},
    {"pool", mw_door_pool},
    {"process", mw_door_process},
    {"repl", mw_door_repl},
    {"schema", mw_door_schema},
    {"stream", mw_door_stream},
    {"log", mw_door_log},
    {"look", mw_door_look},
    {"msgpack", mw_door_msgpack},
    {"shm", mw_door_shm},
    {"signal", mw_door_signal},
    {"sys", mw_door_sys},
    {"task", mw_door_task},
    {"tls", mw_door_tls},
    {"trace", mw_door_trace},
#ifndef MW_MODULE /* a Lua of somebody else's has luv itself */
    {"uv", mw_door_uv},
#endif
    {"worker", mw_door_worker},
};

/* Lua's own libraries that need no guard, or none but an end. */
static const luaL_Reg plain[] = {
    {LUA_GNAME, luaopen_base}, {LUA_STRLIBNAME, mw_std_open_string}, {LUA_TABLIBNAME, mw_std_open_table}, {LUA_MATHLIBNAME, luaopen_math},
    {LUA_UTF8LIBNAME, luaopen_utf8}, {LUA_COLIBNAME, mw_coroutine_open},
};

static const char core_key, modules_key, globals_key; /* registry */

/* A door is opened when it is first looked up: an empty script pays for none.                      core.NAME -> table */
static int open_door(lua_State *L) {
    const char *name = lua_tostring(L, 2);

    for (size_t i = 0; name != NULL && i < sizeof doors / sizeof *doors; i++) {
        if (strcmp(doors[i].name, name) != 0) continue;
        doors[i].func(L);
        lua_pushvalue(L, 2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 1);
        return 1;
    }
    return luaL_error(L, "no door '%s'", name != NULL ? name : "?");
}

int mw_module_push(lua_State *L, const char *name) {
    const struct mw_embedded *it;

#ifndef MW_MODULE
    if (strcmp(name, "luv") == 0) name = "uv"; /* what luv's own scripts call it; luv itself is never opened beside ours */
#endif
    it = mw_embedded_find(strcmp(name, "uv") == 0 ? "moonwire.uv" : name);
    if (it == NULL) return 0;
    luaL_checkstack(L, 8, name);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &modules_key); /* [modules] */
    if (lua_getfield(L, -1, name) != LUA_TNIL) {
        lua_remove(L, -2);
        return 1;
    }
    lua_pop(L, 1);
    lua_pushfstring(L, "=[%s]", name);               /* [modules chunkname] */
    if (luaL_loadbufferx(L, it->text, it->len, lua_tostring(L, -1), "t") != LUA_OK) return lua_error(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &globals_key) == LUA_TTABLE) (void)lua_setupvalue(L, -2, 1);
    else lua_pop(L, 1);
    lua_pushstring(L, name);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &core_key);
    lua_call(L, 2, 1);                               /* [modules chunkname module] */
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, name);
    lua_replace(L, -3);
    lua_pop(L, 1);                                   /* [module] */
    return 1;
}

static int core_module(lua_State *L) { /* core.module(name) -> module */
    const char *name = luaL_checkstring(L, 1);
    return mw_module_push(L, name) ? 1 : luaL_error(L, "no module '%s'", name);
}

/* What api.md has under mw., and nothing that it is built of. */
int mw_module_public(const char *name) {
    static const char *const parts[] = {"auth", "env", "frame", "fs", "host", "inspect", "json", "log", "metrics", "msgpack", "net",
                                        "permissions", "platform", "process", "random", "rpc", "schema", "serve", "shm", "supervisor",
                                        "sys", "task", "time", "trace", "uv", "worker"};
    static const char prefix[] = "moonwire.";

    if (strcmp(name, "moonwire") == 0 || strcmp(name, "uv") == 0 || strcmp(name, "luv") == 0) return 1;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i], name + sizeof prefix - 1) == 0) return 1;
    return 0;
}
int mw_module_inner(const char *name) {
    static const char *const inner[] = {"moonwire.inspect_walk", "moonwire.preload", "moonwire.repl", "moonwire.repl_commands",
                                        "moonwire.repl_eval", "moonwire.repl_show", "moonwire.repl_top", "moonwire.script",
                                        "moonwire.test", "moonwire.tls"};

    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        if (strcmp(inner[i], name) == 0) return 1;
    return 0;
}

void mw_doors_open(lua_State *L) {
    mw_codec_open(L);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &modules_key);
    lua_newtable(L);                                 /* [core] */
    lua_pushcfunction(L, core_module);
    lua_setfield(L, -2, "module");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, open_door);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &core_key);
}

/* The table on top, copied: [table] -> [table copy]; of functions only, where `functions`. */
static void copy_top(lua_State *L, int functions) {
    lua_newtable(L);                                 /* [table copy] */
    for (lua_pushnil(L); lua_next(L, -3) != 0; lua_pop(L, 1)) { /* [table copy key value] */
        if (functions && !lua_isfunction(L, -1)) continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
}

void mw_doors_keep(lua_State *L) {
    static const char *const libraries[] = {"string", "table", "math", "utf8", "coroutine", "debug", "os", "io"};

    luaL_checkstack(L, 8, NULL);
    lua_pushglobaltable(L);
    copy_top(L, 1);                                  /* [_G globals] */
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_pushstring(L, libraries[i]);
        if (lua_rawget(L, -3) == LUA_TTABLE) {       /* [_G globals library] */
            copy_top(L, 0);
            lua_setfield(L, -3, libraries[i]);
        }
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "package");
    lua_rawget(L, -3);
    lua_setfield(L, -2, "package");                  /* the script's, as _G is */
    lua_insert(L, -2);                               /* [globals _G] */
    lua_setfield(L, -2, LUA_GNAME);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &globals_key);
}

int mw_doors_furnish(lua_State *L) {
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        luaL_requiref(L, plain[i].name, plain[i].func, 1);
        lua_pop(L, 1);
    }
    mw_doors_open(L);
    mw_std_open(L);
    mw_doors_keep(L);
    return 0;
}
