/* A second, quieter set of descriptors: those that are watched for reading and rarely have anything to say. One entry of epoll(7) in
 * the kernel is all that it takes, where a watcher of libuv takes 190 bytes here; an event costs one call more.
 * Knows: core/host, uv.h, epoll. Never: what is read; a descriptor's life. */
#ifndef MW_IO_PARK_H
#define MW_IO_PARK_H

#include "core/host.h"

/* Has on_event(who, failed) called on the loop thread whenever fd can be read, has come to its end, or (failed 1) only has an error to
 * tell; again and again until mw_park_leave. 0; -ENOSYS where there is no such set: watch it otherwise; or a code. The function must
 * be the same for all of a host. */
int mw_park_enter(mw_host *h, int fd, void *who, void (*on_event)(void *who, int failed));
/* Before fd is closed, and with a copy of it anywhere: the kernel goes by what is behind it. Nothing is called for `who` afterwards. */
void mw_park_leave(mw_host *h, int fd, void *who);

#endif
