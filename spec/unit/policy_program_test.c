/* Programs by identity: replaced, renamed, linked, changed in place; PATH of the start; first lines. */
#include "policy/grant.h"
#include "policy/permit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "support/tree.h"

static void begin(void) {
    char path[PATH_MAX];
    tree_begin();
    REQUIRE(mkdir(in("bin"), 0755) == 0 && mkdir(in("mine"), 0755) == 0);
    put("bin/tool", "\177ELF tool", 0755);
    put("bin/other", "\177ELF other", 0755);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", in("bin"));
    free(p->path);
    p->path = strdup(path);
}
static void rule(enum mw_effect effect, const char *text) {
    REQUIRE(mw_policy_add_one(p, MW_RUN, effect, text, &err) == 0);
}

static struct mw_program found;
/* 0 or a code; what would run stays in `found` but for its descriptor. */
static int runs_at(const char *name, int dirfd, struct stat *st) {
    int rc = mw_permit_exec(p, name, dirfd, "process spawn", &found, &err);
    if (rc == 0 && st != NULL) REQUIRE(fstat(found.fd, st) == 0);
    mw_program_close(&found);
    return rc;
}
static int runs(const char *name) {
    return runs_at(name, AT_FDCWD, NULL);
}

TEST(a_replaced_program_is_another_one) {
    struct stat was, st;
    begin();
    REQUIRE(stat(in("bin/tool"), &was) == 0);
    rule(MW_ALLOW, "tool");
    CHECK_INT(runs("tool"), 0);
    CHECK_INT(runs(in("bin/tool")), 0);
    put("mine/evil", "\177ELF evil", 0755);
    REQUIRE(rename(in("mine/evil"), in("bin/tool")) == 0);
    CHECK_INT(runs(in("bin/tool")), MW_EDENIED);
    CHECK_INT(runs_at("tool", AT_FDCWD, &st), 0); /* what was pinned, which has no name any more */
    CHECK(st.st_ino == was.st_ino);
    tree_end();

    begin();
    rule(MW_ALLOW, in("bin/tool")); /* by its path, as it was granted */
    CHECK_INT(runs(in("bin/tool")), 0);
    REQUIRE(rename(in("bin/other"), in("bin/tool")) == 0);
    CHECK_INT(runs(in("bin/tool")), MW_EDENIED);
    REQUIRE(unlink(in("bin/tool")) == 0);
    CHECK_INT(runs(in("bin/tool")), MW_ENOENT); /* it was granted: that it is gone is no secret */
    REQUIRE(symlink("/bin/sh", in("bin/tool")) == 0);
    CHECK_INT(runs(in("bin/tool")), MW_EDENIED);
    tree_end();
}

TEST(a_program_is_the_same_by_every_name) {
    begin();
    REQUIRE(link(in("bin/tool"), in("mine/hard")) == 0 && symlink(in("bin/tool"), in("mine/soft")) == 0);
    rule(MW_ALLOW, in("bin/tool"));
    CHECK_INT(runs(in("mine/hard")), 0);
    CHECK_INT(runs(in("mine/soft")), 0);
    CHECK_INT(runs(in("mine/../bin//./tool")), 0);
    CHECK_INT(runs(in("bin/other")), MW_EDENIED);
    rule(MW_DENY, in("mine/hard"));
    CHECK_INT(runs(in("bin/tool")), MW_EDENIED);
    CHECK_INT(runs("tool"), MW_EDENIED);
    tree_end();

    begin();
    rule(MW_ALLOW, NULL);
    rule(MW_DENY, "tool");
    REQUIRE(link(in("bin/tool"), in("mine/hard")) == 0);
    CHECK_INT(runs(in("mine/hard")), MW_EDENIED);
    REQUIRE(rename(in("bin/tool"), in("mine/renamed")) == 0);
    CHECK_INT(runs(in("mine/renamed")), MW_EDENIED);
    put("bin/tool", "\177ELF new", 0755);
    CHECK_INT(runs(in("bin/tool")), MW_EDENIED); /* an update of what is denied */
    CHECK_INT(runs("tool"), MW_EDENIED);
    CHECK_INT(runs("other"), 0);
    tree_end();
}

