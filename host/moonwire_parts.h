/* What the files of the assembly share: what is kept beside a host.
 * Knows: moonwire.h, core. Never: included outside the assembly. */
#ifndef MW_MOONWIRE_PARTS_H
#define MW_MOONWIRE_PARTS_H

#include <lua.h>

#include "base/thread.h"
#include "bind/engine.h"
#include "core/host.h"
#include "core/timer.h"
#include "moonwire.h"
#include "policy/confine.h"

/* Reached through its host's hooks. */
struct assembly {
    struct mw_config cfg;           /* its pointers are not kept, save the hooks' and the program's name */
    mw_host *host;
    mw_policy *policy;
    struct mw_timer deadline;
    int deadline_status;
    const char *deadline_why;
    int denied;                     /* an EDENIED reached the error hook */
    mw_host_ask *ask;
    void *ask_ud;
    mw_cage *lock;                  /* that this process wears; NULL: none */
    mw_engine *engine;              /* what script and program have for one another */
    struct mw_list watches, signals;        /* moonwire_watch.c */
    int ended;                      /* nothing from outside comes any more */
    struct mw_thread_stack stack;   /* of the thread that was here last */
};

static inline struct assembly *mw_assembly_of(mw_host *h) {
    return mw_host_hooks(h)->ud;
}

/* moonwire_load.c: the whole of a descriptor; *text is malloc'd, given. */
int mw_read_all(int fd, const char *op, const char *path, size_t max, char **text, size_t *len, struct mw_err *err);
/* moonwire_talk.c: *err as the error on top of L has it (popped), which a lua_pcall ended with `status`: MW_ENOMEM when there was no
 * memory, MW_ELIMIT by the host's own limit. Returns its code.                                              [-1, +0, -] */
int mw_take_error(lua_State *L, int status, struct mw_err *err);
/* moonwire.c: has this thread the stack that moonwire.h speaks of? Else MW_ELIMIT. quick: as base/thread has it. */
int mw_stack_check(struct mw_thread_stack *s, int quick, const char *op, struct mw_err *err);
/* moonwire_watch.c: before the host's end. */
void mw_watches_end(mw_host *h);

#endif
