/* Certificates by the name that a client asks for: which is shown, whose tickets are taken.
 * Knows: wire/tls_parts. Never: a socket. */
#include "support/tls_ends.h"

static struct tls_cert one, any;
static struct mw_tls_name by_name[2];

/* A server with a certificate for one.example, and one for the others below example. main: and one for the rest. */
static void begin_named(int main, struct mw_tls_options *c) {
    struct mw_tls_options s = { .server = 1, .names = by_name, .name_count = 2 };

    if (one.cert[0] == '\0') {
        tls_cert_make(&one, "one", "DNS:one.example", -DAY, DAY);
        tls_cert_make(&any, "any", "DNS:two.example", -DAY, DAY);
        by_name[0] = (struct mw_tls_name){ "one.example", text(one.cert), text(one.key), NULL };
        by_name[1] = (struct mw_tls_name){ "*.example", text(any.cert), text(any.key), NULL };
    }
    c->insecure = 1;
    begin(&s, c, "one.example");
    if (main) return;
    s.cert = s.key = (struct mw_view){ NULL, 0 };
    calls->context_drop(server.context);
    server.context = NULL;
    REQUIRE(calls->context_new(&s, &server.context, &server.err) == 0);
}

/* Who shows up when `name` is asked for: the subject; "-": nobody. */
static const char *shown_for(const char *name) {
    static char subject[64];
    struct mw_tls_peer peer;

    meet(name);
    if (shake((size_t)-1) != 0) return "-";
    CHECK_INT(calls->peer(client.tls, &peer), 1);
    snprintf(subject, sizeof subject, "%s", peer.subject);
    free(peer.subject), free(peer.sans);
    return subject;
}

TEST(each_client_is_shown_the_certificate_of_the_name_that_it_asks_for) {
    struct mw_tls_options c = { .fresh = 1 };

    begin_named(1, &c);
    CHECK_STR(shown_for("one.example"), "CN=one");
    CHECK_STR(shown_for("ONE.Example"), "CN=one");
    CHECK_STR(shown_for("one.example."), "CN=one");
    CHECK_STR(shown_for("two.example"), "CN=any");
    CHECK_STR(shown_for("a.two.example"), "CN=here"); /* "*" is one label */
    CHECK_STR(shown_for("example"), "CN=here");
    CHECK_STR(shown_for("*.example"), "CN=here");
    CHECK_STR(shown_for("127.0.0.1"), "CN=here");
    CHECK_STR(shown_for(NULL), "CN=here");
    drop(&server), drop(&client);
}

TEST(a_server_without_a_main_certificate_refuses_names_that_it_has_none_for) {
    struct mw_tls_options c = { .fresh = 1 };

    begin_named(0, &c);
    CHECK_STR(shown_for("one.example"), "CN=one");
    CHECK_STR(shown_for("elsewhere"), "-");
    CHECK_INT(server.err.code, MW_ECERT);
    CHECK(reason_is(&server.err, "unknown name"));
    CHECK_INT(client.err.code, MW_ECERT);
    CHECK(reason_is(&client.err, "unknown name"));
    CHECK_STR(shown_for(NULL), "-");
    CHECK(reason_is(&server.err, "unknown name"));
    CHECK_STR(shown_for("127.0.0.1"), "-");
    drop(&server), drop(&client);
}

/* other: NULL: no name. */
static void ticket_of(const char *name, const char *other, int version) {
    struct mw_tls_options c = { 0 };
    struct mw_tls_about about;
    char who[MW_TLS_NAME_MAX + 16], got[8];

    begin_named(1, &c);
    SSL_CTX_set_max_proto_version(client.context->ssl, version);
    for (int i = 0; i < 2; i++) {
        meet(name);
        REQUIRE(shake((size_t)-1) == 0);
        CHECK_INT(tell(&server, &client, "x", got, sizeof got), 1);
        calls->about(server.tls, &about);
        CHECK_INT(about.resumed, i);
        CHECK_STR(about.server_name, name); /* also where it was told in an earlier handshake */
    }
    meet(other);
    snprintf(who, sizeof who, "%s:443", name);
    REQUIRE(SSL_set_session(client.tls->ssl, mw_tls_recall(client.context, who)) == 1);
    REQUIRE(shake((size_t)-1) == 0);
    calls->about(server.tls, &about);
    CHECK(!about.resumed);
    CHECK_STR(about.server_name, other != NULL ? other : "");
    calls->about(client.tls, &about);
    CHECK(!about.resumed);
    drop(&server), drop(&client);
}

TEST(a_ticket_of_one_name_is_not_taken_under_another) {
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        ticket_of("one.example", "two.example", version);
        ticket_of("one.example", NULL, version);
        ticket_of("this-is-a-name-of-31-bytes.here", "this-is-a-name-of-31-bytes.herf", version);
        ticket_of("this-is-a-name-of-32-bytes-.here", "this-is-a-name-of-32-bytes-.herf", version);
        ticket_of("two.example.this-is-a-long-name-of-a-server", "one.example.this-is-a-long-name-of-a-server", version);
    }
}

