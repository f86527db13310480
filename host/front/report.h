/* What the program says on standard error.
 * Knows: moonwire.h.
 * Never: standard output; the memory allocator. */
#ifndef MW_FRONT_REPORT_H
#define MW_FRONT_REPORT_H

#include "moonwire.h"

/* "moonwire: what", and where help is: a wrong command line. */
void mw_report_usage(const struct mw_err *err);

/* "moonwire: message": something failed before or beside a script. */
void mw_report_failure(const struct mw_err *err);

/* A right that cannot be read: the argument, what is wrong with it, and a mark below the character. */
void mw_report_rule(const char *arg, const struct mw_err *err);

/* An error that nobody caught, for mw_config's on_error: one line, then the traceback (NULL: none). */
void mw_report_uncaught(mw_host *h, const struct mw_err *err, const char *traceback, void *ud);

/* From now on all of it goes to `to` instead of standard error; NULL: back. */
void mw_report_to(void (*to)(void *ud, const char *text, size_t len), void *ud);
int mw_report_colours(void);     /* 1: what is reported is coloured */

/* "moonwire: " and a formatted line, for what is no error object. */
void mw_report_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
