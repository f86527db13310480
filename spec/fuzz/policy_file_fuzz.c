/* Fuzz target: any bytes as a policy file. What is refused says where; what is accepted grants nothing that it does not name.
 * Knows: policy. Never: opens for more than O_PATH. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mw_policy *p = NULL;
    struct mw_err err;
    unsigned line, column;

    if (mw_policy_new(&p, &err) != 0) return 0;
    if (mw_policy_add_json(p, (const char *)data, size, "/tmp", &err) == 0) {
        if (mw_policy_add_all(p, &err) != 0 || mw_policy_is_total(p)) abort();
        if (mw_policy_query(p, MW_READ, "/proc/self/mem") == MW_GRANTED) abort();
        for (int k = 0; k < MW_KINDS; k++)
            if (mw_policy_query(p, (enum mw_kind)k, NULL) == MW_GRANTED && memmem(data, size, "true", 4) == NULL) abort();
    } else if (err.code != MW_ENOMEM && sscanf(err.what, "%u:%u: ", &line, &column) != 2) {
        abort();
    }
    mw_policy_free(p);
    return 0;
}
