/* The audit: one line of JSON a decision, in one write, to a descriptor that the assembly gave.
 * Knows: grants, codec/json_text (how a string is quoted). Never: decides; opens the file; goes on when a line is lost. */
#include "policy/audit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "codec/json_text.h"

#define SUBJECT_MAX (MW_RULE_MAX + 16u)         /* bytes of a subject; longer ones are cut, and the line says so */
#define AUDIT_LINE_MAX (6u * SUBJECT_MAX + 2u * SUBJECT_MAX + 6u * MW_RULE_MAX + 4096u)

struct line {
    char at[AUDIT_LINE_MAX];
    size_t len;
    int full;
};

static void add(struct line *l, const char *text, size_t len) {
    if (l->len + len > sizeof l->at) l->full = 1;
    if (l->full) return;
    memcpy(l->at + l->len, text, len);
    l->len += len;
}

static void add_text(struct line *l, const char *text) { add(l, text, strlen(text)); }

/* "key":"value", or null. */
static int add_field(struct line *l, const char *key, const char *value, size_t len) {
    int invalid = 0;
    size_t n = 0;

    add_text(l, l->len > 1 ? ",\"" : "\"");
    add_text(l, key);
    add_text(l, "\":");
    if (value == NULL) add_text(l, "null");
    else if ((n = mw_json_quote(l->at + l->len, sizeof l->at - l->len, value, len, &invalid)) == 0) l->full = 1;
    l->len += n;
    return invalid;
}

static void add_word(struct line *l, const char *key, const char *value) { add_field(l, key, value, value != NULL ? strlen(value) : 0); }

/* The subject; its bytes in hexadecimal too where it is no UTF-8, and so cannot be told in JSON. */
static void add_subject(struct line *l, const char *subject) {
    size_t len = subject != NULL ? strlen(subject) : 0, kept = len < SUBJECT_MAX ? len : SUBJECT_MAX;

    if (add_field(l, "subject", subject, kept)) {
        add_text(l, ",\"subject_hex\":\"");
        for (size_t i = 0; i < kept; i++) {
            char two[3];
            snprintf(two, sizeof two, "%02x", (unsigned char)subject[i]);
            add(l, two, 2);
        }
        add_text(l, "\"");
    }
    if (kept < len) add_text(l, ",\"subject_cut\":true");
}

static void add_head(struct line *l, const mw_policy *p) {
    struct timespec now;
    struct tm tm;
    char text[96], day[32] = "";

    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm) != NULL) strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "{\"time\":\"%s.%03ldZ\",\"pid\":%ld", day, now.tv_nsec / 1000000, (long)getpid());
    add_text(l, text);
    add_word(l, "host", p->audit_host);
}

/* Appends the line. A file that takes only a part of it is as good as full. */
static int put(const mw_policy *p, struct line *l) {
    size_t done = 0;

    if (l->full || l->len == sizeof l->at) return -EMSGSIZE;
    l->at[l->len++] = '\n';
    while (done < l->len) {
        ssize_t n = write(p->audit_fd, l->at + done, l->len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

/* ---- What decided -------------------------------------------------------------------------------------------------------- */

static const struct mw_layer *layer_of(const mw_policy *p, unsigned n) {
    const struct mw_layer *l = p->layers;

    if (n == MW_LAYER_OF_DROPS) return &p->drops;
    while (n-- > 0 && l->next != NULL) l = l->next;
    return l;
}

static int is_module_rule(const mw_policy *p, const struct mw_rule *rule) {
    for (const struct mw_rule *r = p->modules; r != NULL; r = r->next)
        if (r == rule) return 1;
    return 0;
}

/* The flag, or the part of the policy, that decided; NULL: nothing spoke of it. */
static const char *decided_by(const mw_policy *p, const struct mw_decision *d, char *out, size_t size) {
    const struct mw_layer *l = layer_of(p, d->layer);
    const struct mw_rule *guarded = d->rule != NULL ? mw_guard_of(l, d->rule) : NULL, *r = guarded != NULL ? guarded : d->rule;
    const char *equals = r != NULL && r->text != NULL ? "=" : "", *text = r != NULL && r->text != NULL ? r->text : "";

    if (r != NULL && is_module_rule(p, r)) return "modules";
    switch (l->origin) {
    case MW_FROM_DROPS: return "drop";
    case MW_FROM_PERMISSIONS: return "permissions";
    case MW_FROM_FILE:
        if (r == NULL) return p->no_flags ? "policy file" : "--policy";
        snprintf(out, size, "%s: %s%s%s%s", p->no_flags ? "policy file" : "--policy", r->effect == MW_DENY ? "deny " : "", mw_kind_name(r->kind), equals, text);
        return out;
    case MW_FROM_FLAGS: break;
    }
    if (r == NULL) return d->verdict != MW_YES || !l->all ? NULL : p->no_flags ? "policy: everything" : "--allow-all";
    if (p->no_flags) {
        snprintf(out, size, "policy: %s%s%s%s", r->effect == MW_DENY ? "deny " : "", mw_kind_name(r->kind), equals, text);
        return out;
    }
    snprintf(out, size, "%s%s%s", mw_rule_flag(r->kind, r->effect), equals, text);
    return out;
}

/* ---- Lines --------------------------------------------------------------------------------------------------------------- */

static int write_line(mw_policy *p, const char *kind, const char *op, const char *subject, const char *outcome, const char *rule) {
    struct line l;
    char where[MW_WHERE_MAX] = "";

    l.len = 0;
    l.full = 0;
    if (p->where != NULL) p->where(p->where_ud, where, sizeof where);
    add_head(&l, p);
    add_word(&l, "kind", kind);
    add_word(&l, "op", op);
    add_subject(&l, subject);
    add_word(&l, "outcome", outcome);
    add_word(&l, "rule", rule);
    add_word(&l, "where", where[0] != 0 ? where : NULL);
    add_text(&l, "}");
    return put(p, &l);
}

int mw_audit(mw_policy *p, const char *op, enum mw_kind kind, const char *subject, const char *outcome, enum mw_by by, const struct mw_decision *d) {
    char rule[MW_RULE_MAX + 64];

    if (p->audit_fd < 0 || p->quiet > 0) return 0;
    return write_line(p, mw_kind_name(kind), op, subject, outcome, by == MW_BY_PERSON ? "prompt" : decided_by(p, d, rule, sizeof rule));
}

int mw_policy_audit_note(mw_policy *p, const char *kind, const char *op, const char *subject, const char *outcome, const char *rule, struct mw_err *err) {
    int rc = p->audit_fd < 0 || p->quiet > 0 ? 0 : write_line(p, kind, op, subject, outcome, rule);

    if (rc == 0) return 0;
    return mw_err_setf(err, MW_EDENIED, op, subject, "denied: the audit cannot be written: %s", mw_err_words(rc));
}

int mw_policy_refuse(mw_policy *p, const char *kind, const char *op, const char *subject, const char *what, struct mw_err *err) {
    if (mw_policy_audit_note(p, kind, op, subject, "denied", NULL, err) < 0) return MW_EDENIED;
    return mw_err_set(err, MW_EDENIED, op, subject, what);
}

void mw_policy_audit(mw_policy *p, int fd, const char *host) {
    p->audit_fd = fd;
    snprintf(p->audit_host, sizeof p->audit_host, "%s", host);
}

int mw_policy_audit_fd(const mw_policy *p) { return p->audit_fd; }

void mw_policy_on_where(mw_policy *p, mw_policy_where *where, void *ud) {
    p->where = where;
    p->where_ud = ud;
}
