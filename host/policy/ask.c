/* The person who may be asked: about the very thing that was found, and what the answer is good for.
 * Knows: grants. Never: decides; asks about what a rule denies, or in another layer's name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/deny.h"
#include "policy/permit.h"

#define ASK_MAX 1024             /* bytes of a subject that a person can judge */
#define EVERYTHING ""            /* kept for a whole kind */

/* ---- What was said once ----------------------------------------------------------------------------------------------------- */

static void forget(struct mw_once *o) {
    free(o->subject);
    memset(o, 0, sizeof *o);
}

static void keep(mw_policy *p, enum mw_kind kind, const char *subject, int host) {
    struct mw_once *o = &p->once[p->once_next++ % MW_ONCE_MAX];

    forget(o);
    o->subject = strdup(subject); /* without memory: the person is asked again */
    o->kind = kind;
    o->host = host;
}

void mw_ask_forget(mw_policy *p) {
    for (unsigned i = 0; i < MW_ONCE_MAX; i++) forget(&p->once[i]);
    for (unsigned i = 0; i < MW_REFUSED_MAX && p->refused != NULL; i++) forget(&p->refused[i]);
    free(p->refused);
    p->refused = NULL;
}

static struct mw_once *refusal_of(const mw_policy *p, enum mw_kind kind, const char *subject) {
    for (unsigned i = 0; i < MW_REFUSED_MAX && p->refused != NULL; i++) {
        struct mw_once *o = &p->refused[i];
        if (o->subject != NULL && o->kind == kind && strcmp(o->subject, subject) == 0) return o;
    }
    return NULL;
}

/* Who said no to the same thing so often is not asked until they say yes. */
static void keep_refusal(mw_policy *p, enum mw_kind kind, const char *subject) {
    struct mw_once *o = refusal_of(p, kind, subject);

    if (p->refused == NULL) p->refused = calloc(MW_REFUSED_MAX, sizeof *p->refused);
    if (o == NULL && p->refused != NULL) {
        o = &p->refused[p->refused_next++ % MW_REFUSED_MAX];
        forget(o);
        o->subject = strdup(subject);
        o->kind = kind;
    }
    if (o != NULL) o->refusals++;
}

static int is_refused(const mw_policy *p, enum mw_kind kind, const char *subject) {
    const struct mw_once *o = refusal_of(p, kind, subject);
    return o != NULL && o->refusals >= MW_REFUSALS;
}

static struct mw_once *find(mw_policy *p, enum mw_kind kind, const char *subject, int host) {
    int way = kind == MW_CONNECT || kind == MW_LISTEN;

    for (unsigned i = 0; i < MW_ONCE_MAX; i++) {
        struct mw_once *o = &p->once[i];
        if (o->subject == NULL || o->host != host || (o->kind != kind && !(way && o->kind == MW_NET))) continue;
        if (strcmp(o->subject, subject) == 0 || (!host && strcmp(o->subject, EVERYTHING) == 0)) return o;
    }
    return NULL;
}

/* Was it said for this very use? */
static int said_before(mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_target *t) {
    struct mw_once *o = find(p, kind, subject, 1);

    if (o != NULL && t != NULL && t->before) forget(o); /* a new use of the host */
    else if (o != NULL && t != NULL) {
        if (t->host == NULL) forget(o); /* an address in figures is the only one */
        return 1;
    }
    o = find(p, kind, subject, 0);
    if (o == NULL) return 0;
    forget(o);
    return 1;
}

/* ---- Asking ------------------------------------------------------------------------------------------------------------------ */

int mw_ask_possible(const mw_policy *p, const char *subject, const struct mw_decision *d) {
    const struct mw_layer *top = p->layers;
    unsigned n = 0;

    if (p->ask == NULL || p->quiet > 0 || d->verdict != MW_MISS || d->forbidden) return 0;
    if (p->may_ask != NULL && !p->may_ask(p->ask_ud)) return 0;
    for (; top->next != NULL; top = top->next) n++;
    return top->origin == MW_FROM_FLAGS && d->layer == n && (subject == NULL || strlen(subject) <= ASK_MAX);
}

