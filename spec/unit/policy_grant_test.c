/* Layers, drops, copies, and the policy that a child is handed; programs and what stands in their first line. */
#include "policy/permit.h"
#include "policy/grant.h"
#include "policy/save.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>

#include "support/tree.h"

static void begin(void) {
    tree_begin();
    REQUIRE(mkdir(in("data"), 0755) == 0 && mkdir(in("other"), 0755) == 0);
    put("data/a", "a", 0644);
    put("other/o", "o", 0644);
}
static void allow(enum mw_kind kind, const char *rule) {
    int rc = mw_policy_add(p, kind, MW_ALLOW, rule, &err);
    if (rc < 0) printf("# %s\n", err.message);
    REQUIRE(rc == 0);
}
static int reads(const char *name) {
    int fd = -1, rc = mw_permit_open(p, in(name), O_RDONLY, 0, 1, "fs read", &fd, &err);
    if (fd >= 0) close(fd);
    return rc;
}

/* Through a memfd and back; the old policy is gone. */
static void hand_over(void) {
    mw_policy *child = NULL;
    int fd = memfd_create("policy", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && mw_policy_save(p, fd, &err) == 0);
    mw_policy_free(p);
    p = NULL;
    REQUIRE(mw_policy_load(fd, &child, &err) == 0);
    close(fd);
    p = child;
}

static int peer(enum mw_kind kind, const char *host, const char *addr, int port) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, addr, &sa.sin_addr);
    return mw_permit_addr(p, kind, host, (struct sockaddr *)&sa, sizeof sa, "net connect", &err);
}

TEST(every_layer_must_say_yes_and_a_kind_not_mentioned_is_denied) {
    begin();
    allow(MW_READ, root);
    allow(MW_ENV, NULL);
    REQUIRE(mw_policy_narrow(p, &err) == 0);
    CHECK_INT(reads("data/a"), MW_EDENIED);
    CHECK(strstr(err.hint, "permissions") != NULL);
    allow(MW_READ, in("data"));
    CHECK_INT(reads("data/a"), 0);
    CHECK_INT(reads("other/o"), MW_EDENIED);
    CHECK_INT(mw_permit_text(p, MW_ENV, "HOME", "env", &err), MW_EDENIED);
    tree_end();
}

TEST(what_is_dropped_stays_dropped) {
    begin();
    REQUIRE(mw_policy_add_all(p, &err) == 0);
    CHECK_INT(mw_policy_is_total(p), 1);
    REQUIRE(mw_policy_drop(p, MW_READ, in("data"), &err) == 0);
    CHECK_INT(mw_policy_is_total(p), 0);
    allow(MW_READ, in("data/a")); /* more specific, and yet */
    CHECK_INT(reads("data/a"), MW_EDENIED);
    CHECK_STR(err.hint, "the right was dropped");
    CHECK_INT(reads("other/o"), 0);
    REQUIRE(mw_policy_drop(p, MW_NET, NULL, &err) == 0);
    CHECK_INT(peer(MW_CONNECT, "127.0.0.1", "127.0.0.1", 80), MW_EDENIED);
    hand_over();
    CHECK_INT(reads("data/a"), MW_EDENIED);
    CHECK_INT(reads("other/o"), 0);
    for (int i = 0; i < 3000; i++) REQUIRE(mw_policy_drop(p, MW_READ, in("data"), &err) == 0); /* said already: nothing is kept */
    tree_end();
}

