/* How a decision ends: the words of a denial, the flag in them as a shell takes it, and the audit's line.
 * Knows: grants, audit. Never: decides. */
#include "policy/deny.h"

#include <stdio.h>
#include <string.h>

#include "policy/audit.h"
#include "policy/permit.h"

#define FLAG_MAX 280             /* bytes of a flag in a hint; a longer one could not be copied whole */

/* ---- The flag ------------------------------------------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t len, size;            /* len: as if there were room */
};

static void add(struct text *t, const char *from, size_t n) {
    for (size_t i = 0; i < n; i++, t->len++)
        if (t->len + 1 < t->size) t->at[t->len] = from[i];
}

/* The next character of `at`: its length; *shown: it is as it is; else it is written by its bytes. */
static size_t character(const char *at, size_t left, int *shown) {
    unsigned char c = (unsigned char)at[0];
    size_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    char out[24];

    if (n > left) n = 1;
    if (mw_err_escape(out, sizeof out, at, n) != n) { /* hidden, or no UTF-8 */
        *shown = 0;
        if (n > 1 && mw_err_escape(out, sizeof out, at, n) != 4 * n) return 1;
        return n;
    }
    *shown = 1;
    return n;
}

enum quoting { PLAIN, SINGLE, BYTES };

static enum quoting quoting_of(const char *subject, size_t len) {
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:=@%+";
    enum quoting q = PLAIN;
    int shown;

    for (size_t i = 0, n; i < len; i += n) {
        n = character(subject + i, len - i, &shown);
        if (!shown) return BYTES;
        if (n > 1 || strchr(safe, subject[i]) == NULL) q = SINGLE;
    }
    return q;
}

/* One character of a flag's value inside the quotes of its kind. A comma of its own is `\,` in a list. */
static void add_character(struct text *t, enum quoting q, const char *at, size_t n, int shown) {
    char bytes[8];

    if (*at == ',') add(t, q == BYTES ? "\\\\," : "\\,", q == BYTES ? 3 : 2);
    else if (q == SINGLE && *at == '\'') add(t, "'\\''", 4);
    else if (q == BYTES && (*at == '\'' || *at == '\\')) add(t, "\\", 1), add(t, at, 1);
    else if (shown) add(t, at, n);
    else
        for (size_t i = 0; i < n; i++) add(t, bytes, (size_t)snprintf(bytes, sizeof bytes, "\\x%02x", (unsigned char)at[i]));
}

static size_t write_flag(char *out, size_t size, enum mw_kind kind, const char *subject) {
    struct text t = {out, 0, size};
    const char *flag = mw_rule_flag(kind, MW_ALLOW);
    size_t len = subject != NULL ? strlen(subject) : 0;
    enum quoting q = subject != NULL ? quoting_of(subject, len) : PLAIN;
    int shown;

    if (q != PLAIN) add(&t, q == BYTES ? "$'" : "'", q == BYTES ? 2 : 1);
    add(&t, flag, strlen(flag));
    if (subject != NULL) add(&t, "=", 1);
    for (size_t i = 0, n; i < len; i += n) {
        n = character(subject + i, len - i, &shown);
        add_character(&t, q, subject + i, n, shown);
    }
    if (q != PLAIN) add(&t, "'", 1);
    if (size > 0) out[t.len < size ? t.len : size - 1] = 0;
    return t.len;
}

/* Connecting and listening are --allow-net. */
static enum mw_kind flag_kind(enum mw_kind kind) { return kind == MW_CONNECT || kind == MW_LISTEN ? MW_NET : kind; }

size_t mw_policy_flag(enum mw_kind kind, const char *subject, char *out, size_t size) {
    return write_flag(out, size, flag_kind(kind), subject);
}

/* ---- What grants it ------------------------------------------------------------------------------------------------------- */

void mw_policy_name_flags(mw_policy *p, int flags) { p->no_flags = !flags; }
int mw_policy_names_flags(const mw_policy *p) { return !p->no_flags; }

/* A rule for mw_policy_add_one: run "git"; of everything: the kind. */
static size_t write_rule(char *out, size_t size, enum mw_kind kind, const char *subject) {
    const char *name = mw_kind_name(kind);
    struct text t = {out, 0, size};

    add(&t, name, strlen(name));
    if (subject != NULL) add(&t, " \"", 2), add(&t, subject, strlen(subject)), add(&t, "\"", 1);
    else add(&t, ", all of it", 11);
    if (size > 0) out[t.len < size ? t.len : size - 1] = 0;
    return t.len;
}

