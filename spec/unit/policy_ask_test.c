/* Who is asked, about what, and what the answer is good for: `query` says "prompt" exactly where enforcement would ask, over random
 * rules of every kind in every layer.
 * Knows: policy. Never: a terminal. */
#include "support/check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "policy/permit.h"

static struct mw_err err;

static uint64_t seed = 88172645463325252u;
static unsigned any(unsigned n) { /* xorshift: the same numbers every run */
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

struct person {
    int asked, answer;
    enum mw_kind kind;
    char subject[512], flag[512];
};
static int on_ask(void *ud, enum mw_kind kind, const char *subject, const char *flag) {
    struct person *who = ud;
    who->asked++;
    who->kind = kind;
    snprintf(who->subject, sizeof who->subject, "%s", subject != NULL ? subject : "(all)");
    snprintf(who->flag, sizeof who->flag, "%s", flag);
    return who->answer;
}

/* ---- A small world ---------------------------------------------------------------------------------------------------------- */

static const char *const paths[] = {"/tmp", "/tmp/mw-ask-none", "/etc", "/etc/passwd", "/etc/hosts", "/usr/bin", "/proc/self", "/dev/null"};
static const char *const addresses[] = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:81", "10.0.0.0/8", ":80", "[::1]:80", "10.0.0.1"};
static const char *const names[] = {"A", "AB", "A_B", "HOME", "A_*", "A*"};
static const char *const facts[] = {"cpus", "hostname", "uid"};
static const char *const programs[] = {"sh", "true", "/bin/sh"};

static const enum mw_kind kinds[] = {MW_READ, MW_WRITE, MW_CONNECT, MW_LISTEN, MW_ENV, MW_SHARE, MW_SYS, MW_RUN};
#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char *subject_of(enum mw_kind kind, int rule) {
    switch (kind) {
    case MW_READ:
    case MW_WRITE: return paths[any(COUNT(paths))];
    case MW_CONNECT:
    case MW_LISTEN: return addresses[any(rule ? COUNT(addresses) : 3)];
    case MW_ENV:
    case MW_SHARE: return names[any(rule ? COUNT(names) : 4)];
    case MW_SYS: return facts[any(COUNT(facts))];
    default: return programs[any(COUNT(programs))];
    }
}

static void add_rules(mw_policy *p) {
    for (unsigned n = any(4); n > 0; n--) {
        enum mw_kind kind = kinds[any(COUNT(kinds))];
        REQUIRE(mw_policy_add(p, kind, any(3) == 0 ? MW_DENY : MW_ALLOW, any(8) == 0 ? NULL : subject_of(kind, 1), &err) == 0);
    }
}

static mw_policy *policy_of(struct person *who) {
    static const char *const files[] = {"{\"read\":[\"/etc\"],\"env\":true,\"connect\":[\"10.0.0.0/8\"]}", "{\"sys\":true,\"deny\":{\"sys\":[\"uid\"]}}"};
    mw_policy *p = NULL;

    REQUIRE(mw_policy_new(&p, &err) == 0);
    if (any(3) == 0) {
        const char *text = files[any(2)];
        REQUIRE(mw_policy_add_json(p, text, strlen(text), NULL, &err) == 0);
    }
    add_rules(p);
    if (any(20) == 0) REQUIRE(mw_policy_add_all(p, &err) == 0);
    if (any(5) == 0) {
        REQUIRE(mw_policy_narrow(p, &err) == 0);
        add_rules(p);
    }
    if (any(4) == 0) {
        enum mw_kind kind = kinds[any(COUNT(kinds))];
        REQUIRE(mw_policy_drop(p, kind, any(3) == 0 ? NULL : subject_of(kind, 1), &err) == 0);
    }
    if (any(8) != 0) mw_policy_on_ask(p, on_ask, who);
    return p;
}

/* What enforcement says: 1 it may. */
static int enforce(mw_policy *p, enum mw_kind kind, const char *subject) {
    struct sockaddr_in sa = {.sin_family = AF_INET};
    struct mw_place at = {.fd = -1};
    struct mw_program program;
    char host[64];
    int rc;

    switch (kind) {
    case MW_READ:
    case MW_WRITE:
        rc = mw_permit_path(p, 1u << kind, subject, MW_AT_CREATE, "test", &at, &err);
        mw_place_close(&at);
        return rc != MW_EDENIED;
    case MW_CONNECT:
    case MW_LISTEN:
        snprintf(host, sizeof host, "%.*s", (int)strcspn(subject, ":"), subject);
        sa.sin_port = htons((uint16_t)atoi(strchr(subject, ':') + 1));
        inet_pton(AF_INET, host, &sa.sin_addr);
        rc = mw_permit_host(p, kind, host, ntohs(sa.sin_port), "test", &err);
        if (rc == 0) rc = mw_permit_addr(p, kind, host, (struct sockaddr *)&sa, sizeof sa, "test", &err);
        return rc != MW_EDENIED;
    case MW_RUN:
        rc = mw_permit_exec(p, subject, AT_FDCWD, "test", &program, &err);
        mw_program_close(&program);
        return rc != MW_EDENIED;
    default: return mw_permit_text(p, kind, subject, "test", &err) != MW_EDENIED;
    }
}

