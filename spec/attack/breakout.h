/* What the parts of `breakout` share: one attempt is one function of its arguments.
 * Knows: nothing. Never: is linked with moonwire. */
#ifndef BREAKOUT_H
#define BREAKOUT_H

#include <errno.h>

/* argv: what follows the attempt's name; argc of them. Returns 0 (it came through) or a negative errno. */
typedef int attempt_fn(int argc, char **argv);
struct attempt {
    const char *name;
    attempt_fn *run;
};
extern const struct attempt files_attempts[], process_attempts[], net_attempts[], system_attempts[]; /* a NULL name ends each */

/* The n-th argument, or `other`. */
const char *word_at(int argc, char **argv, int n, const char *other);
int number_at(int argc, char **argv, int n, int other);
static inline int answer(long rc) { return rc < 0 ? -errno : 0; }

#endif
