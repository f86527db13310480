/* Parts: pieces of the library that lie in objects of their own (moonwire-NAME.so) and are opened at first use, so that a script
 * that needs neither TLS nor compression pays for neither. A program that links them in finds them there instead.
 * Knows: core/host, dlopen(3). Never: what a part does; searches a path that the environment names. */
#ifndef MW_CORE_PART_H
#define MW_CORE_PART_H

#include "core/host.h"

enum mw_part { MW_PART_TLS, MW_PART_SQUEEZE, MW_PARTS };

/* The table of functions that a part exports: `symbol` is its name, such as "mw_tls_calls". Lent, for good: what was opened is never
 * unloaded. NULL: err says that the part is not installed, and where it was looked for. Blocks for the loading (milliseconds) the
 * first time. Loop thread only. */
const void *mw_part_open(mw_host *h, enum mw_part part, const char *symbol, const char *op, struct mw_err *err);

/* Where the object of a part lies: beside the program or library that this code is in, or where it was installed. NULL: nowhere.
 * Lent by the host. For the lock, and for children, which open it themselves. */
const char *mw_part_path(mw_host *h, enum mw_part part);

#endif
