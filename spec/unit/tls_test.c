/* The TLS engine between two pairs of queues: no socket, each byte where the test wants it.
 * Knows: wire/tls_parts. Never: a socket. */
#include "support/tls_ends.h"

TEST(a_handshake_byte_by_byte_ends_in_tls_1_3_and_carries_bytes_both_ways) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    struct mw_tls_about about;
    char got[64];

    begin(&s, &c, "here.example");
    REQUIRE(shake(1) == 0);
    CHECK_INT(tell(&client, &server, "ping", got, sizeof got), 4);
    CHECK_INT(tell(&server, &client, "pong!", got, sizeof got), 5);
    calls->about(server.tls, &about);
    CHECK_STR(about.version, "TLSv1.3");
    CHECK_STR(about.server_name, "here.example");
    CHECK(!about.resumed);
    drop(&server), drop(&client);
}

TEST(a_record_whose_bytes_come_one_by_one_is_asked_for_after_each_and_comes_whole) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    char got[64];

    begin(&s, &c, "here.example");
    REQUIRE(shake((size_t)-1) == 0);
    for (int round = 0; round < 3; round++) {
        long n = 0;
        if (round == 2) REQUIRE(calls->update_key(server.tls) == 0);
        CHECK_INT(calls->write(server.tls, "pong!", 5, &server.err), 5);
        while (n == 0 && move(&server, &client, 1) > 0) n = calls->read(client.tls, got, sizeof got, &client.err);
        CHECK_INT(n, 5);
        CHECK_INT(mw_bytes_len(&server.out), 0);
        CHECK_INT(tell(&client, &server, "ping", got, sizeof got), 4);
    }
    drop(&server), drop(&client);
}

TEST(large_pieces_cross_whole_in_records_that_come_in_pieces) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    enum { SIZE = 300000 };
    char *out = malloc(SIZE), *in = malloc(SIZE);
    size_t got = 0;
    long n;

    REQUIRE(out != NULL && in != NULL);
    begin(&s, &c, "here.example");
    REQUIRE(shake(7) == 0);
    for (int i = 0; i < SIZE; i++) out[i] = (char)(i * 31 + i / 251);
    CHECK_INT(calls->write(client.tls, out, SIZE, &client.err), SIZE);
    while (move(&client, &server, 1009) > 0) {
        while ((n = calls->read(server.tls, in + got, SIZE - got, &server.err)) > 0) got += (size_t)n;
        CHECK(n == 0);
    }
    CHECK_INT(got, SIZE);
    CHECK(memcmp(in, out, SIZE) == 0);
    free(out), free(in);
    drop(&server), drop(&client);
}

TEST(the_closing_word_is_the_end_and_leaves_the_other_way_open) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    char got[64];

    begin(&s, &c, "127.0.0.1");
    REQUIRE(shake(4096) == 0);
    CHECK_INT(tell(&client, &server, "last", got, sizeof got), 4);
    calls->bye(client.tls);
    calls->bye(client.tls);
    CHECK_INT(calls->write(client.tls, "x", 1, &client.err), MW_ECLOSED);
    move(&client, &server, (size_t)-1);
    CHECK_INT(calls->read(server.tls, got, sizeof got, &server.err), MW_EEOF);
    CHECK_INT(tell(&server, &client, "still", got, sizeof got), 5);
    drop(&server), drop(&client);
}

TEST(an_end_without_the_closing_word_is_truncation_after_what_came_before_it) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    char got[64];

    begin(&s, &c, "here.example");
    REQUIRE(shake(4096) == 0);
    CHECK_INT(calls->write(client.tls, "data", 4, &client.err), 4);
    move(&client, &server, (size_t)-1);
    calls->end(server.tls);
    CHECK_INT(calls->read(server.tls, got, sizeof got, &server.err), 4);
    CHECK_INT(calls->read(server.tls, got, sizeof got, &server.err), MW_ETLS);
    CHECK(reason_is(&server.err, "truncated"));
    CHECK_INT(calls->read(server.tls, got, sizeof got, &server.err), MW_ETLS);
    drop(&server), drop(&client);
}

