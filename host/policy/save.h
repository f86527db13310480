/* A policy as bytes: the reading half alone, for the fuzz target and for mw_policy_load.
 * Knows: grants. Never: believes a length. */
#ifndef MW_POLICY_SAVE_H
#define MW_POLICY_SAVE_H

#include "policy/policy.h"

/* Reads what mw_policy_save wrote. MW_EINVAL on anything odd. *out is given. */
int mw_policy_parse(const void *data, size_t len, mw_policy **out, struct mw_err *err);

#endif
