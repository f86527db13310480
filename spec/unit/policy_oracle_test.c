/* The decision procedure against the plain oracle (support/oracle.h), names and peers: random rule sets over a small world, so that
 * rules collide often. And: query says what enforcement does. Paths and programs: policy_oracle_path_test.c. */
#include <arpa/inet.h>

#include "support/oracle.h"

#define TURNS(n) ((n) / ORACLE_SLOWER)

static struct mw_err err;
static int bad;                  /* differences told; after a few, no more */

static int differ(int got, int want) {
    CHECK_INT(got, want);
    return got != want && bad++ < 3;
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

/* A prefix is covered if every layer has a rule that takes it in, and no denial of it or of what takes it in stands. */
static struct loud prefix_fits(const struct said *r, const void *subject) {
    size_t n = strlen(r->text);
    if (r->every) return (struct loud){1, 0, 0};
    return (struct loud){r->text[n - 1] == '*' && strncmp(r->text, subject, n - 1) == 0, (int)n - 1, 0};
}
static int prefixes_say(const struct layer *l, const void *subject) {
    return weigh(l, subject, prefix_fits);
}

static void names(enum mw_kind kind, int turns) {
    const int kinds[] = {(int)kind};
    for (int turn = 0; turn < turns && bad < 3; turn++) {
        struct world w;
        world_new(&w, kinds, 1, some_name);
        for (int q = 0; q < 24; q++) {
            char subject[96];
            int want, got;
            some_name(subject);
            if (subject[strlen(subject) - 1] == '*') {
                got = mw_policy_covers(w.p, kind, subject, &err) == 0;
                CHECK_INT(mw_policy_query(w.p, kind, subject), got ? MW_GRANTED : MW_DENIED);
                subject[strlen(subject) - 1] = 0;
                if (differ(got, all_say(&w, subject, prefixes_say))) tell(&w, subject, got);
            }
            want = all_say(&w, subject, names_say);
            got = mw_permit_text(w.p, kind, subject, "test", &err) == 0;
            if (differ(got, want)) tell(&w, subject, got);
            CHECK_INT(mw_policy_query(w.p, kind, subject), got ? MW_GRANTED : MW_DENIED);
        }
        mw_policy_free(w.p);
    }
}

TEST(variables_are_decided_as_the_oracle_says) {
    names(MW_ENV, TURNS(13000));
}
TEST(shared_names_are_decided_as_the_oracle_says) {
    names(MW_SHARE, TURNS(4000));
}

static const char *const facts[] = {"hostname", "cpus", "memory", "pid", "tty"};
static void some_fact(char *out) {
    strcpy(out, facts[any(5)]);
}
static struct loud fact_fits(const struct said *r, const void *subject) {
    return (struct loud){r->every || strcmp(r->text, subject) == 0, !r->every, 0};
}
static int facts_say(const struct layer *l, const void *subject) {
    return weigh(l, subject, fact_fits);
}
TEST(facts_are_decided_as_the_oracle_says) {
    const int kinds[] = {MW_SYS};
    for (int turn = 0; turn < TURNS(6000) && bad < 3; turn++) {
        struct world w;
        world_new(&w, kinds, 1, some_fact);
        for (int q = 0; q < 12; q++) {
            const char *subject = facts[any(5)], *spelled = strcmp(subject, "memory") == 0 && any(2) ? "systemMemoryInfo" : subject;
            int got = mw_permit_text(w.p, MW_SYS, spelled, "sys", &err) == 0;
            if (differ(got, all_say(&w, subject, facts_say))) tell(&w, subject, got);
            CHECK_INT(mw_policy_query(w.p, MW_SYS, spelled), got ? MW_GRANTED : MW_DENIED);
        }
        mw_policy_free(w.p);
    }
}

/* ---- Net --------------------------------------------------------------------------------------------------------------------- */

static const char *const hosts[] = {"test", "a.test", "b.a.test", "c.b.a.test", "other", "localhost"};
static const char *const sixes[] = {"::1", "::", "fd00::1", "fd00::2", "fd00:0:0:1::1", "64:ff9b::a00:1", "2002:a00:1::9", "::a00:1"};
#define SIXES 8

struct peer {
    int kind, port;
    const char *host;            /* NULL: none */
    const char *abstract;        /* NULL: an address */
    int v6;
    unsigned char addr[16];      /* IPv4: the first 4 */
};

static void some_net(char *out) {
    static const int widths[] = {0, 8, 16, 24, 31, 32}, wide[] = {0, 8, 64, 96, 127, 128};
    char port[16] = "";
    if (any(2) == 0) snprintf(port, sizeof port, ":%d", any(2) ? 80 : 443);
    switch (any(7)) {
    case 0: snprintf(out, 96, "%s%s", hosts[any(6)], port); break;
    case 1: snprintf(out, 96, "*.%s%s", hosts[any(6)], port); break;
    case 2:
    case 3: snprintf(out, 96, "%s.0.%u.%u/%d%s", any(8) ? "10" : any(2) ? "0" : "127", any(2), any(3), widths[any(6)], port); break;
    case 4: snprintf(out, 96, "[%s/%d]%s", sixes[any(SIXES)], wide[any(6)], port); break;
    case 5: snprintf(out, 96, "unix:@%c", "xy"[any(2)]); break;
    default:
        if (*port) snprintf(out, 96, "%s", port);
        else snprintf(out, 96, "10.0.%u.%u", any(2), any(3));
    }
}

struct split {
    char form, host[96];         /* 'e' everything, 'p' port alone, 'h' host, 's' suffix, 'a' address, 'u' abstract */
    int port, bits, v6;
    unsigned char addr[16];
};

static struct split split_net(const struct said *r) {
    struct split s = {.port = -1};
    char *at;

    if (r->every) return s.form = 'e', s;
    if (strncmp(r->text, "unix:@", 6) == 0) return s.form = 'u', strcpy(s.host, r->text + 6), s;
    strcpy(s.host, r->text[0] == '[' ? r->text + 1 : r->text);
    at = r->text[0] == '[' ? strchr(s.host, ']') : strchr(s.host, ':');
    if (at != NULL) {
        const char *colon = strchr(*at == ']' ? at + 1 : at, ':');
        if (colon != NULL) s.port = atoi(colon + 1);
        *at = 0;
    }
    if (s.host[0] == 0) return s.form = 'p', s;
    s.v6 = r->text[0] == '[';
    s.bits = s.v6 ? 128 : 32;
    at = strchr(s.host, '/');
    if (at != NULL) s.bits = atoi(at + 1), *at = 0;
    if (inet_pton(s.v6 ? AF_INET6 : AF_INET, s.host, s.addr) == 1) return s.form = 'a', s;
    if (strncmp(s.host, "*.", 2) == 0) return s.form = 's', memmove(s.host, s.host + 2, strlen(s.host + 2) + 1), s;
    return s.form = 'h', s;
}

static int counts(const struct said *r, const struct split *s, const struct peer *it) {
    return (r->kind == MW_NET || r->kind == it->kind) && (s->port < 0 || s->port == it->port);
}
static int dots(const char *s) {
    int n = 0;
    for (; *s; s++) n += *s == '.';
    return n;
}
static int is_zero(const unsigned char *addr, int n) {
    for (int i = 0; i < n; i++)
        if (addr[i] != 0) return 0;
    return 1;
}
/* Bit by bit. */
static int within(const unsigned char *outer, int bits, const unsigned char *inner) {
    for (int i = 0; i < bits; i++)
        if (((outer[i / 8] ^ inner[i / 8]) >> (7 - i % 8) & 1) != 0) return 0;
    return 1;
}

static struct loud by_name(const struct said *r, const void *subject) {
    const struct peer *it = subject;
    struct split s = split_net(r);
    size_t n, d;

    if ((s.form != 'h' && s.form != 's') || it->host == NULL || !counts(r, &s, it)) return (struct loud){0, 0, 0};
    n = strlen(it->host), d = strlen(s.host);
    if (s.form == 'h') return (struct loud){strcmp(s.host, it->host) == 0, 2 * dots(s.host) + 2, s.port >= 0};
    return (struct loud){n > d + 1 && strcmp(it->host + n - d, s.host) == 0 && it->host[n - d - 1] == '.', 2 * dots(s.host) + 1, s.port >= 0};
}

/* What a denial of localhost is worth to an address; -1: nothing. */
static int local_bits(const struct peer *it, int wild) {
    static const unsigned char one[16] = {[15] = 1};
    if (it->v6 && memcmp(it->addr, one, 16) == 0) return 128;
    return wild || (!it->v6 && it->addr[0] == 127) ? 8 : -1;
}

/* The bits before an IPv4 address that is reached by a gateway; -1: none. */
static int before(const struct peer *it) {
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (!it->v6 || is_zero(it->addr, 13)) return -1;
    if (it->addr[0] == 0x20 && it->addr[1] == 0x02) return 16;
    return memcmp(it->addr, nat64, 12) == 0 || is_zero(it->addr, 12) ? 96 : -1;
}

static struct loud by_addr(const struct said *r, const void *subject) {
    const struct peer *it = subject;
    struct split s = split_net(r);
    int wild = it->kind == MW_LISTEN && is_zero(it->addr, it->v6 ? 16 : 4), bits;

    if (!counts(r, &s, it)) return (struct loud){0, 0, 0};
    if (s.form == 'h' && r->deny && strcmp(s.host, "localhost") == 0 && (it->host == NULL || strcmp(it->host, "localhost") != 0))
        return (struct loud){local_bits(it, wild) >= 0, local_bits(it, wild), s.port >= 0};
    if (s.form != 'a') return (struct loud){0, 0, 0};
    if (it->kind == MW_CONNECT && s.bits == (s.v6 ? 128 : 32) && is_zero(s.addr, s.v6 ? 16 : 4)) {
        if (s.v6) s.addr[15] = 1; /* as a destination it is loopback */
        else memcpy(s.addr, "\x7f\0\0\1", 4);
    }
    if (s.v6 == it->v6 && within(s.addr, s.bits, it->addr)) return (struct loud){1, s.bits, s.port >= 0};
    if (r->deny && wild && (it->v6 || !s.v6)) return (struct loud){1, s.bits, s.port >= 0};
    bits = r->deny && !s.v6 ? before(it) : -1;
    if (bits < 0) return (struct loud){0, 0, 0};
    return (struct loud){within(s.addr, s.bits, it->addr + bits / 8), bits + s.bits, s.port >= 0};
}
static struct loud by_neither(const struct said *r, const void *subject) {
    const struct peer *it = subject;
    struct split s = split_net(r);

    if (it->abstract != NULL && s.form == 'u' && (r->kind == MW_NET || r->kind == it->kind)) return (struct loud){strcmp(s.host, it->abstract) == 0, 1, 0};
    if ((s.form != 'e' && (s.form != 'p' || it->abstract != NULL)) || !counts(r, &s, it)) return (struct loud){0, 0, 0};
    return (struct loud){1, 0, s.port >= 0};
}

/* The name and the address are tested each for itself; what names neither counts where neither speaks. */
static int net_says(const struct layer *l, const void *subject) {
    const struct peer *it = subject;
    int name = weigh(l, subject, by_name), addr = it->abstract != NULL ? SILENT : weigh(l, subject, by_addr);
    if (name == NO || addr == NO) return NO;
    if (name == YES || addr == YES) return YES;
    return weigh(l, subject, by_neither);
}

static const int net_kinds[] = {MW_NET, MW_CONNECT, MW_LISTEN};

static void ask_peer(const struct world *w, struct peer it) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)it.port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = in.sin_port};
    char literal[64], text[96];
    const char *name;
    int want, got;

    inet_ntop(it.v6 ? AF_INET6 : AF_INET, it.addr, literal, sizeof literal);
    memcpy(&in.sin_addr, it.addr, 4);
    memcpy(&in6.sin6_addr, it.addr, 16);
    name = it.host != NULL ? it.host : literal;
    got = it.v6 ? mw_permit_addr(w->p, (enum mw_kind)it.kind, name, (struct sockaddr *)&in6, sizeof in6, "net", &err) == 0
                : mw_permit_addr(w->p, (enum mw_kind)it.kind, name, (struct sockaddr *)&in, sizeof in, "net", &err) == 0;
    if (it.kind == MW_CONNECT && is_zero(it.addr, it.v6 ? 16 : 4)) {
        if (it.v6) it.addr[15] = 1;
        else memcpy(it.addr, "\x7f\0\0\1", 4);
    }
    want = all_say(w, &it, net_says);
    snprintf(text, sizeof text, "%s %s (%s):%d", mw_kind_name((enum mw_kind)it.kind), it.host != NULL ? it.host : "", literal, it.port);
    if (differ(got, want)) tell(w, text, got);
    if (!it.v6) { /* the same address in its other form */
        in6.sin6_addr = (struct in6_addr){0};
        in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, 4);
        CHECK_INT(mw_permit_addr(w->p, (enum mw_kind)it.kind, name, (struct sockaddr *)&in6, sizeof in6, "net", &err) == 0, got);
    }
    if (got && it.host == NULL) CHECK_INT(mw_permit_host(w->p, (enum mw_kind)it.kind, name, it.port, "net", &err), 0);
    if (it.host != NULL) return;
    snprintf(text, sizeof text, it.v6 ? "[%s]:%d" : "%s:%d", literal, it.port);
    CHECK_INT(mw_policy_query(w->p, (enum mw_kind)it.kind, text), got ? MW_GRANTED : MW_DENIED);
    CHECK_INT(mw_permit_host(w->p, (enum mw_kind)it.kind, literal, it.port, "net", &err) == 0, got);
    CHECK_INT(mw_policy_covers(w->p, (enum mw_kind)it.kind, text, &err) == 0, got);
}

