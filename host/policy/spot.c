/* Finds, once, where a rule's path leads: the object by identity, the place by directory and name.
 * Knows: rules, walking. Never: decides. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/grant.h"

static int copy_place(struct mw_place_id *to, const struct mw_place_id *from) {
    char *text = strdup(from->text);
    if (text == NULL) return MW_ENOMEM;
    *to = *from;
    to->text = text;
    return 0;
}

/* The place that a trail ends at: its deepest directory that exists, and the names below. */
static int place_of(const struct mw_trail *t, struct mw_place_id *out) {
    struct mw_place_id at = {.text = (char *)(size_t)t->text, .len = t->len}; /* only copied from */
    unsigned last = t->count - 1, up = last;

    if (last > 0) {
        up = last - 1;
        while (up > 0 && !t->step[up].known) up--;
        at.known = 1;
        at.anchor = t->step[up].node;
        at.steps = last - up;
        at.rest = t->step[up].end + 1u;
    }
    return copy_place(out, &at);
}

static int fill(struct mw_rule *r, struct mw_walk *w) {
    const struct mw_trail *t = &w->trail;
    struct mw_spot *s = &r->spot;
    int rc = place_of(t, &s->place);

    if (rc == 0 && w->link.known) rc = copy_place(&s->link, &w->link);
    if (rc < 0) return rc;
    if (w->fd >= 0 && t->step[t->count - 1].known) {
        s->known = 1;
        s->node = t->step[t->count - 1].node;
        s->is_dir = S_ISDIR(w->st.st_mode);
        s->fd = w->fd;
        w->fd = -1;
    }
    return 0;
}

/* What is denied must be known by more than its name where it is there: 1 if the walk ended for another reason than that it is not, or
 * that nobody gets there. */
static int unclear(const struct mw_rule *r, int status) {
    return r->effect == MW_DENY && status != 0 && status != -ENOENT && status != -ENOTDIR && status != -EACCES && status != -ELOOP && status != -ENAMETOOLONG;
}

static int find_path(struct mw_rule *r, struct mw_err *err) {
    char path[MW_TRAIL_TEXT];
    const char *flag = mw_rule_flag(r->kind, r->effect);
    struct mw_walk w;
    size_t cwd_len, len;
    char *name;
    int rc = mw_walk_absolute(r->name, path, sizeof path, &cwd_len);

    if (rc < 0) return mw_err_set(err, rc, flag, r->text, NULL);
    len = strlen(path);
    while (len > 1 && path[len - 1] == '/') path[--len] = 0;
    rc = mw_walk(path, 0, MW_WALK_FOLLOW, NULL, &w);
    if (rc == 0 && unclear(r, w.status)) {
        rc = w.status;
        mw_walk_end(&w);
    }
    if (rc < 0) return mw_err_set(err, rc, flag, r->text, NULL);
    rc = fill(r, &w);
    mw_walk_end(&w);
    name = rc == 0 ? strdup(path) : NULL;
    if (name == NULL) return mw_err_set(err, MW_ENOMEM, flag, NULL, NULL);
    free(r->name);
    r->name = name;
    if (r->form != MW_FORM_PATH) return 0;
    name = strdup(path); /* what lists and hints show */
    if (name == NULL) return mw_err_set(err, MW_ENOMEM, flag, NULL, NULL);
    free(r->text);
    r->text = name;
    return 0;
}

static int find_program(const struct mw_policy *p, struct mw_rule *r, struct mw_err *err) {
    const char *flag = mw_rule_flag(r->kind, r->effect);
    char path[MW_TRAIL_TEXT], *name;
    struct mw_walk w;
    int rc = mw_program_find(p, r->name, path, &w);

    if (rc == MW_ENOENT) return mw_err_set(err, rc, flag, r->text, strchr(r->name, '/') != NULL ? "no such program" : "no such program in PATH");
    if (rc < 0) return mw_err_set(err, rc, flag, r->text, NULL);
    rc = fill(r, &w);
    mw_walk_end(&w);
    name = rc == 0 ? strdup(path) : NULL; /* absolute: a later change of directory or of PATH does not move it */
    if (name == NULL) return mw_err_set(err, MW_ENOMEM, flag, NULL, NULL);
    free(r->name);
    r->name = name;
    return 0;
}

int mw_spot_find(const struct mw_policy *p, struct mw_rule *r, struct mw_err *err) {
    return r->form == MW_FORM_PROGRAM ? find_program(p, r, err) : find_path(r, err);
}

int mw_spot_unseen(struct mw_rule *r, struct mw_err *err) {
    const char *flag = mw_rule_flag(r->kind, r->effect);
    char path[MW_TRAIL_TEXT], name[MW_RULE_MAX + 2];
    size_t cwd_len;
    int rc;

    snprintf(name, sizeof name, "%s%s", strchr(r->name, '/') != NULL ? "" : "/", r->name);
    rc = mw_walk_absolute(name, path, sizeof path, &cwd_len);
    if (rc < 0) return mw_err_set(err, rc, flag, r->text, NULL);
    free(r->name);
    r->name = strdup(path);
    r->spot.place.text = strdup(path);
    r->spot.place.len = strlen(path);
    return r->name == NULL || r->spot.place.text == NULL ? mw_err_set(err, MW_ENOMEM, flag, NULL, NULL) : 0;
}
