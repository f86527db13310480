/* Fuzz target: lines of rules and questions; what the policy decides is what a plain look at every rule says, with an index and without.
 * Knows: policy/rule, policy/grant, policy/permit. Never: a rule or a question that would touch the file system.
 *
 * A line: one byte (kind, effect, rule or question), then text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/grant.h"
#include "policy/permit.h"

#define RULES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum mw_kind kinds[] = {MW_ENV, MW_SHARE, MW_SYS, MW_NET, MW_CONNECT, MW_LISTEN};

/* ---- A plain look ------------------------------------------------------------------------------------------------------------ */

/* How loud a rule speaks; three numbers, compared from the left; less than 0 at first: not at all. */
struct loud {
    long what, port;
};
struct dimension {
    struct loud best[2];         /* allow, deny */
};

static void hear(struct dimension *d, const struct mw_rule *r, long what, int port) {
    struct loud *b = &d->best[r->effect == MW_DENY];
    if (what > b->what || (what == b->what && port > b->port)) *b = (struct loud){what, port};
}
static int says_no(const struct dimension *d) {
    const struct loud *a = &d->best[0], *n = &d->best[1];
    return n->what >= 0 && !(a->what > n->what || (a->what == n->what && a->port > n->port));
}

static int bit(const struct mw_net_addr *a, unsigned i) {
    return a->bytes[i / 8] >> (7 - i % 8) & 1;
}
static int starts_with(const struct mw_net_addr *rule, const struct mw_net_addr *it) {
    if (rule->v6 != it->v6 || rule->bits > it->bits) return 0;
    for (unsigned i = 0; i < rule->bits; i++)
        if (bit(rule, i) != bit(it, i)) return 0;
    return 1;
}

static int ends_with(const char *host, const char *domain) {
    size_t n = strlen(host), d = strlen(domain);
    return n > d && host[n - d - 1] == '.' && n - d > 1 && strcmp(host + n - d, domain) == 0;
}

static long labels(const char *name) {
    long n = 1;
    while ((name = strchr(name, '.')) != NULL) n++, name++;
    return n;
}

static void hear_net(struct dimension d[3], const struct mw_rule *r, enum mw_kind kind, const char *host, const struct mw_net_addr *addr, int port) {
    struct mw_net_addr rule = r->addr, inner;
    int with_port = r->port >= 0;
    unsigned before;

    if ((r->kind != kind && r->kind != MW_NET) || (with_port && r->port != port)) return;
    if (kind == MW_CONNECT && r->form == MW_FORM_ADDR && mw_net_wild(&rule)) {
        if (rule.v6) rule.bytes[15] = 1;
        else memcpy(rule.bytes, "\x7f\0\0\1", 4);
    }
    switch (r->form) {
    case MW_FORM_EVERY:
    case MW_FORM_PORT: hear(&d[2], r, 1, with_port); break;
    case MW_FORM_HOST:
        if (host != NULL && strcmp(host, r->name) == 0) hear(&d[0], r, 2 * labels(r->name) + 1, with_port);
        if (addr == NULL || r->effect == MW_ALLOW || !mw_net_localhost(r->name) || (host != NULL && mw_net_localhost(host))) break;
        if (mw_net_loopback(addr)) hear(&d[1], r, addr->v6 ? 128 : 8, with_port);
        else if (kind == MW_LISTEN && mw_net_wild(addr)) hear(&d[1], r, 8, with_port);
        break;
    case MW_FORM_SUFFIX:
        if (host != NULL && ends_with(host, r->name)) hear(&d[0], r, 2 * labels(r->name), with_port);
        break;
    case MW_FORM_ADDR:
        if (addr == NULL) break;
        if (starts_with(&rule, addr)) hear(&d[1], r, rule.bits, with_port);
        if (r->effect == MW_ALLOW) break;
        if (kind == MW_LISTEN && mw_net_wild(addr) && (addr->v6 || !rule.v6)) hear(&d[1], r, rule.bits, with_port);
        before = mw_net_inner(addr, &inner);
        if (before != 0 && starts_with(&rule, &inner)) hear(&d[1], r, before + rule.bits, with_port);
        break;
    default: break;
    }
}

static int plain_net(struct mw_rule *const *rules, int count, enum mw_kind kind, const char *host, const struct mw_net_addr *addr, int port) {
    struct dimension d[3];

    memset(d, -1, sizeof d);
    for (int i = 0; i < count; i++) hear_net(d, rules[i], kind, host, addr, port);
    if (says_no(&d[0]) || says_no(&d[1])) return 0;
    if (d[0].best[0].what >= 0 || d[1].best[0].what >= 0) return 1;
    return !says_no(&d[2]) && d[2].best[0].what >= 0;
}

static int plain_name(struct mw_rule *const *rules, int count, enum mw_kind kind, const char *name) {
    struct dimension d;

    memset(&d, -1, sizeof d);
    for (int i = 0; i < count; i++) {
        const struct mw_rule *r = rules[i];
        if (r->kind != kind) continue;
        if (r->form == MW_FORM_EVERY) hear(&d, r, 0, 0);
        if (r->form == MW_FORM_NAME && strcmp(r->name, name) == 0) hear(&d, r, (long)strlen(name) + 1, 1);
        if (r->form == MW_FORM_PREFIX && strstr(name, r->name) == name) hear(&d, r, (long)strlen(r->name) + 1, 0);
    }
    return !says_no(&d) && d.best[0].what >= 0;
}

