/* The memory of one Lua state: small blocks by size from pages of their own, large ones from malloc.
 * Knows: mmap(2), the shape of lua_Alloc. Never: a lock (one state, one thread); a header on a block (Lua knows its sizes).
 *
 * A collector frees in bursts, far more than malloc's fast bins hold; here a block is taken and given back in a few
 * instructions however many there are. Pages without a live block go back to their segment, empty segments to the system
 * (one is kept). After the page design of mimalloc (Leijen, Zorn, de Moura: Mimalloc: Free List Sharding in Action, 2019). */
#ifndef MW_CORE_HEAP_H
#define MW_CORE_HEAP_H

#include <stddef.h>

#define MW_HEAP_SMALL 2048       /* bytes; larger blocks are malloc's */

typedef struct mw_heap mw_heap;

/* Given: end it with mw_heap_free, after its last block. NULL: no memory. */
mw_heap *mw_heap_new(void);
/* Gives back every small block at once; large ones must have been freed. NULL is fine. */
void mw_heap_free(mw_heap *heap);

/* lua_Alloc: heap is the mw_heap. 16-byte alignment. NULL: no memory, and ptr is what it was. */
void *mw_heap_alloc(void *heap, void *ptr, size_t osize, size_t nsize);

/* Bytes taken from the system for small blocks. */
size_t mw_heap_held(const mw_heap *heap);

#endif
