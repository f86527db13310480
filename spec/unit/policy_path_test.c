/* Permitted paths, in a real tree: what is granted opens, what is not does not, by whatever spelling, link, rename or second name. */
#include "policy/permit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "support/tree.h"

static void tree(void) {
    tree_begin();
    REQUIRE(mkdir(in("data"), 0755) == 0 && mkdir(in("data/sub"), 0755) == 0 && mkdir(in("data/secret"), 0755) == 0 && mkdir(in("out"), 0755) == 0 &&
            mkdir(in("other"), 0755) == 0);
    put("data/a", "a", 0644);
    put("data/sub/b", "b", 0644);
    put("data/secret/key", "k", 0644);
    put("other/o", "o", 0644);
    REQUIRE(symlink("a", in("data/rel")) == 0 && symlink(in("data/a"), in("data/abs")) == 0 && symlink(in("other/o"), in("data/away")) == 0 &&
            symlink("loop", in("data/loop")) == 0 && symlink(in("data"), in("spelled")) == 0 && symlink("missing", in("data/dangling")) == 0 &&
            symlink("../other", in("data/up")) == 0);
}

static void add(enum mw_kind kind, enum mw_effect effect, const char *name) {
    REQUIRE(mw_policy_add_one(p, kind, effect, in(name), &err) == 0);
}

/* 0 or the code of opening for reading. */
static int reads(const char *name) {
    int fd = -1, rc = mw_permit_open(p, in(name), O_RDONLY, 0, 1, "fs read", &fd, &err);
    if (fd >= 0) close(fd);
    return rc;
}
static int creates(const char *name) {
    int fd = -1, rc = mw_permit_open(p, in(name), O_WRONLY | O_CREAT | O_TRUNC, 0644, 1, "fs write", &fd, &err);
    if (fd >= 0) close(fd);
    return rc;
}
static int names(const char *name) {
    struct mw_place at;
    int rc = mw_permit_path(p, 1u << MW_WRITE, in(name), MW_AT_NAME, "fs remove", &at, &err);
    mw_place_close(&at);
    return rc;
}

TEST(nothing_is_allowed_at_first) {
    tree();
    CHECK_INT(reads("data/a"), MW_EDENIED);
    CHECK(strstr(err.message, "denied (grant it with --allow-read=/tmp/mw-tree-") != NULL);
    CHECK_INT(creates("out/x"), MW_EDENIED);
    CHECK(strstr(err.hint, "--allow-write=") != NULL);
    tree_end();
}

TEST(a_granted_directory_is_granted_to_its_depth_and_no_further) {
    tree();
    add(MW_READ, MW_ALLOW, "data");
    CHECK_INT(reads("data/a"), 0);
    CHECK_INT(reads("data/sub/b"), 0);
    CHECK_INT(reads("data/sub/../a"), 0);
    CHECK_INT(reads("data//./a"), 0);
    CHECK_INT(reads("data/rel"), 0);
    CHECK_INT(reads("data/abs"), 0);
    CHECK_INT(reads("spelled/a"), 0);
    CHECK_INT(reads("data/missing"), MW_ENOENT);
    CHECK_INT(reads("data/dangling"), MW_ENOENT);
    CHECK_INT(reads("data/loop"), -ELOOP);
    CHECK_INT(reads("data/a/x"), -ENOTDIR);
    CHECK_INT(reads("data/away"), MW_EDENIED);
    CHECK_INT(reads("data/up/o"), MW_EDENIED);
    CHECK_INT(reads("data/../other/o"), MW_EDENIED);
    CHECK_INT(reads("other/o"), MW_EDENIED);
    CHECK_INT(reads("database"), MW_EDENIED);
    CHECK_INT(creates("data/a"), MW_EDENIED);
    tree_end();
}

