/* Small blocks by size, from pages that are found by the block's address.
 * Knows: core/heap_block.h, mmap(2), malloc. Never: Lua. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/heap_block.h"

#define PAGE MW_HEAP_PAGE
#define SEGMENT ((size_t)1 << 20)        /* bytes asked of the system at a time */
#define PAGES 31                         /* in a segment: it may begin anywhere in a page */
#define ALL_FREE ((1u << PAGES) - 1)
#define SHARED 4                         /* pages, at first */
#define RUN 256                          /* bytes that a class takes of a shared page at a time, or one block */
#define EMPTY 4                          /* segments kept without a page in use, if there are as many with one */

static const uint16_t sizes[MW_HEAP_CLASSES] = {
    16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256,
    288, 320, 352, 384, 416, 448, 480, 512,
    576, 640, 720, 768, 832, 896, 960, 1024,
    1152, 1280, 1408, 1536, 1664, 1792, 1920, MW_HEAP_SMALL,
};

struct mw_heap_segment {
    struct mw_heap_segment *next, *before;   /* of the heap */
    char *map, *pages;                   /* what the system gave; its first page */
    uint32_t free;                       /* a bit for each page */
};
#define FIRST ((sizeof(struct mw_heap_page) + 15) & ~(size_t)15)

/* ---- Segments ------------------------------------------------------------------------------------------------------------- */

static void segment_push(mw_heap *h, struct mw_heap_segment *s) {
    s->before = NULL;
    s->next = h->segments;
    if (s->next != NULL) s->next->before = s;
    h->segments = s;
}

static void segment_take(mw_heap *h, struct mw_heap_segment *s) {
    if (s->before != NULL) s->before->next = s->next;
    else h->segments = s->next;
    if (s->next != NULL) s->next->before = s->before;
}

/* A full one, and an empty one, goes behind those that have both: blocks are taken where there are some already. */
static void segment_last(mw_heap *h, struct mw_heap_segment *s) {
    struct mw_heap_segment *at = h->segments;

    segment_take(h, s);
    at = h->segments;
    if (at == NULL || (s->free != 0 && at->free == 0)) {
        segment_push(h, s);
        return;
    }
    while (at->next != NULL && at->next->free != 0) at = at->next;
    s->before = at;
    s->next = at->next;
    if (s->next != NULL) s->next->before = s;
    at->next = s;
}

static struct mw_heap_segment *segment_new(mw_heap *h) {
    struct mw_heap_segment *s = malloc(sizeof *s);

