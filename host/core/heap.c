/* Small blocks by size, from pages that are found by the block's address.
 * Knows: core/heap.h, mmap(2), malloc. Never: Lua. */
#include "core/heap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE ((size_t)32 << 10)          /* bytes of a page, and its alignment */
#define SEGMENT ((size_t)1 << 20)        /* bytes asked of the system at a time */
#define PAGES 31                         /* in a segment: it may begin anywhere in a page */
#define ALL_FREE ((1u << PAGES) - 1)
#define CLASSES 40

/* Steps of 16 bytes up to 256, 32 up to 512, 64 up to 1024, 128 up to 2048. */
static const uint16_t sizes[CLASSES] = {
    16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256,
    288, 320, 352, 384, 416, 448, 480, 512,
    576, 640, 704, 768, 832, 896, 960, 1024,
    1152, 1280, 1408, 1536, 1664, 1792, 1920, MW_HEAP_SMALL,
};

static unsigned class_of(size_t size) {
    unsigned units = (unsigned)((size + 15) >> 4);       /* 1..128 */

    if (units <= 16) return units - 1;
    if (units <= 32) return 16 + ((units - 17) >> 1);
    if (units <= 64) return 24 + ((units - 33) >> 2);
    return 32 + ((units - 65) >> 3);
}

struct segment {
    struct segment *next, *before;       /* of the heap */
    char *map, *pages;                   /* what the system gave; its first page */
    uint32_t free;                       /* a bit for each page */
};

/* The head of a page; its blocks follow. Only what was used of a page is ever touched. */
struct page {
    void *free;                          /* blocks that came back, each the next one's address */
    char *fresh, *end;                   /* what was never used */
    struct page *next, *before;          /* in its class's list of pages with room */
    struct segment *segment;
    uint32_t live;
    uint16_t size;
    uint8_t which, listed;               /* its class; 1: it is in that list */
};
#define FIRST ((sizeof(struct page) + 15) & ~(size_t)15)

struct mw_heap {
    struct page *first[CLASSES];         /* blocks are taken from there; `none` when no page has room */
    struct page none;                    /* has no room */
    struct segment *segments;            /* those with free pages stand first */
    size_t held;
};

/* ---- Segments ------------------------------------------------------------------------------------------------------------- */

static void segment_push(mw_heap *h, struct segment *s) {
    s->before = NULL;
    s->next = h->segments;
    if (s->next != NULL) s->next->before = s;
    h->segments = s;
}

static void segment_take(mw_heap *h, struct segment *s) {
    if (s->before != NULL) s->before->next = s->next;
    else h->segments = s->next;
    if (s->next != NULL) s->next->before = s->before;
}

/* A full one goes behind the first, so that one with room stands there if there is any. */
static void segment_last(mw_heap *h, struct segment *s) {
    struct segment *at = h->segments;

    segment_take(h, s);
    at = h->segments;
    if (at == NULL) {
        segment_push(h, s);
        return;
    }
    while (at->next != NULL && at->next->free != 0) at = at->next;
    s->before = at;
    s->next = at->next;
    if (s->next != NULL) s->next->before = s;
    at->next = s;
}

static struct segment *segment_new(mw_heap *h) {
    struct segment *s = malloc(sizeof *s);

