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
    pthread_t of;
    long number;                 /* the system's, of the thread; 0: not looked up */
    uintptr_t low, high;         /* 0: nobody knows */
};
/* The bytes of stack that the calling thread has left. SIZE_MAX: unlimited, or a stack of somebody else's making (a fibre's), whose end
 * nobody knows. Cheap when *s is of this thread already: a system call, and none when quick. But then the thread is known by its pthread_t,
 * which it may have from one that has ended and had more stack. */
size_t mw_thread_stack_left(struct mw_thread_stack *s, int quick);

/* Bytes of a thread's stack that are gone before it runs: ThreadSanitizer's own, which the C library puts there. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define MW_THREAD_STACK_GONE ((size_t)776 << 10)
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define MW_THREAD_STACK_GONE ((size_t)776 << 10)
#endif
#ifndef MW_THREAD_STACK_GONE
#define MW_THREAD_STACK_GONE ((size_t)0)
#endif

#endif
