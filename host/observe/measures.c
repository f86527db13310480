/* What a host counts of itself: where codes are counted.
 * Knows: base/err. Never: a clock. */
#include "observe/measures.h"

enum { OURS = -5001, EAI = -3000 };

unsigned mw_measures_place(int code) {
    if (code < 0 && code > -MW_MEASURES_ERRNO) return (unsigned)-code;
    if (code <= OURS && code > OURS - MW_MEASURES_OURS) return MW_MEASURES_ERRNO + (unsigned)(OURS - code);
    if (code <= EAI && code > EAI - MW_MEASURES_EAI) return MW_MEASURES_ERRNO + MW_MEASURES_OURS + (unsigned)(EAI - code);
    return 0;
}

int mw_measures_code(unsigned place) {
    if (place < MW_MEASURES_ERRNO) return -(int)place;
    place -= MW_MEASURES_ERRNO;
    if (place < MW_MEASURES_OURS) return OURS - (int)place;
    return EAI - (int)(place - MW_MEASURES_OURS);
}
