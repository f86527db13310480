/* Cages, worn by forked children that try things: what is granted works, what is not is refused by the kernel. */
#include "policy/confine.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
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
static int forked;               /* 1: in a child that tries things: it cleans nothing up */

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
    snprintf(line, sizeof line, "rm -rf --one-file-system %s", root);
    CHECK(system(line) == 0);
    root[0] = 0;
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
    if (rc == -EOPNOTSUPP && mw_confine_abi() == 0) {
        printf("# no Landlock here\n");
        if (root[0] != 0 && !forked) end();
        longjmp(check_end, 1); /* nothing failed */
    }
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
        forked = 1;
        if (setjmp(check_end) != 0) _exit(251); /* a REQUIRE in here ends this child, and nothing else */
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

TEST(another_name_of_a_denied_file_stays_closed) {
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    dir("in"), dir("in/sub"), dir("in/far"), file("in/no"), file("in/yes");
    REQUIRE(link(at("in/no"), at("in/sub/hard")) == 0);
    add(p, MW_READ, MW_ALLOW, at("in"));
    add(p, MW_READ, MW_DENY, at("in/no"));
    REQUIRE(rename(at("in/sub"), at("in/far/sub")) == 0);
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("in/yes")), 0);
    CHECK_INT(worn(c, do_read, at("in/no")), EACCES);
    CHECK_INT(worn(c, do_read, at("in/far/sub/hard")), EACCES);
    mw_cage_drop(c);
    REQUIRE(rename(at("in/no"), at("in/far/moved")) == 0);
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("in/far/moved")), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

