/* Waiting for another thread by looking, where a lock or a semaphore would order what the test wants unordered.
 * Knows: nanosleep(2). Never: sched_yield(2): beside busy programs each call may cost all of their slices, and who waits does so
 * a hundred thousand times. */
#ifndef SPEC_SUPPORT_SPIN_H
#define SPEC_SUPPORT_SPIN_H

#include <time.h>

/* Between two looks: mostly nothing; now and then a short sleep, so that the other thread has the processor if there is one only. */
__attribute__((unused)) static void spin_once(void) {
    static _Thread_local unsigned looks;
    static const struct timespec moment = {.tv_nsec = 1000};

    if (++looks % 256 == 0) nanosleep(&moment, NULL);
}

#endif
