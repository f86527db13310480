/* What of the net rights a kernel can hold: TCP by port, and whether there may be other sockets at all.
 * Knows: net rules. Never: a host name (our own check's alone). */
#include <string.h>

#include "policy/confine_parts.h"

/* ---- Whole ports ---------------------------------------------------------------------------------------------------------------- */

static int is_host(const struct mw_rule *r) {
    return r->form == MW_FORM_HOST || r->form == MW_FORM_SUFFIX || r->form == MW_FORM_ADDR;
}
static int is_ip(const struct mw_rule *r) {
    return is_host(r) || r->form == MW_FORM_PORT || r->form == MW_FORM_EVERY;
}

/* A denial that some host at the port (-1: any) could meet. */
static int denied_somewhere(const struct mw_rule *r, int port) {
    for (; r != NULL; r = r->next) {
        if (r->effect != MW_DENY || !is_ip(r)) continue;
        if (port < 0 || (is_host(r) && (r->port == MW_ANY_PORT || r->port == port))) return 1;
    }
    return 0;
}

int mw_confine_covers_port(const mw_policy *p, enum mw_kind kind, int port) {
    struct mw_target t = {.kind = kind, .port = port >= 0 ? port : MW_ANY_PORT, .every = port < 0};
    struct mw_decision d;
    int k;

    mw_decide(p, &t, &d);
    if (d.verdict != MW_YES) return 0;
    for (unsigned i = 0; (k = mw_kind_next(kind, i)) >= 0; i++) {
        if (denied_somewhere(p->drops.rules[k], port)) return 0;
        for (const struct mw_layer *l = p->layers; l != NULL; l = l->next)
            if (denied_somewhere(l->rules[k], port)) return 0;
    }
    return 1;
}

/* ---- What is asked of the rules --------------------------------------------------------------------------------------------------- */

static int any_ip(const struct mw_rule *r, const void *ud) {
    (void)ud;
    return is_ip(r);
}
static int any_port(const struct mw_rule *r, const void *ud) {
    (void)ud;
    return is_ip(r) && r->port == MW_ANY_PORT;
}
static int this_port(const struct mw_rule *r, const void *port) {
    return is_ip(r) && (r->port == MW_ANY_PORT || r->port == *(const int *)port);
}
static int any_unix(const struct mw_rule *r, const void *ud) {
    (void)ud;
    return r->form == MW_FORM_EVERY || r->form == MW_FORM_SOCKET || r->form == MW_FORM_SOCKETS || r->form == MW_FORM_ABSTRACT;
}
static int any_abstract(const struct mw_rule *r, const void *ud) {
    (void)ud;
    return r->form == MW_FORM_EVERY || r->form == MW_FORM_ABSTRACT;
}
static int any_rule(const struct mw_rule *r, const void *ud) {
    (void)r;
    (void)ud;
    return 1;
}

/* As mw_decide_any, but a kind that was dropped as a whole grants nothing. */
static int grants_any(const struct mw_policy *p, enum mw_kind kind, int (*wanted)(const struct mw_rule *, const void *), const void *ud) {
    int k;

    for (unsigned i = 0; (k = mw_kind_next(kind, i)) >= 0; i++)
        for (const struct mw_rule *r = p->drops.rules[k]; r != NULL; r = r->next)
            if (r->form == MW_FORM_EVERY) return 0;
    return mw_decide_any(p, kind, wanted, ud);
}

static int either(const struct mw_policy *p, int (*wanted)(const struct mw_rule *, const void *)) {
    return grants_any(p, MW_CONNECT, wanted, NULL) || grants_any(p, MW_LISTEN, wanted, NULL);
}

/* 1: every port of the direction, so that Landlock has nothing to hold. */
static int all_ports(const struct mw_cage_build *b, enum mw_kind kind) {
    const struct mw_cage_wish *w = b->wish;

    if ((kind == MW_CONNECT ? w->connect : w->listen) != NULL) return 0;
    if (w->who == MW_CAGE_PROGRAM) return mw_confine_covers_port(b->policy, kind, -1);
    return grants_any(b->policy, kind, any_port, NULL);
}

