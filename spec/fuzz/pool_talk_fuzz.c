/* Fuzz target: any bytes as what a pool's worker, or its parent, says: in one piece and cut in two. What is told of a message lies
 * inside the bytes; a page with any content is looked at without harm.
 * Knows: pool/talk, pool/page. Never: anything else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pool/page.h"
#include "pool/talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 4096 };

static size_t answers(const char *at, size_t len, size_t max) {
    struct mw_pool_answer a;
    size_t done = 0, need, count = 0;
    int rc;

    while ((rc = mw_pool_answer_parse(at + done, len - done, max, &a, &need)) == 1) {
        if (need != sizeof a + a.len || need > len - done || a.len > max) abort();
        done += need;
        count++;
    }
    if (rc == 0 && need <= len - done) abort();
    if (rc == 0 && need > sizeof a + max) abort();
    return count;
}

static size_t requests(const char *at, size_t len, size_t max) {
    struct mw_pool_request r;
    size_t done = 0, need, count = 0;
    int rc;

    while ((rc = mw_pool_request_parse(at + done, len - done, max, &r, &need)) == 1) {
        if (need != sizeof r + r.len || need > len - done || r.name_len > r.len || r.name_len > MW_POOL_NAME_MAX)
            abort();
        done += need;
        count++;
    }
    if (rc == 0 && (need <= len - done || need > sizeof r + max + MW_POOL_NAME_MAX)) abort();
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct mw_pool_page empty;
    struct mw_pool_page *page;
    char *copy, *whole;
    size_t n;

    whole = malloc(size + 1); /* just as long: what reads beyond it is seen */
    copy = malloc(MW_POOL_PAGE_HELD);
    page = malloc(sizeof *page);
    if (whole == NULL || copy == NULL || page == NULL) abort();
    memcpy(whole, data, size);
    n = answers(whole, size, MAX);
    for (size_t cut = 0; cut < size && cut < 64; cut += 7) {
        if (answers(whole, cut, MAX) > n) abort();
    }
    requests(whole, size, MAX);
    *page = empty;
    memcpy(page, data, size < sizeof *page ? size : sizeof *page);
    n = mw_pool_page_peek(page, copy);
    if (n > MW_POOL_PAGE_HELD) abort();
    answers(copy, n, MAX);
    free(page);
    free(copy);
    free(whole);
    return 0;
}
