/* Moving and linking: a second name for an object, which must not give away what the first one kept.
 * Knows: grants, walking. Never: moves; looks a name up twice: all that is asked about an end is asked of one walk. */
#include <string.h>

#include "policy/deny.h"
#include "policy/permit.h"
#include "policy/recall.h"

/* One end: where its name led, once. */
struct end {
    struct mw_walk w;
    struct mw_target t;
    char subject[PATH_MAX + 2];
};

/* ---- One end --------------------------------------------------------------------------------------------------------------- */

static int decide_end(mw_policy *p, unsigned kinds, const char *op, struct end *e, struct mw_err *err) {
    int rc = 0;

    for (int k = 0; k < MW_KINDS && rc == 0; k++) {
        if ((kinds & 1u << k) == 0) continue;
        e->t.kind = (enum mw_kind)k;
        rc = mw_decide_or_ask(err, p, op, e->t.kind, e->subject, &e->t);
    }
    return rc;
}

/* Walks and decides. On 0 end with mw_walk_end. */
static int find_end(mw_policy *p, unsigned kinds, const char *path, const char *op, struct end *e, struct mw_err *err) {
    struct mw_decision none = {MW_MISS, 0, NULL, 0};
    int rc = mw_target_path(p, kinds, path, MW_WALK_NAME, e->subject, &e->w, &e->t);

    if (rc == MW_EDENIED) return mw_deny_decided(err, p, op, MW_WRITE, e->subject, &none);
    if (rc < 0) return mw_err_set(err, rc, op, e->subject, NULL);
    rc = decide_end(p, kinds, op, e, err);
    if (rc < 0) mw_walk_end(&e->w);
    return rc;
}

static int has(const struct mw_policy *p, enum mw_kind kind, int module, const struct end *e) {
    struct mw_target t = e->t;
    struct mw_decision d;

    t.kind = kind;
    t.module = module;
    if (kind == MW_CONNECT) t.forbidden = 0; /* as for a socket that its rule names */
    mw_decide(p, &t, &d);
    return d.verdict == MW_YES;
}

/* ---- Rules below an end ----------------------------------------------------------------------------------------------------- */

static int stands_below(const struct mw_place_id *place, const struct mw_trail *t) {
    return place->text != NULL && place->len > t->len && memcmp(place->text, t->text, t->len) == 0 && place->text[t->len] == '/';
}

static int speaks_below(const struct mw_rule *r, const struct mw_trail *t) {
    if (!mw_rule_has_spot(r) || r->form == MW_FORM_PROGRAM) return 0; /* a program is pinned */
    return stands_below(&r->spot.place, t) || stands_below(&r->spot.link, t);
}

static int grants_below(const struct mw_rule *r, const void *trail) {
    return speaks_below(r, trail);
}

static int denies_below(const struct mw_rule *r, const struct mw_trail *t) {
    for (; r != NULL; r = r->next)
        if (r->effect == MW_DENY && speaks_below(r, t)) return 1;
    return 0;
}

/* What a denial names must neither move with its folder nor get another folder around its name. */
static int refuse_denied(mw_policy *p, const char *op, const struct end *e, struct mw_err *err) {
    int found = 0;

    for (int k = 0; k < MW_KINDS && !found; k++) {
        found = denies_below(p->drops.rules[k], &e->w.trail);
        for (const struct mw_layer *l = p->layers; l != NULL && !found; l = l->next) found = denies_below(l->rules[k], &e->w.trail);
    }
    if (!found) return 0;
    mw_policy_refuse(p, mw_kind_name(MW_WRITE), op, e->subject, "denied: something below it is denied, and must stay where it is", err);
    mw_err_hint(err, "move what is in it one by one");
    return MW_EDENIED;
}

/* ---- Both ends ---------------------------------------------------------------------------------------------------------------- */

/* May it be a Lua module? By its name; in a folder anything may be. */
static int modular(const struct end *named, const struct end *object) {
    const struct mw_trail *t = &named->w.trail;

    if (object->w.fd >= 0 && S_ISDIR(object->w.st.st_mode)) return 1;
    return t->len > 4 && memcmp(t->text + t->len - 4, ".lua", 4) == 0;
}

/* Would what comes to stand at `to` gain the kind there, or something in it? */
static int gains(const struct mw_policy *p, enum mw_kind kind, int module, const struct end *to) {
    if (has(p, kind, module, to) || mw_decide_any(p, kind, grants_below, &to->w.trail)) return 1;
    for (const struct mw_rule *r = p->modules; module && r != NULL; r = r->next)
        if (speaks_below(r, &to->w.trail)) return 1;
    return 0;
}

/* What the new name opens up, the old one must have opened: reading it, connecting to it. */
static int same_reach(mw_policy *p, const char *op, struct end *from, const struct end *to, struct mw_err *err) {
    int rc = 0;

    if (gains(p, MW_READ, modular(to, from), to)) {
        from->t.module = modular(from, from);
        rc = decide_end(p, 1u << MW_READ, op, from, err);
        from->t.module = 0;
    }
    if (rc == 0 && gains(p, MW_CONNECT, 0, to) && !has(p, MW_CONNECT, 0, from)) {
        char subject[PATH_MAX + 16] = "unix:";
        strcat(subject, from->subject);
        from->t.kind = MW_CONNECT;
        rc = mw_decide_or_ask(err, p, op, MW_CONNECT, subject, &from->t);
    }
    return rc;
}

static int give(struct end *e, const char *op, struct mw_place *out, struct mw_err *err) {
    if (e->w.status < 0 && !(e->w.status == MW_ENOENT && e->w.dir >= 0)) return mw_err_set(err, e->w.status, op, e->subject, NULL);
    out->fd = e->w.dir;
    e->w.dir = -1;
    memcpy(out->leaf, e->w.leaf, sizeof out->leaf);
    return 0;
}

static int both(mw_policy *p, unsigned kinds, const char *from, const char *to, const char *op, struct mw_place *a, struct mw_place *b,
                struct mw_err *err) {
    struct end e[2];
    int rc = find_end(p, kinds, to, op, &e[1], err);

    a->fd = b->fd = -1;
    a->leaf[0] = b->leaf[0] = 0;
    if (rc < 0) return rc;
    rc = find_end(p, kinds, from, op, &e[0], err);
    if (rc < 0) {
        mw_walk_end(&e[1].w);
        return rc;
    }
    for (int i = 0; i < 2 && rc == 0; i++) rc = refuse_denied(p, op, &e[i], err);
    if (rc == 0) rc = same_reach(p, op, &e[0], &e[1], err);
    if (rc == 0) rc = give(&e[0], op, a, err);
    if (rc == 0) rc = give(&e[1], op, b, err);
    if (rc < 0) mw_place_close(a);
    else mw_recall_forget(p->recall);
    mw_walk_end(&e[0].w);
    mw_walk_end(&e[1].w);
    return rc;
}

int mw_permit_move(mw_policy *p, const char *from, const char *to, const char *op, struct mw_place *a, struct mw_place *b, struct mw_err *err) {
    return both(p, 1u << MW_WRITE, from, to, op, a, b, err);
}

int mw_permit_link(mw_policy *p, const char *from, const char *to, const char *op, struct mw_place *a, struct mw_place *b, struct mw_err *err) {
    return both(p, 1u << MW_READ | 1u << MW_WRITE, from, to, op, a, b, err);
}