static int at_home(const struct world *w, struct peer it, int v6) {
    it.v6 = v6;
    it.abstract = NULL;
    memcpy(it.addr, v6 ? "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" : "\x7f\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0", sizeof it.addr);
    return all_say(w, &it, net_says);
}

/* A name alone: what query says is what the rules say of the name, or of this machine's addresses where it is theirs; and every
 * address may be granted. */
static void ask_host(const struct world *w, int kind) {
    struct peer it = {.kind = kind, .port = any(2) ? 80 : 443, .host = hosts[any(6)], .abstract = ""};
    int said, want = 1, here = strstr(it.host, "localhost") != NULL;
    char text[96];

    for (int n = 0; n < 3; n++)
        for (int i = 0; i < w->layer[n].count; i++) {
            if (split_net(&w->layer[n].rule[i]).form == 'p') return; /* a port counts for a host, and not for what is asked as nameless here */
            if (!here && strstr(w->layer[n].rule[i].text, "/0") != NULL) return;
        }
    snprintf(text, sizeof text, "%s:%d", it.host, it.port);
    said = mw_policy_query(w->p, (enum mw_kind)kind, text) == MW_GRANTED;
    for (int way = kind == MW_NET ? MW_CONNECT : kind; way <= (kind == MW_NET ? MW_LISTEN : kind); way++) {
        it.kind = way;
        want &= all_say(w, &it, net_says) || (here && (at_home(w, it, 0) || at_home(w, it, 1)));
    }
    if (differ(said, want)) tell(w, text, said);
}