static size_t write_grant(const mw_policy *p, enum mw_kind kind, const char *subject, char *out, size_t size) {
    return p->no_flags ? write_rule(out, size, flag_kind(kind), subject) : mw_policy_flag(kind, subject, out, size);
}

static const char *with(const mw_policy *p) { return p->no_flags ? "grant it in the host's policy: " : "grant it with "; }

size_t mw_policy_grant_text(const mw_policy *p, enum mw_kind kind, const char *subject, char *out, size_t size) {
    return write_grant(p, kind, subject, out, size);
}

size_t mw_policy_grant(const mw_policy *p, enum mw_kind kind, const char *subject, char *out, size_t size) {
    size_t n = strlen(with(p));

    if (n >= size) return n + write_grant(p, kind, subject, NULL, 0);
    memcpy(out, with(p), n);
    return n + write_grant(p, kind, subject, out + n, size - n);
}

/* What grants it, or of what is too long to be copied whole, its kind. */
static void name_grant(const mw_policy *p, enum mw_kind kind, const char *subject, char out[FLAG_MAX]) {
    if (write_grant(p, kind, subject, out, FLAG_MAX) < FLAG_MAX) return;
    kind = flag_kind(kind);
    snprintf(out, FLAG_MAX, "%s and its whole name", p->no_flags ? mw_kind_name(kind) : mw_rule_flag(kind, MW_ALLOW));
}

int mw_policy_grant_hint(const mw_policy *p, enum mw_kind kind, const char *subject, const char *rest, struct mw_err *err) {
    char grant[FLAG_MAX];

    name_grant(p, kind, subject, grant);
    return mw_err_hint(err, "%s%s%s", with(p), grant, rest);
}

int mw_policy_grant_all_hint(const mw_policy *p, struct mw_err *err) {
    return mw_err_hint(err, p->no_flags ? "only a policy that grants everything does (mw_policy_add_all)" : "grant it with --allow-all");
}

/* ---- The hint ------------------------------------------------------------------------------------------------------------- */

static const struct mw_layer *layer_of(const mw_policy *p, unsigned n) {
    const struct mw_layer *l = p->layers;

    while (n-- > 0 && l->next != NULL) l = l->next;
    return l;
}

/* What is run or loaded with all rights. */
static void hint_of_guard(struct mw_err *err, const mw_policy *p, const struct mw_layer *l, const struct mw_rule *r) {
    const char *kind = mw_kind_name(r->kind), *why = r->kind == MW_TRUST ? "what runs unconfined is not to be written" : "native code is not to be written";

    if (l->origin == MW_FROM_FILE) mw_err_hint(err, "%s = { %s } in the policy file forbids it: %s", kind, r->text, why);
    else if (p->no_flags) mw_err_hint(err, "the policy's grant of %s \"%s\" forbids it: %s", kind, r->text, why);
    else mw_err_hint(err, "%s=%s forbids it: %s", mw_rule_flag(r->kind, MW_ALLOW), r->text, why);
}

static void hint_of_denial(struct mw_err *err, const mw_policy *p, const struct mw_layer *l, const char *subject, const struct mw_rule *r,
                           const char *grant) {
    const char *equals = r->text != NULL ? "=" : "", *text = r->text != NULL ? r->text : "";
    const struct mw_rule *guarded = mw_guard_of(l, r);
    char deny[MW_RULE_MAX + 32];

    if (guarded != NULL && l->origin != MW_FROM_PERMISSIONS) {
        hint_of_guard(err, p, l, guarded);
        return;
    }
    if (p->no_flags) snprintf(deny, sizeof deny, r->text != NULL ? "the policy's denial of %s \"%s\"" : "the policy's denial of %s", mw_kind_name(r->kind), text);
    else snprintf(deny, sizeof deny, "%s%s%s", mw_rule_flag(r->kind, MW_DENY), equals, text);
    if (l->origin == MW_FROM_FILE) mw_err_hint(err, "deny = { %s%s%s } in the policy file forbids it", mw_kind_name(r->kind), equals, text);
    else if (l->origin == MW_FROM_PERMISSIONS) mw_err_hint(err, "the permissions that this script was started with forbid it");
    else if (r->text != NULL && strcmp(r->text, subject) == 0) mw_err_hint(err, "%s forbids it", deny);
    else mw_err_hint(err, "%s forbids it, only something more specific than that can grant it, as %s", deny, grant);
}