TEST(a_certificate_of_another_name_authority_or_time_is_refused_with_the_reason) {
    static struct tls_cert late, early, other;
    struct { struct tls_cert *cert; const char *name, *reason; } rows[] = {
        { &good, "there.example", "wrong name" }, { &good, "127.0.0.2", "wrong name" },
        { &late, "here.example", "expired" }, { &early, "here.example", "not yet valid" },
    };

    tls_cert_make(&late, "here", "DNS:here.example", -2 * DAY, -DAY);
    tls_cert_make(&early, "here", "DNS:here.example", DAY, 2 * DAY);
    tls_cert_make(&other, "else", "DNS:here.example", -DAY, DAY);
    begin(&(struct mw_tls_options){ 0 }, &(struct mw_tls_options){ 0 }, "here.example"); /* makes the good one */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mw_tls_options s = { 0 }, c = { 0 };
        s.cert = c.ca = text(rows[i].cert->cert);
        s.key = text(rows[i].cert->key);
        begin(&s, &c, rows[i].name);
        CHECK(shake(4096) < 0);
        CHECK_INT(client.err.code, MW_ECERT);
        CHECK(reason_is(&client.err, rows[i].reason));
    }
    {
        struct mw_tls_options s = { 0 }, c = { 0 };
        char got[8];
        c.ca = text(other.cert);
        begin(&s, &c, "here.example");
        CHECK(shake(4096) < 0);
        CHECK(reason_is(&client.err, "self-signed"));
        move(&client, &server, (size_t)-1);
        CHECK(calls->read(server.tls, got, sizeof got, &server.err) < 0); /* it was told */
        CHECK(reason_is(&server.err, "refused by the peer"));
    }
    {
        struct mw_tls_options s = { 0 }, c = { .insecure = 1 };
        s.cert = text(late.cert);
        s.key = text(late.key);
        begin(&s, &c, "there.example");
        CHECK_INT(shake(4096), 0);
    }
    drop(&server), drop(&client);
}

static EVP_PKEY *key_of(const char *kind) {
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    EVP_PKEY *key = NULL;

    REQUIRE(c != NULL && EVP_PKEY_keygen_init(c) == 1 && EVP_PKEY_keygen(c, &key) == 1);
    EVP_PKEY_CTX_free(c);
    return key;
}

TEST(certificates_with_each_kind_of_key_are_believed_at_both_ends) {
    static const char *const kinds[] = { "RSA", "RSA-PSS", "P-384", "ED25519", "ED448" };
    static struct tls_cert cert;
    struct mw_tls_peer peer;
    char got[64];

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct mw_tls_options s = { 0 }, c = { 0 };
        tls_cert_make_of(*kinds[i] == 'P' ? EVP_EC_gen(kinds[i]) : key_of(kinds[i]), &cert, "here", "DNS:here.example", -DAY, DAY);
        s.cert = s.ca = c.cert = c.ca = text(cert.cert);
        s.key = c.key = text(cert.key);
        begin(&s, &c, "here.example");
        REQUIRE(shake((size_t)-1) == 0);
        CHECK_INT(tell(&client, &server, "ping", got, sizeof got), 4);
        REQUIRE(calls->peer(server.tls, &peer) == 1);
        CHECK_STR(peer.subject, "CN=here");
        free(peer.subject);
        free(peer.sans);
    }
}

/* With a key of each connection's own, and sealed as a whole. */
static int is_good(const SSL_CIPHER *c) {
    int kind = SSL_CIPHER_get_kx_nid(c);
    const char *name = SSL_CIPHER_get_name(c);

    if (kind != NID_kx_any && kind != NID_kx_ecdhe) return 0;
    return (strstr(name, "GCM") != NULL && strstr(name, "ARIA") == NULL) || strstr(name, "CHACHA20") != NULL;
}

TEST(the_cipher_suites_are_the_good_ones_among_those_that_openssl_would_offer) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    SSL_CTX *plain = SSL_CTX_new(TLS_client_method());
    STACK_OF(SSL_CIPHER) *all, *got;
    int good_ones = 0;

    begin(&s, &c, "here.example");
    REQUIRE(plain != NULL);
    SSL_CTX_set_security_level(plain, SSL_CTX_get_security_level(client.context->ssl));
    all = SSL_CTX_get_ciphers(plain);
    got = SSL_CTX_get_ciphers(client.context->ssl);
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        SSL_CIPHER *one = (SSL_CIPHER *)sk_SSL_CIPHER_value(all, i);
        good_ones += is_good(one);
        CHECK_INT(sk_SSL_CIPHER_find(got, one) >= 0, is_good(one));
    }
    CHECK_INT(sk_SSL_CIPHER_num(got), good_ones);
    CHECK_INT(good_ones, 9);
    SSL_CTX_free(plain);
}

TEST(a_peer_that_ends_within_the_handshake_is_told_at_once) {
    static const unsigned char closing[] = { 21, 3, 3, 0, 2, 1, 0 };

    for (int cut = 0; cut < 2; cut++) {
        struct mw_tls_options s = { 0 }, c = { 0 };
        begin(&s, &c, "here.example");
        CHECK_INT(calls->shake(client.tls, &client.err), 0);
        move(&client, &server, (size_t)-1);
        CHECK_INT(calls->shake(server.tls, &server.err), 0);
        if (cut) calls->end(client.tls);
        else REQUIRE(mw_bytes_add(&client.in, closing, sizeof closing) == 0);
        CHECK_INT(calls->shake(client.tls, &client.err), MW_ETLS);
        CHECK(reason_is(&client.err, "truncated"));
        CHECK(strstr(client.err.what, "handshake") != NULL);
        if (cut) calls->end(server.tls);
        else REQUIRE(mw_bytes_add(&server.in, closing, sizeof closing) == 0);
        CHECK_INT(calls->shake(server.tls, &server.err), MW_ETLS);
    }
    drop(&server), drop(&client);
}