TEST(a_child_may_be_given_what_its_parent_has_and_no_more) {
    begin();
    allow(MW_READ, in("data"));
    allow(MW_NET, "10.0.0.0/8:80,*.example.com,unix:/run/app/");
    allow(MW_ENV, "LC_*");
    CHECK_INT(mw_policy_covers(p, MW_READ, in("data"), &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_READ, in("data/a"), &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_READ, root, &err), MW_EDENIED);
    CHECK_INT(mw_policy_covers(p, MW_READ, NULL, &err), MW_EDENIED);
    CHECK_INT(mw_policy_covers(p, MW_NET, "10.1.0.0/16:80", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_CONNECT, "10.1.2.3:80", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_NET, "10.1.0.0/16", &err), MW_EDENIED);
    CHECK_INT(mw_policy_covers(p, MW_NET, "0.0.0.0/0:80", &err), MW_EDENIED);
    CHECK_INT(mw_policy_covers(p, MW_NET, ":80", &err), MW_EDENIED);
    CHECK_INT(mw_policy_covers(p, MW_NET, "*.a.example.com:443", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_NET, "*.example.com", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_NET, "example.com", &err), MW_EDENIED);
    CHECK_INT(mw_policy_covers(p, MW_NET, "unix:/run/app/s", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_NET, "unix:/run/app/", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_NET, "unix:/run/", &err), MW_EDENIED);
    CHECK_INT(mw_policy_covers(p, MW_ENV, "LC_ALL", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_ENV, "LC_A*", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_ENV, "L*", &err), MW_EDENIED);
    CHECK_INT(mw_policy_covers(p, MW_NET, "10.1.2.3:bad", &err), MW_EINVAL);
    tree_end();
}

TEST(addresses_cannot_be_dressed_up) {
    begin();
    allow(MW_CONNECT, "example.com:80,127.0.0.1:7000,0.0.0.0:7001");
    REQUIRE(mw_policy_add(p, MW_CONNECT, MW_DENY, "10.0.0.0/8", &err) == 0);
    CHECK_INT(peer(MW_CONNECT, "example.com", "93.184.216.34", 80), 0);
    CHECK_INT(peer(MW_CONNECT, "EXAMPLE.com.", "93.184.216.34", 80), 0);
    CHECK_INT(peer(MW_CONNECT, "example.com", "10.0.0.7", 80), MW_EDENIED); /* a name that points inside */
    CHECK_INT(peer(MW_CONNECT, "evil.com", "93.184.216.34", 80), MW_EDENIED);
    CHECK(strstr(err.message, "net connect evil.com:80: denied (grant it with --allow-net=evil.com:80)") != NULL);
    CHECK_INT(peer(MW_CONNECT, "0.0.0.0", "0.0.0.0", 7000), 0);              /* loopback, by its other name */
    CHECK_INT(peer(MW_CONNECT, "127.0.0.1", "127.0.0.1", 7001), 0);
    CHECK_INT(peer(MW_LISTEN, "0.0.0.0", "0.0.0.0", 7001), MW_EDENIED);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "127.1", 7000, "net connect", &err), MW_EINVAL);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "0x7f000001", 7000, "net connect", &err), MW_EINVAL);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "2130706433", 7000, "net connect", &err), MW_EINVAL);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "::ffff:127.0.0.1", 7000, "net connect", &err), 0);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "::1", 7000, "net connect", &err), MW_EDENIED);
    CHECK(strstr(err.message, "[::1]:7000") != NULL);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "localhost", 7000, "net connect", &err), 0); /* its address may be granted */
    CHECK_INT(peer(MW_CONNECT, "localhost", "127.0.0.1", 7000), 0);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "localhost", 9, "net connect", &err), MW_EDENIED);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "example.com", 0, "getaddrinfo", &err), 0); /* a look-up: some port is granted */
    CHECK_INT(mw_permit_host(p, MW_LISTEN, "example.com", 0, "net listen", &err), MW_EDENIED);
    REQUIRE(mw_policy_add(p, MW_CONNECT, MW_DENY, "example.com:80", &err) == 0);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "example.com", 80, "net connect", &err), MW_EDENIED);
    tree_end();
}

TEST(listening_everywhere_is_listening_on_what_is_denied) {
    begin();
    allow(MW_LISTEN, NULL);
    REQUIRE(mw_policy_add(p, MW_LISTEN, MW_DENY, "192.168.1.5:80", &err) == 0);
    CHECK_INT(peer(MW_LISTEN, "0.0.0.0", "0.0.0.0", 80), MW_EDENIED);
    CHECK_INT(peer(MW_LISTEN, "0.0.0.0", "0.0.0.0", 81), 0);
    CHECK_INT(peer(MW_LISTEN, "127.0.0.1", "127.0.0.1", 80), 0);
    tree_end();
}

