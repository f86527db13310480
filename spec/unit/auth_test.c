/* The engine of the shared secret, both ends of it, and what an attacker between them may try.
 * Knows: wire/auth, OpenSSL's HMAC to hold it against. Never: I/O. */
#include "wire/auth.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "support/check.h"

static struct mw_err err;
static const struct mw_auth_calls *const calls = &mw_auth_calls;

#define SECRET "correct horse battery staple"
#define OTHER "wrong horse battery staple.."

static mw_auth_keys *ring_of(const char *name, const char *secret) {
    struct mw_auth_secret s = { name, secret, strlen(secret) };
    mw_auth_keys *k = NULL;
    REQUIRE(calls->keys_new(&s, 1, &k, &err) == 0);
    return k;
}
static mw_auth *end_of(int server, mw_auth_keys *k, const char *name, const char *binding) {
    struct mw_view b = { binding, strlen(binding) };
    mw_auth *a = NULL;
    REQUIRE(calls->open(k, server, name, b, &a, &err) == 0);
    calls->keys_drop(k);
    return a;
}
static mw_auth *server_with(const char *secret) {
    return end_of(1, ring_of(NULL, secret), NULL, "");
}
static mw_auth *client_with(const char *secret) {
    return end_of(0, ring_of(NULL, secret), NULL, "");
}

/* What `a` has to send. */
struct text {
    unsigned char at[256];
    size_t len;
};
static struct text said(mw_auth *a) {
    struct mw_view v = calls->send(a);
    struct text t = { { 0 }, v.len };
    REQUIRE(v.len <= sizeof t.at);
    if (v.len > 0) memcpy(t.at, v.at, v.len);
    return t;
}
/* Feeds it all at once; *left: what was not taken. */
static int hear(mw_auth *a, const void *at, size_t len, size_t *left) {
    struct mw_bytes q = { 0 };
    int rc;
    REQUIRE(mw_bytes_add(&q, at, len) == 0);
    rc = calls->feed(a, &q, &err);
    if (left != NULL) *left = mw_bytes_len(&q);
    mw_bytes_free(&q);
    return rc;
}
static int hears(mw_auth *a, struct text t) {
    return hear(a, t.at, t.len, NULL);
}
static void end(mw_auth *a, mw_auth *b) {
    calls->close(a);
    calls->close(b);
}
/* The whole conversation: how the server and the client take it. */
static int talk(mw_auth *server, mw_auth *client, int *of_client) {
    int rc;
    *of_client = 0;
    if ((rc = hears(server, said(client))) != 0) return rc;
    if ((*of_client = hears(client, said(server))) != 0) return 0;
    rc = hears(server, said(client));
    if (rc == 1) *of_client = hears(client, said(server));
    return rc;
}

