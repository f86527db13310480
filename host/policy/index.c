/* Rules by hash: each rule stands under the keys of what it names, and a target is looked up under the keys of what it is.
 * Knows: rules, targets. Never: decides. */
#include "policy/index.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_MAX 255u          /* bytes of a prefix under a key; longer ones are always asked */
#define ALWAYS 0u                /* the list of rules that every target is shown */
#define ADDRS 1u                 /* the list of all addresses and prefixes */
#define LISTS 2u

/* What a key is of. */
enum tag { NAME = 'n', PREFIX = 'p', HOST = 'h', SUFFIX = 's', ADDR = 'a', PORT = 'o', ABSTRACT = 'u', TEXT = 't', NODE = 'i', BELOW = 'b', WRITTEN = 'w' };

struct link {
    const struct mw_rule *rule;
    uint32_t next;               /* 1 + its index; 0: the last */
};
struct slot {
    uint64_t key;                /* 0: free */
    uint32_t first;
};

struct mw_index {
    struct slot *slot;
    uint32_t slots, used;        /* slots: a power of two */
    struct link *link;
    uint32_t links, room;
    uint32_t list[LISTS];
    uint64_t prefix[PREFIX_MAX / 64 + 1];   /* bit n: there is a prefix of n bytes */
    uint64_t steps;              /* bit n: there is a name n steps below its directory */
    uint64_t bits[2][3];         /* bit n: there is an address of n bits: IPv4, IPv6 */
};

/* ---- Keys ------------------------------------------------------------------------------------------------------------------ */

static uint64_t more(uint64_t h, const void *data, size_t len) {
    const unsigned char *at = data;
    for (size_t i = 0; i < len; i++) h = (h ^ at[i]) * 1099511628211u;
    return h;
}
static uint64_t begin(enum tag tag) {
    unsigned char c = (unsigned char)tag;
    return more(14695981039346656037u, &c, 1);
}
static uint64_t end(uint64_t h) {
    h ^= h >> 32;
    return h != 0 ? h : 1;
}
static uint64_t text_key(enum tag tag, const char *text) {
    return end(more(begin(tag), text, strlen(text)));
}
static uint64_t node_key(const struct mw_node *n) {
    uint64_t h = ((uint64_t)n->dev * 0x9e3779b97f4a7c15u) ^ n->ino; /* numbers, not bytes: this is on the way of every path */
    h = (h ^ h >> 31) * 0xbf58476d1ce4e5b9u;
    return end(h ^ h >> 29 ^ (uint64_t)NODE << 56);
}
/* A name below a directory. */
static uint64_t below_key(const struct mw_node *anchor, const char *rest, size_t len) {
    uint64_t node = node_key(anchor);
    return end(more(more(begin(BELOW), &node, sizeof node), rest, len));
}
static uint64_t port_key(int port) {
    return end(more(begin(PORT), &port, sizeof port));
}
/* The first `bits` of an address. */
static uint64_t addr_key(const struct mw_net_addr *a, unsigned bits) {
    unsigned char first[18] = {(unsigned char)a->v6, (unsigned char)bits};
    unsigned whole = bits / 8, left = bits % 8;

    memcpy(first + 2, a->bytes, whole);
    if (left != 0) first[2 + whole] = a->bytes[whole] & (unsigned char)(0xff00u >> left);
    return end(more(begin(ADDR), first, sizeof first));
}

/* ---- Adding ---------------------------------------------------------------------------------------------------------------- */

static struct slot *slot_of(const struct mw_index *ix, uint64_t key) {
    uint32_t i = (uint32_t)key & (ix->slots - 1);
    while (ix->slot[i].key != 0 && ix->slot[i].key != key) i = (i + 1) & (ix->slots - 1);
    return &ix->slot[i];
}

static int grow(struct mw_index *ix) {
    struct mw_index old = *ix;

    if (ix->used * 2 < ix->slots) return 0;
    ix->slots = old.slots == 0 ? 64 : old.slots * 2;
    ix->slot = calloc(ix->slots, sizeof *ix->slot);
    if (ix->slot == NULL) {
        *ix = old;
        return MW_ENOMEM;
    }
    for (uint32_t i = 0; i < old.slots; i++)
        if (old.slot[i].key != 0) *slot_of(ix, old.slot[i].key) = old.slot[i];
    free(old.slot);
    return 0;
}

