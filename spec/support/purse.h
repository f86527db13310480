/* Memory for a Lua state that is counted, limited, or ends at a certain request.
 * Knows: libc. Never: Lua. */
#ifndef SPEC_SUPPORT_PURSE_H
#define SPEC_SUPPORT_PURSE_H

#include <stddef.h>
#include <stdlib.h>

struct purse {
    size_t used, peak;                  /* bytes */
    size_t limit;                       /* bytes; 0: none */
    unsigned long requests;             /* for more memory, so far */
    unsigned long refused;              /* from this request on, from 1, all fail: Lua asks twice; 0: none */
};

/* A lua_Alloc. */
__attribute__((unused)) static void *purse_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    struct purse *p = ud;
    size_t was = ptr != NULL ? osize : 0;
    void *at;

    if (nsize == 0) {
        p->used -= was;
        free(ptr);
        return NULL;
    }
    if (nsize > was) {
        if (++p->requests >= p->refused && p->refused != 0) return NULL;
        if (p->limit != 0 && p->used - was + nsize > p->limit) return NULL;
    }
    at = realloc(ptr, nsize);
    if (at == NULL) return NULL;
    p->used = p->used - was + nsize;
    if (p->used > p->peak) p->peak = p->used;
    return at;
}

#endif
