/* The doors: which rooms a script can enter, and the modules that furnish them.
 * Knows: lua.h. Never: what is behind a door. */
#ifndef MW_BIND_DOORS_H
#define MW_BIND_DOORS_H

#include <lua.h>

/* Opens the library in a fresh state: Lua's own parts in their guarded forms, `core` with every door, and the way to the
 * embedded modules. In a protected call.                                                          [-0, +0, e] */
int mw_doors_furnish(lua_State *L);
/* The same without Lua's own parts: `core`, and the way to the embedded modules.                  [-0, +0, e] */
void mw_doors_open(lua_State *L);

/* Keeps Lua's own functions as they are now, for the embedded modules: what a script makes of its globals later is not theirs, however
 * late they are loaded.                                                                             [-0, +0, m] */
void mw_doors_keep(lua_State *L);

/* Pushes the module `name` ("moonwire", "moonwire.task", "uv"), loading it on first use; always the same object.
 * Returns 1, or 0 and pushes nothing when there is no such module.                                [-0, +0|1, e] */
int mw_module_push(lua_State *L, const char *name);
/* 1 for a module that `require` gives to every script. The others are what those are built of, and may change: only a script that may do
 * everything finds them (ours are tested so), save the inner ones, which work with what no script has. */
int mw_module_public(const char *name);
int mw_module_inner(const char *name);

/* Each pushes one table of functions, which becomes core.NAME. */
int mw_door_arg(lua_State *L);
int mw_door_auth(lua_State *L);
int mw_door_doc(lua_State *L);
int mw_door_engine(lua_State *L);
int mw_door_err(lua_State *L);
int mw_door_frame(lua_State *L);
int mw_door_host(lua_State *L);
int mw_door_json(lua_State *L);
int mw_door_metrics(lua_State *L);
int mw_door_net(lua_State *L);
int mw_door_policy(lua_State *L);
int mw_door_pool(lua_State *L);
int mw_door_process(lua_State *L);
int mw_door_stream(lua_State *L);
int mw_door_fs(lua_State *L);
int mw_door_log(lua_State *L);
int mw_door_look(lua_State *L);
int mw_door_msgpack(lua_State *L);
int mw_door_repl(lua_State *L);
int mw_door_schema(lua_State *L);
int mw_door_shm(lua_State *L);
int mw_door_signal(lua_State *L);
int mw_door_sys(lua_State *L);
int mw_door_task(lua_State *L);
int mw_door_tls(lua_State *L);
int mw_door_trace(lua_State *L);
int mw_door_uv(lua_State *L);
int mw_door_worker(lua_State *L);

#endif
