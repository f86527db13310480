/* What runs with all rights is not for a script to write: a denial of writing for each file that is trusted, or loaded as native code.
 * Knows: grants. Never: guards a folder, or what a program reads when it runs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/grant.h"

static const enum mw_kind guarded_kinds[] = {MW_TRUST, MW_FFI};

static int same(const struct mw_rule *a, const struct mw_rule *b) {
    return a->spot.known && b->spot.known && a->spot.node.dev == b->spot.node.dev && a->spot.node.ino == b->spot.node.ino;
}

/* A file by name, of which this user could change what is in it, also by making it writable first. */
static int needs_guard(const struct mw_rule *r) {
    char self[32];
    struct stat st;

    if (r->effect != MW_ALLOW || r->form == MW_FORM_EVERY || r->spot.fd < 0) return 0;
    if (fstat(r->spot.fd, &st) < 0 || !S_ISREG(st.st_mode)) return 0;
    if (st.st_uid == geteuid()) return 1;
    snprintf(self, sizeof self, "/proc/self/fd/%d", r->spot.fd);
    return faccessat(AT_FDCWD, self, W_OK, AT_EACCESS) == 0 || (errno != EACCES && errno != EPERM && errno != EROFS);
}

static int is_guarded(const struct mw_layer *l, const struct mw_rule *r) {
    for (const struct mw_rule *d = l->rules[MW_WRITE]; d != NULL; d = d->next)
        if (d->effect == MW_DENY && same(d, r)) return 1;
    return 0;
}

static int guard(struct mw_policy *p, struct mw_layer *l, const struct mw_rule *r, struct mw_err *err) {
    struct mw_rule *d;
    char *text = strdup(r->name); /* where it was found: what lists show */
    int rc = text == NULL ? MW_ENOMEM : mw_rule_copy(r, &d);

    if (rc < 0) {
        free(text);
        return mw_err_set(err, rc, "policy", r->text, NULL);
    }
    free(d->text);
    d->text = text;
    d->kind = MW_WRITE;
    d->effect = MW_DENY;
    d->form = MW_FORM_PATH;
    return mw_layer_take_found(p, l, d, err);
}

int mw_policy_guard(mw_policy *p, struct mw_err *err) {
    int rc = 0;

    for (struct mw_layer *l = p->layers; l != NULL; l = l->next)
        for (size_t i = 0; i < sizeof guarded_kinds / sizeof *guarded_kinds && !l->all; i++)
            for (const struct mw_rule *r = l->rules[guarded_kinds[i]]; r != NULL && rc == 0; r = r->next)
                if (needs_guard(r) && !is_guarded(l, r)) rc = guard(p, l, r, err);
    return rc;
}

const struct mw_rule *mw_guard_of(const struct mw_layer *l, const struct mw_rule *d) {
    if (d->kind != MW_WRITE || d->effect != MW_DENY) return NULL;
    for (size_t i = 0; i < sizeof guarded_kinds / sizeof *guarded_kinds; i++)
        for (const struct mw_rule *r = l->rules[guarded_kinds[i]]; r != NULL; r = r->next)
            if (r->effect == MW_ALLOW && same(d, r)) return r;
    return NULL;
}
