/* A debug build's broken memory: MOONWIRE_FAIL_ALLOC=n fails the n-th allocation after main's begin, `n+` that and all later,
 * `n-m` those from n to m (Lua tries again after a failure, so a single one is hidden from it); 0 counts them and says how many.
 * Knows: the environment, ld's --wrap.
 * Never: part of a release build or of the library. */
#ifndef MW_FRONT_FAIL_ALLOC_H
#define MW_FRONT_FAIL_ALLOC_H

#ifdef MW_DEBUG
void mw_fail_alloc_start(void);
#else
static inline void mw_fail_alloc_start(void) {}
#endif

#endif
