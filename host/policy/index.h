/* Which rules of a list may fit a target, found by hash: for lists too long to ask each rule.
 * Knows: rules, targets. Never: decides (a rule that comes out may still not fit; one that fits always comes out).
 *
 * Whoever teaches mw_match a new way to fit teaches it here, too: spec/unit/policy_index_test.c compares them. */
#ifndef MW_POLICY_INDEX_H
#define MW_POLICY_INDEX_H

#include "policy/match.h"

#define MW_INDEX_FROM 8u         /* rules: fewer are asked one by one */

struct mw_index;

/* *ix may be NULL: made. The rule is lent and must not change. 0 or MW_ENOMEM (nothing was added; the index is of no use then). */
int mw_index_add(struct mw_index **ix, const struct mw_rule *r);
void mw_index_free(struct mw_index *ix);

/* Calls fn for every rule that fits, for some that do not, and for some more than once. */
void mw_index_each(const struct mw_index *ix, const struct mw_target *t, void (*fn)(void *ud, const struct mw_rule *r), void *ud);
/* Calls fn for each program's rule that is written so, and perhaps for others. */
void mw_index_written(const struct mw_index *ix, const char *text, void (*fn)(void *ud, const struct mw_rule *r), void *ud);

#endif
