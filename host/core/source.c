/* Sources: looked at once a turn; told before the loop blocks and when it is up again.
 * Knows: core. Never: what is looked at; whether the loop blocks (core/loop does). */
#include "core/source.h"

#include "core/inside.h"

void mw_host_watch(mw_host *h, struct mw_source *s) {
    s->host = h;
    mw_list_add(&h->sources, &s->link);
    if (h->up) return;
    if (s->sleeps != NULL) s->sleeps(s, 1);
    h->look_again = 1; /* what came before it was told rang nobody */
}

void mw_host_unwatch(struct mw_source *s) {
    if (s->link.next == NULL || mw_list_empty(&s->link)) return;
    if (s->host->source_next == &s->link) s->host->source_next = s->link.next;
    mw_list_remove(&s->link);
}

int mw_sources_look(mw_host *h) {
    int found = 0;

    for (struct mw_list *at = h->sources.next; at != &h->sources; at = h->source_next) {
        struct mw_source *s = MW_LIST_ENTRY(at, struct mw_source, link);
        h->source_next = at->next;
        found |= s->look(s);
    }
    h->source_next = NULL;
    return found;
}

static void tell(mw_host *h, int asleep) {
    h->up = !asleep;
    for (struct mw_list *at = h->sources.next; at != &h->sources; at = h->source_next) {
        struct mw_source *s = MW_LIST_ENTRY(at, struct mw_source, link);
        h->source_next = at->next;
        if (s->sleeps != NULL) s->sleeps(s, asleep);
    }
    h->source_next = NULL;
}

void mw_sources_up(mw_host *h) {
    if (!h->up) tell(h, 0);
}

int mw_sources_down(mw_host *h) {
    if (!h->up) return 0;
    tell(h, 1);
    if (mw_list_empty(&h->sources)) return 0;
    mw_source_fence();
    return mw_sources_look(h);
}
