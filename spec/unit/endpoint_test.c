/* Addresses: what is accepted, what is refused, and what each refusal says.
 * Knows: io/endpoint. Never: opens a socket. */
#include "io/endpoint.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "support/check.h"

static struct mw_endpoint at;
static struct mw_err err;

static int parse_for(const char *text, enum mw_purpose purpose) {
    /* a heap copy without the final NUL, so that a sanitizer sees a read past the end */
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    int rc;

    REQUIRE(copy != NULL);
    memcpy(copy, text, len);
    rc = mw_endpoint_parse(copy, len, purpose, "net connect", &at, &err);
    free(copy);
    return rc;
}
static int parse(const char *text) {
    return parse_for(text, MW_TO_CONNECT);
}

/* Reads as written and comes back the same. */
static void same(const char *text) {
    char again[MW_ENDPOINT_TEXT];

    CHECK_INT(parse(text), 0);
    mw_endpoint_text(&at, again);
    CHECK_STR(again, text);
}

static void refused(const char *text, const char *why) {
    CHECK_INT(parse(text), MW_EINVAL);
    if (strstr(err.what, why) == NULL) check_fail(__FILE__, __LINE__, "%s: \"%s\" lacks \"%s\"", text, err.what, why);
}

TEST(an_address_comes_back_as_it_was_written) {
    same("tcp://127.0.0.1:80");
    same("tcp://[::1]:65535");
    same("tcp://[fe80::1%eth0]:1");
    same("tls://example.com:443");
    same("tcp://a_b-c.d9.example:8080");
    same("unix:/run/app.sock");
    same("unix:relative/app.sock");
    same("unix:@abstract name");
    same("fd:3");
    same("stdio:");
}

TEST(a_tcp_address_becomes_a_socket_address) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&at.sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at.sa;

    CHECK_INT(parse("tcp://10.1.2.3:8081"), 0);
    CHECK_INT(at.scheme, MW_SCHEME_TCP);
    CHECK_INT(at.sa_len, sizeof *v4);
    CHECK_INT(v4->sin_family, AF_INET);
    CHECK_INT(ntohl(v4->sin_addr.s_addr), 0x0a010203);
    CHECK_INT(ntohs(v4->sin_port), 8081);
    CHECK_INT(parse("tcp://[::ffff:10.1.2.3]:9"), 0);
    CHECK_INT(v6->sin6_family, AF_INET6);
    CHECK(IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr));
    CHECK_INT(ntohs(v6->sin6_port), 9);
}

TEST(a_name_is_kept_in_lower_case_and_is_no_socket_address) {
    CHECK_INT(parse("tcp://LocalHost:80"), 0);
    CHECK_STR(at.host, "localhost");
    CHECK_INT(at.sa_len, 0);
    CHECK_INT(parse("tcp://3com.example:80"), 0);
    CHECK_INT(at.sa_len, 0);
}

TEST(a_dot_may_end_a_name_and_is_no_part_of_it) {
    CHECK_INT(parse("tls://www.Example.com.:443"), 0);
    CHECK_STR(at.host, "www.example.com");
    CHECK_INT(at.port, 443);
    CHECK_INT(parse("tcp://localhost.:80"), 0);
    CHECK_STR(at.host, "localhost");
    refused("tcp://.:80", "an empty part");
    refused("tcp://localhost..:80", "an empty part");
    refused("tcp://example.127.:80", "an empty part");
}

TEST(a_zone_is_kept_apart_from_its_address) {
    CHECK_INT(parse("tcp://[fe80::1%25eth0]:80"), 0);
    CHECK_STR(at.host, "fe80::1");
    CHECK_STR(at.zone, "eth0");
    refused("tcp://[2001:db8::1%eth0]:80", "link-local");
    refused("tcp://[fe80::1]:80", "needs its zone: [fe80::1%eth0]");
    refused("tcp://[fe80::1%]:80", "zone is missing");
    refused("tcp://[fe80::1%a]b]:80", "':' and the port come after ']'");
    refused("tcp://[fe80::1%a-name-too-long-by-far]:80", "longer than 15");
}

