/* A listener: a socket that others connect to, and the count of those who did. It accepts when a task wants a connection, so
 * that what nobody serves yet waits in the kernel, not here.
 * Knows: io/socket, io/lookup, io/peers, io/lobby, io/stream, core/wait, core/timer.
 * Never: Lua; reads or writes a connection; spins when descriptors run out. */
#include "io/listener.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/poll.h"
#include "core/timer.h"
#include "io/peers.h"

#define OP "net accept"
#define REFUSALS_MAX 64              /* connections shut out in one call before others get their turn */
#define PAUSE_NS 100000000u          /* before another try when the system has no memory or descriptors at all */
#define LOG_EVERY_NS 1000000000u
#define AUTHENTICATING 64            /* in the lobby at once, unless told: where somebody has to prove who it is, */
#define SHAKING 1024                 /* and where TLS alone is to be agreed on: a burst of as many clients is everyday */
#define AHEAD_MAX 64                 /* connections that have passed the greeting and wait for an accept */

struct mw_listener {
    struct mw_handle handle;
    mw_host *host;
    unsigned refs;                   /* the caller's, the watcher until its close callback, each open connection */
    struct mw_socket socket;
    int spare;                       /* given up for a moment to shut a caller out when descriptors have run out */
    uv_poll_t poll;
    int watching, draining;
    int quiet;                       /* while it is watched: whoever knocks next, the loop will tell; no use to ask before */
    int rush;                        /* they come faster than one in a turn of the loop */
    unsigned knocked_in;             /* the turn of the last knock */
    int crowded;                     /* `pause` is on because the lobby is full */
    struct mw_timer pause;
    struct mw_wait ready, changed;
    struct mw_peers peers;
    struct mw_lobby lobby;
    struct mw_listener_options opt;
    struct mw_listener_stats stats;
    uint64_t logged_at, dropped_logged;
    unsigned odd;                    /* refusals of accept4 in a row that name no cause of ours */
    char address[];
};

void mw_listener_options_init(struct mw_listener_options *opt) {
    memset(opt, 0, sizeof *opt);
    opt->socket = (struct mw_socket_options){.backlog = 4096, .reuse = 1, .nodelay = 1, .stall_ms = 30000, .mode = -1};
    opt->max_conns = 10000;
    opt->max_conns_per_peer = 1024;
    opt->greeting.auth_ns = MW_GREET_NS;
    mw_stream_limits_init(&opt->limits);
    opt->limits.idle_ns = 600000000000u;
    opt->limits.stall_ns = 30000000000u;
}

static void drop_ref(mw_listener *l) {
    if (--l->refs > 0) return;
    mw_lobby_free(&l->lobby);
    mw_greeting_clear(&l->opt.greeting);
    mw_peers_free(&l->peers);
    free(l);
}

static void on_poll_closed(uv_handle_t *handle) {
    drop_ref(handle->data);
}

static void unwatch(mw_listener *l) {
    if (l->watching) uv_poll_stop(&l->poll);
    l->watching = 0;
}

static int let_in(mw_listener *l, struct mw_err *err);

/* Somebody knocks, or the socket is in trouble: accept4 will tell. Nobody waits: stop looking, the kernel keeps them. */
static void on_knock(uv_poll_t *poll, int status, int events) {
    mw_listener *l = poll->data;

    (void)events;
    l->rush = mw_host_turn(l->host) - l->knocked_in <= 1;
    l->knocked_in = mw_host_turn(l->host);
    l->quiet = 0;
    if (status < 0) unwatch(l);
    if (mw_greeting_any(&l->opt.greeting) && status == 0 && !mw_wait_empty(&l->ready)) {
        if (let_in(l, NULL) < 0) mw_wait_wake(&l->ready); /* accept will say what it is */
        return;
    }
    if (!mw_wait_wake_one(&l->ready)) unwatch(l);
}

static void on_pause_over(struct mw_timer *t) {
    mw_listener *l = MW_LIST_ENTRY(t, mw_listener, pause);

    l->crowded = 0;
    mw_wait_wake(&l->ready);
}

/* Nothing can be accepted now, and the backlog would wake us at once: look again later. 0 or a code. */
static int take_a_break(mw_listener *l) {
    int rc = mw_timer_start(l->host, &l->pause, mw_host_now(l->host) + PAUSE_NS, on_pause_over);

    if (rc == 0) unwatch(l);
    return rc;
}

