/* Secrets: what is found in text and MessagePack, in whatever pieces; and random ones that never appear.
 * Knows: observe/redact. Never: a trace. */
#include "support/check.h"

#include "observe/redact.h"

static struct mw_redact_names names(void) {
    struct mw_redact_names n = {0};
    CHECK(mw_redact_add(&n, "password", 8) == 0);
    CHECK(mw_redact_add(&n, "Token", 5) == 0);
    CHECK(mw_redact_add(&n, "x-api-key", 9) == 0);
    return n;
}

/* Whole, in pieces of every length, and in place: always the same. */
static void check(const char *in, size_t len, const char *want) {
    struct mw_redact_names n = names();
    char out[1024];

    CHECK(len <= sizeof out);
    for (size_t step = len; step > 0; step--) {
        struct mw_redact r = {0};
        for (size_t at = 0; at < len; at += step) {
            size_t now = len - at < step ? len - at : step;
            mw_redact(&n, &r, in + at, now, out + at, now);
        }
        if (memcmp(out, want, len) != 0) printf("%.*s\n%.*s, not\n%s (in pieces of %zu)\n", (int)len, in, (int)len, out, want, step);
        CHECK(memcmp(out, want, len) == 0);
    }
}
#define HIDES(in, want) do { CHECK(sizeof in == sizeof want); check(in, sizeof in - 1, want); } while (0)

TEST(strings_of_json_are_hidden_to_their_end) {
    HIDES("{\"password\":\"abc\",\"b\":1}", "{\"password\":\"***\",\"b\":1}");
    HIDES("{\"password\" : \"a\\\"b\\\\\",\"b\":1}", "{\"password\" : \"******\",\"b\":1}");
    HIDES("{\"PassWord\":\"abc\"}", "{\"PassWord\":\"***\"}");
    HIDES("{\"p\\u0061ssw\\u006Frd\":\"abc\"} x", "{\"p\\u0061ssw\\u006Frd\":\"***\"} x");
    HIDES("{'token': 'it', 'b': 2}", "{'token': '**', 'b': 2}");
    HIDES("{\"a\":{\"b\":[{\"token\":\"t\"}]},\"c\":\"d\"}", "{\"a\":{\"b\":[{\"token\":\"*\"}]},\"c\":\"d\"}");
    HIDES("{\"password\":\"\",\"b\":1}", "{\"password\":\"\",\"b\":1}");
}

TEST(other_values_of_json_are_hidden_too) {
    HIDES("{\"token\":1234,\"b\":1}", "{\"token\":****,\"b\":1}");
    HIDES("{\"token\":-1.5e3}", "{\"token\":******}");
    HIDES("{\"token\":null,\"b\":1}", "{\"token\":****,\"b\":1}");
    HIDES("{\"token\":{\"a\":\"}\",\"b\":[1]},\"b\":1}", "{\"token\":{***************},\"b\":1}");
    HIDES("{\"token\":[\"]\\\"\",{}],\"b\":1}", "{\"token\":[********],\"b\":1}");
}

TEST(json_in_strings_of_json_is_seen) {
    HIDES("{\"m\":\"{\\\"password\\\":\\\"ab\\\\\\\"c\\\",\\\"b\\\":1}\"}", "{\"m\":\"{\\\"password\\\":\\\"********\",\\\"b\\\":1}\"}");
}

TEST(words_of_the_line_and_of_forms_are_hidden) {
    HIDES("user=a&password=b%20c&d=e", "user=a&password=*****&d=e");
    HIDES("login --token=abc,d next", "login --token=***** next");
    HIDES("password = abc next", "password = *** next");
    HIDES("password=\"a b\" next", "password=\"***\" next");
    HIDES("user[password]=abc&x=1", "user[password]=***&x=1");
    HIDES("X-Api-Key: abc def\r\nHost: x\r\n", "X-Api-Key: *******\r\nHost: x\r\n");
    HIDES("password: token=abc def\nx", "password: *************\nx");
    HIDES("password=\nnext", "password=\nnext");
    HIDES("C:\\token=abc x", "C:\\token=*** x");
    HIDES("\\ntoken=abc x", "\\ntoken=*** x");
}

