/* The decision procedure against an oracle that is plain and slow: it looks at every rule in turn and asks of each whether any other
 * speaks louder. Random rule sets over a small world, so that rules collide often. And: query says what enforcement does. */
#include "policy/permit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>

#include "support/check.h"

static struct mw_err err;

static uint64_t seed = 88172645463325252u;
static unsigned any(unsigned n) { /* xorshift: the same numbers every run */
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

enum { NO, SILENT, YES };

/* One layer of rules as text, kept beside the real policy. */
struct said {
    int kind, deny, every;
    char text[64];
};
struct layer {
    struct said rule[6];
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
    int grant = 0;

    for (int i = 0; i < l->count; i++) {
        struct loud a = fit(&l->rule[i], subject);
        int beaten = 0;
        if (!a.fits) continue;
        if (!l->rule[i].deny) grant = 1;
        for (int j = 0; j < l->count && l->rule[i].deny; j++) {
            struct loud b = fit(&l->rule[j], subject);
            if (b.fits && !l->rule[j].deny && louder(b, a)) beaten = 1;
        }
        if (l->rule[i].deny && !beaten) return NO;
    }
    return grant ? YES : SILENT;
}

static void world_new(struct world *w, int kinds[], int nkinds, void (*text)(char *)) {
    w->layers = 1 + (any(4) == 0);
    w->drops = any(5) == 0;
    REQUIRE(mw_policy_new(&w->p, &err) == 0);
    for (int n = 0; n < w->layers + w->drops; n++) {
        struct layer *l = n < w->layers ? &w->layer[n] : &w->layer[2];
        int dropping = n >= w->layers;
        l->count = 1 + (int)any(dropping ? 2 : 6);
        if (n == 1 && !dropping) REQUIRE(mw_policy_narrow(w->p, &err) == 0);
        for (int i = 0; i < l->count; i++) {
            struct said *r = &l->rule[i];
            r->kind = kinds[any((unsigned)nkinds)];
            r->deny = dropping || any(3) == 0;
            r->every = any(12) == 0;
            text(r->text);
            if (dropping) REQUIRE(mw_policy_drop(w->p, (enum mw_kind)r->kind, r->every ? NULL : r->text, &err) == 0);
            else REQUIRE(mw_policy_add_one(w->p, (enum mw_kind)r->kind, r->deny ? MW_DENY : MW_ALLOW, r->every ? NULL : r->text, &err) == 0);
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

/* ---- Names ------------------------------------------------------------------------------------------------------------------ */

static void some_name(char *out) {
    int n = 1 + (int)any(4);
    for (int i = 0; i < n; i++) out[i] = "AB"[any(2)];
    out[n] = 0;
    if (any(2) == 0) strcat(out, "*");
}
static struct loud name_fits(const struct said *r, const void *subject) {
    size_t n = strlen(r->text);
    if (r->every) return (struct loud){1, 0, 0};
    if (r->text[n - 1] == '*') return (struct loud){strncmp(r->text, subject, n - 1) == 0, (int)n - 1, 0};
    return (struct loud){strcmp(r->text, subject) == 0, (int)n, 1};
}
static int names_say(const struct layer *l, const void *subject) {
    return weigh(l, subject, name_fits);
}

TEST(names_are_decided_as_the_oracle_says) {
    int kinds[] = {MW_ENV};
    for (int turn = 0, bad = 0; turn < 25000 && bad < 3; turn++) {
        struct world w;
        world_new(&w, kinds, 1, some_name);
        for (int q = 0; q < 6; q++) {
            char subject[64];
            int want, got;
            some_name(subject);
            if (subject[strlen(subject) - 1] == '*') subject[strlen(subject) - 1] = 0;
            want = all_say(&w, subject, names_say);
            got = mw_permit_text(w.p, MW_ENV, subject, "env", &err) == 0;
            if (got != want) tell(&w, subject, got), bad++;
            CHECK_INT(got, want);
            CHECK_INT(mw_policy_query(w.p, MW_ENV, subject), got ? MW_GRANTED : MW_DENIED);
        }
        mw_policy_free(w.p);
    }
}

/* ---- Net --------------------------------------------------------------------------------------------------------------------- */

static const char *const hosts[] = {"test", "a.test", "b.a.test", "c.b.a.test", "other"};

struct peer {
    int kind, port;
    const char *host;            /* NULL: none */
    uint32_t addr;
};

static void some_net(char *out) {
    static const int widths[] = {0, 8, 16, 24, 31, 32};
    char port[16] = "";
    if (any(2) == 0) snprintf(port, sizeof port, ":%d", any(2) ? 80 : 443);
    switch (any(4)) {
    case 0: snprintf(out, 64, "%s%s", hosts[any(5)], port); break;
    case 1: snprintf(out, 64, "*.%s%s", hosts[any(5)], port); break;
    case 2: snprintf(out, 64, "10.0.%u.%u/%d%s", any(2), any(3), widths[any(6)], port); break;
    default:
        if (*port) snprintf(out, 64, "%s", port);
        else snprintf(out, 64, "10.0.%u.%u", any(2), any(3));
    }
}

/* Splits a rule's text: 'e' everything, 'p' port alone, 'h' host, 's' suffix, 'a' address. */
static char split_net(const struct said *r, char host[64], int *port, int *bits, uint32_t *addr) {
    char *colon;
    unsigned a[4];
    *port = -1;
    if (r->every) return 'e';
    snprintf(host, 64, "%s", r->text);
    colon = strchr(host, ':');
    if (colon != NULL) *port = atoi(colon + 1), *colon = 0;
    if (*host == 0) return 'p';
    *bits = 32;
    colon = strchr(host, '/');
    if (colon != NULL) *bits = atoi(colon + 1), *colon = 0;
    if (sscanf(host, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]) == 4) {
        *addr = a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3];
        return 'a';
    }
    if (strncmp(host, "*.", 2) == 0) return memmove(host, host + 2, strlen(host + 2) + 1), 's';
    return 'h';
}

static int counts(const struct said *r, const struct peer *it) {
    return r->kind == MW_NET || r->kind == it->kind;
}
static int dots(const char *s) {
    int n = 0;
    for (; *s; s++) n += *s == '.';
    return n;
}

static struct loud by_name(const struct said *r, const void *subject) {
    const struct peer *it = subject;
    char host[64];
    int port, bits;
    uint32_t addr;
    char form = split_net(r, host, &port, &bits, &addr);
    size_t n, d;

    if ((form != 'h' && form != 's') || !counts(r, it) || (port >= 0 && port != it->port) || it->host == NULL) return (struct loud){0, 0, 0};
    n = strlen(it->host), d = strlen(host);
    if (form == 'h') return (struct loud){strcmp(host, it->host) == 0, 2 * dots(host) + 2, port >= 0};
    if (form == 's') return (struct loud){n > d + 1 && strcmp(it->host + n - d, host) == 0 && it->host[n - d - 1] == '.', 2 * dots(host) + 1, port >= 0};
    return (struct loud){0, 0, 0};
}
static struct loud by_addr(const struct said *r, const void *subject) {
    const struct peer *it = subject;
    char host[64];
    int port, bits;
    uint32_t addr, mask;
    char form = split_net(r, host, &port, &bits, &addr);

    if (form != 'a' || !counts(r, it) || (port >= 0 && port != it->port)) return (struct loud){0, 0, 0};
    mask = bits == 0 ? 0 : 0xffffffffu << (32 - bits);
    return (struct loud){(addr & mask) == (it->addr & mask), bits, port >= 0};
}
static struct loud by_neither(const struct said *r, const void *subject) {
    const struct peer *it = subject;
    char host[64];
    int port, bits;
    uint32_t addr;
    char form = split_net(r, host, &port, &bits, &addr);

    if ((form != 'e' && form != 'p') || !counts(r, it) || (port >= 0 && port != it->port)) return (struct loud){0, 0, 0};
    return (struct loud){1, 0, port >= 0};
}

/* The name and the address are tested each for itself; what names neither counts where neither speaks. */
static int net_says(const struct layer *l, const void *subject) {
    int name = weigh(l, subject, by_name), addr = weigh(l, subject, by_addr);
    if (name == NO || addr == NO) return NO;
    if (name == YES || addr == YES) return YES;
    return weigh(l, subject, by_neither);
}

TEST(peers_are_decided_as_the_oracle_says) {
    int kinds[] = {MW_NET, MW_CONNECT, MW_LISTEN};
    for (int turn = 0, bad = 0; turn < 25000 && bad < 3; turn++) {
        struct world w;
        world_new(&w, kinds, 3, some_net);
        for (int q = 0; q < 6; q++) {
            struct peer it = {any(2) ? MW_CONNECT : MW_LISTEN, any(2) ? 80 : 443, any(2) ? hosts[any(5)] : NULL, 0x0a000000u | any(2) << 8 | any(3)};
            struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)it.port), .sin_addr.s_addr = htonl(it.addr)};
            struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = in.sin_port};
            char literal[64], text[80];
            int want, got, got6;
            inet_ntop(AF_INET, &in.sin_addr, literal, sizeof literal);
            want = all_say(&w, &it, net_says);
            got = mw_permit_addr(w.p, (enum mw_kind)it.kind, it.host != NULL ? it.host : literal, (struct sockaddr *)&in, sizeof in, "net", &err) == 0;
            snprintf(text, sizeof text, "%s %s (%s):%d", mw_kind_name((enum mw_kind)it.kind), it.host != NULL ? it.host : "", literal, it.port);
            if (got != want) tell(&w, text, got), bad++;
            CHECK_INT(got, want);
            in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
            memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, 4);
            got6 = mw_permit_addr(w.p, (enum mw_kind)it.kind, it.host != NULL ? it.host : literal, (struct sockaddr *)&in6, sizeof in6, "net", &err) == 0;
            CHECK_INT(got6, got); /* the same address in its other form */
            if (got) CHECK_INT(mw_permit_host(w.p, (enum mw_kind)it.kind, it.host != NULL ? it.host : literal, it.port, "net", &err), 0);
            if (it.host != NULL) continue;
            snprintf(text, sizeof text, "%s:%d", literal, it.port);
            CHECK_INT(mw_policy_query(w.p, (enum mw_kind)it.kind, text), got ? MW_GRANTED : MW_DENIED);
            CHECK_INT(mw_permit_host(w.p, (enum mw_kind)it.kind, literal, it.port, "net", &err) == 0, got);
            CHECK_INT(mw_policy_covers(w.p, (enum mw_kind)it.kind, text, &err) == 0, got);
        }
        mw_policy_free(w.p);
    }
}

