/* The policy: a stack of layers of rules; every layer must say yes (permissions.md 1).
 * Knows: base, observe. Never: Lua, the loop, a terminal. */
#ifndef MW_POLICY_POLICY_H
#define MW_POLICY_POLICY_H

#include <stddef.h>

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mw_policy mw_policy;

enum mw_kind { MW_READ, MW_WRITE, MW_NET, MW_CONNECT, MW_LISTEN, MW_RUN, MW_TRUST, MW_ENV, MW_SYS, MW_SHARE, MW_FFI, MW_KINDS };
enum mw_effect { MW_ALLOW, MW_DENY };

/* A policy with one empty layer (nothing is allowed). Relative paths in rules are relative to the working directory at the
 * time of mw_policy_add. Given: end with mw_policy_free (NULL is fine). */
int mw_policy_new(mw_policy **out, struct mw_err *err);
void mw_policy_free(mw_policy *p);
int mw_policy_copy(const mw_policy *p, mw_policy **out, struct mw_err *err);

/* This process wears a cage that was made from exactly what p says now (a script child's, at its start). Its own children wear it
 * too, so that cages made for them need not repeat it where they cannot: a folder that is opened up can no longer be listed. */
int mw_policy_hold(mw_policy *p, struct mw_err *err);

/* Adds rules to the top layer. rules: comma separated as on the command line (`\,` is a comma); NULL: everything of the kind.
 * MW_NET is both directions; MW_TRUST implies run. Holds a descriptor for each granted directory and pins programs now.
 * MW_EINVAL: a bad rule; err names the rule and the column. MW_ENOENT: a program that does not exist. */
int mw_policy_add(mw_policy *p, enum mw_kind kind, enum mw_effect effect, const char *rules, struct mw_err *err);
/* One rule, no comma splitting (a list from Lua). */
int mw_policy_add_one(mw_policy *p, enum mw_kind kind, enum mw_effect effect, const char *rule, struct mw_err *err);
/* A policy file's text becomes the lowest layer: {"read": ["data", "/etc/hosts"], "net": true, "deny": {"read": ["data/keys"]}};
 * a rule alone is a list of one, false an empty one.
 * Kinds and rules are the flags'; relative paths are taken from `dir` (NULL: the working directory). What is added to p later
 * (mw_policy_add, mw_policy_add_all) is a layer above it that only narrows: a kind that it grants nothing of stays as the file
 * has it. p is new, nothing was added to it. MW_EINVAL: err->what begins with "LINE:COLUMN: "; p is of no use then. */
int mw_policy_add_json(mw_policy *p, const char *text, size_t len, const char *dir, struct mw_err *err);
/* Everything, also what no rule can name (-A). */
int mw_policy_add_all(mw_policy *p, struct mw_err *err);
int mw_policy_is_total(const mw_policy *p);      /* 1 when nothing was ever narrowed from mw_policy_add_all */

/* Beside each grant of trust or of a native module for a file that could be written: a denial of writing it, in the same layer. A
 * layer that grants everything gets none. Once all that a user said is added; again does no harm. */
int mw_policy_guard(mw_policy *p, struct mw_err *err);

/* Pushes a new, empty layer: a child's or worker's `permissions`. A kind that it does not mention is denied. */
int mw_policy_narrow(mw_policy *p, struct mw_err *err);
/* Adds a deny layer that nothing overrides: the whole kind (rule NULL), or the rule and all below it. For good. */
int mw_policy_drop(mw_policy *p, enum mw_kind kind, const char *rule, struct mw_err *err);

/* Lua modules (*.lua) below `dir` are free to read for `require`: the main script's directory, the built-in module path. No rule
 * and no right: nothing else below it can be read, and mw_policy_drop does not end it. Copied with the policy, not saved: a child has its own. */
int mw_policy_free_module_dir(mw_policy *p, const char *dir, struct mw_err *err);
/* 1 if Lua modules below `dir` may be read, by right or because they are free: then a child's may be too. Asks nobody. */
int mw_policy_reads_modules(const mw_policy *p, const char *dir);

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

/* What any confined program may open, whatever the rights (a denial of the very path, or of one above it, takes it away): a row a path. */
struct mw_loading_row {
    const char *path;            /* NULL ends the table */
    int write, execute;          /* beside reading */
    const char *why;
};
const struct mw_loading_row *mw_loading_table(void);     /* static */

const char *mw_kind_name(enum mw_kind kind);            /* "read" ... */
int mw_kind_of(const char *name);                       /* or -1 */

/* Somebody to ask when a right is missing: 1 grants once, 2 always until exit, 0 no, 3 no: the third of the same is until exit. Never
 * about what a rule denies, what was dropped, what a policy file or a child's permissions lack. subject: paths absolute and without
 * links; NULL: everything of the kind. flag: what would grant it, quoted for a shell, or as mw_policy_name_flags says. Not copied with
 * the policy. */
typedef int mw_policy_ask(void *ud, enum mw_kind kind, const char *subject, const char *flag);
void mw_policy_on_ask(mw_policy *p, mw_policy_ask *ask, void *ud);
/* 0: not for what runs now; nobody is asked then, as if there were nobody. Gets ask's ud; NULL: always. */
void mw_policy_on_may_ask(mw_policy *p, int (*may_ask)(void *ud));
/* The flag that would grant the subject (NULL: everything of the kind), quoted for a shell: '--allow-read=/tmp/a b'. Returns its length;
 * what does not fit is cut. */
size_t mw_policy_flag(enum mw_kind kind, const char *subject, char *out, size_t size);

/* Says where the script stands ("quest.lua:12"; out is "" when it does not run), for the audit. size: at least MW_WHERE_MAX. */
#define MW_WHERE_MAX 256
typedef void mw_policy_where(void *ud, char *out, size_t size);
void mw_policy_on_where(mw_policy *p, mw_policy_where *where, void *ud);

/* From here on every decision is a line of JSON in fd (lent; opened with O_APPEND; -1: none), written before what was asked for
 * happens; if it cannot be written that is refused. host: tells the hosts of a process apart; at most 23 bytes. Queries are no decisions.
 * {"time", "pid", "host", "kind", "op", "subject", "outcome": "granted" | "denied" | "granted once" | "granted always", "rule": the flag that
 * decided | "drop" | "permissions" | "--policy..." | "modules" | "prompt" | null, "where"}; without flags
 * (mw_policy_name_flags) "policy: read=/x" and "policy file..."; a subject that is no UTF-8 also has "subject_hex".
 * Not copied with the policy. */
void mw_policy_audit(mw_policy *p, int fd, const char *host);
int mw_policy_audit_fd(const mw_policy *p);      /* or -1 */
/* A line about something else: how a child was confined, that the host locked itself. Texts but op may be NULL. 0, or MW_EDENIED (and
 * err) when it cannot be written: what it tells of must not happen then. Free when there is no audit. */
int mw_policy_audit_note(mw_policy *p, const char *kind, const char *op, const char *subject, const char *outcome, const char *rule,
                         struct mw_err *err);
/* A refusal that no rule's decision is: the audit's line, and err filled with `what` (NULL: "denied"). Returns MW_EDENIED. */
int mw_policy_refuse(mw_policy *p, const char *kind, const char *op, const char *subject, const char *what, struct mw_err *err);

#ifdef __cplusplus
}
#endif
#endif
