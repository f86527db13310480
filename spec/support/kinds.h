/* The kinds of preemption that a loop is stopped under, and the limit of a step that leaves it to them.
 * Knows: moonwire.h. Never: a test. */
#ifndef SPEC_SUPPORT_KINDS_H
#define SPEC_SUPPORT_KINDS_H

#include "moonwire.h"

#ifdef __SANITIZE_THREAD__ /* which keeps signals back from a loop */
static const enum mw_preempt kinds[] = {MW_PREEMPT_COUNT};
#define STEP_NS 0
#else
static const enum mw_preempt kinds[] = {MW_PREEMPT_NONE, MW_PREEMPT_COUNT, MW_PREEMPT_TIMER};
#define STEP_NS MW_LIMIT_OFF
#endif

#endif