TEST(a_folder_that_was_moved_keeps_what_is_denied_in_it) {
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    dir("in"), dir("in/a"), file("in/a/yes");
    add(p, MW_READ, MW_ALLOW, at("in"));
    add(p, MW_READ, MW_DENY, at("in/a/no")); /* which is not there yet */
    REQUIRE(rename(at("in/a"), at("in/b")) == 0);
    file("in/b/no");
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("in/b/yes")), 0);
    CHECK_INT(worn(c, do_read, at("in/b/no")), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

TEST(a_denial_by_path_beats_the_loading_table) {
    mw_policy *p = policy();
    mw_cage *c;

    add(p, MW_READ, MW_ALLOW, NULL);
    add(p, MW_READ, MW_DENY, "/etc/passwd");
    add(p, MW_READ, MW_DENY, "/usr/share/doc");
    c = cage(p);
    CHECK_INT(worn(c, do_read, "/etc/passwd"), EACCES);
    CHECK_INT(worn(c, do_read, "/etc/group"), 0);
    CHECK_INT(worn(c, do_list, "/usr/share/doc"), EACCES);
    CHECK_INT(worn(c, do_exec, "/bin/true"), 0);
    mw_cage_drop(c);
    REQUIRE(mw_policy_drop(p, MW_READ, NULL, &err) == 0); /* of everything: no path, so that programs still load */
    c = cage(p);
    CHECK_INT(worn(c, do_exec, "/bin/true"), 0);
    CHECK_INT(worn(c, do_read, "/etc/passwd"), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
}

TEST(everything_that_may_be_read_leaves_proc_sys_and_dev_out) {
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    file("f");
    add(p, MW_READ, MW_ALLOW, NULL);
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("f")), 0);
    CHECK_INT(worn(c, do_list, "/tmp"), 0);
    CHECK_INT(worn(c, do_list, "/proc"), EACCES);
    CHECK_INT(worn(c, do_read, "/proc/self/environ"), EACCES);
    CHECK_INT(worn(c, do_list, "/sys"), EACCES);
    CHECK_INT(worn(c, do_list, "/dev"), EACCES);
    CHECK_INT(worn(c, do_read, "/dev/null"), 0);
    CHECK_INT(worn(c, do_write, "/dev/null"), 0);
    CHECK_INT(worn(c, do_read, "/proc/meminfo"), 0);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

TEST(layers_and_drops_take_away) {
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    dir("a"), dir("a/b"), dir("a/c"), file("a/f"), file("a/b/f"), file("a/c/f"), file("a/b/g");
    add(p, MW_READ, MW_ALLOW, at("a"));
    REQUIRE(mw_policy_narrow(p, &err) == 0);
    add(p, MW_READ, MW_ALLOW, at("a/b"));
    add(p, MW_WRITE, MW_ALLOW, at("a"));
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("a/b/f")), 0);
    CHECK_INT(worn(c, do_read, at("a/f")), EACCES);
    CHECK_INT(worn(c, do_read, at("a/c/f")), EACCES);
    CHECK_INT(worn(c, do_write, at("a/b/f")), EACCES); /* the lowest layer does not */
    mw_cage_drop(c);
    REQUIRE(mw_policy_drop(p, MW_READ, at("a/b/g"), &err) == 0);
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("a/b/f")), 0);
    CHECK_INT(worn(c, do_read, at("a/b/g")), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

/* ---- Programs ------------------------------------------------------------------------------------------------------------------ */

static void copy_true(const char *to) {
    char line[256];
    snprintf(line, sizeof line, "cp /bin/true %s", at(to));
    REQUIRE(system(line) == 0);
}

TEST(a_run_rule_brings_its_file_and_what_is_installed_beside_it) {
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    dir("opt"), dir("opt/bin"), dir("opt/lib"), dir("lone");
    copy_true("opt/bin/tool"), copy_true("opt/bin/other"), copy_true("lone/tool"), copy_true("lone/other"), file("opt/lib/data");
    add(p, MW_RUN, MW_ALLOW, at("opt/bin/tool"));
    add(p, MW_RUN, MW_ALLOW, at("lone/tool"));
    c = cage(p);
    CHECK_INT(worn(c, do_exec, at("opt/bin/tool")), 0);
    CHECK_INT(worn(c, do_exec, at("opt/bin/other")), 0); /* P/bin: read and execute of P */
    CHECK_INT(worn(c, do_read, at("opt/lib/data")), 0);
    CHECK_INT(worn(c, do_write, at("opt/lib/data")), EACCES);
    CHECK_INT(worn(c, do_exec, at("lone/tool")), 0);
    CHECK_INT(worn(c, do_exec, at("lone/other")), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

TEST(a_program_below_a_home_folder_or_tmp_does_not_open_it) {
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    setenv("HOME", root, 1);
    dir("bin");
    copy_true("bin/tool"), file("private");
    add(p, MW_RUN, MW_ALLOW, at("bin/tool"));
    c = cage(p);
    CHECK_INT(worn(c, do_exec, at("bin/tool")), 0);
    CHECK_INT(worn(c, do_read, at("private")), EACCES);
    mw_cage_drop(c);
    setenv("HOME", "/nonexistent", 1);
    setenv("TMPDIR", root, 1);
    c = cage(p);
    CHECK_INT(worn(c, do_read, at("private")), EACCES);
    mw_cage_drop(c);
    unsetenv("TMPDIR");
    mw_policy_free(p);
    end();
}

/* ---- Sockets --------------------------------------------------------------------------------------------------------------------- */

struct peer {
    int port, listens;
};
static int do_tcp(const void *ud) {
    const struct peer *it = ud;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)it->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (s < 0) return -1;
    if (it->listens) return bind(s, (struct sockaddr *)&in, sizeof in);
    return connect(s, (struct sockaddr *)&in, sizeof in) < 0 && errno != ECONNREFUSED && errno != EINPROGRESS ? -1 : 0;
}
static int do_udp(const void *ud) {
    (void)ud;
    return socket(AF_INET, SOCK_DGRAM, 0) < 0 ? -1 : 0;
}
static int tcp(const mw_cage *c, int port, int listens) {
    return worn(c, do_tcp, &(struct peer){port, listens});
}

TEST(ports_of_all_hosts_are_the_kernels_and_those_of_some_are_not) {
    mw_policy *p = policy();
    struct mw_cage_wish w;
    static const uint16_t only[] = {4101};
    mw_cage *c;

    if (mw_confine_abi() < 4) return;
    c = cage(p);
    CHECK_INT(tcp(c, 4100, 0) != 0, 1);
    mw_cage_drop(c);
    add(p, MW_CONNECT, MW_ALLOW, ":4100");
    add(p, MW_CONNECT, MW_ALLOW, ":4101");
    add(p, MW_CONNECT, MW_ALLOW, "127.0.0.1:4102");
    add(p, MW_LISTEN, MW_ALLOW, ":4103");
    add(p, MW_CONNECT, MW_ALLOW, ":4104");
    add(p, MW_CONNECT, MW_DENY, "10.0.0.0/8");
    CHECK_INT(mw_confine_covers_port(p, MW_CONNECT, 4100), 0); /* a denial of some hosts at any port */
    mw_policy_free(p);
    p = policy();
    add(p, MW_CONNECT, MW_ALLOW, ":4100");
    add(p, MW_CONNECT, MW_ALLOW, ":4101");
    add(p, MW_CONNECT, MW_ALLOW, "127.0.0.1:4102");
    add(p, MW_LISTEN, MW_ALLOW, ":4103");
    add(p, MW_CONNECT, MW_ALLOW, ":4104");
    add(p, MW_CONNECT, MW_DENY, "10.0.0.0/8:4104");
    CHECK_INT(mw_confine_covers_port(p, MW_CONNECT, 4100), 1);
    CHECK_INT(mw_confine_covers_port(p, MW_CONNECT, 4104), 0);
    CHECK_INT(mw_confine_covers_port(p, MW_LISTEN, 4100), 0);
    CHECK_INT(mw_confine_covers_port(p, MW_CONNECT, -1), 0);
    c = cage(p);
    CHECK_INT(tcp(c, 4100, 0), 0);
    CHECK_INT(tcp(c, 4102, 0), EACCES);
    CHECK_INT(tcp(c, 4104, 0), EACCES);
    CHECK_INT(tcp(c, 4103, 1), 0);
    CHECK_INT(tcp(c, 4100, 1), EACCES);
    CHECK_INT(worn(c, do_udp, NULL) != 0, 1);
    mw_cage_drop(c);
    w = wish_of(p);
    w.connect = only;
    w.connect_count = 1;
    c = cage_of(&w);
    CHECK_INT(tcp(c, 4101, 0), 0);
    CHECK_INT(tcp(c, 4100, 0), EACCES);
    CHECK_INT(tcp(c, 4103, 1), 0);
    mw_cage_drop(c);
    w.connect_count = 0; /* none at all */
    c = cage_of(&w);
    CHECK_INT(tcp(c, 4101, 0), EACCES);
    mw_cage_drop(c);
    mw_policy_free(p);
}

TEST(a_total_net_right_opens_every_port_and_datagrams) {
    mw_policy *p = policy();
    mw_cage *c;

    add(p, MW_NET, MW_ALLOW, NULL);
    CHECK_INT(mw_confine_covers_port(p, MW_CONNECT, -1), 1);
    CHECK_INT(mw_confine_covers_port(p, MW_LISTEN, -1), 1);
    c = cage(p);
    CHECK_INT(tcp(c, 4100, 0), 0);
    CHECK_INT(tcp(c, 4101, 1), 0);
    CHECK_INT(worn(c, do_udp, NULL), 0);
    mw_cage_drop(c);
    add(p, MW_CONNECT, MW_DENY, ":22");
    CHECK_INT(mw_confine_covers_port(p, MW_CONNECT, -1), 0);
    CHECK_INT(mw_confine_covers_port(p, MW_LISTEN, -1), 1);
    c = cage(p);
    CHECK_INT(worn(c, do_udp, NULL) != 0, 1);
    mw_cage_drop(c);
    REQUIRE(mw_policy_drop(p, MW_NET, NULL, &err) == 0);
    c = cage(p);
    CHECK_INT(tcp(c, 4100, 1) != 0, 1);
    mw_cage_drop(c);
    mw_policy_free(p);
}

TEST(a_script_child_gets_the_ports_of_its_hosts) {
    mw_policy *p = policy();
    struct mw_cage_wish w = wish_of(p);
    mw_cage *c;

    if (mw_confine_abi() < 4) return;
    add(p, MW_CONNECT, MW_ALLOW, "127.0.0.1:4102");
    w.who = MW_CAGE_SCRIPT;
    c = cage_of(&w);
    CHECK_INT(tcp(c, 4102, 0), 0);
    CHECK_INT(tcp(c, 4103, 0), EACCES);
    CHECK_INT(tcp(c, 4102, 1), EACCES);
    CHECK_INT(worn(c, do_udp, NULL), 0); /* names are looked up */
    mw_cage_drop(c);
    mw_policy_free(p);
}

static int do_signal(const void *pid) {
    return kill(*(const pid_t *)pid, 0);
}

TEST(others_are_out_of_a_signals_reach) {
    mw_policy *p = policy();
    pid_t us = getpid();
    mw_cage *c = cage(p);

    CHECK_INT(worn(c, do_signal, &us), EPERM);
    mw_cage_drop(c);
    mw_policy_free(p);
}

/* ---- Old kernels, notes ------------------------------------------------------------------------------------------------------------ */

TEST(every_version_of_landlock_makes_a_cage_and_none_makes_none) {
    mw_policy *p = policy();
    struct mw_cage_wish w = wish_of(p);
    mw_cage *c = NULL;

    begin();
    dir("in"), file("in/a"), file("out");
    add(p, MW_READ, MW_ALLOW, at("in"));
    for (w.abi = mw_confine_abi(); w.abi > 0; w.abi--) {
        c = cage_of(&w);
        CHECK_INT(worn(c, do_read, at("in/a")), 0);
        CHECK_INT(worn(c, do_read, at("out")), EACCES);
        CHECK_INT(worn(c, do_cut, at("in/a")) != 0, 1);
        CHECK_INT(tcp(c, 4100, 0) != 0, 1);
        mw_cage_drop(c);
    }
    CHECK_INT(mw_cage_new(&w, &c, &err), -EOPNOTSUPP);
    CHECK(c == NULL);
    mw_policy_free(p);
    end();
}

static void count_note(void *ud, const char *note) {
    struct { int n; char last[512]; } *it = ud;
    it->n++;
    snprintf(it->last, sizeof it->last, "%s", note);
}

TEST(trees_that_are_opened_up_are_told) {
    struct { int n; char last[512]; } notes = {0, ""};
    mw_policy *p = policy();
    mw_cage *c;

    begin();
    dir("in"), dir("in/no");
    add(p, MW_READ, MW_ALLOW, at("in"));
    c = cage(p);
    mw_cage_each_note(c, count_note, &notes);
    CHECK_INT(notes.n, 0);
    mw_cage_drop(c);
    add(p, MW_READ, MW_DENY, at("in/no"));
    c = cage(p);
    mw_cage_each_note(c, count_note, &notes);
    CHECK_INT(notes.n, 1);
    CHECK(strncmp(notes.last, at("in"), strlen(at("in"))) == 0 && strstr(notes.last, "opened up") != NULL);
    mw_cage_drop(c);
    mw_policy_free(p);
    end();
}

/* ---- Mounts: as root, in a mount namespace of the test's own ---------------------------------------------------------------------------- */

static int mounted(const void *ud) {
    mw_policy *p;
    mw_cage *c;
    int got[4];

    (void)ud;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return 0;
    if (mount(at("in"), at("mirror/in"), NULL, MS_BIND, NULL) < 0 || mount("proc", at("mirror/proc"), "proc", 0, NULL) < 0) return 0;
    p = policy();
    add(p, MW_READ, MW_ALLOW, root);
    add(p, MW_READ, MW_DENY, at("in/no"));
    c = cage(p);
    got[0] = worn(c, do_read, at("mirror/in/yes"));
    got[1] = worn(c, do_read, at("mirror/in/no/secret"));
    got[2] = worn(c, do_read, at("mirror/proc/meminfo"));
    got[3] = worn(c, do_read, at("in/no/secret"));
    mw_cage_drop(c);
    mw_policy_free(p);
    errno = EDOM;
    return got[0] == 0 && got[1] == EACCES && got[2] == EACCES && got[3] == EACCES ? 0 : -1;
}

TEST(what_is_denied_is_not_found_by_way_of_another_mount) {
    if (geteuid() != 0 || mw_confine_abi() == 0) {
        printf("# as root only, with Landlock\n");
        return;
    }
    begin();
    dir("in"), dir("in/no"), dir("mirror"), dir("mirror/in"), dir("mirror/proc"), file("in/yes"), file("in/no/secret");
    CHECK_INT(worn(NULL, mounted, NULL), 0);
    end();
}
