/* The layers of a policy and their verdict: the most specific grant against the most specific denial, in every layer.
 * Knows: rules, matching. Never: the error a script sees, a person. */
#include "policy/grant.h"

#include <stdlib.h>
#include <string.h>

#include "policy/index.h"
#include "policy/recall.h"

/* ---- The verdict --------------------------------------------------------------------------------------------------------- */

int mw_kind_next(enum mw_kind kind, unsigned i) {
    if (i == 0) return (int)kind;
    if (i == 1 && (kind == MW_CONNECT || kind == MW_LISTEN)) return MW_NET;
    if (i == 1 && kind == MW_RUN) return MW_TRUST;
    return -1;
}

/* The best fit in each dimension, of grants ([MW_ALLOW]) and denials ([MW_DENY]). */
struct best {
    const struct mw_target *target;
    struct mw_fit fit[2];
    const struct mw_rule *plain[2], *host[2], *addr[2];
};

static void weigh(void *ud, const struct mw_rule *r) {
    struct best *b = ud;
    struct mw_fit fit;
    int e = r->effect == MW_DENY;

    if (r->kind == MW_TRUST && e && b->target->kind != MW_TRUST) return; /* not trusted is not denied */
    mw_match(r, b->target, &fit);
    if (fit.plain > b->fit[e].plain) b->fit[e].plain = fit.plain, b->plain[e] = r;
    if (fit.host > b->fit[e].host) b->fit[e].host = fit.host, b->host[e] = r;
    if (fit.addr > b->fit[e].addr) b->fit[e].addr = fit.addr, b->addr[e] = r;
}

static enum mw_verdict verdict_of(const struct best *b, const struct mw_rule **rule) {
    const struct mw_fit *allow = &b->fit[MW_ALLOW], *deny = &b->fit[MW_DENY];

    /* The name and the address are tested each for itself: a denial of either is not outweighed by the other. */
    if (deny->host > 0 && deny->host >= allow->host) return *rule = b->host[MW_DENY], MW_NO;
    if (deny->addr > 0 && deny->addr >= allow->addr) return *rule = b->addr[MW_DENY], MW_NO;
    if (allow->host > 0) return *rule = b->host[MW_ALLOW], MW_YES;
    if (allow->addr > 0) return *rule = b->addr[MW_ALLOW], MW_YES;
    if (deny->plain > 0 && deny->plain >= allow->plain) return *rule = b->plain[MW_DENY], MW_NO;
    if (allow->plain > 0) return *rule = b->plain[MW_ALLOW], MW_YES;
    return *rule = NULL, MW_MISS;
}

static enum mw_verdict ask_layer(const struct mw_policy *p, const struct mw_layer *l, const struct mw_target *t, const struct mw_rule **rule) {
    struct best b;
    enum mw_verdict v;
    unsigned grants = 0;         /* the layer has a grant of the kind at all */
    int kind;

    memset(&b, 0, sizeof b);
    b.target = t;
    if (l->all) b.fit[MW_ALLOW].plain = 1; /* as the bare flag of every kind */
    for (unsigned i = 0; (kind = mw_kind_next(t->kind, i)) >= 0; i++) {
        grants += l->grants[kind];
        if (l->index[kind] != NULL) mw_index_each(l->index[kind], t, weigh, &b);
        else
            for (const struct mw_rule *r = l->rules[kind]; r != NULL; r = r->next) weigh(&b, r);
    }
    if (t->module) /* free, so no right that could be dropped; a denial of the very path still counts */
        for (const struct mw_rule *r = p->modules; r != NULL; r = r->next) weigh(&b, r);
    v = verdict_of(&b, rule);
    if (v == MW_MISS && (l->shape == MW_LAYER_DROPS || (l->shape == MW_LAYER_OPEN && grants == 0))) return MW_YES;
    if (v == MW_YES && t->forbidden && !l->all && l->shape == MW_LAYER_CLOSED) return *rule = NULL, MW_MISS;
    return v;
}