TEST(what_is_no_certificate_or_key_is_told_from_one_that_is_broken) {
    struct mw_tls_options o = { .server = 1 };
    static char cert[sizeof good.cert], key[sizeof good.key];
    mw_tls_context *none = NULL;
    struct mw_err err;

    if (good.cert[0] == '\0') tls_cert_make(&good, "here", "DNS:here.example,IP:127.0.0.1", -DAY, DAY);
    o.cert = o.key = text(good.key);
    CHECK_INT(calls->context_new(&o, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "no certificate"));
    o.cert = o.key = text(good.cert);
    CHECK_INT(calls->context_new(&o, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "no key"));
    o.cert = text(memcpy(cert, good.cert, 200));
    CHECK_INT(calls->context_new(&o, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "bad certificate"));
    o.cert = text(good.cert);
    o.key = text(memcpy(key, good.key, 80));
    CHECK_INT(calls->context_new(&o, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "bad key"));
    o.key = text(good.key);
    o.ca = text(cert);
    CHECK_INT(calls->context_new(&o, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "bad certificate"));
    CHECK(none == NULL);
}

TEST(a_server_that_wants_certificates_refuses_who_has_none) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    struct mw_tls_peer peer;
    char got[8];

    begin(&s, &c, "here.example");
    s.ca = text(good.cert);
    begin(&s, &c, "here.example");
    shake(4096);
    CHECK_INT(server.err.code, MW_ECERT);
    CHECK(reason_is(&server.err, "client certificate required"));
    CHECK_INT(calls->read(client.tls, got, sizeof got, &client.err), MW_ECERT);
    CHECK(reason_is(&client.err, "client certificate required"));
    c.cert = text(good.cert);
    c.key = text(good.key);
    begin(&s, &c, "here.example");
    CHECK_INT(shake(4096), 0);
    CHECK_INT(calls->peer(server.tls, &peer), 1);
    CHECK_STR(peer.subject, "CN=here");
    CHECK_STR(peer.sans, "DNS:here.example");
    CHECK_INT(strlen(peer.fingerprint), 64);
    free(peer.subject), free(peer.sans);
    drop(&server), drop(&client);
}

TEST(a_forged_record_is_told_after_the_good_one_that_came_with_it) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    char got[64];

    begin(&s, &c, "here.example");
    CHECK_INT(shake(4096), 0);
    CHECK_INT(tell(&client, &server, "hello", got, sizeof got), 5);
    CHECK_INT(calls->write(client.tls, "good", 4, &client.err), 4);
    CHECK_INT(calls->write(client.tls, "evil", 4, &client.err), 4);
    client.out.base[client.out.tail - 1] ^= 1;
    move(&client, &server, (size_t)-1);
    CHECK_INT(calls->read(server.tls, got, sizeof got, &server.err), 4);
    CHECK_INT(calls->read(server.tls, got, sizeof got, &server.err), MW_ETLS);
    CHECK(reason_is(&server.err, "broken"));
    CHECK_INT(calls->read(server.tls, got, sizeof got, &server.err), MW_ETLS);
    drop(&server), drop(&client);
}

TEST(what_is_no_tls_is_refused_by_name) {
    struct { const char *bytes, *reason; } rows[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "plain HTTP" },
        { "SSH-2.0-OpenSSH_9.2\r\n", "no TLS" },
        { "EHLO example\r\n", "no TLS" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mw_tls_options s = { 0 }, c = { 0 };
        begin(&s, &c, "here.example");
        REQUIRE(mw_bytes_add(&server.in, rows[i].bytes, strlen(rows[i].bytes)) == 0);
        CHECK_INT(calls->shake(server.tls, &server.err), MW_ETLS);
        CHECK(reason_is(&server.err, rows[i].reason));
    }
    {
        struct mw_tls_options s = { 0 }, c = { 0 };
        begin(&s, &c, "here.example");
        calls->shake(client.tls, &client.err);
        REQUIRE(mw_bytes_add(&client.in, "220 mail.example ESMTP\r\n", 24) == 0);
        CHECK_INT(calls->shake(client.tls, &client.err), MW_ETLS);
        CHECK(reason_is(&client.err, "no TLS"));
    }
    drop(&server), drop(&client);
}

