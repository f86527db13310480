/* Between wire/frame.c and wire/frame_header.c: frames with a header of fixed size.
 * Knows: wire/frame.
 * Never: used elsewhere. */
#ifndef MW_WIRE_FRAME_HEADER_H
#define MW_WIRE_FRAME_HEADER_H

#include "wire/frame.h"

/* mw_frame_parse for MW_FRAME_FIXED. */
int mw_frame_fixed_parse(const struct mw_frame_format *f, const char *at, size_t len, struct mw_frame *out);
/* mw_frame_compose for MW_FRAME_FIXED; max was checked. */
int mw_frame_fixed_compose(const struct mw_frame_format *f, const union mw_frame_value *values, size_t len,
                           struct mw_frame_wrap *out);

#endif