static void ask_abstract(const struct world *w, int kind) {
    struct peer it = {.kind = kind, .port = -1, .abstract = (const char *[]){"x", "y", "z"}[any(3)]};
    struct mw_place at;
    char text[16];
    int got;

    snprintf(text, sizeof text, "unix:@%s", it.abstract);
    got = mw_permit_unix(w->p, (enum mw_kind)kind, text + 5, "net", &at, &err) == 0;
    if (differ(got, all_say(w, &it, net_says))) tell(w, text, got);
    CHECK_INT(mw_policy_query(w->p, (enum mw_kind)kind, text), got ? MW_GRANTED : MW_DENIED);
}

TEST(peers_are_decided_as_the_oracle_says) {
    for (int turn = 0; turn < TURNS(20000) && bad < 3; turn++) {
        struct world w;
        world_new(&w, net_kinds, 3, some_net);
        for (int q = 0; q < 24; q++) {
            struct peer it = {any(2) ? MW_CONNECT : MW_LISTEN, any(2) ? 80 : 443, any(2) ? hosts[any(6)] : NULL, NULL, any(3) == 0, {10, 0, 0, 0}};
            it.addr[2] = (unsigned char)any(2), it.addr[3] = (unsigned char)any(3);
            if (any(12) == 0) memset(it.addr, 0, 4);
            if (any(12) == 0) memcpy(it.addr, "\x7f\0\0\1", 4);
            if (it.v6) inet_pton(AF_INET6, sixes[any(SIXES)], it.addr);
            ask_peer(&w, it);
        }
        ask_host(&w, any(2) ? MW_CONNECT : MW_LISTEN);
        for (int q = 0; q < 3; q++) ask_abstract(&w, any(2) ? MW_CONNECT : MW_LISTEN);
        mw_policy_free(w.p);
    }
}