/* 0, or a code when nothing would wake us. */
static int watch(mw_listener *l) {
    if (l->watching) return 0;
    l->watching = mw_poll_start(&l->poll, UV_READABLE, on_knock) == 0;
    return l->watching ? 0 : take_a_break(l);            /* the kernel has no memory for it now */
}

static int may_log(mw_listener *l) {
    uint64_t now = mw_host_now(l->host);

    if (l->logged_at != 0 && now - l->logged_at < LOG_EVERY_NS) return 0;
    l->logged_at = now;
    return 1;
}

static void shut_out(mw_listener *l, int code) {
    l->stats.dropped++;
    if (!may_log(l)) return;
    mw_host_log(l->host, MW_LOG_WARN, "net listen %s: %s; %llu connections dropped", l->address, mw_err_words(code),
                (unsigned long long)(l->stats.dropped - l->dropped_logged));
    l->dropped_logged = l->stats.dropped;
}

/* Without a free descriptor accept4 cannot even say whether somebody is there; the spare one lets us shut one out.
 * 1: one was; 0: nobody is there; <0: there is no spare either. */
static int shed(mw_listener *l, int code) {
    int fd, why;

    if (l->spare < 0) l->spare = fcntl(l->socket.fd, F_DUPFD_CLOEXEC, 0);
    if (l->spare < 0) return -1;
    close(l->spare);
    fd = accept4(l->socket.fd, NULL, NULL, SOCK_CLOEXEC);
    why = errno;
    if (fd >= 0) close(fd);
    l->spare = fcntl(l->socket.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return why == EMFILE || why == ENFILE ? -1 : 0;
    shut_out(l, code);
    return 1;
}

static int key_of(int fd, const struct mw_address *from, struct mw_peer_key *key) {
    struct ucred who;
    socklen_t len = sizeof who;

    memset(key, 0, sizeof *key);
    if (from->at.any.sa_family == AF_INET6) {
        memcpy(key->at, &from->at.v6.sin6_addr, 16);
    } else if (from->at.any.sa_family == AF_INET) {
        key->at[10] = key->at[11] = 0xff;
        memcpy(key->at + 12, &from->at.v4.sin_addr, 4);
    } else {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) return -errno;
        memcpy(key->at, &who.uid, sizeof who.uid);
    }
    return 0;
}

/* The lobby may have room again. */
static void uncrowd(mw_listener *l) {
    if (!l->crowded) return;
    l->crowded = 0;
    mw_timer_stop(l->host, &l->pause);
}

static void on_conn_closed(void *ud) {
    struct mw_peer_count *peer = ud;
    mw_listener *l = MW_LIST_ENTRY(peer->table, mw_listener, peers);

    l->stats.open--;
    mw_peers_give(peer);
    mw_wait_wake(&l->changed);
    uncrowd(l);
    if (!l->watching && l->pause.slot == 0) mw_wait_wake(&l->ready); /* it waited for room */
    drop_ref(l);
}

static void name_of(const mw_listener *l, const struct mw_address *from, char *out, size_t size) {
    char host[INET6_ADDRSTRLEN + 16];
    int port = mw_endpoint_sockaddr_host(&from->at.any, host, sizeof host);

    if (port < 0) {
        strncpy(out, l->address, size - 1);
        out[size - 1] = 0;
        return;
    }
    memcpy(out, strncmp(l->address, "tls:", 4) == 0 ? "tls://" : "tcp://", 6);
    mw_endpoint_host_port(host, port, out + 6, size - 6);
}

/* 1: *out is a counted connection; 0: its peer holds too many; <0. Takes fd. */
static int admit(mw_listener *l, int fd, const struct mw_address *from, struct mw_peer_key *key, mw_stream **out, struct mw_err *err) {
    char subject[256];
    struct mw_peer_count *peer = NULL;
    int rc = key_of(fd, from, key);

    if (rc == 0 && (peer = mw_peers_take(&l->peers, key)) == NULL) rc = MW_ENOMEM;
    if (rc < 0) goto refuse;
    if (peer->held > l->opt.max_conns_per_peer || mw_host_crowded(l->host)) {
        l->stats.limited++;
        goto refuse;
    }
    name_of(l, from, subject, sizeof subject);
    rc = mw_stream_open_socket(l->host, fd, from->at.any.sa_family, "net", subject, &l->opt.limits, out, err);
    fd = -1;
    if (rc < 0) goto refuse;
    l->refs++;
    l->stats.open++;
    mw_stream_on_close(*out, on_conn_closed, peer);
    return 1;
refuse:
    if (fd >= 0) close(fd);
    if (peer != NULL) mw_peers_give(peer);
    return rc;
}

