/* The policy: a stack of layers of rules; every layer must say yes (permissions.md 1).
 * Knows: base, observe. Never: Lua, the loop, a terminal. */
#ifndef MW_POLICY_POLICY_H
#define MW_POLICY_POLICY_H

#include <stddef.h>

#include "base/err.h"

typedef struct mw_policy mw_policy;

enum mw_kind { MW_READ, MW_WRITE, MW_NET, MW_CONNECT, MW_LISTEN, MW_RUN, MW_TRUST, MW_ENV, MW_SYS, MW_SHARE, MW_FFI, MW_KINDS };
enum mw_effect { MW_ALLOW, MW_DENY };

/* A policy with one empty layer (nothing is allowed). Relative paths in rules are relative to the working directory at the
 * time of mw_policy_add. Given: end with mw_policy_free (NULL is fine). */
int mw_policy_new(mw_policy **out, struct mw_err *err);
void mw_policy_free(mw_policy *p);
int mw_policy_copy(const mw_policy *p, mw_policy **out, struct mw_err *err);

/* Adds rules to the top layer. rules: comma separated as on the command line (`\,` is a comma); NULL: everything of the kind.
 * MW_NET is both directions; MW_TRUST implies run. Holds a descriptor for each granted directory and pins programs now.
 * MW_EINVAL: a bad rule; err names the rule and the column. MW_ENOENT: a program that does not exist. */
int mw_policy_add(mw_policy *p, enum mw_kind kind, enum mw_effect effect, const char *rules, struct mw_err *err);
/* One rule, no comma splitting (a list from Lua). */
int mw_policy_add_one(mw_policy *p, enum mw_kind kind, enum mw_effect effect, const char *rule, struct mw_err *err);
/* Everything, also what no rule can name (-A). */
int mw_policy_add_all(mw_policy *p, struct mw_err *err);
int mw_policy_is_total(const mw_policy *p);      /* 1 when nothing was ever narrowed from mw_policy_add_all */

/* Pushes a new, empty layer: a child's or worker's `permissions`. A kind that it does not mention is denied. */
int mw_policy_narrow(mw_policy *p, struct mw_err *err);
/* Adds a deny layer that nothing overrides: the whole kind (rule NULL), or the rule and all below it. For good. */
int mw_policy_drop(mw_policy *p, enum mw_kind kind, const char *rule, struct mw_err *err);

/* Lua modules (*.lua) below `dir` are free to read for `require`: the main script's directory, the built-in module path. No rule
 * and no right: nothing else below it can be read, and mw_policy_drop does not end it. Copied with the policy, not saved: a child has its own. */
int mw_policy_free_module_dir(mw_policy *p, const char *dir, struct mw_err *err);

/* Is what `rule` names allowed by p, so that a child may be given it? MW_EDENIED if not: it asks for more than its parent has.
 * Denials below it are no obstacle: they bind the child too, since its layer only stands on top. rule NULL: the whole kind. */
int mw_policy_covers(const mw_policy *p, enum mw_kind kind, const char *rule, struct mw_err *err);

enum mw_answer { MW_GRANTED, MW_DENIED, MW_PROMPT };
/* What enforcement would say now, without asking anybody. subject NULL: the whole kind. */
enum mw_answer mw_policy_query(const mw_policy *p, enum mw_kind kind, const char *subject);

/* The same, but asks the person if there is one and it is not granted (mw.permissions.request). */
enum mw_answer mw_policy_request(mw_policy *p, enum mw_kind kind, const char *subject);
/* 0 if the subject can be read as the kind's grammar has it, else MW_EINVAL with the column. */
int mw_policy_check_subject(enum mw_kind kind, const char *subject, struct mw_err *err);

/* Calls fn for each rule of each layer, lowest first, drops last. rule NULL: the whole kind. */
void mw_policy_each(const mw_policy *p, void (*fn)(void *ud, int layer, enum mw_kind k, enum mw_effect e, const char *rule), void *ud);

/* Writes the whole policy to / reads it from a descriptor (a sealed memfd between a host and its script child).
 * Reading checks every length; MW_EINVAL on anything odd. */
int mw_policy_save(const mw_policy *p, int fd, struct mw_err *err);
int mw_policy_load(int fd, mw_policy **out, struct mw_err *err);

const char *mw_kind_name(enum mw_kind kind);            /* "read" ... */
int mw_kind_of(const char *name);                       /* or -1 */

/* For the program on a terminal: asked when a right is missing. 1 grants once, 2 always until exit, 0 no. */
typedef int mw_policy_ask(void *ud, enum mw_kind kind, const char *subject, const char *flag);
void mw_policy_on_ask(mw_policy *p, mw_policy_ask *ask, void *ud);

#endif
