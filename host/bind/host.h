/* What a script knows of its host: its own path, its arguments, its parent.
 * Knows: core, lua.h. Never: opens anything. */
#ifndef MW_BIND_HOST_H
#define MW_BIND_HOST_H

#include <lua.h>
#include <stdint.h>

struct mw_host_door {
    const char *script_path, *program;      /* may be NULL */
    const char *const *args;                /* NULL-terminated, or NULL */
    size_t args_zero;                       /* which of them is arg[0] */
    int parent_fd, parent_stdio, notify_fd, warden;     /* the descriptors are taken, unless this raises */
    uint64_t child_files;
    int keeps_arg;                          /* 1: the global `arg` is somebody else's */
};

/* Keeps copies of what the assembly was given for the doors; sets the global `arg`.                      [-0, +0, m] */
void mw_host_door_set(lua_State *L, const struct mw_host_door *given);

/* The descriptor for mw.parent, or the one to say that the script is ready. Lent; -1: none. Whoever takes it writes -1 there; what nobody
 * takes is closed with the state.                                                                        [-0, +0, e] */
int *mw_host_door_fd(lua_State *L, int notify);

/* Pushes the arguments for the script's `...`; returns how many.                                         [-0, +n, e] */
int mw_host_door_push_args(lua_State *L);


#endif
