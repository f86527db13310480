/* What a pool and its worker processes say to each other: headers, read once and checked.
 * Knows: base. Never: the values inside; trusts a length. */
#include "pool/talk.h"

int mw_pool_request_parse(const char *at, size_t len, size_t max, struct mw_pool_request *out, size_t *need) {
    *need = sizeof *out;
    if (len < sizeof *out) return 0;
    memcpy(out, at, sizeof *out);
    if (out->name_len > MW_POOL_NAME_MAX || out->name_len > out->len || out->len - out->name_len > max)
        return MW_EFRAME;
    *need = sizeof *out + out->len;
    return len >= *need;
}

int mw_pool_answer_parse(const char *at, size_t len, size_t max, struct mw_pool_answer *out, size_t *need) {
    *need = sizeof *out;
    if (len < sizeof *out) return 0;
    memcpy(out, at, sizeof *out);
    if (out->kind < MW_POOL_HELLO || out->kind >= MW_POOL_KINDS || out->pad != 0 || out->len > max) return MW_EFRAME;
    if (out->kind == MW_POOL_HELLO && (out->seq != MW_POOL_VERSION || out->len != 0)) return MW_EFRAME;
    if (out->kind == MW_POOL_SKIPPED && out->len != 0) return MW_EFRAME;
    *need = sizeof *out + out->len;
    return len >= *need;
}
