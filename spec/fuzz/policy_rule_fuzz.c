/* Fuzz target: any bytes as a rule of any kind. What is accepted fits itself, and its own text parses to the same.
 * Knows: policy/rule, policy/match. Never: looks a path up. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mw_rule *a = NULL, *b = NULL;
    struct mw_target t;
    struct mw_fit fit;
    struct mw_err err;
    enum mw_kind kind;

    if (size == 0) return 0;
    kind = (enum mw_kind)(data[0] % MW_KINDS);
    if (mw_rule_parse(kind, data[0] & 0x80 ? MW_DENY : MW_ALLOW, (const char *)data + 1, size - 1, &a, &err) != 0) {
        if (err.code != MW_EINVAL || strstr(err.what, "column") == NULL) abort();
        return 0;
    }
    if (mw_rule_parse(kind, a->effect, a->text, strlen(a->text), &b, &err) != 0) abort();
    if (a->form != b->form || a->port != b->port || memcmp(&a->addr, &b->addr, sizeof a->addr) != 0) abort();
    if ((a->name == NULL) != (b->name == NULL) || (a->name != NULL && strcmp(a->name, b->name) != 0)) abort();
    memset(&t, 0, sizeof t);
    t.kind = kind;
    t.port = a->port;
    t.addr = a->form == MW_FORM_ADDR ? &a->addr : NULL;
    t.host = a->form == MW_FORM_HOST ? a->name : NULL;
    t.abstract = a->form == MW_FORM_ABSTRACT ? a->name : NULL;
    t.name = a->form == MW_FORM_NAME ? a->name : NULL;
    if (kind == MW_CONNECT && t.addr != NULL && mw_net_wild(t.addr)) t.kind = MW_LISTEN; /* as a destination it is another address */
    mw_match(a, &t, &fit);
    if ((t.addr || t.host || t.abstract || t.name || a->form == MW_FORM_PORT) && fit.plain == 0 && fit.host == 0 && fit.addr == 0) abort();
    mw_rule_free(a);
    mw_rule_free(b);
    return 0;
}
