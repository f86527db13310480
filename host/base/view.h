/* Bytes that are somebody else's.
 * Knows: C11. Never: frees them. */
#ifndef MW_BASE_VIEW_H
#define MW_BASE_VIEW_H

#include <stddef.h>

/* Lent bytes: valid until the next call on their owner. */
typedef struct mw_view {
    const char *at;
    size_t len;
} mw_view;

#endif
