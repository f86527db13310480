/* Cages, worn by forked children that try things: what is granted works, what is not is refused by the kernel. */
#include "policy/confine.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "policy/permit.h"
#include "support/check.h"

static struct mw_err err;
static char root[64];            /* of this test's files */

/* ---- Files ------------------------------------------------------------------------------------------------------------------- */

static const char *at(const char *name) {
    static char text[8][PATH_MAX];
    static int n;
    char *out = text[n++ % 8];
    snprintf(out, PATH_MAX, "%s%s%s", root, *name != 0 ? "/" : "", name);
    return out;
}
static void file(const char *name) {
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, "x", 1) == 1);
    close(fd);
}
static void dir(const char *name) {
    REQUIRE(mkdir(at(name), 0755) == 0);
}
static void begin(void) {
    snprintf(root, sizeof root, "/tmp/mw-confine-XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    REQUIRE(chmod(root, 0755) == 0);
}
static void end(void) {
    char line[128];
    snprintf(line, sizeof line, "rm -rf %s", root);
    CHECK(system(line) == 0);
}

/* ---- A policy, its cage ---------------------------------------------------------------------------------------------------------- */

static mw_policy *policy(void) {
    mw_policy *p = NULL;
    REQUIRE(mw_policy_new(&p, &err) == 0);
    return p;
}
static void add(mw_policy *p, enum mw_kind kind, enum mw_effect effect, const char *rule) {
    int rc = mw_policy_add_one(p, kind, effect, rule, &err);
    if (rc < 0) printf("# %s\n", err.message);
    REQUIRE(rc == 0);
}
static struct mw_cage_wish wish_of(const mw_policy *p) {
    return (struct mw_cage_wish){.who = MW_CAGE_PROGRAM, .policy = p, .abi = mw_confine_abi(), .program_fd = -1, .home_fd = -1};
}
static mw_cage *cage_of(const struct mw_cage_wish *w) {
    mw_cage *c = NULL;
    int rc = mw_cage_new(w, &c, &err);
    if (rc < 0) printf("# %s\n", err.message);
    REQUIRE(rc == 0);
    return c;
}
static mw_cage *cage(const mw_policy *p) {
    struct mw_cage_wish w = wish_of(p);
    return cage_of(&w);
}

/* ---- Trying ----------------------------------------------------------------------------------------------------------------------- */

static int put_on(const mw_cage *c) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    if (syscall(446, mw_cage_ruleset(c), 0) < 0) return -1;
    return mw_cage_filter(c) == NULL ? 0 : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, mw_cage_filter(c));
}

/* 0, or the errno that `fn` ends with when it wears the cage (NULL: none). */
static int worn(const mw_cage *c, int (*fn)(const void *), const void *ud) {
    int status;
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        if (c != NULL && put_on(c) < 0) _exit(250);
        _exit(fn(ud) == 0 ? 0 : errno);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) != 250);
    return WEXITSTATUS(status);
}

static int do_open(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0644);
    return fd < 0 ? -1 : close(fd);
}
static int do_read(const void *path) {
    return do_open(path, O_RDONLY);
}
static int do_write(const void *path) {
    return do_open(path, O_WRONLY);
}
static int do_cut(const void *path) {
    return truncate(path, 0);
}
static int do_make(const void *path) {
    return do_open(path, O_WRONLY | O_CREAT | O_EXCL);
}
static int do_mkdir(const void *path) {
    return mkdir(path, 0755);
}
static int do_unlink(const void *path) {
    return unlink(path);
}
static int do_list(const void *path) {
    DIR *d = opendir(path);
    return d == NULL ? -1 : closedir(d);
}
struct pair {
    const char *from, *to;
};
static int do_rename(const void *ud) {
    const struct pair *p = ud;
    return rename(p->from, p->to);
}
static int do_exec(const void *path) {
    char *argv[] = {(char *)(size_t)path, NULL}, *envp[] = {NULL};
    execve(path, argv, envp);
    return -1;
}