TEST(odd_spellings_of_numbers_are_refused) {
    refused("tcp://127.1:80", "no IPv4 address");
    refused("tcp://2130706433:80", "no IPv4 address");
    refused("tcp://0x7f000001:80", "no IPv4 address");
    refused("tcp://0x7f.0.0.0X1:80", "no IPv4 address");
    refused("tcp://0177.0.0.1:80", "no IPv4 address");
    refused("tcp://127.0.0.01:80", "no IPv4 address");
    refused("tcp://127.0.0.256:80", "no IPv4 address");
    refused("tcp://1.2.3.4.5:80", "no IPv4 address");
    refused("tcp://127.0.0.1.:80", "an empty part");
    refused("tcp://[127.0.0.1]:80", "no IPv6 address");
    refused("tcp://[::1::]:80", "no IPv6 address");
    refused("tcp://[0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:1]:80", "no IPv6 address");
}

TEST(a_bad_port_is_refused_and_pointed_at) {
    refused("tcp://127.0.0.1", "the port is missing (character 16)");
    refused("tcp://127.0.0.1:", "the port is missing (character 17)");
    refused("tcp://[::1]", "the port is missing");
    refused("tcp://[::1]80", "come after ']' (character 12)");
    refused("tcp://127.0.0.1:65536", "from 1 to 65535 (character 17)");
    refused("tcp://127.0.0.1:99999999999999999999", "from 1 to 65535");
    refused("tcp://127.0.0.1:-1", "from 1 to 65535");
    refused("tcp://127.0.0.1:+1", "from 1 to 65535");
    refused("tcp://127.0.0.1:080", "from 1 to 65535");
    refused("tcp://127.0.0.1: 80", "from 1 to 65535");
    refused("tcp://127.0.0.1:http", "from 1 to 65535");
    refused("tcp://127.0.0.1:0", "port 0 is for listening");
    CHECK_INT(parse_for("tcp://127.0.0.1:0", MW_TO_LISTEN), 0);
}

TEST(a_bad_host_is_refused_and_pointed_at) {
    char text[400];

    refused("tcp://:80", "the host is missing (character 7)");
    refused("tcp://", "the host is missing");
    refused("tcp://[]:80", "no IPv6 address");
    refused("tcp://[::1:80", "'[' without ']'");
    refused("tcp://::1:80", "stands in brackets");
    refused("tcp://a b:80", "letters, digits");
    refused("tcp://a\tb:80", "letters, digits");
    refused("tcp://a%41:80", "letters, digits");
    refused("tcp://b\xc3\xbc" "cher.example:80", "xn--");
    refused("tcp://a..b:80", "an empty part");
    refused("tcp://.b:80", "an empty part");
    refused("tcp://-a:80", "'-'");
    refused("tcp://a-.b:80", "'-'");
    refused("tcp://user@host:80", "user name (character 11)");
    refused("tcp://host:80/", "nothing may follow the port (character 14)");
    refused("tcp://host:80?x=1", "nothing may follow");
    snprintf(text, sizeof text, "tcp://%0*d.example:80", 64, 1);
    refused(text, "at most 63");
    memset(text, 'a', sizeof text);
    for (int i = 30; i < 300; i += 30) text[i] = '.';
    memcpy(text, "tcp://", 6);
    memcpy(text + 300, ":80", 4);
    refused(text, "at most 253");
}

TEST(every_interface_is_asked_for_by_name_and_only_to_listen) {
    CHECK_INT(parse_for("tcp://*:80", MW_TO_LISTEN), 0);
    CHECK_INT(at.any, 1);
    CHECK_INT(parse_for("tcp://:80", MW_TO_LISTEN), MW_EINVAL);
    CHECK(strstr(err.what, "* is every interface") != NULL);
    refused("tcp://*:80", "to listen on only");
    refused("tcp://*.example:80", "letters, digits");
}

TEST(a_unix_address_is_never_cut) {
    char text[PATH_MAX + 100];

    refused("unix:", "the path is missing");
    refused("unix:@", "the name is missing");
    refused("unix:/run/", "a directory is no socket");
    refused("unix://run/app.sock", "one slash");
    CHECK_INT(parse("unix:///run/app.sock"), 0);
    memset(text, 'x', sizeof text);
    memcpy(text, "unix:@", 6);
    text[6 + 107] = 0;
    CHECK_INT(parse(text), 0);
    text[6 + 107] = 'x';
    text[6 + 108] = 0;
    refused(text, "at most 107 bytes");
    memcpy(text, "unix:/", 6);
    text[6 + 108] = 'x';
    text[5 + PATH_MAX - 1] = 0;
    CHECK_INT(parse(text), 0);
    CHECK_INT(strlen(at.path), PATH_MAX - 1);
    text[5 + PATH_MAX - 1] = 'x';
    text[5 + PATH_MAX] = 0;
    refused(text, "at most 4095 bytes");
}

