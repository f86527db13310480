/* What the audit says of a start: whether the child is confined, and what its cage leaves out.
 * Knows: io/process_parts.h, policy. Never: decides. */
#include "io/process_parts.h"

struct telling {
    struct launch *l;
    int rc;
};

static int tell(struct launch *l, const char *subject, const char *outcome, const char *rule) {
    return mw_policy_audit_note(mw_host_policy(l->home->host), "confine", l->o->op, subject, outcome, rule, l->err);
}

static void tell_note(void *ud, const char *note) {
    struct telling *it = ud;
    if (it->rc == 0) it->rc = tell(it->l, note, "confined", NULL);
}

int mw_launch_note(struct launch *l) {
    const char *subject = l->o->script ? l->o->argv[0] : l->program.path;
    struct telling it = { l, 0 };

    if (mw_policy_audit_fd(mw_host_policy(l->home->host)) < 0) return 0;
    if (l->cage == NULL) return tell(l, subject, "unconfined", l->program.trusted_by_rule ? "--trust-run" : "--allow-all");
    it.rc = tell(l, subject, "confined", NULL);
    mw_cage_each_note(l->cage, tell_note, &it);
    return it.rc;
}