TEST(a_denial_reads_the_same_whether_or_not_the_target_exists) {
    char there[900];
    tree();
    add(MW_READ, MW_ALLOW, "data");
    CHECK_INT(reads("other/o"), MW_EDENIED);
    snprintf(there, sizeof there, "%s", err.message);
    REQUIRE(unlink(in("other/o")) == 0);
    CHECK_INT(reads("other/o"), MW_EDENIED);
    CHECK_STR(err.message, there);
    /* a step up again out of what is not granted would tell, too */
    CHECK_INT(reads("other/../data/a"), MW_EDENIED);
    snprintf(there, sizeof there, "%s", err.message);
    REQUIRE(rmdir(in("other")) == 0);
    CHECK_INT(reads("other/../data/a"), MW_EDENIED);
    CHECK_STR(err.message, there);
    tree_end();
}

TEST(the_more_specific_rule_wins_and_a_denial_wins_a_tie) {
    tree();
    add(MW_READ, MW_ALLOW, "data");
    add(MW_READ, MW_DENY, "data/secret");
    CHECK_INT(reads("data/secret/key"), MW_EDENIED);
    CHECK_INT(reads("data/a"), 0);
    add(MW_READ, MW_ALLOW, "data/secret/key");
    CHECK_INT(reads("data/secret/key"), 0);
    CHECK_INT(reads("data/secret"), MW_EDENIED);
    add(MW_READ, MW_DENY, "data/secret/key");
    CHECK_INT(reads("data/secret/key"), MW_EDENIED);
    tree_end();
}

TEST(a_denied_object_stays_denied_under_every_other_name) {
    tree();
    add(MW_READ, MW_ALLOW, "");
    add(MW_READ, MW_DENY, "data/secret");
    add(MW_READ, MW_DENY, "data/a");
    REQUIRE(link(in("data/a"), in("hard")) == 0 && symlink(in("data/secret"), in("soft")) == 0);
    CHECK_INT(reads("hard"), MW_EDENIED);
    CHECK_INT(reads("soft/key"), MW_EDENIED);
    CHECK_INT(reads("data/rel"), MW_EDENIED);
    REQUIRE(rename(in("data/secret"), in("out/moved")) == 0);
    CHECK_INT(reads("out/moved/key"), MW_EDENIED);
    REQUIRE(rename(in("out"), in("out2")) == 0);
    CHECK_INT(reads("out2/moved/key"), MW_EDENIED);
    CHECK_INT(reads("data/sub/b"), 0);
    tree_end();
}

TEST(a_denied_name_that_does_not_exist_yet_cannot_be_made) {
    tree();
    add(MW_WRITE, MW_ALLOW, "out");
    add(MW_WRITE, MW_DENY, "out/no/never");
    add(MW_WRITE, MW_DENY, "out/x");
    CHECK_INT(creates("out/x"), MW_EDENIED);
    CHECK_INT(creates("out/y"), 0);
    CHECK_INT(creates("out/no/never"), MW_EDENIED);
    REQUIRE(mkdir(in("out/no"), 0755) == 0);
    CHECK_INT(creates("out/no/never"), MW_EDENIED);
    CHECK_INT(creates("out/no/other"), 0);
    REQUIRE(rename(in("out"), in("elsewhere")) == 0); /* by directory and name: moving the directory does not help */
    REQUIRE(mw_policy_add_one(p, MW_WRITE, MW_ALLOW, in("elsewhere"), &err) == 0);
    CHECK_INT(creates("elsewhere/x"), MW_EDENIED);
    tree_end();
}

TEST(a_granted_file_may_be_replaced_but_not_redirected) {
    tree();
    add(MW_WRITE, MW_ALLOW, "out/new");
    add(MW_READ, MW_ALLOW, "out/new");
    CHECK_INT(creates("out/new"), 0);
    CHECK_INT(reads("out/new"), 0);
    CHECK_INT(names("out/new"), 0);
    CHECK_INT(creates("out/newer"), MW_EDENIED);
    REQUIRE(unlink(in("out/new")) == 0);
    put("out/tmp", "t", 0644);
    REQUIRE(rename(in("out/tmp"), in("out/new")) == 0);
    CHECK_INT(reads("out/new"), 0);
    REQUIRE(unlink(in("out/new")) == 0 && symlink(in("other/o"), in("out/new")) == 0);
    CHECK_INT(reads("out/new"), MW_EDENIED);
    CHECK_INT(creates("out/new"), MW_EDENIED);
    tree_end();
}

