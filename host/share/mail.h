/* Letters to a host: other threads leave them, its own takes them, in order. Bounded; without a lock.
 * Knows: base, core. Never: what a letter says; Lua. */
#ifndef MW_SHARE_MAIL_H
#define MW_SHARE_MAIL_H

#include <stddef.h>

#include "base/err.h"
#include "core/host.h"

typedef struct mw_mail mw_mail;

/* Counted by the host's thread; whoever takes one has a reference. */
struct mw_letter {
    struct mw_letter *next;
    const char *topic;          /* ends with NUL */
    const char *at;             /* its bytes */
    size_t len;
    unsigned refs;
};

/* count, bytes: that letters which are not dropped yet may be. Given. */
int mw_mail_open(mw_host *h, size_t count, size_t bytes, mw_mail **out, struct mw_err *err);
/* Nothing more comes, nobody is woken; what is left is dropped. Safe to repeat. */
void mw_mail_close(mw_mail *m);
void mw_mail_free(mw_mail *m);          /* when no letter is left; NULL is fine */

/* Any thread: copies. MW_EAGAIN: there are as many as there may be; MW_ELIMIT: it alone is too long; MW_ECLOSED. */
int mw_mail_post(mw_mail *m, const char *topic, const void *at, size_t len, struct mw_err *err);

/* The host's thread, from here on. 1 if something came: some nanoseconds. */
int mw_mail_waits(mw_mail *m);
/* 1: whoever posts has to wake the host. See core/source.h. */
void mw_mail_asleep(mw_mail *m, int asleep);
/* All that came, the oldest first; NULL: nothing. */
struct mw_letter *mw_mail_take(mw_mail *m);
/* One reference less: the last makes room for another. */
void mw_letter_drop(mw_mail *m, struct mw_letter *it);

#endif
