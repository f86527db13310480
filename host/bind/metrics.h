/* What bind/metrics*.c share.
 * Knows: observe/meter, core. Never: a script's metrics. */
#ifndef MW_BIND_METRICS_H
#define MW_BIND_METRICS_H

#include <lua.h>

#include "core/host.h"
#include "observe/meter.h"

/* metrics_own.c: makes the host's own meters (moonwire_...) and has it measure times from now on. 0 or a code. */
int mw_metrics_own_open(mw_host *h, mw_meters *all, struct mw_err *err);
void mw_metrics_own_close(mw_host *h);                      /* before the meters are freed */
/* Puts the present values into them.                                                                       [-0, +0, -] */
void mw_metrics_own_collect(lua_State *L, mw_meters *all);

#endif