/* What the subject led to, without links, or the subject. */
static const char *real_subject(enum mw_kind kind, const char *subject, const struct mw_target *t, char *out, size_t size) {
    int socket = kind == MW_NET || kind == MW_CONNECT || kind == MW_LISTEN;

    if (t == NULL) return subject;
    if (t->trail != NULL) {
        snprintf(out, size, "%s%s", socket ? "unix:" : "", t->trail->len > 0 ? t->trail->text : "/");
        return out;
    }
    return t->program != NULL && strchr(subject, '/') != NULL ? t->program : subject;
}

int mw_ask_refused(const struct mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_target *t) {
    char text[MW_TRAIL_TEXT + 8];

    return is_refused(p, kind, subject == NULL ? EVERYTHING : real_subject(kind, subject, t, text, sizeof text));
}

/* Does the rule mean this one thing and no more? */
static int exact(const struct mw_rule *r, const struct mw_target *t) {
    const struct mw_spot *s = &r->spot;
    const struct mw_step *last;

    switch (r->form) {
    case MW_FORM_PATH:
    case MW_FORM_SOCKET:
        if (t->trail == NULL || t->trail->count == 0 || s->place.text == NULL || strcmp(s->place.text, t->trail->text) != 0) return 0;
        last = &t->trail->step[t->trail->count - 1];
        return s->known == last->known && (!s->known || (s->node.dev == last->node.dev && s->node.ino == last->node.ino));
    case MW_FORM_PROGRAM: return t->node != NULL && s->known && s->node.dev == t->node->dev && s->node.ino == t->node->ino;
    case MW_FORM_HOST:
    case MW_FORM_ABSTRACT:
    case MW_FORM_NAME: return 1;
    case MW_FORM_ADDR: return r->addr.bits == (r->addr.v6 ? 128u : 32u);
    default: return 0;
    }
}

/* Adds what was asked about. If it cannot be, or names something else by now, the person is asked again next time. */
static int add_rule(mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_target *t) {
    struct mw_rule *r = NULL;
    int rc = mw_rule_parse(kind, MW_ALLOW, subject, subject != NULL ? strlen(subject) : 0, &r, NULL);

    if (rc == 0 && mw_rule_has_spot(r)) rc = mw_spot_find(p, r, NULL);
    if (rc == 0 && t != NULL && !exact(r, t)) rc = MW_EINVAL;
    if (rc < 0) {
        mw_rule_free(r);
        return rc;
    }
    rc = mw_layer_take_found(p, mw_layer_top(p), r, NULL);
    return rc == 0 ? mw_policy_guard(p, NULL) : rc;
}

enum mw_said mw_ask(mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_target *t, const struct mw_decision *d, int later) {
    char flag[8 * ASK_MAX + 64], text[MW_TRAIL_TEXT + 8];
    const char *real;
    int said;

    if (!mw_ask_possible(p, subject, d)) return MW_SAID_NOTHING;
    real = real_subject(kind, subject, t, text, sizeof text);
    if (real != NULL && strlen(real) > ASK_MAX) return MW_SAID_NOTHING;
    if (is_refused(p, kind, real != NULL ? real : EVERYTHING)) return MW_SAID_NO;
    if (real == NULL || !said_before(p, kind, real, t)) {
        mw_policy_grant_text(p, kind, real, flag, sizeof flag);
        said = p->ask(p->ask_ud, kind, real, flag);
        if (said == 2 && add_rule(p, kind, real, t) == 0) return MW_SAID_ALWAYS;
        if (said == 3) keep_refusal(p, kind, real != NULL ? real : EVERYTHING);
        if (said != 1 && said != 2) return MW_SAID_NO;
    }
    if (later) keep(p, kind, real != NULL ? real : EVERYTHING, 0);
    else if (t != NULL && t->before) keep(p, kind, real, 1);
    return MW_SAID_ONCE;
}

void mw_policy_on_may_ask(mw_policy *p, int (*may_ask)(void *ud)) {
    p->may_ask = may_ask;
}
void mw_policy_on_ask(mw_policy *p, mw_policy_ask *ask, void *ud) {
    p->ask = ask;
    p->ask_ud = ud;
    mw_ask_forget(p);
}