TEST(a_session_is_resumed_and_one_that_was_refused_is_not) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    struct mw_tls_about about;
    char got[8];

    begin(&s, &c, "here.example");
    REQUIRE(shake(4096) == 0);
    CHECK(calls->unanswered(client.tls));
    tell(&server, &client, "x", got, sizeof got);
    CHECK(!calls->unanswered(client.tls));
    meet("here.example");
    REQUIRE(shake(4096) == 0);
    calls->about(client.tls, &about);
    CHECK(about.resumed);
    calls->about(server.tls, &about);
    CHECK(about.resumed);
    meet("127.0.0.1"); /* somebody else, as far as the client knows */
    REQUIRE(shake(4096) == 0);
    calls->about(client.tls, &about);
    CHECK(!about.resumed);
    drop(&server), drop(&client);
}

TEST(protocols_are_agreed_on_in_the_servers_order_or_refused) {
    struct mw_tls_options s = { .alpn = text("\2h2\10http/1.1") }, c = { .alpn = text("\10http/1.1\2h2") };
    struct mw_tls_about about;

    begin(&s, &c, "here.example");
    REQUIRE(shake(4096) == 0);
    calls->about(client.tls, &about);
    CHECK_STR(about.alpn, "h2");
    c.alpn = text("\4spdy");
    begin(&s, &c, "here.example");
    CHECK(shake(4096) < 0);
    CHECK(reason_is(&server.err, "no common protocol"));
    CHECK(reason_is(&client.err, "no common protocol"));
    drop(&server), drop(&client);
}

TEST(new_keys_are_taken_in_the_middle_and_asked_for_in_return) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    char got[64];

    begin(&s, &c, "here.example");
    REQUIRE(shake(4096) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(calls->update_key(client.tls), 0);
        CHECK_INT(tell(&client, &server, "new", got, sizeof got), 3);
        CHECK_INT(tell(&server, &client, "newer", got, sizeof got), 5);
    }
    CHECK_INT(calls->update_key(server.tls), 0);
    move(&server, &client, (size_t)-1);
    CHECK_INT(calls->read(client.tls, got, sizeof got, &client.err), 0); /* no word of it, and no error */
    CHECK_INT(tell(&client, &server, "ok", got, sizeof got), 2); /* the new ones come before it */
    drop(&server), drop(&client);
}

TEST(garbage_within_a_session_breaks_it_for_good_and_says_so_to_the_peer) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    char got[64];

    begin(&s, &c, "here.example");
    REQUIRE(shake(4096) == 0);
    CHECK_INT(calls->write(client.tls, "hello", 5, &client.err), 5);
    client.out.base[client.out.tail - 1] ^= 1;
    move(&client, &server, (size_t)-1);
    CHECK_INT(calls->read(server.tls, got, sizeof got, &server.err), MW_ETLS);
    CHECK(reason_is(&server.err, "broken"));
    CHECK_INT(calls->write(server.tls, "x", 1, &server.err), MW_ETLS);
    move(&server, &client, (size_t)-1);
    CHECK_INT(calls->read(client.tls, got, sizeof got, &client.err), MW_ETLS);
    CHECK(reason_is(&client.err, "alert"));
    drop(&server), drop(&client);
}

TEST(a_handshake_message_that_announces_megabytes_is_refused_before_they_come) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    static const unsigned char hello[] = { 22, 3, 1, 0, 8, 1, 0xff, 0xff, 0xff, 3, 3, 0, 0 };

    begin(&s, &c, "here.example");
    REQUIRE(mw_bytes_add(&server.in, hello, sizeof hello) == 0);
    CHECK_INT(calls->shake(server.tls, &server.err), MW_ETLS);
    drop(&server), drop(&client);
}

TEST(options_that_do_not_go_together_are_refused_by_name) {
    static struct tls_cert other;
    struct mw_tls_options o = { .server = 1 };
    mw_tls_context *none = NULL;
    struct mw_err err;

    tls_cert_make(&other, "else", "DNS:else.example", -DAY, DAY);
    CHECK_INT(calls->context_new(&o, &none, &err), MW_EINVAL);
    o.cert = text(good.cert);
    CHECK_INT(calls->context_new(&o, &none, &err), MW_EINVAL);
    o.key = text(other.key);
    CHECK_INT(calls->context_new(&o, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "wrong key"));
    o.key = text("-----BEGIN nothing");
    CHECK_INT(calls->context_new(&o, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "no key"));
    o.key = text(good.key);
    o.ca = text("nothing");
    CHECK_INT(calls->context_new(&o, &none, &err), MW_ECERT);
    CHECK(reason_is(&err, "no certificate"));
    CHECK(none == NULL);
}
