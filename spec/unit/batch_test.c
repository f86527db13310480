/* Batches: what was gathered is found again, and what nobody could have gathered is refused.
 * Knows: wire/batch. Never: I/O. */
#include "support/check.h"

#include "wire/batch.h"

static void add(struct mw_batch *b, const char *text) {
    REQUIRE(mw_batch_add(b, text, strlen(text)) == 0);
}

static void refused(const char *bytes, size_t len, const char *says) {
    struct mw_batch_cut cut = { 0 };
    const char *what = NULL;
    char *own = malloc(len + 1);      /* exactly as long as it is, for the sanitizer */

    REQUIRE(own != NULL);
    memcpy(own + 1, bytes, len);
    CHECK_INT(mw_batch_open(&cut, own + 1, len, &what), MW_EFRAME);
    if (what == NULL || strstr(what, says) == NULL) check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", what ? what : "(null)", says);
    CHECK_INT(cut.left, 0);
    free(own);
}

TEST(a_batch_looks_as_its_header_says) {
    struct mw_batch b = { 0 };
    struct mw_view v;

    CHECK_INT(mw_batch_size(&b), 0);
    CHECK_INT(mw_batch_size_with(&b, 2), 4);
    add(&b, "ab");
    add(&b, "");
    v = mw_batch_view(&b);
    CHECK_INT(v.len, 5);
    CHECK(memcmp(v.at, "\2\2ab\0", 5) == 0);
    CHECK_INT(mw_batch_size(&b), 5);
    CHECK_INT(b.raw, 2);
    mw_bytes_free(&b.bytes);
}

TEST(messages_come_back_in_order_and_whole) {
    static const size_t lengths[] = { 0, 1, 127, 128, 16383, 16384, 300000, 5 };
    enum { N = sizeof lengths / sizeof *lengths };
    struct mw_batch b = { 0 };
    struct mw_batch_cut cut = { 0 };
    const char *what;
    char *big = malloc(300000);

    REQUIRE(big != NULL);
    for (size_t i = 0; i < 300000; i++) big[i] = (char)(i * 7 + i / 256);
    for (int round = 0; round < 3; round++) { /* its memory is used again */
        struct mw_view all;
        for (int i = 0; i < N; i++) {
            size_t with = mw_batch_size_with(&b, lengths[i]);
            REQUIRE(mw_batch_add(&b, big + i, i == 6 ? lengths[i] - 6 : lengths[i]) == 0);
            if (i != 6) CHECK_INT(mw_batch_size(&b), with);
        }
        all = mw_batch_view(&b);
        REQUIRE(mw_batch_open(&cut, all.at, all.len, &what) == 0);
        CHECK_INT(cut.left, N);
        for (int i = 0; i < N; i++) {
            struct mw_view m = mw_batch_next(&cut, all.at, all.len);
            CHECK_INT(m.len, i == 6 ? lengths[i] - 6 : lengths[i]);
            CHECK(memcmp(m.at, big + i, m.len) == 0);
        }
        CHECK_INT(cut.left, 0);
        CHECK_INT(cut.at, all.len);
        mw_batch_clear(&b);
        CHECK_INT(mw_batch_size(&b), 0);
    }
    mw_bytes_free(&b.bytes);
    free(big);
}

TEST(the_count_takes_the_room_it_needs) {
    struct mw_batch b = { 0 };
    struct mw_batch_cut cut = { 0 };
    const char *what;

    for (unsigned i = 0; i < MW_BATCH_MESSAGES; i++) {
        if (i == 1 || i == 127 || i == 128 || i == 16383 || i == 16384) {
            struct mw_view all = mw_batch_view(&b);
            CHECK_INT(all.len, i + (i < 128 ? 1 : i < 16384 ? 2 : 3));
            CHECK_INT(mw_batch_open(&cut, all.at, all.len, &what), 0);
            CHECK_INT(cut.left, i);
        }
        REQUIRE(mw_batch_add(&b, "", 0) == 0);
    }
    CHECK_INT(mw_batch_add(&b, "", 0), MW_ELIMIT);
    CHECK_INT(b.count, MW_BATCH_MESSAGES);
    mw_bytes_free(&b.bytes);
}

TEST(every_cut_of_a_batch_is_refused) {
    struct mw_batch b = { 0 };
    struct mw_view all;

    add(&b, "one");
    add(&b, "two, which is longer");
    add(&b, "");
    all = mw_batch_view(&b);
    for (size_t n = 0; n < all.len; n++) refused(all.at, n, n == 0 ? "number of messages" : "beyond its batch");
    mw_bytes_free(&b.bytes);
}

TEST(hostile_numbers_are_refused_before_anything_is_believed) {
    refused("", 0, "number of messages");
    refused("\0", 1, "without a message");
    refused("\0\0", 2, "without a message");
    refused("\200", 1, "number of messages");
    refused("\201\0\0", 3, "number of messages");                                   /* 1, longer than it must be */
    refused("\377\377\377\377\17\0\0", 7, "more than 65536");                        /* 2^32 - 1 messages in two bytes */
    refused("\201\200\4\0", 4, "more than 65536");
    refused("\377\377\377\377\377\377\377\377\377\1\0", 11, "more than 65536");      /* 2^64 - 1 */
    refused("\377\377\377\377\377\377\377\377\377\2\0", 11, "number of messages");
    refused("\1\377\377\377\377\377\377\377\377\377\1ab", 13, "beyond its batch");    /* a length that would wrap */
    refused("\2\1a", 3, "beyond its batch");
    refused("\1\1ab", 4, "behind the last");
    refused("\1\201\0a", 4, "beyond its batch");                                     /* a length in too many bytes */
    refused("{\"a\":1}", 7, "beyond its batch");                                     /* a peer without batches */
}

TEST(numbers_are_read_as_they_were_written) {
    static const uint64_t some[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX };

    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        char at[MW_NUMBER_MAX];
        uint64_t back = 1;
        unsigned n = mw_number_put(some[i], at);

        CHECK_INT(mw_number_get(at, n, &back), n);
        CHECK(back == some[i]);
        CHECK_INT(mw_number_get(at, n - 1, &back), 0);
    }
}