TEST(a_second_name_of_a_granted_file_is_not_a_granted_name) {
    tree();
    REQUIRE(link(in("data/a"), in("other/second")) == 0);
    add(MW_WRITE, MW_ALLOW, "data/a");
    CHECK_INT(names("data/a"), 0);
    CHECK_INT(names("other/second"), MW_EDENIED);
    tree_end();
}

TEST(a_final_link_is_followed_to_create_its_target_and_not_followed_by_name) {
    struct stat st;
    tree();
    add(MW_WRITE, MW_ALLOW, "data");
    CHECK_INT(creates("data/dangling"), 0);
    CHECK(lstat(in("data/missing"), &st) == 0 && S_ISREG(st.st_mode));
    CHECK_INT(names("data/away"), 0); /* the link is ours, its target is not */
    CHECK_INT(creates("data/away"), MW_EDENIED);
    tree_end();
}

TEST(a_moved_file_never_becomes_readable_by_the_move) {
    struct mw_place a, b;
    tree();
    add(MW_WRITE, MW_ALLOW, "");
    add(MW_READ, MW_ALLOW, "data");
    add(MW_READ, MW_DENY, "data/secret");
    CHECK_INT(mw_permit_move(p, in("data/secret/key"), in("data/key"), "os rename", &a, &b, &err), MW_EDENIED);
    CHECK_INT(mw_permit_move(p, in("other/o"), in("data/o"), "os rename", &a, &b, &err), MW_EDENIED);
    CHECK_INT(mw_permit_move(p, in("other/o"), in("out/o"), "os rename", &a, &b, &err), 0);
    mw_place_close(&a);
    mw_place_close(&b);
    CHECK_INT(mw_permit_move(p, in("data/a"), in("data/a2"), "os rename", &a, &b, &err), 0);
    mw_place_close(&a);
    mw_place_close(&b);
    tree_end();
}

static int moves(const char *from, const char *to) {
    struct mw_place a, b;
    int rc = mw_permit_move(p, in(from), in(to), "os rename", &a, &b, &err);
    mw_place_close(&a);
    mw_place_close(&b);
    return rc;
}

TEST(a_folder_that_takes_the_place_of_a_grants_parent_brings_nothing_with_it) {
    tree();
    REQUIRE(mkdir(in("other/sub"), 0755) == 0);
    put("other/sub/b", "secret", 0644);
    add(MW_WRITE, MW_ALLOW, "");
    add(MW_READ, MW_ALLOW, "data/sub");
    CHECK_INT(moves("data", "was"), 0);
    REQUIRE(rename(in("data"), in("was")) == 0);
    CHECK_INT(moves("other", "data"), MW_EDENIED);
    CHECK_INT(moves("other/sub", "data"), MW_EDENIED);
    CHECK_INT(moves("other/sub", "fresh"), 0);
    tree_end();
}

TEST(a_socket_is_not_moved_to_where_it_could_be_reached) {
    tree();
    add(MW_WRITE, MW_ALLOW, "");
    {
        char rule[128];
        snprintf(rule, sizeof rule, "unix:%s", in("out/s"));
        REQUIRE(mw_policy_add_one(p, MW_CONNECT, MW_ALLOW, rule, &err) == 0);
    }
    CHECK_INT(moves("other/o", "out/s"), MW_EDENIED);
    CHECK_INT(moves("other", "out"), MW_EDENIED);
    CHECK_INT(moves("other/o", "out/t"), 0);
    tree_end();
}

TEST(a_replaced_grant_directory_is_the_one_that_its_name_says) {
    tree();
    add(MW_READ, MW_ALLOW, "data");
    CHECK_INT(reads("data/a"), 0);
    REQUIRE(rename(in("data"), in("old")) == 0 && mkdir(in("data"), 0755) == 0);
    put("data/fresh", "f", 0644);
    CHECK_INT(reads("data/fresh"), 0);
    CHECK_INT(reads("data/a"), MW_ENOENT);
    CHECK_INT(reads("old/a"), 0); /* the object that was granted */
    tree_end();
}

