/* Odd things in the file system: special files, magic links, names and paths at the kernel's limits, many links, second names. */
#include "policy/permit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "support/tree.h"

static void begin(void) {
    tree_begin();
    REQUIRE(mkdir(in("in"), 0755) == 0 && mkdir(in("out"), 0755) == 0);
    put("in/f", "mine", 0644);
    put("out/f", "secret", 0644);
}
static void allow(enum mw_kind kind, const char *name) {
    REQUIRE(mw_policy_add_one(p, kind, MW_ALLOW, in(name), &err) == 0);
}
static void deny(enum mw_kind kind, const char *name) {
    REQUIRE(mw_policy_add_one(p, kind, MW_DENY, in(name), &err) == 0);
}
static int opens(const char *path, int flags) {
    int fd = -1, rc = mw_permit_open(p, path, flags, 0644, 1, "fs open", &fd, &err);
    if (rc == 0) close(fd);
    return rc;
}
static int reads(const char *name) {
    return opens(in(name), O_RDONLY);
}
static int finds(const char *name, enum mw_at how) {
    struct mw_place at;
    int rc = mw_permit_path(p, 1u << MW_READ, in(name), how, "fs stat", &at, &err);
    mw_place_close(&at);
    return rc;
}

/* Each test runs without a denial (the short ways) and with one (the walk). */
#define BOTH for (int denial = 0; denial < 2; denial++)
static void grant_in(int denial) {
    begin();
    allow(MW_READ, "in");
    allow(MW_WRITE, "in");
    if (denial) deny(MW_READ, "in/denied"), deny(MW_WRITE, "in/denied");
}

TEST(what_is_no_file_is_not_opened_as_one) {
    BOTH {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        grant_in(denial);
        snprintf(un.sun_path, sizeof un.sun_path, "%.60s/in/sock", root);
        REQUIRE(mkfifo(in("in/fifo"), 0644) == 0 && fd >= 0 && bind(fd, (struct sockaddr *)&un, sizeof un) == 0);
        REQUIRE(symlink("fifo", in("in/tofifo")) == 0);
        for (int flags = O_RDONLY; flags <= O_RDWR; flags++) {
            CHECK_INT(opens(in("in/fifo"), flags), -EOPNOTSUPP);
            CHECK_INT(opens(in("in/tofifo"), flags), -EOPNOTSUPP);
            CHECK_INT(opens(in("in/sock"), flags), -EOPNOTSUPP);
            CHECK_INT(opens(in("in/fifo"), flags | O_CREAT | O_NONBLOCK), -EOPNOTSUPP);
        }
        CHECK_INT(opens(in("in/fifo"), O_PATH), MW_EINVAL);
        CHECK_INT(opens(in("in"), O_RDWR | O_TMPFILE), MW_EINVAL);
        CHECK_INT(finds("in/fifo", MW_AT_OBJECT), 0);
        close(fd);
        if (mknod(in("in/mem"), S_IFCHR | 0600, makedev(1, 1)) == 0) { /* root alone can try */
            CHECK_INT(reads("in/mem"), MW_EDENIED);
            CHECK_INT(finds("in/mem", MW_AT_OBJECT), MW_EDENIED);
            CHECK_INT(opens(in("in/mem"), O_WRONLY | O_CREAT | O_TRUNC), MW_EDENIED);
            REQUIRE(mknod(in("in/null"), S_IFCHR | 0666, makedev(1, 3)) == 0);
            CHECK_INT(reads("in/null"), 0);
        }
        tree_end();
    }
}