TEST(a_saved_policy_says_the_same_and_trusts_no_link_that_came_later) {
    begin();
    allow(MW_READ, in("data"));
    allow(MW_NET, "10.0.0.0/8:80,*.example.com:443");
    allow(MW_ENV, "HOME,LC_*");
    allow(MW_SYS, "hostname");
    allow(MW_RUN, "sh");
    REQUIRE(mw_policy_add(p, MW_READ, MW_DENY, in("data/later"), &err) == 0);
    hand_over();
    CHECK_INT(reads("data/a"), 0);
    CHECK_INT(reads("data/later"), MW_EDENIED);
    CHECK_INT(reads("other/o"), MW_EDENIED);
    CHECK_INT(peer(MW_CONNECT, "10.1.1.1", "10.1.1.1", 80), 0);
    CHECK_INT(peer(MW_CONNECT, "x.example.com", "1.2.3.4", 443), 0);
    CHECK_INT(peer(MW_CONNECT, "10.1.1.1", "10.1.1.1", 81), MW_EDENIED);
    CHECK_INT(mw_permit_text(p, MW_ENV, "LC_ALL", "env", &err), 0);
    CHECK_INT(mw_permit_text(p, MW_SYS, "pid", "sys", &err), MW_EDENIED);
    tree_end();

    begin();
    allow(MW_READ, in("data"));
    {
        int fd = memfd_create("policy", MFD_CLOEXEC);
        mw_policy *child = NULL;
        REQUIRE(mw_policy_save(p, fd, &err) == 0);
        REQUIRE(rename(in("data"), in("was")) == 0 && symlink(in("other"), in("data")) == 0);
        REQUIRE(mw_policy_load(fd, &child, &err) == 0);
        close(fd);
        mw_policy_free(p);
        p = child;
    }
    CHECK_INT(reads("data/o"), MW_EDENIED);
    CHECK_INT(reads("other/o"), MW_EDENIED);
    tree_end();
}

TEST(a_damaged_policy_is_refused_whole) {
    static unsigned char text[65536];
    mw_policy *out = NULL;
    int fd = memfd_create("policy", MFD_CLOEXEC);
    ssize_t n;
    unsigned refused = 0;
    begin();
    allow(MW_READ, in("data"));
    allow(MW_NET, "10.0.0.0/8:80,*.example.com:443,unix:/run/");
    allow(MW_ENV, NULL);
    REQUIRE(mw_policy_narrow(p, &err) == 0 && mw_policy_drop(p, MW_ENV, "X", &err) == 0);
    REQUIRE(mw_policy_save(p, fd, &err) == 0);
    n = pread(fd, text, sizeof text, 0);
    close(fd);
    REQUIRE(n > 100);
    for (ssize_t cut = 0; cut < n; cut++) CHECK_INT(mw_policy_parse(text, (size_t)cut, &out, &err), MW_EINVAL);
    CHECK_INT(mw_policy_parse(text, (size_t)n + 1, &out, &err), MW_EINVAL);
    for (ssize_t at = 0; at < n; at++) { /* any byte changed: refused, or still a policy */
        unsigned char was = text[at];
        text[at] ^= 0x81;
        if (mw_policy_parse(text, (size_t)n, &out, &err) == 0) mw_policy_free(out);
        else refused++;
        text[at] = was;
    }
    CHECK(refused > 50);
    tree_end();
}

TEST(a_copy_is_a_policy_of_its_own) {
    mw_policy *copy = NULL, *was;
    begin();
    allow(MW_READ, in("data"));
    REQUIRE(mw_policy_copy(p, &copy, &err) == 0);
    REQUIRE(mw_policy_drop(p, MW_READ, NULL, &err) == 0);
    CHECK_INT(reads("data/a"), MW_EDENIED);
    was = p;
    p = copy;
    CHECK_INT(reads("data/a"), 0);
    mw_policy_free(was);
    CHECK_INT(reads("data/a"), 0);
    tree_end();
}

static int runs(const char *name, struct mw_program *out) {
    int rc = mw_permit_exec(p, name, AT_FDCWD, "process spawn", out, &err);
    mw_program_close(out);
    return rc;
}

