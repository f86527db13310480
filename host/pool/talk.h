/* What a pool and its worker processes say to each other: requests one way, answers the other. Two ends of one build: numbers
 * are as the machine has them.
 * Knows: base. Never: the values inside; trusts a length. */
#ifndef MW_POOL_TALK_H
#define MW_POOL_TALK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

#define MW_POOL_NAME_MAX     255u
#define MW_POOL_MESSAGE_MAX  (16u << 20) /* bytes of a request's or answer's value, unless the options say otherwise */
#define MW_POOL_MESSAGE_MOST (1u << 30)
#define MW_POOL_ERROR_ROOM   (64u << 10) /* an error may have so many bytes above the limit of an answer */
#define MW_POOL_VERSION      2u

struct mw_pool_request {
    uint32_t len; /* bytes behind this header: the name, then the value */
    uint32_t seq, epoch;
    uint32_t name_len;
    uint32_t number; /* of the call, for traces */
};

enum mw_pool_answer_kind {
    MW_POOL_HELLO = 1, /* the worker serves; seq is MW_POOL_VERSION */
    MW_POOL_OK,        /* what the handler returned, one value after another */
    MW_POOL_RAISED,    /* it raised: the error and its traceback */
    MW_POOL_SKIPPED,   /* the task had been taken back */
    MW_POOL_KINDS,
    MW_POOL_REFUSED = MW_POOL_KINDS, /* never sent: what our own keeper raised, for the caller to raise */
};
struct mw_pool_answer {
    uint32_t len; /* bytes behind this header */
    uint32_t seq;
    uint64_t run_ns;
    uint32_t kind, pad;
};

/* 1: a whole message, whose header is in *out and whose bytes follow it at at + sizeof *out; 0: more bytes are needed (*need in all);
 * MW_EFRAME: no message of ours, or one longer than max. */
int mw_pool_request_parse(const char *at, size_t len, size_t max, struct mw_pool_request *out, size_t *need);
int mw_pool_answer_parse(const char *at, size_t len, size_t max, struct mw_pool_answer *out, size_t *need);

#endif
