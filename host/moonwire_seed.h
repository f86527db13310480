/* What a worker grows from: all that its host needs of its maker's, copied, so that it may go to another thread.
 * Knows: moonwire.h, share/worker. Never: included outside the assembly. */
#ifndef MW_MOONWIRE_SEED_H
#define MW_MOONWIRE_SEED_H

#include "moonwire.h"
#include "share/worker.h"

/* `maker`, `cfg`: the host that asks and its config. On success wish->text and wish->policy are taken. *out: given.
 * MW_ENOMEM, -EMFILE: nothing changed. */
int mw_seed_new(mw_host *maker, const struct mw_config *cfg, struct mw_seed_wish *wish, struct mw_seed **out, struct mw_err *err);

#endif
