/* Waiting for the end of a thread, but not for ever, whatever becomes of the wall clock; how much stack a thread has left.
 * Knows: POSIX threads. Never: starts one. */
#ifndef MW_BASE_THREAD_H
#define MW_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* So many milliseconds from now, on the clock that mw_thread_join reads. */
void mw_thread_until(struct timespec *until, unsigned ms);

/* pthread_join(3) with an end: 0, and the thread is gone; ETIMEDOUT, or another errno. */
int mw_thread_join(pthread_t thread, const struct timespec *until);

/* Where the stack of a thread lies, as far as it was looked up; zeroed before its first use. */
struct mw_thread_stack {
    long of;                     /* the system's number of the thread; 0: not looked up */
    uintptr_t low, high;         /* 0: nobody knows */
};
/* The bytes of stack that the calling thread has left. SIZE_MAX: unlimited, or a stack of somebody else's making (a fibre's), whose end
 * nobody knows. Cheap when *s is of this thread already. */
size_t mw_thread_stack_left(struct mw_thread_stack *s);

#endif
