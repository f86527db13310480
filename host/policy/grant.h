/* Grants: the layers of a policy and what they say together.
 * Knows: rules, matching. Never: the error's text, a person (permit.c). */
#ifndef MW_POLICY_GRANT_H
#define MW_POLICY_GRANT_H

#include "policy/match.h"

enum mw_shape {
    MW_LAYER_CLOSED,             /* a kind that it does not mention is denied: the lowest layer, a child's `permissions` */
    MW_LAYER_OPEN,               /* a kind that it does not grant is as the other layers say: flags above a policy file */
    MW_LAYER_DROPS               /* denials alone, which nothing overrides */
};

/* Where a layer comes from: what a denial's text and an audit line say of it. */
enum mw_origin { MW_FROM_FLAGS, MW_FROM_FILE, MW_FROM_PERMISSIONS, MW_FROM_DROPS };

struct mw_layer {
    struct mw_layer *next;       /* the one above */
    enum mw_shape shape;
    enum mw_origin origin;
    int all;                     /* everything, also what no rule can name (-A) */
    unsigned count;              /* rules */
    struct mw_rule *rules[MW_KINDS];
    struct mw_rule *last[MW_KINDS];      /* of the list */
    unsigned counts[MW_KINDS], grants[MW_KINDS];  /* rules of a kind, and those of them that allow */
    struct mw_index *index[MW_KINDS];    /* of the list, when it is long; NULL: ask each rule */
};

/* What a person was asked about: granted once, kept for the use that it was meant for; or refused. */
#define MW_ONCE_MAX 8u
#define MW_REFUSED_MAX 256u
#define MW_REFUSALS 3            /* of the same thing, then nobody is asked again */
struct mw_once {
    enum mw_kind kind;
    int host;                    /* said of a host, and good for its addresses */
    int refusals;                /* how often a person said no */
    char *subject;               /* NULL: free */
};

struct mw_policy {
    struct mw_layer *layers;     /* the lowest first */
    struct mw_layer drops;       /* stands apart: always the last word */
    struct mw_rule *modules;     /* directories whose Lua modules are free to read */
    char *path;                  /* our PATH, as it was at the start */
    unsigned generation;         /* changes with every rule; never 0 */
    unsigned denials[MW_KINDS];  /* rules that deny, in all layers */
    mw_policy_ask *ask;
    void *ask_ud;
    int (*may_ask)(void *ud);    /* NULL: always */
    struct mw_once once[MW_ONCE_MAX];
    unsigned once_next;
    struct mw_once *refused;     /* MW_REFUSED_MAX of them; NULL: nothing was */
    unsigned refused_next;
    mw_policy_where *where;
    void *where_ud;
    int audit_fd;                /* lent; -1: no audit */
    char audit_host[24];
    int quiet;                   /* a query is under way: nobody is asked, nothing is audited */
    int no_flags;                /* hints name kinds and rules, there is no command line */
    struct mw_recall *recall;    /* directories walked to before; no decision */
    struct mw_policy *held;      /* what the kernel holds this whole process to since its start (mw_policy_hold); NULL: nothing */
};

enum mw_verdict { MW_NO, MW_MISS, MW_YES };     /* a denial decides; nothing grants it; granted */

struct mw_decision {
    enum mw_verdict verdict;
    unsigned layer;              /* of the verdict, when it is not yes: 0 is the lowest; MW_LAYER_OF_DROPS */
    const struct mw_rule *rule;  /* that decided; NULL: none did. Lent by the policy. */
    int forbidden;               /* no rule can grant it, only everything can; MW_FORBIDDEN_ALONE: and it lacks nothing else */
};
#define MW_FORBIDDEN_ALONE 2
#define MW_LAYER_OF_DROPS 0xffffu
#define MW_RULES_MAX 100000u     /* of one layer */
#define MW_DROPS_MAX 1024u

