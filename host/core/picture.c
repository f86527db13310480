/* The picture of tasks in a trace (observe/trace_chrome.c): when each ran and waited, for what, and who ended the wait.
 * Knows: core, observe/trace, lua.h. Never: called while tasks are not drawn; raises. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/inside.h"
#include "observe/trace.h"

#define NAME 80                      /* bytes */

struct mw_task_picture {
    uint64_t since;                  /* ns: when it began to run, or to wait */
    int waits;
    char name[NAME];                 /* what it waits for: "recv (quest.lua:12)" */
};

void mw_host_set_trace(mw_host *h, struct mw_trace *t) {
    h->head.trace = t;
    h->picture = t != NULL && mw_trace_wants_tasks(t) ? t : NULL;
    if (t != NULL) h->task_number = mw_trace_join(t);
}
struct mw_trace *mw_host_trace(const mw_host *h) {
    return h->head.trace;
}

static const char *leaf(const char *source) {
    const char *slash = strrchr(source, '/');
    return slash != NULL ? slash + 1 : source;
}

void mw_picture_named(mw_host *h, unsigned number, const char *name, lua_State *L, int function) {
    lua_Debug ar;
    char text[NAME];

    lua_pushvalue(L, function);
    if (!lua_getinfo(L, ">S", &ar)) return;
    if (name != NULL) snprintf(text, sizeof text, "%.60s", name);
    else if (*ar.what == 'C') snprintf(text, sizeof text, "task %u", number);
    else snprintf(text, sizeof text, "%.60s:%d", leaf(ar.short_src), ar.linedefined);
    mw_trace_task(h->picture, number, text);
}

/* What a task that has yielded waits in: the function, and the line of the script that called it. */
static void find(const mw_task *t, char *out) {
    struct mw_task_look look;

    mw_task_look(t, &look);
    if (look.where[0] != 0) snprintf(out, NAME, "%.39s (%.36s)", look.what[0] != 0 ? look.what : "wait", look.where);
    else snprintf(out, NAME, "%.39s", look.what[0] != 0 ? look.what : "wait");
}

void mw_picture_resumed(mw_task *t) {
    uint64_t now = mw_trace_now();

    if (t->picture == NULL) t->picture = calloc(1, sizeof *t->picture);
    if (t->picture == NULL) return;
    if (t->picture->waits) mw_trace_slice(t->host->picture, t->number, MW_SLICE_WAIT, t->picture->name, t->picture->since);
    t->picture->waits = 0;
    t->picture->since = now;
}

void mw_picture_rests(mw_task *t, int ended) {
    struct mw_task_picture *p = t->picture;

    if (p == NULL) return;
    mw_trace_slice(t->host->picture, t->number, MW_SLICE_RUN, NULL, p->since);
    p->since = mw_trace_now();
    p->waits = !ended;
    if (!ended) find(t, p->name);
}

void mw_picture_woken(mw_task *t) {
    const mw_task *by = t->host->running;

    if (by != NULL && by != t && t->picture != NULL) mw_trace_wake(t->host->picture, by->number, t->number);
}
