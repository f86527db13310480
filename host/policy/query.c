/* Questions about rules: what enforcement would say, whether a child may be given a rule.
 * Knows: grants, the same decision that the permits take. Never: decides otherwise. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "policy/audit.h"
#include "policy/deny.h"
#include "policy/permit.h"

/* What a rule of one kind means as a target; the kind's direction is in `kind`. */
static int target_of(const struct mw_policy *p, const struct mw_rule *r, enum mw_kind kind, struct mw_net_addr *addr, char *suffix, struct mw_walk *w,
                     struct mw_target *t) {
    char text[MW_TRAIL_TEXT];
    enum mw_walk_how how = r->form == MW_FORM_SOCKET && kind == MW_LISTEN ? MW_WALK_NAME : MW_WALK_FOLLOW;
    int rc = 0;

    memset(t, 0, sizeof *t);
    t->port = r->port;
    switch (r->form) {
    case MW_FORM_EVERY: t->every = 1; break;
    case MW_FORM_PATH:
    case MW_FORM_SOCKET:
    case MW_FORM_SOCKETS:
        rc = mw_target_path(p, 1u << kind, r->name, how, text, w, t);
        if (rc == 0 && r->form != MW_FORM_PATH) t->forbidden = 0;
        break;
    case MW_FORM_PROGRAM:
        rc = mw_program_find(p, r->name, text, w);
        if (rc < 0) break;
        t->node = &w->trail.step[w->trail.count - 1].node;
        t->program = w->trail.text;
        break;
    case MW_FORM_HOST: t->host = r->name; break;
    case MW_FORM_SUFFIX:
        suffix[0] = '*';
        suffix[1] = '.';
        memcpy(suffix + 2, r->name, strlen(r->name) + 1);
        t->host = suffix;
        break;
    case MW_FORM_ADDR:
        *addr = r->addr;
        if (kind == MW_CONNECT && mw_net_wild(addr)) {
            if (addr->v6) addr->bytes[15] = 1;
            else memcpy(addr->bytes, "\x7f\0\0\1", 4);
        }
        t->addr = addr;
        t->wild = kind == MW_LISTEN && mw_net_wild(addr);
        break;
    case MW_FORM_PORT: break;
    case MW_FORM_ABSTRACT: t->abstract = r->name; break;
    case MW_FORM_NAME: t->name = r->name; break;
    case MW_FORM_PREFIX:
        t->name = r->name;
        t->prefix = 1;
        break;
    }
    t->kind = kind;
    return rc;
}

/* Below a directory of sockets: a name that no file has stands for all. */
static void stand_in(const struct mw_rule *r, struct mw_walk *w) {
    struct mw_trail *t = &w->trail;

    if (r->form != MW_FORM_SOCKETS || t->count >= MW_TRAIL_MAX || t->len + 2 > sizeof t->text) return;
    memcpy(t->text + t->len, "/", 2);
    t->len++;
    t->step[t->count] = (struct mw_step){.end = (unsigned)t->len};
    t->count++;
}

/* A host that no rule names, as enforcement has it: by its addresses, if they are known, or if all of them are granted. */
static void decide_by_address(const struct mw_policy *p, const struct mw_rule *r, struct mw_target t, struct mw_decision *d) {
    static const struct mw_net_addr all[2] = {{0, 0, {0}}, {1, 0, {0}}};
    static const struct mw_net_addr here[2] = {{0, 32, {127, 0, 0, 1}}, {1, 128, {[15] = 1}}};
    struct mw_decision one;

    for (int i = 0; i < 2 && d->verdict != MW_YES; i++) {
        t.addr = mw_net_localhost(r->name) ? &here[i] : &all[i];
        mw_decide(p, &t, &one);
        if (one.verdict == MW_YES) *d = one;
    }
}

static int decide_rule(const struct mw_policy *p, const struct mw_rule *r, enum mw_kind kind, struct mw_decision *d) {
    struct mw_net_addr addr;
    struct mw_target t;
    char suffix[260];
    struct mw_walk w;
    int rc;

    w.fd = w.dir = -1;
    *d = (struct mw_decision){MW_MISS, 0, NULL, 0};
    if (r->form == MW_FORM_PROGRAM) return mw_program_decide(p, r->name, kind, d);
    rc = target_of(p, r, kind, &addr, suffix, &w, &t);
    if (rc == 0) {
        stand_in(r, &w);
        mw_decide(p, &t, d);
        if (r->form == MW_FORM_HOST) decide_by_address(p, r, t, d);
    }
    mw_walk_end(&w);
    return rc;
}

/* A denial of its interpreter counts too. */
static int may_start(const struct mw_policy *p, const char *name) {
    struct mw_policy *same = (struct mw_policy *)(uintptr_t)p; /* nobody is asked about what is granted or denied */
    struct mw_program it;
    int rc;

    same->quiet++;
    rc = mw_permit_exec(same, name, AT_FDCWD, "permissions", &it, NULL);
    same->quiet--;
    mw_program_close(&it);
    return rc != MW_EDENIED;
}