TEST(a_program_is_its_file_and_not_its_name) {
    struct mw_program it;
    begin();
    CHECK_INT(mw_policy_add(p, MW_RUN, MW_ALLOW, "no-such-program-here", &err), MW_ENOENT);
    CHECK_INT(runs("sh", &it), MW_EDENIED);
    CHECK(strstr(err.message, "process spawn sh: denied (grant it with --allow-run=sh)") != NULL);
    CHECK_INT(runs("no-such-program-here", &it), MW_EDENIED);
    allow(MW_RUN, "sh");
    CHECK_INT(runs("sh", &it), 0);
    CHECK_INT(runs("/bin/sh", &it), 0);
    CHECK_INT(runs("cat", &it), MW_EDENIED);
    REQUIRE(symlink("/bin/sh", in("shell")) == 0 && symlink("/bin/cat", in("sh")) == 0);
    CHECK_INT(runs(in("shell"), &it), 0);
    CHECK_INT(runs(in("sh"), &it), MW_EDENIED);
    CHECK_INT(runs(in("data"), &it), MW_EDENIED);
    REQUIRE(mw_policy_add(p, MW_RUN, MW_DENY, "/bin/sh", &err) == 0);
    CHECK_INT(runs("sh", &it), MW_EDENIED);
    tree_end();

    begin();
    allow(MW_RUN, NULL);
    CHECK_INT(runs("cat", &it), 0);
    CHECK_INT(it.trusted, 0);
    CHECK_INT(runs("no-such-program-here", &it), MW_ENOENT);
    CHECK_INT(runs(in("data/a"), &it), -EACCES);
    allow(MW_TRUST, "cat");
    CHECK_INT(runs("cat", &it), 0);
    CHECK_INT(it.trusted, 1);
    tree_end();
}

TEST(a_script_is_run_by_its_interpreter_and_a_denied_interpreter_denies_it) {
    struct mw_program it;
    begin();
    put("data/s", "#!/bin/sh -e\necho hi\n", 0755);
    put("data/e", "#!/usr/bin/env sh\necho hi\n", 0755);
    put("data/loop", "#! /bin/sh\n", 0755);
    put("data/broken", "#!relative\n", 0755);
    put("data/cut", "#!/bin/sh", 0755);
    allow(MW_RUN, in("data/s"));
    allow(MW_RUN, in("data/e"));
    allow(MW_RUN, in("data/broken"));
    CHECK_INT(runs(in("data/s"), &it), 0);
    CHECK_STR(it.path, "/bin/sh");
    CHECK_STR(it.arg, "-e");
    CHECK_STR(it.script, in("data/s"));
    CHECK_INT(runs(in("data/e"), &it), 0);
    CHECK(strstr(it.path, "/sh") != NULL);
    CHECK_STR(it.arg, "");
    CHECK_INT(runs(in("data/broken"), &it), -ENOEXEC);
    CHECK_INT(runs(in("data/loop"), &it), MW_EDENIED);
    put("data/nest", "", 0755);
    {
        char line[128];
        snprintf(line, sizeof line, "#!%s\n", in("data/s"));
        put("data/nest", line, 0755);
        memset(line, 'x', sizeof line);
    }
    allow(MW_RUN, in("data/nest"));
    CHECK_INT(runs(in("data/nest"), &it), -ENOEXEC);
    REQUIRE(mw_policy_add(p, MW_RUN, MW_DENY, "sh", &err) == 0);
    CHECK_INT(runs(in("data/s"), &it), MW_EDENIED);
    CHECK_INT(runs(in("data/e"), &it), MW_EDENIED);
    tree_end();
}

TEST(a_long_first_line_is_no_other_interpreter) {
    struct mw_program it;
    char line[400] = "#!/bin/";
    begin();
    memset(line + 7, 'x', 300);
    put("data/long", line, 0755);
    allow(MW_RUN, in("data/long"));
    CHECK_INT(runs(in("data/long"), &it), -ENOEXEC);
    tree_end();
}

