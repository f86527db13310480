/* A denial's words, and the person who may be asked first.
 * Knows: grants. Never: decides. */
#ifndef MW_POLICY_DENY_H
#define MW_POLICY_DENY_H

#include "policy/grant.h"

/* Asks, when nothing grants it, no rule denies it, and there is somebody to ask. 1: granted (for once, or from now on by a rule). */
int mw_ask(mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_decision *d);
/* Could it be asked? */
int mw_ask_possible(const mw_policy *p, const struct mw_decision *d);

/* Fills err: denied, and the flag (or whatever else) that would grant it. Returns MW_EDENIED. */
int mw_deny_decided(struct mw_err *err, const char *op, enum mw_kind kind, const char *subject, const struct mw_decision *d);
/* Decides `t`, asks, and fills err if it stays denied. 0 or MW_EDENIED. */
int mw_decide_or_ask(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_target *t);

#endif