static void hint(struct mw_err *err, const mw_policy *p, enum mw_kind kind, const char *subject, const struct mw_decision *d) {
    const struct mw_layer *l = layer_of(p, d->layer);
    const char *name = mw_kind_name(flag_kind(kind));
    int alone = d->forbidden == MW_FORBIDDEN_ALONE;
    char grant[FLAG_MAX], as[FLAG_MAX + 32] = "";

    if (d->verdict == MW_NO && d->layer == MW_LAYER_OF_DROPS) {
        mw_err_hint(err, "the right was dropped");
        return;
    }
    if (!alone) name_grant(p, kind, subject, grant);
    else snprintf(grant, sizeof grant, p->no_flags ? "everything (mw_policy_add_all)" : "--allow-all");
    if (d->verdict == MW_NO && d->rule != NULL) {
        hint_of_denial(err, p, l, subject, d->rule, grant);
    } else if (l->origin == MW_FROM_FILE && alone) {
        mw_err_hint(err, p->no_flags ? "only a policy without a file that grants everything does" : "grant it with --allow-all and no policy file");
    } else if (l->origin == MW_FROM_FILE) {
        if (!p->no_flags) snprintf(as, sizeof as, ", as %s does without a file", grant);
        mw_err_hint(err, "the policy file does not grant it: add it to its list \"%s\"%s", name, as);
    } else if (l->origin == MW_FROM_PERMISSIONS) {
        if (!p->no_flags) snprintf(as, sizeof as, ", as %s does for a whole run", grant);
        mw_err_hint(err, "grant it with permissions = { %s = ... } where this script is started%s", name, as);
    } else if (alone) {
        mw_policy_grant_all_hint(p, err);
    } else {
        mw_err_hint(err, "%s%s", with(p), grant);
    }
}

/* ---- The end of a decision ------------------------------------------------------------------------------------------------ */

static int unaudited(struct mw_err *err, const char *op, const char *subject, int code) {
    return mw_err_setf(err, MW_EDENIED, op, subject, "denied: the audit cannot be written: %s", mw_err_words(code));
}

static int deny(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, enum mw_by by, const struct mw_decision *d) {
    int rc = mw_audit(p, op, kind, subject, "denied", by, d);

    if (rc < 0) return unaudited(err, op, subject, rc);
    mw_err_set(err, MW_EDENIED, op, subject, NULL);
    if (err != NULL) hint(err, p, kind, subject, d);
    return MW_EDENIED;
}

int mw_deny_decided(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_decision *d) {
    return deny(err, p, op, kind, subject, MW_BY_RULE, d);
}

int mw_settle(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_target *t,
              const struct mw_decision *d) {
    enum mw_said said;
    int rc;

    if (d->verdict == MW_YES) {
        rc = p->audit_fd < 0 ? 0 : mw_audit(p, op, kind, subject, "granted", MW_BY_RULE, d);
        return rc == 0 ? 0 : unaudited(err, op, subject, rc);
    }
    said = mw_ask(p, kind, subject, t, d, 0);
    if (said == MW_SAID_NO || said == MW_SAID_NOTHING) return deny(err, p, op, kind, subject, said == MW_SAID_NO ? MW_BY_PERSON : MW_BY_RULE, d);
    rc = mw_audit(p, op, kind, subject, said == MW_SAID_ALWAYS ? "granted always" : "granted once", MW_BY_PERSON, d);
    return rc == 0 ? 0 : unaudited(err, op, subject, rc);
}

int mw_decide_or_ask(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_target *t) {
    struct mw_decision d;

    mw_decide(p, t, &d);
    if (d.verdict == MW_YES && p->audit_fd < 0) return 0;
    return mw_settle(err, p, op, kind, subject, t, &d);
}

int mw_decide_unasked(struct mw_err *err, mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const struct mw_target *t) {
    struct mw_decision d;

    mw_decide(p, t, &d);
    return d.verdict == MW_YES ? mw_settle(err, p, op, kind, subject, t, &d) : mw_deny_decided(err, p, op, kind, subject, &d);
}