/* The caller's own trouble (accept(2), "Error handling"): another one may have none. Not for ever: a filter or a firewall may refuse
 * every call and leave the caller in the backlog, which would wake us at once. As `refused`. */
static int odd_one(mw_listener *l, int code) {
    if (l->odd++ < REFUSALS_MAX) return 1;
    if (may_log(l)) mw_host_log(l->host, MW_LOG_WARN, "net listen %s: nobody can be accepted: %s", l->address, mw_err_words(code));
    return take_a_break(l);
}

/* What accept4 refused with: 1: try again at once; 0: wait; <0: the socket itself is of no use any more. */
static int refused(mw_listener *l, int code) {
    switch (code) {
    case EAGAIN:
        l->quiet = 1;
        return watch(l);
    case EMFILE:
    case ENFILE: {
        int rc = shed(l, -code);
        if (rc == 0) return watch(l);
        return rc < 0 ? take_a_break(l) : rc;
    }
    case ENOBUFS:
    case ENOMEM: return take_a_break(l);
    case EBADF:
    case EFAULT:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
    case ENOSYS: return -code;
    default: return odd_one(l, -code);
    }
}

/* May another one be accepted now? 0: no, and what will wake us is arranged. */
static int has_room(mw_listener *l) {
    if (l->pause.slot != 0) return 0;
    if (l->stats.open < l->opt.max_conns) return 1;
    unwatch(l); /* on_conn_closed wakes */
    return 0;
}

/* 1: *out is a new connection of *key; 0: nobody now, what will wake us is arranged; MW_EAGAIN: one was shut out, there may be more;
 * <0: the socket is of no use any more. */
static int take_one(mw_listener *l, mw_stream **out, struct mw_peer_key *key, struct mw_err *err) {
    struct mw_address from;
    int fd, rc;

    if (l->quiet && l->watching) return 0;
    from.len = sizeof from.at;
    from.at.any.sa_family = AF_UNIX;
    fd = accept4(l->socket.fd, &from.at.any, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        rc = refused(l, errno);
        return rc < 0 ? mw_err_set(err, rc, OP, l->address, NULL) : rc == 0 ? 0 : MW_EAGAIN;
    }
    l->odd = 0;
    l->quiet = !l->rush;             /* mostly it was the only one; if not, the loop says so in its next turn, and then all are taken */
    rc = admit(l, fd, &from, key, out, err);
    if (rc > 0) return 1;
    if (rc < 0) shut_out(l, rc);
    return MW_EAGAIN;
}

static int look_later(mw_listener *l, struct mw_err *err) {
    int rc = watch(l);
    return rc < 0 ? mw_err_set(err, rc, OP, l->address, NULL) : 0;
}

/* How many may be in the lobby: those who say nothing must not take the places of those who could say who they are, so that where all
 * places are taken, the lobby's are given anew. 0: the others have them all. */
static unsigned lobby_places(const mw_listener *l) {
    uint64_t others = l->stats.open - l->lobby.waiting, left = l->opt.max_conns > others ? l->opt.max_conns - others : 0;
    unsigned most = l->opt.max_unauthenticated;

    if (most == 0) most = l->opt.greeting.auth != NULL ? AUTHENTICATING : SHAKING;
    return left < most ? (unsigned)left : most;
}

/* Is there room in the lobby? 0: no, and what will wake us is arranged. */
static int lobby_has_room(mw_listener *l) {
    unsigned places = lobby_places(l);
    uint64_t again;

    if (l->pause.slot != 0) return 0;
    if (l->lobby.ready >= AHEAD_MAX || places == 0) {
        unwatch(l); /* the next accept looks again; or on_conn_closed wakes */
        return 0;
    }
    if (mw_lobby_room(&l->lobby, places, &again)) return 1;
    unwatch(l);
    l->crowded = 1;
    if (mw_timer_start(l->host, &l->pause, again, on_pause_over) == 0) return 0;
    l->crowded = 0; /* without memory: on_lobby will look again */
    return 0;
}