TEST(special_file_systems_need_everything) {
    int fd;
    tree();
    REQUIRE(mw_policy_add(p, MW_READ, MW_ALLOW, NULL, &err) == 0 && mw_policy_add(p, MW_WRITE, MW_ALLOW, NULL, &err) == 0);
    CHECK_INT(mw_permit_open(p, "/proc/self/environ", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    CHECK(strstr(err.hint, "--allow-all") != NULL);
    CHECK_INT(mw_permit_open(p, "/proc/self/root/etc/passwd", O_RDONLY, 0, 1, "fs read", &fd, &err), 0); /* "/" by another name */
    close(fd);
    CHECK_INT(mw_permit_open(p, "/proc/../proc/1/mem", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    CHECK_INT(mw_permit_open(p, "/sys/kernel", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    CHECK_INT(mw_permit_open(p, "/dev/mem", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    CHECK_INT(mw_permit_open(p, "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0644, 1, "fs write", &fd, &err), 0);
    close(fd);
    CHECK_INT(reads("data/a"), 0);
    REQUIRE(mw_policy_add_all(p, &err) == 0);
    CHECK_INT(mw_permit_open(p, "/proc/self/status", O_RDONLY, 0, 1, "fs read", &fd, &err), 0);
    close(fd);
    CHECK_INT(mw_policy_is_total(p), 1);
    tree_end();
}

TEST(files_are_files) {
    tree();
    REQUIRE(mkfifo(in("data/fifo"), 0644) == 0);
    add(MW_READ, MW_ALLOW, "data");
    add(MW_WRITE, MW_ALLOW, "data");
    CHECK_INT(reads("data/fifo"), -EOPNOTSUPP);
    CHECK_INT(creates("data/fifo"), -EOPNOTSUPP);
    CHECK_INT(creates("data/sub"), -EISDIR);
    tree_end();
}

TEST(long_and_deep_paths_are_errors) {
    static char path[3 * PATH_MAX];
    struct mw_place at;
    tree();
    add(MW_READ, MW_ALLOW, "data");
    snprintf(path, sizeof path, "%s/data", root);
    while (strlen(path) < PATH_MAX - 8) strcat(path, "/sub");
    CHECK(mw_permit_path(p, 1u << MW_READ, path, MW_AT_OBJECT, "fs stat", &at, &err) < 0);
    while (strlen(path) < 2 * PATH_MAX) strcat(path, "/sub");
    CHECK_INT(mw_permit_path(p, 1u << MW_READ, path, MW_AT_OBJECT, "fs stat", &at, &err), -ENAMETOOLONG);
    snprintf(path, sizeof path, "%s/data/", root);
    memset(path + strlen(path), 'x', 300);
    CHECK_INT(mw_permit_path(p, 1u << MW_READ, path, MW_AT_OBJECT, "fs stat", &at, &err), -ENAMETOOLONG);
    CHECK_INT(mw_permit_path(p, 1u << MW_READ, "", MW_AT_OBJECT, "fs stat", &at, &err), MW_ENOENT);
    tree_end();
}

TEST(a_step_up_from_the_working_directory_is_free) {
    char old[PATH_MAX];
    int fd = -1;
    tree();
    REQUIRE(getcwd(old, sizeof old) != NULL && chdir(in("other")) == 0);
    add(MW_READ, MW_ALLOW, "data");
    CHECK_INT(mw_permit_open(p, "../data/a", O_RDONLY, 0, 1, "fs read", &fd, &err), 0);
    close(fd);
    CHECK_INT(mw_permit_open(p, "o", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    CHECK(strstr(err.message, in("other/o")) != NULL);
    REQUIRE(chdir(old) == 0);
    tree_end();
}

TEST(a_link_out_of_an_ungranted_folder_may_step_up_but_not_through_one) {
    tree();
    REQUIRE(mkdir(in("ways"), 0755) == 0 && symlink("../data/a", in("ways/up")) == 0 && symlink("../other/../data/a", in("ways/through")) == 0);
    add(MW_READ, MW_ALLOW, "data/a");
    CHECK_INT(reads("ways/up"), 0);
    CHECK_INT(reads("ways/through"), MW_EDENIED);
    REQUIRE(mw_policy_add_one(p, MW_FFI, MW_ALLOW, in("ways/up"), &err) == 0);
    CHECK_INT(mw_policy_query(p, MW_FFI, in("ways/up")), MW_GRANTED);
    tree_end();
}

TEST(modules_are_free_below_their_directories_and_only_modules) {
    int fd = -1;
    tree();
    put("data/m.lua", "return 1", 0644);
    put("data/secret/s.lua", "return 2", 0644);
    REQUIRE(symlink(in("other/o"), in("data/link.lua")) == 0);
    REQUIRE(mw_policy_free_module_dir(p, in("data"), &err) == 0);
    CHECK_INT(mw_permit_module(p, in("data/m.lua"), "require", &fd, &err), 0);
    close(fd);
    CHECK_INT(mw_permit_module(p, in("data/none.lua"), "require", &fd, &err), MW_ENOENT);
    CHECK_INT(mw_permit_module(p, in("data/a"), "require", &fd, &err), MW_EDENIED);
    CHECK_INT(mw_permit_module(p, in("data/link.lua"), "require", &fd, &err), MW_EDENIED);
    CHECK_INT(mw_permit_module(p, in("other/m.lua"), "require", &fd, &err), MW_EDENIED);
    CHECK_INT(reads("data/m.lua"), MW_EDENIED);
    add(MW_READ, MW_DENY, "data/secret");
    CHECK_INT(mw_permit_module(p, in("data/secret/s.lua"), "require", &fd, &err), MW_EDENIED);
    REQUIRE(mw_policy_drop(p, MW_READ, NULL, &err) == 0);
    CHECK_INT(mw_permit_module(p, in("data/m.lua"), "require", &fd, &err), 0);
    close(fd);
    REQUIRE(mw_policy_drop(p, MW_READ, in("data/m.lua"), &err) == 0);
    CHECK_INT(mw_permit_module(p, in("data/m.lua"), "require", &fd, &err), MW_EDENIED);
    tree_end();
}

TEST(a_unix_socket_needs_its_net_rule_and_nothing_else) {
    struct mw_place at;
    char rule[128], name[108];
    tree();
    snprintf(name, sizeof name, "%s", in("out/s"));
    snprintf(rule, sizeof rule, "unix:%s", name);
    CHECK_INT(mw_permit_unix(p, MW_LISTEN, name, "net listen", &at, &err), MW_EDENIED);
    CHECK(strstr(err.message, "denied (grant it with --allow-net=unix:/tmp/") != NULL);
    REQUIRE(mw_policy_add_one(p, MW_LISTEN, MW_ALLOW, rule, &err) == 0);
    CHECK_INT(mw_permit_unix(p, MW_LISTEN, name, "net listen", &at, &err), 0);
    CHECK_STR(at.leaf, "s");
    mw_place_close(&at);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, name, "net connect", &at, &err), MW_EDENIED);
    snprintf(rule, sizeof rule, "unix:%s", in("out/"));
    REQUIRE(mw_policy_add_one(p, MW_CONNECT, MW_ALLOW, rule, &err) == 0);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, name, "net connect", &at, &err), 0);
    mw_place_close(&at);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, in("other/s"), "net connect", &at, &err), MW_EDENIED);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, "@x", "net connect", &at, &err), MW_EDENIED);
    REQUIRE(mw_policy_add(p, MW_NET, MW_ALLOW, "unix:@x", &err) == 0);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, "@x", "net connect", &at, &err), 0);
    CHECK_INT(at.fd, -1);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, "@xy", "net connect", &at, &err), MW_EDENIED);
    REQUIRE(symlink(in("other/s"), in("out/sneak")) == 0);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, in("out/sneak"), "net connect", &at, &err), MW_EDENIED);
    CHECK_INT(reads("out/s"), MW_EDENIED);
    tree_end();
}