/* ---- The questions ------------------------------------------------------------------------------------------------------------- */

static void must_be(int got, int want, const char *subject) {
    if (got == want) return;
    fprintf(stderr, "%s: decided %d, plainly %d\n", subject, got, want);
    abort();
}

static void ask_net(mw_policy *p, struct mw_rule *const *rules, int count, const struct mw_rule *q) {
    enum mw_kind kind = q->kind == MW_LISTEN ? MW_LISTEN : MW_CONNECT;
    struct mw_net_addr addr = q->addr;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    static const struct mw_net_addr all[2] = {{0, 0, {0}}, {1, 0, {0}}}, here[2] = {{0, 32, {127, 0, 0, 1}}, {1, 128, {[15] = 1}}};
    int port = q->port >= 0 ? q->port : 80, got, want;
    struct mw_err err;

    if ((q->form != MW_FORM_ADDR || addr.bits != (addr.v6 ? 128u : 32u)) && q->form != MW_FORM_HOST) return;
    if (q->form == MW_FORM_HOST) { /* its address is made of its letters */
        memset(&addr, 0, sizeof addr);
        addr.bits = 32;
        addr.bytes[0] = 10;
        addr.bytes[3] = (unsigned char)q->name[0];
    }
    memcpy(&in.sin_addr, addr.bytes, 4);
    memcpy(&in6.sin6_addr, addr.bytes, 16);
    in.sin_port = in6.sin6_port = (in_port_t)(port >> 8 | (port & 255) << 8);
    got = addr.v6 ? mw_permit_addr(p, kind, q->name != NULL ? q->name : "::", (struct sockaddr *)&in6, sizeof in6, "net", &err) == 0
                  : mw_permit_addr(p, kind, q->name != NULL ? q->name : "0.0.0.0", (struct sockaddr *)&in, sizeof in, "net", &err) == 0;
    if (kind == MW_CONNECT && mw_net_wild(&addr)) {
        if (addr.v6) addr.bytes[15] = 1;
        else memcpy(addr.bytes, "\x7f\0\0\1", 4);
    }
    must_be(got, plain_net(rules, count, kind, q->name, &addr, port), q->text);
    if (got && mw_permit_host(p, kind, q->name != NULL ? q->name : addr.v6 ? "::1" : "127.0.0.1", port, "net", &err) == MW_EINVAL) abort();
    if (q->port < 0) return;
    want = plain_net(rules, count, kind, q->name, q->form == MW_FORM_ADDR ? &addr : NULL, port);
    for (int i = 0; i < 2 && q->form == MW_FORM_HOST && !want; i++) /* a name that no rule names: by all addresses, or this machine's */
        want = plain_net(rules, count, kind, q->name, mw_net_localhost(q->name) ? &here[i] : &all[i], port);
    must_be(mw_policy_query(p, kind, q->text) == MW_GRANTED, want, q->text);
}

static void ask(mw_policy *p, struct mw_rule *const *rules, int count, const struct mw_rule *q) {
    struct mw_err err;
    int want;

    if (q->kind == MW_NET || q->kind == MW_CONNECT || q->kind == MW_LISTEN) {
        ask_net(p, rules, count, q);
        return;
    }
    if (q->form != MW_FORM_NAME || (q->kind == MW_SHARE && strlen(q->name) > 254)) return;
    want = plain_name(rules, count, q->kind, q->name);
    must_be(mw_permit_text(p, q->kind, q->text, "test", &err) == 0, want, q->text);
    must_be(mw_policy_query(p, q->kind, q->text) == MW_GRANTED, want, q->text);
}

static void both_ways(mw_policy *p, struct mw_rule *const *rules, int count, const struct mw_rule *q) {
    struct mw_layer *l = p->layers;
    struct mw_index *kept[MW_KINDS];

    ask(p, rules, count, q);
    memcpy(kept, l->index, sizeof kept);
    memset(l->index, 0, sizeof l->index);
    ask(p, rules, count, q);
    memcpy(l->index, kept, sizeof kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mw_rule *rules[RULES_MAX];
    struct mw_err err;
    mw_policy *p = NULL;
    int count = 0;

    if (mw_policy_new(&p, &err) != 0) return 0;
    while (size > 1) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t line = end != NULL ? (size_t)(end - data) : size;
        enum mw_kind kind = kinds[data[0] % 6];
        int question = (data[0] & 0x40) != 0 && (data[0] & 0x20) != 0, bare = line == 1;
        struct mw_rule *r = NULL;
        if (line > 0 && mw_rule_parse(kind, data[0] & 0x80 ? MW_DENY : MW_ALLOW, bare ? NULL : (const char *)data + 1, line - 1, &r, &err) == 0) {
            if (question) {
                both_ways(p, rules, count, r);
                mw_rule_free(r);
            } else if (mw_rule_has_spot(r) || count == RULES_MAX) {
                mw_rule_free(r);
            } else {
                if (mw_policy_add_one(p, kind, r->effect, r->text, &err) != 0) abort();
                rules[count++] = r;
            }
        }
        data += line + (end != NULL);
        size -= line + (end != NULL);
    }
    for (int i = 0; i < count; i++) both_ways(p, rules, count, rules[i]); /* each rule's own text is a question */
    for (int i = 0; i < count; i++) mw_rule_free(rules[i]);
    mw_policy_free(p);
    return 0;
}