static int put_in(struct mw_index *ix, uint32_t *first, const struct mw_rule *r) {
    if (ix->links == ix->room) {
        uint32_t room = ix->room == 0 ? 32 : ix->room * 2;
        struct link *bigger = realloc(ix->link, room * sizeof *bigger);
        if (bigger == NULL) return MW_ENOMEM;
        ix->link = bigger;
        ix->room = room;
    }
    ix->link[ix->links++] = (struct link){r, *first};
    *first = ix->links;
    return 0;
}

static int put(struct mw_index *ix, uint64_t key, const struct mw_rule *r) {
    struct slot *s;
    int rc = grow(ix);

    if (rc < 0) return rc;
    s = slot_of(ix, key);
    if (s->key == 0) {
        s->key = key;
        ix->used++;
    }
    return put_in(ix, &s->first, r);
}

static int put_place(struct mw_index *ix, const struct mw_place_id *at, const struct mw_rule *r) {
    int rc = at->text == NULL ? 0 : put(ix, text_key(TEXT, at->text), r);

    if (rc < 0 || !at->known || r->effect != MW_DENY) return rc;
    if (at->steps >= 64) return put_in(ix, &ix->list[ALWAYS], r);
    ix->steps |= (uint64_t)1 << at->steps;
    return put(ix, below_key(&at->anchor, at->text + at->rest, at->len - at->rest), r);
}

static int put_spot(struct mw_index *ix, const struct mw_rule *r) {
    int rc = r->spot.known ? put(ix, node_key(&r->spot.node), r) : 0;

    if (rc == 0) rc = put_place(ix, &r->spot.place, r);
    if (rc == 0 && r->form == MW_FORM_PROGRAM) rc = put(ix, text_key(WRITTEN, r->text), r);
    return rc == 0 && r->effect == MW_DENY ? put_place(ix, &r->spot.link, r) : rc;
}

static int put_addr(struct mw_index *ix, const struct mw_rule *r) {
    ix->bits[r->addr.v6 != 0][r->addr.bits / 64] |= (uint64_t)1 << r->addr.bits % 64;
    if (put(ix, addr_key(&r->addr, r->addr.bits), r) < 0 || put_in(ix, &ix->list[ADDRS], r) < 0) return MW_ENOMEM;
    if (r->effect == MW_ALLOW && put(ix, port_key(r->port), r) < 0) return MW_ENOMEM;
    return mw_net_wild(&r->addr) ? put_in(ix, &ix->list[ALWAYS], r) : 0; /* as a destination it is another address */
}

static int add(struct mw_index *ix, const struct mw_rule *r) {
    size_t len = r->name != NULL ? strlen(r->name) : 0;

    switch (r->form) {
    case MW_FORM_PATH:
    case MW_FORM_PROGRAM:
    case MW_FORM_SOCKET:
    case MW_FORM_SOCKETS: return put_spot(ix, r);
    case MW_FORM_ADDR: return put_addr(ix, r);
    case MW_FORM_HOST:
        if (r->effect == MW_DENY && mw_net_localhost(r->name) && put_in(ix, &ix->list[ALWAYS], r) < 0) return MW_ENOMEM;
        return put(ix, text_key(HOST, r->name), r);
    case MW_FORM_SUFFIX: return put(ix, text_key(SUFFIX, r->name), r);
    case MW_FORM_ABSTRACT: return put(ix, text_key(ABSTRACT, r->name), r);
    case MW_FORM_NAME: return put(ix, text_key(NAME, r->name), r);
    case MW_FORM_PREFIX:
        if (len > PREFIX_MAX) break;
        ix->prefix[len / 64] |= (uint64_t)1 << len % 64;
        return put(ix, text_key(PREFIX, r->name), r);
    default: break;
    }
    return put_in(ix, &ix->list[ALWAYS], r);
}

int mw_index_add(struct mw_index **ix, const struct mw_rule *r) {
    if (*ix == NULL) *ix = calloc(1, sizeof **ix);
    return *ix == NULL ? MW_ENOMEM : add(*ix, r);
}

void mw_index_free(struct mw_index *ix) {
    if (ix == NULL) return;
    free(ix->slot);
    free(ix->link);
    free(ix);
}

