/* A look at a task from outside: what it waits for, where, since when.
 * Knows: core, lua.h. Never: changes anything; raises. */
#include <stdio.h>
#include <string.h>

#include "core/inside.h"

#define LEVELS 64               /* of a task's stack that are looked at */

static const char *leaf(const char *source) {
    const char *slash = strrchr(source, '/');
    return slash != NULL ? slash + 1 : source;
}

/* A frame of the script: neither C nor one of our embedded modules. */
static int is_script(const lua_Debug *ar) {
    return ar->currentline > 0 && strncmp(ar->source, "=[moonwire", 10) != 0;
}

/* The innermost line of the script, and what it called; and the function that the task began with. */
static void walk(lua_State *co, struct mw_task_look *out) {
    char inner[sizeof out->what] = "";
    lua_Debug ar;
    int found = 0;

    for (int level = 0; level < LEVELS && lua_getstack(co, level, &ar); level++) {
        if (!lua_getinfo(co, "nSl", &ar)) return;
        if (!is_script(&ar)) {
            if (!found && ar.name != NULL) snprintf(out->what, sizeof out->what, "%.39s", ar.name);
            else if (!found && *ar.what != 'C') /* called last by another of ours: its module has to do */
                snprintf(out->what, sizeof out->what, "%.*s", (int)strcspn(ar.short_src + 10, "]"), ar.short_src + 10);
            if (inner[0] == 0) memcpy(inner, out->what, sizeof inner);
            continue;
        }
        if (!found) snprintf(out->where, sizeof out->where, "%.50s:%d", leaf(ar.short_src), ar.currentline);
        found = 1;
        if (ar.linedefined > 0) snprintf(out->base, sizeof out->base, "%.50s:%d", leaf(ar.short_src), ar.linedefined);
        else snprintf(out->base, sizeof out->base, "%.60s", leaf(ar.short_src));
    }
    if (!found) memcpy(out->what, inner, sizeof inner); /* a tail call has taken the script's line away */
}

void mw_task_look(const mw_task *t, struct mw_task_look *out) {
    static const char *const states[] = {"ready", "running", "waiting", "done"};
    uint64_t now = uv_now(t->host->loop);

    memset(out, 0, sizeof *out);
    out->number = t->number;
    out->name = t->name;
    out->state = states[t->state];
    out->daemon = t->daemon;
    out->cancelled = t->cancelled;
    out->ms = t->since != 0 && now > t->since ? now - t->since : 0;
    if (t->state == TASK_PARKED || t->state == TASK_READY) walk(t->co, out);
}

mw_task *mw_task_find(mw_host *h, unsigned number) {
    for (struct mw_list *l = h->tasks.next; l != &h->tasks; l = l->next) {
        mw_task *t = MW_LIST_ENTRY(l, mw_task, all);
        if (t->number == number) return t;
    }
    return NULL;
}
