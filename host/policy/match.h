/* Matching: how well one rule fits one target. Pure: no system call, no memory.
 * Knows: rules and trails. Never: layers, effects (grant.c weighs allow against deny). */
#ifndef MW_POLICY_MATCH_H
#define MW_POLICY_MATCH_H

#include "policy/rule.h"
#include "policy/walk.h"

/* What is asked for. Each kind reads its own part. */
struct mw_target {
    enum mw_kind kind;
    /* read, write, ffi; Unix sockets by path */
    const struct mw_trail *trail;
    int by_name;                 /* the name is meant, not the object that it leads to */
    int forbidden;               /* what only "everything" opens: /proc, /sys, most of /dev */
    int module;                  /* read: a Lua module, free below the module directories */
    /* net */
    const char *host;            /* canonical host name; NULL: none */
    const struct mw_net_addr *addr; /* NULL: none */
    const char *abstract;        /* "unix:@name" without the '@'; NULL: none */
    int unresolved;              /* the name's addresses are not known yet: a grant of any address may come to fit */
    int port;                    /* MW_ANY_PORT: every port is meant */
    int some_port;               /* any one port that is granted will do: only the name is looked up */
    int before;                  /* before resolution: the addresses are asked about in the same name */
    int wild;                    /* listening on every address of the family: a denial of any one of them counts */
    /* run */
    const struct mw_node *node;  /* the program; NULL: none */
    const char *program;         /* its path without links */
    /* env, sys, share */
    const char *name;
    int prefix;                  /* all names that begin with it are meant */
    /* everything of the kind is meant */
    int every;
};

/* How specific a fit is; higher is more specific, 0 is no fit. Fits of one dimension compare with one another. */
struct mw_fit {
    unsigned plain;              /* paths, programs, names; of net rules those without a host: the bare flag and ":port" */
    unsigned host, addr;         /* net: by name, by address */
};

/* 0 or more in each dimension of `fit`. A denial fits what it names in more ways than a grant does: also where the object's
 * number is unknown, by its place. */
void mw_match(const struct mw_rule *r, const struct mw_target *t, struct mw_fit *fit);

/* The step of the trail at which the rule's place stands: 1 + its index; 0: the trail does not lead through it. */
unsigned mw_match_place(const struct mw_place_id *place, const struct mw_trail *trail);

#endif
