/* How a decision ends: granted, granted by a person, or denied in words; and the audit's line of it.
 * Knows: grants, audit. Never: decides. */
#ifndef MW_POLICY_DENY_H
#define MW_POLICY_DENY_H

#include "policy/grant.h"

/* Would a person be asked? subject NULL: everything of the kind. */
int mw_ask_possible(const mw_policy *p, const char *subject, const struct mw_decision *d);

enum mw_said { MW_SAID_NO, MW_SAID_ONCE, MW_SAID_ALWAYS, MW_SAID_NOTHING };     /* the last: nobody was asked */
/* Asks, when nothing grants it, no rule denies it, and there is somebody to ask. t: what the subject led to, so that the person is
 * asked about that very thing; NULL: the subject is a rule's text (permissions.request). MW_SAID_ALWAYS: a rule for it was added.
 * What was said once of a host (t->before) holds for its addresses, until the host is asked about again. later: and `once` is kept for
 * the next use. */
enum mw_said mw_ask(mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_target *t, const struct mw_decision *d, int later);

/* Ends a decision about `t`: asks if that is possible, fills err if it stays denied, writes the audit's line. 0 or MW_EDENIED. */
int mw_settle(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_target *t,
              const struct mw_decision *d);
/* Decides `t`, and settles. */
int mw_decide_or_ask(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_target *t);
/* The same, asking nobody: a name that is only tried, and leads to nothing. */
int mw_decide_unasked(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_target *t);
/* Settles what is denied whatever a person would say. Returns MW_EDENIED: denied, and the flag (or whatever else) that would grant it. */
int mw_deny_decided(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_decision *d);

#endif