TEST(a_nul_byte_is_refused_everywhere) {
    static const char *const texts[] = {"tcp://127.0.0.1:8?0", "tcp://loc?alhost:80", "tcp://[::1?]:80", "unix:/tmp/a?b", "unix:@a?b", "?"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[64];
        size_t len = strlen(texts[i]);
        memcpy(text, texts[i], len);
        *(char *)memchr(text, '?', len) = 0;
        CHECK_INT(mw_endpoint_parse(text, len, MW_TO_CONNECT, "net connect", &at, &err), MW_EINVAL);
        CHECK(strstr(err.what, "a NUL byte") != NULL);
        CHECK(strstr(err.subject, "\\x00") != NULL);
    }
}

TEST(other_schemes_are_told_what_to_write) {
    refused("", "begins with tcp://");
    refused("http://127.0.0.1:80", "begins with tcp://");
    refused("127.0.0.1:80", "begins with tcp://");
    refused("TCP://127.0.0.1:80", "begins with tcp://");
    refused("/run/app.sock", "unix:PATH");
    refused("nats://127.0.0.1:4222", "the bus");
    refused("tcp:127.0.0.1:80", "\"//\"");
    refused("fd:", "a number");
    refused("fd:03", "a number");
    refused("fd:-1", "a number");
    refused("fd:99999999999", "a number");
    refused("stdio:x", "nothing may follow");
}

TEST(an_error_names_the_operation_and_the_address) {
    CHECK_INT(parse("tcp://127.0.0.1:x"), MW_EINVAL);
    CHECK_STR(err.message, "net connect tcp://127.0.0.1:x: bad address: a port is a number from 1 to 65535 (character 17)");
}

static struct sockaddr_storage sa;
static socklen_t sa_len;

static const char *text_of(void) {
    static char text[MW_ENDPOINT_TEXT];

    CHECK_INT(mw_endpoint_from_sockaddr((struct sockaddr *)&sa, sa_len, &at), 0);
    mw_endpoint_text(&at, text);
    return text;
}

TEST(a_bound_address_becomes_one_to_connect_to) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&sa;

    memset(&sa, 0, sizeof sa);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(81);
    sa_len = sizeof *v4;
    CHECK_STR(text_of(), "tcp://127.0.0.1:81");
    v4->sin_addr.s_addr = htonl(0x0a000001);
    CHECK_STR(text_of(), "tcp://10.0.0.1:81");

    memset(&sa, 0, sizeof sa);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(82);
    sa_len = sizeof *v6;
    CHECK_STR(text_of(), "tcp://[::1]:82");
    inet_pton(AF_INET6, "fe80::7", &v6->sin6_addr);
    v6->sin6_scope_id = 3;
    CHECK_STR(text_of(), "tcp://[fe80::7%3]:82");
    inet_pton(AF_INET6, "::ffff:9.8.7.6", &v6->sin6_addr);
    v6->sin6_scope_id = 0;
    CHECK_STR(text_of(), "tcp://9.8.7.6:82");
}

TEST(a_bound_unix_name_keeps_every_byte) {
    struct sockaddr_un *un = (struct sockaddr_un *)&sa;

    memset(&sa, 0, sizeof sa);
    un->sun_family = AF_UNIX;
    memset(un->sun_path, 'x', sizeof un->sun_path); /* full: no NUL at its end */
    un->sun_path[0] = '/';
    sa_len = sizeof *un;
    CHECK_INT(strlen(text_of()), 5 + sizeof un->sun_path);
    un->sun_path[0] = 0;
    CHECK_INT(strlen(text_of()), 5 + sizeof un->sun_path);
    CHECK_INT(at.path[0], '@');
    sa_len = offsetof(struct sockaddr_un, sun_path);
    CHECK_STR(text_of(), "unix:");
}
