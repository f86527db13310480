/* Waiting for the end of a thread, but not for ever, whatever becomes of the wall clock.
 * Knows: POSIX threads. Never: starts one. */
#include "base/thread.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define WALL_CLOCK 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define WALL_CLOCK 1            /* that sanitizer knows of no other join with an end */
#endif
#ifndef __GLIBC__
#define WALL_CLOCK 1
#elif !__GLIBC_PREREQ(2, 31)
#define WALL_CLOCK 1
#endif

#ifdef WALL_CLOCK
#define CLOCK CLOCK_REALTIME
#else
#define CLOCK CLOCK_MONOTONIC
#endif

void mw_thread_until(struct timespec *until, unsigned ms) {
    clock_gettime(CLOCK, until);
    until->tv_nsec += (long)(ms % 1000) * 1000000;
    until->tv_sec += (time_t)(ms / 1000) + until->tv_nsec / 1000000000;
    until->tv_nsec %= 1000000000;
}

int mw_thread_join(pthread_t thread, const struct timespec *until) {
#ifdef WALL_CLOCK
    return pthread_timedjoin_np(thread, NULL, until);
#else
    return pthread_clockjoin_np(thread, NULL, CLOCK, until);
#endif
}
