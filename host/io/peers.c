/* How many connections each peer holds: a small table from uid or address to a count.
 * Knows: malloc.
 * Never: sockets. */
#include "io/peers.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a. Peers can choose addresses that collide, but never more of them than the listener has connections, and each needs an
 * address of its own. */
static size_t slot_of(const struct mw_peers *p, const struct mw_peer_key *key) {
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < sizeof key->at; i++) h = (h ^ key->at[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32) & (p->size - 1);
}

static int grow(struct mw_peers *p) {
    struct mw_peers bigger = {.size = p->size > 0 ? 2 * p->size : 16, .used = p->used};

    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (bigger.slots == NULL) return 0;
    for (size_t i = 0; i < p->size; i++) {
        for (struct mw_peer_count *c = p->slots[i], *next; c != NULL; c = next) {
            size_t slot = slot_of(&bigger, &c->key);
            next = c->next;
            c->next = bigger.slots[slot];
            bigger.slots[slot] = c;
        }
    }
    free(p->slots);
    *p = bigger;
    return 1;
}

struct mw_peer_count *mw_peers_take(struct mw_peers *p, const struct mw_peer_key *key) {
    struct mw_peer_count *c;
    size_t slot;

    if (p->used == p->size && !grow(p) && p->size == 0) return NULL;
    slot = slot_of(p, key);
    for (c = p->slots[slot]; c != NULL; c = c->next) {
        if (memcmp(&c->key, key, sizeof *key) == 0) {
            c->held++;
            return c;
        }
    }
    c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    c->key = *key;
    c->table = p;
    c->held = 1;
    c->next = p->slots[slot];
    p->slots[slot] = c;
    p->used++;
    return c;
}

void mw_peers_give(struct mw_peer_count *c) {
    struct mw_peers *p = c->table;
    struct mw_peer_count **at;

    if (--c->held > 0) return;
    for (at = &p->slots[slot_of(p, &c->key)]; *at != c;) at = &(*at)->next;
    *at = c->next;
    p->used--;
    free(c);
}

void mw_peers_free(struct mw_peers *p) {
    for (size_t i = 0; i < p->size; i++) {
        for (struct mw_peer_count *c = p->slots[i], *next; c != NULL; c = next) {
            next = c->next;
            free(c);
        }
    }
    free(p->slots);
    memset(p, 0, sizeof *p);
}
