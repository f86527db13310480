/* The assembly, watching: the engine's descriptors and signals on the host's loop.
 * Knows: moonwire.h, core, uv.h. Never: reads or writes a descriptor; takes a signal that nobody asked for. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "core/poll.h"
#include "moonwire_parts.h"

void mw_watches_end(mw_host *h) {
    (void)h;
}
