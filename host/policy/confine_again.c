/* The second look at a granted tree: does what was given, by the names that things had then, hold anything that is refused?
 * Knows: confine_points.h. Never: adds anything to a cage; prevents what is moved later: Landlock allows what lies below what was
 * given, at the time of use. */
#include <stdlib.h>

#include "policy/confine_points.h"

int mw_given_add(struct mw_cage_build *b, struct mw_given *g, const struct stat *st) {
    struct mw_node *more;

    if (g->count == g->room) {
        more = realloc(g->at, (g->room * 2 + 16) * sizeof *more);
        if (more == NULL) return mw_err_set(b->err, MW_ENOMEM, "confine", NULL, NULL);
        g->at = more;
        g->room = g->room * 2 + 16;
    }
    g->at[g->count++] = (struct mw_node){st->st_dev, st->st_ino};
    return 0;
}

static int by_node(const void *a, const void *b) {
    const struct mw_node *x = a, *y = b;

    if (x->dev != y->dev) return x->dev < y->dev ? -1 : 1;
    return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

void mw_given_sort(struct mw_given *g) {
    if (g->count > 1) qsort(g->at, g->count, sizeof *g->at, by_node);
}

int mw_given_on(const struct mw_given *g, const struct mw_trail *t) {
    int under = 0;

    for (unsigned i = 0; i < t->count && g->count > 0; i++) {
        if (!t->step[i].known || bsearch(&t->step[i].node, g->at, g->count, sizeof *g->at, by_node) == NULL) continue;
        under |= i + 1 == t->count ? MW_UNDER_ITSELF : MW_UNDER_GIVEN;
    }
    return under;
}

int mw_points_any_refused(const struct mw_points *ps) {
    for (size_t i = 0; i < ps->count; i++)
        if (!ps->at[i].yes || ps->at[i].fixed) return 1;
    return 0;
}

int mw_points_settled(const struct mw_points *ps, int as_fixed) {
    if (ps->moved) return MW_EAGAIN;
    for (size_t i = 0; i < ps->count; i++) {
        const struct mw_point *at = &ps->at[i];
        int above_alone = at->yes || at->fixed || as_fixed; /* what is fixed is given, itself */
        if ((at->yes && !at->fixed) || (as_fixed && at->special)) continue;
        if ((at->under & (above_alone ? MW_UNDER_GIVEN : MW_UNDER_GIVEN | MW_UNDER_ITSELF)) != 0) return MW_EAGAIN;
    }
    return 0;
}