TEST(both_ends_with_one_secret_believe_each_other) {
    mw_auth *s = server_with(SECRET), *c = client_with(SECRET);
    int of_client;
    CHECK_INT(talk(s, c, &of_client), 1);
    CHECK_INT(of_client, 1);
    CHECK(calls->name(s) == NULL);
    end(s, c);
}
TEST(a_client_with_another_secret_is_refused_and_told_nothing) {
    mw_auth *s = server_with(SECRET), *c = client_with(OTHER);
    int of_client;
    CHECK_INT(talk(s, c, &of_client), MW_EAUTH);
    CHECK(strstr(err.message, "horse") == NULL);
    CHECK_INT(said(s).len, 0);
    CHECK_INT(hear(c, calls->denial().at, calls->denial().len, NULL), MW_EAUTH);
    end(s, c);
}
TEST(what_is_bound_to_another_channel_is_refused) {
    mw_auth *s = end_of(1, ring_of(NULL, SECRET), NULL, "channel 1"), *c = end_of(0, ring_of(NULL, SECRET), NULL, "channel 2");
    int of_client;
    CHECK_INT(talk(s, c, &of_client), MW_EAUTH);
    end(s, c);
    s = end_of(1, ring_of(NULL, SECRET), NULL, "");
    c = end_of(0, ring_of(NULL, SECRET), NULL, "channel");
    CHECK_INT(talk(s, c, &of_client), MW_EAUTH);
    end(s, c);
}
TEST(a_name_is_known_when_its_own_secret_vouches_for_it) {
    const struct mw_auth_secret many[] = { { "alice", SECRET, strlen(SECRET) }, { "bob", OTHER, strlen(OTHER) }, { NULL, "for those without", 17 } };
    static const struct { const char *name, *secret; int rc; } tries[] = {
        { "alice", SECRET, 1 }, { "bob", OTHER, 1 }, { "bob", SECRET, MW_EAUTH }, { NULL, SECRET, MW_EAUTH }, { "eve", SECRET, MW_EAUTH },
        { NULL, "for those without", 1 }, { "alice", "for those without", MW_EAUTH }, { "alic", SECRET, MW_EAUTH }, { "alice2", SECRET, MW_EAUTH },
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        mw_auth_keys *k = NULL;
        mw_auth *s, *c;
        int of_client;
        REQUIRE(calls->keys_new(many, 3, &k, &err) == 0);
        s = end_of(1, k, NULL, "");
        c = end_of(0, ring_of(NULL, tries[i].secret), tries[i].name, "");
        CHECK_INT(talk(s, c, &of_client), tries[i].rc);
        if (tries[i].rc == 1 && tries[i].name != NULL) CHECK_STR(calls->name(s), tries[i].name);
        else CHECK(calls->name(s) == NULL);
        end(s, c);
    }
}
TEST(a_name_without_a_secret_of_its_own_is_let_in_and_not_known) {
    mw_auth *s = server_with(SECRET), *c = end_of(0, ring_of(NULL, SECRET), "mallory", "");
    int of_client;
    CHECK_INT(talk(s, c, &of_client), 1);
    CHECK_INT(of_client, 1);
    CHECK(calls->name(s) == NULL);
    end(s, c);
}
TEST(an_old_and_a_new_secret_are_both_good_at_the_server) {
    const struct mw_auth_secret two[] = { { NULL, OTHER, strlen(OTHER) }, { NULL, SECRET, strlen(SECRET) } };
    for (int i = 0; i < 2; i++) {
        mw_auth_keys *k = NULL;
        mw_auth *s, *c;
        int of_client;
        REQUIRE(calls->keys_new(two, 2, &k, &err) == 0);
        s = end_of(1, k, NULL, "");
        c = client_with(two[i].at);
        CHECK_INT(talk(s, c, &of_client), 1);
        CHECK_INT(of_client, 1);
        end(s, c);
    }
}
TEST(it_goes_byte_by_byte_and_takes_nothing_that_is_not_its_own) {
    mw_auth *s = server_with(SECRET), *c = client_with(SECRET);
    struct text t = said(c);
    size_t left;
    for (size_t i = 0; i < t.len; i++) CHECK_INT(hear(s, t.at + i, 1, NULL), 0);
    t = said(s);
    CHECK_INT(t.len, MW_AUTH_HEADER + MW_AUTH_NONCE);
    for (size_t i = 0; i < t.len; i++) CHECK_INT(hear(c, t.at + i, 1, NULL), 0);
    t = said(c);
    CHECK_INT(t.len, MW_AUTH_HEADER + MW_AUTH_MAC);
    CHECK_INT(hears(s, t), 1);
    t = said(s);
    memcpy(t.at + t.len, "my own words", 12);
    CHECK_INT(hear(c, t.at, t.len + 12, &left), 1);
    CHECK_INT(left, 12);
    end(s, c);
}
TEST(the_bytes_are_those_that_the_header_promises) {
    mw_auth *s = end_of(1, ring_of(NULL, SECRET), NULL, "bound"), *c = end_of(0, ring_of(NULL, SECRET), "alice", "bound");
    unsigned char text[16 + 64 + 1 + 5 + 1 + 5] = "mw-auth-1 client", want[32];
    struct text hello = said(c), challenge, proof, welcome;
    unsigned n = 32;
    CHECK_INT(hello.len, 8 + 32 + 5);
    CHECK(memcmp(hello.at, "MWA1\1\0\0\45", 8) == 0);
    CHECK(memcmp(hello.at + 40, "alice", 5) == 0);
    CHECK_INT(hears(s, hello), 0);
    challenge = said(s);
    CHECK(memcmp(challenge.at, "MWA1\2\0\0\40", 8) == 0);
    CHECK_INT(hears(c, challenge), 0);
    proof = said(c);
    CHECK(memcmp(proof.at, "MWA1\3\0\0\40", 8) == 0);
    memcpy(text + 16, hello.at + 8, 32);
    memcpy(text + 48, challenge.at + 8, 32);
    text[80] = 5;
    memcpy(text + 81, "alice", 5);
    text[86] = 5;
    memcpy(text + 87, "bound", 5);
    HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), text, sizeof text, want, &n);
    CHECK(memcmp(proof.at + 8, want, 32) == 0);
    CHECK_INT(hears(s, proof), 1);
    welcome = said(s);
    memcpy(text, "mw-auth-1 server", 16);
    HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), text, sizeof text, want, &n);
    CHECK(memcmp(welcome.at, "MWA1\4\0\0\40", 8) == 0);
    CHECK(memcmp(welcome.at + 8, want, 32) == 0);
    CHECK_INT(calls->denial().len, 15);
    CHECK(memcmp(calls->denial().at, "MWA1\5\0\0\7denied\n", 15) == 0);
    end(s, c);
}
TEST(a_recorded_conversation_is_of_no_use_again) {
    mw_auth *s = server_with(SECRET), *c = client_with(SECRET), *again = server_with(SECRET);
    struct text hello = said(c), proof;
    CHECK_INT(hears(s, hello), 0);
    CHECK_INT(hears(c, said(s)), 0);
    proof = said(c);
    CHECK_INT(hears(s, proof), 1);
    CHECK_INT(hears(again, hello), 0);
    CHECK_INT(hears(again, proof), MW_EAUTH);
    end(s, c);
    calls->close(again);
}
TEST(what_an_end_said_is_refused_when_it_comes_back) {
    mw_auth *s = server_with(SECRET), *c = client_with(SECRET);
    struct text hello = said(c), challenge, proof;
    CHECK_INT(hears(s, hello), 0);
    challenge = said(s);
    CHECK_INT(hears(c, challenge), 0);
    proof = said(c);
    proof.at[4] = 4; /* the proof in the clothes of a welcome */
    CHECK_INT(hears(c, proof), MW_EAUTH);
    CHECK_INT(hears(s, challenge), MW_EAUTH);
    end(s, c);
    c = client_with(SECRET);
    CHECK_INT(hears(c, said(c)), MW_EAUTH);
    calls->close(c);
}
/* What a server says to a hello with a bit of its header changed: 1: it goes on, 0: it waits for more. */
static int with_flip(size_t i, unsigned char mask) {
    mw_auth *s = server_with(SECRET), *c = client_with(SECRET);
    struct text t = said(c);
    int rc;
    t.at[i] ^= mask;
    rc = hears(s, t);
    if (rc == 0) rc = said(s).len > 0;
    end(s, c);
    return rc;
}
TEST(no_flipped_bit_of_the_hello_is_taken_for_another_protocol) {
    for (size_t i = 0; i < 8; i++) {
        for (int bit = 0; bit < 8; bit++) {
            int rc = with_flip(i, (unsigned char)(1u << bit));
            /* the length may say that a name follows: then more must come */
            CHECK(rc == MW_EAUTH || (i == 7 && rc == 0));
        }
    }
}
TEST(no_flipped_bit_anywhere_is_believed) {
    struct text sizes[4];
    mw_auth *s = server_with(SECRET), *c = client_with(SECRET);
    sizes[0] = said(c);
    hears(s, sizes[0]);
    sizes[1] = said(s);
    hears(c, sizes[1]);
    sizes[2] = said(c);
    hears(s, sizes[2]);
    sizes[3] = said(s);
    end(s, c);
    for (int message = 0; message < 4; message++) {
        for (size_t bit = 0; bit < 8 * sizes[message].len; bit++) {
            int of_server = 0, of_client = 0;
            s = server_with(SECRET);
            c = client_with(SECRET);
            for (int m = 0; m < 4 && of_server >= 0 && of_client >= 0; m++) {
                struct text t = said(m % 2 == 0 ? c : s);
                if (t.len == 0) break; /* that end waits for the rest of a message that was said to be longer */
                if (m == message) t.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
                *(m % 2 == 0 ? &of_server : &of_client) = hears(m % 2 == 0 ? s : c, t);
            }
            CHECK(of_client != 1);
            if (message < 3) CHECK(of_server != 1);
            end(s, c);
        }
    }
}
TEST(what_is_cut_anywhere_is_not_believed_and_not_refused) {
    mw_auth *s = server_with(SECRET), *c = client_with(SECRET);
    struct text hello = said(c), proof;
    for (size_t n = 0; n < hello.len; n++) {
        mw_auth *other = server_with(SECRET);
        CHECK_INT(hear(other, hello.at, n, NULL), 0);
        CHECK_INT(said(other).len, 0);
        calls->close(other);
    }
    CHECK_INT(hears(s, hello), 0);
    CHECK_INT(hears(c, said(s)), 0);
    proof = said(c);
    CHECK_INT(hear(s, proof.at, proof.len - 1, NULL), 0);
    CHECK_INT(hear(s, proof.at + proof.len - 1, 1, NULL), 1);
    end(s, c);
}
TEST(whatever_is_no_hello_is_refused_at_its_first_byte) {
    static const char *const words[] = { "GET / HTTP/1.1\r\n", "\x16\x03\x01", "SSH-2.0", "\n", "M\n", "MWA2", "MWA1\2", "MWA1\3", "MWA1\5", "MWA1\1\1" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        mw_auth *s = server_with(SECRET);
        CHECK_INT(hear(s, words[i], strlen(words[i]), NULL), MW_EAUTH);
        CHECK_INT(hear(s, "M", 1, NULL), MW_EAUTH);
        calls->close(s);
    }
    for (int len = 0; len < 256; len++) {
        const unsigned char head[8] = { 'M', 'W', 'A', '1', 1, 0, 0, (unsigned char)len };
        mw_auth *s = server_with(SECRET);
        CHECK_INT(hear(s, head, 8, NULL), len >= 32 && len <= 96 ? 0 : MW_EAUTH);
        calls->close(s);
    }
}
TEST(a_name_of_odd_characters_is_refused_as_it_comes) {
    for (int c = 0; c < 256; c++) {
        unsigned char text[41] = { 'M', 'W', 'A', '1', 1, 0, 0, 33 };
        mw_auth *s = server_with(SECRET);
        text[40] = (unsigned char)c;
        CHECK_INT(hear(s, text, 41, NULL), c > 0x20 && c < 0x7f ? 0 : MW_EAUTH);
        calls->close(s);
    }
}
TEST(a_failure_is_for_good_and_so_is_a_success) {
    mw_auth *s = server_with(SECRET), *c = client_with(SECRET);
    int of_client;
    size_t left;
    CHECK_INT(talk(s, c, &of_client), 1);
    CHECK_INT(hear(s, "more", 4, &left), 1);
    CHECK_INT(left, 4);
    end(s, c);
    s = server_with(SECRET);
    c = client_with(SECRET);
    CHECK_INT(hear(s, "x", 1, NULL), MW_EAUTH);
    CHECK_INT(hears(s, said(c)), MW_EAUTH);
    CHECK_INT(said(s).len, 0);
    end(s, c);
}
TEST(bad_secrets_and_names_are_refused_without_showing_them) {
    static const struct mw_auth_secret bad[] = { { NULL, "fifteen bytes..", 15 }, { NULL, "", 0 }, { "", SECRET, 16 }, { "a b", SECRET, 16 } };
    struct mw_auth_secret many[9];
    mw_auth_keys *k = NULL;
    char big[1025], name[66];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(calls->keys_new(&bad[i], 1, &k, &err), MW_EINVAL);
        CHECK(strstr(err.message, "fifteen") == NULL && strstr(err.message, "horse") == NULL);
    }
    CHECK_INT(calls->keys_new(many, 0, &k, &err), MW_EINVAL);
    memset(big, 'x', sizeof big);
    many[0] = (struct mw_auth_secret){ NULL, big, sizeof big };
    CHECK_INT(calls->keys_new(many, 1, &k, &err), MW_EINVAL);
    memset(name, 'n', 65);
    name[65] = 0;
    many[0] = (struct mw_auth_secret){ name, SECRET, 16 };
    CHECK_INT(calls->keys_new(many, 1, &k, &err), MW_EINVAL);
    for (int i = 0; i < 9; i++) many[i] = (struct mw_auth_secret){ NULL, SECRET, 16 };
    CHECK_INT(calls->keys_new(many, 9, &k, &err), MW_EINVAL);
    CHECK_INT(calls->keys_new(many, 8, &k, &err), 0);
    calls->keys_drop(k);
    calls->keys_drop(NULL);
    calls->close(NULL);
}