TEST(names_are_looked_up_in_the_path_of_the_start) {
    char old[PATH_MAX];
    int dir;
    begin();
    rule(MW_ALLOW, NULL);
    put("mine/tool", "\177ELF mine", 0755);
    REQUIRE(setenv("PATH", in("mine"), 1) == 0);
    CHECK_INT(runs("tool"), 0);
    CHECK_STR(found.path, in("bin/tool"));
    REQUIRE(unsetenv("PATH") == 0);
    CHECK_INT(runs("cat"), 0);
    REQUIRE(setenv("PATH", "/usr/bin:/bin", 1) == 0);
    REQUIRE(getcwd(old, sizeof old) != NULL && chdir(in("mine")) == 0);
    CHECK_INT(runs("tool"), 0);
    CHECK_STR(found.path, in("bin/tool")); /* never the working directory's */
    CHECK_INT(runs("./tool"), 0);
    CHECK_STR(found.path, in("mine/tool"));
    dir = open(in("bin"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(dir >= 0);
    CHECK_INT(runs_at("./tool", dir, NULL), 0); /* relative to the child's directory */
    CHECK(strstr(found.path, "/bin/") != NULL);
    CHECK_INT(runs_at("../mine/tool", dir, NULL), 0);
    CHECK_INT(runs_at("none", dir, NULL), MW_ENOENT);
    close(dir);
    REQUIRE(chdir(old) == 0);
    tree_end();
}

TEST(what_had_no_first_line_is_read_again_once_it_changed) {
    struct mw_rule *r;
    begin();
    rule(MW_ALLOW, "tool");
    rule(MW_ALLOW, "cat");
    r = p->layers->rules[MW_RUN];
    CHECK_INT(runs("tool"), 0);
    CHECK_INT((long long)r->binary.sec, 0); /* made a moment ago: it could change within one tick of its clock */
    CHECK_INT(runs("cat"), 0);
    CHECK_INT(runs("cat"), 0);
    CHECK(r->next->binary.sec > 0);
    put("bin/tool", "#!/bin/sh\n", 0755);
    r->binary.sec = 1; /* seen in another state */
    CHECK_INT(runs("tool"), 0);
    CHECK_STR(found.script, in("bin/tool"));
    CHECK_STR(found.path, "/bin/sh");
    tree_end();
}

TEST(a_trusted_script_is_read_by_a_name_that_no_script_made_up) {
    begin();
    put("bin/tool", "#!/bin/sh\n", 0755);
    REQUIRE(symlink(in("bin/tool"), in("mine/link")) == 0);
    rule(MW_ALLOW, "tool");
    CHECK_INT(runs(in("mine/link")), 0);
    CHECK_STR(found.script, in("mine/link")); /* caged: what stands there later is not given */
    CHECK_INT(mw_policy_add(p, MW_TRUST, MW_ALLOW, "tool", &err), 0);
    CHECK_INT(runs(in("mine/link")), 0);
    CHECK(found.trusted_by_rule);
    CHECK_STR(found.script, in("bin/tool"));
    CHECK_INT(runs("tool"), 0);
    CHECK_STR(found.script, in("bin/tool"));
    tree_end();
}

TEST(a_first_line_does_not_hide_its_interpreter_from_a_denial) {
    begin();
    put("bin/sh1", "#!/bin/sh\n", 0755);
    put("bin/sh2", "#! /usr/bin/env sh\n", 0755);
    put("bin/sh3", "#!/usr/bin/env -S sh -e\n", 0755);
    put("bin/sh4", "#!/usr/bin/env -i sh\n", 0755);
    put("bin/sh5", "#!/usr/bin/env A=B sh\n", 0755);
    put("bin/sh6", "#!../bin/sh\n", 0755);
    put("bin/sh7", "#!/bin/sh -e\r\n", 0755);
    put("bin/sh8", "#!\n", 0755);
    REQUIRE(symlink("/bin/sh", in("bin/shell")) == 0);
    {
        char line[128];
        snprintf(line, sizeof line, "#!%s\n", in("bin/shell"));
        put("bin/sh9", line, 0755);
    }
    rule(MW_ALLOW, NULL);
    CHECK_INT(runs("sh1"), 0);
    CHECK_INT(runs("sh2"), 0);
    CHECK_INT(runs("sh3"), 0);
    CHECK_STR(found.path, "/usr/bin/env"); /* it looks further itself, in its cage */
    CHECK_STR(found.arg, "-S sh -e");
    CHECK_INT(runs("sh6"), -ENOEXEC);
    CHECK_INT(runs("sh7"), 0);
    CHECK_STR(found.arg, "-e");
    CHECK_INT(runs("sh8"), -ENOEXEC);
    CHECK_INT(runs("sh9"), 0);
    rule(MW_DENY, "sh");
    CHECK_INT(runs("sh1"), MW_EDENIED);
    CHECK_INT(runs("sh2"), MW_EDENIED);
    CHECK_INT(runs("sh3"), -ENOEXEC);
    CHECK_INT(runs("sh4"), -ENOEXEC);
    CHECK_INT(runs("sh5"), -ENOEXEC);
    CHECK_INT(runs("sh7"), MW_EDENIED);
    CHECK_INT(runs("sh9"), MW_EDENIED);
    tree_end();
}

TEST(a_file_that_may_not_be_executed_is_told_from_none) {
    begin();
    rule(MW_ALLOW, NULL);
    put("bin/plain", "text", 0755);
    REQUIRE(chmod(in("bin/plain"), 0644) == 0);
    CHECK_INT(runs("plain"), -EACCES);
    CHECK_INT(runs("none"), MW_ENOENT);
    REQUIRE(chmod(in("bin"), 0) == 0); /* for an ordinary user: a folder of PATH that is out of reach */
    CHECK_INT(runs("none"), MW_ENOENT);
    REQUIRE(chmod(in("bin"), 0755) == 0);
    tree_end();
}
