/* Waiting for the end of a thread, but not for ever, whatever becomes of the wall clock.
 * Knows: POSIX threads. Never: starts one. */
#ifndef MW_BASE_THREAD_H
#define MW_BASE_THREAD_H

#include <pthread.h>
#include <time.h>

/* So many milliseconds from now, on the clock that mw_thread_join reads. */
void mw_thread_until(struct timespec *until, unsigned ms);

/* pthread_join(3) with an end: 0, and the thread is gone; ETIMEDOUT, or another errno. */
int mw_thread_join(pthread_t thread, const struct timespec *until);

#endif
