/* Moving and linking, in a real tree: a new name opens nothing that the old one kept, and what is denied stays where it is. */
#include "policy/permit.h"

#include <limits.h>
#include <sys/stat.h>

#include "support/tree.h"

static void tree(void) {
    static const char *const dirs[] = {"git", "git/hooks", "new", "new/hooks", "app", "vault", NULL};
    static const char *const files[] = {"new/hooks/pre", "vault/key", "vault/key.lua", "app/main.lua", NULL};

    tree_begin();
    for (int i = 0; dirs[i] != NULL; i++) REQUIRE(mkdir(in(dirs[i]), 0755) == 0);
    for (int i = 0; files[i] != NULL; i++) {
        FILE *f = fopen(in(files[i]), "w");
        REQUIRE(f != NULL);
        fclose(f);
    }
}

static void add(enum mw_kind kind, enum mw_effect effect, const char *name) {
    REQUIRE(mw_policy_add_one(p, kind, effect, in(name), &err) == 0);
}

static int ends(int rc, struct mw_place *a, struct mw_place *b) {
    mw_place_close(a);
    mw_place_close(b);
    return rc;
}
static int moves(const char *from, const char *to) {
    struct mw_place a, b;
    int rc = mw_permit_move(p, in(from), in(to), "fs rename", &a, &b, &err);
    return ends(rc, &a, &b);
}
static int links(const char *from, const char *to) {
    struct mw_place a, b;
    int rc = mw_permit_link(p, in(from), in(to), "fs link", &a, &b, &err);
    return ends(rc, &a, &b);
}

TEST(a_folder_with_something_denied_in_it_stays_where_it_is) {
    tree();
    add(MW_WRITE, MW_ALLOW, "");
    add(MW_WRITE, MW_DENY, "git/hooks");
    CHECK(moves("git", "old") == MW_EDENIED);
    CHECK(strstr(err.message, "must stay where it is") != NULL);
    CHECK(moves("new", "old") == 0);
    tree_end();
}

TEST(no_other_folder_comes_to_stand_around_a_denied_name) {
    tree();
    add(MW_WRITE, MW_ALLOW, "");
    add(MW_WRITE, MW_DENY, "git/hooks");
    add(MW_WRITE, MW_DENY, "later/config"); /* neither is there yet */
    CHECK(moves("new", "git") == MW_EDENIED);
    CHECK(moves("new", "later") == MW_EDENIED);
    CHECK(moves("new", "git/sub") == 0);
    tree_end();
}

TEST(a_dropped_right_counts_as_a_denial_below) {
    tree();
    add(MW_WRITE, MW_ALLOW, "");
    CHECK(moves("git", "old") == 0);
    REQUIRE(mw_policy_drop(p, MW_WRITE, in("git/hooks"), &err) == 0);
    CHECK(moves("git", "old") == MW_EDENIED);
    CHECK(moves("new", "git") == MW_EDENIED);
    tree_end();
}

TEST(nothing_becomes_a_free_module_by_its_new_name) {
    tree();
    add(MW_WRITE, MW_ALLOW, "");
    REQUIRE(mw_policy_free_module_dir(p, in("app"), &err) == 0);
    CHECK(moves("vault/key", "app/key.lua") == MW_EDENIED);
    CHECK(moves("vault/key.lua", "app/key.lua") == MW_EDENIED);
    CHECK(moves("vault", "app/lib") == MW_EDENIED);
    CHECK(moves("vault", "app") == MW_EDENIED);
    CHECK(moves("vault/key", "app/key") == 0);          /* no module: not free to read there either */
    CHECK(moves("app/main.lua", "app/other.lua") == 0); /* free before and after */
    add(MW_READ, MW_ALLOW, "vault");
    CHECK(moves("vault/key", "app/key.lua") == 0);
    tree_end();
}

TEST(a_link_needs_read_and_write_of_both_names) {
    tree();
    add(MW_WRITE, MW_ALLOW, "");
    CHECK(links("vault/key", "new/key") == MW_EDENIED);
    add(MW_READ, MW_ALLOW, "vault");
    CHECK(links("vault/key", "new/key") == MW_EDENIED);
    add(MW_READ, MW_ALLOW, "new");
    CHECK(links("vault/key", "new/key") == 0);
    tree_end();
}