static int asked, say;
static char asked_flag[256];
static int person(void *ud, enum mw_kind kind, const char *subject, const char *flag) {
    (void)ud;
    (void)kind;
    (void)subject;
    asked++;
    snprintf(asked_flag, sizeof asked_flag, "%s", flag);
    return say;
}

TEST(a_person_is_asked_only_where_nothing_is_decided) {
    tree();
    add(MW_READ, MW_DENY, "data/secret");
    mw_policy_on_ask(p, person, NULL);
    asked = 0;
    say = 0;
    CHECK_INT(mw_policy_query(p, MW_READ, in("data/a")), MW_PROMPT);
    CHECK_INT(asked, 0);
    CHECK_INT(reads("data/a"), MW_EDENIED);
    CHECK_INT(asked, 1);
    say = 1;
    CHECK_INT(reads("data/a"), 0);
    CHECK_INT(reads("data/a"), 0);
    CHECK_INT(asked, 3);
    say = 2;
    CHECK_INT(reads("data/a"), 0);
    CHECK_INT(reads("data/a"), 0);
    CHECK_INT(asked, 4);
    CHECK(strncmp(asked_flag, "--allow-read=/tmp/", 18) == 0);
    CHECK_INT(reads("data/secret/key"), MW_EDENIED);
    CHECK_INT(mw_policy_query(p, MW_READ, in("data/secret/key")), MW_DENIED);
    CHECK_INT(asked, 4);
    REQUIRE(mw_policy_drop(p, MW_READ, NULL, &err) == 0);
    CHECK_INT(reads("data/sub/b"), MW_EDENIED);
    CHECK_INT(asked, 4);
    tree_end();
}

