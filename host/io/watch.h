/* A watch: what happens to a directory's entries, or to one name in a directory, told by the kernel (inotify(7)).
 * Knows: base, core/host, core/wait, policy/permit, uv.h. Never: Lua values; polls.
 *
 * A file is watched through its directory, by its name: so it is followed over atomic replacement and rotation, and other
 * names of that directory are never told. Nothing is queued here but one read of the kernel's own (bounded) queue. */
#ifndef MW_IO_WATCH_H
#define MW_IO_WATCH_H

#include "core/host.h"
#include "core/wait.h"

typedef struct mw_watch mw_watch;

enum mw_watch_what { MW_CREATED, MW_CHANGED, MW_REMOVED, MW_RENAMED, MW_OVERFLOW };

/* Lent until the next call on the watch. */
struct mw_watch_event {
    enum mw_watch_what what;
    const char *name;            /* inside the watched directory; "" for the watched thing itself */
    const char *from;            /* MW_RENAMED: the name it had; else NULL */
    int last;                    /* the watched directory is gone: nothing follows */
};

/* path: a directory (its entries are told), or a name that need not exist (only what happens to it is told).
 * Needs read of `path`. Given. -EMFILE and -ENOSPC come with the kernel setting that allows more. */
int mw_watch_open(mw_host *h, const char *path, mw_watch **out, struct mw_err *err);
void mw_watch_close(mw_watch *w);        /* idempotent; wakes all who wait */
void mw_watch_free(mw_watch *w);         /* closes, and drops the caller's reference; NULL is fine */
int mw_watch_closed(const mw_watch *w);

/* The next event. 1: *out; 0: none now: wait on mw_watch_ready after mw_watch_arm; <0: MW_ECLOSED, MW_EEOF (nothing will
 * ever come), the system's code. */
int mw_watch_next(mw_watch *w, struct mw_watch_event *out, struct mw_err *err);
int mw_watch_arm(mw_watch *w, struct mw_err *err);
struct mw_wait *mw_watch_ready(mw_watch *w);
const char *mw_watch_path(const mw_watch *w);

#endif
