/* How well one rule fits one target.
 * Knows: rules and trails. Never: a system call, memory, what follows from a fit. */
#include "policy/match.h"

#include <string.h>

/* ---- Paths ---------------------------------------------------------------------------------------------------------------
 * The deeper the step at which a rule stands, the more specific it is: the bare flag is 1, "/" is 2, "/data" is 3. */

#define FIT_EVERY 1u

static int same(const struct mw_node *a, const struct mw_node *b) {
    return a->dev == b->dev && a->ino == b->ino;
}

unsigned mw_match_place(const struct mw_place_id *place, const struct mw_trail *trail) {
    if (place->text == NULL || place->len > trail->len || memcmp(place->text, trail->text, place->len) != 0) return 0;
    for (unsigned i = 0; i < trail->count && trail->step[i].end <= place->len; i++)
        if (trail->step[i].end == place->len) return i + 1;
    return 0;
}

/* By directory and names below it, wherever that directory is now. */
static int stands_at(const struct mw_place_id *place, const struct mw_trail *trail, unsigned i) {
    size_t from, len;

    if (!place->known || place->steps > i) return 0;
    if (!trail->step[i - place->steps].known || !same(&place->anchor, &trail->step[i - place->steps].node)) return 0;
    from = trail->step[i - place->steps].end + 1u;
    len = trail->step[i].end - from;
    return len == place->len - place->rest && memcmp(trail->text + from, place->text + place->rest, len) == 0;
}

static unsigned deeper(unsigned a, unsigned b) {
    return a > b ? a : b;
}

static unsigned fit_path(const struct mw_rule *r, const struct mw_target *t) {
    const struct mw_trail *trail = t->trail;
    const struct mw_spot *s = &r->spot;
    unsigned best = mw_match_place(&s->place, trail), last = trail->count;

    if (r->effect == MW_DENY) best = deeper(best, mw_match_place(&s->link, trail));
    for (unsigned i = last; i-- > best;) {
        int by_node = s->known && trail->step[i].known && same(&s->node, &trail->step[i].node);
        if (by_node && t->by_name && i + 1 == last && r->effect == MW_ALLOW) by_node = 0; /* a hard link's name is another name */
        if (by_node || (r->effect == MW_DENY && (stands_at(&s->place, trail, i) || stands_at(&s->link, trail, i)))) {
            best = i + 1;
            break;
        }
    }
    if (best == 0) return 0;
    if (r->form == MW_FORM_SOCKET && best != last) return 0;
    if (r->form == MW_FORM_SOCKETS && best == last) return 0;
    return best + FIT_EVERY;
}

/* ---- Net -----------------------------------------------------------------------------------------------------------------
 * First the host, then the port: a longer prefix or more labels beat a port. */

static unsigned labels(const char *name) {
    unsigned n = 1;
    for (; *name != 0; name++) n += *name == '.';
    return n;
}

static int below(const char *name, const char *domain) {
    size_t n = strlen(name), d = strlen(domain);
    return n > d + 1 && name[n - d - 1] == '.' && memcmp(name + n - d, domain, d) == 0;
}

/* How many bits of the target's address the rule names, plus 1; 0: it does not fit. */
static unsigned fit_addr(const struct mw_rule *r, const struct mw_target *t) {
    struct mw_net_addr a = r->addr, inner;
    unsigned before;

    if (t->kind == MW_CONNECT && mw_net_wild(&a)) { /* as a destination it is loopback */
        if (a.v6) a.bytes[15] = 1;
        else memcpy(a.bytes, "\x7f\0\0\1", 4);
    }
    if (mw_net_within(&a, t->addr)) return a.bits + 1;
    if (r->effect != MW_DENY) return 0;
    /* "::" takes IPv4 too, as the system has it */
    if (t->wild && (t->addr->v6 || !a.v6)) return a.bits + 1;
    /* A denied IPv4 address is denied by way of a gateway, too; its bits count behind the gateway's own. */
    before = a.v6 ? 0 : mw_net_inner(t->addr, &inner);
    return before != 0 && mw_net_within(&a, &inner) ? before + a.bits + 1 : 0;
}