TEST(the_main_certificate_is_not_shown_for_a_name_of_another_because_of_its_kind) {
    static struct tls_cert rsa;
    struct mw_tls_options s = { 0 }, c = { .insecure = 1, .fresh = 1 };

    begin_named(1, &c);
    tls_cert_make_of(EVP_RSA_gen(2048), &rsa, "rsa", "DNS:rsa.example", -DAY, DAY);
    s.cert = text(rsa.cert);
    s.key = text(rsa.key);
    s.names = by_name;
    s.name_count = 2;
    begin(&s, &c, "one.example");
    REQUIRE(SSL_CTX_set1_sigalgs_list(client.context->ssl, "RSA-PSS+SHA256:ECDSA+SHA256") == 1);
    CHECK_STR(shown_for("one.example"), "CN=one");
    CHECK_STR(shown_for("elsewhere"), "CN=rsa");
    REQUIRE(SSL_CTX_set1_sigalgs_list(client.context->ssl, "RSA-PSS+SHA256") == 1);
    CHECK_STR(shown_for("one.example"), "-");
    CHECK_STR(shown_for("elsewhere"), "CN=rsa");
    drop(&server), drop(&client);
}

TEST(a_client_that_is_asked_to_try_again_cannot_ask_for_another_name) {
    struct mw_tls_options c = { .fresh = 1 };

    begin_named(1, &c);
    REQUIRE(SSL_CTX_set1_groups_list(server.context->ssl, "P-256") == 1);
    REQUIRE(SSL_CTX_set1_groups_list(client.context->ssl, "X25519:P-256") == 1);
    CHECK_STR(shown_for("one.example"), "CN=one");
    meet("one.example");
    CHECK_INT(calls->shake(client.tls, &client.err), 0);
    move(&client, &server, (size_t)-1);
    CHECK_INT(calls->shake(server.tls, &server.err), 0);
    move(&server, &client, (size_t)-1);
    REQUIRE(SSL_set_tlsext_host_name(client.tls->ssl, "two.example") == 1);
    CHECK(shake((size_t)-1) < 0);
    CHECK(server.err.code < 0);
    drop(&server), drop(&client);
}

TEST(a_name_with_a_nul_or_of_another_length_than_it_says_is_refused) {
    for (int i = 0; i < 3; i++) {
        struct mw_tls_options c = { .fresh = 1 };
        char *at;
        begin_named(1, &c);
        CHECK_INT(calls->shake(client.tls, &client.err), 0);
        at = memmem(mw_bytes_at(&client.out), mw_bytes_len(&client.out), "one.example", 11);
        REQUIRE(at != NULL);
        if (i == 0) at[3] = '\0';
        if (i == 1) at[-1] = 12;
        if (i == 2) at[-1] = 3;
        move(&client, &server, (size_t)-1);
        CHECK(calls->shake(server.tls, &server.err) < 0);
        CHECK(server.err.code == MW_ETLS);
        drop(&server), drop(&client);
    }
}

TEST(what_is_wrong_with_a_certificate_for_a_name_says_for_which) {
    struct mw_tls_options s = { .server = 1, .names = by_name, .name_count = 2 }, c = { 0 };
    mw_tls_context *none = NULL;
    struct mw_err err;

    begin_named(1, &c);
    by_name[1].key = text(one.key);
    CHECK_INT(calls->context_new(&s, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "wrong key"));
    CHECK(strstr(err.what, "\"*.example\"") != NULL);
    by_name[1].cert = text("nothing");
    CHECK_INT(calls->context_new(&s, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "no certificate"));
    by_name[1].cert = text(any.cert);
    by_name[1].key = (struct mw_view){ NULL, 0 };
    CHECK_INT(calls->context_new(&s, &none, &err), MW_EINVAL);
    by_name[1].key = text(any.key);
    s.name_count = MW_TLS_NAMES + 1;
    CHECK_INT(calls->context_new(&s, &none, &err), MW_EINVAL);
    CHECK(none == NULL);
    drop(&server), drop(&client);
}

TEST(a_client_takes_no_end_of_a_name_for_a_name) {
    struct mw_tls_options s = { 0 }, c = { 0 };

    begin(&s, &c, "here.example");
    finish(&client);
    CHECK_INT(calls->open(client.context, ".example", 443, &client.in, &client.out, &client.tls, &client.err), MW_EINVAL);
    CHECK_INT(calls->open(client.context, ".", 443, &client.in, &client.out, &client.tls, &client.err), MW_EINVAL);
    drop(&server), drop(&client);
}
