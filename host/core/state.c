/* The Lua state of a host: its memory, counted, bounded, and how much of it may be garbage.
 * Knows: core/heap_block, lua.h. Never: the loop.
 *
 * Lua waits until its memory has doubled before it collects again. The state of a small script is a few tens of KiB: it would mark
 * and sweep all of that for each few hundred messages. So there may be garbage of GARBAGE bytes at least, which stays in the
 * processor's second cache, before the next collection begins; a state that holds more than that doubles, as Lua has it. */
#include <lauxlib.h>
#include <stdlib.h>

#include "core/heap_block.h"
#include "core/inside.h"

/* malloc where its blocks are watched one by one: by a sanitizer, or by whoever fails the n-th of them. */
#if defined(MW_DEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAIN 1
#else
#define PLAIN 0
#endif

#define GARBAGE ((size_t)512 << 10)     /* bytes */
enum { PAUSE = 200, PAUSE_MAX = 1000 }; /* Lua's own "pause", in hundredths: memory at the next collection by memory after the last */
enum { STEP = 15 };                     /* Lua's "step size": the collector works each 2^15 bytes, not 2^13 */
/* For a host whose steps have budgets: Lua's own 25 units of work a byte are a whole cycle of a small state at once. So it works more
 * often, and 2^STEP_SLICE / 16 * 9 units each time: some twenty microseconds. Half a unit a byte is enough: a cycle over a state of
 * n bytes takes n / 16 units and one for each object, so it is through before as much garbage again has come. */
enum { STEP_SLICE = 10, MUL_SLICE = 8 };

/* ---- The collector -------------------------------------------------------------------------------------------------------- */

/* A piece of garbage, collected by each cycle: then what is left is what is in use. It is garbage again at once. */
static int on_cycle(lua_State *L) {
    mw_host *h = mw_host_of(L);

    h->in_use = h->used;
    h->measures.cycles++;
    if (!h->script_collects) h->mark = 0; /* the next allocation tunes: here Lua takes no parameter */
    if (lua_getmetatable(L, 1)) lua_setmetatable(L, 1);
    return 0;
}

/* Sets Lua's pause by what the last cycle left. It binds from the end of the next one. */
static void tune(mw_host *h) {
    size_t pause = 100 + GARBAGE / (h->in_use / 100 + 1);
    int was, now = pause < PAUSE ? PAUSE : pause > PAUSE_MAX ? PAUSE_MAX : (int)pause & ~3; /* Lua keeps a fourth of it */

    if (h->L == NULL || (was = lua_gc(h->L, LUA_GCSETPAUSE, now)) < 0) return; /* it collects: later */
    h->mark = h->limit;
    h->script_collects = was != h->pause; /* then the script has said how, and it stays so */
    if (h->script_collects) lua_gc(h->L, LUA_GCSETPAUSE, was);
    h->pause = now;
}

void mw_state_open(lua_State *L) {
    mw_host *h = mw_host_of(L);

    lua_newuserdatauv(L, 0, 0);                                 /* [garbage] */
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, on_cycle);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    mw_cleanup_open(L);
    if (h->lent) return; /* counted, not told what to do */
    lua_gc(L, LUA_GCINC, PAUSE, 0, STEP);
    h->pause = PAUSE;
    h->in_use = h->used;
    h->mark = 0;
}

void mw_state_slice(mw_host *h) {
    if (!h->lent && !h->script_collects) lua_gc(h->L, LUA_GCINC, 0, MUL_SLICE, STEP_SLICE);
}

/* ---- Allocation ----------------------------------------------------------------------------------------------------------- */

/* Beyond the mark. 1: it is refused. */
static __attribute__((noinline)) int beyond(mw_host *h, size_t used) {
    if (used > h->limit && (!h->unprotected || h->running != NULL || h->callbacks > 0)) {
        h->refused = 1;
        return 1;
    }
    if (h->mark == 0) tune(h);
    return 0;
}

static void *plain_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    (void)ud;
    (void)osize;
    if (nsize == 0) {
        free(ptr);
        return NULL;
    }
    return ptr == NULL ? malloc(nsize) : realloc(ptr, nsize);
}

/* lua_Alloc over whatever allocator there is. */
static void *counted_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    mw_host *h = ud;
    size_t was = ptr != NULL ? osize : 0, used = h->used - was + nsize;
    void *p;

    if (nsize > was && used > h->mark && beyond(h, used)) return NULL;
    p = h->alloc(h->alloc_ud, ptr, osize, nsize);
    if (p != NULL || nsize == 0) h->used = used;
    return p;
}

/* The same over our own heap, with what a script does most in line: a small block is taken, a small block is given back. What is
 * rare is called last, so that nothing need be kept over a call. */
static void *heap_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    mw_host *h = ud;

    if (ptr == NULL && nsize - 1 < MW_HEAP_SMALL) { /* osize is a type then */
        void *block = h->used + nsize <= h->mark ? mw_heap_take_first(h->memory, nsize) : NULL;
        if (block == NULL) return counted_alloc(ud, NULL, 0, nsize);
        h->used += nsize;
        return block;
    }
    if (nsize == 0 && ptr != NULL && osize <= MW_HEAP_SMALL) {
        h->used -= osize;
        mw_heap_give(h->memory, ptr, osize);
        return NULL;
    }
    return counted_alloc(ud, ptr, osize, nsize);
}

int mw_state_prepare(mw_host *h, lua_Alloc alloc, void *ud) {
    h->limit = h->mark = (size_t)h->limits.memory;
    h->alloc = alloc != NULL ? alloc : PLAIN ? plain_alloc : mw_heap_alloc;
    h->alloc_ud = ud;
    if (h->alloc == mw_heap_alloc && (h->alloc_ud = h->memory = mw_heap_new()) == NULL) return MW_ENOMEM;
    return 0;
}

lua_State *mw_state_new(mw_host *h) {
    return lua_newstate(h->memory != NULL ? heap_alloc : counted_alloc, h);
}

void mw_state_end(mw_host *h) {
    mw_heap_free(h->memory);
    h->memory = NULL;
}

size_t mw_host_memory(mw_host *h, size_t *limit) {
    if (limit != NULL) *limit = h->limit;
    if (h->lent) return (size_t)lua_gc(h->L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(h->L, LUA_GCCOUNTB); /* its allocator is its owner's */
    return h->used;
}

void mw_host_lend_memory(mw_host *h, size_t bytes) {
    h->limit += bytes;
}
void mw_host_take_memory(mw_host *h, size_t bytes) {
    h->limit -= bytes;
    if (h->mark > h->limit) h->mark = h->limit;
}

void mw_host_make_room(lua_State *L, size_t bytes) {
    mw_host *h = mw_host_of(L);

    if (h->used + bytes <= h->limit || bytes > h->limit) return;
    h->asked += bytes;
    if (h->asked < h->limit / 32) return; /* many small ones: not for each */
    h->asked = 0;
    lua_gc(L, LUA_GCCOLLECT);
}