/* ---- Paths, in a real tree ------------------------------------------------------------------------------------------------------ */

static char root[64];

static void some_path(char *out) {
    int n = 1 + (int)any(4), at = snprintf(out, 64, "%s", root);
    for (int i = 0; i < n; i++) at += snprintf(out + at, 64 - (size_t)at, "/%c", "abc"[any(3)]); /* c does not exist */
}
static struct loud path_fits(const struct said *r, const void *subject) {
    size_t n = strlen(r->text);
    const char *path = subject;
    if (r->every) return (struct loud){1, 0, 0};
    return (struct loud){strncmp(path, r->text, n) == 0 && (path[n] == 0 || path[n] == '/'), (int)n, 0};
}
static int paths_say(const struct layer *l, const void *subject) {
    return weigh(l, subject, path_fits);
}

static void grow(const char *at, int depth) {
    char name[128];
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%c", at, "ab"[i]);
        REQUIRE(mkdir(name, 0755) == 0);
        if (depth > 1) grow(name, depth - 1);
    }
}

TEST(paths_are_decided_as_the_oracle_says_by_query_and_by_every_way_of_use) {
    int kinds[] = {MW_READ};
    char command[128];
    snprintf(root, sizeof root, "/tmp/mwo-XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    grow(root, 4);
    for (int turn = 0, bad = 0; turn < 4000 && bad < 3; turn++) {
        struct world w;
        world_new(&w, kinds, 1, some_path);
        for (int q = 0; q < 5; q++) {
            struct mw_place at;
            char subject[64];
            int want, got;
            some_path(subject);
            want = all_say(&w, subject, paths_say);
            got = mw_policy_query(w.p, MW_READ, subject) == MW_GRANTED;
            if (got != want) tell(&w, subject, got), bad++;
            CHECK_INT(got, want);
            for (int how = MW_AT_OBJECT; how <= MW_AT_CREATE; how++) {
                int rc = mw_permit_path(w.p, 1u << MW_READ, subject, (enum mw_at)how, "fs", &at, &err);
                if (rc == 0) mw_place_close(&at);
                CHECK(rc == 0 || rc == MW_EDENIED || rc == MW_ENOENT);
                CHECK_INT(rc != MW_EDENIED, want);
            }
        }
        mw_policy_free(w.p);
    }
    snprintf(command, sizeof command, "rm -rf %s", root);
    REQUIRE(system(command) == 0);
}
