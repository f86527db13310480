/* The memory of a Lua state: blocks keep what is in them, do not meet, and give their pages back.
 * Knows: core/heap. Never: Lua. */
#include "core/heap.h"

#include <stdint.h>
#include <stdio.h>

#include "support/check.h"

enum { BLOCKS = 20000 };

struct block {
    unsigned char *at;
    size_t size;
    unsigned char mark;
};

static uint64_t seed = 88172645463325252u;
static unsigned any(unsigned n) { /* the same numbers every run */
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

static size_t any_size(void) {
    static const size_t edges[] = { 1, 15, 16, 17, 255, 256, 257, 511, 513, 1023, 1025, MW_HEAP_SMALL - 1, MW_HEAP_SMALL, MW_HEAP_SMALL + 1 };

    switch (any(4)) {
    case 0: return edges[any(sizeof edges / sizeof *edges)];
    case 1: return 1 + any(5000);
    default: return 1 + any(200);
    }
}

static void fill(struct block *b) {
    b->mark = (unsigned char)any(256);
    memset(b->at, b->mark, b->size);
}

static int whole(const struct block *b, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (b->at[i] != b->mark) return 0;
    return 1;
}

TEST(blocks_keep_what_is_in_them_whatever_happens_to_others) {
    struct block *blocks = calloc(BLOCKS, sizeof *blocks);
    mw_heap *heap = mw_heap_new();
    int broken = 0, aligned = 1;

    REQUIRE(heap != NULL && blocks != NULL);
    for (int round = 0; round < 200000; round++) {
        struct block *b = &blocks[any(BLOCKS)];
        size_t size = any_size();
        if (b->at == NULL) {
            b->at = mw_heap_alloc(heap, NULL, any(10), size);
        } else if (any(2)) {
            broken += !whole(b, b->size);
            CHECK(mw_heap_alloc(heap, b->at, b->size, 0) == NULL);
            b->at = NULL;
            continue;
        } else {
            b->at = mw_heap_alloc(heap, b->at, b->size, size);
            REQUIRE(b->at != NULL);
            broken += !whole(b, b->size < size ? b->size : size);
        }
        REQUIRE(b->at != NULL);
        aligned &= (uintptr_t)b->at % 16 == 0;
        b->size = size;
        fill(b);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].at == NULL) continue;
        broken += !whole(&blocks[i], blocks[i].size);
        mw_heap_alloc(heap, blocks[i].at, blocks[i].size, 0);
    }
    CHECK_INT(broken, 0);
    CHECK(aligned);
    mw_heap_free(heap);
    free(blocks);
}

TEST(pages_without_a_live_block_go_back_to_the_system) {
    void **blocks = calloc(200000, sizeof *blocks);
    mw_heap *heap = mw_heap_new();
    size_t most;

    REQUIRE(heap != NULL && blocks != NULL);
    for (int i = 0; i < 200000; i++) REQUIRE((blocks[i] = mw_heap_alloc(heap, NULL, 0, 64)) != NULL);
    most = mw_heap_held(heap);
    CHECK(most >= (size_t)200000 * 64 && most < (size_t)200000 * 64 * 5 / 4);
    for (int i = 0; i < 200000; i += 2) mw_heap_alloc(heap, blocks[i], 64, 0);
    CHECK(mw_heap_held(heap) == most);
    for (int i = 1; i < 200000; i += 2) mw_heap_alloc(heap, blocks[i], 64, 0);
    CHECK(mw_heap_held(heap) <= (size_t)3 << 20); /* the shared pages, a page of the class that is kept, an empty segment */
    for (int i = 0; i < 200000; i++) REQUIRE((blocks[i] = mw_heap_alloc(heap, NULL, 0, 1500)) != NULL);
    for (int i = 200000; i-- > 0;) mw_heap_alloc(heap, blocks[i], 1500, 0);
    CHECK(mw_heap_held(heap) <= (size_t)5 << 20); /* a page of either class is kept; as many segments may be empty */
    mw_heap_free(heap);
    free(blocks);
}

/* Bytes of the heap's small blocks that are in memory, to a page of the system's. */
static size_t touched(void) {
    unsigned long all = 0, here = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%lu %lu", &all, &here) != 2) here = 0;
    if (f != NULL) fclose(f);
    return here * 4096u;
}
TEST(a_small_heap_of_many_sizes_touches_little_more_than_its_blocks) {
    enum { HEAPS = 100 };
    mw_heap *heaps[HEAPS];
    size_t before = 0, each = 0;

    for (int n = 0; n < HEAPS; n++) {
        if (n == 1) before = touched(); /* what the process itself touches first is none of theirs */
        REQUIRE((heaps[n] = mw_heap_new()) != NULL);
        each = 0;
        for (size_t size = 16; size <= MW_HEAP_SMALL; size += 48) { /* each class, some 85 KiB */
            for (int i = 0; i < 2; i++) REQUIRE(mw_heap_alloc(heaps[n], NULL, 0, size) != NULL);
            each += 2 * size;
        }
    }
    CHECK(touched() - before < (size_t)(HEAPS - 1) * (each * 5 / 4));
    for (int n = 0; n < HEAPS; n++) mw_heap_free(heaps[n]);
}

TEST(blocks_of_shared_pages_serve_again_in_their_class_alone) {
    static void *blocks[2000];
    mw_heap *heap = mw_heap_new();
    size_t held;

    REQUIRE(heap != NULL);
    for (int i = 0; i < 2000; i++) REQUIRE((blocks[i] = mw_heap_alloc(heap, NULL, 0, 16 + (size_t)(i % 4) * 16)) != NULL); /* 80 KB */
    held = mw_heap_held(heap);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 2000; i++) mw_heap_alloc(heap, blocks[i], 16 + (size_t)(i % 4) * 16, 0);
        for (int i = 0; i < 2000; i++) {
            size_t size = 16 + (size_t)(i % 4) * 16;
            REQUIRE((blocks[i] = mw_heap_alloc(heap, NULL, 0, size)) != NULL);
            memset(blocks[i], i & 255, size);
        }
        for (int i = 0; i < 2000; i++) CHECK(*(unsigned char *)blocks[i] == (i & 255) && ((unsigned char *)blocks[i])[15 + (i % 4) * 16] == (i & 255));
    }
    CHECK(mw_heap_held(heap) == held);
    mw_heap_free(heap);
}

TEST(what_a_collection_sets_free_is_there_for_the_next) {
    void **blocks = calloc(20000, sizeof *blocks);
    mw_heap *heap = mw_heap_new();
    size_t most = 0;

    REQUIRE(heap != NULL && blocks != NULL);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 20000; i++) REQUIRE((blocks[i] = mw_heap_alloc(heap, NULL, 0, 96)) != NULL);
        if (round > 0) CHECK(mw_heap_held(heap) == most);
        most = mw_heap_held(heap);
        for (int i = 0; i < 20000; i++)
            if (i != 10000) mw_heap_alloc(heap, blocks[i], 96, 0);
        CHECK(mw_heap_held(heap) == most);
        mw_heap_alloc(heap, blocks[10000], 96, 0);
    }
    mw_heap_free(heap);
    free(blocks);
}

TEST(a_heap_that_ends_takes_its_small_blocks_along) {
    mw_heap *heap = mw_heap_new();

    REQUIRE(heap != NULL);
    for (int i = 0; i < 5000; i++) CHECK(mw_heap_alloc(heap, NULL, 0, 1 + any(MW_HEAP_SMALL)) != NULL);
    CHECK(mw_heap_alloc(heap, NULL, 0, 0) == NULL);
    mw_heap_free(heap);
    mw_heap_free(NULL);
}