TEST(names_that_cannot_be_are_the_callers_mistake) {
    begin();
    CHECK_INT(mw_permit_text(p, MW_SYS, "everything", "sys", &err), MW_EINVAL);
    CHECK_INT(mw_permit_text(p, MW_ENV, "A=B", "env", &err), MW_EINVAL);
    CHECK_INT(mw_permit_text(p, MW_ENV, "", "env", &err), MW_EINVAL);
    CHECK_INT(mw_permit_text(p, MW_SHARE, "a/b", "shm", &err), MW_EINVAL);
    allow(MW_SHARE, "/seg*");
    CHECK_INT(mw_permit_text(p, MW_SHARE, "segment", "shm", &err), 0);
    CHECK_INT(mw_permit_text(p, MW_SHARE, "/segment", "shm", &err), 0);
    CHECK_INT(mw_permit_text(p, MW_SHARE, "other", "shm", &err), MW_EDENIED);
    tree_end();
}

TEST(lists_of_rules_are_split_at_commas_that_are_not_escaped) {
    begin();
    REQUIRE(mkdir(in("x,y"), 0755) == 0);
    put("x,y/f", "f", 0644);
    {
        char rules[256];
        snprintf(rules, sizeof rules, "%s/x\\,y,%s/data", root, root);
        allow(MW_READ, rules);
    }
    CHECK_INT(reads("x,y/f"), 0);
    CHECK_INT(reads("data/a"), 0);
    CHECK_INT(reads("x"), MW_EDENIED);
    CHECK_INT(mw_policy_add(p, MW_READ, MW_ALLOW, "a,,b", &err), MW_EINVAL);
    CHECK_INT(mw_policy_add(p, MW_READ, MW_ALLOW, "", &err), MW_EINVAL);
    tree_end();
}

/* ---- Addresses by way of others ------------------------------------------------------------------------------------------ */

static int peer6(enum mw_kind kind, const char *host, const char *addr, int port) {
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
    REQUIRE(inet_pton(AF_INET6, addr, &sa.sin6_addr) == 1);
    return mw_permit_addr(p, kind, host, (struct sockaddr *)&sa, sizeof sa, "net connect", &err);
}

TEST(a_denied_address_is_denied_by_way_of_every_gateway_and_none_is_granted_by_one) {
    static const char *const ways[] = {"64:ff9b::10.1.2.3", "64:ff9b:1::10.1.2.3", "2002:a01:203::1", "::10.1.2.3", "::ffff:10.1.2.3"};
    begin();
    allow(MW_CONNECT, NULL);
    REQUIRE(mw_policy_add(p, MW_CONNECT, MW_DENY, "10.0.0.0/8", &err) == 0);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        CHECK_INT(peer6(MW_CONNECT, ways[i], ways[i], 80), MW_EDENIED);
        CHECK_INT(peer6(MW_CONNECT, "example.com", ways[i], 80), MW_EDENIED);
        CHECK_INT(mw_permit_host(p, MW_CONNECT, ways[i], 80, "net connect", &err), MW_EDENIED);
        CHECK_INT(mw_policy_covers(p, MW_CONNECT, "[64:ff9b::a01:203]:80", &err), MW_EDENIED);
    }
    CHECK_INT(peer6(MW_CONNECT, "64:ff9b::11.1.2.3", "64:ff9b::11.1.2.3", 80), 0);
    CHECK_INT(peer6(MW_CONNECT, "::1", "::1", 80), 0);
    allow(MW_CONNECT, "[64:ff9b::/96]"); /* wider than the denial, behind the gateway */
    CHECK_INT(peer6(MW_CONNECT, ways[0], ways[0], 80), MW_EDENIED);
    allow(MW_CONNECT, "[64:ff9b::a01:203]");
    CHECK_INT(peer6(MW_CONNECT, ways[0], ways[0], 80), 0);
    tree_end();

    begin();
    allow(MW_CONNECT, "10.0.0.0/8");
    CHECK_INT(peer6(MW_CONNECT, "::ffff:10.1.2.3", "::ffff:10.1.2.3", 80), 0); /* the same address */
    for (size_t i = 0; i < 4; i++) CHECK_INT(peer6(MW_CONNECT, ways[i], ways[i], 80), MW_EDENIED);
    tree_end();
}

