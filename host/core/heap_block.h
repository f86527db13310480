/* The inside of core/heap: a block is taken and given back in line.
 * Knows: core/heap. Never: included but by core/heap.c and core/memory.c. */
#ifndef MW_CORE_HEAP_BLOCK_H
#define MW_CORE_HEAP_BLOCK_H

#include <stdint.h>

#include "core/heap.h"

#define MW_HEAP_PAGE ((size_t)32 << 10)  /* bytes of a page, and its alignment */
#define MW_HEAP_CLASSES 40

struct mw_heap_segment;

/* The head of a page; its blocks follow. Only what was used of a page is ever touched.
 *
 * The first SHARED pages of a heap are of no class: a state that stays small has a few blocks of each of many sizes, and would touch
 * a piece of a page for each. There a class takes a few blocks at a time, and keeps account of them in a head of its own (heap.shared).
 * A block that is given back finds the page's head, not its class's: `live` is below zero there, which leads to mw_heap_settle. */
struct mw_heap_page {
    void *free;                          /* blocks that came back, each the next one's address */
    int32_t live;                        /* blocks in use; less MW_HEAP_FULL while the page is not in its class's list */
    uint16_t size;
    uint8_t which;                       /* its class */
    char *fresh, *end;                   /* what was never used */
    struct mw_heap_page *next, *before;  /* in its class's list of pages with room */
    struct mw_heap_segment *segment;
};
#define MW_HEAP_FULL (1 << 24)           /* more than there are blocks in a page */

struct mw_heap {
    struct mw_heap_page *first[MW_HEAP_CLASSES];    /* blocks are taken from there; `none` when no page has room */
    struct mw_heap_page none;            /* has no room */
    struct mw_heap_page shared[MW_HEAP_CLASSES];    /* each class's blocks in shared pages; last in its list: they are given back slowly */
    char *common, *common_end;           /* what no class has taken of the shared page in use */
    unsigned shared_pages;
    struct mw_heap_segment *segments;    /* those with free pages stand first */
    unsigned empty;                      /* segments without a page in use */
    size_t held;
};

/* Steps of 16 bytes up to 256, 32 up to 512, 64 up to 1024, 128 up to 2048; and the stack of a coroutine (45 slots, 720 bytes) where
 * 704 would stand, since there may be thousands. size: 1..MW_HEAP_SMALL. */
static inline unsigned mw_heap_class(size_t size) {
    unsigned units = (unsigned)((size + 15) >> 4);       /* 1..128 */

    if (units <= 16) return units - 1;
    if (units <= 32) return 16 + ((units - 17) >> 1);
    if (units <= 64) return 24 + ((units - 33 - (units == 45)) >> 2);
    return 32 + ((units - 65) >> 3);
}

/* When the first page has none; when a block of so many bytes came back to a full page, to a shared one, or the last one to any. */
void *mw_heap_take_slowly(mw_heap *h, unsigned which);
void mw_heap_settle(mw_heap *h, struct mw_heap_page *p, size_t size);

/* A block of the first page of its class; NULL: it has none. */
static inline void *mw_heap_take_first(mw_heap *h, size_t size) {
    struct mw_heap_page *p = h->first[mw_heap_class(size)];
    void *block = p->free;

    if (block != NULL) {
        p->free = *(void **)block;
    } else {
        block = p->fresh;
        if (block == p->end) return NULL;
        p->fresh += p->size;
    }
    p->live++;
    return block;
}

static inline void *mw_heap_take(mw_heap *h, size_t size) {
    void *block = mw_heap_take_first(h, size);
    return block != NULL ? block : mw_heap_take_slowly(h, mw_heap_class(size));
}

static inline void mw_heap_give(mw_heap *h, void *block, size_t size) {
    struct mw_heap_page *p = (struct mw_heap_page *)((uintptr_t)block & ~(uintptr_t)(MW_HEAP_PAGE - 1));

    *(void **)block = p->free;
    p->free = block;
    if (__builtin_expect(--p->live <= 0, 0)) mw_heap_settle(h, p, size);
}

#endif