/* Who denies "localhost" means this machine: also by its addresses, and by other names that lead to them. */
static unsigned fit_localhost(const struct mw_rule *r, const struct mw_target *t) {
    if (r->effect != MW_DENY || t->addr == NULL || !mw_net_localhost(r->name) || (t->host != NULL && mw_net_localhost(t->host))) return 0;
    if (mw_net_loopback(t->addr)) return (t->addr->v6 ? 128 : 8) + 1;
    return t->wild ? 8 + 1 : 0;
}

static void fit_net(const struct mw_rule *r, const struct mw_target *t, struct mw_fit *fit) {
    unsigned port = r->port != MW_ANY_PORT, bits;

    if (port && r->port != t->port && !(t->some_port && r->effect == MW_ALLOW)) return;
    switch (r->form) {
    case MW_FORM_EVERY: fit->plain = FIT_EVERY; break;
    case MW_FORM_PORT:
        if (t->trail == NULL && t->abstract == NULL) fit->plain = FIT_EVERY + port;
        break;
    case MW_FORM_ADDR:
        bits = t->addr != NULL ? fit_addr(r, t) : t->unresolved && r->effect == MW_ALLOW ? r->addr.bits + 1 : 0;
        if (bits != 0) fit->addr = 2 * bits + port;
        break;
    case MW_FORM_HOST:
        bits = fit_localhost(r, t);
        if (bits != 0) fit->addr = 2 * bits + port;
        if (t->host != NULL && strcmp(t->host, r->name) == 0) fit->host = 2 * (2 * labels(r->name) + 1) + port;
        break;
    case MW_FORM_SUFFIX:
        if (t->host != NULL && (below(t->host, r->name) || (t->host[0] == '*' && strcmp(t->host + 2, r->name) == 0)))
            fit->host = 2 * (2 * labels(r->name)) + port;
        break;
    case MW_FORM_SOCKET:
    case MW_FORM_SOCKETS:
        if (t->trail != NULL) fit->plain = fit_path(r, t);
        break;
    case MW_FORM_ABSTRACT:
        if (t->abstract != NULL && strcmp(t->abstract, r->name) == 0) fit->plain = FIT_EVERY + 1;
        break;
    default: break;
    }
}

/* ---- The rest ------------------------------------------------------------------------------------------------------------ */

static unsigned fit_program(const struct mw_rule *r, const struct mw_target *t) {
    if (t->node == NULL) return 0;
    if (r->spot.known && same(&r->spot.node, t->node)) return FIT_EVERY + 1;
    if (r->effect == MW_DENY && t->program != NULL && r->spot.place.text != NULL && strcmp(r->spot.place.text, t->program) == 0)
        return FIT_EVERY + 1; /* replaced by another file, still what was meant */
    return 0;
}

static unsigned fit_name(const struct mw_rule *r, const struct mw_target *t) {
    size_t len;

    if (t->name == NULL) return 0;
    len = strlen(r->name);
    if (r->form == MW_FORM_PREFIX) return strncmp(t->name, r->name, len) == 0 ? 2 * (unsigned)len + 2 : 0;
    return !t->prefix && strcmp(t->name, r->name) == 0 ? 2 * (unsigned)len + 3 : 0;
}

void mw_match(const struct mw_rule *r, const struct mw_target *t, struct mw_fit *fit) {
    memset(fit, 0, sizeof *fit);
    if (r->kind == MW_NET || r->kind == MW_CONNECT || r->kind == MW_LISTEN) {
        if (t->every && r->form != MW_FORM_EVERY) return;
        fit_net(r, t, fit);
        return;
    }
    if (r->form == MW_FORM_EVERY) fit->plain = FIT_EVERY;
    else if (t->every) return;
    else if (r->form == MW_FORM_PATH) fit->plain = t->trail != NULL ? fit_path(r, t) : 0;
    else if (r->form == MW_FORM_PROGRAM) fit->plain = fit_program(r, t);
    else fit->plain = fit_name(r, t);
}
