/* The TLS engine between two pairs of queues: no socket, each byte where the test wants it.
 * Knows: wire/tls_parts. Never: a socket. */
#include "wire/tls_parts.h"

#include "support/check.h"
#include "support/tls_cert.h"

#define DAY 86400L

static const struct mw_tls_calls *calls = &mw_tls_calls;

struct end {
    mw_tls_context *context;
    mw_tls *tls;
    struct mw_bytes in, out;
    struct mw_err err;
};

static struct tls_cert good;
static struct end server, client;

static struct mw_view text(const char *s) {
    return (struct mw_view){ s, s != NULL ? strlen(s) : 0 };
}

static void finish(struct end *e) {
    calls->close(e->tls);
    e->tls = NULL;
    mw_bytes_free(&e->in);
    mw_bytes_free(&e->out);
}

static void drop(struct end *e) {
    finish(e);
    calls->context_drop(e->context);
    e->context = NULL;
}

/* Both sessions anew, over the contexts that are there. */
static void meet(const char *name) {
    finish(&server);
    finish(&client);
    REQUIRE(calls->open(server.context, NULL, 0, &server.in, &server.out, &server.tls, &server.err) == 0);
    REQUIRE(calls->open(client.context, name, 443, &client.in, &client.out, &client.tls, &client.err) == 0);
}

static void begin(struct mw_tls_options *s, struct mw_tls_options *c, const char *name) {
    drop(&server);
    drop(&client);
    if (good.cert[0] == '\0') tls_cert_make(&good, "here", "DNS:here.example,IP:127.0.0.1", -DAY, DAY);
    s->server = 1;
    if (s->cert.at == NULL) {
        s->cert = text(good.cert);
        s->key = text(good.key);
    }
    if (c->ca.at == NULL && !c->insecure) c->ca = text(good.cert);
    REQUIRE(calls->context_new(s, &server.context, &server.err) == 0);
    REQUIRE(calls->context_new(c, &client.context, &client.err) == 0);
    meet(name);
}

/* Moves at most n bytes. */
static size_t move(struct end *from, struct end *to, size_t n) {
    size_t held = mw_bytes_len(&from->out);

    if (n > held) n = held;
    if (n > 0) REQUIRE(mw_bytes_add(&to->in, mw_bytes_at(&from->out), n) == 0);
    mw_bytes_consume(&from->out, n);
    return n;
}

/* Shakes hands, `step` bytes at a time. 0, or the first code. */
static int shake(size_t step) {
    int s = 0, c = 0;

    for (int i = 0; i < 200000; i++) {
        size_t moved;
        if (c == 0) c = calls->shake(client.tls, &client.err);
        moved = move(&client, &server, step);
        if (s == 0) s = calls->shake(server.tls, &server.err);
        moved += move(&server, &client, step);
        if (s < 0 || c < 0) {
            move(&server, &client, (size_t)-1);
            move(&client, &server, (size_t)-1);
            if (c == 0) c = calls->shake(client.tls, &client.err);
            if (s == 0) s = calls->shake(server.tls, &server.err);
            return s < 0 ? s : c;
        }
        if (s == 1 && c == 1 && moved == 0) return 0;
        if (moved == 0 && s + c < 2 && i > 100) return MW_EAGAIN;
    }
    return MW_EAGAIN;
}

static long tell(struct end *from, struct end *to, const char *what, char *got, size_t size) {
    CHECK_INT(calls->write(from->tls, what, strlen(what), &from->err), strlen(what));
    move(from, to, (size_t)-1);
    return calls->read(to->tls, got, size, &to->err);
}

static int reason_is(const struct mw_err *err, const char *reason) {
    size_t n = strlen(reason);

    if (strncmp(err->what, reason, n) == 0 && (err->what[n] == ':' || err->what[n] == '\0')) return 1;
    printf("# %s: %s\n", mw_err_name(err->code), err->what);
    return 0;
}

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

TEST(no_cipher_suite_is_missing_that_openssl_would_offer) {
    struct mw_tls_options s = { 0 }, c = { 0 };
    SSL_CTX *plain = SSL_CTX_new(TLS_client_method());
    STACK_OF(SSL_CIPHER) *want, *got;

    begin(&s, &c, "here.example");
    REQUIRE(plain != NULL);
    SSL_CTX_set_security_level(plain, SSL_CTX_get_security_level(client.context->ssl));
    want = SSL_CTX_get_ciphers(plain);
    got = SSL_CTX_get_ciphers(client.context->ssl);
    CHECK_INT(sk_SSL_CIPHER_num(got), sk_SSL_CIPHER_num(want));
    for (int i = 0; i < sk_SSL_CIPHER_num(want); i++) CHECK(sk_SSL_CIPHER_find(got, (SSL_CIPHER *)sk_SSL_CIPHER_value(want, i)) >= 0);
    SSL_CTX_free(plain);
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

/* ---- Certificates by name ------------------------------------------------------------------------------------------------- */

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
