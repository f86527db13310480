/* The short ways to a path say what the walk says: after a first, whole walk, directories are moved, exchanged, linked and mounted
 * over, and the second look must not be taken in by what the first one saw. */
#include "policy/below.h"
#include "policy/recall.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "support/tree.h"

static void begin(int denial) {
    tree_begin();
    REQUIRE(mkdir(in("data"), 0755) == 0 && mkdir(in("data/sub"), 0755) == 0 && mkdir(in("data/sub/deep"), 0755) == 0 &&
            mkdir(in("data/secret"), 0755) == 0 && mkdir(in("other"), 0755) == 0);
    put("data/sub/deep/f", "mine", 0644);
    put("data/secret/f", "secret", 0644);
    put("other/f", "other", 0644);
    REQUIRE(mw_policy_add_one(p, MW_READ, MW_ALLOW, in("data"), &err) == 0 && mw_policy_add_one(p, MW_WRITE, MW_ALLOW, in("data"), &err) == 0);
    if (denial) REQUIRE(mw_policy_add_one(p, MW_READ, MW_DENY, in("data/secret"), &err) == 0);
}
/* The first letter of what is read, or a code. */
static int reads(const char *name) {
    char c = 0;
    int fd = -1, rc = mw_permit_open(p, in(name), O_RDONLY, 0, 1, "fs read", &fd, &err);
    if (rc < 0) return rc;
    rc = read(fd, &c, 1) == 1 ? c : 0;
    close(fd);
    return rc;
}
static int writes(const char *name, int flags) {
    int fd = -1, rc = mw_permit_open(p, in(name), O_WRONLY | flags, 0644, 1, "fs write", &fd, &err);
    if (rc < 0) return rc;
    rc = write(fd, "new", 3) == 3 ? 0 : -EIO;
    close(fd);
    return rc;
}

TEST(a_known_directory_that_moved_below_a_denied_one_is_denied_though_a_link_leads_there) {
    begin(1);
    CHECK_INT(reads("data/sub/deep/f"), 'm');
    CHECK_INT(reads("data/sub/deep/f"), 'm');
    REQUIRE(rename(in("data/sub/deep"), in("data/secret/deep")) == 0 && symlink(in("data/secret/deep"), in("data/sub/deep")) == 0);
    CHECK_INT(reads("data/sub/deep/f"), MW_EDENIED);
    CHECK_INT(reads("data/secret/deep/f"), MW_EDENIED);
    REQUIRE(rename(in("data/sub"), in("data/was")) == 0 && symlink(in("data/secret"), in("data/sub")) == 0);
    CHECK_INT(reads("data/sub/deep/f"), MW_EDENIED);
    tree_end();
}

TEST(a_denied_directory_in_the_place_of_a_known_one_is_denied) {
    begin(1);
    put("data/sub/f", "mine", 0644);
    CHECK_INT(reads("data/sub/f"), 'm');
    REQUIRE(syscall(SYS_renameat2, AT_FDCWD, in("data/sub"), AT_FDCWD, in("data/secret"), RENAME_EXCHANGE) == 0);
    CHECK_INT(reads("data/sub/f"), MW_EDENIED);
    CHECK_INT(reads("data/secret/f"), MW_EDENIED); /* by its name */
    REQUIRE(syscall(SYS_renameat2, AT_FDCWD, in("data/sub"), AT_FDCWD, in("data/secret"), RENAME_EXCHANGE) == 0);
    CHECK_INT(reads("data/sub/f"), 'm');
    CHECK_INT(reads("data/secret/f"), MW_EDENIED);
    tree_end();
}

TEST(a_denied_file_in_a_known_directory_is_denied_by_every_name) {
    begin(1);
    put("data/sub/key", "secret", 0644);
    put("data/sub/g", "mine", 0644);
    REQUIRE(mw_policy_add_one(p, MW_READ, MW_DENY, in("data/sub/key"), &err) == 0);
    CHECK_INT(reads("data/sub/g"), 'm');
    REQUIRE(link(in("data/sub/key"), in("data/sub/hard")) == 0 && symlink("key", in("data/sub/soft")) == 0);
    CHECK_INT(reads("data/sub/g"), 'm');
    CHECK_INT(reads("data/sub/key"), MW_EDENIED);
    CHECK_INT(reads("data/sub/hard"), MW_EDENIED);
    CHECK_INT(reads("data/sub/soft"), MW_EDENIED);
    REQUIRE(rename(in("data/sub/key"), in("data/sub/g")) == 0);
    CHECK_INT(reads("data/sub/g"), MW_EDENIED);
    put("data/sub/key", "anew", 0644);
    CHECK_INT(reads("data/sub/key"), MW_EDENIED); /* the name is denied as well */
    tree_end();
}

