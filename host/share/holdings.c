/* What one host holds of shared memory.
 * Knows: core/host, share/faults, base/limits. Never: maps anything. */
#include "share/holdings.h"

#include <stdio.h>
#include <stdlib.h>

#include "share/futex.h"

static const char slot_key;

static void on_teardown(struct mw_handle *handle) {
    struct mw_holdings *it = MW_LIST_ENTRY(handle, struct mw_holdings, handle);

    if (!it->last) {             /* workers that end only now may still fault */
        it->last = 1;
        mw_host_adopt(it->host, handle, on_teardown);
        return;
    }
    mw_futexes_end(it->futexes);
    it->futexes = NULL;
    mw_host_slot_set(it->host, &slot_key, NULL);
    it->host = NULL;
    mw_holdings_drop(it);
}

struct mw_holdings *mw_holdings_of(mw_host *h, const char *op, struct mw_err *err) {
    struct mw_holdings *it = mw_host_slot(h, &slot_key);

    if (it != NULL) {
        it->refs++;
        return it;
    }
    if (mw_host_closing(h)) {
        mw_err_set(err, MW_ECLOSED, op, NULL, "the host is shutting down");
        return NULL;
    }
    it = calloc(1, sizeof *it);
    if (it == NULL || mw_host_slot_set(h, &slot_key, it) < 0) {
        mw_err_set(err, MW_ENOMEM, op, NULL, NULL);
        free(it);
        return NULL;
    }
    it->host = h;
    it->refs = 2;
    mw_list_init(&it->waiting);
    mw_host_adopt(h, &it->handle, on_teardown);
    return it;
}

void mw_holdings_drop(struct mw_holdings *it) {
    if (--it->refs > 0) return;
    mw_faults_drop(it->faults);
    free(it);
}

int mw_share_catch(mw_host *h, mw_faults *faults, struct mw_err *err) {
    struct mw_holdings *it = mw_holdings_of(h, "shm", err);
    int rc = 0;

    if (it == NULL) return MW_ENOMEM;
    if (it->faults == NULL) it->faults = faults != NULL ? mw_faults_hold(faults) : mw_faults_new();
    if (it->faults == NULL) rc = mw_err_set(err, MW_ENOMEM, "shm", NULL, NULL);
    mw_holdings_drop(it);
    return rc;
}

mw_faults *mw_share_faults(mw_host *h) {
    struct mw_holdings *it = mw_host_slot(h, &slot_key);
    return it != NULL && it->faults != NULL ? mw_faults_hold(it->faults) : NULL;
}

int mw_share_mend(const mw_host *h, const void *at) {
    struct mw_holdings *it = mw_host_slot(h, &slot_key);
    return it != NULL && it->faults != NULL && mw_faults_mend(it->faults, at);
}

int mw_holdings_take(struct mw_holdings *it, uint64_t bytes, const char *op, const char *subject, struct mw_err *err) {
    uint64_t all = mw_host_limits(it->host)->shared;
    char one[32], most[32], held[32], what[160];

    if (bytes > all / 4) {
        snprintf(what, sizeof what, "%s are asked for, at most %s are allowed", mw_limits_show(MW_LIMIT_BYTES, bytes, one, sizeof one),
                 mw_limits_show(MW_LIMIT_BYTES, all / 4, most, sizeof most));
        return mw_host_limit_reached(it->host, err, op, subject, "shared", what);
    }
    if (bytes > all - it->bytes) {
        snprintf(what, sizeof what, "%s of shared memory are held, with %s more they would be above %s",
                 mw_limits_show(MW_LIMIT_BYTES, it->bytes, held, sizeof held), mw_limits_show(MW_LIMIT_BYTES, bytes, one, sizeof one),
                 mw_limits_show(MW_LIMIT_BYTES, all, most, sizeof most));
        return mw_host_limit_reached(it->host, err, op, subject, "shared", what);
    }
    it->bytes += bytes;
    return 0;
}

void mw_holdings_give(struct mw_holdings *it, uint64_t bytes) {
    it->bytes -= bytes;
}
