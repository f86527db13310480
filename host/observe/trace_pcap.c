/* Traces as pcapng.
 * Knows: observe/trace_parts. Never: a packet, in this version. */
#include "observe/trace_parts.h"

void mw_trace_pcapng(mw_trace *t, const struct mw_event *e) {
    (void)t;
    (void)e;
}
