/* How long a cage that is kept says what a new one would: what changes its answer makes it stale. */
#include "policy/confine.h"

#include <fcntl.h>
#include <unistd.h>

#include "support/tree.h"

static void dir(const char *name) { REQUIRE(mkdir(in(name), 0755) == 0); }

static void add(enum mw_kind kind, enum mw_effect effect, const char *name) {
    REQUIRE(mw_policy_add_one(p, kind, effect, in(name), &err) == 0);
}

static mw_cage *cage(void) {
    struct mw_cage_wish w = {.who = MW_CAGE_PROGRAM, .policy = p, .abi = mw_confine_abi(), .program_fd = -1, .home_fd = -1};
    mw_cage *c = NULL;
    int rc = mw_cage_new(&w, &c, &err);

    if (rc == -EOPNOTSUPP && mw_confine_abi() == 0) {
        printf("# no Landlock here\n");
        tree_end();
        longjmp(check_end, 1); /* nothing failed */
    }
    REQUIRE(rc == 0);
    return c;
}

/* One that is kept: a folder that was listed just after it changed is not trusted to be as it was, but listed again. */
static mw_cage *lasting_cage(void) {
    for (;;) {
        mw_cage *c = cage();
        if (mw_cage_fresh(c, p)) return c;
        mw_cage_drop(c);
        usleep(5000);
    }
}

TEST(a_cage_is_fresh_until_what_it_was_made_from_changes) {
    mw_policy *other;
    mw_cage *c;

    tree_begin();
    dir("in"), put("in/a", "x", 0644), put("one", "x", 0644);
    add(MW_READ, MW_ALLOW, "in"), add(MW_READ, MW_ALLOW, "one"), add(MW_READ, MW_ALLOW, "later");
    c = cage();
    CHECK_INT(mw_cage_fresh(c, p), 1);
    put("in/b", "x", 0644);
    CHECK_INT(mw_cage_fresh(c, p), 1); /* in a whole tree nothing matters */
    put("later", "x", 0644);
    CHECK_INT(mw_cage_fresh(c, p), 0);
    mw_cage_drop(c);
    c = cage();
    CHECK_INT(mw_cage_fresh(c, p), 1);
    put("new", "x", 0644);
    REQUIRE(rename(in("new"), in("one")) == 0);
    CHECK_INT(mw_cage_fresh(c, p), 0);
    mw_cage_drop(c);
    c = cage();
    REQUIRE(mw_policy_copy(p, &other, &err) == 0);
    CHECK_INT(mw_cage_fresh(c, other), 0);
    REQUIRE(mw_policy_drop(p, MW_READ, in("one"), &err) == 0);
    CHECK_INT(mw_cage_fresh(c, p), 0);
    mw_cage_drop(c);
    mw_policy_free(other);
    tree_end();
}

TEST(a_cage_is_stale_once_what_is_denied_has_another_name_or_place) {
    mw_cage *c;

    tree_begin();
    dir("in"), dir("in/sub"), dir("in/sub/deep"), dir("in/whole"), dir("in/other");
    dir("out"), dir("out/box"), put("in/no", "x", 0644), put("out/no", "x", 0644);
    add(MW_READ, MW_ALLOW, "in");
    add(MW_READ, MW_DENY, "in/no"), add(MW_READ, MW_DENY, "out/no"), add(MW_READ, MW_DENY, "out/box/later");
    c = lasting_cage();
    REQUIRE(link(in("in/no"), in("in/sub/deep/hard")) == 0);
    CHECK_INT(mw_cage_fresh(c, p), 0);
    mw_cage_drop(c);
    c = lasting_cage();
    REQUIRE(rename(in("out/no"), in("in/whole/no")) == 0);
    CHECK_INT(mw_cage_fresh(c, p), 0);
    mw_cage_drop(c);
    c = lasting_cage();
    REQUIRE(rename(in("out/box"), in("in/other/box")) == 0);
    CHECK_INT(mw_cage_fresh(c, p), 0);
    mw_cage_drop(c);
    tree_end();
}
