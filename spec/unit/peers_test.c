/* Who holds how many connections. Knows: io/peers. Never: a socket. */
#include "io/peers.h"

#include "support/check.h"

static struct mw_peer_key key(unsigned n) {
    struct mw_peer_key k;

    memset(&k, 0, sizeof k);
    memcpy(k.at + 12, &n, sizeof n);
    return k;
}

TEST(each_peer_has_a_count_of_its_own) {
    struct mw_peers p = {0};
    struct mw_peer_key one = key(1), two = key(2);
    struct mw_peer_count *a = mw_peers_take(&p, &one), *b = mw_peers_take(&p, &two);

    REQUIRE(a != NULL && b != NULL && a != b);
    CHECK(mw_peers_take(&p, &one) == a);
    CHECK_INT(a->held, 2);
    CHECK_INT(b->held, 1);
    mw_peers_give(a);
    CHECK_INT(a->held, 1);
    mw_peers_give(a);
    mw_peers_give(b);
    CHECK_INT(p.used, 0);
    mw_peers_free(&p);
}

TEST(ten_thousand_peers_are_found_again_and_leave_nothing) {
    enum { N = 10000 };
    static struct mw_peer_count *all[N];
    struct mw_peers p = {0};
    unsigned wrong = 0;

    for (unsigned i = 0; i < N; i++) {
        struct mw_peer_key k = key(i);
        all[i] = mw_peers_take(&p, &k);
        REQUIRE(all[i] != NULL);
    }
    for (unsigned i = 0; i < N; i++) {
        struct mw_peer_key k = key(i);
        wrong += mw_peers_take(&p, &k) != all[i] || all[i]->held != 2;
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(p.used, N);
    for (unsigned i = 0; i < N; i++) {
        mw_peers_give(all[i]);
        mw_peers_give(all[i]);
    }
    CHECK_INT(p.used, 0);
    mw_peers_free(&p);
}
