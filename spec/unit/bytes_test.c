/* The byte queue: what goes in comes out, in order, and memory is bounded by what is held.
 * Knows: base/bytes. Never: anything above it. */
#include "base/bytes.h"

#include <stdint.h>

#include "base/err.h"
#include "support/check.h"

static int holds(const struct mw_bytes *q, const char *text, size_t len) {
    return mw_bytes_len(q) == len && memcmp(mw_bytes_at(q), text, len) == 0;
}

TEST(an_empty_queue_holds_no_memory) {
    struct mw_bytes q = { 0 };

    CHECK(mw_bytes_len(&q) == 0);
    mw_bytes_shrink(&q, 0);
    mw_bytes_free(&q);
    CHECK(q.base == NULL);
}

TEST(bytes_come_out_in_the_order_they_went_in_nul_included) {
    struct mw_bytes q = { 0 };

    CHECK_INT(mw_bytes_add(&q, "a\0b", 3), 0);
    CHECK_INT(mw_bytes_add(&q, "", 0), 0);
    CHECK_INT(mw_bytes_add(&q, "cd", 2), 0);
    CHECK(holds(&q, "a\0bcd", 5));
    mw_bytes_consume(&q, 2);
    CHECK(holds(&q, "bcd", 3));
    mw_bytes_free(&q);
}

TEST(an_emptied_queue_starts_over_at_its_base) {
    struct mw_bytes q = { 0 };

    mw_bytes_add(&q, "abc", 3);
    mw_bytes_consume(&q, 3);
    CHECK(q.head == 0 && q.tail == 0 && q.size == 4096);
    mw_bytes_free(&q);
}

TEST(what_was_reserved_counts_only_after_commit) {
    struct mw_bytes q = { 0 };
    size_t room = 0;
    char *at = mw_bytes_reserve(&q, 10, &room);

    REQUIRE(at != NULL);
    CHECK(room >= 10);
    memcpy(at, "0123456789", 10);
    CHECK(mw_bytes_len(&q) == 0);
    mw_bytes_commit(&q, 4);
    CHECK(holds(&q, "0123", 4));
    mw_bytes_free(&q);
}

TEST(a_queue_that_is_read_as_it_is_written_does_not_grow) {
    struct mw_bytes q = { 0 };
    char block[1000];
    int i;

    memset(block, 'x', sizeof block);
    for (i = 0; i < 1000; i++) {
        CHECK_INT(mw_bytes_add(&q, block, sizeof block), 0);
        if (i > 0) mw_bytes_consume(&q, sizeof block);
    }
    CHECK(q.size == 4096);
    mw_bytes_free(&q);
}

TEST(random_writes_and_reads_keep_every_byte) {
    struct mw_bytes q = { 0 };
    unsigned seed = 7;
    uint64_t in = 0, out = 0;
    int i, wrong = 0;

    for (i = 0; i < 20000; i++) {
        size_t n, k;
        seed = seed * 1103515245u + 12345u;
        n = (seed >> 8) % 700;
        if (seed & 0x40000000u) {
            char *at = mw_bytes_reserve(&q, n, NULL);
            REQUIRE(at != NULL);
            for (k = 0; k < n; k++) at[k] = (char)(in++ * 31u);
            mw_bytes_commit(&q, n);
        } else {
            if (n > mw_bytes_len(&q)) n = mw_bytes_len(&q);
            for (k = 0; k < n; k++) wrong += mw_bytes_at(&q)[k] != (char)(out++ * 31u);
            mw_bytes_consume(&q, n);
        }
    }
    CHECK_INT(wrong, 0);
    CHECK(in - out == mw_bytes_len(&q));
    mw_bytes_free(&q);
}

TEST(a_request_that_cannot_be_met_changes_nothing) {
    struct mw_bytes q = { 0 };

    mw_bytes_add(&q, "abc", 3);
    mw_bytes_consume(&q, 1);
    CHECK(mw_bytes_reserve(&q, SIZE_MAX / 2, NULL) == NULL);
    CHECK(mw_bytes_reserve(&q, SIZE_MAX, NULL) == NULL);
    CHECK(holds(&q, "bc", 2));
    mw_bytes_free(&q);
}

TEST(memory_is_given_back_only_when_empty_and_larger_than_what_is_kept) {
    struct mw_bytes q = { 0 };

    mw_bytes_add(&q, "abc", 3);
    mw_bytes_shrink(&q, 0);
    CHECK(holds(&q, "abc", 3));
    mw_bytes_consume(&q, 3);
    mw_bytes_shrink(&q, 4096);
    CHECK(q.base != NULL);
    mw_bytes_shrink(&q, 4095);
    CHECK(q.base == NULL);
}
