/* A doubly linked ring of nodes that live inside what they link.
 * Knows: nothing.
 * Never: allocates. */
#ifndef MW_BASE_LIST_H
#define MW_BASE_LIST_H

#include <stddef.h>

struct mw_list {
    struct mw_list *next, *prev;
};

#define MW_LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void mw_list_init(struct mw_list *l) {
    l->next = l->prev = l;
}
static inline int mw_list_empty(const struct mw_list *l) {
    return l->next == l;
}
/* Appends `node` at the end of the ring headed by `head`. The node must be in no ring. */
static inline void mw_list_add(struct mw_list *head, struct mw_list *node) {
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
/* Takes `node` out of whatever ring it is in and leaves it a ring of its own; safe to repeat. */
static inline void mw_list_remove(struct mw_list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    mw_list_init(node);
}
/* Moves all of `from` to the end of `to`; `from` is left empty. */
static inline void mw_list_splice(struct mw_list *to, struct mw_list *from) {
    if (mw_list_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    mw_list_init(from);
}

#endif