/* ---- Looking up ------------------------------------------------------------------------------------------------------------- */

struct asking {
    const struct mw_index *ix;
    void (*fn)(void *ud, const struct mw_rule *r);
    void *ud;
};

static void all_of(const struct asking *a, uint32_t first) {
    for (; first != 0; first = a->ix->link[first - 1].next) a->fn(a->ud, a->ix->link[first - 1].rule);
}

static void look(const struct asking *a, uint64_t key) {
    if (a->ix->slots != 0) all_of(a, slot_of(a->ix, key)->first);
}

static void look_name(const struct asking *a, const char *name) {
    uint64_t h = begin(PREFIX);

    look(a, text_key(NAME, name));
    for (size_t i = 0; i <= PREFIX_MAX; i++) {
        if (a->ix->prefix[i / 64] >> i % 64 & 1) look(a, end(h));
        if (name[i] == 0) break;
        h = more(h, name + i, 1);
    }
}

static void look_host(const struct asking *a, const char *host) {
    look(a, text_key(HOST, host));
    for (const char *dot = strchr(host, '.'); dot != NULL; dot = strchr(dot + 1, '.')) look(a, text_key(SUFFIX, dot + 1));
}

static void look_addr(const struct asking *a, const struct mw_net_addr *addr) {
    struct mw_net_addr inner;

    for (unsigned bits = 0; bits <= addr->bits; bits++)
        if (a->ix->bits[addr->v6 != 0][bits / 64] >> bits % 64 & 1) look(a, addr_key(addr, bits));
    if (mw_net_inner(addr, &inner) != 0) look_addr(a, &inner);
}

/* A name whose addresses are not known fits every granted address of its port, and one is as good as all. */
static void look_unresolved(const struct asking *a, const struct mw_target *t) {
    const int ports[2] = {t->port, MW_ANY_PORT};

    if (t->some_port) {
        all_of(a, a->ix->list[ADDRS]);
        return;
    }
    for (int i = 0; i < 2 && a->ix->slots != 0; i++) {
        uint32_t first = slot_of(a->ix, port_key(ports[i]))->first;
        if (first != 0) a->fn(a->ud, a->ix->link[first - 1].rule);
    }
}

/* The step as a name below the directories before it. */
static void look_below(const struct asking *a, const struct mw_trail *t, unsigned i) {
    for (unsigned n = 1; n <= i && n < 64 && a->ix->steps >> n != 0; n++) {
        const struct mw_step *up = &t->step[i - n];
        if ((a->ix->steps >> n & 1) != 0 && up->known) look(a, below_key(&up->node, t->text + up->end + 1, t->step[i].end - up->end - 1));
    }
}

static void look_trail(const struct asking *a, const struct mw_trail *t) {
    uint64_t h = begin(TEXT);
    size_t from = 0;

    for (unsigned i = 0; i < t->count; i++) {
        h = more(h, t->text + from, t->step[i].end - from);
        from = t->step[i].end;
        look(a, end(h));
        if (t->step[i].known) look(a, node_key(&t->step[i].node));
        look_below(a, t, i);
    }
}

void mw_index_each(const struct mw_index *ix, const struct mw_target *t, void (*fn)(void *ud, const struct mw_rule *r), void *ud) {
    struct asking a = {ix, fn, ud};

    all_of(&a, ix->list[ALWAYS]);
    if (t->every) return;
    if (t->name != NULL) look_name(&a, t->name);
    if (t->host != NULL) look_host(&a, t->host);
    if (t->unresolved) look_unresolved(&a, t);
    else if (t->wild) all_of(&a, ix->list[ADDRS]);
    else if (t->addr != NULL) look_addr(&a, t->addr);
    if (t->abstract != NULL) look(&a, text_key(ABSTRACT, t->abstract));
    if (t->trail != NULL) look_trail(&a, t->trail);
    if (t->node != NULL) look(&a, node_key(t->node));
    if (t->program != NULL) look(&a, text_key(TEXT, t->program));
}

void mw_index_written(const struct mw_index *ix, const char *text, void (*fn)(void *ud, const struct mw_rule *r), void *ud) {
    struct asking a = {ix, fn, ud};
    look(&a, text_key(WRITTEN, text));
}
