/* A lobby: connections that a listener has accepted and nobody has been given yet.
 * Knows: io/lobby.h, core/timer. Never: Lua; accepts; says more to a stranger than the step that refused him. */
#include "io/lobby.h"

#include <stdlib.h>

#include "core/timer.h"

#define LOG_EVERY_NS 1000000000u

struct guest {
    struct mw_list link;             /* in greeting or passed */
    struct mw_lobby *lobby;
    mw_stream *s;                    /* owned */
    mw_greet *greet;                 /* NULL once passed */
    struct mw_timer pause;           /* before the answer */
    uint64_t bytes;                  /* that it had said when it was looked at last */
    struct mw_peer_key key;
    uint64_t since, heard;           /* ns: when it came; when its words were seen to be more than before, 0: none yet */
    const char *listener;
};

void mw_lobby_init(struct mw_lobby *l, mw_host *h, void (*changed)(struct mw_lobby *l)) {
    *l = (struct mw_lobby){ .host = h, .changed = changed };
    mw_list_init(&l->greeting);
    mw_list_init(&l->passed);
}

/* Out of its list and memory; its stream, lent no more, is the caller's. */
static mw_stream *dismiss(struct guest *g) {
    mw_stream *s = g->s;

    if (g->greet != NULL) g->lobby->waiting--;
    else g->lobby->ready--;
    mw_list_remove(&g->link);
    mw_timer_stop(g->lobby->host, &g->pause);
    mw_greet_close(g->greet);
    free(g);
    return s;
}

static void send_away(struct guest *g) {
    mw_stream *s = dismiss(g);

    mw_stream_close(s);
    mw_stream_release(s);
}

static uint64_t failures(const struct mw_lobby *l) {
    return l->stats.refused + l->stats.timed_out + l->stats.displaced;
}

static void log_failure(struct mw_lobby *l, const struct guest *g, const char *why) {
    uint64_t now = mw_host_now(l->host), n = failures(l) - l->logged;

    if (l->logged_at != 0 && now - l->logged_at < LOG_EVERY_NS) return;
    mw_host_log(l->host, MW_LOG_WARN, "net listen %s: %llu connection%s not authenticated; the last, %s: %s", g->listener,
                (unsigned long long)n, n == 1 ? "" : "s", mw_stream_subject(g->s), why);
    l->logged_at = now;
    l->logged = failures(l);
}

static void answer(struct guest *g) {
    struct mw_lobby *l = g->lobby;

    mw_greet_deny(g->greet);
    send_away(g);
    l->changed(l);
}

static void on_pause_over(struct mw_timer *t) {
    answer(MW_LIST_ENTRY(t, struct guest, pause));
}

static void on_done(void *ud, int code, const struct mw_err *err) {
    struct guest *g = ud;
    struct mw_lobby *l = g->lobby;

    if (code == 0) {
        mw_greet_close(g->greet);
        g->greet = NULL;
        mw_list_remove(&g->link);
        mw_list_add(&l->passed, &g->link);
        l->waiting--;
        l->ready++;
        l->changed(l);
        return;
    }
    if (code == MW_ETIMEDOUT) l->stats.timed_out++;
    else l->stats.refused++;
    log_failure(l, g, err->what);
    if (mw_strikes_add(&l->strikes, &g->key, mw_host_now(l->host)) >= MW_LOBBY_PATIENCE && !mw_stream_closed(g->s) &&
        mw_timer_start(l->host, &g->pause, mw_host_now(l->host) + MW_LOBBY_PAUSE_NS, on_pause_over) == 0) return;
    answer(g);
}

/* Until when it may stay although others wait. */
static uint64_t stays(struct guest *g, uint64_t now) {
    uint64_t until, last = g->since + MW_LOBBY_LONG_NS, bytes;

    if (g->pause.slot != 0) return 0;
    bytes = mw_stream_said(g->s);
    if (bytes != g->bytes) g->heard = now;
    g->bytes = bytes;
    until = g->heard != 0 ? g->heard + MW_LOBBY_SLOW_NS : g->since + MW_LOBBY_MUTE_NS;
    return until < last ? until : last;
}

/* Who goes first, if anybody must, and when. NULL: nobody is there. */
static struct guest *next_to_go(const struct mw_lobby *l, uint64_t now, uint64_t *when) {
    struct guest *first = NULL;

    for (struct mw_list *at = l->greeting.next; at != &l->greeting; at = at->next) {
        struct guest *g = MW_LIST_ENTRY(at, struct guest, link);
        uint64_t until = stays(g, now);
        if (first == NULL || until < *when) {
            first = g;
            *when = until;
        }
        if (*when <= now) break;
    }
    return first;
}

int mw_lobby_room(struct mw_lobby *l, unsigned max, uint64_t *again) {
    uint64_t now = mw_host_now(l->host);

    if (l->waiting < max) return 1;
    *again = now + MW_LOBBY_SLOW_NS;
    return next_to_go(l, now, again) != NULL && *again <= now;
}

static void displace(struct mw_lobby *l) {
    uint64_t when;
    struct guest *g = next_to_go(l, mw_host_now(l->host), &when);

    if (g == NULL) return;
    if (g->pause.slot == 0) {                /* one that waits for its answer has been counted */
        l->stats.displaced++;
        log_failure(l, g, "displaced by newer ones");
    }
    send_away(g);
}

int mw_lobby_enter(struct mw_lobby *l, mw_stream *s, const struct mw_peer_key *key, const struct mw_greeting *how, unsigned max,
                   const char *listener, struct mw_err *err) {
    struct guest *g = calloc(1, sizeof *g);
    int rc = g == NULL ? mw_err_set(err, MW_ENOMEM, "net accept", listener, NULL) : 0;

    if (rc == 0) {
        *g = (struct guest){ .lobby = l, .s = s, .key = *key, .since = mw_host_now(l->host), .listener = listener };
        rc = mw_greet_begin(s, how, 1, on_done, g, &g->greet, err);
    }
    if (rc < 0) {
        free(g);
        mw_stream_close(s);
        mw_stream_release(s);
        return rc;
    }
    if (l->waiting >= max) displace(l);
    mw_list_add(&l->greeting, &g->link);
    l->waiting++;
    return 0;
}

mw_stream *mw_lobby_take(struct mw_lobby *l) {
    if (mw_list_empty(&l->passed)) return NULL;
    return dismiss(MW_LIST_ENTRY(l->passed.next, struct guest, link));
}

static void clear(struct mw_list *guests) {
    while (!mw_list_empty(guests)) send_away(MW_LIST_ENTRY(guests->next, struct guest, link));
}

void mw_lobby_clear(struct mw_lobby *l) {
    clear(&l->greeting);
    clear(&l->passed);
}

void mw_lobby_free(struct mw_lobby *l) {
    mw_lobby_clear(l);
    mw_strikes_free(&l->strikes);
}
