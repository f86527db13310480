/* The audit: a line of JSON for every decision.
 * Knows: grants. Never: decides; opens the file. */
#ifndef MW_POLICY_AUDIT_H
#define MW_POLICY_AUDIT_H

#include "policy/grant.h"

/* Who said so. */
enum mw_by { MW_BY_RULE, MW_BY_PERSON };

/* Writes the line of a decision, if there is an audit. outcome: "granted", "denied", "granted once", ... subject NULL: everything of
 * the kind. 0; or the code of what kept the line from being written whole: what was asked for must not happen then. */
int mw_audit(mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const char *outcome, enum mw_by by, const struct mw_decision *d);

#endif
