/* Watching a descriptor through libuv such that a kernel that says no is an error.
 * Knows: base/err, uv.h. Never: what is read or written; anything of a task. */
#ifndef MW_CORE_POLL_H
#define MW_CORE_POLL_H

#include <uv.h>

/* uv_poll_start, save that what the loop would do later, and abort() when it is refused, is tried here and now: the entry in
 * epoll (ENOMEM, ENOSPC: the user's limit of watches) and the room in libuv's table. libuv 1.44 then has nothing left to
 * do that could fail. 0 or a negative code; then the handle is stopped. Use it wherever uv_poll_start would stand. */
int mw_poll_start(uv_poll_t *poll, int events, uv_poll_cb cb);

/* The same for the descriptors that a fresh loop is born with. 0 or a code. */
int mw_poll_prepare(uv_loop_t *loop);

#endif