void mw_decide(const struct mw_policy *p, const struct mw_target *t, struct mw_decision *out) {
    const struct mw_rule *rule = NULL;
    struct mw_decision worst = {MW_YES, 0, NULL, 0};
    unsigned n = 0;

    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next, n++) {
        enum mw_verdict v = ask_layer(p, l, t, &rule);
        if (v < worst.verdict || n == 0) worst = (struct mw_decision){v, n, rule, 0};
        if (v == MW_NO) break;
    }
    if (worst.verdict != MW_NO && p->drops.count > 0 && ask_layer(p, &p->drops, t, &rule) == MW_NO)
        worst = (struct mw_decision){MW_NO, MW_LAYER_OF_DROPS, rule, 0};
    worst.forbidden = t->forbidden;
    *out = worst;
    if (t->forbidden && worst.verdict == MW_MISS) { /* only who has it otherwise may learn that a device or the like is there */
        struct mw_target plain = *t;
        plain.forbidden = 0;
        mw_decide(p, &plain, &worst);
        if (worst.verdict == MW_YES) out->forbidden = MW_FORBIDDEN_ALONE;
    }
}

int mw_decide_any(const struct mw_policy *p, enum mw_kind kind, int (*wanted)(const struct mw_rule *r, const void *ud), const void *ud) {
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next) {
        int found = l->all, k;
        int open = l->shape == MW_LAYER_OPEN;
        for (unsigned i = 0; (k = mw_kind_next(kind, i)) >= 0; i++)
            for (const struct mw_rule *r = l->rules[k]; r != NULL && !found; r = r->next) {
                if (r->effect == MW_ALLOW) open = 0;
                found = r->effect == MW_ALLOW && wanted(r, ud);
            }
        if (!found && !open) return 0;
    }
    return 1;
}

int mw_layer_every(const struct mw_policy *p, enum mw_kind kind) {
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next) {
        int yes = l->all;
        for (const struct mw_rule *r = l->rules[kind]; r != NULL && !yes; r = r->next) yes = r->effect == MW_ALLOW && r->form == MW_FORM_EVERY;
        if (!yes) return 0;
    }
    return 1;
}

/* ---- Layers -------------------------------------------------------------------------------------------------------------- */

struct mw_layer *mw_layer_top(const struct mw_policy *p) {
    struct mw_layer *l = p->layers;
    while (l->next != NULL) l = l->next;
    return l;
}

static void layer_empty(struct mw_layer *l) {
    for (int k = 0; k < MW_KINDS; k++)
        while (l->rules[k] != NULL) {
            struct mw_rule *r = l->rules[k];
            l->rules[k] = r->next;
            mw_rule_free(r);
        }
    for (int k = 0; k < MW_KINDS; k++) mw_index_free(l->index[k]);
    l->count = 0;
}

int mw_layer_push(struct mw_policy *p, enum mw_shape shape, enum mw_origin origin, struct mw_layer **out, struct mw_err *err) {
    struct mw_layer *l = calloc(1, sizeof *l);

    if (l == NULL) return mw_err_set(err, MW_ENOMEM, "policy", NULL, NULL);
    l->shape = shape;
    l->origin = origin;
    if (p->layers == NULL) p->layers = l;
    else mw_layer_top(p)->next = l;
    p->generation++;
    if (out != NULL) *out = l;
    return 0;
}

static int same_rule(const struct mw_rule *a, const struct mw_rule *b) {
    if (a->effect != b->effect || a->form != b->form || (a->text != NULL && strcmp(a->text, b->text) != 0)) return 0;
    return a->spot.known == b->spot.known && a->spot.node.dev == b->spot.node.dev && a->spot.node.ino == b->spot.node.ino;
}

/* Adds the rule at the end. Where there is no memory for an index, each rule is asked. */
static void append(struct mw_layer *l, struct mw_rule *r) {
    enum mw_kind k = r->kind;
    const struct mw_rule *from = l->counts[k] == MW_INDEX_FROM ? l->rules[k] : r;

    r->next = NULL;
    if (l->last[k] == NULL) l->rules[k] = r;
    else l->last[k]->next = r;
    l->last[k] = r;
    l->count++;
    if (r->effect == MW_ALLOW) l->grants[k]++;
    if (l->counts[k]++ < MW_INDEX_FROM || (from == r && l->index[k] == NULL)) return;
    for (; from != NULL; from = from->next)
        if (mw_index_add(&l->index[k], from) < 0) {
            mw_index_free(l->index[k]);
            l->index[k] = NULL;
            return;
        }
}