    if (s == NULL) return NULL;
    s->map = mmap(NULL, SEGMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->map == MAP_FAILED) {
        free(s);
        return NULL;
    }
    s->pages = (char *)(((uintptr_t)s->map + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
    s->free = ALL_FREE;
    h->held += SEGMENT;
    h->empty++;
    segment_push(h, s);
    return s;
}

static void segment_end(mw_heap *h, struct mw_heap_segment *s) {
    segment_take(h, s);
    munmap(s->map, SEGMENT);
    h->held -= SEGMENT;
    free(s);
}

/* Without a page in use now. What a collection sets free is soon wanted again: some are kept, and no more than are in use. */
static void segment_empty(mw_heap *h, struct mw_heap_segment *s) {
    unsigned used, keep;

    h->empty++;
    segment_last(h, s);
    used = (unsigned)(h->held / SEGMENT) - h->empty - (h->shared_pages > 0); /* the one that the shared pages are in always is */
    keep = used < EMPTY ? used : EMPTY;
    if (keep == 0) keep = 1;
    for (s = h->segments; s != NULL && h->empty > keep;) {
        struct mw_heap_segment *next = s->next;
        if (s->free == ALL_FREE) {
            h->empty--;
            segment_end(h, s);
        }
        s = next;
    }
}

/* ---- Pages ---------------------------------------------------------------------------------------------------------------- */

static int is_shared(const mw_heap *h, const struct mw_heap_page *p) {
    return p == &h->shared[p->which];
}

static void page_list(mw_heap *h, struct mw_heap_page *p) {
    struct mw_heap_page *first = h->first[p->which];

    p->live &= MW_HEAP_FULL - 1;
    if (first != &h->none && is_shared(h, p)) { /* behind one whose blocks are given back quickly */
        p->before = first;
        p->next = first->next;
        if (p->next != NULL) p->next->before = p;
        first->next = p;
        return;
    }
    p->before = NULL;
    p->next = first != &h->none ? first : NULL;
    if (p->next != NULL) p->next->before = p;
    h->first[p->which] = p;
}

static void page_unlist(mw_heap *h, struct mw_heap_page *p) {
    p->live -= MW_HEAP_FULL;
    if (p->before != NULL) p->before->next = p->next;
    else h->first[p->which] = p->next != NULL ? p->next : &h->none;
    if (p->next != NULL) p->next->before = p->before;
}

/* A page of the system's, its head without a class. */
static struct mw_heap_page *page_take(mw_heap *h) {
    struct mw_heap_segment *s = h->segments;
    struct mw_heap_page *p;
    unsigned i;

    if (s == NULL || s->free == 0) s = segment_new(h);
    if (s == NULL) return NULL;
    if (s->free == ALL_FREE) h->empty--;
    i = (unsigned)__builtin_ctz(s->free);
    s->free &= s->free - 1;
    p = (struct mw_heap_page *)(void *)(s->pages + i * PAGE);
    if (s->free == 0) segment_last(h, s);
    p->segment = s;
    p->free = NULL;
    return p;
}

static void page_begin(mw_heap *h, struct mw_heap_page *p, unsigned which, char *blocks, size_t bytes) {
    p->which = (uint8_t)which;
    p->size = sizes[which];
    p->fresh = blocks;
    p->end = blocks + bytes / p->size * p->size;
    page_list(h, p);
}

/* A few more blocks of a shared page. NULL: no more are shared. */
static struct mw_heap_page *shared_more(mw_heap *h, unsigned which) {
    struct mw_heap_page *p = &h->shared[which];
    size_t bytes = sizes[which] < RUN ? RUN / sizes[which] * sizes[which] : sizes[which];

    if ((size_t)(h->common_end - h->common) < bytes) {
        struct mw_heap_page *page = h->shared_pages < SHARED ? page_take(h) : NULL;
        if (page == NULL) return NULL; /* the rest of the last one stays: at most a block */
        page->live = -MW_HEAP_FULL;
        h->shared_pages++;
        h->common = (char *)page + FIRST;
        h->common_end = (char *)page + PAGE;
    }
    page_begin(h, p, which, h->common, bytes);
    h->common += bytes;
    return p;
}

static struct mw_heap_page *page_new(mw_heap *h, unsigned which) {
    struct mw_heap_page *p = shared_more(h, which);

    if (p != NULL || (p = page_take(h)) == NULL) return p;
    p->live = 0;
    page_begin(h, p, which, (char *)p + FIRST, PAGE - FIRST);
    return p;
}

/* Its last block came back. */
static void page_end(mw_heap *h, struct mw_heap_page *p) {
    struct mw_heap_segment *s = p->segment;
    int was_full = s->free == 0;

    page_unlist(h, p);
    s->free |= 1u << (unsigned)(((char *)p - s->pages) / (ptrdiff_t)PAGE);
    if (was_full) {
        segment_take(h, s);
        segment_push(h, s);
    }
    if (s->free == ALL_FREE) segment_empty(h, s);
}

/* ---- Blocks --------------------------------------------------------------------------------------------------------------- */

void *mw_heap_take_slowly(mw_heap *h, unsigned which) {
    struct mw_heap_page *p = h->first[which];

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

/* Of a shared page: to its class. */
static void shared_give(mw_heap *h, struct mw_heap_page *page, unsigned which) {
    struct mw_heap_page *p = &h->shared[which];
    void *block = page->free;

    page->free = NULL;
    page->live = -MW_HEAP_FULL;
    *(void **)block = p->free;
    p->free = block;
    if (--p->live < 0) page_list(h, p);
}

void mw_heap_settle(mw_heap *h, struct mw_heap_page *p, size_t size) {
    if (p->live < -MW_HEAP_FULL) {
        shared_give(h, p, mw_heap_class(size));
        return;
    }
    if (p->live < 0) page_list(h, p);
    if (p->live == 0 && p->next != NULL && !is_shared(h, p->next)) page_end(h, p);     /* the only one of its class is kept */
}

static void *move(mw_heap *h, void *ptr, size_t osize, size_t nsize) {
    void *to = nsize <= MW_HEAP_SMALL ? mw_heap_take(h, nsize) : malloc(nsize);

    if (to == NULL) return NULL;
    memcpy(to, ptr, osize < nsize ? osize : nsize);
    if (osize <= MW_HEAP_SMALL) mw_heap_give(h, ptr, osize);
    else free(ptr);
    return to;
}

void *mw_heap_alloc(void *heap, void *ptr, size_t osize, size_t nsize) {
    mw_heap *h = heap;

    if (ptr == NULL) {                                   /* osize is a type then */
        if (nsize - 1 < MW_HEAP_SMALL) return mw_heap_take(h, nsize);
        return nsize == 0 ? NULL : malloc(nsize);
    }
    if (nsize == 0) {
        if (osize <= MW_HEAP_SMALL) mw_heap_give(h, ptr, osize);
        else free(ptr);
        return NULL;
    }
    if (osize > MW_HEAP_SMALL && nsize > MW_HEAP_SMALL) return realloc(ptr, nsize);
    if (osize <= MW_HEAP_SMALL && nsize <= MW_HEAP_SMALL && mw_heap_class(osize) == mw_heap_class(nsize)) return ptr;
    return move(h, ptr, osize, nsize);
}

/* ---- The heap ------------------------------------------------------------------------------------------------------------- */

mw_heap *mw_heap_new(void) {
    mw_heap *h = calloc(1, sizeof *h);

    if (h == NULL) return NULL;
    for (unsigned i = 0; i < MW_HEAP_CLASSES; i++) h->first[i] = &h->none;
    for (unsigned i = 0; i < MW_HEAP_CLASSES; i++) h->shared[i].which = (uint8_t)i;
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