/* Takes those who knock into the lobby. 0, or a code when the socket is of no use any more. */
static int let_in(mw_listener *l, struct mw_err *err) {
    for (int i = 0; i < REFUSALS_MAX; i++) {
        struct mw_peer_key key;
        mw_stream *s;
        unsigned places;
        int rc;

        if (!lobby_has_room(l)) return 0;
        places = lobby_places(l);
        rc = take_one(l, &s, &key, err);
        if (rc == 0 || (rc < 0 && rc != MW_EAGAIN)) return rc;
        if (rc == 1 && (rc = mw_lobby_enter(&l->lobby, s, &key, &l->opt.greeting, places, l->address, NULL)) < 0) shut_out(l, rc);
    }
    return look_later(l, err);
}

/* Somebody passed, or went. */
static void on_lobby(struct mw_lobby *lobby) {
    mw_listener *l = MW_LIST_ENTRY(lobby, mw_listener, lobby);

    uncrowd(l);
    if (lobby->ready > 0 || (!l->watching && l->pause.slot == 0)) mw_wait_wake(&l->ready);
}

static void count_accepted(mw_listener *l) {
    l->stats.accepted++;
    mw_host_measures(l->host)->accepted++;
}

int mw_listener_accept(mw_listener *l, mw_stream **out, struct mw_err *err) {
    int rc;

    if (l->socket.fd < 0) return mw_err_set(err, MW_ECLOSED, OP, l->address, NULL);
    rc = mw_greeting_any(&l->opt.greeting) ? let_in(l, err) : 0;
    if (rc < 0) return rc;
    *out = mw_lobby_take(&l->lobby);
    if (*out != NULL) {
        count_accepted(l);
        return 1;
    }
    if (mw_greeting_any(&l->opt.greeting) || !has_room(l)) return 0;
    for (int i = 0; i < REFUSALS_MAX; i++) {
        struct mw_peer_key key;
        rc = take_one(l, out, &key, err);
        if (rc == 1) count_accepted(l);
        if (rc != MW_EAGAIN) return rc;
    }
    return look_later(l, err);
}

static void on_host_close(struct mw_handle *handle) {
    mw_listener_close(MW_LIST_ENTRY(handle, mw_listener, handle));
}

/* The address to tell: what was asked for, with the port that the system picked and an address that can be dialled. */
static void tell(const struct mw_endpoint *at, int fd, char *out) {
    struct mw_endpoint told;
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    memset(&sa, 0, sizeof sa);
    if ((at->scheme != MW_SCHEME_TCP && at->scheme != MW_SCHEME_TLS) || getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
        mw_endpoint_from_sockaddr((struct sockaddr *)&sa, len, &told) < 0) {
        mw_endpoint_text(at, out);
        return;
    }
    told.scheme = at->scheme;
    if (at->any) strcpy(told.host, "127.0.0.1");
    if (at->sa_len == 0 && !at->any) strcpy(told.host, at->host);
    mw_endpoint_text(&told, out);
}

static int make(mw_listener *l, const struct mw_endpoint *at, const struct mw_lookup *found, struct mw_err *err) {
    struct mw_policy *p = mw_host_policy(l->host);

    if (l->opt.made != NULL) {
        l->socket = *l->opt.made;
        l->opt.made->fd = l->opt.made->place.fd = -1;
        l->opt.made = NULL;
        return 0;
    }
    switch (at->scheme) {
    case MW_SCHEME_TCP:
    case MW_SCHEME_TLS: return mw_socket_listen_tcp(p, found, at->any, &l->opt.socket, l->address, &l->socket, err);
    case MW_SCHEME_UNIX: return mw_socket_listen_unix(p, at->path, &l->opt.socket, l->address, &l->socket, err);
    case MW_SCHEME_FD:
    case MW_SCHEME_STDIO: break;
    }
    return mw_err_set(err, -ENOTSUP, "net listen", l->address, "only to connect to");
}