TEST(a_granted_folder_is_readable_and_nothing_beside_it) {
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    dir("in"), dir("in/deep"), dir("out"), file("in/a"), file("in/deep/b"), file("out/c");
    add(p, MW_READ, MW_ALLOW, at("in"));
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("in/a")), 0);
    CHECK_INT(worn(c, do_read, at("in/deep/b")), 0);
    CHECK_INT(worn(c, do_list, at("in")), 0);
    CHECK_INT(worn(c, do_read, at("out/c")), EACCES);
    CHECK_INT(worn(c, do_list, at("")), EACCES);
    CHECK_INT(worn(c, do_write, at("in/a")), EACCES);
    CHECK_INT(worn(c, do_cut, at("in/a")), EACCES);
    CHECK_INT(worn(c, do_make, at("in/new")), EACCES);
    CHECK_INT(worn(c, do_read, "/etc/passwd"), 0);
    CHECK_INT(worn(c, do_read, "/etc/shadow") != 0, 1);
    CHECK_INT(worn(c, do_list, "/proc"), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

TEST(what_is_denied_in_a_granted_folder_stays_closed) {
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    dir("in"), dir("in/no"), dir("in/no/yes"), dir("in/other"), file("in/a"), file("in/no/b"), file("in/no/yes/c"), file("in/other/d");
    add(p, MW_READ, MW_ALLOW, at("in"));
    add(p, MW_READ, MW_DENY, at("in/no"));
    add(p, MW_READ, MW_DENY, at("in/later"));
    add(p, MW_READ, MW_ALLOW, at("in/no/yes"));
    c = cage(p);
    file("in/later");
    CHECK_INT(worn(c, do_read, at("in/a")), 0);
    CHECK_INT(worn(c, do_read, at("in/other/d")), 0);
    CHECK_INT(worn(c, do_read, at("in/no/b")), EACCES);
    CHECK_INT(worn(c, do_read, at("in/no/yes/c")), 0);
    CHECK_INT(worn(c, do_read, at("in/later")), EACCES);
    CHECK_INT(mw_cage_fresh(c, p), 0);
    mw_cage_drop(c);
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("in/later")), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

TEST(what_is_denied_in_a_folder_of_modules_stays_closed) {
    mw_policy *p = policy();
    struct mw_cage_wish w = wish_of(p);
    const char *also[2] = {NULL, NULL};
    mw_cage *c;

    begin();
    dir("d");
    file("d/module.lua");
    file("d/secret");
    add(p, MW_READ, MW_DENY, at("d/secret"));
    w.who = MW_CAGE_SCRIPT;
    also[0] = at("d");
    w.also_read = also;
    c = cage_of(&w);
    CHECK_INT(worn(c, do_read, at("d/module.lua")), 0);
    CHECK_INT(worn(c, do_read, at("d/secret")), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

TEST(a_write_right_alone_does_not_read) {
    mw_policy *p = policy();
    struct pair to;
    mw_cage *c;

    begin();
    dir("w"), dir("w/x"), dir("w/y"), file("w/a"), file("w/x/b"), file("lone");
    add(p, MW_WRITE, MW_ALLOW, at("w"));
    add(p, MW_WRITE, MW_ALLOW, at("lone"));
    c = cage(p);
    CHECK_INT(worn(c, do_write, at("w/a")), 0);
    CHECK_INT(worn(c, do_cut, at("w/a")), 0);
    CHECK_INT(worn(c, do_read, at("w/a")), EACCES);
    CHECK_INT(worn(c, do_list, at("w")), EACCES);
    CHECK_INT(worn(c, do_make, at("w/new")), 0);
    CHECK_INT(worn(c, do_mkdir, at("w/newdir")), 0);
    to = (struct pair){at("w/x/b"), at("w/y/b")};
    CHECK_INT(worn(c, do_rename, &to), 0);
    CHECK_INT(worn(c, do_unlink, at("w/new")), 0);
    CHECK_INT(worn(c, do_write, at("lone")), 0);
    CHECK_INT(worn(c, do_unlink, at("lone")), EACCES);
    CHECK_INT(worn(c, do_make, at("beside")), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

TEST(programs_load_and_a_read_right_does_not_execute) {
    mw_policy *p = policy();
    mw_cage *c;
    char line[256];

    begin();
    snprintf(line, sizeof line, "cp /bin/true %s", at("true"));
    REQUIRE(system(line) == 0);
    add(p, MW_READ, MW_ALLOW, root);
    c = cage(p);
    CHECK_INT(worn(c, do_exec, "/bin/true"), 0);
    CHECK_INT(worn(c, do_exec, at("true")), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}