/* fn for each port of the direction that is granted; returns how many. */
static int each_port(struct mw_cage_build *b, enum mw_kind kind, int (*fn)(struct mw_cage_build *, uint64_t, unsigned), uint64_t access, int *rc) {
    const struct mw_cage_wish *w = b->wish;
    const uint16_t *given = kind == MW_CONNECT ? w->connect : w->listen;
    size_t count = kind == MW_CONNECT ? w->connect_count : w->listen_count;
    int n = 0, k;

    if (given != NULL) {
        for (size_t i = 0; i < count && *rc == 0; i++, n++) *rc = fn != NULL ? fn(b, access, given[i]) : 0;
        return n;
    }
    for (const struct mw_layer *l = b->policy->layers; l != NULL; l = l->next)
        for (unsigned i = 0; (k = mw_kind_next(kind, i)) >= 0; i++)
            for (const struct mw_rule *r = l->rules[k]; r != NULL && *rc == 0; r = r->next) {
                if (r->effect != MW_ALLOW || !is_ip(r) || r->port == MW_ANY_PORT) continue;
                if (w->who == MW_CAGE_PROGRAM ? !mw_confine_covers_port(b->policy, kind, r->port)
                                              : !grants_any(b->policy, kind, this_port, &r->port))
                    continue;
                *rc = fn != NULL ? fn(b, access, (unsigned)r->port) : 0;
                n++;
            }
    return n;
}

static int has_port(struct mw_cage_build *b, enum mw_kind kind) {
    int rc = 0;
    return all_ports(b, kind) || each_port(b, kind, NULL, 0, &rc) > 0;
}

/* ---- Into the cage ------------------------------------------------------------------------------------------------------------------ */

void mw_cage_net_handled(struct mw_cage_build *b) {
    const struct mw_cage_wish *w = b->wish;

    b->unix_sockets = w->who == MW_CAGE_PROGRAM ? w->unix_sockets : either(b->policy, any_unix);
    if (w->abi >= 4) {
        if (!all_ports(b, MW_CONNECT)) b->handled_net |= LL_NET_CONNECT;
        if (!all_ports(b, MW_LISTEN)) b->handled_net |= LL_NET_BIND;
    }
    if (w->abi >= 6) {
        b->scoped = LL_SCOPE_SIGNAL;
        if (!b->unix_sockets || !either(b->policy, any_abstract)) b->scoped |= LL_SCOPE_ABSTRACT;
    }
}

int mw_cage_net_ports(struct mw_cage_build *b) {
    int rc = 0;

    if ((b->handled_net & LL_NET_CONNECT) != 0) each_port(b, MW_CONNECT, mw_cage_allow_port, LL_NET_CONNECT, &rc);
    if ((b->handled_net & LL_NET_BIND) != 0) each_port(b, MW_LISTEN, mw_cage_allow_port, LL_NET_BIND, &rc);
    return rc;
}

static int sees_interfaces(const struct mw_policy *p) {
    struct mw_target t = {.kind = MW_SYS, .port = MW_ANY_PORT, .name = "networkInterfaces"};
    struct mw_decision d;

    mw_decide(p, &t, &d);
    return d.verdict == MW_YES;
}

/* 1: every file may be read, with no exception. */
static int reads_all(const struct mw_policy *p) {
    if (mw_policy_query(p, MW_READ, NULL) != MW_GRANTED) return 0;
    for (const struct mw_rule *r = p->drops.rules[MW_READ]; r != NULL; r = r->next)
        if (r->effect == MW_DENY) return 0;
    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next)
        for (const struct mw_rule *r = l->rules[MW_READ]; r != NULL; r = r->next)
            if (r->effect == MW_DENY) return 0;
    return 1;
}

unsigned mw_cage_filter_flags(struct mw_cage_build *b) {
    const struct mw_cage_wish *w = b->wish;
    const struct mw_policy *p = b->policy;
    int script = w->who == MW_CAGE_SCRIPT, connect = has_port(b, MW_CONNECT), listen = has_port(b, MW_LISTEN);
    unsigned flags = 0;

    if (w->abi < 4 && !script) { /* no ports to Landlock: everything or nothing */
        connect = all_ports(b, MW_CONNECT);
        listen = connect && all_ports(b, MW_LISTEN);
    }
    if (connect || listen) flags |= MW_FILTER_TCP;
    if (listen || b->unix_sockets) flags |= MW_FILTER_LISTEN;    /* a Unix socket's name is its file's, or checked by the script's C half */
    if (script ? either(p, any_ip) : all_ports(b, MW_CONNECT) && all_ports(b, MW_LISTEN)) flags |= MW_FILTER_UDP;
    if (b->unix_sockets) flags |= MW_FILTER_UNIX;
    if (w->metadata || grants_any(p, MW_WRITE, any_rule, NULL)) flags |= MW_FILTER_METADATA;
    if (script ? grants_any(p, MW_READ, any_rule, NULL) : reads_all(p)) flags |= MW_FILTER_WATCH;    /* a script's C half knows the folder */
    if (sees_interfaces(p)) flags |= MW_FILTER_NETLINK;
    if (w->one_process) flags |= MW_FILTER_ONE_PROCESS;
    if (w->abi < 3) flags |= MW_FILTER_OLD_TRUNCATE;
    if (w->abi < 6) flags |= MW_FILTER_OLD_SIGNALS;
    return flags;
}
