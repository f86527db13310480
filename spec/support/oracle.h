/* A decision procedure that is plain and slow: it looks at every rule in turn and asks of each whether any other speaks louder. What a
 * rule is worth to a subject, the test that includes this says (fit).
 * Knows: the policy's face. Never: how the policy decides. */
#ifndef SPEC_SUPPORT_ORACLE_H
#define SPEC_SUPPORT_ORACLE_H

#include <stdint.h>

#include "policy/permit.h"
#include "support/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define ORACLE_SLOWER 10         /* fewer rounds */
#else
#define ORACLE_SLOWER 1
#endif

static uint64_t oracle_seed = 88172645463325252u;
static unsigned any(unsigned n) { /* xorshift: the same numbers every run */
    oracle_seed ^= oracle_seed << 13;
    oracle_seed ^= oracle_seed >> 7;
    oracle_seed ^= oracle_seed << 17;
    return (unsigned)(oracle_seed % n);
}

enum { NO, SILENT, YES };

#define SAID_MAX 28

/* One layer of rules as text, kept beside the real policy. */
struct said {
    int kind, deny, every;
    char text[96];
    void *more;                  /* what a test found out about it */
};
struct layer {
    struct said rule[SAID_MAX];
    int count;
};
struct world {
    struct layer layer[3];       /* 0, 1: closed layers; 2: drops */
    int layers, drops;
    mw_policy *p;
};

/* Fits: how loud a rule speaks of a subject, compared from the left; first 0: not at all. */
struct loud {
    int fits, host, port;
};
static int louder(struct loud a, struct loud b) {
    return a.host != b.host ? a.host > b.host : a.port > b.port;
}

/* Of the rules that fit by `fit`: does a denial stand that no grant is louder than? Is there a grant? */
static int weigh(const struct layer *l, const void *subject, struct loud (*fit)(const struct said *, const void *)) {
    struct loud loud[SAID_MAX];
    int grant = 0;

    for (int i = 0; i < l->count; i++) loud[i] = fit(&l->rule[i], subject);
    for (int i = 0; i < l->count; i++) {
        int beaten = 0;
        if (!loud[i].fits) continue;
        if (!l->rule[i].deny) grant = 1;
        for (int j = 0; j < l->count && l->rule[i].deny; j++)
            if (loud[j].fits && !l->rule[j].deny && louder(loud[j], loud[i])) beaten = 1;
        if (l->rule[i].deny && !beaten) return NO;
    }
    return grant ? YES : SILENT;
}

/* Random rules: mostly few, so that they decide; sometimes many, so that they are indexed. */
static void world_new(struct world *w, const int kinds[], int nkinds, void (*text)(char *)) {
    struct mw_err err;
    unsigned most = any(5) == 0 ? SAID_MAX : 6;

    memset(w, 0, sizeof *w);
    w->layers = 1 + (any(4) == 0);
    w->drops = any(5) == 0;
    REQUIRE(mw_policy_new(&w->p, &err) == 0);
    for (int n = 0; n < w->layers + w->drops; n++) {
        struct layer *l = n < w->layers ? &w->layer[n] : &w->layer[2];
        int dropping = n >= w->layers;
        l->count = 1 + (int)any(dropping ? 2 : most);
        if (n == 1 && !dropping) REQUIRE(mw_policy_narrow(w->p, &err) == 0);
        for (int i = 0; i < l->count; i++) {
            struct said *r = &l->rule[i];
            int rc;
            r->kind = kinds[any((unsigned)nkinds)];
            r->deny = dropping || any(3) == 0;
            r->every = any(12) == 0;
            text(r->text);
            rc = dropping ? mw_policy_drop(w->p, (enum mw_kind)r->kind, r->every ? NULL : r->text, &err)
                          : mw_policy_add_one(w->p, (enum mw_kind)r->kind, r->deny ? MW_DENY : MW_ALLOW, r->every ? NULL : r->text, &err);
            if (rc < 0) printf("# %s\n", err.message);
            REQUIRE(rc == 0);
        }
    }
}

/* All layers say yes, and no drop says no. */
static int all_say(const struct world *w, const void *subject, int (*layer_says)(const struct layer *, const void *)) {
    for (int n = 0; n < w->layers; n++)
        if (layer_says(&w->layer[n], subject) != YES) return 0;
    return !w->drops || layer_says(&w->layer[2], subject) != NO;
}

static void tell(const struct world *w, const char *subject, int got) {
    printf("# %s: %s\n", subject, got ? "granted" : "denied");
    for (int n = 0; n < 3; n++) {
        if (n < w->layers ? 0 : n < 2 || !w->drops) continue;
        for (int i = 0; i < w->layer[n].count; i++) {
            const struct said *r = &w->layer[n].rule[i];
            printf("#   layer %d: %s %s %s\n", n, r->deny ? "deny" : "allow", mw_kind_name((enum mw_kind)r->kind), r->every ? "(all)" : r->text);
        }
    }
}

#endif