TEST(a_rule_that_comes_later_counts_for_known_directories) {
    begin(0);
    CHECK_INT(reads("data/sub/deep/f"), 'm');
    CHECK_INT(reads("data/sub/deep/f"), 'm');
    REQUIRE(mw_policy_drop(p, MW_READ, in("data/sub"), &err) == 0);
    CHECK_INT(reads("data/sub/deep/f"), MW_EDENIED);
    tree_end();
}

TEST(what_stands_in_a_known_directory_is_looked_at_each_time) {
    for (int denial = 0; denial < 2; denial++) {
        begin(denial);
        CHECK_INT(reads("data/sub/deep/f"), 'm');
        REQUIRE(unlink(in("data/sub/deep/f")) == 0);
        CHECK_INT(reads("data/sub/deep/f"), MW_ENOENT);
        REQUIRE(symlink(in("other/f"), in("data/sub/deep/f")) == 0);
        CHECK_INT(reads("data/sub/deep/f"), MW_EDENIED);
        CHECK_INT(writes("data/sub/deep/f", O_CREAT | O_TRUNC), MW_EDENIED);
        REQUIRE(unlink(in("data/sub/deep/f")) == 0 && mkfifo(in("data/sub/deep/f"), 0644) == 0);
        CHECK_INT(reads("data/sub/deep/f"), -EOPNOTSUPP);
        CHECK_INT(writes("data/sub/deep/f", 0), -EOPNOTSUPP);
        REQUIRE(unlink(in("data/sub/deep/f")) == 0);
        CHECK_INT(writes("data/sub/deep/f", O_CREAT | O_TRUNC), 0);
        CHECK_INT(reads("data/sub/deep/f"), 'n');
        CHECK_INT(writes("data/sub/deep/f", O_TRUNC), 0);
        CHECK_INT(writes("data/sub/deep/f", O_CREAT | O_EXCL), -EEXIST);
        CHECK_INT(writes("data/sub/deep/f/", O_CREAT), -ENOTDIR);
        CHECK_INT(reads("data/sub/deep/.."), 0); /* a directory opens, and is no file */
        REQUIRE(symlink(in("data/sub/deep"), in("data/way")) == 0);
        CHECK_INT(reads("data/way/f"), 'n');
        CHECK_INT(reads("data/way/f"), 'n');
        tree_end();
    }
}

TEST(the_bare_flag_does_not_reach_special_places_by_any_way) {
    int fd, mounts = tree_mounts();
    begin(0);
    REQUIRE(mw_policy_add(p, MW_READ, MW_ALLOW, NULL, &err) == 0);
    CHECK_INT(reads("data/sub/deep/f"), 'm');
    CHECK_INT(reads("other/f"), 'o');
    REQUIRE(symlink("/proc/self", in("data/self")) == 0 && symlink("/dev", in("data/dev")) == 0);
    CHECK_INT(reads("data/self/environ"), MW_EDENIED);
    CHECK_INT(reads("data/dev/mem"), MW_EDENIED);
    CHECK_INT(mw_permit_open(p, "/proc/self/environ", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    CHECK_INT(mw_permit_open(p, "/proc/self/environ", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    CHECK_INT(mw_permit_open(p, "//proc//./self/environ", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    CHECK_INT(mw_permit_open(p, "/sys/kernel/notes", O_RDONLY, 0, 1, "fs read", &fd, &err), MW_EDENIED);
    if (mounts && mount("proc", in("data/secret"), "proc", 0, NULL) == 0) { /* root alone can try */
        CHECK_INT(reads("data/secret/self/environ"), MW_EDENIED);
        CHECK_INT(reads("data/secret/uptime"), MW_EDENIED);
        CHECK_INT(reads("data/secret/uptime"), MW_EDENIED);
        REQUIRE(umount(in("data/secret")) == 0);
    }
    tree_end();
}

TEST(a_denied_directory_is_denied_where_it_is_mounted_once_more) {
    int mounts = tree_mounts();
    begin(1);
    CHECK_INT(reads("data/sub/deep/f"), 'm');
    if (mounts && mount(in("data/secret"), in("data/sub/deep"), NULL, MS_BIND, NULL) == 0) {
        CHECK_INT(reads("data/sub/deep/f"), MW_EDENIED);
        CHECK_INT(reads("data/sub/deep/f"), MW_EDENIED);
        REQUIRE(umount(in("data/sub/deep")) == 0);
        CHECK_INT(reads("data/sub/deep/f"), 'm');
    }
    tree_end();
}

TEST(more_directories_than_are_kept_are_walked_to) {
    char name[64];
    begin(1);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "data/d%d", i);
        REQUIRE(mkdir(in(name), 0755) == 0);
        strcat(name, "/f");
        put(name, "x", 0644);
    }
    for (int turn = 0; turn < 3; turn++)
        for (int i = 0; i < 60; i++) {
            snprintf(name, sizeof name, "data/d%d/f", i);
            CHECK_INT(reads(name), 'x');
        }
    tree_end();
}