TEST(a_denial_does_not_tell_a_device_or_a_way_into_proc_from_nothing) {
    char hints[3][sizeof err.hint];
    tree();
    REQUIRE(symlink("/dev/mem", in("other/device")) == 0 && symlink("/proc/self/mem", in("other/memory")) == 0);
    add(MW_READ, MW_ALLOW, "data");
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"other/device", "other/memory", "other/nothing"};
        char *name;
        CHECK_INT(reads(names[i]), MW_EDENIED);
        memcpy(hints[i], err.hint, sizeof err.hint);
        name = strstr(hints[i], "other/");
        if (name != NULL) *name = 0; /* the name itself differs */
        CHECK(name != NULL);
    }
    CHECK(strcmp(hints[0], hints[2]) == 0);
    CHECK(strcmp(hints[1], hints[2]) == 0);
    REQUIRE(mw_policy_add(p, MW_READ, MW_ALLOW, NULL, &err) == 0);
    CHECK_INT(reads("other/memory"), MW_EDENIED);
    CHECK(strstr(err.hint, "--allow-all") != NULL); /* that is all it lacks */
    tree_end();
}

TEST(replacing_a_name_needs_a_right_to_that_name_not_to_a_file_that_it_shares) {
    struct mw_place at;
    int fd;
    tree();
    REQUIRE(link(in("data/a"), in("other/second")) == 0);
    add(MW_WRITE, MW_ALLOW, "data/a");
    CHECK_INT(mw_permit_path(p, 1u << MW_WRITE, in("other/second"), MW_AT_CREATE, "fs write", &at, &err), MW_EDENIED);
    mw_place_close(&at);
    CHECK_INT(mw_permit_path(p, 1u << MW_WRITE, in("data/a"), MW_AT_CREATE, "fs write", &at, &err), 0);
    mw_place_close(&at);
    CHECK_INT(mw_permit_open(p, in("other/second"), O_WRONLY, 0, 1, "fs open", &fd, &err), 0); /* the same file, written in place */
    if (fd >= 0) close(fd);
    tree_end();
}