TEST(magic_links_lead_nowhere) {
    static const char *const ways[] = {"/proc/self/root/etc/passwd", "/proc/thread-self/root/etc/passwd", "/proc/self/cwd/x", "/dev/fd/0", "/dev/stdin",
                                       "/proc/self/fd/0", "/proc/1/root/etc/passwd", "/proc/self/environ", "/proc/self/mem", "/proc/self/task/self/root"};
    BOTH {
        char path[64];
        int held = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        grant_in(denial);
        REQUIRE(held >= 0);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            CHECK_INT(opens(ways[i], O_RDONLY), MW_EDENIED);
            REQUIRE(symlink(ways[i], in("in/way")) == 0);
            CHECK_INT(reads("in/way"), MW_EDENIED);
            CHECK_INT(opens(in("in/way"), O_WRONLY | O_CREAT), MW_EDENIED);
            REQUIRE(unlink(in("in/way")) == 0);
        }
        snprintf(path, sizeof path, "/proc/self/fd/%d", held);
        CHECK_INT(opens(path, O_RDONLY), MW_EDENIED);
        snprintf(path, sizeof path, "/dev/fd/%d", held);
        CHECK_INT(opens(path, O_RDONLY), MW_EDENIED);
        REQUIRE(symlink("/proc/self/fd", in("in/fds")) == 0);
        snprintf(path, sizeof path, "in/fds/%d", held);
        CHECK_INT(reads(path), MW_EDENIED);
        close(held);
        tree_end();
    }
}