/* ---- Spellings ---------------------------------------------------------------------------------------------------------------- */

/* What a host's text could be taken for by somebody, and what it is. NULL: nothing at all. */
static const struct { const char *spelled, *is; } spellings[] = {
    {"10.0.0.1", "10.0.0.1"}, {"::ffff:10.0.0.1", "10.0.0.1"}, {"::FFFF:A00:1", "10.0.0.1"}, {"0:0:0:0:0:ffff:10.0.0.1", "10.0.0.1"},
    {"10.0.0.01", NULL}, {"10.0.1", NULL}, {"10.1", NULL}, {"167772161", NULL}, {"0xa000001", NULL}, {"0x0a.0.0.1", NULL}, {"012.0.0.1", NULL},
    {"10.0.0.1.", NULL}, {"10.0.0.0x1", NULL}, {"10.0.0.1%eth0", NULL}, {"%31%30.0.0.1", NULL}, {" 10.0.0.1", NULL}, {"10.0.0.1 ", NULL},
    {"10.0.0.1/32", NULL}, {"10.0.0.1:80", NULL}, {"[10.0.0.1]", NULL}, {"1\xd9\xa0.0.0.1", NULL}, {"10\xe3\x80\x82" "0.0.1", NULL}, {"10.0.0.256", NULL},
    {"a.test", "a.test"}, {"A.TEST", "a.test"}, {"a.test.", "a.test"}, {"a.test..", NULL}, {"a..test", NULL}, {".a.test", NULL}, {"a.te\xc5\xbft", NULL},
    {"a.test%00", NULL}, {"*.test", NULL}, {"a_b.test", "a_b.test"}, {"xn--a.test", "xn--a.test"}, {"LOCALHOST", "localhost"}, {"a.test@b.test", NULL},
    {"fd00::1", "fd00::1"}, {"FD00:0::1", "fd00::1"}, {"fd00::1%lo", "fd00::1"}, {"fd00::1%", NULL}, {"[fd00::1]", NULL}, {"fd00::1/128", NULL}, {"fd00::0001", "fd00::1"},
    {"fd00::00001", NULL}, {":", NULL}, {":::", NULL},
};

TEST(a_host_is_what_its_one_spelling_says_and_odd_ones_are_no_host_to_anybody) {
    for (int turn = 0; turn < TURNS(3000) && bad < 3; turn++) {
        struct world w;
        world_new(&w, net_kinds, 3, some_net);
        for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
            const char *spelled = spellings[i].spelled, *is = spellings[i].is;
            int rc = mw_permit_host(w.p, MW_CONNECT, spelled, 80, "net", &err);
            char text[96];
            if (is == NULL) {
                if (rc != MW_EINVAL) printf("# %s: %d\n", spelled, rc);
                CHECK_INT(rc, MW_EINVAL);
                snprintf(text, sizeof text, strchr(spelled, ':') != NULL && spelled[0] != '[' ? "[%s]:80" : "%s:80", spelled);
                /* a rule may say what a host may not: a prefix, a suffix, brackets */
                if (strpbrk(spelled, "/*[") == NULL && strcmp(spelled, "10.0.0.1:80") != 0) CHECK_INT(mw_policy_query(w.p, MW_CONNECT, text), MW_DENIED);
            } else {
                CHECK_INT(rc, mw_permit_host(w.p, MW_CONNECT, is, 80, "net", &err));
            }
        }
        mw_policy_free(w.p);
    }
}