/* Parses and decides; net is both directions, and the worse one counts. */
static int decide_text(const struct mw_policy *p, enum mw_kind kind, const char *subject, struct mw_decision *d, struct mw_err *err) {
    enum mw_kind ways[2] = {kind == MW_NET ? MW_CONNECT : kind, MW_LISTEN};
    struct mw_rule *r = NULL;
    int rc = mw_rule_parse(kind, MW_ALLOW, subject, subject != NULL ? strlen(subject) : 0, &r, err);

    *d = (struct mw_decision){MW_MISS, 0, NULL, 0};
    for (int i = 0; i < (kind == MW_NET ? 2 : 1) && rc == 0; i++) {
        struct mw_decision one;
        rc = decide_rule(p, r, ways[i], &one);
        if (rc == MW_EDENIED) rc = 0; /* ".." out of an ungranted directory: denied, as enforcement says */
        if (rc < 0) mw_err_set(err, rc, "permissions", subject, NULL);
        if (i == 0 || one.verdict < d->verdict) *d = one;
    }
    mw_rule_free(r);
    if (rc == 0 && (kind == MW_RUN || kind == MW_TRUST) && subject != NULL && d->verdict == MW_YES && !may_start(p, subject)) d->verdict = MW_NO;
    return rc;
}

/* What a subject leads to, where it is a path or a program. */
struct lead {
    struct mw_rule *r;
    struct mw_net_addr addr;
    struct mw_target t;          /* lends the others */
    char suffix[260];
    struct mw_walk w;
    const struct mw_target *to;  /* &t, or NULL: nothing that a path is */
};

/* 1: somebody may be asked about it. It ends with lead_end either way. */
static int lead_find(const mw_policy *p, enum mw_kind kind, const char *subject, struct lead *l) {
    l->r = NULL;
    l->w.fd = l->w.dir = -1;
    l->to = NULL;
    if (mw_rule_parse(kind, MW_ALLOW, subject, subject != NULL ? strlen(subject) : 0, &l->r, NULL) < 0) return 0;
    if (!mw_rule_has_spot(l->r) || l->r->form == MW_FORM_SOCKETS) return 1;
    l->to = &l->t;
    return target_of(p, l->r, kind == MW_NET ? MW_CONNECT : kind, &l->addr, l->suffix, &l->w, &l->t) == 0;
}
static void lead_end(struct lead *l) {
    mw_walk_end(&l->w);
    mw_rule_free(l->r);
}

static enum mw_said ask_about(mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_decision *d) {
    struct lead l;
    enum mw_said said = lead_find(p, kind, subject, &l) ? mw_ask(p, kind, subject, l.to, d, 1) : MW_SAID_NOTHING;

    lead_end(&l);
    return said;
}
static int was_refused(const mw_policy *p, enum mw_kind kind, const char *subject) {
    struct lead l;
    int refused = lead_find(p, kind, subject, &l) && mw_ask_refused(p, kind, subject, l.to);

    lead_end(&l);
    return refused;
}

enum mw_answer mw_policy_query(const mw_policy *p, enum mw_kind kind, const char *subject) {
    struct mw_decision d;
    int rc = decide_text(p, kind, subject, &d, NULL);

    /* A granted name that leads nowhere is granted: enforcement says that it is not there. */
    if (rc < 0 && !(kind == MW_RUN && subject != NULL && rc != MW_EINVAL && mw_program_told(rc))) return MW_DENIED;
    if (d.verdict == MW_YES) return MW_GRANTED;
    if (rc < 0 || !mw_ask_possible(p, subject, &d)) return MW_DENIED;
    return was_refused(p, kind, subject) ? MW_DENIED : MW_PROMPT;
}

enum mw_answer mw_policy_request(mw_policy *p, enum mw_kind kind, const char *subject) {
    struct mw_decision d;

    static const char *const outcomes[] = {"denied", "granted once", "granted always", "denied"};
    enum mw_said said = MW_SAID_NOTHING;
    int yes = 0, rc = decide_text(p, kind, subject, &d, NULL);

    if (rc == 0 || kind == MW_RUN) yes = d.verdict == MW_YES;
    if (rc < 0 && yes) rc = 0;
    if (rc == 0 && !yes) said = ask_about(p, kind, subject, &d);
    rc = mw_audit(p, "permissions.request", kind, subject, yes ? "granted" : outcomes[said], said == MW_SAID_NOTHING ? MW_BY_RULE : MW_BY_PERSON, &d);
    return rc == 0 && (yes || said == MW_SAID_ONCE || said == MW_SAID_ALWAYS) ? MW_GRANTED : MW_DENIED;
}

int mw_policy_check_subject(enum mw_kind kind, const char *subject, struct mw_err *err) {
    struct mw_rule *r = NULL;
    int rc = mw_rule_parse(kind, MW_ALLOW, subject, subject != NULL ? strlen(subject) : 0, &r, err);

    mw_rule_free(r);
    return rc;
}

int mw_policy_covers(const mw_policy *p, enum mw_kind kind, const char *rule, struct mw_err *err) {
    struct mw_decision d;
    int rc = decide_text(p, kind, rule, &d, err);

    if (rc < 0 && !((kind == MW_RUN || kind == MW_TRUST) && mw_program_told(rc) && rc != MW_EINVAL && !mw_program_named(p, rule))) return rc;
    if (rc == 0 && d.verdict == MW_YES) return 0;
    return mw_err_setf(err, MW_EDENIED, "permissions", rule != NULL ? rule : mw_kind_name(kind), "asks for more than this script has (%s)", mw_kind_name(kind));
}