TEST(words_that_only_look_alike_are_left) {
    HIDES("passwords=1 mytoken=2 token1=3", "passwords=1 mytoken=2 token1=3");
    HIDES("the password is long, a token too", "the password is long, a token too");
    HIDES("password password=x y", "password password=* y");
}

TEST(values_of_messagepack_are_hidden) {
    HIDES("\x82\xa8password\xa3" "abc\xa1" "b\x01", "\x82\xa8password\xa3" "***\xa1" "b\x01");
    HIDES("\x82\xd9\x08password\xd9\x03" "abc\xa1" "b\x01", "\x82\xd9\x08password\xd9\x03" "***\xa1" "b\x01");
    HIDES("\x82\xc4\x05token\xc5\0\x03" "abc\xa1" "b\x01", "\x82\xc4\x05token\xc5\0\x03" "***\xa1" "b\x01");
    HIDES("\x82\xa5token\x07\xa1" "b\x01", "\x82\xa5token*\xa1" "b\x01");
    HIDES("\x82\xa5token\xcd\x01\x02\xa1" "b\x01", "\x82\xa5token\xcd**\xa1" "b\x01");
    HIDES("\x82\xa5token\xc0\xa1" "b\x01", "\x82\xa5token*\xa1" "b\x01");
    HIDES("\x82\xa5token\x92\xa1x\x81\xa1y\xc3\xa1" "b\x01", "\x82\xa5token\x92\xa1*\x81\xa1**\xa1" "b\x01");
    HIDES("\x82\xa5token\xc7\x02\x01" "ab\xa1" "b\x01", "\x82\xa5token\xc7\x02***\xa1" "b\x01");
}

static unsigned long long seed = 88172645463325252ull;
static unsigned rnd(unsigned n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

/* A secret of letters that nothing else here has, in a random place of a random kind, in random pieces, cut somewhere. */
TEST(a_random_secret_never_appears) {
    static const char *const kinds[] = {"{\"a\":1,\"password\":\"%s\"}", "x token=%s y", "Password: %s\r\n", "[{'token' : '%s'}]",
                                        "{\"m\":\"{\\\"token\\\":\\\"%s\\\"}\"}", "{\"password\":{\"x\":[\"%s\",2]}}", "\xa5token\xb4%s"};
    static const char noise[] = "ab c:=\"'\\{}[],\n&;pw1\xa8\xc3\x81";
    struct mw_redact_names n = names();

    for (int round = 0; round < 20000; round++) {
        char in[512], out[512], secret[21];
        struct mw_redact r = {0};
        size_t len = 0, at = 0;
        unsigned kind = rnd(7);

        for (int i = 0; i < 20; i++) secret[i] = (char)('A' + rnd(26));
        secret[20] = 0;
        for (unsigned i = rnd(60); i > 0; i--) in[len++] = noise[rnd(sizeof noise - 1)];
        in[len++] = '\n';
        len += (size_t)snprintf(in + len, 200, kinds[kind], secret);
        while (at < len) {
            size_t now = 1 + rnd(20);
            if (now > len - at) now = len - at;
            mw_redact(&n, &r, in + at, now, out + at, now);
            at += now;
        }
        for (size_t i = 0; i + 3 <= len; i++) {
            CHECK(memcmp(out + i, secret, 3) != 0);
            CHECK(memcmp(out + i, secret + 17, 3) != 0);
        }
    }
}

TEST(names_have_bounds) {
    struct mw_redact_names n = {0};
    char name[65];

    memset(name, 'x', sizeof name);
    CHECK(mw_redact_add(&n, "", 0) < 0);
    CHECK(mw_redact_add(&n, name, 65) < 0);
    for (int i = 0; i < 64; i++) CHECK(mw_redact_add(&n, name, 64) == 0);
    CHECK(mw_redact_add(&n, "a", 1) < 0);
}