TEST(a_name_is_looked_up_for_who_may_reach_it_by_name_or_every_address_at_its_port) {
    begin();
    allow(MW_NET, "10.0.0.0/8,127.0.0.1");
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "data-that-leaves.example.com", 80, "net connect", &err), MW_EDENIED);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "data-that-leaves.example.com", 0, "getaddrinfo", &err), MW_EDENIED);
    CHECK(strstr(err.message, "--allow-net=data-that-leaves.example.com") != NULL);
    CHECK_INT(mw_policy_query(p, MW_CONNECT, "data-that-leaves.example.com:80"), MW_DENIED);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "localhost", 80, "net connect", &err), 0);
    CHECK_INT(mw_policy_query(p, MW_CONNECT, "localhost:80"), MW_GRANTED);
    allow(MW_CONNECT, "0.0.0.0/0:80");
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "example.com", 80, "net connect", &err), 0);
    CHECK_INT(mw_policy_query(p, MW_CONNECT, "example.com:80"), MW_GRANTED);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "example.com", 81, "net connect", &err), MW_EDENIED);
    REQUIRE(mw_policy_add(p, MW_NET, MW_DENY, "*.example.com", &err) == 0);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "a.example.com", 80, "net connect", &err), MW_EDENIED);
    CHECK_INT(mw_policy_query(p, MW_CONNECT, "a.example.com:80"), MW_DENIED);
    tree_end();
}

TEST(a_denial_of_localhost_is_of_this_machine_by_whatever_name_or_address) {
    begin();
    allow(MW_NET, NULL);
    REQUIRE(mw_policy_add(p, MW_NET, MW_DENY, "localhost", &err) == 0);
    CHECK_INT(peer(MW_CONNECT, "localhost", "127.0.0.1", 80), MW_EDENIED);
    CHECK_INT(peer(MW_CONNECT, "LocalHost.", "127.0.0.1", 80), MW_EDENIED);
    CHECK_INT(peer(MW_CONNECT, "127.0.0.1", "127.0.0.1", 80), MW_EDENIED);
    CHECK_INT(peer(MW_CONNECT, "127.9.9.9", "127.9.9.9", 80), MW_EDENIED);
    CHECK_INT(peer(MW_CONNECT, "0.0.0.0", "0.0.0.0", 80), MW_EDENIED);
    CHECK_INT(peer6(MW_CONNECT, "::1", "::1", 80), MW_EDENIED);
    CHECK_INT(peer6(MW_CONNECT, "::", "::", 80), MW_EDENIED);
    CHECK_INT(peer6(MW_CONNECT, "::ffff:127.0.0.1", "::ffff:127.0.0.1", 80), MW_EDENIED);
    CHECK_INT(peer(MW_CONNECT, "rebound.example", "127.0.0.1", 80), MW_EDENIED);
    CHECK_INT(peer(MW_LISTEN, "0.0.0.0", "0.0.0.0", 80), MW_EDENIED);
    CHECK_INT(peer(MW_CONNECT, "10.0.0.1", "10.0.0.1", 80), 0);
    allow(MW_CONNECT, "127.0.0.1:8080"); /* more specific */
    CHECK_INT(peer(MW_CONNECT, "127.0.0.1", "127.0.0.1", 8080), 0);
    CHECK_INT(peer(MW_CONNECT, "127.0.0.1", "127.0.0.1", 8081), MW_EDENIED);
    allow(MW_CONNECT, "localhost:8081");
    CHECK_INT(peer(MW_CONNECT, "localhost", "127.0.0.1", 8081), 0);
    CHECK_INT(peer(MW_CONNECT, "rebound.example", "127.0.0.1", 8081), MW_EDENIED);
    tree_end();
}

