/* A denial's words, and the person who may be asked first.
 * Knows: grants. Never: decides. */
#include "policy/deny.h"

#include <stdio.h>
#include <string.h>

#define ASK_MAX 1024             /* bytes of a subject that a person can judge */

/* The flag that a person would type: "--allow-read=/data/a\,b". Connecting and listening are both --allow-net. */
static void flag_text(char *out, size_t size, enum mw_kind kind, const char *subject, int forbidden) {
    enum mw_kind k = kind == MW_CONNECT || kind == MW_LISTEN ? MW_NET : kind;
    size_t at;

    if (forbidden) {
        snprintf(out, size, "--allow-all");
        return;
    }
    at = (size_t)snprintf(out, size, "%s=", mw_rule_flag(k, MW_ALLOW));
    for (; *subject != 0 && at + 3 < size; subject++) {
        if (*subject == ',') out[at++] = '\\';
        out[at++] = *subject;
    }
    out[at] = 0;
}

int mw_ask_possible(const mw_policy *p, const struct mw_decision *d) {
    return p->ask != NULL && d->verdict == MW_MISS && !d->forbidden && p->layers->next == NULL;
}

int mw_ask(mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_decision *d) {
    char flag[2 * ASK_MAX + 32];
    int said;

    if (!mw_ask_possible(p, d) || strlen(subject) > ASK_MAX) return 0;
    flag_text(flag, sizeof flag, kind, subject, 0);
    said = p->ask(p->ask_ud, kind, subject, flag);
    if (said == 2) (void)mw_policy_add_one(p, kind, MW_ALLOW, subject, NULL); /* if that fails, the person is asked again */
    return said == 1 || said == 2;
}

int mw_deny_decided(struct mw_err *err, const char *op, enum mw_kind kind, const char *subject, const struct mw_decision *d) {
    char flag[512];

    mw_err_set(err, MW_EDENIED, op, subject, NULL);
    if (err == NULL) return MW_EDENIED;
    if (d->verdict == MW_NO && d->layer == MW_LAYER_OF_DROPS) {
        mw_err_hint(err, "the right was dropped");
        return MW_EDENIED;
    }
    flag_text(flag, sizeof flag, kind, subject, d->forbidden == MW_FORBIDDEN_ALONE);
    if (d->verdict == MW_NO && d->rule != NULL && d->rule->text != NULL && d->layer == 0) {
        mw_err_hint(err, "%s=%s forbids it, only something more specific than that can grant it, as %s", mw_rule_flag(d->rule->kind, MW_DENY),
                    d->rule->text, flag);
        if (strcmp(d->rule->text, subject) == 0) mw_err_hint(err, "%s=%s forbids it", mw_rule_flag(d->rule->kind, MW_DENY), subject);
    } else if (d->layer > 0) {
        mw_err_hint(err, "grant it with permissions = { %s = ... } where this script is started, as %s does for a whole run", mw_kind_name(kind), flag);
    } else {
        mw_err_hint(err, "grant it with %s", flag);
    }
    return MW_EDENIED;
}

int mw_decide_or_ask(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_target *t) {
    struct mw_decision d;

    mw_decide(p, t, &d);
    if (d.verdict == MW_YES || mw_ask(p, kind, subject, &d)) return 0;
    return mw_deny_decided(err, op, kind, subject, &d);
}