    if (s == NULL) return NULL;
    s->map = mmap(NULL, SEGMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->map == MAP_FAILED) {
        free(s);
        return NULL;
    }
    s->pages = (char *)(((uintptr_t)s->map + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
    s->free = ALL_FREE;
    h->held += SEGMENT;
    segment_push(h, s);
    return s;
}

static void segment_end(mw_heap *h, struct segment *s) {
    segment_take(h, s);
    munmap(s->map, SEGMENT);
    h->held -= SEGMENT;
    free(s);
}

/* ---- Pages ---------------------------------------------------------------------------------------------------------------- */

static void page_list(mw_heap *h, struct page *p) {
    struct page *first = h->first[p->which];

    p->listed = 1;
    p->before = NULL;
    p->next = first != &h->none ? first : NULL;
    if (p->next != NULL) p->next->before = p;
    h->first[p->which] = p;
}

static void page_unlist(mw_heap *h, struct page *p) {
    p->listed = 0;
    if (p->before != NULL) p->before->next = p->next;
    else h->first[p->which] = p->next != NULL ? p->next : &h->none;
    if (p->next != NULL) p->next->before = p->before;
}

static struct page *page_new(mw_heap *h, unsigned which) {
    struct segment *s = h->segments;
    struct page *p;
    unsigned i;

    if (s == NULL || s->free == 0) s = segment_new(h);
    if (s == NULL) return NULL;
    i = (unsigned)__builtin_ctz(s->free);
    s->free &= s->free - 1;
    p = (struct page *)(void *)(s->pages + i * PAGE);
    if (s->free == 0) segment_last(h, s);
    p->segment = s;
    p->which = (uint8_t)which;
    p->size = sizes[which];
    p->live = 0;
    p->free = NULL;
    p->fresh = (char *)p + FIRST;
    p->end = p->fresh + (PAGE - FIRST) / p->size * p->size;
    page_list(h, p);
    return p;
}

/* Its last block came back. */
static void page_end(mw_heap *h, struct page *p) {
    struct segment *s = p->segment;
    int was_full = s->free == 0;

    page_unlist(h, p);
    s->free |= 1u << (unsigned)(((char *)p - s->pages) / (ptrdiff_t)PAGE);
    if (was_full) {
        segment_take(h, s);
        segment_push(h, s);
    }
    if (s->free == ALL_FREE && (s->before != NULL || (s->next != NULL && s->next->free != 0))) segment_end(h, s);  /* another has room */
}

/* ---- Blocks --------------------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void *take_slowly(mw_heap *h, unsigned which) {
    struct page *p = h->first[which];

    while (p != &h->none && p->free == NULL && p->fresh == p->end) {
        page_unlist(h, p);
        p = h->first[which];
    }
    if (p == &h->none && (p = page_new(h, which)) == NULL) return NULL;
    p->live++;
    if (p->free != NULL) {
        void *block = p->free;
        p->free = *(void **)block;
        return block;
    }
    p->fresh += p->size;
    return p->fresh - p->size;
}

static inline void *take(mw_heap *h, unsigned which) {
    struct page *p = h->first[which];
    void *block = p->free;

    if (block != NULL) {
        p->free = *(void **)block;
        p->live++;
        return block;
    }
    if (p->fresh == p->end) return take_slowly(h, which);
    block = p->fresh;
    p->fresh += p->size;
    p->live++;
    return block;
}

static inline void give(mw_heap *h, void *block) {
    struct page *p = (struct page *)((uintptr_t)block & ~(uintptr_t)(PAGE - 1));

    *(void **)block = p->free;
    p->free = block;
    if (!p->listed) page_list(h, p);
    if (--p->live == 0 && p->next != NULL) page_end(h, p);   /* the only one of its class is kept */
}

static void *move(mw_heap *h, void *ptr, size_t osize, size_t nsize) {
    void *to = nsize <= MW_HEAP_SMALL ? take(h, class_of(nsize)) : malloc(nsize);

    if (to == NULL) return NULL;
    memcpy(to, ptr, osize < nsize ? osize : nsize);
    if (osize <= MW_HEAP_SMALL) give(h, ptr);
    else free(ptr);
    return to;
}

void *mw_heap_alloc(void *heap, void *ptr, size_t osize, size_t nsize) {
    mw_heap *h = heap;

    if (ptr == NULL) {                                   /* osize is a type then */
        if (nsize - 1 < MW_HEAP_SMALL) return take(h, class_of(nsize));
        return nsize == 0 ? NULL : malloc(nsize);
    }
    if (nsize == 0) {
        if (osize <= MW_HEAP_SMALL) give(h, ptr);
        else free(ptr);
        return NULL;
    }
    if (osize > MW_HEAP_SMALL && nsize > MW_HEAP_SMALL) return realloc(ptr, nsize);
    if (osize <= MW_HEAP_SMALL && nsize <= MW_HEAP_SMALL && class_of(osize) == class_of(nsize)) return ptr;
    return move(h, ptr, osize, nsize);
}

/* ---- The heap ------------------------------------------------------------------------------------------------------------- */

mw_heap *mw_heap_new(void) {
    mw_heap *h = calloc(1, sizeof *h);

    if (h == NULL) return NULL;
    for (unsigned i = 0; i < CLASSES; i++) h->first[i] = &h->none;
    return h;
}

void mw_heap_free(mw_heap *h) {
    if (h == NULL) return;
    while (h->segments != NULL) segment_end(h, h->segments);
    free(h);
}

size_t mw_heap_held(const mw_heap *h) {
    return h->held;
}