int mw_layer_take_found(struct mw_policy *p, struct mw_layer *layer, struct mw_rule *r, struct mw_err *err) {
    unsigned max = layer->shape == MW_LAYER_DROPS ? MW_DROPS_MAX : MW_RULES_MAX;

    if (layer->shape == MW_LAYER_DROPS)
        for (const struct mw_rule *said = layer->rules[r->kind]; said != NULL; said = said->next)
            if (same_rule(said, r)) { /* said already */
                mw_rule_free(r);
                return 0;
            }
    if (layer->count >= max) {
        mw_rule_free(r);
        return mw_err_setf(err, MW_ELIMIT, "policy", NULL, "more than %u rules in a layer", max);
    }
    append(layer, r);
    if (r->effect == MW_DENY) p->denials[r->kind]++;
    p->generation++;
    return 0;
}

int mw_layer_take(struct mw_policy *p, struct mw_layer *layer, struct mw_rule *r, struct mw_err *err) {
    int rc = mw_rule_has_spot(r) ? mw_spot_find(p, r, err) : 0;

    if (rc < 0) {
        mw_rule_free(r);
        return rc;
    }
    return mw_layer_take_found(p, layer, r, err);
}

/* ---- The policy ---------------------------------------------------------------------------------------------------------- */

int mw_policy_new(mw_policy **out, struct mw_err *err) {
    struct mw_policy *p = calloc(1, sizeof *p);
    const char *path = getenv("PATH");

    if (p == NULL) return mw_err_set(err, MW_ENOMEM, "policy", NULL, NULL);
    p->generation = 1;
    p->audit_fd = -1;
    p->drops.shape = MW_LAYER_DROPS;
    p->drops.origin = MW_FROM_DROPS;
    p->path = strdup(path != NULL && *path != 0 ? path : "/usr/local/bin:/usr/bin:/bin");
    if (p->path == NULL || mw_layer_push(p, MW_LAYER_CLOSED, MW_FROM_FLAGS, NULL, NULL) < 0) {
        mw_policy_free(p);
        return mw_err_set(err, MW_ENOMEM, "policy", NULL, NULL);
    }
    *out = p;
    return 0;
}

void mw_policy_free(mw_policy *p) {
    if (p == NULL) return;
    while (p->layers != NULL) {
        struct mw_layer *l = p->layers;
        p->layers = l->next;
        layer_empty(l);
        free(l);
    }
    layer_empty(&p->drops);
    while (p->modules != NULL) {
        struct mw_rule *r = p->modules;
        p->modules = r->next;
        mw_rule_free(r);
    }
    mw_ask_forget(p);
    mw_recall_free(p->recall);
    mw_policy_free(p->held);
    free(p->path);
    free(p);
}

static int copy_list(const struct mw_rule *from, struct mw_rule **to) {
    for (; from != NULL; from = from->next) {
        int rc = mw_rule_copy(from, to);
        if (rc < 0) return rc;
        to = &(*to)->next;
    }
    return 0;
}

static int copy_layer(const struct mw_layer *from, struct mw_layer *to) {
    to->all = from->all;
    for (int k = 0; k < MW_KINDS; k++)
        for (const struct mw_rule *r = from->rules[k]; r != NULL; r = r->next) {
            struct mw_rule *c;
            int rc = mw_rule_copy(r, &c);
            if (rc < 0) return rc;
            append(to, c);
        }
    return 0;
}

int mw_policy_copy(const mw_policy *p, mw_policy **out, struct mw_err *err) {
    struct mw_policy *c = calloc(1, sizeof *c);
    int rc = MW_ENOMEM;

    if (c == NULL) return mw_err_set(err, MW_ENOMEM, "policy", NULL, NULL);
    c->generation = 1;
    c->audit_fd = -1;
    c->no_flags = p->no_flags;
    c->drops.shape = MW_LAYER_DROPS;
    c->drops.origin = MW_FROM_DROPS;
    c->path = strdup(p->path);
    if (c->path == NULL) goto done;
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next) {
        struct mw_layer *top;
        rc = mw_layer_push(c, l->shape, l->origin, &top, NULL);
        if (rc == 0) rc = copy_layer(l, top);
        if (rc < 0) goto done;
    }
    rc = copy_layer(&p->drops, &c->drops);
    if (rc == 0) rc = copy_list(p->modules, &c->modules);
    if (rc == 0 && p->held != NULL) rc = mw_policy_copy(p->held, &c->held, NULL);
    memcpy(c->denials, p->denials, sizeof c->denials);
