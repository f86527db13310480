/* Rules as text: what each kind's grammar takes, and where it points when it does not. */
#include "policy/rule.h"

#include <arpa/inet.h>

#include "support/check.h"

static struct mw_err err;

static struct mw_rule *parse(enum mw_kind kind, const char *text) {
    struct mw_rule *r = NULL;
    err.message[0] = 0;
    return mw_rule_parse(kind, MW_ALLOW, text, strlen(text), &r, &err) == 0 ? r : NULL;
}

static int form(enum mw_kind kind, const char *text) {
    struct mw_rule *r = parse(kind, text);
    int f = r != NULL ? (int)r->form : -1;
    mw_rule_free(r);
    return f;
}

/* The text is refused, and the message says so at that column. */
static int refused(enum mw_kind kind, const char *text, const char *column) {
    struct mw_rule *r = parse(kind, text);
    int ok = r == NULL && err.code == MW_EINVAL && strstr(err.message, column) != NULL;
    if (!ok) printf("# '%s': %s\n", text, r != NULL ? "accepted" : err.message);
    mw_rule_free(r);
    return ok;
}

TEST(each_form_of_a_net_rule_is_recognised) {
    CHECK_INT(form(MW_NET, "example.com"), MW_FORM_HOST);
    CHECK_INT(form(MW_NET, "example.com:443"), MW_FORM_HOST);
    CHECK_INT(form(MW_NET, "*.example.com:443"), MW_FORM_SUFFIX);
    CHECK_INT(form(MW_NET, "10.0.0.1"), MW_FORM_ADDR);
    CHECK_INT(form(MW_NET, "10.0.0.0/8:80"), MW_FORM_ADDR);
    CHECK_INT(form(MW_NET, "[::1]:80"), MW_FORM_ADDR);
    CHECK_INT(form(MW_NET, "[2001:db8::/32]:80"), MW_FORM_ADDR);
    CHECK_INT(form(MW_NET, ":8080"), MW_FORM_PORT);
    CHECK_INT(form(MW_NET, "unix:/run/x.sock"), MW_FORM_SOCKET);
    CHECK_INT(form(MW_NET, "unix:/run/"), MW_FORM_SOCKETS);
    CHECK_INT(form(MW_NET, "unix:@name"), MW_FORM_ABSTRACT);
}

TEST(a_bad_net_rule_is_refused_at_its_column) {
    CHECK(refused(MW_NET, "", "column 1"));
    CHECK(refused(MW_NET, "10.0.0.7:99999", "column 10"));
    CHECK(refused(MW_NET, "10.0.0.7:", "column 10"));
    CHECK(refused(MW_NET, "10.0.0.7:080", "column 10"));
    CHECK(refused(MW_NET, "host:80x", "column 6"));
    CHECK(refused(MW_NET, "10.0.0.0/33", "column 10"));
    CHECK(refused(MW_NET, "[::/129]", "column 5"));
    CHECK(refused(MW_NET, "[::1", "column 1"));
    CHECK(refused(MW_NET, "[::1]80", "column 6"));
    CHECK(refused(MW_NET, "::1", "column 1"));
    CHECK(refused(MW_NET, "127.1", "column 1"));
    CHECK(refused(MW_NET, "0x7f.0.0.1", "column 1"));
    CHECK(refused(MW_NET, "2130706433", "column 1"));
    CHECK(refused(MW_NET, "010.0.0.1", "column 1"));
    CHECK(refused(MW_NET, "exa mple.com", "column 4"));
    CHECK(refused(MW_NET, "a..b", "column 3"));
    CHECK(refused(MW_NET, "*", "column 1"));
    CHECK(refused(MW_NET, "*.", "column"));
    CHECK(refused(MW_NET, "ex*mple.com", "column 3"));
    CHECK(refused(MW_NET, "unix:", "column 6"));
    CHECK(refused(MW_NET, "unix:@", "column 7"));
    CHECK(refused(MW_NET, "host/8", "column 1"));
}