TEST(a_magic_link_is_its_text_to_who_may_read_everything) {
    int gone, fd;
    char path[64], text[16] = "";
    begin();
    REQUIRE(mw_policy_add(p, MW_READ, MW_ALLOW, NULL, &err) == 0);
    deny(MW_READ, "out");
    gone = open(in("out/f"), O_RDONLY | O_CLOEXEC);
    REQUIRE(gone >= 0 && rename(in("out/f"), in("in/moved")) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", gone); /* its text is in/moved now */
    if (mw_permit_open(p, path, O_RDONLY, 0, 1, "fs open", &fd, &err) == 0) {
        CHECK(read(fd, text, sizeof text - 1) > 0);
        close(fd);
    }
    REQUIRE(rename(in("in/moved"), in("out/f")) == 0);
    CHECK_INT(opens(path, O_RDONLY), MW_EDENIED);
    close(gone);
    tree_end();
}

TEST(names_and_paths_have_the_kernels_limits) {
    BOTH {
        char name[300] = "in/", path[PATH_MAX + 64];
        size_t at;
        grant_in(denial);
        memset(name + 3, 'n', 255);
        put(name, "long", 0644);
        CHECK_INT(reads(name), 0);
        CHECK_INT(reads(name), 0);
        CHECK_INT(finds(name, MW_AT_NAME), 0);
        name[258] = 'n';
        CHECK_INT(reads(name), -ENAMETOOLONG);
        CHECK_INT(opens(in(name), O_WRONLY | O_CREAT), -ENAMETOOLONG);
        CHECK_INT(finds(name, MW_AT_NAME), -ENAMETOOLONG);
        /* 4095 bytes, with slashes that mean nothing; one more is too many */
        at = (size_t)snprintf(path, sizeof path, "%s/in", root);
        memset(path + at, '/', sizeof path - at);
        strcpy(path + PATH_MAX - 2, "f");
        CHECK_INT((int)strlen(path), PATH_MAX - 1);
        CHECK_INT(opens(path, O_RDONLY), 0);
        memset(path + at, '/', sizeof path - at);
        strcpy(path + PATH_MAX - 1, "f");
        CHECK_INT(opens(path, O_RDONLY), -ENAMETOOLONG);
        tree_end();
    }
}

TEST(forty_links_are_followed_and_no_more) {
    BOTH {
        char name[32], to[32];
        grant_in(denial);
        REQUIRE(symlink("f", in("in/l1")) == 0);
        for (int i = 2; i <= 42; i++) {
            snprintf(name, sizeof name, "in/l%d", i);
            snprintf(to, sizeof to, "l%d", i - 1);
            REQUIRE(symlink(to, in(name)) == 0);
        }
        CHECK_INT(reads("in/l40"), 0);
        CHECK_INT(reads("in/l41"), -ELOOP);
        CHECK_INT(finds("in/l42", MW_AT_NAME), 0); /* the link itself */
        tree_end();
    }
}

TEST(steps_up_lead_where_they_lead_and_not_out) {
    BOTH {
        char path[PATH_MAX] = "";
        grant_in(denial);
        REQUIRE(mkdir(in("in/a"), 0755) == 0 && mkdir(in("in/a/b"), 0755) == 0);
        CHECK_INT(reads("in/a/b/../../f"), 0);
        CHECK_INT(reads("in/a/../../out/f"), MW_EDENIED);
        CHECK_INT(reads("in/a/b/../../../in/f"), 0); /* what lies on the way to a grant may be left */
        CHECK_INT(reads("in/../out/../in/f"), MW_EDENIED); /* what does not may not: it would tell whether it is there */
        CHECK_INT(reads("in/../none/../in/f"), MW_EDENIED);
        CHECK_INT(reads("in/none/../f"), MW_ENOENT);
        for (int i = 0; i < 200; i++) strcat(path, "a/../");
        strcat(path, "f");
        {
            char name[PATH_MAX + 8];
            snprintf(name, sizeof name, "in/%s", path);
            CHECK_INT(reads(name), 0);
        }
        for (size_t i = 0; i + 4 < 3000; i += 3) memcpy(path + i, "../", 4);
        {
            char deep[PATH_MAX + 80];
            snprintf(deep, sizeof deep, "%s/in/%s%s/in/f", root, path, root + 1);
            CHECK_INT(opens(deep, O_RDONLY), 0); /* to the root and back */
        }
        REQUIRE(symlink("../../../../../../../../../../etc/passwd", in("in/up")) == 0);
        CHECK_INT(reads("in/up"), MW_EDENIED);
        tree_end();
    }
}

TEST(names_are_bytes) {
    static const char *const names[] = {"in/F", "in/\xc3\xa4", "in/a\xcc\x88", "in/new\nline", "in/ ", "in/...", "in/-rf", "in/*", "in/\x01\x7f\xff", "in/a\\b", "in/a,b"};
    BOTH {
        grant_in(denial);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            CHECK_INT(reads(names[i]), MW_ENOENT); /* none is another's */
            put(names[i], "bytes", 0644);
            CHECK_INT(reads(names[i]), 0);
            CHECK_INT(reads(names[i]), 0);
        }
        deny(MW_READ, "in/\xc3\xa4");
        CHECK_INT(reads("in/\xc3\xa4"), MW_EDENIED);
        CHECK_INT(reads("in/a\xcc\x88"), 0); /* looks the same, is another file here */
        CHECK_INT(reads("in/*"), 0);
        deny(MW_READ, "in/*"); /* no glob */
        CHECK_INT(reads("in/*"), MW_EDENIED);
        CHECK_INT(reads("in/F"), 0);
        tree_end();
    }
}

TEST(a_denied_file_is_denied_by_names_made_before_and_after) {
    int mounts = tree_mounts();
    begin();
    put("in/key", "secret", 0644);
    REQUIRE(link(in("in/key"), in("in/before")) == 0);
    allow(MW_READ, "in");
    allow(MW_WRITE, "in");
    deny(MW_READ, "in/key");
    REQUIRE(link(in("in/key"), in("in/after")) == 0);
    CHECK_INT(reads("in/key"), MW_EDENIED);
    CHECK_INT(reads("in/before"), MW_EDENIED);
    CHECK_INT(reads("in/after"), MW_EDENIED);
    CHECK_INT(opens(in("in/after"), O_RDWR), MW_EDENIED);
    CHECK_INT(opens(in("in/after"), O_WRONLY), 0); /* reading alone is denied */
    if (mounts && mount(in("in/key"), in("in/f"), NULL, MS_BIND, NULL) == 0) {
        CHECK_INT(reads("in/f"), MW_EDENIED);
        REQUIRE(umount(in("in/f")) == 0);
    }
    CHECK_INT(reads("in/f"), 0);
    tree_end();
}