done:
    if (rc < 0) {
        mw_policy_free(c);
        return mw_err_set(err, rc, "policy", NULL, NULL);
    }
    *out = c;
    return 0;
}

int mw_policy_hold(mw_policy *p, struct mw_err *err) {
    return p->held != NULL ? 0 : mw_policy_copy(p, &p->held, err);
}

int mw_policy_add_one(mw_policy *p, enum mw_kind kind, enum mw_effect effect, const char *rule, struct mw_err *err) {
    struct mw_rule *r = NULL;
    int rc = mw_rule_parse(kind, effect, rule, rule != NULL ? strlen(rule) : 0, &r, err);

    return rc < 0 ? rc : mw_layer_take(p, mw_layer_top(p), r, err);
}

int mw_policy_add(mw_policy *p, enum mw_kind kind, enum mw_effect effect, const char *rules, struct mw_err *err) {
    char one[MW_RULE_MAX + 1];
    const char *at = rules;
    int rc = 0;

    if (rules == NULL) return mw_policy_add_one(p, kind, effect, NULL, err);
    do {
        size_t n = 0;
        for (; *at != 0 && *at != ','; at++) {
            if (at[0] == '\\' && at[1] == ',') at++;
            if (n == MW_RULE_MAX) return mw_err_setf(err, MW_EINVAL, mw_rule_flag(kind, effect), NULL, "a rule is longer than %d bytes", MW_RULE_MAX - 1);
            one[n++] = *at;
        }
        one[n] = 0;
        rc = mw_policy_add_one(p, kind, effect, one, err);
    } while (rc == 0 && *at++ == ',');
    return rc;
}

int mw_policy_add_all(mw_policy *p, struct mw_err *err) {
    (void)err;
    mw_layer_top(p)->all = 1;
    p->generation++;
    return 0;
}

int mw_policy_is_total(const mw_policy *p) {
    if (p->drops.count > 0) return 0;
    for (int k = 0; k < MW_KINDS; k++)
        if (p->denials[k] > 0) return 0;
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next)
        if (!l->all) return 0;
    return 1;
}

int mw_policy_narrow(mw_policy *p, struct mw_err *err) {
    return mw_layer_push(p, MW_LAYER_CLOSED, MW_FROM_PERMISSIONS, NULL, err);
}

int mw_policy_drop(mw_policy *p, enum mw_kind kind, const char *rule, struct mw_err *err) {
    struct mw_rule *r = NULL;
    int rc = mw_rule_parse(kind, MW_DENY, rule, rule != NULL ? strlen(rule) : 0, &r, err);

    if (rc < 0) return rc;
    rc = mw_rule_has_spot(r) ? mw_spot_find(p, r, err) : 0;
    /* Whether there is such a program is told to those alone who could have run it. */
    if (r->form == MW_FORM_PROGRAM && mw_program_told(rc) && !mw_program_named(p, rule)) rc = mw_spot_unseen(r, err);
    if (rc == 0) return mw_layer_take_found(p, &p->drops, r, err);
    mw_rule_free(r);
    return rc;
}

static void each_in(const struct mw_layer *l, int n, void (*fn)(void *, int, enum mw_kind, enum mw_effect, const char *), void *ud) {
    for (int k = 0; k < MW_KINDS; k++) {
        if (l->all && k != MW_CONNECT && k != MW_LISTEN) fn(ud, n, (enum mw_kind)k, MW_ALLOW, NULL);
        for (const struct mw_rule *r = l->rules[k]; r != NULL; r = r->next) fn(ud, n, r->kind, r->effect, r->text);
    }
}

void mw_policy_each(const mw_policy *p, void (*fn)(void *ud, int layer, enum mw_kind k, enum mw_effect e, const char *rule), void *ud) {
    int n = 0;

    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next) each_in(l, n++, fn, ud);
    each_in(&p->drops, n, fn, ud);
}