TEST(addresses_have_one_form) {
    struct mw_rule *r = parse(MW_NET, "[::ffff:10.1.2.3]:80");
    REQUIRE(r != NULL);
    CHECK(!r->addr.v6 && r->addr.bits == 32 && r->addr.bytes[0] == 10 && r->addr.bytes[3] == 3 && r->port == 80);
    mw_rule_free(r);
    r = parse(MW_NET, "[::ffff:10.0.0.0/104]");
    REQUIRE(r != NULL);
    CHECK(!r->addr.v6 && r->addr.bits == 8 && r->addr.bytes[0] == 10);
    mw_rule_free(r);
    r = parse(MW_NET, "10.1.2.3/8");
    REQUIRE(r != NULL);
    CHECK(r->addr.bits == 8 && r->addr.bytes[1] == 0);
    mw_rule_free(r);
    r = parse(MW_NET, "EXAMPLE.Com.:80");
    REQUIRE(r != NULL);
    CHECK_STR(r->name, "example.com");
    mw_rule_free(r);
}

TEST(the_wildcard_address_is_loopback_only_as_a_destination) {
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(7)};
    struct mw_net_addr a;
    CHECK_INT(mw_net_from((struct sockaddr *)&in, sizeof in, 1, &a), 7);
    CHECK(!a.v6 && a.bytes[0] == 127 && a.bytes[3] == 1);
    CHECK_INT(mw_net_from((struct sockaddr *)&in6, sizeof in6, 1, &a), 7);
    CHECK(a.v6 && a.bytes[15] == 1);
    CHECK_INT(mw_net_from((struct sockaddr *)&in, sizeof in, 0, &a), 7);
    CHECK(mw_net_wild(&a));
    CHECK_INT(mw_net_from((struct sockaddr *)&in, 4, 0, &a), -1);
    inet_pton(AF_INET6, "::ffff:0.0.0.0", &in6.sin6_addr);
    CHECK_INT(mw_net_from((struct sockaddr *)&in6, sizeof in6, 1, &a), 7);
    CHECK(!a.v6 && a.bytes[0] == 127);
}

TEST(names_and_kinds_are_checked) {
    CHECK_INT(form(MW_ENV, "HOME"), MW_FORM_NAME);
    CHECK_INT(form(MW_ENV, "LC_*"), MW_FORM_PREFIX);
    CHECK(refused(MW_ENV, "*", "column 1"));
    CHECK(refused(MW_ENV, "A*B", "column 2"));
    CHECK(refused(MW_ENV, "A=B", "column 2"));
    CHECK(refused(MW_ENV, "", "column 1"));
    CHECK_INT(form(MW_SYS, "hostname"), MW_FORM_NAME);
    CHECK(refused(MW_SYS, "hostnames", "column 1"));
    CHECK_INT(form(MW_SHARE, "/seg"), MW_FORM_NAME);
    CHECK(refused(MW_SHARE, "a/b", "column 2"));
    CHECK(refused(MW_READ, "", "column 1"));
    CHECK_INT(mw_kind_of("read"), MW_READ);
    CHECK_INT(mw_kind_of("reads"), -1);
}

TEST(a_zero_byte_and_an_endless_rule_are_refused) {
    static char text[MW_RULE_MAX + 8];
    struct mw_rule *r = NULL;
    CHECK_INT(mw_rule_parse(MW_READ, MW_ALLOW, "a\0b", 3, &r, &err), MW_EINVAL);
    memset(text, 'a', sizeof text - 1);
    CHECK_INT(mw_rule_parse(MW_ENV, MW_ALLOW, text, strlen(text), &r, &err), MW_EINVAL);
    CHECK_INT(mw_rule_parse(MW_NET, MW_ALLOW, text, 300, &r, &err), MW_EINVAL);
}
