/* The places at which a policy's answer changes, for confine_tree.c: collected, asked, sorted.
 * Knows: confine_parts.h. Never: adds anything to a cage. */
#ifndef MW_POLICY_CONFINE_POINTS_H
#define MW_POLICY_CONFINE_POINTS_H

#include "policy/confine_parts.h"

struct mw_point {
    char *text;                  /* without links; "" is the root */
    int yes;                     /* the policy grants it */
    int special;                 /* something like /proc: only "everything" grants it */
    int forced;                  /* 1: refused whatever the policy says: it could not be looked at */
    int fixed;                   /* 1: it is not to be moved: the folders that lead to it are opened up, itself is given */
    int under;                   /* of a second look: what was given lies on the way to it (MW_UNDER_...) */
    int missed;                  /* the way that was walked did not lead over what it had to */
    struct mw_node node;         /* what stands there; ino 0: nothing */
};
#define MW_UNDER_GIVEN 1         /* a folder above it */
#define MW_UNDER_ITSELF 2

/* An object that is denied, and may stand at names that no rule knows. */
struct mw_sought {
    struct mw_node node;
    const char *rest;            /* names below it that are meant; NULL: itself. Lent by the policy */
    uint64_t left;               /* names of it that were not seen yet */
};

struct mw_points {
    struct mw_cage_build *b;
    enum mw_kind kind;
    int loading;                 /* 1: granted is what no denial by path refuses (the loading table) */
    int held;                    /* the rule at hand binds our own cage already: what had no name then is not looked for again */
    int guarding;                /* the rule at hand is a guard (mw_policy_guard): hard links to what it denies are not looked for */
    int everything;              /* 1: what no rule can name is granted, too */
    const struct mw_given *given;    /* of a second look: what the first one has led to, sorted; NULL: this is the first */
    int moved;                   /* of a second look: something does not stand still */
    struct mw_point *at;
    size_t count, room;
    struct mw_node *bad;         /* what denials mean, by identity */
    size_t bad_count, bad_room;
    struct mw_sought *sought;
    size_t sought_count, sought_room;
};

/* Everything that speaks of the kind, asked and sorted. 0 or a code; whatever it says, end it with mw_points_end. */
int mw_points_find(struct mw_points *ps);
void mw_points_end(struct mw_points *ps);

/* One more, asked at once. `forced`: refused. Sort again afterwards. */
int mw_points_add(struct mw_points *ps, const char *text, int special, int forced);
void mw_points_sort(struct mw_points *ps);
/* Looks for what is sought below the granted places; adds where it is. */
int mw_points_seek(struct mw_points *ps);

/* Fixes in `ps` (of writing) all places at which the answer of `reads` changes: what is moved to or from such a name, or with a
 * folder around one, could be read where it was not before. */
int mw_points_fix(struct mw_points *ps, const struct mw_points *reads);
/* What holds at `text`: that of the deepest point that it is at or below. */
int mw_points_says(const struct mw_points *ps, const char *text);

/* The point at exactly this place, or NULL. */
const struct mw_point *mw_points_at(const struct mw_points *ps, const char *text);
/* 1 if something below `text` is refused or fixed. */
int mw_points_refuse_below(const struct mw_points *ps, const char *text);
/* 1 if it is what a denial means. */
int mw_points_is_bad(const struct mw_points *ps, const struct stat *st);
/* The granted point `i` lies in no other granted one (save by way of a refused one). */
int mw_points_is_root(const struct mw_points *ps, size_t i);

/* The second look (confine_again.c): files may have been moved by others between asking and giving, so that what was given by its name
 * may be, by now, what a denial means, or hold it. */
int mw_given_add(struct mw_cage_build *b, struct mw_given *g, const struct stat *st);
void mw_given_sort(struct mw_given *g);
/* MW_UNDER_... of a trail. */
int mw_given_on(const struct mw_given *g, const struct mw_trail *t);
/* 1 if a second look is due at all: something is refused. */
int mw_points_any_refused(const struct mw_points *ps);
/* After it (ps->given, all found): 0, or MW_EAGAIN: what is refused lies in what was given, or it could not be seen where it lies.
 * as_fixed: for what was given `ps` says what is not to be moved (mw_points_fix). */
int mw_points_settled(const struct mw_points *ps, int as_fixed);

/* Asks about one place. *st (may be NULL) is filled when something stands there: 1 granted, 0 not, or a code. */
int mw_points_ask(struct mw_points *ps, const char *path, int special, struct mw_point *out, struct stat *st);

#endif