TEST(query_says_prompt_exactly_where_a_person_is_asked) {
    static const char *const words[] = {"granted", "denied", "prompt"};
    int seen[3] = {0};

    for (int n = 0; n < 12000; n++) {
        struct person who = {.answer = (int)any(2)};
        mw_policy *p = policy_of(&who);
        for (int i = 0; i < 4; i++) {
            enum mw_kind kind = kinds[any(COUNT(kinds))];
            const char *subject = subject_of(kind, 0);
            enum mw_answer said = mw_policy_query(p, kind, subject);
            int asked = (who.asked = 0, enforce(p, kind, subject)), right;
            seen[said]++;
            right = said == MW_GRANTED ? asked && who.asked == 0 : said == MW_DENIED ? !asked && who.asked == 0
                                                                                       : who.asked == 1 && asked == who.answer && who.kind == kind;
            if (!right) printf("# %d: %s %s: %s, then %d with %d questions\n", n, mw_kind_name(kind), subject, words[said], asked, who.asked);
            REQUIRE(right);
        }
        mw_policy_free(p);
    }
    CHECK(seen[MW_GRANTED] > 1000 && seen[MW_DENIED] > 1000 && seen[MW_PROMPT] > 1000);
}

TEST(always_is_what_query_says_from_then_on) {
    for (int n = 0; n < 4000; n++) {
        struct person who = {.answer = 2};
        mw_policy *p = policy_of(&who);
        enum mw_kind kind = kinds[any(COUNT(kinds))];
        const char *subject = subject_of(kind, 0);
        if (mw_policy_query(p, kind, subject) == MW_PROMPT) {
            REQUIRE(enforce(p, kind, subject) && who.asked == 1);
            if (mw_policy_query(p, kind, subject) != MW_GRANTED) printf("# %d: %s %s (%s)\n", n, mw_kind_name(kind), subject, who.flag);
            REQUIRE(mw_policy_query(p, kind, subject) == MW_GRANTED);
            REQUIRE(enforce(p, kind, subject) && who.asked == 1);
        }
        mw_policy_free(p);
    }
}

/* ---- What a word is good for -------------------------------------------------------------------------------------------------- */

static int peer(mw_policy *p, const char *host, const char *address, int port) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, address, &sa.sin_addr);
    return mw_permit_addr(p, MW_CONNECT, host, (struct sockaddr *)&sa, sizeof sa, "test", &err);
}

TEST(once_said_of_a_host_holds_for_its_addresses_until_the_next_time) {
    struct person who = {.answer = 1};
    mw_policy *p = NULL;

    REQUIRE(mw_policy_new(&p, &err) == 0);
    mw_policy_on_ask(p, on_ask, &who);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "a.example", 80, "test", &err), 0);
    CHECK(strcmp(who.subject, "a.example:80") == 0 && strcmp(who.flag, "--allow-net=a.example:80") == 0);
    CHECK_INT(peer(p, "a.example", "10.0.0.1", 80), 0);
    CHECK_INT(peer(p, "a.example", "10.0.0.2", 80), 0);
    CHECK_INT(who.asked, 1);
    who.answer = 0;
    CHECK_INT(peer(p, "a.example", "10.0.0.1", 81), MW_EDENIED); /* another port */
    CHECK_INT(peer(p, "b.example", "10.0.0.1", 80), MW_EDENIED); /* another name */
    CHECK_INT(peer(p, "10.0.0.1", "10.0.0.1", 80), MW_EDENIED);  /* no name */
    CHECK_INT(who.asked, 4);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "a.example", 80, "test", &err), MW_EDENIED); /* the next time */
    CHECK_INT(peer(p, "a.example", "10.0.0.1", 80), MW_EDENIED);
    CHECK_INT(who.asked, 6);
    mw_policy_free(p);
}

