/* --confine: whether the host locks itself.
 * Knows: moonwire.h, front/.
 * Never: exits; decides what the lock holds. */
#ifndef MW_FRONT_LOCK_H
#define MW_FRONT_LOCK_H

#include "front/flags.h"

/* Before the script is loaded: a loaded one that is not run has begun to be. policy: of the host. 0: go on, locked or not; else the exit status, and the reason was told. */
int mw_lock(mw_host *h, const struct mw_flags *flags, const mw_policy *policy);

#endif