/* What the policy says of a target, asking nobody. */
void mw_decide(const struct mw_policy *p, const struct mw_target *t, struct mw_decision *out);
/* 1 if every layer has a grant of the whole kind. */
int mw_layer_every(const struct mw_policy *p, enum mw_kind kind);
/* 1 if any layer's rule for the kind (and those that count for it) passes `wanted`. */
int mw_decide_any(const struct mw_policy *p, enum mw_kind kind, int (*wanted)(const struct mw_rule *r, const void *ud), const void *ud);

/* The kinds whose rules count for a kind: connect has net's too. A NULL-terminated walk: for (i = 0; (k = mw_kind_next(kind, i)) >= 0; i++) */
int mw_kind_next(enum mw_kind kind, unsigned i);

struct mw_layer *mw_layer_top(const struct mw_policy *p);
/* Takes the rule, finds where it leads (pinning descriptors) and adds it to the layer. On failure the rule is freed. */
int mw_layer_take(struct mw_policy *p, struct mw_layer *layer, struct mw_rule *r, struct mw_err *err);
/* Takes a rule whose spot is filled already. */
int mw_layer_take_found(struct mw_policy *p, struct mw_layer *layer, struct mw_rule *r, struct mw_err *err);
/* An empty layer on top. */
int mw_layer_push(struct mw_policy *p, enum mw_shape shape, enum mw_origin origin, struct mw_layer **out, struct mw_err *err);

/* Fills r->spot (spot.c). 0, MW_ENOENT for a program that is not there, or a code; err named by the rule's flag. */
int mw_spot_find(const struct mw_policy *p, struct mw_rule *r, struct mw_err *err);
/* Fills r->spot of a denied program that was not found: its place alone, by its text. 0 or MW_ENOMEM, ... */
int mw_spot_unseen(struct mw_rule *r, struct mw_err *err);

/* The grant that a denial of writing in its layer was made for (mw_policy_guard); NULL: for none (guard.c). */
const struct mw_rule *mw_guard_of(const struct mw_layer *l, const struct mw_rule *d);

/* Did the person refuse just this, so often that they are not asked again? t: what the subject leads to; NULL: nothing that a path is. */
int mw_ask_refused(const struct mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_target *t);
/* What was said, once or no, is not good for anything any more. */
void mw_ask_forget(struct mw_policy *p);

/* Walks to `path` and fills the target of `kind` from where it led (path.c); the target lends w. kinds: a set of bits, for "..".
 * subject: PATH_MAX + 2 bytes, the path made absolute. 0 (see w->status; mw_walk_end), MW_EDENIED ("..": no decision needed), or a code. */
int mw_target_path(const struct mw_policy *p, unsigned kinds, const char *path, enum mw_walk_how how, char *subject, struct mw_walk *w,
                   struct mw_target *t);

/* A Unix socket by path: mw_permit_unix without the abstract names (path.c). */
struct mw_place;
int mw_permit_unix_path(mw_policy *p, enum mw_kind kind, const char *path, const char *op, struct mw_place *out, struct mw_err *err);

/* Finds a program in our PATH, or by path when it has a slash, links followed (program.c): 0 with `w` walked (mw_walk_end) and
 * `path` as it was found, absolute; MW_ENOENT; or a code. */
int mw_program_find(const struct mw_policy *p, const char *name, char path[MW_TRAIL_TEXT], struct mw_walk *w);
/* What mw_permit_exec decides about a name before it looks at a #! line: MW_RUN, or MW_TRUST (which needs run, too). 0, or the code
 * of a name that leads nowhere; d says even then whether it is denied. */
int mw_program_decide(const struct mw_policy *p, const char *name, enum mw_kind kind, struct mw_decision *d);
/* 1 if a grant of every layer could have meant `name`: that there is no such program is no secret then. */
int mw_program_named(const struct mw_policy *p, const char *name);
/* 1 if the code says something about the name that was looked up, and not about us (descriptors, memory). */
int mw_program_told(int code);

#endif
