/* Waiting for the end of a thread, but not for ever, whatever becomes of the wall clock; how much stack a thread has left.
 * Knows: POSIX threads. Never: starts one. */
#include "base/thread.h"

#include <sys/resource.h>
#ifdef __linux__
#include <sys/auxv.h>
#include <unistd.h>
#endif

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

#ifdef __linux__
/* The first thread's stack grows down to its limit from where the kernel has put the program's name. (pthread_getattr_np would read it
 * in /proc, which need not be there.) */
static void look_up(struct mw_thread_stack *s) {
    pthread_attr_t attr;
    struct rlimit limit;
    void *low = NULL;
    size_t size = 0;

    if (s->number == (long)getpid()) {
        s->high = (uintptr_t)getauxval(AT_EXECFN);
        if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < s->high) s->low = s->high - (uintptr_t)limit.rlim_cur;
    } else if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        if (pthread_attr_getstack(&attr, &low, &size) == 0) s->low = (uintptr_t)low, s->high = s->low + size;
        pthread_attr_destroy(&attr);
    }
}
#endif

size_t mw_thread_stack_left(struct mw_thread_stack *s, int quick) {
#ifdef __linux__
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if (s->number == 0 || (quick ? !pthread_equal(s->of, pthread_self()) : s->number != (long)gettid())) {
        *s = (struct mw_thread_stack){.of = pthread_self(), .number = (long)gettid()};
        look_up(s);
    }
    if (s->low != 0 && here >= s->low && here < s->high) return here - s->low;
#else
    (void)s, (void)quick;
#endif
    return SIZE_MAX;
}