int mw_listener_open(mw_host *h, const struct mw_endpoint *at, const struct mw_lookup *found, const struct mw_listener_options *opt,
                     mw_listener **out, struct mw_err *err) {
    mw_listener *l = calloc(1, sizeof *l + MW_ENDPOINT_TEXT);
    mw_listener *fitted;
    int rc;

    if (l == NULL) return mw_err_set(err, MW_ENOMEM, "net listen", at->host, NULL);
    l->host = h;
    l->opt = *opt;
    l->opt.greeting = (struct mw_greeting){ 0 };
    l->refs = 1;
    l->socket.fd = l->socket.place.fd = l->spare = -1;
    mw_endpoint_text(at, l->address);
    rc = make(l, at, found, err);
    if (rc == 0) rc = mw_host_room(h, "net listen", l->address, err);
    if (rc < 0) goto failed;
    tell(at, l->socket.fd, l->address);
    fitted = realloc(l, sizeof *l + strlen(l->address) + 1);
    if (fitted != NULL) l = fitted;
    l->spare = fcntl(l->socket.fd, F_DUPFD_CLOEXEC, 0);
    rc = l->spare < 0 ? -errno : uv_poll_init(mw_host_loop(h), &l->poll, l->socket.fd);
    if (rc < 0) {
        mw_err_set(err, rc, "net listen", l->address, NULL);
        goto failed;
    }
    l->poll.data = l;
    l->refs++;
    mw_lobby_init(&l->lobby, h, on_lobby);
    mw_greeting_set(&l->opt.greeting, &opt->greeting);
    mw_wait_init(&l->ready);
    mw_wait_init(&l->changed);
    mw_host_adopt(h, &l->handle, on_host_close);
    *out = l;
    return 0;
failed:
    if (l->spare >= 0) close(l->spare);
    mw_socket_end(&l->socket);
    free(l);
    return rc;
}

static void shut(mw_listener *l) {
    if (l->socket.fd < 0) return;
    mw_host_disown(&l->handle);
    mw_timer_stop(l->host, &l->pause);
    l->watching = 0;
    uv_close((uv_handle_t *)&l->poll, on_poll_closed);
    if (l->spare >= 0) close(l->spare);
    l->spare = -1;
    mw_socket_end(&l->socket);
    mw_lobby_clear(&l->lobby);
    mw_wait_wake(&l->ready);
}

void mw_listener_close(mw_listener *l) {
    l->draining = 0;
    shut(l);
    mw_wait_wake(&l->changed);
}

void mw_listener_drain(mw_listener *l) {
    if (l->socket.fd >= 0) l->draining = 1;
    shut(l);
}

int mw_listener_draining(const mw_listener *l) {
    return l->draining;
}

void mw_listener_release(mw_listener *l) {
    if (l != NULL) drop_ref(l);
}

int mw_listener_closed(const mw_listener *l) {
    return l->socket.fd < 0;
}

void mw_listener_set_options(mw_listener *l, const struct mw_listener_options *opt) {
    struct mw_greeting greeting = l->opt.greeting;

    mw_greeting_set(&greeting, &opt->greeting);
    l->opt = *opt;
    l->opt.greeting = greeting;
    if (l->socket.fd >= 0) mw_socket_tune(&l->socket, &opt->socket);
    if (!l->watching && l->pause.slot == 0) mw_wait_wake(&l->ready); /* there may be more room now */
}

const struct mw_listener_options *mw_listener_get_options(const mw_listener *l) {
    return &l->opt;
}

struct mw_wait *mw_listener_ready(mw_listener *l) {
    return &l->ready;
}

struct mw_wait *mw_listener_changed(mw_listener *l) {
    return &l->changed;
}

const char *mw_listener_address(const mw_listener *l) {
    return l->address;
}

void mw_listener_idled(mw_listener *l) {
    l->stats.idle++;
}

void mw_listener_failed(mw_listener *l, const char *peer, const char *why) {
    char shown[1024];

    l->stats.failed++;
    mw_err_escape(shown, sizeof shown, why, strlen(why));
    mw_host_log(l->host, MW_LOG_ERROR, "net serve %s: the handler of %s failed: %s", l->address, peer, shown);
}

void mw_listener_stats(const mw_listener *l, struct mw_listener_stats *out) {
    *out = l->stats;
    out->lobby = l->lobby.stats;
    out->unauthenticated = l->lobby.waiting;
}