TEST(a_zone_belongs_to_an_ipv6_address_and_changes_nothing) {
    begin();
    allow(MW_CONNECT, "[fe80::/10],10.0.0.1");
    REQUIRE(mw_policy_add(p, MW_CONNECT, MW_DENY, "[fe80::1]", &err) == 0);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "fe80::2%eth0", 80, "net connect", &err), 0);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "fe80::1%eth0", 80, "net connect", &err), MW_EDENIED);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "fe80::2%", 80, "net connect", &err), MW_EINVAL);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "10.0.0.1%eth0", 80, "net connect", &err), MW_EINVAL);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "example%2ecom", 80, "net connect", &err), MW_EINVAL);
    tree_end();
}

TEST(an_abstract_name_may_be_as_long_as_the_kernel_has_it) {
    char rule[160] = "unix:@", name[120] = "@";
    struct mw_place at;
    begin();
    memset(rule + 6, 'n', 107);
    memset(name + 1, 'n', 107);
    allow(MW_NET, NULL);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, name, "net connect", &at, &err), 0);
    REQUIRE(mw_policy_add(p, MW_NET, MW_DENY, rule, &err) == 0);
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, name, "net connect", &at, &err), MW_EDENIED);
    rule[113] = 'n';
    CHECK_INT(mw_policy_add(p, MW_NET, MW_DENY, rule, &err), MW_EINVAL);
    name[108] = 'n';
    CHECK_INT(mw_permit_unix(p, MW_CONNECT, name, "net connect", &at, &err), -ENAMETOOLONG);
    tree_end();
}

TEST(a_directory_of_sockets_is_not_covered_by_a_socket_of_any_name_in_it) {
    begin();
    allow(MW_NET, "unix:/run/app/*");
    CHECK_INT(mw_policy_covers(p, MW_NET, "unix:/run/app/*", &err), 0);
    CHECK_INT(mw_policy_covers(p, MW_NET, "unix:/run/app/", &err), MW_EDENIED);
    tree_end();
}

TEST(query_says_of_programs_what_starting_them_would) {
    struct mw_program it;
    char path[PATH_MAX];
    mw_policy *kept;
    begin();
    REQUIRE(mkdir(in("bin"), 0755) == 0);
    put("data/tool", "#!/bin/sh\n", 0755);
    snprintf(path, sizeof path, "%s:%s", in("bin"), in("data"));
    kept = p;
    free(kept->path);
    kept->path = strdup(path);
    CHECK_INT(mw_policy_query(p, MW_RUN, "tool"), MW_DENIED);
    CHECK_INT(mw_policy_query(p, MW_RUN, "none"), MW_DENIED);
    allow(MW_RUN, "tool");
    CHECK_INT(mw_policy_query(p, MW_RUN, "tool"), MW_GRANTED);
    put("bin/tool", "#!/bin/sh\n", 0755); /* before it in PATH: what was pinned counts */
    CHECK_INT(runs("tool", &it), 0);
    CHECK_INT(mw_policy_query(p, MW_RUN, "tool"), MW_GRANTED);
    CHECK_INT(runs(in("bin/tool"), &it), MW_EDENIED);
    CHECK_INT(mw_policy_query(p, MW_RUN, in("bin/tool")), MW_DENIED);
    CHECK_INT(runs("none", &it), MW_EDENIED);
    CHECK_INT(mw_policy_query(p, MW_RUN, "none"), MW_DENIED);
    CHECK_INT(mw_policy_query(p, MW_TRUST, "tool"), MW_DENIED);
    allow(MW_RUN, NULL);
    CHECK_INT(runs("none", &it), MW_ENOENT);
    CHECK_INT(mw_policy_query(p, MW_RUN, "none"), MW_GRANTED);
    CHECK_INT(mw_policy_query(p, MW_RUN, ""), MW_DENIED);
    allow(MW_TRUST, in("data/tool"));
    CHECK_INT(mw_policy_query(p, MW_TRUST, "tool"), MW_GRANTED);
    REQUIRE(mw_policy_add(p, MW_RUN, MW_DENY, in("data/tool"), &err) == 0);
    CHECK_INT(runs("tool", &it), MW_EDENIED);
    CHECK_INT(mw_policy_query(p, MW_RUN, "tool"), MW_DENIED);
    CHECK_INT(mw_policy_query(p, MW_TRUST, "tool"), MW_DENIED); /* it will not run at all */
    tree_end();
}
