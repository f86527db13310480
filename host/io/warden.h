/* The warden: a tiny program of ours, in a session of its own, that ends our children's groups when we are gone, even by -9, and removes the
 * private directory that they had.
 * Knows: io/spawn.h. Never: a program's name, a policy; the program itself (warden_main.c) knows nothing but its pipe. */
#ifndef MW_IO_WARDEN_H
#define MW_IO_WARDEN_H

#include <stdint.h>

/* What goes down the pipe, which holds 8,192 of them: 8 bytes at a time, so each arrives whole. */
struct mw_warden_word {
    int32_t op, group;
};
enum mw_warden_op {
    MW_WARDEN_ADD,            /* a group was born (said by the child itself, before it becomes the program) */
    MW_WARDEN_LEFT,           /* its leader was reaped: keep it only while it has members */
    MW_WARDEN_LEAVE           /* nothing is left to guard: leave at once */
};

#define MW_WARDEN_GRACE_MS 2000   /* between TERM and KILL, once the host is gone */
#define MW_WARDEN_SWEEP_MS 1000   /* how often groups without a leader are looked at */
#define MW_WARDEN_GROUPS 8192     /* that one warden can hold */

#ifndef MW_WARDEN_FREESTANDING
#include "io/spawn.h"

typedef struct mw_warden mw_warden;

/* The private directory, open as `self`: `leaf` in the open directory `base`. Lent while mw_warden_open runs. */
struct mw_warden_dir {
    int base, self;
    const char *leaf;
};

/* Starts one. Given: end it with mw_warden_close. -ENOSYS where there is none (not Linux), or a code.
 * dir: what it removes, with all that is in it, after the last child of a host that is gone; may be NULL
 * died: called with ud if it ends by itself (somebody killed it); it may close it and open another; may be NULL */
int mw_warden_open(uv_loop_t *loop, const struct mw_warden_dir *dir, const char *op, void (*died)(void *ud), void *ud, mw_warden **out, struct mw_err *err);
/* Ends it without a look at the groups and the directory (the host ends them itself, or tells another warden); waits until it is reaped, which
 * is at once. NULL is fine. */
void mw_warden_close(mw_warden *w);
/* 0 once it has died by itself or been killed. NULL is fine. */
int mw_warden_running(const mw_warden *w);
/* One word; 0, or -EPIPE: it is gone; -EAGAIN: it does not read. Never blocks, never a SIGPIPE. */
int mw_warden_tell(mw_warden *w, enum mw_warden_op op, pid_t group);
/* What a child writes to (mw_spawn.warden_fd). Lent; -1 for NULL. */
int mw_warden_fd(const mw_warden *w);
pid_t mw_warden_pid(const mw_warden *w);
#endif

#endif