TEST(a_denied_address_of_a_host_that_was_granted_stays_denied) {
    struct person who = {.answer = 2};
    mw_policy *p = NULL;

    REQUIRE(mw_policy_new(&p, &err) == 0 && mw_policy_add(p, MW_NET, MW_DENY, "10.0.0.0/8", &err) == 0);
    mw_policy_on_ask(p, on_ask, &who);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "a.example", 80, "test", &err), 0);
    CHECK_INT(peer(p, "a.example", "10.0.0.1", 80), MW_EDENIED);
    CHECK_INT(peer(p, "a.example", "192.0.2.1", 80), 0);
    CHECK_INT(who.asked, 1);
    mw_policy_free(p);
}

TEST(an_address_in_figures_is_asked_about_once_and_each_time) {
    struct person who = {.answer = 1};
    mw_policy *p = NULL;

    REQUIRE(mw_policy_new(&p, &err) == 0);
    mw_policy_on_ask(p, on_ask, &who);
    for (int i = 1; i <= 2; i++) {
        CHECK_INT(mw_permit_host(p, MW_CONNECT, "10.0.0.1", 80, "test", &err), 0);
        CHECK_INT(peer(p, "10.0.0.1", "10.0.0.1", 80), 0);
        CHECK_INT(who.asked, i);
    }
    CHECK_INT(peer(p, "10.0.0.1", "10.0.0.1", 80), 0); /* without the name's question before: one of its own */
    CHECK_INT(who.asked, 3);
    CHECK_INT(mw_permit_host(p, MW_CONNECT, "0.0.0.0", 80, "test", &err), 0); /* loopback by its other name */
    CHECK(strcmp(who.subject, "127.0.0.1:80") == 0);
    mw_policy_free(p);
}

TEST(always_grants_what_a_link_leads_to_and_nothing_beside_it) {
    struct person who = {.answer = 2};
    mw_policy *p = NULL;
    struct mw_place at;
    char dir[] = "/tmp/mw-ask-XXXXXX", name[64], other[64];
    int fd;

    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(name, sizeof name, "%s/data", dir);
    snprintf(other, sizeof other, "%s/link", dir);
    fd = open(name, O_CREAT | O_WRONLY, 0600);
    REQUIRE(fd >= 0 && close(fd) == 0 && symlink("data", other) == 0);
    REQUIRE(mw_policy_new(&p, &err) == 0);
    mw_policy_on_ask(p, on_ask, &who);
    CHECK_INT(mw_permit_path(p, 1u << MW_READ, other, MW_AT_OBJECT, "test", &at, &err), 0);
    mw_place_close(&at);
    CHECK(strcmp(who.subject, name) == 0);                      /* what it leads to, not what it is called */
    CHECK(mw_policy_query(p, MW_READ, name) == MW_GRANTED);
    CHECK(mw_policy_query(p, MW_READ, dir) == MW_PROMPT);
    CHECK(mw_policy_query(p, MW_WRITE, name) == MW_PROMPT);
    unlink(other);
    unlink(name);
    rmdir(dir);
    mw_policy_free(p);
}

/* While the person thinks, what was asked about is replaced. */
struct swap {
    char name[64], to[64];
};
static int swapping(void *ud, enum mw_kind kind, const char *subject, const char *flag) {
    struct swap *it = ud;
    (void)kind;
    (void)subject;
    (void)flag;
    CHECK(unlink(it->name) == 0 && symlink(it->to, it->name) == 0);
    return 2;
}

TEST(a_link_that_takes_the_place_of_a_file_while_a_person_thinks_gains_nothing) {
    struct swap it;
    struct stat st, was;
    struct mw_place at;
    mw_policy *p = NULL;
    char dir[] = "/tmp/mw-ask-XXXXXX";
    int fd;

    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(it.name, sizeof it.name, "%s/data", dir);
    snprintf(it.to, sizeof it.to, "/etc/passwd");
    fd = open(it.name, O_CREAT | O_WRONLY, 0600);
    REQUIRE(fd >= 0 && fstat(fd, &was) == 0 && close(fd) == 0);
    REQUIRE(mw_policy_new(&p, &err) == 0);
    mw_policy_on_ask(p, swapping, &it);
    CHECK_INT(mw_permit_path(p, 1u << MW_READ, it.name, MW_AT_OBJECT, "test", &at, &err), 0);
    CHECK(fstat(at.fd, &st) == 0 && st.st_ino == was.st_ino);   /* the file that was asked about */
    mw_place_close(&at);
    CHECK(mw_policy_query(p, MW_READ, it.to) == MW_PROMPT);
    CHECK(mw_policy_query(p, MW_READ, it.name) == MW_PROMPT);
    unlink(it.name);
    rmdir(dir);
    mw_policy_free(p);
}
