/* What a host counts of itself: plain numbers, one addition each, where they happen; and how long things took, once somebody asked.
 * What can be read off the living (open streams, pools, tasks) is not counted here, only what has gone.
 * Knows: base, observe/meter. Never: a clock; costs anything on the path of a frame. */
#ifndef MW_OBSERVE_MEASURES_H
#define MW_OBSERVE_MEASURES_H

#include "observe/meter.h"

/* Codes have places: errno's, ours, the resolver's; 0: all others. */
enum { MW_MEASURES_ERRNO = 134, MW_MEASURES_OURS = 17, MW_MEASURES_EAI = 16,
       MW_MEASURES_CODES = MW_MEASURES_ERRNO + MW_MEASURES_OURS + MW_MEASURES_EAI };
/* What takes time. */
enum mw_time { MW_TIME_LAG, MW_TIME_SPAWN, MW_TIME_CALL_PROCESS, MW_TIME_CALL_THREAD, MW_TIME_CALL_WORKER, MW_TIME_CALL_RPC,
               MW_TIME_WAIT_PROCESS, MW_TIME_WAIT_THREAD, MW_TIMES };

struct mw_measures {
    uint64_t errors[MW_MEASURES_CODES];         /* error objects made, by code */
    uint64_t bytes_in, bytes_out;               /* of streams that have closed */
    uint64_t frames_in, frames_out;             /* of channels that have gone */
    uint64_t streams;                           /* opened */
    uint64_t accepted;                          /* connections of listeners */
    uint64_t children, children_ended;
    uint64_t workers;                           /* threads, started */
    uint64_t cycles;                            /* of the collector */
    struct { uint64_t completed, failed, crashed, restarted; } pools[2];    /* of pools that have gone: processes, threads */
    struct mw_series *times[MW_TIMES];          /* lent by whoever shows them; NULL: nobody asks */
};

/* The place of a code, and a code of a place (0: of none). */
unsigned mw_measures_place(int code);
int mw_measures_code(unsigned place);

/* It took so many ns. */
static inline void mw_measure(const struct mw_measures *m, enum mw_time what, uint64_t ns) {
    if (m->times[what] != NULL) mw_series_observe(m->times[what], (double)ns * 1e-9);
}

#endif
